//! The safety checker's word on a plan, at the earliest times of its steps and with every lag.

use super::{
    super::safety::{Counterexample, Terms, Timeline, TooMany, Validator, Verdict, check},
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
        let judge = |validator: Validator| {
            let terms = self.terms(vec![validator.clone()]);
            Judgement {
                starts_safe: check(&before, &terms) == Verdict::Safe,
                verdict: check(&timeline, &terms),
                validator,
            }
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
        let unhurt = Validator::kinds()
            .into_iter()
            .filter(|validator| check(&before, &self.terms(vec![validator.clone()])) == Verdict::Safe);
        Ok(match check(course, &self.terms(unhurt.collect())) {
            Verdict::Safe => None,
            Verdict::Unsafe(found) => Some(*found),
        })
    }

    fn terms(&self, validators: Vec<Validator>) -> Terms {
        Terms {
            validators,
            ..Terms::all(self.situation.margin)
        }
    }
}
