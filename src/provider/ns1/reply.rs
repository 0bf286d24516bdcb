//! What a reply of NS1 means: pure, from status and octets to values, and to errors that say what NS1 said, what was
//! asked (method and path, never the key), and what a person can do.

use std::{fmt, time::Duration};

use serde_json::Value;

use super::settings::{ApiKey, KeySource};
use crate::provider::{ProviderError, ProviderFault};

/// How much of a body a message repeats, in characters.
const SHOWN: usize = 200;

/// What NS1 says when a zone is not its.
const NO_ZONE: &str = "zone not found";
/// What NS1 says when it does not sign a zone. Others' clients match it word for word, so it stays.
const NOT_SIGNED: &str = "dnssec is not enabled";
/// What NS1 says when an account may not have DNSSEC.
const NO_DNSSEC_FOR_ACCOUNT: &str = "dnssec support is not enabled for this account";

/// Who asked what: it stands in front of every message.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// What the configuration calls the provider.
    pub provider: String,
    /// Method and path.
    pub what: String,
    /// Where the key is, for those who must look after it.
    pub source: KeySource,
    /// The key itself, so that no message repeats it when NS1 does.
    pub key: Option<ApiKey>,
}

impl Asked {
    /// `text` without the secret.
    pub(super) fn redact(&self, text: &str) -> String {
        self.key.as_ref().map_or(text.to_owned(), |key| key.redact(text))
    }

    /// An error about this question.
    pub(super) fn error(&self, said: &str, kind: ProviderFault, advice: impl Into<String>) -> ProviderError {
        ProviderError {
            provider: self.provider.clone(),
            what: self.redact(&format!("{}: {said}", self.what)),
            kind,
            advice: Some(advice.into()),
        }
    }

    /// What was answered can be read, and yet is not what belongs there.
    pub(super) fn odd(&self, said: &str) -> ProviderError {
        self.error(
            said,
            ProviderFault::Unintelligible,
            "`countersign peer probe` shows what NS1 answers; please send us its report",
        )
    }
}

/// Why a call did not succeed.
#[derive(Debug)]
pub(super) enum CallError {
    /// NS1, or something in between, answered and it was no success.
    Refused(Box<Refusal>),
    /// There was no answer, or none that can be read.
    Failed(Box<ProviderError>),
}

impl CallError {
    /// Of a call about a zone as a whole: when it is not there, it is the zone that is not, whatever the words.
    pub(super) fn of_zone(self) -> Self {
        match self {
            Self::Refused(mut refusal)
                if refusal.is_absent() && refusal.is_json && !refusal.is_not_signed() =>
            {
                refusal.zone_is_absent = true;
                Self::Refused(refusal)
            }
            other => other,
        }
    }
}

impl From<ProviderError> for CallError {
    fn from(error: ProviderError) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl From<CallError> for ProviderError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(refusal) => refusal.into_error(),
            CallError::Failed(error) => *error,
        }
    }
}

/// An answer that is no success.
#[derive(Clone)]
pub(super) struct Refusal {
    /// What was asked.
    pub asked: Asked,
    /// The status.
    pub status: u16,
    /// What it said, as it came: only [`Refusal::into_error`] shows it.
    pub message: String,
    /// Whether that was JSON, as NS1's own errors are.
    pub is_json: bool,
    /// When it said to come back.
    pub after: Option<Duration>,
    /// What is not there is the zone.
    pub zone_is_absent: bool,
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refusal({})", self.clone().into_error())
    }
}

impl Refusal {
    fn says(&self, text: &str) -> bool {
        self.message.to_ascii_lowercase().contains(text)
    }

    /// There is no such thing.
    pub(super) fn is_absent(&self) -> bool {
        self.status == 404
    }

    /// There is no such zone.
    pub(super) fn has_no_zone(&self) -> bool {
        self.is_absent() && (self.zone_is_absent || self.says(NO_ZONE))
    }

