//! What pods and nodes use of memory and cpu, as the kubelets measure it.

use super::super::answer::{AskAnswer, places};
use super::super::conditions::limit;
use super::super::kind::AskedKind;
use super::super::object::SeenObject;
use super::super::question::{Measured, Question};
use super::super::snapshot::ClusterSnapshot;
use super::super::unclear::Unclear;
use super::super::wording::quantity_text;
use super::fitting;
use super::logs::pods_of_kinds;
use crate::inventory::PodUse;
use crate::quantity::thousandths;

pub(in super::super) fn usage(
    question: &Question,
    measured: Measured,
    snapshot: &ClusterSnapshot,
) -> Result<AskAnswer, Unclear> {
    if snapshot.usage.is_none() {
        return Err(Unclear::unmeasured());
    }
    if question.kinds == [AskedKind::Node] && question.names.is_empty() {
        return Ok(nodes(question, snapshot));
    }
    let mut pods: Vec<SeenObject<'_>> = vec![];
    let mut named = vec![];
    match question.is_of_kinds() {
        true => pods = pods_of_kinds(question, snapshot)?,
        false => named = question.meant(snapshot)?,
    }
    for meant in named {
        let mut found = meant.pods(snapshot);
        if found.is_empty() && !meant.objects.iter().any(|seen| seen.kind.has_pods()) {
            return Err(Unclear::unfitting(
                "use of memory and cpu",
                &format!("`{}`", meant.name),
            ));
        }
        fitting(question, AskedKind::Pod, &mut found, snapshot)?;
        pods.extend(found);
    }
    let mut known: Vec<_> = pods
        .into_iter()
        .filter_map(|pod| Some((pod, snapshot.use_of(pod)?)))
        .collect();
    known.sort_by_key(|(pod, used)| {
        (
            std::cmp::Reverse(figure(measured, *used)),
            pod.name().to_owned(),
        )
    });
    let total = known.len();
    known.truncate(question.cut.first.unwrap_or(total));
    let mut answer = AskAnswer::new(question, snapshot);
    let memory: u64 = known.iter().map(|(_, used)| used.memory_bytes).sum();
    answer.text = match known.first() {
        None => "No pod that runs was measured.".to_owned(),
        Some((first, _)) if known.len() > 1 => {
            format!(
                "{} pods use {} of memory; `{}` uses most {}.",
                known.len(),
                bytes(memory),
                first.name(),
                measured.words()
            )
        }
        Some((first, used)) => format!(
            "Pod `{}` uses {} of memory and {} of cpu.",
            first.name(),
            bytes(used.memory_bytes),
            cores(*used)
        ),
    };
    answer.count = Some(known.len());
    let rows = known.iter().map(|(pod, used)| row(*pod, *used)).collect();
    answer.table(&["POD", "MEMORY", "OF LIMIT", "CPU", "OF LIMIT"], rows);
    answer
        .notes
        .push("measured by the kubelets; kubectl top needs a metrics server".to_owned());
    let places = places(question, AskedKind::Pod, snapshot);
    let place = places.first().cloned().unwrap_or_default();
    answer.kubectl(format!("top pods --sort-by {}{place}", measured.words()));
    Ok(answer)
}

impl Measured {
    pub(in super::super) fn words(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
        }
    }
}

fn figure(measured: Measured, used: PodUse) -> u64 {
    match measured {
        Measured::Memory => used.memory_bytes,
        Measured::Cpu => used.cpu_nanos.unwrap_or_default(),
    }
}

fn bytes(bytes: u64) -> String {
    quantity_text(bytes as f64 * 1e3)
}

fn cores(used: PodUse) -> String {
    used.cpu_nanos.map_or_else(
        || "unknown".to_owned(),
        |nanos| format!("{}m", nanos.div_ceil(1_000_000)),
    )
}

fn row(pod: SeenObject<'_>, used: PodUse) -> Vec<String> {
    let share = |of: f64, unit: &str| {
        limit(pod, unit).map_or_else(
            || "no limit".to_owned(),
            |limit| format!("{:.0} %", of / limit * 100.0),
        )
    };
    vec![
        pod.name().to_owned(),
        bytes(used.memory_bytes),
        share(used.memory(), "memory"),
        cores(used),
        share(used.cpu(), "cpu"),
    ]
}

/// What the pods of each node use together, and what the node can give.
fn nodes(question: &Question, snapshot: &ClusterSnapshot) -> AskAnswer {
    let mut answer = AskAnswer::new(question, snapshot);
    let mut rows = vec![];
    for node in snapshot.all(AskedKind::Node) {
        let mut pods = snapshot.pods_of(node);
        pods.retain(|pod| question.scope.has(pod.namespace(), snapshot));
        let used: Vec<_> = pods
            .iter()
            .filter_map(|pod| snapshot.use_of(*pod))
            .collect();
        let total = PodUse {
            memory_bytes: used.iter().map(|used| used.memory_bytes).sum(),
            cpu_nanos: Some(used.iter().filter_map(|used| used.cpu_nanos).sum()),
        };
        let can = &node.status()["allocatable"];
        let share = |used: f64, unit: &str| {
            let most = can[unit].as_str().and_then(thousandths).unwrap_or_default();
            if most > 0.0 {
                format!("{:.0} %", used / most * 100.0)
            } else {
                String::new()
            }
        };
        rows.push(vec![
            node.name().to_owned(),
            bytes(total.memory_bytes),
            share(total.memory(), "memory"),
            cores(total),
            share(total.cpu(), "cpu"),
        ]);
    }
    answer.text = format!(
        "The pods of {} use this:",
        AskedKind::Node.counted(rows.len())
    );
    answer.count = Some(rows.len());
    answer.table(
        &["NODE", "MEMORY", "OF THE NODE", "CPU", "OF THE NODE"],
        rows,
    );
    answer.notes.push(
        format!(
            "the sum of the pods in {}, as the kubelets measure them; kubectl top needs a metrics server",
            question.scope.words(snapshot)
        ),
    );
    answer.kubectl("top nodes");
    answer
}
