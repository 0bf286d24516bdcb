//! What every provider must hold to, whatever its API: tests run this over each driver.

use super::{Provider, ProviderError, ProviderFault, Published};
use crate::{
    dnssec::{algorithm::Algorithm, csync::Csync, key::Dnskey},
    wire::{Name, Ttl},
};

const TTL: Ttl = Ttl::new(3600);

fn key(flags: u16, number: u8) -> Dnskey {
    Dnskey::new(flags, Algorithm::ECDSAP256SHA256, &[number; 64])
}

/// Runs the contract over a provider of `zone`, which signs it (where it has an API) and holds no keys of ours. It
/// is left as it was.
pub(crate) async fn holds(provider: &dyn Provider, zone: &Name, secret: &str) {
    nothing_shows_the_secret(provider, zone, secret).await;
    if provider.capabilities().publishes_keys {
        keys_go_both_ways(provider, zone).await;
    } else {
        a_person_is_told(provider, zone).await;
    }
    if provider.capabilities().writes_apex_ns {
        name_servers_are_written(provider, zone).await;
    }
    if provider.capabilities().writes_cds {
        cds_is_written(provider, zone).await;
    }
    if provider.capabilities().writes_csync {
        csync_is_written(provider, zone).await;
    }
    content_is_given_or_refused(provider, zone).await;
}

async fn cds_is_written(provider: &dyn Provider, zone: &Name) {
    let keys = [key(257, 201), key(257, 202)];
    let reversed = [keys[1].clone(), keys[0].clone()];
    // Asked for; the same in another order; one of them alone; both taken back, and again.
    for (keys, changes) in [
        (&keys[..], true),
        (&reversed, false),
        (&keys[..1], true),
        (&[], true),
        (&[], false),
    ] {
        let written = provider.write_cds(zone, keys, TTL).await.unwrap();
        let changed = matches!(written, Published::Changed { .. });
        assert_eq!(changed, changes, "{} keys: {written:?}", keys.len());
    }
}

async fn csync_is_written(provider: &dyn Provider, zone: &Name) {
    let [short, long] = [false, true].map(|addresses| Some(Csync { addresses }));
    for (csync, changes) in [
        (short, true),
        (short, false),
        (long, true),
        (None, true),
        (None, false),
    ] {
        let written = provider.write_csync(zone, csync, TTL).await.unwrap();
        let changed = matches!(written, Published::Changed { .. });
        assert_eq!(changed, changes, "{csync:?}: {written:?}");
    }
}

async fn keys_go_both_ways(provider: &dyn Provider, zone: &Name) {
    let before = provider.observe_keys(zone, &[]).await.unwrap();
    assert!(
        before.signs && !before.own.is_empty() && before.ours.is_empty(),
        "{before:?}"
    );

    let first = [key(257, 201), key(256, 202)];
    let published = provider.publish_keys(zone, &first, TTL).await.unwrap();
    assert!(matches!(published, Published::Changed { .. }), "{published:?}");
    let again = provider.publish_keys(zone, &first, TTL).await.unwrap();
    assert_eq!(again, Published::Already, "publishing is idempotent");
    let reversed = [first[1].clone(), first[0].clone()];
    assert_eq!(
        provider.publish_keys(zone, &reversed, TTL).await.unwrap(),
        Published::Already,
        "a set has no order"
    );

    // The echo: what it shows of ours is not its own, also when we had it once and told it of others since.
    let seen = provider.observe_keys(zone, &first).await.unwrap();
    assert_eq!(seen.own, before.own, "ours are never counted as its own");
    assert_eq!(seen.others, before.others, "keys of others stay");
    assert!(
        seen.ours.len() == 2 && first.iter().all(|key| seen.ours.contains(key)),
        "{seen:?}"
    );

    let second = [key(257, 201), key(256, 203), key(256, 204)];
    let changed = provider.publish_keys(zone, &second, TTL).await.unwrap();
    assert!(matches!(changed, Published::Changed { .. }), "{changed:?}");
    let ours = [&first[..], &second[..]].concat();
    let seen = provider.observe_keys(zone, &ours).await.unwrap();
    assert_eq!(
        seen.ours.len(),
        3,
        "exactly the keys of the last call: {:?}",
        seen.ours
    );
    assert_eq!((&seen.own, &seen.others), (&before.own, &before.others));

    let withdrawn = provider.withdraw_keys(zone, &ours).await.unwrap();
    assert!(matches!(withdrawn, Published::Changed { .. }), "{withdrawn:?}");
    assert_eq!(
        provider.withdraw_keys(zone, &ours).await.unwrap(),
        Published::Already
    );
    let after = provider.observe_keys(zone, &ours).await.unwrap();
    assert!(
        after.ours.is_empty(),
        "withdrawing takes all out: {:?}",
        after.ours
    );
    assert_eq!((&after.own, &after.others), (&before.own, &before.others));
    // No keys to publish are none published.
    assert_eq!(
        provider.publish_keys(zone, &[], TTL).await.unwrap(),
        Published::Already
    );
}

