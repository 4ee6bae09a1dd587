//! Text messages and push messages on SNS.

use std::collections::HashMap;
use std::sync::Mutex;

use app::ports::{Address, Outgoing, Provider, ProviderError, Receipt};
use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use aws_types::SdkConfig;
use domain::client::{Device, Platform};
use domain::message::Message;
use domain::subject::SubjectId;
use domain::template::Content;
use futures::future::join_all;
use serde_json::json;

use crate::connect::for_providers;
use crate::provider_error::{Api, classed, refused};

/// The most bytes of a push message that APNs and FCM take.
/// <https://developer.apple.com/documentation/usernotifications/generating-a-remote-notification>,
/// <https://firebase.google.com/docs/cloud-messaging/customize-messages/set-message-type>
const MAX_PAYLOAD: usize = 4096;

/// [`Provider`] for sms. Needs `sns:Publish` on `*`, since a phone number has no ARN.
#[derive(Debug, Clone)]
pub struct Sms {
    client: Client,
}

impl Sms {
    /// Sends by the account's default sms settings.
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: Client::new(&for_providers(config)) }
    }
}

impl Provider for Sms {
    async fn send(&self, outgoing: Outgoing<'_>) -> Result<Receipt, ProviderError> {
        let Outgoing { to, content, sms_number, .. } = outgoing;
        let (Address::Sms(phone), Content::Sms { text }) = (to, content) else {
            return Err(refused("only sms go this way"));
        };
        let number = sms_number.map(|number| text_attribute(number.as_str())).transpose()?;
        let attributes = [
            // Nobody chose to advertise with a reminder: it goes the reliable way, whatever the account's default.
            Some(("AWS.SNS.SMS.SMSType".to_owned(), text_attribute("Transactional")?)),
            // Answers come to the number that a message comes from.
            number.map(|number| ("AWS.MM.SMS.OriginationNumber".to_owned(), number)),
        ];
        self.client
            .publish()
            .phone_number(phone.as_str())
            .message(text)
            .set_message_attributes(Some(attributes.into_iter().flatten().collect()))
            .send()
            .await
            .map(|sent| Receipt { provider_id: sent.message_id.unwrap_or_default(), dead_devices: vec![] })
            .map_err(|error| classed(Api::SnsPublishToPhone, error))
    }
}

/// An attribute of a message. <https://docs.aws.amazon.com/sns/latest/dg/sms_publish-to-phone.html>
fn text_attribute(value: &str) -> Result<MessageAttributeValue, ProviderError> {
    MessageAttributeValue::builder()
        .data_type("String")
        .string_value(value)
        .build()
        .map_err(|error| ProviderError::Refused(error.into()))
}

/// The SNS platform applications; none means that devices of that platform cannot be reached.
#[derive(Debug, Clone, Default)]
pub struct Applications {
    /// ARN of the one for Apple devices.
    pub apns: Option<String>,
    /// ARN of the one for Android devices.
    pub fcm: Option<String>,
}

/// [`Provider`] for push. Needs `sns:CreatePlatformEndpoint` on the applications and `sns:Publish` on their endpoints.
#[derive(Debug)]
pub struct Push {
    client: Client,
    applications: Applications,
    /// Endpoints this sandbox has made, by platform and token: making one again is allowed, but costs a call.
    endpoints: Mutex<HashMap<(Platform, String), String>>,
}

impl Push {
    /// Sends to devices of these applications.
    pub fn new(config: &SdkConfig, applications: Applications) -> Self {
        Self { client: Client::new(&for_providers(config)), applications, endpoints: Mutex::default() }
    }

    async fn endpoint(&self, device: &Device) -> Result<String, ProviderError> {
        let key = key(device);
        if let Some(known) = self.endpoints.lock().ok().and_then(|known| known.get(&key).cloned()) {
            return Ok(known);
        }
        let application = match device.platform {
            Platform::Apns => &self.applications.apns,
            Platform::Fcm => &self.applications.fcm,
        };
        let application =
            application.as_ref().ok_or_else(|| refused("no platform application for this device"))?;
        let made = self
            .client
            .create_platform_endpoint()
            .platform_application_arn(application)
            .token(device.token.as_str())
            .send()
            .await
            .map_err(|error| match classed(Api::SnsCreatePlatformEndpoint, error) {
                // No message was in it, so none can have left.
                ProviderError::Unknown(source) => ProviderError::Again(source),
                error => error,
            })?;
        let arn = made.endpoint_arn.unwrap_or_default();
        if let Ok(mut known) = self.endpoints.lock() {
            known.insert(key, arn.clone());
        }
        Ok(arn)
    }

