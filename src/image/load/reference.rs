//! Image references as containerd names them.

/// A reference as containerd names it: `postgres:16` -> `docker.io/library/postgres:16`
/// (distribution/reference's ParseDockerRef: familiar names are Docker Hub's, no tag means `latest`,
/// and a digest displaces the tag).
pub fn normalise(reference: &str) -> String {
    let (name, digest) = match reference.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (reference, None),
    };
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (name, "latest"),
    };
    let full = with_domain(name);
    digest.map_or_else(
        || format!("{full}:{tag}"),
        |digest| format!("{full}@{digest}"),
    )
}

fn with_domain(name: &str) -> String {
    let is_domain = |part: &str| {
        part.contains(['.', ':'])
            || part == "localhost"
            || part.chars().any(|c| c.is_ascii_uppercase())
    };
    match name.split_once('/') {
        Some(("docker.io" | "index.docker.io", path)) if !path.contains('/') => {
            format!("docker.io/library/{path}")
        }
        Some(("index.docker.io", path)) => format!("docker.io/{path}"),
        Some((domain, _)) if is_domain(domain) => name.to_owned(),
        Some(_) => format!("docker.io/{name}"),
        None => format!("docker.io/library/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_named_as_containerd_names_them() {
        let cases = [
            ("postgres", "docker.io/library/postgres:latest"),
            ("postgres:16", "docker.io/library/postgres:16"),
            ("docker.io/postgres:16", "docker.io/library/postgres:16"),
            ("bitnami/redis:7", "docker.io/bitnami/redis:7"),
            (
                "index.docker.io/bitnami/redis:7",
                "docker.io/bitnami/redis:7",
            ),
            ("devk.local/shop/api:0123", "devk.local/shop/api:0123"),
            ("localhost/api", "localhost/api:latest"),
            ("localhost:5000/api:1", "localhost:5000/api:1"),
            ("localhost:5000/api", "localhost:5000/api:latest"),
            ("ghcr.io/a/b@sha256:ff", "ghcr.io/a/b@sha256:ff"),
            ("ghcr.io/a/b:1@sha256:ff", "ghcr.io/a/b@sha256:ff"),
        ];
        let wrong: Vec<_> = cases
            .iter()
            .filter(|(from, to)| normalise(from) != *to)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
