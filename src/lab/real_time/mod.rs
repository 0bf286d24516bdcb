//! A plan in real time: our server beside the simulated NS1 and below a parent, all over sockets, with TTLs of seconds,
//! and two real unbounds that ask all the while. Neither of them ever has the keys and the answers of one server: the
//! one takes NS1's keys for our answers, the other ours for NS1's.
//!
//! ```text
//!                 parent (hickory)                    person: DS and NS at the parent, our zone file
//!                 ▲      ▲
//!   unbound ── forwarder ├─ keys ───► ours   ◄─ plan ─┐
//!   unbound ── forwarder └─ answers ► NS1    ◄────────┘
//! ```

mod person;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

use self::person::Person;
use super::{
    forward::{Choice, Forwarder},
    ns1::{Settings as Ns1Settings, Simulated, ZoneText},
    parent::Parent,
    resolver::Unbound,
    scenario::{LabError, Told, part},
    world::Scenario,
};
use crate::{
    client::{Asker, Question},
    clock::{Clock, SystemClock, UnixTime},
    config,
    control::{
        instance::Instance,
        peers, plans,
        protocol::{PeerAction, PlanOrder, PlanStatus, PlanWanted},
    },
    dnssec::{
        algorithm::SigningAlgorithm,
        custody::{self, Place, Wanted},
        keyset::Role,
    },
    serve::Listeners,
    store::{Absent, Store},
    wire::{Name, RrType, message::Rcode},
};

/// The zone.
const ORIGIN: &str = "example.";
/// The TTL of everything, in seconds.
const TTL: u32 = 3;
/// How long a part may take that takes a few seconds.
const SHOWING: Duration = Duration::from_secs(30);
/// How long a plan may take that takes half a minute.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(200);
/// The pause between two questions to a resolver.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(10);
/// How long is asked on when the plan is through: what caches hold then shows until it is gone.
const AFTERWARDS: Duration = Duration::from_secs(TTL as u64 + 1);
const PROVIDER: &str = "ns1";

/// What one of the resolvers made of it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Resolved {
    /// Which.
    pub resolver: String,
    /// Questions, each for a name that no cache has.
    pub asked: usize,
    /// Answers that were not validated, SERVFAIL included.
    pub bogus: usize,
    /// The first of them.
    pub first_bogus: Option<String>,
}

/// How it ended.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// What was tried.
    pub scenario: &'static str,
    /// Whether the plan reached its goal.
    pub reached: bool,
    /// What it stood at, where it did not.
    pub why: Option<String>,
    /// Its steps, and how many were seen.
    pub steps: (usize, usize),
    /// How long the plan took.
    pub seconds: u64,
    /// What resolvers made of it.
    pub resolvers: Vec<Resolved>,
}

impl Outcome {
    /// Whether the goal is reached and nobody found anything bogus.
    pub fn sound(&self) -> bool {
        self.reached && self.resolvers.iter().all(|resolved| resolved.bogus == 0)
    }
}

/// The scenarios that can be played so.
///
/// In an emergency the key goes at once, by force: what that costs is seen, and that the resolvers see it.
pub const SCENARIOS: [Scenario; 6] = [
    Scenario::Join,
    Scenario::Leave,
    Scenario::RollZsk,
    Scenario::RollKsk,
    Scenario::RollCsk,
    Scenario::Emergency,
];

/// Everything that runs.
struct Everything {
    instance: Instance,
    ns1: Simulated,
    person: Person,
    /// Whether resolvers may ask us.
    ours_too: Arc<AtomicBool>,
    asking: Vec<Asking>,
}

/// Plays a scenario in a folder that is there.
///
/// # Errors
/// When some part cannot be had: unbound is not installed, or the scenario is not one of [`SCENARIOS`].
pub async fn play(
    folder: &Path,
    scenario: Scenario,
    tell: &mut dyn FnMut(Told),
) -> Result<Outcome, LabError> {
    if !SCENARIOS.contains(&scenario) {
        return Err(LabError::Config(format!(
            "{} is not played in real time",
            scenario.name()
        )));
    }
    let mut everything = Everything::start(folder, scenario, tell).await?;
    let outcome = everything.carry_out(scenario, tell).await;
    let Everything { instance, ns1, .. } = everything;
    instance.stop().await;
    ns1.stop().await;
    outcome
}

