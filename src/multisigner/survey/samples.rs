//! Questions about the zone's own content: the apex is signed first by whoever signs name by name, and its TTLs are not
//! all that there are.
//!
//! | sample | asked | because |
//! |---|---|---|
//! | the RRset with the largest TTL | always | waits rest on it |
//! | what a wildcard stands in for | always | it is signed in another way |
//! | the DS of a cut, or the proof that there is none | always | it is all of a cut that is signed |
//! | the last name, for its last type and for one that it has not | always | who signs in order comes there last |
//! | the one that had the largest TTL of all that were seen | as long as it has it | it may be another provider's alone |
//! | some of the others, one of each part of the zone | in turn | over many looks more of the zone is seen |
//!
//! What a server gives counts when it is signed: data by other keys than the apex show that it is between two states, and
//! so do denials. What a server does not have says nothing: that content differs is for `verify` to tell.

use std::{cmp::Reverse, collections::BTreeMap, fmt};

use super::{
    Answered, Survey,
    ask::NOBODYS_TYPE,
    read::{Reading, answers_for},
};
use crate::{
    client::Question,
    dnssec::validate::SignedBy,
    multisigner::{
        content::{in_order, is_chosen, is_plain, types_at},
        observe::Unseen,
    },
    wire::{
        Name, NameRef, RrType, Ttl,
        received::{Received, Record},
    },
    zone::{
        NodeView, Zone, is_of_a_signer,
        snapshot::{Lookup, SearchName},
    },
};

/// How many samples a look has: about as many questions as there are about the apex, which are asked at the same time, so
/// that a look takes no longer.
const SAMPLES: usize = 8;
/// How many RRsets are at hand for those that take turns, evenly spread over the zone.
const STOCK: usize = 256;
/// How far the turns go on at a time: a prime that is larger than the stock, so that everything has its turn, and
/// neighbours are not asked for one after the other.
const STRIDE: usize = 619;
/// A label below a wildcard.
const NOBODYS_LABEL: &[u8] = b"sample-for-countersign";
/// Where the signer's name begins in an RRSIG (RFC 4034 §3.1).
const SIGNER_NAME: usize = 18;

/// A question about the content.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Sample {
    /// The name.
    pub name: Name,
    /// The type.
    pub rtype: RrType,
}

impl Sample {
    fn of(name: NameRef<'_>, rtype: RrType) -> Self {
        let name = name.to_owned();
        Self { name, rtype }
    }

    pub(super) fn question(&self) -> Question {
        Question {
            name: self.name.clone(),
            rtype: self.rtype,
            dnssec: true,
            recursion: false,
        }
    }
}

/// For people: "www.example. A".
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.rtype)
    }
}

/// What a server answered to samples.
pub(super) type Sampled = BTreeMap<Sample, Result<Received, Unseen>>;

/// What samples are taken from: as much of the content as is needed, so that it need not be sorted for each look.
#[derive(Clone, Debug)]
pub struct Stock {
    always: Vec<Sample>,
    /// In canonical order.
    others: Vec<Sample>,
    content: Mark,
}

/// What tells one content from another well enough: who asks for what has gone learns nothing, and that is all.
type Mark = (u32, usize, Ttl);

fn mark(content: &Zone) -> Mark {
    (content.serial(), content.record_count(), content.largest_ttl())
}

impl Stock {
    /// From this content. With each `turn` it has others of a zone that is larger than it.
    pub fn of(content: &Zone, turn: usize) -> Self {
        let sorted = in_order(content);
        let total: usize = sorted.iter().map(|node| types(content, *node).count()).sum();
        let shift = place(turn, total.div_ceil(STOCK));
        let all = sorted
            .iter()
            .flat_map(|node| types(content, *node).map(move |rtype| (node.name(), rtype)));
        let spread = all
            .enumerate()
            .filter(|(number, _)| is_chosen(number + shift, total, STOCK));
        let mut others: Vec<Sample> = spread.map(|(_, (name, rtype))| Sample::of(name, rtype)).collect();
        let always = always(content, &sorted);
        others.retain(|sample| !always.contains(sample));
        Self {
            always,
            others,
            content: mark(content),
        }
    }

