//! Configuration from the environment, read once at start.

use domain::webhook::Reach;

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

/// Which webhooks may be reached. Everything on the public internet, unless `WEBHOOKS_ALLOW_LOCAL` says `true`: the local stack does, the template never.
pub fn reach() -> Reach {
    match variable("WEBHOOKS_ALLOW_LOCAL").as_deref() {
        Ok("true") => Reach::Local,
        _ => Reach::Public,
    }
}