impl Everything {
    async fn start(folder: &Path, scenario: Scenario, tell: &mut dyn FnMut(Told)) -> Result<Self, LabError> {
        let zone: Name = ORIGIN.parse().map_err(part("the zone has no name"))?;
        tell(Told::Begun("a simulated NS1, a parent, and our server".into()));
        let joins = scenario == Scenario::Join;
        let servers = if joins {
            &["theirs"][..]
        } else {
            &["ours", "theirs"]
        };
        let servers: BTreeSet<String> = servers.iter().map(|name| (*name).to_owned()).collect();
        let text = person::zone_text(1, &servers);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let api_key = "the-lab's-key-which-opens-nothing-else";
        let ns1 = Ns1Settings {
            api: any,
            dns: vec![any, any],
            name_servers: Vec::new(),
            api_key: api_key.to_owned(),
            zones: vec![(zone.clone(), ZoneText::Text(text.clone()))],
            signed: true,
            knobs: vec![("dnskey-ttl".to_owned(), TTL.to_string())],
        };
        let ns1 = Simulated::start(ns1, Arc::clone(&clock))
            .await
            .map_err(part("cannot start the simulated NS1"))?;
        let parent = Parent::start(Name::root(), &[any])
            .await
            .map_err(part("cannot start the parent zone"))?;
        let listeners =
            Listeners::bind(&[any], Default::default()).map_err(part("cannot bind our address"))?;
        let ours = listeners.addresses()[0];
        let path = write_files(folder, &text, api_key, ours, &ns1, &parent)
            .map_err(part("cannot write the lab's files"))?;
        if scenario == Scenario::RollCsk {
            make_csk(folder, &zone, clock.now())?;
        }
        let config = config::load(&path).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            LabError::Config(problems.join("; "))
        })?;
        let instance = Instance::start(config, listeners)
            .await
            .map_err(part("cannot start our server"))?;
        let mut person = Person::new(folder, &zone, servers, parent, Arc::clone(instance.server()));
        let theirs = ns1.own_keys(&zone);
        person.delegate_to(&theirs, !joins)?;
        tell(Told::Done(format!("our server on {ours}")));

        let mut everything = Self {
            instance,
            ns1,
            person,
            ours_too: Arc::new(AtomicBool::new(!joins)),
            asking: Vec::new(),
        };
        everything.exchange(tell).await?;
        everything.ask(folder, ours, tell).await?;
        Ok(everything)
    }

    async fn exchange(&self, tell: &mut dyn FnMut(Told)) -> Result<(), LabError> {
        tell(Told::Begun("both have the keys of both".into()));
        let began = Instant::now();
        loop {
            let action = PeerAction::Sync { trust_api: false };
            let zone = &self.person.zone;
            let report = peers::act(self.instance.server(), zone, Some(PROVIDER), action).await;
            let report = report.map_err(LabError::Refused)?;
            if report.peers.iter().all(|peer| peer.in_step) {
                tell(Told::Done("every server shows them".into()));
                return Ok(());
            }
            if began.elapsed() > SHOWING {
                return Err(LabError::Config("the keys were not exchanged".to_owned()));
            }
            sleep(PAUSE).await;
        }
    }

    /// Two resolvers, and who asks them.
    async fn ask(
        &mut self,
        folder: &Path,
        ours: SocketAddr,
        tell: &mut dyn FnMut(Told),
    ) -> Result<(), LabError> {
        tell(Told::Begun("two unbounds, which are asked all the while".into()));
        let theirs = self.ns1.dns()[0];
        let anchor = format!(". 60 IN DNSKEY {}", self.person.parent.anchor());
        let above = self.person.parent.addresses()[0];
        for (name, keys, answers) in [
            ("NS1's keys, our answers", theirs, ours),
            ("our keys, NS1's answers", ours, theirs),
        ] {
            let ours_too = Arc::clone(&self.ours_too);
            let choice: Choice = Arc::new(move |rtype| match (ours_too.load(Ordering::Relaxed), rtype) {
                (false, _) => theirs,
                (true, RrType::DNSKEY) => keys,
                (true, _) => answers,
            });
            let forwarder = Forwarder::start(choice).await.map_err(part("no port is free"))?;
            let folder = folder.join(format!("unbound-{}", self.asking.len()));
            let zones = [(".", above), (ORIGIN, forwarder.address)];
            let unbound = Unbound::start(&folder, &anchor, &zones)
                .await
                .map_err(part("cannot start unbound"))?;
            self.asking.push(Asking::start(name, unbound, forwarder));
        }
        tell(Told::Done("they validate what they are given".into()));
        Ok(())
    }

    async fn carry_out(
        &mut self,
        scenario: Scenario,
        tell: &mut dyn FnMut(Told),
    ) -> Result<Outcome, LabError> {
        let began = self.begin(scenario, tell).await?;
        let mut told = (0, 0);
        let plan = loop {
            let plan = self.status()?;
            tell_progress(&plan, &mut told, tell);
            self.see_to(&plan).await?;
            let over = plan.state == "reached" || plan.state == "given up";
            if over || began.elapsed() > PATIENCE {
                break plan;
            }
            sleep(PAUSE).await;
        };
        let seconds = began.elapsed().as_secs();
        sleep(AFTERWARDS).await;
        let mut resolvers = Vec::new();
        for asking in self.asking.drain(..) {
            resolvers.push(asking.stop().await);
        }
        let reached = plan.state == "reached";
        let seen = plan.steps.iter().filter(|step| step.seen.is_some()).count();
        Ok(Outcome {
            scenario: scenario.name(),
            reached,
            why: plan.why.filter(|_| !reached),
            steps: (plan.steps.len(), seen),
            seconds,
            resolvers,
        })
    }

    /// The plan is begun as soon as no cache can hold what was before.
    async fn begin(&self, scenario: Scenario, tell: &mut dyn FnMut(Told)) -> Result<Instant, LabError> {
        tell(Told::Begun(format!("the plan {}", scenario.name())));
        let goes_or_comes = matches!(scenario, Scenario::Join | Scenario::Leave);
        let emergency = scenario == Scenario::Emergency;
        let wanted = PlanWanted {
            kind: scenario.name().to_owned(),
            provider: goes_or_comes.then(|| "us".to_owned()),
            old: self.our_zsk().filter(|_| emergency),
            policy: emergency.then(|| "security".to_owned()),
            ..PlanWanted::default()
        };
        let waits = Instant::now();
        // What is forced is not refused because of what was before: it waits until a plan that hurts nobody would.
        while emergency && !self.is_quiet().await && waits.elapsed() < SHOWING {
            sleep(PAUSE).await;
        }
        loop {
            let force = emergency.then(|| "to see what it costs".to_owned());
            let wanted = wanted.clone();
            let order = PlanOrder::Apply { wanted, force };
            match plans::order(self.instance.server(), &self.person.zone, order).await {
                Ok(_) => {
                    tell(Told::Done("begun".into()));
                    return Ok(Instant::now());
                }
                Err(refusal) if waits.elapsed() > SHOWING => return Err(LabError::Refused(refusal)),
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Whether no cache holds anything of what was before both had the keys of both.
    async fn is_quiet(&self) -> bool {
        let wanted = PlanWanted {
            kind: Scenario::RollZsk.name().to_owned(),
            ..PlanWanted::default()
        };
        let order = PlanOrder::Plan { wanted };
        let shown = plans::order(self.instance.server(), &self.person.zone, order).await;
        shown.is_ok_and(|shown| shown.safe)
    }

    /// The tag of our ZSK.
    fn our_zsk(&self) -> Option<u16> {
        let zone = &self.person.zone;
        let status = self.instance.server().status(Some(zone)).ok()?;
        let keys = status.zones.into_iter().flat_map(|zone| zone.keys);
        let mut ours = keys.filter(|key| key.origin == "own" && key.role == "ZSK" && key.signs);
        Some(ours.next()?.tag)
    }

    fn status(&self) -> Result<PlanStatus, LabError> {
        let zone = &self.person.zone;
        let status = self
            .instance
            .server()
            .status(Some(zone))
            .map_err(LabError::Refused)?;
        let plan = status.zones.into_iter().next().and_then(|zone| zone.plan);
        plan.ok_or_else(|| LabError::Config("there is no plan".to_owned()))
    }

    /// A person does what waits for a person.
    async fn see_to(&mut self, plan: &PlanStatus) -> Result<(), LabError> {
        let open = plan.steps.iter();
        let mut open = open.filter(|step| step.begun.is_some() && step.seen.is_none());
        let Some(step) = open.next() else { return Ok(()) };
        let named = step.what.split_once(" names ").map_or("", |(_, named)| named);
        if step.what.starts_with("the NS RRset of ") && named.contains("this server") {
            // From the first NS RRset on that names us, resolvers come.
            self.ours_too.store(true, Ordering::Relaxed);
        }
        let stops = step.what.contains("stops answering");
        if stops {
            self.ours_too.store(false, Ordering::Relaxed);
        }
        if self.person.does(step)? && stops {
            let order = PlanOrder::Done;
            let done = plans::order(self.instance.server(), &self.person.zone, order).await;
            done.map_err(LabError::Refused)?;
        }
        Ok(())
    }
}

fn tell_progress(plan: &PlanStatus, told: &mut (usize, usize), tell: &mut dyn FnMut(Told)) {
    for (number, step) in plan.steps.iter().enumerate() {
        if step.begun.is_some() && number >= told.0 {
            told.0 = number + 1;
            tell(Told::Begun(step.what.clone()));
        }
        if step.seen.is_some() && number >= told.1 {
            told.1 = number + 1;
            tell(Told::Done("seen everywhere".into()));
        }
    }
}

/// Who asks a resolver.
struct Asking {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Resolved>,
    // They end with it.
    _unbound: Unbound,
    _forwarder: Forwarder,
}

impl Asking {
    fn start(name: &str, unbound: Unbound, forwarder: Forwarder) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, resolver) = (Arc::clone(&stop), unbound.address);
        let mut resolved = Resolved {
            resolver: name.to_owned(),
            ..Resolved::default()
        };
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                let bogus = bogus(resolver, resolved.asked).await;
                resolved.asked += 1;
                if let Some(bogus) = bogus {
                    resolved.bogus += 1;
                    resolved.first_bogus.get_or_insert(bogus);
                }
                sleep(BETWEEN_QUESTIONS).await;
            }
            resolved
        });
        Self {
            stop,
            task,
            _unbound: unbound,
            _forwarder: forwarder,
        }
    }

    async fn stop(self) -> Resolved {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap_or_else(|error| Resolved {
            first_bogus: Some(error.to_string()),
            bogus: 1,
            ..Resolved::default()
        })
    }
}

