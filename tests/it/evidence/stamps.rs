//! Time stamps by a real authority: `openssl ts`, with a certificate authority made for the test.

use std::process::Command;

use incident::evidence::{Receipt, Stamp, StampRequest};

use super::*;
use crate::support::not_tested;

/// An authority in a folder: `ca.pem`, `tsa.pem`, `tsa.key`, and the configuration of `openssl ts`.
pub struct Authority {
    dir: TempDir,
}

const CONFIG: &str = "
[ext]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[tsa]
default_tsa = stamps
[stamps]
serial = serial
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ordering = no
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
";

impl Authority {
    /// `None`, loudly, where there is no openssl. `kind` as `-newkey` takes it, `digest` of the signature.
    fn new(kind: &[&str], digest: &str) -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            not_tested("time stamps (openssl)");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let config = format!("{CONFIG}signer_digest = {digest}\n");
        fs::write(dir.path().join("ts.cnf"), config).unwrap();
        fs::write(dir.path().join("serial"), "01\n").unwrap();
        let authority = Authority { dir };
        authority.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-days",
            "30",
            "-subj",
            "/CN=Test CA",
        ]);
        let mut args = vec!["req", "-new", "-newkey"];
        args.extend(kind);
        args.extend([
            "-nodes",
            "-keyout",
            "tsa.key",
            "-out",
            "tsa.csr",
            "-subj",
            "/CN=Test TSA",
        ]);
        authority.openssl(&args);
        authority.openssl(&[
            "x509",
            "-req",
            "-in",
            "tsa.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "20",
            "-extfile",
            "ts.cnf",
            "-extensions",
            "ext",
            "-out",
            "tsa.pem",
        ]);
        Some(authority)
    }

    pub fn rsa() -> Option<Self> {
        Authority::new(&["rsa:2048"], "sha256")
    }

    fn openssl(&self, args: &[&str]) -> String {
        let mut command = Command::new("openssl");
        said(&run(command.args(args).current_dir(self.dir.path())))
    }

    pub fn pem(&self, name: &str) -> Vec<u8> {
        fs::read(self.dir.path().join(name)).unwrap()
    }

    /// Answers a request; with its certificate in the answer, as the request asks.
    pub fn answer(&self, request: &[u8]) -> Vec<u8> {
        fs::write(self.dir.path().join("q.tsq"), request).unwrap();
        self.openssl(&[
            "ts",
            "-reply",
            "-config",
            "ts.cnf",
            "-section",
            "stamps",
            "-queryfile",
            "q.tsq",
            "-signer",
            "tsa.pem",
            "-inkey",
            "tsa.key",
            "-out",
            "q.tsr",
        ]);
        self.pem("q.tsr")
    }
}

fn request(text: &[u8]) -> StampRequest {
    StampRequest::new(Hash::of(text), [0xa5; 16])
}

