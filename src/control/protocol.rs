//! What is said over the control socket: requests and responses in JSON, shared by both sides. `--json` prints
//! the responses as they are, so a field that is here stays.

use std::{fmt, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::content::judge::HeldBack;
use crate::{
    answer::{counters::Totals, warm::SignatureState},
    clock::{UnixTime, guard::Setting},
    multisigner::alarms::Level,
    serve::Counters,
    store::clock::Told,
};

/// What the running server does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Since when it runs, by the clock it trusts.
    pub started: UnixTime,
    /// For how long, in seconds of steady time.
    pub uptime_seconds: u64,
    /// The time it signs by.
    pub now: UnixTime,
    /// Why that is not the machine's time.
    pub clock_fault: Option<String>,
    /// Where it answers.
    pub listen: Vec<SocketAddr>,
    /// The zones, in the order of their names.
    pub zones: Vec<ZoneStatus>,
    /// What the answering threads counted since the start.
    pub counters: Totals,
    /// What the transports counted besides; absent before they answer.
    pub transports: Option<Counters>,
    /// What a person should see to, of the server as a whole and of every zone.
    pub warnings: Vec<Warning>,
    /// The alarms that stand.
    #[serde(default)]
    pub alarms: Vec<AlarmStatus>,
}

/// One zone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ZoneStatus {
    /// Its apex.
    pub origin: String,
    /// Its master file, where its content comes from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Where it is fetched from, where its content comes from elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentStatus>,
    /// Why it is answered with SERVFAIL; absent when it is served.
    pub failed: Option<String>,
    /// The serial in its SOA record.
    pub serial: Option<u32>,
    /// Owner names.
    pub names: usize,
    /// Records, key sets included.
    pub records: usize,
    /// How it denies: `compact`, `nsec` or `nsec3`.
    pub denial: String,
    /// What it does beyond the budget of synthesised signatures: `ranges`, `truncate`, or `off` where there is none.
    #[serde(default)]
    pub overload: String,
    /// Since when more of those are asked for than the budget is for; absent when that is not so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flooded_since: Option<UnixTime>,
    /// How long its signatures are valid, in seconds.
    pub signature_validity_seconds: u64,
    /// The other providers that sign it.
    #[serde(default)]
    pub providers: Vec<String>,
    /// The plan that is carried out, or was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanStatus>,
    /// The keys in its DNSKEY RRset.
    pub keys: Vec<KeyStatus>,
    /// Its signatures.
    pub signatures: SignatureState,
    /// What the last look at all its servers saw, where others serve it, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<MonitorStatus>,
    /// What was seen of its servers, and with which TTLs caches may hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<ObservedStatus>,
}

/// What was seen of a zone's servers, as far as it is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ObservedStatus {
    /// How many observations are kept.
    pub entries: usize,
    /// How many older ones are merged into those, because there would have been too many.
    pub merged: u64,
    /// The TTLs that count: what is served now, and what was lowered so lately that caches may hold it.
    pub ttls: Vec<CountedTtl>,
}

/// A TTL with which caches may hold something.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CountedTtl {
    /// Whose answers: `this server`, `the parent`, or a provider's name.
    pub of: String,
    /// `DS`, `DNSKEY`, `NS`, `SOA`, `denials`, `CDS`, `CSYNC`; of the content `data` and `absence`.
    pub class: String,
    /// The TTL, in seconds.
    pub ttl_seconds: u64,
    /// When it was first seen.
    pub since: UnixTime,
    /// Until when it counts, propagation and margin included; absent while it is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts_until: Option<UnixTime>,
}

/// Where a zone whose content is fetched stands with its source.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ContentStatus {
    /// `axfr` or `ns1`.
    pub source: String,
    /// The primaries, or the provider.
    pub from: Vec<String>,
    /// The version of the content.
    pub serial: Option<u32>,
    /// When the source was last known to have that.
    pub current_at: Option<UnixTime>,
    /// When it is asked next.
    pub next_at: UnixTime,
    /// From when on the zone is answered with SERVFAIL, should it not answer.
    pub expires_at: Option<UnixTime>,
    /// Questions without an answer since it last answered.
    pub failures: u32,
    /// Why the last one brought nothing.
    pub failure: Option<String>,
    /// Content that waits for `countersign accept content`.
    pub held_back: Option<HeldBack>,
    /// Records of another signer that are left out.
    pub left_out: u64,
    /// Whether the content's own digest was verified (RFC 8976).
    pub digest_verified: bool,
}

/// Content that was held back, and is served now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ContentAccepted {
    /// The zone.
    pub zone: String,
    /// Its version.
    pub serial: Option<u32>,
}

