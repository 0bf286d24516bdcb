//! `/zones/{zone}/dnssec/external_keys`: the keys of other providers, in named sets.
//!
//! NS1's documents give the members (`dnskey` with `ttl` and `data`; `flags`, `protocol`, `algorithm`, `public_key`)
//! and not how the list of sets is laid out, so every layout that makes sense is read.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{dnssec::collect, kind, member_text, ttl};
use crate::{
    dnssec::key::Dnskey,
    provider::ns1::settings::{Nesting, Values, WireForm},
    wire::Ttl,
};

/// Members that may name a set in an array of sets.
const NAMES: [&str; 5] = ["name", "key_set_name", "key_set", "set", "id"];
/// Members that may stand around the list.
const WRAPPERS: [&str; 4] = ["external_keys", "key_sets", "sets", "keys"];

/// A set of keys that somebody gave NS1.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::provider::ns1) struct KeySet {
    /// Its keys.
    pub keys: Vec<Dnskey>,
    /// Its TTL.
    pub ttl: Option<Ttl>,
}

/// The sets of a zone by their names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::provider::ns1) struct KeySets {
    /// The sets.
    pub sets: BTreeMap<String, KeySet>,
    /// Sets of which the list gives nothing but the name.
    pub names_only: Vec<String>,
    /// What could not be read.
    pub remarks: Vec<String>,
}

/// Reads the list of sets.
///
/// # Errors
/// When it is laid out in a way that gives no names.
pub(in crate::provider::ns1) fn read_list(value: &Value) -> Result<KeySets, String> {
    let mut found = KeySets::default();
    take_list(value, &mut found)?;
    Ok(found)
}

fn take_list(value: &Value, found: &mut KeySets) -> Result<(), String> {
    match value {
        Value::Null => Ok(()),
        Value::Array(items) => items.iter().try_for_each(|item| take_item(item, found)),
        Value::Object(_) if is_set(value) => take_item(value, found),
        Value::Object(members) => {
            // Beside a list stand the zone's name, a count, and their like, but no sets.
            let is_wrapper = |name: &str| WRAPPERS.contains(&name) && !members.values().any(holds_keys);
            if let Some((_, inner)) = members.iter().find(|(name, _)| is_wrapper(name)) {
                return take_list(inner, found);
            }
            for (name, inner) in members {
                if inner.is_array() || inner.is_object() {
                    take_set(name, inner, found);
                }
            }
            Ok(())
        }
        other => Err(format!("expected the external key sets, found {}", kind(other))),
    }
}

fn take_item(item: &Value, found: &mut KeySets) -> Result<(), String> {
    match item {
        Value::String(name) => found.names_only.push(name.clone()),
        Value::Object(members) => {
            let name = NAMES.iter().find_map(|member| member_text(item, member));
            match (name, members.iter().next()) {
                (Some(name), _) => take_set(name, item, found),
                // {"name of the set": {…}}
                (None, Some((name, inner))) if members.len() == 1 && !is_set(item) => {
                    take_set(name, inner, found)
                }
                _ => return Err("a set of external keys has no name".into()),
            }
        }
        other => return Err(format!("expected a set of external keys, found {}", kind(other))),
    }
    Ok(())
}

fn take_set(name: &str, value: &Value, found: &mut KeySets) {
    let mut set = read_set(value);
    let remarks = std::mem::take(&mut set.1);
    found
        .remarks
        .extend(remarks.iter().map(|remark| format!("set {name}: {remark}")));
    found.sets.insert(name.into(), set.0);
}

/// Whether this is one set, and not a list of them.
fn is_set(value: &Value) -> bool {
    value.get("data").is_some() || value.get("dnskey").is_some()
}

/// Whether this is a set in any form: as above, or an array of keys, or of nameless sets.
fn holds_keys(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.first().is_some_and(|item| {
            let has_name = NAMES.iter().any(|member| member_text(item, member).is_some());
            item.is_array() || item.get("public_key").is_some() || (is_set(item) && !has_name)
        }),
        _ => is_set(value),
    }
}

/// Reads one set, and what could not be read of it: wrapped in `dnskey` or bare, its keys in `data` or not.
pub(in crate::provider::ns1) fn read_set(value: &Value) -> (KeySet, Vec<String>) {
    let inner = value.get("dnskey").unwrap_or(value);
    let (mut set, mut remarks) = (KeySet::default(), Vec::new());
    set.ttl = ttl(inner).or_else(|| ttl(value));
    let data = inner.get("data").unwrap_or(inner);
    collect(data, &mut set.keys, &mut remarks, 0);
    (set, remarks)
}