/// What is wrong with the answer for a name that no cache has; none when it validates.
async fn bogus(resolver: SocketAddr, number: usize) -> Option<String> {
    let name = format!("n{number}.apps.{ORIGIN}");
    let question = Question {
        name: name.parse().ok()?,
        rtype: RrType::A,
        dnssec: true,
        recursion: true,
    };
    match Asker::default().ask(resolver, &question).await {
        Ok(answer) if answer.rcode == Rcode::NOERROR && answer.authenticated => None,
        Ok(answer) => Some(format!("{name}: {:?}, AD {}", answer.rcode, answer.authenticated)),
        Err(error) => Some(format!("{name}: {error}")),
    }
}

/// A zone that has one key for everything.
fn make_csk(folder: &Path, zone: &Name, now: UnixTime) -> Result<(), LabError> {
    let failed = "cannot make a CSK";
    let store = Store::open(&folder.join("state"), Absent::Create).map_err(part(failed))?;
    let place = Place {
        apex: zone,
        folder: &folder.join("keys"),
        journal: Some(&store),
    };
    let wanted = Wanted {
        algorithm: SigningAlgorithm::EcdsaP256Sha256,
        role: Role::Csk,
    };
    custody::generate(place, &[wanted], now)
        .map(drop)
        .map_err(part(failed))
}

