//! HTTP requests, and the programs that send them.

use crate::model::effect::Effect::{
    self, BackupChange, BulkData, ConfigChange, CredentialChange, DataWrite, Deploy, InfraChange, OneWay,
    Read, SecurityConfig, ServiceRestart,
};

use crate::effects::eye::{Cmd, Eye};
use crate::effects::options::Options;
use crate::effects::paths;
use crate::effects::words::Word;
use crate::model::reach::host_of;

/// Parts of path words and what a write there changes, as far as names tell.
const WORDS: &[(&str, &[Effect])] = &[
    ("backup", &[BackupChange]),
    ("snapshot", &[BackupChange]),
    ("retention", &[BackupChange]),
    ("restore-point", &[BackupChange]),
    ("token", &[CredentialChange]),
    ("key", &[CredentialChange]),
    ("secret", &[CredentialChange]),
    ("credential", &[CredentialChange]),
    ("user", &[CredentialChange]),
    ("role", &[CredentialChange]),
    ("iam", &[CredentialChange]),
    ("member", &[CredentialChange]),
    ("password", &[CredentialChange]),
    ("permission", &[CredentialChange]),
    ("grant", &[CredentialChange]),
    ("lease", &[CredentialChange]),
    ("env", &[ConfigChange]),
    ("config", &[ConfigChange]),
    ("variable", &[ConfigChange]),
    ("setting", &[ConfigChange]),
    ("flag", &[ConfigChange]),
    ("deploy", &[Deploy]),
    ("release", &[Deploy]),
    ("rollout", &[Deploy]),
    ("promote", &[Deploy]),
    ("workflow", &[Deploy]),
    ("dispatch", &[Deploy]),
    ("dns", &[InfraChange]),
    ("zone", &[InfraChange]),
    ("volume", &[InfraChange]),
    ("instance", &[InfraChange]),
    ("cluster", &[InfraChange]),
    ("server", &[InfraChange]),
    ("bucket", &[InfraChange]),
    ("project", &[InfraChange]),
    ("service", &[InfraChange]),
    ("namespace", &[InfraChange]),
    ("firewall", &[SecurityConfig]),
    ("policy", &[SecurityConfig]),
    ("policies", &[SecurityConfig]),
    ("hook", &[SecurityConfig]),
    ("protection", &[SecurityConfig]),
    ("restart", &[ServiceRestart]),
    ("reboot", &[ServiceRestart]),
    ("_doc", &[DataWrite]),
    ("_bulk", &[BulkData]),
    ("_delete_by_query", &[BulkData, OneWay]),
    ("database", &[BulkData]),
    ("table", &[BulkData]),
    ("collection", &[BulkData]),
    ("index", &[BulkData]),
];

