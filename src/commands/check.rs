//! `countersign check`: every problem of the configuration, its zones and keys at once, and nothing changed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    access::{Access, open},
    arguments::CheckArguments,
    outcome::{Failure, Report, chain},
};
use crate::{
    client::tsig::TsigKey,
    clock::{Clock, SystemClock, UnixTime},
    config::{self, Config, ContentSource, Position, Problem, ZoneSettings},
    control::zonefile,
    dnssec::{
        custody::{self, CustodyError, Level, Policy, Request},
        external::ExternalError,
        keyfile::KeyFileError,
        keyset::Publishing,
        register::{Journal, MemoryJournal},
    },
};

/// What was found, as lines.
#[derive(Debug, Default, serde::Serialize)]
struct Found {
    problems: Vec<String>,
    warnings: Vec<String>,
}

pub(super) fn run(arguments: &CheckArguments) -> Result<Report, Failure> {
    let mut found = Found::default();
    match config::load(&arguments.config) {
        Err(problems) => found.problems = problems.iter().map(ToString::to_string).collect(),
        Ok(config) => {
            for zone in &config.zones {
                check_zone(&config, zone, &mut found);
            }
            check_keys(&config, &mut found);
        }
    }
    let negative = !found.problems.is_empty();
    let report = if arguments.json.json {
        Report::json(&found)
    } else {
        let problems = found.problems.iter().map(|problem| format!("{problem}\n"));
        let warnings = found
            .warnings
            .iter()
            .map(|warning| format!("{}\n", mark(warning)));
        Report::of(problems.chain(warnings).collect::<String>())
    };
    Ok(report.negative(negative))
}

/// `FILE:LINE:COL: what` becomes `FILE:LINE:COL: warning: what`.
fn mark(warning: &str) -> String {
    match warning.split_once(": ") {
        Some((place, what)) => format!("{place}: warning: {what}"),
        None => format!("warning: {warning}"),
    }
}

fn check_zone(config: &Config, zone: &ZoneSettings, found: &mut Found) {
    let file = match &zone.source {
        ContentSource::File { path, .. } => path,
        ContentSource::Axfr { tsig, .. } => {
            if let Some(key) = tsig
                && let Err(error) = TsigKey::from_file(key.name.clone(), key.algorithm, &key.secret_file)
            {
                found.problems.push(at(config, key.at, chain(&error)));
            }
            return;
        }
        ContentSource::Ns1 { .. } => return,
    };
    if let Err(error) = fs::File::open(file) {
        let what = format!(
            "{} cannot be read ({error}); mend the path or the file",
            file.display()
        );
        found.problems.push(at(config, zone.spot(), what));
        return;
    }
    let hasher = ahash::RandomState::new();
    match zonefile::read(file, zone.origin.as_ref(), zone.signature_validity, &hasher) {
        Ok(read) => found.warnings.extend(read.warnings),
        Err(unusable) => {
            found.problems.extend(unusable.errors);
            found.warnings.extend(unusable.warnings);
        }
    }
}

/// A problem at a place in the configuration file.
fn at(config: &Config, spot: Option<Position>, what: String) -> String {
    let file = config.source.clone().unwrap_or_default();
    Problem {
        file,
        at: spot.unwrap_or(Position::START),
        what,
    }
    .to_string()
}

/// Asks the custodian of keys what it would say. The register is read where it is to be had: while a server
/// holds it, its keys are that server's business, and files and folder are judged alone.
fn check_keys(config: &Config, found: &mut Found) {
    let (journal, now): (Box<dyn Journal>, UnixTime) = match open(&config.state) {
        Ok(Access::Store(store, clock)) => (Box::new(store), clock.now()),
        _ => (Box::new(MemoryJournal::default()), SystemClock::default().now()),
    };
    let details: Vec<(Vec<PathBuf>, Policy)> = config
        .zones
        .iter()
        .map(|zone| (files(zone), policy(zone)))
        .collect();
    let requests: Vec<Request<'_>> = config
        .zones
        .iter()
        .zip(&details)
        .map(|(zone, (external, policy))| Request {
            apex: &zone.origin,
            folder: &config.keys,
            external,
            providers: &zone.providers,
            observed: &[],
            policy,
            previous: None,
        })
        .collect();
    for (zone, examined) in config
        .zones
        .iter()
        .zip(custody::examine(&requests, &*journal, now))
    {
        let notes = match examined {
            Ok(notes) => notes,
            Err(refused) => {
                let problems = refused
                    .errors
                    .iter()
                    .map(|error| key_problem(config, zone, error));
                found.problems.extend(problems);
                refused.notes
            }
        };
        let notes = notes.into_iter().filter(|note| note.level() > Level::Info);
        found
            .warnings
            .extend(notes.map(|note| at(config, zone.spot(), format!("{}: {note}", zone.origin))));
    }
}

fn files(zone: &ZoneSettings) -> Vec<PathBuf> {
    zone.external_keys.iter().map(|(path, _)| path.clone()).collect()
}

fn policy(zone: &ZoneSettings) -> Policy {
    let publishing = Publishing {
        ttl: zone.dnskey_ttl,
        cds: zone.cds,
        csync: zone.csync,
    };
    Policy {
        make_keys: zone.auto_keys,
        publishing,
        ..Policy::default()
    }
}

/// A problem with keys, at the file it is about; at the zone in the configuration where it is about none.
fn key_problem(config: &Config, zone: &ZoneSettings, error: &CustodyError) -> String {
    let what = chain(error);
    let in_file = |file: &Path, line: u32| {
        let prefixes = [
            format!("{}:{line}: ", file.display()),
            format!("{}: ", file.display()),
        ];
        let what = prefixes
            .iter()
            .find_map(|prefix| what.strip_prefix(prefix))
            .unwrap_or(&what);
        Problem {
            file: file.to_owned(),
            at: Position { line, column: 1 },
            what: what.to_owned(),
        }
        .to_string()
    };
    match error {
        CustodyError::External(ExternalError::Line { file, line, .. }) => in_file(file, *line),
        CustodyError::External(ExternalError::Read { file, .. }) => {
            let named = zone
                .external_keys
                .iter()
                .find(|(path, _)| std::path::absolute(path).is_ok_and(|path| path == *file));
            at(config, named.and_then(|(_, spot)| *spot), what)
        }
        CustodyError::KeyFile(error) => match error {
            KeyFileError::Exposed { path, .. }
            | KeyFileError::Read { path, .. }
            | KeyFileError::Write { path, .. }
            | KeyFileError::Form { path, .. }
            | KeyFileError::Key { path, .. }
            | KeyFileError::OtherZone { path, .. }
            | KeyFileError::PublicAlone { path, .. }
            | KeyFileError::FileName { path }
            | KeyFileError::Exists { path } => in_file(path, 1),
        },
        _ => at(config, zone.spot(), format!("{}: {what}", zone.origin)),
    }
}
