//! Records in, content out: a whole version as it comes, or changes to what we have.

use super::{Content, Digest, Fetched, fingerprint_of};
use crate::{
    client::transfer::Delta,
    clock::UnixTime,
    dnssec::key::Dnskey,
    store::replica::{NewBase, Replica, ReplicaError},
    wire::{Name, NameRef, RrType, Serial, Ttl, received::Record},
    zone::{
        Change, ChangeError, Entry, Finding, Place, Severity, ZoneBuilder,
        zonemd::{Collector, Failure, Verdict},
    },
};

/// How many findings of a version are told.
const MOST_FINDINGS: usize = 20;

/// Why a whole version is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Its records make no zone.
    #[error("it makes no zone: {}", .0.join("; "))]
    NoZone(Vec<String>),
    /// It is not what its digest says.
    #[error("it is not what it says it is")]
    Digest(#[source] Failure),
    /// It cannot be made durable.
    #[error(transparent)]
    Copy(#[from] ReplicaError),
}

/// Takes the records of a whole version as they come: into a zone, and into a new base of the copy.
#[derive(Debug)]
pub struct Receiver {
    apex: Name,
    origin: String,
    builder: ZoneBuilder,
    new: NewBase,
    hasher: ahash::RandomState,
    fingerprint: u64,
    has_digest: bool,
    left_out: u64,
    findings: Vec<String>,
}

impl Receiver {
    /// Begins a version of the zone at `apex`.
    ///
    /// # Errors
    /// When the file of the copy cannot be made.
    pub fn begin(
        apex: &Name,
        origin: String,
        ttl_limit: Ttl,
        replica: &Replica,
        hasher: &ahash::RandomState,
    ) -> Result<Self, ReplicaError> {
        Ok(Self {
            apex: apex.clone(),
            new: replica.begin(&origin)?,
            origin,
            builder: ZoneBuilder::new(apex.as_ref(), ttl_limit),
            hasher: hasher.clone(),
            fingerprint: 0,
            has_digest: false,
            left_out: 0,
            findings: Vec::new(),
        })
    }

    /// What the source said of the version besides: records that it left out itself, and remarks.
    pub fn was_told(&mut self, left_out: u64, remarks: Vec<String>) {
        self.left_out += left_out;
        self.findings.extend(remarks.into_iter().take(MOST_FINDINGS));
    }

    /// Takes the next record.
    pub fn take(&mut self, record: &Record) {
        let entry = entry_of(record);
        self.has_digest |= is_digest(&entry, &self.apex);
        self.fingerprint = self.fingerprint.wrapping_add(hash(&self.hasher, &entry));
        self.builder.add(&entry);
        self.new.push(entry.owner, entry.rtype, entry.ttl, entry.rdata);
    }

    /// Makes the content, and gives the base, which is not the copy yet.
    ///
    /// # Errors
    /// When it makes no zone, is not what its digest says, or could not be written.
    pub fn finish(mut self) -> Result<(Content, NewBase), Unusable> {
        let digest = if self.has_digest {
            self.verify()?
        } else {
            Digest::Absent
        };
        let built = self
            .builder
            .finish()
            .map_err(|error| Unusable::NoZone(lines(&error.findings, Severity::Error)))?;
        let left_out = self.left_out + built.dropped as u64;
        self.new.set_left_out(left_out);
        let mut findings = self.findings;
        findings.extend(lines(&built.findings, Severity::Warning));
        if digest == Digest::Unsupported {
            findings.push(
                "its ZONEMD records are of kinds that are not known here, so they were not checked"
                    .to_owned(),
            );
        }
        let content = Content {
            zone: built.zone,
            fingerprint: self.fingerprint,
            left_out_keys: keys(&built.dropped_dnskeys),
            fetched: Some(Fetched {
                origin: self.origin,
                left_out,
                digest,
                findings,
            }),
        };
        Ok((content, self.new))
    }

    /// The digest is over everything that came, so it is taken from the file: no zone holds that.
    fn verify(&mut self) -> Result<Digest, Unusable> {
        let mut collector = Collector::new(self.apex.as_ref());
        self.new.read_back(&mut |entry| {
            collector.take(entry.owner, entry.rtype, entry.ttl, entry.rdata);
        })?;
        match collector.verdict() {
            Verdict::Absent => Ok(Digest::Absent),
            Verdict::Verified { .. } => Ok(Digest::Verified),
            Verdict::Unsupported { .. } => Ok(Digest::Unsupported),
            Verdict::Failed(failure) => Err(Unusable::Digest(failure)),
        }
    }
}

/// Why changes are not made to what we have; then the whole version is asked for.
#[derive(Debug, thiserror::Error)]
pub enum NotChanged {
    /// They do not fit it.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// They bring a digest over the whole zone.
    #[error("it has a digest, which needs all of the zone")]
    Digest,
}

impl Content {
    /// The content that comes of changes, one after the other; and how many records went and came.
    ///
    /// # Errors
    /// When they do not fit, or a digest forbids to take the zone in pieces.
    pub fn changed(
        &self,
        deltas: &[Delta],
        ttl_limit: Ttl,
        hasher: &ahash::RandomState,
    ) -> Result<(Self, usize, usize), NotChanged> {
        let apex = self.zone.apex().to_owned();
        let mut change = Change::new(&self.zone, ttl_limit);
        let mut fingerprint = self.fingerprint;
        for delta in deltas {
            for entry in delta.removed.iter().map(entry_of) {
                change.remove(&entry)?;
                fingerprint = fingerprint.wrapping_sub(hash(hasher, &entry));
            }
            for entry in delta.added.iter().map(entry_of) {
                if is_digest(&entry, &apex) {
                    return Err(NotChanged::Digest);
                }
                change.add(&entry)?;
                fingerprint = fingerprint.wrapping_add(hash(hasher, &entry));
            }
        }
        let changed = change.finish()?;
        let gone = keys(&changed.dnskeys_removed);
        let stay = self.left_out_keys.iter().filter(|key| !gone.contains(key));
        let content = Self {
            left_out_keys: stay.cloned().chain(keys(&changed.dnskeys_added)).collect(),
            zone: changed.zone,
            fingerprint,
            fetched: self.fetched.clone(),
        };
        Ok((content, changed.removed, changed.added))
    }

    /// Writes it as the base of its copy, in place of a base and a log that grew long. What other signers made is not
    /// in it any more, but for their keys.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn rewrite(&self, replica: &mut Replica, now: UnixTime) -> Result<(), ReplicaError> {
        let fetched = self.fetched.as_ref();
        let mut new = replica.begin(fetched.map_or("", |fetched| &fetched.origin))?;
        for node in self.zone.nodes() {
            for set in node.rrsets() {
                for rdata in set.rdatas() {
                    new.push(node.name(), set.rtype(), set.ttl(), rdata);
                }
            }
        }
        for key in &self.left_out_keys {
            new.push(self.zone.apex(), RrType::DNSKEY, Ttl::default(), key.rdata());
        }
        new.set_left_out(fetched.map_or(0, |fetched| fetched.left_out));
        replica.finish(new, Serial(self.zone.serial()), now)
    }
}

