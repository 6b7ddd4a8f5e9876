//! Redaction of what streams by: bytes are held back until no secret can straddle the cut.

use std::io::{self, Write};

use super::{Receipt, Redactor};

/// Bytes held back at the end of what has come so far; longer than any secret with its name.
const HELD: usize = 64 << 10;

/// Fewest bytes that are looked at in one go.
const BLOCK: usize = 4 * HELD;

/// Most of them: what is held back is looked at again with the next ones, so a long stream is looked at in larger
/// pieces. Of a short one less is lost should the program be killed.
const LARGE_BLOCK: usize = 16 * HELD;

/// Bytes kept before what is looked at, so that a word's beginning, and that of a line, is still seen as one.
const CONTEXT: usize = 512;

/// Longest match that is waited for; one that goes on is taken out in parts.
const PATIENCE: usize = 1 << 20;

/// Bytes needed to tell UTF-16 from anything else.
const SNIFFED: usize = 256;

/// How the bytes spell their text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Unknown,
    Bytes,
    Utf16 { big: bool },
}

/// A writer that takes secrets out on the way. [`Stream::finish`] writes what is still held back.
#[must_use = "what is held back is written by `finish`"]
pub struct Stream<'a, W: Write> {
    redactor: &'a Redactor,
    inner: W,
    spelling: Spelling,
    /// Input not yet spelt as bytes of text: before the spelling is known, or half a UTF-16 unit.
    raw: Vec<u8>,
    /// Text; before `done` it is only kept as context.
    text: Vec<u8>,
    done: usize,
    offset: u64,
    line: u64,
    receipts: Vec<Receipt>,
}

impl<'a, W: Write> Stream<'a, W> {
    pub(super) fn new(redactor: &'a Redactor, inner: W) -> Self {
        Stream {
            redactor,
            inner,
            spelling: Spelling::Unknown,
            raw: Vec::new(),
            text: Vec::new(),
            done: 0,
            offset: 0,
            line: 1,
            receipts: Vec::new(),
        }
    }

    /// Writes what is held back; hands the writer back with what was taken out, in order.
    pub fn finish(mut self) -> io::Result<(W, Vec<Receipt>)> {
        if self.spelling == Spelling::Unknown {
            self.spelling = sniff(&self.raw);
        }
        self.spell(&[], true);
        self.emit(true)?;
        // Half a UTF-16 unit at the very end: no secret, but not ours to drop.
        let rest = std::mem::take(&mut self.raw);
        self.inner.write_all(&rest)?;
        self.inner.flush()?;
        Ok((self.inner, self.receipts))
    }

    /// Adds input to the text.
    fn spell(&mut self, input: &[u8], last: bool) {
        let Spelling::Utf16 { big } = self.spelling else {
            self.text.append(&mut self.raw);
            self.text.extend_from_slice(input);
            return;
        };
        self.raw.extend_from_slice(input);
        let unit = |pair: &[u8; 2]| {
            if big {
                u16::from_be_bytes(*pair)
            } else {
                u16::from_le_bytes(*pair)
            }
        };
        let (pairs, _) = self.raw.as_chunks::<2>();
        let mut units: Vec<u16> = pairs.iter().map(unit).collect();
        // The first half of a pair of surrogates waits for the second.
        if units.last().is_some_and(|u| (0xd800..0xdc00).contains(u)) && !last {
            units.pop();
        }
        let text: String = char::decode_utf16(units.iter().copied())
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        self.text.extend_from_slice(text.as_bytes());
        self.raw.drain(..units.len() * 2);
    }

