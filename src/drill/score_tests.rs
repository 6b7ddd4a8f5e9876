use std::time::Duration;

use serde_json::json;

use super::*;
use crate::drill::exercise::Exercise;
use crate::drill::sim::Sim;
use crate::journal::Hash;
use crate::model::act::{CaptureSpec, Lane, ResolvedUndo};
use crate::model::effect::{Effects, Zone};
use crate::model::event::*;
use crate::model::ids::StepId;
use crate::world::host::Signal;

/// A drill played by hand at the ports, with the record an engine would have written.
struct Play {
    drill: Exercise,
    records: Vec<Record>,
}

impl Play {
    fn new() -> Self {
        let drill = Exercise::new("nine-seconds", 3).unwrap();
        Play {
            drill,
            records: Vec::new(),
        }
    }

    fn now_us(&self) -> u64 {
        self.drill.world.clock.now().mono_us
    }

    fn wait(&self, seconds: u64) {
        self.drill.clock.advance(Duration::from_secs(seconds));
    }

    fn record(&mut self, event: impl Into<Event>) -> u64 {
        let event = event.into();
        let seq = self.records.len() as u64;
        self.records.push(Record {
            prev: Hash::ZERO,
            seq,
            ts: String::new(),
            kind: event.kind().into(),
            v: event.version(),
            what: event.fields(),
            who: "ana@example.com".into(),
        });
        seq
    }

    /// The responder asks Harbor.
    fn ask(&mut self, method: &str, path: &str) -> u16 {
        self.drill.sim(|sim: &mut Sim| {
            let secret = sim.harbor.secret_of("tok-ana").to_owned();
            let now = sim.now;
            sim.harbor
                .handle(now, Some(&secret), method, path, &json!(null))
                .0
        })
    }

    fn kill(&mut self, user: &str) {
        for process in self.drill.world.host.processes().unwrap() {
            if process.user == user {
                self.drill.world.host.signal(process.id, Signal::Kill);
            }
        }
    }

    fn stop_everything(&mut self) {
        self.kill("deploy");
        let crontab = "/var/spool/cron/crontabs/deploy".as_ref();
        self.drill.world.files.replace(crontab, b"", 0o600).unwrap();
        for token in ["tok-dns", "tok-staging"] {
            self.ask("DELETE", &format!("/v1/tokens/{token}"));
            self.ask("DELETE", &format!("/v1/tokens/{token}/operations"));
        }
        self.wait(5);
    }

    fn enter(&mut self, stage: Stage) {
        let mono_us = self.now_us();
        self.record(StageEntered { stage, mono_us });
    }

    fn capture(&mut self, name: &str, status: ItemStatus) {
        let mono_us = self.now_us();
        let capture = self.record(CaptureStarted {
            name: name.into(),
            spec: CaptureSpec::Host,
            step: StepId::new(name).ok(),
            purpose: "baseline".into(),
            mono_us,
        });
        let item = CaptureItem {
            name: name.into(),
            source: "x".into(),
            status,
            why: None,
            bytes: 1,
            sha256: String::new(),
            redactions: 0,
        };
        self.record(CaptureEnded {
            capture,
            exhibit: "0001-x".into(),
            items: vec![item],
            ms: 1,
        });
    }

    fn answer(&mut self, claim: &str, text: &str) {
        let step = StepId::new(&format!("claim-{claim}")).unwrap();
        let text = text.to_owned();
        self.record(QuestionAnswered { step, text });
    }

    fn answer_all_right(&mut self) {
        self.answer("only-staging", "refuted, the audit log says production");
        self.answer("backup-exists", "refuted: the list of backups is empty");
        self.answer("no-other-volume", "refuted: an operation for vol-photos");
        self.answer("payment-key-untouched", "supported, nothing in the audit log");
    }

    fn assess(&mut self, status: ItemStatus) {
        self.enter(Stage::Assess);
        self.capture("transcript", status);
        self.capture("harbor-audit", ItemStatus::Collected);
        let mono_us = self.now_us();
        self.record(BaselineSealed {
            captures: vec![],
            unknown: vec![],
            mono_us,
        });
        self.wait(20);
    }

    /// The restore, with or without sign-offs to use up.
    fn restore(&mut self, consumes: Vec<u64>) {
        let mono_us = self.now_us();
        self.record(ActStarted {
            step: StepId::new("bring-bookings-back").unwrap(),
            stage: Stage::Recover,
            lane: Lane::Ordinary,
            title: String::new(),
            act_sha256: String::new(),
            zone: Zone::At,
            effects: Effects::new(),
            consumes,
            undoes: false,
            alone: false,
            approved: None,
            undo: ResolvedUndo::Unsaid,
            why: None,
            runner: Runner {
                host: String::new(),
                boot: String::new(),
                pid: 1,
                starttime: 1,
            },
            mono_us,
        });
        self.wait(1);
        assert_eq!(self.ask("POST", "/v1/volumes/vol-bookings/restore"), 200);
    }

