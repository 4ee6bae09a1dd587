//! Editing what bookings refer to: the business, its staff, locations, resources, services and clients.

use std::collections::{BTreeMap, BTreeSet};

use domain::business::{Business, Locale, Location, NoShowDelay, WaitlistHold};
use domain::client::{Bans, Client, Device, Platform};
use domain::contact::{Email, Phone};
use domain::ids::{BusinessId, ClientId, DeviceId, LocationId, ResourceId, ServiceId, StaffId};
use domain::map::by_word;
use domain::messenger::WhatsappTemplate;
use domain::money::Money;
use domain::notification_type::NotificationType;
use domain::quiet_hours::QuietHours;
use domain::resource::{Overrides, Resource, ResourceKind, Service};
use domain::schema;
use domain::sms::{SmsLimits, SmsPrice};
use domain::staff::StaffMember;
use domain::template::{InvalidTemplate, check_whatsapp};
use domain::text::{DeviceToken, Link, Name, Tag};
use domain::timing::Interval;
use domain::zone::Zone;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::edit_settings::rules_of;
use crate::error::{AppError, check_version};
use crate::once::{Done, Once, do_once};
use crate::ports::{Expect, Item, Key, Read, Stored, Write, WriteFacts};

/// How often a request starts over because the thing changed under it.
const TRIES: u32 = 5;

/// The most devices a person may have.
const DEVICES: usize = 20;

/// A thing that must exist for the request to make sense.
#[derive(Debug, Clone)]
pub struct Need {
    /// Its key.
    pub key: Key,
    /// The field that names it.
    pub field: String,
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
    needs: &[Need],
) -> Result<Done<Item>, AppError> {
    create_from(ports, edit, &[], needs, |_| item.clone()).await
}

/// Makes a resource, with the rules of its own that every new resource gets (S59).
pub async fn create_resource<S: Read + WriteFacts>(
    ports: &S,
    edit: Edit<'_>,
    resource: Resource,
    needs: &[Need],
) -> Result<Done<Item>, AppError> {
    create_from(ports, edit, &[Key::Rules(edit.business_id.clone())], needs, |found| {
        let rules = rules_of(edit.business_id, found);
        let resource = resource.clone();
        Item::Resource(match rules.new_resources.is_empty() {
            true => resource,
            false => resource.overridden(rules.new_resources, rules.version),
        })
    })
    .await
}

/// Makes a new thing out of what is found at `along` and at the keys of `needs`.
pub(crate) async fn create_from<S: Read + WriteFacts>(
    ports: &S,
    edit: Edit<'_>,
    along: &[Key],
    needs: &[Need],
    make: impl Fn(&[Stored]) -> Item,
) -> Result<Done<Item>, AppError> {
    let make = &make;
    let mut keys = along.to_vec();
    keys.extend(needs.iter().map(|need| need.key.clone()));
    do_once(ports, TRIES, edit.business_id, edit.once, edit.now, keys, |found| async move {
        check_needs(needs, &found)?;
        let item = make(&found);
        let write = Write { item: item.clone(), expect: Expect::Absent };
        Ok((vec![write], Done { value: item, etag: 1 }))
    })
    .await
}

/// Changes the thing at `key`. `change` gets it as it is, or `None` where there is none yet, and says how it shall be.
pub async fn update<S: Read + WriteFacts>(
    ports: &S,
    edit: Edit<'_>,
    key: Key,
    needs: &[Need],
    change: impl Fn(Option<Item>) -> Result<Item, AppError>,
) -> Result<Done<Item>, AppError> {
    update_along(ports, edit, key, &[], needs, |before, _| Ok((change(before)?, Vec::new()))).await
}

/// Changes the thing at `key` by what is found at `along`, and writes what `change` says beside it.
pub(crate) async fn update_along<S: Read + WriteFacts>(
    ports: &S,
    edit: Edit<'_>,
    key: Key,
    along: &[Key],
    needs: &[Need],
    change: impl Fn(Option<Item>, &[Stored]) -> Result<(Item, Vec<Write>), AppError>,
) -> Result<Done<Item>, AppError> {
    let (key, change) = (&key, &change);
    let mut keys = vec![key.clone()];
    keys.extend(along.iter().cloned());
    keys.extend(needs.iter().map(|need| need.key.clone()).filter(|needed| needed != key));
    do_once(ports, TRIES, edit.business_id, edit.once, edit.now, keys, |found| async move {
        check_needs(needs, &found)?;
        let before = found.iter().find(|stored| stored.item.key() == *key);
        let version = before.map_or(0, |stored| stored.version);
        check_version(edit.if_match, version)?;
        let (item, mut writes) = change(before.map(|stored| stored.item.clone()), &found)?;
        let expect = if version == 0 { Expect::Absent } else { Expect::Version(version) };
        writes.push(Write { item: item.clone(), expect });
        Ok((writes, Done { value: item, etag: version + 1 }))
    })
    .await
}

