//! Bundles against what people use instead, paired in one run: `cargo bench --bench evidence`.
//!
//! Each figure stands beside what it must be and, in brackets, where it is going; a missed must ends the
//! run with 1. Times are CPU seconds of whole processes (children's time by `/proc/self/stat`, a tick of
//! 10 ms), medians of the rounds.
//!
//! `INCIDENT_BENCH_SCALE=0.05` makes the trees smaller (nothing is judged then), `INCIDENT_BENCH_ROUNDS`
//! is 3, `INCIDENT_BAGIT` says where `bagit.py` is. At full size some 7 GB of disk are needed.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::exit,
    reason = "a bench runs, times and prints programs"
)]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use incident::evidence::{At, BundleMeta, Job, VerifyOptions, hash_many, plan, verify, write, write_file};
use incident::journal::{Chain, Hash};
use incident::model::ids::IncidentId;
use incident::redact::Redactor;
use incident::store::Store;
use serde_json::json;

const ID: &str = "INC-20261122-0314-k7qf";
const TS: &str = "2026-11-22T03:14:07.120Z";

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("work") => work(&args[2], Path::new(&args[3])),
        _ => compare(),
    }
}

/// What one measured process does.
fn work(what: &str, path: &Path) {
    match what {
        "hash-1" => hash_tree(path, 1),
        "hash-2" => hash_tree(path, 2),
        "members-1" => hash_members(path, 1),
        "members-2" => hash_members(path, 2),
        "create" => {
            let plan = plan(path, &meta()).unwrap();
            write(&plan, None, &mut io::sink()).unwrap();
        }
        "bundle" => {
            let plan = plan(path, &meta()).unwrap();
            write_file(&plan, None, &path.with_extension("tar")).unwrap();
        }
        "verify" => {
            let report = verify(path, &VerifyOptions::default()).unwrap();
            assert_eq!(report.exit_code(), 11, "{:?}", report.words());
        }
        "records-1" => {
            let mut journal = BufReader::new(File::open(path.join("journal.jsonl")).unwrap());
            let (mut chain, mut line) = (Chain::default(), Vec::new());
            while journal.read_until(b'\n', &mut line).unwrap() > 0 {
                chain.check_line(&line).unwrap();
                line.clear();
            }
            assert!(chain.next > 0);
        }
        "records-2" => {
            let store = Store::open(path.parent().unwrap().to_owned());
            let case = store.open_case(&IncidentId::new(ID).unwrap()).unwrap();
            let mut seen = 0;
            let read = case.read(|_| seen += 1).unwrap();
            assert!(seen > 0 && read.chain.next == seen && read.torn == 0);
        }
        "redact" => {
            let redactor = Redactor::new([7; 32], &[]).unwrap();
            let mut out = redactor.stream(io::sink());
            io::copy(&mut File::open(path).unwrap(), &mut out).unwrap();
            let (_, receipts) = out.finish().unwrap();
            assert!(!receipts.is_empty());
        }
        other => panic!("{other}?"),
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    println!("{}", peak.trim().trim_end_matches(" kB"));
}

fn meta() -> BundleMeta {
    BundleMeta {
        incident: IncidentId::new(ID).unwrap(),
        sealed_by: "ana@example.com".to_owned(),
        sealed_at: TS.to_owned(),
        records: None,
        hash_anew: false,
    }
}

/// Only walks and hashes: the floor that making a bundle is measured against.
fn hash_tree(case: &Path, threads: usize) {
    let mut files = Vec::new();
    list(case, "data", &mut files);
    let jobs: Vec<Job<'_>> = files
        .iter()
        .map(|(name, len)| Job {
            at: At::File { root: case, name },
            len: *len,
        })
        .collect();
    let bytes: u64 = hash_many(&jobs, threads)
        .into_iter()
        .map(|d| d.unwrap().len)
        .sum();
    assert!(bytes > 0);
}

fn list(root: &Path, below: &str, files: &mut Vec<(String, u64)>) {
    for item in fs::read_dir(root.join(below)).unwrap() {
        let item = item.unwrap();
        let name = format!("{below}/{}", item.file_name().to_str().unwrap());
        let meta = item.metadata().unwrap();
        match meta.is_dir() {
            true => list(root, &name, files),
            false => files.push((name, meta.len())),
        }
    }
}

fn hash_members(bundle: &Path, threads: usize) {
    let file = File::open(bundle).unwrap();
    let mut archive = tar::Archive::new(&file);
    let members: Vec<(u64, u64)> = archive
        .entries_with_seek()
        .unwrap()
        .map(|e| e.map(|e| (e.raw_file_position(), e.size())).unwrap())
        .collect();
    let jobs: Vec<Job<'_>> = members
        .iter()
        .map(|(offset, len)| Job {
            at: At::Member {
                tar: &file,
                offset: *offset,
            },
            len: *len,
        })
        .collect();
    assert!(hash_many(&jobs, threads).iter().all(Result::is_ok));
}

/// Measured: CPU seconds, wall seconds, peak MiB where the worker says it.
#[derive(Clone, Copy)]
struct Cost {
    cpu: f64,
    wall: f64,
    mib: f64,
}

/// User and system time of all ended children, in seconds.
fn children_cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let ticks: f64 = after_name
        .split_whitespace()
        .skip(13)
        .take(2)
        .map(|n| n.parse::<f64>().unwrap())
        .sum();
    ticks / 100.0
}

