//! Stopping the agents on another host: this program, copied and run there through the responder's own ssh.
//!
//! What it proves there is told here in weaker words: `confirmed` by the record of that host, never `gone`,
//! for nobody here has looked. A program of that name found there may have been put there by the agent: it is
//! run only where ours cannot be, and its word is `accepted` at best. A lost connection is unknown.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;

use super::{Engine, EngineError, lines};
use crate::model::event::{Aim, Event, StopEnded, StopFacts, StopStarted};
use crate::model::fact::{Fact, Observed, Proof};
use crate::model::grant::{Target, Trigger, TriggerKind};
use crate::model::ids::TargetId;
use crate::model::incident::TargetState;
use crate::model::secret::Secret;
use crate::report::words;
use crate::world::spawn::{Command, End, Ran};

/// `user@host` as ssh takes it, or a name from the responder's ssh configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote(String);

impl FromStr for Remote {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || ".-_@:[]%".contains(c);
        // What begins with a dash would be an option of ssh.
        let first = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        match first && text.chars().all(fits) && text.len() <= 255 {
            true => Ok(Remote(text.to_owned())),
            false => {
                Err("write it as ssh takes it: user@host, or a name from your ssh configuration".to_owned())
            }
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteStop {
    /// What is known now, one sentence.
    pub words: String,
    /// What to do, where something is left to be done.
    pub next: Option<String>,
    /// True where Ctrl-C ended it early.
    pub interrupted: bool,
}

/// A sweep there takes no longer than this, windows included.
const DEADLINE: Duration = Duration::from_secs(120);
/// Copying this program takes no longer than this; then the one found there has to do.
const COPY: Duration = Duration::from_secs(60);
/// Without a word from the other side for so long it counts as lost.
pub(super) const ALIVE: [&str; 8] = [
    "-o",
    "BatchMode=yes",
    "-o",
    "ConnectTimeout=10",
    "-o",
    "ServerAliveInterval=5",
    "-o",
    "ServerAliveCountMax=3",
];
/// Bytes kept of what it says.
const CAP: u64 = 8 << 20;
/// What ssh hands down when the connection, not the program, failed. Source: ssh(1).
const NO_CONNECTION: i32 = 255;
/// What a shell says where a file is not a program of that machine, and where there is none (or no loader for it).
const NOT_RUN: [i32; 2] = [126, 127];

impl Engine<'_> {
    /// Runs `stop` of this program on that host, or of the one found there, and keeps what was proved.
    pub fn stop_on(&self, remote: &Remote) -> Result<RemoteStop, EngineError> {
        let row = Row::of(remote)?;
        let begun = self.world.clock.now().mono_us;
        self.recorder.borrow_mut().record_at_once(vec![
            StopStarted {
                mono_us: begun,
                targets: vec![row.aim()],
                problems: Vec::new(),
            }
            .into(),
        ])?;
        let Said { whose, ran, out, err } = self.said(remote)?;
        let mut facts = Vec::new();
        let mut events: Vec<Event> = Vec::new();
        let told = Told::read(&String::from_utf8_lossy(&out), whose.clone());
        let interrupted = ran.end == End::Interrupted;
        let by_ours =
            format!("scp \"$(command -v incident)\" {remote}:/tmp/ && ssh -t {remote} /tmp/incident stop");
        let mut next = None;
        let words = match (&told, &ran.end) {
            (Some(told), End::Exit(code)) if *code != NO_CONNECTION => {
                facts.push(noted("told-by", &format!("incident on {remote}, {}", told.who())));
                facts.extend(told.facts(&row.how));
                if let Whose::Theirs(why) = &whose {
                    let text = format!(
                        "the incident found on {remote}, not this one: {}",
                        self.scrubbed(why)
                    );
                    facts.push(noted("run", &text));
                    next = Some(by_ours);
                }
                events = self.rows(remote, told)?;
                told.words(remote)
            }
            (_, end) => {
                let why = how_it_failed(end, &err);
                let why = self.scrubbed(&why);
                next = Some(by_ours);
                // It may have been carried out all the same, as far as anybody here knows.
                facts.push(match end {
                    End::Deadline | End::NoProgress => Fact::Silent { after_ms: ran.ms },
                    _ => Fact::Error {
                        status: 0,
                        text: why.clone(),
                    },
                });
                format!("What became of the agents on {remote} is unknown: {why}")
            }
        };
        let facts = facts.into_iter().map(|fact| self.now(fact)).collect();
        events.insert(0, row.facts("told", facts));
        let ended = StopEnded {
            mono_us: self.world.clock.now().mono_us,
            first_cut_us: None,
            interrupted,
        };
        events.push(ended.into());
        self.recorder.borrow_mut().record_at_once(events)?;
        Ok(RemoteStop {
            words,
            next,
            interrupted,
        })
    }

    fn now(&self, fact: Fact) -> Observed {
        let at_us = self.world.clock.now().mono_us;
        Observed { at_us, fact }
    }

    /// Every target of the other record, as a row of this one.
    fn rows(&self, remote: &Remote, told: &Told) -> Result<Vec<Event>, EngineError> {
        let (mut aims, mut events) = (Vec::new(), Vec::new());
        for (id, proof, because) in told.rows() {
            let Ok(row) = Row::named(remote, Some(id.as_str())) else {
                continue;
            };
            let text = self.scrubbed(&format!("on {remote}: {proof}; {because}"));
            let mut facts = vec![self.now(noted("told", &text))];
            facts.push(self.now(match proof {
                proof if proof.is_dead() => told.dead(),
                Proof::StillLive => Fact::ReadBack { dead: false },
                _ => Fact::NotTried { why: text },
            }));
            if !proof.is_dead() && proof != Proof::StillLive {
                facts.push(self.now(Fact::Manual { how: row.how.clone() }));
            }
            aims.push(row.aim());
            events.push(row.facts("told", facts));
        }
        let mono_us = self.world.clock.now().mono_us;
        let started = lines::lines(aims).into_iter().filter(|l| !l.is_empty());
        let started = started.map(|targets| {
            let problems = Vec::new();
            Event::from(StopStarted {
                mono_us,
                targets,
                problems,
            })
        });
        Ok(started.chain(events).collect())
    }

    /// Ours where it can be copied and run there; else the one that is there.
    fn said(&self, remote: &Remote) -> Result<Said, EngineError> {
        let (whose, (ran, out, err)) = match self.with_our_own(remote)? {
            Ok(said) => (Whose::Ours, said),
            Err(why) => {
                let (ran, out, err) = self.ssh(remote, &["incident", "stop", "--json"]);
                let neither = matches!(ran.end, End::Exit(code) if NOT_RUN.contains(&code));
                let ran = match neither {
                    true => not_started(format!("{why}; and there is no incident on that host")),
                    false => ran,
                };
                (Whose::Theirs(why), (ran, out, err))
            }
        };
        Ok(Said { whose, ran, out, err })
    }

    /// Copies this program to a temporary file there, runs it, and removes it; or why it could not be run.
    fn with_our_own(&self, remote: &Remote) -> Result<Result<Output, String>, EngineError> {
        let mut random = [0_u8; 16];
        self.world.entropy.fill(&mut random)?;
        let there = format!("/tmp/incident-{}", super::hex(&random));
        let Some(here) = self.world.host.program() else {
            return Ok(Err("this program does not know its own file".to_owned()));
        };
        let mut argv = ["scp", "-q", "-p", "-C"].map(str::to_owned).to_vec();
        argv.extend(ALIVE.map(str::to_owned));
        argv.extend([
            "--".to_owned(),
            here.display().to_string(),
            format!("{remote}:{there}"),
        ]);
        let (copied, out, err) = self.run_ours(argv, COPY);
        if copied.end == End::Interrupted {
            return Ok(Ok((copied, out, err)));
        }
        let said = match copied.end {
            End::Exit(0) => self.ssh(remote, &[&there, "stop", "--json"]),
            end => {
                let left = match end {
                    End::Exit(_) => String::new(),
                    _ => format!(" (what arrived lies in {there})"),
                };
                let why = how_it_failed(&end, &err);
                return Ok(Err(format!("copying this program there failed: {why}{left}")));
            }
        };
        self.ssh(remote, &["rm", "-f", "--", &there]);
        Ok(match said.0.end {
            End::Exit(code) if NOT_RUN.contains(&code) => Err(format!(
                "this program does not run there: {}",
                how_it_failed(&said.0.end, &said.2)
            )),
            _ => Ok(said),
        })
    }

    fn ssh(&self, remote: &Remote, words: &[&str]) -> Output {
        let mut argv = vec!["ssh".to_owned(), "-T".to_owned()];
        argv.extend(ALIVE.map(str::to_owned));
        argv.extend(["--".to_owned(), remote.0.clone()]);
        argv.extend(words.iter().map(|w| (*w).to_owned()));
        self.run_ours(argv, DEADLINE)
    }

    /// A program of the responder's, with what it needs to find keys and configuration.
    fn run_ours(&self, argv: Vec<String>, deadline: Duration) -> Output {
        let passed = [
            "HOME",
            "PATH",
            "USER",
            "LOGNAME",
            "SSH_AUTH_SOCK",
            "XDG_RUNTIME_DIR",
            "KRB5CCNAME",
        ];
        let env = passed
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), Secret::new(self.world.host.env(name)?))))
            .collect();
        let command = Command {
            argv,
            cwd: None,
            env,
            stdin: None,
            deadline,
            no_progress: None,
            cap: CAP,
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut started = |_| {};
        let ran = self
            .world
            .wait(self.world.spawn.run(command, &mut out, &mut err, &mut started));
        (
            ran.unwrap_or_else(|| not_started("the world gave up on it".to_owned())),
            out,
            err,
        )
    }
}

