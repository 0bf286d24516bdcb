//! Our validator judged by others: over every question about the awkward zone, in each denial, it agrees with the
//! `domain` crate's, and with hickory about signatures; and no message leads it to believe what is not so.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use countersign::{
    clock::{Clock as _, SystemClock, UnixTime},
    dnssec::validate::{
        Bogus, Chained, Ds, Insecure, Insist, Shown, Verdict, ZoneKeys, keys_by_ds, validate,
    },
    wire::{self, RrType, received::Received},
};
use hickory_proto::{
    dnssec::{
        PublicKeyBuf, Verifier as _,
        rdata::{DNSKEY, DNSSECRData},
    },
    op::Message as HickoryMessage,
    rr::{DNSClass, RData, Record as HickoryRecord},
};

use crate::harness::{
    client::{ask, ask_all},
    judge::{Beyond, Judge, beyond},
    message::{Message, NOERROR, NXDOMAIN, Name, Query, Record},
    process::{Countersign, Server, repository},
    questions::{self, Random},
    spoil::{Spoiler, spoil},
};

const ORIGIN: &str = "awkward.example.";
/// How many messages are made wrong, a denial.
const MUTATIONS: usize = 2_000;

/// A server of the awkward zone, and the keys that its DS leads to.
struct Provider {
    ours: Countersign,
    server: Server,
    keys: ZoneKeys,
    now: UnixTime,
}

fn keys_from(server: SocketAddr, ds: &str, now: UnixTime) -> Result<ZoneKeys, Bogus> {
    let answer = ask(server, &Query::signed(ORIGIN, "DNSKEY"));
    let received = Received::read(&answer.bytes).unwrap();
    let of = |line: &str| line.split_once("DS ").expect("a DS record").1.parse().unwrap();
    let ds: Vec<Ds> = ds.lines().map(of).collect();
    match keys_by_ds(
        &ORIGIN.parse().unwrap(),
        &ds,
        &received,
        now,
        Insist::EveryAlgorithm,
    )? {
        Chained::Keys { keys, .. } => Ok(keys),
        Chained::Insecure(why) => panic!("{why}"),
    }
}

impl Provider {
    fn start(denial: &'static str) -> Self {
        let ours = Countersign::new(ORIGIN, repository("zones/awkward.zone")).denial(denial);
        let server = ours.serve();
        let now = SystemClock::default().now();
        let keys = keys_from(server.address, &ours.ds(ORIGIN), now).unwrap();
        Self {
            ours,
            server,
            keys,
            now,
        }
    }

    fn verdict(&self, query: &Query, octets: &[u8]) -> Verdict {
        let received = Received::read(octets).unwrap();
        let name = wire::Name::from_wire(&query.name.0).unwrap();
        validate(&self.keys, (name.as_ref(), query.rtype), &received, self.now)
    }

    fn judge(&self) -> Judge {
        Judge::new(&self.ours.ds(ORIGIN), self.server.address, self.server.address)
    }
}

fn asked(seed: u64) -> Vec<Query> {
    let mut queries = questions::questions(&repository("zones/awkward.zone"), seed);
    queries.extend(questions::for_what_is_added(&queries, seed));
    queries.into_iter().map(Query::with_do).collect()
}

/// What a verdict says, in a word.
fn word(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Secure(proof) => format!("{:?}", proof.shows),
        Verdict::Insecure(why) => format!("insecure: {why}"),
        Verdict::Bogus(_) => "bogus".into(),
    }
}

/// Whether what is shown is what stands in the answer.
fn tells(shown: Shown, query: &Query, answer: &Message) -> bool {
    let has_data = answer.answer.iter().any(|record| record.rtype == query.rtype);
    let denies_name = answer.rcode == NXDOMAIN
        || answer
            .authority
            .iter()
            .any(|record| record.rtype == RrType::NSEC && record.bitmap().contains(&RrType::NXNAME.0));
    match shown {
        Shown::Data => has_data,
        Shown::NoData => !has_data && answer.rcode == NOERROR && !denies_name,
        Shown::NoName => !has_data && denies_name,
        Shown::Alias | Shown::Delegation => false,
    }
}

