//! `countersign verify` between our server and a real Knot that signs the same zone with keys of its own: silent where
//! all is well, and for each planted fault exactly the finding that it deserves, with the right exit code.

use std::{fs, net::SocketAddr, path::PathBuf, process::Command};

use tempfile::TempDir;

use crate::{
    harness::{
        message::Record,
        peers::{self, Peer},
        process::{Countersign, Server, countersign, free_address, output, repository, run, write},
        questions,
        spoil::{Spoiler, spoil},
    },
    interop_two_providers::{as_text, dnskeys, other_provider},
};

const ORIGIN: &str = "awkward.example.";

/// What is wrong.
#[derive(Default)]
struct Fault {
    /// A line of the zone, and what Knot has in its place.
    knots_zone: Option<(&'static str, &'static str)>,
    /// Which keys of ours Knot is given; all without this.
    knot_takes: Option<fn(&Record) -> bool>,
    /// Which keys of Knot's we take.
    we_take: Option<fn(&Record) -> bool>,
}

/// Both providers, running.
struct Two {
    _ours: Countersign,
    server: Server,
    knot: Peer,
    /// The DS of both, one a line, as `--ds` takes them.
    ds: Vec<String>,
    zone: PathBuf,
    _folder: TempDir,
}

fn is_zsk(key: &Record) -> bool {
    key.rdata[1] & 1 == 0
}

fn is_ksk(key: &Record) -> bool {
    !is_zsk(key)
}

/// Starts both, and exchanges the keys but for the fault.
fn start(fault: &Fault) -> Two {
    let folder = tempfile::tempdir().unwrap();
    let zone = questions::cut_before(
        &repository("zones/awkward.zone"),
        "; --- the rest is not",
        folder.path(),
    );
    let external = write(folder.path(), "their.keys", "");
    let ours = Countersign::new(ORIGIN, &zone)
        .denial("nsec")
        .external_keys(&external);
    let server = ours.serve();
    let keys = dnskeys(server.address);
    let mut given = keys.clone();
    given.retain(|key| fault.knot_takes.is_none_or(|takes| takes(key)));
    let knots = match fault.knots_zone {
        None => zone.clone(),
        Some((from, to)) => {
            let text = fs::read_to_string(&zone).unwrap();
            assert_eq!(text.matches(from).count(), 1, "{from}");
            write(folder.path(), "other.zone", text.replace(from, to))
        }
    };
    let knot = other_provider(folder.path(), &knots, &given, "nsec");
    let mut theirs = dnskeys(knot.address());
    theirs.retain(|key| !keys.iter().any(|own| own.rdata == key.rdata));
    theirs.retain(|key| fault.we_take.is_none_or(|takes| takes(key)));
    fs::write(&external, as_text(&theirs)).unwrap();
    run(&mut ours.command(&["reload"]));
    // The KSK of Knot's may be one that we did not take.
    let theirs: Vec<Record> = dnskeys(knot.address());
    let of_knot = theirs
        .iter()
        .filter(|key| is_ksk(key) && !keys.iter().any(|own| own.rdata == key.rdata));
    let mut ds: Vec<String> = ours.ds(ORIGIN).lines().map(ds_data).collect();
    ds.extend(of_knot.map(ds_of));
    assert_eq!(ds.len(), 2, "{ds:?}");
    Two {
        _ours: ours,
        server,
        knot,
        ds,
        zone,
        _folder: folder,
    }
}

/// `TAG ALG TYPE DIGEST` of a DS record.
fn ds_data(line: &str) -> String {
    line.split_once(" DS ").expect("a DS record").1.to_owned()
}

fn ds_of(key: &Record) -> String {
    let key = countersign::dnssec::key::Dnskey::from_rdata(&key.rdata).unwrap();
    let origin: countersign::wire::Name = ORIGIN.parse().unwrap();
    countersign::dnssec::key::ds_text(&key.ds(
        origin.as_ref(),
        countersign::dnssec::algorithm::DigestType::Sha256,
    ))
}

/// What the command said: its findings as `severity kind`, and its exit code.
#[derive(Debug)]
struct Said {
    findings: Vec<String>,
    report: serde_json::Value,
    code: i32,
}

impl Two {
    fn command(&self) -> Command {
        let mut command = countersign();
        command.args(["verify", ORIGIN, "--zone-file"]).arg(&self.zone);
        command
            .arg("--server")
            .arg(format!("ours={}", self.server.address));
        command
            .arg("--server")
            .arg(format!("knot={}", self.knot.address()));
        command
    }

    fn verify(&self, ds: &[String], more: &[&str]) -> Said {
        let mut command = self.command();
        for ds in ds {
            command.args(["--ds", ds]);
        }
        said(command.args(more).arg("--json"))
    }
}

