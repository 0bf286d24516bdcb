//! Our server alone below a parent, with all that waits for others on the thread of the test.

use futures_util::poll;

use super::*;
use crate::multisigner::safety;

/// What runs, and the folder that it runs in.
struct Alone {
    instance: Instance,
    person: Person,
    _folder: tempfile::TempDir,
}

impl Alone {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let zone: Name = ORIGIN.parse().unwrap();
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let parent = Parent::start(Name::root(), &[any]).await.unwrap();
        let listeners = Listeners::bind(&[any], Default::default()).unwrap();
        let servers = BTreeSet::from(["ours".to_owned()]);
        fs::write(folder.path().join("zone"), person::zone_text(1, &servers)).unwrap();
        let text = format!(
            "listen = [\"{}\"]\nstate = \"state\"\nkeys = \"keys\"\n[[zone]]\norigin = \"{ORIGIN}\"\nfile = \"zone\"\n\
             auto_keys = true\nparent = [\"{}\"]\nparent_propagation = \"1s\"\nour_servers = [\"ours.{ORIGIN}\"]\n\
             safety_margin = \"1s\"\ndnskey_ttl = \"{TTL}s\"\n",
            listeners.addresses()[0],
            parent.addresses()[0],
        );
        let path = folder.path().join("countersign.toml");
        fs::write(&path, text).unwrap();
        let instance = Instance::start(config::load(&path).unwrap(), listeners)
            .await
            .unwrap();
        let server = Arc::clone(instance.server());
        let mut person = Person::new(folder.path(), &zone, servers, parent, server);
        person.delegate_to(&[], true).unwrap();
        Self {
            instance,
            person,
            _folder: folder,
        }
    }

    /// Begins to roll the ZSK, as soon as that hurts nobody.
    async fn roll(&self) {
        let began = Instant::now();
        loop {
            let wanted = PlanWanted {
                kind: Scenario::RollZsk.name().to_owned(),
                ..PlanWanted::default()
            };
            let order = PlanOrder::Apply { wanted, force: None };
            match plans::order(self.instance.server(), &self.person.zone, order).await {
                Ok(_) => return,
                Err(refusal) => assert!(began.elapsed() < SHOWING, "{refusal:?}"),
            }
            sleep(PAUSE).await;
        }
    }

    fn plan(&self) -> PlanStatus {
        let status = self.instance.server().status(Some(&self.person.zone)).unwrap();
        status.zones.into_iter().next().unwrap().plan.unwrap()
    }

    async fn until(&self, is_so: impl Fn(&PlanStatus) -> bool) {
        let began = Instant::now();
        while !is_so(&self.plan()) {
            assert!(began.elapsed() < SHOWING, "{:?}", self.plan());
            sleep(PAUSE).await;
        }
    }
}

/// A heavy plan takes seconds to judge, and `status` is answered by the threads that wait for others.
#[tokio::test]
async fn nothing_is_judged_where_others_are_waited_for() {
    let alone = Alone::start().await;
    alone.roll().await;
    // The step that switches is judged by the measured history.
    alone
        .until(|plan| plan.steps.iter().filter(|step| step.begun.is_some()).count() > 2)
        .await;
    let order = PlanOrder::Abort {
        why: "enough".to_owned(),
        forget_journal: false,
        as_it_is: false,
    };
    let said = plans::order(alone.instance.server(), &alone.person.zone, order).await;
    assert!(said.is_ok(), "{said:?}");
    assert_eq!(safety::judged_here(), 0);
    alone.instance.stop().await;
}

/// Else the journal would hold what the process does not know of.
#[tokio::test]
async fn what_a_person_says_is_taken_though_they_do_not_wait_for_it() {
    let alone = Alone::start().await;
    alone.roll().await;
    let began = Instant::now();
    while alone.plan().state != "paused" {
        assert!(began.elapsed() < SHOWING, "{:?}", alone.plan());
        let why = "to think".to_owned();
        let mut said = Box::pin(plans::order(
            alone.instance.server(),
            &alone.person.zone,
            PlanOrder::Pause { why },
        ));
        // Whoever says it leaves at once: as far as it got in between is where a connection may break.
        let _ = poll!(&mut said);
        drop(said);
        sleep(PAUSE).await;
    }
    alone.instance.stop().await;
}
