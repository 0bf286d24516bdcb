//! Instructions a hot answer takes, counted by callgrind, against the counts in `instructions.txt`.
//!
//! Counts do not depend on what else the machine does, so a change that makes the hot path longer shows at once:
//! `make instructions` fails when a count has grown by more than a tenth. `cargo bench --bench instructions --
//! --write` takes the new counts down; say in the commit why they changed.

use std::{
    collections::BTreeMap,
    hint::black_box,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use countersign::{
    dnssec::{algorithm::SigningAlgorithm, denial::Denial},
    wire::RrType,
};

#[path = "fixture.rs"]
mod fixture;

/// Answers counted for each kind.
const ANSWERS: u64 = 10_000;
/// By how much a count may grow, in parts of a hundred.
const TOLERANCE: u64 = 10;
const KINDS: [&str; 6] = [
    "signed_a",
    "no_data",
    "nxdomain_known",
    "dnskey",
    "nxdomain_range",
    "wildcard_range",
];

fn questions(kind: &str) -> Vec<Vec<u8>> {
    let of = |owner: &dyn Fn(u32) -> String, rtype| {
        (0..100).map(|n| fixture::question(&owner(n), rtype)).collect()
    };
    match kind {
        "signed_a" => of(&|n| format!("host{n}.example.com."), RrType::A),
        "no_data" => of(&|n| format!("host{n}.example.com."), RrType::MX),
        "nxdomain_range" => of(&|n| format!("host{n}x{n}.example.com."), RrType::A),
        "wildcard_range" => of(&|n| format!("x{n}.wild.example.com."), RrType::A),
        "nxdomain_known" => of(&|n| format!("nope{n}.example.com."), RrType::A),
        _ => of(&|_| "example.com.".into(), RrType::DNSKEY),
    }
}

/// What callgrind counts: nothing before and after this function. Questions come in batches, as they do over UDP.
#[inline(never)]
fn counted(worker: &mut impl countersign::answer::Work, questions: &[Vec<u8>], out: &mut Vec<u8>) {
    for _ in 0..ANSWERS / questions.len() as u64 {
        worker.look_ahead(black_box(questions).iter().map(Vec::as_slice));
        for question in questions {
            fixture::ask(worker, black_box(question), out);
        }
    }
}

fn run(kind: &str) {
    let engine = fixture::engine(1_000, Denial::Compact, SigningAlgorithm::Ed25519);
    let questions = questions(kind);
    let mut worker = if kind.ends_with("range") {
        fixture::flooded(1_000, &questions)
    } else {
        fixture::worker(&engine)
    };
    let mut out = Vec::with_capacity(4_096);
    questions
        .iter()
        .for_each(|question| fixture::ask(&mut worker, question, &mut out));
    counted(&mut worker, &questions, &mut out);
}

/// Instructions an answer, as callgrind says on stderr: `Collected : N`.
fn count(kind: &str) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--toggle-collect=*counted*",
        ])
        .arg(program)
        .args(["--run", kind])
        .output()
        .map_err(|error| format!("cannot run valgrind ({error}); install Debian's package valgrind"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected : ")?.1.trim().parse::<u64>().ok());
    collected.map(|count| count / ANSWERS).ok_or(said)
}

fn baseline_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.txt")
}

fn baseline() -> BTreeMap<String, u64> {
    let text = std::fs::read_to_string(baseline_file()).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(k, n)| Some((k.into(), n.parse().ok()?)))
        .collect()
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, kind] = &arguments[..]
        && flag == "--run"
    {
        run(kind);
        return ExitCode::SUCCESS;
    }
    let before = baseline();
    let (mut grown, mut lines) = (false, String::new());
    for kind in KINDS {
        let count = match count(kind) {
            Ok(count) => count,
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        };
        lines.push_str(&format!("{kind} {count}\n"));
        let allowed = before.get(kind).map(|before| before + before * TOLERANCE / 100);
        let verdict = match allowed {
            None => "new",
            Some(allowed) if count > allowed => {
                grown = true;
                "GROWN"
            }
            Some(_) => "ok",
        };
        println!(
            "{kind:<16} {count:>6} instructions an answer, {} before  {verdict}",
            before.get(kind).unwrap_or(&0)
        );
    }
    if arguments.iter().any(|argument| argument == "--write") {
        if let Err(error) = std::fs::write(baseline_file(), lines) {
            eprintln!("cannot write {}: {error}", baseline_file().display());
            return ExitCode::FAILURE;
        }
    } else if grown {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
