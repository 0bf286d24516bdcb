//! Sends every datagram back: what a response costs before any DNS. The floor of `benches/peers.py`.

use countersign::{
    answer::{Effort, Outcome, Peer, Responder, Work},
    serve::{Listeners, Settings},
};

#[derive(Clone)]
struct Echo;

impl Responder for Echo {
    type Worker = Self;

    fn worker(&self) -> Self {
        Self
    }
}

impl Work for Echo {
    fn begin_batch(&mut self) {}

    fn answer(&mut self, query: &[u8], _: Peer, _: Effort, out: &mut Vec<u8>) -> Outcome {
        out.clear();
        out.extend_from_slice(query);
        if let Some(flags) = out.get_mut(2) {
            *flags |= 0x80;
        }
        Outcome::Answered
    }

    fn end_batch(&mut self) {}
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args()
        .nth(1)
        .ok_or("usage: echo PORT [THREADS]")?
        .parse::<u16>()?;
    let udp_threads = std::env::args().nth(2).map_or(Ok(1), |threads| threads.parse())?;
    let settings = Settings {
        udp_threads,
        ..Settings::default()
    };
    let listeners = Listeners::bind(&[([127, 0, 0, 1], port).into()], settings)?;
    let _running = listeners.run(&Echo)?;
    loop {
        std::thread::park();
    }
}
