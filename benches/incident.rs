//! The figures the program must reach, each beside its target and its rival: `cargo bench --bench incident`.
//!
//! A missed target ends the run with 1. Everything outside is this machine's loopback and a PID namespace
//! of its own: the sweep goes to servers that this program starts of itself, the tree of processes lives
//! and dies in a jail. Needs a quiet machine; times are medians.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::exit,
    reason = "a bench runs, times and prints programs"
)]

use std::process::Command;
use std::time::Instant;

#[path = "incident/gate.rs"]
mod gate;
#[path = "incident/record.rs"]
mod record;
#[path = "incident/sweep.rs"]
mod sweep;
#[path = "incident/tree.rs"]
mod tree;

/// A group of figures: its name, and what measures it.
type Part = (&'static str, fn(&mut Table));

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
    match words.as_slice() {
        ["serving"] => return sweep::serve(),
        ["sweeping", ports @ ..] => return sweep::worker(ports),
        ["in-jail"] => return tree::inner(),
        _ => {}
    }
    let only = words.iter().find(|w| !w.starts_with('-')).copied();
    let mut table = Table::default();
    println!("{:<52} {:>12}  {:<22} rival", "what", "figure", "target");
    let parts: [Part; 4] = [
        ("sweep", sweep::measure),
        ("tree", tree::measure),
        ("record", record::measure),
        ("gate", gate::measure),
    ];
    for (name, part) in parts {
        if only.is_none_or(|o| o == name) {
            part(&mut table);
        }
    }
    if table.missed > 0 {
        eprintln!("{} of {} targets missed", table.missed, table.rows);
        std::process::exit(1);
    }
}

/// What was measured so far.
#[derive(Default)]
pub struct Table {
    rows: u32,
    missed: u32,
}

impl Table {
    /// One figure that must be at most its target.
    pub fn most(&mut self, what: &str, figure: f64, target: f64, unit: &str, rival: &str) {
        self.row(
            what,
            figure,
            figure <= target,
            &format!("<= {} {unit}", plain(target)),
            unit,
            rival,
        );
    }

    /// One figure that must be at least its target.
    pub fn least(&mut self, what: &str, figure: f64, target: f64, unit: &str, rival: &str) {
        self.row(
            what,
            figure,
            figure >= target,
            &format!(">= {} {unit}", plain(target)),
            unit,
            rival,
        );
    }

    /// A figure that no target is set for.
    pub fn told(&self, what: &str, figure: f64, unit: &str, rival: &str) {
        println!("{what:<52} {:>12}  {:<22} {rival}", shown(figure, unit), "-");
    }

    /// Something that this machine cannot measure.
    pub fn not_measured(&self, what: &str, why: &str) {
        println!("{what:<52} NOT MEASURED: {why}");
    }

    fn row(&mut self, what: &str, figure: f64, met: bool, target: &str, unit: &str, rival: &str) {
        self.rows += 1;
        self.missed += u32::from(!met);
        let mark = if met { "" } else { "  MISSED" };
        println!(
            "{what:<52} {:>12}  {:<22} {rival}",
            shown(figure, unit),
            format!("{target}{mark}")
        );
    }
}

/// A target as people say it.
fn plain(target: f64) -> String {
    match target.fract() < 0.001 {
        true => format!("{target:.0}"),
        false => format!("{target}"),
    }
}

fn shown(figure: f64, unit: &str) -> String {
    match figure {
        f if f >= 100.0 => format!("{f:.0} {unit}"),
        f if f >= 1.0 => format!("{f:.2} {unit}"),
        f => format!("{f:.4} {unit}"),
    }
}

/// Median milliseconds of `rounds` runs.
pub fn median_ms(rounds: usize, mut run: impl FnMut()) -> f64 {
    let times = (0..rounds).map(|_| {
        let began = Instant::now();
        run();
        began.elapsed().as_secs_f64() * 1_000.0
    });
    median(times.collect())
}

pub fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// This very program in another role.
pub fn again(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(role);
    command
}

/// The built program with an empty environment and a made-up home.
pub fn incident(home: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_incident"));
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", home)
        .current_dir(home)
        .stdin(std::process::Stdio::null());
    command
}
