//! `countersign.toml` as people write it: one documented field a setting. What stands here is the
//! reference in `docs/configuration.md`, word for word.

use super::read::{At, Bounded, Value, defaults, settings, words};
use crate::{
    answer::{EngineSettings, Overload, engine::SYNTHESIS_RATE},
    client::tsig::TsigAlgorithm,
    dnssec::{csync::Csyncing, denial::Denial, keyset::Cds},
    provider::ns1::{
        Nesting, Values,
        settings::{ENDPOINT, KEY_SET},
    },
    serve::limits,
    wire::Name,
};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// By how many percent content may shrink at once where nothing is said.
pub(super) const LARGEST_SHRINK: u8 = 20;

settings! {
    /// The whole file.
    pub(super) struct File {
        /// The addresses on which UDP and TCP are served.
        listen: At<Vec<At<SocketAddr>>>,
        /// Addresses in NS RRsets that lead to this server from outside and not from here, as behind NAT: for plans it is enough that
        /// it is asked where it listens. Name no address of another host.
        public_addresses: Vec<IpAddr> = Vec::new(),
        /// The folder that holds the key register and the control socket.
        /// Without it: `$STATE_DIRECTORY` when that is set, as systemd does, else `state` in the current folder.
        state: Option<PathBuf> = None,
        /// The folder that holds our key files, as BIND names and writes them.
        keys: At<PathBuf> = At { value: "keys".into(), at: crate::config::Position::START },
        /// The user to become once the addresses are bound, when started as root.
        /// The zone and key files must be readable, and the state and keys folders writable, for this user, as whom
        /// they are read again at each reload.
        user: Option<String> = None,
        /// The name server identifier given to those who ask for it (RFC 5001).
        nsid: Option<At<String>> = None,
        /// What is logged, and how.
        log: LogSettings = defaults(),
        /// Limits of UDP.
        udp: UdpSettings = defaults(),
        /// Limits of TCP.
        tcp: TcpSettings = defaults(),
        /// Signing ahead.
        signing: SigningSettings = defaults(),
        /// The watch over the zones, and where alarms go.
        monitor: MonitorFile = defaults(),
        /// Resolvers that are asked for the addresses of providers' and parents' name servers.
        /// Without any: those of /etc/resolv.conf.
        resolvers: Vec<At<SocketAddr>> = Vec::new(),
        /// Another signing provider of zones; one `[[provider]]` each.
        provider: Vec<ProviderFile> = Vec::new(),
        /// Another place from which the other providers' servers and the parents' are asked, at most eight at the same time; one `[[vantage]]` each.
        vantage: Vec<VantageFile> = Vec::new(),
        /// A key that is shared with the servers that zones are transferred from; one `[[tsig]]` each.
        tsig: Vec<TsigFile> = Vec::new(),
        /// A zone to serve; one `[[zone]]` each.
        zone: Vec<ZoneFile> = Vec::new(),
    }
}

settings! {
    /// What is logged, and how. Logs go to stderr.
    pub struct LogSettings {
        /// Text for people, or one JSON object a line.
        format: LogFormat = LogFormat::Text,
        /// How much: nothing is logged for a single question below `debug`.
        level: LogLevel = LogLevel::Info,
    }
}

settings! {
    /// Limits of UDP.
    pub struct UdpSettings {
        /// Threads that answer datagrams; 0 stands for one a processor.
        threads: Bounded<0, 256> = Bounded(0),
        /// The largest answer in octets; the client's own limit counts as well (RFC 6891, RFC 9715).
        payload: Bounded<512, 4096> = Bounded(EngineSettings::default().udp_payload.into()),
        /// The budget: how many signatures a second each thread makes for names that are not in the zone and answers
        /// below wildcards. Beyond it the zone's `overload` says what is done.
        signatures_per_second: Bounded<1, 1_000_000> = Bounded(SYNTHESIS_RATE as u64),
    }
}

settings! {
    /// Limits of TCP. At a limit the connection that was idle longest is closed; a new one is not refused.
    pub struct TcpSettings {
        /// Connections in all.
        connections: Bounded<1, 1_000_000> = Bounded(limits::TCP_CONNECTIONS as u64),
        /// Connections from one client prefix (IPv4 /24, IPv6 /56).
        connections_per_prefix: Bounded<1, 1_000_000> = Bounded(limits::TCP_CONNECTIONS_A_PREFIX as u64),
        /// How long a connection may be idle (RFC 7766 §6.2.3).
        idle_timeout: Duration = limits::TCP_IDLE,
    }
}

