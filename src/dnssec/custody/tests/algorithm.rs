//! The steps of a change of algorithm: keys that sign before they are published, and after.

use std::collections::BTreeSet;

use super::*;

const ED25519: SigningAlgorithm = SigningAlgorithm::Ed25519;

/// A zone that is served, with a KSK and a ZSK of another algorithm that nobody sees yet.
struct Change {
    world: World,
    old: [Dnskey; 2],
    new: [Dnskey; 2],
    last: Option<Opened>,
}

impl Change {
    fn new() -> Self {
        let mut world = World::new();
        let opened = world.open();
        let old = [true, false].map(|sep| {
            let mut keys = ours(&opened).into_iter().map(|(key, ..)| key);
            keys.find(|key| key.is_sep() == sep).unwrap()
        });
        let new = [Role::Ksk, Role::Zsk].map(|role| {
            let wanted = Wanted {
                algorithm: ED25519,
                role,
            };
            make_held(world.place(), wanted, &[], world.now).unwrap()
        });
        let last = Some(opened);
        Self {
            world,
            old,
            new,
            last,
        }
    }

    fn turn(&self, keys: &[Dnskey], state: Claim) -> Result<(), StepError> {
        let keys: Vec<(Dnskey, Claim)> = keys.iter().map(|key| (key.clone(), state)).collect();
        turn(self.world.place(), &keys, self.world.now)
    }

    fn open(&mut self) -> &Opened {
        let previous = self.last.take().map(|opened| opened.keyset);
        let opened = self.world.open_after(previous.as_deref());
        self.last
            .insert(opened.unwrap_or_else(|refused| panic!("{:?}", refused.errors)))
    }

    /// The tags in the DNSKEY RRset, and of what signs it, CDS, and the data.
    fn sets(&mut self) -> [BTreeSet<u16>; 4] {
        let keyset = &self.open().keyset;
        let signers = |keys: &[Arc<SigningKey>]| keys.iter().map(|key| key.key_tag()).collect();
        [
            keyset.published().iter().map(|key| key.tag).collect(),
            signers(keyset.key_signers()),
            signers(keyset.cds_signers()),
            signers(keyset.data_signers()),
        ]
    }
}

fn tags(keys: &[&Dnskey]) -> BTreeSet<u16> {
    keys.iter().map(|key| key.key_tag()).collect()
}

/// RFC 6781 §4.1.4; and after every step the key folder alone says the same.
#[test]
fn signatures_come_before_the_keys_and_go_after_them() {
    let mut change = Change::new();
    let (old, new) = (change.old.clone(), change.new.clone());
    let ([ksk, zsk], [new_ksk, new_zsk]) = (&old, &new);
    let both_ksks = tags(&[ksk, new_ksk]);
    let both_zsks = tags(&[zsk, new_zsk]);
    let all = both_ksks.union(&both_zsks).copied().collect();
    let steps = [
        (
            &new,
            Claim::PreActive,
            [
                tags(&[ksk, zsk]),
                tags(&[ksk]),
                both_ksks.clone(),
                both_zsks.clone(),
            ],
        ),
        (
            &new,
            Claim::Active,
            [all, both_ksks.clone(), both_ksks.clone(), both_zsks.clone()],
        ),
        (
            &old,
            Claim::PostActive,
            [tags(&[new_ksk, new_zsk]), tags(&[new_ksk]), both_ksks, both_zsks],
        ),
        (
            &old,
            Claim::Gone,
            [
                tags(&[new_ksk, new_zsk]),
                tags(&[new_ksk]),
                tags(&[new_ksk]),
                tags(&[new_zsk]),
            ],
        ),
    ];
    for (keys, state, expected) in steps {
        change.turn(keys, state).unwrap();
        assert_eq!(change.sets(), expected, "{state}");
        change.turn(keys, state).unwrap();
        assert_eq!(change.open().events, [], "it may be done again");
        for key in keys {
            let file = change.world.stored(key);
            assert_eq!(file.timing.claim(change.world.now), state);
        }
        let journal = std::mem::take(&mut change.world.journal);
        assert_eq!(change.sets(), expected, "{state}, from the folder alone");
        change.world.journal = journal;
    }
}

