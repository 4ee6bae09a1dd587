//! Ports: what the use cases need of the world. One trait per capability, which is also the unit of IAM.
//!
//! `shared/aws` implements them on the AWS SDK, `shared/testkit` in memory.

use std::future::Future;

use domain::access::{ApiKey, ApiKeys};
use domain::booking::Booking;
use domain::business::{Business, Location};
use domain::campaign::Campaign;
use domain::channel::Channel;
use domain::client::{Cause, Client, Device};
use domain::contact::{Email, Phone};
use domain::conversation::Entry;
use domain::event::Event;
use domain::facts::{Facts, Subject};
use domain::ids::{
    BookingId, BusinessId, CampaignId, CheckId, ClientId, DeliveryId, DeviceId, EntryId, EventId, KeyId,
    LocationId, MessageId, OccasionId, ResourceId, ReviewId, ServiceId, StaffId, TaskId, WaitlistEntryId,
    WebhookId,
};
use domain::link::LinkKeys;
use domain::message::{CheckRow, Message};
use domain::messenger::{BotToken, ChatId, WhatsappNumberId};
use domain::notification_type::NotificationType;
use domain::occasion::{About, Occasion};
use domain::recipient::Recipient;
use domain::resource::{Resource, ResourceDay, Service};
use domain::review::Review;
use domain::rule::Rules;
use domain::staff::StaffMember;
use domain::subject::SubjectId;
use domain::task::Task;
use domain::template::{Content, Templates};
use domain::waitlist::WaitlistEntry;
use domain::webhook::{Delivery, PostResult, WebhookUrl, Webhooks};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A port could not do what was asked. The class decides what the caller, and in the end the queue, does about it.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// It may work on another try: a network fault, a timeout, a 5xx.
    #[error("{operation} did not succeed this time")]
    Retryable {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: Source,
    },
    /// Too much at once: later, and slower.
    #[error("{operation} was throttled")]
    Throttled {
        /// What was tried.
        operation: &'static str,
        /// What the service said.
        #[source]
        source: Source,
    },
    /// No use in trying again as it is.
    #[error("{operation} was refused")]
    Permanent {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: Source,
    },
}

/// The error behind a [`PortError`].
pub type Source = Box<dyn std::error::Error + Send + Sync>;

// ------------------------------------------------------------------ facts

/// Names one stored fact. The business is part of every key but those that tell the business: an API key, a number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// A business's profile.
    Business(BusinessId),
    /// A business's rules as they are.
    Rules(BusinessId),
    /// A business's rules as they were at a version.
    RulesVersion(BusinessId, u64),
    /// What a business has changed of a type's texts.
    Templates(BusinessId, NotificationType),
    /// How far a change of the settings has come to the bookings ahead.
    Rollout(BusinessId),
    /// A location.
    Location(BusinessId, LocationId),
    /// A resource.
    Resource(BusinessId, ResourceId),
    /// A service.
    Service(BusinessId, ServiceId),
    /// A client.
    Client(BusinessId, ClientId),
    /// Whether an address is suppressed, whoever has it: by its hash.
    SuppressedAddress(BusinessId, String),
    /// How far the erasure of a client has come.
    Erasure(BusinessId, ClientId),
    /// A staff member.
    Staff(BusinessId, StaffId),
    /// A place on the waitlist.
    WaitlistEntry(BusinessId, WaitlistEntryId),
    /// An occasion.
    Occasion(BusinessId, OccasionId),
    /// A booking.
    Booking(BusinessId, BookingId),
    /// A client's part in a booking.
    Participation(BusinessId, BookingId, ClientId),
    /// What holds a resource on a UTC day.
    ResourceDay(BusinessId, ResourceId, Date),
    /// The answer to a request with an `Idempotency-Key`, by the key's hash.
    Answer(BusinessId, String),
    /// A task.
    Task(BusinessId, TaskId),
    /// A campaign.
    Campaign(BusinessId, CampaignId),
    /// A business's API keys.
    ApiKeys(BusinessId),
    /// What an API key is known by.
    Credential(KeyId),
    /// A review.
    Review(BusinessId, ReviewId),
    /// What a business's links to clients' own pages are signed with.
    LinkKeys(BusinessId),
    /// Something written in a client's conversation, by its instant (UTC) and id.
    Entry(BusinessId, ClientId, Timestamp, EntryId),
    /// What a business's Telegram bot is spoken for with.
    TelegramBot(BusinessId),
    /// An invitation to a client to write to the business's Telegram bot, by its code.
    TelegramInvitation(BusinessId, String),
    /// Whose chat with a business's Telegram bot it is.
    TelegramChat(BusinessId, ChatId),
    /// Which business a number that we write from belongs to.
    Sender(SenderNumber),
    /// A business's webhooks.
    Webhooks(BusinessId),
    /// An event on its way to a webhook.
    WebhookDelivery(BusinessId, WebhookId, DeliveryId),
    /// A message in the ledger.
    Message(BusinessId, SubjectId, MessageId),
    /// A check in the ledger.
    Check(BusinessId, SubjectId, CheckId),
}

