//! The record at a place off this host: a real git repository, a real sshd, and a bucket that misbehaves on request.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::access::remote::Box as Vault;
use crate::support::clouds::{Aws, aws_program};
use crate::support::desk::{Desk, PROGRAM};

/// What every script begins with. The pushers live as long as the script: it is the first process of its namespace.
const PRELUDE: &str = "P=$1; store=$HOME/.local/share/incident; export PATH=$HOME/bin:$PATH; cd $HOME\n\
    all_there() { n=0; until \"$P\" mirror > /dev/null; do n=$((n+1)); [ $n -lt 200 ] || return 1; sleep 0.1; done; }\n\
    lag() { \"$P\" mirror; }\n";

/// Runs a script in the jail, at a home that ssh finds, too.
fn script(desk: &Desk, text: &str) -> Output {
    let mut command = desk.jailed("sh");
    command.args(["-c", &format!("{PRELUDE}{text}"), "sh", PROGRAM]);
    command.stdin(Stdio::null()).output().unwrap()
}

fn said(out: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&out.stdout), text(&out.stderr))
}

/// All batches of a folder, one after the other in the order of their names.
fn batches(folder: &Path) -> (usize, String) {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|f| f.unwrap().path())
        .collect();
    files.sort();
    let text = files.iter().map(|f| std::fs::read_to_string(f).unwrap());
    (files.len(), text.collect())
}

/// The branch of the incident, unpacked below the home.
fn cloned(desk: &Desk) -> PathBuf {
    let to = desk.home().join("clone");
    let _ = std::fs::remove_dir_all(&to);
    let git = Command::new("git")
        .args(["clone", "-q", "--branch", &desk.id()])
        .arg(desk.home().join("records.git"))
        .arg(&to)
        .output()
        .unwrap();
    assert!(git.status.success(), "{}", said(&git));
    to.join(desk.id())
}

/// A program that stands for `aws`: a folder is the bucket, `mode` says how it misbehaves.
const AWS: &str = r#"#!/bin/sh
verb=$2; shift 2
while [ $# -gt 0 ]; do case $1 in
  --bucket) bucket=$2; shift 2;; --key) key=$2; shift 2;; --body) body=$2; shift 2;;
  --if-none-match) [ "$2" = '*' ] || exit 9; only_new=1; shift 2;; --prefix) prefix=$2; shift 2;;
  --delimiter|--query|--output|--cli-connect-timeout|--cli-read-timeout) shift 2;;
  *) out=$1; shift;; esac; done
mode=$(cat "$HOME/mode" 2>/dev/null); at=$HOME/s3/$bucket/$key
echo "$verb $key" >> "$HOME/calls"
case $mode in
  hang) exec sleep 1000;;
  refuse) echo 'Could not connect to the endpoint URL: connection refused' >&2; exit 255;; esac
case $verb in
  list-objects-v2) for d in "$HOME/s3/$bucket/$prefix"*/; do [ -d "$d" ] && echo "$prefix$(basename "$d")/"; done; exit 0;;
  put-object)
    [ "$only_new" = 1 ] || exit 8
    [ "$mode" != lie ] || exit 0
    if [ -e "$at" ]; then echo 'An error occurred (PreconditionFailed) when calling PutObject' >&2; exit 254; fi
    mkdir -p "$(dirname "$at")"; cp "$body" "$at.part"; [ "$mode" != other ] || echo x >> "$at.part"
    mv "$at.part" "$at"; [ "$mode" != slow ] || { : > "$HOME/stored"; sleep 3; };;
  get-object)
    [ -e "$at" ] || { echo 'An error occurred (NoSuchKey) when calling GetObject' >&2; exit 254; }
    cp "$at" "$out";;
esac
"#;

fn with_bucket(mode: &str) -> Option<Desk> {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new()?;
    desk.file("bin/aws", AWS);
    desk.file("mode", mode);
    let program = desk.home().join("bin/aws");
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).unwrap();
    Some(desk)
}

fn bucket(desk: &Desk, folder: &str) -> (usize, String) {
    batches(&desk.home().join("s3/records/here").join(desk.id()).join(folder))
}

