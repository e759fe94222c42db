//! Which database an image serves, by its name.

use super::Kind;

/// Images whose names begin like a server's and that are none.
const TOOLS: [&str; 21] = [
    "admin",
    "agent",
    "backup",
    "bouncer",
    "cli",
    "client",
    "commander",
    "cron",
    "dump",
    "exporter",
    "express",
    "gui",
    "insight",
    "migrate",
    "migrations",
    "operator",
    "proxy",
    "sentinel",
    "stat",
    "ui",
    "web",
];

/// Names of server images beyond the words of [`super::WORDS`].
const SERVERS: [(&str, Kind); 6] = [
    ("timescale", Kind::Postgres),
    ("paradedb", Kind::Postgres),
    ("citus", Kind::Postgres),
    ("keydb", Kind::Redis),
    ("dragonfly", Kind::Redis),
    ("ferretdb", Kind::Mongo),
];

/// The database that a container of this image serves: `docker.io/bitnami/postgresql:16` → Postgres.
pub fn serves(image: &str) -> Option<Kind> {
    let name = image.split('@').next()?.rsplit('/').next()?;
    let name = name.split(':').next()?.to_ascii_lowercase();
    let words: Vec<_> = name.split(['-', '_', '.']).collect();
    if words.iter().any(|word| TOOLS.contains(word)) {
        return None;
    }
    let of_word = |word: &&str| {
        let known = SERVERS
            .iter()
            .find(|(known, _)| known == word)
            .map(|(_, kind)| *kind);
        known.or_else(|| Kind::in_words(word))
    };
    words.iter().find_map(of_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_told_from_a_tool_for_it() {
        for image in [
            "postgres",
            "postgres:16-alpine",
            "docker.io/bitnami/postgresql:16",
            "postgis/postgis@sha256:ab",
            "my-postgres",
        ] {
            assert_eq!(serves(image), Some(Kind::Postgres), "{image}");
        }
        assert_eq!(serves("registry:5000/mariadb:11"), Some(Kind::Mysql));
        assert_eq!(serves("mongo:7"), Some(Kind::Mongo));
        assert_eq!(serves("valkey/valkey:8"), Some(Kind::Redis));
        for image in [
            "postgrest/postgrest",
            "postgres-exporter",
            "mongo-express",
            "redis-commander:1",
            "shop/api",
            "",
        ] {
            assert_eq!(serves(image), None, "{image}");
        }
    }
}