/// That everything a request names is among `found`.
///
/// # Errors
/// [`AppError::Invalid`] names the field of the first that is not.
pub(crate) fn check_needs(needs: &[Need], found: &[Stored]) -> Result<(), AppError> {
    let is_there = |need: &&Need| found.iter().any(|stored| stored.item.key() == need.key);
    match needs.iter().find(|need| !is_there(need)) {
        None => Ok(()),
        Some(need) => {
            let expected = format!("the id of a {} of this business", need.what);
            Err(AppError::invalid(need.field.clone(), expected))
        }
    }
}

/// Reads one thing.
pub async fn get(ports: &impl Read, key: Key, what: &'static str) -> Result<Done<Item>, AppError> {
    let found = ports.read(vec![key]).await?.into_iter().next().ok_or(AppError::NotFound { what })?;
    Ok(Done { etag: found.version, value: found.item })
}

/// A business's settings; what is absent stays as it is; what can be without is taken away by null.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BusinessPatch {
    /// The name clients know it by.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    pub name: Option<Name>,
    /// The zone of locations that have none of their own.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    pub zone: Option<Zone>,
    /// The language of clients who have none of their own.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    pub locale: Option<Locale>,
    /// The number clients may call.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Phone>)]
    pub phone: Option<Option<Phone>>,
    /// Where clients book online.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Link>)]
    pub booking_url: Option<Option<Link>>,
    /// The name contracts know it by.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Name>)]
    pub legal_name: Option<Option<Name>>,
    /// Its site.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Link>)]
    pub site: Option<Option<Link>>,
    /// Where clients leave a review.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Link>)]
    pub review_url: Option<Option<Link>>,
    /// Where clients tip.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Link>)]
    pub tip_url: Option<Option<Link>>,
    /// What stands after the text of confirmations.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Name>)]
    pub signature: Option<Option<Name>>,
    /// What a segment of an sms costs, by the beginning of the number.
    #[serde(default, deserialize_with = "prices")]
    #[schema(nullable = false, max_items = 50)]
    pub sms_prices: Option<Vec<SmsPrice>>,
    /// What the business allows itself in sms.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    pub sms_limits: Option<SmsLimits>,
    /// The WhatsApp template of each type that goes that way.
    #[serde(default, deserialize_with = "by_type")]
    #[schema(nullable = false)]
    pub whatsapp_templates: Option<BTreeMap<NotificationType, WhatsappTemplate>>,
    /// Where the business's app opens a booking.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Link>)]
    pub app_url: Option<Option<Link>>,
    /// Whether the business takes the paid sms option.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    pub sms_enabled: Option<bool>,
    /// When sms and push wait.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<QuietHours>)]
    pub quiet_hours: Option<Option<QuietHours>>,
    /// Minutes after the end of the visit at which a client not marked arrived is a no-show.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<NoShowDelay>)]
    pub no_show_after_minutes: Option<Option<NoShowDelay>>,
    /// How many minutes a time that has come free is held for a client on the waitlist: 5 to 1440.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    pub waitlist_hold_minutes: Option<WaitlistHold>,
}

/// A field that may be absent, and not null.
pub(crate) fn given<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A map by notification type that may be absent, and not null.
fn by_type<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<NotificationType, T>>, D::Error> {
    by_word(deserializer).map(Some)
}

/// Tells a field that is null from one that is absent.
pub(crate) fn present<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A price of sms that can be one.
#[derive(Deserialize)]
#[serde(try_from = "SmsPrice")]
struct CheckedPrice(SmsPrice);

#[derive(Debug, thiserror::Error)]
enum InvalidPrice {
    #[error("expected a prefix of \"+\" and 1 to 7 digits, such as \"+351\"")]
    Prefix,
    #[error("expected a price of 0 or more minor units")]
    Amount,
}

