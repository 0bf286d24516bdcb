//! Speaks with NS1: limits obeyed, and what may pass tried again up to a deadline.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use reqwest::Url;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::time::{Instant, sleep};

use super::{
    call::{Call, Exchange, Reply, Target},
    http::{self, Http, Nothing, Try},
    rate::{Buckets, Kind, Limits},
    reply::{self, Asked, CallError},
    retry::{self, Progress},
    settings::{self, ApiKey, Settings, SettingsError},
};
use crate::provider::{ProviderError, ProviderFault};

/// How long one try may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// Speaks with NS1.
pub(super) struct Client {
    settings: Settings,
    base: Url,
    http: Http,
    started: Instant,
    buckets: Mutex<Buckets>,
    /// What was said, where it is kept.
    record: Option<Mutex<Vec<Exchange>>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// A request on the way: it is counted until it came back, or its caller went away.
struct OnTheWay<'a> {
    client: &'a Client,
    kind: Kind,
    method: &'static str,
    said: Option<Limits>,
    refused: bool,
}

impl Drop for OnTheWay<'_> {
    fn drop(&mut self) {
        let now = self.client.started.elapsed();
        let mut buckets = self.client.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.give_back(self.kind, self.method, self.said, now);
        if self.refused {
            buckets.refuse(self.kind, self.method, now);
        }
    }
}

impl Client {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub(super) fn new(settings: Settings) -> Result<Self, SettingsError> {
        let base = settings.base()?;
        settings.check_key_set()?;
        let http = Http::new(&settings, &base)?;
        Ok(Self {
            settings,
            base,
            http,
            started: Instant::now(),
            buckets: Mutex::default(),
            record: None,
        })
    }

    /// The same, and what is said is kept.
    pub(super) fn recording(settings: Settings) -> Result<Self, SettingsError> {
        let mut client = Self::new(settings)?;
        client.record = Some(Mutex::default());
        Ok(client)
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What was said so far.
    pub(super) fn exchanges(&self) -> Vec<Exchange> {
        self.record.as_ref().map_or(Vec::new(), |record| {
            record.lock().unwrap_or_else(PoisonError::into_inner).clone()
        })
    }

    /// Asks, and asks again while what fails may pass and there is time.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Reply, CallError> {
        let url = self.url(&call.target);
        let mut asked = Asked {
            provider: self.settings.name.clone(),
            what: format!("{} {}", call.method.name(), shown_target(&url)),
            source: self.settings.key.clone(),
            key: None,
        };
        let began = Instant::now();
        let mut tries = 0;
        loop {
            let mut on_the_way = self.pace(call, began, &asked).await?;
            let key = self
                .settings
                .key
                .read()
                .map_err(|error| unreadable(&asked, &error))?;
            asked.key = Some(key.clone());
            let left = self.settings.deadline.saturating_sub(began.elapsed());
            let tried = self.http.send(call, url.clone(), &key, left.min(SILENCE)).await;
            if let Ok(tried) = &tried {
                on_the_way.said = http::limits(&tried.headers);
                on_the_way.refused = tried.status == 429;
            }
            drop(on_the_way);
            self.keep(call, &asked, &tried, &key);
            tries += 1;
            let (outcome, error) = match http::judge(tried, &asked) {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            let progress = Progress {
                tries,
                elapsed: began.elapsed(),
                deadline: self.settings.deadline,
            };
            match retry::wait(outcome, call.method.repeat(), progress, dice()) {
                Some(wait) => sleep(wait).await,
                None => return Err(error),
            }
        }
    }

    fn url(&self, target: &Target<'_>) -> Url {
        match target {
            Target::Page(url) => url.clone(),
            Target::Path(path, query) => {
                let mut url = self.base.clone();
                if let Ok(mut segments) = url.path_segments_mut() {
                    segments.pop_if_empty().extend(*path);
                }
                url.set_query(*query);
                url
            }
        }
    }

    /// Waits for a token.
    async fn pace(&self, call: &Call<'_>, began: Instant, asked: &Asked) -> Result<OnTheWay<'_>, CallError> {
        let (kind, method) = (call.kind, call.method.name());
        let wait = {
            let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
            buckets.take(kind, method, self.started.elapsed())
        };
        let on_the_way = OnTheWay {
            client: self,
            kind,
            method,
            said: None,
            refused: false,
        };
        if began.elapsed() + wait >= self.settings.deadline && !wait.is_zero() {
            let said = format!(
                "not asked, for NS1's rate limit leaves the next place in {} s",
                wait.as_secs() + 1
            );
            let kind = ProviderFault::Passing { after: Some(wait) };
            let advice = "NS1 counts all programs that use the account; it is tried again later";
            return Err(asked.error(&said, kind, advice).into());
        }
        sleep(wait).await;
        Ok(on_the_way)
    }

    fn keep(&self, call: &Call<'_>, asked: &Asked, tried: &Result<Try, Nothing>, key: &ApiKey) {
        let Some(record) = &self.record else { return };
        let (status, limits, body) = match tried {
            Ok(tried) => (
                Ok(tried.status),
                http::shown_limits(&tried.headers, key),
                key.redact(&String::from_utf8_lossy(&tried.body)).into_bytes(),
            ),
            Err(nothing) => (Err(key.redact(&nothing.why)), Vec::new(), Vec::new()),
        };
        record
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Exchange {
                asked: asked.what.clone(),
                sent: call.body.clone(),
                status,
                limits,
                body,
            });
    }

    /// The next page as a target: an `http` link is upgraded, another host is refused, for the key would go there.
    pub(super) fn page(&self, link: &str, asked: &Asked) -> Result<Target<'static>, ProviderError> {
        let refused = |why: &str| {
            asked.odd(&format!(
                "the next page is at {}, {why}",
                reply::shown(link.as_bytes())
            ))
        };
        let mut url = self.base.join(link).map_err(|_| refused("which is no address"))?;
        if url.scheme() == "http" && self.base.scheme() == "https" {
            // A port that is not named is the one of the scheme.
            url.set_scheme("https")
                .map_err(|()| refused("which cannot be asked for over https"))?;
        }
        if url.origin() != self.base.origin() || !url.username().is_empty() {
            return Err(refused("on another host, and the API key stays with this one"));
        }
        Ok(Target::Page(url))
    }
}

fn unreadable(asked: &Asked, error: &settings::KeyError) -> ProviderError {
    let why = http::chain(error);
    asked.error(
        &format!("not asked: {why}"),
        ProviderFault::Unauthorised,
        "NS1's API key is made in its portal (Account settings, API keys)",
    )
}

fn shown_target(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().into(),
    }
}

/// Any number, so that those who wait do not come back together. Without random octets they do.
fn dice() -> u32 {
    let mut octets = [0; 4];
    let _ = SystemRandom::new().fill(&mut octets);
    u32::from_be_bytes(octets)
}
