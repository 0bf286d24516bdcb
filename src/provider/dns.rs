//! Any server: it has no API. It is seen by queries, which is done for every provider alike and elsewhere; what it
//! should change is handed to a person, as the exact records.

use super::{
    Capabilities, Content, ObservedKeys, Pending, Provider, ProviderError, ProviderFault, Published, Server,
};
use crate::{
    dnssec::{
        algorithm::DigestType,
        csync::Csync,
        key::{Dnskey, ds_text},
    },
    wire::{Name, Ttl},
};

/// A provider without an API.
#[derive(Clone, Debug)]
pub struct AnyServer {
    /// What the configuration calls it.
    pub name: String,
    /// Its name servers, where they are named; else those in the zone's NS RRset that are nobody else's.
    pub servers: Vec<Server>,
}

impl AnyServer {
    fn unsupported(&self, what: &str, advice: &str) -> ProviderError {
        ProviderError {
            provider: self.name.clone(),
            what: what.into(),
            kind: ProviderFault::Unsupported,
            advice: Some(advice.into()),
        }
    }
}

fn ready<'a, T: Send + 'a>(result: Result<T, ProviderError>) -> Pending<'a, T> {
    Box::pin(std::future::ready(result))
}

/// DNSKEY records as a person pastes them.
fn dnskey_records(zone: &Name, keys: &[Dnskey], ttl: Ttl) -> Vec<String> {
    keys.iter()
        .map(|key| format!("{zone} {ttl} IN DNSKEY {key}"))
        .collect()
}

impl Provider for AnyServer {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn servers<'a>(&'a self, _zone: &'a Name) -> Pending<'a, Vec<Server>> {
        ready(Ok(self.servers.clone()))
    }

    fn observe_keys<'a>(&'a self, _zone: &'a Name, _ours: &'a [Dnskey]) -> Pending<'a, ObservedKeys> {
        ready(Err(self.unsupported(
            "there is no API that says which keys it has",
            "its keys are read from its servers",
        )))
    }

    fn publish_keys<'a>(&'a self, zone: &'a Name, keys: &'a [Dnskey], ttl: Ttl) -> Pending<'a, Published> {
        ready(Ok(Published::ByHand {
            what: format!("publish these DNSKEY records at {}, beside its own", self.name),
            records: dnskey_records(zone, keys, ttl),
        }))
    }

    fn withdraw_keys<'a>(&'a self, zone: &'a Name, ours: &'a [Dnskey]) -> Pending<'a, Published> {
        ready(Ok(Published::ByHand {
            what: format!("remove those of these DNSKEY records that {} has", self.name),
            records: dnskey_records(zone, ours, Ttl::new(0)),
        }))
    }

    fn enable_dnssec<'a>(&'a self, zone: &'a Name) -> Pending<'a, Published> {
        ready(Ok(Published::ByHand {
            what: format!("switch DNSSEC on for {zone} at {}", self.name),
            records: Vec::new(),
        }))
    }

    fn serial<'a>(&'a self, _zone: &'a Name) -> Pending<'a, u32> {
        ready(Err(self.unsupported(
            "there is no API that says the serial",
            "ask its servers for the SOA",
        )))
    }

    fn read_content<'a>(&'a self, _zone: &'a Name) -> Pending<'a, Content> {
        ready(Err(self.unsupported(
            "there is no API that gives the zone's content",
            "take it by a zone transfer, or from a file",
        )))
    }

    fn read_apex_ns<'a>(&'a self, _zone: &'a Name) -> Pending<'a, Vec<Name>> {
        ready(Err(self.unsupported(
            "there is no API that gives the apex NS RRset",
            "ask its servers for it",
        )))
    }

    fn write_apex_ns<'a>(&'a self, zone: &'a Name, targets: &'a [Name], ttl: Ttl) -> Pending<'a, Published> {
        ready(Ok(Published::ByHand {
            what: format!("make these records the whole apex NS RRset at {}", self.name),
            records: targets
                .iter()
                .map(|target| format!("{zone} {ttl} IN NS {target}"))
                .collect(),
        }))
    }

    fn write_cds<'a>(&'a self, zone: &'a Name, keys: &'a [Dnskey], ttl: Ttl) -> Pending<'a, Published> {
        let what = match keys {
            [] => format!("remove the CDS and CDNSKEY RRsets at {}", self.name),
            _ => format!("make these records the CDS and CDNSKEY RRsets at {}", self.name),
        };
        let of_key = |key: &Dnskey| {
            let ds = key.ds(zone.as_ref(), DigestType::Sha256);
            [
                format!("{zone} {ttl} IN CDS {}", ds_text(&ds)),
                format!("{zone} {ttl} IN CDNSKEY {key}"),
            ]
        };
        let records = keys.iter().flat_map(of_key).collect();
        ready(Ok(Published::ByHand { what, records }))
    }

    fn write_csync<'a>(&'a self, zone: &'a Name, csync: Option<Csync>, ttl: Ttl) -> Pending<'a, Published> {
        let what = match csync {
            None => format!("remove the CSYNC record at {}", self.name),
            Some(_) => format!("make this record the CSYNC record at {}", self.name),
        };
        let records = csync.iter().map(|csync| format!("{zone} {ttl} IN CSYNC {csync}"));
        let records = records.collect();
        ready(Ok(Published::ByHand { what, records }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dnssec::external;

    const KEY: &str =
        "257 3 13 RYCJVB2IlQcjlBRZfLLwG+qfJEbAODNyNwpCoJCik1L6jrzER+5yWBZXODoLvrkOiODjFaM9BUNy/4dwLMtCIA==";

    #[tokio::test]
    async fn what_is_to_be_pasted_is_read_by_a_reader_of_master_files() {
        let provider = AnyServer {
            name: "knot".into(),
            servers: Vec::new(),
        };
        let zone: Name = "example.".parse().unwrap();
        let key = Dnskey::from_text(KEY).unwrap();
        let keys = [key.clone()];
        let published = provider.publish_keys(&zone, &keys, Ttl::new(3600)).await.unwrap();
        let Published::ByHand { records, .. } = published else {
            panic!("{published:?}");
        };
        assert_eq!(records, [format!("example. 3600 IN DNSKEY {KEY}")]);
        let read = external::parse(records[0].as_bytes(), zone.as_ref()).unwrap();
        assert_eq!(read.keys[0].dnskey, key);
        let targets = ["ns1.example.".parse().unwrap()];
        let ns = provider
            .write_apex_ns(&zone, &targets, Ttl::new(60))
            .await
            .unwrap();
        assert!(
            matches!(ns, Published::ByHand { records, .. } if records == ["example. 60 IN NS ns1.example."])
        );
    }

    #[tokio::test]
    async fn what_it_cannot_do_it_says_with_the_way_that_works() {
        let provider = AnyServer {
            name: "knot".into(),
            servers: Vec::new(),
        };
        let zone: Name = "example.".parse().unwrap();
        let error = provider.read_content(&zone).await.unwrap_err();
        assert_eq!(error.kind, ProviderFault::Unsupported);
        assert_eq!(
            error.to_string(),
            "knot: there is no API that gives the zone's content"
        );
        assert!(error.advice.unwrap().contains("transfer"));
        assert_eq!(provider.capabilities(), Capabilities::default());
    }
}
