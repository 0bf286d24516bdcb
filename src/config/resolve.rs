//! From the file, or from the command line, to what the layers are given.

use super::{
    file::{File, ZoneFile},
    listen::check_listen,
    problem::{Position, Problem},
    provider::resolve_providers,
    read::{At, Reader, read_table},
    settings::{Config, ZoneSettings, default_state},
    source::{self, ContentSource},
    vantage,
};
use crate::{
    answer::Overload,
    dnssec::{denial::Denial, sign::LONGEST_VALIDITY},
    wire::{Name, Ttl},
};
use std::{
    collections::HashMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};
use toml::de::DeTable;

/// The largest configuration file that is read, in octets: 100,000 zones fit.
const MAX_FILE: u64 = 64 << 20;

/// The longest name server identifier, in octets: it rides in every answer to those who ask for it.
const MAX_NSID: usize = 128;

/// How long signatures may be valid: below a week, TTLs of a day or two would have to be lowered.
const VALIDITY: std::ops::RangeInclusive<Duration> = Duration::from_secs(7 * 86_400)..=LONGEST_VALIDITY;

/// The TTLs that a DNSKEY RRset may have: what resolvers hold for longer holds up every change of keys.
const DNSKEY_TTLS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(7 * 86_400);

/// Reads the file at `path`.
///
/// # Errors
/// Every problem in it, in order of place.
pub fn load(path: &Path) -> Result<Config, Vec<Problem>> {
    let unreadable = |why: String| {
        let what = format!("cannot be read ({why}); name another with -c FILE");
        vec![Problem {
            file: path.to_owned(),
            at: Position::START,
            what,
        }]
    };
    let mut text = Vec::new();
    let file = fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
    file.take(MAX_FILE + 1)
        .read_to_end(&mut text)
        .map_err(|error| unreadable(error.to_string()))?;
    if text.len() as u64 > MAX_FILE {
        return Err(unreadable(format!("larger than {MAX_FILE} octets")));
    }
    parse(&text, path)
}

/// Reads a file's `text`; relative paths in it start at the folder of `path`.
///
/// # Errors
/// Every problem in it, in order of place.
pub fn parse(text: &[u8], path: &Path) -> Result<Config, Vec<Problem>> {
    let mut reader = Reader::new(text);
    let file = read_text(text, &mut reader);
    let config = file.and_then(|file| resolve(file, path, &mut reader));
    let mut found = reader.problems;
    found.sort();
    found.dedup();
    match config {
        Some(config) if found.is_empty() => Ok(config),
        _ => Err(found
            .into_iter()
            .map(|(at, what)| Problem {
                file: path.to_owned(),
                at,
                what,
            })
            .collect()),
    }
}

fn read_text(text: &[u8], reader: &mut Reader<'_>) -> Option<File> {
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            reader.problem(error.valid_up_to(), "not UTF-8 here; save the file as UTF-8 text");
            return None;
        }
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut last_line = 0;
    for error in &errors {
        let offset = error.span().map_or(0, |span| span.start);
        // One slip makes the parser speak several times; the first on a line says most.
        let line = reader.position(offset).line;
        if line != last_line {
            reader.problem(offset, format!("not TOML: {}", error.message()));
        }
        last_line = line;
    }
    // What follows from broken text is noise: absent settings may stand in the broken part, and a value that
    // shares its line with a syntax error was only guessed.
    reader.forgive_absence = !errors.is_empty();
    let broken: Vec<u32> = reader.problems.iter().map(|(at, _)| at.line).collect();
    let syntax = std::mem::take(&mut reader.problems);
    let file = read_table(table.get_ref(), 0, reader);
    // A value that is not there has no place, which reads as the start.
    reader
        .problems
        .retain(|(at, _)| !broken.contains(&at.line) && (broken.is_empty() || *at != Position::START));
    reader.problems.extend(syntax);
    file
}

