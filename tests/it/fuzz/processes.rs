//! What `/proc` says of a process that chose its own name, words, folders and files: nothing of it hides the process.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use incident::world::Host;
use incident::world::host::{Process, RealHost};

use super::mutant::Mutant;
use super::{as_is, feed};
use crate::support::START;

/// Stands between the parts of an input.
const PART: u8 = 0x1e;

/// The part as a name of a file, 80 bytes of it at most.
fn name(part: &[u8], before: &str) -> OsString {
    let fits = part.iter().copied().filter(|b| *b != 0 && *b != b'/').take(80);
    OsString::from_vec(before.bytes().chain(fits).collect())
}

fn lossy(text: impl AsRef<OsStr>) -> String {
    text.as_ref().to_string_lossy().into_owned()
}

/// A shell under another name, which waits for what never comes. Runs in a jail: it looks at every process there is.
#[test]
#[ignore = "runs in a jail of its own"]
fn processes() {
    let seeds: [&[u8]; 5] = [
        b"node\x1eshop\x1elog.txt\x1etoken\x1enode\x1e/opt/claude/cli.js\x1e-p\x1ego on",
        b"a) S 1 1 1 (b\x1ea b\x1esocket:[7]\x1ea=b\nc\x1e\x1e--\x1e",
        b"\xff\xfe\x1e\xc3\x28\x1e\xe2\x82\x1e\xff\x1e\xff\x1ecaf\xe9",
        b"Uid:\t0\t0\nUid:\t0\x1e\n\x1e(deleted)\x1e\x1e-sh\x1e\x1b[2J",
        b"[kworker/0:1]\x1e\\012\x1e\xe2\x80\xae\x1e \x1e \x1e \x1e\t",
    ];
    let words = ["\x1e", ") R 1 ", "\n", "\\012", " (deleted)", "=", "\u{fffd}"];
    let folder = tempfile::tempdir().unwrap();
    let shell = folder.path().join("shell");
    std::fs::copy("/bin/sh", &shell).unwrap();
    let host = RealHost::new();
    let us = host.identity();
    feed("processes", &Mutant::new(seeds, &words), as_is, |input| {
        let mut parts = input.split(|b| *b == PART);
        let mut part = || parts.next().unwrap_or_default();
        let program = folder.path().join(name(part(), "p"));
        let cwd = folder.path().join(name(part(), "c"));
        let open = folder.path().join(name(part(), "o"));
        let no_zero = |part: &[u8]| OsString::from_vec(part.iter().copied().filter(|b| *b != 0).collect());
        let (value, zeroth) = (no_zero(part()), no_zero(part()));
        let rest: Vec<OsString> = parts.map(no_zero).collect();
        std::fs::hard_link(&shell, &program).unwrap();
        std::fs::create_dir(&cwd).unwrap();
        let mut child = Command::new(&program)
            .arg0(&zeroth)
            .args(["-s", "--"])
            .args(&rest)
            .env_clear()
            .env("SEEN", &value)
            .current_dir(&cwd)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&open).unwrap())
            .spawn()
            .unwrap();
        let seen = begun(&host, child.id());
        assert_eq!((seen.uid, seen.ppid, &seen.user), (us.uid, us.pid.pid, &us.user));
        assert_eq!(
            (seen.exe.as_deref(), seen.cwd.as_deref()),
            (Some(&*program), Some(&*cwd))
        );
        let given = [&zeroth, OsStr::new("-s"), OsStr::new("--")].into_iter();
        let given = given.chain(rest.iter().map(OsString::as_os_str)).map(lossy);
        assert_eq!(
            seen.argv,
            given.filter(|word| !word.is_empty()).collect::<Vec<_>>()
        );
        let holds = |name: &str, wanted: &str| {
            let environment = host.environment(seen.id);
            let found = environment.iter().find(|(n, _)| n == name);
            assert!(found.is_some_and(|(_, value)| value.expose() == wanted), "{name}");
        };
        holds("SEEN", &lossy(&value));
        let (files, maps) = (host.open_files(seen.id), host.mapped_files(seen.id));
        assert!(files.contains(&lossy(&open)), "{files:?}");
        assert!(maps.contains(&as_maps_say(&program)), "{maps:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        for file in [program, open] {
            std::fs::remove_file(file).unwrap();
        }
        std::fs::remove_dir(cwd).unwrap();
    });
}

/// The process as it is seen once its words are there: for a moment after it began, the kernel has none.
fn begun(host: &RealHost, pid: u32) -> Process {
    let began = Instant::now();
    while began.elapsed() < START {
        let all = host.processes().unwrap();
        let seen = all.into_iter().find(|p| p.id.pid == pid);
        let seen = seen.expect("a process that runs is in the list");
        if !seen.argv.is_empty() {
            return seen;
        }
    }
    panic!("its words are never seen");
}

/// The kernel keeps the lines of `maps` apart.
fn as_maps_say(path: &Path) -> String {
    let bytes: Vec<u8> = path
        .as_os_str()
        .as_bytes()
        .iter()
        .flat_map(|b| match b {
            b'\n' => b"\\012".to_vec(),
            other => vec![*other],
        })
        .collect();
    lossy(PathBuf::from(OsString::from_vec(bytes)))
}
