//! What a step does here. Each may be done again, and then changes nothing.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    super::{peers, reckon::reckon, server::Server},
    journal, look, notice,
};
use crate::{
    clock::UnixTime,
    config::ZoneSettings,
    dnssec::{
        algorithm::SigningAlgorithm,
        csync::{Csync, Csyncing},
        custody::{self, IfShown, Place, StepError, Wanted},
        key::Dnskey,
        keyfile::timing::Claim,
        keyset::Cds,
        register::{Register, Source},
    },
    multisigner::{
        execute::{Event, Run, View},
        plan::{Action, Actor, Kind, Plan, Situation, Step},
        safety::{KeyId, KeySet, ProviderId, Slot, Value},
    },
    provider::{Provider, ProviderError, Published},
    wire::{Name, RrType, Ttl},
};

/// Why a step was not done.
pub(super) enum Failed {
    /// It may be possible in a while.
    Again(String),
    /// It is not possible as things are: a person has to decide.
    Refused(String),
}

/// What is wrong with a plan that changes the DS RRset while our CDS RRset asks for another one: a parent that reads it
/// may change the DS RRset at a time that no plan knows of.
pub(super) fn against_the_plan(cds: Cds, plan: &Plan) -> Option<String> {
    let setting = match cds {
        Cds::Off | Cds::Rollover => return None,
        Cds::Publish => "publish",
        Cds::Delete => "delete",
    };
    let changes_ds = |step: &Step| matches!(step.action, Action::Ds { .. });
    plan.steps.iter().any(changes_ds).then(|| {
        format!(
            "the plan changes the DS RRset, and by `cds = \"{setting}\"` the zone asks the parent for another one at the same time"
        )
    })
}

/// Why a step of a plan that follows another provider is not begun: a key that this step or a later one withdraws is not
/// gone any more, be it in a DNSKEY RRset or, which no server shows, in an API or a file.
pub(super) async fn not_gone(
    server: &Arc<Server>,
    zone: &Name,
    run: &Run,
    view: &View,
    step: usize,
) -> Result<Option<String>, String> {
    let Kind::Follow { provider, .. } = run.plan.kind else {
        return Ok(None);
    };
    let events = look::events(server, zone).await?;
    let register = reckon(move || Register::of(&events)).await?;
    let left = run.plan.steps.iter().skip(step);
    let goes = left.flat_map(|step| match &step.action {
        Action::Withdraw { keys } => &keys[..],
        _ => &[],
    });
    let shown = goes.filter_map(|key| {
        let dnskey = run.plan.situation.key(*key)?.dnskey.as_ref()?;
        let foreign = register.foreign.get(dnskey);
        let source = foreign.and_then(|foreign| foreign.shown_by.first().map(Source::to_string));
        let by = source.or_else(|| view.shown_at(provider, *key).map(str::to_owned))?;
        Some(format!(
            "{} is not gone: {by} shows it again, so it stays published here. When nobody shows it any more: countersign \
             resume {zone}; if it is to stay: countersign abort {zone} REASON",
            run.plan.situation.label(*key)
        ))
    });
    Ok(shown.into_iter().next())
}

