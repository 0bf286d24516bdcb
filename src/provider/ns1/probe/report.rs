//! What was found out: for people, as a file to send, and as the configuration that follows.

use serde_json::{Map, Value, json};

use super::{Probe, QUESTIONS, Question, question::Needs};
use crate::{
    provider::ns1::{
        call::Exchange,
        model::member_text,
        settings::{ENDPOINT, KEY_SET, KeySource, Nesting, Values},
    },
    wire::Name,
};

/// Members of NS1's objects that hold secrets, such as a TSIG key's.
const SECRETS: [&str; 6] = ["key", "secret", "token", "password", "api_key", "apikey"];
/// How much of a body that is no JSON is kept, in octets.
const KEPT: usize = 400;
/// The most exchanges that a report keeps.
const MOST_EXCHANGES: usize = 2_000;

/// An answer to a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// What was seen, a line each.
    Seen(Vec<String>),
    /// Why it was not tried.
    NotTried(String),
}

/// What was found out.
#[derive(Clone, Debug)]
pub struct Report {
    /// Every question with its answer.
    pub answers: Vec<(Question, Answer)>,
    /// The lines of the configuration that follow.
    pub configuration: String,
    /// All that was said, secrets removed.
    pub file: Value,
}

impl Probe {
    /// What was found out so far.
    pub fn report(&self) -> Report {
        let exchanges = self.ns1.exchanges();
        self.note_limits(&exchanges);
        let answers: Vec<(Question, Answer)> = QUESTIONS
            .iter()
            .map(|question| (*question, self.answer_to(question)))
            .collect();
        let configuration = self.configuration();
        let findings: Vec<Value> = answers
            .iter()
            .map(|(question, answer)| {
                let (member, value) = match answer {
                    Answer::Seen(lines) => ("seen", json!(lines)),
                    Answer::NotTried(why) => ("not_tried", json!(why)),
                };
                json!({"number": question.number, "question": question.text, member: value})
            })
            .collect();
        let file = json!({
            "countersign": env!("CARGO_PKG_VERSION"),
            "endpoint": self.ns1.client.settings().endpoint,
            "time": self.clock.now().to_string(),
            "findings": findings,
            "configuration": configuration.lines().collect::<Vec<_>>(),
            "exchanges": exchanges.iter().take(MOST_EXCHANGES).map(shown).collect::<Vec<_>>(),
        });
        Report {
            answers,
            configuration,
            file,
        }
    }

    fn answer_to(&self, question: &Question) -> Answer {
        let notes = self.notes();
        let seen: Vec<String> = notes
            .seen
            .iter()
            .filter(|(number, _)| *number == question.number)
            .map(|(_, seen)| seen.clone())
            .collect();
        if !seen.is_empty() {
            return Answer::Seen(seen);
        }
        let why = notes
            .not_tried
            .iter()
            .rev()
            .find(|(number, _)| *number == question.number);
        Answer::NotTried(match (why, question.needs) {
            (Some((_, why)), _) => why.clone(),
            (None, Needs::Scratch) if self.plan.scratch.is_none() => {
                "no scratch zone was named (--scratch ZONE)".into()
            }
            (None, Needs::Zone) if self.plan.zone.is_none() && self.plan.scratch.is_none() => {
                "no zone was named".into()
            }
            (None, _) => "the probe ended before".into(),
        })
    }

    fn note_limits(&self, exchanges: &[Exchange]) {
        let mut told: Vec<String> = Vec::new();
        for exchange in exchanges {
            let limit = |name: &str| {
                let found = exchange.limits.iter().find(|(header, _)| header.ends_with(name));
                found.map(|(_, value)| value.as_str())
            };
            if let (Some(limit), Some(period)) = (limit("-limit"), limit("-period")) {
                let method = exchange.asked.split(' ').next().unwrap_or_default();
                let line = format!("{method}: {limit} in {period} s");
                if !told.contains(&line) {
                    told.push(line);
                }
            }
        }
        let mut notes = self.notes();
        notes.seen.retain(|(number, _)| *number != "7.1");
        if told.is_empty() {
            notes.not_tried.push(("7.1", "no reply had the headers".into()));
        } else {
            notes.seen.push(("7.1", told.join("; ")));
        }
    }