/// Notes what one request would change.
pub(in crate::effects) fn request(eye: &mut Eye<'_>, method: &str, url: &str) {
    let method = method.to_ascii_uppercase();
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let address = without_user(address);
    let text = format!("{method} {address}");
    let lower = query.to_ascii_lowercase();
    let asks = |word: &str| lower.contains(word);
    match method.as_str() {
        // An address can ask for an act in its query: `?action=delete`, `?query=mutation…`.
        "GET" | "HEAD" | "OPTIONS" | "LIST" | "PROPFIND" => {
            let path = path_of(address).to_ascii_lowercase();
            const VERBS: [&str; 13] = [
                "delete", "remove", "destroy", "mutation", "drop", "purge", "reset", "restart", "shutdown",
                "revoke", "logout", "trigger", "flush",
            ];
            let acts = VERBS
                .iter()
                .any(|word| asks(word) || path.split(['/', '-', '_', '.']).any(|part| part == *word));
            if acts {
                eye.unknown(&text, "http.get-may-act");
            } else if address.split_once("://").is_some_and(|(scheme, _)| !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https")) ||
                // `gopher://redis/…` and `dict://` say anything to any server.
                address.starts_with("file:") || url.contains('\0')
            {
                eye.unknown(&text, "http.not-understood");
            } else {
                eye.see(Read, &text, "http.get");
            }
        }
        _ => {
            eye.unknown(&text, "http.write");
            let path = path_of(address).to_ascii_lowercase();
            for (word, effects) in WORDS {
                if path.contains(word) {
                    eye.see_all(effects, &text, &format!("http.{word}"));
                }
            }
            if method == "DELETE" {
                eye.see(OneWay, &text, "http.delete");
                let parts = path.split('/').filter(|part| !part.is_empty()).count();
                // `DELETE /orders*` removes a whole index.
                if parts <= 1 || path.contains(['*', '_']) {
                    eye.see(BulkData, &text, "http.delete-many");
                }
            }
        }
    }
}

/// A name and password in an address are nobody's business.
fn without_user(address: &str) -> &str {
    let start = address.find("://").map_or(0, |at| at + 3);
    let rest = address.get(start..).unwrap_or_default();
    let end = rest.find('/').unwrap_or(rest.len());
    match rest.get(..end).and_then(|host| host.rfind('@')) {
        Some(at) => rest.get(at + 1..).unwrap_or_default(),
        None => address,
    }
}

fn path_of(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default()
}

const CURL: Options = Options {
    valued: "-H --header -u --user -A --user-agent -e --referer -b --cookie -m --max-time --connect-timeout --retry --retry-delay --retry-max-time --cacert --capath -E --cert --key -x --proxy --resolve --connect-to -r --range --url -X --request -d --data --data-raw --data-binary --data-ascii --data-urlencode --json -F --form --form-string -T --upload-file -o --output -D --dump-header -c --cookie-jar --output-dir --interface --limit-rate --oauth2-bearer --unix-socket -w --write-out --max-redirs -y -Y --proto --tls-max --aws-sigv4 --stderr --trace --trace-ascii",
    flags: "-s --silent -S --show-error -f --fail --fail-with-body -L --location -k --insecure -i --include -I --head -v --verbose -G --get -g --globoff -4 --ipv4 -6 --ipv6 --compressed --http1.1 --http2 --http3 -N --no-buffer -n --netrc --retry-connrefused --retry-all-errors -O --remote-name -J --remote-header-name -q --no-progress-meter --tlsv1.2 --tlsv1.3 -# --progress-bar --create-dirs --raw -V --version --ssl-reqd --path-as-is",
};

/// `curl`: the method it will use, the addresses, and files it writes.
pub(super) fn curl(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let (mut method, mut body, mut head, mut get, mut urls) = (None, false, false, false, Vec::new());
    let mut at = 0;
    while let Some(arg) = cmd.args.get(at) {
        if !arg.text.starts_with('-') || arg.text == "-" {
            urls.push(arg);
            at += 1;
            continue;
        }
        let mut known = true;
        let width = CURL.width(&arg.text, &mut known).max(1);
        if !known {
            eye.unknown(&line, "http.option-not-known");
        }
        let Some((name, value)) = option(arg, width, cmd.args.get(at + 1)) else {
            at += width;
            continue;
        };
        match name {
            'X' => method = Some(value.to_owned()),
            'd' | 'F' | 'T' => body = true,
            'I' => head = true,
            'G' => get = true,
            'O' => eye.see(DataWrite, &line, "http.saves-file"),
            'o' | 'D' | 'c' => {
                if let Some(effects) = paths::touched(value) {
                    eye.see_all(effects, &line, "http.saves-file");
                }
            }
            'w' if value.contains("output") || value.starts_with('@') => {
                eye.unknown(&line, "http.option-not-known")
            }
            'u' => urls.push(cmd.args.get(at + 1).unwrap_or(arg)),
            'H' if value.to_ascii_lowercase().contains("method-override") => {
                eye.unknown(&line, "http.method-override")
            }
            't' => eye.unknown(&line, "http.option-not-known"),
            _ => {}
        }
        // A cluster such as `-sSo` hides further letters.
        if !arg.text.starts_with("--") && arg.text.len() > 2 {
            let letters = arg.text.get(1..).unwrap_or_default();
            body |= name != 'X' && letters.contains(['d', 'F', 'T']);
            head |= letters.contains('I');
            get |= letters.contains('G');
            if letters.contains('O') && name != 'X' {
                eye.see(DataWrite, &line, "http.saves-file");
            }
        }
        at += width;
    }
    let default = if head {
        "HEAD"
    } else if body && !get {
        "POST"
    } else {
        "GET"
    };
    let method = method.unwrap_or_else(|| default.to_owned());
    if urls.is_empty() {
        return eye.unknown(&line, "http.no-address");
    }
    for url in urls {
        request(
            eye,
            if body && !get && method.eq_ignore_ascii_case("GET") {
                "GET-with-body"
            } else {
                &method
            },
            &url.text,
        );
    }
}

/// The meaning of an option as one letter, and its value. `u` stands for `--url`.
fn option<'w>(arg: &'w Word, width: usize, next: Option<&'w Word>) -> Option<(char, &'w str)> {
    let text = arg.text.as_str();
    let following = || {
        if width == 2 {
            next.map_or("", |next| next.text.as_str())
        } else {
            ""
        }
    };
    if text.starts_with("--") {
        let (name, value) = text.split_once('=').unwrap_or((text, following()));
        let letter = match name {
            "--request" => 'X',
            "--json" => 'd',
            "--form" | "--form-string" => 'F',
            "--upload-file" => 'T',
            "--head" => 'I',
            "--get" => 'G',
            "--remote-name" => 'O',
            "--output" | "--output-dir" => 'o',
            "--dump-header" => 'D',
            "--cookie-jar" => 'c',
            "--write-out" => 'w',
            "--url" => 'u',
            "--header" => 'H',
            "--stderr" | "--trace" | "--trace-ascii" => 't',
            _ if name.starts_with("--data") => 'd',
            _ => return None,
        };
        return Some((letter, value));
    }
    // The last letter of a cluster has the value; a letter with a value attached ends the cluster.
    let (at, letter) = text
        .char_indices()
        .skip(1)
        .find(|(_, letter)| "XdFToDcwHuAebmxrE".contains(*letter))
        .or_else(|| text.char_indices().nth(1))?;
    let attached = text.get(at + letter.len_utf8()..).unwrap_or_default();
    let value = if attached.is_empty() {
        following()
    } else {
        attached
    };
    // `-u` is a user, not an address.
    if letter == 'u' {
        None
    } else {
        Some((letter, value))
    }
}

