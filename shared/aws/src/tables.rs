//! The two tables on DynamoDB: facts in `Bookings`, the ledger in `Messages`.
//!
//! | item | pk | sk |
//! |---|---|---|
//! | business, rules, locations, resources, services, clients, tasks | `BUSINESS#b` | `BUSINESS`, `RULES`, `LOCATION#l`, … |
//! | booking; a client's part in it | `BUSINESS#b#BOOKING#k` | `BOOKING`; `CLIENT#c` |
//! | what holds a resource on a day | `BUSINESS#b#RESOURCE#r` | `DAY#2026-11-23` |
//! | a kept answer | `BUSINESS#b#ANSWER#h` | `ANSWER` |
//! | an API key | `KEY#p` | `KEY` |
//! | message; check (table `Messages`) | `BUSINESS#b#BOOKING#k` | `MESSAGE#m`; `CHECK#c` |
//!
//! Architecture invariant: the business is part of every key but that of an API key.

use std::collections::HashMap;

use app::ports::{
    ClientBookings, Expect, Item, Key, Kind, List, Listed, Page, Participation, PortError, Read, ReadLedger,
    Stored, Write, WriteError, WriteFacts, WriteLedger,
};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use aws_types::SdkConfig;
use domain::ids::{BookingId, BusinessId, ClientId};
use jiff::{SignedDuration, Timestamp};

use crate::error::port_error;

type Row = HashMap<String, AttributeValue>;

/// The most keys one BatchGetItem takes. <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
const KEYS: usize = 100;

/// How often keys that DynamoDB left unprocessed are asked for again.
const ASKS: u32 = 5;

/// How long ledger rows are kept after they were due: 13 months (SPEC §6).
const LEDGER_KEPT: SignedDuration = SignedDuration::from_hours(24 * 396);

/// How long it stays known what held a resource on a day.
const DAYS_KEPT: SignedDuration = SignedDuration::from_hours(24 * 60);

/// All ports that are kept in DynamoDB. Which of them a function may use, its policy says.
#[derive(Debug, Clone)]
pub struct Tables {
    client: Client,
    bookings: String,
    messages: String,
}