/// Does the action of a step that was journaled as begun.
pub(super) async fn step(
    server: &Arc<Server>,
    zone: &ZoneSettings,
    run: &mut Run,
    step: usize,
) -> Result<(), Failed> {
    let Some(step) = run.plan.steps.get(step).cloned() else {
        return Err(Failed::Refused("the plan has no such step".to_owned()));
    };
    let dnskey = |run: &Run, key: &KeyId| {
        let known = run.plan.situation.key(*key).and_then(|key| key.dnskey.clone());
        known.ok_or_else(|| Failed::Refused(format!("{} is not made yet", run.plan.situation.label(*key))))
    };
    match &step.action {
        Action::Make { keys } => {
            for key in keys {
                if dnskey(run, key).is_err() {
                    make(server, zone, run, *key).await?;
                }
            }
            Ok(())
        }
        Action::Turn { keys } => {
            let keys: Result<Vec<(Dnskey, Claim)>, Failed> = keys
                .iter()
                .map(|(key, claim)| Ok((dnskey(run, key)?, *claim)))
                .collect();
            let keys = keys?;
            change(server, &zone.origin, move |place, now| {
                custody::turn(place, &keys, now)
            })
            .await
        }
        Action::Withdraw { keys } => {
            let keys: Result<Vec<Dnskey>, Failed> = keys.iter().map(|key| dnskey(run, key)).collect();
            let (keys, why) = (keys?, format!("by a plan: {}", step.what));
            let if_shown = match run.plan.kind {
                Kind::Follow { .. } => IfShown::Stays,
                _ => IfShown::Goes,
            };
            change(server, &zone.origin, move |place, now| {
                custody::withdraw_by_plan(place, &keys, if_shown, &why, now)
            })
            .await
        }
        Action::Give { provider } => {
            let name = run.plan.situation.name(*provider).to_owned();
            peers::give(server, zone, &name).await.map_err(Failed::Again)
        }
        Action::ChildNs { provider, members } if matches!(step.by, Actor::Api { .. }) => {
            write_ns(server, zone, run, *provider, members).await
        }
        Action::Cds { wanted } => {
            if !wanted.is_empty() && zone.cds != Cds::Rollover {
                return Err(Failed::Refused(
                    "the plan publishes CDS, and the zone's `cds` is not \"rollover\" any more; set it again and `countersign resume`, or `countersign abort`"
                        .to_owned(),
                ));
            }
            let keys: Result<BTreeSet<Dnskey>, Failed> = wanted.iter().map(|key| dnskey(run, key)).collect();
            let keys = keys?;
            change(server, &zone.origin, move |place, now| {
                custody::ask_for(place, &keys, now)
            })
            .await
        }
        Action::Csync { shown } => {
            if shown.is_some() && zone.csync != Csyncing::Rollover {
                return Err(Failed::Refused(
                    "the plan publishes CSYNC, and the zone's `csync` is not \"rollover\" any more; set it again and `countersign resume`, or `countersign abort`"
                        .to_owned(),
                ));
            }
            let shown = *shown;
            change(server, &zone.origin, move |place, now| {
                custody::have_taken(place, shown, now)
            })
            .await
        }
        Action::Theirs { provider, .. } if matches!(step.by, Actor::Api { .. }) => {
            for value in &step.changes {
                match value {
                    Value::Cds(_, cds) => {
                        let wanted = cds.map_or_else(KeySet::default, |cds| cds.wanted);
                        let keys = wanted.iter().map(|key| dnskey(run, &key));
                        let keys: Result<Vec<Dnskey>, Failed> = keys.collect();
                        return write_cds(server, zone, run, *provider, &keys?).await;
                    }
                    Value::Csync(_, csync) => {
                        return write_csync(server, zone, run, *provider, *csync).await;
                    }
                    _ => {}
                }
            }
            Err(Failed::Refused(format!(
                "{} has no API for this",
                run.plan.situation.name(*provider)
            )))
        }
        Action::Ds { .. } if step.by == Actor::Parent => {
            notice::tell_parent(server, &zone.origin, RrType::CDS);
            Ok(())
        }
        Action::ParentNs { .. } if step.by == Actor::Parent => {
            notice::tell_parent(server, &zone.origin, RrType::CSYNC);
            Ok(())
        }
        // Somebody else does it, and it is seen when it is done.
        Action::ChildNs { .. }
        | Action::Ds { .. }
        | Action::ParentNs { .. }
        | Action::Stop { .. }
        | Action::Theirs { .. }
        | Action::HandedIn { .. }
        | Action::Await => Ok(()),
    }
}

/// Gives providers again what they have lost of ours, or do not show yet: whoever asks them finds what we sign bogus, whether
/// or not keys are exchanged by themselves. What could not be given, in words.
pub(super) async fn give_again(
    server: &Arc<Server>,
    zone: &ZoneSettings,
    run: &Run,
    view: &View,
) -> Vec<String> {
    let mut failed = Vec::new();
    for provider in run.lacking_ours(view) {
        let name = run.plan.situation.name(provider).to_owned();
        failed.extend(peers::give(server, zone, &name).await.err());
    }
    failed
}

async fn make(server: &Arc<Server>, zone: &ZoneSettings, run: &mut Run, key: KeyId) -> Result<(), Failed> {
    let situation = &run.plan.situation;
    let Some(wanted) = situation.key(key) else {
        return Err(Failed::Refused("the plan has no such key".to_owned()));
    };
    let algorithm = SigningAlgorithm::try_from(wanted.algorithm)
        .ok()
        .filter(|algorithm| algorithm.makes_keys());
    let Some(algorithm) = algorithm else {
        return Err(Failed::Refused(format!(
            "keys of {} are not made here; import one (countersign keys import), and plan with --new TAG",
            wanted.algorithm
        )));
    };
    let wanted = Wanted {
        algorithm,
        role: wanted.role,
    };
    let known: Vec<Dnskey> = situation
        .keys
        .iter()
        .filter_map(|key| key.dnskey.clone())
        .collect();
    let dnskey = change(server, &zone.origin, move |place, now| {
        custody::make_held(place, wanted, &known, now)
    })
    .await?;
    let event = Event::Made { key, dnskey };
    journal(server, &zone.origin, run, event)
        .await
        .map_err(Failed::Again)
}

