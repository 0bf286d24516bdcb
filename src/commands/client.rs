//! The commands that speak with the running server: status, reload, ds, accept.

use std::{path::Path, time::Duration};

use super::{
    access::{Access, open},
    arguments::{AcceptCommand, AcceptContent, DsArguments, ReloadArguments, StateArgument, StatusArguments},
    outcome::{Failure, Report},
    table::Table,
};
use crate::{
    clock::UnixTime,
    control::{
        Client, ClientError, keys,
        protocol::{
            ClockAccepted, ContentStatus, DsRecords, KeyStatus, Outcome, Reloaded, Status, ZoneStatus,
        },
    },
    dnssec::{
        algorithm::DigestType,
        custody::union_ds,
        register::{Journal, Register},
    },
};

/// With more zones than this, `status` leaves out the keys, unless a zone is named.
const ZONES_WITH_KEYS: usize = 20;

pub(super) fn status(arguments: &StatusArguments) -> Result<Report, Failure> {
    let status = server(&arguments.state.folder()?)?.status(arguments.origin.as_ref())?;
    if arguments.json.json {
        return Ok(Report::json(&status));
    }
    Ok(Report::of(print_status(&status, arguments.origin.is_some())))
}

pub(super) fn reload(arguments: &ReloadArguments) -> Result<Report, Failure> {
    let reloaded = server(&arguments.state.folder()?)?.reload()?;
    let whole = reloaded.is_whole();
    let report = if arguments.json.json {
        Report::json(&reloaded)
    } else {
        Report::of(print_reloaded(&reloaded))
    };
    Ok(report.negative(!whole))
}

pub(super) fn accept(command: &AcceptCommand) -> Result<Report, Failure> {
    match command {
        AcceptCommand::Clock(state) => accept_clock(state),
        AcceptCommand::Content(content) => accept_content(content),
    }
}

fn accept_content(arguments: &AcceptContent) -> Result<Report, Failure> {
    let accepted = server(&arguments.state.folder()?)?.accept_content(&arguments.origin)?;
    let serial = accepted
        .serial
        .map_or(String::new(), |serial| format!(" with serial {serial}"));
    Ok(Report::of(format!("{} is served{serial}\n", accepted.zone)))
}

fn accept_clock(state: &StateArgument) -> Result<Report, Failure> {
    let accepted = match open(&state.folder()?)? {
        Access::Server(client) => client.accept_clock()?,
        Access::Store(store, clock) => {
            let setting = clock
                .setting()
                .map_err(|fault| Failure::new(format!("{fault}; set it first")))?;
            ClockAccepted::of(&setting, &store.set_clock(&setting)?)
        }
        Access::Nothing(absent) => return Err(absent.into()),
    };
    let mut out = format!("the clock is accepted: {}\n", accepted.now);
    for zone in &accepted.told {
        out.push_str(&format!("  the plan of {zone} is told\n"));
    }
    for problem in &accepted.problems {
        out.push_str(&format!("  problem: {problem}\n"));
    }
    Ok(Report::of(out).negative(!accepted.problems.is_empty()))
}

pub(super) fn ds(arguments: &DsArguments) -> Result<Report, Failure> {
    let zone = &arguments.zone.origin;
    let records = match open(&arguments.zone.state.folder()?)? {
        Access::Server(client) => client.ds(zone)?,
        Access::Store(store, _) => {
            let register = Register::of(&store.events(zone.as_ref())?);
            keys::ds_records(zone, &union_ds(zone.as_ref(), &register, DigestType::Sha256))
        }
        Access::Nothing(absent) => return Err(absent.into()),
    };
    if records.records.is_empty() {
        let what = format!("no published key of {zone} is known that wants a DS record");
        return Err(Failure::new(what).advice("countersign keys list shows what is known"));
    }
    Ok(print_ds(&records, arguments.zone.json.json))
}

pub(super) fn print_ds(records: &DsRecords, json: bool) -> Report {
    if json {
        return Report::json(records);
    }
    Report::of(
        records
            .records
            .iter()
            .map(|record| format!("{record}\n"))
            .collect::<String>(),
    )
}

fn server(state: &Path) -> Result<Client, ClientError> {
    Client::new(state)
}

