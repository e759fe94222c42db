//! The rendered charts without a bridge.

use serde_json::Value;

/// A release and the chart's values with the user's over them.
#[derive(Debug, Clone)]
pub struct KnownValues {
    pub release: String,
    pub values: Value,
}