/// One key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeyStatus {
    /// Its tag.
    pub tag: u16,
    /// Its algorithm's mnemonic.
    pub algorithm: String,
    /// `KSK`, `ZSK` or `CSK`. A provider's key with the SEP bit counts as a KSK.
    pub role: String,
    /// `own` or `provider`.
    pub origin: String,
    /// Where a provider's key is or was seen.
    pub sources: Vec<String>,
    /// Ours: `held`, `pre-active`, `published`, `active`, `post-active`, `retired`, `gone`, `lost`; a provider's: `seen`,
    /// `kept`, `withheld`, `withdrawn`.
    pub state: String,
    /// Since when it is in this state, where that is known.
    pub since: Option<UnixTime>,
    /// Whether it signs here.
    pub signs: bool,
    /// Its DNSKEY rdata.
    pub dnskey: String,
    /// Its files, without their endings, when they were just written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<PathBuf>,
}

/// Something that a person should see to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Warning {
    /// The zone it is about; absent when it is about the server.
    pub zone: Option<String>,
    /// What it is, and what to do.
    pub what: String,
    /// What makes it the same the next time, where its words may be others then.
    #[serde(skip)]
    pub about: Option<String>,
}

/// An alarm that stands: it was seen again and again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AlarmStatus {
    /// The zone it is about; absent when it is about the server.
    pub zone: Option<String>,
    /// How much it matters.
    pub level: Level,
    /// What it is, and what to do.
    pub what: String,
    /// When it was first seen.
    pub since: UnixTime,
}

/// What the last look at all servers of a zone saw.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MonitorStatus {
    /// When.
    pub looked: UnixTime,
    /// Whether nothing was bogus or about to be, and every provider was seen.
    pub holds: bool,
    /// How many servers there are.
    pub servers: usize,
    /// How many of them could not be judged.
    pub unseen: usize,
    /// Of everything that any server gave, what ends first.
    pub first_to_end: Option<Ending>,
    /// What would be an alarm, and is as a plan that goes on has it, in words.
    #[serde(default)]
    pub expected: Vec<String>,
}

/// A signature that ends.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ending {
    /// The server that gave it.
    pub server: String,
    /// The owner of what it signs.
    pub owner: String,
    /// Its type.
    pub rtype: String,
    /// When.
    pub expires: UnixTime,
    /// How long until then, in seconds; negative when it is over.
    pub slack_seconds: i64,
}

/// What a reload did.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Reloaded {
    /// What could not be taken from the configuration: with it, all of it was left as it was.
    pub problems: Vec<String>,
    /// What is worth knowing besides.
    pub remarks: Vec<String>,
    /// Every zone, in the order of their names.
    pub zones: Vec<ZoneReloaded>,
}

impl Reloaded {
    /// Whether everything was taken.
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty() && self.zones.iter().all(|zone| zone.problems.is_empty())
    }
}

/// What a reload did to one zone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ZoneReloaded {
    /// Its apex.
    pub origin: String,
    /// What became of it.
    pub outcome: Outcome,
    /// What changed.
    pub changes: Vec<String>,
    /// What could not be taken, and why; what was served before goes on.
    pub problems: Vec<String>,
    /// Warnings that stand.
    pub warnings: Vec<String>,
}

/// What became of a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is new.
    Added,
    /// Something changed.
    Changed,
    /// Nothing did.
    Unchanged,
    /// Something changed, and something could not be taken: that goes on as it was before.
    ChangedInPart,
    /// Something could not be taken, and what was served before goes on.
    Kept,
    /// It is answered with SERVFAIL.
    Failed,
    /// Its content has not come yet from where it is fetched.
    Waiting,
    /// It is no longer served.
    Removed,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::ChangedInPart => "changed in part",
            Self::Kept => "kept",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::Removed => "removed",
        })
    }
}

/// Make keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Generate {
    /// The key folder that the person named, absolute: the server refuses when its own is another.
    pub folder: PathBuf,
    /// The algorithm's mnemonic or number.
    pub algorithm: String,
    /// `ksk`, `zsk` or `csk`; absent for a KSK and a ZSK.
    pub role: Option<String>,
}

/// Import key pairs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Import {
    /// The key folder, as in [`Generate::folder`].
    pub folder: PathBuf,
    /// Key files, either half, absolute.
    pub files: Vec<PathBuf>,
}

/// Withdraw a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Withdraw {
    /// Its tag.
    pub tag: u16,
    /// The person's reason.
    pub reason: String,
    /// Also when servers of its provider show it.
    #[serde(default)]
    pub served: bool,
}

/// Let a provider's key in again that a person withdrew.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Readmit {
    /// Its tag.
    pub tag: u16,
}

/// What a change of keys did.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct KeysChanged {
    /// The keys that the change was about.
    pub keys: Vec<KeyStatus>,
    /// What a person should know, such as that a key will not sign yet, and why.
    pub remarks: Vec<String>,
}

