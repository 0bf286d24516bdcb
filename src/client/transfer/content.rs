//! What the records of a transfer say, one after the other (RFC 5936 §2.2, RFC 1995 §4). Pure.
//!
//! ```text
//! up to date   SOA(now)                                                    now is not newer than what we have
//! changes      SOA(now) { SOA(from) removed… SOA(to) added… }… SOA(now)    the first from is what we have
//! whole        SOA(now) record… SOA(now)
//! ```
//! Both of the latter may answer the question for changes; the second record tells which it is.

use super::{Delta, Transferred};
use crate::wire::{Class, Name, RrType, Serial, Soa, received::Record, types::canonical_rdata};

/// Why records are not a transfer of the zone.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ContentError {
    /// The first record is another one.
    #[error("it begins with {owner} {rtype}, not with the zone's SOA")]
    NoSoa {
        /// The owner.
        owner: Name,
        /// The type.
        rtype: RrType,
    },
    /// A record of another class.
    #[error("{owner} {rtype} is of class {class}, and only IN is served", class = .class.0)]
    OtherClass {
        /// The owner.
        owner: Name,
        /// The type.
        rtype: RrType,
        /// The class.
        class: Class,
    },
    /// A record of a type that no zone holds.
    #[error("{owner} {rtype}: no zone holds records of this type")]
    NoData {
        /// The owner.
        owner: Name,
        /// The type.
        rtype: RrType,
    },
    /// A SOA that is not the zone's.
    #[error("it holds a SOA of {owner}")]
    ForeignSoa {
        /// The owner.
        owner: Name,
    },
    /// The SOA at its end is not the one at its beginning.
    #[error(
        "it begins with serial {began} and ends with another SOA, of serial {ended}: the zone changed meanwhile"
    )]
    OtherEnd {
        /// The serial at its beginning.
        began: Serial,
        /// The serial of the other SOA.
        ended: Serial,
    },
    /// There is more behind its end.
    #[error("{owner} {rtype} stands behind the SOA that ends it")]
    BehindEnd {
        /// The owner.
        owner: Name,
        /// The type.
        rtype: RrType,
    },
    /// Changes that do not lead on from what we have, or from the change in front of them.
    #[error("changes begin at serial {found}, where they should at {expected}")]
    Gap {
        /// The serial that they should begin at.
        expected: Serial,
        /// The serial that they begin at.
        found: Serial,
    },
    /// A change that leads back.
    #[error("a change leads from serial {from} to {to}, which is not newer")]
    Backwards {
        /// The serial that it begins at.
        from: Serial,
        /// The serial that it ends at.
        to: Serial,
    },
}

/// How far the records have been read.
#[derive(Debug)]
pub(super) struct Content {
    zone: Name,
    /// The version that we have, when changes were asked for.
    have: Option<Serial>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing came yet.
    Begin,
    /// Changes were asked for; the first SOA is here, and with it nothing that tells what it means.
    First(Edge),
    /// A whole zone, and how many records of it were given on.
    Whole(Edge, u64),
    Changes {
        end: Edge,
        deltas: Vec<Delta>,
        phase: Phase,
    },
    Done(Transferred),
}

/// The SOA that a transfer begins and ends with.
#[derive(Debug)]
struct Edge {
    soa: Record,
    serial: Serial,
}

/// Which half of the last delta is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Removing,
    Adding,
}

impl Content {
    /// Before the first record; `have` when changes since that version were asked for.
    pub fn new(zone: Name, have: Option<Serial>) -> Self {
        Self {
            zone,
            have,
            state: State::Begin,
        }
    }

    /// Takes the next record. Those of a whole zone go to `sink`, the SOA once.
    pub fn take(&mut self, record: Record, sink: &mut dyn FnMut(&Record)) -> Result<(), ContentError> {
        let edge = self.check(record)?;
        let state = std::mem::replace(&mut self.state, State::Begin);
        self.state = match (state, edge) {
            (State::Begin, Ok(edge)) if self.have.is_none() => {
                sink(&edge.soa);
                State::Whole(edge, 1)
            }
            (State::Begin, Ok(edge)) => State::First(edge),
            (State::Begin, Err(Record { owner, rtype, .. })) => {
                return Err(ContentError::NoSoa { owner, rtype });
            }
            (State::First(first), second) => self.second(first, second, sink)?,
            (State::Whole(begin, count), Ok(end)) => begin.end(&end).map(|()| {
                State::Done(Transferred::Whole {
                    serial: begin.serial,
                    records: count,
                })
            })?,
            (State::Whole(begin, count), Err(record)) => {
                sink(&record);
                State::Whole(begin, count + 1)
            }
            (State::Changes { end, deltas, phase }, record) => change(end, deltas, phase, record)?,
            (State::Done(_), Ok(Edge { soa: record, .. }) | Err(record)) => {
                let Record { owner, rtype, .. } = record;
                return Err(ContentError::BehindEnd { owner, rtype });
            }
        };
        Ok(())
    }

