//! What the world keeps: items by key, found as the tables' indexes find them, and timers by name and by time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use app::ports::{Due, Item, Key, Kind, NamedTimers, Stored};
use app::sweep::{open_due, shard_of};
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
    /// Rows that wait or are under way, by shard, time and id.
    open: BTreeMap<(u8, Timestamp, String), Key>,
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

    /// A business's things of a kind by id, after one of them; reviews the other way round.
    pub(crate) fn list(
        &self,
        business: &BusinessId,
        kind: Kind,
        after: Option<&String>,
    ) -> impl Iterator<Item = (&String, &Stored)> {
        let after = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.clone()));
        let listed = self.lists.get(&(business.clone(), kind as u8)).into_iter();
        let listed: Box<dyn Iterator<Item = (&String, &Key)>> = match kind {
            Kind::Reviews => {
                Box::new(listed.flat_map(move |list| list.range((Bound::Unbounded, after.clone())).rev()))
            }
            _ => Box::new(listed.flat_map(move |list| list.range((after.clone(), Bound::Unbounded)))),
        };
        listed.filter_map(|(id, key)| Some((id, self.items.get(key)?)))
    }

    /// The rows of a shard that wait or are under way, in the order of time, after one of them.
    pub(crate) fn open_rows(
        &self,
        shard: u8,
        (after, key): &(Timestamp, Option<Key>),
    ) -> impl Iterator<Item = (Timestamp, &Key)> {
        // `~` comes after every id.
        let after = (shard, *after, key.as_ref().map_or("~".to_owned(), row_id));
        let rows = self.open.range((Bound::Excluded(after), Bound::Unbounded));
        rows.take_while(move |((of, ..), _)| *of == shard).map(|((_, due, _), key)| (*due, key))
    }

    fn of(&self, keys: Option<&Vec<Key>>) -> impl Iterator<Item = &Stored> {
        keys.into_iter().flatten().filter_map(|key| self.items.get(key))
    }

    /// Takes an item away that no index but that of lists knows.
    pub(crate) fn remove(&mut self, key: &Key) {
        assert!(matches!(key, Key::Entry(..) | Key::TelegramChat(..)), "{key:?} is in an index");
        self.items.remove(key);
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
        if let Some(place) = self.items.get(&key).and_then(|before| open_place(&before.item)) {
            self.open.remove(&place);
        }
        if let Some(place) = open_place(&stored.item) {
            self.open.insert(place, key.clone());
        }
        if let Some((business, kind, id)) = listed(&stored.item).filter(|_| is_new) {
            self.lists.entry((business, kind as u8)).or_default().insert(id, key.clone());
        }
        self.items.insert(key, stored)
    }
}

fn row_id(key: &Key) -> String {
    match key {
        Key::Message(_, _, id) => id.to_string(),
        Key::Check(_, _, id) => id.to_string(),
        other => panic!("not a row of the ledger: {other:?}"),
    }
}

/// The place of a row that waits or is under way among all of them.
fn open_place(item: &Item) -> Option<(u8, Timestamp, String)> {
    let due = open_due(item)?;
    let id = row_id(&item.key());
    Some((shard_of(&id), due, id))
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
        Item::Campaign(x) => (&x.business_id, Kind::Campaigns, x.id.to_string()),
        Item::Review(x) => (&x.business_id, Kind::Reviews, x.id.to_string()),
        Item::Answer(x) => (&x.business_id, Kind::Answers, x.key_hash.clone()),
        _ => return None,
    };
    Some((owner.clone(), kind, id))
}

/// The timers that are set.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_name: BTreeMap<String, Due>,
    /// Since when each is set.
    set_at: BTreeMap<String, Timestamp>,
    by_time: BTreeSet<(Timestamp, String)>,
}

impl Timers {
    /// Sets one at `now`; one of the same name stays. Whether it was set anew.
    pub(crate) fn set(&mut self, due: &Due, now: Timestamp) -> bool {
        let name = due.timer_name();
        let is_new = !self.by_name.contains_key(&name);
        if is_new {
            self.by_time.insert((due.at, name.clone()));
            self.set_at.insert(name.clone(), now);
            self.by_name.insert(name, due.clone());
        }
        is_new
    }

    /// Those whose names start with `prefix`, at most 100.
    pub(crate) fn named(&self, prefix: &str) -> NamedTimers {
        let named = self.set_at.range(prefix.to_owned()..).take_while(|(name, _)| name.starts_with(prefix));
        let mut timers: Vec<_> = named.map(|(name, set_at)| (name.clone(), *set_at)).take(101).collect();
        let more = timers.len() > 100;
        timers.truncate(100);
        NamedTimers { timers, more }
    }

    /// Takes one away, if it is there.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Due> {
        let due = self.by_name.remove(name)?;
        self.set_at.remove(name);
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
