//! What clients answer to text messages.
//! <https://docs.aws.amazon.com/sms-voice/latest/userguide/two-way-sms-payload.html>

use app::take_reply::{Reply, Said, Writer};
use app::take_report::AboutMessage;
use domain::channel::Channel;
use domain::contact::Phone;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::news::{News, Unreadable};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inbound {
    origination_number: Phone,
    destination_number: Phone,
    message_body: String,
    inbound_message_id: String,
    previous_published_message_id: Option<String>,
}

/// Reads what was `sent` to us at that time (UTC), which the message itself does not tell.
pub fn read(event: Value, sent: Timestamp) -> Result<Vec<News>, Unreadable> {
    let Inbound {
        origination_number: phone,
        destination_number: to,
        message_body,
        inbound_message_id: id,
        previous_published_message_id: previous,
    } = serde_json::from_value(event)?;
    Ok(vec![News::Reply(Reply {
        from: Writer::Sms { phone, to },
        id,
        said: Said::Text(message_body),
        about: previous.map(|id| (AboutMessage::Called(Channel::Sms, id), sent)),
        at: sent,
    })])
}
