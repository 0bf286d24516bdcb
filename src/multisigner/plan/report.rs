//! A plan as a person or a program reads it: who does what, at the earliest when, after what and why, what is pasted
//! where, how to go back, and what the safety checker says.

mod words;

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use super::{
    super::safety::{KeyId, ProviderId, Seconds, Slot, TooMany, Value, Verdict},
    Action, Actor, Emergency, Judgement, Kind, ParentHand, Plan, Since, Step, gate,
};
use crate::{
    clock::UnixTime,
    dnssec::keyset::Role,
    wire::{Name, edns::UDP_PAYLOAD},
};
use words::span;

/// A plan to be read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report {
    /// The zone.
    pub zone: Name,
    /// What is to be achieved, in words.
    pub goal: String,
    /// From when the times count.
    pub at: UnixTime,
    /// How long it takes at the least.
    pub least_seconds: Seconds,
    /// The margin in every wait.
    pub margin_seconds: Seconds,
    /// The steps.
    pub steps: Vec<StepReport>,
    /// The word of the safety checker for each kind of validator.
    pub verdicts: Vec<VerdictReport>,
    /// Whether it hurts no validator that nothing hurts now. A plan that does runs only by force.
    pub safe: bool,
    /// The largest answer to a question for DNSKEY, in octets.
    pub dnskey_octets: Option<usize>,
    /// What else is to be known.
    pub remarks: Vec<String>,
}

/// A step to be read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct StepReport {
    /// Its number, from 1.
    pub number: usize,
    /// What it is.
    pub what: String,
    /// Who does it.
    pub who: String,
    /// When it is due at the earliest, in seconds after the beginning.
    pub after_seconds: Seconds,
    /// The same as a time.
    pub earliest: UnixTime,
    /// What must be seen before the next step begins.
    pub seen: String,
    /// What must have passed before it.
    pub waits: Vec<WaitReport>,
    /// Whether the measured history is judged again right before it.
    pub judged_again: bool,
    /// Where a person acts.
    pub place: Option<String>,
    /// What the person pastes there, one record a line.
    pub paste: Vec<String>,
    /// How to go back from here.
    pub back: String,
}

/// A wait to be read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct WaitReport {
    /// How long; more than this must have passed.
    pub seconds: Seconds,
    /// Since when, in words.
    pub since: String,
    /// Why.
    pub why: String,
}

/// The checker's word for a kind of validator.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct VerdictReport {
    /// The kind.
    pub validator: String,
    /// Whether the zone is safe for it now.
    pub starts_safe: bool,
    /// Whether the plan is.
    pub safe: bool,
    /// How it is not.
    pub story: Option<String>,
}

impl Plan {
    /// What is to be achieved, in words.
    pub fn goal(&self) -> String {
        words::goal(&self.kind, &self.situation)
    }
}

impl Report {
    /// Reads a plan. The checker judges it, which may take long.
    ///
    /// # Errors
    /// When there are more keys or providers than a timeline holds.
    pub fn new(plan: &Plan) -> Result<Self, TooMany> {
        let situation = &plan.situation;
        let planned = plan.earliest();
        let judged = plan.judge()?;
        let steps = plan.steps.iter().zip(&planned.steps).enumerate();
        let largest = plan.largest_dnskey();
        Ok(Self {
            zone: situation.zone.clone(),
            goal: plan.goal(),
            at: situation.at,
            least_seconds: plan.least_duration(),
            margin_seconds: situation.margin,
            steps: steps
                .map(|(place, (step, times))| step_report(plan, place, step, times.begun))
                .collect(),
            safe: judged.iter().all(|judgement| judgement.harm().is_none()),
            verdicts: judged.iter().map(verdict_report).collect(),
            dnskey_octets: largest.map(|largest| largest.octets),
            remarks: remarks(plan, &judged),
        })
    }
}

fn step_report(plan: &Plan, place: usize, step: &Step, earliest: UnixTime) -> StepReport {
    let name = |provider: &ProviderId| plan.situation.name(*provider).to_owned();
    let (who, place_of_person, paste) = match &step.by {
        Actor::We => ("this server".to_owned(), None, Vec::new()),
        Actor::Api { provider } => (
            format!("this server, by the API of {}", name(provider)),
            None,
            Vec::new(),
        ),
        Actor::Parent => {
            let reads = if matches!(step.action, Action::ParentNs { .. }) {
                "CSYNC"
            } else {
                "CDS"
            };
            (format!("the parent, when it reads {reads}"), None, Vec::new())
        }
        Actor::Provider { provider } => (name(provider), None, Vec::new()),
        Actor::Person { place, paste } => (format!("a person {place}"), Some(place.clone()), paste.clone()),
    };
    StepReport {
        number: place + 1,
        what: step.what.clone(),
        who,
        after_seconds: earliest.0.saturating_sub(plan.situation.at.0),
        earliest,
        seen: seen(plan, step),
        waits: step
            .waits
            .iter()
            .map(|wait| WaitReport {
                seconds: wait.seconds,
                since: match wait.since {
                    Since::Step(step) => format!("step {} was seen", step + 1),
                    Since::Time(time) => time.to_string(),
                },
                why: wait.why.clone(),
            })
            .collect(),
        judged_again: step.withdraws,
        place: place_of_person,
        paste,
        back: step.back.clone(),
    }
}

