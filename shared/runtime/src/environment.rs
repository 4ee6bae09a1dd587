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

/// A variable that the template should have set otherwise.
#[derive(Debug, thiserror::Error)]
pub enum BadVariable<E: std::error::Error + 'static> {
    /// It is not set.
    #[error(transparent)]
    Missing(#[from] MissingVariable),
    /// It is set to what it cannot be.
    #[error("the environment's {0} is wrong")]
    Wrong(&'static str, #[source] E),
}

/// Reads a variable that is more than text.
///
/// # Errors
/// [`BadVariable`] names it.
pub fn parsed<T: std::str::FromStr>(name: &'static str) -> Result<T, BadVariable<T::Err>>
where
    T::Err: std::error::Error + 'static,
{
    variable(name)?.parse().map_err(|error| BadVariable::Wrong(name, error))
}

/// Which webhooks may be reached. Everything on the public internet, unless `WEBHOOKS_ALLOW_LOCAL` says `true`: the local stack does, the template never.
pub fn reach() -> Reach {
    match variable("WEBHOOKS_ALLOW_LOCAL").as_deref() {
        Ok("true") => Reach::Local,
        _ => Reach::Public,
    }
}
