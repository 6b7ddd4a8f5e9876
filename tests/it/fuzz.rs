//! Every reader of foreign bytes, fed with seeds and with what becomes of them, for a bounded time each.
//!
//! Each reader runs in a process of its own whose data may not grow past a gigabyte. It is fed its seeds, then
//! mutations of them, half of the time from a fixed beginning (the same on every run) and half from a random one,
//! which is printed where something fails. What must hold: no panic, no input that takes long, and what the reader
//! itself promises (what verifies is what was written, a detector never sees less when something is added, …).
//!
//! `INCIDENT_FUZZ_SECONDS=600` runs each for ten minutes instead of a second; `INCIDENT_FUZZ_SEED=N` begins with that number.

mod answers;
mod beside;
mod bundles;
mod coded;
mod hosts;
mod machine;
mod mutant;
mod own;
mod processes;
mod records;
mod stores;
mod texts;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::{Duration, Instant};

use mutant::{Mutant, Random};

/// Longest input, in bytes.
const INPUT: usize = 32 * 1024;
/// Processor time that one input may take: no reader needs a tenth of it, even unoptimised.
const ONE_INPUT: u64 = 5_000;
/// What a reader's process may hold.
const DATA: &str = "--data=1073741824";

macro_rules! readers {
    ($($module:ident: $($name:ident),* $(,)?);* $(;)?) => {
        $($(#[test] fn $name() { alone(concat!("fuzz::", stringify!($module), "::", stringify!($name))); })*)*
    };
}

readers!(
    records: journal_lines, journal_events, signatures, rosters, revocations, statements, lent_roles_and_claims, mirrors, pastes;
    bundles: bundles_as_bytes, bundles_made_true_again, disclosed_parts, cases;
    stores: credential_stores;
    hosts: schedules, supervisors, repositories, transcripts;
    coded: coded_answers, redis_replies, pasted_credentials;
    own: approvals, notes, undo_data, additions, typed_words;
    answers: time_stamps, provider_answers, collected_answers;
    texts: runbooks, boundary_examples, inventories, provider_tables, redacted_streams, shown_and_searched_bytes, shell_lines, sql, http_requests;
    beside: files_beside_acts, surroundings;
);

#[test]
fn processes() {
    crate::local::jailed("fuzz::processes::processes");
}

/// Runs the inner test of this name in a process with little memory.
fn alone(name: &str) {
    let this = std::env::current_exe().unwrap();
    let mut command = match Command::new("prlimit").arg("--version").output() {
        Ok(_) => {
            let mut command = Command::new("prlimit");
            command.args([DATA, "--"]).arg(this);
            command
        }
        Err(_) => {
            crate::support::not_tested("prlimit: that readers of foreign bytes need little memory");
            Command::new(this)
        }
    };
    // Threads of tests have a quarter of the stack that the program's own has.
    command.env("RUST_MIN_STACK", (8 << 20).to_string());
    let out = command
        .args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(
        out.status.success() && said.contains("1 passed"),
        "{:?}: {said}",
        out.status
    );
    eprintln!(
        "{}",
        said.lines().filter(|l| l.contains("inputs")).collect::<String>()
    );
}

/// How long, in all.
fn time() -> Duration {
    let seconds = std::env::var("INCIDENT_FUZZ_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(1.0))
}

fn beginning() -> u64 {
    let given = std::env::var("INCIDENT_FUZZ_SEED")
        .ok()
        .and_then(|s| s.parse().ok());
    given.unwrap_or_else(|| {
        use std::hash::{BuildHasher, Hasher};
        std::hash::RandomState::new().build_hasher().finish()
    })
}

/// Feeds a reader. `check` panics where something does not hold; `mend` makes some inputs true again on the way.
fn feed(
    what: &str,
    mutant: &Mutant,
    mut mend: impl FnMut(&mut Random, Vec<u8>) -> Vec<u8>,
    mut check: impl FnMut(&[u8]),
) {
    let mut slowest = 0;
    let mut one = |input: &[u8], from: &str| {
        let before = cpu_ms();
        let held = catch_unwind(AssertUnwindSafe(|| check(input)));
        let took = cpu_ms() - before;
        let show = || {
            String::from_utf8_lossy(&input[..input.len().min(4000)])
                .escape_debug()
                .to_string()
        };
        assert!(held.is_ok(), "{what}, {from}: {}", show());
        assert!(took < ONE_INPUT, "{what}, {from}: {took} ms: {}", show());
        slowest = slowest.max(took);
    };
    for (n, seed) in mutant.seeds().iter().enumerate() {
        one(seed, &format!("seed {n}"));
    }
    let (half, mut inputs) = (time() / 2, 0u64);
    for beginning in [0x9E37_79B9_7F4A_7C15, beginning()] {
        let mut random = Random::new(beginning);
        let started = Instant::now();
        let mut n = 0u64;
        while started.elapsed() < half {
            let input = mutant.next(&mut random, INPUT);
            let input = mend(&mut random, input);
            one(&input, &format!("INCIDENT_FUZZ_SEED={beginning}, input {n}"));
            n += 1;
        }
        inputs += n;
    }
    eprintln!("{what}: {inputs} inputs, the slowest took {slowest} ms");
    assert!(inputs > 0);
}

/// Processor time of this thread, in milliseconds: other programs on this machine do not count.
fn cpu_ms() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    t.tv_sec as u64 * 1000 + t.tv_nsec as u64 / 1_000_000
}

/// Leaves inputs as they are.
fn as_is(_: &mut Random, input: Vec<u8>) -> Vec<u8> {
    input
}
