//! Whole files of small projects.
