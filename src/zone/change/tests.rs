//! A zone that was changed is the zone that is built from the changed records, whatever the records and the change;
//! and what it kept of signatures is what still holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::prelude::*;

use super::*;
use crate::{
    clock::UnixTime,
    zone::{
        LoadError, NodeView, Place, SearchName, ZoneBuilder,
        slot::{Kept, Signed, SignedDenial},
    },
};

const LIMIT: Ttl = Ttl::new(86_400);

fn name(text: &str) -> Name {
    let origin: Name = "example.".parse().unwrap();
    Name::parse(text.as_bytes(), Some(origin.as_ref())).unwrap()
}

/// A record: owner, type, rdata, TTL.
type Model = BTreeMap<(String, RrType, Vec<u8>), u32>;

/// Rdata from a word: a name for types that have one.
fn rdata(rtype: RrType, word: &str) -> Vec<u8> {
    match rtype {
        RrType::NS | RrType::CNAME | RrType::DNAME => name(word).as_wire().to_vec(),
        RrType::SOA => {
            let serial: u32 = word.parse().unwrap();
            let names = [name("ns").as_wire(), name("mail").as_wire()].concat();
            [&names[..], &serial.to_be_bytes(), &[0; 12], &60_u32.to_be_bytes()].concat()
        }
        _ => word.as_bytes().to_vec(),
    }
}

fn entry<'a>(owner: &'a Name, rtype: RrType, rdata: &'a [u8], ttl: u32) -> Entry<'a> {
    Entry {
        owner: owner.as_ref(),
        rtype,
        ttl: Ttl::new(ttl),
        rdata,
        at: Place::default(),
    }
}

fn build(model: &Model) -> Result<Zone, LoadError> {
    let mut builder = ZoneBuilder::new(name("@").as_ref(), LIMIT);
    for ((owner, rtype, rdata), ttl) in model {
        builder.add(&entry(&name(owner), *rtype, rdata, *ttl));
    }
    builder.finish().map(|built| built.zone)
}

/// The change that leads from one model to another.
fn change(zone: &Zone, before: &Model, after: &Model) -> Result<Changed, ChangeError> {
    let mut change = Change::new(zone, LIMIT);
    for (key, ttl) in before.iter().filter(|(key, ttl)| after.get(*key) != Some(ttl)) {
        change.remove(&entry(&name(&key.0), key.1, &key.2, *ttl))?;
    }
    for (key, ttl) in after.iter().filter(|(key, ttl)| before.get(*key) != Some(ttl)) {
        change.add(&entry(&name(&key.0), key.1, &key.2, *ttl))?;
    }
    change.finish()
}

/// Labels that differ behind their sixteenth octet alone, where the keys of a chain end, and one with an octet that the
/// keys write as two.
const ODD: [&str; 3] = ["a-label-of-many-octets", "a-label-of-many-others", "\\001"];

/// Everything of a zone but where it is stored.
fn describe(zone: &Zone) -> Vec<String> {
    let mut lines: Vec<String> = zone
        .nodes()
        .map(|node| {
            let sets: Vec<_> = node
                .rrsets()
                .map(|set| (set.rtype(), set.ttl().seconds(), set.octets().to_vec()))
                .collect();
            format!("{} {:?} {} {sets:?}", node.name(), node.flags(), node.children())
        })
        .collect();
    lines.sort();
    lines.push(format!("{:?}", zone.totals));
    let chain = zone.chain().iter().map(|&id| zone.by_id(id).name().to_string());
    lines.push(chain.collect::<Vec<_>>().join(" < "));
    // The chain's keys find what its names do.
    for owner in owners().iter().flat_map(|owner| {
        [
            owner.clone(),
            format!("\\000.{owner}"),
            format!("a-label-of-many-p.{owner}"),
        ]
    }) {
        let asked = SearchName::new(name(owner.trim_end_matches(".@")).as_ref());
        let by_name = zone
            .chain()
            .binary_search_by(|&id| zone.by_id(id).name().canonical_cmp(asked.name()));
        assert_eq!(zone.chain().position(zone, &asked), by_name, "{owner}");
    }
    lines.extend(owners().iter().flat_map(|owner| {
        [owner.clone(), format!("x.{owner}"), format!("x.y.{owner}")].map(|asked| {
            let asked = asked.trim_end_matches(".@").to_owned();
            format!(
                "{asked}: {:?}",
                zone.lookup(&SearchName::new(name(&asked).as_ref()))
            )
        })
    }));
    lines
}