fn measure(command: &mut Command) -> Cost {
    let (cpu, start) = (children_cpu(), Instant::now());
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    let cost = (children_cpu() - cpu, start.elapsed().as_secs_f64());
    assert!(output.status.success(), "{command:?}");
    let kib: f64 = String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .unwrap_or(0.0);
    Cost {
        cpu: cost.0,
        wall: cost.1,
        mib: kib / 1024.0,
    }
}

fn ours(what: &str, path: &Path) -> Cost {
    measure(
        Command::new(std::env::current_exe().unwrap())
            .args(["work", what])
            .arg(path),
    )
}

fn shell(script: &str, dir: &Path) -> Cost {
    measure(
        Command::new("sh")
            .args(["-ec", script])
            .current_dir(dir)
            .env("LC_ALL", "C"),
    )
}

/// Rounds of the same thing, in medians.
#[derive(Default)]
struct Rounds(Vec<Cost>);

impl Rounds {
    fn median(&self, of: fn(&Cost) -> f64) -> f64 {
        let mut all: Vec<f64> = self.0.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    }
    fn cpu(&self) -> f64 {
        self.median(|c| c.cpu)
    }
    fn wall(&self) -> f64 {
        self.median(|c| c.wall)
    }
    fn mib(&self) -> f64 {
        self.median(|c| c.mib)
    }
}

/// The table in the making.
struct Table {
    judged: bool,
    missed: u32,
}

impl Table {
    /// A figure beside what it must be and where it is going, each at most or at least.
    fn row(
        &mut self,
        goal: &str,
        what: &str,
        found: f64,
        at_most: bool,
        (must, stretch): (f64, f64),
        unit: &str,
    ) {
        let meets = |target: f64| match at_most {
            true => found <= target,
            false => found >= target,
        };
        let kept = meets(must);
        self.missed += u32::from(!kept);
        let sign = if at_most { "<=" } else { ">=" };
        let verdict = match (self.judged, kept, meets(stretch)) {
            (false, ..) => "not judged",
            (true, true, true) => "kept, and the stretch",
            (true, true, false) => "kept",
            (true, false, _) => "MISSED",
        };
        println!(
            "{goal:<4} {what:<50} {found:>8.2}{unit:<4} {sign} {must:>7.2}{unit:<4} ({stretch:>6.2}) {verdict}"
        );
    }
}

fn variable(name: &str, default: f64) -> f64 {
    std::env::var(name)
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(default)
}

fn compare() {
    let scale = variable("INCIDENT_BENCH_SCALE", 1.0);
    let rounds = variable("INCIDENT_BENCH_ROUNDS", 3.0) as usize;
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut table = Table {
        judged: scale >= 1.0,
        missed: 0,
    };
    let files = |n: f64| (n * scale).ceil() as u64;

    println!("making the trees (scale {scale}, {rounds} rounds)");
    let ev = Tree::new(
        dir.path(),
        "ev",
        files(20_000.0),
        1024,
        65_537,
        files(20.0),
        67_108_864,
    );
    big(&mut table, &ev, rounds);
    drop(ev);
    let tiny = Tree::new(dir.path(), "tiny", files(200_000.0), 100, 2_049, 0, 0);
    small(&mut table, &tiny, rounds);
    drop(tiny);
    start_to_end(&mut table, dir.path(), rounds);
    records(&mut table, dir.path(), files(1_000_000.0), rounds);
    redaction(&mut table, dir.path(), scale, rounds);

    if table.judged && table.missed > 0 {
        println!("{} targets missed", table.missed);
        std::process::exit(1);
    }
}

