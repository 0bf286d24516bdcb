//! What comes in over HTTP and what goes out, as values.

use axum::http::{Method, StatusCode};
use serde_json::{Map, Value, json};

/// A request as far as the API looks at it.
#[derive(Clone, Debug)]
pub struct Request {
    /// GET, PUT, POST or DELETE; anything else is not allowed.
    pub method: Method,
    /// The path, its segments decoded: `["v1", "zones", "example.com"]`.
    pub path: Vec<String>,
    /// The query's parameters in order.
    pub query: Vec<(String, String)>,
    /// `X-NSONE-Key`.
    pub key: Option<String>,
    /// `Host`, for links to other pages.
    pub host: String,
    /// The body; of a file that was sent as a form, the file.
    pub body: Vec<u8>,
}

impl Request {
    /// A request with this path and query, as it would stand behind the host.
    pub fn new(method: Method, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
        Self {
            method,
            path: segments.map(decode).collect(),
            query: parameters
                .map(|parameter| {
                    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
                    (decode(name), decode(value))
                })
                .collect(),
            key: None,
            host: String::new(),
            body: Vec::new(),
        }
    }

    /// The last value of a parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().rev().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as a JSON object; no body is an empty one.
    ///
    /// # Errors
    /// The reply that says it is none.
    pub fn object(&self) -> Result<Map<String, Value>, Reply> {
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Map::new());
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(Reply::error(
                StatusCode::BAD_REQUEST,
                "Input validation failed (Value for field '<obj>' is not of type object)",
            )),
            Err(_) => Err(Reply::error(StatusCode::BAD_REQUEST, "Invalid JSON body")),
        }
    }
}

/// Percent-decodes; what is no escape stays as it is.
fn decode(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = after
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|digits| data_encoding::HEXUPPER_PERMISSIVE.decode(digits).ok());
        match escaped {
            Some(octet) => {
                octets.extend(octet);
                rest = &after[2..];
            }
            None => {
                octets.push(if *first == b'+' { b' ' } else { *first });
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// Percent-encodes what is neither letter, digit, nor one of `-._~*`.
pub fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, octet| {
        match octet {
            b'-' | b'.' | b'_' | b'~' | b'*' => encoded.push(char::from(octet)),
            _ if octet.is_ascii_alphanumeric() => encoded.push(char::from(octet)),
            _ => encoded.push_str(&format!("%{octet:02X}")),
        }
        encoded
    })
}

/// A reply.
#[derive(Clone, PartialEq, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// Headers beside the body's own.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
}

/// The body of a reply.
#[derive(Clone, PartialEq, Debug)]
pub enum Body {
    /// None.
    Nothing,
    /// JSON.
    Json(Value),
    /// Plain text.
    Text(String),
    /// A page.
    Html(String),
    /// None, and the connection is reset.
    Reset,
}

impl Reply {
    /// 200 with JSON.
    pub fn json(value: Value) -> Self {
        Self::with(StatusCode::OK, Body::Json(value))
    }

    /// A status and a body.
    pub fn with(status: StatusCode, body: Body) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
        }
    }

    /// An error as NS1 tells it: clients compare the message to the letter.
    pub fn error(status: StatusCode, message: &str) -> Self {
        Self::with(status, Body::Json(json!({ "message": message })))
    }

    /// 400.
    pub fn invalid(message: &str) -> Self {
        Self::error(StatusCode::BAD_REQUEST, message)
    }

    /// A member of the body that has the wrong type.
    pub fn wrong_type(member: &str, value: &Value, expected: &str) -> Self {
        // As Python prints it, which is what NS1's messages show.
        let shown = match value {
            Value::Null => "None".into(),
            Value::Bool(true) => "True".into(),
            Value::Bool(false) => "False".into(),
            Value::String(text) => format!("'{text}'"),
            other => other.to_string(),
        };
        Self::invalid(&format!(
            "Input validation failed (Value {shown} for field '<obj>.{member}' is not of type {expected})"
        ))
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_as_they_stand_behind_the_host() {
        let request = Request::new(Method::GET, "/v1/zones/a%2Fb.test/*.x/A?after=a%20b&limit=2&flag");
        assert_eq!(request.path, ["v1", "zones", "a/b.test", "*.x", "A"]);
        assert_eq!(
            (request.parameter("after"), request.parameter("limit")),
            (Some("a b"), Some("2"))
        );
        assert_eq!(request.parameter("flag"), Some(""));
        assert_eq!(Request::new(Method::GET, "/a%zz%4").path, ["a%zz%4"]);
        assert_eq!(decode(&encode("*.ü/a b+%.test")), "*.ü/a b+%.test");
    }

    #[test]
    fn messages_look_as_those_that_were_seen() {
        let reply = Reply::wrong_type("filters", &Value::Null, "array");
        assert_eq!(
            reply.body,
            Body::Json(
                json!({"message": "Input validation failed (Value None for field '<obj>.filters' is not of type array)"})
            )
        );
    }
}
