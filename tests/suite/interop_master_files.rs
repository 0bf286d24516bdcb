//! What we make of a master file equals what BIND's and ldns's readers make of it, record by record, and what we
//! print is read by them as the same records.
//!
//! BIND is asked for its raw format, which holds rdata as octets, and ldns for `\#`: so neither our text reader nor
//! our text printer judges itself. TTLs that differ within an RRset are left out, for BIND and ldns disagree on
//! which to take.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use countersign::{
    wire::{
        Name, RrType, Ttl,
        types::{TABLE, names_in_rdata, sample},
    },
    zone::master::{Problem, Source, print_record, read},
};

const SEED: u64 = 0x5eed_c0de;
/// Records made for each type.
const SAMPLES: usize = 60;

/// Owner (lower-cased), type, TTL, rdata.
type Record = (Name, RrType, u32, Vec<u8>);

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn ours_of(source: &Source<'_>, origin: &Name) -> Vec<Record> {
    let mut records = Vec::new();
    let read = read(source, origin.as_ref(), &mut |entry| {
        // BIND leaves out what is not of the zone, with a word; ours is the builder's to leave out.
        if entry.owner.is_at_or_below(origin.as_ref()) {
            let owner = entry.owner.to_lowercase();
            records.push((owner, entry.rtype, entry.ttl.seconds(), entry.rdata.to_vec()));
        }
    });
    let said = |error: &Problem| format!("{}:{}: {error}", error.at.line, error.at.column);
    assert_eq!(
        read.errors.iter().map(said).collect::<Vec<_>>(),
        Vec::<String>::new()
    );
    records
}

fn ours(text: &str, origin: &Name) -> Vec<Record> {
    let source = Source::Text {
        name: "text",
        octets: text.as_bytes(),
    };
    ours_of(&source, origin)
}

fn print(records: &[Record]) -> String {
    let mut text = String::new();
    for (owner, rtype, ttl, rdata) in records {
        print_record(owner.as_ref(), Ttl::new(*ttl), *rtype, rdata, &mut text).unwrap();
    }
    text
}

/// The same records in the form of RFC 3597 §5, made without our printer.
fn print_as_octets(records: &[Record]) -> String {
    let line = |(owner, rtype, ttl, rdata): &Record| {
        let octets: String = rdata.iter().map(|octet| format!("{octet:02x}")).collect();
        format!("{owner} {ttl} IN TYPE{} \\# {} {octets}\n", rtype.0, rdata.len())
    };
    records.iter().map(line).collect()
}

/// `named-compilezone` with all judgement of content off: the file's octets in the format asked for.
fn bind(file: &Path, origin: &Name, format: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let (zone, format) = (origin.to_string(), ["-F", format]);
    let ignore = [
        "-i", "none", "-k", "ignore", "-n", "ignore", "-m", "ignore", "-M", "ignore", "-S", "ignore",
    ];
    let result = Command::new("named-compilezone")
        // BIND looks for included files in the working folder, we in the including file's.
        .current_dir(file.parent().unwrap())
        .args(ignore)
        .args(["-r", "ignore", "-s", "full"])
        .args(format)
        .arg("-o")
        .arg(&out)
        .arg(zone)
        .arg(file.file_name().unwrap())
        .output()
        .expect("named-compilezone is installed (make tools)");
    let said = String::from_utf8_lossy(&result.stdout).into_owned();
    let text = fs::read_to_string(file).unwrap();
    assert!(result.status.success(), "{}: {said}\n{text}", file.display());
    fs::read(out).unwrap()
}

/// BIND's raw format, version 1: a header of 24 octets, then RRset by RRset, all numbers big-endian.
fn bind_records(file: &Path, origin: &Name) -> Vec<Record> {
    let octets = bind(file, origin, "raw");
    let mut at = 0;
    let mut take = |count: usize| {
        at += count;
        octets.get(at - count..at).unwrap_or_default()
    };
    let number = |octets: &[u8]| {
        octets
            .iter()
            .fold(0_usize, |value, octet| value << 8 | usize::from(*octet))
    };
    assert_eq!(
        (number(take(4)), number(take(4))),
        (2, 1),
        "raw format 2, version 1"
    );
    take(16);
    let mut records = Vec::new();
    while number(take(4)) > 0 {
        let (_class, rtype, _covers) = (take(2), RrType(number(take(2)) as u16), take(2));
        let (ttl, count) = (number(take(4)) as u32, number(take(4)));
        let length = number(take(2));
        let owner = Name::from_wire(take(length)).unwrap().as_ref().to_lowercase();
        for _ in 0..count {
            let length = number(take(2));
            records.push((owner.clone(), rtype, ttl, take(length).to_vec()));
        }
    }
    records
}

