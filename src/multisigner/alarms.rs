//! Alarms that do not flap: a trouble is an alarm when it was seen in two looks one after the other, and over when it
//! was missing from three.
//!
//! ```text
//!             seen again                missing three times
//! suspected ─────────────► raised ──────────────────────────► over
//!     └─ missing once: forgotten   └─ seen at a higher level: raised anew
//! ```
//!
//! A look that could not be made says nothing: it is not handed in.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;

/// In how many looks one after the other a trouble must be seen.
const SEEN: u32 = 2;
/// From how many looks one after the other it must be missing.
const MISSING: u32 = 3;
/// After how long a first sight is confirmed, where looks are further apart.
const CONFIRM: Duration = Duration::from_secs(15);
/// How many troubles are kept of one subject; a provider that makes up troubles must not fill the memory.
const MOST: usize = 200;

/// How much it matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Somebody should look at it by day.
    Warning,
    /// Somebody should look at it now: answers are bogus, or will be.
    Alarm,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Warning => "warning",
            Self::Alarm => "alarm",
        })
    }
}

/// Something that should not be so, as one look saw it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// What makes it the same trouble in the next look: nothing in it changes with time.
    pub id: String,
    /// How much it matters.
    pub level: Level,
    /// What it is, and what to do.
    pub what: String,
}

impl Trouble {
    /// A trouble that is the same as long as its words are, times in them aside.
    pub fn in_words(level: Level, what: String) -> Self {
        Self {
            id: without_times(&what),
            level,
            what,
        }
    }
}

/// An alarm that stands, or stood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alarm {
    /// How much it matters.
    pub level: Level,
    /// What it is, as it was last seen.
    pub what: String,
    /// When it was first seen.
    pub since: UnixTime,
}

/// What a look changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// An alarm is raised, or raised anew because it matters more than before.
    Raised(Alarm),
    /// An alarm is over.
    Over(Alarm),
}

#[derive(Clone, Debug)]
struct Standing {
    alarm: Alarm,
    seen: u32,
    missing: u32,
    raised: bool,
}

/// The troubles of one subject: a zone, or the server as a whole.
#[derive(Clone, Debug, Default)]
pub struct Alarms {
    known: BTreeMap<String, Standing>,
}

impl Alarms {
    /// Takes what one look saw, and says what that changes.
    pub fn look(&mut self, troubles: Vec<Trouble>, now: UnixTime) -> Vec<Change> {
        let mut changes = Vec::new();
        for standing in self.known.values_mut() {
            standing.missing += 1;
        }
        // Of two that are one the worse counts.
        let mut seen: BTreeMap<String, Trouble> = BTreeMap::new();
        for trouble in troubles {
            let is_worse = |known: &Trouble| known.level < trouble.level;
            if seen.get(&trouble.id).is_none_or(is_worse) {
                seen.insert(trouble.id.clone(), trouble);
            }
        }
        for trouble in seen.into_values() {
            let is_known = self.known.contains_key(&trouble.id);
            if is_known || self.known.len() < MOST {
                changes.extend(self.saw(trouble, now));
            }
        }
        self.known.retain(|_, standing| match standing {
            Standing { missing: 0, .. } => true,
            Standing { raised: false, .. } => false,
            Standing { missing, .. } if *missing < MISSING => {
                standing.seen = 0;
                true
            }
            Standing { alarm, .. } => {
                changes.push(Change::Over(alarm.clone()));
                false
            }
        });
        changes
    }

    fn saw(&mut self, trouble: Trouble, now: UnixTime) -> Option<Change> {
        let standing = self.known.entry(trouble.id).or_insert_with(|| Standing {
            alarm: Alarm {
                level: trouble.level,
                what: String::new(),
                since: now,
            },
            seen: 0,
            missing: 0,
            raised: false,
        });
        let is_worse = trouble.level > standing.alarm.level;
        standing.seen += 1;
        standing.missing = 0;
        standing.alarm.what = trouble.what;
        if is_worse || !standing.raised {
            standing.alarm.level = trouble.level;
        }
        let is_due = standing.seen >= SEEN && (!standing.raised || is_worse);
        standing.raised |= is_due;
        is_due.then(|| Change::Raised(standing.alarm.clone()))
    }

    /// The alarms that stand, the worst first.
    pub fn standing(&self) -> Vec<Alarm> {
        let raised = self.known.values().filter(|standing| standing.raised);
        let mut alarms: Vec<Alarm> = raised.map(|standing| standing.alarm.clone()).collect();
        alarms.sort_by(|a, b| b.level.cmp(&a.level).then(a.since.cmp(&b.since)));
        alarms
    }

