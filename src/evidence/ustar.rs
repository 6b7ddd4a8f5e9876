//! The one tar header our writer makes for a name and a size, and words for every other header.
//!
//! A reader that asks for *equality* with this header has nothing left to misread: extended headers,
//! links, devices, odd modes and other spellings of a number are all just "not the header".

use super::escape;

/// A tar block, in bytes.
pub const BLOCK: u64 = 512;
/// Largest member the size field can state, in bytes (8 GiB − 1). Larger captures are split.
pub const MEMBER_CAP: u64 = 0o77_777_777_777;

/// One header block.
pub type Header = [u8; BLOCK as usize];

const NAME: std::ops::Range<usize> = 0..100;
const MODE: std::ops::Range<usize> = 100..108;
const SIZE: std::ops::Range<usize> = 124..136;
const SUM: std::ops::Range<usize> = 148..156;
const TYPE: usize = 156;
const MAGIC: std::ops::Range<usize> = 257..265;
const PREFIX: std::ops::Range<usize> = 345..500;

/// The canonical header of a regular file, or `None` where ustar cannot hold the name or the size.
///
/// Written by hand, field by field: these bytes must be the same in ten years, whatever a crate does.
pub fn header(name: &str, size: u64) -> Option<Header> {
    let (prefix, rest) = split(name)?;
    if size > MEMBER_CAP {
        return None;
    }
    let mut block: Header = [0; BLOCK as usize];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(NAME.start, rest.as_bytes());
    put(MODE.start, b"0000644");
    put(108, b"0000000"); // owner
    put(116, b"0000000"); // group
    put(SIZE.start, &octal::<11>(size));
    put(136, b"00000000000"); // time of change
    put(TYPE, b"0");
    put(MAGIC.start, b"ustar\x0000");
    put(329, b"0000000"); // device numbers
    put(337, b"0000000");
    put(PREFIX.start, prefix.as_bytes());
    let sum = octal::<6>(u64::from(checksum(&block)));
    block[SUM.start..SUM.start + 6].copy_from_slice(&sum);
    block[SUM.end - 1] = b' ';
    Some(block)
}

/// The last digits of a number.
fn octal<const DIGITS: usize>(number: u64) -> [u8; DIGITS] {
    let mut left = number;
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(left & 7).unwrap_or_default();
        left >>= 3;
    }
    digits
}

/// True where a header can hold the name below a folder.
pub fn holds(folder: &str, name: &str) -> bool {
    folder.len() + 1 + name.len() <= NAME.len() || split(&format!("{folder}/{name}")).is_some()
}

/// Bytes of zero padding after a member of this size.
pub fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK
}

/// Bytes a member takes, header and padding included.
pub fn span(size: u64) -> u64 {
    BLOCK + size + padding(size)
}

/// The size a header states, if it is written the one way we write it.
pub fn size(block: &Header) -> Option<u64> {
    let (digits, end) = block[SIZE].split_at(11);
    let octal = digits.iter().all(|b| (b'0'..=b'7').contains(b)) && end == [0];
    octal.then(|| digits.iter().fold(0, |n, b| n << 3 | u64::from(b - b'0')))
}

/// The full name a header states, prefix joined. Not checked in any way: for looking, then comparing.
pub fn name(block: &Header) -> String {
    let text = |range: std::ops::Range<usize>| {
        let field = &block[range];
        let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
        String::from_utf8_lossy(&field[..end]).into_owned()
    };
    match text(PREFIX) {
        prefix if prefix.is_empty() => text(NAME),
        prefix => format!("{prefix}/{}", text(NAME)),
    }
}

/// What a header is that is not the wanted one.
#[derive(Debug, PartialEq, Eq)]
pub enum Not {
    /// A header our writer makes, for this other name.
    Elsewhere(String),
    /// A header our writer never makes, and why.
    Ours(String),
}

