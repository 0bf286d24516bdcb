//! One record a line, as BIND's and ldns's tools read it.

use std::fmt::{self, Write};

use crate::wire::{NameRef, RrType, Ttl, text::print_rdata};

/// Prints a record and the end of its line: absolute names, the TTL in seconds, class IN.
///
/// # Errors
/// Those of `out`.
pub fn print_record(
    owner: NameRef<'_>,
    ttl: Ttl,
    rtype: RrType,
    rdata: &[u8],
    out: &mut dyn Write,
) -> fmt::Result {
    write!(out, "{owner}\t{ttl}\tIN\t{rtype}\t")?;
    print_rdata(rtype, rdata, out)?;
    out.write_char('\n')
}
