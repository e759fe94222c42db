//! What the words of Kubernetes mean that stand in an answer, for who sees them for the first time.

use super::answer::AskAnswer;

/// A word as answers have it, and what it means.
const TERMS: &[(&str, &str)] = &[
    (
        "Pod",
        "one or more containers that run together on one node and share an address; it is replaced, never repaired",
    ),
    (
        "Deployment",
        "keeps so many equal pods running, and replaces them one by one when their template changes",
    ),
    (
        "StatefulSet",
        "like a Deployment, for pods that keep their names and their volumes, such as databases",
    ),
    ("DaemonSet", "runs one pod on each node"),
    (
        "ReplicaSet",
        "what a Deployment makes for each version of its template; it counts the pods",
    ),
    ("CronJob", "makes a Job at the times of a schedule"),
    ("Job", "runs pods until one of them ends well"),
    (
        "Service",
        "a name and an address in front of pods that a selector chooses",
    ),
    (
        "endpoints",
        "the addresses of the ready pods behind a Service; without any, connections to the Service fail",
    ),
    (
        "Ingress",
        "leads HTTP requests by host and path to Services",
    ),
    (
        "ConfigMap",
        "configuration that pods read as files or variables",
    ),
    ("Secret", "the same for what nobody else should read"),
    (
        "claim",
        "a pod's wish for a volume; it is bound once there is one",
    ),
    ("StorageClass", "says who makes volumes for claims"),
    (
        "NetworkPolicy",
        "says which pods may talk to which; once one chooses a pod, all else is refused",
    ),
    (
        "ServiceAccount",
        "the name by which a pod speaks to the API server",
    ),
    ("HPA", "changes the number of pods by their load"),
    (
        "PodDisruptionBudget",
        "says how many pods may be taken away at once",
    ),
    (
        "Node",
        "a machine of the cluster; on a laptop it is a container",
    ),
    ("Namespace", "a part of the cluster with names of its own"),
    (
        "readiness probe",
        "a question that is asked again and again; while it is not answered, the pod gets no requests",
    ),
    (
        "liveness probe",
        "a question without whose answer the container is started again",
    ),
    (
        "crash loop",
        "the program ends again and again, and waits longer each time before it is started",
    ),
    (
        "CrashLoopBackOff",
        "the program ends again and again, and waits longer each time before it is started",
    ),
    (
        "Pending",
        "the pod has no node yet, or its containers are not started yet",
    ),
    (
        "OOMKilled",
        "the container took more memory than its limit, and was ended for that",
    ),
    (
        "out of memory",
        "the container took more memory than its limit, and was ended for that",
    ),
    ("limit", "the most that a container may take"),
    (
        "request",
        "what a container is given for certain, by which its node is chosen",
    ),
    ("replicas", "how many equal pods there are to be"),
    (
        "rollout",
        "the change from the pods of one template to those of the next",
    ),
    ("selector", "the labels by which objects are chosen"),
];

impl AskAnswer {
    /// The terms that the answer uses, with what each means; each meaning once.
    pub(super) fn terms(&self) -> Vec<String> {
        let cells = self.rows.iter().flatten().chain(&self.columns);
        let evidence = self
            .evidence
            .iter()
            .flat_map(|one| [&one.object, &one.text]);
        let all = [&self.text].into_iter().chain(cells).chain(evidence);
        let texts: Vec<_> = all.map(|text| text.to_lowercase()).collect();
        let is_used = |term: &str| {
            let term = term.to_lowercase();
            texts.iter().any(|text| has_word(text, &term))
        };
        let mut found: Vec<(&str, &str)> = vec![];
        for (term, meaning) in TERMS {
            if is_used(term) && !found.iter().any(|(_, known)| known == meaning) {
                found.push((term, meaning));
            }
        }
        let lines = found.into_iter();
        lines
            .map(|(term, meaning)| format!("{term}: {meaning}"))
            .collect()
    }
}

/// Whether a text has a term as a word, or several of it; both in small letters.
fn has_word(text: &str, term: &str) -> bool {
    text.match_indices(term).any(|(at, _)| {
        let is_of_word = |c: char| c.is_alphanumeric() || c == '-';
        let before = text[..at].chars().next_back();
        let after = &text[at + term.len()..];
        let after = after.strip_prefix('s').unwrap_or(after).chars().next();
        !before.is_some_and(is_of_word) && !after.is_some_and(is_of_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terms_of_an_answer_are_told_once_and_no_part_of_a_name_is_one() {
        let answer = AskAnswer {
            text: "2 pods of deployment `job-runner` are in a crash loop (CrashLoopBackOff)"
                .to_owned(),
            columns: vec!["POD".to_owned(), "NODE".to_owned()],
            ..AskAnswer::default()
        };
        let terms = answer.terms();
        let names: Vec<_> = terms
            .iter()
            .filter_map(|term| term.split(':').next())
            .collect();
        assert_eq!(names, ["Pod", "Deployment", "Node", "crash loop"]);
    }
}
