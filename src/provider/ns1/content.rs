//! A zone's content: an export in master format, or, where NS1 refuses that, record by record.
//!
//! What is NS1's alone (aliases, redirections, filter chains, links) has no form in DNS. It is left out or taken as it
//! is, and told.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{
    Ns1,
    call::{Call, LARGEST_EXPORT, Method, Target},
    model::{
        self, path_name, record,
        zone::{self, Row, ZoneInfo},
    },
    rate::Kind,
    reply::CallError,
};
use crate::{
    provider::{Content, ProviderError, ProviderFault},
    wire::{Class, Name, RrType, received::Record, text::fields::read_fields},
    zone::{is_of_a_signer, master},
};

/// How long an export may take; NS1's own clients wait as long.
const EXPORT: Duration = Duration::from_secs(300);
/// The first wait for an export, and the longest.
const LOOKS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));
/// Pages of 2,500 records each; more than this go in a circle.
const MOST_PAGES: usize = 2_000;
/// How often reading begins again because the zone changed meanwhile.
const MOST_READINGS: u32 = 3;

/// What an export came to.
pub(super) enum Export {
    /// Its text.
    Text(Vec<u8>),
    /// NS1 does not give one, and says why.
    Refused(String),
}

impl Ns1 {
    pub(super) async fn content(&self, zone: &Name) -> Result<Content, ProviderError> {
        let info = self.zone_info(zone).await?;
        if let Some(link) = &info.link {
            return Err(self.error(
                &format!("{zone} is linked to {link} at NS1, and has no records of its own"),
                ProviderFault::Unsupported,
                "take the content of that zone, or of a file",
            ));
        }
        match self.export(zone).await? {
            Export::Text(text) => self.read_export(zone, &info, &text),
            Export::Refused(why) => {
                let mut content = self.record_by_record(zone).await?;
                content.remarks.push(format!("NS1 gave no export ({why})"));
                Ok(content)
            }
        }
    }

    /// Has NS1 make an export, and waits for it.
    pub(super) async fn export(&self, zone: &Name) -> Result<Export, ProviderError> {
        let name = self.path_of(zone)?;
        let path = ["export", "zonefile", name.as_str()];
        let begin = Call::new(Method::Put, Kind::Export, &path, Some(json!({})));
        match self.client.call(&begin).await {
            Err(CallError::Refused(refusal)) if is_no_export(refusal.status) && !refusal.has_no_zone() => {
                return Ok(Export::Refused(refusal.into_error().what));
            }
            other => other?,
        };
        let status_path = ["export", "zonefile", name.as_str(), "status"];
        let (began, mut wait) = (Instant::now(), LOOKS.0);
        loop {
            let reply = self.client.call(&Call::get(Kind::Export, &status_path)).await?;
            let value = reply.json()?;
            match model::member_text(&value, "status")
                .unwrap_or_default()
                .to_ascii_uppercase()
                .as_str()
            {
                "COMPLETED" => break,
                "FAILED" => {
                    let why = model::member_text(&value, "message").unwrap_or("it says no more");
                    return Ok(Export::Refused(reply.asked.redact(why)));
                }
                status if began.elapsed() >= EXPORT => {
                    let said = format!("the export is {status:?} after {} s", EXPORT.as_secs());
                    let kind = ProviderFault::Passing { after: None };
                    return Err(reply.asked.error(&said, kind, "it is tried again later"));
                }
                _ => {}
            }
            sleep(wait).await;
            wait = (wait * 2).min(LOOKS.1);
        }
        let mut fetch = Call::get(Kind::Export, &path);
        fetch.largest = LARGEST_EXPORT;
        Ok(Export::Text(self.client.call(&fetch).await?.body))
    }

    pub(super) fn read_export(
        &self,
        zone: &Name,
        info: &ZoneInfo,
        text: &[u8],
    ) -> Result<Content, ProviderError> {
        let source = master::Source::Text {
            name: "export",
            octets: text,
        };
        let mut content = Content {
            records: Vec::new(),
            left_out: 0,
            how: "export".into(),
            remarks: Vec::new(),
        };
        let read = master::read(&source, zone.as_ref(), &mut |entry| {
            if is_of_a_signer(entry.rtype, entry.owner == zone.as_ref()) {
                content.left_out += 1;
            } else {
                content.records.push(Record {
                    owner: entry.owner.to_owned(),
                    rtype: entry.rtype,
                    class: Class::IN,
                    ttl: entry.ttl,
                    rdata: entry.rdata.into(),
                });
            }
        });
        if let Some(problem) = read.errors.first() {
            let more = read.errors.len() - 1 + read.more_errors;
            return Err(self.error(
                &format!(
                    "the export of {zone} cannot be read: line {}: {problem} (and {more} more)",
                    problem.at.line
                ),
                ProviderFault::Unintelligible,
                "mend the record at NS1, or take the content by a zone transfer (source = \"axfr\")",
            ));
        }
        match content.records.iter().find(|record| record.rtype == RrType::SOA) {
            Some(soa) => {
                let serial = serial_of(&soa.rdata);
                if serial != Some(info.serial) {
                    content.remarks.push(format!(
                        "the export has serial {}, and the zone {}",
                        serial.map_or("none".into(), |serial| serial.to_string()),
                        info.serial
                    ));
                }
            }
            None => {
                content.records.push(self.soa(zone, info)?);
                content
                    .remarks
                    .push("the export has no SOA; it was made from the zone's settings".into());
            }
        }
        Ok(content)
    }