/// Writes what our server is told, as a person would.
fn write_files(
    folder: &Path,
    zone: &str,
    api_key: &str,
    ours: SocketAddr,
    ns1: &Simulated,
    parent: &Parent,
) -> io::Result<PathBuf> {
    use super::scenario::write;
    write(&folder.join("ns1.key"), api_key, 0o600)?;
    fs::write(folder.join("ns1-ca.pem"), ns1.ca_pem())?;
    fs::write(folder.join("zone"), zone)?;
    let servers: Vec<String> = ns1.dns().iter().map(|address| format!("\"{address}\"")).collect();
    let text = format!(
        "listen = [\"{ours}\"]\nstate = \"state\"\nkeys = \"keys\"\nresolvers = [\"{0}\"]\n\n\
         [[provider]]\nname = \"{PROVIDER}\"\nkind = \"ns1\"\nendpoint = \"{1}\"\napi_key_file = \"ns1.key\"\n\
         ca_file = \"ns1-ca.pem\"\nservers = [{2}]\nserver_names = [\"theirs.{ORIGIN}\"]\npoll = \"1s\"\npropagation = \"1s\"\n\n\
         [[zone]]\norigin = \"{ORIGIN}\"\nfile = \"zone\"\nauto_keys = true\nproviders = [\"{PROVIDER}\"]\nparent = [\"{0}\"]\n\
         parent_propagation = \"1s\"\nour_servers = [\"ours.{ORIGIN}\"]\nsafety_margin = \"1s\"\ndnskey_ttl = \"{TTL}s\"\n",
        parent.addresses()[0],
        ns1.api_url(),
        servers.join(", "),
    );
    let path = folder.join("countersign.toml");
    fs::write(&path, text)?;
    Ok(path)
}
