//! What may stand on the command line, and the help that teaches it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::{lab::LabArguments, outcome::Failure, probe::ProbeArguments};
use crate::{
    config::{self, Config, LogFormat, LogLevel},
    dnssec::denial::Denial,
    wire::Name,
};

/// A signing DNS server that stands beside another provider of the same zone (RFC 8901, model 2).
#[derive(Debug, Parser)]
#[command(
    name = "countersign",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
First steps:
  countersign serve --zone example.=zones/example.zone --listen 127.0.0.1:5300 --keys keys
  dig @127.0.0.1 -p 5300 +dnssec example. SOA
  countersign status

Exit codes: 0 done; 1 the thing asked for does not hold or failed; 2 wrong usage.
`countersign help COMMAND` tells more of each command."
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Serve(ServeArguments),
    Check(CheckArguments),
    #[command(subcommand)]
    Keys(KeysCommand),
    #[command(subcommand)]
    Accept(AcceptCommand),
    Ds(DsArguments),
    Status(StatusArguments),
    Reload(ReloadArguments),
    #[command(subcommand)]
    Peer(PeerCommand),
    Plan(super::plan::PlanArguments),
    Apply(super::plan::ApplyArguments),
    Pause(super::plan::PauseArguments),
    Resume(super::plan::ResumeArguments),
    Done(super::plan::DoneArguments),
    Abort(super::plan::AbortArguments),
    Verify(super::verify::VerifyArguments),
    Lab(LabArguments),
}

/// Serves zones, signing their answers.
///
/// Either from a configuration file, or with everything on the command line. In the second form a KSK and a ZSK
/// are made for a zone that is new and for which the keys folder holds none.
///
/// It logs one line when it is ready. SIGHUP and `countersign reload` read configuration, zones and keys again;
/// what is broken is told, and what was served before goes on. SIGTERM ends it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign serve                                 reads countersign.toml in the current folder
  countersign serve -c /etc/countersign/countersign.toml
  countersign serve --zone example.=zones/example.zone --listen 127.0.0.1:5300 --keys keys
  countersign serve --zone a.example.=a.zone --zone b.example.=b.zone --listen 127.0.0.1:5300 \\
    --listen '[::1]:5300' --keys keys --external-keys a.example.=ns1-a.txt --denial nsec

A file for --external-keys is what this prints, asked at the other provider:
  dig @dns1.p01.nsone.net +noall +answer example. DNSKEY")]
pub(super) struct ServeArguments {
    /// The configuration file [default: countersign.toml].
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["zone", "listen", "keys", "external_keys", "denial"])]
    pub config: Option<PathBuf>,
    /// A zone and its master file; may be repeated.
    #[arg(long, value_name = "ORIGIN=FILE", value_parser = zone_and_file, requires = "listen", requires = "keys")]
    pub zone: Vec<(Name, PathBuf)>,
    /// An address to serve over UDP and TCP; may be repeated.
    #[arg(long, value_name = "ADDR:PORT", requires = "zone")]
    pub listen: Vec<SocketAddr>,
    /// The folder that holds our key files.
    #[arg(long, value_name = "DIR", requires = "zone")]
    pub keys: Option<PathBuf>,
    /// DNSKEY records of the other provider to merge; may be repeated. ORIGIN= is needed when there are several zones.
    #[arg(long, value_name = "[ORIGIN=]FILE", value_parser = origin_and_file, requires = "zone")]
    pub external_keys: Vec<(Option<Name>, PathBuf)>,
    /// How "no such name" and "no such data" are proved [default: compact].
    #[arg(long, value_name = "WAY", value_parser = denial, requires = "zone")]
    pub denial: Option<Denial>,
    /// The folder of the key register and the control socket [default: $STATE_DIRECTORY, else `state`].
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// How much is logged: error, warn, info, debug or trace [default: info].
    #[arg(long, value_name = "LEVEL", value_parser = log_level)]
    pub log_level: Option<LogLevel>,
    /// How log lines are written: text or json [default: text].
    #[arg(long, value_name = "FORMAT", value_parser = log_format)]
    pub log_format: Option<LogFormat>,
}

/// Checks the configuration, its zones and keys, and changes nothing.
///
/// Every problem is one line on stdout, as FILE:LINE:COL: what, and what to do. Warnings are marked as such and
/// do not count.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign check
  countersign check -c /etc/countersign/countersign.toml && systemctl reload countersign")]
