//! The tokens of master files (RFC 1035 §5.1): words and quoted strings; blanks, comments and parentheses lie
//! between them. Escapes are left as they are, for what they mean depends on the field.
//!
//! Tokens borrow the text. As in BIND, a quote ends a word, and a quoted string ends on its line.

use super::{TextError, TextFault};

/// Where a token begins: line and column, in octets, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in octets, from 1.
    pub column: u32,
}

/// A word or a quoted string.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token<'a> {
    /// The text, without the quotes, with its escapes.
    pub text: &'a [u8],
    /// Whether it stood in quotes.
    pub form: Form,
    /// Where it begins.
    pub at: Position,
}

/// How a token is written. Of four octets, for tokens are copied a lot: with one, what says whether there is a token
/// at all would share its place, and copies would stall on octets that were just written (half of all time).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Form {
    /// Plain.
    Word,
    /// In quotes.
    Quoted,
}

impl Token<'_> {
    /// Whether it stood in quotes.
    #[inline]
    pub fn is_quoted(&self) -> bool {
        self.form == Form::Quoted
    }
}

/// Text that is not made of tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LexFault {
    /// A quoted string that its line does not end.
    #[error("expected a closing quote on the same line, found the end of the line")]
    UnclosedQuote,
    /// A parenthesis that nothing closes.
    #[error("expected a closing parenthesis for this one, found the end of the file")]
    UnclosedParenthesis,
    /// A closing parenthesis that nothing opened.
    #[error("found a closing parenthesis that none opened")]
    UnopenedParenthesis,
    /// A backslash at the end of a line.
    #[error("expected a character behind the backslash, found the end of the line")]
    BareBackslash,
}

/// Reads tokens, a line at a time. At the end of a line it stays until [`Lexer::next_line`].
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
    line_start: usize,
    open: u32,
    opened_at: Position,
}

/// What an octet is to the lexer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Blank,
    Newline,
    Quote,
    Comment,
    Open,
    Close,
    Backslash,
}

static KINDS: [Kind; 256] = {
    let mut kinds = [Kind::Word; 256];
    kinds[b' ' as usize] = Kind::Blank;
    kinds[b'\t' as usize] = Kind::Blank;
    kinds[b'\r' as usize] = Kind::Blank;
    kinds[b'\n' as usize] = Kind::Newline;
    kinds[b'"' as usize] = Kind::Quote;
    kinds[b';' as usize] = Kind::Comment;
    kinds[b'(' as usize] = Kind::Open;
    kinds[b')' as usize] = Kind::Close;
    kinds[b'\\' as usize] = Kind::Backslash;
    kinds
};

impl<'a> Lexer<'a> {
    /// Starts at the first line of `text`.
    pub fn new(text: &'a [u8]) -> Self {
        Self::at_line(text, 1)
    }

    /// Starts at a line of `text` that messages call `line`.
    pub fn at_line(text: &'a [u8], line: u32) -> Self {
        Self {
            text,
            at: 0,
            line,
            line_start: 0,
            open: 0,
            opened_at: Position::default(),
        }
    }

    /// Where the next octet is.
    pub fn position(&self) -> Position {
        self.position_of(self.at)
    }

    fn position_of(&self, at: usize) -> Position {
        Position {
            line: self.line,
            column: u32::try_from(at - self.line_start).unwrap_or(u32::MAX - 1) + 1,
        }
    }

    /// Whether all text has been read.
    pub fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// Whether the record ends here, once blanks have been stepped over.
    pub fn is_at_end_of_record(&self) -> bool {
        matches!(self.text.get(self.at), None | Some(b'\n'))
    }

    /// Whether a blank comes next: at the start of a line, the owner is that of the record before.
    pub fn is_at_blank(&self) -> bool {
        matches!(self.text.get(self.at), Some(b' ' | b'\t'))
    }

