//! What the examples show is what the program does.

use incident::drill::{self, Player};
use incident::engine::fold_case;
use incident::report::{Entry, Report, markdown};
use incident::store::Store;

#[test]
fn the_finished_incident_is_what_its_drill_still_gives() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().to_owned());
    let played = drill::run("nine-seconds", Player::Careful, 1, &store).unwrap();
    let case = store.open_case(&played.id).unwrap();
    let mut entries = Vec::new();
    case.read(|line| entries.push(Entry::read(line).unwrap()))
        .unwrap();
    let (incident, _) = fold_case(&case).unwrap().unwrap();
    let report = markdown(&Report::of(&entries, &incident)).unwrap();
    let kept = include_str!("../../examples/nine-seconds/report.md");
    assert!(
        report == kept,
        "play it again as examples/nine-seconds/README.md says, and keep the new report"
    );
}