/// Reads content from its copy; gives when it was last known to be current. `None`: there is no copy.
///
/// # Errors
/// When the copy is spoiled, or its records make no zone.
pub fn read_copy(
    apex: &Name,
    ttl_limit: Ttl,
    replica: &mut Replica,
    hasher: &ahash::RandomState,
) -> Result<Option<(Content, UnixTime)>, Unusable> {
    let mut builder = ZoneBuilder::new(apex.as_ref(), ttl_limit);
    let (mut fingerprint, mut has_digest) = (0_u64, false);
    let head = replica.read_base(&mut |entry| {
        has_digest |= is_digest(entry, apex);
        fingerprint = fingerprint.wrapping_add(hash(hasher, entry));
        builder.add(entry);
    })?;
    let Some(head) = head else { return Ok(None) };
    let built = builder
        .finish()
        .map_err(|error| Unusable::NoZone(lines(&error.findings, Severity::Error)))?;
    let content = Content {
        zone: built.zone,
        fingerprint,
        left_out_keys: keys(&built.dropped_dnskeys),
        fetched: Some(Fetched {
            origin: head.origin,
            left_out: head.left_out,
            digest: if has_digest { Digest::Kept } else { Digest::Absent },
            findings: lines(&built.findings, Severity::Warning),
        }),
    };
    let content = with_log(content, apex, ttl_limit, replica, hasher)?;
    Ok(Some((content, head.current_at)))
}

fn with_log(
    content: Content,
    apex: &Name,
    ttl_limit: Ttl,
    replica: &mut Replica,
    hasher: &ahash::RandomState,
) -> Result<Content, Unusable> {
    let mut deltas = Vec::new();
    let log = replica.read_log(&mut |delta| {
        deltas.push(delta);
        true
    })?;
    if log.dropped > 0 {
        tracing::warn!(zone = %apex, "{} octets at the end of the copy's log are torn; the source is asked for what is missing", log.dropped);
    }
    if deltas.is_empty() {
        return Ok(content);
    }
    match content.changed(&deltas, ttl_limit, hasher) {
        Ok((changed, ..)) => Ok(changed),
        // They fitted once. Whatever is different now, a base alone is a version of the zone too.
        Err(why) => {
            tracing::warn!(zone = %apex, "the copy's log does not fit its base: {why}; the source is asked for what is missing");
            replica.read_base(&mut |_| {})?;
            replica.read_log(&mut |_| false)?;
            Ok(content)
        }
    }
}

fn entry_of(record: &Record) -> Entry<'_> {
    Entry {
        owner: record.owner.as_ref(),
        rtype: record.rtype,
        ttl: record.ttl,
        rdata: &record.rdata,
        at: Place::default(),
    }
}

fn hash(hasher: &ahash::RandomState, entry: &Entry<'_>) -> u64 {
    fingerprint_of(hasher, entry.owner, entry.rtype, entry.ttl, entry.rdata)
}

fn is_digest(entry: &Entry<'_>, apex: &Name) -> bool {
    entry.rtype == RrType::ZONEMD && is_named(entry.owner, apex)
}

fn is_named(owner: NameRef<'_>, name: &Name) -> bool {
    owner.as_wire().eq_ignore_ascii_case(name.as_wire())
}

fn keys(rdatas: &[Box<[u8]>]) -> Vec<Dnskey> {
    rdatas
        .iter()
        .filter_map(|rdata| Dnskey::from_rdata(rdata).ok())
        .collect()
}

fn lines(findings: &[Finding], severity: Severity) -> Vec<String> {
    let of_severity = findings.iter().filter(|finding| finding.severity == severity);
    of_severity
        .map(|finding| finding.what.clone())
        .take(MOST_FINDINGS)
        .collect()
}
