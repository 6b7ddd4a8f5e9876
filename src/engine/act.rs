//! Running one act: judged, recorded, run, recorded, checked. And what to do about one in doubt.

use std::time::Duration;

use super::keep::Keeper;
use super::{Engine, EngineError};
use crate::boundary::{Answer, Asked, Refusal, Verdict, judge};
use crate::journal::Hash;
use crate::model::act::{Act, Check, EnvValue, Manual, Resolved};
use crate::model::event::{
    ActChecked, ActChild, ActEnded, ActStarted, CaptureItem, Event, ExhibitFiled, ItemStatus, Outcome,
    QuestionAnswered, Runner, StepSkipped,
};
use crate::model::ids::StepId;
use crate::model::incident::Incident;
use crate::model::secret::Secret;
use crate::store::Folder;
use crate::world::spawn::{Child, Command, End, Ran};

/// What came of an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acted {
    /// Number of its `act.started`.
    pub act: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Exit code, where there was one.
    pub code: Option<i32>,
    /// In words.
    pub why: String,
    /// Folder of its output, below `data/`.
    pub exhibit: Option<String>,
    /// What was kept of it.
    pub output: Vec<CaptureItem>,
    /// Whether the check afterwards passed, and its words; `None` where the step has no check.
    pub checked: Option<(bool, String)>,
}

/// An act of which nobody knows whether it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoubtAbout {
    /// Number of its `act.started`.
    pub act: u64,
    /// Its step.
    pub step: StepId,
    /// One line for people.
    pub title: String,
    /// True where its program is still running, here.
    pub still_running: bool,
}

/// What an act wrote, kept.
struct Output {
    exhibit: String,
    items: Vec<CaptureItem>,
}

/// Output kept of each stream of an act, in bytes.
const OUTPUT_CAP: u64 = 64 << 20;
/// Longest output that a check compares, in bytes.
const CHECK_CAP: u64 = 1 << 20;
/// Longest time a check may take.
const CHECK_DEADLINE: Duration = Duration::from_secs(60);

/// Environment every act gets, taken from the responder where set. Nothing else is inherited.
const ENV_ALLOWED: [&str; 11] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "TERM",
    "SSH_AUTH_SOCK",
    "XDG_RUNTIME_DIR",
];

