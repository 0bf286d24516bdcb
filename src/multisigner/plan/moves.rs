//! Steps that several plans have: keys are given, and DS and CDS are pointed to what they should ask for.

use std::collections::BTreeSet;

use super::{
    super::safety::{
        Cds, Class, Content, DsRecord, DsSet, KeyRrset, KeySet, ProviderId, Seconds, SignedData, Slot, Value,
    },
    Action, Actor, Hand, ParentHand, Unplannable,
    draft::{Draft, Move, US},
    gate::points_to,
    paste,
};

impl Draft<'_> {
    /// A provider is given exactly these keys of ours.
    pub fn give(
        &mut self,
        provider: ProviderId,
        ours: KeySet,
        what: &str,
        back: &str,
    ) -> Result<(), Unplannable> {
        let now = self.keys(provider)?;
        let keys = now.keys.without(self.owned_by(US, now.keys)).union(ours);
        let by = match self.situation.hand(provider)? {
            Hand::Ours => Actor::We,
            Hand::Api => Actor::Api { provider },
            Hand::Person => Actor::Person {
                place: format!("at {}", self.situation.name(provider)),
                paste: paste::dnskeys(self.situation, ours, now.ttl),
            },
        };
        self.step(Move {
            what: what.to_owned(),
            action: Action::Give { provider },
            by,
            changes: vec![Value::Keys(provider, KeyRrset { keys, ..now })],
            back: back.to_owned(),
        });
        Ok(())
    }

    /// The DS RRset points to exactly these keys: by CDS where that can work, by a person otherwise.
    pub fn point_ds_to(&mut self, wanted: KeySet, what: &str, back: &str) -> Result<(), Unplannable> {
        let now = self.ds()?;
        if points_to(&now) == wanted {
            return Ok(());
        }
        let from_cds = self.can_use_cds(&now)?;
        let digests = digest_types(&now);
        let records = wanted
            .iter()
            .flat_map(|key| digests.iter().map(move |digest_type| (key, *digest_type)));
        let ds = DsSet {
            records: records
                .map(|(key, digest_type)| DsRecord { key, digest_type })
                .collect(),
            ttl: now.ttl,
            from_cds,
        };
        if from_cds {
            self.publish_cds(wanted, &ds, back)?;
        } else {
            // What is left of an earlier change would have the parent undo what the person does.
            self.take_back_cds()?;
        }
        let by = if from_cds {
            Actor::Parent
        } else {
            Actor::Person {
                place: "at the registrar".to_owned(),
                paste: paste::ds(self.situation, &ds),
            }
        };
        // That it has the right one now is no evidence while what was asked for before may come yet.
        let is_first = self.value(&Slot::Ds) == self.situation.value(&Slot::Ds);
        let late = if is_first && self.situation.unsettled(&Slot::Ds).next().is_some() {
            self.until_the_parent_has_followed()
        } else {
            Vec::new()
        };
        let step = Move {
            what: what.to_owned(),
            action: Action::Ds {
                wanted: wanted.iter().collect(),
            },
            by,
            changes: vec![Value::Ds(ds)],
            back: back.to_owned(),
        };
        self.step_after(step, late);
        Ok(())
    }

    /// A parent that reads CDS takes what every provider of the delegation shows alike, signed by a key that the DS
    /// RRset points to (RFC 7344 §4.1, RFC 9975 §3). Like all data they validate with every provider's DNSKEY RRset.
    fn can_use_cds(&self, ds: &DsSet) -> Result<bool, Unplannable> {
        let asked = self.asked();
        let anchors = points_to(ds);
        // CDS is for SHA-256 alone, and a digest type does not change together with a key (RFC 9904).
        let digests_fit = digest_types(ds).len() == 1;
        if self.situation.parent.hand != ParentHand::Cds || anchors.is_empty() || !digests_fit {
            return Ok(false);
        }
        for provider in &asked {
            let shows = self
                .situation
                .member(*provider)
                .is_some_and(|member| member.shows_cds);
            let signers = self.keys(*provider)?.signers;
            let mut everywhere = true;
            for other in &asked {
                everywhere &= signers.without(self.keys(*other)?.keys).is_empty();
            }
            if !shows || signers.intersection(anchors).is_empty() || !everywhere {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A parent may read CDS as soon as it is there: what has to pass before the DS RRset changes has to pass before.
    fn publish_cds(&mut self, wanted: KeySet, ds: &DsSet, back: &str) -> Result<(), Unplannable> {
        let ds = Value::Ds(ds.clone());
        for provider in self.asked() {
            let keys = self.keys(provider)?;
            let cds = Cds {
                wanted,
                signers: keys.signers,
            };
            let data = SignedData {
                signers: keys.signers,
                ttl: keys.ttl,
                content: Content::Own,
            };
            let changes = vec![
                Value::Cds(provider, Some(cds)),
                Value::Data(provider, Class::Cds, data),
            ];
            let name = self.situation.name(provider);
            let labels = self.situation.labels(wanted);
            let what = format!("CDS and CDNSKEY of {name} ask for {labels}");
            let (action, by) = self.change_cds(provider, wanted, keys.ttl, &what)?;
            let step = Move {
                what,
                action,
                by,
                changes,
                back: back.to_owned(),
            };
            self.step_towards(step, &ds);
        }
        Ok(())
    }

    /// Who makes a provider's CDS ask for these keys, and how; for none: takes it away.
    fn change_cds(
        &self,
        provider: ProviderId,
        wanted: KeySet,
        ttl: Seconds,
        what: &str,
    ) -> Result<(Action, Actor), Unplannable> {
        let by = match self.situation.hand(provider)? {
            Hand::Ours => {
                let wanted = wanted.iter().collect();
                return Ok((Action::Cds { wanted }, Actor::We));
            }
            Hand::Api => Actor::Api { provider },
            Hand::Person => Actor::Person {
                place: format!("at {}", self.situation.name(provider)),
                paste: paste::cds(self.situation, wanted, ttl),
            },
        };
        let what = what.to_owned();
        Ok((Action::Theirs { provider, what }, by))
    }

    /// CDS and CDNSKEY go again: the parent has done what they ask for, and must not do it again when that is past.
    pub fn take_back_cds(&mut self) -> Result<(), Unplannable> {
        if self.situation.parent.hand != ParentHand::Cds {
            return Ok(());
        }
        for provider in self.asked() {
            let member = self.situation.member(provider);
            let shown = self.value(&Slot::Cds(provider));
            let is_ours_to_change = member.is_some_and(|member| member.shows_cds);
            if !is_ours_to_change || !matches!(shown, Some(Value::Cds(_, Some(_)))) {
                continue;
            }
            let what = format!("CDS and CDNSKEY of {} go", self.situation.name(provider));
            let (action, by) = self.change_cds(provider, KeySet::default(), 0, &what)?;
            self.step(Move {
                what,
                action,
                by,
                changes: vec![Value::Cds(provider, None)],
                back: "nothing depends on it; the next change of the DS RRset publishes them anew".to_owned(),
            });
        }
        Ok(())
    }
}

/// The digest types of a new DS RRset: those of the old one, SHA-256 among them and SHA-1 not (RFC 9905). All keys get
/// the same, or a validator that looks only at the highest type would pass some over.
fn digest_types(ds: &DsSet) -> BTreeSet<u8> {
    const SHA256: u8 = 2;
    const SHA384: u8 = 4;
    let known = ds.records.iter().map(|record| record.digest_type);
    known
        .filter(|digest_type| *digest_type == SHA384)
        .chain([SHA256])
        .collect()
}
