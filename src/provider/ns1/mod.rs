//! IBM NS1 Connect.
