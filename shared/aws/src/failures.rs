//! What the stream brought and could not be planned: our own notes of it, Lambda's reports, the stream they are about, and how it is brought
//! again.

use app::offer_slot::Freed;
#[cfg(feature = "streams")]
use app::ports::Item;
use app::ports::{Key, PortError, SetAside};
use serde::{Deserialize, Serialize};

use crate::tables::pk_sk;

/// A note in `StreamFailures` of what can never be planned as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// What.
    #[serde(flatten)]
    pub about: About,
    /// Why not.
    pub why: String,
}

impl Note {
    /// Sets it aside.
    ///
    /// # Errors
    /// Neither could it be.
    pub async fn set_aside(&self, failures: &impl SetAside) -> Result<(), PortError> {
        let text = serde_json::to_string(self).map_err(|error| PortError::Permanent {
            operation: "setting a failure aside",
            source: error.into(),
        })?;
        failures.set_aside(text).await
    }
}

/// What was not planned, or not offered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// An item of `Bookings`, by its key.
    Item {
        /// Its partition key.
        pk: String,
        /// Its sort key.
        sk: String,
    },
    /// A time that came free.
    Freed(Freed),
}

impl About {
    /// About the item at a key.
    pub fn item(key: &Key) -> Self {
        let (pk, sk) = pk_sk(key);
        About::Item { pk, sk }
    }
}

/// What lies in `StreamFailures`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Our own note.
    Note(Note),
    /// Lambda's report that a batch was given up after all retries: only where in the stream it is.
    Batch(Batch),
}

/// Where in a stream a batch is.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Batch {
    /// The stream.
    pub stream_arn: String,
    /// The shard in it.
    pub shard_id: String,
    /// Its first record.
    pub start_sequence_number: String,
    /// Its last record.
    pub end_sequence_number: String,
}

impl Failure {
    /// Reads a letter's body. `None` when it is neither.
    pub fn parse(body: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Report {
            #[serde(rename = "DDBStreamBatchInfo")]
            batch: Batch,
        }
        let note = serde_json::from_str(body).ok().map(Failure::Note);
        note.or_else(|| Some(Failure::Batch(serde_json::from_str::<Report>(body).ok()?.batch)))
    }
}

/// What a change of an item calls for: the item itself is to be planned, and a time that it gave up is to be offered.
#[cfg(feature = "streams")]
fn calls_for(pk: String, sk: String, before: Option<Item>, after: Option<Item>) -> Vec<About> {
    let given_up = match (&before, &after) {
        (Some(Item::Booking(before)), Some(Item::Booking(after))) => app::offer_slot::freed(before, after),
        _ => None,
    };
    let mut about = vec![About::Item { pk, sk }];
    about.extend(given_up.map(About::Freed));
    about
}

/// Sequence numbers are numbers of any length.
#[cfg(any(feature = "streams", test))]
fn in_order(number: &str) -> (usize, &str) {
    let number = number.trim_start_matches('0');
    (number.len(), number)
}

/// How many pages without a record are read before a batch is taken for gone.
#[cfg(feature = "streams")]
const EMPTY_PAGES: u32 = 20;

/// Reads again what a batch was about, as long as the stream has it: 24 hours. Needs `dynamodb:GetShardIterator` and `dynamodb:GetRecords`.
///
/// # Errors
/// [`PortError::Permanent`] when the stream has it no more.
#[cfg(feature = "streams")]
pub async fn read_batch(config: &aws_types::SdkConfig, batch: &Batch) -> Result<Vec<About>, PortError> {
    use aws_sdk_dynamodbstreams::types::ShardIteratorType;
    let operation = "reading the stream again";
    let client = aws_sdk_dynamodbstreams::Client::new(config);
    let mut iterator = client
        .get_shard_iterator()
        .stream_arn(&batch.stream_arn)
        .shard_id(&batch.shard_id)
        .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
        .sequence_number(&batch.start_sequence_number)
        .send()
        .await
        .map_err(|error| crate::error::port_error(operation, error))?
        .shard_iterator;
    let end = in_order(&batch.end_sequence_number);
    let (mut found, mut empty) = (Vec::new(), 0);
    while let Some(at) = iterator.filter(|_| empty < EMPTY_PAGES) {
        let page = client.get_records().shard_iterator(at).send().await;
        let page = page.map_err(|error| crate::error::port_error(operation, error))?;
        iterator = page.next_shard_iterator;
        let records = page.records.unwrap_or_default();
        empty = if records.is_empty() { empty + 1 } else { 0 };
        for record in records.into_iter().filter_map(|record| record.dynamodb) {
            let number = record.sequence_number.unwrap_or_default();
            if in_order(&number) > end {
                return Ok(found);
            }
            let mut keys = record.keys.unwrap_or_default();
            let mut text = |name: &str| keys.remove(name).and_then(|value| value.as_s().ok().cloned());
            let (Some(pk), Some(sk)) = (text("pk"), text("sk")) else { continue };
            // An image that cannot be read may be why it failed; its item is brought again by its key.
            let image = |row: Option<_>| row.and_then(|row| serde_dynamo::from_item(row).ok());
            found.extend(calls_for(pk, sk, image(record.old_image), image(record.new_image)));
            if in_order(&number) == end {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_and_a_report_of_lambda_are_told_apart() {
        let key = Key::Occasion("b".parse().unwrap(), "o".parse().unwrap());
        let note = Note { about: About::item(&key), why: "it refers to nobody".to_owned() };
        let body = serde_json::to_string(&note).unwrap();
        assert_eq!(
            body,
            r#"{"item":{"pk":"BUSINESS#b#OCCASION#o","sk":"OCCASION"},"why":"it refers to nobody"}"#
        );
        assert_eq!(Failure::parse(&body), Some(Failure::Note(note)));

        // As Lambda's documentation shows it.
        let report = r#"{
            "requestContext": {
                "requestId": "316aa6d0-8154-xmpl-9af7-85d5f4a6bc81",
                "functionArn": "arn:aws:lambda:us-west-2:123456789012:function:myfunction",
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": 1
            },
            "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
            "version": "1.0",
            "timestamp": "2019-11-14T00:13:49.717Z",
            "DDBStreamBatchInfo": {
                "shardId": "shardId-00000001573689847184-864758bb",
                "startSequenceNumber": "800000000003126276362",
                "endSequenceNumber": "800000000003126276362",
                "approximateArrivalOfFirstRecord": "2019-11-14T00:13:19Z",
                "approximateArrivalOfLastRecord": "2019-11-14T00:13:19Z",
                "batchSize": 1,
                "streamArn": "arn:aws:dynamodb:us-west-2:123456789012:table/mytable/stream/2019-11-14T00:04:06.388"
            }
        }"#;
        let Some(Failure::Batch(batch)) = Failure::parse(report) else { panic!("not read") };
        assert_eq!(batch.shard_id, "shardId-00000001573689847184-864758bb");
        assert_eq!(batch.end_sequence_number, "800000000003126276362");
        assert_eq!(Failure::parse("no JSON at all"), None);
        assert_eq!(Failure::parse(r#"{"due":"message"}"#), None);
    }

    #[test]
    fn sequence_numbers_are_compared_as_numbers() {
        let mut numbers = ["100", "99", "0000000000000000000101", "4200000000005342100"];
        numbers.sort_by(|a, b| in_order(a).cmp(&in_order(b)));
        assert_eq!(numbers, ["99", "100", "0000000000000000000101", "4200000000005342100"]);
    }
}
