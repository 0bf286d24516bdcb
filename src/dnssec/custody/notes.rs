//! What a person should know about a zone's keys though nothing is refused. What stands is said at every
//! opening, so that a status that is read late shows it too.

use std::{fmt, path::PathBuf};

use crate::{
    clock::UnixTime,
    dnssec::{algorithm::Algorithm, keyset::Role, register::Source},
};

/// How much a note matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// For the log.
    Info,
    /// Somebody should look at it.
    Warning,
    /// Something asked for does not hold.
    Alarm,
}

/// Something a person should know about a zone's keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// A key in a file of external keys is or was ours; it is skipped.
    Ours {
        /// Its tag.
        tag: u16,
        /// The file.
        source: Source,
    },
    /// RRSIG records in a file of external keys were passed over.
    Signatures {
        /// The file.
        source: Source,
        /// How many.
        count: usize,
    },
    /// No source shows the key any more; it stays published.
    Kept {
        /// Its tag.
        tag: u16,
        /// Where it was.
        sources: Vec<Source>,
        /// Since when no source shows it.
        since: UnixTime,
    },
    /// A person withdrew the key, and sources still show it.
    Barred {
        /// Its tag.
        tag: u16,
        /// The sources that have not been without it since.
        sources: Vec<Source>,
        /// The person's reason.
        reason: String,
    },
    /// A file of external keys cannot be used; what is known from it goes on.
    ExternalIgnored {
        /// The error with its causes.
        error: String,
    },
    /// A key of ours will not sign, because another does that work.
    NotSigning {
        /// Its tag.
        tag: u16,
        /// What it is for.
        role: Role,
        /// The key that does the work.
        covered_by: u16,
    },
    /// A key of an algorithm that the zone lacks is not even published.
    HeldBack {
        /// Its tag.
        tag: u16,
        /// Its algorithm.
        algorithm: Algorithm,
    },
    /// A key that was given up lies in the folder; it is not used.
    GivenUp {
        /// Its tag.
        tag: u16,
        /// Why it was given up.
        reason: String,
    },
    /// A key pair in the folder has the REVOKE flag; it is not used.
    Revoked {
        /// Its tag.
        tag: u16,
    },
    /// A private half whose public half is not known; it is not used.
    PrivateAlone {
        /// The file.
        path: PathBuf,
    },
    /// The files of a key were completed after an interrupted write.
    Completed {
        /// Its tag.
        tag: u16,
    },
    /// A key whose making was interrupted before its files were there.
    Abandoned {
        /// Its tag.
        tag: u16,
    },
    /// Times that lay ahead in a key's files are taken out: a date switches nothing here.
    Schedule {
        /// Its tag.
        tag: u16,
    },
    /// The state of keys could not be written into their files.
    NotWritten {
        /// The error with its causes.
        error: String,
    },
    /// A key of ours shares its tag with another key: validators may try only so many.
    TagShared {
        /// The tag.
        tag: u16,
    },
}

impl Note {
    /// How much it matters.
    pub fn level(&self) -> Level {
        match self {
            Self::Ours { .. }
            | Self::Signatures { .. }
            | Self::Completed { .. }
            | Self::Abandoned { .. }
            | Self::Schedule { .. } => Level::Info,
            Self::NotSigning { .. }
            | Self::HeldBack { .. }
            | Self::Kept { .. }
            | Self::GivenUp { .. }
            | Self::Revoked { .. }
            | Self::PrivateAlone { .. }
            | Self::NotWritten { .. }
            | Self::TagShared { .. } => Level::Warning,
            Self::Barred { .. } | Self::ExternalIgnored { .. } => Level::Alarm,
        }
    }
}

fn joined(sources: &[Source]) -> String {
    sources
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours { tag, source } => write!(f, "key {tag} in {source} is ours; it is skipped there"),
            Self::Signatures { source, count } => {
                write!(f, "{count} RRSIG records in {source} are passed over")
            }
            Self::Kept { tag, sources, since } => write!(
                f,
                "key {tag} is no longer in {} since {since}; it stays published until `keys withdraw`",
                joined(sources)
            ),
            Self::Barred { tag, sources, reason } => write!(
                f,
                "key {tag} was withdrawn ({reason}) and stays out, though it is still in {}; take it out there",
                joined(sources)
            ),
            Self::ExternalIgnored { error } => {
                write!(f, "{error}; the keys that are known from this file go on")
            }
            Self::NotSigning {
                tag,
                role,
                covered_by,
            } => write!(
                f,
                "{role} {tag} is published and does not sign, for key {covered_by} does that work; to switch, roll the key"
            ),
            Self::HeldBack { tag, algorithm } => write!(
                f,
                "key {tag} is not published: the zone has no keys of {algorithm}, and a first one needs a plan to change the algorithm"
            ),
            Self::GivenUp { tag, reason } => write!(
                f,
                "key {tag} in the key folder was given up ({reason}) and is not used; move its files away"
            ),
            Self::Revoked { tag } => {
                write!(
                    f,
                    "key {tag} in the key folder has the REVOKE flag and is not used"
                )
            }
            Self::PrivateAlone { path } => write!(
                f,
                "{} has no public half beside it and is not used",
                path.display()
            ),
            Self::Completed { tag } => {
                write!(f, "the files of key {tag} are completed after an interruption")
            }
            Self::Abandoned { tag } => {
                write!(
                    f,
                    "the making of key {tag} was interrupted; it is given up, nobody has seen it"
                )
            }
            Self::Schedule { tag } => write!(
                f,
                "the times ahead in the files of key {tag} are taken out: dates switch nothing here"
            ),
            Self::NotWritten { error } => {
                write!(
                    f,
                    "the state of the keys cannot be written into their files: {error}"
                )
            }
            Self::TagShared { tag } => {
                write!(f, "our key {tag} shares its tag with another key; roll ours")
            }
        }
    }
}
