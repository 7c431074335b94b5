//! When runs may start: the deployment's windows and freezes.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan, Zoned};

use crate::input::Input;
use crate::model::Operation;
use crate::model::error::Error;

/// How far ahead the next window is looked for.
const DAYS_AHEAD: i32 = 400;

/// When runs may start. Without windows and freezes that is always.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
    windows: Vec<Window>,
    freezes: Vec<Freeze>,
    /// The windows as the deployment words them.
    worded: String,
}

/// A span of hours on some days of the week, local time; it ends on the next day where it ends
/// before it begins.
#[derive(Clone, Debug)]
struct Window {
    days: Vec<Weekday>,
    from: Time,
    to: Time,
}

/// Days on which nothing starts, both included.
#[derive(Clone, Copy, Debug)]
struct Freeze {
    from: Date,
    to: Date,
}

/// A time in which runs may start.
struct Open {
    /// When it ends, if it does.
    until: Option<Zoned>,
}

/// What the calendar says about a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permit {
    /// When the window closes in which the run starts; nothing where there is no end to it.
    pub until: Option<Timestamp>,
    /// The same in local time, for people.
    pub closes: String,
    /// Why the run may start all the same, where it starts outside.
    pub overridden: Option<String>,
}

impl Default for Calendar {
    fn default() -> Self {
        Self { zone: TimeZone::UTC, windows: Vec::new(), freezes: Vec::new(), worded: String::new() }
    }
}

