//! One question to one server: over UDP, and over TCP where the answer was cut.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use super::{
    query::{Asking, Verdict},
    tsig::{Answers, Signing, TsigError},
};
use crate::{
    answer::Transport,
    clock::Clock,
    wire::{
        Name, RrType,
        message::MAX_MESSAGE,
        received::{Malformed, Received},
    },
};

/// What to ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// The name.
    pub name: Name,
    /// The type.
    pub rtype: RrType,
    /// Ask for signatures (DO).
    pub dnssec: bool,
    /// Ask a resolver to do the work (RD); a server of the zone is asked without.
    pub recursion: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// None came in time.
    #[error("{server} did not answer within {} s", .waited.as_secs_f32())]
    Silent {
        /// Who was asked.
        server: SocketAddr,
        /// For how long, all tries together.
        waited: Duration,
    },
    /// It cannot be reached from here: no route, refused, reset.
    #[error("{server} cannot be reached")]
    Unreachable {
        /// Who was asked.
        server: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What came is no message, or not about the question.
    #[error("{server} sent what cannot be read")]
    Malformed {
        /// Who was asked.
        server: SocketAddr,
        /// Why.
        #[source]
        source: Malformed,
    },
    /// What came is not signed as it must be.
    #[error("{server} sent what is not to be believed")]
    Tsig {
        /// Who was asked.
        server: SocketAddr,
        /// Why.
        #[source]
        source: TsigError,
    },
}

/// How long and how often is asked.
#[derive(Clone, Debug)]
pub struct Asker {
    /// The wait for an answer to one try.
    pub timeout: Duration,
    /// Tries over UDP.
    pub tries: u32,
}

impl Default for Asker {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(2),
            tries: 3,
        }
    }
}

impl Asker {
    /// Asks over UDP, and again over TCP when the answer was cut. Ends within `timeout` × (`tries` + 1); may be
    /// dropped at any moment.
    ///
    /// # Errors
    /// When no answer to the question comes, or one that cannot be read. An answer with an error code is an answer.
    pub async fn ask(&self, server: SocketAddr, question: &Question) -> Result<Received, AskError> {
        self.ask_over(Transport::Udp, server, question).await
    }

    /// Asks over one transport; a datagram that was cut is asked for again over TCP all the same.
    ///
    /// # Errors
    /// As [`Asker::ask`].
    pub async fn ask_over(
        &self,
        transport: Transport,
        server: SocketAddr,
        question: &Question,
    ) -> Result<Received, AskError> {
        self.ask_signed(transport, server, question, None).await
    }

    /// Asks with a signature, and takes an answer only with one.
    ///
    /// # Errors
    /// As [`Asker::ask`]; and when what comes is not signed as it must be.
    pub async fn ask_signed(
        &self,
        transport: Transport,
        server: SocketAddr,
        question: &Question,
        signing: Option<Signing<'_>>,
    ) -> Result<Received, AskError> {
        let id = random_id().map_err(|source| AskError::Unreachable { server, source })?;
        let sent = Sent::new(Asking::query(id, question), signing);
        self.exchange(transport, server, &sent).await
    }

    /// Asks for the real RCODE where denial is compact (CO, RFC 9824 §5.1).
    ///
    /// # Errors
    /// As [`Asker::ask`].
    pub async fn ask_compact(&self, server: SocketAddr, question: &Question) -> Result<Received, AskError> {
        let id = random_id().map_err(|source| AskError::Unreachable { server, source })?;
        let sent = Sent::new(Asking::compact_query(id, question), None);
        self.exchange(Transport::Udp, server, &sent).await
    }

    async fn exchange(
        &self,
        transport: Transport,
        server: SocketAddr,
        sent: &Sent<'_>,
    ) -> Result<Received, AskError> {
        if transport == Transport::Udp
            && let Some(received) = self.by_datagram(server, sent).await?
        {
            return Ok(received);
        }
        self.by_stream(server, sent).await
    }

    /// `None`: it was cut.
    pub(super) async fn by_datagram(
        &self,
        server: SocketAddr,
        sent: &Sent<'_>,
    ) -> Result<Option<Received>, AskError> {
        let unreachable = |source| AskError::Unreachable { server, source };
        let socket = datagram_socket(server).await.map_err(unreachable)?;
        let mut buffer = vec![0; MAX_MESSAGE];
        // One socket and one id for all tries, so that a late answer to the first is an answer.
        for _ in 0..self.tries.max(1) {
            socket.send(&sent.asking.octets).await.map_err(unreachable)?;
            let mut disbelieved = None;
            let next = next_verdict(&socket, sent, &mut buffer, &mut disbelieved);
            let verdict = match (timeout(self.timeout, next).await, disbelieved) {
                (Ok(verdict), _) => verdict.map_err(unreachable)?,
                // It would say the same again.
                (Err(_), Some(source)) => return Err(AskError::Tsig { server, source }),
                (Err(_), None) => continue,
            };
            return match verdict {
                Verdict::Answer(received) => Ok(Some(received)),
                Verdict::Malformed(source) => Err(AskError::Malformed { server, source }),
                Verdict::Cut | Verdict::Stray => Ok(None),
            };
        }
        let waited = self.timeout * self.tries.max(1);
        Err(AskError::Silent { server, waited })
    }

