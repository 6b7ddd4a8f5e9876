//! A disk that fills up under the built program: what is kept, and what is said.

use std::process::Stdio;

use super::disks::root_can_mount;
use crate::support::desk::{Desk as Responder, PROGRAM};

/// Everything below the store lies on a disk of 24 MiB.
const PRELUDE: &str = "P=$1; disk=$HOME/.local/share; mkdir -p $disk; mount -t tmpfs -o size=24m,mode=700 none $disk || exit 99; cd $HOME\n\
    \"$P\" stop > /dev/null; head -c 12000000 /dev/zero | tr '\\0' x | fold -w 100 > big.log\n";

#[test]
fn a_look_that_fills_the_disk_keeps_the_beginning_and_the_record_goes_on() {
    if !root_can_mount() {
        return;
    }
    let Some(desk) = Responder::new() else { return };
    let script = "\"$P\" capture --plan --file big.log; \"$P\" capture --file big.log; \"$P\" status; \"$P\" note one; echo noted $?\n\
         \"$P\" attach big.log; echo attached $?; \"$P\" bundle -o $disk/INC.tar; echo bundled $?\n\
         head -c 30000000 /dev/zero > $disk/filler 2>/dev/null; \"$P\" capture --host; echo captured $?; \"$P\" note two; echo noted again $?\n\
         rm $disk/filler; \"$P\" verify; echo verified $?; \"$P\" status --json; ls -d $disk/incident/INC-*/tmp/*; cp $disk/incident/INC-*/journal.jsonl .";
    let mut command = desk.jailed("sh");
    command.args(["-c", &format!("{PRELUDE}{script}"), "sh", PROGRAM]);
    let out = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&[&out.stdout[..], &out.stderr].concat()).into_owned();
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains("big.log truncated: no space left on the disk of the record"),
        "{text}"
    );
    // Said beforehand, each time: when it is planned, looked at twice, and attached.
    assert_eq!(
        flat.matches("little room: the disk of the record has").count(),
        4,
        "{text}"
    );
    for word in [
        "noted 0",
        "attached 1",
        "no space left",
        "bundled 1",
        "there is no bundle: it holds",
        "noted again 0",
    ] {
        assert!(flat.contains(word), "{word}: {text}");
    }
    // Not changed and not vouched for: what is missing is said, and nothing else is wrong.
    assert!(
        flat.contains("verified 11") || flat.contains("verified 12"),
        "{text}"
    );
    let journal = std::fs::read_to_string(desk.home().join("journal.jsonl")).unwrap();
    let begun = journal.matches("\"type\":\"capture.started\"").count();
    let ended = journal.matches("\"type\":\"capture.ended\"").count();
    assert_eq!((begun, ended), (2, 2), "no look ends in silence: {journal}");
    assert!(
        journal.contains("nothing of it could be kept") || journal.contains("no space left on the disk"),
        "{journal}"
    );
    assert!(journal.contains("\"two\""), "the reserve took it");
}

#[test]
fn an_act_whose_output_fills_the_disk_keeps_the_beginning_and_says_so() {
    if !root_can_mount() {
        return;
    }
    let Some(desk) = Responder::new() else { return };
    let script = "\"$P\" do --why look -- cat big.log; echo did $?; \"$P\" note one; echo noted $?; \"$P\" status\n\
         \"$P\" verify; cp $disk/incident/INC-*/journal.jsonl .";
    let mut command = desk.jailed("sh");
    command.args(["-c", &format!("{PRELUDE}{script}"), "sh", PROGRAM]);
    let out = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&[&out.stdout[..], &out.stderr].concat()).into_owned();
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "the program ended well",
        "truncated, no space left on the disk of the record; what is kept is the beginning: stdout",
        "did 0",
        "noted 0",
        "1 hole",
        "complete: no: 0003-act-do-3/stdout: truncated: no space left",
    ] {
        assert!(flat.contains(words), "{words}: {text}");
    }
    let journal = std::fs::read_to_string(desk.home().join("journal.jsonl")).unwrap();
    let filed = journal.lines().find(|l| l.contains("exhibit.filed")).unwrap();
    let filed: serde_json::Value = serde_json::from_str(filed).unwrap();
    let out = &filed["what"]["items"][0];
    assert_eq!(out["status"], "truncated");
    let kept = out["bytes"].as_u64().unwrap();
    assert!((1..12_000_000).contains(&kept), "{filed}");
    assert!(
        journal.contains("\"outcome\":\"done\""),
        "how it ended is known all the same"
    );
}