impl Calendar {
    /// Reads windows such as `Mon-Thu 09:00-16:00, Fri 09:00-12:00`, the name of their time zone, and
    /// freezes such as `2026-12-18..2027-01-04, 2026-11-27`; either may be empty.
    ///
    /// # Errors
    /// A sentence that names the parameter, what was not understood and what is.
    pub fn parse(windows: &str, zone: &str, freezes: &str) -> Result<Self, String> {
        let entries = |text: &'_ str| -> Vec<String> {
            text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
        };
        let window = |entry: &String| {
            Window::parse(entry).ok_or_else(|| {
                format!("Windows: `{entry}` is not days and hours such as Mon-Thu 09:00-16:00")
            })
        };
        let freeze = |entry: &String| {
            Freeze::parse(entry).ok_or_else(|| {
                format!("Freezes: `{entry}` is not a date such as 2026-11-27, or two such as 2026-12-18..2027-01-04")
            })
        };
        let zone = if zone.is_empty() { "UTC" } else { zone };
        Ok(Self {
            zone: TimeZone::get(zone).map_err(|_| {
                format!("WindowTimeZone: `{zone}` is not in the time zone database; a name is Europe/Berlin")
            })?,
            windows: entries(windows).iter().map(window).collect::<Result<_, _>>()?,
            freezes: entries(freezes).iter().map(freeze).collect::<Result<_, _>>()?,
            worded: windows.trim().to_owned(),
        })
    }

    /// Whether a run may start at `now`. A restore and a failback always may: they end an emergency.
    ///
    /// # Errors
    /// `PlanRejected`, with the next time that is allowed.
    pub fn permit(&self, input: &Input, now: Timestamp) -> Result<Permit, Error> {
        if matches!(input.operation, Operation::Restore | Operation::Failback) {
            return Ok(Permit::default());
        }
        let now = now.to_zoned(self.zone.clone());
        let closed = match (self.freeze(now.date()), self.open(&now)) {
            (None, Some(Open { until })) => {
                let closes = until.as_ref().map(|until| self.shown(until)).unwrap_or_default();
                return Ok(Permit { until: until.map(|until| until.timestamp()), closes, overridden: None });
            }
            (Some(freeze), _) => format!("{} is frozen ({freeze})", now.date()),
            (None, None) => format!("it is {}, outside the windows {}", self.shown(&now), self.worded),
        };
        if let Some(reason) = &input.r#override {
            return Ok(Permit { overridden: Some(format!("{reason} ({closed})")), ..Permit::default() });
        }
        let next = self.next(&now).map_or_else(
            || format!("no window opens within {DAYS_AHEAD} days"),
            |next| format!("the next window opens {}", self.shown(&next)),
        );
        Err(Error::rejected(format!(
            "{}: {closed}; {next}. Start then, or give a reason with \"override\": \"...\". Nothing was touched.",
            input.app
        )))
    }

    /// The window that is open at `now`, if one is.
    fn open(&self, now: &Zoned) -> Option<Open> {
        let frozen = self.freezes.iter().filter_map(|freeze| self.at(freeze.from, Time::midnight()));
        let frozen = frozen.filter(|from| from > now).min();
        if self.windows.is_empty() {
            return Some(Open { until: frozen });
        }
        let yesterday = now.date().checked_sub(1.day()).unwrap_or(now.date());
        let spans = self.spans(yesterday).chain(self.spans(now.date()));
        let end = spans.filter(|(from, to)| from <= now && now < to).map(|(_, to)| to).max()?;
        Some(Open { until: frozen.into_iter().chain([end]).min() })
    }

    /// When a run may start next.
    fn next(&self, now: &Zoned) -> Option<Zoned> {
        let days = (0..=DAYS_AHEAD).filter_map(|ahead| now.date().checked_add(ahead.days()).ok());
        let mut days = days.filter(|day| self.freeze(*day).is_none());
        days.find_map(|day| {
            let starts: Vec<Zoned> = match self.windows.as_slice() {
                [] => self.at(day, Time::midnight()).into_iter().collect(),
                _ => self.spans(day).map(|(from, _)| from).collect(),
            };
            starts.into_iter().filter(|from| from > now).min()
        })
    }

    /// The windows that begin on a day.
    fn spans(&self, day: Date) -> impl Iterator<Item = (Zoned, Zoned)> {
        let of_day = self.windows.iter().filter(move |window| window.days.contains(&day.weekday()));
        of_day.filter_map(move |window| {
            let last = if window.to <= window.from { day.checked_add(1.day()).ok()? } else { day };
            let ((from, _), (_, to)) = (self.clocks(day, window.from)?, self.clocks(last, window.to)?);
            // One that lies in an hour which the clocks leave out never opens.
            (from < to).then_some((from, to))
        })
    }

    fn at(&self, day: Date, time: Time) -> Option<Zoned> {
        self.clocks(day, time).map(|(first, _)| first)
    }

    /// When the clocks show this for the first and for the last time: twice where they are put back, and where
    /// they leave it out at the moment at which they are put forward.
    fn clocks(&self, day: Date, time: Time) -> Option<(Zoned, Zoned)> {
        let shown = self.zone.to_ambiguous_zoned(day.to_datetime(time));
        let gap = matches!(shown.offset(), AmbiguousOffset::Gap { .. });
        let first = shown.clone().earlier().ok()?;
        if gap {
            let change = self.zone.following(first.timestamp()).next()?;
            let change = change.timestamp().to_zoned(self.zone.clone());
            return Some((change.clone(), change));
        }
        Some((first, shown.later().ok()?))
    }

    fn freeze(&self, day: Date) -> Option<String> {
        let freeze = self.freezes.iter().find(|freeze| (freeze.from..=freeze.to).contains(&day))?;
        Some(format!("{} to {}", freeze.from, freeze.to))
    }

    fn shown(&self, at: &Zoned) -> String {
        let zone = self.zone.iana_name().unwrap_or("UTC");
        format!("{} {zone}", at.strftime("%a %Y-%m-%d %H:%M"))
    }
}

impl Window {
    fn parse(entry: &str) -> Option<Self> {
        let (days, hours) = entry.split_once(' ')?;
        let (from, to) = hours.trim().split_once('-')?;
        let time = |text: &str| Time::strptime("%H:%M", text.trim()).ok();
        let (first, last) = days.split_once('-').unwrap_or((days, days));
        let (first, last) = (weekday(first)?, weekday(last)?);
        let mut days = vec![first];
        while days.last() != Some(&last) {
            days.push(days.last()?.next());
        }
        let (from, to) = (time(from)?, time(to)?);
        (from != to).then_some(Self { days, from, to })
    }
}

