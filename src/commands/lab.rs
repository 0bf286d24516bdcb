//! `countersign lab`: other parties of a zone on loopback, for trying things without an account.

use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc};

use clap::{Args, Subcommand};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};

use super::{
    arguments::zone_and_file,
    logging,
    outcome::{Failure, Report},
};
use crate::{
    clock::SystemClock,
    config::{LogFormat, LogLevel, LogSettings},
    lab::ns1::{KNOBS, Settings, Simulated, StartError, ZoneText},
    wire::Name,
};

/// Plays the other parties of a zone on this machine, so that no account is needed to try things.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(super) struct LabArguments {
    #[command(subcommand)]
    command: Option<LabCommand>,
}

#[derive(Debug, Subcommand)]
enum LabCommand {
    Ns1(Ns1Arguments),
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
  countersign lab ns1 --api 127.0.0.1:18080 --dns 127.0.0.1:5401 --dns 127.0.0.1:5402 --api-key secret \\
    --zone example.=zones/example.zone --ca ns1-ca.pem
  curl --cacert ns1-ca.pem -H 'X-NSONE-Key: secret' https://127.0.0.1:18080/v1/zones
  curl --cacert ns1-ca.pem -H 'X-NSONE-Key: secret' -d '{\"dnssec\": true}' https://127.0.0.1:18080/v1/zones/example
  dig @127.0.0.1 -p 5401 +dnssec example. DNSKEY

While it runs, knobs are turned by a request that NS1 does not have:
  curl --cacert ns1-ca.pem -H 'X-NSONE-Key: secret' -X PUT -d '{\"server-errors\": \"3\"}' https://127.0.0.1:18080/lab/knobs

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
        Some(LabCommand::Ns1(arguments)) => ns1(arguments),
        None => Err(Failure::usage("say what to play: countersign lab ns1 --help")),
    }
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
