//! Whom a parent wants to be told that a child's CDS or CSYNC has changed: its DSYNC records (RFC 9859 §4.1).
//!
//! | asked, for `shop.city.example.` below `example.` | finds |
//! |---|---|
//! | `shop._dsync.city.example.` | what the parent says of this child, or by a wildcard of all |
//! | `shop.city._dsync.example.`, where the denial names `example.` | the same, of a parent further up |
//! | `_dsync.example.` | what it says where it has no wildcard |
//!
//! It is to be validated where DNSSEC is enabled; so each question asks for AD, which counts from a resolver on this host:
//! from another one anybody on the way may have set it (RFC 4035 §4.9.3). The parent need not be signed for this (§5), and
//! a notice allows nothing: a wrong one asks for a look that changes nothing. So what was not validated is used, and told.

use super::{ResolveError, Resolver, Said, at_end_of_chain};
use crate::wire::{Name, RrType};

/// The label under which a parent has them.
const LABEL: &[u8] = b"_dsync";
/// The scheme by which a notice is sent (RFC 9859 §2.1).
const NOTIFY: u8 = 1;
/// The most targets that are told: parents have one or two.
const MOST_TARGETS: usize = 4;
/// The most questions: one for each row of the table above.
const MOST_QUESTIONS: usize = 3;

/// Where a notice goes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NoticeTarget {
    /// The host.
    pub host: Name,
    /// Its port.
    pub port: u16,
}

/// Whom a parent wants to be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoticeTargets {
    /// Where notices go; nobody, where it does not say.
    pub targets: Vec<NoticeTarget>,
    /// Whether a resolver on this host has validated every answer that led there.
    pub validated: bool,
}

impl Resolver {
    /// Whom the parent of `child` wants to be told that its records of this type have changed.
    ///
    /// # Errors
    /// When no resolver answers.
    pub async fn notice_targets(&self, child: &Name, rtype: RrType) -> Result<NoticeTargets, ResolveError> {
        let labels = child.as_ref().label_count();
        // In front of the label: those from the first to the cut. Behind it: the rest.
        let (mut first, mut cut) = (0, 1);
        let mut validated = true;
        for _ in 0..MOST_QUESTIONS {
            let Some(name) = lookup_name(child, first, cut) else {
                break;
            };
            let Said {
                server,
                message: said,
            } = self.ask(&name, RrType::DSYNC).await?;
            validated &= said.authenticated && server.ip().is_loopback();
            let found: Vec<&[u8]> = at_end_of_chain(&said, &name, RrType::DSYNC)
                .map(|record| &*record.rdata)
                .collect();
            if !found.is_empty() {
                let mut targets: Vec<_> = found
                    .into_iter()
                    .filter_map(|rdata| target(rdata, rtype))
                    .collect();
                targets.sort();
                targets.dedup();
                targets.truncate(MOST_TARGETS);
                return Ok(NoticeTargets { targets, validated });
            }
            let mut soas = said
                .authorities
                .iter()
                .filter(|record| record.rtype == RrType::SOA);
            let parent = soas.find(|soa| child.as_ref().is_below(soa.owner.as_ref()));
            let behind = parent.map(|soa| soa.owner.as_ref().label_count());
            match behind {
                Some(behind) if first == 0 && behind + cut < labels => cut = labels - behind,
                _ if first < cut => first = cut,
                _ => break,
            }
        }
        Ok(NoticeTargets {
            targets: Vec::new(),
            validated,
        })
    }
}

/// The child's labels from `first` to `cut`, the label, and the rest. One that is too long for a name is nobody's.
fn lookup_name(child: &Name, first: usize, cut: usize) -> Option<Name> {
    let child = child.as_ref();
    let behind = child.suffix(child.label_count().checked_sub(cut)?)?;
    let mut name = behind.prepend(LABEL).ok()?;
    let front: Vec<&[u8]> = child.labels().take(cut).skip(first).collect();
    for label in front.into_iter().rev() {
        name = name.as_ref().prepend(label).ok()?;
    }
    Some(name)
}