macro_rules! items {
    ($($entity:literal $name:ident($of:ty),)*) => {
        /// One stored fact. As JSON it is the thing's own fields and `entity`, which tells what it is.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs, reason = "each variant is documented at its type")]
        pub enum Item {
            $($name($of),)*
        }

        // Everything is read and written by way of a `Value`, whatever the format: the code that does it for all these types is a good part of a
        // function, and so is there once and not for each format.
        impl Item {
            /// The thing's own fields, without the word that tells what it is.
            ///
            /// # Errors
            /// None: no fact holds anything that JSON cannot.
            pub fn fields(&self) -> serde_json::Result<Map<String, Value>> {
                let value = match self {
                    $(Item::$name(thing) => serde_json::to_value(thing),)*
                };
                match value? {
                    Value::Object(fields) => Ok(fields),
                    _ => Err(<serde_json::Error as serde::ser::Error>::custom("a fact is an object")),
                }
            }

            fn entity(&self) -> &'static str {
                match self {
                    $(Item::$name(_) => $entity,)*
                }
            }
        }

        impl Serialize for Item {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut fields = self.fields().map_err(S::Error::custom)?;
                fields.insert("entity".to_owned(), self.entity().into());
                fields.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for Item {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let mut value = Value::deserialize(deserializer)?;
                let entity = value.as_object_mut().and_then(|fields| fields.remove("entity"));
                let item = match entity.as_ref().and_then(Value::as_str) {
                    $(Some($entity) => serde_json::from_value(value).map(Item::$name),)*
                    Some(other) => return Err(D::Error::unknown_variant(other, &[$($entity),*])),
                    None => return Err(D::Error::missing_field("entity")),
                };
                item.map_err(D::Error::custom)
            }
        }
    };
}

items! {
    "business" Business(Business),
    "rules" Rules(Rules),
    "rules_version" RulesVersion(Rules),
    "templates" Templates(Templates),
    "rollout" Rollout(Rollout),
    "location" Location(Location),
    "resource" Resource(Resource),
    "service" Service(Service),
    "client" Client(Client),
    "suppressed_address" SuppressedAddress(SuppressedAddress),
    "erasure" Erasure(Erasure),
    "staff" Staff(StaffMember),
    "waitlist_entry" WaitlistEntry(WaitlistEntry),
    "occasion" Occasion(Occasion),
    "booking" Booking(Booking),
    "participation" Participation(Participation),
    "resource_day" ResourceDay(ResourceDay),
    "answer" Answer(Answer),
    "task" Task(Task),
    "campaign" Campaign(Campaign),
    "api_keys" ApiKeys(ApiKeys),
    "credential" Credential(Credential),
    "review" Review(Review),
    "link_keys" LinkKeys(LinkKeys),
    "entry" Entry(Entry),
    "telegram_bot" TelegramBot(TelegramBot),
    "telegram_invitation" TelegramInvitation(TelegramInvitation),
    "telegram_chat" TelegramChat(TelegramChat),
    "sender" Sender(Sender),
    "webhooks" Webhooks(Webhooks),
    "webhook_delivery" WebhookDelivery(Delivery),
    "message" Message(Message),
    "check" Check(CheckRow),
}

/// What a business's Telegram bot is spoken for with. Never answered by the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TelegramBot {
    /// Whose bot.
    pub business_id: BusinessId,
    /// What Telegram gave for it.
    pub token: BotToken,
    /// SHA-256, hex, of what Telegram sends along with every update, so that nobody else can.
    /// <https://core.telegram.org/bots/api#setwebhook>
    pub webhook_secret_hash: String,
}

/// An invitation to a client to write to the bot: a bot cannot begin a chat by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TelegramInvitation {
    /// Whose client.
    pub business_id: BusinessId,
    /// What the client's first message to the bot carries: `/start <code>`.
    pub code: String,
    /// Which client.
    pub client_id: ClientId,
    /// From when on it is forgotten (UTC).
    pub expires_at: Timestamp,
}

/// Whose chat with the bot it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TelegramChat {
    /// Whose client.
    pub business_id: BusinessId,
    /// Which chat.
    pub chat_id: ChatId,
    /// Which client.
    pub client_id: ClientId,
}

/// A number that we write from, and that people answer to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SenderNumber {
    /// Of sms.
    Sms(Phone),
    /// Of WhatsApp.
    Whatsapp(WhatsappNumberId),
}

/// Which business a number belongs to. The operator says so: a business could else write in another's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// Which number.
    pub number: SenderNumber,
    /// Whose.
    pub business_id: BusinessId,
}

/// A client's part in a booking: what the index "a client's bookings by start" is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participation {
    /// Whose.
    pub business_id: BusinessId,
    /// Which booking.
    pub booking_id: BookingId,
    /// Which client.
    pub client_id: ClientId,
    /// The booking's start (UTC).
    pub start: Timestamp,
    /// Whether the visit is still ahead as far as its status goes.
    pub ahead: bool,
    /// Whether there is no visit: it was cancelled or missed, or the client comes no longer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub called_off: bool,
}

/// A change of the settings on its way to the bookings ahead, page by page: each page writes how far it came, and the stream brings the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rollout {
    /// Whose bookings.
    pub business_id: BusinessId,
    /// The version of the rules they are to be planned by.
    pub version: u64,
    /// The start (UTC) and id of the last booking that was brought to it; the id is absent at the beginning.
    #[schema(ignore)]
    pub after: (Timestamp, Option<BookingId>),
    /// How many of the bookings it has come to are ahead, and so planned by it.
    pub bookings: u64,
    /// Whether it has come to the last.
    pub done: bool,
}

/// What is remembered of an address beside the cards of those who have it, or had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuppressedAddress {
    /// Whose clients.
    pub business_id: BusinessId,
    /// Which address: the beginning of the SHA-256 of business and address, hex.
    pub address_hash: String,
    /// Why it is suppressed, and since when (UTC); none where that was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<(Cause, Timestamp)>,
}

/// The erasure of a client on its way through what is stored beside the card, page by page: each page writes how far it came, and the stream
/// brings the next. It holds nothing by which the client could be known once it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Erasure {
    /// Whose client.
    pub business_id: BusinessId,
    /// Which client.
    pub client_id: ClientId,
    /// Since when the client is erased (UTC).
    pub at: Timestamp,
    /// What is gone through now.
    pub stage: ErasureStage,
    /// The last thing of the stage that was gone through; absent at its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The client's chat with the business's bot, until it is forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub chat: Option<ChatId>,
}