const SUMS: &str = "find data -type f -print0 | xargs -0 sha256sum > /dev/null";
const DGST: &str = "find data -type f -print0 | xargs -0 openssl dgst -sha256 > /dev/null";

fn big(table: &mut Table, tree: &Tree, rounds: usize) {
    let case = &tree.case;
    let bundle = tree.bundle();
    let bag = tree.bag();
    let names = [
        "hash-1",
        "hash-2",
        "create",
        "verify",
        "members-1",
        "members-2",
        "sha256sum",
        "openssl",
        "openssl-tar",
        "tar-sums",
        "tar-openssl",
        "hashdeep",
        "untar-sums",
        "bag-create",
        "bag-validate",
    ];
    let hashdeep = Command::new("hashdeep").arg("-V").output().is_ok();
    if !hashdeep {
        println!("NOT COMPARED: hashdeep (no such program; Debian has it in `hashdeep`)");
    }
    let mut all: Vec<Rounds> = names.iter().map(|_| Rounds::default()).collect();
    for round in 0..=rounds {
        for (name, seen) in names.iter().zip(&mut all) {
            let cost = match *name {
                "hash-1" | "hash-2" | "create" => ours(name, case),
                "verify" | "members-1" | "members-2" => ours(name, &bundle),
                "sha256sum" => shell(SUMS, case),
                "openssl" => shell(DGST, case),
                "openssl-tar" => shell(&format!("openssl dgst -sha256 {}", bundle.display()), case),
                "tar-sums" => shell("tar c data | sha256sum", case),
                "tar-openssl" => shell("tar c data | openssl dgst -sha256", case),
                "hashdeep" if !hashdeep => continue,
                "hashdeep" => shell("hashdeep -r -c sha256 data > /dev/null", case),
                "untar-sums" => shell(
                    &format!(
                        "mkdir x; tar xf {} -C x; cd x/{ID}; sha256sum --quiet -c manifest-sha256.txt; cd ../..; rm -r x",
                        bundle.display()
                    ),
                    tree.dir(),
                ),
                "bag-create" => match &bag {
                    Some(bag) => bag.create(),
                    None => continue,
                },
                _ => match &bag {
                    Some(bag) => bag.validate(),
                    None => continue,
                },
            };
            // Round 0 warms the cache.
            if round > 0 {
                seen.0.push(cost);
            }
        }
    }
    let of = |name: &str| &all[names.iter().position(|n| *n == name).unwrap()];
    println!("tree ev: {} files, {} MB", tree.files, tree.bytes / 1_000_000);
    for (name, seen) in names.iter().zip(&all).filter(|(_, seen)| !seen.0.is_empty()) {
        println!(
            "     {name:<14} {:>6.2} s CPU {:>6.2} s wall {:>5.0} MiB",
            seen.cpu(),
            seen.wall(),
            seen.mib()
        );
    }
    let (hash, create, check) = (of("hash-1").cpu(), of("create").cpu(), of("verify").cpu());
    let (hash1, hash2) = (of("hash-1").wall(), of("hash-2").wall());
    let members = tree.files as f64 / 1_048_576.0;
    let (limit, limit_stretch) = (32.0 + 200.0 * members, 16.0 + 150.0 * members);
    table.row(
        "G1",
        "hash the tree: CPU of openssl dgst",
        hash / of("openssl").cpu(),
        true,
        (1.05, 0.65),
        "x",
    );
    table.row(
        "G1b",
        "hash with 2 threads: wall of 1 thread",
        hash2 / hash1,
        true,
        (0.58, 0.53),
        "x",
    );
    table.row(
        "G1c",
        "sha256sum: CPU of our hashing",
        of("sha256sum").cpu() / hash,
        false,
        (3.5, 5.5),
        "x",
    );
    table.row(
        "G1c",
        "sha256sum: wall of ours with 2 threads",
        of("sha256sum").wall() / hash2,
        false,
        (6.0, 9.0),
        "x",
    );
    table.row(
        "G2",
        "create: CPU of hashing only",
        create / hash,
        true,
        (1.10, 1.05),
        "x",
    );
    table.row(
        "G2b",
        "tar c | sha256sum: CPU of create",
        of("tar-sums").cpu() / create,
        false,
        (4.0, 5.0),
        "x",
    );
    table.row(
        "G2b",
        "tar c | openssl dgst: CPU of create",
        of("tar-openssl").cpu() / create,
        false,
        (1.4, 2.0),
        "x",
    );
    table.row(
        "G3",
        "verify: CPU of openssl dgst of the bundle",
        check / of("openssl-tar").cpu(),
        true,
        (1.0, 0.7),
        "x",
    );
    table.row(
        "G3b",
        "tar x && sha256sum -c: CPU of verify",
        of("untar-sums").cpu() / check,
        false,
        (6.0, 8.0),
        "x",
    );
    if hashdeep {
        println!(
            "     hashdeep takes {:.1} times the CPU of our hashing, and {:.1} times the wall of ours with 2 threads",
            of("hashdeep").cpu() / hash,
            of("hashdeep").wall() / hash2
        );
    }
    let members = of("members-2").wall() / of("members-1").wall();
    table.row(
        "G3d",
        "hash members with 2 threads: wall of 1 thread",
        members,
        true,
        (0.58, 0.5),
        "x",
    );
    if bag.is_some() {
        table.row(
            "G2d",
            "bagit.py create: CPU of create",
            of("bag-create").cpu() / create,
            false,
            (1.7, 2.5),
            "x",
        );
        table.row(
            "G3b",
            "bagit.py validate: CPU of verify",
            of("bag-validate").cpu() / check,
            false,
            (2.0, 3.0),
            "x",
        );
    }
    table.row(
        "G3c",
        "create: peak memory",
        of("create").mib(),
        true,
        (limit, limit_stretch),
        "MiB",
    );
    table.row(
        "G3c",
        "verify: peak memory",
        of("verify").mib(),
        true,
        (limit, limit_stretch),
        "MiB",
    );
}