/// What the responder's tool says of the copy.
fn verified(desk: &Desk, copy: &Path) -> (i64, serde_json::Value) {
    let copy = copy.display().to_string();
    let out = desk.run(&["verify", &desk.id(), "--mirror", &copy, "--json"]);
    let all: serde_json::Value =
        serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(&out)));
    (i64::from(out.status.code().unwrap()), all["mirror"].clone())
}

#[test]
fn every_record_is_in_a_git_branch_named_after_the_incident() {
    let Some(desk) = Desk::new() else { return };
    let out = script(
        &desk,
        "git init -q --bare records.git; export INCIDENT_MIRROR=git:$HOME/records.git\n\
         \"$P\" stop; \"$P\" note one; all_there || lag; \"$P\" note two; all_there || lag; \"$P\" brief; \"$P\" status",
    );
    let text = said(&out);
    let there = cloned(&desk);
    let (files, copy) = batches(&there.join("journal"));
    assert_eq!(copy, desk.journal(), "{text}");
    assert!(files >= 2, "{files}: {text}");
    assert!(text.contains("; the mirror has all of it"), "{text}");
    assert!(text.contains("records are there"), "{text}");
    assert!(desk.kinds().contains(&"mirror.chosen".to_owned()));
    let records = desk.kinds().len();
    let (_, mirror) = verified(&desk, &there.join("journal"));
    assert_eq!(mirror["same"], records, "{mirror}");
    assert!(mirror["differs"].is_null());

    // One byte of the copy, somewhere in the middle.
    let altered = desk.home().join("altered.jsonl");
    std::fs::write(&altered, copy.replacen("\"one\"", "\"onx\"", 1)).unwrap();
    let (exit, mirror) = verified(&desk, &altered);
    assert_eq!(exit, 10, "{mirror}");
    let note = desk
        .journal()
        .lines()
        .position(|l| l.contains("\"one\""))
        .unwrap();
    assert_eq!(
        mirror["differs"][0], note,
        "the first that differs is named: {mirror}"
    );

    // The tail of the record here cut off: the copy still has it.
    let case = desk.home().join(".local/share/incident").join(desk.id());
    let whole = desk.journal();
    let cut: String = whole
        .lines()
        .take(records - 1)
        .map(|l| format!("{l}\n"))
        .collect();
    std::fs::write(case.join("journal.jsonl"), cut).unwrap();
    let (exit, mirror) = verified(&desk, &there.join("journal"));
    assert_eq!(exit, 10);
    assert_eq!(mirror["differs"][0], records - 1);
    assert!(
        mirror["differs"][1].as_str().unwrap().contains("no longer here"),
        "{mirror}"
    );
}

#[test]
fn a_mirror_goes_on_after_a_repair_and_keeps_what_was_there() {
    let Some(desk) = Desk::new() else { return };
    let out = script(
        &desk,
        "git init -q --bare records.git; export INCIDENT_MIRROR=git:$HOME/records.git\n\
         \"$P\" stop; \"$P\" note one; \"$P\" note two; \"$P\" note three; all_there || lag\n\
         sed -i 's/\"two\"/\"twx\"/' $store/INC-*/journal.jsonl; \"$P\" note no && exit 1\n\
         \"$P\" repair; \"$P\" note four; all_there || lag",
    );
    let text = said(&out);
    let there = cloned(&desk);
    let (_, first) = batches(&there.join("journal"));
    assert!(
        first.contains("\"two\"") && first.contains("\"three\""),
        "what was damaged here stands there"
    );
    let (_, second) = batches(&there.join("journal-2"));
    assert!(
        second.contains("journal.continued") && second.contains("\"four\""),
        "{text}"
    );
    let (_, mirror) = verified(&desk, &there.join("journal-2"));
    assert!(mirror["differs"].is_null(), "{mirror}");
    assert_eq!(mirror["same"], mirror["here"], "{mirror}");
    let (exit, mirror) = verified(&desk, &there.join("journal"));
    assert_eq!(exit, 10);
    assert!(
        mirror["differs"][1].as_str().unwrap().contains("another record"),
        "{mirror}"
    );
}

