//! Each program that devk knows to notice saves gets twenty of them, saved as editors do, and serves every one.
//!
//! A run takes some of the programs; `scripts/test --all` takes all (docs/saves.md has the table).

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{page, pod, project, serving, up};
use crate::support::sample::sample;
use crate::support::tell;

const SAVES: usize = 20;
/// A development server may compile for some seconds.
const SEEN: Duration = Duration::from_secs(20);
/// Between two saves. A reloader that looks at times of change may miss one that comes right after its restart.
const PAUSE: Duration = Duration::from_secs(1);
/// What stands in the saved file and changes with each save.
const MARK: &str = "save-0-";

/// A program, and a file that it shows.
struct Program {
    name: &'static str,
    dockerfile: String,
    files: &'static [(&'static str, &'static str)],
    /// The file that is saved.
    saved: &'static str,
    path: &'static str,
    /// A word of what `devk status` says of it.
    told: &'static str,
}

const ASGI: &str = "async def app(scope, receive, send):
    if scope['type'] != 'http': return
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': b'save-0-'})
";
const WSGI: &str = "def app(environ, start):
    start('200 OK', [])
    return [b'save-0-']
";
const PLAIN: &str = "import http.server
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'save-0-')
http.server.HTTPServer(('', 8000), H).serve_forever()
";
const FASTAPI: &str = "from fastapi import FastAPI
app = FastAPI()
@app.get('/')
def root(): return 'save-0-'
";
const FLASK: &str = "from flask import Flask
app = Flask(__name__)
@app.route('/')
def root(): return 'save-0-'
";
const DJANGO: &str = "import sys
from django.conf import settings
settings.configure(DEBUG=True, ROOT_URLCONF='views', ALLOWED_HOSTS=['*'], SECRET_KEY='x')
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
";
const VIEWS: &str = "from django.http import HttpResponse
from django.urls import path
urlpatterns = [path('', lambda request: HttpResponse('save-0-'))]
";
const NODE: &str =
    "require('http').createServer((_, answer) => answer.end('save-0-')).listen(8000)\n";

