//! How a command ends: with a report on stdout, or with a failure on stderr.

use std::{
    error::Error,
    fmt::Display,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use crate::{control::ClientError, provider::ProviderError};

/// What a command has to say on stdout.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// The text, lines ended.
    pub stdout: String,
    /// Remarks that are no result: they go to stderr.
    pub remarks: Vec<String>,
    /// Whether the thing asked for does not hold: exit code 1.
    pub negative: bool,
}

impl Report {
    pub(super) fn of(stdout: impl Into<String>) -> Self {
        Self {
            stdout: stdout.into(),
            ..Self::default()
        }
    }

    /// Pretty JSON of `value`.
    pub(super) fn json(value: &impl serde::Serialize) -> Self {
        let text =
            serde_json::to_string_pretty(value).expect("our own types have text keys and no odd numbers");
        Self::of(text + "\n")
    }

    pub(super) fn negative(mut self, negative: bool) -> Self {
        self.negative = negative;
        self
    }

    pub(super) fn remark(mut self, remark: impl Into<String>) -> Self {
        self.remarks.push(remark.into());
        self
    }

    pub(super) fn finish(self) -> ExitCode {
        for remark in &self.remarks {
            say(remark);
        }
        // A reader that went away (`| head`) is no failure of ours.
        let mut stdout = io::stdout().lock();
        let _ = stdout
            .write_all(self.stdout.as_bytes())
            .and_then(|()| stdout.flush());
        ExitCode::from(u8::from(self.negative))
    }
}

/// Why a command failed: what, the chain of causes, and the next step.
#[derive(Debug)]
pub(super) struct Failure {
    what: String,
    advice: Option<String>,
    usage: bool,
}

impl Failure {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            advice: None,
            usage: false,
        }
    }

    /// A failure by wrong usage: exit code 2.
    pub(super) fn usage(what: impl Into<String>) -> Self {
        Self {
            usage: true,
            ..Self::new(what)
        }
    }

    /// Adds what to do next.
    pub(super) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Puts in front what was being done.
    pub(super) fn context(mut self, context: impl Display) -> Self {
        self.what = format!("{context}: {}", self.what);
        self
    }

    pub(super) fn finish(self) -> ExitCode {
        say(&self.what);
        if let Some(advice) = &self.advice {
            let _ = writeln!(io::stderr(), "  {advice}");
        }
        ExitCode::from(if self.usage { 2 } else { 1 })
    }
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let known: &(dyn Error + 'static) = &error;
        let of_client = known.downcast_ref::<ClientError>().and_then(ClientError::advice);
        let of_provider = known
            .downcast_ref::<ProviderError>()
            .and_then(|error| error.advice.clone());
        let advice = of_client.or(of_provider);
        Self {
            advice,
            ..Self::new(chain(&error))
        }
    }
}

/// An error and its sources, each once, with colons between.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        // Some libraries repeat their source in their own message.
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}

fn say(what: &str) {
    let mut stderr = io::stderr().lock();
    let _ = if stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        writeln!(stderr, "\x1b[1mcountersign:\x1b[0m {what}")
    } else {
        writeln!(stderr, "countersign: {what}")
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read keys")]
    struct Outer(#[source] io::Error);

    #[test]
    fn a_chain_says_each_cause_once() {
        assert_eq!(
            chain(&Outer(io::Error::other("disk on fire"))),
            "cannot read keys: disk on fire"
        );
        assert_eq!(
            Failure::from(Outer(io::Error::other("x")))
                .context("example.")
                .what,
            "example.: cannot read keys: x"
        );
    }
}
