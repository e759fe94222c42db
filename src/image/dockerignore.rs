//! `.dockerignore`, by the rules of moby/patternmatcher and its `ignorefile` package: patterns are
//! anchored at the context's root, the last match wins, a match of a folder covers what is in it.
//! Two differences are meant: a malformed pattern is refused at once (moby does so when it comes to
//! ask it), and a backslash always makes the next character plain (in moby `\a` is the bell).

use std::path::{Path, PathBuf};

use crate::error::{Code, Error, Result};
use crate::go_path::clean;

/// The patterns of one ignore file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// `!pattern`: takes back what an earlier pattern ignored.
    exception: bool,
    pattern: Pattern,
}

/// The ignore file that applies: `<Dockerfile>.dockerignore` beside the Dockerfile, else
/// `.dockerignore` at the root of the context.
pub fn ignore_file(context: &Path, dockerfile: &Path) -> Option<PathBuf> {
    ignore_files(context, dockerfile)
        .into_iter()
        .find(|file| file.is_file())
}

/// The paths of ignore files: the first one that exists applies.
fn ignore_files(context: &Path, dockerfile: &Path) -> [PathBuf; 2] {
    let mut own = dockerfile.as_os_str().to_owned();
    own.push(".dockerignore");
    [PathBuf::from(own), context.join(".dockerignore")]
}

/// The files that decide which ignore file applies, and what it says: one that is not there yet may come.
pub fn deciding_files(context: &Path, dockerfile: &Path) -> Vec<PathBuf> {
    let mut files = ignore_files(context, dockerfile).to_vec();
    let first = files.iter().position(|file| file.is_file());
    files.truncate(first.map_or(files.len(), |first| first + 1));
    files
}

impl Ignore {
    /// Parses the text of an ignore file; `file` is for error messages.
    ///
    /// # Errors
    /// [`Code::ImageContext`] with file and line for a malformed pattern, as Docker refuses it.
    pub fn parse(text: &str, file: &Path) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rules = Vec::new();
        for (number, line) in (1u32..).zip(text.lines()) {
            // A comment starts in the first column; ` #x` is a pattern.
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            rules.push(Rule::parse(line.trim()).ok_or_else(|| {
                Error::new(Code::ImageContext, format!("the pattern `{}` is malformed", line.trim()))
                    .at(file, number)
                    .hint("close every `[` with a `]`, end no pattern with a `\\`, and put a path after `!`")
            })?);
        }
        Ok(Self { rules })
    }

    /// Whether a path, relative to the context and separated by `/`, is left out.
    pub fn ignores(&self, path: &str) -> bool {
        let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
        let itself_and_parents: Vec<Vec<char>> = std::iter::once(path)
            .chain(parents)
            .map(|p| p.chars().collect())
            .collect();
        self.rules.iter().fold(false, |ignored, rule| {
            // A rule that could only repeat the verdict need not be asked.
            if rule.exception != ignored
                || !itself_and_parents.iter().any(|p| rule.pattern.matches(p))
            {
                ignored
            } else {
                !rule.exception
            }
        })
    }

    /// Whether an exception may take back something inside this ignored folder.
    pub fn may_except_below(&self, folder: &str) -> bool {
        let inside: Vec<char> = folder.chars().chain(['/']).collect();
        self.rules
            .iter()
            .any(|rule| rule.exception && rule.pattern.may_match_longer(&inside))
    }
}

impl Rule {
    /// In two passes, as moby does it: its reader anchors the path behind a `!`, its matcher then
    /// looks for a `!` and cleans again.
    fn parse(line: &str) -> Option<Self> {
        let anchored = match line.strip_prefix('!') {
            Some(path) => format!("!{}", anchor(path.trim())),
            None => anchor(line),
        };
        let cleaned = clean(anchored.trim());
        let (exception, pattern) = match cleaned.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, cleaned.as_str()),
        };
        let pattern = Pattern::parse(pattern)?;
        (!exception || !pattern.0.is_empty()).then_some(Self { exception, pattern })
    }
}

/// Paths are relative to the context, whether they begin with `/` or not. `/` alone stays, and matches nothing.
fn anchor(path: &str) -> String {
    if path.is_empty() {
        return String::new();
    }
    let cleaned = clean(path);
    cleaned
        .strip_prefix('/')
        .filter(|rest| !rest.is_empty())
        .unwrap_or(&cleaned)
        .to_owned()
}

