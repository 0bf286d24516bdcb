//! One question to one server: over UDP, and over TCP where the answer was cut.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use super::query::{Asking, Verdict};
use crate::{
    answer::Transport,
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
        let asking = random_id().map(|id| Asking::query(id, question));
        let asking = asking.map_err(|source| AskError::Unreachable { server, source })?;
        if transport == Transport::Udp
            && let Some(received) = self.by_datagram(server, &asking).await?
        {
            return Ok(received);
        }
        self.by_stream(server, &asking).await
    }

    /// `None`: it was cut.
    async fn by_datagram(&self, server: SocketAddr, asking: &Asking) -> Result<Option<Received>, AskError> {
        let unreachable = |source| AskError::Unreachable { server, source };
        let socket = datagram_socket(server).await.map_err(unreachable)?;
        let mut buffer = vec![0; MAX_MESSAGE];
        // One socket and one id for all tries, so that a late answer to the first is an answer.
        for _ in 0..self.tries.max(1) {
            socket.send(&asking.octets).await.map_err(unreachable)?;
            let Ok(verdict) = timeout(self.timeout, next_verdict(&socket, asking, &mut buffer)).await else {
                continue;
            };
            return match verdict.map_err(unreachable)? {
                Verdict::Answer(received) => Ok(Some(received)),
                Verdict::Malformed(source) => Err(AskError::Malformed { server, source }),
                Verdict::Cut | Verdict::Stray => Ok(None),
            };
        }
        let waited = self.timeout * self.tries.max(1);
        Err(AskError::Silent { server, waited })
    }

    async fn by_stream(&self, server: SocketAddr, asking: &Asking) -> Result<Received, AskError> {
        let exchange = async {
            let mut stream = TcpStream::connect(server).await?;
            write_framed(&mut stream, &asking.octets).await?;
            read_framed(&mut stream).await
        };
        let waited = self.timeout;
        let message = timeout(waited, exchange)
            .await
            .map_err(|_| AskError::Silent { server, waited })?
            .map_err(|source| AskError::Unreachable { server, source })?;
        let source = match asking.judge(&message) {
            Verdict::Answer(received) => return Ok(received),
            Verdict::Malformed(source) => source,
            Verdict::Cut => Malformed::Odd("TC=1 over TCP"),
            Verdict::Stray => Malformed::Odd("an answer to another question"),
        };
        Err(AskError::Malformed { server, source })
    }
}

