//! Originals sealed to somebody who is not here, opened by the real `age`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use incident::age::Sealer;
use incident::model::recipient::SealKey;
use serde_json::Value;
use tempfile::TempDir;

use crate::redact::{leaks, planted};
use crate::support::desk::{Desk, PROGRAM};
use crate::support::not_tested;

/// A runbook that keeps originals; `TO` stands for who can open them.
const RUNBOOK: &str = "\
version: 1
name: shop
boundary: { inside: [read, traffic], at: [config-change] }
evidence:
  seal-originals-to: [TO]
stages:
  stop: [ {revoke: all} ]
  assess:
    - { id: damage, ask: What is gone? }
";

/// Two people, each with the private half of a key in a file.
pub struct Keys {
    folder: TempDir,
    /// Public halves: of age itself, and of SSH.
    pub public: [String; 2],
}

impl Keys {
    /// `None`, loudly, where the program is missing.
    pub fn made() -> Option<Keys> {
        if Command::new("age").arg("--version").output().is_err() {
            not_tested("age (the package of that name)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let made = |program: &str, args: &[&str]| {
            let out = Command::new(program)
                .args(args)
                .current_dir(folder.path())
                .output();
            assert!(out.unwrap().status.success(), "{program} {args:?}");
        };
        made("age-keygen", &["-o", "age"]);
        made(
            "ssh-keygen",
            &["-q", "-t", "ed25519", "-N", "", "-C", "lee", "-f", "ssh"],
        );
        let text = fs::read_to_string(folder.path().join("age")).unwrap();
        let age = text
            .lines()
            .find_map(|l| l.strip_prefix("# public key: "))
            .unwrap();
        let ssh = fs::read_to_string(folder.path().join("ssh.pub")).unwrap();
        let public = [age.to_owned(), ssh.trim().to_owned()];
        Some(Keys { folder, public })
    }

    /// The private halves.
    pub fn private(&self) -> [PathBuf; 2] {
        ["age", "ssh"].map(|name| self.folder.path().join(name))
    }

    fn sealed(&self, to: &[usize], text: &[u8]) -> Vec<u8> {
        let keys: Vec<SealKey> = to
            .iter()
            .map(|n| SealKey::parse(&self.public[*n]).unwrap())
            .collect();
        let keys: Vec<&SealKey> = keys.iter().collect();
        let mut random = |buffer: &mut [u8]| {
            ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), buffer)
                .map_err(|_| std::io::Error::other("no random bytes"))
        };
        let mut sealer = Sealer::begin(Vec::new(), &keys, &mut random).unwrap();
        sealer.write_all(text).unwrap();
        sealer.finish().unwrap()
    }
}

