//! The other providers of the zones: looked at as the server runs, given our keys, and shown to people.
//!
//! Everything that is decided is decided in `multisigner`; here it is asked, and what follows is done: what is believed
//! goes to the key register and is served at once, and the provider is given what it lacks.

mod report;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    plans,
    protocol::{PeerAction, PeerReport, PeersReport, Refusal},
    server::{Server, unknown},
    whereabouts::Whereabouts,
};
use crate::{
    client::Asker,
    clock::{Clock, UnixTime},
    config::{Config, ProviderKind, ProviderSettings, ZoneSettings},
    dnssec::{
        key::Dnskey,
        keyset::DNSKEY_TTL,
        register::{Journal as _, Register},
    },
    multisigner::{
        DsView, Finding, Held, KeyView, Round, Severity, Verdict, judge,
        observe::{self, At, Unseen},
    },
    provider::{ObservedKeys, Provider, ProviderError, Published, dns::AnyServer, ns1::Ns1},
    wire::{Name, Ttl},
};

/// The pause before a server that lags is looked at again, the first time; it doubles up to the poll interval.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// How many providers are visited at the same time by routine.
const MOST_VISITS: usize = 8;
/// What is kept of the findings of one look: a provider that makes up keys must not fill the memory.
const MOST_FINDINGS: usize = 200;

/// A zone at a provider.
type Pair = (Name, String);

/// A driver, with the settings that it was made from.
type Driver = (ProviderSettings, Arc<dyn Provider>);

/// What is known of a zone at a provider besides the register.
#[derive(Clone, Debug, Default)]
struct Known {
    report: Option<PeerReport>,
    /// When it is to be looked at again, by steady time.
    due: Duration,
    /// The pause before that, which grows while a server lags.
    pause: Duration,
    /// Since when some server lags behind what the provider was given.
    lagging_since: Option<UnixTime>,
}

/// All that is known of the providers besides the register.
#[derive(Debug, Default)]
pub struct Peers {
    drivers: Mutex<BTreeMap<String, Driver>>,
    known: Mutex<BTreeMap<Pair, Known>>,
    /// One look or gift at a time.
    turns: Mutex<BTreeMap<Pair, Arc<tokio::sync::Mutex<()>>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Peers {
    /// What a person should see to, for `status`.
    pub(super) fn warnings(&self, zone: &Name) -> Vec<String> {
        let known = lock(&self.known);
        let of_zone = known.iter().filter(|((of, _), _)| of == zone);
        let findings = of_zone.flat_map(|((_, provider), known)| {
            let findings = known.report.iter().flat_map(|report| &report.findings);
            let loud = findings.filter(|found| found.severity > Severity::Note);
            loud.map(move |found| format!("{provider}: {}", found.what))
        });
        findings.collect()
    }

    /// The zones and providers that are to be looked at now. Each is given out once: its visit says when it is due
    /// again.
    fn due(&self, config: &Config, now: Duration) -> Vec<(ZoneSettings, String)> {
        let mut all = lock(&self.known);
        let mut due = Vec::new();
        for zone in config.zones.iter().filter(|zone| zone.exchange_keys) {
            for name in &zone.providers {
                let known = all.entry((zone.origin.clone(), name.clone())).or_default();
                if known.due <= now {
                    known.due = Duration::MAX;
                    due.push((zone.clone(), name.clone()));
                }
            }
        }
        due
    }

    fn turn(&self, pair: &Pair) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(lock(&self.turns).entry(pair.clone()).or_default())
    }

    /// The driver of a provider, made anew when its settings changed.
    pub(super) fn driver(&self, settings: &ProviderSettings) -> Result<Arc<dyn Provider>, Refusal> {
        let mut drivers = lock(&self.drivers);
        if let Some((known, driver)) = drivers.get(&settings.name)
            && known == settings
        {
            return Ok(Arc::clone(driver));
        }
        let driver = make_driver(settings)?;
        drivers.insert(settings.name.clone(), (settings.clone(), Arc::clone(&driver)));
        Ok(driver)
    }

