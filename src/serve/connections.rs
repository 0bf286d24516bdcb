//! The TCP connections that are open, and who makes room at a limit: the one idle longest (RFC 7766 §6.2.2 asks for
//! limits a client, and leaves the choice). A new client is not refused.
//!
//! Idle is counted from the last query that was answered, or from accepting. What a client does besides, such as
//! sending half a query, does not keep it in.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
};

use tokio::sync::Notify;

use super::limits::{PREFIX_IPV4, PREFIX_IPV6};

/// What a connection is told to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    /// Go on.
    Stay,
    /// Answer what was read, then close.
    Finish,
    /// Close.
    Leave,
}

/// All connections that are open.
#[derive(Debug)]
pub(super) struct Connections {
    in_all: usize,
    a_prefix: usize,
    table: Mutex<Table>,
    empty: Notify,
}

/// Connections in the order of their last query. Turns stand for times: each is given once.
#[derive(Debug, Default)]
struct Table {
    turn: u64,
    by_turn: BTreeMap<u64, Entry>,
    by_prefix: HashMap<IpAddr, BTreeSet<u64>>,
    finishing: bool,
}

#[derive(Debug)]
struct Entry {
    prefix: IpAddr,
    signal: Arc<Signal>,
}

#[derive(Debug, Default)]
struct Signal {
    order: AtomicU8,
    changed: Notify,
}

impl Signal {
    fn give(&self, order: Order) {
        self.order.fetch_max(order as u8, Ordering::AcqRel);
        self.changed.notify_one();
    }
}

/// A connection's place; dropping it leaves.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    signal: Arc<Signal>,
    turn: u64,
}

/// The network that counts as one client.
fn prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let host_bits = 32 - u32::from(PREFIX_IPV4);
            IpAddr::V4(Ipv4Addr::from(u32::from(address) >> host_bits << host_bits))
        }
        IpAddr::V6(address) => {
            let host_bits = 128 - u32::from(PREFIX_IPV6);
            IpAddr::V6(Ipv6Addr::from(u128::from(address) >> host_bits << host_bits))
        }
    }
}

impl Table {
    fn insert(&mut self, entry: Entry) -> u64 {
        self.turn += 1;
        self.by_prefix.entry(entry.prefix).or_default().insert(self.turn);
        self.by_turn.insert(self.turn, entry);
        self.turn
    }

    fn remove(&mut self, turn: u64) -> Option<Entry> {
        let entry = self.by_turn.remove(&turn)?;
        if let Some(turns) = self.by_prefix.get_mut(&entry.prefix) {
            turns.remove(&turn);
            if turns.is_empty() {
                self.by_prefix.remove(&entry.prefix);
            }
        }
        Some(entry)
    }

    fn evict(&mut self, turn: Option<u64>) -> bool {
        let entry = turn.and_then(|turn| self.remove(turn));
        entry.inspect(|entry| entry.signal.give(Order::Leave)).is_some()
    }
}

