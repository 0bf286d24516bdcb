//! Who is asked for a plan, whatever the configuration has become.

use super::*;
use crate::{
    answer::{Engine, EngineSettings},
    clock::{SimulatedClock, UnixTime, guard::GuardedClock},
    config,
    multisigner::{
        plan::{Hand, Kind, Member, Plan, Situation},
        safety::KeyId,
    },
    store::{Absent, Store},
};

/// A server with a zone of these providers, which answer at these ports.
fn configured(folder: &std::path::Path, providers: &[(&str, u16)]) -> Config {
    let names: Vec<String> = providers.iter().map(|(name, _)| format!("{name:?}")).collect();
    let mut text = "listen = [\"127.0.0.1:0\"]\nstate = \"state\"\n".to_owned();
    for (name, port) in providers {
        text.push_str(&format!(
            "[[provider]]\nname = \"{name}\"\nkind = \"dns\"\nservers = [\"127.0.0.1:{port}\"]\n"
        ));
    }
    text.push_str(&format!(
        "[[zone]]\norigin = \"example.\"\nfile = \"zone\"\nauto_keys = true\nparent = [\"127.0.0.1:9\"]\n\
         providers = [{}]\n",
        names.join(", ")
    ));
    std::fs::write(folder.join("zone"), "").unwrap();
    let path = folder.join("countersign.toml");
    std::fs::write(&path, text).unwrap();
    config::load(&path).unwrap()
}

fn started(folder: &std::path::Path, config: Config) -> Arc<Server> {
    let clock = Arc::new(GuardedClock::new(
        Arc::new(SimulatedClock::new(UnixTime(1_800_000_000))),
        None,
    ));
    let store = Arc::new(Store::open(&folder.join("state"), Absent::Create).unwrap());
    let engine = Engine::new(EngineSettings::default(), clock.clone());
    Server::new(config, engine, clock, store, Vec::new())
}

fn run(providers: &[&str]) -> Run {
    let others = providers.iter().map(|name| Member::new(name, Hand::Person, 0));
    let (old, new) = (KeyId::at(0).unwrap(), KeyId::at(1).unwrap());
    let us = Member::new("this server", Hand::Ours, 0);
    let members = [us].into_iter().chain(others).collect();
    let situation = Situation::bare("example.".parse().unwrap(), UnixTime(1_800_000_000), members);
    let plan = Plan {
        kind: Kind::RollZsk { old, new },
        situation,
        steps: Vec::new(),
    };
    Run::adopt(plan, None, UnixTime(1_800_000_000)).unwrap()
}

/// The ports that the providers of a run are asked at.
async fn ports(server: &Arc<Server>, run: &Run) -> Vec<u16> {
    let zone = server.config.load().zones[0].clone();
    let (members, _) = everybody(
        server,
        &zone,
        &providers_of(run, &zone).unwrap(),
        &BTreeSet::new(),
    )
    .await
    .unwrap();
    let others = members.iter().skip(1).flat_map(|member| member.servers.iter());
    others.map(|at| at.as_ref().unwrap().address.port()).collect()
}

/// What was seen of one provider must never count as seen of another, whatever was found for whom before.
#[tokio::test]
async fn who_is_who_follows_the_names_in_the_plan() {
    let folder = tempfile::tempdir().unwrap();
    let server = started(folder.path(), configured(folder.path(), &[("b", 2), ("c", 3)]));
    let run = run(&["b", "c"]);
    assert_eq!(ports(&server, &run).await, [2, 3]);
    for named in [
        [("c", 3), ("b", 2)].as_slice(),
        &[("dnsx", 1), ("b", 2), ("c", 3)],
        &[("b", 2), ("c", 3)],
    ] {
        server.config.store(Arc::new(configured(folder.path(), named)));
        assert_eq!(ports(&server, &run).await, [2, 3], "{named:?}");
    }
    // What was found does not outlive what it was found by.
    server
        .config
        .store(Arc::new(configured(folder.path(), &[("b", 4), ("c", 3)])));
    assert_eq!(ports(&server, &run).await, [4, 3]);
}

#[test]
fn a_run_wants_just_the_providers_that_it_knows() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(&["b", "c"]);
    let zone = |providers: &[(&str, u16)]| configured(folder.path(), providers).zones[0].clone();
    assert_eq!(newcomer(&run, &zone(&[("c", 3), ("b", 2)])), None);
    let new = newcomer(&run, &zone(&[("dnsx", 1), ("b", 2), ("c", 3)])).unwrap();
    assert!(
        new.contains("\"dnsx\" was added") && new.contains("countersign abort example."),
        "{new}"
    );
    let gone = providers_of(&run, &zone(&[("c", 3)])).unwrap_err();
    assert!(
        gone.contains("\"b\" of this plan is not configured any more") && gone.contains("`providers` again"),
        "{gone}"
    );
}
