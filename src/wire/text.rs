//! Presentation format of rdata: see `types`.