    /// How long until the next look, where looks are usually `every` so long: a first sight is confirmed soon, and so
    /// is the end of an alarm.
    pub fn pause(&self, every: Duration) -> Duration {
        let is_open = |standing: &Standing| !standing.raised || standing.missing > 0;
        if self.known.values().any(is_open) {
            every.min(CONFIRM)
        } else {
            every
        }
    }
}

/// A sentence without the times in it (`2026-11-24T12:00:00Z`).
fn without_times(what: &str) -> String {
    let is_time = |word: &str| {
        let octets = word.as_bytes();
        octets.len() >= 19
            && octets[4] == b'-'
            && octets[10] == b'T'
            && octets[..4].iter().all(u8::is_ascii_digit)
    };
    let words = what.split(' ').filter(|word| !is_time(word));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(id: &str, level: Level) -> Trouble {
        Trouble {
            id: id.to_owned(),
            level,
            what: format!("{id} is wrong"),
        }
    }

    /// Looks once a minute; in each `x` stands for a trouble that is seen, `X` for it as an alarm. What was raised (`+`)
    /// and over (`-`) by look.
    fn play(looks: &str) -> String {
        let mut alarms = Alarms::default();
        let looks = looks.chars().enumerate().map(|(minute, look)| {
            let seen = match look {
                'x' => vec![trouble("a", Level::Warning)],
                'X' => vec![trouble("a", Level::Alarm)],
                _ => Vec::new(),
            };
            let changes = alarms.look(seen, UnixTime(60 * minute as u64));
            match &changes[..] {
                [] => '.',
                [Change::Raised(alarm)] if alarm.level == Level::Alarm => '!',
                [Change::Raised(_)] => '+',
                [Change::Over(_)] => '-',
                more => panic!("{more:?}"),
            }
        });
        looks.collect()
    }

    #[test]
    fn nothing_flaps() {
        for (looks, said) in [
            ("xx", ".+"),
            // Once is no sight, however often.
            ("x.x.x.x.", "........"),
            ("xx...", ".+..-"),
            // Twice missing is not over.
            ("xx..x..xx..x", ".+.........."),
            ("xx...x...xx", ".+..-.....+"),
            // What matters more is said again, what matters less is not.
            ("xxX", ".+!"),
            ("XXx", ".!."),
            ("xX", ".!"),
        ] {
            assert_eq!(play(looks), said, "{looks}");
        }
    }

    #[test]
    fn an_alarm_knows_since_when_and_what_it_was_last() {
        let mut alarms = Alarms::default();
        let say = |when: &str| Trouble::in_words(Level::Alarm, format!("gone since {when}, call them"));
        alarms.look(vec![say("2026-11-24T12:00:00Z")], UnixTime(100));
        let changes = alarms.look(vec![say("2026-11-24T12:05:00Z")], UnixTime(160));
        let alarm = Alarm {
            level: Level::Alarm,
            what: "gone since 2026-11-24T12:05:00Z, call them".to_owned(),
            since: UnixTime(100),
        };
        assert_eq!(alarms.standing(), std::slice::from_ref(&alarm));
        assert_eq!(changes, [Change::Raised(alarm)]);
    }

    #[test]
    fn two_of_one_id_in_a_look_are_one() {
        let mut alarms = Alarms::default();
        let both = || vec![trouble("a", Level::Warning), trouble("a", Level::Alarm)];
        assert_eq!(alarms.look(both(), UnixTime(0)), []);
        assert!(
            matches!(&alarms.look(both(), UnixTime(60))[..], [Change::Raised(alarm)] if alarm.level == Level::Alarm)
        );
    }

    #[test]
    fn what_is_not_settled_is_looked_at_soon() {
        let every = Duration::from_secs(300);
        let mut alarms = Alarms::default();
        assert_eq!(alarms.pause(every), every);
        alarms.look(vec![trouble("a", Level::Alarm)], UnixTime(0));
        assert_eq!(alarms.pause(every), CONFIRM);
        assert_eq!(alarms.pause(Duration::from_secs(1)), Duration::from_secs(1));
        alarms.look(vec![trouble("a", Level::Alarm)], UnixTime(15));
        assert_eq!(alarms.pause(every), every);
        alarms.look(vec![], UnixTime(315));
        assert_eq!(alarms.pause(every), CONFIRM);
    }

    #[test]
    fn made_up_troubles_do_not_fill_the_memory() {
        let mut alarms = Alarms::default();
        for look in 0..3 {
            let many = (0..10_000).map(|number| trouble(&number.to_string(), Level::Alarm));
            alarms.look(many.collect(), UnixTime(look));
        }
        assert_eq!(alarms.standing().len(), MOST);
    }
}
