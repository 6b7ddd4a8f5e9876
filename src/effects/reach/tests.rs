//! What acts are aimed at, by the words of real tools.

use std::collections::BTreeSet;

use super::Asked;
use crate::effects::words::{Piece, lex};
use crate::effects::{ActText, reaches};

/// What surrounds the acts here: a folder, a current context, one repository and one variable.
fn around(asked: Asked<'_>) -> Option<String> {
    match asked {
        Asked::Folder => Some("/srv/shop".into()),
        Asked::Context(None) => Some("prod-eu".into()),
        Asked::Context(Some("/etc/kube/staging")) => Some("staging-eu".into()),
        Asked::Remote("/srv/shop", "origin") => Some("git@github.com:acme/shop.git".into()),
        Asked::Variable("HEROKU_APP") => Some("shop-prod".into()),
        _ => None,
    }
}

/// `kind name` a reach, `?` where only the run will know.
fn aimed(line: &str) -> String {
    let argv: Vec<String> = lex(line)
        .pieces
        .into_iter()
        .filter_map(|p| match p {
            Piece::Word(w) => Some(w.text),
            _ => None,
        })
        .collect();
    let act = ActText {
        argv: &argv,
        scripts: &[],
        stdin: None,
    };
    let found: BTreeSet<String> = reaches(&act, &around)
        .into_iter()
        .map(|r| format!("{} {}", r.kind.word(), r.name.as_deref().unwrap_or("?")))
        .collect();
    Vec::from_iter(found).join(", ")
}

