//! The world and its events: time jumps from one to the next. Servers take what is new each in its own time, resolvers
//! ask, and whoever was asked to do something does it later, or never.

use super::{
    chain::{Algorithms, Ds, Keys, Members, Ns, Time},
    harm::{Loss, Sacrifice},
    parties::{Part, Servers, Sight},
    provider::{Key, Provider},
    queue::Queue,
    random::Random,
    resolver::{Failure, Resolver},
    story::Story,
};

/// What happens.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A server shows new versions of parts from now on.
    Take {
        server: usize,
        parts: Vec<(Part, usize)>,
    },
    /// A resolver asks.
    Ask { resolver: usize },
    /// Our server looks at all others, and at its plan.
    Look,
    /// The parent reads CDS and CSYNC.
    Scan,
    /// Somebody does something.
    Done(Deed),
}

/// What somebody does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Deed {
    /// A provider publishes these keys of ours from now on.
    Given { provider: usize, keys: Keys },
    /// The parent's DS RRset is changed.
    Ds { ds: Ds },
    /// The parent's NS RRset is changed.
    ParentNs { members: Members },
    /// A provider's NS RRset is changed.
    ChildNs { provider: usize, members: Members },
    /// A provider stops.
    Stop { provider: usize },
    /// A provider shows this from now on.
    Theirs { provider: usize, parts: Vec<Part> },
    /// A person says that they did their part of a step.
    Reported { step: usize },
    /// A person lets a plan go on that was paused.
    Resume,
    /// Somebody does what a step of the plan of this number asked for.
    Asked { plan: u64, step: usize, deed: Box<Deed> },
    /// A plan is made and adopted.
    Plan,
    /// A person gives the plan up.
    GiveUp,
    /// Something goes wrong, or another provider does something by itself.
    Amiss(Amiss),
}

/// What goes wrong, or happens unasked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Amiss {
    /// The next part of the other provider's own roll of a key.
    Roll { provider: usize, part: Roll },
    /// A provider drops the keys of ours that nobody needs yet.
    Drop { provider: usize },
    /// A provider loses all keys of ours, those that answers are signed with among them.
    Lose { provider: usize },
    /// A person pastes there again what was lost.
    Restore { provider: usize, keys: Keys },
    /// A TTL grows to so many times what it was.
    Grow { party: usize, times: Time },
    /// What cannot be seen of a party takes up to so long from now on, and a person says so.
    Slow { party: usize, to: Time },
    /// A server takes nothing new any more.
    Stick { server: usize },
    /// A server is no longer reached from here, or is again.
    Blind { server: usize, blind: bool },
    /// The API fails, or works again.
    Api { down: bool },
    /// Our clock is away from the world's by so much.
    Clock { skew: i64 },
    /// Our server is killed.
    Kill,
}

/// The parts of a roll: of a ZSK that is published before it signs (RFC 7583 §3.2.1), or of a KSK that signs beside the
/// old one from the start, whose DS follows (§3.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Roll {
    Publish,
    PublishKsk,
    /// The registrar is told of the new KSK too, when every server shows it.
    Point {
        old: usize,
        new: usize,
    },
    /// Whether every server of the parent points to the new KSK.
    Pointed {
        old: usize,
        new: usize,
    },
    /// Whether every server shows the new key.
    Published {
        old: usize,
        new: usize,
    },
    Switch {
        old: usize,
        new: usize,
    },
    /// Whether every server signs with the new key.
    Switched {
        old: usize,
    },
    Remove {
        old: usize,
    },
}

/// The parent.
#[derive(Clone, Debug)]
pub(super) struct Parent {
    pub follows_cds: bool,
    pub follows_csync: bool,
    /// It takes what one server shows, as before RFC 9975.
    pub asks_one: bool,
    pub never_acts: bool,
    pub ds: Ds,
    pub ns: Ns,
    pub lag: Time,
    pub propagation: Time,
    /// The longest time between two reads of CDS, and that a person at the registrar takes.
    pub pace: Time,
}

/// Our server's only way to a provider that has an API.
#[derive(Clone, Debug, Default)]
pub(super) struct Api {
    pub down: bool,
    /// So many times it says that all is done, and does nothing.
    pub says_yes: u64,
}

/// What was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    pub asked: u64,
    pub validated: u64,
    pub bogus: u64,
    /// Bogus answers that our server could not prevent.
    pub excused: u64,
    pub unanswered: u64,
}

