//! The cluster as a role sees it: reading, asking for rights, and the one place that sends the writes of a plan.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::Client;
use kube::api::{
    Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions,
    PropagationPolicy,
};
use serde_json::{Value, json};

use super::kind::ObjectKind;
use super::operation::{Deed, Operation};
use super::plan::ObjectName;
use super::role::{bind_roles, ensure_role_within, ensure_roles, groups, has_right, user};
use crate::cluster::pin::Pin;
use crate::cluster::{Access, client, namespace};
use crate::config::{AskRights, AskRole};
use crate::error::{Code, Error, Result};
use crate::owner::Owner;

/// Sets a change apart from one of helm, of kubectl, and of devk's own sleep.
const MANAGER: &str = "devk-change";
/// So long new roles may take to count.
const ROLES_COUNT: Duration = Duration::from_secs(10);

/// A project on its cluster, with the rights of a role.
pub struct ChangeAccess {
    /// With the rights of the role alone; devk's own where nothing is done but shown.
    client: Client,
    /// devk's own, which gives the rights and waits for what was changed.
    pub(super) own: Client,
    pub(super) pin: Pin,
    pub(super) project: String,
    /// Of the project.
    pub(super) owner: Owner,
    pub(super) rights: AskRights,
    /// Plans are shown and not carried out: the cluster is not devk's, and the user has not let devk change it.
    pub(super) only_shows: bool,
}

impl std::fmt::Debug for ChangeAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangeAccess")
            .field("project", &self.project)
            .field("role", &self.rights.role)
            .finish_non_exhaustive()
    }
}

/// A right of RBAC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Right {
    pub(super) verb: &'static str,
    pub(super) object: ObjectName,
}

impl Right {
    /// `patch deployments.apps in shop`.
    pub(super) fn words(&self) -> String {
        let kind = self.object.kind;
        let resource = match kind.group() {
            "" => kind.plural().to_owned(),
            group => format!("{}.{group}", kind.plural()),
        };
        match &self.object.namespace {
            Some(namespace) => format!("{} {resource} in {namespace}", self.verb),
            None => format!("{} {resource}", self.verb),
        }
    }
}

impl ChangeAccess {
    /// Access with the rights of a role, which devk makes on a cluster that it made itself; on another one only if the
    /// user lets it be more than a viewer there. `kubeconfig` is devk's private one, behind which the pinned cluster has just
    /// answered.
    ///
    /// # Errors
    /// [`Code::ChangeRefused`] if the project has nothing there, [`Code::NamespaceForeign`], [`Code::ClusterUnreachable`],
    /// [`Code::ChangeForbidden`] if the roles do not count.
    pub async fn new(
        access: Access,
        kubeconfig: &Path,
        project: &str,
        owner: &Owner,
        rights: AskRights,
    ) -> Result<Self> {
        let (role, own) = (rights.role, access.client);
        if namespace::find_own(&own, project, owner).await?.is_none() {
            let message = format!("`{project}` has nothing on the cluster that could be changed");
            return Err(Error::new(Code::ChangeRefused, message).hint("devk up -d"));
        }
        let is_made = access.pin.created;
        let only_shows = !is_made && role == AskRole::Viewer;
        let client = match only_shows {
            true => own.clone(),
            false => {
                match is_made {
                    true => give_roles(&own, project, owner).await?,
                    false => ensure_role_within(&own, project, role)
                        .await
                        .map_err(|e| unreachable(&e))?,
                }
                client::client_as(kubeconfig, &user(project, role), groups(role)).await?
            }
        };
        let access = Self {
            client,
            own,
            pin: access.pin,
            project: project.to_owned(),
            owner: owner.clone(),
            rights,
            only_shows,
        };
        if !only_shows {
            access.roles_count(project).await?;
        }
        Ok(access)
    }

    #[cfg(test)]
    pub(super) fn of_parts(client: Client, pin: Pin, rights: AskRights) -> Self {
        let only_shows = !pin.created && rights.role == AskRole::Viewer;
        Self {
            own: client.clone(),
            client,
            pin,
            project: "shop".to_owned(),
            owner: Owner {
                root: "/p".into(),
                user: Some(7),
                machine: Some("m".to_owned()),
            },
            rights,
            only_shows,
        }
    }

