//! Writing down an occasion to tell one person something: a matter of the account, a bonus, a message by staff, a code. The stream does the rest.

use domain::account::{AccountOperationKind, BonusAmount, BonusKind};
use domain::booking::{Notify, Source};
use domain::channel::Channel;
use domain::ids::{BookingId, BusinessId, ClientId, LocationId, OccasionId, StaffId};
use domain::money::Money;
use domain::occasion::{About, Occasion};
use domain::recipient::Recipient;
use domain::schema;
use domain::text::{Code, Letter, Name};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{AllOfBuilder, OneOfBuilder, Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::create_booking::{new_id, of_this_business};
use crate::edit_catalogue::check_amount;
use crate::edit_settings::rules_version;
use crate::error::AppError;
use crate::once::{Done, Once, do_once};
use crate::ports::{Expect, Item, Key, NewId, Read, Stored, Write, WriteFacts, first};
use crate::suppress::AddressChannel;

/// How often a request starts over because another one with the same idempotency key came first.
const TRIES: u32 = 5;

/// An occasion to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOccasion {
    /// What it is about.
    pub about: About,
    /// Who is told.
    pub recipient: Recipient,
    /// The field that names the recipient; none where the path does.
    pub recipient_field: Option<&'static str>,
    /// Where it belongs, if it is about no booking.
    pub location_id: Option<LocationId>,
    /// Whether it is told.
    pub notify: Notify,
    /// The channels chosen for it; none means those of the rule.
    pub channels: Option<Vec<Channel>>,
}

/// Writes an occasion down at `now` (UTC).
///
/// # Errors
/// [`AppError::NotFound`] for a recipient that the path names; [`AppError::Invalid`] names the field.
pub async fn write_occasion<S: Read + WriteFacts>(
    ports: &S,
    ids: &impl NewId,
    business_id: &BusinessId,
    new: &NewOccasion,
    once: Option<&Once>,
    now: Timestamp,
) -> Result<Done<Occasion>, AppError> {
    let id: OccasionId = new_id(ids)?;
    let occasion = &Occasion {
        business_id: business_id.clone(),
        id,
        about: new.about.clone(),
        recipient: new.recipient.clone(),
        location_id: new.location_id.clone(),
        at: now,
        by: Source::Staff,
        notify: new.notify,
        channels: new.channels.clone(),
        rules_version: 0,
        withdrawn: false,
        failures: Vec::new(),
    };
    do_once(ports, TRIES, business_id, once, now, keys_of(occasion), |found| async move {
        let occasion = put_together(occasion.clone(), new.recipient_field, &found)?;
        let write = Write { item: Item::Occasion(occasion.clone()), expect: Expect::Absent };
        Ok((vec![write], Done { value: occasion, etag: 1 }))
    })
    .await
}

pub(crate) fn keys_of(occasion: &Occasion) -> Vec<Key> {
    let business = &occasion.business_id;
    let mut keys = vec![Key::Business(business.clone()), Key::Rules(business.clone())];
    keys.push(key_of(business, &occasion.recipient));
    keys.extend(occasion.location_id.iter().map(|id| Key::Location(business.clone(), id.clone())));
    keys.extend(occasion.for_booking().map(|id| Key::Booking(business.clone(), id.clone())));
    keys
}

fn key_of(business: &BusinessId, recipient: &Recipient) -> Key {
    match recipient {
        Recipient::Client(id) => Key::Client(business.clone(), id.clone()),
        Recipient::Staff(id) => Key::Staff(business.clone(), id.clone()),
    }
}

