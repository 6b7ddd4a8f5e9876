//! How much an act changes at most, where its words name every piece.
//!
//! Only what can be counted for certain is: one program in its usual place, every option known, each thing named, in
//! its words or in the saved plan that it applies. Anything else (a selector, another file, a loop, a thing that holds
//! others) has no number here, and counts against the act where a rule asks for one.

use super::ActText;
use super::eye::usual;
use super::sql::{self, Dialect};
use super::tools::infra;

/// What an act changes at most; `None` where its words give no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amounts {
    /// Rows of a database.
    pub rows: Option<u64>,
    /// Resources, files, pods.
    pub objects: Option<u64>,
}

/// Options and words of a command line, where every option is known.
struct Line<'a> {
    options: Vec<(String, &'a str)>,
    words: Vec<&'a str>,
}

impl<'a> Line<'a> {
    /// `valued` and `flags` are separated by spaces. Behind `-p` a password may stand, which is nobody's to read.
    fn read(args: &'a [String], valued: &str, flags: &str) -> Option<Line<'a>> {
        let listed = |list: &str, name: &str| list.split(' ').any(|known| known == name);
        let mut line = Line {
            options: Vec::new(),
            words: Vec::new(),
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if !arg.starts_with('-') {
                line.words.push(arg);
            } else if arg.starts_with("--") {
                let (name, given) = match arg.split_once('=') {
                    Some((name, value)) => (name, Some(value)),
                    None => (arg.as_str(), None),
                };
                if listed(valued, name) {
                    let value = given.or_else(|| args.next().map(String::as_str))?;
                    line.options.push((name.to_owned(), value));
                } else if !listed(flags, name) || given.is_some() {
                    return None;
                }
            } else {
                let mut letters = arg.char_indices().skip(1).peekable();
                letters.peek()?;
                for (at, letter) in letters {
                    let short = format!("-{letter}");
                    if listed(valued, &short) {
                        let rest = arg.get(at + letter.len_utf8()..).unwrap_or_default();
                        let value = match rest.strip_prefix('=').unwrap_or(rest) {
                            "" => args.next().map(String::as_str)?,
                            rest => rest,
                        };
                        line.options.push((short, value));
                        break;
                    }
                    if !listed(flags, &short) {
                        return None;
                    }
                    if letter == 'p' {
                        break;
                    }
                }
            }
        }
        Some(line)
    }

    fn all(&self, names: &[&str]) -> Vec<&'a str> {
        let of = self
            .options
            .iter()
            .filter(|(name, _)| names.contains(&name.as_str()));
        of.map(|(_, value)| *value).collect()
    }
}

/// Counts what the words of an act name, and the saved plan that it applies.
pub fn amounts(act: &ActText<'_>) -> Amounts {
    let (rows, objects) = (rows(act.argv), objects(act));
    Amounts { rows, objects }
}

/// The program's name where it stands in its usual place, and what follows it; `sudo` in front changes nothing.
fn program(argv: &[String]) -> Option<(&str, &[String])> {
    let (first, args) = argv.split_first().filter(|(first, _)| usual(first))?;
    let name = first.rsplit('/').next()?;
    match args.split_first() {
        Some((next, _)) if name == "sudo" && !next.starts_with('-') && !next.contains('=') => program(args),
        _ => Some((name, args)),
    }
}