fn small(table: &mut Table, tree: &Tree, rounds: usize) {
    let bundle = tree.bundle();
    let bag = tree.bag();
    let [mut create, mut check, mut tar, mut bagit] = [(); 4].map(|()| Rounds::default());
    for round in 0..=rounds {
        let seen = [
            (&mut create, Some(ours("create", &tree.case))),
            (&mut check, Some(ours("verify", &bundle))),
            (&mut tar, Some(shell("tar c data | cat > /dev/null", &tree.case))),
            (&mut bagit, bag.as_ref().map(Bag::create)),
        ];
        for (rounds, cost) in seen {
            rounds.0.extend(cost.filter(|_| round > 0));
        }
    }
    println!("tree tiny: {} files, {} MB", tree.files, tree.bytes / 1_000_000);
    println!(
        "     create {:.2} s CPU, verify {:.2} s CPU, tar c {:.2} s CPU",
        create.cpu(),
        check.cpu(),
        tar.cpu()
    );
    let members = tree.files as f64 / 1_048_576.0;
    let (limit, limit_stretch) = (32.0 + 200.0 * members, 16.0 + 150.0 * members);
    table.row(
        "G4",
        "create: CPU of tar c to a pipe",
        create.cpu() / tar.cpu(),
        true,
        (1.25, 1.1),
        "x",
    );
    if bag.is_some() {
        println!(
            "     bagit.py takes {:.1} times the CPU of tar c, which makes no hash at all",
            bagit.cpu() / tar.cpu()
        );
        table.row(
            "G4",
            "bagit.py create: CPU of create",
            bagit.cpu() / create.cpu(),
            false,
            (10.0, 12.0),
            "x",
        );
    }
    table.row(
        "G3c",
        "create: peak memory",
        create.mib(),
        true,
        (limit, limit_stretch),
        "MiB",
    );
    table.row(
        "G3c",
        "verify: peak memory",
        check.mib(),
        true,
        (limit, limit_stretch),
        "MiB",
    );
}

