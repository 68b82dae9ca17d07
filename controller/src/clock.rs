//! The time.

mod timestamp;

pub(crate) use timestamp::rfc3339;

use sextant_responders::host::Time;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The time on both clocks.
pub(crate) fn time() -> Time {
    Time {
        instant: tokio::time::Instant::now().into_std(),
        unix: now(),
    }
}

/// Waits, on a thread beside the runtime, which has the clock.
pub(crate) fn pause(time: Duration) {
    tokio::runtime::Handle::current().block_on(tokio::time::sleep(time));
}

/// A time in UTC, such as `2026-11-23T16:39:23.000000Z`, in seconds since 1970, fractions left out. `None` if it is not
/// one.
pub(crate) fn parse_utc(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let time = time.split('.').next()?;
    let [hour, minute, second] = numbers(time, ':')?;
    let right = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    right.then(|| {
        let days = days_since_1970(year, month, day);
        days * 86_400 + hour * 3600 + minute * 60 + second
    })
}

/// A time in HTTP (RFC 9110 §5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`, in seconds since 1970.
pub(crate) fn parse_http_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let fields: Vec<&str> = text.split(' ').collect();
    let [_, day, month, year, time, "GMT"] = fields[..] else {
        return None;
    };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    parse_utc(&format!("{year}-{month}-{day}T{time}Z"))
}

/// How many days a month has.
fn days_of(year: i64, month: i64) -> i64 {
    let (next_year, next) = if month == 12 {
        (year + 1, 1)
    } else {
        (year, month + 1)
    };
    days_since_1970(next_year, next, 1) - days_since_1970(year, month, 1)
}

/// Three numbers without signs.
fn numbers(text: &str, between: char) -> Option<[i64; 3]> {
    if !text.chars().all(|c| c.is_ascii_digit() || c == between) {
        return None;
    }
    let numbers = text.split(between).map(|part| part.parse().ok());
    let numbers: Vec<i64> = numbers.collect::<Option<_>>()?;
    numbers.try_into().ok()
}

/// Days from 1970-01-01 to a Gregorian date. Years are counted from March, so that the leap day is the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_through_leap_years() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-28T23:59:59Z", 951_782_399),
            ("2000-02-29T00:00:00.000000Z", 951_782_400),
            ("2026-11-23T16:39:23.999999Z", 1_795_451_963),
            ("2026-12-31T23:59:60Z", 1_798_761_600),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] {
            assert_eq!(parse_utc(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn a_time_in_http_is_read() {
        let read = parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(read, Some(784_111_777));
        for text in [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 UTC",
        ] {
            assert_eq!(parse_http_date(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_in_utc_is_none() {
        for text in [
            "",
            "2026-11-23T16:39:23",
            "2026-11-23 16:39:23Z",
            "2026-13-23T16:39:23Z",
            "2026-02-31T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-11-00T00:00:00Z",
            "9000000000000000000-11-23T16:39:23Z",
            "2026-11-9000000000000000000T16:39:23Z",
            "2026-11-23T9000000000000000000:39:23Z",
            "2026-11-23T24:39:23Z",
            "2026-11-+3T16:39:23Z",
            "2026-11-23T16:39:23+01:00",
            "2026-11-23T16:39Z",
        ] {
            assert_eq!(parse_utc(text), None, "{text}");
        }
    }
}
