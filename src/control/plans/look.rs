//! Looks at every server of a zone, for its plan.

use std::{net::SocketAddr, sync::Arc};

use super::{
    super::{observations, reckon::reckon, server::Server, whereabouts::reachable},
    elsewhere::{self, Pace},
    named, samples,
    targets::{everybody, providers_of},
    to_have::Leads,
};
use crate::{
    client::Asker,
    clock::Clock,
    config::{Config, ContentSource, ProviderKind, ZoneSettings},
    dnssec::{
        algorithm::Algorithm,
        csync::Csyncing,
        keyset::{Cds, Role},
        register::{self, Journal as _, Register},
    },
    multisigner::{
        execute::{Event, Run, View},
        observations::Party,
        plan::{Hand, Lag, Member, OwnNs, Parent, ParentHand, PlanKey, Situation},
        safety::{KeyId, ProviderId},
        survey::{ContentTtls, Known, Questions, Sample, Survey, slots, survey},
    },
    wire::Name,
};

/// How often is looked again at once because the NS RRsets name servers that were not asked.
const MOST_LOOKS: usize = 3;

/// What everybody shows, for a run, which takes from it what servers are called now: a person may have said so since.
pub(super) async fn view(server: &Arc<Server>, zone: &ZoneSettings, run: &mut Run) -> Result<View, String> {
    let providers = providers_of(run, zone)?;
    let seen = look(server, zone, &providers, Pace::Now).await?;
    let others = providers.iter().map(|name| Some(name.as_str()));
    for (name, member) in [None].into_iter().chain(others).zip(&seen.members) {
        run.plan.rename_servers(name, &member.names);
    }
    let events = events(server, &zone.origin).await?;
    let (situation, ttls) = (run.plan.situation.clone(), ttls(server, &zone.origin));
    reckon(move || seen.view(&situation, &Register::of(&events), ttls)).await
}

/// A key that the plan waits for and does not know yet, and that its owner shows now.
pub(super) fn made_by_others(run: &Run, view: &View) -> Option<Event> {
    let plan = run.plan.situation.keys.iter().enumerate();
    let mut waited_for = plan.filter(|(_, key)| key.dnskey.is_none() && key.owner != Some(ProviderId::FIRST));
    waited_for.find_map(|(place, wanted)| {
        let fits = |key: &&PlanKey| {
            let entry = |key: &PlanKey| key.role != Role::Zsk;
            (key.owner, key.algorithm, entry(key)) == (wanted.owner, wanted.algorithm, entry(wanted))
        };
        let made = view.strangers.iter().map(|(_, key)| key).find(fits)?;
        Some(Event::Made {
            key: KeyId::at(place).ok()?,
            dnskey: made.dnskey.clone()?,
        })
    })
}

/// A larger TTL than the run knows of that was given since it began, at a look that was not its own, or by what was served
/// here.
pub(super) fn larger_ttl(server: &Server, run: &Run) -> Option<Event> {
    let situation = &run.plan.situation;
    let given = server.observations.given_since(&situation.zone, situation.at);
    given.into_iter().find_map(|(party, class, ttl)| {
        let mut slots = slots(situation, &party, class).into_iter();
        slots.find_map(|slot| run.ttl_given(&slot, ttl))
    })
}

/// A time that no look shows and that the configuration has larger now than the run reckons with.
pub(super) fn raised_lag(config: &Config, run: &Run) -> Option<Event> {
    let situation = &run.plan.situation;
    let zone = config.zones.iter().find(|zone| zone.origin == situation.zone)?;
    let given = |lag| match lag {
        // What is ours is served everywhere at once.
        Lag::Provider(ProviderId::FIRST) => None,
        Lag::Provider(provider) => {
            let mut known = config.providers.iter();
            let settings = known.find(|known| known.name == situation.name(provider))?;
            Some(settings.propagation)
        }
        Lag::Parent => Some(zone.parent_propagation),
        Lag::Margin => Some(zone.safety_margin),
    };
    situation
        .lags()
        .find_map(|lag| run.lag_given(lag, given(lag)?.as_secs()))
}

/// What a new plan starts from.
pub(super) struct Beginning {
    pub situation: Situation,
    pub register: Register,
    pub seen: Arc<Survey>,
    /// How many events the register has of it.
    pub events: usize,
}

/// Whether our keys are still those that a plan starts from: while it was judged, an exchange may have changed them.
pub(super) async fn is_still_so(server: &Arc<Server>, zone: &Name, beginning: usize) -> Result<bool, String> {
    Ok(events(server, zone).await?.len() == beginning)
}

