use proptest::prelude::*;

use super::*;

/// Texts with a secret each, which stands where `§` does.
const PLACES: &[&str] = &[
    "postgres://app:§@db:5432/shop",
    "http://a:80/x then redis://:§@cache/0 and http://b:8080/y",
    "mongodb://u:§@h1:27017,h2:27017/x?replicaSet=r",
    "hosts=http://a:9200,https://u:§@b:9200",
    "user:§@tcp(db:3306)/shop?parseTime=true",
    "user:§@unix(/run/mysqld.sock)/shop",
    "dsn=root:§@/shop",
    "HTTP_PROXY=me:§@proxy.example.com:3128",
    "jdbc:oracle:thin:scott/§@db:1521/x",
    "jdbc:postgresql://db:5432/shop?user=app&password=§&ssl=true",
    "host=db port=5432 user=app password=§ dbname=shop",
    "host=db password='§' dbname=shop",
    "Server=db;User Id=sa;Password=§;Trust Server Certificate=true",
    "Pwd = §;Server=db",
    "DB_PASSWORD=§",
    "export API_TOKEN=\"§\"",
    "level=info apiKey=§, next=1",
    "connecting with {user=app, password=§}",
    "Authorization: Bearer §",
    "curl -H 'Authorization: Token §' http://api:8080/",
    "{\"Authorization\":\"Bearer §\"}",
    "X-Api-Key: §",
    "curl -H \"PRIVATE-TOKEN: §\" http://api/",
    "Set-Cookie: session=§; Path=/",
    "curl -u app:§ http://api/",
    "server --password § --port 80",
    "server --db-password=§ --port 80",
    "server --token '§'",
    "[\"--password\", \"§\"]",
    "mysql -h db -u root -p§ shop",
    "sshpass -p § ssh host",
    "docker login -u me -p § registry.example.com",
    "redis-cli -h cache -a § ping",
    "redis-server --requirepass §",
    "{\"password\":\"§\"}",
    "{\"user\": \"app\", \"clientSecret\": \"§\", \"a\": 1}",
    "{\\\"password\\\":\\\"§\\\",\\\"a\\\":1}",
    "{'api_key': '§', 'a': 1}",
    "{\"name\":\"DB_PASSWORD\",\"value\":\"§\"}",
    "password: §",
    "db:\n  password: \"§\"\n  host: db",
    "login failed with password: § for app",
    "https://api/x?access_token=§&a=1",
    "-----BEGIN RSA PRIVATE KEY-----\n§\n-----END RSA PRIVATE KEY-----",
];

/// Texts that hold no secret.
const ORDINARY: &[&str] = &[
    "http://host:8080/path",
    "http://host:8080/path@x",
    "http://[::1]:8080/x@y",
    "http://a:1,http://b:2",
    "postgres://db:5432/shop",
    "postgres://app@db:5432/shop",
    "postgres://app:$PASSWORD@db/shop",
    "postgres://app:${DB_PASSWORD}@db/shop",
    "postgres://app:[masked]@db/shop",
    "redis:7",
    "busybox:1.36@sha256:9ae97d36d26566ff84e8893c64a6dc4fe8ca6d1144bf5b87b2b85a32def253c7",
    "docker-pullable://redis:7@sha256:9ae97d36d26566ff84e8893c64a6dc4fe8ca6d1144bf5b87b2b85a32def253c7",
    "2026-01-02T10:00:00Z",
    "10:00:00",
    "a@b.c",
    "mailto:a@b.c",
    "git@github.com:org/repo.git",
    "user@host:22",
    "npm:pkg@1.2.3",
    "@scope/pkg@1.2.3",
    "secretName: shop-tls",
    "secret=shop/shop-tls",
    "existingSecret: shop-db",
    "kubectl get secret shop-keys --namespace shop",
    "the password is missing",
    "invalid password: expired",
    "token expired",
    "bearer tokens are refused",
    "Basic authentication is required",
    "Authorization: required",
    "--password-stdin",
    "`--password` is missing",
    "the flag --token is unknown",
    "PASSWORD=$PASSWORD",
    "PASSWORD=",
    "PASSWORD=[masked]",
    "--password=(left out)",
    "--token TOKEN",
    "PWD=/srv",
    "passwordRequired=true",
    "tokens=512",
    "{\"secretKeyRef\":{\"name\":\"db\",\"key\":\"password\"}}",
    "{\"password\":null}",
    "docker run --user 1000:1000 redis",
    "psql -p 5432 -h db",
    "redis-cli -p 6379",
    "sk-worker-of-the-shop-and-more",
    "[info] http://shop:80 answers 200 (3 ms)",
];