/// Says why `block` is not a canonical header of `wanted`.
pub fn not(block: &Header, wanted: &str) -> Not {
    let found = name(block);
    let canonical = size(block).is_some_and(|size| header(&found, size) == Some(*block));
    let climbs = found.split('/').any(|part| part == "..");
    if canonical && !found.starts_with('/') && !climbs {
        return Not::Elsewhere(found);
    }
    let shown = escape(&found);
    Not::Ours(if block.iter().all(|b| *b == 0) {
        format!("the archive ends before `{}`", escape(wanted))
    } else if &block[MAGIC] != b"ustar\x0000" && &block[MAGIC] != b"ustar  \0" {
        "no tar header stands here".to_owned()
    } else if block[SUM] != *format!("{:06o}\0 ", checksum(block)).as_bytes() {
        "the header's checksum is wrong".to_owned()
    } else if let Some(kind) = kind(block[TYPE]) {
        format!("`{shown}` is {kind}")
    } else if found.starts_with('/') {
        format!("`{shown}` is an absolute path")
    } else if climbs {
        format!("`{shown}` climbs out of the bundle")
    } else if block[MODE] != *b"0000644\0" {
        format!("`{shown}` has a mode other than 0644")
    } else if size(block).is_none() {
        format!("`{shown}` states its size in another way than we do")
    } else {
        format!("`{shown}` has an owner, a time or another field that we do not write")
    })
}

/// What a member is that is not a regular file.
fn kind(typeflag: u8) -> Option<&'static str> {
    use tar::EntryType as T;
    match T::new(typeflag) {
        _ if typeflag == b'0' => None,
        T::Link => Some("a hard link"),
        T::Symlink => Some("a symbolic link"),
        T::Char | T::Block => Some("a device"),
        T::Directory => Some("a folder entry"),
        T::Fifo => Some("a pipe"),
        T::XHeader | T::XGlobalHeader => {
            Some("an extended (PAX) header, which could rename or resize a member")
        }
        T::GNULongName | T::GNULongLink => Some("a GNU long-name header, which could rename a member"),
        _ => Some("of an unknown type"),
    }
}

/// Splits a name over the two fields: as much as possible in the second.
fn split(name: &str) -> Option<(&str, &str)> {
    if name.is_empty() {
        return None;
    }
    if name.len() <= NAME.len() {
        return Some(("", name));
    }
    let from = name.len() - NAME.len() - 1;
    let cut = from + name.get(from..)?.find('/')?;
    let (prefix, rest) = (&name[..cut], &name[cut + 1..]);
    (prefix.len() <= PREFIX.len() && !rest.is_empty()).then_some((prefix, rest))
}

fn checksum(block: &Header) -> u32 {
    let sum = |bytes: &[u8]| bytes.iter().map(|b| u32::from(*b)).sum::<u32>();
    sum(&block[..SUM.start]) + 8 * u32::from(b' ') + sum(&block[SUM.end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crate_tar_reads_what_we_write() {
        let long = format!("INC-1/data/{}/{}", "d".repeat(90), "f".repeat(99));
        for (path, len) in [("INC-1/bagit.txt", 0), (long.as_str(), MEMBER_CAP)] {
            let block = header(path, len).unwrap();
            let read = tar::Header::from_byte_slice(&block);
            assert_eq!(read.path().unwrap().to_str(), Some(path));
            assert_eq!(read.size().unwrap(), len);
            assert_eq!(read.mode().unwrap(), 0o644);
            assert_eq!(read.cksum().unwrap(), checksum(&block));
            assert_eq!((name(&block).as_str(), size(&block)), (path, Some(len)));
        }
    }

    #[test]
    fn what_ustar_cannot_hold_is_refused() {
        assert!(header("", 0).is_none());
        assert!(header(&"x".repeat(101), 0).is_none());
        assert!(header(&format!("{}/{}", "d".repeat(156), "f"), 0).is_none());
        assert!(header("a", MEMBER_CAP + 1).is_none());
        for len in 90..260 {
            for name in ["f".repeat(len), format!("{}/f", "d".repeat(len))] {
                let held = header(&format!("INC-1/{name}"), 0).is_some();
                assert_eq!(holds("INC-1", &name), held, "{name}");
            }
        }
    }

    #[test]
    fn padding_fills_the_block() {
        assert_eq!([0, 1, 511, 512, 513].map(padding), [0, 511, 1, 0, 511]);
    }
}