fn agrees_with_the_domain_crate(denial: &'static str) {
    let provider = Provider::start(denial);
    let judge = provider.judge();
    let origin = Name::parse(ORIGIN);
    let queries = asked(7);
    let (mut wrong, mut seen) = (Vec::new(), BTreeMap::<String, usize>::new());
    for (query, answer) in queries.iter().zip(ask_all(provider.server.address, &queries)) {
        let verdict = provider.verdict(query, &answer.bytes);
        let beyond = beyond(&origin, query, &answer, denial);
        let has_ds = answer.authority.iter().any(|record| record.rtype == RrType::DS);
        let is_right = match (&verdict, beyond) {
            (Verdict::Secure(proof), None) => {
                judge.state(&answer) == "secure" && tells(proof.shows, query, &answer)
            }
            (Verdict::Secure(proof), Some(Beyond::Referral)) => proof.shows == Shown::Delegation && has_ds,
            (Verdict::Insecure(Insecure::Delegation { .. }), Some(Beyond::Referral)) => !has_ds,
            // The other has no say, but the server is sound.
            (Verdict::Secure(_), Some(_)) => true,
            _ => false,
        };
        let kind = word(&verdict).split(':').next().unwrap().to_owned();
        *seen.entry(kind).or_default() += 1;
        if !is_right {
            wrong.push(format!("=== {query} ({beyond:?}): {verdict:?}\n{answer}"));
        }
    }
    let (count, of) = (wrong.len(), queries.len());
    assert!(wrong.is_empty(), "{count} of {of}\n{}", wrong.join("\n"));
    assert_eq!(
        seen.len(),
        6,
        "every kind of verdict comes up but bogus: {seen:?}"
    );
}

#[test]
fn agrees_about_compact_denial() {
    agrees_with_the_domain_crate("compact");
}

#[test]
fn agrees_about_nsec() {
    agrees_with_the_domain_crate("nsec");
}

#[test]
fn agrees_about_nsec3() {
    agrees_with_the_domain_crate("nsec3");
}

/// The faults that the other judges are shown to notice.
#[test]
fn notices_what_others_notice() {
    let provider = Provider::start("nsec");
    let queries = [
        "mail A",
        "mail AAAA",
        "no-such.mail A",
        "x.wild A",
        "far A",
        "signed A",
    ]
    .map(|question| {
        let (name, rtype) = question.split_once(' ').unwrap();
        Query::signed(&format!("{name}.{ORIGIN}"), rtype)
    });
    let refused = |spoiler| {
        let proxy = spoil(provider.server.address, spoiler);
        let verdicts = queries
            .iter()
            .map(|query| provider.verdict(query, &ask(proxy.address, query).bytes));
        let is_bogus = |verdict| matches!(verdict, Verdict::Bogus(_));
        verdicts.map(is_bogus).collect::<Vec<_>>()
    };
    assert_eq!(refused(Spoiler::nothing()), [false; 6]);
    assert_eq!(refused(Spoiler::flipped_bit()), [true; 6]);
    assert_eq!(
        refused(Spoiler::dropped_nsec()),
        [false, true, true, true, true, false]
    );
    let wrong_bitmap = Spoiler::wrong_bitmap(&provider.ours.keys());
    // One type more in the bitmap of a cut is of no account to a resolver: it still has NS, and no DS.
    assert_eq!(refused(wrong_bitmap), [false, true, false, false, false, false]);
}

/// Adds the RRsets of `more` that are not there.
fn add_sets(section: &mut Vec<Record>, more: &[Record]) {
    let key = |record: &Record| {
        let rtype = if record.rtype == RrType::RRSIG {
            record.covered()
        } else {
            record.rtype
        };
        (record.owner.lower(), rtype)
    };
    let present: BTreeSet<_> = section.iter().map(key).collect();
    section.extend(
        more.iter()
            .filter(|record| !present.contains(&key(record)))
            .cloned(),
    );
}

/// In which way a message is made wrong.
#[derive(Clone, Copy, Debug)]
enum How {
    AnswerLess,
    AuthorityLess,
    OtherCode,
    AuthorityOfAnother,
    DenialOfAnother,
    More,
    BitTurned,
}

/// Makes one thing about the message otherwise.
fn mutate(message: &mut Message, others: &[Message], random: &mut Random) -> How {
    let other = &others[random.below(others.len())];
    let drop_one = |section: &mut Vec<Record>, random: &mut Random| {
        if !section.is_empty() {
            section.remove(random.below(section.len()));
        }
    };
    match random.below(7) {
        0 => {
            drop_one(&mut message.answer, random);
            How::AnswerLess
        }
        1 => {
            drop_one(&mut message.authority, random);
            How::AuthorityLess
        }
        2 => {
            message.rcode = if message.rcode == NOERROR {
                NXDOMAIN
            } else {
                NOERROR
            };
            How::OtherCode
        }
        3 => {
            message.authority.clone_from(&other.authority);
            How::AuthorityOfAnother
        }
        4 => {
            message.answer.clear();
            message.authority.clone_from(&other.authority);
            message.rcode = other.rcode;
            How::DenialOfAnother
        }
        5 => {
            add_sets(&mut message.answer, &other.answer);
            add_sets(&mut message.authority, &other.authority);
            How::More
        }
        _ => {
            let mut records: Vec<_> = message.answer.iter_mut().chain(&mut message.authority).collect();
            if let Some(record) = (!records.is_empty()).then(|| random.below(records.len())) {
                let rdata = &mut records[record].rdata;
                let at = random.below(rdata.len());
                let turned = rdata[at] ^ 1 << random.below(8);
                // Letter case means nothing in most names, and hickory does not know it of all types.
                if !turned.eq_ignore_ascii_case(&rdata[at]) {
                    rdata[at] = turned;
                }
            }
            How::BitTurned
        }
    }
}

