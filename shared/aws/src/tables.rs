//! The two tables on DynamoDB: facts in `Bookings`, the ledger in `Messages`.
//!
//! | item | pk | sk |
//! |---|---|---|
//! | business, rules, link keys, locations, resources, services, clients, staff, waitlist, tasks, campaigns, reviews | `BUSINESS#b` | `BUSINESS`, `RULES`, `LINK-KEYS`, `LOCATION#l`, … |
//! | a version of the rules | `BUSINESS#b#RULES` | `VERSION#000000000003` |
//! | an occasion | `BUSINESS#b#OCCASION#o` | `OCCASION` |
//! | booking; a client's part in it | `BUSINESS#b#BOOKING#k` | `BOOKING`; `CLIENT#c` |
//! | what holds a resource on a day | `BUSINESS#b#RESOURCE#r` | `DAY#2026-11-23` |
//! | a kept answer | `BUSINESS#b#ANSWERS` | `ANSWER#h` |
//! | the API keys; what one is known by | `BUSINESS#b`; `KEY#k` | `KEYS`; `KEY` |
//! | a conversation's entry; the client's erasure | `BUSINESS#b#CLIENT#c` | `ENTRY#<second>#<id>`; `ERASURE` |
//! | a Telegram bot, an invitation to it, a chat with it | `BUSINESS#b` | `TELEGRAM`; `TELEGRAM-INVITATION#<code>`; `TELEGRAM-CHAT#<chat>` |
//! | webhooks; an event on its way to one | `BUSINESS#b`; `BUSINESS#b#WEBHOOK#w` | `WEBHOOKS`; `DELIVERY#<second>-<hash>` |
//! | whose number it is | `SENDER#sms#+351…`, `SENDER#whatsapp#…` | `SENDER` |
//! | a count against a limit (table `Messages`) | `BUSINESS#b#METER` | `SMS#2026-11` |
//! | message; check (table `Messages`) | `BUSINESS#b#BOOKING#k`, `BUSINESS#b#OCCASION#o` | `MESSAGE#m`; `CHECK#c` |
//!
//! Indexes on `Bookings`: `by_client` (a client's parts in bookings by start, and apart from them the client's occasions by id), `by_month` (a
//! business's bookings by start), `by_phone` (clients by phone, of every business) and `by_email` (a business's clients by address). On `Messages`:
//! `by_business` and `by_recipient` (messages by when they are due), `by_provider` (a message by what its provider calls it), and `by_open` (what
//! waits or is under way, of all businesses, by when it is due), which holds no other rows. Those on `Messages` hold keys only: they are written
//! when a row comes, moves in time or, in `by_open`, is settled, and not by what else changes of it, and whoever acts on them reads the row.
//!
//! A business's messages are one partition of `by_business`, and not one for each month: what is written is due about now, so months would not
//! spread it, and a page that reaches into another month would be another query. DynamoDB splits what has grown large by the sort key.
//!
//! Architecture invariant: the business is part of every key but those that tell the business: an API key, a number we write from.

mod feedback;
mod lists;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use app::ports::{
    Calendar, ClientBookings, Credential, Expect, Item, Key, Kind, List, ListDeliveries, Listed, NoteUse,
    OpenRows, Page, Participation, PortError, Read, ReadLedger, SenderNumber, Stored, Write, WriteError,
    WriteFacts, WriteLedger,
};
use app::sweep::{self, open_due, shard_of};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use aws_types::SdkConfig;
use domain::ids::{BookingId, BusinessId, ClientId, KeyId, OccasionId, WebhookId};
use domain::message::Message;
use domain::occasion::About;
use domain::recipient::Recipient;
use domain::subject::SubjectId;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use self::feedback::{is_called_by_provider, phone_key, provider_key};
use self::lists::{email_key, occasions_key};
use crate::error::port_error;

type Row = HashMap<String, AttributeValue>;

/// The most keys one BatchGetItem takes. <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
const KEYS: usize = 100;

/// How often keys that DynamoDB left unprocessed are asked for again.
const ASKS: u32 = 5;

/// How long a place on the waitlist is kept after the last time that would have suited.
const WAITLIST_KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);

/// How long a verification code is kept; it is of use for some minutes.
const CODE_KEPT: SignedDuration = SignedDuration::from_hours(24);

/// How long it stays known what an API key was known by that does not work any more.
const CREDENTIAL_KEPT: SignedDuration = SignedDuration::from_hours(24 * 90);

/// How long it stays known what was posted to a webhook, and how it was taken.
const DELIVERIES_KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);

/// How long it stays known what held a resource on a day.
const DAYS_KEPT: SignedDuration = SignedDuration::from_hours(24 * 60);

/// The index of a client's parts in bookings by start.
const BY_CLIENT: &str = "by_client";

/// The index of a business's bookings by start, a partition for each UTC month.
const BY_MONTH: &str = "by_month";

/// The index of the rows that wait or are under way, by when they are due, in sixteen partitions.
const BY_OPEN: &str = "by_open";

/// The index of a business's messages by when they are due.
const BY_BUSINESS: &str = "by_business";

/// The index of a recipient's messages by when they are due.
const BY_RECIPIENT: &str = "by_recipient";

/// The index of a business's clients by e-mail address.
const BY_EMAIL: &str = "by_email";

/// The index of clients by phone.
const BY_PHONE: &str = "by_phone";

/// The index of messages by what their provider calls them.
const BY_PROVIDER: &str = "by_provider";

/// For how many months from a booking on the calendar is asked: nothing is booked farther ahead than three years, and a move may be made
/// three years after that.
const MONTHS: u32 = 75;

/// For how many months after it was due, closed or written the log of what happened is kept: messages, occasions, tasks, conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention(u16);

/// Why a retention was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a whole number of months, 1 to 120")]
pub struct InvalidRetention;

impl std::str::FromStr for Retention {
    type Err = InvalidRetention;
    fn from_str(text: &str) -> Result<Self, InvalidRetention> {
        text.parse().ok().filter(|months| (1..=120).contains(months)).map(Self).ok_or(InvalidRetention)
    }
}

impl Default for Retention {
    /// Thirteen months (SPEC §6).
    fn default() -> Self {
        Self(13)
    }
}

impl Retention {
    /// Months of thirty days and a half, so that none is shorter than the calendar's on the whole.
    fn after(self, instant: Timestamp) -> Option<Timestamp> {
        instant.checked_add(SignedDuration::from_hours(i64::from(self.0) * 61 * 12)).ok()
    }
}

/// All ports that are kept in DynamoDB. Which of them a function may use, its policy says.
#[derive(Debug, Clone)]
pub struct Tables {
    client: Client,
    bookings: String,
    messages: String,
    kept: Retention,
    settings: Arc<Settings>,
}

