//! Hours of the week, as people write them: `Mon-Fri 09:00-17:00 +01:00`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Minutes of a day.
const DAY: i64 = 24 * 60;
/// Minutes of a week.
pub const WEEK: i64 = 7 * DAY;

/// Hours that come again every week, in a fixed offset from UTC: no daylight saving, so that they mean the same
/// on every machine and in every year.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hours {
    text: String,
    /// Bit 0 is Monday.
    days: u8,
    /// Minutes after midnight; where `until` is not later, the stretch ends on the next day.
    from: i64,
    until: i64,
    /// Minutes east of UTC.
    offset: i64,
}

/// The text names no hours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no hours of the week")]
pub struct NotHours(pub String);

impl Hours {
    /// True at this moment.
    pub fn contain(&self, utc_ms: i64) -> bool {
        // The epoch was a Thursday.
        let minute = utc_ms.div_euclid(60_000) + 3 * DAY;
        self.contain_minute(minute.rem_euclid(WEEK))
    }

    /// True in this minute of a week that begins on Monday 00:00 UTC.
    pub fn contain_minute(&self, minute: i64) -> bool {
        let here = (minute + self.offset).rem_euclid(WEEK);
        let (day, at) = (here / DAY, here % DAY);
        let on = |day: i64| self.days & (1 << day.rem_euclid(7)) != 0;
        if self.from < self.until {
            return on(day) && (self.from..self.until).contains(&at);
        }
        // Over midnight: the day is the one on which the stretch begins.
        on(day) && at >= self.from || on(day - 1) && at < self.until
    }
}

impl FromStr for Hours {
    type Err = NotHours;
    fn from_str(text: &str) -> Result<Self, NotHours> {
        read(text).ok_or_else(|| NotHours(text.to_owned()))
    }
}

fn read(text: &str) -> Option<Hours> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (days, stretch, offset) = match words.as_slice() {
        [stretch, offset] => (0x7f, *stretch, *offset),
        [days, stretch, offset] => (days_of(days)?, *stretch, *offset),
        _ => return None,
    };
    let (from, until) = stretch.split_once('-')?;
    let (from, until) = (clock(from)?, clock(until)?);
    let offset = match offset {
        "Z" | "UTC" => 0,
        _ => {
            let (sign, clock_text) = match offset.split_at_checked(1)? {
                ("+", rest) => (1, rest),
                ("-", rest) => (-1, rest),
                _ => return None,
            };
            sign * clock(clock_text).filter(|m| *m <= 14 * 60)?
        }
    };
    (from < DAY && from != until).then(|| Hours {
        text: words.join(" "),
        days,
        from,
        until,
        offset,
    })
}

/// `Mon-Fri`, `Sat,Sun`, `Fri`, as bits.
fn days_of(text: &str) -> Option<u8> {
    let day = |word: &str| {
        let word = word.to_ascii_lowercase();
        DAYS.iter().position(|d| **d == word)
    };
    let mut bits = 0_u8;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let mut at = first;
        loop {
            bits |= 1 << at;
            if at == last {
                break;
            }
            at = (at + 1) % 7;
        }
    }
    Some(bits)
}

/// `09:30` in minutes; `24:00` is the end of the day.
fn clock(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |part: &str| {
        let plain = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| part.parse::<i64>().ok()).flatten()
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= DAY).then_some(all)
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Hours {
    type Error = NotHours;
    fn try_from(text: String) -> Result<Self, NotHours> {
        text.parse()
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> String {
        hours.text
    }
}

/// A minute of the week in words, as in `Sat 20:00Z`.
pub fn minute_word(minute: i64) -> String {
    let minute = minute.rem_euclid(WEEK);
    let day = usize::try_from(minute / DAY)
        .ok()
        .and_then(|d| DAYS.get(d))
        .unwrap_or(&"");
    let (first, rest) = day.split_at(1.min(day.len()));
    format!(
        "{}{rest} {:02}:{:02}Z",
        first.to_uppercase(),
        minute % DAY / 60,
        minute % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::parse_rfc3339;

    fn at(hours: &str, moment: &str) -> bool {
        let hours: Hours = hours.parse().unwrap();
        hours.contain(parse_rfc3339(moment).unwrap())
    }

    #[test]
    fn hours_count_in_their_own_offset() {
        // 2026-11-20 is a Friday.
        assert!(at("Fri 12:00-24:00 +01:00", "2026-11-20T11:00:00Z"));
        assert!(!at("Fri 12:00-24:00 +01:00", "2026-11-20T10:59:59Z"));
        assert!(at("Fri 12:00-24:00 +01:00", "2026-11-20T22:59:59Z"));
        assert!(!at("Fri 12:00-24:00 +01:00", "2026-11-20T23:00:00Z"));
        assert!(at("Mon-Fri 00:00-24:00 Z", "2026-11-16T00:00:00Z"));
        assert!(!at("Mon-Fri 00:00-24:00 Z", "2026-11-21T00:00:00Z"));
        assert!(at("Sat-Mon 08:00-09:00 -05:00", "2026-11-22T13:30:00Z"));
        assert!(at("09:00-10:00 Z", "2026-11-22T09:59:00Z"));
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        assert!(at("Sun 22:00-06:00 Z", "2026-11-22T23:00:00Z"));
        assert!(at("Sun 22:00-06:00 Z", "2026-11-23T05:59:00Z"));
        assert!(!at("Sun 22:00-06:00 Z", "2026-11-22T05:00:00Z"));
        assert!(!at("Sun 22:00-06:00 Z", "2026-11-23T22:30:00Z"));
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        for text in [
            "",
            "Fri",
            "Fri 9-17 Z",
            "09:00-17:00",
            "Fri 09:00-17:00",
            "Fry 09:00-17:00 Z",
            "Fri 09:00-09:00 Z",
            "Fri 24:00-09:00 Z",
            "Fri 09:61-10:00 Z",
            "Fri 09:00-17:00 CET",
            "Fri 09:00-17:00 +25:00",
            "Fri Sat 09:00-17:00 Z",
            "+9:00-17:00 Z",
        ] {
            assert!(text.parse::<Hours>().is_err(), "{text}");
        }
        let hours: Hours = "mon,wed  22:00-06:00 UTC".parse().unwrap();
        assert_eq!(hours.to_string().parse::<Hours>().unwrap(), hours);
        assert_eq!(minute_word(5 * DAY + 20 * 60), "Sat 20:00Z");
    }
}