/// What is served now, for a new plan.
pub(super) async fn situation(
    server: &Arc<Server>,
    zone: &ZoneSettings,
    previous: Option<Situation>,
) -> Result<Beginning, String> {
    let seen = look(server, zone, &zone.providers, Pace::Now).await?;
    let events = events(server, &zone.origin).await?;
    let bounds = observations::bounds(&server.config.load(), zone);
    let counted = server.observations.counting(&zone.origin, seen.over(), bounds);
    let standing = server.observations.standing(&zone.origin);
    let (counted, standing) = counted.zip(standing).ok_or("nothing can be planned while it is not known which TTLs were served lately: what was seen earlier cannot be read from the store, and the log says why")?;
    let parent = Parent {
        hand: match zone.cds {
            Cds::Rollover => ParentHand::Cds,
            Cds::Off | Cds::Publish | Cds::Delete => ParentHand::Person,
        },
        reads_csync: zone.csync == Csyncing::Rollover,
        propagation: zone.parent_propagation.as_secs(),
    };
    let (members, ttls) = (members(server, zone, &seen), ttls(server, &zone.origin));
    let (dnskey_ttl, margin) = (zone.dnskey_ttl, zone.safety_margin.as_secs());
    reckon(move || {
        let known = Known {
            counted: &counted,
            standing: &standing,
            events: &events,
            ttls,
            dnskey_ttl,
            members,
            parent,
            margin,
            previous: previous.as_ref(),
        };
        let situation = seen.situation(known).map_err(|error| error.to_string())?;
        Ok(Beginning {
            situation,
            register: Register::of(&events),
            seen,
            events: events.len(),
        })
    })
    .await?
}

/// One look at this server, these providers in this order, and the parent.
pub(super) async fn look(
    server: &Arc<Server>,
    zone: &ZoneSettings,
    providers: &[String],
    pace: Pace,
) -> Result<Arc<Survey>, String> {
    let sampled = samples::choose(server, &zone.origin).await?;
    let (seen, unasked) = ask_everybody(server, zone, providers, pace, &sampled).await?;
    let config = server.config.load_full();
    let seen = Arc::new(seen);
    let lag = super::longest_lag(&config, zone);
    let compared = Arc::clone(&seen);
    let differences = reckon(move || compared.differences()).await?;
    server
        .plans
        .differ(&zone.origin, differences, &unasked, seen.over(), lag);
    // What cannot be seen now stays as it was seen last.
    match seen.leads_here() {
        Some(true) => server.plans.leads(&zone.origin, Leads::Here),
        Some(false) => server.plans.leads(&zone.origin, Leads::Elsewhere),
        None => {}
    }
    if let Err(why) = keep(server, zone, providers, &seen, sampled).await {
        tracing::warn!(zone = %zone.origin, "{why}");
    }
    Ok(seen)
}

/// Asks until the NS RRsets name nobody any more who was not asked. With the places whose turn it was not.
async fn ask_everybody(
    server: &Arc<Server>,
    zone: &ZoneSettings,
    providers: &[String],
    pace: Pace,
    samples: &[Sample],
) -> Result<(Survey, Vec<String>), String> {
    let clock: &dyn Clock = &*server.clock;
    let asker = Asker::default();
    let listening: Vec<SocketAddr> = server.addresses().iter().copied().map(reachable).collect();
    let questions = Questions {
        zone: &zone.origin,
        samples,
    };
    let mut named = named::lately(server, &zone.origin);
    let mut last = None;
    for _ in 0..=MOST_LOOKS {
        let targets = everybody(server, zone, providers, &named).await?;
        match last {
            // What was new leads to nobody else.
            Some((asked, seen)) if asked == targets => return Ok(seen),
            _ => {}
        }
        let (members, parent) = &targets;
        let (mut seen, elsewhere) = futures_util::future::join(
            survey(&asker, questions, members, parent, clock),
            elsewhere::look(server, questions, pace, members, parent),
        )
        .await;
        let mut unasked = Vec::new();
        match elsewhere {
            Some(elsewhere) => seen.add(elsewhere),
            None => {
                let config = server.config.load();
                unasked.extend(config.vantages.iter().map(|place| place.name.clone()));
            }
        }
        seen.advise(named::IF_OURS, |at| !listening.contains(&at.address));
        if named::take(server, &seen).is_subset(&named) {
            return Ok((seen, unasked));
        }
        named = named::lately(server, &zone.origin);
        last = Some((targets, (seen, unasked)));
    }
    Err(
        "the NS RRsets of the zone and of its parent name other servers at each look: wait until they stand still"
            .to_owned(),
    )
}

