//! One look at a provider, judged: what of it is believed, what is to be given to it, and what a person should know.
//! Values in, values out.
//!
//! | what is seen | what follows |
//! |---|---|
//! | a key of the provider at one believed source | published here at once |
//! | the same key gone | kept and told; a person or a plan withdraws it |
//! | a key of ours, present or past, at the provider | it publishes it; never an import |
//! | a key of ours missing in the API's reply | given again |
//! | nobody knows yet which of ours it is to have | it keeps those that it has; told |
//! | a key of ours missing at a server | waited for, then an alarm |
//! | API and servers differ, servers differ | told |
//! | a server that cannot be reached from here | neither seen nor gone; told |

mod addresses;
mod finding;
mod to_have;

use std::collections::BTreeSet;

pub use finding::{Finding, Severity};
pub use to_have::{Because, ToHave};

use super::{
    execute::DsAhead,
    observe::{DsView, KeyAnswer, KeyView, Unseen},
    trust::{Anchors, Pin, weakness},
};
use crate::{
    dnssec::{
        custody::Observation,
        key::Dnskey,
        keyset::KeyState,
        register::{Evidence, Register, Source, Trust},
        validate::Ds,
    },
    provider::{Capabilities, ObservedKeys},
    wire::{Name, Ttl},
};

/// Everything that one look brought.
#[derive(Debug)]
pub struct Round<'a> {
    /// The zone.
    pub zone: &'a Name,
    /// The provider.
    pub provider: &'a str,
    /// What its driver can do.
    pub capabilities: Capabilities,
    /// What it says; the error in words when it could not be asked.
    pub api: Option<Result<ObservedKeys, String>>,
    /// What its servers show.
    pub servers: Vec<KeyView>,
    /// What the parent's servers show.
    pub parent: Vec<DsView>,
    /// The keys that a person pinned.
    pub pinned: &'a [Pin],
    /// A person says that the API is to be believed.
    pub trust_api: bool,
    /// The TTL of our DNSKEY RRset.
    pub our_ttl: Ttl,
    /// The keys of ours that it is to have.
    pub to_have: &'a ToHave,
    /// What a plan that is carried out does about the DS of keys.
    pub ahead: &'a [(Dnskey, DsAhead)],
}

/// What a provider's API has of our keys.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Held {
    /// What it is to have; or it is given none by an API.
    #[default]
    AsItIsToBe,
    /// It lacks some, or has some that are to go: it is to be given them (again).
    Otherwise,
    /// That cannot be said, for this reason.
    Unknown(String),
}

/// What follows from one look.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What is believed: for the register.
    pub observations: Vec<Observation>,
    /// What the provider's API has of our keys.
    pub held: Held,
    /// The servers that answered and do not show all our keys yet.
    pub waiting_for: Vec<String>,
    /// What a person should know.
    pub findings: Vec<Finding>,
}

/// Judges one look against what the register holds.
pub fn judge(round: &Round<'_>, register: &Register) -> Verdict {
    let mut judge = Judge {
        round,
        register,
        wanted: round.to_have.keys(register),
        trust: None,
        verdict: Verdict::default(),
    };
    let ds = judge.parents_ds();
    let mut known: Vec<Dnskey> = believed_keys(register, round.provider);
    let api = judge.api(&ds, &mut known);
    for view in &round.servers {
        judge.server(view, &ds, &mut known, api);
    }
    judge.new_keys();
    judge.missing_ds(&ds);
    judge.keep_trust();
    judge.say_what_it_is_to_have();
    judge.addresses_of_before();
    judge.verdict
}

/// The provider's SEP keys that are in the set by a believed source of it.
fn believed_keys(register: &Register, provider: &str) -> Vec<Dnskey> {
    register
        .foreign_in_set()
        .filter(|(key, foreign, _)| {
            key.is_sep()
                && foreign
                    .ever_shown_by
                    .iter()
                    .any(|source| source.provider() == Some(provider))
        })
        .map(|(key, ..)| key.clone())
        .collect()
}

