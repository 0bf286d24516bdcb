//! The exchange of keys as plans need it: what a provider is to have of ours stays there, whatever was lost, forgotten or
//! restarted, and what it is not to have any more is given to it by nobody.

use std::{net::SocketAddr, time::Duration};

use countersign::dnssec::key::Dnskey;

use crate::harness::{
    ns1::API_KEY,
    planned::{ORIGIN, ROLLING, SERVERS, SHOWING, Setting, World, dnskeys},
    process::{free_address, wait_for},
};

impl World {
    /// This server leaves; what a person does for that is said. The keys of NS1.
    #[track_caller]
    fn leave(&self) -> Vec<Dnskey> {
        let ours = self.tags_of("own");
        let theirs: Vec<_> = dnskeys(self.ns1.dns[0])
            .into_iter()
            .filter(|key| !ours.contains(&key.key_tag()))
            .collect();
        self.apply(&["leave", ORIGIN, "--provider", "us"]);
        assert_eq!(
            self.asks("/zone, or in `name_servers`"),
            ["example. 3 IN NS theirs.example."]
        );
        self.name_servers(2, &["theirs"]);
        let pasted = self.asks("at the registrar");
        assert!(
            pasted.iter().all(|line| line.contains("IN NS theirs.example.")),
            "{pasted:?}"
        );
        self.delegate(&["theirs"], self.keys().iter());
        assert_eq!(self.asks("countersign done example."), [""; 0]);
        self.does(&["done", ORIGIN]);
        let pasted = self.asks("at the registrar");
        assert!(pasted.iter().all(|line| line.contains(" IN DS ")), "{pasted:?}");
        self.delegate(&["theirs"], theirs.iter());
        self.reaches("reached");
        theirs
    }

    /// Whether servers of NS1 show keys of ours: `Some(true)` where each of them shows all, `Some(false)` where none shows any.
    fn shown_by_ns1(&self) -> Option<bool> {
        let ours = self.tags_of("own");
        let shown = |server: &SocketAddr| {
            let keys = dnskeys(*server);
            ours.iter()
                .filter(|tag| keys.iter().any(|key| key.key_tag() == **tag))
                .count()
        };
        let shown: Vec<usize> = self.ns1.dns.iter().map(shown).collect();
        let is = |count: usize| shown.iter().all(|shown| *shown == count);
        is(ours.len()).then_some(true).or(is(0).then_some(false))
    }

    #[track_caller]
    fn ns1_comes_to_show_ours(&self, wanted: bool) {
        let shown = wait_for(ROLLING, || (self.shown_by_ns1() == Some(wanted)).then_some(()));
        assert!(shown.is_some(), "{:?}\n{}", self.shown_by_ns1(), self.ours.log());
    }

    fn restart(&mut self) {
        self.ours.signal("TERM");
        self.ours.wait(SHOWING);
        self.start_again();
    }
}

/// That NS1 has none of our keys stays so when this server has left.
#[test]
fn who_leaves_is_told_what_to_do_and_stays_out() {
    let mut world = World::new("1s", "3");
    let theirs = world.leave();
    // Several polls later, and after a restart.
    let given = |world: &World| (world.shown_by_ns1() != Some(false)).then_some(());
    assert!(wait_for(Duration::from_secs(4), || given(&world)).is_none());
    world.restart();
    assert!(wait_for(Duration::from_secs(4), || given(&world)).is_none());
    // Whoever is sent here all the same must find what we sign to be good.
    world.delegate(&SERVERS, theirs.iter());
    world.ns1_comes_to_show_ours(true);
}

/// This server had left, and people are sent to it again without a plan. A restart forgets that this was seen: until it is
/// seen again nothing is taken away, for all that we sign would be bogus to them.
#[test]
fn who_is_sent_people_again_keeps_its_keys_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let setting = Setting {
        // Nobody looks but the exchange itself.
        of_zone: "[monitor]\nevery = \"0s\"\n",
        ..Setting::default()
    };
    let mut world = World::within(folder.path(), setting);
    let theirs = world.leave();
    world.ns1_comes_to_show_ours(false);
    world.delegate(&SERVERS, theirs.iter());
    world.ns1_comes_to_show_ours(true);
    let visited = |world: &World| {
        for _ in 0..3 {
            let (_, said) = world.says(&["peer", "push", ORIGIN, "--wait", "0s"]);
            assert_eq!(world.shown_by_ns1(), Some(true), "{said}\n{}", world.ours.log());
        }
    };
    world.restart();
    visited(&world);

    // The parent is silent.
    let parent = format!("parent = [\"{}\"]", world.parent.addresses()[0]);
    let nobody = format!("parent = [\"{}\"]", free_address());
    world.reconfigured(&parent, &nobody);
    world.restart();
    visited(&world);
    let told = world.ours.stderr().wait_for("is left as it is", SHOWING);
    assert!(told.is_some(), "{}", world.ours.log());

    // It leads elsewhere.
    world.delegate(&["theirs"], theirs.iter());
    world.reconfigured(&nobody, &parent);
    world.ns1_comes_to_show_ours(false);
}

/// While keys are exchanged by command alone, a plan gives what it gives until it is there, and gives it again when it is
/// lost.
#[test]
fn what_a_plan_gives_is_given_until_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let setting = Setting {
        margin: "4s",
        of_zone: "exchange_keys = false\n",
        ..Setting::default()
    };
    let world = World::within(folder.path(), setting);
    let withdraw = ["peer", "withdraw", ORIGIN, "--force", "why"];
    world.refuses(&withdraw, "resolvers are sent to servers of ours");
    // Its API cannot be read.
    world.ns1.write_api_key("another-key");
    world.apply(&["roll-zsk", ORIGIN]);
    world.tells("our keys are not given to ns1 yet");
    world.tells("401");
    world.ns1.write_api_key(API_KEY);
    world.waits();
    world.ns1_comes_to_show_ours(true);
    let served = [&withdraw[..], &["--served"]].concat();
    world.refuses(&served, "so they would be given again at once");

    world.ns1_loses_our_keys();
    world.ns1_comes_to_show_ours(true);
    world.reaches("reached");

    // By a person's word all the same, and nobody gives them again.
    world.refuses(&withdraw, "say --served too");
    world.does(&served);
    world.ns1_comes_to_show_ours(false);
}

/// What was lost while no server ran here is told to the plan before it is mended.
#[test]
fn keys_that_are_lost_while_no_server_runs_are_noticed_before_they_are_given_again() {
    let mut world = World::new("4s", "3");
    world.apply(&["roll-zsk", ORIGIN]);
    world.waits();
    world.ns1_comes_to_show_ours(true);
    world.ours.signal("TERM");
    world.ours.wait(SHOWING);
    world.ns1.knob("lost-keys", "0s");
    world.start_again();
    let place = |line: &str| {
        let told = world.ours.stderr().wait_for(line, ROLLING);
        let log = world.ours.log();
        assert!(told.is_some(), "{log}");
        log.find(line)
    };
    let noticed = place("not planned: ");
    let given = place("the key set countersign was ");
    assert!(noticed < given, "{noticed:?} {given:?}\n{}", world.ours.log());
    world.ns1_comes_to_show_ours(true);
    world.reaches("reached");
}
