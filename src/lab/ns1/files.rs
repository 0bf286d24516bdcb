//! `/import/zonefile/ZONE` and `/export/zonefile/ZONE`.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::json;

use super::{
    account::{Account, Now},
    knobs::Export,
    record::{HostedRecord, RecordType, SIGNERS_TYPES},
    reply::{Body, Reply},
    routes::{Call, Handled},
    zone::{ExportJob, HostedZone},
};
use crate::{
    wire::{Name, RrType, Ttl},
    zone::master::{self, Source},
};

/// The type, owner, TTL and rdatas of an RRset of a file.
type Sets = BTreeMap<(Name, RrType), (Ttl, Vec<Vec<u8>>)>;

pub(super) fn import(account: &mut Account, call: &Call<'_>) -> Handled {
    let source = Source::Text {
        name: "zonefile",
        octets: &call.request.body,
    };
    let zone = account.import(&call.zone(), &source, call.now)?;
    let object = zone.object();
    Ok(Reply::json(object))
}

impl Account {
    /// Makes a zone of a master file.
    ///
    /// # Errors
    /// The reply that says what is wrong with it.
    pub fn import(&mut self, name: &str, source: &Source<'_>, now: Now) -> Result<&HostedZone, Reply> {
        let mut zone = self.new_zone(name, now)?;
        let sets = read(&zone, source)?;
        for ((owner, rtype), (ttl, rdatas)) in sets {
            if rtype == RrType::SOA {
                rdatas.iter().for_each(|rdata| zone.take_soa(ttl, rdata));
                continue;
            }
            let id = self.next_id(now.wall);
            let record = HostedRecord::from_rdatas(id, owner.clone(), rtype, ttl, rdatas)
                .ok_or_else(|| Reply::invalid(&format!("invalid: {owner} {rtype} cannot be told in JSON")))?;
            if zone.conflicts(&owner, &record.rtype) {
                return Err(Reply::invalid(&format!(
                    "invalid: {owner} has a CNAME and other records"
                )));
            }
            zone.put(record);
        }
        zone.touch(now.wall);
        Ok(self.zones.entry(name.into()).or_insert(zone))
    }
}

fn read(zone: &HostedZone, source: &Source<'_>) -> Result<Sets, Reply> {
    let (mut sets, mut odd) = (Sets::new(), None);
    let read = master::read(source, zone.apex.as_ref(), &mut |entry| {
        // NS1 signs by itself.
        if SIGNERS_TYPES.contains(&entry.rtype) {
            return;
        }
        let known = RecordType::from_text(&entry.rtype.to_string()).is_some() || entry.rtype == RrType::SOA;
        if !known || !entry.owner.is_at_or_below(zone.apex.as_ref()) {
            odd.get_or_insert_with(|| format!("{} {}", entry.owner, entry.rtype));
            return;
        }
        let key = (entry.owner.to_lowercase(), entry.rtype);
        let (ttl, rdatas) = sets.entry(key).or_insert((entry.ttl, Vec::new()));
        *ttl = (*ttl).min(entry.ttl);
        if !rdatas.iter().any(|rdata| rdata == entry.rdata) {
            rdatas.push(entry.rdata.to_vec());
        }
    });
    if let Some(problem) = read.errors.first() {
        // Line 0: the file as a whole.
        let line = match problem.at.line {
            0 => String::new(),
            line => format!("line {line}: "),
        };
        return Err(Reply::invalid(&format!("invalid zone file: {line}{problem}")));
    }
    if let Some(odd) = odd {
        return Err(Reply::invalid(&format!(
            "invalid zone file: {odd} cannot be in this zone"
        )));
    }
    if !sets.contains_key(&(zone.apex.clone(), RrType::SOA)) {
        return Err(Reply::invalid("invalid zone file: it has no SOA"));
    }
    Ok(sets)
}

pub(super) fn begin_export(account: &mut Account, call: &Call<'_>) -> Handled {
    let way = account.knobs.export;
    let zone = account.zone_of(call)?;
    if way == Export::Refused {
        return Err(Reply::error(StatusCode::FORBIDDEN, "permission denied"));
    }
    let whole = zone.master_file();
    let text = match way {
        Export::Garbage => "this is \"not a zone file\n$NOPE (\n".into(),
        Export::Truncated => whole.chars().take(whole.len() * 2 / 3).collect(),
        Export::Empty => {
            let apex = |line: &&str| {
                line.contains("\tSOA\t")
                    || line.starts_with(&format!("{}\t", zone.apex)) && line.contains("\tNS\t")
            };
            whole
                .lines()
                .filter(apex)
                .map(|line| format!("{line}\n"))
                .collect()
        }
        _ => whole,
    };
    let status = match way {
        Export::Failed => "FAILED",
        Export::Endless => "GENERATING",
        _ => "COMPLETED",
    };
    zone.export = Some(ExportJob { status, text });
    Ok(Reply::json(json!({"status": "QUEUED"})))
}

fn no_export() -> Reply {
    Reply::error(StatusCode::NOT_FOUND, "no export of this zone was asked for")
}

pub(super) fn export_status(account: &mut Account, call: &Call<'_>) -> Handled {
    let job = account.zone_of(call)?.export.as_ref().ok_or_else(no_export)?;
    let mut reply = json!({"status": job.status});
    if job.status == "FAILED" {
        reply["message"] = "the export failed".into();
    }
    Ok(Reply::json(reply))
}

pub(super) fn export(account: &mut Account, call: &Call<'_>) -> Handled {
    let job = account.zone_of(call)?.export.as_ref().ok_or_else(no_export)?;
    if job.status != "COMPLETED" {
        return Err(Reply::error(StatusCode::NOT_FOUND, "the export is not ready"));
    }
    Ok(Reply::with(StatusCode::OK, Body::Text(job.text.clone())))
}
