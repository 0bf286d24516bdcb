//! Random numbers that a seed gives again, and what a loss of power leaves by them.

/// Random numbers that a seed gives again (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `count`, which is not 0.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.roll() % count as u64) as usize
    }

    /// Whether one of `count` chances came true.
    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// What of the unsynced a loss of power leaves.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Everything,
    Nothing,
    /// One in so many is as it was before the last write; with `None` it is the other way round.
    Any(usize),
    Few(usize),
}

impl Fate {
    pub(super) fn any(dice: &mut Dice) -> Self {
        match dice.below(5) {
            0 => Self::Everything,
            1 => Self::Nothing,
            2 => Self::Any(8),
            3 => Self::Few(8),
            _ => Self::Any(2),
        }
    }

    /// Which of `versions`, oldest first, is left.
    pub(super) fn pick(self, versions: usize, dice: &mut Dice) -> usize {
        let newest = match self {
            Self::Everything => true,
            Self::Nothing => false,
            Self::Any(odds) => !dice.one_in(odds),
            Self::Few(odds) => dice.one_in(odds),
        };
        match (newest, versions) {
            (true, _) => versions - 1,
            (false, 1 | 2) => 0,
            (false, _) if matches!(self, Self::Nothing) => 0,
            (false, _) => dice.below(versions - 1),
        }
    }
}
