//! A desk to try the built program at: a made-up home, an empty environment, a jail around it.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use regex::Regex;
use rexpect::session::PtySession;
use tempfile::TempDir;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_incident");
const SYSTEM: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// As long as the name of a temporary home, so that lines break in the same places.
const HOME: &str = "/home/ana/shift";

/// Nothing of this host is found from in here: no other process, crontab, unit or shared memory.
const HIDE: &str = "for d in /run /dev/shm /var/spool/cron /etc/cron.d; do \
                    [ ! -d $d ] || mount -t tmpfs none $d || exit 99; done; \
                    : > /run/empty; [ ! -e /etc/crontab ] || mount --bind /run/empty /etc/crontab || exit 99; \
                    cd \"$HOME\" && exec \"$@\"";

/// One responder's home.
pub struct Desk {
    home: TempDir,
}

impl Desk {
    /// An empty home; `None`, loudly, where no jail can be made.
    pub fn new() -> Option<Desk> {
        static CAN: LazyLock<bool> = LazyLock::new(|| {
            let tried = Command::new("unshare").args(namespaces()).arg("true").status();
            tried.is_ok_and(|s| s.success())
        });
        if !*CAN {
            super::not_tested("a PID namespace");
            return None;
        }
        let home = tempfile::Builder::new().prefix("ana-").tempdir_in("/tmp");
        let desk = Desk { home: home.unwrap() };
        assert_eq!(desk.home().to_str().unwrap().len(), HOME.len());
        Some(desk)
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Writes a file below the home.
    pub fn file(&self, name: &str, text: &str) {
        let path = self.home().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A command in the jail.
    pub fn jailed(&self, program: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args(namespaces());
        command.args([
            "env",
            "-i",
            SYSTEM,
            "TERM=xterm",
            "NO_COLOR=1",
            "INCIDENT_AS=ana@example.com",
        ]);
        command.arg(format!("HOME={}", self.home().display()));
        command.args(["sh", "-c", HIDE, "sh", program]);
        command
    }

    /// Runs the program without a terminal.
    pub fn run(&self, args: &[&str]) -> Output {
        let mut command = self.jailed(PROGRAM);
        command.args(args).stdin(Stdio::null()).output().unwrap()
    }

    /// What the program says and how it ends, with everything that changes from run to run replaced.
    pub fn incident(&self, args: &[&str]) -> String {
        self.told(&self.run(args))
    }

    pub fn told(&self, out: &Output) -> String {
        let mut text = String::new();
        for (name, bytes) in [("stdout", &out.stdout), ("stderr", &out.stderr)] {
            if !bytes.is_empty() {
                text += &format!("[{name}]\n{}", self.plain(&String::from_utf8_lossy(bytes)));
            }
        }
        format!("{text}[exit {}]", out.status.code().unwrap_or(-1))
    }

    /// Ids, times and paths replaced, each at its own width.
    pub fn plain(&self, text: &str) -> String {
        static SHAPES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
            [
                (r"(INC|DRILL)-\d{8}-\d{4}-[a-z0-9]{4}", "$1-20261122-0314-k7qf"),
                (r"(INC|DRILL)-…-[a-z0-9]{4}", "$1-…-k7qf"),
                (
                    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
                    "2026-11-22T03:14:07.120Z",
                ),
                (r"\d{4}-\d\d-\d\d \d\d:\d\dZ", "2026-11-22 03:14Z"),
                (r"\d{4}-\d\d-\d\d \(UTC\)", "2026-11-22 (UTC)"),
                (r"(?m)^  \d\d:\d\d:\d\d #", "  03:14:07 #"),
                (
                    r"\b[0-9a-f]{64}\b",
                    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                ),
                (r"head [0-9a-f]{4}-[0-9a-f]{4}", "head 0123-4567"),
                (r"\b\d+(\.\d)? m?s\b", "0 s"),
                (r"byte \d+ of \d+", "byte 2738 of 3201"),
                (r"byte \d+,", "byte 2738,"),
            ]
            .map(|(shape, with)| (Regex::new(shape).unwrap(), with))
            .into()
        });
        let mut text = text.replace(&self.home().display().to_string(), HOME);
        for (shape, with) in SHAPES.iter() {
            text = shape.replace_all(&text, *with).into_owned();
        }
        text
    }

    /// The only incident of this home.
    pub fn id(&self) -> String {
        let cases = std::fs::read_dir(self.home().join(".local/share/incident")).unwrap();
        let names: Vec<String> = cases
            .map(|c| c.unwrap().file_name().into_string().unwrap())
            .collect();
        let [id] = names.as_slice() else {
            panic!("{names:?}")
        };
        id.clone()
    }

    /// Its journal.
    pub fn journal(&self) -> String {
        let case = self.home().join(".local/share/incident").join(self.id());
        std::fs::read_to_string(case.join("journal.jsonl")).unwrap()
    }

    /// Kinds of the records, in order.
    pub fn kinds(&self) -> Vec<String> {
        let kind = |line: &str| {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            record["type"].as_str().unwrap().to_owned()
        };
        self.journal().lines().map(kind).collect()
    }

    /// The program at a terminal of 80 columns.
    pub fn terminal(&self, args: &str) -> PtySession {
        let mut command = self.jailed("sh");
        command.args(["-c", &format!("stty cols 80 rows 40; exec {PROGRAM} {args}")]);
        rexpect::session::spawn_command(command, Some(30_000)).unwrap()
    }
}

fn namespaces() -> Vec<&'static str> {
    let mut all = vec!["--pid", "--fork", "--kill-child", "--mount-proc", "--mount"];
    if !rustix::process::geteuid().is_root() {
        all.extend(["--user", "--map-root-user"]);
    }
    all
}