fn target(rdata: &[u8], wanted: RrType) -> Option<NoticeTarget> {
    let (&[high, low, scheme, port_high, port_low], host) = rdata.split_first_chunk::<5>()?;
    let rtype = RrType(u16::from_be_bytes([high, low]));
    let host = Name::from_wire(host).ok()?;
    // The root is no host.
    let is_meant = rtype == wanted && scheme == NOTIFY && !host.as_ref().is_root();
    is_meant.then_some(NoticeTarget {
        host,
        port: u16::from_be_bytes([port_high, port_low]),
    })
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{Row, Table, name, resolver, serve},
        *,
    };
    use crate::wire::message::Rcode;

    fn row(owner: &'static str, rtype: RrType, scheme: u8, port: u16, host: &str) -> Row {
        let [high, low] = rtype.0.to_be_bytes();
        let [port_high, port_low] = port.to_be_bytes();
        let rdata = [&[high, low, scheme, port_high, port_low], name(host).as_wire()].concat();
        (owner, RrType::DSYNC, rdata)
    }

    async fn found(table: Table, child: &str) -> Vec<String> {
        let resolver = resolver(vec![serve(table).await]);
        let found = resolver.notice_targets(&name(child), RrType::CDS).await.unwrap();
        assert!(!found.validated, "nobody said so");
        found
            .targets
            .iter()
            .map(|target| format!("{}:{}", target.host, target.port))
            .collect()
    }

    #[tokio::test]
    async fn the_childs_own_record_is_found_and_only_notices_of_its_type() {
        let at = "shop._dsync.example.";
        let rows = vec![
            row(at, RrType::CDS, 1, 5359, "scanner.example."),
            row(at, RrType::CDS, 1, 5359, "scanner.example."),
            row(at, RrType::CSYNC, 1, 53, "other.example."),
            row(at, RrType::CDS, 129, 53, "private.example."),
            row(at, RrType::CDS, 1, 53, "."),
        ];
        let table = Table::default().row(at, RrType::DSYNC, rows);
        assert_eq!(found(table, "shop.example.").await, ["scanner.example.:5359"]);
    }

    #[tokio::test]
    async fn a_denial_tells_where_the_parent_is_and_without_wildcard_its_own_name_is_asked() {
        let first = "shop._dsync.city.example.";
        let above = "shop.city._dsync.example.";
        let bare = "_dsync.example.";
        let here = |owner| vec![row(owner, RrType::CDS, 1, 53, "scanner.example.")];
        let denied = |name| Table::default().denied(name, RrType::DSYNC, Rcode::NXDOMAIN, "example.");
        let table = denied(first).row(above, RrType::DSYNC, here(above));
        assert_eq!(found(table, "shop.city.example.").await, ["scanner.example.:53"]);
        let table = denied(first)
            .denied(above, RrType::DSYNC, Rcode::NXDOMAIN, "example.")
            .row(bare, RrType::DSYNC, here(bare));
        assert_eq!(found(table, "shop.city.example.").await, ["scanner.example.:53"]);
        // Below a parent that says nothing; below the root.
        let silent = denied(first)
            .denied(above, RrType::DSYNC, Rcode::NXDOMAIN, "example.")
            .denied(bare, RrType::DSYNC, Rcode::NOERROR, "example.");
        assert!(found(silent, "shop.city.example.").await.is_empty());
        let top = Table::default()
            .denied("example._dsync.", RrType::DSYNC, Rcode::NXDOMAIN, ".")
            .denied("_dsync.", RrType::DSYNC, Rcode::NXDOMAIN, ".");
        assert!(found(top, "example.").await.is_empty());
    }

    /// The denial that leads to the record counts as well as the record.
    #[tokio::test]
    async fn what_was_validated_here_is_told_from_what_was_not() {
        let (first, then) = ("shop._dsync.example.", "_dsync.example.");
        let table = Table::default()
            .denied(first, RrType::DSYNC, Rcode::NXDOMAIN, "example.")
            .row(
                then,
                RrType::DSYNC,
                vec![row(then, RrType::CDS, 1, 53, "scanner.example.")],
            );
        for (of, validated) in [
            (&[first, then][..], true),
            (&[then], false),
            (&[first], false),
            (&[], false),
        ] {
            let table = of.iter().fold(table.clone(), |table, name| table.validated(name));
            let resolver = resolver(vec![serve(table).await]);
            let found = resolver
                .notice_targets(&name("shop.example."), RrType::CDS)
                .await
                .unwrap();
            assert_eq!((found.targets.len(), found.validated), (1, validated), "{of:?}");
        }
    }

    #[tokio::test]
    async fn a_resolver_that_fails_is_told_from_a_parent_that_says_nothing() {
        let resolver = resolver(vec![serve(Table::default()).await]);
        let failed = resolver.notice_targets(&name("example."), RrType::CDS).await;
        assert!(matches!(failed, Err(ResolveError::Failed { .. })), "{failed:?}");
    }
}
