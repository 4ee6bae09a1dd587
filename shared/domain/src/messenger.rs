//! Messengers: what a business has set up to write by WhatsApp and Telegram (S66).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::business::Locale;
use crate::map::by_word;
use crate::text::text;

fn is_word(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

text!(
    #[derive(Debug)]
    /// The number a business writes from by WhatsApp, as AWS End User Messaging Social names it. The operator assigns it: whoever knows
    /// it could write in its name. <https://docs.aws.amazon.com/social-messaging/latest/APIReference/API_SendWhatsAppMessage.html>
    #[schema(pattern = "^phone-number-id-[0-9A-Za-z_]{1,64}$")]
    WhatsappNumberId,
    InvalidWhatsappNumberId,
    "expected an id such as \"phone-number-id-976c72a700aac43eaf573ae050example\"",
    |text| text.strip_prefix("phone-number-id-").is_some_and(|id| is_word(id, 64))
);

text!(
    #[derive(Debug)]
    /// The name of a message template as WhatsApp approved it: 1 to 512 of `a-z`, `0-9`, `_`.
    #[schema(pattern = "^[0-9a-z_]{1,512}$")]
    WhatsappTemplateName,
    InvalidWhatsappTemplateName,
    "expected 1 to 512 small letters, digits and underscores, as WhatsApp approved it",
    |text| is_word(text, 512) && !text.bytes().any(|b| b.is_ascii_uppercase())
);

text!(
    #[derive(Debug)]
    /// A language of a WhatsApp template, such as `en` or `pt_PT`.
    #[schema(pattern = "^[0-9A-Za-z_]{1,10}$")]
    LanguageCode,
    InvalidLanguageCode,
    "expected a language code such as \"en\" or \"en_US\"",
    |text| is_word(text, 10)
);

text!(
    #[derive(Debug)]
    /// A Telegram bot's name, without the `@`: 5 to 32 letters, digits and underscores. <https://core.telegram.org/bots/features#botfather>
    #[schema(pattern = "^[0-9A-Za-z_]{5,32}$")]
    BotName,
    InvalidBotName,
    "expected a bot's name without the @, such as \"aurora_salon_bot\"",
    |text| text.len() >= 5 && is_word(text, 32)
);

text!(
    /// The chat with a person in Telegram: a number. A bot can only write to who has written to it. <https://core.telegram.org/bots/api#chat>
    #[schema(pattern = "^-?[1-9][0-9]{0,18}$")]
    ChatId, InvalidChatId, "expected a Telegram chat id: a whole number",
    |text| text.parse::<i64>().is_ok_and(|id| id != 0)
);

text!(
    /// What lets us speak for a Telegram bot. Its `Debug` does not show it, so that no log does.
    #[schema(pattern = "^[0-9]{1,20}:[0-9A-Za-z_-]{20,100}$")]
    BotToken, InvalidBotToken, "expected a bot token such as \"110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw\"",
    |text| text.split_once(':').is_some_and(|(id, secret)| {
        is_word(id, 20)
            && id.bytes().all(|b| b.is_ascii_digit())
            && (20..=100).contains(&secret.len())
            && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    })
);

impl std::fmt::Debug for BotToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BotToken(…)")
    }
}

impl std::fmt::Debug for ChatId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChatId({})", self.masked())
    }
}

impl ChatId {
    /// The chat as logs may show it.
    pub fn masked(&self) -> String {
        let tail: String = self.0.chars().rev().take(2).collect();
        format!("***{}", tail.chars().rev().collect::<String>())
    }
}

/// A template that WhatsApp has approved for a type of message, and what we put into its places. WhatsApp lets a business begin a
/// conversation only by such a template. <https://developers.facebook.com/docs/whatsapp/message-templates>
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WhatsappTemplate {
    /// Its name.
    pub name: WhatsappTemplateName,
    /// The language code to ask for, by the reader's language; one that is absent is asked for as `en` or `ru`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "by_word")]
    pub languages: BTreeMap<Locale, LanguageCode>,
    /// What goes into the places of its body, in their order: texts with variables as in any template, at most 20.
    #[serde(default)]
    #[schema(max_items = 20)]
    pub parameters: Vec<String>,
    /// Whether its first two buttons are quick replies that confirm and decline the visit (S66).
    #[serde(default)]
    pub asks: bool,
}

impl WhatsappTemplate {
    /// The language code for a reader.
    pub fn language(&self, locale: Locale) -> &str {
        let default = match locale {
            Locale::En => "en",
            Locale::Ru => "ru",
        };
        self.languages.get(&locale).map_or(default, LanguageCode::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", true)]
    #[case("110201543", false)]
    #[case("x:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", false)]
    #[case("1:AAHdqTcvCH1vGWJxfSeofSAs0K5/../getMe", false)]
    fn s66_a_token_cannot_break_out_of_a_url(#[case] text: &str, #[case] fits: bool) {
        assert_eq!(text.parse::<BotToken>().is_ok(), fits);
    }

    #[test]
    fn s66_secrets_and_chats_stay_out_of_logs() {
        let token: BotToken = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw".parse().unwrap();
        assert_eq!(format!("{token:?}"), "BotToken(…)");
        assert_eq!(format!("{:?}", "123456789".parse::<ChatId>().unwrap()), "ChatId(***89)");
    }

    #[rstest]
    #[case("phone-number-id-976c72a700aac43eaf573ae050example", true)]
    #[case("phone-number-id-", false)]
    #[case("976c72a700aac43eaf573ae050example", false)]
    #[case("phone-number-id-9/../x", false)]
    fn s66_whatsapp_numbers_are_ids(#[case] text: &str, #[case] fits: bool) {
        assert_eq!(text.parse::<WhatsappNumberId>().is_ok(), fits);
    }

    #[test]
    fn s66_a_template_is_asked_for_in_the_readers_language() {
        let template: WhatsappTemplate =
            serde_json::from_str(r#"{"name":"visit_reminder","languages":{"en":"en_GB"},"parameters":[]}"#)
                .unwrap();
        assert_eq!((template.language(Locale::En), template.language(Locale::Ru)), ("en_GB", "ru"));
    }
}
