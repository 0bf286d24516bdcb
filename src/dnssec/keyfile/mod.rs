//! BIND's key files: `Kexample.+013+12345.key`, the DNSKEY as a record, and `.private`, the other half.
//!
//! Formats v1.2 (also ldns's and Knot's) and v1.3 (with times) are read; v1.3 is written. What a `.private` file
//! says beyond key and times is kept as it stands. Here are the texts; [`folder`] reads and writes the files.

pub mod folder;
#[cfg(test)]
mod interop_tools;
pub mod timing;

use std::{
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
};

use data_encoding::BASE64;
use zeroize::Zeroizing;

use self::timing::{FIELDS, Timing, in_words};
use super::{
    algorithm::{Algorithm, SigningAlgorithm},
    key::{Dnskey, KeyError, PrivateKey, RsaParts, SigningKey},
};
use crate::{
    clock::UnixTime,
    wire::{Name, NameRef, Ttl},
};

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Group or others have some right to the private half.
    #[error("{path}: others can read this private key (mode {mode:04o}); run chmod 600 on it")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file or folder cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The text is not that of a key file.
    #[error("{path}: {why}")]
    Form {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        why: String,
    },
    /// The halves do not belong together, or the algorithm is not ours.
    #[error("{path}: this key cannot sign")]
    Key {
        /// The private half.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// The record in the file belongs to another zone.
    #[error("{path}: this is a key for {found}, not for {expected}; move it away, or import it for {found}")]
    OtherZone {
        /// The public half.
        path: PathBuf,
        /// Its owner.
        found: Name,
        /// The zone.
        expected: Name,
    },
    /// A public half without its private half.
    #[error(
        "{path}: key {tag} has its public half here but not its private half; put the .private file beside it, or move the .key file away"
    )]
    PublicAlone {
        /// The public half.
        path: PathBuf,
        /// Its tag.
        tag: u16,
    },
    /// Not one of the two files of a key pair.
    #[error("{path}: not the name of a key file, such as Kexample.+013+12345.key")]
    FileName {
        /// What was named.
        path: PathBuf,
    },
    /// A file stands where a new key would go.
    #[error("{path}: there is a key file of that name already")]
    Exists {
        /// The file.
        path: PathBuf,
    },
}

/// A key pair as its two files hold it.
#[derive(Clone, Debug)]
pub struct KeyFile {
    /// The zone.
    pub owner: Name,
    /// The TTL in the public half, which BIND's tools may use and we do not.
    pub ttl: Option<Ttl>,
    /// The public half.
    pub dnskey: Dnskey,
    /// The private half.
    pub private: PrivateKey,
    /// The times.
    pub timing: Timing,
    /// Fields of the private half that mean nothing to us, as `Name: value`.
    pub others: Vec<String>,
    /// The files' common name where they were read, which may differ from ours in letter case (ldns).
    pub(crate) found_as: Option<String>,
}

impl KeyFile {
    /// A key file for a new key.
    pub fn new(owner: Name, dnskey: Dnskey, private: PrivateKey, timing: Timing) -> Self {
        Self {
            owner,
            ttl: None,
            dnskey,
            private,
            timing,
            others: Vec::new(),
            found_as: None,
        }
    }

    /// The files' common name: `Kexample.+013+12345`.
    pub fn stem(&self) -> String {
        let found_as = self.found_as.clone();
        found_as.unwrap_or_else(|| self.own_stem())
    }

    /// The common name under which a copy of ours goes.
    pub fn own_stem(&self) -> String {
        stem(
            self.owner.as_ref(),
            self.dnskey.algorithm(),
            self.dnskey.key_tag(),
        )
    }

    /// Both halves put together.
    ///
    /// # Errors
    /// When they do not belong together.
    pub fn signing_key(&self) -> Result<SigningKey, KeyError> {
        SigningKey::new(self.dnskey.clone(), &self.private)
    }

    /// The text of the `.key` file, with the comments that BIND writes.
    pub fn public_text(&self) -> String {
        let kind = if self.dnskey.is_sep() { "key" } else { "zone" };
        let mut text = format!(
            "; This is a {kind}-signing key, keyid {}, for {}\n",
            self.dnskey.key_tag(),
            self.owner
        );
        for (field, time) in self.timing.iter() {
            let _ = writeln!(text, "; {field}: {} ({})", time.to_dnssec(), in_words(time));
        }
        let ttl = self.ttl.map(|ttl| format!("{ttl} ")).unwrap_or_default();
        let _ = writeln!(text, "{} {ttl}IN DNSKEY {}", self.owner, self.dnskey);
        text
    }

