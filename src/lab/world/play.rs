//! A run of the world from its beginning until nothing more can come of it.

use super::{
    chain::Time,
    driver::{Driver, Habits, Standing},
    engine::{Amiss, Deed, Event, World},
    failure,
    faults::{self, Fault},
    harm::Sacrifice,
    scenario::{self, Begun, Draw, Scenario},
    story::Line,
    view,
};
use crate::multisigner::{
    execute,
    plan::{self, Emergency, Kind as PlanKind, Plan},
    safety::{self, Timeline, Verdict},
};

/// How soon after a change our server looks, at the latest, in seconds.
const POLL: Time = 600;
/// No run lasts longer.
const HORIZON: Time = 400 * 86_400;

/// What is done to a plan before it is adopted, to see that the world tells good plans from bad ones; whether anything was.
pub(super) type Spoil<'a> = &'a dyn Fn(&mut Plan) -> bool;

/// What is to be played.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What for.
    pub scenario: Scenario,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// The same seed gives the same story.
    pub seed: u64,
}

/// How a run of the world ended.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(tag = "end", rename_all = "kebab-case")]
pub enum End {
    /// The plan is through, and everything is as it should be.
    Reached,
    /// It stands where nobody is hurt.
    Stopped {
        /// Why.
        why: String,
    },
    /// There was no plan to begin with.
    NoPlan {
        /// Why.
        why: String,
    },
}

/// What came of it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Outcome {
    /// The scenario's name.
    pub scenario: &'static str,
    /// The names of what went wrong.
    pub faults: Vec<&'static str>,
    /// To play it again.
    pub seed: u64,
    /// How the plan ended.
    #[serde(flatten)]
    pub end: End,
    /// How many of the plan's steps were seen to be done.
    pub steps_done: usize,
    /// How many it has.
    pub steps: usize,
    /// How long it all took, in seconds.
    pub seconds: u64,
    /// How often our server was killed.
    pub restarts: u64,
    /// Questions of resolvers.
    pub asked: u64,
    /// Answers that they could validate.
    pub validated: u64,
    /// Answers that were bogus to them.
    pub bogus: u64,
    /// Bogus answers that nobody here could prevent: another provider lost a key, or an emergency puts security first.
    pub excused: u64,
    /// Questions without an answer.
    pub unanswered: u64,
    /// The first of those, as a story.
    pub failure: Option<String>,
    /// What the safety checker says against what was served, if anything.
    pub checker: Option<String>,
    /// Where the end is not what the plan promised.
    pub amiss: Option<String>,
    /// Everything that happened.
    pub story: Vec<Line>,
}

impl Outcome {
    /// Whether nobody saw anything bogus, and the end is one that may be.
    pub fn sound(&self) -> bool {
        self.failure.is_none() && self.checker.is_none() && self.amiss.is_none()
    }
}

/// Plays a scenario as `countersign lab` does.
pub fn play(settings: &Settings) -> Outcome {
    let draw = Draw {
        scenario: settings.scenario,
        faults: settings.faults.clone(),
        seed: settings.seed,
        wild: false,
        resolvers: 40,
        story: true,
    };
    run(&draw, &|_| false, true)
}

/// Plays what was drawn; `judged`: by the safety checker too, at the end.
pub(super) fn run(draw: &Draw, spoil: Spoil<'_>, judged: bool) -> Outcome {
    run_from(scenario::begin(draw), draw, spoil, judged)
}

/// The same from a beginning that is made otherwise than it was drawn.
pub(super) fn run_from(begun: Begun, draw: &Draw, spoil: Spoil<'_>, judged: bool) -> Outcome {
    let Begun { world, plan, person } = begun;
    let habits = Habits {
        killed_often: draw.faults.contains(&Fault::Restart),
        resumes: !draw.seed.is_multiple_of(4),
        person,
        registrar_never: draw.faults.contains(&Fault::ParentNeverActs),
    };
    let mut play = Play {
        driver: Driver::new(&world, habits),
        world,
        wanted: plan,
        no_plan: None,
        spoil,
        end: HORIZON,
    };
    play.begin();
    play.go_on();
    play.outcome(draw, judged)
}

