//! What a chart does not say, as questions: of the infrastructure it runs on, the team, operations, security. Each answer is a
//! constraint, or a figure that a remedy takes. Pure.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use super::facts::{ChartFacts, RenderingUse};
use super::fix::FixFigures;
use super::report::ChartReport;
use super::teach::names;
use super::view::list;
use crate::config::{CheckConfig, did_you_mean};
use crate::error::{Code, Error, Result};
use crate::quantity::thousandths;

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum QuestionKind {
    Infrastructure,
    Team,
    Operations,
    Security,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerForm {
    /// Names with `and` or commas between them.
    Names,
    YesNo,
    /// `500m`, `1Gi`.
    Quantity,
    /// A range of versions.
    Range,
    /// A number that is not 0.
    User,
}

/// A question that a chart leaves open. The members of its JSON form are a contract (docs/errors.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GuideQuestion {
    pub id: &'static str,
    pub kind: QuestionKind,
    pub question: &'static str,
    pub form: AnswerForm,
    /// What the chart itself suggests.
    pub suggestion: Option<String>,
}

/// What an answer does.
#[derive(Debug, Clone, PartialEq)]
pub enum GuideEffect {
    /// Sentences as `devk chart teach` takes them.
    Teach(Vec<String>),
    /// A figure for remedies of these rules.
    Figure(Figure, &'static [&'static str]),
    Nothing,
}

/// A figure that remedies take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Figure {
    CpuRequest(String),
    MemoryRequest(String),
    MemoryLimit(String),
    User(u32),
}

impl Figure {
    pub fn put(self, figures: &mut FixFigures) {
        match self {
            Self::CpuRequest(text) => figures.cpu_request = text,
            Self::MemoryRequest(text) => figures.memory_request = text,
            Self::MemoryLimit(text) => figures.memory_limit = text,
            Self::User(user) => figures.user = Some(user),
        }
    }
}

/// A row of the table of questions.
struct Row {
    id: &'static str,
    kind: QuestionKind,
    form: AnswerForm,
    question: &'static str,
    /// None: the chart or its constraints answer it already; else what is suggested.
    open: fn(&Asked) -> Option<Option<String>>,
    /// A sentence in which `{}` is the answer, or the rules that take the figure.
    effect: Effect,
}

enum Effect {
    Sentence(&'static str),
    /// A sentence for each name.
    Each(&'static str),
    Figure(fn(String) -> Option<Figure>, &'static [&'static str]),
}

/// What answers questions without asking.
struct Asked<'a> {
    facts: &'a ChartFacts,
    report: &'a ChartReport,
    config: &'a CheckConfig,
}