    /// The text of the `.private` file; wiped when dropped.
    pub fn private_text(&self) -> Zeroizing<String> {
        // Room for the largest RSA key, so that no grown-out-of buffer stays behind unwiped.
        let mut text = Zeroizing::new(String::with_capacity(8 * 1024));
        let algorithm = self.dnskey.algorithm();
        let _ = write!(
            text,
            "Private-key-format: v1.3\nAlgorithm: {} ({algorithm})\n",
            algorithm.0
        );
        let mut line = |name: &str, octets: &[u8]| {
            let mut base64 = Zeroizing::new(vec![0; BASE64.encode_len(octets.len())]);
            BASE64.encode_mut(octets, &mut base64);
            let base64 = std::str::from_utf8(&base64).expect("base64 is ASCII");
            let _ = writeln!(text, "{name}: {base64}");
        };
        match &self.private {
            PrivateKey::Octets(octets) => line("PrivateKey", octets),
            PrivateKey::Rsa(parts) => {
                for (name, part) in RSA_FIELDS.iter().zip(rsa_in_order(parts)) {
                    line(name, part);
                }
            }
        }
        for (field, time) in self.timing.iter() {
            let _ = writeln!(text, "{field}: {}", time.to_dnssec());
        }
        for other in &self.others {
            let _ = writeln!(text, "{other}");
        }
        text
    }
}

/// The fields of an RSA private half in the files' order.
const RSA_FIELDS: [&str; 8] = [
    "Modulus",
    "PublicExponent",
    "PrivateExponent",
    "Prime1",
    "Prime2",
    "Exponent1",
    "Exponent2",
    "Coefficient",
];

fn rsa_in_order(parts: &RsaParts) -> [&[u8]; 8] {
    [
        &parts.n,
        &parts.e,
        &parts.d,
        &parts.p,
        &parts.q,
        &parts.dp,
        &parts.dq,
        &parts.qinv,
    ]
}

/// The common name of a key pair's files: the zone lower-cased, all but letters, digits, `-`, `_` and the dots
/// between labels as `%XX`; three digits of algorithm; five of tag.
pub fn stem(owner: NameRef<'_>, algorithm: Algorithm, tag: u16) -> String {
    format!("K{}+{:03}+{tag:05}", zone_part(owner), algorithm.0)
}

/// A zone's name as file names have it.
fn zone_part(owner: NameRef<'_>) -> String {
    if owner.is_root() {
        return ".".into();
    }
    let mut text = String::with_capacity(owner.len());
    for label in owner.labels() {
        for octet in label {
            match octet {
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' => {
                    text.push(octet.to_ascii_lowercase() as char);
                }
                _ => {
                    let _ = write!(text, "%{octet:02X}");
                }
            }
        }
        text.push('.');
    }
    text
}

/// The public half: owner, TTL when there is one, and key. Comments and parentheses as in master files.
///
/// # Errors
/// What is wrong, in words.
pub fn parse_public(text: &str) -> Result<(Name, Option<Ttl>, Dnskey), String> {
    let text = plain(text);
    let mut tokens = text.split_ascii_whitespace();
    let owner = tokens.next().ok_or("the file holds no record")?;
    let owner = Name::parse(owner.as_bytes(), None).map_err(|why| format!("the owner {owner:?}: {why}"))?;
    let mut ttl = None;
    let mut rtype = loop {
        let token = tokens.next().ok_or("the record is cut short")?;
        if token.bytes().all(|b| b.is_ascii_digit()) {
            ttl = Some(Ttl::new(
                token
                    .parse()
                    .map_err(|_| format!("the TTL {token} is too large"))?,
            ));
        } else if !token.eq_ignore_ascii_case("IN") {
            break token;
        }
    };
    // ldns-keygen -k writes the DS in front of the DNSKEY.
    while rtype.eq_ignore_ascii_case("DS") {
        rtype = tokens
            .by_ref()
            .find(|token| token.eq_ignore_ascii_case("DNSKEY"))
            .ok_or("there is no DNSKEY record")?;
    }
    if !rtype.eq_ignore_ascii_case("DNSKEY") {
        return Err(format!("expected a DNSKEY record, found {rtype}"));
    }
    let rest: Vec<&str> = tokens.collect();
    let dnskey = Dnskey::from_text(&rest.join(" ")).map_err(|why| why.to_string())?;
    Ok((owner, ttl, dnskey))
}

