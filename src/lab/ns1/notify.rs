//! NOTIFY (RFC 1996) to the secondaries of a zone that has changed.

use std::{net::SocketAddr, time::Duration};

use tokio::{net::UdpSocket, time::timeout};

use crate::wire::{
    Class, Name, RrType,
    message::{HEADER, Opcode},
};

/// How often and how long a secondary is told (RFC 1996 §3.6 has 60 s; here everybody is near).
const TRIES: u32 = 5;
const WAIT: Duration = Duration::from_secs(1);

/// The message: the zone's name and SOA as the question, authoritative (RFC 1996 §3.7).
pub fn message(apex: &Name, id: u16) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend_from_slice(&[Opcode::NOTIFY.0 << 3 | 0x04, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    debug_assert_eq!(message.len(), HEADER);
    message.extend_from_slice(apex.as_wire());
    message.extend_from_slice(&RrType::SOA.0.to_be_bytes());
    message.extend_from_slice(&Class::IN.0.to_be_bytes());
    message
}

/// Tells one secondary, from the address of a server, until it answers or the tries are over.
pub async fn tell(from: SocketAddr, to: SocketAddr, apex: Name, id: u16) {
    let told = async {
        // The port is any: a secondary knows us by our address.
        let socket = UdpSocket::bind((from.ip(), 0)).await?;
        socket.connect(to).await?;
        let message = message(&apex, id);
        let mut answer = [0; 512];
        for _ in 0..TRIES {
            socket.send(&message).await?;
            let received = timeout(WAIT, socket.recv(&mut answer)).await;
            if let Ok(Ok(length)) = received
                && length >= HEADER
                && answer[..2] == id.to_be_bytes()
                && answer[2] & 0x80 != 0
            {
                return Ok(true);
            }
        }
        Ok::<_, std::io::Error>(false)
    };
    match told.await {
        Ok(true) => {}
        Ok(false) => tracing::info!(%apex, %to, "NOTIFY was not answered"),
        Err(error) => tracing::info!(%apex, %to, %error, "NOTIFY cannot be sent"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::Query;

    #[test]
    fn it_asks_about_the_soa() {
        let message = message(&"test.".parse().unwrap(), 0x1234);
        let query = Query::read(&message).unwrap();
        assert_eq!((query.opcode(), query.fault), (Opcode::NOTIFY, None));
        assert_eq!(query.question.unwrap().rtype, RrType::SOA);
        assert_eq!(message[2] & 0x04, 0x04, "AA");
    }
}
