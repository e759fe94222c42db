//! The Docker Engine: which one answers, and whether it can build.

use super::{Check, Status};
use crate::docker::Engine;
use crate::error::Result;

/// BuildKit speaks over HTTP from API 1.39 on (Engine 18.09).
const BUILDKIT_API: (u32, u32) = (1, 39);

pub async fn checks(engine: &Result<Engine>) -> Vec<Check> {
    let engine = match engine {
        Ok(engine) => engine,
        Err(error) => return vec![Check::failed("docker.engine", error)],
    };
    match engine.docker.version().await {
        Ok(version) => {
            let (name, api) = (version.version.unwrap_or_default(), version.api_version.unwrap_or_default());
            let summary = format!("Docker Engine {name} (API {api}) answers at {}", engine.host);
            vec![Check::new("docker.engine", Status::Ok, summary), buildkit(&api)]
        }
        Err(error) => vec![
            Check::new("docker.engine", Status::Error, format!("the Docker Engine at {} is not well", engine.host))
                .evidence(error.to_string())
                .hint("docker version"),
        ],
    }
}

fn buildkit(api: &str) -> Check {
    let numbers: Vec<u32> = api.split('.').filter_map(|part| part.parse().ok()).collect();
    match numbers[..] {
        [major, minor, ..] if (major, minor) >= BUILDKIT_API => {
            Check::new("docker.buildkit", Status::Ok, "the Engine has BuildKit")
        }
        _ => Check::new("docker.buildkit", Status::Error, format!("API {api} has no BuildKit"))
            .hint("install Docker Engine 20.10 or newer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buildkit_needs_api_1_39() {
        assert_eq!(buildkit("1.38").status, Status::Error);
        assert_eq!(buildkit("1.41").status, Status::Ok);
        assert_eq!(buildkit("").status, Status::Error);
    }
}
