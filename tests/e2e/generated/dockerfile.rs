//! Random Dockerfiles: stages, variables of the file, of the builder and of base images, globs, links, ONBUILD, flags of
//! COPY, here-documents, archives, other stages' files, ignore files with exceptions.

/// The base images, one for each tag: `plain`, `variables` (with an ENV and a WORKDIR), `triggers` (with ONBUILD).
pub(super) const BASE: &str = "devk-e2e-base/generated";

/// What is in the build context.
pub(super) const FILES: [&str; 15] = [
    "app/a.txt",
    "app/b.js",
    "app/deep/c.txt",
    "app/deep/x/d.txt",
    "conf/e.conf",
    "conf/f.txt",
    "lib/g.txt",
    "lib/sub/h.txt",
    "web/index.html",
    "web/i.css",
    "top.txt",
    "package.json",
    "other/a.txt",
    "data.d/j.txt",
    "packed/pack.tar",
];
/// What comes after the build.
pub(super) const LATER: [&str; 6] = [
    "app/new.txt",
    "app/newfolder/n.txt",
    "lib/new.js",
    "web/new.html",
    "new.txt",
    "packed/later.tar",
];
pub(super) const LINKS: [(&str, &str); 4] = [
    ("services/lib", "../lib"),
    ("wl/link.txt", "../lib/g.txt"),
    ("wl/folder", "../app/deep"),
    ("app/inner", "../web"),
];
pub(super) const IGNORES: [&str; 7] = [
    "",
    "*.css\n",
    "conf\n!conf/e.conf\n",
    "app/deep\n",
    "**/*.txt\n!top.txt\n",
    "*\n!app\n!lib/sub\napp/deep/x\n",
    "app/*\n!app/deep\n**/x\n",
];
const SOURCES: [&str; 27] = [
    ".",
    "app",
    "app/",
    "app/*.txt",
    "app/*",
    "*/*.txt",
    "top.txt",
    "lib",
    "services/lib",
    "services/lib/",
    "services/lib/g.txt",
    "wl/link.txt",
    "wl/*",
    "web conf",
    "l*",
    "s*/*",
    "app/deep",
    "./app/../lib",
    "package.json top.txt",
    "app other",
    "$SRC",
    "[a-l]*/?.txt",
    "packed/*",
    "packed/pack.tar",
    "./app/./deep",
    "lib/$PART",
    "app/deep/c.txt app/deep/x",
];
const TARGETS: [&str; 14] = [
    "./",
    ".",
    "/srv/x/",
    "/srv/x",
    "$D/",
    "${D}/in/",
    "/${E:-etc}/cfg/",
    "renamed.txt",
    "/opt/",
    "$TARGETARCH/",
    "$HOME_OF_BASE/",
    "${HOME_OF_BASE}/app",
    "/linked/",
    "relative/deep/",
];
const FLAGS: [&str; 12] = [
    "",
    "",
    "",
    "",
    "--chown=1000:1000 ",
    "--chown=7 ",
    "--chmod=640 ",
    "--link ",
    "--exclude=*.txt ",
    "--parents ",
    "--link --chown=3:4 --chmod=750 ",
    "--chown=someone:someone ",
];
const RUNS: [&str; 19] = [
    "RUN chown -R 5:6 /srv || true",
    "RUN chmod -R g+w /srv || true",
    "RUN mkdir -p /srv/logs",
    "RUN cp -r /srv /copy || true",
    "RUN mv /srv/app /moved || true",
    "RUN sed -i s/t/T/ /srv/top.txt || true",
    "RUN find /srv -name '*.txt' -exec chmod 600 {} +",
    "RUN cat /srv/*.txt >/all || true",
    "RUN rm -rf /srv/web /srv/x",
    "RUN --mount=type=bind,source=lib,target=/m cp -r /m /mounted",
    "RUN --mount=type=bind,source=services/lib,target=/m cp -r /m /mounted",
    "RUN ln -s /srv/x /linked && true",
    "RUN adduser -D someone || true",
    "RUN chmod 600 /srv/top.txt || true",
    "WORKDIR /srv",
    "WORKDIR deep/er",
    "RUN mkdir -p /real && ln -s /real /linked",
    "RUN <<EOF\ncp -r /srv/app /again || true\nEOF",
    "RUN chmod -R o-r,g+s /srv || true",
];