    /// The zone is not signed; the status that goes with it is not known.
    pub(super) fn is_not_signed(&self) -> bool {
        (400..500).contains(&self.status) && self.says(NOT_SIGNED)
    }

    /// It may pass: too many requests, or a failure of the other side.
    pub(super) fn is_passing(&self) -> bool {
        self.status == 429 || self.status >= 500
    }

    /// As what callers get.
    pub(super) fn into_error(self) -> ProviderError {
        let said = match self.message.as_str() {
            "" => format!("{}, and nothing else", self.status),
            message => format!("{} {message:?}", self.status),
        };
        let (kind, advice) = self.judge();
        self.asked.error(&said, kind, advice)
    }

    fn judge(&self) -> (ProviderFault, String) {
        let after = self.after;
        let key = &self.asked.source;
        match self.status {
            429 => (
                ProviderFault::Passing { after },
                "NS1 counts all programs that use the account; it is tried again later".into(),
            ),
            500.. => (
                ProviderFault::Passing { after },
                "NS1 fails, or a proxy in front of it; it is tried again later".into(),
            ),
            300..=399 => (
                ProviderFault::Unintelligible,
                "redirections are not followed, for the API key would go along; mend the endpoint in the configuration"
                    .into(),
            ),
            _ if !self.is_json && !self.message.is_empty() => (ProviderFault::Unintelligible, not_ns1().into()),
            401 => (
                ProviderFault::Unauthorised,
                format!("NS1 does not know the API key in {key}; check that it is whole, not expired and not revoked"),
            ),
            403 => (
                ProviderFault::Unauthorised,
                format!("the API key in {key} may not do this; in NS1's portal, check its rights (view and manage DNS zones), its zones, and its list of addresses"),
            ),
            _ if self.has_no_zone() => (
                ProviderFault::NoZone,
                "create the zone at NS1, or mend its name in the configuration".into(),
            ),
            _ if self.is_not_signed() => (
                ProviderFault::NotSigned,
                "switch DNSSEC on for the zone at NS1; until then NS1 ignores the keys of others".into(),
            ),
            _ if self.says(NO_DNSSEC_FOR_ACCOUNT) => (
                ProviderFault::Refused,
                "DNSSEC is not part of this account at NS1; its support can switch it on".into(),
            ),
            404 => (
                ProviderFault::Unsupported,
                "NS1 has nothing there; `countersign peer probe` shows which calls work for this account".into(),
            ),
            405 => (
                ProviderFault::Unsupported,
                "NS1 does not take this method there; `countersign peer probe` shows which calls work".into(),
            ),
            _ => (
                ProviderFault::Refused,
                "NS1 says what it wants otherwise; `countersign peer probe` shows which forms of request it takes"
                    .into(),
            ),
        }
    }
}

/// What to do when a page comes where JSON should.
pub(super) fn not_ns1() -> &'static str {
    "this is not NS1's API but something in its place, such as a proxy or a login page; check the endpoint, HTTPS_PROXY, \
     and what lies between"
}

/// Reads a body as JSON; nothing stands for null, as after a deletion.
///
/// # Errors
/// What it is instead, shortened.
pub(super) fn json(body: &[u8]) -> Result<Value, String> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Null);
    }
    serde_json::from_slice(body).map_err(|error| format!("no JSON ({error}): {}", shown(body)))
}

/// What an error's body says, and whether it was JSON.
pub(super) fn message(body: &[u8]) -> (String, bool) {
    match json(body) {
        Ok(Value::Null) => (String::new(), true),
        Ok(value) => {
            let said = ["message", "error", "errors", "detail"]
                .iter()
                .find_map(|member| value.get(member));
            let said = match said {
                Some(Value::String(text)) => shown(text.as_bytes()),
                Some(other) => shown(other.to_string().as_bytes()),
                None => shown(value.to_string().as_bytes()),
            };
            (said, true)
        }
        Err(_) => (shown(body), false),
    }
}

