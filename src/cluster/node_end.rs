//! Containers that ended with their node, which is no fault of theirs.

use k8s_openapi::api::core::v1::ContainerStateTerminated;

/// The exit code that containerd gives a container that was gone when it was started itself.
const LOST_EXIT_CODE: i32 = 255;

/// It ended with its node, or with what runs containers there: that was started again and does not know how the
/// container ended. `devk down` stops nodes, too.
pub fn ended_with_its_node(end: &ContainerStateTerminated) -> bool {
    end.exit_code == LOST_EXIT_CODE && end.reason.as_deref() == Some("Unknown")
}
