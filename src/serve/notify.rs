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
    process,
    time::Duration,
};

use super::system;

/// What to tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Start-up, or a reload, is over.
    Ready,
    /// A reload begins.
    Reloading,
    /// The service is about to end.
    Stopping,
    /// It is alive. Owed every [`watchdog_interval`], where there is one.
    Alive,
}

impl State {
    fn text(self) -> String {
        match self {
            Self::Ready => "READY=1".into(),
            // The time tells this reload from one that was under way when another was asked for.
            Self::Reloading => format!("RELOADING=1\nMONOTONIC_USEC={}", system::monotonic_usec()),
            Self::Stopping => "STOPPING=1".into(),
            Self::Alive => "WATCHDOG=1".into(),
        }
    }
}

/// How often the service manager wants to be told that this process is alive, when it does (sd_watchdog_enabled(3)).
pub fn watchdog_interval() -> Option<Duration> {
    let number = |name| env::var(name).ok()?.parse::<u64>().ok();
    // Another process's may have been inherited.
    let ours = env::var_os("WATCHDOG_PID").is_none() || number("WATCHDOG_PID") == Some(process::id().into());
    let interval = Duration::from_micros(number("WATCHDOG_USEC")?);
    (ours && !interval.is_zero()).then_some(interval)
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
            (State::Alive, "", "WATCHDOG=1"),
            (State::Stopping, "two\nlines", "STOPPING=1\nSTATUS=two lines"),
        ] {
            tell_at(path.as_os_str().as_bytes(), state, status).unwrap();
            let length = manager.recv(&mut buffer).unwrap();
            assert_eq!(std::str::from_utf8(&buffer[..length]).unwrap(), expected);
        }
        let before = system::monotonic_usec();
        tell_at(path.as_os_str().as_bytes(), State::Reloading, "").unwrap();
        let length = manager.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        let at: u64 = text
            .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
            .unwrap()
            .parse()
            .unwrap();
        assert!((before..=system::monotonic_usec()).contains(&at));
        drop(manager);
        assert!(tell_at(path.as_os_str().as_bytes(), State::Ready, "").is_err());
    }
}
