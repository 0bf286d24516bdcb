//! The file of a key's secret: base64, as every server's configuration has it, readable for nobody else.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{TsigAlgorithm, TsigKey, TsigKeyError};
use crate::wire::Name;

/// The largest file that is read, in octets: a secret has as many as its hash, and white space.
const LARGEST: u64 = 4_096;

/// Why a file gives no key.
#[derive(Debug, thiserror::Error)]
pub enum TsigFileError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others can read it.
    #[error("{path}: others can read this secret (mode {mode:04o}); run chmod 600 on it")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It holds no secret.
    #[error("{path} holds no secret")]
    Secret {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: TsigKeyError,
    },
}

impl TsigKey {
    /// The key whose secret a file holds.
    ///
    /// # Errors
    /// When it cannot be read, others can read it, or it holds no secret.
    pub fn from_file(name: Name, algorithm: TsigAlgorithm, path: &Path) -> Result<Self, TsigFileError> {
        let path = || path.to_owned();
        let failed = |source| TsigFileError::Read { path: path(), source };
        let file = File::open(path()).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(TsigFileError::Exposed { path: path(), mode });
        }
        // All the room at once: a buffer that grows would leave copies behind.
        let mut secret = Zeroizing::new(String::with_capacity(LARGEST as usize));
        file.take(LARGEST).read_to_string(&mut secret).map_err(failed)?;
        Self::from_base64(name, algorithm, &secret)
            .map_err(|source| TsigFileError::Secret { path: path(), source })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_secret_is_read_from_a_file_that_others_cannot_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("transfer.secret");
        let read = || TsigKey::from_file("k.".parse().unwrap(), TsigAlgorithm::HmacSha256, &path);
        let missing = read().unwrap_err().to_string();
        assert!(missing.starts_with("cannot read "), "{missing}");
        fs::write(&path, "c2VjcmV0\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let exposed = read().unwrap_err().to_string();
        assert!(exposed.ends_with("(mode 0640); run chmod 600 on it"), "{exposed}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read().unwrap().name().to_string(), "k.");
        fs::write(&path, "not base64!\n").unwrap();
        let error = read().unwrap_err();
        assert!(matches!(error, TsigFileError::Secret { .. }), "{error}");
        assert!(
            !format!("{error:?}").contains("not base64!"),
            "the secret is in no message"
        );
    }
}