impl Engine<'_> {
    /// How a step of the runbook would be judged now.
    pub fn judged(&self, act: &Resolved, why: Option<&str>) -> Result<Verdict, EngineError> {
        Ok(judge(
            &*self.incident()?,
            act,
            Asked { why },
            self.world.clock.now(),
        ))
    }

    /// Runs a step of the runbook.
    pub fn run(&self, id: &StepId, why: Option<&str>) -> Result<Acted, EngineError> {
        let act = self.resolve(id)?;
        self.perform(&act, why)
    }

    /// Takes a step back.
    pub fn undo(&self, id: &StepId, why: Option<&str>) -> Result<Acted, EngineError> {
        let act = self.resolve_undo(id)?;
        match &act.act {
            Act::Manual(_) => self.manual(&act, why.unwrap_or("taken back by hand")),
            _ => self.perform(&act, why),
        }
    }

    /// Runs an act that no runbook foresaw, judged like any other.
    pub fn perform_ad_hoc(&self, argv: &[String], why: Option<&str>) -> Result<Acted, EngineError> {
        let act = self.resolve_ad_hoc(argv)?;
        self.perform(&act, why)
    }

    /// Records that a person did a manual step. Passes the same gate as a program.
    pub fn done(&self, id: &StepId, words: &str) -> Result<Acted, EngineError> {
        let act = self.resolve(id)?;
        self.manual(&act, words)
    }

    /// Records that a step will not be done. Satisfies no gate.
    pub fn skip(&self, id: &StepId, why: &str) -> Result<u64, EngineError> {
        self.step(id)?;
        self.record(StepSkipped {
            step: id.clone(),
            why: self.vouched(why, "skipping a step")?,
        })
    }

    /// Records the answer to a question of the runbook.
    pub fn answer(&self, id: &StepId, text: &str) -> Result<u64, EngineError> {
        if !matches!(self.step(id)?.act, Act::Ask(_)) {
            let why = "it asks nothing; use `incident done` or `incident run`".into();
            return Err(EngineError::WrongKind {
                step: id.clone(),
                why,
            });
        }
        self.record(QuestionAnswered {
            step: id.clone(),
            text: self.vouched(text, "an answer")?,
        })
    }

    fn manual(&self, act: &Resolved, words: &str) -> Result<Acted, EngineError> {
        let Act::Manual(Manual { what, .. }) = &act.act else {
            let why =
                "a program runs it; use `incident run`, or `incident did` for what was done elsewhere".into();
            return Err(EngineError::WrongKind {
                step: act.step.clone(),
                why,
            });
        };
        let words = self.vouched(words, "a step done by hand")?;
        self.picture_before(act, Some(&words))?;
        let seq = self.begin(act, Some(&words))?;
        let why = format!("{}: {words}", what.lines().next().unwrap_or("by hand"));
        let ended = ActEnded {
            act: seq,
            outcome: Outcome::Done,
            code: None,
            ms: 0,
            exhibit: None,
            why: why.clone(),
        };
        let checked = ActChecked {
            act: seq,
            passed: true,
            text: words.clone(),
            exhibit: None,
        };
        self.recorder
            .borrow_mut()
            .record_all(vec![ended.into(), checked.into()])?;
        let checked = Some((true, words));
        Ok(Acted {
            act: seq,
            outcome: Outcome::Done,
            code: None,
            why,
            exhibit: None,
            output: Vec::new(),
            checked,
        })
    }

    /// Judges on the newest state and writes `act.started`, with nobody in between.
    pub(super) fn begin(&self, act: &Resolved, why: Option<&str>) -> Result<u64, EngineError> {
        let bytes = act.canonical();
        let digest = Hash::of(&bytes).to_string();
        let identity = self.world.host.identity();
        let now = self.world.clock.now();
        let why_scrubbed = why.map(|w| self.words(w)).transpose()?;
        self.with_case(|case| case.write_once(Folder::Signoffs, &act_file(&digest), &bytes))?;
        self.catch_up()?;
        let proved = self.proved_signoffs(&self.judged(act, why)?)?;
        let decide = |incident: Option<&Incident>| {
            let incident = incident.ok_or(EngineError::NoIncident)?;
            let verdict = judge(incident, act, Asked { why }, now);
            let Answer::Go { consumes, alone } = verdict.answer.clone() else {
                return Err(EngineError::Blocked {
                    step: act.step.clone(),
                    undoes: act.undoes,
                    verdict: Box::new(verdict),
                });
            };
            if consumes.iter().any(|request| !proved.contains(request)) {
                let why = "another terminal changed what is signed just now; try again";
                return Err(EngineError::OutOfOrder(why.into()));
            }
            let started = ActStarted {
                step: act.step.clone(),
                stage: act.stage,
                lane: act.lane,
                title: act.title.clone(),
                act_sha256: digest.clone(),
                zone: verdict.zone,
                effects: act.effects(),
                consumes,
                undoes: act.undoes,
                alone,
                approved: act.approved.clone(),
                undo: act.undo.clone(),
                why: why_scrubbed.clone(),
                runner: Runner {
                    host: identity.host.clone(),
                    boot: identity.boot.clone(),
                    pid: identity.pid.pid,
                    starttime: identity.pid.starttime,
                },
                mono_us: now.mono_us,
            };
            Ok((vec![Event::from(started)], ()))
        };
        let (seqs, ()) = self.recorder.borrow_mut().decide(decide)?;
        seqs.first().copied().ok_or(EngineError::NoIncident)
    }

    /// Runs an act to its end: record, act, record, check.
    pub fn perform(&self, act: &Resolved, why: Option<&str>) -> Result<Acted, EngineError> {
        if let Act::Restore(back) = &act.act {
            return self.give_back(act, back, why);
        }
        let Act::Run(argv) = &act.act else {
            let why = match &act.act {
                Act::Manual(_) => "a person does it; then `incident done`",
                Act::Ask(_) => "it is a question; `incident answer`",
                Act::Capture(_) => "it is a look; `incident capture`",
                Act::Renew(_) => {
                    "its secret needs a file: incident access restore GRANT --new --for SERVICE --into FILE"
                }
                Act::Run(_) | Act::Restore(_) | Act::Sweep(_) => "it belongs to stop; `incident stop`",
            };
            return Err(EngineError::WrongKind {
                step: act.step.clone(),
                why: why.into(),
            });
        };
        let lock = self.case()?.try_act_lock()?.ok_or(EngineError::Running)?;
        self.settle_crashed()?;
        self.picture_before(act, why)?;
        let command = self.command(argv, act)?;
        self.unchanged(act)?;
        let seq = self.begin(act, why)?;
        let name = format!("act-{}", file_name(act.step.as_str()));
        let (ran, output) = self.run_into_exhibit(seq, &name, command);
        let exhibit = output.as_ref().ok().map(|o| o.exhibit.clone());
        let mut ended = ended(seq, &ran, exhibit.clone());
        let (mut events, mut kept) = (Vec::new(), Vec::new());
        match output {
            Ok(output) => {
                kept.clone_from(&output.items);
                events.push(Event::from(ExhibitFiled {
                    of: seq,
                    exhibit: output.exhibit,
                    items: output.items,
                }));
            }
            Err(e) => ended.why.push_str(&format!(
                "; its output was not kept: {}",
                self.scrubbed(&e.to_string())
            )),
        }
        events.push(ended.clone().into());
        self.recorder.borrow_mut().record_all(events)?;
        let checked = match (&act.verify, ended.outcome) {
            (Some(check), Outcome::Done) => {
                let (passed, text) = self.check_passes(act, check)?;
                let text = self.scrubbed(&text);
                self.record(ActChecked {
                    act: seq,
                    passed,
                    text: text.clone(),
                    exhibit: None,
                })?;
                Some((passed, text))
            }
            _ => None,
        };
        drop(lock);
        Ok(Acted {
            act: seq,
            outcome: ended.outcome,
            code: ended.code,
            why: ended.why,
            exhibit,
            output: kept,
            checked,
        })
    }

    /// The early lanes take a picture of the host before they change anything.
    pub(super) fn picture_before(&self, act: &Resolved, why: Option<&str>) -> Result<(), EngineError> {
        let verdict = self.judged(act, why)?;
        if matches!(verdict.answer, Answer::Refused(Refusal::NoCaptureBefore)) {
            let purpose = format!("before {}", act.step);
            self.capture(&crate::model::act::CaptureSpec::Host, Some(&act.step), &purpose)?;
        }
        Ok(())
    }

    /// The command of an act, secrets read just now.
    fn command(&self, argv: &[String], act: &Resolved) -> Result<Command, EngineError> {
        let mut env = self.plain_env();
        for (name, value) in &act.env {
            let value = match value {
                EnvValue::Plain(text) => Secret::new(text.clone()),
                EnvValue::From(source) => {
                    let read = self.world.wait(self.world.secrets.read(source));
                    match read {
                        Some(Ok(secret)) => secret,
                        Some(Err(e)) => {
                            return Err(EngineError::Unresolved {
                                step: act.step.clone(),
                                why: e.to_string(),
                            });
                        }
                        None => return Err(EngineError::Running),
                    }
                }
            };
            env.retain(|(n, _)| n != name);
            env.push((name.clone(), value));
        }
        Ok(Command {
            argv: argv.to_vec(),
            cwd: Some(act.cwd.clone().into()),
            env,
            stdin: None,
            deadline: Duration::from_millis(act.timeout_ms),
            no_progress: None,
            cap: OUTPUT_CAP,
        })
    }

    /// The environment every program gets.
    pub(super) fn plain_env(&self) -> Vec<(String, Secret)> {
        let value = |name: &&str| {
            self.world
                .host
                .env(name)
                .map(|v| ((*name).to_owned(), Secret::new(v)))
        };
        ENV_ALLOWED.iter().filter_map(value).collect()
    }

    /// Runs a command with its output streamed, redacted, into an exhibit of record `seq`.
    ///
    /// Where the output cannot be kept the program is not started; where that shows only afterwards,
    /// how it ended is known all the same.
    fn run_into_exhibit(&self, seq: u64, name: &str, command: Command) -> (Ran, Result<Output, EngineError>) {
        let not_started = |why: String| Ran {
            end: End::NotStarted(why),
            ms: 0,
            out_bytes: 0,
            err_bytes: 0,
            truncated: false,
            escapees: 0,
            left: 0,
        };
        let redactor = self.redactor();
        let mut note_child = |c: Child| {
            // A lost line here loses only the pid; the act itself is on record already.
            let _ = self.record(ActChild {
                act: seq,
                pid: c.pid,
                starttime: c.starttime,
            });
        };
        let case = match self.case() {
            Ok(case) => case,
            Err(e) => return (not_started(e.to_string()), Err(e)),
        };
        let begun = self
            .sealing()
            .and_then(|s| Ok((case.begin_capture(seq, name)?, s)));
        let (staging, sealing) = match begun {
            Ok(begun) => begun,
            Err(e) => return (not_started(format!("its output cannot be kept: {e}")), Err(e)),
        };
        let keeper = Keeper {
            world: self.world,
            staging: &staging,
            redactor: &redactor,
            sealing: &sealing,
        };
        let files = keeper
            .create("stdout")
            .and_then(|out| Ok((out, keeper.create("stderr")?)));
        let (mut out, mut err) = match files {
            Ok(files) => files,
            Err(e) => return (not_started(format!("its output cannot be kept: {e}")), Err(e)),
        };
        let run = self.world.spawn.run(command, &mut out, &mut err, &mut note_child);
        let ran = self
            .world
            .wait(run)
            .unwrap_or_else(|| not_started("the world gave up on it".into()));
        let keep = || {
            let (mut files, mut items, mut receipts) = (Vec::new(), Vec::new(), Vec::new());
            for (name, source, file) in [
                ("stdout", "standard output", out),
                ("stderr", "standard error", err),
            ] {
                let kept = file.finish()?;
                let mut item = super::capture::kept_whole(&kept.stored, source, kept.taken_out);
                if ran.truncated && kept.stored.len >= OUTPUT_CAP {
                    item.status = ItemStatus::Truncated;
                    item.why = Some("longer than 64 MiB; the beginning is kept".into());
                }
                if kept.cut {
                    super::capture::no_room_for(&mut item);
                }
                items.push(item);
                items.extend(kept.original);
                files.push(kept.stored);
                files.extend(kept.sealed);
                receipts.push((name.to_owned(), kept.receipts));
            }
            if let Some(list) = super::capture::receipts_in(&staging, &receipts)? {
                items.push(super::capture::kept_whole(&list, super::capture::RECEIPTS_ARE, 0));
                files.push(list);
            }
            Ok((files, items))
        };
        let kept = keep().and_then(|(files, items)| {
            staging.commit(files)?;
            Ok(Output {
                exhibit: format!("{seq:04}-{name}"),
                items,
            })
        });
        (ran, kept)
    }

    /// Runs a check; it must only read, which its judge has seen to.
    pub(super) fn check_passes(&self, act: &Resolved, check: &Check) -> Result<(bool, String), EngineError> {
        let mut command = self.command(&check.run, act)?;
        command.deadline = CHECK_DEADLINE;
        command.cap = CHECK_CAP;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let ran = self
            .world
            .wait(self.world.spawn.run(command, &mut out, &mut err, &mut |_| {}));
        let Some(ran) = ran else {
            return Ok((false, "the check did not end".into()));
        };
        let found = String::from_utf8_lossy(&out).trim().to_owned();
        if ran.end != End::Exit(0) {
            let err = String::from_utf8_lossy(&err);
            let last = err.lines().last().unwrap_or("");
            return Ok((false, format!("the check {}: {last}", end_words(&ran.end))));
        }
        let expected = match (&check.expect, &check.expect_file) {
            (Some(text), _) => Some(text.trim().to_owned()),
            (None, Some(file)) => {
                let path = self.beside(act, file);
                let bytes = self
                    .world
                    .files
                    .read(&path, CHECK_CAP)
                    .map_err(|e| EngineError::Unresolved {
                        step: act.step.clone(),
                        why: format!("{} cannot be read: {e}", path.display()),
                    })?;
                Some(String::from_utf8_lossy(&bytes).trim().to_owned())
            }
            (None, None) => None,
        };
        Ok(match expected {
            None => (true, format!("the check ended well: {}", short(&found))),
            Some(expected) if expected == found => (true, format!("as expected: {}", short(&found))),
            Some(expected) => (
                false,
                format!("expected {}, found {}", short(&expected), short(&found)),
            ),
        })
    }

    /// Marks acts whose runner is gone as in doubt. Called with the act lock held, so nobody runs one.
    pub(super) fn settle_crashed(&self) -> Result<(), EngineError> {
        let open: Vec<u64> = {
            self.catch_up()?;
            let incident = self.incident()?;
            incident
                .acts
                .iter()
                .filter(|(_, a)| a.ended.is_none())
                .map(|(seq, _)| *seq)
                .collect()
        };
        for act in open {
            let why = "the program that ran it is gone; nobody knows whether it happened".to_owned();
            let ended = ActEnded {
                act,
                outcome: Outcome::InDoubt,
                code: None,
                ms: 0,
                exhibit: None,
                why,
            };
            self.record(ended)?;
        }
        Ok(())
    }

    /// Acts of which nobody knows whether they happened. Empty while another terminal runs one.
    pub fn doubts(&self) -> Result<Vec<DoubtAbout>, EngineError> {
        let free = self.with_case(|case| case.try_act_lock()).ok().flatten();
        if free.is_none() {
            return Ok(Vec::new());
        }
        self.settle_crashed()?;
        let incident = self.incident()?;
        let running: Vec<(u32, u64)> = match self.world.host.processes() {
            Ok(all) if self.world.host.identity().boot == incident.opened.boot => {
                all.iter().map(|p| (p.id.pid, p.id.starttime)).collect()
            }
            _ => Vec::new(),
        };
        let doubts = incident.in_doubt().map(|(seq, a)| DoubtAbout {
            act: seq,
            step: a.step.clone(),
            title: a.title.clone(),
            still_running: a.child.is_some_and(|c| running.contains(&c)),
        });
        Ok(doubts.collect())
    }

    /// Settles an act in doubt in the words of whoever looked.
    pub fn settle(&self, act: u64, happened: bool, words: &str) -> Result<u64, EngineError> {
        let doubts = self.doubts()?;
        if !doubts.iter().any(|d| d.act == act) {
            return Err(EngineError::Escalation(format!("act {act} is not in doubt")));
        }
        self.record(ActChecked {
            act,
            passed: happened,
            text: self.vouched(words, "settling an act")?,
            exhibit: None,
        })
    }

    /// Something with the case on disk; refused where there is none.
    pub(super) fn with_case<T>(
        &self,
        run: impl FnOnce(&crate::store::Case) -> Result<T, crate::store::StoreError>,
    ) -> Result<T, EngineError> {
        Ok(run(&*self.case()?)?)
    }

    /// The case on disk, which everything outside stop needs.
    pub(super) fn case(&self) -> Result<std::rc::Rc<crate::store::Case>, EngineError> {
        self.recorder.borrow().case().ok_or(EngineError::NotDurable)
    }
}

