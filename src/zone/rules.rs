//! What may stand in a zone, and at one name of it. A load and a change ask here, so that they agree.

use super::{build::Severity, is_of_a_signer, shard::NodeFlags};
use crate::wire::{NameRef, RrType};

/// The most octets of an RRset: what a message of 65,535 holds besides its header, the question, OPT, and two
/// signatures of the longest kind.
pub(super) const LARGEST_RRSET: usize = 65_535 - 12 - 259 - 64 - 2 * (12 + 18 + 255 + 512);

/// What becomes of a record that a source of content has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Import {
    /// It is content.
    Content,
    /// It is another signer's work, and this server makes its own: signatures and denials anywhere, key sets and
    /// digests at the apex.
    OtherSigner,
    /// A DS at the apex is the parent's (RFC 4035 §2.4).
    Parents,
}

/// Judges a record whose owner is in the zone.
pub(super) fn import(rtype: RrType, at_apex: bool) -> Import {
    match rtype {
        RrType::DS if at_apex => Import::Parents,
        _ if is_of_a_signer(rtype, at_apex) => Import::OtherSigner,
        _ => Import::Content,
    }
}

/// An RRset of a name that is judged: its type, and whether its records differ from each other.
pub(super) type TypeAt = (RrType, bool);

/// What is wrong with a name, at its RRset of this type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fault {
    pub(super) severity: Severity,
    pub(super) rtype: RrType,
    pub(super) what: String,
}

/// The flags that follow from the types at a name, and what is wrong with them (RFC 2181 §10.1, RFC 6672 §2.4,
/// RFC 4592 §4.2 and §4.4).
pub(super) fn judge(owner: NameRef<'_>, apex: NameRef<'_>, types: &[TypeAt]) -> (NodeFlags, Vec<Fault>) {
    let mut flags = 0;
    let mut faults = Vec::new();
    let mut fault = |severity, rtype, what: String| {
        faults.push(Fault {
            severity,
            rtype,
            what,
        });
    };
    let differ = |wanted: RrType| {
        let found = types.iter().find(|(rtype, _)| *rtype == wanted);
        found.map(|(_, differ)| *differ)
    };
    let at_apex = owner.len() == apex.len();
    if let Some(several) = differ(RrType::CNAME) {
        flags |= NodeFlags::CNAME;
        if types.len() > 1 {
            let what = format!(
                "{owner} has a CNAME and other data; a CNAME must be alone at its name (RFC 2181 §10.1)"
            );
            fault(Severity::Error, RrType::CNAME, what);
        } else if several {
            let what = format!("{owner} has more than one CNAME; keep one (RFC 2181 §10.1)");
            fault(Severity::Error, RrType::CNAME, what);
        }
    }
    if let Some(several) = differ(RrType::DNAME) {
        if owner.is_wildcard() {
            let what = format!("{owner} is a wildcard with a DNAME, which redirects nothing (RFC 4592 §4.4)");
            fault(Severity::Warning, RrType::DNAME, what);
        } else {
            flags |= NodeFlags::DNAME;
        }
        if several {
            let what = format!("{owner} has more than one DNAME; keep one (RFC 6672 §2.4)");
            fault(Severity::Error, RrType::DNAME, what);
        }
    }
    if !at_apex && differ(RrType::NS).is_some() {
        flags |= NodeFlags::CUT;
        if owner.is_wildcard() {
            let what = format!(
                "{owner} is a wildcard with NS, which means nothing (RFC 4592 §4.2); delegate names one by one"
            );
            fault(Severity::Error, RrType::NS, what);
        }
        let childs = |rtype: RrType| !matches!(rtype, RrType::NS | RrType::DS | RrType::A | RrType::AAAA);
        if let Some((beside, _)) = types.iter().find(|(rtype, _)| childs(*rtype)) {
            let what =
                format!("{owner} {beside} is at a zone cut and belongs to the child; it is not served");
            fault(Severity::Warning, *beside, what);
        }
    }
    if !at_apex && differ(RrType::SOA).is_some() {
        let what = format!("{owner} has a SOA and is not the zone's name {apex}; is the origin right?");
        fault(Severity::Error, RrType::SOA, what);
    }
    (NodeFlags(flags), faults)
}

/// What the apex lacks, or has too often: one SOA, and NS (RFC 1035 §5.2).
pub(super) fn judge_apex(apex: NameRef<'_>, types: &[TypeAt]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |rtype, what| {
        faults.push(Fault {
            severity: Severity::Error,
            rtype,
            what,
        });
    };
    match types.iter().find(|(rtype, _)| *rtype == RrType::SOA) {
        None => fault(RrType::SOA, format!("{apex} has no SOA; a zone begins with one")),
        Some((_, true)) => fault(RrType::SOA, format!("{apex} has more than one SOA; keep one")),
        Some(_) => {}
    }
    if types.iter().all(|(rtype, _)| *rtype != RrType::NS) {
        fault(RrType::NS, format!("{apex} has no NS records; name its servers"));
    }
    faults
}

/// Why an RRset with `octets` of rdata, their lengths counted, in `count` records is too large, when it is. Owner
/// pointer, type, class and TTL take ten octets a record.
pub(super) fn too_large(owner: NameRef<'_>, rtype: RrType, octets: usize, count: usize) -> Option<String> {
    (octets + 10 * count > LARGEST_RRSET).then(|| {
        format!(
            "{owner} {rtype} is too large for any message with its signatures; make it smaller (at most {LARGEST_RRSET} octets)"
        )
    })
}
