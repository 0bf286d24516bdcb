//! The simulated NS1 against what is known of the real one.

mod api;
mod sockets;
