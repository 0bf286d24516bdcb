//! The key set of a zone: what its DNSKEY RRset holds, and which key signs what (RFC 8901 §2.1.2).
//!
//! | keys, per algorithm | sign |
//! |---|---|
//! | active, SEP | DNSKEY, CDS, CDNSKEY; and everything else too where no active key without SEP exists (CSK) |
//! | active, no SEP | everything else |
//! | pre-active, post-active | what they would sign if they were active, but for the DNSKEY RRset, which they are not in |
//! | the others | nothing; they are published |
//!
//! A key of another provider is published whatever its SEP bit says: it may be a CSK (RFC 8901 §7).

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    algorithm::{Algorithm, DigestType},
    csync::{Csync, Csyncing},
    key::{Dnskey, SigningKey},
};
use crate::wire::{NameRef, RrType, Ttl};

/// The TTL of the DNSKEY RRset, unless the providers' own answers show less.
pub const DNSKEY_TTL: Ttl = Ttl::new(3600);

/// An RRset at the apex that is made from keys, not from the zone's file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApexRrset {
    /// DNSKEY, CDS, CDNSKEY or CSYNC.
    pub rtype: RrType,
    /// Its TTL.
    pub ttl: Ttl,
    /// Rdata in canonical order (RFC 4034 §6.3), without doubles.
    pub rdatas: Vec<Box<[u8]>>,
}

/// Whether CDS and CDNSKEY are published (RFC 7344, RFC 8078).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Cds {
    /// No: the parent changes nothing.
    #[default]
    Off,
    /// The union for all KSKs and CSKs, ours and the other providers'.
    Publish,
    /// For exactly the keys that a plan wants, as long as it wants them: see [`KeySet::asking_for`].
    Rollover,
    /// The request to remove the DS RRset (RFC 8078 §4), which must stand alone.
    Delete,
}

/// Whose key it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Origin {
    /// Ours.
    Own,
    /// Another provider's, by the sources that show it or last showed it.
    Provider {
        /// Files or providers, as messages name them.
        sources: Vec<String>,
    },
}

/// What a key is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Signs the key sets.
    Ksk,
    /// Signs the rest.
    Zsk,
    /// Signs both.
    Csk,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ksk => "KSK",
            Self::Zsk => "ZSK",
            Self::Csk => "CSK",
        })
    }
}

/// Where a key of the set stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum KeyState {
    /// Signs, and is not in the DNSKEY RRset yet: of an algorithm that comes (RFC 6781 §4.1.4).
    PreActive,
    /// In the DNSKEY RRset, and signs nothing yet.
    Published,
    /// Signs.
    Active,
    /// Signs, and is in the DNSKEY RRset no more: of an algorithm that goes.
    PostActive,
    /// In the DNSKEY RRset, and signs nothing any more.
    Retired,
    /// A provider's, and some source shows it.
    Seen,
    /// A provider's that no source shows any more: kept until a plan or a person withdraws it.
    Kept,
}

impl KeyState {
    /// Whether the key signs.
    pub fn signs(self) -> bool {
        matches!(self, Self::PreActive | Self::Active | Self::PostActive)
    }

    /// Whether the key is in no DNSKEY RRset.
    pub fn is_unpublished(self) -> bool {
        matches!(self, Self::PreActive | Self::PostActive)
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::PreActive => "pre-active",
            Self::Published => "published",
            Self::Active => "active",
            Self::PostActive => "post-active",
            Self::Retired => "retired",
            Self::Seen => "seen",
            Self::Kept => "kept",
        })
    }
}

/// A key to be published or to sign, for [`KeySet::assemble`].
#[derive(Clone, Debug)]
pub struct Member {
    /// The key.
    pub dnskey: Dnskey,
    /// Whose it is.
    pub origin: Origin,
    /// Where it stands.
    pub state: KeyState,
    /// Both halves; needed for a key that signs.
    pub signer: Option<Arc<SigningKey>>,
}

/// A key in the DNSKEY RRset, or one that signs without being there, for status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublishedKey {
    /// The key.
    pub dnskey: Dnskey,
    /// Its tag.
    pub tag: u16,
    /// Whose it is.
    pub origin: Origin,
    /// What it is for. A provider's SEP key counts as a KSK though it may be a CSK.
    pub role: Role,
    /// Where it stands.
    pub state: KeyState,
    /// Whether it signs here.
    pub active: bool,
}

