//! The worlds that plans begin in: who signs with what, who is in the delegation, how long everything takes.

mod wanted;

use super::{
    chain::{Algorithms, Digests, Ds, Keys, Kind as Validator, Members, Ns, Strictness, Time},
    engine::{Amiss, Api, Counts, Deed, Parent, Roll, World},
    faults::Fault,
    parties::{Servers, Sight},
    provider::{Hand, Key, Provider, Ttls},
    queue::Queue,
    random::Random,
    resolver::Resolver,
    story::Story,
};
use crate::{
    dnssec::{keyfile::timing::Claim, keyset::Role},
    multisigner::plan::{Emergency, Kind as PlanKind},
};
use wanted::{Wanted, wanted};

/// A scenario.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Scenario {
    /// A provider comes into the delegation.
    Join,
    /// A provider goes out of it.
    Leave,
    /// Our ZSK is replaced.
    RollZsk,
    /// Our KSK is replaced.
    RollKsk,
    /// Our CSK is replaced.
    RollCsk,
    /// All providers go over to another algorithm.
    Algorithm,
    /// A ZSK of ours that somebody else may have is replaced, and nobody finds anything bogus.
    Emergency,
    /// The same by a standby key, at once.
    EmergencyStandby,
    /// The same at once, and bogus for a while.
    EmergencySecurity,
    /// The same three for a KSK.
    EmergencyKsk,
    /// By a KSK that the DS RRset points to already.
    EmergencyKskStandby,
    /// At once.
    EmergencyKskSecurity,
    /// A further ZSK of ours is published everywhere.
    Standby,
    /// The other provider rolls its ZSK by itself, and we follow.
    Follow,
    /// The same with its KSK.
    FollowKsk,
}

impl Scenario {
    /// All, by their names.
    pub const ALL: [(&str, Self); 15] = [
        ("join", Self::Join),
        ("leave", Self::Leave),
        ("roll-zsk", Self::RollZsk),
        ("roll-ksk", Self::RollKsk),
        ("roll-csk", Self::RollCsk),
        ("algorithm", Self::Algorithm),
        ("emergency", Self::Emergency),
        ("emergency-standby", Self::EmergencyStandby),
        ("emergency-security", Self::EmergencySecurity),
        ("emergency-ksk", Self::EmergencyKsk),
        ("emergency-ksk-standby", Self::EmergencyKskStandby),
        ("emergency-ksk-security", Self::EmergencyKskSecurity),
        ("standby", Self::Standby),
        ("follow", Self::Follow),
        ("follow-ksk", Self::FollowKsk),
    ];

    /// The emergency that it is, and whether of a KSK.
    fn emergency(self) -> Option<(Emergency, bool)> {
        Some(match self {
            Self::Emergency => (Emergency::Availability, false),
            Self::EmergencyStandby => (Emergency::Standby, false),
            Self::EmergencySecurity => (Emergency::Security, false),
            Self::EmergencyKsk => (Emergency::Availability, true),
            Self::EmergencyKskStandby => (Emergency::Standby, true),
            Self::EmergencyKskSecurity => (Emergency::Security, true),
            _ => return None,
        })
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, scenario)| *scenario == self);
        found.map_or("", |(name, _)| name)
    }
}

/// How a world is drawn.
#[derive(Clone, Debug)]
pub(super) struct Draw {
    pub scenario: Scenario,
    pub faults: Vec<Fault>,
    pub seed: u64,
    /// Numbers from a wide range, and sometimes two other providers; otherwise those that are common.
    pub wild: bool,
    pub resolvers: usize,
    pub story: bool,
}

/// A world at its beginning, and what is to be planned in it.
#[derive(Debug)]
pub(super) struct Begun {
    pub world: World,
    /// None: it follows by itself, when there is something to follow.
    pub plan: Option<PlanKind>,
    /// The longest time that a person takes.
    pub person: Time,
}

const OLD_ALGORITHM: u8 = 13;
const NEW_ALGORITHM: u8 = 15;

