//! Domain names in uncompressed wire form (RFC 1035 §3.1): at most 255 octets, labels of at most 63.
//!
//! | type | owns | letter case |
//! |---|---|---|
//! | [`Name`] | heap | kept; compares without it |
//! | [`NameRef`] | nothing | kept; compares without it |
//! | [`LowerName`] | a buffer on the stack | lower-cased; for lookups on the hot path |
//!
//! Equality and hashing ignore the case of ASCII letters (RFC 4343); the order is the canonical one
//! (RFC 4034 §6.1).

use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

/// The longest name, in octets, the root's zero octet included.
pub const MAX_NAME: usize = 255;
/// The longest label, in octets.
pub const MAX_LABEL: usize = 63;

/// Why something is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A label longer than 63 octets.
    #[error("a label is longer than 63 octets")]
    LongLabel,
    /// A name longer than 255 octets.
    #[error("the name is longer than 255 octets")]
    LongName,
    /// Two dots in a row, or a dot in front.
    #[error("a label is empty; write a dot only between labels and at the end")]
    EmptyLabel,
    /// A backslash that is not followed by a character or by three digits up to 255.
    #[error("a backslash needs a character or three digits up to 255 behind it")]
    BadEscape,
    /// A relative name where there is no origin to append.
    #[error("the name is relative and there is no origin; end it with a dot")]
    Relative,
    /// Octets that end within a label, or go on after the root.
    #[error("the octets are not one whole name")]
    Truncated,
    /// A compression pointer where none is allowed, or a pointer that does not point backwards.
    #[error("a compression pointer where none may be, or one that does not point backwards")]
    BadPointer,
}

/// A name in wire form that borrows its octets; always a whole, valid, uncompressed name.
#[derive(Clone, Copy)]
pub struct NameRef<'a>(&'a [u8]);

/// A name in wire form that owns its octets.
#[derive(Clone)]
pub struct Name(Box<[u8]>);

/// A lower-cased name in a buffer of its own, without the heap.
#[derive(Clone, Copy)]
pub struct LowerName {
    length: u8,
    octets: [u8; MAX_NAME],
}

impl<'a> NameRef<'a> {
    /// The root.
    pub const ROOT: NameRef<'static> = NameRef(&[0]);

    /// Takes octets that are exactly one uncompressed name.
    ///
    /// # Errors
    /// Says what is wrong with them.
    pub fn from_wire(octets: &'a [u8]) -> Result<Self, NameError> {
        let (name, rest) = Self::split_from(octets)?;
        if rest.is_empty() {
            Ok(name)
        } else {
            Err(NameError::Truncated)
        }
    }

    /// Splits one uncompressed name off the front of `octets`.
    ///
    /// # Errors
    /// When there is no whole name in front, or a compression pointer in it.
    pub fn split_from(octets: &'a [u8]) -> Result<(Self, &'a [u8]), NameError> {
        let mut at = 0;
        loop {
            let length = usize::from(*octets.get(at).ok_or(NameError::Truncated)?);
            if length > MAX_LABEL {
                return Err(NameError::BadPointer);
            }
            at += 1 + length;
            if at > MAX_NAME {
                return Err(NameError::LongName);
            }
            if length == 0 {
                return Ok((Self(&octets[..at]), &octets[at..]));
            }
        }
    }

    /// Wraps octets that are known to be one whole name: stored ones, or a suffix of a name at a label's start.
    pub(crate) fn from_trusted(octets: &'a [u8]) -> Self {
        debug_assert!(Self::from_wire(octets).is_ok(), "not a name: {octets:02x?}");
        Self(octets)
    }