const ROWS: &[Row] = &[
    Row {
        id: "kubernetes",
        kind: QuestionKind::Infrastructure,
        form: AnswerForm::Range,
        question: "Which versions of Kubernetes must the chart fit?",
        open: |asked| {
            let is_said = asked.config.kubernetes.is_some()
                || asked.facts.metadata["kubeVersion"].is_string();
            (!is_said).then_some(None)
        },
        effect: Effect::Sentence("kubernetes {}"),
    },
    Row {
        id: "storage-classes",
        kind: QuestionKind::Infrastructure,
        form: AnswerForm::Names,
        question: "Which storage classes does the cluster have for claims?",
        open: |asked| {
            let is_open = asked.config.storage_classes.is_empty() && asked.has_claims();
            is_open.then(|| asked.named("/spec/storageClassName", "PersistentVolumeClaim"))
        },
        effect: Effect::Sentence("no storage class but {}"),
    },
    Row {
        id: "ingress-classes",
        kind: QuestionKind::Infrastructure,
        form: AnswerForm::Names,
        question: "Which ingress classes does the cluster have?",
        open: |asked| {
            let is_open = asked.config.ingress_classes.is_empty()
                && asked.objects().any(|object| object["kind"] == "Ingress");
            is_open.then(|| asked.named("/spec/ingressClassName", "Ingress"))
        },
        effect: Effect::Sentence("no ingress class but {}"),
    },
    Row {
        id: "registries",
        kind: QuestionKind::Team,
        form: AnswerForm::Names,
        question: "From which registries may images come?",
        open: |asked| {
            asked
                .config
                .registries
                .is_empty()
                .then(|| asked.registries())
        },
        effect: Effect::Sentence("images only from {}"),
    },
    Row {
        id: "labels",
        kind: QuestionKind::Team,
        form: AnswerForm::Names,
        question: "Which labels does every workload of the team have?",
        open: |asked| asked.config.labels.is_empty().then_some(None),
        effect: Effect::Each("label {} required"),
    },
    Row {
        id: "cpu-request",
        kind: QuestionKind::Operations,
        form: AnswerForm::Quantity,
        question: "How much CPU does a container need in ordinary use?",
        open: |asked| {
            asked
                .found("resources.cpu-request")
                .then(|| Some(FixFigures::default().cpu_request))
        },
        effect: Effect::Figure(
            |text| Some(Figure::CpuRequest(text)),
            &["resources.cpu-request"],
        ),
    },
    Row {
        id: "memory-request",
        kind: QuestionKind::Operations,
        form: AnswerForm::Quantity,
        question: "How much memory does a container need in ordinary use?",
        open: |asked| {
            asked
                .found("resources.memory-request")
                .then(|| Some(FixFigures::default().memory_request))
        },
        effect: Effect::Figure(
            |text| Some(Figure::MemoryRequest(text)),
            &["resources.memory-request"],
        ),
    },
    Row {
        id: "memory-limit",
        kind: QuestionKind::Operations,
        form: AnswerForm::Quantity,
        question: "At how much memory has a container a leak?",
        open: |asked| {
            asked
                .found("resources.memory-limit")
                .then(|| Some(FixFigures::default().memory_limit))
        },
        effect: Effect::Figure(
            |text| Some(Figure::MemoryLimit(text)),
            &["resources.memory-limit"],
        ),
    },
    Row {
        id: "max-memory",
        kind: QuestionKind::Operations,
        form: AnswerForm::Quantity,
        question: "How much memory may any container of the team have?",
        open: |asked| asked.config.max_memory.is_none().then_some(None),
        effect: Effect::Sentence("memory limit at most {}"),
    },
    Row {
        id: "monitoring",
        kind: QuestionKind::Operations,
        form: AnswerForm::YesNo,
        question: "Must every workload with a port be monitored?",
        open: |asked| (!asked.config.monitoring).then_some(None),
        effect: Effect::Sentence("monitoring required"),
    },
    Row {
        id: "backup",
        kind: QuestionKind::Operations,
        form: AnswerForm::YesNo,
        question: "Must every claim be backed up?",
        open: |asked| (!asked.config.backup && asked.has_claims()).then_some(None),
        effect: Effect::Sentence("backup required"),
    },
    Row {
        id: "user",
        kind: QuestionKind::Security,
        form: AnswerForm::User,
        question: "As which user, a number that is not 0, can the programs run?",
        open: |asked| asked.found("pod.non-root").then_some(None),
        effect: Effect::Figure(
            |text| {
                text.parse()
                    .ok()
                    .filter(|user| *user != 0)
                    .map(Figure::User)
            },
            &["pod.non-root", "pod.drop-capabilities"],
        ),
    },
    Row {
        id: "network-policy",
        kind: QuestionKind::Security,
        form: AnswerForm::YesNo,
        question: "Must a NetworkPolicy say who may connect to each workload?",
        open: |asked| {
            let has_one = asked
                .objects()
                .any(|object| object["kind"] == "NetworkPolicy");
            (!asked.config.network_policy).then(|| has_one.then(|| "yes".to_owned()))
        },
        effect: Effect::Sentence("network policy required"),
    },
];

impl Asked<'_> {
    fn objects(&self) -> impl Iterator<Item = &Value> {
        let judged = self
            .facts
            .renderings
            .iter()
            .filter(|rendering| rendering.usage == RenderingUse::Judged);
        judged.flat_map(|rendering| rendering.documents.iter().map(|document| &document.object))
    }

    fn has_claims(&self) -> bool {
        self.objects().any(|object| {
            object["kind"] == "PersistentVolumeClaim"
                || !list(&object["spec"]["volumeClaimTemplates"]).is_empty()
        })
    }

    fn found(&self, rule: &str) -> bool {
        self.report
            .findings
            .iter()
            .any(|finding| finding.rule.id == rule && finding.is_charged())
    }

    fn named(&self, pointer: &str, kind: &str) -> Option<String> {
        let objects = self.objects().filter(|object| object["kind"] == kind);
        let names: BTreeSet<_> = objects
            .filter_map(|object| object.pointer(pointer)?.as_str())
            .collect();
        joined(names)
    }

    fn registries(&self) -> Option<String> {
        let names: BTreeSet<_> = self
            .objects()
            .flat_map(super::traits::images)
            .filter_map(super::traits::registry)
            .collect();
        joined(names.iter().map(String::as_str).collect())
    }
}

