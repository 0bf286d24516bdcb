//! What a plan starts from: the keys, who serves what, and how each of them can be changed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    super::safety::{KeyId, KeySet, ProviderId, Seconds, Slot, TooMany, Value},
    Unplannable,
};
use crate::{
    clock::UnixTime,
    dnssec::{algorithm::Algorithm, key::Dnskey, keyset::Role},
    wire::Name,
};

/// A key of a plan. Its place in [`Situation::keys`] is its [`KeyId`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlanKey {
    /// The key; none while it is still to be made.
    pub dnskey: Option<Dnskey>,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// What it is for.
    pub role: Role,
    /// Whose it is; none where nobody knows.
    pub owner: Option<ProviderId>,
}

/// How a provider's answers are changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hand {
    /// It is this server.
    Ours,
    /// Through its API.
    Api,
    /// By a person.
    Person,
}

/// Where this server's own NS RRset is changed: no plan does that.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwnNs {
    /// By a person, at this place: "in /etc/countersign/example.zone".
    Person(String),
    /// At another provider, whose content is served here: it follows.
    Follows(ProviderId),
}

impl Default for OwnNs {
    fn default() -> Self {
        Self::Person("where the content of this server comes from".to_owned())
    }
}

/// A signing provider. Its place in [`Situation::members`] is its [`ProviderId`]; the first is this server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Member {
    /// What the configuration calls it.
    pub name: String,
    /// How its answers are changed.
    pub hand: Hand,
    /// How long a change may take from its first server to its last, those included that cannot be seen from here.
    pub propagation: Seconds,
    /// The algorithms that it can sign with; none where all are taken to be.
    pub algorithms: Option<Vec<Algorithm>>,
    /// Whether it can be made to publish CDS and CDNSKEY for exactly the keys that a plan wants. A parent that reads
    /// CDS must find the same at every provider (RFC 9975 §3).
    pub shows_cds: bool,
    /// Whether it can be made to publish CSYNC, of which the same holds.
    #[serde(default)]
    pub shows_csync: bool,
    /// The names of its servers, for NS RRsets that a person writes. Empty where they are not known.
    pub servers: Vec<Name>,
    /// Where its NS RRset is changed, when it is this server.
    #[serde(default)]
    pub own_ns: OwnNs,
}

impl Member {
    /// A provider of which nothing more is known.
    pub fn new(name: &str, hand: Hand, propagation: Seconds) -> Self {
        Self {
            name: name.to_owned(),
            hand,
            propagation,
            algorithms: None,
            shows_cds: hand == Hand::Ours,
            shows_csync: hand == Hand::Ours,
            servers: Vec::new(),
            own_ns: OwnNs::default(),
        }
    }

    /// Whether it can sign with an algorithm, as far as is known.
    pub fn can_sign_with(&self, algorithm: Algorithm) -> bool {
        self.algorithms
            .as_ref()
            .is_none_or(|known| known.contains(&algorithm))
    }
}

/// How the parent's DS RRset is changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ParentHand {
    /// It reads CDS.
    Cds,
    /// A person tells the registrar.
    Person,
}

/// The parent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Parent {
    /// How its DS RRset is changed.
    pub hand: ParentHand,
    /// Whether it changes its NS RRset because of CSYNC; otherwise a person tells the registrar.
    #[serde(default)]
    pub reads_csync: bool,
    /// How long a change may take from its first server to its last.
    pub propagation: Seconds,
}

/// A value that was served before, and that caches may still hold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Past {
    /// The value, with the largest TTL that caches may have got it with.
    pub value: Value,
    /// When the last server that is seen from here stopped giving it.
    pub until: UnixTime,
}

/// That a slot was first seen with the value that it has so lately that caches may hold another one, which nobody saw.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FirstSeen {
    /// The slot.
    pub slot: Slot,
    /// When it was first seen so at the last server that is seen from here.
    pub at: UnixTime,
    /// How long after that a cache may hold what was before, or what it led to.
    pub held: Seconds,
}

/// What is known at the start of a plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Situation {
    /// The zone.
    pub zone: Name,
    /// When this was so.
    pub at: UnixTime,
    /// Every key that is served, is to be made, or that a DS record points to.
    pub keys: Vec<PlanKey>,
    /// The signing providers, this server first.
    pub members: Vec<Member>,
    /// The parent.
    pub parent: Parent,
    /// What is served, one value a slot, each with the largest TTL that caches may have got it with.
    pub serves: Vec<Value>,
    /// What was served before, in order of time. A slot without an entry here or in `first_seen` has been as it is for
    /// longer than any cache holds anything.
    pub past: Vec<Past>,
    /// Where it is not known what was served before, and caches may still hold it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first_seen: Vec<FirstSeen>,
    /// How much longer than its TTL caches may hold anything.
    pub margin: Seconds,
}

impl Situation {
    /// What is served in a slot.
    pub fn value(&self, slot: &Slot) -> Option<&Value> {
        self.serves.iter().find(|value| value.slot() == *slot)
    }

