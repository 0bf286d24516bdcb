//! What a value is made of, item by item: so values are compared, and what nobody planned is carried on, alike for every
//! kind of slot. TTLs, and what each provider may choose, are left aside.

use std::collections::BTreeSet;

use super::super::safety::{
    Cds, Csync, DsRecord, DsSet, KeyId, KeyRrset, NsSet, ProviderId, SignedData, Value,
};

/// One thing that a value has or has not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Item {
    /// A key in a DNSKEY RRset.
    Key(KeyId),
    /// A key that signs.
    Signer(KeyId),
    /// A DS record.
    Record(DsRecord),
    /// A provider in an NS RRset.
    Member(ProviderId),
    /// A key in a CDS RRset.
    Wanted(KeyId),
    /// There is a CDS RRset.
    HasCds,
    /// There is a CSYNC record.
    HasCsync,
    /// A CSYNC record has the addresses of name servers taken too.
    TakesAddresses,
    /// The provider answers.
    Answers,
}

/// The items of a value.
pub(super) fn items(value: &Value) -> BTreeSet<Item> {
    match value {
        Value::Ds(ds) => ds.records.iter().copied().map(Item::Record).collect(),
        Value::ParentNs(ns) | Value::ChildNs(_, ns) => ns.members.iter().copied().map(Item::Member).collect(),
        Value::Keys(_, keys) => {
            let signers = keys.signers.iter().map(Item::Signer);
            keys.keys.iter().map(Item::Key).chain(signers).collect()
        }
        Value::Data(_, _, data) => data.signers.iter().map(Item::Signer).collect(),
        Value::Serving(_, answers) => answers.then_some(Item::Answers).into_iter().collect(),
        Value::Cds(_, None) => BTreeSet::new(),
        Value::Cds(_, Some(cds)) => {
            let wanted = cds.wanted.iter().map(Item::Wanted);
            wanted.chain([Item::HasCds]).collect()
        }
        Value::Csync(_, None) => BTreeSet::new(),
        Value::Csync(_, Some(csync)) => {
            let addresses = csync.addresses.then_some(Item::TakesAddresses);
            addresses.into_iter().chain([Item::HasCsync]).collect()
        }
    }
}

/// Whether two values have the same items.
pub(in crate::multisigner) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Ds(a), Value::Ds(b)) => a.records == b.records,
        (Value::ParentNs(a), Value::ParentNs(b)) => a.members == b.members,
        (Value::ChildNs(at, a), Value::ChildNs(there, b)) => at == there && a.members == b.members,
        (Value::Keys(at, a), Value::Keys(there, b)) => {
            at == there && (a.keys, a.signers) == (b.keys, b.signers)
        }
        (Value::Data(at, _, a), Value::Data(there, _, b)) => at == there && a.signers == b.signers,
        (Value::Serving(at, a), Value::Serving(there, b)) => (at, a) == (there, b),
        (Value::Cds(at, a), Value::Cds(there, b)) => {
            at == there && a.map(|cds| cds.wanted) == b.map(|cds| cds.wanted)
        }
        (Value::Csync(at, a), Value::Csync(there, b)) => (at, a) == (there, b),
        _ => false,
    }
}

/// The same value with these items in place of its own.
pub(super) fn made_of(value: &Value, items: &BTreeSet<Item>) -> Value {
    let keys = |pick: fn(Item) -> Option<KeyId>| items.iter().copied().filter_map(pick).collect();
    let signers = |item| match item {
        Item::Signer(key) => Some(key),
        _ => None,
    };
    let members = || {
        let member = |item: &Item| match item {
            Item::Member(provider) => Some(*provider),
            _ => None,
        };
        items.iter().filter_map(member).collect()
    };
    match value {
        Value::Ds(ds) => {
            let record = |item: &Item| match item {
                Item::Record(record) => Some(*record),
                _ => None,
            };
            let records = items.iter().filter_map(record).collect();
            Value::Ds(DsSet {
                records,
                ..ds.clone()
            })
        }
        Value::ParentNs(ns) => Value::ParentNs(NsSet {
            members: members(),
            ..ns.clone()
        }),
        Value::ChildNs(provider, ns) => {
            let members = members();
            Value::ChildNs(
                *provider,
                NsSet {
                    members,
                    ..ns.clone()
                },
            )
        }
        Value::Keys(provider, rrset) => {
            let published = |item| match item {
                Item::Key(key) => Some(key),
                _ => None,
            };
            let rrset = KeyRrset {
                keys: keys(published),
                signers: keys(signers),
                ttl: rrset.ttl,
            };
            Value::Keys(*provider, rrset)
        }
        Value::Data(provider, class, data) => {
            let signers = keys(signers);
            Value::Data(*provider, class.clone(), SignedData { signers, ..*data })
        }
        Value::Serving(provider, _) => Value::Serving(*provider, items.contains(&Item::Answers)),
        Value::Cds(provider, cds) => {
            let wanted = |item| match item {
                Item::Wanted(key) => Some(key),
                _ => None,
            };
            let cds = items.contains(&Item::HasCds).then(|| Cds {
                wanted: keys(wanted),
                signers: cds.map(|cds| cds.signers).unwrap_or_default(),
            });
            Value::Cds(*provider, cds)
        }
        Value::Csync(provider, _) => {
            let addresses = items.contains(&Item::TakesAddresses);
            let csync = items.contains(&Item::HasCsync).then_some(Csync { addresses });
            Value::Csync(*provider, csync)
        }
    }
}

/// Raises the TTL of a value to at least this.
pub(in crate::multisigner) fn raise_ttl(value: &mut Value, least: u64) {
    let place = match value {
        Value::Ds(ds) => &mut ds.ttl,
        Value::ParentNs(ns) | Value::ChildNs(_, ns) => &mut ns.ttl,
        Value::Keys(_, keys) => &mut keys.ttl,
        Value::Data(_, _, data) => &mut data.ttl,
        Value::Serving(..) | Value::Cds(..) | Value::Csync(..) => return,
    };
    *place = (*place).max(least);
}