/// What an erasure goes through, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErasureStage {
    /// The client's bookings, and the messages about them.
    Bookings,
    /// Occasions to write to the client, and their messages.
    Occasions,
    /// What was written back and forth.
    Conversation,
    /// The business's tasks, for those about the client.
    Tasks,
    /// The business's reviews, for what the client wrote in them.
    Reviews,
    /// The business's waitlist, for the client's places.
    Waitlist,
    /// The answers kept for repeated requests, for those that tell of the client.
    Answers,
    /// Nothing any more: all is done.
    Done,
}

/// What was answered to a request, kept for 24 hours so that its repetition is answered alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whose request.
    pub business_id: BusinessId,
    /// SHA-256 of the `Idempotency-Key`, hex.
    pub key_hash: String,
    /// SHA-256 of the request it was first used with, hex.
    pub request_hash: String,
    /// The answer: the created or changed thing as JSON text. Empty where it told of a client who was erased since.
    pub body: String,
    /// What its `ETag` said.
    pub etag: u64,
    /// From when on it is forgotten (UTC).
    pub expires_at: Timestamp,
}

/// What an API key is known by when somebody calls with it: a copy of the key as it is among the business's keys, found without knowing the
/// business, and written with them. Of secrets only the hash is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Who calls with it.
    pub business_id: BusinessId,
    /// The key. Of when it was last used, this copy knows most.
    #[serde(flatten)]
    pub key: ApiKey,
    /// SHA-256 of the secret, hex. The secret has 256 random bits, so a plain hash cannot be guessed back.
    pub secret_hash: String,
    /// The secret before, where it still works for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousSecret>,
}

/// The secret that a key had before it was rotated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousSecret {
    /// SHA-256 of it, hex.
    pub secret_hash: String,
    /// From when on it does not work (UTC).
    pub until: Timestamp,
}

impl Item {
    /// The key the item is stored under.
    pub fn key(&self) -> Key {
        match self {
            Item::Business(x) => Key::Business(x.id.clone()),
            Item::Rules(x) => Key::Rules(x.business_id.clone()),
            Item::RulesVersion(x) => Key::RulesVersion(x.business_id.clone(), x.version),
            Item::Templates(x) => Key::Templates(x.business_id.clone(), x.kind),
            Item::Rollout(x) => Key::Rollout(x.business_id.clone()),
            Item::Location(x) => Key::Location(x.business_id.clone(), x.id.clone()),
            Item::Resource(x) => Key::Resource(x.business_id.clone(), x.id.clone()),
            Item::Service(x) => Key::Service(x.business_id.clone(), x.id.clone()),
            Item::Client(x) => Key::Client(x.business_id.clone(), x.id.clone()),
            Item::SuppressedAddress(x) => {
                Key::SuppressedAddress(x.business_id.clone(), x.address_hash.clone())
            }
            Item::Erasure(x) => Key::Erasure(x.business_id.clone(), x.client_id.clone()),
            Item::Staff(x) => Key::Staff(x.business_id.clone(), x.id.clone()),
            Item::WaitlistEntry(x) => Key::WaitlistEntry(x.business_id.clone(), x.id.clone()),
            Item::Occasion(x) => Key::Occasion(x.business_id.clone(), x.id.clone()),
            Item::Booking(x) => Key::Booking(x.business_id.clone(), x.id.clone()),
            Item::Participation(x) => {
                Key::Participation(x.business_id.clone(), x.booking_id.clone(), x.client_id.clone())
            }
            Item::ResourceDay(x) => Key::ResourceDay(x.business_id.clone(), x.resource_id.clone(), x.day),
            Item::Answer(x) => Key::Answer(x.business_id.clone(), x.key_hash.clone()),
            Item::Task(x) => Key::Task(x.business_id.clone(), x.id.clone()),
            Item::Campaign(x) => Key::Campaign(x.business_id.clone(), x.id.clone()),
            Item::ApiKeys(x) => Key::ApiKeys(x.business_id.clone()),
            Item::Credential(x) => Key::Credential(x.key.id.clone()),
            Item::Review(x) => Key::Review(x.business_id.clone(), x.id.clone()),
            Item::LinkKeys(x) => Key::LinkKeys(x.business_id.clone()),
            Item::Entry(x) => Key::Entry(x.business_id.clone(), x.client_id.clone(), x.at, x.id.clone()),
            Item::TelegramBot(x) => Key::TelegramBot(x.business_id.clone()),
            Item::TelegramInvitation(x) => Key::TelegramInvitation(x.business_id.clone(), x.code.clone()),
            Item::TelegramChat(x) => Key::TelegramChat(x.business_id.clone(), x.chat_id.clone()),
            Item::Sender(x) => Key::Sender(x.number.clone()),
            Item::Webhooks(x) => Key::Webhooks(x.business_id.clone()),
            Item::WebhookDelivery(x) => {
                Key::WebhookDelivery(x.business_id.clone(), x.webhook_id.clone(), x.id.clone())
            }
            Item::Message(x) => Key::Message(x.business_id.clone(), x.subject.clone(), x.id.clone()),
            Item::Check(x) => Key::Check(x.business_id.clone(), x.subject.clone(), x.id.clone()),
        }
    }
}

macro_rules! accessors {
    ($($name:ident $variant:ident $type:ty;)*) => {
        impl Item {
            $(
                #[doc = concat!("The item, if it is a [`", stringify!($type), "`].")]
                pub fn $name(&self) -> Option<&$type> {
                    match self {
                        Item::$variant(item) => Some(item),
                        _ => None,
                    }
                }
            )*
        }
    };
}

