//! Logs: on stderr, as text or as one JSON object a line; nothing for a single question at the default level.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, filter::Targets, fmt, layer::SubscriberExt, registry, util::SubscriberInitExt,
};

use crate::config::{LogFormat, LogLevel, LogSettings};

/// Starts logging. Our own lines from the level that is set, those of libraries when they warn.
pub(super) fn start(settings: &LogSettings) {
    let level = match settings.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let filter = Targets::new()
        .with_target("countersign", level)
        .with_default(level.min(LevelFilter::WARN));
    let lines = match settings.format {
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(io::stderr)
            .boxed(),
        LogFormat::Text => {
            let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            fmt::layer()
                .with_target(false)
                .with_ansi(colour)
                .with_writer(io::stderr)
                .boxed()
        }
    };
    // Only a test that runs two commands in one process finds a subscriber there already.
    let _ = registry().with(lines.with_filter(filter)).try_init();
}