struct Play<'a> {
    world: World,
    driver: Driver,
    /// What is to be planned, until it is.
    wanted: Option<PlanKind>,
    no_plan: Option<String>,
    spoil: Spoil<'a>,
    end: Time,
}

impl Play<'_> {
    fn begin(&mut self) {
        let world = &mut self.world;
        for resolver in 0..world.resolvers.len() {
            let at = world.random.below(world.pace);
            world.queue.at(at, Event::Ask { resolver });
        }
        let at = world.random.below(7_200);
        world.later(at, Deed::Plan);
    }

    fn go_on(&mut self) {
        while let Some((time, event)) = self.world.queue.next() {
            if time > self.end || self.world.failure.is_some() {
                break;
            }
            self.world.now = time;
            match event {
                Event::Ask { resolver } => {
                    self.world.ask_on(resolver);
                    continue;
                }
                Event::Take { server, parts } => {
                    self.world.pending -= 1;
                    self.world.take(server, &parts);
                }
                Event::Look if self.driver.next_look == Some(time) => self.driver.look(&mut self.world),
                Event::Look => continue,
                Event::Scan => {
                    self.world.pending -= 1;
                    self.world.scan();
                }
                Event::Done(deed) => {
                    self.world.pending -= 1;
                    self.done(&deed);
                }
            }
            self.after();
        }
    }

    fn done(&mut self, deed: &Deed) {
        let world = &mut self.world;
        match deed {
            Deed::Plan => self.adopt(),
            Deed::Reported { step } => self.driver.reported(world, *step),
            Deed::Resume => self.driver.resume(world),
            Deed::GiveUp => self.driver.give_up(world),
            Deed::Asked { plan, step, deed } if *plan == self.driver.adopted => {
                if !matches!(**deed, Deed::Reported { .. }) {
                    self.driver.handed_in.push((*plan, *step));
                }
                self.done(deed);
            }
            Deed::Asked { .. } => world.story.tell(world.now, || {
                "what a plan asked for that was given up is not done any more".to_owned()
            }),
            Deed::Amiss(Amiss::Kill) => {
                self.driver.restart(world);
                self.driver.look(world);
            }
            // People paste what is shown to them.
            Deed::Amiss(Amiss::Restore { provider, keys }) => {
                let keys = keys & self.driver.to_have(world, *provider);
                let provider = *provider;
                world.go_amiss(Amiss::Restore { provider, keys });
            }
            Deed::Amiss(amiss) => world.go_amiss(*amiss),
            _ => {
                world.story.tell(world.now, || failure::deed(deed));
                world.do_deed(deed);
            }
        }
    }

    /// What follows from anything that happened.
    fn after(&mut self) {
        let world = &mut self.world;
        if self.driver.standing == Standing::Over(execute::Outcome::Reached) {
            let until = world.now + world.longest_lag();
            if let Some(sacrifice) = &mut world.sacrifice {
                sacrifice.until.get_or_insert(until);
            }
        }
        // With the last event everything may stand still: our server finds that out.
        if world.changed || (world.pending == 0 && self.driver.waits_for_others()) {
            let delay = 1 + world.random.below(POLL);
            self.driver.look_within(world, delay);
        }
        let quiet = world.pending == 0 && self.driver.is_at_rest(world);
        if quiet && self.end == HORIZON {
            // Caches go on for a while with what they have.
            self.end = world.now + world.longest_held() + 1;
        } else if !quiet {
            self.end = HORIZON;
        }
    }

    fn adopt(&mut self) {
        let Some(kind) = self.wanted.take() else { return };
        let world = &mut self.world;
        let situation = view::situation(world, world.margin);
        // Without a person's force nothing is begun while resolvers are hurt already, or would be.
        let security = matches!(
            kind,
            PlanKind::Emergency {
                policy: Emergency::Security,
                ..
            }
        );
        let plan = plan::build(&kind, &situation).map_err(|error| error.to_string());
        let plan = plan.and_then(
            |plan| match super::driver::is_unsafe(&plan).filter(|_| !security) {
                None => Ok(plan),
                Some(why) => Err(why),
            },
        );
        match plan {
            Ok(mut plan) => {
                let mut force = (self.spoil)(&mut plan).then(|| "to see what comes of it".to_owned());
                if let PlanKind::Emergency {
                    old,
                    new,
                    policy: Emergency::Security,
                } = plan.kind
                {
                    force = Some("rather bogus for a while than forged".to_owned());
                    world.sacrifice = Some(Sacrifice {
                        keys: 1 << old.place() | 1 << new.place(),
                        from: world.now,
                        until: None,
                    });
                }
                self.driver.adopt(world, plan, force);
                self.driver.look(world);
            }
            Err(why) => {
                world.story.tell(world.now, || format!("there is no plan: {why}"));
                self.no_plan = Some(why);
            }
        }
    }

    fn outcome(self, draw: &Draw, judged: bool) -> Outcome {
        let world = &self.world;
        let end = match (&self.no_plan, &self.driver.standing) {
            (Some(why), _) => End::NoPlan { why: why.clone() },
            (None, Standing::Over(execute::Outcome::Reached)) => End::Reached,
            (None, Standing::Over(execute::Outcome::Aborted)) => End::Stopped {
                why: match &self.driver.no_way_back {
                    Some(why) => format!("it was given up, and nothing is taken back: {why}"),
                    None => "it was given up".to_owned(),
                },
            },
            (None, Standing::Stopped(why)) => End::Stopped { why: why.clone() },
            (None, Standing::Running) => End::Stopped {
                why: "nothing comes to an end".to_owned(),
            },
            (None, Standing::Idle) => End::NoPlan {
                why: "there was nothing to do".to_owned(),
            },
        };
        let amiss = match &end {
            End::Reached => {
                let mut finished = self.driver.finished.iter();
                finished.find_map(|plan| super::goal::missed(world, plan))
            }
            End::Stopped { .. } if self.driver.standing == Standing::Running && world.failure.is_none() => {
                Some("the run never came to rest".to_owned())
            }
            _ => None,
        };
        let checker = (judged && world.failure.is_none())
            .then(|| check(world))
            .flatten();
        let (steps_done, steps) = self.driver.progress();
        let before = self
            .driver
            .finished
            .iter()
            .rev()
            .skip(usize::from(end == End::Reached));
        let before: usize = before.map(|plan| plan.steps.len()).sum();
        Outcome {
            scenario: draw.scenario.name(),
            faults: draw.faults.iter().map(|fault| faults::name(*fault)).collect(),
            seed: draw.seed,
            end,
            steps_done: before + steps_done,
            steps: before + steps,
            seconds: world.now,
            restarts: self.driver.restarts,
            asked: world.counts.asked,
            validated: world.counts.validated,
            bogus: world.counts.bogus,
            excused: world.counts.excused,
            unanswered: world.counts.unanswered,
            failure: world
                .failure
                .as_ref()
                .map(|(at, failure)| failure::tell(world, *at, failure)),
            checker,
            amiss,
            story: self.world.story.lines,
        }
    }
}

/// The safety checker over what was really served. Where security was put first it judges what was before, and what
/// is when caches have lost all that was.
fn check(world: &World) -> Option<String> {
    use safety::{DigestRule, Invariant, Mode, Terms, Validator};
    let timeline = view::measured(world);
    let kinds = [Mode::Lenient, Mode::StrictDs, Mode::StrictDnskey];
    let terms = Terms {
        margin: world.margin,
        validators: kinds.map(|mode| Validator::new(mode, DigestRule::Any)).to_vec(),
        invariants: [
            Invariant::Secure,
            Invariant::Resolver,
            Invariant::Caches,
            Invariant::Csync,
        ]
        .into(),
    };
    let told = |timeline: &Timeline| match safety::check(timeline, &terms) {
        Verdict::Safe => None,
        Verdict::Unsafe(story) => Some(story),
    };
    let story = told(&timeline)?;
    let Some(made) = world.sacrifice.filter(|made| story.at >= view::unix(made.from)) else {
        return Some(story.to_string());
    };
    let forgotten = made.until? + world.longest_held() + 1;
    told(&timeline.judged_from(view::unix(forgotten))).map(|story| story.to_string())
}
