//! A place for what collectors see, in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use incident::collectors::{Ctx, Limits, Scene, Sink, Taken, run};
use incident::model::act::{CaptureSpec, Given};
use incident::model::event::ItemStatus;
use incident::model::secret::{Secret, SecretRef};
use incident::world::World;

/// Keeps files in memory.
#[derive(Default)]
pub struct Shelf(RefCell<BTreeMap<String, Vec<u8>>>);

struct File<'s>(&'s Shelf, String);

impl Write for File<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .0
            .borrow_mut()
            .get_mut(&self.1)
            .unwrap()
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Shelf {
    fn open<'s>(&'s self, name: &str) -> io::Result<Box<dyn Write + 's>> {
        let before = self.0.borrow_mut().insert(name.to_owned(), Vec::new());
        assert!(before.is_none(), "{name} was opened twice");
        Ok(Box::new(File(self, name.to_owned())))
    }
}

impl Shelf {
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.0.borrow()[name].clone()).unwrap()
    }
}

pub const LIMITS: Limits = Limits {
    deadline: Duration::from_secs(10),
    no_progress: None,
    total: Duration::from_secs(30),
    cap: 1 << 20,
    files: 100,
};

pub fn take(world: &World, spec: &CaptureSpec, limits: Limits) -> (Vec<Taken>, Shelf) {
    let shelf = Shelf::default();
    let env = || {
        vec![(
            "PATH".to_owned(),
            Secret::new("/usr/local/bin:/usr/bin:/bin".into()),
        )]
    };
    let ctx = Ctx {
        world,
        limits,
        sink: &shelf,
        env: &env,
        started: &|child| assert!(child.pid > 0),
        presses: 0,
        began_us: world.clock.now().mono_us,
    };
    let taken = world.wait(run(ctx, spec, &scene(Path::new("/")))).unwrap();
    for item in &taken {
        let kept = shelf.0.borrow().get(&item.name).map_or(0, Vec::len);
        assert_eq!(item.bytes, kept as u64, "{item:?}");
        let whole = item.status == ItemStatus::Collected;
        assert!(whole || item.why.is_some(), "{item:?}");
    }
    (taken, shelf)
}

pub fn status(taken: &[Taken], name: &str) -> ItemStatus {
    taken
        .iter()
        .find(|t| t.name == name)
        .unwrap_or_else(|| panic!("no {name} in {taken:?}"))
        .status
}

pub fn command(script: &str) -> CaptureSpec {
    CaptureSpec::Command {
        argv: vec!["sh".into(), "-c".into(), script.into()],
        cwd: None,
    }
}

/// A shipped collector with texts.
pub fn of(name: &str, with: &[(&str, &str)]) -> CaptureSpec {
    let text = |(key, value): &(&str, &str)| ((*key).to_owned(), Given::Text((*value).to_owned()));
    CaptureSpec::Collector {
        name: name.to_owned(),
        with: with.iter().map(text).collect(),
        changing: Vec::new(),
    }
}

/// The same with a secret that the world holds.
pub fn with_secret(world: &World, spec: CaptureSpec, name: &str, value: &str) -> CaptureSpec {
    world.secrets.hold(name, Secret::new(value.to_owned()));
    match spec {
        CaptureSpec::Collector {
            name: collector,
            mut with,
            changing,
        } => {
            let from = SecretRef::Held(name.to_owned());
            with.insert(name.to_owned(), Given::Secret(from));
            CaptureSpec::Collector {
                name: collector,
                with,
                changing,
            }
        }
        other => other,
    }
}

/// Now, here.
pub fn scene(here: &Path) -> Scene {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    Scene {
        now_ms: now.as_millis() as i64,
        home: "/nonexistent".to_owned(),
        here: here.display().to_string(),
        os: "linux",
    }
}