    async fn by_stream(&self, server: SocketAddr, sent: &Sent<'_>) -> Result<Received, AskError> {
        let exchange = async {
            let mut stream = TcpStream::connect(server).await?;
            Self::on_stream(&mut stream, server, sent).await
        };
        let waited = self.timeout;
        timeout(waited, exchange)
            .await
            .map_err(|_| AskError::Silent { server, waited })?
            .map_err(|source| AskError::Unreachable { server, source })?
    }

    /// Asks on a stream that is there; the outer error is about the stream.
    pub(super) async fn on_stream(
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        server: SocketAddr,
        sent: &Sent<'_>,
    ) -> io::Result<Result<Received, AskError>> {
        write_framed(stream, &sent.asking.octets).await?;
        let message = read_framed(stream).await?;
        Ok(Self::judge_streamed(&message, server, sent))
    }

    fn judge_streamed(message: &[u8], server: SocketAddr, sent: &Sent<'_>) -> Result<Received, AskError> {
        let source = match sent.asking.judge(message) {
            Verdict::Answer(received) => {
                return match sent.verify(message, &received) {
                    Ok(()) => Ok(received),
                    Err(source) => Err(AskError::Tsig { server, source }),
                };
            }
            Verdict::Malformed(source) => source,
            Verdict::Cut => Malformed::Odd("TC=1 over TCP"),
            Verdict::Stray => Malformed::Odd("an answer to another question"),
        };
        Err(AskError::Malformed { server, source })
    }
}

/// A question as it is sent, and what verifies the answer.
pub(super) struct Sent<'a> {
    asking: Asking,
    signed: Option<(Answers, &'a dyn Clock)>,
}

impl<'a> Sent<'a> {
    /// Signs the question, where there is a key.
    pub fn new(mut asking: Asking, signing: Option<Signing<'a>>) -> Self {
        let signed = signing.map(|Signing { key, clock }| {
            let answers = key.sign_request(&mut asking.octets, clock.now());
            (answers, clock)
        });
        Self { asking, signed }
    }

    fn verify(&self, octets: &[u8], received: &Received) -> Result<(), TsigError> {
        match &self.signed {
            Some((answers, clock)) => answers.clone().take(octets, received, clock.now()),
            None => Ok(()),
        }
    }
}

/// The first verdict that is about the question. A connected socket hears its server only, and whoever forges its
/// address; what does not fit is passed over until the time is up, and so is what is not signed as it must be
/// (RFC 8945 §5.3), of which the last is kept in `disbelieved`.
async fn next_verdict(
    socket: &UdpSocket,
    sent: &Sent<'_>,
    buffer: &mut [u8],
    disbelieved: &mut Option<TsigError>,
) -> io::Result<Verdict> {
    loop {
        let length = socket.recv(buffer).await?;
        let octets = &buffer[..length];
        match sent.asking.judge(octets) {
            Verdict::Stray => {}
            Verdict::Answer(received) => match sent.verify(octets, &received) {
                Ok(()) => return Ok(Verdict::Answer(received)),
                Err(why) => *disbelieved = Some(why),
            },
            verdict => return Ok(verdict),
        }
    }
}

/// A new socket on a port that the system chooses at random, connected: refusals reach it, other senders do not.
async fn datagram_socket(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    Ok(socket)
}

/// An id that nobody can guess (RFC 5452 §4.3).
pub(super) fn random_id() -> io::Result<u16> {
    let mut id = [0; 2];
    SystemRandom::new()
        .fill(&mut id)
        .map_err(|_| io::Error::other("the system gives no random octets"))?;
    Ok(u16::from_be_bytes(id))
}

/// Writes a message with its length in front, both at once (RFC 7766 §8).
pub(super) async fn write_framed(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> io::Result<()> {
    let mut framed = Vec::with_capacity(2 + message.len());
    framed.extend_from_slice(&(message.len() as u16).to_be_bytes());
    framed.extend_from_slice(message);
    stream.write_all(&framed).await?;
    stream.flush().await
}

/// Reads a message with its length in front.
async fn read_framed(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

#[cfg(test)]
mod tests;
