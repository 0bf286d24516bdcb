//! Promises to users, one module each: the real binary over real sockets, judged by other people's programs.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    missing_docs,
    reason = "a test may stop at the first surprise, and documents itself by its name"
)]

mod any_octets;
mod bad_keys;
mod bitmaps;
mod content_of_ns1;
mod crash;
mod full_disk;
#[allow(dead_code, reason = "a promise takes what it needs")]
mod harness;
mod interop_algorithm;
mod interop_algorithm_knot;
mod interop_bind_chain;
mod interop_half_signed;
mod interop_lock_step;
mod interop_master_files;
mod interop_mixing;
mod interop_ns1_clients;
mod interop_overload;
mod interop_plans;
mod interop_random_zones;
mod interop_real_time;
mod interop_resolver;
mod interop_same_answers;
mod interop_sources;
mod interop_transfers;
mod interop_two_providers;
mod interop_unbound;
mod interop_verify;
mod lab_faults;
mod lab_ns1;
mod monitor;
mod observations;
mod odd_packets;
mod operations;
mod overload;
mod parent_by_cds;
mod parent_by_csync;
mod peers_of_ns1;
mod plans;
mod plans_amiss;
mod plans_exchanged;
mod plans_reloaded;
mod probe;
mod rfc_tables;
mod tidy;
mod transport;
mod validation;
mod validator;
