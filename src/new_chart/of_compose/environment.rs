//! The variables of a service: what stands in values.yaml, what is a secret, and what only this machine has.
//!
//! values.yaml is committed. So it has what the Compose files and the committed env files say, read without `.env` and
//! without the shell; what these change is in the values of this machine.

use std::collections::BTreeMap;

use super::files::BoundFiles;
use super::keys::ServiceKeys;
use super::network::ComposeNames;
use super::secret_names::is_secret;
use super::secrets::{SecretBook, SecretUse};
use crate::compose::{Compose, Service, Variable};
use crate::new_chart::model::Carried;

/// What the environment of a component is read from.
#[derive(Debug)]
pub(super) struct EnvironmentContext<'a> {
    pub(super) compose: &'a Compose,
    /// The same project without `.env` and the shell.
    pub(super) alone: Option<&'a Compose>,
    pub(super) files: &'a BoundFiles,
    pub(super) names: &'a ComposeNames,
}

/// A component's variables.
#[derive(Debug, Default)]
pub(super) struct FoundEnvironment {
    pub(super) env: BTreeMap<String, String>,
    pub(super) env_file: BTreeMap<String, String>,
    /// Those of this machine, over the two before.
    pub(super) local_env: BTreeMap<String, String>,
    pub(super) local_env_file: BTreeMap<String, String>,
}

/// The variables that are secrets → keys.
pub(super) fn secret_variables(service: &Service, book: &SecretBook) -> BTreeMap<String, String> {
    let secret = |(name, variable): (&String, &Variable)| {
        let key = is_secret(name, &variable.value)
            .then(|| book.of(&variable.value))
            .flatten()?;
        Some((name.clone(), key))
    };
    service.environment.iter().filter_map(secret).collect()
}

impl EnvironmentContext<'_> {
    /// All variables that are no secrets.
    pub(super) fn read(
        &self,
        keys: &ServiceKeys<'_>,
        service: &Service,
        secrets: &SecretUse<'_>,
    ) -> FoundEnvironment {
        keys.take("environment");
        keys.take("env_file");
        let mut found = FoundEnvironment::default();
        let alone = self
            .alone
            .and_then(|alone| alone.services.get(&service.name));
        for (name, variable) in &service.environment {
            if !is_variable(name) {
                keys.note_key(
                    "environment",
                    Carried::No,
                    format!("`{name}` is no name of a variable to Kubernetes"),
                );
                continue;
            }
            if secrets.is_own(name) {
                continue;
            }
            let is_inline = self.compose.files.contains(&variable.origin.file);
            let is_private = !is_inline && self.files.is_private(&variable.origin.file);
            let public = alone
                .and_then(|alone| alone.environment.get(name))
                .filter(|_| !is_private);
            let of_file = !is_inline && !secrets.is_in_value(&variable.value);
            // The kubelet puts variables into `env`, and leaves what comes from a ConfigMap as it is.
            let text = |variable: &Variable| {
                let renamed = self.renamed(keys, name, variable);
                match of_file {
                    true => renamed,
                    false => secrets.in_value(&renamed),
                }
            };
            let actual = text(variable);
            let public = public.map(text);
            let (all, local) = match of_file {
                true => (&mut found.env_file, &mut found.local_env_file),
                false => (&mut found.env, &mut found.local_env),
            };
            if public.as_ref() != Some(&actual) {
                local.insert(name.clone(), actual);
            }
            all.insert(name.clone(), public.unwrap_or_default());
        }
        found
    }

    /// With the names of Services that DNS takes.
    fn renamed(&self, keys: &ServiceKeys<'_>, name: &str, variable: &Variable) -> String {
        let renamed = self.names.in_text(name, &variable.value);
        let at = crate::place::Place {
            file: variable.origin.file.as_path().into(),
            line: variable.origin.line,
        };
        if renamed != variable.value {
            keys.note(
                &format!("environment.{name}"),
                &at,
                Carried::Changed,
                "a name in it is one that DNS does not take: the chart has the name of the Service",
            );
        } else if let Some(left) = self.names.left_in(&variable.value) {
            keys.note(
                &format!("environment.{name}"),
                &at,
                Carried::Changed,
                format!(
                    "`{left}` in it stays as it is: if it is the host, write {}",
                    crate::new_chart::names::service_name(left)
                ),
            );
        }
        renamed
    }
}

/// What a ConfigMap and the API server take.
fn is_variable(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    !name.is_empty() && name.chars().all(is_part) && !name.starts_with(|c: char| c.is_ascii_digit())
}