/// The first verdict that is about the question. A connected socket hears its server only, and whoever forges its
/// address; what does not fit is passed over until the time is up.
async fn next_verdict(socket: &UdpSocket, asking: &Asking, buffer: &mut [u8]) -> io::Result<Verdict> {
    loop {
        let length = socket.recv(buffer).await?;
        match asking.judge(&buffer[..length]) {
            Verdict::Stray => {}
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
fn random_id() -> io::Result<u16> {
    let mut id = [0; 2];
    SystemRandom::new()
        .fill(&mut id)
        .map_err(|_| io::Error::other("the system gives no random octets"))?;
    Ok(u16::from_be_bytes(id))
}

/// Writes a message with its length in front, both at once (RFC 7766 §8).
async fn write_framed(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let mut framed = Vec::with_capacity(2 + message.len());
    framed.extend_from_slice(&(message.len() as u16).to_be_bytes());
    framed.extend_from_slice(message);
    stream.write_all(&framed).await
}

/// Reads a message with its length in front.
async fn read_framed(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::Rcode;
    use tokio::net::TcpListener;

    const SHORT: Duration = Duration::from_millis(200);

    fn question() -> Question {
        Question {
            name: "example.".parse().unwrap(),
            rtype: RrType::SOA,
            dnssec: false,
            recursion: false,
        }
    }

    fn quick() -> Asker {
        Asker {
            timeout: SHORT,
            tries: 2,
        }
    }

    /// A whole answer to a query, with the given bits in its third octet beside QR.
    fn answer(query: &[u8], bits: u8) -> Vec<u8> {
        let mut octets = query.to_vec();
        octets[2] |= 0x80 | bits;
        octets
    }

    /// A server on one port for both transports; each function makes the messages that are sent for one query.
    async fn server(
        datagrams: impl Fn(usize, &[u8]) -> Vec<Vec<u8>> + Send + 'static,
        stream: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static,
    ) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let socket = UdpSocket::bind(address).await.unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            for number in 0.. {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                for octets in datagrams(number, &buffer[..length]) {
                    socket.send_to(&octets, from).await.unwrap();
                }
            }
        });
        tokio::spawn(async move {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                let query = read_framed(&mut connection).await.unwrap();
                if let Some(octets) = stream(&query) {
                    write_framed(&mut connection, &octets).await.unwrap();
                }
            }
        });
        address
    }

    #[tokio::test]
    async fn strays_are_passed_over() {
        let address = server(
            |_, query| {
                let mut other_id = answer(query, 0);
                other_id[0] ^= 0xff;
                let mut other_name = answer(query, 0);
                other_name[13] ^= 1;
                vec![other_id, other_name, query.to_vec(), vec![0; 3], answer(query, 4)]
            },
            |_| None,
        )
        .await;
        let received = quick().ask(address, &question()).await.unwrap();
        assert!(received.authoritative);
    }

    #[tokio::test]
    async fn a_lost_datagram_is_asked_for_again() {
        let address = server(
            |number, query| {
                if number == 0 {
                    vec![]
                } else {
                    vec![answer(query, 0)]
                }
            },
            |_| None,
        )
        .await;
        let received = quick().ask(address, &question()).await.unwrap();
        assert_eq!(received.rcode, Rcode::NOERROR);
    }

    #[tokio::test]
    async fn a_cut_answer_comes_whole_over_tcp() {
        let address = server(|_, query| vec![answer(query, 2)], |query| Some(answer(query, 4))).await;
        let received = quick().ask(address, &question()).await.unwrap();
        assert!(received.authoritative && !received.truncated);
    }

    #[tokio::test]
    async fn over_tcp_the_question_must_be_the_same_too() {
        let address = server(
            |_, _| vec![],
            |query| {
                let mut other = answer(query, 0);
                other[13] ^= 1;
                Some(other)
            },
        )
        .await;
        let error = quick().ask_over(Transport::Tcp, address, &question()).await;
        assert!(
            matches!(
                error,
                Err(AskError::Malformed {
                    source: Malformed::Odd(_),
                    ..
                })
            ),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_said() {
        let address = server(
            |_, query| {
                let mut longer = answer(query, 0);
                longer.push(0);
                vec![longer]
            },
            |_| None,
        )
        .await;
        let error = quick().ask(address, &question()).await.unwrap_err();
        assert!(matches!(error, AskError::Malformed { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn silence_ends() {
        let address = server(|_, _| vec![], |_| None).await;
        let error = quick().ask(address, &question()).await.unwrap_err();
        assert!(
            matches!(error, AskError::Silent { waited, .. } if waited == 2 * SHORT),
            "{error:?}"
        );
        assert_eq!(
            error.to_string(),
            format!("{address} did not answer within 0.4 s")
        );
        // A connection that is closed without an answer is no silence.
        let error = quick()
            .ask_over(Transport::Tcp, address, &question())
            .await
            .unwrap_err();
        assert!(matches!(error, AskError::Unreachable { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_flood_of_strays_is_silence_too() {
        let address = server(|_, query| vec![query.to_vec(); 2_000], |_| None).await;
        let asked = quick();
        let error = timeout(8 * SHORT, asked.ask(address, &question())).await.unwrap();
        assert!(matches!(error, Err(AskError::Silent { .. })), "{error:?}");
    }

    #[tokio::test]
    async fn a_closed_port_is_unreachable_at_once() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        drop(socket);
        let asker = Asker {
            timeout: Duration::from_secs(60),
            tries: 1,
        };
        for transport in [Transport::Udp, Transport::Tcp] {
            let error = asker.ask_over(transport, address, &question()).await.unwrap_err();
            assert!(
                matches!(&error, AskError::Unreachable { source, .. }
                    if source.kind() == io::ErrorKind::ConnectionRefused),
                "{error:?}"
            );
        }
    }
}