/// The body that makes a set, or replaces one.
pub(in crate::provider::ns1) fn write_set(keys: &[Dnskey], ttl: Ttl, form: WireForm) -> Value {
    let scalar = |number: u64| match form.values {
        Values::Numbers => Value::from(number),
        Values::Strings => Value::from(number.to_string()),
    };
    let key = |key: &Dnskey| {
        json!({
            "flags": scalar(key.flags().into()),
            "protocol": scalar(key.protocol().into()),
            "algorithm": scalar(key.algorithm().0.into()),
            "public_key": data_encoding::BASE64.encode(key.public_key()),
        })
    };
    let set = json!({ "ttl": ttl.seconds(), "data": keys.iter().map(key).collect::<Vec<_>>() });
    match form.nesting {
        Nesting::Bare => set,
        Nesting::Wrapped => Value::Object(Map::from_iter([("dnskey".to_owned(), set)])),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::dnssec::tests::any_json, *};

    fn key(number: u8) -> Dnskey {
        Dnskey::new(
            256 + u16::from(number % 2),
            crate::dnssec::algorithm::Algorithm(13),
            &[number; 64],
        )
    }

    fn sets(of: &[(&str, &[u8])]) -> BTreeMap<String, KeySet> {
        of.iter()
            .map(|(name, numbers)| {
                let keys = numbers.iter().map(|number| key(*number)).collect();
                let ttl = Some(Ttl::new(3600));
                ((*name).to_owned(), KeySet { keys, ttl })
            })
            .collect()
    }

    #[test]
    fn a_body_has_the_members_of_ns1s_documents() {
        let body = write_set(&[key(1)], Ttl::new(3600), WireForm::default());
        let public_key = data_encoding::BASE64.encode(&[1; 64]);
        assert_eq!(
            body,
            json!({"dnskey": {"ttl": 3600, "data": [
                {"flags": 257, "protocol": 3, "algorithm": 13, "public_key": public_key}]}})
        );
        let strings = WireForm {
            nesting: Nesting::Bare,
            values: Values::Strings,
        };
        let body = write_set(&[key(1)], Ttl::new(3600), strings);
        assert_eq!(
            body,
            json!({"ttl": 3600, "data": [
                {"flags": "257", "protocol": "3", "algorithm": "13", "public_key": public_key}]})
        );
    }

    /// A list of sets in each layout that NS1's documents allow.
    fn layouts(sets: &BTreeMap<String, KeySet>, form: WireForm) -> Vec<Value> {
        let body = |set: &KeySet| write_set(&set.keys, set.ttl.unwrap(), form);
        let named = |(name, set): (&String, &KeySet)| {
            let mut body = body(set);
            body["name"] = json!(name);
            body
        };
        let arrays = |set: &KeySet| {
            let rows: Vec<Value> = set
                .keys
                .iter()
                .map(|key| {
                    let fields: Vec<String> = key.to_string().split(' ').map(str::to_owned).collect();
                    json!(fields)
                })
                .collect();
            json!({"ttl": 3600, "dnskey": rows})
        };
        let map = Value::Object(sets.iter().map(|(name, set)| (name.clone(), body(set))).collect());
        let array: Vec<Value> = sets.iter().map(named).collect();
        vec![
            json!({"external_keys": map.clone()}),
            json!({"zone": "example.com", "external_keys": array.clone(), "meta": {}}),
            map,
            json!(array),
            json!(
                sets.iter()
                    .map(|(name, set)| json!({ name: body(set) }))
                    .collect::<Vec<_>>()
            ),
            Value::Object(
                sets.iter()
                    .map(|(name, set)| (name.clone(), arrays(set)))
                    .collect(),
            ),
            Value::Object(
                sets.iter()
                    .map(|(name, set)| (name.clone(), json!([body(set)])))
                    .collect(),
            ),
        ]
    }

    proptest! {
        #[test]
        fn every_layout_is_read_as_the_same_sets(
            first in prop::collection::btree_set(0..20_u8, 0..5),
            second in prop::collection::btree_set(0..20_u8, 1..5),
            form in prop::sample::select(&WireForm::ALL[..]),
        ) {
            let (first, second): (Vec<u8>, Vec<u8>) = (first.into_iter().collect(), second.into_iter().collect());
            // One is called what a wrapper may be called.
            let sets = sets(&[("countersign", &first), ("other-1", &second), ("keys", &second)]);
            for layout in layouts(&sets, form) {
                let found = read_list(&layout).unwrap();
                prop_assert_eq!(&found.remarks, &Vec::<String>::new(), "{}", layout);
                for (name, set) in &sets {
                    prop_assert_eq!(&found.sets[name].keys, &set.keys, "{}", layout);
                }
                prop_assert_eq!(found.sets.len(), sets.len(), "{}", layout);
            }
        }

        #[test]
        fn any_json_is_sets_or_an_error(value in any_json()) {
            let _ = read_list(&value);
            let _ = read_set(&value);
        }
    }

    #[test]
    fn no_sets_are_no_sets() {
        for none in [
            json!(null),
            json!([]),
            json!({}),
            json!({"external_keys": []}),
            json!({"external_keys": {}}),
        ] {
            assert_eq!(read_list(&none).unwrap(), KeySets::default(), "{none}");
        }
    }

    #[test]
    fn odd_lists_are_told() {
        assert_eq!(read_list(&json!(["a", "b"])).unwrap().names_only, ["a", "b"]);
        assert!(read_list(&json!("a")).is_err());
        assert!(
            read_list(&json!([{"ttl": 1, "data": []}]))
                .unwrap_err()
                .contains("no name")
        );
        let found = read_list(&json!({"a": {"data": [{"flags": 257, "public_key": "?"}]}})).unwrap();
        assert!(
            found.remarks[0].starts_with("set a: a key that cannot be read"),
            "{:?}",
            found.remarks
        );
    }
}
