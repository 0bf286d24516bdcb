//! Our driver of NS1 against the simulated one, over HTTPS: the contract of providers, in every shape.

use std::{os::unix::fs::PermissionsExt as _, sync::Arc, time::Duration};

use super::{Settings, Simulated, ZoneText};
use crate::{
    clock::SystemClock,
    dnssec::{algorithm::Algorithm, key::Dnskey},
    provider::{
        Provider, ProviderFault, Published,
        contract::{self, advises},
        ns1::{self, KeySource, Nesting, Ns1, Values, WireForm},
    },
    wire::{Name, Ttl},
};

pub(super) const SECRET: &str = "qYp7C4naryKeyZ3t81Wv";
const ZONE: &str = "$TTL 300\n@ SOA ns1 host 1 7200 3600 1209600 300\n@ NS ns1\n@ NS ns2\nns1 A 192.0.2.1\n\
                    ns2 A 192.0.2.2\n@ MX 10 mx\n@ CAA 0 issue \"ca.test; a=b\"\ntxt TXT \"a;b\" \"c d\"\n\
                    *.w CNAME ns1\n_s._tcp SRV 1 2 3 ns1\n";

pub(super) fn zone() -> Name {
    "unit.test.".parse().unwrap()
}

pub(super) struct World {
    pub simulated: Simulated,
    folder: tempfile::TempDir,
}

impl World {
    pub async fn start(signed: bool, knobs: &[(&str, &str)]) -> Self {
        let settings = Settings {
            api: "127.0.0.1:0".parse().unwrap(),
            dns: vec!["127.0.0.1:0".parse().unwrap(), "127.0.0.1:0".parse().unwrap()],
            name_servers: Vec::new(),
            api_key: SECRET.into(),
            zones: vec![(zone(), ZoneText::Text(ZONE.into()))],
            signed,
            knobs: knobs
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
        };
        let simulated = Simulated::start(settings, Arc::new(SystemClock::default()))
            .await
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), simulated.ca_pem()).unwrap();
        let key = folder.path().join("key");
        std::fs::write(&key, SECRET).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        Self { simulated, folder }
    }

    pub fn settings(&self) -> ns1::Settings {
        let mut settings = ns1::Settings::new("ns1", KeySource::File(self.folder.path().join("key")));
        settings.endpoint = self.simulated.api_url();
        settings.ca = Some(self.folder.path().join("ca.pem"));
        settings.deadline = Duration::from_secs(10);
        settings
    }

    fn driver(&self, form: WireForm) -> Ns1 {
        let mut settings = self.settings();
        settings.form = form;
        Ns1::new(settings).unwrap()
    }
}

fn form(body: &str, numbers: &str) -> WireForm {
    WireForm {
        nesting: if body == "bare" {
            Nesting::Bare
        } else {
            Nesting::Wrapped
        },
        values: if numbers == "string" {
            Values::Strings
        } else {
            Values::Numbers
        },
    }
}

fn ours() -> Vec<Dnskey> {
    vec![Dnskey::new(257, Algorithm::ECDSAP256SHA256, &[9; 64])]
}

#[tokio::test]
async fn the_contract_holds_in_every_shape() {
    for list in ["map", "array"] {
        for (body, numbers) in [
            ("wrapped", "number"),
            ("bare", "string"),
            ("wrapped", "string"),
            ("bare", "number"),
        ] {
            for reply in ["own", "all"] {
                let knobs = [
                    ("list-shape", list),
                    ("set-shape", body),
                    ("number-shape", numbers),
                    ("strict-shapes", "on"),
                    ("dnssec-reply", reply),
                    ("page-size", "3"),
                ];
                let world = World::start(true, &knobs).await;
                contract::holds(&world.driver(form(body, numbers)), &zone(), SECRET).await;
            }
        }
    }
}

#[tokio::test]
async fn the_contract_holds_without_an_export() {
    let world = World::start(true, &[("broken-export", "refused"), ("page-size", "2")]).await;
    let ns1 = world.driver(WireForm::default());
    contract::holds(&ns1, &zone(), SECRET).await;
    let one_by_one = ns1.read_content(&zone()).await.unwrap();
    assert!(one_by_one.how.ends_with("one by one"), "{}", one_by_one.how);
    world.simulated.set_knob("broken-export", "off").unwrap();
    let mut export = ns1.read_content(&zone()).await.unwrap();
    assert_eq!(export.how, "export");
    // Both ways of reading give the same zone.
    let mut other = one_by_one.records;
    let order = |a: &crate::wire::received::Record, b: &crate::wire::received::Record| {
        (&a.owner, a.rtype, &a.rdata).cmp(&(&b.owner, b.rtype, &b.rdata))
    };
    other.sort_by(order);
    export.records.sort_by(order);
    assert_eq!(other, export.records);
}

#[tokio::test]
async fn mishaps_on_the_way_change_nothing() {
    for (knob, value) in [
        ("too-many-requests", "1"),
        ("server-errors", "2"),
        ("connection-resets", "1"),
        ("rate-limit", "20/2"),
    ] {
        let world = World::start(true, &[]).await;
        let ns1 = world.driver(WireForm::default());
        world.simulated.set_knob(knob, value).unwrap();
        let published = ns1.publish_keys(&zone(), &ours(), Ttl::new(3600)).await.unwrap();
        assert!(
            matches!(published, Published::Changed { .. }),
            "{knob}: {published:?}"
        );
        world.simulated.set_knob(knob, value).unwrap();
        let seen = ns1.observe_keys(&zone(), &ours()).await.unwrap();
        assert_eq!(seen.ours, ours(), "{knob}");
        assert_eq!(seen.own, world.simulated.own_keys(&zone()), "{knob}");
        world.simulated.set_knob(knob, value).unwrap();
        ns1.withdraw_keys(&zone(), &ours()).await.unwrap();
        assert!(
            ns1.observe_keys(&zone(), &ours()).await.unwrap().ours.is_empty(),
            "{knob}"
        );
    }
    let world = World::start(true, &[("html-answers", "always")]).await;
    let error = world
        .driver(WireForm::default())
        .serial(&zone())
        .await
        .unwrap_err();
    advises(&error, ProviderFault::Unintelligible);
}

#[tokio::test]
async fn dnssec_is_switched_on_by_word_only() {
    let world = World::start(false, &[]).await;
    let ns1 = world.driver(WireForm::default());
    let error = ns1
        .publish_keys(&zone(), &ours(), Ttl::new(3600))
        .await
        .unwrap_err();
    advises(&error, ProviderFault::NotSigned);
    assert!(world.simulated.own_keys(&zone()).is_empty());
    ns1.enable_dnssec(&zone()).await.unwrap();
    assert!(!world.simulated.own_keys(&zone()).is_empty());
    contract::holds(&ns1, &zone(), SECRET).await;
    let world = World::start(false, &[("dnssec-refused", "on")]).await;
    let error = world
        .driver(WireForm::default())
        .enable_dnssec(&zone())
        .await
        .unwrap_err();
    advises(&error, ProviderFault::Refused);
}