    async fn send_to(&self, device: &Device, note: &Note<'_>) -> Result<String, ProviderError> {
        let endpoint = self.endpoint(device).await?;
        let payload = note.payload(device.platform);
        let mut publish =
            self.client.publish().target_arn(endpoint).message_structure("json").message(payload);
        if device.platform == Platform::Apns {
            // A message that comes twice replaces itself; on Android its tag does that.
            // <https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html#sns-attrib-mobile-reserved>
            let id = text_attribute(note.message.id.as_str())?;
            publish = publish.message_attributes("AWS.SNS.MOBILE.APNS.COLLAPSE_ID", id);
        }
        let error = match publish.send().await {
            Ok(sent) => return Ok(sent.message_id.unwrap_or_default()),
            Err(error) => classed(Api::SnsPublishToEndpoint, error),
        };
        if let (ProviderError::InvalidAddress(_), Ok(mut known)) = (&error, self.endpoints.lock()) {
            known.remove(&key(device));
        }
        Err(error)
    }
}

/// What an endpoint is known by.
fn key(device: &Device) -> (Platform, String) {
    (device.platform, device.token.as_str().to_owned())
}

/// What a device shows.
struct Note<'a> {
    message: &'a Message,
    title: &'a str,
    body: &'a str,
    /// What opens when the reader taps on it.
    link: Option<&'a str>,
}

impl Note<'_> {
    /// The message for a platform: JSON text within JSON. A body that is too long for the push service is cut short.
    /// <https://docs.aws.amazon.com/sns/latest/dg/sns-send-custom-platform-specific-payloads-mobile-devices.html>
    fn payload(&self, platform: Platform) -> String {
        let mut body = self.body.to_owned();
        let mut inner = self.inner(platform, &body);
        while inner.len() > MAX_PAYLOAD && body.chars().count() > 1 {
            // A character is at most six bytes of JSON, so this never cuts more than is needed but for the last few.
            let excess = (inner.len() - MAX_PAYLOAD).div_ceil(6) + 1;
            let keep = body.chars().count().saturating_sub(excess);
            body = body.chars().take(keep).chain(['…']).collect();
            inner = self.inner(platform, &body);
        }
        match platform {
            Platform::Apns => json!({ "default": body, "APNS": inner, "APNS_SANDBOX": inner }),
            Platform::Fcm => json!({ "default": body, "GCM": inner }),
        }
        .to_string()
    }

    fn inner(&self, platform: Platform, body: &str) -> String {
        let Self { message, title, link, .. } = self;
        let (subject, id) = match &message.subject {
            SubjectId::Booking(id) => ("booking_id", id.as_str()),
            SubjectId::Occasion(id) => ("occasion_id", id.as_str()),
        };
        let mut data = json!({ subject: id, "message_id": message.id, "type": message.kind });
        let alert = json!({ "title": title, "body": body });
        match platform {
            // What one booking is about stands together.
            Platform::Apns => {
                let mut payload = json!({
                    "aps": { "alert": alert, "sound": "default", "thread-id": id },
                    "data": data,
                });
                if let Some(link) = link {
                    payload["link"] = json!(link);
                }
                payload.to_string()
            }
            Platform::Fcm => {
                if let Some(link) = link {
                    data["link"] = json!(link);
                }
                let android = json!({ "notification": { "tag": message.id } });
                let message = json!({ "notification": alert, "data": data, "android": android });
                json!({ "fcmV1Message": { "message": message } }).to_string()
            }
        }
    }
}

impl Provider for Push {
    /// Sends to every device. Taken by one, the message has left; taken by none, the answer is that of the device with most hope.
    async fn send(&self, outgoing: Outgoing<'_>) -> Result<Receipt, ProviderError> {
        let Outgoing { message, to, content, .. } = outgoing;
        let (Address::Push(devices), Content::Push { title, body, link }) = (to, content) else {
            return Err(refused("only push messages go this way"));
        };
        let note = &Note { message, title, body, link: link.as_deref() };
        let answers = join_all(devices.iter().map(|device| self.send_to(device, note))).await;
        let (mut taken, mut dead_devices, mut best) = (None, Vec::new(), None);
        for (device, answer) in devices.iter().zip(answers) {
            match answer {
                Ok(provider_id) => taken = taken.or(Some(provider_id)),
                Err(error) => {
                    if matches!(error, ProviderError::InvalidAddress(_)) {
                        dead_devices.push(device.id.clone());
                    }
                    if best.as_ref().is_none_or(|best| hope(&error) > hope(best)) {
                        best = Some(error);
                    }
                }
            }
        }
        match (taken, best) {
            (Some(provider_id), _) => Ok(Receipt { provider_id, dead_devices }),
            (None, best) => Err(best.unwrap_or_else(|| refused("no device"))),
        }
    }
}

/// How much hope an answer leaves that the message arrives after all.
fn hope(error: &ProviderError) -> u8 {
    match error {
        ProviderError::Unknown(_) => 5,
        ProviderError::Throttled(_) => 4,
        ProviderError::Again(_) => 3,
        ProviderError::Quota(_) => 2,
        ProviderError::Refused(_) | ProviderError::OptedOut(_) => 1,
        ProviderError::InvalidAddress(_) => 0,
    }
}

#[cfg(test)]
mod tests;
