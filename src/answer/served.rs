//! A zone as it is served: its content, the keys that sign it, and how it denies.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use arc_swap::ArcSwapOption;

use super::{
    overload::{Beyond, Overload},
    soa_block::SoaBlock,
};
use crate::{
    clock::UnixTime,
    dnssec::{
        denial::{Denial, nsec3},
        key::{Dnskey, SignError, verify},
        keyset::KeySet,
        sign::{Signer, ToSign, Validity},
    },
    wire::{LowerName, Name, NameRef, RrType, Ttl},
    zone::{
        Chain, NodeView, RrsetView, Zone,
        slot::{Kept, Signed, SignedDenial, SignedRange},
    },
};

/// How a zone is signed and denied.
#[derive(Clone, Debug, Default)]
pub struct ZonePolicy {
    /// The way of denial.
    pub denial: Denial,
    /// The validity of signatures; `None`: by the largest TTL (see [`Validity::for_largest_ttl`]).
    pub validity: Option<std::time::Duration>,
    /// The apex NS RRset: the servers of all providers, the same at each of them. Empty: the content's own.
    pub name_servers: Vec<Name>,
    /// What is done when too many synthesised signatures are asked for.
    pub overload: Overload,
    /// Whether other providers sign the zone, whose keys may not be here yet.
    pub is_shared: bool,
}

/// Why a zone cannot be served with these keys.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No key signs the key set.
    #[error(
        "no active key signs the DNSKEY RRset of {apex}; make one with `countersign keys generate {apex}` or import one"
    )]
    NoKeySigner {
        /// The zone.
        apex: Name,
    },
    /// No key signs the data.
    #[error(
        "no active key signs the data of {apex}; make one with `countersign keys generate {apex}` or import one"
    )]
    NoDataSigner {
        /// The zone.
        apex: Name,
    },
    /// What a key signs does not verify with the published key of the same tag.
    #[error(
        "key {tag} of {apex} makes signatures that the published DNSKEY RRset does not verify; it is not used. Are the two halves of its key file of one pair?"
    )]
    SelfCheck {
        /// The zone.
        apex: Name,
        /// The key.
        tag: u16,
    },
    /// A key cannot sign.
    #[error("key {tag} of {apex} cannot sign")]
    Sign {
        /// The zone.
        apex: Name,
        /// The key.
        tag: u16,
        /// Why.
        #[source]
        source: SignError,
    },
    /// The names of NSEC3 records would be longer than 255 octets.
    #[error("{apex} is too long a name for NSEC3; choose denial \"compact\" or \"nsec\"")]
    NameTooLongForNsec3 {
        /// The zone.
        apex: Name,
    },
}

/// One zone of a snapshot.
#[derive(Debug)]
pub struct ServedZone {
    apex: Name,
    content: Result<Content, String>,
}

/// What a zone that can be served is made of.
#[derive(Debug)]
pub struct Content {
    pub(super) zone: Zone,
    pub(super) signer: Signer,
    /// Stands in what is kept of denials. It changes with the negative TTL too, which they are signed with.
    pub(super) denial_issuer: u32,
    pub(super) denial: Denial,
    /// What follows beyond the budget of synthesised signatures.
    pub(super) beyond: Beyond,
    /// A question came beyond the budget, and nobody looked since.
    flooded: AtomicBool,
    pub(super) nsec3: nsec3::Parameters,
    /// The SOA of negative answers to questions without DO, rendered.
    pub(super) soa_plain: Option<SoaBlock>,
    /// The same with its signatures, when they were made.
    pub(super) soa_block: ArcSwapOption<SoaBlock>,
    /// The number from which the issuer follows: equal ones sign and deny alike.
    basis: (u64, Denial, Validity),
}

/// Issuers are numbered once a process, so that none is ever taken for another.
static NEXT_ISSUER: AtomicU32 = AtomicU32::new(1);

