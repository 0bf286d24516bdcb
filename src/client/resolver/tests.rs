//! Resolvers that say what a table says.

use std::{sync::Arc, time::Duration};

use super::*;
use crate::wire::{
    Ttl,
    message::{Owner, Query, Response, Section},
};
use tokio::net::UdpSocket;

pub(super) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A record: owner, type, rdata.
pub(super) type Row = (&'static str, RrType, Vec<u8>);

/// A code, the answer section, the authority section.
pub(super) type Reply = (Rcode, Vec<Row>, Vec<Row>);

/// What is answered to a name and a type.
#[derive(Clone, Default)]
pub(super) struct Table(HashMap<(String, RrType), Reply>, Vec<&'static str>);

impl Table {
    pub fn row(mut self, asked: &str, rtype: RrType, answers: Vec<Row>) -> Self {
        self.0
            .insert((asked.into(), rtype), (Rcode::NOERROR, answers, vec![]));
        self
    }

    pub fn denied(mut self, asked: &str, rtype: RrType, rcode: Rcode, soa: &'static str) -> Self {
        let authority = vec![(soa, RrType::SOA, soa_rdata())];
        self.0.insert((asked.into(), rtype), (rcode, vec![], authority));
        self
    }

    /// What is said of this name was validated, and whoever asks for it by AD is told so.
    pub fn validated(mut self, asked: &'static str) -> Self {
        self.1.push(asked);
        self
    }

    fn answer(&self, query: &[u8]) -> Vec<u8> {
        const AD: u8 = 0x20;
        let wants_ad = query[3] & AD != 0;
        let query = Query::read(query).unwrap();
        let question = query.question.unwrap();
        let nothing = (Rcode::REFUSED, vec![], vec![]);
        let (rcode, answers, authorities) = self
            .0
            .get(&(question.name.to_string(), question.rtype))
            .unwrap_or(&nothing);
        let mut out = Vec::new();
        let mut response = Response::start(&query, &mut out, 1_232, 0);
        for (section, rows) in [(Section::Answer, answers), (Section::Authority, authorities)] {
            for (owner, rtype, rdata) in rows {
                let owner = name(owner);
                let owner = Owner::Name(owner.as_ref());
                response
                    .append(section, owner, *rtype, Ttl::new(60), [&rdata[..]])
                    .unwrap();
            }
        }
        response.finish(*rcode, None);
        let is_validated = self.1.iter().any(|name| *name == question.name.to_string());
        if wants_ad && is_validated {
            out[3] |= AD;
        }
        out
    }
}

fn soa_rdata() -> Vec<u8> {
    [&[0, 0][..], &[0; 20]].concat()
}

fn target(text: &str) -> Vec<u8> {
    name(text).as_wire().to_vec()
}

/// A resolver that answers from a table; what is not there is REFUSED.
pub(super) async fn serve(table: Table) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let table = Arc::new(table);
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            socket
                .send_to(&table.answer(&buffer[..length]), from)
                .await
                .unwrap();
        }
    });
    address
}

pub(super) fn resolver(servers: Vec<SocketAddr>) -> Resolver {
    Resolver::new(servers).with_asker(Asker {
        timeout: Duration::from_millis(300),
        tries: 1,
    })
}

#[test]
fn resolv_conf_is_read_as_the_c_library_reads_it() {
    let text = "# nameserver 192.0.2.9\n;nameserver 192.0.2.8\nsearch example\nnameserver 192.0.2.1\n\
                \tnameserver\t2001:db8::1  # trailing\nnameserver none\nnameserver\nnameserver 192.0.2.2\n\
                nameserver 192.0.2.3\n";
    let expected: [IpAddr; 3] = [
        [192, 0, 2, 1].into(),
        "2001:db8::1".parse().unwrap(),
        [192, 0, 2, 2].into(),
    ];
    assert_eq!(servers_in(text), expected);
    assert_eq!(servers_in("options edns0"), [IpAddr::from([127, 0, 0, 1])]);
}

#[test]
fn ports_are_53_unless_somebody_says_otherwise() {
    let lab: SocketAddr = "127.0.0.1:5300".parse().unwrap();
    let ports: Ports = [lab].into_iter().collect();
    assert_eq!(ports.at([127, 0, 0, 1].into()), lab);
    assert_eq!(ports.at([192, 0, 2, 1].into()), "192.0.2.1:53".parse().unwrap());
}

