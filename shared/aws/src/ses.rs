//! E-mail on SES.

use app::ports::{Address, Outgoing, Provider, ProviderError, Receipt};
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::primitives::Blob;
use aws_sdk_sesv2::types::{
    Attachment, AttachmentContentDisposition, Body, Content as Part, Destination, EmailContent, Message,
    MessageHeader,
};
use aws_types::SdkConfig;
use domain::calendar::Calendar;
use domain::contact::Email;
use domain::template::Content;

use crate::connect::{ConnectError, for_providers};
use crate::provider_error::{Codes, classed, refused};

/// Codes of SES: the account, the sender or the content is at fault.
/// <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html>
const CODES: Codes = Codes { invalid_address: &[], not_taken: &["SendingPausedException"] };

/// [`Provider`] for e-mail. Needs `ses:SendEmail` on the sender's identity.
#[derive(Debug, Clone)]
pub struct Ses {
    client: Client,
    from: String,
    sender: Option<Email>,
}

impl Ses {
    /// Sends from this verified address, for example `Salon <hello@example.com>`.
    ///
    /// # Errors
    /// [`ConnectError`] when TLS cannot be set up.
    pub fn new(config: &SdkConfig, from: String) -> Result<Self, ConnectError> {
        // `Salon <hello@example.com>` or the bare address.
        let address = from.rsplit_once('<').map_or(from.as_str(), |(_, rest)| rest.trim_end_matches('>'));
        let sender = address.trim().parse().ok();
        Ok(Self { client: Client::new(&for_providers(config)?), from, sender })
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

impl Provider for Ses {
    fn sender(&self) -> Option<&Email> {
        self.sender.as_ref()
    }

    async fn send(&self, outgoing: Outgoing<'_>) -> Result<Receipt, ProviderError> {
        let Outgoing { to, content, .. } = outgoing;
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
            .send()
            .await
            .map(|sent| Receipt { provider_id: sent.message_id.unwrap_or_default(), dead_devices: vec![] })
            .map_err(|error| classed(error, &CODES))
    }
}
