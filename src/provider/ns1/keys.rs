//! Keys both ways: which of those that NS1 shows are its own, and ours put there and taken away.
//!
//! NS1 shows its keys and everybody's in one list, so its own are what is left: the list, less every external key set,
//! less ours, present and past. A key is known by all of its rdata.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    Ns1,
    call::{Call, Method},
    model::{
        dnssec::{self, Dnssec},
        external::{self, KeySet, KeySets},
    },
    rate::Kind,
    reply::CallError,
};
use crate::{
    dnssec::{algorithm::Algorithm, key::Dnskey},
    provider::{ObservedKeys, ProviderError, ProviderFault, Published},
    wire::{Name, Ttl},
};

/// The one algorithm that NS1 signs with, and whose keys it takes.
const ALGORITHM: Algorithm = Algorithm::ECDSAP256SHA256;
/// How often a set is written before it is held that NS1 does not take it.
const MOST_WRITES: u32 = 4;
/// The first wait for a write to show, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));
/// Sets that are asked for one by one, when the list gives only names.
const MOST_SETS: usize = 50;

/// Which of the keys that NS1 shows are its own.
fn own(shown: &[Dnskey], sets: &KeySets, ours: &[Dnskey]) -> Vec<Dnskey> {
    let external: BTreeSet<&Dnskey> = sets.sets.values().flat_map(|set| &set.keys).collect();
    shown
        .iter()
        .filter(|key| !external.contains(key) && !ours.contains(key))
        .cloned()
        .collect()
}

/// What stands out in what NS1 shows.
fn remarks(signed: &Dnssec, sets: &KeySets, our_set: &str, own: &[Dnskey], ours: &[Dnskey]) -> Vec<String> {
    let mut remarks = [&signed.remarks[..], &sets.remarks[..]].concat();
    if own.is_empty() {
        remarks.push(
            "every key that NS1 shows is ours or in an external set, so none is known to be its own".into(),
        );
    }
    for key in own.iter().filter(|key| key.algorithm() != ALGORITHM) {
        remarks.push(format!(
            "its key {} is of {}, and not of {ALGORITHM}",
            key.key_tag(),
            key.algorithm()
        ));
    }
    for (name, set) in sets.sets.iter().filter(|(name, _)| *name != our_set) {
        for key in set.keys.iter().filter(|key| ours.contains(key)) {
            remarks.push(format!(
                "our key {} is also in the set {name}; remove it there",
                key.key_tag()
            ));
        }
        for key in set.keys.iter().filter(|key| signed.delegation.contains(key)) {
            remarks.push(format!(
                "the set {name} holds key {}, which NS1 gives as its own for the parent; remove it there",
                key.key_tag()
            ));
        }
    }
    if let Some(set) = sets.sets.get(our_set) {
        for key in set.keys.iter().filter(|key| !ours.contains(key)) {
            remarks.push(format!(
                "our set {our_set} holds key {}, which is not ours",
                key.key_tag()
            ));
        }
    }
    remarks
}

fn same_keys(a: &[Dnskey], b: &[Dnskey]) -> bool {
    a.iter().collect::<BTreeSet<_>>() == b.iter().collect::<BTreeSet<_>>()
}

