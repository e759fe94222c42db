//! The identity of an Engine, whatever its address: a cluster of one name may exist on several Engines.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Engine, request_failed};
use crate::error::Result;

/// The record of an Engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Empty if the Engine has no lasting ID.
    pub id: String,
    /// The address at which the Engine was found, for messages; in the form of DOCKER_HOST.
    pub host: String,
}

impl Engine {
    /// The ID that the Engine reports. devk asks once.
    ///
    /// # Errors
    /// [`DockerRequest`](crate::error::Code::DockerRequest).
    pub async fn id(&self) -> Result<&str> {
        self.id
            .get_or_try_init(|| async { Ok(self.query().await?.0) })
            .await
            .map(String::as_str)
    }

    /// The record of the Engine, and its clock. Podman invents a new ID for every request, which counts as none.
    ///
    /// # Errors
    /// As [`Self::id`].
    pub async fn identity(&self) -> Result<(Identity, Timestamp)> {
        let (first, (again, clock)) = tokio::try_join!(self.id(), self.query())?;
        let id = if first == again { again } else { String::new() };
        Ok((
            Identity {
                id,
                host: self.host.clone(),
            },
            clock,
        ))
    }

    /// Whether the other record is of this Engine, as far as the two can be compared.
    ///
    /// # Errors
    /// As [`Self::id`].
    pub async fn is(&self, kept: &Identity) -> Result<bool> {
        Ok(kept.id.is_empty() || self.id().await? == kept.id)
    }

    async fn query(&self) -> Result<(String, Timestamp)> {
        let refused = |e| request_failed("the Engine does not say which one it is", &e);
        let info = self.docker.info().await.map_err(refused)?;
        let clock = info
            .system_time
            .and_then(|time| time.parse().ok())
            .unwrap_or_else(Timestamp::now);
        Ok((info.id.unwrap_or_default(), clock))
    }
}