impl Connections {
    pub(super) fn new(in_all: usize, a_prefix: usize) -> Arc<Self> {
        Arc::new(Self {
            in_all: in_all.max(1),
            a_prefix: a_prefix.max(1),
            table: Mutex::default(),
            empty: Notify::new(),
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.table().by_turn.len()
    }

    /// Lets a connection in; gives its place, and whether another had to leave for it.
    pub(super) fn enter(self: &Arc<Self>, client: IpAddr) -> (Place, bool) {
        let prefix = prefix(client);
        let signal = Arc::<Signal>::default();
        let mut table = self.table();
        let of_prefix = table.by_prefix.get(&prefix);
        let evicted = if of_prefix.is_some_and(|turns| turns.len() >= self.a_prefix) {
            let idle_longest = of_prefix.and_then(BTreeSet::first).copied();
            table.evict(idle_longest)
        } else if table.by_turn.len() >= self.in_all {
            let idle_longest = table.by_turn.keys().next().copied();
            table.evict(idle_longest)
        } else {
            false
        };
        if table.finishing {
            signal.give(Order::Finish);
        }
        let turn = table.insert(Entry {
            prefix,
            signal: Arc::clone(&signal),
        });
        drop(table);
        let place = Place {
            connections: Arc::clone(self),
            signal,
            turn,
        };
        (place, evicted)
    }

    /// Tells the connection idle longest to leave, whoever it is; false when there is none.
    pub(super) fn evict(&self) -> bool {
        let mut table = self.table();
        let idle_longest = table.by_turn.keys().next().copied();
        table.evict(idle_longest)
    }

    /// Tells all to answer what they have read, and to close.
    pub(super) fn finish(&self) {
        let mut table = self.table();
        table.finishing = true;
        for entry in table.by_turn.values() {
            entry.signal.give(Order::Finish);
        }
    }

    /// Waits until none is open.
    pub(super) async fn emptied(&self) {
        loop {
            let emptied = self.empty.notified();
            if self.open() == 0 {
                return;
            }
            emptied.await;
        }
    }
}

impl Place {
    /// Notes that a query was answered: this one was idle for the shortest time now.
    pub(super) fn touch(&mut self) {
        let mut table = self.connections.table();
        // One that was told to leave has no turn any more, and gets none.
        if let Some(entry) = table.remove(self.turn) {
            self.turn = table.insert(entry);
        }
    }

    /// What it should do.
    pub(super) fn order(&self) -> Order {
        match self.signal.order.load(Ordering::Acquire) {
            0 => Order::Stay,
            1 => Order::Finish,
            _ => Order::Leave,
        }
    }

    /// Waits until it should do something else than before.
    pub(super) async fn told(&self) {
        self.signal.changed.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.connections.table();
        table.remove(self.turn);
        if table.by_turn.is_empty() {
            self.connections.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_prefix_is_a_site() {
        for (address, expected) in [
            ("192.0.2.77", "192.0.2.0"),
            ("::ffff:192.0.2.77", "192.0.2.0"),
            ("2001:db8:1:2ff:3::4", "2001:db8:1:200::"),
        ] {
            assert_eq!(prefix(client(address)), client(expected), "{address}");
        }
    }

    #[test]
    fn the_one_idle_longest_leaves_of_the_prefix_first() {
        let connections = Connections::new(4, 2);
        let (first, _) = connections.enter(client("192.0.2.1"));
        let (mut second, _) = connections.enter(client("198.51.100.1"));
        let (third, _) = connections.enter(client("198.51.100.2"));
        second.touch();
        // The prefix is full: its own longest idle, not `first`.
        let (fourth, evicted) = connections.enter(client("198.51.100.3"));
        assert!(evicted);
        let orders = [&first, &second, &third, &fourth].map(Place::order);
        assert_eq!(orders, [Order::Stay, Order::Stay, Order::Leave, Order::Stay]);
        // Full in all: the longest idle of all.
        let (fifth, evicted) = connections.enter(client("203.0.113.1"));
        assert!(!evicted, "three were left");
        let (_sixth, evicted) = connections.enter(client("203.0.113.2"));
        assert!(evicted);
        assert_eq!((first.order(), fifth.order()), (Order::Leave, Order::Stay));
        assert_eq!(connections.open(), 4);
    }

    #[test]
    fn one_that_was_told_to_leave_does_not_come_back() {
        let connections = Connections::new(1, 1);
        let (mut first, _) = connections.enter(client("192.0.2.1"));
        let (second, evicted) = connections.enter(client("192.0.2.1"));
        assert!(evicted);
        first.touch();
        drop(first);
        assert_eq!(connections.open(), 1);
        drop(second);
        assert_eq!(connections.open(), 0);
        assert!(!connections.evict());
        assert!(connections.table().by_prefix.is_empty());
    }

    #[test]
    fn who_comes_while_all_finish_finishes_too() {
        let connections = Connections::new(9, 9);
        let (early, _) = connections.enter(client("2001:db8::1"));
        connections.finish();
        let (late, _) = connections.enter(client("2001:db8::2"));
        assert_eq!((early.order(), late.order()), (Order::Finish, Order::Finish));
        assert!(connections.evict());
        assert_eq!(early.order(), Order::Leave, "a stronger order wins");
    }
}
