//! How each program's words name what it is aimed at. A new program is a line in [`READERS`].

use super::{Asked, Names, Value, absolute};
use crate::effects::words::Word;
use crate::model::reach::{HERE, Kind, host_of};

/// Programs and how their targets are written.
type Reader = fn(&mut Names<'_, '_>);

pub(super) const READERS: &[(&str, Reader)] = &[
    ("psql", psql),
    (
        "pg_restore pg_dump pg_dumpall createdb dropdb createuser dropuser vacuumdb reindexdb clusterdb \
         pg_basebackup pgbench",
        |n| postgres(n, "dfFhjLnNpPItTUrZ"),
    ),
    ("mysql mariadb mysqldump mysqladmin mysqlimport", mysql),
    ("redis-cli valkey-cli", redis),
    ("mongosh mongo mongodump mongorestore mongoimport", mongo),
    ("kubectl oc helm velero flux k9s stern", cluster),
    ("aws", aws),
    ("gcloud gsutil bq", google),
    ("az", |n| {
        n.by_option(
            Kind::Account,
            &["--subscription"],
            &["AZURE_SUBSCRIPTION_ID"],
            None,
        )
    }),
    ("doctl", |n| {
        n.by_option(
            Kind::Account,
            &["--context"],
            &["DIGITALOCEAN_CONTEXT"],
            Some("default"),
        )
    }),
    ("heroku", |n| {
        n.by_option(Kind::Project, &["-a", "--app"], &["HEROKU_APP"], None)
    }),
    ("fly flyctl", |n| {
        n.by_option(Kind::Project, &["-a", "--app"], &["FLY_APP"], None)
    }),
    ("pulumi", |n| {
        n.by_option(Kind::Project, &["-s", "--stack"], &["PULUMI_STACK"], None)
    }),
    (
        "vercel netlify railway supabase neonctl neon wrangler render",
        |n| {
            n.by_option(
                Kind::Project,
                &[
                    "--project-ref",
                    "--project-id",
                    "--project",
                    "--project-name",
                    "--site",
                    "--scope",
                ],
                &[],
                None,
            )
        },
    ),
    ("terraform tofu terragrunt", terraform),
    ("ansible ansible-playbook", |n| n.open(Kind::Host)),
    ("git", git),
    ("gh", |n| {
        n.by_option(Kind::Remote, &["-R", "--repo"], &["GH_REPO"], None)
    }),
    ("glab", |n| {
        n.by_option(Kind::Remote, &["-R", "--repo"], &[], None)
    }),
    ("curl wget http https xh xhs", pages),
    ("ssh", |n| n.ssh()),
    ("scp sftp rsync", copies),
    ("docker podman docker-compose nerdctl", docker),
    ("systemctl journalctl loginctl", |n| {
        match n.option(&["-H", "--host"]) {
            Some(host) => n.host(host),
            None => n.here(),
        }
    }),
    ("restic", |n| n.store(&["-r", "--repo"], "RESTIC_REPOSITORY")),
    ("borg borgmatic", |n| n.store(&["--repo"], "BORG_REPO")),
    (
        "rm rmdir unlink shred truncate tee mv chmod chown chgrp touch mkdir find dd",
        |n| n.paths(false),
    ),
    ("cp install ln", |n| n.paths(true)),
];

fn here() -> Value {
    Some(HERE.to_owned())
}

fn psql(n: &mut Names<'_, '_>) {
    postgres(n, "cdfFLopPRTUvh");
}