    /// The problem of carrying anything out.
    pub(super) fn shows_alone(&self) -> Option<Error> {
        self.only_shows.then(|| {
            let message =
                "the cluster is not devk's: the role there is `viewer`, which changes nothing";
            let error = Error::new(Code::ChangeForbidden, message);
            let rights = &self.rights;
            let error = rights.beyond.iter().fold(error, Error::evidence);
            error.hint(rights.how_to_get(AskRole::Operator))
        })
    }

    /// Waits until the API server goes by roles that were made just now.
    async fn roles_count(&self, namespace: &str) -> Result<()> {
        let right = Right {
            verb: "list",
            object: ObjectName {
                kind: ObjectKind::Pod,
                namespace: Some(namespace.to_owned()),
                name: String::new(),
            },
        };
        let counted = async {
            while !self.may(&right).await? {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok(())
        };
        let within = tokio::time::timeout(ROLES_COUNT, counted).await;
        within.unwrap_or_else(|_| {
            let who = self.user();
            let message =
                format!("the API server gives `{who}` no right, though its role is bound");
            Err(Error::new(Code::ChangeForbidden, message).hint("devk doctor"))
        })
    }

    /// Who the API server takes devk for. Where plans are only shown that is the user of the kubeconfig.
    pub(super) fn user(&self) -> String {
        match self.only_shows {
            true => "the user of the kubeconfig".to_owned(),
            false => user(&self.project, self.rights.role),
        }
    }

    /// Gives the roles in a namespace that a plan has made, and waits until they count.
    pub(super) async fn enter(&self, namespace: &str) -> Result<()> {
        let bound = bind_roles(&self.own, &self.project, namespace).await;
        bound.map_err(|e| unreachable(&e))?;
        self.roles_count(namespace).await
    }

    /// For reading as the role.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    fn api(&self, object: &ObjectName) -> Api<DynamicObject> {
        let resource = object.kind.resource();
        client::objects_of(&self.client, object.namespace.as_deref(), &resource)
    }

    /// An object as it is; None if it is not there.
    ///
    /// # Errors
    /// Those of the API server.
    pub(super) async fn live(&self, object: &ObjectName) -> kube::Result<Option<Value>> {
        let api = match object.kind {
            // In a namespace that is not there nobody has the right to look at it.
            ObjectKind::Namespace => Api::all_with(self.own.clone(), &object.kind.resource()),
            _ => self.api(object),
        };
        let found = api.get_opt(&object.name).await?;
        found.map(|found| as_json(&found)).transpose()
    }

    /// Whether an object is there.
    ///
    /// # Errors
    /// [`Code::ClusterUnreachable`].
    pub async fn is_there(&self, object: &ObjectName) -> Result<bool> {
        let found = self.live(object).await.map_err(|e| unreachable(&e))?;
        Ok(found.is_some())
    }

