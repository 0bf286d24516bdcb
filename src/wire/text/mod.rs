//! Rdata as master files write it: text to wire ([`read_rdata`]) and wire to text ([`print_rdata`]), both along
//! the table of record types. What is printed is what BIND and ldns read.
//!
//! | file | holds |
//! |---|---|
//! | `lexer` | the tokens of master files |
//! | `read`, `print` | the fields that most types are made of |
//! | `fields` | the same fields as strings of their own, as APIs over JSON carry them |
//! | `service`, `location`, `prefix`, `mnemonic` | fields with a text form of their own, both directions |

pub mod fields;
pub mod lexer;
mod location;
mod mnemonic;
mod prefix;
mod print;
mod read;
mod service;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use lexer::{LexFault, Lexer, Position, Token};

pub use mnemonic::{algorithm_name, algorithm_number};
pub use print::{print_character_string, print_rdata};
pub use read::{read_period, read_rdata};

use super::{name::NameError, types::RdataError};

/// How much of a token a message repeats, in octets.
const QUOTED_OCTETS: usize = 60;

/// Text that is not the rdata of its type.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{fault}")]
pub struct TextError {
    /// Where.
    pub at: Position,
    /// What. In a box, so that reading well-formed tokens moves little.
    pub fault: Box<TextFault>,
}

/// What is wrong with text.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TextFault {
    /// Something else should stand here.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What should stand here.
        expected: Cow<'static, str>,
        /// What does.
        found: String,
    },
    /// A name that is none.
    #[error("expected a name, found {found}: {reason}")]
    Name {
        /// What stands here.
        found: String,
        /// Why it is no name.
        reason: NameError,
    },
    /// Rdata that no record can carry.
    #[error("the rdata is longer than 65,535 octets")]
    TooLong,
    /// Rdata that is readable, but not what its type may have.
    #[error("not the rdata of a {rtype} record: {reason}")]
    Malformed {
        /// The type.
        rtype: super::RrType,
        /// Why.
        reason: RdataError,
    },
    /// Text that is not made of tokens.
    #[error(transparent)]
    Token(#[from] LexFault),
}

impl TextError {
    /// `fault` is at `at`.
    #[cold]
    pub(crate) fn new(at: Position, fault: TextFault) -> Self {
        Self {
            at,
            fault: Box::new(fault),
        }
    }

    /// `found` stands where `expected` should.
    #[cold]
    pub(crate) fn unexpected(expected: impl Into<Cow<'static, str>>, found: &Token<'_>) -> Self {
        Self::unexpected_text(expected, shown(found), found.at)
    }

    /// The record ends where `expected` should stand.
    #[cold]
    pub(crate) fn missing(expected: impl Into<Cow<'static, str>>, lexer: &Lexer<'_>) -> Self {
        Self::unexpected_text(expected, "the end of the record".into(), lexer.position())
    }

    /// What is told as `found` stands at `at`, where `expected` should.
    pub(crate) fn unexpected_text(
        expected: impl Into<Cow<'static, str>>,
        found: String,
        at: Position,
    ) -> Self {
        let expected = expected.into();
        Self::new(at, TextFault::Unexpected { expected, found })
    }

    /// `found` is no name.
    #[cold]
    pub(crate) fn name(found: &Token<'_>, reason: NameError) -> Self {
        let at = found.at;
        let found = shown(found);
        Self::new(at, TextFault::Name { found, reason })
    }
}

/// A token as messages repeat it: cut when long, octets that are not printable escaped.
pub(crate) fn shown(token: &Token<'_>) -> String {
    let quote = if token.is_quoted() { "\"" } else { "" };
    let (cut, dots) = match token.text.get(..QUOTED_OCTETS) {
        Some(front) if token.text.len() > QUOTED_OCTETS => (front, "…"),
        _ => (token.text, ""),
    };
    let mut text = String::with_capacity(cut.len() + 8);
    for &octet in cut {
        match octet {
            0x20..=0x7e => text.push(octet as char),
            _ => text.push_str(&format!("\\{octet:03}")),
        }
    }
    format!("`{quote}{text}{dots}{quote}`")
}

/// The next token.
///
/// # Errors
/// When the record ends here: `expected` is what should stand here.
#[inline]
pub(crate) fn need<'a>(lexer: &mut Lexer<'a>, expected: &'static str) -> Result<Token<'a>, TextError> {
    match lexer.token()? {
        Some(token) => Ok(token),
        None => Err(TextError::missing(expected, lexer)),
    }
}

/// As [`need`], where quotes have no place.
#[inline]
pub(crate) fn need_word<'a>(lexer: &mut Lexer<'a>, expected: &'static str) -> Result<Token<'a>, TextError> {
    let token = need(lexer, expected)?;
    if token.is_quoted() {
        return Err(TextError::unexpected(expected, &token));
    }
    Ok(token)
}

/// Sees to it that the record ends here.
///
/// # Errors
/// When more stands here.
#[inline]
pub(crate) fn expect_end(lexer: &mut Lexer<'_>) -> Result<(), TextError> {
    match lexer.token()? {
        None => Ok(()),
        Some(token) => Err(TextError::unexpected("the end of the record", &token)),
    }
}

/// Decimal digits up to `largest`.
#[inline]
pub(crate) fn decimal(text: &[u8], largest: u64) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut value = 0_u64;
    for digit in text {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    (value <= largest).then_some(value)
}
