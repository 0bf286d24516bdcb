//! The lab in one piece: a simulated NS1 that has a zone, a parent above it, and our server beside NS1. Keys are exchanged,
//! everything is verified, and the parent learns of both. No account is needed, and all of it is on loopback.
//!
//! ```text
//!            parent zone (hickory)            DS and NS of both
//!              /            \
//!   simulated NS1  ◄──────►  our server       keys both ways, through NS1's API and by DNS
//! ```

use std::{
    fs,
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{
    ns1::{KNOBS, Knob, Settings as Ns1Settings, Simulated, ZoneText},
    parent::{Delegation, Parent},
};
use crate::{
    client::Asker,
    clock::{Clock, SystemClock},
    config,
    control::{
        instance::Instance,
        peers,
        protocol::{PeerAction, PeerReport, Refusal},
    },
    dnssec::{algorithm::DigestType, validate::Ds},
    multisigner::{
        observe::At,
        verify::{
            self, Target,
            ask::{self, Request},
            samples::{self, Wanted},
        },
    },
    serve::Listeners,
    wire::{Name, RrType},
};

/// How long servers are waited for.
const PATIENCE: Duration = Duration::from_secs(12);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// The TTL of what the parent has, in seconds.
const PARENT_TTL: u32 = 60;
/// The name that the lab gives NS1 in the configuration.
const PROVIDER: &str = "ns1";

/// What the lab is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A folder for configuration, keys and state; it must exist.
    pub folder: PathBuf,
    /// The zone.
    pub zone: Name,
    /// Its content, as NS1 is given it.
    pub text: String,
    /// Where our server answers.
    pub ours: SocketAddr,
    /// Where NS1's servers answer.
    pub ns1: [SocketAddr; 2],
    /// Where NS1's API is.
    pub api: SocketAddr,
    /// Where the parent answers.
    pub parent: SocketAddr,
    /// What goes wrong, by the name of a knob.
    pub fault: Option<String>,
    /// Whether keys are exchanged. Without it the parent has a DS for both all the same: what a person must never do.
    pub exchange: bool,
}

impl Settings {
    /// The usual places, or with `anywhere` ports that are free.
    pub fn new(folder: PathBuf, zone: Name, text: String, anywhere: bool) -> Self {
        let at =
            |port: u16| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), if anywhere { 0 } else { port });
        Self {
            folder,
            zone,
            text,
            ours: at(5300),
            ns1: [at(5301), at(5302)],
            api: at(5380),
            parent: at(5303),
            fault: None,
            exchange: true,
        }
    }
}

/// What the lab says as it goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// A step begins.
    Begun(String),
    /// It is done.
    Done(String),
    /// It did not come to its end.
    NotDone(String),
    /// A remark.
    Said(String),
}

/// Why the lab could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// Some part of it.
    #[error("{what}")]
    Part {
        /// Which.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Our server's configuration.
    #[error("the lab's configuration cannot be used: {0}")]
    Config(String),
    /// The server said no.
    #[error("{}", .0.error)]
    Refused(Refusal),
}

pub(super) fn part<E: std::error::Error + Send + Sync + 'static>(
    what: &'static str,
) -> impl FnOnce(E) -> LabError {
    move |source| LabError::Part {
        what,
        source: Box::new(source),
    }
}

/// How it ended.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Outcome {
    /// What Countersign says of NS1 at the end.
    pub peer: PeerReport,
    /// Everything that it said of NS1 on the way, once each.
    pub told: Vec<String>,
    /// What the check of all pairs of servers found.
    pub verified: Vec<verify::finding::Told>,
    /// Whether every server shows every key of both, and every answer validates with every key set.
    pub sound: bool,
}

/// A lab that is up.
#[derive(Debug)]
pub struct Lab {
    settings: Settings,
    ns1: Simulated,
    parent: Parent,
    instance: Instance,
    ours: SocketAddr,
    told: Vec<String>,
}

/// The knob of a name.
pub fn knob(name: &str) -> Option<&'static Knob> {
    KNOBS.iter().find(|knob| knob.name == name)
}

