//! Conversations: what a client and the business write to each other by sms and messengers (S51).

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::business::Locale;
use crate::channel::Channel;
use crate::ids::{BookingId, BusinessId, ClientId, EntryId, OccasionId};

/// For how long after a client's message a business may write freely by WhatsApp; later only by a template.
/// <https://docs.aws.amazon.com/social-messaging/latest/userguide/whatsapp-messages.html>
pub const WHATSAPP_WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// One thing that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// Whose client.
    pub business_id: BusinessId,
    /// Whose conversation.
    pub client_id: ClientId,
    /// The id; sorts by time.
    pub id: EntryId,
    /// How it travelled: sms, WhatsApp or Telegram.
    pub channel: Channel,
    /// Who wrote.
    pub from: Author,
    /// When (UTC).
    pub at: Timestamp,
    /// What.
    pub text: String,
    /// The booking it is about, as far as that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booking_id: Option<BookingId>,
    /// Of an answer: the occasion whose message carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occasion_id: Option<OccasionId>,
    /// What it was taken for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meaning: Option<Meaning>,
}

/// Who wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// The client.
    Client,
    /// Staff.
    Staff,
}

/// What a client's words ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// Write to me no more on this channel.
    Stop,
    /// Write to me again.
    Start,
    /// I will come.
    Yes,
    /// I will not come.
    No,
}

/// What came of a client's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    /// The visit is confirmed.
    Confirmed,
    /// The client does not come.
    CalledOff,
    /// Nothing: the visit is at another time by now than the message said.
    Moved,
    /// Nothing: the visit has begun, is over or was called off.
    Over,
    /// The client is written to no more on this channel.
    Stopped,
    /// The client is written to again.
    Started,
    /// Nothing: it is for a person to read, if for anybody.
    Kept,
}

impl Answered {
    /// What a client is told who has pressed a button: at most 200 characters, as Telegram shows it.
    /// <https://core.telegram.org/bots/api#answercallbackquery>
    pub fn text(self, locale: Locale) -> &'static str {
        match (self, locale) {
            (Answered::Confirmed, Locale::En) => "Thank you, we are expecting you.",
            (Answered::Confirmed, Locale::Ru) => "Спасибо, ждём вас.",
            (Answered::CalledOff, Locale::En) => "Your visit is called off.",
            (Answered::CalledOff, Locale::Ru) => "Ваш визит отменён.",
            (Answered::Moved, Locale::En) => {
                "Your visit is at another time by now. Please look at our latest message."
            }
            (Answered::Moved, Locale::Ru) => {
                "Время визита уже другое. Посмотрите, пожалуйста, наше последнее сообщение."
            }
            (Answered::Over, Locale::En) => "This visit can no longer be changed here.",
            (Answered::Over, Locale::Ru) => "Этот визит здесь уже нельзя изменить.",
            (Answered::Stopped, Locale::En) => "We will not write to you here any more.",
            (Answered::Stopped, Locale::Ru) => "Мы больше не будем писать вам сюда.",
            (Answered::Started, Locale::En) => "You will get our messages here.",
            (Answered::Started, Locale::Ru) => "Вы будете получать наши сообщения здесь.",
            (Answered::Kept, Locale::En) => "Thank you, we have got it.",
            (Answered::Kept, Locale::Ru) => "Спасибо, мы это получили.",
        }
    }
}

/// What a client's words ask for, if they are nothing but one of the words we know, in English or Russian. Anything longer is for a person to
/// read: "yes, but at four" is no yes.
pub fn meaning(text: &str) -> Option<Meaning> {
    let word: String = text
        .trim_matches(|c: char| c.is_whitespace() || c.is_ascii_punctuation() || "«»…—👍✅❌".contains(c))
        .to_lowercase();
    if word.is_empty() {
        return match text.trim() {
            "👍" | "✅" | "+" => Some(Meaning::Yes),
            "❌" | "-" => Some(Meaning::No),
            _ => None,
        };
    }
    match word.as_str() {
        // What AWS takes for it, but for "cancel", which a client says of a visit. AWS takes that for a STOP too where the number is set so,
        // and we hear of it when the next sms is refused. <https://docs.aws.amazon.com/sms-voice/latest/userguide/keywords-required.html>
        "stop"
        | "unsubscribe"
        | "arret"
        | "end"
        | "optout"
        | "opt-out"
        | "quit"
        | "remove"
        | "td"
        | "стоп"
        | "отписаться"
        | "отписка"
        | "хватит" => Some(Meaning::Stop),
        "start" | "unstop" | "старт" | "подписаться" => Some(Meaning::Start),
        "yes"
        | "y"
        | "yep"
        | "ok"
        | "okay"
        | "confirm"
        | "c"
        | "1"
        | "да"
        | "д"
        | "ок"
        | "окей"
        | "хорошо"
        | "подтверждаю"
        | "приду"
        | "буду" => Some(Meaning::Yes),
        "no" | "n" | "nope" | "cancel" | "0" | "2" | "нет" | "н" | "не приду" | "не буду" | "отмена"
        | "отменить" | "отмените" => Some(Meaning::No),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(" Yes! ", Some(Meaning::Yes))]
    #[case("ДА", Some(Meaning::Yes))]
    #[case("👍", Some(Meaning::Yes))]
    #[case("+", Some(Meaning::Yes))]
    #[case("no.", Some(Meaning::No))]
    #[case("Не приду", Some(Meaning::No))]
    #[case("STOP", Some(Meaning::Stop))]
    #[case("Стоп", Some(Meaning::Stop))]
    #[case("start", Some(Meaning::Start))]
    #[case("yes, but at four", None)]
    #[case("нет, давайте в пять", None)]
    #[case("stop by at five?", None)]
    #[case("", None)]
    #[case("…", None)]
    fn s51_only_a_plain_word_acts(#[case] text: &str, #[case] expected: Option<Meaning>) {
        assert_eq!(meaning(text), expected);
    }
}
