//! Two that change the algorithm in step, each by a plan of its own: two runs over one world, which look at their own times,
//! have margins of their own, and one person at the registrar who does what the first one asks for.

use super::{early::change, *};
use crate::multisigner::{
    plan::build,
    safety::{Change, Invariant, Terms, is_safe},
};

/// How many worlds are played.
const WORLDS: u64 = 150;
/// No world lasts longer, in seconds.
const LONGEST: u64 = 3_000;

/// Numbers that follow from a seed (Knuth's MMIX).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn other(at: ProviderId) -> ProviderId {
    provider(1 - at.place())
}

/// A value in the words of the other one: each calls itself the first.
fn turned(value: &Value) -> Value {
    let ns = |ns: &NsSet| NsSet {
        members: ns.members.iter().map(|member| other(*member)).collect(),
        ..ns.clone()
    };
    match value {
        Value::Ds(ds) => Value::Ds(ds.clone()),
        Value::ParentNs(parent) => Value::ParentNs(ns(parent)),
        Value::Keys(at, keys) => Value::Keys(other(*at), *keys),
        Value::Data(at, class, data) => Value::Data(other(*at), class.clone(), *data),
        Value::ChildNs(at, child) => Value::ChildNs(other(*at), ns(child)),
        Value::Serving(at, serving) => Value::Serving(other(*at), *serving),
        Value::Cds(at, cds) => Value::Cds(other(*at), *cds),
        Value::Csync(at, csync) => Value::Csync(other(*at), *csync),
    }
}

/// One of the two.
struct Seat {
    run: Run,
    number: usize,
    next_look: u64,
    halted: Option<String>,
}

impl Seat {
    fn new(number: usize, margin: u64) -> Self {
        let Plan {
            kind, mut situation, ..
        } = change();
        situation.margin = margin;
        if number == 1 {
            situation.serves = situation.serves.iter().map(turned).collect();
            for key in &mut situation.keys {
                key.owner = key.owner.map(other);
            }
        }
        let plan = build(&kind, &situation).unwrap();
        Self {
            run: Run::adopt(plan, None, UnixTime(START)).unwrap(),
            number,
            next_look: START,
            halted: None,
        }
    }

    fn own_words(&self, value: &Value) -> Value {
        match self.number {
            0 => value.clone(),
            _ => turned(value),
        }
    }
}

struct Pair {
    seats: [Seat; 2],
    dice: Dice,
    now: u64,
    /// What is served, in the words of the first.
    served: BTreeMap<Slot, Value>,
    timeline: crate::multisigner::safety::Timeline,
    /// What the registrar was asked for, and when it will be there.
    asked: Vec<(u64, Value)>,
    early: usize,
    surprises: Vec<String>,
}

impl Pair {
    fn new(seed: u64, margins: [u64; 2]) -> Self {
        let seats = [Seat::new(0, margins[0]), Seat::new(1, margins[1])];
        let plan = &seats[0].run.plan;
        let serves = plan.situation.serves.iter();
        Self {
            served: serves.map(|value| (value.slot(), value.clone())).collect(),
            timeline: plan.timeline(&[]).unwrap(),
            seats,
            dice: Dice(seed),
            now: START,
            asked: Vec::new(),
            early: 0,
            surprises: Vec::new(),
        }
    }

    fn serve(&mut self, value: &Value) {
        self.served.insert(value.slot(), value.clone());
        let value = value.clone();
        self.timeline
            .add_step(UnixTime(self.now), "a change", vec![Change { value, lag: LAG }]);
    }

    fn view(&self, seat: usize) -> View {
        let seat = &self.seats[seat];
        let slots = self.served.values().map(|value| {
            let value = seat.own_words(value);
            let sight = Sight {
                server: "server".to_owned(),
                at: UnixTime(self.now),
                shown: Shown::Value(value.clone()),
            };
            (value.slot(), vec![sight])
        });
        View {
            slots: slots.collect(),
            strangers: Vec::new(),
        }
    }

