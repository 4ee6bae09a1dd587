//! Editing what bookings refer to: the business, its rules, locations, resources, services and clients.

use domain::business::{Business, Locale, Location, NoShowDelay};
use domain::client::{Bans, Client, Device, Platform};
use domain::contact::{Email, Phone};
use domain::ids::{BusinessId, ClientId, DeviceId, LocationId, ResourceId, ServiceId};
use domain::money::Money;
use domain::notification_type::NotificationType;
use domain::quiet_hours::QuietHours;
use domain::resource::{Resource, ResourceKind, Service};
use domain::rule::{Rule, Rules};
use domain::text::{DeviceToken, Link, Name};
use domain::zone::Zone;
use jiff::Timestamp;
use serde::Deserialize;

use crate::error::AppError;
use crate::once::{Done, Once, answered, write_once};
use crate::ports::{Expect, Item, Key, Read, Write, WriteError, WriteFacts};

/// How often a request starts over because the thing changed under it.
const TRIES: u32 = 5;

/// The most devices a client may have.
const DEVICES: usize = 20;

/// A thing that must exist for the request to make sense.
#[derive(Debug, Clone)]
pub struct Need {
    /// Its key.
    pub key: Key,
    /// The field that names it.
    pub field: &'static str,
    /// What it is.
    pub what: &'static str,
}

/// What every edit brings along.
#[derive(Debug, Clone, Copy)]
pub struct Edit<'a> {
    /// Who edits.
    pub business_id: &'a BusinessId,
    /// The request's idempotency key, if it has one.
    pub once: Option<&'a Once>,
    /// The version the thing must still be at, if the caller says.
    pub if_match: Option<u64>,
    /// The present instant (UTC).
    pub now: Timestamp,
}

/// Makes a new thing.
pub async fn create<S: Read + WriteFacts>(
    ports: &S,
    edit: Edit<'_>,
    item: Item,
    need: Option<Need>,
) -> Result<Done<Item>, AppError> {
    for _ in 0..TRIES {
        let mut keys: Vec<Key> = need.iter().map(|need| need.key.clone()).collect();
        keys.extend(edit.once.map(|once| once.key(edit.business_id)));
        let found = if keys.is_empty() { Vec::new() } else { ports.read(keys).await? };
        if let Some(done) = answered(edit.once, &found, edit.now)? {
            return Ok(done);
        }
        if let Some(need) = &need
            && !found.iter().any(|stored| stored.item.key() == need.key)
        {
            return Err(AppError::invalid(need.field, format!("the id of a {} of this business", need.what)));
        }
        let done = Done { value: item.clone(), etag: 1 };
        let write = Write { item: item.clone(), expect: Expect::Absent };
        match write_once(ports, edit.business_id, edit.once, vec![write], &done, &found, edit.now).await {
            Ok(()) => return Ok(done),
            Err(WriteError::Conflict) => continue,
            Err(WriteError::Port(error)) => return Err(error.into()),
        }
    }
    Err(AppError::Busy)
}

/// Changes the thing at `key`. `change` gets it as it is, or `None` where there is none yet, and says how it shall be.
pub async fn update<S: Read + WriteFacts>(
    ports: &S,
    edit: Edit<'_>,
    key: Key,
    need: Option<Need>,
    change: impl Fn(Option<Item>) -> Result<Item, AppError>,
) -> Result<Done<Item>, AppError> {
    for _ in 0..TRIES {
        let mut keys = vec![key.clone()];
        keys.extend(need.iter().map(|need| need.key.clone()).filter(|needed| *needed != key));
        keys.extend(edit.once.map(|once| once.key(edit.business_id)));
        let found = ports.read(keys).await?;
        if let Some(done) = answered(edit.once, &found, edit.now)? {
            return Ok(done);
        }
        if let Some(need) = &need
            && !found.iter().any(|stored| stored.item.key() == need.key)
        {
            return Err(AppError::invalid(need.field, format!("the id of a {} of this business", need.what)));
        }
        let before = found.iter().find(|stored| stored.item.key() == key);
        let version = before.map_or(0, |stored| stored.version);
        if let Some(expected) = edit.if_match
            && expected != version
        {
            return Err(AppError::Stale { current: version });
        }
        let item = change(before.map(|stored| stored.item.clone()))?;
        let done = Done { value: item.clone(), etag: version + 1 };
        let expect = if version == 0 { Expect::Absent } else { Expect::Version(version) };
        match write_once(
            ports,
            edit.business_id,
            edit.once,
            vec![Write { item, expect }],
            &done,
            &found,
            edit.now,
        )
        .await
        {
            Ok(()) => return Ok(done),
            Err(WriteError::Conflict) => continue,
            Err(WriteError::Port(error)) => return Err(error.into()),
        }
    }
    Err(AppError::Busy)
}

