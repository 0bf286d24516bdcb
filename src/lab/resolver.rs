//! A real resolver: unbound, with a configuration of its own, as a process that ends with this.

use std::{
    fmt::Write as _,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use crate::{
    client::{Asker, Question},
    wire::{Name, RrType},
};

/// Where it may be: Debian keeps daemons where an ordinary user's PATH does not lead.
const PLACES: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/usr/bin"];
/// How long it may take to be ready.
const STARTING: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// The configuration of an unbound that validates: each zone is asked at its addresses, those of one zone stand together;
/// `anchors` are DS or DNSKEY records, a line each, and `settings` further lines of its `server` clause.
pub fn configuration(
    folder: &Path,
    address: SocketAddr,
    anchors: &str,
    zones: &[(&str, SocketAddr)],
    settings: &str,
) -> String {
    let mut text = format!(
        "server:\n  directory: {}\n  chroot: \"\"\n  username: \"\"\n  pidfile: \"\"\n  use-syslog: no\n  \
         logfile: \"\"\n  do-daemonize: no\n  interface: {}@{}\n  do-not-query-localhost: no\n  num-threads: 1\n  \
         module-config: \"validator iterator\"\n  target-fetch-policy: \"0 0 0 0 0\"\n  harden-glue: yes\n  \
         harden-dnssec-stripped: yes\n  harden-below-nxdomain: yes\n  harden-referral-path: no\n  \
         harden-algo-downgrade: yes\n  val-log-level: 2\n  local-zone: \"test.\" nodefault\n  \
         prefetch: no\n  serve-expired: no\n  infra-keep-probing: yes\n  outbound-msg-retry: 10\n  num-queries-per-thread: 4096\n",
        folder.display(),
        address.ip(),
        address.port()
    );
    for anchor in anchors.lines().filter(|line| !line.trim().is_empty()) {
        let _ = writeln!(text, "  trust-anchor: \"{}\"", anchor.replace('\t', " "));
    }
    for line in settings.lines() {
        let _ = writeln!(text, "  {line}");
    }
    text.push_str("remote-control:\n  control-enable: no\n");
    for group in zones.chunk_by(|(one, _), (other, _)| one == other) {
        let _ = writeln!(text, "stub-zone:\n  name: \"{}\"", group[0].0);
        for (_, at) in group {
            let _ = writeln!(text, "  stub-addr: {}@{}", at.ip(), at.port());
        }
    }
    text
}

/// The program; none where it is not installed.
pub fn program() -> Option<PathBuf> {
    let places = PLACES.iter().map(|folder| Path::new(folder).join("unbound"));
    places.into_iter().find(|path| path.exists())
}

/// An unbound that runs.
#[derive(Debug)]
pub struct Unbound {
    /// Where it answers.
    pub address: SocketAddr,
    /// What it says: why an answer is bogus, among other things.
    pub log: PathBuf,
    process: Child,
}

impl Unbound {
    /// Starts it in a folder of its own, which must not exist, and waits until it answers.
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub async fn start(folder: &Path, anchors: &str, zones: &[(&str, SocketAddr)]) -> io::Result<Self> {
        let program = program().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                "unbound is not installed; install the package unbound, whose daemon need not run",
            )
        })?;
        fs::create_dir(folder)?;
        // Free a moment ago, which is as good as it gets with a program that takes no socket.
        let free = super::bind_both(([127, 0, 0, 1], 0).into()).await?;
        let address = free.1.local_addr()?;
        drop(free);
        let (conf, log) = (folder.join("unbound.conf"), folder.join("log"));
        let text = configuration(folder, address, anchors, zones, "aggressive-nsec: no");
        fs::write(&conf, text)?;
        let process = Command::new(program)
            .arg("-d")
            .arg("-c")
            .arg(conf)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .kill_on_drop(true)
            .spawn()?;
        let mut unbound = Self {
            address,
            log,
            process,
        };
        unbound.wait().await?;
        Ok(unbound)
    }

    async fn wait(&mut self) -> io::Result<()> {
        // It answers this one by itself.
        let question = Question {
            name: "localhost.".parse::<Name>().map_err(io::Error::other)?,
            rtype: RrType::A,
            dnssec: false,
            recursion: true,
        };
        let began = Instant::now();
        while Asker::default().ask(self.address, &question).await.is_err() {
            if let Some(status) = self.process.try_wait()? {
                let said = fs::read_to_string(&self.log).unwrap_or_default();
                return Err(io::Error::other(format!("unbound ended ({status}): {said}")));
            }
            if began.elapsed() > STARTING {
                return Err(io::Error::other("unbound does not answer"));
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }
}