impl PublishedKey {
    /// Whether the parent's DS RRset should point to it: every SEP key but ours that no longer sign.
    pub fn wants_ds(&self) -> bool {
        self.dnskey.is_sep() && self.state != KeyState::Retired && !self.state.is_unpublished()
    }
}

/// How the sets are published.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Publishing {
    /// The TTL of all these sets.
    pub ttl: Ttl,
    /// Whether CDS and CDNSKEY are published.
    pub cds: Cds,
    /// Whether CSYNC is published.
    pub csync: Csyncing,
}

impl Default for Publishing {
    fn default() -> Self {
        Self {
            ttl: DNSKEY_TTL,
            cds: Cds::Off,
            csync: Csyncing::Off,
        }
    }
}

/// Why keys make no key set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// No active SEP key.
    #[error("no active key with the SEP flag, so nothing can sign the DNSKEY RRset")]
    NoKeySigner,
    /// No active key at all.
    #[error("no active key, so nothing can be signed")]
    NoDataSigner,
    /// An active key without its private half.
    #[error("key {tag} is active, but its private half is not here")]
    NoPrivateHalf {
        /// Its tag.
        tag: u16,
    },
}

/// The keys of a zone at one moment; immutable.
#[derive(Debug)]
pub struct KeySet {
    id: u64,
    apex_rrsets: Vec<ApexRrset>,
    key_signers: Vec<Arc<SigningKey>>,
    cds_signers: Vec<Arc<SigningKey>>,
    data_signers: Vec<Arc<SigningKey>>,
    published: Vec<PublishedKey>,
    unpublished: Vec<PublishedKey>,
}

/// Ids are unique in the process.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl KeySet {
    /// Puts the set of the zone at `apex` together. `previous` lends its id when the signers and the published
    /// keys are the same, so that what was signed under it stays good.
    ///
    /// # Errors
    /// When nothing can sign the key sets, or nothing the rest.
    pub fn assemble(
        apex: NameRef<'_>,
        mut members: Vec<Member>,
        publishing: Publishing,
        previous: Option<&KeySet>,
    ) -> Result<Self, KeySetError> {
        members.sort_by(|a, b| a.dnskey.cmp(&b.dnskey).then_with(|| a.origin.cmp(&b.origin)));
        // Our own key stands before the same one from elsewhere.
        members.dedup_by(|later, earlier| later.dnskey == earlier.dnskey);
        let signers = Signers::of(&members)?;
        let described = members.iter().map(|member| signers.describe(member));
        let (unpublished, published): (Vec<PublishedKey>, Vec<PublishedKey>) =
            described.partition(|key| key.state.is_unpublished());
        let mut set = Self {
            id: 0,
            apex_rrsets: apex_rrsets(apex, &published, publishing),
            key_signers: signers.keys,
            cds_signers: signers.cds,
            data_signers: signers.data,
            published,
            unpublished,
        };
        set.id = match previous {
            Some(previous) if previous.signs_alike(&set) => previous.id,
            _ => NEXT_ID.fetch_add(1, Ordering::Relaxed),
        };
        Ok(set)
    }

    /// The set of a zone that is not signed: no keys.
    pub fn unsigned() -> Self {
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            apex_rrsets: Vec::new(),
            key_signers: Vec::new(),
            cds_signers: Vec::new(),
            data_signers: Vec::new(),
            published: Vec::new(),
            unpublished: Vec::new(),
        }
    }

    /// The same set with CDS and CDNSKEY of the zone at `apex` for exactly these keys, in place of any others; none
    /// where there are no keys. One that is no longer in the DNSKEY RRset may be among them: its DS goes last.
    #[must_use]
    pub fn asking_for(mut self, apex: NameRef<'_>, wanted: &BTreeSet<Dnskey>) -> Self {
        let Some(ttl) = self.apex_rrsets.first().map(|dnskeys| dnskeys.ttl) else {
            return self;
        };
        self.apex_rrsets.truncate(1);
        if !wanted.is_empty() {
            let both = entry_rrsets(apex, wanted.iter(), ttl);
            self.apex_rrsets.extend(both);
        }
        self
    }

    /// The same set with this CSYNC record in place of any other. It is signed as data are: RFC 7477 asks no more than
    /// that it validates.
    #[must_use]
    pub fn having_taken(mut self, csync: Option<Csync>) -> Self {
        let Some(ttl) = self.apex_rrsets.first().map(|dnskeys| dnskeys.ttl) else {
            return self;
        };
        self.apex_rrsets.retain(|set| set.rtype != RrType::CSYNC);
        let record = csync.map(|csync| rrset(RrType::CSYNC, ttl, vec![csync.rdata().into()]));
        self.apex_rrsets.extend(record);
        self
    }

    fn signs_alike(&self, other: &Self) -> bool {
        let names = |signers: &[Arc<SigningKey>]| -> Vec<Dnskey> {
            signers.iter().map(|signer| signer.dnskey().clone()).collect()
        };
        let keys =
            |set: &Self| -> Vec<Dnskey> { set.published.iter().map(|key| key.dnskey.clone()).collect() };
        names(&self.key_signers) == names(&other.key_signers)
            && names(&self.cds_signers) == names(&other.cds_signers)
            && names(&self.data_signers) == names(&other.data_signers)
            && keys(self) == keys(other)
    }

    /// Changes exactly when a signer or the published set changes: signatures made under another id are void.
    /// Unique in the process.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// DNSKEY first; then CDS and CDNSKEY, and CSYNC, when they are published.
    pub fn apex_rrsets(&self) -> &[ApexRrset] {
        &self.apex_rrsets
    }

    /// Sign the DNSKEY RRset.
    pub fn key_signers(&self) -> &[Arc<SigningKey>] {
        &self.key_signers
    }

    /// Sign CDS and CDNSKEY: those that sign the DNSKEY RRset (RFC 7344 §4.1: a key that the DS RRset points to), and
    /// those that would if they were published, for these sets are data to a validator.
    pub fn cds_signers(&self) -> &[Arc<SigningKey>] {
        &self.cds_signers
    }

    /// Sign everything else.
    pub fn data_signers(&self) -> &[Arc<SigningKey>] {
        &self.data_signers
    }

    /// The DNSKEY RRset's keys in its order.
    pub fn published(&self) -> &[PublishedKey] {
        &self.published
    }

    /// The keys that sign and are not in the DNSKEY RRset.
    pub fn unpublished(&self) -> &[PublishedKey] {
        &self.unpublished
    }

    /// The DS rdata of every provider's KSK and CSK, in the order of the DNSKEY RRset.
    pub fn ds(&self, apex: NameRef<'_>, digest_type: DigestType) -> Vec<Box<[u8]>> {
        let wanted = self.published.iter().filter(|key| key.wants_ds());
        wanted.map(|key| key.dnskey.ds(apex, digest_type)).collect()
    }
}

