//! A provider that signs name by name: its apex is signed with the new key, and some of the zone with the old one still,
//! which resolvers may come upon. Nothing is planned, and no key withdrawn, before that is over. And a TTL that it alone
//! has is one to wait for.

use std::{
    cell::{Cell, RefCell},
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use crate::harness::{
    changing::{PATIENCE, Registrar, Site, TTL, keys_at, zone_text},
    peers::{self, Peer},
    process::{free_address, output, run, wait_for, write},
};

const ORIGIN: &str = "example.";
/// What the provider alone has, of one name.
const LARGER_TTL: u32 = 6;

/// The other provider: a zone that somebody signs elsewhere, and that Knot serves as it is.
struct Theirs {
    // In this order: the folder goes last.
    knot: Peer,
    file: PathBuf,
    ksk: PathBuf,
    /// The DNSKEY records of this server.
    ours: Vec<String>,
    serial: Cell<u32>,
    folder: tempfile::TempDir,
}

/// Makes a key; its file without the ending.
fn keygen(folder: &Path, flags: &[&str]) -> PathBuf {
    let mut keygen = Command::new("dnssec-keygen");
    keygen
        .args(["-q", "-a", "ECDSAP256SHA256", "-K"])
        .arg(folder)
        .args(flags);
    folder.join(run(keygen.arg(ORIGIN)).trim())
}

fn dnskey(key: &Path) -> String {
    let text = fs::read_to_string(format!("{}.key", key.display())).unwrap();
    text.lines().last().unwrap().to_owned()
}

impl Theirs {
    fn new(address: SocketAddr, ours: Vec<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = write(folder.path(), "served.zone", zone_text());
        Self {
            knot: peers::knot_at(address, &[(ORIGIN, file.clone())], ""),
            file,
            ksk: keygen(folder.path(), &["-f", "KSK"]),
            ours,
            serial: Cell::new(1),
            folder,
        }
    }

    /// A ZSK.
    fn zsk(&self) -> PathBuf {
        keygen(self.folder.path(), &[])
    }

    /// The zone, signed by one key, with others beside it in the DNSKEY RRset.
    fn signed(&self, signer: &Path, published: &[&Path]) -> String {
        let serial = format!("hostmaster {} ", self.serial.get());
        let text = zone_text().replace("hostmaster 1 ", &serial);
        let mut text = text.replace("theirs A ", &format!("theirs {LARGER_TTL} A "));
        for key in published
            .iter()
            .map(|key| dnskey(key))
            .chain(self.ours.iter().cloned())
        {
            text += &key.replace(" IN DNSKEY", &format!(" {TTL} IN DNSKEY"));
            text.push('\n');
        }
        let plain = write(
            self.folder.path(),
            "plain.zone",
            format!("$ORIGIN {ORIGIN}\n{text}"),
        );
        let signed = peers::presign(self.folder.path(), &plain, &[self.ksk.clone(), signer.to_owned()]);
        fs::read_to_string(signed).unwrap()
    }

    fn serve(&self, text: &str) {
        fs::write(&self.file, text).unwrap();
        self.knot.knotc(&["zone-reload", ORIGIN]);
        self.serial.set(self.serial.get() + 1);
    }
}

/// One zone, with the signature over one RRset from another.
fn with_signature_of(zone: &str, other: &str, owner: &str, rtype: &str) -> String {
    let is_it = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        matches!(fields[..], [of, _, "IN", "RRSIG", covered, ..] if of == owner && covered == rtype)
    };
    let from_other = other.lines().find(is_it).unwrap();
    assert_eq!(zone.lines().filter(is_it).count(), 1);
    let lines = zone
        .lines()
        .map(|line| if is_it(&line) { from_other } else { line });
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_zone_that_is_signed_anew_name_by_name_is_waited_for() {
    let registrar = Registrar::new();
    registrar.point_to_nobody(ORIGIN);
    let (ours, address) = (free_address(), free_address());
    let more = format!(
        "our_servers = [\"ours.example.\"]\nproviders = [\"theirs\"]\nsafety_margin = \"1s\"\n\
         [[provider]]\nname = \"theirs\"\nkind = \"dns\"\nservers = [\"{address}\"]\n\
         server_names = [\"theirs.example.\"]\npoll = \"1s\"\npropagation = \"1s\"\n"
    );
    let site = Site::new(ours, registrar.address(), &[(ORIGIN, &more)]);
    let our_keys = keys_at(ours, ORIGIN);
    let our_keys: Vec<String> = our_keys
        .iter()
        .map(|key| format!("{ORIGIN} IN DNSKEY {key}"))
        .collect();
    let theirs = Theirs::new(address, our_keys);
    let (old, new) = (theirs.zsk(), theirs.zsk());

    // By the old key, and the new one is published.
    theirs.serve(&theirs.signed(&old, &[&new]));
    registrar.point_to_keys_at(ORIGIN, &[ours, address]);
    let has = |count: usize| {
        let keys = wait_for(PATIENCE, || {
            output(&mut site.command(&["peer", "sync", ORIGIN, "--wait", "0s"]));
            (keys_at(ours, ORIGIN).len() == count).then_some(())
        });
        assert!(
            keys.is_some(),
            "{:?}\n{}",
            keys_at(ours, ORIGIN),
            site.told(ORIGIN)
        );
    };
    has(5);

    // By the new key, and the old one is gone; but for one name.
    let before = theirs.signed(&old, &[]);
    let after = theirs.signed(&new, &[]);
    theirs.serve(&with_signature_of(&after, &before, "www.example.", "A"));
    let follow = || {
        let told = output(&mut site.command(&["apply", "follow", ORIGIN, "--provider", "theirs"]));
        let text = [told.stdout, told.stderr].concat();
        (told.status.success(), String::from_utf8_lossy(&text).into_owned())
    };
    let said = RefCell::new(String::new());
    let refused = wait_for(PATIENCE, || {
        let (done, text) = follow();
        assert!(!done, "{text}");
        let is_told = text.contains("other keys sign its www.example. A than its SOA");
        said.replace(text);
        is_told.then_some(())
    });
    assert!(refused.is_some(), "{}\n{}", said.borrow(), site.told(ORIGIN));
    // It has gone there, and is kept here.
    assert_eq!(
        (keys_at(address, ORIGIN).len(), keys_at(ours, ORIGIN).len()),
        (4, 5)
    );

    // All of it: whoever is first to see it, a person or the server itself, follows.
    theirs.serve(&theirs.signed(&new, &[]));
    let followed = wait_for(PATIENCE, || {
        let (_, text) = follow();
        said.replace(text);
        (keys_at(ours, ORIGIN).len() == 4).then_some(())
    });
    assert!(followed.is_some(), "{}\n{}", said.borrow(), site.told(ORIGIN));

    let status = site.status(ORIGIN);
    let ttls = status["observed"]["ttls"].as_array().unwrap();
    let alone = ttls
        .iter()
        .find(|ttl| ttl["of"] == "theirs" && ttl["class"] == "data");
    assert_eq!(alone.unwrap()["ttl_seconds"], LARGER_TTL, "{status:#}");
}
