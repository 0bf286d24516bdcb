//! Resolvers that ask all the while, each of another kind, and what each of them makes of the answers.
//!
//! | kind | DS, DNSKEY and data come from | validated |
//! |---|---|---|
//! | one cache | itself | when fetched, and remembered |
//! | behind caches | three caches that do not validate, any of them for each | all of it, at every question |
//!
//! Any cache may keep things longer than their TTL, up to the margin: because it serves stale answers, or raises small
//! TTLs. Any cache may lose what it holds. NS RRsets are the parent's or, where the resolver prefers the child's, are
//! renewed at the provider itself for as long as that one answers.

use super::{
    chain::{Algorithms, Broken, Data, Dnskeys, Ds, Keys, Kind, Ns, Time},
    parties::{CLASSES, Servers},
    random::Random,
};

/// Something that is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held<T> {
    pub value: T,
    pub fetched: Time,
    /// The last second.
    pub until: Time,
    pub server: usize,
}

/// One cache.
#[derive(Clone, Debug, Default)]
struct Cache {
    /// How much longer than its TTL anything is kept.
    stretch: Time,
    /// NS RRsets are renewed at the child.
    child_centric: bool,
    ns: Option<Held<Ns>>,
    ds: Option<Held<Ds>>,
    dnskeys: Option<Held<Dnskeys>>,
    /// The keys that the DNSKEY RRset was entered by, when it was validated.
    entries: Keys,
    data: [Option<Held<Data>>; CLASSES.len()],
}

/// A resolver.
#[derive(Clone, Debug)]
pub(super) struct Resolver {
    pub name: String,
    pub kind: Kind,
    caches: Vec<Cache>,
    random: Random,
}

/// A chain that did not hold, or a question that nobody answered.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub resolver: String,
    pub kind: Kind,
    pub class: usize,
    pub ns: Option<Held<Ns>>,
    pub ds: Option<Held<Ds>>,
    pub dnskeys: Option<Held<Dnskeys>>,
    pub data: Option<Held<Data>>,
    /// None: no server answered.
    pub broken: Option<Broken>,
}

/// The caches behind which a validator without one stands.
const CACHES_BEFORE: usize = 3;

/// A cache asks again this often when a provider's server names itself no longer.
struct Dead;

impl Cache {
    fn new(stretch: Time, child_centric: bool) -> Self {
        Self {
            stretch,
            child_centric,
            ..Self::default()
        }
    }

    fn hold<T>(&self, value: T, ttl: Time, server: usize, now: Time) -> Held<T> {
        Held {
            value,
            fetched: now,
            until: now + ttl + self.stretch,
            server,
        }
    }

    /// A server of the provider that is asked now.
    fn server(&mut self, servers: &Servers, random: &mut Random, now: Time) -> Result<usize, Dead> {
        if let Some(ns) = self.ns.filter(|ns| now <= ns.until)
            && let Some(server) = servers.some_answering(ns.value.members, random)
        {
            // It is renewed in time where it was got: a busy cache never lets it run out.
            if self.child_centric && now == ns.until {
                let child = servers.all[server].ns;
                self.ns = Some(self.hold(child, child.ttl, server, now));
            }
            return Ok(server);
        }
        let parent = servers.some_of_parent(random);
        let delegation = servers.all[parent].ns;
        let mut held = self.hold(delegation, delegation.ttl, parent, now);
        let server = servers.some_answering(delegation.members, random);
        if self.child_centric
            && let Some(server) = server
        {
            let child = servers.all[server].ns;
            held = self.hold(child, child.ttl, server, now);
        }
        self.ns = Some(held);
        server.ok_or(Dead)
    }

    fn ds(&mut self, servers: &Servers, random: &mut Random, now: Time) -> Held<Ds> {
        match self.ds.filter(|ds| now <= ds.until) {
            Some(ds) => ds,
            None => {
                let server = servers.some_of_parent(random);
                let ds = servers.all[server].ds;
                *self.ds.insert(self.hold(ds, ds.ttl, server, now))
            }
        }
    }

    fn held_dnskeys(&self, now: Time) -> Option<Held<Dnskeys>> {
        self.dnskeys.filter(|dnskeys| now <= dnskeys.until)
    }

    fn fetch_dnskeys(
        &mut self,
        servers: &Servers,
        random: &mut Random,
        now: Time,
    ) -> Result<Held<Dnskeys>, Dead> {
        let server = self.server(servers, random, now)?;
        let dnskeys = servers.all[server].dnskeys;
        Ok(*self.dnskeys.insert(self.hold(dnskeys, dnskeys.ttl, server, now)))
    }

    fn held_data(&self, class: usize, now: Time) -> Option<Held<Data>> {
        self.data[class].filter(|data| now <= data.until)
    }

    fn fetch_data(
        &mut self,
        class: usize,
        servers: &Servers,
        random: &mut Random,
        now: Time,
    ) -> Result<Held<Data>, Dead> {
        let server = self.server(servers, random, now)?;
        let data = servers.all[server].data[class];
        Ok(*self.data[class].insert(self.hold(data, data.ttl, server, now)))
    }

    /// Something that is held is lost.
    fn lose(&mut self, random: &mut Random) {
        match random.below(4) {
            0 => self.ds = None,
            1 => self.dnskeys = None,
            2 => self.data = Default::default(),
            _ if self.child_centric => self.dnskeys = None,
            _ => self.ns = None,
        }
    }

    fn lose_all(&mut self) {
        self.ds = None;
        self.dnskeys = None;
        self.data = Default::default();
        if !self.child_centric {
            self.ns = None;
        }
    }

