//! EDNS(0): the OPT record and its options (RFC 6891).
