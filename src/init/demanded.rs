//! Stand-ins for the values that a chart demands, for a chart that is only looked at.

use std::path::Path;

use serde_json::{Map, Value};

use super::draft::{DraftRelease, InitSource};
use super::required::{demands, give};
use crate::error::Error;
use crate::release::values::set_path;

/// The values that a chart has demanded so far, one refusal of helm after the other.
#[derive(Debug)]
pub struct DemandedValues {
    release: DraftRelease,
}

impl DemandedValues {
    pub fn new(release: &str, folder: &Path) -> Self {
        let source = InitSource::Chart(folder.to_owned());
        Self {
            release: DraftRelease::new(release.to_owned(), source),
        }
    }

    /// Takes in what helm has refused. False if that is no demand of a value, or one that was answered in vain.
    pub fn learn(&mut self, refusal: &Error, chart: &str) -> bool {
        let demands = demands(refusal, chart, Path::new("/"));
        let mut is_new = false;
        for demand in &demands {
            is_new |= give(&mut self.release, demand);
        }
        is_new
    }

    /// The paths of the values.
    pub fn paths(&self) -> Vec<&str> {
        let set = self.release.set.iter().map(|value| &value.path);
        let secrets = self
            .release
            .generate
            .iter()
            .flat_map(|secret| &secret.paths);
        set.chain(secrets).map(String::as_str).collect()
    }

    /// The values. What would be a secret is a text of its form that nobody can take for one.
    pub fn values(&self) -> Value {
        let mut values = Value::Object(Map::new());
        for given in &self.release.set {
            set_path(&mut values, &given.path, given.value.clone());
        }
        for secret in &self.release.generate {
            for path in &secret.paths {
                set_path(&mut values, path, Value::from(like(&secret.length)));
            }
        }
        values
    }
}

/// A text of the form of a generator: `hex4` is `0000`.
fn like(generator: &str) -> String {
    let digits: String = generator
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .collect();
    match generator {
        "uuid" => "00000000-0000-4000-8000-000000000000".to_owned(),
        base64 if base64.starts_with("base64") => {
            // Of `base6432` the length follows on the name; every three bytes take four characters.
            let bytes: usize = base64["base64".len()..].parse().unwrap_or(32);
            format!("{:A<width$}", "", width = bytes.div_ceil(3) * 4)
        }
        _ => "0".repeat(digits.parse().unwrap_or(32)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn each_refusal_adds_what_it_demands_and_an_answer_in_vain_ends_it() {
        let mut demanded = DemandedValues::new("shop", Path::new("/c"));
        let refusal = Error::new(Code::ChartRender, "the chart does not render")
            .evidence("execution error at (shop/templates/a.yaml:3:4): auth.password is required");
        assert!(demanded.learn(&refusal, "shop"));
        assert_eq!(demanded.paths(), ["auth.password"]);
        let password = &demanded.values()["auth"]["password"];
        assert_eq!(password.as_str().unwrap().len(), 32);
        assert!(!demanded.learn(&refusal, "shop"));
        let other = Error::new(Code::ChartRender, "parse error at shop/templates/a.yaml:3");
        assert!(!demanded.learn(&other, "shop"));
    }

    #[test]
    fn a_stand_in_has_the_form_of_its_generator() {
        assert_eq!(like("hex4"), "0000");
        assert_eq!(like("base643"), "AAAA");
        assert_eq!(like("uuid").len(), 36);
    }
}
