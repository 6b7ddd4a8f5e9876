//! Moments and spans. Wall time is for people, monotonic time is for arithmetic.

use chrono::{DateTime, SecondsFormat, TimeZone, Utc};

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Wall time, milliseconds since 1970-01-01T00:00:00Z.
    pub utc_ms: i64,
    /// Monotonic time of this boot, microseconds. Never goes back within one boot.
    pub mono_us: u64,
}

impl Moment {
    /// RFC 3339 in UTC with milliseconds, as in `2026-11-22T03:14:07.120Z`.
    pub fn rfc3339(self) -> String {
        rfc3339(self.utc_ms)
    }
}

/// RFC 3339 in UTC with milliseconds. Out-of-range values give the epoch.
pub fn rfc3339(utc_ms: i64) -> String {
    let at: DateTime<Utc> = Utc
        .timestamp_millis_opt(utc_ms)
        .single()
        .unwrap_or(DateTime::UNIX_EPOCH);
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Milliseconds since the epoch of an RFC 3339 text, or `None` where it is none.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|at| at.timestamp_millis())
}

/// A span in words a person would say: `340 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`.
pub fn span(ms: u64) -> String {
    let s = ms / 1000;
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{}.{} s", s, (ms % 1000) / 100),
        10_000..60_000 => format!("{s} s"),
        60_000..3_600_000 => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", s / 3600, (s % 3600) / 60),
    }
}

/// Reads `30m`, `90s`, `2h`, `250ms`, `1d` into milliseconds; `None` for anything else.
pub fn parse_span(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(split);
    let n: u64 = digits.parse().ok()?;
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    n.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_like_speech() {
        assert_eq!(span(340), "340 ms");
        assert_eq!(span(4_230), "4.2 s");
        assert_eq!(span(200_000), "3 min 20 s");
        assert_eq!(parse_span("30m"), Some(1_800_000));
        assert_eq!(parse_span("30"), None);
        assert_eq!(parse_span("m"), None);
        assert_eq!(parse_span("99999999999999999999d"), None);
    }

    #[test]
    fn moments_go_there_and_back() {
        let text = rfc3339(1_795_312_447_120);
        assert_eq!(parse_rfc3339(&text), Some(1_795_312_447_120));
    }
}
