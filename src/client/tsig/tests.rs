//! The `domain` crate's TSIG is the other side: what we sign it verifies, what it signs we verify, and what either
//! refuses the other understands.

use std::sync::Arc;

use domain::{
    base::{
        Message, MessageBuilder, Name as DomainName, Rtype, iana::Rcode as DomainRcode,
        message_builder::AdditionalBuilder,
    },
    rdata::tsig::Time48,
    tsig::{
        self, Algorithm, ClientSequence, ClientTransaction, ServerSequence, ServerTransaction,
        ValidationError,
    },
};
use proptest::prelude::*;

use super::{
    record::{Digest, Fields},
    *,
};
use crate::wire::{
    Class, RrType, Ttl,
    message::Rcode,
    received::{Received, Record},
};

const NOW: UnixTime = UnixTime(1_790_000_000);
const SECRET: &[u8] = b"one secret for both of them";

fn key_of(name: &str, algorithm: TsigAlgorithm, secret: &[u8]) -> Arc<TsigKey> {
    Arc::new(TsigKey::new(name.parse().unwrap(), algorithm, secret).unwrap())
}

fn key() -> Arc<TsigKey> {
    key_of("xfr.example.", TsigAlgorithm::HmacSha256, SECRET)
}

/// The same key for the other side, which cuts its MACs to `length` octets.
fn theirs(name: &str, algorithm: TsigAlgorithm, secret: &[u8], length: Option<usize>) -> tsig::Key {
    let algorithm = match algorithm {
        TsigAlgorithm::HmacSha256 => Algorithm::Sha256,
        TsigAlgorithm::HmacSha384 => Algorithm::Sha384,
        TsigAlgorithm::HmacSha512 => Algorithm::Sha512,
    };
    tsig::Key::new(algorithm, secret, name.parse().unwrap(), length, length).unwrap()
}

fn their_key() -> tsig::Key {
    theirs("xfr.example.", TsigAlgorithm::HmacSha256, SECRET, None)
}

fn at(time: UnixTime) -> Time48 {
    Time48::from_u64(time.0)
}

/// A query by the other side's builder, not yet signed.
fn their_query() -> AdditionalBuilder<Vec<u8>> {
    let mut builder = MessageBuilder::new_vec().question();
    builder.header_mut().set_id(0x1234);
    let apex: DomainName<Vec<u8>> = "example.".parse().unwrap();
    builder.push((apex, Rtype::AXFR)).unwrap();
    builder.additional()
}

/// Another one of the size of `number`, as an answer.
fn answer(number: u8) -> Vec<u8> {
    let mut octets = their_query().into_message().into_octets();
    octets[2] |= 0x80;
    octets[7] = 1;
    octets.extend_from_slice(&[0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, number + 1, number]);
    octets.extend((0..number).map(|letter| b'a' + letter % 26));
    octets
}

/// The other side's answer, not yet signed.
fn their_answer(request: &Message<Vec<u8>>) -> AdditionalBuilder<Vec<u8>> {
    MessageBuilder::new_vec()
        .start_answer(request, DomainRcode::NOERROR)
        .unwrap()
        .additional()
}

fn octets(builder: AdditionalBuilder<Vec<u8>>) -> Vec<u8> {
    builder.into_message().into_octets()
}

fn message(octets: &[u8]) -> Message<Vec<u8>> {
    Message::from_octets(octets.to_vec()).unwrap()
}

fn take(answers: &mut Answers, octets: &[u8]) -> Result<(), TsigError> {
    answers.take(octets, &Received::read(octets).unwrap(), NOW)
}

#[test]
fn each_algorithm_both_ways() {
    for algorithm in TsigAlgorithm::ALL {
        let ours = key_of("XFR.example.", algorithm, SECRET);
        let theirs = theirs("xfr.example.", algorithm, SECRET, None);
        // We ask.
        let mut request = octets(their_query());
        let mut answers = ours.sign_request(&mut request, NOW);
        let mut read = message(&request);
        let server = ServerTransaction::request(&&theirs, &mut read, at(NOW))
            .unwrap()
            .unwrap();
        let mut reply = their_answer(&read);
        server.answer(&mut reply, at(NOW)).unwrap();
        take(&mut answers, &octets(reply)).unwrap();
        answers.finish().unwrap();
        // They ask.
        let mut request = their_query();
        let client = ClientTransaction::request(&theirs, &mut request, at(NOW)).unwrap();
        let request = octets(request);
        let received = Received::read(&request).unwrap();
        let keys = [key(), Arc::clone(&ours)];
        let mut answering = Answering::to(&request, &received, &keys, NOW).unwrap().unwrap();
        assert_eq!(answering.key().algorithm(), algorithm);
        let mut reply = answer(3);
        answering.sign(&mut reply, NOW);
        client.answer(&mut message(&reply), at(NOW)).unwrap();
    }
}

