//! Where the control socket is, and how it is bound: `STATE/control.sock`, for its owner alone.

use std::{
    fs, io,
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixStream};

/// The socket's name in the state folder.
pub const FILE_NAME: &str = "control.sock";
/// What the kernel's `sun_path` takes, less its final zero octet.
const LONGEST_PATH: usize = 107;

/// A path to `name` in `folder` that fits into a socket address; the open folder keeps it valid.
struct Reachable {
    path: PathBuf,
    _folder: Option<fs::File>,
}

impl Reachable {
    fn new(folder: &Path, name: &str) -> io::Result<Self> {
        let path = folder.join(name);
        if path.as_os_str().len() <= LONGEST_PATH {
            return Ok(Self { path, _folder: None });
        }
        let open = fs::File::open(folder)?;
        let path = Path::new("/proc/self/fd")
            .join(open.as_raw_fd().to_string())
            .join(name);
        Ok(Self {
            path,
            _folder: Some(open),
        })
    }
}

/// Binds the socket in `state`, in place of one that an earlier server left. Only the server that holds the
/// store in `state` may call this: that is what makes sure that no other one listens there.
///
/// # Errors
/// When the folder cannot be written.
pub fn bind(state: &Path) -> io::Result<UnixListener> {
    // Nobody can connect before the mode is right: the name comes last.
    let unfinished = Reachable::new(state, "control.sock.new")?;
    match fs::remove_file(&unfinished.path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&unfinished.path)?;
    fs::set_permissions(&unfinished.path, fs::Permissions::from_mode(0o600))?;
    fs::rename(&unfinished.path, state.join(FILE_NAME))?;
    Ok(listener)
}

/// Connects to the socket in `state`.
///
/// # Errors
/// `NotFound` when there is none, `ConnectionRefused` when nobody listens.
pub async fn connect(state: &Path) -> io::Result<UnixStream> {
    let socket = Reachable::new(state, FILE_NAME)?;
    UnixStream::connect(&socket.path).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_long_path_reached() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("d".repeat(200));
        fs::create_dir(&deep).unwrap();
        for state in [folder.path(), &deep] {
            assert_eq!(connect(state).await.unwrap_err().kind(), io::ErrorKind::NotFound);
            drop(bind(state).unwrap());
            assert_eq!(
                connect(state).await.unwrap_err().kind(),
                io::ErrorKind::ConnectionRefused
            );
            let _listener = bind(state).unwrap();
            connect(state).await.unwrap();
            let mode = fs::metadata(state.join(FILE_NAME)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