settings! {
    /// Signing ahead: what is served is signed before it is asked for, and again days before it expires.
    pub struct SigningSettings {
        /// How much of one processor it may take, in hundredths; it only runs while nothing else wants to.
        /// 0: nothing is signed before it is asked for.
        ahead: Bounded<0, 100> = Bounded(80),
    }
}

settings! {
    /// The watch over the zones, and where alarms go. What was wrong in two looks one after the other is an alarm, and
    /// over when three looks do not find it.
    pub(super) struct MonitorFile {
        /// How often each zone is looked at: what `status` warns of, and for a zone with other providers what
        /// `countersign verify` finds. "0s": never.
        every: Duration = Duration::from_secs(300),
        /// How many observations of every zone are kept in the store: what each server showed from when to when, so that
        /// a TTL that was lowered counts in plans as long as caches may hold it. What is too old to count is dropped, and
        /// beyond this number the oldest are merged.
        observations: Bounded<500, 100_000> = Bounded(2_000),
        /// A command, with its arguments, that is run when an alarm is raised and when it is over, with a JSON object
        /// on its standard input and none of the server's environment; until it ends with 0, for at most an hour.
        command: Vec<String> = Vec::new(),
        /// An http or https address to which the same object is posted, until it is taken, for at most an hour.
        webhook: Option<At<String>> = None,
    }
}

settings! {
    /// Another signing provider.
    pub(super) struct ProviderFile {
        /// What zones, commands and messages call it.
        name: At<String>,
        /// What it is: "ns1" for IBM NS1 Connect, by its API; "dns" for any other, by queries alone.
        kind: ProviderKind,
        /// Where NS1's API is.
        endpoint: At<String> = At { value: ENDPOINT.to_owned(), at: crate::config::Position::START },
        /// The file that holds the API key; nobody else may read it.
        api_key_file: Option<At<PathBuf>> = None,
        /// The environment variable that holds the API key.
        api_key_env: Option<String> = None,
        /// A file with further certificates (PEM) that the API's may rest on; for a lab or a proxy.
        ca_file: Option<PathBuf> = None,
        /// The set of external keys at NS1 that is ours.
        key_set: String = KEY_SET.to_owned(),
        /// How a set of keys is put into a request: as a member "dnskey", or bare.
        body: Nesting = Nesting::Wrapped,
        /// How the numbers of a key are put: as numbers, or as strings.
        numbers: Values = Values::Numbers,
        /// Its name servers, by name, address, or address and port.
        /// Without any: those that its API names; with kind "dns", at least one must be given.
        servers: Vec<At<ServerAt>> = Vec::new(),
        /// How often its keys are looked at.
        poll: Duration = Duration::from_secs(300),
        /// How long what it was given may take to show at all its servers.
        propagation: Duration = Duration::from_secs(300),
        /// The names of its servers in NS RRsets. Without any: the names in `servers`, and those that its API names.
        server_names: Vec<At<Name>> = Vec::new(),
        /// Whether it can show CDS and CDNSKEY for just the keys that a plan wants, signed with its KSK: kind "ns1" is
        /// given them by its API, to any other a person gives them, or it copies ours. See `cds` of the zone.
        cds: bool = false,
        /// Whether it can show a CSYNC record when a plan wants it, as with `cds`. See `csync` of the zone.
        csync: bool = false,
        /// Its KSKs that are believed without a DS at the parent, each as DS or DNSKEY data.
        pinned: Vec<At<String>> = Vec::new(),
    }
}

settings! {
    /// Another place from which the other providers' servers and the parents' are asked: from one place one sees one site
    /// of an anycast address. What is seen from there counts as what is seen from here, and a step of a plan needs both.
    pub(super) struct VantageFile {
        /// What messages call it.
        name: At<String>,
        /// A command, with its arguments, that makes its standard input and output a TCP connection from there to a name
        /// server, as ssh's ProxyCommand does: "%h" stands for the server's address, "%p" for its port. As
        /// ["ssh", "-o", "BatchMode=yes", "-W", "[%h]:%p", "vantage@host.example.net"].
        command: At<Vec<String>>,
        /// How long one server may take to answer all that it is asked from there.
        timeout: At<Duration> = At { value: Duration::from_secs(10), at: crate::config::Position::START },
    }
}