/// How a program ended, what it said, and what it complained of.
type Output = (Ran, Vec<u8>, Vec<u8>);

/// What was heard from the other side.
struct Said {
    whose: Whose,
    ran: Ran,
    out: Vec<u8>,
    err: Vec<u8>,
}

/// Which program spoke.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Whose {
    /// This one, copied there for it.
    Ours,
    /// The one that was there, and why not ours. The agent may have put it there.
    Theirs(String),
}

fn not_started(why: String) -> Ran {
    Ran {
        end: End::NotStarted(why),
        ms: 0,
        out_bytes: 0,
        err_bytes: 0,
        truncated: false,
        escapees: 0,
        left: 0,
    }
}

fn how_it_failed(end: &End, err: &[u8]) -> String {
    let said = String::from_utf8_lossy(err);
    let last = said
        .lines()
        .rev()
        .find(|l| !l.trim().is_empty())
        .unwrap_or("it said nothing");
    match end {
        End::Exit(NO_CONNECTION) => format!("the connection failed or was lost: {last}"),
        End::Exit(code) => format!("it ended with {code}: {last}"),
        End::Signal(signal) => format!("it ended by signal {signal}"),
        End::Deadline | End::NoProgress => "it did not end in time".to_owned(),
        End::Interrupted => "it was interrupted".to_owned(),
        End::NotStarted(why) => why.clone(),
    }
}