    /// A message ends here. A SOA alone, of a version that is no news, is the whole answer.
    pub fn end_of_message(&mut self) {
        if let (State::First(first), Some(have)) = (&self.state, self.have)
            && !first.serial.is_newer_than(have)
        {
            self.state = State::Done(Transferred::UpToDate { serial: first.serial });
        }
    }

    /// Whether changes are coming, which are all held until the end.
    pub fn holds_changes(&self) -> bool {
        matches!(self.state, State::Changes { .. })
    }

    /// What it was, when the end has come.
    pub fn finish(&mut self) -> Option<Transferred> {
        match std::mem::replace(&mut self.state, State::Begin) {
            State::Done(transferred) => Some(transferred),
            not_yet => {
                self.state = not_yet;
                None
            }
        }
    }

    /// What may be in any transfer; a SOA of the zone is `Ok`, another record `Err`.
    fn check(&self, record: Record) -> Result<Result<Edge, Record>, ContentError> {
        let Record { rtype, class, .. } = record;
        if class != Class::IN {
            let owner = record.owner;
            return Err(ContentError::OtherClass { owner, rtype, class });
        }
        if rtype.is_meta() {
            let owner = record.owner;
            return Err(ContentError::NoData { owner, rtype });
        }
        if rtype != RrType::SOA {
            return Ok(Err(record));
        }
        match Soa::from_rdata(&record.rdata) {
            Some(Soa { serial, .. }) if record.owner == self.zone => Ok(Ok(Edge { soa: record, serial })),
            _ => Err(ContentError::ForeignSoa { owner: record.owner }),
        }
    }

    /// The record behind the first SOA, where changes were asked for.
    fn second(
        &self,
        first: Edge,
        second: Result<Edge, Record>,
        sink: &mut dyn FnMut(&Record),
    ) -> Result<State, ContentError> {
        let have = self.have.unwrap_or(first.serial);
        let soa = match second {
            Err(record) => {
                sink(&first.soa);
                sink(&record);
                return Ok(State::Whole(first, 2));
            }
            Ok(soa) => soa,
        };
        // Twice the same, and no news: it says so at length.
        if !first.serial.is_newer_than(have) {
            first.end(&soa)?;
            return Ok(State::Done(Transferred::UpToDate { serial: first.serial }));
        }
        if soa.serial != have {
            return Err(ContentError::Gap {
                expected: have,
                found: soa.serial,
            });
        }
        Ok(State::Changes {
            end: first,
            deltas: vec![soa.begin_delta()],
            phase: Phase::Removing,
        })
    }
}

/// The next record of changes.
fn change(
    end: Edge,
    mut deltas: Vec<Delta>,
    phase: Phase,
    record: Result<Edge, Record>,
) -> Result<State, ContentError> {
    let delta = deltas.last_mut().expect("changes begin with a delta");
    let phase = match (phase, record) {
        (Phase::Removing, Err(record)) => {
            delta.removed.push(record);
            phase
        }
        (Phase::Adding, Err(record)) => {
            delta.added.push(record);
            phase
        }
        (Phase::Removing, Ok(soa)) => {
            let (from, to) = (delta.from, soa.serial);
            if !to.is_newer_than(from) || to.is_newer_than(end.serial) {
                return Err(ContentError::Backwards { from, to });
            }
            delta.to = to;
            delta.added.push(soa.soa);
            Phase::Adding
        }
        (Phase::Adding, Ok(soa)) if delta.to == end.serial => {
            end.end(&soa)?;
            return Ok(State::Done(Transferred::Changes(deltas)));
        }
        (Phase::Adding, Ok(soa)) if delta.to == soa.serial => {
            deltas.push(soa.begin_delta());
            Phase::Removing
        }
        (Phase::Adding, Ok(soa)) => {
            return Err(ContentError::Gap {
                expected: delta.to,
                found: soa.serial,
            });
        }
    };
    Ok(State::Changes { end, deltas, phase })
}

impl Edge {
    /// Whether `other` is the same SOA. Letter case may differ, for names are compressed against each other.
    fn end(&self, other: &Self) -> Result<(), ContentError> {
        let canonical = |record: &Record| {
            let mut rdata = Vec::with_capacity(record.rdata.len());
            canonical_rdata(RrType::SOA, &record.rdata, &mut rdata);
            rdata
        };
        if canonical(&self.soa) == canonical(&other.soa) {
            return Ok(());
        }
        Err(ContentError::OtherEnd {
            began: self.serial,
            ended: other.serial,
        })
    }

    fn begin_delta(self) -> Delta {
        Delta {
            from: self.serial,
            to: self.serial,
            removed: vec![self.soa],
            added: Vec::new(),
        }
    }
}
