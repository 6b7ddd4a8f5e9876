//! Base64 text that is broken into lines, as mail, PEM and the program `base64` write it, and as it stands in a diff,
//! a quoted mail, a comment, an indented block or a log.

use std::ops::Range;

use memchr::{memchr_iter, memmem, memrchr};

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

/// Longest prefix of a line, in bytes: a time stamp, a host and the name of a program.
const PREFIX: usize = 160;

/// What may stand before each line: indentation, quotes of mail, comments, the signs of a diff.
const MARKS: &[u8] = b" \t>|#*;%:!\"'+-/";

/// Bytes of the marks that this line begins with. The last is no sign of base64, so that none of the text is taken.
fn marks(line: &[u8]) -> usize {
    let all = line.iter().take(PREFIX).take_while(|b| MARKS.contains(b));
    let marks = line.get(..all.count()).unwrap_or_default();
    marks
        .iter()
        .rposition(|b| !is_base64(b))
        .map_or(0, |last| last + 1)
}

/// True where the line begins as another did: byte by byte the same but for digits, which a clock moves on.
fn begins_like(line: &[u8], prefix: &[u8]) -> bool {
    let same = |(a, b): (&u8, &u8)| a == b || a.is_ascii_digit() && b.is_ascii_digit();
    line.len() >= prefix.len() && line.iter().zip(prefix).all(same)
}

/// Base64 text over several lines, without their ends and without what stands before each.
pub struct Fold {
    /// All its signs.
    pub signs: Vec<u8>,
    /// True where something stands before its lines.
    pub prefixed: bool,
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
            let full = before
                .last_chunk::<FULL>()
                .is_some_and(|line| line.iter().rev().all(is_base64));
            if !full {
                continue;
            }
            let line = before
                .iter()
                .rev()
                .take(LINE)
                .take_while(|b| is_base64(b))
                .count();
            let from = before.len() - line;
            // The letter of a line end that is written `\n` is none of the text.
            let letter =
                text.get(..from).is_some_and(|b| b.ends_with(br"\")) && text.get(from) == Some(&b'n');
            let (from, line) = (from + usize::from(letter), line - usize::from(letter));
            let rest = text.get(before.len()..).unwrap_or_default();
            let next = rest.get(line_end(rest)..).unwrap_or_default();
            for (prefix, taken) in prefixes(text, from, next) {
                let (fold, end) = Fold::new(text, from + taken, line - taken, prefix);
                passed = passed.max(end);
                folds.push(fold);
            }
        }
    }

    /// The one that begins here with a line of so many signs and goes on behind this prefix, and where it ends.
    fn new(text: &[u8], mut at: usize, mut line: usize, prefix: &[u8]) -> (Fold, usize) {
        let mut fold = Fold {
            signs: Vec::new(),
            prefixed: !prefix.is_empty(),
            lines: Vec::new(),
        };
        loop {
            fold.lines.push((fold.signs.len(), at));
            fold.signs
                .extend_from_slice(text.get(at..at + line).unwrap_or_default());
            at += line;
            let rest = text.get(at..).unwrap_or_default();
            let end = line_end(rest);
            let next = rest.get(end..).filter(|next| begins_like(next, prefix));
            let next_line = next.map_or(0, |next| signs(next.get(prefix.len()..).unwrap_or_default()));
            if line < FULL || end == 0 || next_line == 0 {
                return (fold, at);
            }
            (at, line) = (at + end + prefix.len(), next_line);
        }
    }

    /// Where these signs stand in the text, with all that is between them.
    pub fn place(&self, signs: Range<usize>) -> Option<Range<usize>> {
        let of = |sign: usize| {
            let line = self.lines.partition_point(|(first, _)| *first <= sign);
            let (first, at) = self.lines.get(line.checked_sub(1)?)?;
            Some(at + (sign - first))
        };
        Some(of(signs.start)?..of(signs.end.checked_sub(1)?)? + 1)
    }

    /// The same, where the end of a line is between them.
    pub fn broken(&self, signs: Range<usize>) -> Option<Range<usize>> {
        let len = signs.len();
        self.place(signs).filter(|place| place.len() > len)
    }
}

/// What may stand before the lines of a text whose first goes on from `from` to its end, each with how many signs of
/// the first line belong to it. Nothing may, where the next line is none of this text.
fn prefixes<'t>(text: &'t [u8], from: usize, next: &'t [u8]) -> Vec<(&'t [u8], usize)> {
    let goes_on = |len: usize| next.get(len).is_some_and(is_base64);
    let least = from.saturating_sub(PREFIX);
    let before = text.get(least..from).unwrap_or_default();
    let plain = memrchr(b'\n', before).map_or(0, |n| n + 1);
    let escaped = memmem::rfind(before, br"\n").map_or(0, |n| n + 2);
    let first = before.get(plain.max(escaped)..).unwrap_or_default();
    let cut = first.len() == PREFIX;
    if !first.is_empty() && !cut && begins_like(next, first) && goes_on(first.len()) {
        return next
            .get(..first.len())
            .map(|prefix| (prefix, 0))
            .into_iter()
            .collect();
    }
    let marks = marks(next);
    if marks > 0 && goes_on(marks) {
        return next.get(..marks).map(|prefix| (prefix, 0)).into_iter().collect();
    }
    let mut all = Vec::new();
    if goes_on(0) {
        all.push((next.get(..0).unwrap_or_default(), 0));
        // The sign of a line in a diff is one of base64, too.
        let sign = first.first().or(text.get(from));
        if let (Some(b'+' | b'-'), true, true) = (sign, sign == next.first(), goes_on(1)) {
            all.push((next.get(..1).unwrap_or_default(), usize::from(first.is_empty())));
        }
    }
    all
}