/// Whose servers must show what a step leads to.
fn seen(plan: &Plan, step: &Step) -> String {
    let whose: BTreeSet<String> = step
        .changes
        .iter()
        .map(|value| match value.slot() {
            Slot::Ds | Slot::ParentNs => "the parent".to_owned(),
            Slot::Keys(provider)
            | Slot::Data(provider, _)
            | Slot::ChildNs(provider)
            | Slot::Serving(provider)
            | Slot::Cds(provider)
            | Slot::Csync(provider) => plan.situation.name(provider).to_owned(),
        })
        .collect();
    if whose.is_empty() {
        return "nothing".to_owned();
    }
    let whose: Vec<String> = whose.into_iter().collect();
    format!("every server of {} shows it", whose.join(" and "))
}

fn verdict_report(judgement: &Judgement) -> VerdictReport {
    let story = match &judgement.verdict {
        Verdict::Safe => None,
        Verdict::Unsafe(found) => Some(found.to_string()),
    };
    VerdictReport {
        validator: judgement.validator.to_string(),
        starts_safe: judgement.starts_safe,
        safe: story.is_none(),
        story,
    }
}

fn remarks(plan: &Plan, judged: &[Judgement]) -> Vec<String> {
    let (mut remarks, situation) = (Vec::new(), &plan.situation);
    if let Some(largest) = plan.largest_dnskey()
        && largest.octets > usize::from(UDP_PAYLOAD)
    {
        let when = largest
            .step
            .map_or_else(|| "now".to_owned(), |step| format!("after step {}", step + 1));
        remarks.push(format!(
            "The answer of {} to a question for DNSKEY has {} octets {when}, more than the {UDP_PAYLOAD} that most \
             resolvers take by UDP: they ask again by TCP, so TCP must reach every server.",
            plan.situation.name(largest.provider),
            largest.octets
        ));
    }
    let by_hand = |slot: Slot| {
        let by_hand = |step: &Step| {
            let of_parent = step.changes.iter().any(|value| value.slot() == slot);
            of_parent && matches!(step.by, Actor::Person { .. })
        };
        plan.steps.iter().any(by_hand)
    };
    if plan.situation.parent.reads_csync && by_hand(Slot::ParentNs) {
        let named = match plan.situation.value(&Slot::ParentNs) {
            Some(Value::ParentNs(ns)) => ns.members.clone(),
            _ => BTreeSet::new(),
        };
        let shows = |provider: &ProviderId| {
            let member = plan.situation.member(*provider);
            member.is_some_and(|member| member.shows_csync)
        };
        let lacking: BTreeSet<ProviderId> = named.into_iter().filter(|provider| !shows(provider)).collect();
        let why = if lacking.is_empty() {
            "it has no DS to validate it with, or NS RRsets differ".to_owned()
        } else {
            let names = plan.situation.names(&lacking);
            format!("not every provider of the delegation can show it ({names} cannot; RFC 9975 §3)")
        };
        remarks.push(format!(
            "The parent reads CSYNC, but {why}: its NS RRset is changed by hand."
        ));
    }
    if plan.situation.parent.hand == ParentHand::Cds && by_hand(Slot::Ds) {
        remarks.push(
            "The parent reads CDS, but not every provider of the delegation can show the same CDS, signed by a key that \
             it trusts (RFC 9975 §3), or its DS RRset has other digests than SHA-256: it is changed by hand."
                .to_owned(),
        );
    }
    if let (Kind::Algorithm { .. }, Some((now, most))) = (&plan.kind, plan.signature_octets()) {
        remarks.push(format!(
            "While both algorithms sign, the signatures of each RRset take {most} octets in place of {now}: an answer \
             grows by {0} octets for each signed RRset in it, one that something is not there by up to {1}.",
            most - now,
            3 * (most - now)
        ));
    }
    let unseen = gate::of_unseen(situation);
    let mut waits = plan.steps.iter().flat_map(|step| &step.waits);
    if waits.any(|wait| unseen.iter().any(|unseen| unseen.why == wait.why)) {
        remarks.push(
            "What was changed so lately that nobody saw what was before is waited for as if caches held anything in its \
             place. Who knows that they do not begins the plan without that wait: `countersign apply` with --force REASON."
                .to_owned(),
        );
    }
    if let Kind::Emergency { old, policy, .. } = &plan.kind {
        remarks.extend(of_emergency(plan, *old, *policy));
    }
    let before = judged.iter().filter(|judgement| !judgement.starts_safe);
    let before: Vec<String> = before.map(|judgement| judgement.validator.to_string()).collect();
    if !before.is_empty() {
        remarks.push(format!(
            "Before this plan begins the zone is already unsafe for validators that are {}; for them nothing is promised.",
            before.join("; ")
        ));
    }
    remarks
}

