//! Where the content of zones comes from, and the keys that transfers are signed with.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    file::{File, ProviderKind, SourceKind, ZoneFile},
    problem::Position,
    settings::{ProviderSettings, Spot},
};
use crate::{client::tsig::TsigAlgorithm, wire::Name};

/// NS1 is not asked for a zone more often than this: its API counts what it is asked.
const LEAST_POLL: Duration = Duration::from_secs(1);

/// Where a zone's content comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ContentSource {
    /// A master file.
    File {
        /// Its path.
        path: PathBuf,
        /// Where it is named.
        at: Spot,
    },
    /// Transfers from another server.
    Axfr {
        /// The servers, the first first; at least one.
        primaries: Vec<SocketAddr>,
        /// What transfers are signed with.
        tsig: Option<TsigSettings>,
    },
    /// NS1's API.
    Ns1 {
        /// The provider's name.
        provider: String,
        /// How often it is asked.
        poll: Duration,
    },
}

impl ContentSource {
    /// The master file, where that is it.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } => Some(path),
            Self::Axfr { .. } | Self::Ns1 { .. } => None,
        }
    }
}

/// A key of transfers; the secret is read when it is used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TsigSettings {
    /// Its name.
    pub name: Name,
    /// Its algorithm.
    pub algorithm: TsigAlgorithm,
    /// The file that holds the secret.
    pub secret_file: PathBuf,
    /// Where that is named.
    pub at: Spot,
}

/// The keys, and what is wrong with them.
pub(super) fn resolve_keys(
    file: &File,
    folder: &Path,
    problem: &mut impl FnMut(Position, String),
) -> Vec<TsigSettings> {
    let mut keys: Vec<TsigSettings> = Vec::new();
    for key in &file.tsig {
        let name = &key.name.value;
        if keys.iter().any(|known| known.name == *name) {
            problem(
                key.name.at,
                format!("the key {name} is there already; remove one of them"),
            );
        }
        keys.push(TsigSettings {
            name: name.clone(),
            algorithm: key.algorithm,
            secret_file: folder.join(&key.secret_file.value),
            at: Some(key.secret_file.at),
        });
    }
    keys
}

/// What the sources of zones refer to.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) providers: &'a [ProviderSettings],
    pub(super) keys: &'a [TsigSettings],
    pub(super) folder: &'a Path,
    /// Whether the text is broken: what seems absent may stand in the broken part.
    pub(super) forgive_absence: bool,
}

/// The source of a zone, and what is wrong with how it is given. `None` after a problem.
pub(super) fn resolve(
    zone: &ZoneFile,
    known: Known<'_>,
    problem: &mut impl FnMut(Position, String),
) -> Option<ContentSource> {
    refuse_what_is_not_used(zone, problem);
    let mut absent = |at, what: String| {
        if !known.forgive_absence {
            problem(at, what);
        }
    };
    match zone.source.value {
        SourceKind::File => {
            let Some(file) = &zone.file else {
                let origin = &zone.origin.value;
                let what =
                    format!("{origin} has no `file`; give the path of its master file, or another `source`");
                absent(zone.origin.at, what);
                return None;
            };
            Some(ContentSource::File {
                path: known.folder.join(&file.value),
                at: Some(file.at),
            })
        }
        SourceKind::Axfr => {
            if zone.primaries.is_empty() {
                let what = "a zone that is transferred needs its `primaries`, as [\"192.0.2.1:53\"]";
                absent(zone.source.at, what.to_owned());
                return None;
            }
            let tsig = match &zone.tsig {
                None => None,
                Some(name) => {
                    let key = known.keys.iter().find(|key| key.name == name.value);
                    if key.is_none() {
                        absent(name.at, format!("there is no [[tsig]] named \"{}\"", name.value));
                    }
                    Some(key?.clone())
                }
            };
            Some(ContentSource::Axfr {
                primaries: zone.primaries.iter().map(|address| address.value).collect(),
                tsig,
            })
        }
        SourceKind::Ns1 => {
            let is_ns1 = |name: &str| {
                let mut all = known.providers.iter();
                all.any(|provider| provider.name == name && provider.kind == ProviderKind::Ns1)
            };
            let mut of_kind = zone.providers.iter().filter(|name| is_ns1(&name.value));
            let (Some(provider), None) = (of_kind.next(), of_kind.next()) else {
                let what = "content from NS1 needs exactly one provider of kind \"ns1\" in `providers`";
                absent(zone.source.at, what.to_owned());
                return None;
            };
            Some(ContentSource::Ns1 {
                provider: provider.value.clone(),
                poll: zone.poll.max(LEAST_POLL),
            })
        }
    }
}

