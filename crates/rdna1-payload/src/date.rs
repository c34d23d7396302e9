// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calendar dates, as far as changelogs and archives need them.

use std::fmt;
use std::str::FromStr;

/// A day of the Gregorian calendar; its moment is midnight, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

/// Why a text is no date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no date such as 2026-11-24")]
pub struct ParseDateError(String);

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const SECONDS_PER_DAY: u64 = 86_400;

impl Date {
    /// Seconds since 1970-01-01 00:00 UTC.
    pub fn epoch(self) -> u64 {
        self.days() * SECONDS_PER_DAY
    }

    /// The day on which a moment falls, in UTC.
    pub fn from_epoch(seconds: u64) -> Self {
        let mut days = seconds / SECONDS_PER_DAY;
        let (mut year, mut month) = (1970_u16, 1_u8);
        while days >= days_in_year(year) {
            days -= days_in_year(year);
            year += 1;
        }
        while days >= u64::from(days_in_month(year, month)) {
            days -= u64::from(days_in_month(year, month));
            month += 1;
        }
        // Less than a month's days by now.
        Self { year, month, day: u8::try_from(days).unwrap_or_default() + 1 }
    }

    /// Days since 1970-01-01.
    fn days(self) -> u64 {
        let years: u64 = (1970..self.year).map(days_in_year).sum();
        let months: u64 = (1..self.month).map(|month| u64::from(days_in_month(self.year, month))).sum();
        years + months + u64::from(self.day) - 1
    }

    /// As e-mail and Debian's changelogs write it: `Tue, 24 Nov 2026 00:00:00 +0000`.
    pub fn rfc2822(self) -> String {
        let weekday = WEEKDAYS[(self.days() % 7) as usize];
        let month = MONTHS[usize::from(self.month) - 1];
        format!("{weekday}, {:02} {month} {:04} 00:00:00 +0000", self.day, self.year)
    }
}

fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_year(year: u16) -> u64 {
    365 + u64::from(is_leap(year))
}

fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        2 => 28 + u8::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl FromStr for Date {
    type Err = ParseDateError;

    fn from_str(text: &str) -> Result<Self, ParseDateError> {
        let parsed = || {
            let mut parts = text.split('-');
            let mut next = |len: usize| {
                let part = parts.next()?;
                let plain = part.len() == len && part.bytes().all(|b| b.is_ascii_digit());
                plain.then(|| part.parse::<u16>().ok()).flatten()
            };
            let (year, month, day) = (next(4)?, next(2)?, next(2)?);
            let (month, day) = (u8::try_from(month).ok()?, u8::try_from(day).ok()?);
            let real = year >= 1970 && (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
            (real && parts.next().is_none()).then_some(Self { year, month, day })
        };
        parsed().ok_or_else(|| ParseDateError(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_the_moments_and_weekdays_of_the_calendar() {
        // Checked with `date -u -d DATE '+%s %a'`.
        for (text, epoch, rfc) in [
            ("1970-01-01", 0, "Thu, 01 Jan 1970 00:00:00 +0000"),
            ("2000-02-29", 951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
            ("2026-11-24", 1_795_478_400, "Tue, 24 Nov 2026 00:00:00 +0000"),
            ("2100-03-01", 4_107_542_400, "Mon, 01 Mar 2100 00:00:00 +0000"),
        ] {
            let date: Date = text.parse().expect(text);
            assert_eq!((date.epoch(), date.rfc2822().as_str(), date.to_string().as_str()), (epoch, rfc, text));
            assert_eq!(Date::from_epoch(epoch + SECONDS_PER_DAY - 1), date);
        }
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in
            ["", "2026-11-31", "2023-02-29", "2026-13-01", "2026-00-01", "26-11-24", "2026-11-24x", "1969-12-31"]
        {
            assert!(text.parse::<Date>().is_err(), "{text:?} was accepted");
        }
    }
}
