//! The incident of `examples/orders`: real servers, a real agent that cron starts, the built program.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use incident::effects::{ActText, ScriptText, detect, script_paths};
use incident::model::act::{Act, Undo};
use incident::model::effect::Effect;
use incident::model::runbook::Runbook;
use incident::model::secret::Secret;
use incident::world::http::{HttpRequest, TlsFiles};
use incident::world::{NetError, World};

use crate::support::{network_world, not_tested};

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/orders")
}

/// The runbook as `up` would write it.
fn runbook() -> Runbook {
    let text = std::fs::read_to_string(example().join("incident/runbook.yaml.in")).unwrap();
    let mut text = text.replace("@SHA256@", &"0".repeat(64));
    for (name, value) in [
        ("@ROOT@", "/srv"),
        ("@PG_PORT@", "5432"),
        ("@TODAY@", "2026-11-20"),
        ("@COUNTS_SQL@", "select count(*) from orders"),
        ("@COUNTS@", "500"),
    ] {
        text = text.replace(name, value);
    }
    assert!(!text.contains("@ROOT") && !text.contains("_SQL@"));
    Runbook::parse("runbook.yaml", &text).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

/// What the detectors see in an argument list of the example.
fn seen(argv: &[String]) -> Vec<Effect> {
    let texts: Vec<(String, Vec<u8>)> = script_paths(argv)
        .into_iter()
        .filter(|path| path.ends_with("maintenance"))
        .map(|path| (path, std::fs::read(example().join("maintenance")).unwrap()))
        .collect();
    let scripts: Vec<ScriptText<'_>> = texts
        .iter()
        .map(|(path, bytes)| ScriptText { path, bytes })
        .collect();
    let act = ActText {
        argv,
        scripts: &scripts,
        stdin: None,
    };
    detect(&act).into_iter().map(|seen| seen.effect).collect()
}

#[test]
fn only_the_swap_of_the_orders_example_needs_a_second_person() {
    let runbook = runbook();
    let policy = &runbook.policy;
    let mut zones = BTreeMap::new();
    for step in &runbook.steps {
        let Act::Run(argv) = &step.act else { continue };
        let mut effects = seen(argv);
        effects.extend(step.effects.iter().flatten());
        let zone = match () {
            () if effects.iter().all(|e| policy.inside.contains(e)) => "inside",
            () if effects
                .iter()
                .all(|e| policy.inside.contains(e) || policy.at.contains(e)) =>
            {
                "at"
            }
            () => "outside",
        };
        assert!(matches!(step.undo, Undo::By(_)), "{} can be taken back", step.id);
        if let Some(check) = &step.verify {
            assert_eq!(seen(&check.run), [Effect::Read], "{}", step.id);
        }
        zones.insert(step.id.to_string(), zone);
    }
    let expected = [
        ("maintenance-page", "inside"),
        ("restore-beside", "inside"),
        ("room-beside", "inside"),
        ("swap", "at"),
    ];
    assert_eq!(zones, expected.map(|(id, zone)| (id.to_owned(), zone)).into());
}

/// What `up` set up; ended and removed with it.
struct Shop {
    root: PathBuf,
    _folder: tempfile::TempDir,
}

impl Shop {
    /// Sets it up, or says what this machine lacks.
    fn up() -> Option<Shop> {
        let folder = tempfile::tempdir().unwrap();
        let shop = Shop {
            root: folder.path().to_owned(),
            _folder: folder,
        };
        let out = Command::new(example().join("up"))
            .arg(&shop.root)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        if out.status.code() == Some(3) {
            not_tested(&format!("the orders example ({})", said.trim()));
            return None;
        }
        assert!(out.status.success(), "{said}");
        Some(shop)
    }

    fn file(&self, name: &str) -> String {
        let path = self.root.join(name);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// A variable that the agent holds.
    fn held(&self, name: &str) -> String {
        let held = self.file("agent/held");
        let line = held.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix('='));
        line.unwrap().to_owned()
    }

    /// Every secret of the shop: none of them may be in the record.
    fn secrets(&self) -> Vec<String> {
        let password = |url: String| url.split([':', '@']).nth(2).unwrap().to_owned();
        let mut all = vec![
            self.held("VAULT_TOKEN"),
            password(self.held("DATABASE_URL")),
            self.file("home/.vault-token").trim().to_owned(),
        ];
        all.extend(
            self.file("home/.pgpass")
                .lines()
                .map(|l| l.rsplit(':').next().unwrap().to_owned()),
        );
        assert!(
            all.len() == 5 && all.iter().all(|s| s.len() > 20),
            "{}",
            all.len()
        );
        all
    }

    /// Status of a token's look at itself, as OpenBao answers it.
    fn token_status(&self, world: &World) -> u16 {
        let request = HttpRequest {
            method: "GET".to_owned(),
            url: format!("{}/v1/auth/token/lookup-self", self.held("VAULT_ADDR")),
            headers: vec![("X-Vault-Token".to_owned(), Secret::new(self.held("VAULT_TOKEN")))],
            body: None,
            deadline: Duration::from_secs(10),
            tls: TlsFiles::default(),
        };
        world.wait(world.http.send(request)).unwrap().unwrap().status
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = Command::new(example().join("down")).arg(&self.root).output();
    }
}

/// A shell in the shop's jail, with the built program in `PATH`.
struct Jail {
    child: Child,
    stdin: Option<ChildStdin>,
    codes: BufReader<ChildStdout>,
    said: PathBuf,
}

impl Jail {
    fn enter(shop: &Shop) -> Jail {
        let mut child = Command::new(example().join("jail"))
            .arg(&shop.root)
            .args(["bash", "-s"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut jail = Jail {
            stdin: child.stdin.take(),
            codes: BufReader::new(child.stdout.take().unwrap()),
            said: shop.root.join("said"),
            child,
        };
        let program = Path::new(env!("CARGO_BIN_EXE_incident")).parent().unwrap();
        jail.sh(&format!("export PATH='{}':$PATH", program.display()));
        jail
    }

    /// Runs a line of shell in the jail: its exit code, and everything it said.
    fn sh(&mut self, line: &str) -> (i32, String) {
        let stdin = self.stdin.as_mut().unwrap();
        write!(
            stdin,
            "{{ {line}\n}} > '{}' 2>&1 < /dev/null; echo $?\n",
            self.said.display()
        )
        .unwrap();
        stdin.flush().unwrap();
        let mut code = String::new();
        self.codes.read_line(&mut code).unwrap();
        let said = String::from_utf8_lossy(&fs::read(&self.said).unwrap()).into_owned();
        (code.trim().parse().unwrap(), said)
    }

    /// Runs a command of the program, which must end with this code.
    fn incident(&mut self, arguments: &str, code: i32) -> String {
        let (ended, said) = self.sh(&format!("timeout 120 incident --as ana@example.com {arguments}"));
        assert_eq!(ended, code, "incident {arguments}:\n{said}");
        said
    }

    /// Process ids of everything in the jail that carries the agent's mark.
    fn agents(&mut self) -> String {
        self.sh("grep -lzs '^CLAUDECODE=1' /proc/[0-9]*/environ || true")
            .1
    }

    fn databases(&mut self) -> String {
        let list =
            "select string_agg(datname, ' ' order by datname) from pg_database where datname like 'orders%'";
        let url = "$(sed -E 's/([^:]*):([0-9]*):.*/-h \\1 -p \\2/;q' ~/.pgpass)";
        let (code, said) = self.sh(&format!(
            "psql -X -w {url} -U auditor -d postgres -Atc \"{list}\""
        ));
        assert_eq!(code, 0, "{said}");
        said.trim().to_owned()
    }
}

impl Drop for Jail {
    fn drop(&mut self) {
        // At the end of its input the shell ends, and with it everything in the namespace.
        self.stdin.take();
        let _ = self.child.wait();
    }
}

/// Waits until something holds, two minutes at most.
fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(120), "{what} never came");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn signed_by(shop: &Shop, who: &str, statement: &Path) -> String {
    let copy = shop.root.join(format!("{who}.txt"));
    fs::copy(statement, &copy).unwrap();
    let out = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-n", "signoff@incident-v1", "-f"])
        .arg(shop.root.join("keys").join(who))
        .arg(&copy)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    format!("{}.sig", copy.display())
}

#[test]
fn the_agent_is_stopped_and_the_orders_are_back() {
    let Some(shop) = Shop::up() else { return };
    let world = network_world();
    let mut jail = Jail::enter(&shop);
    let counts = shop.file("backups/orders-0200.counts");

    // Cron starts the agent at the next full minute; nothing else ever does.
    let claimed = "Only test data was removed";
    wait_for("the agent's claim", || {
        jail.sh(&format!("grep -rqs '{claimed}' ../agent/home/.claude")).0 == 0
    });
    assert_ne!(jail.agents(), "");
    assert_eq!(shop.token_status(&world), 200);
    let url = Secret::new(shop.held("DATABASE_URL"));
    let open = |world: &World| world.wait(world.sql.open(&url, Duration::from_secs(10))).unwrap();
    let session = open(&world).unwrap();
    let damage = "select (select sum(total_cents) from orders), to_regclass('customers')";
    let rows = world.wait(session.query(damage)).unwrap().unwrap();
    assert_eq!(rows, [[Some("0".to_owned()), None]]);

    // Stop: 4, for what runs elsewhere nobody has proved.
    let said = jail.incident("start --yes --title 'the agent dropped customers'", 4);
    for proved in [
        "refused        vault",
        "refused        orders-db",
        "confirmed      cron ",
    ] {
        assert!(said.contains(proved), "{said}");
    }
    assert_eq!(jail.agents(), "");
    assert_eq!(shop.token_status(&world), 403);
    assert!(matches!(
        world.wait(session.query("select 1")).unwrap(),
        Err(NetError::Lost(_))
    ));
    assert!(open(&world).is_err_and(|e| e.to_string().contains("not permitted to log in")));
    let line = shop.file("jail/cron.d/orders-agent");
    assert!(line.contains("disabled: * * * * * nobody"), "{line}");
    let _ = fs::remove_file(shop.root.join("jail/ticked"));

    // Assess: only reads, and no repair before the baseline.
    jail.incident("run maintenance-page", 5);
    jail.incident("answer services 'the shop is down'", 0);
    jail.incident("resume", 4);
    jail.incident("answer damage 'customers is gone and every total is 0'", 0);
    jail.incident("seal", 0);

    // Contain.
    jail.incident("enter contain", 0);
    jail.incident("run maintenance-page", 0);
    assert_eq!(shop.file("shop/page/index.html"), "orders: back soon\n");

    // Recover, by a plan: beside the damage, and no further without ben.
    jail.incident("enter recover", 0);
    jail.incident("run room-beside", 5);
    jail.incident("plan --freeze", 0);
    jail.incident("run room-beside", 0);
    let said = jail.incident("run restore-beside", 0);
    assert!(said.contains(counts.trim()), "{said}");
    jail.incident("run swap", 5);
    jail.incident("escalate swap --key ../keys/ana", 3);
    jail.incident("run swap", 3);
    let (_, path) = jail.sh("ls ~/.local/share/incident/INC-*/signoffs/*.txt | grep -v refuse");
    let statement = PathBuf::from(path.trim());
    let ana = signed_by(&shop, "ana", &statement);
    jail.incident(&format!("signoff add {ana}"), 5);
    jail.incident("run swap", 3);
    assert_eq!(jail.databases(), "orders orders_restored");
    let ben = signed_by(&shop, "ben", &statement);
    jail.incident(&format!("signoff add {ben}"), 0);
    jail.incident("run swap", 0);
    assert_eq!(jail.databases(), "orders orders_damaged");
    jail.incident("undo maintenance-page --why 'the orders are back'", 0);
    assert_eq!(shop.file("shop/page/index.html"), "orders: open\n");

    // Proved, answered for, closed.
    let said = jail.incident("prove", 0);
    assert!(said.contains(counts.trim()), "{said}");
    jail.incident("close 'restored from the backup of 02:00'", 4);
    jail.incident("answer tree:claude-code 'it ran nowhere but in this jail'", 0);
    jail.incident("close 'restored from the backup of 02:00'", 0);

    // Dead, and dead still when cron has run again.
    wait_for("the next minute of cron", || {
        shop.root.join("jail/ticked").exists()
    });
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(jail.agents(), "");

    let said = jail.incident("compare", 0);
    for told in ["against", "act #", "the same", "What differs came"] {
        assert!(said.contains(told), "{told} is not in\n{said}");
    }

    // A bundle that plain tools prove, and a report.
    let bundle = shop.root.join("bundle.tar");
    jail.incident(&format!("bundle -o {} --key ../keys/ana", bundle.display()), 0);
    plain_tools_agree(&shop, &bundle);
    jail.incident(&format!("verify {}", bundle.display()), 11);
    // 12: in here no systemd answers, and the bundle says that its units were not listed.
    let said = jail.incident(
        &format!("verify {} --signers incident/allowed_signers", bundle.display()),
        12,
    );
    assert!(
        said.contains("unchanged: yes") && said.contains("vouched for: yes, by ana@example.com"),
        "{said}"
    );
    assert!(
        !said.contains("never ended") && !said.contains("cannot read"),
        "{said}"
    );
    jail.incident("report -o ../report.md", 0);
    let report = shop.file("report.md");
    for told in [
        "the agent dropped customers",
        "ben@example.com approved",
        "session opened before refused",
    ] {
        assert!(report.contains(told), "{told} is not in\n{report}");
    }

    // No secret of anybody is in the record, the bundle or the report.
    for secret in shop.secrets() {
        let (code, said) = jail.sh(&format!(
            "grep -rlF -e '{secret}' ~/.local/share/incident ../bundle.tar ../report.md"
        ));
        assert_eq!(code, 1, "a secret is in {said}");
    }
}

/// Runs a program that must end well.
fn runs(command: &mut Command) {
    let out = command.output().unwrap();
    let said = [out.stdout, out.stderr].concat();
    assert!(
        out.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&said)
    );
}

fn plain_tools_agree(shop: &Shop, bundle: &Path) {
    let folder = shop.root.join("unpacked");
    fs::create_dir(&folder).unwrap();
    runs(Command::new("tar").arg("-xf").arg(bundle).arg("-C").arg(&folder));
    let top = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    for list in ["tagmanifest-sha256.txt", "manifest-sha256.txt"] {
        runs(
            Command::new("sha256sum")
                .args(["--strict", "-c", list])
                .current_dir(&top),
        );
    }
    let signers = shop.root.join("shop/incident/allowed_signers");
    let verify = [
        "-Y",
        "verify",
        "-I",
        "ana@example.com",
        "-n",
        "seal@incident-v1",
        "-s",
        "tagmanifest-sha256.txt.sig",
    ];
    runs(
        Command::new("ssh-keygen")
            .args(verify)
            .arg("-f")
            .arg(&signers)
            .stdin(fs::File::open(top.join("tagmanifest-sha256.txt")).unwrap())
            .current_dir(&top),
    );
    runs(
        Command::new("sh")
            .arg("VERIFY.txt")
            .arg(&signers)
            .current_dir(&top),
    );
    let bagit = std::env::var_os("INCIDENT_BAGIT").unwrap_or_else(|| "bagit.py".into());
    match Command::new(&bagit).arg("--version").output() {
        Ok(_) => runs(Command::new(&bagit).arg("--validate").arg(&top)),
        Err(_) => not_tested("the bundle of the orders example with bagit.py (PyPI bagit)"),
    }
}