accessors! {
    business Business Business;
    rules Rules Rules;
    rules_version RulesVersion Rules;
    templates Templates Templates;
    rollout Rollout Rollout;
    location Location Location;
    resource Resource Resource;
    service Service Service;
    client Client Client;
    suppressed_address SuppressedAddress SuppressedAddress;
    erasure Erasure Erasure;
    staff Staff StaffMember;
    waitlist_entry WaitlistEntry WaitlistEntry;
    occasion Occasion Occasion;
    booking Booking Booking;
    resource_day ResourceDay ResourceDay;
    answer Answer Answer;
    api_keys ApiKeys ApiKeys;
    credential Credential Credential;
    task Task Task;
    campaign Campaign Campaign;
    review Review Review;
    link_keys LinkKeys LinkKeys;
    entry Entry Entry;
    telegram_bot TelegramBot TelegramBot;
    telegram_invitation TelegramInvitation TelegramInvitation;
    telegram_chat TelegramChat TelegramChat;
    sender Sender Sender;
    webhooks Webhooks Webhooks;
    webhook_delivery WebhookDelivery Delivery;
    message Message Message;
}

impl Item {
    /// The item, if it is a client who was not erased: one whom something new can be about.
    pub fn known_client(&self) -> Option<&Client> {
        self.client().filter(|client| client.erased_at.is_none())
    }
}

/// The first of `found` that `pick` takes, with its version.
pub fn first<T>(found: &[Stored], pick: impl Fn(&Item) -> Option<&T>) -> Option<(&T, u64)> {
    found.iter().find_map(|stored| pick(&stored.item).map(|item| (item, stored.version)))
}

/// An item with its version, which rises by one with every write and guards against lost updates.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The item.
    pub item: Item,
    /// Its version, from 1.
    pub version: u64,
}

/// An item to write, and what must be there for the write to happen.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// The item as it shall be.
    pub item: Item,
    /// What must be there.
    pub expect: Expect,
}

/// What a write expects to replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Absent,
    /// The item at this version.
    Version(u64),
    /// Anything: for items that follow from others written with them.
    Any,
}

/// Why a write did not happen. Nothing of it did.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Something else was there than expected: read again and think again.
    #[error("another write came first")]
    Conflict,
    /// The store failed; whether the write happened is not known.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Reads facts and ledger rows by key, all at once, each as it is at this moment.
pub trait Read: Sync {
    /// The items that exist, in no order. At most 100 keys.
    fn read(&self, keys: Vec<Key>) -> impl Future<Output = Result<Vec<Stored>, PortError>> + Send;
}

/// Notes that API keys are used.
pub trait NoteUse: Sync {
    /// Notes that a key was used at `now` (UTC), if there is such a key, and changes nothing else of it.
    fn note_use(&self, id: &KeyId, now: Timestamp) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClaims {
    /// Who it was issued to: `sub`.
    pub subject: String,
    /// What its claim of the business says.
    pub business: String,
    /// What its claim of the role says.
    pub role: String,
    /// From when on it is good (UTC).
    pub not_before: Option<Timestamp>,
    /// From when on it is no good (UTC).
    pub expires_at: Timestamp,
}

/// Verifies tokens of an issuer: <https://openid.net/specs/openid-connect-core-1_0.html>.
pub trait VerifyToken: Sync {
    /// What a token says, if the issuer signed it, for us. Whether it is good by its own times is for the caller to say. `None` for any other
    /// text, and where no issuer is set. `now` (UTC) is what the age of the issuer's keys is counted by.
    fn verify(
        &self,
        token: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<TokenClaims>, PortError>> + Send;
}

impl<T: VerifyToken> VerifyToken for Option<T> {
    async fn verify(&self, token: &str, now: Timestamp) -> Result<Option<TokenClaims>, PortError> {
        match self {
            Some(issuer) => issuer.verify(token, now).await,
            None => Ok(None),
        }
    }
}

/// Lists facts of one kind.
pub trait List: Sync {
    /// One page of a business's things of a kind, by id; reviews the latest visits first.
    fn list(
        &self,
        business_id: &BusinessId,
        kind: Kind,
        page: Page,
    ) -> impl Future<Output = Result<Listed, PortError>> + Send;
}

/// A kind of fact that can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Locations.
    Locations,
    /// Resources.
    Resources,
    /// Services.
    Services,
    /// Clients.
    Clients,
    /// Staff members.
    Staff,
    /// Places on the waitlist.
    Waitlist,
    /// Tasks.
    Tasks,
    /// Campaigns.
    Campaigns,
    /// Reviews.
    Reviews,
    /// Answers kept for repeated requests.
    Answers,
}

/// Which page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The cursor the page before ended with.
    pub after: Option<String>,
    /// At most so many, 1 to 100.
    pub limit: u32,
}

/// A page.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// What is on it.
    pub items: Vec<Stored>,
    /// Where the next one starts, if there may be one.
    pub next: Option<String>,
}

/// Writes facts to `Bookings`: all of them or none, in one transaction.
pub trait WriteFacts: Sync {
    /// Writes at most 100 items.
    fn write_facts(&self, writes: Vec<Write>) -> impl Future<Output = Result<(), WriteError>> + Send;
}

/// Deletes facts. They come back from backups only.
pub trait DeleteFacts: Sync {
    /// Deletes the items at `keys`, at most 100. What is not there is deleted already.
    fn delete_facts(&self, keys: Vec<Key>) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Finds a client's bookings.
pub trait ClientBookings: Sync {
    /// Parts in bookings that are still ahead and start at or after `from` (UTC), earliest first. Up to a second or so behind.
    fn bookings_of(
        &self,
        business_id: &BusinessId,
        client_id: &ClientId,
        from: Timestamp,
    ) -> impl Future<Output = Result<Vec<Participation>, PortError>> + Send;

