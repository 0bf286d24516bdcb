//! The timing fields of key files: BIND's schedule, of which we read only what it says about this moment.
//!
//! | fields | claim |
//! |---|---|
//! | none at all (v1.2, ldns, Knot) | active |
//! | Delete passed | gone |
//! | Inactive passed | retired |
//! | Activate passed, Publish [`NEVER`] | pre-active; post-active with SyncDelete passed |
//! | Activate passed | active |
//! | Publish passed, or only Activate set | published |
//! | otherwise | held |
//!
//! A switch that lies ahead is never made because of a date: switching is a plan's business. So the fields are
//! also written, to say what is: the key folder alone is then enough to rebuild a lost state.
//!
//! BIND signs with a key whose Activate has passed, and leaves it out of the DNSKEY RRset while its Publish lies ahead.
//! So a key that signs unpublished says `Publish` with the last moment that BIND can write. No person sets that one, so
//! no person's date makes a key sign unpublished.

use std::fmt;

use crate::{clock::UnixTime, dnssec::keyset::KeyState};

/// A time that key files know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Field {
    /// When the key was made.
    Created,
    /// From when it is in the DNSKEY RRset.
    Publish,
    /// From when it signs.
    Activate,
    /// From when it has the REVOKE flag (RFC 5011); never obeyed.
    Revoke,
    /// From when it signs no more.
    Inactive,
    /// From when it is out of the DNSKEY RRset.
    Delete,
    /// From when CDS and CDNSKEY show it; never obeyed.
    SyncPublish,
    /// Until when they show it; never obeyed.
    SyncDelete,
}

/// Every field in the order in which BIND writes them.
pub const FIELDS: [Field; 8] = [
    Field::Created,
    Field::Publish,
    Field::Activate,
    Field::Revoke,
    Field::Inactive,
    Field::Delete,
    Field::SyncPublish,
    Field::SyncDelete,
];

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The time of what never comes: the last one in 32 bits, 2106-02-07.
pub const NEVER: UnixTime = UnixTime(u32::MAX as u64);

/// What a key file's times say of its key now.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// Not to be published yet.
    Held,
    /// Signing, and not published yet: the first signatures of a new algorithm (RFC 6781 §4.1.4).
    PreActive,
    /// Published, not signing.
    Published,
    /// Signing.
    Active,
    /// Signing, and no longer published: the last signatures of an old algorithm.
    PostActive,
    /// Published, no longer signing.
    Retired,
    /// No longer published.
    Gone,
}

/// Every claim.
#[cfg(test)]
pub(crate) const CLAIMS: [Claim; 7] = [
    Claim::Held,
    Claim::PreActive,
    Claim::Published,
    Claim::Active,
    Claim::PostActive,
    Claim::Retired,
    Claim::Gone,
];

/// The times of one key file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Timing([Option<UnixTime>; FIELDS.len()]);

impl Timing {
    /// The time of `field`, when it is set.
    pub fn get(&self, field: Field) -> Option<UnixTime> {
        self.0[field as usize]
    }

    /// Sets or clears `field`.
    #[must_use]
    pub fn with(mut self, field: Field, time: Option<UnixTime>) -> Self {
        self.0[field as usize] = time;
        self
    }

    /// The fields that are set, in BIND's order.
    pub fn iter(&self) -> impl Iterator<Item = (Field, UnixTime)> {
        FIELDS
            .into_iter()
            .filter_map(|field| Some((field, self.get(field)?)))
    }

    /// What the times say at `now`.
    pub fn claim(&self, now: UnixTime) -> Claim {
        let passed = |field| self.get(field).is_some_and(|time| time <= now);
        if self.0.iter().all(Option::is_none) {
            Claim::Active
        } else if passed(Field::Delete) {
            Claim::Gone
        } else if passed(Field::Inactive) {
            Claim::Retired
        } else if passed(Field::Activate) && self.get(Field::Publish) == Some(NEVER) {
            if passed(Field::SyncDelete) {
                Claim::PostActive
            } else {
                Claim::PreActive
            }
        } else if passed(Field::Activate) {
            Claim::Active
        } else if passed(Field::Publish)
            || (self.get(Field::Publish).is_none() && self.get(Field::Activate).is_some())
        {
            Claim::Published
        } else {
            Claim::Held
        }
    }

    /// Since when the key has been what it claims to be, when the times say so.
    pub fn since(&self, claim: Claim) -> Option<UnixTime> {
        self.get(match claim {
            Claim::Held => Field::Created,
            Claim::Published => Field::Publish,
            Claim::PreActive | Claim::Active => Field::Activate,
            Claim::PostActive => Field::SyncDelete,
            Claim::Retired => Field::Inactive,
            Claim::Gone => Field::Delete,
        })
    }

    /// The same key's times when its state is `claim` since `since`: true now, and at any later time.
    #[must_use]
    pub fn saying(&self, claim: Claim, since: UnixTime) -> Self {
        // A time that has passed by `since` is history and stays; one that lies ahead would become a lie.
        let past = |field| Some(self.get(field).filter(|time| *time <= since).unwrap_or(since));
        let history = |field| self.get(field).filter(|time| *time <= since);
        let timing = Self::default().with(Field::Created, self.get(Field::Created).or(Some(since)));
        match claim {
            Claim::Held => timing,
            Claim::PreActive => timing
                .with(Field::Publish, Some(NEVER))
                .with(Field::Activate, past(Field::Activate)),
            Claim::PostActive => timing
                .with(Field::Publish, Some(NEVER))
                .with(Field::Activate, past(Field::Activate))
                .with(Field::SyncDelete, past(Field::SyncDelete)),
            Claim::Published => timing.with(Field::Publish, past(Field::Publish)),
            Claim::Active => timing
                .with(Field::Publish, past(Field::Publish))
                .with(Field::Activate, past(Field::Activate)),
            Claim::Retired => timing
                .with(Field::Publish, past(Field::Publish))
                .with(Field::Activate, history(Field::Activate))
                .with(Field::Inactive, past(Field::Inactive)),
            Claim::Gone => timing
                .with(Field::Publish, history(Field::Publish))
                .with(Field::Activate, history(Field::Activate))
                .with(Field::Inactive, history(Field::Inactive))
                .with(Field::Delete, past(Field::Delete)),
        }
    }

