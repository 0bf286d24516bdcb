//! How long the signatures that servers gave are good for, against a plan: what lasts as long as its steps need, and what
//! ends before.
//!
//! The safety checker knows no ends of signatures, for each that is given while a plan runs is as good as the last: whoever
//! signs anew in time changes nothing by it. Two things are told instead: signatures that end before the plan is through,
//! which hurts where nobody signs anew; and those that end before caches let go of what they sign (RFC 4033 §8.1), which
//! hurts whoever validates behind a cache that does not, with a plan or without.

use super::{Answered, ContentTtls, Survey};
use crate::{
    clock::UnixTime,
    multisigner::{plan::Plan, safety::Seconds},
    wire::RrType,
};

/// Type covered, algorithm, labels, original TTL, expiration: the octets of an RRSIG that are looked at (RFC 4034 §3.1).
const HEAD: usize = 12;

/// A signature as it was given. It is not verified: what is told of it changes nothing.
#[derive(Clone, Debug)]
struct Given<'a> {
    server: &'a Answered,
    covered: RrType,
    ttl: Seconds,
    expires: UnixTime,
}

impl Given<'_> {
    fn of_server(server: &Answered, at: UnixTime) -> impl Iterator<Item = Given<'_>> {
        let messages = server.answers.values().chain(server.samples.values()).flatten();
        let records = messages.flat_map(|message| message.answers.iter().chain(&message.authorities));
        let signatures = records.filter(|record| record.rtype == RrType::RRSIG);
        signatures.filter_map(move |record| {
            let head: &[u8; HEAD] = record.rdata.first_chunk()?;
            let number = |place: usize| {
                let octets = head[place..].first_chunk();
                octets.map(|octets| u32::from_be_bytes(*octets))
            };
            // Serial arithmetic (RFC 1982): not more than 68 years away, either way.
            let away = number(8)?.wrapping_sub(at.to_serial()) as i32;
            Some(Given {
                server,
                covered: RrType(u16::from_be_bytes([head[0], head[1]])),
                ttl: record.ttl.seconds().into(),
                expires: UnixTime(at.0.saturating_add_signed(away.into())),
            })
        })
    }

    /// For how long it is good when the last cache lets go of it; negative when it ends before.
    fn spare(&self, at: UnixTime, least: ContentTtls, margin: Seconds) -> i64 {
        let ttl = match self.covered {
            // What is asked for stands for all data, whose TTLs are known.
            RrType::SOA | RrType::NS => self.ttl.max(least.largest.seconds().into()),
            RrType::NSEC | RrType::NSEC3 => self.ttl.max(least.negative.seconds().into()),
            _ => self.ttl,
        };
        let left = self.expires.since(at).as_secs();
        i64::try_from(left).unwrap_or(i64::MAX) - i64::try_from(ttl + margin).unwrap_or(i64::MAX)
    }
}

impl Survey {
    /// What is to be said of the signatures that were seen, before a plan is begun.
    pub fn validity_remarks(&self, plan: &Plan, least: ContentTtls) -> Vec<String> {
        let situation = &plan.situation;
        let through = UnixTime(situation.at.0.saturating_add(plan.least_duration()));
        let mut remarks = Vec::new();
        for (place, (seen, member)) in self.members.iter().zip(&situation.members).enumerate() {
            let given = || {
                seen.servers
                    .iter()
                    .flat_map(|server| Given::of_server(server, self.at))
            };
            let name = &member.name;
            // This server signs as it answers.
            let first = given().filter(|_| place > 0).min_by_key(|given| given.expires);
            if let Some(first) = first.filter(|first| first.expires <= through) {
                let Given {
                    server,
                    covered,
                    expires,
                    ..
                } = first;
                remarks.push(format!(
                    "The signatures of {name} end from {expires} on ({covered} at {server}), and this plan goes on until \
                     {through} at the least. As long as {name} signs anew in time that changes nothing; where it serves \
                     what was signed once, have it signed anew before."
                ));
            }
            let spare = |given: &Given<'_>| given.spare(self.at, least, situation.margin);
            let shortest = given().min_by_key(spare);
            if let Some(shortest) = shortest.filter(|shortest| spare(shortest) < 0) {
                let Given {
                    server,
                    covered,
                    expires,
                    ..
                } = shortest;
                remarks.push(format!(
                    "{name} gives {covered} at {server} with a signature that ends on {expires}, {} s before the last cache \
                     has let go of what it signs, margin included. Whoever validates behind a cache that does not finds it \
                     bogus then, with this plan or without: let signatures last longer than TTL and margin.",
                    spare(&shortest).unsigned_abs()
                ));
            }
        }
        remarks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        multisigner::{
            observe::At,
            plan::{Action, Actor, Hand, Kind, Member, Since, Situation, Step, Wait},
            safety::KeyId,
            survey::{MemberSeen, Way},
        },
        wire::{
            Class, Name, Ttl,
            message::{Opcode, Rcode},
            received::{Received, Record},
        },
    };