/// Versions of rules that this sandbox has read. A version is written once and for all, so what is remembered of it is true at any age; the largest
/// rows that planning and deciding read are read once.
#[derive(Debug, Default)]
struct Settings(Mutex<HashMap<Key, Stored>>);

impl Settings {
    /// So many are remembered; then it begins anew. A version may be some hundred kilobytes large, a sandbox has 256 megabytes.
    const MOST: usize = 64;

    /// Takes out of the keys those that are remembered.
    fn recall(&self, keys: &mut Vec<Key>) -> Vec<Stored> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        keys.retain(|key| match remembered.get(key) {
            Some(stored) => {
                found.push(stored.clone());
                false
            }
            None => true,
        });
        found
    }

    fn remember(&self, found: &[Stored]) {
        let versions = found.iter().filter(|stored| matches!(stored.item, Item::RulesVersion(_)));
        for stored in versions {
            let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if remembered.len() >= Self::MOST {
                remembered.clear();
            }
            remembered.insert(stored.item.key(), stored.clone());
        }
    }
}

impl Tables {
    /// The tables of these names, in which the log is `kept` so long. A function that never touches the ledger gives any name for `messages`.
    pub fn new(config: &SdkConfig, bookings: String, messages: String, kept: Retention) -> Self {
        Self { client: Client::new(config), bookings, messages, kept, settings: Arc::default() }
    }

    /// The facts of a stack, whose table is found by its name. Needs `dynamodb:ListTables`.
    ///
    /// # Errors
    /// DynamoDB does not answer, or there is not just one such table.
    #[cfg(feature = "streams")]
    pub async fn of_stack(config: &SdkConfig, stack: &str) -> Result<Self, PortError> {
        let operation = "finding the table of a stack";
        let client = Client::new(config);
        let mut names = client.list_tables().into_paginator().items().send();
        let mut found = Vec::new();
        while let Some(name) = names.next().await {
            let name = name.map_err(|error| port_error(operation, error))?;
            if crate::stack::logical_id(stack, &name) == Some("BookingsTable") {
                found.push(name);
            }
        }
        match found.pop().filter(|_| found.is_empty()) {
            Some(bookings) => Ok(Self {
                client,
                bookings,
                messages: String::new(),
                kept: Retention::default(),
                settings: Arc::default(),
            }),
            None => {
                let source = format!("the stack {stack} has {} tables of bookings", found.len()).into();
                Err(PortError::Permanent { operation, source })
            }
        }
    }

    fn table_of(&self, key: &Key) -> &str {
        match key {
            Key::Message(..) | Key::Check(..) => &self.messages,
            _ => &self.bookings,
        }
    }

