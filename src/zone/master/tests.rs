//! What master files say, line by line, and what is said about those that are wrong.

use std::fs;

use proptest::prelude::*;

use super::*;
use crate::wire::{Name, Ttl};

struct Outcome {
    records: Vec<String>,
    read: Read,
}

impl Outcome {
    /// `FILE:LINE:COLUMN: what`, the file by its last name.
    fn said(&self, problems: &[Problem]) -> Vec<String> {
        problems
            .iter()
            .map(|problem| {
                let name = self.read.file(problem.at).file_name().unwrap_or_default();
                let Place { line, column, .. } = problem.at;
                format!("{}:{line}:{column}: {problem}", name.display())
            })
            .collect()
    }

    fn errors(&self) -> Vec<String> {
        self.said(&self.read.errors)
    }

    fn warnings(&self) -> Vec<String> {
        self.said(&self.read.warnings)
    }
}

fn read_source(source: &Source<'_>) -> Outcome {
    let origin: Name = "example.".parse().unwrap();
    let mut records = Vec::new();
    let read = read(source, origin.as_ref(), &mut |entry| {
        let mut line = String::new();
        print_record(entry.owner, entry.ttl, entry.rtype, entry.rdata, &mut line).unwrap();
        let fields: Vec<&str> = line.split_whitespace().filter(|field| *field != "IN").collect();
        records.push(format!("{}: {}", entry.at.line, fields.join(" ")));
    });
    assert_eq!(read.records, records.len() as u64);
    Outcome { records, read }
}

fn read_text(text: &str) -> Outcome {
    read_source(&Source::Text {
        name: "text",
        octets: text.as_bytes(),
    })
}

/// A table row: the text, and the records made of it with the line they stand on.
fn row(text: &str, records: &[&str]) {
    let found = read_text(text);
    assert_eq!(found.errors(), Vec::<String>::new(), "{text}");
    assert_eq!(found.records, records, "{text}");
}

#[test]
fn records_are_those_of_rfc_1035_5_1() {
    row("a 60 IN A 192.0.2.1\n", &["1: a.example. 60 A 192.0.2.1"]);
    row("a IN 60 A 192.0.2.1", &["1: a.example. 60 A 192.0.2.1"]);
    row(
        "a 60 A 192.0.2.1\r\n\tAAAA ::1\r\n",
        &["1: a.example. 60 A 192.0.2.1", "2: a.example. 60 AAAA ::1"],
    );
    row("$TTL 1h30m\na A 192.0.2.1", &["2: a.example. 5400 A 192.0.2.1"]);
    row(
        "$ttl 60\n$origin b\na class1 a 192.0.2.1\n@ NS a",
        &[
            "3: a.b.example. 60 A 192.0.2.1",
            "4: b.example. 60 NS a.b.example.",
        ],
    );
    row(
        "; c\n\n  ; c\n  \n$TTL 60 ; c\n\\@ A 192.0.2.1;c",
        &["6: \\@.example. 60 A 192.0.2.1"],
    );
    row(
        "a 60 TXT ( \"x\" ; c\n\n\ty ) z\nb 60 A 192.0.2.1",
        &[
            "1: a.example. 60 TXT \"x\" \"y\" \"z\"",
            "4: b.example. 60 A 192.0.2.1",
        ],
    );
    row("( a\n60 ) A 192.0.2.1", &["1: a.example. 60 A 192.0.2.1"]);
    // Owners that look like something else.
    row(
        "$TTL 60\nA A 192.0.2.1\nIN A 192.0.2.1\n60 A 192.0.2.1\nTTL IN A 192.0.2.1",
        &[
            "2: A.example. 60 A 192.0.2.1",
            "3: IN.example. 60 A 192.0.2.1",
            "4: 60.example. 60 A 192.0.2.1",
            "5: TTL.example. 60 A 192.0.2.1",
        ],
    );
    row(
        "a 60 TYPE1 192.0.2.1\na 60 TYPE65280 \\# 1 AB\na 60 A \\# 4 C0000201",
        &[
            "1: a.example. 60 A 192.0.2.1",
            "2: a.example. 60 TYPE65280 \\# 1 AB",
            "3: a.example. 60 A 192.0.2.1",
        ],
    );
    row(
        ". 60 NS .\nb.other. 60 A 192.0.2.1",
        &["1: . 60 NS .", "2: b.other. 60 A 192.0.2.1"],
    );
    row(
        "$TTL 0\nx A 192.0.2.1\n$ORIGIN .\n A 192.0.2.2",
        &["2: x.example. 0 A 192.0.2.1", "4: x.example. 0 A 192.0.2.2"],
    );
    row("", &[]);
}

