//! One try over HTTP: the key in its header, every wait and every reply bounded.

use std::{error::Error, fs, io, time::Duration};

use reqwest::{
    Url,
    header::{HeaderMap, HeaderValue, LINK, LOCATION, RETRY_AFTER},
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tokio::time::timeout;

use super::{
    call::{Call, Method, Reply},
    rate::Limits,
    reply::{self, Asked, CallError, Refusal, not_ns1},
    retry::Outcome,
    settings::{ApiKey, Settings, SettingsError},
};
use crate::{
    client::https,
    provider::{ProviderError, ProviderFault},
};

/// The header that carries the key.
const KEY_HEADER: &str = "X-NSONE-Key";

/// What one try gave.
pub(super) struct Try {
    pub status: u16,
    pub body: Vec<u8>,
    pub headers: HeaderMap,
}

/// Why one try gave nothing.
pub(super) struct Nothing {
    pub outcome: Outcome,
    pub why: String,
    pub untrusted: bool,
}
/// The connections to NS1.
pub(super) struct Http(reqwest::Client);

impl Http {
    /// Nothing is asked yet.
    pub(super) fn new(settings: &Settings, base: &Url) -> Result<Self, SettingsError> {
        https::client(base, certificates(settings)?)
            .map_err(SettingsError::Tls)
            .map(Self)
    }

    pub(super) async fn send(
        &self,
        call: &Call<'_>,
        url: Url,
        key: &ApiKey,
        silence: Duration,
    ) -> Result<Try, Nothing> {
        let mut header = HeaderValue::from_str(key.expose()).map_err(|_| Nothing {
            outcome: Outcome::Final,
            why: "the API key cannot stand in a header".into(),
            untrusted: false,
        })?;
        header.set_sensitive(true);
        let method = match call.method {
            Method::Get => reqwest::Method::GET,
            Method::Put => reqwest::Method::PUT,
            Method::Post => reqwest::Method::POST,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut request = self.0.request(method, url).header(KEY_HEADER, header);
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let mut response = timeout(silence, request.send())
            .await
            .map_err(|_| silent(silence))?
            .map_err(broken)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = timeout(silence, response.chunk())
            .await
            .map_err(|_| silent(silence))?
            .map_err(broken)?
        {
            if body.len() + chunk.len() > call.largest {
                return Err(Nothing {
                    outcome: Outcome::Final,
                    why: format!("the reply is larger than {} octets", call.largest),
                    untrusted: false,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Try {
            status,
            body,
            headers,
        })
    }
}

/// Success, or what to think of the failure and what to say of it.
pub(super) fn judge(tried: Result<Try, Nothing>, asked: &Asked) -> Result<Reply, (Outcome, CallError)> {
    let tried = tried.map_err(|nothing| (nothing.outcome, nothing.into_error(asked).into()))?;
    let after = seconds(&tried.headers, RETRY_AFTER.as_str());
    let outcome = match tried.status {
        200..=299 => {
            return Ok(Reply {
                asked: asked.clone(),
                status: tried.status,
                next: tried.headers.get_all(LINK).iter().find_map(next_page),
                body: tried.body,
            });
        }
        429 => Outcome::TooMany(after),
        500.. => Outcome::Failed(after),
        _ => Outcome::Final,
    };
    let (mut message, is_json) = reply::message(&tried.body);
    if let Some(location) = tried.headers.get(LOCATION).filter(|_| tried.status < 400) {
        message = format!("see {}", reply::shown(location.as_bytes()));
    }
    let refusal = Refusal {
        asked: asked.clone(),
        status: tried.status,
        message,
        is_json,
        after,
        zone_is_absent: false,
    };
    Err((outcome, CallError::Refused(Box::new(refusal))))
}

impl Nothing {
    fn into_error(self, asked: &Asked) -> ProviderError {
        let (kind, advice) = match self.outcome {
            _ if self.untrusted => (
                ProviderFault::Untrusted,
                "if a proxy or a lab stands there, name the file with its CA certificate; else somebody is in between",
            ),
            Outcome::Final => (ProviderFault::Unintelligible, not_ns1()),
            _ => (
                ProviderFault::Passing { after: None },
                "check the network, the endpoint, and HTTPS_PROXY; it is tried again later",
            ),
        };
        asked.error(&self.why, kind, advice)
    }
}

/// TLS with ring, the system's certificates and those of the file.
/// Further certificates that the API's may rest on.
fn certificates(settings: &Settings) -> Result<Vec<CertificateDer<'static>>, SettingsError> {
    let Some(path) = &settings.ca else {
        return Ok(Vec::new());
    };
    let wrong = |why: String| SettingsError::Certificates {
        path: path.clone(),
        why,
    };
    let pem = fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = read.map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() {
        return Err(wrong("there is no PEM certificate in it".into()));
    }
    Ok(found)
}

fn silent(silence: Duration) -> Nothing {
    Nothing {
        outcome: Outcome::Broken,
        why: format!("no answer within {} s", silence.as_secs_f32()),
        untrusted: false,
    }
}

fn broken(error: reqwest::Error) -> Nothing {
    let error = error.without_url();
    let untrusted = is_of_tls(&error);
    Nothing {
        outcome: match (untrusted, error.is_connect()) {
            (true, _) => Outcome::Final,
            (false, true) => Outcome::NotSent,
            (false, false) => Outcome::Broken,
        },
        why: chain(&error),
        untrusted,
    }
}

/// Whether TLS itself refused, such as for a certificate: that does not pass.
fn is_of_tls(error: &(dyn Error + 'static)) -> bool {
    // An io::Error hides what it wraps from its chain of sources, and one may wrap another.
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>()
        || wrapped.is_some_and(|wrapped| is_of_tls(wrapped))
        || error.source().is_some_and(is_of_tls)
}

/// An error and its sources on one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}

fn number(headers: &HeaderMap, name: &str) -> Option<u32> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn seconds(headers: &HeaderMap, name: &str) -> Option<Duration> {
    number(headers, name).map(|seconds| Duration::from_secs(seconds.into()))
}

pub(super) fn limits(headers: &HeaderMap) -> Option<Limits> {
    Some(Limits {
        limit: number(headers, "X-RateLimit-Limit")?,
        period: seconds(headers, "X-RateLimit-Period")?,
        remaining: number(headers, "X-RateLimit-Remaining")?,
    })
}

pub(super) fn shown_limits(headers: &HeaderMap, key: &ApiKey) -> Vec<(String, String)> {
    headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-ratelimit"))
        .map(|(name, value)| (name.to_string(), key.redact(&reply::shown(value.as_bytes()))))
        .collect()
}

/// The address behind `rel="next"` of a Link header (RFC 8288 §3).
fn next_page(header: &HeaderValue) -> Option<String> {
    let text = header.to_str().ok()?;
    text.split('<').skip(1).find_map(|part| {
        let (address, parameters) = part.split_once('>')?;
        let is_next = parameters.split(';').skip(1).any(|parameter| {
            let parameter = parameter.trim().trim_end_matches(',').trim_end();
            let rel = parameter.strip_prefix("rel=").map(|rel| rel.trim_matches('"'));
            rel.is_some_and(|rel| {
                rel.split_ascii_whitespace()
                    .any(|rel| rel.eq_ignore_ascii_case("next"))
            })
        });
        is_next.then(|| address.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_in_link_headers() {
        let next = |text: &str| next_page(&HeaderValue::from_str(text).unwrap());
        let url = "http://api.nsone.net/v1/zones/a.test?after=x.a.test&limit=2500";
        assert_eq!(next(&format!("<{url}>; rel=\"next\"")).as_deref(), Some(url));
        assert_eq!(
            next(&format!("</first>; rel=first, <{url}>; rel=next; title=x")).as_deref(),
            Some(url)
        );
        assert_eq!(next("</first>; rel=\"first\""), None);
        assert_eq!(next("nonsense"), None);
    }
}
