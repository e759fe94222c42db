//! What a chart's values.schema.json demands, in the words of helm 3 or of helm 4. helm 4 indents what belongs to a
//! combined schema, below the line that says so.

use super::Demand;

pub(super) fn schema_demands(lines: &[&str], chart: &str) -> Vec<Demand> {
    let mut prefix = String::new();
    let mut found = vec![];
    if !lines.iter().any(|line| line.contains("schema(s)")) {
        return vec![];
    }
    let mut left = lines;
    while let Some((first, rest)) = left.split_first() {
        let line = first.trim();
        if line.starts_with("- ") {
            let end = rest.iter().position(|line| !line.trim().starts_with("- "));
            let (problems, others) = left.split_at(end.map_or(left.len(), |end| end + 1));
            let decisive = decisive(problems).into_iter();
            found.extend(decisive.flat_map(|problem| problem_demands(problem, &prefix)));
            left = others;
            continue;
        }
        let name = line.strip_suffix(':').filter(|name| !name.contains(' '));
        if let Some(name) = name {
            prefix = match name == chart {
                true => String::new(),
                false => format!("{name}."),
            };
        }
        left = rest;
    }
    found
}

/// The problems that have to go: of alternatives those of one, of what must hold together all.
fn decisive<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let mut found = vec![];
    let mut left = lines;
    while let Some((first, below, rest)) = problem(left) {
        left = rest;
        match below {
            [] => found.push(first),
            _ if is_choice(first) => found.extend(decisive(chosen(below))),
            _ => found.extend(decisive(below)),
        }
    }
    found
}

/// The first problem, those that are indented below it, and the others.
fn problem<'a, 'b>(lines: &'b [&'a str]) -> Option<(&'a str, &'b [&'a str], &'b [&'a str])> {
    let (first, others) = lines.split_first()?;
    let indent = |line: &str| line.len() - line.trim_start().len();
    let end = others
        .iter()
        .position(|line| indent(line) <= indent(first))
        .unwrap_or(others.len());
    let (below, rest) = others.split_at(end);
    Some((first.trim().trim_start_matches("- "), below, rest))
}

fn is_choice(problem: &str) -> bool {
    ["'oneOf' failed", "'anyOf' failed"]
        .iter()
        .any(|words| problem.contains(words))
}

/// The first alternative that does not ask for an object which exists already, else the first.
fn chosen<'a, 'b>(lines: &'b [&'a str]) -> &'b [&'a str] {
    let mut alternatives = vec![];
    let mut left = lines;
    while let Some((_, below, rest)) = problem(left) {
        alternatives.push(&left[..=below.len()]);
        left = rest;
    }
    let asks_existing = |lines: &&&[&str]| lines.iter().any(|line| line.contains("/existing"));
    let own = alternatives.iter().find(|lines| !asks_existing(lines));
    own.or(alternatives.first()).copied().unwrap_or_default()
}

/// One line of the schema's refusal, in the words of helm 3 or of helm 4.
fn problem_demands(problem: &str, prefix: &str) -> Vec<Demand> {
    let (place, words) = match problem.strip_prefix("at '") {
        Some(rest) => {
            let Some((pointer, words)) = rest.split_once("': ") else {
                return vec![];
            };
            (pointer.trim_matches('/').replace('/', "."), words)
        }
        None => match problem.split_once(": ") {
            Some((place, words)) => (place.trim_start_matches("(root)").to_owned(), words),
            None => return vec![],
        },
    };
    let join = |key: &str| match place.is_empty() {
        true => format!("{prefix}{key}"),
        false => format!("{prefix}{place}.{key}"),
    };
    let demand = |path: String| Demand {
        path,
        words: words.to_owned(),
        allowed: allowed(words),
        kind: kind(words),
        is_below_nil: false,
        at: "the chart's values.schema.json".to_owned(),
    };
    if let Some(names) = words.strip_prefix("missing propert") {
        return names
            .split('\'')
            .skip(1)
            .step_by(2)
            .map(|key| demand(join(key)))
            .collect();
    }
    // Of a combined schema helm 3 names the parts on lines of their own.
    if words.starts_with("Must validate") {
        return vec![];
    }
    match words.strip_suffix(" is required") {
        Some(key) if !key.contains(' ') => vec![demand(join(key))],
        _ if place.is_empty() => vec![],
        _ => vec![demand(format!("{prefix}{place}"))],
    }
}

fn allowed(words: &str) -> Vec<String> {
    let Some((_, list)) = words.split_once("one of") else {
        return vec![];
    };
    let quoted = list.split(['\'', '"']).skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
}

fn kind(words: &str) -> Option<String> {
    let after = words
        .split_once("want ")
        .or_else(|| words.split_once("Expected: "))?
        .1;
    let word = after.split([',', ' ']).next()?;
    ["integer", "number", "boolean", "string", "object", "array"]
        .contains(&word)
        .then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(lines: &[&str]) -> Vec<String> {
        let found = schema_demands(lines, "shop").into_iter();
        found
            .map(|demand| format!("{} {:?} {:?}", demand.path, demand.kind, demand.allowed))
            .collect()
    }

    #[test]
    fn both_helms_words_lead_to_the_same_values() {
        let head =
            "values don't meet the specifications of the schema(s) in the following chart(s):";
        let four = [
            head,
            "shop:",
            "- at '': missing property 'auth'",
            "- at '/env': value must be one of 'dev', 'prod'",
            "api:",
            "- at '/port': got null, want integer",
        ];
        let three = [
            head,
            "shop:",
            "- (root): auth is required",
            "- env: env must be one of the following: \"dev\", \"prod\"",
            "api:",
            "- port: Invalid type. Expected: integer, given: null",
        ];
        let expected = [
            "auth None []",
            "env None [\"dev\", \"prod\"]",
            "api.port Some(\"integer\") []",
        ];
        assert_eq!(paths(&four), expected);
        assert_eq!(paths(&three), expected);
    }

    #[test]
    fn of_alternatives_one_is_demanded_and_never_the_map_around_it() {
        let head =
            "values don't meet the specifications of the schema(s) in the following chart(s):";
        let lines = [
            head,
            "shop:",
            "- at '/login': 'oneOf' failed, none matched",
            "  - at '/login/existingSecret': minLength: got 0, want 1",
            "  - at '/login': validation failed",
            "    - at '/login/issuer': minLength: got 0, want 1",
            "    - at '/login/password': minLength: got 0, want 1",
            "- at '/port': got null, want integer",
        ];
        assert_eq!(
            paths(&lines),
            [
                "login.issuer None []",
                "login.password None []",
                "port Some(\"integer\") []"
            ]
        );
        let three = [
            head,
            "shop:",
            "- login: Must validate one and only one schema (oneOf)",
            "- login.issuer: String length must be greater than or equal to 1",
        ];
        assert_eq!(paths(&three), ["login.issuer None []"]);
        let only = [
            head,
            "shop:",
            "- at '': 'anyOf' failed",
            "  - at '/existingClaim': minLength: got 0, want 1",
        ];
        assert_eq!(paths(&only), ["existingClaim None []"]);
    }
}
