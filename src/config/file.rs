//! `countersign.toml` as people write it: one documented field a setting. What stands here is the
//! reference in `docs/configuration.md`, word for word.

use super::read::{At, Bounded, defaults, settings, words};
use crate::{
    answer::EngineSettings,
    dnssec::{denial::Denial, keyset::Cds},
    serve::limits,
    wire::Name,
};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

settings! {
    /// The whole file.
    pub(super) struct File {
        /// The addresses on which UDP and TCP are served.
        listen: At<Vec<At<SocketAddr>>>,
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
    /// A zone.
    pub(super) struct ZoneFile {
        /// Its apex.
        origin: At<Name>,
        /// Its master file.
        file: At<PathBuf>,
        /// Files with the other provider's DNSKEY records, as `dig +noall +answer DNSKEY` prints them.
        external_keys: Vec<At<PathBuf>> = Vec::new(),
        /// How "no such name" and "no such data" are proved (RFC 9824, RFC 4034, RFC 5155 with RFC 9276).
        denial: Denial = Denial::Compact,
        /// CDS and CDNSKEY: none, one for every KSK, or the request to delete the DS (RFC 8078 §4).
        cds: Cds = Cds::Off,
        /// How long a signature is valid; at least a week, at most a year. TTLs above a third of it are served lowered.
        /// Without it: 14 days, or three times the zone's largest TTL and a day where that is more.
        signature_validity: Option<At<Duration>> = None,
        /// Whether a KSK and a ZSK are made when the zone is new and the keys folder holds none for it.
        auto_keys: bool = false,
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

words!(Cds, "\"off\", \"publish\" or \"delete\"", {
    "off" = Cds::Off,
    "publish" = Cds::Publish,
    "delete" = Cds::Delete,
});
