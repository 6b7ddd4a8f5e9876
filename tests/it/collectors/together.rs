//! How many looks go on at once: enough to be quick, few enough to be harmless.

use std::cell::Cell;
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;
use std::task::Poll;

use incident::model::act::CaptureSpec;
use incident::model::event::ItemStatus;
use incident::world::spawn::{Child, Command, End, Ran};
use incident::world::{Later, Spawn, World};

use super::shelf::{LIMITS, take};
use crate::support::network_world;

/// Programs that run for a few turns of whoever waits for them, and are counted meanwhile.
#[derive(Default)]
struct Counted {
    now: Rc<Cell<usize>>,
    most: Rc<Cell<usize>>,
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
            Ran {
                end: End::Exit(0),
                ms: 1,
                out_bytes: 0,
                err_bytes: 0,
                truncated: false,
                escapees: 0,
                left: 0,
            }
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