fn rows(argv: &[String]) -> Option<u64> {
    const PSQL: &str = "-c --command -d --dbname -h --host -p --port -U --username";
    const PSQL_FLAGS: &str = "-X --no-psqlrc -A --no-align -t --tuples-only -q --quiet -w --no-password -1 --single-transaction -b -e -a";
    const MYSQL: &str = "-e --execute -h --host -P --port -u --user -D --database -S --socket";
    const MYSQL_FLAGS: &str = "-p --password -N --skip-column-names -B --batch -s --silent -v --verbose -A --no-auto-rehash -f --force";
    let (name, args) = program(argv)?;
    let (line, run, dialect) = match name {
        // A database and a user may stand alone.
        "psql" => (
            Line::read(args, PSQL, PSQL_FLAGS)?,
            ["-c", "--command"],
            Dialect::Postgres,
        ),
        "mysql" | "mariadb" => {
            // The last password on a line hides whatever is behind it.
            (
                Line::read(args, MYSQL, MYSQL_FLAGS)?,
                ["-e", "--execute"],
                Dialect::MySql,
            )
        }
        _ => return None,
    };
    let texts = line.all(&run);
    // `mysql` runs the last `-e` alone, `psql` each `-c`; the sum is never too little.
    let each = texts.iter().map(|text| sql::rows(text, dialect));
    let all = each.collect::<Option<Vec<u64>>>().filter(|all| !all.is_empty())?;
    all.into_iter().try_fold(0, u64::checked_add)
}

fn objects(act: &ActText<'_>) -> Option<u64> {
    let (name, args) = program(act.argv)?;
    let named = match name {
        "terraform" | "tofu" => infra::applied(name, args, act.scripts)?,
        "kubectl" | "oc" => kubernetes(args)?,
        "aws" => aws(args)?,
        "gcloud" => gcloud(args)?,
        "docker" | "podman" => containers(args)?,
        "rm" => Line::read(args, "", "-f --force -v --verbose -i -I")?.words.len(),
        _ => return None,
    };
    u64::try_from(named).ok().filter(|n| *n > 0)
}

/// Kinds that hold no others: with a namespace or a deployment goes more than its name says.
const ALONE: [&str; 20] = [
    "pod",
    "pods",
    "po",
    "configmap",
    "configmaps",
    "cm",
    "secret",
    "secrets",
    "ingress",
    "ingresses",
    "ing",
    "lease",
    "leases",
    "networkpolicy",
    "networkpolicies",
    "netpol",
    "horizontalpodautoscaler",
    "horizontalpodautoscalers",
    "hpa",
    "pdb",
];

fn kubernetes(args: &[String]) -> Option<usize> {
    const VALUED: &str =
        "-n --namespace --context --cluster --user --kubeconfig --request-timeout --grace-period --timeout";
    const FLAGS: &str = "--now --force --wait --ignore-not-found";
    let line = Line::read(args, VALUED, FLAGS)?;
    let (verb, words) = line.words.split_first()?;
    let plain = |word: &&&str| {
        let fine = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
        !word.is_empty() && word.chars().all(fine)
    };
    match *verb {
        "cordon" | "uncordon" => words.iter().all(|w| plain(&w)).then_some(words.len()),
        "delete" => {
            // `pod/a pod/b`, or `pod a b`.
            let pairs: Option<Vec<(&str, &str)>> = words.iter().map(|w| w.split_once('/')).collect();
            if let Some(pairs) = pairs {
                let fine = pairs
                    .iter()
                    .all(|(kind, name)| ALONE.contains(kind) && plain(&name));
                return fine.then_some(pairs.len());
            }
            let (kind, names) = words.split_first()?;
            let fine = ALONE.contains(kind) && names.iter().all(|w| plain(&w));
            fine.then_some(names.len())
        }
        _ => None,
    }
}

/// Calls of AWS, with the option that names the things; `true` where it takes several.
const AWS: [(&str, &str, &str, bool); 9] = [
    ("ec2", "terminate-instances", "--instance-ids", true),
    ("ec2", "stop-instances", "--instance-ids", true),
    ("ec2", "start-instances", "--instance-ids", true),
    ("ec2", "reboot-instances", "--instance-ids", true),
    ("ec2", "delete-volume", "--volume-id", false),
    ("ec2", "delete-snapshot", "--snapshot-id", false),
    ("rds", "delete-db-snapshot", "--db-snapshot-identifier", false),
    ("rds", "reboot-db-instance", "--db-instance-identifier", false),
    ("lambda", "delete-function", "--function-name", false),
];

