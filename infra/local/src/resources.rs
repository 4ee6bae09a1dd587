//! Creates the template's tables, queues and buckets in the data services.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType, TimeToLiveSpecification,
};
use aws_sdk_sqs::types::QueueAttributeName;
use axum::body::Bytes;
use axum::http::{Request, StatusCode};
use futures::future::BoxFuture;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde_json::json;

use crate::activity::{Activity, Sources};
use crate::error::{StackError, chain};
use crate::event_source::visibility::queue_name;
use crate::services::QueueSender;
use crate::template::{Index, Queue, REGION, Table};

/// Creates a bucket in the data services at `authority`, or finds it there: one request, for which no SDK is needed.
///
/// # Errors
/// It is refused.
pub async fn create_bucket(authority: &str, name: &str) -> Result<(), StackError> {
    let refused =
        |error: String| StackError::aws(format!("create bucket {name}"), std::io::Error::other(error));
    let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::put(format!("http://{authority}/{name}")).body(Full::default());
    let answer = client.request(request.map_err(|error| refused(error.to_string()))?).await;
    let status = answer.map_err(|error| refused(error.to_string()))?.status();
    if status.is_success() || status == StatusCode::CONFLICT {
        Ok(())
    } else {
        Err(refused(status.to_string()))
    }
}

/// The SDK clients of the stack itself.
#[derive(Debug, Clone)]
pub struct Clients {
    /// Tables.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Their streams.
    pub streams: aws_sdk_dynamodbstreams::Client,
    /// Queues.
    pub sqs: aws_sdk_sqs::Client,
}

impl Clients {
    /// Clients of the data services at `authority` (`127.0.0.1:4602`), over plain HTTP.
    pub fn new(authority: &str) -> Self {
        let endpoint = format!("http://{authority}");
        let http = aws_smithy_http_client::Builder::new().build_http();
        macro_rules! client {
            ($sdk:ident) => {
                $sdk::Client::from_conf(
                    $sdk::Config::builder()
                        .behavior_version($sdk::config::BehaviorVersion::v2026_01_12())
                        .region($sdk::config::Region::from_static(REGION))
                        .credentials_provider($sdk::config::Credentials::new(
                            "test", "test", None, None, "local",
                        ))
                        .endpoint_url(&endpoint)
                        .http_client(http.clone())
                        .build(),
                )
            };
        }
        Self {
            dynamodb: client!(aws_sdk_dynamodb),
            streams: client!(aws_sdk_dynamodbstreams),
            sqs: client!(aws_sdk_sqs),
        }
    }

