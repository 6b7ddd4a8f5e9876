//! The built program from the first head in the chat to a part of the bundle in a lawyer's hands.

use super::stamps::Authority;
use super::*;
use crate::cli;
use crate::support::desk::Desk;

/// A walk in contain, whose team has ana and ben on its roster; their keys lie in the home.
fn desk() -> Option<Desk> {
    let desk = cli::prepared()?;
    let mut signers = String::new();
    for who in ["ana", "ben"] {
        let key = fs::read_to_string(KEYS.path().join(who)).unwrap();
        desk.file(&format!("{who}.key"), &key);
        run(Command::new("chmod")
            .arg("600")
            .arg(desk.home().join(format!("{who}.key"))));
        let public = fs::read_to_string(KEYS.path().join(format!("{who}.pub"))).unwrap();
        signers += &format!("{who}@example.com {public}");
    }
    desk.file("incident/allowed_signers", &signers);
    desk.file("signers", &signers);
    for args in [
        &["start", "--yes"][..],
        &["answer", "damage", "the orders are gone"],
        &["seal", "--unknown", "which customers"],
        &["enter", "contain"],
    ] {
        let code = desk.run(args).status.code();
        assert!(matches!(code, Some(0 | 4)), "{}", desk.incident(args));
    }
    Some(desk)
}

/// What the program says, all of it, and how it ends.
fn says(desk: &Desk, args: &[&str]) -> (i32, String) {
    let output = desk.run(args);
    (output.status.code().unwrap(), said(&output))
}

fn whats(desk: &Desk, kind: &str) -> Vec<Value> {
    let journal = desk.journal();
    let lines = journal.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    lines
        .filter(|l| l["type"] == kind)
        .map(|l| l["what"].clone())
        .collect()
}