/// File of a resolved act below `signoffs/`.
pub(super) fn act_file(digest: &str) -> String {
    format!("{}.act.json", digest.get(..24).unwrap_or(digest))
}

/// A step's name as part of a file name.
pub(super) fn file_name(step: &str) -> String {
    step.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' || c == '.' {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect()
}

fn ended(act: u64, ran: &Ran, exhibit: Option<String>) -> ActEnded {
    let (outcome, code) = match &ran.end {
        End::Exit(0) => (Outcome::Done, Some(0)),
        End::Exit(code) => (Outcome::Failed, Some(*code)),
        End::NotStarted(_) => (Outcome::Failed, None),
        // We or somebody else ended it midway: it may have done all, some or nothing.
        End::Signal(_) | End::Deadline | End::NoProgress | End::Interrupted => (Outcome::InDoubt, None),
    };
    let mut why = format!("the program {}", end_words(&ran.end));
    if ran.escapees > 0 {
        why.push_str(&format!(
            "; {} it left behind were ended",
            plural(ran.escapees, "process", "processes")
        ));
    }
    ActEnded {
        act,
        outcome,
        code,
        ms: ran.ms,
        exhibit,
        why,
    }
}

pub(super) fn end_words(end: &End) -> String {
    match end {
        End::Exit(0) => "ended well".into(),
        End::Exit(code) => format!("ended with code {code}"),
        End::Signal(signal) => format!("was ended by signal {signal}"),
        End::Deadline => "was ended at its deadline".into(),
        End::NoProgress => "was ended after too long without output".into(),
        End::Interrupted => "was ended on Ctrl-C".into(),
        End::NotStarted(why) => format!("could not be started: {why}"),
    }
}

fn plural(n: u32, one: &str, many: &str) -> String {
    if n == 1 {
        format!("1 {one}")
    } else {
        format!("{n} {many}")
    }
}

fn short(text: &str) -> String {
    let line: String = text
        .chars()
        .take(120)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().count() > 120 {
        format!("`{line}…`")
    } else {
        format!("`{line}`")
    }
}
