//! Why a mutation is not unsafe, by plan and by how the row of the table begins.

/// The reason for a row.
pub(super) fn reason(plan: &str, mutation: &str) -> Option<&'static str> {
    all()
        .find(|(of, row, _)| *of == plan && mutation.starts_with(row))
        .map(|(_, _, reason)| reason)
}

/// All reasons: the plan, how the row begins, and why.
pub(super) fn all() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let plans = REASONS.iter();
    plans.flat_map(|(plan, rows)| rows.iter().map(|(row, reason)| (*plan, *row, *reason)))
}

const SAME_WAIT: &str =
    "the step before waits for the same; each step names its waits in full, so that it holds by itself";
const ADDS: &str = "both only add, and nothing depends on either yet";
const PUSH_OR_PULL: &str = "a key may come at one provider before the other; it signs only when it is at all";
const EITHER_GOES: &str =
    "nothing in any cache is signed with the key any more, so it may go at either first";
const DS_LAST: &str =
    "the new key has a DS and signs since long; the old one's DS is idle, and may go before or after it";
const PASSED: &str = "an earlier step has waited for longer: this is the smaller arm of a maximum";
const LOCK_STEP: &str = "within a phase the providers may come in any order; the phases may not be mixed";
const UNUSED: &str =
    "a standby key signs nothing, so nothing can break yet; the wait says from when it can take over at once";
const NOT_ASKED: &str = "nobody asks B before an NS RRset that is asked for names it";
const WELL_ROLLED: &str = "a provider that rolls well has no data of the key in any cache when it removes it; the wait is for \
                           servers and provider changes that nobody here saw";

const ALL_KEYS: &str = "B has all keys, and a DS that every cache has: what it says of NS no longer matters";
const LAST_NS: &str = "the waits count from the last of the three NS RRsets";
const STOPPED: &str = "nobody is sent to B any more, whether it answers or not";
const NEITHER: &str = "the DS matters to the DNSKEY RRset of B, the keys to its data: neither to the other";
const TAKEN: &str = "the parent has taken what CSYNC asks for, and no NS RRset changes any more";

type Rows = &'static [(&'static str, &'static str)];

const ROLL_ZSK: Rows = &[
    ("5. B publishes ZSK 17485 no more: the wait", SAME_WAIT),
    ("2. B publishes ZSK 1294: before", PUSH_OR_PULL),
    ("5. B publishes ZSK 17485 no more: before", EITHER_GOES),
];