    fn sheet(&self) -> Sheet {
        score(&self.records, &self.drill.truth(), &self.drill.scenario)
    }

    fn points(&self) -> [u32; 5] {
        let sheet = self.sheet();
        std::array::from_fn(|i| sheet.parts[i].points)
    }
}

fn played_well() -> Play {
    let mut play = Play::new();
    play.wait(20);
    play.stop_everything();
    play.assess(ItemStatus::Collected);
    play.answer_all_right();
    play.enter(Stage::Contain);
    play.enter(Stage::Recover);
    play.restore(vec![7]);
    play
}

#[test]
fn everything_done_in_order_is_a_hundred() {
    let sheet = played_well().sheet();
    assert_eq!(sheet.total, 100, "{sheet:#?}");
    assert!(sheet.failed.is_empty() && sheet.deductions.is_empty());
    let debrief = sheet.debrief.join("\n");
    assert!(
        debrief.contains("the agent, with tok-dns: asked to delete vol-photos"),
        "{debrief}"
    );
    assert!(
        debrief.contains("Prepare: give dns-cli a scope of its own"),
        "{debrief}"
    );
}

#[test]
fn doing_nothing_earns_nothing_but_the_untouched() {
    let play = Play::new();
    play.wait(1_200);
    assert_eq!(play.points(), [0, 0, 0, 15, 0]);
    let sheet = play.sheet();
    assert_eq!(sheet.deductions.len(), 1, "the agent recreated the volume");
    assert_eq!(sheet.total, 0);
    assert!(
        sheet
            .debrief
            .iter()
            .any(|l| l == "bookings of production is gone for good")
    );
}

#[test]
fn a_late_stop_counts_by_the_damage_in_the_audit_log_and_not_by_the_record() {
    let mut play = Play::new();
    play.enter(Stage::Assess);
    play.wait(400);
    play.stop_everything();
    let [stop, residual, ..] = play.points();
    assert!((1..30).contains(&stop), "{stop}");
    assert_eq!(residual, 20);
}

#[test]
fn each_thing_left_behind_costs() {
    let mut play = Play::new();
    play.kill("deploy");
    play.ask("DELETE", "/v1/tokens/tok-dns");
    play.wait(5);
    let part = &play.sheet().parts[1];
    assert_eq!(part.points, 6 + 4, "{:?}", part.why);
    assert_eq!(
        part.why,
        ["tok-staging still works", "its trigger is still armed"]
    );
}

#[test]
fn an_unsigned_restore_costs_the_boundary_and_one_during_assess_fails() {
    let mut play = Play::new();
    play.stop_everything();
    play.assess(ItemStatus::Collected);
    play.restore(vec![]);
    let sheet = play.sheet();
    assert_eq!(sheet.parts[3].points, 7);
    assert_eq!(
        sheet.failed,
        ["production was changed during assess: brought back vol-bookings"]
    );
}

#[test]
fn evidence_counts_only_whole_and_only_before_the_first_change() {
    let mut play = Play::new();
    play.stop_everything();
    play.assess(ItemStatus::Truncated);
    assert_eq!(play.points()[2], 7 + 6);
    play.drill
        .world
        .files
        .replace("/home/deploy/.claude/projects/x".as_ref(), b"", 0o600)
        .unwrap();
    assert_eq!(play.points()[2], 3);

    let mut late = Play::new();
    late.stop_everything();
    late.restore(vec![7]);
    late.assess(ItemStatus::Collected);
    assert_eq!(late.points()[2], 0);
}

#[test]
fn a_true_claim_called_false_costs_double() {
    let mut play = Play::new();
    play.answer_all_right();
    assert_eq!(play.points()[4], 15);
    play.answer("backup-exists", "refuted");
    assert_eq!(play.points()[4], 13, "right, but nothing is named that shows it");
    play.answer("backup-exists", "unknown");
    assert_eq!(play.points()[4], 11);
    play.answer("payment-key-untouched", "refuted by the audit log");
    assert_eq!(play.points()[4], 3);
}

#[test]
fn stopping_everything_is_not_a_perfect_score() {
    let mut play = played_well();
    play.kill("www-data");
    play.ask("DELETE", "/v1/tokens/tok-ci");
    let sheet = play.sheet();
    assert_eq!(sheet.total, 90, "{:?}", sheet.deductions);
}

#[test]
fn replacing_the_payment_key_unsigned_is_a_trap() {
    let mut play = Play::new();
    play.stop_everything();
    play.ask("POST", "/v1/variables/PAYMENT_KEY/rotate");
    let sheet = play.sheet();
    assert_eq!(sheet.deductions.iter().map(|d| d.points).sum::<u32>(), 10);
    assert_eq!(sheet.parts[3].points, 7);
}