impl TryFrom<SmsPrice> for CheckedPrice {
    type Error = InvalidPrice;
    fn try_from(price: SmsPrice) -> Result<Self, InvalidPrice> {
        if !is_prefix(&price.prefix) {
            return Err(InvalidPrice::Prefix);
        }
        if price.per_thousand.minor < 0 { Err(InvalidPrice::Amount) } else { Ok(Self(price)) }
    }
}

/// Whether a text is the beginning of a phone number: `+` and 1 to 7 digits.
fn is_prefix(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (1..=7).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The most prices of sms a business has.
const PRICES: usize = 50;

/// At most 50 prices of sms, each for a prefix of its own.
fn prices<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<SmsPrice>>, D::Error> {
    let checked = Vec::<CheckedPrice>::deserialize(deserializer)?;
    let distinct: BTreeSet<&str> = checked.iter().map(|CheckedPrice(price)| price.prefix.as_str()).collect();
    if checked.len() > PRICES || distinct.len() != checked.len() {
        return Err(serde::de::Error::custom("expected at most 50 prices, each for another prefix"));
    }
    Ok(Some(checked.into_iter().map(|CheckedPrice(price)| price).collect()))
}

impl BusinessPatch {
    /// The business with the changes made.
    ///
    /// # Errors
    /// [`AppError::Invalid`] and [`AppError::InvalidTemplate`] name the field that cannot be as it is.
    pub fn apply(&self, business: Business) -> Result<Business, AppError> {
        let patch = self.clone();
        let sms_limits = patch.sms_limits.unwrap_or(business.sms_limits);
        let sms_prices = patch.sms_prices.unwrap_or(business.sms_prices);
        check_limits(&sms_limits, &sms_prices)?;
        let whatsapp_templates = patch.whatsapp_templates.unwrap_or(business.whatsapp_templates);
        for (kind, template) in &whatsapp_templates {
            check_whatsapp(template, *kind).map_err(|error| InvalidTemplate {
                path: format!("whatsapp_templates.{kind}.{}", error.path),
                ..error
            })?;
        }
        Ok(Business {
            sms_limits,
            sms_prices,
            whatsapp_templates,
            app_url: patch.app_url.unwrap_or(business.app_url),
            // What speaks in the business's name is set by the operator, or with its secret.
            sms_number: business.sms_number,
            whatsapp_number_id: business.whatsapp_number_id,
            telegram_bot: business.telegram_bot,
            id: business.id,
            name: patch.name.unwrap_or(business.name),
            zone: patch.zone.unwrap_or(business.zone),
            locale: patch.locale.unwrap_or(business.locale),
            phone: patch.phone.unwrap_or(business.phone),
            booking_url: patch.booking_url.unwrap_or(business.booking_url),
            legal_name: patch.legal_name.unwrap_or(business.legal_name),
            site: patch.site.unwrap_or(business.site),
            review_url: patch.review_url.unwrap_or(business.review_url),
            tip_url: patch.tip_url.unwrap_or(business.tip_url),
            signature: patch.signature.unwrap_or(business.signature),
            sms_enabled: patch.sms_enabled.unwrap_or(business.sms_enabled),
            quiet_hours: patch.quiet_hours.unwrap_or(business.quiet_hours),
            no_show_after_minutes: patch.no_show_after_minutes.unwrap_or(business.no_show_after_minutes),
            waitlist_hold_minutes: patch.waitlist_hold_minutes.unwrap_or(business.waitlist_hold_minutes),
        })
    }
}

/// The most countries that sms are allowed to.
const COUNTRIES: usize = 250;

fn check_limits(limits: &SmsLimits, prices: &[SmsPrice]) -> Result<(), AppError> {
    let countries = &limits.countries;
    if countries.len() > COUNTRIES {
        return Err(AppError::invalid("sms_limits.countries", "at most 250 prefixes"));
    }
    if let Some(number) = countries.iter().position(|prefix| !is_prefix(prefix)) {
        let field = format!("sms_limits.countries[{number}]");
        return Err(AppError::invalid(field, "a prefix of \"+\" and 1 to 7 digits, such as \"+351\""));
    }
    if limits.per_month.as_ref().is_some_and(|most| most.minor < 0) {
        return Err(AppError::invalid("sms_limits.per_month.minor", "0 or more minor units"));
    }
    // Without a price nothing would ever count.
    if let Some(most) = &limits.per_month
        && !prices.iter().any(|price| price.per_thousand.currency == most.currency)
    {
        return Err(AppError::invalid(
            "sms_limits.per_month",
            "an amount in the currency of sms_prices, of which there must be one",
        ));
    }
    if limits.per_number_and_day.is_some_and(|most| !(1..=1000).contains(&most)) {
        return Err(AppError::invalid("sms_limits.per_number_and_day", "1 to 1000 sms"));
    }
    Ok(())
}

/// A location as a caller gives it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
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
    /// Where to find it on a map.
    #[serde(default)]
    pub map_url: Option<Link>,
    /// Quiet hours of its own.
    #[serde(default)]
    pub quiet_hours: Option<QuietHours>,
    /// Who is told about this location's bookings beside the staff who serve: at most ten.
    #[serde(default)]
    #[schema(value_type = BTreeSet<StaffId>, max_items = 10)]
    pub manager_ids: Vec<StaffId>,
}

