//! A server in this process whose budget of synthesised signatures is spent, and stays so: its steady time passes only
//! when a test says so. So what it answers in a flood can be judged without one.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use countersign::{
    answer::{Beyond, Engine, EngineSettings, ServedZone, ZonePolicy, counters::Totals},
    clock::{Clock as _, SimulatedClock, SystemClock},
    dnssec::{algorithm::DigestType, keyset::KeySet},
    serve::{Listeners, Running, Settings},
    wire::Name,
};

use super::{
    client::ask_all,
    engine::{keys, zone},
    message::Query,
};

/// Signatures a second: more in half a second than the awkward zone has names.
const RATE: u32 = 4_000;

/// The server.
pub struct Flooded {
    pub address: SocketAddr,
    apex: Name,
    keys: Arc<KeySet>,
    engine: Arc<Engine>,
    clock: Arc<SimulatedClock>,
    running: Option<Running>,
    runtime: tokio::runtime::Runtime,
}

impl Flooded {
    /// A server of a zone, not yet flooded.
    pub fn new(apex: &str, text: &[u8]) -> Self {
        let apex: Name = apex.parse().unwrap();
        let clock = Arc::new(SimulatedClock::new(SystemClock::default().now()));
        let settings = EngineSettings {
            synthesis_rate: Some(RATE),
            ..EngineSettings::default()
        };
        let engine = Engine::new(settings, clock.clone());
        let keys = keys(apex.as_ref());
        let zone = zone(apex.as_ref(), text);
        let policy = ZonePolicy::default();
        let served = ServedZone::new(&zone, keys.clone(), &policy, clock.now(), None).unwrap();
        assert_eq!(served.content().unwrap().beyond(), Beyond::Ranges);
        engine.publish(vec![Arc::new(served)]);
        // One thread, for each has a budget of its own.
        let transports = Settings {
            udp_threads: 1,
            tcp_threads: 1,
            ..Settings::default()
        };
        let listeners = Listeners::bind(&[SocketAddr::from(([127, 0, 0, 1], 0))], transports).unwrap();
        let address = listeners.addresses()[0];
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            address,
            apex,
            keys,
            running: Some(listeners.run(&engine).unwrap()),
            engine,
            clock,
            runtime,
        }
    }

    /// Asks for names that are not there until the budget is spent and the answers are ranges.
    pub fn flood(&self) {
        let mut round = 0;
        while self.totals().over_budget + self.totals().ranges == 0 {
            let asked = |number| Query::signed(&format!("flood-{round}-{number}.{}", self.apex), "A");
            ask_all(self.address, &(0..1_000).map(asked).collect::<Vec<_>>());
            round += 1;
        }
        let zones = self.engine.zones();
        assert!(zones.iter().any(|zone| zone.content().unwrap().look_for_flood()));
        // Room for every exact NSEC, and too little for calm.
        self.pass(Duration::from_millis(499));
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    pub fn totals(&self) -> Totals {
        self.engine.totals()
    }

    /// The DS record that a resolver's trust rests on.
    pub fn ds(&self) -> String {
        let line = |rdata: &[u8]| {
            let tag = u16::from_be_bytes([rdata[0], rdata[1]]);
            let digest: String = rdata[4..].iter().map(|octet| format!("{octet:02X}")).collect();
            format!(
                "{} 3600 IN DS {tag} {} {} {digest}\n",
                self.apex, rdata[2], rdata[3]
            )
        };
        let records = self.keys.ds(self.apex.as_ref(), DigestType::Sha256);
        records.iter().map(|rdata| line(rdata)).collect()
    }
}

impl Drop for Flooded {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop(Duration::from_secs(2)));
        }
    }
}
