//! Acts as CSV (RFC 4180), for spreadsheets. A cell that a spreadsheet would take for a formula begins with an apostrophe.

use super::record::{AuditRecord, AuditedPlan};
use super::search::AuditEntry;
use super::text::AuditText;

/// The first row.
const COLUMNS: [&str; 24] = [
    "time",
    "id",
    "kind",
    "result",
    "ms",
    "user",
    "uid",
    "through",
    "client",
    "project",
    "project_id",
    "folder",
    "cluster",
    "pin",
    "arguments",
    "exit",
    "code",
    "message",
    "question",
    "backend",
    "model",
    "plan",
    "approval",
    "diff",
];
/// With these characters at the beginning a cell is a formula to one spreadsheet or another.
const FORMULAS: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

/// The acts as a table with its head.
pub fn audit_csv(entries: &[AuditEntry]) -> String {
    let head = COLUMNS.map(str::to_owned).to_vec();
    let rows = std::iter::once(head).chain(entries.iter().map(row));
    rows.map(|cells| {
        let cells: Vec<_> = cells.iter().map(|text| cell(text)).collect();
        cells.join(",") + "\r\n"
    })
    .collect()
}

fn row(entry: &AuditEntry) -> Vec<String> {
    let begin = &entry.begin;
    let end = entry.outcome.as_ref();
    let (project, origin) = (begin.project.as_ref(), begin.origin.as_ref());
    let cluster = entry.cluster();
    let none = AuditedPlan::default();
    let plan = begin.plan.as_ref().unwrap_or(&none);
    let of_end = |get: fn(&AuditRecord) -> Option<String>| end.and_then(get);
    let text = |text: Option<&AuditText>| text.map(ToString::to_string);
    let approval = plan.approval.as_ref().or_else(|| origin?.approval.as_ref());
    let cells = [
        Some(begin.time.clone()),
        Some(begin.id.clone()),
        Some(begin.kind.word().to_owned()),
        Some(entry.state.word().to_owned()),
        of_end(|end| Some(end.ms?.to_string())),
        begin.user.clone(),
        begin.uid.map(|uid| uid.to_string()),
        origin.map(|origin| origin.through.word().to_owned()),
        text(origin.and_then(|origin| origin.client.as_ref())),
        project.map(|project| project.name.clone()),
        project.map(|project| project.id.clone()),
        begin.folder.as_ref().map(|path| path.display().to_string()),
        cluster.map(|cluster| cluster.name.clone()),
        cluster.and_then(|cluster| cluster.pin.clone()),
        Some(joined(&begin.arguments, " ")),
        of_end(|end| Some(end.exit?.to_string())),
        of_end(|end| end.code.clone()),
        text(end.and_then(|end| end.message.as_ref())),
        text(plan.question.as_ref()),
        text(plan.backend.as_ref()),
        text(plan.model.as_ref()),
        text(plan.hash.as_ref()),
        text(approval),
        Some(joined(diff(plan, end), "\n")),
    ];
    cells.map(Option::unwrap_or_default).to_vec()
}

/// What was changed in the end, or was to be.
fn diff<'a>(plan: &'a AuditedPlan, end: Option<&'a AuditRecord>) -> &'a [AuditText] {
    match end.map(|end| &end.diff[..]) {
        None | Some([]) => &plan.diff,
        Some(done) => done,
    }
}

fn joined(texts: &[AuditText], between: &str) -> String {
    let texts: Vec<_> = texts.iter().map(AuditText::as_str).collect();
    texts.join(between)
}

fn cell(text: &str) -> String {
    let is_formula = text.starts_with(FORMULAS);
    let text = if is_formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    match text.contains([',', '"', '\r', '\n', ';']) || is_formula {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_would_be_a_formula_is_a_text() {
        let cells = [
            ("=1+1", "\"'=1+1\""),
            ("+1", "\"'+1\""),
            ("-d", "\"'-d\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("\r=1", "\"'\r=1\""),
            ("\n=1", "\"'\n=1\""),
            (
                "=cmd|' /C calc'!A0,\"x\"",
                "\"'=cmd|' /C calc'!A0,\"\"x\"\"\"",
            ),
            ("a,b", "\"a,b\""),
            ("a=b", "a=b"),
            ("", ""),
        ];
        for (text, expected) in cells {
            assert_eq!(cell(text), expected);
        }
    }
}