/// Reads one thing.
pub async fn get(ports: &impl Read, key: Key, what: &'static str) -> Result<Done<Item>, AppError> {
    let found = ports.read(vec![key]).await?.into_iter().next().ok_or(AppError::NotFound { what })?;
    Ok(Done { etag: found.version, value: found.item })
}

/// A business's settings; what is absent stays as it is; what can be without is taken away by null.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BusinessPatch {
    /// The name clients know it by.
    #[serde(default, deserialize_with = "given")]
    pub name: Option<Name>,
    /// The zone of locations that have none of their own.
    #[serde(default, deserialize_with = "given")]
    pub zone: Option<Zone>,
    /// The language of clients who have none of their own.
    #[serde(default, deserialize_with = "given")]
    pub locale: Option<Locale>,
    /// The number clients may call.
    #[serde(default, deserialize_with = "present")]
    pub phone: Option<Option<Phone>>,
    /// Where clients book online.
    #[serde(default, deserialize_with = "present")]
    pub booking_url: Option<Option<Link>>,
    /// Whether the business takes the paid sms option.
    #[serde(default, deserialize_with = "given")]
    pub sms_enabled: Option<bool>,
    /// When sms and push wait.
    #[serde(default, deserialize_with = "present")]
    pub quiet_hours: Option<Option<QuietHours>>,
    /// Minutes after the end of the visit at which a client not marked arrived is a no-show.
    #[serde(default, deserialize_with = "present")]
    pub no_show_after_minutes: Option<Option<NoShowDelay>>,
}

/// A field that may be absent, and not null.
fn given<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Tells a field that is null from one that is absent.
fn present<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl BusinessPatch {
    /// The business with the changes made.
    pub fn apply(&self, business: Business) -> Business {
        let patch = self.clone();
        Business {
            id: business.id,
            name: patch.name.unwrap_or(business.name),
            zone: patch.zone.unwrap_or(business.zone),
            locale: patch.locale.unwrap_or(business.locale),
            phone: patch.phone.unwrap_or(business.phone),
            booking_url: patch.booking_url.unwrap_or(business.booking_url),
            sms_enabled: patch.sms_enabled.unwrap_or(business.sms_enabled),
            quiet_hours: patch.quiet_hours.unwrap_or(business.quiet_hours),
            no_show_after_minutes: patch.no_show_after_minutes.unwrap_or(business.no_show_after_minutes),
        }
    }
}

/// The rules with one type's rule changed; the version rises.
pub fn with_rule(
    rules: Option<Rules>,
    business_id: &BusinessId,
    kind: NotificationType,
    rule: &Rule,
) -> Result<Rules, AppError> {
    rule.check(kind).map_err(|invalid| AppError::invalid(invalid.field, invalid.expected))?;
    let mut rules = rules.unwrap_or_else(|| Rules::defaults(business_id.clone()));
    rules.changed.insert(kind, rule.clone());
    rules.version += 1;
    Ok(rules)
}

/// A location as a caller gives it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocationFields {
    /// The name clients know it by.
    pub name: Name,
    /// The zone its wall times are in; without it, that of the business.
    #[serde(default)]
    pub zone: Option<Zone>,
    /// Where to come.
    #[serde(default)]
    pub address: Option<Name>,
    /// Quiet hours of its own.
    #[serde(default)]
    pub quiet_hours: Option<QuietHours>,
}

