//! Command-line clients that are given a database: `psql -d app`, `createdb app`, `mysql -D app`.

use super::{Kind, Named, is_literal, servers};

/// A client and how its options are read. Letters take a value, in the same word or the next.
struct Client {
    programs: &'static [&'static str],
    kind: Kind,
    /// Short options that take a value.
    valued: &'static str,
    /// Their long forms: those that matter and those whose value would be taken for a name.
    long: &'static [(&'static str, char)],
    /// The letters of the database, the host, the port and the user.
    letters: [char; 4],
    /// A word that is no option names the database.
    positional: bool,
}

const POSTGRES_LONG: [(&str, char); 5] = [
    ("dbname", 'd'),
    ("host", 'h'),
    ("port", 'p'),
    ("username", 'U'),
    ("command", 'c'),
];

const CLIENTS: [Client; 5] = [
    Client {
        programs: &["psql"],
        kind: Kind::Postgres,
        valued: "cdfvhpULoFPRT",
        long: &POSTGRES_LONG,
        letters: ['d', 'h', 'p', 'U'],
        positional: true,
    },
    Client {
        programs: &["createdb"],
        kind: Kind::Postgres,
        valued: "DEOlThpU",
        long: &[
            ("owner", 'O'),
            ("host", 'h'),
            ("port", 'p'),
            ("template", 'T'),
            ("encoding", 'E'),
        ],
        // Whose the new database will be, not who logs in.
        letters: ['\0', 'h', 'p', 'O'],
        positional: true,
    },
    Client {
        programs: &["pg_isready", "pg_dump", "pg_restore", "pgbench", "vacuumdb"],
        kind: Kind::Postgres,
        valued: "dhpUtfFjnNTZSsc",
        long: &POSTGRES_LONG,
        letters: ['d', 'h', 'p', 'U'],
        positional: false,
    },
    Client {
        programs: &["mysql", "mariadb"],
        kind: Kind::Mysql,
        valued: "DhPue",
        long: &[
            ("database", 'D'),
            ("host", 'h'),
            ("port", 'P'),
            ("user", 'u'),
            ("execute", 'e'),
        ],
        letters: ['D', 'h', 'P', 'u'],
        positional: true,
    },
    Client {
        programs: &["redis-cli", "valkey-cli"],
        kind: Kind::Redis,
        valued: "nhpau",
        long: &[("user", 'a'), ("pass", 'a')],
        letters: ['n', 'h', 'p', '\0'],
        positional: false,
    },
];

/// Every client's call in a shell script.
pub(super) fn in_script(text: &str, via: &str) -> Vec<Named> {
    let text = text.replace("\\\n", " ");
    let calls = text.split(['\n', ';', '|', '&', '(', ')']).map(words);
    calls
        .flat_map(|words| in_words(&words.iter().map(String::as_str).collect::<Vec<_>>(), via))
        .collect()
}

/// The client's call in a command that is split into words already.
pub(super) fn in_words(words: &[&str], via: &str) -> Vec<Named> {
    let client = |word: &str| {
        let program = word.rsplit('/').next().unwrap_or(word);
        CLIENTS
            .iter()
            .find(|client| client.programs.contains(&program))
    };
    let Some((at, client)) = words
        .iter()
        .enumerate()
        .find_map(|(at, word)| Some((at, client(word)?)))
    else {
        return vec![];
    };
    call(client, &words[at + 1..], via).unwrap_or_default()
}

fn call(client: &Client, words: &[&str], via: &str) -> Option<Vec<Named>> {
    let (options, positional) = parse(client, words);
    let [name, host, port, user] = client.letters;
    let option = |letter| {
        options
            .iter()
            .rfind(|(l, _)| *l == letter)
            .map(|(_, value)| *value)
    };
    let name = option(name).or(positional.filter(|_| client.positional))?;
    // URLs and key=value strings are read as such.
    let is_name = is_literal(name) && !name.contains(['/', '=', ':', '@', '<', '*']);
    let is_name =
        is_name && (client.kind != Kind::Redis || name.bytes().all(|b| b.is_ascii_digit()));
    let user = option(user)
        .filter(|user| is_literal(user))
        .map(str::to_owned);
    let servers = servers(
        option(host).unwrap_or_default(),
        option(port).and_then(|port| port.parse().ok()),
    )?;
    let named = |server| Named {
        kind: client.kind,
        name: name.to_owned(),
        server,
        user: user.clone(),
        via: via.to_owned(),
    };
    is_name.then(|| servers.into_iter().map(named).collect())
}

