//! What a rule has seen, before it is known where that stands in the user's files.

use super::view::{ChartObject, ContainerView};
use crate::place::Origin;

/// One thing that a rule has seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sighting {
    /// What is wrong, a lowercase fragment with backticked names.
    pub(super) message: String,
    pub(super) subject: Subject,
    /// Names of values that may govern it, such as `livenessProbe`.
    pub(super) values: &'static [&'static str],
}

/// What it was seen in.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Subject {
    /// The chart as a whole.
    Chart,
    /// A file of the chart, at a line.
    File { path: String, line: Option<u32> },
    /// A rendered object, by the positions of its rendering and document, and the keys that lead from the document to the
    /// value.
    Object {
        rendering: usize,
        document: usize,
        path: Vec<String>,
        /// `Deployment/api`.
        label: String,
    },
    /// Elsewhere in the user's files.
    Place(Origin),
}

/// What a rule has seen.
#[derive(Debug, Default)]
pub(super) struct Sightings(pub(super) Vec<Sighting>);

impl Sightings {
    /// Of the chart as a whole.
    pub(super) fn chart(&mut self, message: impl Into<String>) {
        self.push(message, Subject::Chart, &[]);
    }

    /// In a file of the chart.
    pub(super) fn file(
        &mut self,
        path: impl Into<String>,
        line: impl Into<Option<u32>>,
        message: impl Into<String>,
    ) {
        let (path, line) = (path.into(), line.into());
        self.push(message, Subject::File { path, line }, &[]);
    }

    /// In an object; `path` is a JSON pointer (`/spec/replicas`).
    pub(super) fn object(
        &mut self,
        object: &ChartObject<'_>,
        path: &str,
        message: impl Into<String>,
    ) {
        self.governed(object, path, &[], message);
    }

    /// In an object, where values of these names may govern it.
    pub(super) fn governed(
        &mut self,
        object: &ChartObject<'_>,
        path: &str,
        values: &'static [&'static str],
        message: impl Into<String>,
    ) {
        let path = format!("{}{path}", object.prefix);
        let subject = Subject::Object {
            rendering: object.rendering,
            document: object.document,
            path: path.split('/').skip(1).map(unescaped).collect(),
            label: object.label(),
        };
        self.push(message, subject, values);
    }

    /// In a container.
    pub(super) fn container(
        &mut self,
        object: &ChartObject<'_>,
        container: &ContainerView<'_>,
        below: &str,
        values: &'static [&'static str],
        message: impl Into<String>,
    ) {
        let path = format!("{}{below}", container.path);
        self.governed(object, &path, values, message);
    }

    pub(super) fn push(
        &mut self,
        message: impl Into<String>,
        subject: Subject,
        values: &'static [&'static str],
    ) {
        self.0.push(Sighting {
            message: message.into(),
            subject,
            values,
        });
    }
}

/// A step of a JSON pointer (RFC 6901).
fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// A key as a step of a JSON pointer (RFC 6901).
pub(super) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
