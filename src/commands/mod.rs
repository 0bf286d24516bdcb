//! The command line: the only code that prints for people. stdout is for results, stderr for logs and errors.
//!
//! Exit codes: 0 done, 1 the thing asked for does not hold or failed, 2 wrong usage.

mod access;
mod arguments;
mod check;
mod client;
mod keys;
mod lab;
mod lab_world;
mod logging;
mod outcome;
mod peer;
mod plan;
mod probe;
mod serve;
mod table;
mod verify;

use std::{ffi::OsString, process::ExitCode};

use arguments::{Cli, Command};
use clap::Parser;
use outcome::{Failure, Report};

/// Runs the command that `arguments` name; the first is the program's own name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // clap knows that help goes to stdout with 0, and wrong usage to stderr with 2.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match dispatch(cli.command) {
        Ok(report) => report.finish(),
        Err(failure) => failure.finish(),
    }
}

fn dispatch(command: Command) -> Result<Report, Failure> {
    match command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Keys(command) => keys::run(&command),
        Command::Accept(command) => client::accept(&command),
        Command::Ds(arguments) => client::ds(&arguments),
        Command::Status(arguments) => client::status(&arguments),
        Command::Reload(arguments) => client::reload(&arguments),
        Command::Peer(command) => peer::run(&command),
        Command::Plan(arguments) => plan::plan(&arguments),
        Command::Apply(arguments) => plan::apply(&arguments),
        Command::Pause(arguments) => plan::pause(&arguments),
        Command::Resume(arguments) => plan::resume(&arguments),
        Command::Done(arguments) => plan::done(&arguments),
        Command::Abort(arguments) => plan::abort(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Lab(arguments) => lab::run(arguments),
        Command::Serve(arguments) => serve::run(arguments),
    }
}