/// The beginning of a text on one line.
pub(super) fn shown(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * SHOWN)]);
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.retain(|character| !character.is_control());
    if let Some((end, _)) = words.char_indices().nth(SHOWN) {
        words.truncate(end);
        words.push('…');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> ProviderError {
        let (message, is_json) = message(body.as_bytes());
        let asked = Asked {
            provider: "ns1".into(),
            what: "GET /v1/zones/example.com/dnssec".into(),
            source: KeySource::Environment("NS1_API_KEY".into()),
            key: None,
        };
        Refusal {
            asked,
            status,
            message,
            is_json,
            after: None,
            zone_is_absent: false,
        }
        .into_error()
    }

    #[test]
    fn an_error_says_what_was_said_what_was_asked_and_what_to_do() {
        let passing = ProviderFault::Passing { after: None };
        for (status, body, kind, advice) in [
            (
                401,
                r#"{"message":"Unauthorized"}"#,
                ProviderFault::Unauthorised,
                "$NS1_API_KEY",
            ),
            (
                403,
                r#"{"message":"permission denied"}"#,
                ProviderFault::Unauthorised,
                "rights",
            ),
            (
                404,
                r#"{"message":"zone not found"}"#,
                ProviderFault::NoZone,
                "create the zone",
            ),
            (
                404,
                r#"{"message":"DNSSEC is not enabled on the zone"}"#,
                ProviderFault::NotSigned,
                "switch DNSSEC on",
            ),
            (
                400,
                r#"{"message":"DNSSEC is not enabled on the zone"}"#,
                ProviderFault::NotSigned,
                "switch DNSSEC on",
            ),
            (
                400,
                r#"{"message":"DNSSEC support is not enabled for this account. Please contact support@ns1.com to enable it"}"#,
                ProviderFault::Refused,
                "support",
            ),
            (
                404,
                r#"{"message":"not found"}"#,
                ProviderFault::Unsupported,
                "peer probe",
            ),
            (
                405,
                r#"{"message":"Operation on DNSSEC record is not allowed"}"#,
                ProviderFault::Unsupported,
                "method",
            ),
            (
                400,
                r#"{"message":"Input validation failed"}"#,
                ProviderFault::Refused,
                "peer probe",
            ),
            (429, r#"{"message":"too many"}"#, passing, "later"),
            (503, "<html>Service Unavailable</html>", passing, "later"),
            (302, "", ProviderFault::Unintelligible, "not followed"),
            (
                403,
                "<html>Forbidden</html>",
                ProviderFault::Unintelligible,
                "proxy",
            ),
            (404, "no route", ProviderFault::Unintelligible, "proxy"),
        ] {
            let error = refusal(status, body);
            assert_eq!(error.kind, kind, "{status} {body}");
            assert!(
                error
                    .what
                    .starts_with(&format!("GET /v1/zones/example.com/dnssec: {status}")),
                "{error}"
            );
            assert!(error.advice.as_ref().unwrap().contains(advice), "{error:?}");
        }
        let error = refusal(404, r#"{"message":"zone not found"}"#).to_string();
        assert_eq!(
            error,
            "ns1: GET /v1/zones/example.com/dnssec: 404 \"zone not found\""
        );
    }

    #[test]
    fn bodies_are_shortened_to_one_line() {
        assert_eq!(json(b" \n"), Ok(Value::Null));
        let page = format!("<html>\n\t<title>Log in</title>{}", "x".repeat(1_000));
        let error = json(page.as_bytes()).unwrap_err();
        assert!(
            error.contains("<html> <title>Log in</title>xx") && error.len() < 400,
            "{error}"
        );
        assert_eq!(
            message(br#"{"error":{"code":7}}"#),
            (r#"{"code":7}"#.into(), true)
        );
        assert_eq!(message(b"\xff\x1b[31m"), ("\u{fffd}[31m".into(), false));
        assert_eq!(shown("\u{e9}".repeat(900).as_bytes()).chars().count(), SHOWN + 1);
    }
}