    /// Whether some time after `now` would change the claim, so that a person may expect a switch.
    pub fn has_plans(&self, now: UnixTime) -> bool {
        self.iter().any(|(field, time)| {
            field != Field::Created && time > now && (field, time) != (Field::Publish, NEVER)
        })
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Held => "held",
            Self::PreActive => "pre-active",
            Self::Published => "published",
            Self::Active => "active",
            Self::PostActive => "post-active",
            Self::Retired => "retired",
            Self::Gone => "gone",
        })
    }
}

impl Claim {
    /// The state in the key set, when the key is in it.
    pub fn state(self) -> Option<KeyState> {
        match self {
            Self::PreActive => Some(KeyState::PreActive),
            Self::Published => Some(KeyState::Published),
            Self::Active => Some(KeyState::Active),
            Self::PostActive => Some(KeyState::PostActive),
            Self::Retired => Some(KeyState::Retired),
            Self::Held | Self::Gone => None,
        }
    }

    /// Whether the key signs and is in no DNSKEY RRset, as only a plan makes it.
    pub fn is_unpublished_signer(self) -> bool {
        self.state().is_some_and(KeyState::is_unpublished)
    }
}

/// The time in words, as BIND's comments have it: `Tue Nov 24 22:06:06 2026`, in UTC.
pub(super) fn in_words(time: UnixTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let text = time.to_dnssec();
    let number = |from: usize, to: usize| text[from..to].parse::<usize>().unwrap_or(0);
    format!(
        "{} {} {:2} {}:{}:{} {}",
        DAYS[(time.0 / 86_400 % 7) as usize],
        MONTHS[(number(4, 6).max(1) - 1) % 12],
        number(6, 8),
        &text[8..10],
        &text[10..12],
        &text[12..14],
        &text[..4]
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);
    const PAST: UnixTime = UnixTime(1_700_000_000);
    const AHEAD: UnixTime = UnixTime(1_900_000_000);

    fn times(fields: &[(Field, UnixTime)]) -> Timing {
        fields.iter().fold(Timing::default(), |timing, (field, time)| {
            timing.with(*field, Some(*time))
        })
    }

    #[test]
    fn claims_at_a_moment() {
        use Field::*;
        for (fields, claim) in [
            (&[][..], Claim::Active),
            (&[(Created, PAST)], Claim::Held),
            (&[(Created, PAST), (Publish, AHEAD)], Claim::Held),
            (&[(Publish, PAST)], Claim::Published),
            (&[(Activate, AHEAD)], Claim::Published),
            (&[(Publish, PAST), (Activate, AHEAD)], Claim::Published),
            (&[(Publish, AHEAD), (Activate, AHEAD)], Claim::Held),
            (&[(Publish, NOW), (Activate, NOW)], Claim::Active),
            (
                &[(Publish, PAST), (Activate, PAST), (Inactive, AHEAD)],
                Claim::Active,
            ),
            (
                &[(Publish, PAST), (Activate, PAST), (Inactive, NOW)],
                Claim::Retired,
            ),
            (&[(Activate, PAST), (Inactive, PAST), (Delete, PAST)], Claim::Gone),
            // A person's date makes no key sign unpublished.
            (&[(Publish, AHEAD), (Activate, PAST)], Claim::Active),
            (&[(Publish, NEVER), (Activate, PAST)], Claim::PreActive),
            (
                &[(Publish, NEVER), (Activate, PAST), (SyncDelete, PAST)],
                Claim::PostActive,
            ),
            (&[(Publish, NEVER)], Claim::Held),
        ] {
            assert_eq!(times(fields).claim(NOW), claim, "{fields:?}");
        }
    }

    #[test]
    fn words_as_bind_writes_them() {
        let time = UnixTime::from_dnssec("20261124220606").unwrap();
        assert_eq!(in_words(time), "Tue Nov 24 22:06:06 2026");
        assert_eq!(in_words(UnixTime(0)), "Thu Jan  1 00:00:00 1970");
    }

    fn any_timing() -> impl Strategy<Value = Timing> {
        prop::array::uniform8(prop::option::of(0..2_000_000_000u64))
            .prop_map(|times| Timing(times.map(|time| time.map(UnixTime))))
    }

    proptest! {
        #[test]
        fn what_is_written_says_the_state_now_and_ever_after(
            timing in any_timing(), since in 0..2_000_000_000u64, later in 0..1_000_000_000u64,
        ) {
            let since = UnixTime(since);
            for claim in CLAIMS {
                let written = timing.saying(claim, since);
                prop_assert!(!written.has_plans(since));
                prop_assert_eq!(written.claim(UnixTime(since.0 + later)), claim);
                prop_assert_eq!(&written.saying(claim, UnixTime(since.0 + later)), &written);
            }
        }
    }
}
