//! The engine: the current snapshot of zones, and the workers that answer from it.

use std::{
    cell::Cell,
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use arc_swap::ArcSwap;

use super::{
    Effort, Outcome, Peer, Responder, Transport, Work,
    budget::Budget,
    counters::{Counters, Totals, count},
    notice::Notices,
    overload::Beyond,
    resolve::{self, Stop, Task},
    served::ServedZone,
    synthesised::Synthesised,
};
use crate::{
    clock::{Clock, UnixTime},
    wire::{
        Class, NameRef, RrType,
        edns::{ExtendedError, MIN_UDP_PAYLOAD, OptReply, UDP_PAYLOAD},
        message::{MAX_MESSAGE, Opcode, Query, Question, Rcode, Response},
    },
    zone::{Ahead, SearchName, Zone},
};

/// How many synthesised signatures a worker makes a second where nothing is said: at 20 us each, at most a third of a
/// core.
pub const SYNTHESIS_RATE: u32 = 15_000;

/// Settings of the engine.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// The largest datagram we send and say we take (RFC 9715 §3.2). Octets, 512 to 65,535.
    pub udp_payload: u16,
    /// Our identifier, for those who ask (RFC 5001).
    pub nsid: Option<Vec<u8>>,
    /// How many synthesised signatures are kept: compact denials, expanded wildcards, narrow NSEC3.
    pub synthesised: usize,
    /// How many synthesised signatures a worker makes a second for questions over UDP; beyond, each zone does what
    /// its [`Overload`](super::Overload) says. `None`: as many as are asked for.
    pub synthesis_rate: Option<u32>,
}

impl Default for EngineSettings {
    fn default() -> Self {
        // 65,536 of about 600 octets: 40 MiB at most, and enough for the names that are asked again and again.
        Self {
            udp_payload: UDP_PAYLOAD,
            nsid: None,
            synthesised: 65_536,
            synthesis_rate: Some(SYNTHESIS_RATE),
        }
    }
}

/// The zones of one moment.
#[derive(Debug, Default)]
pub struct Zones {
    by_apex: HashMap<Box<[u8]>, Arc<ServedZone>, ahash::RandomState>,
    /// Bit n: some zone's name has n labels.
    label_counts: u128,
}

impl Zones {
    fn new(zones: Vec<Arc<ServedZone>>) -> Self {
        let label_counts = zones
            .iter()
            .fold(0, |bits, zone| bits | 1 << zone.apex().label_count());
        let by_apex = zones
            .into_iter()
            .map(|zone| (zone.apex().as_wire().into(), zone))
            .collect();
        Self {
            by_apex,
            label_counts,
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<ServedZone>> {
        self.by_apex.values()
    }

    /// How many names are in memory for the sake of these alone.
    pub fn names_not_shared(&self) -> usize {
        let own = self.iter().filter(|zone| Arc::strong_count(zone) == 1);
        let contents = own.filter_map(|zone| zone.content().ok());
        contents.map(|content| content.zone().names_not_shared()).sum()
    }

    /// The zone of this very name.
    pub fn get(&self, apex: NameRef<'_>) -> Option<&Arc<ServedZone>> {
        self.by_apex.get(apex.to_lower().as_ref().as_wire())
    }

    /// The zone that answers for a name and type: the closest one, but for a DS the parent's where both are here
    /// (RFC 4035 §3.1.4.1).
    fn find(&self, name: &SearchName, rtype: RrType) -> Option<&Arc<ServedZone>> {
        let closest = self.closest(name, name.label_count())?;
        if rtype == RrType::DS && closest.apex().len() == name.name().len() && name.label_count() > 0 {
            return self.closest(name, name.label_count() - 1).or(Some(closest));
        }
        Some(closest)
    }

    fn closest(&self, name: &SearchName, most_labels: usize) -> Option<&Arc<ServedZone>> {
        (0..=most_labels)
            .rev()
            .filter(|labels| self.label_counts >> labels & 1 == 1)
            .find_map(|labels| self.by_apex.get(name.suffix(labels).as_wire()))
    }
}

/// Answers questions from the zones it was last given.
#[derive(Debug)]
pub struct Engine {
    zones: ArcSwap<Zones>,
    clock: Arc<dyn Clock>,
    settings: EngineSettings,
    synthesised: Synthesised,
    counters: Mutex<Vec<Arc<Counters>>>,
    notices: OnceLock<Arc<dyn Notices>>,
}

impl Engine {
    /// An engine without zones: it refuses everything.
    pub fn new(settings: EngineSettings, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            zones: ArcSwap::default(),
            clock,
            synthesised: Synthesised::new(settings.synthesised),
            settings,
            counters: Mutex::default(),
            notices: OnceLock::new(),
        })
    }

    /// Hands notices of changed zones to `notices` from now on. Of two calls the first stands.
    pub fn hand_notices_to(&self, notices: Arc<dyn Notices>) {
        let _ = self.notices.set(notices);
    }

