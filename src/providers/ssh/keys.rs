//! Public keys in an `authorized_keys` file: a line is switched off by a comment sign before it.
//!
//! The line stays where it is with its options, so giving it back needs nothing but the file.

/// What stands before a line that was switched off. sshd skips lines that begin with `#`.
const TAG: &str = "#incident: ";

/// The base64 part of a public key, as in `ssh-ed25519 AAAA… comment`.
pub(super) fn blob(key: &str) -> Option<&str> {
    let blob = key.split_whitespace().nth(1)?;
    let base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    (blob.len() >= 40 && blob.chars().all(base64)).then_some(blob)
}

/// How many lines let the key in.
pub(super) fn live(text: &str, blob: &str) -> usize {
    text.lines().filter(|line| means(line, blob)).count()
}

/// How many lines are switched off.
pub(super) fn off(text: &str, blob: &str) -> usize {
    let tagged = |line: &&str| line.strip_prefix(TAG).is_some_and(|rest| means(rest, blob));
    text.lines().filter(tagged).count()
}

/// The text with the key's lines switched off.
pub(super) fn without(text: &str, blob: &str) -> String {
    let line = |line: &str| match means(line, blob) {
        true => format!("{TAG}{line}"),
        false => line.to_owned(),
    };
    text.split_inclusive('\n').map(line).collect()
}

/// The text with the key's lines as they were.
pub(super) fn with(text: &str, blob: &str) -> String {
    let line = |line| match str::strip_prefix(line, TAG) {
        Some(rest) if means(rest, blob) => rest,
        _ => line,
    };
    text.split_inclusive('\n').map(line).collect()
}

fn means(line: &str, blob: &str) -> bool {
    !line.trim_start().starts_with('#') && line.split_whitespace().any(|word| word == blob)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_and_come_back_byte_for_byte() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeFakeFakeFakeFakeFake agent";
        let blob = blob(key).unwrap();
        let text = format!(
            "# people\nssh-ed25519 AAAAother ana\n{key}\ncommand=\"echo #1 x\",no-pty {key}\r\n#{key}\n{}",
            "ssh-rsa AAAAlast ben"
        );
        assert_eq!((live(&text, blob), off(&text, blob)), (2, 0));
        let cut = without(&text, blob);
        assert_eq!((live(&cut, blob), off(&cut, blob)), (0, 2));
        assert!(cut.contains("\nssh-rsa AAAAlast ben") || cut.ends_with("ssh-rsa AAAAlast ben"));
        assert_eq!(without(&cut, blob), cut, "twice is once");
        assert_eq!(with(&cut, blob), text);
        assert_eq!(with(&text, blob), text);
    }

    #[test]
    fn what_is_no_public_key_is_not_looked_for() {
        assert_eq!(blob("ssh-ed25519"), None);
        assert_eq!(blob("ssh-ed25519 short"), None);
        assert_eq!(
            blob("a $(reboot)aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
            None
        );
    }
}
