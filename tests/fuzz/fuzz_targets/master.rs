//! Any octets into the reader of master files, and what it reads into the builder of zones.
#![no_main]

use countersign::{
    wire::{Name, Ttl},
    zone::{
        ZoneBuilder,
        master::{self, Source},
    },
};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let apex: Name = "example.".parse().expect("a name");
    let mut builder = ZoneBuilder::new(apex.as_ref(), Ttl::new(604_800));
    let source = Source::Text { name: "fuzz", octets };
    let read = master::read(&source, apex.as_ref(), &mut |entry| builder.add(&entry));
    for error in &read.errors {
        let _ = error.to_string();
    }
    if read.errors.is_empty() {
        let _ = builder.finish();
    }
});
