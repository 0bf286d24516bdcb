//! The apex NS RRset at NS1, and switching DNSSEC on.

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{
    Ns1,
    call::{Call, Method, Reply},
    model::{self, record},
    rate::Kind,
    reply::CallError,
};
use crate::{
    provider::{ProviderError, ProviderFault, Published},
    wire::{Name, RrType, Ttl},
};

/// How often it is looked whether a switch shows: NS1's clients wait some seconds after a zone was made.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The apex NS RRset.
#[derive(Debug)]
pub(super) struct ApexNs {
    pub targets: Vec<Name>,
    ttl: Option<Ttl>,
    filters: usize,
}

impl Ns1 {
    /// A record at the apex, with what it was asked as; none where there is no such record.
    pub(super) async fn apex_record(
        &self,
        zone: &Name,
        rtype: RrType,
    ) -> Result<Option<(Reply, record::RecordBody)>, ProviderError> {
        let name = self.path_of(zone)?;
        let mnemonic = rtype.to_string();
        let path = ["zones", name.as_str(), name.as_str(), mnemonic.as_str()];
        let reply = match self.client.call(&Call::get(Kind::Record, &path)).await {
            Err(CallError::Refused(refusal))
                if refusal.is_absent() && refusal.is_json && !refusal.has_no_zone() =>
            {
                return Ok(None);
            }
            other => other?,
        };
        let body = record::read(&reply.json()?).map_err(|why| reply.asked.odd(&why))?;
        Ok(Some((reply, body)))
    }

    /// The apex NS RRset; none where there is no such record.
    pub(super) async fn apex_ns(&self, zone: &Name) -> Result<Option<ApexNs>, ProviderError> {
        let Some((reply, body)) = self.apex_record(zone, RrType::NS).await? else {
            return Ok(None);
        };
        let targets = body
            .answers
            .iter()
            .map(|fields| match &fields[..] {
                [target] => model::name(target),
                _ => Err(format!("an NS record of {} fields", fields.len())),
            })
            .collect::<Result<_, _>>()
            .map_err(|why| reply.asked.odd(&why))?;
        Ok(Some(ApexNs {
            targets,
            ttl: body.ttl,
            filters: body.filters,
        }))
    }

    pub(super) async fn set_apex_ns(
        &self,
        zone: &Name,
        targets: &[Name],
        ttl: Ttl,
    ) -> Result<Published, ProviderError> {
        if targets.is_empty() {
            return Err(self.error(
                &format!("{zone} cannot be left without name servers"),
                ProviderFault::Refused,
                "name the servers of all providers",
            ));
        }
        let before = self.apex_ns(zone).await?;
        if before.as_ref().is_some_and(|ns| ns.is(targets, ttl)) {
            return Ok(Published::Already);
        }
        if before.as_ref().is_some_and(|ns| ns.filters > 0) {
            return Err(self.error(
                &format!("the apex NS record of {zone} has filters at NS1, which new answers would upset"),
                ProviderFault::Refused,
                "remove the filter chain from the record in NS1's portal",
            ));
        }
        let name = self.path_of(zone)?;
        let path = ["zones", name.as_str(), name.as_str(), "NS"];
        let method = if before.is_some() {
            Method::Post
        } else {
            Method::Put
        };
        let call = Call::new(
            method,
            Kind::Record,
            &path,
            Some(record::write_ns(&name, targets, ttl)),
        );
        let written = self.client.call(&call).await;
        // What a write that broke has done shows in what is there now.
        let now = self.apex_ns(zone).await?;
        if now.as_ref().is_some_and(|ns| ns.is(targets, ttl)) {
            let was = before.map_or("there was none".into(), |ns| format!("it was {}", ns.told()));
            return Ok(Published::Changed {
                what: format!("the apex NS RRset was written; {was}"),
            });
        }
        written?;
        let shown = now.map_or("none".into(), |ns| ns.told());
        Err(self.error(
            &format!("NS1 took the apex NS RRset of {zone}, and shows {shown}"),
            ProviderFault::Unintelligible,
            "look at the record in NS1's portal",
        ))
    }

    /// Switches DNSSEC on for the zone, and nothing else. Only a person's explicit word leads here.
    ///
    /// # Errors
    /// When NS1 refuses, or does not show keys before the deadline.
    pub async fn enable_dnssec(&self, zone: &Name) -> Result<Published, ProviderError> {
        if self.signed(zone).await?.is_some() {
            return Ok(Published::Already);
        }
        let name = self.path_of(zone)?;
        let path = ["zones", name.as_str()];
        let call = Call::new(Method::Post, Kind::Zone, &path, Some(json!({ "dnssec": true })));
        let written = self.client.call(&call).await;
        if let Err(CallError::Refused(refusal)) = &written
            && !refusal.is_passing()
        {
            return Err(refusal.as_ref().clone().into_error());
        }
        let until = Instant::now() + self.client.settings().deadline;
        loop {
            if self
                .signed(zone)
                .await?
                .is_some_and(|signed| !signed.keys.is_empty())
            {
                return Ok(Published::Changed {
                    what: format!("DNSSEC was switched on for {zone} at NS1"),
                });
            }
            if Instant::now() + LOOK_AGAIN >= until {
                written?;
                return Err(self.error(
                    &format!("NS1 took the switch, and shows no keys of {zone} yet"),
                    ProviderFault::Passing { after: None },
                    "look again in some minutes",
                ));
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}

impl ApexNs {
    fn is(&self, targets: &[Name], ttl: Ttl) -> bool {
        let set = |names: &[Name]| names.iter().cloned().collect::<BTreeSet<_>>();
        set(&self.targets) == set(targets) && self.ttl.is_none_or(|shown| shown == ttl)
    }

    fn told(&self) -> String {
        let names: Vec<String> = self.targets.iter().map(Name::to_string).collect();
        match self.ttl {
            Some(ttl) => format!("{} (TTL {ttl})", names.join(" ")),
            None => names.join(" "),
        }
    }
}
