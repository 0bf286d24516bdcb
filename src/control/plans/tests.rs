//! Plans of several zones whose clock was set: nobody looks at servers here, it is what is told and kept that matters.

use std::time::Duration;

use futures_util::poll;

use super::{
    super::{
        protocol::{PlanOrder, Refusal},
        tests::{DAY, Fixture, NOW, runtime},
    },
    accept_clock,
    clock::settle,
    order, read_new, time,
};
use crate::{
    clock::UnixTime,
    disk::simulated::SimulatedDisk,
    multisigner::execute::{
        Entry, Event, Run,
        journal::{RunJournal as _, last_run},
        tests::roll,
    },
    store::{Store, full_disk::append_until_full},
    wire::Name,
};

const ORIGINS: [&str; 2] = ["example.", "other.example."];
/// A zone that is not in the configuration any more.
const FORMER: &str = "former.example.";
const HOUR: Duration = Duration::from_secs(3_600);

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A store of a process that kept the time until now, in which each zone has a plan that goes on.
fn fill(store: &Store) {
    store.keep_good_time(NOW).unwrap();
    for zone in ORIGINS.into_iter().chain([FORMER]) {
        let mut plan = roll();
        plan.situation.at = NOW.minus(HOUR);
        let entry = Entry {
            at: NOW.minus(HOUR),
            event: Event::Adopted {
                plan: Box::new(plan),
                force: None,
            },
        };
        store.append_run(&name(zone), &[entry]).unwrap();
    }
}

fn begin(disk: &SimulatedDisk, wall: UnixTime) -> Fixture {
    let store = Store::simulated(&disk.process()).unwrap();
    fill(&store);
    let fixture = Fixture::at(wall, &ORIGINS, tempfile::tempdir().unwrap(), store);
    let started = fixture.server.start();
    assert!(started.is_whole(), "{started:?}");
    fixture
}

impl Fixture {
    fn stored(&self, zone: &str) -> Run {
        last_run(&*self.store, name(zone).as_ref()).unwrap().unwrap()
    }

    /// In the store and in memory each plan began at this time.
    fn plans_began(&self, at: UnixTime) {
        for zone in ORIGINS.into_iter().chain([FORMER]) {
            assert_eq!(self.stored(zone).plan.situation.at, at, "{zone}");
        }
        for zone in ORIGINS {
            let known = self.server.plans.active(&name(zone)).unwrap();
            assert_eq!(known.plan.situation.at, at, "{zone}");
        }
    }
}

/// The clock was three days behind, was set right, and the server was restarted instead of told.
#[test]
fn a_restart_passes_no_wait() {
    let fixture = begin(&SimulatedDisk::new(1), NOW.plus(3 * DAY));
    let server = &fixture.server;
    // Nothing is kept before it is told: a process that dies now leaves it to the next.
    server.tick();
    server.finish();
    assert_eq!(fixture.store.last_good_time().unwrap(), Some(NOW.into()));
    assert_eq!(time(server), (NOW, false), "what runs go by");
    assert!(server.status(None).unwrap().clock_fault.is_none());
    runtime().block_on(async {
        settle(server).await.unwrap();
        read_new(server).await;
    });
    assert_eq!(time(server), (NOW.plus(3 * DAY), true));
    fixture.plans_began(NOW.plus(3 * DAY).minus(HOUR));
    server.tick();
    let kept = fixture.store.last_good_time().unwrap().unwrap();
    assert_eq!(kept.at, NOW.plus(3 * DAY));
    let status = server.plans.status(&name(ORIGINS[0])).unwrap().to_string();
    assert!(
        status.contains("nobody knows what of that time has passed, so the plan counts none of it"),
        "{status}"
    );
}

