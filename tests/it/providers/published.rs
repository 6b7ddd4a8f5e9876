//! Every shipped table held to what its provider publishes (`published.txt`), in fair weather and foul:
//! whatever the network and the provider do, nothing is called dead that lives.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use incident::model::fact::{Fact, Proof};
use incident::model::time::Moment;
use incident::providers::rest::SHIPPED;
use incident::world::clock::{Clock, RealClock};
use incident::world::http::{HttpRequest, HttpResponse, RealHttp};
use incident::world::{Http, Later, NetError, World};
use url::Url;

use super::contract::Case;
use crate::support::network_world;
use crate::support::stub::{Reply, Seen, Stub, say};

const AUTH: &str = "responders-own-key";
const SECRET: &str = "agents-leaked-key";

/// One call that a provider publishes.
#[derive(Clone)]
struct Line {
    who: char,
    mark: Option<char>,
    method: String,
    path: String,
    body: Option<String>,
    answers: Vec<Answer>,
}

/// Status, headers and body.
#[derive(Clone)]
struct Answer(u16, Vec<(&'static str, String)>, String);

/// One provider's word on itself.
#[derive(Clone)]
pub struct Published {
    pub table: String,
    with: Vec<(String, String)>,
    word: String,
    origins: BTreeSet<String>,
    lines: Vec<Line>,
}

/// Everything in `published.txt`.
pub fn published() -> Vec<Published> {
    let mut all: Vec<Published> = Vec::new();
    let text = include_str!("published.txt");
    for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        if let Some(head) = line.strip_prefix("== ") {
            let (head, word) = head.split_once(" -> ").unwrap();
            let mut words = head.split(' ');
            all.push(Published {
                table: words.next().unwrap().to_owned(),
                with: words
                    .map(|w| w.split_once('=').unwrap())
                    .map(|(k, v)| (k.to_owned(), v.to_owned()))
                    .collect(),
                word: word.to_owned(),
                origins: BTreeSet::new(),
                lines: Vec::new(),
            });
            continue;
        }
        let last = all.last_mut().unwrap();
        if let Some(origins) = line.strip_prefix("at ") {
            last.origins = origins.split(' ').map(str::to_owned).collect();
            continue;
        }
        let (asked, said) = line.split_once(" => ").unwrap_or_else(|| panic!("{line}"));
        let (asked, body) = match asked.split_once(" < ") {
            Some((asked, body)) => (asked, Some(body.replace("SECRET", SECRET))),
            None => (asked, None),
        };
        let words: Vec<&str> = asked.split(' ').collect();
        let [who, method, path] = words[..] else {
            panic!("{line}")
        };
        let answers = said.split(" | ").map(|answer| {
            let (status, body) = answer.split_once(' ').unwrap_or((answer, ""));
            let (status, header) = status.split_once('+').unwrap_or((status, ""));
            let header = header
                .split_once(':')
                .map(|(name, value)| (name, value.to_owned()));
            Answer(
                status.parse().unwrap(),
                header.into_iter().collect(),
                body.to_owned(),
            )
        });
        last.lines.push(Line {
            who: who.chars().next().unwrap(),
            mark: who.chars().nth(1),
            method: method.to_owned(),
            path: path.replace("SECRET", SECRET),
            body,
            answers: answers.collect(),
        });
    }
    all
}

/// What the weather does to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    Fair,
    /// The cut is taken and never lands.
    Liar,
    /// The cut is answered 202 and never lands.
    Later202,
    /// Every call is answered 429 once.
    Busy,
    /// Every call is answered 503 once, cuts after they landed.
    Broken,
    /// The cut is answered by nothing, after it landed or not.
    Silent(bool),
    /// The cut's connection is cut.
    Reset,
    /// The cut's answer drips.
    Drip,
    /// Everything is redirected elsewhere.
    Redirect,
    /// Everything is a page of somebody's hotel.
    Portal,
    /// The cut is answered by an error page of ten megabytes.
    ErrorPage,
}

struct State {
    cut: bool,
    ended: bool,
    used: BTreeSet<usize>,
    asked: BTreeMap<usize, usize>,
    wrong: Vec<String>,
}

