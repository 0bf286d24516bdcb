//! Any octets into the engine, in all three ways of denial, over both transports.
#![no_main]

#[path = "../../suite/harness/engine.rs"]
mod engine;
#[allow(dead_code)]
#[path = "../../suite/harness/message.rs"]
mod message;

use std::cell::RefCell;

thread_local! {
    static ENGINES: RefCell<engine::Engines> = RefCell::default();
}

libfuzzer_sys::fuzz_target!(|packet: &[u8]| {
    ENGINES.with_borrow_mut(|engines| {
        engines.send(packet);
        assert!(engines.totals().iter().all(|totals| totals.panics == 0));
    });
});
