//! `GET /zones/{zone}/dnssec`: the keys that NS1 has for a zone, and what it would have the parent publish.
//!
//! Keys are arrays of strings, `["257", "3", "13", "BASE64"]`. One CSK, or a KSK and a ZSK, or a pair for each
//! network that the zone is published to.

use data_encoding::{BASE64, BASE64_NOPAD};
use serde_json::Value;

use super::{kind, number, text, ttl};
use crate::{dnssec::key::Dnskey, wire::Ttl};

/// More keys than this in one reply are not a zone's keys.
const MOST_KEYS: usize = 200;
/// Arrays of networks of sets of keys are three deep.
const DEEPEST: usize = 6;

/// What NS1 says of a zone's keys.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::provider::ns1) struct Dnssec {
    /// All keys, without duplicates.
    pub keys: Vec<Dnskey>,
    /// The TTL of the DNSKEY RRset.
    pub ttl: Option<Ttl>,
    /// The keys that the parent's DS should point to.
    pub delegation: Vec<Dnskey>,
    /// What could not be read.
    pub remarks: Vec<String>,
}

/// Reads the reply.
///
/// # Errors
/// When there is no `keys` in it.
pub(in crate::provider::ns1) fn read(value: &Value) -> Result<Dnssec, String> {
    let keys = value
        .get("keys")
        .ok_or_else(|| format!("expected an object with `keys`, found {}", kind(value)))?;
    let mut found = Dnssec {
        ttl: ttl(keys),
        ..Dnssec::default()
    };
    collect(keys, &mut found.keys, &mut found.remarks, 0);
    if let Some(delegation) = value
        .get("delegation")
        .and_then(|delegation| delegation.get("dnskey"))
    {
        collect(delegation, &mut found.delegation, &mut found.remarks, 0);
    }
    Ok(found)
}

/// Collects keys out of whatever holds them: an array a key, an object a key, text; and arrays and maps of those.
pub(in crate::provider::ns1) fn collect(
    value: &Value,
    keys: &mut Vec<Dnskey>,
    remarks: &mut Vec<String>,
    depth: usize,
) {
    match value {
        _ if depth > DEEPEST || remarks.len() > MOST_KEYS => {}
        Value::Array(fields) if is_key(fields) => take(from_fields(fields), keys, remarks),
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect(item, keys, remarks, depth + 1)),
        Value::Object(members) if members.contains_key("public_key") => {
            let member = |name: &str| members.get(name).cloned().unwrap_or_default();
            let protocol = members.get("protocol").cloned().unwrap_or(Value::from(3));
            let fields = [
                member("flags"),
                protocol,
                member("algorithm"),
                member("public_key"),
            ];
            take(from_fields(&fields), keys, remarks);
        }
        Value::Object(members) => members
            .iter()
            .filter(|(_, value)| value.is_array() || value.is_object())
            .for_each(|(_, value)| collect(value, keys, remarks, depth + 1)),
        Value::String(text) => take(
            Dnskey::from_text(text).map_err(|error| error.to_string()),
            keys,
            remarks,
        ),
        Value::Null => {}
        other => take(
            Err(format!("expected a key, found {}", kind(other))),
            keys,
            remarks,
        ),
    }
}

fn take(key: Result<Dnskey, String>, keys: &mut Vec<Dnskey>, remarks: &mut Vec<String>) {
    match key {
        Ok(key) if keys.contains(&key) => {}
        Ok(_) if keys.len() >= MOST_KEYS => {
            remarks.push(format!("more than {MOST_KEYS} keys; the rest is left out"));
        }
        Ok(key) => keys.push(key),
        Err(why) => remarks.push(format!("a key that cannot be read is left out: {why}")),
    }
}

/// Four scalars of which the first three are numbers; four keys as text are none.
fn is_key(fields: &[Value]) -> bool {
    fields.len() == 4 && fields[..2].iter().all(|field| number(field).is_some()) && text(&fields[3]).is_some()
}

/// A key from its four fields.
fn from_fields(fields: &[Value]) -> Result<Dnskey, String> {
    let wrong = |name: &str, found: &Value| format!("its {name} is {found}");
    let [flags, protocol, algorithm, public_key] = fields else {
        return Err(format!("it has {} fields, not four", fields.len()));
    };
    let flags_number = number(flags)
        .and_then(|flags| u16::try_from(flags).ok())
        .ok_or_else(|| wrong("flags", flags))?;
    let protocol_number = number(protocol)
        .and_then(|protocol| u8::try_from(protocol).ok())
        .ok_or_else(|| wrong("protocol", protocol))?;
    let algorithm_number = number(algorithm)
        .and_then(|algorithm| u8::try_from(algorithm).ok())
        .or_else(|| crate::wire::text::algorithm_number(text(algorithm)?.as_bytes()))
        .ok_or_else(|| wrong("algorithm", algorithm))?;
    let key = text(public_key)
        .and_then(|key| base64(&key))
        .ok_or_else(|| wrong("public key", public_key))?;
    let mut rdata = flags_number.to_be_bytes().to_vec();
    rdata.extend_from_slice(&[protocol_number, algorithm_number]);
    rdata.extend_from_slice(&key);
    Dnskey::from_rdata(&rdata).map_err(|error| error.to_string())
}