settings! {
    /// A key that is shared with the servers that zones are transferred from (RFC 8945).
    pub(super) struct TsigFile {
        /// Its name, which the other side must have the same.
        name: At<Name>,
        /// Its algorithm.
        algorithm: TsigAlgorithm = TsigAlgorithm::HmacSha256,
        /// The file that holds the secret in base64; nobody else may read it.
        secret_file: At<PathBuf>,
    }
}

settings! {
    /// A zone.
    pub(super) struct ZoneFile {
        /// Its apex.
        origin: At<Name>,
        /// Where its content comes from: a master file, another server by zone transfers, or NS1's API.
        source: At<SourceKind> = At { value: SourceKind::File, at: crate::config::Position::START },
        /// Its master file; must be given where that is the source.
        file: Option<At<PathBuf>> = None,
        /// The servers it is transferred from, the first that answers; notices of changes are taken from their
        /// addresses (RFC 1996). Must be given where the source is "axfr".
        primaries: Vec<At<SocketAddr>> = Vec::new(),
        /// The `[[tsig]]` that transfers are signed with, by its name.
        tsig: Option<At<Name>> = None,
        /// How often NS1 is asked whether the content has changed, where that is the source.
        poll: Duration = Duration::from_secs(60),
        /// By how many percent of its records the content of a transfer or an export may shrink at once; more waits for
        /// `countersign accept content`.
        largest_shrink: Bounded<0, 100> = Bounded(LARGEST_SHRINK as u64),
        /// The name servers of all providers, which the apex NS RRset then names instead of those in the content.
        name_servers: Vec<At<Name>> = Vec::new(),
        /// Files with the other provider's DNSKEY records, as `dig +noall +answer DNSKEY` prints them.
        external_keys: Vec<At<PathBuf>> = Vec::new(),
        /// The other providers that sign the zone, by the names of their `[[provider]]`.
        providers: Vec<At<String>> = Vec::new(),
        /// Whether keys are exchanged with them as the server runs; otherwise only by `countersign peer`.
        exchange_keys: bool = true,
        /// The name servers of the parent zone, which hold the DS, by name, address, or address and port.
        /// Without any: the resolvers are asked for them.
        parent: Vec<At<ServerAt>> = Vec::new(),
        /// How long a change at the parent may take to show at all its servers; where it reads CDS, from the moment at which it reads them.
        parent_propagation: Duration = Duration::from_secs(300),
        /// The names of this server in NS RRsets, and of further hosts of ours, which plans ask too. Without any: all that
        /// no provider has.
        our_servers: Vec<At<Name>> = Vec::new(),
        /// How much longer than its TTL some caches may keep anything: every wait of a plan is longer by it.
        safety_margin: Duration = Duration::from_secs(3600),
        /// Whether keys that another provider gave up by itself are withdrawn here, by the plan `follow`, once nobody
        /// can hold anything that needs them.
        follow: bool = true,
        /// How "no such name" and "no such data" are proved (RFC 9824, RFC 4034, RFC 5155 with RFC 9276).
        denial: Denial = Denial::Compact,
        /// What is done with questions beyond the budget of signatures, as in a flood of random names: exact NSEC ranges,
        /// of which there are only as many as names; a truncated answer, so that honest resolvers come again over TCP;
        /// or signing without a budget. Ranges deny names that only another provider has, so "auto" is ranges where no
        /// other provider signs the zone, and truncation where one does; "ranges" is your word that all have the same names.
        overload: At<Overload> = At { value: Overload::Auto, at: crate::config::Position::START },
        /// CDS and CDNSKEY: none; one for every KSK, at all times; "rollover": by plans alone, for exactly the keys that a
        /// plan wants, until the parent has a DS for each (RFC 7344), where every provider can show the same; or the
        /// request to delete the DS (RFC 8078 §4).
        cds: Cds = Cds::Off,
        /// CSYNC, which has the parent take the zone's NS RRset: none; "rollover": by the plans `join` and `leave` alone,
        /// until the parent has it (RFC 7477), where every provider that the parent asks can show the same.
        csync: Csyncing = Csyncing::Off,
        /// The TTL of the DNSKEY, CDS and CDNSKEY RRsets, a week at most; smaller where another provider's servers answer
        /// with a smaller one, for one RRset has one TTL. Where it is lowered, plans wait as long as caches may hold the old one.
        dnskey_ttl: At<Duration> = At { value: Duration::from_secs(3600), at: crate::config::Position::START },
        /// How long a signature is valid; at least a week, at most a year. TTLs above a third of it are served lowered.
        /// Without it: 14 days, or three times the zone's largest TTL and a day where that is more.
        signature_validity: Option<At<Duration>> = None,
        /// Whether a KSK and a ZSK are made when the zone is new and the keys folder holds none for it.
        auto_keys: bool = false,
    }
}

