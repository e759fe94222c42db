//! Programs that notice changed files by themselves, by the words they are started with. Pure.
//!
//! The words are those of a command that is to be run, or of a process that runs ([`super::served_by`]).

/// A program, the words that make it reload, and those that make it do something else.
struct Known {
    program: &'static str,
    /// One of these must be there; none: it reloads by default.
    with: &'static [&'static str],
    without: &'static [&'static str],
}

const fn known(
    program: &'static str,
    with: &'static [&'static str],
    without: &'static [&'static str],
) -> Known {
    Known {
        program,
        with,
        without,
    }
}

const KNOWN: &[Known] = &[
    known("uvicorn", &["--reload"], &[]),
    known("gunicorn", &["--reload"], &[]),
    known("hypercorn", &["--reload"], &[]),
    known("granian", &["--reload"], &[]),
    known("fastapi", &["dev"], &[]),
    known("flask", &["--debug", "--reload", SWITCH], &["--no-reload"]),
    known("manage.py", &["runserver"], &["--noreload"]),
    known("watchfiles", &[], &[]),
    known("watchmedo", &["auto-restart"], &[]),
    known("nodemon", &[], &[]),
    known("tsx", &["watch"], &[]),
    known("ts-node-dev", &["--respawn"], &[]),
    known("bun", &["--watch", "--hot"], &[]),
    known("deno", &["--watch", "--watch-hmr"], &[]),
    known("vite", &[], &["build", "preview", "optimize"]),
    known("next", &["dev"], &[]),
    known("nuxt", &["dev"], &[]),
    known("astro", &["dev"], &[]),
    known("ng", &["serve"], &[]),
    known("nest", &["--watch"], &[]),
    known("webpack", &["serve"], &[]),
    known("webpack-dev-server", &[], &[]),
    known("react-scripts", &["start"], &[]),
    known("air", &[], &[]),
    known("reflex", &[], &[]),
    known("watchexec", &[], &[]),
    known("entr", &[], &[]),
    known("cargo-watch", &[], &[]),
    known("dotnet", &["watch"], &[]),
    known("rerun", &[], &[]),
    // Programs that node runs have options of the same names.
    known("node", &["--watch", "--watch-path"], &[]),
];

/// The variable that makes Flask reload. A process that has it set is shown with it as its last word.
const SWITCH: &str = "FLASK_DEBUG";

/// Programs that watch a file itself and not its name: they never see what takes its place.
const BY_FILE: [&str; 1] = ["node"];

/// Whether a reloader notices a new content only in the file that it has seen.
pub(super) fn needs_same_file(program: &str) -> bool {
    BY_FILE.contains(&program)
}

/// Programs that watch folders: code elsewhere is not noticed, even if the program has loaded it.
const BY_FOLDER: [&str; 10] = [
    "uvicorn",
    "fastapi",
    "granian",
    "watchfiles",
    "watchmedo",
    "nodemon",
    "air",
    "reflex",
    "watchexec",
    "cargo-watch",
];

/// Whether a reloader watches folders, and not the files that its program has loaded.
pub(super) fn watches_folders(program: &str) -> bool {
    BY_FOLDER.contains(&program)
}

/// Development servers that hand changed modules to pages, and keep their process.
const BY_ITSELF: [&str; 10] = [
    "vite",
    "next",
    "nuxt",
    "astro",
    "ng",
    "webpack",
    "webpack-dev-server",
    "react-scripts",
    "bun",
    "deno",
];

/// Whether a reloader brings a change live in the process that runs.
pub(super) fn loads_by_itself(program: &str) -> bool {
    BY_ITSELF.contains(&program)
}

/// Of these, those that run programs, which may read any file once.
const RUNTIMES: [&str; 2] = ["bun", "deno"];

/// Whether a reloader that keeps its process passes over files which it has not loaded as modules, such as settings.
pub(super) fn passes_over_data(program: &str) -> bool {
    RUNTIMES.contains(&program)
}

/// Settings of development servers that these read once.
const SERVER_SETTINGS: [&str; 3] = ["webpack.config", "angular.json", "craco.config"];

