//! When a program reads a file, as far as the file's name tells. Pure.

use std::path::Path;

/// When a program reads a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProgramFile {
    /// Once, when it is loaded.
    Code,
    /// Whenever it is asked for: pages, pictures, and the templates of development servers.
    Page,
    /// Possibly once, when the program starts: settings, data, and what cannot be told.
    Data,
    /// Never: what tools leave beside a program.
    Aside,
}

const CODE: [&str; 18] = [
    "py", "js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "go", "rs", "rb", "php", "java",
    "kt", "cs", "ex", "lua",
];

const PAGES: [&str; 46] = [
    "html",
    "htm",
    "xhtml",
    "css",
    "scss",
    "sass",
    "less",
    "map",
    "svg",
    "png",
    "jpg",
    "jpeg",
    "gif",
    "webp",
    "avif",
    "ico",
    "bmp",
    "woff",
    "woff2",
    "ttf",
    "otf",
    "eot",
    "mp3",
    "mp4",
    "webm",
    "ogg",
    "wav",
    "pdf",
    "md",
    "mdx",
    "txt",
    "webmanifest",
    "jinja",
    "jinja2",
    "j2",
    "ejs",
    "hbs",
    "handlebars",
    "mustache",
    "pug",
    "njk",
    "liquid",
    "twig",
    "vue",
    "svelte",
    "astro",
];

const LEFT_BY_TOOLS: [&str; 7] = ["pyc", "pyo", "log", "bak", "orig", "tmp", "tsbuildinfo"];

impl ProgramFile {
    /// Of a path in the build context.
    pub(super) fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let end = path.extension().and_then(|end| end.to_str());
        let is = |kinds: &[&str]| end.is_some_and(|end| kinds.contains(&end));
        let is_hidden = |part: &std::ffi::OsStr| {
            let part = part.to_string_lossy();
            part == "__pycache__" || (part.starts_with('.') && !part.starts_with(".env"))
        };
        if path.iter().any(is_hidden) || is(&LEFT_BY_TOOLS) {
            Self::Aside
        } else if name.starts_with(".env") {
            Self::Data
        } else if is(&CODE) {
            Self::Code
        } else if is(&PAGES) {
            Self::Page
        } else {
            Self::Data
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_data_unless_its_name_tells_something_else() {
        for (path, kind) in [
            ("app/main.py", ProgramFile::Code),
            ("templates/page.html", ProgramFile::Page),
            ("settings.yaml", ProgramFile::Data),
            ("words", ProgramFile::Data),
            ("menu.unheard", ProgramFile::Data),
            (".env", ProgramFile::Data),
            ("app/.env.local", ProgramFile::Data),
            (".idea/workspace.xml", ProgramFile::Aside),
            ("app/__pycache__/main.cpython-311.pyc", ProgramFile::Aside),
            (".coverage", ProgramFile::Aside),
            ("debug.log", ProgramFile::Aside),
        ] {
            assert_eq!(ProgramFile::of(Path::new(path)), kind, "{path}");
        }
    }
}
