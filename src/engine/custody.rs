//! Who looks from here on, where, with what program, and by which clock.

use std::time::Duration;

use super::{Engine, EngineError};
use crate::model::event::{ClockOffset, CustodyBegan, Event};
use crate::model::incident::Recorded;
use crate::model::secret::Secret;
use crate::world::WorldKind;
use crate::world::spawn::{Command, End};

/// This host's clock beside another: how far ahead it is, and how far that may be wrong, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Offset {
    ms: i64,
    give: u64,
}

/// A program that knows how this host's clock stands, its arguments, and who reads what it says.
type Source = (&'static str, &'static [&'static str], fn(&str) -> Option<Offset>);
const SOURCES: [Source; 2] = [("chronyc", &["-n", "tracking"], chrony), ("ntpq", &["-pn"], ntpq)];

impl Engine<'_> {
    /// Puts on record who looks; once in a run, and only where it is not what the record says already.
    ///
    /// A drill has no host and no program of its own.
    pub(super) fn take_custody(&self) -> Result<(), EngineError> {
        if self.world.kind == WorldKind::Drill || self.in_custody.replace(true) {
            return Ok(());
        }
        let identity = self.world.host.identity();
        let program = self.own_hash().unwrap_or_default();
        let mono_us = self.world.clock.now().mono_us;
        let began = CustodyBegan {
            host: identity.host,
            boot: identity.boot,
            user: identity.user,
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            program_sha256: program,
            mono_us,
        };
        let incident = self.incident()?;
        let same = incident.custody.began.last().is_some_and(|last| {
            let now = CustodyBegan {
                mono_us: last.event.mono_us,
                ..began.clone()
            };
            last.event == now
        });
        let boot = began.boot.clone();
        let mut events: Vec<Event> = Vec::new();
        if !same {
            events.push(began.into());
            events.extend(self.local_clock().map(Event::from));
        }
        // What a provider's answer told costs nothing; once for each boot and provider.
        if let Some(seen) = self.world.http.clock_seen() {
            let source = format!("the Date of {}", seen.host);
            let of_boot = incident.custody.began.iter().find(|b| b.event.boot == boot);
            let known = |c: &Recorded<ClockOffset>| {
                c.event.source == source && of_boot.is_some_and(|b| b.seq < c.seq)
            };
            if !incident.custody.clocks.iter().any(known) {
                events.push(
                    ClockOffset {
                        source,
                        offset_ms: seen.ahead_ms,
                        uncertainty_ms: seen.give_ms,
                        mono_us,
                    }
                    .into(),
                );
            }
        }
        if !events.is_empty() {
            self.recorder.borrow_mut().record_all(events)?;
        }
        Ok(())
    }

    /// What the first program says that keeps this host's clock and has another to compare it with.
    fn local_clock(&self) -> Option<ClockOffset> {
        SOURCES.iter().find_map(|(name, args, read)| {
            let program = self.world.spawn.find(name)?.display().to_string();
            let argv = std::iter::once(program).chain(args.iter().map(|a| (*a).to_owned()));
            let command = Command {
                argv: argv.collect(),
                cwd: None,
                env: vec![("LC_ALL".to_owned(), Secret::new("C".to_owned()))],
                stdin: None,
                deadline: Duration::from_secs(1),
                no_progress: None,
                cap: 16 << 10,
            };
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let ran = self
                .world
                .wait(self.world.spawn.run(command, &mut out, &mut err, &mut |_| {}))?;
            if ran.end != End::Exit(0) {
                return None;
            }
            let offset = read(&String::from_utf8_lossy(&out))?;
            Some(ClockOffset {
                source: (*name).to_owned(),
                offset_ms: offset.ms,
                uncertainty_ms: offset.give,
                mono_us: self.world.clock.now().mono_us,
            })
        })
    }
}

/// `chronyc tracking`. Half the way to the root and its dispersion bound what is not known.
fn chrony(text: &str) -> Option<Offset> {
    let field = |name: &str| {
        let line = text.lines().find(|l| l.starts_with(name))?;
        Some(line.split_once(':')?.1.trim())
    };
    if field("Leap status")? == "Not synchronised" {
        return None;
    }
    let seconds = |text: &str| text.split(' ').next()?.parse::<f64>().ok();
    let system = field("System time")?;
    let ahead = match system {
        s if s.contains(" fast of ") => seconds(s)?,
        s if s.contains(" slow of ") => -seconds(s)?,
        _ => return None,
    };
    let give = seconds(field("Root delay")?)? / 2.0 + seconds(field("Root dispersion")?)?;
    offset(ahead * 1000.0, give * 1000.0)
}

/// `ntpq -p`: the peer marked with a star is the one that is followed. It tells how far the peer is ahead, in milliseconds.
fn ntpq(text: &str) -> Option<Offset> {
    let peer = text.lines().find_map(|l| l.strip_prefix('*'))?;
    let mut numbers = peer.split_ascii_whitespace().skip(7);
    let mut next = || numbers.next()?.parse::<f64>().ok();
    let (delay, ahead, jitter) = (next()?, next()?, next()?);
    offset(-ahead, delay / 2.0 + jitter)
}

/// Whole milliseconds; what rounding takes away is not known any more.
fn offset(ahead_ms: f64, give_ms: f64) -> Option<Offset> {
    let fits = |n: f64| n.is_finite() && n.abs() < 1e12;
    if !fits(ahead_ms) || !fits(give_ms) || give_ms < 0.0 {
        return None;
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "both are whole, bounded, and the second is not negative"
    )]
    Some(Offset {
        ms: ahead_ms.round() as i64,
        give: give_ms.ceil() as u64 + 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACKING: &str = "\
Reference ID    : A9FEA97B (169.254.169.123)
Stratum         : 4
Ref time (UTC)  : Sun Nov 22 03:14:07 2026
System time     : 0.021400000 seconds slow of NTP time
Last offset     : -0.000000523 seconds
Root delay      : 0.004000000 seconds
Root dispersion : 0.000400000 seconds
Leap status     : Normal
";

    #[test]
    fn chrony_tells_how_far_and_how_sure() {
        assert_eq!(chrony(TRACKING), Some(Offset { ms: -21, give: 4 }));
        let fast = TRACKING.replace("slow of", "fast of");
        assert_eq!(chrony(&fast), Some(Offset { ms: 21, give: 4 }));
        for bad in [
            TRACKING.replace("Normal", "Not synchronised"),
            TRACKING.replace("0.021400000", "nan"),
            TRACKING.replace("Root delay", "Root"),
            "506 Cannot talk to daemon\n".to_owned(),
        ] {
            assert_eq!(chrony(&bad), None, "{bad}");
        }
    }

    #[test]
    fn ntpq_tells_of_the_peer_that_is_followed() {
        let text = "\
     remote           refid      st t when poll reach   delay   offset  jitter
==============================================================================
+10.0.0.1        10.9.9.9         2 u   12   64  377    9.000  400.000   1.000
*10.0.0.2        10.9.9.9         2 u   33   64  377    8.000   35.600   1.200
";
        assert_eq!(ntpq(text), Some(Offset { ms: -36, give: 7 }));
        assert_eq!(ntpq(&text.replace('*', " ")), None);
    }
}