/// `ldns-read-zone`: with `\#` for every type, or as ldns prints them.
fn ldns(file: &Path, as_octets: bool) -> String {
    let mut command = Command::new("ldns-read-zone");
    if as_octets {
        // For all types but the one named.
        command.args(["-U", "SOA"]);
    }
    let result = command
        .arg(file)
        .output()
        .expect("ldns-read-zone is installed (make tools)");
    let said = String::from_utf8_lossy(&result.stderr).into_owned();
    let text = fs::read_to_string(file).unwrap();
    assert!(result.status.success(), "{}: {said}\n{text}", file.display());
    String::from_utf8(result.stdout).unwrap()
}

/// The same records, but for the TTLs of RRsets that have several on one side; or says which only one side has.
fn assert_same(what: &str, left: &[Record], right: &[Record]) {
    let mut ttls: BTreeMap<(&Name, RrType), [BTreeSet<u32>; 2]> = BTreeMap::new();
    for (side, records) in [left, right].into_iter().enumerate() {
        for (owner, rtype, ttl, _) in records {
            ttls.entry((owner, *rtype)).or_default()[side].insert(*ttl);
        }
    }
    let comparable = |records: &[Record]| -> BTreeSet<Record> {
        let one_ttl = |(owner, rtype, ttl, rdata): &Record| {
            let has_several = ttls[&(owner, *rtype)].iter().any(|side| side.len() > 1);
            (
                owner.clone(),
                *rtype,
                if has_several { 0 } else { *ttl },
                rdata.clone(),
            )
        };
        records.iter().map(one_ttl).collect()
    };
    let (left, right) = (comparable(left), comparable(right));
    let only = |one: &BTreeSet<Record>, other: &BTreeSet<Record>| -> String {
        print(&one.difference(other).take(10).cloned().collect::<Vec<_>>())
    };
    let (ours, theirs) = (only(&left, &right), only(&right, &left));
    assert!(
        left == right,
        "{what}\nonly the first:\n{ours}only the second:\n{theirs}"
    );
}

/// Both ways, with BIND and with ldns, the latter for the records that it knows.
fn compare(what: &str, file: &Path, origin: &Name) {
    let records = ours_of(&Source::File(file), origin);
    assert!(!records.is_empty());
    let folder = tempfile::tempdir().unwrap();
    let write = |records: &[Record]| {
        let path = folder.path().join("zone");
        fs::write(&path, print(records)).unwrap();
        path
    };
    let read_by_bind = bind_records(file, origin);
    assert_same(
        &format!("{what}: read by us and by BIND"),
        &records,
        &read_by_bind,
    );
    let read_again = ours(&String::from_utf8(bind(file, origin, "text")).unwrap(), origin);
    assert_same(
        &format!("{what}: printed by BIND, read by us"),
        &read_again,
        &read_by_bind,
    );
    let read_by_bind = bind_records(&write(&records), origin);
    assert_same(
        &format!("{what}: printed by us, read by BIND"),
        &records,
        &read_by_bind,
    );

    let known: Vec<Record> = records.into_iter().filter(ldns_reads).collect();
    let read_by_ldns = ours(&ldns(&write(&known), true), origin);
    assert_same(
        &format!("{what}: printed by us, read by ldns"),
        &known,
        &read_by_ldns,
    );
    let known: Vec<Record> = known.into_iter().filter(ldns_prints).collect();
    let read_again = ours(&ldns(&write(&known), false), origin);
    assert_same(
        &format!("{what}: printed by ldns, read by us"),
        &read_again,
        &known,
    );
}

/// xorshift64*: the same records every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn octets(&mut self) -> Vec<u8> {
        let length = 40 + self.next() as usize % 400;
        (0..length).map(|_| (self.next() >> 32) as u8).collect()
    }
}

/// What a generated zone begins with.
fn apex(origin: &Name) -> Vec<Record> {
    let soa = [
        b"\x02ns\x07invalid\0\x01h\x07invalid\0",
        &[0, 0, 0, 1].repeat(5)[..],
    ]
    .concat();
    vec![
        (origin.clone(), RrType::SOA, 60, soa),
        (origin.clone(), RrType::NS, 60, b"\x02ns\x07invalid\0".to_vec()),
    ]
}

/// A zone of one type, an owner for each record.
fn zone_of(rtype: RrType, origin: &Name, random: &mut Random) -> Vec<Record> {
    let mut records = apex(origin);
    for number in 0..SAMPLES {
        let owner = origin.as_ref().prepend(format!("r{number}").as_bytes()).unwrap();
        let rdata = sample_of(rtype, &random.octets());
        if bind_takes(rtype, &rdata) {
            records.push((owner, rtype, 60 + number as u32, rdata));
        }
    }
    records
}