/// Everything that there is.
#[derive(Debug)]
pub(super) struct World {
    pub now: Time,
    pub queue: Queue<Event>,
    pub keys: Vec<Key>,
    pub algorithms: Algorithms,
    pub providers: Vec<Provider>,
    pub parent: Parent,
    pub servers: Servers,
    pub api: Api,
    pub margin: Time,
    pub resolvers: Vec<Resolver>,
    /// The longest pause of a resolver.
    pub pace: Time,
    pub random: Random,
    pub counts: Counts,
    pub failure: Option<(Time, Box<Failure>)>,
    pub losses: Vec<Loss>,
    /// A provider has lost keys of ours, needed or not.
    pub lost: bool,
    pub sacrifice: Option<Sacrifice>,
    pub story: Story,
    /// How far our clock is away.
    pub skew: i64,
    /// Something that our server could see has changed since it looked last.
    pub changed: bool,
    /// When the first server that is seen changed, since our server looked last.
    pub first_change: Option<Time>,
    /// How many events are still to come that are neither questions nor looks.
    pub pending: u64,
    /// How many keys were made so far.
    pub keys_made: u64,
    /// What each provider was given last through its API, and when.
    pub last_given: Vec<Option<(Keys, Time)>>,
    /// Within which time faults come up.
    pub span: Time,
    /// Somebody was asked to change an NS RRset.
    pub delegating: bool,
    /// How often the parent has read CDS and CSYNC.
    pub scans: u64,
    /// A person gives the plan up when the parent has read CDS and is about to follow.
    pub given_up_when_read: bool,
}

impl World {
    /// Something that is not a question or a look happens then.
    pub fn later(&mut self, delay: Time, deed: Deed) {
        self.pending += 1;
        self.queue.at(self.now + delay, Event::Done(deed));
    }

    /// What is told of the parent: how long a change may take to its last server; where it reads CDS, from then on.
    pub fn parent_takes(&self) -> Time {
        if !self.parent.follows_cds {
            return self.parent.propagation;
        }
        let servers = self.servers.of[self.parent_party()].iter();
        let late = servers.map(|server| self.servers.all[*server].late).max();
        let seen = self.parent.lag + late.unwrap_or(0);
        self.parent.lag + seen.max(self.parent.propagation)
    }

    pub fn parent_party(&self) -> usize {
        self.servers.parent()
    }

    /// What a provider has decided reaches its servers, each in its own time.
    pub fn publish(&mut self, provider: usize) {
        let parts: Vec<Part> = self.providers[provider].parts(&self.keys).collect();
        let (lag, propagation) = {
            let provider = &self.providers[provider];
            (provider.lag, provider.propagation)
        };
        self.spread(provider, &parts, lag, propagation);
    }

    pub fn publish_parent(&mut self) {
        let parts = [Part::Ds(self.parent.ds), Part::Ns(self.parent.ns)];
        let (lag, propagation) = (self.parent.lag, self.parent.propagation);
        self.spread(self.parent_party(), &parts, lag, propagation);
    }

    fn spread(&mut self, party: usize, parts: &[Part], lag: Time, propagation: Time) {
        let parts: Vec<(Part, usize)> = parts
            .iter()
            .filter_map(|part| Some((*part, self.servers.declare(party, *part)?)))
            .collect();
        if parts.is_empty() {
            return;
        }
        let servers = self.servers.of[party].clone();
        let first = self.random.below(lag + 1);
        let lead = self.random.below(servers.len() as u64) as usize;
        for (turn, server) in servers.into_iter().enumerate() {
            let late = self.servers.all[server].late;
            let delay = match self.servers.all[server].sight {
                // What cannot be seen from here keeps to what is said of it.
                Sight::Site => first + self.random.below(propagation + 1),
                _ if turn == lead && late == 0 => first,
                _ => first + late + self.random.below(lag + 1),
            };
            // A site is never the first: the propagation counts from what can be seen.
            if delay == 0 {
                self.take(server, &parts);
            } else {
                self.pending += 1;
                let parts = parts.clone();
                self.queue.at(self.now + delay, Event::Take { server, parts });
            }
        }
    }

    /// What a provider has decided is shown by all of its servers now.
    pub fn show_at_once(&mut self, party: usize, parts: &[Part]) {
        let parts: Vec<(Part, usize)> = parts
            .iter()
            .filter_map(|part| Some((*part, self.servers.declare(party, *part)?)))
            .collect();
        for server in self.servers.of[party].clone() {
            self.take(server, &parts);
        }
    }

    /// A server shows new versions. Resolvers ask right before it and right after.
    pub fn take(&mut self, server: usize, parts: &[(Part, usize)]) {
        let news = |(part, version): &(Part, usize)| self.servers.would_take(server, part, *version);
        if !parts.iter().any(news) {
            return;
        }
        self.crowd(true);
        for (part, version) in parts {
            self.servers.take(server, *part, *version, self.now);
        }
        self.mend(self.servers.all[server].party);
        self.crowd(false);
        if self.servers.all[server].sight == Sight::Seen {
            self.changed = true;
            self.first_change.get_or_insert(self.now);
        }
    }

