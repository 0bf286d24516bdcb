//! Random histories: random plans, TTLs, lags, faults, rolls that nobody planned, restarts. The executor reaches the goal
//! or stops where nobody is hurt; the resolvers see nothing bogus, and the safety checker finds nothing against what was
//! really served.

use super::*;

/// How many histories are played where `COUNTERSIGN_WORLDS` does not say otherwise; `make test` plays ten times as many.
const ORDINARY: u64 = 1_000;

fn drawn(seed: u64) -> Draw {
    let mut random = Random::new(seed ^ 0x5eed_0000_0000_0000);
    let (_, mut scenario) = random.pick(&Scenario::ALL);
    // A change of algorithm takes as long as three others.
    if scenario == Scenario::Algorithm && !random.one_in(3) {
        (_, scenario) = random.pick(&Scenario::ALL);
    }
    let mut faults: Vec<Fault> = Vec::new();
    for _ in 0..random.pick(&[0, 1, 1, 1, 2, 3]) {
        let (_, fault, _) = random.pick(&FAULTS);
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }
    Draw {
        scenario,
        faults,
        seed,
        wild: true,
        resolvers: 6,
        story: false,
    }
}

/// Plays a history; when it goes wrong, once more for its story.
fn play_one(seed: u64) -> Result<bool, String> {
    let outcome = run(&drawn(seed), &|_| false, true);
    if outcome.sound() {
        return Ok(outcome.end == super::super::End::Reached);
    }
    let draw = Draw {
        story: true,
        ..drawn(seed)
    };
    Err(told(&run(&draw, &|_| false, true)))
}

#[test]
fn random_histories_hurt_nobody() {
    let worlds = std::env::var("COUNTERSIGN_WORLDS").ok();
    let worlds: u64 = worlds.map_or(ORDINARY, |count| count.parse().unwrap());
    let first = std::env::var("COUNTERSIGN_WORLD").ok();
    let first: u64 = first.map_or(0, |seed| seed.parse().unwrap());
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let reached: u64 = std::thread::scope(|scope| {
        let parts = (0..threads).map(|part| {
            scope.spawn(move || {
                let seeds = (first..first + worlds).filter(|seed| seed % threads == part);
                let reached = seeds.filter(|seed| {
                    play_one(*seed).unwrap_or_else(|story| {
                        panic!("{story}\nto play it again: COUNTERSIGN_WORLD={seed} COUNTERSIGN_WORLDS=1")
                    })
                });
                reached.count() as u64
            })
        });
        let parts: Vec<_> = parts.collect();
        parts.into_iter().map(|part| part.join().unwrap()).sum()
    });
    println!("{reached} of {worlds} histories reach their goal, the others stop");
    assert!(worlds < 100 || reached * 2 > worlds, "{reached} of {worlds}");
}

/// Whether a join or a leave ended well, and the parent took its NS RRset from CSYNC so often.
fn by_csync(scenario: Scenario, faults: &[Fault], seed: u64) -> (bool, usize) {
    let draw = Draw {
        scenario,
        faults: faults.to_vec(),
        story: true,
        ..drawn(seed)
    };
    let outcome = run(&draw, &|_| false, true);
    assert!(outcome.sound(), "{}", told(&outcome));
    let lines = outcome.story.iter();
    let taken = lines.filter(|line| line.what == "the parent takes its NS RRset from CSYNC");
    (outcome.end == super::super::End::Reached, taken.count())
}

/// The parent takes its NS RRset by itself, and takes it back when the plan is given up.
#[test]
fn a_parent_that_reads_csync_follows_there_and_back() {
    for scenario in [Scenario::Join, Scenario::Leave] {
        let there: Vec<(bool, usize)> = (0..20).map(|seed| by_csync(scenario, &[], seed)).collect();
        assert!(there.iter().all(|(reached, _)| *reached));
        let followed = there.iter().filter(|(_, taken)| *taken == 1).count();
        assert!(followed >= 4, "{scenario:?}: {there:?}");
    }
    let back = (0..150).map(|seed| by_csync(Scenario::Leave, &[Fault::GivenUp], seed));
    let back = back.filter(|(reached, taken)| *reached && *taken == 2).count();
    println!("{back} go back");
    assert!(back >= 3, "{back} go back");
}

/// Given up while the parent still had a change on its way, a plan took the sight of what was there before for its way back.
#[test]
fn what_is_still_on_its_way_is_not_taken_for_taken_back() {
    let draw = Draw {
        scenario: Scenario::Leave,
        faults: vec![Fault::ParentLags, Fault::GivenUp, Fault::ClockBack],
        ..drawn(28_681)
    };
    let outcome = run(&draw, &|_| false, true);
    assert!(outcome.sound(), "{}", told(&outcome));
}

/// One server of the parent had not even what the plan had asked for when it was given up, and what was before was taken for
/// its return there.
#[test]
fn a_slow_server_of_the_parent_is_waited_for_there_and_back() {
    let draw = Draw {
        scenario: Scenario::Algorithm,
        faults: vec![Fault::GivenUp, Fault::ParentLags, Fault::ApiSaysYes],
        ..drawn(95_797)
    };
    let outcome = run(&draw, &|_| false, true);
    assert!(outcome.sound(), "{}", told(&outcome));
}

/// A parent that has read CDS, and follows when the plan that wanted it is given up. What it brings is taken back, and
/// nothing that it needs goes before.
#[test]
fn what_the_parent_has_read_may_come_when_a_plan_is_given_up() {
    let mut taken_back = 0;
    for scenario in [
        Scenario::RollKsk,
        Scenario::RollCsk,
        Scenario::Join,
        Scenario::Algorithm,
        Scenario::FollowKsk,
    ] {
        // Those in which a person gives up when the parent has read.
        for seed in (0..60).step_by(3) {
            let draw = Draw {
                scenario,
                faults: vec![Fault::GivenUp],
                story: true,
                ..drawn(seed)
            };
            let outcome = run(&draw, &|_| false, true);
            assert!(outcome.sound(), "{}", told(&outcome));
            let surprise = "a surprise: the DS RRset at the parent";
            let is_surprised = outcome.story.iter().any(|line| line.what.starts_with(surprise));
            assert!(
                !is_surprised,
                "what was asked for is expected: {}",
                told(&outcome)
            );
            let mut story = outcome.story.iter();
            let read = story.any(|line| line.what.contains("the parent has read what the child wants"));
            let given_up = story.any(|line| line.what.contains("gives the plan up"));
            taken_back += u64::from(read && given_up && outcome.end == super::super::End::Reached);
        }
    }
    println!("{taken_back} are taken back");
    assert!(taken_back > 20, "only {taken_back} are taken back");
}