/// Keys by their tags, for people.
fn tags(keys: &[Dnskey]) -> String {
    match keys {
        [] => "no keys".into(),
        _ => keys
            .iter()
            .map(|key| key.key_tag().to_string())
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// Waits that double, up to a deadline.
struct Waits {
    next: Duration,
    until: Instant,
}

impl Waits {
    fn new(deadline: Duration) -> Self {
        Self {
            next: WAITS.0,
            until: Instant::now() + deadline,
        }
    }

    /// Waits; false when the time is over.
    async fn wait(&mut self) -> bool {
        if Instant::now() + self.next >= self.until {
            return false;
        }
        sleep(self.next).await;
        self.next = (self.next * 2).min(WAITS.1);
        true
    }
}

impl Ns1 {
    /// The keys of a zone as NS1 gives them; none where it does not sign it.
    pub(super) async fn signed(&self, zone: &Name) -> Result<Option<Dnssec>, ProviderError> {
        let name = self.path_of(zone)?;
        let path = ["zones", name.as_str(), "dnssec"];
        let reply = match self.client.call(&Call::get(Kind::Dnssec, &path)).await {
            Ok(reply) => reply,
            Err(CallError::Refused(refusal)) if refusal.is_not_signed() => return Ok(None),
            // Other words than those that are known: the zone itself says whether it is signed, or is not there.
            Err(CallError::Refused(refusal)) if refusal.is_absent() && refusal.is_json => {
                return match self.zone_info(zone).await?.dnssec {
                    Some(false) => Ok(None),
                    _ => Err(refusal.into_error()),
                };
            }
            Err(error) => return Err(error.into()),
        };
        let mut signed = dnssec::read(&reply.json()?).map_err(|why| reply.asked.odd(&why))?;
        for remark in &mut signed.remarks {
            *remark = reply.asked.redact(remark);
        }
        Ok(Some(signed))
    }

    /// All external key sets of a zone.
    pub(super) async fn key_sets(&self, zone: &Name) -> Result<KeySets, ProviderError> {
        let name = self.path_of(zone)?;
        let path = ["zones", name.as_str(), "dnssec", "external_keys"];
        let reply = match self.client.call(&Call::get(Kind::ExternalKeys, &path)).await {
            // NS1's own "not found" about anything but the zone: there are no sets.
            Err(CallError::Refused(refusal))
                if refusal.is_absent() && refusal.is_json && !refusal.has_no_zone() =>
            {
                return Ok(KeySets::default());
            }
            other => other?,
        };
        let mut sets = external::read_list(&reply.json()?).map_err(|why| reply.asked.odd(&why))?;
        let names = std::mem::take(&mut sets.names_only);
        if names.len() > MOST_SETS {
            return Err(reply.asked.odd(&format!("{} sets of external keys", names.len())));
        }
        for set in names {
            let path = [&path[..], &[set.as_str()]].concat();
            let reply = self.client.call(&Call::get(Kind::ExternalKeys, &path)).await?;
            let (keys, remarks) = external::read_set(&reply.json()?);
            sets.remarks.extend(remarks);
            sets.sets.insert(set, keys);
        }
        for remark in &mut sets.remarks {
            *remark = reply.asked.redact(remark);
        }
        Ok(sets)
    }

    pub(super) async fn observe(&self, zone: &Name, ours: &[Dnskey]) -> Result<ObservedKeys, ProviderError> {
        let Some(signed) = self.signed(zone).await? else {
            return Ok(ObservedKeys::default());
        };
        let sets = self.key_sets(zone).await?;
        let our_set = &self.client.settings().key_set;
        let own = own(&signed.keys, &sets, ours);
        let others = sets.sets.iter().filter(|(name, _)| *name != our_set);
        Ok(ObservedKeys {
            signs: true,
            remarks: remarks(&signed, &sets, our_set, &own, ours),
            own,
            ours: sets.sets.get(our_set).map_or(Vec::new(), |set| set.keys.clone()),
            others: others
                .flat_map(|(name, set)| set.keys.iter().map(|key| (name.clone(), key.clone())))
                .collect(),
            ttl: signed.ttl,
        })
    }

    pub(super) async fn publish(
        &self,
        zone: &Name,
        keys: &[Dnskey],
        ttl: Ttl,
    ) -> Result<Published, ProviderError> {
        if let Some(key) = keys.iter().find(|key| key.algorithm() != ALGORITHM) {
            let what = format!(
                "our key {} of {zone} is of {}, and NS1 has {ALGORITHM} only",
                key.key_tag(),
                key.algorithm()
            );
            let advice =
                "a zone that NS1 signs too has keys of algorithm 13 and no other (RFC 8901 section 4)";
            return Err(self.error(&what, ProviderFault::Refused, advice));
        }
        if keys.is_empty() {
            return self.withdraw(zone, &[]).await;
        }
        if self.signed(zone).await?.is_none() {
            let what = format!("{zone} is not signed at NS1, and NS1 ignores the keys of others until it is");
            let advice = "switch DNSSEC on for the zone at NS1";
            return Err(self.error(&what, ProviderFault::NotSigned, advice));
        }
        self.settle(zone, Some((keys, ttl))).await
    }

    pub(super) async fn withdraw(&self, zone: &Name, ours: &[Dnskey]) -> Result<Published, ProviderError> {
        let done = self.settle(zone, None).await?;
        let sets = self.key_sets(zone).await?;
        let elsewhere = sets.sets.iter().find_map(|(name, set)| {
            let key = set.keys.iter().find(|key| ours.contains(key))?;
            Some((name, key.key_tag()))
        });
        match elsewhere {
            Some((name, tag)) => Err(self.error(
                &format!("our set is gone, but key {tag} of ours is also in the set {name}, which is not ours to change"),
                ProviderFault::Refused,
                "remove the key from that set, or the set",
            )),
            None => Ok(done),
        }
    }

    /// Makes our set `wanted`, or none: reads, writes when it is not so, and reads again until it is. What a write
    /// that broke has done is found out by reading, never by writing once more at random.
    async fn settle(
        &self,
        zone: &Name,
        wanted: Option<(&[Dnskey], Ttl)>,
    ) -> Result<Published, ProviderError> {
        let our_set = self.client.settings().key_set.as_str();
        let mut waits = Waits::new(self.client.settings().deadline);
        let (mut writes, mut is_written) = (0, false);
        let (mut before, mut last, mut failure) = (None, None, None);
        loop {
            let held = self.key_sets(zone).await?.sets.remove(our_set);
            last.clone_from(&held);
            if self.is_settled(zone, held.as_ref(), wanted, writes > 0) {
                let Some(before) = before else {
                    return Ok(Published::Already);
                };
                let what = told(our_set, Option::as_ref(&before), held.as_ref());
                return Ok(Published::Changed { what });
            }
            if !is_written {
                if writes == MOST_WRITES {
                    break;
                }
                writes += 1;
                match self.write(zone, held.as_ref(), wanted).await {
                    Ok(()) => is_written = true,
                    Err(error) if may_be_done(&error) => failure = Some(error.into()),
                    Err(error) => return Err(error.into()),
                }
                before.get_or_insert(held);
                if is_written {
                    continue;
                }
            }
            if !waits.wait().await {
                break;
            }
        }
        match failure {
            Some(error) if !is_written => Err(error),
            _ => Err(self.not_shown(our_set, wanted, last.as_ref())),
        }
    }

    /// Whether NS1 holds what it should.
    fn is_settled(
        &self,
        zone: &Name,
        held: Option<&KeySet>,
        wanted: Option<(&[Dnskey], Ttl)>,
        has_written: bool,
    ) -> bool {
        let ((keys, ttl), held) = match (wanted, held) {
            (None, held) => return held.is_none_or(|set| set.keys.is_empty()),
            (Some(_), None) => return false,
            (Some(wanted), Some(held)) => (wanted, held),
        };
        if !same_keys(&held.keys, keys) {
            return false;
        }
        let Some(shown) = held.ttl.filter(|shown| *shown != ttl) else {
            return true;
        };
        let mut settled = self
            .settled
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if has_written {
            settled.insert(zone.clone(), (ttl, shown));
        }
        settled.get(zone) == Some(&(ttl, shown))
    }

    async fn write(
        &self,
        zone: &Name,
        held: Option<&KeySet>,
        wanted: Option<(&[Dnskey], Ttl)>,
    ) -> Result<(), CallError> {
        let settings = self.client.settings();
        let name = self.path_of(zone)?;
        let path = [
            "zones",
            name.as_str(),
            "dnssec",
            "external_keys",
            settings.key_set.as_str(),
        ];
        let (method, body) = match (wanted, held) {
            (None, _) => (Method::Delete, None),
            (Some(_), None) => (Method::Put, wanted),
            (Some(_), Some(_)) => (Method::Post, wanted),
        };
        let body = body.map(|(keys, ttl)| external::write_set(keys, ttl, settings.form));
        self.client
            .call(&Call::new(method, Kind::ExternalKeys, &path, body))
            .await
            .map(drop)
    }

    fn not_shown(
        &self,
        our_set: &str,
        wanted: Option<(&[Dnskey], Ttl)>,
        held: Option<&KeySet>,
    ) -> ProviderError {
        let shown = held.map_or("no such set".into(), |set| tags(&set.keys));
        let (what, advice) = match (wanted, held) {
            // Nothing is missing: to remove the set for the sake of what is too much would leave a gap.
            (Some((keys, _)), Some(held)) if keys.iter().all(|key| held.keys.contains(key)) => (
                format!(
                    "NS1 added to the key set {our_set} and did not replace it: it holds {shown}, and should hold {}",
                    tags(keys)
                ),
                "all our keys are there, so answers validate; the others can go when nothing signs with them any more, by removing the set and pushing again",
            ),
            (Some((keys, _)), _) => (
                format!(
                    "NS1 took the key set {our_set} ({}), but does not show it: {shown}",
                    tags(keys)
                ),
                "`countersign peer probe --scratch ZONE` finds out which form of key sets NS1 takes",
            ),
            (None, _) => (
                format!("NS1 took the removal of the key set {our_set}, but still shows it: {shown}"),
                "look again in some minutes, and then ask NS1's support",
            ),
        };
        self.error(&what, ProviderFault::Unintelligible, advice)
    }
}

/// Whether a write that failed may have been done all the same, or was overtaken (there already, or gone already):
/// reading will tell.
fn may_be_done(error: &CallError) -> bool {
    match error {
        CallError::Refused(refusal) if refusal.has_no_zone() => false,
        CallError::Refused(refusal) => refusal.is_passing() || matches!(refusal.status, 404 | 409),
        CallError::Failed(error) => matches!(error.kind, ProviderFault::Passing { .. }),
    }
}

/// What a write did, and what was there before.
fn told(our_set: &str, before: Option<&KeySet>, now: Option<&KeySet>) -> String {
    match (before, now) {
        (None, Some(now)) => format!("the key set {our_set} was made: {}", tags(&now.keys)),
        (Some(before), Some(now)) => {
            format!(
                "the key set {our_set} was {}, and is now {}",
                tags(&before.keys),
                tags(&now.keys)
            )
        }
        (Some(before), None) => format!(
            "the key set {our_set} was removed; it held {}",
            tags(&before.keys)
        ),
        (None, None) => format!("the key set {our_set} is not there"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(number: u8) -> Dnskey {
        Dnskey::new(257, ALGORITHM, &[number; 64])
    }

    fn keys(numbers: &[u8]) -> Vec<Dnskey> {
        numbers.iter().map(|number| key(*number)).collect()
    }

    fn sets(of: &[(&str, &[u8])]) -> KeySets {
        let mut sets = KeySets::default();
        for (name, numbers) in of {
            let set = KeySet {
                keys: keys(numbers),
                ttl: None,
            };
            sets.sets.insert((*name).into(), set);
        }
        sets
    }

    proptest! {
        /// The echo: whatever NS1 shows, and whatever we had before, no key of ours is ever counted as its own.
        #[test]
        fn no_key_of_ours_and_none_of_others_is_its_own(
            shown in prop::collection::vec(0..30_u8, 0..20),
            present in prop::collection::vec(0..30_u8, 0..6),
            past in prop::collection::vec(0..30_u8, 0..6),
            other in prop::collection::vec(0..30_u8, 0..6),
        ) {
            let sets = sets(&[("countersign", &present), ("other", &other)]);
            let own = own(&keys(&shown), &sets, &keys(&past));
            for number in &shown {
                let is_own = !present.contains(number) && !past.contains(number) && !other.contains(number);
                prop_assert_eq!(own.contains(&key(*number)), is_own);
            }
        }
    }

    #[test]
    fn a_key_that_differs_in_its_flags_is_another() {
        let ksk = key(1);
        let zsk = Dnskey::new(256, ALGORITHM, &[1; 64]);
        assert_eq!(own(&[ksk, zsk.clone()], &KeySets::default(), &keys(&[1])), [zsk]);
    }

    #[test]
    fn what_stands_out_is_told() {
        let signed = Dnssec {
            keys: keys(&[1, 2, 3, 4]),
            delegation: keys(&[1]),
            ..Dnssec::default()
        };
        let sets = sets(&[("countersign", &[3, 9]), ("other", &[1, 4])]);
        let ours = keys(&[3, 4]);
        let own = own(&signed.keys, &sets, &ours);
        assert_eq!(own, keys(&[2]));
        let told = remarks(&signed, &sets, "countersign", &own, &ours).join("\n");
        for (part, number) in [
            ("also in the set other", 4),
            ("for the parent", 1),
            ("is not ours", 9),
        ] {
            let tag = key(number).key_tag().to_string();
            assert!(
                told.lines()
                    .any(|line| line.contains(part) && line.contains(&tag)),
                "{part}: {told}"
            );
        }
        let nothing = remarks(&signed, &sets, "countersign", &[], &ours).join("\n");
        assert!(nothing.contains("none is known to be its own"), "{nothing}");
    }
}
