//! Times and spans in questions: `10:00`, `yesterday`, `2 days`, `half an hour ago`.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::pattern::number;
use super::tokens::QuestionWord;

/// A time as a question names it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Moment {
    Ago(SignedDuration),
    /// The last time that the clock showed this.
    Clock(Time),
    /// The start of the day so many days ago.
    Day(i64),
    /// The start of a day.
    Date(Date),
    /// The start of today, of which [`Moment::Whole`] ends at noon.
    Morning,
    At(DateTime),
    Exactly(Timestamp),
    /// All of a day or morning, not what came after it.
    Whole(Box<Moment>),
}

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: Timestamp,
    /// None: until now.
    until: Option<Timestamp>,
}

impl Window {
    pub(super) fn has(&self, time: Timestamp) -> bool {
        time >= self.from && self.until.is_none_or(|until| time < until)
    }
}

impl Moment {
    /// A time that is no start: `yesterday` is all of that day, `10:00` is from then on.
    pub(super) fn whole(self) -> Self {
        match self {
            Self::Day(1..) | Self::Date(_) | Self::Morning => Self::Whole(Box::new(self)),
            other => other,
        }
    }

    /// `after yesterday` begins with today.
    pub(super) fn after(self) -> Self {
        match self {
            Self::Day(days) => Self::Day(days - 1),
            Self::Date(date) => Self::Date(date.checked_add(1.day()).unwrap_or(date)),
            other => other,
        }
    }

    /// From this moment until now, or all of a day; None if it lies ahead.
    pub(super) fn window(&self, now: Timestamp, zone: &TimeZone) -> Option<Window> {
        let from = self.before(now, zone)?;
        let Self::Whole(part) = self else {
            return Some(Window { from, until: None });
        };
        let start = from.to_zoned(zone.clone()).date();
        let end = match **part {
            Self::Morning => start.at(12, 0, 0, 0),
            _ => start
                .checked_add(1.day())
                .ok()?
                .to_datetime(Time::midnight()),
        };
        let end = end.to_zoned(zone.clone()).ok()?.timestamp();
        Some(Window {
            from,
            until: Some(end),
        })
    }

    /// The moment before `now`; None if it lies after it.
    pub(super) fn before(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let here = now.to_zoned(zone.clone());
        let at = |civil: DateTime| {
            civil
                .to_zoned(zone.clone())
                .ok()
                .map(|zoned| zoned.timestamp())
        };
        let moment = match self {
            Self::Whole(part) => part.before(now, zone),
            Self::Date(date) => at(date.to_datetime(Time::midnight())),
            Self::Morning => at(here.date().to_datetime(Time::midnight())),
            Self::Ago(span) => now.checked_sub(*span).ok(),
            Self::Clock(time) => {
                let today = at(here.date().to_datetime(*time))?;
                match today <= now {
                    true => Some(today),
                    false => at(here.date().checked_sub(1.day()).ok()?.to_datetime(*time)),
                }
            }
            Self::Day(days) => at(here
                .date()
                .checked_sub(days.days())
                .ok()?
                .to_datetime(Time::midnight())),
            Self::At(civil) => at(*civil),
            Self::Exactly(moment) => Some(*moment),
        };
        moment.filter(|moment| *moment <= now)
    }
}

/// The seconds of a unit of time.
fn unit(word: &str) -> Option<i64> {
    Some(match word {
        "s" | "sec" | "secs" | "second" | "seconds" => 1,
        "m" | "min" | "mins" | "minute" | "minutes" => 60,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600,
        "d" | "day" | "days" => 86_400,
        "w" | "week" | "weeks" => 604_800,
        _ => return None,
    })
}