#[test]
fn a_ttl_is_found_as_bind_finds_it() {
    let soa = "@ SOA a b 1 2 3 4 5\n";
    let found = read_text(&format!("{soa}a A 192.0.2.1\nb 7 A 192.0.2.1\nc A 192.0.2.1"));
    assert_eq!(found.errors(), [""; 0]);
    assert_eq!(
        found.records[0],
        "1: example. 5 SOA a.example. b.example. 1 2 3 4 5"
    );
    assert_eq!(
        found.records[1..],
        [
            "2: a.example. 5 A 192.0.2.1",
            "3: b.example. 7 A 192.0.2.1",
            "4: c.example. 5 A 192.0.2.1"
        ]
    );
    assert_eq!(
        found.warnings(),
        [
            "text:1:1: no TTL and no $TTL above; the SOA's minimum, 5, is taken for this record and those that follow"
        ]
    );

    let found = read_text("a 7 A 192.0.2.1\nb A 192.0.2.1\nc A 192.0.2.1");
    assert_eq!(
        found.records[1..],
        ["2: b.example. 7 A 192.0.2.1", "3: c.example. 7 A 192.0.2.1"]
    );
    assert_eq!(
        found.warnings(),
        [
            "text:2:1: no $TTL above; records without a TTL take that of the record before (RFC 1035 §5.1), here 7"
        ]
    );

    let found = read_text("a A 192.0.2.1\n$TTL 60\nb A 192.0.2.1");
    assert_eq!(
        found.errors(),
        [
            "text:1:1: no TTL; write one, or $TTL above (RFC 2308 §4). It can also come from the record before, or from the SOA's minimum"
        ]
    );
    assert_eq!(found.records, ["3: b.example. 60 A 192.0.2.1"]);

    let found = read_text("$TTL 4294967295\na A 192.0.2.1\nb 2147483648 A 192.0.2.1");
    assert_eq!(
        found.records,
        ["2: a.example. 0 A 192.0.2.1", "3: b.example. 0 A 192.0.2.1"]
    );
    assert_eq!(
        found.warnings(),
        [
            "text:1:6: a TTL of 4294967295 is above 2147483647, and so counts as 0 (RFC 2181 §8)",
            "text:3:3: a TTL of 2147483648 is above 2147483647, and so counts as 0 (RFC 2181 §8)",
        ]
    );
}

