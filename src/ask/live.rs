//! Reads of the cluster what a question needs, all at once, and answers it. Only lists and logs are read.

use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, ListParams, LogParams};
use kube::core::Request;
use serde_json::Value;

use super::analyse::logs_of;
use super::answers::logs;
use super::explain::ExplainedField;
use super::kind::AskedKind;
use super::question::{AskedFor, AskedScope, Question};
use super::snapshot::{AskedProject, ClusterSnapshot, LogOf};
use super::unclear::Unclear;
use super::{AskReply, Understood, understand};
use crate::error::{Code, Error, Result, chain};
use crate::inventory::UseOfMemory;
use crate::release::crash::{is_apology, read_log};

/// So long one list or log may take.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Lines of each log that explain a failure.
const WHY_LINES: i64 = 10;
/// Lines that are searched where only some count.
const SEARCHED_LINES: i64 = 2000;
/// So many logs explain failures.
const MOST_LOGS: usize = 16;

/// Answers questions about one cluster.
#[derive(Clone)]
pub struct Asker {
    pub client: Client,
    pub project: AskedProject,
    /// Its name.
    pub cluster: String,
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker")
            .field("project", &self.project)
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

/// A list that could not be read.
enum Unreadable {
    /// The API server's words: it does not let us, or does not know the kind.
    Refused(String),
    Silent(String),
}

impl Asker {
    /// The reply to a text.
    ///
    /// # Errors
    /// [`Code::AskUnclear`], [`Code::AskName`], [`Code::AskUnread`]; [`Code::ClusterUnreachable`].
    pub async fn reply(&self, text: &str) -> Result<AskReply> {
        if let Some(field) = ExplainedField::of(text) {
            return field.explain(&self.client).await.map(AskReply::AskAnswer);
        }
        let mut snapshot =
            ClusterSnapshot::new(self.project.clone(), Timestamp::now(), TimeZone::system());
        snapshot.cluster.clone_from(&self.cluster);
        let draft = match understand(text).map_err(Unclear::error)? {
            Understood::Change(request) => {
                self.read(&mut snapshot, &everything(), &request.scope())
                    .await?;
                return Ok(AskReply::Change(
                    request.planned(&snapshot).map_err(Unclear::error)?,
                ));
            }
            Understood::Question(draft) => draft,
        };
        let mut namespaces = vec![];
        if draft.names_a_place() {
            self.read(
                &mut snapshot,
                &[AskedKind::Namespace],
                &AskedScope::Everywhere,
            )
            .await?;
            namespaces = snapshot.namespaces();
        }
        let question = draft.settle(text, &namespaces).map_err(Unclear::error)?;
        if !namespaces.is_empty() {
            question
                .place_is_there(&namespaces)
                .map_err(Unclear::error)?;
        }
        let mut kinds = question.needs().unwrap_or_else(everything);
        kinds.retain(|kind| !snapshot.is_read(*kind));
        kinds.retain(|kind| *kind != AskedKind::Event || question.tells_events());
        let usage = async {
            match question.needs_usage() {
                true => UseOfMemory::of(&self.client)
                    .await
                    .ok()
                    .map(UseOfMemory::into_pods),
                false => None,
            }
        };
        let version = async {
            match question.asked == AskedFor::Cluster {
                true => self
                    .client
                    .apiserver_version()
                    .await
                    .map(|version| version.git_version)
                    .unwrap_or_default(),
                false => String::new(),
            }
        };
        let (read, usage, version) = tokio::join!(
            self.read(&mut snapshot, &kinds, &question.scope),
            usage,
            version
        );
        read?;
        snapshot.usage = usage;
        snapshot.version = version;
        self.read_logs(&question, &mut snapshot)
            .await
            .map_err(Unclear::error)?;
        Ok(AskReply::AskAnswer(
            question.answer(&snapshot).map_err(Unclear::error)?,
        ))
    }