fn postgres(n: &mut Names<'_, '_>, letters: &str) {
    let mut host = n
        .option_among(&["-h", "--host"], letters)
        .or_else(|| n.variable("PGHOST"));
    let mut name = n.option_among(&["-d", "--dbname", "--maintenance-db"], letters);
    if name.is_none() {
        let valued = [
            "-c",
            "-d",
            "-f",
            "-F",
            "-L",
            "-o",
            "-p",
            "-P",
            "-R",
            "-T",
            "-U",
            "-v",
            "-h",
            "-j",
            "-n",
            "-t",
            "--host",
            "--port",
            "--username",
            "--command",
            "--file",
            "--set",
            "--format",
            "--jobs",
            "--table",
            "--schema",
        ];
        let first = n
            .operands_among(&valued, letters)
            .first()
            .map(|w| w.fixed.then(|| w.text.clone()));
        // The operand of `pg_restore` is a file; a dump names its database.
        name = first.filter(|first| {
            first
                .as_ref()
                .is_none_or(|w| !w.contains('/') || w.contains("://"))
        });
    }
    let name = name.or_else(|| n.variable("PGDATABASE")).unwrap_or(None);
    if n.variable("PGSERVICE").is_some() {
        host = Some(None);
    }
    let Some(text) = &name else {
        return n.database(host.unwrap_or_else(here), None);
    };
    if let Some((_, rest)) = text.split_once("://") {
        let path = rest.split(['?', '#']).next().unwrap_or(rest);
        let database = path
            .split_once('/')
            .map(|(_, d)| d.to_owned())
            .filter(|d| !d.is_empty());
        let server = Some(host_of(text).to_owned()).filter(|h| !h.is_empty());
        // A host among the parameters, or several, wins in ways that need not be followed here.
        let server = if rest.contains("host=") || rest.contains("service=") {
            None
        } else {
            server.or_else(here)
        };
        return n.database(server, database);
    }
    if text.contains('=') {
        let value = |key: &str| {
            let found = text
                .split_whitespace()
                .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
            found.map(|v| v.trim_matches('\'').to_owned())
        };
        let server = if text.contains("service") || text.contains("hostaddr") || text.contains(" = ") {
            None
        } else {
            value("host").or(host.unwrap_or_else(here))
        };
        return n.database(server, value("dbname"));
    }
    n.database(host.unwrap_or_else(here), name);
}

fn mysql(n: &mut Names<'_, '_>) {
    const VALUED: &str = "heDuPS";
    let host = n
        .option_among(&["-h", "--host"], VALUED)
        .or_else(|| n.variable("MYSQL_HOST"));
    let name = n.option_among(&["-D", "--database"], VALUED).or_else(|| {
        let valued = [
            "-h",
            "-e",
            "-u",
            "-P",
            "-S",
            "--host",
            "--user",
            "--port",
            "--socket",
            "--execute",
        ];
        let words = n.operands_among(&valued, VALUED);
        words.first().map(|w| w.fixed.then(|| w.text.clone()))
    });
    n.database(host.unwrap_or_else(here), name.flatten());
}

fn redis(n: &mut Names<'_, '_>) {
    match n.option(&["-u"]) {
        Some(url) => {
            let host = url.as_deref().map(|u| host_of(u).to_owned());
            let name = url
                .as_deref()
                .and_then(|u| u.split_once("://")?.1.split_once('/').map(|(_, d)| d.to_owned()));
            n.database(host, name.or_else(|| Some("0".to_owned())));
        }
        None => {
            let host = n.option(&["-h"]).unwrap_or_else(here);
            let name = n.option(&["-n"]).unwrap_or_else(|| Some("0".to_owned()));
            n.database(host, name);
        }
    }
}

fn mongo(n: &mut Names<'_, '_>) {
    let first = n
        .operands(&["--host", "--port", "--eval", "-u", "-p", "--db", "-d"])
        .first()
        .map(|w| w.text.clone());
    let address = n
        .option(&["--uri", "--host"])
        .or(first.filter(|f| f.contains("://")).map(Some));
    let host = match address {
        Some(address) => address.map(|a| host_of(&a).to_owned()),
        None => here(),
    };
    n.database(host, n.option(&["--db", "-d"]).flatten());
}

fn cluster(n: &mut Names<'_, '_>) {
    let named = n.option(&[
        "--context",
        "--kube-context",
        "--cluster",
        "--kube-apiserver",
        "--server",
    ]);
    let context = named.unwrap_or_else(|| {
        let file = n.option(&["--kubeconfig"]).or_else(|| n.variable("KUBECONFIG"));
        match &file {
            Some(None) => None,
            Some(Some(path)) => (n.around)(Asked::Context(Some(path))),
            None => (n.around)(Asked::Context(None)),
        }
    });
    let inner = match n.option(&["-n", "--namespace"]) {
        Some(Some(space)) => context.map(|c| format!("{c}/{space}")),
        _ => context,
    };
    n.add(Kind::Context, inner);
}

fn aws(n: &mut Names<'_, '_>) {
    let profile = n.option(&["--profile"]).or_else(|| n.variable("AWS_PROFILE"));
    let keys = n.variable("AWS_ACCESS_KEY_ID").is_some();
    // Keys without a profile belong to an account that only the cloud can name.
    let account = profile.unwrap_or_else(|| (!keys).then(|| "default".to_owned()));
    n.add(Kind::Account, account);
    stores(n, "s3://");
    if let Some(bucket) = n.option(&["--bucket"]) {
        n.add(Kind::Store, bucket.map(|b| format!("s3://{b}")));
    }
    if let Some(url) = n.option(&["--endpoint-url"]) {
        n.add(Kind::Url, url);
    }
}

