//! What the driver is told: where NS1 is, with which key, and in which form it is written to.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    time::Duration,
};

use reqwest::Url;
use zeroize::Zeroizing;

use crate::client::https::is_loopback;

/// NS1 Connect's own address.
pub const ENDPOINT: &str = "https://api.nsone.net/v1/";
/// The name of our set among the external key sets of a zone, where nothing else is said.
pub const KEY_SET: &str = "countersign";
/// How long one operation may take, waiting and trying again included, where nothing else is said.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// The longest API key, in octets; NS1's have twenty.
const LONGEST_KEY: u64 = 1024;
/// What stands where a secret was.
const HIDDEN: &str = "[the API key]";
/// The longest name of a key set: it is part of a path, and NS1 names no limit.
const LONGEST_KEY_SET: usize = 64;

/// Everything the driver is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the configuration calls this provider.
    pub name: String,
    /// The base of the API, with its version: [`ENDPOINT`], or a lab's.
    pub endpoint: String,
    /// Where the API key is.
    pub key: KeySource,
    /// A file of certificates (PEM) that are trusted beside the system's, as for a lab.
    pub ca: Option<PathBuf>,
    /// The name of our set of external keys.
    pub key_set: String,
    /// In which form key sets are written. All forms are read.
    pub form: WireForm,
    /// How long one operation may take, waiting and trying again included.
    pub deadline: Duration,
}

impl Settings {
    /// Those for a provider of which nothing but its name and its key is said.
    pub fn new(name: impl Into<String>, key: KeySource) -> Self {
        Self {
            name: name.into(),
            endpoint: ENDPOINT.into(),
            key,
            ca: None,
            key_set: KEY_SET.into(),
            form: WireForm::default(),
            deadline: DEADLINE,
        }
    }

    /// The base of the API as an address that ends in a slash.
    ///
    /// # Errors
    /// When it is none, or the key would go over the wire in the clear.
    pub fn base(&self) -> Result<Url, SettingsError> {
        let wrong = |why: &str| SettingsError::Endpoint {
            endpoint: self.endpoint.clone(),
            why: why.into(),
        };
        let mut base = Url::parse(&self.endpoint).map_err(|error| wrong(&error.to_string()))?;
        if !base.username().is_empty() || base.password().is_some() {
            // Neither is repeated in the message.
            return Err(SettingsError::Endpoint {
                endpoint: base.host_str().unwrap_or_default().into(),
                why:
                    "it holds a user name or a password; NS1 takes an API key, from a file or the environment"
                        .into(),
            });
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(wrong("nothing may stand behind its path"));
        }
        match base.scheme() {
            "https" => {}
            "http" if is_loopback(&base) => {}
            "http" => {
                return Err(wrong(
                    "the API key would go over the wire in the clear; write https, for http is taken on loopback only",
                ));
            }
            _ => return Err(wrong("it must begin with https://")),
        }
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        Ok(base)
    }

    /// Sees to it that the name of our key set is one.
    ///
    /// # Errors
    /// When it is empty, long, or has characters that a path would have to escape.
    pub fn check_key_set(&self) -> Result<(), SettingsError> {
        let name = &self.key_set;
        let is_good = (1..=LONGEST_KEY_SET).contains(&name.len())
            && name
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'));
        match is_good {
            true => Ok(()),
            false => Err(SettingsError::KeySet(name.clone())),
        }
    }
}

/// How an external key set is written in a body, which NS1's documents leave open. This is the one place that
/// chooses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WireForm {
    /// Whether the set stands within a member `dnskey`.
    pub nesting: Nesting,
    /// How flags, protocol and algorithm are written.
    pub values: Values,
}

impl WireForm {
    /// All forms there are, the likeliest first.
    pub const ALL: [Self; 4] = [
        Self::of(Nesting::Wrapped, Values::Numbers),
        Self::of(Nesting::Bare, Values::Numbers),
        Self::of(Nesting::Wrapped, Values::Strings),
        Self::of(Nesting::Bare, Values::Strings),
    ];

    const fn of(nesting: Nesting, values: Values) -> Self {
        Self { nesting, values }
    }
}

impl fmt::Display for WireForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nesting = match self.nesting {
            Nesting::Wrapped => "wrapped",
            Nesting::Bare => "bare",
        };
        let values = match self.values {
            Values::Numbers => "numbers",
            Values::Strings => "strings",
        };
        write!(f, "{nesting}, {values}")
    }
}

/// Whether a set stands within a member `dnskey`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Nesting {
    /// `{"dnskey": {"ttl": …, "data": […]}}`, the natural reading of NS1's documents.
    #[default]
    Wrapped,
    /// `{"ttl": …, "data": […]}`.
    Bare,
}

/// How flags, protocol and algorithm are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Values {
    /// `257`.
    #[default]
    Numbers,
    /// `"257"`, as `/dnssec` shows them.
    Strings,
}

/// Where the API key is. It is read anew for each request, so that a key that was changed is taken at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeySource {
    /// A file that nobody but its owner can read; blanks at its ends do not count.
    File(PathBuf),
    /// A variable of the environment, by its name.
    Environment(String),
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "${name}"),
        }
    }
}

impl KeySource {
    /// Reads the key.
    ///
    /// # Errors
    /// When there is none, others can read it, or it is no key. The key is not in the message.
    pub fn read(&self) -> Result<ApiKey, KeyError> {
        let text = match self {
            Self::File(path) => read_file(path)?,
            Self::Environment(name) => {
                // What the environment holds stays there; only the copy is wiped.
                let value = std::env::var(name).map_err(|_| KeyError::Unset(name.clone()))?;
                Zeroizing::new(value)
            }
        };
        let key = text.trim();
        if key.is_empty() {
            return Err(KeyError::Empty(self.clone()));
        }
        if key.len() as u64 > LONGEST_KEY || !key.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err(KeyError::NoKey(self.clone()));
        }
        Ok(ApiKey(Zeroizing::new(key.into())))
    }
}

