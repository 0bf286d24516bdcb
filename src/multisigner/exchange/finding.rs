//! What a round finds, how bad it is, and how it is said.

use std::fmt;

use super::{super::execute::DsAhead, to_have::Because};
use crate::wire::Ttl;

/// How much a finding matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Not as it should be; nothing breaks now.
    Warning,
    /// Resolvers find answers bogus, or will when time passes.
    Alarm,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Alarm => "alarm",
        })
    }
}

/// Something that a person should know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// The API could not be asked.
    ApiFails(String),
    /// The API says something besides, such as a member that could not be read.
    ApiRemark(String),
    /// The provider does not sign the zone.
    NotSigning,
    /// The API is not believed yet.
    ApiUntrusted {
        /// The tags of the KSKs that it shows.
        tags: Vec<u16>,
    },
    /// A server's set is signed by no key that is believed.
    Unbelieved {
        /// The server.
        at: String,
        /// The tags of the keys that sign it.
        signers: Vec<u16>,
    },
    /// A server cannot be reached from here.
    Unreachable {
        /// The server.
        at: String,
        /// Why.
        why: String,
    },
    /// A server cannot be reached by this address; another one of its addresses stands for it.
    StoodFor {
        /// The address.
        at: String,
        /// The other one.
        by: String,
    },
    /// A server answers without what was asked for.
    Odd {
        /// The server.
        at: String,
        /// What it does.
        why: String,
    },
    /// A server does not show keys of ours.
    OursMissing {
        /// The server.
        at: String,
        /// Their tags.
        tags: Vec<u16>,
    },
    /// A server shows keys of ours that are no longer in our set.
    OursPast {
        /// The server.
        at: String,
        /// Their tags.
        tags: Vec<u16>,
    },
    /// The API has none or not all of our keys.
    NotGiven {
        /// The tags of those that it lacks.
        tags: Vec<u16>,
    },
    /// The API had our keys at the last look, and had lost some at this one; they were given again.
    Dropped {
        /// The tags of those that were gone.
        tags: Vec<u16>,
    },
    /// What the API holds as ours is not what is to be there.
    Stale {
        /// The tags of those that should go.
        tags: Vec<u16>,
    },
    /// It is to have none of our keys.
    IsToHaveNone,
    /// Nobody knows which of our keys it is to have.
    Undecided(Because),
    /// The API names keys that a server does not show.
    ApiAhead {
        /// The server.
        at: String,
        /// Their tags.
        tags: Vec<u16>,
    },
    /// A server shows keys that the API does not name.
    ServerAhead {
        /// The server.
        at: String,
        /// Their tags.
        tags: Vec<u16>,
    },
    /// A key that the provider did not have before.
    NewKey {
        /// Its tag.
        tag: u16,
        /// `KSK` or `ZSK`, by its flags.
        role: &'static str,
    },
    /// Its TTL of the DNSKEY RRset is not ours.
    TtlDiffers {
        /// The server.
        at: String,
        /// Its TTL.
        theirs: Ttl,
        /// Ours.
        ours: Ttl,
    },
    /// No DS leads to a key that signs a server's set.
    NoChain {
        /// The server.
        at: String,
        /// The tags of the keys that sign it.
        signers: Vec<u16>,
    },
    /// The parent, which has DS records, has none for a KSK that is published.
    NoDs {
        /// Whether the key is ours.
        ours: bool,
        /// Its tag.
        tag: u16,
        /// What a plan does about it.
        ahead: Option<DsAhead>,
    },
    /// Servers of the parent differ in the DS RRset, so no DS counts that not all of them have.
    ParentDiffers,
    /// The parent could not be asked.
    NoParent(String),
}

impl Finding {
    /// How much it matters.
    pub fn severity(&self) -> Severity {
        match self {
            Self::ApiRemark(_)
            | Self::OursPast { .. }
            | Self::NoDs { .. }
            | Self::StoodFor { .. }
            | Self::IsToHaveNone => Severity::Note,
            Self::ApiFails(_)
            | Self::ApiUntrusted { .. }
            | Self::Unreachable { .. }
            | Self::NotGiven { .. }
            | Self::Stale { .. }
            | Self::Undecided(_)
            | Self::OursMissing { .. }
            | Self::ApiAhead { .. }
            | Self::ServerAhead { .. }
            | Self::TtlDiffers { .. }
            | Self::ParentDiffers
            | Self::NoParent(_) => Severity::Warning,
            Self::NotSigning
            | Self::Unbelieved { .. }
            | Self::Odd { .. }
            | Self::NewKey { .. }
            | Self::Dropped { .. }
            | Self::NoChain { .. } => Severity::Alarm,
        }
    }
}

