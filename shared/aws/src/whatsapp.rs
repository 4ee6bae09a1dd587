//! WhatsApp on AWS End User Messaging Social (S66).

use app::ports::{Address, MessageRef, Outgoing, Provider, ProviderError, Receipt};
use aws_sdk_socialmessaging::Client;
use aws_sdk_socialmessaging::primitives::Blob;
use aws_types::SdkConfig;
use domain::contact::Phone;
use domain::template::{Action, Content, FilledTemplate};
use serde_json::{Value, json};

use crate::connect::for_providers;
use crate::provider_error::{Api, classed, refused};

/// [`Provider`] for WhatsApp. Needs `social-messaging:SendWhatsAppMessage` on the businesses' numbers.
#[derive(Debug, Clone)]
pub struct Whatsapp {
    client: Client,
    meta_api_version: String,
}

impl Whatsapp {
    /// Sends by this version of Meta's API, such as `v20.0`: one that AWS supports in the Region.
    /// <https://docs.aws.amazon.com/general/latest/gr/end-user-messaging.html>
    pub fn new(config: &SdkConfig, meta_api_version: String) -> Self {
        Self { client: Client::new(&for_providers(config)), meta_api_version }
    }
}

impl Provider for Whatsapp {
    async fn send(&self, outgoing: Outgoing<'_>) -> Result<Receipt, ProviderError> {
        let Outgoing { message, to, content, .. } = outgoing;
        let (Address::Whatsapp { from, to }, Content::Whatsapp { template, text }) = (to, content) else {
            return Err(refused("only WhatsApp messages go this way"));
        };
        let message = message_object(&MessageRef::of(message), to, template.as_ref(), text);
        self.client
            .send_whats_app_message()
            .origination_phone_number_id(from.as_str())
            .meta_api_version(&self.meta_api_version)
            .message(Blob::new(message.to_string()))
            .send()
            .await
            .map(|sent| Receipt { provider_id: sent.message_id.unwrap_or_default(), dead_devices: vec![] })
            .map_err(|error| classed(Api::SendWhatsAppMessage, error))
    }
}

/// A message as Meta takes it. Reports carry `biz_opaque_callback_data` back; a button that is pressed carries its payload: what it does, a
/// colon and our name of the message. <https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages>
fn message_object(name: &MessageRef, to: &Phone, template: Option<&FilledTemplate>, text: &str) -> Value {
    let mut message = json!({
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": to.as_str(),
        "biz_opaque_callback_data": name.to_string(),
    });
    match template {
        Some(template) => {
            message["type"] = json!("template");
            message["template"] = json!({
                "name": template.name,
                "language": { "code": template.language },
                "components": components(name, template),
            });
        }
        None => {
            message["type"] = json!("text");
            message["text"] = json!({ "body": text, "preview_url": false });
        }
    }
    message
}