    /// What belongs to zones and providers that are no longer configured is forgotten.
    fn forget(&self, config: &Config) {
        let is_there = |(zone, provider): &Pair| {
            let zone = config.zones.iter().find(|known| known.origin == *zone);
            zone.is_some_and(|zone| zone.providers.contains(provider))
        };
        lock(&self.known).retain(|pair, _| is_there(pair));
        lock(&self.turns).retain(|pair, turn| is_there(pair) || Arc::strong_count(turn) > 1);
        lock(&self.drivers).retain(|name, _| config.providers.iter().any(|known| known.name == *name));
    }
}

/// One line a kind of provider: what makes its driver.
fn make_driver(settings: &ProviderSettings) -> Result<Arc<dyn Provider>, Refusal> {
    match settings.kind {
        ProviderKind::Ns1 => {
            let refused = |why: String| Refusal {
                error: format!("{}: {why}", settings.name),
                advice: None,
            };
            let told = settings
                .ns1()
                .ok_or_else(|| refused("there is no API key; give api_key_file or api_key_env".into()))?;
            let ns1 = Ns1::new(told).map_err(|error| refused(chain(&error)))?;
            Ok(Arc::new(ns1))
        }
        ProviderKind::Dns => Ok(Arc::new(AnyServer {
            name: settings.name.clone(),
            servers: Vec::new(),
        })),
    }
}

/// A zone and one of its providers, ready to be asked.
struct Peer {
    pair: Pair,
    zone: ZoneSettings,
    settings: ProviderSettings,
    driver: Arc<dyn Provider>,
    whereabouts: Whereabouts,
    asker: Asker,
}

/// What a visit is for, besides the look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Doing {
    /// What is believed goes to the register.
    take: bool,
    /// What the provider is given.
    gift: Option<Gift>,
    /// A person says that the API is to be believed.
    trust_api: bool,
    /// It is a step of a plan, which has just looked at everything.
    by_plan: bool,
}

/// What a provider is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Gift {
    /// Our keys, where it lacks some.
    Keys,
    /// The order to sign the zone.
    Dnssec,
    /// The order to forget our keys.
    Withdrawal,
}

/// Does what a person asked for, at one provider of the zone or at all of them.
///
/// # Errors
/// When there is no such zone, or it has no such provider.
pub async fn act(
    server: &Arc<Server>,
    zone: &Name,
    provider: Option<&str>,
    action: PeerAction,
) -> Result<PeersReport, Refusal> {
    let config = server.config.load_full();
    let held = server.held.load();
    let settings = &held.get(zone).ok_or_else(|| unknown(zone))?.settings;
    let named: Vec<&String> = settings
        .providers
        .iter()
        .filter(|known| provider.is_none_or(|wanted| wanted == *known))
        .collect();
    if named.is_empty() {
        return Err(no_provider(zone, provider, settings));
    }
    let mut reports = Vec::new();
    for name in named {
        let pair = (zone.clone(), name.clone());
        let doing = match &action {
            PeerAction::Status => {
                let known = lock(&server.peers.known);
                let report = known.get(&pair).and_then(|known| known.report.clone());
                reports.push(report.unwrap_or_else(|| PeerReport::unseen(zone, name)));
                continue;
            }
            PeerAction::Pull { trust_api } => Doing {
                take: true,
                trust_api: *trust_api,
                ..Doing::default()
            },
            PeerAction::Push => Doing {
                gift: Some(Gift::Keys),
                ..Doing::default()
            },
            PeerAction::Sync { trust_api } => Doing {
                take: true,
                gift: Some(Gift::Keys),
                trust_api: *trust_api,
                by_plan: false,
            },
            PeerAction::EnableDnssec => Doing {
                gift: Some(Gift::Dnssec),
                ..Doing::default()
            },
            PeerAction::Withdraw { reason, served } => {
                may_withdraw(server, settings, name, *served).await?;
                tracing::warn!(%zone, provider = name, "a person takes our keys out there: {reason}");
                Doing {
                    gift: Some(Gift::Withdrawal),
                    ..Doing::default()
                }
            }
        };
        reports.push(visit(server, &config, settings, name, doing).await?);
    }
    Ok(PeersReport { peers: reports })
}

