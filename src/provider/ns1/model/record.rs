//! `/zones/{zone}/{owner}/{TYPE}`: a record with its answers.

use serde_json::{Value, json};

use super::{kind, text, ttl};
use crate::wire::{Name, Ttl};

/// A record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::provider::ns1) struct RecordBody {
    /// Its TTL.
    pub ttl: Option<Ttl>,
    /// Its answers, each a row of fields.
    pub answers: Vec<Vec<String>>,
    /// How many filters choose among the answers when it is asked for.
    pub filters: usize,
    /// The record whose answers it shares.
    pub link: Option<String>,
}

/// Reads a record.
///
/// # Errors
/// When an answer is not made of fields.
pub(in crate::provider::ns1) fn read(value: &Value) -> Result<RecordBody, String> {
    let answers = match value.get("answers") {
        Some(Value::Array(answers)) => answers.iter().map(answer).collect::<Result<_, _>>()?,
        Some(Value::Null) | None => Vec::new(),
        Some(other) => return Err(format!("expected an array of answers, found {}", kind(other))),
    };
    let filters = value.get("filters").and_then(Value::as_array).map_or(0, Vec::len);
    Ok(RecordBody {
        ttl: ttl(value),
        answers,
        filters,
        link: super::member_text(value, "link").map(str::to_owned),
    })
}

/// An answer: an object with `answer`, or the fields themselves; a lone string is one field.
fn answer(value: &Value) -> Result<Vec<String>, String> {
    let fields = value.get("answer").unwrap_or(value);
    match fields {
        Value::Array(fields) => fields
            .iter()
            .map(|field| text(field).ok_or_else(|| format!("a field of an answer is {}", kind(field))))
            .collect(),
        other => text(other)
            .map(|field| vec![field])
            .ok_or_else(|| format!("an answer is {}", kind(other))),
    }
}

/// The body that makes an NS record, or replaces its answers.
pub(in crate::provider::ns1) fn write_ns(zone: &str, targets: &[Name], ttl: Ttl) -> Value {
    let answers: Vec<Value> = targets
        .iter()
        .map(|target| json!({ "answer": [target.to_string()] }))
        .collect();
    json!({ "zone": zone, "domain": zone, "type": "NS", "ttl": ttl.seconds(), "answers": answers })
}

/// The body that makes a record at the apex, or replaces its answers, each a row of fields.
pub(in crate::provider::ns1) fn write_rows(zone: &str, rtype: &str, rows: &[Vec<String>], ttl: Ttl) -> Value {
    let answers: Vec<Value> = rows.iter().map(|row| json!({ "answer": row })).collect();
    json!({ "zone": zone, "domain": zone, "type": rtype, "ttl": ttl.seconds(), "answers": answers })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::dnssec::tests::any_json, *};

    #[test]
    fn answers_are_rows_of_fields() {
        let record = read(&json!({
            "ttl": "300", "filters": [{"filter": "up"}], "link": null,
            "answers": [{"id": "x", "answer": [10, "mx.example."], "meta": {}}, ["20", "b."], {"answer": "v=spf1"}],
        }))
        .unwrap();
        assert_eq!(
            record.answers,
            [vec!["10", "mx.example."], vec!["20", "b."], vec!["v=spf1"]]
        );
        assert_eq!(
            (record.ttl, record.filters, record.link),
            (Some(Ttl::new(300)), 1, None)
        );
        assert!(
            read(&json!({"answers": [{"answer": [null]}]}))
                .unwrap_err()
                .contains("is nothing")
        );
    }

    #[test]
    fn an_ns_record_is_written_with_absolute_names() {
        let targets = ["ns1.example.net.".parse().unwrap()];
        assert_eq!(
            write_ns("example.com", &targets, Ttl::new(60)),
            json!({"zone": "example.com", "domain": "example.com", "type": "NS", "ttl": 60,
                   "answers": [{"answer": ["ns1.example.net."]}]})
        );
    }

    proptest! {
        #[test]
        fn any_json_is_a_record_or_an_error(value in any_json()) {
            let _ = read(&value);
        }
    }
}
