//! Reading one zone from its master file: the reader and the builder put together, and what both found as lines
//! that a person can go to.

use std::path::{Path, PathBuf};

use super::content::{fingerprint_of, ttl_limit};
use crate::{
    dnssec::key::Dnskey,
    wire::NameRef,
    zone::{
        Finding, Place, Severity, Zone, ZoneBuilder,
        master::{self, Source},
    },
};

/// A zone as its file has it.
#[derive(Debug)]
pub struct ZoneFile {
    /// The content, without key sets of ours.
    pub zone: Zone,
    /// Equal for equal content, whatever the order and layout of the file; of meaning in this process only.
    pub fingerprint: u64,
    /// Apex DNSKEY records in the file, which are left out.
    pub left_out_keys: Vec<Dnskey>,
    /// What is worth a word, as `FILE:LINE:COL: what`.
    pub warnings: Vec<String>,
}

/// A zone file that cannot be served.
#[derive(Debug)]
pub struct Unusable {
    /// Every error, as `FILE:LINE:COL: what`.
    pub errors: Vec<String>,
    /// What is worth a word besides.
    pub warnings: Vec<String>,
}

/// Reads the zone at `origin` from `path`. `validity` is what the person set, if anything: it bounds the TTLs.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn read(
    path: &Path,
    origin: NameRef<'_>,
    validity: Option<std::time::Duration>,
    hasher: &ahash::RandomState,
) -> Result<ZoneFile, Unusable> {
    let mut builder = ZoneBuilder::new(origin, ttl_limit(validity));
    let mut fingerprint = 0u64;
    let read = master::read(&Source::File(path), origin, &mut |entry| {
        // A sum does not mind the order of the records.
        let record = fingerprint_of(hasher, entry.owner, entry.rtype, entry.ttl, entry.rdata);
        fingerprint = fingerprint.wrapping_add(record);
        builder.add(&entry);
    });
    let line = |at: Place, what: &dyn std::fmt::Display| line(&read.files, path, at, what);
    let mut warnings: Vec<String> = read.warnings.iter().map(|found| line(found.at, found)).collect();
    if !read.errors.is_empty() {
        let mut errors: Vec<String> = read.errors.iter().map(|found| line(found.at, found)).collect();
        if read.more_errors > 0 {
            let more = format!(
                "{} more errors follow; mend the first ones first",
                read.more_errors
            );
            errors.push(line(Place::default(), &more));
        }
        return Err(Unusable { errors, warnings });
    }
    let built = builder.finish();
    let findings = match &built {
        Ok(built) => &built.findings,
        Err(error) => &error.findings,
    };
    let of = |severity| {
        let some = findings
            .iter()
            .filter(move |found: &&Finding| found.severity == severity);
        some.map(|found| line(found.at.unwrap_or_default(), &found.what))
            .collect::<Vec<_>>()
    };
    warnings.extend(of(Severity::Warning));
    let built = match &built {
        Ok(_) => built.expect("just looked"),
        Err(_) => {
            return Err(Unusable {
                errors: of(Severity::Error),
                warnings,
            });
        }
    };
    if built.dropped > 0 {
        let what = format!(
            "{} DNSSEC records (RRSIG, NSEC, DNSKEY and their like) are left out: this server makes its own",
            built.dropped
        );
        warnings.push(line(Place::default(), &what));
    }
    let left_out_keys = built
        .dropped_dnskeys
        .iter()
        .filter_map(|rdata| Dnskey::from_rdata(rdata).ok());
    Ok(ZoneFile {
        fingerprint,
        left_out_keys: left_out_keys.collect(),
        warnings,
        zone: built.zone,
    })
}

/// A finding without a place is about the file as a whole, which is its first line.
fn line(files: &[PathBuf], named: &Path, at: Place, what: &dyn std::fmt::Display) -> String {
    let file = files.get(usize::from(at.file)).map_or(named, PathBuf::as_path);
    format!(
        "{}:{}:{}: {what}",
        file.display(),
        at.line.max(1),
        at.column.max(1)
    )
}
