//! A whole project: names, secrets and files that services share, then each service, then what they wait for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::environment::EnvironmentContext;
use super::files::BoundFiles;
use super::images::FactsOfServices;
use super::keys::ServiceKeys;
use super::mounts::MountContext;
use super::network::ComposeNames;
use super::secret_search::read_secrets;
use super::secrets::SecretBook;
use super::service::{FIRST_VERSION, FoundComponent, ProjectContext, component, images};
use super::waits;
use crate::compose::{WholeCompose, YamlNode};
use crate::new_chart::model::{
    Carried, ChartModel, Component, ComposeKeyNote, SecretKey, SharedClaim,
};
use crate::new_chart::names::{RESERVED_KEYS, service_name, unlike, values_key};
use crate::place::Origin;

/// A chart out of a Compose project, and what is not in it.
#[derive(Debug)]
pub struct ComposeChart {
    pub(in crate::new_chart) model: ChartModel,
    /// Every key of the Compose files that the chart does not have, or has in another way.
    pub notes: Vec<ComposeKeyNote>,
    /// The chart's secrets.
    pub secrets: Vec<LocalSecret>,
    /// Values of this machine but for the secrets: what `.env`, the shell and env files that git ignores say.
    pub local: Map<String, Value>,
}

/// One secret with its value on this machine.
#[derive(Clone, PartialEq, Eq)]
pub struct LocalSecret {
    /// Below `secrets` in the values.
    pub key: String,
    /// Empty: nobody here knows it.
    pub value: String,
    /// Variables and files that are it.
    pub names: Vec<String>,
    pub at: Origin,
    /// By its names a made-up value serves as well.
    pub is_of_stack: bool,
}

impl std::fmt::Debug for LocalSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalSecret")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// Reads a project. `alone` is the same project read without `.env` and the shell, `root` the repository's folder.
pub fn from_compose(
    name: &str,
    root: &Path,
    whole: &WholeCompose,
    alone: Option<&WholeCompose>,
    facts: &FactsOfServices,
) -> ComposeChart {
    let files = BoundFiles::new(root);
    let names = ComposeNames::of(whole);
    let mut book = SecretBook::default();
    read_secrets(&mut book, whole, alone, &files);
    let one_shots = waits::one_shots(whole);
    let context = ProjectContext {
        mounts: MountContext {
            whole,
            files: &files,
            names: &names,
            secrets: &book,
        },
        environment: EnvironmentContext {
            compose: &whole.compose,
            alone: alone.map(|alone| &alone.compose),
            files: &files,
            names: &names,
        },
        facts,
        one_shots: &one_shots,
        alone,
        root,
    };
    let mut building = Building::default();
    let keys: Vec<_> = whole.services.values().map(ServiceKeys::new).collect();
    building.components(&context, &keys);
    building.waits(&keys, facts);
    for keys in keys {
        building.notes.extend(keys.notes());
    }
    building.whole(whole, &names);
    let used: BTreeSet<_> = building
        .components
        .values()
        .flat_map(|found| used_secrets(&found.component))
        .collect();
    let secrets = book
        .found
        .iter()
        .filter(|secret| used.contains(&secret.key));
    let secrets: Vec<_> = secrets
        .map(|secret| LocalSecret {
            key: secret.key.clone(),
            value: secret.value.clone(),
            names: secret.names.clone(),
            at: secret.at.clone(),
            is_of_stack: secret.is_of_stack(),
        })
        .collect();
    building.chart(name, root, secrets)
}

fn used_secrets(component: &Component) -> Vec<String> {
    let files = component
        .mounts
        .iter()
        .filter_map(|mount| match &mount.source {
            crate::new_chart::model::MountSource::Secret { key, .. } => Some(key.clone()),
            _ => None,
        });
    component
        .secret_env
        .values()
        .cloned()
        .chain(files)
        .collect()
}

#[derive(Default)]
struct Building {
    /// By service.
    components: BTreeMap<String, FoundComponent>,
    notes: Vec<ComposeKeyNote>,
}