    fn look(&mut self, place: usize) {
        for _ in 0..100 {
            let view = self.view(place);
            let seat = &mut self.seats[place];
            match seat.run.next(&view, UnixTime(self.now), true) {
                Next::Journal(event) => {
                    match &event {
                        Event::Early { .. } => self.early += 1,
                        Event::Surprise { why, .. } => self.surprises.push(why.clone()),
                        _ => {}
                    }
                    let at = UnixTime(self.now);
                    seat.run.apply(&Entry { at, event }).unwrap();
                }
                Next::Act { step } => {
                    let todo = &seat.run.plan.steps[step];
                    let changes: Vec<Value> =
                        todo.changes.iter().map(|value| seat.own_words(value)).collect();
                    let (by, action) = (todo.by.clone(), todo.action.clone());
                    seat.run.acted();
                    match (by, action) {
                        (Actor::We, _) => changes.iter().for_each(|value| self.serve(value)),
                        (_, Action::Ds { .. }) => self.ask_registrar(&changes[0]),
                        _ => {}
                    }
                }
                rest => {
                    seat.run.looked(&view);
                    if let Next::Halted { why } = rest {
                        seat.halted = Some(why);
                    }
                    return;
                }
            }
        }
        panic!("it does not come to rest");
    }

    fn ask_registrar(&mut self, ds: &Value) {
        if self.asked.iter().all(|(_, asked)| asked != ds) {
            let at = self.now + 1 + self.dice.below(5);
            self.asked.push((at, ds.clone()));
        }
    }

    /// Until both are through or halted; they look every so many seconds at the most.
    fn play(&mut self, looks: u64) {
        for now in START..START + LONGEST {
            self.now = now;
            let due: Vec<Value> = self
                .asked
                .iter()
                .filter(|(at, _)| *at == now)
                .map(|(_, ds)| ds.clone())
                .collect();
            due.iter().for_each(|ds| self.serve(ds));
            for place in [0, 1] {
                if self.seats[place].next_look <= now {
                    self.look(place);
                    self.seats[place].next_look = now + 1 + self.dice.below(looks);
                }
            }
            let over = |seat: &Seat| seat.halted.is_some() || matches!(seat.run.stage, Stage::Over(_));
            if self.seats.iter().all(over) {
                return;
            }
        }
    }

    /// Whether what was served was bogus to nobody whose caches keep to the TTLs and this margin.
    fn was_safe(&self, margin: u64) -> bool {
        let terms = Terms {
            invariants: Invariant::CHAINS.into(),
            ..Terms::all(margin)
        };
        is_safe(&self.timeline, &terms)
    }
}

/// The margin has to cover how far they are apart, what is between two looks, and the propagation.
#[test]
fn with_margins_that_are_large_enough_both_reach_the_goal_whoever_is_ahead() {
    let mut early = 0;
    for seed in 0..WORLDS {
        let mut dice = Dice(seed);
        let margins = [12 + dice.below(4), 12 + dice.below(4)];
        let mut pair = Pair::new(seed, margins);
        pair.play(2);
        let stages = pair.seats.each_ref().map(|seat| seat.run.stage.clone());
        let reached = Stage::Over(Outcome::Reached);
        assert_eq!(
            stages,
            [reached.clone(), reached],
            "seed {seed}: {:?}",
            pair.surprises
        );
        assert!(pair.surprises.is_empty(), "seed {seed}: {:?}", pair.surprises);
        assert!(pair.was_safe(12), "seed {seed}");
        early += pair.early;
    }
    assert!(early > WORLDS as usize, "{early} steps came before their turn");
}

/// Where margins do not cover it, somebody is surprised, and nobody is hurt.
#[test]
fn with_margins_that_are_too_small_it_stops_or_passes_and_hurts_nobody() {
    let mut stopped = 0;
    for seed in 0..WORLDS {
        let mut dice = Dice(seed);
        let margins = [1 + dice.below(4), 1 + dice.below(30)];
        let mut pair = Pair::new(seed, margins);
        pair.play(1 + dice.below(20));
        stopped += usize::from(pair.seats.iter().any(|seat| seat.halted.is_some()));
        assert!(pair.was_safe(1), "seed {seed}");
    }
    assert!(stopped > 0, "nobody was ever surprised");
}
