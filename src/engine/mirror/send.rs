//! One batch to one place, through the responder's own ssh, git or aws; taken as there once it was read back.
//!
//! Nothing at the place is ever replaced. The same batch sent again is found there and compared.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::place::Place;
use crate::engine::remote::ALIVE;
use crate::model::ids::IncidentId;
use crate::model::secret::Secret;
use crate::world::World;
use crate::world::spawn::{Command, End};

/// One program takes no longer than this; a batch is at most [`super::BATCH`] long.
const DEADLINE: Duration = Duration::from_secs(60);
/// Bytes kept of what a program says: a batch that is read back, and a little.
const CAP: u64 = 4 << 20;

/// Variables by which the responder's programs find keys, accounts and proxies.
pub(super) const PASSED: [&str; 33] = [
    "HOME",
    "PATH",
    "USER",
    "LOGNAME",
    "LANG",
    "TMPDIR",
    "SSH_AUTH_SOCK",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "KRB5CCNAME",
    "GNUPGHOME",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_CA_BUNDLE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "INCIDENT_AS",
    "NO_COLOR",
];

/// The responder's environment, as far as these programs need it.
pub(in crate::engine) fn env(world: &World) -> Vec<(String, Secret)> {
    let of = |name: &&str| Some(((*name).to_owned(), Secret::new(world.host.env(name)?)));
    PASSED.iter().filter_map(of).collect()
}

/// Why a batch is not there as far as anybody knows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotThere {
    /// It was not taken, or nobody heard whether it was: try again.
    Failed(String),
    /// Under its name there is something else.
    Other,
}

/// The way to one place.
pub(super) struct Way<'a> {
    pub world: &'a World,
    pub place: &'a Place,
    pub id: &'a IncidentId,
    /// A private folder for what git and aws want as files.
    pub tmp: PathBuf,
}

