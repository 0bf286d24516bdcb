//! Promises to users, one module each: the real binary over real sockets, judged by other people's programs.
//! Modules whose name begins with `interop_` need those programs (`make tools`); the rest need nothing.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    missing_docs,
    reason = "a test may stop at the first surprise, and documents itself by its name"
)]

#[allow(dead_code, reason = "a promise takes what it needs")]
mod harness;
mod operations;
mod tidy;