/// Base64 with blanks anywhere, and with or without its padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.split_ascii_whitespace().collect();
    BASE64
        .decode(digits.as_bytes())
        .or_else(|_| BASE64_NOPAD.decode(digits.trim_end_matches('=').as_bytes()))
        .ok()
}

#[cfg(test)]
pub(in crate::provider::ns1) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const KSK: &str =
        "t+4DPP+MFZ0Cr7gAXiDYv6HTyXzq/O2ESVRLc/ysuh5xBXKIsjsj5baV1HzhBNo2F7mbsevsEo0/6UEL8+JBmA==";
    const ZSK: &str =
        "pxEUulkf8UZtE9fy2+4wJwM44xncypgGVps4hE4kQGA5TuC/XJPoKBX6e3B/QL9AmwFCgyFeC4uRNxoqxK0xOg==";

    fn key(flags: u16, base64: &str) -> Dnskey {
        Dnskey::from_text(&format!("{flags} 3 13 {base64}")).unwrap()
    }

    #[test]
    fn what_ns1s_own_clients_are_tested_with_is_read() {
        let reply = json!({
            "zone": "burping.cat.",
            "keys": {"ttl": 3600, "dnskey": [["257", "3", "13", KSK], ["256", "3", "13", ZSK]]},
            "delegation": {"ttl": 3666, "dnskey": [["257", "3", "13", KSK]],
                "ds": [["48553", "13", "2", "150ae338f365a05e53cb781aedd1b54bf5f27f6a837441292ccf03ca26ad0fb3"]]},
        });
        let found = read(&reply).unwrap();
        assert_eq!(found.keys, [key(257, KSK), key(256, ZSK)]);
        assert_eq!((found.ttl, found.remarks.len()), (Some(Ttl::new(3600)), 0));
        assert_eq!(found.delegation, [key(257, KSK)]);
        assert_eq!(found.keys[0].key_tag(), 48553);
    }

    #[test]
    fn other_shapes_are_read_as_the_same_keys() {
        let both = [key(257, KSK), key(256, ZSK)];
        for keys in [
            json!([[257, 3, 13, KSK], [256, 3, 13, ZSK]]),
            json!({"dnskey": [{"flags": 257, "protocol": 3, "algorithm": 13, "public_key": KSK},
                              {"flags": "256", "algorithm": "ECDSAP256SHA256", "public_key": ZSK}]}),
            json!({"dnskey": [format!("257 3 13 {KSK}"), format!("256 3 13 {ZSK}")]}),
            json!([{"network": 0, "dnskey": [["257", "3", "13", KSK]]}, {"network": 7, "dnskey": [["256", "3", "13", ZSK]]}]),
            json!({"0": {"dnskey": [["257", "3", "13", KSK]]}, "7": {"dnskey": [["256", "3", "13", ZSK]]}}),
            json!([
                ["257", "3", "13", KSK],
                ["257", "3", "13", KSK],
                ["256", "3", "13", ZSK.trim_end_matches('=')]
            ]),
        ] {
            let found = read(&json!({ "keys": keys })).unwrap();
            assert_eq!((&found.keys[..], found.remarks.len()), (&both[..], 0), "{keys}");
        }
        // One key that signs everything.
        assert_eq!(
            read(&json!({"keys": {"dnskey": [["257", "3", "13", KSK]]}}))
                .unwrap()
                .keys,
            both[..1]
        );
    }

    #[test]
    fn what_cannot_be_read_is_told_and_the_rest_is_taken() {
        let keys = json!([
            ["257", "3", "13", "?"],
            ["256", "3", "13", ZSK],
            ["1", "2"],
            7,
            ["x", "3", "13", ZSK]
        ]);
        let found = read(&json!({ "keys": keys })).unwrap();
        assert_eq!(found.keys, [key(256, ZSK)]);
        assert!(
            found.remarks[0].contains("public key is \"?\""),
            "{:?}",
            found.remarks
        );
        assert!(found.remarks.len() >= 4, "{:?}", found.remarks);
        assert_eq!(
            read(&json!(["x"])).unwrap_err(),
            "expected an object with `keys`, found an array"
        );
    }

    /// Any JSON, not too large.
    pub(in crate::provider::ns1) fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u32>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            prop::sample::select(&["257", "3", "13", KSK, "", "name", "257 3 13 AA=="][..])
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 60, 6, |inner| {
            let member = prop::sample::select(
                &[
                    "keys",
                    "dnskey",
                    "data",
                    "name",
                    "public_key",
                    "flags",
                    "algorithm",
                    "ttl",
                    "answers",
                    "answer",
                    "records",
                    "domain",
                    "type",
                    "delegation",
                    "countersign",
                    "external_keys",
                ][..],
            );
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((member.prop_map(str::to_owned), inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_keys_or_an_error(value in any_json()) {
            if let Ok(found) = read(&json!({ "keys": value })) {
                prop_assert!(found.keys.len() <= MOST_KEYS);
            }
        }
    }
}
