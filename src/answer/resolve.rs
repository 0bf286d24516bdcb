//! From a question to the records of its answer (RFC 1034 §4.3.2, RFC 4035 §3.1, RFC 4592, RFC 6672).
//!
//! | the zone has | answer | proof |
//! |---|---|---|
//! | the name and type | the RRset | its signature |
//! | the name | SOA | its NSEC or NSEC3 |
//! | a wildcard | the RRset at the name asked | compact: signed as if it were there; else the wildcard's signature, and no closer match |
//! | a cut above | NS, glue | DS, or that there is none |
//! | a DNAME above | DNAME, CNAME, and on | the DNAME's signature |
//! | nothing | SOA | per [`Denial`] |
//!
//! A chain of CNAME and DNAME is followed to the zone's edge, as Knot and BIND do.

use std::{cell::Cell, sync::Arc};

use super::{
    Effort,
    budget::Budget,
    counters::{Counters, count},
    overload::Beyond,
    served::Content,
    soa_block::SoaBlock,
    synthesised::Synthesised,
};
use crate::{
    clock::UnixTime,
    dnssec::{
        denial::{Denial, compact, nsec_rdata, nsec3},
        key::SignError,
        sign::{Covered, ToSign},
    },
    wire::{
        LowerName, Name, NameRef, RrType, Ttl,
        message::{Full, Owner, Rcode, Response, Section},
        name::MAX_NAME,
    },
    zone::{
        Chain, Lookup, NodeView, RrsetView, SearchName,
        slot::{Kept, Signed, SignedDenial, Slot},
    },
};

/// How many CNAMEs and DNAMEs are followed in one answer.
const LONGEST_CHAIN: usize = 20;

/// Why an answer was not finished.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// Something needs a signature, and this pass makes none.
    Deferred,
    /// Something that must be there does not fit: TC, with this code.
    Full(Rcode),
    /// A key could not sign.
    Unsignable,
}

impl From<Full> for Stop {
    fn from(Full: Full) -> Self {
        Self::Full(Rcode::NOERROR)
    }
}

/// What an answer is made from.
pub struct Task<'a> {
    /// The zone.
    pub content: &'a Content,
    /// The way in which this answer denies: the zone's, until a flood makes it turn to ranges. It never turns back:
    /// a compact and an exact NSEC of one owner would be one RRset in a message.
    pub way: Cell<Denial>,
    /// The moment of the batch.
    pub now: UnixTime,
    /// Whether signatures may be made.
    pub effort: Effort,
    /// DO: signatures and proofs are wanted.
    pub dnssec_ok: bool,
    /// CO: the real code is wanted with compact denial (RFC 9824 §5.1).
    pub compact_ok: bool,
    /// Signatures of what is in no zone.
    pub synthesised: &'a Synthesised,
    /// How many more of those may be made now; over TCP they are not counted, and nor are those of a zone without
    /// a budget.
    pub budget: Option<&'a Budget>,
    /// The worker's counters.
    pub counters: &'a Counters,
}

/// A place in the chain of CNAMEs: the name looked for, and whether it is the question's own.
struct Hop<'n> {
    name: &'n SearchName,
    first: bool,
}

