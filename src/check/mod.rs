//! `devk chart check`: what a chart is worth. Six gates, one score, findings with their lines.
//!
//! [`ChartGatherer`] collects the facts once: the files of the chart, what it renders to with every set of values that is found,
//! what is installed of it. [`judge()`] lets every rule of the one table ([`rules()`]) look at them; rules are pure functions.

mod align;
mod baseline;
mod came_to;
mod facts;
mod finding;
mod fix;
mod gates;
mod gather;
mod guide;
mod history;
mod ignore;
mod judge;
mod learn;
mod locate;
mod matrix;
mod report;
mod rule;
mod sarif;
mod score;
mod seen;
mod sources;
mod table;
mod teach;
mod traits;
mod view;

pub use baseline::CheckBaseline;
pub use facts::{ChartFacts, CheckRendering, InstalledObject, RenderFailure, RenderingUse};
pub use finding::{ChartFinding, Counts};
pub use fix::{
    ChangedText, ChartFix, ChartFixer, FixFigures, FixedChart, FrozenFiles, KeptFix, LeftFinding,
    frozen_files, is_committed, write_all,
};
pub use gather::{ChartGatherer, CheckedChart};
pub use guide::{
    AnswerForm, Figure, GuideEffect, GuideQuestion, QuestionKind, answered, open_questions,
};
pub use history::{ChartHistory, HistoryChange, HistoryEntry};
pub use judge::{Judgement, judge, usable};
pub use learn::{ConstraintOffer, offers};
pub use report::{ChartReport, DependencyReport, GateResult, READY};
pub use rule::{Aspect, ChartRule, Gate, Severity, Start};
pub use sarif::sarif;
pub use score::{AspectScore, Gain};
pub use table::rules;
pub use teach::{ConstraintEdit, TEACH_FORMS, TaughtConstraint, TeachForm, understood};
