//! What takes a zone that may be written to: it is made, and whatever happens, deleted again.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Probe,
    look::{answer, message, roles},
};
use crate::{
    dnssec::{
        algorithm::{DigestType, SigningAlgorithm},
        key::{Dnskey, PrivateKey, SEP, ZONE},
    },
    provider::{
        ProviderError, ProviderFault,
        ns1::{
            WireForm,
            call::Method,
            model::{
                external::{self, KeySet},
                path_name,
            },
            rate::Kind,
        },
    },
    wire::{Name, RrType, Ttl},
};

/// The sets that are written.
const SET: &str = "countersign-probe";
const OTHER_SET: &str = "countersign-probe-2";
/// A TTL that nobody has by default.
const TTL: Ttl = Ttl::new(1_234);

/// The scratch zone, ready to be tried on.
struct Scratch<'a> {
    zone: &'a Name,
    name: String,
    servers: Vec<SocketAddr>,
    own: Vec<Dnskey>,
}

impl Scratch<'_> {
    fn set<'p>(&'p self, set: &'p str) -> [&'p str; 5] {
        ["zones", &self.name, "dnssec", "external_keys", set]
    }
}

impl Probe {
    /// Makes the scratch zone and tries everything on it.
    pub(super) async fn try_on(&self, zone: &Name) -> Result<(), ProviderError> {
        let secondary = zone.as_ref().prepend(b"secondary").ok();
        for made in std::iter::once(zone).chain(&secondary) {
            if self.find(made).await?.is_some() {
                return Err(self.ns1.error(
                    &format!("{made} is there already, and a scratch zone is deleted in the end"),
                    ProviderFault::Refused,
                    "name a zone that NS1 does not have, below a domain of yours",
                ));
            }
        }
        self.tell(&format!("making the scratch zone {zone} at NS1"));
        let info = self.make(zone, json!({})).await?;
        let name = path_name(zone);
        let mut scratch = Scratch {
            zone,
            name,
            servers: self.addresses(&Self::servers_of(&info)).await,
            own: Vec::new(),
        };
        let early = self.new_key(SigningAlgorithm::EcdsaP256Sha256)?;
        let form = self.give_early(&scratch, &early).await?;
        self.switch_on(&mut scratch).await?;
        self.look_for_early(&scratch, &early, form).await?;
        match self.try_forms(&scratch).await? {
            Some(form) => {
                self.notes().form = Some(form);
                self.try_sets(&scratch, form).await?;
            }
            None => {
                for number in ["1.4", "1.5", "1.6", "3.2", "4.1"] {
                    self.not_tried(number, "no form of a key set was taken");
                }
            }
        }
        self.try_cds(&scratch).await?;
        self.look_at_zone(zone).await?;
        if let Some(secondary) = &secondary {
            self.try_secondary(secondary).await?;
        }
        Ok(())
    }

    /// Makes a zone. It is to be deleted from the moment when it may be there.
    async fn make(&self, zone: &Name, members: Value) -> Result<Value, ProviderError> {
        let name = path_name(zone);
        let mut body = members;
        body["zone"] = json!(name);
        self.notes().made.push(zone.clone());
        let said = self
            .write(Method::Put, Kind::Zone, &["zones", &name], body)
            .await?;
        if said.ok {
            return Ok(said.value);
        }
        // Refused, so it was not made by us, and is nobody's to delete.
        if said.status < 500 {
            self.notes().made.retain(|made| made != zone);
        }
        Err(self.ns1.error(
            &format!("NS1 does not make the zone {zone}: {}", said.text),
            ProviderFault::Refused,
            "check the rights of the API key, and whether the name is free at NS1",
        ))
    }