    fn put(&self, write: &Write) -> Result<TransactWriteItem, PortError> {
        let refused = |source| PortError::Permanent { operation: "describing a write", source };
        let key = write.item.key();
        let (condition, values) = condition(write.expect);
        let put = Put::builder()
            .table_name(self.table_of(&key))
            .set_item(Some(row(write, self.kept)?))
            .set_condition_expression(condition)
            .set_expression_attribute_values(values)
            .build()
            .map_err(|error| refused(error.into()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// One item is a plain conditional put, which costs half of a transaction; several are a transaction.
    async fn write(&self, operation: &'static str, writes: Vec<Write>) -> Result<(), WriteError> {
        match writes.as_slice() {
            [] => Ok(()),
            [one] => self.write_one(operation, one).await,
            many => {
                let items = many.iter().map(|write| self.put(write)).collect::<Result<Vec<_>, _>>()?;
                let sent = self.client.transact_write_items().set_transact_items(Some(items)).send().await;
                sent.map(|_| ()).map_err(|error| of_transaction(operation, error))
            }
        }
    }

    async fn write_one(&self, operation: &'static str, write: &Write) -> Result<(), WriteError> {
        let (condition, values) = condition(write.expect);
        let row = row(write, self.kept)?;
        let sent = self
            .client
            .put_item()
            .table_name(self.table_of(&write.item.key()))
            .set_item(Some(row.clone()))
            .set_condition_expression(condition)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = sent else { return Ok(()) };
        match &error {
            SdkError::ServiceError(service) => match service.err() {
                // The SDK tries again when an answer is lost. What stands in the way then is what the first try wrote.
                PutItemError::ConditionalCheckFailedException(failed) if failed.item() == Some(&row) => {
                    Ok(())
                }
                PutItemError::ConditionalCheckFailedException(_)
                | PutItemError::TransactionConflictException(_) => Err(WriteError::Conflict),
                _ => Err(port_error(operation, error).into()),
            },
            _ => Err(port_error(operation, error).into()),
        }
    }

    async fn query(
        &self,
        operation: &'static str,
        query: Query<'_>,
    ) -> Result<(Vec<Row>, Option<Row>), PortError> {
        let Query { table, index, pk, sk, after, limit } = query;
        let (pk_name, sk_name) = match index {
            None => ("pk", "sk"),
            Some(BY_CLIENT) => ("client_pk", "client_sk"),
            Some(BY_OPEN) => ("open_pk", "open_sk"),
            Some(BY_BUSINESS) => ("business_pk", "due_sk"),
            Some(BY_RECIPIENT) => ("recipient_pk", "due_sk"),
            Some(BY_EMAIL) => ("email_pk", "sk"),
            Some(BY_PHONE) => ("phone_pk", "sk"),
            Some(BY_PROVIDER) => ("provider_pk", "sk"),
            Some(_) => ("month_pk", "month_sk"),
        };
        let mut request = self
            .client
            .query()
            .table_name(table)
            .set_index_name(index.map(str::to_owned))
            // An index cannot be read consistently; a table can, and is.
            .consistent_read(index.is_none())
            .expression_attribute_names("#pk", pk_name)
            .expression_attribute_values(":pk", AttributeValue::S(pk))
            .set_exclusive_start_key(after)
            .set_limit(limit);
        request = match sk {
            SortKey::Between(first, last) => request
                .key_condition_expression("#pk = :pk AND #sk BETWEEN :sk AND :last")
                .expression_attribute_names("#sk", sk_name)
                .expression_attribute_values(":sk", AttributeValue::S(first))
                .expression_attribute_values(":last", AttributeValue::S(last)),
            SortKey::Any => request.key_condition_expression("#pk = :pk"),
            SortKey::BetweenLatestFirst(first, last) => request
                .scan_index_forward(false)
                .key_condition_expression("#pk = :pk AND #sk BETWEEN :sk AND :last")
                .expression_attribute_names("#sk", sk_name)
                .expression_attribute_values(":sk", AttributeValue::S(first))
                .expression_attribute_values(":last", AttributeValue::S(last)),
            SortKey::StartsWithLatestFirst(prefix) => request
                .scan_index_forward(false)
                .key_condition_expression("#pk = :pk AND begins_with(#sk, :sk)")
                .expression_attribute_names("#sk", sk_name)
                .expression_attribute_values(":sk", AttributeValue::S(prefix)),
            SortKey::StartsWith(prefix) => request
                .key_condition_expression("#pk = :pk AND begins_with(#sk, :sk)")
                .expression_attribute_names("#sk", sk_name)
                .expression_attribute_values(":sk", AttributeValue::S(prefix)),
            SortKey::After(last) => request
                .key_condition_expression("#pk = :pk AND #sk > :sk")
                .expression_attribute_names("#sk", sk_name)
                .expression_attribute_values(":sk", AttributeValue::S(last)),
            SortKey::From(first) => request
                .key_condition_expression("#pk = :pk AND #sk >= :sk")
                .expression_attribute_names("#sk", sk_name)
                .expression_attribute_values(":sk", AttributeValue::S(first)),
        };
        let answer = request.send().await.map_err(|error| port_error(operation, error))?;
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
    }
}

impl NoteUse for Tables {
    /// One UpdateItem. Needs `dynamodb:UpdateItem`.
    async fn note_use(&self, id: &KeyId, now: Timestamp) -> Result<(), PortError> {
        let noted = self
            .client
            .update_item()
            .table_name(&self.bookings)
            .set_key(Some(key_row(&Key::Credential(id.clone()))))
            .condition_expression("attribute_exists(pk)")
            .update_expression("SET last_used_at = :now")
            .expression_attribute_values(":now", AttributeValue::S(now.to_string()))
            .send()
            .await;
        match noted {
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                Ok(())
            }
            noted => noted.map(|_| ()).map_err(|error| port_error("noting that a key is used", error)),
        }
    }
}

impl Tables {
    /// Raises the version of an item of `Bookings` and changes nothing else of it, so that the stream brings it again. `false` when there is no
    /// such item. Whoever wrote it at this moment finds that another write came first, and starts over. Needs `dynamodb:UpdateItem`.
    ///
    /// # Errors
    /// DynamoDB does not answer.
    pub async fn touch(&self, pk: &str, sk: &str) -> Result<bool, PortError> {
        let touched = self
            .client
            .update_item()
            .table_name(&self.bookings)
            .key("pk", AttributeValue::S(pk.to_owned()))
            .key("sk", AttributeValue::S(sk.to_owned()))
            .condition_expression("attribute_exists(pk)")
            .update_expression("ADD row_version :one")
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .send()
            .await;
        match touched {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                Ok(false)
            }
            Err(error) => Err(port_error("touching an item", error)),
        }
    }

    /// One page of what is in a partition of `Bookings` and has this prefix, the latest first.
    async fn latest_first(
        &self,
        operation: &'static str,
        pk: String,
        prefix: &str,
        page: Page,
    ) -> Result<Listed, PortError> {
        // The cursor is the place of the last one: it names nothing beyond this partition.
        let after = page.after.map(|place| {
            Row::from([
                ("pk".to_owned(), AttributeValue::S(pk.clone())),
                ("sk".to_owned(), AttributeValue::S(format!("{prefix}{place}"))),
            ])
        });
        let query = Query {
            table: &self.bookings,
            index: None,
            pk,
            sk: SortKey::StartsWithLatestFirst(prefix.to_owned()),
            after,
            limit: i32::try_from(page.limit).ok(),
        };
        let (rows, last) = self.query(operation, query).await?;
        let next = last.and_then(|last| Some(last.get("sk")?.as_s().ok()?.strip_prefix(prefix)?.to_owned()));
        let items = rows.into_iter().map(stored).collect::<Result<_, _>>()?;
        Ok(Listed { items, next })
    }

    /// A client's parts in bookings, by the index.
    async fn parts(
        &self,
        business_id: &BusinessId,
        client_id: &ClientId,
        sk: SortKey,
    ) -> Result<Vec<Participation>, PortError> {
        let operation = "finding a client's bookings";
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let query = Query {
                table: &self.bookings,
                index: Some(BY_CLIENT),
                pk: client_key(business_id, client_id),
                sk: sk.clone(),
                after,
                limit: None,
            };
            let (rows, last) = self.query(operation, query).await?;
            for row in rows {
                match stored(row)?.item {
                    Item::Participation(part) => found.push(part),
                    _ => {
                        return Err(PortError::Permanent {
                            operation,
                            source: "not a part in a booking".into(),
                        });
                    }
                }
            }
            after = last;
            if after.is_none() {
                return Ok(found);
            }
        }
    }
}

struct Query<'a> {
    table: &'a str,
    index: Option<&'a str>,
    pk: String,
    sk: SortKey,
    after: Option<Row>,
    limit: Option<i32>,
}

#[derive(Clone)]
enum SortKey {
    Any,
    StartsWith(String),
    StartsWithLatestFirst(String),
    From(String),
    Between(String, String),
    BetweenLatestFirst(String, String),
    After(String),
}

/// What must hold for a write to happen, and the values it speaks of.
fn condition(expect: Expect) -> (Option<String>, Option<Row>) {
    match expect {
        Expect::Any => (None, None),
        Expect::Absent => (Some("attribute_not_exists(pk)".to_owned()), None),
        Expect::Version(version) => (
            Some("row_version = :expected".to_owned()),
            Some(HashMap::from([(":expected".to_owned(), AttributeValue::N(version.to_string()))])),
        ),
    }
}

/// What a failed transaction means: another write came first, the table was too busy, or a fault.
fn of_transaction(operation: &'static str, error: SdkError<TransactWriteItemsError>) -> WriteError {
    let has = |codes: &[&str]| match &error {
        SdkError::ServiceError(service) => match service.err() {
            TransactWriteItemsError::TransactionCanceledException(cancelled) => cancelled
                .cancellation_reasons()
                .iter()
                .any(|reason| reason.code().is_some_and(|code| codes.contains(&code))),
            _ => false,
        },
        _ => false,
    };
    if has(&["ConditionalCheckFailed", "TransactionConflict"]) {
        WriteError::Conflict
    } else if has(&["ThrottlingError", "ProvisionedThroughputExceeded"]) {
        PortError::Throttled { operation, source: error.into() }.into()
    } else {
        port_error(operation, error).into()
    }
}

// ------------------------------------------------------------------ rows