pub(super) struct CheckArguments {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = "countersign.toml")]
    pub config: PathBuf,
    #[command(flatten)]
    pub json: JsonArgument,
}

/// Makes, lists, imports and withdraws keys.
///
/// These commands speak with the server that runs on the state folder; where none does, they do it themselves.
#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    Generate(GenerateArguments),
    List(ListArguments),
    Ds(KeysDsArguments),
    Import(ImportArguments),
    Withdraw(WithdrawArguments),
    Readmit(ReadmitArguments),
}

/// Makes a key, or without --role a KSK and a ZSK.
///
/// Where an active key of the same role signs already, a new key is published and does not sign: switching is
/// a rollover's business.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign keys generate example. --keys keys
  countersign keys generate example. --keys keys --algorithm ED25519 --role csk")]
pub(super) struct GenerateArguments {
    #[command(flatten)]
    pub zone: ZoneKeys,
    /// ECDSAP256SHA256, ECDSAP384SHA384 or ED25519.
    #[arg(long, value_name = "NAME", default_value = "ECDSAP256SHA256")]
    pub algorithm: String,
    /// What the key is for.
    #[arg(long, value_enum)]
    pub role: Option<RoleArgument>,
}

/// Lists a zone's keys, ours and the other providers'.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  countersign keys list example. --keys keys")]
pub(super) struct ListArguments {
    #[command(flatten)]
    pub zone: ZoneKeys,
    #[command(flatten)]
    pub json: JsonArgument,
}

/// Prints the DS records (SHA-256) of our own KSKs and CSKs.
#[derive(Debug, Args)]
#[command(after_help = "\
`countersign ds` prints them for every provider's keys: that is what the parent should have.

Example:
  countersign keys ds example. --keys keys")]
pub(super) struct KeysDsArguments {
    #[command(flatten)]
    pub zone: ZoneKeys,
    #[command(flatten)]
    pub json: JsonArgument,
}

/// Imports key pairs in BIND's format, as dnssec-keygen, keymgr and ldns-keygen write them.
#[derive(Debug, Args)]
#[command(after_help = "\
Either half names the pair; both must be there.

Example:
  countersign keys import example. Kexample.+013+12345.key Kexample.+013+54321.key --keys keys")]
pub(super) struct ImportArguments {
    /// The zone.
    pub origin: Name,
    /// Key files, either half.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The folder that holds our key files.
    #[arg(long, value_name = "DIR", required_unless_present = "config")]
    pub keys: Option<PathBuf>,
    #[command(flatten)]
    pub state: StateArgument,
}

/// Takes a key out of the DNSKEY RRset: another provider's, or one of ours that is lost.
///
/// A resolver that still holds answers signed by this key may then find them bogus. Without --force and a reason
/// nothing is done.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  countersign keys withdraw example. 12345 --force 'the provider rolled it a month ago'")]
pub(super) struct WithdrawArguments {
    /// The zone.
    pub origin: Name,
    /// The key's tag.
    pub tag: u16,
    /// Do it, for this reason, which is kept in the register.
    #[arg(long, value_name = "REASON", required = true, value_parser = reason)]
    pub force: String,
    /// Also when servers of its provider still show it: what it signs is bogus to whoever has our DNSKEY RRset.
    #[arg(long)]
    pub served: bool,
    #[command(flatten)]
    pub state: StateArgument,
}

/// Lets a provider's key in again that was withdrawn here.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  countersign keys readmit example. 12345")]
pub(super) struct ReadmitArguments {
    /// The zone.
    pub origin: Name,
    /// The key's tag.
    pub tag: u16,
    #[command(flatten)]
    pub state: StateArgument,
}

/// Accepts what the server holds back until a person says so.
#[derive(Debug, Subcommand)]
pub(super) enum AcceptCommand {
    /// Accepts the machine's clock as it stands now.
    ///
    /// The server holds a clock for wrong that jumped, or that is behind a time it has seen: it then signs as of
    /// the last good time and withdraws nothing. When the clock is right after all, say so with this.
    #[command(after_help = "\
Example:
  date && countersign accept clock")]
    Clock(StateArgument),
    /// Accepts content that the server holds back: that of a zone that is fetched from another server or from NS1.
    ///
    /// Content that has lost more than `largest_shrink` of its records, or all of them, or that is an older version
    /// than what is served, does not replace it by itself. When it is right after all, say so with this: it is then
    /// fetched and served. `countersign status` tells what is held back.
    #[command(after_help = "\
Example:
  countersign accept content example.")]
    Content(AcceptContent),
}