/// What to do after one name was looked up.
enum Step<'z> {
    Done(Rcode),
    /// The answer ends at this cut, whose glue comes last.
    Refer(NodeView<'z>),
    Follow(Name),
    /// As `Follow`, from a wildcard's CNAME below this closest encloser.
    FollowExpanded(Name, NodeView<'z>),
}

/// Answers `qtype` at `name`, a name of the zone.
///
/// # Errors
/// See [`Stop`].
pub fn resolve(
    task: &Task<'_>,
    name: &SearchName,
    qtype: RrType,
    response: &mut Response<'_>,
) -> Result<Rcode, Stop> {
    let mut visited: Vec<Name> = Vec::new();
    // That no name is closer than a wildcard whose CNAME was followed is proved in the authority section, and so
    // behind the whole answer.
    let mut expanded: Vec<(Name, NodeView<'_>)> = Vec::new();
    let mut step = task.step(&Hop { name, first: true }, qtype, response)?;
    let rcode = loop {
        let target = match step {
            Step::Done(rcode) => break rcode,
            Step::Refer(_) => break Rcode::NOERROR,
            Step::Follow(target) => target,
            Step::FollowExpanded(target, closest_encloser) => {
                let from = visited.last().map_or(name.name(), Name::as_ref);
                expanded.push((from.to_owned(), closest_encloser));
                target
            }
        };
        let at_edge = !target.as_ref().is_at_or_below(task.content.zone.apex());
        // A loop has been told whole once its first name comes again.
        let again = target.as_ref() == name.lower().as_ref() || visited.contains(&target);
        if at_edge || again || visited.len() + 1 >= LONGEST_CHAIN {
            step = Step::Done(Rcode::NOERROR);
            continue;
        }
        let next = SearchName::new(target.as_ref());
        visited.push(target);
        let hop = Hop {
            name: &next,
            first: false,
        };
        step = task.step(&hop, qtype, response)?;
    };
    for (from, closest_encloser) in &expanded {
        let name = SearchName::new(from.as_ref());
        let hop = Hop {
            name: &name,
            first: false,
        };
        task.prove_no_closer_match(&hop, *closest_encloser, response)
            .map_err(with(rcode))?;
    }
    if let Step::Refer(cut) = step {
        task.append_glue(cut, response)?;
    }
    Ok(rcode)
}

impl Task<'_> {
    fn step(&self, hop: &Hop<'_>, qtype: RrType, response: &mut Response<'_>) -> Result<Step<'_>, Stop> {
        match self.content.zone.lookup(hop.name) {
            Lookup::Exact(node) => self.at_node(hop, node, qtype, response),
            Lookup::Wildcard {
                source,
                closest_encloser,
            } => self.at_wildcard(hop, source, closest_encloser, qtype, response),
            Lookup::Redirected(node) => self.redirect(hop, node, qtype, response),
            Lookup::Delegation(cut) if qtype == RrType::DS && cut.name() == hop.name.name() => {
                self.ds_at_cut(hop, cut, response)
            }
            Lookup::Delegation(cut) => {
                if hop.first {
                    response.clear_authoritative();
                }
                self.refer(cut, response)?;
                Ok(Step::Refer(cut))
            }
            Lookup::NameError { closest_encloser } => self.name_error(hop, closest_encloser, qtype, response),
        }
    }

    // ---- what exists ----

    fn at_node(
        &self,
        hop: &Hop<'_>,
        node: NodeView<'_>,
        qtype: RrType,
        response: &mut Response<'_>,
    ) -> Result<Step<'static>, Stop> {
        if let Some(set) = node.rrset(qtype) {
            self.append_rrset(hop, node, set, response)?;
            return Ok(Step::Done(Rcode::NOERROR));
        }
        match qtype {
            RrType::ANY if !node.is_empty() => {
                self.append_rrset(hop, node, subset(node), response)?;
                return Ok(Step::Done(Rcode::NOERROR));
            }
            RrType::NSEC if self.has_nsec(node) => {
                self.append_matching_denial(Section::Answer, node, response)?;
                return Ok(Step::Done(Rcode::NOERROR));
            }
            RrType::RRSIG if self.content.is_signed() && (node.has_signed_data() || self.has_nsec(node)) => {
                self.append_signatures_only(hop, node, response)?;
                return Ok(Step::Done(Rcode::NOERROR));
            }
            // With NSEC3 an NSEC is a type like another: a CNAME leads on.
            _ => {
                if let Some(cname) = node.rrset(RrType::CNAME) {
                    self.append_rrset(hop, node, cname, response)?;
                    return Ok(follow(cname));
                }
            }
        }
        self.append_soa(response)?;
        if self.dnssec_ok {
            self.prove_no_data(node, response)?;
        }
        Ok(Step::Done(Rcode::NOERROR))
    }

    /// Whether an NSEC stands at this name: in compact denial at every name, in a chain at those that own one.
    fn has_nsec(&self, node: NodeView<'_>) -> bool {
        match self.way() {
            Denial::Compact => self.content.is_signed(),
            Denial::Nsec => node.owns_nsec(),
            Denial::Nsec3 => false,
        }
    }

    fn append_rrset(
        &self,
        hop: &Hop<'_>,
        node: NodeView<'_>,
        set: RrsetView<'_>,
        response: &mut Response<'_>,
    ) -> Result<(), Stop> {
        let owner = hop.owner(node.name());
        self.append_signed(Section::Answer, owner, node, set, response)
    }

    /// An explicit question for RRSIG gets those of one RRset, as RFC 8482 §4.1 has it for ANY: a subset. A name
    /// without signed data has, in compact denial, that of its NSEC.
    fn append_signatures_only(
        &self,
        hop: &Hop<'_>,
        node: NodeView<'_>,
        response: &mut Response<'_>,
    ) -> Result<(), Stop> {
        let owner = hop.owner(node.name());
        if node.has_signed_data() {
            let set = subset(node);
            return self
                .with_signed(node, set, |signed| {
                    let covered = covered(node.name(), set.rtype(), set.ttl());
                    self.append_signatures(Section::Answer, owner, covered, set.ttl(), signed, response)
                })?
                .map_err(Stop::from);
        }
        let ttl = self.content.zone.negative_ttl();
        self.with_denial(node, |denial| {
            let covered = covered(node.name(), RrType::NSEC, ttl);
            self.append_signatures(Section::Answer, owner, covered, ttl, &denial.signed, response)
        })?
        .map_err(Stop::from)
    }

    fn ds_at_cut(
        &self,
        hop: &Hop<'_>,
        cut: NodeView<'_>,
        response: &mut Response<'_>,
    ) -> Result<Step<'static>, Stop> {
        if let Some(ds) = cut.rrset(RrType::DS) {
            self.append_rrset(hop, cut, ds, response)?;
        } else {
            self.append_soa(response)?;
            if self.dnssec_ok {
                self.append_matching_denial(Section::Authority, cut, response)?;
            }
        }
        Ok(Step::Done(Rcode::NOERROR))
    }

    // ---- referrals ----

    fn refer(&self, cut: NodeView<'_>, response: &mut Response<'_>) -> Result<(), Stop> {
        let Some(ns) = cut.rrset(RrType::NS) else {
            return Err(Stop::Unsignable);
        };
        let owner = Owner::Name(cut.name());
        response.append(Section::Authority, owner, RrType::NS, ns.ttl(), ns.rdatas())?;
        if self.dnssec_ok {
            match cut.rrset(RrType::DS) {
                Some(ds) => self.append_signed(Section::Authority, owner, cut, ds, response)?,
                None => self.append_matching_denial(Section::Authority, cut, response)?,
            }
        }
        Ok(())
    }

    /// Addresses of the child's servers: without those at or below the cut nobody can reach it, so they must fit
    /// (RFC 9471 §3.1); others in the zone help.
    fn append_glue(&self, cut: NodeView<'_>, response: &mut Response<'_>) -> Result<(), Stop> {
        let Some(ns) = cut.rrset(RrType::NS) else {
            return Err(Stop::Unsignable);
        };
        let apex = self.content.zone.apex();
        for rdata in ns.rdatas() {
            let target = NameRef::from_trusted(rdata);
            if !target.is_at_or_below(apex) {
                continue;
            }
            let lower = target.to_lower();
            let Some(node) = self.content.zone.node(lower.as_ref()) else {
                continue;
            };
            for rtype in [RrType::A, RrType::AAAA] {
                let Some(set) = node.rrset(rtype) else { continue };
                let appended = response.append(
                    Section::Additional,
                    Owner::Name(target),
                    rtype,
                    set.ttl(),
                    set.rdatas(),
                );
                if appended.is_err() && target.is_at_or_below(cut.name()) {
                    return Err(Stop::Full(Rcode::NOERROR));
                }
            }
        }
        Ok(())
    }

    // ---- DNAME ----

    fn redirect(
        &self,
        hop: &Hop<'_>,
        node: NodeView<'_>,
        qtype: RrType,
        response: &mut Response<'_>,
    ) -> Result<Step<'static>, Stop> {
        let Some(dname) = node.rrset(RrType::DNAME) else {
            return Err(Stop::Unsignable);
        };
        let Some(target) = dname.first_target() else {
            return Err(Stop::Unsignable);
        };
        // A chain may come by the same DNAME again; it is told once.
        if hop.first || !response.holds(node.name(), RrType::DNAME) {
            self.append_signed(Section::Answer, Owner::Name(node.name()), node, dname, response)?;
        }
        let asked = hop.name.name().as_wire();
        let front = &asked[..asked.len() - node.name().len()];
        if front.len() + target.len() > MAX_NAME {
            return Ok(Step::Done(Rcode::YXDOMAIN));
        }
        let mut substituted = front.to_vec();
        substituted.extend_from_slice(target.as_wire());
        let Ok(target) = Name::from_wire(&substituted) else {
            return Err(Stop::Unsignable);
        };
        // The CNAME is not signed: it follows from the DNAME (RFC 6672 §5.3.1).
        let rdata = [target.as_wire()];
        response.append(
            Section::Answer,
            hop.owner(hop.name.name()),
            RrType::CNAME,
            dname.ttl(),
            rdata,
        )?;
        if qtype == RrType::CNAME || qtype == RrType::ANY {
            return Ok(Step::Done(Rcode::NOERROR));
        }
        Ok(Step::Follow(target))
    }

    // ---- wildcards ----

    fn at_wildcard<'z>(
        &self,
        hop: &Hop<'_>,
        source: NodeView<'_>,
        closest_encloser: NodeView<'z>,
        qtype: RrType,
        response: &mut Response<'_>,
    ) -> Result<Step<'z>, Stop> {
        let set = match qtype {
            RrType::ANY if !source.is_empty() => Some(subset(source)),
            _ => source.rrset(qtype),
        };
        if let Some(set) = set {
            self.append_expanded(hop, source, set, response)?;
            if self.dnssec_ok {
                self.prove_no_closer_match(hop, closest_encloser, response)?;
            }
            return Ok(Step::Done(Rcode::NOERROR));
        }
        let told = matches!(qtype, RrType::NSEC | RrType::RRSIG)
            && self.content.is_signed()
            && self.expand_denial(hop, source, closest_encloser, qtype, response)?;
        if told {
            return Ok(Step::Done(Rcode::NOERROR));
        }
        if let Some(cname) = source.rrset(RrType::CNAME) {
            self.append_expanded(hop, source, cname, response)?;
            return Ok(match follow(cname) {
                Step::Follow(target) if self.dnssec_ok => Step::FollowExpanded(target, closest_encloser),
                other => other,
            });
        }
        self.append_soa(response)?;
        if self.dnssec_ok {
            self.prove_wildcard_no_data(hop, source, closest_encloser, response)?;
        }
        Ok(Step::Done(Rcode::NOERROR))
    }

    /// The wildcard's RRset at the name that was asked, without the proof that no closer name is there.
    fn append_expanded(
        &self,
        hop: &Hop<'_>,
        source: NodeView<'_>,
        set: RrsetView<'_>,
        response: &mut Response<'_>,
    ) -> Result<(), Stop> {
        let owner = hop.owner(hop.name.name());
        response.append(Section::Answer, owner, set.rtype(), set.ttl(), set.rdatas())?;
        if !self.dnssec_ok {
            return Ok(());
        }
        if self.way_of_made_up() == Denial::Compact {
            // As if the name were there (RFC 9824 §3.3).
            let signed = self.synthesise(hop.name.lower(), set.rtype(), set.ttl(), set.rdatas())?;
            let covered = covered(hop.name.name(), set.rtype(), set.ttl());
            return Ok(self.append_signatures(
                Section::Answer,
                owner,
                covered,
                set.ttl(),
                &signed,
                response,
            )?);
        }
        self.with_signed(source, set, |signed| {
            let covered = covered(source.name(), set.rtype(), set.ttl());
            self.append_signatures(Section::Answer, owner, covered, set.ttl(), signed, response)
        })?
        .map_err(Stop::from)
    }

    /// An explicit question for NSEC or RRSIG at a name that a wildcard stands in for. The bitmap says that both
    /// are there, so a denial would contradict itself.
    fn expand_denial(
        &self,
        hop: &Hop<'_>,
        source: NodeView<'_>,
        closest_encloser: NodeView<'_>,
        qtype: RrType,
        response: &mut Response<'_>,
    ) -> Result<bool, Stop> {
        let (owner, ttl) = (hop.owner(hop.name.name()), self.content.zone.negative_ttl());
        let way = if self.dnssec_ok || qtype == RrType::RRSIG {
            self.way_of_made_up()
        } else {
            self.way()
        };
        match (way, qtype) {
            (Denial::Compact, _) => {
                let rdata = self.compact_rdata(hop.name.lower(), self.content.types_at(source));
                self.append_compact(hop, &rdata, qtype, Section::Answer, response)?;
            }
            (Denial::Nsec, RrType::NSEC) if source.owns_nsec() => {
                self.with_denial(source, |denial| {
                    response.append(Section::Answer, owner, RrType::NSEC, ttl, [denial.rdata()])?;
                    if self.dnssec_ok {
                        let covered = covered(source.name(), RrType::NSEC, ttl);
                        self.append_signatures(
                            Section::Answer,
                            owner,
                            covered,
                            ttl,
                            &denial.signed,
                            response,
                        )?;
                    }
                    Ok::<_, Full>(())
                })??;
                if self.dnssec_ok {
                    self.prove_no_closer_match(hop, closest_encloser, response)?;
                }
            }
            (_, RrType::RRSIG) if source.has_signed_data() => {
                let set = subset(source);
                self.with_signed(source, set, |signed| {
                    let covered = covered(source.name(), set.rtype(), set.ttl());
                    self.append_signatures(Section::Answer, owner, covered, set.ttl(), signed, response)
                })??;
                if self.dnssec_ok {
                    self.prove_no_closer_match(hop, closest_encloser, response)?;
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    // ---- what does not exist ----

    fn name_error(
        &self,
        hop: &Hop<'_>,
        closest_encloser: NodeView<'_>,
        qtype: RrType,
        response: &mut Response<'_>,
    ) -> Result<Step<'static>, Stop> {
        if !self.dnssec_ok {
            self.append_soa(response)?;
            return Ok(Step::Done(Rcode::NXDOMAIN));
        }
        let way = self.way_of_made_up();
        let rcode = self.name_error_rcode();
        match way {
            Denial::Compact => {
                let types = [RrType::RRSIG, RrType::NSEC, RrType::NXNAME];
                let rdata = self.compact_rdata(hop.name.lower(), types);
                if matches!(qtype, RrType::NSEC | RrType::RRSIG) {
                    self.append_compact(hop, &rdata, qtype, Section::Answer, response)?;
                    return Ok(Step::Done(Rcode::NOERROR));
                }
                self.append_soa(response).map_err(with(rcode))?;
                self.append_compact(hop, &rdata, RrType::NSEC, Section::Authority, response)
                    .map_err(with(rcode))?;
            }
            Denial::Nsec => {
                self.append_soa(response).map_err(with(rcode))?;
                let covering = self.content.covering(hop.name);
                self.append_matching_denial(Section::Authority, covering, response)
                    .map_err(with(rcode))?;
                let wildcard = wildcard_of(closest_encloser);
                let covering_wildcard = self.content.covering(&SearchName::new(wildcard.as_ref()));
                if covering_wildcard.name() != covering.name() {
                    self.append_matching_denial(Section::Authority, covering_wildcard, response)
                        .map_err(with(rcode))?;
                }
            }
            Denial::Nsec3 => {
                self.append_soa(response).map_err(with(rcode))?;
                self.append_matching_denial(Section::Authority, closest_encloser, response)
                    .map_err(with(rcode))?;
                let (closer, wildcard) = (next_closer(hop, closest_encloser), wildcard_of(closest_encloser));
                for name in [closer, wildcard.as_ref()] {
                    self.append_nsec3_cover(name, response).map_err(with(rcode))?;
                }
            }
        }
        Ok(Step::Done(rcode))
    }

    /// With DO and without CO, compact denial says NOERROR, for its proof is of a name without types
    /// (RFC 9824 §3.1, §5.1).
    fn name_error_rcode(&self) -> Rcode {
        if self.way() == Denial::Compact && !self.compact_ok {
            Rcode::NOERROR
        } else {
            Rcode::NXDOMAIN
        }
    }

    fn append_soa(&self, response: &mut Response<'_>) -> Result<(), Stop> {
        let apex = self.content.zone.apex();
        if !self.dnssec_ok {
            return match &self.content.soa_plain {
                Some(block) => Ok(block.append(apex, response)?),
                None => self.append_soa_records(response),
            };
        }
        let kept = self.content.soa_block.load();
        if let Some(block) = kept
            .as_ref()
            .filter(|block| block.is_good(self.content.signer.issuer, self.now))
        {
            return Ok(block.append(apex, response)?);
        }
        let (node, soa) = (self.content.zone.apex_node(), self.content.zone.soa());
        let signed = soa
            .slot()
            .load_full()
            .filter(|signed| self.is_good(signed, soa.ttl()));
        let signed = match signed {
            Some(signed) => signed,
            None => self.make(|| self.content.sign_rrset(node, soa, self.now))?,
        };
        match SoaBlock::new(&self.content.zone, Some((&self.content.signer, signed))).map(Arc::new) {
            Some(block) => {
                self.content.soa_block.store(Some(Arc::clone(&block)));
                Ok(block.append(apex, response)?)
            }
            None => self.append_soa_records(response),
        }
    }

    /// The SOA record by record, for a zone with more keys than a block has room for.
    fn append_soa_records(&self, response: &mut Response<'_>) -> Result<(), Stop> {
        let zone = &self.content.zone;
        let (apex, soa, ttl) = (zone.apex_node(), zone.soa(), zone.negative_ttl());
        let owner = Owner::Name(apex.name());
        response.append(Section::Authority, owner, RrType::SOA, ttl, soa.rdatas())?;
        if self.dnssec_ok {
            self.with_signed(apex, soa, |signed| {
                let covered = covered(apex.name(), RrType::SOA, soa.ttl());
                self.append_signatures(Section::Authority, owner, covered, ttl, signed, response)
            })??;
        }
        Ok(())
    }

    fn prove_no_data(&self, node: NodeView<'_>, response: &mut Response<'_>) -> Result<(), Stop> {
        let proof = match self.way() {
            // An empty non-terminal owns no NSEC in a chain: the one before it covers it.
            Denial::Nsec if !node.owns_nsec() => self.content.covering(&SearchName::new(node.name())),
            _ => node,
        };
        self.append_matching_denial(Section::Authority, proof, response)
    }

    fn prove_wildcard_no_data(
        &self,
        hop: &Hop<'_>,
        source: NodeView<'_>,
        closest_encloser: NodeView<'_>,
        response: &mut Response<'_>,
    ) -> Result<(), Stop> {
        match self.way_of_made_up() {
            Denial::Compact => {
                let rdata = self.compact_rdata(hop.name.lower(), self.content.types_at(source));
                self.append_compact(hop, &rdata, RrType::NSEC, Section::Authority, response)
            }
            Denial::Nsec => {
                let proof = if source.owns_nsec() {
                    source
                } else {
                    self.content.covering(&SearchName::new(source.name()))
                };
                self.append_matching_denial(Section::Authority, proof, response)?;
                let covering = self.content.covering(hop.name);
                if covering.name() != proof.name() {
                    self.append_matching_denial(Section::Authority, covering, response)?;
                }
                Ok(())
            }
            Denial::Nsec3 => {
                self.append_matching_denial(Section::Authority, closest_encloser, response)?;
                self.append_nsec3_cover(next_closer(hop, closest_encloser), response)?;
                self.append_matching_denial(Section::Authority, source, response)
            }
        }
    }

    /// That no name is closer than the wildcard (RFC 4035 §3.1.3.3, RFC 5155 §7.2.6).
    fn prove_no_closer_match(
        &self,
        hop: &Hop<'_>,
        closest_encloser: NodeView<'_>,
        response: &mut Response<'_>,
    ) -> Result<(), Stop> {
        match self.way() {
            Denial::Compact => Ok(()),
            Denial::Nsec => {
                let covering = self.content.covering(hop.name);
                if response.holds(covering.name(), RrType::NSEC) {
                    return Ok(());
                }
                self.append_matching_denial(Section::Authority, covering, response)
            }
            Denial::Nsec3 => self.append_nsec3_cover(next_closer(hop, closest_encloser), response),
        }
    }

    // ---- records of denial ----

    fn append_matching_denial(
        &self,
        section: Section,
        node: NodeView<'_>,
        response: &mut Response<'_>,
    ) -> Result<(), Stop> {
        let ttl = self.content.zone.negative_ttl();
        let hashed;
        let (name, rtype) = if self.way() == Denial::Nsec3 {
            hashed = self.content.nsec3_owner(self.content.nsec3.hash(node.name()));
            (hashed.as_ref(), RrType::NSEC3)
        } else {
            (node.name(), RrType::NSEC)
        };
        let owner = if response.is_question(name) {
            Owner::Question
        } else {
            Owner::Name(name)
        };
        if !self.dnssec_ok {
            let (.., rdata) = self.content.matching_denial(self.way(), node);
            return Ok(response.append(section, owner, rtype, ttl, [rdata.as_slice()])?);
        }
        self.with_denial(node, |denial| {
            response.append(section, owner, rtype, ttl, [denial.rdata()])?;
            self.append_signatures(
                section,
                owner,
                covered(name, rtype, ttl),
                ttl,
                &denial.signed,
                response,
            )
        })?
        .map_err(Stop::from)
    }

    fn compact_rdata(&self, name: &LowerName, types: impl IntoIterator<Item = RrType>) -> Vec<u8> {
        let next = compact::next_name(name.as_ref(), self.content.zone.apex());
        nsec_rdata(next.as_ref(), types)
    }

    /// A compact NSEC at the name looked for, with its signature; or its signature alone, when RRSIG was asked for.
    fn append_compact(
        &self,
        hop: &Hop<'_>,
        rdata: &[u8],
        rtype: RrType,
        section: Section,
        response: &mut Response<'_>,
    ) -> Result<(), Stop> {
        let (owner, ttl) = (hop.owner(hop.name.name()), self.content.zone.negative_ttl());
        if rtype == RrType::NSEC {
            response.append(section, owner, RrType::NSEC, ttl, [rdata])?;
        }
        if self.dnssec_ok || rtype == RrType::RRSIG {
            let signed = self.synthesise(hop.name.lower(), RrType::NSEC, ttl, [rdata])?;
            let covered = covered(hop.name.name(), RrType::NSEC, ttl);
            self.append_signatures(section, owner, covered, ttl, &signed, response)?;
        }
        Ok(())
    }

    fn append_nsec3_cover(&self, name: NameRef<'_>, response: &mut Response<'_>) -> Result<(), Stop> {
        let hash: nsec3::Hash = self.content.nsec3.hash(name);
        let name = self.content.nsec3_owner(hash.previous());
        if response.holds(name.as_ref(), RrType::NSEC3) {
            return Ok(());
        }
        let rdata = self.content.nsec3.rdata(hash.next(), []);
        let ttl = self.content.zone.negative_ttl();
        let signed = self.synthesise(&name, RrType::NSEC3, ttl, [rdata.as_slice()])?;
        let owner = Owner::Name(name.as_ref());
        response.append(Section::Authority, owner, RrType::NSEC3, ttl, [rdata.as_slice()])?;
        let covered = covered(name.as_ref(), RrType::NSEC3, ttl);
        Ok(self.append_signatures(Section::Authority, owner, covered, ttl, &signed, response)?)
    }

    // ---- signatures ----

    /// An RRset of the zone, with its signatures when they are wanted.
    fn append_signed(
        &self,
        section: Section,
        owner: Owner<'_>,
        node: NodeView<'_>,
        set: RrsetView<'_>,
        response: &mut Response<'_>,
    ) -> Result<(), Stop> {
        response.append(section, owner, set.rtype(), set.ttl(), set.rdatas())?;
        if !self.dnssec_ok {
            return Ok(());
        }
        self.with_signed(node, set, |signed| {
            let covered = covered(node.name(), set.rtype(), set.ttl());
            self.append_signatures(section, owner, covered, set.ttl(), signed, response)
        })?
        .map_err(Stop::from)
    }

    /// The RRSIG records of an RRset; `ttl` is what it is served with.
    fn append_signatures(
        &self,
        section: Section,
        owner: Owner<'_>,
        covered: Covered,
        ttl: Ttl,
        signed: &Signed,
        response: &mut Response<'_>,
    ) -> Result<(), Full> {
        response.append_written(section, owner, (RrType::RRSIG, ttl), signed.len(), |key, out| {
            self.content.signer.push_rrsig(covered, signed, key, out);
        })
    }

    /// Hands the signatures of an RRset to `use_it`: from its slot when they are good, else made now.
    fn with_signed<T>(
        &self,
        node: NodeView<'_>,
        set: RrsetView<'_>,
        use_it: impl FnOnce(&Signed) -> T,
    ) -> Result<T, Stop> {
        let kept = set.slot().load();
        match &*kept {
            Some(signed) if self.is_good(signed, set.ttl()) => Ok(use_it(signed)),
            _ => Ok(use_it(
                &*self.make(|| self.content.sign_rrset(node, set, self.now))?,
            )),
        }
    }

    /// Hands the signed NSEC or NSEC3 that matches a name to `use_it`.
    fn with_denial<T>(&self, node: NodeView<'_>, use_it: impl FnOnce(&SignedDenial) -> T) -> Result<T, Stop> {
        if self.has_turned() {
            return self.with_range(node, use_it);
        }
        let ttl = self.content.zone.negative_ttl();
        let kept = node.denial().load();
        match &*kept {
            Some(denial) if denial.signed.is_good(self.content.denial_issuer, ttl, self.now) => {
                Ok(use_it(denial))
            }
            _ => Ok(use_it(&*self.make(|| self.content.sign_denial(node, self.now))?)),
        }
    }

    /// Hands the signed exact NSEC of a name to `use_it`. There are as many as names, yet a flood can ask for all of
    /// them, so they are paid for like what is synthesised.
    fn with_range<T>(&self, node: NodeView<'_>, use_it: impl FnOnce(&SignedDenial) -> T) -> Result<T, Stop> {
        let ttl = self.content.zone.negative_ttl();
        let chain = self.content.zone.sorted_chain().map(Chain::id);
        let slot = node.range().map(Slot::load);
        let kept = slot.as_ref().and_then(|kept| kept.as_ref()).filter(|kept| {
            let signed = &kept.denial.signed;
            Some(kept.chain) == chain && signed.is_good(self.content.denial_issuer, ttl, self.now)
        });
        if let Some(kept) = kept {
            return Ok(use_it(&kept.denial));
        }
        if self.effort == Effort::Full && self.budget.is_some_and(|budget| !budget.take_for_name()) {
            return Err(self.over_budget());
        }
        let made = self.make(|| self.content.sign_range(node, self.now))?;
        Ok(use_it(&made.denial))
    }

    /// Signs an RRset that no zone holds.
    fn synthesise<'r, R>(
        &self,
        owner: &LowerName,
        rtype: RrType,
        ttl: Ttl,
        rdatas: R,
    ) -> Result<Kept<Signed>, Stop>
    where
        R: IntoIterator<Item = &'r [u8]> + Clone,
    {
        let signer = &self.content.signer;
        let key = self
            .synthesised
            .key(signer.issuer, owner.as_ref(), rtype, ttl, rdatas.clone());
        if let Some(signed) = self
            .synthesised
            .get(&key)
            .filter(|signed| self.is_good(signed, ttl))
        {
            return Ok(signed);
        }
        if self.effort == Effort::Full && self.budget.is_some_and(|budget| !budget.take()) {
            return Err(self.over_budget());
        }
        let signed = self.make(|| {
            signer
                .sign(
                    &ToSign {
                        owner,
                        rtype,
                        ttl,
                        rdatas,
                    },
                    self.now,
                )
                .map(Kept::new)
        })?;
        self.synthesised.insert(&key, Kept::clone(&signed));
        Ok(signed)
    }

    // ---- overload ----

    /// The way in which the answer denies so far.
    fn way(&self) -> Denial {
        self.way.get()
    }

    /// Whether the answer left the zone's own way of denial for ranges.
    pub fn has_turned(&self) -> bool {
        self.way() != self.content.denial
    }

    /// The way in which to answer for a name that is not in the zone, where the compact one needs a signature made for
    /// that name: in a flood the answer turns to ranges, if the zone may and its names are sorted by now.
    fn way_of_made_up(&self) -> Denial {
        let may_turn = self.way() == Denial::Compact && self.content.beyond == Beyond::Ranges;
        let Some(budget) = self.budget.filter(|_| may_turn) else {
            return self.way();
        };
        if !budget.is_overloaded() && (self.effort == Effort::AtHand || budget.has_room()) {
            return Denial::Compact;
        }
        self.content.mark_flooded();
        if self.content.zone.sorted_chain().is_some() {
            budget.note();
            self.way.set(Denial::Nsec);
        }
        self.way()
    }

    /// Too many synthesised signatures are asked for: TC, and an honest resolver comes again over TCP.
    fn over_budget(&self) -> Stop {
        count(&self.counters.over_budget);
        self.content.mark_flooded();
        Stop::Full(Rcode::NOERROR)
    }

    fn is_good(&self, signed: &Signed, ttl: Ttl) -> bool {
        signed.is_good(self.content.signer.issuer, ttl, self.now)
    }

    fn make<T>(&self, sign: impl FnOnce() -> Result<Kept<T>, SignError>) -> Result<Kept<T>, Stop> {
        if self.effort == Effort::AtHand {
            return Err(Stop::Deferred);
        }
        count(&self.counters.signed);
        sign().map_err(|error| {
            tracing::error!(zone = %self.content.zone.apex(), %error, "a key cannot sign; answering SERVFAIL");
            Stop::Unsignable
        })
    }
}

/// What the signatures of an RRset at `owner` say of it; `owner` is the wildcard itself for its expansions.
fn covered(owner: NameRef<'_>, rtype: RrType, ttl: Ttl) -> Covered {
    Covered {
        rtype,
        labels: owner.rrsig_labels(),
        ttl,
    }
}

impl Hop<'_> {
    /// The owner of records at this hop's name.
    fn owner<'a>(&self, name: NameRef<'a>) -> Owner<'a> {
        if self.first {
            Owner::Question
        } else {
            Owner::Name(name)
        }
    }
}

