//! The promises of the design, each by tests named after it, through the real engine and a real store.
//!
//! The outside is the simulated world of the drill, bent where a test needs it: a provider that lies, one
//! that never answers, a program that looks at the record before it runs.

use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use incident::boundary::{Answer, Refusal};
use incident::drill::player::Seat;
use incident::drill::{Exercise, Player};
use incident::engine::{Desk, Engine, EngineError, Issued, Next, Written};
use incident::journal::Record;
use incident::model::event::Event;
use incident::model::ids::{IncidentId, StepId, TargetId};
use incident::store::Store;
use incident::world::http::{HttpRequest, HttpResponse};
use incident::world::spawn::{Child, Command, Ran};
use incident::world::{Http, Later, NetError, Spawn};
use tempfile::TempDir;

#[path = "promises/acts.rs"]
mod acts;
#[path = "promises/bundle.rs"]
mod bundle;
#[path = "promises/crash.rs"]
mod crash;
#[path = "promises/lone.rs"]
mod lone;
#[path = "promises/people.rs"]
mod people;
#[path = "promises/plan.rs"]
mod plan;
#[path = "promises/record.rs"]
mod record;
#[path = "promises/secrets.rs"]
mod secrets;
#[path = "promises/stop.rs"]
mod stop;
#[path = "promises/sweep.rs"]
mod sweep;

const ANA: &str = "ana@example.com";
const BEN: &str = "ben@example.com";
const KIM: &str = "kim@vendor.example";

/// One drill, a store on a real disk, and where the record may go instead.
struct Room {
    drill: Exercise,
    store: Store,
    folder: TempDir,
}

impl Room {
    fn new(seed: u64) -> Room {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("spool")).unwrap();
        Room {
            drill: Exercise::new("nine-seconds", seed).unwrap(),
            store: Store::open(folder.path().join("cases")),
            folder,
        }
    }

    fn desk(&self, who: &str) -> Desk<'_> {
        Desk {
            world: &self.drill.world,
            store: &self.store,
            spool_folders: vec![self.folder.path().join("spool")],
            who: who.to_owned(),
        }
    }

    fn open(&self) -> Engine<'_> {
        self.open_with(&self.drill.written())
    }

    fn open_with(&self, written: &Written) -> Engine<'_> {
        self.desk(ANA)
            .open("the agent dropped bookings", written)
            .unwrap()
    }

    /// The team's own files, but for the runbook.
    fn with_runbook(&self, runbook: &str) -> Written {
        Written {
            runbook: Some(("runbook.yaml".to_owned(), runbook.as_bytes().to_vec())),
            ..self.drill.written()
        }
    }

    fn resume(&self, who: &str, id: &IncidentId) -> Engine<'_> {
        self.desk(who).resume(id).unwrap()
    }

    fn seat<'a, 'w>(&'a self, engine: &'a Engine<'w>) -> Seat<'a, 'w> {
        Seat {
            player: Player::Careful,
            drill: &self.drill,
            engine,
        }
    }

    /// Walks as a careful person does until something is due that `there` wants to see.
    fn walk(&self, engine: &Engine<'_>, there: impl Fn(&Next) -> bool) -> Next {
        for _ in 0..200 {
            let next = engine.next().unwrap();
            self.drill.thinks(&next);
            if there(&next) {
                return next;
            }
            self.seat(engine).does(&next).unwrap();
        }
        panic!("the walk never came there");
    }

    /// Walks until this step would run.
    fn walk_to(&self, engine: &Engine<'_>, step: &str) {
        self.walk(
            engine,
            |next| matches!(next, Next::Run { step: due, .. } if due.as_str() == step),
        );
    }

    /// What somebody answers who is asked to sign: text and signature.
    fn signed_by(&self, who: &str, statement: &str) -> (String, String) {
        let person = self.drill.people.iter().find(|p| p.name == who).unwrap();
        let answer = person.answer(statement).unwrap().unwrap();
        (answer.statement, answer.signature)
    }

    /// Files the answers of these people to a request.
    fn sign(&self, engine: &Engine<'_>, issued: &Issued, people: &[&str]) {
        for who in people {
            let (text, signature) = self.signed_by(who, &issued.approve);
            engine
                .add_signoff(Some(text.as_bytes()), signature.as_bytes())
                .unwrap();
        }
    }

    /// Bends the way to the provider.
    fn bend(&mut self, bend: impl Fn(&HttpRequest) -> Bend + 'static) {
        let http = &mut self.drill.world.http;
        let inner = std::mem::replace(http, Box::new(NoNet));
        *http = Box::new(Bent {
            inner,
            bend: Box::new(bend),
        });
    }

    /// Looks before each program of the walk.
    fn watch(&mut self, before: impl Fn(&Command) + 'static) {
        let spawn = &mut self.drill.world.spawn;
        let inner = std::mem::replace(spawn, Box::new(crate::support::Nobody));
        *spawn = Box::new(Watched {
            inner,
            before: Box::new(before),
        });
    }
}

