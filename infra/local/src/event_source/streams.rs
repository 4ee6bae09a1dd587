//! DynamoDB Streams event source mappings
//! (<https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>).
//!
//! One reader follows every shard and hands the records to lanes. A lane is what Lambda calls a concurrent batch of a
//! shard: all records of one partition key pass through the same lane, in order, and a lane stands still while a
//! batch of its is tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::types::{AttributeValue, Record, ShardIteratorType};
use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::activity::{IDLE_POLL, Signal};
use crate::clock::Clock;
use crate::error::chain;
use crate::event_source::LastBatches;
use crate::event_source::batch_response::failed_items;
use crate::faults::Faults;
use crate::resources::Queues;
use crate::sandbox::{Function, Invocation, Outcome};
use crate::template::{REGION, StreamMapping};

/// Lambda does not say how long it waits between two tries; this keeps tests short.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);
/// How often a quiet stream is asked for new shards.
const SHARD_SEARCH: Duration = Duration::from_secs(60);
/// The reader pauses while this many batches' worth of records wait.
const WAITING_BATCHES: usize = 20;

/// Takes the records of one table's stream to one function.
#[derive(Debug)]
pub struct StreamPoller {
    /// The streams' client.
    pub streams: Client,
    /// The function.
    pub function: Arc<Function>,
    /// How batches are made and what happens when they fail.
    pub mapping: StreamMapping,
    /// The table's logical id.
    pub table: String,
    /// The table's partition key.
    pub partition_key: String,
    /// Who wakes this poller.
    pub signal: Arc<Signal>,
    /// Where records given up are reported.
    pub queues: Arc<Queues>,
    /// For delivering a batch again.
    pub last: Arc<LastBatches>,
    /// Faults that wait for a batch.
    pub faults: Arc<Faults>,
    /// The stack's time.
    pub clock: Arc<Clock>,
    /// Records read and not yet done with. Starts at 0.
    pub unfinished: AtomicUsize,
}

/// A record on its way.
#[derive(Debug, Clone, PartialEq)]
struct StreamRecord {
    shard: String,
    sequence: String,
    /// By the wall clock.
    written: Timestamp,
    /// The item's partition key, which decides its lane.
    key: String,
    event: Value,
}

/// A batch, or what is left of one, with the tries it has had.
#[derive(Debug, Clone, PartialEq)]
struct Batch {
    records: Vec<StreamRecord>,
    tries: u32,
}

/// What to do after a try.
#[derive(Debug, PartialEq)]
enum Next {
    Done,
    /// These, in this order.
    Retry(Vec<Batch>),
    GiveUp(Batch),
}

