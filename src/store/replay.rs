//! Reads a journal line by line, in constant memory, checking each link on the way.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
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
/// Where there is much to read, a second thread reads ahead. What needs no other line is done by whichever of
/// the two has the time; the lines are linked and handed out on this one.
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
            let checked = match &piece.ahead {
                Some(ahead) => chain.check_ahead(line, ahead),
                None => chain.check_line(line),
            };
            match checked {
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
        // Batches that were sent and not taken yet.
        let waiting = AtomicUsize::new(0);
        thread::scope(|scope| {
            let (send, batches) = mpsc::sync_channel(AHEAD);
            let waiting = &waiting;
            scope.spawn(move || {
                loop {
                    let mut batch = Batch::read(&mut reader);
                    if let Ok(batch) = &mut batch {
                        batch.look(|| waiting.load(Ordering::Relaxed) >= ENOUGH);
                    }
                    let last = batch.as_ref().map_or(true, |b| b.pieces.is_empty());
                    waiting.fetch_add(1, Ordering::Relaxed);
                    // Nobody listens any more: the record was broken, or long enough.
                    if send.send(batch).is_err() || last {
                        return;
                    }
                }
            });
            for batch in batches {
                waiting.fetch_sub(1, Ordering::Relaxed);
                if !take(batch?) {
                    break;
                }
            }
            io::Result::Ok(())
        })?;
    }
    Ok(done)
}

/// Batches that may wait: no more memory than theirs is taken.
const AHEAD: usize = 4;

/// So many waiting batches keep the other thread busy; with fewer it gets lines it has to look at itself.
const ENOUGH: usize = 2;

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
    /// What was found out about it beforehand, if anything was.
    ahead: Option<Ahead>,
}

impl Batch {
    /// About [`BUFFER`] bytes of lines; none at the end.
    fn read(reader: &mut impl BufRead) -> io::Result<Batch> {
        let mut batch = Batch {
            bytes: Vec::with_capacity(BUFFER + 4096),
            pieces: Vec::with_capacity(512),
        };
        while batch.bytes.len() < BUFFER {
            let start = batch.bytes.len();
            let (read, whole) = next_line(reader, &mut batch.bytes)?;
            if read == 0 {
                break;
            }
            batch.pieces.push(Piece {
                kept: batch.bytes.len() - start,
                read,
                whole,
                ahead: None,
            });
        }
        Ok(batch)
    }

    /// Looks at one line after the other for as long as there is time.
    fn look(&mut self, time: impl Fn() -> bool) {
        let mut rest = self.bytes.as_slice();
        for piece in &mut self.pieces {
            if !time() {
                return;
            }
            let (line, after) = rest.split_at(piece.kept);
            rest = after;
            piece.ahead = Some(Ahead::of(line));
        }
    }
}

/// Hands out each line that ends in a line feed, unchecked.
pub(super) fn each_line(file: impl Read, mut on: impl FnMut(&[u8])) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(BUFFER, file);
    let mut bytes = Vec::new();
    while let (1.., true) = next_line(&mut reader, &mut bytes)? {
        on(&bytes);
        bytes.clear();
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

/// Adds the next line to `lines`; gives its length and whether its line feed is there. Of a line that is too
/// long only so much is kept that it is refused as such.
fn next_line(reader: &mut impl BufRead, lines: &mut Vec<u8>) -> io::Result<(u64, bool)> {
    const KEPT: u64 = LINE_CAP as u64 + 1;
    let mut read = widen(reader.by_ref().take(KEPT).read_until(b'\n', lines)?);
    let mut whole = read > 0 && lines.ends_with(b"\n");
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Some 1.5 MiB of records, and where each begins.
    fn long() -> (Vec<u8>, Vec<usize>) {
        let (mut chain, mut bytes, mut starts) = (Chain::default(), Vec::new(), Vec::new());
        for n in 0..4_000_usize {
            starts.push(bytes.len());
            let what = json!({"n": n, "text": "x".repeat(n % 400)});
            let line = chain.write("2026-11-22T03:14:07.120Z", "note.added", 1, what, "ana");
            bytes.extend(line.unwrap());
        }
        (bytes, starts)
    }

    fn ends(bytes: &[u8], until: Option<u64>) -> (Chain, u64, u64, u64, Option<ChainError>) {
        let (mut chain, mut seen) = (Chain::default(), 0);
        let read = replay(bytes, &mut chain, until, |line| {
            assert_eq!(line.seq, seen, "handed out in order");
            seen += 1;
        });
        let read = read.unwrap();
        assert_eq!(seen, chain.next);
        (chain, read.len, read.last_len, read.torn, read.broken)
    }

    #[test]
    fn two_threads_stop_where_one_would() {
        let (bytes, starts) = long();
        for n in [0, 1, 300, 301, 1_500, 2_999, 3_998, 3_999_usize] {
            let (start, good) = (starts[n], n as u64);
            let mut chain = Chain::default();
            for (from, to) in starts.iter().zip(&starts[1..=n]) {
                chain.check_line(&bytes[*from..*to]).unwrap();
            }
            let last = start - n.checked_sub(1).map_or(0, |before| starts[before]);
            let stops = |torn, broken| (chain, start as u64, last as u64, torn, broken);
            let end = starts.get(n + 1).copied().unwrap_or(bytes.len());

            assert_eq!(ends(&bytes, Some(good)), stops(0, None), "{n}");

            let mut changed = bytes.clone();
            changed[start + 12] ^= 1;
            let (.., broken) = ends(&changed, None);
            assert!(broken.is_some(), "{n}");
            assert_eq!(ends(&changed, None), stops(0, broken), "{n}");

            let torn = (end - start - 1) as u64;
            assert_eq!(ends(&bytes[..end - 1], None), stops(torn, None), "{n}");

            let mut long = bytes[..start].to_vec();
            long.resize(start + 3 * LINE_CAP, b'x');
            long.extend(&bytes[end - 1..]);
            let broken = ChainError::TooLong { seq: good };
            assert_eq!(ends(&long, None), stops(0, Some(broken)), "{n}");
        }
    }
}
