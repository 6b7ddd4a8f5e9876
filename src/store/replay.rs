//! Reads a journal line by line, in constant memory, checking each link on the way.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc;
use std::thread;

use memchr::memmem;
use sha2::{Digest, Sha256};

use crate::journal::{Ahead, Chain, ChainError, Hash, LINE_CAP, Line};

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
///
/// Where there is much to read, a second thread reads ahead and does what needs no other line; the lines
/// are linked and handed out on this one.
pub(super) fn replay(
    file: impl Read + Send,
    chain: &mut Chain,
    until: Option<u64>,
    mut on: impl FnMut(&Line<'_>),
) -> io::Result<Replayed> {
    let mut done = Replayed {
        len: 0,
        last_len: 0,
        broken: None,
        torn: 0,
    };
    // True while more is wanted.
    let mut take = |batch: Batch| {
        let mut rest = batch.bytes.as_slice();
        for piece in &batch.pieces {
            if until == Some(chain.next) {
                return false;
            }
            if !piece.whole {
                done.torn = piece.read;
                return false;
            }
            let (line, after) = rest.split_at(piece.kept);
            rest = after;
            match chain.check_ahead(line, &piece.ahead) {
                Ok(line) => on(&line),
                Err(why) => {
                    done.broken = Some(why);
                    return false;
                }
            }
            done.len += piece.read;
            done.last_len = piece.read;
        }
        true
    };
    let mut reader = BufReader::with_capacity(BUFFER, file);
    let first = Batch::read(&mut reader)?;
    let more = first.bytes.len() >= BUFFER;
    if take(first) && more {
        thread::scope(|scope| {
            let (send, batches) = mpsc::sync_channel(AHEAD);
            scope.spawn(move || {
                loop {
                    let batch = Batch::read(&mut reader);
                    let last = batch.as_ref().map_or(true, |b| b.pieces.is_empty());
                    // Nobody listens any more: the record was broken, or long enough.
                    if send.send(batch).is_err() || last {
                        return;
                    }
                }
            });
            for batch in batches {
                if !take(batch?) {
                    break;
                }
            }
            io::Result::Ok(())
        })?;
    }
    Ok(done)
}

/// Batches that are read ahead: enough that neither thread waits for the other.
const AHEAD: usize = 4;

/// Some lines that follow one another, looked at one by one.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
}

/// One line of a batch.
struct Piece {
    /// Bytes of it in the batch.
    kept: usize,
    /// Bytes of it in the file: more, where it is too long to be a record.
    read: u64,
    /// True where its line feed is there.
    whole: bool,
    ahead: Ahead,
}

impl Batch {
    /// About [`BUFFER`] bytes of lines; none at the end.
    fn read(reader: &mut impl BufRead) -> io::Result<Batch> {
        let mut batch = Batch::default();
        let mut line = Vec::with_capacity(1024);
        while batch.bytes.len() < BUFFER {
            let (read, whole) = next_line(reader, &mut line)?;
            if read == 0 {
                break;
            }
            batch.bytes.extend_from_slice(&line);
            batch.pieces.push(Piece {
                kept: line.len(),
                read,
                whole,
                ahead: Ahead::of(&line),
            });
        }
        Ok(batch)
    }
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

/// True where the bytes hold this word anywhere.
pub(super) fn holds(mut from: impl Read, word: &str) -> io::Result<bool> {
    let finder = memmem::Finder::new(word);
    let mut buffer = vec![0; BUFFER];
    let mut kept = 0;
    loop {
        match from.read(&mut buffer[kept..]) {
            Ok(0) => return Ok(false),
            Ok(n) => {
                let filled = kept + n;
                if finder.find(&buffer[..filled]).is_some() {
                    return Ok(true);
                }
                // The word may be cut in two by the end of the buffer.
                let again = filled.min(word.len().saturating_sub(1));
                buffer.copy_within(filled - again..filled, 0);
                kept = again;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
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