#[test]
fn every_error_is_found_where_it_stands_and_reading_goes_on() {
    let text = "$TTL x
 A 192.0.2.1
a A 192.0.2.256
b CH A 192.0.2.1
b 60 60 A 192.0.2.1
c FOO 192.0.2.1
d..d A 192.0.2.1
  A 192.0.2.999
  A 192.0.2.1
e ANY 192.0.2.1
f TXT (\"x
  \"y\" )
$FOO
$ORIGIN
$ORIGIN a b
g A 192.0.2.1 )
h
i 1h
j A
\"k\" A 192.0.2.1
l MX 10 m
m TYPE300 m
$INCLUDE x
n 60 TXT \"\\x\\300\"
last A ( 192.0.2.1
o A 192.0.2.1
";
    let found = read_text(text);
    assert_eq!(
        found.errors(),
        [
            "text:1:6: expected a TTL such as 3600 or 1h, found `x`",
            "text:2:2: expected an owner, found a blank; no record stands before this one whose owner it could share",
            "text:3:5: A record: expected an IPv4 address, found `192.0.2.256`",
            "text:4:3: expected class IN, found `CH`",
            "text:5:6: expected a class or a record type, found `60`",
            "text:6:3: expected a TTL, a class or a record type, found `FOO`",
            "text:7:1: expected a name, found `d..d`: a label is empty; write a dot only between labels and at the end",
            "text:8:5: A record: expected an IPv4 address, found `192.0.2.999`",
            "text:10:3: ANY is a type of questions and messages; a zone holds no records of it",
            "text:11:8: TXT record: expected a closing quote on the same line, found the end of the line",
            "text:13:1: expected $ORIGIN, $TTL, $INCLUDE or $GENERATE, found `$FOO`",
            "text:14:8: expected a name, found the end of the record",
            "text:15:11: expected the end of the record, found `b`",
            "text:16:15: A record: found a closing parenthesis that none opened",
            "text:17:2: expected a TTL, a class or a record type, found the end of the record",
            "text:18:5: expected a class or a record type, found the end of the record",
            "text:19:4: A record: expected an IPv4 address, found the end of the record",
            "text:20:1: expected an owner, found `\"k\"`",
            "text:22:11: TYPE300 record: expected \\# and the rdata in hexadecimal, found `m`",
            "text:23:10: $INCLUDE works in files only",
            "text:24:10: TXT record: expected a character or three digits up to 255 behind a backslash, found `\"\\x\\300\"`",
            "text:26:1: A record: expected the end of the record, found `o`",
            "text:25:8: expected a closing parenthesis for this one, found the end of the file",
        ]
    );
    assert_eq!(found.records, ["21: l.a.example. 0 MX 10 m.a.example."]);
}

#[test]
fn errors_are_counted_when_they_are_many() {
    let found = read_text(&"a 60 A x\n".repeat(250));
    assert_eq!(
        (found.read.errors.len(), found.read.more_errors),
        (MAX_PROBLEMS, 250 - MAX_PROBLEMS)
    );
    let found = read_text(&"a 4294967295 A 192.0.2.1\n".repeat(250));
    assert_eq!(
        (found.read.warnings.len(), found.records.len()),
        (MAX_PROBLEMS, 250)
    );
}

#[test]
fn files_include_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    };
    let main = write(
        "main",
        "$TTL 60\na A 192.0.2.1\n$INCLUDE parts/one sub ; c\n A 192.0.2.2\n$INCLUDE \"parts/one\"\nlast A 192.0.2.3",
    );
    write(
        "parts/one",
        " A 192.0.2.8\n$TTL 7\n@ A 192.0.2.9\n$ORIGIN x\n$INCLUDE two\n",
    );
    write("parts/two", "two A 192.0.2.7");
    let found = read_source(&Source::File(&main));
    assert_eq!(
        found.records,
        [
            "2: a.example. 60 A 192.0.2.1",
            "3: sub.example. 7 A 192.0.2.9",
            "1: two.x.sub.example. 7 A 192.0.2.7",
            // The owner and the origin are those of before, the TTL is not (as in BIND).
            "4: a.example. 7 A 192.0.2.2",
            "3: example. 7 A 192.0.2.9",
            "1: two.x.example. 7 A 192.0.2.7",
            "6: last.example. 7 A 192.0.2.3",
        ]
    );
    let blank =
        "expected an owner, found a blank; no record stands before this one whose owner it could share";
    assert_eq!(
        found.errors(),
        [format!("one:1:2: {blank}"), format!("one:1:2: {blank}")]
    );
    assert_eq!(found.read.files.len(), 5);
}

