//! The open questions, in the order in which they matter.

/// An open question about NS1.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// Its number.
    pub number: &'static str,
    /// In words.
    pub text: &'static str,
    /// Whether it takes a scratch zone.
    pub needs: Needs,
}

/// What a question takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// The account alone.
    Account,
    /// Any zone.
    Zone,
    /// A zone that may be written to.
    Scratch,
}

const fn ask(number: &'static str, needs: Needs, text: &'static str) -> Question {
    Question { number, text, needs }
}

/// All of them.
pub static QUESTIONS: &[Question] = &[
    ask(
        "1.1",
        Needs::Scratch,
        "In which form does PUT take a set of external keys, and what does it answer?",
    ),
    ask("1.2", Needs::Zone, "How is the list of key sets laid out?"),
    ask("1.3", Needs::Zone, "What does GET of one key set answer?"),
    ask(
        "1.4",
        Needs::Scratch,
        "Does POST replace the keys of a set, or add to them?",
    ),
    ask(
        "1.5",
        Needs::Scratch,
        "What does DELETE answer, and is the set gone?",
    ),
    ask("1.6", Needs::Scratch, "May two sets hold the same key?"),
    ask(
        "2.1",
        Needs::Zone,
        "Does /dnssec show external keys among NS1's own?",
    ),
    ask("2.2", Needs::Zone, "Does NS1 have one CSK, or a KSK and a ZSK?"),
    ask(
        "2.3",
        Needs::Scratch,
        "How long after DNSSEC is switched on does /dnssec show keys?",
    ),
    ask(
        "3.1",
        Needs::Zone,
        "Which TTL has the DNSKEY RRset at NS1's servers, and which keys?",
    ),
    ask(
        "3.2",
        Needs::Scratch,
        "How long until an external key shows at every server, and which TTL then?",
    ),
    ask(
        "4.1",
        Needs::Scratch,
        "Is an external key of another algorithm than 13 refused, or published?",
    ),
    ask(
        "4.2",
        Needs::Scratch,
        "What becomes of a key set that is given while DNSSEC is off?",
    ),
    ask(
        "5.1",
        Needs::Scratch,
        "What does NS1 say to DNSSEC on a secondary zone?",
    ),
    ask(
        "6.1",
        Needs::Zone,
        "How long are signatures valid, and how far back do they begin?",
    ),
    ask(
        "6.2",
        Needs::Scratch,
        "Which key signs CDS, CDNSKEY and CSYNC at the apex?",
    ),
    ask(
        "6.3",
        Needs::Zone,
        "How is a name denied, and does the CO flag bring the real RCODE?",
    ),
    ask(
        "6.4",
        Needs::Zone,
        "What does an outgoing transfer of the zone hold?",
    ),
    ask("7.1", Needs::Account, "Which rate limits do the replies give?"),
    ask("7.2", Needs::Zone, "Does the zone export work?"),
    ask(
        "7.3",
        Needs::Zone,
        "Is the apex NS RRset a record that can be read?",
    ),
    ask("7.4", Needs::Account, "Which networks does the account have?"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ascend() {
        assert!(QUESTIONS.is_sorted_by(|a, b| a.number < b.number));
    }
}
