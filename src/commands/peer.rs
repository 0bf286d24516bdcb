//! `countersign peer`: the exchange of keys with the other providers, asked of the running server.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use super::{
    arguments::{PeerArguments, PeerCommand, PeerStatusArguments, PeerSyncArguments},
    outcome::{Failure, Report},
    probe,
    table::Table,
};
use crate::{
    control::{
        Client,
        protocol::{PeerAction, PeerReport, PeerRequest, PeerServer, PeersReport},
    },
    multisigner::Severity,
    wire::Name,
};

/// The pause between two looks while a person waits for servers that lag.
const PAUSE: Duration = Duration::from_secs(2);
/// The pause between two looks of `--watch`.
const WATCH_PAUSE: Duration = Duration::from_secs(5);

pub(super) fn run(command: &PeerCommand) -> Result<Report, Failure> {
    match command {
        PeerCommand::Status(arguments) => status(arguments),
        PeerCommand::Pull(arguments) => {
            let trust_api = arguments.trust_api;
            let (peers, _) = act(&arguments.common, PeerAction::Pull { trust_api })?;
            let failed = peers.peers.iter().any(|peer| !is_believed(peer));
            Ok(report(&peers, arguments.common.zone.json.json).negative(failed))
        }
        PeerCommand::Push(arguments) => {
            let (peers, client) = act(&arguments.common, PeerAction::Push)?;
            let peers = wait(
                &client,
                &arguments.common,
                PeerAction::Push,
                peers,
                arguments.wait,
            )?;
            let lags = peers.peers.iter().any(lags);
            Ok(report(&peers, arguments.common.zone.json.json).negative(lags))
        }
        PeerCommand::Sync(arguments) => sync(arguments),
        PeerCommand::EnableDnssec(arguments) => once(&arguments.common, PeerAction::EnableDnssec),
        PeerCommand::Withdraw(arguments) => {
            let (reason, served) = (arguments.force.clone(), arguments.served);
            once(&arguments.common, PeerAction::Withdraw { reason, served })
        }
        PeerCommand::Probe(arguments) => probe::run(arguments),
    }
}

fn once(arguments: &PeerArguments, action: PeerAction) -> Result<Report, Failure> {
    let (peers, _) = act(arguments, action)?;
    Ok(report(&peers, arguments.zone.json.json))
}

fn status(arguments: &PeerStatusArguments) -> Result<Report, Failure> {
    let client = Client::new(&arguments.state.folder()?)?;
    let zones: Vec<Name> = match &arguments.origin {
        Some(origin) => vec![origin.clone()],
        None => {
            let status = client.status(None)?;
            let with_peers = status.zones.iter().filter(|zone| !zone.providers.is_empty());
            with_peers.filter_map(|zone| zone.origin.parse().ok()).collect()
        }
    };
    if zones.is_empty() {
        return Err(Failure::new("no zone has another provider")
            .advice("add a [[provider]] to the configuration, name it in a zone's `providers`, and reload"));
    }
    let mut all = PeersReport { peers: Vec::new() };
    for zone in zones {
        let request = PeerRequest {
            provider: None,
            action: PeerAction::Status,
        };
        all.peers.extend(client.peers(&zone, &request)?.peers);
    }
    Ok(report(&all, arguments.json.json))
}

fn sync(arguments: &PeerSyncArguments) -> Result<Report, Failure> {
    let action = PeerAction::Sync {
        trust_api: arguments.trust_api,
    };
    let (peers, client) = act(&arguments.common, action)?;
    if arguments.watch {
        return watch(&client, arguments, peers);
    }
    let action = PeerAction::Sync { trust_api: false };
    let peers = wait(&client, &arguments.common, action, peers, arguments.wait)?;
    let in_step = peers.peers.iter().all(|peer| peer.in_step);
    Ok(report(&peers, arguments.common.zone.json.json).negative(!in_step))
}

/// Prints each change until it is interrupted.
fn watch(client: &Client, arguments: &PeerSyncArguments, mut peers: PeersReport) -> Result<Report, Failure> {
    let mut printed: Option<PeersReport> = None;
    loop {
        if printed.as_ref().is_none_or(|printed| differ(printed, &peers)) {
            let text = if arguments.common.zone.json.json {
                serde_json::to_string(&peers).unwrap_or_default() + "\n"
            } else {
                print(&peers) + "\n"
            };
            let mut stdout = io::stdout().lock();
            if stdout
                .write_all(text.as_bytes())
                .and_then(|()| stdout.flush())
                .is_err()
            {
                return Ok(Report::default());
            }
            printed = Some(peers);
        }
        client.pause(WATCH_PAUSE);
        let request = PeerRequest {
            provider: arguments.common.provider.clone(),
            action: PeerAction::Sync { trust_api: false },
        };
        peers = client.peers(&arguments.common.zone.origin, &request)?;
    }
}

/// Whether more differs than the time of the look.
fn differ(a: &PeersReport, b: &PeersReport) -> bool {
    let timeless = |report: &PeersReport| -> Vec<PeerReport> {
        let peers = report.peers.iter().cloned();
        peers
            .map(|peer| PeerReport {
                looked: None,
                gift: None,
                ..peer
            })
            .collect()
    };
    timeless(a) != timeless(b)
}

fn act(arguments: &PeerArguments, action: PeerAction) -> Result<(PeersReport, Client), Failure> {
    let client = Client::new(&arguments.zone.state.folder()?)?;
    let request = PeerRequest {
        provider: arguments.provider.clone(),
        action,
    };
    Ok((client.peers(&arguments.zone.origin, &request)?, client))
}