impl Freeze {
    fn parse(entry: &str) -> Option<Self> {
        let (from, to) = entry.split_once("..").unwrap_or((entry, entry));
        let (from, to) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
        (from <= to).then_some(Self { from, to })
    }
}

fn weekday(name: &str) -> Option<Weekday> {
    Some(match name {
        "Mon" => Weekday::Monday,
        "Tue" => Weekday::Tuesday,
        "Wed" => Weekday::Wednesday,
        "Thu" => Weekday::Thursday,
        "Fri" => Weekday::Friday,
        "Sat" => Weekday::Saturday,
        "Sun" => Weekday::Sunday,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn calendar(windows: &str, freezes: &str) -> Calendar {
        Calendar::parse(windows, "Europe/Berlin", freezes).unwrap()
    }

    fn asked(calendar: &Calendar, input: serde_json::Value, now: &str) -> Result<Permit, String> {
        let mut input = input;
        input["app"] = "web".into();
        let input = Input::parse(&input).unwrap();
        calendar.permit(&input, now.parse().unwrap()).map_err(|error| {
            assert_eq!(error.kind.name(), "PlanRejected");
            error.message
        })
    }

    #[test]
    fn without_windows_and_freezes_a_run_may_always_start() {
        assert_eq!(asked(&Calendar::default(), json!({}), "2026-11-22T03:00:00Z"), Ok(Permit::default()));
    }

    #[test]
    fn a_run_starts_within_a_window_only() {
        let week = calendar("Mon-Thu 09:00-16:00, Fri 09:00-12:00", "");
        // Berlin is an hour ahead of UTC in November, two in July.
        for (now, closes) in [
            ("2026-11-23T08:00:00Z", "2026-11-23T15:00:00Z"),
            ("2026-11-23T14:59:59Z", "2026-11-23T15:00:00Z"),
            ("2026-11-27T08:30:00Z", "2026-11-27T11:00:00Z"),
            ("2026-07-20T07:00:00Z", "2026-07-20T14:00:00Z"),
        ] {
            let permit = asked(&week, json!({}), now).unwrap();
            assert_eq!(permit.until, Some(closes.parse().unwrap()), "{now}");
        }
        for (now, opens) in [
            ("2026-11-23T07:59:59Z", "Mon 2026-11-23 09:00 Europe/Berlin"),
            ("2026-11-23T15:00:00Z", "Tue 2026-11-24 09:00 Europe/Berlin"),
            ("2026-11-27T11:00:00Z", "Mon 2026-11-30 09:00 Europe/Berlin"),
            ("2026-11-29T12:00:00Z", "Mon 2026-11-30 09:00 Europe/Berlin"),
        ] {
            let refused = asked(&week, json!({}), now).unwrap_err();
            assert!(refused.contains(&format!("the next window opens {opens}. ")), "{now}: {refused}");
            assert!(refused.contains("Nothing was touched"), "{refused}");
        }
    }

    #[test]
    fn a_window_may_last_over_midnight_and_over_the_week_end() {
        let nights = calendar("Fri-Mon 22:00-02:00", "");
        for now in ["2026-11-27T21:30:00Z", "2026-11-28T00:30:00Z", "2026-12-01T00:59:00Z"] {
            assert!(asked(&nights, json!({}), now).is_ok(), "{now}");
        }
        for now in ["2026-11-27T20:59:00Z", "2026-11-28T01:00:00Z", "2026-12-01T21:30:00Z"] {
            assert!(asked(&nights, json!({}), now).is_err(), "{now}");
        }
    }

    /// In Berlin the clocks go from 02:00 to 03:00 on 2027-03-28, and from 03:00 to 02:00 on 2026-10-25.
    #[test]
    fn windows_follow_the_clocks_when_these_are_changed() {
        let opens = |windows: &str, now: &str| asked(&calendar(windows, ""), json!({}), now);
        // Half past two does not come that night.
        let refused = opens("Sun 02:15-02:45", "2027-03-28T00:30:00Z").unwrap_err();
        assert!(refused.contains("the next window opens Sun 2027-04-04 02:15 Europe/Berlin"), "{refused}");
        for now in ["2027-03-28T00:59:59Z", "2027-03-28T01:00:00Z", "2027-03-28T01:20:00Z"] {
            assert!(opens("Sun 02:15-02:45", now).is_err(), "{now}");
        }
        // What reaches into the gap ends or begins with it.
        let until = opens("Sun 01:00-02:30", "2027-03-28T00:30:00Z").unwrap().until;
        assert_eq!(until, "2027-03-28T01:00:00Z".parse().ok());
        assert!(opens("Sun 02:30-04:00", "2027-03-28T01:00:00Z").is_ok());
        let refused = opens("Sun 02:30-04:00", "2027-03-28T00:59:00Z").unwrap_err();
        assert!(refused.contains("opens Sun 2027-03-28 03:00 Europe/Berlin"), "{refused}");

        // The hour that comes twice is inside both times.
        for now in ["2026-10-25T00:15:00Z", "2026-10-25T01:15:00Z"] {
            for windows in ["Sun 01:00-02:30", "Sun 02:00-03:00", "Sun 01:00-04:00"] {
                assert!(opens(windows, now).is_ok(), "{windows} {now}");
            }
        }
        let until = opens("Sun 01:00-02:30", "2026-10-25T00:15:00Z").unwrap().until;
        assert_eq!(until, "2026-10-25T01:30:00Z".parse().ok());
        assert!(opens("Sun 01:00-02:30", "2026-10-25T01:30:00Z").is_err());
    }

    #[test]
    fn nothing_starts_on_frozen_days() {
        let days = calendar("", "2026-12-18..2027-01-04, 2026-11-27");
        assert_eq!(
            asked(&days, json!({}), "2026-11-26T12:00:00Z").unwrap().until,
            "2026-11-26T23:00:00Z".parse().ok()
        );
        let refused = asked(&days, json!({}), "2026-12-18T12:00:00Z").unwrap_err();
        assert!(refused.contains("2026-12-18 is frozen (2026-12-18 to 2027-01-04)"), "{refused}");
        assert!(refused.contains("the next window opens Tue 2027-01-05 00:00 Europe/Berlin"), "{refused}");
        // A freeze ends a window early.
        let both = calendar("Mon-Sun 08:00-20:00", "2026-11-27");
        assert!(asked(&both, json!({}), "2026-11-27T12:00:00Z").is_err());
        let never = calendar("Mon 09:00-10:00", "2026-01-01..2029-01-01");
        assert!(
            asked(&never, json!({}), "2026-11-27T12:00:00Z").unwrap_err().contains("no window opens within")
        );
    }

    #[test]
    fn an_emergency_needs_no_window_and_others_a_reason() {
        let closed = calendar("Mon 09:00-10:00", "");
        let now = "2026-11-24T12:00:00Z";
        for operation in ["restore", "failback"] {
            assert_eq!(asked(&closed, json!({ "operation": operation }), now), Ok(Permit::default()));
        }
        for operation in ["drain", "shift", "balance"] {
            assert!(asked(&closed, json!({ "operation": operation }), now).is_err());
        }
        let permit = asked(&closed, json!({ "override": "security fix" }), now).unwrap();
        let reason = permit.overridden.unwrap();
        assert!(reason.starts_with("security fix (it is Tue 2026-11-24 13:00"), "{reason}");
        // A reason that was not needed is none.
        assert_eq!(
            asked(&closed, json!({ "override": "x" }), "2026-11-23T08:30:00Z").unwrap().overridden,
            None
        );
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (windows, zone, freezes, parameter) in [
            ("Mon", "UTC", "", "Windows: `Mon`"),
            ("Mon 9-17", "UTC", "", "Windows"),
            ("Montag 09:00-17:00", "UTC", "", "Windows"),
            ("Mon 09:00-09:00", "UTC", "", "Windows"),
            ("", "Mars/Olympus", "", "WindowTimeZone: `Mars/Olympus`"),
            ("", "UTC", "tomorrow", "Freezes: `tomorrow`"),
            ("", "UTC", "2026-12-18..2026-12-01", "Freezes"),
        ] {
            let error = Calendar::parse(windows, zone, freezes).unwrap_err();
            assert!(error.starts_with(parameter), "{error}");
        }
    }
}
