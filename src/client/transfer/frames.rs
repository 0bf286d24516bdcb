//! Messages out of a stream, each with its length in front (RFC 1035 §4.2.2).

/// Octets that came, and have not been taken as messages.
#[derive(Debug, Default)]
pub(super) struct Frames {
    octets: Vec<u8>,
    start: usize,
}

impl Frames {
    /// More octets. What is held stays below one message and one such chunk, when messages are taken in between.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.octets.drain(..self.start);
        self.start = 0;
        self.octets.extend_from_slice(chunk);
    }

    /// The next message, when all of it is here.
    pub fn next(&mut self) -> Option<&[u8]> {
        let (length, rest) = self.octets[self.start..].split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        if rest.len() < length {
            return None;
        }
        let begin = self.start + 2;
        self.start = begin + length;
        Some(&self.octets[begin..self.start])
    }
}
