//! Servers that end with the test: started in a folder of their own, on a loopback address of their own, and
//! stopped by the id they were started with.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use countersign::clock::{Clock as _, SystemClock};

use super::{client, message::Query};

/// How long a server may take until it answers. Generous: it decides nothing but how long a failure takes.
pub const STARTING: Duration = Duration::from_secs(30);
/// How long a server may take to end after SIGTERM before it is killed.
const STOPPING: Duration = Duration::from_secs(10);

/// A moment after which waiting is given up.
#[derive(Debug)]
pub struct Deadline {
    clock: SystemClock,
    at: Duration,
}

impl Deadline {
    pub fn after(patience: Duration) -> Self {
        let clock = SystemClock::default();
        let at = clock.steady() + patience;
        Self { clock, at }
    }

    pub fn left(&self) -> Option<Duration> {
        self.at
            .checked_sub(self.clock.steady())
            .filter(|left| !left.is_zero())
    }
}

/// Looks again and again until `condition` gives something; `None` when the time is over.
pub fn wait_for<T>(patience: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Deadline::after(patience);
    loop {
        if let Some(found) = condition() {
            return Some(found);
        }
        deadline.left()?;
        #[expect(clippy::disallowed_methods, reason = "between two looks at another program")]
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An address that no other test uses: each has its own in 127/8, so that no port can be taken in between.
/// The port is free for UDP and TCP. Only for another process to listen there: whatever is started meanwhile holds the
/// port until it has become another program, so who listens in this one takes [`listeners`].
pub fn free_address() -> SocketAddr {
    listeners().0.local_addr().unwrap()
}

/// A socket for UDP and one for TCP, at the same address, which no other test uses.
pub fn listeners() -> (UdpSocket, TcpListener) {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let host = NEXT.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    let ip = Ipv4Addr::new(127, 64 + (process >> 8) as u8 % 64, process as u8, host);
    for _ in 0..100 {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        if let Ok(socket) = UdpSocket::bind(address) {
            return (socket, listener);
        }
    }
    panic!("no port of {ip} is free for both UDP and TCP");
}

/// What a process has said so far, line by line.
#[derive(Clone, Debug, Default)]
pub struct Said(Arc<(Mutex<Heard>, Condvar)>);

#[derive(Debug, Default)]
struct Heard {
    lines: Vec<String>,
    ended: bool,
}

impl Said {
    fn collect(stream: impl std::io::Read + Send + 'static) -> Self {
        let said = Self::default();
        let writer = said.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let (heard, news) = &*writer.0;
                let line = String::from_utf8_lossy(&line).into_owned();
                heard.lock().unwrap().lines.push(line);
                news.notify_all();
            }
            writer.0.0.lock().unwrap().ended = true;
            writer.0.1.notify_all();
        });
        said
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.0.lock().unwrap().lines.clone()
    }

    /// Waits until a line contains `text`; the line, or `None` when the time is over.
    pub fn wait_for(&self, text: &str, patience: Duration) -> Option<String> {
        self.wait(patience, |heard| {
            heard.lines.iter().find(|line| line.contains(text)).cloned()
        })
    }

    /// Waits until all was heard that the process had to say.
    pub fn wait_for_end(&self, patience: Duration) {
        self.wait(patience, |heard| heard.ended.then_some(()));
    }

    fn wait<T>(&self, patience: Duration, find: impl Fn(&Heard) -> Option<T>) -> Option<T> {
        let (heard, news) = &*self.0;
        let guard = heard.lock().unwrap();
        let (guard, _) = news
            .wait_timeout_while(guard, patience, |heard| find(heard).is_none())
            .unwrap();
        find(&guard)
    }
}

/// A running program.
#[derive(Debug)]
pub struct Server {
    pub address: SocketAddr,
    name: String,
    child: Child,
    stderr: Said,
}

impl Server {
    /// Starts `command`, and waits until it answers `ready` (any answer) at `address`.
    pub fn start(name: &str, mut command: Command, address: SocketAddr, ready: &Query) -> Self {
        let mut server = Self::spawn(name, &mut command, address);
        let bytes = ready.to_bytes(1);
        let answers = wait_for(STARTING, || {
            if let Some(status) = server.child.try_wait().unwrap() {
                panic!("{name} ended while starting ({status}):\n{}", server.log());
            }
            // Over TCP, for a refused connection is known at once.
            let answer = client::exchange_tcp(address, &bytes, Duration::from_secs(1)).ok()?;
            (answer[3] & 0xf != 2).then_some(())
        });
        assert!(
            answers.is_some(),
            "{name} does not answer at {address}:\n{}",
            server.log()
        );
        server
    }

