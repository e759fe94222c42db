//! Connection URLs of Postgres (libpq, "Connection URIs"): found in a chart's values, and written for the bridge. Pure.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::release::values::leaves;

/// What needs no encoding anywhere in a URL (RFC 3986, 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// How the schemes of Postgres begin; a driver may follow, as in `postgresql+asyncpg`.
const SCHEMES: [&str; 2] = ["postgresql", "postgres"];

/// What a connection URL says.
#[derive(Clone, Copy)]
pub(super) struct ConnectionParameters<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) database: &'a str,
    pub(super) user: &'a str,
    pub(super) password: &'a str,
}

impl ConnectionParameters<'_> {
    /// The URL, with scheme and parameters as in the one that the chart has.
    pub(super) fn url(&self, like: Option<&str>) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
        let scheme = like.and_then(scheme).unwrap_or(SCHEMES[0]);
        let parameters = like.and_then(|url| url.split_once('?'));
        let parameters = parameters.map_or(String::new(), |(_, rest)| format!("?{rest}"));
        format!(
            "{scheme}://{}:{}@{}:{}/{}{parameters}",
            encoded(self.user),
            encoded(self.password),
            self.host,
            self.port,
            encoded(self.database)
        )
    }
}

/// The scheme of a URL of Postgres.
fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once("://")?;
    let kind = scheme.split('+').next()?;
    SCHEMES.contains(&kind).then_some(scheme)
}

/// The paths of all values that are URLs of Postgres, in the order of the values.
pub(super) fn paths(values: &Value) -> Vec<String> {
    let leaves = leaves(values).into_iter();
    let urls = leaves.filter(|(_, value)| value.as_str().and_then(scheme).is_some());
    urls.map(|(path, _)| path).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CONNECTION: ConnectionParameters<'_> = ConnectionParameters {
        host: "db.shop.svc",
        port: 5439,
        database: "shop_k8s",
        user: "an n",
        password: "p@ss:w/rd?1%",
    };

    #[test]
    fn user_and_password_are_encoded_and_scheme_and_parameters_kept() {
        let rest = "://an%20n:p%40ss%3Aw%2Frd%3F1%25@db.shop.svc:5439/shop_k8s";
        assert_eq!(CONNECTION.url(None), format!("postgresql{rest}"));
        let like = "postgres+asyncpg://a:b@c/d?sslmode=disable&schema=public";
        let expected = format!("postgres+asyncpg{rest}?sslmode=disable&schema=public");
        assert_eq!(CONNECTION.url(Some(like)), expected);
        assert_eq!(CONNECTION.url(Some("")), format!("postgresql{rest}"));
    }

    #[test]
    fn urls_of_postgres_are_found_and_others_are_not() {
        let values = json!({
            "databaseUrl": "postgres://a@b/c",
            "redisUrl": "redis://a",
            "api": {"env": {"DATABASE.URL": "postgresql+psycopg://x", "NAME": "postgres"}},
        });
        assert_eq!(paths(&values), ["databaseUrl", "api.env.DATABASE\\.URL"]);
    }
}