    /// The part of `countersign.toml` that follows from what was seen.
    fn configuration(&self) -> String {
        let settings = self.ns1.client.settings();
        let mut lines = vec![
            "[[provider]]".to_owned(),
            format!("name = {:?}", settings.name),
            "kind = \"ns1\"".into(),
        ];
        if settings.endpoint != ENDPOINT {
            lines.push(format!("endpoint = {:?}", settings.endpoint));
        }
        lines.push(match &settings.key {
            KeySource::File(path) => format!("api_key_file = {:?}", path.display().to_string()),
            KeySource::Environment(name) => format!("api_key_env = {name:?}"),
        });
        if let Some(ca) = &settings.ca {
            lines.push(format!("ca_file = {:?}", ca.display().to_string()));
        }
        if settings.key_set != KEY_SET {
            lines.push(format!("key_set = {:?}", settings.key_set));
        }
        match self.notes().form {
            Some(form) => {
                let body = if form.nesting == Nesting::Wrapped {
                    "wrapped"
                } else {
                    "bare"
                };
                let numbers = if form.values == Values::Numbers {
                    "numbers"
                } else {
                    "strings"
                };
                lines.push(format!("body = {body:?}"));
                lines.push(format!("numbers = {numbers:?}"));
            }
            None => lines
                .push("# body and numbers: no form was seen to be taken, so they stay as they are".into()),
        }
        if let Some(zone) = &self.plan.zone {
            lines.push(String::new());
            lines.push(format!(
                "# and in the [[zone]] with origin = {:?}:",
                Name::to_string(zone)
            ));
            lines.push(format!("providers = [{:?}]", settings.name));
        }
        lines.join("\n") + "\n"
    }
}

/// An exchange as the report shows it.
fn shown(exchange: &Exchange) -> Value {
    let body = match serde_json::from_slice(&exchange.body) {
        Ok(value) => scrubbed(value),
        Err(_) if exchange.body.is_empty() => Value::Null,
        Err(_) => {
            let text = String::from_utf8_lossy(&exchange.body[..exchange.body.len().min(KEPT)]);
            // An export is the zone's content, which nobody needs to see.
            match exchange.asked.contains("/export/zonefile/") {
                true => json!(format!("{} octets of text", exchange.body.len())),
                false => json!(text),
            }
        }
    };
    let mut out = Map::new();
    out.insert("asked".into(), json!(exchange.asked));
    if let Some(sent) = &exchange.sent {
        out.insert("sent".into(), sent.clone());
    }
    match &exchange.status {
        Ok(status) => out.insert("status".into(), json!(status)),
        Err(why) => out.insert("no_answer".into(), json!(why)),
    };
    for (name, value) in &exchange.limits {
        out.insert(name.clone(), json!(value));
    }
    out.insert("body".into(), body);
    Value::Object(out)
}

/// JSON without secrets, and without the content of records.
fn scrubbed(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(scrubbed).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| {
                let value = match (name.to_ascii_lowercase().as_str(), &value) {
                    (lower, Value::String(text)) if SECRETS.contains(&lower) && !text.is_empty() => {
                        json!("[removed]")
                    }
                    ("records", Value::Array(rows)) => {
                        rows.iter().map(|row| json!(member_text(row, "type"))).collect()
                    }
                    _ => scrubbed(value),
                };
                (name, value)
            })
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_the_content_of_records_are_removed() {
        let value = json!({"zone": "a", "secondary": {"tsig": {"name": "k", "hash": "x", "key": "c4nary"}},
            "list": [{"Secret": "c4nary"}, {"api_key": ""}], "public_key": "AAAA", "token": 7,
            "records": [{"domain": "private.a", "type": "A", "short_answers": ["192.0.2.1"]}]});
        let scrubbed = scrubbed(value);
        let text = scrubbed.to_string();
        assert!(
            !text.contains("c4nary") && !text.contains("private") && !text.contains("192.0.2.1"),
            "{text}"
        );
        assert_eq!(scrubbed["records"], json!(["A"]));
        assert_eq!(scrubbed["public_key"], json!("AAAA"));
        assert_eq!(scrubbed["secondary"]["tsig"]["key"], json!("[removed]"));
    }
}