/// The keys of a zone, present and past.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KeyList {
    /// The keys.
    pub keys: Vec<KeyStatus>,
    /// What a person should see to.
    pub warnings: Vec<String>,
}

/// DS records in master format.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DsRecords {
    /// One record each.
    pub records: Vec<String>,
}

/// The time that was accepted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClockAccepted {
    /// Wall time.
    pub now: UnixTime,
    /// The zones whose plan was told.
    #[serde(default)]
    pub told: Vec<String>,
    /// Why the plan of a zone was not told.
    #[serde(default)]
    pub problems: Vec<String>,
}

impl ClockAccepted {
    /// What was told of it.
    pub fn of(setting: &Setting, told: &Told) -> Self {
        let zones = told.zones.iter().map(|(zone, _)| zone.to_string());
        let spoiled = told.spoiled.iter().map(|(zone, why)| {
            format!("the plan of {zone} was not told, and does not go on: its journal cannot be read: {why}")
        });
        Self {
            now: setting.to,
            told: zones.collect(),
            problems: spoiled.collect(),
        }
    }
}

/// Why something was not done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// What is wrong.
    pub error: String,
    /// What to do.
    pub advice: Option<String>,
}

/// What is done at the other providers of a zone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum PeerAction {
    /// Nothing; the last report is given.
    Status,
    /// Their keys are looked at, and taken: pull.
    Pull {
        /// A person says that the provider's API is to be believed.
        trust_api: bool,
    },
    /// They are given ours.
    Push,
    /// The provider is made to sign the zone.
    EnableDnssec,
    /// Our keys are taken out there.
    Withdraw {
        /// The person's reason.
        reason: String,
        /// Also where resolvers are sent to this server, or nobody knows.
        #[serde(default)]
        served: bool,
    },
    /// Both.
    Sync {
        /// A person says that the provider's API is to be believed.
        trust_api: bool,
    },
}

/// What is to be done at the other providers of a zone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PeerRequest {
    /// Only at this one.
    pub provider: Option<String>,
    /// What.
    #[serde(flatten)]
    pub action: PeerAction,
}

/// The other providers of a zone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PeersReport {
    /// One each.
    pub peers: Vec<PeerReport>,
}

/// A zone at another provider, as it was last seen.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PeerReport {
    /// The zone.
    pub zone: String,
    /// The provider, by the configuration's name.
    pub provider: String,
    /// When it was last looked at; absent before the first look.
    pub looked: Option<UnixTime>,
    /// Why what it shows is believed.
    pub trusted: Option<String>,
    /// Whether every server shows every key of both, and nothing is amiss.
    pub in_step: bool,
    /// Since when some server, or the API, lacks keys of ours.
    pub lagging_since: Option<UnixTime>,
    /// What its API says.
    pub api: Option<PeerApi>,
    /// Its name servers.
    pub servers: Vec<PeerServer>,
    /// The name servers of the parent; `theirs` are the tags of the DS records.
    pub parent: Vec<PeerServer>,
    /// What a person should know.
    pub findings: Vec<PeerFinding>,
    /// What was given to it at this visit.
    pub gift: Option<String>,
    /// Records that a person has to add there.
    pub by_hand: Vec<String>,
}

impl PeerReport {
    /// Before the first look.
    pub fn unseen(zone: &crate::wire::Name, provider: &str) -> Self {
        Self {
            zone: zone.to_string(),
            provider: provider.to_owned(),
            ..Self::default()
        }
    }
}

/// What a provider's API says of its keys, by their tags.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PeerApi {
    /// Whether it signs the zone.
    pub signs: bool,
    /// Its own keys.
    pub own: Vec<u16>,
    /// Those that it holds as ours.
    pub ours: Vec<u16>,
    /// Those that others gave it.
    pub others: Vec<u16>,
}

/// What one server shows, by the tags of the keys.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PeerServer {
    /// Its name and address.
    pub at: String,
    /// Why nothing was seen there.
    pub failed: Option<String>,
    /// The TTL of its DNSKEY RRset.
    pub ttl: Option<u32>,
    /// Keys that are not ours.
    pub theirs: Vec<u16>,
    /// Keys that are or were ours.
    pub ours: Vec<u16>,
    /// Keys of ours that it should show and does not.
    pub lacking: Vec<u16>,
    /// The keys that sign its DNSKEY RRset.
    pub signers: Vec<u16>,
}

/// Something that a person should know of a provider.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PeerFinding {
    /// How much it matters.
    pub severity: crate::multisigner::Severity,
    /// What it is, and what to do.
    pub what: String,
}

/// What a person wants of the keys or the providers of a zone.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PlanWanted {
    /// `join`, `leave`, `roll-zsk`, `roll-ksk`, `roll-csk`, `algorithm`, `emergency`, `standby` or `follow`.
    pub kind: String,
    /// The provider that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The tag of our key that shall go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<u16>,
    /// The tag of our key that shall take over; without it one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<u16>,
    /// What an emergency gives up: `availability`, `standby` or `security`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The algorithm to go over to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
}