fn read_file(path: &PathBuf) -> Result<Zeroizing<String>, KeyError> {
    let failed = |source| KeyError::Read {
        path: path.clone(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed {
            path: path.clone(),
            mode,
        });
    }
    // One octet more than the longest key, its blanks included, and no growth that would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(2 * LONGEST_KEY as usize));
    file.take(2 * LONGEST_KEY)
        .read_to_string(&mut text)
        .map_err(failed)?;
    Ok(text)
}

/// NS1's secret; wiped when dropped, and never printed. The copy in a request's header is the HTTP library's, and is
/// not wiped.
#[derive(Clone)]
pub struct ApiKey(Zeroizing<String>);

impl ApiKey {
    /// The secret itself, for the header alone.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// `text` without the secret, should somebody have repeated it.
    pub(super) fn redact(&self, text: &str) -> String {
        text.replace(self.0.as_str(), HIDDEN)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(not shown)")
    }
}

/// Why there is no API key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the API key from {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others can read the file.
    #[error("{}: others can read this API key (mode {mode:04o}); run chmod 600 on it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The variable is not set.
    #[error("there is no API key in ${0}; set it, or name a file")]
    Unset(String),
    /// There is nothing in it.
    #[error("the API key in {0} is empty; NS1's portal shows it once, when it is made")]
    Empty(KeySource),
    /// It cannot be a key.
    #[error("what {0} holds is no API key: it must be one line of printable ASCII without blanks")]
    NoKey(KeySource),
}

/// Why the driver cannot work with its settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The endpoint is none.
    #[error("the endpoint {endpoint} cannot be used: {why}")]
    Endpoint {
        /// What was given.
        endpoint: String,
        /// Why.
        why: String,
    },
    /// The name of the key set is none.
    #[error("{0:?} cannot name a key set; use letters, digits, - and _, {LONGEST_KEY_SET} of them at most")]
    KeySet(String),
    /// The file of certificates cannot be used.
    #[error("cannot take certificates from {}: {why}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}; are the system's CA certificates installed (package ca-certificates)?")]
    Tls(String),
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    use super::*;

    fn write(folder: &Path, text: &str, mode: u32) -> KeySource {
        let path = folder.join("key");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        KeySource::File(path)
    }

    #[test]
    fn a_key_is_read_from_a_file_that_only_its_owner_reads() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(
            write(folder.path(), " s3cret\n", 0o400).read().unwrap().expose(),
            "s3cret"
        );
        for mode in [0o644, 0o640, 0o604] {
            let error = write(folder.path(), "s3cret\n", mode).read().unwrap_err();
            assert!(matches!(error, KeyError::Exposed { .. }), "{error}");
            assert!(error.to_string().ends_with("run chmod 600 on it"), "{error}");
        }
        for text in ["", " \n", "two words", "line\nline", &"x".repeat(3_000)] {
            let error = write(folder.path(), text, 0o600).read().unwrap_err();
            assert!(
                text.trim().is_empty() || !error.to_string().contains(text.trim()),
                "{error}"
            );
        }
        let absent = KeySource::File(folder.path().join("absent")).read().unwrap_err();
        assert!(matches!(absent, KeyError::Read { .. }));
    }

    #[test]
    fn nothing_prints_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let source = write(folder.path(), "c4nary", 0o600);
        let key = source.read().unwrap();
        assert_eq!(format!("{key:?}"), "ApiKey(not shown)");
        let settings = Settings::new("ns1", source);
        assert!(!format!("{settings:?}").contains("c4nary"));
        assert_eq!(key.redact("bad key c4nary!"), "bad key [the API key]!");
    }

    #[test]
    fn an_unset_variable_is_named() {
        let error = KeySource::Environment("COUNTERSIGN_NO_SUCH".into())
            .read()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no API key in $COUNTERSIGN_NO_SUCH; set it, or name a file"
        );
    }

    #[test]
    fn the_key_never_goes_in_the_clear() {
        let base = |endpoint: &str| {
            let mut settings = Settings::new("ns1", KeySource::Environment("X".into()));
            settings.endpoint = endpoint.into();
            settings
                .base()
                .map(|url| url.to_string())
                .map_err(|error| error.to_string())
        };
        assert_eq!(base(ENDPOINT).as_deref(), Ok(ENDPOINT));
        assert_eq!(base("https://api.nsone.net/v1").as_deref(), Ok(ENDPOINT));
        assert_eq!(
            base("http://127.0.0.1:8080/v1").as_deref(),
            Ok("http://127.0.0.1:8080/v1/")
        );
        assert!(base("http://[::1]:8080/v1/").is_ok() && base("http://localhost/v1/").is_ok());
        for wrong in [
            "http://api.nsone.net/v1/",
            "ftp://127.0.0.1/",
            "api.nsone.net",
            "https://x/?a=b",
            "data:x",
        ] {
            assert!(base(wrong).is_err(), "{wrong}");
        }
        let error = base("https://user:c4nary@api.nsone.net/v1/").unwrap_err();
        assert!(!error.contains("c4nary"), "{error}");
    }

    #[test]
    fn names_of_key_sets_need_no_escapes() {
        let check = |name: &str| {
            let mut settings = Settings::new("ns1", KeySource::Environment("X".into()));
            settings.key_set = name.into();
            settings.check_key_set().is_ok()
        };
        assert!(check("countersign") && check("a-b_C9"));
        assert!(!check("") && !check("a/b") && !check("a b") && !check(&"a".repeat(65)));
    }
}
