//! What a program may do: less only where it is known that the program needs no more.

use serde_json::{Value, json};

use super::super::super::view::{ContainerView, list};
use super::{Case, Fields, field};

impl<'a> Case<'a> {
    pub(super) fn escalation(&self) -> Fields {
        let (container, path) = self.container()?;
        let context = &container.json["securityContext"];
        let added = list(&context["capabilities"]["add"]);
        if context["privileged"] == true
            || added
                .iter()
                .any(|added| added == "SYS_ADMIN" || added == "CAP_SYS_ADMIN")
        {
            return Err(
                "Kubernetes takes it from no container that is privileged or has SYS_ADMIN"
                    .to_owned(),
            );
        }
        if !context["allowPrivilegeEscalation"].is_null() {
            return Err("`allowPrivilegeEscalation` has a value that somebody chose".to_owned());
        }
        let below = ["securityContext", "allowPrivilegeEscalation"].map(str::to_owned);
        Ok(vec![field(path.into_iter().chain(below), json!(false))])
    }

    /// Whether what is known of the container says that its program is not root.
    pub(super) fn is_no_root(&self, container: &ContainerView<'_>) -> Result<bool, String> {
        let pod = &self.pod()?.spec["securityContext"];
        let own = &container.json["securityContext"];
        let either = |key: &str| match own[key].is_null() {
            true => pod[key].clone(),
            false => own[key].clone(),
        };
        let user = either("runAsUser").as_u64();
        Ok(user.map_or(either("runAsNonRoot") == true, |user| user != 0))
    }

    pub(super) fn non_root(&self) -> Fields {
        let (container, path) = self.container()?;
        let pod = &self.pod()?.spec["securityContext"];
        let own = &container.json["securityContext"];
        let is_said =
            |context: &Value| context["runAsNonRoot"] == false || context["runAsUser"] == 0;
        if is_said(own) || is_said(pod) {
            return Err("the chart says that the program is root".to_owned());
        }
        if own["runAsUser"].is_u64() {
            let below = ["securityContext", "runAsNonRoot"].map(str::to_owned);
            return Ok(vec![field(path.into_iter().chain(below), json!(true))]);
        }
        let of_pod = |key: &str| self.of_pod(&["securityContext", key]);
        let no_root = field(of_pod("runAsNonRoot")?, json!(true));
        match (pod["runAsUser"].is_u64(), self.figures.user) {
            (true, _) => Ok(vec![no_root]),
            (false, Some(user)) => Ok(vec![no_root, field(of_pod("runAsUser")?, json!(user))]),
            (false, None) => Err("the image may run as root: set `runAsUser` to a user that its program can run as, too".to_owned()),
        }
    }

    pub(super) fn drop_capabilities(&self) -> Fields {
        let (container, path) = self.container()?;
        if !container.json["securityContext"]["capabilities"]["drop"].is_null() {
            return Err("`capabilities.drop` has a value that somebody chose".to_owned());
        }
        if !self.is_no_root(container)? {
            return Err(
                "the program may be root and need some of them: set `runAsNonRoot` first"
                    .to_owned(),
            );
        }
        let below = ["securityContext", "capabilities", "drop"].map(str::to_owned);
        Ok(vec![field(path.into_iter().chain(below), json!(["ALL"]))])
    }

    pub(super) fn seccomp(&self) -> Fields {
        let pod = self.pod()?;
        let contexts = pod
            .containers
            .iter()
            .map(|container| &container.json["securityContext"]);
        let mut contexts = contexts.chain([&pod.spec["securityContext"]]);
        if contexts.any(|context| !context["seccompProfile"].is_null()) {
            return Err("`seccompProfile` has a value that somebody chose".to_owned());
        }
        let path = self.of_pod(&["securityContext", "seccompProfile", "type"])?;
        Ok(vec![field(path, json!("RuntimeDefault"))])
    }

    pub(super) fn token(&self) -> Fields {
        let spec = self.pod()?.spec;
        if !spec["automountServiceAccountToken"].is_null() {
            return Err(
                "`automountServiceAccountToken` has a value that somebody chose".to_owned(),
            );
        }
        if spec["serviceAccountName"]
            .as_str()
            .is_none_or(|name| name == "default")
        {
            return Err(
                "others may have given the account `default` rights that the program uses"
                    .to_owned(),
            );
        }
        Ok(vec![field(
            self.of_pod(&["automountServiceAccountToken"])?,
            json!(false),
        )])
    }
}
