//! A record of a hosted zone: NS1's record object, and the rdata that its servers answer with.

use serde_json::{Map, Value, json};

use super::reply::Reply;
use crate::wire::{
    Name, RrType, Ttl,
    text::fields::{print_fields, read_fields},
    types::Field,
};

/// Types that NS1 makes itself: whoever writes them is told so.
pub const SIGNERS_TYPES: [RrType; 5] = [
    RrType::DNSKEY,
    RrType::RRSIG,
    RrType::NSEC,
    RrType::NSEC3,
    RrType::NSEC3PARAM,
];
/// Types that only NS1 has; they are kept, and neither answered nor exported.
const OWN_TYPES: [&str; 4] = ["ALIAS", "REDIRECT", "URLFWD", "PULSAR"];
/// How many answers a record may have.
const MAX_ANSWERS: usize = 1_000;
/// Members that are kept as they come, and what they are when they never came.
const KEPT: [&str; 8] = [
    "filters",
    "regions",
    "meta",
    "networks",
    "link",
    "use_client_subnet",
    "override_ttl",
    "tags",
];

/// The type of a record.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RecordType {
    /// One of DNS.
    Dns(RrType),
    /// One of NS1's own.
    Own(&'static str),
}

impl RecordType {
    /// Reads a type as paths have it. `None`: no record can be of it.
    pub fn from_text(text: &str) -> Option<Self> {
        let upper = text.to_ascii_uppercase();
        if let Some(own) = OWN_TYPES.iter().find(|own| **own == upper) {
            return Some(Self::Own(own));
        }
        let rtype = RrType::from_text(&upper)?;
        let usable = rtype.row().is_some_and(|row| !row.fields.is_empty()) && rtype != RrType::SOA;
        usable.then_some(Self::Dns(rtype))
    }

    /// The type of DNS.
    pub fn dns(&self) -> Option<RrType> {
        match self {
            Self::Dns(rtype) => Some(*rtype),
            Self::Own(_) => None,
        }
    }
}

impl std::fmt::Display for RecordType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dns(rtype) => rtype.fmt(f),
            Self::Own(name) => f.write_str(name),
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct HostedRecord {
    /// NS1's number of it.
    pub id: String,
    /// The owner, lower-cased.
    pub domain: Name,
    /// The type.
    pub rtype: RecordType,
    /// The TTL.
    pub ttl: Ttl,
    /// As they came.
    answers: Vec<Value>,
    /// The other members, as they came.
    others: Map<String, Value>,
    /// The answers as rdata; none for NS1's own types.
    pub rdatas: Vec<Vec<u8>>,
}

impl HostedRecord {
    /// A record without answers.
    pub fn new(id: String, domain: Name, rtype: RecordType, ttl: Ttl) -> Self {
        Self {
            id,
            domain,
            rtype,
            ttl,
            answers: Vec::new(),
            others: Map::new(),
            rdatas: Vec::new(),
        }
    }

    /// A record of these rdatas. `None` when one cannot be told in JSON.
    pub fn from_rdatas(
        id: String,
        domain: Name,
        rtype: RrType,
        ttl: Ttl,
        rdatas: Vec<Vec<u8>>,
    ) -> Option<Self> {
        let answers: Option<Vec<Value>> = rdatas
            .iter()
            .map(|rdata| Some(json!({ "answer": answer(rtype, rdata)? })))
            .collect();
        Some(Self {
            answers: answers?,
            rdatas,
            ..Self::new(id, domain, RecordType::Dns(rtype), ttl)
        })
    }

    /// Takes the members of a body over those that were there.
    ///
    /// # Errors
    /// The reply that says what is wrong; then the record is as it was.
    pub fn take(&mut self, body: &Map<String, Value>) -> Result<(), Reply> {
        let mut new = self.clone();
        for (member, value) in body {
            match member.as_str() {
                "ttl" if !value.is_null() => new.ttl = ttl(value)?,
                "answers" => new.take_answers(value)?,
                "filters" if !value.is_array() => return Err(Reply::wrong_type("filters", value, "array")),
                member if KEPT.contains(&member) => {
                    new.others.insert(member.into(), value.clone());
                }
                // Whatever else: NS1's clients send members that are newer than this.
                _ => {}
            }
        }
        *self = new;
        Ok(())
    }