/// The text without comments and parentheses; behind a backslash they are letters like others.
fn plain(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        let mut escaped = false;
        for c in line.chars() {
            match c {
                ';' if !escaped => break,
                '(' | ')' if !escaped => kept.push(' '),
                _ => kept.push(c),
            }
            escaped = c == '\\' && !escaped;
        }
        kept.push('\n');
    }
    kept
}

/// The private half: key, times, and the other fields.
pub(crate) struct PrivateHalf {
    pub(crate) private: PrivateKey,
    pub(crate) timing: Timing,
    pub(crate) others: Vec<String>,
}

/// Reads the text of a `.private` file whose public half is of `algorithm`.
///
/// # Errors
/// What is wrong, in words that show nothing of the key.
pub(crate) fn parse_private(text: &str, algorithm: SigningAlgorithm) -> Result<PrivateHalf, String> {
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(';'));
    check_format(lines.next())?;
    let mut named = None;
    let mut secrets: Vec<(&str, Zeroizing<Vec<u8>>)> = Vec::new();
    let mut timing = Timing::default();
    let mut others = Vec::new();
    for line in lines {
        let (name, value) = line
            .split_once(':')
            .map(|(name, value)| (name.trim(), value.trim()))
            .ok_or("a line is not of the form `Name: value`")?;
        if name.eq_ignore_ascii_case("Algorithm") {
            named = value
                .split_ascii_whitespace()
                .next()
                .and_then(Algorithm::from_text);
        } else if let Some(field) = secret_field(name) {
            let octets = BASE64
                .decode(value.as_bytes())
                .map_err(|_| format!("the value of {field} is not base64"))?;
            secrets.push((field, Zeroizing::new(octets)));
        } else if let Some(field) = FIELDS.into_iter().find(|field| field.to_string() == name) {
            let time = UnixTime::from_dnssec(value)
                .ok_or_else(|| format!("{name}: {value:?} is not a time such as 20261124220606"))?;
            timing = timing.with(field, Some(time));
        } else if matches!(name, "Engine" | "Label") {
            return Err("the key lies in a hardware module, which we cannot use".into());
        } else {
            others.push(line.to_owned());
        }
    }
    if named != Some(algorithm.number()) {
        let named = named.map_or("none".into(), |algorithm| algorithm.to_string());
        return Err(format!(
            "the public half is of {algorithm}, this half names {named}"
        ));
    }
    let private = assemble(algorithm, &mut secrets)?;
    Ok(PrivateHalf {
        private,
        timing,
        others,
    })
}

fn check_format(line: Option<&str>) -> Result<(), String> {
    let expected = "expected `Private-key-format: v1.2` or `v1.3` on the first line";
    let (name, version) = line.and_then(|line| line.split_once(':')).ok_or(expected)?;
    let version = version.trim();
    if !name.eq_ignore_ascii_case("Private-key-format") {
        return Err(expected.into());
    }
    // BIND reads any minor version of major version 1; what it does not know it skips, as we do.
    if version
        .strip_prefix("v1.")
        .is_none_or(|minor| minor.parse::<u8>().is_err())
    {
        return Err(format!("{expected}, found {version:?}"));
    }
    Ok(())
}

fn secret_field(name: &str) -> Option<&'static str> {
    if name == "PrivateKey" {
        return Some("PrivateKey");
    }
    RSA_FIELDS.into_iter().find(|field| *field == name)
}