    /// The text from `start` to here, for what is read as a whole.
    pub fn text_between(&self, start: usize, end: usize) -> &'a [u8] {
        &self.text[start..end]
    }

    /// How many octets have been read.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Steps over the end of a line.
    pub fn next_line(&mut self) {
        if self.text.get(self.at) == Some(&b'\n') {
            self.newline();
        }
    }

    fn newline(&mut self) {
        self.at += 1;
        self.line = self.line.saturating_add(1);
        self.line_start = self.at;
    }

    /// Steps over all that is left of a record, whatever it is; gives the parenthesis that swallowed the rest of
    /// the text, when one did.
    pub fn skip_record(&mut self) -> Option<Position> {
        let mut unclosed = None;
        loop {
            match self.token() {
                Ok(None) => break,
                Err(error) if *error.fault == TextFault::Token(LexFault::UnclosedParenthesis) => {
                    unclosed = Some(error.at);
                }
                _ => {}
            }
        }
        self.next_line();
        unclosed
    }

    /// Steps over blanks, comments and parentheses. The octet that follows begins a token, or ends the record.
    ///
    /// # Errors
    /// A parenthesis without its partner, and where it is.
    #[inline]
    pub fn skip_blanks(&mut self) -> Result<(), TextError> {
        while let Some(&octet) = self.text.get(self.at) {
            match KINDS[usize::from(octet)] {
                Kind::Blank => self.at += 1,
                Kind::Word | Kind::Quote | Kind::Backslash => return Ok(()),
                Kind::Newline if self.open == 0 => return Ok(()),
                Kind::Newline => self.newline(),
                Kind::Comment => self.skip_comment(),
                Kind::Open => self.open_parenthesis(),
                Kind::Close => self.close_parenthesis()?,
            }
        }
        if self.open > 0 {
            self.open = 0;
            return Err(TextError::new(
                self.opened_at,
                LexFault::UnclosedParenthesis.into(),
            ));
        }
        Ok(())
    }

    fn skip_comment(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest
            .iter()
            .position(|octet| *octet == b'\n')
            .unwrap_or(rest.len());
    }

    fn open_parenthesis(&mut self) {
        if self.open == 0 {
            self.opened_at = self.position();
        }
        self.open = self.open.saturating_add(1);
        self.at += 1;
    }

    fn close_parenthesis(&mut self) -> Result<(), TextError> {
        let at = self.position();
        self.at += 1;
        match self.open.checked_sub(1) {
            Some(open) => self.open = open,
            None => return Err(TextError::new(at, LexFault::UnopenedParenthesis.into())),
        }
        Ok(())
    }

    /// The next token of the record; `None` at its end.
    ///
    /// # Errors
    /// What is no token, and where. The lexer has stepped over it.
    #[inline]
    pub fn token(&mut self) -> Result<Option<Token<'a>>, TextError> {
        self.skip_blanks()?;
        let at = self.position();
        match self.text.get(self.at) {
            None | Some(b'\n') => Ok(None),
            Some(b'"') => {
                let text = self.quoted()?;
                Ok(Some(Token {
                    text,
                    form: Form::Quoted,
                    at,
                }))
            }
            Some(_) => {
                let text = self.word()?;
                Ok(Some(Token {
                    text,
                    form: Form::Word,
                    at,
                }))
            }
        }
    }

    /// As [`Lexer::token`], but a quote behind `=` belongs to the word (`alpn="h2,h3"`, RFC 9460 §2.1), and so
    /// does all up to the quote that closes it.
    ///
    /// # Errors
    /// As [`Lexer::token`].
    pub fn parameter(&mut self) -> Result<Option<Token<'a>>, TextError> {
        let Some(mut token) = self.token()? else {
            return Ok(None);
        };
        if !token.is_quoted() && token.text.ends_with(b"=") && self.text.get(self.at) == Some(&b'"') {
            let start = self.at - token.text.len();
            self.quoted()?;
            token.text = &self.text[start..self.at];
        }
        Ok(Some(token))
    }

    /// Whether the next token is the word `\#` (RFC 3597 §5).
    ///
    /// # Errors
    /// As [`Lexer::skip_blanks`].
    #[inline]
    pub fn is_at_generic(&mut self) -> Result<bool, TextError> {
        self.skip_blanks()?;
        Ok(match self.text[self.at..] {
            [b'\\', b'#'] => true,
            [b'\\', b'#', next, ..] => !matches!(KINDS[usize::from(next)], Kind::Word | Kind::Backslash),
            _ => false,
        })
    }

    #[inline]
    fn word(&mut self) -> Result<&'a [u8], TextError> {
        let start = self.at;
        while let Some(&octet) = self.text.get(self.at) {
            match KINDS[usize::from(octet)] {
                Kind::Word => self.at += 1,
                Kind::Backslash => self.skip_escape()?,
                _ => break,
            }
        }
        Ok(&self.text[start..self.at])
    }

    fn quoted(&mut self) -> Result<&'a [u8], TextError> {
        let quote_at = self.position();
        self.at += 1;
        let start = self.at;
        loop {
            match self.text.get(self.at) {
                None | Some(b'\n') => return Err(TextError::new(quote_at, LexFault::UnclosedQuote.into())),
                Some(b'"') => break,
                Some(b'\\') => self.skip_escape()?,
                Some(_) => self.at += 1,
            }
        }
        let text = &self.text[start..self.at];
        self.at += 1;
        Ok(text)
    }

    /// A backslash and the character behind it, which thus is not taken for a quote or a blank.
    fn skip_escape(&mut self) -> Result<(), TextError> {
        let at = self.position();
        self.at += 1;
        match self.text[self.at..] {
            [] | [b'\n', ..] | [b'\r', b'\n', ..] => Err(TextError::new(at, LexFault::BareBackslash.into())),
            _ => {
                self.at += 1;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lines of tokens: words as they are, quoted strings in `<>`, faults in `!`.
    fn lines(text: &str) -> Vec<String> {
        let mut lexer = Lexer::new(text.as_bytes());
        let mut lines = Vec::new();
        while !lexer.is_at_end() {
            let mut line = Vec::new();
            loop {
                match lexer.token() {
                    Ok(None) => break,
                    Ok(Some(token)) if token.is_quoted() => {
                        line.push(format!("<{}>", String::from_utf8_lossy(token.text)));
                    }
                    Ok(Some(token)) => line.push(String::from_utf8_lossy(token.text).into_owned()),
                    Err(error) => line.push(format!("!{}:{}!", error.at.line, error.at.column)),
                }
            }
            lines.push(line.join(" "));
            lexer.next_line();
        }
        lines
    }

    #[test]
    fn tokens_are_those_of_rfc_1035_5_1() {
        assert_eq!(lines("a b ; c\n\td\r\n\ne"), ["a b", "d", "", "e"]);
        assert_eq!(lines("a ( b ; x )\n c\n) d\ne"), ["a b c d", "e"]);
        assert_eq!(lines("a((b)\n)c"), ["a b c"]);
        assert_eq!(lines(r#""a b;(c" "d""e"f"#), ["<a b;(c> <d> <e> f"]);
        assert_eq!(lines(r#"a\ b\;c\"d "e\"f""#), [r#"a\ b\;c\"d <e\"f>"#]);
        assert_eq!(lines("a\"b\"c"), ["a <b> c"]);
        assert_eq!(lines(""), Vec::<String>::new());
    }

    #[test]
    fn faults_are_found_where_they_begin_and_reading_goes_on() {
        assert_eq!(lines("a \"b\nc"), ["a !1:3!", "c"]);
        assert_eq!(lines("a ) b\nc"), ["a !1:3! b", "c"]);
        assert_eq!(lines("a b\\\nc"), ["a !1:4!", "c"]);
        assert_eq!(lines("x\na (b\nc"), ["x", "a b c !2:3!"]);
    }

    #[test]
    fn parameters_keep_their_quotes() {
        let mut lexer = Lexer::new(br#"a="b c"d "e" f=g h="#);
        let mut next = || {
            lexer
                .parameter()
                .unwrap()
                .map(|token| std::str::from_utf8(token.text).unwrap())
        };
        assert_eq!(next(), Some(r#"a="b c""#));
        assert_eq!(next(), Some("d"));
        assert_eq!(next(), Some("e"));
        assert_eq!(next(), Some("f=g"));
        assert_eq!(next(), Some("h="));
        assert_eq!(next(), None);
    }

    proptest! {
        #[test]
        fn any_octets_come_to_an_end(text in prop::collection::vec(
            prop_oneof![prop::sample::select(&b"a \n\r\t\"\\();="[..]), any::<u8>()], 0..200
        )) {
            let mut lexer = Lexer::new(&text);
            let mut steps = 0;
            while !lexer.is_at_end() {
                while !matches!(lexer.parameter(), Ok(None)) {
                    steps += 1;
                    prop_assert!(steps <= text.len() + 1);
                }
                lexer.next_line();
            }
        }
    }
}
