//! Goals and spans of time in words.

use super::super::{super::safety::Seconds, Emergency, Kind, Situation};

/// What is to be achieved.
pub(super) fn goal(kind: &Kind, situation: &Situation) -> String {
    let label = |key| situation.label(key);
    let over = |old, new| format!("{} takes over from {}", label(new), label(old));
    match kind {
        Kind::Join { provider } => format!("{} joins the delegation", situation.name(*provider)),
        Kind::Leave { provider } => format!("{} leaves the delegation", situation.name(*provider)),
        Kind::RollZsk { old, new } | Kind::RollKsk { old, new } | Kind::RollCsk { old, new } => {
            over(*old, *new)
        }
        Kind::Algorithm { old, new } => format!(
            "{} replace {}",
            situation.labels(new.iter().copied().collect()),
            situation.labels(old.iter().copied().collect())
        ),
        Kind::Emergency { old, new, policy } => {
            let first = match policy {
                Emergency::Availability => "nobody may see a bogus answer",
                Emergency::Standby => "by a key that stands by",
                Emergency::Security => "at once, whatever it breaks",
            };
            format!("emergency: {}; {first}", over(*old, *new))
        }
        Kind::Standby { new } => format!("{} stands by", label(*new)),
        Kind::Follow { provider, gone } => format!(
            "ours follows {}, where {} is gone",
            situation.name(*provider),
            situation.labels(gone.iter().map(|(key, _)| *key).collect())
        ),
        Kind::Retreat { from } => format!("back from: {}", goal(from, situation)),
    }
}

/// "2 d 3 h", "1 h 1 s", "0 s".
pub(super) fn span(seconds: Seconds) -> String {
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let said: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect();
    if said.is_empty() {
        "0 s".to_owned()
    } else {
        said.join(" ")
    }
}
