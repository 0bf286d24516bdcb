//! What can be asked without changing a zone.

use serde_json::Value;

use super::{Probe, Said};
use crate::{
    dnssec::key::Dnskey,
    provider::{
        ProviderError,
        ProviderFault::{Refused, Unauthorised, Unsupported},
        ns1::{
            call::Call,
            content::Export,
            model::{
                dnssec, external, member_text, path_name, record,
                zone::{self, ZoneInfo},
            },
            rate::Kind,
        },
    },
    wire::Name,
};

/// How deep a shape is told.
const DEEPEST: usize = 6;

impl Probe {
    /// Whether the key is taken at all, and what belongs to no zone.
    pub(super) async fn look_at_account(&self) -> Result<(), ProviderError> {
        self.tell("asking NS1 for the account's networks");
        match self.ns1.networks().await {
            Ok(networks) => {
                let told: Vec<String> = networks
                    .iter()
                    .map(|(number, label)| format!("{number} ({label})"))
                    .collect();
                self.notes().seen.push(("7.4", told.join(", ")));
            }
            // A key may be for zones alone. What meets every request ends the probe here.
            Err(error) if matches!(error.kind, Unauthorised | Unsupported | Refused) => {
                self.not_tried("7.4", &error.what);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Looks at a zone that somebody uses.
    pub(super) async fn look_at_zone(&self, zone: &Name) -> Result<(), ProviderError> {
        self.tell(&format!("looking at {zone}"));
        let info = self.ns1.zone_info(zone).await?;
        let keys = self.look_at_keys(zone).await?;
        self.look_at_apex_ns(zone).await?;
        self.look_at_export(zone, &info).await?;
        let servers = self.addresses(&info.servers).await;
        self.look_at_servers(zone, &servers, &keys).await;
        Ok(())
    }

    /// What NS1 gives as keys, and the sets of others; gives its own keys, as far as they can be told.
    pub(super) async fn look_at_keys(&self, zone: &Name) -> Result<Vec<Dnskey>, ProviderError> {
        let name = path_name(zone);
        let said = self.get(Kind::Dnssec, &["zones", &name, "dnssec"]).await?;
        let shown = match dnssec::read(&said.value) {
            Ok(found) if said.ok => found,
            _ => {
                self.saw("2.2", zone, format!("has none: {}", said.text));
                dnssec::Dnssec::default()
            }
        };
        if said.ok {
            self.saw(
                "2.2",
                zone,
                format!(
                    "{}; TTL {}; {}",
                    roles(&shown.keys),
                    ttl(shown.ttl),
                    shape(&said.value)
                ),
            );
        }
        let sets = self.look_at_sets(zone).await?;
        let external: Vec<&Dnskey> = sets.sets.values().flat_map(|set| &set.keys).collect();
        match (
            external.len(),
            external.iter().filter(|key| shown.keys.contains(key)).count(),
        ) {
            (0, _) => self.not_tried("2.1", format!("{zone} has no external keys")),
            (all, 0) => self.saw(
                "2.1",
                zone,
                format!("no: none of the {all} external keys is in it"),
            ),
            (all, some) => self.saw(
                "2.1",
                zone,
                format!("yes: {some} of the {all} external keys are in it"),
            ),
        }
        Ok(shown
            .keys
            .into_iter()
            .filter(|key| !external.contains(&key))
            .collect())
    }

    /// The external key sets as they are.
    pub(super) async fn look_at_sets(&self, zone: &Name) -> Result<external::KeySets, ProviderError> {
        let name = path_name(zone);
        let path = ["zones", name.as_str(), "dnssec", "external_keys"];
        let said = self.get(Kind::ExternalKeys, &path).await?;
        let list = match external::read_list(&said.value) {
            Ok(list) if said.ok => list,
            Err(why) if said.ok => {
                self.saw(
                    "1.2",
                    zone,
                    format!("{}; {}; not understood: {why}", said.text, shape(&said.value)),
                );
                return Ok(external::KeySets::default());
            }
            _ => {
                self.saw("1.2", zone, &said.text);
                return Ok(external::KeySets::default());
            }
        };
        self.saw("1.2", zone, format!("{}; {}", said.text, shape(&said.value)));
        let first = list.sets.keys().chain(&list.names_only).next();
        match first {
            Some(set) => {
                let single = self
                    .get(Kind::ExternalKeys, &[&path[..], &[set]].concat())
                    .await?;
                self.saw("1.3", zone, answer(&single));
            }
            None => self.not_tried("1.3", format!("{zone} has no key set")),
        }
        Ok(list)
    }

    async fn look_at_apex_ns(&self, zone: &Name) -> Result<(), ProviderError> {
        let name = path_name(zone);
        let said = self.get(Kind::Record, &["zones", &name, &name, "NS"]).await?;
        let told = match record::read(&said.value) {
            Ok(body) if said.ok => {
                let targets: Vec<String> = body.answers.iter().map(|fields| fields.join(" ")).collect();
                format!(
                    "{}: {} (TTL {}, {} filters)",
                    said.text,
                    targets.join(" "),
                    ttl(body.ttl),
                    body.filters
                )
            }
            _ => said.text,
        };
        self.saw("7.3", zone, told);
        Ok(())
    }

    async fn look_at_export(&self, zone: &Name, info: &ZoneInfo) -> Result<(), ProviderError> {
        self.tell(&format!("having NS1 export {zone}"));
        let told = match self.ns1.export(zone).await? {
            Export::Refused(why) => format!("no: {why}"),
            Export::Text(text) => match self.ns1.read_export(zone, info, &text) {
                Ok(content) => {
                    let remarks = content.remarks.iter().map(|remark| format!("; {remark}"));
                    let (records, left_out) = (content.records.len(), content.left_out);
                    format!(
                        "yes: {records} records, and {left_out} of the signer{}",
                        remarks.collect::<String>()
                    )
                }
                Err(error) => error.what,
            },
        };
        self.saw("7.2", zone, told);
        Ok(())
    }

    /// Whether a zone is there; the zone's settings when it is.
    pub(super) async fn find(&self, zone: &Name) -> Result<Option<Value>, ProviderError> {
        let name = path_name(zone);
        let path = ["zones", name.as_str()];
        let said = self
            .say(&Call::get(Kind::Zone, &path).query("records=false"))
            .await?;
        match (said.ok, said.status) {
            (true, _) => Ok(Some(said.value)),
            (false, 404) => Ok(None),
            _ => Err(self.ns1.error(
                &format!("whether {zone} is there cannot be found out: {}", said.text),
                Refused,
                "check the rights of the API key",
            )),
        }
    }

    /// The servers that a zone's settings name.
    pub(super) fn servers_of(info: &Value) -> Vec<Name> {
        zone::read(info).map_or(Vec::new(), |info| info.servers)
    }
}

/// A reply in short: the status, and the shape of what came.
pub(super) fn answer(said: &Said) -> String {
    match said.ok {
        true => format!("{}; {}", said.text, shape(&said.value)),
        false => said.text.clone(),
    }
}

fn ttl(ttl: Option<crate::wire::Ttl>) -> String {
    ttl.map_or("none".into(), |ttl| ttl.to_string())
}

/// Keys by their roles: `KSK 123, ZSK 456`.
pub(super) fn roles(keys: &[Dnskey]) -> String {
    let has_zsk = keys.iter().any(|key| !key.is_sep());
    let role = |key: &Dnskey| match (key.is_sep(), has_zsk) {
        (true, true) => "KSK",
        (true, false) => "CSK",
        (false, _) => "ZSK",
    };
    let mut told: Vec<String> = keys
        .iter()
        .map(|key| format!("{} {}", role(key), key.key_tag()))
        .collect();
    told.sort();
    match told.is_empty() {
        true => "no keys".into(),
        false => told.join(", "),
    }
}

/// What JSON is made of, without what it says: `{"dnskey": {"data": [4 × string], "ttl": number}}`.
pub(super) fn shape(value: &Value) -> String {
    shape_at(value, 0)
}

fn shape_at(value: &Value, depth: usize) -> String {
    match value {
        _ if depth > DEEPEST => "…".into(),
        Value::Null => "null".into(),
        Value::Bool(_) => "boolean".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
        Value::Array(items) => match items.first() {
            None => "[]".into(),
            Some(first) => format!("[{} × {}]", items.len(), shape_at(first, depth + 1)),
        },
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{name:?}: {}", shape_at(value, depth + 1)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

/// The message of a reply, where it has one.
pub(super) fn message(value: &Value) -> &str {
    member_text(value, "message").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_shape_says_what_json_is_made_of_and_not_what_it_says() {
        let value = json!({"dnskey": {"ttl": 3600, "data": [["257", "3"], []], "x": null}});
        assert_eq!(
            shape(&value),
            r#"{"dnskey": {"data": [2 × [2 × string]], "ttl": number, "x": null}}"#
        );
        assert!(shape(&(0..20).fold(json!(1), |inner, _| json!([inner]))).contains('…'));
    }

    #[test]
    fn roles_are_told_by_what_is_there() {
        let key = |flags| Dnskey::new(flags, crate::dnssec::algorithm::Algorithm(13), &[1; 64]);
        assert!(roles(&[key(257)]).starts_with("CSK "));
        assert!(roles(&[key(257), key(256)]).starts_with("KSK "));
        assert_eq!(roles(&[]), "no keys");
    }
}
