//! What `status` shows.

use super::{
    keys::at_work,
    observations,
    protocol::{ObservedStatus, Refusal, Status, Warning, ZoneStatus},
    server::{Server, unknown},
    zones::HeldZone,
};
use crate::{
    clock::{Clock, UnixTime},
    dnssec::denial::Denial,
    wire::Name,
};

/// The status of all zones, or of one.
pub(super) fn of(server: &Server, zone: Option<&Name>) -> Result<Status, Refusal> {
    let judgement = server.clock.judge();
    let held = server.held.load();
    let shown: Vec<(&Name, &HeldZone)> = match zone {
        None => held.iter().map(|(name, zone)| (name, &**zone)).collect(),
        Some(zone) => {
            let (name, held) = held.get_key_value(zone).ok_or_else(|| unknown(zone))?;
            vec![(name, held)]
        }
    };
    let mut warnings = Vec::new();
    let of = |zone: Option<&Name>| zone.map(ToString::to_string);
    let mut warn = |zone: Option<&Name>, what: String| {
        warnings.push(Warning {
            zone: of(zone),
            what,
            about: None,
        });
    };
    if let Some(fault) = &judgement.fault {
        warn(
            None,
            format!("{fault}; set the clock, or if it is right: countersign accept clock"),
        );
    }
    for problem in server.config_problems.load().iter() {
        warn(
            None,
            format!("the configuration file could not be taken: {problem}"),
        );
    }
    for (name, zone) in &shown {
        for what in zone.problems().into_iter().chain(zone.warnings()) {
            warn(Some(name), what);
        }
        for what in server
            .sources
            .warnings(name)
            .into_iter()
            .chain(server.peers.warnings(name))
            .chain(server.floods.warning(name))
        {
            warn(Some(name), what);
        }
    }
    let of_zones = shown.iter().flat_map(|(name, _)| {
        let of_zone = server.plans.warnings(name).into_iter();
        of_zone.map(|warned| (Some(*name), warned))
    });
    let of_all = server.plans.warnings_of_all().into_iter();
    warnings.extend(
        of_zones
            .chain(of_all.map(|warned| (None, warned)))
            .map(|(zone, warned)| Warning {
                zone: of(zone),
                what: warned.what,
                about: Some(warned.about),
            }),
    );
    Ok(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started: server.started.0,
        uptime_seconds: server.clock.steady().saturating_sub(server.started.1).as_secs(),
        now: judgement.trusted,
        clock_fault: judgement.fault.map(|fault| fault.to_string()),
        listen: server.listen.clone(),
        zones: shown
            .iter()
            .map(|(name, zone)| zone_status(server, name, zone, judgement.trusted))
            .collect(),
        counters: server.engine.totals(),
        transports: server.transports.get().and_then(|count| count.0()),
        warnings,
        alarms: server.monitor.standing(zone),
    })
}

fn zone_status(server: &Server, name: &Name, held: &HeldZone, now: UnixTime) -> ZoneStatus {
    let mut status = ZoneStatus {
        origin: name.to_string(),
        file: held.settings.source.file().map(ToOwned::to_owned),
        content: server.sources.status(held),
        failed: None,
        serial: None,
        names: 0,
        records: 0,
        denial: word(held.settings.denial).to_owned(),
        overload: String::new(),
        flooded_since: server.floods.since(name),
        signature_validity_seconds: 0,
        providers: held.settings.providers.clone(),
        plan: server.plans.status(name),
        keys: Vec::new(),
        signatures: Default::default(),
        monitor: server.monitor.status(name),
        observed: observed(server, name, held, now),
    };
    match held.served.content() {
        Err(why) => status.failed = Some(why.to_owned()),
        Ok(content) => {
            status.serial = Some(content.zone().serial());
            status.names = content.zone().node_count();
            status.records = content.zone().record_count();
            status.denial = word(content.denial()).to_owned();
            status.overload = content.beyond().to_string();
            status.signature_validity_seconds = content.validity().lifetime().as_secs();
            let keys = content.keys();
            let all = keys.published().iter().chain(keys.unpublished());
            status.keys = all.map(at_work).collect();
            status.signatures = content.signature_state(now);
        }
    }
    status
}

fn observed(server: &Server, name: &Name, held: &HeldZone, now: UnixTime) -> Option<ObservedStatus> {
    let bounds = observations::bounds(&server.config.load(), &held.settings);
    server.observations.status(name, now, bounds)
}

fn word(denial: Denial) -> &'static str {
    match denial {
        Denial::Compact => "compact",
        Denial::Nsec => "nsec",
        Denial::Nsec3 => "nsec3",
    }
}
