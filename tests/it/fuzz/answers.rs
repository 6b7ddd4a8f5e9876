//! Readers of what servers say: time-stamp authorities, providers, and what collectors ask.

use std::cell::{Cell, RefCell};
use std::path::{Component, Path};
use std::rc::Rc;
use std::time::Duration;

use incident::collectors::{Ctx, Limits, Sink, run};
use incident::evidence::{Stamp, StampRequest};
use incident::journal::Hash;
use incident::model::event::ItemStatus;
use incident::model::time::Moment;
use incident::providers::Registry;
use incident::world::clock::{Clock, RealClock};
use incident::world::http::{HttpRequest, HttpResponse};
use incident::world::{Http, Later, NetError, World};

use super::mutant::{Mutant, Random};
use super::{as_is, feed};
use crate::collectors::shelf::{of, scene, with_secret};
use crate::evidence::stamps::Authority;
use crate::providers::contract::Case;
use crate::support::network_world;

#[test]
#[ignore = "runs in a process of its own"]
fn time_stamps() {
    let Some(authority) = Authority::rsa() else {
        // Nothing to begin with; said above. What runs this counts inputs.
        feed("time stamps", &Mutant::new(["0\u{0}"], &[]), as_is, |input| {
            assert!(Stamp::parse(input).is_err());
        });
        return;
    };
    let request = StampRequest::new(Hash::of(b"head\n"), [0xa5; 16]);
    let answer = authority.answer(&request.der());
    let refusal = authority.answer(b"no request");
    let (pem, good) = (authority.pem("tsa.pem"), Stamp::parse(&answer).unwrap());
    let seeds = [answer.clone(), refusal, request.der(), pem.clone()];
    let words = [
        "0\u{82}",
        "\u{6}\u{9}*",
        "\u{18}\u{f}20261122031407Z",
        "\u{2}\u{1}",
        "-----BEGIN CERTIFICATE-----\n",
    ];
    feed("time stamps", &Mutant::new(seeds, &words), as_is, |input| {
        if let Ok(stamp) = Stamp::parse(input)
            && stamp.signed_by(&pem).is_ok_and(|signed| signed.is_ok())
        {
            let said = (stamp.imprint, &stamp.nonce, stamp.at_ms);
            assert_eq!(
                said,
                (good.imprint, &good.nonce, good.at_ms),
                "signed, and says something else"
            );
        }
        if let Some(asked) = StampRequest::parse(input) {
            assert!(StampRequest::parse(&asked.der()) == Some(asked));
        }
        // A certificate from outside is foreign, too.
        let _ = good.signed_by(input);
    });
}

/// Time that passes when somebody waits for it.
pub struct Leaping {
    real: RealClock,
    ahead_us: Rc<Cell<u64>>,
}

impl Leaping {
    pub fn new() -> Self {
        Leaping {
            real: RealClock::new(),
            ahead_us: Rc::default(),
        }
    }
}

impl Clock for Leaping {
    fn now(&self) -> Moment {
        let now = self.real.now();
        Moment {
            utc_ms: now.utc_ms + (self.ahead_us.get() / 1_000) as i64,
            mono_us: now.mono_us + self.ahead_us.get(),
        }
    }

    fn sleep(&self, span: Duration) -> Later<'static, ()> {
        let ahead = Rc::clone(&self.ahead_us);
        Box::pin(async move { ahead.set(ahead.get() + span.as_micros() as u64) })
    }
}

/// What every server says next.
#[derive(Default)]
struct Said {
    status: u16,
    body: Vec<u8>,
}

struct Anybody(Rc<RefCell<Said>>);

impl Http for Anybody {
    fn send(&self, request: HttpRequest) -> Later<'_, Result<HttpResponse, NetError>> {
        let said = self.0.borrow();
        // A second part ends a list: a hundred of them would only take time.
        let more = request.url.contains("continue=");
        let answer = HttpResponse {
            status: said.status,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: if more { b"{}".to_vec() } else { said.body.clone() },
        };
        Box::pin(async move { Ok(answer) })
    }
}

/// A world whose servers all say the same.
fn world_of(said: &Rc<RefCell<Said>>) -> World {
    World {
        http: Box::new(Anybody(Rc::clone(said))),
        clock: Box::new(Leaping::new()),
        ..network_world()
    }
}

/// Every answer that providers publish.
pub fn published() -> Vec<String> {
    let text = include_str!("../providers/published.txt");
    let lines = text.lines().filter(|l| !l.starts_with('#'));
    let said = lines.filter_map(|l| l.split_once(" => ")).flat_map(|(_, said)| {
        said.split(" | ")
            .filter_map(|a| a.split_once(' ').map(|(_, body)| body.to_owned()))
            .collect::<Vec<_>>()
    });
    said.filter(|body| body.starts_with(['{', '[', '<'])).collect()
}

pub const AUTH: &str = "responders-own-key-5e55";
pub const SECRET: &str = "agents-leaked-key-1f0c";

