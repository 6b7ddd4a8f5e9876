//! The adapter `ssh` against a real sshd, in a jail: own PID and mount namespaces, made-up accounts.

use crate::local::jailed;
use crate::support::not_tested;

macro_rules! jailed {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() {
            let program = std::path::Path::new("/usr/sbin/sshd").exists();
            if !program || !rustix::process::geteuid().is_root() {
                return not_tested("OpenSSH (`sshd`, and root to make an account for it)");
            }
            jailed(concat!("providers::ssh::inner::", stringify!($name)));
        })*
    };
}

jailed!(
    a_line_is_switched_off_the_session_ended_with_what_it_left_and_given_back,
    a_revocation_list_refuses_one_key_and_is_given_back_byte_for_byte,
);

mod inner {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::Instant;

    use incident::model::fact::{Fact, Proof};

    use crate::local::yard::{Keys, pause, world};
    use crate::providers::contract::{Case, error_text};
    use crate::support::{START, free_port};

    const KEYS: &str = "/run/account/.ssh/authorized_keys";
    const LIST: &str = "/run/revoked.krl";

    fn sh(script: &str) {
        let done = Command::new("sh")
            .args(["-e", "-c", script])
            .stdin(Stdio::null())
            .status();
        assert!(done.unwrap().success(), "{script}");
    }

    fn read(path: &str) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    /// An sshd with the accounts `root` and `agentbot`; whoever runs this may log in as both.
    struct Sshd {
        port: u16,
        child: Child,
    }

