//! E-mail on SES.

use app::ports::{Address, Provider, ProviderError};
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::types::{Body, Content as Part, Destination, EmailContent, Message};
use aws_types::SdkConfig;
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
}

impl Ses {
    /// Sends from this verified address, for example `Salon <hello@example.com>`.
    ///
    /// # Errors
    /// [`ConnectError`] when TLS cannot be set up.
    pub fn new(config: &SdkConfig, from: String) -> Result<Self, ConnectError> {
        Ok(Self { client: Client::new(&for_providers(config)?), from })
    }
}

impl Provider for Ses {
    async fn send(&self, to: &Address, content: &Content) -> Result<String, ProviderError> {
        let (Address::Email(to), Content::Email { subject, text, html }) = (to, content) else {
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
            .build();
        self.client
            .send_email()
            .from_email_address(&self.from)
            .destination(Destination::builder().to_addresses(to.as_str()).build())
            .content(EmailContent::builder().simple(message).build())
            .send()
            .await
            .map(|sent| sent.message_id.unwrap_or_default())
            .map_err(|error| classed(error, &CODES))
    }
}
