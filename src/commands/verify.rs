//! `countersign verify`: whether the signers of a zone can stand beside each other, asked of their servers.

mod print;
mod targets;

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{
    arguments::JsonArgument,
    outcome::{Failure, Report, chain},
    peer::Progress,
};
use crate::{
    client::Asker,
    clock::SystemClock,
    config::{ContentSource, ServerAt},
    control::zonefile,
    dnssec::validate::Ds,
    multisigner::verify::{
        Accepted, Survey,
        ask::{self, Request},
        judge, samples,
    },
    wire::{Name, RrType},
    zone::Zone,
};

/// Nothing is said of how far the asking is before it took so long.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the count is written anew.
const BEAT: Duration = Duration::from_millis(500);

/// Asks every server of a zone, and judges each one's answers with each one's DNSKEY RRset.
///
/// A resolver may take the keys of a zone from one provider and the answers from another (RFC 8901). So for every
/// ordered pair of servers, ours included, data, denials, wildcards, DNSKEY, DS and CDS are validated as a resolver
/// would, and what the servers serve is compared: key sets, TTLs, algorithms, digests, ways of denial, name servers,
/// data, and the parent's DS with the keys.
///
/// Servers are those of --server; without any those of the configuration, and without that those that the zone's NS
/// names. A server that cannot be reached is neither good nor bad.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign verify example. -c /etc/countersign/countersign.toml
  countersign verify example. --server ours=127.0.0.1:5300 --server ns1=198.51.100.1 \\
    --server ns1=198.51.100.65 --parent 192.0.2.53
  countersign verify example. --server 192.0.2.1 --server 192.0.2.2 \\
    --ds '55648 13 2 B4C8…' --name www.example./AAAA
  countersign verify example. --zone-file zones/example.zone \\
    --accept geo.example./A --strict --json

Findings, the worst first:
  BOGUS           resolvers find answers bogus now
  would be bogus  they will, as soon as a published key signs, a DS goes, a signature ends
  difference      not the same everywhere; --accept takes one, --strict counts them
  unseen          cannot be judged from here
  note            worth knowing, such as a foreign KSK that is left out

Exit codes: 0 nothing is bogus, and nothing would be; 1 something is, or no server
of some provider could be judged; 2 wrong usage.")]
pub(super) struct VerifyArguments {
    /// The zone.
    pub origin: Name,
    /// The configuration file, to take servers, parent and content from [default: countersign.toml, if there is one
    /// and no --server is named].
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A server of the zone, with what its provider is called in front; may be repeated.
    #[arg(long, value_name = "[LABEL=]ADDR[:PORT]", value_parser = labelled)]
    pub server: Vec<(Option<String>, ServerAt)>,
    /// A server of the parent zone, which is asked for the DS; may be repeated.
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = server_at)]
    pub parent: Vec<ServerAt>,
    /// A DS record as the parent has it, or is to have it; may be repeated.
    #[arg(long, value_name = "TAG ALG TYPE DIGEST", value_parser = ds)]
    pub ds: Vec<Ds>,
    /// A name to ask for besides, of this type or of some; may be repeated.
    #[arg(long, value_name = "NAME[/TYPE]", value_parser = name_and_type)]
    pub name: Vec<(Name, Option<RrType>)>,
    /// A name that a wildcard stands below, as `*.NAME`; may be repeated.
    #[arg(long, value_name = "NAME[/TYPE]", value_parser = name_and_type)]
    pub wildcard: Vec<(Name, Option<RrType>)>,
    /// A master file to take names and types from [default: that of the configuration].
    #[arg(long, value_name = "FILE")]
    pub zone_file: Option<PathBuf>,
    /// How many owners and types of the master file are asked for.
    #[arg(long, value_name = "COUNT", default_value_t = samples::SOME as u64,
        value_parser = clap::value_parser!(u64).range(..=samples::MOST as u64))]
    pub samples: u64,
    /// A difference of content to take as it is, of this type or of all; may be repeated.
    #[arg(long, value_name = "OWNER[/TYPE]", value_parser = name_and_type)]
    pub accept: Vec<(Name, Option<RrType>)>,
    /// End with 1 also when something differs.
    #[arg(long)]
    pub strict: bool,
    #[command(flatten)]
    pub json: JsonArgument,
}

pub(super) fn run(arguments: &VerifyArguments) -> Result<Report, Failure> {
    let zone = &arguments.origin;
    check_names(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from(error).context("cannot start asking"))?;
    let config = targets::config(arguments)?;
    let found = runtime.block_on(targets::find(arguments, config.as_ref()))?;
    let mut remarks = found.remarks;
    let content = content(arguments, config.as_ref(), &mut remarks)?;
    let label = samples::nobodys_label().ok_or_else(|| Failure::new("the system gives no random octets"))?;
    let wanted = samples::Wanted {
        names: arguments.name.clone(),
        wildcards: arguments
            .wildcard
            .iter()
            .map(|(name, rtype)| (name.clone(), rtype.unwrap_or(RrType::A)))
            .collect(),
        content: content.as_ref(),
        samples: usize::try_from(arguments.samples).unwrap_or(samples::MOST),
        nobodys_label: &label,
    };
    let request = Request {
        zone: zone.clone(),
        targets: found.targets,
        probes: samples::probes(zone, &wanted),
        parent: found.parent,
        given: arguments.ds.clone(),
    };
    let survey = runtime.block_on(ask(request));
    let accepted: Vec<Accepted> = arguments
        .accept
        .iter()
        .map(|(owner, rtype)| Accepted {
            owner: owner.clone(),
            rtype: *rtype,
        })
        .collect();
    let judged = judge(&survey, &accepted);
    let holds = judged.holds(arguments.strict);
    let report = if arguments.json.json {
        Report::json(&print::json(&judged, holds))
    } else {
        Report::of(print::text(&judged))
    };
    let report = remarks.into_iter().fold(report, Report::remark);
    Ok(report.negative(!holds))
}