/// Keys as they are dealt out.
struct Ring {
    keys: Vec<Key>,
    made: u64,
}

impl Ring {
    fn add(&mut self, owner: usize, role: Role, algorithm: u8, made: bool) -> usize {
        let dnskey = made.then(|| {
            self.made += 1;
            super::driver::dnskey(&self.made, role, algorithm)
        });
        self.keys.push(Key {
            role,
            algorithm,
            owner,
            dnskey,
        });
        self.keys.len() - 1
    }
}

fn mask(keys: impl IntoIterator<Item = usize>) -> Keys {
    keys.into_iter().fold(0, |all, key| all | 1 << key)
}

/// TTLs of a zone; the data's are the same at all providers.
fn ttls(random: &mut Random, wild: bool) -> (Ttls, Time, Time) {
    let choices: &[Time] = if wild {
        &[60, 300, 900, 3_600, 7_200, 21_600, 86_400]
    } else {
        &[3_600]
    };
    let mut ttl = || random.pick(choices);
    let data = std::array::from_fn(|_| ttl());
    let (dnskey, ns) = (ttl(), ttl());
    (Ttls { dnskey, data, ns }, ttl(), ttl())
}

/// Draws a world.
pub(super) fn begin(draw: &Draw) -> Begun {
    let mut random = Random::new(draw.seed);
    let wild = draw.wild;
    let others = if wild && random.one_in(4) { 2 } else { 1 };
    let parties = 1 + others;
    let mut ring = Ring {
        keys: Vec::new(),
        made: draw.seed.wrapping_mul(1_000),
    };
    // Who signs with a single key.
    let single = |party: usize, random: &mut Random| match (draw.scenario, party) {
        (Scenario::RollCsk, 0) => true,
        (Scenario::RollZsk | Scenario::RollKsk, 0) => false,
        (scenario, 0) if scenario.emergency().is_some_and(|(_, of_ksk)| of_ksk) => false,
        (Scenario::Follow | Scenario::FollowKsk, 1) => false,
        _ if draw.faults.contains(&Fault::ProviderRolls) && party == 1 => false,
        _ => wild && random.one_in(6),
    };
    let mut own: Vec<Vec<usize>> = Vec::new();
    for party in 0..parties {
        let keys = if single(party, &mut random) {
            vec![ring.add(party, Role::Csk, OLD_ALGORITHM, true)]
        } else {
            vec![
                ring.add(party, Role::Ksk, OLD_ALGORITHM, true),
                ring.add(party, Role::Zsk, OLD_ALGORITHM, true),
            ]
        };
        own.push(keys);
    }
    let every: Keys = mask(own.iter().flatten().copied());
    // The one that comes or goes: us, or the other.
    let who = if wild { random.below(2) as usize } else { 0 };
    let Wanted {
        published: standby,
        in_ds,
        plan,
    } = wanted(draw, &mut ring, &own, who);

    let (zone_ttls, ds_ttl, parent_ns_ttl) = ttls(&mut random, wild);
    let all_members: Members = (1 << parties) - 1;
    let members = match draw.scenario {
        Scenario::Join => all_members & !(1 << who),
        _ => all_members,
    };
    let exchanged = draw.scenario != Scenario::Join || random.one_in(2);
    let margin = if wild {
        random.pick(&[600, 3_600, 3_600, 10_800])
    } else {
        3_600
    };
    let lag_most = if wild {
        random.pick(&[0, 60, 900, 7_200])
    } else {
        300
    };

    let mut providers = Vec::new();
    for party in 0..parties {
        let mut states: Vec<(usize, Claim)> = own[party].iter().map(|key| (*key, Claim::Active)).collect();
        if party == 0 {
            states.extend(
                (0..64)
                    .filter(|key| standby & 1 << key != 0)
                    .map(|key| (key, Claim::Published)),
            );
        }
        let foreign = (every | standby) & !mask(states.iter().map(|(key, _)| *key));
        // Who comes has not been given anything yet, and nobody has its keys but we, who take them at once.
        let new = mask(own[who].iter().copied());
        let given = match party {
            _ if exchanged => foreign,
            0 => foreign,
            _ if party == who => 0,
            _ => foreign & !new,
        };
        let mut ttls = zone_ttls;
        if wild && random.one_in(3) {
            ttls.dnskey = random.pick(&[300, 3_600, 86_400]);
        }
        providers.push(Provider {
            name: ["ours", "ns1", "other"][party].to_owned(),
            hand: match party {
                0 => Hand::Ours,
                1 if !wild || !random.one_in(4) => Hand::Api,
                _ => Hand::Person,
            },
            states,
            given,
            members,
            serving: true,
            shows_cds: true,
            shows_csync: true,
            cds: None,
            csync: false,
            ttls,
            lag: if party == 0 { 0 } else { random.below(lag_most + 1) },
            propagation: if wild {
                random.pick(&[0, 60, 600, 3_600])
            } else {
                600
            },
            rolls: false,
            dnskeys_told: None,
            signers_told: Default::default(),
        });
    }
    let with_ds = |party: usize| {
        let keys = own[party].iter().copied();
        let own = mask(keys.filter(|key| ring.keys[*key].role != Role::Zsk));
        own | if party == 0 { in_ds } else { 0 }
    };
    let delegated = (0..parties).filter(|party| members & 1 << party != 0);
    let differ = draw.faults.contains(&Fault::DigestsDiffer);
    let by_digest = delegated.fold([0; 3], |mut all, party| {
        let types: &[usize] = match (differ, party == 0) {
            (false, _) => &[SHA256],
            (true, true) => random.pick(&[&[SHA256][..], &[SHA256, SHA384]]),
            (true, false) => random.pick(&[&[SHA1][..], &[SHA384], &[SHA256, SHA384]]),
        };
        types.iter().for_each(|place| all[*place] |= with_ds(party));
        all
    });
    let ds = Ds {
        by_digest,
        ttl: ds_ttl,
    };
    let follows_cds = wild && random.one_in(2);
    // Of a stream of its own: worlds of other plans are what they were.
    let mut of_csync = Random::new(draw.seed ^ 0xc547_0c00_0000_0000);
    let follows_csync = wild && of_csync.one_in(2);
    let parent = Parent {
        follows_cds,
        follows_csync,
        asks_one: follows_csync && of_csync.one_in(3),
        never_acts: false,
        ds,
        ns: Ns {
            members,
            ttl: parent_ns_ttl,
        },
        lag: if wild { random.pick(&[0, 600, 7_200]) } else { 600 },
        propagation: if wild { random.pick(&[0, 600, 3_600]) } else { 900 },
        pace: if wild {
            random.pick(&[600, 21_600, 172_800])
        } else {
            21_600
        },
    };
    let person = if wild {
        random.pick(&[0, 3_600, 259_200])
    } else {
        14_400
    };
    let mut world = world(draw, random, ring, providers, parent, margin);
    for fault in &draw.faults {
        world.let_loose(*fault);
    }
    let roll = match draw.scenario {
        Scenario::Follow => Some(Roll::Publish),
        Scenario::FollowKsk => Some(Roll::PublishKsk),
        _ => None,
    };
    if let Some(part) = roll {
        let at = world.random.below(3_600);
        world.later(at, Deed::Amiss(Amiss::Roll { provider: 1, part }));
    }
    Begun { world, plan, person }
}

