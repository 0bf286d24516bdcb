//! The lab: other parties of a zone on loopback, for trying things without an account: a simulated NS1, a parent
//! zone, and the scenarios that put them together.

pub mod ns1;
pub mod parent;
pub mod scenario;