/// G7: 1,000 records, 1 MB of evidence, from the start of a process to its end.
fn start_to_end(table: &mut Table, dir: &Path, rounds: usize) {
    let mut tree = Tree::new(dir, "walk", 20, 50_000, 50_001, 0, 0);
    for n in 0..1_000 {
        tree.record("note.added", json!({"n": n, "text": "x".repeat(200)}));
    }
    let bundle = tree.bundle();
    let mut seen = Rounds::default();
    seen.0.extend((0..10 * rounds).map(|_| ours("verify", &bundle)));
    table.row(
        "G7",
        "verify 1,000 records and 1 MB, start to end: wall",
        seen.wall() * 1000.0,
        true,
        (20.0, 8.0),
        "ms",
    );
}

/// G6: every link and the spelling of every line of a long record, against its bytes' hash alone.
fn records(table: &mut Table, dir: &Path, count: u64, rounds: usize) {
    let store = Store::open(dir.join("records"));
    let case = store
        .create_case(&IncidentId::new(ID).unwrap(), &[7; 32])
        .unwrap();
    let mut journal = BufWriter::new(File::create(case.path().join("journal.jsonl")).unwrap());
    let mut chain = Chain::default();
    for n in 0..count {
        let what = json!({"n": n, "text": "x".repeat(146)});
        let line = chain.write(TS, "note.added", 1, what, "ana@example.com").unwrap();
        journal.write_all(&line).unwrap();
    }
    let bytes = journal.into_inner().unwrap().metadata().unwrap().len();
    let [mut one, mut two, mut sums] = [(); 3].map(|()| Rounds::default());
    for round in 0..=rounds {
        let seen = [
            (&mut one, ours("records-1", case.path())),
            (&mut two, ours("records-2", case.path())),
            (
                &mut sums,
                shell("sha256sum journal.jsonl > /dev/null", case.path()),
            ),
        ];
        for (rounds, cost) in seen {
            rounds.0.extend((round > 0).then_some(cost));
        }
    }
    println!(
        "{count} records of {} bytes: checked in {:.2} s CPU, sha256sum {:.2} s",
        bytes / count,
        one.cpu(),
        sums.cpu()
    );
    let mib = one.mib().max(two.mib());
    for (goal, what, found, targets, unit) in [
        (
            "G6",
            "check a record: CPU of sha256sum",
            one.cpu() / sums.cpu(),
            (1.6, 0.75),
            "x",
        ),
        (
            "G6b",
            "with 2 threads: wall of 1 thread",
            two.wall() / one.wall(),
            (0.62, 0.55),
            "x",
        ),
        ("G6b", "either: peak memory", mib, (32.0, 8.0), "MiB"),
    ] {
        table.row(goal, what, found, true, targets, unit);
    }
    fs::remove_dir_all(case.path()).unwrap();
}

