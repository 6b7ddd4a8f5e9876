//! A bench of real keys in a temporary folder, driven through the real `ssh-keygen`.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests run the program whose verdicts we compare ours with, and say what they could not try"
)]

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Debian's software authenticator (package `openssh-tests`): FIDO signatures without a device.
const SK_DUMMY: &str = "/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so";

pub struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    pub fn new() -> Self {
        Bench {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// False where the FIDO rows cannot be tried; the caller says so.
    pub fn has_fido() -> bool {
        let there = PathBuf::from(SK_DUMMY).exists();
        if !there {
            crate::support::not_tested("FIDO keys (Debian's openssh-tests)");
        }
        there
    }

    fn keygen(&self, args: &[&str], input: &[u8]) -> (bool, Vec<u8>) {
        let mut child = Command::new("ssh-keygen")
            .args(args)
            .current_dir(&self.dir)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.dir.path())
            .env("SSH_SK_PROVIDER", SK_DUMMY)
            // A PIN, where one is asked for, is empty and never asked on a terminal.
            .env("SSH_ASKPASS", "/bin/true")
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It may refuse before it has read everything.
        let _ = child.stdin.take().unwrap().write_all(input);
        let out = child.wait_with_output().unwrap();
        (out.status.success(), out.stdout)
    }

    /// Makes a key pair; `options` as for `ssh-keygen`, `-t` first.
    pub fn key(&self, name: &str, options: &[&str]) {
        let mut args = vec!["-q", "-N", "", "-C", "bench", "-f", name];
        args.extend(options);
        assert!(self.keygen(&args, b"").0, "{name}");
    }

    /// `type base64` of a key.
    pub fn public(&self, name: &str) -> String {
        let path = self.dir.path().join(format!("{name}.pub"));
        let text = fs::read_to_string(path).unwrap();
        text.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    pub fn sign(&self, name: &str, namespace: &str, message: &[u8]) -> Vec<u8> {
        let (signed, armour) = self.keygen(&["-Y", "sign", "-n", namespace, "-f", name], message);
        assert!(signed, "{name}");
        armour
    }

    /// Signs through an ssh-agent that holds the key, as whatever reaches its socket can: the key's own file is away.
    pub fn sign_by_agent(&self, name: &str, namespace: &str, message: &[u8]) -> Vec<u8> {
        let (socket, dir) = (self.dir.path().join("agent.sock"), self.dir.path());
        let here = |program: &str| {
            let mut command = Command::new(program);
            command.current_dir(dir).env_clear().env("PATH", "/usr/bin:/bin");
            command.env("HOME", dir).env("SSH_AUTH_SOCK", &socket);
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        let mut agent = here("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .spawn()
            .unwrap();
        let began = std::time::Instant::now();
        while !here("ssh-add").arg("-q").arg(name).status().unwrap().success() {
            assert!(began.elapsed() < crate::support::START, "no ssh-agent");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        fs::rename(dir.join(name), dir.join("away")).unwrap();
        fs::write(dir.join("message"), message).unwrap();
        let public = format!("{name}.pub");
        let mut sign = here("ssh-keygen");
        sign.args(["-Y", "sign", "-n", namespace, "-f", &public, "message"]);
        let signed = sign.status().unwrap().success();
        agent.kill().unwrap();
        agent.wait().unwrap();
        fs::remove_file(&socket).unwrap();
        fs::rename(dir.join("away"), dir.join(name)).unwrap();
        assert!(signed, "{name}");
        let armour = fs::read(dir.join("message.sig")).unwrap();
        fs::remove_file(dir.join("message.sig")).unwrap();
        armour
    }

    /// Signs one key with another: `name-cert.pub`. `options` as for `ssh-keygen -s`.
    pub fn certify(&self, authority: &str, name: &str, options: &[&str]) {
        let public = format!("{name}.pub");
        let mut args = vec!["-q", "-s", authority];
        args.extend(options);
        args.push(&public);
        assert!(self.keygen(&args, b"").0, "{options:?}");
    }

    /// What an authority signed for a key: `type base64`.
    pub fn certificate(&self, name: &str) -> String {
        self.public(&format!("{name}-cert"))
    }

    /// A list of revoked keys (KRL) of this specification, of this authority's certificates.
    pub fn krl(&self, authority: &str, spec: &str) -> Vec<u8> {
        fs::write(self.dir.path().join("spec"), spec).unwrap();
        let authority = format!("{authority}.pub");
        let args = ["-q", "-k", "-f", "krl", "-s", &authority, "spec"];
        assert!(self.keygen(&args, b"").0, "{spec}");
        fs::read(self.dir.path().join("krl")).unwrap()
    }

    /// The private half of a key.
    pub fn private(&self, name: &str) -> Vec<u8> {
        fs::read(self.dir.path().join(name)).unwrap()
    }

    /// Whether it verifies beside a list of revoked keys.
    pub fn verifies_unless(
        &self,
        krl: &[u8],
        roster: &str,
        who: &str,
        ns: &str,
        sig: &[u8],
        message: &[u8],
    ) -> bool {
        fs::write(self.dir.path().join("revoked"), krl).unwrap();
        self.verified(roster, who, ns, sig, message, &["-r", "revoked"])
    }

    pub fn verifies(&self, roster: &str, who: &str, ns: &str, sig: &[u8], message: &[u8]) -> bool {
        self.verified(roster, who, ns, sig, message, &[])
    }

    fn verified(&self, roster: &str, who: &str, ns: &str, sig: &[u8], message: &[u8], more: &[&str]) -> bool {
        fs::write(self.dir.path().join("roster"), roster).unwrap();
        fs::write(self.dir.path().join("sig"), sig).unwrap();
        let mut args = vec!["-Y", "verify", "-f", "roster", "-I", who, "-n", ns, "-s", "sig"];
        args.extend(more);
        self.keygen(&args, message).0
    }
}