/// The spans at the start of the tokens, and how many tokens each takes.
pub(super) fn span(tokens: &[QuestionWord]) -> Vec<(usize, SignedDuration)> {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.lower.as_str());
    let mut found = vec![];
    let mut add = |count: usize, seconds: Option<i64>| {
        found.extend(seconds.map(|seconds| (count, SignedDuration::from_secs(seconds))));
    };
    add(1, compact(word(0)));
    add(1, unit(word(0)).filter(|_| word(0).len() > 2));
    let count = match word(0) {
        "a" | "an" => Some(1),
        word => number(word),
    };
    let seconds = count.and_then(|count| count.checked_mul(unit(word(1))?));
    add(2, seconds.filter(|seconds| *seconds >= 0));
    if word(0) == "half" && matches!(word(1), "a" | "an") {
        add(3, unit(word(2)).map(|seconds| seconds / 2));
    }
    if word(0) == "couple" && word(1) == "of" {
        add(3, unit(word(2)).map(|seconds| seconds * 2));
    }
    found
}

/// `90m`, `1h30m`.
fn compact(word: &str) -> Option<i64> {
    let mut total = 0_i64;
    let mut rest = word;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .filter(|at| *at > 0)?;
        let (count, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (name, next) = after.split_at(letters);
        total = total.checked_add(count.parse::<i64>().ok()?.checked_mul(unit(name)?)?)?;
        rest = next;
    }
    (!word.is_empty()).then_some(total)
}

/// The times at the start of the tokens, and how many tokens each takes.
pub(super) fn time(tokens: &[QuestionWord]) -> Vec<(usize, Moment)> {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.lower.as_str());
    let mut found: Vec<_> = span(tokens)
        .into_iter()
        .filter(|(count, _)| word(*count) == "ago")
        .map(|(count, span)| (count + 1, Moment::Ago(span)))
        .collect();
    let clock = |count: usize, time: Option<Time>| time.map(|time| (count, Moment::Clock(time)));
    found.extend(clock(1, of_clock(word(0))));
    if matches!(word(1), "am" | "pm") {
        found.extend(clock(2, of_clock(&format!("{}{}", word(0), word(1)))));
    }
    let named = match word(0) {
        "today" | "midnight" => Some((1, Moment::Day(0))),
        "yesterday" => Some((1, Moment::Day(1))),
        "this" if word(1) == "morning" => Some((2, Moment::Morning)),
        "noon" | "midday" => of_clock("12:00").map(|time| (1, Moment::Clock(time))),
        _ => None,
    };
    found.extend(named);
    let text = tokens.first().map_or("", |token| token.text.as_str());
    let exact = text.parse().ok().map(Moment::Exactly);
    let civil = || {
        text.parse::<DateTime>()
            .ok()
            .filter(|_| text.contains('T'))
            .map(Moment::At)
    };
    let date = || text.parse::<Date>().ok().map(Moment::Date);
    found.extend(exact.or_else(civil).or_else(date).map(|moment| (1, moment)));
    found
}

/// `10:00`, `10:00:30`, `9am`, `9:30pm`.
fn of_clock(word: &str) -> Option<Time> {
    let (digits, half) = match (word.strip_suffix("am"), word.strip_suffix("pm")) {
        (Some(digits), _) => (digits, Some(0)),
        (_, Some(digits)) => (digits, Some(12)),
        _ => (word, None),
    };
    let mut parts = digits.split(':').map(|part| part.parse::<i8>().ok());
    let hour = parts.next()??;
    let rest: Vec<_> = parts.collect::<Option<_>>()?;
    let (minute, second) = match (&rest[..], half) {
        ([], Some(_)) => (0, 0),
        ([minute], _) => (*minute, 0),
        ([minute, second], _) => (*minute, *second),
        _ => return None,
    };
    let hour = match half {
        Some(half) if (1..=12).contains(&hour) => hour % 12 + half,
        Some(_) => return None,
        None => hour,
    };
    Time::new(hour, minute, second, 0).ok()
}

/// `3d4h` as kubectl shows an age.
pub(super) fn age(since: Timestamp, now: Timestamp) -> String {
    short(now.duration_since(since))
}

