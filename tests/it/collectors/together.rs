//! How many looks go on at once: enough to be quick, few enough to be harmless.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use incident::collectors::{Ctx, Limits, plan, run};
use incident::model::act::CaptureSpec;
use incident::model::event::ItemStatus;
use incident::model::time::Moment;
use incident::world::clock::Clock;
use incident::world::files::{Files, Stat};
use incident::world::spawn::{Child, Command, End, Ran};
use incident::world::{Later, Spawn, World};

use super::shelf::{LIMITS, Shelf, command, of, scene, status, take};
use crate::support::network_world;

/// Programs that run for a few turns of whoever waits for them, and are counted meanwhile.
#[derive(Default)]
struct Counted {
    now: Rc<Cell<usize>>,
    most: Rc<Cell<usize>>,
    over: Rc<RefCell<Vec<&'static str>>>,
}

fn ended(out_bytes: u64) -> Ran {
    Ran {
        end: End::Exit(0),
        ms: 1,
        out_bytes,
        err_bytes: 0,
        truncated: false,
        escapees: 0,
        left: 0,
    }
}

impl Spawn for Counted {
    fn run<'a>(
        &'a self,
        _: Command,
        _: &'a mut dyn Write,
        _: &'a mut dyn Write,
        started: &'a mut dyn FnMut(Child),
    ) -> Later<'a, Ran> {
        Box::pin(async move {
            started(Child { pid: 2, starttime: 1 });
            self.now.set(self.now.get() + 1);
            self.most.set(self.most.get().max(self.now.get()));
            let mut turns = 0;
            std::future::poll_fn(|context| {
                turns += 1;
                context.waker().wake_by_ref();
                if turns > 20 {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
            self.now.set(self.now.get() - 1);
            self.over.borrow_mut().push("the program");
            ended(0)
        })
    }

    fn find(&self, program: &str) -> Option<PathBuf> {
        Some(PathBuf::from("/usr/bin").join(program))
    }
}

#[test]
fn four_looks_go_on_at_once_and_no_more() {
    let counted = Counted::default();
    let most = Rc::clone(&counted.most);
    let world = World {
        spawn: Box::new(counted),
        ..network_world()
    };
    let repo = tempfile::tempdir().unwrap();
    let spec = CaptureSpec::Git {
        repo: repo.path().to_owned(),
    };
    let (taken, _) = take(&world, &spec, LIMITS);
    assert!(
        taken.len() > 8 && taken.iter().all(|t| t.status == ItemStatus::Collected),
        "{taken:?}"
    );
    assert_eq!(most.get(), 4);
}

/// A clock on which each program takes a second, and the limits each was given.
#[derive(Default)]
struct Seconds {
    us: Rc<Cell<u64>>,
    ran: Rc<RefCell<Vec<(u64, String, Duration)>>>,
}

impl Clock for Seconds {
    fn now(&self) -> Moment {
        Moment {
            mono_us: self.us.get(),
            utc_ms: 0,
        }
    }

    fn sleep(&self, _: Duration) -> Later<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

impl Spawn for Seconds {
    fn run<'a>(
        &'a self,
        command: Command,
        out: &'a mut dyn Write,
        _: &'a mut dyn Write,
        _: &'a mut dyn FnMut(Child),
    ) -> Later<'a, Ran> {
        Box::pin(async move {
            let line = command.argv.join(" ");
            let begun = self.us.get() / 1_000_000;
            self.us.set(self.us.get() + 1_000_000);
            let list: &[u8] = match line.contains(" --quiet") {
                true => b"aaa\nbbb\nccc\nddd\n",
                false => b"",
            };
            out.write_all(list).unwrap();
            self.ran.borrow_mut().push((begun, line, command.deadline));
            ended(list.len() as u64)
        })
    }

    fn find(&self, program: &str) -> Option<PathBuf> {
        Some(PathBuf::from("/usr/bin").join(program))
    }
}