    /// Starts `command` and waits for nothing.
    pub fn spawn(name: &str, command: &mut Command, address: SocketAddr) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|why| panic!("cannot start {name} ({command:?}): {why}"));
        let stderr = Said::collect(child.stderr.take().expect("it is piped"));
        Self {
            address,
            name: name.into(),
            child,
            stderr,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that it said on stderr so far.
    pub fn log(&self) -> String {
        self.stderr.lines().join("\n")
    }

    pub fn stderr(&self) -> &Said {
        &self.stderr
    }

    /// Sends a signal by name: `TERM`, `HUP`.
    pub fn signal(&self, signal: &str) {
        let script = format!("kill -{signal} {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &script])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for it to end; then its log is whole.
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let status = wait_for(patience, || self.child.try_wait().unwrap())?;
        self.stderr.wait_for_end(patience);
        Some(status)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {} at {} said:\n{}", self.name, self.address, self.log());
        }
        if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return;
        }
        self.signal("TERM");
        if self.wait(STOPPING).is_none() {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

/// Runs a program to its end and returns its output; stops the test when it fails.
pub fn run(command: &mut Command) -> String {
    let output = output(command);
    assert!(
        output.status.success(),
        "{command:?} failed ({}):\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a program to its end, whatever that is.
pub fn output(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|why| panic!("cannot run {command:?}: {why}"))
}

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Writes a file and returns its path.
pub fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path
}

/// The program under test.
pub fn countersign() -> Command {
    Command::new(env!("CARGO_BIN_EXE_countersign"))
}

/// A client command for the server whose state folder this is.
pub fn countersign_at(state: &Path, arguments: &[&str]) -> Command {
    let mut command = countersign();
    command.args(arguments).arg("--state").arg(state);
    command
}

/// How to serve zones with the program under test: a folder with its keys and its state.
#[derive(Debug)]
pub struct Countersign {
    folder: tempfile::TempDir,
    zones: Vec<(String, PathBuf)>,
    external: Vec<PathBuf>,
    denial: &'static str,
}

impl Countersign {
    pub fn new(origin: &str, file: impl Into<PathBuf>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            zones: vec![(origin.into(), file.into())],
            external: Vec::new(),
            denial: "compact",
        }
    }

    #[must_use]
    pub fn zone(mut self, origin: &str, file: impl Into<PathBuf>) -> Self {
        self.zones.push((origin.into(), file.into()));
        self
    }

    /// A file for `--external-keys`.
    #[must_use]
    pub fn external_keys(mut self, file: impl Into<PathBuf>) -> Self {
        self.external.push(file.into());
        self
    }

    /// `compact`, `nsec` or `nsec3`.
    #[must_use]
    pub fn denial(mut self, denial: &'static str) -> Self {
        self.denial = denial;
        self
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn keys(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// A client command with our state folder: `command(&["keys", "ds", "example."])`.
    pub fn command(&self, arguments: &[&str]) -> Command {
        countersign_at(&self.state(), arguments)
    }

    /// `countersign keys … --keys DIR --state DIR`.
    pub fn keys_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&[&["keys"], arguments].concat());
        command.arg("--keys").arg(self.keys());
        command
    }

    pub fn serve_command(&self, address: SocketAddr) -> Command {
        let mut command = self.command(&["serve", "--denial", self.denial]);
        command
            .args(["--listen", &address.to_string()])
            .arg("--keys")
            .arg(self.keys());
        for (origin, file) in &self.zones {
            command.arg("--zone").arg(format!("{origin}={}", file.display()));
        }
        for file in &self.external {
            command.arg("--external-keys").arg(file);
        }
        command
    }

    /// Starts it and waits until it answers.
    pub fn serve(&self) -> Server {
        let address = free_address();
        let ready = Query::plain(&self.zones[0].0, "SOA");
        Server::start("countersign", self.serve_command(address), address, &ready)
    }

    /// The DS records of our own keys, as a parent would publish them.
    pub fn ds(&self, origin: &str) -> String {
        run(&mut self.keys_command(&["ds", origin]))
    }
}
