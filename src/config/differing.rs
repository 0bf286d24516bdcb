//! Which settings of a zone a reload changed: a setting that changes nothing in the answers is taken too, and people have
//! to see that it was.

use std::path::PathBuf;

use super::{ContentSource, Spot, ZoneSettings};

impl ZoneSettings {
    /// The settings in which this differs from `before`, as the file calls them; wherever they stand in it.
    pub fn differing(&self, before: &Self) -> Vec<&'static str> {
        let Self {
            origin: _,
            at: _,
            source,
            largest_shrink,
            name_servers,
            external_keys,
            providers,
            exchange_keys,
            parent,
            parent_propagation,
            our_servers,
            dnskey_ttl,
            safety_margin,
            follow,
            denial,
            overload,
            cds,
            csync,
            signature_validity,
            auto_keys,
        } = self;
        let same_source = match (source, &before.source) {
            (ContentSource::File { path, .. }, ContentSource::File { path: before, .. }) => path == before,
            (source, before) => source == before,
        };
        let source_name = if source.file().is_some() { "file" } else { "source" };
        let files = |files: &[(PathBuf, Spot)]| -> Vec<PathBuf> {
            files.iter().map(|(path, _)| path.clone()).collect()
        };
        let all = [
            (source_name, same_source),
            ("largest_shrink", *largest_shrink == before.largest_shrink),
            ("name_servers", *name_servers == before.name_servers),
            (
                "external_keys",
                files(external_keys) == files(&before.external_keys),
            ),
            ("providers", *providers == before.providers),
            ("exchange_keys", *exchange_keys == before.exchange_keys),
            ("parent", *parent == before.parent),
            (
                "parent_propagation",
                *parent_propagation == before.parent_propagation,
            ),
            ("our_servers", *our_servers == before.our_servers),
            ("dnskey_ttl", *dnskey_ttl == before.dnskey_ttl),
            ("safety_margin", *safety_margin == before.safety_margin),
            ("follow", *follow == before.follow),
            ("denial", *denial == before.denial),
            ("overload", *overload == before.overload),
            ("cds", *cds == before.cds),
            ("csync", *csync == before.csync),
            (
                "signature_validity",
                *signature_validity == before.signature_validity,
            ),
            ("auto_keys", *auto_keys == before.auto_keys),
        ];
        let differing = all.into_iter().filter(|(_, same)| !same);
        differing.map(|(name, _)| name).collect()
    }
}