/// The apex NS RRset where the policy has one, with the TTL that the content's has.
fn apex_ns<'p>(zone: &Zone, policy: &'p ZonePolicy) -> Option<(RrType, Ttl, Vec<&'p [u8]>)> {
    let own = zone.apex_node().rrset(RrType::NS)?;
    let mut servers: Vec<NameRef<'_>> = policy.name_servers.iter().map(Name::as_ref).collect();
    // Canonical order is that of the octets, not of the names (RFC 4034 §6.3).
    servers.sort_by_cached_key(|server| server.to_lowercase().as_wire().to_vec());
    servers.dedup_by_key(|server| server.to_lowercase());
    let rdatas: Vec<&[u8]> = servers.into_iter().map(NameRef::as_wire).collect();
    (!rdatas.is_empty()).then_some((RrType::NS, own.ttl(), rdatas))
}

fn new_issuer() -> u32 {
    NEXT_ISSUER.fetch_add(1, Ordering::Relaxed)
}

impl ServedZone {
    /// A zone that is answered with SERVFAIL, and why.
    pub fn failed(apex: NameRef<'_>, reason: String) -> Self {
        Self {
            apex: apex.to_lowercase(),
            content: Err(reason),
        }
    }

    /// A zone with its keys. Signatures that `previous` holds for the same RRsets by the same keys go on.
    ///
    /// # Errors
    /// When no key signs, or what one signs does not verify against the published keys.
    pub fn new(
        zone: &Zone,
        keys: Arc<KeySet>,
        policy: &ZonePolicy,
        now: UnixTime,
        previous: Option<&ServedZone>,
    ) -> Result<Self, ServeError> {
        Self::with_nsec3(zone, keys, policy, nsec3::Parameters::default(), now, previous)
    }

    /// As [`ServedZone::new`], with other NSEC3 parameters than those of RFC 9276. For tests of RFC 5155's examples.
    ///
    /// # Errors
    /// As [`ServedZone::new`].
    pub fn with_nsec3(
        zone: &Zone,
        keys: Arc<KeySet>,
        policy: &ZonePolicy,
        nsec3: nsec3::Parameters,
        now: UnixTime,
        previous: Option<&ServedZone>,
    ) -> Result<Self, ServeError> {
        let apex = zone.apex().to_owned();
        if policy.denial == Denial::Nsec3 && nsec3.hash(zone.apex()).owner(zone.apex()).is_none() {
            return Err(ServeError::NameTooLongForNsec3 { apex });
        }
        let param = nsec3.nsec3param_rdata();
        let nsec3param = (policy.denial == Denial::Nsec3)
            .then(|| (RrType::NSEC3PARAM, Ttl::default(), vec![param.as_slice()]));
        let key_sets = keys.apex_rrsets().iter().map(|set| {
            (
                set.rtype,
                set.ttl,
                set.rdatas.iter().map(|rdata| &**rdata).collect::<Vec<_>>(),
            )
        });
        if policy.denial == Denial::Nsec {
            // Sorted here, not by the first question that needs it; and in the zone as it was given, so that a
            // change of it finds the chain and brings it up to date.
            zone.chain();
        }
        let beyond = policy.overload.beyond(policy.denial, &keys, policy.is_shared);
        let zone = zone.with_apex_rrsets(key_sets.chain(nsec3param).chain(apex_ns(zone, policy)));
        let validity = match policy.validity {
            Some(lifetime) => Validity::new(lifetime, zone.largest_ttl()),
            None => Validity::for_largest_ttl(zone.largest_ttl()),
        };
        let basis = (keys.id(), policy.denial, validity);
        let before = previous.and_then(|previous| previous.content.as_ref().ok());
        let same_issuer = before.filter(|before| before.basis == basis && before.nsec3 == nsec3);
        let issuer = same_issuer.map_or_else(new_issuer, |before| before.signer.issuer);
        let denial_issuer = same_issuer
            .filter(|before| before.zone.negative_ttl() == zone.negative_ttl())
            .map_or_else(new_issuer, |before| before.denial_issuer);
        let signer = Signer {
            apex: apex.clone(),
            keys,
            validity,
            issuer,
        };
        let content = Content {
            soa_plain: SoaBlock::new(&zone, None),
            zone,
            signer,
            denial_issuer,
            denial: policy.denial,
            beyond,
            flooded: AtomicBool::new(false),
            nsec3,
            soa_block: ArcSwapOption::empty(),
            basis,
        };
        match same_issuer {
            Some(before) => content.adopt_signatures(before),
            None => content.check_signers(now)?,
        }
        Ok(Self {
            apex,
            content: Ok(content),
        })
    }

