//! E-mail on SES.

use app::ports::{Address, Outgoing, Provider, ProviderError, Receipt};
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::primitives::Blob;
use aws_sdk_sesv2::types::{
    Attachment, AttachmentContentDisposition, Body, Content as Part, Destination, EmailContent, Message,
    MessageHeader, MessageTag,
};
use aws_types::SdkConfig;
use domain::calendar::Calendar;
use domain::contact::Email;
use domain::subject::SubjectId;
use domain::template::Content;

use crate::connect::for_providers;
use crate::provider_error::{Api, classed, refused};

/// [`Provider`] for e-mail. Needs `ses:SendEmail` on the sender's identity and on the configuration set.
#[derive(Debug, Clone)]
pub struct Ses {
    client: Client,
    from: String,
    sender: Option<Email>,
    configuration_set: Option<String>,
}

impl Ses {
    /// Sends from this verified address, for example `Salon <hello@example.com>`. What becomes of a message is reported to whom the
    /// configuration set names; without one nobody hears of it.
    pub fn new(config: &SdkConfig, from: String, configuration_set: Option<String>) -> Self {
        // `Salon <hello@example.com>` or the bare address.
        let address = from.rsplit_once('<').map_or(from.as_str(), |(_, rest)| rest.trim_end_matches('>'));
        let sender = address.trim().parse().ok();
        Self { client: Client::new(&for_providers(config)), from, sender, configuration_set }
    }
}

/// The calendar file as an attachment that mail programs open as an invitation.
fn attachment(calendar: &Calendar) -> Result<Attachment, ProviderError> {
    Attachment::builder()
        .file_name("visit.ics")
        .content_type(format!("text/calendar; charset=utf-8; method={}", calendar.method.name()))
        .content_disposition(AttachmentContentDisposition::Attachment)
        .raw_content(Blob::new(calendar.text.as_bytes()))
        .build()
        .map_err(|error| ProviderError::Refused(error.into()))
}

fn header(name: &str, value: &str) -> Result<MessageHeader, ProviderError> {
    MessageHeader::builder()
        .name(name)
        .value(value)
        .build()
        .map_err(|error| ProviderError::Refused(error.into()))
}

/// Our own name of the message, which every event of SES about it carries: `business`, `booking` or `occasion`, and `message`. Values may
/// be letters, digits, `_` and `-`, as ids are. <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_MessageTag.html>
fn tags(message: &domain::message::Message) -> Result<Vec<MessageTag>, ProviderError> {
    let subject = match &message.subject {
        SubjectId::Booking(id) => ("booking", id.as_str()),
        SubjectId::Occasion(id) => ("occasion", id.as_str()),
    };
    [("business", message.business_id.as_str()), subject, ("message", message.id.as_str())]
        .into_iter()
        .map(|(name, value)| MessageTag::builder().name(name).value(value).build())
        .collect::<Result<_, _>>()
        .map_err(|error| ProviderError::Refused(error.into()))
}

impl Provider for Ses {
    fn sender(&self) -> Option<&Email> {
        self.sender.as_ref()
    }

    async fn send(&self, outgoing: Outgoing<'_>) -> Result<Receipt, ProviderError> {
        let Outgoing { message: row, to, content, .. } = outgoing;
        let (Address::Email(to), Content::Email { subject, text, html, calendar, headers }) = (to, content)
        else {
            return Err(refused("only e-mail goes by SES"));
        };
        let part = |data: &str| {
            Part::builder()
                .data(data)
                .charset("UTF-8")
                .build()
                .map_err(|error| ProviderError::Refused(error.into()))
        };
        let message = Message::builder()
            .subject(part(subject)?)
            .body(Body::builder().text(part(text)?).html(part(html)?).build())
            .set_attachments(calendar.as_ref().map(attachment).transpose()?.map(|file| vec![file]))
            .set_headers(
                headers
                    .iter()
                    .map(|(name, value)| header(name, value))
                    .collect::<Result<Vec<_>, _>>()
                    .map(|all| (!all.is_empty()).then_some(all))?,
            )
            .build();
        self.client
            .send_email()
            .from_email_address(&self.from)
            .destination(Destination::builder().to_addresses(to.as_str()).build())
            .content(EmailContent::builder().simple(message).build())
            .set_configuration_set_name(self.configuration_set.clone())
            .set_email_tags(Some(tags(row)?))
            .send()
            .await
            .map(|sent| Receipt { provider_id: sent.message_id.unwrap_or_default(), dead_devices: vec![] })
            .map_err(|error| classed(Api::SesSendEmail, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{config, message};
    use testkit::recorded::Recorded;

    async fn sent(to: &Recorded, set: Option<&str>) -> Result<Receipt, ProviderError> {
        let ses = Ses::new(&config(to), "Salon <hello@salon.example>".to_owned(), set.map(str::to_owned));
        let content = Content::Email {
            subject: "Tomorrow".to_owned(),
            text: "See you".to_owned(),
            html: "<p>See you</p>".to_owned(),
            calendar: None,
            headers: vec![],
        };
        let to = Address::Email("ana@example.com".parse().unwrap());
        ses.send(Outgoing { message: &message("email"), to: &to, content: &content, sms_number: None }).await
    }

    #[tokio::test(flavor = "current_thread")]
    async fn events_about_an_email_carry_our_own_name_of_it() {
        let provider = Recorded::answering(&[(200, r#"{"MessageId":"ses-1"}"#)]);
        assert_eq!(sent(&provider, Some("emails")).await.unwrap().provider_id, "ses-1");
        let asked = provider.asked();
        let body: serde_json::Value = serde_json::from_str(&asked[0].body).unwrap();
        assert_eq!(body["ConfigurationSetName"], "emails");
        let tags = body["EmailTags"].as_array().unwrap();
        let tags: Vec<_> =
            tags.iter().map(|tag| (tag["Name"].as_str().unwrap(), tag["Value"].as_str().unwrap())).collect();
        assert_eq!(tags, [("business", "b"), ("booking", "k"), ("message", "m")]);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_quota_of_the_day_is_no_rate_and_nothing_is_tried_twice() {
        let quota = r#"{"__type":"TooManyRequestsException","message":"Daily message quota exceeded."}"#;
        let rate = r#"{"__type":"TooManyRequestsException","message":"Maximum sending rate exceeded."}"#;
        let provider = Recorded::answering(&[(429, quota), (429, rate), (500, "{}"), (0, "")]);
        assert!(matches!(sent(&provider, None).await, Err(ProviderError::Quota(_))));
        assert!(matches!(sent(&provider, None).await, Err(ProviderError::Throttled(_))));
        assert!(matches!(sent(&provider, None).await, Err(ProviderError::Unknown(_))));
        assert!(matches!(sent(&provider, None).await, Err(ProviderError::Unknown(_))), "no answer at all");
        assert!(
            matches!(sent(&provider, None).await, Err(ProviderError::Again(_))),
            "nobody is there any more"
        );
        assert_eq!(provider.asked().len(), 4);
    }
}
