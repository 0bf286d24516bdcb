//! Master files (RFC 1035 §5.1, RFC 2308 §4, RFC 3597 §5): the reader.
//!
//! `$ORIGIN`, `$TTL`, `$INCLUDE` and BIND's `$GENERATE`; TTL units; errors with file, line and column, all of a
//! file's at once.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use super::{Entry, Place};
use crate::wire::NameRef;

/// How many errors, and how many warnings, are kept; the rest are counted. A person mends the first ones first.
pub const MAX_PROBLEMS: usize = 100;

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

/// Something wrong at a place.
#[derive(Debug)]
pub struct Problem {
    /// Where.
    pub at: Place,
    /// What.
    pub what: Fault,
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
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(f)
    }
}

/// Reads master-file text and hands every record to `sink`, in the order of the text; records out of the zone
/// too. After an error the reader goes on with the next record.
pub fn read(source: &Source<'_>, _origin: NameRef<'_>, _sink: &mut dyn FnMut(Entry<'_>)) -> Read {
    let path = match source {
        Source::File(path) => path.to_path_buf(),
        Source::Text { name, .. } => PathBuf::from(name),
    };
    let what = Fault::Unreadable {
        path: path.clone(),
        source: io::ErrorKind::Unsupported.into(),
    };
    let problem = Problem {
        at: Place::default(),
        what,
    };
    Read {
        files: vec![path],
        errors: vec![problem],
        ..Read::default()
    }
}