    /// Creates a table unless it is there, and tells its stream's ARN.
    ///
    /// # Errors
    /// DynamoDB refuses it.
    pub async fn create_table(&self, table: &Table) -> Result<Option<String>, StackError> {
        let what = || format!("create table {}", table.name);
        let build = |error: aws_sdk_dynamodb::error::BuildError| StackError::aws(what(), error);
        let attributes = table
            .attributes
            .iter()
            .map(|(name, kind)| {
                AttributeDefinition::builder()
                    .attribute_name(name)
                    .attribute_type(ScalarAttributeType::from(kind.as_str()))
                    .build()
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(build)?;
        let indexes = table.indexes.iter().map(global_index).collect::<Result<Vec<_>, _>>().map_err(build)?;
        let stream = table
            .stream_view
            .as_deref()
            .map(|view| {
                StreamSpecification::builder()
                    .stream_enabled(true)
                    .stream_view_type(StreamViewType::from(view))
                    .build()
            })
            .transpose()
            .map_err(build)?;
        let created = self
            .dynamodb
            .create_table()
            .table_name(&table.name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_attribute_definitions(Some(attributes))
            .set_key_schema(Some(key_schema(&table.keys).map_err(build)?))
            .set_global_secondary_indexes((!indexes.is_empty()).then_some(indexes))
            .set_stream_specification(stream)
            .send()
            .await;
        match created {
            Ok(_) => self.set_time_to_live(table).await?,
            Err(error)
                if error.as_service_error().is_some_and(|error| error.is_resource_in_use_exception()) => {}
            Err(error) => return Err(StackError::aws(what(), error)),
        }
        let described = self
            .dynamodb
            .describe_table()
            .table_name(&table.name)
            .send()
            .await
            .map_err(|error| StackError::aws(format!("describe table {}", table.name), error))?;
        Ok(described.table.and_then(|table| table.latest_stream_arn))
    }

    async fn set_time_to_live(&self, table: &Table) -> Result<(), StackError> {
        let Some(attribute) = &table.ttl_attribute else { return Ok(()) };
        let what = || format!("set time to live of {}", table.name);
        let specification = TimeToLiveSpecification::builder()
            .attribute_name(attribute)
            .enabled(true)
            .build()
            .map_err(|error| StackError::aws(what(), error))?;
        self.dynamodb
            .update_time_to_live()
            .table_name(&table.name)
            .time_to_live_specification(specification)
            .send()
            .await
            .map_err(|error| StackError::aws(what(), error))?;
        Ok(())
    }

    /// Creates a queue, or gives one that is there the template's settings, and tells its URL. The queue it redrives to
    /// must exist.
    ///
    /// # Errors
    /// SQS refuses it.
    pub async fn create_queue(&self, queue: &Queue) -> Result<String, StackError> {
        let created = self
            .sqs
            .create_queue()
            .queue_name(&queue.name)
            .send()
            .await
            .map_err(|error| StackError::aws(format!("create queue {}", queue.name), error))?;
        let url = created.queue_url.unwrap_or_default();
        let mut settings = self
            .sqs
            .set_queue_attributes()
            .queue_url(&url)
            .attributes(QueueAttributeName::VisibilityTimeout, queue.visibility_timeout.to_string())
            .attributes(QueueAttributeName::MessageRetentionPeriod, queue.retention.to_string());
        if let Some((max_receive_count, dead_letter_queue)) = &queue.redrive {
            let policy = json!({
                "deadLetterTargetArn": dead_letter_queue,
                "maxReceiveCount": max_receive_count,
            });
            settings = settings.attributes(QueueAttributeName::RedrivePolicy, policy.to_string());
        }
        settings
            .send()
            .await
            .map_err(|error| StackError::aws(format!("set up queue {}", queue.name), error))?;
        Ok(url)
    }
}

fn global_index(index: &Index) -> Result<GlobalSecondaryIndex, aws_sdk_dynamodb::error::BuildError> {
    let projection = Projection::builder()
        .projection_type(ProjectionType::from(index.projection.as_str()))
        .set_non_key_attributes((!index.projected.is_empty()).then(|| index.projected.clone()))
        .build();
    GlobalSecondaryIndex::builder()
        .index_name(&index.name)
        .set_key_schema(Some(key_schema(&index.keys)?))
        .projection(projection)
        .build()
}

fn key_schema(
    keys: &[(String, String)],
) -> Result<Vec<KeySchemaElement>, aws_sdk_dynamodb::error::BuildError> {
    keys.iter()
        .map(|(name, kind)| {
            KeySchemaElement::builder().attribute_name(name).key_type(KeyType::from(kind.as_str())).build()
        })
        .collect()
}

/// How full a queue is.
#[derive(Debug, Clone, Serialize)]
pub struct Depth {
    /// Messages that can be received.
    pub visible: u64,
    /// Messages received and not deleted: in flight, or waiting for their next delivery.
    pub hidden: u64,
    /// Messages sent with a delay that has not ended.
    pub delayed: u64,
    /// The queue that takes what cannot be delivered, by logical id.
    pub dead_letter_queue: Option<String>,
}

/// The queues of the template, once they exist.
#[derive(Debug)]
pub struct Queues {
    sqs: aws_sdk_sqs::Client,
    /// By logical id, with the URL.
    known: BTreeMap<String, (Queue, String)>,
    sources: Arc<Sources>,
    activity: Arc<Activity>,
}

impl Queues {
    /// The created queues.
    pub fn new(
        sqs: aws_sdk_sqs::Client,
        created: Vec<(Queue, String)>,
        sources: Arc<Sources>,
        activity: Arc<Activity>,
    ) -> Self {
        let known =
            created.into_iter().map(|(queue, url)| (queue.logical_id.clone(), (queue, url))).collect();
        Self { sqs, known, sources, activity }
    }

    /// Every queue's URL by logical id.
    pub fn urls(&self) -> BTreeMap<String, String> {
        self.known.iter().map(|(id, (_, url))| (id.clone(), url.clone())).collect()
    }

    /// The queue with this ARN, and its URL.
    pub fn by_arn(&self, arn: &str) -> Option<&(Queue, String)> {
        self.known.values().find(|(queue, _)| queue.arn == arn)
    }

    /// Sends `body` to the queue `logical_id`.
    ///
    /// # Errors
    /// There is no such queue, or SQS refuses the message.
    pub async fn send(&self, logical_id: &str, body: String) -> Result<(), String> {
        let (queue, url) =
            self.known.get(logical_id).ok_or_else(|| format!("there is no queue {logical_id}"))?;
        self.sqs
            .send_message()
            .queue_url(url)
            .message_body(body)
            .send()
            .await
            .map_err(|error| format!("send to {}: {}", queue.name, chain(&error)))?;
        self.activity.changed();
        self.sources.queue_written(&queue.name);
        Ok(())
    }

    /// Like [`Queues::send`], by ARN.
    ///
    /// # Errors
    /// See [`Queues::send`].
    pub async fn send_to_arn(&self, arn: &str, body: String) -> Result<(), String> {
        let (queue, _) = self.by_arn(arn).ok_or_else(|| format!("there is no queue {arn}"))?;
        self.send(&queue.logical_id, body).await
    }

    /// How full each queue is, by logical id.
    ///
    /// # Errors
    /// SQS does not answer.
    pub async fn depths(&self) -> Result<BTreeMap<String, Depth>, String> {
        let mut depths = BTreeMap::new();
        for (id, (queue, url)) in &self.known {
            let answer = self
                .sqs
                .get_queue_attributes()
                .queue_url(url)
                .attribute_names(QueueAttributeName::All)
                .send()
                .await
                .map_err(|error| format!("look at {}: {}", queue.name, chain(&error)))?;
            let attributes = answer.attributes.unwrap_or_default();
            let count = |name| attributes.get(&name).and_then(|count| count.parse().ok()).unwrap_or(0);
            let dead_letter_queue = queue.redrive.as_ref().and_then(|(_, arn)| self.by_arn(arn));
            let depth = Depth {
                visible: count(QueueAttributeName::ApproximateNumberOfMessages),
                hidden: count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
                delayed: count(QueueAttributeName::ApproximateNumberOfMessagesDelayed),
                dead_letter_queue: dead_letter_queue.map(|(queue, _)| queue.logical_id.clone()),
            };
            depths.insert(id.clone(), depth);
        }
        Ok(depths)
    }

    /// Up to ten visible messages of a queue, left where they are: their id and body. Looking counts as a reception.
    ///
    /// # Errors
    /// There is no such queue, or SQS does not answer.
    pub async fn peek(&self, logical_id: &str) -> Result<Vec<(String, String)>, String> {
        let (queue, url) =
            self.known.get(logical_id).ok_or_else(|| format!("there is no queue {logical_id}"))?;
        let received = self
            .sqs
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(10)
            .visibility_timeout(0)
            .send()
            .await
            .map_err(|error| format!("look into {}: {}", queue.name, chain(&error)))?;
        let messages = received.messages.unwrap_or_default();
        Ok(messages
            .into_iter()
            .map(|message| (message.message_id.unwrap_or_default(), message.body.unwrap_or_default()))
            .collect())
    }

    /// Ends a message's hiding.
    ///
    /// # Errors
    /// SQS does not answer, or the message has been received or deleted meanwhile.
    pub async fn show(&self, url: &str, receipt: &str) -> Result<(), String> {
        self.sqs
            .change_message_visibility()
            .queue_url(url)
            .receipt_handle(receipt)
            .visibility_timeout(0)
            .send()
            .await
            .map_err(|error| format!("show a message of {}: {}", queue_name(url), chain(&error)))?;
        Ok(())
    }
}

impl QueueSender for Queues {
    fn send(&self, queue_arn: &str, body: String) -> BoxFuture<'_, Result<(), String>> {
        let queue_arn = queue_arn.to_owned();
        Box::pin(async move { self.send_to_arn(&queue_arn, body).await })
    }
}