/// The occasion with what follows from what was `found`: its booking's location, and the version of the rules.
pub(crate) fn put_together(
    occasion: Occasion,
    recipient_field: Option<&'static str>,
    found: &[Stored],
) -> Result<Occasion, AppError> {
    let erased = |item: &Item| item.client().is_some() && item.known_client().is_none();
    let is_there = |key: &Key| {
        let there = found.iter().find(|stored| stored.item.key() == *key);
        there.is_some_and(|stored| !erased(&stored.item))
    };
    if first(found, Item::business).is_none() {
        return Err(AppError::NotFound { what: "business" });
    }
    if !is_there(&key_of(&occasion.business_id, &occasion.recipient)) {
        let what = match occasion.recipient {
            Recipient::Client(_) => "client",
            Recipient::Staff(_) => "staff member",
        };
        return Err(
            recipient_field.map_or(AppError::NotFound { what }, |field| of_this_business(field, what))
        );
    }
    if occasion.location_id.is_some() && first(found, Item::location).is_none() {
        return Err(of_this_business("location_id", "location"));
    }
    let mut location_id = occasion.location_id.clone();
    if occasion.for_booking().is_some() {
        let (booking, _) =
            first(found, Item::booking).ok_or_else(|| of_this_business("booking_id", "booking"))?;
        let takes_part = |id: &ClientId| booking.everybody().contains(id);
        if !occasion.recipient.client().is_some_and(takes_part) {
            return Err(AppError::invalid("booking_id", "the id of a booking of this client"));
        }
        location_id = Some(booking.location_id.clone());
    }
    Ok(Occasion { location_id, rules_version: rules_version(found), ..occasion })
}

/// The occasion of an answer to a client on one channel, of `now` (UTC).
pub(crate) fn individual(
    business_id: &BusinessId,
    id: OccasionId,
    client_id: &ClientId,
    channel: Channel,
    (text, for_booking): (Letter, Option<BookingId>),
    now: Timestamp,
) -> Occasion {
    Occasion {
        business_id: business_id.clone(),
        id,
        about: About::Individual { subject: None, text, for_booking },
        recipient: Recipient::Client(client_id.clone()),
        location_id: None,
        at: now,
        by: Source::Staff,
        notify: Notify::ByRules,
        channels: Some(vec![channel]),
        rules_version: 0,
        withdrawn: false,
        failures: Vec::new(),
    }
}

/// The channels of an occasion as a caller gives them: `"all"`, or one or several by name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "ChannelsGiven")]
pub struct Channels(Vec<Channel>);

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected \"all\" or a list of channels, each once, such as [\"sms\", \"email\"]"
)]
enum ChannelsGiven {
    All(All),
    Some(Vec<Channel>),
}

#[derive(Deserialize)]
enum All {
    #[serde(rename = "all")]
    All,
}

impl From<Channels> for Vec<Channel> {
    fn from(channels: Channels) -> Self {
        channels.0
    }
}

/// Why a list of channels is none.
#[derive(Debug, thiserror::Error)]
#[error("expected at least one channel, each once")]
pub struct InvalidChannels;

impl TryFrom<ChannelsGiven> for Channels {
    type Error = InvalidChannels;
    fn try_from(given: ChannelsGiven) -> Result<Self, InvalidChannels> {
        let channels = match given {
            // All by which we send; what staff sends by hand it asks for by name.
            ChannelsGiven::All(All::All) => {
                Channel::ALL.into_iter().filter(|channel| *channel != Channel::Assisted).collect()
            }
            ChannelsGiven::Some(channels) => channels,
        };
        let twice = channels.iter().enumerate().any(|(index, channel)| channels[..index].contains(channel));
        if channels.is_empty() || twice { Err(InvalidChannels) } else { Ok(Self(channels)) }
    }
}

impl PartialSchema for Channels {
    fn schema() -> RefOr<Schema> {
        let all = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["all"]));
        let some = ArrayBuilder::new()
            .items(Ref::from_schema_name(<Channel as ToSchema>::name()))
            .min_items(Some(1))
            .unique_items(true);
        OneOfBuilder::new()
            .description(Some("`\"all\"` that send by themselves, or one or several by name."))
            .item(all)
            .item(some)
            .into()
    }
}

impl ToSchema for Channels {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((<Channel as ToSchema>::name().into_owned(), Channel::schema()));
    }
}

/// Points, or money of zero or more minor units.
fn bonus_amount() -> RefOr<Schema> {
    let any = || ObjectBuilder::new().schema_type(SchemaType::AnyValue);
    let bound = any().property("money", any().property("minor", any().minimum(Some(0))));
    AllOfBuilder::new().item(Ref::from_schema_name(BonusAmount::name())).item(bound).into()
}