/// What `age -d` makes of it; `Err` with its words where it refuses.
pub fn opened(sealed: &[u8], key: &Path) -> Result<Vec<u8>, String> {
    let mut age = Command::new("age")
        .args(["-d", "-i"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = age.stdin.take().unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = std::thread::scope(|scope| {
        // Where it refuses early it reads no further.
        scope.spawn(move || stdin.write_all(sealed));
        age.wait_with_output().unwrap()
    });
    match status.success() {
        true => Ok(stdout),
        false => Err(String::from_utf8_lossy(&stderr).into_owned()),
    }
}

#[test]
fn age_opens_what_is_sealed_and_for_nobody_else() {
    let (Some(keys), Some(strangers)) = (Keys::made(), Keys::made()) else {
        return;
    };
    for len in [0, 1, 65_535, 65_536, 65_537, 300_000] {
        let text: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
        let both = keys.sealed(&[0, 1], &text);
        for (n, key) in keys.private().iter().enumerate() {
            assert_eq!(opened(&both, key).as_ref(), Ok(&text), "{len} bytes");
            assert_eq!(opened(&keys.sealed(&[n], &text), key).as_ref(), Ok(&text));
            let refused = opened(&keys.sealed(&[1 - n], &text), key).unwrap_err();
            assert!(refused.contains("no identity matched"), "{refused}");
        }
        for key in strangers.private() {
            assert!(opened(&both, &key).unwrap_err().contains("no identity matched"));
        }
    }
}

#[test]
fn what_is_cut_short_or_changed_is_refused() {
    let Some(keys) = Keys::made() else { return };
    let text = vec![b'x'; 200_000];
    let whole = keys.sealed(&[0], &text);
    let key = &keys.private()[0];
    assert_eq!(opened(&whole, key), Ok(text));
    let chunk = 65_536 + 16;
    let payload = whole.len() - 200_000 - 4 * 16;
    // In the header, in a chunk, at the very edge of one, and just before the end.
    for len in [
        40,
        payload - 3,
        payload + 99,
        payload + chunk,
        payload + 3 * chunk,
        whole.len() - 1,
    ] {
        assert!(opened(&whole[..len], key).is_err(), "{len} bytes");
    }
    for at in [30, payload - 20, payload, payload + chunk + 1, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        assert!(opened(&changed, key).is_err(), "byte {at}");
    }
}

/// A home whose runbook seals to these, with a log full of secrets in it.
fn desk(to: &[(&str, &str)]) -> Option<Desk> {
    let desk = Desk::new()?;
    let to: Vec<String> = to
        .iter()
        .map(|(person, key)| format!("{{person: {person}, key: \"{key}\"}}"))
        .collect();
    desk.file("incident/runbook.yaml", &RUNBOOK.replace("TO", &to.join(", ")));
    let log: String = planted().iter().map(|(text, _)| format!("{text}\n")).collect();
    desk.file("shop.log", &log);
    desk.file("plain.log", "nothing to take out here\n");
    Some(desk)
}

fn start(desk: &Desk) {
    let out = desk.run(&["start", "--yes"]);
    assert!(matches!(out.status.code(), Some(3 | 4)), "{}", desk.told(&out));
}

fn done(desk: &Desk, args: &[&str]) -> String {
    let out = desk.run(args);
    assert_eq!(out.status.code(), Some(0), "{}", desk.told(&out));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Every file of the case below this folder of it, with its bytes.
fn kept(desk: &Desk, below: &str) -> Vec<(String, Vec<u8>)> {
    let case = desk.home().join(".local/share/incident").join(desk.id());
    let (mut all, mut open) = (Vec::new(), vec![case.join(below)]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => open.push(path),
                path => all.push((
                    path.strip_prefix(&case).unwrap().display().to_string(),
                    fs::read(&path).unwrap(),
                )),
            }
        }
    }
    all.sort();
    all
}

fn sealed(desk: &Desk) -> Vec<(String, Vec<u8>)> {
    let mut all = kept(desk, "data");
    all.retain(|(name, _)| name.ends_with(".age"));
    all
}

/// Everything the record says was looked at, newest last.
fn items(desk: &Desk) -> Vec<Value> {
    let of = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap();
        record["what"]["items"].as_array().cloned().unwrap_or_default()
    };
    desk.journal().lines().flat_map(of).collect()
}