    /// A zone that is not signed, as a provider serves it that was not told to sign.
    pub fn unsigned(zone: &Zone) -> Self {
        let apex = zone.apex().to_owned();
        let validity = Validity::for_largest_ttl(zone.largest_ttl());
        let keys = Arc::new(KeySet::unsigned());
        let denial = Denial::default();
        let content = Content {
            soa_plain: SoaBlock::new(zone, None),
            zone: zone.with_apex_rrsets([]),
            denial,
            beyond: Beyond::Sign,
            flooded: AtomicBool::new(false),
            nsec3: nsec3::Parameters::default(),
            soa_block: ArcSwapOption::empty(),
            basis: (keys.id(), denial, validity),
            signer: Signer {
                apex: apex.clone(),
                keys,
                validity,
                issuer: new_issuer(),
            },
            denial_issuer: new_issuer(),
        };
        Self {
            apex,
            content: Ok(content),
        }
    }

    /// The zone's name, lower-cased.
    pub fn apex(&self) -> NameRef<'_> {
        self.apex.as_ref()
    }

    /// The content; the reason when there is none and the zone is answered with SERVFAIL.
    pub fn content(&self) -> Result<&Content, &str> {
        self.content.as_ref().map_err(String::as_str)
    }
}

impl Content {
    /// The zone, key sets included.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The keys.
    pub fn keys(&self) -> &Arc<KeySet> {
        &self.signer.keys
    }

    /// Whether answers are signed.
    pub fn is_signed(&self) -> bool {
        !self.signer.keys.data_signers().is_empty()
    }

    /// The way of denial.
    pub fn denial(&self) -> Denial {
        self.denial
    }

    /// What it does beyond the budget of synthesised signatures.
    pub fn beyond(&self) -> Beyond {
        self.beyond
    }

    /// Notes that a question came beyond the budget. In a flood nearly all find that noted, and write nothing.
    pub(super) fn mark_flooded(&self) {
        if !self.flooded.load(Ordering::Relaxed) {
            self.flooded.store(true, Ordering::Relaxed);
        }
    }

    /// Whether questions came beyond the budget since this was asked last. If so, the names are sorted for ranges where
    /// those may be told, which takes a second for a million; so it is asked by nobody who answers.
    pub fn look_for_flood(&self) -> bool {
        let flooded = self.flooded.swap(false, Ordering::Relaxed);
        if flooded && self.beyond == Beyond::Ranges {
            self.zone.chain();
        }
        flooded
    }

    /// The validity of its signatures.
    pub fn validity(&self) -> Validity {
        self.signer.validity
    }

    /// Every signer signs once, and what it made is verified with the key of the published set: a pair of files
    /// that do not belong together must not reach a resolver. A key that signs unpublished is verified with the one that
    /// is to be published, or was; that never makes up for a signer whose key is published.
    fn check_signers(&self, now: UnixTime) -> Result<(), ServeError> {
        let apex = self.zone.apex().to_owned();
        let keys = &self.signer.keys;
        if keys.key_signers().is_empty() {
            return Err(ServeError::NoKeySigner { apex });
        }
        let published = |key: &Dnskey| keys.published().iter().find(|known| known.dnskey == *key);
        let unpublished = |key: &Dnskey| keys.unpublished().iter().find(|known| known.dnskey == *key);
        // What nobody could verify counts for nothing.
        if keys
            .data_signers()
            .iter()
            .all(|key| unpublished(key.dnskey()).is_some())
        {
            return Err(ServeError::NoDataSigner { apex });
        }
        let message = [b"countersign self-check", &now.0.to_be_bytes()[..]].concat();
        let signs_keys = |key: &Dnskey| keys.key_signers().iter().any(|signer| signer.dnskey() == key);
        for key in keys.cds_signers().iter().chain(keys.data_signers()) {
            let tag = key.dnskey().key_tag();
            let mut signature = Vec::new();
            key.sign(&message, &mut signature)
                .map_err(|source| ServeError::Sign {
                    apex: apex.clone(),
                    tag,
                    source,
                })?;
            let verifies_with = if signs_keys(key.dnskey()) {
                published(key.dnskey())
            } else {
                published(key.dnskey()).or_else(|| unpublished(key.dnskey()))
            };
            if !verifies_with.is_some_and(|known| verify(&known.dnskey, &message, &signature)) {
                return Err(ServeError::SelfCheck { apex, tag });
            }
        }
        Ok(())
    }