fn print_status(status: &Status, named: bool) -> String {
    let listen: Vec<String> = status.listen.iter().map(ToString::to_string).collect();
    let mut out = format!(
        "countersign {}, process {}, on {}\nup {}, time {}\n\n",
        status.version,
        status.pid,
        listen.join(", "),
        duration(status.uptime_seconds),
        status.now
    );
    let mut zones = Table::new(&[
        "ZONE",
        "SERIAL",
        "NAMES",
        "RECORDS",
        "DENIAL",
        "SIGNED",
        "NEXT TO EXPIRE",
    ]);
    for zone in &status.zones {
        zones.row(zone_row(zone));
    }
    out.push_str(&zones.print(0));
    let fetched: Vec<&ZoneStatus> = status
        .zones
        .iter()
        .filter(|zone| zone.content.is_some())
        .collect();
    if !fetched.is_empty() {
        out.push_str(&format!("\n{}", sources_table(&fetched).print(0)));
    }
    if named || status.zones.len() <= ZONES_WITH_KEYS {
        for zone in status.zones.iter().filter(|zone| !zone.keys.is_empty()) {
            out.push_str(&format!(
                "\nkeys of {}\n{}",
                zone.origin,
                keys_table(&zone.keys).print(2)
            ));
        }
    } else {
        out.push_str("\ncountersign status ORIGIN shows the keys of a zone\n");
    }
    for zone in &status.zones {
        let Some(plan) = &zone.plan else { continue };
        if named {
            out.push_str(&format!("\n{} {plan}", zone.origin));
        } else if matches!(plan.state.as_str(), "running" | "halted" | "paused" | "spoiled") {
            out.push_str(&format!(
                "\n{} plan: {} ({}); countersign status {0} shows it\n",
                zone.origin, plan.goal, plan.state
            ));
        }
    }
    out.push_str(&format!("\n{}", counters(status)));
    let watched: Vec<&ZoneStatus> = status
        .zones
        .iter()
        .filter(|zone| zone.monitor.is_some())
        .collect();
    if !watched.is_empty() {
        out.push_str(&format!("\n{}", watch_table(&watched).print(0)));
        out.push_str(&expected_lines(&watched));
    }
    if named {
        out.push_str(&lowered_table(&status.zones));
    }
    if !status.alarms.is_empty() {
        out.push_str("\nalarms\n");
        for alarm in &status.alarms {
            let zone = alarm
                .zone
                .as_ref()
                .map_or(String::new(), |zone| format!("{zone} "));
            out.push_str(&format!(
                "  {} since {}: {zone}{}\n",
                alarm.level, alarm.since, alarm.what
            ));
        }
    }
    if !status.warnings.is_empty() {
        out.push_str("\nwarnings\n");
        for warning in &status.warnings {
            let zone = warning
                .zone
                .as_ref()
                .map_or(String::new(), |zone| format!("{zone} "));
            out.push_str(&format!("  {zone}{}\n", warning.what));
        }
    }
    out
}

/// Zones that others serve, too, and what the last look at all their servers saw.
fn watch_table(zones: &[&ZoneStatus]) -> Table {
    let mut table = Table::new(&[
        "WATCHED",
        "LOOKED",
        "SERVERS",
        "UNSEEN",
        "STATE",
        "SLACK",
        "FIRST TO END",
    ]);
    for zone in zones {
        let Some(seen) = &zone.monitor else { continue };
        let (slack, first) = match &seen.first_to_end {
            Some(first) => {
                let slack = match u64::try_from(first.slack_seconds) {
                    Ok(left) => duration(left),
                    Err(_) => "none".to_owned(),
                };
                (
                    slack,
                    format!("{} {} at {}", first.owner, first.rtype, first.server),
                )
            }
            None => ("-".to_owned(), "-".to_owned()),
        };
        table.row(vec![
            zone.origin.clone(),
            seen.looked.to_string(),
            seen.servers.to_string(),
            seen.unseen.to_string(),
            if seen.holds { "in order" } else { "not in order" }.to_owned(),
            slack,
            first,
        ]);
    }
    table
}

/// What the watch found, and a plan that goes on explains. Empty where there is nothing of it.
fn expected_lines(zones: &[&ZoneStatus]) -> String {
    let of_zone = |zone: &&ZoneStatus| {
        let expected = zone.monitor.iter().flat_map(|seen| &seen.expected);
        expected
            .map(|what| format!("  {} {what}\n", zone.origin))
            .collect::<String>()
    };
    let lines: String = zones.iter().map(of_zone).collect();
    if lines.is_empty() {
        lines
    } else {
        format!("\nexpected\n{lines}")
    }
}

/// TTLs that are served no more, and that caches may still hold something with. Empty where there are none.
fn lowered_table(zones: &[ZoneStatus]) -> String {
    let mut table = Table::new(&["LOWERED", "OF", "TTL", "SINCE", "COUNTS UNTIL"]);
    let observed = zones.iter().filter_map(|zone| zone.observed.as_ref());
    let mut any = false;
    for ttl in observed.flat_map(|observed| &observed.ttls) {
        let Some(until) = ttl.counts_until else { continue };
        any = true;
        table.row(vec![
            ttl.class.clone(),
            ttl.of.clone(),
            format!("{} s", ttl.ttl_seconds),
            ttl.since.to_string(),
            until.to_string(),
        ]);
    }
    if any {
        format!("\n{}", table.print(0))
    } else {
        String::new()
    }
}

