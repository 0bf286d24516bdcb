//! Compact denial of existence (RFC 9824): one NSEC at the name that was asked, made when it is asked.
//!
//! | question | rcode with DO, without CO | NSEC bitmap | section |
//! |---|---|---|---|
//! | no such name | NOERROR | RRSIG NSEC NXNAME | 3.1 |
//! | name, not type | NOERROR | the types this server answers, RRSIG NSEC | 3.2, 3.3 |
//! | unsigned referral | NOERROR | NS RRSIG NSEC, next name beside the cut | 3.4 |

use crate::wire::{
    LowerName, NameRef,
    name::{MAX_LABEL, MAX_NAME},
};

/// The name that follows `name` at once in canonical order: `\000.` in front of it (RFC 9824 §3.1) where 255
/// octets allow that, otherwise the next one beside it (RFC 4471 §3.1.2).
pub fn next_name(name: NameRef<'_>, apex: NameRef<'_>) -> LowerName {
    if name.len() + 2 <= MAX_NAME {
        let mut buffer = [0; MAX_NAME];
        buffer[0] = 1;
        buffer[2..2 + name.len()].copy_from_slice(name.as_wire());
        return LowerName::from_trusted(&buffer[..2 + name.len()]);
    }
    next_beside(name, apex)
}

/// The first name after `name` that is not below it: a zero octet behind its first label where that fits
/// (RFC 9824 §3.4), otherwise the label's last octet counted up, passing over `A` to `Z`; the apex when there is
/// none in the zone (RFC 4471 §3.1.2).
pub fn next_beside(name: NameRef<'_>, apex: NameRef<'_>) -> LowerName {
    let mut name = name;
    loop {
        if name == apex {
            return apex.to_lower();
        }
        let wire = name.as_wire();
        let length = usize::from(wire[0]);
        let (label, rest) = (&wire[1..=length], &wire[1 + length..]);
        if length < MAX_LABEL && wire.len() < MAX_NAME {
            let mut grown = [0; MAX_LABEL];
            grown[..length].copy_from_slice(label);
            return join(&grown[..=length], rest);
        }
        // 0xff has no octet after it: the label is cut short there, and what is left counted up.
        if let Some(last) = label.iter().rposition(|&octet| octet != 0xff) {
            let mut counted = [0; MAX_LABEL];
            counted[..=last].copy_from_slice(&label[..=last]);
            let octet = counted[last];
            counted[last] = if octet == b'@' { b'[' } else { octet + 1 };
            return join(&counted[..=last], rest);
        }
        match name.parent() {
            Some(parent) => name = parent,
            None => return apex.to_lower(),
        }
    }
}

fn join(label: &[u8], rest: &[u8]) -> LowerName {
    let mut buffer = [0; MAX_NAME];
    buffer[0] = label.len() as u8;
    buffer[1..=label.len()].copy_from_slice(label);
    let end = 1 + label.len() + rest.len();
    buffer[1 + label.len()..end].copy_from_slice(rest);
    LowerName::from_trusted(&buffer[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Name;

    fn next(name: &str, function: fn(NameRef<'_>, NameRef<'_>) -> LowerName) -> String {
        let (name, apex): (Name, Name) = (name.parse().unwrap(), "example.com.".parse().unwrap());
        let name = name.as_ref().to_lowercase();
        let next = function(name.as_ref(), apex.as_ref());
        NameRef::from_wire(next.as_ref().as_wire()).expect("a whole name");
        next.as_ref().to_string()
    }

    #[test]
    fn the_names_of_rfc_9824() {
        assert_eq!(next("a.example.com.", next_name), "\\000.a.example.com.");
        assert_eq!(next("sub.example.com.", next_beside), "sub\\000.example.com.");
    }

    #[test]
    fn names_at_the_limits_have_a_next_one_too() {
        let full = "a".repeat(63);
        // 255 octets less 13 of the apex and three labels of 64: 50 are left, 49 of them the label's own.
        let longest = format!("{}.{full}.{full}.{full}.example.com.", "b".repeat(49));
        let expected = format!("{}c.{full}.{full}.{full}.example.com.", "b".repeat(48));
        assert_eq!(next(&longest, next_name), expected);
        // One octet shorter: `\000.` does not fit, a zero octet does.
        let shorter = format!("{}.{full}.{full}.{full}.example.com.", "b".repeat(48));
        let expected = format!("{}\\000.{full}.{full}.{full}.example.com.", "b".repeat(48));
        assert_eq!(next(&shorter, next_name), expected);
        // A full first label of a shorter name, beside a cut.
        assert_eq!(
            next(&format!("{full}.example.com."), next_beside),
            format!("{}b.example.com.", "a".repeat(62))
        );
        // `@` is followed by `[`, for `A` is `a` and comes later.
        assert_eq!(
            next(&format!("{}\\@.example.com.", "a".repeat(62)), next_beside),
            format!("{}[.example.com.", "a".repeat(62))
        );
        assert_eq!(
            next(&format!("{}\\255.example.com.", "a".repeat(62)), next_beside),
            format!("{}b.example.com.", "a".repeat(61))
        );
        // Nothing comes after a label of 0xff alone but what comes after its parent.
        assert_eq!(
            next(&format!("{}.b.example.com.", "\\255".repeat(63)), next_beside),
            "b\\000.example.com."
        );
        assert_eq!(
            next(&format!("{}.example.com.", "\\255".repeat(63)), next_beside),
            "example.com."
        );
    }

    #[test]
    fn nothing_lies_between_a_name_and_the_next() {
        let apex: Name = "example.com.".parse().unwrap();
        for text in ["a.example.com.", "z.z.example.com.", "*.example.com."] {
            let name: Name = text.parse().unwrap();
            let below = next_name(name.as_ref(), apex.as_ref());
            let beside = next_beside(name.as_ref(), apex.as_ref());
            assert!(name.as_ref() < below.as_ref() && below.as_ref() < beside.as_ref());
            assert!(!beside.as_ref().is_at_or_below(name.as_ref()));
        }
    }
}
