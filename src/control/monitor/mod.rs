//! The watch over the zones: what `countersign verify` would say of them, again and again, and what `status` warns of.
//! What stands is told to a command and to a webhook.
//!
//! ```text
//! servers of all providers, the parent ─► verify's judgement ─┐
//! what `status` warns of ────────────────────────────────────┴─► alarms ─► log, `status`, `deliver`
//! ```

mod deliver;
mod look;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Semaphore, task::JoinSet};

pub use self::deliver::Notice;
use self::{deliver::Outbox, look::Sight};
use super::{
    protocol::{AlarmStatus, MonitorStatus, Warning},
    server::Server,
};
use crate::{
    clock::{Clock, UnixTime},
    config::Config,
    multisigner::alarms::{Alarms, Change, Level, Trouble},
    wire::Name,
};

/// How often it is looked whether something is due.
const BEAT: Duration = Duration::from_secs(1);
/// How many zones are looked at at the same time: each look asks every server some hundred questions.
const AT_ONCE: usize = 4;

/// What is watched: a zone, or (none) the server as a whole.
type Subject = Option<Name>;

/// What is known of one subject.
#[derive(Debug, Default)]
struct Watched {
    alarms: Alarms,
    /// The last look at its servers; none for the server, and for zones that nobody else serves.
    status: Option<MonitorStatus>,
    /// When it is to be looked at again, by steady time.
    due: Duration,
    /// A look is under way.
    is_out: bool,
}

/// The watch.
#[derive(Debug, Default)]
pub struct Monitor {
    watched: Mutex<BTreeMap<Subject, Watched>>,
    outbox: Outbox,
}

impl Monitor {
    fn watched(&self) -> MutexGuard<'_, BTreeMap<Subject, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The alarms that stand, of all subjects or of one zone.
    pub(super) fn standing(&self, zone: Option<&Name>) -> Vec<AlarmStatus> {
        let watched = self.watched();
        let wanted = watched
            .iter()
            .filter(|(subject, _)| zone.is_none() || subject.as_ref() == zone);
        let told = wanted.flat_map(|(subject, watched)| {
            let zone = subject.as_ref().map(ToString::to_string);
            let alarms = watched.alarms.standing().into_iter();
            alarms.map(move |alarm| AlarmStatus {
                zone: zone.clone(),
                level: alarm.level,
                what: alarm.what,
                since: alarm.since,
            })
        });
        told.collect()
    }

    /// The last look at a zone's servers.
    pub(super) fn status(&self, zone: &Name) -> Option<MonitorStatus> {
        self.watched().get(&Some(zone.clone()))?.status.clone()
    }

    /// The subjects that are due, each once; those that are gone are forgotten.
    fn due(&self, config: &Config, now: Duration) -> Vec<Subject> {
        let mut watched = self.watched();
        let zones = config.zones.iter().map(|zone| Some(zone.origin.clone()));
        let subjects: Vec<Subject> = zones.chain([None]).collect();
        watched.retain(|subject, _| subjects.contains(subject));
        let mut due = Vec::new();
        for subject in subjects {
            let known = watched.entry(subject.clone()).or_default();
            if !known.is_out && known.due <= now {
                known.is_out = true;
                due.push(subject);
            }
        }
        due
    }

    /// Takes what a look saw, tells what is new, and says when to look again.
    fn note(&self, subject: &Subject, sight: Sight, now: UnixTime, steady: Duration, every: Duration) {
        let mut watched = self.watched();
        let Some(known) = watched.get_mut(subject) else {
            return;
        };
        for change in known.alarms.look(sight.troubles, now) {
            log(subject.as_ref(), &change);
            self.outbox.put(Notice::of(subject.as_ref(), &change, now));
        }
        known.is_out = false;
        known.due = steady + known.alarms.pause(every);
        known.status = sight.status;
    }
}

fn log(subject: Option<&Name>, change: &Change) {
    let zone = subject.map_or_else(|| "-".to_owned(), ToString::to_string);
    match change {
        Change::Raised(alarm) if alarm.level == Level::Alarm => {
            tracing::error!(zone, "alarm: {}", alarm.what)
        }
        Change::Raised(alarm) => tracing::warn!(zone, "warning: {}", alarm.what),
        Change::Over(alarm) => tracing::info!(zone, "over since {}: {}", alarm.since, alarm.what),
    }
}

/// The background task: looks at what is due.
pub async fn watch(server: Arc<Server>) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut looks = JoinSet::new();
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let delivering = Arc::clone(&server);
    looks.spawn(async move { delivering.monitor.outbox.deliver(&delivering).await });
    loop {
        beat.tick().await;
        while looks.try_join_next().is_some() {}
        let config = server.config.load_full();
        let every = config.monitor.every;
        if every.is_zero() {
            continue;
        }
        for subject in server.monitor.due(&config, server.clock.steady()) {
            let (server, config, slots) = (Arc::clone(&server), Arc::clone(&config), Arc::clone(&slots));
            looks.spawn(async move {
                let Ok(_slot) = slots.acquire().await else { return };
                let sight = look::at(&server, &config, subject.as_ref()).await;
                let (now, steady) = (server.clock.now(), server.clock.steady());
                server.monitor.note(&subject, sight, now, steady, every);
            });
        }
    }
}

/// What `status` warns of, as troubles.
fn troubles_of(warnings: Vec<Warning>, subject: Option<&Name>) -> impl Iterator<Item = Trouble> {
    let of = subject.map(ToString::to_string);
    let of_subject = warnings.into_iter().filter(move |warning| warning.zone == of);
    of_subject.map(|warning| {
        let in_words = Trouble::in_words(Level::Warning, warning.what);
        match warning.about {
            Some(id) => Trouble { id, ..in_words },
            None => in_words,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_says_makes_no_other_alarm_of_it() {
        let warning = |what: &str| Warning {
            zone: None,
            what: what.to_owned(),
            about: Some("the vantage tokyo".to_owned()),
        };
        let mut alarms = Alarms::default();
        let mut raised = 0;
        for second in 0..10 {
            let said = warning(&format!("nothing came: timed out after 1.0{second} s"));
            let troubles: Vec<Trouble> = troubles_of(vec![said], None).collect();
            raised += alarms.look(troubles, UnixTime(second)).len();
        }
        assert_eq!(raised, 1);
        assert!(alarms.standing()[0].what.ends_with("1.09 s"));
    }
}
