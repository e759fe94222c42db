//! All checks of the standards with their versions. The ids, levels and versions are those of
//! k8s.io/pod-security-admission v0.36.3, `policy/check_*.go`.

use super::PodSecurityLevel::{Baseline, Restricted};
use super::{Form, PodSecurityCheck};
use super::{capabilities, host, privileges, profiles, volumes};

/// `id, level: since => look, …;` with `replaces [ids]` for a check that makes checks of the baseline needless.
macro_rules! checks {
    ($($id:literal, $level:ident $(replaces [$($replaced:literal),+])?: $($since:literal => $look:expr),+;)+) => {
        /// Every check, those of the baseline first, each level in the order of the ids.
        pub const CHECKS: &[PodSecurityCheck] = &[$(PodSecurityCheck {
            id: $id,
            level: $level,
            replaces: &[$($($replaced),+)?],
            forms: &[$(Form { since: $since, look: $look }),+],
        },)+];
    };
}

checks! {
    "appArmorProfile", Baseline: 0 => profiles::app_armor;
    "capabilities_baseline", Baseline: 0 => capabilities::baseline;
    "hostNamespaces", Baseline: 0 => host::namespaces;
    "hostPathVolumes", Baseline: 0 => volumes::host_paths;
    "hostPorts", Baseline: 0 => host::ports;
    "hostProbesAndHostLifecycle", Baseline: 34 => host::probes;
    "privileged", Baseline: 0 => privileges::privileged;
    "procMount", Baseline: 0 => volumes::proc_mount, 35 => volumes::proc_mount_or_own_users;
    "seLinuxOptions", Baseline: 0 => profiles::selinux, 31 => profiles::selinux_with_engine;
    "seccompProfile_baseline", Baseline: 0 => profiles::seccomp_annotations, 19 => profiles::seccomp;
    "sysctls", Baseline: 0 => host::sysctls::<0>, 27 => host::sysctls::<27>, 29 => host::sysctls::<29>, 32 => host::sysctls::<32>;
    "windowsHostProcess", Baseline: 0 => host::windows_processes;
    "allowPrivilegeEscalation", Restricted: 8 => privileges::escalation, 25 => privileges::escalation_but_windows;
    "capabilities_restricted", Restricted replaces ["capabilities_baseline"]:
        22 => capabilities::restricted, 25 => capabilities::restricted_but_windows;
    "procMount_restricted", Restricted replaces ["procMount"]: 35 => volumes::proc_mount;
    "restrictedVolumes", Restricted replaces ["hostPathVolumes"]: 0 => volumes::restricted;
    "runAsNonRoot", Restricted: 0 => privileges::non_root, 35 => privileges::non_root_or_own_users;
    "runAsUser", Restricted: 23 => privileges::user, 35 => privileges::user_or_own_users;
    "seccompProfile_restricted", Restricted replaces ["seccompProfile_baseline"]:
        19 => profiles::seccomp_required, 25 => profiles::seccomp_required_but_windows;
}