impl Building {
    fn components(&mut self, context: &ProjectContext<'_>, keys: &[ServiceKeys<'_>]) {
        let compose = context.environment.compose;
        let images = images(&compose.name, compose.services.values());
        let mut taken: BTreeSet<String> = BTreeSet::new();
        for keys in keys {
            let Some(service) = compose.services.get(keys.name) else {
                continue;
            };
            let Some(image) = images.get(keys.name) else {
                keys.note_key(
                    "image",
                    Carried::No,
                    "the service has neither an image nor a build",
                );
                continue;
            };
            let is_taken = |name: &str| taken.contains(name) || RESERVED_KEYS.contains(&name);
            let key = unlike(values_key(keys.name), is_taken, "");
            let others = self.components.values();
            let name = unlike(
                service_name(keys.name),
                |name| others.clone().any(|other| other.component.name == name),
                "-",
            );
            taken.insert(key.clone());
            let found = component(context, keys, service, image.clone(), (name, key));
            self.components.insert(keys.name.to_owned(), found);
        }
        self.one_owner_a_name(keys);
    }

    /// Of services that share a name, the first has the Service.
    fn one_owner_a_name(&mut self, keys: &[ServiceKeys<'_>]) {
        let own: Vec<_> = self
            .components
            .values()
            .filter_map(|found| found.component.services.first().cloned())
            .collect();
        let mut taken: BTreeSet<String> = own.into_iter().collect();
        for keys in keys {
            let Some(found) = self.components.get_mut(keys.name) else {
                continue;
            };
            let Some((first, rest)) = found.component.services.split_first() else {
                continue;
            };
            let mut kept = vec![first.clone()];
            for name in rest {
                match taken.insert(name.clone()) {
                    true => kept.push(name.clone()),
                    false => keys.note_key("networks", Carried::No, format!("another service has the name `{name}`, too; a Service leads to one of them")),
                }
            }
            found.component.services = kept;
        }
    }

    fn waits(&mut self, keys: &[ServiceKeys<'_>], facts: &FactsOfServices) {
        let all: BTreeMap<_, _> = self
            .components
            .iter()
            .map(|(name, found)| (name.clone(), found.component.clone()))
            .collect();
        for keys in keys {
            let waits = waits::waits(keys, &all, facts);
            if let Some(found) = self.components.get_mut(keys.name) {
                found.component.waits = waits;
            }
        }
    }

    /// What stands beside the services.
    fn whole(&mut self, whole: &WholeCompose, names: &ComposeNames) {
        for (from, to) in names.renamed() {
            let at = whole
                .services
                .get(from)
                .map(|entry| Origin::from(&entry.place));
            let at = at.unwrap_or_else(|| Origin::from(&whole.root.place));
            let why = format!(
                "DNS takes no `{from}`: the Service is {to}. Addresses in variables, commands and copied files are changed; those in the code of the programs are not"
            );
            self.notes.push(ComposeKeyNote::new(
                Some(from),
                "name",
                &at,
                Carried::Changed,
                why,
            ));
        }
        for section in whole.root.entries() {
            if [
                "configs", "include", "name", "networks", "secrets", "services", "version",
                "volumes",
            ]
            .contains(&section.key.as_str())
                || section.key.starts_with("x-")
            {
                continue;
            }
            self.notes.push(ComposeKeyNote::new(
                None,
                &section.key,
                &Origin::from(&section.place),
                Carried::No,
                "the chart has nothing that stands for it",
            ));
        }
        for network in whole
            .root
            .get("networks")
            .map(YamlNode::entries)
            .unwrap_or_default()
        {
            for entry in network
                .value
                .entries()
                .iter()
                .filter(|entry| !["name", "external"].contains(&entry.key.as_str()))
            {
                if entry.value.is_null() {
                    continue;
                }
                let key = format!("networks.{}.{}", network.key, entry.key);
                self.notes.push(ComposeKeyNote::new(None, &key, &Origin::from(&entry.place), Carried::No, "all pods of a cluster share one network; with `networkPolicy.enabled` only those of one Compose network reach each other"));
            }
        }
    }

    fn chart(mut self, name: &str, root: &Path, secrets: Vec<LocalSecret>) -> ComposeChart {
        let mut local = Map::new();
        let mut model = ChartModel {
            name: service_name(name),
            description: format!("The services of the Compose project {name}"),
            app_version: FIRST_VERSION.to_owned(),
            ..ChartModel::default()
        };
        for found in self.components.into_values() {
            let mut own = found.local;
            for (key, values) in [
                ("env", found.environment.local_env),
                ("envFile", found.environment.local_env_file),
            ] {
                if !values.is_empty() {
                    own.insert(key.to_owned(), json!(values));
                }
            }
            if !own.is_empty() {
                local.insert(found.component.key.clone(), own.into());
            }
            for claim in found.mounts.shared {
                if !model
                    .claims
                    .iter()
                    .any(|known: &SharedClaim| known.key == claim.key)
                {
                    model.claims.push(claim);
                }
            }
            model.files.extend(found.mounts.copied);
            model.components.push(found.component);
        }
        model.secrets = secrets
            .iter()
            .map(|secret| {
                let file = secret.at.file.strip_prefix(root).unwrap_or(&secret.at.file);
                SecretKey {
                    key: secret.key.clone(),
                    comment: format!(
                        "{} ({}:{})",
                        secret.names.join(", "),
                        file.display(),
                        secret.at.line
                    ),
                }
            })
            .collect();
        self.notes.sort_by(|a, b| {
            (&a.file, a.line, &a.key, &a.why).cmp(&(&b.file, b.line, &b.key, &b.why))
        });
        self.notes.dedup();
        ComposeChart {
            model,
            notes: self.notes,
            secrets,
            local,
        }
    }
}
