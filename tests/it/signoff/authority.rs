//! Taking out what an SSH authority vouches for, while the incident runs: a key, a person, the authority itself.

use super::alone::{Team, machine_of};
use super::keygen::Bench;
use crate::cli::RUNBOOK;
use crate::support::desk::Desk;

const CERTIFICATE: &str = ".ssh/id_ed25519-cert.pub";

/// Kim has a line of her own; who else there is, an authority says.
fn roster(bench: &Bench) -> String {
    bench.key("authority", &["-t", "ed25519"]);
    format!(
        "*@example.com,!kim@example.com cert-authority {}\nkim@example.com {}\n",
        bench.public("authority"),
        bench.public("kim")
    )
}

fn team() -> Option<Team> {
    let team = Team::of(RUNBOOK, "", roster)?;
    vouch(&team, "ana", &team.ana, "1");
    Some(team)
}

/// Has the authority vouch for somebody, and lays that beside their key.
fn vouch(team: &Team, name: &str, desk: &Desk, serial: &str) {
    let who = format!("{name}@example.com");
    let options = ["-I", name, "-n", &who, "-z", serial];
    team.bench.certify("authority", name, &options);
    desk.file(CERTIFICATE, &format!("{}\n", team.bench.certificate(name)));
}

/// What somebody whom the authority vouches for sends back.
fn approves(team: &Team, name: &str, serial: &str, pasted: &str) -> Option<String> {
    let desk = machine_of(&team.bench, name)?;
    vouch(team, name, &desk, serial);
    team.answer_at(&desk, &["sign", "--yes", "--key", CERTIFICATE], pasted)
}

macro_rules! some {
    ($made:expr) => {
        match $made {
            Some(made) => made,
            None => return,
        }
    };
}

#[test]
fn what_an_authority_vouched_for_falls_with_it() {
    let team = some!(team());
    let pasted = team.asked_with(CERTIFICATE);
    let ben = some!(approves(&team, "ben", "2", &pasted));
    let filed = team.files(&ben);
    assert_eq!(filed.status.code(), Some(0), "{}", team.ana.told(&filed));
    let authority = team.print("authority");
    let (code, told) = team.says(&[
        "signoff",
        "revoke",
        &authority,
        "--why",
        "its host was broken into",
    ]);
    assert_eq!(code, Some(0), "{told}");
    for words in [
        "the authority for *@example.com, !kim@example.com,",
        "by ben@example.com fell",
        "who can still sign: kim@example.com",
    ] {
        let told = told.replace('\n', " ");
        assert!(told.contains(words), "{words}: {told}");
    }
    // The request was Ana's by the same authority's word: nobody's now, and one more signs.
    let (code, told) = team.done();
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("2 other people"), "{told}");
    // What it vouches for from now on counts as little.
    team.bench.key("dan", &["-t", "ed25519"]);
    for (name, serial) in [("ben", "3"), ("dan", "4")] {
        let again = team.files(&some!(approves(&team, name, serial, &pasted)));
        let told = team.ana.told(&again);
        assert_eq!(again.status.code(), Some(5), "{told}");
        assert!(told.contains("is revoked"), "{told}");
    }
    let (code, told) = team.says(&["escalate", "swap", "--key", CERTIFICATE]);
    assert_eq!(code, Some(5), "{told}");
    // A line of her own is nobody else's word.
    let kim = some!(team.answer("kim", "sign", &pasted));
    assert_eq!(team.files(&kim).status.code(), Some(0));
}

#[test]
fn a_key_that_an_authority_vouched_for_is_out_under_every_certificate() {
    let team = some!(team());
    let pasted = team.asked_with(CERTIFICATE);
    let ben = some!(approves(&team, "ben", "2", &pasted));
    assert_eq!(team.files(&ben).status.code(), Some(0));
    let (code, told) = team.says(&["signoff", "revoke", &team.print("ben"), "--why", "stolen"]);
    assert_eq!(code, Some(0), "{told}");
    let line = told.replace('\n', " ");
    assert!(line.contains("a key that an authority vouches for"), "{told}");
    assert!(line.contains("by ben@example.com fell"), "{told}");
    assert!(
        line.contains("and whoever this authority vouches for: SHA256:"),
        "{told}"
    );
    assert_eq!(team.done().0, Some(3));
    // Vouched for anew, it is the same key.
    let again = team.files(&some!(approves(&team, "ben", "5", &pasted)));
    assert_eq!(again.status.code(), Some(5), "{}", team.ana.told(&again));
    // The authority was not taken out, nor was Ana, whom it vouches for as well.
    team.bench.key("dan", &["-t", "ed25519"]);
    let dan = team.files(&some!(approves(&team, "dan", "6", &pasted)));
    assert_eq!(dan.status.code(), Some(0), "{}", team.ana.told(&dan));
    let (code, told) = team.done();
    assert_eq!(code, Some(0), "{told}");
}

#[test]
fn somebody_whom_only_an_authority_knows_is_taken_out_by_name_before_they_sign() {
    let team = some!(team());
    let pasted = team.asked_with(CERTIFICATE);
    let (code, told) = team.says(&[
        "signoff",
        "revoke",
        "dan@example.com",
        "--why",
        "dan left in June",
    ]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.replace('\n', " ").contains("may vouch for it"), "{told}");
    team.bench.key("dan", &["-t", "ed25519"]);
    let dan = team.files(&some!(approves(&team, "dan", "7", &pasted)));
    assert_eq!(dan.status.code(), Some(5), "{}", team.ana.told(&dan));
    // A key that nobody has is said to be nobody's, with those that are there.
    let nobody = format!("SHA256:{}", "A".repeat(43));
    let (code, told) = team.says(&["signoff", "revoke", &nobody, "--why", "read from a photo"]);
    assert_eq!(code, Some(0), "{told}");
    let line = told.replace('\n', " ");
    assert!(line.contains("no line of the roster has this key"), "{told}");
    assert!(
        line.contains(&team.print("kim")) && line.contains(&team.print("authority")),
        "{told}"
    );
    let (code, told) = team.says(&["signoff", "revoke", "kim", "--why", "x"]);
    assert_eq!(code, Some(2), "{told}");
    assert!(
        told.contains("there: ana@example.com, ben@example.com, kim@example.com"),
        "{told}"
    );
}
