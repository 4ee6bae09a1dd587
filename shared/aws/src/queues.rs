//! Queues on SQS: where what is due arrives.

use app::ports::DueWhat;
#[cfg(feature = "sqs")]
use app::ports::{Due, DueDelivery, Enqueue, EnqueueDelivery, PortError, SetAside};
use domain::channel::Channel;

/// One value for each queue: their URLs, or their ARNs.
#[derive(Debug, Clone)]
pub struct PerQueue {
    /// Of the e-mail queue.
    pub email: String,
    /// Of the sms queue.
    pub sms: String,
    /// Of the push queue.
    pub push: String,
    /// Of the WhatsApp queue.
    pub whatsapp: String,
    /// Of the Telegram queue.
    pub telegram: String,
    /// Of the queue of assisted messages.
    pub assisted: String,
    /// Of the queue of attendance checks.
    pub check: String,
    /// Of the queue of campaigns.
    pub campaign: String,
}

impl PerQueue {
    /// The URLs of all, by the variables that the template gives to a function that queues.
    ///
    /// # Errors
    /// What `variable` says.
    pub fn urls<E>(variable: impl Fn(&'static str) -> Result<String, E>) -> Result<Self, E> {
        Ok(Self {
            email: variable("EMAIL_QUEUE_URL")?,
            sms: variable("SMS_QUEUE_URL")?,
            push: variable("PUSH_QUEUE_URL")?,
            whatsapp: variable("WHATSAPP_QUEUE_URL")?,
            telegram: variable("TELEGRAM_QUEUE_URL")?,
            assisted: variable("ASSISTED_QUEUE_URL")?,
            check: variable("CHECK_QUEUE_URL")?,
            campaign: variable("CAMPAIGN_QUEUE_URL")?,
        })
    }

    /// The ARNs of all, by the variables that the template gives to a function that sets timers for all.
    ///
    /// # Errors
    /// What `variable` says.
    pub fn arns<E>(variable: impl Fn(&'static str) -> Result<String, E>) -> Result<Self, E> {
        Ok(Self {
            email: variable("EMAIL_QUEUE_ARN")?,
            sms: variable("SMS_QUEUE_ARN")?,
            push: variable("PUSH_QUEUE_ARN")?,
            whatsapp: variable("WHATSAPP_QUEUE_ARN")?,
            telegram: variable("TELEGRAM_QUEUE_ARN")?,
            assisted: variable("ASSISTED_QUEUE_ARN")?,
            check: variable("CHECK_QUEUE_ARN")?,
            campaign: variable("CAMPAIGN_QUEUE_ARN")?,
        })
    }

    /// The ARNs that a delivering function knows: its own queue, in which what is held up comes again, and that of the checks.
    ///
    /// # Errors
    /// What `variable` says.
    pub fn of_delivery<E>(variable: impl Fn(&'static str) -> Result<String, E>) -> Result<Self, E> {
        Ok(Self { check: variable("CHECK_QUEUE_ARN")?, ..Self::only(variable("QUEUE_ARN")?) })
    }

    /// For a function that knows of one queue only.
    pub fn only(queue: String) -> Self {
        Self {
            email: queue.clone(),
            sms: queue.clone(),
            push: queue.clone(),
            whatsapp: queue.clone(),
            telegram: queue.clone(),
            assisted: queue.clone(),
            check: queue.clone(),
            campaign: queue,
        }
    }

    /// The value of the queue that `what` arrives in.
    pub(crate) fn of(&self, what: &DueWhat) -> &str {
        match what {
            DueWhat::Message { channel: Channel::Email, .. } => &self.email,
            DueWhat::Message { channel: Channel::Sms, .. } => &self.sms,
            DueWhat::Message { channel: Channel::Push, .. } => &self.push,
            DueWhat::Message { channel: Channel::Whatsapp, .. } => &self.whatsapp,
            DueWhat::Message { channel: Channel::Telegram, .. } => &self.telegram,
            DueWhat::Message { channel: Channel::Assisted, .. } => &self.assisted,
            DueWhat::Check { .. } => &self.check,
            DueWhat::Campaign { .. } => &self.campaign,
        }
    }
}

/// [`Enqueue`] on SQS. Needs `sqs:SendMessage` on the queues.
#[cfg(feature = "sqs")]
#[derive(Debug, Clone)]
pub struct Queues {
    client: aws_sdk_sqs::Client,
    urls: PerQueue,
}

#[cfg(feature = "sqs")]
impl Queues {
    /// The queues at these URLs.
    pub fn new(config: &aws_types::SdkConfig, urls: PerQueue) -> Self {
        Self { client: aws_sdk_sqs::Client::new(config), urls }
    }
}

#[cfg(feature = "sqs")]
impl Enqueue for Queues {
    async fn enqueue(&self, due: &Due, delay_seconds: u32) -> Result<(), PortError> {
        send(&self.client, self.urls.of(&due.what), due, delay_seconds).await
    }
}

/// Queues what is due, to arrive after a delay.
#[cfg(feature = "sqs")]
async fn send(
    client: &aws_sdk_sqs::Client,
    url: &str,
    due: &(impl serde::Serialize + Sync),
    delay_seconds: u32,
) -> Result<(), PortError> {
    let operation = "queueing what is due";
    let body = serde_json::to_string(due)
        .map_err(|error| PortError::Permanent { operation, source: error.into() })?;
    client
        .send_message()
        .queue_url(url)
        .message_body(body)
        .delay_seconds(i32::try_from(delay_seconds.min(900)).unwrap_or(900))
        .send()
        .await
        .map(|_| ())
        .map_err(|error| crate::error::port_error(operation, error))
}

/// [`EnqueueDelivery`] on the queue of webhooks. Needs `sqs:SendMessage` on it.
#[cfg(feature = "sqs")]
#[derive(Debug, Clone)]
pub struct WebhookQueue {
    client: aws_sdk_sqs::Client,
    url: String,
}

#[cfg(feature = "sqs")]
impl WebhookQueue {
    /// The queue at this URL.
    pub fn new(config: &aws_types::SdkConfig, url: String) -> Self {
        Self { client: aws_sdk_sqs::Client::new(config), url }
    }
}

#[cfg(feature = "sqs")]
impl EnqueueDelivery for WebhookQueue {
    async fn enqueue_delivery(&self, due: &DueDelivery, delay_seconds: u32) -> Result<(), PortError> {
        send(&self.client, &self.url, due, delay_seconds).await
    }
}

/// [`SetAside`] on an SQS queue. Needs `sqs:SendMessage` on it.
#[cfg(feature = "sqs")]
#[derive(Debug, Clone)]
pub struct Failures {
    client: aws_sdk_sqs::Client,
    url: String,
}

#[cfg(feature = "sqs")]
impl Failures {
    /// The queue at this URL.
    pub fn new(config: &aws_types::SdkConfig, url: String) -> Self {
        Self { client: aws_sdk_sqs::Client::new(config), url }
    }
}

#[cfg(feature = "sqs")]
impl SetAside for Failures {
    async fn set_aside(&self, what: String) -> Result<(), PortError> {
        let sent = self.client.send_message().queue_url(&self.url).message_body(what).send().await;
        sent.map(|_| ()).map_err(|error| crate::error::port_error("setting a failure aside", error))
    }
}
