//! Algorithms, keys and key files, the key register and the key set derived from it, signing, denial,
//! validation.

pub mod algorithm;
pub mod csync;
pub mod custody;
pub mod denial;
pub mod external;
pub mod key;
pub mod keyfile;
pub mod keyset;
mod pair;
pub mod register;
pub mod sign;
pub mod validate;

pub use pair::Backend;
