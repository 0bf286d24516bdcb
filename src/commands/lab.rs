//! `countersign lab`: other parties of a zone on loopback, for trying things without an account.

use std::{
    fs,
    io::{self, IsTerminal, Write},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
};

use clap::{
    Args, Subcommand,
    builder::{PossibleValue, PossibleValuesParser},
};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};

use super::{
    arguments::zone_and_file,
    lab_world::{self, WorldArguments},
    logging,
    outcome::{Failure, Report},
};
use crate::{
    clock::SystemClock,
    config::{LogFormat, LogLevel, LogSettings},
    lab::{
        ns1::{KNOBS, Settings, Simulated, StartError, ZoneText},
        scenario::{self, Lab, LabError, Outcome, Told},
        world::Scenario,
    },
    wire::Name,
};

/// Plays the other parties of a zone on this machine, so that no account is needed to try things.
///
/// Without a subcommand: a simulated NS1 that has the zone, a parent zone above it, and our server beside NS1. Keys are
/// exchanged both ways, the parent is given the DS of both, everything is checked, and then all of it goes on serving
/// until Ctrl-C.
///
/// With the name of a plan: that plan, carried out by the real executor in a simulated world of providers, parent and
/// resolvers, in which time jumps from one event to the next. Exit code 1 when a single answer was bogus. With
/// `--real-time` the same over sockets, with TTLs of seconds, before real resolvers.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  countersign lab
  countersign lab --once                            as a check: ends with 0 when all is well, else with 1
  countersign lab --once --fault ksk-roll           what Countersign makes of a roll without notice
  countersign lab join                              a plan in a simulated world, days of it in a moment
  countersign lab roll-ksk --fault parent-lags      the same with something amiss, told as a story
  countersign lab roll-ksk --real-time              the same over sockets, before two real unbounds, in half a minute
  countersign lab ns1 --help                        the simulated NS1 alone, and what can be set amiss"
)]
pub(super) struct LabArguments {
    #[command(subcommand)]
    command: Option<LabCommand>,
    #[command(flatten)]
    whole: WholeArguments,
}

#[derive(Debug, Args)]
struct WholeArguments {
    /// End when it is through: exit code 0 when everything is in step and nothing bogus, else 1.
    #[arg(long)]
    once: bool,
    /// Set something amiss on the way.
    #[arg(long, value_name = "NAME", value_parser = fault_names())]
    fault: Option<String>,
    /// The zone, and its master file.
    #[arg(long, value_name = "ORIGIN=FILE", value_parser = zone_and_file)]
    zone: Option<(Name, PathBuf)>,
    /// A folder for the lab's configuration, keys and state [default: a new one, removed at the end].
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Print the outcome as JSON.
    #[arg(long, requires = "once")]
    json: bool,
}

/// Every knob is a fault.
fn fault_names() -> PossibleValuesParser {
    PossibleValuesParser::new(
        KNOBS
            .iter()
            .map(|knob| PossibleValue::new(knob.name).help(knob.what)),
    )
}

/// The lab's zone where none is named.
const ZONE: &str = include_str!("../../zones/example.zone");

#[derive(Debug, Subcommand)]
enum LabCommand {
    Ns1(Ns1Arguments),
    /// Tries in a simulated world how we come into the delegation beside the other provider.
    Join(WorldArguments),
    /// Tries how we go out of the delegation.
    Leave(WorldArguments),
    /// Tries how our ZSK is replaced.
    RollZsk(WorldArguments),
    /// Tries how our KSK is replaced.
    RollKsk(WorldArguments),
    /// Tries how our CSK is replaced.
    RollCsk(WorldArguments),
    /// Tries how both providers go over to another algorithm.
    Algorithm(WorldArguments),
    /// Tries how a ZSK of ours is replaced that somebody else may have, so that nobody finds anything bogus.
    Emergency(WorldArguments),
    /// Tries the same by a standby key, which takes over at once.
    EmergencyStandby(WorldArguments),
    /// Tries the same at once: answers are bogus in caches for a while.
    EmergencySecurity(WorldArguments),
    /// Tries how a KSK of ours is replaced that somebody else may have, so that nobody finds anything bogus.
    EmergencyKsk(WorldArguments),
    /// Tries the same by a KSK that the DS RRset points to already.
    EmergencyKskStandby(WorldArguments),
    /// Tries the same at once: answers are bogus in caches for a while.
    EmergencyKskSecurity(WorldArguments),
    /// Tries how a further ZSK of ours is published everywhere, ready to take over.
    Standby(WorldArguments),
    /// Tries how we follow when the other provider rolls its ZSK by itself.
    Follow(WorldArguments),
    /// Tries how we follow when the other provider rolls its KSK by itself.
    FollowKsk(WorldArguments),
}