#[test]
fn openssl_reads_our_requests_and_we_read_and_prove_its_answers() {
    for (kind, digest) in [
        (&["rsa:2048"][..], "sha256"),
        (&["rsa:3072"], "sha512"),
        (&["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "sha256"),
        (&["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], "sha384"),
    ] {
        let Some(authority) = Authority::new(kind, digest) else {
            return;
        };
        let request = request(b"head\n");
        let answer = authority.answer(&request.der());
        let text = authority.openssl(&["ts", "-query", "-in", "q.tsq", "-text"]);
        assert!(
            text.contains("Certificate required: yes") && text.contains("Nonce: 0x65A5"),
            "{text}"
        );
        fs::write(authority.dir.path().join("head"), "head\n").unwrap();
        let verify = [
            "ts", "-verify", "-data", "head", "-in", "q.tsr", "-CAfile", "ca.pem",
        ];
        assert!(authority.openssl(&verify).contains("Verification: OK"));

        let stamp = Stamp::parse(&answer).unwrap();
        assert!(stamp.answers(&request), "{kind:?}");
        assert_eq!(
            stamp.signed_by(&authority.pem("tsa.pem")).unwrap(),
            Ok(()),
            "{kind:?}"
        );
        assert!(stamp.signed_by(&authority.pem("ca.pem")).unwrap().is_err());
        assert!(stamp.signed_by(b"no certificate").is_err());
        assert!(!stamp.answers(&StampRequest::new(request.imprint, [1; 16])));
        assert!(!stamp.answers(&super::stamps::request(b"tail\n")));
    }
}

#[test]
fn no_changed_answer_is_proved_to_say_something_else() {
    let Some(authority) = Authority::rsa() else { return };
    let request = request(b"head\n");
    let answer = authority.answer(&request.der());
    let good = Stamp::parse(&answer).unwrap();
    let pem = authority.pem("tsa.pem");
    let mut refused = 0;
    for at in 0..answer.len() {
        let mut bad = answer.clone();
        bad[at] ^= 1 << (at % 8);
        match Stamp::parse(&bad) {
            Ok(stamp) if stamp.signed_by(&pem).unwrap().is_ok() => {
                let same =
                    (stamp.imprint, &stamp.nonce, stamp.at_ms) == (good.imprint, &good.nonce, good.at_ms);
                assert!(same, "byte {at}");
            }
            _ => refused += 1,
        }
    }
    // What may change without harm is outside the signature: the certificates that came along.
    assert!(refused > 200, "{refused}");
    for cut in 0..answer.len() {
        assert!(Stamp::parse(&answer[..cut]).is_err(), "{cut}");
    }
    let refusal = authority.answer(b"no request");
    let said = Stamp::parse(&refusal).unwrap_err().to_string();
    assert!(said.starts_with("the authority refused: status 2"), "{said}");
}

impl Case {
    /// Files what `incident anchor --tsq` and `--tsr` file, about the newest record.
    fn stamped(&mut self, authority: &Authority) -> u64 {
        let id = self.path.file_name().unwrap().to_str().unwrap().to_owned();
        let (seq, head) = (self.chain.next - 1, self.chain.head);
        let line = format!("incident-head v1 {id} {seq} {head}\n");
        let request = request(line.as_bytes());
        let file = |case: &Case, number: u64, end: &str, bytes: &[u8]| {
            fs::write(case.path.join(format!("anchors/{number:08}.{end}")), bytes).unwrap();
        };
        file(self, seq + 1, "head.txt", line.as_bytes());
        file(self, seq + 1, "tsq", &request.der());
        let asked = json!({"head_seq": seq, "head_sha256": head, "nonce": "65a5", "file": format!("{:08}.tsq", seq + 1),
            "sha256": Hash::of(&request.der())});
        let asked = self.record("anchor.requested", asked);
        let answer = authority.answer(&request.der());
        let name = format!("{:08}.tsr", self.chain.next);
        file(self, self.chain.next, "tsr", &answer);
        let filed = json!({"anchor": "time-stamp", "head_seq": seq, "head_sha256": head, "time": null, "words": "",
            "request": asked, "file": name, "sha256": Hash::of(&answer)});
        self.record("anchor.filed", filed);
        seq
    }
}

fn with_authority(path: &Path, authority: Option<&[u8]>) -> VerifyReport {
    let options = VerifyOptions {
        authority,
        ..VerifyOptions::default()
    };
    verify(path, &options).unwrap()
}

#[test]
fn a_stamp_proves_the_records_before_it_and_no_more() {
    let Some(authority) = Authority::rsa() else { return };
    let mut case = Case::new(ID);
    case.record("note.added", json!({"text": "it was us"}));
    let seq = case.stamped(&authority);
    case.record("note.added", json!({"text": "later"}));
    let words = |report: &VerifyReport| report.words()[3].clone();
    let unproved = |r: &Receipt| r.unproved.clone().unwrap_or_default();

    let told = with_authority(&case.path, None);
    assert_eq!(told.faults, []);
    assert_eq!(
        words(&told),
        "no record is vouched for from outside: the journal stands on its own word"
    );
    assert_eq!(
        unproved(&told.receipts[0]),
        "no certificate of the authority was handed in"
    );
    let line = told.receipts[0].words();
    let by_hand = line
        .split("in the folder: openssl ")
        .nth(1)
        .unwrap()
        .replace("CA.pem", "ca.pem");
    let mut openssl = Command::new("openssl");
    fs::copy(authority.dir.path().join("ca.pem"), case.path.join("tmp/ca.pem")).unwrap();
    let by_hand = by_hand.replace("ca.pem", "tmp/ca.pem");
    run(openssl.args(by_hand.split(' ')).current_dir(&case.path));

    let wrong = with_authority(&case.path, Some(&authority.pem("ca.pem")));
    assert_eq!(
        unproved(&wrong.receipts[0]),
        "no certificate handed in holds the key that signed it"
    );

    let proved = with_authority(&case.path, Some(&authority.pem("tsa.pem")));
    let (said, time) = (words(&proved), proved.receipts[0].time.clone().unwrap());
    assert_eq!(
        said,
        format!(
            "record {seq} is vouched for by a time stamp of {time}; 3 records after it stand on their own word"
        )
    );
    // In a sealed bundle, too, and nothing in it is in the way of other tools.
    let bundle = case.bundle();
    let report = with_authority(on_disk(&bundle).path(), Some(&authority.pem("tsa.pem")));
    assert_eq!((report.faults.len(), words(&report)), (0, said));
    let (_dir, top) = unpacked(&bundle);
    plain_tools_agree(&top);

    // Attack 6: everything before the stamp is written anew.
    let mut other = Case::new(ID);
    other.record("note.added", json!({"text": "it was not us"}));
    other.stamped(&authority);
    for file in fs::read_dir(case.path.join("anchors")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), other.path.join("anchors").join(file.file_name())).unwrap();
    }
    let report = with_authority(&other.path, Some(&authority.pem("tsa.pem")));
    let why: Vec<&str> = report.faults.iter().map(|f| f.why.as_str()).collect();
    assert!(
        why.contains(&format!("its head is not record {seq} of this journal").as_str()),
        "{why:?}"
    );
    assert_eq!(report.exit_code(), 10);
}

#[test]
fn a_stamp_that_is_not_of_this_record_is_a_fault() {
    let Some(authority) = Authority::rsa() else { return };
    let mut case = Case::new(ID);
    let seq = case.stamped(&authority);
    let tsr = case.path.join(format!("anchors/{:08}.tsr", seq + 2));
    let good = fs::read(&tsr).unwrap();
    let first = |case: &Case| {
        let report = with_authority(&case.path, None);
        report.faults[0].why.clone()
    };
    let line = fs::read(case.path.join(format!("anchors/{:08}.head.txt", seq + 1))).unwrap();
    let other = StampRequest::new(Hash::of(&line), [7; 16]);
    fs::write(&tsr, authority.answer(&other.der())).unwrap();
    assert_eq!(first(&case), "it answers no request of this record");
    fs::write(&tsr, authority.answer(&request(b"another text").der())).unwrap();
    assert_eq!(first(&case), "it stamps no head of this record");
    fs::write(&tsr, b"no answer").unwrap();
    assert!(first(&case).starts_with("it is no answer to a time-stamp request"));
    fs::write(&tsr, &good).unwrap();
    assert_eq!(with_authority(&case.path, None).faults, []);
    fs::remove_file(&tsr).unwrap();
    assert_eq!(first(&case), "not what the journal says was filed");
}

#[test]
fn a_stamp_of_the_seal_lies_beside_the_bundle() {
    let Some(authority) = Authority::rsa() else { return };
    let case = Case::new(ID);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.tar");
    fs::write(&path, case.bundle()).unwrap();
    let answer = authority.answer(&request(case.plan().to_sign()).der());
    fs::write(dir.path().join("shop.tar.tsr"), &answer).unwrap();
    let report = with_authority(&path, Some(&authority.pem("tsa.pem")));
    assert!(
        report.words()[3].starts_with("record 8 is vouched for by a time stamp of "),
        "{:?}",
        report.words()
    );
    // Without a seal by somebody known it still says nothing of who.
    assert_eq!(report.exit_code(), 11);
    fs::write(
        dir.path().join("shop.tar.tsr"),
        authority.answer(&request(b"x").der()),
    )
    .unwrap();
    let report = with_authority(&path, Some(&authority.pem("tsa.pem")));
    assert_eq!(
        report.notes,
        ["shop.tar.tsr does not count: it does not stamp the tagmanifest-sha256.txt of this bundle"]
    );
    assert!(report.unchanged() && report.receipts.is_empty());
}
