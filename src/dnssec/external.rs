//! Files of other providers' keys: DNSKEY records in master format, as `dig +noall +answer DNSKEY` prints them.
//!
//! TTLs and comments mean nothing here; RRSIG lines are passed over; any other type is an error. An empty file
//! is valid: it says that there are no other keys.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::key::Dnskey;
use crate::{
    wire::{NameRef, RrType},
    zone::{Entry, master},
};

/// A file larger than this is not one of keys.
const LARGEST_FILE: u64 = 1024 * 1024;
/// More records than this are not a zone's keys, whoever made them up: `$GENERATE` makes many in one line.
const MOST_RECORDS: usize = 1_000;
/// What is read in front of the file: one line.
const FRONT: &[u8] = b"$TTL 0\n";

/// A key in such a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExternalKey {
    /// The key.
    pub dnskey: Dnskey,
    /// Its line, from 1.
    pub line: u32,
}

/// What such a file holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExternalKeys {
    /// The keys, in the order of the file.
    pub keys: Vec<ExternalKey>,
    /// How many RRSIG records were passed over.
    pub signatures: usize,
}

/// Why a file of external keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExternalError {
    /// It cannot be read.
    #[error("cannot read {file}")]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A line is not what it should be, or holds a key that must be refused.
    #[error("{file}:{line}: {reason}")]
    Line {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: u32,
        /// What was found and what was expected.
        reason: String,
    },
}

/// Reads the file of external keys for the zone at `apex`.
///
/// # Errors
/// When it cannot be read, or some line is not a DNSKEY (or RRSIG) record of that zone.
pub fn read(path: &Path, apex: NameRef<'_>) -> Result<ExternalKeys, ExternalError> {
    let failed = |source| ExternalError::Read {
        file: path.into(),
        source,
    };
    let mut octets = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(LARGEST_FILE + 1)
        .read_to_end(&mut octets)
        .map_err(failed)?;
    if octets.len() as u64 > LARGEST_FILE {
        let reason = format!("the file is larger than {LARGEST_FILE} octets, so it is not one of keys");
        return Err(ExternalError::Line {
            file: path.into(),
            line: 1,
            reason,
        });
    }
    parse(&octets, apex).map_err(|(line, reason)| ExternalError::Line {
        file: path.into(),
        line,
        reason,
    })
}

/// Reads the text of such a file; what is wrong comes with its line.
///
/// # Errors
/// As [`read`].
pub fn parse(octets: &[u8], apex: NameRef<'_>) -> Result<ExternalKeys, (u32, String)> {
    // TTLs mean nothing here, so a record may go without: a line in front says what it then would be.
    let text = [FRONT, octets].concat();
    let source = master::Source::Text {
        name: "",
        octets: &text,
    };
    let mut found = ExternalKeys::default();
    let mut faults: Vec<(u32, String)> = Vec::new();
    let read = master::read(&source, apex, &mut |entry| {
        if let Err(reason) = take(&mut found, &entry, apex) {
            faults.truncate(MOST_RECORDS);
            faults.push((entry.at.line, reason));
        }
    });
    faults.extend(
        read.errors
            .iter()
            .map(|problem| (problem.at.line, problem.to_string())),
    );
    match faults.into_iter().min_by_key(|(line, _)| *line) {
        Some((line, reason)) => Err((line.saturating_sub(1), reason)),
        None => {
            for key in &mut found.keys {
                key.line -= 1;
            }
            Ok(found)
        }
    }
}

/// Takes one record, or says what is wrong with it.
fn take(found: &mut ExternalKeys, entry: &Entry<'_>, apex: NameRef<'_>) -> Result<(), String> {
    match entry.rtype {
        RrType::RRSIG => {
            found.signatures += 1;
            return Ok(());
        }
        RrType::DNSKEY => {}
        other => return Err(format!("expected a DNSKEY record, found {other}")),
    }
    if entry.owner != apex {
        let (owner, apex) = (entry.owner, apex.to_owned());
        return Err(format!(
            "this is a key of {owner}, not of {apex}; name its zone as ORIGIN=FILE"
        ));
    }
    if found.keys.len() == MOST_RECORDS {
        return Err(format!("more than {MOST_RECORDS} keys"));
    }
    let dnskey = Dnskey::from_rdata(entry.rdata).map_err(|why| why.to_string())?;
    let line = entry.at.line;
    found.keys.push(ExternalKey { dnskey, line });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Name;
    use proptest::prelude::*;

    const KEY: &str =
        "RYCJVB2IlQcjlBRZfLLwG+qfJEbAODNyNwpCoJCik1L6jrzER+5yWBZXODoLvrkOiODjFaM9BUNy/4dwLMtCIA==";

    fn keys(text: &str) -> Result<ExternalKeys, (u32, String)> {
        let apex: Name = "example.".parse().unwrap();
        parse(text.as_bytes(), apex.as_ref())
    }

    #[test]
    fn what_dig_prints_is_read() {
        let (one, two) = KEY.split_at(56);
        let text = format!(
            "; <<>> DiG 9.18 <<>> example. DNSKEY\r\n\
             example.\t\t3600\tIN\tDNSKEY\t257 3 13 {one} {two}\r\n\
             \n\
             $TTL 1h\n\
             EXAMPLE. 1h IN DNSKEY 256 3 13 ( {one}\n\t{two} ) ; ZSK; alg = 13\n\
             @ DNSKEY 256 3 ED25519 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=\n\
             \t3600 IN RRSIG DNSKEY 13 1 3600 20300101000000 20200101000000 52521 example. AAAA\n"
        );
        let found = keys(&text).unwrap();
        let lines: Vec<u32> = found.keys.iter().map(|key| key.line).collect();
        assert_eq!((lines, found.signatures), (vec![2, 5, 7], 1));
        assert_eq!(found.keys[0].dnskey.key_tag(), 52521);
        assert_eq!(found.keys[2].dnskey.key_tag(), 3612);
        assert_eq!(keys("").unwrap(), ExternalKeys::default());
        assert_eq!(keys("; nothing yet\n").unwrap(), ExternalKeys::default());
    }

    #[test]
    fn garbage_is_refused_with_its_line() {
        for (text, line, part) in [
            ("garbage", 1, "record type"),
            ("\n\nexample. IN A 192.0.2.1", 3, "found A"),
            ("example. IN DNSKEY 257 3 13 AAA!", 1, "base64"),
            ("example. IN DNSKEY 257 3", 1, "expected a DNSSEC algorithm"),
            (
                "other. IN DNSKEY 257 3 13 AAAA",
                1,
                "a key of other., not of example.",
            ),
            ("$INCLUDE keys", 1, "$INCLUDE"),
            (
                "$GENERATE 1-2000 @ DNSKEY 257 3 13 ${0,8}",
                1,
                "more than 1000 keys",
            ),
            (
                "example. IN DNSKEY (\n257 3 13 AAAA",
                1,
                "a closing parenthesis for this one",
            ),
            ("example. IN DNSKEY ) 257", 1, "that none opened"),
            ("\tIN DNSKEY 257 3 13 AAAA", 1, "whose owner it could share"),
            ("exam\\ple\\2. IN DNSKEY 257 3 13 AAAA", 1, "backslash"),
        ] {
            let (at, reason) = keys(text).unwrap_err();
            assert_eq!(at, line, "{text:?}: {reason}");
            assert!(reason.contains(part), "{text:?}: {reason}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_keys_or_an_error(text in "[ -~\\n\\t();]{0,200}") {
            let _ = keys(&text);
        }
    }
}