/// Where the digest types stand in [`Ds::by_digest`].
const SHA1: usize = 0;
const SHA256: usize = 1;
const SHA384: usize = 2;

fn world(
    draw: &Draw,
    mut random: Random,
    ring: Ring,
    providers: Vec<Provider>,
    parent: Parent,
    margin: Time,
) -> World {
    let hours = if draw.wild { random.pick(&[6, 24, 72]) } else { 12 };
    let mut servers = Servers::new();
    for provider in &providers {
        let seen = if provider.hand == Hand::Ours {
            1
        } else {
            2 + random.below(2)
        };
        let sites = if provider.propagation > 0 { 1 } else { 0 };
        let names = names(&provider.name, seen, sites);
        let mut beginning = provider.beginning(&ring.keys);
        beginning.ds = parent.ds;
        servers.add_party(&names, &beginning);
    }
    let names = names("parent", 2, u64::from(parent.propagation > 0));
    let mut beginning = providers[0].beginning(&ring.keys);
    beginning.ds = parent.ds;
    beginning.ns = parent.ns;
    servers.add_party(&names, &beginning);
    let mut algorithms = Algorithms::default();
    for (place, key) in ring.keys.iter().enumerate() {
        algorithms.add(place, key.algorithm);
    }
    // Who looks at some digest types alone, and finds no way to a provider from the start, is no judge.
    let is_judge = |digests: Digests| {
        let kind = Validator {
            strictness: Strictness::Lenient,
            digests,
        };
        let entries = kind.entries(&parent.ds);
        let mut asked = (0..providers.len()).filter(|place| parent.ns.members & 1 << place != 0);
        asked.all(|place| providers[place].key_signers(&ring.keys) & entries != 0)
    };
    let resolvers = (0..draw.resolvers).map(|number| resolver(number, margin, is_judge, &mut random));
    let resolvers: Vec<Resolver> = resolvers.collect();
    let last_given = providers.iter().map(|provider| {
        let ours = mask((0..ring.keys.len()).filter(|key| ring.keys[*key].owner == 0));
        (provider.hand == Hand::Api).then_some((provider.given & ours, 0))
    });
    let ttls = providers
        .iter()
        .map(|provider| provider.ttls.dnskey.max(provider.ttls.data[0]));
    World {
        now: 0,
        queue: Queue::new(),
        algorithms,
        last_given: last_given.collect(),
        pace: 3 * ttls.max().unwrap_or(3_600) + 3_600,
        keys: ring.keys,
        keys_made: ring.made,
        providers,
        parent,
        servers,
        api: Api::default(),
        margin,
        resolvers,
        random,
        counts: Counts::default(),
        failure: None,
        losses: Vec::new(),
        lost: false,
        sacrifice: None,
        story: Story::new(draw.story),
        skew: 0,
        changed: false,
        first_change: None,
        pending: 0,
        scans: 0,
        given_up_when_read: draw.faults.contains(&Fault::GivenUp) && draw.seed.is_multiple_of(3),
        span: hours * 3_600,
        delegating: false,
    }
}