    /// 4.2, first half: a set while DNSSEC is off. Gives the form that was taken.
    async fn give_early(
        &self,
        scratch: &Scratch<'_>,
        key: &Dnskey,
    ) -> Result<Option<WireForm>, ProviderError> {
        for form in WireForm::ALL {
            let body = external::write_set(std::slice::from_ref(key), TTL, form);
            let said = self
                .write(Method::Put, Kind::ExternalKeys, &scratch.set(SET), body)
                .await?;
            self.saw(
                "4.2",
                scratch.zone,
                format!("with DNSSEC off, PUT ({form}): {}", said.text),
            );
            if said.ok {
                let held = self.held(scratch, SET).await?;
                let shown = if held.is_some() {
                    "shows it"
                } else {
                    "does not show it"
                };
                self.saw("4.2", scratch.zone, format!("with DNSSEC off, the list {shown}"));
                return Ok(Some(form));
            }
        }
        Ok(None)
    }

    async fn switch_on(&self, scratch: &mut Scratch<'_>) -> Result<(), ProviderError> {
        self.tell("switching DNSSEC on, and waiting for keys");
        let began = Instant::now();
        self.ns1.enable_dnssec(scratch.zone).await?;
        let seconds = began.elapsed().as_secs_f32();
        self.saw("2.3", scratch.zone, format!("within {seconds:.1} s"));
        // Whatever external keys are shown by now, the keys for the parent are NS1's own.
        let signed = self.ns1.signed(scratch.zone).await?.unwrap_or_default();
        let sets = self.ns1.key_sets(scratch.zone).await?;
        let external: Vec<Dnskey> = sets.sets.into_values().flat_map(|set| set.keys).collect();
        scratch.own = signed
            .keys
            .into_iter()
            .filter(|key| !external.contains(key))
            .collect();
        Ok(())
    }

    /// 4.2, second half: what became of it.
    async fn look_for_early(
        &self,
        scratch: &Scratch<'_>,
        key: &Dnskey,
        form: Option<WireForm>,
    ) -> Result<(), ProviderError> {
        if form.is_none() {
            return Ok(());
        }
        let is_listed = self.held(scratch, SET).await?.is_some();
        let shown = if is_listed { "shows it" } else { "does not show it" };
        self.saw("4.2", scratch.zone, format!("with DNSSEC on, the list {shown}"));
        if !scratch.servers.is_empty() {
            self.tell("waiting for the early key at NS1's servers");
            let seen = self.wait_for_key(scratch.zone, &scratch.servers, key).await;
            let told = seen.map_or_else(
                |not| format!("published: no, {not}"),
                |yes| format!("published: yes, {yes}"),
            );
            self.saw("4.2", scratch.zone, told);
        }
        if is_listed {
            self.write(Method::Delete, Kind::ExternalKeys, &scratch.set(SET), Value::Null)
                .await?;
        }
        Ok(())
    }

    /// The keys of a set as the list shows them.
    async fn held(&self, scratch: &Scratch<'_>, set: &str) -> Result<Option<KeySet>, ProviderError> {
        let mut sets = self.ns1.key_sets(scratch.zone).await?;
        Ok(sets.sets.remove(set))
    }

    /// 1.1: every form, and the first that is taken and shown.
    async fn try_forms(&self, scratch: &Scratch<'_>) -> Result<Option<WireForm>, ProviderError> {
        self.tell("trying each form of a key set");
        let mut best = None;
        for form in WireForm::ALL {
            let key = self.new_key(SigningAlgorithm::EcdsaP256Sha256)?;
            let body = external::write_set(std::slice::from_ref(&key), TTL, form);
            let said = self
                .write(Method::Put, Kind::ExternalKeys, &scratch.set(SET), body)
                .await?;
            if !said.ok {
                self.saw("1.1", scratch.zone, format!("{form}: {}", said.text));
                continue;
            }
            let held = self.held(scratch, SET).await?;
            let is_shown = held.as_ref().is_some_and(|set| set.keys == [key]);
            let shown = if is_shown {
                "and is shown"
            } else {
                "but is not shown"
            };
            self.saw("1.1", scratch.zone, format!("{form}: {} {shown}", answer(&said)));
            if is_shown && best.is_none() {
                best = Some(form);
            }
            if held.is_some() {
                let gone = self
                    .write(Method::Delete, Kind::ExternalKeys, &scratch.set(SET), Value::Null)
                    .await?;
                if !gone.ok {
                    self.saw("1.5", scratch.zone, &gone.text);
                    return Ok(best);
                }
            }
        }
        Ok(best)
    }