    fn soa(&self, zone: &Name, info: &ZoneInfo) -> Result<Record, ProviderError> {
        let rdata = info.soa().map_err(|why| {
            let what = format!("no SOA can be made for {zone}: {why}");
            self.error(
                &what,
                ProviderFault::Unintelligible,
                "look at the zone's settings in NS1's portal",
            )
        })?;
        Ok(Record {
            owner: zone.clone(),
            rtype: RrType::SOA,
            class: Class::IN,
            ttl: info.ttl,
            rdata: rdata.into(),
        })
    }

    /// Reads every record by itself; begins again when the zone changed meanwhile.
    async fn record_by_record(&self, zone: &Name) -> Result<Content, ProviderError> {
        for _ in 0..MOST_READINGS {
            let (info, rows) = self.rows(zone).await?;
            let mut content = Content {
                records: vec![self.soa(zone, &info)?],
                left_out: 0,
                how: format!("{} records one by one", rows.len()),
                remarks: Vec::new(),
            };
            for row in &rows {
                self.take_row(zone, row, &mut content).await?;
            }
            if self.zone_info(zone).await?.serial == info.serial {
                return Ok(content);
            }
        }
        Err(self.error(
            &format!(
                "{zone} changed at NS1 each of {MOST_READINGS} times while its records were read one by one"
            ),
            ProviderFault::Passing { after: None },
            "take the content by a zone transfer (source = \"axfr\")",
        ))
    }

    /// The zone and all rows of all its pages.
    async fn rows(&self, zone: &Name) -> Result<(ZoneInfo, Vec<Row>), ProviderError> {
        let name = self.path_of(zone)?;
        let path = ["zones", name.as_str()];
        let mut call = Call::get(Kind::Zone, &path);
        let (mut info, mut rows) = (None, Vec::new());
        for _ in 0..MOST_PAGES {
            let reply = self.client.call(&call).await.map_err(CallError::of_zone)?;
            let value = reply.json()?;
            if info.is_none() {
                info = Some(zone::read(&value).map_err(|why| reply.asked.odd(&why))?);
            }
            rows.extend(zone::read_rows(&value).map_err(|why| reply.asked.odd(&why))?);
            let Some(next) = &reply.next else {
                let info = info.expect("the first page gave it");
                return Ok((info, rows));
            };
            let page = self.client.page(next, &reply.asked)?;
            if matches!((&page, &call.target), (Target::Page(next), Target::Page(this)) if next == this) {
                return Err(reply.asked.odd("the next page is this one"));
            }
            call.target = page;
        }
        Err(self.error(
            &format!("{zone} has more than {MOST_PAGES} pages of records"),
            ProviderFault::Unintelligible,
            "take the content by a zone transfer (source = \"axfr\")",
        ))
    }

    async fn take_row(&self, zone: &Name, row: &Row, content: &mut Content) -> Result<(), ProviderError> {
        let odd = |why: String| {
            let what = format!("{} {} of {zone}: {why}", row.domain, row.rtype);
            self.error(
                &what,
                ProviderFault::Unintelligible,
                "mend the record at NS1, or take the content by a zone transfer",
            )
        };
        let owner = model::name(&row.domain).map_err(odd)?;
        let Some(rtype) = RrType::from_text(&row.rtype).filter(|rtype| !rtype.is_meta()) else {
            content.remarks.push(format!(
                "{owner} {} is no type of DNS, and is left out",
                row.rtype
            ));
            return Ok(());
        };
        if is_of_a_signer(rtype, owner == *zone) {
            content.left_out += 1;
            return Ok(());
        }
        let (zone_name, owner_name) = (self.path_of(zone)?, path_name(&owner));
        let path = [
            "zones",
            zone_name.as_str(),
            owner_name.as_str(),
            row.rtype.as_str(),
        ];
        let reply = match self.client.call(&Call::get(Kind::Record, &path)).await {
            // Gone since the page was read: the serial will tell, and reading begins again.
            Err(CallError::Refused(refusal)) if refusal.is_absent() => return Ok(()),
            other => other?,
        };
        let body = record::read(&reply.json()?).map_err(|why| reply.asked.odd(&why))?;
        if let Some(link) = body.link {
            content
                .remarks
                .push(format!("{owner} {rtype} is linked to {link}, and is left out"));
            return Ok(());
        }
        if body.filters > 0 {
            content.remarks.push(format!(
                "{owner} {rtype} has a filter chain at NS1; all {} of its answers are taken",
                body.answers.len()
            ));
        }
        let ttl = body.ttl.ok_or_else(|| odd("it has no TTL".into()))?;
        for fields in &body.answers {
            let mut rdata = Vec::new();
            read_fields(rtype, fields, &mut rdata).map_err(|error| odd(error.to_string()))?;
            content.records.push(Record {
                owner: owner.clone(),
                rtype,
                class: Class::IN,
                ttl,
                rdata: rdata.into(),
            });
        }
        Ok(())
    }
}

/// Statuses of a refusal for which another way of reading is taken: not of a wrong key, and not of a failure that
/// passes.
fn is_no_export(status: u16) -> bool {
    matches!(status, 400 | 403..=405 | 409 | 422 | 501)
}

/// The serial in an SOA's rdata.
fn serial_of(rdata: &[u8]) -> Option<u32> {
    let octets = rdata.get(rdata.len().checked_sub(20)?..)?.first_chunk()?;
    Some(u32::from_be_bytes(*octets))
}
