//! Random histories: courses that are almost right, and courses that are not.

use super::super::tests::{LABELS, START, keyring};
use super::super::*;
use crate::clock::UnixTime;

/// Random numbers from a seed (SplitMix64).
pub(in crate::multisigner) struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// A move: what changes where. `A` and `B` are the providers, `P` the parent.
type Move = (&'static str, &'static str);

/// Courses as groups of moves, one group a step. A move names the slot and, by `+`, `-` or `=`, the labels.
const COURSES: [&[&[Move]]; 10] = [
    &[
        &[("keys A", "+ZB"), ("keys B", "+ZA")],
        &[("ds", "+KB")],
        &[("ns P", "+B"), ("ns A", "+B")],
    ],
    &[
        &[("ns P", "-B"), ("ns A", "-B"), ("ns B", "-B")],
        &[("up B", "no")],
        &[("keys A", "-ZB")],
        &[("ds", "-KB")],
    ],
    &[
        &[("ns P", "-B"), ("ns A", "-B")],
        &[("keys A", "-ZB")],
        &[("ds", "-KB")],
    ],
    &[
        &[("keys A", "+ZA2"), ("keys B", "+ZA2")],
        &[("data A", "=ZA2")],
        &[("keys A", "-ZA"), ("keys B", "-ZA")],
    ],
    &[
        &[("keys A", "+KA2"), ("sign A", "+KA2")],
        &[("ds", "+KA2")],
        &[("keys A", "-KA"), ("sign A", "-KA")],
        &[("ds", "-KA")],
    ],
    &[
        &[("keys B", "+KB2"), ("sign B", "+KB2")],
        &[("ds", "+KB2"), ("ds", "-KB")],
        &[("keys B", "-KB"), ("sign B", "-KB")],
    ],
    &[
        &[("data A", "+ZAe"), ("data B", "+ZBe")],
        &[
            ("keys A", "+ZAe +ZBe +KAe"),
            ("sign A", "+KAe"),
            ("keys B", "+ZAe +ZBe +KBe"),
            ("sign B", "+KBe"),
        ],
        &[("ds", "+KAe +KBe")],
        &[("ds", "-KA -KB")],
        &[
            ("keys A", "-ZA -ZB -KA"),
            ("sign A", "-KA"),
            ("keys B", "-ZA -ZB -KB"),
            ("sign B", "-KB"),
        ],
        &[("data A", "-ZA"), ("data B", "-ZB")],
    ],
    &[
        &[
            ("keys A", "+KAe +ZAe"),
            ("sign A", "+KAe"),
            ("data A", "+ZAe"),
            ("keys B", "+ZAe"),
        ],
        &[
            ("keys B", "+KBe +ZBe"),
            ("sign B", "+KBe"),
            ("data B", "+ZBe"),
            ("keys A", "+ZBe"),
        ],
        &[("ds", "+KAe +KBe")],
    ],
    &[
        &[("up A", "no")],
        &[("up A", "yes")],
        &[("ns P", "-A")],
        &[("ns P", "+A")],
    ],
    &[&[("ds", "-KA -KB")], &[("ds", "+KA")]],
];

const STRAY: [Move; 12] = [
    ("keys A", "-ZB"),
    ("keys B", "-ZA"),
    ("keys A", "+ZB2"),
    ("data A", "=ZA2"),
    ("data B", "+ZB2"),
    ("ds", "+KA2"),
    ("ds", "-KB"),
    ("ns P", "-B"),
    ("ns B", "-A"),
    ("ns A", "-A"),
    ("up B", "no"),
    ("up B", "yes"),
];

