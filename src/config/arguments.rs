//! The form of the command line that needs no file.

use super::{
    file::{LARGEST_SHRINK, MonitorFile},
    listen::overlap,
    read::defaults,
    settings::{Config, ZoneSettings, default_state},
    source::ContentSource,
};
use crate::{
    answer::Overload,
    dnssec::{
        csync::Csyncing,
        denial::Denial,
        keyset::{Cds, DNSKEY_TTL},
    },
    wire::Name,
};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// The `--zone` form of the command line.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    /// Zones and their master files.
    pub zones: Vec<(Name, PathBuf)>,
    /// Addresses to serve.
    pub listen: Vec<SocketAddr>,
    /// External key files; the origin may be left out where there is one zone.
    pub external_keys: Vec<(Option<Name>, PathBuf)>,
    /// How all zones deny.
    pub denial: Option<Denial>,
    /// The folder of our key files.
    pub keys: PathBuf,
    /// The state folder.
    pub state: Option<PathBuf>,
}

/// Turns the `--zone` form into a configuration.
///
/// # Errors
/// What is wrong with the arguments, and what to do.
pub fn from_arguments(arguments: Arguments) -> Result<Config, String> {
    let mut zones: Vec<ZoneSettings> = Vec::with_capacity(arguments.zones.len());
    for (origin, file) in arguments.zones {
        if zones.iter().any(|zone| zone.origin == origin) {
            return Err(format!("--zone names {origin} twice; give each zone one file"));
        }
        zones.push(ZoneSettings {
            origin,
            at: None,
            source: ContentSource::File { path: file, at: None },
            largest_shrink: LARGEST_SHRINK,
            name_servers: Vec::new(),
            external_keys: Vec::new(),
            providers: Vec::new(),
            exchange_keys: true,
            parent: Vec::new(),
            parent_propagation: Duration::from_secs(300),
            our_servers: Vec::new(),
            dnskey_ttl: DNSKEY_TTL,
            safety_margin: Duration::from_secs(3600),
            follow: true,
            denial: arguments.denial.unwrap_or(Denial::Compact),
            overload: Overload::Auto,
            cds: Cds::Off,
            csync: Csyncing::Off,
            signature_validity: None,
            auto_keys: true,
        });
    }
    for (origin, file) in arguments.external_keys {
        let zone = match &origin {
            Some(origin) => zones
                .iter_mut()
                .find(|zone| zone.origin == *origin)
                .ok_or_else(|| format!("--external-keys names {origin}, which no --zone names; add one"))?,
            None if zones.len() == 1 => &mut zones[0],
            None => {
                return Err(format!(
                    "--external-keys {}: say of which zone, as ORIGIN={}",
                    file.display(),
                    file.display()
                ));
            }
        };
        zone.external_keys.push((file, None));
    }
    for (index, address) in arguments.listen.iter().enumerate() {
        if let Some(other) = arguments.listen[..index]
            .iter()
            .find(|other| overlap(**other, *address))
        {
            return Err(format!(
                "--listen {address} overlaps --listen {other}; keep one of them"
            ));
        }
    }
    Ok(Config {
        source: None,
        listen: arguments.listen,
        public_addresses: Vec::new(),
        state: arguments.state.unwrap_or_else(default_state),
        keys: arguments.keys,
        user: None,
        nsid: Vec::new(),
        log: defaults(),
        udp: defaults(),
        tcp: defaults(),
        signing: defaults(),
        monitor: defaults::<MonitorFile>().into(),
        resolvers: Vec::new(),
        vantages: Vec::new(),
        providers: Vec::new(),
        zones,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn external_keys_find_their_zone() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let two = Arguments {
            zones: vec![(name("a."), "a".into()), (name("b."), "b".into())],
            external_keys: vec![(Some(name("B.")), "x".into())],
            ..Arguments::default()
        };
        let config = from_arguments(two.clone()).unwrap();
        assert_eq!(config.zones[1].external_keys[0].0, Path::new("x"));
        assert!(config.zones[0].auto_keys, "the --zone form makes keys");
        let which = Arguments {
            external_keys: vec![(None, "x".into())],
            ..two.clone()
        };
        assert_eq!(
            from_arguments(which).unwrap_err(),
            "--external-keys x: say of which zone, as ORIGIN=x"
        );
        let unknown = Arguments {
            external_keys: vec![(Some(name("c.")), "x".into())],
            ..two.clone()
        };
        assert!(
            from_arguments(unknown)
                .unwrap_err()
                .contains("which no --zone names")
        );
        let twice = Arguments {
            zones: vec![(name("a."), "a".into()), (name("A"), "b".into())],
            ..two
        };
        assert!(from_arguments(twice).unwrap_err().contains("twice"));
    }
}
