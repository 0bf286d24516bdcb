//! What is to happen, in order of time; of what happens at one moment, in the order in which it was planned.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::chain::Time;

/// The events to come.
#[derive(Clone, Debug)]
pub(super) struct Queue<E> {
    heap: BinaryHeap<Reverse<(Time, u64, usize)>>,
    events: Vec<Option<E>>,
    free: Vec<usize>,
    count: u64,
}

impl<E> Queue<E> {
    pub fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            events: Vec::new(),
            free: Vec::new(),
            count: 0,
        }
    }

    pub fn at(&mut self, time: Time, event: E) {
        let place = self.free.pop().unwrap_or(self.events.len());
        if place == self.events.len() {
            self.events.push(Some(event));
        } else {
            self.events[place] = Some(event);
        }
        self.heap.push(Reverse((time, self.count, place)));
        self.count += 1;
    }

    pub fn next(&mut self) -> Option<(Time, E)> {
        let Reverse((time, _, place)) = self.heap.pop()?;
        self.free.push(place);
        self.events[place].take().map(|event| (time, event))
    }
}
