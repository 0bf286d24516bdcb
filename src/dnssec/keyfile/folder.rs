//! A folder of key files: what is in it for a zone, and writing so that a crash at any point loses nothing.
//!
//! Order of a write: both halves into files of other names, synced; the private halves renamed, the folder
//! synced; the public halves renamed, the folder synced. So a public half never stands without its private one.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{KeyFile, KeyFileError, both_halves, parse_private, parse_public, zone_part};
use crate::{
    disk::{self, Disk, Unsynced},
    dnssec::{
        algorithm::{Algorithm, SigningAlgorithm},
        key::{Dnskey, SigningKey},
    },
    wire::{Name, NameRef},
};

/// A key file larger than this is not one: the largest RSA key takes a tenth of it.
const LARGEST_FILE: u64 = 64 * 1024;

/// A key pair in the folder, ready to sign.
#[derive(Debug)]
pub struct StoredKey {
    /// What the files hold.
    pub file: KeyFile,
    /// Both halves put together.
    pub signer: SigningKey,
}

/// A private half whose public half is not there.
#[derive(Debug)]
pub struct PrivateAlone {
    /// The file.
    pub path: PathBuf,
    /// The algorithm that its name says.
    pub algorithm: Algorithm,
    /// The tag that its name says.
    pub tag: u16,
    octets: Result<Zeroizing<Vec<u8>>, KeyFileError>,
}

impl PrivateAlone {
    /// Puts it together with a public half that is known from elsewhere. `None` when they are of different
    /// keys, or the file cannot be used.
    pub fn with_public(&self, apex: NameRef<'_>, dnskey: &Dnskey) -> Option<StoredKey> {
        if (self.algorithm, self.tag) != (dnskey.algorithm(), dnskey.key_tag()) {
            return None;
        }
        let text = std::str::from_utf8(self.octets.as_ref().ok()?).ok()?;
        let algorithm = SigningAlgorithm::try_from(dnskey.algorithm()).ok()?;
        let half = parse_private(text, algorithm).ok()?;
        let mut file = KeyFile::new(apex.to_owned(), dnskey.clone(), half.private, half.timing);
        file.others = half.others;
        file.found_as = self
            .path
            .file_stem()
            .and_then(|stem| Some(stem.to_str()?.to_owned()));
        let signer = file.signing_key().ok()?;
        Some(StoredKey { file, signer })
    }
}

/// What a folder holds for one zone.
#[derive(Debug, Default)]
pub struct Contents {
    /// Whole pairs.
    pub keys: Vec<StoredKey>,
    /// Public halves alone, with their paths.
    pub public_alone: Vec<(Dnskey, PathBuf)>,
    /// Private halves alone.
    pub private_alone: Vec<PrivateAlone>,
    /// Files that cannot be used.
    pub errors: Vec<KeyFileError>,
}

#[derive(Default)]
struct Halves {
    /// The common name as it stands in the folder.
    stem: String,
    public: bool,
    private: bool,
}

/// The names in a key folder, by zone: one reading serves a thousand zones.
pub struct Folder {
    path: PathBuf,
    zones: HashMap<String, HashMap<(Algorithm, u16), Halves>>,
}

