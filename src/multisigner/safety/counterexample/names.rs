//! Values in words.

use super::super::{
    check::Why,
    model::{Class, Content, DsSet, KeyId, KeyRrset, KeySet, NsSet, ProviderId, SignedData, Timeline},
    validator::Fault,
    window::Item,
};
use super::Fetch;
use crate::{clock::UnixTime, dnssec::algorithm::Algorithm};

/// The names that a timeline gives to keys and providers.
pub(super) struct Names<'a>(pub &'a Timeline);

impl Names<'_> {
    pub fn fetch<T>(&self, item: &Item<'_, T>, at: u64, what: String) -> Fetch {
        let fetched = item.fetched.latest_until(at).unwrap_or(at);
        Fetch {
            what,
            from: item
                .provider
                .map_or_else(|| "the parent".to_owned(), |provider| self.provider(provider)),
            at: UnixTime(fetched),
            kept_until: UnixTime(fetched.saturating_add(item.hold)),
        }
    }

    fn provider(&self, provider: ProviderId) -> String {
        let label = self.0.providers.get(usize::from(provider.0));
        label
            .cloned()
            .unwrap_or_else(|| format!("provider {}", provider.0))
    }

    fn key(&self, key: KeyId) -> String {
        self.0
            .key(key)
            .map_or_else(|| format!("key {}", key.0), |key| key.label.clone())
    }

    fn keys(&self, keys: KeySet) -> String {
        let labels: Vec<_> = keys.iter().map(|key| self.key(key)).collect();
        if labels.is_empty() {
            return "nothing".to_owned();
        }
        labels.join(" ")
    }

    pub fn ds(&self, ds: &DsSet) -> String {
        if ds.records.is_empty() {
            return "no DS".to_owned();
        }
        let records: Vec<_> = ds
            .records
            .iter()
            .map(|record| format!("{}/{}", self.key(record.key), record.digest_type))
            .collect();
        format!("DS {{{}}}", records.join(" "))
    }

    pub fn key_rrset(&self, keys: &KeyRrset) -> String {
        format!(
            "DNSKEY {{{}}} signed by {}",
            self.keys(keys.keys),
            self.keys(keys.signers)
        )
    }

    pub fn data(&self, class: Option<&Class>, data: &SignedData) -> String {
        let class = match class {
            Some(Class::Question(question)) => question.clone(),
            Some(class) => format!("{class:?} data"),
            None => "data".to_owned(),
        };
        let content = match data.content {
            Content::Absent => ", which say that there are none,",
            _ => "",
        };
        format!("{class}{content} signed by {}", self.keys(data.signers))
    }

    pub fn ns(&self, ns: &NsSet) -> String {
        let members: Vec<_> = ns.members.iter().map(|member| self.provider(*member)).collect();
        format!("NS {{{}}}", members.join(" "))
    }

    pub fn why(&self, why: &Why) -> String {
        let of = |algorithm: &Option<u8>| {
            algorithm.map_or(String::new(), |algorithm| {
                format!(" of algorithm {}", Algorithm(algorithm))
            })
        };
        match why {
            Why::Insecure => "the DS RRset has nothing that this validator can use".to_owned(),
            Why::Link(Fault::NoDsForSigner(algorithm)) => format!(
                "no key{} that signs the DNSKEY RRset has a DS record that counts",
                of(algorithm)
            ),
            Why::Link(Fault::KeysNotSignedBy(algorithm)) => format!(
                "no key of algorithm {} signs the DNSKEY RRset, which has one",
                Algorithm(*algorithm)
            ),
            Why::Link(Fault::NoKeyForData(algorithm)) => {
                format!(
                    "no key{} that signs the data is in the DNSKEY RRset",
                    of(algorithm)
                )
            }
            Why::NobodyAnswers => "none of the providers that it names answers".to_owned(),
            Why::OneLeft(member) => {
                format!(
                    "of the providers that it names only {} answers",
                    self.provider(*member)
                )
            }
            Why::Cds(provider, fault) => format!("CDS at {}: {fault}", self.provider(*provider)),
            Why::Csync(provider, fault) => format!("CSYNC at {}: {fault}", self.provider(*provider)),
            Why::Denied => "one provider proves that what the other answers is not there".to_owned(),
            Why::Differs => "the two differ".to_owned(),
        }
    }
}
