//! Makes as many P-256 signatures as asked, by ring: what a fresh answer cannot cost less than. For
//! `benches/targets.py`, which looks at the processor time this takes.

use countersign::dnssec::{
    algorithm::SigningAlgorithm,
    key::{SigningKey, ZONE},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count = std::env::args()
        .nth(1)
        .ok_or("usage: signature COUNT")?
        .parse::<u32>()?;
    let key = SigningKey::generate(SigningAlgorithm::EcdsaP256Sha256, ZONE)?;
    let mut signature = Vec::with_capacity(64);
    for number in 0..count {
        signature.clear();
        // About as many octets as an RRset of one address has in canonical form, with its RRSIG in front.
        key.sign(&[&number.to_be_bytes()[..], &[7; 76]].concat(), &mut signature)?;
    }
    Ok(())
}
