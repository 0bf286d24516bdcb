//! Every answer validates: unbound, with our DS as its trust anchor, is asked every question of the list, asks us,
//! and comes back with AD=1; below unsigned cuts it comes back insecure; it says SERVFAIL only for loops.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use countersign::wire::RrType;

use crate::harness::{
    client::{ask, ask_all},
    message::{AA, AD, Message, Name, Query, RD, SERVFAIL},
    peers::{self, Peer},
    process::{Countersign, Server, repository, run, wait_for, write},
    questions,
    spoil::{Spoiler, spoil},
};

const ORIGIN: &str = "awkward.example.";
/// How long a reload may take until it is seen.
const RELOADING: Duration = Duration::from_secs(20);

/// How long unbound remembers that a server did not answer.
const FORGETTING: Duration = Duration::from_secs(15);
/// So many failures can come of a busy machine; more are a fault.
const FEW: usize = 200;

/// The cuts of the awkward zone without a DS that a validator understands, and the world outside.
fn insecure_cuts() -> Vec<String> {
    let long = "c".repeat(63);
    [
        "cut",
        "odd-ds",
        "self",
        "sibling",
        "under.an.ent3",
        "cut.wild",
        "upper",
        "far",
        &long,
    ]
    .iter()
    .map(|cut| format!("{cut}.{ORIGIN}"))
    .chain(["elsewhere.test.".into()])
    .collect()
}

/// Where CNAMEs or DNAMEs go round in circles: no resolver has an answer. And a chain that passes one DNAME twice, to
/// which unbound has none whoever serves it, and however little of the chain comes in one message: the second CNAME
/// does not stand behind the DNAME, which it keeps once, and so it wants that CNAME to be signed.
const LOOPS: [&str; 8] = [
    "d-twice", "loop1", "loop2", "loop3", "itself", "cself", "d-loop1", "d-loop2",
];

/// A resolver that trusts `ds`, asks the servers for the awkward zone, and Knot for the zones below.
pub struct Chain {
    unbound: Peer,
    _children: Peer,
}

impl Chain {
    pub fn new(ds: &str, servers: &[SocketAddr], settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = repository("tests/data/child");
        for half in ["key", "private"] {
            let name = format!("csk.{half}");
            std::fs::copy(data.join(&name), folder.path().join(&name)).unwrap();
        }
        let signed = peers::presign(
            folder.path(),
            &data.join("signed.awkward.example.zone"),
            &[folder.path().join("csk")],
        );
        let insecure = insecure_cuts();
        let mut children: Vec<(&str, PathBuf)> = insecure
            .iter()
            .map(|origin| (origin.as_str(), data.join("insecure.zone")))
            .collect();
        children.push(("signed.awkward.example.", signed));
        let knot = peers::knot(&children, "");
        let mut stubs: Vec<_> = children
            .iter()
            .map(|(origin, _)| (*origin, knot.address()))
            .collect();
        stubs.extend(servers.iter().map(|server| (ORIGIN, *server)));
        Self {
            unbound: peers::unbound(ds, &stubs, &format!("aggressive-nsec: no\n{settings}")),
            _children: knot,
        }
    }

    /// Where the resolver answers.
    pub fn address(&self) -> SocketAddr {
        self.unbound.address()
    }

    /// Asks all; what is wrong with each answer that is not as it must be.
    fn complaints(&self, queries: &[Query]) -> Vec<String> {
        let queries: Vec<_> = queries
            .iter()
            .cloned()
            .map(|query| query.with_do().with_flags(RD))
            .collect();
        let answers = ask_all(self.unbound.address(), &queries);
        let told = |(query, answer)| {
            let what = complaint(query, answer)?;
            Some(format!("{}{what}\n{answer}", title(query)))
        };
        queries.iter().zip(&answers).filter_map(told).collect()
    }