/// Whether a file has a development server's own settings, for which it does not start again.
pub(super) fn is_server_setting(name: &str) -> bool {
    SERVER_SETTINGS
        .iter()
        .any(|setting| name.starts_with(setting))
}

/// Starters that run a script of package.json.
const RUNNERS: [&str; 4] = ["npm", "pnpm", "yarn", "bun"];

/// Scripts may start scripts; a ring of them ends here.
const MAX_SCRIPT_DEPTH: usize = 4;

/// The reloader that a command starts, if it is a known one. `script` tells the text of a package.json script;
/// `variable` the value of an environment variable.
pub fn reloader(
    command: &[String],
    script: &dyn Fn(&str) -> Option<String>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Option<&'static str> {
    let words: Vec<String> = command
        .iter()
        .flat_map(|word| word.split_whitespace())
        .map(plain)
        .collect();
    in_words(&words, script, MAX_SCRIPT_DEPTH).or_else(|| by_variable(&words, variable))
}

/// The words of a process that may name its program: of an interpreter's those that name the script, too.
const MAX_NAMING_WORDS: usize = 5;

/// The reloader that a process is, by its words.
pub(super) fn of_process(words: &[String]) -> Option<&'static str> {
    let words: Vec<_> = words
        .iter()
        .flat_map(|word| word.split_whitespace())
        .collect();
    known_by(&words, |program| names_program(&words, program))
}

/// The first reloader that these words start, as `starts` tells, and by their options make reload.
fn known_by(words: &[&str], starts: impl Fn(&str) -> bool) -> Option<&'static str> {
    let has = |some: &[&str]| {
        let names = |word: &&str| some.contains(&word.split('=').next().unwrap_or_default());
        words.iter().any(names)
    };
    let found = KNOWN.iter().find(|known| {
        starts(known.program) && (known.with.is_empty() || has(known.with)) && !has(known.without)
    });
    found.map(|known| known.program)
}

/// Whether one of the first words is a program, a script of it, or a file of its package.
pub(super) fn names_program(words: &[&str], program: &str) -> bool {
    let package = format!("/node_modules/{program}/");
    words.iter().take(MAX_NAMING_WORDS).any(|word| {
        let name = word.rsplit('/').next().unwrap_or_default();
        let stem = [".js", ".mjs", ".cjs", ".py", ":"]
            .iter()
            .find_map(|end| name.strip_suffix(end));
        name == program || stem == Some(program) || word.contains(&package)
    })
}

fn in_words(
    words: &[String],
    script: &dyn Fn(&str) -> Option<String>,
    deep: usize,
) -> Option<&'static str> {
    let all: Vec<_> = words.iter().map(String::as_str).collect();
    let found = known_by(&all, |program| {
        all.iter()
            .any(|word| word.rsplit('/').next() == Some(program))
    });
    if found.is_some() || deep == 0 {
        return found;
    }
    let text = script(&script_name(words)?)?;
    let words: Vec<_> = text.split_whitespace().map(plain).collect();
    in_words(&words, script, deep - 1)
}

/// The name in `npm run NAME`, `npm start`, `yarn NAME`.
fn script_name(words: &[String]) -> Option<String> {
    let at = words.iter().position(|word| {
        RUNNERS
            .iter()
            .any(|runner| word.rsplit('/').next() == Some(runner))
    })?;
    words[at + 1..]
        .iter()
        .find(|word| !word.starts_with('-') && *word != "run" && *word != "run-script")
        .cloned()
}

fn by_variable(
    words: &[String],
    variable: &dyn Fn(&str) -> Option<String>,
) -> Option<&'static str> {
    let is_on = |name: &str| {
        variable(name).is_some_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
    };
    let starts = |program: &str| {
        words
            .iter()
            .any(|word| word.rsplit('/').next() == Some(program))
    };
    (starts("flask") && is_on("FLASK_DEBUG") && !words.iter().any(|word| word == "--no-reload"))
        .then_some("flask")
}