impl LocationFields {
    /// The location with this id.
    pub fn with_id(self, business_id: BusinessId, id: LocationId) -> Location {
        let Self { name, zone, address, map_url, quiet_hours, manager_ids } = self;
        Location { business_id, id, name, zone, address, map_url, quiet_hours, manager_ids }
    }

    /// The staff members it names.
    pub fn needs(&self, business_id: &BusinessId) -> Result<Vec<Need>, AppError> {
        staff_needs("manager_ids", &self.manager_ids, business_id)
    }
}

/// A resource as a caller gives it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
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
    #[schema(minimum = 1, maximum = 50)]
    pub capacity: u32,
    /// The staff members who serve with it: at most ten.
    #[serde(default)]
    #[schema(value_type = BTreeSet<StaffId>, max_items = 10)]
    pub staff_ids: Vec<StaffId>,
}

fn one() -> u32 {
    1
}

impl ResourceFields {
    /// The resource with this id and these rules of its own.
    pub fn with_id(
        self,
        business_id: BusinessId,
        id: ResourceId,
        overrides: Vec<Overrides>,
    ) -> Result<Resource, AppError> {
        let Self { location_id, name, kind, capacity, staff_ids } = self;
        if !(1..=50).contains(&capacity) {
            return Err(AppError::invalid("capacity", "1 to 50"));
        }
        Ok(Resource { business_id, id, location_id, name, kind, capacity, staff_ids, overrides })
    }

    /// The location it must be at, and the staff members it names.
    pub fn needs(&self, business_id: &BusinessId) -> Result<Vec<Need>, AppError> {
        let mut needs = staff_needs("staff_ids", &self.staff_ids, business_id)?;
        needs.push(Need {
            key: Key::Location(business_id.clone(), self.location_id.clone()),
            field: "location_id".to_owned(),
            what: "location",
        });
        Ok(needs)
    }
}

/// The amount in `field`, if there is one, is not less than nothing.
pub(crate) fn check_amount(field: &str, amount: Option<&Money>) -> Result<(), AppError> {
    if amount.is_some_and(|amount| amount.minor < 0) {
        return Err(AppError::invalid(format!("{field}.minor"), "0 or more minor units"));
    }
    Ok(())
}

/// A service as a caller gives it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceFields {
    /// The name clients know it by.
    pub name: Name,
    /// How long a visit takes: 1 to 10080 minutes.
    #[schema(minimum = 1, maximum = 10080)]
    pub duration_minutes: u32,
    /// Its price.
    #[serde(default)]
    #[schema(schema_with = schema::optional_amount)]
    pub price: Option<Money>,
    /// How long after a visit clients are invited again.
    #[serde(default)]
    pub rebooking_after: Option<Interval>,
}

impl ServiceFields {
    /// The service with this id.
    pub fn with_id(self, business_id: BusinessId, id: ServiceId) -> Result<Service, AppError> {
        let Self { name, duration_minutes, price, rebooking_after } = self;
        if !(1..=7 * 24 * 60).contains(&duration_minutes) {
            return Err(AppError::invalid("duration_minutes", "1 to 10080 minutes"));
        }
        check_amount("price", price.as_ref())?;
        Ok(Service { business_id, id, name, duration_minutes, price, rebooking_after })
    }
}

