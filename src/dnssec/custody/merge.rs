//! Merging other providers' keys: what a file shows is added at once, what it no longer shows is kept (RFC 8901
//! §2.1.2). A key that must be refused spoils its file: the zone does not start with it, and a running zone goes
//! on with what it knows.

use std::collections::BTreeSet;

use super::{Note, decide::Zone, with_causes};
use crate::dnssec::{
    algorithm::Algorithm,
    external::{ExternalError, ExternalKeys},
    key::Dnskey,
    register::{Evidence, Source, What},
};

/// How many keys one provider may show at a time. Four are usual, eight while everything rolls.
const MOST_KEYS: usize = 16;
impl Zone<'_> {
    /// Takes in what the files of external keys show: additions at once, absences as what they are.
    pub(super) fn merge_external(&mut self) {
        let algorithms = self.register.algorithms();
        let configured: BTreeSet<Source> = self.external.iter().map(|(source, _)| source.clone()).collect();
        let mut unseen = Vec::new();
        for (source, found) in std::mem::take(&mut self.external) {
            let accepted = found.and_then(|found| self.accept(&source, found, &algorithms));
            match accepted {
                Ok(keys) => {
                    unseen.extend(self.vanished(&source, &keys));
                    for (key, line) in keys {
                        let known = self.register.foreign.get(&key);
                        if known.is_some_and(|foreign| foreign.shown_by.contains(&source)) {
                            continue;
                        }
                        let (source, evidence) = (source.clone(), Evidence::Line(line));
                        self.happens(What::Seen {
                            key,
                            source,
                            evidence,
                        });
                    }
                }
                Err(error) if self.was.opened => {
                    let error = with_causes(&error);
                    self.notes.push(Note::ExternalIgnored { error });
                }
                Err(error) => self.errors.push(error.into()),
            }
        }
        // A file that is no longer configured shows nothing.
        let forgotten: BTreeSet<Source> = self
            .register
            .foreign
            .values()
            .flat_map(|foreign| foreign.shown_by.iter().cloned())
            .filter(|source| !configured.contains(source))
            .collect();
        for source in forgotten {
            unseen.extend(self.vanished(&source, &[]));
        }
        // Sights come first: a file under a new name must not look like a key that came and went.
        for what in unseen {
            self.happens(what);
        }
    }

    /// The keys of one file that may be merged.
    fn accept(
        &mut self,
        source: &Source,
        found: ExternalKeys,
        algorithms: &BTreeSet<Algorithm>,
    ) -> Result<Vec<(Dnskey, u32)>, ExternalError> {
        let Source::File(file) = source;
        let mut accepted: Vec<(Dnskey, u32)> = Vec::new();
        let mut ours = Vec::new();
        for key in found.keys {
            let tag = key.dnskey.key_tag();
            if self.register.is_own(&key.dnskey) || self.keys.contains_key(&key.dnskey) {
                let source = source.clone();
                ours.push(Note::Ours { tag, source });
                continue;
            }
            if accepted.iter().any(|(known, _)| *known == key.dnskey) {
                continue;
            }
            let mut reason = refusal(&key.dnskey, algorithms);
            if accepted.len() == MOST_KEYS {
                reason = Some(format!("more than {MOST_KEYS} keys of one provider are refused"));
            }
            if let Some(reason) = reason {
                return Err(ExternalError::Line {
                    file: file.clone(),
                    line: key.line,
                    reason: format!("key {tag}: {reason}"),
                });
            }
            accepted.push((key.dnskey, key.line));
        }
        self.notes.append(&mut ours);
        if found.signatures > 0 {
            self.notes.push(Note::Signatures {
                source: source.clone(),
                count: found.signatures,
            });
        }
        Ok(accepted)
    }

    /// The keys that `source` showed and does not any more.
    fn vanished(&self, source: &Source, now_shown: &[(Dnskey, u32)]) -> Vec<What> {
        let shown = self
            .register
            .foreign
            .iter()
            .filter(|(_, foreign)| foreign.shown_by.contains(source));
        shown
            .filter(|(key, _)| !now_shown.iter().any(|(shown, _)| shown == *key))
            .map(|(key, _)| What::Unseen {
                key: key.clone(),
                source: source.clone(),
            })
            .collect()
    }
}

/// Why another provider's key may not be merged.
fn refusal(key: &Dnskey, algorithms: &BTreeSet<Algorithm>) -> Option<String> {
    let algorithm = key.algorithm();
    if key.protocol() != 3 {
        return Some(format!("its protocol is {}, not 3", key.protocol()));
    }
    if !key.is_zone_key() {
        return Some("its ZONE flag is not set, so it is no zone's key".into());
    }
    if key.is_revoked() {
        return Some("its REVOKE flag is set: the provider has given it up".into());
    }
    if algorithm.is_banned() {
        return Some(format!(
            "{algorithm} must not be used any more (RFC 9904, RFC 9905)"
        ));
    }
    if let Some(fault) = algorithm.public_key_fault(key.public_key()) {
        return Some(fault);
    }
    // Without keys of ours there is another error to show.
    if !algorithms.is_empty() && !algorithms.contains(&algorithm) {
        let names: Vec<String> = algorithms.iter().map(ToString::to_string).collect();
        return Some(format!(
            "it is of {algorithm}, and the zone is signed with {}; all providers need the same algorithms (RFC 8901 §4)",
            names.join(" and ")
        ));
    }
    None
}
