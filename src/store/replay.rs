//! Reads a journal line by line, in constant memory, checking each link on the way.

use std::io::{self, BufRead, BufReader, Read};

use sha2::{Digest, Sha256};

use crate::journal::{Chain, ChainError, Hash, LINE_CAP, Line};

/// Bytes asked for at a time.
const BUFFER: usize = 128 * 1024;

/// How reading ended.
pub(super) struct Replayed {
    /// Bytes of whole, good lines.
    pub len: u64,
    /// Length of the last of them.
    pub last_len: u64,
    /// Where and why it stopped before the end, if it did.
    pub broken: Option<ChainError>,
    /// Bytes after the last line feed. Zero where `broken`.
    pub torn: u64,
}

/// Reads records from where `file` stands until its end, the first bad line, or record number `until`.
pub(super) fn replay(
    file: impl Read,
    chain: &mut Chain,
    until: Option<u64>,
    mut on: impl FnMut(&Line<'_>),
) -> io::Result<Replayed> {
    let mut reader = BufReader::with_capacity(BUFFER, file);
    let mut bytes = Vec::with_capacity(1024);
    let mut done = Replayed {
        len: 0,
        last_len: 0,
        broken: None,
        torn: 0,
    };
    while until != Some(chain.next) {
        let (read, whole) = next_line(&mut reader, &mut bytes)?;
        if read == 0 {
            break;
        }
        if !whole {
            done.torn = read;
            break;
        }
        match chain.check_line(&bytes) {
            Ok(line) => on(&line),
            Err(why) => {
                done.broken = Some(why);
                break;
            }
        }
        done.len += read;
        done.last_len = read;
    }
    Ok(done)
}

/// Hands out each line that ends in a line feed, unchecked.
pub(super) fn each_line(file: impl Read, mut on: impl FnMut(&[u8])) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(BUFFER, file);
    let mut bytes = Vec::new();
    while let (1.., true) = next_line(&mut reader, &mut bytes)? {
        on(&bytes);
    }
    Ok(())
}

/// The next line's length and whether its line feed is there. Of a line that is too long only so much
/// is kept that it is refused as such.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<(u64, bool)> {
    const KEPT: u64 = LINE_CAP as u64 + 1;
    line.clear();
    let mut read = widen(reader.by_ref().take(KEPT).read_until(b'\n', line)?);
    let mut whole = line.ends_with(b"\n");
    let mut rest = Vec::new();
    while !whole && read >= KEPT {
        rest.clear();
        let more = reader.by_ref().take(KEPT).read_until(b'\n', &mut rest)?;
        if more == 0 {
            break;
        }
        read += widen(more);
        whole = rest.ends_with(b"\n");
    }
    Ok((read, whole))
}

fn widen(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// The first line of a file, empty where there is none.
pub(super) fn first_line(file: impl Read) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    next_line(&mut BufReader::new(file), &mut line)?;
    Ok(line)
}

/// Length and hash of what is left to read.
pub(super) fn measure(mut from: impl Read) -> io::Result<(u64, Hash)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    let mut len = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok((len, Hash(hasher.finalize().into()))),
            Ok(n) => {
                hasher.update(&buffer[..n]);
                len += widen(n);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
