//! What samples of the content show of a provider, and which samples a look has.

use std::sync::Arc;

use super::*;
use crate::{
    dnssec::sign::{ToSign, Window, signature},
    multisigner::{
        observations::{Class as Kind, Party},
        safety,
        survey::{Difference, Sample, Stock, cds::tests::made, cds::tests::signed},
    },
    zone::{
        Zone,
        build::ZoneBuilder,
        master::{Source, read},
    },
};

/// What the apex is signed with.
const APEX_TTL: u64 = 20;

fn sample(name: &str, rtype: RrType) -> Sample {
    let name = name.parse().unwrap();
    Sample { name, rtype }
}

/// An RRset with these signatures; `source` is what they were made for, and where a wildcard stands in, that.
fn rrset(
    owner: &str,
    source: &str,
    rtype: RrType,
    ttl: u32,
    rdata: &[u8],
    signers: &[&SigningKey],
) -> Vec<Record> {
    let (owner, source): (Name, Name) = (owner.parse().unwrap(), source.parse().unwrap());
    let window = Window {
        inception: UnixTime(NOW.0 - 3_600),
        expiration: UnixTime(NOW.0 + 86_400),
    };
    let record = |rtype, rdata: &[u8]| Record {
        owner: owner.clone(),
        // Behind a cache, which counts it down.
        ttl: Ttl::new(1),
        ..record(rtype, 1, rdata)
    };
    let signed = signers.iter().map(|key| {
        let set = ToSign {
            owner: &source.as_ref().to_lower(),
            rtype,
            ttl: Ttl::new(ttl),
            rdatas: [rdata].into_iter(),
        };
        let apex = zone();
        let signature = signature(key, apex.as_ref(), &set, window).unwrap();
        let rrsig = [
            &rtype.0.to_be_bytes()[..],
            &[key.algorithm().number().0, source.as_ref().rrsig_labels()],
            &ttl.to_be_bytes(),
            &window.expiration.to_serial().to_be_bytes(),
            &window.inception.to_serial().to_be_bytes(),
            &key.key_tag().to_be_bytes(),
            apex.as_ref().as_wire(),
            &signature,
        ];
        record(RrType::RRSIG, &rrsig.concat())
    });
    [record(rtype, rdata)].into_iter().chain(signed).collect()
}

fn a(owner: &str, ttl: u32, signers: &[&SigningKey]) -> Received {
    let records = rrset(owner, owner, RrType::A, ttl, &[192, 0, 2, 1], signers);
    received(records, Vec::new(), true)
}

/// The other provider, which signs its apex with the new key.
struct Theirs {
    ksk: Arc<SigningKey>,
    old: Arc<SigningKey>,
    new: Arc<SigningKey>,
    survey: Survey,
    events: Vec<Event>,
}

impl Theirs {
    fn new() -> Self {
        let (ksk, old, new) = (made(SEP), made(0), made(0));
        let keys = [&ksk, &old, &new].map(|key| key.dnskey().rdata().to_vec());
        let sign = |rtype, rdata: &[u8]| (rtype, signed(rtype, vec![rdata.to_vec()], &[&new]));
        let server: Name = "theirs.example.".parse().unwrap();
        let proof = [zone().as_wire(), &[0, 1, 0x40]].concat();
        let (_, mut denial) = sign(RrType::NSEC, &proof);
        std::mem::swap(&mut denial.answers, &mut denial.authorities);
        let answers = [
            (RrType::DNSKEY, signed(RrType::DNSKEY, keys.to_vec(), &[&ksk])),
            sign(RrType::SOA, &[0; 22]),
            sign(RrType::NS, server.as_wire()),
            (OF_MEMBERS[3], denial),
        ];
        let events = register(ksk.dnskey());
        Self {
            survey: survey(&answers, &[]),
            ksk,
            old,
            new,
            events,
        }
    }

    fn answers(&mut self, sample: Sample, answer: Result<Received, Unseen>) {
        for member in &mut self.survey.members {
            member.servers[0].samples.insert(sample.clone(), answer.clone());
        }
    }

    fn shown(&self, class: safety::Class) -> Shown {
        let them = ProviderId::at(1).unwrap();
        let view = view(&self.survey, &self.events);
        view.slots[&Slot::Data(them, class)][0].shown.clone()
    }