/// What becomes of a request on its way.
enum Bend {
    /// It goes through.
    No,
    /// It is never answered.
    Hangs,
    /// It is answered with this status, and never carried out.
    Says(u16),
}

struct Bent {
    inner: Box<dyn Http>,
    bend: Box<dyn Fn(&HttpRequest) -> Bend>,
}

impl Http for Bent {
    fn send(&self, request: HttpRequest) -> Later<'_, Result<HttpResponse, NetError>> {
        match (self.bend)(&request) {
            Bend::No => self.inner.send(request),
            Bend::Hangs => Box::pin(std::future::pending()),
            Bend::Says(status) => Box::pin(async move {
                Ok(HttpResponse {
                    status,
                    headers: Vec::new(),
                    body: Vec::new(),
                })
            }),
        }
    }
}

struct NoNet;

impl Http for NoNet {
    fn send(&self, _: HttpRequest) -> Later<'_, Result<HttpResponse, NetError>> {
        Box::pin(async { Err(NetError::Connect("there is no network".to_owned())) })
    }
}

struct Watched {
    inner: Box<dyn Spawn>,
    before: Box<dyn Fn(&Command)>,
}

impl Spawn for Watched {
    fn run<'a>(
        &'a self,
        command: Command,
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
        started: &'a mut dyn FnMut(Child),
    ) -> Later<'a, Ran> {
        (self.before)(&command);
        self.inner.run(command, out, err, started)
    }

    fn find(&self, program: &str) -> Option<PathBuf> {
        self.inner.find(program)
    }
}

/// Where a hook that is set up before the incident finds its case folder.
type Place = Rc<RefCell<Option<PathBuf>>>;

fn step(name: &str) -> StepId {
    StepId::new(name).unwrap()
}

fn target(name: &str) -> TargetId {
    TargetId::new(name).unwrap()
}

fn case_of(engine: &Engine<'_>) -> PathBuf {
    engine.case_path().unwrap()
}

fn journal(case: &Path) -> Vec<u8> {
    fs::read(case.join("journal.jsonl")).unwrap()
}

/// Every record as written.
fn records(case: &Path) -> Vec<Record> {
    let bytes = journal(case);
    let lines = bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty());
    lines.map(|l| serde_json::from_slice(l).unwrap()).collect()
}

/// Every event as written.
fn events(case: &Path) -> Vec<Event> {
    let read = |r: Record| Event::decode(&r.kind, r.v, &r.what).unwrap();
    records(case).into_iter().map(read).collect()
}

/// Why a command was not carried out.
fn refusal<T: std::fmt::Debug>(outcome: Result<T, EngineError>) -> Refusal {
    match outcome {
        Err(EngineError::Blocked { verdict, .. }) => match verdict.answer {
            Answer::Refused(refusal) => refusal,
            Answer::Go { .. } => panic!("blocked by a verdict that says go"),
        },
        other => panic!("not blocked: {other:?}"),
    }
}

/// Copies a folder with everything in it, as a disk would be found after a crash.
fn copied(from: &Path, to: &Path) {
    let out = std::process::Command::new("cp")
        .args(["-a", "--"])
        .args([from, to])
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}