impl StreamPoller {
    /// Reads for ever.
    pub async fn run(self: Arc<Self>) {
        let lanes: Vec<mpsc::UnboundedSender<StreamRecord>> = (0..self.mapping.parallelization)
            .map(|_| {
                let (sender, receiver) = mpsc::unbounded_channel();
                tokio::spawn(Arc::clone(&self).run_lane(receiver));
                sender
            })
            .collect();
        let mut shards = Shards::default();
        loop {
            if let Err(problem) = self.read(&mut shards, &lanes).await {
                tracing::warn!(table = self.table, problem, "cannot read the stream");
                shards.reopen();
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }

    /// One look at every open shard.
    async fn read(
        &self,
        shards: &mut Shards,
        lanes: &[mpsc::UnboundedSender<StreamRecord>],
    ) -> Result<(), String> {
        if self.unfinished.load(Ordering::SeqCst) >= self.mapping.batch_size * WAITING_BATCHES {
            self.signal.rest(IDLE_POLL).await;
            return Ok(());
        }
        let asked = self.signal.looking();
        shards.find(self).await?;
        let mut found = 0;
        for shard in shards.open.keys().cloned().collect::<Vec<_>>() {
            let Some(iterator) = shards.open.get(&shard).cloned() else { continue };
            let page = self
                .streams
                .get_records()
                .shard_iterator(iterator)
                .send()
                .await
                .map_err(|error| chain(&error))?;
            for record in page.records.unwrap_or_default() {
                found += 1;
                let record = stream_record(
                    &shard,
                    &record,
                    &self.partition_key,
                    &self.mapping.stream_arn,
                    &self.clock,
                );
                shards.last_read.insert(shard.clone(), record.sequence.clone());
                if !self.mapping.filter.matches(&record.event) {
                    continue;
                }
                self.unfinished.fetch_add(1, Ordering::SeqCst);
                if let Some(lane) = lanes.get(lane_of(&record.key, lanes.len())) {
                    // A lane ends only with the program.
                    let _ = lane.send(record);
                }
            }
            match page.next_shard_iterator {
                Some(iterator) => {
                    shards.open.insert(shard, iterator);
                }
                None => shards.close(&shard),
            }
        }
        if found == 0 {
            if self.unfinished.load(Ordering::SeqCst) == 0 {
                self.signal.found_nothing(asked);
            }
            self.signal.rest(IDLE_POLL).await;
        }
        Ok(())
    }

    async fn run_lane(self: Arc<Self>, mut records: mpsc::UnboundedReceiver<StreamRecord>) {
        while let Some(first) = records.recv().await {
            let end = tokio::time::Instant::now() + self.mapping.window;
            let mut batch = vec![first];
            while batch.len() < self.mapping.batch_size {
                let next = match records.try_recv() {
                    Ok(record) => Some(record),
                    Err(_) if self.mapping.window.is_zero() => None,
                    Err(_) => tokio::select! {
                        next = records.recv() => next,
                        () = tokio::time::sleep_until(end) => None,
                        () = self.signal.hurried() => None,
                    },
                };
                match next {
                    Some(record) => batch.push(record),
                    None => break,
                }
            }
            let count = batch.len();
            self.deliver(batch).await;
            self.unfinished.fetch_sub(count, Ordering::SeqCst);
            self.signal.wake();
        }
    }

    /// Delivers a batch until every record of it was handled or given up.
    async fn deliver(&self, records: Vec<StreamRecord>) {
        let mut records = records;
        if self.faults.take_shuffle(&self.function.spec.name) {
            records = out_of_order(records);
            self.invoke(&records).await;
        }
        // The next one last.
        let mut todo = vec![Batch { records, tries: 0 }];
        let mut backoff = FIRST_BACKOFF;
        while let Some(batch) = todo.pop() {
            let (expired, batch) = self.split_expired(batch);
            if !expired.records.is_empty() {
                self.give_up(&expired, "RecordAgeExceeded", None).await;
            }
            if batch.records.is_empty() {
                continue;
            }
            let invocation = self.invoke(&batch.records).await;
            match next(&self.mapping, batch, &invocation.outcome) {
                Next::Done => backoff = FIRST_BACKOFF,
                Next::Retry(batches) => {
                    tokio::time::sleep(backoff).await;
                    backoff = LONGEST_BACKOFF.min(backoff * 2);
                    todo.extend(batches.into_iter().rev());
                }
                Next::GiveUp(batch) => {
                    self.give_up(&batch, "RetryAttemptsExhausted", Some(&invocation)).await;
                    backoff = FIRST_BACKOFF;
                }
            }
        }
    }

    async fn invoke(&self, records: &[StreamRecord]) -> Invocation {
        let events: Vec<&Value> = records.iter().map(|record| &record.event).collect();
        let event = Bytes::from(json!({ "Records": events }).to_string());
        self.last.remember(&self.table, &self.function, &event);
        self.function.invoke(event).await
    }

    fn split_expired(&self, batch: Batch) -> (Batch, Batch) {
        let Some(max_age) = self.mapping.max_age.and_then(|age| SignedDuration::try_from(age).ok()) else {
            return (Batch { records: Vec::new(), tries: batch.tries }, batch);
        };
        let horizon = self.clock.wall() - max_age;
        let (expired, live) = batch.records.into_iter().partition(|record| record.written < horizon);
        (Batch { records: expired, tries: batch.tries }, Batch { records: live, tries: batch.tries })
    }

    async fn give_up(&self, batch: &Batch, condition: &str, invocation: Option<&Invocation>) {
        tracing::warn!(
            function = self.function.spec.name,
            records = batch.records.len(),
            condition,
            "gave up on stream records"
        );
        let Some(queue) = &self.mapping.on_failure else { return };
        let Some(report) = failure_report(
            &self.function.spec.arn,
            &self.mapping.stream_arn,
            batch,
            condition,
            invocation,
            &self.clock,
        ) else {
            return;
        };
        if let Err(problem) = self.queues.send_to_arn(queue, report.to_string()).await {
            tracing::error!(queue, problem, "cannot report stream records given up");
        }
    }
}

/// Where the reader stands in each shard.
#[derive(Debug, Default)]
struct Shards {
    /// Iterators of the shards being read.
    open: BTreeMap<String, String>,
    closed: BTreeSet<String>,
    /// Sequence numbers from which to go on if the iterators are lost.
    last_read: BTreeMap<String, String>,
    searched: Option<tokio::time::Instant>,
}

impl Shards {
    /// Gets new iterators at the next search.
    fn reopen(&mut self) {
        self.open.clear();
        self.searched = None;
    }

    fn close(&mut self, shard: &str) {
        self.open.remove(shard);
        self.closed.insert(shard.to_owned());
        self.searched = None;
    }

    /// Opens shards that are new and whose parent has been read to its end.
    async fn find(&mut self, poller: &StreamPoller) -> Result<(), String> {
        if self.searched.is_some_and(|searched| searched.elapsed() < SHARD_SEARCH) {
            return Ok(());
        }
        let mut known = Vec::new();
        let mut from = None;
        loop {
            let described = poller
                .streams
                .describe_stream()
                .stream_arn(&poller.mapping.stream_arn)
                .set_exclusive_start_shard_id(from.take())
                .send()
                .await
                .map_err(|error| chain(&error))?;
            let Some(description) = described.stream_description else { break };
            known.extend(description.shards.unwrap_or_default());
            from = description.last_evaluated_shard_id;
            if from.is_none() {
                break;
            }
        }
        let ids: BTreeSet<String> = known.iter().filter_map(|shard| shard.shard_id.clone()).collect();
        for shard in known {
            let Some(id) = shard.shard_id else { continue };
            let parent_unread = shard
                .parent_shard_id
                .is_some_and(|parent| ids.contains(&parent) && !self.closed.contains(&parent));
            if self.open.contains_key(&id) || self.closed.contains(&id) || parent_unread {
                continue;
            }
            let request =
                poller.streams.get_shard_iterator().stream_arn(&poller.mapping.stream_arn).shard_id(&id);
            let request = match self.last_read.get(&id) {
                Some(sequence) => request
                    .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                    .sequence_number(sequence),
                None => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
            };
            let answer = request.send().await.map_err(|error| {
                // The record may be gone; then the oldest that is left is next.
                self.last_read.remove(&id);
                chain(&error)
            })?;
            if let Some(iterator) = answer.shard_iterator {
                self.open.insert(id, iterator);
            }
        }
        self.searched = Some(tokio::time::Instant::now());
        Ok(())
    }
}

/// Lambda's rules for a batch after a try.
///
/// A partial failure sets the checkpoint at the lowest failed record; what is before it is done. A failed batch is
/// halved if the mapping says so, which costs no try. Otherwise the batch is tried again until its tries are used up.
fn next(mapping: &StreamMapping, batch: Batch, outcome: &Outcome) -> Next {
    let failed_from = match outcome {
        Outcome::Ok(answer) if mapping.report_failures => {
            let sequences: Vec<&str> = batch.records.iter().map(|record| record.sequence.as_str()).collect();
            match failed_items(answer, &sequences) {
                Ok(failed) => match failed.first() {
                    Some(first) => Some(*first),
                    None => return Next::Done,
                },
                Err(_) => None,
            }
        }
        Outcome::Ok(_) => return Next::Done,
        _ => None,
    };
    let Batch { mut records, tries } = batch;
    match failed_from {
        Some(checkpoint) if checkpoint > 0 => {
            let left = records.split_off(checkpoint);
            Next::Retry(vec![Batch { records: left, tries: 0 }])
        }
        None if mapping.bisect && records.len() > 1 => {
            let second = records.split_off(records.len() / 2);
            Next::Retry(vec![Batch { records, tries }, Batch { records: second, tries }])
        }
        _ if mapping.retries.is_some_and(|retries| tries >= retries) => {
            Next::GiveUp(Batch { records, tries: tries + 1 })
        }
        _ => Next::Retry(vec![Batch { records, tries: tries + 1 }]),
    }
}

/// The records with those of the last key first: each key in order, the keys not among each other.
fn out_of_order(records: Vec<StreamRecord>) -> Vec<StreamRecord> {
    let mut by_key: Vec<(String, Vec<StreamRecord>)> = Vec::new();
    for record in records {
        match by_key.iter_mut().find(|(key, _)| *key == record.key) {
            Some((_, records)) => records.push(record),
            None => by_key.push((record.key.clone(), vec![record])),
        }
    }
    by_key.into_iter().rev().flat_map(|(_, records)| records).collect()
}

fn lane_of(key: &str, lanes: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    usize::try_from(hasher.finish() % lanes.max(1) as u64).unwrap_or(0)
}

/// What the on-failure queue gets:
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>.
fn failure_report(
    function_arn: &str,
    stream_arn: &str,
    batch: &Batch,
    condition: &str,
    invocation: Option<&Invocation>,
    clock: &Clock,
) -> Option<Value> {
    let (first, last) = (batch.records.first()?, batch.records.last()?);
    let mut report = json!({
        "requestContext": {
            "requestId": invocation.map_or_else(String::new, |invocation| invocation.request_id.clone()),
            "functionArn": function_arn,
            "condition": condition,
            "approximateInvokeCount": batch.tries,
        },
        "version": "1.0",
        "timestamp": clock.now().to_string(),
        "DDBStreamBatchInfo": {
            "shardId": first.shard,
            "startSequenceNumber": first.sequence,
            "endSequenceNumber": last.sequence,
            "approximateArrivalOfFirstRecord": clock.at(first.written).to_string(),
            "approximateArrivalOfLastRecord": clock.at(last.written).to_string(),
            "batchSize": batch.records.len(),
            "streamArn": stream_arn,
        },
    });
    if let (Some(invocation), Some(fields)) = (invocation, report.as_object_mut()) {
        let mut response = json!({"statusCode": 200, "executedVersion": "$LATEST"});
        if invocation.outcome.answer().is_none() {
            response["functionError"] = json!("Unhandled");
        }
        fields.insert("responseContext".to_owned(), response);
    }
    Some(report)
}

/// A record as Lambda shows it:
/// <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html#events-sample-dynamodb>.
fn stream_record(
    shard: &str,
    record: &Record,
    partition_key: &str,
    stream_arn: &str,
    clock: &Clock,
) -> StreamRecord {
    let mut change = Map::new();
    let mut written = clock.wall();
    let mut sequence = String::new();
    let mut key = String::new();
    if let Some(data) = &record.dynamodb {
        if let Some(created) = &data.approximate_creation_date_time {
            written = Timestamp::new(created.secs(), 0).unwrap_or(written);
            change.insert("ApproximateCreationDateTime".to_owned(), json!(clock.at(written).as_second()));
        }
        for (name, image) in
            [("Keys", &data.keys), ("NewImage", &data.new_image), ("OldImage", &data.old_image)]
        {
            if let Some(image) = image {
                change.insert(name.to_owned(), item(image));
            }
        }
        key = change.get("Keys").map_or_else(String::new, |keys| keys[partition_key].to_string());
        if let Some(number) = &data.sequence_number {
            sequence.clone_from(number);
            change.insert("SequenceNumber".to_owned(), json!(number));
        }
        if let Some(size) = data.size_bytes {
            change.insert("SizeBytes".to_owned(), json!(size));
        }
        if let Some(view) = &data.stream_view_type {
            change.insert("StreamViewType".to_owned(), json!(view.as_str()));
        }
    }
    let mut event = json!({
        "eventID": record.event_id,
        "eventName": record.event_name.as_ref().map(|name| name.as_str()),
        "eventVersion": record.event_version,
        "eventSource": record.event_source.as_deref().unwrap_or("aws:dynamodb"),
        "awsRegion": REGION,
        "dynamodb": change,
        "eventSourceARN": stream_arn,
    });
    if let (Some(who), Some(fields)) = (&record.user_identity, event.as_object_mut()) {
        let identity = json!({"principalId": who.principal_id, "type": who.r#type});
        fields.insert("userIdentity".to_owned(), identity);
    }
    StreamRecord { shard: shard.to_owned(), sequence, written, key, event }
}

fn item<'a>(attributes: impl IntoIterator<Item = (&'a String, &'a AttributeValue)>) -> Value {
    Value::Object(attributes.into_iter().map(|(name, value)| (name.clone(), attribute(value))).collect())
}

/// DynamoDB's JSON of a value.
fn attribute(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::Bool(flag) => json!({ "BOOL": flag }),
        AttributeValue::Null(flag) => json!({ "NULL": flag }),
        AttributeValue::B(bytes) => json!({ "B": STANDARD.encode(bytes) }),
        AttributeValue::Ss(texts) => json!({ "SS": texts }),
        AttributeValue::Ns(numbers) => json!({ "NS": numbers }),
        AttributeValue::Bs(many) => {
            json!({ "BS": many.iter().map(|bytes| STANDARD.encode(bytes)).collect::<Vec<_>>() })
        }
        AttributeValue::L(values) => json!({ "L": values.iter().map(attribute).collect::<Vec<_>>() }),
        AttributeValue::M(fields) => json!({ "M": item(fields) }),
        // The enum may grow; a value of a kind that does not exist yet cannot be in a local table.
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_source::filter::Filter;
    use aws_sdk_dynamodbstreams::primitives::DateTime;
    use aws_sdk_dynamodbstreams::types::{OperationType, StreamRecord as Change, StreamViewType};

    fn mapping(retries: u32, bisect: bool) -> StreamMapping {
        StreamMapping {
            stream_arn: "arn:stream".to_owned(),
            batch_size: 100,
            window: Duration::ZERO,
            parallelization: 1,
            retries: Some(retries),
            max_age: None,
            bisect,
            report_failures: true,
            filter: Filter::default(),
            on_failure: None,
        }
    }

    fn batch(sequences: &[&str], tries: u32) -> Batch {
        let record = |sequence: &&str| StreamRecord {
            shard: "s".to_owned(),
            sequence: (*sequence).to_owned(),
            written: Timestamp::UNIX_EPOCH,
            key: format!("key {}", &sequence[..1]),
            event: Value::Null,
        };
        Batch { records: sequences.iter().map(record).collect(), tries }
    }

    fn reported(sequence: &str) -> Outcome {
        Outcome::Ok(json!({"batchItemFailures": [{"itemIdentifier": sequence}]}).to_string().into())
    }

    fn crash() -> Outcome {
        Outcome::Crash(Bytes::new())
    }

    #[test]
    fn a_success_is_done() {
        assert_eq!(next(&mapping(10, true), batch(&["1"], 0), &Outcome::Ok("{}".into())), Next::Done);
    }

    #[test]
    fn a_partial_failure_goes_on_from_the_lowest_failed_record() {
        let after = next(&mapping(10, true), batch(&["1", "2", "3"], 4), &reported("2"));
        assert_eq!(after, Next::Retry(vec![batch(&["2", "3"], 0)]));
    }

    #[test]
    fn a_failure_of_the_first_record_costs_a_try() {
        let after = next(&mapping(10, true), batch(&["1", "2"], 4), &reported("1"));
        assert_eq!(after, Next::Retry(vec![batch(&["1", "2"], 5)]));
    }

    #[test]
    fn an_error_halves_the_batch_at_no_cost() {
        let after = next(&mapping(10, true), batch(&["1", "2", "3"], 4), &crash());
        assert_eq!(after, Next::Retry(vec![batch(&["1"], 4), batch(&["2", "3"], 4)]));
    }

    #[test]
    fn without_bisection_the_whole_batch_is_tried_again() {
        let after = next(&mapping(10, false), batch(&["1", "2"], 0), &crash());
        assert_eq!(after, Next::Retry(vec![batch(&["1", "2"], 1)]));
    }

    #[test]
    fn a_record_is_given_up_when_its_tries_are_used() {
        let after = next(&mapping(2, true), batch(&["1"], 2), &crash());
        assert_eq!(after, Next::GiveUp(batch(&["1"], 3)));
    }

    #[test]
    fn an_unknown_identifier_fails_the_whole_batch() {
        let after = next(&mapping(10, false), batch(&["1", "2"], 0), &reported("99"));
        assert_eq!(after, Next::Retry(vec![batch(&["1", "2"], 1)]));
    }

    #[test]
    fn out_of_order_keeps_each_key_in_order() {
        let shuffled = out_of_order(batch(&["a1", "b1", "a2", "c1"], 0).records);
        let order: Vec<&str> = shuffled.iter().map(|record| record.sequence.as_str()).collect();
        assert_eq!(order, ["c1", "b1", "a1", "a2"]);
    }

    #[test]
    fn the_record_is_shaped_as_lambda_shapes_it() {
        let change = Change::builder()
            .approximate_creation_date_time(DateTime::from_secs(1_479_499_740))
            .keys("pk", AttributeValue::S("b#1".to_owned()))
            .new_image("pk", AttributeValue::S("b#1".to_owned()))
            .new_image(
                "n",
                AttributeValue::L(vec![AttributeValue::N("1".to_owned()), AttributeValue::Null(true)]),
            )
            .sequence_number("111")
            .size_bytes(26)
            .stream_view_type(StreamViewType::NewAndOldImages)
            .build();
        let record = Record::builder()
            .event_id("c4ca")
            .event_name(OperationType::Insert)
            .event_version("1.1")
            .event_source("aws:dynamodb")
            .dynamodb(change)
            .build();
        let record = stream_record("shard", &record, "pk", "arn:stream", &Clock::default());
        assert_eq!(record.key, r#"{"S":"b#1"}"#);
        assert_eq!(
            record.event,
            json!({
                "eventID": "c4ca",
                "eventName": "INSERT",
                "eventVersion": "1.1",
                "eventSource": "aws:dynamodb",
                "awsRegion": "us-east-1",
                "dynamodb": {
                    "ApproximateCreationDateTime": 1_479_499_740,
                    "Keys": {"pk": {"S": "b#1"}},
                    "NewImage": {"pk": {"S": "b#1"}, "n": {"L": [{"N": "1"}, {"NULL": true}]}},
                    "SequenceNumber": "111",
                    "SizeBytes": 26,
                    "StreamViewType": "NEW_AND_OLD_IMAGES",
                },
                "eventSourceARN": "arn:stream",
            })
        );
    }

    #[test]
    fn the_on_failure_queue_gets_lambda_s_report() {
        let invocation = Invocation { request_id: "req".to_owned(), outcome: crash(), wrote: false };
        let report = failure_report(
            "arn:f",
            "arn:stream",
            &batch(&["1", "2"], 3),
            "RetryAttemptsExhausted",
            Some(&invocation),
            &Clock::default(),
        )
        .unwrap();
        assert_eq!(report["requestContext"]["approximateInvokeCount"], 3);
        assert_eq!(report["responseContext"]["functionError"], "Unhandled");
        let info = &report["DDBStreamBatchInfo"];
        assert_eq!((&info["startSequenceNumber"], &info["endSequenceNumber"]), (&json!("1"), &json!("2")));
        assert_eq!(info["batchSize"], 2);
    }
}