/// An algorithm comes and goes as a whole, by a plan's steps and by nothing else.
#[test]
fn no_other_way_leads_to_a_key_that_signs_unpublished() {
    let mut change = Change::new();
    let (old, new) = (change.old.clone(), change.new.clone());
    let refused = |change: &Change, keys: &[Dnskey], state, part: &str| {
        let error = change.turn(keys, state).unwrap_err().to_string();
        assert!(error.contains(part), "{state}: {error}");
    };
    refused(&change, &old, Claim::PreActive, "can be made pre-active");
    refused(&change, &new, Claim::PostActive, "can be made post-active");
    refused(
        &change,
        &old,
        Claim::PostActive,
        "nothing would sign the DNSKEY RRset",
    );
    // A key whose algorithm nothing signs with.
    refused(&change, &new[1..], Claim::Published, "nothing would sign");
    change.turn(&new, Claim::PreActive).unwrap();
    refused(&change, &new[..1], Claim::Active, "comes and goes as a whole");
    refused(&change, &new, Claim::Published, "can be made published");
    refused(&change, &new, Claim::Retired, "can be made retired");
    change.turn(&new, Claim::Active).unwrap();
    refused(&change, &old[1..], Claim::PostActive, "comes and goes as a whole");
    change.turn(&old, Claim::PostActive).unwrap();
    refused(&change, &old, Claim::PreActive, "can be made pre-active");
    // The way back is open until they are gone.
    change.turn(&old, Claim::Active).unwrap();
    change.turn(&new, Claim::PostActive).unwrap();
    change.turn(&new, Claim::Gone).unwrap();
    refused(&change, &new, Claim::PreActive, "it is gone");
    change.open();
}

/// Who puts a key into the folder meanwhile does not get it into the set, whatever its dates say.
#[test]
fn no_date_makes_a_key_sign_unpublished() {
    let mut change = Change::new();
    change.turn(&change.new.clone(), Claim::PreActive).unwrap();
    let unpublished = Timing::default().saying(Claim::PreActive, NOW);
    for (algorithm, timing, state) in [
        (ED25519, unpublished.clone(), Claim::Held),
        (ED25519, active(), Claim::Held),
        (P256, unpublished, Claim::Published),
    ] {
        let file = key_file(algorithm, ZONE, timing);
        change.world.put(&file);
        let opened = change.open();
        assert_eq!(opened.register.own[&file.dnskey].state, OwnState::Is(state));
        assert_eq!(opened.keyset.unpublished().len(), 2);
    }
}

/// The private half of a key that signs unpublished is as needed as any other.
#[test]
fn a_key_that_signs_unpublished_is_demanded() {
    let mut change = Change::new();
    let new = change.new.clone();
    change.turn(&new, Claim::PreActive).unwrap();
    change.open();
    change.world.remove(&new[1], "key");
    assert_eq!(
        change.open().keyset.unpublished().len(),
        2,
        "its public half is known"
    );
    change.world.remove(&new[1], "private");
    change.world.remove(&new[1], "key");
    let refused = change.world.refused();
    assert!(refused.contains("as pre-active"), "{refused}");
}

/// A provider's keys of the new algorithm are known by a file before anybody publishes them, and come with ours.
#[test]
fn keys_of_another_provider_come_and_go_with_ours() {
    let mut change = Change::new();
    let (old, new) = (change.old.clone(), change.new.clone());
    let (theirs, new_of_theirs) = (foreign(ZONE), foreign_of(ED25519, ZONE));
    change.world.external("theirs", &[&theirs, &new_of_theirs]);
    let states = |change: &mut Change| {
        let opened = change.open();
        [&theirs, &new_of_theirs].map(|key| state_of(opened, key).is_some())
    };
    assert_eq!(states(&mut change), [true, false]);
    let said = notes(change.open());
    assert!(said.contains("come and go together"), "{said}");
    change.turn(&new, Claim::PreActive).unwrap();
    assert_eq!(states(&mut change), [true, false]);
    change.turn(&new, Claim::Active).unwrap();
    assert_eq!(states(&mut change), [true, true]);
    change.turn(&old, Claim::PostActive).unwrap();
    assert_eq!(states(&mut change), [false, true]);
    change.world.external("theirs", &[&new_of_theirs]);
    change.turn(&old, Claim::Gone).unwrap();
    assert_eq!(states(&mut change), [false, true]);
}
