//! The other provider changed its keys by itself, and some are gone there: ours follows.
//!
//! | key | goes out of the DNSKEY RRsets of the others when |
//! |---|---|
//! | ZSK | it was seen nowhere, in no DNSKEY RRset and as no signer, for the larger of their TTLs |
//! | KSK | the same, and its DS has been gone for the TTL of the DS RRset; the DS goes when the DNSKEY RRsets that it signed have run out |
//! | CSK | both |

use super::{
    super::{
        super::safety::{KeyId, KeyRrset, KeySet, ProviderId, Slot, Value},
        Kind, Lag, Past, Plan, Since, Situation, Unplannable, Wait,
        draft::Draft,
    },
    leave::take_out_after,
};
use crate::{clock::UnixTime, dnssec::keyset::Role};

pub(super) fn plan(
    situation: &Situation,
    provider: ProviderId,
    gone: &[(KeyId, UnixTime)],
) -> Result<Plan, Unplannable> {
    situation.hand(provider)?;
    let name = situation.name(provider).to_owned();
    let Some(last_seen) = gone.iter().map(|(_, seen)| *seen).max() else {
        return Err(Unplannable::NothingToFollow { provider: name });
    };
    check(situation, provider, gone)?;
    let (entries, others) = by_role(situation, gone);
    let situation = with_the_past(situation, provider, entries, entries.union(others), last_seen)?;
    let mut draft = Draft::new(&situation);
    let unseen = unseen(&draft, provider, last_seen)?;
    let members = draft.asked();
    let back = format!("not at all: a key that is gone at {name} does not come back");
    for member in members.iter().filter(|member| **member != provider) {
        take_out_after(&mut draft, *member, provider, others, &back, vec![unseen.clone()])?;
    }
    let anchors = draft.anchors()?;
    let mut waits = vec![unseen];
    if !anchors.is_empty() {
        let new = draft.keys(provider)?.signers.without(anchors);
        let added = situation.labels(new);
        let what = format!("the DS RRset points to {added} too, which {name} signs with");
        draft.point_ds_to(
            anchors.union(new),
            &what,
            "the DS records of before come back at once",
        )?;
        let what = format!("the DS RRset points to {} no more", situation.labels(entries));
        let ttl = draft.ds()?.ttl;
        let steps = draft.steps();
        draft.point_ds_to(anchors.union(new).without(entries), &what, &back)?;
        if draft.steps() > steps {
            let lag = situation.lag(&Slot::Ds);
            waits.push(Wait {
                since: Since::Step(draft.steps() - 1),
                seconds: ttl + lag + situation.margin,
                why: format!(
                    "a cache may hold the DS RRset that points to {}",
                    situation.labels(entries)
                ),
                lags: Some(vec![Lag::Parent, Lag::Margin]),
            });
        }
    }
    for member in members.iter().filter(|member| **member != provider) {
        take_out_after(&mut draft, *member, provider, entries, &back, waits.clone())?;
    }
    draft.finish(Kind::Follow {
        provider,
        gone: gone.to_vec(),
    })
}

fn check(situation: &Situation, provider: ProviderId, gone: &[(KeyId, UnixTime)]) -> Result<(), Unplannable> {
    let draft = Draft::new(situation);
    let keys = draft.keys(provider)?;
    let data = draft.data(provider)?;
    for (key, _) in gone {
        let known = situation
            .key(*key)
            .ok_or(Unplannable::UnknownKey { place: key.place() })?;
        let label = situation.label(*key);
        if known.owner.is_some_and(|owner| owner != provider) {
            return Err(Unplannable::NotTheirs {
                key: label,
                provider: situation.name(provider).to_owned(),
            });
        }
        let signs = data.iter().any(|(_, data)| data.signers.contains(*key));
        if keys.keys.contains(*key) || keys.signers.contains(*key) || signs {
            return Err(Unplannable::StillThere {
                key: label,
                provider: situation.name(provider).to_owned(),
            });
        }
    }
    Ok(())
}

/// The keys that a DS may point to, and the others.
fn by_role(situation: &Situation, gone: &[(KeyId, UnixTime)]) -> (KeySet, KeySet) {
    let all: KeySet = gone.iter().map(|(key, _)| *key).collect();
    let zsk = |key: &KeyId| situation.key(*key).is_some_and(|key| key.role == Role::Zsk);
    let others: KeySet = all.iter().filter(zsk).collect();
    (all.without(others), others)
}

/// The situation with the DNSKEY RRset that the provider served when it had those keys, signed by nothing but them. Of
/// data nothing is made up: a provider that rolls well removes a key when no cache has data of it any more.
fn with_the_past(
    situation: &Situation,
    provider: ProviderId,
    entries: KeySet,
    all: KeySet,
    until: UnixTime,
) -> Result<Situation, Unplannable> {
    let mut known = situation.clone();
    let draft = Draft::new(situation);
    let now = draft.keys(provider)?;
    let signed = entries.intersection(draft.anchors()?);
    let keys = KeyRrset {
        keys: now.keys.union(all),
        signers: if signed.is_empty() { now.signers } else { signed },
        ..now
    };
    let recorded = |past: &Past| match &past.value {
        Value::Keys(at, rrset) => *at == provider && !rrset.keys.intersection(all).is_empty(),
        _ => false,
    };
    if !known.past.iter().any(recorded) {
        let value = Value::Keys(provider, keys);
        known.past.push(Past { value, until });
        known.past.sort_by_key(|past| past.until);
    }
    Ok(known)
}

/// The keys have to be unseen for the larger TTL of what they were seen in.
fn unseen(draft: &Draft<'_>, provider: ProviderId, since: UnixTime) -> Result<Wait, Unplannable> {
    let keys = draft.keys(provider)?.ttl;
    let data = draft.data(provider)?.into_iter().map(|(_, data)| data.ttl);
    let ttl = data.fold(keys, u64::max);
    let situation = draft.situation;
    let lag = situation.lag(&Slot::Keys(provider));
    Ok(Wait {
        since: Since::Time(since),
        seconds: ttl + lag + situation.margin,
        why: format!(
            "what {} served with these keys may be held, or served where nobody here sees it",
            situation.name(provider)
        ),
        lags: Some(vec![Lag::Provider(provider), Lag::Margin]),
    })
}