#[tokio::test]
async fn addresses_of_both_families_are_found_behind_aliases() {
    let chain = vec![
        ("www.example.", RrType::CNAME, target("a.example.")),
        ("a.example.", RrType::CNAME, target("b.example.")),
        ("b.example.", RrType::A, vec![192, 0, 2, 1]),
        ("stranger.example.", RrType::A, vec![192, 0, 2, 66]),
    ];
    let six = vec![("www.example.", RrType::AAAA, vec![0x20; 16])];
    let table = Table::default()
        .row("www.example.", RrType::A, chain)
        .row("www.example.", RrType::AAAA, six);
    let resolver = resolver(vec![serve(table).await]);
    let found = resolver.addresses_of(&name("www.example.")).await.unwrap();
    let expected: [IpAddr; 2] = [[192, 0, 2, 1].into(), [0x20_u8; 16].into()];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_circle_of_aliases_ends() {
    let circle = vec![
        ("a.", RrType::CNAME, target("b.")),
        ("b.", RrType::CNAME, target("a.")),
    ];
    let table = Table::default()
        .row("a.", RrType::A, circle.clone())
        .row("a.", RrType::AAAA, circle);
    let error = resolver(vec![serve(table).await]).addresses_of(&name("a.")).await;
    assert!(matches!(error, Err(ResolveError::NoRecord { .. })), "{error:?}");
}

#[tokio::test]
async fn half_of_the_addresses_is_no_answer() {
    let table = Table::default().row("a.", RrType::A, vec![("a.", RrType::A, vec![192, 0, 2, 1])]);
    let error = resolver(vec![serve(table).await]).addresses_of(&name("a.")).await;
    assert!(
        matches!(
            error,
            Err(ResolveError::Failed {
                rtype: RrType::AAAA,
                rcode: Rcode::REFUSED,
                ..
            })
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let table = Table::default()
        .denied("no.", RrType::NS, Rcode::NXDOMAIN, ".")
        .denied("empty.", RrType::NS, Rcode::NOERROR, ".");
    let server = serve(table).await;
    let resolver = resolver(vec![server]);
    let error = resolver.name_servers_of(&name("no.")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("there is no name no., says the resolver {server}")
    );
    let error = resolver.name_servers_of(&name("empty.")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("empty. has no NS record, says the resolver {server}")
    );
    let error = resolver.name_servers_of(&name("else.")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the resolver {server} answers REFUSED to else. NS")
    );
}

#[tokio::test]
async fn the_next_resolver_is_asked_when_one_fails() {
    let ns = vec![("zone.", RrType::NS, target("ns.zone."))];
    let good = serve(Table::default().row("zone.", RrType::NS, ns)).await;
    let refusing = serve(Table::default()).await;
    let mute = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let servers = vec![refusing, mute.local_addr().unwrap(), good];
    let found = resolver(servers).name_servers_of(&name("zone.")).await;
    assert_eq!(found.unwrap(), [name("ns.zone.")]);
    let error = resolver(vec![refusing, mute.local_addr().unwrap()])
        .name_servers_of(&name("zone."))
        .await
        .unwrap_err();
    assert!(
        matches!(error, ResolveError::NoAnswer { others: 1, .. }),
        "{error:?}"
    );
}

/// The zone of `ns.parent.`, with one name server that has an address and one that has none.
fn with_parent(table: Table) -> Table {
    table
        .row(
            "parent.",
            RrType::NS,
            vec![
                ("parent.", RrType::NS, target("ns.parent.")),
                ("parent.", RrType::NS, target("gone.parent.")),
            ],
        )
        .row(
            "ns.parent.",
            RrType::A,
            vec![("ns.parent.", RrType::A, vec![192, 0, 2, 1])],
        )
        .denied("ns.parent.", RrType::AAAA, Rcode::NOERROR, "parent.")
        .denied("gone.parent.", RrType::A, Rcode::NXDOMAIN, "parent.")
        .denied("gone.parent.", RrType::AAAA, Rcode::NXDOMAIN, "parent.")
}

#[tokio::test]
async fn the_parent_is_the_zone_that_encloses_the_name_above() {
    let soa = vec![("parent.", RrType::SOA, soa_rdata())];
    let alias = vec![("b.a.parent.", RrType::CNAME, target("x."))];
    let table = with_parent(Table::default())
        .row("parent.", RrType::SOA, soa)
        // An empty non-terminal between child and parent; below it an alias, whose denial is about the target.
        .denied("a.parent.", RrType::SOA, Rcode::NOERROR, "parent.")
        .row("b.a.parent.", RrType::SOA, alias);
    let resolver = resolver(vec![serve(table).await]);
    for child in ["child.parent.", "child.a.parent.", "child.b.a.parent."] {
        let parent = resolver.parent_of(&name(child)).await.unwrap();
        assert_eq!(parent.apex, name("parent."), "{child}");
        assert_eq!(parent.addresses(), [IpAddr::from([192, 0, 2, 1])]);
        let unknown: Vec<_> = parent
            .servers
            .iter()
            .filter(|server| server.addresses.is_err())
            .map(|server| server.name.to_string())
            .collect();
        assert_eq!(
            unknown,
            ["gone.parent."],
            "a server that is not found is told, not left out"
        );
    }
    assert!(matches!(
        resolver.parent_of(&Name::root()).await,
        Err(ResolveError::Root)
    ));
}

#[test]
fn a_denial_of_another_zone_says_nothing() {
    let mut message = Received::read(&[0; 12]).unwrap();
    let soa = |owner: &str| Record {
        owner: name(owner),
        rtype: RrType::SOA,
        class: crate::wire::Class::IN,
        ttl: Ttl::new(1),
        rdata: soa_rdata().into(),
    };
    message.authorities = vec![soa("other.")];
    assert_eq!(enclosing_apex(&message, name("a.parent.").as_ref()), None);
    message.authorities.push(soa("parent."));
    assert_eq!(
        enclosing_apex(&message, name("a.parent.").as_ref()),
        Some(name("parent."))
    );
    message.answers = vec![soa("other.")];
    assert_eq!(enclosing_apex(&message, name("a.parent.").as_ref()), None);
}