impl Tables {
    /// The tables of these names. A function that never touches the ledger gives any name for `messages`.
    pub fn new(config: &SdkConfig, bookings: String, messages: String) -> Self {
        Self { client: Client::new(config), bookings, messages }
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
            .set_item(Some(row(write)?))
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
        let row = row(write)?;
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
        let (pk_name, sk_name) = if index.is_some() { ("client_pk", "client_sk") } else { ("pk", "sk") };
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
            SortKey::Any => request.key_condition_expression("#pk = :pk"),
            SortKey::StartsWith(prefix) => request
                .key_condition_expression("#pk = :pk AND begins_with(#sk, :sk)")
                .expression_attribute_names("#sk", sk_name)
                .expression_attribute_values(":sk", AttributeValue::S(prefix)),
            SortKey::From(first) => request
                .key_condition_expression("#pk = :pk AND #sk >= :sk")
                .expression_attribute_names("#sk", sk_name)
                .expression_attribute_values(":sk", AttributeValue::S(first)),
        };
        let answer = request.send().await.map_err(|error| port_error(operation, error))?;
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
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

enum SortKey {
    Any,
    StartsWith(String),
    From(String),
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

fn pk_sk(key: &Key) -> (String, String) {
    let of_business = |business: &BusinessId| format!("BUSINESS#{business}");
    let of_booking =
        |business: &BusinessId, booking: &BookingId| format!("BUSINESS#{business}#BOOKING#{booking}");
    match key {
        Key::Business(b) => (of_business(b), "BUSINESS".to_owned()),
        Key::Rules(b) => (of_business(b), "RULES".to_owned()),
        Key::Location(b, id) => (of_business(b), format!("LOCATION#{id}")),
        Key::Resource(b, id) => (of_business(b), format!("RESOURCE#{id}")),
        Key::Service(b, id) => (of_business(b), format!("SERVICE#{id}")),
        Key::Client(b, id) => (of_business(b), format!("CLIENT#{id}")),
        Key::Task(b, id) => (of_business(b), format!("TASK#{id}")),
        Key::Booking(b, booking) => (of_booking(b, booking), "BOOKING".to_owned()),
        Key::Participation(b, booking, client) => (of_booking(b, booking), format!("CLIENT#{client}")),
        Key::ResourceDay(b, resource, day) => {
            (format!("BUSINESS#{b}#RESOURCE#{resource}"), format!("DAY#{day}"))
        }
        Key::Answer(b, hash) => (format!("BUSINESS#{b}#ANSWER#{hash}"), "ANSWER".to_owned()),
        Key::ApiKey(prefix) => (format!("KEY#{prefix}"), "KEY".to_owned()),
        Key::Message(b, booking, id) => (of_booking(b, booking), format!("MESSAGE#{id}")),
        Key::Check(b, booking, id) => (of_booking(b, booking), format!("CHECK#{id}")),
    }
}

fn client_key(business: &BusinessId, client: &ClientId) -> String {
    format!("BUSINESS#{business}#CLIENT#{client}")
}

fn key_row(key: &Key) -> Row {
    let (pk, sk) = pk_sk(key);
    HashMap::from([("pk".to_owned(), AttributeValue::S(pk)), ("sk".to_owned(), AttributeValue::S(sk))])
}

/// A write as a row: the item's own fields, its keys, its version, its place in the index, and when DynamoDB may forget it.
fn row(write: &Write) -> Result<Row, PortError> {
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
    if let Some(expires) = expires(&write.item) {
        row.insert("expires_epoch".to_owned(), AttributeValue::N(expires.as_second().to_string()));
    }
    Ok(row)
}

fn expires(item: &Item) -> Option<Timestamp> {
    match item {
        Item::Answer(answer) => Some(answer.expires_at),
        Item::Message(message) => message.due.checked_add(LEDGER_KEPT).ok(),
        Item::Check(check) => check.due.checked_add(LEDGER_KEPT).ok(),
        Item::ResourceDay(day) => {
            let midnight = day.day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
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
    /// One BatchGetItem over both tables, consistent. Keys that DynamoDB leaves unprocessed are asked for again, a little later each time.
    async fn read(&self, keys: Vec<Key>) -> Result<Vec<Stored>, PortError> {
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
            Kind::Tasks => "TASK#",
        };
        let pk = format!("BUSINESS#{business_id}");
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
            sk: SortKey::StartsWith(prefix.to_owned()),
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
        booking_id: &BookingId,
    ) -> Result<Vec<Stored>, PortError> {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let query = Query {
                table: &self.messages,
                index: None,
                pk: format!("BUSINESS#{business_id}#BOOKING#{booking_id}"),
                sk: SortKey::Any,
                after,
                limit: None,
            };
            let (rows, last) = self.query("reading a booking's ledger", query).await?;
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

impl ClientBookings for Tables {
    async fn bookings_of(
        &self,
        business_id: &BusinessId,
        client_id: &ClientId,
        from: Timestamp,
    ) -> Result<Vec<Participation>, PortError> {
        let operation = "finding a client's bookings";
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let query = Query {
                table: &self.bookings,
                index: Some("by_client"),
                pk: client_key(business_id, client_id),
                sk: SortKey::From(from.to_string()),
                after,
                limit: None,
            };
            let (rows, last) = self.query(operation, query).await?;
            for row in rows {
                match stored(row)?.item {
                    Item::Participation(part) if part.ahead => found.push(part),
                    Item::Participation(_) => {}
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

#[cfg(test)]
mod tests {
    use super::*;
    use app::ports::{Answer, ApiKey};

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
            Key::Message(b.clone(), "x".parse().unwrap(), "m".parse().unwrap()),
            Key::Check(b, "x".parse().unwrap(), "c".parse().unwrap()),
        ];
        let mut seen = std::collections::HashSet::new();
        for key in keys {
            let (pk, sk) = pk_sk(&key);
            assert!(pk == "BUSINESS#b1" || pk.starts_with("BUSINESS#b1#"), "{key:?} is at {pk}");
            assert!(seen.insert((pk, sk)), "{key:?} shares its place");
        }
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
        let written = row(&Write { item: item.clone(), expect: Expect::Version(4) }).unwrap();
        assert_eq!(written["entity"], AttributeValue::S("answer".into()));
        assert_eq!(written["expires_epoch"], AttributeValue::N("1795428000".into()));
        assert_eq!(stored(written).unwrap(), Stored { item, version: 5 });
    }

    #[test]
    fn the_stream_filter_of_the_template_speaks_of_entities_as_rows_do() {
        let template = include_str!("../../../template.yaml");
        assert!(template.contains(r#"{"dynamodb":{"NewImage":{"entity":{"S":["booking","client"]}}}}"#));
        let key = Item::ApiKey(ApiKey {
            prefix: "p".into(),
            secret_hash: "h".into(),
            business_id: "b".parse().unwrap(),
            created_at: Timestamp::UNIX_EPOCH,
        });
        let row = row(&Write { item: key, expect: Expect::Absent }).unwrap();
        assert_eq!(row["entity"], AttributeValue::S("api_key".into()));
    }
}