/// The zone whose content is accepted.
#[derive(Debug, Args)]
pub(super) struct AcceptContent {
    /// The zone.
    pub origin: Name,
    #[command(flatten)]
    pub state: StateArgument,
}

/// Prints the DS records (SHA-256) that the parent should have: of every provider's published KSK and CSK.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  countersign ds example.")]
pub(super) struct DsArguments {
    #[command(flatten)]
    pub zone: ZoneArguments,
}

/// Shows what the running server does: zones, keys, signatures, counters, and warnings that stand.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign status
  countersign status example.
  countersign status --json | jq '.zones[].serial'")]
pub(super) struct StatusArguments {
    /// Only this zone.
    pub origin: Option<Name>,
    #[command(flatten)]
    pub state: StateArgument,
    #[command(flatten)]
    pub json: JsonArgument,
}

/// Makes the running server read configuration, zones and keys again, and says what changed.
///
/// Exit code 1 when something could not be taken; what was served before then goes on.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  countersign check && countersign reload")]
pub(super) struct ReloadArguments {
    #[command(flatten)]
    pub state: StateArgument,
    #[command(flatten)]
    pub json: JsonArgument,
}

/// Exchanges keys with the other providers of a zone.
///
/// The running server does this by itself, unless the zone has `exchange_keys = false`; these commands ask it to do it
/// now, and show what each server of a provider serves.
#[derive(Debug, Subcommand)]
pub(super) enum PeerCommand {
    Status(PeerStatusArguments),
    Pull(PeerPullArguments),
    Push(PeerPushArguments),
    Sync(PeerSyncArguments),
    EnableDnssec(PeerPlainArguments),
    Withdraw(PeerWithdrawArguments),
    Probe(ProbeArguments),
}

/// Makes a provider sign the zone, and nothing else.
///
/// Nothing does this by itself. A zone whose parent has a DS already, for keys that the provider does not have, would
/// turn bogus by it.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  countersign peer enable-dnssec example. --provider ns1")]
pub(super) struct PeerPlainArguments {
    #[command(flatten)]
    pub common: PeerArguments,
}

/// Takes our keys out at a provider: the way back from two signers to one.
///
/// A resolver that takes the key set from there then finds our answers bogus, so first take our name servers and our
/// DS out at the parent and at the provider, and wait out their TTLs.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  countersign peer withdraw example. --provider ns1 --force 'back to one signer; NS and DS are gone for two days'")]
pub(super) struct PeerWithdrawArguments {
    #[command(flatten)]
    pub common: PeerArguments,
    /// Do it, for this reason, which is logged.
    #[arg(long, value_name = "REASON", required = true, value_parser = reason)]
    pub force: String,
    /// Also where NS records lead to our servers, or nobody knows: what we sign is bogus to whoever has the key set from there.
    #[arg(long)]
    pub served: bool,
}

/// Shows what was last seen at the other providers.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign peer status
  countersign peer status example. --json | jq '.peers[].in_step'")]
pub(super) struct PeerStatusArguments {
    /// Only this zone.
    pub origin: Option<Name>,
    #[command(flatten)]
    pub state: StateArgument,
    #[command(flatten)]
    pub json: JsonArgument,
}

/// Takes the other providers' keys into our DNSKEY RRset.
///
/// They are believed when the parent has a DS for a KSK among them, or the configuration pins one, or an earlier one
/// is known. Exit code 1 when nothing could be believed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign peer pull example.
  countersign peer pull example. --trust-api        the first time, where the parent has no DS yet")]
pub(super) struct PeerPullArguments {
    #[command(flatten)]
    pub common: PeerArguments,
    /// Believe what the provider's API says, from now on; this is written down.
    #[arg(long)]
    pub trust_api: bool,
}

/// Gives the other providers our keys, and waits until all their servers show them.
///
/// Exit code 1 when some server does not in time; the running server goes on looking.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  countersign peer push example. --wait 5m")]
pub(super) struct PeerPushArguments {
    #[command(flatten)]
    pub common: PeerArguments,
    /// How long to wait for the servers, such as 30s or 5m.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s")]
    pub wait: Duration,
}