impl Lab {
    /// Sets everything up: NS1 signs the zone alone, and our server stands beside it, known to nobody yet.
    ///
    /// # Errors
    /// When some part of it cannot be had.
    pub async fn start(settings: Settings, tell: &mut dyn FnMut(Told)) -> Result<Self, LabError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        tell(Told::Begun("a simulated NS1, with the zone".into()));
        let api_key = "the-lab's-key-which-opens-nothing-else";
        let ns1 = Ns1Settings {
            api: settings.api,
            dns: settings.ns1.to_vec(),
            name_servers: Vec::new(),
            api_key: api_key.to_owned(),
            zones: vec![(settings.zone.clone(), ZoneText::Text(settings.text.clone()))],
            signed: false,
            knobs: Vec::new(),
        };
        let ns1 = Simulated::start(ns1, Arc::clone(&clock))
            .await
            .map_err(part("cannot start the simulated NS1"))?;
        tell(Told::Done(format!(
            "{}, servers {}",
            ns1.api_url(),
            list(ns1.dns())
        )));

        tell(Told::Begun("a parent zone".into()));
        let above = settings
            .zone
            .as_ref()
            .parent()
            .map_or_else(Name::root, |name| name.to_owned());
        let parent = Parent::start(above, &[settings.parent])
            .await
            .map_err(part("cannot start the parent zone"))?;
        tell(Told::Done(format!(
            "{} by hickory on {}",
            parent.apex(),
            list(parent.addresses())
        )));

