//! What is told of a run: a line with its time for everything that happens.

use super::chain::Time;

/// A line of the story.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Line {
    /// Seconds since the world began.
    pub at: u64,
    /// What happened.
    pub what: String,
}

/// The story; nothing is kept of it where nobody wants to hear it.
#[derive(Clone, Debug)]
pub(super) struct Story {
    wanted: bool,
    pub lines: Vec<Line>,
}

impl Story {
    pub fn new(wanted: bool) -> Self {
        Self {
            wanted,
            lines: Vec::new(),
        }
    }

    pub fn tell(&mut self, at: Time, what: impl FnOnce() -> String) {
        if self.wanted {
            let what = what();
            // What is said again and again is told once.
            if self.lines.iter().rev().take(4).all(|line| line.what != what) {
                self.lines.push(Line { at, what });
            }
        }
    }
}

/// A time since the world began, as `+HH:MM:SS`.
pub fn clock(at: u64) -> String {
    format!("+{:02}:{:02}:{:02}", at / 3600, at / 60 % 60, at % 60)
}