/// Changes keys on a thread that may wait for the disk.
async fn change<T: Send + 'static>(
    server: &Arc<Server>,
    zone: &Name,
    change: impl FnOnce(Place<'_>, UnixTime) -> Result<T, StepError> + Send + 'static,
) -> Result<T, Failed> {
    let (changing, of) = (Arc::clone(server), zone.clone());
    let done = tokio::task::spawn_blocking(move || changing.change_keys(&of, change)).await;
    match done {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(why)) => Err(Failed::Refused(why)),
        Err(error) => Err(Failed::Again(error.to_string())),
    }
}

/// Makes a provider's own NS RRset name the servers of these.
async fn write_ns(
    server: &Arc<Server>,
    zone: &ZoneSettings,
    run: &Run,
    provider: ProviderId,
    members: &[ProviderId],
) -> Result<(), Failed> {
    let situation = &run.plan.situation;
    let mut targets = Vec::new();
    for member in members {
        let names = situation
            .member(*member)
            .map(|member| member.servers.clone())
            .unwrap_or_default();
        if names.is_empty() {
            return Err(Failed::Refused(format!(
                "what the servers of {} are called is not known: set server_names of the [[provider]], or our_servers of the [[zone]]",
                situation.name(*member)
            )));
        }
        targets.extend(names);
    }
    let ttl = ns_ttl(situation, provider);
    let driver = driver(server, situation.name(provider))?;
    let written = Provider::write_apex_ns(&*driver, &zone.origin, &targets, ttl).await;
    written
        .map(drop)
        .map_err(|error| Failed::Again(peers::in_words(&error)))
}

/// Makes a provider's CDS and CDNSKEY ask for these keys, with the TTL of its DNSKEY RRset.
async fn write_cds(
    server: &Arc<Server>,
    zone: &ZoneSettings,
    run: &Run,
    provider: ProviderId,
    keys: &[Dnskey],
) -> Result<(), Failed> {
    let situation = &run.plan.situation;
    let ttl = match situation.value(&Slot::Keys(provider)) {
        Some(Value::Keys(_, rrset)) => Ttl::new(u32::try_from(rrset.ttl).unwrap_or(u32::MAX)),
        _ => zone.dnskey_ttl,
    };
    let driver = driver(server, situation.name(provider))?;
    wrote(Provider::write_cds(&*driver, &zone.origin, keys, ttl).await)
}

/// Makes this a provider's CSYNC record, with the TTL of its NS RRset.
async fn write_csync(
    server: &Arc<Server>,
    zone: &ZoneSettings,
    run: &Run,
    provider: ProviderId,
    csync: Option<Csync>,
) -> Result<(), Failed> {
    let ttl = ns_ttl(&run.plan.situation, provider);
    let driver = driver(server, run.plan.situation.name(provider))?;
    wrote(Provider::write_csync(&*driver, &zone.origin, csync, ttl).await)
}

fn ns_ttl(situation: &Situation, provider: ProviderId) -> Ttl {
    match situation.value(&Slot::ChildNs(provider)) {
        Some(Value::ChildNs(_, ns)) => Ttl::new(u32::try_from(ns.ttl).unwrap_or(u32::MAX)),
        _ => Ttl::new(3600),
    }
}

fn wrote(written: Result<Published, ProviderError>) -> Result<(), Failed> {
    match written {
        Ok(Published::ByHand { what, .. }) => Err(Failed::Refused(what)),
        Ok(Published::Already | Published::Changed { .. }) => Ok(()),
        Err(error) => Err(Failed::Again(peers::in_words(&error))),
    }
}

fn driver(server: &Server, name: &str) -> Result<Arc<dyn Provider>, Failed> {
    let config = server.config.load_full();
    let settings = config.providers.iter().find(|known| known.name == name);
    let Some(settings) = settings else {
        return Err(Failed::Refused(format!(
            "there is no [[provider]] named \"{name}\" any more"
        )));
    };
    let driver = server.peers.driver(settings);
    driver.map_err(|refusal| Failed::Again(refusal.error))
}
