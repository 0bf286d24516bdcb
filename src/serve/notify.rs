//! Telling systemd how the service fares (sd_notify(3)): one datagram to the socket that it names.

use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

/// What to tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Start-up is over.
    Ready,
    /// A reload began, at this steady time in microseconds of the machine's own clock.
    Reloading {
        /// CLOCK_MONOTONIC, in microseconds.
        monotonic_usec: u64,
    },
    /// The service is about to end.
    Stopping,
}

impl State {
    fn text(self) -> String {
        match self {
            Self::Ready => "READY=1".into(),
            Self::Reloading { monotonic_usec } => format!("RELOADING=1\nMONOTONIC_USEC={monotonic_usec}"),
            Self::Stopping => "STOPPING=1".into(),
        }
    }
}

/// Tells the service manager that started us, if one did; a `status` line goes with it.
///
/// # Errors
/// When the socket that it named cannot be written to.
pub fn tell(state: State, status: &str) -> io::Result<()> {
    match env::var_os("NOTIFY_SOCKET") {
        Some(socket) => tell_at(socket.as_bytes(), state, status),
        None => Ok(()),
    }
}

fn tell_at(socket: &[u8], state: State, status: &str) -> io::Result<()> {
    let address = match socket {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
    };
    let mut message = state.text();
    if !status.is_empty() {
        // One line, whatever it holds.
        message.push_str(&format!("\nSTATUS={}", status.replace('\n', " ")));
    }
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_reads_what_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let mut buffer = [0; 200];
        for (state, status, expected) in [
            (State::Ready, "3 zones", "READY=1\nSTATUS=3 zones"),
            (
                State::Reloading { monotonic_usec: 7 },
                "",
                "RELOADING=1\nMONOTONIC_USEC=7",
            ),
            (State::Stopping, "two\nlines", "STOPPING=1\nSTATUS=two lines"),
        ] {
            tell_at(path.as_os_str().as_bytes(), state, status).unwrap();
            let length = manager.recv(&mut buffer).unwrap();
            assert_eq!(std::str::from_utf8(&buffer[..length]).unwrap(), expected);
        }
        drop(manager);
        assert!(tell_at(path.as_os_str().as_bytes(), State::Ready, "").is_err());
    }
}