    /// Whether the role has a right, by a SelfSubjectAccessReview.
    ///
    /// # Errors
    /// [`Code::ClusterUnreachable`].
    pub(super) async fn may(&self, right: &Right) -> Result<bool> {
        let object = &right.object;
        if self.only_shows {
            return Ok(has_right(AskRole::Operator, right.verb, object.kind));
        }
        // A namespace that is there is itself in that namespace.
        let is_there = object.kind == ObjectKind::Namespace && right.verb != "create";
        let itself = is_there.then(|| object.name.clone());
        let attributes = ResourceAttributes {
            verb: Some(right.verb.to_owned()),
            group: Some(object.kind.group().to_owned()),
            resource: Some(object.kind.plural().to_owned()),
            namespace: object.namespace.clone().or(itself),
            name: Some(object.name.clone()).filter(|name| !name.is_empty()),
            ..ResourceAttributes::default()
        };
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(attributes),
                non_resource_attributes: None,
            },
            ..SelfSubjectAccessReview::default()
        };
        let api: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let answer = api.create(&PostParams::default(), &review).await;
        let answer = answer.map_err(|e| unreachable(&e))?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }

    /// Sends a write, or only tries it. What is changed or deleted must be of this version: the API server refuses with
    /// 409 if another write came between. Answers the object as it then is, or would be; null for one that is gone.
    ///
    /// # Errors
    /// Those of the API server.
    pub(super) async fn send(
        &self,
        operation: &Operation,
        before: Option<&Value>,
        dry_run: bool,
    ) -> kube::Result<Value> {
        let api = self.api(&operation.target);
        let name = &operation.target.name;
        let manager = Some(MANAGER.to_owned());
        let version = before.map(|before| before["metadata"]["resourceVersion"].clone());
        let version = version.unwrap_or_default();
        let post = PostParams {
            dry_run,
            field_manager: manager.clone(),
        };
        match &operation.deed {
            Deed::Patch(patch) => {
                let mut patch = patch.clone();
                patch["metadata"]["resourceVersion"] = version;
                let by = PatchParams {
                    dry_run,
                    field_manager: manager,
                    ..PatchParams::default()
                };
                as_json(&api.patch(name, &by, &Patch::Strategic(patch)).await?)
            }
            Deed::Replace(whole) => {
                let mut whole = whole.clone();
                whole["metadata"]["resourceVersion"] = version;
                as_json(&api.replace(name, &post, &object(whole)?).await?)
            }
            Deed::Create(manifest) => {
                as_json(&api.create(&post, &object(manifest.clone())?).await?)
            }
            Deed::Delete => {
                let text = |value: &Value| value.as_str().map(str::to_owned);
                let uid = before.and_then(|before| text(&before["metadata"]["uid"]));
                let same = Preconditions {
                    uid,
                    resource_version: text(&version),
                };
                let how = DeleteParams {
                    dry_run,
                    propagation_policy: Some(PropagationPolicy::Background),
                    preconditions: Some(same),
                    ..DeleteParams::default()
                };
                api.delete(name, &how).await?;
                Ok(Value::Null)
            }
        }
    }

    /// The HorizontalPodAutoscaler that sets the replicas of an object.
    ///
    /// # Errors
    /// Those of the API server.
    pub(super) async fn autoscaler(&self, object: &ObjectName) -> kube::Result<Option<String>> {
        let any = ObjectName {
            kind: ObjectKind::HorizontalPodAutoscaler,
            namespace: object.namespace.clone(),
            name: String::new(),
        };
        let all = self.api(&any).list(&Default::default()).await?;
        let sets = |found: &&DynamicObject| {
            let target = &found.data["spec"]["scaleTargetRef"];
            target["kind"] == object.kind.name() && target["name"] == object.name.as_str()
        };
        let found = all.items.iter().find(sets);
        Ok(found.and_then(|found| found.metadata.name.clone()))
    }
}

/// The roles, bound in the project's namespace and in those that its changes have made.
async fn give_roles(own: &Client, project: &str, owner: &Owner) -> Result<()> {
    ensure_roles(own).await.map_err(|e| unreachable(&e))?;
    let made = namespace::made_for(own, project, Some(owner)).await?;
    let all = std::iter::once(project).chain(made.iter().map(String::as_str));
    for namespace in all {
        let bound = bind_roles(own, project, namespace).await;
        bound.map_err(|e| unreachable(&e))?;
    }
    Ok(())
}

fn as_json(object: &DynamicObject) -> kube::Result<Value> {
    serde_json::to_value(object).map_err(kube::Error::SerdeError)
}

fn object(value: Value) -> kube::Result<DynamicObject> {
    serde_json::from_value(value).map_err(kube::Error::SerdeError)
}

/// Why the API server did not do it, in its own words.
pub(super) fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => crate::error::chain(other),
    }
}

pub(super) fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

pub(super) fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

/// Whether the API server says that it did not do it. What it says of its own failures, and a lost answer, leave that
/// open.
pub(super) fn is_refusal(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if (400..500).contains(&status.code))
}

pub(super) fn unreachable(error: &kube::Error) -> Error {
    let message = "the cluster's API server refused a request";
    let error = Error::new(Code::ClusterUnreachable, message).evidence(words(error));
    error.hint("devk doctor")
}

/// The version of an object that an approval is bound to: its identity, and everything but its status and what the API
/// server counts by itself. A pod that becomes ready changes the status of its Deployment and with it the
/// resourceVersion, and is no reason to ask again.
pub(super) fn version(live: Option<&Value>) -> Value {
    match live {
        None => Value::Null,
        Some(live) => json!({
            "uid": live["metadata"]["uid"],
            "content": super::diff::content(live),
        }),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn only_what_the_api_server_declines_was_certainly_not_done() {
        let of =
            |code: u16| kube::Error::Api(Box::new(Status::failure("no", "Reason").with_code(code)));
        for code in [403, 409, 422, 429] {
            assert!(is_refusal(&of(code)), "{code}");
        }
        for code in [500, 504] {
            assert!(!is_refusal(&of(code)), "{code}");
        }
        let lost = kube::Error::ReadEvents(std::io::ErrorKind::ConnectionReset.into());
        assert!(!is_refusal(&lost));
    }
}