#[test]
fn ssh_brings_every_record_and_replaces_nothing() {
    let Some(desk) = Desk::new() else { return };
    let Some(vault) = Vault::boot(&desk, None, false) else {
        return;
    };
    let out = script(
        &desk,
        "mount --bind $HOME /root\n\
         \"$P\" stop; \"$P\" mirror ssh://root@box/~/records; \"$P\" note one; all_there || lag; \"$P\" note two; all_there || lag\n\
         \"$P\" mirror ssh://root@box/~/records; all_there || lag",
    );
    let text = said(&out);
    let there = vault.home.path().join("records").join(desk.id());
    let (_, copy) = batches(&there.join("journal"));
    assert!(copy.contains("\"two\""), "{text}");
    assert!(desk.journal().starts_with(&copy), "{text}");
    // Chosen again, it began in a folder of its own.
    let (_, again) = batches(&there.join("journal-2"));
    assert_eq!(again, desk.journal(), "{text}");
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&there.join("journal")), 0o700);
    let file = std::fs::read_dir(there.join("journal"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(mode(&file.path()), 0o600);
}

#[test]
fn nothing_waits_for_a_place_that_hangs() {
    let Some(desk) = with_bucket("hang") else { return };
    let began = std::time::Instant::now();
    let out = script(
        &desk,
        "\"$P\" stop > /dev/null; \"$P\" mirror s3://records/here; for n in 1 2 3 4 5; do \"$P\" note $n; done\n\
         until grep -q . calls; do sleep 0.1; done; \"$P\" do --why look -- true; echo acted $?; \"$P\" do --why look -- true; echo again $?; lag; \"$P\" status --json",
    );
    let text = said(&out);
    // A try may take a minute; eight commands beside it take none of it.
    assert!(began.elapsed().as_secs() < 40, "{:?}: {text}", began.elapsed());
    assert!(text.contains("records behind since"), "{text}");
    assert!(text.contains("acted 0") && text.contains("again 0"), "{text}");
    let calls = std::fs::read_to_string(desk.home().join("calls")).unwrap();
    assert_eq!(
        calls.lines().count(),
        1,
        "the place hangs in its first call all the while: {calls}"
    );
    let kinds = desk.kinds();
    assert_eq!(kinds.iter().filter(|k| *k == "act.ended").count(), 2, "{text}");
    assert_eq!(kinds.iter().filter(|k| *k == "note.added").count(), 5);
}

#[test]
fn a_lag_is_said_with_its_reason_and_made_good() {
    let Some(desk) = with_bucket("refuse") else { return };
    let out = script(
        &desk,
        "export INCIDENT_MIRROR=s3://records/here; \"$P\" stop > /dev/null; \"$P\" note one; sleep 1; lag; \"$P\"; echo walk; \"$P\" resume; echo walked; \"$P\" brief\n\
         \"$P\" bundle -o refused.tar > /dev/null; echo ok > mode; all_there || lag; \"$P\" timeline; \"$P\" mirror --json",
    );
    let text = said(&out);
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("connection refused"), "{text}");
    assert!(
        flat.matches("behind since").count() >= 2,
        "also where `incident` alone says where it is: {text}"
    );
    let walk = flat
        .split_once("walk ")
        .and_then(|(_, rest)| rest.split_once("walked"));
    assert!(walk.unwrap().0.contains("behind since"), "and the walk: {text}");
    assert!(flat.contains("; the mirror lacks "), "{text}");
    assert!(
        flat.contains("the mirror s3://records/here held 0 of"),
        "the seal says how it stood: {text}"
    );
    assert_eq!(bucket(&desk, "journal").1, desk.journal(), "{text}");
}