    /// Every answer is as it must be. A question that failed is asked again: on a busy machine unbound gives up on
    /// a server that is slow, and forgets that after seconds; it does not forget what is bogus.
    #[track_caller]
    pub fn accepts(&self, queries: &[Query]) {
        let mut found = self.complaints(queries);
        if !found.is_empty() && found.len() < FEW {
            let failed = |query: &&Query| found.iter().any(|what| what.starts_with(&title(query)));
            let again: Vec<_> = queries.iter().filter(failed).cloned().collect();
            wait_for(FORGETTING, || {
                found = self.complaints(&again);
                found.is_empty().then_some(())
            });
        }
        let log = self.unbound.server.log();
        assert!(
            found.is_empty(),
            "{} of {} do not validate\n{}\n{log}",
            found.len(),
            queries.len(),
            found.join("\n")
        );
    }
}

fn title(query: &Query) -> String {
    format!("=== {query}: ")
}

/// The names that an answer's CNAMEs lead through, the question's first.
fn path(query: &Query, answer: &Message) -> Vec<Name> {
    let mut path = vec![query.name.lower()];
    if query.rtype == RrType::CNAME {
        return path;
    }
    loop {
        let last = path.last().expect("the question's name is there");
        let next = answer
            .answer
            .iter()
            .find(|record| record.rtype == RrType::CNAME && record.owner.lower() == *last)
            .map(|record| record.names()[0].lower());
        match next {
            Some(target) if !path.contains(&target) => path.push(target),
            _ => return path,
        }
    }
}

fn complaint(query: &Query, answer: &Message) -> Option<&'static str> {
    let below = |name: &Name, label: &str| name.is_at_or_below(&Name::parse(&format!("{label}.{ORIGIN}")));
    let path = path(query, answer);
    let insecure = insecure_cuts().iter().map(|cut| Name::parse(cut)).any(|cut| {
        // A DS is the parent's.
        path.iter()
            .any(|name| name.is_at_or_below(&cut) && !(query.rtype == RrType::DS && *name == cut.lower()))
    });
    let loops = LOOPS.iter().any(|name| below(&query.name, name));
    match answer.rcode {
        SERVFAIL if loops => None,
        SERVFAIL => Some("SERVFAIL"),
        _ if insecure && answer.has(AD) => Some("secure, below an insecure cut"),
        _ if !insecure && !answer.has(AD) => Some("not validated"),
        _ => None,
    }
}

/// Every question of the list but for two kinds that unbound cannot answer whoever serves the zone: the DS of the
/// apex is the parent's, and there is none here; and a CNAME or DNAME asked for by name below a DNAME is answered
/// with a CNAME that nobody signs (RFC 6672 section 5.3.1), which unbound expects to be signed.
pub fn all_questions(seed: u64) -> Vec<Query> {
    let to_apex = [Name::parse(ORIGIN), Name::parse(&format!("c-apex.{ORIGIN}"))];
    let mut queries = questions::questions(&repository("zones/awkward.zone"), seed);
    queries.extend(questions::for_what_is_added(&queries, seed));
    let dname = Name::parse(&format!("d1.{ORIGIN}"));
    queries.retain(|query| match query.rtype {
        RrType::DS => !to_apex.contains(&query.name.lower()),
        RrType::CNAME | RrType::DNAME => query.name.lower() == dname || !query.name.is_at_or_below(&dname),
        _ => true,
    });
    for rtype in ["DNSKEY", "SOA", "NS", "MX", "TYPE65281", "NSEC3PARAM", "CDS"] {
        queries.push(Query::plain(ORIGIN, rtype));
    }
    queries
}

/// One in `count` of them, another each time the seed is another.
pub fn some_questions(seed: u64, count: usize) -> Vec<Query> {
    let mut random = questions::Random::new(seed);
    let mut queries = all_questions(seed);
    queries.retain(|_| random.one_in(count));
    queries
}