/// What an emergency gives up, in time.
fn of_emergency(plan: &Plan, old: KeyId, policy: Emergency) -> Vec<String> {
    let situation = &plan.situation;
    let zsk = situation.key(old).is_some_and(|key| key.role == Role::Zsk);
    let held = |counts: fn(&Value) -> Option<Seconds>| {
        let held = situation
            .serves
            .iter()
            .filter_map(|value| Some(counts(value)? + situation.lag(&value.slot()) + situation.margin));
        held.max().unwrap_or(0)
    };
    let keys = held(|value| match value {
        Value::Keys(_, rrset) => Some(rrset.ttl),
        _ => None,
    });
    let ds = held(|value| match value {
        Value::Ds(ds) => Some(ds.ttl),
        _ => None,
    });
    let data = held(|value| match value {
        Value::Data(_, _, data) => Some(data.ttl),
        _ => None,
    });
    let (forging, broken) = if zsk {
        (keys, keys.max(data))
    } else {
        (keys.max(ds), keys.max(data).max(ds))
    };
    let mut remarks = vec![format!(
        "Whoever has {} can forge answers until {} at the earliest: {} after the last step, when no cache has a record \
         that vouches for it.",
        situation.label(old),
        UnixTime((situation.at.0 + plan.least_duration()).saturating_add(forging)),
        span(forging)
    )];
    if policy == Emergency::Security {
        remarks.push(format!(
            "This plan takes the key away before caches have lost what it signed: answers are bogus for up to {}, by \
             intent. It runs only by force.",
            span(broken)
        ));
    }
    remarks
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.zone, self.goal)?;
        writeln!(
            f,
            "From {}; {} at the least, with a margin of {} in every wait.",
            self.at,
            span(self.least_seconds),
            span(self.margin_seconds)
        )?;
        for step in &self.steps {
            writeln!(f)?;
            step.fmt(f)?;
        }
        writeln!(f)?;
        self.tell_verdicts(f)?;
        if let Some(octets) = self.dnskey_octets {
            writeln!(f, "The largest answer to a question for DNSKEY: {octets} octets.")?;
        }
        for remark in &self.remarks {
            writeln!(f, "{remark}")?;
        }
        Ok(())
    }
}

impl Report {
    /// One story is told for all kinds that it hits.
    fn tell_verdicts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bad: Vec<&VerdictReport> = self.verdicts.iter().filter(|verdict| !verdict.safe).collect();
        if bad.is_empty() {
            return writeln!(f, "Safe for all {} kinds of validator.", self.verdicts.len());
        }
        let safe = self.verdicts.len() - bad.len();
        writeln!(f, "UNSAFE for {} kinds of validator, safe for {safe}:", bad.len())?;
        for verdict in &bad {
            let before = if verdict.starts_safe {
                ""
            } else {
                " (as it is before the plan)"
            };
            writeln!(f, "- {}{before}", verdict.validator)?;
        }
        if let Some(story) = bad.first().and_then(|verdict| verdict.story.as_ref()) {
            writeln!(f, "{story}")?;
        }
        Ok(())
    }
}

impl fmt::Display for StepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number;
        writeln!(f, "{number:>2}. {}", self.what)?;
        writeln!(f, "    who    {}", self.who)?;
        writeln!(f, "    when   {} (+{})", self.earliest, span(self.after_seconds))?;
        for wait in &self.waits {
            let seconds = span(wait.seconds);
            writeln!(
                f,
                "    wait   more than {seconds} since {}: {}",
                wait.since, wait.why
            )?;
        }
        if self.seen != "nothing" {
            writeln!(f, "    until  {}", self.seen)?;
        }
        if !self.paste.is_empty() {
            writeln!(f, "    paste  these, and none of ours besides:")?;
        }
        for line in &self.paste {
            writeln!(f, "           {line}")?;
        }
        if self.judged_again {
            writeln!(f, "    check  what was measured until then is judged again first")?;
        }
        writeln!(f, "    back   {}", self.back)
    }
}