    /// Parts in bookings that start at or after `from` and before `until` (UTC), whatever has become of them, earliest first. Up to a second
    /// or so behind.
    fn parts_within(
        &self,
        business_id: &BusinessId,
        client_id: &ClientId,
        from: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Result<Vec<Participation>, PortError>> + Send;
}

/// Finds a client's occasions.
pub trait ClientOccasions: Sync {
    /// One page of the occasions to write to a client, by id. Up to a second or so behind.
    fn occasions_of(
        &self,
        business_id: &BusinessId,
        client_id: &ClientId,
        page: Page,
    ) -> impl Future<Output = Result<Listed, PortError>> + Send;
}

/// Finds a business's bookings in the order of their start.
pub trait Calendar: Sync {
    /// At most `limit` bookings that start after `after.0` (UTC), or start then and have a greater id than `after.1`, and before `until` (UTC):
    /// start and id, earliest first. None means that there are no more. Up to a second or so behind.
    fn bookings_after(
        &self,
        business_id: &BusinessId,
        after: &(Timestamp, Option<BookingId>),
        until: Timestamp,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<(Timestamp, BookingId)>, PortError>> + Send;
}

/// Finds clients by what they write from.
pub trait FindClients: Sync {
    /// The clients with this phone, of every business: an answer by sms does not say whose it is. Up to a second or so behind.
    fn clients_with(
        &self,
        phone: &Phone,
    ) -> impl Future<Output = Result<Vec<(BusinessId, ClientId)>, PortError>> + Send;
}

/// Finds a business's clients by e-mail address.
pub trait FindClientsByEmail: Sync {
    /// The clients of the business with this address, capital letters or not. Up to a second or so behind.
    fn clients_with_email(
        &self,
        business_id: &BusinessId,
        email: &Email,
    ) -> impl Future<Output = Result<Vec<ClientId>, PortError>> + Send;
}

/// Lists what was written in a conversation.
pub trait ListConversation: Sync {
    /// One page of a client's conversation, the latest first.
    fn conversation(
        &self,
        business_id: &BusinessId,
        client_id: &ClientId,
        page: Page,
    ) -> impl Future<Output = Result<Listed, PortError>> + Send;
}

// ------------------------------------------------------------------ ledger

/// Reads the whole ledger of a booking or an occasion.
pub trait ReadLedger: Sync {
    /// Every message and check of it, as it is at this moment.
    fn ledger_of(
        &self,
        business_id: &BusinessId,
        subject: &SubjectId,
    ) -> impl Future<Output = Result<Vec<Stored>, PortError>> + Send;
}

/// Writes ledger rows: all of them or none.
pub trait WriteLedger: Sync {
    /// Writes at most 100 rows.
    fn write_ledger(&self, writes: Vec<Write>) -> impl Future<Output = Result<(), WriteError>> + Send;
}

/// Which messages a log is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Log {
    /// All of a business.
    Business,
    /// Those to one recipient.
    To(Recipient),
}

/// Finds messages in the order in which they are due.
pub trait MessageLog: Sync {
    /// At most `limit` (1 to 100) messages of a log that are due before `before.0` (UTC), or due then and have a smaller id than `before.1`, and
    /// not before `from` (UTC): when each is due and its key, the latest first. Fewer than `limit` mean that there are no more. Up to a second
    /// or so behind.
    fn messages_before(
        &self,
        business_id: &BusinessId,
        log: &Log,
        before: &(Timestamp, Option<MessageId>),
        from: Timestamp,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<(Timestamp, Key)>, PortError>> + Send;
}

/// Finds the rows that wait or are under way: the ones that [`open_due`](crate::sweep::open_due) gives an instant.
pub trait OpenRows: Sync {
    /// At most 100 rows of a shard (0 to 15, by the first hex digit of the row's id) that are due after `after.0` (UTC), or due then and have a
    /// greater id than `after.1`, and before `until` (UTC), earliest first. Fewer than 100 mean that there are no more. Up to a second or so
    /// behind.
    fn open_rows(
        &self,
        shard: u8,
        after: &(Timestamp, Option<Key>),
        until: Timestamp,
    ) -> impl Future<Output = Result<Vec<(Timestamp, Key)>, PortError>> + Send;
}

/// A message in the ledger, named. In front of it stands whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MessageRef {
    /// Whose.
    pub business_id: BusinessId,
    /// Of which booking or occasion.
    #[serde(flatten)]
    pub subject: SubjectId,
    /// Which.
    pub message_id: MessageId,
}

impl MessageRef {
    /// Names a message.
    pub fn of(message: &Message) -> Self {
        Self {
            business_id: message.business_id.clone(),
            subject: message.subject.clone(),
            message_id: message.id.clone(),
        }
    }
}

impl std::fmt::Display for MessageRef {
    /// As providers carry it for us: `business/booking/id/message` or `business/occasion/id/message`, at most 203 characters. No id has a
    /// slash in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { business_id, subject, message_id } = self;
        match subject {
            SubjectId::Booking(id) => write!(f, "{business_id}/booking/{id}/{message_id}"),
            SubjectId::Occasion(id) => write!(f, "{business_id}/occasion/{id}/{message_id}"),
        }
    }
}

/// A text names no message: it is not of the form `business/booking/id/message`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected business/booking/id/message or business/occasion/id/message")]
pub struct NoMessageRef;

impl std::str::FromStr for MessageRef {
    type Err = NoMessageRef;