/// What is served now, in labels.
#[derive(Clone)]
struct State {
    ds: Vec<&'static str>,
    keys: [Vec<&'static str>; 2],
    sign: [Vec<&'static str>; 2],
    data: [Vec<&'static str>; 2],
    /// At A, at B, at the parent.
    ns: [Vec<&'static str>; 3],
    up: [bool; 2],
}

/// What belongs to one history.
struct Numbers {
    ds: u64,
    keys: u64,
    data: u64,
    ns: u64,
    /// The digest type of each key's DS.
    digests: Vec<u8>,
}

/// A history and the margin it is to be judged with.
pub(super) fn random(random: &mut Random) -> (Timeline, u64) {
    let mut timeline = keyring();
    let mut numbers = Numbers {
        ds: random.below(4),
        keys: random.below(4),
        data: random.below(6),
        ns: random.below(4),
        digests: if random.one_in(4) {
            LABELS.iter().map(|_| random.pick(&[1, 2, 2, 2, 4])).collect()
        } else {
            vec![2; LABELS.len()]
        },
    };
    let course = random.pick(&COURSES);
    let mut state = start(course == COURSES[0]);
    for slot in [
        "ds", "keys A", "keys B", "data A", "data B", "ns P", "ns A", "ns B", "up A", "up B",
    ] {
        timeline.initial.push(state.value(slot, &numbers));
    }
    let mut at = START;
    for group in bent(course, random) {
        at += if random.one_in(2) {
            7 + random.below(8)
        } else {
            random.below(8)
        };
        if random.one_in(6) {
            numbers.keys = random.below(4);
            numbers.data = random.below(6);
        }
        let mut changes = Vec::new();
        let lag = random.below(3);
        for (slot, what) in group {
            state.apply(slot, what);
            let slot = slot.replace("sign", "keys");
            let value = state.value(&slot, &numbers);
            changes.retain(|change: &Change| change.value.slot() != value.slot());
            changes.push(Change { value, lag });
        }
        timeline.add_step(UnixTime(at), "a step", changes);
    }
    (timeline, random.pick(&[0, 0, 1, 2]))
}

fn start(alone: bool) -> State {
    if alone {
        return State {
            ds: vec!["KA"],
            keys: [vec!["KA", "ZA"], vec!["KB", "ZB"]],
            ns: [vec!["A"], vec!["A", "B"], vec!["A"]],
            ..start(false)
        };
    }
    State {
        ds: vec!["KA", "KB"],
        keys: [vec!["KA", "ZA", "ZB"], vec!["KB", "ZA", "ZB"]],
        sign: [vec!["KA"], vec!["KB"]],
        data: [vec!["ZA"], vec!["ZB"]],
        ns: [vec!["A", "B"], vec!["A", "B"], vec!["A", "B"]],
        up: [true, true],
    }
}

/// A course with a step left out, two swapped, or a stray one put in; or as it is.
fn bent(course: &[&'static [Move]], random: &mut Random) -> Vec<Vec<Move>> {
    let mut groups: Vec<Vec<Move>> = course.iter().map(|group| group.to_vec()).collect();
    let place = random.below(groups.len() as u64) as usize;
    match random.below(6) {
        0 => {
            groups.remove(place);
        }
        1 if place > 0 => groups.swap(place - 1, place),
        2 => groups.insert(place, vec![random.pick(&STRAY)]),
        3 if groups[place].len() > 1 => {
            // One step becomes two.
            let rest = groups[place].split_off(1);
            groups.insert(place + 1, rest);
        }
        _ => {}
    }
    groups
}

impl State {
    fn apply(&mut self, slot: &str, what: &str) {
        let (kind, place) = slot.split_once(' ').unwrap_or((slot, ""));
        let place = ["A", "B", "P"]
            .iter()
            .position(|known| *known == place)
            .unwrap_or(0);
        let set = match kind {
            "ds" => &mut self.ds,
            "keys" => &mut self.keys[place],
            "sign" => &mut self.sign[place],
            "data" => &mut self.data[place],
            "ns" => &mut self.ns[place],
            _ => {
                self.up[place] = what == "yes";
                return;
            }
        };
        for part in what.split(' ') {
            let label = LABELS
                .iter()
                .chain(&["A", "B"])
                .find(|label| **label == &part[1..])
                .unwrap_or_else(|| panic!("no label {part}"));
            match &part[..1] {
                "=" => *set = vec![label],
                "-" => set.retain(|old| old != label),
                _ if set.contains(label) => {}
                _ => set.push(label),
            }
        }
    }

    fn value(&self, slot: &str, numbers: &Numbers) -> Value {
        let (kind, place) = slot.split_once(' ').unwrap_or((slot, ""));
        let place = ["A", "B", "P"]
            .iter()
            .position(|known| *known == place)
            .unwrap_or(0);
        let number = |label: &&str| LABELS.iter().position(|known| known == label).unwrap();
        let set =
            |labels: &[&str]| -> KeySet { labels.iter().map(|label| KeyId(number(label) as u8)).collect() };
        let provider = ProviderId(place as u8);
        let ns = || NsSet {
            members: self.ns[place]
                .iter()
                .map(|label| ProviderId(u8::from(*label == "B")))
                .collect(),
            ttl: numbers.ns,
            from_csync: false,
        };
        match kind {
            "ds" => Value::Ds(DsSet {
                records: self
                    .ds
                    .iter()
                    .map(|label| DsRecord {
                        key: KeyId(number(label) as u8),
                        digest_type: numbers.digests[number(label)],
                    })
                    .collect(),
                ttl: numbers.ds,
                from_cds: false,
            }),
            "keys" => Value::Keys(
                provider,
                KeyRrset {
                    keys: set(&self.keys[place]),
                    signers: set(&self.sign[place]),
                    ttl: numbers.keys,
                },
            ),
            "data" => Value::Data(
                provider,
                Class::Positive,
                SignedData {
                    signers: set(&self.data[place]),
                    ttl: numbers.data,
                    content: Content::Version(1),
                },
            ),
            "ns" if place == 2 => Value::ParentNs(ns()),
            "ns" => Value::ChildNs(provider, ns()),
            _ => Value::Serving(provider, self.up[place]),
        }
    }
}