/// Does what a sub-command is for.
fn command(command: LabCommand) -> Result<Report, Failure> {
    let (scenario, arguments) = match command {
        LabCommand::Ns1(arguments) => return ns1(arguments),
        LabCommand::Join(arguments) => (Scenario::Join, arguments),
        LabCommand::Leave(arguments) => (Scenario::Leave, arguments),
        LabCommand::RollZsk(arguments) => (Scenario::RollZsk, arguments),
        LabCommand::RollKsk(arguments) => (Scenario::RollKsk, arguments),
        LabCommand::RollCsk(arguments) => (Scenario::RollCsk, arguments),
        LabCommand::Algorithm(arguments) => (Scenario::Algorithm, arguments),
        LabCommand::Emergency(arguments) => (Scenario::Emergency, arguments),
        LabCommand::EmergencyStandby(arguments) => (Scenario::EmergencyStandby, arguments),
        LabCommand::EmergencySecurity(arguments) => (Scenario::EmergencySecurity, arguments),
        LabCommand::EmergencyKsk(arguments) => (Scenario::EmergencyKsk, arguments),
        LabCommand::EmergencyKskStandby(arguments) => (Scenario::EmergencyKskStandby, arguments),
        LabCommand::EmergencyKskSecurity(arguments) => (Scenario::EmergencyKskSecurity, arguments),
        LabCommand::Standby(arguments) => (Scenario::Standby, arguments),
        LabCommand::Follow(arguments) => (Scenario::Follow, arguments),
        LabCommand::FollowKsk(arguments) => (Scenario::FollowKsk, arguments),
    };
    lab_world::play(scenario, &arguments)
}

