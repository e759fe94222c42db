//! Releases: private chart copy, values, render, upgrade, readiness.
