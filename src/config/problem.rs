//! A problem and its place, as editors and people read it: `FILE:LINE:COL: what, and what to do`.

use std::{fmt, path::PathBuf};

/// A place in a text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in octets, from 1.
    pub column: u32,
}

impl Position {
    /// The start of a text; also stands for problems of a file as a whole.
    pub const START: Self = Self { line: 1, column: 1 };

    /// The position of the octet at `offset` of `text`; past the end counts as the end.
    pub fn of_offset(text: &[u8], offset: usize) -> Self {
        let before = &text[..offset.min(text.len())];
        let line_start = before
            .iter()
            .rposition(|&octet| octet == b'\n')
            .map_or(0, |at| at + 1);
        let line = before.iter().filter(|&&octet| octet == b'\n').count() + 1;
        Self {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(before.len() - line_start + 1).unwrap_or(u32::MAX),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Something that a person must mend.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Problem {
    /// The file in which it stands.
    pub file: PathBuf,
    /// Where in the file.
    pub at: Position,
    /// What is wrong, and what to do about it.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.at, self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_from_one_in_octets() {
        let text = "ab\nä c\n".as_bytes();
        for (offset, line, column) in [(0, 1, 1), (2, 1, 3), (3, 2, 1), (6, 2, 4), (8, 3, 1), (99, 3, 1)] {
            assert_eq!(
                Position::of_offset(text, offset),
                Position { line, column },
                "{offset}"
            );
        }
    }
}