fn names(party: &str, seen: u64, sites: u64) -> Vec<(String, Sight)> {
    let seen = (1..=seen).map(|number| (format!("{party}-{number}"), Sight::Seen));
    let sites = (1..=sites).map(|number| (format!("{party}-site-{number}"), Sight::Site));
    seen.chain(sites).collect()
}

/// Resolvers of all kinds, in turn.
fn resolver(
    number: usize,
    margin: Time,
    is_judge: impl Fn(Digests) -> bool,
    random: &mut Random,
) -> Resolver {
    let strictness = match number % 4 {
        0 | 1 => Strictness::Lenient,
        2 => Strictness::Ds,
        _ => Strictness::Dnskey,
    };
    let digests = random.pick(&[Digests::All, Digests::Strongest, Digests::NoSha1]);
    let digests = if is_judge(digests) { digests } else { Digests::All };
    let kind = Validator { strictness, digests };
    let stretch = match random.below(3) {
        0 => 0,
        1 => margin,
        _ => random.below(margin + 1),
    };
    let child_centric = random.one_in(2);
    let own = random.split();
    let name = |what: &str| format!("{what} {}", number + 1);
    if (number + number / 4).is_multiple_of(2) {
        Resolver::behind_caches(name("validator behind caches"), kind, stretch, child_centric, own)
    } else {
        Resolver::one_cache(name("resolver"), kind, stretch, child_centric, own)
    }
}