/// A span in its two largest units, in kubectl's way.
pub(super) fn short(span: SignedDuration) -> String {
    let seconds = span.as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |big: i64, unit: &str, small: i64, less: &str| match small {
        0 => format!("{big}{unit}"),
        small => format!("{big}{unit}{small}{less}"),
    };
    match seconds {
        ..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        _ => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    fn moment(text: &str) -> String {
        let now: Timestamp = "2026-03-04T09:30:00Z".parse().unwrap();
        let words = tokens(text);
        let (count, moment) = time(&words)
            .into_iter()
            .max_by_key(|(count, _)| *count)
            .unwrap();
        assert_eq!(count, words.len(), "{text}");
        moment
            .before(now, &TimeZone::UTC)
            .map(|moment| moment.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn times_of_a_question_are_moments_before_now() {
        assert_eq!(moment("9:15"), "2026-03-04T09:15:00Z");
        assert_eq!(
            moment("10:00"),
            "2026-03-03T10:00:00Z",
            "it is not yet ten today"
        );
        assert_eq!(moment("2pm"), "2026-03-03T14:00:00Z");
        assert_eq!(moment("yesterday"), "2026-03-03T00:00:00Z");
        assert_eq!(moment("half an hour ago"), "2026-03-04T09:00:00Z");
        assert_eq!(moment("1h30m ago"), "2026-03-04T08:00:00Z");
        assert_eq!(moment("2026-03-01"), "2026-03-01T00:00:00Z");
        assert_eq!(moment("2026-03-01T08:00:00Z"), "2026-03-01T08:00:00Z");
        assert_eq!(moment("2027-01-01"), "", "it lies ahead");
    }

    #[test]
    fn a_day_ends_and_what_lies_ahead_is_no_window() {
        let now: Timestamp = "2026-03-04T15:30:00Z".parse().unwrap();
        let window = |text: &str| {
            let (_, moment) = time(&tokens(text)).pop().unwrap();
            let ends = |window: Window| {
                let until = window.until.map(|until| until.to_string());
                (window.from.to_string(), until.unwrap_or_default())
            };
            let zone = &TimeZone::UTC;
            let since = moment.window(now, zone).map(ends);
            (since, moment.whole().window(now, zone).map(ends))
        };
        let both = |since: (&str, &str), all: (&str, &str)| {
            let owned = |(from, until): (&str, &str)| Some((from.to_owned(), until.to_owned()));
            (owned(since), owned(all))
        };
        let (third, fourth) = ("2026-03-03T00:00:00Z", "2026-03-04T00:00:00Z");
        assert_eq!(window("yesterday"), both((third, ""), (third, fourth)));
        assert_eq!(window("2026-03-03"), both((third, ""), (third, fourth)));
        let noon = "2026-03-04T12:00:00Z";
        assert_eq!(window("this morning"), both((fourth, ""), (fourth, noon)));
        assert_eq!(window("today"), both((fourth, ""), (fourth, "")));
        assert_eq!(window("2026-03-05"), (None, None));
        let after = |text: &str| {
            let (_, moment) = time(&tokens(text)).pop().unwrap();
            let from = moment.after().before(now, &TimeZone::UTC);
            from.map(|from| from.to_string()).unwrap_or_default()
        };
        assert_eq!(after("yesterday"), fourth);
        assert_eq!(after("2026-03-03"), fourth);
        assert_eq!(after("today"), "", "it is not over");
        assert_eq!(after("10:00"), "2026-03-04T10:00:00Z");
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["25:00", "web", "13pm", "h", "5", "9999999999999999999 days"] {
            assert_eq!(time(&tokens(text)), [], "{text}");
        }
        assert_eq!(span(&tokens("m")), []);
    }

    #[test]
    fn an_age_is_as_kubectl_shows_it() {
        let ages = [59, 119, 125, 600, 7200, 11_000, 90_000, 200_000, 9_000_000];
        let shown = ages.map(|seconds| short(SignedDuration::from_secs(seconds)));
        assert_eq!(
            shown,
            [
                "59s", "119s", "2m5s", "10m", "120m", "3h3m", "25h", "2d7h", "104d"
            ]
        );
    }
}
