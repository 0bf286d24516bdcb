//! The configuration: the file as people write it, turned into each layer's own settings.
//!
//! Everything that is wrong is reported at once, each problem with file, line, column and what to do. The
//! `--zone` form of the command line gives the same [`Config`] without a file, so the server knows one way
//! to be told things.

mod arguments;
mod differing;
mod file;
mod listen;
mod problem;
mod provider;
mod read;
mod reference;
mod resolve;
mod settings;
mod source;
mod vantage;

pub use arguments::{Arguments, from_arguments};
pub use file::{
    LogFormat, LogLevel, LogSettings, ProviderKind, ServerAt, SigningSettings, TcpSettings, UdpSettings,
};
pub use problem::{Position, Problem};
pub use read::parse_duration as duration;
pub use reference::reference;
pub use resolve::{load, parse};
pub use settings::{Config, MonitorSettings, ProviderSettings, Spot, ZoneSettings, default_state};
pub use source::{ContentSource, TsigSettings};