#[test]
fn originals_go_to_whom_the_runbook_names_and_nowhere_else() {
    let Some(keys) = Keys::made() else { return };
    let to = [
        ("kim@vendor.example", &*keys.public[0]),
        ("lee@example.com", &*keys.public[1]),
    ];
    let Some(desk) = desk(&to) else { return };
    let log = desk.home().join("shop.log");
    let (log, text) = (log.to_str().unwrap(), fs::read(&log).unwrap());
    start(&desk);
    let said = done(&desk, &["capture", "--file", log]);
    assert!(
        said.contains("sealed, to kim@vendor.example, lee@example.com: shop.log.age"),
        "{said}"
    );
    done(
        &desk,
        &[
            "capture",
            "--file",
            desk.home().join("plain.log").to_str().unwrap(),
        ],
    );
    done(&desk, &["attach", log]);
    done(&desk, &["do", "--", "cat", log]);

    let sealed = sealed(&desk);
    let names: Vec<&str> = sealed
        .iter()
        .map(|(name, _)| name.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(
        sealed.len(),
        3,
        "of a look, of an attached file, of what an act wrote: {names:?}"
    );
    for (name, bytes) in &sealed {
        for key in keys.private() {
            assert_eq!(opened(bytes, &key).as_ref(), Ok(&text), "{name}");
        }
    }
    // The ledger says so in its own word, beside the file it belongs to.
    for item in items(&desk).iter().filter(|i| i["redactions"].as_u64() > Some(0)) {
        let name = format!("{}.age", item["name"].as_str().unwrap());
        let beside = items(&desk).into_iter().find(|i| i["name"] == *name).unwrap();
        assert_eq!(beside["status"], "sealed");
        assert_eq!(beside["why"], "to kim@vendor.example, lee@example.com");
    }
    let secrets: Vec<String> = planted()
        .into_iter()
        .map(|(_, s)| s)
        .filter(|s| s.len() >= 12)
        .collect();
    let bundle = desk.home().join("shop.tar");
    done(&desk, &["bundle", "-o", bundle.to_str().unwrap()]);
    let mut all = kept(&desk, ".");
    all.push(("the bundle".to_owned(), fs::read(&bundle).unwrap()));
    // What is reserved for the journal is long, and nothing yet.
    all.retain(|(_, bytes)| bytes.iter().any(|b| *b != 0));
    for (place, bytes) in &all {
        let leaked = secrets.iter().find(|secret| leaks(bytes, secret));
        assert_eq!(leaked, None, "in {place}");
    }

    // It is evidence like any other: listed, hashed, and no hole.
    let unpacked = Command::new("tar")
        .args(["xf", bundle.to_str().unwrap()])
        .current_dir(desk.home())
        .status();
    assert!(unpacked.unwrap().success());
    let bag = desk.home().join(desk.id());
    let manifest = fs::read_to_string(bag.join("manifest-sha256.txt")).unwrap();
    assert_eq!(manifest.matches(".age\n").count(), 3);
    let listed = done(&desk, &["evidence", "show", "--in", bundle.to_str().unwrap()]);
    assert_eq!(listed.matches("  sealed ").count(), 3, "{listed}");
    let report = done(&desk, &["report", "--format", "md"]);
    assert!(
        report.contains(
            "3 originals are kept beside what is redacted, sealed to kim@vendor.example, lee@example.com."
        ),
        "{report}"
    );
    // What VERIFY.txt says how to do.
    let script = fs::read_to_string(bag.join("VERIFY.txt")).unwrap();
    let line = script
        .lines()
        .find_map(|l| l.strip_prefix("#   age -d "))
        .unwrap();
    let (name, _) = &sealed[0];
    let line = line
        .replace("KEYFILE", keys.private()[0].to_str().unwrap())
        .replace("data/EXHIBIT/FILE.age", name);
    let line = line.split("    ").next().unwrap();
    let opened = Command::new("sh")
        .args(["-c", &format!("age -d {line}")])
        .current_dir(&bag)
        .status();
    assert!(opened.unwrap().success());
    assert_eq!(fs::read(bag.join("FILE")).unwrap(), text);
}

#[test]
fn whoever_has_a_hand_in_the_incident_gets_no_originals() {
    let Some(keys) = Keys::made() else { return };
    let [age, ssh] = keys.public.each_ref().map(String::as_str);
    // ana is at the keyboard; kim's key is really ben's.
    let cases = [
        (
            vec![("Ana@example.com", age)],
            "Ana@example.com acts in this incident",
        ),
        (
            vec![("kim@vendor.example", ssh)],
            "the key named for kim@vendor.example is ben@example.com's in allowed_signers",
        ),
    ];
    for (to, why) in cases {
        let Some(desk) = desk(&to) else { return };
        desk.file("incident/allowed_signers", &format!("ben@example.com {ssh}\n"));
        let log = desk.home().join("shop.log");
        start(&desk);
        let said = done(&desk, &["capture", "--file", log.to_str().unwrap()]);
        assert!(said.contains("1 failed"), "{said}");
        assert_eq!(sealed(&desk).len(), 0);
        let items = items(&desk);
        let file = items.iter().find(|i| i["name"] == "shop.log").unwrap();
        assert!(file["status"] == "collected" && file["redactions"].as_u64() > Some(200));
        let hole = items.iter().find(|i| i["name"] == "shop.log.age").unwrap();
        assert_eq!((&hole["status"], &hole["why"]), (&"failed".into(), &why.into()));
        let lint = desk.run(&["runbook", "lint"]);
        let lint = String::from_utf8_lossy(&lint.stdout).replace("\n  ", " ");
        assert!(
            to[0].0 == "Ana@example.com" || lint.contains("ben@example.com"),
            "{lint}"
        );
    }
    // With somebody else beside, the originals go there alone.
    let Some(desk) = desk(&[("ana@example.com", age), ("lee@example.com", ssh)]) else {
        return;
    };
    start(&desk);
    done(&desk, &["attach", desk.home().join("shop.log").to_str().unwrap()]);
    let [(_, bytes)] = &sealed(&desk)[..] else {
        panic!()
    };
    let [age, ssh] = keys.private();
    assert!(opened(bytes, &ssh).is_ok() && opened(bytes, &age).is_err());
    let why = "to lee@example.com; ana@example.com acts in this incident";
    assert!(
        items(&desk)
            .iter()
            .any(|i| i["status"] == "sealed" && i["why"] == why)
    );
}

#[test]
fn without_the_runbooks_word_no_original_is_kept() {
    let Some(desk) = desk(&[]) else { return };
    start(&desk);
    done(&desk, &["attach", desk.home().join("shop.log").to_str().unwrap()]);
    assert_eq!(sealed(&desk).len(), 0);
    assert!(items(&desk).iter().all(|i| i["status"] == "collected"));
}

#[test]
fn a_killed_act_leaves_no_half_sealed_original_in_the_evidence() {
    let Some(keys) = Keys::made() else { return };
    let Some(desk) = desk(&[("kim@vendor.example", &keys.public[0])]) else {
        return;
    };
    start(&desk);
    // Enough for a few sealed chunks, then silence.
    let script = "n=0; while [ $n -lt 40 ]; do cat shop.log; n=$((n + 1)); done; sleep 60";
    desk.file("noisy", script);
    let mut command = desk.jailed("timeout");
    let killed = command
        .args([
            "-s", "KILL", "3", PROGRAM, "do", "--", "tail", "-c", "+1", "-f", "shop.log",
        ])
        .current_dir(desk.home())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!killed.status.success());
    assert!(
        desk.kinds().iter().any(|k| k == "act.started"),
        "{}",
        desk.told(&killed)
    );
    assert!(!desk.kinds().iter().any(|k| k == "act.ended"));
    assert_eq!(sealed(&desk).len(), 0, "nothing unfinished is evidence");
    let left = kept(&desk, "tmp");
    let half = left
        .iter()
        .find(|(name, _)| name.ends_with("stdout.age"))
        .unwrap();
    assert!(opened(&half.1, &keys.private()[0]).is_err());
    let secrets: Vec<String> = planted()
        .into_iter()
        .map(|(_, s)| s)
        .filter(|s| s.len() >= 12)
        .collect();
    for (place, bytes) in left {
        assert!(!secrets.iter().any(|secret| leaks(&bytes, secret)), "in {place}");
    }
}

