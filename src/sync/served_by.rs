//! How saves reach the program that runs in a container, by what runs there. Pure.

use std::path::Path;

use super::processes::Process;
use super::reloader;
use super::script::Writing;

/// What notices saved files in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServedBy {
    /// A program that notices changed files by itself.
    Reloader(&'static str),
    /// A server that reads a file for each request.
    FileServer(&'static str),
}

/// Servers that do nothing but read files, and PHP's, which reads its scripts for each request.
const FILE_SERVERS: [&str; 9] = [
    "httpd",
    "apache2",
    "nginx",
    "lighttpd",
    "caddy",
    "php",
    "php-fpm",
    "http.server",
    "http-server",
];

/// `php artisan serve`: behind those stand a command's own words.
const MAX_PHP_WORDS: usize = 3;

/// What runs beside a program and serves nothing: shells, what starts and reaps others, and what devk runs itself.
const ASIDE: [&str; 14] = [
    "sh",
    "bash",
    "ash",
    "dash",
    "tini",
    "docker-init",
    "dumb-init",
    "pause",
    "sleep",
    "tail",
    "tr",
    "tar",
    "head",
    "cat",
];

impl ServedBy {
    /// What the processes of a container are, each told by its words. None: nothing there is known to notice a file.
    pub(super) fn of(processes: &[Vec<String>]) -> Option<Self> {
        let reloader = processes.iter().find_map(|words| reloader_of(words));
        reloader
            .map(Self::Reloader)
            .or_else(|| file_server(processes))
    }

    /// Whether a save of this path, absolute in the container, reaches the program. A server reads its own settings
    /// once.
    pub(super) fn takes(self, path: &Path) -> bool {
        match self {
            Self::Reloader(_) => true,
            Self::FileServer(_) => !is_configuration(path),
        }
    }

    pub(super) fn writing(self) -> Writing {
        match self {
            Self::Reloader(program) if reloader::needs_same_file(program) => Writing::InPlace,
            _ => Writing::Rename,
        }
    }

    /// Whether the program loads a save without a new process: of that no process tells.
    pub(super) fn loads_by_itself(self) -> bool {
        match self {
            Self::Reloader(program) => reloader::loads_by_itself(program),
            Self::FileServer(_) => true,
        }
    }

    /// In words for the user.
    pub(super) fn told(self) -> String {
        match (self, self.writing()) {
            (Self::Reloader(program), Writing::InPlace) => {
                format!("`{program}` restarts with each save, written in place")
            }
            (Self::Reloader(program), Writing::Rename) => format!("`{program}` reloads"),
            (Self::FileServer(program), _) => format!("`{program}` reads files at each request"),
        }
    }
}

/// The reloader that a process is. A shell is none, whatever the text says that it is to run.
pub(super) fn reloader_of(words: &[String]) -> Option<&'static str> {
    let is_shell = words.first().is_some_and(|word| is_aside(word));
    let has_text = is_shell
        && words
            .get(1)
            .is_some_and(|word| word.starts_with('-') && word.ends_with('c'));
    if has_text {
        return None;
    }
    reloader::of_process(&switched(words))
}

/// A switch that is off is none.
fn switched(words: &[String]) -> Vec<String> {
    let is_off = |word: &&String| {
        word.split_once('=').is_some_and(|(name, value)| {
            name == "FLASK_DEBUG" && matches!(value, "" | "0" | "false")
        })
    };
    words.iter().filter(|word| !is_off(word)).cloned().collect()
}

/// The server, if nothing but servers runs: beside another program it is a proxy, and does not read that one's files.
fn file_server(processes: &[Vec<String>]) -> Option<ServedBy> {
    let mut found = None;
    for words in processes {
        let first = words.iter().flat_map(|word| word.split_whitespace()).next();
        if first.is_none_or(is_aside) {
            continue;
        }
        found = Some(server_of(words)?);
    }
    found.map(ServedBy::FileServer)
}

/// The file server that a process is. PHP is one as a web server alone: what else it runs, it reads once.
pub(super) fn server_of(words: &[String]) -> Option<&'static str> {
    let words: Vec<_> = words
        .iter()
        .flat_map(|word| word.split_whitespace())
        .collect();
    if words.first().is_none_or(|word| is_aside(word)) {
        return None;
    }
    let names = |program: &&str| reloader::names_program(&words[..words.len().min(3)], program);
    let found = FILE_SERVERS.into_iter().find(names)?;
    // A command of a framework that serves starts `php -S`.
    let serves = || {
        let is_switch = |word: &&&str| word.starts_with('-');
        let mut switches = words.iter().skip(1).take_while(is_switch);
        let is_serving = switches.any(|word| word.starts_with("-S"));
        is_serving
            || words
                .iter()
                .take(MAX_PHP_WORDS)
                .any(|word| *word == "serve")
    };
    (found != "php" || serves()).then_some(found)
}

