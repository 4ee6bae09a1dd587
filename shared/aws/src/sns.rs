//! Text messages and push messages on SNS.

use std::collections::HashMap;
use std::sync::Mutex;

use app::ports::{Address, Outgoing, Provider, ProviderError, Receipt};
use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use aws_types::SdkConfig;
use domain::client::{Device, Platform};
use domain::template::Content;
use serde_json::json;

use crate::connect::{ConnectError, for_providers};
use crate::provider_error::{Codes, classed, refused};

/// Codes of `Publish` to a phone. <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
const SMS_CODES: Codes = Codes { invalid_address: &["InvalidParameter"], not_taken: &[] };

/// Codes of `CreatePlatformEndpoint`: the token is no token. A missing application is `NotFound`, and no fault of the device.
/// <https://docs.aws.amazon.com/sns/latest/api/API_CreatePlatformEndpoint.html>
const ENDPOINT_CODES: Codes = Codes { invalid_address: &["InvalidParameter"], not_taken: &[] };

/// Codes of `Publish` to a device.
const PUSH_CODES: Codes =
    Codes { invalid_address: &["EndpointDisabled", "NotFound", "InvalidParameter"], not_taken: &[] };

/// [`Provider`] for sms. Needs `sns:Publish` on `*`, since a phone number has no ARN.
#[derive(Debug, Clone)]
pub struct Sms {
    client: Client,
}

impl Sms {
    /// Sends by the account's default sms settings.
    ///
    /// # Errors
    /// [`ConnectError`] when TLS cannot be set up.
    pub fn new(config: &SdkConfig) -> Result<Self, ConnectError> {
        Ok(Self { client: Client::new(&for_providers(config)?) })
    }
}

impl Provider for Sms {
    async fn send(&self, outgoing: Outgoing<'_>) -> Result<Receipt, ProviderError> {
        let Outgoing { to, content, .. } = outgoing;
        let (Address::Sms(phone), Content::Sms { text }) = (to, content) else {
            return Err(refused("only sms go this way"));
        };
        self.client
            .publish()
            .phone_number(phone.as_str())
            .message(text)
            .message_attributes("AWS.SNS.SMS.SMSType", transactional()?)
            .send()
            .await
            .map(|sent| Receipt { provider_id: sent.message_id.unwrap_or_default(), dead_devices: vec![] })
            .map_err(|error| classed(error, &SMS_CODES))
    }
}

/// Nobody chose to advertise with a reminder: it goes the reliable way, whatever the account's default.
/// <https://docs.aws.amazon.com/sns/latest/dg/sms_publish-to-phone.html>
fn transactional() -> Result<MessageAttributeValue, ProviderError> {
    MessageAttributeValue::builder()
        .data_type("String")
        .string_value("Transactional")
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
    ///
    /// # Errors
    /// [`ConnectError`] when TLS cannot be set up.
    pub fn new(config: &SdkConfig, applications: Applications) -> Result<Self, ConnectError> {
        Ok(Self { client: Client::new(&for_providers(config)?), applications, endpoints: Mutex::default() })
    }

    async fn endpoint(&self, device: &Device) -> Result<String, ProviderError> {
        let key = (device.platform, device.token.as_str().to_owned());
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
            .map_err(|error| match classed(error, &ENDPOINT_CODES) {
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

    async fn send_to(&self, device: &Device, title: &str, body: &str) -> Result<String, ProviderError> {
        let endpoint = self.endpoint(device).await?;
        self.client
            .publish()
            .target_arn(endpoint)
            .message_structure("json")
            .message(payload(title, body))
            .send()
            .await
            .map(|sent| sent.message_id.unwrap_or_default())
            .map_err(|error| classed(error, &PUSH_CODES))
    }
}

/// The message for each platform; each one's part is itself JSON text.
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-send-custom-platform-specific-payloads-mobile-devices.html>
fn payload(title: &str, body: &str) -> String {
    let apns =
        json!({ "aps": { "alert": { "title": title, "body": body }, "sound": "default" } }).to_string();
    let fcm = json!({ "fcmV1Message": { "message": { "notification": { "title": title, "body": body } } } })
        .to_string();
    json!({ "default": body, "APNS": apns, "APNS_SANDBOX": apns, "GCM": fcm }).to_string()
}

impl Provider for Push {
    /// Sends to every device. Taken by one, the message has left; taken by none, the answer is that of the device with most hope.
    async fn send(&self, outgoing: Outgoing<'_>) -> Result<Receipt, ProviderError> {
        let Outgoing { to, content, .. } = outgoing;
        let (Address::Push(devices), Content::Push { title, body, .. }) = (to, content) else {
            return Err(refused("only push messages go this way"));
        };
        let answers =
            futures::future::join_all(devices.iter().map(|device| self.send_to(device, title, body))).await;
        let hope = |error: &ProviderError| match error {
            ProviderError::Unknown(_) => 4,
            ProviderError::Quota(_) | ProviderError::OptedOut(_) => 1,
            ProviderError::Throttled(_) => 3,
            ProviderError::Again(_) => 2,
            ProviderError::Refused(_) => 1,
            ProviderError::InvalidAddress(_) => 0,
        };
        let mut best: Option<ProviderError> = None;
        for answer in answers {
            match answer {
                Ok(provider_id) => return Ok(Receipt { provider_id, dead_devices: vec![] }),
                Err(error) if best.as_ref().is_none_or(|best| hope(&error) > hope(best)) => {
                    best = Some(error)
                }
                Err(_) => {}
            }
        }
        Err(best.unwrap_or_else(|| refused("no device")))
    }
}
