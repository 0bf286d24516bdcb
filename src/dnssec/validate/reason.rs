//! Why an answer is bogus or insecure, each as a sentence that names the records it is about.

use std::fmt;

use crate::{
    clock::UnixTime,
    dnssec::algorithm::Algorithm,
    wire::{Name, RrType, message::Rcode},
};

/// Why a resolver refuses an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Bogus {
    /// It is not an answer at all: an error code.
    Code(Rcode),
    /// It is cut, so nothing in it can be relied on.
    Cut,
    /// It is about another question, or no response.
    Stray,
    /// An RRset without a signature.
    Unsigned {
        /// Its owner.
        owner: Name,
        /// Its type.
        rtype: RrType,
    },
    /// No signature of an RRset is good.
    Signatures {
        /// Its owner.
        owner: Name,
        /// Its type.
        rtype: RrType,
        /// What is wrong with each.
        faults: Vec<BadSignature>,
    },
    /// A validator that demands every algorithm finds one without a good signature.
    AlgorithmMissing {
        /// The RRset's owner.
        owner: Name,
        /// Its type.
        rtype: RrType,
        /// The algorithm that it lacks.
        algorithm: Algorithm,
    },
    /// A CNAME that is not what the DNAME above it makes of the name (RFC 6672 §2.2).
    Substitution {
        /// The CNAME's owner.
        owner: Name,
    },
    /// Data made from a wildcard, and nothing shows that there is nothing closer (RFC 4035 §5.3.4).
    Wildcard {
        /// The name that it was made for.
        owner: Name,
        /// What is amiss.
        missing: Missing,
    },
    /// "No such name" without proof.
    NoName {
        /// The name that is denied.
        name: Name,
        /// What is amiss.
        missing: Missing,
    },
    /// "No such data" without proof.
    NoData {
        /// The name.
        name: Name,
        /// The type that is denied.
        rtype: RrType,
        /// What is amiss.
        missing: Missing,
    },
    /// A referral without a DS, and without proof that there is none (RFC 4035 §5.2).
    Referral {
        /// The cut.
        cut: Name,
        /// What is amiss.
        missing: Missing,
    },
    /// The DNSKEY RRset is not in the answer.
    NoKeys,
    /// No DS leads to a key that signs the DNSKEY RRset.
    Chain(Vec<BrokenLink>),
    /// A validator that wants every algorithm of the DS RRset finds one that leads to no signature
    /// (RFC 4035 §2.2; RFC 6840 §5.11 asks validators not to insist).
    ChainOf(Algorithm),
}

/// One signature that does not help.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadSignature {
    /// The tag of the key that it names.
    pub tag: u16,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// What is wrong.
    pub fault: SignatureFault,
}

/// What is wrong with a signature (RFC 4035 §5.3.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SignatureFault {
    /// No zone key of that tag and algorithm is in the DNSKEY RRset.
    KeyMissing,
    /// The key is there, and revoked (RFC 5011 §2.1).
    KeyRevoked,
    /// Not valid any more.
    Expired(UnixTime),
    /// Not valid yet.
    Early(UnixTime),
    /// It ends before it begins.
    Backwards,
    /// Made by another zone's key, or one that says so.
    Signer(Name),
    /// It says that the owner has more labels than it has.
    Labels,
    /// No algorithm that is known here.
    UnknownAlgorithm,
    /// It does not verify.
    Wrong,
    /// So many signatures and keys of one tag that no resolver tries them all.
    Untried,
}

/// What a denial lacks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Missing {
    /// There is no usable NSEC or NSEC3 at all.
    Everything,
    /// Nothing matches or covers this name.
    Cover(Name),
    /// Nothing covers the wildcard that would answer.
    WildcardCover(Name),
    /// No NSEC3 matches a name above.
    Encloser(Name),
    /// What denies the type says that it is there.
    HasType(RrType),
    /// It says that there is an alias.
    HasCname,
    /// It is of a delegation, so it says nothing of other types than DS (RFC 6840 §4.4).
    Delegation,
    /// It is of the zone below the cut, which knows nothing of the DS (RFC 4035 §5.2).
    ChildSide,
    /// It does not say that there is a delegation.
    NoDelegation,
}

/// Why a DS record leads to nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BrokenLink {
    /// The tag in the DS.
    pub tag: u16,
    /// The algorithm in the DS.
    pub algorithm: Algorithm,
    /// Why.
    pub fault: LinkFault,
}

/// What is wrong with a DS record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkFault {
    /// No key of that tag and algorithm is in the set.
    KeyMissing,
    /// The key is there, and its digest is another.
    Digest,
    /// The key has no ZONE flag, another protocol, or is revoked.
    Unfit,
    /// The key is there, and did not sign the set.
    NoSignature,
    /// Its signature of the set is bad.
    Signature(SignatureFault),
}

