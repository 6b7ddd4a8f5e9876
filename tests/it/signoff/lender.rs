//! Who lends a role, or takes somebody out, where nobody said it: the key says it, or somebody is asked.

use super::alone::{Team, machine_of};
use super::people::asks_for_a_dba;
use crate::support::desk::{Desk, PROGRAM};

/// Without a word of who it is.
fn unnamed(desk: &Desk, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = desk.jailed("env");
    let out = command
        .args(["-u", "INCIDENT_AS", PROGRAM])
        .args(args)
        .output()
        .unwrap();
    let told = desk.told(&out).split_whitespace().collect::<Vec<_>>().join(" ");
    (
        out.status.code(),
        told,
        String::from_utf8_lossy(&out.stdout).into_owned(),
    )
}

/// Somebody's own machine, with the team's files on it.
fn at_home(team: &Team, name: &str) -> Option<Desk> {
    let desk = machine_of(&team.bench, name)?;
    for file in ["runbook.yaml", "allowed_signers"] {
        let text = std::fs::read_to_string(team.ana.home().join("incident").join(file)).unwrap();
        desk.file(&format!("incident/{file}"), &text);
    }
    Some(desk)
}

const LEND: [&str; 7] = [
    "delegate",
    "dba",
    "--to",
    "kim@example.com",
    "--until",
    "4h",
    "--yes",
];

#[test]
fn who_lends_is_whose_key_it_is_and_what_lends_nothing_is_refused_before_anybody_signs() {
    let Some(team) = asks_for_a_dba() else { return };
    let Some(ben) = at_home(&team, "ben") else { return };
    let (code, told, block) = unnamed(&ben, &LEND);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("from: ben@example.com"), "{told}");
    assert_eq!(team.files(&block).status.code(), Some(0));
    // Ana does not hold it: that is said at once, with who does, and nothing is signed.
    let (code, told, block) = unnamed(&team.ana, &LEND);
    assert_eq!((code, block.as_str()), (Some(5), ""), "{told}");
    for words in [
        "ana@example.com neither as `dba`",
        "who may lend `dba`: ben@example.com",
        "nothing was signed",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    // In another's name: the key is not theirs.
    let as_ben = [&LEND[..], &["--as", "ben@example.com"]].concat();
    let (code, told, block) = unnamed(&team.ana, &as_ben);
    assert_eq!((code, block.as_str()), (Some(5), ""), "{told}");
    assert!(
        told.contains("ana@example.com signed what ben@example.com was to give"),
        "{told}"
    );
    // Names as the roster has them.
    let misspelt = [&LEND[..], &["--as", "bne@example.com"]].concat();
    let mut nobody = LEND;
    nobody[3] = "kin@example.com";
    for (desk, args) in [(&ben, &misspelt[..]), (&ben, &nobody[..])] {
        let (code, told, block) = unnamed(desk, args);
        assert_eq!((code, block.as_str()), (Some(2), ""), "{told}");
        assert!(
            told.contains("there: ana@example.com, ben@example.com, kim@example.com"),
            "{told}"
        );
    }
    let mut oneself = LEND;
    oneself[3] = "ben@example.com";
    let (code, told, _) = unnamed(&ben, &oneself);
    assert_eq!(code, Some(5), "{told}");
    assert!(told.contains("are one person"), "{told}");
    // A key that nobody on the roster has, and nobody to ask.
    team.bench.key("eve", &["-t", "ed25519"]);
    let Some(eve) = at_home(&team, "eve") else { return };
    let (code, told, block) = unnamed(&eve, &LEND);
    assert_eq!((code, block.as_str()), (Some(3), ""), "{told}");
    assert!(
        told.contains("nobody said who does this") && told.contains("--as ana@example.com"),
        "{told}"
    );
    // Where no roster is, neither: the machine of somebody who has nothing but a key.
    let Some(bare) = machine_of(&team.bench, "ben") else {
        return;
    };
    let (code, told, _) = unnamed(&bare, &LEND);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("--as PERSON"), "{told}");
}

#[test]
fn whoever_takes_somebody_out_says_who_they_are() {
    let Some(team) = asks_for_a_dba() else { return };
    let revoke = [
        "signoff",
        "revoke",
        "ben@example.com",
        "--why",
        "her laptop is gone",
    ];
    let (code, told, _) = unnamed(&team.ana, &revoke);
    assert_eq!(code, Some(3), "{told}");
    assert!(
        told.contains("nothing was changed") && told.contains("--as ana@example.com"),
        "{told}"
    );
    assert!(!team.ana.journal().contains("signer.revoked"));
    let named = [&revoke[..], &["--as", "ana@example.com"]].concat();
    let (code, told, _) = unnamed(&team.ana, &named);
    assert_eq!(code, Some(0), "{told}");
    // The boundary asks for a role, and with Ben it is gone.
    assert!(
        told.contains("none of them is `dba`, which the boundary asks for"),
        "{told}"
    );
}