/// A matter of a client's account as a caller gives it (S22–S24).
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountOperationFields {
    /// What happened.
    pub operation: AccountOperationKind,
    /// How much.
    #[schema(schema_with = schema::amount)]
    pub amount: Money,
    /// What the account holds now; less than nothing is a debt.
    #[serde(default)]
    pub balance: Option<Money>,
    /// Which booking it is for.
    #[serde(default)]
    pub booking_id: Option<BookingId>,
    /// Where it belongs, if it is for no booking.
    #[serde(default)]
    pub location_id: Option<LocationId>,
    /// Whether the client is told.
    #[serde(default)]
    pub notify: Notify,
    /// On which channels; without them, on those of the rule.
    #[serde(default)]
    pub channels: Option<Channels>,
}

impl AccountOperationFields {
    /// The occasion for the client that the path names.
    pub fn to(self, client: ClientId) -> Result<NewOccasion, AppError> {
        let Self { operation, amount, balance, booking_id: for_booking, location_id, notify, channels } =
            self;
        check_amount("amount", Some(&amount))?;
        Ok(NewOccasion {
            about: About::AccountOperation { operation, amount, balance, for_booking },
            recipient: Recipient::Client(client),
            recipient_field: None,
            location_id,
            notify,
            channels: channels.map(Vec::from),
        })
    }
}

/// A bonus as a caller gives it (S76).
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BonusFields {
    /// Why.
    pub bonus: BonusKind,
    /// How much.
    #[schema(schema_with = bonus_amount)]
    pub amount: BonusAmount,
    /// What the client has now.
    #[serde(default)]
    pub balance: Option<BonusAmount>,
    /// Where it belongs.
    #[serde(default)]
    pub location_id: Option<LocationId>,
    /// Whether the client is told.
    #[serde(default)]
    pub notify: Notify,
    /// On which channels; without them, on those of the rule.
    #[serde(default)]
    pub channels: Option<Channels>,
}

impl BonusFields {
    /// The occasion for the client that the path names.
    pub fn to(self, client: ClientId) -> Result<NewOccasion, AppError> {
        let Self { bonus, amount, balance, location_id, notify, channels } = self;
        if let BonusAmount::Money(amount) = &amount {
            check_amount("amount.money", Some(amount))?;
        }
        Ok(NewOccasion {
            about: About::Bonus { bonus, amount, balance },
            recipient: Recipient::Client(client),
            recipient_field: None,
            location_id,
            notify,
            channels: channels.map(Vec::from),
        })
    }
}

/// A message that staff writes to one client, as a caller gives it (S42).
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IndividualFields {
    /// On which channels.
    pub channels: Channels,
    /// The text, as it is.
    pub text: Letter,
    /// The subject of the e-mail; without it, the business's name.
    #[serde(default)]
    pub subject: Option<Name>,
    /// Which booking it is about.
    #[serde(default)]
    pub booking_id: Option<BookingId>,
    /// Where it belongs, if it is about no booking.
    #[serde(default)]
    pub location_id: Option<LocationId>,
}

impl IndividualFields {
    /// The occasion for the client that the path names.
    pub fn to(self, client: ClientId) -> NewOccasion {
        let Self { channels, text, subject, booking_id: for_booking, location_id } = self;
        NewOccasion {
            about: About::Individual { subject, text, for_booking },
            recipient: Recipient::Client(client),
            recipient_field: None,
            location_id,
            notify: Notify::ByRules,
            channels: Some(channels.into()),
        }
    }
}

/// A code that proves an address, as a caller gives it (S16).
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerificationCodeFields {
    /// The client whose address it proves.
    #[serde(default)]
    pub client_id: Option<ClientId>,
    /// The staff member whose address it proves.
    #[serde(default)]
    pub staff_id: Option<StaffId>,
    /// How it is sent.
    pub channel: AddressChannel,
    /// The code: 4 to 10 letters or digits.
    pub code: Code,
}

impl VerificationCodeFields {
    /// The occasion, to whichever of the two is named.
    pub fn occasion(self) -> Result<NewOccasion, AppError> {
        let (recipient, field) = match (self.client_id, self.staff_id) {
            (Some(id), None) => (Recipient::Client(id), "client_id"),
            (None, Some(id)) => (Recipient::Staff(id), "staff_id"),
            _ => return Err(AppError::invalid("client_id", "either client_id or staff_id")),
        };
        Ok(NewOccasion {
            about: About::VerificationCode { code: self.code },
            recipient,
            recipient_field: Some(field),
            location_id: None,
            notify: Notify::ByRules,
            channels: Some(vec![self.channel.into()]),
        })
    }
}
