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

fn plain(out: &[u8]) -> String {
    let text = String::from_utf8_lossy(out);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What this command said.
fn said(told: &str, args: &str) -> String {
    let (_, rest) = told
        .split_once(&format!("== {args} "))
        .unwrap_or_else(|| panic!("{args}: {told}"));
    rest.split("== ").next().unwrap_or_default().to_owned()
}

/// First the disk of the case, then that of its spool, then every place there is; then the case alone can be written.
const WORSE: &str = "run start --yes; run answer damage gone\n\
    mount -o remount,ro st || exit 99; run note first\n\
    mount -o remount,ro /dev/shm || exit 99; run note second; run status; run timeline\n\
    mount --rbind /tmp /tmp && mount -o remount,bind,ro /tmp || exit 99\n\
    mount --rbind /var/tmp /var/tmp && mount -o remount,bind,ro /var/tmp || exit 99; cd \"$HOME\"\n\
    run note third; run did 'turned a key'; run stop\n\
    mount -o remount,rw st || exit 99; run note fourth; run note fifth; run list; run timeline\n";

#[test]
fn where_the_spool_cannot_be_written_either_nothing_is_called_recorded_that_is_lost() {
    let Some(desk) = Desk::new() else { return };
    desk.file("incident/runbook.yaml", RUNBOOK);
    desk.file("shop.log", "DROP TABLE orders\n");
    let script = format!(
        "run() {{ echo \"== $*\"; {PROGRAM} --store \"$HOME/st\" \"$@\" 2>&1; echo \"[exit $?]\"; }}\n\
         mkdir st && mount -t tmpfs none st || exit 99\n{WORSE}"
    );
    let out = desk.jailed("sh").args(["-c", &script]).output().unwrap();
    assert_ne!(out.status.code(), Some(99), "{}", desk.told(&out));
    let told = plain(&out.stdout);
    let said = |args: &str| said(&told, args);
    // The next place takes it; what the first holds is read from there.
    let second = said("note second");
    for words in [
        "[exit 0]",
        "1 in /dev/shm/",
        "what this command adds waits in /tmp/incident-spool-",
    ] {
        assert!(second.contains(words), "{words}: {second}");
    }
    assert!(said("status").contains("assess"), "{told}");
    // With no place left, what people say is refused, in one sentence and with the way on.
    for args in ["note third", "did turned a key"] {
        let told = said(args);
        assert!(
            told.contains("[exit 1]") && !told.contains("It is on record"),
            "{told}"
        );
        for words in [
            "Error: neither the case folder nor any other place can be written, so this is on no record",
            "Write down by hand what you did",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
    }
    // Stop goes on, and says what its record is worth.
    let stop = said("stop");
    for words in [
        "Stop took",
        "stands only in memory and is lost when it ends, so keep what stands on this screen",
    ] {
        assert!(stop.contains(words), "{words}: {stop}");
    }
    // Taken in once, and what cannot be removed is called neither new nor missing.
    let fourth = said("note fourth");
    assert!(
        fourth.contains("were taken into the case") && fourth.contains("may stay"),
        "{fourth}"
    );
    assert!(!said("note fifth").contains("The record:"), "{told}");
    let timeline = told.rsplit("== timeline").next().unwrap();
    assert!(!timeline.contains("not in it"), "{timeline}");
    for word in ["first", "second", "fourth", "fifth"] {
        assert_eq!(
            timeline.matches(&format!(" {word} ")).count(),
            1,
            "{word}: {timeline}"
        );
    }
    assert!(
        !timeline.contains("third") && !timeline.contains("turned"),
        "{timeline}"
    );
}

#[test]
fn on_a_disk_that_turned_read_only_every_command_reads_what_is_there_and_the_record_goes_on() {
    let Some(desk) = Desk::new() else { return };
    desk.file("incident/runbook.yaml", RUNBOOK);
    desk.file("shop.log", "DROP TABLE orders\n");
    let out = desk.jailed("sh").args(["-c", &script()]).output().unwrap();
    let told = plain(&out.stdout);
    let said = |args: &str| said(&told, args);
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
