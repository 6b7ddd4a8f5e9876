//! Twenty-nine attacks on a record, and the tests that hold each off.
//!
//! The table is data, so that a test can tell when a name in it is no longer a test. Attack 29 is out of scope
//! and says so: on a machine the agent owns, a program that calls itself `incident` can show anything. What
//! stands against it is not on that machine: the approver reads and signs the statement on their own
//! (`tools_we_did_not_write_agree` in any hands, with tools that are not ours), and the version of the program
//! stands in the first record.

use std::path::Path;

/// A file below the crate, and a test in it.
type Test = (&'static str, &'static str);

/// Number, attack, and the tests.
const ATTACKS: [(u8, &str, &[Test]); 29] = [
    (
        1,
        "a record is edited",
        &[
            (
                "tests/it/evidence/damage/journal.rs",
                "no_byte_of_any_record_can_be_changed_unseen",
            ),
            (
                "tests/it/evidence/damage.rs",
                "no_flipped_byte_of_a_bundle_is_accepted",
            ),
        ],
    ),
    (
        2,
        "the tail is dropped",
        &[(
            "tests/it/evidence/damage/journal.rs",
            "a_tail_cut_off_is_seen_below_the_last_signature_and_else_stands_alone",
        )],
    ),
    (
        3,
        "cut, then continued",
        &[(
            "tests/it/evidence/damage/journal.rs",
            "a_tail_cut_off_is_seen_below_the_last_signature_and_else_stands_alone",
        )],
    ),
    (
        4,
        "records reordered, doubled, deleted",
        &[(
            "tests/it/evidence/damage/journal.rs",
            "records_stand_once_and_in_order",
        )],
    ),
    (
        5,
        "spliced from another incident",
        &[
            (
                "tests/it/evidence/damage/journal.rs",
                "another_incident_is_not_spliced_in",
            ),
            (
                "tests/it/evidence/damage/sealed.rs",
                "what_a_seal_cannot_make_true",
            ),
            (
                "tests/it/evidence/damage.rs",
                "every_damage_is_refused_for_its_own_reason",
            ),
        ],
    ),
    (
        6,
        "all rewritten and sealed again",
        &[
            (
                "tests/it/evidence/stamps.rs",
                "a_stamp_proves_the_records_before_it_and_no_more",
            ),
            (
                "tests/it/evidence/damage.rs",
                "every_damage_is_refused_for_its_own_reason",
            ),
            (
                "tests/it/evidence/damage/sealed.rs",
                "a_seal_is_not_good_for_a_later_state",
            ),
        ],
    ),
    (
        7,
        "a sign-off is replayed",
        &[
            (
                "tests/it/signoff/attacks.rs",
                "what_was_signed_is_not_what_was_asked",
            ),
            ("tests/it/signoff/attacks.rs", "what_was_asked_no_longer_stands"),
            (
                "tests/it/promises/people.rs",
                "promise_06_a_signoff_is_used_up_by_one_act",
            ),
            ("tests/it/promises/people.rs", "promise_06_a_signature_runs_out"),
        ],
    ),
    (
        8,
        "somebody approves their own request",
        &[
            ("tests/it/signoff/attacks.rs", "who_does_not_count"),
            (
                "tests/it/promises/people.rs",
                "promise_06_whoever_acted_or_asked_does_not_count",
            ),
            (
                "tests/it/promises/people.rs",
                "promise_06_two_signatures_of_one_person_are_one",
            ),
        ],
    ),
    (
        9,
        "the agent uses the ssh-agent",
        &[
            (
                "tests/it/signoff/attacks.rs",
                "what_reaches_the_ssh_agent_signs_but_touches_nothing",
            ),
            (
                "tests/it/signoff/attacks.rs",
                "touch_pin_and_counter_are_asked_of_the_device",
            ),
        ],
    ),
    (
        10,
        "a hardware key without touch, or in software",
        &[
            (
                "tests/it/signoff/keys.rs",
                "touch_and_pin_are_read_where_ssh_keygen_looks_away",
            ),
            (
                "tests/it/signoff/attacks.rs",
                "touch_pin_and_counter_are_asked_of_the_device",
            ),
        ],
    ),
    (
        11,
        "a key is added afterwards",
        &[
            (
                "tests/it/evidence/damage/sealed.rs",
                "what_a_seal_cannot_make_true",
            ),
            (
                "tests/it/promises/acts.rs",
                "promise_05_the_policy_is_the_one_pinned_when_the_incident_opened",
            ),
        ],
    ),
    (
        12,
        "something is dated back",
        &[
            (
                "tests/it/evidence/stamps.rs",
                "a_stamp_proves_the_records_before_it_and_no_more",
            ),
            (
                "tests/it/evidence/damage/sealed.rs",
                "what_a_seal_cannot_make_true",
            ),
            (
                "tests/it/evidence/damage/sealed.rs",
                "a_clock_that_was_set_back_is_named",
            ),
            (
                "tests/it/evidence/damage/sealed.rs",
                "a_key_counts_only_as_the_pinned_signers_say",
            ),
        ],
    ),
    (
        13,
        "a signature for one purpose is used for another",
        &[
            (
                "tests/it/evidence/damage.rs",
                "every_damage_is_refused_for_its_own_reason",
            ),
            ("tests/it/evidence.rs", "a_drill_never_passes_for_real"),
            (
                "tests/it/signoff/attacks.rs",
                "what_is_no_signature_of_this_statement",
            ),
        ],
    ),
    (
        14,
        "another JSON spelling",
        &[
            ("tests/it/evidence/damage/journal.rs", "a_record_has_one_spelling"),
            (
                "tests/it/store/damage.rs",
                "every_damaged_journal_is_refused_for_its_own_reason",
            ),
        ],
    ),
    (
        15,
        "traversal, absolute paths, links, devices",
        &[
            (
                "tests/it/evidence/damage.rs",
                "every_damage_is_refused_for_its_own_reason",
            ),
            (
                "tests/it/evidence/damage/regions.rs",
                "a_member_is_a_regular_file_or_refused_by_its_kind",
            ),
            ("tests/it/evidence/damage/regions.rs", "a_name_has_one_spelling"),
            (
                "tests/it/evidence/reading.rs",
                "reading_creates_nothing_whatever_the_bundle_says",
            ),
            (
                "tests/it/evidence/reading.rs",
                "a_case_is_not_left_by_a_link_or_by_what_its_journal_says",
            ),
        ],
    ),
    (
        16,
        "two members of one name",
        &[(
            "tests/it/evidence/damage/regions.rs",
            "members_stand_once_and_in_order",
        )],
    ),
    (
        17,
        "PAX and GNU headers that rename or resize",
        &[
            (
                "tests/it/evidence/damage/regions.rs",
                "no_header_speaks_for_another_member",
            ),
            (
                "tests/it/evidence/damage/regions.rs",
                "every_byte_of_a_header_counts_even_with_its_checksum_made_true",
            ),
        ],
    ),
    (
        18,
        "data after the end",
        &[("tests/it/evidence/damage/regions.rs", "nothing_follows_the_end")],
    ),
    (
        19,
        "a file more, a file fewer",
        &[
            (
                "tests/it/evidence/damage/regions.rs",
                "members_stand_once_and_in_order",
            ),
            (
                "tests/it/evidence/damage/sealed.rs",
                "what_a_seal_cannot_make_true",
            ),
            ("tests/it/evidence.rs", "the_script_and_we_see_the_same_damage"),
        ],
    ),
    (
        20,
        "twins in case or in Unicode",
        &[
            ("tests/it/evidence/damage/regions.rs", "a_name_has_one_spelling"),
            (
                "tests/it/evidence/damage.rs",
                "every_damage_is_refused_for_its_own_reason",
            ),
        ],
    ),
    (
        21,
        "bombs",
        &[
            ("tests/it/evidence/damage/regions.rs", "bombs_do_not_go_off"),
            (
                "tests/it/evidence/damage/regions.rs",
                "bombs_find_no_memory_to_fill",
            ),
        ],
    ),
    (
        22,
        "text that commands the terminal",
        &[
            (
                "tests/it/evidence/reading.rs",
                "the_program_lists_shows_and_searches_and_nothing_reaches_the_terminal_unescaped",
            ),
            (
                "tests/it/evidence/reading.rs",
                "bytes_as_they_are_never_reach_a_terminal",
            ),
            (
                "src/evidence/text.rs",
                "a_stream_is_shown_alike_however_it_is_cut",
            ),
        ],
    ),
    (
        23,
        "torn writes, loss of power",
        &[
            (
                "tests/it/evidence/damage/journal.rs",
                "a_torn_record_is_no_record",
            ),
            (
                "tests/it/store.rs",
                "a_cut_at_any_byte_of_the_last_three_records_goes_on",
            ),
            ("tests/it/store.rs", "what_was_believed_outlives_a_kill"),
            (
                "tests/it/promises/crash.rs",
                "the_program_killed_at_twenty_moments_goes_on_each_time",
            ),
        ],
    ),
    (
        24,
        "a sync fails, the disk is full",
        &[
            (
                "tests/it/store/disks.rs",
                "a_failed_sync_closes_the_journal_for_this_process",
            ),
            ("tests/it/store/disks.rs", "a_full_disk_does_not_end_the_record"),
        ],
    ),
    (
        25,
        "two writers",
        &[
            ("tests/it/store.rs", "sixteen_processes_write_one_chain"),
            (
                "tests/it/store.rs",
                "nothing_is_appended_before_what_others_wrote_is_read",
            ),
        ],
    ),
    (
        26,
        "a file changes under our eyes",
        &[
            (
                "tests/it/collectors/cut.rs",
                "a_file_that_grows_while_it_is_read_is_kept_as_it_was_read",
            ),
            (
                "tests/it/evidence.rs",
                "a_file_changed_after_it_was_stored_stops_the_bundle",
            ),
            (
                "tests/it/store/folder.rs",
                "a_capture_becomes_an_exhibit_whole_or_not_at_all",
            ),
        ],
    ),
    (
        27,
        "secrets in evidence",
        &[
            ("tests/it/redact.rs", "nothing_planted_survives"),
            ("tests/it/redact.rs", "nothing_survives_in_utf16"),
            ("tests/it/redact.rs", "secrets_inside_base64_are_found"),
            ("tests/it/redact.rs", "the_cut_between_chunks_hides_nothing"),
            (
                "tests/it/promises/secrets.rs",
                "promise_10_planted_secrets_are_nowhere_but_in_what_undoes_a_cut",
            ),
            ("tests/it/evidence.rs", "nothing_secret_is_bundled"),
        ],
    ),
    (
        28,
        "downgrade to another version or a weaker policy",
        &[
            (
                "tests/it/evidence/damage/sealed.rs",
                "a_record_of_another_version_is_a_hole",
            ),
            (
                "tests/it/promises/acts.rs",
                "promise_05_the_policy_is_the_one_pinned_when_the_incident_opened",
            ),
        ],
    ),
    (
        29,
        "a false program, a false screen: out of scope on a machine the agent owns",
        &[("tests/it/evidence.rs", "tools_we_did_not_write_agree")],
    ),
];

#[test]
fn every_attack_names_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (at, (number, attack, tests)) in ATTACKS.iter().enumerate() {
        assert_eq!(usize::from(*number), at + 1);
        assert!(!tests.is_empty(), "{number}: {attack}");
        for (file, test) in *tests {
            let text = std::fs::read_to_string(root.join(file)).unwrap();
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            let head = format!("fn {test}() {{");
            let at = lines.iter().position(|line| *line == head);
            let there = at.is_some_and(|at| lines[at - 1] == "#[test]");
            assert!(there, "{number}, {attack}: there is no test {test} in {file}");
        }
    }
}
