//! What the world keeps: items by key, found as the tables' indexes find them, and timers by name and by time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use app::ports::{Due, Item, Key, Kind, Stored};
use domain::ids::{BookingId, BusinessId, ClientId, MessageId};
use domain::subject::SubjectId;
use jiff::Timestamp;

/// The items, with an index for each way they are looked for.
#[derive(Debug, Default)]
pub(crate) struct Store {
    items: HashMap<Key, Stored>,
    /// The rows of a subject, in the order in which they came to be.
    ledger: HashMap<(BusinessId, SubjectId), Vec<Key>>,
    messages: HashMap<MessageId, Key>,
    /// A client's parts in bookings.
    parts: HashMap<(BusinessId, ClientId), Vec<Key>>,
    /// A business's bookings by start.
    calendar: HashMap<BusinessId, BTreeSet<(Timestamp, BookingId)>>,
    /// A business's things by kind and id.
    lists: HashMap<(BusinessId, u8), BTreeMap<String, Key>>,
}

impl Store {
    pub(crate) fn get(&self, key: &Key) -> Option<&Stored> {
        self.items.get(key)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Stored> {
        self.items.values()
    }

    /// The message with this id.
    pub(crate) fn message(&self, id: &MessageId) -> Option<&Stored> {
        self.items.get(self.messages.get(id)?)
    }

    /// The rows of a subject.
    pub(crate) fn ledger_of(
        &self,
        business: &BusinessId,
        subject: &SubjectId,
    ) -> impl Iterator<Item = &Stored> {
        self.of(self.ledger.get(&(business.clone(), subject.clone())))
    }

    /// A client's parts in bookings.
    pub(crate) fn parts_of(&self, business: &BusinessId, client: &ClientId) -> impl Iterator<Item = &Stored> {
        self.of(self.parts.get(&(business.clone(), client.clone())))
    }

    /// A business's bookings by start and id.
    pub(crate) fn calendar_of(&self, business: &BusinessId) -> impl Iterator<Item = &(Timestamp, BookingId)> {
        self.calendar.get(business).into_iter().flatten()
    }

    /// A business's things of a kind by id.
    pub(crate) fn list(&self, business: &BusinessId, kind: Kind) -> impl Iterator<Item = (&String, &Stored)> {
        let listed = self.lists.get(&(business.clone(), kind as u8)).into_iter().flatten();
        listed.filter_map(|(id, key)| Some((id, self.items.get(key)?)))
    }

    fn of(&self, keys: Option<&Vec<Key>>) -> impl Iterator<Item = &Stored> {
        keys.into_iter().flatten().filter_map(|key| self.items.get(key))
    }

    /// Puts an item there; answers what was there before.
    pub(crate) fn insert(&mut self, stored: Stored) -> Option<Stored> {
        let key = stored.item.key();
        let is_new = !self.items.contains_key(&key);
        match &stored.item {
            Item::Message(message) if is_new => {
                let subject = (message.business_id.clone(), message.subject.clone());
                self.ledger.entry(subject).or_default().push(key.clone());
                self.messages.insert(message.id.clone(), key.clone());
            }
            Item::Check(check) if is_new => {
                let subject = (check.business_id.clone(), check.subject.clone());
                self.ledger.entry(subject).or_default().push(key.clone());
            }
            Item::Participation(part) if is_new => {
                let client = (part.business_id.clone(), part.client_id.clone());
                self.parts.entry(client).or_default().push(key.clone());
            }
            Item::Booking(booking) => {
                let calendar = self.calendar.entry(booking.business_id.clone()).or_default();
                if let Some(Item::Booking(before)) = self.items.get(&key).map(|stored| &stored.item) {
                    calendar.remove(&(before.start, before.id.clone()));
                }
                calendar.insert((booking.start, booking.id.clone()));
            }
            _ => {}
        }
        if let Some((business, kind, id)) = listed(&stored.item).filter(|_| is_new) {
            self.lists.entry((business, kind as u8)).or_default().insert(id, key.clone());
        }
        self.items.insert(key, stored)
    }
}

/// In which list of a business, and under which id, an item stands, if in any.
fn listed(item: &Item) -> Option<(BusinessId, Kind, String)> {
    let (owner, kind, id) = match item {
        Item::Location(x) => (&x.business_id, Kind::Locations, x.id.to_string()),
        Item::Resource(x) => (&x.business_id, Kind::Resources, x.id.to_string()),
        Item::Service(x) => (&x.business_id, Kind::Services, x.id.to_string()),
        Item::Client(x) => (&x.business_id, Kind::Clients, x.id.to_string()),
        Item::Staff(x) => (&x.business_id, Kind::Staff, x.id.to_string()),
        Item::WaitlistEntry(x) => (&x.business_id, Kind::Waitlist, x.id.to_string()),
        Item::Task(x) => (&x.business_id, Kind::Tasks, x.id.to_string()),
        _ => return None,
    };
    Some((owner.clone(), kind, id))
}

/// The timers that are set.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_name: BTreeMap<String, Due>,
    by_time: BTreeSet<(Timestamp, String)>,
}

impl Timers {
    /// Sets one; one of the same name stays.
    pub(crate) fn set(&mut self, due: &Due) {
        let name = due.timer_name();
        if !self.by_name.contains_key(&name) {
            self.by_time.insert((due.at, name.clone()));
            self.by_name.insert(name, due.clone());
        }
    }

    /// Takes one away, if it is there.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Due> {
        let due = self.by_name.remove(name)?;
        self.by_time.remove(&(due.at, name.to_owned()));
        Some(due)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Due> {
        self.by_name.get(name)
    }

    /// All of them, by name.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Due> {
        self.by_name.values()
    }

    /// When the next fires (UTC).
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes away those that fire until an instant (UTC), by name.
    pub(crate) fn fire(&mut self, until: Timestamp) -> Vec<Due> {
        let mut names: Vec<String> =
            self.by_time.iter().take_while(|(at, _)| *at <= until).map(|(_, name)| name.clone()).collect();
        names.sort();
        names.iter().filter_map(|name| self.remove(name)).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}