fn aws(args: &[String]) -> Option<usize> {
    const BESIDE: [&str; 3] = ["--profile", "--region", "--output"];
    let fine = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let (mut words, mut named, mut option) = (Vec::new(), Vec::new(), None);
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        if arg == "--no-cli-pager" {
            option = None;
        } else if BESIDE.contains(&arg) {
            args.next()?;
            option = None;
        } else if arg.starts_with('-') {
            // Twice the same option, or another that may name more: not counted.
            if option.is_some() || !named.is_empty() {
                return None;
            }
            option = Some(arg);
        } else if option.is_some() {
            named.push((option, arg));
        } else {
            words.push(arg);
        }
    }
    let [service, verb] = words.as_slice() else {
        return None;
    };
    let (_, _, wanted, several) = AWS.iter().find(|(s, v, _, _)| (s, v) == (service, verb))?;
    let right = named
        .iter()
        .all(|(option, id)| *option == Some(wanted) && id.chars().all(fine));
    (right && (*several || named.len() == 1)).then_some(named.len())
}

fn gcloud(args: &[String]) -> Option<usize> {
    const VALUED: &str = "--zone --region --project --account --format --verbosity";
    let line = Line::read(args, VALUED, "-q --quiet")?;
    let [
        "compute",
        "instances",
        "delete" | "stop" | "start" | "reset",
        names @ ..,
    ] = line.words.as_slice()
    else {
        return None;
    };
    Some(names.len())
}