/// `http` and `xh`: a method in front of the address, and items behind it that make it a request with a body.
pub(super) fn httpie(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let words: Vec<&str> = cmd
        .args
        .iter()
        .map(Word::as_str)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let options = cmd.args.iter().any(|arg| {
        arg.text.starts_with('-')
            && !matches!(
                arg.text.as_str(),
                "-h" | "-b"
                    | "-v"
                    | "--headers"
                    | "--body"
                    | "--verbose"
                    | "--ignore-stdin"
                    | "--check-status"
            )
    });
    if options || !matches!(cmd.stdin, crate::effects::eye::Stdin::Unseen) {
        eye.unknown(&line, "http.option-not-known");
    }
    let method = words
        .first()
        .filter(|word| word.chars().all(|c| c.is_ascii_alphabetic()) && words.len() > 1);
    let (method, rest) = match method {
        Some(method) => (*method, words.get(1..).unwrap_or_default()),
        None => ("GET", words.as_slice()),
    };
    let Some((address, items)) = rest.split_first() else {
        return eye.unknown(&line, "http.no-address");
    };
    // `a==b` is a query, `a:b` a header; what else has an `=`, `:=` or `@` is sent.
    let sent = items
        .iter()
        .any(|item| item.contains(['=', '@']) && !item.contains("=="));
    let overrides = items
        .iter()
        .any(|item| item.to_ascii_lowercase().contains("method-override"));
    let method = if sent && method.eq_ignore_ascii_case("get") {
        "POST"
    } else {
        method
    };
    request(eye, if overrides { "OVERRIDDEN" } else { method }, address);
}

/// `wget` saves what it fetches unless told otherwise.
pub(super) fn wget(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let to_stdout = cmd.args.windows(2).any(|pair| matches!(pair, [a, b] if a.text.ends_with('O') && a.text.starts_with('-') && matches!(b.text.as_str(), "-" | "/dev/null")))
        || cmd.args.iter().any(|arg| matches!(arg.text.as_str(), "-O-" | "-qO-" | "--spider" | "--output-document=-"));
    if !to_stdout {
        eye.see(DataWrite, &line, "http.saves-file");
    }
    let method = cmd
        .args
        .iter()
        .find_map(|arg| arg.text.strip_prefix("--method="))
        .unwrap_or("GET");
    let posts = cmd
        .args
        .iter()
        .any(|arg| arg.text.starts_with("--post") || arg.text.starts_with("--body"));
    const PLAIN: [&str; 12] = [
        "-q",
        "-O",
        "-O-",
        "-qO-",
        "-qO",
        "--spider",
        "-S",
        "-nv",
        "--no-check-certificate",
        "--quiet",
        "--output-document=-",
        "-4",
    ];
    for arg in cmd.args {
        if !arg.text.starts_with('-') && !matches!(arg.text.as_str(), "/dev/null") {
            request(eye, if posts { "POST" } else { method }, &arg.text);
        } else if arg.text.starts_with('-')
            && arg.text != "-"
            && !PLAIN.contains(&arg.text.as_str())
            && ![
                "--header=",
                "--timeout=",
                "--tries=",
                "--method=",
                "--post",
                "--body",
            ]
            .iter()
            .any(|start| arg.text.starts_with(start))
        {
            eye.unknown(&line, "http.option-not-known");
        }
    }
}

/// Whether an address is on this host, by its words.
pub(super) fn is_loopback(url: &str) -> bool {
    let host = host_of(url);
    let four: Vec<&str> = host.split('.').collect();
    let numbers = four.len() == 4 && four.iter().all(|part| part.parse::<u8>().is_ok());
    !url.contains(['@', '\\'])
        && (matches!(host, "localhost" | "::1") || numbers && four.first() == Some(&"127"))
}
