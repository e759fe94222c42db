//! Changing trees, and the text that Go prints for their values.

use super::trail::Trail;
use super::yaml::{YamlData, YamlEntry, YamlNode};
use crate::error::{Code, Error, Result};
use crate::place::Place;

impl YamlNode {
    pub(super) fn new(place: &Place, data: YamlData) -> Self {
        Self {
            place: place.clone(),
            data,
        }
    }

    pub(super) fn map(
        place: &Place,
        entries: impl IntoIterator<Item = (&'static str, YamlData)>,
    ) -> Self {
        let entries = entries
            .into_iter()
            .map(|(key, data)| YamlEntry::new(key, Self::new(place, data)));
        Self::new(place, YamlData::Map(entries.collect()))
    }

    pub(crate) fn is_null(&self) -> bool {
        self.data == YamlData::Null
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self.data, YamlData::Map(_))
    }

    /// Whether it is a whole number of 64 bits with a sign, the only kind that Compose calls one.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.data, YamlData::Int(number) if i64::try_from(number).is_ok())
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        self.entries_mut()
            .iter_mut()
            .find(|entry| entry.key == key)
            .map(|entry| &mut entry.value)
    }

    /// The entries of a map; none for anything else.
    pub(super) fn entries_mut(&mut self) -> &mut [YamlEntry] {
        if let YamlData::Map(entries) = &mut self.data {
            entries
        } else {
            &mut []
        }
    }

    /// The items of a list; none for anything else.
    pub(super) fn items_mut(&mut self) -> &mut [Self] {
        if let YamlData::List(items) = &mut self.data {
            items
        } else {
            &mut []
        }
    }

    /// Takes a key out of a map.
    pub(super) fn remove(&mut self, key: &str) -> Option<YamlEntry> {
        let YamlData::Map(entries) = &mut self.data else {
            return None;
        };
        let index = entries.iter().position(|entry| entry.key == key)?;
        Some(entries.remove(index))
    }

    /// Sets a key of a map.
    pub(super) fn set(&mut self, key: &str, value: Self) {
        let YamlData::Map(entries) = &mut self.data else {
            return;
        };
        match entries.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => entry.value = value,
            None => entries.push(YamlEntry::new(key, value)),
        }
    }

    /// Gives a key of a map its value unless it has one.
    pub(super) fn default(&mut self, key: &str, data: YamlData) {
        if self.get(key).is_none() {
            let value = Self::new(&self.place.clone(), data);
            self.set(key, value);
        }
    }

    /// A list's entries or a map's; refuses anything else.
    ///
    /// # Errors
    /// A value of another type, at its place.
    pub(super) fn expect_text(&self, trail: &Trail) -> Result<&str> {
        self.text().ok_or_else(|| self.mistyped(trail, "a text"))
    }

    /// A problem with this value.
    pub(super) fn problem(&self, trail: &Trail, what: &str) -> Error {
        self.place
            .error(Code::ComposeValue, format!("`{trail}` {what}"))
    }

    pub(super) fn mistyped(&self, trail: &Trail, wanted: &str) -> Error {
        self.problem(trail, &format!("must be {wanted}, not {}", self.kind()))
    }

    pub(super) fn kind(&self) -> &'static str {
        match self.data {
            YamlData::Null => "null",
            YamlData::Bool(_) => "a boolean",
            YamlData::Int(_) | YamlData::Float(_) => "a number",
            YamlData::Time(_) => "a date",
            YamlData::Text(_) => "a text",
            YamlData::List(_) => "a list",
            YamlData::Map(_) => "a mapping",
        }
    }

    /// How many values it consists of.
    pub(super) fn size(&self) -> usize {
        let below = match &self.data {
            YamlData::Map(entries) => entries.iter().map(|entry| entry.value.size()).sum(),
            YamlData::List(items) => items.iter().map(Self::size).sum(),
            _ => 0,
        };
        below + 1
    }

    /// A value as Go's `%v` prints it, which is how Compose makes `KEY=VALUE` of a mapping.
    pub(crate) fn printed(&self) -> String {
        match &self.data {
            YamlData::Null => "<nil>".to_owned(),
            YamlData::Bool(value) => value.to_string(),
            YamlData::Int(value) => value.to_string(),
            YamlData::Float(value) => float(*value),
            YamlData::Time(text) | YamlData::Text(text) => text.clone(),
            YamlData::List(items) => {
                let items: Vec<_> = items.iter().map(Self::printed).collect();
                format!("[{}]", items.join(" "))
            }
            YamlData::Map(entries) => {
                let mut entries: Vec<_> = entries
                    .iter()
                    .map(|entry| format!("{}:{}", entry.key, entry.value.printed()))
                    .collect();
                entries.sort_unstable();
                format!("map[{}]", entries.join(" "))
            }
        }
    }

    /// Whether two values are the same, wherever they stand and in whatever order their keys do.
    pub(super) fn same(&self, other: &Self) -> bool {
        match (&self.data, &other.data) {
            (YamlData::List(a), YamlData::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (YamlData::Map(a), YamlData::Map(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .all(|a| other.get(&a.key).is_some_and(|b| a.value.same(b)))
            }
            (a, b) => a == b,
        }
    }
}

impl YamlEntry {
    pub(super) fn new(key: &str, value: YamlNode) -> Self {
        Self {
            key: key.to_owned(),
            place: value.place.clone(),
            value,
        }
    }
}

/// Go's shortest form of a number: `0.5`, `1e+06`.
fn float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => value.to_string(),
    }
}
