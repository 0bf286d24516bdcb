//! `countersign check`: every problem at once, nothing changed.

use super::{
    arguments::CheckArguments,
    outcome::{Failure, Report},
};
use crate::config;

pub(super) fn run(arguments: &CheckArguments) -> Result<Report, Failure> {
    let problems = match config::load(&arguments.config) {
        Ok(_) => Vec::new(),
        Err(problems) => problems,
    };
    let text: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
    Ok(Report::of(text).negative(!problems.is_empty()))
}
