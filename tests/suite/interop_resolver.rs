//! Servers found through unbound: addresses, name servers, and the zone that delegates another.

use std::{fs, net::IpAddr};

use countersign::client::{Asker, Ports, ResolveError, Resolver};

use crate::harness::peers::{self, Peer};

/// Knot serves `test.` and, below an empty non-terminal, `deep.ent.test.`; unbound asks it.
fn hierarchy() -> (Peer, Peer) {
    let folder = tempfile::tempdir().unwrap();
    let parent = "@ 60 SOA ns1 h 1 60 60 600 60\n@ 60 NS ns1\n@ 60 NS ns2\n@ 60 NS nowhere\n\
                  ns1 60 A 127.0.0.1\nns2 60 A 127.0.0.2\nns2 60 AAAA ::1\n\
                  alias 60 CNAME ns2\nempty 60 TXT x\n\
                  deep.ent 60 NS ns1.test.\n";
    let child = "@ 60 SOA ns1.test. h 1 60 60 600 60\n@ 60 NS ns1.test.\n@ 60 NS NS2.test.\n";
    let zones = [("test.", parent), ("deep.ent.test.", child)].map(|(origin, text)| {
        let file = folder.path().join(origin);
        fs::write(&file, text).unwrap();
        (origin, file)
    });
    let knot = peers::knot(&zones, "");
    let stubs = [("test.", knot.address()), ("deep.ent.test.", knot.address())];
    let unbound = peers::unbound("", &stubs, "module-config: iterator");
    (knot, unbound)
}

#[test]
fn servers_and_parents_are_found() {
    let (knot, unbound) = hierarchy();
    let ports: Ports = [knot.address()].into_iter().collect();
    let resolver = Resolver::new(vec![unbound.address()])
        .with_ports(ports)
        .with_asker(Asker::default());
    assert_eq!(resolver.ports().at(knot.address().ip()), knot.address());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let name = |text: &str| text.parse().unwrap();
    let two: [IpAddr; 2] = ["127.0.0.2".parse().unwrap(), "::1".parse().unwrap()];
    let one: IpAddr = "127.0.0.1".parse().unwrap();
    runtime.block_on(async {
        for host in ["ns2.test.", "ALIAS.test."] {
            assert_eq!(resolver.addresses_of(&name(host)).await.unwrap(), two, "{host}");
        }
        let servers = resolver.name_servers_of(&name("deep.ent.test.")).await.unwrap();
        assert_eq!(servers, [name("ns1.test."), name("ns2.test.")]);
        for child in ["deep.ent.test.", "other.test.", "a.b.c.test."] {
            let parent = resolver.parent_of(&name(child)).await.unwrap();
            assert_eq!(parent.apex, name("test."), "{child}");
            assert_eq!(parent.addresses(), [one, two[0], two[1]]);
            let unknown: Vec<_> = parent
                .servers
                .iter()
                .filter(|server| server.addresses.is_err())
                .collect();
            assert!(
                matches!(unknown[..], [server] if server.name == name("nowhere.test.")),
                "{unknown:?}"
            );
        }
        let below = resolver.parent_of(&name("x.deep.ent.test.")).await.unwrap();
        assert_eq!(below.apex, name("deep.ent.test."));
        let none = resolver.addresses_of(&name("no.such.test.")).await;
        assert!(matches!(none, Err(ResolveError::NoSuchName { .. })), "{none:?}");
        let none = resolver.addresses_of(&name("empty.test.")).await;
        assert!(matches!(none, Err(ResolveError::NoRecord { .. })), "{none:?}");
        let none = resolver.name_servers_of(&name("ent.test.")).await;
        assert!(matches!(none, Err(ResolveError::NoRecord { .. })), "{none:?}");
    });
}