/// Where a zone's content comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SourceKind {
    /// A master file.
    File,
    /// Another server, by zone transfers.
    Axfr,
    /// NS1's API.
    Ns1,
}

words!(SourceKind, "\"file\", \"axfr\" or \"ns1\"", {
    "file" = SourceKind::File,
    "axfr" = SourceKind::Axfr,
    "ns1" = SourceKind::Ns1,
});

words!(TsigAlgorithm, "\"hmac-sha256\", \"hmac-sha384\" or \"hmac-sha512\"", {
    "hmac-sha256" = TsigAlgorithm::HmacSha256,
    "hmac-sha384" = TsigAlgorithm::HmacSha384,
    "hmac-sha512" = TsigAlgorithm::HmacSha512,
});

/// What a provider is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProviderKind {
    /// IBM NS1 Connect.
    Ns1,
    /// Any other: seen by queries alone.
    Dns,
}

words!(ProviderKind, "\"ns1\" or \"dns\"", { "ns1" = ProviderKind::Ns1, "dns" = ProviderKind::Dns, });

words!(Nesting, "\"wrapped\" or \"bare\"", { "wrapped" = Nesting::Wrapped, "bare" = Nesting::Bare, });

words!(Values, "\"numbers\" or \"strings\"", { "numbers" = Values::Numbers, "strings" = Values::Strings, });

/// A name server as people write it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ServerAt {
    /// Where it is.
    Address(SocketAddr),
    /// What it is called; its addresses are looked up.
    Name(Name),
}

impl std::str::FromStr for ServerAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = text
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<std::net::IpAddr>();
        if let Ok(address) = address {
            return Ok(Self::Address((address, DNS_PORT).into()));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let name: Name = text
            .parse()
            .map_err(|error| format!("neither an address nor a name: {error}"))?;
        // A slip in an address must not become a name that nobody has.
        let last = name.as_ref().labels().last();
        if last.is_none_or(|label| label.iter().all(u8::is_ascii_digit)) {
            return Err("neither an address nor a name".to_owned());
        }
        Ok(Self::Name(name))
    }
}

impl std::fmt::Display for ServerAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) if address.port() == DNS_PORT => address.ip().fmt(f),
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// Where name servers answer.
const DNS_PORT: u16 = 53;

impl Value for ServerAt {
    fn wanted() -> String {
        "a server, as \"192.0.2.1\", \"[2001:db8::1]:53\" or \"dns1.example.net.\"".to_owned()
    }

    fn read(
        value: &toml::Spanned<toml::de::DeValue<'_>>,
        reader: &mut super::read::Reader<'_>,
    ) -> Option<Self> {
        let read = value.get_ref().as_str().and_then(|text| text.parse().ok());
        read.or_else(|| reader.wrong(value))
    }

    fn write(&self) -> String {
        format!("\"{self}\"")
    }
}

/// How log lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

words!(LogFormat, "\"text\" or \"json\"", { "text" = LogFormat::Text, "json" = LogFormat::Json, });

/// How much is logged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogLevel {
    /// What failed.
    Error,
    /// And what a person should look at.
    Warn,
    /// And what changed.
    Info,
    /// And single questions.
    Debug,
    /// Everything.
    Trace,
}

words!(LogLevel, "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"", {
    "error" = LogLevel::Error,
    "warn" = LogLevel::Warn,
    "info" = LogLevel::Info,
    "debug" = LogLevel::Debug,
    "trace" = LogLevel::Trace,
});

words!(Denial, "\"compact\", \"nsec\" or \"nsec3\"", {
    "compact" = Denial::Compact,
    "nsec" = Denial::Nsec,
    "nsec3" = Denial::Nsec3,
});

words!(Overload, "\"auto\", \"ranges\", \"truncate\" or \"off\"", {
    "auto" = Overload::Auto,
    "ranges" = Overload::Ranges,
    "truncate" = Overload::Truncate,
    "off" = Overload::Off,
});

words!(Csyncing, "\"off\" or \"rollover\"", {
    "off" = Csyncing::Off,
    "rollover" = Csyncing::Rollover,
});

words!(Cds, "\"off\", \"publish\", \"rollover\" or \"delete\"", {
    "off" = Cds::Off,
    "publish" = Cds::Publish,
    "rollover" = Cds::Rollover,
    "delete" = Cds::Delete,
});