/// Zones whose content is fetched, and where they stand with their sources.
fn sources_table(zones: &[&ZoneStatus]) -> Table {
    let mut table = Table::new(&[
        "FETCHED",
        "FROM",
        "SERIAL",
        "CURRENT AT",
        "NEXT",
        "EXPIRES",
        "STATE",
    ]);
    let time = |time: Option<UnixTime>| time.map_or("-".to_owned(), |time| time.to_string());
    for zone in zones {
        let Some(content) = &zone.content else { continue };
        let state = match content {
            ContentStatus {
                held_back: Some(_), ..
            } => "held back",
            ContentStatus { failure: Some(_), .. } => "failing",
            ContentStatus { current_at: None, .. } => "waiting",
            _ => "current",
        };
        table.row(vec![
            zone.origin.clone(),
            format!("{} {}", content.source, content.from.join(", ")),
            content.serial.map_or("-".to_owned(), |serial| serial.to_string()),
            time(content.current_at),
            time(Some(content.next_at)),
            time(content.expires_at),
            state.to_owned(),
        ]);
    }
    table
}

fn zone_row(zone: &ZoneStatus) -> Vec<String> {
    if zone.failed.is_some() {
        return vec![zone.origin.clone(), "SERVFAIL".to_owned()];
    }
    let signatures = &zone.signatures;
    vec![
        zone.origin.clone(),
        zone.serial.map_or(String::new(), |serial| serial.to_string()),
        zone.names.to_string(),
        zone.records.to_string(),
        zone.denial.clone(),
        format!("{}/{}", signatures.warm, signatures.wanted),
        signatures
            .next_to_expire
            .map_or("-".to_owned(), |time| time.to_string()),
    ]
}

/// Keys as `status` and `keys list` show them.
pub(super) fn keys_table(keys: &[KeyStatus]) -> Table {
    let mut table = Table::new(&[
        "TAG",
        "ROLE",
        "ALGORITHM",
        "ORIGIN",
        "STATE",
        "SIGNS",
        "SINCE",
        "FROM",
    ]);
    for key in keys {
        table.row(vec![
            key.tag.to_string(),
            key.role.clone(),
            key.algorithm.clone(),
            key.origin.clone(),
            key.state.clone(),
            if key.signs { "yes" } else { "no" }.to_owned(),
            key.since.map_or("-".to_owned(), |since| since.to_string()),
            if key.sources.is_empty() {
                "-".to_owned()
            } else {
                key.sources.join(", ")
            },
        ]);
    }
    table.without_idle_columns()
}

/// What was counted and is not zero, a line for each part.
fn counters(status: &Status) -> String {
    let mut out = count_line("answers", serde_json::to_value(status.counters));
    if let Some(transports) = &status.transports {
        out.push_str(&count_line("UDP", serde_json::to_value(transports.udp)));
        out.push_str(&count_line("TCP", serde_json::to_value(transports.tcp)));
    }
    out
}

fn count_line(what: &str, counted: serde_json::Result<serde_json::Value>) -> String {
    let counted = counted.unwrap_or_default();
    let counted = counted
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, count)| **count != 0);
    let counted: Vec<String> = counted.map(|(name, count)| format!("{name} {count}")).collect();
    let counted = if counted.is_empty() {
        "nothing yet".to_owned()
    } else {
        counted.join(", ")
    };
    format!("{what}: {counted}\n")
}

fn print_reloaded(reloaded: &Reloaded) -> String {
    let mut out = String::new();
    for problem in &reloaded.problems {
        out.push_str(&format!("configuration left as it was: {problem}\n"));
    }
    for remark in &reloaded.remarks {
        out.push_str(&format!("{remark}\n"));
    }
    let mut unchanged = 0;
    for zone in &reloaded.zones {
        if zone.outcome == Outcome::Unchanged && zone.warnings.is_empty() {
            unchanged += 1;
            if reloaded.zones.len() > ZONES_WITH_KEYS {
                continue;
            }
        }
        out.push_str(&format!("{} {}", zone.origin, zone.outcome));
        if !zone.changes.is_empty() {
            out.push_str(&format!(": {}", zone.changes.join("; ")));
        }
        out.push('\n');
        for problem in &zone.problems {
            out.push_str(&format!("  problem: {problem}\n"));
        }
        for warning in &zone.warnings {
            out.push_str(&format!("  warning: {warning}\n"));
        }
    }
    if reloaded.zones.len() > ZONES_WITH_KEYS {
        out.push_str(&format!("{unchanged} zones unchanged\n"));
    }
    out
}

fn duration(seconds: u64) -> String {
    let length = Duration::from_secs(seconds).as_secs();
    match (
        length / 86_400,
        length / 3_600 % 24,
        length / 60 % 60,
        length % 60,
    ) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}