/// A truncated answer keeps the code it would have had.
fn with(rcode: Rcode) -> impl Fn(Stop) -> Stop {
    move |stop| {
        if let Stop::Full(_) = stop {
            Stop::Full(rcode)
        } else {
            stop
        }
    }
}

fn follow(cname: RrsetView<'_>) -> Step<'static> {
    match cname.first_target() {
        Some(target) => Step::Follow(target.to_lowercase()),
        None => Step::Done(Rcode::NOERROR),
    }
}

/// The one RRset that answers ANY (RFC 8482 §4.1): a CNAME, else the smallest that is signed and tells something.
fn subset(node: NodeView<'_>) -> RrsetView<'_> {
    node.rrsets()
        .filter(|set| !node.is_cut() || set.rtype() == RrType::DS)
        .min_by_key(|set| {
            (
                set.rtype() != RrType::CNAME,
                set.rtype() == RrType::NSEC3PARAM,
                set.octets().len(),
            )
        })
        .expect("asked only of names that have data")
}

/// The ancestor of the name asked that is one label below the closest encloser (RFC 5155 §1.3).
fn next_closer<'n>(hop: &'n Hop<'_>, closest_encloser: NodeView<'_>) -> NameRef<'n> {
    hop.name.suffix(closest_encloser.name().label_count() + 1)
}

/// `*` below the closest encloser, which is shorter than a name below it, so there is room.
fn wildcard_of(closest_encloser: NodeView<'_>) -> LowerName {
    let name = closest_encloser.name().as_wire();
    let mut buffer = [0; MAX_NAME + 2];
    buffer[..2].copy_from_slice(&[1, b'*']);
    buffer[2..2 + name.len()].copy_from_slice(name);
    LowerName::from_trusted(&buffer[..2 + name.len()])
}
