//! The account and its servers together: what changes in the one shows at the others.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::http::Method;
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

use super::{
    account::{Account, Now},
    dns::{Behaviour, DnsServer},
    notify,
    reply::{Reply, Request},
};
use crate::{clock::Clock, wire::Name};

/// How often is looked whether something is due. Steady time may be simulated, so there is no sleeping until then.
const TICK: Duration = Duration::from_millis(20);
/// Up to so many records a request waits until the servers show what it did; with more they follow when they can.
const PROMPT_RECORDS: usize = 20_000;
/// NOTIFYs that may be on their way.
const MAX_NOTIFYING: u64 = 256;

/// See the module.
#[derive(Debug)]
pub(super) struct Core {
    account: Mutex<Account>,
    servers: Vec<(SocketAddr, Arc<DnsServer>)>,
    clock: Arc<dyn Clock>,
    changed: Notify,
    dirty: AtomicBool,
    published: Mutex<Published>,
    notifying: Arc<AtomicU64>,
}

/// What the servers were last given.
#[derive(Debug, Default)]
struct Published {
    /// When something is due that nobody asks for.
    due: Option<Duration>,
    /// The serials that secondaries were told.
    told: BTreeMap<Name, u32>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    pub(super) fn new(
        account: Account,
        servers: Vec<(SocketAddr, Arc<DnsServer>)>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        Arc::new(Self {
            account: Mutex::new(account),
            servers,
            clock,
            changed: Notify::new(),
            dirty: AtomicBool::new(true),
            published: Mutex::default(),
            notifying: Arc::default(),
        })
    }

    pub(super) fn now(&self) -> Now {
        Now {
            wall: self.clock.now(),
            steady: self.clock.steady(),
        }
    }

    /// Does something with the account; what changed shows at the servers.
    pub(super) fn with_account<T>(&self, work: impl FnOnce(&mut Account, Now) -> T) -> T {
        let now = self.now();
        let mut account = lock(&self.account);
        let done = work(&mut account, now);
        let prompt = account.record_count() <= PROMPT_RECORDS;
        drop(account);
        self.dirty.store(true, Ordering::Release);
        if prompt {
            self.publish();
        }
        self.changed.notify_one();
        done
    }

    /// Only looks at the account.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Account) -> T) -> T {
        look(&lock(&self.account))
    }

    pub(super) fn slow_api(&self) -> Duration {
        self.look(|account| account.knobs.slow_api)
    }

    /// Answers a request.
    pub(super) fn handle(&self, request: &Request) -> Reply {
        if request.method == Method::GET {
            let now = self.now();
            return lock(&self.account).handle(request, now);
        }
        self.with_account(|account, now| account.handle(request, now))
    }

    /// Gives the servers what they are to show now, if that is anything new.
    fn publish(&self) {
        let now = self.now();
        let mut published = lock(&self.published);
        let due = published.due.is_some_and(|due| due <= now.steady);
        if !self.dirty.swap(false, Ordering::AcqRel) && !due {
            return;
        }
        let mut account = lock(&self.account);
        account.advance(now);
        let mut views = Vec::new();
        for (index, (_, server)) in self.servers.iter().enumerate() {
            let knobs = &account.knobs;
            server.behave(Behaviour {
                unreachable: knobs.unreachable.contains(&index),
                delay: knobs.slow.get(index).copied().unwrap_or_default(),
                stale: knobs.stale.contains(&index),
                transfer_keys: knobs.transfer_keys,
            });
            views.push(account.view(index, now.steady));
        }
        published.due = account.next_due(now.steady);
        let to_notify = account.to_notify();
        drop(account);
        for ((_, server), views) in self.servers.iter().zip(views) {
            server.show(views, now.wall);
        }
        self.notify(to_notify, &mut published.told);
    }

    fn notify(&self, zones: Vec<(Name, u32, Vec<SocketAddr>)>, told: &mut BTreeMap<Name, u32>) {
        let Some((from, _)) = self.servers.first() else {
            return;
        };
        told.retain(|apex, _| zones.iter().any(|(other, ..)| other == apex));
        for (apex, serial, secondaries) in zones {
            if told.insert(apex.clone(), serial) == Some(serial) {
                continue;
            }
            for to in secondaries {
                let notifying = Arc::clone(&self.notifying);
                if notifying.fetch_add(1, Ordering::AcqRel) >= MAX_NOTIFYING {
                    notifying.fetch_sub(1, Ordering::AcqRel);
                    continue;
                }
                let (from, apex) = (*from, apex.clone());
                // Any number: whoever sees the packets of this machine's loopback may as well forge answers.
                let id = serial as u16;
                tokio::spawn(async move {
                    notify::tell(from, to, apex, id).await;
                    notifying.fetch_sub(1, Ordering::AcqRel);
                });
            }
        }
    }

    /// Publishes what is due, until told to stop.
    pub(super) async fn keep_publishing(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            let core = Arc::clone(&self);
            if tokio::task::spawn_blocking(move || core.publish()).await.is_err() {
                tracing::error!("the simulated NS1 has a fault; its servers show what they showed");
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = sleep(TICK) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }
}