/// What is exchanged by itself, or by a plan, would be given again at once; and what is signed here would be bogus to
/// whoever is sent here and has the key set from there.
async fn may_withdraw(
    server: &Arc<Server>,
    zone: &ZoneSettings,
    provider: &str,
    served: bool,
) -> Result<(), Refusal> {
    let origin = &zone.origin;
    if zone.exchange_keys {
        return Err(Refusal {
            error: format!("keys of {origin} are exchanged by themselves, so ours would be given again at once"),
            advice: Some(
                "first let the parent and the provider forget our name servers and DS; then set exchange_keys = false, \
                 reload, and say this again"
                    .to_owned(),
            ),
        });
    }
    if let Some(goal) = server.plans.gives(origin, provider) {
        return Err(Refusal {
            error: format!(
                "a plan ({goal}) has {provider} publish our keys, so they would be given again at once"
            ),
            advice: Some(format!(
                "let it reach its goal, or give it up: countersign abort {origin} REASON"
            )),
        });
    }
    let sent = match plans::leads_here(server, zone).await {
        Some(false) => return Ok(()),
        _ if served => return Ok(()),
        Some(true) => "resolvers are sent to servers of ours".to_owned(),
        None => "nobody knows whether resolvers are sent to servers of ours".to_owned(),
    };
    Err(Refusal {
        error: format!(
            "our keys are not taken out at {provider}: {sent}, and to those that have the key set from there all that we \
             sign would be bogus"
        ),
        advice: Some(
            "first take our servers out of the NS records, at the parent and at the provider, and wait out their TTLs; the \
             plan leave does all of it. Where the servers in them are others', our_servers of the [[zone]] and server_names \
             of the [[provider]] say whose they are. If it has to be, say --served too"
                .to_owned(),
        ),
    })
}

fn no_provider(zone: &Name, wanted: Option<&str>, settings: &ZoneSettings) -> Refusal {
    match wanted {
        Some(wanted) if !settings.providers.is_empty() => Refusal {
            error: format!("{zone} has no provider \"{wanted}\""),
            advice: Some(format!("it has {}", settings.providers.join(", "))),
        },
        _ => Refusal {
            error: format!("{zone} has no other provider"),
            advice: Some(
                "add a [[provider]] to the configuration, name it in the zone's `providers`, and reload"
                    .to_owned(),
            ),
        },
    }
}

/// The background task: looks at each provider of each zone when it is due, takes and gives.
pub async fn exchange(server: Arc<Server>) {
    let mut beat = tokio::time::interval(FIRST_PAUSE);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let visits = Arc::new(tokio::sync::Semaphore::new(MOST_VISITS));
    loop {
        beat.tick().await;
        let config = server.config.load_full();
        server.peers.forget(&config);
        for (zone, name) in server.peers.due(&config, server.clock.steady()) {
            // A provider that is slow to answer holds up no other, and many of them cannot pile up.
            let Ok(permit) = Arc::clone(&visits).acquire_owned().await else {
                return;
            };
            let (server, config) = (Arc::clone(&server), Arc::clone(&config));
            tokio::spawn(async move {
                routine(&server, &config, zone, name).await;
                drop(permit);
            });
        }
    }
}

