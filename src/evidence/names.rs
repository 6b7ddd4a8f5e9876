//! Which names a bundle may hold. A closed list: a name that is not understood is not a member.

/// The list of tag files; the signature is over its bytes.
pub const TAGMANIFEST: &str = "tagmanifest-sha256.txt";
/// The signature of [`TAGMANIFEST`].
pub const SIGNATURE: &str = "tagmanifest-sha256.txt.sig";
/// Says, in front of a part of a bundle, what of the whole is in it.
pub const DISCLOSURE: &str = "DISCLOSURE.txt";
/// The list of evidence files.
pub const MANIFEST: &str = "manifest-sha256.txt";
/// The chain.
pub const JOURNAL: &str = "journal.jsonl";
/// What is sealed.
pub const SEAL: &str = "SEAL.txt";
/// How to check without us.
pub const VERIFY: &str = "VERIFY.txt";
/// The ledger.
pub const LEDGER: &str = "ledger.json";
/// BagIt's own declaration.
pub const BAGIT: &str = "bagit.txt";
/// BagIt's metadata.
pub const BAG_INFO: &str = "bag-info.txt";
/// The roster pinned when the incident opened.
pub const ROSTER: &str = "allowed_signers";
/// Files pinned when the incident opened; a case may lack any of them.
pub const PINNED: [&str; 5] = [
    "access.yaml",
    ROSTER,
    "approved_acts.json",
    "revoked_keys",
    "runbook.yaml",
];
/// Tag files every bundle has.
pub const REQUIRED: [&str; 7] = [SEAL, VERIFY, BAG_INFO, BAGIT, JOURNAL, LEDGER, MANIFEST];

/// The one payload file of a bundle without evidence (BagIt wants a `data` folder).
pub const NOTHING: &str = "data/nothing-collected.txt";
/// What stands in it.
pub const NOTHING_TEXT: &[u8] = b"No evidence was collected in this incident.\n";

/// The `n` of `journal.damaged-<n>.jsonl`, a journal that was continued in a new one.
pub fn damaged_journal(name: &str) -> Option<u32> {
    let number = name.strip_prefix("journal.damaged-")?.strip_suffix(".jsonl")?;
    let plain = number.len() <= 6 && !number.starts_with('0') && number.bytes().all(|b| b.is_ascii_digit());
    number.parse().ok().filter(|_| plain)
}

/// The files of the journal in order: damaged ones by number, then the journal.
pub fn journals<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut damaged: Vec<(u32, &str)> = names
        .filter_map(|name| Some((damaged_journal(name)?, name)))
        .collect();
    damaged.sort_unstable();
    damaged
        .into_iter()
        .map(|(_, name)| name)
        .chain([JOURNAL])
        .collect()
}

/// Checks the name of a tag file.
pub fn check_tag(name: &str) -> Result<(), &'static str> {
    let known = REQUIRED.contains(&name) || PINNED.contains(&name) || damaged_journal(name).is_some();
    if known {
        return Ok(());
    }
    match name.split_once('/') {
        Some(("signoffs" | "anchors", rest)) if !rest.contains('/') => plain(rest),
        _ => Err("not a file of a bundle"),
    }
}

/// Checks the name of an evidence file: `data/` and then names this tool makes.
pub fn check_payload(name: &str) -> Result<(), &'static str> {
    let rest = name
        .strip_prefix("data/")
        .ok_or("evidence stands below `data/`")?;
    if rest.split('/').count() > 6 {
        return Err("more than six folders deep");
    }
    rest.split('/').try_for_each(plain)
}

/// Checks one part of a path.
fn plain(part: &str) -> Result<(), &'static str> {
    if part.is_empty() || part == "." || part == ".." {
        return Err("a part of the path is empty, `.` or `..`");
    }
    if part.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err("upper-case letters could be twins of another name");
    }
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    if part.len() > 100 || part.starts_with(['.', '-']) || !part.bytes().all(known) {
        return Err("only `a-z 0-9 . _ -`, 100 characters at most, not starting with `.` or `-`");
    }
    Ok(())
}

/// The record number that a name starts with, as in `0041-processes` or `00000041.txt`.
pub fn leading_seq(name: &str) -> Option<u64> {
    let end = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len());
    name[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_we_make_are_members() {
        for good in ["data/0003-ps/stdout", "data/0003-ps/files/a_b.log"] {
            assert_eq!(check_payload(good), Ok(()), "{good}");
        }
        for bad in [
            "data/../x",
            "data//x",
            "data/./x",
            "/data/x",
            "data/X",
            "data/a b",
            "data/é",
            "data/.x",
            "data/-x",
            "data/a\nb",
            "data/",
            "x",
            "data/1/2/3/4/5/6/7",
        ] {
            assert!(check_payload(bad).is_err(), "{bad}");
        }
        for good in ["SEAL.txt", "signoffs/00000041.txt.sig", "journal.damaged-1.jsonl"] {
            assert_eq!(check_tag(good), Ok(()), "{good}");
        }
        for bad in [
            "seal.txt",
            "case.key",
            "signoffs/a/b",
            "undo/1",
            "journal.damaged-.jsonl",
            TAGMANIFEST,
        ] {
            assert!(check_tag(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_tell_their_record() {
        assert_eq!(leading_seq("0041-ps"), Some(41));
        assert_eq!(leading_seq("ps"), None);
    }
}
