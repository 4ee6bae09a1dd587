//! What can keep the stack from starting, each told in one line.

use std::path::PathBuf;

/// Why the local stack could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// The template says something the stack does not know how to do, or says it wrongly.
    #[error("template: {path}: {problem}")]
    Template {
        /// Where in the template, for example `Resources.EmailQueue.Properties`.
        path: String,
        /// What is wrong there.
        problem: String,
    },
    /// A file or folder that is needed cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Something else already listens on a port the stack needs.
    #[error("port {port} is taken: {source}")]
    Port {
        /// The port on 127.0.0.1.
        port: u16,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// MiniStack did not start, or died.
    #[error("MiniStack: {0}")]
    MiniStack(String),
    /// The data services refused a request of the stack itself.
    #[error("{what}: {message}")]
    Aws {
        /// What was tried, for example `create table local-BookingsTable`.
        what: String,
        /// The service's answer.
        message: String,
    },
}

impl StackError {
    /// A template error at `path`.
    pub fn template(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Template { path: path.into(), problem: problem.into() }
    }

    /// An AWS SDK error with the service's own words, which `Display` alone leaves out.
    pub fn aws(what: impl Into<String>, error: impl std::error::Error) -> Self {
        Self::Aws { what: what.into(), message: chain(&error) }
    }

    /// A file error at `path`.
    pub fn file(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::File { path: path.into(), source }
    }
}

/// An error and everything beneath it on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