fn noted(label: &str, text: &str) -> Fact {
    Fact::Noted {
        label: label.to_owned(),
        text: text.to_owned(),
    }
}

/// One row of our record for something on another host, which nothing here can look at.
struct Row {
    id: TargetId,
    how: String,
}

impl Row {
    fn of(remote: &Remote) -> Result<Row, EngineError> {
        Row::named(remote, None)
    }

    fn named(remote: &Remote, target: Option<&str>) -> Result<Row, EngineError> {
        const LONGEST: usize = 64;
        let all = match target {
            Some(target) => format!("on:{remote}:{target}"),
            None => format!("on:{remote}"),
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
        let id: String = all
            .chars()
            .map(|c| if fits(c) { c } else { '-' })
            .take(LONGEST)
            .collect();
        let id = TargetId::new(&id).map_err(|e| EngineError::OutOfOrder(e.to_string()))?;
        let how = format!("incident stop --on {remote}");
        Ok(Row { id, how })
    }

    fn aim(&self) -> Aim {
        Aim {
            target: Target::Trigger(Trigger {
                id: self.id.clone(),
                agent: None,
                kind: TriggerKind::Manual {
                    how: self.how.clone(),
                },
            }),
            window_ms: 0,
            found_by: "ssh".to_owned(),
        }
    }

    fn facts(&self, phase: &str, facts: Vec<Observed>) -> Event {
        StopFacts {
            target: self.id.clone(),
            phase: phase.to_owned(),
            facts,
        }
        .into()
    }
}

/// What the other side's events add up to.
struct Told {
    whose: Whose,
    targets: BTreeMap<TargetId, TargetState>,
    incident: String,
    head: String,
}

impl Told {
    /// Reads its events; `None` where the last of them, the result, never came.
    fn read(out: &str, whose: Whose) -> Option<Told> {
        let mut targets: BTreeMap<TargetId, TargetState> = BTreeMap::new();
        let mut result = None;
        for line in out.lines() {
            // A shell there may print a greeting of its own.
            let Ok(value) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            result = value.get("result").cloned();
            let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
            // It may have joined an incident that was open there: only this sweep is of interest here.
            if !kind.starts_with("stop.") {
                continue;
            }
            let what = value.get("what").map(Value::to_string).unwrap_or_default();
            match Event::decode_text(kind, 1, &what).ok()? {
                Event::StopStarted(e) => targets.extend(e.targets.into_iter().map(|aim| {
                    let state = TargetState {
                        aim,
                        facts: Vec::new(),
                        answered: None,
                    };
                    (state.aim.target.id().clone(), state)
                })),
                Event::StopFacts(e) => targets.get_mut(&e.target)?.facts.extend(e.facts),
                _ => {}
            }
        }
        let result = result?;
        let text = |key: &str| Some(result.get(key)?.as_str()?.to_owned());
        Some(Told {
            whose,
            targets,
            incident: text("incident")?,
            head: text("head").unwrap_or_default(),
        })
    }