/// Takes their keys and gives them ours: pull and push in one.
///
/// Exit code 1 when something is amiss, or some server lags when the wait is over.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign peer sync example.
  countersign peer sync example. --watch            prints each change until Ctrl-C")]
pub(super) struct PeerSyncArguments {
    #[command(flatten)]
    pub common: PeerArguments,
    /// Believe what the provider's API says, from now on; this is written down.
    #[arg(long)]
    pub trust_api: bool,
    /// How long to wait for the servers, such as 30s or 5m.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s")]
    pub wait: Duration,
    /// Go on until interrupted, and print each change.
    #[arg(long)]
    pub watch: bool,
}

#[derive(Debug, Args)]
pub(super) struct PeerArguments {
    #[command(flatten)]
    pub zone: ZoneArguments,
    /// Only this provider, by the configuration's name.
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
}

/// A zone of the running server, and how to print what it says of it.
#[derive(Debug, Args)]
pub(super) struct ZoneArguments {
    /// The zone.
    pub origin: Name,
    #[command(flatten)]
    pub state: StateArgument,
    #[command(flatten)]
    pub json: JsonArgument,
}

#[derive(Debug, Args)]
pub(super) struct ZoneKeys {
    /// The zone.
    pub origin: Name,
    /// The folder that holds our key files.
    #[arg(long, value_name = "DIR", required_unless_present = "config")]
    pub keys: Option<PathBuf>,
    #[command(flatten)]
    pub state: StateArgument,
}

#[derive(Debug, Args)]
pub(super) struct StateArgument {
    /// The folder of the key register and the control socket [default: $STATE_DIRECTORY, else `state`].
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The server's configuration file, to take its folders from.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl StateArgument {
    /// The state folder: the one that is named, the configuration file's, or the default.
    pub(super) fn folder(&self) -> Result<PathBuf, Failure> {
        match (&self.state, &self.config) {
            (Some(state), _) => Ok(state.clone()),
            (None, Some(config)) => Ok(read_config(config)?.state),
            (None, None) => Ok(config::default_state()),
        }
    }

    /// The key folder: the one that is named, or the configuration file's.
    pub(super) fn keys(&self, named: Option<&Path>) -> Result<PathBuf, Failure> {
        match (named, &self.config) {
            (Some(keys), _) => Ok(keys.to_owned()),
            (None, Some(config)) => Ok(read_config(config)?.keys),
            (None, None) => Err(Failure::usage("name the key folder with --keys DIR")),
        }
    }
}

/// Reads a configuration file; its problems, all of them, are the failure.
pub(super) fn read_config(path: &Path) -> Result<Config, Failure> {
    config::load(path).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(|problem| format!("\n{problem}")).collect();
        Failure::new(format!("the configuration cannot be used:{}", lines.concat()))
    })
}