    fn take_answers(&mut self, value: &Value) -> Result<(), Reply> {
        let given = value
            .as_array()
            .ok_or_else(|| Reply::wrong_type("answers", value, "array"))?;
        if given.len() > MAX_ANSWERS {
            return Err(Reply::invalid(&format!(
                "a record has at most {MAX_ANSWERS} answers"
            )));
        }
        let mut rdatas = Vec::with_capacity(given.len());
        for one in given {
            let fields = one
                .get("answer")
                .and_then(Value::as_array)
                .ok_or_else(|| Reply::wrong_type("answers[].answer", one, "array"))?;
            let fields: Vec<String> = fields.iter().map(field).collect::<Result<_, _>>()?;
            match self.rtype {
                RecordType::Dns(rtype) => rdatas.push(rdata(rtype, &fields)?),
                RecordType::Own("ALIAS") => self.check_alias(&fields)?,
                RecordType::Own(_) => {}
            }
        }
        self.answers = given.clone();
        self.rdatas = rdatas;
        Ok(())
    }

    fn check_alias(&self, fields: &[String]) -> Result<(), Reply> {
        let target = fields.first().and_then(|target| target.parse::<Name>().ok());
        match target {
            Some(target) if target == self.domain => {
                Err(Reply::invalid("ALIAS records must not reference themselves"))
            }
            Some(_) => Ok(()),
            None => Err(Reply::invalid("invalid: an ALIAS has a name as its answer")),
        }
    }

    /// Whether its answers are chosen by a filter chain, so that no short form tells all.
    fn is_filtered(&self) -> bool {
        let filters = self.others.get("filters").and_then(Value::as_array);
        filters.is_some_and(|filters| !filters.is_empty())
    }

    fn tier(&self) -> u8 {
        if self.is_filtered() { 3 } else { 1 }
    }

    /// The row of the zone's `records`.
    pub fn row(&self) -> Value {
        let short = self.answers.iter().map(short);
        // With a filter chain the short form is not the whole truth.
        let short: Vec<String> = if self.is_filtered() {
            short.take(1).collect()
        } else {
            short.collect()
        };
        json!({
            "id": self.id,
            "domain": domain_text(&self.domain),
            "type": self.rtype.to_string(),
            "ttl": self.ttl.seconds(),
            "tier": self.tier(),
            "link": self.others.get("link").cloned().unwrap_or_default(),
            "short_answers": short,
        })
    }

    /// The record object.
    pub fn object(&self, zone: &Name) -> Value {
        let answers: Vec<Value> = (1..)
            .zip(&self.answers)
            .map(|(number, answer)| {
                let mut answer = answer.clone();
                if let Value::Object(members) = &mut answer {
                    members
                        .entry("id")
                        .or_insert_with(|| format!("{}{number:02x}", self.id).into());
                    members.entry("meta").or_insert_with(|| json!({}));
                }
                answer
            })
            .collect();
        let mut object = json!({
            "id": self.id,
            "zone": domain_text(zone),
            "domain": domain_text(&self.domain),
            "type": self.rtype.to_string(),
            "ttl": self.ttl.seconds(),
            "tier": self.tier(),
            "answers": answers,
            "filters": [],
            "regions": {},
            "meta": {},
            "networks": [0],
            "link": null,
            "use_client_subnet": true,
            "override_ttl": false,
        });
        for (member, value) in self.others.iter().filter(|(_, value)| !value.is_null()) {
            object[member] = value.clone();
        }
        object
    }
}

/// A name as the API writes it: lower case, without the last dot.
pub fn domain_text(name: &Name) -> String {
    let text = name.as_ref().to_lowercase().to_string();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

/// A TTL as bodies have it.
pub fn ttl(value: &Value) -> Result<Ttl, Reply> {
    let seconds = value.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
    let seconds = seconds.filter(|seconds| *seconds <= Ttl::MAX.seconds());
    seconds
        .map(Ttl::new)
        .ok_or_else(|| Reply::wrong_type("ttl", value, "integer"))
}

fn field(value: &Value) -> Result<String, Reply> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(Reply::wrong_type("answers[].answer[]", other, "string")),
    }
}

fn rdata(rtype: RrType, fields: &[String]) -> Result<Vec<u8>, Reply> {
    let mut rdata = Vec::new();
    read_fields(rtype, fields, &mut rdata)
        .map_err(|error| Reply::invalid(&format!("invalid: {rtype} answer {fields:?}: {error}")))?;
    Ok(rdata)
}

/// An answer's fields, those that are numbers in DNS as numbers.
fn answer(rtype: RrType, rdata: &[u8]) -> Option<Vec<Value>> {
    let row = rtype.row()?;
    let fields = print_fields(rtype, rdata)?;
    let fields = fields.into_iter().enumerate().map(|(index, text)| {
        let numeric = matches!(
            row.fields.get(index),
            Some(Field::U8 | Field::U16 | Field::U32 | Field::Algorithm | Field::DigestType)
        );
        match text.parse::<u32>() {
            Ok(number) if numeric => number.into(),
            _ => text.into(),
        }
    });
    Some(fields.collect())
}

