//! A ZSK roll, and a change of algorithm, on a disk that loses and tears what was not synced: the process dies at each
//! operation in turn, and the run goes on with the same outcome: the same steps, no earlier, and no key made in vain.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use super::*;
use crate::{
    clock::UnixTime,
    disk::simulated::{Death, SimulatedDisk},
    dnssec::{
        algorithm::{Algorithm, SigningAlgorithm},
        custody::{self, Place, Policy, Request, Wanted},
        key::{Dnskey, SEP, SigningKey, ZONE},
        keyfile::timing::Claim,
        keyset::{KeySet, Role},
        register::{OwnState, Register},
    },
    multisigner::{
        execute::{
            Entry, Event, Next, Outcome, Run, Shown, Sight, View,
            journal::{RunJournal as _, last_run},
        },
        plan::{self, Action, Hand, Kind, Member, Parent, ParentHand, PlanKey, Situation},
        safety::{
            Class, Content, DsRecord, DsSet, KeyId, KeyRrset, KeySet as Keys, NsSet, ProviderId, SignedData,
            Value,
        },
    },
};

const START: u64 = 1_800_000_000;
const P256: SigningAlgorithm = SigningAlgorithm::EcdsaP256Sha256;

fn provider(place: usize) -> ProviderId {
    ProviderId::at(place).unwrap()
}

fn key(place: usize) -> KeyId {
    KeyId::at(place).unwrap()
}

/// What is carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scene {
    /// A ZSK of ours is rolled beside another provider.
    Roll,
    /// We go over to Ed25519, alone.
    Algorithm,
}

/// The zone, its disk, and the other provider, which lives elsewhere.
struct World {
    scene: Scene,
    disk: SimulatedDisk,
    process: Process,
    apex: Name,
    store: Option<Store>,
    keyset: Option<Arc<KeySet>>,
    now: u64,
    /// The other provider's keys, and ours that it has.
    theirs: [Dnskey; 2],
    given: Vec<Dnskey>,
    /// The DS RRset, when a person has changed it.
    ds: Option<DsSet>,
    /// When each step was first done.
    story: BTreeMap<usize, u64>,
}

/// The process died, or the disk failed.
#[derive(Debug)]
struct Failed;

impl World {
    fn new(scene: Scene, seed: u64) -> Self {
        let disk = SimulatedDisk::new(seed);
        let their = |flags| SigningKey::generate(P256, flags).unwrap().dnskey().clone();
        let mut world = Self {
            scene,
            process: disk.process(),
            disk,
            apex: "example.".parse().unwrap(),
            store: None,
            keyset: None,
            now: START,
            theirs: [their(ZONE | SEP), their(ZONE)],
            given: Vec::new(),
            ds: None,
            story: BTreeMap::new(),
        };
        world.start().unwrap();
        world.given = world.register().own.keys().cloned().collect();
        world
    }

    fn folder(&self) -> PathBuf {
        self.disk.root().join("keys")
    }

    fn store(&self) -> Result<&Store, Failed> {
        self.store.as_ref().ok_or(Failed)
    }

    fn start(&mut self) -> Result<(), Failed> {
        self.keyset = None;
        self.store = Some(Store::simulated(&self.process).map_err(|_| Failed)?);
        self.open()
    }

    /// Opens the keys, as every change of them ends.
    fn open(&mut self) -> Result<(), Failed> {
        let (folder, policy) = (self.folder(), Policy::default());
        let request = Request {
            apex: &self.apex,
            folder: &folder,
            external: &[],
            providers: &[],
            observed: &[],
            policy: &policy,
            previous: self.keyset.as_deref(),
        };
        let opened = custody::open_on(&self.process, &[request], self.store()?, UnixTime(self.now));
        let opened = opened.into_iter().next().unwrap().map_err(|_| Failed)?;
        self.keyset = Some(opened.keyset);
        Ok(())
    }

    fn register(&self) -> Register {
        Register::of(&self.store.as_ref().unwrap().events(self.apex.as_ref()).unwrap())
    }