    fn from_str(text: &str) -> Result<Self, NoMessageRef> {
        let parts: Vec<&str> = text.split('/').collect();
        let [business, of, subject, message] = parts[..] else { return Err(NoMessageRef) };
        let subject = match of {
            "booking" => SubjectId::Booking(subject.parse().map_err(|_| NoMessageRef)?),
            "occasion" => SubjectId::Occasion(subject.parse().map_err(|_| NoMessageRef)?),
            _ => return Err(NoMessageRef),
        };
        let business_id = business.parse().map_err(|_| NoMessageRef)?;
        Ok(Self { business_id, subject, message_id: message.parse().map_err(|_| NoMessageRef)? })
    }
}

/// Finds messages by what their provider calls them.
pub trait FindMessage: Sync {
    /// The message that the provider of `channel` took as `provider_id`. Up to a second or so behind.
    fn message_with(
        &self,
        channel: Channel,
        provider_id: &str,
    ) -> impl Future<Output = Result<Option<MessageRef>, PortError>> + Send;
}

/// Something that is counted against a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// What is counted; unique within the business, such as `SMS#2026-11`.
    pub what: String,
    /// How much comes to it.
    pub add: u64,
    /// The most it may come to.
    pub most: u64,
    /// From when on it is forgotten (UTC).
    pub expires_at: Timestamp,
}

/// Counts against limits.
pub trait Meter: Sync {
    /// Adds to all of the counts, or to none where that would bring one above its most: then the answer is the first such one.
    fn count(
        &self,
        business_id: &BusinessId,
        counts: &[Count],
    ) -> impl Future<Output = Result<Option<usize>, PortError>> + Send;
}

/// What was taken of something that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// How much.
    pub taken: u64,
    /// How much is left.
    pub left: u64,
}

/// Takes of what is limited.
pub trait Take: Sync {
    /// Takes `count.add`, or as much as is left of `count.most`.
    fn take(
        &self,
        business_id: &BusinessId,
        count: &Count,
    ) -> impl Future<Output = Result<Taken, PortError>> + Send;
}

// ------------------------------------------------------------------ time and queues

/// What arrives in a queue when something is due. Small: everything else is read again when it arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// What is due.
    #[serde(flatten)]
    pub what: DueWhat,
    /// The instant it was due for (UTC): what it is judged by, however late it arrives.
    pub at: Timestamp,
}

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "due", rename_all = "snake_case")]
pub enum DueWhat {
    /// A message is to leave.
    Message {
        /// Which.
        message_id: MessageId,
        /// In which channel's queue.
        channel: Channel,
        /// Of which type, so that its templates come with the same read.
        #[serde(rename = "type")]
        kind: NotificationType,
        /// Whose booking, and what belongs to it as far as was known, so that one read fetches all.
        refs: Refs,
    },
    /// Something is to be looked at.
    Check {
        /// Which.
        check_id: CheckId,
        /// For what.
        kind: domain::message::CheckKind,
        /// Whose booking, and what belongs to it as far as was known.
        refs: Refs,
    },
    /// A campaign is to choose its next clients.
    Campaign {
        /// Whose.
        business_id: BusinessId,
        /// Which.
        campaign_id: CampaignId,
    },
}

/// A booking or an occasion with the ids of what belongs to it, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Refs {
    /// Whose.
    pub business_id: BusinessId,
    /// Which booking or occasion.
    #[serde(flatten)]
    pub subject: SubjectId,
    /// The version of the rules it is planned by.
    #[serde(default)]
    pub rules_version: u64,
    /// The booking that an occasion refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_booking: Option<BookingId>,
    /// The campaign that an occasion belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_campaign: Option<CampaignId>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location_id: Option<LocationId>,
    /// Whom or what it takes up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<ResourceId>,
    /// What for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_id: Option<ServiceId>,
    /// The clients it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub client_ids: Vec<ClientId>,
    /// The staff who are told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub staff_ids: Vec<StaffId>,
}

impl From<&Booking> for Refs {
    fn from(booking: &Booking) -> Self {
        Self {
            business_id: booking.business_id.clone(),
            subject: SubjectId::Booking(booking.id.clone()),
            rules_version: booking.rules_version,
            for_booking: None,
            for_campaign: None,
            location_id: Some(booking.location_id.clone()),
            resource_id: Some(booking.resource_id.clone()),
            service_id: Some(booking.service_id.clone()),
            client_ids: booking.everybody(),
            staff_ids: Vec::new(),
        }
    }
}

impl From<&Occasion> for Refs {
    fn from(occasion: &Occasion) -> Self {
        let (resource_id, service_id) = match &occasion.about {
            About::WaitlistOffer { resource_id, service_id, .. } => {
                (Some(resource_id.clone()), Some(service_id.clone()))
            }
            _ => (None, None),
        };
        let (client_ids, staff_ids) = match &occasion.recipient {
            Recipient::Client(id) => (vec![id.clone()], Vec::new()),
            Recipient::Staff(id) => (Vec::new(), vec![id.clone()]),
        };
        Self {
            business_id: occasion.business_id.clone(),
            subject: SubjectId::Occasion(occasion.id.clone()),
            rules_version: occasion.rules_version,
            for_booking: occasion.for_booking().cloned(),
            for_campaign: occasion.for_campaign().cloned(),
            location_id: occasion.location_id.clone(),
            resource_id,
            service_id,
            client_ids,
            staff_ids,
        }
    }
}

