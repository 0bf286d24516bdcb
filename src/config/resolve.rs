//! From the file, or from the command line, to what the layers are given.

use super::{
    file::{
        File, LogSettings, MonitorFile, ProviderKind, ServerAt, SigningSettings, TcpSettings, UdpSettings,
        ZoneFile,
    },
    problem::{Position, Problem},
    read::{At, Reader, defaults, read_table},
    source::{self, ContentSource},
    vantage,
};
use crate::{
    answer::Overload,
    client::Relay,
    dnssec::{
        csync::Csyncing,
        denial::Denial,
        key::Dnskey,
        keyset::{Cds, DNSKEY_TTL},
        sign::LONGEST_VALIDITY,
    },
    multisigner::Pin,
    provider::ns1::{self, KeySource, WireForm},
    wire::{Name, Ttl},
};
use std::{
    collections::HashMap,
    fs,
    io::Read,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};
use toml::de::DeTable;

/// The largest configuration file that is read, in octets: 100,000 zones fit.
const MAX_FILE: u64 = 64 << 20;

/// The longest name server identifier, in octets: it rides in every answer to those who ask for it.
const MAX_NSID: usize = 128;

/// How long signatures may be valid: below a week, TTLs of a day or two would have to be lowered.
const VALIDITY: std::ops::RangeInclusive<Duration> = Duration::from_secs(7 * 86_400)..=LONGEST_VALIDITY;

/// The TTLs that a DNSKEY RRset may have: what resolvers hold for longer holds up every change of keys.
const DNSKEY_TTLS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(7 * 86_400);

/// By how many percent content may shrink at once where nothing is said.
pub(super) const LARGEST_SHRINK: u8 = 20;

/// Everything the server is told. Paths are as given on the command line, or relative to the file's folder.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file this came from; none for the `--zone` form.
    pub source: Option<PathBuf>,
    /// Where UDP and TCP are served.
    pub listen: Vec<SocketAddr>,
    /// Addresses that lead here from outside, and not from here.
    pub public_addresses: Vec<IpAddr>,
    /// The folder of the store and the control socket.
    pub state: PathBuf,
    /// The folder of our key files.
    pub keys: PathBuf,
    /// The user to become after binding.
    pub user: Option<String>,
    /// The name server identifier; empty for none.
    pub nsid: Vec<u8>,
    /// Logs.
    pub log: LogSettings,
    /// Limits of UDP.
    pub udp: UdpSettings,
    /// Limits of TCP.
    pub tcp: TcpSettings,
    /// Signing ahead.
    pub signing: SigningSettings,
    /// The watch over the zones, and where alarms go.
    pub monitor: MonitorSettings,
    /// Resolvers to ask; those of the system when there is none.
    pub resolvers: Vec<SocketAddr>,
    /// Other places to ask from, no two with one name.
    pub vantages: Vec<Relay>,
    /// The other providers, no two with one name.
    pub providers: Vec<ProviderSettings>,
    /// The zones, no two with one origin.
    pub zones: Vec<ZoneSettings>,
}

/// The watch over the zones, and where alarms go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MonitorSettings {
    /// How often each zone is looked at; zero: never.
    pub every: Duration,
    /// How many observations are kept of every zone.
    pub observations: usize,
    /// The command that is run for each alarm; empty: none.
    pub command: Vec<String>,
    /// The address that each alarm is posted to.
    pub webhook: Option<String>,
}

impl From<MonitorFile> for MonitorSettings {
    fn from(file: MonitorFile) -> Self {
        Self {
            every: file.every,
            observations: file.observations.0 as usize,
            command: file.command,
            webhook: file.webhook.map(|url| url.value),
        }
    }
}

/// Another signing provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProviderSettings {
    /// What zones, commands and messages call it.
    pub name: String,
    /// What it is.
    pub kind: ProviderKind,
    /// Where its API is.
    pub endpoint: String,
    /// Where its API key is; for a kind that has one.
    pub api_key: Option<KeySource>,
    /// Further certificates that the API's may rest on.
    pub ca_file: Option<PathBuf>,
    /// The set of external keys that is ours.
    pub key_set: String,
    /// In which form sets of keys are written.
    pub form: WireForm,
    /// Its name servers; where there is none, its API names them.
    pub servers: Vec<ServerAt>,
    /// How often its keys are looked at.
    pub poll: Duration,
    /// How long what it was given may take to show.
    pub propagation: Duration,
    /// The names of its servers in NS RRsets, where a person says them.
    pub server_names: Vec<Name>,
    /// Whether it can show CDS and CDNSKEY for just the keys that a plan wants, signed with its KSK.
    pub cds: bool,
    /// Whether it can show CSYNC when a plan wants it.
    pub csync: bool,
    /// Its KSKs that are believed without a DS.
    pub pinned: Vec<Pin>,
}