    /// The octets.
    pub fn as_wire(self) -> &'a [u8] {
        self.0
    }

    /// Octets, the root's included: 1 to 255.
    #[expect(clippy::len_without_is_empty, reason = "a name is never empty")]
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether this is the root.
    pub fn is_root(self) -> bool {
        self.0.len() == 1
    }

    /// The labels from left to right, the root's empty one not included.
    pub fn labels(self) -> Labels<'a> {
        Labels { rest: self.0 }
    }

    /// How many labels, the root's not counted.
    pub fn label_count(self) -> usize {
        self.labels().count()
    }

    /// The RRSIG Labels field: without the root and without a leftmost `*` (RFC 4034 §3.1.3).
    pub fn rrsig_labels(self) -> u8 {
        let count = self.label_count();
        (if self.is_wildcard() { count - 1 } else { count }) as u8
    }

    /// Whether the leftmost label is `*`.
    pub fn is_wildcard(self) -> bool {
        self.0.starts_with(&[1, b'*'])
    }

    /// The name without its leftmost label; `None` for the root.
    pub fn parent(self) -> Option<NameRef<'a>> {
        let length = usize::from(self.0[0]);
        (length > 0).then(|| Self(&self.0[1 + length..]))
    }

    /// The last `labels` labels. `None` when the name has fewer.
    pub fn suffix(self, labels: usize) -> Option<NameRef<'a>> {
        let mut skip = self.label_count().checked_sub(labels)?;
        let mut name = self;
        while skip > 0 {
            name = name.parent()?;
            skip -= 1;
        }
        Some(name)
    }

    /// Whether this is `ancestor` or below it.
    pub fn is_at_or_below(self, ancestor: NameRef<'_>) -> bool {
        let Some(extra) = self.0.len().checked_sub(ancestor.0.len()) else {
            return false;
        };
        if !self.0[extra..].eq_ignore_ascii_case(ancestor.0) {
            return false;
        }
        // The octets agree; they must also begin at a label.
        let mut at = 0;
        while at < extra {
            at += 1 + usize::from(self.0[at]);
        }
        at == extra
    }

    /// Whether this is below `ancestor` and not that name itself.
    pub fn is_below(self, ancestor: NameRef<'_>) -> bool {
        self.0.len() > ancestor.0.len() && self.is_at_or_below(ancestor)
    }

    /// A copy on the heap, case kept.
    pub fn to_owned(self) -> Name {
        Name(self.0.into())
    }

    /// A lower-cased copy on the heap.
    pub fn to_lowercase(self) -> Name {
        Name(self.0.to_ascii_lowercase().into())
    }

    /// A lower-cased copy on the stack. Length octets are below 64, so none is taken for a letter.
    pub fn to_lower(self) -> LowerName {
        let mut lower = LowerName {
            length: self.0.len() as u8,
            octets: [0; MAX_NAME],
        };
        for (to, from) in lower.octets.iter_mut().zip(self.0) {
            *to = from.to_ascii_lowercase();
        }
        lower
    }

    /// `label` in front of this name.
    ///
    /// # Errors
    /// When the label or the name gets too long.
    pub fn prepend(self, label: &[u8]) -> Result<Name, NameError> {
        if label.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        if label.len() > MAX_LABEL {
            return Err(NameError::LongLabel);
        }
        if self.0.len() + 1 + label.len() > MAX_NAME {
            return Err(NameError::LongName);
        }
        let mut octets = Vec::with_capacity(self.0.len() + 1 + label.len());
        octets.push(label.len() as u8);
        octets.extend_from_slice(label);
        octets.extend_from_slice(self.0);
        Ok(Name(octets.into()))
    }

    /// The canonical order (RFC 4034 §6.1): labels compared from the right, as lower-cased octet strings.
    pub fn canonical_cmp(self, other: NameRef<'_>) -> Ordering {
        let (mine, my_count) = self.label_starts();
        let (theirs, their_count) = other.label_starts();
        for back in 1..=my_count.min(their_count) {
            let (a, b) = (
                self.label_at(mine[my_count - back]),
                other.label_at(theirs[their_count - back]),
            );
            let order = compare_labels(a, b);
            if order != Ordering::Equal {
                return order;
            }
        }
        my_count.cmp(&their_count)
    }

    fn label_starts(self) -> ([u8; 128], usize) {
        let mut starts = [0; 128];
        let (mut count, mut at) = (0, 0);
        while self.0[at] != 0 {
            starts[count] = at as u8;
            count += 1;
            at += 1 + usize::from(self.0[at]);
        }
        (starts, count)
    }

    fn label_at(self, start: u8) -> &'a [u8] {
        let start = usize::from(start);
        &self.0[start + 1..start + 1 + usize::from(self.0[start])]
    }
}