/// Gives a provider the keys of ours that it is to have, for a plan, which tries again what could not be done.
///
/// # Errors
/// When it cannot be asked what it has, does not sign the zone, or does not take them.
pub(super) async fn give(server: &Arc<Server>, zone: &ZoneSettings, provider: &str) -> Result<(), String> {
    let doing = Doing {
        // Otherwise nobody takes any by himself.
        take: zone.exchange_keys,
        gift: Some(Gift::Keys),
        trust_api: false,
        by_plan: true,
    };
    let visited = visit(server, &server.config.load_full(), zone, provider, doing).await;
    visited.map(drop).map_err(|refusal| match refusal.advice {
        Some(advice) => format!("{}; {advice}", refusal.error),
        None => refusal.error,
    })
}

async fn routine(server: &Arc<Server>, config: &Config, zone: ZoneSettings, name: String) {
    let doing = Doing {
        take: true,
        gift: Some(Gift::Keys),
        trust_api: false,
        by_plan: false,
    };
    if let Err(refusal) = visit(server, config, &zone, &name, doing).await {
        tracing::error!(zone = %zone.origin, provider = name, "{}", refusal.error);
        let rested = server.clock.steady() + LONGEST_REST;
        lock(&server.peers.known)
            .entry((zone.origin, name))
            .or_default()
            .due = rested;
    }
}

/// How long a provider is left alone whose settings cannot be used.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// One visit: a look, what follows from it, and where something was given another look.
async fn visit(
    server: &Arc<Server>,
    config: &Config,
    zone: &ZoneSettings,
    provider: &str,
    doing: Doing,
) -> Result<PeerReport, Refusal> {
    let settings = config.providers.iter().find(|known| known.name == provider);
    let settings = settings.ok_or_else(|| no_provider(&zone.origin, Some(provider), zone))?;
    let driver = server.peers.driver(settings)?;
    let peer = Peer {
        pair: (zone.origin.clone(), provider.to_owned()),
        zone: zone.clone(),
        settings: settings.clone(),
        driver,
        whereabouts: Whereabouts::new(config),
        asker: Asker::default(),
    };
    if !doing.by_plan {
        plans::see_where_the_parent_leads(server, zone).await;
    }
    let turn = server.peers.turn(&peer.pair);
    let _turn = turn.lock().await;
    let mut seen = peer.look(server, doing).await?;
    let mut by_hand = Vec::new();
    let mut done = None;
    let mut gift = doing.gift;
    if gift == Some(Gift::Keys) && !doing.by_plan && seen.verdict.held == Held::Otherwise {
        // It may have been lost, now or while no server ran here, and servers that nobody sees from here show that for
        // longer: a plan has to know before it is mended.
        if !plans::take_notice(server, zone).await {
            gift = None;
        }
    }
    if let (true, Held::Unknown(why)) = (doing.by_plan, &seen.verdict.held) {
        return Err(Refusal {
            error: format!("our keys are not given to {provider} yet: {why}"),
            advice: None,
        });
    }
    match peer.give(&seen, gift).await {
        None | Some(Ok(Published::Already)) => {}
        // What every server shows is not asked of a person again.
        Some(Ok(Published::ByHand { .. }))
            if doing.gift == Some(Gift::Keys) && seen.verdict.waiting_for.is_empty() => {}
        Some(Ok(Published::ByHand { what, records })) => {
            by_hand = records;
            done = Some(format!("to be done by a person: {what}"));
        }
        Some(Ok(Published::Changed { what })) => {
            tracing::info!(zone = %zone.origin, provider, "{what}");
            done = Some(what);
            let dropped = peer.dropped(server, &seen);
            seen = peer.look(server, doing).await?;
            seen.verdict.findings.extend(dropped);
        }
        // To a plan and to a person it is not done.
        Some(Err(error)) if doing.by_plan || doing.gift != Some(Gift::Keys) => {
            return Err(Refusal {
                error: format!("{}: {}", error.provider, error.what),
                advice: error.advice,
            });
        }
        Some(Err(error)) => seen.verdict.findings.push(Finding::ApiFails(in_words(&error))),
    }
    Ok(peer.tell(server, seen, by_hand, done))
}

