//! Key files and the tools of others: BIND's, ldns's and Knot's. They read ours, and we read theirs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    folder::{self, Existing, Folder, StoredKey},
    timing::{Claim, Field, Timing},
    *,
};
use crate::dnssec::{
    algorithm::DigestType,
    key::{SEP, ZONE, ds_text, verify},
};

/// Runs a tool in `folder`; gives what it printed.
fn run(folder: &Path, tool: &str, arguments: &[&str]) -> String {
    let output = Command::new(tool)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{tool}: {error}; run `make tools`"));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{tool} {arguments:?}: {printed}{complaint}"
    );
    printed
}

fn read(folder: &Path, apex: &str) -> Vec<StoredKey> {
    let apex: Name = apex.parse().unwrap();
    let contents = Folder::list(folder).unwrap().read(apex.as_ref());
    assert!(contents.errors.is_empty(), "{:?}", contents.errors);
    contents.keys
}

fn check_signing(key: &StoredKey) {
    let mut signature = Vec::new();
    key.signer.sign(b"message", &mut signature).unwrap();
    assert!(verify(&key.file.dnskey, b"message", &signature));
}

#[test]
fn what_dnssec_keygen_makes_is_read_and_signs() {
    let now = UnixTime(4_000_000_000);
    for (algorithm, size) in [("8", "2048"), ("13", "256"), ("14", "384"), ("15", "256")] {
        for (options, claim) in [
            (&["-f", "KSK"][..], Claim::Active),
            (&["-C"], Claim::Active),
            (&["-G"], Claim::Held),
            (
                &["-L", "3600", "-P", "20200101000000", "-A", "none"],
                Claim::Published,
            ),
            (
                &[
                    "-P",
                    "20200101000000",
                    "-A",
                    "20200102000000",
                    "-I",
                    "20200103000000",
                    "-P",
                    "sync",
                    "20200101000000",
                ],
                Claim::Retired,
            ),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let mut arguments = vec!["-q", "-a", algorithm];
            if algorithm == "8" {
                arguments.extend(["-b", size]);
            }
            arguments.extend(options);
            arguments.push("example.");
            let name = run(dir.path(), "dnssec-keygen", &arguments);
            let keys = read(dir.path(), "example.");
            assert_eq!(keys.len(), 1);
            assert_eq!(keys[0].file.stem(), name.trim());
            assert_eq!(keys[0].file.timing.claim(now), claim, "{arguments:?}");
            assert_eq!(keys[0].file.dnskey.is_sep(), options.contains(&"KSK"));
            check_signing(&keys[0]);
        }
    }
}

#[test]
fn rsa_keys_of_the_sizes_that_ring_takes_are_taken() {
    for (bits, taken) in [
        ("1024", false),
        ("2048", true),
        ("2560", false),
        ("3072", true),
        ("4096", true),
    ] {
        let dir = tempfile::tempdir().unwrap();
        run(
            dir.path(),
            "dnssec-keygen",
            &["-q", "-a", "8", "-b", bits, "example."],
        );
        let apex: Name = "example.".parse().unwrap();
        let contents = Folder::list(dir.path()).unwrap().read(apex.as_ref());
        assert_eq!(
            (contents.keys.len(), contents.errors.len()),
            (usize::from(taken), usize::from(!taken))
        );
        for error in contents.errors {
            let KeyFileError::Key { source, .. } = error else {
                panic!("{error}")
            };
            let source = source.to_string();
            assert!(
                source.contains("RSA keys of 2048, 3072 and 4096 bits can be used"),
                "{source}"
            );
        }
    }
}

#[test]
fn unusual_names_are_those_of_dnssec_keygen() {
    for apex in [
        ".",
        "a/b\\032c\\000.Ex_am-ple.",
        "\\;semi\\(colon\\).example.",
        "_x\\.y.example.",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let name = run(dir.path(), "dnssec-keygen", &["-q", "-a", "13", apex]);
        let keys = read(dir.path(), apex);
        assert_eq!(keys.len(), 1, "{apex}: {name}");
        assert_eq!(keys[0].file.stem(), name.trim());
        check_signing(&keys[0]);
    }
}