/// Where an item is in its table.
pub(crate) fn pk_sk(key: &Key) -> (String, String) {
    let of_business = |business: &BusinessId| format!("BUSINESS#{business}");
    match key {
        Key::Business(b) => (of_business(b), "BUSINESS".to_owned()),
        Key::Rules(b) => (of_business(b), "RULES".to_owned()),
        Key::RulesVersion(b, version) => (format!("BUSINESS#{b}#RULES"), format!("VERSION#{version:012}")),
        Key::Templates(b, kind) => (of_business(b), format!("TEMPLATES#{kind}")),
        Key::Rollout(b) => (of_business(b), "ROLLOUT".to_owned()),
        Key::Staff(b, id) => (of_business(b), format!("STAFF#{id}")),
        Key::WaitlistEntry(b, id) => (of_business(b), format!("WAITLIST#{id}")),
        Key::Occasion(b, id) => (occasion_key(b, id), "OCCASION".to_owned()),
        Key::Location(b, id) => (of_business(b), format!("LOCATION#{id}")),
        Key::Resource(b, id) => (of_business(b), format!("RESOURCE#{id}")),
        Key::Service(b, id) => (of_business(b), format!("SERVICE#{id}")),
        Key::Client(b, id) => (of_business(b), format!("CLIENT#{id}")),
        Key::SuppressedAddress(b, hash) => (of_business(b), format!("SUPPRESSED#{hash}")),
        Key::Erasure(b, client) => (client_key(b, client), "ERASURE".to_owned()),
        Key::Task(b, id) => (of_business(b), format!("TASK#{id}")),
        Key::Campaign(b, id) => (of_business(b), format!("CAMPAIGN#{id}")),
        Key::Review(b, id) => (of_business(b), format!("REVIEW#{id}")),
        Key::LinkKeys(b) => (of_business(b), "LINK-KEYS".to_owned()),
        Key::Booking(b, booking) => (booking_key(b, booking), "BOOKING".to_owned()),
        Key::Participation(b, booking, client) => (booking_key(b, booking), format!("CLIENT#{client}")),
        Key::ResourceDay(b, resource, day) => {
            (format!("BUSINESS#{b}#RESOURCE#{resource}"), format!("DAY#{day}"))
        }
        Key::Answer(b, hash) => (answers_key(b), format!("ANSWER#{hash}")),
        Key::ApiKeys(b) => (of_business(b), "KEYS".to_owned()),
        Key::Credential(id) => (format!("KEY#{id}"), "KEY".to_owned()),
        Key::Entry(b, client, at, id) => {
            (client_key(b, client), format!("ENTRY#{:012}#{id}", at.as_second()))
        }
        Key::TelegramBot(b) => (of_business(b), "TELEGRAM".to_owned()),
        Key::TelegramInvitation(b, code) => (of_business(b), format!("TELEGRAM-INVITATION#{code}")),
        Key::TelegramChat(b, chat) => (of_business(b), format!("TELEGRAM-CHAT#{}", chat.as_str())),
        Key::Sender(SenderNumber::Sms(phone)) => {
            (format!("SENDER#sms#{}", phone.as_str()), "SENDER".to_owned())
        }
        Key::Sender(SenderNumber::Whatsapp(number)) => {
            (format!("SENDER#whatsapp#{}", number.as_str()), "SENDER".to_owned())
        }
        Key::Webhooks(b) => (of_business(b), "WEBHOOKS".to_owned()),
        Key::WebhookDelivery(b, webhook, id) => (webhook_key(b, webhook), format!("DELIVERY#{id}")),
        Key::Message(b, subject, id) => (subject_key(b, subject), format!("MESSAGE#{id}")),
        Key::Check(b, subject, id) => (subject_key(b, subject), format!("CHECK#{id}")),
    }
}

fn booking_key(business: &BusinessId, booking: &BookingId) -> String {
    format!("BUSINESS#{business}#BOOKING#{booking}")
}

fn occasion_key(business: &BusinessId, occasion: &OccasionId) -> String {
    format!("BUSINESS#{business}#OCCASION#{occasion}")
}

fn subject_key(business: &BusinessId, subject: &SubjectId) -> String {
    match subject {
        SubjectId::Booking(id) => booking_key(business, id),
        SubjectId::Occasion(id) => occasion_key(business, id),
    }
}

fn answers_key(business: &BusinessId) -> String {
    format!("BUSINESS#{business}#ANSWERS")
}

fn client_key(business: &BusinessId, client: &ClientId) -> String {
    format!("BUSINESS#{business}#CLIENT#{client}")
}

fn webhook_key(business: &BusinessId, webhook: &WebhookId) -> String {
    format!("BUSINESS#{business}#WEBHOOK#{webhook}")
}

fn month_key(business: &BusinessId, month: Date) -> String {
    format!("BUSINESS#{business}#MONTH#{}", month.strftime("%Y-%m"))
}

fn first_of_month(instant: Timestamp) -> Date {
    instant.to_zoned(TimeZone::UTC).date().first_of_month()
}

/// Sorts by instant: whole seconds, so that texts compare as the instants do. `~` comes after every id.
fn calendar_key(start: Timestamp, id: Option<&BookingId>) -> String {
    format!("{:012}#{}", start.as_second(), id.map_or("~", BookingId::as_str))
}

/// The start, to the second, and the id in a row of the calendar, which holds keys only.
fn of_calendar(row: &Row) -> Option<(Timestamp, BookingId)> {
    let (second, id) = row.get("month_sk")?.as_s().ok()?.split_once('#')?;
    Some((Timestamp::from_second(second.parse().ok()?).ok()?, id.parse().ok()?))
}

fn recipient_key(business: &BusinessId, recipient: &Recipient) -> String {
    match recipient {
        Recipient::Client(id) => client_key(business, id),
        Recipient::Staff(id) => format!("BUSINESS#{business}#STAFF#{id}"),
    }
}

fn open_shard(shard: u8) -> String {
    format!("OPEN#{shard:x}")
}

/// Sorts by instant: of fixed width, so that texts compare as the instants do. `!` comes before whatever an id may go on with.
fn due_key(due: Timestamp, id: &str) -> String {
    format!("{:012}.{:09}#{id}", due.as_second(), due.subsec_nanosecond())
}

/// The id of a row of the ledger.
fn ledger_id(key: &Key) -> &str {
    match key {
        Key::Message(_, _, id) => id.as_str(),
        Key::Check(_, _, id) => id.as_str(),
        _ => "",
    }
}