/// Which keys do which work.
#[derive(Debug)]
pub struct Work<K> {
    /// Sign the DNSKEY RRset.
    pub dnskey: Vec<K>,
    /// Sign CDS and CDNSKEY.
    pub cds: Vec<K>,
    /// Sign everything else.
    pub data: Vec<K>,
}

impl<K: Clone> Work<K> {
    /// The work of these keys; those that sign nothing have none.
    pub fn of(keys: impl IntoIterator<Item = (K, KeyState)>, dnskey: impl Fn(&K) -> &Dnskey) -> Self {
        let signing: Vec<(K, KeyState)> = keys.into_iter().filter(|(_, state)| state.signs()).collect();
        let (entry, others): (Vec<_>, Vec<_>) =
            signing.into_iter().partition(|(key, _)| dnskey(key).is_sep());
        let zone_signing: BTreeSet<Algorithm> =
            others.iter().map(|(key, _)| dnskey(key).algorithm()).collect();
        let combined = entry
            .iter()
            .filter(|(key, _)| !zone_signing.contains(&dnskey(key).algorithm()));
        let combined: Vec<K> = combined.map(|(key, _)| key.clone()).collect();
        let published = entry.iter().filter(|(_, state)| !state.is_unpublished());
        Self {
            dnskey: published.map(|(key, _)| key.clone()).collect(),
            data: others.into_iter().map(|(key, _)| key).chain(combined).collect(),
            cds: entry.into_iter().map(|(key, _)| key).collect(),
        }
    }
}

/// Which keys sign what.
struct Signers {
    keys: Vec<Arc<SigningKey>>,
    cds: Vec<Arc<SigningKey>>,
    data: Vec<Arc<SigningKey>>,
}

