//! Whether anybody is sent to this server.

use super::{
    Survey,
    read::{ContentTtls, Reading},
};
use crate::{
    dnssec::register::Register,
    multisigner::{
        execute::{Shown, Sight},
        safety::{ProviderId, Slot, Value},
    },
};

impl Survey {
    /// Whether the parent leads here: some server of it names ours in its NS RRset, or some server of another provider does,
    /// to whom the parent leads. That nobody does is said only where each server of the parent shows an NS RRset that can be
    /// read: one that is silent may name us.
    pub fn leads_here(&self) -> Option<bool> {
        let register = Register::default();
        let reading = Reading {
            survey: self,
            register: &register,
            ttls: ContentTtls::default(),
            keys: Vec::new(),
        };
        let parent = reading.sights(&Slot::ParentNs);
        let others = (1..self.members.len()).filter_map(|place| ProviderId::at(place).ok());
        let others = others.flat_map(|other| reading.sights(&Slot::ChildNs(other)));
        if parent
            .iter()
            .cloned()
            .chain(others)
            .any(|sight| names_us(&sight) == Some(true))
        {
            return Some(true);
        }
        let all_readable = parent.iter().all(|sight| names_us(sight).is_some());
        (all_readable && !parent.is_empty()).then_some(false)
    }
}

fn names_us(sight: &Sight) -> Option<bool> {
    match &sight.shown {
        Shown::Value(Value::ParentNs(ns) | Value::ChildNs(_, ns)) => {
            Some(ns.members.contains(&ProviderId::FIRST))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{empty, ns, received, survey};
    use crate::{
        multisigner::observe::Unseen,
        wire::{Name, RrType, received::Received},
    };

    /// What a survey shows whose parent has servers that refer to these, and whose providers name those.
    fn leads(parent: &[&[&str]], providers: &[&str]) -> Option<bool> {
        let refers = |names: &[&str]| received(Vec::new(), ns(names), false);
        let of_member: (RrType, Received) = (RrType::NS, received(ns(providers), Vec::new(), true));
        let mut survey = survey(&[of_member], &[(RrType::NS, empty())]);
        let server: Name = "ours.example.".parse().unwrap();
        survey.members[0].names = [server].into();
        let one = survey.parent.remove(0);
        for names in parent {
            let mut server = one.clone();
            let answer = match names {
                [] => Err(Unseen::Unreachable("no answer".to_owned())),
                names => Ok(refers(names)),
            };
            server.answers.insert(RrType::NS, answer);
            survey.parent.push(server);
        }
        survey.leads_here()
    }

    #[test]
    fn that_nobody_is_sent_here_is_said_when_all_of_the_parent_says_so() {
        const OURS: &str = "ours.example.";
        const THEIRS: &str = "theirs.example.";
        const NOBODYS: &str = "nobodys.example.";
        let silent: &[&str] = &[];
        assert_eq!(leads(&[&[THEIRS], &[THEIRS]], &[THEIRS]), Some(false));
        assert_eq!(leads(&[&[THEIRS], &[THEIRS, OURS]], &[THEIRS]), Some(true));
        assert_eq!(leads(&[silent, &[OURS]], &[THEIRS]), Some(true));
        assert_eq!(leads(&[&[THEIRS], &[THEIRS]], &[OURS, THEIRS]), Some(true));
        assert_eq!(leads(&[silent, &[THEIRS]], &[THEIRS]), None);
        assert_eq!(leads(&[&[NOBODYS], &[THEIRS]], &[THEIRS]), None);
        assert_eq!(leads(&[silent], &[THEIRS]), None);
        assert_eq!(leads(&[], &[THEIRS]), None);
    }
}