fn sample_of(rtype: RrType, dice: &[u8]) -> Vec<u8> {
    let rdata = sample::rdata(rtype, dice);
    if rtype != RrType::NAPTR {
        return rdata;
    }
    // BIND checks that the regular expression is one.
    let flags_end = 5 + usize::from(rdata[4]);
    let services_end = flags_end + 1 + usize::from(rdata[flags_end]);
    let name_at = services_end + 1 + usize::from(rdata[services_end]);
    [
        &rdata[..services_end],
        b"\x12!^(.*)$!sip:\\1@a!i",
        &rdata[name_at..],
    ]
    .concat()
}

/// Where BIND 9.18 refuses what the RFCs allow, or looks into octets that we pass on.
fn bind_takes(rtype: RrType, rdata: &[u8]) -> bool {
    match rtype {
        // With algorithm 0 it wants a key all the same.
        RrType::IPSECKEY => rdata[2] != 0,
        // Private algorithms begin with a name or an OID in the key and the signature.
        // A signature expires after its inception, and its owner has no fewer labels than its signer.
        RrType::RRSIG => {
            let time =
                |at: usize| u32::from_be_bytes([rdata[at], rdata[at + 1], rdata[at + 2], rdata[at + 3]]);
            let signer = names_in_rdata(rtype, rdata).next().unwrap();
            let labels = Name::from_wire(&rdata[signer.range])
                .unwrap()
                .as_ref()
                .label_count();
            rdata[2] < 253 && usize::from(rdata[3]) >= labels && time(8).wrapping_sub(time(12)) < 1 << 31
        }
        RrType::DNSKEY | RrType::CDNSKEY => rdata[3] < 253,
        _ => true,
    }
}

/// What ldns 1.8.3 reads, and whose owner it prints so that it can be read: quotes in names get no escape. An escaped
/// @ in front of a name is the origin to it all the same.
fn ldns_reads((owner, rtype, _, rdata): &Record) -> bool {
    if owner.as_wire().contains(&b'"')
        || names_in_rdata(*rtype, rdata).any(|name| rdata[name.range].contains(&b'@'))
    {
        return false;
    }
    match *rtype {
        RrType::DSYNC | RrType::RESINFO | RrType::WALLET => false,
        // It reads the escapes of commas and backslashes in alpn (RFC 9460 appendix A.1) in its own way.
        RrType::SVCB | RrType::HTTPS => !rdata.iter().any(|octet| matches!(octet, b',' | b'\\')),
        // It wants a hash as long as SHA-1's, and types in the bitmap.
        RrType::NSEC3 => {
            let hash_at = 5 + usize::from(rdata[4]);
            rdata[hash_at] == 20 && rdata.len() > hash_at + 21
        }
        RrType::CSYNC => rdata.len() > 6,
        _ => true,
    }
}

/// Of that, the rdata that it prints so that it can be read: quotes in names get no escape, nor does anything in
/// SvcParams.
fn ldns_prints((_, rtype, _, rdata): &Record) -> bool {
    let is_service = matches!(*rtype, RrType::SVCB | RrType::HTTPS);
    let has_quote = names_in_rdata(*rtype, rdata).any(|name| rdata[name.range].contains(&b'"'));
    let special = |octet: &u8| matches!(octet, b'"' | b'(' | b')' | b';' | b' ' | b'\t' | b'\n');
    !(has_quote || (is_service && rdata.iter().any(special)))
}

#[test]
fn every_type_is_read_and_printed_as_bind_and_ldns_do() {
    let origin = name("example.");
    let mut random = Random(SEED);
    let folder = tempfile::tempdir().unwrap();
    for row in TABLE.iter().filter(|row| !row.fields.is_empty()) {
        if matches!(row.rtype, RrType::SOA | RrType::MD | RrType::MF) {
            // The apex has one; BIND calls the others obsolete.
            continue;
        }
        let records = zone_of(row.rtype, &origin, &mut random);
        let path = folder.path().join(row.mnemonic);
        assert!(records.len() > SAMPLES / 4, "{}", row.mnemonic);
        fs::write(&path, print_as_octets(&records)).unwrap();
        compare(row.mnemonic, &path, &origin);
    }
}

