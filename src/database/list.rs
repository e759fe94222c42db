//! Variables that list databases: `POSTGRES_MULTIPLE_DATABASES=app,shop:owner`. The official images have
//! none; init scripts of this kind are everywhere, and so are these names.

use super::group::server_of;
use super::{ContainerEnv, Kind, Named, is_literal};

/// The databases of a variable whose name says that it lists them. Items are parted by commas,
/// semicolons or spaces; one may be `name:owner`, or `name:owner:password`, of which the last is dropped.
pub(super) fn named(
    served: Option<Kind>,
    key: &str,
    value: &str,
    variables: &ContainerEnv,
) -> Vec<Named> {
    let upper = key.to_ascii_uppercase();
    let last = upper.rsplit('_').next().unwrap_or_default();
    if !matches!(last, "DATABASES" | "DBS") || value.contains("://") {
        return vec![];
    }
    let kind = Kind::in_words(&upper).or(served).unwrap_or(Kind::Postgres);
    // A number is how many a Redis has.
    if kind == Kind::Redis
        || (Kind::in_words(&upper).is_none() && value.trim().parse::<u64>().is_ok())
    {
        return vec![];
    }
    let server = server_of(kind, &upper, variables);
    let items = value.split(|c: char| c.is_whitespace() || ",;".contains(c));
    let items = items.map(|item| item.trim_matches(['[', ']', '"', '\'']));
    let named = |item: &str| {
        let mut parts = item.split(':');
        let name = parts
            .next()
            .filter(|name| is_literal(name) && !name.contains(['/', '=']))?
            .to_owned();
        let user = parts
            .next()
            .filter(|user| is_literal(user))
            .map(str::to_owned);
        Some(Named {
            kind,
            name,
            server: server.clone(),
            user,
            via: key.to_owned(),
        })
    };
    items.filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(key: &str, value: &str) -> Vec<String> {
        let found = named(None, key, value, &ContainerEnv::new());
        found
            .into_iter()
            .map(|n| {
                n.user
                    .map_or(n.name.clone(), |user| format!("{}:{user}", n.name))
            })
            .collect()
    }

    #[test]
    fn items_are_parted_in_any_way_and_may_name_an_owner() {
        assert_eq!(
            read("POSTGRES_MULTIPLE_DATABASES", "app,shop:bob"),
            ["app", "shop:bob"]
        );
        assert_eq!(
            read("POSTGRES_DATABASES", "app; shop\nlitellm"),
            ["app", "shop", "litellm"]
        );
        assert_eq!(read("EXTRA_DBS", r#"["a", "b"]"#), ["a", "b"]);
        assert_eq!(read("DATABASES", "a:u:secret"), ["a:u"]);
    }

    #[test]
    fn what_lists_no_databases_is_left_alone() {
        assert_eq!(read("REDIS_DATABASES", "16"), [""; 0]);
        assert_eq!(read("MAX_DATABASES", "5"), [""; 0]);
        assert_eq!(read("POSTGRES_DB", "a,b"), [""; 0]);
        assert_eq!(read("POSTGRES_DATABASES", " , ;"), [""; 0]);
    }
}