/// One pattern, as a chain of tokens. It is matched by following all positions of the path that the
/// tokens so far can have reached, so no pattern takes more than tokens × characters steps.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern(Vec<PatternToken>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum PatternToken {
    Char(char),
    /// `?`: any character but `/`.
    One,
    /// `*`: any number of characters but `/`.
    Star,
    /// `[a-z]`, `[^a-z]`.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// `**/` and a `**` before anything else: whole folders, or nothing.
    Folders,
    /// `**` at the end, and a leading `**` before plain text: anything at all.
    Anything,
}

/// For each position of the path: can the tokens so far end here?
type Reached = Vec<bool>;

impl Pattern {
    /// None if the pattern is malformed by the rules of Go's `filepath.Match`.
    fn parse(pattern: &str) -> Option<Self> {
        let mut tokens = Vec::new();
        let mut rest = pattern;
        while let Some(first) = rest.chars().next() {
            let after = &rest[first.len_utf8()..];
            let (token, remaining) = match first {
                '*' => stars(after, tokens.is_empty()),
                '?' => (PatternToken::One, after),
                '[' => class(after)?,
                '\\' => escaped(after).map(|(c, remaining)| (PatternToken::Char(c), remaining))?,
                plain => (PatternToken::Char(plain), after),
            };
            tokens.push(token);
            rest = remaining;
        }
        Some(Self(tokens))
    }

    fn matches(&self, path: &[char]) -> bool {
        let reached = self
            .0
            .iter()
            .fold(start(path), |from, token| token.advance(&from, path));
        reached[path.len()]
    }

    /// Whether some longer path that begins with `inside` (a folder and its `/`) matches.
    fn may_match_longer(&self, inside: &[char]) -> bool {
        let mut from = start(inside);
        for token in &self.0 {
            let runs_on = matches!(token, PatternToken::Folders | PatternToken::Anything)
                && from.contains(&true);
            if runs_on || from[inside.len()] {
                return true;
            }
            from = token.advance(&from, inside);
        }
        false
    }
}

fn start(path: &[char]) -> Reached {
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    reached
}

impl PatternToken {
    fn advance(&self, from: &Reached, path: &[char]) -> Reached {
        let mut to = vec![false; from.len()];
        let mut open = false;
        for at in 0..from.len() {
            let last = at
                .checked_sub(1)
                .map(|before| (path[before], from[before], to[before]));
            to[at] = match self {
                Self::Star => from[at] || last.is_some_and(|(c, _, to)| to && c != '/'),
                Self::Anything => from[at] || last.is_some_and(|(_, _, to)| to),
                Self::Folders => from[at] || last.is_some_and(|(c, _, _)| open && c == '/'),
                one => last.is_some_and(|(c, from, _)| from && one.takes(c)),
            };
            open |= from[at];
        }
        to
    }

    /// For the tokens that stand for exactly one character.
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Char(expected) => c == *expected,
            Self::One => c != '/',
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
            Self::Star | Self::Folders | Self::Anything => false,
        }
    }
}

/// What follows a first `*`. A leading `**` before plain text is a suffix match in moby, so
/// `**file` covers `afile`; with any other special character in it, it stands for whole folders.
fn stars(after: &str, leading: bool) -> (PatternToken, &str) {
    let Some(after) = after.strip_prefix('*') else {
        return (PatternToken::Star, after);
    };
    let is_plain = !after.contains(['*', '?', '[', ']', '\\']);
    let rest = after.strip_prefix('/').unwrap_or(after);
    let anything = rest.is_empty() || (leading && is_plain && rest.len() == after.len());
    (
        if anything {
            PatternToken::Anything
        } else {
            PatternToken::Folders
        },
        rest,
    )
}

fn class(after: &str) -> Option<(PatternToken, &str)> {
    let (negated, mut rest) = after
        .strip_prefix('^')
        .map_or((false, after), |rest| (true, rest));
    let mut ranges = Vec::new();
    while ranges.is_empty() || !rest.starts_with(']') {
        let (low, after_low) = class_char(rest)?;
        let (high, after_high) = match after_low.strip_prefix('-') {
            Some(high) => class_char(high)?,
            None => (low, after_low),
        };
        if low > high {
            return None;
        }
        ranges.push((low, high));
        rest = after_high;
    }
    Some((PatternToken::Class { negated, ranges }, &rest[1..]))
}

