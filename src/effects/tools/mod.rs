//! One detector a program. A new tool is a file here and a line in [`TOOLS`].

pub(super) mod http;
pub(super) mod interpreters;
pub(super) mod kubernetes;

mod backups;
mod cloud;
mod containers;
mod credentials;
mod databases;
mod files;
mod git;
mod hosting;
pub(super) mod infra;
mod machines;
mod manifests;
mod mongo;
mod platform;
mod postgres;
mod projects;
mod psql_text;
mod queues;
mod reads;
mod services;
mod tfjson;
mod tfplan;

use super::eye::{Cmd, Eye};
use super::options::Verbs;
use super::wrappers;

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
    ("glab", git::glab),
    ("terraform tofu terragrunt", infra::terraform),
    ("pulumi", infra::pulumi),
    ("cdk sam serverless sls", infra::stacks),
    (
        "ansible ansible-playbook ansible-inventory ansible-doc ansible-console",
        infra::ansible,
    ),
    ("etcdctl", infra::etcd),
    ("kubectl oc k3s microk8s minikube", kubernetes::kubectl),
    ("helm", kubernetes::helm),
    ("argocd", kubernetes::argocd),
    ("velero", kubernetes::velero),
    (
        "docker podman nerdctl docker-compose podman-compose",
        containers::docker,
    ),
    ("systemctl", services::systemctl),
    ("service rc-service supervisorctl initctl", services::service),
    ("kill pkill killall killall5 skill fuser", services::kill),
    ("reboot shutdown halt poweroff init telinit", services::power),
    ("crontab at batch atrm", services::schedule),
    (
        "iptables ip6tables iptables-save ip6tables-save iptables-restore nft ufw firewall-cmd ipset ebtables pfctl fail2ban-client",
        services::firewall,
    ),
    ("ip tc bridge", services::network),
    ("sysctl", services::sysctl),
    (
        "setenforce getenforce sestatus aa-status auditctl ausearch aureport aa-disable aa-complain semanage setsebool",
        services::guard,
    ),
    ("restic", backups::restic),
    ("borg", backups::borg),
    ("pgbackrest wal-g wal-e barman", backups::database),
    ("zfs zpool btrfs tmutil", backups::volumes),
    ("rclone", backups::rclone),
    (
        "passwd chpasswd useradd usermod userdel adduser deluser groupadd groupmod groupdel gpasswd chage visudo vipw htpasswd kinit kdestroy klist newgrp gpg gpg2 ssh-add ssh-copy-id smbpasswd",
        credentials::account,
    ),
    ("ssh-keygen", credentials::ssh_keygen),
    ("vault bao", credentials::vault),
    ("openssl", credentials::openssl),
    ("mysql mariadb", databases::mysql),
    ("mysqladmin mariadb-admin", databases::mysqladmin),
    ("sqlite3", databases::sqlite),
    ("redis-cli valkey-cli keydb-cli", databases::redis),
    ("mongosh mongo mongorestore mongoimport", mongo::mongo),
    ("aws", cloud::aws),
    (
        "gcloud az doctl hcloud scw linode-cli oci ibmcloud openstack aliyun",
        cloud::nouns_then_verb,
    ),
    ("gsutil bq mc s3cmd", platform::objects),
    (
        "fly flyctl heroku vercel netlify railway render",
        platform::platform,
    ),
    (
        "prisma drizzle-kit rails rake manage.py artisan sequelize sequelize-cli typeorm alembic flyway liquibase knex hasura goose migrate dbmate sqitch atlas django-admin mix diesel sqlx dotnet console",
        projects::migrations,
    ),
    (
        "npm pnpm yarn pip pip3 pipx apt apt-get apt-cache dnf yum apk brew cargo gem conda snap pacman zypper",
        projects::packages,
    ),
    ("dpkg rpm dpkg-query", projects::package_query),
    (
        "claude codex gemini opencode copilot cursor-agent aider",
        projects::agents,
    ),
    ("stripe", hosting::stripe),
    ("virsh lxc incus multipass vagrant", machines::machines),
    ("nginx apachectl apache2ctl", machines::web_server),
    (
        "kafka-topics kafka-topics.sh kafka-consumer-groups kafka-consumer-groups.sh kafka-configs kafka-configs.sh kafka-acls kafka-acls.sh kafka-delete-records kafka-delete-records.sh",
        queues::kafka,
    ),
    ("less more most man", reads::pager),
    ("nc ncat netcat", reads::netcat),
    ("history", reads::history),
    (
        "kopia duplicity rdiff-backup proxmox-backup-client",
        backups::others,
    ),
    ("http https xh xhs", http::httpie),
    ("curl", http::curl),
    ("wget", http::wget),
    (
        "python python2 python3 node nodejs deno bun perl ruby php lua Rscript osascript pwsh powershell ts-node tsx",
        interpreters::look,
    ),
];

/// Programs whose verbs say it all.
const TABLES: &[(&str, &Verbs)] = &[
    ("supabase", &hosting::SUPABASE),
    ("neonctl neon", &hosting::NEON),
    ("wrangler", &hosting::WRANGLER),
    ("pscale turso eksctl kops kind firebase eb", &hosting::OTHERS),
    ("rabbitmqctl rabbitmqadmin rabbitmq-diagnostics", &queues::RABBIT),
    ("nats", &queues::NATS),
    ("consul", &queues::CONSUL),
    ("nomad", &queues::NOMAD),
    ("pm2", &machines::PM2),
    ("flux", &kubernetes::FLUX),
];

fn table(name: &str) -> Option<&'static Verbs> {
    TABLES
        .iter()
        .find(|(names, _)| names.split(' ').any(|known| known == name))
        .map(|(_, verbs)| *verbs)
}

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
        || table(name).is_some()
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
        None => match table(cmd.name) {
            Some(verbs) => {
                verbs.look(eye, cmd);
            }
            None => {
                eye.unknown(&cmd.text(), "program.not-known");
                wrappers::suspects(eye, cmd, cmd.args);
            }
        },
    }
}