struct Judge<'a> {
    round: &'a Round<'a>,
    register: &'a Register,
    /// The keys of ours that the provider is to have, where that is known.
    wanted: Option<BTreeSet<Dnskey>>,
    /// The strongest reason to believe the provider that this look found.
    trust: Option<Trust>,
    verdict: Verdict,
}

impl<'a> Judge<'a> {
    fn find(&mut self, finding: Finding) {
        self.verdict.findings.push(finding);
    }

    /// What every server of the parent that answered shows. A DS that only some show is not believed.
    fn parents_ds(&mut self) -> Vec<Ds> {
        let answers: Vec<&Vec<Ds>> = self
            .round
            .parent
            .iter()
            .filter_map(|view| view.seen.as_ref().ok())
            .collect();
        let Some((first, others)) = answers.split_first() else {
            let why = self.round.parent.iter().find_map(|view| view.seen.as_ref().err());
            if let Some(why) = why {
                self.find(Finding::NoParent(why.to_string()));
            }
            return Vec::new();
        };
        let in_all: Vec<Ds> = first
            .iter()
            .filter(|ds| others.iter().all(|other| other.contains(ds)))
            .cloned()
            .collect();
        if others.iter().any(|other| other.len() != in_all.len()) || first.len() != in_all.len() {
            self.find(Finding::ParentDiffers);
        }
        in_all
    }

