//! What fits on a line of the record. A line that is too long would be refused, and with it the stop:
//! whoever can write the access file must not be able to do that.

use serde::Serialize;

use crate::journal::LINE_CAP;

/// Bytes that the parts of one record may take together; the rest is for what stands beside them.
const ROOM: usize = LINE_CAP * 3 / 4;

/// True where this alone is too much for a record.
pub(super) fn too_long(item: &impl Serialize) -> bool {
    length(item) > ROOM
}

/// The items in groups that fit on a line each, in order; never no group at all.
pub(super) fn lines<T: Serialize>(items: Vec<T>) -> Vec<Vec<T>> {
    // One alone stays alone, however long it is; most are.
    if items.len() < 2 {
        return vec![items];
    }
    let (mut groups, mut group, mut taken) = (Vec::new(), Vec::new(), 0);
    for item in items {
        let length = length(&item);
        if taken + length > ROOM && !group.is_empty() {
            groups.push(std::mem::take(&mut group));
            taken = 0;
        }
        taken += length;
        group.push(item);
    }
    groups.push(group);
    groups
}

/// The first words of a long list of them, and how many more there are; little enough to stand beside others.
pub(super) fn first_words(all: Vec<String>) -> Vec<String> {
    const BYTES: usize = LINE_CAP / 8;
    const LONGEST: usize = 500;
    let (many, mut taken) = (all.len(), 0);
    let mut first: Vec<String> = Vec::new();
    for text in all {
        let text: String = text.chars().take(LONGEST).collect();
        taken += length(&text);
        if taken > BYTES {
            break;
        }
        first.push(text);
    }
    if first.len() < many {
        first.push(format!("and {} more", many - first.len()));
    }
    first
}

fn length(item: &impl Serialize) -> usize {
    let mut counted = Counted(0);
    // One byte for the comma. What cannot be written has no length, and is refused where it is written.
    serde_json::to_writer(&mut counted, item).map_or(0, |()| counted.0 + 1)
}

/// Counts bytes and keeps none: every fact of a sweep is measured.
struct Counted(usize);

impl std::io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_split_is_all_there_and_fits() {
        let items: Vec<String> = (0..2_000).map(|n| format!("{n:0>100}")).collect();
        let groups = lines(items.clone());
        assert!(groups.len() > 3 && groups.iter().all(|g| !too_long(g)));
        assert_eq!(groups.concat(), items);
        assert_eq!(lines(Vec::<u8>::new()), [Vec::<u8>::new()]);
    }

    #[test]
    fn a_long_list_of_words_is_counted_not_kept() {
        let words = first_words((0..1_000).map(|_| "\u{1}".repeat(900)).collect());
        assert_eq!(words.last().map(String::as_str), Some("and 998 more"));
        assert!(length(&words) < LINE_CAP / 7);
        assert_eq!(first_words(vec!["one".into()]), ["one"]);
    }
}