impl Folder {
    /// Lists the folder. One that does not exist is empty.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn list(path: &Path) -> Result<Self, KeyFileError> {
        let failed = |source| KeyFileError::Read {
            path: path.into(),
            source,
        };
        let mut folder = Self {
            path: path.into(),
            zones: HashMap::new(),
        };
        let entries = match fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(folder),
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            folder.add(&name.to_string_lossy());
        }
        Ok(folder)
    }

    fn add(&mut self, name: &str) {
        let Some((stem, ending)) = name.rsplit_once('.') else {
            return;
        };
        let Some((zone, algorithm, tag)) = split_stem(stem) else {
            return;
        };
        if ending != "key" && ending != "private" {
            return;
        }
        // ldns keeps the letter case that the person typed.
        let zone = self.zones.entry(zone.to_ascii_lowercase()).or_default();
        let halves = zone.entry((algorithm, tag)).or_insert_with(|| Halves {
            stem: stem.to_owned(),
            ..Halves::default()
        });
        halves.public |= ending == "key";
        halves.private |= ending == "private";
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tags of the files for the zone, whether they can be read or not.
    pub fn tags(&self, apex: NameRef<'_>) -> Vec<u16> {
        let zone = self.zones.get(&zone_part(apex).to_ascii_lowercase());
        zone.map_or(Vec::new(), |zone| zone.keys().map(|(_, tag)| *tag).collect())
    }

    /// Reads what there is for the zone at `apex`.
    pub fn read(&self, apex: NameRef<'_>) -> Contents {
        let mut contents = Contents::default();
        let Some(zone) = self.zones.get(&zone_part(apex).to_ascii_lowercase()) else {
            return contents;
        };
        let mut found: Vec<_> = zone.iter().collect();
        found.sort_unstable_by_key(|(name, _)| **name);
        for (&(algorithm, tag), halves) in found {
            let public = self.path.join(format!("{}.key", halves.stem));
            let private = self.path.join(format!("{}.private", halves.stem));
            match (halves.public, halves.private) {
                (true, true) => match read_pair(&public, &private, apex) {
                    Ok(key) => contents.keys.push(key),
                    Err(error) => contents.errors.push(error),
                },
                (true, false) => match read_public(&public, apex) {
                    Ok((dnskey, ..)) => contents.public_alone.push((dnskey, public)),
                    Err(error) => contents.errors.push(error),
                },
                _ => contents.private_alone.push(PrivateAlone {
                    octets: read_whole(&private, Exposure::Refused),
                    path: private,
                    algorithm,
                    tag,
                }),
            }
        }
        contents
    }
}

/// Splits `Kexample.+013+12345` into `example.`, algorithm and tag.
pub(crate) fn split_stem(stem: &str) -> Option<(&str, Algorithm, u16)> {
    let (rest, tag) = stem.strip_prefix('K')?.rsplit_once('+')?;
    let (zone, algorithm) = rest.rsplit_once('+')?;
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(algorithm, 3) || !digits(tag, 5) {
        return None;
    }
    Some((zone, Algorithm(algorithm.parse().ok()?), tag.parse().ok()?))
}

/// Reads the pair that `path` names by either half, for the zone at `apex`, wherever it lies.
///
/// # Errors
/// When a half is missing or cannot be used.
pub fn read_named(path: &Path, apex: NameRef<'_>) -> Result<StoredKey, KeyFileError> {
    let (public, private) = both_halves(path)?;
    if public.exists() && !private.exists() {
        let (dnskey, ..) = read_public(&public, apex)?;
        return Err(KeyFileError::PublicAlone {
            path: public,
            tag: dnskey.key_tag(),
        });
    }
    read_pair(&public, &private, apex)
}

type PublicHalf = (Dnskey, Name, Option<crate::wire::Ttl>);

fn read_public(path: &Path, apex: NameRef<'_>) -> Result<PublicHalf, KeyFileError> {
    let form = |why| KeyFileError::Form {
        path: path.into(),
        why,
    };
    let octets = read_whole(path, Exposure::Allowed)?;
    let text = text_of(&octets).map_err(form)?;
    let (owner, ttl, dnskey) = parse_public(text).map_err(form)?;
    if owner.as_ref() != apex {
        return Err(KeyFileError::OtherZone {
            path: path.into(),
            found: owner,
            expected: apex.to_owned(),
        });
    }
    let named = path.file_stem().and_then(|name| split_stem(name.to_str()?));
    let expected = named.map(|(_, algorithm, tag)| (algorithm, tag));
    if expected != Some((dnskey.algorithm(), dnskey.key_tag())) {
        let (algorithm, tag) = (dnskey.algorithm(), dnskey.key_tag());
        return Err(form(format!(
            "the key in it is {tag} of {algorithm}, not what its name says"
        )));
    }
    if dnskey.protocol() != 3 || !dnskey.is_zone_key() {
        return Err(form(
            "this is not a zone's key: its flags or its protocol say otherwise".into(),
        ));
    }
    Ok((dnskey, owner, ttl))
}

