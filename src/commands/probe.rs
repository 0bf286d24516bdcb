//! `countersign peer probe`: asks NS1 itself, without a running server.

use std::{
    fs,
    io::{self, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};

use super::{
    arguments::{JsonArgument, read_config},
    outcome::{Failure, Report},
};
use crate::{
    clock::SystemClock,
    provider::ns1::{
        KeySource, Settings,
        probe::{self, Answer, Plan, Probe},
        settings::ENDPOINT,
    },
    wire::Name,
};

/// What a provider is called that no configuration names.
const NAME: &str = "ns1";

/// Asks NS1 what no document says, and tells which configuration follows. It needs no running server.
///
/// The zone that is named is only looked at (an export is asked for, which changes nothing). A scratch zone is made,
/// DNSSEC is switched on, external keys are written and removed in each form, and the zone is deleted again, also after
/// a failure or Ctrl-C; it must not be there before. The API key is in no output.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  NS1_API_KEY=… countersign peer probe example.com --api-key-env NS1_API_KEY
  countersign peer probe example.com --scratch probe.example.com --api-key-file ns1.key --report ns1-probe.json
  countersign peer probe example.com -c /etc/countersign/countersign.toml --provider ns1")]
pub(super) struct ProbeArguments {
    /// A zone at NS1 to look at.
    #[arg(required_unless_present = "scratch")]
    pub zone: Option<Name>,
    /// A zone to make, to write to and to delete: one that NS1 does not have, such as probe.example.com.
    #[arg(long, value_name = "ZONE")]
    pub scratch: Option<Name>,
    /// Take the settings of a provider in this configuration file.
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["endpoint", "api_key_file", "api_key_env", "ca_file"])]
    pub config: Option<PathBuf>,
    /// Which provider, by the configuration's name; needed when several are NS1.
    #[arg(long, value_name = "NAME", requires = "config")]
    pub provider: Option<String>,
    /// Where the API is.
    #[arg(long, value_name = "URL", default_value = ENDPOINT)]
    pub endpoint: String,
    /// The file that holds the API key; nobody else may read it.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["api_key_env", "config"], conflicts_with = "api_key_env")]
    pub api_key_file: Option<PathBuf>,
    /// The environment variable that holds the API key.
    #[arg(long, value_name = "NAME")]
    pub api_key_env: Option<String>,
    /// A file with further certificates (PEM) that the API's may rest on; for a lab or a proxy.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Where NS1's name servers are, when not where their names lead: for a lab; may be repeated.
    #[arg(long, value_name = "ADDR:PORT")]
    pub server: Vec<SocketAddr>,
    /// Write all that was said to this file, secrets removed; it can be sent to us.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub json: JsonArgument,
}

pub(super) fn run(arguments: &ProbeArguments) -> Result<Report, Failure> {
    let plan = Plan {
        zone: arguments.zone.clone(),
        scratch: arguments.scratch.clone(),
        servers: arguments.server.clone(),
    };
    let clock = Arc::new(SystemClock::default());
    // Reading the key now tells a wrong file before anything is asked.
    let settings = settings(arguments)?;
    settings.key.read()?;
    let runtime = Runtime::new().map_err(|error| Failure::from(error).context("cannot start threads"))?;
    runtime.block_on(async {
        let probe = Probe::new(settings, plan, clock, Box::new(progress))?;
        let ended = ask(&probe).await?;
        let report = probe.report();
        if let Some(path) = &arguments.report {
            write(path, &report)?;
        }
        if let Some(failure) = ended {
            show(&report, arguments).finish();
            return Err(failure);
        }
        Ok(show(&report, arguments))
    })
}

fn settings(arguments: &ProbeArguments) -> Result<Settings, Failure> {
    if let Some(path) = &arguments.config {
        return configured(path, arguments.provider.as_deref());
    }
    let key = match (&arguments.api_key_file, &arguments.api_key_env) {
        (Some(path), _) => KeySource::File(path.clone()),
        (None, Some(name)) => KeySource::Environment(name.clone()),
        (None, None) => {
            return Err(Failure::usage(
                "name the API key with --api-key-file or --api-key-env",
            ));
        }
    };
    Ok(Settings {
        endpoint: arguments.endpoint.clone(),
        ca: arguments.ca_file.clone(),
        ..Settings::new(NAME, key)
    })
}

/// The settings of a provider in a configuration file.
fn configured(path: &Path, name: Option<&str>) -> Result<Settings, Failure> {
    let config = read_config(path)?;
    let known: Vec<Settings> = config
        .providers
        .iter()
        .filter_map(|provider| provider.ns1())
        .collect();
    let names = || {
        known
            .iter()
            .map(|settings| settings.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (name, &known[..]) {
        (None, [only]) => Ok(only.clone()),
        (_, []) => Err(
            Failure::new(format!("{} has no provider of kind \"ns1\"", path.display()))
                .advice("name the API key with --api-key-file or --api-key-env instead of -c"),
        ),
        (None, _) => Err(Failure::usage(format!("say which with --provider: {}", names()))),
        (Some(name), _) => {
            let found = known.iter().find(|settings| settings.name == name);
            found.cloned().ok_or_else(|| {
                Failure::new(format!(
                    "there is no provider {name:?} of kind \"ns1\" in {}",
                    path.display()
                ))
                .advice(format!("there are: {}", names()))
            })
        }
    }
}

/// Asks, and cleans up whatever ended it. Gives why it ended early.
async fn ask(probe: &Probe) -> Result<Option<Failure>, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let ended = tokio::select! {
        ended = probe.run() => ended.err().map(Failure::from),
        _ = interrupt.recv() => Some(Failure::new("interrupted")),
        _ = terminate.recv() => Some(Failure::new("terminated")),
    };
    // A second signal does not stop this: what was made must go, and each request has a deadline.
    match probe.clean_up().await {
        Ok(()) => Ok(ended),
        Err(error) => Ok(Some(Failure::from(error))),
    }
}

fn progress(what: &str) {
    let _ = writeln!(io::stderr(), "countersign: {what}");
}

fn write(path: &Path, report: &probe::Report) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(&report.file).expect("JSON values have text keys");
    fs::write(path, text + "\n")
        .map_err(|error| Failure::from(error).context(format!("cannot write {}", path.display())))
}

fn show(report: &probe::Report, arguments: &ProbeArguments) -> Report {
    if arguments.json.json {
        return Report::json(&report.file);
    }
    let mut text = String::new();
    for (question, answer) in &report.answers {
        text.push_str(&format!("{}  {}\n", question.number, question.text));
        match answer {
            Answer::Seen(lines) => lines
                .iter()
                .for_each(|line| text.push_str(&format!("     {line}\n"))),
            Answer::NotTried(why) => text.push_str(&format!("     not tried, because {why}\n")),
        }
    }
    text.push_str(&format!(
        "\nThe configuration that follows:\n\n{}",
        report.configuration
    ));
    let shown = Report::of(text);
    match &arguments.report {
        Some(path) => shown.remark(format!("all that was said is in {}", path.display())),
        None => shown,
    }
}
