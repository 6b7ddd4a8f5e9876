//! What `/proc` says in bytes that a process chose: its words, its name, its files.
//!
//! Whoever runs here may give itself any bytes for a name. Text that is no UTF-8 must cost nobody the sight of it, so
//! each reader takes bytes and goes on; the `procfs` crate gives up on the whole file.

use std::path::PathBuf;
use std::str::FromStr;

use procfs::process::FDTarget;

/// Arguments out of `cmdline`; empty ones are left out, for what is behind a rewritten title is full of them.
pub(super) fn words(cmdline: &[u8]) -> Vec<String> {
    let words = cmdline.split(|b| *b == 0).filter(|word| !word.is_empty());
    words.map(text).collect()
}

/// The real user id out of `status`, where the name stands before it.
pub(super) fn real_uid(status: &[u8]) -> Option<u32> {
    let line = status
        .split(|b| *b == b'\n')
        .find_map(|l| l.strip_prefix(b"Uid:"))?;
    text(line).split_whitespace().next()?.parse().ok()
}

/// The files out of `maps`, each once.
pub(super) fn mapped(maps: &[u8]) -> Vec<String> {
    // Five fields and blanks stand before a path; what is no file has none, or one in brackets.
    let path = |line: &[u8]| {
        let start = line.iter().position(|b| *b == b'/')?;
        let fields = line.get(..start)?.split(|b| *b == b' ').filter(|f| !f.is_empty());
        (fields.count() == 5).then(|| text(line.get(start..).unwrap_or_default()))
    };
    let mut files: Vec<String> = maps.split(|b| *b == b'\n').filter_map(path).collect();
    files.sort();
    files.dedup();
    files
}

/// Inode and path out of `net/unix`, whose first line is a heading.
pub(super) fn unix_sockets(table: &[u8]) -> impl Iterator<Item = (u64, String)> {
    table.split(|b| *b == b'\n').skip(1).filter_map(|line| {
        let line = text(line);
        let mut fields = line.split_whitespace();
        let inode = fields.nth(6)?;
        let path = fields.collect::<Vec<_>>().join(" ");
        let named = if path.is_empty() {
            "unnamed".to_owned()
        } else {
            path
        };
        Some((inode.parse().ok()?, named))
    })
}

/// What an entry of `fd` points to.
pub(super) fn opened(link: PathBuf) -> FDTarget {
    let words = link.to_string_lossy().into_owned();
    FDTarget::from_str(&words).unwrap_or(FDTarget::Path(link))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_costs_nothing_that_is() {
        assert_eq!(
            words(b"claude\0-p\0\xff\xfe go on\0\0"),
            ["claude", "-p", "\u{fffd}\u{fffd} go on"]
        );
        assert_eq!(
            real_uid(b"Name:\t\xff\nUmask:\t0022\nUid:\t1000\t0\t0\t0\n"),
            Some(1000)
        );
        assert_eq!(real_uid(b"Name:\tx\n"), None);
        let maps = b"55d0-55d1 r-xp 00000000 fe:00 42                 /srv/a b\xff\n\
            7ffc-7ffd rw-p 00000000 00:00 0                  [stack]\n7f00-7f01 rw-p 00000000 00:00 0 \n\
            7f02-7f03 rw-s 00000000 00:01 1024               /dev/zero (deleted)\n";
        assert_eq!(mapped(maps), ["/dev/zero (deleted)", "/srv/a b\u{fffd}"]);
        let table = b"Num       RefCount Protocol Flags    Type St Inode Path\n\
            0: 00000002 00000000 00010000 0001 01 77 /run/\xff x\n1: 00000002 00000000 00000000 0002 01 78\n";
        let found: Vec<_> = unix_sockets(table).collect();
        assert_eq!(
            found,
            [(77, "/run/\u{fffd} x".to_owned()), (78, "unnamed".to_owned())]
        );
        let open = |link: &str| opened(PathBuf::from(link));
        assert_eq!(open("socket:[77]"), FDTarget::Socket(77));
        assert_eq!(open("socket:[x"), FDTarget::Path("socket:[x".into()));
    }
}
