//! CDS and CDNSKEY (RFC 7344), and CSYNC (RFC 7477) at NS1, which are ordinary records to its API: made, replaced,
//! deleted.
//!
//! CDS and CDNSKEY are two records, so between two writes they differ; a parent changes nothing then (RFC 9975 §3). Which key
//! NS1 signs them with only its answers tell.

use std::collections::BTreeSet;

use super::{
    Ns1,
    call::{Call, Method},
    model::record,
    rate::Kind,
};
use crate::{
    dnssec::{algorithm::DigestType, csync::Csync, key::Dnskey},
    provider::{ProviderError, ProviderFault, Published},
    wire::{Name, RrType, Ttl, text::fields::read_fields},
};

/// A record at the apex, by its rdata.
#[derive(PartialEq, Eq)]
struct Shown {
    rdatas: BTreeSet<Vec<u8>>,
    ttl: Option<Ttl>,
}

impl Ns1 {
    pub(super) async fn set_cds(
        &self,
        zone: &Name,
        keys: &[Dnskey],
        ttl: Ttl,
    ) -> Result<Published, ProviderError> {
        let mut changed = false;
        for rtype in [RrType::CDS, RrType::CDNSKEY] {
            let rows: Vec<Vec<String>> = keys.iter().map(|key| row(zone, rtype, key)).collect();
            changed |= self.set_rows(zone, rtype, &rows, ttl).await?;
        }
        if !changed {
            return Ok(Published::Already);
        }
        let tags: Vec<String> = keys.iter().map(|key| key.key_tag().to_string()).collect();
        Ok(Published::Changed {
            what: match &tags[..] {
                [] => "CDS and CDNSKEY were removed".to_owned(),
                tags => format!("CDS and CDNSKEY ask for keys {}", tags.join(", ")),
            },
        })
    }

    pub(super) async fn set_csync(
        &self,
        zone: &Name,
        csync: Option<Csync>,
        ttl: Ttl,
    ) -> Result<Published, ProviderError> {
        let rows: Vec<Vec<String>> = csync.iter().map(|csync| fields(&csync.to_string())).collect();
        if !self.set_rows(zone, RrType::CSYNC, &rows, ttl).await? {
            return Ok(Published::Already);
        }
        let what = match csync {
            None => "CSYNC was removed".to_owned(),
            Some(csync) => format!("CSYNC is {csync}"),
        };
        Ok(Published::Changed { what })
    }

    /// Makes a record at the apex have exactly these rows; without any it goes. Whether that changed anything.
    async fn set_rows(
        &self,
        zone: &Name,
        rtype: RrType,
        rows: &[Vec<String>],
        ttl: Ttl,
    ) -> Result<bool, ProviderError> {
        let wanted = self.read(zone, rtype, rows)?;
        let before = self.shown(zone, rtype).await?;
        let is_so = |shown: &Option<Shown>| match shown {
            None => wanted.is_empty(),
            Some(shown) => shown.rdatas == wanted && shown.ttl.is_none_or(|shown| shown == ttl),
        };
        if is_so(&before) {
            return Ok(false);
        }
        let name = self.path_of(zone)?;
        let mnemonic = rtype.to_string();
        let path = ["zones", name.as_str(), name.as_str(), mnemonic.as_str()];
        let body = record::write_rows(&name, &mnemonic, rows, ttl);
        let (method, body) = match (&before, rows) {
            (_, []) => (Method::Delete, None),
            (None, _) => (Method::Put, Some(body)),
            (Some(_), _) => (Method::Post, Some(body)),
        };
        let written = self
            .client
            .call(&Call::new(method, Kind::Record, &path, body))
            .await;
        // What a write that broke has done shows in what is there now.
        if is_so(&self.shown(zone, rtype).await?) {
            return Ok(true);
        }
        written?;
        Err(self.error(
            &format!("NS1 took the {rtype} record of {zone}, and shows another one"),
            ProviderFault::Unintelligible,
            "look at the record in NS1's portal",
        ))
    }

    /// The record that is there.
    async fn shown(&self, zone: &Name, rtype: RrType) -> Result<Option<Shown>, ProviderError> {
        let Some((_, body)) = self.apex_record(zone, rtype).await? else {
            return Ok(None);
        };
        let rdatas = self.read(zone, rtype, &body.answers)?;
        Ok(Some(Shown {
            rdatas,
            ttl: body.ttl,
        }))
    }

    fn read(
        &self,
        zone: &Name,
        rtype: RrType,
        rows: &[Vec<String>],
    ) -> Result<BTreeSet<Vec<u8>>, ProviderError> {
        let mut rdatas = BTreeSet::new();
        for row in rows {
            let mut rdata = Vec::new();
            // Types may come as one field.
            let fields: Vec<&str> = row
                .iter()
                .flat_map(|field| field.split_ascii_whitespace())
                .collect();
            read_fields(rtype, &fields, &mut rdata).map_err(|error| {
                self.error(
                    &format!("a {rtype} record of {zone} cannot be read: {error}"),
                    ProviderFault::Unintelligible,
                    "look at the record in NS1's portal",
                )
            })?;
            rdatas.insert(rdata);
        }
        Ok(rdatas)
    }
}

/// The fields of the record for a key.
fn row(zone: &Name, rtype: RrType, key: &Dnskey) -> Vec<String> {
    let text = match rtype {
        RrType::CDS => crate::dnssec::key::ds_text(&key.ds(zone.as_ref(), DigestType::Sha256)),
        _ => key.to_string(),
    };
    fields(&text)
}

fn fields(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}