fn compare_labels(a: &[u8], b: &[u8]) -> Ordering {
    for (x, y) in a.iter().zip(b) {
        let order = x.to_ascii_lowercase().cmp(&y.to_ascii_lowercase());
        if order != Ordering::Equal {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

/// The labels of a name from left to right.
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(*self.rest.first()?);
        if length == 0 {
            return None;
        }
        let (label, rest) = self.rest[1..].split_at(length);
        self.rest = rest;
        Some(label)
    }
}

impl Name {
    /// The root.
    pub fn root() -> Self {
        Self(Box::new([0]))
    }

    /// Takes octets that are exactly one uncompressed name.
    ///
    /// # Errors
    /// Says what is wrong with them.
    pub fn from_wire(octets: &[u8]) -> Result<Self, NameError> {
        NameRef::from_wire(octets).map(NameRef::to_owned)
    }

    /// Reads a name as master files write it: `\DDD` and `\X` escapes, `@` for the origin, relative names
    /// completed by `origin`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &[u8], origin: Option<NameRef<'_>>) -> Result<Self, NameError> {
        let mut buffer = [0; MAX_NAME];
        let length = parse_into(text, origin, &mut buffer)?;
        Ok(Self(buffer[..length].into()))
    }

    /// Borrows it.
    pub fn as_ref(&self) -> NameRef<'_> {
        NameRef(&self.0)
    }

    /// The octets.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }
}

/// Reads a name as master files write it into `buffer`; gives its length in octets. See [`Name::parse`].
///
/// # Errors
/// Says what is wrong with it.
pub fn parse_into(
    text: &[u8],
    origin: Option<NameRef<'_>>,
    buffer: &mut [u8; MAX_NAME],
) -> Result<usize, NameError> {
    if text == b"." {
        buffer[0] = 0;
        return Ok(1);
    }
    if text == b"@" {
        let origin = origin.ok_or(NameError::Relative)?;
        buffer[..origin.len()].copy_from_slice(origin.0);
        return Ok(origin.len());
    }
    let (mut start, mut at, mut read) = (0, 1, 0);
    while read < text.len() {
        let mut octet = text[read];
        read += 1;
        match octet {
            b'.' => {
                end_label(buffer, start, at)?;
                start = at;
                at += 1;
                continue;
            }
            b'\\' => {
                let (value, used) = unescape(&text[read..])?;
                octet = value;
                read += used;
            }
            _ => {}
        }
        // One octet is kept for the root.
        if at >= MAX_NAME - 1 {
            return Err(NameError::LongName);
        }
        buffer[at] = octet;
        at += 1;
    }
    if start + 1 == at {
        // The text ended with a dot, or was empty.
        if start == 0 {
            return Err(NameError::EmptyLabel);
        }
        buffer[start] = 0;
        return Ok(at);
    }
    end_label(buffer, start, at)?;
    let origin = origin.ok_or(NameError::Relative)?;
    if at + origin.len() > MAX_NAME {
        return Err(NameError::LongName);
    }
    buffer[at..at + origin.len()].copy_from_slice(origin.0);
    Ok(at + origin.len())
}

fn end_label(buffer: &mut [u8; MAX_NAME], start: usize, at: usize) -> Result<(), NameError> {
    match at - start - 1 {
        0 => Err(NameError::EmptyLabel),
        length if length > MAX_LABEL => Err(NameError::LongLabel),
        length => {
            buffer[start] = length as u8;
            Ok(())
        }
    }
}

/// What follows a backslash: the octet, and how many characters it took (RFC 1035 §5.1).
///
/// # Errors
/// [`NameError::BadEscape`] when it is neither a character nor three digits up to 255.
pub fn unescape(rest: &[u8]) -> Result<(u8, usize), NameError> {
    match rest {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
            let value = u32::from(a - b'0') * 100 + u32::from(b - b'0') * 10 + u32::from(c - b'0');
            u8::try_from(value)
                .map(|octet| (octet, 3))
                .map_err(|_| NameError::BadEscape)
        }
        [b'0'..=b'9', ..] | [] => Err(NameError::BadEscape),
        [character, ..] => Ok((*character, 1)),
    }
}

impl LowerName {
    /// Borrows it.
    pub fn as_ref(&self) -> NameRef<'_> {
        NameRef(&self.octets[..usize::from(self.length)])
    }

    /// Takes octets that are known to be one whole lower-cased name.
    pub(crate) fn from_trusted(octets: &[u8]) -> Self {
        NameRef::from_trusted(octets).to_lower()
    }
}

impl fmt::Debug for LowerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_ref(), f)
    }
}

impl fmt::Display for NameRef<'_> {
    /// As master files write it: absolute, with the escapes that BIND and ldns print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        if self.is_root() {
            return f.write_str(".");
        }
        for label in self.labels() {
            for &octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                        f.write_char('\\')?;
                        f.write_char(octet as char)?;
                    }
                    0x21..=0x7e => f.write_char(octet as char)?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
            f.write_char('.')?;
        }
        Ok(())
    }
}

impl fmt::Debug for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for NameRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(other.0)
    }
}

impl Eq for NameRef<'_> {}