        tell(Told::Begun("our server, beside it".into()));
        let listeners =
            Listeners::bind(&[settings.ours], Default::default()).map_err(part("cannot bind our address"))?;
        let ours = listeners.addresses()[0];
        let config = configure(&settings, ours, &ns1, &parent, api_key)?;
        let instance = Instance::start(config, listeners)
            .await
            .map_err(part("cannot start our server"))?;
        tell(Told::Done(format!(
            "on {ours}, its files in {}",
            settings.folder.display()
        )));
        Ok(Self {
            settings,
            ns1,
            parent,
            instance,
            ours,
            told: Vec::new(),
        })
    }

    /// Goes through the exchange of keys, and the check of everything.
    ///
    /// # Errors
    /// When our server refuses to be commanded.
    pub async fn run(&mut self, tell: &mut dyn FnMut(Told)) -> Result<Outcome, LabError> {
        let fault = self.settings.fault.as_deref().and_then(knob);
        if let Some(knob) = fault.filter(|knob| !is_late(knob)) {
            self.turn(knob, tell)?;
        }
        let signed = self.sign_at_ns1(tell).await?;
        let mut peer = if self.settings.exchange && signed {
            self.pull(tell).await?;
            self.push(tell).await?
        } else {
            self.act(PeerAction::Status, tell).await?
        };
        self.delegate_to_both(tell).await?;
        if peer.in_step {
            peer = self.act(PeerAction::Pull { trust_api: false }, tell).await?;
        }
        if let Some(knob) = fault.filter(|knob| is_late(knob)) {
            self.turn(knob, tell)?;
            peer = self.watch(tell).await?;
        }
        let verified = self.verify(tell).await;
        let sound = peer.in_step && verified.holds(false);
        let findings = verified.findings.iter().map(verify::Finding::told);
        Ok(Outcome {
            verified: findings.collect(),
            peer,
            told: self.told.clone(),
            sound,
        })
    }

    /// From here on our server exchanges keys by itself: the configuration is changed, and read again.
    ///
    /// # Errors
    /// When it cannot be written, or not be taken.
    pub fn go_on(&self) -> Result<(), Refusal> {
        let path = self.settings.folder.join("countersign.toml");
        let refused = |error: String| Refusal { error, advice: None };
        let text = fs::read_to_string(&path).map_err(|error| refused(error.to_string()))?;
        let text = text.replace("exchange_keys = false\n", "");
        write(&path, &text, 0o644).map_err(|error| refused(error.to_string()))?;
        let reloaded = self.instance.server().reload();
        if reloaded.is_whole() {
            Ok(())
        } else {
            Err(refused(reloaded.problems.join("; ")))
        }
    }

    /// The folder of its files.
    pub fn folder(&self) -> &Path {
        &self.settings.folder
    }

    /// Ends it.
    pub async fn stop(self) {
        self.instance.stop().await;
        self.ns1.stop().await;
    }

    /// Where our server answers.
    pub fn ours(&self) -> SocketAddr {
        self.ours
    }

    /// The simulated NS1.
    pub fn ns1(&self) -> &Simulated {
        &self.ns1
    }

    /// The parent.
    pub fn parent(&self) -> &Parent {
        &self.parent
    }

    fn turn(&mut self, knob: &Knob, tell: &mut dyn FnMut(Told)) -> Result<(), LabError> {
        self.ns1
            .set_knob(knob.name, knob.fault)
            .map_err(part("cannot turn the knob"))?;
        tell(Told::Said(format!(
            "fault {}={}: {}",
            knob.name, knob.fault, knob.what
        )));
        Ok(())
    }

    async fn act(&mut self, action: PeerAction, tell: &mut dyn FnMut(Told)) -> Result<PeerReport, LabError> {
        let server = self.instance.server();
        let mut report = peers::act(server, &self.settings.zone, Some(PROVIDER), action)
            .await
            .map_err(LabError::Refused)?;
        let peer = report.peers.remove(0);
        for found in &peer.findings {
            if !self.told.contains(&found.what) {
                self.told.push(found.what.clone());
                tell(Told::Said(format!("{}: {}", found.severity, found.what)));
            }
        }
        Ok(peer)
    }

    /// NS1 is told to sign, and the parent that it does: the state that most people begin with.
    async fn sign_at_ns1(&mut self, tell: &mut dyn FnMut(Told)) -> Result<bool, LabError> {
        tell(Told::Begun(
            "NS1 signs the zone alone, and the parent has its DS".into(),
        ));
        let began = Instant::now();
        loop {
            // What is amiss before the parent has the DS is no news.
            let acted = self.act(PeerAction::EnableDnssec, &mut |_| ()).await;
            self.told.clear();
            match acted {
                Err(LabError::Refused(refusal)) if began.elapsed() > PATIENCE => {
                    self.told.push(refusal.error.clone());
                    tell(Told::NotDone(refusal.error));
                    return Ok(false);
                }
                Err(LabError::Refused(_)) => sleep(PAUSE).await,
                other => {
                    other?;
                    break;
                }
            }
        }
        self.delegate_to_ns1()?;
        let keys = self.ns1.own_keys(&self.settings.zone);
        let tags: Vec<String> = keys.iter().map(|key| key.key_tag().to_string()).collect();
        tell(Told::Done(format!("keys {}", tags.join(", "))));
        Ok(true)
    }

    async fn pull(&mut self, tell: &mut dyn FnMut(Told)) -> Result<(), LabError> {
        tell(Told::Begun(
            "NS1's keys: looked at, believed, published by us".into(),
        ));
        let began = Instant::now();
        loop {
            let peer = self.act(PeerAction::Pull { trust_api: false }, tell).await?;
            let theirs = peer
                .servers
                .iter()
                .map(|server| server.theirs.len())
                .max()
                .unwrap_or(0);
            if let (Some(trusted), 1..) = (&peer.trusted, theirs) {
                tell(Told::Done(format!("{theirs} keys, believed by {trusted}")));
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                tell(Told::NotDone("nothing that can be believed".into()));
                return Ok(());
            }
            sleep(PAUSE).await;
        }
    }

    async fn push(&mut self, tell: &mut dyn FnMut(Told)) -> Result<PeerReport, LabError> {
        tell(Told::Begun(
            "our keys: given to NS1, until each of its servers shows them".into(),
        ));
        let began = Instant::now();
        loop {
            let peer = self.act(PeerAction::Sync { trust_api: false }, tell).await?;
            if let Some(gift) = &peer.gift {
                tell(Told::Said(gift.clone()));
            }
            if peer.in_step {
                tell(Told::Done(format!(
                    "shown by {} servers after {:.1} s",
                    peer.servers.len(),
                    began.elapsed().as_secs_f32()
                )));
                return Ok(peer);
            }
            if began.elapsed() > PATIENCE {
                tell(Told::NotDone(format!(
                    "not in step after {} s",
                    PATIENCE.as_secs()
                )));
                return Ok(peer);
            }
            sleep(PAUSE).await;
        }
    }

    /// After a late fault: looks until all is well again, for so long as a fault of the lab takes.
    async fn watch(&mut self, tell: &mut dyn FnMut(Told)) -> Result<PeerReport, LabError> {
        tell(Told::Begun("what Countersign makes of it".into()));
        let began = Instant::now();
        let mut calm_since: Option<Instant> = None;
        loop {
            let peer = self.act(PeerAction::Sync { trust_api: false }, tell).await?;
            calm_since = if peer.in_step {
                calm_since.or(Some(Instant::now()))
            } else {
                None
            };
            // In step for longer than a fault's steps lie apart: it is over.
            if calm_since.is_some_and(|since| since.elapsed() > CALM) {
                tell(Told::Done(format!(
                    "in step again after {:.1} s",
                    began.elapsed().as_secs_f32()
                )));
                return Ok(peer);
            }
            if began.elapsed() > PATIENCE {
                tell(Told::NotDone("not in step".into()));
                return Ok(peer);
            }
            sleep(PAUSE).await;
        }
    }

    /// Every server's answers are judged with every server's key set, as resolvers mix them.
    async fn verify(&self, tell: &mut dyn FnMut(Told)) -> verify::Report {
        tell(Told::Begun(
            "everything, checked: the answers of each with the keys of each".into(),
        ));
        let zone = &self.settings.zone;
        let target = |provider: &str, address: &SocketAddr| Target {
            provider: provider.to_owned(),
            at: At {
                name: None,
                address: *address,
            },
        };
        let theirs = self.ns1.dns().iter().map(|address| target(PROVIDER, address));
        let parent = self
            .parent
            .addresses()
            .iter()
            .map(|&address| At { name: None, address });
        let held = self.instance.server().content_of(zone);
        let content = held.as_ref().and_then(|held| held.served.content().ok());
        let wanted = Wanted {
            content: content.map(|content| content.zone()),
            samples: samples::SOME,
            // Nobody caches anything in the lab.
            nobodys_label: "no-such-name-of-the-lab",
            ..Wanted::default()
        };
        let request = Request {
            zone: zone.clone(),
            targets: std::iter::once(target("ours", &self.ours))
                .chain(theirs)
                .collect(),
            probes: samples::probes(zone, &wanted),
            parent: parent.collect(),
            given: Vec::new(),
        };
        let clock = SystemClock::default();
        let survey = ask::survey(&Asker::default(), request, &clock, &ask::Progress::default()).await;
        let report = verify::judge(&survey, &[]);
        let what = format!(
            "{} pairs of servers, {} questions each; {} findings",
            report.pairs.len(),
            report.questions,
            report.findings.len()
        );
        tell(if report.holds(false) {
            Told::Done(what)
        } else {
            Told::NotDone(what)
        });
        report
    }

    fn delegate_to_ns1(&self) -> Result<(), LabError> {
        self.delegate(self.ns1_servers(), self.ds_of_ns1())
    }

    fn ds_of_ns1(&self) -> Vec<Ds> {
        let zone = &self.settings.zone;
        let keys = self.ns1.own_keys(zone);
        let ksks = keys.iter().filter(|key| key.is_sep());
        ksks.map(|key| Ds::of(key, zone.as_ref(), DigestType::Sha256))
            .collect()
    }

    fn ns1_servers(&self) -> Vec<(Name, Vec<IpAddr>)> {
        let names = self.ns1.name_servers().into_iter().zip(self.ns1.dns());
        names.map(|(name, address)| (name, vec![address.ip()])).collect()
    }

    /// The parent learns of both signers: their name servers, and a DS for the KSKs of both.
    async fn delegate_to_both(&mut self, tell: &mut dyn FnMut(Told)) -> Result<(), LabError> {
        let zone = self.settings.zone.clone();
        tell(Told::Begun("the parent: DS and NS of both signers".into()));
        let records = self.instance.server().ds(&zone).map_err(LabError::Refused)?;
        let ours = records.records.iter();
        let mut ds: Vec<Ds> = ours
            .filter_map(|record| record.split_once(" DS ")?.1.parse().ok())
            .collect();
        // Where nothing was exchanged, ours are not of both.
        ds.extend(
            self.ds_of_ns1()
                .into_iter()
                .filter(|theirs| !ds.contains(theirs))
                .collect::<Vec<_>>(),
        );
        let tags: Vec<String> = ds.iter().map(|ds| ds.tag().to_string()).collect();
        let servers = self.apex_ns();
        self.delegate(servers, ds)?;
        tell(Told::Done(format!("DS for keys {}", tags.join(", "))));
        Ok(())
    }

    /// The name servers that the zone itself names, which is what both serve.
    fn apex_ns(&self) -> Vec<(Name, Vec<IpAddr>)> {
        let held = self.instance.server().content_of(&self.settings.zone);
        let content = held.as_ref().and_then(|held| held.served.content().ok());
        let set = content.and_then(|content| content.zone().apex_node().rrset(RrType::NS));
        let rdatas = set.into_iter().flat_map(|set| set.rdatas());
        let names = rdatas.filter_map(|rdata| Name::from_wire(rdata).ok());
        names.map(|name| (name, vec![self.ours.ip()])).collect()
    }

    fn delegate(&self, servers: Vec<(Name, Vec<IpAddr>)>, ds: Vec<Ds>) -> Result<(), LabError> {
        let below = [Delegation {
            child: self.settings.zone.clone(),
            servers,
            ds,
            ttl: PARENT_TTL,
        }];
        self.parent
            .delegate(&below)
            .map_err(part("the parent cannot delegate"))
    }
}