impl Signers {
    fn of(members: &[Member]) -> Result<Self, KeySetError> {
        let mut signing = Vec::new();
        for member in members.iter().filter(|member| member.state.signs()) {
            let missing = || KeySetError::NoPrivateHalf {
                tag: member.dnskey.key_tag(),
            };
            signing.push((member.signer.clone().ok_or_else(missing)?, member.state));
        }
        let unpublished: Vec<&Dnskey> = members
            .iter()
            .filter(|member| member.state.is_unpublished())
            .map(|member| &member.dnskey)
            .collect();
        let Work { dnskey, cds, data } = Work::of(signing, |key| key.dnskey());
        // What nobody could verify counts for nothing.
        if data.iter().all(|key| unpublished.contains(&key.dnskey())) {
            return Err(KeySetError::NoDataSigner);
        }
        if dnskey.is_empty() {
            return Err(KeySetError::NoKeySigner);
        }
        let keys = dnskey;
        Ok(Self { keys, cds, data })
    }

    fn describe(&self, member: &Member) -> PublishedKey {
        let among = |signers: &[Arc<SigningKey>]| signers.iter().any(|key| *key.dnskey() == member.dnskey);
        let role = match (member.dnskey.is_sep(), among(&self.data)) {
            (true, true) => Role::Csk,
            (true, false) => Role::Ksk,
            (false, _) => Role::Zsk,
        };
        PublishedKey {
            tag: member.dnskey.key_tag(),
            role,
            active: among(&self.cds) || among(&self.data),
            dnskey: member.dnskey.clone(),
            origin: member.origin.clone(),
            state: member.state,
        }
    }
}

fn rrset(rtype: RrType, ttl: Ttl, mut rdatas: Vec<Box<[u8]>>) -> ApexRrset {
    rdatas.sort();
    rdatas.dedup();
    ApexRrset { rtype, ttl, rdatas }
}

/// CDS and CDNSKEY for the same keys, which a parent finds in agreement (RFC 7344 §4.1). One digest type for all of
/// them: a validator may look only at the DS records of the highest.
fn entry_rrsets<'k>(
    apex: NameRef<'_>,
    keys: impl Iterator<Item = &'k Dnskey> + Clone,
    ttl: Ttl,
) -> [ApexRrset; 2] {
    let cds = keys.clone().map(|key| key.ds(apex, DigestType::Sha256));
    let cdnskey = keys.map(|key| key.rdata().into());
    [
        rrset(RrType::CDS, ttl, cds.collect()),
        rrset(RrType::CDNSKEY, ttl, cdnskey.collect()),
    ]
}

