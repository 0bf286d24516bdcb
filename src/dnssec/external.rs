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
use crate::wire::{Name, NameRef};

/// A file larger than this is not one of keys.
const LARGEST_FILE: u64 = 1024 * 1024;

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
    parse(&String::from_utf8_lossy(&octets), apex).map_err(|(line, reason)| ExternalError::Line {
        file: path.into(),
        line,
        reason,
    })
}

/// Reads the text of such a file; what is wrong comes with its line.
///
/// # Errors
/// As [`read`].
pub fn parse(text: &str, apex: NameRef<'_>) -> Result<ExternalKeys, (u32, String)> {
    let mut found = ExternalKeys::default();
    let mut last_owner: Option<Name> = None;
    for record in records(text)? {
        let at = |reason: String| (record.line, reason);
        let mut tokens = record.tokens.iter().copied();
        if record.tokens[0].starts_with('$') {
            if record.tokens[0].eq_ignore_ascii_case("$TTL") {
                continue;
            }
            return Err(at(format!("{} has no place in a file of keys", record.tokens[0])));
        }
        if !record.continues_owner {
            let owner = tokens.next().unwrap_or_default();
            let name = Name::parse(owner.as_bytes(), Some(apex));
            last_owner = Some(name.map_err(|why| at(format!("the owner {owner:?}: {why}")))?);
        }
        let owner = last_owner.as_ref();
        let owner = owner.ok_or_else(|| at("the first record has no owner".into()))?;
        let rtype = tokens
            .find(|token| !is_ttl(token) && !token.eq_ignore_ascii_case("IN"))
            .ok_or_else(|| at("the record has no type".into()))?;
        if rtype.eq_ignore_ascii_case("RRSIG") {
            found.signatures += 1;
            continue;
        }
        if !rtype.eq_ignore_ascii_case("DNSKEY") {
            return Err(at(format!("expected a DNSKEY record, found {rtype}")));
        }
        if owner.as_ref() != apex {
            let apex = apex.to_owned();
            return Err(at(format!(
                "this is a key of {owner}, not of {apex}; name its zone as ORIGIN=FILE"
            )));
        }
        let rdata: Vec<&str> = tokens.collect();
        let dnskey = Dnskey::from_text(&rdata.join(" ")).map_err(|why| at(why.to_string()))?;
        let line = record.line;
        found.keys.push(ExternalKey { dnskey, line });
    }
    Ok(found)
}

/// A TTL in seconds or with units.
fn is_ttl(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_digit())
        && token
            .chars()
            .all(|c| c.is_ascii_digit() || "wdhmsWDHMS".contains(c))
}

struct Record<'a> {
    line: u32,
    /// Begins with white space: the owner is that of the record before.
    continues_owner: bool,
    tokens: Vec<&'a str>,
}

/// Splits the text into records: lines without comments, joined over parentheses.
fn records(text: &str) -> Result<Vec<Record<'_>>, (u32, String)> {
    let mut records: Vec<Record<'_>> = Vec::new();
    let mut open_since = None;
    for (number, line) in (1u32..).zip(text.lines()) {
        if open_since.is_none() {
            records.push(Record {
                line: number,
                continues_owner: line.starts_with([' ', '\t']),
                tokens: Vec::new(),
            });
        }
        let record = records
            .last_mut()
            .expect("one was pushed while no parenthesis was open");
        let mut start = None;
        let mut escaped = false;
        let mut end = line.len();
        for (at, c) in line.char_indices() {
            let special = !escaped && (c.is_ascii_whitespace() || matches!(c, '(' | ')' | ';'));
            escaped = c == '\\' && !escaped;
            if !special {
                start = start.or(Some(at));
                continue;
            }
            if let Some(start) = start.take() {
                record.tokens.push(&line[start..at]);
            }
            match c {
                '(' if open_since.is_some() => return Err((number, "a parenthesis within another".into())),
                '(' => open_since = Some(number),
                ')' if open_since.take().is_none() => {
                    return Err((number, "a closing parenthesis without an opening one".into()));
                }
                ';' => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        if let Some(start) = start {
            record.tokens.push(&line[start..end]);
        }
    }
    if let Some(line) = open_since {
        return Err((line, "this parenthesis is never closed".into()));
    }
    records.retain(|record| !record.tokens.is_empty());
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str =
        "RYCJVB2IlQcjlBRZfLLwG+qfJEbAODNyNwpCoJCik1L6jrzER+5yWBZXODoLvrkOiODjFaM9BUNy/4dwLMtCIA==";

    fn keys(text: &str) -> Result<ExternalKeys, (u32, String)> {
        let apex: Name = "example.".parse().unwrap();
        parse(text, apex.as_ref())
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
            ("garbage", 1, "no type"),
            ("\n\nexample. IN A 192.0.2.1", 3, "found A"),
            ("example. IN DNSKEY 257 3 13 AAA!", 1, "base64"),
            ("example. IN DNSKEY 257 3", 1, "FLAGS"),
            (
                "other. IN DNSKEY 257 3 13 AAAA",
                1,
                "a key of other., not of example.",
            ),
            ("$INCLUDE keys", 1, "$INCLUDE"),
            ("example. IN DNSKEY (\n257 3 13 AAAA", 1, "never closed"),
            ("example. IN DNSKEY ) 257", 1, "without an opening"),
            ("\tIN DNSKEY 257 3 13 AAAA", 1, "no owner"),
            ("exam\\ple\\2 IN DNSKEY 257 3 13 AAAA", 1, "backslash"),
        ] {
            let (at, reason) = keys(text).unwrap_err();
            assert_eq!(at, line, "{text:?}");
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