/// Simulates NS1 Connect: its API over HTTPS, and its servers, which sign by themselves.
///
/// It speaks as NS1's API does to NS1's own clients, and its servers answer from what the API was told: records, DNSSEC
/// switched on, the keys that other providers gave it. Nothing is kept: what it was told is gone when it ends.
///
/// It logs one line when it is ready. SIGTERM or Ctrl-C ends it.
#[derive(Debug, Args)]
#[command(after_help = ns1_help())]
struct Ns1Arguments {
    /// Where the API listens, over HTTPS with a certificate that it makes.
    #[arg(long, value_name = "ADDR:PORT")]
    api: SocketAddr,
    /// Where a server of its own listens, over UDP and TCP; give it twice or more, as NS1 has several.
    #[arg(long, value_name = "ADDR:PORT", required = true)]
    dns: Vec<SocketAddr>,
    /// The account's key, which clients send in X-NSONE-Key.
    #[arg(long, value_name = "KEY")]
    api_key: String,
    /// A zone that is there from the start, and its master file; may be repeated.
    #[arg(long, value_name = "ORIGIN=FILE", value_parser = zone_and_file)]
    zone: Vec<(Name, PathBuf)>,
    /// These zones are signed from the start; without it DNSSEC is off, as NS1 leaves it.
    #[arg(long)]
    signed: bool,
    /// Set something amiss; may be repeated. The knobs are below.
    #[arg(long, value_name = "NAME=VALUE", value_parser = knob)]
    knob: Vec<(String, String)>,
    /// Write the certificate that vouches for the API's to this file, for clients to trust.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

fn ns1_help() -> String {
    let mut help = "\
Example:
  countersign lab ns1 --api 127.0.0.1:18080 --dns 127.0.0.1:5401 --dns 127.0.0.1:5402 \\
    --api-key secret --zone example.=zones/example.zone --ca ns1.pem
  alias ns1=\"curl --cacert ns1.pem -H 'X-NSONE-Key: secret'\"
  ns1 https://127.0.0.1:18080/v1/zones
  ns1 -d '{\"dnssec\": true}' https://127.0.0.1:18080/v1/zones/example
  dig @127.0.0.1 -p 5401 +dnssec example. DNSKEY

While it runs, knobs are turned by a request that NS1 does not have:
  ns1 -X PUT -d '{\"server-errors\": \"3\"}' https://127.0.0.1:18080/lab/knobs

Knobs; servers are numbered from 1, times end in ms, s, m or h:
"
    .to_owned();
    for knob in KNOBS {
        help.push_str(&format!(
            "  {}\n          {}\n          [{}; such as {}]\n",
            knob.name, knob.what, knob.values, knob.fault
        ));
    }
    help
}

fn knob(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("write it as NAME=VALUE, such as server-errors=3")?;
    if KNOBS.iter().any(|knob| knob.name == name) {
        return Ok((name.into(), value.into()));
    }
    let names: Vec<&str> = KNOBS.iter().map(|knob| knob.name).collect();
    Err(format!("there is no such knob; there are {}", names.join(", ")))
}

pub(super) fn run(arguments: LabArguments) -> Result<Report, Failure> {
    match arguments.command {
        Some(chosen) => command(chosen),
        None => whole(&arguments.whole),
    }
}

fn whole(arguments: &WholeArguments) -> Result<Report, Failure> {
    // No log: the story tells what happens, once.
    let (zone, text) = match &arguments.zone {
        None => ("example.".parse()?, ZONE.to_owned()),
        Some((zone, file)) => {
            let text = fs::read_to_string(file);
            let failed = |error: std::io::Error| {
                Failure::from(error).context(format!("cannot read {}", file.display()))
            };
            (zone.clone(), text.map_err(failed)?)
        }
    };
    // Kept until the end; what a person named stays.
    let temporary = match &arguments.folder {
        Some(folder) => {
            fs::create_dir_all(folder)?;
            None
        }
        None => Some(tempfile::Builder::new().prefix("countersign-lab-").tempdir()?),
    };
    let folder = match (&arguments.folder, &temporary) {
        (Some(folder), _) => folder.clone(),
        (None, temporary) => temporary
            .as_ref()
            .map(|made| made.path().to_owned())
            .unwrap_or_default(),
    };
    let mut settings = scenario::Settings::new(folder, zone, text, arguments.once);
    settings.fault = arguments.fault.clone();
    let runtime = Runtime::new().map_err(|error| Failure::from(error).context("cannot start threads"))?;
    let done = runtime.block_on(play_whole(settings, arguments));
    runtime.shutdown_background();
    done
}

async fn play_whole(settings: scenario::Settings, arguments: &WholeArguments) -> Result<Report, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let zone = settings.zone.clone();
    let mut story = Story::new();
    let playing = async {
        let mut lab = Lab::start(settings, &mut |told| story.tell(&told)).await?;
        let outcome = lab.run(&mut |told| story.tell(&told)).await?;
        Ok::<_, LabError>((lab, outcome))
    };
    let (lab, outcome) = tokio::select! {
        played = playing => played?,
        _ = terminate.recv() => return Ok(Report::default().negative(true)),
        _ = interrupt.recv() => return Ok(Report::default().negative(true)),
    };
    let report = if arguments.json {
        Report::json(&outcome)
    } else {
        Report::of(print_outcome(&outcome))
    };
    if arguments.once {
        lab.stop().await;
        return Ok(report.negative(!outcome.sound));
    }
    lab.go_on().map_err(|refusal| Failure::new(refusal.error))?;
    Report::of(report.stdout + &invitation(&lab, &zone)).finish();
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    lab.stop().await;
    Ok(Report::default())
}

/// Tells the steps on stderr as they come: on a terminal the line of a step is written over when it is done.
pub(super) struct Story {
    over: bool,
    open: bool,
}

impl Story {
    pub(super) fn new() -> Self {
        Self {
            over: io::stderr().is_terminal(),
            open: false,
        }
    }

    pub(super) fn tell(&mut self, told: &Told) {
        let mut stderr = io::stderr().lock();
        let _ = match told {
            Told::Begun(what) => {
                self.open = true;
                let end = if self.over { "" } else { "\n" };
                write!(stderr, "  …   {what}{end}")
            }
            Told::Done(what) => self.close(&mut stderr, "ok", what),
            Told::NotDone(what) => self.close(&mut stderr, "NOT", what),
            Told::Said(what) => {
                let start = if self.over && self.open { "\n" } else { "" };
                self.open = false;
                writeln!(stderr, "{start}      {what}")
            }
        };
        let _ = stderr.flush();
    }

