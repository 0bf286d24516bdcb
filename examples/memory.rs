//! How much memory a zone takes, unsigned and with every signature made: octets a name that are resident, by way of
//! denial. For the benchmark book; `memory NAMES`.

use std::fs;

use countersign::{
    answer::warm::Warmer,
    dnssec::{algorithm::SigningAlgorithm, denial::Denial},
};

#[path = "../benches/fixture.rs"]
mod fixture;

/// Signatures in one step, as many as it takes.
const AT_ONCE: usize = 1 << 20;

/// What is resident and belongs to no file, in octets.
fn resident() -> Result<u64, Box<dyn std::error::Error>> {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib
        .ok_or("smaps_rollup without the line Anonymous")?
        .parse::<u64>()?
        * 1_024)
}

#[expect(clippy::print_stdout, reason = "a program of its own")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let names = std::env::args()
        .nth(1)
        .ok_or("usage: memory NAMES [nsec]")?
        .parse::<u32>()?;
    let denial = match std::env::args().nth(2).as_deref() {
        Some("nsec") => Denial::Nsec,
        _ => Denial::Compact,
    };
    let before = resident()?;
    let engine = fixture::engine(names, denial, SigningAlgorithm::EcdsaP256Sha256);
    let unsigned = resident()? - before;
    let (mut warmer, mut signed) = (Warmer::default(), 0);
    loop {
        let step = warmer.step(&engine.zones(), AT_ONCE, fixture::NOW);
        signed += step.signed;
        if step.finished {
            break;
        }
    }
    let warm = resident()? - before;
    let a_name = |octets: u64| octets as f64 / f64::from(names);
    println!(
        "{names} names, {denial:?}: {:.0} octets a name unsigned; {signed} signatures, {:.0} octets a name with them \
         ({:.0} MiB)",
        a_name(unsigned),
        a_name(warm),
        warm as f64 / f64::from(1 << 20),
    );
    Ok(())
}