impl LocationFields {
    /// The location with this id.
    pub fn with_id(self, business_id: BusinessId, id: LocationId) -> Location {
        let Self { name, zone, address, quiet_hours } = self;
        Location { business_id, id, name, zone, address, quiet_hours }
    }
}

/// A resource as a caller gives it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceFields {
    /// Where it is.
    pub location_id: LocationId,
    /// The name clients know it by.
    pub name: Name,
    /// What it is.
    pub kind: ResourceKind,
    /// How many bookings it takes at a time: 1 to 50.
    #[serde(default = "one")]
    pub capacity: u32,
}

fn one() -> u32 {
    1
}

impl ResourceFields {
    /// The resource with this id.
    pub fn with_id(self, business_id: BusinessId, id: ResourceId) -> Result<Resource, AppError> {
        let Self { location_id, name, kind, capacity } = self;
        if !(1..=50).contains(&capacity) {
            return Err(AppError::invalid("capacity", "1 to 50"));
        }
        Ok(Resource { business_id, id, location_id, name, kind, capacity })
    }

    /// The location it must be at.
    pub fn need(&self, business_id: &BusinessId) -> Need {
        Need {
            key: Key::Location(business_id.clone(), self.location_id.clone()),
            field: "location_id",
            what: "location",
        }
    }
}

/// What a service or a booking costs is never less than nothing.
pub(crate) fn check_price(price: Option<&Money>) -> Result<(), AppError> {
    if price.is_some_and(|price| price.minor < 0) {
        return Err(AppError::invalid("price.minor", "0 or more minor units"));
    }
    Ok(())
}

/// A service as a caller gives it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceFields {
    /// The name clients know it by.
    pub name: Name,
    /// How long a visit takes: 1 to 10080 minutes.
    pub duration_minutes: u32,
    /// Its price.
    #[serde(default)]
    pub price: Option<Money>,
}

impl ServiceFields {
    /// The service with this id.
    pub fn with_id(self, business_id: BusinessId, id: ServiceId) -> Result<Service, AppError> {
        let Self { name, duration_minutes, price } = self;
        if !(1..=7 * 24 * 60).contains(&duration_minutes) {
            return Err(AppError::invalid("duration_minutes", "1 to 10080 minutes"));
        }
        check_price(price.as_ref())?;
        Ok(Service { business_id, id, name, duration_minutes, price })
    }
}

/// A client as a caller gives it; the devices have requests of their own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientFields {
    /// How to address the client.
    pub name: Name,
    /// Where sms go.
    #[serde(default)]
    pub phone: Option<Phone>,
    /// Where e-mail goes.
    #[serde(default)]
    pub email: Option<Email>,
    /// The client's language.
    #[serde(default)]
    pub locale: Option<Locale>,
    /// Where the client lives by the clock.
    #[serde(default)]
    pub zone: Option<Zone>,
    /// What is never sent to the client.
    #[serde(default)]
    pub bans: Bans,
}

impl ClientFields {
    /// The client with this id and these devices.
    pub fn with_id(self, business_id: BusinessId, id: ClientId, devices: Vec<Device>) -> Client {
        let Self { name, phone, email, locale, zone, bans } = self;
        Client { business_id, id, name, phone, email, devices, locale, zone, bans }
    }
}

/// A device as a caller gives it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceFields {
    /// Whose push service reaches it.
    pub platform: Platform,
    /// The token the push service gave the app.
    pub token: DeviceToken,
}

impl DeviceFields {
    /// The client with this device: a known token keeps its id, a new one gets `id`.
    pub fn added_to(self, mut client: Client, id: DeviceId) -> Result<Client, AppError> {
        let known = |device: &Device| device.platform == self.platform && device.token == self.token;
        if !client.devices.iter().any(known) {
            if client.devices.len() >= DEVICES {
                return Err(AppError::invalid("token", "a client with fewer than 20 devices"));
            }
            client.devices.push(Device { id, platform: self.platform, token: self.token });
        }
        Ok(client)
    }
}