/// Keeps what a look saw.
async fn keep(
    server: &Arc<Server>,
    zone: &ZoneSettings,
    providers: &[String],
    seen: &Arc<Survey>,
    sampled: Vec<Sample>,
) -> Result<(), String> {
    let events = events(server, &zone.origin).await?;
    let others = providers.iter().cloned().map(Party::Provider);
    let parties: Vec<Party> = [Party::Ours].into_iter().chain(others).collect();
    let bounds = observations::bounds(&server.config.load(), zone);
    let (server, origin, seen) = (Arc::clone(server), zone.origin.clone(), Arc::clone(seen));
    let kept = tokio::task::spawn_blocking(move || {
        let over = seen.over();
        server.plans.samples.keep(&origin, seen.longest_sample(&sampled));
        let mut news = seen.observed(&Register::of(&events), &parties);
        // What is served here goes on counting as long as it is served, and comes in where it could not be noted before.
        let held = server.held.load();
        news.extend(
            held.get(&origin)
                .into_iter()
                .flat_map(|held| observations::served(held, over)),
        );
        let news = vec![(origin, bounds, news)];
        server.observations.note(&*server.store, news, over)
    });
    kept.await
        .map_err(|error| error.to_string())?
        .map_err(|error| super::causes(&error))
}

pub(super) async fn events(server: &Arc<Server>, zone: &Name) -> Result<Vec<register::Event>, String> {
    let (store, of) = (Arc::clone(&server.store), zone.clone());
    let read = tokio::task::spawn_blocking(move || store.events(of.as_ref())).await;
    let failed = |why: String| format!("the key register cannot be read: {why}");
    read.map_err(|error| failed(error.to_string()))?
        .map_err(|error| failed(super::causes(&error)))
}

/// The TTLs of the content that is served here.
pub(super) fn ttls(server: &Server, zone: &Name) -> ContentTtls {
    let held = server.held.load();
    let served = held.get(zone).and_then(|held| held.served.content().ok());
    served.map_or_else(ContentTtls::default, |content| ContentTtls {
        largest: content.zone().largest_ttl(),
        negative: content.zone().negative_ttl(),
    })
}

fn members(server: &Server, zone: &ZoneSettings, seen: &Survey) -> Vec<Member> {
    let config = server.config.load();
    let mut members = vec![Member {
        servers: zone.our_servers.clone(),
        own_ns: own_ns(zone),
        ..Member::new("this server", Hand::Ours, 0)
    }];
    for (name, seen) in zone.providers.iter().zip(seen.members.iter().skip(1)) {
        let settings = config.providers.iter().find(|known| known.name == *name);
        let kind = settings.map(|settings| settings.kind);
        let propagation = settings.map_or(0, |settings| settings.propagation.as_secs());
        let hand = if kind == Some(ProviderKind::Ns1) {
            Hand::Api
        } else {
            Hand::Person
        };
        members.push(Member {
            // NS1 signs with ECDSA P-256 alone.
            algorithms: (kind == Some(ProviderKind::Ns1)).then(|| vec![Algorithm::ECDSAP256SHA256]),
            servers: seen.names.clone(),
            shows_cds: settings.is_some_and(|settings| settings.cds),
            shows_csync: settings.is_some_and(|settings| settings.csync),
            ..Member::new(name, hand, propagation)
        });
    }
    members
}

/// Where our own NS RRset comes from.
fn own_ns(zone: &ZoneSettings) -> OwnNs {
    if !zone.name_servers.is_empty() {
        return OwnNs::Person("in `name_servers` of the [[zone]], and reloads".to_owned());
    }
    match &zone.source {
        ContentSource::File { path, .. } => OwnNs::Person(format!(
            "in {}, or in `name_servers` of the [[zone]], and reloads",
            path.display()
        )),
        ContentSource::Axfr { .. } => OwnNs::Person("at the primary of this server".to_owned()),
        ContentSource::Ns1 { provider, .. } => {
            let place = zone.providers.iter().position(|known| known == provider);
            let followed = place.and_then(|place| ProviderId::at(place + 1).ok());
            followed.map_or_else(|| OwnNs::Person(format!("at {provider}")), OwnNs::Follows)
        }
    }
}