impl ProviderSettings {
    /// What the driver of NS1 is told; none for another kind, and without a key.
    pub fn ns1(&self) -> Option<ns1::Settings> {
        let key = self.api_key.clone().filter(|_| self.kind == ProviderKind::Ns1)?;
        Some(ns1::Settings {
            endpoint: self.endpoint.clone(),
            ca: self.ca_file.clone(),
            key_set: self.key_set.clone(),
            form: self.form,
            ..ns1::Settings::new(self.name.clone(), key)
        })
    }
}

/// A place in the configuration file, for problems found later.
pub type Spot = Option<Position>;

/// What is said of one zone.
#[derive(Clone, Debug)]
pub struct ZoneSettings {
    /// Its apex.
    pub origin: Name,
    /// Where it is named.
    pub at: Spot,
    /// Where its content comes from.
    pub source: ContentSource,
    /// By what share of its records content from elsewhere may shrink at once, in percent.
    pub largest_shrink: u8,
    /// The apex NS RRset; where there is none, the content's own.
    pub name_servers: Vec<Name>,
    /// The files with other providers' DNSKEY records, and where they are named.
    pub external_keys: Vec<(PathBuf, Spot)>,
    /// The other providers that sign it, by name.
    pub providers: Vec<String>,
    /// Whether keys are exchanged with them as the server runs.
    pub exchange_keys: bool,
    /// The name servers of its parent zone; where there is none, the resolvers are asked.
    pub parent: Vec<ServerAt>,
    /// How long a change at the parent may take to show at all its servers.
    pub parent_propagation: Duration,
    /// The names of this server in NS RRsets, where a person says them.
    pub our_servers: Vec<Name>,
    /// The TTL of the DNSKEY RRset, where no provider's is smaller.
    pub dnskey_ttl: Ttl,
    /// How much longer than its TTL some caches may keep anything.
    pub safety_margin: Duration,
    /// Whether keys that another provider gave up are withdrawn by a plan of its own.
    pub follow: bool,
    /// How it denies.
    pub denial: Denial,
    /// What it does beyond the budget of synthesised signatures.
    pub overload: Overload,
    /// CDS and CDNSKEY.
    pub cds: Cds,
    /// CSYNC.
    pub csync: Csyncing,
    /// How long a signature is valid; none for the rule that reads the zone's TTLs.
    pub signature_validity: Option<Duration>,
    /// Whether keys are made for it when it is new.
    pub auto_keys: bool,
}

impl ZoneSettings {
    /// Whether other providers sign it, or are about to.
    pub fn is_shared(&self) -> bool {
        !self.providers.is_empty() || !self.external_keys.is_empty()
    }

    /// The place to point at for what is wrong with the zone as a whole.
    pub fn spot(&self) -> Spot {
        match &self.source {
            ContentSource::File { at, .. } => *at,
            ContentSource::Axfr { .. } | ContentSource::Ns1 { .. } => self.at,
        }
    }
}

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

/// The state folder where none is named: `$STATE_DIRECTORY` (the first of them, as systemd sets it), else
/// `state` in the current folder.
pub fn default_state() -> PathBuf {
    match std::env::var_os("STATE_DIRECTORY") {
        Some(folders) if !folders.is_empty() => std::env::split_paths(&folders)
            .next()
            .unwrap_or_else(|| "state".into()),
        _ => "state".into(),
    }
}

/// Reads the file at `path`.
///
/// # Errors
/// Every problem in it, in order of place.
pub fn load(path: &Path) -> Result<Config, Vec<Problem>> {
    let unreadable = |why: String| {
        let what = format!("cannot be read ({why}); name another with -c FILE");
        vec![Problem {
            file: path.to_owned(),
            at: Position::START,
            what,
        }]
    };
    let mut text = Vec::new();
    let file = fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
    file.take(MAX_FILE + 1)
        .read_to_end(&mut text)
        .map_err(|error| unreadable(error.to_string()))?;
    if text.len() as u64 > MAX_FILE {
        return Err(unreadable(format!("larger than {MAX_FILE} octets")));
    }
    parse(&text, path)
}