    /// Whether it is from this content.
    pub fn is_of(&self, content: &Zone) -> bool {
        self.content == mark(content)
    }

    /// Whether a sample is asked for in every look.
    pub fn has_always(&self, sample: &Sample) -> bool {
        self.always.contains(sample)
    }

    /// The samples of a round, those that come in every round first; `kept` is asked for besides.
    pub fn choose(&self, round: usize, kept: Option<&Sample>) -> Vec<Sample> {
        let mut chosen = self.always.clone();
        chosen.extend(kept.filter(|kept| !self.always.contains(kept)).cloned());
        let parts = SAMPLES.saturating_sub(chosen.len());
        for part in 0..parts {
            let bound = |part: usize| part * self.others.len() / parts;
            let part = &self.others[bound(part)..bound(part + 1)];
            let turn = part.get(place(round, part.len()));
            chosen.extend(turn.filter(|sample| Some(*sample) != kept).cloned());
        }
        chosen
    }
}

/// Where a round stands in something of this length, each place once in as many rounds.
fn place(round: usize, length: usize) -> usize {
    (round % length.max(1)) * STRIDE % length.max(1)
}

/// The types of the content at a name that are not asked for anyway.
fn types<'z>(content: &Zone, node: NodeView<'z>) -> impl Iterator<Item = RrType> + use<'z> {
    let at_apex = node.name() == content.apex();
    let of_apex = move |rtype| at_apex && matches!(rtype, RrType::SOA | RrType::NS);
    types_at(node).filter(move |rtype| !is_of_a_signer(*rtype, at_apex) && !of_apex(*rtype))
}

/// What is asked for in every look, without doubles.
fn always(content: &Zone, sorted: &[NodeView<'_>]) -> Vec<Sample> {
    let ttl = |node: NodeView<'_>, rtype| node.rrset(rtype).map(|set| set.ttl());
    let with_ttls = sorted
        .iter()
        .flat_map(|node| types(content, *node).map(move |rtype| (ttl(*node, rtype), (node.name(), rtype))));
    // Of several the first.
    let longest = with_ttls.min_by_key(|(ttl, _)| Reverse(*ttl));
    let longest = longest.map(|(_, (name, rtype))| Sample::of(name, rtype));

    let wildcards = sorted.iter().filter(|node| node.name().is_wildcard());
    let wildcard = wildcards.filter_map(|node| below_wildcard(content, node)).next();

    let cuts = || sorted.iter().filter(|node| node.is_cut());
    let signed = cuts().find(|node| node.rrset(RrType::DS).is_some());
    let cut = signed.or_else(|| cuts().next());
    let cut = cut.map(|node| Sample::of(node.name(), RrType::DS));

    let last = sorted.iter().rev().find_map(|node| {
        let rtype = types(content, *node).last()?;
        Some(Sample::of(node.name(), rtype))
    });
    let plain = sorted
        .iter()
        .rfind(|node| is_plain(node) && node.name() != content.apex());
    let denied = plain.map(|node| Sample::of(node.name(), NOBODYS_TYPE));

    let mut always: Vec<Sample> = Vec::new();
    for sample in [longest, wildcard, cut, last, denied].into_iter().flatten() {
        if !always.contains(&sample) {
            always.push(sample);
        }
    }
    always
}

/// A name that the wildcard at this node answers for.
fn below_wildcard(content: &Zone, node: &NodeView<'_>) -> Option<Sample> {
    let name = node.name().parent()?.prepend(NOBODYS_LABEL).ok()?;
    let found = content.lookup(&SearchName::new(name.as_ref()));
    let rtype = types_at(*node).next()?;
    matches!(found, Lookup::Wildcard { .. }).then_some(Sample { name, rtype })
}

impl Reading<'_> {
    /// The data that a server gives for samples, and who signs each.
    pub(super) fn sampled_data<'s>(
        &self,
        server: &'s Answered,
    ) -> Result<Vec<(&'s Sample, SignedBy)>, Unseen> {
        let mut found = Vec::new();
        for (sample, received) in given(server)? {
            let (name, rtype) = (&sample.name, sample.rtype);
            // Who has another zone there gives what that signs, or does not sign: other content.
            if signed_ttl(&received.answers, name, rtype, &self.survey.zone).is_some() {
                let what = sample.to_string();
                let signed = self.signed_in(&[&received.answers], Some(name), rtype, &what)?;
                found.push((sample, signed));
            }
        }
        Ok(found)
    }

    /// The denials that a server gives for samples, and who signs each.
    pub(super) fn sampled_denials<'s>(
        &self,
        server: &'s Answered,
    ) -> Result<Vec<(&'s Sample, SignedBy)>, Unseen> {
        let mut found = Vec::new();
        for (sample, received) in given(server)? {
            let proofs = received.authorities.iter();
            let proofs = proofs.filter(|record| matches!(record.rtype, RrType::NSEC | RrType::NSEC3));
            for Record { owner, rtype, .. } in proofs {
                if signed_ttl(&received.authorities, owner, *rtype, &self.survey.zone).is_some() {
                    let what = format!("denial for {sample}");
                    let signed = self.signed_in(&[&received.authorities], Some(owner), *rtype, &what)?;
                    found.push((sample, signed));
                }
            }
        }
        Ok(found)
    }
}