#[test]
fn inclusion_has_limits() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("a"), "$INCLUDE b\nx 60 A 192.0.2.1\n$INCLUDE none").unwrap();
    fs::write(path("b"), "\n$INCLUDE a").unwrap();
    let found = read_source(&Source::File(&path("a")));
    let real = |name: &str| path(name).canonicalize().unwrap().display().to_string();
    assert_eq!(
        found.errors(),
        [
            format!(
                "b:2:10: $INCLUDE goes in a circle: {} → {} → {}",
                real("a"),
                real("b"),
                real("a")
            ),
            format!(
                "a:3:10: cannot read {}: No such file or directory (os error 2)",
                path("none").display()
            ),
        ]
    );
    assert_eq!(found.records, ["2: x.example. 60 A 192.0.2.1"]);

    for level in 0..20 {
        fs::write(path(&format!("l{level}")), format!("$INCLUDE l{}", level + 1)).unwrap();
    }
    let found = read_source(&Source::File(&path("l0")));
    assert_eq!(found.errors(), ["l16:1:10: $INCLUDE is nested deeper than 16"]);

    // Each includes the next twice: 2^17 files, were they all read.
    for level in 0..16 {
        fs::write(
            path(&format!("l{level}")),
            format!("$INCLUDE l{0}\n$INCLUDE l{0}", level + 1),
        )
        .unwrap();
    }
    fs::write(path("l16"), "").unwrap();
    let found = read_source(&Source::File(&path("l0")));
    assert_eq!(found.read.files.len(), MAX_FILES);
    assert!(found.errors()[0].ends_with("more than 10000 files are included"));

    let found = read_source(&Source::File(&path("none")));
    assert_eq!(
        found.errors(),
        [format!(
            "none:0:0: cannot read {}: No such file or directory (os error 2)",
            path("none").display()
        )]
    );
}

/// What BIND 9.18 makes of the same lines (`tests/suite/master_files.rs` asks it).
#[test]
fn records_are_generated() {
    let generate = |line: &str| read_text(&format!("$TTL 60\n$GENERATE {line}"));
    let rows: &[(&str, &[&str])] = &[
        (
            "1-3 h$ A 192.0.2.$",
            &[
                "h1.example. 60 A 192.0.2.1",
                "h2.example. 60 A 192.0.2.2",
                "h3.example. 60 A 192.0.2.3",
            ],
        ),
        (
            "0-5/4 $ 7 IN PTR h${10,3}.x.",
            &["0.example. 7 PTR h010.x.", "4.example. 7 PTR h014.x."],
        ),
        (
            "255-255 a${-5}b${0,4,x}c${0,0,X}d${0,3,o} A 192.0.2.1",
            &["a250b00ffcFFd377.example. 60 A 192.0.2.1"],
        ),
        (
            "291-291 ${0,7,n} A 192.0.2.1",
            &["3.2.1.0.example. 60 A 192.0.2.1"],
        ),
        ("171-171 ${0,1,N} A 192.0.2.1", &["B.A.example. 60 A 192.0.2.1"]),
        ("1-1 $ MX \"10 m$\"", &["1.example. 60 MX 10 m1.example."]),
        ("1-1 $ MX 10 m$ ; c", &["1.example. 60 MX 10 m1.example."]),
        (
            "1-1 $ TXT \"\\\"a $\\\" b\"",
            &["1.example. 60 TXT \"a 1\" \"b\""],
        ),
        ("1-1 a\\$-$$ TXT $$\\$$", &["a\\$-\\$.example. 60 TXT \"$$1\""]),
    ];
    for (line, records) in rows {
        let found = generate(line);
        assert_eq!(found.errors(), [""; 0], "{line}");
        let found: Vec<&str> = found
            .records
            .iter()
            .map(|record| record.strip_prefix("2: ").unwrap())
            .collect();
        assert_eq!(found, *records, "{line}");
    }
    let wrong = [
        (
            "3-1 $ A 192.0.2.1",
            "2:11: expected a range such as 1-100 or 0-254/2, found `3-1`",
        ),
        (
            "1-3/0 $ A 192.0.2.1",
            "2:11: expected a range such as 1-100 or 0-254/2, found `1-3/0`",
        ),
        (
            "1-3 ${a} A 192.0.2.1",
            "2:15: expected $, $$ or ${offset[,width[,d|o|x|X|n|N]]}, found `${a}`",
        ),
        (
            "1-3 ${1 A 192.0.2.1",
            "2:15: expected $, $$ or ${offset[,width[,d|o|x|X|n|N]]}, found `${1`",
        ),
        (
            "254-300 $ A 192.0.2.$",
            "2:23: $GENERATE at 256: expected an IPv4 address, found `192.0.2.256`",
        ),
        (
            "1-3 $ A",
            "2:18: expected rdata with $ for the number, found the end of the record",
        ),
        (
            "0-3 ${-1} A 192.0.2.1",
            "2:15: $GENERATE at 0: expected an offset that leaves no number below zero, found `${-1}`",
        ),
        (
            "1-3 $..a A 192.0.2.1",
            "2:15: $GENERATE at 1: expected a name, found `1..a`: a label is empty; write a dot only between labels and at the end",
        ),
        (
            "0-2147483647 $ A 192.0.2.1",
            "2:1: $GENERATE makes more than 4194304 records, all in this zone counted",
        ),
    ];
    for (line, message) in wrong {
        assert_eq!(generate(line).errors(), [format!("text:{message}")], "{line}");
    }
}