    /// The key set that is served, in the words of a plan.
    fn ours(&self, situation: &Situation) -> [Value; 2] {
        let keyset = self.keyset.as_ref().unwrap();
        let place = |dnskey: &Dnskey| {
            let known = situation
                .keys
                .iter()
                .position(|known| known.dnskey.as_ref() == Some(dnskey));
            key(known.expect("every key that is served is known"))
        };
        let published = keyset.published().iter().map(|key| place(&key.dnskey));
        let of_them: &[KeyId] = match self.scene {
            Scene::Roll => &[key(3), key(4)],
            Scene::Algorithm => &[],
        };
        let keys = KeyRrset {
            keys: published.chain(of_them.iter().copied()).collect(),
            signers: keyset
                .key_signers()
                .iter()
                .map(|signer| place(signer.dnskey()))
                .collect(),
            ttl: 20,
        };
        let signers = keyset.data_signers().iter().map(|signer| place(signer.dnskey()));
        [Value::Keys(provider(0), keys), data(0, signers.collect())]
    }

    fn theirs(&self, situation: &Situation) -> [Value; 2] {
        let given = self.given.iter().filter_map(|dnskey| {
            let known = situation
                .keys
                .iter()
                .position(|known| known.dnskey.as_ref() == Some(dnskey));
            known.map(key)
        });
        let keys = KeyRrset {
            keys: given.chain([key(3), key(4)]).collect(),
            signers: [key(3)].into(),
            ttl: 20,
        };
        [Value::Keys(provider(1), keys), data(1, [key(4)].into())]
    }

    fn situation(&self) -> Situation {
        let register = self.register();
        let own = |sep| {
            let mut own = register.own.keys().filter(|key| key.is_sep() == sep);
            own.next().unwrap().clone()
        };
        let plan_key = |dnskey: Option<Dnskey>, role, owner| PlanKey {
            dnskey,
            algorithm: Algorithm::ECDSAP256SHA256,
            role,
            owner: Some(provider(owner)),
        };
        let to_be_made = |role| PlanKey {
            algorithm: Algorithm::ED25519,
            ..plan_key(None, role, 0)
        };
        let mut keys = vec![
            plan_key(Some(own(true)), Role::Ksk, 0),
            plan_key(Some(own(false)), Role::Zsk, 0),
        ];
        let mut members = vec![Member::new("us", Hand::Ours, 3)];
        let mut anchors = vec![0];
        match self.scene {
            Scene::Roll => {
                keys.extend([
                    plan_key(None, Role::Zsk, 0),
                    plan_key(Some(self.theirs[0].clone()), Role::Ksk, 1),
                    plan_key(Some(self.theirs[1].clone()), Role::Zsk, 1),
                ]);
                members.push(Member::new("them", Hand::Api, 3));
                anchors.push(3);
            }
            Scene::Algorithm => keys.extend([to_be_made(Role::Ksk), to_be_made(Role::Zsk)]),
        }
        let record = |place| DsRecord {
            key: key(place),
            digest_type: 2,
        };
        let ds = DsSet {
            records: anchors.into_iter().map(record).collect(),
            ttl: 30,
            from_cds: false,
        };
        let all = NsSet {
            members: (0..members.len()).map(provider).collect(),
            ttl: 40,
            from_csync: false,
        };
        let mut serves = vec![Value::Ds(ds), Value::ParentNs(all.clone())];
        serves.extend((0..members.len()).map(|place| Value::ChildNs(provider(place), all.clone())));
        let mut situation = Situation {
            zone: self.apex.clone(),
            at: UnixTime(START),
            keys,
            members,
            parent: Parent {
                hand: ParentHand::Person,
                reads_csync: false,
                propagation: 3,
            },
            serves,
            past: Vec::new(),
            first_seen: Vec::new(),
            margin: 5,
        };
        let served = self.signed(&situation);
        situation.serves.extend(served);
        situation
    }