/// JSON is compared as JSON, forms as text.
fn same_body(wanted: &Option<String>, got: &str) -> bool {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    match wanted {
        None => got.is_empty(),
        Some(wanted) => match json(wanted) {
            Some(wanted) => json(got) == Some(wanted),
            None => wanted == got,
        },
    }
}

/// Whose credential a request carries, in its headers.
fn carries(seen: &Seen, value: &str) -> bool {
    let inside = |text: &String| {
        let basic = text.strip_prefix("Basic ").unwrap_or("");
        let basic = base64::prelude::BASE64_STANDARD.decode(basic).unwrap_or_default();
        text.contains(value) || String::from_utf8_lossy(&basic).contains(value)
    };
    seen.headers.values().any(inside)
}

fn serve(published: &Published, weather: Weather, state: &Arc<Mutex<State>>, elsewhere: String) -> Stub {
    let (lines, state) = (published.lines.clone(), Arc::clone(state));
    Stub::start(move |_, seen| {
        let mut state = state.lock().unwrap();
        if seen.method.is_empty() {
            // Whoever connected has given up.
            return Reply::Reset;
        }
        let fits =
            |l: &&Line| l.method == seen.method && l.path == seen.path && same_body(&l.body, &seen.body);
        let fits = |l: &&Line| {
            fits(l)
                && match l.who {
                    'R' => carries(seen, AUTH) && !carries(seen, SECRET),
                    'A' => carries(seen, SECRET) && !carries(seen, AUTH),
                    _ => !carries(seen, AUTH) && !carries(seen, SECRET),
                }
        };
        let Some(at) = lines.iter().position(|l| fits(&l)) else {
            state.wrong.push(format!("{seen:?}"));
            return say(404, r#"{"message": "nothing published is asked like this"}"#);
        };
        let line = &lines[at];
        state.used.insert(at);
        let times = state.asked.entry(at).or_default();
        *times += 1;
        let first = *times == 1;
        let is_cut = line.mark == Some('!');
        let second = match line.mark {
            Some('*') => state.ended,
            _ => state.cut,
        };
        let answer = line
            .answers
            .get(usize::from(second))
            .unwrap_or(&line.answers[0])
            .clone();
        let lands = match weather {
            Weather::Liar | Weather::Later202 | Weather::Redirect | Weather::Portal => false,
            Weather::Silent(landed) => landed,
            Weather::Busy => !first,
            Weather::Reset | Weather::Drip | Weather::ErrorPage => !is_cut,
            _ => true,
        };
        match line.mark {
            Some('!') if lands => state.cut = true,
            Some('~') if lands => state.cut = false,
            Some('x') if lands => state.ended = true,
            _ => {}
        }
        match weather {
            Weather::Later202 if is_cut => say(202, ""),
            Weather::Busy if first => Reply::Say(429, vec![("retry-after", "2".to_owned())], String::new()),
            Weather::Broken if first => say(503, "<h1>busy</h1>"),
            Weather::Silent(_) if is_cut => Reply::Hang(Duration::from_millis(400)),
            Weather::Reset if is_cut => Reply::Reset,
            Weather::Drip if is_cut => Reply::Drip,
            Weather::Redirect => Reply::Say(307, vec![("location", elsewhere.clone())], String::new()),
            Weather::Portal => say(200, "<html>Welcome to our hotel</html>"),
            Weather::ErrorPage if is_cut => say(500, &"<p>sorry</p>".repeat(10_000_000 / 12)),
            _ => Reply::Say(answer.0, answer.1, answer.2),
        }
    })
}

/// Real time, some times as fast, plus what was slept: a window of an hour passes at once, and a call
/// that is never answered is given up soon.
struct Leaping {
    pace: u64,
    real: RealClock,
    began: Moment,
    ahead_us: Rc<Cell<u64>>,
}

impl Clock for Leaping {
    fn now(&self) -> Moment {
        let now = self.real.now();
        let ahead = self.ahead_us.get() + (self.pace - 1) * (now.mono_us - self.began.mono_us);
        Moment {
            utc_ms: now.utc_ms + i64::try_from(ahead / 1_000).unwrap(),
            mono_us: now.mono_us + ahead,
        }
    }

    fn sleep(&self, span: Duration) -> Later<'static, ()> {
        let ahead = Rc::clone(&self.ahead_us);
        Box::pin(async move { ahead.set(ahead.get() + u64::try_from(span.as_micros()).unwrap()) })
    }
}

