//! Numbers that have names in text: DNSSEC algorithms, digest types, certificate types, DSYNC schemes.

/// Numbers and their names.
pub(super) type Names = &'static [(u16, &'static str)];

/// DNSSEC algorithms (RFC 4034 appendix A.1 and the registry); where BIND has another name, it comes second.
pub(super) const ALGORITHMS: Names = &[
    (0, "DELETE"),
    (1, "RSAMD5"),
    (2, "DH"),
    (3, "DSA"),
    (5, "RSASHA1"),
    (6, "DSA-NSEC3-SHA1"),
    (6, "NSEC3DSA"),
    (7, "RSASHA1-NSEC3-SHA1"),
    (7, "NSEC3RSASHA1"),
    (8, "RSASHA256"),
    (10, "RSASHA512"),
    (12, "ECC-GOST"),
    (12, "ECCGOST"),
    (13, "ECDSAP256SHA256"),
    (14, "ECDSAP384SHA384"),
    (15, "ED25519"),
    (16, "ED448"),
    (17, "SM2SM3"),
    (23, "ECC-GOST12"),
    (252, "INDIRECT"),
    (253, "PRIVATEDNS"),
    (254, "PRIVATEOID"),
];

/// DS digest types; the hyphen may be left out, as BIND has it.
pub(super) const DIGEST_TYPES: Names = &[
    (1, "SHA1"),
    (1, "SHA-1"),
    (2, "SHA256"),
    (2, "SHA-256"),
    (4, "SHA384"),
    (4, "SHA-384"),
];

/// Certificate types (RFC 4398 §2.1).
pub(super) const CERTIFICATE_TYPES: Names = &[
    (1, "PKIX"),
    (2, "SPKI"),
    (3, "PGP"),
    (4, "IPKIX"),
    (5, "ISPKI"),
    (6, "IPGP"),
    (7, "ACPKIX"),
    (8, "IACPKIX"),
    (253, "URI"),
    (254, "OID"),
];

/// DSYNC schemes (RFC 9859 §6.2).
pub(super) const NOTIFY_SCHEMES: Names = &[(1, "NOTIFY")];

/// The number that `text` names, in either letter case.
pub(super) fn number(names: Names, text: &[u8]) -> Option<u16> {
    let named = |(_, name): &&(u16, &str)| name.as_bytes().eq_ignore_ascii_case(text);
    names.iter().find(named).map(|(number, _)| *number)
}

/// The name of `number`.
pub(super) fn name(names: Names, number: u16) -> Option<&'static str> {
    names
        .iter()
        .find(|(other, _)| *other == number)
        .map(|(_, name)| *name)
}

/// The number of a DNSSEC algorithm by its name, in either letter case.
pub fn algorithm_number(text: &[u8]) -> Option<u8> {
    number(ALGORITHMS, text).and_then(|number| u8::try_from(number).ok())
}

/// IANA's name of a DNSSEC algorithm.
pub fn algorithm_name(number: u8) -> Option<&'static str> {
    name(ALGORITHMS, number.into())
}