    /// All kinds of resolvers ask at a moment that matters.
    fn crowd(&mut self, before: bool) {
        for resolver in 0..self.resolvers.len() {
            if before {
                if !self.random.one_in(3) {
                    continue;
                }
                self.resolvers[resolver].freshen();
                self.ask(resolver);
                self.ask(resolver);
            }
            self.ask(resolver);
        }
    }

    pub fn ask(&mut self, resolver: usize) {
        self.counts.asked += 1;
        match self.resolvers[resolver].ask(&self.algorithms, &self.servers, self.now) {
            Ok(()) => self.counts.validated += 1,
            Err(failure) if self.is_excused(&failure) => self.counts.excused += 1,
            Err(failure) => {
                match failure.broken {
                    None => self.counts.unanswered += 1,
                    Some(_) => self.counts.bogus += 1,
                }
                if self.failure.is_none() {
                    self.failure = Some((self.now, failure));
                }
            }
        }
    }

    /// A resolver asks, and will again.
    pub fn ask_on(&mut self, resolver: usize) {
        self.ask(resolver);
        let next = self.resolvers[resolver].next_ask(self.now, self.pace);
        self.queue.at(next, Event::Ask { resolver });
    }

    /// Somebody does something that changes what servers show.
    pub fn do_deed(&mut self, deed: &Deed) {
        match deed {
            Deed::Given { provider, keys } => {
                let ours = self.owned_by(0);
                let who = &mut self.providers[*provider];
                who.given = (who.given & !ours) | keys;
                self.publish(*provider);
            }
            Deed::Ds { ds } => {
                self.parent.ds = Ds {
                    ttl: self.parent.ds.ttl,
                    ..*ds
                };
                self.publish_parent();
            }
            Deed::ParentNs { members } => {
                self.parent.ns.members = *members;
                self.publish_parent();
            }
            Deed::ChildNs { provider, members } => {
                self.providers[*provider].members = *members;
                self.publish(*provider);
            }
            Deed::Stop { provider } => {
                self.providers[*provider].serving = false;
                self.publish(*provider);
            }
            Deed::Theirs { provider, parts } => self.theirs(*provider, parts),
            Deed::Plan
            | Deed::GiveUp
            | Deed::Asked { .. }
            | Deed::Reported { .. }
            | Deed::Resume
            | Deed::Amiss(_) => {}
        }
    }

    /// A provider shows what a plan says in so many words.
    pub fn theirs(&mut self, provider: usize, parts: &[Part]) {
        let own = self.owned_by(provider);
        let about_keys = |part: &Part| matches!(part, Part::Dnskeys(_) | Part::Data(..));
        if self.providers[provider].rolls && parts.iter().any(about_keys) {
            let name = self.providers[provider].name.clone();
            return self.story.tell(self.now, || {
                format!("{name} has rolled a key, and does not do what was planned before")
            });
        }
        let ours = self.owned_by(0);
        for part in parts {
            let who = &mut self.providers[provider];
            match part {
                Part::Dnskeys(dnskeys) => {
                    // What it loses of these it is given again.
                    if let Some(last) = &mut self.last_given[provider] {
                        *last = (dnskeys.keys & ours, self.now);
                    }
                    who.dnskeys_told = Some((dnskeys.keys & own, dnskeys.signers));
                    who.given = dnskeys.keys & !own;
                }
                Part::Data(class, data) => who.signers_told[*class] = Some(data.signers),
                Part::Ns(ns) => who.members = ns.members,
                Part::Cds(cds) => who.cds = cds.map(|cds| cds.wanted),
                Part::Csync(csync) => who.csync = *csync,
                Part::Serving(serving) => who.serving = *serving,
                Part::Ds(_) => {}
            }
        }
        self.publish(provider);
    }

    /// How long anything that was ever served can be held.
    pub fn longest_held(&self) -> Time {
        let ttls = self.providers.iter().map(|provider| {
            let ttls = &provider.ttls;
            let data = ttls.data.iter().copied().max().unwrap_or(0);
            ttls.dnskey.max(ttls.ns).max(data)
        });
        let above = self.parent.ds.ttl.max(self.parent.ns.ttl);
        ttls.max().unwrap_or(0).max(above) + self.margin
    }

    /// The keys of a provider, those to be made among them.
    pub fn owned_by(&self, provider: usize) -> Keys {
        let keys = self.keys.iter().enumerate();
        keys.filter(|(_, key)| key.owner == provider)
            .fold(0, |all, (place, _)| all | 1 << place)
    }
}
