//! Base64 text that is broken into lines, as mail, PEM and the program `base64` write it.

use std::ops::Range;

use memchr::{memchr_iter, memmem};

/// The signs of base64, in either alphabet.
const SIGNS: [bool; 256] = {
    let mut signs = [false; 256];
    let all = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_";
    let mut n = 0;
    while n < all.len() {
        signs[all[n] as usize] = true;
        n += 1;
    }
    signs
};

fn is_base64(b: &u8) -> bool {
    SIGNS.get(usize::from(*b)).is_some_and(|sign| *sign)
}

/// How many signs of base64 the text begins with.
fn signs(text: &[u8]) -> usize {
    text.iter().take_while(|b| is_base64(b)).count()
}

/// Longest line that is looked back over, in bytes: as much as is decoded before a telling piece.
const LINE: usize = 8 << 10;

/// Signs on a line of base64 that goes on on the next one: shorter lines are none of a longer text.
const FULL: usize = 60;

/// How many bytes of a line end stand here, as it is or as JSON writes it; 0 where none does.
pub fn line_end(text: &[u8]) -> usize {
    const ENDS: [&[u8]; 4] = [b"\r\n", b"\n", br"\r\n", br"\n"];
    let end = ENDS.iter().find(|end| text.starts_with(end));
    end.map_or(0, |end| end.len())
}

/// Where the base64 text begins that goes on at `at`, not before `least`: over the ends of full lines.
pub fn base64_begins(text: &[u8], mut at: usize, least: usize) -> usize {
    let signs = |end: usize| {
        let before = text.get(least..end).unwrap_or_default();
        before.iter().rev().take_while(|b| is_base64(b)).count()
    };
    loop {
        at -= signs(at);
        let before = text.get(..at).unwrap_or_default();
        let escaped = before.ends_with(br"\") && text.get(at) == Some(&b'n');
        // The line end and, where it is written `\n`, the letter that was taken for a sign.
        let (end, from) = match escaped {
            true if before.ends_with(br"\r\") => (at - 3, at + 1),
            true => (at - 1, at + 1),
            false if before.ends_with(b"\r\n") => (at - 2, at),
            false if before.ends_with(b"\n") => (at - 1, at),
            false => return at,
        };
        if end <= least || signs(end) < FULL {
            return from;
        }
        at = end;
    }
}

/// Where the base64 text ends that has come to `at`, not after `most`: over the ends of full lines.
pub fn base64_ends(text: &[u8], mut at: usize, most: usize) -> usize {
    let signs = |from: usize| {
        let after = text.get(from..most).unwrap_or_default();
        after.iter().take_while(|b| is_base64(b)).count()
    };
    loop {
        at += signs(at);
        let line = text.get(..at).unwrap_or_default();
        let full = line.iter().rev().take(FULL).take_while(|b| is_base64(b)).count() >= FULL;
        let end = line_end(text.get(at..most).unwrap_or_default());
        if !full || end == 0 || signs(at + end) == 0 {
            return at;
        }
        at += end;
    }
}

/// Base64 text over several lines, without their ends.
pub struct Fold {
    /// All its signs.
    pub signs: Vec<u8>,
    /// Where each of its lines begins: among the signs, and in the text.
    lines: Vec<(usize, usize)>,
}

impl Fold {
    /// Each of them that goes over the end of a line at or after `at`, in their order: first those whose line
    /// ends stand as they are, then those that JSON wrote as `\n`.
    pub fn all(text: &[u8], at: usize) -> Vec<Fold> {
        let rest = text.get(at..).unwrap_or_default();
        let plain = memchr_iter(b'\n', rest);
        let mut folds = Vec::new();
        Self::over(text, plain.map(|n| at + n), &mut folds);
        let escaped = memmem::find_iter(rest, br"\n");
        Self::over(text, escaped.map(|n| at + n), &mut folds);
        folds
    }

    fn over(text: &[u8], ends: impl Iterator<Item = usize>, folds: &mut Vec<Fold>) {
        let mut passed = 0;
        for end in ends {
            if end < passed {
                continue;
            }
            let before = text.get(..end).unwrap_or_default();
            let before = before
                .strip_suffix(b"\r")
                .or(before.strip_suffix(br"\r"))
                .unwrap_or(before);
            let rest = text.get(before.len()..).unwrap_or_default();
            let goes_on = rest.get(line_end(rest)).is_some_and(is_base64);
            let full = before
                .last_chunk::<FULL>()
                .is_some_and(|line| line.iter().rev().all(is_base64));
            if full && goes_on {
                let line = before
                    .iter()
                    .rev()
                    .take(LINE)
                    .take_while(|b| is_base64(b))
                    .count();
                let (fold, end) = Fold::new(text, before.len() - line, line);
                passed = end;
                folds.push(fold);
            }
        }
    }

    /// The one that begins here with a line of so many signs, and where it ends.
    fn new(text: &[u8], mut at: usize, mut line: usize) -> (Fold, usize) {
        let mut fold = Fold {
            signs: Vec::new(),
            lines: Vec::new(),
        };
        loop {
            fold.lines.push((fold.signs.len(), at));
            fold.signs
                .extend_from_slice(text.get(at..at + line).unwrap_or_default());
            at += line;
            let rest = text.get(at..).unwrap_or_default();
            let end = line_end(rest);
            let next = signs(rest.get(end..).unwrap_or_default());
            if line < FULL || end == 0 || next == 0 {
                return (fold, at);
            }
            (at, line) = (at + end, next);
        }
    }

    /// Where these signs stand in the text, where the end of a line is between them.
    pub fn broken(&self, signs: Range<usize>) -> Option<Range<usize>> {
        let of = |sign: usize| {
            let line = self.lines.partition_point(|(first, _)| *first <= sign);
            let (first, at) = self.lines.get(line.checked_sub(1)?)?;
            Some(at + (sign - first))
        };
        let place = of(signs.start)?..of(signs.end.checked_sub(1)?)? + 1;
        (place.len() > signs.len()).then_some(place)
    }
}
