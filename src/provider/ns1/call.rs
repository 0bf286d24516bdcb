//! What is asked of NS1, and what comes back.

use reqwest::Url;
use serde_json::Value;

use super::{
    rate::Kind,
    reply::{self, Asked, not_ns1},
    retry::Repeat,
};
use crate::provider::{ProviderError, ProviderFault};

/// The largest reply of JSON, in octets: a page of 2,500 records with all they can have is a tenth of it.
pub(super) const LARGEST_JSON: usize = 64 << 20;
/// The largest export, in octets: some ten million records.
pub(super) const LARGEST_EXPORT: usize = 1 << 30;

/// What is asked.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// How.
    pub method: Method,
    /// What it counts as.
    pub kind: Kind,
    /// Where.
    pub target: Target<'a>,
    /// The body.
    pub body: Option<Value>,
    /// The largest reply, in octets.
    pub largest: usize,
}

impl<'a> Call<'a> {
    /// Reads `path` below the base.
    pub(super) fn get(kind: Kind, path: &'a [&'a str]) -> Self {
        Self::new(Method::Get, kind, path, None)
    }

    /// Writes to `path` below the base.
    pub(super) fn new(method: Method, kind: Kind, path: &'a [&'a str], body: Option<Value>) -> Self {
        Self {
            method,
            kind,
            target: Target::Path(path, None),
            body,
            largest: LARGEST_JSON,
        }
    }

    /// With a query.
    pub(super) fn query(mut self, query: &'a str) -> Self {
        if let Target::Path(_, place) = &mut self.target {
            *place = Some(query);
        }
        self
    }
}

/// Where a call goes.
#[derive(Debug)]
pub(super) enum Target<'a> {
    /// Segments below the base, and a query.
    Path(&'a [&'a str], Option<&'a str>),
    /// A page that the one before named, seen to be on the same host.
    Page(Url),
}

/// NS1's verbs: PUT makes, POST changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Method {
    Get,
    Put,
    Post,
    Delete,
}

impl Method {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }

    pub(super) fn repeat(self) -> Repeat {
        match self {
            Self::Get => Repeat::Freely,
            _ => Repeat::WhenNotDone,
        }
    }
}

/// A reply with a status of success.
#[derive(Debug)]
pub(super) struct Reply {
    /// What was asked.
    pub asked: Asked,
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Vec<u8>,
    /// The page that comes after it.
    pub next: Option<String>,
}

impl Reply {
    /// The body as JSON.
    pub(super) fn json(&self) -> Result<Value, ProviderError> {
        reply::json(&self.body).map_err(|said| {
            let said = format!("{} with {said}", self.status);
            self.asked.error(&said, ProviderFault::Unintelligible, not_ns1())
        })
    }
}

/// One exchange as a report shows it; the secret is not in it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Method and path.
    pub asked: String,
    /// What was sent.
    pub sent: Option<Value>,
    /// The status, or why there is none.
    pub status: Result<u16, String>,
    /// The headers on limits, as they came.
    pub limits: Vec<(String, String)>,
    /// What came.
    pub body: Vec<u8>,
}