fn apex_rrsets(apex: NameRef<'_>, published: &[PublishedKey], publishing: Publishing) -> Vec<ApexRrset> {
    let rrset = |rtype, rdatas| rrset(rtype, publishing.ttl, rdatas);
    let all = published.iter().map(|key| key.dnskey.rdata().into()).collect();
    let mut rrsets = vec![rrset(RrType::DNSKEY, all)];
    match publishing.cds {
        Cds::Off | Cds::Rollover => {}
        Cds::Publish => {
            let entry = published.iter().filter(|key| key.wants_ds());
            rrsets.extend(entry_rrsets(apex, entry.map(|key| &key.dnskey), publishing.ttl));
        }
        Cds::Delete => {
            // RFC 8078 §4 as its errata have it: `0 0 0 00` and `0 3 0 AA==`.
            rrsets.push(rrset(RrType::CDS, vec![Box::new([0, 0, 0, 0, 0])]));
            rrsets.push(rrset(RrType::CDNSKEY, vec![Box::new([0, 0, 3, 0, 0])]));
        }
    }
    rrsets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dnssec::{
        algorithm::SigningAlgorithm,
        key::{SEP, ZONE},
    };

    fn member(flags: u16, state: KeyState) -> Member {
        let key = SigningKey::generate(SigningAlgorithm::Ed25519, ZONE | flags).unwrap();
        Member {
            dnskey: key.dnskey().clone(),
            origin: Origin::Own,
            state,
            signer: Some(Arc::new(key)),
        }
    }

    fn foreign(flags: u16) -> Member {
        Member {
            origin: Origin::Provider {
                sources: vec!["ns1.keys".into()],
            },
            signer: None,
            ..member(flags, KeyState::Seen)
        }
    }

    fn assemble(members: &[&Member], cds: Cds, previous: Option<&KeySet>) -> Result<KeySet, KeySetError> {
        let publishing = Publishing {
            cds,
            ..Publishing::default()
        };
        let members = members.iter().copied().cloned().collect();
        KeySet::assemble(NameRef::ROOT, members, publishing, previous)
    }

    fn tags(signers: &[Arc<SigningKey>]) -> Vec<u16> {
        signers.iter().map(|key| key.key_tag()).collect()
    }

    fn role(set: &KeySet, member: &Member) -> (Role, bool) {
        let key = set
            .published()
            .iter()
            .find(|key| key.dnskey == member.dnskey)
            .unwrap();
        (key.role, key.active)
    }

    #[test]
    fn who_signs_what() {
        let (ksk, zsk) = (member(SEP, KeyState::Active), member(0, KeyState::Active));
        let (next_ksk, next_zsk) = (member(SEP, KeyState::Published), member(0, KeyState::Published));
        let theirs = foreign(SEP);
        let set = assemble(&[&ksk, &zsk, &next_ksk, &next_zsk, &theirs], Cds::Off, None).unwrap();
        assert_eq!(tags(set.key_signers()), [ksk.dnskey.key_tag()]);
        assert_eq!(tags(set.data_signers()), [zsk.dnskey.key_tag()]);
        assert_eq!(set.apex_rrsets()[0].rdatas.len(), 5);
        assert!(set.apex_rrsets()[0].rdatas.is_sorted());
        assert_eq!(role(&set, &ksk), (Role::Ksk, true));
        assert_eq!(role(&set, &next_zsk), (Role::Zsk, false));

        let set = assemble(&[&ksk, &next_zsk], Cds::Off, None).unwrap();
        assert_eq!(tags(set.data_signers()), [ksk.dnskey.key_tag()], "a CSK");
        assert_eq!(role(&set, &ksk), (Role::Csk, true));

        assert_eq!(
            assemble(&[&zsk, &next_ksk], Cds::Off, None).unwrap_err(),
            KeySetError::NoKeySigner
        );
        assert_eq!(
            assemble(&[&next_ksk, &theirs], Cds::Off, None).unwrap_err(),
            KeySetError::NoDataSigner
        );
        let lost = Member {
            signer: None,
            ..ksk.clone()
        };
        let error = assemble(&[&lost, &zsk], Cds::Off, None).unwrap_err();
        assert_eq!(
            error,
            KeySetError::NoPrivateHalf {
                tag: ksk.dnskey.key_tag()
            }
        );
    }

    /// RFC 6781 §4.1.4: signatures of both algorithms, and the DNSKEY RRset with one.
    #[test]
    fn a_key_that_is_not_published_signs_all_but_the_dnskey_rrset() {
        for state in [KeyState::PreActive, KeyState::PostActive] {
            let (ksk, zsk) = (member(SEP, KeyState::Active), member(0, KeyState::Active));
            let other = |flags| {
                let key = SigningKey::generate(SigningAlgorithm::EcdsaP256Sha256, ZONE | flags).unwrap();
                Member {
                    dnskey: key.dnskey().clone(),
                    signer: Some(Arc::new(key)),
                    ..member(flags, state)
                }
            };
            let (other_ksk, other_zsk) = (other(SEP), other(0));
            let set = assemble(&[&ksk, &zsk, &other_ksk, &other_zsk], Cds::Publish, None).unwrap();
            let sorted = |signers: &[Arc<SigningKey>]| {
                let mut tags = tags(signers);
                tags.sort_unstable();
                tags
            };
            let both = |a: &Member, b: &Member| {
                let mut tags = vec![a.dnskey.key_tag(), b.dnskey.key_tag()];
                tags.sort_unstable();
                tags
            };
            assert_eq!(tags(set.key_signers()), [ksk.dnskey.key_tag()]);
            assert_eq!(sorted(set.cds_signers()), both(&ksk, &other_ksk));
            assert_eq!(sorted(set.data_signers()), both(&zsk, &other_zsk));
            assert_eq!((set.published().len(), set.unpublished().len()), (2, 2));
            assert!(set.unpublished().iter().all(|key| key.active && !key.wants_ds()));
            assert_eq!(set.apex_rrsets()[0].rdatas.len(), 2);
            assert_eq!(
                set.apex_rrsets()[1].rdatas.len(),
                1,
                "CDS asks for no key that is not there"
            );
            // A CSK signs data and CDS, and not the DNSKEY RRset.
            let set = assemble(&[&ksk, &other_ksk], Cds::Off, None).unwrap();
            assert_eq!(sorted(set.data_signers()), both(&ksk, &other_ksk));
            assert_eq!(tags(set.key_signers()), [ksk.dnskey.key_tag()]);
            // Alone, nobody could verify what it signs.
            for alone in [
                &[&other_ksk, &other_zsk][..],
                &[&other_zsk, &next(&zsk), &next(&ksk)],
            ] {
                assert_eq!(
                    assemble(alone, Cds::Off, None).unwrap_err(),
                    KeySetError::NoDataSigner
                );
            }
        }
    }

    fn next(member: &Member) -> Member {
        Member {
            state: KeyState::Published,
            ..member.clone()
        }
    }

    #[test]
    fn the_id_changes_with_signers_and_published_keys_only() {
        let (ksk, zsk) = (member(SEP, KeyState::Active), member(0, KeyState::Active));
        let first = assemble(&[&ksk, &zsk], Cds::Off, None).unwrap();
        let same = assemble(&[&zsk, &ksk], Cds::Publish, Some(&first)).unwrap();
        assert_eq!(first.id(), same.id());
        let more = assemble(&[&zsk, &ksk, &foreign(0)], Cds::Off, Some(&first)).unwrap();
        assert_ne!(first.id(), more.id());
        let fewer = assemble(&[&ksk], Cds::Off, Some(&more)).unwrap();
        assert!(fewer.id() != more.id() && fewer.id() != first.id());
        let retired = Member {
            state: KeyState::Retired,
            ..zsk.clone()
        };
        let switched = assemble(&[&ksk, &retired], Cds::Off, Some(&first)).unwrap();
        assert_ne!(switched.id(), first.id());
    }

    #[test]
    fn cds_is_the_union_or_the_request_to_delete() {
        let (ksk, zsk, theirs) = (
            member(SEP, KeyState::Active),
            member(0, KeyState::Active),
            foreign(SEP),
        );
        let old = member(SEP, KeyState::Retired);
        let members = [&ksk, &zsk, &theirs, &old];
        let set = assemble(&members, Cds::Publish, None).unwrap();
        let [dnskey, cds, cdnskey] = set.apex_rrsets() else {
            panic!("three sets: {:?}", set.apex_rrsets())
        };
        assert_eq!(
            (dnskey.rtype, cds.rtype, cdnskey.rtype),
            (RrType::DNSKEY, RrType::CDS, RrType::CDNSKEY)
        );
        let mut expected = set.ds(NameRef::ROOT, DigestType::Sha256);
        expected.sort();
        assert_eq!((cds.rdatas.clone(), expected.len()), (expected, 2));
        let entries = [&ksk, &theirs].map(|member| member.dnskey.rdata().into());
        assert_eq!(
            cdnskey.rdatas.iter().cloned().collect::<BTreeSet<Box<[u8]>>>(),
            BTreeSet::from(entries)
        );
        // A plan says itself which; one that is gone already may be among them.
        let gone = member(SEP, KeyState::Published);
        let wanted = BTreeSet::from([ksk.dnskey.clone(), gone.dnskey.clone()]);
        let set = assemble(&members, Cds::Rollover, None).unwrap();
        assert_eq!(set.apex_rrsets().len(), 1);
        let id = set.id();
        let set = set.asking_for(NameRef::ROOT, &wanted);
        let [_, cds, cdnskey] = set.apex_rrsets() else {
            panic!("three sets: {:?}", set.apex_rrsets())
        };
        let mut expected: Vec<Box<[u8]>> = wanted
            .iter()
            .map(|key| key.ds(NameRef::ROOT, DigestType::Sha256))
            .collect();
        expected.sort();
        assert_eq!((&cds.rdatas, set.id()), (&expected, id));
        let keys: BTreeSet<Dnskey> = cdnskey
            .rdatas
            .iter()
            .map(|rdata| Dnskey::from_rdata(rdata).unwrap())
            .collect();
        assert_eq!(keys, wanted);
        assert_eq!(
            set.asking_for(NameRef::ROOT, &BTreeSet::new())
                .apex_rrsets()
                .len(),
            1
        );
        let set = assemble(&members, Cds::Delete, None).unwrap();
        assert_eq!(set.apex_rrsets()[1].rdatas, [Box::from([0, 0, 0, 0, 0])]);
        assert_eq!(set.apex_rrsets()[2].rdatas, [Box::from([0, 0, 3, 0, 0])]);
    }

    #[test]
    fn our_key_seen_elsewhere_stands_once_and_as_ours() {
        let ksk = member(SEP, KeyState::Active);
        let echo = Member {
            signer: None,
            state: KeyState::Seen,
            ..foreign(SEP)
        };
        let echo = Member {
            dnskey: ksk.dnskey.clone(),
            ..echo
        };
        let set = assemble(&[&echo, &ksk], Cds::Off, None).unwrap();
        assert_eq!(set.published().len(), 1);
        assert_eq!(set.published()[0].origin, Origin::Own);
    }
}