/// Whether a process is a program, and does not only stand beside one.
pub(super) fn is_program(process: &Process) -> bool {
    process.words.first().is_some_and(|word| !is_aside(word))
}

/// Whether the program of a process, by its first word, only stands beside another one. A login shell has a dash.
fn is_aside(word: &str) -> bool {
    let name = word.trim_start_matches('-').rsplit('/').next();
    ASIDE.contains(&name.unwrap_or_default())
}

fn is_configuration(path: &Path) -> bool {
    let is_named = |name: &str| matches!(name, "etc" | "conf" | "conf.d" | "Caddyfile");
    let names = || path.iter().filter_map(|part| part.to_str());
    let end = path.extension().and_then(|end| end.to_str());
    names().any(is_named) || matches!(end, Some("conf" | "ini"))
}

/// The programs of a container, for a user who asks why none of them reloads.
pub(super) fn programs(processes: &[Vec<String>]) -> String {
    /// Characters shown.
    const MAX_CHARS: usize = 60;
    let mut lines = processes.iter().map(|words| words.join(" "));
    let first = lines.find(|line| !is_aside(line.split(' ').next().unwrap_or_default()));
    let all = first.or_else(|| processes.first().map(|words| words.join(" ")));
    all.unwrap_or_default().chars().take(MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(processes: &[&str]) -> Option<ServedBy> {
        let words = |text: &&str| text.split(' ').map(str::to_owned).collect();
        ServedBy::of(&processes.iter().map(words).collect::<Vec<_>>())
    }

    #[test]
    fn a_reloader_counts_wherever_it_runs() {
        let script = [
            "/bin/sh ./start.sh",
            "python /usr/local/bin/watchfiles python_app.py .",
        ];
        assert_eq!(of(&script), Some(ServedBy::Reloader("watchfiles")));
        let flask = |switch: &str| of(&[&format!("python /usr/local/bin/flask run {switch}")]);
        assert_eq!(flask("FLASK_DEBUG=1"), Some(ServedBy::Reloader("flask")));
        assert_eq!(flask("FLASK_DEBUG=0"), None);
        assert_eq!(of(&["python -u app.py"]), None);
        // What a shell is to run perhaps does not run.
        let text = ["sh -c if false; then node --watch a.js; fi", "node a.js"];
        assert_eq!(of(&text), None);
        assert_eq!(of(&["bash -ec node --watch a.js"]), None);
        assert_eq!(
            of(&["sh /bin/nodemon"]),
            Some(ServedBy::Reloader("nodemon"))
        );
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_file_server_counts_if_nothing_else_runs() {
        let nginx = [
            "nginx: master process nginx -g daemon off;",
            "nginx: worker process",
        ];
        assert_eq!(of(&nginx), Some(ServedBy::FileServer("nginx")));
        assert_eq!(
            of(&["sh", "httpd -f -p 8080"]),
            Some(ServedBy::FileServer("httpd"))
        );
        assert_eq!(
            of(&["python -m http.server 8000"]),
            Some(ServedBy::FileServer("http.server"))
        );
        assert_eq!(of(&[nginx[0], "python app.py"]), None);
        assert_eq!(of(&["sh", "sleep 1"]), None);
    }

    #[test]
    fn php_reads_a_script_at_each_request_only_as_a_web_server() {
        for (words, is_server) in [
            (
                "php-fpm: master process (/usr/local/etc/php-fpm.conf)",
                true,
            ),
            ("apache2 -DFOREGROUND", true),
            ("php -S 0.0.0.0:8000 -t public", true),
            ("php -d memory_limit=-1 worker.php", false),
            ("/usr/local/bin/php -S0.0.0.0:80 router.php", true),
            ("php artisan serve --host=0.0.0.0", true),
            ("php artisan queue:work", false),
            ("php artisan queue:work --queue serve", false),
            ("php artisan horizon", false),
            ("php artisan octane:start", false),
            ("php artisan schedule:work", false),
            ("php worker.php", false),
            ("php worker.php -S", false),
        ] {
            assert_eq!(of(&[words]).is_some(), is_server, "{words}");
        }
        let beside = ["php -S 0.0.0.0:80", "php artisan queue:work"];
        assert_eq!(of(&beside), None);
    }

    #[test]
    fn the_settings_of_a_file_server_are_read_once() {
        let nginx = ServedBy::FileServer("nginx");
        assert!(nginx.takes(Path::new("/usr/share/nginx/html/index.html")));
        for path in [
            "/etc/nginx/conf.d/default.conf",
            "/srv/site.conf",
            "/usr/local/etc/php/x",
        ] {
            assert!(!nginx.takes(Path::new(path)), "{path}");
        }
    }
}
