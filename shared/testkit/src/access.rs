//! The ports in memory by which it is noted who calls.

use app::ports::{Item, Key, NoteUse, PortError, Stored};
use domain::ids::KeyId;
use jiff::Timestamp;

use crate::world::{Call, World};

impl NoteUse for World {
    async fn note_use(&self, id: &KeyId, now: Timestamp) -> Result<(), PortError> {
        self.port(Call::Write(1), |state| {
            let known = state.items.get(&Key::Credential(id.clone())).cloned();
            if let Some(Stored { item: Item::Credential(mut credential), version }) = known {
                credential.key.last_used_at = Some(now);
                state.items.insert(Stored { item: Item::Credential(credential), version });
            }
        })
        .await
    }
}