/// A setting without effect is a misunderstanding.
fn refuse_what_is_not_used(zone: &ZoneFile, problem: &mut impl FnMut(Position, String)) {
    let mut refuse = |at: Option<Position>, setting: &str, needs: &str| {
        if let Some(at) = at {
            problem(
                at,
                format!("`{setting}` is of use with source = \"{needs}\" alone; remove one of them"),
            );
        }
    };
    if zone.source.value != SourceKind::File {
        refuse(zone.file.as_ref().map(|file| file.at), "file", "file");
    }
    if zone.source.value != SourceKind::Axfr {
        refuse(zone.primaries.first().map(|first| first.at), "primaries", "axfr");
        refuse(zone.tsig.as_ref().map(|key| key.at), "tsig", "axfr");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, parse};

    fn read(text: &str) -> Result<Config, Vec<String>> {
        let text = format!("listen = [\"127.0.0.1:5300\"]\n{text}");
        parse(text.as_bytes(), Path::new("/etc/c.toml"))
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    const KEY: &str = "[[tsig]]\nname = \"Transfer.\"\nsecret_file = \"transfer.secret\"\n";
    const NS1: &str = "[[provider]]\nname = \"n\"\nkind = \"ns1\"\napi_key_env = \"KEY\"\n";

    #[test]
    fn a_zone_is_transferred_with_a_key() {
        let config = read(&format!(
            "{KEY}[[zone]]\norigin = \"example.\"\nsource = \"axfr\"\nprimaries = [\"192.0.2.1:53\", \"[2001:db8::1]:53\"]\n\
             tsig = \"transfer\"\nlargest_shrink = 5\nname_servers = [\"ns1.example.\"]\n"
        ))
        .unwrap();
        let zone = &config.zones[0];
        let ContentSource::Axfr { primaries, tsig } = &zone.source else {
            panic!("{:?}", zone.source)
        };
        assert_eq!(primaries.len(), 2);
        let key = tsig.as_ref().unwrap();
        assert_eq!(key.algorithm, TsigAlgorithm::HmacSha256);
        assert_eq!(key.secret_file, Path::new("/etc/transfer.secret"));
        assert_eq!((zone.largest_shrink, zone.name_servers.len()), (5, 1));
    }

    #[test]
    fn content_comes_from_the_one_provider_that_is_ns1() {
        let zone = "[[zone]]\norigin = \"example.\"\nsource = \"ns1\"\n";
        let config = read(&format!("{NS1}{zone}providers = [\"n\"]\npoll = \"5s\"\n")).unwrap();
        let expected = ContentSource::Ns1 {
            provider: "n".to_owned(),
            poll: Duration::from_secs(5),
        };
        assert_eq!(config.zones[0].source, expected);
        assert_eq!(
            read(&format!("{NS1}{zone}")).unwrap_err(),
            ["/etc/c.toml:8:10: content from NS1 needs exactly one provider of kind \"ns1\" in `providers`"]
        );
    }

    #[test]
    fn what_is_missing_and_what_is_not_used_is_told() {
        for (zone, expected) in [
            (
                "",
                "/etc/c.toml:3:10: example. has no `file`; give the path of its master file, or another `source`",
            ),
            (
                "source = \"axfr\"\n",
                "/etc/c.toml:4:10: a zone that is transferred needs its `primaries`, as [\"192.0.2.1:53\"]",
            ),
            (
                "source = \"axfr\"\nprimaries = [\"192.0.2.1:53\"]\ntsig = \"k\"\n",
                "/etc/c.toml:6:8: there is no [[tsig]] named \"k.\"",
            ),
            (
                "source = \"axfr\"\nprimaries = [\"192.0.2.1:53\"]\nfile = \"f\"\n",
                "/etc/c.toml:6:8: `file` is of use with source = \"file\" alone; remove one of them",
            ),
            (
                "file = \"f\"\nprimaries = [\"192.0.2.1:53\"]\n",
                "/etc/c.toml:5:14: `primaries` is of use with source = \"axfr\" alone; remove one of them",
            ),
        ] {
            let found = read(&format!("[[zone]]\norigin = \"example.\"\n{zone}")).unwrap_err();
            assert_eq!(found, [expected], "{zone}");
        }
        let twice = read(&format!("{KEY}{KEY}[[zone]]\norigin = \"a.\"\nfile = \"f\"\n")).unwrap_err();
        assert_eq!(
            twice,
            ["/etc/c.toml:6:8: the key Transfer. is there already; remove one of them"]
        );
    }
}