fn joined(names: BTreeSet<&str>) -> Option<String> {
    let names: Vec<_> = names.into_iter().filter(|name| !name.is_empty()).collect();
    (!names.is_empty()).then(|| names.join(" and "))
}

/// The questions that a chart and its constraints leave open, by kind.
pub fn open_questions(
    facts: &ChartFacts,
    report: &ChartReport,
    config: &CheckConfig,
) -> Vec<GuideQuestion> {
    let asked = Asked {
        facts,
        report,
        config,
    };
    let open = ROWS.iter().filter_map(|row| {
        Some(GuideQuestion {
            id: row.id,
            kind: row.kind,
            question: row.question,
            form: row.form,
            suggestion: (row.open)(&asked)?,
        })
    });
    open.collect()
}

/// What an answer to a question does; an empty answer, and a no, do nothing.
///
/// # Errors
/// [`Code::Usage`] for a question that there is not, and for an answer of another form.
pub fn answered(id: &str, answer: &str) -> Result<GuideEffect> {
    let Some(row) = ROWS.iter().find(|row| row.id == id) else {
        let error = Error::new(Code::Usage, format!("there is no question `{id}`"));
        return Err(error.hint(did_you_mean(id, ROWS.iter().map(|row| row.id), "questions")));
    };
    let answer = answer.trim();
    if answer.is_empty() {
        return Ok(GuideEffect::Nothing);
    }
    let unfit = |wanted: &str| {
        Error::new(Code::Usage, format!("`{answer}` is no answer to `{id}`"))
            .hint(format!("the answer is {wanted}"))
    };
    match row.form {
        AnswerForm::YesNo => match answer.to_ascii_lowercase().as_str() {
            "y" | "yes" | "true" => {}
            "n" | "no" | "false" => return Ok(GuideEffect::Nothing),
            _ => return Err(unfit("yes or no")),
        },
        AnswerForm::Quantity if thousandths(answer).is_none() => {
            return Err(unfit("a quantity, such as 500m or 1Gi"));
        }
        _ => {}
    }
    Ok(match &row.effect {
        Effect::Sentence(sentence) => GuideEffect::Teach(vec![sentence.replace("{}", answer)]),
        Effect::Each(sentence) => {
            let names = names(answer).into_iter();
            GuideEffect::Teach(names.map(|name| sentence.replace("{}", &name)).collect())
        }
        Effect::Figure(figure, rules) => {
            let figure = figure(answer.to_owned())
                .ok_or_else(|| unfit("the number of a user that is not root"))?;
            GuideEffect::Figure(figure, rules)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::teach::understood;
    use super::*;

    #[test]
    fn every_answer_that_teaches_is_a_sentence_that_is_understood() {
        for row in ROWS {
            let answer = match row.form {
                AnswerForm::Names => "a and b",
                AnswerForm::YesNo => "yes",
                AnswerForm::Quantity => "1Gi",
                AnswerForm::Range => ">=1.31",
                AnswerForm::User => "1000",
            };
            match answered(row.id, answer).unwrap() {
                GuideEffect::Teach(sentences) => sentences
                    .iter()
                    .for_each(|sentence| drop(understood(sentence).unwrap())),
                GuideEffect::Figure(figure, rules) => {
                    let mut figures = FixFigures::default();
                    figure.put(&mut figures);
                    assert_ne!(figures, FixFigures::default(), "{}", row.id);
                    assert!(!rules.is_empty());
                }
                GuideEffect::Nothing => panic!("{}", row.id),
            }
            assert_eq!(answered(row.id, " ").unwrap(), GuideEffect::Nothing);
        }
        let kinds: BTreeSet<_> = ROWS.iter().map(|row| row.kind).collect();
        assert_eq!(kinds.len(), 4);
    }

    #[test]
    fn answers_of_another_form_are_refused() {
        for (id, answer) in [
            ("user", "0"),
            ("user", "root"),
            ("max-memory", "lots"),
            ("backup", "perhaps"),
            ("userr", "1"),
        ] {
            let error = answered(id, answer).unwrap_err();
            assert!(error.hint.is_some(), "{id}");
        }
        assert_eq!(answered("backup", "no").unwrap(), GuideEffect::Nothing);
        let labels = answered("labels", "team, tier").unwrap();
        assert_eq!(
            labels,
            GuideEffect::Teach(vec![
                "label team required".into(),
                "label tier required".into()
            ])
        );
    }
}