/// Why a resolver takes an answer without believing that it is authentic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Insecure {
    /// A delegation without a DS.
    Delegation {
        /// The cut.
        cut: Name,
    },
    /// The name may lie below an unsigned delegation that NSEC3 passed over (RFC 5155 §9.2).
    OptOut,
    /// NSEC3 hashes so often that validators stop (RFC 9276 §3.2).
    Iterations(u16),
    /// Signatures were asked for, and nobody signs those.
    SignaturesAsked,
    /// No DS has an algorithm and a digest that are known here.
    NoKnownDs,
}

impl fmt::Display for Bogus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "the answer is {code}"),
            Self::Cut => f.write_str("the answer is cut"),
            Self::Stray => f.write_str("the answer is not about the question"),
            Self::Unsigned { owner, rtype } => write!(f, "{owner} {rtype} has no signature"),
            Self::Signatures { owner, rtype, faults } => {
                write!(f, "{owner} {rtype} has no good signature: ")?;
                list(f, faults)
            }
            Self::AlgorithmMissing {
                owner,
                rtype,
                algorithm,
            } => {
                write!(
                    f,
                    "{owner} {rtype} has no good signature of algorithm {algorithm}"
                )
            }
            Self::Substitution { owner } => {
                write!(f, "the CNAME at {owner} is not what the DNAME above it gives")
            }
            Self::Wildcard { owner, missing } => {
                write!(f, "{owner} is answered from a wildcard without proof: {missing}")
            }
            Self::NoName { name, missing } => write!(f, "{name} is denied without proof: {missing}"),
            Self::NoData { name, rtype, missing } => {
                write!(f, "{name} {rtype} is denied without proof: {missing}")
            }
            Self::Referral { cut, missing } => {
                write!(
                    f,
                    "the referral to {cut} has no DS and no proof that there is none: {missing}"
                )
            }
            Self::NoKeys => f.write_str("there is no DNSKEY RRset"),
            Self::Chain(links) if links.is_empty() => f.write_str("there is no DS"),
            Self::Chain(links) => {
                f.write_str("no DS leads to a key that signs the DNSKEY RRset: ")?;
                list(f, links)
            }
            Self::ChainOf(algorithm) => {
                write!(
                    f,
                    "no DS of algorithm {algorithm} leads to a key that signs the DNSKEY RRset"
                )
            }
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display]) -> fmt::Result {
    for (number, item) in items.iter().enumerate() {
        let between = if number > 0 { "; " } else { "" };
        write!(f, "{between}{item}")?;
    }
    Ok(())
}

impl fmt::Display for BadSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tag,
            algorithm,
            fault,
        } = self;
        write!(f, "that of key {tag} ({algorithm}) {fault}")
    }
}

impl fmt::Display for SignatureFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyMissing => f.write_str("is by a key that is not in the DNSKEY RRset"),
            Self::KeyRevoked => f.write_str("is by a key that is revoked"),
            Self::Expired(at) => write!(f, "expired at {at}"),
            Self::Early(at) => write!(f, "is valid only from {at}"),
            Self::Backwards => f.write_str("ends before it begins"),
            Self::Signer(name) => write!(f, "names {name} as the signer"),
            Self::Labels => f.write_str("is of a name with more labels"),
            Self::UnknownAlgorithm => f.write_str("is of an algorithm that is not known here"),
            Self::Wrong => f.write_str("does not verify"),
            Self::Untried => f.write_str("was not tried, for there are too many"),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("there is no NSEC and no NSEC3"),
            Self::Cover(name) => write!(f, "nothing covers {name}"),
            Self::WildcardCover(name) => write!(f, "nothing covers the wildcard {name}"),
            Self::Encloser(name) => write!(f, "no NSEC3 matches a name above {name}"),
            Self::HasType(rtype) => write!(f, "the bitmap has {rtype}"),
            Self::HasCname => f.write_str("the bitmap has CNAME"),
            Self::Delegation => f.write_str("the bitmap is that of a delegation"),
            Self::ChildSide => f.write_str("the bitmap is that of the zone below the cut"),
            Self::NoDelegation => f.write_str("the bitmap does not show a delegation"),
        }
    }
}

impl fmt::Display for BrokenLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tag,
            algorithm,
            fault,
        } = self;
        write!(f, "DS {tag} ({algorithm}) {fault}")
    }
}

impl fmt::Display for LinkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyMissing => f.write_str("is of a key that is not in the set"),
            Self::Digest => f.write_str("has another digest than the key of that tag"),
            Self::Unfit => f.write_str("is of a key that may not sign a zone"),
            Self::NoSignature => f.write_str("is of a key that did not sign the set"),
            Self::Signature(fault) => write!(f, "is of a key whose signature of the set {fault}"),
        }
    }
}

impl fmt::Display for Insecure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delegation { cut } => write!(f, "{cut} is delegated without a DS"),
            Self::OptOut => f.write_str("NSEC3 opt-out leaves room for an unsigned delegation"),
            Self::Iterations(count) => write!(f, "NSEC3 hashes {count} times more than once"),
            Self::SignaturesAsked => f.write_str("nobody signs signatures"),
            Self::NoKnownDs => f.write_str("no DS has an algorithm and a digest that are known here"),
        }
    }
}