fn resolve(file: File, path: &Path, reader: &mut Reader<'_>) -> Option<Config> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let broken = reader.forgive_absence;
    let mut problem = |at: Position, what: String| reader.problems.push((at, what));
    check_server(&file, &mut problem);
    if file.zone.is_empty() && !broken {
        problem(
            Position::START,
            "no zone; add a [[zone]] with its origin and its file".to_owned(),
        );
    }
    check_zones(&file.zone, &mut problem);
    let providers = resolve_providers(&file, folder, &mut problem);
    let vantages = vantage::resolve_vantages(&file, &mut problem);
    let keys = source::resolve_keys(&file, folder, &mut problem);
    let known = source::Known {
        providers: &providers,
        keys: &keys,
        folder,
        forgive_absence: broken,
    };
    let zones = file.zone.iter().filter_map(|zone| {
        let source = source::resolve(zone, known, &mut problem)?;
        Some(resolve_zone(zone, source, folder))
    });
    let zones = zones.collect();
    Some(Config {
        source: Some(path.to_owned()),
        listen: file.listen.value.iter().map(|address| address.value).collect(),
        public_addresses: file.public_addresses,
        state: file.state.map_or_else(default_state, |state| folder.join(state)),
        keys: folder.join(&file.keys.value),
        user: file.user,
        nsid: file.nsid.map(|nsid| nsid.value.into_bytes()).unwrap_or_default(),
        log: file.log,
        udp: file.udp,
        tcp: file.tcp,
        signing: file.signing,
        monitor: file.monitor.into(),
        resolvers: file.resolvers.iter().map(|address| address.value).collect(),
        vantages,
        providers,
        zones,
    })
}

/// What is wrong with the settings that belong to no zone.
fn check_server(file: &File, problem: &mut impl FnMut(Position, String)) {
    if file.listen.value.is_empty() {
        problem(
            file.listen.at,
            "no address; add one, as \"127.0.0.1:5300\"".to_owned(),
        );
    }
    check_listen(&file.listen.value, problem);
    if let Some(nsid) = file.nsid.as_ref().filter(|nsid| nsid.value.len() > MAX_NSID) {
        problem(
            nsid.at,
            format!("longer than {MAX_NSID} octets; choose a shorter identifier"),
        );
    }
    if let Some(url) = &file.monitor.webhook
        && !url.value.starts_with("https://")
        && !url.value.starts_with("http://")
    {
        let what = "expected an address that begins with \"https://\" or \"http://\"";
        problem(url.at, what.to_owned());
    }
}

/// What is wrong with the zones, apart from where their content comes from.
fn check_zones(zones: &[ZoneFile], problem: &mut impl FnMut(Position, String)) {
    let mut first: HashMap<&Name, Position> = HashMap::new();
    for zone in zones {
        if let Some(earlier) = first.get(&zone.origin.value) {
            let what = format!(
                "the zone {} is there already, at line {}; remove one of them",
                zone.origin.value, earlier.line
            );
            problem(zone.origin.at, what);
        } else {
            first.insert(&zone.origin.value, zone.origin.at);
        }
        let validity = zone.signature_validity.as_ref();
        if let Some(validity) = validity.filter(|validity| !VALIDITY.contains(&validity.value)) {
            let what = "signatures are valid for a week at least (\"7d\") and a year at most (\"365d\")";
            problem(validity.at, what.to_owned());
        }
        if zone.denial == Denial::Nsec3 && zone.overload.value == Overload::Ranges {
            let what =
                "ranges tell the names that denial = \"nsec3\" hides; choose \"truncate\", or another denial";
            problem(zone.overload.at, what.to_owned());
        }
        if !DNSKEY_TTLS.contains(&zone.dnskey_ttl.value) {
            let what =
                "the TTL of the DNSKEY RRset is a second at least (\"1s\") and a week at most (\"7d\")";
            problem(zone.dnskey_ttl.at, what.to_owned());
        }
    }
}

fn resolve_zone(zone: &ZoneFile, source: ContentSource, folder: &Path) -> ZoneSettings {
    let place = |path: &At<PathBuf>| (folder.join(&path.value), Some(path.at));
    ZoneSettings {
        origin: zone.origin.value.clone(),
        at: Some(zone.origin.at),
        source,
        largest_shrink: zone.largest_shrink.0 as u8,
        name_servers: zone.name_servers.iter().map(|name| name.value.clone()).collect(),
        external_keys: zone.external_keys.iter().map(place).collect(),
        providers: zone.providers.iter().map(|name| name.value.clone()).collect(),
        exchange_keys: zone.exchange_keys,
        parent: zone.parent.iter().map(|server| server.value.clone()).collect(),
        parent_propagation: zone.parent_propagation,
        our_servers: zone.our_servers.iter().map(|name| name.value.clone()).collect(),
        dnskey_ttl: Ttl::new(u32::try_from(zone.dnskey_ttl.value.as_secs()).unwrap_or(u32::MAX)),
        safety_margin: zone.safety_margin,
        follow: zone.follow,
        denial: zone.denial,
        overload: zone.overload.value,
        cds: zone.cds,
        csync: zone.csync,
        signature_validity: zone.signature_validity.as_ref().map(|validity| validity.value),
        auto_keys: zone.auto_keys,
    }
}

#[cfg(test)]
mod tests;
