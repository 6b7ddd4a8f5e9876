//! The built program on a disk that turns read-only under an open incident, command after command.

use crate::cli::RUNBOOK;
use crate::support::desk::{Desk, PROGRAM};

/// Each command with its exit code, in one mount namespace: the store is a disk of its own.
fn script() -> String {
    let run = |args: &str| format!("echo '== {args}'; $I {args} 2>&1; echo \"[exit $?]\"\n");
    let mut text = format!("mkdir st && mount -t tmpfs none st && I='{PROGRAM} --store st'\n");
    for args in ["start --yes", "answer damage gone"] {
        text += &run(args);
    }
    text += "mount -o remount,ro st || exit 99\n";
    for args in [
        "note first",
        "note second",
        "timeline",
        "status",
        "seal --unknown which",
        "stop",
        "note third",
    ] {
        text += &run(args);
    }
    text += "mount -o remount,rw st || exit 99\n";
    for args in ["note fourth", "note fifth", "timeline", "list"] {
        text += &run(args);
    }
    text + "$I verify st/INC-* 2>&1; echo \"[exit $?]\"\n"
}

#[test]
fn on_a_disk_that_turned_read_only_every_command_reads_what_is_there_and_the_record_goes_on() {
    let Some(desk) = Desk::new() else { return };
    desk.file("incident/runbook.yaml", RUNBOOK);
    desk.file("shop.log", "DROP TABLE orders\n");
    let out = desk.jailed("sh").args(["-c", &script()]).output().unwrap();
    let told = String::from_utf8_lossy(&out.stdout)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let said = |args: &str| {
        let (_, rest) = told
            .split_once(&format!("== {args} "))
            .unwrap_or_else(|| panic!("{args}: {told}"));
        rest.split("== ").next().unwrap_or_default().to_owned()
    };
    let first = said("note first");
    assert!(
        first.contains("the record goes on in /dev/shm/") && first.contains("[exit 0]"),
        "{first}"
    );
    for args in ["note second", "note third"] {
        let told = said(args);
        assert!(told.contains("[exit 0]"), "{told}");
        for words in [
            "cannot be written",
            "1 in /dev/shm/",
            "the next command takes them in",
            "nothing else may act",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
    }
    let status = said("status");
    assert!(
        status.contains("assess") && status.contains("cannot be written"),
        "{status}"
    );
    // What only reads says that it has not read everything.
    let timeline = said("timeline");
    assert!(
        timeline.contains("not in it: the records that wait in /dev/shm/") && !timeline.contains(" first "),
        "{timeline}"
    );
    // Stop asks nobody, and stays in the incident that is open.
    let stop = said("stop");
    assert!(
        stop.contains("Stop took") && !stop.contains("a new one"),
        "{stop}"
    );
    // Written again, it is one record, each word once.
    assert!(said("note fourth").contains("were taken into the case"), "{told}");
    assert!(!said("note fifth").contains("the case"), "{told}");
    let (_, last) = told.rsplit_once("== timeline").unwrap();
    assert!(!last.contains("not in it"), "{last}");
    for word in ["first", "second", "third", "fourth", "fifth"] {
        assert_eq!(last.matches(&format!(" {word} ")).count(), 1, "{word}: {last}");
    }
    assert_eq!(told.matches("[exit 10]").count(), 0, "{told}");
}