    fn close(&mut self, stderr: &mut impl Write, mark: &str, what: &str) -> io::Result<()> {
        let start = if self.over && self.open { "\r" } else { "" };
        let end = if self.over && self.open { "\n" } else { "" };
        self.open = false;
        writeln!(stderr, "{start}  {mark:<3}{end}      {what}")
    }
}

fn print_outcome(outcome: &Outcome) -> String {
    let state = if outcome.sound {
        "Everything is in step: whichever provider a resolver asks, and whichever key set it holds, answers validate."
    } else {
        "Not everything is well; what Countersign says of it stands below."
    };
    let mut out = format!("\n{state}\n\n{}", super::peer::print_peer(&outcome.peer));
    for found in &outcome.verified {
        out.push_str(&format!("\n  {}: {}\n", found.severity, found.what));
        for more in [&found.consequence, &found.advice] {
            if !more.is_empty() {
                out.push_str(&format!("    {more}\n"));
            }
        }
    }
    out
}

fn invitation(lab: &Lab, zone: &Name) -> String {
    let at = |address: SocketAddr| format!("@{} -p {}", address.ip(), address.port());
    let state = lab.folder().join("state");
    let mut out = String::from("\nSee for yourself, from another shell:\n");
    for (address, what) in [
        (Some(lab.ours()), "ours"),
        (lab.ns1().dns().first().copied(), "NS1's"),
    ] {
        if let Some(address) = address {
            out.push_str(&format!(
                "  dig {} +dnssec +multiline {zone} DNSKEY      # {what}\n",
                at(address)
            ));
        }
    }
    out.push_str(&format!(
        "  dig {} +dnssec {zone} DS                     # the parent\n",
        at(lab.parent().addresses()[0])
    ));
    out.push_str(&format!(
        "  dig {} +dnssec no-such-name.{zone} A\n",
        at(lab.ours())
    ));
    let servers = lab.ns1().dns().iter();
    let servers: Vec<String> = servers
        .map(|address| format!(" --server ns1={address}"))
        .collect();
    out.push_str(&format!(
        "  countersign verify {zone} --server ours={}{} --parent {}\n",
        lab.ours(),
        servers.concat(),
        lab.parent().addresses()[0]
    ));
    out.push_str(&format!("  countersign status --state {}\n", state.display()));
    out.push_str(&format!(
        "  countersign peer status --state {}\n",
        state.display()
    ));
    out.push_str(&format!(
        "\nIts files, a configuration to begin with among them, are in {}. Ctrl-C ends it.\n",
        lab.folder().display()
    ));
    out
}

fn ns1(arguments: Ns1Arguments) -> Result<Report, Failure> {
    logging::start(&LogSettings {
        format: LogFormat::Text,
        level: LogLevel::Info,
    });
    let zones = arguments
        .zone
        .into_iter()
        .map(|(origin, file)| (origin, ZoneText::File(file)));
    let settings = Settings {
        api: arguments.api,
        dns: arguments.dns,
        name_servers: Vec::new(),
        api_key: arguments.api_key,
        zones: zones.collect(),
        signed: arguments.signed,
        knobs: arguments.knob,
    };
    let runtime = Runtime::new().map_err(|error| Failure::from(error).context("cannot start threads"))?;
    let done = runtime.block_on(play(settings, arguments.ca));
    runtime.shutdown_background();
    done.map(|()| Report::default())
}

async fn play(settings: Settings, ca: Option<PathBuf>) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let simulated = match Simulated::start(settings, Arc::new(SystemClock::default())).await {
        Err(StartError::Knob(error)) => return Err(Failure::usage(error.to_string())),
        started => started?,
    };
    if let Some(file) = ca {
        fs::write(&file, simulated.ca_pem())
            .map_err(|error| Failure::from(error).context(format!("cannot write {}", file.display())))?;
    }
    tracing::info!("{}", simulated.ready());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    simulated.stop().await;
    tracing::info!("stopped");
    Ok(())
}
