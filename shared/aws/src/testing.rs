//! What the tests of providers share.
#![allow(clippy::unwrap_used, reason = "tests call it")]

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_types::SdkConfig;
use aws_types::region::Region;
use domain::message::Message;
use testkit::recorded::Recorded;

/// As [`crate::connect::connect`] makes it, but for the environment.
pub(crate) fn config(provider: &Recorded) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "id", "secret", None, None, "test",
        )))
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .time_source(SharedTimeSource::new(SystemTimeSource::new()))
        .endpoint_url(provider.url())
        .build()
}

/// A message `m` of booking `k` of business `b`.
pub(crate) fn message(channel: &str) -> Message {
    let text = r#"{"business_id":"b","booking_id":"k","id":"m","type":"reminder","step":"24h before start","revision":1,
        "client_id":"c","channel":"CHANNEL","status":"sending","due":"2026-11-23T10:00:00Z","attempts":1,"traces":[]}"#;
    serde_json::from_str(&text.replace("CHANNEL", channel)).unwrap()
}