proptest! {
    /// Text of the tokens that matter, and of any octets: it is read to its end, and errors stay within it.
    #[test]
    fn any_text_is_read(
        parts in prop::collection::vec(prop_oneof![
            prop::sample::select(&["\n", "\n", " ", "\t", "a", "@", "IN", "60", "A", "192.0.2.1", "TXT", "\"", "(", ")", ";", "\\", "$TTL 1h\n", "\n$ORIGIN x\n", "$GENERATE 1-3 $ A 192.0.2.$\n", "$INCLUDE /etc/passwd\n", "\\# 1 00", "SOA . . 1 2 3 4 5\n", "NS", "\r\n"][..]).prop_map(|text| text.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 1..4),
        ], 0..60)
    ) {
        let text = parts.concat();
        let lines = text.split(|octet| *octet == b'\n').count() as u32;
        let source = Source::Text { name: "text", octets: &text };
        let mut records = Vec::new();
        let found = read(&source, NameRef::ROOT, &mut |entry| {
            let mut line = String::new();
            print_record(entry.owner, entry.ttl, entry.rtype, entry.rdata, &mut line).unwrap();
            records.push((line, entry.owner.to_owned(), entry.ttl, entry.rtype, entry.rdata.to_vec()));
        });
        for problem in found.errors.iter().chain(&found.warnings) {
            prop_assert!((1..=lines).contains(&problem.at.line), "{:?}", problem);
            prop_assert!(!problem.to_string().is_empty());
        }
        // Every record, printed, is one line that is read as that record.
        for (line, owner, ttl, rtype, rdata) in records {
            let source = Source::Text { name: "line", octets: line.as_bytes() };
            let mut again = Vec::new();
            let found = read(&source, NameRef::ROOT, &mut |entry| {
                again.push((entry.owner.to_owned(), entry.ttl, entry.rtype, entry.rdata.to_vec()));
            });
            prop_assert!(found.errors.is_empty(), "{}: {:?}", line, found.errors);
            prop_assert_eq!(again, vec![(owner, ttl, rtype, rdata)]);
        }
    }

    /// Reading does not depend on where TTL and class stand, nor on blanks, comments and line ends.
    #[test]
    fn layout_does_not_matter(order in 0..3_usize, blank in prop::sample::select(&[" ", "\t", " ( \n ) ", "(;c)\n)"][..]), end in prop::sample::select(&["", "\n", "\r\n", " ; c\n"][..])) {
        let front = [["60", "IN"], ["IN", "60"], ["60", ""]][order];
        let text = ["a", front[0], front[1], "TXT", "x"].join(blank) + end;
        let found = read_text(&text);
        prop_assert_eq!(found.errors(), Vec::<String>::new(), "{}", text);
        prop_assert_eq!(found.records, vec!["1: a.example. 60 TXT \"x\"".to_string()]);
    }
}

#[test]
fn a_record_is_printed_on_one_line() {
    let owner: Name = "a b.example.".parse().unwrap();
    let mut line = String::new();
    print_record(
        owner.as_ref(),
        Ttl::new(60),
        RrType::TXT,
        b"\x01\n\x01\"",
        &mut line,
    )
    .unwrap();
    assert_eq!(line, "a\\032b.example.\t60\tIN\tTXT\t\"\\010\" \"\\\"\"\n");
}