fn tags(list: &[u16]) -> String {
    let word = if list.len() == 1 { "key" } else { "keys" };
    let list: Vec<String> = list.iter().map(ToString::to_string).collect();
    format!("{word} {}", list.join(", "))
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiFails(why) | Self::ApiRemark(why) => f.write_str(why),
            Self::NotSigning => f.write_str(
                "it does not sign the zone, so its answers are bogus to who sees a DS at the parent; \
                 `countersign peer enable-dnssec` switches DNSSEC on there",
            ),
            Self::ApiUntrusted { tags: list } if list.is_empty() => {
                f.write_str("its API shows no KSK, so nothing vouches for it")
            }
            Self::ApiUntrusted { tags: list } => write!(
                f,
                "its API is not believed yet: the parent has no DS for {}, and none is pinned. Compare them with what \
                 its portal shows, then `countersign peer pull --trust-api`, once",
                tags(list)
            ),
            Self::Unbelieved { at, signers } if signers.is_empty() => {
                write!(
                    f,
                    "{at}: its DNSKEY RRset has no good signature; none of its keys is taken from there"
                )
            }
            Self::Unbelieved { at, signers } => write!(
                f,
                "{at}: its DNSKEY RRset is signed by {} alone, for which there is no DS at the parent and no pin; none \
                 of its keys is taken from there",
                tags(signers)
            ),
            Self::Unreachable { at, why } => {
                write!(
                    f,
                    "{at}: not reachable from here, which says nothing of its keys: {why}"
                )
            }
            Self::StoodFor { at, by } => {
                write!(
                    f,
                    "{at}: not reachable from here; {by}, the same server, stands for it"
                )
            }
            Self::Odd { at, why } => write!(f, "{at}: {why}"),
            Self::OursMissing { at, tags: list } => write!(
                f,
                "{at}: does not show our {}; a resolver that takes the key set from there finds what they sign bogus",
                tags(list)
            ),
            Self::OursPast { at, tags: list } => {
                write!(
                    f,
                    "{at}: still shows our {}, which we no longer publish",
                    tags(list)
                )
            }
            Self::NotGiven { tags: list } => {
                write!(
                    f,
                    "our {} are not among its external keys; `countersign peer push`",
                    tags(list)
                )
            }
            Self::Dropped { tags: list } => write!(
                f,
                "our {} were gone from its external keys, and are given again. Who takes them out there? Until all its \
                 servers show them, resolvers that take the key set from there find what they sign bogus",
                tags(list)
            ),
            Self::Stale { tags: list } => write!(
                f,
                "its external keys still have our {}, which we no longer publish; `countersign peer push`",
                tags(list)
            ),
            Self::IsToHaveNone => f.write_str(
                "it is to have none of our keys: a plan took this server out of the delegation, and the parent does not lead \
                 here. The plan join brings it back",
            ),
            Self::Undecided(because) => write!(
                f,
                "what it has of our keys is left as it is, until it is known what it is to have: {because}"
            ),
            Self::ApiAhead { at, tags: list } => {
                write!(f, "{at}: does not show {}, which its API names", tags(list))
            }
            Self::ServerAhead { at, tags: list } => {
                write!(f, "{at}: shows {}, which its API does not name", tags(list))
            }
            Self::NewKey { tag, role } => write!(
                f,
                "a new {role} {tag}, which is published here from now on. Was a roll announced? {}",
                if *role == "KSK" {
                    "The parent needs a DS for it before the old one goes: `countersign ds`"
                } else {
                    "Nothing is to be done unless there are other signers"
                }
            ),
            Self::TtlDiffers { at, theirs, ours } => write!(
                f,
                "{at}: serves the DNSKEY RRset with TTL {theirs}, ours has {ours}; waits count with the larger one"
            ),
            Self::NoChain { at, signers } => write!(
                f,
                "{at}: its DNSKEY RRset is signed by {} alone, and the parent has no DS for it: a resolver that takes the \
                 key set from there finds the whole zone bogus. Give the parent the records of `countersign ds`, now",
                tags(signers)
            ),
            Self::NoDs {
                ours,
                tag,
                ahead: Some(ahead),
            } => {
                let whose = if *ours { "our" } else { "its" };
                write!(
                    f,
                    "the parent has no DS for {whose} KSK {tag}, and nobody has to give it one now: {ahead}"
                )
            }
            Self::NoDs { ours: true, tag, .. } => write!(
                f,
                "the parent has no DS for our KSK {tag}: give it the records of `countersign ds`, and until it has them, \
                 do not add our name servers there"
            ),
            Self::NoDs { ours: false, tag, .. } => write!(
                f,
                "the parent has no DS for its KSK {tag}; before it signs alone, give the parent the records of `countersign ds`"
            ),
            Self::ParentDiffers => f.write_str(
                "the parent's servers show different DS RRsets; only what all of them show is believed",
            ),
            Self::NoParent(why) => write!(f, "the parent's DS is not known: {why}"),
        }
    }
}