impl Way<'_> {
    /// Names of the folders of this incident that are there.
    pub fn folders(&self) -> Result<Vec<String>, String> {
        let id = self.id;
        let out = match self.place {
            Place::Ssh { folder, .. } => {
                self.ssh(&format!("ls -1 {folder}/{id}/ 2>/dev/null || :"), String::new())?
            }
            Place::Git { url } => match self.fetched(url)? {
                None => Vec::new(),
                Some(there) => self.git(&["ls-tree", "--name-only", &there, &format!("{id}/")], None)?,
            },
            Place::S3 { bucket, prefix } => {
                let prefix = format!("{prefix}{id}/");
                self.aws(&[
                    "list-objects-v2",
                    "--bucket",
                    bucket,
                    "--prefix",
                    &prefix,
                    "--delimiter",
                    "/",
                    "--query",
                    "CommonPrefixes[].Prefix",
                    "--output",
                    "text",
                ])?
            }
        };
        let text = String::from_utf8_lossy(&out);
        let last = |path: &str| path.trim_end_matches('/').rsplit('/').next().map(str::to_owned);
        Ok(text.split_whitespace().filter_map(last).collect())
    }

    /// Puts one batch there under this name, and reads it back.
    pub fn put(&self, folder: &str, name: &str, batch: &str) -> Result<(), NotThere> {
        let back = match self.place {
            Place::Ssh { folder: root, .. } => {
                let script = by_ssh(&format!("{root}/{}/{folder}", self.id), name, batch.len());
                self.ssh(&script, batch.to_owned()).map(Some)
            }
            Place::Git { url } => self.by_git(url, &format!("{}/{folder}/{name}", self.id), batch),
            Place::S3 { bucket, prefix } => {
                self.by_s3(bucket, &format!("{prefix}{}/{folder}/{name}", self.id), batch)
            }
        };
        match back.map_err(NotThere::Failed)? {
            Some(there) if there == batch.as_bytes() => Ok(()),
            Some(there) if there.is_empty() => {
                let why = "it was taken, but is not there when read back";
                Err(NotThere::Failed(why.to_owned()))
            }
            None => Err(NotThere::Failed(
                "it was taken, but is not there when read back".to_owned(),
            )),
            Some(_) => Err(NotThere::Other),
        }
    }

    fn ssh(&self, script: &str, stdin: String) -> Result<Vec<u8>, String> {
        let Place::Ssh { host, port, .. } = self.place else {
            return Ok(Vec::new());
        };
        let mut argv = vec!["ssh".to_owned(), "-T".to_owned()];
        argv.extend(ALIVE.map(str::to_owned));
        if let Some(port) = port {
            argv.extend(["-p".to_owned(), port.to_string()]);
        }
        // Whatever shell the account has: the script holds no quote.
        argv.extend(["--".to_owned(), host.clone(), format!("sh -c '{script}'")]);
        self.run(argv, Vec::new(), Some(stdin))
    }

    /// The commit at the end of this incident's branch, fetched; `None` where there is no such branch.
    fn fetched(&self, url: &str) -> Result<Option<String>, String> {
        self.git_folder()?;
        let Some(there) = self.branch(url)? else {
            return Ok(None);
        };
        let from = format!("+refs/heads/{}:refs/heads/there", self.id);
        self.git(&["fetch", "-q", "--no-tags", url, &from], None)?;
        Ok(Some(there))
    }

    fn branch(&self, url: &str) -> Result<Option<String>, String> {
        let out = self.git(&["ls-remote", url, &format!("refs/heads/{}", self.id)], None)?;
        Ok(String::from_utf8_lossy(&out)
            .split_whitespace()
            .next()
            .map(str::to_owned))
    }

    fn by_git(&self, url: &str, path: &str, batch: &str) -> Result<Option<Vec<u8>>, String> {
        let there = self.fetched(url)?;
        let word = |out: Vec<u8>| String::from_utf8_lossy(&out).trim().to_owned();
        if let Some(there) = &there {
            if !self.git(&["ls-tree", there, path], None)?.is_empty() {
                return self
                    .git(&["cat-file", "blob", &format!("{there}:{path}")], None)
                    .map(Some);
            }
            self.git(&["read-tree", there], None)?;
        } else {
            self.git(&["read-tree", "--empty"], None)?;
        }
        let blob = word(self.git(&["hash-object", "-w", "--stdin"], Some(batch.to_owned()))?);
        let entry = format!("100644,{blob},{path}");
        self.git(&["update-index", "--add", "--cacheinfo", &entry], None)?;
        let tree = word(self.git(&["write-tree"], None)?);
        let mut commit = vec!["commit-tree", &tree, "-m", path];
        if let Some(there) = &there {
            commit.extend(["-p", there]);
        }
        let commit = word(self.git(&commit, None)?);
        // Never forced: whoever was quicker stands, and this is tried again on top of it.
        self.git(
            &["push", "-q", url, &format!("{commit}:refs/heads/{}", self.id)],
            None,
        )?;
        let stands = self.branch(url)?.is_some_and(|there| there == commit);
        Ok(stands.then(|| batch.as_bytes().to_vec()))
    }

    fn git_folder(&self) -> Result<(), String> {
        if self.world.files.stat(&self.tmp.join("mirror.git/HEAD")).is_ok() {
            return Ok(());
        }
        let folder = self.tmp.join("mirror.git").display().to_string();
        let argv = ["git", "init", "-q", "--bare", "--template=", "--", &folder];
        self.run(argv.map(str::to_owned).to_vec(), Vec::new(), None)
            .map(drop)
    }

    fn git(&self, words: &[&str], stdin: Option<String>) -> Result<Vec<u8>, String> {
        let folder = self.tmp.join("mirror.git").display().to_string();
        let mut argv: Vec<String> = vec!["git".to_owned(), format!("--git-dir={folder}")];
        for set in [
            "core.hooksPath=/dev/null",
            "gc.auto=0",
            "push.gpgSign=false",
            "http.lowSpeedLimit=1",
            "http.lowSpeedTime=20",
        ] {
            argv.extend(["-c".to_owned(), set.to_owned()]);
        }
        argv.extend(words.iter().map(|w| (*w).to_owned()));
        let env = vec![
            ("GIT_TERMINAL_PROMPT", "0".to_owned()),
            ("GIT_SSH_COMMAND", format!("ssh {}", ALIVE.join(" "))),
            ("GIT_AUTHOR_NAME", "incident".to_owned()),
            ("GIT_AUTHOR_EMAIL", "incident@localhost".to_owned()),
            ("GIT_COMMITTER_NAME", "incident".to_owned()),
            ("GIT_COMMITTER_EMAIL", "incident@localhost".to_owned()),
        ];
        self.run(argv, env, stdin)
    }

    fn by_s3(&self, bucket: &str, key: &str, batch: &str) -> Result<Option<Vec<u8>>, String> {
        let (body, back) = (self.tmp.join("mirror.batch"), self.tmp.join("mirror.back"));
        let no = |path: &Path, e: std::io::Error| format!("cannot use {}: {e}", path.display());
        let files = &self.world.files;
        files
            .replace(&body, batch.as_bytes(), 0o600)
            .map_err(|e| no(&body, e))?;
        let path = body.display().to_string();
        let put = self.aws(&[
            "put-object",
            "--bucket",
            bucket,
            "--key",
            key,
            "--body",
            &path,
            "--if-none-match",
            "*",
        ]);
        match put {
            Err(why) if !why.contains("PreconditionFailed") => return Err(why),
            _ => {}
        }
        // Made here first, so that nobody else may read it.
        files.replace(&back, b"", 0o600).map_err(|e| no(&back, e))?;
        self.aws(&[
            "get-object",
            "--bucket",
            bucket,
            "--key",
            key,
            &back.display().to_string(),
        ])?;
        files.read(&back, CAP).map(Some).map_err(|e| no(&back, e))
    }

    fn aws(&self, words: &[&str]) -> Result<Vec<u8>, String> {
        let mut argv = ["aws", "s3api"].map(str::to_owned).to_vec();
        argv.extend(words.iter().map(|w| (*w).to_owned()));
        argv.extend(["--cli-connect-timeout", "10", "--cli-read-timeout", "20"].map(str::to_owned));
        let env = vec![("AWS_MAX_ATTEMPTS", "1".to_owned()), ("AWS_PAGER", String::new())];
        self.run(argv, env, None)
    }

    fn run(
        &self,
        argv: Vec<String>,
        more: Vec<(&str, String)>,
        stdin: Option<String>,
    ) -> Result<Vec<u8>, String> {
        let program = argv.first().cloned().unwrap_or_default();
        let mut env = env(self.world);
        env.extend(
            more.into_iter()
                .map(|(name, value)| (name.to_owned(), Secret::new(value))),
        );
        let command = Command {
            argv,
            cwd: None,
            env,
            stdin: stdin.map(Secret::new),
            deadline: DEADLINE,
            no_progress: None,
            cap: CAP,
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut started = |_| {};
        let world = self.world;
        let ran = world.wait(world.spawn.run(command, &mut out, &mut err, &mut started));
        let said = String::from_utf8_lossy(&err);
        let last = said.lines().rev().find(|l| !l.trim().is_empty());
        let last = last.map_or("it said nothing", str::trim);
        match ran.map(|ran| ran.end) {
            Some(End::Exit(0)) => Ok(out),
            Some(End::Exit(code)) => Err(format!("{program} ended with {code}: {last}")),
            Some(End::Signal(signal)) => Err(format!("{program} ended by signal {signal}: {last}")),
            Some(End::Deadline | End::NoProgress) => Err(format!(
                "{program} did not answer within {} s",
                DEADLINE.as_secs()
            )),
            Some(End::Interrupted) => Err(format!("{program} was interrupted")),
            Some(End::NotStarted(why)) => Err(why),
            None => Err("the world gave up on it".to_owned()),
        }
    }
}

/// What runs over there: a part first, whole by its length, then its name, which must be free; then it is read
/// back. Holds no quote, and nothing in it but words of a closed set of characters.
fn by_ssh(folder: &str, name: &str, len: usize) -> String {
    let part = format!("{folder}/.part-{name}.$$");
    let there = format!("{folder}/{name}");
    format!(
        "umask 077; mkdir -p {folder} || exit 1; cat > {part} && test $(wc -c < {part}) -eq {len} && \
         {{ sync {part} 2>/dev/null || :; ln {part} {there} 2>/dev/null || :; }}; rm -f {part}; \
         test -f {there} || {{ echo it was not kept >&2; exit 3; }}; cat {there}"
    )
}
