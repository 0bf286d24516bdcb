//! The safety checker's word on a plan, at the earliest times of its steps and with every lag.

use super::{
    super::safety::{
        Counterexample, Invariant, Terms, Timeline, TooMany, Validator, Verdict, check, is_safe,
    },
    Plan,
};

/// What the checker says of a plan for one kind of validator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judgement {
    /// The kind.
    pub validator: Validator,
    /// Whether the zone is safe for it now, before the plan.
    pub starts_safe: bool,
    /// Whether the plan is.
    pub verdict: Verdict,
}

impl Judgement {
    /// Whether the plan hurts a validator that nothing hurts now.
    pub fn harm(&self) -> Option<&Counterexample> {
        match &self.verdict {
            Verdict::Unsafe(found) if self.starts_safe => Some(found),
            _ => None,
        }
    }
}

impl Plan {
    /// Judges it for every kind of validator.
    ///
    /// # Errors
    /// When there are more keys or providers than a timeline holds.
    pub fn judge(&self) -> Result<Vec<Judgement>, TooMany> {
        let timeline = self.timeline(&self.earliest().steps)?;
        let before = self.timeline(&[])?;
        let judge = |validator: Validator| Judgement {
            starts_safe: self.starts_safe(&before, &validator),
            verdict: check(&timeline, &self.terms(&before, vec![validator.clone()])),
            validator,
        };
        Ok(Validator::kinds().into_iter().map(judge).collect())
    }

    /// The first harm that it does to a validator which nothing hurts now; none when it may be offered.
    ///
    /// # Errors
    /// As [`Plan::judge`].
    pub fn harm(&self) -> Result<Option<Box<Counterexample>>, TooMany> {
        Ok(self
            .harm_of(&self.timeline(&self.earliest().steps)?)?
            .map(Box::new))
    }

    /// The same for another course of the same plan, such as the measured one.
    ///
    /// # Errors
    /// As [`Plan::judge`].
    pub fn harm_of(&self, course: &Timeline) -> Result<Option<Counterexample>, TooMany> {
        let before = self.timeline(&[])?;
        let kinds = Validator::kinds().into_iter();
        let unhurt = kinds.filter(|validator| self.starts_safe(&before, validator));
        Ok(match check(course, &self.terms(&before, unhurt.collect())) {
            Verdict::Safe => None,
            Verdict::Unsafe(found) => Some(*found),
        })
    }

    fn starts_safe(&self, before: &Timeline, validator: &Validator) -> bool {
        let terms = Terms {
            margin: self.situation.margin,
            validators: vec![validator.clone()],
            invariants: Invariant::CHAINS.into(),
        };
        is_safe(before, &terms)
    }

    /// What a plan is held to: chains, and what else holds before it. That the data of two providers have different TTLs
    /// hurts no validator, and no key of ours mends it.
    fn terms(&self, before: &Timeline, validators: Vec<Validator>) -> Terms {
        let margin = self.situation.margin;
        let holds = |invariant: &Invariant| {
            let alone = Terms {
                margin,
                validators: Vec::new(),
                invariants: [*invariant].into(),
            };
            Invariant::CHAINS.contains(invariant) || is_safe(before, &alone)
        };
        Terms {
            margin,
            validators,
            invariants: Invariant::ALL.into_iter().filter(holds).collect(),
        }
    }
}
