//! Foreign bytes on their way to a person: made safe to print, and searched, piece by piece.

use std::io::{self, BufRead, Read, Write};

use regex::bytes::Regex;

use super::hashing::CHUNK;

/// Makes foreign text safe to print: control characters and those that turn the writing direction
/// are shown as `\u{…}`, so that a bundle can neither move the cursor nor hide what it says.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match acts(c) {
            true => out.extend(c.escape_unicode()),
            false => out.push(c),
        }
    }
    out
}

/// True for characters that do something to a terminal, or to the text around them.
fn acts(c: char) -> bool {
    let bidi =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}');
    c.is_control() || bidi || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// Like [`escape`], for bytes that may not be text: those are shown as `\x…`.
pub fn escape_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out += &escape(chunk.valid());
        out.extend(chunk.invalid().iter().map(|b| format!("\\x{b:02x}")));
    }
    out
}

/// Copies bytes escaped, line feeds and tabs as they are, in memory that does not grow with them.
pub fn show(mut from: impl Read, to: &mut dyn Write) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut kept = 0;
    loop {
        let n = match from.read(&mut buffer[kept..]) {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        let bytes = &buffer[..kept + n];
        // A character that the end of the buffer cuts in two waits for its rest.
        let whole = match n {
            0 => bytes.len(),
            _ => bytes.len() - begun(bytes),
        };
        for part in bytes[..whole].split_inclusive(|b| matches!(b, b'\n' | b'\t')) {
            let (text, end) = match part {
                [text @ .., b'\n' | b'\t'] => (text, &part[text.len()..]),
                text => (text, &[][..]),
            };
            to.write_all(escape_bytes(text).as_bytes())?;
            to.write_all(end)?;
        }
        if n == 0 {
            return Ok(());
        }
        kept = bytes.len() - whole;
        buffer.copy_within(whole..whole + kept, 0);
    }
}

/// How many bytes at the end are the beginning of a character.
fn begun(bytes: &[u8]) -> usize {
    let may_become_valid =
        |n: &usize| std::str::from_utf8(&bytes[bytes.len() - n..]).is_err_and(|e| e.error_len().is_none());
    (1..=bytes.len().min(3)).find(may_become_valid).unwrap_or(0)
}

/// Longest piece of a line that is searched at once, in bytes.
const PIECE: usize = 1024 * 1024;
/// How much of a piece is searched again with the next one.
const OVERLAP: usize = 64 * 1024;
/// A zero byte in so many first bytes makes a file binary.
const LOOK: usize = 8 * 1024;

/// The first match in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit<'a> {
    /// Number of the line, from 1.
    pub line: u64,
    /// Where in the file the match begins, in bytes from 0.
    pub byte: u64,
    /// The line, without its line feed; of a very long one a piece.
    pub text: &'a [u8],
    /// Where in `text` the match begins.
    pub at: usize,
}

/// What a search of one file came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Searched {
    /// How many lines matched.
    pub lines: u64,
    /// True where a zero byte stands near the beginning.
    pub binary: bool,
    /// The first line that was too long to be searched in one piece.
    ///
    /// A match of more than 64 KiB in it may have been missed, and `^` and `$` also match where pieces meet.
    pub pieces: Option<u64>,
}

/// Searches line by line, in linear time and in memory that does not grow with the file.
pub fn search(from: impl Read, pattern: &Regex, hit: &mut dyn FnMut(&Hit<'_>, bool)) -> io::Result<Searched> {
    let mut from = io::BufReader::with_capacity(CHUNK, from);
    let first = from.fill_buf()?;
    let mut found = Searched {
        binary: memchr::memchr(0, &first[..first.len().min(LOOK)]).is_some(),
        ..Searched::default()
    };
    let (mut piece, mut start, mut line, mut told) = (Vec::new(), 0, 1, false);
    loop {
        let room = (PIECE - piece.len()) as u64;
        if from.by_ref().take(room).read_until(b'\n', &mut piece)? == 0 {
            return Ok(found);
        }
        let ended = piece.last() == Some(&b'\n');
        let text = &piece[..piece.len() - usize::from(ended)];
        if !told && let Some(first) = pattern.find(text) {
            told = true;
            found.lines += 1;
            let (byte, at) = (start + first.start() as u64, first.start());
            hit(&Hit { line, byte, text, at }, found.binary);
        }
        let done = match ended {
            true => piece.len(),
            false if piece.len() == PIECE => PIECE - OVERLAP,
            false => 0,
        };
        if ended {
            (line, told) = (line + 1, false);
        } else if done > 0 {
            found.pieces.get_or_insert(line);
        }
        start += done as u64;
        piece.drain(..done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out a few bytes at a time, so that characters are cut.
    struct Drops<'a>(&'a [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(to.len()).min(self.0.len());
            to[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn text_that_would_move_the_cursor_is_shown_instead() {
        assert_eq!(
            escape("a\u{1b}]52;c\u{7}b\u{202e}c\u{9b}é\r\n"),
            "a\\u{1b}]52;c\\u{7}b\\u{202e}c\\u{9b}é\\u{d}\\u{a}"
        );
    }

    #[test]
    fn a_stream_is_shown_alike_however_it_is_cut() {
        let bytes = b"a\t\xe2\x82\xac\n\xff\x1b[2J\n\n\xe2\x82 \xf0\x9f\x92\xa9\r\nend\xe2\x82";
        let wanted = "a\t€\n\\xff\\u{1b}[2J\n\n\\xe2\\x82 💩\\u{d}\nend\\xe2\\x82";
        for size in 1..bytes.len() + 1 {
            let mut out = Vec::new();
            show(Drops(bytes, size), &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), wanted, "{size}");
        }
    }

    fn found(bytes: &[u8], pattern: &str) -> (Vec<(u64, u64)>, Searched) {
        let mut hits = Vec::new();
        let pattern = Regex::new(pattern).unwrap();
        let searched = search(Drops(bytes, 1000), &pattern, &mut |hit, _| {
            hits.push((hit.line, hit.byte))
        });
        (hits, searched.unwrap())
    }

    #[test]
    fn lines_are_found_once_with_their_place() {
        let (hits, searched) = found(b"drop drop\nno\n x drop", "drop");
        assert_eq!(hits, [(1, 0), (3, 16)]);
        assert_eq!(
            (searched.lines, searched.binary, searched.pieces),
            (2, false, None)
        );
        assert!(found(b"a\0drop\n", "drop").1.binary);
        assert_eq!(found(b"", "drop").1, Searched::default());
    }

    #[test]
    fn a_match_over_the_edge_of_two_pieces_is_found_and_the_line_named() {
        let mut long = vec![b'x'; PIECE - 2];
        long.extend(b"drop");
        long.extend(vec![b'y'; PIECE]);
        long.extend(b"\ndrop\n");
        let (hits, searched) = found(&long, "drop");
        assert_eq!(hits, [(1, PIECE as u64 - 2), (2, 2 * PIECE as u64 + 3)]);
        assert_eq!(searched.pieces, Some(1));
    }
}