    /// The last second of something that is held, drawn among all of it.
    fn an_end(&self, random: &mut Random, now: Time) -> Option<Time> {
        let ends = [
            self.ns.map(|ns| ns.until),
            self.ds.map(|ds| ds.until),
            self.dnskeys.map(|dnskeys| dnskeys.until),
            self.data[random.below(CLASSES.len() as u64) as usize].map(|data| data.until),
        ];
        ends[random.below(4) as usize].filter(|end| *end > now)
    }
}

impl Resolver {
    /// One that validates what it fetches, and remembers.
    pub fn one_cache(name: String, kind: Kind, stretch: Time, child_centric: bool, random: Random) -> Self {
        Self {
            name,
            kind,
            caches: vec![Cache::new(stretch, child_centric)],
            random,
        }
    }

    /// One that has no cache of its own, and may get each RRset from another one.
    pub fn behind_caches(
        name: String,
        kind: Kind,
        stretch: Time,
        child_centric: bool,
        random: Random,
    ) -> Self {
        Self {
            name,
            kind,
            caches: vec![Cache::new(stretch, child_centric); CACHES_BEFORE],
            random,
        }
    }

    /// Asks one question. `Err`: the answer was bogus, or there was none.
    pub fn ask(&mut self, all: &Algorithms, servers: &Servers, now: Time) -> Result<(), Box<Failure>> {
        let class = self.random.below(CLASSES.len() as u64) as usize;
        match self.caches.len() {
            1 => self.ask_own_cache(class, all, servers, now),
            _ => self.ask_through_caches(class, all, servers, now),
        }
    }

    fn failure(&self, class: usize, cache: usize) -> Failure {
        Failure {
            resolver: self.name.clone(),
            kind: self.kind,
            class,
            ns: self.caches[cache].ns,
            ds: None,
            dnskeys: None,
            data: None,
            broken: None,
        }
    }

    fn ask_own_cache(
        &mut self,
        class: usize,
        all: &Algorithms,
        servers: &Servers,
        now: Time,
    ) -> Result<(), Box<Failure>> {
        let random = &mut self.random;
        let cache = &mut self.caches[0];
        // What was validated is remembered as such.
        let dnskeys = match cache.held_dnskeys(now) {
            Some(dnskeys) => dnskeys,
            None => {
                let ds = cache.ds(servers, random, now);
                let Ok(dnskeys) = cache.fetch_dnskeys(servers, random, now) else {
                    return Err(Box::new(self.failure(class, 0)));
                };
                match self.kind.follow_ds(all, &ds.value, &dnskeys.value) {
                    Ok(entries) => cache.entries = entries,
                    Err(broken) => {
                        cache.dnskeys = None;
                        return Err(Box::new(Failure {
                            ds: Some(ds),
                            dnskeys: Some(dnskeys),
                            broken: Some(broken),
                            ..self.failure(class, 0)
                        }));
                    }
                }
                dnskeys
            }
        };
        if cache.held_data(class, now).is_some() {
            return Ok(());
        }
        let Ok(data) = cache.fetch_data(class, servers, random, now) else {
            return Err(Box::new(self.failure(class, 0)));
        };
        let link = self
            .kind
            .follow_dnskey(all, cache.entries, &dnskeys.value, &data.value);
        if link.is_err() {
            cache.data[class] = None;
        }
        link.map_err(|broken| {
            Box::new(Failure {
                dnskeys: Some(dnskeys),
                data: Some(data),
                broken: Some(broken),
                ..self.failure(class, 0)
            })
        })
    }

    fn ask_through_caches(
        &mut self,
        class: usize,
        all: &Algorithms,
        servers: &Servers,
        now: Time,
    ) -> Result<(), Box<Failure>> {
        let random = &mut self.random;
        let caches = self.caches.len() as u64;
        let ds = self.caches[random.below(caches) as usize].ds(servers, random, now);
        let from = random.below(caches) as usize;
        let dnskeys = match self.caches[from].held_dnskeys(now) {
            Some(dnskeys) => Ok(dnskeys),
            None => self.caches[from].fetch_dnskeys(servers, random, now),
        };
        let Ok(dnskeys) = dnskeys else {
            return Err(Box::new(self.failure(class, from)));
        };
        let from = random.below(caches) as usize;
        let data = match self.caches[from].held_data(class, now) {
            Some(data) => Ok(data),
            None => self.caches[from].fetch_data(class, servers, random, now),
        };
        let Ok(data) = data else {
            return Err(Box::new(self.failure(class, from)));
        };
        let kind = self.kind;
        let chain = kind
            .follow_ds(all, &ds.value, &dnskeys.value)
            .and_then(|entries| kind.follow_dnskey(all, entries, &dnskeys.value, &data.value));
        chain.map_err(|broken| {
            Box::new(Failure {
                ds: Some(ds),
                dnskeys: Some(dnskeys),
                data: Some(data),
                broken: Some(broken),
                ..self.failure(class, from)
            })
        })
    }

    /// When it asks next. A resolver that is busy asks in the last second of what it holds; so often it is met then.
    pub fn next_ask(&mut self, now: Time, pace: Time) -> Time {
        let random = &mut self.random;
        if !random.one_in(3) {
            let cache = random.below(self.caches.len() as u64) as usize;
            if let Some(end) = self.caches[cache].an_end(random, now) {
                return end + random.below(2);
            }
        }
        now + 1 + random.below(pace)
    }

    /// Something is about to change: some caches come up anew, and hold what is there still as long as can be.
    pub fn freshen(&mut self) {
        let cache = self.random.below(self.caches.len() as u64) as usize;
        if self.random.one_in(3) {
            self.caches[cache].lose_all();
        } else {
            self.caches[cache].lose(&mut self.random);
        }
    }
}