/// Sends every request to the stub, whatever its host, and remembers the host.
pub struct Detour {
    real: RealHttp,
    to: String,
    origins: Rc<RefCell<BTreeSet<String>>>,
    limit: Duration,
}

impl Http for Detour {
    fn send(&self, mut request: HttpRequest) -> Later<'_, Result<HttpResponse, NetError>> {
        let url = Url::parse(&request.url).unwrap();
        let origin = url.origin().ascii_serialization();
        request.url = request.url.replacen(&origin, &self.to, 1);
        self.origins.borrow_mut().insert(origin);
        request.deadline = request.deadline.min(self.limit);
        self.real.send(request)
    }
}

/// A world in which every provider is at `to`, and waiting takes no time; with the origins asked.
pub fn detoured(to: &str, limit: Duration, pace: u64) -> (World, Rc<RefCell<BTreeSet<String>>>) {
    let origins = Rc::new(RefCell::new(BTreeSet::new()));
    let real = RealClock::new();
    let world = World {
        clock: Box::new(Leaping {
            pace,
            began: real.now(),
            real,
            ahead_us: Rc::default(),
        }),
        http: Box::new(Detour {
            real: RealHttp::new(),
            to: to.to_owned(),
            origins: Rc::clone(&origins),
            limit,
        }),
        ..network_world()
    };
    (world, origins)
}

/// The grant that the provider's words are about.
pub fn case<'w>(world: &'w World, published: &Published) -> Case<'w> {
    let with: Vec<(&str, &str)> = published
        .with
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    let case = Case::new(world, &published.table, &with);
    let who = |who| published.lines.iter().any(|l| l.who == who);
    let secret = who('A')
        || published
            .lines
            .iter()
            .any(|l| format!("{:?}{}", l.body, l.path).contains(SECRET));
    let case = match who('R') {
        true => case.auth(AUTH),
        false => case,
    };
    match secret {
        true => case.secret(SECRET),
        false => case,
    }
}

/// The walk through the whole order; the end of it, and what was wrong.
fn walk(published: &Published, weather: Weather) -> Vec<String> {
    let state = Arc::new(Mutex::new(State {
        cut: false,
        ended: false,
        used: BTreeSet::new(),
        asked: BTreeMap::new(),
        wrong: Vec::new(),
    }));
    let elsewhere = Stub::start(|_, _| say(200, "{}"));
    let stub = serve(published, weather, &state, elsewhere.address());
    let (limit, pace) = match weather {
        Weather::Silent(_) | Weather::Drip => (Duration::from_millis(100), 50),
        _ => (Duration::from_secs(10), 1),
    };
    let (world, origins) = detoured(&stub.address(), limit, pace);
    let mut case = case(&world, published);
    let mut wrong = Vec::new();
    let mistakes = case.adapter().check(&case.target);
    wrong.extend(mistakes);
    if weather == Weather::Fair {
        fair(published, &mut case, &mut wrong);
        let state = state.lock().unwrap();
        let unused = (0..published.lines.len()).filter(|n| !state.used.contains(n));
        wrong.extend(unused.map(|n| {
            let line = &published.lines[n];
            format!("never asked: {} {}", line.method, line.path)
        }));
    } else {
        let strange = matches!(weather, Weather::Redirect | Weather::Portal);
        if strange && case.armed().iter().any(is_armed) {
            wrong.push("called armed by a stranger".to_owned());
        }
        let proof = case.stop();
        let state = state.lock().unwrap();
        if proof.is_dead() && !(state.cut || published.lines.iter().all(|l| l.mark != Some('!'))) {
            wrong.push(format!("called {proof} while it lives: {:?}", case.facts));
        }
        let must_arrive = weather == Weather::Busy && published.word != "unprovable";
        if must_arrive && proof.word() != published.word {
            wrong.push(format!("{proof}, not {}: {:?}", published.word, case.facts));
        }
    }
    let state = state.lock().unwrap();
    wrong.extend(
        state
            .wrong
            .iter()
            .map(|w| format!("asked, and not published: {w}")),
    );
    let said = format!("{:?}", case.facts);
    if said.contains(AUTH) || said.contains(SECRET) {
        wrong.push(format!("a secret in the facts: {said}"));
    }
    if said.len() > 20_000 {
        wrong.push(format!("{} bytes of facts", said.len()));
    }
    if !elsewhere.seen().is_empty() {
        wrong.push(format!("followed elsewhere: {:?}", elsewhere.lines()));
    }
    let origins = origins.borrow();
    if !origins.is_subset(&published.origins) {
        wrong.push(format!("sent to {origins:?}"));
    }
    wrong
        .iter()
        .map(|w| format!("{} in {weather:?}: {w}", published.table))
        .collect()
}

