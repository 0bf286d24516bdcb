//! The person in a plan: pastes at the registrar what the plan shows, and edits our zone file.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{ORIGIN, TTL};
use crate::{
    control::{Server, protocol::PlanStep},
    dnssec::{algorithm::DigestType, key::Dnskey, validate::Ds},
    lab::{
        parent::{Delegation, Parent},
        scenario::{LabError, part},
    },
    wire::Name,
};

/// A zone with these name servers.
pub(super) fn zone_text(serial: u32, servers: &BTreeSet<String>) -> String {
    let mut text = format!(
        "$TTL {TTL}\n@ SOA ours hostmaster {serial} 7200 1800 1209600 {TTL}\nours A 127.0.0.1\ntheirs A 127.0.0.1\n\
         www A 192.0.2.80\n*.apps A 192.0.2.81\n"
    );
    for server in servers {
        text.push_str(&format!("@ NS {server}\n"));
    }
    text
}

/// What was written down, and where.
pub(super) struct Person {
    pub zone: Name,
    pub parent: Parent,
    server: Arc<Server>,
    file: PathBuf,
    serial: u32,
    servers: BTreeSet<String>,
    ds: Vec<Ds>,
    done: BTreeSet<usize>,
}

impl Person {
    pub fn new(
        folder: &Path,
        zone: &Name,
        servers: BTreeSet<String>,
        parent: Parent,
        server: Arc<Server>,
    ) -> Self {
        Self {
            zone: zone.clone(),
            parent,
            server,
            file: folder.join("zone"),
            serial: 1,
            servers,
            ds: Vec::new(),
            done: BTreeSet::new(),
        }
    }

    /// The DS RRset points to the KSKs among these keys, and of those that a server publishes.
    pub fn delegate_to(&mut self, theirs: &[Dnskey], ours: bool) -> Result<(), LabError> {
        let held = self.server.content_of(&self.zone).filter(|_| ours);
        let content = held.as_ref().and_then(|held| held.served.content().ok());
        let published = content.into_iter().flat_map(|content| content.keys().published());
        let keys = theirs.iter().chain(published.map(|key| &key.dnskey));
        let ksks = keys.filter(|key| key.is_sep());
        self.ds = ksks
            .map(|key| Ds::of(key, self.zone.as_ref(), DigestType::Sha256))
            .collect();
        self.delegate()
    }

    fn delegate(&self) -> Result<(), LabError> {
        let server = |name: &String| -> Result<_, LabError> {
            let name: Name = format!("{name}.{ORIGIN}")
                .parse()
                .map_err(part("a name server has no name"))?;
            Ok((name, vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]))
        };
        let delegation = Delegation {
            child: self.zone.clone(),
            servers: self.servers.iter().map(server).collect::<Result<_, _>>()?,
            ds: self.ds.clone(),
            ttl: TTL,
        };
        self.parent
            .delegate(&[delegation])
            .map_err(part("the parent cannot delegate"))
    }

    /// Does a step where it takes a person, once; whether it was done now.
    pub fn does(&mut self, step: &PlanStep) -> Result<bool, LabError> {
        if !self.done.insert(step.number) {
            return Ok(false);
        }
        let has = |rtype: &str| step.paste.iter().any(|line| line.contains(rtype));
        let at_registrar = step.place.as_deref() == Some("at the registrar");
        if at_registrar && has(" NS ") {
            let names = step.paste.iter().filter_map(|line| line.split_once(" NS "));
            let names = names.filter_map(|(_, name)| name.trim().split_once('.'));
            self.servers = names.map(|(name, _)| name.to_owned()).collect();
            self.delegate()?;
        } else if at_registrar {
            let ds = step.paste.iter().filter_map(|line| line.split_once(" DS "));
            let ds: Result<Vec<Ds>, _> = ds.map(|(_, ds)| ds.parse()).collect();
            self.ds = ds.map_err(|error| LabError::Config(format!("the DS records: {error:?}")))?;
            self.delegate()?;
        } else if step.what.starts_with("the NS RRset of this server ") {
            self.serial += 1;
            let named = step.what.split_once(" names ").map_or("", |(_, named)| named);
            let servers = [("ours", "this server"), ("theirs", "ns1")];
            let servers = servers.into_iter().filter(|(_, called)| named.contains(called));
            let servers = servers.map(|(name, _)| name.to_owned()).collect();
            fs::write(&self.file, zone_text(self.serial, &servers)).map_err(part("cannot write the zone"))?;
            let reloaded = self.server.reload();
            if !reloaded.is_whole() {
                return Err(LabError::Config(format!("{reloaded:?}")));
            }
        }
        Ok(true)
    }
}
