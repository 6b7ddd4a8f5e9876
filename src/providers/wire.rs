//! Sends requests that are signed: each attempt is made anew, for a signature holds its time.
//!
//! Everything sent here may be carried out twice: it sets a state, or it only looks.

use std::time::Duration;

use super::limits::Turn;
use super::{Ctx, scrub::scrub};
use crate::model::fact::Fact;
use crate::model::secret::Secret;
use crate::world::http::{HttpRequest, HttpResponse};
use crate::world::{NetError, World};

/// Limit of one attempt, and of all of them together.
const LIMIT: (Duration, Duration) = (Duration::from_secs(8), Duration::from_secs(15));
/// First and longest back-off between attempts.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(4));
/// Requests under way to one host.
const IN_FLIGHT: usize = 16;

/// Where a request goes and how it waits.
pub(super) struct Way<'a> {
    /// `host:port`, for the limit of requests under way.
    pub host: &'a str,
    /// Whether it waits among cuts or among looks.
    pub turn: Turn,
    /// What must not be found in any text.
    pub secrets: &'a [&'a Secret],
}

/// The answer that stands after the last attempt, or the fact that says why there is none.
///
/// `again` tells answers that say: not now. `make` is handed the wall time in ms and the limit of the attempt.
pub(super) async fn send(
    ctx: Ctx<'_>,
    way: Way<'_>,
    again: &dyn Fn(&HttpResponse) -> bool,
    make: &dyn Fn(i64, Duration) -> HttpRequest,
) -> Result<HttpResponse, Fact> {
    let _permit = ctx.limits.enter(way.host, IN_FLIGHT, way.turn).await;
    let clock = &ctx.world.clock;
    let started = clock.now().mono_us;
    let spent = || Duration::from_micros(clock.now().mono_us.saturating_sub(started));
    for attempt in 1.. {
        let left = LIMIT.1.saturating_sub(spent()).min(LIMIT.0);
        let outcome = ctx.world.http.send(make(clock.now().utc_ms, left)).await;
        let retry = match &outcome {
            Ok(answer) => again(answer),
            Err(NetError::Refused(_) | NetError::Setup(_)) => false,
            Err(_) => true,
        };
        let asked = outcome.as_ref().ok().and_then(retry_after).unwrap_or_default();
        let wait = asked.max(back_off(ctx.world, attempt));
        if retry && spent() + wait < LIMIT.1 {
            clock.sleep(wait).await;
            continue;
        }
        return outcome.map_err(|error| match error {
            NetError::Silent(_) => Fact::Silent {
                after_ms: u64::try_from(spent().as_millis()).unwrap_or(u64::MAX),
            },
            other => Fact::Error {
                status: 0,
                text: scrub(&other.to_string(), way.secrets.iter().copied()),
            },
        });
    }
    // Attempts end long before their number does.
    Err(Fact::Silent { after_ms: u64::MAX })
}

fn retry_after(answer: &HttpResponse) -> Option<Duration> {
    answer
        .header("retry-after")?
        .trim()
        .parse()
        .ok()
        .map(Duration::from_secs)
}

/// Full jitter: anything between nothing and a ceiling that doubles with every attempt.
fn back_off(world: &World, attempt: u32) -> Duration {
    let ceiling = BACK_OFF.0.saturating_mul(1 << attempt.min(10)).min(BACK_OFF.1);
    let mut random = [u8::MAX; 2];
    // Without randomness the longest wait is used.
    let _ = world.entropy.fill(&mut random);
    ceiling.mul_f64(f64::from(u16::from_be_bytes(random)) / f64::from(u16::MAX))
}