/// A client as a caller gives it; the devices have requests of their own.
#[derive(Debug, Clone, Deserialize, ToSchema)]
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
    /// Whether the client has agreed to marketing.
    #[serde(default)]
    pub marketing_consent: bool,
    /// Words by which the business sorts its clients: at most 20.
    #[serde(default, deserialize_with = "tags")]
    #[schema(max_items = 20, value_type = Vec<Tag>)]
    pub tags: BTreeSet<Tag>,
}

/// The most tags that a client has, or that are asked for at once.
pub(crate) const TAGS: usize = 20;

/// At most 20 tags.
pub(crate) fn tags<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<Tag>, D::Error> {
    let tags = BTreeSet::<Tag>::deserialize(deserializer)?;
    if tags.len() > TAGS {
        return Err(serde::de::Error::custom("expected at most 20 tags"));
    }
    Ok(tags)
}

impl ClientFields {
    /// The client with this id. What has requests of its own stays as it was `before`: devices, the Telegram chat, suppressed addresses; and
    /// so does what the client has opted out of.
    pub fn with_id(self, business_id: BusinessId, id: ClientId, before: Option<&Client>) -> Client {
        let Self { name, phone, email, locale, zone, bans, marketing_consent, tags } = self;
        Client {
            business_id,
            id,
            name,
            phone,
            email,
            devices: before.map(|before| before.devices.clone()).unwrap_or_default(),
            telegram: before.and_then(|before| before.telegram.clone()),
            locale,
            zone,
            bans,
            marketing_consent,
            unsubscribed_at: before.and_then(|before| before.unsubscribed_at).filter(|_| !marketing_consent),
            tags,
            opt_outs: before.map(|before| before.opt_outs.clone()).unwrap_or_default(),
            suppressions: before.map(|before| before.suppressions.clone()).unwrap_or_default(),
            erased_at: None,
        }
    }
}

/// A staff member as a caller gives it; the devices have requests of their own.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StaffFields {
    /// How to address the staff member.
    pub name: Name,
    /// Where sms go.
    #[serde(default)]
    pub phone: Option<Phone>,
    /// Where e-mail goes.
    #[serde(default)]
    pub email: Option<Email>,
    /// The staff member's language.
    #[serde(default)]
    pub locale: Option<Locale>,
    /// Whose night counts, if not the location's.
    #[serde(default)]
    pub zone: Option<Zone>,
}

impl StaffFields {
    /// The staff member with this id and these devices.
    pub fn with_id(self, business_id: BusinessId, id: StaffId, devices: Vec<Device>) -> StaffMember {
        let Self { name, phone, email, locale, zone } = self;
        StaffMember { business_id, id, name, phone, email, devices, locale, zone }
    }
}

/// The staff members that a field names: at most ten, each once.
fn staff_needs(field: &str, ids: &[StaffId], business_id: &BusinessId) -> Result<Vec<Need>, AppError> {
    let distinct: BTreeSet<&StaffId> = ids.iter().collect();
    if ids.len() > 10 || distinct.len() != ids.len() {
        return Err(AppError::invalid(field, "at most 10 different staff members"));
    }
    let need = |(index, id): (usize, &StaffId)| Need {
        key: Key::Staff(business_id.clone(), id.clone()),
        field: format!("{field}[{index}]"),
        what: "staff member",
    };
    Ok(ids.iter().enumerate().map(need).collect())
}

/// The devices without one of them.
///
/// # Errors
/// [`AppError::NotFound`] where it is none of them.
pub fn without_device(devices: Vec<Device>, id: &DeviceId) -> Result<Vec<Device>, AppError> {
    let rest: Vec<Device> = devices.iter().filter(|device| device.id != *id).cloned().collect();
    if rest.len() < devices.len() { Ok(rest) } else { Err(AppError::NotFound { what: "device" }) }
}

/// A device as a caller gives it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceFields {
    /// Whose push service reaches it.
    pub platform: Platform,
    /// The token the push service gave the app.
    pub token: DeviceToken,
}

impl DeviceFields {
    /// The devices with this one: a known token keeps its id, a new one gets `id`.
    pub fn added_to(self, mut devices: Vec<Device>, id: DeviceId) -> Result<Vec<Device>, AppError> {
        let known = |device: &Device| device.platform == self.platform && device.token == self.token;
        if !devices.iter().any(known) {
            if devices.len() >= DEVICES {
                return Err(AppError::invalid("token", "somebody with fewer than 20 devices"));
            }
            devices.push(Device { id, platform: self.platform, token: self.token });
        }
        Ok(devices)
    }
}
