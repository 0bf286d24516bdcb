//! EDNS(0): the OPT record and its options (RFC 6891), as far as an authoritative server looks at them.

use super::message::Rcode;

/// The size below which a client's offer counts as this (RFC 6891 §6.2.3), and the limit without EDNS.
pub const MIN_UDP_PAYLOAD: u16 = 512;
/// The largest datagram that passes every path unbroken, which most servers and resolvers offer (RFC 9715 §3).
pub const UDP_PAYLOAD: u16 = 1_232;

/// The bit of the OPT flags that asks for DNSSEC records (RFC 3225).
const DO: u16 = 0x8000;
/// The bit of the OPT flags that asks for the real RCODE in compact denial (RFC 9824 §5.1).
const CO: u16 = 0x4000;

/// Option code 3: name server identifier (RFC 5001).
const NSID: u16 = 3;
/// Option code 15: extended DNS error (RFC 8914).
const EDE: u16 = 15;

/// What a question's OPT record says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Edns {
    /// The largest datagram the client takes, at least 512 octets.
    pub udp_payload: u16,
    /// EDNS version; only 0 is understood.
    pub version: u8,
    /// DNSSEC OK.
    pub dnssec_ok: bool,
    /// Compact answers OK (RFC 9824 §5.1).
    pub compact_ok: bool,
    /// The client asks for our identifier (RFC 5001).
    pub wants_nsid: bool,
}

impl Edns {
    /// Reads an OPT record from its class, TTL and rdata.
    ///
    /// # Errors
    /// FORMERR when the options do not fill the rdata exactly.
    pub fn read(class: u16, ttl: u32, mut options: &[u8]) -> Result<Self, Rcode> {
        let mut wants_nsid = false;
        while !options.is_empty() {
            let [c0, c1, l0, l1, rest @ ..] = options else {
                return Err(Rcode::FORMERR);
            };
            let length = usize::from(u16::from_be_bytes([*l0, *l1]));
            options = rest.get(length..).ok_or(Rcode::FORMERR)?;
            wants_nsid |= u16::from_be_bytes([*c0, *c1]) == NSID;
        }
        let flags = ttl as u16;
        Ok(Self {
            udp_payload: class.max(MIN_UDP_PAYLOAD),
            version: (ttl >> 16) as u8,
            dnssec_ok: flags & DO != 0,
            compact_ok: flags & CO != 0,
            wants_nsid,
        })
    }
}

/// An extended DNS error's INFO-CODE (RFC 8914 §4, RFC 9824 §3.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExtendedError(pub u16);

impl ExtendedError {
    /// The zone cannot be served now.
    pub const NOT_READY: Self = Self(14);
    /// The client may not have this.
    pub const PROHIBITED: Self = Self(18);
    /// The name is in no zone of ours.
    pub const NOT_AUTHORITATIVE: Self = Self(20);
    /// The operation or query is not supported.
    pub const NOT_SUPPORTED: Self = Self(21);
    /// The type may not be asked for.
    pub const INVALID_QUERY_TYPE: Self = Self(30);
}

/// The OPT record of a response.
#[derive(Clone, Copy, Debug)]
pub struct OptReply<'a> {
    /// The largest datagram we take.
    pub udp_payload: u16,
    /// DO, copied back (RFC 3225 §3).
    pub dnssec_ok: bool,
    /// CO, copied back (RFC 9824 §5.1).
    pub compact_ok: bool,
    /// Our identifier, when it was asked for and we have one.
    pub nsid: Option<&'a [u8]>,
    /// Why the answer is what it is.
    pub error: Option<ExtendedError>,
}

impl OptReply<'_> {
    /// Octets that [`OptReply::write`] appends.
    #[expect(clippy::len_without_is_empty, reason = "an OPT record is never empty")]
    pub fn len(&self) -> usize {
        11 + self.nsid.map_or(0, |nsid| 4 + nsid.len()) + if self.error.is_some() { 6 } else { 0 }
    }

    /// Appends the record; `rcode`'s upper eight bits go into it (RFC 6891 §6.1.3).
    pub fn write(&self, rcode: Rcode, out: &mut Vec<u8>) {
        let mut flags = 0;
        if self.dnssec_ok {
            flags |= DO;
        }
        if self.compact_ok {
            flags |= CO;
        }
        out.extend_from_slice(&[0, 0, 41]);
        out.extend_from_slice(&self.udp_payload.to_be_bytes());
        out.extend_from_slice(&[(rcode.0 >> 4) as u8, 0]);
        out.extend_from_slice(&flags.to_be_bytes());
        out.extend_from_slice(&((self.len() - 11) as u16).to_be_bytes());
        if let Some(nsid) = self.nsid {
            out.extend_from_slice(&NSID.to_be_bytes());
            out.extend_from_slice(&(nsid.len() as u16).to_be_bytes());
            out.extend_from_slice(nsid);
        }
        if let Some(error) = self.error {
            out.extend_from_slice(&EDE.to_be_bytes());
            out.extend_from_slice(&2_u16.to_be_bytes());
            out.extend_from_slice(&error.0.to_be_bytes());
        }
    }
}