/// For how long a provider must be in step until a fault counts as over: longer than a fault's steps lie apart.
const CALM: Duration = Duration::from_secs(4);

/// Faults of a provider that was in step already; the others are there from the start.
fn is_late(knob: &Knob) -> bool {
    matches!(
        knob.name,
        "lost-keys" | "zsk-roll" | "ksk-roll" | "dnssec-off" | "unreachable-server" | "slow-server"
    )
}

fn list(addresses: &[SocketAddr]) -> String {
    addresses
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Writes what our server is told into the lab's folder, as a person would, and reads it.
fn configure(
    settings: &Settings,
    ours: SocketAddr,
    ns1: &Simulated,
    parent: &Parent,
    api_key: &str,
) -> Result<config::Config, LabError> {
    let folder = &settings.folder;
    let failed = part("cannot write the lab's files");
    let written = write(&folder.join("ns1.key"), api_key, 0o600)
        .and_then(|()| write(&folder.join("ns1-ca.pem"), ns1.ca_pem(), 0o644))
        .and_then(|()| write(&folder.join("zone"), &settings.text, 0o644));
    written.map_err(failed)?;
    let servers: Vec<String> = ns1.dns().iter().map(|address| format!("\"{address}\"")).collect();
    let text = format!(
        "listen = [\"{ours}\"]\nstate = \"state\"\nkeys = \"keys\"\n\n\
         [[provider]]\nname = \"{PROVIDER}\"\nkind = \"ns1\"\nendpoint = \"{}\"\napi_key_file = \"ns1.key\"\n\
         ca_file = \"ns1-ca.pem\"\nservers = [{}]\npoll = \"5s\"\npropagation = \"5s\"\n\n\
         [[zone]]\norigin = \"{}\"\nfile = \"zone\"\nauto_keys = true\nproviders = [\"{PROVIDER}\"]\nexchange_keys = false\nparent = [\"{}\"]\n",
        ns1.api_url(),
        servers.join(", "),
        settings.zone,
        parent.addresses()[0],
    );
    let path = folder.join("countersign.toml");
    write(&path, &text, 0o644).map_err(part("cannot write the lab's files"))?;
    config::load(&path).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        LabError::Config(problems.join("; "))
    })
}

pub(super) fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: &str = include_str!("../../zones/example.zone");

    async fn run(fault: Option<&str>) -> (Outcome, Vec<Told>) {
        let folder = tempfile::tempdir().unwrap();
        let zone: Name = "example.".parse().unwrap();
        let mut settings = Settings::new(folder.path().to_owned(), zone, ZONE.to_owned(), true);
        settings.fault = fault.map(str::to_owned);
        let mut told = Vec::new();
        let mut tell = |what| told.push(what);
        let mut lab = Lab::start(settings, &mut tell).await.unwrap();
        let outcome = lab.run(&mut tell).await.unwrap();
        lab.stop().await;
        (outcome, told)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn both_come_in_step() {
        let (outcome, told) = run(None).await;
        assert!(outcome.sound, "{told:#?}\n{:#?}", outcome.peer);
    }
}