    impl Sshd {
        fn start(more: &str) -> Sshd {
            let port = free_port();
            // Nothing of this is seen outside the jail's own mount namespace.
            sh(&format!(
                "mount -t tmpfs -o mode=755 none /run
                mkdir -p /run/sshd /run/root/.ssh /run/account/.ssh
                chmod 700 /run/root /run/root/.ssh
                grep -v -e '^agentbot:' -e '^root:' /etc/passwd > /run/passwd
                echo 'root:x:0:0::/root:/bin/bash' >> /run/passwd
                echo 'agentbot:x:4242:4242::/run/account:/bin/sh' >> /run/passwd
                sed 's/^root:[^:]*/root:*/' /etc/shadow > /run/shadow
                echo 'agentbot:*:19000:0:99999:7:::' >> /run/shadow
                mount --bind /run/passwd /etc/passwd
                mount --bind /run/shadow /etc/shadow
                mount --bind /run/root /root
                for who in host agent ana; do ssh-keygen -q -t ed25519 -N '' -C $who -f /run/$who; done
                ssh-keygen -q -t ed25519 -N '' -C desk -f /root/.ssh/id_ed25519
                cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys
                # Start files that print are no answer.
                (echo 'echo Welcome'; echo 'echo end') > /root/.bashrc
                (echo '# people'; cat /run/ana.pub; printf 'no-pty '; cat /run/agent.pub; echo '# end') > {KEYS}
                chown -R 4242:4242 /run/account
                chmod 700 /run/account /run/account/.ssh
                printf '[127.0.0.1]:{port} ' | cat - /run/host.pub > /root/.ssh/known_hosts"
            ));
            let config = format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey /run/host\nPidFile none\nUsePAM no\n\
                 PasswordAuthentication no\nKbdInteractiveAuthentication no\n{more}"
            );
            std::fs::write("/run/sshd_config", config).unwrap();
            let child = Command::new("/usr/sbin/sshd")
                .args(["-D", "-f", "/run/sshd_config"])
                .stdin(Stdio::null())
                .spawn()
                .unwrap();
            let started = Instant::now();
            while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
                assert!(started.elapsed() < START, "sshd does not listen");
                pause(20);
            }
            Sshd { port, child }
        }

        /// A login with this key; the command runs as `agentbot`.
        fn ssh(&self, key: &str, command: &str) -> Command {
            let mut ssh = Command::new("ssh");
            ssh.args([
                "-F",
                "none",
                "-o",
                "BatchMode=yes",
                "-o",
                "IdentitiesOnly=yes",
                "-i",
                key,
            ])
            .args(["-p", &self.port.to_string(), "agentbot@127.0.0.1", command])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
            ssh
        }

        fn lets_in(&self, key: &str) -> bool {
            self.ssh(key, "true").status().unwrap().success()
        }

        fn login(&self) -> String {
            format!("ssh://agentbot@127.0.0.1:{}", self.port)
        }
    }

    impl Drop for Sshd {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    /// True while a `sleep` with this argument runs.
    fn sleeps(seconds: &str) -> bool {
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let line = format!("sleep\0{seconds}\0");
        all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
            .any(|read| read == line.as_bytes())
    }

    fn until(what: &str, seen: impl Fn() -> bool) {
        let started = Instant::now();
        while !seen() {
            assert!(started.elapsed() < START, "{what}");
            pause(20);
        }
    }

    #[test]
    #[ignore = "runs in a jail"]
    fn a_line_is_switched_off_the_session_ended_with_what_it_left_and_given_back() {
        let sshd = Sshd::start("");
        let before = read(KEYS);
        // One child in the session, one handed to init, one that shed every mark; and a service.
        let left = "(setsid sleep 7002 &); (env -i setsid /bin/sleep 7003 &); sleep 7001";
        let mut session = sshd.ssh("/run/agent", left).spawn().unwrap();
        let service = ["--reuid=4242", "--regid=4242", "--clear-groups", "sleep", "7004"];
        let mut service = Command::new("setpriv").args(service).spawn().unwrap();
        until("the session does not run", || {
            ["7001", "7002", "7004"].iter().all(|seconds| sleeps(seconds))
        });

        let world = world(&Keys::default());
        let (host, login) = (format!("ssh://root@127.0.0.1:{}", sshd.port), sshd.login());
        let key = read("/run/agent.pub");
        let with = [
            ("host", host.as_str()),
            ("user", "agentbot"),
            ("key", key.trim()),
            ("sshd-config", "/run/sshd_config"),
            ("login", login.as_str()),
        ];
        let mut case = Case::new(&world, "ssh", &with).secret(&read("/run/agent"));
        assert!(case.adapter().check(&case.target).is_empty());
        assert!(
            matches!(case.armed().as_slice(), [Fact::Noted { .. }]),
            "{:?}",
            case.armed()
        );

        let seen = case.before();
        assert_eq!(seen.len(), 2, "alive by use and by record: {seen:?}");
        assert_eq!(case.cut(), [Fact::Accepted { status: 0 }]);
        let seen = case.probe();
        assert!(seen.contains(&Fact::ReadBack { dead: true }), "{seen:?}");
        assert!(seen.contains(&Fact::TriedNew { refused: true }), "{seen:?}");
        assert_eq!(case.proof(), Proof::StillLive, "the session is open: {seen:?}");
        assert!(sleeps("7001") && sshd.lets_in("/run/ana"));
        let mode = std::fs::metadata(KEYS).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "the file is its owner's as before");

        let seen = case.sessions();
        assert!(
            matches!(seen.first(), Some(Fact::Listed { live: 4.. })),
            "{seen:?}"
        );
        assert!(seen.contains(&Fact::Listed { live: 0 }), "{seen:?}");
        assert!(
            matches!(seen.last(), Some(Fact::Residual { what, .. }) if what.starts_with("2 processes of agentbot")),
            "{seen:?}"
        );
        assert!(!sleeps("7001") && !sleeps("7002"));
        assert!(!session.wait().unwrap().success());
        case.probe();
        assert_eq!(case.proof(), Proof::RefusedNewUse, "{:?}", case.facts);
        assert_eq!(case.cut(), [Fact::AlreadyDone { status: 0 }]);

        let all = [with.as_slice(), &[("end", "account")]].concat();
        let mut whole = Case::new(&world, "ssh", &all);
        assert!(whole.sessions().contains(&Fact::Listed { live: 0 }));
        assert!(!sleeps("7003") && !sleeps("7004"));
        service.wait().unwrap();

        assert_eq!(
            case.restore(),
            [Fact::Accepted { status: 0 }, Fact::ReadBack { dead: false }]
        );
        assert_eq!(read(KEYS), before);
        assert!(sshd.lets_in("/run/agent"));

        let other = read("/run/host.pub");
        let mut nobody = Case::new(
            &world,
            "ssh",
            &[("host", &host), ("user", "agentbot"), ("key", other.trim())],
        );
        assert_eq!(nobody.stop(), Proof::Failed, "{:?}", nobody.facts);
        assert_eq!(read(KEYS), before);
    }

    #[test]
    #[ignore = "runs in a jail"]
    fn a_revocation_list_refuses_one_key_and_is_given_back_byte_for_byte() {
        let sshd = Sshd::start(&format!("RevokedKeys {LIST}\n"));
        assert!(
            !sshd.lets_in("/run/ana"),
            "a list that is not there refuses everybody"
        );
        let world = world(&Keys::default());
        let (login, key) = (sshd.login(), read("/run/agent.pub"));
        let with = [
            ("user", "agentbot"),
            ("key", key.trim()),
            ("krl", LIST),
            ("sshd-config", "/run/sshd_config"),
            ("login", login.as_str()),
        ];
        let mut case = Case::new(&world, "ssh", &with).secret(&read("/run/agent"));
        assert!(error_text(&case.cut()).contains("refuses every key"));
        assert!(
            !Path::new(LIST).exists(),
            "and making it would let everybody in again"
        );

        sh(&format!("ssh-keygen -q -k -f {LIST} -z 7 /run/host.pub"));
        let before = std::fs::read(LIST).unwrap();
        assert!(sshd.lets_in("/run/agent"));
        assert!(
            matches!(case.armed().as_slice(), [Fact::Noted { .. }]),
            "{:?}",
            case.armed()
        );
        assert_eq!(case.stop(), Proof::RefusedNewUse, "{:?}", case.facts);
        assert!(case.has(&Fact::ReadBack { dead: true }));
        assert!(sshd.lets_in("/run/ana") && !sshd.lets_in("/run/agent"));
        assert_eq!(case.cut(), [Fact::AlreadyDone { status: 0 }]);

        // What somebody else revoked since is not given back with it.
        let kept = std::fs::read(LIST).unwrap();
        sh(&format!("ssh-keygen -q -k -u -f {LIST} /run/ana.pub"));
        assert!(error_text(&case.restore()).contains("was changed since the cut"));
        assert!(!sshd.lets_in("/run/ana"));
        std::fs::write(LIST, &kept).unwrap();
        assert_eq!(
            case.restore(),
            [Fact::Accepted { status: 0 }, Fact::ReadBack { dead: false }]
        );
        assert_eq!(std::fs::read(LIST).unwrap(), before);
        assert!(sshd.lets_in("/run/agent"));
        let left = std::fs::read_dir("/run")
            .unwrap()
            .flatten()
            .filter(|e| e.file_name().to_string_lossy().starts_with("revoked.krl."));
        assert_eq!(left.count(), 0, "nothing lies about");

        // A list that sshd does not read refuses nobody, whatever is in it.
        sh(&format!("cp {LIST} /run/other.krl"));
        let other = with.map(|(name, value)| (name, if name == "krl" { "/run/other.krl" } else { value }));
        let mut idle = Case::new(&world, "ssh", &other).secret(&read("/run/agent"));
        assert_eq!(error_text(&idle.armed()), "sshd does not read this list");
        assert_eq!(idle.stop(), Proof::StillLive, "{:?}", idle.facts);

        std::fs::write("/run/other.krl", "no list").unwrap();
        assert!(error_text(&idle.cut()).contains("is no list that ssh-keygen reads"));
        assert_eq!(read("/run/other.krl"), "no list");
    }
}