    const NOW: UnixTime = UnixTime(1_800_000_000);
    const MARGIN: u64 = 100;

    fn zone() -> Name {
        "example.".parse().unwrap()
    }

    /// A server that gives a signature over one type.
    fn server(covered: RrType, ttl: u32, ends_in: i64) -> Answered {
        let expires = (NOW.0 as i64 + ends_in) as u32;
        let rdata = [
            &covered.0.to_be_bytes()[..],
            &[13, 1],
            &ttl.to_be_bytes(),
            &expires.to_be_bytes(),
            &[0; 8],
        ]
        .concat();
        let record = Record {
            owner: zone(),
            rtype: RrType::RRSIG,
            class: Class::IN,
            ttl: Ttl::new(ttl),
            rdata: rdata.into(),
        };
        let message = Received {
            id: 1,
            is_response: true,
            opcode: Opcode(0),
            authoritative: true,
            truncated: false,
            authenticated: false,
            rcode: Rcode::NOERROR,
            question: None,
            answers: vec![record],
            authorities: Vec::new(),
            additionals: Vec::new(),
            edns: None,
            tsig: None,
        };
        Answered {
            at: Some(At {
                name: None,
                address: "192.0.2.1:53".parse().unwrap(),
            }),
            way: Way::Udp,
            asked: NOW,
            came: NOW,
            answers: [(covered, Ok(message))].into(),
            samples: Default::default(),
        }
    }

    /// Of a plan that takes nothing but time, what is said when ours and theirs give these.
    fn remarks(ours: Answered, theirs: Answered, takes: u64) -> Vec<String> {
        let key = KeyId::at(0).unwrap();
        let members = vec![
            Member::new("us", Hand::Ours, 0),
            Member::new("them", Hand::Person, 0),
        ];
        let situation = Situation {
            margin: MARGIN,
            ..Situation::bare(zone(), NOW, members)
        };
        let step = |seconds| Step {
            what: "nothing".to_owned(),
            action: Action::Await,
            by: Actor::We,
            changes: Vec::new(),
            waits: vec![Wait {
                since: Since::Time(NOW),
                seconds,
                why: String::new(),
                lags: None,
            }],
            withdraws: false,
            back: String::new(),
        };
        let plan = Plan {
            kind: Kind::Standby { new: key },
            situation,
            steps: vec![step(takes)],
        };
        let seen = |server| MemberSeen {
            names: Vec::new(),
            servers: vec![server],
        };
        let survey = Survey {
            zone: zone(),
            at: NOW,
            members: vec![seen(ours), seen(theirs)],
            parent: Vec::new(),
            failed: Default::default(),
        };
        let least = ContentTtls {
            largest: Ttl::new(500),
            negative: Ttl::new(50),
        };
        survey.validity_remarks(&plan, least)
    }

    #[test]
    fn what_ends_before_a_plan_is_through_is_told_of_others() {
        let days = |days: i64| days * 86_400;
        let lasting = || server(RrType::DNSKEY, 60, days(30));
        assert_eq!(remarks(lasting(), lasting(), 86_400), Vec::<String>::new());
        // Ours is signed anew by itself.
        assert_eq!(
            remarks(server(RrType::SOA, 60, days(2)), lasting(), 3 * 86_400),
            Vec::<String>::new()
        );
        let told = remarks(lasting(), server(RrType::SOA, 60, days(2)), 3 * 86_400);
        assert!(
            matches!(&told[..], [one] if one.contains("signatures of them end from") && one.contains("(SOA at 192.0.2.1)")),
            "{told:?}"
        );
        // To the second: the plan's last step is due one second after its wait.
        assert_eq!(remarks(lasting(), server(RrType::SOA, 60, 9_001), 9_000).len(), 1);
        assert_eq!(remarks(lasting(), server(RrType::SOA, 60, 9_002), 9_000).len(), 0);
    }

    #[test]
    fn what_ends_before_caches_let_go_is_told_of_all() {
        let lasting = || server(RrType::DNSKEY, 60, 86_400);
        for (covered, ttl, enough) in [
            (RrType::DNSKEY, 60, 160),
            // The content has larger TTLs than what is asked for.
            (RrType::SOA, 60, 600),
            (RrType::NS, 700, 800),
            (RrType::NSEC, 60, 160),
            (RrType::NSEC, 10, 150),
        ] {
            let short = || server(covered, ttl, enough - 1);
            for told in [remarks(short(), lasting(), 1), remarks(lasting(), short(), 1)] {
                assert!(
                    matches!(&told[..], [one] if one.contains("1 s before the last cache") && one.contains(&covered.to_string())),
                    "{covered} {ttl}: {told:?}"
                );
            }
            let just = remarks(lasting(), server(covered, ttl, enough), 1);
            assert_eq!(just, Vec::<String>::new(), "{covered} {ttl}");
        }
        // One that is over already, and the end of the 32-bit count.
        assert_eq!(remarks(lasting(), server(RrType::DS, 60, -5), 1).len(), 2);
    }
}