async fn a_person_is_told(provider: &dyn Provider, zone: &Name) {
    let keys = [key(257, 201)];
    let record = format!("DNSKEY {}", keys[0]);
    for told in [
        provider.publish_keys(zone, &keys, TTL).await.unwrap(),
        provider.withdraw_keys(zone, &keys).await.unwrap(),
    ] {
        let Published::ByHand { what, records } = told else {
            panic!("{told:?}")
        };
        assert!(what.contains(provider.name()), "{what}");
        assert!(records.len() == 1 && records[0].contains(&record), "{records:?}");
    }
}

async fn name_servers_are_written(provider: &dyn Provider, zone: &Name) {
    let before = provider.read_apex_ns(zone).await.unwrap();
    let mut targets = before.clone();
    targets.push("ns1.other.example.".parse().unwrap());
    let changed = provider.write_apex_ns(zone, &targets, TTL).await.unwrap();
    assert!(matches!(changed, Published::Changed { .. }), "{changed:?}");
    assert_eq!(
        provider.write_apex_ns(zone, &targets, TTL).await.unwrap(),
        Published::Already
    );
    let mut seen = provider.read_apex_ns(zone).await.unwrap();
    seen.sort();
    targets.sort();
    assert_eq!(seen, targets);
    provider.write_apex_ns(zone, &before, TTL).await.unwrap();
}

async fn content_is_given_or_refused(provider: &dyn Provider, zone: &Name) {
    let content = provider.read_content(zone).await;
    if provider.capabilities().reads_content {
        let content = content.unwrap();
        let soas = content
            .records
            .iter()
            .filter(|record| record.rtype == crate::wire::RrType::SOA)
            .count();
        assert_eq!(soas, 1, "{content:?}");
        for record in &content.records {
            assert!(
                !crate::zone::is_of_a_signer(record.rtype, record.owner == *zone),
                "{record:?}"
            );
            assert!(record.owner.as_ref().is_at_or_below(zone.as_ref()), "{record:?}");
        }
        assert!(!content.how.is_empty());
    } else {
        advises(&content.unwrap_err(), ProviderFault::Unsupported);
    }
}

/// Whether an error says who, what, and what to do next.
pub(crate) fn advises(error: &ProviderError, kind: ProviderFault) {
    assert_eq!(error.kind, kind, "{error:?}");
    assert!(
        error.to_string().starts_with(&error.provider) && !error.what.is_empty(),
        "{error:?}"
    );
    assert!(
        error.advice.as_ref().is_some_and(|advice| !advice.is_empty()),
        "{error:?}"
    );
}

async fn nothing_shows_the_secret(provider: &dyn Provider, zone: &Name, secret: &str) {
    let absent: Name = "no-such-zone.example.".parse().unwrap();
    let key = [key(257, 201)];
    let mut shown = vec![format!("{provider:?}"), provider.name().to_owned()];
    let mut show = |shown_now: Result<String, ProviderError>| match shown_now {
        Ok(text) => shown.push(text),
        Err(error) => {
            advises(&error, error.kind);
            shown.push(format!(
                "{error} {error:?} {}",
                error.advice.clone().unwrap_or_default()
            ));
        }
    };
    for zone in [zone, &absent] {
        show(provider.servers(zone).await.map(|it| format!("{it:?}")));
        show(
            provider
                .observe_keys(zone, &key)
                .await
                .map(|it| format!("{it:?}")),
        );
        show(provider.serial(zone).await.map(|it| format!("{it:?}")));
        show(provider.read_content(zone).await.map(|it| format!("{it:?}")));
        show(provider.read_apex_ns(zone).await.map(|it| format!("{it:?}")));
    }
    show(
        provider
            .publish_keys(&absent, &key, TTL)
            .await
            .map(|it| format!("{it:?}")),
    );
    show(
        provider
            .withdraw_keys(&absent, &key)
            .await
            .map(|it| format!("{it:?}")),
    );
    for text in shown {
        assert!(!text.contains(secret), "the secret is shown: {text}");
    }
}
