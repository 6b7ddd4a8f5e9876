//! Names of files in an exhibit: plain ASCII, short enough for any archive, never twice the same.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Longest name of a file in an exhibit, in bytes.
const LONGEST: usize = 120;

/// A path as the name of a file in an exhibit: no `..`, nothing that needs quoting.
pub(super) fn plain(path: &Path) -> String {
    let mut name = String::new();
    for part in path.components() {
        let std::path::Component::Normal(part) = part else {
            continue;
        };
        if !name.is_empty() {
            name.push('/');
        }
        for byte in part.as_bytes() {
            let plain = byte.is_ascii_alphanumeric() || b"._-+=@,".contains(byte);
            // Writing to a String cannot fail.
            let _ = if plain {
                write!(name, "{}", char::from(*byte))
            } else {
                write!(name, "%{byte:02X}")
            };
        }
    }
    if name.is_empty() { "root".to_owned() } else { name }
}

/// The name, made short and unique among those given out before (letter case does not tell apart).
pub(super) fn unique(name: &str, given: &mut BTreeSet<String>) -> String {
    let mut candidate = name.to_owned();
    let mut n = 0;
    while candidate.len() > LONGEST || !given.insert(candidate.to_ascii_lowercase()) {
        n += 1;
        let end: String = name.rsplit('/').next().unwrap_or(name).chars().take(60).collect();
        candidate = format!("renamed/{n}-{end}");
    }
    candidate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_short_and_never_twice_the_same() {
        assert_eq!(plain(Path::new("/srv/../a b/ü.txt")), "srv/a%20b/%C3%BC.txt");
        assert_eq!(plain(Path::new("/")), "root");
        let mut given = BTreeSet::new();
        assert_eq!(unique("a/B", &mut given), "a/B");
        assert_eq!(unique("a/b", &mut given), "renamed/1-b");
        let long = format!("{}/file", "x".repeat(200));
        assert_eq!(unique(&long, &mut given), "renamed/1-file");
        assert_eq!(unique(&long, &mut given), "renamed/2-file");
    }
}