/// Thirty of our shapes, for a search by `grep`, which takes out nothing.
const GREP: &str = r#"gh[opusr]_[A-Za-z0-9]{30,}
github_pat_[A-Za-z0-9_]{30,}
gl(pat|dt|rt|ptt|cbt|ft|agent|soat)-[A-Za-z0-9_.=-]{20,}
(AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}
X-(Amz|Goog)-Signature=[0-9a-fA-F]{40,}
[?&](amp;)?sig=[A-Za-z0-9%/+=_-]{40,}
AIza[A-Za-z0-9_-]{35}
ya29\.[A-Za-z0-9_.-]{20,}
GOCSPX-[A-Za-z0-9_-]{20,}
(AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{40,}
xox[abeoprs]-[A-Za-z0-9-]{10,}
xapp-[0-9]-[A-Za-z0-9-]{20,}
hooks\.slack\.com/services/[A-Za-z0-9/]{20,}
[rsp]k_(live|test)_[A-Za-z0-9]{16,}
whsec_[A-Za-z0-9+/=]{24,}
sk-(ant-)?[A-Za-z0-9_-]{20,}
gsk_[A-Za-z0-9]{40,}
hf_[A-Za-z0-9]{30,}
npm_[A-Za-z0-9]{36,}
pypi-[A-Za-z0-9_-]{50,}
hv[sbr]\.[A-Za-z0-9_-]{20,}
[sbr]\.[A-Za-z0-9]{24,}
eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}
SG\.[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{39,50}
do[opr]_v1_[a-f0-9]{64}
dckr_(pat|oat)_[A-Za-z0-9_-]{20,}
shp(at|ca|pa|ss)_[a-fA-F0-9]{32}
AGE-SECRET-KEY-1[0-9A-Z]{50,}
://[^ :/?#@"'<>]{0,200}:[^ /?#"'<>]{1,500}@
(pass(word|wd|phrase)?|pwd|secret|token|key|creds?|auth)[A-Za-z0-9_.-]{0,32}["']?[ ]{0,8}[:=][ ]{0,16}[^ "',;]{6,}"#;

/// 100 MB of logs of several kinds, a secret in one of some 400 lines.
fn redaction(table: &mut Table, dir: &Path, scale: f64, rounds: usize) {
    let path = dir.join("mixed.log");
    let mut logs = Logs {
        random: Random(11),
        clock: 0,
    };
    let text = logs.mixed((100_000_000.0 * scale) as usize);
    fs::write(&path, &text).unwrap();
    fs::write(dir.join("shapes"), GREP).unwrap();
    let [mut ours_, mut grep] = [(); 2].map(|()| Rounds::default());
    for round in 0..=rounds {
        let costs = [
            ours("redact", &path),
            // Into a file: where its output goes to /dev/null, grep ends at the first match.
            shell("grep -aoE -f shapes mixed.log > found", dir),
        ];
        if round > 0 {
            ours_.0.push(costs[0]);
            grep.0.push(costs[1]);
        }
    }
    let megabytes = text.len() as f64 / 1e6;
    println!(
        "mixed logs: {megabytes:.0} MB, ours {:.2} s CPU with all shapes, grep {:.2} s with thirty",
        ours_.cpu(),
        grep.cpu()
    );
    table.row(
        "R1",
        "redact: megabytes in a second of CPU",
        megabytes / ours_.cpu(),
        false,
        (100.0, 200.0),
        "MB",
    );
    table.row(
        "R1b",
        "grep -aoE with thirty shapes: CPU of redact",
        grep.cpu() / ours_.cpu(),
        false,
        (0.5, 1.0),
        "x",
    );
    table.row(
        "R1c",
        "redact: peak memory",
        ours_.mib(),
        true,
        (64.0, 32.0),
        "MiB",
    );
}

/// A case whose evidence is a made-up tree of log files, one exhibit for each 200 of them.
struct Tree {
    case: PathBuf,
    chain: Chain,
    journal: Vec<u8>,
    files: u64,
    bytes: u64,
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.dir());
    }
}

impl Tree {
    fn new(dir: &Path, name: &str, small: u64, low: u64, high: u64, big: u64, big_size: u64) -> Self {
        let case = dir.join(name).join(ID);
        fs::create_dir_all(&case).unwrap();
        let mut tree = Tree {
            case,
            chain: Chain::default(),
            journal: Vec::new(),
            files: small + big,
            bytes: 0,
        };
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let mut logs = Logs {
            random: Random(7),
            clock: 0,
        };
        let mut left: Vec<u64> = (0..small).map(|_| random.between(low, high)).collect();
        left.extend((0..big).map(|_| big_size));
        for sizes in left.chunks(200) {
            let seq = tree.record(
                "capture.started",
                json!({"name": "logs", "spec": "host", "step": null, "purpose": "baseline", "mono_us": 1}),
            );
            let folder = format!("data/{seq:04}-logs");
            fs::create_dir_all(tree.case.join(&folder)).unwrap();
            let mut files = Vec::new();
            for (n, size) in sizes.iter().enumerate() {
                let text = logs.text(*size as usize);
                let name = format!("f{n:06}.log");
                let path = format!("{folder}/{name}");
                fs::write(tree.case.join(&path), &text).unwrap();
                files.push(json!({
                    "name": name, "source": path, "status": "collected", "bytes": text.len(),
                    "sha256": Hash::of(text.as_bytes()), "redactions": 0,
                }));
                tree.bytes += size;
            }
            let exhibit = format!("{seq:04}-logs");
            let ended = json!({"capture": seq, "exhibit": exhibit, "items": files, "ms": 1});
            tree.record("capture.ended", ended);
        }
        tree
    }

    fn dir(&self) -> &Path {
        self.case.parent().unwrap()
    }

    fn record(&mut self, kind: &str, what: serde_json::Value) -> u64 {
        let seq = self.chain.next;
        self.journal
            .extend(self.chain.write(TS, kind, 1, what, "ana@example.com").unwrap());
        seq
    }

    /// Writes the journal and makes the bundle, unsigned.
    fn bundle(&self) -> PathBuf {
        fs::write(self.case.join("journal.jsonl"), &self.journal).unwrap();
        ours("bundle", &self.case);
        self.case.with_extension("tar")
    }