const REASONS: &[(&str, Rows)] = &[
    (
        "join",
        &[
            ("2. B publishes the keys of A: before", ADDS),
            ("3. the DS RRset points to KSK 25710 too: before", ADDS),
            ("4. the NS RRset of B names A and B: before", NOT_ASKED),
            ("5. the NS RRset of A names A and B: before", ALL_KEYS),
        ],
    ),
    (
        "leave",
        &[
            ("2. the NS RRset of A names A: before", LAST_NS),
            ("3. the NS RRset of the parent names A: before", LAST_NS),
            ("5. the DS RRset points to no key of B any more: before", STOPPED),
            ("6. A publishes KSK 25710 and ZSK 33933 no more: before", NEITHER),
        ],
    ),
    (
        "join by CSYNC",
        &[
            ("2. B publishes the keys of A: before", ADDS),
            ("3. the DS RRset points to KSK 25710 too: before", ADDS),
            ("4. the NS RRset of B names A and B: before", NOT_ASKED),
            ("5. the NS RRset of A names A and B: before", ALL_KEYS),
        ],
    ),
    (
        "leave by CSYNC",
        &[
            (
                "4. CSYNC of B has the parent take the NS RRset: the wait",
                SAME_WAIT,
            ),
            ("7. CSYNC of B goes: the wait", SAME_WAIT),
            ("2. the NS RRset of A names A: before", LAST_NS),
            (
                "4. CSYNC of B has the parent take the NS RRset: before",
                "a parent takes nothing before everybody shows it, whoever is the first",
            ),
            ("7. CSYNC of B goes: before", TAKEN),
            ("8. B stops answering for the zone: before", TAKEN),
            ("9. the DS RRset points to no key of B any more: before", STOPPED),
            ("10. A publishes KSK 25710 and ZSK 33933 no more: before", NEITHER),
        ],
    ),
    ("roll-zsk", ROLL_ZSK),
    (
        "roll-ksk",
        &[
            ("6. the DS RRset points to KSK 9262 no more: the wait", PASSED),
            ("2. B publishes KSK 58606: before", ADDS),
            ("3. the DS RRset points to KSK 58606 too: before", ADDS),
            (
                "5. B publishes KSK 9262 no more: before",
                "a KSK at another provider signs nothing there",
            ),
            (
                "6. the DS RRset points to KSK 9262 no more: before",
                "a KSK at another provider signs nothing there, and needs no DS",
            ),
        ],
    ),
    (
        "roll-csk",
        &[
            ("6. B publishes CSK 25967 no more: the wait", SAME_WAIT),
            ("7. the DS RRset points to CSK 25967 no more: the wait", PASSED),
            ("2. B publishes CSK 34191: before", PUSH_OR_PULL),
            ("3. the DS RRset points to CSK 34191 too: before", ADDS),
            ("6. B publishes CSK 25967 no more: before", EITHER_GOES),
            ("7. the DS RRset points to CSK 25967 no more: before", DS_LAST),
        ],
    ),
    (
        "algorithm",
        &[
            ("4. B publishes the keys of both algorithms: the wait", SAME_WAIT),
            (
                "5. the DS RRset points to KSK 54496 and KSK 62720 too: the wait of 6 s",
                PASSED,
            ),
            (
                "6. the DS RRset points to KSK 9262 and KSK 25710 no more: the wait of 3 s",
                SAME_WAIT,
            ),
            (
                "6. the DS RRset points to KSK 9262 and KSK 25710 no more: the wait of 6 s",
                PASSED,
            ),
            (
                "7. A publishes the keys of the new algorithm alone: the wait of 6 s",
                PASSED,
            ),
            (
                "8. B publishes the keys of the new algorithm alone: the wait of 6 s",
                PASSED,
            ),
            (
                "8. B publishes the keys of the new algorithm alone: the wait of 4 s",
                SAME_WAIT,
            ),
            (
                "9. A signs its data with the new algorithm alone: the wait of 4 s",
                PASSED,
            ),
            (
                "10. B signs its data with the new algorithm alone: the wait of 3 s",
                SAME_WAIT,
            ),
            (
                "10. B signs its data with the new algorithm alone: the wait of 4 s",
                PASSED,
            ),
            ("2. B signs its data with both algorithms: before", LOCK_STEP),
            ("4. B publishes the keys of both algorithms: before", LOCK_STEP),
            (
                "8. B publishes the keys of the new algorithm alone: before",
                LOCK_STEP,
            ),
            (
                "10. B signs its data with the new algorithm alone: before",
                LOCK_STEP,
            ),
        ],
    ),
    ("emergency availability", ROLL_ZSK),
    (
        "emergency standby",
        &[
            ("3. B publishes ZSK 17485 no more: the wait", SAME_WAIT),
            ("3. B publishes ZSK 17485 no more: before", EITHER_GOES),
        ],
    ),
    (
        "standby",
        &[
            ("3. ZSK 1294 can take over at once: the wait", UNUSED),
            ("2. B publishes ZSK 1294: before", PUSH_OR_PULL),
            ("3. ZSK 1294 can take over at once: before", UNUSED),
        ],
    ),
    (
        "follow, a ZSK",
        &[("1. A publishes ZSK 33933 no more: the wait", WELL_ROLLED)],
    ),
    (
        "follow, a KSK",
        &[
            ("2. A publishes KSK 25710 no more: the wait of 6 s", WELL_ROLLED),
            (
                "2. A publishes KSK 25710 no more: the wait of 4 s",
                "a KSK in our DNSKEY RRset signs nothing there; it stays as long as a DS that is held names it, for whoever \
                 looks at both",
            ),
            (
                "2. A publishes KSK 25710 no more: before",
                "a KSK in our DNSKEY RRset signs nothing there, and needs no DS",
            ),
        ],
    ),
    (
        "back from roll-csk",
        &[
            (
                "4. taken back: CSK 34191 is published, and signs nothing yet: the wait",
                SAME_WAIT,
            ),
            (
                "3. taken back: B publishes CSK 34191: before",
                "the DS matters to the DNSKEY RRset that the key signed, the key at B to data: neither to the other",
            ),
            (
                "4. taken back: CSK 34191 is published, and signs nothing yet: before",
                EITHER_GOES,
            ),
        ],
    ),
];