fn said(command: &mut Command) -> Said {
    let output = output(command);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&output.stderr)));
    let word = |finding: &serde_json::Value| {
        let part = |key: &str| finding[key].as_str().unwrap().to_owned();
        format!("{} {}", part("severity"), part("kind"))
    };
    Said {
        findings: report["findings"].as_array().unwrap().iter().map(word).collect(),
        code: output.status.code().unwrap(),
        report,
    }
}

#[track_caller]
fn expect(said: &Said, findings: &[&str], code: i32) {
    assert_eq!(said.findings, findings, "{:#}", said.report["findings"]);
    assert_eq!(said.code, code);
}

#[test]
fn two_in_step_are_silent() {
    let two = start(&Fault::default());
    let said = two.verify(&two.ds, &["--strict"]);
    expect(&said, &[], 0);
    let pairs = said.report["pairs"].as_array().unwrap();
    assert_eq!(pairs.len(), 4);
    for pair in pairs {
        for column in ["positive", "nodata", "nxdomain", "wildcard", "dnskey", "cds"] {
            assert!(pair[column]["judged"].as_u64().unwrap() > 0, "{column} in {pair}");
            assert_eq!(pair[column]["bogus"], 0, "{pair}");
        }
    }

    // The DS is missing, or of nobody.
    let without_knots = two.verify(&two.ds[..1], &[]);
    expect(&without_knots, &["bogus no-chain"], 1);
    let nobody = "1 13 2 8D02536C887482BC34FF54E41D2BA659BF85B341A0A20AFADB5813DCFBCF286D".to_owned();
    let with_nobody: Vec<String> = two.ds.iter().cloned().chain([nobody]).collect();
    expect(&two.verify(&with_nobody, &[]), &["would-be ds-without-key"], 1);
    expect(&two.verify(&[], &[]), &["note parent-unknown"], 0);

    // A server that is down: of a provider that has another, and of one that has none.
    let nowhere: SocketAddr = free_address();
    let down = format!("knot={nowhere}");
    expect(
        &two.verify(&two.ds, &["--server", &down]),
        &["unseen unreachable"],
        0,
    );
    let down = format!("third={nowhere}");
    expect(
        &two.verify(&two.ds, &["--server", &down]),
        &["unseen unreachable"],
        1,
    );

    // For people.
    let mut command = two.command();
    command.args(two.ds.iter().flat_map(|ds| ["--ds", ds]));
    let text = run(&mut command);
    for word in [
        "KEYS FROM",
        "ANSWERS FROM",
        "POSITIVE",
        "NODATA",
        "NXDOMAIN",
        "WILDCARD",
        "DNSKEY",
        "DS",
        "CDS",
    ] {
        assert!(text.contains(word), "{word} in\n{text}");
    }
    assert!(
        text.ends_with("nothing is bogus, and nothing would be\n"),
        "{text}"
    );
}

#[test]
fn a_zsk_that_one_lacks_is_bogus() {
    let two = start(&Fault {
        knot_takes: Some(is_ksk),
        ..Fault::default()
    });
    let said = two.verify(&two.ds, &[]);
    expect(&said, &["bogus key-missing"], 1);
    let what = said.report["findings"][0]["what"].as_str().unwrap();
    assert!(
        what.starts_with(&format!(
            "the DNSKEY RRset of knot/{} lacks ZSK ",
            two.knot.address()
        )),
        "{what}"
    );

    let two = start(&Fault {
        we_take: Some(is_ksk),
        ..Fault::default()
    });
    let said = two.verify(&two.ds, &[]);
    expect(&said, &["bogus key-missing"], 1);
    let what = said.report["findings"][0]["what"].as_str().unwrap();
    assert!(
        what.starts_with(&format!(
            "the DNSKEY RRset of ours/{} lacks ZSK ",
            two.server.address
        )),
        "{what}"
    );
}

#[test]
fn a_ksk_that_one_lacks_is_a_note() {
    for fault in [
        Fault {
            knot_takes: Some(is_zsk),
            ..Fault::default()
        },
        Fault {
            we_take: Some(is_zsk),
            ..Fault::default()
        },
    ] {
        let two = start(&fault);
        expect(&two.verify(&two.ds, &["--strict"]), &["note ksk-missing"], 0);
    }
}

#[test]
fn content_that_differs_is_a_difference() {
    for (from, to, kind, accept) in [
        (
            "ns2             A       192.0.2.2",
            "ns2             A       192.0.2.222",
            "content-differs",
            "ns2.awkward.example./A",
        ),
        (
            "mail    2h      A ",
            "mail    3h      A ",
            "ttl-differs",
            "mail.awkward.example./A",
        ),
        (
            "multi   3m      TXT     \"one\" \"\" \"three\"\n",
            "",
            "type-only-at",
            "multi.awkward.example./TXT",
        ),
        (
            "                NS      NS2.Awkward.Example.\n",
            "",
            "name-servers-differ",
            "awkward.example./NS",
        ),
    ] {
        let two = start(&Fault {
            knots_zone: Some((from, to)),
            ..Fault::default()
        });
        let finding = format!("difference {kind}");
        expect(&two.verify(&two.ds, &[]), &[&finding], 0);
        expect(&two.verify(&two.ds, &["--strict"]), &[&finding], 1);
        expect(&two.verify(&two.ds, &["--strict", "--accept", accept]), &[], 0);
    }
}