#[test]
fn what_a_command_is_aimed_at_is_read_off_its_words() {
    let mut wrong = Vec::new();
    for (line, expected) in [
        ("systemctl restart web", "host localhost"),
        ("systemctl -H db1 restart web", "host db1"),
        ("./scripts/maintenance on", "host localhost"),
        // Databases and their servers.
        ("psql -c 'DROP TABLE orders'", "database ?, host localhost"),
        (
            "psql -d orders -c 'DROP TABLE x'",
            "database localhost/orders, host localhost",
        ),
        (
            "psql -h db1 orders -c 'DROP TABLE x'",
            "database db1/orders, host db1",
        ),
        (
            "psql -hdb1 -dorders -Atc 'DROP TABLE x'",
            "database db1/orders, host db1",
        ),
        (
            "psql -Ath db1 -c 'DROP TABLE x' orders",
            "database db1/orders, host db1",
        ),
        (
            "psql --host=db1 --dbname=orders -c 'DROP TABLE x'",
            "database db1/orders, host db1",
        ),
        (
            "psql postgres://ana@db1:5432/orders?sslmode=require -c 'DROP TABLE x'",
            "database db1/orders, host db1",
        ),
        (
            "psql 'host=db1 dbname=orders' -c 'DROP TABLE x'",
            "database db1/orders, host db1",
        ),
        (
            "psql 'postgres:///orders?host=db1' -c 'DROP TABLE x'",
            "database ?, host ?",
        ),
        ("psql service=prod -c 'DROP TABLE x'", "database ?, host ?"),
        (
            "psql -h /var/run/postgresql -d x -c 'DROP TABLE x'",
            "database localhost/x, host localhost",
        ),
        (
            "psql -h db1 -h db2 -d x -c 'DROP TABLE x'",
            "database db2/x, host db2",
        ),
        (
            "createdb orders_restored",
            "database localhost/orders_restored, host localhost",
        ),
        (
            "pg_restore -h db1 --dbname orders_restored /backups/o.dump",
            "database db1/orders_restored, host db1",
        ),
        (
            "mysql -h db1 -uroot shop -e 'DROP TABLE x'",
            "database db1/shop, host db1",
        ),
        ("redis-cli -h cache1 FLUSHALL", "database cache1/0, host cache1"),
        (
            "redis-cli -u redis://cache1:6379/2 FLUSHDB",
            "database cache1/2, host cache1",
        ),
        // Clusters.
        ("kubectl delete ns shop", "context prod-eu"),
        (
            "kubectl --context staging-eu -n shop delete pod web",
            "context staging-eu/shop",
        ),
        (
            "kubectl delete pod web --kubeconfig /etc/kube/staging",
            "context staging-eu",
        ),
        ("kubectl delete pod web --kubeconfig=/elsewhere", "context ?"),
        ("helm --kube-context prod-eu uninstall web", "context prod-eu"),
        // Clouds and platforms.
        (
            "aws s3 rm s3://acme-backups/orders --recursive",
            "account default, store s3://acme-backups/orders",
        ),
        (
            "aws --profile prod rds delete-db-instance --db-instance-identifier x",
            "account prod",
        ),
        (
            "gcloud sql instances delete x --project shop-prod",
            "project shop-prod",
        ),
        ("gcloud sql instances delete x", "project ?"),
        ("heroku pg:reset", "project shop-prod"),
        ("fly apps destroy x -a shop", "project shop"),
        ("terraform destroy", "folder /srv/shop"),
        ("terraform -chdir=infra/prod apply", "folder /srv/shop/infra/prod"),
        ("terraform -chdir=../../etc destroy", "folder /etc"),
        // Repositories and pages.
        (
            "git push --force origin main",
            "remote git@github.com:acme/shop.git",
        ),
        ("git push --force elsewhere main", "remote ?"),
        (
            "git push https://github.com/acme/shop.git +main",
            "remote https://github.com/acme/shop.git",
        ),
        ("git -c url.x.insteadOf=y push origin main", "remote ?"),
        ("git reset --hard HEAD~3", "host localhost"),
        ("gh repo delete -R acme/shop", "remote acme/shop"),
        (
            "curl -X DELETE https://api.example.com/v1/volumes/1",
            "url https://api.example.com/v1/volumes/1",
        ),
        (
            "curl -X DELETE --connect-to ::db9: https://api.example.com/",
            "url ?",
        ),
        // Wrappers pass on; `ssh` moves.
        ("sudo systemctl restart web", "host localhost"),
        ("ssh db1 systemctl restart web", "host db1"),
        (
            "ssh -p 22 ana@db1 'psql -d orders -c \"DROP TABLE x\"'",
            "database db1/orders, host db1",
        ),
        ("ssh -o HostName=db9 db1 reboot", "host ?"),
        ("ssh -J jump db1 reboot", "host db1"),
        ("ssh db1 ssh db2 reboot", "host db1, host db2"),
        ("kubectl exec web -- rm -rf /data", "context prod-eu, path /data"),
        (
            "kubectl exec web -- psql -h db1 -d orders -c 'DROP TABLE x'",
            "context prod-eu, database db1/orders, host db1",
        ),
        (
            "sh -c 'PGHOST=db9 psql -d orders -c \"DROP TABLE x\"'",
            "database ?, host ?",
        ),
        (
            "sh -c 'psql -h $DB -d orders -c \"DROP TABLE x\"'",
            "database ?, host ?",
        ),
        ("sh -c 'cd /elsewhere && terraform destroy'", "folder ?"),
        (
            "env KUBECONFIG=/etc/kube/other kubectl delete ns shop",
            "context ?",
        ),
        // What only looks is aimed at nothing that counts.
        (
            "sh -c 'grep x /var/log/y; kubectl --context a get pods; kubectl --context b delete pod web'",
            "context b",
        ),
        ("kubectl --context a get pods", "context a"),
        // Files and repositories of backups.
        (
            "rm -rf /backups/../srv/data x",
            "host localhost, path /srv/data, path /srv/shop/x",
        ),
        ("cp /backups/a /srv/b", "host localhost, path /srv/b"),
        (
            "restic -r s3:s3.example.com/acme-backups forget --prune",
            "host localhost, store s3:s3.example.com/acme-backups",
        ),
        ("scp dump.sql ana@db1:/tmp/", "host db1"),
        (
            "rsync -a --delete db1:/srv/ /srv/copy/",
            "host db1, host localhost, path /srv/copy",
        ),
        ("docker -H ssh://ana@app1 restart web", "host app1"),
        ("docker restart web", "host localhost"),
    ] {
        let found = aimed(line);
        if found != expected {
            wrong.push(format!("{line}\n    is    {found}\n    not   {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
