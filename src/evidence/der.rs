//! DER, as much of it as time stamps need: one value after the other, each read or written whole.

/// `INTEGER`.
pub const INTEGER: u8 = 0x02;
/// `BIT STRING`.
pub const BITS: u8 = 0x03;
/// `OCTET STRING`.
pub const OCTETS: u8 = 0x04;
/// `OBJECT IDENTIFIER`.
pub const OID: u8 = 0x06;
/// `GeneralizedTime`.
pub const TIME: u8 = 0x18;
/// `UTCTime`, with two digits for the year.
pub const SHORT_TIME: u8 = 0x17;
/// `SEQUENCE`.
pub const SEQUENCE: u8 = 0x30;
/// `SET`.
pub const SET: u8 = 0x31;
/// `[0]`, constructed.
pub const FIRST: u8 = 0xa0;

/// Values not read yet. Lengths are definite and in their shortest form, or the value is not read.
#[derive(Debug, Clone, Copy)]
pub struct Der<'a>(pub &'a [u8]);

impl<'a> Der<'a> {
    /// The next value: its tag, its contents, and all of its bytes.
    pub fn any(&mut self) -> Option<(u8, &'a [u8], &'a [u8])> {
        let (tag, first) = (*self.0.first()?, *self.0.get(1)?);
        let (len, head) = match first {
            0..=0x7f => (usize::from(first), 2),
            0x81..=0x84 => {
                let more = usize::from(first & 0x7f);
                let digits = self.0.get(2..2 + more)?;
                let len = digits.iter().fold(0_usize, |n, b| n << 8 | usize::from(*b));
                let shortest = digits[0] != 0 && len >= 0x80;
                (shortest.then_some(len)?, 2 + more)
            }
            _ => return None,
        };
        // A tag of several bytes stands nowhere in a time stamp.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let end = head.checked_add(len)?;
        let (whole, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        Some((tag, &whole[head..], whole))
    }

    /// The contents of the next value, which must have this tag.
    pub fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, contents, _) = self.any()?;
        (found == tag).then_some(contents)
    }

    /// The same, and the contents are values.
    pub fn inside(&mut self, tag: u8) -> Option<Der<'a>> {
        self.take(tag).map(Der)
    }

    /// The contents of the next value if it has this tag; else nothing is read.
    pub fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let contents = ahead.take(tag)?;
        *self = ahead;
        Some(contents)
    }
}

/// One value.
pub fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|p| p.len()).sum();
    let mut out = vec![tag];
    let digits = len.to_be_bytes();
    let zeros = digits.iter().take_while(|b| **b == 0).count();
    match u8::try_from(len) {
        Ok(short @ 0..0x80) => out.push(short),
        _ => {
            let digits = &digits[zeros..];
            out.push(0x80 | u8::try_from(digits.len()).unwrap_or(0));
            out.extend(digits);
        }
    }
    parts.iter().for_each(|p| out.extend(*p));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_other_spellings_are_not() {
        for len in [0, 1, 127, 128, 255, 256, 70_000] {
            let bytes = vec![7; len];
            let written = value(OCTETS, &[&bytes]);
            let mut der = Der(&written);
            assert_eq!(der.take(OCTETS), Some(&*bytes), "{len}");
            assert!(der.0.is_empty());
        }
        for bad in [
            &b""[..],
            b"\x04",
            b"\x04\x02a",
            b"\x04\x80a\0\0",
            b"\x04\x81\x01a",
            b"\x04\x82\x00\x80",
            b"\x1f\x01\x00",
            b"\x04\x84\xff\xff\xff\xff",
            b"\x04\x88\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert!(Der(bad).any().is_none(), "{bad:x?}");
        }
    }
}
