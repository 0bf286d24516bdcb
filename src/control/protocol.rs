//! What is said over the control socket: requests and responses in JSON, shared by both sides. `--json` prints
//! the responses as they are, so a field that is here stays.

use std::{fmt, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    answer::{counters::Totals, warm::SignatureState},
    clock::UnixTime,
    serve::Counters,
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
}

/// One zone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ZoneStatus {
    /// Its apex.
    pub origin: String,
    /// Its master file.
    pub file: PathBuf,
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
    /// How long its signatures are valid, in seconds.
    pub signature_validity_seconds: u64,
    /// The keys in its DNSKEY RRset.
    pub keys: Vec<KeyStatus>,
    /// Its signatures.
    pub signatures: SignatureState,
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
    /// Ours: `held`, `published`, `active`, `retired`, `gone`, `lost`; a provider's: `seen`, `kept`, `withdrawn`.
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
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ClockAccepted {
    /// Wall time.
    pub now: UnixTime,
}

/// Why something was not done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// What is wrong.
    pub error: String,
    /// What to do.
    pub advice: Option<String>,
}