    /// What some server may still give instead of the value of a slot, because it had not followed the last change when
    /// this was so.
    pub fn unsettled(&self, slot: &Slot) -> impl Iterator<Item = &Value> {
        let value = self.value(slot);
        let lasts = move |past: &&Past| {
            past.until >= self.at
                && Some(&past.value) != value
                && value.is_some_and(|value| value.slot() == past.value.slot())
        };
        self.past.iter().filter(lasts).map(|past| &past.value)
    }

    /// A key by its id.
    pub fn key(&self, key: KeyId) -> Option<&PlanKey> {
        self.keys.get(key.place())
    }

    /// A provider by its id.
    pub fn member(&self, provider: ProviderId) -> Option<&Member> {
        self.members.get(provider.place())
    }

    /// How stories call a key: "ZSK 4711", "the new KSK", "a new KSK of ns1".
    pub fn label(&self, key: KeyId) -> String {
        match self.key(key) {
            Some(PlanKey {
                dnskey: Some(dnskey),
                role,
                ..
            }) => format!("{role} {}", dnskey.key_tag()),
            // No label is part of another one: it is replaced when the key is known.
            Some(PlanKey { role, owner, .. }) => match owner.filter(|owner| *owner != ProviderId::FIRST) {
                None => format!("the new {role}"),
                Some(owner) => format!("a new {role} of {}", self.name(owner)),
            },
            None => "an unknown key".to_owned(),
        }
    }

    /// Several keys by their labels.
    pub fn labels(&self, keys: KeySet) -> String {
        let labels: Vec<String> = keys.iter().map(|key| self.label(key)).collect();
        listed(&labels)
    }

    /// One in which nothing is served and nobody is waited for, and a person changes what the parent has.
    #[cfg(test)]
    pub(crate) fn bare(zone: Name, at: UnixTime, members: Vec<Member>) -> Self {
        Self {
            zone,
            at,
            keys: Vec::new(),
            members,
            parent: Parent {
                hand: ParentHand::Person,
                reads_csync: false,
                propagation: 0,
            },
            serves: Vec::new(),
            past: Vec::new(),
            first_seen: Vec::new(),
            margin: 0,
        }
    }

    /// What a provider is called.
    pub fn name(&self, provider: ProviderId) -> &str {
        self.member(provider)
            .map_or("an unknown provider", |member| &member.name)
    }

    /// Several providers by their names.
    pub fn names(&self, providers: &BTreeSet<ProviderId>) -> String {
        let names: Vec<String> = providers
            .iter()
            .map(|provider| self.name(*provider).to_owned())
            .collect();
        listed(&names)
    }

    /// How a provider is changed.
    pub(super) fn hand(&self, provider: ProviderId) -> Result<Hand, Unplannable> {
        let place = provider.place();
        let member = self
            .member(provider)
            .ok_or(Unplannable::UnknownProvider { place })?;
        Ok(member.hand)
    }

    /// A slot that was first seen as it is at this time, where caches may still hold what was before: for the largest
    /// TTL that is known of it. Who was sent to a server by an NS RRset of before may hold what it got there besides.
    pub fn first_seen_at(&self, slot: &Slot, at: UnixTime) -> Option<FirstSeen> {
        let largest = |counts: &dyn Fn(&Slot) -> bool| {
            let past = self.past.iter().map(|past| &past.value);
            let all = self.serves.iter().chain(past);
            let of_slot = all.filter(|value| counts(&value.slot()));
            of_slot.filter_map(Value::ttl).max().unwrap_or(0)
        };
        let answers = |slot: &Slot| matches!(slot, Slot::Keys(_) | Slot::Data(..));
        let then = match slot {
            Slot::ParentNs | Slot::ChildNs(_) => largest(&answers) + self.margin,
            _ => 0,
        };
        let held = largest(&|other| other == slot) + self.lag(slot) + self.margin + then;
        (self.at.since(at).as_secs() <= held).then(|| FirstSeen {
            slot: slot.clone(),
            at,
            held,
        })
    }

    /// What people call a slot.
    pub fn slot_in_words(&self, slot: &Slot) -> String {
        match slot {
            Slot::Ds => "the DS RRset at the parent".to_owned(),
            Slot::ParentNs => "the NS RRset at the parent".to_owned(),
            Slot::Keys(provider) => format!("the DNSKEY RRset of {}", self.name(*provider)),
            Slot::ChildNs(provider) => format!("the NS RRset of {}", self.name(*provider)),
            Slot::Data(provider, _) => format!("the data of {}", self.name(*provider)),
            Slot::Serving(provider) => format!("whether {} answers", self.name(*provider)),
            Slot::Cds(provider) => format!("the CDS RRset of {}", self.name(*provider)),
            Slot::Csync(provider) => format!("the CSYNC record of {}", self.name(*provider)),
        }
    }

    /// The ids of all providers.
    ///
    /// # Errors
    /// [`TooMany`] when there are more than a timeline holds.
    pub fn provider_ids(&self) -> Result<Vec<ProviderId>, TooMany> {
        (0..self.members.len()).map(ProviderId::at).collect()
    }
}

/// "a", "a and b", "a, b and c".
fn listed(words: &[String]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