/// Appends to a file, sends SIGHUP, and waits until the new serial is served.
fn reload_with(server: &Server, zone: &std::path::Path, change: impl Fn(&str) -> String) {
    let text = std::fs::read_to_string(zone).unwrap();
    std::fs::write(zone, change(&text).replace("2026112401", "2026112402")).unwrap();
    server.signal("HUP");
    let seen = wait_for(RELOADING, || {
        let answer = ask(server.address, &Query::plain(ORIGIN, "SOA"));
        answer.answer[0]
            .rdata
            .windows(4)
            .any(|octets| octets == 2_026_112_402_u32.to_be_bytes())
            .then_some(())
    });
    assert!(seen.is_some(), "the reload is not seen:\n{}", server.log());
}

/// One way of denial: every question, without another provider's keys; then a changed zone and their keys, a
/// reload, and every question again.
fn validates_before_and_after_a_reload(denial: &'static str) {
    let folder = tempfile::tempdir().unwrap();
    let zone = write(
        folder.path(),
        "awkward.zone",
        std::fs::read_to_string(repository("zones/awkward.zone")).unwrap(),
    );
    let external = write(folder.path(), "provider.keys", "");
    let ours = Countersign::new(ORIGIN, &zone)
        .denial(denial)
        .external_keys(&external);
    let server = ours.serve();
    let ds = ours.ds(ORIGIN);
    Chain::new(&ds, &[server.address], "").accepts(&all_questions(1));

    let keys = std::fs::read_to_string(repository("keys/example-provider.keys")).unwrap();
    std::fs::write(
        &external,
        keys.replace("example. 3600", &format!("{ORIGIN} 3600")),
    )
    .unwrap();
    reload_with(&server, &zone, |text| {
        // A name goes, a name comes, a type comes to a name, a wildcard gets another address.
        text.replace("x.ent           TXT", "x2.ent          TXT")
            .replace(
                "*.wild          A       192.0.2.30",
                "*.wild          A       192.0.2.130",
            )
            .replace("t-a             A ", "t-a TXT \"more\"\nt-a             A ")
    });
    let keys = ask(server.address, &Query::signed(ORIGIN, "DNSKEY"));
    let count = keys
        .answer
        .iter()
        .filter(|record| record.rtype == RrType::DNSKEY)
        .count();
    assert_eq!(count, 4, "two keys of ours, two of theirs\n{keys}");
    Chain::new(&ds, &[server.address], "").accepts(&all_questions(2));
}

#[test]
fn compact_denial_validates() {
    validates_before_and_after_a_reload("compact");
}

#[test]
fn nsec_validates() {
    validates_before_and_after_a_reload("nsec");
}

#[test]
fn nsec3_validates() {
    validates_before_and_after_a_reload("nsec3");
}

/// A resolver that synthesises answers from the NSEC records it holds (RFC 8198) denies nothing that is there: after
/// every question was asked once, each is answered as by us.
fn aggressive_use_denies_nothing_that_is_there(denial: &'static str) {
    let ours = Countersign::new(ORIGIN, repository("zones/awkward.zone")).denial(denial);
    let server = ours.serve();
    let chain = Chain::new(&ours.ds(ORIGIN), &[server.address], "aggressive-nsec: yes");
    let mut queries = all_questions(11);
    // Denials first, in an order of no meaning.
    let mut random = questions::Random::new(11);
    queries.sort_by_cached_key(|query| (query.rtype != RrType(1234), random.next()));
    chain.accepts(&queries);

    let plain = ask_all(server.address, &queries);
    let resolving: Vec<_> = queries
        .iter()
        .cloned()
        .map(|query| query.with_flags(RD))
        .collect();
    for (query, (ours, resolved)) in queries
        .iter()
        .zip(plain.iter().zip(ask_all(chain.unbound.address(), &resolving)))
    {
        // unbound 1.17 denies a wildcard's answer at names that come before the asterisk, from a chain that is BIND's
        // as well (interop_bind_chain).
        let before_asterisk = query.name.labels().iter().any(|label| label[0] < b'*');
        if before_asterisk && denial == "nsec" {
            continue;
        }
        // Referrals and chains that lead away are finished by others.
        if !ours.has(AA) || resolved.rcode == SERVFAIL || ours.answer.is_empty() {
            continue;
        }
        assert!(
            resolved.answer.len() >= ours.answer.len(),
            "{query}\n--- ours\n{ours}--- resolved\n{resolved}"
        );
    }
}