#[test]
fn a_nearly_full_disk_keeps_the_exhibit_and_says_that_the_original_is_missing() {
    let Some(keys) = Keys::made() else { return };
    let Some(desk) = desk(&[("kim@vendor.example", &keys.public[0])]) else {
        return;
    };
    let script = format!(
        "mkdir small && mount -t tmpfs -o size=40m,mode=700 none small && \
         {PROGRAM} --store small start --yes; {PROGRAM} --store small capture --file shop.log; \
         cp -r small/*/data kept; cp small/*/journal.jsonl kept"
    );
    let out = desk
        .jailed("sh")
        .args(["-c", &script])
        .current_dir(desk.home())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let journal = fs::read_to_string(desk.home().join("kept/journal.jsonl")).unwrap();
    let why = "its original could not be sealed: the disk of the record is nearly full";
    assert!(journal.contains(why), "{}\n{journal}", desk.told(&out));
    let redacted: Vec<PathBuf> = fs::read_dir(desk.home().join("kept"))
        .unwrap()
        .flatten()
        .map(|e| e.path().join("shop.log"))
        .filter(|p| p.exists())
        .collect();
    assert_eq!(redacted.len(), 1, "the exhibit itself is whole");
    assert!(!redacted[0].with_file_name("shop.log.age").exists());
}

#[test]
fn whoever_can_write_the_runbook_adds_nobody_who_reads_originals() {
    let Some(keys) = Keys::made() else { return };
    let Some(desk) = desk(&[("kim@vendor.example", &keys.public[0])]) else {
        return;
    };
    let made = desk
        .jailed("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "ana", "-f", "ana"])
        .output()
        .unwrap();
    assert!(made.status.success());
    let public = fs::read_to_string(desk.home().join("ana.pub")).unwrap();
    desk.file("incident/allowed_signers", &format!("ana@example.com {public}"));
    done(&desk, &["runbook", "trust", "--key", "ana"]);
    let runbook = desk.home().join("incident/runbook.yaml");
    let text = fs::read_to_string(&runbook).unwrap();
    let more = format!("\"}}, {{person: eve@example.com, key: \"{}\"}}]", keys.public[1]);
    assert!(text.contains("\"}]"));
    desk.file("incident/runbook.yaml", &text.replace("\"}]", &more));
    start(&desk);
    done(&desk, &["attach", "shop.log"]);
    let [(_, bytes)] = &sealed(&desk)[..] else {
        panic!()
    };
    let [kim, eve] = keys.private();
    assert!(opened(bytes, &kim).is_ok() && opened(bytes, &eve).is_err());
}