impl From<&Facts> for Refs {
    /// All that was found to belong to it, so that the next read fetches it at once.
    fn from(facts: &Facts) -> Self {
        let refs = match &facts.subject {
            Subject::Booking(booking) => Refs::from(booking),
            Subject::Occasion(occasion, booking) => {
                let refs = Refs::from(occasion);
                match booking {
                    Some(booking) => refs.with_visit(booking),
                    None => refs,
                }
            }
        };
        let mut staff_ids: Vec<StaffId> = facts.staff.iter().map(|staff| staff.id.clone()).collect();
        staff_ids.sort_unstable();
        Self { staff_ids, ..refs }
    }
}

impl Refs {
    /// Of a subject that is known by its id only.
    pub fn of(business_id: BusinessId, subject: SubjectId) -> Self {
        Self {
            business_id,
            subject,
            rules_version: 0,
            for_booking: None,
            for_campaign: None,
            location_id: None,
            resource_id: None,
            service_id: None,
            client_ids: Vec::new(),
            staff_ids: Vec::new(),
        }
    }

    /// Adds what the booking that an occasion refers to takes up.
    pub(crate) fn with_visit(self, booking: &Booking) -> Self {
        Self {
            location_id: self.location_id.or_else(|| Some(booking.location_id.clone())),
            resource_id: Some(booking.resource_id.clone()),
            service_id: Some(booking.service_id.clone()),
            ..self
        }
    }
}

impl Due {
    /// The name of its timer: at most 64 characters of `[0-9a-zA-Z-_.]`, as EventBridge Scheduler asks. The instant is part of it, since
    /// a timer that has fired is deleted by the Scheduler "shortly after", and must not take with it one set anew for later.
    /// <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html>
    pub fn timer_name(&self) -> String {
        format!("{}-{}", self.what, self.at.as_second())
    }
}

impl std::fmt::Display for DueWhat {
    /// As logs and timers name it: `message-…`, `check-…`, `campaign-…`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DueWhat::Message { message_id, .. } => write!(f, "message-{message_id}"),
            DueWhat::Check { check_id, .. } => write!(f, "check-{check_id}"),
            DueWhat::Campaign { campaign_id, .. } => write!(f, "campaign-{campaign_id}"),
        }
    }
}

/// Sets timers: something arrives in its queue at its time.
pub trait SetTimer: Sync {
    /// Sets a timer for `due.what` at `due.at`; one that is there already stays. Answers whether it was set anew.
    fn set_timer(&self, due: &Due) -> impl Future<Output = Result<bool, PortError>> + Send;
}

/// Withdraws timers.
pub trait CancelTimer: Sync {
    /// Withdraws the timer for `due.what` at `due.at`; one that is not there is withdrawn already.
    fn cancel_timer(&self, due: &Due) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Looks through the timers that are set.
pub trait FindTimers: Sync {
    /// Timers whose names start with `prefix`, in no order: at most 100.
    fn timers_named(&self, prefix: &str) -> impl Future<Output = Result<NamedTimers, PortError>> + Send;

    /// What the timer of this name brings. `None` when it is gone, or is none that [`SetTimer`] sets.
    fn timer(&self, name: &str) -> impl Future<Output = Result<Option<Due>, PortError>> + Send;
}

/// Timers found by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedTimers {
    /// The name of each, and since when it is set (UTC).
    pub timers: Vec<(String, Timestamp)>,
    /// Whether there are more of that name.
    pub more: bool,
}

/// Puts what is due now into its queue.
pub trait Enqueue: Sync {
    /// Queues `due`, to arrive after `delay_seconds` (0 to 900).
    fn enqueue(&self, due: &Due, delay_seconds: u32) -> impl Future<Output = Result<(), PortError>> + Send;
}

// ------------------------------------------------------------------ events and webhooks

/// What became of an event that was put on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnBus {
    /// It is there.
    Taken,
    /// It is not there, and may be on another try.
    Again,
    /// It will never be: why.
    Refused(String),
}

/// Puts events on the bus that integrations of the account listen to.
pub trait PublishEvents: Sync {
    /// Puts at most 10 events there, and says of each, in their order, what became of it. One may get there twice, with the same id.
    fn publish(&self, events: &[&Event]) -> impl Future<Output = Result<Vec<OnBus>, PortError>> + Send;
}

/// What arrives in the queue of webhooks: an event is to be posted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueDelivery {
    /// Whose.
    pub business_id: BusinessId,
    /// To which webhook.
    pub webhook_id: WebhookId,
    /// Which.
    pub delivery_id: DeliveryId,
    /// The instant it was due for (UTC), however late it arrives.
    pub at: Timestamp,
}

impl DueDelivery {
    /// Of a delivery as it stands.
    pub fn of(delivery: &Delivery) -> Self {
        Self {
            business_id: delivery.business_id.clone(),
            webhook_id: delivery.webhook_id.clone(),
            delivery_id: delivery.id.clone(),
            at: delivery.due,
        }
    }

    /// The name of its timer, as [`Due::timer_name`] makes them.
    pub fn timer_name(&self) -> String {
        format!("webhook-{}-{}", self.delivery_id, self.at.as_second())
    }
}