    /// Sets in the form that is taken: listed, changed, doubled, of another algorithm, removed.
    async fn try_sets(&self, scratch: &Scratch<'_>, form: WireForm) -> Result<(), ProviderError> {
        let zone = scratch.zone;
        let keys = [
            self.new_key(SigningAlgorithm::EcdsaP256Sha256)?,
            self.new_key(SigningAlgorithm::EcdsaP256Sha256)?,
        ];
        let body = |key: &Dnskey| external::write_set(std::slice::from_ref(key), TTL, form);
        let made = self
            .write(Method::Put, Kind::ExternalKeys, &scratch.set(SET), body(&keys[0]))
            .await?;
        if !made.ok {
            self.saw(
                "1.1",
                zone,
                format!("{form}, after another was removed: {}", made.text),
            );
            return Ok(());
        }
        self.look_at_keys(zone).await?;
        self.wait_at_servers(scratch, &keys[0]).await;

        let changed = self
            .write(
                Method::Post,
                Kind::ExternalKeys,
                &scratch.set(SET),
                body(&keys[1]),
            )
            .await?;
        let held = self.held(scratch, SET).await?.unwrap_or_default();
        let became = match (held.keys.contains(&keys[0]), held.keys.contains(&keys[1])) {
            (false, true) => "replaces",
            (true, true) => "adds",
            (true, false) => "changes nothing",
            (false, false) => "empties the set",
        };
        let ttl = held.ttl.map_or("none".into(), |ttl| ttl.to_string());
        self.saw(
            "1.4",
            zone,
            format!("{became}: {}; TTL sent {TTL}, shown {ttl}", answer(&changed)),
        );

        let doubled = self
            .write(
                Method::Put,
                Kind::ExternalKeys,
                &scratch.set(OTHER_SET),
                body(&keys[1]),
            )
            .await?;
        self.saw("1.6", zone, &doubled.text);
        if doubled.ok {
            self.write(
                Method::Delete,
                Kind::ExternalKeys,
                &scratch.set(OTHER_SET),
                Value::Null,
            )
            .await?;
        }
        self.try_other_algorithm(scratch, form).await?;

        let deleted = self
            .write(Method::Delete, Kind::ExternalKeys, &scratch.set(SET), Value::Null)
            .await?;
        let gone = if self.held(scratch, SET).await?.is_none() {
            "gone"
        } else {
            "still listed"
        };
        self.saw("1.5", zone, format!("{}; the set is {gone}", deleted.text));
        Ok(())
    }

    async fn wait_at_servers(&self, scratch: &Scratch<'_>, key: &Dnskey) {
        if scratch.servers.is_empty() {
            return self.not_tried("3.2", "no address of NS1's servers is known here");
        }
        self.tell("waiting for the key at NS1's servers");
        let seen = self.wait_for_key(scratch.zone, &scratch.servers, key).await;
        self.saw("3.2", scratch.zone, seen.unwrap_or_else(|not| not));
    }

    /// 4.1.
    async fn try_other_algorithm(&self, scratch: &Scratch<'_>, form: WireForm) -> Result<(), ProviderError> {
        let key = self.new_key(SigningAlgorithm::Ed25519)?;
        let body = external::write_set(std::slice::from_ref(&key), TTL, form);
        let said = self
            .write(Method::Put, Kind::ExternalKeys, &scratch.set(OTHER_SET), body)
            .await?;
        self.saw("4.1", scratch.zone, format!("ED25519 (15): {}", said.text));
        if said.ok {
            if !scratch.servers.is_empty() {
                self.tell("waiting for the key of another algorithm at NS1's servers");
                let seen = self.wait_for_key(scratch.zone, &scratch.servers, &key).await;
                let told = seen.map_or_else(
                    |not| format!("published: no, {not}"),
                    |yes| format!("published: yes, {yes}"),
                );
                self.saw("4.1", scratch.zone, told);
            }
            self.write(
                Method::Delete,
                Kind::ExternalKeys,
                &scratch.set(OTHER_SET),
                Value::Null,
            )
            .await?;
        }
        Ok(())
    }