fn plain(word: &str) -> String {
    word.trim_matches(['"', '\'', ';', '(', ')']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(command: &[&str]) -> Option<&'static str> {
        let words: Vec<_> = command.iter().map(|word| (*word).to_owned()).collect();
        let script = |name: &str| match name {
            "dev" => Some("npm run dev:web".to_owned()),
            "dev:web" => Some("cross-env X=1 vite --host".to_owned()),
            "build" => Some("vite build".to_owned()),
            "ring" => Some("npm run ring".to_owned()),
            _ => None,
        };
        reloader(&words, &script, &|_| None)
    }

    #[test]
    fn reloaders_are_known_by_their_words() {
        let cases: &[(&[&str], Option<&str>)] = &[
            (&["uvicorn", "app:app", "--reload"], Some("uvicorn")),
            (&["uvicorn", "app:app"], None),
            (
                &[
                    "python",
                    "-m",
                    "uvicorn",
                    "app:app",
                    "--reload",
                    "--reload-dir=app",
                ],
                Some("uvicorn"),
            ),
            (
                &[
                    "/bin/sh",
                    "-c",
                    "exec /usr/local/bin/uvicorn app:app --reload",
                ],
                Some("uvicorn"),
            ),
            (&["node", "--watch", "src/server.js"], Some("node")),
            (&["node", "--watch-path=src", "x.js"], Some("node")),
            (
                &["node", "/srv/node_modules/.bin/bun", "--watch", "x.js"],
                Some("bun"),
            ),
            (&["node", "src/server.js"], None),
            (
                &["docker-entrypoint.sh", "nodemon", "x.js"],
                Some("nodemon"),
            ),
            (&["npx", "next", "dev"], Some("next")),
            (&["next", "start"], None),
            (&["flask", "--debug", "run"], Some("flask")),
            (&["flask", "run"], None),
            (
                &["python", "manage.py", "runserver", "0.0.0.0:80"],
                Some("manage.py"),
            ),
            (&["python", "manage.py", "runserver", "--noreload"], None),
            (&["air"], Some("air")),
            (&["npm", "run", "dev"], Some("vite")),
            (&["yarn", "dev"], Some("vite")),
            (&["npm", "run", "build"], None),
            (&["npm", "start"], None),
            (&["npm", "run", "ring"], None),
            (&["nginx", "-g", "daemon off;"], None),
            (&[], None),
        ];
        let wrong: Vec<_> = cases
            .iter()
            .filter(|(command, expected)| of(command) != *expected)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn a_process_that_reloads_is_known_by_its_words() {
        let cases: &[(&str, Option<&str>)] = &[
            (
                "python /usr/local/bin/uvicorn app:app --reload",
                Some("uvicorn"),
            ),
            ("python /usr/local/bin/uvicorn app:app", None),
            ("python -m uvicorn app:app --reload", Some("uvicorn")),
            (
                "python /usr/local/bin/watchfiles python app.py .",
                Some("watchfiles"),
            ),
            ("node --watch server.js", Some("node")),
            ("node server.js", None),
            ("node /srv/node_modules/.bin/next dev", Some("next")),
            ("next-server (v15.1.0)", None),
            (
                "node /srv/node_modules/vite/bin/vite.js --host",
                Some("vite"),
            ),
            (
                "node /srv/node_modules/tsx/dist/cli.mjs watch src/x.ts",
                Some("tsx"),
            ),
            ("npm run dev", None),
            ("python manage.py runserver 0.0.0.0:8000", Some("manage.py")),
            ("python manage.py migrate", None),
            ("python /usr/local/bin/flask run", None),
            (
                "python /usr/local/bin/flask run FLASK_DEBUG=1",
                Some("flask"),
            ),
            ("/go/bin/air -c .air.toml", Some("air")),
            ("python app.py --provider somewhere --medium air", None),
            ("", None),
        ];
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let wrong: Vec<_> = cases
            .iter()
            .filter(|(text, expected)| of_process(&words(text)) != *expected)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn flask_reloads_by_its_variable_too() {
        let command = ["flask", "run"].map(str::to_owned);
        let debug = |value: &'static str| {
            move |name: &str| (name == "FLASK_DEBUG").then(|| value.to_owned())
        };
        assert_eq!(reloader(&command, &|_| None, &debug("1")), Some("flask"));
        assert_eq!(reloader(&command, &|_| None, &debug("0")), None);
    }
}