fn google(n: &mut Names<'_, '_>) {
    let variables = ["CLOUDSDK_CORE_PROJECT", "GOOGLE_CLOUD_PROJECT"];
    n.by_option(
        Kind::Project,
        &["--project", "--project_id", "-p"],
        &variables,
        None,
    );
    stores(n, "gs://");
}

/// Buckets by their address; the bucket alone is named, whatever lies in it.
fn stores(n: &mut Names<'_, '_>, scheme: &str) {
    let found: Vec<Value> = n
        .args
        .iter()
        .filter(|a| a.text.starts_with(scheme))
        .map(|a| a.fixed.then(|| a.text.clone()))
        .collect();
    found.into_iter().for_each(|store| n.add(Kind::Store, store));
}

fn terraform(n: &mut Names<'_, '_>) {
    let inner = n.option(&["-chdir", "--chdir", "--terragrunt-working-dir", "--working-dir"]);
    let from = match n.set.contains("PWD") {
        true => None,
        false => (n.around)(Asked::Folder),
    };
    let folder = match inner {
        None => from,
        Some(inner) => inner.and_then(|inner| absolute(from.as_deref(), inner.trim_start_matches('='))),
    };
    n.add(Kind::Folder, folder);
}

fn git(n: &mut Names<'_, '_>) {
    let words: Vec<Word> = n
        .operands(&["-C", "-c", "--git-dir", "--work-tree"])
        .into_iter()
        .cloned()
        .collect();
    let Some(at) = words.iter().position(|w| w.text == "push") else {
        return n.here();
    };
    let folder = match (n.set.contains("PWD"), n.option(&["-C"])) {
        (true, _) => None,
        (false, None) => (n.around)(Asked::Folder),
        (false, Some(inner)) => {
            let from = (n.around)(Asked::Folder);
            inner.and_then(|inner| absolute(from.as_deref(), &inner))
        }
    };
    let to = words.get(at + 1).map_or("origin", |w| w.text.as_str());
    let fixed = words.get(at + 1).is_none_or(|w| w.fixed);
    let rewritten = n
        .args
        .iter()
        .any(|a| a.text.to_ascii_lowercase().contains("url.") || a.text == "--git-dir");
    let address = match to.contains([':', '/']) {
        _ if !fixed || rewritten => None,
        true => Some(to.to_owned()),
        false => folder.and_then(|folder| (n.around)(Asked::Remote(&folder, to))),
    };
    n.add(Kind::Remote, address);
}

fn pages(n: &mut Names<'_, '_>) {
    const ELSEWHERE: [&str; 8] = [
        "--connect-to",
        "--resolve",
        "-K",
        "--config",
        "-x",
        "--proxy",
        "--unix-socket",
        "--next",
    ];
    let elsewhere = n
        .args
        .iter()
        .any(|a| ELSEWHERE.iter().any(|e| a.text.split('=').next() == Some(e)));
    let found: Vec<Value> = n
        .args
        .iter()
        .filter(|a| a.text.contains("://"))
        .map(|a| (a.fixed && !elsewhere).then(|| a.text.trim_start_matches("--url=").to_owned()))
        .collect();
    if found.is_empty() {
        n.open(Kind::Url);
    }
    found.into_iter().for_each(|page| n.add(Kind::Url, page));
}

fn copies(n: &mut Names<'_, '_>) {
    let words: Vec<Word> = n
        .operands(&["-i", "-P", "-o", "-F", "-J", "-e", "--rsh", "-l"])
        .into_iter()
        .cloned()
        .collect();
    let remote = |w: &Word| {
        let before = w.text.split('/').next().unwrap_or("");
        w.text.contains("://") || before.contains(':')
    };
    for word in words.iter().filter(|w| remote(w)) {
        n.host(word.fixed.then(|| host_of(&word.text).to_owned()));
    }
    if words.last().is_none_or(|w| !remote(w)) {
        n.here();
        let from = (n.around)(Asked::Folder);
        let path = words
            .last()
            .filter(|w| w.fixed)
            .and_then(|w| absolute(from.as_deref(), &w.text));
        n.add(Kind::Path, path);
    }
}

fn docker(n: &mut Names<'_, '_>) {
    let host = n.option(&["-H", "--host"]).or_else(|| n.variable("DOCKER_HOST"));
    let context = n.option(&["--context"]).or_else(|| n.variable("DOCKER_CONTEXT"));
    match (host, context) {
        (Some(Some(host)), _) if host.starts_with("unix://") => n.here(),
        (Some(host), _) => n.host(host.map(|h| host_of(&h).to_owned())),
        (None, Some(context)) => n.host(context),
        (None, None) => n.here(),
    }
}