/// A table is walked through its whole order while every call gets the same answer.
#[test]
#[ignore = "runs in a process of its own"]
fn provider_answers() {
    let said = Rc::new(RefCell::new(Said::default()));
    let world = world_of(&said);
    let registry = Registry::shipped();
    let tables: Vec<(String, Vec<String>)> = registry
        .all()
        .filter(|a| {
            incident::providers::rest::SHIPPED
                .iter()
                .any(|(file, _)| file.trim_end_matches(".yaml") == a.name())
        })
        .map(|a| {
            (
                a.name().to_owned(),
                a.about().needs.into_iter().map(|(key, _)| key).collect(),
            )
        })
        .collect();
    assert!(tables.len() > 20, "{}", tables.len());
    let words = [
        "\"id\":",
        "null",
        "\"items\":[",
        "\"revoked\":true",
        "\"active\":false",
        "<Error>",
        "\"next\":\"/\"",
        "\"state\":\"x\"",
    ];
    let mutant = Mutant::new(published(), &words);
    let turn = Cell::new((0, 200));
    let choose = |random: &mut Random, input: Vec<u8>| {
        // Neither is repeated after a while: that is what the weather tests are for.
        let status = [200, 200, 201, 204, 301, 304, 400, 401, 403, 404, 409, 422][random.below(12)];
        turn.set((random.below(tables.len()), status));
        input
    };
    feed("provider answers", &mutant, choose, |input| {
        let (at, status) = turn.get();
        let (table, needs) = &tables[at];
        *said.borrow_mut() = Said {
            status,
            body: input.to_vec(),
        };
        let value = |key: &str| match key {
            "address" | "api" | "url" => "https://api.example",
            _ => "x7",
        };
        let with: Vec<(&str, &str)> = needs.iter().map(|key| (key.as_str(), value(key))).collect();
        walk(Case::new(&world, table, &with).auth(AUTH).secret(SECRET));
    });
}

/// Takes an adapter through its whole order. No secret stands in what it saw.
pub fn walk(mut case: Case<'_>) {
    case.before();
    case.cut();
    case.sessions();
    case.probe();
    shows_no_secret(&case.facts);
    let _ = case.proof();
}

pub fn shows_no_secret(facts: &impl std::fmt::Debug) {
    let told = format!("{facts:?}");
    assert!(!told.contains(AUTH) && !told.contains(SECRET), "{told}");
}

/// Keeps nothing, and lets no name be opened twice.
#[derive(Default)]
pub struct Names(RefCell<std::collections::BTreeSet<String>>);

impl Sink for Names {
    fn open<'s>(&'s self, name: &str) -> std::io::Result<Box<dyn std::io::Write + 's>> {
        assert!(
            self.0.borrow_mut().insert(name.to_owned()),
            "{name} was opened twice"
        );
        Ok(Box::new(std::io::sink()))
    }
}

/// Lists that name what is asked next, and a state of Terraform.
#[test]
#[ignore = "runs in a process of its own"]
fn collected_answers() {
    let said = Rc::new(RefCell::new(Said::default()));
    let world = world_of(&said);
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("terraform.tfstate");
    let seeds = [
        r#"{"metadata":{"continue":"m/2"},"items":[{"metadata":{"namespace":"shop","name":"web"},"spec":{"containers":[{"name":"app"},{"name":"side"}]}}]}"#,
        r#"{"metadata":{},"items":[{"metadata":{"namespace":"a","name":"../b"},"spec":{"containers":[{"name":"c"},{"name":"c"}]}},{"metadata":{"name":"x"}}]}"#,
        r#"{"version":4,"serial":7,"lineage":"a-b","outputs":{"u":{"value":"x"}},"resources":[{"mode":"managed","type":"t","name":"n","instances":[{"index_key":0,"attributes":{"id":"i","password":"hunter2-of-the-state"}}]}]}"#,
        r#"{"kind":"Status","status":"Failure","reason":"Forbidden","code":403}"#,
    ];
    let words = [
        "\"items\":[",
        "\"continue\":\"",
        "\"containers\":[",
        "\"namespace\":\"",
        "../",
        "%2e",
        "\"resources\":[",
        "\"attributes\":{",
    ];
    let mutant = Mutant::new(seeds, &words);
    let cluster = of("kubernetes", &[("api", "https://10.0.0.1:6443")]);
    let cluster = with_secret(&world, cluster, "token", SECRET);
    let terraform = of("terraform", &[("state", state.to_str().unwrap())]);
    let limits = Limits {
        deadline: Duration::from_secs(10),
        no_progress: None,
        total: Duration::from_secs(1_000_000),
        cap: 1 << 16,
        files: 10,
    };
    feed("collected answers", &mutant, as_is, |input| {
        *said.borrow_mut() = Said {
            status: 200,
            body: input.to_vec(),
        };
        std::fs::write(&state, input).unwrap();
        for spec in [&cluster, &terraform] {
            let names = Names::default();
            let ctx = Ctx {
                world: &world,
                limits,
                sink: &names,
                env: &Vec::new,
                started: &|_| {},
                presses: 0,
                began_us: world.clock.now().mono_us,
            };
            let taken = world.wait(run(ctx, spec, &scene(Path::new("/")))).unwrap();
            for item in &taken {
                assert!(
                    item.status == ItemStatus::Collected || item.why.is_some(),
                    "{item:?}"
                );
            }
            for name in names.0.borrow().iter() {
                let plain = |part| matches!(part, Component::Normal(_));
                assert!(Path::new(name).components().all(plain), "{name:?}");
            }
            assert!(!format!("{taken:?}").contains(SECRET));
        }
    });
}