    fn ttl(&self, class: safety::Class) -> u64 {
        match self.shown(class) {
            Shown::Value(value) => value.ttl().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// What is kept of the content, and of whom.
    fn kept(&self) -> Vec<(Party, u64)> {
        let parties = [Party::Ours, Party::Provider("them".to_owned())];
        let seen = self.survey.observed(&Register::of(&self.events), &parties);
        let data = seen.into_iter().filter(|seen| seen.class == Kind::Data);
        data.map(|seen| (seen.party, seen.ttl)).collect()
    }
}

use safety::Class::{Negative, Positive};

/// The apex is signed anew first, and most of the zone still as before.
#[test]
fn a_name_that_is_signed_by_the_old_key_still_is_between_two_states() {
    let mut theirs = Theirs::new();
    let (old, new) = (Arc::clone(&theirs.old), Arc::clone(&theirs.new));
    assert_eq!(theirs.ttl(Positive), APEX_TTL);
    for signers in [&[&*old][..], &[&*old, &*new], &[&*theirs.ksk.clone()]] {
        theirs.answers(sample("a.example.", RrType::A), Ok(a("a.example.", 20, &[&new])));
        theirs.answers(
            sample("www.example.", RrType::A),
            Ok(a("www.example.", 20, signers)),
        );
        is_odd(
            &theirs.shown(Positive),
            "other keys sign its www.example. A than its SOA: it is between two states",
        );
        // That is no matter of its denials.
        assert_eq!(theirs.ttl(Negative), APEX_TTL);
        assert_eq!(theirs.kept(), []);
    }
    let stranger = made(0);
    theirs.answers(
        sample("www.example.", RrType::A),
        Ok(a("www.example.", 20, &[&stranger])),
    );
    is_odd(
        &theirs.shown(Positive),
        "its www.example. A has no good signature; it names key",
    );
    theirs.answers(
        sample("www.example.", RrType::A),
        Ok(a("www.example.", 20, &[&new])),
    );
    assert_eq!(theirs.ttl(Positive), APEX_TTL);
}

/// A wildcard's signature is made for the wildcard; a denial says who signs denials.
#[test]
fn what_a_wildcard_stands_in_for_and_denials_count_too() {
    let mut theirs = Theirs::new();
    let (old, new) = (Arc::clone(&theirs.old), Arc::clone(&theirs.new));
    let wild = |key: &SigningKey, ttl| {
        let records = rrset(
            "x.apps.example.",
            "*.apps.example.",
            RrType::A,
            ttl,
            &[192, 0, 2, 1],
            &[key],
        );
        Ok(received(records, Vec::new(), true))
    };
    theirs.answers(sample("x.apps.example.", RrType::A), wild(&old, 20));
    is_odd(&theirs.shown(Positive), "other keys sign its x.apps.example. A");
    theirs.answers(sample("x.apps.example.", RrType::A), wild(&new, 900));
    assert_eq!(theirs.ttl(Positive), 900);

    let denial = |key: &SigningKey, ttl| {
        let proof = [zone().as_wire(), &[0, 1, 0x40]].concat();
        let proof = rrset("cut.example.", "cut.example.", RrType::NSEC, ttl, &proof, &[key]);
        Ok(received(Vec::new(), proof, true))
    };
    theirs.answers(sample("cut.example.", RrType::DS), denial(&old, 20));
    is_odd(
        &theirs.shown(Negative),
        "other keys sign its denial for cut.example. DS than its denial at the apex",
    );
    assert_eq!(theirs.ttl(Positive), 900);
    theirs.answers(sample("cut.example.", RrType::DS), denial(&new, 300));
    assert_eq!((theirs.ttl(Positive), theirs.ttl(Negative)), (900, 300));
}

/// As it was signed, and at that provider alone.
#[test]
fn a_larger_ttl_that_one_provider_alone_has_counts_for_it() {
    let mut theirs = Theirs::new();
    let new = Arc::clone(&theirs.new);
    let (www, mail) = (
        sample("www.example.", RrType::A),
        sample("mail.example.", RrType::A),
    );
    theirs.answers(mail.clone(), Ok(a("mail.example.", 40, &[&new])));
    theirs.answers(www.clone(), Ok(a("www.example.", 86_400, &[&new])));
    assert_eq!(theirs.ttl(Positive), 86_400);
    assert_eq!(theirs.ttl(Negative), APEX_TTL);
    // One entry a server, whatever is asked for; ours is known from within.
    let them = Party::Provider("them".to_owned());
    assert_eq!(theirs.kept(), [(them.clone(), 86_400)]);
    let members = vec![
        Member::new("us", Hand::Ours, 0),
        Member::new("them", Hand::Api, 0),
    ];
    let situation = crate::multisigner::plan::Situation::bare(zone(), NOW, members);
    let slots_of = |party| crate::multisigner::survey::slots(&situation, &party, Kind::Data);
    let slot = |place| Slot::Data(ProviderId::at(place).unwrap(), Positive);
    assert_eq!(slots_of(them), [slot(1)]);
    assert_eq!(slots_of(Party::Ours), [slot(0), slot(1)]);

    // It is asked for again, so that it is seen when it is gone; of two that have the same the first.
    let longest = |theirs: &Theirs, asked: &[Sample]| theirs.survey.longest_sample(asked);
    let asked = [mail.clone(), www.clone()];
    assert_eq!(longest(&theirs, &asked), Some(www.clone()));
    theirs.answers(www, Ok(a("www.example.", 40, &[&new])));
    assert_eq!(longest(&theirs, &asked), Some(mail));
}

#[test]
fn what_a_provider_does_not_have_says_nothing() {
    let mut theirs = Theirs::new();
    let old = Arc::clone(&theirs.old);
    let (www, them) = (
        sample("www.example.", RrType::A),
        Party::Provider("them".to_owned()),
    );
    let with = |rcode, authoritative| Received {
        rcode,
        authoritative,
        ..empty()
    };
    // Another zone that it has below ours.
    let mut below = a("www.example.", 9_000, &[&old]);
    for record in below
        .answers
        .iter_mut()
        .filter(|record| record.rtype == RrType::RRSIG)
    {
        let signer: Name = "www.example.".parse().unwrap();
        let rdata = [
            &record.rdata[..18],
            signer.as_wire(),
            &record.rdata[18 + zone().as_wire().len()..],
        ];
        record.rdata = rdata.concat().into();
    }
    let mut of_another_type = a("www.example.", 9_000, &[&old]);
    for record in &mut of_another_type.answers {
        if record.rtype == RrType::A {
            record.rtype = RrType::CNAME;
        }
    }
    let not_signed = a("www.example.", 9_000, &[]);
    let as_a_cache = Received {
        authoritative: false,
        ..a("www.example.", 9_000, &[&old])
    };
    for answer in [
        with(Rcode::NXDOMAIN, true),
        with(Rcode::NOERROR, true),
        with(Rcode::SERVFAIL, false),
        with(Rcode::REFUSED, false),
        below,
        of_another_type,
        not_signed,
        as_a_cache,
    ] {
        theirs.answers(www.clone(), Ok(answer.clone()));
        assert_eq!(theirs.ttl(Positive), APEX_TTL, "{answer:?}");
        assert_eq!(theirs.ttl(Negative), APEX_TTL, "{answer:?}");
        assert_eq!(theirs.kept(), [(them.clone(), APEX_TTL)], "{answer:?}");
    }
    // Nobody knows what it would have answered.
    theirs.answers(www, Err(Unseen::Unreachable("no answer".to_owned())));
    for class in [Positive, Negative] {
        let shown = theirs.shown(class);
        assert!(
            matches!(&shown, Shown::Unreachable(why) if why == "no answer"),
            "{shown:?}"
        );
    }
}

/// Content that differs is told by `verify`; here it makes no difference between ways.
#[test]
fn samples_are_not_compared_between_ways() {
    let mut theirs = Theirs::new();
    let www = sample("www.example.", RrType::A);
    let mut there = theirs.survey.members[1].servers[0].clone();
    there.way = Way::From("tokyo".to_owned());
    theirs.answers(www.clone(), Ok(a("www.example.", 20, &[&theirs.new.clone()])));
    there.samples.insert(www, Ok(empty()));
    theirs.survey.members[1].servers.push(there);
    assert_eq!(theirs.survey.differences(), Vec::<Difference>::new());
}

fn content(text: &str) -> Zone {
    let text = format!("@ 300 SOA ns mail 1 1 1 1 1\n@ 300 NS ns\n{text}");
    let apex = zone();
    let source = Source::Text {
        name: "test",
        octets: text.as_bytes(),
    };
    let mut builder = ZoneBuilder::new(apex.as_ref(), Ttl::MAX);
    let read = read(&source, apex.as_ref(), &mut |entry| builder.add(&entry));
    assert!(read.errors.is_empty(), "{:?}", read.errors);
    builder.finish().unwrap().zone
}

fn in_words(samples: &[Sample]) -> Vec<String> {
    samples.iter().map(ToString::to_string).collect()
}

#[test]
fn of_a_small_zone_all_is_asked_for_in_each_look() {
    let zone = content("ns 300 A 192.0.2.1\nwww 300 A 192.0.2.1\nwww 300 TXT x\n");
    let stock = Stock::of(&zone, 0);
    for round in 0..3 {
        let chosen = stock.choose(round, None);
        let expected = [
            "ns.example. A",
            "www.example. TXT",
            "www.example. TYPE65281",
            "www.example. A",
        ];
        assert_eq!(in_words(&chosen), expected);
    }
    // The apex is asked for SOA and NS anyway.
    assert_eq!(in_words(&Stock::of(&content(""), 0).choose(0, None)), [""; 0]);
}

#[test]
fn what_is_telling_is_asked_for_always_and_the_rest_in_turn() {
    let mut text = "ns 300 A 192.0.2.1\n*.apps 300 A 192.0.2.2\nplain 300 NS ns\nsecure 300 NS ns\n\
                    secure 300 DS 1 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n\
                    long 7200 MX 1 ns\nzz 300 TXT last\n"
        .to_owned();
    let always = [
        "long.example. MX",
        "sample-for-countersign.apps.example. A",
        "secure.example. DS",
        "zz.example. TXT",
        "zz.example. TYPE65281",
    ];
    for number in 0..1_000 {
        text += &format!("n{number:04} 300 A 192.0.2.3\n");
    }
    let zone = content(&text);
    let mut seen = BTreeSet::new();
    for turn in 0..8 {
        let stock = Stock::of(&zone, turn);
        assert!(stock.is_of(&zone));
        for round in 0..256 {
            let chosen = stock.choose(round, None);
            assert_eq!(chosen, stock.choose(round, None));
            let chosen = in_words(&chosen);
            assert_eq!(chosen.len(), 8, "{chosen:?}");
            assert_eq!(chosen[..always.len()], always);
            // One of each part.
            assert!(chosen[5] < chosen[6] && chosen[6] < chosen[7], "{chosen:?}");
            seen.extend(chosen);
        }
    }
    // Each of a thousand has had its turn, and the wildcard by its own name, and the address of the server.
    assert_eq!(seen.len(), always.len() + 1_000 + 2);
    // Where there is no DS, that there is none.
    let insecure = content(&text.replace("secure 300 DS", "zz 300 DS"));
    let chosen = in_words(&Stock::of(&insecure, 0).choose(0, None));
    assert_eq!(chosen[2], "plain.example. DS");
    assert!(!Stock::of(&zone, 0).is_of(&content("")));
}

/// It takes the place of one whose turn it is.
#[test]
fn what_had_the_largest_ttl_elsewhere_is_asked_for_again() {
    let names = (0..50).map(|number| format!("n{number:02} 300 A 192.0.2.3\n"));
    let zone = content(&names.collect::<String>());
    let stock = Stock::of(&zone, 0);
    let kept = sample("n07.example.", RrType::A);
    assert!(!stock.has_always(&kept));
    for round in 0..50 {
        let chosen = stock.choose(round, Some(&kept));
        let same = chosen.iter().filter(|sample| **sample == kept);
        assert_eq!(same.count(), 1, "{chosen:?}");
        assert!((7..=8).contains(&chosen.len()), "{chosen:?}");
    }
    let always = stock.choose(0, None)[0].clone();
    assert!(stock.has_always(&always));
    let chosen = stock.choose(0, Some(&always));
    assert_eq!(chosen, stock.choose(0, None));
}
