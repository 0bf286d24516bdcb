//! The SOA of a negative answer with its signatures, rendered once for all questions of a zone.
//!
//! Every name in it that is at or below the apex ends in a pointer to the apex within the question; where that
//! lies depends on the question's length alone, so the pointers are patched when the block is copied.

use crate::{
    clock::UnixTime,
    dnssec::sign::{Covered, Signer},
    wire::{
        Class, NameRef, RrType, Ttl,
        message::{Full, Response, Section},
        types,
    },
    zone::{
        Zone,
        slot::{Kept, Signed},
    },
};

/// The most pointers a block has: the owner of the SOA and of each signature, MNAME, RNAME.
const MAX_PATCHES: usize = 8;

/// See the module.
#[derive(Debug)]
pub struct SoaBlock {
    /// The signed SOA it was made from; `None`: the block is for questions without DO.
    signed: Option<Kept<Signed>>,
    soa_ttl: Ttl,
    octets: Box<[u8]>,
    records: u16,
    patches: [u16; MAX_PATCHES],
    patch_count: usize,
}

impl SoaBlock {
    /// Renders the block of a zone, with the signatures of `signed`. `None` when the zone has so many signing keys that the pointers exceed
    /// [`MAX_PATCHES`]; then the records are appended one by one.
    pub fn new(zone: &Zone, signed: Option<(&Signer, Kept<Signed>)>) -> Option<Self> {
        let mut block = Self {
            signed: None,
            soa_ttl: zone.soa().ttl(),
            octets: Box::default(),
            records: 1,
            patches: [0; MAX_PATCHES],
            patch_count: 0,
        };
        let (apex, ttl) = (zone.apex(), zone.negative_ttl());
        let mut out = Vec::with_capacity(256);
        let soa = zone.soa().rdatas().next()?;
        block.push_record(&mut out, RrType::SOA, ttl, |block, out| {
            let mut copied = 0;
            for name in types::names_in_rdata(RrType::SOA, soa) {
                block.push_name(out, NameRef::from_trusted(&soa[name.range.clone()]), apex)?;
                copied = name.range.end;
            }
            out.extend_from_slice(&soa[copied..]);
            Some(())
        })?;
        if let Some((signer, signed)) = signed {
            let soa = zone.soa();
            let covered = Covered {
                rtype: RrType::SOA,
                labels: apex.rrsig_labels(),
                ttl: soa.ttl(),
            };
            for key in 0..signed.len() {
                block.push_record(&mut out, RrType::RRSIG, ttl, |_, out| {
                    signer.push_rrsig(covered, &signed, key, out);
                    Some(())
                })?;
                block.records += 1;
            }
            block.signed = Some(signed);
        }
        block.octets = out.into();
        Some(block)
    }

    fn push_record(
        &mut self,
        out: &mut Vec<u8>,
        rtype: RrType,
        ttl: Ttl,
        rdata: impl FnOnce(&mut Self, &mut Vec<u8>) -> Option<()>,
    ) -> Option<()> {
        self.push_pointer(out)?;
        out.extend_from_slice(&rtype.0.to_be_bytes());
        out.extend_from_slice(&Class::IN.0.to_be_bytes());
        out.extend_from_slice(&ttl.seconds().to_be_bytes());
        let length_at = out.len();
        out.extend_from_slice(&[0, 0]);
        rdata(self, out)?;
        let length = (out.len() - length_at - 2) as u16;
        out[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
        Some(())
    }

    fn push_name(&mut self, out: &mut Vec<u8>, name: NameRef<'_>, apex: NameRef<'_>) -> Option<()> {
        if !name.is_at_or_below(apex) {
            out.extend_from_slice(name.as_wire());
            return Some(());
        }
        out.extend_from_slice(&name.as_wire()[..name.len() - apex.len()]);
        self.push_pointer(out)
    }

    fn push_pointer(&mut self, out: &mut Vec<u8>) -> Option<()> {
        *self.patches.get_mut(self.patch_count)? = out.len() as u16;
        self.patch_count += 1;
        out.extend_from_slice(&[0, 0]);
        Some(())
    }

    /// Whether it may be served.
    pub fn is_good(&self, issuer: u32, now: UnixTime) -> bool {
        self.signed
            .as_ref()
            .is_none_or(|signed| signed.is_good(issuer, self.soa_ttl, now))
    }

    /// Appends it to the authority section.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn append(&self, apex: NameRef<'_>, response: &mut Response<'_>) -> Result<(), Full> {
        let patches = self.patches[..self.patch_count].iter().map(|&at| usize::from(at));
        response.append_patched(Section::Authority, &self.octets, self.records, patches, apex)
    }
}
