//! Which line of a template a rendered object comes from, as far as its text says. Pure.

use super::manifest::Rendered;

/// Lines of a template with their numbers, from 1.
type Lines<'a> = Vec<(usize, &'a str)>;

/// The first line that holds one of these words, in the document of the template that `object`
/// (`Service/api`) comes from, else in the others.
pub fn line_of(
    template: &str,
    rendered: &Rendered,
    source: &str,
    object: &str,
    words: &[&str],
) -> Option<u32> {
    let documents = documents(template);
    let (own, others): (Vec<_>, Vec<_>) = of_object(&documents, rendered, source, object);
    let within = |documents: &[&Lines]| {
        let lines: Vec<_> = documents
            .iter()
            .flat_map(|document| document.iter())
            .collect();
        words.iter().find_map(|word| {
            lines
                .iter()
                .find(|(_, line)| line.contains(*word))
                .map(|(at, _)| *at)
        })
    };
    within(&own)
        .or_else(|| within(&others))
        .and_then(|at| u32::try_from(at).ok())
}

fn documents(template: &str) -> Vec<Lines<'_>> {
    let mut documents = vec![vec![]];
    for (at, line) in template.lines().enumerate() {
        match documents.last_mut() {
            Some(last) if !line.starts_with("---") => last.push((at + 1, line)),
            _ => documents.push(vec![(at + 1, line)]),
        }
    }
    documents
}

/// Those that may be the object's, and the others. A name that is written out tells; else the order does,
/// which helm keeps among objects of a kind, if nothing was left out or repeated.
fn of_object<'a, 'b>(
    documents: &'b [Lines<'a>],
    rendered: &Rendered,
    source: &str,
    object: &str,
) -> (Vec<&'b Lines<'a>>, Vec<&'b Lines<'a>>) {
    let (kind, name) = object.split_once('/').unwrap_or((object, ""));
    let of_kind: Vec<_> = documents
        .iter()
        .filter(|document| says(document, "kind:", kind))
        .collect();
    let named: Vec<_> = of_kind
        .iter()
        .copied()
        .filter(|document| says(document, "name:", name))
        .collect();
    let same = rendered
        .manifests
        .iter()
        .filter(|manifest| manifest.source == source && manifest.kind() == kind);
    let names: Vec<_> = same
        .map(|manifest| manifest.name().unwrap_or_default())
        .collect();
    let own = match (&named[..], names.iter().position(|same| *same == name)) {
        ([one], _) => vec![*one],
        (_, Some(at)) if names.len() == of_kind.len() => vec![of_kind[at]],
        _ => of_kind,
    };
    let others = documents
        .iter()
        .filter(|document| !own.iter().any(|own| std::ptr::eq(*own, *document)));
    (own.clone(), others.collect())
}

/// `kind: Service`, in a block or between braces.
fn says(document: &Lines, key: &str, value: &str) -> bool {
    let ends = |rest: &str| rest.is_empty() || rest.starts_with([' ', ',', '}', '"', '\'', '\r']);
    document.iter().any(|(_, line)| {
        line.match_indices(key).any(|(at, _)| {
            let rest = line[at + key.len()..]
                .trim_start()
                .trim_start_matches(['"', '\'']);
            rest.strip_prefix(value).is_some_and(ends)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "apiVersion: v1
kind: Service
metadata: {name: one}
spec: {type: NodePort}
---
kind: ConfigMap
metadata: {name: one}
---
apiVersion: v1
kind: Service
metadata: {name: two}
spec: {type: NodePort}
";

    fn rendered(names: &[&str]) -> Rendered {
        let service = |name: &&str| {
            format!("# Source: s/t.yaml\nkind: Service\nmetadata: {{name: {name}}}\n")
        };
        Rendered::parse(&names.iter().map(service).collect::<Vec<_>>().join("---\n")).unwrap()
    }

    #[test]
    fn the_line_is_looked_for_in_the_objects_own_document() {
        let line = |object: &str, word: &str| {
            line_of(
                TEMPLATE,
                &rendered(&["one", "two"]),
                "s/t.yaml",
                object,
                &[word],
            )
        };
        assert_eq!(
            (line("Service/one", "type:"), line("Service/two", "type:")),
            (Some(4), Some(12))
        );
        assert_eq!(line("ConfigMap/one", "name:"), Some(7));
        assert_eq!(
            line("ConfigMap/one", "type:"),
            Some(4),
            "elsewhere is better than nowhere"
        );
        assert_eq!(line("Service/one", "nothing"), None);
    }

    #[test]
    fn objects_whose_names_are_templated_are_told_by_their_order() {
        let template = TEMPLATE
            .replace("name: one", "name: {{ $x }}-a")
            .replace("name: two", "name: {{ $x }}-b");
        let line = |names: &[&str]| {
            line_of(
                &template,
                &rendered(names),
                "s/t.yaml",
                "Service/shop-b",
                &["type:"],
            )
        };
        assert_eq!(line(&["shop-a", "shop-b"]), Some(12));
        assert_eq!(line(&["shop-b"]), Some(4), "one was left out");
    }
}
