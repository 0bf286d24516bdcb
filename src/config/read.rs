//! Reading a TOML table into settings: each setting is a documented field with its default, unknown keys are
//! refused with the nearest known one, and reading goes on after a problem so that all are found.
//!
//! serde's derive stops at its first error and knows no positions of keys that are absent, so the tables are
//! walked here; the text itself is parsed by the `toml` crate.

use super::problem::Position;
use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A value, and where it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At<T> {
    pub value: T,
    pub at: Position,
}

/// What the reference says of one setting.
pub(super) struct Field {
    pub name: &'static str,
    pub doc: &'static [&'static str],
    /// What may be written, in words.
    pub wanted: fn() -> String,
    /// Whether it is a list.
    pub list: bool,
    /// The default as it would be written; `None` when the setting must be there.
    pub default: Option<fn() -> String>,
    /// The settings of the table that this setting is.
    pub inner: &'static [Field],
}

/// Collects what is found while one text is read.
pub(super) struct Reader<'t> {
    text: &'t [u8],
    /// Set when the text is broken: what seems to be absent may only be unreadable.
    pub forgive_absence: bool,
    pub problems: Vec<(Position, String)>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self {
            text,
            forgive_absence: false,
            problems: Vec::new(),
        }
    }

    pub(super) fn position(&self, offset: usize) -> Position {
        Position::of_offset(self.text, offset)
    }

    pub(super) fn problem(&mut self, offset: usize, what: impl Into<String>) {
        let at = self.position(offset);
        self.problems.push((at, what.into()));
    }

    /// Reports that `value` is not what `T` wants.
    pub(super) fn wrong<T: Value>(&mut self, value: &Spanned<DeValue<'_>>) -> Option<T> {
        let found = match value.get_ref() {
            DeValue::String(text) => format!("\"{}\"", text.escape_debug()),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Datetime(_) => "a date".to_owned(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        };
        self.problem(
            value.span().start,
            format!("expected {}, found {found}", T::wanted()),
        );
        None
    }

    /// Refuses the keys of `table` that are not among `fields`.
    pub(super) fn refuse_unknown(&mut self, table: &DeTable<'_>, fields: &[Field]) {
        for (key, _) in table.iter() {
            let name = key.get_ref();
            if fields.iter().any(|field| field.name == name) {
                continue;
            }
            let nearest = fields
                .iter()
                .map(|field| (edit_distance(name, field.name), field.name))
                .filter(|(distance, known)| *distance <= known.len().min(name.len()) / 3 + 1)
                .min();
            let advice = match nearest {
                Some((_, known)) => format!("did you mean `{known}`?"),
                None => {
                    let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
                    format!("known here: {}", names.join(", "))
                }
            };
            self.problem(
                key.span().start,
                format!("unknown setting `{}`; {advice}", name.escape_debug()),
            );
        }
    }

    /// Takes one setting out of `table`. `None` after a problem, which is then reported.
    pub(super) fn take<T: Value>(
        &mut self,
        table: &DeTable<'_>,
        table_start: usize,
        name: &str,
        default: Option<T>,
    ) -> Option<T> {
        match table.iter().find(|(key, _)| key.get_ref() == name) {
            Some((_, value)) => T::read(value, self),
            None => {
                if default.is_none() && !self.forgive_absence {
                    self.problem(table_start, format!("`{name}` is missing; give {}", T::wanted()));
                }
                default
            }
        }
    }
}

/// Something that can stand behind a setting's name.
pub(super) trait Value: Sized {
    /// Whether it is a list.
    const LIST: bool = false;
    /// The settings of the table that this is; none for a plain value.
    const INNER: &'static [Field] = &[];

    /// What may be written, in words: ends "expected …".
    fn wanted() -> String;

    /// Reads it; reports what is wrong with it and gives `None`.
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self>;

    /// As it would be written in the file.
    fn write(&self) -> String;
}

