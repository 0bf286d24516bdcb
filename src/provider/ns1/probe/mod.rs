//! What nobody can know without an account: each open question about NS1's API and servers, asked of the real thing.
//!
//! A zone that is named is only looked at. A scratch zone is made, written to, and deleted again; it must not be there
//! before. Everything that is asked for a second time costs a look, so the order of the steps is the order of what
//! they need, and not that of the questions.

mod look;
mod question;
mod report;
mod scratch;
mod servers;

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

pub use question::{QUESTIONS, Question};
pub use report::{Answer, Report};

use super::{
    Ns1, Settings, SettingsError, WireForm,
    call::{Call, Method},
    model::path_name,
    rate::Kind,
    reply::{self, CallError},
};
use crate::{clock::Clock, provider::ProviderError, wire::Name};

/// What to find out, and where.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// A zone that is only looked at.
    pub zone: Option<Name>,
    /// A zone that is made for this, and deleted again.
    pub scratch: Option<Name>,
    /// Where NS1's servers are, when it is not where their names lead: for a lab.
    pub servers: Vec<SocketAddr>,
}

/// What is found out.
#[derive(Debug, Default)]
struct Notes {
    /// By question, what was seen, each line with the zone it is about.
    seen: Vec<(&'static str, String)>,
    /// By question, why it was not tried.
    not_tried: Vec<(&'static str, String)>,
    /// The form of key sets that was taken and shown.
    form: Option<WireForm>,
    /// Zones that were made and are not deleted yet.
    made: Vec<Name>,
}

/// Asks all there is to ask.
pub struct Probe {
    ns1: Ns1,
    plan: Plan,
    clock: Arc<dyn Clock>,
    /// Told what is being done, before what takes a while.
    progress: Box<dyn Fn(&str) + Send + Sync>,
    notes: Mutex<Notes>,
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("ns1", &self.ns1)
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

/// What one request came to: a refusal is a finding, not an error.
struct Said {
    /// Whether it was a success.
    ok: bool,
    status: u16,
    /// The status, and the message of a refusal.
    text: String,
    /// The body of a success.
    value: Value,
}

impl Probe {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub fn new(
        settings: Settings,
        plan: Plan,
        clock: Arc<dyn Clock>,
        progress: Box<dyn Fn(&str) + Send + Sync>,
    ) -> Result<Self, SettingsError> {
        Ok(Self {
            ns1: Ns1::recording(settings)?,
            plan,
            clock,
            progress,
            notes: Mutex::default(),
        })
    }

    /// Asks everything. May be dropped at any moment; [`Probe::clean_up`] must follow either way.
    ///
    /// # Errors
    /// When NS1 cannot be asked at all, or the scratch zone is there already. What was seen so far is in the report.
    pub async fn run(&self) -> Result<(), ProviderError> {
        self.look_at_account().await?;
        if let Some(zone) = &self.plan.zone {
            self.look_at_zone(zone).await?;
        }
        if let Some(scratch) = &self.plan.scratch {
            self.try_on(scratch).await?;
        }
        Ok(())
    }

    /// Deletes what was made. Doing it again changes nothing.
    ///
    /// # Errors
    /// When a zone is left behind: it is named, and a person must delete it.
    pub async fn clean_up(&self) -> Result<(), ProviderError> {
        loop {
            let Some(zone) = self.notes().made.last().cloned() else {
                return Ok(());
            };
            self.tell(&format!("deleting {zone} at NS1"));
            let name = path_name(&zone);
            let path = ["zones", name.as_str()];
            let call = Call::new(Method::Delete, Kind::Zone, &path, None);
            let deleted = self.ns1.client.call(&call).await;
            match deleted {
                Ok(_) => {}
                Err(CallError::Refused(refusal)) if refusal.is_absent() && refusal.is_json => {}
                // It may have gone all the same.
                Err(error) if self.is_gone(&zone).await => drop(error),
                Err(error) => {
                    let mut error = ProviderError::from(error);
                    error.what = format!("the scratch zone {zone} is left at NS1: {}", error.what);
                    error.advice = Some(format!("delete the zone {zone} in NS1's portal"));
                    return Err(error);
                }
            }
            self.notes().made.retain(|made| *made != zone);
        }
    }

    async fn is_gone(&self, zone: &Name) -> bool {
        let name = path_name(zone);
        let path = ["zones", name.as_str()];
        let call = Call::get(Kind::Zone, &path).query("records=false");
        matches!(self.ns1.client.call(&call).await, Err(CallError::Refused(refusal)) if refusal.is_absent() && refusal.is_json)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, what: &str) {
        (self.progress)(what);
    }

    /// Notes an answer.
    fn saw(&self, question: &'static str, zone: &Name, seen: impl fmt::Display) {
        debug_assert!(
            QUESTIONS.iter().any(|known| known.number == question),
            "{question}"
        );
        let line = (question, format!("{zone} {seen}"));
        let mut notes = self.notes();
        if !notes.seen.contains(&line) {
            notes.seen.push(line);
        }
    }

    fn not_tried(&self, question: &'static str, because: impl fmt::Display) {
        debug_assert!(
            QUESTIONS.iter().any(|known| known.number == question),
            "{question}"
        );
        self.notes().not_tried.push((question, because.to_string()));
    }

    /// Sends one request; what NS1 refuses is an answer here.
    async fn say(&self, call: &Call<'_>) -> Result<Said, ProviderError> {
        match self.ns1.client.call(call).await {
            Ok(reply) => Ok(Said {
                ok: true,
                status: reply.status,
                text: reply.status.to_string(),
                value: reply::json(&reply.body).unwrap_or(Value::Null),
            }),
            Err(CallError::Refused(refusal)) => {
                let status = refusal.status;
                let text = match refusal.message.as_str() {
                    "" => status.to_string(),
                    message => format!("{status} {:?}", refusal.asked.redact(message)),
                };
                Ok(Said {
                    ok: false,
                    status,
                    text,
                    value: Value::Null,
                })
            }
            Err(CallError::Failed(error)) => Err(*error),
        }
    }

    async fn get(&self, kind: Kind, path: &[&str]) -> Result<Said, ProviderError> {
        self.say(&Call::get(kind, path)).await
    }

    async fn write(
        &self,
        method: Method,
        kind: Kind,
        path: &[&str],
        body: Value,
    ) -> Result<Said, ProviderError> {
        let body = (!body.is_null()).then_some(body);
        self.say(&Call::new(method, kind, path, body)).await
    }
}
