//! Questions that go out from another host: a command there, or to there, makes a stream to the server, as
//! `ProxyCommand` does for ssh. What comes is the server's own answer over TCP, octet by octet.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::AsyncReadExt as _,
    process::{Child, Command},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    AskError, Asker, Question,
    exchange::{self, Sent},
    query::Asking,
};
use crate::wire::received::Received;

/// How much of what a command complains of is told, in octets.
const COMPLAINT: u64 = 400;
/// How long is waited for a complaint.
const COMPLAINING: Duration = Duration::from_millis(500);
/// How many streams go out by way of one place at the same time, over all zones: sshd begins to refuse logins when ten are
/// not through yet (`MaxStartups`).
pub const STREAMS: usize = 8;
/// Where programs are looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Another place to ask from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relay {
    /// What people call it.
    pub name: String,
    /// A program and its arguments, in which `%h` stands for the server's address and `%p` for its port. No shell reads
    /// them, and no environment of ours is handed on.
    pub command: Vec<String>,
    /// How long one server may take to answer all that it is asked.
    pub timeout: Duration,
}

/// The streams that go out by way of other places, over all who ask.
#[derive(Debug, Default)]
pub struct Streams {
    /// Those that are free, by the name of the place.
    free: Mutex<BTreeMap<String, Arc<Semaphore>>>,
}

impl Streams {
    /// Waits until a stream may go out by way of a place. It is given back when what this gives is dropped.
    pub async fn one(&self, place: &str) -> Option<OwnedSemaphorePermit> {
        let free = {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            let known = free.entry(place.to_owned());
            Arc::clone(known.or_insert_with(|| Arc::new(Semaphore::new(STREAMS))))
        };
        // None of them is ever closed.
        free.acquire_owned().await.ok()
    }
}

impl Relay {
    /// Asks one server, all on one stream as long as it lasts. Ends within the relay's time, and the command with it;
    /// may be dropped at any moment.
    pub async fn ask(&self, server: SocketAddr, questions: &[Question]) -> Vec<Result<Received, AskError>> {
        let mut answers = Vec::with_capacity(questions.len());
        let asked = timeout(self.timeout, self.ask_all(server, questions, &mut answers)).await;
        let waited = self.timeout;
        let missing = || match &asked {
            Ok(Err(source)) => AskError::Unreachable {
                server,
                source: io::Error::other(source.to_string()),
            },
            _ => AskError::Silent { server, waited },
        };
        while answers.len() < questions.len() {
            answers.push(Err(missing()));
        }
        answers
    }

    /// One stream after the other: a server may close one after any answer, and is then asked for the rest.
    async fn ask_all(
        &self,
        server: SocketAddr,
        questions: &[Question],
        answers: &mut Vec<Result<Received, AskError>>,
    ) -> io::Result<()> {
        while answers.len() < questions.len() {
            let before = answers.len();
            let mut child = self.spawn(server)?;
            let done = on_stream(&mut child, server, questions, answers).await;
            if let Err(source) = done
                && answers.len() == before
            {
                return Err(self.complaint(child, source).await);
            }
        }
        Ok(())
    }

    fn spawn(&self, server: SocketAddr) -> io::Result<Child> {
        let [program, arguments @ ..] = &self.command[..] else {
            return Err(io::Error::other("it has no command"));
        };
        let filled = arguments.iter().map(|argument| fill(argument, server));
        Command::new(program)
            .args(filled)
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| io::Error::other(format!("{program}: {error}")))
    }

    /// Why there is no stream, in the words of the command where it has any.
    async fn complaint(&self, mut child: Child, source: io::Error) -> io::Error {
        let mut said = Vec::new();
        if let Some(stderr) = child.stderr.take() {
            let mut bounded = stderr.take(COMPLAINT);
            // What is said until then is enough.
            let _ = timeout(COMPLAINING, bounded.read_to_end(&mut said)).await;
        }
        let said = String::from_utf8_lossy(&said);
        let said = said.lines().rfind(|line| !line.trim().is_empty());
        let program = self.command.first().map_or("", String::as_str);
        io::Error::other(match said {
            Some(line) => format!("{program}: {}", line.trim().escape_debug()),
            None => format!("{program}: {source}"),
        })
    }
}

/// An argument with the server's address and port in their places.
fn fill(argument: &str, server: SocketAddr) -> String {
    let mut filled = String::with_capacity(argument.len() + 32);
    let mut rest = argument.chars();
    while let Some(next) = rest.next() {
        match (next, rest.clone().next()) {
            ('%', Some('h')) => filled.push_str(&server.ip().to_string()),
            ('%', Some('p')) => filled.push_str(&server.port().to_string()),
            ('%', Some('%')) => filled.push('%'),
            _ => {
                filled.push(next);
                continue;
            }
        }
        rest.next();
    }
    filled
}

/// Asks what is not answered yet.
async fn on_stream(
    child: &mut Child,
    server: SocketAddr,
    questions: &[Question],
    answers: &mut Vec<Result<Received, AskError>>,
) -> io::Result<()> {
    let (Some(from), Some(to)) = (child.stdout.take(), child.stdin.take()) else {
        return Err(io::Error::other("it has no standard input and output"));
    };
    let mut stream = tokio::io::join(from, to);
    for question in questions.iter().skip(answers.len()) {
        let sent = Sent::new(Asking::query(exchange::random_id()?, question), None);
        let answer = Asker::on_stream(&mut stream, server, &sent).await?;
        // What follows on a stream that brought nonsense is not to be trusted.
        let is_sound = answer.is_ok();
        answers.push(answer);
        if !is_sound {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_address_and_the_port_are_filled_in() {
        let four = "192.0.2.1:53".parse().unwrap();
        let six = "[2001:db8::1]:5300".parse().unwrap();
        assert_eq!(fill("[%h]:%p", four), "[192.0.2.1]:53");
        assert_eq!(fill("[%h]:%p", six), "[2001:db8::1]:5300");
        assert_eq!(fill("100%% $(%h) %x %", six), "100% $(2001:db8::1) %x %");
    }
}