    /// Lists objects of these kinds, in the namespaces of a scope.
    async fn read(
        &self,
        snapshot: &mut ClusterSnapshot,
        kinds: &[AskedKind],
        scope: &AskedScope,
    ) -> Result<()> {
        let namespaces: Vec<Option<&str>> = match scope {
            AskedScope::Everywhere => vec![None],
            AskedScope::Namespace(name) => vec![Some(name)],
            AskedScope::Project => self
                .project
                .namespaces
                .iter()
                .map(|name| Some(name.as_str()))
                .collect(),
        };
        let places = |kind: AskedKind| {
            if kind.is_namespaced() {
                namespaces.clone()
            } else {
                vec![None]
            }
        };
        let lists = kinds.iter().flat_map(|kind| {
            places(*kind)
                .into_iter()
                .map(move |place| self.list(*kind, place))
        });
        for (kind, found) in join_all(lists).await {
            match found {
                Ok(objects) => snapshot.add(kind.plural(), objects),
                Err(Unreadable::Refused(why)) => snapshot.unread.push((kind, why)),
                Err(Unreadable::Silent(why)) => {
                    let message = "the cluster does not answer";
                    return Err(Error::new(Code::ClusterUnreachable, message)
                        .evidence(why)
                        .hint("devk doctor"));
                }
            }
        }
        Ok(())
    }

    async fn list(
        &self,
        kind: AskedKind,
        namespace: Option<&str>,
    ) -> (AskedKind, Result<Vec<Value>, Unreadable>) {
        let read = async {
            let request = Request::new(kind.path(namespace)).list(&ListParams::default());
            let request = request.map_err(kube::Error::BuildRequest)?;
            self.client.request::<Value>(request).await
        };
        let found = match tokio::time::timeout(READ_TIMEOUT, read).await {
            Ok(Ok(mut list)) => Ok(list
                .get_mut("items")
                .and_then(Value::as_array_mut)
                .map(std::mem::take)
                .unwrap_or_default()),
            Ok(Err(kube::Error::Api(refusal))) => Err(Unreadable::Refused(format!(
                "{} could not be read: {}",
                kind.several(),
                refusal.message
            ))),
            Ok(Err(error)) => Err(Unreadable::Silent(chain(&error))),
            Err(_) => Err(Unreadable::Silent(format!(
                "no list of {} within {} s",
                kind.several(),
                READ_TIMEOUT.as_secs()
            ))),
        };
        (kind, found)
    }

    async fn read_logs(
        &self,
        question: &Question,
        snapshot: &mut ClusterSnapshot,
    ) -> Result<(), Unclear> {
        let (wanted, lines) = match question.asked {
            AskedFor::Logs => (logs::wanted(question, snapshot)?, lines(question)),
            AskedFor::Why | AskedFor::Describe => {
                let pods = question.of_kind(AskedKind::Pod, snapshot);
                let mut wanted: Vec<_> = pods.into_iter().flat_map(logs_of).collect();
                wanted.truncate(MOST_LOGS);
                (wanted, WHY_LINES)
            }
            _ => return Ok(()),
        };
        let is_earlier = question.cut.previous;
        let texts = wanted.into_iter().map(|of| async move {
            let mut text = self.log(&of, of.previous, lines).await;
            // The kubelet may be replacing the container at this moment: what was one run is the other one then.
            if text.is_none() && !is_earlier {
                text = self.log(&of, !of.previous, lines).await;
            }
            (of, text)
        });
        let read = join_all(texts).await;
        snapshot.logs = read
            .into_iter()
            .filter_map(|(of, text)| Some((of, text?)))
            .collect();
        Ok(())
    }

    /// None: the kubelet has none, or does not give it in time.
    async fn log(&self, of: &LogOf, previous: bool, lines: i64) -> Option<String> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &of.namespace);
        let params = LogParams {
            container: Some(of.container.clone()),
            previous,
            tail_lines: Some(lines),
            timestamps: true,
            ..LogParams::default()
        };
        let read = read_log(&pods, &of.pod, &params);
        let text = tokio::time::timeout(READ_TIMEOUT, read).await.ok()??;
        (!is_apology(&text)).then_some(text)
    }
}

fn everything() -> Vec<AskedKind> {
    AskedKind::all().collect()
}

fn lines(question: &Question) -> i64 {
    let cut = &question.cut;
    match cut.lines {
        _ if cut.errors || cut.since.is_some() => SEARCHED_LINES,
        Some(lines) => lines.clamp(0, SEARCHED_LINES),
        None => logs::LINES.into(),
    }
}
