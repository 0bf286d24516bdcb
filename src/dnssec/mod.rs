//! Algorithms, keys and key files, the key register and the key set derived from it, signing, denial.

pub mod algorithm;
pub mod custody;
pub mod denial;
pub mod external;
pub mod key;
pub mod keyfile;
pub mod keyset;
pub mod register;
pub mod sign;