/// The fields with blanks between, without quotes.
fn short(answer: &Value) -> String {
    let fields = answer.get("answer").and_then(Value::as_array);
    let texts = fields.into_iter().flatten().map(|field| match field {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    texts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(rtype: &str, body: Value) -> Result<HostedRecord, Value> {
        let (domain, rtype) = (
            "www.test.".parse().unwrap(),
            RecordType::from_text(rtype).unwrap(),
        );
        let mut record = HostedRecord::new("00".into(), domain, rtype, Ttl::new(3600));
        let body = body.as_object().unwrap().clone();
        match record.take(&body) {
            Ok(()) => Ok(record),
            Err(Reply {
                body: super::super::reply::Body::Json(value),
                ..
            }) => Err(value["message"].clone()),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn answers_are_kept_as_they_came_and_served_as_they_are() {
        let record = record(
            "MX",
            json!({"zone": "test", "type": "MX", "ttl": 300, "tags": null, "blocked_tags": [], "unknown": {},
                   "answers": [{"answer": [10, "mx.test"]}, {"answer": ["20", "mx2.test."], "meta": {"up": true}}]}),
        )
        .unwrap();
        assert_eq!(record.rdatas[0], b"\x00\x0a\x02mx\x04test\x00");
        let row = record.row();
        assert_eq!(row["short_answers"], json!(["10 mx.test", "20 mx2.test."]));
        assert_eq!(
            (&row["domain"], &row["ttl"], &row["tier"]),
            (&json!("www.test"), &json!(300), &json!(1))
        );
        let object = record.object(&"test.".parse().unwrap());
        assert_eq!(object["answers"][0]["answer"], json!([10, "mx.test"]));
        assert_eq!(object["answers"][1]["meta"], json!({"up": true}));
        assert_eq!(
            (&object["filters"], &object["networks"]),
            (&json!([]), &json!([0]))
        );
    }

    #[test]
    fn short_answers_lose_quotes_and_filters_hide_answers() {
        let naptr = record(
            "NAPTR",
            json!({"answers": [{"answer": [1, 2, "", "sip", "", "a.test."]}]}),
        )
        .unwrap();
        assert_eq!(naptr.row()["short_answers"], json!(["1 2  sip  a.test."]));
        let filtered = record(
            "A",
            json!({"filters": [{"filter": "up", "config": {}}],
                   "answers": [{"answer": ["192.0.2.1"]}, {"answer": ["192.0.2.2"]}]}),
        )
        .unwrap();
        assert_eq!(filtered.row()["short_answers"], json!(["192.0.2.1"]));
        assert_eq!(filtered.row()["tier"], json!(3));
    }

    #[test]
    fn what_is_wrong_is_said_as_ns1_says_it() {
        for (rtype, body, message) in [
            (
                "A",
                json!({"filters": null}),
                "Input validation failed (Value None for field '<obj>.filters' is not of type array)",
            ),
            (
                "A",
                json!({"ttl": "x"}),
                "Input validation failed (Value 'x' for field '<obj>.ttl' is not of type integer)",
            ),
            (
                "ALIAS",
                json!({"answers": [{"answer": ["www.test"]}]}),
                "ALIAS records must not reference themselves",
            ),
        ] {
            assert_eq!(record(rtype, body).unwrap_err(), message);
        }
        let wrong = record("A", json!({"answers": [{"answer": ["192.0.2"]}]})).unwrap_err();
        assert!(wrong.as_str().unwrap().contains("an IPv4 address"), "{wrong}");
        assert!(record("DS", json!({"answers": [{"answer": [1, 13, 2, "abcd"]}]})).is_err());
        for none in ["SOA", "ANY", "TYPE0", "OPT", "NOSUCH"] {
            assert_eq!(RecordType::from_text(none), None, "{none}");
        }
    }

    #[test]
    fn imported_records_have_numbers_where_dns_has() {
        let rdata = b"\x00\x0a\x02mx\x04test\x00".to_vec();
        let domain: Name = "test.".parse().unwrap();
        let record =
            HostedRecord::from_rdatas("1".into(), domain.clone(), RrType::MX, Ttl::new(5), vec![rdata])
                .unwrap();
        assert_eq!(
            record.object(&domain)["answers"][0]["answer"],
            json!([10, "mx.test."])
        );
        assert!(
            HostedRecord::from_rdatas(
                "1".into(),
                domain,
                RrType::TXT,
                Ttl::new(5),
                vec![b"\x01\xff".to_vec()]
            )
            .is_none()
        );
    }
}