#[test]
fn a_mirror_is_switched_off_and_what_it_held_stays() {
    let Some(desk) = with_bucket("ok") else { return };
    let out = script(
        &desk,
        "\"$P\" stop > /dev/null; \"$P\" mirror --off; echo nothing $?; \"$P\" mirror s3://records/here > /dev/null; all_there || lag; sleep 2.5\n\
         echo refuse > mode; \"$P\" note one > /dev/null; sleep 0.5; \"$P\" mirror --off; echo off $?; echo ok > mode; \"$P\" note two > /dev/null\n\
         sleep 3; \"$P\" mirror; echo stands $?; \"$P\" status | grep -c mirror; cat calls | wc -l > before\n\
         \"$P\" mirror --off --json; \"$P\" mirror s3://records/here --off; echo both $?; \"$P\" timeline | grep off; all_there; cat calls | wc -l | cmp - before && echo quiet",
    );
    let text = said(&out);
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, copy) = bucket(&desk, "journal");
    let (journal, there) = (desk.journal(), copy.lines().count());
    assert!(journal.starts_with(&copy) && !copy.contains("\"one\""), "{text}");
    for words in [
        "The record is nowhere but here. next: incident mirror PLACE nothing 0".to_owned(),
        format!(
            "The mirror is off: new records are nowhere but here. s3://records/here keeps the first {there} records in \
             journal; nothing is removed there. It lacks 1 record written before that."
        ),
        "off 0".to_owned(),
        "stands 0 0".to_owned(),
        "both 2".to_owned(),
        "quiet".to_owned(),
        "was switched off".to_owned(),
    ] {
        assert!(flat.contains(&words), "{words}: {flat}");
    }
    let kinds = desk.kinds();
    assert_eq!(
        kinds.iter().filter(|k| *k == "mirror.ended").count(),
        1,
        "{kinds:?}"
    );
}

#[test]
fn a_place_that_says_it_took_what_it_did_not_keep_is_not_believed() {
    let Some(desk) = with_bucket("lie") else { return };
    let out = script(
        &desk,
        "export INCIDENT_MIRROR=s3://records/here; \"$P\" stop > /dev/null; sleep 1; lag; echo other > mode; sleep 3; lag; \"$P\" mirror --json",
    );
    let text = said(&out).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("NoSuchKey"), "{text}");
    assert!(text.contains("there is not what was sent"), "{text}");
    assert!(
        text.contains("\"there\":0") || text.contains("\"there\": 0"),
        "{text}"
    );
}

#[test]
fn a_pusher_that_is_killed_half_way_is_followed_by_one_that_sends_the_same() {
    let Some(desk) = with_bucket("slow") else { return };
    let out = script(
        &desk,
        "export INCIDENT_MIRROR=s3://records/here; \"$P\" stop > /dev/null; n=0\n\
         until [ -e stored ] || [ $n = 100 ]; do n=$((n+1)); sleep 0.1; done\n\
         for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline 2>/dev/null | grep -q 'mirror --push' && kill -9 ${p#/proc/} && echo killed; done\n\
         cat $store/INC-*/tmp/mirror.json; \"$P\" note one; \"$P\" note two; echo ok > mode; all_there || lag; cat calls",
    );
    let text = said(&out);
    assert!(text.contains("killed"), "{text}");
    assert!(
        text.contains("\"next\":0"),
        "the batch had not been read back: {text}"
    );
    let (files, copy) = bucket(&desk, "journal");
    assert_eq!(copy, desk.journal(), "{text}");
    assert!(files >= 2, "{text}");
}

#[test]
fn two_terminals_share_one_pusher() {
    let Some(desk) = with_bucket("ok") else { return };
    let out = script(
        &desk,
        "export INCIDENT_MIRROR=s3://records/here; \"$P\" stop > /dev/null\n\
         (for n in 1 2 3 4 5 6; do \"$P\" note a$n; done) & one=$!; (for n in 1 2 3 4 5 6; do \"$P\" note b$n; done); wait $one; all_there || lag",
    );
    let text = said(&out);
    assert_eq!(
        desk.kinds().iter().filter(|k| *k == "note.added").count(),
        12,
        "{text}"
    );
    assert_eq!(bucket(&desk, "journal").1, desk.journal(), "{text}");
    let calls = std::fs::read_to_string(desk.home().join("calls")).unwrap();
    let mut puts: Vec<&str> = calls.lines().filter(|l| l.starts_with("put-object")).collect();
    let all = puts.len();
    puts.sort_unstable();
    puts.dedup();
    assert_eq!(puts.len(), all, "no batch was sent twice: {calls}");
}