/// A bare `-` or `]` has to be escaped in a class.
fn class_char(text: &str) -> Option<(char, &str)> {
    match text.chars().next()? {
        '-' | ']' => None,
        '\\' => escaped(&text[1..]),
        plain => Some((plain, &text[plain.len_utf8()..])),
    }
}

fn escaped(text: &str) -> Option<(char, &str)> {
    let c = text.chars().next()?;
    Some((c, &text[c.len_utf8()..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ignore(text: &str) -> Ignore {
        Ignore::parse(text, Path::new(".dockerignore")).unwrap()
    }

    /// The cases of moby/patternmatcher's own tests (v0.6.0).
    #[test]
    fn single_patterns_match_as_in_moby() {
        let cases = [
            ("**", "file", true),
            ("**/", "file", true),
            ("**", "dir/file", true),
            ("**/**", "dir/file", true),
            ("dir/**", "dir/file", true),
            ("dir/**", "dir/dir2/file", true),
            ("**/dir", "dir", true),
            ("**/dir", "dir/file", true),
            ("**/dir2/*", "dir/dir2/file", true),
            ("**/dir2/**", "dir/dir2/dir3/file", true),
            ("**file", "file", true),
            ("**file", "dir/file", true),
            ("**file", "dir/afile", true),
            ("**fil*", "dir/afile", false),
            ("**/file", "dir/dir/file", true),
            ("**/file*", "dir/dir/file.txt", true),
            ("**/file*txt", "dir/dir/file.txt", true),
            ("**/file*.txt*", "dir/dir/file.txt", true),
            ("**/**/*.txt", "dir/dir/file.txt", true),
            ("**/**/*.txt2", "dir/dir/file.txt", false),
            ("**/*.txt", "file.txt", true),
            ("a**/*.txt", "a/file.txt", true),
            ("a**/*.txt", "a/dir/dir/file.txt", true),
            ("a/*.txt", "a/dir/file.txt", false),
            ("a/*.txt", "a/file.txt", true),
            ("a/*.txt**", "a/file.txt", true),
            ("a[b-d]e", "ae", false),
            ("a[b-d]e", "ace", true),
            ("a[b-d]e", "aae", false),
            ("a[^b-d]e", "aze", true),
            (".*", ".foo", true),
            (".*", "foo", false),
            ("abc.def", "abcdef", false),
            ("abc.def", "abcZdef", false),
            ("abc?def", "abcZdef", true),
            ("abc?def", "abcdef", false),
            ("a\\\\", "a\\", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("**/foo/bar", "dir/dir2/foo/bar", true),
            ("abc/**", "abc", false),
            ("abc/**", "abc/def/ghi", true),
            ("**/.foo", ".foo", true),
            ("**/.foo", "bar.foo", false),
            ("a(b)c/def", "a(b)c/def", true),
            ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
            ("*c", "abc", true),
            ("a*", "ab/c", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[^e-g]", "abc", true),
            ("a?b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[x\\-]", "-", true),
            ("[\\-x]", "a", false),
        ];
        let wrong: Vec<_> = cases
            .iter()
            .filter(|(p, path, expected)| ignore(p).ignores(path) != *expected)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn the_last_match_wins() {
        let cases = [
            ("!fileutils.go\n*.go", "fileutils.go", true),
            ("*.go\n!fileutils.go", "fileutils.go", false),
            ("docs\n!docs/README.md", "docs/README.md", false),
            ("docs/\n!docs/README.md", "docs/README.md", false),
            ("docs/*\n!docs/README.md", "docs/README.md", false),
            ("docs\n!docs/README.md", "docs/other.md", true),
            ("**\n!util/docker/web", "util/docker/web/foo", false),
            (
                "**\n!util/docker/web\nutil/docker/web/foo",
                "util/docker/web/foo",
                true,
            ),
            ("node_modules\n!**/*.md", "node_modules/a/README.md", false),
        ];
        let wrong: Vec<_> = cases
            .iter()
            .filter(|(p, path, expected)| ignore(p).ignores(path) != *expected)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn patterns_are_anchored_and_cleaned() {
        let cases = [
            ("tmp", "sub/tmp", false),
            ("/tmp", "tmp/x", true),
            ("./tmp/", "tmp", true),
            ("a/../tmp//x", "tmp/x", true),
            ("../outside", "outside", false),
            ("/", "x", false),
            (".", "x", false),
            ("  spaced  ", "spaced", true),
            ("\u{feff}bom", "bom", true),
            ("#comment", "#comment", false),
            (" #pattern", "#pattern", true),
            ("crlf\r\nnext", "crlf", true),
        ];
        let wrong: Vec<_> = cases
            .iter()
            .filter(|(p, path, expected)| ignore(p).ignores(path) != *expected)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn a_malformed_pattern_is_refused_with_its_line() {
        for bad in [
            "[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[", "[^", "[^bc", "a[", "[b-a]", "!",
            "! ", "!/",
        ] {
            let error = Ignore::parse(&format!("# one\n\n{bad}\n"), Path::new(".dockerignore"))
                .unwrap_err();
            assert_eq!(
                (error.code, error.line),
                (Code::ImageContext, Some(3)),
                "{bad}"
            );
        }
    }

    #[test]
    fn an_ignored_folder_is_entered_only_where_an_exception_may_match() {
        let cases = [
            ("docs\n!docs/README.md", "docs", true),
            ("docs\n!docs/README.md", "node_modules", false),
            ("*\n!src", "target", false),
            ("*\n!src/*/keep", "src/a", true),
            ("*\n!src/*/keep", "src/a/b", false),
            ("*\n!**/keep", "any/where", true),
            ("*\n!a/**", "a/b", true),
            ("*\n!a/**", "b", false),
            ("node_modules", "node_modules", false),
        ];
        let wrong: Vec<_> = cases
            .iter()
            .filter(|(p, path, expected)| ignore(p).may_except_below(path) != *expected)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn the_dockerfiles_own_ignore_file_is_preferred() {
        let dir = tempfile::tempdir().unwrap();
        let common = dir.path().join(".dockerignore");
        let dockerfile = dir.path().join("api.Dockerfile");
        assert_eq!(ignore_file(dir.path(), &dockerfile), None);
        std::fs::write(&common, "").unwrap();
        assert_eq!(ignore_file(dir.path(), &dockerfile), Some(common));
        let own = dir.path().join("api.Dockerfile.dockerignore");
        std::fs::write(&own, "").unwrap();
        assert_eq!(ignore_file(dir.path(), &dockerfile), Some(own));
    }

    #[test]
    fn an_ignore_file_that_may_come_decides_as_long_as_none_before_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let common = dir.path().join(".dockerignore");
        let dockerfile = dir.path().join("api.Dockerfile");
        let own = dir.path().join("api.Dockerfile.dockerignore");
        let both = [own.clone(), common.clone()];
        assert_eq!(deciding_files(dir.path(), &dockerfile), both);
        std::fs::write(&common, "").unwrap();
        assert_eq!(deciding_files(dir.path(), &dockerfile), both);
        std::fs::write(&own, "").unwrap();
        assert_eq!(deciding_files(dir.path(), &dockerfile), [own]);
    }

    proptest! {
        /// The shortcut of not entering a folder never changes what is sent.
        #[test]
        fn nothing_in_a_folder_that_is_not_entered_would_have_been_sent(
            patterns in proptest::collection::vec("!?(\\*\\*/)?[ab*?]{1,3}(/[ab*]{1,2}){0,2}(/\\*\\*)?", 1..5),
            path in "[ab]{1,2}(/[ab]{1,2}){1,3}",
        ) {
            let rules = ignore(&patterns.join("\n"));
            let skipped = path.match_indices('/').map(|(at, _)| &path[..at])
                .any(|folder| rules.ignores(folder) && !rules.may_except_below(folder));
            prop_assert!(!skipped || rules.ignores(&path), "{patterns:?} {path}");
        }

        #[test]
        fn no_pattern_makes_the_parser_or_matcher_fail(text in "[\\PC\n]{0,40}", path in "[a-z*./\\[]{1,20}") {
            if let Ok(rules) = Ignore::parse(&text, Path::new("f")) {
                let _ = (rules.ignores(&path), rules.may_except_below(&path));
            }
        }
    }
}