fn is_armed(fact: &Fact) -> bool {
    matches!(fact, Fact::Noted { label, .. } if label == "armed")
}

/// Armed, cut, proved, cut again, given back.
fn fair(published: &Published, case: &mut Case<'_>, wrong: &mut Vec<String>) {
    let armed = case.armed();
    let told = match case.adapter().unarmed() {
        Some(why) => matches!(&armed[..], [Fact::NotTried { why: told }] if told.ends_with(why)),
        None => matches!(&armed[..], [fact] if is_armed(fact)),
    };
    if !told {
        wrong.push(format!("armed: {armed:?}"));
    }
    let proof = case.stop();
    let by_hand = published.word == "unprovable";
    if by_hand {
        // It lives until somebody did it.
        if proof != Proof::StillLive {
            wrong.push(format!("{proof} before anybody revoked it: {:?}", case.facts));
        }
        return;
    }
    if proof.word() != published.word {
        wrong.push(format!("{proof}, not {}: {:?}", published.word, case.facts));
    }
    case.cut();
    case.world
        .wait(case.world.clock.sleep(case.adapter().window()))
        .unwrap();
    case.probe();
    if !case.proof().is_dead() {
        wrong.push(format!("{} after a second cut: {:?}", case.proof(), case.facts));
    }
    if case.adapter().reversible(&case.target) {
        let facts = case.restore();
        let taken = |f: &Fact| matches!(f, Fact::Accepted { .. });
        let alive = |f: &Fact| match f {
            Fact::ReadBack { dead } => !dead,
            Fact::Error { .. } => false,
            _ => true,
        };
        if !facts.iter().any(taken) || !facts.iter().all(alive) {
            wrong.push(format!("given back: {facts:?}"));
        }
    }
}

fn everywhere(weather: Weather) {
    const SIDE_BY_SIDE: usize = 6;
    let all = published();
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let share = |n| all.iter().skip(n).step_by(SIDE_BY_SIDE);
        let walked = move |n| share(n).flat_map(|p| walk(p, weather)).collect::<Vec<_>>();
        let under_way: Vec<_> = (0..SIDE_BY_SIDE)
            .map(|n| scope.spawn(move || walked(n)))
            .collect();
        under_way.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_table_has_its_provider_s_word() {
    let told: BTreeSet<String> = published()
        .into_iter()
        .map(|p| format!("{}.yaml", p.table))
        .collect();
    let shipped: BTreeSet<String> = SHIPPED.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(told, shipped);
}

#[test]
fn every_table_asks_what_is_published_and_reads_it_right() {
    everywhere(Weather::Fair);
}

#[test]
fn no_table_believes_a_liar() {
    everywhere(Weather::Liar);
    everywhere(Weather::Later202);
}

#[test]
fn every_table_waits_and_comes_back() {
    everywhere(Weather::Busy);
    everywhere(Weather::Broken);
}

#[test]
fn no_table_takes_silence_for_an_answer() {
    everywhere(Weather::Silent(false));
    everywhere(Weather::Silent(true));
    everywhere(Weather::Reset);
    everywhere(Weather::Drip);
}

#[test]
fn no_table_follows_a_redirect_or_reads_a_portal() {
    everywhere(Weather::Redirect);
    everywhere(Weather::Portal);
    everywhere(Weather::ErrorPage);
}
