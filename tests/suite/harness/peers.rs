//! Other people's servers and resolvers, each with a configuration of its own in a folder of its own.

use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use countersign::lab::resolver;
use tempfile::TempDir;

use super::{
    message::Query,
    process::{Server, free_address, run, write},
};

/// Debian keeps daemons where an ordinary user's PATH does not lead.
fn daemon(name: &str) -> Command {
    let path = ["/usr/sbin", "/usr/local/sbin", "/usr/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{name} is not installed; run `make tools`"));
    Command::new(path)
}

/// A server of somebody else's and the folder it lives in.
#[derive(Debug)]
pub struct Peer {
    // In this order: the server ends before its folder goes.
    pub server: Server,
    pub folder: TempDir,
}

impl Peer {
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Has Knot do something, and waits until it is done: `knotc(&["zone-reload", "example."])`.
    pub fn knotc(&self, arguments: &[&str]) -> String {
        let mut command = daemon("knotc");
        command
            .arg("--blocking")
            .arg("--socket")
            .arg(self.folder.path().join("knot.sock"))
            .args(arguments);
        run(&mut command)
    }

    /// Has Knot's `keymgr` do something: `keymgr("example. list")`.
    pub fn keymgr(&self, arguments: &str) -> String {
        keymgr(self.folder.path(), arguments)
    }
}

/// Has `keymgr` do something to the keys of a Knot with its configuration in this folder.
fn keymgr(folder: &Path, arguments: &str) -> String {
    let mut command = daemon("keymgr");
    command.arg("-c").arg(folder.join("knot.conf"));
    run(command.args(arguments.split_whitespace()))
}

/// Knot serves the zones; `settings` stand in each zone's section (`dnssec-signing: on`).
pub fn knot(zones: &[(&str, PathBuf)], settings: &str) -> Peer {
    knot_at(free_address(), zones, settings)
}

/// The same at an address that is known before.
pub fn knot_at(address: SocketAddr, zones: &[(&str, PathBuf)], settings: &str) -> Peer {
    knot_with_keys(address, zones, settings, &[])
}

/// The same with keys that are made before it begins, each as `keymgr` is told.
pub fn knot_with_keys(
    address: SocketAddr,
    zones: &[(&str, PathBuf)],
    settings: &str,
    keys: &[String],
) -> Peer {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().display();
    let mut conf = format!(
        "server:\n    rundir: {here}\n    listen: {}@{}\n    udp-workers: 1\n    tcp-workers: 1\n    \
         background-workers: 1\ndatabase:\n    storage: {here}\nlog:\n  - target: stderr\n    any: info\n",
        address.ip(),
        address.port()
    );
    let (policies, template) = settings.split_once("template:\n").unwrap_or(("", settings));
    write!(
        conf,
        "{policies}template:\n  - id: default\n    storage: {here}\n    zonefile-sync: -1\n{template}zone:\n"
    )
    .unwrap();
    for (origin, file) in zones {
        writeln!(conf, "  - domain: {origin}\n    file: {}", file.display()).unwrap();
    }
    let conf = write(folder.path(), "knot.conf", conf);
    for key in keys {
        keymgr(folder.path(), key);
    }
    let mut command = daemon("knotd");
    command.arg("-c").arg(conf);
    let server = Server::start("knotd", command, address, &Query::plain(zones[0].0, "SOA"));
    Peer { server, folder }
}

/// NSD serves the zones.
pub fn nsd(zones: &[(&str, PathBuf)]) -> Peer {
    nsd_with(zones, "", "")
}

/// NSD serves the zones; `clauses` stand beside its own, `settings` in each zone's.
pub fn nsd_with(zones: &[(&str, PathBuf)], clauses: &str, settings: &str) -> Peer {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let here = folder.path().display();
    let mut conf = format!(
        "server:\n  ip-address: {}@{}\n  username: \"\"\n  chroot: \"\"\n  zonesdir: {here}\n  database: \"\"\n  \
         zonelistfile: {here}/zone.list\n  xfrdfile: {here}/xfrd.state\n  xfrdir: {here}\n  pidfile: \"\"\n  \
         server-count: 1\n  rrl-ratelimit: 0\n  minimal-responses: yes\nremote-control:\n  control-enable: no\n",
        address.ip(),
        address.port()
    );
    for (origin, file) in zones {
        writeln!(
            conf,
            "zone:\n  name: {origin}\n  zonefile: {}\n{settings}",
            file.display()
        )
        .unwrap();
    }
    let conf = write(folder.path(), "nsd.conf", conf + clauses);
    let mut command = daemon("nsd");
    command.arg("-d").arg("-c").arg(conf);
    let server = Server::start("nsd", command, address, &Query::plain(zones[0].0, "SOA"));
    Peer { server, folder }
}

/// Unbound resolves and validates: each zone is asked at its addresses, those of one zone stand together; `anchors`
/// are DS or DNSKEY records.
pub fn unbound(anchors: &str, zones: &[(&str, SocketAddr)], settings: &str) -> Peer {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let conf = resolver::configuration(folder.path(), address, anchors, zones, settings);
    let conf = write(folder.path(), "unbound.conf", conf);
    let mut command = daemon("unbound");
    command.arg("-d").arg("-c").arg(conf);
    // It answers this one by itself.
    let server = Server::start("unbound", command, address, &Query::plain("localhost.", "A"));
    Peer { server, folder }
}

/// Signs a zone with ldns until long after this test is forgotten; `keys` are key files without their ending.
pub fn presign(folder: &Path, zone: &Path, keys: &[PathBuf]) -> PathBuf {
    let signed = folder.join("presigned.zone");
    let mut command = Command::new("ldns-signzone");
    command
        .args(["-i", "20200101000000", "-e", "20850101000000", "-f"])
        .arg(&signed)
        .arg(zone)
        .args(keys);
    run(&mut command);
    assert!(fs::metadata(&signed).unwrap().len() > 0);
    signed
}