/// Names that are asked for must be the zone's.
fn check_names(arguments: &VerifyArguments) -> Result<(), Failure> {
    let zone = &arguments.origin;
    let lists = [&arguments.name, &arguments.wildcard, &arguments.accept];
    let outside = lists
        .into_iter()
        .flatten()
        .find(|(name, _)| !name.as_ref().is_at_or_below(zone.as_ref()));
    match outside {
        Some((name, _)) => Err(Failure::usage(format!(
            "{name} is not in {zone}; write whole names, such as www.{zone}"
        ))),
        None => Ok(()),
    }
}

/// The content to take samples from: what is named must be readable, what the configuration names need not be.
fn content(
    arguments: &VerifyArguments,
    config: Option<&targets::ZoneConfig>,
    remarks: &mut Vec<String>,
) -> Result<Option<Zone>, Failure> {
    let (path, is_named) = match (&arguments.zone_file, config) {
        (Some(path), _) => (path.clone(), true),
        (None, Some(config)) => match &config.zone.source {
            ContentSource::File { path, .. } => (path.clone(), false),
            // What the server has of it is not at hand here.
            ContentSource::Axfr { .. } | ContentSource::Ns1 { .. } => return Ok(None),
        },
        (None, None) => return Ok(None),
    };
    let hasher = ahash::RandomState::new();
    match zonefile::read(&path, arguments.origin.as_ref(), None, &hasher) {
        Ok(read) => Ok(Some(read.zone)),
        Err(unusable) => {
            let first = unusable.errors.into_iter().next().unwrap_or_default();
            if is_named {
                return Err(Failure::new(first));
            }
            remarks.push(format!("no samples are taken from the zone's file: {first}"));
            Ok(None)
        }
    }
}

async fn ask(request: Request) -> Survey {
    let (asker, clock, progress) = (Asker::default(), SystemClock::default(), ask::Progress::default());
    let asking = ask::survey(&asker, request, &clock, &progress);
    tokio::pin!(asking);
    let mut line = Progress::default();
    let mut patience = PATIENCE;
    loop {
        match tokio::time::timeout(patience, &mut asking).await {
            Ok(survey) => {
                line.end();
                return survey;
            }
            Err(_) => {
                let (asked, answered) = progress.counts();
                line.say(&format!("{answered} of {asked} questions are answered"));
                patience = BEAT;
            }
        }
    }
}

fn server_at(text: &str) -> Result<ServerAt, String> {
    text.parse()
}

fn labelled(text: &str) -> Result<(Option<String>, ServerAt), String> {
    match text.split_once('=') {
        Some(("", _)) => Err("no label in front of the =".to_owned()),
        Some((label, server)) => Ok((Some(label.to_owned()), server_at(server)?)),
        None => Ok((None, server_at(text)?)),
    }
}

fn ds(text: &str) -> Result<Ds, String> {
    text.parse().map_err(|error| chain(&error))
}

fn name_and_type(text: &str) -> Result<(Name, Option<RrType>), String> {
    let (name, rtype) = match text.rsplit_once('/') {
        // A slash may stand in a name, as in those of RFC 2317.
        Some((name, rtype)) if RrType::from_text(rtype).is_some() => (name, RrType::from_text(rtype)),
        Some((_, rtype)) if !rtype.contains('.') => return Err(format!("\"{rtype}\" is not a record type")),
        _ => (text, None),
    };
    let name = name
        .parse()
        .map_err(|error| format!("\"{name}\" is not a domain name: {error}"))?;
    Ok((name, rtype))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_a_type() {
        let read = |text| name_and_type(text).map(|(name, rtype)| (name.to_string(), rtype));
        assert_eq!(
            read("www.example./A"),
            Ok(("www.example.".to_owned(), Some(RrType::A)))
        );
        assert_eq!(read("www.example"), Ok(("www.example.".to_owned(), None)));
        assert_eq!(
            read("x.example./TYPE65280").map(|(_, rtype)| rtype),
            Ok(Some(RrType(65_280)))
        );
        assert_eq!(
            read("0/25.2.0.192.in-addr.arpa."),
            Ok(("0/25.2.0.192.in-addr.arpa.".to_owned(), None))
        );
        assert!(read("www.example./NOTYPE").is_err());
        assert!(read("a..b").is_err());
    }

    #[test]
    fn servers_with_and_without_a_label() {
        let address = |text: &str| ServerAt::Address(text.parse().unwrap());
        assert_eq!(labelled("192.0.2.1"), Ok((None, address("192.0.2.1:53"))));
        assert_eq!(
            labelled("ns1=192.0.2.1:5300"),
            Ok((Some("ns1".to_owned()), address("192.0.2.1:5300")))
        );
        assert_eq!(
            labelled("[2001:db8::1]:5300"),
            Ok((None, address("[2001:db8::1]:5300")))
        );
        assert!(labelled("=192.0.2.1").is_err());
        assert!(labelled("ns1=").is_err());
    }
}