fn assemble(
    algorithm: SigningAlgorithm,
    secrets: &mut Vec<(&str, Zeroizing<Vec<u8>>)>,
) -> Result<PrivateKey, String> {
    let mut take = |name: &str| {
        let at = secrets.iter().position(|(field, _)| *field == name);
        at.map(|at| secrets.swap_remove(at).1)
            .ok_or_else(|| format!("the field {name} is missing"))
    };
    let length = match algorithm {
        SigningAlgorithm::RsaSha256 => {
            return Ok(PrivateKey::Rsa(Box::new(RsaParts {
                n: take("Modulus")?,
                e: take("PublicExponent")?,
                d: take("PrivateExponent")?,
                p: take("Prime1")?,
                q: take("Prime2")?,
                dp: take("Exponent1")?,
                dq: take("Exponent2")?,
                qinv: take("Coefficient")?,
            })));
        }
        SigningAlgorithm::EcdsaP256Sha256 | SigningAlgorithm::Ed25519 => 32,
        SigningAlgorithm::EcdsaP384Sha384 => 48,
    };
    let octets = take("PrivateKey")?;
    if octets.len() > length {
        return Err(format!("PrivateKey has {} octets, not {length}", octets.len()));
    }
    // Older tools leave the leading zero octets of an ECDSA scalar out.
    let mut padded = Zeroizing::new(vec![0; length]);
    padded[length - octets.len()..].copy_from_slice(&octets);
    Ok(PrivateKey::Octets(padded))
}