/// A xorshift generator.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn copy(&mut self) -> String {
        let verb = if self.chance(15) { "ADD" } else { "COPY" };
        let source = self.one(&SOURCES);
        format!("{verb} {}{source} {}", self.one(&FLAGS), self.one(&TARGETS))
    }

    fn step(&mut self) -> String {
        match self.below(14) {
            0..=5 => self.copy(),
            6 => "COPY --from=0 /srv /from".to_owned(),
            7 => format!("COPY <<EOF /srv/{}\nhere\nEOF", self.one(&FILES)),
            8 => "ENV D=/srv/app SRC=web".to_owned(),
            9 => "COPY --from=base /srv/app /of-base".to_owned(),
            _ => self.one(&RUNS).to_owned(),
        }
    }

    /// A Dockerfile, and the stage of it that is built; None for the last one.
    pub(super) fn dockerfile(&mut self) -> (String, Option<&'static str>) {
        let mut lines = vec!["# syntax=docker/dockerfile:1".to_owned()];
        if self.chance(30) {
            // As the builder of the Engine itself reads it.
            lines.clear();
        }
        let simple = self.chance(50);
        // Triggers of an image are seen only when it is there, and everything is built then.
        let kinds = [
            "plain",
            "plain",
            "plain",
            "variables",
            "variables",
            "triggers",
        ];
        let image = format!("{BASE}:{}", self.one(&kinds));
        lines.push("ARG E=etc".to_owned());
        lines.push("ARG PART=sub".to_owned());
        lines.push(format!("FROM {image} AS base"));
        if self.chance(80) {
            lines.push("WORKDIR /srv".to_owned());
        }
        lines.push("ENV D=/opt/app".to_owned());
        for _ in 0..if simple { 0 } else { self.below(3) } {
            let step = self.step();
            let is_one = !step.contains('\n') && !step.contains("--from");
            let is_trigger = is_one && !step.starts_with("FROM") && self.chance(50);
            let prefix = if is_trigger { "ONBUILD " } else { "" };
            let step = step.replace("--from=0 ", "").replace("--from=base ", "");
            lines.push(format!("{prefix}{step}"));
        }
        let from = if self.chance(60) {
            "base"
        } else {
            image.as_str()
        };
        lines.push(format!("FROM {from} AS wanted"));
        if self.chance(80) {
            lines.push("WORKDIR /srv".to_owned());
        }
        if self.chance(50) {
            lines.push("ARG SRC=app".to_owned());
        }
        if self.chance(50) {
            lines.push("ARG PART".to_owned());
        }
        if simple {
            let harmless = [
                "RUN adduser -D someone",
                "RUN mkdir -p /real && ln -s /real /linked",
                "WORKDIR in",
            ];
            if self.chance(40) {
                lines.push(self.one(&harmless).to_owned());
            }
            // What most Dockerfiles have; of the rest, few can be synced.
            let plain = ["COPY . .", "COPY app /opt/app", "COPY lib web /opt/both/"];
            lines.push(self.one(&plain).to_owned());
            let more: Vec<_> = (0..self.below(3)).map(|_| self.copy()).collect();
            lines.extend(more);
        } else {
            lines.extend((0..=self.below(4)).map(|_| self.step()).collect::<Vec<_>>());
        }
        // A program that is known to notice saves of whatever it has loaded.
        lines.push("CMD [\"tsx\", \"watch\"]".to_owned());
        let target = self.chance(25).then_some("wanted");
        if target.is_some() {
            lines.push("FROM base AS behind\nCOPY . /behind".to_owned());
        }
        lines.push(String::new());
        (lines.join("\n"), target)
    }
}