/// `POST /v1/zones/ORIGIN/plan`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum PlanOrder {
    /// Show what would be done.
    Plan {
        /// What for.
        wanted: PlanWanted,
    },
    /// Carry it out.
    Apply {
        /// What for.
        wanted: PlanWanted,
        /// Why it is carried out though it is not safe.
        force: Option<String>,
    },
    /// Begin nothing more.
    Pause {
        /// Why.
        why: String,
    },
    /// Go on.
    Resume,
    /// A person did their part of the step that was begun, where nothing can be seen of it.
    Done,
    /// Give it up, and take back what can be taken back.
    Abort {
        /// Why.
        why: String,
        /// Give up a journal that was cut or altered.
        forget_journal: bool,
        /// Take nothing back, whether or not that could be done.
        #[serde(default)]
        as_it_is: bool,
    },
}

/// What became of an order.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PlanReply {
    /// The zone.
    pub zone: String,
    /// For people.
    pub text: String,
    /// Whether the plan that is shown hurts no validator.
    pub safe: bool,
    /// The plan that is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<serde_json::Value>,
    /// Whether it is carried out now.
    pub adopted: bool,
    /// The plan that is carried out, or was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<PlanStatus>,
}

/// A plan that is carried out, or was.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PlanStatus {
    /// What is to be achieved.
    pub goal: String,
    /// `running`, `halted`, `paused`, `reached`, `given up` or `spoiled`.
    pub state: String,
    /// What it waits for, or why it is halted, or was given up.
    pub why: Option<String>,
    /// Until when it waits, where that is a matter of time.
    pub until: Option<UnixTime>,
    /// Since when.
    pub since: Option<UnixTime>,
    /// What nobody planned, and no person has looked at.
    pub alarm: Option<String>,
    /// What nobody planned, and let resolvers find answers bogus: the last such story, and when it was told.
    #[serde(default)]
    pub harm: Option<(UnixTime, String)>,
    /// Time that does not count for its waits, and why.
    #[serde(default)]
    pub uncounted: Option<String>,
    /// Times of the configuration that were raised while it goes on, and what it reckons with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub raised: Vec<String>,
    /// Why it is carried out though it is not safe.
    pub forced: Option<String>,
    /// What came of telling the parent that CDS or CSYNC has changed (RFC 9859).
    #[serde(default)]
    pub parent_told: Option<String>,
    /// Its steps.
    pub steps: Vec<PlanStep>,
}

/// A step of it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PlanStep {
    /// Its number, from 1.
    pub number: usize,
    /// What it is.
    pub what: String,
    /// When it was begun.
    pub begun: Option<UnixTime>,
    /// When every server showed it.
    pub seen: Option<UnixTime>,
    /// Where a person acts, as long as it is not seen.
    pub place: Option<String>,
    /// What the person pastes there, one record a line.
    pub paste: Vec<String>,
    /// How to go back from here.
    pub back: String,
}

impl fmt::Display for PlanStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "plan: {} ({})", self.goal, self.state)?;
        if let Some(why) = &self.why {
            writeln!(f, "  {why}")?;
        }
        if let Some(until) = &self.until {
            writeln!(f, "  until {until}")?;
        }
        if let Some(alarm) = &self.alarm {
            writeln!(f, "  ALARM: {alarm}")?;
        }
        if let Some((at, story)) = &self.harm {
            let story = story.replace('\n', "\n  ");
            writeln!(
                f,
                "  {at}: what nobody planned let resolvers find answers bogus: {story}"
            )?;
        }
        if let Some(uncounted) = &self.uncounted {
            writeln!(f, "  {uncounted}")?;
        }
        for raised in &self.raised {
            writeln!(f, "  {raised}")?;
        }
        if let Some(forced) = &self.forced {
            writeln!(f, "  forced: {forced}")?;
        }
        if let Some(told) = &self.parent_told {
            writeln!(f, "  {told}")?;
        }
        let next = self.steps.iter().position(|step| step.seen.is_none());
        for (number, step) in self.steps.iter().enumerate() {
            let mark = match (step.seen, step.begun) {
                (Some(seen), _) => format!("seen everywhere {seen}"),
                (None, Some(begun)) => format!("begun {begun}"),
                (None, None) => "to come".to_owned(),
            };
            writeln!(f, "  {}. {} ({mark})", step.number, step.what)?;
            if Some(number) == next {
                if let Some(place) = &step.place {
                    writeln!(f, "     a person does this {place}:")?;
                }
                for line in &step.paste {
                    writeln!(f, "       {line}")?;
                }
                writeln!(f, "     to go back: {}", step.back)?;
            }
        }
        Ok(())
    }
}
