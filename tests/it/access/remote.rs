//! `stop --on`: a real sshd in a PID namespace of its own stands for the other host.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::{nowhere, proof, said};
use crate::support::desk::{Desk, PROGRAM};
use crate::support::{START, free_port, not_tested};

/// A host with a sshd, an agent that runs on it, and a home for root.
pub(crate) struct Box {
    pub(crate) home: tempfile::TempDir,
    port: u16,
    namespace: Child,
}

/// The agent and sshd; what belongs to this machine is hidden.
const BOOT: &str = "for d in /run /dev/shm /var/spool/cron /etc/cron.d; do \
    [ ! -d $d ] || mount -t tmpfs none $d || exit 99; done; mkdir -p /run/sshd; \
    : > /run/empty; [ ! -e /etc/crontab ] || mount --bind /run/empty /etc/crontab || exit 99; \
    home=$HOME; mount --bind $home /root || exit 99; export HOME=/root; cd /root; \
    CLAUDECODE=1 $home/bin/claude 300 & exec /usr/sbin/sshd -D -e -f $home/sshd_config";

impl Box {
    /// Boots it; `program` is what stands under the name `incident` in its `PATH`, if anything does.
    ///
    /// `copies` is false where no file can be brought there.
    pub(crate) fn boot(desk: &Desk, program: Option<&str>, copies: bool) -> Option<Box> {
        if !Path::new("/usr/sbin/sshd").exists() || !rustix::process::geteuid().is_root() {
            not_tested("stop on another host (openssh-server, and root)");
            return None;
        }
        let home = tempfile::Builder::new()
            .prefix("box-")
            .tempdir_in("/tmp")
            .unwrap();
        let at = home.path();
        std::fs::create_dir_all(at.join("bin")).unwrap();
        std::fs::create_dir_all(at.join(".ssh")).unwrap();
        std::fs::copy("/bin/sleep", at.join("bin/claude")).unwrap();
        if let Some(text) = program {
            std::fs::write(at.join("bin/incident"), text).unwrap();
            std::fs::set_permissions(at.join("bin/incident"), std::fs::Permissions::from_mode(0o755))
                .unwrap();
        }
        let key = |path: &Path| {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(path)
                .status();
            assert!(made.unwrap().success());
        };
        key(&at.join("hostkey"));
        std::fs::create_dir_all(desk.home().join(".ssh")).unwrap();
        key(&desk.home().join(".ssh/id"));
        std::fs::copy(desk.home().join(".ssh/id.pub"), at.join(".ssh/authorized_keys")).unwrap();
        let port = free_port();
        let sftp = if copies {
            "Subsystem sftp internal-sftp\n"
        } else {
            ""
        };
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {0}/hostkey\nAuthorizedKeysFile {0}/.ssh/authorized_keys\n\
             PermitRootLogin prohibit-password\nUsePAM no\nStrictModes no\nPidFile none\n{sftp}\
             SetEnv PATH={0}/bin:/usr/bin:/bin\n",
            at.display()
        );
        std::fs::write(at.join("sshd_config"), config).unwrap();
        let host = std::fs::read_to_string(at.join("hostkey.pub")).unwrap();
        desk.file(".ssh/known_hosts", &format!("[127.0.0.1]:{port} {host}"));
        desk.file(
            ".ssh/config",
            &format!("Host box\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile /root/.ssh/id\n"),
        );
        let namespace = Command::new("unshare")
            .args([
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "env",
                "-i",
                "PATH=/usr/bin:/bin",
            ])
            .arg(format!("HOME={}", at.display()))
            .args(["sh", "-c", BOOT])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let there = Box {
            home,
            port,
            namespace,
        };
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", there.port)).is_err() || !there.agent_runs() {
            assert!(started.elapsed() < START, "sshd does not answer");
            std::thread::sleep(Duration::from_millis(30));
        }
        Some(there)
    }

    /// True while a process here runs the agent's program.
    fn agent_runs(&self) -> bool {
        let agent = self.home.path().join("bin/claude");
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let mut programs = all.filter_map(|p| std::fs::read_link(p.path().join("exe")).ok());
        programs.any(|exe| exe == agent)
    }
}

impl Drop for Box {
    fn drop(&mut self) {
        let _ = self.namespace.kill();
        let _ = self.namespace.wait();
    }
}

/// Runs the program as somebody whose home ssh finds, too: it asks the system, not the environment.
fn at_the_desk(desk: &Desk, args: &[&str]) -> Output {
    let mut command = desk.jailed("sh");
    command.args(["-c", "mount --bind \"$HOME\" /root && exec \"$@\"", "sh", PROGRAM]);
    command.args(args).stdin(Stdio::null()).output().unwrap()
}