fn secret() -> impl Strategy<Value = String> {
    // Some with signs that drivers take, all with the digits that no word has.
    "[A-Za-z][A-Za-z0-9!*_+~]{5,20}[0-9][A-Za-z0-9]"
}

fn among() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..ORDINARY.len(), 0..4)
}

fn joined(lines: &[usize]) -> String {
    lines
        .iter()
        .map(|at| format!("{}\n", ORDINARY[*at]))
        .collect()
}

#[test]
fn every_form_is_a_pattern() {
    assert_eq!((KEYS.len(), LINES.len(), addresses::BARE.len()), (6, 14, 4));
    assert!(SETTING.is_some() && FIELD.is_some());
}

#[test]
fn a_secret_is_hidden_wherever_it_stands_and_nothing_else_is() {
    for place in PLACES {
        for secret in ["hunter22", "Tr0ub4dor"] {
            let hidden = without_secrets(&place.replace('§', secret), "§");
            let expected = match *place {
                // All pairs of a cookie go.
                cookie if cookie.starts_with("Set-Cookie") => "Set-Cookie: §",
                // So do the ends of its lines.
                key if key.starts_with("-----") => {
                    "-----BEGIN RSA PRIVATE KEY-----§-----END RSA PRIVATE KEY-----"
                }
                other => other,
            };
            assert_eq!(hidden, expected);
        }
    }
}

#[test]
fn ordinary_text_is_left_as_it_was() {
    for text in ORDINARY {
        assert_eq!(without_secrets(text, "§"), *text);
    }
    let all: Vec<_> = (0..ORDINARY.len()).collect();
    assert_eq!(without_secrets(&joined(&all), "§"), joined(&all));
}

#[test]
fn keys_and_tokens_are_known_by_how_they_begin() {
    let long = "aB3".repeat(14);
    for token in [
        format!("AKIA{}", "A1".repeat(8)),
        format!("ghp_{}", &long[..36]),
        format!("github_pat_{long}"),
        format!("glpat-{}", &long[..20]),
        format!("xoxb-{long}"),
        format!("sk-proj-{long}"),
        format!("sk_live_{long}"),
        format!("npm_{}", &long[..36]),
        format!("eyJhbGciOiJIUzI1NiJ9.{long}.{long}"),
        format!("hvs.{long}"),
    ] {
        let text = format!("with {token}, then `{token}` and x={token}");
        let hidden = without_secrets(&text, "§");
        assert_eq!(hidden, "with §, then `§` and x=§", "{token}");
        assert!(has_known_key(&token), "{token}");
    }
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{long}\n{long}\n-----END PRIVATE KEY-----\n");
    for text in [
        pem.clone(),
        pem[..90].to_owned(),
        pem.replace('\n', "\\n"),
        STANDARD.encode(&pem),
    ] {
        assert!(!without_secrets(&text, "§").contains("aB3aB3"), "{text}");
        assert!(
            !without_secrets(&text, "§").contains(&STANDARD.encode(&pem)[60..80]),
            "{text}"
        );
    }
    let certificate = pem.replace("PRIVATE KEY", "CERTIFICATE");
    assert_eq!(without_secrets(&certificate, "§"), certificate);
}

#[test]
fn words_of_a_command_are_secrets_by_the_word_before() {
    let secret = |words: &[&str]| secret_words(words);
    assert_eq!(
        secret(&["server", "--password", "x", "--port", "80"]),
        [false, false, true, false, false]
    );
    assert_eq!(
        secret(&["redis-cli", "-a", "hunter2", "ping"]),
        [false, false, true, false]
    );
    assert_eq!(
        secret(&["sh", "-c", "psql postgres://u:p@h/x"]),
        [false, false, true]
    );
    assert_eq!(secret(&["psql", "-p", "5432"]), [false; 3]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]
    #[test]
    fn a_planted_secret_never_survives(secret in secret(), at in 0..PLACES.len(), before in among(), after in among()) {
        let text = format!("{}{}\n{}", joined(&before), PLACES[at].replace('§', &secret), joined(&after));
        let hidden = without_secrets(&text, "[masked]");
        prop_assert!(!hidden.contains(&secret), "{hidden}");
        prop_assert!(hidden.starts_with(&joined(&before)) && hidden.ends_with(&joined(&after)), "{hidden}");
        prop_assert_eq!(without_secrets(&hidden, "[masked]"), hidden);
    }

    #[test]
    fn no_text_makes_it_panic(text in "(\\PC|[\\\\\"':=@/ \n]|://|password|--token|Bearer ){0,60}") {
        let spans = secret_spans(&text);
        prop_assert!(spans.windows(2).all(|pair| pair[0].end <= pair[1].start));
        without_secrets(&text, "§");
    }
}