/// Puts into the queue of webhooks what is due now or within minutes.
pub trait EnqueueDelivery: Sync {
    /// Queues `due`, to arrive after `delay_seconds` (0 to 900).
    fn enqueue_delivery(
        &self,
        due: &DueDelivery,
        delay_seconds: u32,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Sets timers for what is due at a webhook later.
pub trait SetDeliveryTimer: Sync {
    /// Sets a timer for `due` at `due.at`; one that is there already stays.
    fn set_delivery_timer(&self, due: &DueDelivery) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Lists what was, and is to be, posted to a webhook.
pub trait ListDeliveries: Sync {
    /// One page of a webhook's deliveries, the latest first.
    fn deliveries(
        &self,
        business_id: &BusinessId,
        webhook_id: &WebhookId,
        page: Page,
    ) -> impl Future<Output = Result<Listed, PortError>> + Send;
}

/// What is posted to a webhook.
#[derive(Debug, Clone, Copy)]
pub struct Post<'a> {
    /// Where.
    pub url: &'a WebhookUrl,
    /// `webhook-id`.
    pub id: &'a EventId,
    /// `webhook-timestamp` (UTC).
    pub at: Timestamp,
    /// `webhook-signature`.
    pub signatures: &'a str,
    /// JSON.
    pub body: &'a str,
}

/// How a post was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// What came of it.
    pub result: PostResult,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// How long the receiver asks to wait before the next, where it says so.
    pub retry_after: Option<SignedDuration>,
}

/// Posts to webhooks: once, to public addresses only, and wherever it says to look instead, nobody looks.
pub trait PostWebhook: Sync {
    /// Posts, and waits for the answer.
    fn post(&self, post: Post<'_>) -> impl Future<Output = Posted> + Send;
}

// ------------------------------------------------------------------ failures

/// Keeps what cannot be handled, however often it is tried, for a person to look at.
pub trait SetAside: Sync {
    /// Keeps a JSON text.
    fn set_aside(&self, what: String) -> impl Future<Output = Result<(), PortError>> + Send;
}

// ------------------------------------------------------------------ providers

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An e-mail address.
    Email(Email),
    /// A phone.
    Sms(Phone),
    /// Every device of the client, at least one.
    Push(Vec<Device>),
    /// A phone, from a number of the business.
    Whatsapp {
        /// Which number it comes from.
        from: WhatsappNumberId,
        /// Whom it goes to.
        to: Phone,
    },
    /// A chat with the business's bot.
    Telegram {
        /// What lets us speak for the bot.
        token: BotToken,
        /// Which chat.
        chat: ChatId,
    },
    /// The business's own staff, who send it by hand.
    Assisted,
}

/// A message as it is handed to a provider.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// Its row in the ledger as it was claimed.
    pub message: &'a Message,
    /// Where it goes.
    pub to: &'a Address,
    /// The text.
    pub content: &'a Content,
    /// The number that sms come from, where the business has one of its own.
    pub sms_number: Option<&'a Phone>,
}

/// A provider's word that it took a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Its own id for the message; reports name it.
    pub provider_id: String,
    /// Devices that it says are gone for good.
    pub dead_devices: Vec<DeviceId>,
}

/// What a provider made of a message it did not take.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// It did not leave, and may on another try.
    #[error("the provider did not take it this time")]
    Again(#[source] Source),
    /// It did not leave: too many at once.
    #[error("the provider throttled")]
    Throttled(#[source] Source),
    /// It did not leave: a quota or a spending limit is used up for hours.
    #[error("the provider's quota is used up")]
    Quota(#[source] Source),
    /// It will never leave: the recipient wants nothing more from this sender.
    #[error("the recipient has opted out")]
    OptedOut(#[source] Source),
    /// It will never leave: the address cannot be reached.
    #[error("the provider says the address cannot be reached")]
    InvalidAddress(#[source] Source),
    /// It will not leave as things stand: account, sender or content.
    #[error("the provider refused it")]
    Refused(#[source] Source),
    /// Nobody knows whether it left: the answer was lost.
    #[error("the provider's answer was lost")]
    Unknown(#[source] Source),
}

/// Hands messages to a provider.
pub trait Provider: Sync {
    /// The address its messages come from, where they come from one: what a calendar file names as its organizer.
    fn sender(&self) -> Option<&Email> {
        None
    }

    /// Waits until it may take one more message; `false` where that is later than whoever asks can wait.
    fn ready(&self) -> impl Future<Output = bool> + Send {
        async { true }
    }

    /// Sends one message.
    fn send(&self, outgoing: Outgoing<'_>) -> impl Future<Output = Result<Receipt, ProviderError>> + Send;
}

// ------------------------------------------------------------------ files

/// A file that somebody may put into storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Where it shall be.
    pub path: String,
    /// Of which type it must be.
    pub content_type: &'static str,
    /// How large it must be.
    pub bytes: u64,
    /// From when on it is allowed (UTC).
    pub from: Timestamp,
    /// How long.
    pub lasts: SignedDuration,
}

/// Lets callers put files into storage by themselves.
pub trait AllowUpload: Sync {
    /// The URL to `PUT` exactly that file to.
    fn allow_upload(&self, upload: &Upload) -> impl Future<Output = Result<String, PortError>> + Send;

    /// The https URL at which a file is once it is there.
    fn url_of(&self, path: &str) -> String;
}

// ------------------------------------------------------------------ ids

/// Makes new ids.
pub trait NewId: Sync {
    /// An id never used before, sortable by time of making.
    fn new_id(&self) -> String;

    /// 256 random bits as hex: a secret.
    fn new_secret(&self) -> String;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_found_again_by_the_name_its_provider_carries() {
        for subject in
            [SubjectId::Booking("k-1".parse().unwrap()), SubjectId::Occasion("o_2".parse().unwrap())]
        {
            let name = MessageRef {
                business_id: "b".parse().unwrap(),
                subject,
                message_id: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            };
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        let longest = "x".repeat(64);
        let longest = format!("{longest}/occasion/{longest}/{longest}");
        assert_eq!((longest.len(), longest.parse::<MessageRef>().is_ok()), (203, true));
    }

    #[test]
    fn what_a_stranger_wrote_names_no_message() {
        for text in [
            "",
            "b/booking/k",
            "b/visit/k/m",
            "b/booking/k/m/x",
            "b/booking//m",
            "b/booking/k#/m",
            "b booking k m",
        ] {
            assert_eq!(text.parse::<MessageRef>(), Err(NoMessageRef), "{text}");
        }
    }
}