/// One copy at a time: copies of several tests would lie in the same folder.
static COPIES: Mutex<()> = Mutex::new(());

/// The copies of this program that lie where a host is given one; a test that was killed left some.
fn copies() -> BTreeSet<String> {
    let all = std::fs::read_dir("/tmp").unwrap().flatten();
    all.map(|f| f.file_name().to_string_lossy().into_owned())
        .filter(|name| name.len() == "incident-".len() + 32 && name.starts_with("incident-"))
        .collect()
}

#[test]
fn this_program_is_copied_there_run_and_removed() {
    let _alone = COPIES.lock();
    let Some(desk) = Desk::new() else { return };
    let Some(there) = Box::boot(&desk, None, true) else {
        return;
    };
    let before = copies();
    let out = at_the_desk(&desk, &["stop", "--on", "root@box"]);
    let text = said(&out);
    assert_eq!(out.status.code(), Some(4), "{text}");
    assert!(!there.agent_runs(), "{text}");
    // Over there a container was all that could be seen: nobody here says more.
    assert_eq!(proof(&desk, "on:root-box:claude-code"), "unprovable", "{text}");
    let journal = desk.journal();
    assert!(journal.contains("on root@box: not-seen-here"), "{journal}");
    assert!(
        journal.contains("told-by") && journal.contains("head "),
        "{journal}"
    );
    assert_eq!(copies(), before, "the copy was removed");
    // Its record stays there.
    assert!(there.home.path().join(".local/share/incident").is_dir());
    nowhere(&desk, &["OPENSSH PRIVATE KEY"], &[&out]);
}

/// A program that says the agent is gone and does nothing: what an agent would leave there.
fn liar() -> String {
    let lines = [
        r#"{"seq":1,"ts":"t","who":"root","type":"stop.started","what":{"mono_us":1,"targets":[{"target":{"tree":{"id":"claude-code","agent":"claude-code","rule":{}}},"window_ms":0,"found_by":"scan"}],"problems":[]}}"#,
        r#"{"seq":2,"ts":"t","who":"root","type":"stop.facts","what":{"target":"claude-code","phase":"kill","facts":[{"at_us":2,"fact":{"looked-for":{"found":0,"scope":"all processes of all users on box","whole":true}}}]}}"#,
        r#"{"result":{"incident":"INC-20261122-0314-k7qf","stage":"stop","records":3,"head":"ab"},"exit":3}"#,
    ];
    format!("#!/bin/sh\ncat <<'END'\n{}\nEND\nexit 3\n", lines.join("\n"))
}

#[test]
fn a_program_of_that_name_there_is_not_asked_where_ours_can_be() {
    let _alone = COPIES.lock();
    let Some(desk) = Desk::new() else { return };
    let Some(there) = Box::boot(&desk, Some(&liar()), true) else {
        return;
    };
    let out = at_the_desk(&desk, &["stop", "--on", "root@box"]);
    assert!(!there.agent_runs(), "{}", said(&out));
    assert!(!desk.journal().contains("INC-20261122-0314-k7qf"));
}

#[test]
fn the_word_of_a_program_found_there_proves_nothing() {
    let Some(desk) = Desk::new() else { return };
    let Some(there) = Box::boot(&desk, Some(&liar()), false) else {
        return;
    };
    let out = at_the_desk(&desk, &["stop", "--on", "root@box"]);
    let text = said(&out).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(out.status.code(), Some(4), "{text}");
    assert!(there.agent_runs());
    assert_eq!(proof(&desk, "on:root-box:claude-code"), "accepted", "{text}");
    assert_eq!(proof(&desk, "on:root-box"), "accepted");
    assert!(
        text.contains("which proves nothing") && text.contains("scp"),
        "{text}"
    );
    assert!(desk.journal().contains("copying this program there failed"));
}

#[test]
fn a_lost_connection_is_unknown_whatever_was_said_before() {
    let Some(desk) = Desk::new() else { return };
    let script = "#!/bin/sh\necho '{\"seq\":1,\"ts\":\"t\",\"who\":\"root\",\"type\":\"stop.started\",\"what\":{\"mono_us\":1,\"targets\":[],\"problems\":[]}}'\nsleep 0.3\nkill -9 $PPID\nsleep 5\n";
    let Some(there) = Box::boot(&desk, Some(script), false) else {
        return;
    };
    let out = at_the_desk(&desk, &["stop", "--on", "root@box"]);
    let text = said(&out).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(out.status.code(), Some(4), "{text}");
    assert!(
        text.contains("is unknown") && text.contains("the connection failed or was lost"),
        "{text}"
    );
    assert!(text.contains("scp"), "what to do is said: {text}");
    assert_eq!(proof(&desk, "on:root-box"), "failed");
    assert!(there.agent_runs());
}
