//! Who may tell us that a zone has changed (RFC 1996): its primaries, by their addresses, and signed where they sign.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::{
    answer::notice::{Notices, Reply},
    client::tsig::{Answering, Refusal, TsigKey},
    clock::UnixTime,
    config::{ContentSource, ZoneSettings},
    wire::{Name, NameRef, message::Rcode, received::Received},
};

/// No primary has told anything since the last look.
const NOBODY: usize = usize::MAX;

/// The zones that are fetched from servers, and what their primaries told. A notice is a mark at its zone, so any
/// number of them take no more room, and none is lost.
#[derive(Debug, Default)]
pub struct Board {
    zones: ArcSwap<BTreeMap<Name, Arc<Watched>>>,
    /// Wakes whoever fetches.
    told: Arc<Notify>,
}

#[derive(Debug)]
struct Watched {
    primaries: Vec<SocketAddr>,
    keys: Vec<Arc<TsigKey>>,
    /// Which of them told, as an index.
    told_by: AtomicUsize,
}

impl Board {
    /// Watches for notices of these zones from now on. A key that cannot be read is none; whoever fetches says so.
    pub fn watch(&self, zones: &[ZoneSettings]) {
        let watched = zones.iter().filter_map(|zone| {
            let ContentSource::Axfr { primaries, tsig } = &zone.source else {
                return None;
            };
            let key = tsig
                .as_ref()
                .and_then(|key| TsigKey::from_file(key.name.clone(), key.algorithm, &key.secret_file).ok());
            let watched = Watched {
                primaries: primaries.clone(),
                keys: key.map(Arc::new).into_iter().collect(),
                told_by: AtomicUsize::new(NOBODY),
            };
            Some((zone.origin.as_ref().to_lowercase(), Arc::new(watched)))
        });
        self.zones.store(Arc::new(watched.collect()));
    }

    /// Waits until some primary told something.
    pub async fn told(&self) {
        self.told.notified().await;
    }

    /// The zones of which something was told since the last call, and by which primary, as an index.
    pub fn take(&self) -> Vec<(Name, usize)> {
        let zones = self.zones.load();
        let told = zones.iter().filter_map(|(name, watched)| {
            let by = watched.told_by.swap(NOBODY, Ordering::Relaxed);
            (by != NOBODY).then(|| (name.clone(), by))
        });
        told.collect()
    }
}

impl Notices for Board {
    fn take(&self, packet: &[u8], zone: NameRef<'_>, from: IpAddr, now: UnixTime) -> Option<Reply> {
        let zones = self.zones.load();
        if zones.is_empty() {
            return None;
        }
        let refused = Some(Reply {
            rcode: Rcode::REFUSED,
            complete: None,
        });
        let Some(watched) = zones.get(&zone.to_lowercase()) else {
            return refused;
        };
        let is_from = |primary: &SocketAddr| primary.ip().to_canonical() == from;
        let Some(by) = watched.primaries.iter().position(is_from) else {
            return refused;
        };
        let answering = match verify(packet, &watched.keys, now) {
            Ok(answering) => answering,
            Err(reply) => return Some(reply),
        };
        watched.told_by.store(by, Ordering::Relaxed);
        self.told.notify_one();
        Some(Reply {
            rcode: Rcode::NOERROR,
            complete: answering.map(|mut answering| -> crate::answer::notice::Complete {
                Box::new(move |message| answering.sign(message, now))
            }),
        })
    }
}

/// Verifies a notice that is signed. One that is not is taken by its address: all that it brings about is a question.
fn verify(packet: &[u8], keys: &[Arc<TsigKey>], now: UnixTime) -> Result<Option<Answering>, Reply> {
    let Ok(received) = Received::read(packet) else {
        return Err(Reply {
            rcode: Rcode::FORMERR,
            complete: None,
        });
    };
    Answering::to(packet, &received, keys, now).map_err(|refusal: Refusal| Reply {
        rcode: refusal.rcode(),
        complete: Some(Box::new(move |message| refusal.append(message))),
    })
}
