//! Which of our keys a provider is to have.

use std::{collections::BTreeSet, fmt};

use crate::dnssec::{key::Dnskey, register::Register};

/// Which of our keys a provider is to have. Not to know is no reason to take any away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToHave {
    /// All that are in our set: no plan says anything else.
    AllInSet,
    /// These, as a plan says that is carried out.
    These(Vec<Dnskey>),
    /// None: a plan took this server out of the delegation, and the parent does not lead here.
    NoneOfThem,
    /// Those that it has, until more is known: none is given to it, and none is taken away.
    WhatItHas(Because),
}

/// Why it is not known which of our keys a provider is to have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Because {
    /// The journal of the zone's plans was not read yet, or cannot be.
    JournalUnread,
    /// A plan took this server out of the delegation, and no look has shown yet whether the parent leads here all the same.
    ParentUnseen,
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::JournalUnread => "the journal of the zone's plans is not read yet",
            Self::ParentUnseen => {
                "a plan took this server out of the delegation, and no server of the parent shows whether it leads here \
                 all the same"
            }
        })
    }
}

impl ToHave {
    /// The keys; `None` where it is not known which.
    pub fn keys(&self, register: &Register) -> Option<BTreeSet<Dnskey>> {
        match self {
            Self::AllInSet => Some(register.own_in_set().map(|(key, _)| key.clone()).collect()),
            Self::These(keys) => Some(keys.iter().cloned().collect()),
            Self::NoneOfThem => Some(BTreeSet::new()),
            Self::WhatItHas(_) => None,
        }
    }
}