/// Options by their letter, and the first word that is none.
fn parse<'a>(client: &Client, words: &[&'a str]) -> (Vec<(char, &'a str)>, Option<&'a str>) {
    let mut options = vec![];
    let mut positional = None;
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = long
                .split_once('=')
                .map_or((long, None), |(name, value)| (name, Some(value)));
            let letter = client
                .long
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, letter)| *letter);
            let value = value.or_else(|| letter.and_then(|_| words.next()));
            options.extend(letter.zip(value));
        } else if let Some(cluster) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) {
            // `-tAc SQL`: the first letter that takes a value ends the cluster.
            let Some((at, letter)) = cluster
                .char_indices()
                .find(|(_, c)| client.valued.contains(*c))
            else {
                continue;
            };
            let rest = &cluster[at + letter.len_utf8()..];
            options.extend(
                if rest.is_empty() {
                    words.next()
                } else {
                    Some(rest)
                }
                .map(|value| (letter, value)),
            );
        } else if word.starts_with(['<', '>']) {
            break;
        } else {
            positional = positional.or(Some(word));
        }
    }
    (options, positional)
}

/// Words of a shell line, quotes taken off.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![];
    let mut word = String::new();
    let mut quote = None;
    let mut open = false;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => (quote, open) = (Some(c), true),
            (None | Some('"'), '\\') => word.extend(chars.next()),
            (None, c) if c.is_whitespace() => {
                if open || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
            }
            (_, c) => word.push(c),
        }
    }
    if open || !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::Server;
    use super::*;

    fn read(script: &str) -> Vec<String> {
        let show = |named: Named| {
            let at = match named.server {
                Server::At { host, port } => {
                    format!("@{host}:{}", port.map_or("-".into(), |p| p.to_string()))
                }
                _ => String::new(),
            };
            format!(
                "{:?} {}{at} {}",
                named.kind,
                named.name,
                named.user.unwrap_or_default()
            )
        };
        in_script(script, "X").into_iter().map(show).collect()
    }

    #[test]
    fn clients_are_read_with_short_long_and_attached_options() {
        assert_eq!(
            read("psql -h db -p 5439 -U bob -d app -c 'select 1'"),
            ["Postgres app@db:5439 bob"]
        );
        assert_eq!(
            read("PGPASSWORD=x psql --host=db --dbname app"),
            ["Postgres app@db:- "]
        );
        assert_eq!(
            read("psql -hdb -dapp -tAc \"select 1\""),
            ["Postgres app@db:- "]
        );
        assert_eq!(
            read("until psql -v ON_ERROR_STOP=1 --username bob app <<-EOSQL"),
            ["Postgres app bob"]
        );
        assert_eq!(
            read("createdb -O bob -T template0 app 'what for' && createdb other"),
            ["Postgres app bob", "Postgres other "]
        );
        assert_eq!(read("pg_isready -U bob -d app"), ["Postgres app bob"]);
        assert_eq!(
            read("mysql -h db -uroot -psecret app -e 'x'"),
            ["Mysql app@db:- root"]
        );
        assert_eq!(read("redis-cli -h cache -n 3 ping"), ["Redis 3@cache:- "]);
        assert_eq!(read("/usr/bin/psql \\\n  -d app"), ["Postgres app "]);
    }

    #[test]
    fn what_names_no_database_is_left_alone() {
        for script in [
            "psql -c 'select 1'",
            "psql -d $DB",
            "psql postgres://u@db/app",
            "redis-cli ping",
            "pg_isready",
            "createdb",
            "psql -d",
            "echo 'a",
            "",
        ] {
            assert_eq!(read(script), [""; 0], "{script}");
        }
    }
}