#[test]
fn many_messages_both_ways() {
    let mut request = octets(their_query());
    let mut answers = key().sign_request(&mut request, NOW);
    let mut read = message(&request);
    let theirs = their_key();
    let mut server = ServerSequence::request(&&theirs, &mut read, at(NOW))
        .unwrap()
        .unwrap();
    for _ in 0..5 {
        let mut reply = their_answer(&read);
        server.answer(&mut reply, at(NOW)).unwrap();
        take(&mut answers, &octets(reply)).unwrap();
    }
    answers.finish().unwrap();

    let theirs = their_key();
    let mut request = their_query();
    let mut client = ClientSequence::request(&theirs, &mut request, at(NOW)).unwrap();
    let request = octets(request);
    let received = Received::read(&request).unwrap();
    let mut answering = Answering::to(&request, &received, &[key()], NOW)
        .unwrap()
        .unwrap();
    for number in 0..5 {
        let mut reply = answer(number);
        answering.sign(&mut reply, NOW);
        client.answer(&mut message(&reply), at(NOW)).unwrap();
    }
    client.done().unwrap();
}

/// `count` answers to a request of ours, of which the first and each that `signed` picks are signed.
fn stretch(request: &[u8], count: usize, signed: impl Fn(usize) -> bool) -> Vec<Vec<u8>> {
    let key = key();
    let received = Received::read(request).unwrap();
    let request = Fields::read(&received.tsig.unwrap().1).unwrap();
    let mut digest = Digest::behind(&key, &request.mac);
    (0..count)
        .map(|number| {
            let mut reply = answer((number % 200) as u8);
            digest.unsigned_message(&reply);
            if number == 0 || signed(number) {
                let mut fields = Fields::fresh(&key, &reply, NOW);
                match number {
                    0 => digest.variables(&key.name, &fields),
                    _ => digest.timers(&fields),
                }
                fields.mac = digest.clone().mac().as_ref().to_vec();
                fields.append(&key.name, &mut reply);
                digest = Digest::behind(&key, &fields.mac);
            }
            reply
        })
        .collect()
}

/// RFC 8945 §5.3.1: the first and the last are signed, and at least every hundredth.
#[test]
fn messages_between_signed_ones_need_no_signature() {
    let theirs = their_key();
    let mut request = their_query();
    let mut client = ClientSequence::request(&theirs, &mut request, at(NOW)).unwrap();
    let replies = stretch(&octets(request), 301, |number| number % 100 == 0);
    for reply in &replies {
        client.answer(&mut message(reply), at(NOW)).unwrap();
    }
    client.done().unwrap();

    let mut request = octets(their_query());
    let answers = key().sign_request(&mut request, NOW);
    let replies = stretch(&request, 301, |number| number % 100 == 0);
    let through = |replies: &[Vec<u8>]| {
        let mut answers = answers.clone();
        replies.iter().try_for_each(|reply| take(&mut answers, reply))?;
        answers.finish()
    };
    through(&replies).unwrap();
    // Where the last is cut off, nothing vouches for those in front of it.
    assert!(matches!(
        through(&replies[..300]),
        Err(TsigError::Unsigned { .. })
    ));
    // One lost, one twice, two exchanged, one changed: the next signature tells.
    let spoil = |spoil: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut replies = replies.clone();
        spoil(&mut replies);
        let error = through(&replies).unwrap_err();
        assert!(
            matches!(error, TsigError::Wrong { .. } | TsigError::Stretch { .. }),
            "{error}"
        );
    };
    spoil(&|replies| drop(replies.remove(7)));
    spoil(&|replies| replies.insert(7, replies[7].clone()));
    spoil(&|replies| replies.swap(7, 8));
    spoil(&|replies| replies[7][34] ^= 1);
    let one_too_many = stretch(&request, 102, |number| number == 101);
    assert!(matches!(
        through(&one_too_many),
        Err(TsigError::Stretch { limit: 99, .. })
    ));
    let first_unsigned = [answer(1)];
    assert!(matches!(
        through(&first_unsigned),
        Err(TsigError::Unsigned { .. })
    ));
    assert!(matches!(through(&[]), Err(TsigError::Unsigned { .. })));
}