#[test]
fn aggressive_use_of_compact_denial() {
    aggressive_use_denies_nothing_that_is_there("compact");
}

#[test]
fn aggressive_use_of_nsec() {
    aggressive_use_denies_nothing_that_is_there("nsec");
}

#[test]
fn aggressive_use_of_nsec3() {
    aggressive_use_denies_nothing_that_is_there("nsec3");
}

/// A zone signed by keys of another algorithm, made by us where we can, else by BIND.
fn validates_with(algorithm: &str, denial: &'static str) {
    let ours = Countersign::new(ORIGIN, repository("zones/awkward.zone")).denial(denial);
    if algorithm == "RSASHA256" {
        for flags in [&["-f", "KSK"][..], &[]] {
            let mut keygen = std::process::Command::new("dnssec-keygen");
            keygen
                .args(["-q", "-a", algorithm, "-b", "2048", "-K"])
                .arg(ours.folder())
                .args(flags);
            let base = run(keygen.arg(ORIGIN));
            let file = ours.folder().join(format!("{}.key", base.trim()));
            run(ours.keys_command(&["import", ORIGIN]).arg(file));
        }
    } else {
        run(&mut ours.keys_command(&["generate", ORIGIN, "--algorithm", algorithm]));
    }
    let server = ours.serve();
    Chain::new(&ours.ds(ORIGIN), &[server.address], "").accepts(&some_questions(7, 4));
}

#[test]
fn rsa_validates() {
    validates_with("RSASHA256", "compact");
    validates_with("RSASHA256", "nsec3");
}

#[test]
fn p384_validates() {
    validates_with("ECDSAP384SHA384", "compact");
    validates_with("ECDSAP384SHA384", "nsec");
}

#[test]
fn ed25519_validates() {
    validates_with("ED25519", "compact");
    validates_with("ED25519", "nsec3");
}

/// The planted faults: what stands above would be worth nothing if spoiled answers passed it.
#[test]
fn spoiled_answers_are_caught() {
    let queries = [
        "www.no-such.mail A",
        "mail AAAA",
        "mail A",
        "x.wild A",
        "x.wild SRV",
        "c1 A",
        "a.b.c.ent TXT",
        "ent A",
        "far DS",
    ]
    .map(|question| {
        let (name, rtype) = question.split_once(' ').unwrap();
        Query::plain(&format!("{name}.{ORIGIN}"), rtype)
    });
    for denial in ["compact", "nsec"] {
        let ours = Countersign::new(ORIGIN, repository("zones/awkward.zone")).denial(denial);
        let server = ours.serve();
        let ds = ours.ds(ORIGIN);
        let through = |spoiler| {
            let proxy = spoil(server.address, spoiler);
            Chain::new(&ds, &[proxy.address], "").complaints(&queries)
        };
        assert_eq!(through(Spoiler::nothing()), [] as [String; 0], "{denial}");
        // The key set is left alone, or nothing at all would validate and each fault would look like all of them.
        let count = through(Spoiler::flipped_bit()).len();
        assert_eq!(
            count,
            queries.len(),
            "{denial}: every answer but the key set's has a bit flipped"
        );
        // A name that is not there has an NSEC of its own in compact denial, and a wildcard's needs none.
        let (negative, at_the_name) = if denial == "compact" { (6, 6) } else { (7, 3) };
        assert_eq!(
            through(Spoiler::dropped_nsec()).len(),
            negative,
            "{denial}: answers without their NSEC"
        );
        let count = through(Spoiler::wrong_bitmap(&ours.keys())).len();
        assert_eq!(
            count, at_the_name,
            "{denial}: an NSEC that says the type is there, signed by the zone's key"
        );
    }
}
