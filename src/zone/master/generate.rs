//! `$GENERATE`, BIND's directive for records that differ in a number:
//! `$GENERATE START-STOP[/STEP] OWNER [TTL] [CLASS] TYPE RDATA`.
//!
//! In OWNER and RDATA `$` is the number and `$$` a dollar; `${OFFSET[,WIDTH[,BASE]]}` is the number plus OFFSET, padded
//! with zeros to WIDTH, in BASE `d`, `o`, `x`, `X`, or as `n`, `N`: nibbles from the right with dots between them, as
//! reverse names have them. RDATA with blanks may stand in quotes.

use std::{borrow::Cow, io::Write};

use super::{
    Fault, MAX_GENERATED,
    reader::{Here, Reader, Wrong},
};
use crate::wire::{
    NameRef,
    name::{MAX_NAME, parse_into},
    text::{
        TextError, decimal,
        lexer::{Form, Lexer, Position, Token},
        need_word,
    },
};

/// The largest number of START and STOP, as in BIND.
const MAX_NUMBER: u64 = i32::MAX as u64;
/// The largest WIDTH: more is no name any more.
const MAX_WIDTH: u64 = 255;

impl Reader<'_> {
    pub(super) fn generate(&mut self, at: Position, lexer: &mut Lexer<'_>, here: &Here) -> Result<(), Wrong> {
        let range_token = need_word(lexer, "a range such as 1-100 or 0-254/2")?;
        let (start, stop, step) = parse_range(range_token.text)
            .ok_or_else(|| TextError::unexpected("a range such as 1-100 or 0-254/2", &range_token))?;
        let owner_token = need_word(lexer, "an owner with $ for the number")?;
        let owner_template = Template::parse(&owner_token)?;
        let front = self.front(lexer, here.file)?;
        let rdata_token = rest_of_record(lexer)?;
        let unquoted = without_escaped_quotes(&rdata_token);
        let rdata_template = Template::parse(&Token {
            text: &unquoted,
            ..rdata_token
        })?;
        self.generated = self.generated.saturating_add((stop - start) / step + 1);
        if self.generated > MAX_GENERATED {
            return Err((at, Fault::TooManyGenerated));
        }
        let (mut text, mut buffer) = (Vec::new(), [0; MAX_NAME]);
        for value in (start..=stop).step_by(step as usize) {
            // The first that goes wrong stands for all: they are alike.
            let generated = |at, error: TextError| {
                let fault = *error.fault;
                (at, Fault::Generated { value, fault })
            };
            owner_template
                .fill(value, &mut text)
                .map_err(|error| generated(error.at, error))?;
            let shown = Token {
                text: &text,
                ..owner_token
            };
            let length = parse_into(&text, Some(here.origin.as_ref()), &mut buffer)
                .map_err(|reason| generated(owner_token.at, TextError::name(&shown, reason)))?;
            rdata_template
                .fill(value, &mut text)
                .map_err(|error| generated(error.at, error))?;
            let owner = NameRef::from_trusted(&buffer[..length]);
            self.generated(owner, &front, &text, here, at)
                .map_err(|(_, fault)| match fault {
                    Fault::Text(fault) => (rdata_token.at, Fault::Generated { value, fault }),
                    other => (at, other),
                })?;
        }
        Ok(())
    }
}

/// All that is left of the record, as one token: what stands in quotes, or all words.
fn rest_of_record<'a>(lexer: &mut Lexer<'a>) -> Result<Token<'a>, Wrong> {
    lexer.skip_blanks()?;
    let start = lexer.offset();
    let (mut first, mut count, mut end) = (None, 0, start);
    while let Some(token) = lexer.token()? {
        first.get_or_insert(token);
        count += 1;
        end = lexer.offset();
    }
    match first {
        None => Err(TextError::missing("rdata with $ for the number", lexer).into()),
        Some(only) if count == 1 => Ok(only),
        Some(first) => Ok(Token {
            text: lexer.text_between(start, end),
            form: Form::Word,
            at: first.at,
        }),
    }
}

/// `\"` within quotes is a quote of the rdata.
fn without_escaped_quotes<'a>(token: &Token<'a>) -> Cow<'a, [u8]> {
    if !token.is_quoted() || !token.text.contains(&b'\\') {
        return Cow::Borrowed(token.text);
    }
    let mut text = Vec::with_capacity(token.text.len());
    let mut rest = token.text.iter();
    while let Some(&octet) = rest.next() {
        match (octet, rest.as_slice().first()) {
            (b'\\', Some(b'"')) => {}
            (b'\\', Some(&next)) => {
                text.extend_from_slice(&[octet, next]);
                rest.next();
            }
            _ => text.push(octet),
        }
    }
    Cow::Owned(text)
}

