//! Which cluster this is, and what can be asked.

use super::super::answer::AskAnswer;
use super::super::columns::status_word;
use super::super::kind::AskedKind;
use super::super::nearest::EXAMPLES;
use super::super::object::text;
use super::super::question::Question;
use super::super::snapshot::ClusterSnapshot;

pub(in super::super) fn cluster(question: &Question, snapshot: &ClusterSnapshot) -> AskAnswer {
    let mut answer = AskAnswer::new(question, snapshot);
    let rows: Vec<_> = snapshot
        .all(AskedKind::Node)
        .map(|node| {
            vec![
                node.name().to_owned(),
                status_word(node, snapshot),
                text(&node.status()["nodeInfo"]["kubeletVersion"]),
            ]
        })
        .collect();
    let project = &snapshot.project;
    answer.text = format!(
        "Cluster `{}` runs Kubernetes {} with {}; this project is in namespace `{}`.",
        snapshot.cluster,
        snapshot.version,
        AskedKind::Node.counted(rows.len()),
        project.namespace
    );
    answer.count = Some(rows.len());
    answer.table(&["NODE", "STATUS", "VERSION"], rows);
    answer.kubectl("version");
    answer.kubectl("get nodes");
    answer.next("devk status");
    answer
}

pub(in super::super) fn help(question: &Question, snapshot: &ClusterSnapshot) -> AskAnswer {
    let mut answer = AskAnswer::new(question, snapshot);
    answer.text = "Questions like these have answers; `in NAMESPACE` and `everywhere` look beyond the project.".to_owned();
    answer.table(
        &["QUESTION"],
        EXAMPLES
            .iter()
            .map(|example| vec![(*example).to_owned()])
            .collect(),
    );
    answer
}