/// Reads a file's `text`; relative paths in it start at the folder of `path`.
///
/// # Errors
/// Every problem in it, in order of place.
pub fn parse(text: &[u8], path: &Path) -> Result<Config, Vec<Problem>> {
    let mut reader = Reader::new(text);
    let file = read_text(text, &mut reader);
    let config = file.and_then(|file| resolve(file, path, &mut reader));
    let mut found = reader.problems;
    found.sort();
    found.dedup();
    match config {
        Some(config) if found.is_empty() => Ok(config),
        _ => Err(found
            .into_iter()
            .map(|(at, what)| Problem {
                file: path.to_owned(),
                at,
                what,
            })
            .collect()),
    }
}

fn read_text(text: &[u8], reader: &mut Reader<'_>) -> Option<File> {
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            reader.problem(error.valid_up_to(), "not UTF-8 here; save the file as UTF-8 text");
            return None;
        }
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut last_line = 0;
    for error in &errors {
        let offset = error.span().map_or(0, |span| span.start);
        // One slip makes the parser speak several times; the first on a line says most.
        let line = reader.position(offset).line;
        if line != last_line {
            reader.problem(offset, format!("not TOML: {}", error.message()));
        }
        last_line = line;
    }
    // What follows from broken text is noise: absent settings may stand in the broken part, and a value that
    // shares its line with a syntax error was only guessed.
    reader.forgive_absence = !errors.is_empty();
    let broken: Vec<u32> = reader.problems.iter().map(|(at, _)| at.line).collect();
    let syntax = std::mem::take(&mut reader.problems);
    let file = read_table(table.get_ref(), 0, reader);
    // A value that is not there has no place, which reads as the start.
    reader
        .problems
        .retain(|(at, _)| !broken.contains(&at.line) && (broken.is_empty() || *at != Position::START));
    reader.problems.extend(syntax);
    file
}

fn resolve(file: File, path: &Path, reader: &mut Reader<'_>) -> Option<Config> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let broken = reader.forgive_absence;
    let mut problem = |at: Position, what: String| reader.problems.push((at, what));
    if file.listen.value.is_empty() {
        problem(
            file.listen.at,
            "no address; add one, as \"127.0.0.1:5300\"".to_owned(),
        );
    }
    check_listen(&file.listen.value, &mut problem);
    if file.zone.is_empty() && !broken {
        problem(
            Position::START,
            "no zone; add a [[zone]] with its origin and its file".to_owned(),
        );
    }
    let mut first: HashMap<&Name, Position> = HashMap::new();
    for zone in &file.zone {
        if let Some(earlier) = first.get(&zone.origin.value) {
            let what = format!(
                "the zone {} is there already, at line {}; remove one of them",
                zone.origin.value, earlier.line
            );
            problem(zone.origin.at, what);
        } else {
            first.insert(&zone.origin.value, zone.origin.at);
        }
    }
    if let Some(nsid) = file.nsid.as_ref().filter(|nsid| nsid.value.len() > MAX_NSID) {
        problem(
            nsid.at,
            format!("longer than {MAX_NSID} octets; choose a shorter identifier"),
        );
    }
    if let Some(url) = &file.monitor.webhook
        && !url.value.starts_with("https://")
        && !url.value.starts_with("http://")
    {
        let what = "expected an address that begins with \"https://\" or \"http://\"";
        problem(url.at, what.to_owned());
    }
    let validities = file
        .zone
        .iter()
        .filter_map(|zone| zone.signature_validity.as_ref());
    for validity in validities.filter(|validity| !VALIDITY.contains(&validity.value)) {
        let what = "signatures are valid for a week at least (\"7d\") and a year at most (\"365d\")";
        problem(validity.at, what.to_owned());
    }
    let tells_names =
        |zone: &&ZoneFile| zone.denial == Denial::Nsec3 && zone.overload.value == Overload::Ranges;
    for zone in file.zone.iter().filter(tells_names) {
        let what =
            "ranges tell the names that denial = \"nsec3\" hides; choose \"truncate\", or another denial";
        problem(zone.overload.at, what.to_owned());
    }
    let ttls = file.zone.iter().map(|zone| &zone.dnskey_ttl);
    for ttl in ttls.filter(|ttl| !DNSKEY_TTLS.contains(&ttl.value)) {
        let what = "the TTL of the DNSKEY RRset is a second at least (\"1s\") and a week at most (\"7d\")";
        problem(ttl.at, what.to_owned());
    }
    let providers = resolve_providers(&file, folder, &mut problem);
    let vantages = vantage::resolve_vantages(&file, &mut problem);
    let keys = source::resolve_keys(&file, folder, &mut problem);
    let known = source::Known {
        providers: &providers,
        keys: &keys,
        folder,
        forgive_absence: broken,
    };
    let zones = file.zone.iter().filter_map(|zone| {
        let source = source::resolve(zone, known, &mut problem)?;
        Some(resolve_zone(zone, source, folder))
    });
    let zones = zones.collect();
    Some(Config {
        source: Some(path.to_owned()),
        listen: file.listen.value.iter().map(|address| address.value).collect(),
        public_addresses: file.public_addresses,
        state: file.state.map_or_else(default_state, |state| folder.join(state)),
        keys: folder.join(&file.keys.value),
        user: file.user,
        nsid: file.nsid.map(|nsid| nsid.value.into_bytes()).unwrap_or_default(),
        log: file.log,
        udp: file.udp,
        tcp: file.tcp,
        signing: file.signing,
        monitor: file.monitor.into(),
        resolvers: file.resolvers.iter().map(|address| address.value).collect(),
        vantages,
        providers,
        zones,
    })
}