    /// Takes over the signatures of RRsets that are the same, TTL included. The issuer is the same, so the keys
    /// and the way of denial are. Shards that both zones share have them already.
    fn adopt_signatures(&self, before: &Content) {
        for node in self.zone.nodes_not_shared_with(&before.zone) {
            let Some(old) = before.zone.node(node.name()) else {
                continue;
            };
            let mut same_types = node.is_cut() == old.is_cut() && node.rrsets().len() == old.rrsets().len();
            for set in node.rrsets() {
                let Some(old) = old.rrset(set.rtype()) else {
                    same_types = false;
                    continue;
                };
                if old.ttl() == set.ttl() && old.octets() == set.octets() {
                    set.slot().copy_from(old.slot());
                }
            }
            // In an exact chain, what a name's NSEC says depends on its neighbour too; a change of a zone sees to
            // that (`zone::change`).
            if same_types && self.denial != Denial::Nsec {
                node.denial().copy_from(old.denial());
            }
        }
    }

    /// Signs an RRset of the zone at its own owner, and keeps the signature in the RRset's slot.
    ///
    /// # Errors
    /// When a key cannot sign.
    pub(super) fn sign_rrset(
        &self,
        node: NodeView<'_>,
        set: RrsetView<'_>,
        now: UnixTime,
    ) -> Result<Kept<Signed>, SignError> {
        let owner = node.name().to_lower();
        let to_sign = ToSign {
            owner: &owner,
            rtype: set.rtype(),
            ttl: set.ttl(),
            rdatas: set.rdatas(),
        };
        let signed = Kept::new(self.signer.sign(&to_sign, now)?);
        set.slot().store(Kept::clone(&signed));
        Ok(signed)
    }

    /// Signs the NSEC or NSEC3 that matches a name of the zone, and keeps it in the name's slot.
    ///
    /// # Errors
    /// When a key cannot sign.
    pub(super) fn sign_denial(
        &self,
        node: NodeView<'_>,
        now: UnixTime,
    ) -> Result<Kept<SignedDenial>, SignError> {
        let denial = Kept::new(self.signed_denial(self.denial, node, now)?);
        node.denial().store(Kept::clone(&denial));
        Ok(denial)
    }

    /// Signs the exact NSEC of a name beside the zone's own way of denial, and keeps it in the name's other slot.
    ///
    /// # Errors
    /// When a key cannot sign.
    pub(super) fn sign_range(
        &self,
        node: NodeView<'_>,
        now: UnixTime,
    ) -> Result<Kept<SignedRange>, SignError> {
        let range = Kept::new(SignedRange {
            denial: self.signed_denial(Denial::Nsec, node, now)?,
            chain: self.zone.sorted_chain().map_or(0, Chain::id),
        });
        node.range_to_keep().store(Kept::clone(&range));
        Ok(range)
    }

    fn signed_denial(
        &self,
        way: Denial,
        node: NodeView<'_>,
        now: UnixTime,
    ) -> Result<SignedDenial, SignError> {
        let (owner, rtype, rdata) = self.matching_denial(way, node);
        let to_sign = ToSign {
            owner: &owner,
            rtype,
            ttl: self.zone.negative_ttl(),
            rdatas: [rdata.as_slice()],
        };
        let signed = self.signer.sign(&to_sign, now)?.issued_by(self.denial_issuer);
        Ok(SignedDenial::new(&rdata, signed))
    }

    /// The owner of the NSEC3 that matches a name.
    pub(super) fn nsec3_owner(&self, hash: nsec3::Hash) -> LowerName {
        hash.owner(self.zone.apex())
            .expect("a zone whose name leaves no room for it is refused")
    }
}
