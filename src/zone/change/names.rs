//! What a change does to names: which come into being and which cease (empty non-terminals included, RFC 4592
//! §2.2.2), their flags, and what a cut or a DNAME hides or no longer hides.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{ChangeError, Records, Touched};
use crate::{
    wire::{NameRef, RrType},
    zone::{
        build::Severity,
        rules::{self, TypeAt},
        shard::NodeFlags,
        snapshot::{NodeId, NodeView, Zone},
    },
};

/// Every name of a zone at which something will be different.
#[derive(Debug)]
pub(super) struct Plan<'z> {
    pub(super) zone: &'z Zone,
    pub(super) names: HashMap<Box<[u8]>, Planned>,
}

/// A name as it will be.
#[derive(Debug)]
pub(super) struct Planned {
    /// Where it is now, if it exists.
    pub(super) old: Option<NodeId>,
    /// Whether it will exist.
    pub(super) exists: bool,
    pub(super) flags: NodeFlags,
    pub(super) children: u32,
    /// Whether it will have no RRsets.
    pub(super) is_empty: bool,
    /// The RRsets that the change speaks of; the others stay. An empty one goes.
    pub(super) sets: BTreeMap<u16, Records>,
}

impl Planned {
    /// As it is now.
    fn of(zone: &Zone, old: Option<NodeId>) -> Self {
        let node = old.map(|old| zone.by_id(old));
        Self {
            old,
            exists: old.is_some(),
            flags: node.map(NodeView::flags).unwrap_or_default(),
            children: node.map(NodeView::children).unwrap_or_default(),
            is_empty: node.is_none_or(NodeView::is_empty),
            sets: BTreeMap::new(),
        }
    }

    /// Whether an exact chain will have an NSEC here.
    pub(super) fn owns_nsec(&self) -> bool {
        self.exists && !self.is_empty && !self.flags.has(NodeFlags::OCCLUDED)
    }

    /// The types that it will have, and whether there are several records of each.
    fn types(&self, zone: &Zone) -> Vec<TypeAt> {
        let old = self.old.map(|old| zone.by_id(old));
        let stay = old
            .iter()
            .flat_map(|node| node.rrsets())
            .filter(|set| !self.sets.contains_key(&set.rtype().0))
            .map(|set| (set.rtype(), set.len() > 1));
        let told = self
            .sets
            .iter()
            .filter(|(_, records)| !records.is_empty())
            .map(|(&rtype, records)| (RrType(rtype), records.len() > 1));
        stay.chain(told).collect()
    }

    /// Checks the RRsets that the change speaks of, and takes the flags that follow from the types.
    fn judge(&mut self, owner: NameRef<'_>, zone: &Zone) -> Result<(), ChangeError> {
        for (&rtype, records) in &self.sets {
            let rtype = RrType(rtype);
            let mut ttls = records.values().map(|held| held.ttl);
            let first = ttls.next();
            if ttls.any(|ttl| Some(ttl) != first) {
                let owner = owner.to_owned();
                return Err(ChangeError::Uneven { owner, rtype });
            }
            let octets = records.values().map(|held| 2 + held.rdata.len()).sum();
            if let Some(what) = rules::too_large(owner, rtype, octets, records.len()) {
                return Err(ChangeError::Unfit { what });
            }
        }
        let types = self.types(zone);
        let (flags, mut faults) = rules::judge(owner, zone.apex(), &types);
        if owner.len() == zone.apex().len() {
            faults.extend(rules::judge_apex(owner, &types));
        }
        if let Some(fault) = faults.into_iter().find(|fault| fault.severity == Severity::Error) {
            return Err(ChangeError::Unfit { what: fault.what });
        }
        const FROM_TYPES: u8 = NodeFlags::CUT | NodeFlags::DNAME | NodeFlags::CNAME;
        self.flags.0 = self.flags.0 & !FROM_TYPES | flags.0;
        self.is_empty = types.is_empty();
        Ok(())
    }
}

impl<'z> Plan<'z> {
    pub(super) fn new(zone: &'z Zone, touched: HashMap<Box<[u8]>, Touched>) -> Result<Self, ChangeError> {
        let mut plan = Self {
            zone,
            names: HashMap::with_capacity(2 * touched.len()),
        };
        let told: Vec<Box<[u8]>> = touched.keys().cloned().collect();
        for (name, touched) in touched {
            let mut planned = Planned::of(zone, touched.old);
            planned.sets = touched.sets;
            planned.judge(NameRef::from_trusted(&name), zone)?;
            plan.names.insert(name, planned);
        }
        // First what comes, so that nothing above it goes meanwhile.
        for name in &told {
            if !plan.names[name].exists && !plan.names[name].is_empty {
                plan.come(name);
            }
        }
        for name in &told {
            plan.go(name);
        }
        plan.hide_and_reveal();
        Ok(plan)
    }