/// The providers, and what is wrong with them or with how zones name them.
fn resolve_providers(
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

fn resolve_zone(zone: &ZoneFile, source: ContentSource, folder: &Path) -> ZoneSettings {
    let place = |path: &At<PathBuf>| (folder.join(&path.value), Some(path.at));
    ZoneSettings {
        origin: zone.origin.value.clone(),
        at: Some(zone.origin.at),
        source,
        largest_shrink: zone.largest_shrink.0 as u8,
        name_servers: zone.name_servers.iter().map(|name| name.value.clone()).collect(),
        external_keys: zone.external_keys.iter().map(place).collect(),
        providers: zone.providers.iter().map(|name| name.value.clone()).collect(),
        exchange_keys: zone.exchange_keys,
        parent: zone.parent.iter().map(|server| server.value.clone()).collect(),
        parent_propagation: zone.parent_propagation,
        our_servers: zone.our_servers.iter().map(|name| name.value.clone()).collect(),
        dnskey_ttl: Ttl::new(u32::try_from(zone.dnskey_ttl.value.as_secs()).unwrap_or(u32::MAX)),
        safety_margin: zone.safety_margin,
        follow: zone.follow,
        denial: zone.denial,
        overload: zone.overload.value,
        cds: zone.cds,
        csync: zone.csync,
        signature_validity: zone.signature_validity.as_ref().map(|validity| validity.value),
        auto_keys: zone.auto_keys,
    }
}

fn check_listen(listen: &[At<SocketAddr>], problem: &mut impl FnMut(Position, String)) {
    for (index, address) in listen.iter().enumerate() {
        if let Some(other) = listen[..index]
            .iter()
            .find(|other| overlap(other.value, address.value))
        {
            let what = format!(
                "{} overlaps {} at {}; keep one of them",
                address.value, other.value, other.at
            );
            problem(address.at, what);
        }
    }
}

/// Whether two addresses cannot both be bound. IPv6 sockets of ours take no IPv4.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let everything = |address: SocketAddr| address.ip().is_unspecified();
    // Port 0 asks for any free port: two of those never meet.
    a.port() == b.port()
        && a.port() != 0
        && a.is_ipv4() == b.is_ipv4()
        && (same_address(a.ip(), b.ip()) || everything(a) || everything(b))
}