fn containers(args: &[String]) -> Option<usize> {
    let line = Line::read(args, "-t --time", "-f --force")?;
    match line.words.as_slice() {
        [
            "rm" | "stop" | "start" | "restart" | "kill" | "pause" | "unpause" | "rmi",
            names @ ..,
        ]
        | ["volume" | "container" | "image" | "network", "rm", names @ ..] => Some(names.len()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> (Option<u64>, Option<u64>) {
        // Words between bars, so that SQL can hold blanks.
        let words = line.split('|').enumerate();
        let argv: Vec<String> = words
            .flat_map(|(n, part)| match n % 2 {
                0 => part.split_whitespace().map(str::to_owned).collect(),
                _ => vec![part.to_owned()],
            })
            .collect();
        let amounts = amounts(&ActText {
            argv: &argv,
            scripts: &[],
            stdin: None,
        });
        (amounts.rows, amounts.objects)
    }

    #[test]
    fn what_is_named_is_counted() {
        for (line, objects) in [
            ("kubectl delete pod a b c", 3),
            (
                "/usr/bin/kubectl -n shop --context=prod delete pod/a pod/b --grace-period 0 --force",
                2,
            ),
            ("sudo kubectl delete cm a --wait", 1),
            ("kubectl cordon n1 n2", 2),
            (
                "aws ec2 terminate-instances --instance-ids i-1 i-2 --region eu-west-1",
                2,
            ),
            ("aws --profile prod ec2 delete-volume --volume-id vol-1", 1),
            (
                "gcloud compute instances delete a b --zone europe-west1-b --quiet",
                2,
            ),
            ("docker rm -f a b", 2),
            ("docker volume rm a", 1),
            ("rm -f /srv/a /srv/b", 2),
        ] {
            assert_eq!(of(line), (None, Some(objects)), "{line}");
        }
        for (line, rows) in [
            (
                "psql -d shop -Atc |INSERT INTO t (a, b) VALUES (1, 'x'), (-2, NULL)|",
                2,
            ),
            (
                "psql -c |INSERT INTO t VALUES (1)| -c |INSERT INTO t VALUES (2), (3)|",
                3,
            ),
            (
                "mysql -uroot -psecret shop -e |DELETE FROM t WHERE a > 1 ORDER BY a LIMIT 100|",
                100,
            ),
            (
                "mariadb --execute=|BEGIN; UPDATE t SET a = 1 LIMIT 5; DELETE FROM t LIMIT 2; COMMIT|",
                7,
            ),
        ] {
            let line = line.replace("=|", "= |");
            let line = match line.strip_prefix("mariadb --execute= ") {
                Some(rest) => format!("mariadb --execute {rest}"),
                None => line,
            };
            assert_eq!(of(&line), (Some(rows), None), "{line}");
        }
    }

    #[test]
    fn what_could_be_more_than_it_says_has_no_number() {
        for line in [
            "kubectl delete pod --all",
            "kubectl delete pod a -l app=web",
            "kubectl delete pods",
            "kubectl delete pod",
            "kubectl delete ns shop",
            "kubectl delete deploy web",
            "kubectl delete pod,svc a",
            "kubectl delete pod a -A",
            "kubectl delete pod a -f more.yaml",
            "kubectl delete pod/a deploy/b",
            "kubectl delete pod a -- b",
            "kubectl scale deploy web --replicas 0",
            "/tmp/x/kubectl delete pod a",
            "sudo -u root kubectl delete pod a",
            "sudo A=b kubectl delete pod a",
            "sh -c |kubectl delete pod a|",
            "xargs kubectl delete pod",
            "aws ec2 terminate-instances --instance-ids |[\"i-1\",\"i-2\"]|",
            "aws ec2 terminate-instances --instance-ids file://ids",
            "aws ec2 terminate-instances --instance-ids i-1 --cli-input-json file://x",
            "aws ec2 terminate-instances --instance-ids i-1 --instance-ids i-2",
            "aws ec2 terminate-instances",
            "aws ec2 delete-volume --volume-id v-1 v-2",
            "aws rds delete-db-cluster --db-cluster-identifier x",
            "gcloud compute instances delete --filter=x",
            "docker rm -v a",
            "docker system prune -f",
            "rm -rf /srv/a",
            "rm -- /srv/a",
            "rm",
            "frobnicate a",
            "terraform apply p",
            "psql -f x.sql",
            "psql -d shop",
            "psql -v n=1 -c |INSERT INTO t VALUES (1)|",
            "psql -c |INSERT INTO t VALUES (1)| -f x.sql",
            "psql -c |DELETE FROM t WHERE id = 7|",
            "psql -c |INSERT INTO t SELECT * FROM u|",
            "psql -c |INSERT INTO t VALUES (purge())|",
            "psql -c |INSERT INTO t VALUES ((SELECT purge()))|",
            "psql -c |WITH x AS (DELETE FROM u RETURNING *) INSERT INTO t VALUES (1)|",
            "psql -c |INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING|",
            "psql -c |INSERT INTO t VALUES (1) RETURNING purge()|",
            "psql -c |INSERT INTO t VALUES (1); DROP TABLE u|",
            "psql -c |INSERT INTO t VALUES (1); SELECT purge()|",
            "psql -c |INSERT INTO t VALUES (1) /*!; DELETE FROM t */|",
            "psql -c |INSERT INTO t VALUES (1) \\gexec|",
            "mysql -e |DELETE FROM t LIMIT 1000000000000000000000|",
            "mysql -e |DELETE FROM t LIMIT 1 + 1|",
            "mysql -e |DELETE a, b FROM a JOIN b ON a.id = b.id LIMIT 1|",
            "mysql -e |REPLACE INTO t VALUES (1)|",
            "mysql --init-command=x -e |DELETE FROM t LIMIT 1|",
            "mysql --delimiter=x -e |DELETE FROM t LIMIT 1|",
            "psql -c ||",
        ] {
            assert_eq!(of(line), (None, None), "{line}");
        }
        let huge = format!("psql -c |INSERT INTO t VALUES {}|", vec!["(1)"; 3_000].join(", "));
        assert_eq!(of(&huge), (None, None));
    }
}