/// Every name of up to three of the labels `a`, `b` and `*`, the apex, and some odd ones.
fn owners() -> Vec<String> {
    let mut owners = vec!["@".to_owned()];
    for depth in 0..3 {
        let longest: Vec<String> = owners
            .iter()
            .filter(|owner| owner.split('.').filter(|label| *label != "@").count() == depth)
            .cloned()
            .collect();
        for owner in longest {
            for label in ["a", "b", "*"] {
                let below = format!("{label}.{owner}");
                owners.push(below.trim_end_matches(".@").to_owned());
            }
        }
    }
    owners.extend(ODD.map(str::to_owned));
    owners
}

const TYPES: [RrType; 9] = [
    RrType::A,
    RrType::TXT,
    RrType::NS,
    RrType::TXT,
    RrType::DS,
    RrType::CNAME,
    RrType::DNAME,
    RrType::NS,
    RrType::RRSIG,
];

/// A record by dice: owner, type, which rdata, whether with the rarer TTL.
type Throw = (usize, usize, u8, bool);

fn throw() -> impl Strategy<Value = Throw> {
    (0..43_usize, 0..TYPES.len(), 0..3_u8, prop::bool::weighted(0.05))
}

/// Adds a record, if there is none of that type and rdata yet. With `polite`, only one that every zone may have.
fn put(model: &mut Model, (owner, rtype, value, rare): Throw, polite: bool) {
    let owners = owners();
    let (owner, rtype) = (owners[owner % owners.len()].clone(), TYPES[rtype]);
    let key = (
        owner.clone(),
        rtype,
        rdata(rtype, ["u", "v", "w"][usize::from(value)]),
    );
    let ttl = if rare { 200 } else { 300 };
    if polite {
        let there: Vec<_> = model.iter().filter(|(key, _)| key.0 == owner).collect();
        let types: BTreeSet<RrType> = there.iter().map(|(key, _)| key.1).collect();
        let alone = |rtype| types.contains(&rtype);
        if alone(RrType::CNAME)
            || rtype == RrType::CNAME && !types.is_empty()
            || rtype == RrType::DNAME && alone(RrType::DNAME)
            || rtype == RrType::NS && owner.starts_with('*')
            || there.iter().any(|(key, held)| key.1 == rtype && **held != ttl)
        {
            return;
        }
    }
    model.entry(key).or_insert(ttl);
}

fn with_serial(model: &mut Model, serial: u32) {
    model.retain(|key, _| key.1 != RrType::SOA);
    model.insert(
        ("@".into(), RrType::SOA, rdata(RrType::SOA, &serial.to_string())),
        300,
    );
}

/// What a signature of an RRset covers, as its first 64 octets; a stand-in for one.
fn seal(node: NodeView<'_>, rtype: RrType, ttl: Ttl, octets: &[u8]) -> Vec<u8> {
    format!("{} {rtype} {ttl} {octets:?}", node.name()).into_bytes()
}

/// What the NSEC or NSEC3 of a name says.
fn denial_of(zone: &Zone, node: NodeView<'_>) -> Vec<u8> {
    let types: Vec<_> = node.rrsets().map(|set| set.rtype()).collect();
    let chain: Vec<_> = zone.chain().iter().map(|&id| zone.by_id(id).name()).collect();
    let at = chain.iter().position(|name| *name == node.name());
    let next = at.map(|at| chain[(at + 1) % chain.len()].to_string());
    format!("{} {next:?} {types:?} {}", node.name(), node.is_cut()).into_bytes()
}

/// Fills every slot with what stands there.
fn sign(zone: &Zone) {
    let signed = |octets: Vec<u8>| Signed::new(1, UnixTime(0), UnixTime(1), vec![octets.into()]);
    for node in zone.nodes() {
        for set in node.rrsets() {
            let octets = seal(node, set.rtype(), set.ttl(), set.octets());
            set.slot().store(Kept::new(signed(octets)));
        }
        let denial = SignedDenial::new(&denial_of(zone, node), signed(Vec::new()));
        node.denial().store(Kept::new(denial));
    }
}