    fn anchors<'k>(&'k self, ds: &'k [Ds], known: &'k [Dnskey]) -> Anchors<'k> {
        Anchors {
            apex: self.round.zone.as_ref(),
            ds,
            pinned: self.round.pinned,
            known,
        }
    }

    /// Judges what the API says; gives it back where it counts.
    fn api(&mut self, ds: &[Ds], known: &mut Vec<Dnskey>) -> Option<&'a ObservedKeys> {
        let said = match self.round.api.as_ref()? {
            Ok(said) => said,
            Err(why) => {
                self.nobody_knows_what_it_holds(why);
                self.find(Finding::ApiFails(why.clone()));
                return None;
            }
        };
        for remark in &said.remarks {
            self.find(Finding::ApiRemark(remark.clone()));
        }
        if !said.signs {
            self.nobody_knows_what_it_holds("it does not sign the zone");
            self.find(Finding::NotSigning);
            return None;
        }
        self.what_it_holds_as_ours(said);
        let anchors = self.anchors(ds, known);
        let vouched = said
            .own
            .iter()
            .filter_map(|key| anchors.vouch_for(key))
            .min_by_key(weakness);
        let reason = vouched.or_else(|| self.round.trust_api.then_some(Trust::Person));
        if reason.is_none() && !self.register.trusted.contains_key(self.round.provider) {
            let ksks = said.own.iter().filter(|key| key.is_sep());
            let tags = ksks.map(Dnskey::key_tag).collect();
            self.find(Finding::ApiUntrusted { tags });
            return None;
        }
        self.trust = self.trust.take().into_iter().chain(reason).min_by_key(weakness);
        known.extend(said.own.iter().filter(|key| key.is_sep()).cloned());
        self.verdict.observations.push(Observation {
            source: Source::Api(self.round.provider.to_owned()),
            evidence: Evidence::Api,
            keys: said.own.clone(),
            ttl: None,
            trust: None,
        });
        Some(said)
    }

    fn nobody_knows_what_it_holds(&mut self, why: &str) {
        if self.round.capabilities.publishes_keys {
            self.verdict.held = Held::Unknown(why.to_owned());
        }
    }

    /// Our keys at the provider: what it lacks is given to it, what should go is taken away.
    fn what_it_holds_as_ours(&mut self, said: &ObservedKeys) {
        if !self.round.capabilities.publishes_keys {
            return;
        }
        let Some(wanted) = &self.wanted else { return };
        let held: BTreeSet<&Dnskey> = said.ours.iter().collect();
        let lacking: Vec<u16> = wanted
            .iter()
            .filter(|key| !held.contains(key))
            .map(Dnskey::key_tag)
            .collect();
        let stale: Vec<u16> = held
            .iter()
            .filter(|key| !wanted.contains(**key))
            .map(|key| key.key_tag())
            .collect();
        if !lacking.is_empty() || !stale.is_empty() {
            self.verdict.held = Held::Otherwise;
        }
        if !lacking.is_empty() {
            self.find(Finding::NotGiven { tags: lacking });
        }
        if !stale.is_empty() {
            self.find(Finding::Stale { tags: stale });
        }
    }

    fn server(&mut self, view: &KeyView, ds: &[Ds], known: &mut Vec<Dnskey>, api: Option<&ObservedKeys>) {
        let at = view.at.to_string();
        let answer = match &view.seen {
            Ok(answer) => answer,
            Err(Unseen::Unreachable(why)) => {
                if let Some(by) = self.stands_for(view) {
                    return self.find(Finding::StoodFor { at, by });
                }
                let why = why.clone();
                return self.find(Finding::Unreachable { at, why });
            }
            Err(Unseen::Odd(why)) => {
                let why = why.clone();
                return self.find(Finding::Odd { at, why });
            }
        };
        self.ours_at(&at, answer);
        let Some(trust) = self.anchors(ds, known).vouch_for_answer(answer) else {
            let signers = answer.signers.iter().map(Dnskey::key_tag).collect();
            return self.find(Finding::Unbelieved { at, signers });
        };
        if let Some(said) = api {
            self.compare(&at, answer, said);
        }
        let leads = |key: &Dnskey| ds.iter().any(|ds| ds.points_to(key, self.round.zone.as_ref()));
        if !ds.is_empty() && !answer.signers.iter().any(leads) {
            let signers = answer.signers.iter().map(Dnskey::key_tag).collect();
            let at = at.clone();
            self.find(Finding::NoChain { at, signers });
        }
        if answer.ttl != self.round.our_ttl {
            let (theirs, ours) = (answer.ttl, self.round.our_ttl);
            self.find(Finding::TtlDiffers { at, theirs, ours });
        }
        let anchor = match trust {
            Trust::Chain { tag } | Trust::Pinned { tag } | Trust::Known { tag } => tag,
            Trust::Person => 0,
        };
        // A key in a set that is believed is believed: the next one of a roll may be signed by it alone.
        let new = answer
            .keys
            .iter()
            .filter(|key| key.is_sep() && !self.register.is_own(key));
        let new: Vec<Dnskey> = new.filter(|key| !known.contains(key)).cloned().collect();
        known.extend(new);
        self.trust = self.trust.take().into_iter().chain([trust]).min_by_key(weakness);
        self.verdict.observations.push(Observation {
            source: Source::Server {
                provider: self.round.provider.to_owned(),
                address: view.at.address,
            },
            evidence: Evidence::Answer { anchor },
            keys: answer.keys.clone(),
            ttl: Some(answer.ttl),
            trust: None,
        });
    }

    /// Many hosts have one address family alone: a server's address of the other one is stood for by its address of
    /// this one.
    fn stands_for(&self, view: &KeyView) -> Option<String> {
        view.at.name.as_ref()?;
        let same = self.round.servers.iter().find(|other| {
            other.at.name == view.at.name
                && other.at.address.is_ipv4() != view.at.address.is_ipv4()
                && other.seen.is_ok()
        });
        same.map(|other| other.at.to_string())
    }

    fn ours_at(&mut self, at: &str, answer: &KeyAnswer) {
        let Some(wanted) = &self.wanted else { return };
        let missing: Vec<u16> = wanted
            .iter()
            .filter(|key| !answer.keys.contains(key))
            .map(Dnskey::key_tag)
            .collect();
        let past: Vec<u16> = answer
            .keys
            .iter()
            .filter(|key| self.register.is_own(key) && !wanted.contains(*key))
            .map(Dnskey::key_tag)
            .collect();
        if !missing.is_empty() {
            self.verdict.waiting_for.push(at.to_owned());
            let at = at.to_owned();
            self.find(Finding::OursMissing { at, tags: missing });
        }
        if !past.is_empty() {
            let at = at.to_owned();
            self.find(Finding::OursPast { at, tags: past });
        }
    }

    fn compare(&mut self, at: &str, answer: &KeyAnswer, said: &ObservedKeys) {
        let others: BTreeSet<&Dnskey> = said.others.iter().map(|(_, key)| key).collect();
        let lacking: Vec<u16> = said
            .own
            .iter()
            .filter(|key| !answer.keys.contains(key))
            .map(Dnskey::key_tag)
            .collect();
        let unnamed: Vec<u16> = answer
            .keys
            .iter()
            .filter(|key| !said.own.contains(key) && !others.contains(key) && !self.register.is_own(key))
            .map(Dnskey::key_tag)
            .collect();
        if !lacking.is_empty() {
            let at = at.to_owned();
            self.find(Finding::ApiAhead { at, tags: lacking });
        }
        if !unnamed.is_empty() {
            let at = at.to_owned();
            self.find(Finding::ServerAhead { at, tags: unnamed });
        }
    }

    /// KSKs without a DS, where the parent has any.
    fn missing_ds(&mut self, ds: &[Ds]) {
        if ds.is_empty() {
            return;
        }
        let apex = self.round.zone.as_ref();
        let lacks = |key: &Dnskey| key.is_sep() && !ds.iter().any(|ds| ds.points_to(key, apex));
        let own = self
            .register
            .own_in_set()
            .filter(|(_, state)| *state != KeyState::Retired);
        let own = own.map(|(key, _)| (key, true));
        let shown = self.verdict.observations.iter().flat_map(|seen| &seen.keys);
        let theirs = shown
            .filter(|key| !self.register.is_own(key))
            .map(|key| (key, false));
        let lacking: BTreeSet<(&Dnskey, bool)> = own.chain(theirs).filter(|(key, _)| lacks(key)).collect();
        let lacking: Vec<Finding> = lacking
            .into_iter()
            .map(|(key, ours)| {
                let ahead = self.round.ahead.iter().find(|(known, _)| known == key);
                Finding::NoDs {
                    ours,
                    tag: key.key_tag(),
                    ahead: ahead.map(|(_, ahead)| *ahead),
                }
            })
            .collect();
        self.verdict.findings.extend(lacking);
    }

    /// A plan that took this server out of the delegation is long over, and nobody thinks of it any more.
    fn say_what_it_is_to_have(&mut self) {
        match self.round.to_have {
            ToHave::AllInSet | ToHave::These(_) => {}
            ToHave::NoneOfThem => self.find(Finding::IsToHaveNone),
            ToHave::WhatItHas(because) => {
                self.nobody_knows_what_it_holds(&because.to_string());
                self.find(Finding::Undecided(*because));
            }
        }
    }

    /// A reason is kept where there was none, or a weaker one: so what differs from look to look is no news.
    fn keep_trust(&mut self) {
        let before = self.register.trusted.get(self.round.provider);
        let Some(found) = self.trust.take() else { return };
        let better = before.is_none_or(|before| weakness(&found) < weakness(before));
        if let (true, Some(first)) = (better, self.verdict.observations.first_mut()) {
            first.trust = Some(found);
        }
    }

    /// Keys that were not there at the provider's earlier looks. At the first look all are new, which is no news.
    fn new_keys(&mut self) {
        let of_provider = |source: &Source| source.provider() == Some(self.round.provider);
        let had_some = self
            .register
            .foreign
            .values()
            .any(|foreign| foreign.ever_shown_by.iter().any(of_provider));
        if !had_some {
            return;
        }
        let shown = self.verdict.observations.iter().flat_map(|seen| &seen.keys);
        let new: BTreeSet<&Dnskey> = shown
            .filter(|key| !self.register.foreign.contains_key(key) && !self.register.is_own(key))
            .collect();
        let new: Vec<Finding> = new
            .into_iter()
            .map(|key| Finding::NewKey {
                tag: key.key_tag(),
                role: if key.is_sep() { "KSK" } else { "ZSK" },
            })
            .collect();
        self.verdict.findings.extend(new);
    }
}

#[cfg(test)]
mod tests;
