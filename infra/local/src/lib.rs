//! The whole system on one machine: runs the real function binaries from the real `template.yaml`.

pub mod clock;
pub mod seams;