/// Declares a table of settings: the struct, how it is read, and what the reference says of it.
/// `name: Type = default,` may be absent from the file; `name: Type,` may not.
macro_rules! settings {
    (
        #[doc = $what:literal]
        $(#[$attribute:meta])*
        $visible:vis struct $struct:ident {
            $( $(#[doc = $doc:literal])+ $field:ident : $type:ty $(= $default:expr)?, )*
        }
    ) => {
        #[doc = $what]
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq)]
        $visible struct $struct {
            $( $(#[doc = $doc])+ pub $field: $type, )*
        }

        impl $crate::config::read::Value for $struct {
            const INNER: &'static [$crate::config::read::Field] = &[
                $( $crate::config::read::Field {
                    name: stringify!($field),
                    doc: &[$($doc),+],
                    wanted: <$type as $crate::config::read::Value>::wanted,
                    list: <$type as $crate::config::read::Value>::LIST,
                    default: settings!(@write $type $(, $default)?),
                    inner: <$type as $crate::config::read::Value>::INNER,
                }, )*
            ];

            fn wanted() -> String {
                "a table".to_owned()
            }

            fn read(
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                reader: &mut $crate::config::read::Reader<'_>,
            ) -> Option<Self> {
                let toml::de::DeValue::Table(table) = value.get_ref() else {
                    return reader.wrong(value);
                };
                $crate::config::read::read_table(table, value.span().start, reader)
            }

            fn write(&self) -> String {
                String::new()
            }
        }

        impl $crate::config::read::Section for $struct {
            fn read_fields(
                table: &toml::de::DeTable<'_>,
                start: usize,
                reader: &mut $crate::config::read::Reader<'_>,
            ) -> Option<Self> {
                $( let $field = reader.take::<$type>(
                    table, start, stringify!($field), settings!(@default $type $(, $default)?),
                ); )*
                Some(Self { $( $field: $field?, )* })
            }
        }
    };
    (@default $type:ty, $default:expr) => { Some::<$type>($default) };
    (@default $type:ty) => { None::<$type> };
    (@write $type:ty, $default:expr) => {
        Some(|| <$type as $crate::config::read::Value>::write(&$default))
    };
    (@write $type:ty) => { None };
}
pub(super) use settings;

/// A table of settings, as [`settings!`] declares it.
pub(super) trait Section: Value {
    /// Reads the fields; unknown keys are somebody else's business.
    fn read_fields(table: &DeTable<'_>, start: usize, reader: &mut Reader<'_>) -> Option<Self>;
}

/// Reads a table whose text starts at `start`, and refuses keys that it does not know.
pub(super) fn read_table<T: Section>(
    table: &DeTable<'_>,
    start: usize,
    reader: &mut Reader<'_>,
) -> Option<T> {
    reader.refuse_unknown(table, T::INNER);
    T::read_fields(table, start, reader)
}

/// The section that an absent table stands for: every setting has its default.
pub(super) fn defaults<T: Section>() -> T {
    let mut reader = Reader::new(b"");
    T::read_fields(&DeTable::new(), 0, &mut reader).expect("sections that may be absent have only defaults")
}

impl<T: Value> Value for At<T> {
    const LIST: bool = T::LIST;

    fn wanted() -> String {
        T::wanted()
    }

    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        let at = reader.position(value.span().start);
        T::read(value, reader).map(|value| Self { value, at })
    }

    fn write(&self) -> String {
        self.value.write()
    }
}

impl<T: Value> Value for Option<T> {
    const INNER: &'static [Field] = T::INNER;
    const LIST: bool = T::LIST;

    fn wanted() -> String {
        T::wanted()
    }

    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        T::read(value, reader).map(Some)
    }

    fn write(&self) -> String {
        self.as_ref().map_or(String::new(), T::write)
    }
}

impl<T: Value> Value for Vec<T> {
    const INNER: &'static [Field] = T::INNER;
    const LIST: bool = true;

    fn wanted() -> String {
        format!("a list, each {}", T::wanted())
    }

    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Array(items) = value.get_ref() else {
            let found = if T::INNER.is_empty() {
                "brackets around it"
            } else {
                "a table in double brackets"
            };
            reader.problem(value.span().start, format!("expected a list: write {found}"));
            return None;
        };
        let read: Vec<Option<T>> = items.iter().map(|item| T::read(item, reader)).collect();
        read.into_iter().collect()
    }

    fn write(&self) -> String {
        format!("[{}]", self.iter().map(T::write).collect::<Vec<_>>().join(", "))
    }
}