#[test]
fn a_look_begins_with_what_vanishes_first_and_is_over_with_its_time() {
    let spawn = Seconds::default();
    let clock = Seconds {
        us: Rc::clone(&spawn.us),
        ..Seconds::default()
    };
    let ran = Rc::clone(&spawn.ran);
    let world = World {
        spawn: Box::new(spawn),
        clock: Box::new(clock),
        ..network_world()
    };
    let spec = of("containers", &[]);
    let planned = plan(&spec, &scene(Path::new("/"))).unwrap();
    let limits = Limits {
        deadline: Duration::from_secs(30),
        total: Duration::from_secs(20),
        ..LIMITS
    };
    let (taken, _) = take(&world, &spec, limits);
    let ran = ran.borrow();
    let first = |words: &str| ran.iter().position(|(_, line, _)| line.starts_with(words));
    // What is asked one by one begins with its list; the rest in the order in which the table names it.
    let begun: Vec<usize> = planned
        .iter()
        .filter_map(|item| {
            first(
                item.touches
                    .trim_start_matches("each of `")
                    .split('`')
                    .next()
                    .unwrap(),
            )
        })
        .collect();
    assert!(begun.len() > 5 && begun.is_sorted(), "{ran:#?}");
    assert_eq!(ran[0].1, planned[0].touches);
    assert!(first("docker top") < first("docker logs") && first("docker top").is_some());
    // Lists in it have no time of their own, and what begins late has what is left and ten seconds.
    assert!(ran.iter().all(|(begun, ..)| *begun < 20), "{ran:#?}");
    let shortened = ran
        .iter()
        .filter(|(_, _, deadline)| *deadline < limits.deadline)
        .count();
    for (begun, line, deadline) in ran.iter() {
        assert!(
            *deadline <= Duration::from_secs(30 - begun),
            "{line}: begun at {begun}, {deadline:?}"
        );
    }
    assert!(shortened > 10, "{ran:#?}");
    let skipped = taken.iter().filter(|t| t.status == ItemStatus::Skipped);
    assert!(skipped.count() > 0, "{taken:#?}");
}

/// A long file: a hundred pieces, and nothing to wait for.
struct Long(Rc<RefCell<Vec<&'static str>>>, usize);

impl Read for Long {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 += 1;
        if self.1 > 100 {
            self.0.borrow_mut().push("the file");
            return Ok(0);
        }
        buffer[0] = b'x';
        Ok(1)
    }
}

struct OneFile(Rc<RefCell<Vec<&'static str>>>);

impl Files for OneFile {
    fn open(&self, _: &Path) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(Long(Rc::clone(&self.0), 0)))
    }
    fn stat(&self, _: &Path) -> io::Result<Stat> {
        Ok(Stat {
            len: 100,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime_ms: 0,
            ctime_ms: 0,
            is_dir: false,
            is_file: true,
            is_link: false,
        })
    }
    fn read(&self, _: &Path, _: u64) -> io::Result<Vec<u8>> {
        unreachable!()
    }
    fn list(&self, _: &Path) -> io::Result<Vec<PathBuf>> {
        unreachable!()
    }
    fn replace(&self, _: &Path, _: &[u8], _: u32) -> io::Result<()> {
        unreachable!()
    }
    fn create(&self, _: &Path, _: u32) -> io::Result<()> {
        unreachable!()
    }
    fn remove(&self, _: &Path) -> io::Result<()> {
        unreachable!()
    }
}

#[test]
fn a_long_file_holds_up_no_other_look() {
    let over = Rc::new(RefCell::new(Vec::new()));
    let counted = Counted {
        over: Rc::clone(&over),
        ..Counted::default()
    };
    let world = World {
        spawn: Box::new(counted),
        files: Box::new(OneFile(Rc::clone(&over))),
        ..network_world()
    };
    let shelf = Shelf::default();
    let ctx = Ctx {
        world: &world,
        limits: LIMITS,
        sink: &shelf,
        env: &Vec::new,
        started: &|_| {},
        presses: 0,
        began_us: world.clock.now().mono_us,
    };
    let (file, program, scene) = (
        CaptureSpec::File {
            path: "/long.log".into(),
        },
        command("exit"),
        scene(Path::new("/")),
    );
    let both = futures_util::future::join(run(ctx, &file, &scene), run(ctx, &program, &scene));
    let (file, program) = world.wait(both).unwrap();
    assert_eq!(status(&file, "long.log"), ItemStatus::Collected);
    assert_eq!(status(&program, "stdout"), ItemStatus::Collected);
    assert_eq!(*over.borrow(), ["the program", "the file"]);
}