    /// Serves these zones from the next batch on. What they replace is returned, to be dropped outside the
    /// answering threads.
    pub fn publish(&self, zones: Vec<Arc<ServedZone>>) -> Arc<Zones> {
        self.zones.swap(Arc::new(Zones::new(zones)))
    }

    /// The zones that are served now.
    pub fn zones(&self) -> Arc<Zones> {
        self.zones.load_full()
    }

    /// What all workers counted.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for counters in self
            .counters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            totals.add(counters);
        }
        totals
    }
}

impl Responder for Arc<Engine> {
    type Worker = Worker;

    fn worker(&self) -> Worker {
        let counters = Arc::<Counters>::default();
        self.counters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&counters));
        Worker {
            budget: Budget::new(self.settings.synthesis_rate),
            engine: Arc::clone(self),
            zones: None,
            now: UnixTime::default(),
            counters,
        }
    }
}

/// Answers, on one thread at a time.
#[derive(Debug)]
pub struct Worker {
    engine: Arc<Engine>,
    zones: Option<Arc<Zones>>,
    now: UnixTime,
    budget: Budget,
    counters: Arc<Counters>,
}

impl Work for Worker {
    fn begin_batch(&mut self) {
        self.zones = Some(self.engine.zones.load_full());
        self.now = self.engine.clock.now();
        self.budget.fill(self.engine.clock.steady());
    }

    fn look_ahead<'q>(&mut self, packets: impl Iterator<Item = &'q [u8]>) {
        let Some(zones) = self.zones.as_deref() else {
            return;
        };
        let looked = catch_unwind(AssertUnwindSafe(|| look_ahead(zones, packets)));
        if looked.is_err() {
            count(&self.counters.panics);
        }
    }

    fn answer(&mut self, packet: &[u8], from: Peer, effort: Effort, out: &mut Vec<u8>) -> Outcome {
        if self.zones.is_none() {
            self.begin_batch();
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| self.try_answer(packet, from, effort, out)));
        let outcome = outcome.unwrap_or_else(|_| {
            count(&self.counters.panics);
            servfail(packet, out)
        });
        self.tally(outcome, from.transport, out);
        outcome
    }

    fn end_batch(&mut self) {
        self.zones = None;
    }
}

fn look_ahead<'q>(zones: &Zones, packets: impl Iterator<Item = &'q [u8]>) {
    let mut ahead = Ahead::default();
    let mut last: Option<&Zone> = None;
    for question in packets.filter_map(Query::question_of) {
        let lower = question.name.to_lower();
        let name = lower.as_ref();
        // A guess, which may be wrong: the questions of a batch are mostly about one zone.
        let like_the_last = last.filter(|zone| name.as_wire().ends_with(zone.apex().as_wire()));
        let zone = like_the_last.or_else(|| {
            let zone = zones.find(&SearchName::new(name), question.rtype)?;
            Some(zone.content().ok()?.zone())
        });
        if let Some(zone) = zone {
            ahead.add(zone, name);
            last = Some(zone);
        }
    }
    ahead.bring();
}

/// A bare SERVFAIL, made of nothing but the packet's header.
fn servfail(packet: &[u8], out: &mut Vec<u8>) -> Outcome {
    out.clear();
    match Query::read(packet) {
        Some(query) => {
            Response::start(&query, out, MAX_MESSAGE, 0).finish(Rcode::SERVFAIL, None);
            Outcome::Answered
        }
        None => Outcome::Drop,
    }
}

impl Worker {
    pub(super) fn notices(&self) -> Option<&dyn Notices> {
        self.engine.notices.get().map(|notices| &**notices)
    }

    /// The moment of the batch.
    pub(super) fn moment(&self) -> UnixTime {
        self.now
    }

    fn tally(&self, outcome: Outcome, transport: Transport, out: &[u8]) {
        let counters = &*self.counters;
        match outcome {
            Outcome::Deferred => return count(&counters.deferred),
            Outcome::Drop => count(&counters.dropped),
            Outcome::Answered => {
                count(match out[3] & 0x0f {
                    0 => &counters.noerror,
                    1 => &counters.formerr,
                    2 => &counters.servfail,
                    3 => &counters.nxdomain,
                    4 => &counters.notimp,
                    5 => &counters.refused,
                    _ => &counters.other_rcode,
                });
                if out[2] & 0x02 != 0 {
                    count(&counters.truncated);
                }
            }
        }
        count(match transport {
            Transport::Udp => &counters.udp_queries,
            Transport::Tcp => &counters.tcp_queries,
        });
    }

