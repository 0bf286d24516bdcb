//! The parent's scanner: a resolver that knows its DSYNC records (RFC 9859), and the host that these name, which hears
//! what it is told.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use countersign::wire::{
    Name, RrType, Ttl,
    message::{Opcode, Owner, Query, Rcode, Response, Section},
};

use super::{planned::ORIGIN, proxy};

/// What it has heard.
#[derive(Default)]
pub struct Heard {
    /// Notices that came. The first one of all is lost.
    pub notices: AtomicUsize,
    /// What the notices that were answered are about.
    answered: Mutex<Vec<RrType>>,
    /// What should never be heard.
    pub odd: AtomicUsize,
}

impl Heard {
    /// What the notices that were answered are about, in order.
    pub fn all(&self) -> Vec<RrType> {
        self.answered.lock().unwrap().clone()
    }

    /// How many notices were answered.
    pub fn answered(&self) -> usize {
        self.answered.lock().unwrap().len()
    }
}

/// A scanner that wants to be told of these types.
pub fn scanner(types: &'static [RrType], heard: Arc<Heard>) -> proxy::Proxy {
    // It names the address that it answers at, which is known when it runs.
    let here: Arc<OnceLock<SocketAddr>> = Arc::default();
    let known = Arc::clone(&here);
    let proxy = proxy::through(move |packet, _| {
        let asked = Query::read(packet)?;
        let question = asked.question?;
        let owner = question.name.to_string();
        if asked.opcode() == Opcode::NOTIFY {
            if owner != ORIGIN || !types.contains(&question.rtype) {
                heard.odd.fetch_add(1, Ordering::SeqCst);
            }
            if heard.notices.fetch_add(1, Ordering::SeqCst) == 0 {
                return None;
            }
            let mut answer = packet.to_vec();
            answer[2] |= 0x80;
            heard.answered.lock().unwrap().push(question.rtype);
            return Some(answer);
        }
        let here = known.get()?;
        let port = here.port().to_be_bytes();
        let host: Name = "scanner.".parse().unwrap();
        let dsync =
            |rtype: &RrType| [&rtype.0.to_be_bytes()[..], &[1], &port, host.as_ref().as_wire()].concat();
        let rdatas: Vec<Vec<u8>> = match (owner.as_str(), question.rtype) {
            ("example._dsync.", RrType::DSYNC) => types.iter().map(dsync).collect(),
            ("scanner.", RrType::A) => match here.ip() {
                IpAddr::V4(ip) => vec![ip.octets().to_vec()],
                IpAddr::V6(_) => return None,
            },
            ("scanner.", RrType::AAAA) => Vec::new(),
            _ => return None,
        };
        let mut out = Vec::new();
        let mut response = Response::start(&asked, &mut out, 1_232, 0);
        if !rdatas.is_empty() {
            let owner = Owner::Name(question.name);
            let rdatas = rdatas.iter().map(Vec::as_slice);
            response
                .append(Section::Answer, owner, question.rtype, Ttl::new(60), rdatas)
                .ok()?;
        }
        response.finish(Rcode::NOERROR, None);
        // As a resolver that validates.
        out[3] |= packet[3] & 0x20;
        Some(out)
    });
    here.set(proxy.address).unwrap();
    proxy
}
