//! Whether the threads that answer still do, for a service manager that restarts what hangs (sd_notify(3),
//! WATCHDOG=1).
//!
//! The signs of life are those of the answer plane alone: a control plane that hangs is no reason to stop answering.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::runtime::Handle;

use super::notify::{self, State};

/// What a UDP thread shows of itself: odd while it answers a batch, even while it waits for one.
#[derive(Debug, Default)]
pub(super) struct Pulse(AtomicU64);

impl Pulse {
    /// A batch begins, or ends.
    pub(super) fn beat(&self) {
        // One thread writes it.
        let beats = self.0.load(Ordering::Relaxed);
        self.0.store(beats + 1, Ordering::Relaxed);
    }

    /// After a fault: whatever was under way is not any more.
    pub(super) fn settle(&self) {
        if !self.0.load(Ordering::Relaxed).is_multiple_of(2) {
            self.beat();
        }
    }
}

/// Looks whether the answering threads are alive.
#[derive(Debug)]
pub struct Probe {
    udp: Vec<(Arc<Pulse>, u64)>,
    tcp: Handle,
    tcp_answered: Arc<AtomicU64>,
    tcp_asked: u64,
}

impl Probe {
    pub(super) fn new(pulses: &[Arc<Pulse>], tcp: Handle) -> Self {
        Self {
            udp: pulses.iter().map(|pulse| (Arc::clone(pulse), 0)).collect(),
            tcp,
            tcp_answered: Arc::default(),
            tcp_asked: 0,
        }
    }

    /// False when a UDP thread is at the same batch as at the last look, or the threads of TCP have not done the small
    /// task that they were given then. A batch takes milliseconds; the looks are to be seconds apart.
    pub fn is_alive(&mut self) -> bool {
        let mut alive = self.tcp_answered.load(Ordering::Relaxed) == self.tcp_asked;
        for (pulse, seen) in &mut self.udp {
            let beats = pulse.0.load(Ordering::Relaxed);
            alive &= beats != *seen || beats.is_multiple_of(2);
            *seen = beats;
        }
        if alive {
            self.tcp_asked += 1;
            let answered = Arc::clone(&self.tcp_answered);
            self.tcp
                .spawn(async move { answered.fetch_add(1, Ordering::Relaxed) });
        }
        alive
    }

    /// Tells the service manager from now on that this process is alive, as long as it is, twice an `interval`: on a
    /// thread that lives as long as the process, and waits for nothing else.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn report(mut self, interval: Duration) -> std::io::Result<()> {
        let report = move || loop {
            if self.is_alive() {
                if let Err(error) = notify::tell(State::Alive, "") {
                    tracing::warn!("the service manager cannot be told that this process is alive: {error}");
                }
            } else {
                tracing::error!(
                    "a thread that answers hangs; the service manager is not told that it is alive"
                );
            }
            thread::park_timeout(interval / 2);
        };
        thread::Builder::new().name("watchdog".into()).spawn(report)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_in_the_same_batch_as_before_hangs() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let pulse = Arc::<Pulse>::default();
        let mut probe = Probe::new(&[Arc::clone(&pulse)], runtime.handle().clone());
        let work = || runtime.block_on(async { tokio::task::yield_now().await });
        for (beats, alive) in [
            (0, true),  // waits
            (1, true),  // began a batch
            (0, false), // is still at it
            (1, true),  // is through
            (2, true),  // has had another
            (1, true),  // began the next one
            (2, true),  // and is at the one after it
            (0, false),
        ] {
            (0..beats).for_each(|_| pulse.beat());
            work();
            assert_eq!(probe.is_alive(), alive, "{beats} {probe:?}");
        }
        pulse.settle();
        pulse.settle();
        work();
        assert!(probe.is_alive(), "after a fault it waits");
        assert!(!probe.is_alive(), "the threads of TCP have done nothing since");
        work();
        assert!(probe.is_alive());
    }
}
