//! The ports in memory by which feedback finds what it is about, and limits are counted.

use app::ports::{
    Count, FindClients, FindMessage, Item, ListConversation, Listed, MessageRef, Meter, Page, PortError,
    Take, Taken,
};
use domain::channel::Channel;
use domain::contact::Phone;
use domain::ids::{BusinessId, ClientId};

use crate::world::{Call, World};

impl FindMessage for World {
    async fn message_with(
        &self,
        channel: Channel,
        provider_id: &str,
    ) -> Result<Option<MessageRef>, PortError> {
        self.port(Call::Read, |state| {
            let mut messages = state.messages();
            let is_it = |message: &&domain::message::Message| {
                message.channel == channel && message.provider_id.as_deref() == Some(provider_id)
            };
            messages.find(is_it).map(MessageRef::of)
        })
        .await
    }
}

impl FindClients for World {
    async fn clients_with(&self, phone: &Phone) -> Result<Vec<(BusinessId, ClientId)>, PortError> {
        self.port(Call::Read, |state| {
            let clients = state.items.values().filter_map(|stored| stored.item.client());
            let mut found: Vec<_> = clients
                .filter(|client| client.phone.as_ref() == Some(phone))
                .map(|client| (client.business_id.clone(), client.id.clone()))
                .collect();
            found.sort();
            found
        })
        .await
    }
}

impl ListConversation for World {
    async fn conversation(
        &self,
        business_id: &BusinessId,
        client_id: &ClientId,
        page: Page,
    ) -> Result<Listed, PortError> {
        self.port(Call::Read, |state| {
            let mut items: Vec<_> = state
                .items
                .values()
                .filter(|stored| {
                    let of_client = |entry: &domain::conversation::Entry| {
                        (&entry.business_id, &entry.client_id) == (business_id, client_id)
                    };
                    matches!(&stored.item, Item::Entry(entry) if of_client(entry))
                })
                .cloned()
                .collect();
            let place = |item: &Item| item.entry().map(|entry| format!("{}#{}", entry.at, entry.id));
            items.sort_by_key(|stored| std::cmp::Reverse(place(&stored.item)));
            items.retain(|stored| page.after.is_none() || place(&stored.item) < page.after);
            let limit = usize::try_from(page.limit).unwrap();
            let next = (items.len() > limit).then(|| place(&items[limit - 1].item)).flatten();
            items.truncate(limit);
            Listed { items, next }
        })
        .await
    }
}

impl Meter for World {
    async fn count(&self, business_id: &BusinessId, counts: &[Count]) -> Result<Option<usize>, PortError> {
        self.port(Call::Write(counts.len()), |state| {
            let key = |count: &Count| (business_id.clone(), count.what.clone());
            let sum = |count: &Count| state.meters.get(&key(count)).copied().unwrap_or(0) + count.add;
            let over = counts.iter().position(|count| sum(count) > count.most);
            if over.is_none() {
                for count in counts {
                    *state.meters.entry(key(count)).or_default() += count.add;
                }
            }
            over
        })
        .await
    }
}

impl Take for World {
    async fn take(&self, business_id: &BusinessId, count: &Count) -> Result<Taken, PortError> {
        self.port(Call::Write(1), |state| {
            let total = state.meters.entry((business_id.clone(), count.what.clone())).or_default();
            let taken = count.add.min(count.most.saturating_sub(*total));
            *total += taken;
            Taken { taken, left: count.most.saturating_sub(*total) }
        })
        .await
    }
}