#[test]
fn no_plan_goes_on_before_unwatched_time_can_be_written_down() {
    let disk = SimulatedDisk::new(1);
    let fixture = begin(&disk, NOW.plus(3 * DAY));
    let server = &fixture.server;
    disk.fill(true);
    append_until_full(&fixture.store);
    let runtime = runtime();
    let said = runtime.block_on(async {
        read_new(server).await;
        let why = "x".to_owned();
        order(server, &name(ORIGINS[0]), PlanOrder::Pause { why }).await
    });
    let refused = said.unwrap_err();
    assert!(
        refused.error.contains("what time it is cannot be written down"),
        "{refused:?}"
    );
    let warned = server.plans.warnings(&name(ORIGINS[1]));
    assert_eq!(
        warned.iter().map(|warned| &warned.what).collect::<Vec<_>>(),
        [&refused.error]
    );
    server.tick();
    assert_eq!(fixture.store.last_good_time().unwrap(), Some(NOW.into()));
    fixture.plans_began(NOW.minus(HOUR));

    disk.fill(false);
    let why = "x".to_owned();
    let said = runtime.block_on(order(server, &name(ORIGINS[0]), PlanOrder::Pause { why }));
    said.unwrap();
    fixture.plans_began(NOW.plus(3 * DAY).minus(HOUR));
    assert_eq!(server.plans.warnings(&name(ORIGINS[1])), []);
}

/// Plans that were not read yet, or whose zone is not served any more, are told too.
#[test]
fn a_clock_that_is_accepted_is_told_to_every_plan_or_none() {
    let by = 3 * DAY;
    for read_before in [false, true] {
        let fixture = begin(&SimulatedDisk::new(2), NOW);
        let server = &fixture.server;
        let runtime = runtime();
        if read_before {
            runtime.block_on(read_new(server));
        }
        fixture.clock.jump(NOW.plus(by));
        assert_eq!(time(server), (NOW, false));
        let accepted = runtime.block_on(accept_clock(server)).unwrap();
        assert_eq!(accepted.told.len(), 3, "{accepted:?}");
        runtime.block_on(read_new(server));
        fixture.plans_began(NOW.plus(by).minus(HOUR));
        // Said again it moves nothing.
        let accepted = runtime.block_on(accept_clock(server)).unwrap();
        assert!(accepted.told.is_empty() && accepted.problems.is_empty());
        fixture.plans_began(NOW.plus(by).minus(HOUR));
    }

    let disk = SimulatedDisk::new(1);
    let fixture = begin(&disk, NOW);
    let server = &fixture.server;
    let runtime = runtime();
    runtime.block_on(read_new(server));
    fixture.clock.jump(NOW.plus(by));
    disk.fill(true);
    append_until_full(&fixture.store);
    let refused: Refusal = runtime.block_on(accept_clock(server)).unwrap_err();
    assert!(refused.error.contains("no storage space"), "{refused:?}");
    assert_eq!(
        time(server),
        (NOW, false),
        "the clock is not taken for right either"
    );
    fixture.plans_began(NOW.minus(HOUR));
    disk.fill(false);
    runtime.block_on(accept_clock(server)).unwrap();
    fixture.plans_began(NOW.plus(by).minus(HOUR));
    assert_eq!(time(server), (NOW.plus(by), true));
}

#[test]
fn who_hangs_up_while_a_clock_is_accepted_leaves_nothing_half_done() {
    let disk = SimulatedDisk::new(1);
    let fixture = begin(&disk, NOW);
    let server = &fixture.server;
    fixture.clock.jump(NOW.plus(3 * DAY));
    runtime().block_on(async {
        read_new(server).await;
        let slow = disk.hold();
        let mut accepting = Box::pin(accept_clock(server));
        assert!(poll!(&mut accepting).is_pending());
        drop(accepting);
        drop(slow);
        for zone in ORIGINS {
            drop(server.plans.turn(&name(zone)).lock_owned().await);
        }
        // Here: a runtime that ends waits for what it has begun.
        assert_eq!(time(server), (NOW.plus(3 * DAY), true));
        fixture.plans_began(NOW.plus(3 * DAY).minus(HOUR));
    });
}

#[test]
fn a_clock_that_cannot_be_right_is_not_accepted() {
    let fixture = begin(&SimulatedDisk::new(1), NOW);
    fixture.clock.jump(UnixTime(0));
    let refused = runtime().block_on(accept_clock(&fixture.server)).unwrap_err();
    assert!(
        refused.error.contains("before 2025") && refused.advice.is_some(),
        "{refused:?}"
    );
    assert_eq!(fixture.store.last_good_time().unwrap(), Some(NOW.into()));
}
