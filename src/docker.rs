//! The Docker Engine: finding it, running commands in containers, and what ports containers claim.
