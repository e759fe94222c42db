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
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Lines of each log that explain a failure.
const WHY_LINES: i64 = 10;
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

/// Where an answer may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Cluster,
    Project,
}

impl Reach {
    fn allows(self, scope: &AskedScope, project: &AskedProject) -> Result<()> {
        let is_own = match scope {
            AskedScope::Project => true,
            AskedScope::Namespace(name) => project.namespaces.contains(name),
            AskedScope::Everywhere => false,
        };
        match self == Self::Cluster || is_own {
            true => Ok(()),
            false => {
                let message = "only the namespaces of the project may be looked at";
                Err(Unclear::lacking(message, "what is wrong").error())
            }
        }
    }
}

impl Asker {
    /// The reply to a text.
    ///
    /// # Errors
    /// [`Code::AskUnclear`], [`Code::AskName`], [`Code::AskUnread`]; [`Code::ClusterUnreachable`].
    pub async fn reply(&self, text: &str) -> Result<AskReply> {
        self.reply_now(text, Reach::Cluster).await
    }

    /// The same where the clock shows another time.
    ///
    /// # Errors
    /// As [`Self::reply`].
    pub async fn reply_at(&self, text: &str, now: Timestamp, zone: TimeZone) -> Result<AskReply> {
        self.reply_within(text, now, zone, Reach::Cluster).await
    }

    /// The reply for somebody who may look at the project alone. The kinds that are in no namespace are everybody's.
    ///
    /// # Errors
    /// As [`Self::reply`]; [`Code::AskUnclear`] for a question about other namespaces.
    pub async fn reply_in_project(&self, text: &str) -> Result<AskReply> {
        self.reply_now(text, Reach::Project).await
    }

    async fn reply_now(&self, text: &str, reach: Reach) -> Result<AskReply> {
        if let Some(field) = ExplainedField::of(text) {
            return field.explain(&self.client).await.map(AskReply::AskAnswer);
        }
        self.reply_within(text, Timestamp::now(), TimeZone::system(), reach)
            .await
    }

    async fn reply_within(
        &self,
        text: &str,
        now: Timestamp,
        zone: TimeZone,
        reach: Reach,
    ) -> Result<AskReply> {
        let mut snapshot = ClusterSnapshot::new(self.project.clone(), now, zone);
        snapshot.cluster.clone_from(&self.cluster);
        let draft = match understand(text).map_err(Unclear::error)? {
            Understood::Change(request) => {
                reach.allows(&request.scope(), &self.project)?;
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
            // Without them nobody knows whether `in X` names a place; `in namespace X` does.
            if let (Some((_, why)), false) = (snapshot.unread.first(), draft.places.is_empty()) {
                return Err(Unclear::unread(why).error());
            }
            namespaces = snapshot.namespaces();
        }
        let question = draft.settle(text, &namespaces).map_err(Unclear::error)?;
        if !namespaces.is_empty() {
            question
                .place_is_there(&namespaces)
                .map_err(Unclear::error)?;
        }
        let asked = question.scope.clone();
        reach.allows(&asked, &self.project)?;
        self.read_for(&question, &mut snapshot).await?;
        let question = question.placed(&snapshot).map_err(Unclear::error)?;
        if question.scope != asked {
            reach.allows(&question.scope, &self.project)?;
            // A name turned out to be that of a namespace, of which nothing has been read yet.
            snapshot = snapshot.anew();
            self.read_for(&question, &mut snapshot).await?;
        }
        self.read_logs(&question, &mut snapshot)
            .await
            .map_err(Unclear::error)?;
        Ok(AskReply::AskAnswer(
            question.answer(&snapshot).map_err(Unclear::error)?,
        ))
    }

    /// Reads what the answer needs, but for logs.
    async fn read_for(&self, question: &Question, snapshot: &mut ClusterSnapshot) -> Result<()> {
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
        let (read, usage, version) =
            tokio::join!(self.read(snapshot, &kinds, &question.scope), usage, version);
        read?;
        snapshot.usage = usage;
        snapshot.version = version;
        match question.is_analysed() {
            true => self.read_behind_webhooks(&question.scope, snapshot).await,
            false => Ok(()),
        }
    }

    /// Whether a webhook can be asked shows its Service, wherever that is.
    async fn read_behind_webhooks(
        &self,
        scope: &AskedScope,
        snapshot: &mut ClusterSnapshot,
    ) -> Result<()> {
        let mut places = snapshot.webhook_places();
        places.retain(|place| !scope.has(place, snapshot));
        for place in places {
            let kinds = [AskedKind::Service, AskedKind::EndpointSlice];
            self.read(snapshot, &kinds, &AskedScope::Namespace(place))
                .await?;
        }
        Ok(())
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
                Err(Unreadable::Silent(why)) => return Err(silent(&why)),
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
            AskedFor::Logs => {
                let lines = i64::try_from(logs::lines_to_read(question)).unwrap_or(i64::MAX);
                (logs::wanted(question, snapshot)?, lines)
            }
            AskedFor::Why | AskedFor::Describe => {
                (question.logs_that_explain(snapshot).0, WHY_LINES)
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

/// The error of an API server that says nothing.
pub(super) fn silent(why: &str) -> Error {
    Error::new(Code::ClusterUnreachable, "the cluster does not answer")
        .evidence(why)
        .hint("devk doctor")
}

fn everything() -> Vec<AskedKind> {
    AskedKind::all().collect()
}