    /// All keys and data that are served.
    fn signed(&self, situation: &Situation) -> Vec<Value> {
        let mut signed = Vec::from(self.ours(situation));
        if self.scene == Scene::Roll {
            signed.extend(self.theirs(situation));
        }
        signed
    }

    fn view(&self, situation: &Situation) -> View {
        let fixed = situation
            .serves
            .iter()
            .filter_map(|value| match (value, &self.ds) {
                (Value::Ds(_), Some(ds)) => Some(Value::Ds(ds.clone())),
                (Value::Keys(..) | Value::Data(..), _) => None,
                _ => Some(value.clone()),
            });
        let slots = fixed.chain(self.signed(situation)).map(|value| {
            let sight = Sight {
                server: "a server".to_owned(),
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

    fn append(&self, event: Event) -> Result<(), Failed> {
        let at = UnixTime(self.now);
        let entry = Entry { at, event };
        self.store()?.append_run(&self.apex, &[entry]).map_err(|_| Failed)
    }

    fn run(&self) -> Result<Run, Failed> {
        let run = last_run(self.store()?, self.apex.as_ref()).map_err(|_| Failed)?;
        Ok(run.expect("a plan was adopted"))
    }

    /// Goes on with the run that the journal has, to its end.
    fn go_on(&mut self) -> Result<Outcome, Failed> {
        let mut run = self.run()?;
        for _ in 0..2_000 {
            let view = self.view(&run.plan.situation);
            match run.next(&view, UnixTime(self.now), true) {
                Next::Over(outcome) => return Ok(outcome),
                Next::Journal(event) => {
                    self.append(event.clone())?;
                    let at = UnixTime(self.now);
                    run.apply(&Entry { at, event }).unwrap();
                }
                Next::Act { step } => {
                    self.act(&mut run, step)?;
                    run.acted();
                }
                Next::Wait { .. } | Next::Watch { .. } => self.now += 1,
                Next::Halted { why } => panic!("{why}"),
            }
        }
        panic!(
            "it comes to no end: {:?}",
            run.next(&self.view(&run.plan.situation), UnixTime(self.now), true)
        );
    }

    fn act(&mut self, run: &mut Run, step: usize) -> Result<(), Failed> {
        let now = self.now;
        self.story.entry(step).or_insert(now);
        let step = run.plan.steps[step].clone();
        let (folder, apex) = (self.folder(), self.apex.clone());
        let place = Place {
            apex: &apex,
            folder: &folder,
            journal: Some(self.store()?),
        };
        let dnskey = |run: &Run, key: &KeyId| run.plan.situation.keys[key.place()].dnskey.clone();
        match &step.action {
            Action::Make { keys } => {
                for key in keys {
                    if dnskey(run, key).is_some() {
                        continue;
                    }
                    let wanted = &run.plan.situation.keys[key.place()];
                    let wanted = Wanted {
                        algorithm: SigningAlgorithm::try_from(wanted.algorithm).unwrap(),
                        role: wanted.role,
                    };
                    let made = custody::make_held_on(&self.process, place, wanted, &[], UnixTime(now));
                    let (key, dnskey) = (*key, made.map_err(|_| Failed)?);
                    let event = Event::Made { key, dnskey };
                    self.append(event.clone())?;
                    let at = UnixTime(now);
                    run.apply(&Entry { at, event }).unwrap();
                }
            }
            Action::Turn { keys } => {
                let keys: Vec<(Dnskey, Claim)> = keys
                    .iter()
                    .map(|(key, claim)| (dnskey(run, key).unwrap(), *claim))
                    .collect();
                custody::turn(place, &keys, UnixTime(now)).map_err(|_| Failed)?;
                self.open()?;
            }
            Action::Give { .. } => {
                let register = self.register();
                self.given = register.own_in_set().map(|(key, _)| key.clone()).collect();
            }
            Action::Ds { .. } => {
                self.ds = step.changes.iter().find_map(|value| match value {
                    Value::Ds(ds) => Some(ds.clone()),
                    _ => None,
                });
            }
            other => panic!("{other:?} in {:?}", self.scene),
        }
        Ok(())
    }

    /// Whatever happened, another process goes on.
    fn restart(&mut self, death: Death) {
        self.store = None;
        self.process = self.disk.restart(death);
        self.start().unwrap();
    }
}

fn data(at: usize, signers: Keys) -> Value {
    let data = SignedData {
        signers,
        ttl: 50,
        content: Content::Version(1),
    };
    Value::Data(provider(at), Class::Positive, data)
}

/// Plays a plan that is interrupted after so many operations; whether it was.
fn play(
    scene: Scene,
    after: Option<(u64, Death)>,
    seed: u64,
    expected: &mut Option<BTreeMap<usize, u64>>,
) -> bool {
    let mut world = World::new(scene, seed);
    let kind = match scene {
        Scene::Roll => Kind::RollZsk {
            old: key(1),
            new: key(2),
        },
        Scene::Algorithm => Kind::Algorithm {
            old: vec![key(0), key(1)],
            new: vec![key(2), key(3)],
        },
    };
    let plan = plan::build(&kind, &world.situation()).unwrap();
    if let Some((after, death)) = after {
        world.disk.strike(after, death);
    }
    let event = Event::Adopted {
        plan: Box::new(plan),
        force: None,
    };
    let mut adopted = world.append(event.clone()).is_ok();
    let died = loop {
        if adopted && world.go_on().is_ok() {
            break world.disk.death().is_some() || after.is_none() || world.process_was_replaced();
        }
        let Some(death) = world.disk.death() else {
            panic!("it failed without a reason");
        };
        world.restart(death);
        let entries = world.store().unwrap().run_entries(world.apex.as_ref()).unwrap();
        adopted = !entries.is_empty() || world.append(event.clone()).is_ok();
    };
    world.disk.spare();
    // Nothing takes it away again.
    world.restart(Death::PowerLoss);
    assert_eq!(world.go_on().unwrap(), Outcome::Reached);
    let register = world.register();
    let states = |claim| {
        let own = register.own.iter();
        own.filter(|(_, own)| own.state == OwnState::Is(claim)).count()
    };
    let gone = match scene {
        Scene::Roll => 1,
        Scene::Algorithm => 2,
    };
    let came_to_be = register
        .own
        .values()
        .filter(|own| matches!(own.state, OwnState::Is(_)));
    assert_eq!(
        (came_to_be.count(), states(Claim::Active), states(Claim::Gone)),
        (2 + gone, 2, gone),
        "no key was made in vain: {:?}",
        register.own
    );
    assert_eq!(world.given.len(), 2, "they have the KSK and the new ZSK");
    match expected {
        // A step whose time came is done once more after a crash, at the same time.
        Some(expected) => assert_eq!(world.story, *expected, "{after:?}, seed {seed}"),
        None => *expected = Some(world.story.clone()),
    }
    died
}

impl World {
    fn process_was_replaced(&self) -> bool {
        !self.disk.awaits()
    }
}

/// Of so many operations an ordinary run interrupts one; `COUNTERSIGN_HISTORIES` set to anything: each.
const STRIDE: u64 = 6;

fn goes_on_whenever_it_is_interrupted(scene: Scene) {
    let stride = if std::env::var_os("COUNTERSIGN_HISTORIES").is_some() {
        1
    } else {
        STRIDE
    };
    let mut expected = None;
    play(scene, None, 0, &mut expected);
    for (place, death) in (0..).zip([Death::Killed, Death::PowerLoss, Death::PowerLoss]) {
        let mut operations = 2 * place % stride;
        while play(
            scene,
            Some((operations, death)),
            1_000 * place + operations,
            &mut expected,
        ) {
            operations += stride;
        }
        assert!(operations > 50, "it takes {operations} operations");
    }
}

#[test]
fn a_roll_goes_on_whenever_it_is_interrupted() {
    goes_on_whenever_it_is_interrupted(Scene::Roll);
}

#[test]
fn a_change_of_algorithm_goes_on_whenever_it_is_interrupted() {
    goes_on_whenever_it_is_interrupted(Scene::Algorithm);
}
