//! The ports in memory by which messages, clients and occasions are listed, and facts deleted.

use app::ports::{
    ClientOccasions, DeleteFacts, FindClientsByEmail, Item, Key, Listed, Log, MessageLog, Page, PortError,
    Stored,
};
use domain::contact::Email;
use domain::ids::{BusinessId, ClientId, MessageId};
use domain::message::Message;
use jiff::Timestamp;

use crate::world::{Call, World};

impl MessageLog for World {
    async fn messages_before(
        &self,
        business_id: &BusinessId,
        log: &Log,
        before: &(Timestamp, Option<MessageId>),
        from: Timestamp,
        limit: u32,
    ) -> Result<Vec<(Timestamp, Key)>, PortError> {
        assert!((1..=100).contains(&limit), "what is found is read at once");
        let is_there = |message: &&Message| {
            let of_log = match log {
                Log::Business => true,
                Log::To(recipient) => message.recipient == *recipient,
            };
            let is_before = match &before.1 {
                Some(id) => (message.due, &message.id) < (before.0, id),
                None => message.due < before.0,
            };
            message.business_id == *business_id && of_log && is_before && from <= message.due
        };
        self.port(Call::Read, |state| {
            let mut found: Vec<&Message> = state.messages().filter(is_there).collect();
            found.sort_by(|one, other| (other.due, &other.id).cmp(&(one.due, &one.id)));
            found.truncate(usize::try_from(limit).unwrap());
            found.into_iter().map(|message| (message.due, Item::Message(message.clone()).key())).collect()
        })
        .await
    }
}

impl FindClientsByEmail for World {
    async fn clients_with_email(
        &self,
        business_id: &BusinessId,
        email: &Email,
    ) -> Result<Vec<ClientId>, PortError> {
        self.port(Call::Read, |state| {
            let clients = state.items.values().filter_map(|stored| stored.item.client());
            let has_it = |known: &Email| known.is_same(email);
            let mut found: Vec<ClientId> = clients
                .filter(|client| client.business_id == *business_id)
                .filter(|client| client.email.as_ref().is_some_and(has_it))
                .map(|client| client.id.clone())
                .collect();
            found.sort();
            found
        })
        .await
    }
}

impl ClientOccasions for World {
    async fn occasions_of(
        &self,
        business_id: &BusinessId,
        client_id: &ClientId,
        page: Page,
    ) -> Result<Listed, PortError> {
        self.port(Call::Read, |state| {
            let id = |stored: &Stored| stored.item.occasion().map(|occasion| occasion.id.to_string());
            let is_theirs = |stored: &&Stored| {
                stored.item.occasion().is_some_and(|occasion| {
                    occasion.business_id == *business_id && occasion.recipient.client() == Some(client_id)
                })
            };
            let mut items: Vec<Stored> = state.items.values().filter(is_theirs).cloned().collect();
            items.retain(|stored| page.after.is_none() || id(stored) > page.after);
            items.sort_by_key(id);
            let limit = usize::try_from(page.limit).unwrap();
            let next = (items.len() > limit).then(|| id(&items[limit - 1])).flatten();
            items.truncate(limit);
            Listed { items, next }
        })
        .await
    }
}

impl DeleteFacts for World {
    async fn delete_facts(&self, keys: Vec<Key>) -> Result<(), PortError> {
        assert!(keys.len() <= 100, "at most 100 at once");
        self.port(Call::Delete, |state| keys.iter().for_each(|key| state.items.remove(key))).await
    }
}