#[test]
fn neither_the_runbook_folder_nor_a_wrong_word_keeps_anybody_from_stopping() {
    let Some(desk) = Desk::new() else { return };
    let out = script(
        &desk,
        "export INCIDENT_MIRROR='ssh://-oProxyCommand=x/y'; \"$P\" stop; echo ended $?",
    );
    let text = said(&out);
    assert!(text.contains("ended 4"), "{text}");
    assert!(
        text.contains("The record is not mirrored. INCIDENT_MIRROR"),
        "{text}"
    );
    assert!(!desk.kinds().contains(&"mirror.chosen".to_owned()));
    let out = desk.run(&["mirror", "git:ext::sh -c id"]);
    assert_eq!(out.status.code(), Some(2), "{}", said(&out));
}

#[test]
fn a_store_is_moved_and_later_commands_follow() {
    let Some(desk) = with_bucket("ok") else { return };
    let out = script(
        &desk,
        "export INCIDENT_MIRROR=s3://records/here; \"$P\" stop > /dev/null; \"$P\" note one; all_there || lag; sleep 2.5\n\
         \"$P\" store move disk; echo moved $?; cp -r $store before; \"$P\" note two; echo noted $?; \"$P\" --store $store note three\n\
         all_there || lag; diff -r before $store && echo untouched; mv disk away; \"$P\" note four; echo without $?; \"$P\" stop > /dev/null; echo stopped $?",
    );
    let text = said(&out);
    for word in [
        "moved 0",
        "noted 0",
        "untouched",
        "was moved to",
        "is its disk mounted?",
        "without 1",
        "stopped 4",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let away = desk.home().join("away");
    let mut moved = std::fs::read_dir(&away).unwrap().map(|c| c.unwrap().path());
    let case = moved.find(|p| p.join("journal.jsonl").is_file()).unwrap();
    let journal = std::fs::read_to_string(case.join("journal.jsonl")).unwrap();
    assert!(
        journal.contains("\"two\"") && journal.contains("\"three\""),
        "{text}"
    );
    // The mirror goes on in the folder it had.
    let id = case.file_name().unwrap();
    let (_, copy) = batches(&desk.home().join("s3/records/here").join(id).join("journal"));
    assert_eq!(copy, journal, "{text}");
}

#[test]
fn a_real_bucket_takes_every_batch_once() {
    let (Some(desk), Some(program), Some(aws)) = (Desk::new(), aws_program(), Aws::seaweed()) else {
        return;
    };
    aws.as_root("b.client('s3').create_bucket(Bucket='records')");
    std::fs::create_dir_all(desk.home().join("bin")).unwrap();
    std::os::unix::fs::symlink(program, desk.home().join("bin/aws")).unwrap();
    let (key, secret) = aws.root;
    let out = script(
        &desk,
        &format!(
            "export AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY={secret} AWS_REGION=us-east-1 AWS_ENDPOINT_URL={}\n\
             export INCIDENT_MIRROR=s3://records/here; \"$P\" stop > /dev/null; all_there || lag; \"$P\" note one; all_there || lag\n\
             \"$P\" mirror s3://records/here; all_there || lag; aws s3 cp --recursive --quiet s3://records/here there",
            aws.endpoint
        ),
    );
    let text = said(&out);
    let there = desk.home().join("there").join(desk.id());
    let (files, copy) = batches(&there.join("journal"));
    assert!(files >= 2 && copy.contains("\"one\""), "{files}: {text}");
    assert!(desk.journal().starts_with(&copy), "{text}");
    let (_, again) = batches(&there.join("journal-2"));
    assert_eq!(again, desk.journal(), "{text}");
    assert!(!desk.journal().contains(secret) && !text.contains(secret));
}