/// A page whose text is in its program, as bundlers for browsers have it.
const BUNDLED: &str = "document.body.append('save-0-')\n";
const PAGE: &str = "<script type=module src=/main.js></script>\n";
const NEXT: &str = "export default function Page() { return <p>save-0-</p> }\nexport function getServerSideProps() { return {props: {}} }\n";
const PHP: &str = "<?php echo 'save-0-';\n";
const GO: &str = "package main
import (\"fmt\"; \"net/http\")
func main() {
    http.HandleFunc(\"/\", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, \"save-0-\") })
    http.ListenAndServe(\":8000\", nil)
}
";
const NGINX: &str = "events {}
http { server { listen 8000; root /srv/pages; } }
";

fn python(install: &str, command: &str) -> String {
    let install = match install {
        "" => String::new(),
        names => format!("RUN pip install {names}\n"),
    };
    format!("FROM python:3.11-slim\n{install}WORKDIR /srv\nCOPY . .\nCMD {command}\n")
}

fn node(install: &str, command: &str) -> String {
    let install = match install {
        "" => String::new(),
        names => format!("RUN npm install --no-audit --no-fund {names}\n"),
    };
    format!("FROM node:20-slim\nWORKDIR /srv\n{install}COPY . .\nCMD {command}\n")
}

fn debian(install: &str, command: &str) -> String {
    format!(
        "FROM debian:bookworm-slim\nRUN apt-get update -q && apt-get install -qy --no-install-recommends {install}\n\
         WORKDIR /srv\nCOPY . .\nCMD {command}\n"
    )
}

type Files = &'static [(&'static str, &'static str)];

/// A program that serves its only file at `/`.
fn simple(name: &'static str, dockerfile: String, files: Files, told: &'static str) -> Program {
    Program {
        name,
        dockerfile,
        files,
        saved: files[0].0,
        path: "/",
        told,
    }
}

fn programs() -> Vec<Program> {
    let app = |text| -> Files { Box::leak(Box::new([("app.py", text)])) };
    let js: Files = &[("server.js", NODE)];
    vec![
        simple(
            "uvicorn",
            python("uvicorn", "uvicorn app:app --host 0.0.0.0 --reload"),
            app(ASGI),
            "uvicorn",
        ),
        simple(
            "uvicorn-watchfiles",
            python(
                "uvicorn watchfiles",
                "uvicorn app:app --host 0.0.0.0 --reload",
            ),
            app(ASGI),
            "uvicorn",
        ),
        simple(
            "hypercorn",
            python("hypercorn", "hypercorn app:app -b 0.0.0.0:8000 --reload"),
            app(ASGI),
            "hypercorn",
        ),
        simple(
            "gunicorn",
            python("gunicorn", "gunicorn app:app -b 0.0.0.0:8000 --reload"),
            app(WSGI),
            "gunicorn",
        ),
        simple(
            "fastapi",
            python(
                "'fastapi[standard]'",
                "fastapi dev app.py --host 0.0.0.0 --port 8000",
            ),
            app(FASTAPI),
            "fastapi",
        ),
        simple(
            "flask",
            python("flask", "flask run --debug -h 0.0.0.0 -p 8000"),
            app(FLASK),
            "flask",
        ),
        simple(
            "flask-variable",
            python("flask", "FLASK_DEBUG=1 flask run -h 0.0.0.0 -p 8000"),
            app(FLASK),
            "flask",
        ),
        simple(
            "django",
            python("django", "python manage.py runserver 0.0.0.0:8000"),
            &[("views.py", VIEWS), ("manage.py", DJANGO)],
            "manage.py",
        ),
        simple(
            "watchmedo",
            python(
                "'watchdog[watchmedo]'",
                "watchmedo auto-restart -p '*.py' -- python app.py",
            ),
            app(PLAIN),
            "watchmedo",
        ),
        simple("node-watch", node("", "node --watch server.js"), js, "node"),
        simple(
            "node-watch-path",
            node("", "node --watch-path=. server.js"),
            js,
            "node",
        ),
        simple(
            "nodemon",
            node("nodemon", "npx nodemon server.js"),
            js,
            "nodemon",
        ),
        simple("tsx", node("tsx", "npx tsx watch server.js"), js, "tsx"),
        Program {
            path: "/main.js",
            ..simple(
                "vite",
                node("vite", "npx vite --host 0.0.0.0 --port 8000"),
                &[("main.js", BUNDLED), ("index.html", PAGE)],
                "vite",
            )
        },
        simple(
            "next",
            node(
                "next@15 react@19 react-dom@19",
                "npx next dev -H 0.0.0.0 -p 8000",
            ),
            &[("pages/index.js", NEXT)],
            "next",
        ),
        Program {
            path: "/main.js",
            ..simple(
                "webpack-dev-server",
                node(
                    "webpack@5 webpack-cli webpack-dev-server",
                    "npx webpack serve --mode development --host 0.0.0.0 --port 8000 --allowed-hosts all",
                ),
                &[("src/index.js", BUNDLED)],
                "webpack",
            )
        },
        simple(
            "air",
            debian(
                "ca-certificates golang-go\nRUN GOBIN=/usr/local/bin go install github.com/cosmtrek/air@v1.40.4",
                "air",
            ),
            &[("main.go", GO), ("go.mod", "module app\n")],
            "air",
        ),
        Program {
            path: "/index.html",
            ..simple(
                "nginx",
                debian("nginx-light", "nginx -c /srv/nginx.conf -g 'daemon off;'"),
                &[("pages/index.html", "save-0-\n"), ("nginx.conf", NGINX)],
                "nginx",
            )
        },
        simple(
            "php",
            debian("php-cli", "php -S 0.0.0.0:8000 -t ."),
            &[("index.php", PHP)],
            "each request",
        ),
    ]
}

/// Saves as editors do: into the file, by a new one in its place, and by a new one after the old one was moved away.
fn save(file: &Path, number: usize, text: &str) {
    let beside = file.with_extension("saved");
    match number % 3 {
        0 => fs::write(file, text).unwrap(),
        1 => {
            fs::write(&beside, text).unwrap();
            fs::rename(&beside, file).unwrap();
        }
        _ => {
            fs::rename(file, &beside).unwrap();
            fs::write(file, text).unwrap();
            fs::remove_file(&beside).unwrap();
        }
    }
}

#[test]
fn every_program_that_notices_saves_shows_each_of_twenty() {
    let programs = programs();
    let names: Vec<_> = programs.iter().map(|program| program.name).collect();
    let taken = sample(&names, 1);
    let wrong: Vec<_> = taken
        .into_iter()
        .filter_map(|(at, name)| Some((name, shows_every_save(&programs[at])?)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// What is wrong with it, if anything.
fn shows_every_save(program: &Program) -> Option<String> {
    let name = format!("by-{}", program.name);
    let project = project(&name, &program.dockerfile, program.files);
    up(&project);
    let shown = || page(&project, "app", program.path);
    let original = program
        .files
        .iter()
        .find(|(file, _)| *file == program.saved)
        .unwrap()
        .1;
    crate::support::eventually("the program does not begin", super::PATIENCE, || {
        shown().contains(MARK)
    });
    let before = pod(&project, "app");
    let mut seen = 0;
    let began = Instant::now();
    for number in 1..=SAVES {
        let mark = format!("save-{number}-");
        std::thread::sleep(PAUSE);
        save(
            &project.path("app").join(program.saved),
            number,
            &original.replace(MARK, &mark),
        );
        let since = Instant::now();
        while since.elapsed() < SEEN {
            if shown().contains(&mark) {
                seen += 1;
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let told = serving(&project, "app");
    let is_same = pod(&project, "app") == before;
    let found = format!("{seen} of {SAVES} saves seen; {told}; the same pod: {is_same}");
    tell(&format!("{}: {found}", program.name), began.elapsed());
    (seen != SAVES || !is_same || !told.contains(program.told)).then_some(found)
}