/// The parent is asked for the DS and the name servers; servers, parent and content come from a configuration.
#[test]
fn the_parent_and_the_configuration() {
    let two = start(&Fault::default());
    let folder = tempfile::tempdir().unwrap();
    let delegation = "awkward NS ns1.awkward\nawkward NS ns2.awkward\nawkward NS ns.elsewhere.test.\n\
                      ns1.awkward A 192.0.2.1\nns2.awkward A 192.0.2.2\n";
    let parent = |name: &str, ds: &[String]| {
        let ds: String = ds.iter().map(|ds| format!("awkward DS {ds}\n")).collect();
        let text = format!("$TTL 3600\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.9\n{delegation}{ds}");
        peers::nsd(&[("example.", write(folder.path(), name, text))])
    };
    let whole = parent("whole.zone", &two.ds);
    let address = whole.address().to_string();
    expect(&two.verify(&[], &["--parent", &address, "--strict"]), &[], 0);
    let half = parent("half.zone", &two.ds[1..]);
    let lagging = half.address().to_string();
    let both = ["--parent", &address, "--parent", &lagging];
    expect(
        &two.verify(&[], &both),
        &["bogus no-chain", "difference ds-differs"],
        1,
    );

    let config = format!(
        "listen = [\"{}\"]\nkeys = \"keys\"\n[[provider]]\nname = \"knot\"\nkind = \"dns\"\nservers = [\"{}\"]\n\
         [[zone]]\norigin = \"{ORIGIN}\"\nfile = \"{}\"\nproviders = [\"knot\"]\nparent = [\"{address}\"]\n",
        two.server.address,
        two.knot.address(),
        two.zone.display()
    );
    let config = write(folder.path(), "countersign.toml", config);
    let verify = |origin: &str| {
        let mut command = countersign();
        command
            .args(["verify", origin, "--strict", "--json", "-c"])
            .arg(&config);
        command
    };
    let said = said(&mut verify(ORIGIN));
    expect(&said, &[], 0);
    let servers: Vec<&str> = said.report["servers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|server| server["provider"].as_str().unwrap())
        .collect();
    assert_eq!(servers, ["ours", "knot"]);
    let questions = said.report["questions"].as_u64().unwrap();
    assert!(questions > 150, "the file is asked for: {questions}");
    let unknown = output(&mut verify("other.example."));
    assert_eq!(unknown.status.code(), Some(1));
}

/// Answers that are spoiled on their way, as by a broken server in front of ours.
#[test]
fn spoiled_answers_are_bogus() {
    let two = start(&Fault::default());
    let kinds = |spoiler| {
        let proxy = spoil(two.server.address, spoiler);
        let mut command = countersign();
        command
            .args(["verify", ORIGIN, "--json", "--zone-file"])
            .arg(&two.zone);
        command.arg("--server").arg(format!("ours={}", proxy.address));
        command
            .arg("--server")
            .arg(format!("knot={}", two.knot.address()));
        command.args(two.ds.iter().flat_map(|ds| ["--ds", ds]));
        said(&mut command)
    };
    expect(&kinds(Spoiler::nothing()), &[], 0);
    let flipped = kinds(Spoiler::flipped_bit());
    expect(&flipped, &["bogus bogus-answer"], 1);
    let what = flipped.report["findings"][0]["what"].as_str().unwrap();
    assert!(what.contains("does not verify"), "{what}");
    let dropped = kinds(Spoiler::dropped_nsec());
    assert_eq!(dropped.code, 1);
    assert!(
        dropped.findings.iter().all(|found| found == "bogus bogus-answer"),
        "{:?}",
        dropped.findings
    );
    // Denials of data, of names, of closer names than a wildcard's, and of a DS.
    assert_eq!(dropped.findings.len(), 4, "{:#}", dropped.report["findings"]);
}

/// Wrong usage ends with 2, and says what to write.
#[test]
fn wrong_usage() {
    for (arguments, word) in [
        (&["--server", "ours="][..], "neither an address nor a name"),
        (
            &["--server", "127.0.0.1", "--ds", "1 13 2"],
            "TAG ALGORITHM DIGEST-TYPE DIGEST",
        ),
        (
            &["--server", "127.0.0.1", "--name", "www.test."],
            "not in awkward.example.",
        ),
        (
            &["--server", "127.0.0.1", "--accept", "www.awkward.example./NOTYPE"],
            "not a record type",
        ),
        (&["--server", "127.0.0.1", "--samples", "1000000"], "10000"),
    ] {
        let output = output(countersign().args(["verify", ORIGIN]).args(arguments));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(word), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty());
    }
}
