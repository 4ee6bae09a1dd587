//! Configuration from the environment, read once at start.

/// A variable that the template should have set.
#[derive(Debug, thiserror::Error)]
#[error("the environment has no {0}; template.yaml sets it")]
pub struct MissingVariable(&'static str);

/// Reads a variable; an empty one counts as missing.
///
/// # Errors
/// [`MissingVariable`] names it.
pub fn variable(name: &'static str) -> Result<String, MissingVariable> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).ok_or(MissingVariable(name))
}