/// Looks again until no server lags, or the wait is over.
fn wait(
    client: &Client,
    arguments: &PeerArguments,
    action: PeerAction,
    mut peers: PeersReport,
    most: Duration,
) -> Result<PeersReport, Failure> {
    let mut waited = Duration::ZERO;
    let mut progress = Progress::default();
    let gifts: Vec<Option<String>> = peers.peers.iter().map(|peer| peer.gift.clone()).collect();
    while waited < most && peers.peers.iter().any(lags) {
        let lagging: Vec<&str> = peers
            .peers
            .iter()
            .flat_map(|peer| &peer.servers)
            .filter(|server| !server.lacking.is_empty())
            .map(|server| server.at.as_str())
            .collect();
        progress.say(&format!(
            "waiting for {} ({} s)",
            lagging.join(", "),
            waited.as_secs()
        ));
        client.pause(PAUSE);
        waited += PAUSE;
        let request = PeerRequest {
            provider: arguments.provider.clone(),
            action: action.clone(),
        };
        peers = client.peers(&arguments.zone.origin, &request)?;
    }
    progress.end();
    for (peer, gift) in peers.peers.iter_mut().zip(gifts) {
        peer.gift = gift.or(peer.gift.take());
    }
    Ok(peers)
}

/// One line on the terminal that is written over; nothing where nobody looks.
#[derive(Default)]
pub(super) struct Progress {
    said: bool,
}

impl Progress {
    pub(super) fn say(&mut self, what: &str) {
        let mut stderr = io::stderr().lock();
        if stderr.is_terminal() {
            let _ = write!(stderr, "\r\x1b[2K{what}");
            let _ = stderr.flush();
            self.said = true;
        }
    }

    pub(super) fn end(&mut self) {
        if self.said {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }
}

fn lags(peer: &PeerReport) -> bool {
    peer.lagging_since.is_some()
}

/// Whether anything of it is believed: only then its keys are taken.
fn is_believed(peer: &PeerReport) -> bool {
    let said = peer.api.as_ref().is_some_and(|api| api.signs);
    peer.trusted.is_some() && (said || peer.servers.iter().any(|server| server.failed.is_none()))
}

fn report(peers: &PeersReport, json: bool) -> Report {
    if json {
        Report::json(peers)
    } else {
        Report::of(print(peers))
    }
}

fn print(peers: &PeersReport) -> String {
    let parts: Vec<String> = peers.peers.iter().map(print_peer).collect();
    parts.join("\n")
}

pub(super) fn print_peer(peer: &PeerReport) -> String {
    let mut out = format!("{} at {}", peer.zone, peer.provider);
    let Some(looked) = peer.looked else {
        return out + ": not looked at yet; `countersign peer sync` does\n";
    };
    let state = if peer.in_step {
        "in step".to_owned()
    } else if let Some(since) = peer.lagging_since {
        format!("lacks keys of ours since {since}")
    } else {
        "see below".to_owned()
    };
    out.push_str(&format!(": {state}, as of {looked}\n"));
    let trusted = peer.trusted.as_deref().unwrap_or("nothing yet");
    out.push_str(&format!("  believed by {trusted}\n"));
    if let Some(gift) = &peer.gift {
        out.push_str(&format!("  done: {gift}\n"));
    }
    out.push('\n');
    let mut table = Table::new(&["SEEN AT", "THEIRS", "OURS", "LACKING", "SIGNED BY", "TTL"]);
    if let Some(api) = &peer.api {
        table.row(vec![
            "its API".to_owned(),
            tags(&api.own),
            tags(&api.ours),
            "-".to_owned(),
            "-".to_owned(),
            "-".to_owned(),
        ]);
    }
    for server in &peer.servers {
        table.row(server_row(server));
    }
    out.push_str(&table.print(2));
    out.push_str(&print_parent(&peer.parent));
    if !peer.findings.is_empty() {
        out.push('\n');
    }
    for found in &peer.findings {
        let mark = match found.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Alarm => "ALARM",
        };
        out.push_str(&format!("  {mark}: {}\n", found.what));
    }
    if !peer.by_hand.is_empty() {
        out.push_str(&format!(
            "\n  {} has no API here; add these to the zone there:\n",
            peer.provider
        ));
        for record in &peer.by_hand {
            out.push_str(&format!("    {record}\n"));
        }
    }
    out
}

fn print_parent(parent: &[PeerServer]) -> String {
    let mut out = String::new();
    for server in parent {
        match &server.failed {
            Some(why) => out.push_str(&format!("  parent {}: {why}\n", server.at)),
            None => out.push_str(&format!(
                "  parent {}: DS for {}\n",
                server.at,
                tags(&server.theirs)
            )),
        }
    }
    out
}

fn server_row(server: &PeerServer) -> Vec<String> {
    if let Some(why) = &server.failed {
        return vec![server.at.clone(), why.clone()];
    }
    vec![
        server.at.clone(),
        tags(&server.theirs),
        tags(&server.ours),
        tags(&server.lacking),
        tags(&server.signers),
        server.ttl.map_or("-".to_owned(), |ttl| ttl.to_string()),
    ]
}

fn tags(tags: &[u16]) -> String {
    if tags.is_empty() {
        return "-".to_owned();
    }
    tags.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
