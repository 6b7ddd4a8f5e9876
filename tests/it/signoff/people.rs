//! Who stops counting while the incident runs, by the built program.

use incident::sshsig::fingerprint_of;

use super::alone::Team;

macro_rules! team {
    ($made:expr) => {
        match $made {
            Some(team) => team,
            None => return,
        }
    };
}

impl Team {
    fn print(&self, name: &str) -> String {
        fingerprint_of(&self.bench.public(name)).unwrap()
    }

    fn says(&self, args: &[&str]) -> (Option<i32>, String) {
        let out = self.ana.run(args);
        (out.status.code(), self.ana.told(&out))
    }
}

#[test]
fn a_key_found_stolen_stops_counting_at_once_and_nothing_brings_it_back() {
    let team = team!(Team::new(""));
    let pasted = team.asked();
    let (Some(ben), Some(kim)) = (
        team.answer("ben", "sign", &pasted),
        team.answer("kim", "sign", &pasted),
    ) else {
        return;
    };
    assert_eq!(team.files(&ben).status.code(), Some(0));
    let stolen = team.print("ben");
    let (code, told) = team.says(&["signoff", "revoke", &stolen, "--why", "ben's laptop is gone"]);
    assert_eq!(code, Some(0), "{told}");
    for words in [
        "nothing undoes that here",
        "the approval of request",
        "by ben@example.com fell",
        "who can still sign: kim@example.com",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let (code, told) = team.done();
    assert_eq!(code, Some(3), "{told}");
    let again = team.files(&ben);
    let told = team.ana.told(&again);
    assert_eq!(again.status.code(), Some(5), "{told}");
    assert!(told.contains("is revoked"), "{told}");
    let no = team.answer("ben", "refuse", &pasted).unwrap();
    assert_eq!(team.files(&no).status.code(), Some(5));
    // Whoever took somebody out is named wherever people look, and so is what it costs.
    let brief = team.ana.incident(&["brief"]);
    assert!(brief.contains("taken out"), "{brief}");
    let (code, told) = team.says(&["signoff", "revoke", &stolen, "--why", "again"]);
    assert_eq!(code, Some(5), "{told}");
    // Another person signs, and the act runs.
    assert_eq!(team.files(&kim).status.code(), Some(0));
    assert_eq!(team.done().0, Some(0));
    // What ran on a signature that falls later stays in doubt of its signer.
    let (code, told) = team.says(&["signoff", "revoke", "kim@example.com", "--why", "she called"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("ran on the signature of kim@example.com: look at what it did"),
        "{told}"
    );
    assert!(
        told.contains("nobody on the roster is left who could sign"),
        "{told}"
    );
    let status = team.ana.incident(&["status"]);
    assert!(
        status.contains("ran on the signature of kim@example.com, whose key was taken out"),
        "{status}"
    );
    let report = team.ana.incident(&["report", "--format", "md"]);
    assert!(
        report.contains("**doubtful**: taken out by #") && report.contains("ben's laptop is gone"),
        "{report}"
    );
}

#[test]
fn taking_somebody_out_opens_no_other_way() {
    let team = team!(Team::new(""));
    for (args, words) in [
        (["eve@example.com", "--why", "x"], "nobody is called"),
        (["SHA256:short", "--why", "x"], "is no fingerprint"),
        (["ben@example.com", "--why", " "], "needs a reason"),
    ] {
        let (code, told) = team.says(&[["signoff", "revoke"].as_slice(), &args].concat());
        assert_ne!(code, Some(0), "{told}");
        assert!(told.contains(words), "{told}");
    }
    // Ana's own key: she asks as nobody, one more person signs.
    let mine = team.print("ana");
    assert_eq!(
        team.says(&["signoff", "revoke", &mine, "--why", "stolen"]).0,
        Some(0)
    );
    let (code, told) = team.says(&["escalate", "swap", "--key", ".ssh/id_ed25519"]);
    assert_eq!(code, Some(5), "{told}");
    assert!(told.contains("is revoked"), "{told}");
    let (code, told) = team.says(&["escalate", "swap"]);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("2 other people"), "{told}");
    // With everybody out the roster is not empty: nobody is enrolled in their place, and nobody acts alone.
    for who in ["ben@example.com", "kim@example.com"] {
        assert_eq!(
            team.says(&["signoff", "revoke", who, "--why", "stolen"]).0,
            Some(0)
        );
    }
    team.bench.key("eve", &["-t", "ed25519"]);
    team.ana
        .file("eve.pub", &format!("{}\n", team.bench.public("eve")));
    let (code, told) = team.says(&["enrol", "eve@example.com", "eve.pub", "--why", "she says so"]);
    assert_ne!(code, Some(0), "{told}");
    assert!(told.contains("there is a roster"), "{told}");
    assert_eq!(team.done().0, Some(3));
}
