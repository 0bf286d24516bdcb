//! The zone's own content, as questions are drawn from it: in canonical order, so that the same content gives the same
//! questions, and who signs a zone name by name is met along the whole way.

use crate::{
    wire::RrType,
    zone::{NodeView, Zone},
};

/// The names that the zone answers for, cuts included, in canonical order.
pub(super) fn in_order(content: &Zone) -> Vec<NodeView<'_>> {
    let mut sorted: Vec<NodeView<'_>> = content.nodes().filter(|node| !node.is_occluded()).collect();
    sorted.sort_unstable_by_key(|node| node.name());
    sorted
}

/// The types that the zone answers for at a name: of a cut only the DS.
pub(super) fn types_at(node: NodeView<'_>) -> impl Iterator<Item = RrType> {
    let is_cut = node.is_cut();
    node.rrsets()
        .map(|set| set.rtype())
        .filter(move |rtype| !is_cut || *rtype == RrType::DS)
}

/// Whether one of `total` things is among `limit` that are evenly spread over them: of every `total / limit` the last.
pub(super) fn is_chosen(number: usize, total: usize, limit: usize) -> bool {
    total <= limit || number * limit / total != (number + 1) * limit / total
}

/// Whether something has data of its own, so that what is asked for there and is not there is denied at this very name.
pub(super) fn is_plain(node: &NodeView<'_>) -> bool {
    !node.is_cut() && !node.is_empty() && !node.has_cname()
}