#[test]
fn what_ldns_keygen_makes_is_read_and_signs() {
    for algorithm in ["RSASHA256", "ECDSAP256SHA256", "ECDSAP384SHA384", "ED25519"] {
        let dir = tempfile::tempdir().unwrap();
        run(
            dir.path(),
            "ldns-keygen",
            &["-k", "-b", "2048", "-a", algorithm, "example."],
        );
        let keys = read(dir.path(), "example.");
        assert_eq!(keys[0].file.dnskey.algorithm().to_string(), algorithm);
        check_signing(&keys[0]);
    }
}

/// A KSK and a ZSK of ours in a folder, with a zone to sign.
struct Ours {
    dir: tempfile::TempDir,
    files: [KeyFile; 2],
}

impl Ours {
    fn new(algorithm: SigningAlgorithm) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let files = [ZONE | SEP, ZONE].map(|flags| {
            let (dnskey, private) = PrivateKey::generate(algorithm, flags).unwrap();
            let timing = Timing::default().saying(Claim::Active, UnixTime(1_700_000_000));
            KeyFile::new("example.".parse().unwrap(), dnskey, private, timing)
        });
        folder::write(&crate::disk::System, dir.path(), &files, Existing::Refuse).unwrap();
        let zone = "example. 3600 IN SOA ns.example. h.example. 1 3600 600 86400 300\n\
                    example. 3600 IN NS ns.example.\n\
                    ns.example. 3600 IN A 192.0.2.1\n";
        fs::write(dir.path().join("zone"), zone).unwrap();
        Self { dir, files }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn stem(&self, at: usize) -> String {
        self.files[at].stem()
    }

    fn ds(&self) -> String {
        let owner = &self.files[0].owner;
        ds_text(&self.files[0].dnskey.ds(owner.as_ref(), DigestType::Sha256))
    }
}

/// Who gives BIND the folder in the middle of a change of algorithm gets the same signatures and the same DNSKEY RRset.
#[test]
fn bind_signs_with_an_unpublished_key_of_ours_and_leaves_it_out_too() {
    for claim in [Claim::PreActive, Claim::PostActive] {
        let ours = Ours::new(SigningAlgorithm::EcdsaP256Sha256);
        let unpublished = [ZONE | SEP, ZONE].map(|flags| {
            let (dnskey, private) = PrivateKey::generate(SigningAlgorithm::Ed25519, flags).unwrap();
            let timing = Timing::default().saying(claim, UnixTime(1_700_000_000));
            KeyFile::new("example.".parse().unwrap(), dnskey, private, timing)
        });
        folder::write(&crate::disk::System, ours.path(), &unpublished, Existing::Refuse).unwrap();
        let arguments = [
            "-S", "-O", "full", "-K", ".", "-o", "example.", "-f", "signed", "zone",
        ];
        run(ours.path(), "dnssec-signzone", &arguments);
        let signed = fs::read_to_string(ours.path().join("signed")).unwrap();
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let records: Vec<Vec<String>> = signed
            .lines()
            .map(words)
            .filter(|words| words.len() > 6)
            .collect();
        let algorithms = |wanted: fn(&[String]) -> Option<&String>| -> Vec<&String> {
            let mut found: Vec<&String> = records.iter().filter_map(|words| wanted(words)).collect();
            found.sort();
            found
        };
        let of_keys = algorithms(|words| (words[3] == "DNSKEY").then(|| &words[6]));
        let of_soa = algorithms(|words| (words[3] == "RRSIG" && words[4] == "SOA").then(|| &words[5]));
        assert_eq!(of_keys, ["13", "13"], "{claim}: {signed}");
        assert_eq!(of_soa, ["13", "15"], "{claim}: {signed}");
        // Read again, they are what they were.
        let read = read(ours.path(), "example.");
        let of_file = |file: &KeyFile| file.timing.claim(UnixTime(1_800_000_000));
        let same = read.iter().filter(|stored| of_file(&stored.file) == claim);
        assert_eq!(same.count(), 2);
    }
}