fn text_of(octets: &[u8]) -> Result<&str, String> {
    match std::str::from_utf8(octets) {
        Ok(text) if !text.is_empty() && !text.contains('\0') => Ok(text),
        // What a file system shows that knew of the file and did not get its octets.
        Ok(_) => {
            Err("nothing or zeros stand here, as after a loss of power; copy the file there again".into())
        }
        Err(_) => Err("the file is not text".into()),
    }
}

fn read_pair(public: &Path, private: &Path, apex: NameRef<'_>) -> Result<StoredKey, KeyFileError> {
    let (dnskey, owner, ttl) = read_public(public, apex)?;
    let form = |why| KeyFileError::Form {
        path: private.into(),
        why,
    };
    let key = |source| KeyFileError::Key {
        path: private.into(),
        source,
    };
    let octets = read_whole(private, Exposure::Refused)?;
    let text = text_of(&octets).map_err(form)?;
    let algorithm = SigningAlgorithm::try_from(dnskey.algorithm()).map_err(|why| key(why.into()))?;
    let half = parse_private(text, algorithm).map_err(form)?;
    let file = KeyFile {
        owner,
        ttl,
        dnskey,
        private: half.private,
        timing: half.timing,
        others: half.others,
        found_as: public
            .file_stem()
            .and_then(|stem| Some(stem.to_str()?.to_owned())),
    };
    let signer = file.signing_key().map_err(key)?;
    Ok(StoredKey { file, signer })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Exposure {
    Allowed,
    Refused,
}

fn read_whole(path: &Path, exposure: Exposure) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let failed = |source| KeyFileError::Read {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.mode() & 0o7777;
    if exposure == Exposure::Refused && mode & 0o077 != 0 {
        return Err(KeyFileError::Exposed {
            path: path.into(),
            mode,
        });
    }
    // The whole size at once: a buffer that grows would leave copies behind.
    let mut octets = Zeroizing::new(Vec::with_capacity(metadata.len().min(LARGEST_FILE) as usize + 1));
    file.take(LARGEST_FILE).read_to_end(&mut octets).map_err(failed)?;
    Ok(octets)
}

/// Whether a write may replace a key file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Existing {
    /// No: these keys are new.
    Refuse,
    /// Yes: the same keys with other times.
    Replace,
}

/// Writes all of `files` into `folder`, which is made (mode 0700) when it does not exist. When this returns,
/// they are on disk.
///
/// # Errors
/// The first file that cannot be written. Then nothing of new keys is there; of keys with other times some may
/// have them.
pub fn write(
    disk: &dyn Disk,
    folder: &Path,
    files: &[KeyFile],
    existing: Existing,
) -> Result<(), KeyFileError> {
    if files.is_empty() {
        return Ok(());
    }
    disk::make_folder(disk, folder).map_err(write_failed(folder))?;
    let all = || files.iter().flat_map(|file| targets(folder, &file.stem()));
    if existing == Existing::Refuse
        && let Some(path) = all().find(|path| path.exists())
    {
        return Err(KeyFileError::Exists { path });
    }
    let written = write_durably(disk, folder, files);
    if written.is_err() {
        // A full disk wants its room back, and half a batch is of no use. What cannot be removed is dealt with
        // as what a crash leaves.
        for path in all() {
            let _ = disk.remove(&aside(&path));
            if existing == Existing::Refuse {
                let _ = disk.remove(&path);
            }
        }
    }
    written
}

fn write_durably(disk: &dyn Disk, folder: &Path, files: &[KeyFile]) -> Result<(), KeyFileError> {
    let mut written = Vec::with_capacity(files.len() * 2);
    for file in files {
        let [private, public] = targets(folder, &file.stem());
        for (path, mode, text) in [
            (private, 0o600, file.private_text()),
            (public, 0o644, Zeroizing::new(file.public_text())),
        ] {
            let new = write_aside(disk, &path, mode, text.as_bytes()).map_err(write_failed(&path))?;
            written.push(new);
        }
    }
    disk.sync(folder, &written).map_err(write_failed(folder))?;
    drop(written);
    for half in 0..2 {
        for file in files {
            let path = &targets(folder, &file.stem())[half];
            disk.rename(&aside(path), path).map_err(write_failed(path))?;
        }
        disk.sync_folder(folder).map_err(write_failed(folder))?;
    }
    Ok(())
}