/// When it is due, and the key, in a row of the open ones, which holds keys only.
fn of_open(row: &Row) -> Option<(Timestamp, Key)> {
    let text = |name: &str| row.get(name)?.as_s().ok();
    let (due, _) = text("open_sk")?.split_once('#')?;
    let (second, nanosecond) = due.split_once('.')?;
    let due = Timestamp::new(second.parse().ok()?, nanosecond.parse().ok()?).ok()?;
    Some((due, of_ledger(text("pk")?, text("sk")?)?))
}

/// The key of a row of the ledger, of which [`pk_sk`] makes these.
fn of_ledger(pk: &str, sk: &str) -> Option<Key> {
    let mut parts = pk.split('#');
    let (Some("BUSINESS"), Some(business), Some(kind), Some(subject), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let business = business.parse().ok()?;
    let subject = match kind {
        "BOOKING" => SubjectId::Booking(subject.parse().ok()?),
        "OCCASION" => SubjectId::Occasion(subject.parse().ok()?),
        _ => return None,
    };
    match sk.split_once('#')? {
        ("MESSAGE", id) => Some(Key::Message(business, subject, id.parse().ok()?)),
        ("CHECK", id) => Some(Key::Check(business, subject, id.parse().ok()?)),
        _ => None,
    }
}

fn key_row(key: &Key) -> Row {
    let (pk, sk) = pk_sk(key);
    HashMap::from([("pk".to_owned(), AttributeValue::S(pk)), ("sk".to_owned(), AttributeValue::S(sk))])
}

/// A write as a row: the item's own fields, its keys, its version, its place in the index, and when DynamoDB may forget it.
fn row(write: &Write, kept: Retention) -> Result<Row, PortError> {
    let mut row: Row = serde_dynamo::to_item(&write.item)
        .map_err(|error| PortError::Permanent { operation: "describing a write", source: error.into() })?;
    row.extend(key_row(&write.item.key()));
    let version = match write.expect {
        Expect::Version(version) => version + 1,
        Expect::Absent | Expect::Any => 1,
    };
    row.insert("row_version".to_owned(), AttributeValue::N(version.to_string()));
    if let Item::Participation(part) = &write.item {
        row.insert("client_pk".to_owned(), AttributeValue::S(client_key(&part.business_id, &part.client_id)));
        row.insert("client_sk".to_owned(), AttributeValue::S(format!("{}#{}", part.start, part.booking_id)));
    }
    if let Item::Booking(booking) = &write.item {
        let month = month_key(&booking.business_id, first_of_month(booking.start));
        row.insert("month_pk".to_owned(), AttributeValue::S(month));
        row.insert("month_sk".to_owned(), AttributeValue::S(calendar_key(booking.start, Some(&booking.id))));
    }
    if let Some(due) = open_due(&write.item) {
        let key = write.item.key();
        let id = ledger_id(&key);
        row.insert("open_pk".to_owned(), AttributeValue::S(open_shard(shard_of(id))));
        row.insert("open_sk".to_owned(), AttributeValue::S(due_key(due, id)));
    }
    if let Item::Client(client) = &write.item {
        let (phone, email) = (client.phone.as_ref(), client.email.as_ref());
        row.extend(phone.map(|phone| ("phone_pk".to_owned(), AttributeValue::S(phone_key(phone)))));
        let email = email.map(|email| email_key(&client.business_id, email));
        row.extend(email.map(|key| ("email_pk".to_owned(), AttributeValue::S(key))));
    }
    if let Item::Occasion(occasion) = &write.item
        && let Some(client_id) = occasion.recipient.client()
    {
        let key = occasions_key(&occasion.business_id, client_id);
        row.insert("client_pk".to_owned(), AttributeValue::S(key));
        row.insert("client_sk".to_owned(), AttributeValue::S(occasion.id.to_string()));
    }
    if let Item::Message(message) = &write.item {
        let Message { business_id, recipient, due, id, .. } = message;
        let business = format!("BUSINESS#{business_id}");
        row.insert("business_pk".to_owned(), AttributeValue::S(business));
        row.insert("recipient_pk".to_owned(), AttributeValue::S(recipient_key(business_id, recipient)));
        row.insert("due_sk".to_owned(), AttributeValue::S(due_key(*due, id.as_str())));
    }
    if let Item::Message(message) = &write.item
        && let Some(id) = message.provider_id.as_ref().filter(|_| is_called_by_provider(message.channel))
    {
        row.insert("provider_pk".to_owned(), AttributeValue::S(provider_key(message.channel, id)));
    }
    if let Some(expires) = expires(&write.item, kept) {
        row.insert("expires_epoch".to_owned(), AttributeValue::N(expires.as_second().to_string()));
    }
    Ok(row)
}

fn expires(item: &Item, kept: Retention) -> Option<Timestamp> {
    match item {
        Item::Answer(answer) => Some(answer.expires_at),
        Item::Credential(Credential { key, .. }) => {
            key.revoked_at.or(key.expires_at)?.checked_add(CREDENTIAL_KEPT).ok()
        }
        Item::Message(message) => kept.after(message.due),
        Item::Check(check) => kept.after(check.due),
        Item::Occasion(occasion) => {
            let code = matches!(occasion.about, About::VerificationCode { .. });
            if code { occasion.at.checked_add(CODE_KEPT).ok() } else { kept.after(occasion.at) }
        }
        Item::TelegramInvitation(invitation) => Some(invitation.expires_at),
        Item::Task(task) => kept.after(task.closed?.at),
        Item::Entry(entry) => kept.after(entry.at),
        Item::WebhookDelivery(delivery) => delivery.made_at.checked_add(DELIVERIES_KEPT).ok(),
        Item::WaitlistEntry(entry) => entry.until.checked_add(WAITLIST_KEPT).ok(),
        Item::ResourceDay(day) => {
            let midnight = day.day.to_zoned(TimeZone::UTC).ok()?.timestamp();
            midnight.checked_add(DAYS_KEPT).ok()
        }
        _ => None,
    }
}

fn stored(row: Row) -> Result<Stored, PortError> {
    let refused = |source| PortError::Permanent { operation: "reading a row", source };
    let version = match row.get("row_version") {
        Some(AttributeValue::N(version)) => {
            version.parse().map_err(|_| refused("its version is no number".into()))?
        }
        _ => return Err(refused("it has no version".into())),
    };
    let item = serde_dynamo::from_item(row).map_err(|error| refused(error.into()))?;
    Ok(Stored { item, version })
}

// ------------------------------------------------------------------ ports

impl Read for Tables {
    /// One BatchGetItem over both tables, consistent. Keys that DynamoDB leaves unprocessed are asked for again, a little later each time. Versions
    /// of rules that were read before are not read again.
    async fn read(&self, mut keys: Vec<Key>) -> Result<Vec<Stored>, PortError> {
        let operation = "reading facts";
        let refused = |source| PortError::Permanent { operation, source };
        if keys.len() > KEYS {
            return Err(refused("more than 100 keys at once".into()));
        }
        if let [key] = keys.as_slice() {
            let got = self
                .client
                .get_item()
                .table_name(self.table_of(key))
                .set_key(Some(key_row(key)))
                .consistent_read(true)
                .send()
                .await
                .map_err(|error| port_error(operation, error))?;
            return got.item.map(stored).into_iter().collect();
        }
        let recalled = self.settings.recall(&mut keys);
        if keys.is_empty() {
            return Ok(recalled);
        }
        let mut by_table: HashMap<String, Vec<Row>> = HashMap::new();
        for key in &keys {
            by_table.entry(self.table_of(key).to_owned()).or_default().push(key_row(key));
        }
        let mut wanted = by_table
            .into_iter()
            .map(|(table, keys)| {
                let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
                keys.map(|keys| (table, keys)).map_err(|error| refused(error.into()))
            })
            .collect::<Result<HashMap<_, _>, _>>()?;
        let mut found = Vec::new();
        for ask in 0..ASKS {
            let answer = self
                .client
                .batch_get_item()
                .set_request_items(Some(wanted))
                .send()
                .await
                .map_err(|error| port_error(operation, error))?;
            for row in answer.responses.into_iter().flatten().flat_map(|(_, rows)| rows) {
                found.push(stored(row)?);
            }
            wanted = answer.unprocessed_keys.unwrap_or_default();
            if wanted.is_empty() {
                self.settings.remember(&found);
                found.extend(recalled);
                return Ok(found);
            }
            tokio_sleep(20 << ask).await;
        }
        Err(PortError::Throttled { operation, source: "DynamoDB kept leaving keys unprocessed".into() })
    }
}

async fn tokio_sleep(milliseconds: u64) {
    use aws_smithy_async::rt::sleep::{AsyncSleep, TokioSleep};
    TokioSleep::new().sleep(std::time::Duration::from_millis(milliseconds)).await;
}

impl List for Tables {
    async fn list(&self, business_id: &BusinessId, kind: Kind, page: Page) -> Result<Listed, PortError> {
        let prefix = match kind {
            Kind::Locations => "LOCATION#",
            Kind::Resources => "RESOURCE#",
            Kind::Services => "SERVICE#",
            Kind::Clients => "CLIENT#",
            Kind::Staff => "STAFF#",
            Kind::Waitlist => "WAITLIST#",
            Kind::Tasks => "TASK#",
            Kind::Campaigns => "CAMPAIGN#",
            Kind::Reviews => "REVIEW#",
            Kind::Answers => "ANSWER#",
        };
        let pk = match kind {
            Kind::Answers => answers_key(business_id),
            _ => format!("BUSINESS#{business_id}"),
        };
        // The cursor is the last id of the page before: it names nothing beyond this business and this kind.
        let after = page.after.map(|id| {
            HashMap::from([
                ("pk".to_owned(), AttributeValue::S(pk.clone())),
                ("sk".to_owned(), AttributeValue::S(format!("{prefix}{id}"))),
            ])
        });
        let query = Query {
            table: &self.bookings,
            index: None,
            pk,
            sk: match kind {
                Kind::Reviews => SortKey::StartsWithLatestFirst(prefix.to_owned()),
                _ => SortKey::StartsWith(prefix.to_owned()),
            },
            after,
            limit: i32::try_from(page.limit).ok(),
        };
        let (rows, last) = self.query("listing facts", query).await?;
        let next = last.and_then(|last| match last.get("sk") {
            Some(AttributeValue::S(sk)) => sk.strip_prefix(prefix).map(str::to_owned),
            _ => None,
        });
        let items = rows.into_iter().map(stored).collect::<Result<_, _>>()?;
        Ok(Listed { items, next })
    }
}

impl ListDeliveries for Tables {
    async fn deliveries(
        &self,
        business_id: &BusinessId,
        webhook_id: &WebhookId,
        page: Page,
    ) -> Result<Listed, PortError> {
        self.latest_first("listing deliveries", webhook_key(business_id, webhook_id), "DELIVERY#", page).await
    }
}

impl WriteFacts for Tables {
    async fn write_facts(&self, writes: Vec<Write>) -> Result<(), WriteError> {
        self.write("writing facts", writes).await
    }
}

impl WriteLedger for Tables {
    async fn write_ledger(&self, writes: Vec<Write>) -> Result<(), WriteError> {
        self.write("writing the ledger", writes).await
    }
}

impl ReadLedger for Tables {
    async fn ledger_of(
        &self,
        business_id: &BusinessId,
        subject: &SubjectId,
    ) -> Result<Vec<Stored>, PortError> {
        let mut found = Vec::new();
        let pk = subject_key(business_id, subject);
        let mut after = None;
        loop {
            let query = Query {
                table: &self.messages,
                index: None,
                pk: pk.clone(),
                sk: SortKey::Any,
                after,
                limit: None,
            };
            let (rows, last) = self.query("reading a ledger", query).await?;
            for row in rows {
                found.push(stored(row)?);
            }
            after = last;
            if after.is_none() {
                return Ok(found);
            }
        }
    }
}

impl OpenRows for Tables {
    async fn open_rows(
        &self,
        shard: u8,
        after: &(Timestamp, Option<Key>),
        until: Timestamp,
    ) -> Result<Vec<(Timestamp, Key)>, PortError> {
        let operation = "finding open rows";
        let (due, key) = after;
        let first = due_key(*due, &key.as_ref().map_or("~".to_owned(), |key| format!("{}!", ledger_id(key))));
        let query = Query {
            table: &self.messages,
            index: Some(BY_OPEN),
            pk: open_shard(shard),
            sk: SortKey::Between(first, due_key(until, "")),
            after: None,
            limit: i32::try_from(sweep::PAGE).ok(),
        };
        let (rows, _) = self.query(operation, query).await?;
        let refused = || PortError::Permanent { operation, source: "not a row of the ledger".into() };
        rows.iter().map(|row| of_open(row).ok_or_else(refused)).collect()
    }
}

impl ClientBookings for Tables {
    async fn bookings_of(
        &self,
        business_id: &BusinessId,
        client_id: &ClientId,
        from: Timestamp,
    ) -> Result<Vec<Participation>, PortError> {
        let mut parts = self.parts(business_id, client_id, SortKey::From(from.to_string())).await?;
        parts.retain(|part| part.ahead);
        Ok(parts)
    }

    async fn parts_within(
        &self,
        business_id: &BusinessId,
        client_id: &ClientId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Participation>, PortError> {
        let range = SortKey::Between(from.to_string(), until.to_string());
        let mut parts = self.parts(business_id, client_id, range).await?;
        // Instants with and without fractions of a second do not sort as texts do; all that are far off are left out already.
        parts.retain(|part| from <= part.start && part.start < until);
        Ok(parts)
    }
}

impl Calendar for Tables {
    async fn bookings_after(
        &self,
        business_id: &BusinessId,
        after: &(Timestamp, Option<BookingId>),
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<(Timestamp, BookingId)>, PortError> {
        let operation = "finding a business's bookings";
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut month = first_of_month(after.0);
        let last_month = first_of_month(until);
        // Of the cursor's own second nothing is asked again but what has a greater id.
        let last = match &after.1 {
            Some(id) => calendar_key(after.0, Some(id)),
            None => calendar_key(after.0, None),
        };
        let mut found = Vec::new();
        for _ in 0..MONTHS {
            let query = Query {
                table: &self.bookings,
                index: Some(BY_MONTH),
                pk: month_key(business_id, month),
                sk: SortKey::After(last.clone()),
                after: None,
                limit: i32::try_from(wanted - found.len()).ok(),
            };
            let (rows, more) = self.query(operation, query).await?;
            for row in rows {
                let refused = || PortError::Permanent { operation, source: "not a booking".into() };
                found.push(of_calendar(&row).ok_or_else(refused)?);
            }
            if found.len() >= wanted || more.is_some() || month >= last_month {
                break;
            }
            month = month.saturating_add(jiff::Span::new().months(1));
        }
        found.retain(|(start, _)| *start < until);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::ports::Answer;
    use domain::booking::{Notify, Source};
    use domain::occasion::Occasion;

    #[test]
    fn the_log_is_kept_for_as_many_months_as_the_template_says() {
        let task: domain::task::Task = serde_json::from_value(serde_json::json!({
            "business_id": "b1", "id": "t1", "kind": "client_reply", "client_ids": [], "since": "2026-01-01T00:00:00Z",
            "closed": { "at": "2026-01-01T00:00:00Z", "outcome": "done" },
        }))
        .unwrap();
        let until = |kept| expires(&Item::Task(task.clone()), kept).unwrap().to_string();
        assert_eq!(until(Retention::default()), "2027-02-01T12:00:00Z");
        assert_eq!(until("2".parse().unwrap()), "2026-03-03T00:00:00Z");
        for wrong in ["0", "121", "-1", "a year", ""] {
            assert!(wrong.parse::<Retention>().is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn versions_of_rules_are_remembered_and_nothing_else_is() {
        let rules = |business: &str, version: u64| -> domain::rule::Rules {
            serde_json::from_value(serde_json::json!({ "business_id": business, "version": version }))
                .unwrap()
        };
        let version = |business, version| Item::RulesVersion(rules(business, version));
        let stored = |item: Item| Stored { item, version: 1 };
        let settings = Settings::default();
        settings.remember(&[stored(version("b1", 3)), stored(Item::Rules(rules("b1", 3)))]);
        let key = |item: Item| item.key();
        let others = vec![key(version("b2", 3)), key(version("b1", 4)), key(Item::Rules(rules("b1", 3)))];
        let mut keys = [vec![key(version("b1", 3))], others.clone()].concat();
        assert_eq!(settings.recall(&mut keys), [stored(version("b1", 3))]);
        assert_eq!(keys, others);
        // Full, it begins anew.
        for more in 0..Settings::MOST as u64 {
            settings.remember(&[stored(version("b3", more))]);
        }
        assert!(settings.recall(&mut vec![key(version("b1", 3))]).is_empty());
        assert_eq!(settings.recall(&mut vec![key(version("b3", 63))]).len(), 1);
    }

    #[test]
    fn every_key_but_that_of_an_api_key_starts_with_the_business() {
        let b: BusinessId = "b1".parse().unwrap();
        let keys = [
            Key::Business(b.clone()),
            Key::Rules(b.clone()),
            Key::Location(b.clone(), "x".parse().unwrap()),
            Key::Resource(b.clone(), "x".parse().unwrap()),
            Key::Service(b.clone(), "x".parse().unwrap()),
            Key::Client(b.clone(), "x".parse().unwrap()),
            Key::Task(b.clone(), "x".parse().unwrap()),
            Key::Booking(b.clone(), "x".parse().unwrap()),
            Key::Participation(b.clone(), "x".parse().unwrap(), "c".parse().unwrap()),
            Key::ResourceDay(b.clone(), "x".parse().unwrap(), "2026-11-23".parse().unwrap()),
            Key::Answer(b.clone(), "h".to_owned()),
            Key::ApiKeys(b.clone()),
            Key::Erasure(b.clone(), "x".parse().unwrap()),
            Key::SuppressedAddress(b.clone(), "x".to_owned()),
            Key::RulesVersion(b.clone(), 3),
            Key::Rollout(b.clone()),
            Key::LinkKeys(b.clone()),
            Key::Review(b.clone(), "x".parse().unwrap()),
            Key::Templates(b.clone(), domain::notification_type::NotificationType::Reminder),
            Key::Staff(b.clone(), "x".parse().unwrap()),
            Key::WaitlistEntry(b.clone(), "x".parse().unwrap()),
            Key::Occasion(b.clone(), "x".parse().unwrap()),
            Key::Entry(b.clone(), "x".parse().unwrap(), Timestamp::UNIX_EPOCH, "x".parse().unwrap()),
            Key::TelegramBot(b.clone()),
            Key::Webhooks(b.clone()),
            Key::WebhookDelivery(b.clone(), "x".parse().unwrap(), "x".parse().unwrap()),
            Key::TelegramInvitation(b.clone(), "x".to_owned()),
            Key::TelegramChat(b.clone(), "1".parse().unwrap()),
            Key::Message(b.clone(), SubjectId::Booking("x".parse().unwrap()), "m".parse().unwrap()),
            Key::Check(b.clone(), SubjectId::Booking("x".parse().unwrap()), "c".parse().unwrap()),
            Key::Message(b, SubjectId::Occasion("x".parse().unwrap()), "m".parse().unwrap()),
        ];
        let mut seen = std::collections::HashSet::new();
        for key in keys {
            let (pk, sk) = pk_sk(&key);
            assert!(pk == "BUSINESS#b1" || pk.starts_with("BUSINESS#b1#"), "{key:?} is at {pk}");
            assert!(seen.insert((pk, sk)), "{key:?} shares its place");
        }
    }

    #[test]
    fn what_is_due_earlier_sorts_first_and_a_page_begins_after_the_last_row_of_the_one_before() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let rows = [
            due_key(at("2026-11-23T09:59:59.9Z"), "f"),
            due_key(at("2026-11-23T10:00:00Z"), "0a"),
            due_key(at("2026-11-23T10:00:00Z"), "0a!"),
            due_key(at("2026-11-23T10:00:00Z"), "0a-"),
            due_key(at("2026-11-23T10:00:00Z"), "~"),
            due_key(at("2026-11-23T10:00:00.000000001Z"), ""),
            due_key(at("2026-11-23T10:00:00.000000001Z"), "0"),
            due_key(at("2026-11-23T10:00:00.5Z"), "0"),
            due_key(at("2026-11-23T10:00:01Z"), "0"),
        ];
        assert!(rows.is_sorted(), "{rows:?}");
    }

    #[test]
    fn a_check_is_among_the_open_rows_until_it_is_withdrawn_and_its_key_is_read_from_there() {
        let check = domain::message::CheckRow {
            business_id: "b".parse().unwrap(),
            subject: SubjectId::Occasion("o".parse().unwrap()),
            id: "c0ffee".parse().unwrap(),
            kind: domain::message::CheckKind::OfferEnds,
            due: "2026-11-23T10:00:00.25Z".parse().unwrap(),
            withdrawn: false,
        };
        let written = |check: &domain::message::CheckRow| {
            row(&Write { item: Item::Check(check.clone()), expect: Expect::Absent }, Retention::default())
                .unwrap()
        };
        let open = written(&check);
        assert_eq!(open["open_pk"], AttributeValue::S("OPEN#c".into()));
        assert_eq!(open["open_sk"], AttributeValue::S("001795428000.250000000#c0ffee".into()));
        assert_eq!(of_open(&open), Some((check.due, Item::Check(check.clone()).key())));
        let settled = written(&domain::message::CheckRow { withdrawn: true, ..check });
        assert!(!settled.contains_key("open_pk") && !settled.contains_key("open_sk"));
    }

    #[test]
    fn a_row_reads_back_as_the_item_it_was() {
        let item = Item::Answer(Answer {
            business_id: "b".parse().unwrap(),
            key_hash: "h".into(),
            request_hash: "r".into(),
            body: "{}".into(),
            etag: 3,
            expires_at: "2026-11-23T10:00:00Z".parse().unwrap(),
        });
        let written =
            row(&Write { item: item.clone(), expect: Expect::Version(4) }, Retention::default()).unwrap();
        assert_eq!(written["entity"], AttributeValue::S("answer".into()));
        assert_eq!(written["expires_epoch"], AttributeValue::N("1795428000".into()));
        assert_eq!(stored(written).unwrap(), Stored { item, version: 5 });
    }

    #[test]
    fn a_credential_reads_back_as_it_was_and_goes_some_time_after_its_end() {
        let credential = |key: serde_json::Value| {
            let mut row = serde_json::json!({
                "entity": "credential", "business_id": "b", "id": "0123456789abcdef", "name": "Till", "role": "staff",
                "scopes": ["bookings:read", "clients:read"], "created_at": "2026-11-22T10:00:00Z", "secret_hash": "h",
                "previous": { "secret_hash": "g", "until": "2026-11-23T10:00:00Z" },
            });
            row.as_object_mut().unwrap().extend(key.as_object().unwrap().clone());
            serde_json::from_value::<Item>(row).unwrap()
        };
        let kept = |item: &Item| {
            let written =
                row(&Write { item: item.clone(), expect: Expect::Any }, Retention::default()).unwrap();
            let expires = written.get("expires_epoch").cloned();
            assert_eq!(stored(written).unwrap(), Stored { item: item.clone(), version: 1 });
            expires
        };
        assert_eq!(kept(&credential(serde_json::json!({}))), None);
        let used = credential(serde_json::json!({ "last_used_at": "2026-11-22T11:00:00Z" }));
        assert_eq!(kept(&used), None);
        let day = |number: u32| Some(AttributeValue::N(number.to_string()));
        let expired = credential(serde_json::json!({ "expires_at": "2026-11-23T10:00:00Z" }));
        assert_eq!(kept(&expired), day(1_795_428_000 + 90 * 86_400));
        let revoked = credential(serde_json::json!({ "revoked_at": "2026-11-23T10:00:00Z" }));
        assert_eq!(kept(&revoked), day(1_795_428_000 + 90 * 86_400));
    }

    #[test]
    fn the_stream_filter_of_the_template_speaks_of_entities_as_rows_do() {
        let template = include_str!("../../../template.yaml");
        assert!(template.contains(
            r#"{"dynamodb":{"NewImage":{"entity":{"S":["booking","campaign","client","erasure","occasion","rollout","task"]}}}}"#
        ));
        for filter in [
            r#"{"dynamodb":{"NewImage":{"entity":{"S":["booking","task"]}}}}"#,
            r#"{"dynamodb":{"NewImage":{"entity":{"S":["webhook_delivery"]},"asked":{"BOOL":[true]}}}}"#,
            r#"{"dynamodb":{"NewImage":{"entity":{"S":["message"]},"status":{"S":["accepted","delivered","read","failed","unknown","suppressed"]}}}}"#,
        ] {
            assert!(template.contains(filter), "{filter}");
        }
        let client = serde_json::json!({ "entity": "client", "business_id": "b", "id": "c", "name": "Ana" });
        let client: Item = serde_json::from_value(client).unwrap();
        let row = row(&Write { item: client, expect: Expect::Absent }, Retention::default()).unwrap();
        assert_eq!(row["entity"], AttributeValue::S("client".into()));
    }

    #[test]
    fn s16_a_code_is_forgotten_after_a_day_and_other_occasions_with_their_messages() {
        let kept = |about: About| {
            let occasion = Occasion {
                business_id: "b".parse().unwrap(),
                id: "o".parse().unwrap(),
                about,
                recipient: Recipient::Client("c".parse().unwrap()),
                location_id: None,
                at: "2026-11-23T10:00:00Z".parse().unwrap(),
                by: Source::Staff,
                notify: Notify::ByRules,
                channels: None,
                rules_version: 0,
                withdrawn: false,
                failures: vec![],
            };
            expires(&Item::Occasion(occasion), Retention::default()).unwrap().to_string()
        };
        let code = "4829ab".to_owned().try_into().unwrap();
        assert_eq!(kept(About::VerificationCode { code }), "2026-11-24T10:00:00Z");
        let text = "Hello".parse().unwrap();
        let letter = About::Individual { subject: None, text, for_booking: None };
        assert_eq!(kept(letter), "2027-12-24T22:00:00Z");
    }
}