    /// Writes all that no later byte can change.
    fn emit(&mut self, last: bool) -> io::Result<()> {
        let mut limit = if last {
            self.text.len()
        } else {
            self.text.len().saturating_sub(HELD)
        };
        // Never within a character.
        while !last && limit > self.done && self.text.get(limit).is_some_and(|b| b & 0xc0 == 0x80) {
            limit -= 1;
        }
        let found = self.redactor.find(&self.text, self.done);
        for hit in found {
            let start = hit.from.max(self.done);
            if start >= limit {
                break;
            }
            if hit.span.end > limit && !last && self.text.len() - start < PATIENCE {
                limit = start;
                break;
            }
            let from = hit.span.start.max(self.done);
            self.pass(from)?;
            let len = hit.span.end - from;
            self.receipts.push(Receipt {
                line: self.line,
                offset: self.offset,
                rule: hit.rule.to_owned(),
                len: len as u64,
                fingerprint: hit.fingerprint.clone(),
            });
            let mark = format!("[REDACTED {} {len} {}]", hit.rule, hit.fingerprint);
            self.write_text(mark.as_bytes())?;
            self.count(hit.span.end);
            limit = limit.max(hit.span.end);
        }
        self.pass(limit)?;
        let keep = self.done.saturating_sub(CONTEXT);
        self.text.drain(..keep);
        self.done -= keep;
        Ok(())
    }

    /// Writes the text up to `end` as it is.
    fn pass(&mut self, end: usize) -> io::Result<()> {
        if end > self.done {
            let text = std::mem::take(&mut self.text);
            let plain = text.get(self.done..end).unwrap_or_default();
            let written = self.write_text(plain);
            self.text = text;
            written?;
            self.count(end);
        }
        Ok(())
    }

    /// Moves `done` to `end`, counting bytes and lines.
    fn count(&mut self, end: usize) {
        let passed = self.text.get(self.done..end).unwrap_or_default();
        self.offset += passed.len() as u64;
        self.line += memchr::memchr_iter(b'\n', passed).count() as u64;
        self.done = end;
    }

    fn write_text(&mut self, text: &[u8]) -> io::Result<()> {
        let Spelling::Utf16 { big } = self.spelling else {
            return self.inner.write_all(text);
        };
        let units = String::from_utf8_lossy(text);
        let bytes: Vec<u8> = units
            .encode_utf16()
            .flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() })
            .collect();
        self.inner.write_all(&bytes)
    }
}

impl<W: Write> Write for Stream<'_, W> {
    fn write(&mut self, input: &[u8]) -> io::Result<usize> {
        if self.spelling == Spelling::Unknown {
            self.raw.extend_from_slice(input);
            if self.raw.len() < SNIFFED {
                return Ok(input.len());
            }
            self.spelling = sniff(&self.raw);
            self.spell(&[], false);
        } else {
            self.spell(input, false);
        }
        let passed = usize::try_from(self.offset / 4).unwrap_or(LARGE_BLOCK);
        if self.text.len() - self.done >= passed.clamp(BLOCK, LARGE_BLOCK) {
            self.emit(false)?;
        }
        Ok(input.len())
    }

    /// Flushes what was already written; what is held back stays held back.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// UTF-16 by its mark, or by every other byte being zero; else bytes.
fn sniff(start: &[u8]) -> Spelling {
    let (pairs, _) = start.as_chunks::<2>();
    match pairs.first() {
        Some([0xff, 0xfe]) => return Spelling::Utf16 { big: false },
        Some([0xfe, 0xff]) => return Spelling::Utf16 { big: true },
        _ => {}
    }
    // Nine in ten units are ASCII, and none is a control character: text, not a table of small numbers.
    let ascii = |high: usize| {
        let low = |p: &[u8; 2]| if high == 0 { p[1] } else { p[0] };
        let zero: Vec<u8> = pairs
            .iter()
            .filter(|p| p.get(high) == Some(&0))
            .map(low)
            .collect();
        pairs.len() >= 4 && zero.len() > pairs.len() * 9 / 10 && zero.iter().all(|&b| b >= b'\t')
    };
    if ascii(1) {
        Spelling::Utf16 { big: false }
    } else if ascii(0) {
        Spelling::Utf16 { big: true }
    } else {
        Spelling::Bytes
    }
}