    /// Which record this was told from.
    fn who(&self) -> String {
        format!("{} head {}", self.incident, self.head)
    }

    /// What a death over there is worth here.
    fn dead(&self) -> Fact {
        match self.whose {
            Whose::Ours => Fact::ReadBack { dead: true },
            Whose::Theirs(_) => Fact::Accepted { status: 0 },
        }
    }

    /// Id, word and the newest telling fact of each of its targets.
    fn rows(&self) -> impl Iterator<Item = (&TargetId, Proof, String)> {
        self.targets.iter().map(|(id, target)| {
            let newest = target
                .facts
                .iter()
                .rev()
                .find(|o| !matches!(o.fact, Fact::Noted { .. }));
            let because = newest.map_or_else(|| "nothing was observed".to_owned(), |o| words::fact(&o.fact));
            (id, target.proof(), because)
        })
    }

    /// What it means for the host as a whole. An empty set proves nothing.
    fn facts(&self, how: &str) -> Vec<Fact> {
        let by_hand = Fact::Manual { how: how.to_owned() };
        let proofs: Vec<Proof> = self.targets.values().map(TargetState::proof).collect();
        match () {
            () if proofs.is_empty() => {
                let why = "nothing was found there, which proves nothing".to_owned();
                vec![Fact::NotTried { why }, by_hand]
            }
            () if proofs.iter().all(|p| p.is_dead()) => vec![self.dead()],
            () if proofs.contains(&Proof::StillLive) => vec![Fact::ReadBack { dead: false }],
            () => {
                let why = "not everything there is proved dead".to_owned();
                vec![Fact::NotTried { why }, by_hand]
            }
        }
    }