    /// A hard-linked copy for `bagit.py`, where there is one.
    fn bag(&self) -> Option<Bag> {
        let program = std::env::var("INCIDENT_BAGIT").unwrap_or_else(|_| "bagit.py".to_owned());
        let there = Command::new(&program).arg("--help").output().is_ok();
        if !there {
            println!("NOT COMPARED: bagit ({program} cannot be run)");
        }
        there.then(|| Bag {
            program,
            case: self.case.clone(),
        })
    }
}

struct Bag {
    program: String,
    case: PathBuf,
}

impl Bag {
    fn create(&self) -> Cost {
        let dir = self.case.parent().unwrap();
        shell(
            &format!("rm -rf bag; cp -al {}/data bag", self.case.display()),
            dir,
        );
        shell(
            &format!("{} --quiet --sha256 --processes 2 bag", self.program),
            dir,
        )
    }
    fn validate(&self) -> Cost {
        shell(
            &format!("{} --quiet --validate --processes 2 bag", self.program),
            self.case.parent().unwrap(),
        )
    }
}

/// Xorshift: the same tree on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low)
    }
    fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.next() as usize % items.len()]
    }
}

/// Log lines that look like a service's.
struct Logs {
    random: Random,
    clock: u64,
}

impl Logs {
    /// Lines of a service, JSON, an access log, a dump, base64 and environments, and here and there a secret.
    fn mixed(&mut self, size: usize) -> String {
        const SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::with_capacity(size + 512);
        while text.len() < size {
            let (a, b, n) = (
                self.random.next(),
                self.random.next(),
                self.random.between(1, 99_999),
            );
            let mut signs = |len: usize, of: u64| -> String {
                let sign = |_| char::from(SIGNS[(self.random.next() % of) as usize]);
                (0..len).map(sign).collect()
            };
            let _ = match b % 401 {
                0 => writeln!(
                    text,
                    "export DB_PASSWORD=hunter{n} GITHUB_TOKEN=ghp_{}",
                    signs(36, 62)
                ),
                n if n % 6 == 0 => writeln!(text, "{}", signs(76, 64)),
                k if k % 6 == 1 => writeln!(
                    text,
                    "{{\"level\":\"info\",\"request_id\":\"{a:016x}-{b:016x}\",\"tokens\":{{\"input_tokens\":{n},\"output_tokens\":{k}}},\"key\":\"orders:{n}\",\"msg\":\"authentication ok\"}}"
                ),
                k if k % 6 == 2 => writeln!(
                    text,
                    "10.0.0.{k} - - [14/Jul/2026:03:14:07 +0000] \"GET /v1/orders/{n}?page={k} HTTP/1.1\" 200 {n} \"https://shop.example.com/cart\" \"Mozilla/5.0\""
                ),
                k if k % 6 == 3 => writeln!(
                    text,
                    "INSERT INTO orders VALUES ({n},'2026-07-14','shipped',{k}.50,'{a:032x}');"
                ),
                k if k % 6 == 4 => {
                    writeln!(text, "ORDERS_{k}_HOST=db{k}.internal\nBUILD_REF={a:016x}{b:016x}")
                }
                _ => {
                    text.push_str(&self.text(120));
                    writeln!(text)
                }
            };
        }
        text
    }

    fn text(&mut self, size: usize) -> String {
        let mut text = String::with_capacity(size + 256);
        while text.len() < size {
            self.clock += self.random.between(1, 900);
            let (ms, level) = (self.clock, self.random.of(&["INFO", "WARN", "ERROR", "DEBUG"]));
            let service = self.random.of(&[
                "gateway",
                "billing",
                "orders-db",
                "agent-runner",
                "deploy",
                "auth",
            ]);
            let message = self.random.of(&[
                "request completed",
                "rows deleted",
                "connection reset",
                "tool call",
            ]);
            let (request, user) = (self.random.next(), self.random.between(1, 99_999));
            let (h, m, s) = (ms / 3_600_000 % 24, ms / 60_000 % 60, ms / 1_000 % 60);
            let _ = writeln!(
                text,
                "2026-07-14T{h:02}:{m:02}:{s:02}.{:03}Z {level} [{service}] req={request:016x} user={user} msg=\"{message}\"",
                ms % 1_000
            );
        }
        text.truncate(size);
        text
    }
}