/// A provider's error with its advice, in one line.
pub(super) fn in_words(error: &ProviderError) -> String {
    match &error.advice {
        Some(advice) => format!("{}; {advice}", error.what),
        None => error.what.clone(),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    super::zones::causes(error)
}

/// What one look brought.
struct Seen {
    now: UnixTime,
    api: Option<Result<ObservedKeys, String>>,
    servers: Vec<KeyView>,
    parent: Vec<DsView>,
    register: Register,
    /// The keys of ours that it is to have, where that is known.
    wanted: Option<Vec<Dnskey>>,
    our_ttl: Ttl,
    verdict: Verdict,
}

impl Peer {
    /// Whether keys of ours went without our doing: all of them were there at the last look.
    fn dropped(&self, server: &Server, seen: &Seen) -> Option<Finding> {
        let known = lock(&server.peers.known);
        let before = known.get(&self.pair)?.report.as_ref()?.api.as_ref()?;
        let lacking = seen.verdict.findings.iter().find_map(|found| match found {
            Finding::NotGiven { tags } => Some(tags),
            _ => None,
        })?;
        let gone: Vec<u16> = lacking
            .iter()
            .filter(|tag| before.ours.contains(tag))
            .copied()
            .collect();
        (!gone.is_empty()).then_some(Finding::Dropped { tags: gone })
    }

    /// Gives the provider what the visit is for; `None` when it is for nothing, or nothing lacks.
    async fn give(&self, seen: &Seen, gift: Option<Gift>) -> Option<Result<Published, ProviderError>> {
        let zone = &self.zone.origin;
        match gift? {
            Gift::Keys
                if seen.verdict.held != Held::Otherwise && self.driver.capabilities().publishes_keys =>
            {
                None
            }
            Gift::Keys => {
                let wanted = seen.wanted.as_ref()?;
                Some(self.driver.publish_keys(zone, wanted, seen.our_ttl).await)
            }
            Gift::Dnssec => Some(self.driver.enable_dnssec(zone).await),
            Gift::Withdrawal => {
                let ours: Vec<Dnskey> = seen.register.own.keys().cloned().collect();
                Some(self.driver.withdraw_keys(zone, &ours).await)
            }
        }
    }

    /// Asks the API, every server and the parent; takes what is believed.
    async fn look(&self, server: &Arc<Server>, doing: Doing) -> Result<Seen, Refusal> {
        let zone = &self.zone.origin;
        let register = read_register(server, zone).await?;
        let ours: Vec<Dnskey> = register
            .own
            .keys()
            .filter(|key| register.is_own(key))
            .cloned()
            .collect();
        let now = server.clock.now();
        let (api, servers, parent) =
            tokio::join!(self.ask_api(&ours), self.ask_servers(now), self.ask_parent());
        let our_ttl = self.our_ttl(server);
        let to_have = server.plans.to_have(zone, &self.settings.name);
        let ahead = server.plans.ds_ahead(zone);
        let round = Round {
            zone,
            provider: &self.settings.name,
            capabilities: self.driver.capabilities(),
            api,
            servers,
            parent,
            pinned: &self.settings.pinned,
            trust_api: doing.trust_api,
            our_ttl,
            to_have: &to_have,
            ahead: &ahead,
        };
        let mut verdict = judge(&round, &register);
        verdict.findings.truncate(MOST_FINDINGS);
        let (api, servers, parent) = (round.api, round.servers, round.parent);
        let mut seen = Seen {
            now,
            wanted: to_have.keys(&register).map(Vec::from_iter),
            register,
            api,
            servers,
            parent,
            our_ttl,
            verdict,
        };
        let observations = std::mem::take(&mut seen.verdict.observations);
        if doing.take && !observations.is_empty() {
            let (taking, of) = (Arc::clone(server), zone.clone());
            let taken = tokio::task::spawn_blocking(move || taking.observe(&of, &observations)).await;
            taken.map_err(|error| Refusal {
                error: format!("what was seen could not be taken: {error}"),
                advice: None,
            })??;
            seen.register = read_register(server, zone).await?;
        }
        Ok(seen)
    }

    fn our_ttl(&self, server: &Server) -> Ttl {
        let held = server.held.load();
        let content = held
            .get(&self.zone.origin)
            .and_then(|held| held.served.content().ok());
        content
            .and_then(|content| content.keys().apex_rrsets().first().map(|set| set.ttl))
            .unwrap_or(DNSKEY_TTL)
    }

    async fn ask_api(&self, ours: &[Dnskey]) -> Option<Result<ObservedKeys, String>> {
        if !self.driver.capabilities().observes_keys {
            return None;
        }
        let said = self.driver.observe_keys(&self.zone.origin, ours).await;
        Some(said.map_err(|error| in_words(&error)))
    }

    async fn ask_servers(&self, now: UnixTime) -> Vec<KeyView> {
        let zone = &self.zone.origin;
        let unseen = |name: Option<Name>, why: String| KeyView {
            at: At {
                name,
                address: NOWHERE,
            },
            seen: Err(Unseen::Unreachable(why)),
        };
        let mut views = Vec::new();
        let mut servers: Vec<At> = Vec::new();
        let driver = &*self.driver;
        for found in self.whereabouts.of_provider(zone, &self.settings, driver).await {
            match found {
                Ok(at) if !servers.contains(&at) => servers.push(at),
                Ok(_) => {}
                Err((name, why)) => views.push(unseen(name, why)),
            }
        }
        views.extend(observe::keys_at(&self.asker, zone, &servers, now).await);
        views
    }

    async fn ask_parent(&self) -> Vec<DsView> {
        let unseen = |name: Option<Name>, why: String| DsView {
            at: At {
                name,
                address: NOWHERE,
            },
            seen: Err(Unseen::Unreachable(why)),
        };
        let mut views = Vec::new();
        let mut servers = Vec::new();
        for found in self.whereabouts.of_parent(&self.zone).await {
            match found {
                Ok(at) => servers.push(at),
                Err((name, why)) => views.push(unseen(name, why)),
            }
        }
        views.extend(observe::ds_at(&self.asker, &self.zone.origin, &servers).await);
        views
    }

    /// Keeps and logs what was seen, and says when to come back.
    fn tell(&self, server: &Server, seen: Seen, by_hand: Vec<String>, gift: Option<String>) -> PeerReport {
        let mut all = lock(&server.peers.known);
        let known = all.entry(self.pair.clone()).or_default();
        let undecided = seen.wanted.is_none();
        let lacking = seen.verdict.held == Held::Otherwise;
        let lagging = !seen.verdict.waiting_for.is_empty() || lacking || undecided;
        known.lagging_since = match (lagging, known.lagging_since) {
            (false, _) => None,
            (true, since) => since.or(Some(seen.now)),
        };
        known.pause = if lagging && gift.is_none() {
            (known.pause * 2).clamp(FIRST_PAUSE, self.settings.poll)
        } else if lagging {
            FIRST_PAUSE
        } else {
            self.settings.poll
        };
        known.due = server.clock.steady() + known.pause;
        let report = self.report(&seen, known.lagging_since, by_hand, gift);
        self.log(known.report.as_ref(), &report);
        known.report = Some(report.clone());
        report
    }
}

/// Stands for a server whose address is not known.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

async fn read_register(server: &Arc<Server>, zone: &Name) -> Result<Register, Refusal> {
    let (store, of) = (Arc::clone(&server.store), zone.clone());
    let read = tokio::task::spawn_blocking(move || store.events(of.as_ref())).await;
    let failed = |error: String| Refusal {
        error: format!("the key register cannot be read: {error}"),
        advice: None,
    };
    let events = read
        .map_err(|error| failed(error.to_string()))?
        .map_err(|error| failed(chain(&error)))?;
    Ok(Register::of(&events))
}
