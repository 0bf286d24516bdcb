//! What a load finds: errors, of which each is told, and warnings, of which the first ones are.

use crate::zone::Place;

/// How many findings are kept; the rest are counted. A person mends the first ones first.
pub const MAX_FINDINGS: usize = 100;

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// The zone cannot be served.
    Error,
    /// The zone is served; this stands in `status`.
    Warning,
}

/// Something that a load found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where, when it is at one place.
    pub at: Option<Place>,
    /// What it is, and what to do.
    pub what: String,
}

/// A zone that could not be made of its records.
#[derive(Debug, thiserror::Error)]
#[error("{}", .findings.iter().find(|f| f.severity == Severity::Error).map_or("", |f| &f.what))]
pub struct LoadError {
    /// All findings, errors and warnings.
    pub findings: Vec<Finding>,
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Findings {
    kept: Vec<Finding>,
    more: usize,
    pub errors: usize,
}

impl Findings {
    pub fn add(&mut self, severity: Severity, at: Option<Place>, what: impl FnOnce() -> String) {
        if severity == Severity::Error {
            self.errors += 1;
        }
        // An error is never crowded out by warnings: it takes the place of the last of them.
        if self.kept.len() >= MAX_FINDINGS {
            self.more += 1;
            let room = self
                .kept
                .iter()
                .rposition(|finding| finding.severity == Severity::Warning);
            match room {
                Some(room) if severity == Severity::Error => drop(self.kept.remove(room)),
                _ => return,
            }
        }
        self.kept.push(Finding {
            severity,
            at,
            what: what(),
        });
    }

    pub fn error(&mut self, at: Option<Place>, what: impl FnOnce() -> String) {
        self.add(Severity::Error, at, what);
    }

    pub fn warn(&mut self, at: Option<Place>, what: impl FnOnce() -> String) {
        self.add(Severity::Warning, at, what);
    }

    pub fn take(mut self) -> Vec<Finding> {
        self.kept.sort_by_key(|finding| finding.at);
        if self.more > 0 {
            let what = format!("and {} more findings", self.more);
            self.kept.push(Finding {
                severity: Severity::Warning,
                at: None,
                what,
            });
        }
        self.kept
    }
}