fn write_failed(path: &Path) -> impl FnOnce(io::Error) -> KeyFileError {
    let path = path.to_owned();
    move |source| KeyFileError::Write { path, source }
}

/// Waits until whole pairs that were found in the folder are on disk: whoever wrote them may have died, or not
/// have waited. `stems` are the files' common names.
///
/// # Errors
/// When that is not known of one of them.
pub fn settle(disk: &dyn Disk, folder: &Path, stems: &[String]) -> Result<(), KeyFileError> {
    if stems.is_empty() {
        return Ok(());
    }
    disk::make_folder(disk, folder).map_err(write_failed(folder))?;
    let halves = stems.iter().flat_map(|stem| targets(folder, stem));
    let open = |path: PathBuf| Unsynced::found(path.clone()).map_err(write_failed(&path));
    let found: Vec<Unsynced> = halves.map(open).collect::<Result<_, _>>()?;
    disk.sync(folder, &found).map_err(write_failed(folder))?;
    disk.sync_folder(folder).map_err(write_failed(folder))
}

/// Removes what an interrupted write left of the key `stem`, so that no private half lies about under a name
/// that nobody reads.
pub fn discard_leftovers(disk: &dyn Disk, folder: &Path, stem: &str) {
    for path in targets(folder, stem) {
        // Nothing there is the usual case; what cannot be removed harms nothing but tidiness.
        let _ = disk.remove(&aside(&path));
    }
}

/// Private half, public half.
fn targets(folder: &Path, stem: &str) -> [PathBuf; 2] {
    [
        folder.join(format!("{stem}.private")),
        folder.join(format!("{stem}.key")),
    ]
}

/// The name under which a file is written before it takes its own.
fn aside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