/// What a server answers with authority. What it did not answer though it answers others is not left out: nobody knows who
/// signs it.
fn given(server: &Answered) -> Result<Vec<(&Sample, &Received)>, Unseen> {
    let mut given = Vec::new();
    for (sample, answer) in &server.samples {
        let received = answer.as_ref().map_err(Clone::clone)?;
        if answers_for(received) {
            given.push((sample, received));
        }
    }
    Ok(given)
}

/// The TTL with which an RRset in a section is signed in the name of this zone, whether or not the signatures are good; none
/// where it is not there, or not signed so.
fn signed_ttl(section: &[Record], owner: &Name, rtype: RrType, zone: &Name) -> Option<Ttl> {
    let of = |of: RrType| {
        let records = section.iter().filter(move |record| record.rtype == of);
        records.filter(|record| record.owner == *owner)
    };
    of(rtype).next()?;
    let original_ttl = |record: &Record| {
        let (fixed, rest) = record.rdata.split_at_checked(SIGNER_NAME)?;
        let (signer, _) = NameRef::split_from(rest).ok()?;
        let ttl = fixed.get(4..8)?.try_into().ok()?;
        let is_of_it = fixed.starts_with(&rtype.0.to_be_bytes()) && signer == zone.as_ref();
        is_of_it.then(|| Ttl::new(u32::from_be_bytes(ttl)))
    };
    of(RrType::RRSIG).filter_map(original_ttl).max()
}

impl Survey {
    /// The sample that other providers give with the largest TTL; of several the first of `asked`. Nobody's word is needed for
    /// that: it is asked for again, and no more.
    pub fn longest_sample(&self, asked: &[Sample]) -> Option<Sample> {
        let others = || self.members.iter().skip(1).flat_map(|member| &member.servers);
        let ttl = |sample: &Sample| {
            let answers = others().filter_map(|server| server.samples.get(sample)?.as_ref().ok());
            let signed =
                |answer: &Received| signed_ttl(&answer.answers, &sample.name, sample.rtype, &self.zone);
            answers.filter_map(signed).max()
        };
        let given = asked.iter().filter_map(|sample| Some((ttl(sample)?, sample)));
        let (_, longest) = given.min_by_key(|(ttl, _)| Reverse(*ttl))?;
        Some(longest.clone())
    }
}
