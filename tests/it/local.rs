//! The agent on this host, with real processes, crontabs and units: always in a jail of its own.
//!
//! Each outer test starts this binary again inside its own PID namespace, with an empty environment and
//! a made-up home, and runs the `#[ignore]`d test of the same name in one of the `inner` modules there.

use std::process::Command;

#[path = "local/inner.rs"]
mod inner;
#[path = "local/inner_projects.rs"]
mod inner_projects;
#[path = "local/inner_supervisors.rs"]
mod inner_supervisors;
#[path = "local/inner_trees.rs"]
mod inner_trees;
#[path = "local/inner_triggers.rs"]
mod inner_triggers;
#[path = "local/other_half.rs"]
mod other_half;
#[path = "local/yard.rs"]
pub mod yard;

/// Runs one `#[ignore]`d test, by its full name, in a jail; says so loudly where no jail can be made.
pub fn jailed(name: &str) {
    jailed_with(name, "linux");
}

/// The same with the half of the host port that is meant for `half`.
fn jailed_with(name: &str, half: &str) {
    let home = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs none /var/spool/cron && cd /var/spool/cron && mkdir -p crontabs && \
                  chmod 1730 crontabs && chgrp crontab crontabs; mkdir -p atjobs atspool && \
                  chown daemon:daemon atjobs atspool && chmod 1770 atjobs atspool && \
                  install -m 600 -o daemon -g daemon /dev/null atjobs/.SEQ; cd /; \
                  echo \"root:x:0:0::$HOME:/bin/bash\" > $HOME/.passwd && grep -E '^(daemon|sshd):' /etc/passwd >> $HOME/.passwd; \
                  mount --bind $HOME/.passwd /etc/passwd || exit 99; \"$@\"; exit $?";
    let namespaces: &[&str] = if rustix::process::geteuid().is_root() {
        &["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    } else {
        &[
            "--user",
            "--map-root-user",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ]
    };
    let can = Command::new("unshare").args(namespaces).arg("true").status();
    if !can.is_ok_and(|s| s.success()) {
        crate::support::not_tested("local processes and triggers (no PID namespace can be made here)");
        return;
    }
    let out = Command::new("unshare")
        .args(namespaces)
        .args([
            "env",
            "-i",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ])
        .arg(format!("HOME={}", home.path().display()))
        .arg(format!("TMPDIR={}", home.path().display()))
        .arg(format!("{}={half}", yard::HALF))
        .args(
            [
                "INCIDENT_NODE",
                "CI",
                "INCIDENT_FUZZ_SECONDS",
                "INCIDENT_FUZZ_SEED",
            ]
            .iter()
            .filter_map(|name| {
                let value = std::env::var(name).ok()?;
                Some(format!("{name}={value}"))
            }),
        )
        .args(["sh", "-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .arg(name)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    let told = String::from_utf8_lossy(&out.stderr);
    told.lines()
        .filter_map(|line| line.strip_prefix("NOT TESTED: "))
        .for_each(crate::support::not_built);
    assert!(
        out.status.success() && text.contains("1 passed"),
        "{text}\n{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

macro_rules! jailed {
    ($module:ident: $($name:ident),* $(,)?) => {
        $(#[test] fn $name() { jailed(concat!("local::", stringify!($module), "::", stringify!($name))); })*
    };
}

jailed!(inner:
    a_program_that_runs_too_long_is_ended_with_all_it_started,
    a_program_has_a_session_of_its_own_and_no_terminal,
    ctrl_c_ends_a_program_at_once,
    what_a_finished_program_left_running_is_counted_and_left_alone,
    signals_hit_exactly_the_process_that_was_meant,
    a_lost_connection_is_not_a_ctrl_c,
);
jailed!(inner_trees:
    an_agents_tree_is_frozen_kept_killed_and_not_found_again,
    an_agent_that_hops_from_process_to_process_is_caught,
    a_tree_of_200_processes_is_gone_within_a_second,
    a_return_is_seen_and_who_started_it_is_named,
    a_shell_loop_above_the_agent_goes_with_it,
    a_loop_in_tmux_goes_with_the_agent_and_tmux_stays,
    a_shell_that_started_the_agent_again_goes_with_it_the_next_time,
    a_supervisor_of_other_things_is_left_alive_and_named_with_its_line,
    the_agent_we_run_under_is_spared_and_said_to_live,
    a_teams_rule_finds_runaways_by_the_marker_of_their_session,
    a_rule_that_names_nothing_finds_nothing_and_says_so,
);
jailed!(inner_supervisors:
    a_program_of_supervisord_is_stopped_and_the_others_run_on,
    a_service_of_runit_is_stopped_and_the_others_run_on,
    a_service_of_s6_is_stopped_and_the_others_run_on,
    a_service_of_daemontools_is_stopped_and_the_others_run_on,
    a_process_of_pm2_is_stopped_and_the_others_run_on,
    an_agent_that_gives_itself_out_for_another_program_stops_only_itself,
    nodemon_goes_with_the_agent,
);
jailed!(inner_projects:
    a_hook_that_starts_an_agent_runs_no_more_and_is_given_back,
    a_container_that_starts_an_agent_is_set_aside,
    schedules_below_homes_and_projects_are_found,
    a_start_up_line_is_switched_off_and_given_back_byte_for_byte,
    units_of_a_user_who_is_not_logged_in_are_kept_from_starting,
);
jailed!(inner_triggers:
    a_users_cron_line_is_switched_off_and_given_back_byte_for_byte,
    a_cron_file_keeps_what_others_changed_meanwhile,
    a_timer_of_an_offline_tree_is_switched_off_and_given_back,
    triggers_nobody_listed_are_found,
    a_job_of_at_is_removed_and_submitted_again_for_its_time,
    a_script_of_run_parts_loses_its_right_to_run_and_gets_it_back,
    a_schedule_of_an_agent_is_set_aside_and_put_back,
    units_of_users_who_linger_and_of_other_names_are_found,
);

/// Outside a jail a test build signals nobody, however sure it is.
#[test]
fn outside_a_jail_a_test_build_signals_nobody() {
    use incident::world::host::{Host, Pid, RealHost, Signal, Signalled};
    let nobody = Pid { pid: 2, starttime: 0 };
    assert!(matches!(
        RealHost::new().signal(nobody, Signal::Continue),
        Signalled::Refused(_)
    ));
}