/// RFC 8945 §5.2.1. What the other side says to a wrong secret is not tried here, for it says FORMERR; nor to a wrong
/// time, for it signs eight octets of a time where six are sent. Knot and NSD are asked for both in the suite.
#[test]
fn a_refusal_of_the_other_side_is_understood() {
    let theirs = their_key();
    for ours in [
        key_of("x.example.", TsigAlgorithm::HmacSha256, SECRET),
        key_of("xfr.example.", TsigAlgorithm::HmacSha512, SECRET),
    ] {
        let mut request = octets(their_query());
        let mut answers = ours.sign_request(&mut request, NOW);
        let refused = ServerTransaction::request(&&theirs, &mut message(&request), at(NOW)).unwrap_err();
        let reply = refused
            .build_message(&message(&request), MessageBuilder::new_vec())
            .unwrap();
        let refused = TsigError::Refused {
            key: ours.name.clone(),
            said: TsigFault::BADKEY,
            clock: None,
        };
        assert_eq!(take(&mut answers, &octets(reply)), Err(refused));
    }
}

/// Our answer to a request that the key `xfr.example.` does not verify.
fn our_refusal(request: &[u8]) -> Vec<u8> {
    let received = Received::read(request).unwrap();
    let refusal = Answering::to(request, &received, &[key()], NOW).unwrap_err();
    assert_eq!(refusal.rcode(), Rcode::NOTAUTH);
    let mut reply = answer(0);
    reply[3] |= 9;
    refusal.append(&mut reply);
    reply
}

#[test]
fn a_refusal_of_ours_is_understood() {
    let sha256 = TsigAlgorithm::HmacSha256;
    let refused = |theirs: tsig::Key| {
        let mut request = their_query();
        let client = ClientTransaction::request(&theirs, &mut request, at(NOW)).unwrap();
        let reply = our_refusal(&octets(request));
        client.answer(&mut message(&reply), at(NOW)).unwrap_err()
    };
    let error = refused(theirs("xfr.example.", sha256, b"another", None));
    assert!(matches!(error, ValidationError::ServerBadSig), "{error}");
    let error = refused(theirs("x.example.", sha256, SECRET, None));
    assert!(matches!(error, ValidationError::ServerBadKey), "{error}");
}

/// RFC 8945 §5.2.3: BADTIME is signed, carries the request's time, and says what time the server has.
#[test]
fn a_wrong_clock_is_told_with_a_signature() {
    let early = NOW.plus(std::time::Duration::from_secs(301));
    let mut request = octets(their_query());
    let answers = key().sign_request(&mut request, early);
    let reply = our_refusal(&request);
    let received = Received::read(&reply).unwrap();
    let refused = TsigError::Refused {
        key: key().name.clone(),
        said: TsigFault::BADTIME,
        clock: Some(NOW),
    };
    assert!(refused.to_string().ends_with("(it has 2026-09-21T14:13:20Z)"));
    assert_eq!(answers.clone().take(&reply, &received, early), Err(refused));
    // Nobody else can say so.
    let mut forged = reply.clone();
    *forged.last_mut().unwrap() ^= 1;
    let received = Received::read(&forged).unwrap();
    let error = answers.clone().take(&forged, &received, early).unwrap_err();
    assert!(matches!(error, TsigError::Wrong { .. }), "{error}");
}

#[test]
fn a_request_without_a_signature_is_none_of_ours() {
    let request = octets(their_query());
    let received = Received::read(&request).unwrap();
    assert!(
        Answering::to(&request, &received, &[key()], NOW)
            .unwrap()
            .is_none()
    );
}

/// RFC 8945 §5.2.3: both sides of the window belong to it.
#[test]
fn an_answer_of_another_time_is_refused() {
    let mut request = octets(their_query());
    let answers = key().sign_request(&mut request, NOW);
    let reply = stretch(&request, 1, |_| true).remove(0);
    let received = Received::read(&reply).unwrap();
    for (now, good) in [
        (NOW.0 - 301, false),
        (NOW.0 - 300, true),
        (NOW.0 + 300, true),
        (NOW.0 + 301, false),
    ] {
        let taken = answers.clone().take(&reply, &received, UnixTime(now));
        assert_eq!(taken.is_ok(), good, "{now}");
        if let Err(error) = taken {
            assert!(matches!(
                error,
                TsigError::Time {
                    signed: NOW,
                    fudge: 300,
                    ..
                }
            ));
        }
    }
}

/// RFC 8945 §4.3.2: who hands a message on may give it another id; the signer's stands in the record.
#[test]
fn the_id_under_the_signature_is_the_signers() {
    let mut request = octets(their_query());
    let mut answers = key().sign_request(&mut request, NOW);
    request[0] ^= 0xff;
    let received = Received::read(&request).unwrap();
    let mut answering = Answering::to(&request, &received, &[key()], NOW)
        .unwrap()
        .unwrap();
    let mut reply = answer(3);
    answering.sign(&mut reply, NOW);
    reply[1] ^= 0xff;
    take(&mut answers, &reply).unwrap();
}

