//! New ids and secrets.

use app::ports::NewId;

/// Ids as UUID version 7, which sort by time, and secrets from the operating system's random numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl NewId for RandomIds {
    fn new_id(&self) -> String {
        uuid::Uuid::now_v7().simple().to_string()
    }

    fn new_secret(&self) -> String {
        let mut bytes = [0; 32];
        // Where the system has no random numbers, two version 4 UUIDs would have none either: stop rather than hand out a weak secret.
        if let Err(error) = getrandom::fill(&mut bytes) {
            tracing::error!(%error, "the system gives no random numbers");
            std::process::exit(1);
        }
        hex::encode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_secrets_differ() {
        let ids = RandomIds;
        assert_ne!(ids.new_id(), ids.new_id());
        assert_eq!(ids.new_id().len(), 32);
        assert_ne!(ids.new_secret(), ids.new_secret());
        assert_eq!(ids.new_secret().len(), 64);
    }
}
