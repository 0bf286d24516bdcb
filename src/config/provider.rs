//! The other providers.

use super::{
    file::{File, ProviderKind},
    problem::Position,
    settings::ProviderSettings,
};
use crate::{
    dnssec::key::Dnskey,
    multisigner::Pin,
    provider::ns1::{KeySource, WireForm},
};
use std::{path::Path, time::Duration};

/// The providers, and what is wrong with them or with how zones name them.
pub(super) fn resolve_providers(
    file: &File,
    folder: &Path,
    problem: &mut impl FnMut(Position, String),
) -> Vec<ProviderSettings> {
    let mut providers: Vec<ProviderSettings> = Vec::new();
    for provider in &file.provider {
        let (name, at) = (&provider.name.value, provider.name.at);
        if providers.iter().any(|known| known.name == *name) {
            problem(
                at,
                format!("the provider \"{name}\" is there already; remove one of them"),
            );
        }
        if name.is_empty() || !name.bytes().all(|octet| octet.is_ascii_graphic()) || name.contains(['/', '='])
        {
            problem(
                at,
                "a provider's name is letters, digits and marks other than / and =".to_owned(),
            );
        }
        match provider.kind {
            ProviderKind::Ns1 if provider.api_key_file.is_none() == provider.api_key_env.is_none() => {
                problem(
                    at,
                    "NS1 needs its API key, from one place: give api_key_file or api_key_env".to_owned(),
                )
            }
            ProviderKind::Dns if provider.servers.is_empty() => {
                problem(at, "a provider of kind \"dns\" needs its servers".to_owned());
            }
            _ => {}
        }
        // Everything that is believed of an API rests on who answers there.
        if !provider.endpoint.value.starts_with("https://") {
            problem(
                provider.endpoint.at,
                "the endpoint must begin with https://".to_owned(),
            );
        }
        let mut pinned = Vec::new();
        for pin in &provider.pinned {
            match read_pin(&pin.value) {
                Ok(read) => pinned.push(read),
                Err(what) => problem(pin.at, what),
            }
        }
        providers.push(ProviderSettings {
            name: name.clone(),
            kind: provider.kind,
            endpoint: provider.endpoint.value.clone(),
            api_key: match (&provider.api_key_file, &provider.api_key_env) {
                (Some(path), _) => Some(KeySource::File(folder.join(&path.value))),
                (None, name) => name.clone().map(KeySource::Environment),
            },
            ca_file: provider.ca_file.as_ref().map(|path| folder.join(path)),
            key_set: provider.key_set.clone(),
            form: WireForm {
                nesting: provider.body,
                values: provider.numbers,
            },
            servers: provider
                .servers
                .iter()
                .map(|server| server.value.clone())
                .collect(),
            poll: provider.poll.max(LEAST_POLL),
            propagation: provider.propagation,
            server_names: provider
                .server_names
                .iter()
                .map(|name| name.value.clone())
                .collect(),
            cds: provider.cds,
            csync: provider.csync,
            pinned,
        });
    }
    for named in file.zone.iter().flat_map(|zone| &zone.providers) {
        if !providers.iter().any(|provider| provider.name == named.value) {
            let what = format!(
                "there is no [[provider]] named \"{}\"",
                named.value.escape_debug()
            );
            problem(named.at, what);
        }
    }
    providers
}

/// A provider is not asked more often than this: its API counts what it is asked.
const LEAST_POLL: Duration = Duration::from_secs(1);

/// Reads DS data (`12345 13 2 0123…`) or DNSKEY data (`257 3 13 base64`).
fn read_pin(text: &str) -> Result<Pin, String> {
    if let Ok(key) = Dnskey::from_text(text) {
        return if key.is_sep() {
            Ok(Pin::Key(key))
        } else {
            Err("only a key with the SEP flag can be pinned: it signs the key set".to_owned())
        };
    }
    text.parse().map(Pin::Ds).map_err(|_| {
        "expected DS data, as \"12345 13 2 1A2B…\", or DNSKEY data, as \"257 3 13 mdsswUyr…\"".to_owned()
    })
}
