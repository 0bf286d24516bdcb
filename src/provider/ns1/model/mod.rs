//! NS1's JSON, read tolerantly: numbers may be strings and the other way round, arrays may be maps, and members that
//! are not known are passed over. What is sent has one form (`WireForm`).

pub(super) mod dnssec;
pub(super) mod external;
pub(super) mod record;
pub(super) mod zone;

use serde_json::Value;

use crate::wire::{Name, Ttl};

/// A name as NS1 writes it: absolute, with or without its last dot.
pub(super) fn name(text: &str) -> Result<Name, String> {
    text.parse()
        .map_err(|error| format!("{text:?} is not a domain name: {error}"))
}

/// A zone or an owner as NS1's paths have it: lower case, without the last dot.
pub(super) fn path_name(name: &Name) -> String {
    let text = name.to_string().to_ascii_lowercase();
    text.strip_suffix('.').map_or(text.clone(), str::to_owned)
}

/// A string, or a whole number as one; what else there is, is none.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => match (number.as_u64(), number.as_f64()) {
            (Some(whole), _) => Some(whole.to_string()),
            // 1.0 is a whole number too; anything else keeps its own form.
            (None, Some(float)) if float.fract() == 0.0 && (0.0..1e15).contains(&float) => {
                Some((float as u64).to_string())
            }
            _ => Some(number.to_string()),
        },
        _ => None,
    }
}

/// A whole number, or a string that is one.
pub(super) fn number(value: &Value) -> Option<u64> {
    text(value)?.trim().parse().ok()
}

/// The whole number that is the member `name`; none when there is none, or it is no such number.
pub(super) fn member_number(value: &Value, name: &str) -> Option<u32> {
    number(value.get(name)?)?.try_into().ok()
}

/// The string that is the member `name`, when it is not empty.
pub(super) fn member_text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// The TTL that is the member `ttl`.
pub(super) fn ttl(value: &Value) -> Option<Ttl> {
    member_number(value, "ttl").map(Ttl::new)
}

/// What kind of JSON it is, for messages.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_may_be_strings_and_strings_numbers() {
        for value in [json!(257), json!("257"), json!(257.0), json!(" 257 ")] {
            assert_eq!(number(&value), Some(257), "{value}");
        }
        for value in [
            json!(null),
            json!(-1),
            json!("x"),
            json!(1.5),
            json!([257]),
            json!(1e300),
        ] {
            assert_eq!(number(&value), None, "{value}");
        }
        assert_eq!(text(&json!(10)), Some("10".into()));
        assert_eq!(text(&json!("mx.")), Some("mx.".into()));
    }

    #[test]
    fn paths_have_no_last_dot() {
        assert_eq!(path_name(&"WWW.Example.COM.".parse().unwrap()), "www.example.com");
        assert_eq!(path_name(&"*.a\\.b.c".parse().unwrap()), "*.a\\.b.c");
    }
}
