//! `Spawn` over the closed table of programs: nothing is ever started.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::{Either, select};

use super::host::Whose;
use super::ports::Port;
use super::programs::{Call, FOLDER, Output, find};
use crate::world::spawn::{Child, Command, End, Ran};
use crate::world::{Clock, Later, Spawn};

/// Time a simulated program needs besides the network.
const STARTUP: Duration = Duration::from_millis(12);

impl Spawn for Port {
    fn run<'a>(
        &'a self,
        command: Command,
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
        started: &'a mut dyn FnMut(Child),
    ) -> Later<'a, Ran> {
        Box::pin(async move {
            let begun = self.clock.now();
            let program = command.argv.first().map_or("", String::as_str);
            let Some((_, run)) = find(program) else {
                let why = format!("there is no program `{program}` in this drill");
                return ran(End::NotStarted(why), 0, 0, 0, false);
            };
            let pid = self.with(|sim| {
                let (own, user) = (sim.machine.identity().pid, sim.scenario.host.responder.clone());
                let now = sim.now;
                sim.machine
                    .start(&user, command.argv.clone(), own.pid, Whose::Responder, &[], now)
            });
            started(Child {
                pid: pid.pid,
                starttime: pid.starttime,
            });
            let work = async {
                self.clock.sleep(STARTUP).await;
                let call = Call {
                    port: self,
                    args: command.argv.get(1..).unwrap_or_default(),
                    stdin: command.stdin.as_ref().map(|s| s.expose()),
                };
                run(call).await
            };
            let limit = self.clock.sleep(command.deadline);
            let output = match select(Box::pin(work), limit).await {
                Either::Left((output, _)) => Some(output),
                Either::Right(_) => None,
            };
            self.with(|sim| sim.machine.end(pid));
            let ms = (self.clock.now().mono_us - begun.mono_us) / 1_000;
            let Some(Output { exit, out: o, err: e }) = output else {
                return ran(End::Deadline, ms, 0, 0, false);
            };
            let cap = usize::try_from(command.cap).unwrap_or(usize::MAX);
            let kept = |text: &str| text.len().min(cap);
            // A writer that fails is the caller's own and tells the caller itself.
            let _ = out.write_all(&o.as_bytes()[..kept(&o)]);
            let _ = err.write_all(&e.as_bytes()[..kept(&e)]);
            ran(End::Exit(exit), ms, o.len(), e.len(), o.len().max(e.len()) > cap)
        })
    }

    fn find(&self, program: &str) -> Option<PathBuf> {
        find(program).map(|(name, _)| Path::new(FOLDER).join(name))
    }
}

fn ran(end: End, ms: u64, out: usize, err: usize, truncated: bool) -> Ran {
    Ran {
        end,
        ms,
        out_bytes: out as u64,
        err_bytes: err as u64,
        truncated,
        escapees: 0,
        left: 0,
    }
}
