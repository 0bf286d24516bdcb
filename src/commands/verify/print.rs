//! The report of `verify`, for people and as JSON.

use serde::Serialize;

use crate::{
    clock::UnixTime,
    commands::table::Table,
    multisigner::verify::{COLUMNS, Cell, Column, Pair, Report, ServerLine, Severity, finding::Told},
};

#[derive(Serialize)]
pub(super) struct Json {
    zone: String,
    now: UnixTime,
    questions: usize,
    holds: bool,
    servers: Vec<JsonServer>,
    pairs: Vec<JsonPair>,
    findings: Vec<Told>,
}

#[derive(Serialize)]
struct JsonServer {
    server: String,
    provider: String,
    name: Option<String>,
    address: String,
    unseen: Option<String>,
    chain: Option<bool>,
    keys: Vec<u16>,
    signers: Vec<u16>,
    denial: Option<String>,
}

#[derive(Serialize)]
struct JsonPair {
    keys_from: String,
    answers_from: String,
    positive: Cell,
    nodata: Cell,
    nxdomain: Cell,
    wildcard: Cell,
    dnskey: Cell,
    cds: Cell,
}

pub(super) fn json(report: &Report, holds: bool) -> Json {
    let server = |line: &ServerLine| JsonServer {
        server: line.target.to_string(),
        provider: line.target.provider.clone(),
        name: line.target.at.name.as_ref().map(ToString::to_string),
        address: line.target.at.address.to_string(),
        unseen: line.unseen.as_ref().map(ToString::to_string),
        chain: line.chain,
        keys: line.keys.clone(),
        signers: line.signers.clone(),
        denial: line.denial.clone(),
    };
    let pair = |pair: &Pair| {
        let [positive, nodata, nxdomain, wildcard, dnskey, cds] = pair.cells;
        JsonPair {
            keys_from: label(report, pair.keys_from),
            answers_from: label(report, pair.answers_from),
            positive,
            nodata,
            nxdomain,
            wildcard,
            dnskey,
            cds,
        }
    };
    Json {
        zone: report.zone.to_string(),
        now: report.now,
        questions: report.questions,
        holds,
        servers: report.servers.iter().map(server).collect(),
        pairs: report.pairs.iter().map(pair).collect(),
        findings: report.findings.iter().map(|finding| finding.told()).collect(),
    }
}

fn label(report: &Report, server: usize) -> String {
    report.servers[server].target.to_string()
}

pub(super) fn text(report: &Report) -> String {
    let servers = match report.servers.len() {
        1 => "1 server".to_owned(),
        count => format!("{count} servers"),
    };
    let mut out = format!(
        "{} at {}: {servers}, {} questions each\n\n",
        report.zone, report.now, report.questions
    );
    out.push_str(&servers_table(report).print(0));
    out.push('\n');
    if !report.pairs.is_empty() {
        out.push_str(&pairs_table(report).print(0));
        out.push('\n');
    }
    for finding in &report.findings {
        let Told {
            severity,
            what,
            consequence,
            advice,
            ..
        } = finding.told();
        out.push_str(&format!(
            "{severity}: {what}\n  so: {consequence}\n  do: {advice}\n\n"
        ));
    }
    out.push_str(&summary(report));
    out
}

fn servers_table(report: &Report) -> Table {
    let mut table = Table::new(&["SERVER", "NAME", "KEYS", "SIGNS WITH", "DENIAL", "DS LEADS THERE"]);
    for line in &report.servers {
        let name = line.target.at.name.as_ref();
        let mut row = vec![
            line.target.to_string(),
            name.map_or("-".to_owned(), ToString::to_string),
        ];
        match &line.unseen {
            Some(_) => row.push("not seen".to_owned()),
            None => row.extend([
                tags(&line.keys),
                tags(&line.signers),
                line.denial.clone().unwrap_or("-".to_owned()),
                chain(line.chain),
            ]),
        }
        table.row(row);
    }
    table.without_idle_columns()
}

fn tags(tags: &[u16]) -> String {
    match tags {
        [] => "-".to_owned(),
        tags => tags.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    }
}

fn chain(chain: Option<bool>) -> String {
    match chain {
        None => "-",
        Some(true) => "yes",
        Some(false) => "NO",
    }
    .to_owned()
}