/// Messages made of true answers, each wrong in one way: what we find secure tells of the question what the true
/// answer tells, hickory finds every signature in it good, and the other validator sees it the same way.
fn is_never_led_astray(denial: &'static str) {
    let provider = Provider::start(denial);
    let judge = provider.judge();
    let origin = Name::parse(ORIGIN);
    let mut random = Random::new(11);
    let queries: Vec<_> = asked(8).into_iter().filter(|_| random.one_in(4)).collect();
    let truths = ask_all(provider.server.address, &queries);
    let (mut wrong, mut secure) = (Vec::new(), 0);
    for _ in 0..MUTATIONS {
        let chosen = random.below(queries.len());
        let (query, truth) = (&queries[chosen], &truths[chosen]);
        let mut message = truth.clone();
        let how = mutate(&mut message, &truths, &mut random);
        message.bytes = message.to_bytes();
        if Received::read(&message.bytes).is_err() || Message::read(&message.bytes).is_err() {
            continue;
        }
        let (is, was) = (
            provider.verdict(query, &message.bytes),
            provider.verdict(query, &truth.bytes),
        );
        let is_secure = matches!(is, Verdict::Secure(_));
        secure += usize::from(is_secure);
        // A chain that ends early leads a resolver to ask again, not astray.
        let is_led_astray = is_secure && word(&is) != word(&was) && word(&is) != "Alias";
        let is_badly_signed = is_secure && !hickory_takes(&message, &provider.keys);
        let theirs = judge.state(&message);
        let differs = beyond(&origin, query, truth, denial).is_none()
            && !sees_otherwise(how, &message, &is, &theirs)
            && (theirs == "secure") != is_secure;
        if is_led_astray || is_badly_signed || differs {
            wrong.push(format!(
                "=== {query}: {how:?}: {is:?}\n--- was {was:?}\n--- theirs: {theirs}\n{message}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
    assert!(
        (MUTATIONS / 20..MUTATIONS / 2).contains(&secure),
        "{secure} of {MUTATIONS}"
    );
}

/// Where the other validator is known to see things otherwise.
fn sees_otherwise(how: How, message: &Message, is: &Verdict, theirs: &str) -> bool {
    let has = |section: &[Record], rtype| section.iter().any(|record| record.rtype == rtype);
    let lacks_soa = !has(&message.authority, RrType::SOA);
    match (how, is) {
        // It wants an SOA with every denial, takes what stands beside one for a referral, and hashes twenty names.
        (How::AuthorityLess | How::AuthorityOfAnother | How::More, Verdict::Secure(_)) => {
            lacks_soa || has(&message.authority, RrType::NS) || theirs.contains("Too many NSEC3 hash")
        }
        (How::AnswerLess, Verdict::Secure(proof)) => lacks_soa && proof.shows == Shown::Alias,
        // It does not know that NXNAME and NXDOMAIN go together where CO was set (RFC 9824 section 5.1).
        (How::OtherCode, Verdict::Secure(proof)) => proof.shows == Shown::NoName,
        // It makes the CNAME of a DNAME anew, whatever came.
        (How::BitTurned, Verdict::Bogus(Bogus::Substitution { .. })) => true,
        // It needs no NSEC3 to believe that the apex is there.
        (How::AuthorityLess | How::BitTurned, Verdict::Bogus(_)) => has(&message.authority, RrType::NSEC3),
        _ => false,
    }
}

#[test]
fn compact_denial_leads_it_not_astray() {
    is_never_led_astray("compact");
}

#[test]
fn nsec_leads_it_not_astray() {
    is_never_led_astray("nsec");
}

#[test]
fn nsec3_leads_it_not_astray() {
    is_never_led_astray("nsec3");
}

/// Whether hickory finds a key for every signature whose records are there.
fn hickory_takes(message: &Message, keys: &ZoneKeys) -> bool {
    let message = HickoryMessage::from_vec(&message.bytes).unwrap();
    [&message.answers, &message.authorities]
        .into_iter()
        .all(|section| {
            section.iter().all(|record| {
                let RData::DNSSEC(DNSSECRData::RRSIG(signature)) = &record.data else {
                    return true;
                };
                let input = signature.input();
                let covered: Vec<&HickoryRecord> = section
                    .iter()
                    .filter(|other| other.name == record.name && other.record_type() == input.type_covered)
                    .collect();
                covered.is_empty()
                    || keys.keys().any(|key| {
                        let public = PublicKeyBuf::new(key.public_key().to_vec(), input.algorithm);
                        DNSKEY::with_flags(key.flags(), public)
                            .verify_rrsig(&record.name, DNSClass::IN, signature, covered.iter().copied())
                            .is_ok()
                    })
            })
        })
}
