//! Notice to other servers that a zone has changed (RFC 1996), and to a parent that it should look (RFC 9859).

use std::net::SocketAddr;

use super::{
    exchange::{AskError, Asker, Sent, random_id},
    query::Asking,
    tsig::Signing,
};
use crate::wire::{
    Name, RrType,
    message::Rcode,
    received::{Malformed, Record},
};

/// What has changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// Whose records.
    pub zone: Name,
    /// Which: SOA for a secondary, CDS or CSYNC for a parent (RFC 9859 §4).
    pub rtype: RrType,
    /// The zone's SOA, a hint that a secondary may spare a question for (RFC 1996 §3.7).
    pub soa: Option<Record>,
}

/// Why nobody took notice.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// There is no answer.
    #[error("no answer to the notice that {rtype} of {zone} has changed")]
    NoAnswer {
        /// The zone.
        zone: Name,
        /// The type.
        rtype: RrType,
        /// Why.
        #[source]
        source: AskError,
    },
    /// It answers with an error code.
    #[error(
        "{server} answers {rcode} to the notice that {rtype} of {zone} has changed; allow notices from our address, or with our key, there"
    )]
    Refused {
        /// Who was told.
        server: SocketAddr,
        /// The zone.
        zone: Name,
        /// The type.
        rtype: RrType,
        /// What it said.
        rcode: Rcode,
    },
}

impl Asker {
    /// Tells a server, again and again until it answers (RFC 1996 §3.6). Ends within `timeout` × `tries`.
    ///
    /// # Errors
    /// When it does not answer, or with an error code.
    pub async fn notify(
        &self,
        server: SocketAddr,
        notice: &Notice,
        signing: Option<Signing<'_>>,
    ) -> Result<(), NotifyError> {
        let (zone, rtype) = (notice.zone.clone(), notice.rtype);
        let told = async {
            let id = random_id().map_err(|source| AskError::Unreachable { server, source })?;
            let sent = Sent::new(Asking::notice(id, notice), signing);
            self.by_datagram(server, &sent).await?.ok_or(AskError::Malformed {
                server,
                source: Malformed::Odd("TC=1 in an answer to a notice"),
            })
        };
        match told.await {
            Ok(received) if received.rcode == Rcode::NOERROR => Ok(()),
            Ok(received) => Err(NotifyError::Refused {
                server,
                zone,
                rtype,
                rcode: received.rcode,
            }),
            Err(source) => Err(NotifyError::NoAnswer { zone, rtype, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use super::*;
    use crate::wire::{Class, Ttl, message::Opcode, received::Received};
    use tokio::net::UdpSocket;

    fn notice() -> Notice {
        Notice {
            zone: "example.".parse().unwrap(),
            rtype: RrType::SOA,
            soa: Some(Record {
                owner: "example.".parse().unwrap(),
                rtype: RrType::SOA,
                class: Class::IN,
                ttl: Ttl::new(60),
                rdata: [&[0, 0][..], &[0; 20]].concat().into(),
            }),
        }
    }

    /// A secondary that loses the first notice, and answers the next with this code.
    async fn secondary(rcode: u8) -> SocketAddr {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            for number in 0.. {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let received = Received::read(&buffer[..length]).unwrap();
                assert_eq!(received.opcode, Opcode::NOTIFY);
                assert!(received.authoritative);
                assert_eq!(Some(&received.answers[0]), notice().soa.as_ref());
                if number > 0 {
                    buffer[2] |= 0x80;
                    buffer[3] |= rcode;
                    socket.send_to(&buffer[..length], from).await.unwrap();
                }
            }
        });
        address
    }

    #[tokio::test]
    async fn a_notice_is_repeated_until_it_is_answered() {
        let asker = Asker {
            timeout: Duration::from_millis(200),
            tries: 3,
        };
        asker.notify(secondary(0).await, &notice(), None).await.unwrap();
        let refused = asker.notify(secondary(5).await, &notice(), None).await;
        assert!(
            matches!(
                refused,
                Err(NotifyError::Refused {
                    rcode: Rcode::REFUSED,
                    ..
                })
            ),
            "{refused:?}"
        );
        let once = Asker { tries: 1, ..asker };
        let silent = once.notify(secondary(0).await, &notice(), None).await;
        assert!(
            matches!(
                silent,
                Err(NotifyError::NoAnswer {
                    source: AskError::Silent { .. },
                    ..
                })
            ),
            "{silent:?}"
        );
    }
}