/// RFC 8945 §5.2.2.1: not shorter than half, nor than ten octets, nor longer than the whole.
#[test]
fn macs_may_be_cut_to_half() {
    let mut request = octets(their_query());
    let answers = key().sign_request(&mut request, NOW);
    let reply = stretch(&request, 1, |_| true).remove(0);
    let unsigned = answer(0);
    let with_mac = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut fields = Fields::read(&Received::read(&reply).unwrap().tsig.unwrap().1).unwrap();
        change(&mut fields.mac);
        let mut octets = unsigned.clone();
        fields.append(&key().name, &mut octets);
        take(&mut answers.clone(), &octets)
    };
    with_mac(&|_| {}).unwrap();
    with_mac(&|mac| mac.truncate(16)).unwrap();
    for refused in [
        with_mac(&|mac| mac.truncate(15)),
        with_mac(&|mac| mac.push(0)),
        with_mac(&Vec::clear),
    ] {
        assert!(matches!(refused, Err(TsigError::Length { .. })), "{refused:?}");
    }
    assert!(matches!(
        with_mac(&|mac| mac[15] ^= 1),
        Err(TsigError::Wrong { .. })
    ));
    // The MAC in the chain is the one that was sent.
    let short = theirs("xfr.example.", TsigAlgorithm::HmacSha256, SECRET, Some(16));
    let mut request = their_query();
    let client = ClientTransaction::request(&short, &mut request, at(NOW)).unwrap();
    let request = octets(request);
    let received = Received::read(&request).unwrap();
    let mut answering = Answering::to(&request, &received, &[key()], NOW)
        .unwrap()
        .unwrap();
    let mut reply = answer(0);
    answering.sign(&mut reply, NOW);
    client.answer(&mut message(&reply), at(NOW)).unwrap();
}

#[test]
fn the_secret_is_not_shown() {
    let key = TsigKey::from_base64(
        "a.".parse().unwrap(),
        TsigAlgorithm::HmacSha256,
        " c2VjcmV0LXNlY3JldA==\n",
    )
    .unwrap();
    let shown = format!("{key:?}");
    assert!(
        shown.contains("a.") && !shown.contains("c2Vj") && !shown.contains("secret"),
        "{shown}"
    );
    for wrong in ["", "x", "c2Vj!"] {
        let error =
            TsigKey::from_base64("a.".parse().unwrap(), TsigAlgorithm::HmacSha256, wrong).unwrap_err();
        assert!(wrong.is_empty() || !error.to_string().contains(wrong), "{error}");
    }
}

#[test]
fn algorithms_are_read() {
    for algorithm in TsigAlgorithm::ALL {
        assert_eq!(TsigAlgorithm::from_text(algorithm.text()), Some(algorithm));
        let other = format!("{}.", algorithm.text().to_uppercase());
        assert_eq!(TsigAlgorithm::from_text(&other), Some(algorithm));
    }
    assert_eq!(TsigAlgorithm::from_text("hmac-md5"), None);
}

fn record(rdata: &[u8]) -> Record {
    Record {
        owner: "xfr.example.".parse().unwrap(),
        rtype: RrType::TSIG,
        class: Class::ANY,
        ttl: Ttl::new(0),
        rdata: rdata.into(),
    }
}

proptest! {
    #[test]
    fn fields_go_both_ways(
        time in 0_u64..1 << 48, fudge: u16, mac: Vec<u8>, original_id: u16, fault: u16, other: Vec<u8>,
    ) {
        let fields = Fields {
            algorithm: "hmac-sha512.".parse().unwrap(),
            signed: UnixTime(time),
            fudge,
            mac,
            original_id,
            fault: TsigFault(fault),
            other,
        };
        let mut octets = answer(5);
        fields.append(&key().name, &mut octets);
        let (start, record) = Received::read(&octets).unwrap().tsig.unwrap();
        prop_assert_eq!(start, answer(5).len());
        prop_assert_eq!(Fields::read(&record), Ok(fields));
    }

    #[test]
    fn any_rdata_is_read_or_refused(rdata: Vec<u8>) {
        let _ = Fields::read(&record(&rdata));
    }

    /// Whatever was changed on the way, what is believed is what was signed.
    #[test]
    fn what_is_taken_is_what_was_signed(place: prop::sample::Index, flip in 1_u8..) {
        let mut request = octets(their_query());
        let mut answers = key().sign_request(&mut request, NOW);
        let reply = stretch(&request, 1, |_| true).remove(0);
        let mut changed = reply.clone();
        changed[place.index(reply.len())] ^= flip;
        if let Ok(received) = Received::read(&changed)
            && answers.take(&changed, &received, NOW).is_ok()
        {
            let sent = Received::read(&reply).unwrap();
            // The id is not under the MAC (RFC 8945 §4.3.2); it is the question's business.
            let believed = Received { id: sent.id, tsig: None, ..received };
            prop_assert_eq!(believed, Received { tsig: None, ..sent });
        }
    }
}