    /// 6.2.
    async fn try_cds(&self, scratch: &Scratch<'_>) -> Result<(), ProviderError> {
        let Some(key) = scratch.own.iter().find(|key| key.is_sep()) else {
            self.not_tried("6.2", "NS1 shows no KSK");
            return Ok(());
        };
        self.tell("putting CDS, CDNSKEY and CSYNC at the apex");
        let ds = key.ds(scratch.zone.as_ref(), DigestType::Sha256);
        let digest = data_encoding::HEXLOWER.encode(ds.get(4..).unwrap_or_default());
        let public_key = data_encoding::BASE64.encode(key.public_key());
        let rows = [
            (RrType::CDS, json!([key.key_tag(), key.algorithm().0, 2, digest])),
            (
                RrType::CDNSKEY,
                json!([key.flags(), key.protocol(), key.algorithm().0, public_key]),
            ),
            (RrType::CSYNC, json!([0, 1, "NS"])),
        ];
        for (rtype, fields) in rows {
            let mnemonic = rtype.to_string();
            let path = [
                "zones",
                scratch.name.as_str(),
                scratch.name.as_str(),
                mnemonic.as_str(),
            ];
            let body = json!({"zone": scratch.name, "domain": scratch.name, "type": mnemonic, "ttl": 300,
                "answers": [{ "answer": fields }]});
            let said = self.write(Method::Put, Kind::Record, &path, body).await?;
            if !said.ok {
                self.saw("6.2", scratch.zone, format!("{rtype}: {}", said.text));
            } else if scratch.servers.is_empty() {
                self.not_tried("6.2", "no address of NS1's servers is known here");
            } else {
                let signer = self
                    .signer_of(scratch.zone, rtype, &scratch.servers, &scratch.own)
                    .await;
                let told =
                    signer.map_or_else(|not| not, |signer| format!("{signer} of {}", roles(&scratch.own)));
                self.saw("6.2", scratch.zone, format!("{rtype}: {told}"));
            }
        }
        Ok(())
    }

    /// 5.1: a zone that NS1 would take from a server that is not there.
    async fn try_secondary(&self, zone: &Name) -> Result<(), ProviderError> {
        self.tell(&format!("making {zone}, a secondary zone"));
        // An address for documentation (RFC 5737): nobody answers there.
        let secondary =
            json!({"secondary": {"enabled": true, "primary_ip": "192.0.2.1", "primary_port": 53}});
        if let Err(error) = self.make(zone, secondary).await {
            self.saw("5.1", zone, format!("cannot be made: {}", error.what));
            return Ok(());
        }
        let name = path_name(zone);
        let said = self
            .write(
                Method::Post,
                Kind::Zone,
                &["zones", &name],
                json!({"dnssec": true}),
            )
            .await?;
        let shown = self.find(zone).await?.unwrap_or_default();
        let dnssec = shown.get("dnssec").cloned().unwrap_or_default();
        self.saw(
            "5.1",
            zone,
            format!("{} {}; then dnssec is {dnssec}", said.text, message(&said.value)),
        );
        Ok(())
    }

    /// A public key whose private half is forgotten at once.
    fn new_key(&self, algorithm: SigningAlgorithm) -> Result<Dnskey, ProviderError> {
        let made = PrivateKey::generate(algorithm, ZONE | SEP);
        made.map(|(public, _)| public).map_err(|error| {
            let what = format!("no key can be made to try with: {error}");
            self.ns1
                .error(&what, ProviderFault::Refused, "look to this machine")
        })
    }
}