#[test]
fn heads_are_held_elsewhere_and_verify_says_how_far() {
    let Some(desk) = desk() else { return };
    let Some(authority) = Authority::rsa() else { return };
    let before = desk.journal();
    let (code, head) = says(&desk, &["anchor"]);
    assert_eq!((code, desk.journal()), (0, before), "looking records nothing");
    let line = head.lines().next().unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    let hash = Hash::of(format!("{}\n", desk.journal().lines().last().unwrap()).as_bytes());
    assert_eq!(
        (words[0], words[2], words[4]),
        ("incident-head", &*desk.id(), &*hash.to_string())
    );
    assert!(head.contains(&format!("short code: {}", hash.short())), "{head}");

    let (code, said) = says(&desk, &["anchor", "--note", "pasted", "--head", "0000-0000"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("no record has the head code 0000-0000"), "{said}");
    let (code, said) = says(&desk, &["note", "one more"]);
    assert_eq!(code, 0, "{said}");
    let shown = [
        "anchor",
        "--head",
        &hash.short(),
        "--note",
        "pasted in #incident at 03:40",
    ];
    assert_eq!(says(&desk, &shown).0, 0);
    let filed = whats(&desk, "anchor.filed");
    assert_eq!(
        filed[0]["head_sha256"],
        hash.to_string(),
        "the one that was pasted, not the newest"
    );

    let (code, said) = says(&desk, &["anchor", "--tsq", "q.tsq"]);
    assert_eq!(code, 0, "{said}");
    let request = fs::read(desk.home().join("q.tsq")).unwrap();
    fs::write(desk.home().join("a.tsr"), authority.answer(&request)).unwrap();
    let strange = StampRequestBytes::other();
    fs::write(desk.home().join("strange.tsr"), authority.answer(&strange)).unwrap();
    fs::write(desk.home().join("no.tsr"), "hello").unwrap();
    for (file, why) in [
        ("strange.tsr", "it answers no request of this record"),
        ("no.tsr", "it is no answer to a time-stamp request"),
    ] {
        let (code, said) = says(&desk, &["anchor", "--tsr", file]);
        assert!(code == 1 && said.contains(why), "{said}");
    }
    let (code, said) = says(&desk, &["anchor", "--tsr", "a.tsr"]);
    assert!(code == 0 && said.contains("A time stamp of record"), "{said}");
    assert!(
        says(&desk, &["anchor", "--tsr", "a.tsr"])
            .1
            .contains("is filed already")
    );

    fs::write(desk.home().join("tsa.pem"), authority.pem("tsa.pem")).unwrap();
    let stamped = whats(&desk, "anchor.requested")[0]["head_seq"].as_u64().unwrap();
    let (_, said) = says(&desk, &["verify"]);
    assert!(
        said.contains("has a time stamp that says") && said.contains("is not proved"),
        "{said}"
    );
    assert!(
        said.contains(&format!("ask for {}: pasted in #incident at 03:40", hash.short())),
        "{said}"
    );
    let (code, said) = says(&desk, &["verify", "--authority", "tsa.pem"]);
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(code, 11, "a time stamp says when, not who: {said}");
    assert!(
        flat.contains(&format!("record {stamped} is vouched for by a time stamp of")),
        "{said}"
    );
    assert!(
        flat.contains("2 records after it stand on their own word"),
        "{said}"
    );
}

/// A request that no record made.
struct StampRequestBytes;

impl StampRequestBytes {
    fn other() -> Vec<u8> {
        incident::evidence::StampRequest::new(Hash::of(b"x"), [9; 16]).der()
    }
}

#[test]
fn the_record_goes_into_other_hands_and_the_bundle_is_signed_by_several() {
    let Some(desk) = desk() else { return };
    let (code, said) = says(&desk, &["handoff", "--to", "ben@example.com", "--key", "ana.key"]);
    assert!(
        code == 1 && said.contains("the key is ana@example.com's, not ben@example.com's"),
        "{said}"
    );
    let (code, said) = says(&desk, &["handoff", "--to", "ben@example.com", "--key", "ben.key"]);
    assert!(
        code == 0 && said.contains("ben@example.com signed for the record up to"),
        "{said}"
    );
    let (code, said) = says(&desk, &["handoff", "--to", "kim@vendor.example"]);
    assert!(
        code == 0 && said.contains("They signed nothing; this is your word."),
        "{said}"
    );
    let handed = whats(&desk, "custody.handed");
    assert!(
        handed[0]["key"]["fingerprint"]
            .as_str()
            .unwrap()
            .starts_with("SHA256:")
    );
    assert_eq!(handed[1]["key"], Value::Null);
    let seq = handed[0]["head_seq"].as_u64().unwrap();
    let (_, said) = says(&desk, &["verify", "--signers", "signers"]);
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains(&format!(
            "record {seq} is vouched for by the hand-over receipt of ben@example.com; 2 records"
        )),
        "{said}"
    );
    // What ben signed is checked by the tool everybody has.
    let case = desk.home().join(".local/share/incident").join(desk.id());
    let text = case.join("anchors").join(handed[0]["file"].as_str().unwrap());
    let mut keygen = Command::new("ssh-keygen");
    keygen.args([
        "-Y",
        "verify",
        "-n",
        "handover@incident-v1",
        "-I",
        "ben@example.com",
        "-f",
    ]);
    keygen
        .arg(desk.home().join("signers"))
        .arg("-s")
        .arg(format!("{}.sig", text.display()));
    run(keygen.stdin(fs::File::open(&text).unwrap()));
    let report = says(&desk, &["report"]).1;
    assert!(
        report.contains("### Custody") && report.contains("who signed for it with SHA256:"),
        "{report}"
    );

    let (code, said) = says(
        &desk,
        &["bundle", "-o", "b.tar", "--key", "ana.key", "--key", "ben.key"],
    );
    assert!(code == 0 && said.contains("b.tar.ben@example.com.sig"), "{said}");
    let (code, said) = says(&desk, &["verify", "b.tar", "--signers", "signers"]);
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(matches!(code, 0 | 12), "{said}");
    assert!(
        flat.contains("vouched for: yes, by ana@example.com (SHA256:"),
        "{said}"
    );
    assert!(flat.contains(") and ben@example.com ("), "{said}");
    let (code, said) = says(&desk, &["countersign", "b.tar", "--key", "ben.key"]);
    assert!(code == 2 && said.contains("is there already"), "{said}");
    fs::remove_file(desk.home().join("b.tar.ben@example.com.sig")).unwrap();
    let (code, said) = says(&desk, &["countersign", "b.tar", "--key", "ben.key"]);
    assert!(code == 0 && said.contains("b.tar.ben@example.com.sig"), "{said}");
    fs::copy(KEYS.path().join("ben.pub"), desk.home().join("gone")).unwrap();
    let (_, said) = says(
        &desk,
        &["verify", "b.tar", "--signers", "signers", "--revoked", "gone"],
    );
    assert!(said.contains("its key is revoked"), "{said}");

    let (code, said) = says(
        &desk,
        &["disclose", "b.tar", "-o", "part.tar", "--only", "0009-nothing"],
    );
    assert!(
        code == 2 && said.contains("there is no file or exhibit `0009-nothing`"),
        "{said}"
    );
    let (code, said) = says(
        &desk,
        &["disclose", "b.tar", "-o", "part.tar", "--only", "runbook.yaml"],
    );
    assert!(code == 0 && said.contains("withheld"), "{said}");
    let (code, said) = says(&desk, &["verify", "part.tar", "--signers", "signers"]);
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(code == 12 && flat.contains("a part of a sealed bundle"), "{said}");

    // A changed bundle gets no signature.
    let mut bytes = fs::read(desk.home().join("b.tar")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(desk.home().join("bad.tar"), bytes).unwrap();
    let (code, said) = says(&desk, &["countersign", "bad.tar", "--key", "ben.key"]);
    assert!(code == 10 && said.contains("nothing was signed"), "{said}");
    assert!(!desk.home().join("bad.tar.ben@example.com.sig").exists());
}

#[test]
fn every_capture_has_a_host_a_program_and_a_clock_behind_it() {
    let Some(desk) = desk() else { return };
    let kinds = desk.kinds();
    let first = |kind: &str| kinds.iter().position(|k| k == kind).unwrap();
    assert!(first("custody.began") < first("capture.started"), "{kinds:?}");
    assert!(
        first("custody.began") > first("stop.ended"),
        "stop never waits for it"
    );
    let began = whats(&desk, "custody.began");
    let program = Hash::of(&fs::read(crate::support::desk::PROGRAM).unwrap()).to_string();
    assert_eq!(
        (began.len(), &began[0]["program_sha256"], &began[0]["tool"]),
        (1, &json!(program), &json!(env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(whats(&desk, "incident.opened")[0]["boot"], began[0]["boot"]);
    assert_eq!(says(&desk, &["attach", "shop.log"]).0, 0);
    assert_eq!(whats(&desk, "custody.began").len(), 1, "nothing changed");
    assert_eq!(
        whats(&desk, "clock.offset").len(),
        0,
        "no clock was there to compare with"
    );

    // Another program of the same name and version, on a host with chrony.
    let copy = desk.home().join("incident-copy");
    fs::copy(crate::support::desk::PROGRAM, &copy).unwrap();
    fs::OpenOptions::new()
        .append(true)
        .open(&copy)
        .unwrap()
        .write_all(b"x")
        .unwrap();
    desk.file(
        "bin/chronyc",
        "#!/bin/sh\n[ \"$*\" = '-n tracking' ] || exit 1\ncat <<E\n\
         System time     : 1.500000000 seconds fast of NTP time\nRoot delay      : 0.002000000 seconds\n\
         Root dispersion : 0.001000000 seconds\nLeap status     : Normal\nE\n",
    );
    run(Command::new("chmod")
        .arg("755")
        .arg(desk.home().join("bin/chronyc")));
    let mut jailed = desk.jailed("env");
    jailed.arg(format!(
        "PATH={}:/usr/bin:/bin",
        desk.home().join("bin").display()
    ));
    let output = run(jailed.arg(&copy).args(["attach", "shop.log"]));
    assert!(output.status.success());
    let began = whats(&desk, "custody.began");
    assert_eq!(began.len(), 2);
    assert_ne!(began[0]["program_sha256"], began[1]["program_sha256"]);
    let clock = &whats(&desk, "clock.offset")[0];
    assert_eq!(
        (&clock["source"], &clock["offset_ms"], &clock["uncertainty_ms"]),
        (&json!("chronyc"), &json!(1500), &json!(3))
    );
    let report = says(&desk, &["report"]).1;
    assert!(
        report.contains("this clock is 1.5 s ahead of chronyc, give or take 3 ms"),
        "{report}"
    );
}