    fn words(&self, remote: &Remote) -> String {
        let dead = self.targets.values().filter(|t| t.proof().is_dead()).count();
        let words = match self.targets.len() {
            0 => format!("incident on {remote} found nothing to stop, which proves nothing."),
            all => format!(
                "incident on {remote} says: {dead} of {all} proved dead there ({}).",
                self.incident
            ),
        };
        match &self.whose {
            Whose::Ours => words,
            Whose::Theirs(_) => format!(
                "{words} That is the word of the program found there, which proves nothing: this one could not be run there."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTED: &str = r#"{"seq":1,"ts":"t","who":"root","type":"stop.started","what":{"mono_us":1,"targets":[{"target":{"tree":{"id":"claude-code","agent":"claude-code","rule":{}}},"window_ms":0,"found_by":"scan"}],"problems":[]}}"#;
    const GONE: &str = r#"{"seq":2,"ts":"t","who":"root","type":"stop.facts","what":{"target":"claude-code","phase":"kill","facts":[{"at_us":2,"fact":{"looked-for":{"found":0,"scope":"all processes of all users on db1","whole":true}}}]}}"#;
    const RESULT: &str =
        r#"{"result":{"incident":"INC-20261122-0314-k7qf","stage":"stop","records":3,"head":"ab"},"exit":3}"#;

    #[test]
    fn without_the_last_line_nothing_is_known() {
        let whole = format!("Welcome to db1\n{STARTED}\n{GONE}\n{RESULT}\n");
        let told = Told::read(&whole, Whose::Ours).unwrap();
        assert_eq!(told.facts("x"), [Fact::ReadBack { dead: true }]);
        assert!(Told::read(&format!("{STARTED}\n{GONE}\n"), Whose::Ours).is_none());
        assert!(Told::read("", Whose::Ours).is_none());
    }

    #[test]
    fn the_word_of_a_program_that_was_there_is_no_proof() {
        let whole = format!("{STARTED}\n{GONE}\n{RESULT}\n");
        let told = Told::read(&whole, Whose::Theirs("no room".to_owned())).unwrap();
        assert_eq!(told.facts("x"), [Fact::Accepted { status: 0 }]);
    }

    #[test]
    fn what_was_not_seen_to_die_there_is_not_dead_here() {
        let told = Told::read(&format!("{STARTED}\n{RESULT}"), Whose::Ours).unwrap();
        assert!(matches!(
            told.facts("x").as_slice(),
            [Fact::NotTried { .. }, Fact::Manual { .. }]
        ));
        let told = Told::read(RESULT, Whose::Ours).unwrap();
        assert!(matches!(
            told.facts("x").as_slice(),
            [Fact::NotTried { .. }, Fact::Manual { .. }]
        ));
    }

    /// Whoever owns that host owns its words.
    #[test]
    fn an_answer_that_is_cut_or_changed_makes_nobody_dead() {
        let whole = format!("Welcome to db1\n{STARTED}\n{GONE}\n{RESULT}\n");
        let dead = |text: &str| {
            let told = Told::read(text, Whose::Ours);
            told.is_some_and(|told| told.facts("x") == [Fact::ReadBack { dead: true }])
        };
        assert!(dead(&whole));
        for end in 0..whole.trim_end().len() {
            assert!(!dead(&whole[..end]), "{}", &whole[..end]);
        }
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let text = String::from_utf8_lossy(&bytes);
                let none_found = text.contains(r#""found":0,"#) && text.contains(r#""whole":true"#);
                assert!(none_found || !dead(&text), "{text}");
            }
        }
    }

    #[test]
    fn a_host_is_never_an_option_or_a_command() {
        for bad in ["-oProxyCommand=x", "", "a b", "a;b", "$(x)", "a\nb", "@x"] {
            assert!(bad.parse::<Remote>().is_err(), "{bad}");
        }
        for good in ["root@db1", "db1.example", "_x@[::1]", "bastion-2"] {
            assert!(good.parse::<Remote>().is_ok(), "{good}");
        }
    }
}