const OURS: [SigningAlgorithm; 3] = [
    SigningAlgorithm::EcdsaP256Sha256,
    SigningAlgorithm::EcdsaP384Sha384,
    SigningAlgorithm::Ed25519,
];

#[test]
fn bind_reads_ours() {
    for algorithm in OURS {
        let ours = Ours::new(algorithm);
        let ksk = ours.stem(0);
        let ds = run(ours.path(), "dnssec-dsfromkey", &["-2", &format!("{ksk}.key")]);
        assert_eq!(ds.trim(), format!("example. IN DS {}", ours.ds()));
        let printed = run(ours.path(), "dnssec-settime", &["-u", "-p", "all", &ksk]);
        assert!(printed.contains("Activate: 1700000000"), "{printed}");
        // -S takes keys by their times; it verifies what it has signed.
        let signed = ["-S", "-K", ".", "-o", "example.", "-f", "signed", "zone"];
        run(ours.path(), "dnssec-signzone", &signed);
        run(ours.path(), "dnssec-verify", &["-o", "example.", "signed"]);
        // What BIND writes back is read again, and the same key.
        run(
            ours.path(),
            "dnssec-settime",
            &["-I", "20300101000000", "-D", "20310101000000", &ksk],
        );
        let again = read(ours.path(), "example.");
        let again = again
            .iter()
            .find(|key| key.file.dnskey == ours.files[0].dnskey)
            .unwrap();
        assert_eq!(
            again.file.timing.get(Field::Inactive),
            UnixTime::from_dnssec("20300101000000")
        );
        assert_eq!(
            again.file.timing.get(Field::Activate),
            Some(UnixTime(1_700_000_000))
        );
    }
}

#[test]
fn ldns_reads_ours() {
    for algorithm in OURS {
        let ours = Ours::new(algorithm);
        let ds = run(
            ours.path(),
            "ldns-key2ds",
            &["-n", "-2", &format!("{}.key", ours.stem(0))],
        );
        let ds: Vec<&str> = ds
            .split_ascii_whitespace()
            .skip_while(|word| *word != "DS")
            .skip(1)
            .collect();
        assert_eq!(ds.join(" ").to_uppercase(), ours.ds());
        run(
            ours.path(),
            "ldns-signzone",
            &["-f", "signed", "zone", &ours.stem(0), &ours.stem(1)],
        );
        run(ours.path(), "ldns-verify-zone", &["signed"]);
    }
}

#[test]
fn knot_reads_ours() {
    for algorithm in OURS {
        let ours = Ours::new(algorithm);
        let store = ours.path().join("kasp");
        let store = store.to_str().unwrap();
        for at in 0..2 {
            let file = format!("{}.private", ours.stem(at));
            run(
                ours.path(),
                "keymgr",
                &["-D", store, "example.", "import-bind", &file],
            );
        }
        let listed = run(ours.path(), "keymgr", &["-D", store, "example.", "ds"]);
        let ds = ours.ds().to_lowercase();
        assert!(listed.to_lowercase().contains(&ds), "{listed}\n{ds}");
    }
}

#[test]
fn rsa_files_of_bind_come_back_from_us_unchanged_in_meaning() {
    let dir = tempfile::tempdir().unwrap();
    let name = run(
        dir.path(),
        "dnssec-keygen",
        &["-q", "-a", "8", "-b", "2048", "-f", "KSK", "example."],
    );
    let key = read(dir.path(), "example.").remove(0);
    let before = fs::read_to_string(dir.path().join(format!("{}.private", name.trim()))).unwrap();
    folder::write(
        &crate::disk::System,
        dir.path(),
        std::slice::from_ref(&key.file),
        Existing::Replace,
    )
    .unwrap();
    let after = fs::read_to_string(dir.path().join(format!("{}.private", name.trim()))).unwrap();
    assert_eq!(before, after);
    let private: PathBuf = dir.path().join(format!("{}.key", name.trim()));
    run(dir.path(), "dnssec-dsfromkey", &[private.to_str().unwrap()]);
    check_signing(&read(dir.path(), "example.")[0]);
}