/// No slot of the new zone holds what is not so, and those of what stayed as it was are full.
fn check_slots(old: &Zone, new: &Zone) {
    for node in new.nodes() {
        let before = old.node(node.name());
        for set in node.rrsets() {
            let seal = seal(node, set.rtype(), set.ttl(), set.octets());
            let kept = set.slot().load_full().map(|signed| signed.signature(0).to_vec());
            let same = before
                .and_then(|before| before.rrset(set.rtype()))
                .is_some_and(|old| old.octets() == set.octets() && old.ttl() == set.ttl());
            assert_eq!(kept, same.then_some(seal), "{node:?} {set:?}");
        }
        // What the apex keeps is never served: the zone that is has an apex of its own.
        if node.name().len() == new.apex().len() {
            continue;
        }
        let kept = node.denial().load_full().map(|denial| denial.rdata().to_vec());
        let says = denial_of(new, node);
        if let Some(kept) = &kept {
            assert_eq!(String::from_utf8_lossy(kept), String::from_utf8_lossy(&says));
        }
        let same = before.is_some_and(|before| {
            denial_of(old, before) == says && before.is_occluded() == node.is_occluded()
        });
        assert!(kept.is_some() || !same, "{node:?}: nothing that it says changed");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_changed_zone_is_the_one_built_from_the_changed_records(
        base in prop::collection::vec(throw(), 0..60),
        changes in prop::collection::vec(
            (prop::collection::vec(any::<prop::sample::Index>(), 0..8), prop::collection::vec(throw(), 0..12)),
            1..4,
        ),
        polite in prop::bool::weighted(0.8),
    ) {
        let mut model = Model::new();
        with_serial(&mut model, 1);
        model.insert(("@".into(), RrType::NS, rdata(RrType::NS, "ns")), 300);
        for record in base {
            put(&mut model, record, true);
        }
        let mut zone = build(&model).unwrap();
        for (number, (removed, added)) in changes.into_iter().enumerate() {
            let mut after = model.clone();
            for index in removed {
                let may_go = |key: &&(String, RrType, Vec<u8>)| !polite || key.0 != "@";
                let keys: Vec<_> = after.keys().filter(may_go).cloned().collect();
                if !keys.is_empty() {
                    after.remove(index.get(&keys));
                }
            }
            for record in added {
                put(&mut after, record, polite);
            }
            with_serial(&mut after, 2 + number as u32);
            sign(&zone);
            let scratch = build(&after);
            let changed = change(&zone, &model, &after);
            match (scratch, changed) {
                (Ok(scratch), Ok(changed)) => {
                    prop_assert_eq!(describe(&changed.zone), describe(&scratch));
                    check_slots(&zone, &changed.zone);
                    (zone, model) = (changed.zone, after);
                }
                (Err(_), Err(ChangeError::Unfit { .. } | ChangeError::Uneven { .. })) => {}
                (Ok(scratch), Err(ChangeError::Uneven { .. })) => prop_assert!(!scratch.uneven.is_empty()),
                (scratch, changed) => prop_assert!(false, "from scratch {scratch:?}, changed {changed:?}"),
            }
        }
    }
}

fn small() -> (Model, Zone) {
    let mut model = Model::new();
    with_serial(&mut model, 1);
    for (owner, rtype, word) in [
        ("@", RrType::NS, "ns"),
        ("ns", RrType::A, "addr"),
        ("x.cut", RrType::A, "addr"),
        ("y.cut", RrType::TXT, "text"),
    ] {
        model.insert((owner.into(), rtype, rdata(rtype, word)), 300);
    }
    let zone = build(&model).unwrap();
    (model, zone)
}

/// RFC 1995 §4: a difference that does not fit the zone at hand is no reason to guess.
#[test]
fn what_does_not_fit_is_refused() {
    let (_, zone) = small();
    let refused = |tell: &dyn Fn(&mut Change<'_>) -> Result<(), ChangeError>| {
        let mut change = Change::new(&zone, LIMIT);
        match tell(&mut change) {
            Ok(()) => change.finish().unwrap_err().to_string(),
            Err(error) => error.to_string(),
        }
    };
    let (ns, cut) = (name("ns"), name("x.cut"));
    assert_eq!(
        refused(&|change| change.remove(&entry(&ns, RrType::A, b"other", 300))),
        "ns.example. A: a record is to be removed that is not there"
    );
    assert_eq!(
        refused(&|change| change.remove(&entry(&ns, RrType::A, b"addr", 200))),
        "ns.example. A: a record with TTL 200 is to be removed; it has 300"
    );
    assert_eq!(
        refused(&|change| change.add(&entry(&ns, RrType::A, b"addr", 300))),
        "ns.example. A: a record is to be added that is there already"
    );
    assert!(refused(&|change| change.add(&entry(&ns, RrType::A, b"more", 200))).contains("different TTLs"));
    assert!(
        refused(&|change| change.add(&entry(&cut, RrType::CNAME, name("ns").as_wire(), 300)))
            .contains("a CNAME must be alone")
    );
    let apex = name("@");
    assert!(
        refused(&|change| change.remove(&entry(&apex, RrType::NS, name("ns").as_wire(), 300)))
            .contains("has no NS records")
    );
    assert!(
        refused(&|change| change.remove(&entry(&apex, RrType::SOA, &rdata(RrType::SOA, "1"), 300)))
            .contains("has no SOA")
    );
}

/// A TTL that came uneven is not known record by record, so no change of that RRset can be right.
#[test]
fn an_rrset_with_uneven_ttls_is_left_to_a_whole_transfer() {
    let (mut model, _) = small();
    model.insert(("u".into(), RrType::TXT, b"a".to_vec()), 300);
    model.insert(("u".into(), RrType::TXT, b"b".to_vec()), 200);
    let zone = build(&model).unwrap();
    let mut change = Change::new(&zone, LIMIT);
    let uneven = change.remove(&entry(&name("u"), RrType::TXT, b"b", 200));
    assert!(matches!(uneven, Err(ChangeError::Uneven { .. })), "{uneven:?}");
}

#[test]
fn a_cut_hides_what_is_below_and_its_removal_reveals_it() {
    let (model, zone) = small();
    let mut with_cut = model.clone();
    with_cut.insert(("cut".into(), RrType::NS, rdata(RrType::NS, "x.cut")), 300);
    let cut = change(&zone, &model, &with_cut).unwrap().zone;
    assert!(cut.node(name("y.cut").as_ref()).unwrap().is_occluded());
    let revealed = change(&cut, &with_cut, &model).unwrap().zone;
    assert!(!revealed.node(name("y.cut").as_ref()).unwrap().is_occluded());
    assert_eq!(describe(&revealed), describe(&zone));
}

#[test]
fn shards_without_a_change_are_shared() {
    let mut model = small().0;
    for number in 0..200 {
        model.insert((format!("n{number}"), RrType::A, b"addr".to_vec()), 300);
    }
    let zone = build(&model).unwrap();
    let mut after = model.clone();
    after.insert(("n7".into(), RrType::TXT, b"text".to_vec()), 300);
    after.remove(&("n8".to_owned(), RrType::A, b"addr".to_vec()));
    let changed = change(&zone, &model, &after).unwrap();
    let shared = |a: &Zone, b: &Zone| {
        a.shards
            .iter()
            .zip(&b.shards)
            .filter(|(a, b)| Arc::ptr_eq(a, b))
            .count()
    };
    assert!(zone.shards.len() >= 32, "{} shards", zone.shards.len());
    assert!(shared(&zone, &changed.zone) >= zone.shards.len() - 2);
    assert_eq!((changed.removed, changed.added, changed.passed_over), (1, 1, 0));
}

#[test]
fn records_of_another_signer_are_passed_over_and_its_keys_named() {
    let (_, zone) = small();
    let mut change = Change::new(&zone, LIMIT);
    let (apex, ns, foreign) = (name("@"), name("ns"), name("other.test."));
    change.remove(&entry(&apex, RrType::DNSKEY, b"old", 300)).unwrap();
    change.add(&entry(&apex, RrType::DNSKEY, b"new", 300)).unwrap();
    change.add(&entry(&ns, RrType::RRSIG, b"signature", 300)).unwrap();
    change.add(&entry(&apex, RrType::DS, b"digest", 300)).unwrap();
    change.add(&entry(&foreign, RrType::A, b"addr", 300)).unwrap();
    let changed = change.finish().unwrap();
    assert_eq!((changed.removed, changed.added, changed.passed_over), (0, 0, 5));
    assert_eq!(changed.dnskeys_removed, [b"old"[..].into()]);
    assert_eq!(changed.dnskeys_added, [b"new"[..].into()]);
    assert_eq!(describe(&changed.zone), describe(&zone));
}

/// A zone that begins with a few names and grows by changes gets more shards in time.
#[test]
fn a_zone_that_grows_gets_more_shards() {
    let (mut model, mut zone) = small();
    let began = zone.shards.len();
    for step in 0..10 {
        let mut after = model.clone();
        for number in 0..20 {
            after.insert((format!("n{number}.s{step}"), RrType::A, b"addr".to_vec()), 300);
        }
        sign(&zone);
        let changed = change(&zone, &model, &after).unwrap().zone;
        check_slots(&zone, &changed);
        (zone, model) = (changed, after);
        assert_eq!(describe(&zone), describe(&build(&model).unwrap()));
    }
    assert!(zone.shards.len() > began, "{} shards", zone.shards.len());
}