/// One row a pair of servers; where all pairs of two providers fare alike, one row for them all.
fn pairs_table(report: &Report) -> Table {
    let mut header = vec!["KEYS FROM", "ANSWERS FROM"];
    header.extend(COLUMNS.map(heading));
    // DS stands between DNSKEY and CDS.
    header.insert(header.len() - 1, "DS");
    let mut table = Table::new(&header);
    let provider = |server: usize| report.servers[server].target.provider.as_str();
    let key = |pair: &Pair| (provider(pair.keys_from), provider(pair.answers_from));
    let mut told: Vec<(&str, &str)> = Vec::new();
    for pair in &report.pairs {
        let group: Vec<&Pair> = report
            .pairs
            .iter()
            .filter(|other| key(other) == key(pair))
            .collect();
        let is_alike = group
            .iter()
            .all(|other| cells(report, other) == cells(report, pair));
        if !is_alike || group.len() == 1 {
            table.row(row(
                report,
                pair,
                [label(report, pair.keys_from), label(report, pair.answers_from)],
            ));
        } else if !told.contains(&key(pair)) {
            told.push(key(pair));
            let name = |provider: &str| {
                let mut servers = report
                    .servers
                    .iter()
                    .filter(|line| line.target.provider == provider && line.unseen.is_none());
                match servers.clone().count() {
                    1 => servers
                        .next()
                        .map(|line| line.target.to_string())
                        .unwrap_or_default(),
                    count => format!("{provider} ({count} servers)"),
                }
            };
            let (keys_from, answers_from) = key(pair);
            table.row(row(report, pair, [name(keys_from), name(answers_from)]));
        }
    }
    table
}

fn heading(column: Column) -> &'static str {
    match column {
        Column::Positive => "POSITIVE",
        Column::NoData => "NODATA",
        Column::NoName => "NXDOMAIN",
        Column::Wildcard => "WILDCARD",
        Column::Dnskey => "DNSKEY",
        Column::Cds => "CDS",
    }
}

fn row(report: &Report, pair: &Pair, names: [String; 2]) -> Vec<String> {
    names.into_iter().chain(cells(report, pair)).collect()
}

fn cells(report: &Report, pair: &Pair) -> Vec<String> {
    let mut cells: Vec<String> = pair.cells.iter().map(cell).collect();
    let ds = match report.servers[pair.keys_from].chain {
        None => "-",
        Some(true) => "ok",
        Some(false) => "BOGUS",
    };
    cells.insert(cells.len() - 1, ds.to_owned());
    cells
}

fn cell(cell: &Cell) -> String {
    let harmful = cell.bogus - cell.for_want_of_a_ksk;
    match (cell.judged, harmful, cell.for_want_of_a_ksk) {
        (0, ..) => "-".to_owned(),
        (judged, 0, 0) => format!("ok {judged}"),
        (_, 0, _) => "no KSK".to_owned(),
        (judged, harmful, _) if judged == harmful => format!("BOGUS {judged}"),
        (judged, harmful, _) => format!("BOGUS {harmful}/{judged}"),
    }
}

fn summary(report: &Report) -> String {
    let count = |severity| {
        let findings = report.findings.iter();
        findings.filter(|finding| finding.severity() == severity).count()
    };
    let parts: Vec<String> = [
        (Severity::Bogus, "bogus"),
        (Severity::WouldBe, "would be bogus"),
        (Severity::Difference, "different"),
        (Severity::Unseen, "unseen"),
        (Severity::Note, "to note"),
    ]
    .into_iter()
    .map(|(severity, word)| (count(severity), word))
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{count} {word}"))
    .collect();
    let mut out = match (count(Severity::Bogus), count(Severity::WouldBe)) {
        (0, 0) if !report.pairs.is_empty() => "nothing is bogus, and nothing would be".to_owned(),
        (0, 0) => "nothing could be judged".to_owned(),
        _ => "not all is well".to_owned(),
    };
    if !parts.is_empty() {
        out.push_str(&format!(": {}", parts.join(", ")));
    }
    let unseen = report.unseen_providers();
    if !unseen.is_empty() {
        let unseen: Vec<&str> = unseen.into_iter().collect();
        out.push_str(&format!("; of {} nothing is known", unseen.join(", ")));
    }
    out + "\n"
}
