//! What a program may do: less only where it is known that the program needs no more.

use serde_json::{Value, json};

use super::super::super::view::{ContainerView, list};
use super::{Case, Fields, below, chosen};

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
            return Err(chosen("allowPrivilegeEscalation"));
        }
        let keys = ["securityContext", "allowPrivilegeEscalation"];
        Ok(vec![below(&path, &keys, json!(false))])
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
            let keys = ["securityContext", "runAsNonRoot"];
            return Ok(vec![below(&path, &keys, json!(true))]);
        }
        let spec = self.of_pod()?;
        let of_pod = |key: &str, value| below(&spec, &["securityContext", key], value);
        let no_root = of_pod("runAsNonRoot", json!(true));
        match (pod["runAsUser"].is_u64(), self.figures.user) {
            (true, _) => Ok(vec![no_root]),
            (false, Some(user)) => Ok(vec![no_root, of_pod("runAsUser", json!(user))]),
            (false, None) => Err("the image may run as root: set `runAsUser` to a user that its program can run as, too".to_owned()),
        }
    }

    pub(super) fn drop_capabilities(&self) -> Fields {
        let (container, path) = self.container()?;
        if !container.json["securityContext"]["capabilities"]["drop"].is_null() {
            return Err(chosen("capabilities.drop"));
        }
        if !self.is_no_root(container)? {
            return Err(
                "the program may be root and need some of them: set `runAsNonRoot` first"
                    .to_owned(),
            );
        }
        let keys = ["securityContext", "capabilities", "drop"];
        Ok(vec![below(&path, &keys, json!(["ALL"]))])
    }

    pub(super) fn seccomp(&self) -> Fields {
        let pod = self.pod()?;
        let contexts = pod
            .containers
            .iter()
            .map(|container| &container.json["securityContext"]);
        let mut contexts = contexts.chain([&pod.spec["securityContext"]]);
        if contexts.any(|context| !context["seccompProfile"].is_null()) {
            return Err(chosen("seccompProfile"));
        }
        let keys = ["securityContext", "seccompProfile", "type"];
        Ok(vec![below(&self.of_pod()?, &keys, json!("RuntimeDefault"))])
    }

    pub(super) fn token(&self) -> Fields {
        let spec = self.pod()?.spec;
        if !spec["automountServiceAccountToken"].is_null() {
            return Err(chosen("automountServiceAccountToken"));
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
        let keys = ["automountServiceAccountToken"];
        Ok(vec![below(&self.of_pod()?, &keys, json!(false))])
    }
}
