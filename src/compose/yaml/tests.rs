//! Read as Compose's YAML library reads it; each case was seen there.

use super::*;

#[test]
#[ignore = "hand tool"]
fn dump() {
    use std::io::Write;
    let mut out = std::io::BufWriter::new(std::fs::File::create("/tmp/ctext/mine.out").unwrap());
    for file in std::fs::read_to_string("/tmp/ctext/list").unwrap().lines() {
        let bytes = std::fs::read(file).unwrap();
        let line = match raw(&bytes) {
            Ok(o) => serde_json::json!({"f": file, "err": "", "o": o}),
            Err(e) => serde_json::json!({"f": file, "err": format!("{}: {}", e.line, e.message), "o": null}),
        };
        writeln!(out, "{line}").unwrap();
    }
}

fn raw(bytes: &[u8]) -> Fallible<Vec<serde_json::Value>> {
    let text = text::decode(bytes)?;
    let mut grammar = grammar::Grammar::new(&text);
    let mut out = Vec::new();
    while let Some(root) = grammar.document()? {
        out.push(serde_json::json!(["doc"]));
        walk(&grammar, root, &mut out);
    }
    Ok(out)
}

fn walk(g: &grammar::Grammar, id: graph::Id, out: &mut Vec<serde_json::Value>) {
    use graph::RawKind;
    use serde_json::json;
    let raw = g.graph.get(id);
    let (l, t) = (raw.line, raw.tag.clone().unwrap_or_default());
    let a = g.anchors.iter().find(|(_, v)| **v == id).map(|(k, _)| k.clone()).unwrap_or_default();
    match &raw.kind {
        RawKind::Scalar { text, plain } => out.push(json!(["scalar", l, t, a, text, plain])),
        RawKind::List(items) => {
            out.push(json!(["seq", l, t, a]));
            items.iter().for_each(|i| walk(g, *i, out));
            out.push(json!(["/seq"]));
        }
        RawKind::Map(items) => {
            out.push(json!(["map", l, t, a]));
            items.iter().for_each(|(k, v)| {
                walk(g, *k, out);
                walk(g, *v, out)
            });
            out.push(json!(["/map"]));
        }
        RawKind::Alias { name, .. } => out.push(json!(["alias", l, name])),
    }
}

#[test]
#[ignore = "hand tool"]
fn dump_trees() {
    use std::io::Write;
    let mut out = std::io::BufWriter::new(std::fs::File::create("/tmp/ctext/mydec.out").unwrap());
    for file in std::fs::read_to_string("/tmp/ctext/list2").unwrap().lines() {
        let bytes = std::fs::read(file).unwrap();
        let line = match parse(&bytes, Path::new(file)) {
            Ok(docs) => {
                let o: Vec<_> = docs
                    .iter()
                    .map(|d| {
                        let mut p: Vec<_> = d.resets.iter().map(|r| r.0.join(".")).collect();
                        p.sort();
                        serde_json::json!([norm(&d.root), p])
                    })
                    .collect();
                serde_json::json!({"f": file, "err": "", "o": o})
            }
            Err(e) => serde_json::json!({"f": file, "err": format!("{:?}: {}", e.line, e.message), "o": null}),
        };
        writeln!(out, "{line}").unwrap();
    }
}

fn norm(n: &Node) -> serde_json::Value {
    use serde_json::json;
    match &n.data {
        Data::Null => json!(["null"]),
        Data::Bool(b) => json!(["bool", b]),
        Data::Int(i) => json!(["int", i.to_string()]),
        Data::Float(f) if f.is_nan() => json!(["float", "NaN"]),
        Data::Float(f) => json!(["float", f.to_bits().to_string()]),
        Data::Time(_) => json!(["time"]),
        Data::Text(t) => json!(["text", t]),
        Data::List(l) => json!(["list", l.iter().map(norm).collect::<Vec<_>>()]),
        Data::Map(m) => json!([
            "map",
            m.iter().map(|e| (e.key.clone(), norm(&e.value))).collect::<std::collections::BTreeMap<_, _>>()
        ]),
    }
}