/// What goes into the places of a template.
fn components(name: &MessageRef, template: &FilledTemplate) -> Vec<Value> {
    let mut components = Vec::new();
    if !template.parameters.is_empty() {
        let parameters: Vec<Value> =
            template.parameters.iter().map(|text| json!({ "type": "text", "text": text })).collect();
        components.push(json!({ "type": "body", "parameters": parameters }));
    }
    if template.asks {
        for (index, action) in [Action::Confirm, Action::Cancel].into_iter().enumerate() {
            let payload = format!("{}:{name}", action.name());
            components.push(json!({
                "type": "button",
                "sub_type": "quick_reply",
                "index": index.to_string(),
                "parameters": [{ "type": "payload", "payload": payload }],
            }));
        }
    }
    components
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{config, message};
    use testkit::recorded::Recorded;

    async fn sent(provider: &Recorded, template: Option<FilledTemplate>) -> Result<Receipt, ProviderError> {
        let to = Address::Whatsapp {
            from: "phone-number-id-976c72a700aac43eaf573ae050example".parse().unwrap(),
            to: "+351912345678".parse().unwrap(),
        };
        let content = Content::Whatsapp { template, text: "See you tomorrow".to_owned() };
        let outgoing =
            Outgoing { message: &message("whatsapp"), to: &to, content: &content, sms_number: None };
        Whatsapp::new(&config(provider), "v20.0".to_owned()).send(outgoing).await
    }

    fn template(asks: bool) -> FilledTemplate {
        FilledTemplate {
            name: "visit_reminder".to_owned(),
            language: "pt_PT".to_owned(),
            parameters: vec!["Ana".to_owned(), "10:00".to_owned()],
            asks,
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn s66_a_number_of_the_business_sends_and_reports_name_our_message() {
        let provider = Recorded::answering(&[(200, r#"{"messageId":"wa-1"}"#)]);
        assert_eq!(sent(&provider, None).await.unwrap().provider_id, "wa-1");
        let asked = provider.asked();
        assert!(asked[0].head.starts_with("POST /v1/whatsapp/send "), "{}", asked[0].head);
        let body: Value = serde_json::from_str(&asked[0].body).unwrap();
        assert_eq!(body["originationPhoneNumberId"], "phone-number-id-976c72a700aac43eaf573ae050example");
        assert_eq!(body["metaApiVersion"], "v20.0");
        let blob = aws_smithy_types::base64::decode(body["message"].as_str().unwrap()).unwrap();
        let message: Value = serde_json::from_slice(&blob).unwrap();
        assert_eq!(
            message,
            json!({
                "messaging_product": "whatsapp", "recipient_type": "individual", "to": "+351912345678",
                "biz_opaque_callback_data": "b/booking/k/m",
                "type": "text", "text": { "body": "See you tomorrow", "preview_url": false },
            })
        );
    }

    #[test]
    fn s66_a_template_is_filled_and_its_buttons_answer_for_this_message() {
        let name = MessageRef::of(&message("whatsapp"));
        let to = "+351912345678".parse().unwrap();
        let button = |index: &str, payload: &str| {
            json!({ "type": "button", "sub_type": "quick_reply", "index": index,
                "parameters": [{ "type": "payload", "payload": payload }] })
        };
        let asking = message_object(&name, &to, Some(&template(true)), "");
        assert_eq!(asking["type"], "template");
        assert_eq!(
            asking["template"],
            json!({
                "name": "visit_reminder", "language": { "code": "pt_PT" },
                "components": [
                    { "type": "body", "parameters": [
                        { "type": "text", "text": "Ana" }, { "type": "text", "text": "10:00" },
                    ] },
                    button("0", "confirm:b/booking/k/m"),
                    button("1", "cancel:b/booking/k/m"),
                ],
            })
        );
        let telling = message_object(&name, &to, Some(&template(false)), "");
        assert_eq!(telling["template"]["components"].as_array().unwrap().len(), 1);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn s66_what_aws_answers_is_classed_by_the_table() {
        let answer = |code: &str| format!(r#"{{"__type":"{code}","message":"to +351912345678"}}"#);
        let (slow, bad) = (answer("ThrottledRequestException"), answer("InvalidParametersException"));
        let (broke, closed) = (answer("InternalServiceException"), answer("AccessDeniedByMetaException"));
        let provider =
            Recorded::answering(&[(429, &slow), (400, &bad), (500, &broke), (403, &closed), (0, "")]);
        assert!(matches!(sent(&provider, None).await, Err(ProviderError::Throttled(_))));
        assert!(matches!(sent(&provider, None).await, Err(ProviderError::Refused(_))));
        assert!(matches!(sent(&provider, None).await, Err(ProviderError::Unknown(_))));
        assert!(matches!(sent(&provider, None).await, Err(ProviderError::Again(_))));
        assert!(matches!(sent(&provider, None).await, Err(ProviderError::Unknown(_))));
        assert_eq!(provider.asked().len(), 5);
    }
}