/// The two files of the pair that `path` names by either half or by neither ending.
///
/// # Errors
/// [`KeyFileError::FileName`] when it is not the name of a key file.
pub fn both_halves(path: &Path) -> Result<(PathBuf, PathBuf), KeyFileError> {
    let refuse = || KeyFileError::FileName { path: path.into() };
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(refuse)?;
    let stem = name
        .strip_suffix(".key")
        .or_else(|| name.strip_suffix(".private"))
        .unwrap_or(name);
    folder::split_stem(stem).ok_or_else(refuse)?;
    Ok((
        path.with_file_name(format!("{stem}.key")),
        path.with_file_name(format!("{stem}.private")),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dnssec::{
        key::{SEP, ZONE},
        keyfile::timing::Field,
    };
    use proptest::prelude::*;

    fn made(owner: &str, algorithm: SigningAlgorithm) -> KeyFile {
        let (dnskey, private) = PrivateKey::generate(algorithm, ZONE | SEP).unwrap();
        KeyFile::new(owner.parse().unwrap(), dnskey, private, Timing::default())
    }

    #[test]
    fn names_as_bind_gives_them() {
        for (owner, part) in [
            (".", "."),
            ("Example.", "example."),
            ("a/b\\032c\\000.Ex_am-ple.", "a%2Fb%20c%00.ex_am-ple."),
            ("a\\.b.", "a%2Eb."),
        ] {
            let owner: Name = owner.parse().unwrap();
            assert_eq!(
                stem(owner.as_ref(), Algorithm(13), 77),
                format!("K{part}+013+00077")
            );
        }
    }

    #[test]
    fn public_halves_of_other_tools_are_read() {
        let key = "RYCJVB2IlQcjlBRZfLLwG+qfJEbAODNyNwpCoJCik1L6jrzER+5yWBZXODoLvrkOiODjFaM9BUNy/4dwLMtCIA==";
        let (one, two) = key.split_at(40);
        for text in [
            format!("ex5. IN DNSKEY 257 3 13 {one} {two}\n"),
            format!("ex5.\tIN\tDNSKEY\t257 3 13 {key} ;{{id = 52521 (ksk), size = 256b}}\n"),
            format!("; a comment\nex5. 3600 IN DNSKEY 257 3 ECDSAP256SHA256 ( {one}\n\t{two} ) ; more"),
            format!("ex5.\tIN\tDS\t52521 13 2 e7a87eba\nex5.\tIN\tDNSKEY\t257 3 13 {key}\n"),
        ] {
            let (owner, _, dnskey) = parse_public(&text).unwrap();
            assert_eq!(owner.to_string(), "ex5.");
            assert_eq!(dnskey.key_tag(), 52521, "{text}");
        }
        for (text, part) in [
            ("", "no record"),
            ("; nothing\n", "no record"),
            ("ex5 IN DNSKEY 257 3 13 AAAA", "no origin"),
            ("ex5. IN A 192.0.2.1", "found A"),
            ("ex5. IN DNSKEY 257 3 13 !", "base64"),
            ("ex5. IN", "cut short"),
        ] {
            let why = parse_public(text).unwrap_err();
            assert!(why.contains(part), "{text:?}: {why}");
        }
    }

    #[test]
    fn spoiled_private_halves_are_refused_without_showing_them() {
        let p256 = SigningAlgorithm::EcdsaP256Sha256;
        let good = made("example.", p256).private_text().to_string();
        assert!(parse_private(&good, p256).is_ok());
        for (text, part) in [
            (String::new(), "Private-key-format"),
            (good.replace("v1.3", "v2.0"), "v2.0"),
            (
                good.replace("Algorithm: 13", "Algorithm: 14"),
                "names ECDSAP384SHA384",
            ),
            (good.replace("PrivateKey:", "PrivateKey: !"), "not base64"),
            (good.replace("PrivateKey:", "Unknown:"), "PrivateKey is missing"),
            (good.clone() + "Publish: soon\n", "soon"),
            (good.clone() + "Label: pkcs11:object\n", "hardware"),
            (good.clone() + "nonsense\n", "Name: value"),
        ] {
            let why = parse_private(&text, p256).err().unwrap();
            assert!(why.contains(part), "{why}");
            let secret = good
                .lines()
                .find_map(|line| line.strip_prefix("PrivateKey: "))
                .unwrap();
            assert!(!why.contains(secret), "{why}");
        }
        assert!(parse_private(&good, SigningAlgorithm::Ed25519).is_err());
    }

    #[test]
    fn a_scalar_without_its_leading_zeros_is_padded() {
        let text = "Private-key-format: v1.2\nAlgorithm: 13 (ECDSAP256SHA256)\nPrivateKey: AQI=\n";
        let half = parse_private(text, SigningAlgorithm::EcdsaP256Sha256).unwrap();
        let PrivateKey::Octets(octets) = half.private else {
            panic!("a scalar")
        };
        assert_eq!((octets.len(), &octets[30..]), (32, &[1, 2][..]));
    }

    #[test]
    fn either_half_names_the_pair() {
        for name in [
            "Kexample.+013+00077",
            "Kexample.+013+00077.key",
            "Kexample.+013+00077.private",
        ] {
            let (public, private) = both_halves(&Path::new("keys").join(name)).unwrap();
            assert_eq!(public, Path::new("keys/Kexample.+013+00077.key"));
            assert_eq!(private, Path::new("keys/Kexample.+013+00077.private"));
        }
        assert!(both_halves(Path::new("keys/example.pem")).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            times in prop::array::uniform8(prop::option::of(0..4_000_000_000u64)),
            ttl in prop::option::of(0..=86_400u32),
            algorithm in prop::sample::select(vec![
                SigningAlgorithm::EcdsaP256Sha256, SigningAlgorithm::EcdsaP384Sha384, SigningAlgorithm::Ed25519,
            ]),
            labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..5),
        ) {
            let mut octets = Vec::new();
            for label in labels {
                octets.push(label.len() as u8);
                octets.extend(label);
            }
            octets.push(0);
            let mut file = made(".", algorithm);
            file.owner = Name::from_wire(&octets).unwrap();
            file.ttl = ttl.map(Ttl::new);
            for (field, time) in FIELDS.into_iter().zip(times) {
                file.timing = file.timing.with(field, time.map(UnixTime));
            }
            file.others = vec!["MaxTTL: 3600".into()];
            let (owner, ttl, dnskey) = parse_public(&file.public_text()).unwrap();
            prop_assert_eq!(owner.as_wire(), file.owner.as_wire());
            prop_assert_eq!((ttl, &dnskey), (file.ttl, &file.dnskey));
            let half = parse_private(&file.private_text(), algorithm).unwrap();
            prop_assert_eq!((&half.timing, &half.others), (&file.timing, &file.others));
            prop_assert!(SigningKey::new(dnskey, &half.private).is_ok());
            prop_assert_eq!(half.timing.get(Field::Created), file.timing.get(Field::Created));
        }

        #[test]
        fn any_text_is_a_key_or_an_error(text in "\\PC{0,200}") {
            let _ = parse_public(&text);
            let _ = parse_private(&text, SigningAlgorithm::EcdsaP256Sha256);
            let _ = parse_private(&format!("Private-key-format: v1.3\n{text}"), SigningAlgorithm::RsaSha256);
        }
    }
}
