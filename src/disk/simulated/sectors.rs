//! The file of a store, sector by sector.

use std::{collections::BTreeMap, io};

use super::dice::{Dice, Fate};

/// What a disk writes at once or not at all.
pub(super) const SECTOR: usize = 512;
type Sector = [u8; SECTOR];

/// The store's file.
#[derive(Debug, Default)]
pub(super) struct Sectors {
    pub(super) octets: Vec<u8>,
    /// All lengths since the last sync, but for the present one.
    lengths: Vec<usize>,
    /// What stood in sectors that were written since the last sync, oldest first; what stands there now is in `octets`.
    before: BTreeMap<usize, Vec<Sector>>,
    /// What is on the disk of sectors that a failed sync took for written, and that nobody wrote since.
    unwritten: BTreeMap<usize, Sector>,
    /// Which sectors have their place on the disk: others are holes, and take room.
    placed: Vec<bool>,
}

impl Sectors {
    fn sector(&self, number: usize) -> Sector {
        let mut sector = [0; SECTOR];
        let from = (number * SECTOR).min(self.octets.len());
        let part = &self.octets[from..(from + SECTOR).min(self.octets.len())];
        sector[..part.len()].copy_from_slice(part);
        sector
    }

    fn keep(&mut self, number: usize) {
        let sector = self.sector(number);
        let versions = self.before.entry(number).or_default();
        versions.extend(self.unwritten.remove(&number));
        versions.push(sector);
    }

    pub(super) fn set_len(&mut self, len: usize) {
        self.lengths.push(self.octets.len());
        for number in len.div_ceil(SECTOR)..self.octets.len().div_ceil(SECTOR) {
            self.keep(number);
        }
        if len < self.octets.len() && !len.is_multiple_of(SECTOR) {
            self.keep(len / SECTOR);
        }
        self.octets.resize(len, 0);
        self.placed.resize(len.div_ceil(SECTOR), false);
    }

    /// Writes; on a full disk up to the first sector that would take room.
    pub(super) fn write(&mut self, offset: usize, octets: &[u8], full: bool) -> io::Result<()> {
        if self.octets.len() < offset + octets.len() {
            self.set_len(offset + octets.len());
        }
        for number in offset / SECTOR..(offset + octets.len()).div_ceil(SECTOR) {
            if full && !self.placed[number] {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.keep(number);
            self.placed[number] = true;
            let from = (number * SECTOR).max(offset);
            let to = ((number + 1) * SECTOR).min(offset + octets.len());
            self.octets[from..to].copy_from_slice(&octets[from - offset..to - offset]);
        }
        Ok(())
    }

    pub(super) fn sync(&mut self) {
        self.lengths.clear();
        self.before.clear();
    }

    /// Lets go of what is in memory alone and passes for written.
    pub(super) fn drop_cache(&mut self) {
        for (number, sector) in std::mem::take(&mut self.unwritten) {
            self.put(number, &sector);
        }
    }

    fn put(&mut self, number: usize, sector: &Sector) {
        let from = (number * SECTOR).min(self.octets.len());
        let to = (from + SECTOR).min(self.octets.len());
        self.octets[from..to].copy_from_slice(&sector[..to - from]);
    }

    /// A sync failed as it does on Linux: nothing may have been written, and the next sync will not try again.
    pub(super) fn fail_to_sync(&mut self) {
        for (number, versions) in std::mem::take(&mut self.before) {
            self.unwritten.entry(number).or_insert(versions[0]);
        }
    }

    pub(super) fn lose(&mut self, dice: &mut Dice) {
        let fate = Fate::any(dice);
        let len = match fate.pick(self.lengths.len() + 1, dice) {
            newest if newest == self.lengths.len() => self.octets.len(),
            older => self.lengths[older],
        };
        let mut left: Vec<(usize, Sector)> = Vec::new();
        for (number, versions) in &self.before {
            let picked = fate.pick(versions.len() + 1, dice);
            left.extend(versions.get(picked).map(|sector| (*number, *sector)));
        }
        left.extend(std::mem::take(&mut self.unwritten));
        self.octets.resize(len, 0);
        self.placed.resize(len.div_ceil(SECTOR), true);
        for (number, sector) in left {
            self.put(number, &sector);
        }
        self.sync();
    }
}