#[derive(Debug, Args)]
pub(super) struct JsonArgument {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum RoleArgument {
    /// Signs the key sets.
    Ksk,
    /// Signs the rest.
    Zsk,
    /// Signs everything.
    Csk,
}

pub(super) fn zone_and_file(text: &str) -> Result<(Name, PathBuf), String> {
    let (origin, file) = text
        .split_once('=')
        .ok_or("write it as ORIGIN=FILE, such as example.=zones/example.zone")?;
    if file.is_empty() {
        return Err("no file behind the =".to_owned());
    }
    let origin = origin
        .parse()
        .map_err(|error| format!("\"{origin}\" is not a domain name: {error}"))?;
    Ok((origin, file.into()))
}

fn origin_and_file(text: &str) -> Result<(Option<Name>, PathBuf), String> {
    // A path may hold a "=" as well; only what has no slash in front of it can be an origin.
    match text.split_once('=') {
        Some((origin, _)) if !origin.contains('/') => {
            zone_and_file(text).map(|(origin, file)| (Some(origin), file))
        }
        _ if text.is_empty() => Err("no file".to_owned()),
        _ => Ok((None, text.into())),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    config::duration(text).ok_or_else(|| "write a time as 30s, 5m or 2h".to_owned())
}

/// A reason that says something.
pub(super) fn reason(text: &str) -> Result<String, String> {
    let said = text.trim();
    if said.is_empty() {
        return Err("say in words why; it is kept".to_owned());
    }
    Ok(said.to_owned())
}

fn log_level(text: &str) -> Result<LogLevel, String> {
    match text {
        "error" => Ok(LogLevel::Error),
        "warn" => Ok(LogLevel::Warn),
        "info" => Ok(LogLevel::Info),
        "debug" => Ok(LogLevel::Debug),
        "trace" => Ok(LogLevel::Trace),
        _ => Err("choose error, warn, info, debug or trace".to_owned()),
    }
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("choose text or json".to_owned()),
    }
}

fn denial(text: &str) -> Result<Denial, String> {
    match text {
        "compact" => Ok(Denial::Compact),
        "nsec" => Ok(Denial::Nsec),
        "nsec3" => Ok(Denial::Nsec3),
        _ => Err("choose compact, nsec or nsec3".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn clap_finds_no_fault() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_contract_is_read() {
        let parse = |line: &str| {
            Cli::try_parse_from(line.split(' '))
                .map(|_| ())
                .map_err(|error| error.exit_code())
        };
        for line in [
            "countersign serve",
            "countersign serve -c x.toml",
            "countersign serve --zone example.=f --listen 127.0.0.1:53 --keys k",
            "countersign serve --zone a.=f --zone b.=g --listen 127.0.0.1:53 --listen [::1]:53 --keys k \
             --external-keys a.=x --external-keys ./b=c --denial nsec3 --state s",
            "countersign check",
            "countersign check -c x.toml --json",
            "countersign keys generate example. --keys k --state s --algorithm ED25519 --role csk",
            "countersign keys list example. --keys k --json",
            "countersign keys ds example. --keys k",
            "countersign keys import example. a b --keys k --state s",
            "countersign keys withdraw example. 12345 --force why --state s",
            "countersign accept clock --state s",
            "countersign ds example. --state s",
            "countersign status",
            "countersign status example. --json --state s",
            "countersign reload --state s --json",
            "countersign reload -c x.toml",
            "countersign keys generate example. -c x.toml",
            "countersign peer status",
            "countersign peer pull example. --provider ns1 --trust-api --json",
            "countersign peer push example. --wait 0s --state s",
            "countersign peer sync example. --watch",
            "countersign peer enable-dnssec example. --provider ns1",
            "countersign peer withdraw example. --force why --served",
            "countersign plan roll-zsk example.",
            "countersign plan join example. --provider us --json --state s",
            "countersign apply emergency example. --old 12345 --new 2 --policy security --force why",
            "countersign apply algorithm example. --algorithm ED25519",
            "countersign pause example.",
            "countersign pause example. why",
            "countersign resume example. --json",
            "countersign done example.",
            "countersign abort example. why --state s",
            "countersign abort example. why --forget-journal",
            "countersign abort example. why --as-it-is",
            "countersign peer probe example. --api-key-env NS1_API_KEY",
            "countersign peer probe --scratch probe.example. --api-key-file k --endpoint https://localhost/v1/ --report r",
            "countersign peer probe example. -c x.toml --provider ns1 --server 127.0.0.1:5401 --json",
        ] {
            assert_eq!(parse(line), Ok(()), "{line}");
        }
        for line in [
            "countersign",
            "countersign frobnicate",
            "countersign serve --zone example.=f --keys k",
            "countersign serve --zone example.=f --listen 127.0.0.1:53",
            "countersign serve --zone example. --listen 127.0.0.1:53 --keys k",
            "countersign serve -c x.toml --zone example.=f --listen 127.0.0.1:53 --keys k",
            "countersign serve --listen 127.0.0.1:53",
            "countersign serve --zone a..b=f --listen 127.0.0.1:53 --keys k",
            "countersign serve --zone example.=f --listen 127.0.0.1:53 --keys k --denial nsec5",
            "countersign keys withdraw example. 12345",
            "countersign keys withdraw example. 123456 --force x",
            "countersign keys generate example.",
            "countersign keys generate example. --keys k --role zsk2",
            "countersign peer push example. --wait 5",
            "countersign plan example.",
            "countersign plan roll example.",
            "countersign apply emergency example. --policy none",
            "countersign abort example.",
            "countersign peer withdraw example.",
            "countersign peer probe --api-key-env NS1_API_KEY",
            "countersign peer probe example.",
            "countersign peer probe example. --api-key-env A --api-key-file b",
            "countersign peer probe example. -c x.toml --api-key-env A",
        ] {
            assert_eq!(parse(line), Err(2), "{line}");
        }
        assert_eq!(parse("countersign --help"), Err(0));
    }
}
