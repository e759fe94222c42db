//! What an image says of itself, and which programs it has, without running it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bollard::Docker;
use bollard::models::{HealthConfig, ImageConfig};

use super::build::inspect;
use super::look::{Places, look};
use crate::error::Result;

/// Where images have their programs.
const FOLDERS: [&str; 3] = ["/bin", "/usr/bin", "/usr/local/bin"];

/// A program that [`facts`] looks for.
pub const KNOWN_PROGRAMS: [&str; 9] = [
    "bash", "curl", "nc", "node", "perl", "php", "python3", "ruby", "sh",
];

/// What is known of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageFacts {
    /// `USER`, or empty: root.
    pub user: String,
    /// `EXPOSE`: port and protocol.
    pub exposed: BTreeSet<(u16, String)>,
    pub healthcheck: Option<ImageHealthcheck>,
    /// Of [`KNOWN_PROGRAMS`]; None: nobody could look.
    pub programs: Option<BTreeSet<String>>,
}

/// `HEALTHCHECK`. Times in nanoseconds; None or 0: Docker's default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageHealthcheck {
    /// `CMD` and words, `CMD-SHELL` and a line, or `NONE`.
    pub test: Vec<String>,
    pub interval: Option<i64>,
    pub timeout: Option<i64>,
    pub start_period: Option<i64>,
    pub start_interval: Option<i64>,
    pub retries: Option<i64>,
}

impl ImageFacts {
    /// Whether it has a program. None: nobody could look.
    pub fn has(&self, program: &str) -> Option<bool> {
        self.programs
            .as_ref()
            .map(|programs| programs.contains(program))
    }
}

/// Asks Docker. None if it does not have the image. `project_id` labels the container that is made to look into it and
/// never started.
///
/// # Errors
/// [`crate::error::Code::DockerRequest`] if the Engine refuses.
pub async fn facts(
    docker: &Docker,
    project_id: &str,
    reference: &str,
) -> Result<Option<ImageFacts>> {
    let Some(image) = inspect(docker, reference).await? else {
        return Ok(None);
    };
    let found = look(docker, project_id, reference, places()).await?;
    let mut facts = said(image.config.unwrap_or_default());
    facts.programs = found.map(|found| {
        let names = found.keys().filter_map(|path| path.file_name());
        names
            .map(|name| name.to_string_lossy().into_owned())
            .collect()
    });
    Ok(Some(facts))
}

fn places() -> Places {
    let folders = FOLDERS.map(PathBuf::from);
    let paths = folders.iter().flat_map(|folder| {
        KNOWN_PROGRAMS
            .iter()
            .map(|program| folder.join(Path::new(program)))
    });
    Places {
        paths: paths.collect(),
        roots: folders.into_iter().collect(),
    }
}

fn said(config: ImageConfig) -> ImageFacts {
    let exposed = config.exposed_ports.unwrap_or_default();
    ImageFacts {
        user: config.user.unwrap_or_default(),
        exposed: exposed
            .iter()
            .flat_map(|port| exposed_ports(port))
            .collect(),
        healthcheck: config.healthcheck.and_then(healthcheck),
        programs: None,
    }
}

/// `80`, `53/udp`, or the ports of a range as `3000-3009`; none for a variable (Dockerfile reference, EXPOSE).
pub fn exposed_ports(text: &str) -> Vec<(u16, String)> {
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse()) else {
        return vec![];
    };
    let protocol = protocol.to_ascii_lowercase();
    (first..=last)
        .map(|port| (port, protocol.clone()))
        .collect()
}

fn healthcheck(config: HealthConfig) -> Option<ImageHealthcheck> {
    let test = config.test.filter(|test| !test.is_empty())?;
    Some(ImageHealthcheck {
        test,
        interval: config.interval,
        timeout: config.timeout,
        start_period: config.start_period,
        start_interval: config.start_interval,
        retries: config.retries,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_have_a_protocol() {
        assert_eq!(exposed_ports("80"), [(80, "tcp".to_owned())]);
        assert_eq!(exposed_ports("53/UDP"), [(53, "udp".to_owned())]);
        let range = [(80, "tcp".to_owned()), (81, "tcp".to_owned())];
        assert_eq!(exposed_ports("80-81"), range);
        assert_eq!(exposed_ports("$PORT"), []);
    }
}
