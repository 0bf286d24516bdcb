//! The API's paths: one table, and what every request goes through before its handler.
//!
//! Sources for statuses and messages are what NS1's clients compare with; where none is known, the likely one stands.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    account::{Account, Now},
    dnssec, files, hosted,
    knobs::Mishap,
    others, records,
    reply::{Body, Reply, Request},
};

/// A request at a route.
pub(super) struct Call<'r> {
    /// The request.
    pub request: &'r Request,
    /// What stands for the stars of the pattern.
    pub parameters: Vec<&'r str>,
    /// The moment.
    pub now: Now,
}

impl Call<'_> {
    /// The zone that the path names: lower case, without a last dot.
    pub fn zone(&self) -> String {
        let name = self.parameters.first().copied().unwrap_or_default();
        name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
    }

    /// A parameter of the path.
    pub fn parameter(&self, index: usize) -> &str {
        self.parameters.get(index).copied().unwrap_or_default()
    }
}

/// What an error is, too: handlers leave early with `?`.
pub(super) type Handled = Result<Reply, Reply>;
type Handler = fn(&mut Account, &Call<'_>) -> Handled;

struct Route {
    /// The segments behind `/v1`; `*` is a parameter.
    pattern: &'static str,
    methods: &'static [(Method, Handler)],
}

const GET: Method = Method::GET;
const PUT: Method = Method::PUT;
const POST: Method = Method::POST;
const DELETE: Method = Method::DELETE;

/// The first that fits counts.
static ROUTES: &[Route] = &[
    Route {
        pattern: "zones",
        methods: &[(GET, hosted::list)],
    },
    Route {
        pattern: "zones/*",
        methods: &[
            (GET, hosted::get),
            (PUT, hosted::create),
            (POST, hosted::modify),
            (DELETE, hosted::delete),
        ],
    },
    Route {
        pattern: "zones/*/dnssec",
        methods: &[(GET, dnssec::get)],
    },
    Route {
        pattern: "zones/*/dnssec/external_keys",
        methods: &[(GET, dnssec::list_external)],
    },
    Route {
        pattern: "zones/*/dnssec/external_keys/*",
        methods: &[
            (GET, dnssec::get_external),
            (PUT, dnssec::create_external),
            (POST, dnssec::modify_external),
            (DELETE, dnssec::delete_external),
        ],
    },
    Route {
        pattern: "zones/*/versions",
        methods: &[(GET, others::versions), (PUT, others::create_version)],
    },
    Route {
        pattern: "zones/*/versions/*/activate",
        methods: &[(POST, others::activate_version)],
    },
    Route {
        pattern: "zones/*/versions/*",
        methods: &[(DELETE, others::delete_version)],
    },
    Route {
        pattern: "zones/*/*/*",
        methods: &[
            (GET, records::get),
            (PUT, records::create),
            (POST, records::modify),
            (DELETE, records::delete),
        ],
    },
    Route {
        pattern: "import/zonefile/*",
        methods: &[(PUT, files::import)],
    },
    Route {
        pattern: "export/zonefile/*",
        methods: &[(PUT, files::begin_export), (GET, files::export)],
    },
    Route {
        pattern: "export/zonefile/*/status",
        methods: &[(GET, files::export_status)],
    },
    Route {
        pattern: "networks",
        methods: &[(GET, others::networks)],
    },
    Route {
        pattern: "tsig",
        methods: &[(GET, others::tsig_keys)],
    },
    Route {
        pattern: "tsig/*",
        methods: &[
            (GET, others::tsig_key),
            (PUT, others::create_tsig_key),
            (POST, others::modify_tsig_key),
            (DELETE, others::delete_tsig_key),
        ],
    },
];

/// The parameters of `path`, when it is of the pattern.
fn matched<'r>(pattern: &str, path: &'r [String]) -> Option<Vec<&'r str>> {
    let segments: Vec<&str> = pattern.split('/').collect();
    let fits = segments.len() == path.len()
        && segments
            .iter()
            .zip(path)
            .all(|(segment, given)| *segment == "*" || segment == given);
    let parameters = segments.iter().zip(path).filter(|(segment, _)| **segment == "*");
    fits.then(|| parameters.map(|(_, given)| given.as_str()).collect())
}

impl Account {
    /// Answers a request.
    pub fn handle(&mut self, request: &Request, now: Now) -> Reply {
        self.advance(now);
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        match path[..] {
            ["lab", "knobs"] => self.turn_knobs(request, now).unwrap_or_else(|reply| reply),
            ["v1", ..] => self.handle_v1(request, &request.path[1..], now),
            _ => Reply::error(StatusCode::NOT_FOUND, "not found"),
        }
    }

    fn handle_v1(&mut self, request: &Request, path: &[String], now: Now) -> Reply {
        let route = ROUTES
            .iter()
            .find_map(|route| Some((route, matched(route.pattern, path)?)));
        let Some((route, parameters)) = route else {
            return Reply::error(StatusCode::NOT_FOUND, "not found");
        };
        let reads = request.method == Method::GET;
        let rate = self.knobs.rate_limit;
        let mut allowance = self.buckets.take(route.pattern, reads, rate, now.steady);
        let mishap = self.knobs.bursts.take();
        allowance.granted &= mishap != Some(Mishap::TooManyRequests);
        let call = Call {
            request,
            parameters,
            now,
        };
        let reply = match mishap {
            Some(Mishap::ServerError) => Reply::error(StatusCode::SERVICE_UNAVAILABLE, "service unavailable"),
            Some(Mishap::Html) => Reply::with(StatusCode::OK, Body::Html(PROXY_PAGE.into())),
            _ if !self.knows(request.key.as_deref()) => {
                Reply::error(StatusCode::UNAUTHORIZED, "Unauthorized")
            }
            _ if !allowance.granted => Reply::error(StatusCode::TOO_MANY_REQUESTS, "rate limit exceeded"),
            _ => self.run(route, &call),
        };
        let mut reply = match mishap {
            Some(Mishap::Reset) => Reply::with(reply.status, Body::Reset),
            _ => reply,
        };
        reply.headers.extend(allowance.headers());
        reply
    }

    fn run(&mut self, route: &Route, call: &Call<'_>) -> Reply {
        let handler = route
            .methods
            .iter()
            .find(|(method, _)| *method == call.request.method);
        match handler {
            Some((_, handler)) => handler(self, call).unwrap_or_else(|reply| reply),
            None => {
                let allowed: Vec<&str> = route.methods.iter().map(|(method, _)| method.as_str()).collect();
                Reply::error(StatusCode::METHOD_NOT_ALLOWED, "method not allowed")
                    .header("Allow", allowed.join(", "))
            }
        }
    }

    /// `GET` and `PUT /lab/knobs`: not NS1's, for tests that are another process.
    fn turn_knobs(&mut self, request: &Request, now: Now) -> Handled {
        if !self.knows(request.key.as_deref()) {
            return Err(Reply::error(StatusCode::UNAUTHORIZED, "Unauthorized"));
        }
        if request.method == Method::PUT {
            for (name, value) in request.object()? {
                let text = match &value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                self.knobs
                    .set(&name, &text, now.steady)
                    .map_err(|error| Reply::invalid(&error.to_string()))?;
            }
            self.advance(now);
        } else if request.method != Method::GET {
            return Err(Reply::error(StatusCode::METHOD_NOT_ALLOWED, "method not allowed")
                .header("Allow", "GET, PUT".into()));
        }
        Ok(Reply::json(json!(self.knobs.settings())))
    }
}

/// What a proxy between may answer.
const PROXY_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\n\
    <body><h1>This network asks you to sign in</h1></body></html>\n";
