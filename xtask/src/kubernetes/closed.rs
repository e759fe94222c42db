//! Enumerations that the sources do not mark as such.

/// Types that are enumerations by the server's validation (k8s.io/kubernetes, `pkg/apis/*/validation`), without a mark in
/// the oldest or in all versions.
pub(super) const CLOSED: [(&str, &[&str]); 6] = [
    (
        "core.v1",
        &[
            "ConditionStatus",
            "ContainerRestartPolicy",
            "ContainerRestartRuleAction",
            "ContainerRestartRuleOnExitCodesOperator",
            "OSName",
            "PodSELinuxChangePolicy",
            "RecursiveReadOnlyMode",
            "ResourceResizeRestartPolicy",
        ],
    ),
    ("apps.v1", &["PersistentVolumeClaimRetentionPolicyType"]),
    (
        "autoscaling.v2",
        &[
            "HPAScalingPolicyType",
            "MetricSourceType",
            "MetricTargetType",
            "ScalingPolicySelect",
        ],
    ),
    (
        "apiextensions.v1",
        &["ConversionStrategyType", "ResourceScope"],
    ),
    ("meta.v1", &["LabelSelectorOperator"]),
    ("storage.v1", &["FSGroupPolicy", "VolumeLifecycleMode"]),
];
