//! What a chart's values.schema.json demands, in the words of helm 3 or of helm 4.

use super::Demand;

pub(super) fn schema_demands(lines: &[&str], chart: &str) -> Vec<Demand> {
    let mut prefix = String::new();
    let mut found = vec![];
    let is_schema = lines.iter().any(|line| line.contains("schema(s)"));
    for line in lines.iter().filter(|_| is_schema).map(|line| line.trim()) {
        match line.strip_prefix("- ") {
            None => {
                let name = line.strip_suffix(':').filter(|name| !name.contains(' '));
                if let Some(name) = name {
                    prefix = if name == chart {
                        String::new()
                    } else {
                        format!("{name}.")
                    };
                }
            }
            Some(problem) => found.extend(problem_demands(problem, &prefix)),
        }
    }
    found
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
}