impl Value for bool {
    fn wanted() -> String {
        "true or false".to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        value.get_ref().as_bool().or_else(|| reader.wrong(value))
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Value for String {
    fn wanted() -> String {
        "text in double quotes".to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        value
            .get_ref()
            .as_str()
            .map(str::to_owned)
            .or_else(|| reader.wrong(value))
    }

    fn write(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Value for PathBuf {
    fn wanted() -> String {
        "a path in double quotes".to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        match value.get_ref().as_str() {
            Some(text) if !text.is_empty() && !text.contains('\0') => Some(Path::new(text).to_owned()),
            _ => reader.wrong(value),
        }
    }

    fn write(&self) -> String {
        format!("\"{}\"", self.display())
    }
}

impl Value for SocketAddr {
    fn wanted() -> String {
        "an address and a port, as \"192.0.2.1:53\" or \"[2001:db8::1]:53\"".to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        let read = value.get_ref().as_str().and_then(|text| text.parse().ok());
        read.or_else(|| reader.wrong(value))
    }

    fn write(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Value for IpAddr {
    fn wanted() -> String {
        "an address, as \"192.0.2.1\" or \"2001:db8::1\"".to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        let read = value.get_ref().as_str().and_then(|text| text.parse().ok());
        read.or_else(|| reader.wrong(value))
    }

    fn write(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Value for crate::wire::Name {
    fn wanted() -> String {
        "a domain name, as \"example.com.\"".to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        let Some(text) = value.get_ref().as_str() else {
            return reader.wrong(value);
        };
        match text.parse() {
            Ok(name) => Some(name),
            Err(error) => {
                let what = format!("\"{}\" is not a domain name: {error}", text.escape_debug());
                reader.problem(value.span().start, what);
                None
            }
        }
    }

    fn write(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Value for Duration {
    fn wanted() -> String {
        "a time, as \"30s\", \"90m\", \"12h\", \"14d\" or \"2w\"".to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        value
            .get_ref()
            .as_str()
            .and_then(parse_duration)
            .or_else(|| reader.wrong(value))
    }

    fn write(&self) -> String {
        let seconds = self.as_secs();
        let (unit, letter) = UNITS
            .iter()
            .find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit))
            .unwrap_or(&(1, 's'));
        format!("\"{}{letter}\"", seconds / unit)
    }
}

const UNITS: [(u64, char); 5] = [(604_800, 'w'), (86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')];

/// Reads numbers with units, largest first or not: `1h30m`. A number alone has no unit, so it is refused.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut seconds = 0u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        let letter = rest[digits..].chars().next()?;
        let (unit, _) = UNITS
            .iter()
            .find(|(_, known)| *known == letter.to_ascii_lowercase())?;
        seconds = seconds.checked_add(number.checked_mul(*unit)?)?;
        rest = &rest[digits + letter.len_utf8()..];
    }
    Some(Duration::from_secs(seconds))
}

/// A whole number between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounded<const LOW: u64, const HIGH: u64>(pub u64);

impl<const LOW: u64, const HIGH: u64> Value for Bounded<LOW, HIGH> {
    fn wanted() -> String {
        format!("a whole number from {LOW} to {HIGH}")
    }

    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok());
        match number {
            Some(number) if (LOW..=HIGH).contains(&number) => Some(Self(number)),
            _ => reader.wrong(value),
        }
    }

    fn write(&self) -> String {
        self.0.to_string()
    }
}

/// Makes an enum of words a [`Value`].
macro_rules! words {
    ($enum:ty, $wanted:literal, { $($word:literal = $variant:expr,)* }) => {
        impl $crate::config::read::Value for $enum {
            fn wanted() -> String {
                $wanted.to_owned()
            }

            fn read(
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                reader: &mut $crate::config::read::Reader<'_>,
            ) -> Option<Self> {
                match value.get_ref().as_str() {
                    $( Some($word) => Some($variant), )*
                    _ => reader.wrong(value),
                }
            }

            fn write(&self) -> String {
                $( if *self == $variant { return concat!("\"", $word, "\"").to_owned(); } )*
                String::new()
            }
        }
    };
}
pub(super) use words;

/// How many letters must be changed, added, removed or swapped with a neighbour.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // A long key is no slip of the pen for any of ours, and must not cost its square.
    if a.len() > 64 {
        return usize::MAX;
    }
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let substitute = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut least = substitute.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_units() {
        for (text, seconds) in [
            ("30s", 30),
            ("1h30m", 5_400),
            ("2w", 1_209_600),
            ("14D", 1_209_600),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "30",
            "s",
            "1x",
            "1h30",
            "-1s",
            "99999999999999999999s",
            "9999999999999999999w",
            "1ſ",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        assert_eq!(Duration::from_secs(5_400).write(), "\"90m\"");
        assert_eq!(Duration::from_secs(0).write(), "\"0s\"");
    }

    #[test]
    fn distance_counts_slips() {
        for (a, b, distance) in [
            ("listen", "listen", 0),
            ("lisetn", "listen", 1),
            ("", "abc", 3),
            ("keys", "key", 1),
        ] {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
        }
    }
}