impl Hash for NameRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for octet in self.0 {
            state.write_u8(octet.to_ascii_lowercase());
        }
    }
}

impl PartialOrd for NameRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for NameRef<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.canonical_cmp(*other)
    }
}

impl FromStr for Name {
    type Err = NameError;

    /// Reads a name; one without a final dot is taken as absolute, as on a command line.
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text.as_bytes(), Some(NameRef::ROOT))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl serde::Serialize for Name {
    /// As its presentation form.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_ref().cmp(&other.as_ref())
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn canonical_order_is_that_of_rfc_4034_6_1() {
        let sorted = [
            "example",
            "a.example",
            "yljkjljk.a.example",
            "Z.a.example",
            "zABC.a.EXAMPLE",
            "z.example",
            "\\001.z.example",
            "*.z.example",
            "\\200.z.example",
        ];
        let mut names: Vec<Name> = sorted.iter().rev().map(|text| name(text)).collect();
        names.sort();
        assert_eq!(names, sorted.map(name));
    }

    #[test]
    fn text_is_read_as_master_files_write_it() {
        let origin = name("example.");
        let read =
            |text: &str| Name::parse(text.as_bytes(), Some(origin.as_ref())).map(|name| name.to_string());
        assert_eq!(read("@").as_deref(), Ok("example."));
        assert_eq!(read("www").as_deref(), Ok("www.example."));
        assert_eq!(read("a\\.b.c.").as_deref(), Ok("a\\.b.c."));
        assert_eq!(read("\\000\\ x.").as_deref(), Ok("\\000\\032x."));
        assert_eq!(read(".").as_deref(), Ok("."));
        assert_eq!(read("a..b"), Err(NameError::EmptyLabel));
        assert_eq!(read(".a"), Err(NameError::EmptyLabel));
        assert_eq!(read(""), Err(NameError::EmptyLabel));
        assert_eq!(read("\\256"), Err(NameError::BadEscape));
        assert_eq!(read("\\2"), Err(NameError::BadEscape));
        assert_eq!(read("a\\"), Err(NameError::BadEscape));
        assert_eq!(read(&"a".repeat(64)), Err(NameError::LongLabel));
        assert_eq!(Name::parse(b"www", None), Err(NameError::Relative));
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}.", "b".repeat(61));
        assert_eq!(name(&longest).as_wire().len(), MAX_NAME);
        assert_eq!(
            longest.replace("bb", "bbb").parse::<Name>(),
            Err(NameError::LongName)
        );
        assert_eq!(name(&"a.".repeat(127)).as_ref().label_count(), 127);
        assert_eq!("a.".repeat(128).parse::<Name>(), Err(NameError::LongName));
    }

    #[test]
    fn ancestors_are_found_at_label_borders_only() {
        assert!(name("a.b.").as_ref().is_at_or_below(name("B.").as_ref()));
        assert!(!name("ab.").as_ref().is_at_or_below(name("b.").as_ref()));
        // \001b ends in the octets of "b.", and is another name all the same.
        assert!(!name("\\001b.").as_ref().is_at_or_below(name("b.").as_ref()));
        assert!(name("b.").as_ref().is_at_or_below(NameRef::ROOT));
        assert!(!name("b.").as_ref().is_below(name("b.").as_ref()));
        assert_eq!(name("*.w.example.").as_ref().rrsig_labels(), 2);
        assert_eq!(name("a.b.c.").as_ref().suffix(2), Some(name("b.c.").as_ref()));
    }

    /// Any valid name, of any octets.
    pub(crate) fn any_name() -> impl Strategy<Value = Name> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 1..=20), 0..8).prop_map(|labels| {
            let mut octets = Vec::new();
            for label in labels {
                octets.push(label.len() as u8);
                octets.extend_from_slice(&label);
            }
            octets.push(0);
            Name::from_wire(&octets).unwrap()
        })
    }

    proptest! {
        #[test]
        fn print_then_parse_gives_the_same_octets(name in any_name()) {
            let again: Name = name.to_string().parse().unwrap();
            prop_assert_eq!(again.as_wire(), name.as_wire());
        }

        #[test]
        fn any_octets_are_a_name_or_an_error(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok((name, rest)) = NameRef::split_from(&octets) {
                prop_assert_eq!(name.len() + rest.len(), octets.len());
            }
        }

        #[test]
        fn order_agrees_with_equality(a in any_name(), b in any_name()) {
            prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert_eq!(a.cmp(&a.as_ref().to_lowercase()), Ordering::Equal);
        }
    }
}
