//! Whether content that came may replace what is served, or waits for a person's word. Pure.

use std::fmt;

use crate::{wire::Serial, zone::Zone};

/// What is looked at of content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// Its version.
    pub serial: Serial,
    /// Its records.
    pub records: usize,
    /// Its names, empty non-terminals included.
    pub names: usize,
}

impl Size {
    /// That of a zone.
    pub fn of(zone: &Zone) -> Self {
        Self {
            serial: Serial(zone.serial()),
            records: zone.record_count(),
            names: zone.node_count(),
        }
    }
}

/// Content that is held back until a person says that it is right.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct HeldBack {
    /// Its version.
    pub serial: Serial,
    /// Its records; unknown where it was not transferred.
    pub records: Option<usize>,
    /// Why.
    pub why: Why,
}

/// Why content is held back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// Nothing is left but the apex.
    Emptied {
        /// Records that are served.
        served: usize,
    },
    /// It has many fewer records.
    Shrunk {
        /// Records that are served.
        served: usize,
        /// The most that may go at once, in percent.
        limit: u8,
    },
    /// It is an older version than what is served (RFC 1982).
    Older {
        /// The version that is served.
        served: Serial,
    },
}

impl fmt::Display for HeldBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { serial, records, why } = self;
        let records = records.unwrap_or_default();
        match why {
            Why::Emptied { served } => write!(
                f,
                "serial {serial} of the source has nothing left but the zone's apex, where {served} records are served"
            ),
            Why::Shrunk { served, limit } => write!(
                f,
                "serial {serial} of the source has {records} records where {served} are served, more than {limit} % fewer"
            ),
            Why::Older { served } => write!(
                f,
                "the source has serial {serial}, which is older than {served}, which is served"
            ),
        }
    }
}

/// What a person said yes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Accepted {
    serial: Serial,
    records: Option<usize>,
}

impl Accepted {
    /// Yes to what is held back.
    pub fn to(held: &HeldBack) -> Self {
        Self {
            serial: held.serial,
            records: held.records,
        }
    }

    /// Whether that covers this version: it is the one, or one that came after it and is not smaller still.
    pub fn covers(&self, size: Size) -> bool {
        size.serial == self.serial || self.records.is_some_and(|records| size.records >= records)
    }
}

/// Judges content that came, beside what is served.
///
/// # Errors
/// When it waits for a person.
pub fn judge(
    served: Option<Size>,
    came: Size,
    limit: u8,
    accepted: Option<Accepted>,
) -> Result<(), HeldBack> {
    let Some(served) = served else { return Ok(()) };
    if accepted.is_some_and(|accepted| accepted.covers(came)) {
        return Ok(());
    }
    let held = |why| HeldBack {
        serial: came.serial,
        records: Some(came.records),
        why,
    };
    if came.names <= 1 && served.names > 1 {
        return Err(held(Why::Emptied {
            served: served.records,
        }));
    }
    let gone = served.records.saturating_sub(came.records) as u128;
    if gone * 100 > served.records as u128 * u128::from(limit) {
        return Err(held(Why::Shrunk {
            served: served.records,
            limit,
        }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(serial: u32, records: usize) -> Size {
        Size {
            serial: Serial(serial),
            records,
            names: records,
        }
    }

    #[test]
    fn more_than_the_share_waits_and_not_a_record_less() {
        let judge = |before, after, limit| judge(Some(size(1, before)), size(2, after), limit, None).is_ok();
        assert!(judge(100, 80, 20));
        assert!(!judge(100, 79, 20));
        assert!(judge(100, 200, 20));
        assert!(judge(100, 100, 0));
        assert!(!judge(100, 99, 0));
        assert!(judge(100, 2, 100));
        assert!(
            super::judge(None, size(1, 2), 0, None).is_ok(),
            "the first content is taken as it is"
        );
    }

    #[test]
    fn an_emptied_zone_waits_whatever_the_share() {
        let apex_alone = Size {
            names: 1,
            ..size(2, 3)
        };
        let held = judge(Some(size(1, 100)), apex_alone, 100, None).unwrap_err();
        assert_eq!(held.why, Why::Emptied { served: 100 });
        assert!(
            judge(
                Some(Size {
                    names: 1,
                    ..size(1, 3)
                }),
                apex_alone,
                0,
                None
            )
            .is_ok()
        );
    }

    #[test]
    fn a_persons_yes_is_to_what_they_saw() {
        let served = Some(size(1, 100));
        let held = judge(served, size(2, 10), 20, None).unwrap_err();
        let yes = Some(Accepted::to(&held));
        assert!(judge(served, size(2, 10), 20, yes).is_ok());
        assert!(judge(served, size(3, 11), 20, yes).is_ok(), "it has grown since");
        assert!(
            judge(served, size(3, 9), 20, yes).is_err(),
            "it has shrunk further since"
        );
    }
}