    fn planned(&mut self, name: &[u8]) -> &mut Planned {
        if !self.names.contains_key(name) {
            let planned = Planned::of(self.zone, self.zone.id_of(name));
            self.names.insert(name.into(), planned);
        }
        self.names.get_mut(name).expect("it is there by now")
    }

    fn is_apex(&self, name: &[u8]) -> bool {
        name.len() == self.zone.apex().len()
    }

    /// A name begins to exist, and with it those above it that do not.
    fn come(&mut self, name: &[u8]) {
        let mut name = name;
        self.planned(name).exists = true;
        while let Some(parent) = parent(name) {
            let above = self.planned(parent);
            above.children += 1;
            if is_wildcard(name) {
                above.flags.0 |= NodeFlags::WILDCARD_CHILD;
            }
            if std::mem::replace(&mut above.exists, true) {
                return;
            }
            name = parent;
        }
    }

    /// A name without data and without names below it ceases to exist, and with it what then is so above it.
    fn go(&mut self, name: &[u8]) {
        let mut name = name;
        while !self.is_apex(name) {
            let planned = self.planned(name);
            if !planned.exists || !planned.is_empty || planned.children > 0 {
                return;
            }
            planned.exists = false;
            let Some(parent) = parent(name) else { return };
            let above = self.planned(parent);
            above.children -= 1;
            if is_wildcard(name) {
                above.flags.0 &= !NodeFlags::WILDCARD_CHILD;
            }
            name = parent;
        }
    }

    /// Sets what is occluded: at the names of the plan, and at those below a cut or DNAME that comes or goes.
    fn hide_and_reveal(&mut self) {
        let turned = self.turned();
        if !turned.is_empty() {
            let depths: HashSet<usize> = turned
                .iter()
                .map(|name| NameRef::from_trusted(name).label_count())
                .collect();
            for node in self.zone.nodes() {
                let is_below = ancestors(node.name(), self.zone.apex())
                    .any(|above| depths.contains(&above.label_count()) && turned.contains(above.as_wire()));
                if is_below && self.is_hidden(node.name()) != node.is_occluded() {
                    self.planned(node.name().as_wire());
                }
            }
        }
        let names: Vec<Box<[u8]>> = self.names.keys().cloned().collect();
        for name in &names {
            let hidden = self.is_hidden(NameRef::from_trusted(name));
            let flags = &mut self.planned(name).flags.0;
            *flags &= !NodeFlags::OCCLUDED;
            if hidden {
                *flags |= NodeFlags::OCCLUDED;
            }
        }
    }

    /// The names that begin or cease to hide what is below them, where there was something. What comes anew below
    /// them is in the plan anyway.
    fn turned(&self) -> HashSet<&'z [u8]> {
        let turns = |planned: &Planned| {
            let old = self.zone.by_id(planned.old?);
            let hides = planned.exists && planned.flags.has(NodeFlags::HIDES);
            (old.children() > 0 && old.flags().has(NodeFlags::HIDES) != hides).then(|| old.name().as_wire())
        };
        self.names.values().filter_map(turns).collect()
    }

    /// Whether a cut or a DNAME is above a name, in the zone as it will be.
    fn is_hidden(&self, name: NameRef<'_>) -> bool {
        ancestors(name, self.zone.apex()).any(|above| match self.names.get(above.as_wire()) {
            Some(planned) => planned.exists && planned.flags.has(NodeFlags::HIDES),
            None => self
                .zone
                .node(above)
                .is_some_and(|node| node.flags().has(NodeFlags::HIDES)),
        })
    }
}

/// The names above one of the zone, the apex included: a DNAME may stand there.
fn ancestors<'a>(name: NameRef<'a>, apex: NameRef<'_>) -> impl Iterator<Item = NameRef<'a>> {
    let least = apex.len();
    std::iter::successors(name.parent(), |name| name.parent()).take_while(move |name| name.len() >= least)
}

fn parent(name: &[u8]) -> Option<&[u8]> {
    NameRef::from_trusted(name).parent().map(NameRef::as_wire)
}

fn is_wildcard(name: &[u8]) -> bool {
    NameRef::from_trusted(name).is_wildcard()
}