fn same_address(a: IpAddr, b: IpAddr) -> bool {
    a == b
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
    use proptest::prelude::*;

    const ZONE: &str = "[[zone]]\norigin = \"example.\"\nfile = \"example.zone\"\n";

    fn problems(text: &str) -> Vec<String> {
        match parse(text.as_bytes(), Path::new("c.toml")) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_small_file_has_every_default() {
        let text = format!("listen = [\"127.0.0.1:5300\"]\nstate = \"/var/s\"\n{ZONE}");
        let config = parse(text.as_bytes(), Path::new("/etc/countersign.toml")).unwrap();
        assert_eq!(config.listen, ["127.0.0.1:5300".parse().unwrap()]);
        assert_eq!(config.state, Path::new("/var/s"));
        assert_eq!(config.keys, Path::new("/etc/keys"));
        assert_eq!(config.udp.payload.0, 1_232);
        assert_eq!(config.zones.len(), 1);
        let zone = &config.zones[0];
        assert_eq!(zone.origin, "example".parse().unwrap());
        assert_eq!(zone.source.file(), Some(Path::new("/etc/example.zone")));
        assert_eq!(
            (zone.denial, zone.cds, zone.auto_keys),
            (Denial::Compact, Cds::Off, false)
        );
    }

    #[test]
    fn a_full_file_is_read() {
        let text = r#"
            listen = ["0.0.0.0:53", "[::]:53", "127.0.0.1:5300"]
            state = "s"
            keys = "k"
            user = "countersign"
            nsid = "ns1.example"
            [log]
            format = "json"
            level = "debug"
            [udp]
            threads = 2
            payload = 0x200
            signatures_per_second = 500
            [tcp]
            connections = 10
            connections_per_prefix = 5
            idle_timeout = "1m30s"
            [[zone]]
            origin = "a.example"
            file = "/zones/a"
            external_keys = ["x", "/y"]
            denial = "nsec3"
            overload = "truncate"
            cds = "publish"
            signature_validity = "30d"
            auto_keys = true
            [[zone]]
            origin = "B.example."
            file = "b"
        "#;
        let config = parse(text.as_bytes(), Path::new("dir/c.toml")).unwrap();
        assert_eq!(config.state, Path::new("dir/s"));
        assert_eq!(config.udp.payload.0, 512);
        assert_eq!(config.udp.signatures_per_second.0, 500);
        assert_eq!(config.zones[0].overload, Overload::Truncate);
        assert_eq!(config.zones[1].overload, Overload::Auto);
        assert!(config.zones[0].is_shared() && !config.zones[1].is_shared());
        assert_eq!(config.tcp.idle_timeout, Duration::from_secs(90));
        assert_eq!(config.zones[0].external_keys[0].0, Path::new("dir/x"));
        assert_eq!(config.zones[0].external_keys[1].0, Path::new("/y"));
        assert_eq!(
            config.zones[0].signature_validity,
            Some(Duration::from_secs(2_592_000))
        );
        assert_eq!(config.zones[1].spot(), Some(Position { line: 29, column: 20 }));
    }

    #[test]
    fn every_problem_is_told_at_once_and_where() {
        let table: &[(&str, &[&str])] = &[
            (
                "",
                &[
                    "c.toml:1:1: `listen` is missing; give a list, each an address and a port, as \
                    \"192.0.2.1:53\" or \"[2001:db8::1]:53\"",
                ],
            ),
            (
                "listen = [\"127.0.0.1\"]\nlisetn = 1\n\n[log]\nformat = \"xml\"\n[[zone]]\nfile = \"\"\n",
                &[
                    "c.toml:1:11: expected an address and a port, as \"192.0.2.1:53\" or \"[2001:db8::1]:53\", \
                     found \"127.0.0.1\"",
                    "c.toml:2:1: unknown setting `lisetn`; did you mean `listen`?",
                    "c.toml:5:10: expected \"text\" or \"json\", found \"xml\"",
                    "c.toml:6:1: `origin` is missing; give a domain name, as \"example.com.\"",
                    "c.toml:7:8: expected a path in double quotes, found \"\"",
                ],
            ),
            (
                "listen = []\n",
                &[
                    "c.toml:1:1: no zone; add a [[zone]] with its origin and its file",
                    "c.toml:1:10: no address; add one, as \"127.0.0.1:5300\"",
                ],
            ),
            (
                "listen = [\"[::]:53\", \"0.0.0.0:53\", \"[::1]:53\", \"127.0.0.1:53\"]\n\
                 [[zone]]\norigin = \"example.\"\nfile = \"example.zone\"\n",
                &[
                    "c.toml:1:36: [::1]:53 overlaps [::]:53 at 1:11; keep one of them",
                    "c.toml:1:48: 127.0.0.1:53 overlaps 0.0.0.0:53 at 1:22; keep one of them",
                ],
            ),
            (
                "listen = [\"127.0.0.1:53\"]\n[[zone]]\norigin = \"a.\"\nfile = \"a\"\n[[zone]]\n\
                 origin = \"A\"\nfile = \"b\"\n",
                &["c.toml:6:10: the zone A. is there already, at line 3; remove one of them"],
            ),
            (
                "listen = [\"127.0.0.1:53\"]\n[[zone]]\norigin = \"a..b\"\nfile = 7\nfile = \"a\"\n",
                &[
                    "c.toml:3:10: \"a..b\" is not a domain name: a label is empty; write a dot only between \
                     labels and at the end",
                    "c.toml:5:1: not TOML: duplicate key",
                ],
            ),
            (
                "zone = 3\nlisten = \"127.0.0.1:53\"",
                &[
                    "c.toml:1:8: expected a list: write a table in double brackets",
                    "c.toml:2:10: expected a list: write brackets around it",
                ],
            ),
            (
                "udp = { payload = 100, threads = -1 }\ntcp.idle_timeout = 10\nlog = 2020-01-01",
                &[
                    "c.toml:1:19: expected a whole number from 512 to 4096, found 100",
                    "c.toml:1:34: expected a whole number from 0 to 256, found -1",
                    "c.toml:2:20: expected a time, as \"30s\", \"90m\", \"12h\", \"14d\" or \"2w\", found 10",
                    "c.toml:3:7: expected a table, found a date",
                ],
            ),
            (
                "listen = [\"127.0.0.1:53\"]\n[[zone]]\norigin = \"a.\"\nfile = \"a\"\ndenial = \"nsec3\"\n\
                 overload = \"ranges\"\n[[zone]]\norigin = \"b.\"\nfile = \"b\"\noverload = \"on\"\n",
                &["c.toml:10:12: expected \"auto\", \"ranges\", \"truncate\" or \"off\", found \"on\""],
            ),
            (
                "listen = [\"127.0.0.1:53\"]\n[[zone]]\norigin = \"a.\"\nfile = \"a\"\ndenial = \"nsec3\"\n\
                 overload = \"ranges\"\n",
                &[
                    "c.toml:6:12: ranges tell the names that denial = \"nsec3\" hides; choose \"truncate\", or \
                    another denial",
                ],
            ),
            (
                "something_else = true",
                &[
                    "c.toml:1:1: unknown setting `something_else`; known here: listen, public_addresses, state, keys, user, nsid, log, \
                 udp, tcp, signing, monitor, resolvers, provider, vantage, tsig, zone",
                ],
            ),
        ];
        for (text, expected) in table {
            let found = problems(text);
            for line in *expected {
                assert!(
                    found.iter().any(|problem| problem == line),
                    "{text}\nlacks {line}\nin {found:#?}"
                );
            }
        }
    }

    #[test]
    fn a_clean_file_has_no_problem() {
        assert_eq!(
            problems(&format!("listen = [\"127.0.0.1:0\", \"127.0.0.1:0\"]\n{ZONE}")),
            [""; 0]
        );
    }

    #[test]
    fn broken_text_is_told_by_its_place_and_hides_what_follows_from_it() {
        let found = problems("listen = [\"127.0.0.1:53\"]\nuser = = 3\n");
        assert_eq!(found, ["c.toml:2:8: not TOML: extra `=`, expected nothing"]);
        assert_eq!(
            parse(b"listen = 1\nuser = \"\xff\"", Path::new("c.toml")).unwrap_err()[0].to_string(),
            "c.toml:2:9: not UTF-8 here; save the file as UTF-8 text"
        );
    }

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

    proptest! {
        #[test]
        fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&octets, Path::new("c.toml"));
        }

        #[test]
        fn no_text_of_ours_panics(
            parts in prop::collection::vec(prop::sample::select(vec![
                "listen", "zone", "[[zone]]", "[", "]", "=", "\n", "\"", "origin", "file", "'", "1", "-", ".",
                "{", "}", ",", "true", "\"a.\"", "udp", "#", "\u{e4}", "1979-05-27", "\\", "\"\"\"",
            ]), 0..40)
        ) {
            let text = parts.concat();
            if let Err(problems) = parse(text.as_bytes(), Path::new("c.toml")) {
                prop_assert!(!problems.is_empty());
            }
        }
    }
}