fn parse_range(text: &[u8]) -> Option<(u64, u64, u64)> {
    let (range, step) = match text.iter().position(|octet| *octet == b'/') {
        Some(slash) => (&text[..slash], decimal(&text[slash + 1..], MAX_NUMBER)?),
        None => (text, 1),
    };
    let hyphen = range.iter().position(|octet| *octet == b'-')?;
    let start = decimal(&range[..hyphen], MAX_NUMBER)?;
    let stop = decimal(&range[hyphen + 1..], MAX_NUMBER)?;
    (start <= stop && step > 0).then_some((start, stop, step))
}

/// Text with places for the number.
struct Template<'a> {
    token: Token<'a>,
    parts: Vec<Part<'a>>,
}

enum Part<'a> {
    Text(&'a [u8]),
    Number(Format),
}

struct Format {
    offset: i64,
    width: usize,
    base: u8,
}

impl<'a> Template<'a> {
    fn parse(token: &Token<'a>) -> Result<Self, TextError> {
        let mut parts = Vec::new();
        let (mut text, mut at) = (token.text, 0);
        while at < text.len() {
            match text[at] {
                // An escaped character stays as it is, for those who read the text next.
                b'\\' => at = (at + 2).min(text.len()),
                b'$' => {
                    parts.push(Part::Text(&text[..at]));
                    let rest = &text[at + 1..];
                    let (part, used) = Part::parse(rest).ok_or_else(|| {
                        TextError::unexpected("$, $$ or ${offset[,width[,d|o|x|X|n|N]]}", token)
                    })?;
                    parts.push(part);
                    (text, at) = (&rest[used..], 0);
                }
                _ => at += 1,
            }
        }
        parts.push(Part::Text(text));
        Ok(Self { token: *token, parts })
    }

    fn fill(&self, value: u64, out: &mut Vec<u8>) -> Result<(), TextError> {
        out.clear();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Number(format) => format.print(value, out).ok_or_else(|| {
                    TextError::unexpected("an offset that leaves no number below zero", &self.token)
                })?,
            }
        }
        Ok(())
    }
}

impl Part<'_> {
    /// What follows a dollar, and how many octets of it were used.
    fn parse(rest: &[u8]) -> Option<(Self, usize)> {
        let plain = Format {
            offset: 0,
            width: 0,
            base: b'd',
        };
        match rest.first() {
            Some(b'$') => Some((Part::Text(b"$"), 1)),
            Some(b'{') => {
                let end = rest.iter().position(|octet| *octet == b'}')?;
                let mut fields = rest[1..end].split(|octet| *octet == b',');
                let offset = fields.next()?;
                let (negative, digits) = match offset.strip_prefix(b"-") {
                    Some(digits) => (true, digits),
                    None => (false, offset.strip_prefix(b"+").unwrap_or(offset)),
                };
                let offset = decimal(digits, MAX_NUMBER)? as i64;
                let width = fields.next().map_or(Some(0), |width| decimal(width, MAX_WIDTH))?;
                let base = match fields.next() {
                    None => b'd',
                    Some([base @ (b'd' | b'o' | b'x' | b'X' | b'n' | b'N')]) => *base,
                    Some(_) => return None,
                };
                let format = Format {
                    offset: if negative { -offset } else { offset },
                    width: width as usize,
                    base,
                };
                fields.next().is_none().then_some((Part::Number(format), end + 1))
            }
            _ => Some((Part::Number(plain), 0)),
        }
    }
}

impl Format {
    fn print(&self, value: u64, out: &mut Vec<u8>) -> Option<()> {
        let value = u64::try_from(value as i64 + self.offset).ok()?;
        let width = self.width;
        match self.base {
            b'o' => write!(out, "{value:0width$o}"),
            b'x' => write!(out, "{value:0width$x}"),
            b'X' => write!(out, "{value:0width$X}"),
            b'd' => write!(out, "{value:0width$}"),
            _ => {
                self.print_nibbles(value, out);
                Ok(())
            }
        }
        .ok()
    }

    /// Width counts digits and dots, as in BIND.
    fn print_nibbles(&self, mut value: u64, out: &mut Vec<u8>) {
        let digits = if self.base == b'n' {
            b"0123456789abcdef"
        } else {
            b"0123456789ABCDEF"
        };
        let mut width = self.width;
        loop {
            out.push(digits[(value & 15) as usize]);
            value >>= 4;
            width = width.saturating_sub(1);
            if value == 0 && width == 0 {
                return;
            }
            out.push(b'.');
            width = width.saturating_sub(1);
            if value == 0 && width == 0 {
                return;
            }
        }
    }
}
