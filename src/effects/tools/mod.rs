//! One detector a program. A new tool is a file here and a line in [`TOOLS`].

pub(super) mod http;
pub(super) mod interpreters;

mod containers;
mod files;
mod git;
mod infra;
mod kubernetes;
mod postgres;
mod psql_text;
mod reads;

use super::eye::{Cmd, Eye};

/// Looks at one command of a program it knows; says nothing where it understood nothing.
type Detector = fn(&mut Eye<'_>, &Cmd<'_>);

/// Programs and their detectors.
const TOOLS: &[(&str, Detector)] = &[
    ("psql", postgres::psql),
    (
        "createdb pg_restore dropdb createuser dropuser vacuumdb reindexdb clusterdb pg_ctl pg_ctlcluster pg_basebackup pg_resetwal pg_rewind initdb",
        postgres::utility,
    ),
    ("rm unlink rmdir shred truncate", files::remove),
    (
        "mv cp install ln link mkdir touch mkfifo split csplit",
        files::put,
    ),
    ("dd", files::dd),
    ("tee", files::tee),
    ("sed gsed", files::sed),
    ("awk gawk mawk nawk", files::awk),
    ("chmod chown chgrp setfacl chattr chcon", files::permissions),
    ("rsync", files::rsync),
    ("find gfind fd fdfind", files::find),
    ("tar gtar bsdtar", files::tar),
    ("unzip gzip gunzip zstd xz bzip2 zip", files::pack),
    (
        "wipefs fdisk parted sgdisk mkswap lvremove vgremove pvremove lvreduce cryptsetup mdadm blkdiscard hdparm",
        files::device,
    ),
    ("git", git::git),
    ("gh", git::gh),
    ("terraform tofu terragrunt", infra::terraform),
    ("pulumi", infra::pulumi),
    ("cdk sam serverless sls", infra::stacks),
    (
        "ansible ansible-playbook ansible-inventory ansible-doc ansible-console",
        infra::ansible,
    ),
    ("etcdctl", infra::etcd),
    ("kubectl oc k3s", kubernetes::kubectl),
    ("helm", kubernetes::helm),
    ("argocd", kubernetes::argocd),
    ("velero", kubernetes::velero),
    (
        "docker podman nerdctl docker-compose podman-compose",
        containers::docker,
    ),
    ("curl", http::curl),
    ("wget", http::wget),
    (
        "python python2 python3 node nodejs deno bun perl ruby php lua Rscript osascript pwsh powershell ts-node tsx",
        interpreters::look,
    ),
];

fn find(name: &str) -> Option<Detector> {
    let listed = |names: &str| names.split(' ').any(|known| known == name);
    TOOLS
        .iter()
        .find(|(names, _)| listed(names))
        .map(|(_, detector)| *detector)
}

/// Whether there is a detector for a program, or it is a known read.
pub(super) fn is_known(name: &str) -> bool {
    find(name).is_some()
        || reads::find(name).is_some()
        || name.starts_with("mkfs")
        || interpreters::is_versioned(name)
}

/// Sends a command to its program's detector.
pub(super) fn look(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    if let Some(read) = reads::find(cmd.name) {
        return reads::look(eye, cmd, read);
    }
    // What an open word turns out to be could be any option.
    if cmd.args.iter().any(|arg| !arg.fixed) {
        eye.unknown(&cmd.text(), "shell.word-not-fixed");
    }
    match find(cmd.name) {
        Some(detector) => detector(eye, cmd),
        None if cmd.name.starts_with("mkfs") => files::device(eye, cmd),
        None if interpreters::is_versioned(cmd.name) => interpreters::look(eye, cmd),
        None => eye.unknown(&cmd.text(), "program.not-known"),
    }
}
