//! What a configuration file comes to, and every problem in one.

use super::*;
use crate::dnssec::keyset::Cds;
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
    assert_eq!(config.zones[1].spot(), Some(Position { line: 29, column: 16 }));
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