/// Every line of the unit tests' table, as people would write it. SOA, MD and MF as above.
#[test]
fn text_is_read_as_bind_reads_it() {
    let origin = name("example.");
    let mut text = String::from("$ORIGIN example.\n$TTL 1h\n@ SOA ns h 1 2 3 4 5\n@ NS ns.test.\n");
    let rows = include_str!("../data/rdata.txt")
        .lines()
        .filter(|row| !row.starts_with('#') && !row.is_empty());
    for (number, row) in rows.enumerate() {
        let (rdata, expected) = row.split_once(" => ").unwrap_or((row, ""));
        let is_refused = [
            "SOA ",
            "MD ",
            "MF ",
            "IPSECKEY 10 0 0 .",
            "LOC 1 n",
            "SVCB 1 . dohpath=/dns-query{?dns} ohttp",
        ];
        if expected != "error" && !is_refused.iter().any(|front| rdata.starts_with(front)) {
            text += &format!("r{number} {rdata}\n");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text");
    fs::write(&path, text).unwrap();
    compare("rdata.txt", &path, &origin);
}

/// The layout of files: directives, units, blanks, continued lines, escapes, inclusion, generated records.
#[test]
fn layout_is_read_as_bind_reads_it() {
    let origin = name("example.");
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    write(
        "part",
        "$TTL 7\n@ A 192.0.2.1\nx A 192.0.2.2\n$ORIGIN y\nz A 192.0.2.3\n",
    );
    let files = [
        (
            "soa-minimum",
            "@ SOA ns h 1 1h30m 1W2D 3H 5M\n NS ns.test.\na A 192.0.2.1\nb 7 A 192.0.2.1\nc A 192.0.2.1\n",
        ),
        (
            "last-ttl",
            "@ 1d IN SOA ns h 1 2 3 4 5\n IN NS ns.test.\na A 192.0.2.1\nb IN 7 A 192.0.2.1\nc A 192.0.2.1\n",
        ),
        (
            "large-ttl",
            "$TTL 4294967295\n@ SOA ns h 1 2 3 4 5\n NS ns.test.\na 2147483648 A 192.0.2.1\nb 2147483647 A 192.0.2.1\n",
        ),
        (
            "line-ends",
            "$TTL 60\r\n@ SOA ns h (\r\n1 2 ; c\r\n 3\r\n4 5 )\r\n\r\n\tNS ns.test.\r\n  ; c\r\nlast A 192.0.2.1",
        ),
        (
            "owners",
            "$ttl 60\n@ SOA ns h 1 2 3 4 5\n NS ns.test.\nIN A 192.0.2.1\n60 A 192.0.2.1\nA A 192.0.2.1\n TXT a\n\\@ A 192.0.2.1\n\\097\\.b A 192.0.2.1\n\\000\\032 A 192.0.2.1\nMiXed A 192.0.2.1\nmIxED TXT b\nout.of.zone. A 192.0.2.1\n",
        ),
        (
            "origins",
            "$TTL 60\n@ SOA ns h 1 2 3 4 5\n NS ns.test.\n$ORIGIN sub\na A 192.0.2.1\n MX 1 @\n$ORIGIN sub\na A 192.0.2.1\n$ORIGIN example.\nb CLASS1 A 192.0.2.1\n",
        ),
        (
            "includes",
            "$TTL 60\n@ SOA ns h 1 2 3 4 5\n NS ns.test.\na A 192.0.2.9\n$INCLUDE part sub\n AAAA ::1\n$INCLUDE \"part\" two.sub.example.\nb A 192.0.2.9\n",
        ),
        (
            "ttls",
            "$TTL 60\n@ SOA ns h 1 2 3 4 5\n NS ns.test.\na 1 A 192.0.2.1\na 2 A 192.0.2.2\na 3 TXT x\n",
        ),
        (
            "generate",
            "$TTL 60\n@ SOA ns h 1 2 3 4 5\n NS ns.test.\n$GENERATE 1-3 h$ A 192.0.2.$\n$GENERATE 0-20/7 ${1,4} 7 IN PTR h${-0,3,x}.${10,0,X}\n$GENERATE 255-257 ${0,8,n} CNAME ${0,0,N}\n$GENERATE 171-172 q${0,5,o}x${0,2,d} A 192.0.2.$\n$GENERATE 1-2 t$ TXT \"\\\"a $ b\\\"\"\n$GENERATE 1-2 m$ MX \"10 m$\"\n$GENERATE 8-9 d$$\\$$ A 192.0.2.$\n",
        ),
    ];
    for (file, text) in files {
        compare(file, &write(file, text), &origin);
    }
}

#[test]
fn the_example_zones_are_read_as_bind_and_ldns_read_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("zones");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "zone") {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            let origin = if stem == "awkward" {
                name("awkward.example.")
            } else {
                name(stem)
            };
            compare(stem, &path, &origin);
            count += 1;
        }
    }
    assert!(count >= 2, "zones/ has the examples");
}