fn write_aside(disk: &dyn Disk, path: &Path, mode: u32, octets: &[u8]) -> io::Result<Unsynced> {
    let path = aside(path);
    match disk.remove(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => disk.create(&path, mode, octets),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        disk::{System, simulated::SimulatedDisk},
        dnssec::{
            key::{PrivateKey, SEP, ZONE},
            keyfile::timing::Timing,
        },
    };
    use std::os::unix::fs::PermissionsExt as _;

    fn write(folder: &Path, files: &[KeyFile], existing: Existing) -> Result<(), KeyFileError> {
        super::write(&System, folder, files, existing)
    }

    fn made(owner: &str) -> KeyFile {
        let (dnskey, private) = PrivateKey::generate(SigningAlgorithm::EcdsaP256Sha256, ZONE | SEP).unwrap();
        KeyFile::new(owner.parse().unwrap(), dnskey, private, Timing::default())
    }

    fn read(folder: &Path, apex: &str) -> Contents {
        let apex: Name = apex.parse().unwrap();
        Folder::list(folder).unwrap().read(apex.as_ref())
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn keys_are_written_and_read_for_their_own_zone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("made/on/demand");
        let files = [
            made("example."),
            made("example."),
            made("a/b.Example."),
            made("."),
        ];
        write(&folder, &files, Existing::Refuse).unwrap();
        for (apex, count) in [("EXAMPLE.", 2), ("a/B.example.", 1), (".", 1), ("other.", 0)] {
            let contents = read(&folder, apex);
            assert!(contents.errors.is_empty(), "{:?}", contents.errors);
            assert_eq!(contents.keys.len(), count, "{apex}");
        }
        let [private, public] = targets(&folder, &files[0].stem());
        assert_eq!(
            (mode(&private), mode(&public), mode(&folder)),
            (0o600, 0o644, 0o700)
        );
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 8, "nothing is left aside");
        let error = write(&folder, &files[..1], Existing::Refuse).unwrap_err();
        assert!(matches!(error, KeyFileError::Exists { .. }), "{error}");
        write(&folder, &files[..1], Existing::Replace).unwrap();
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_half_done() {
        let disk = SimulatedDisk::new(1);
        let folder = disk.root().join("keys");
        let write = |files: &[KeyFile]| super::write(&disk.process(), &folder, files, Existing::Refuse);
        write(&[made("example.")]).unwrap();
        let names = || fs::read_dir(&folder).unwrap().count();
        disk.fill(true);
        write(&[made("example."), made("example.")]).unwrap_err();
        assert_eq!(names(), 2);
        disk.fill(false);
        for after in 0.. {
            disk.fail(after, io::ErrorKind::Other);
            if write(&[made("example."), made("example.")]).is_ok() {
                assert!(after > 8, "two pairs in {after} operations");
                break;
            }
            assert_eq!(names(), 2, "failed after {after} operations");
        }
        assert_eq!(read(&folder, "example.").keys.len(), 3);
    }

    #[test]
    fn a_batch_is_synced_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<_> = (0..disk::SYNC_ALL_FROM)
            .map(|n| made(&format!("zone{n}.")))
            .collect();
        write(folder.path(), &files, Existing::Refuse).unwrap();
        assert_eq!(read(folder.path(), "zone3.").keys.len(), 1);
    }

    #[test]
    fn bad_files_are_named_with_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let file = made("example.");
        let [private, public] = targets(folder, &file.stem());
        let spoil = |change: &dyn Fn()| {
            write(folder, std::slice::from_ref(&file), Existing::Replace).unwrap();
            change();
            let mut contents = read(folder, "example.");
            assert!(contents.keys.is_empty());
            contents
                .errors
                .pop()
                .map(|error| error.to_string())
                .unwrap_or_default()
        };
        let exposed = spoil(&|| fs::set_permissions(&private, fs::Permissions::from_mode(0o640)).unwrap());
        assert_eq!(
            exposed,
            format!(
                "{}: others can read this private key (mode 0640); run chmod 600 on it",
                private.display()
            )
        );
        let other = made("example.");
        let error = spoil(&|| fs::write(&private, other.private_text().as_bytes()).unwrap());
        assert!(error.contains("cannot sign"), "{error}");
        let error = spoil(&|| fs::write(&public, made("other.").public_text()).unwrap());
        assert!(error.contains("is a key for other., not for example."), "{error}");
        let error = spoil(&|| fs::write(&public, other.public_text()).unwrap());
        assert!(error.contains("not what its name says"), "{error}");
        let error = spoil(&|| fs::write(&private, [0xff, 0xfe]).unwrap());
        assert!(error.contains("not text"), "{error}");
        for torn in [vec![0; 300], Vec::new()] {
            let error = spoil(&|| fs::write(&private, &torn).unwrap());
            assert!(error.contains("as after a loss of power"), "{error}");
        }
        let error = spoil(&|| {
            fs::remove_file(&private).unwrap();
            fs::create_dir(&private).unwrap();
            fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
        });
        assert!(error.contains("cannot read"), "{error}");
    }

    #[test]
    fn names_in_another_letter_case_are_found_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut file = made("Example.");
        file.found_as = Some(file.own_stem().replace("example", "Example"));
        write(folder, std::slice::from_ref(&file), Existing::Refuse).unwrap();
        let key = read(folder, "example.").keys.remove(0);
        write(folder, &[key.file], Existing::Replace).unwrap();
        assert_eq!(fs::read_dir(folder).unwrap().count(), 2);
        assert_eq!(read(folder, "example.").keys.len(), 1);
    }

    #[test]
    fn halves_alone_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let files = [made("example."), made("example.")];
        write(folder, &files, Existing::Refuse).unwrap();
        fs::remove_file(&targets(folder, &files[0].stem())[0]).unwrap();
        fs::remove_file(&targets(folder, &files[1].stem())[1]).unwrap();
        let contents = read(folder, "example.");
        assert_eq!(contents.public_alone[0].0, files[0].dnskey);
        assert_eq!(contents.private_alone[0].tag, files[1].dnskey.key_tag());
        let half = &contents.private_alone[0];
        let again = half.with_public(files[1].owner.as_ref(), &files[1].dnskey);
        assert!(
            half.with_public(files[0].owner.as_ref(), &files[0].dnskey)
                .is_none()
        );
        assert!(again.is_some());
        let named = read_named(&contents.public_alone[0].1, files[0].owner.as_ref()).unwrap_err();
        assert!(matches!(named, KeyFileError::PublicAlone { .. }), "{named}");
    }
}
