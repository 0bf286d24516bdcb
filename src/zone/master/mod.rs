//! Master files (RFC 1035 §5.1, RFC 2308 §4, RFC 3597 §5): text to records ([`read`]) and back
//! ([`print_record`]).
//!
//! `$ORIGIN`, `$TTL`, `$INCLUDE` and BIND's `$GENERATE`; TTL units; the class, if any, is IN. What a person has
//! to mend is named with file, line, column, what was found and what was expected, all of it at once.

mod generate;
mod print;
mod reader;

#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use super::{Entry, Place};
use crate::wire::{
    NameRef, RrType,
    text::{TextFault, lexer::Position},
};

pub use print::print_record;

/// How many errors, and how many warnings, are kept; the rest are counted. A person mends the first ones first.
pub const MAX_PROBLEMS: usize = 100;
/// How deep files may include files. Nobody nests by hand that deep; each level holds one file in memory.
pub const MAX_INCLUDE_DEPTH: usize = 16;
/// How many files one zone may be read from, each inclusion counted: files that include others twice multiply.
pub const MAX_FILES: usize = 10_000;
/// The largest file that is read, in octets: it is held in memory, and offsets into zones have 32 bits.
pub const MAX_FILE_OCTETS: u64 = u32::MAX as u64;
/// How many records all `$GENERATE`s of a zone may make: a short line must not fill the memory. A /10 of reverse
/// names fits.
pub const MAX_GENERATED: u64 = 1 << 22;

/// Where master-file text comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A file; `$INCLUDE` within it is relative to its folder.
    File(&'a Path),
    /// Text at hand, with the name that messages give it; `$INCLUDE` within it is an error.
    Text {
        /// What messages call it.
        name: &'a str,
        /// The text.
        octets: &'a [u8],
    },
}

/// What became of reading.
#[derive(Debug, Default)]
pub struct Read {
    /// The files that were read, as they were named; [`Place::file`] counts here.
    pub files: Vec<PathBuf>,
    /// How many records were handed on.
    pub records: u64,
    /// Errors, at most [`MAX_PROBLEMS`]. With any, what was handed on is not the whole zone.
    pub errors: Vec<Problem>,
    /// How many errors there were beyond those.
    pub more_errors: usize,
    /// What is taken as it is, and yet worth a word; at most [`MAX_PROBLEMS`].
    pub warnings: Vec<Problem>,
}

impl Read {
    /// The file of a place.
    pub fn file(&self, at: Place) -> &Path {
        self.files
            .get(usize::from(at.file))
            .map_or(Path::new(""), PathBuf::as_path)
    }
}

/// Something wrong at a place.
#[derive(Debug)]
pub struct Problem {
    /// Where. Line 0: the file as a whole.
    pub at: Place,
    /// What.
    pub what: Fault,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(f)
    }
}

/// What can be wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is larger than [`MAX_FILE_OCTETS`].
    #[error("{} is larger than {MAX_FILE_OCTETS} octets", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Something else should stand here.
    #[error(transparent)]
    Text(#[from] TextFault),
    /// A record that goes wrong, in front of its type or behind.
    #[error("{rtype} record: {fault}")]
    Record {
        /// Its type.
        rtype: RrType,
        /// What is wrong.
        fault: TextFault,
    },
    /// A record made by `$GENERATE` that is none.
    #[error("$GENERATE at {value}: {fault}")]
    Generated {
        /// The number it was made with.
        value: u64,
        /// What is wrong.
        fault: TextFault,
    },
    /// A class that zones here do not have.
    #[error("expected class IN, found {0}")]
    Class(String),
    /// A type that zones hold no records of.
    #[error("{0} is a type of questions and messages; a zone holds no records of it")]
    Meta(RrType),
    /// A blank where an owner should be, and none before it.
    #[error("expected an owner, found a blank; no record stands before this one whose owner it could share")]
    NoOwner,
    /// No TTL, and nothing to take one from.
    #[error(
        "no TTL; write one, or $TTL above (RFC 2308 §4). It can also come from the record before, or from the SOA's minimum"
    )]
    NoTtl,
    /// The SOA's minimum is taken for the TTL.
    #[error(
        "no TTL and no $TTL above; the SOA's minimum, {0}, is taken for this record and those that follow"
    )]
    SoaMinimum(u32),
    /// The TTL of the record before is taken.
    #[error("no $TTL above; records without a TTL take that of the record before (RFC 1035 §5.1), here {0}")]
    PreviousTtl(u32),
    /// A TTL with the most significant bit.
    #[error("a TTL of {0} is above 2147483647, and so counts as 0 (RFC 2181 §8)")]
    LargeTtl(u32),
    /// A directive that there is not.
    #[error("expected $ORIGIN, $TTL, $INCLUDE or $GENERATE, found {0}")]
    Directive(String),
    /// `$INCLUDE` where there is no folder to look in.
    #[error("$INCLUDE works in files only")]
    NoFolder,
    /// A file that includes itself, be it through others.
    #[error("$INCLUDE goes in a circle: {}", join(.0))]
    Circle(Vec<PathBuf>),
    /// Files nested beyond [`MAX_INCLUDE_DEPTH`].
    #[error("$INCLUDE is nested deeper than {MAX_INCLUDE_DEPTH}")]
    TooDeep,
    /// Files beyond [`MAX_FILES`].
    #[error("more than {MAX_FILES} files are included")]
    TooManyFiles,
    /// More than [`MAX_GENERATED`] records.
    #[error("$GENERATE makes more than {MAX_GENERATED} records, all in this zone counted")]
    TooManyGenerated,
}

fn join(files: &[PathBuf]) -> String {
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    names.join(" → ")
}

/// Reads master-file text and hands every record to `sink`, in the order of the text; records out of the zone
/// too. Relative names are completed by `origin` until `$ORIGIN` says otherwise. After an error the reader goes on
/// with the next record.
pub fn read(source: &Source<'_>, origin: NameRef<'_>, sink: &mut dyn FnMut(Entry<'_>)) -> Read {
    reader::Reader::new(sink).read(source, origin)
}

fn place(file: u16, at: Position) -> Place {
    Place {
        file,
        line: at.line,
        column: u16::try_from(at.column).unwrap_or(u16::MAX),
    }
}