    fn try_answer(&mut self, packet: &[u8], from: Peer, effort: Effort, out: &mut Vec<u8>) -> Outcome {
        out.clear();
        let Some(query) = Query::read(packet) else {
            return Outcome::Drop;
        };
        let settings = &self.engine.settings;
        let mut opt = query.edns.map(|edns| OptReply {
            udp_payload: settings.udp_payload,
            dnssec_ok: edns.dnssec_ok,
            compact_ok: edns.compact_ok && edns.dnssec_ok,
            nsid: settings.nsid.as_deref().filter(|_| edns.wants_nsid),
            error: None,
        });
        if query.opcode() == Opcode::NOTIFY
            && query.edns.is_none_or(|edns| edns.version == 0)
            && let Some(outcome) = self.answer_notice(packet, &query, from, opt.as_ref(), out)
        {
            return outcome;
        }
        let limit = match from.transport {
            Transport::Tcp => MAX_MESSAGE,
            Transport::Udp => query
                .edns
                .map_or(MIN_UDP_PAYLOAD, |edns| edns.udp_payload.min(settings.udp_payload))
                .into(),
        };
        let mut response = Response::start(&query, out, limit, opt.map_or(0, |opt| opt.len()));
        let (rcode, error) = match self.examine(&query) {
            Err(refusal) => refusal,
            Ok((question, name)) => {
                match self.resolve(&query, question, &name, (from.transport, effort), &mut response) {
                    Ok(done) => done,
                    Err(Stop::Deferred) => {
                        out.clear();
                        return Outcome::Deferred;
                    }
                    Err(Stop::Full(rcode)) if from.transport == Transport::Udp => {
                        response.truncate();
                        (rcode, None)
                    }
                    // Over a stream there is nothing larger to turn to.
                    Err(Stop::Full(_)) => {
                        response.empty();
                        (Rcode::SERVFAIL, Some(ExtendedError::NOT_READY))
                    }
                    Err(Stop::Unsignable) => {
                        response.empty();
                        (Rcode::SERVFAIL, Some(ExtendedError::NOT_READY))
                    }
                }
            }
        };
        if let Some(opt) = &mut opt {
            opt.error = error;
        }
        response.finish(rcode, opt.as_ref());
        Outcome::Answered
    }

    /// What can be said before looking at any zone: the one question, or the code that refuses it.
    fn examine<'q>(
        &self,
        query: &Query<'q>,
    ) -> Result<(Question<'q>, SearchName), (Rcode, Option<ExtendedError>)> {
        if query.edns.is_some_and(|edns| edns.version > 0) {
            return Err((Rcode::BADVERS, None));
        }
        if query.opcode() != Opcode::QUERY {
            return Err((Rcode::NOTIMP, Some(ExtendedError::NOT_SUPPORTED)));
        }
        if let Some(fault) = query.fault {
            return Err((fault, None));
        }
        let question = query.question.ok_or((Rcode::FORMERR, None))?;
        match question.rtype {
            RrType::AXFR | RrType::IXFR => return Err((Rcode::REFUSED, Some(ExtendedError::PROHIBITED))),
            RrType::MAILA | RrType::MAILB => return Err((Rcode::NOTIMP, Some(ExtendedError::NOT_SUPPORTED))),
            RrType::ANY => {}
            // Types that no name can have: NXNAME (RFC 9824 §3.5), OPT, and the meta-types (RFC 6895 §3.1).
            RrType(0 | 41 | 128..=255) => {
                return Err((Rcode::FORMERR, Some(ExtendedError::INVALID_QUERY_TYPE)));
            }
            _ => {}
        }
        if question.class != Class::IN && question.class != Class::ANY {
            return Err((Rcode::REFUSED, Some(ExtendedError::NOT_AUTHORITATIVE)));
        }
        Ok((question, SearchName::new(question.name)))
    }

    fn resolve(
        &self,
        query: &Query<'_>,
        question: Question<'_>,
        name: &SearchName,
        (transport, effort): (Transport, Effort),
        response: &mut Response<'_>,
    ) -> Result<(Rcode, Option<ExtendedError>), Stop> {
        let zones = self.zones.as_deref().expect("a batch has begun");
        let Some(zone) = zones.find(name, question.rtype) else {
            return Ok((Rcode::REFUSED, Some(ExtendedError::NOT_AUTHORITATIVE)));
        };
        let Ok(content) = zone.content() else {
            return Ok((Rcode::SERVFAIL, Some(ExtendedError::NOT_READY)));
        };
        let budget = transport == Transport::Udp && content.beyond() != Beyond::Sign;
        let task = Task {
            content,
            way: Cell::new(content.denial()),
            now: self.now,
            effort,
            dnssec_ok: query.edns.is_some_and(|edns| edns.dnssec_ok) && content.is_signed(),
            compact_ok: query.edns.is_some_and(|edns| edns.compact_ok),
            synthesised: &self.engine.synthesised,
            budget: budget.then_some(&self.budget),
            counters: &self.counters,
        };
        response.set_authoritative();
        let rcode = resolve::resolve(&task, name, question.rtype, response)?;
        if task.has_turned() {
            count(&self.counters.ranges);
        }
        // Nobody is an authority for all classes (RFC 1035 §6.2).
        if question.class == Class::ANY {
            response.clear_authoritative();
        }
        Ok((rcode, None))
    }
}
