//! What providers tell us, read: each of their formats becomes the same few things.

use app::ports::MessageRef;
use app::take_reply::Reply;
use app::take_report::AboutMessage;
use domain::feedback::Report;
use jiff::Timestamp;
use serde_json::Value;

use crate::{push, ses, sms, whatsapp};

/// What a provider tells.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// What became of a message.
    Report {
        /// Of which.
        about: AboutMessage,
        /// What.
        report: Report,
        /// When (UTC).
        at: Timestamp,
    },
    /// What a client answers.
    Reply(Reply),
}

impl News {
    /// A report of a message that we named when we handed it over.
    pub fn of_named(message: MessageRef, report: Report, at: Timestamp) -> Self {
        News::Report { about: AboutMessage::Named(message), report, at }
    }
}

/// Something that a provider should not have sent so.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is not the JSON that was expected.
    #[error("it is not the JSON that was expected")]
    Json(#[from] serde_json::Error),
    /// A part of it is no text of that kind.
    #[error("its {0} cannot be read")]
    Part(&'static str),
}

/// What SNS says once to a topic that SES is to tell of its events. <https://docs.aws.amazon.com/ses/latest/dg/event-publishing-add-event-destination-sns.html>
const GREETING: &str = "Successfully validated SNS topic";

/// Reads what was `sent` through the queue at that time (UTC). What is none of ours is logged, and nothing.
pub fn read(body: &str, sent: Timestamp) -> Result<Vec<News>, Unreadable> {
    if body.starts_with(GREETING) {
        return Ok(Vec::new());
    }
    let event: Value = serde_json::from_str(body)?;
    let has = |field: &str| event.get(field).is_some();
    if has("eventType") && has("mail") {
        ses::read(event)
    } else if has("inboundMessageId") {
        sms::read(event, sent)
    } else if has("whatsAppWebhookEntry") {
        whatsapp::read(event)
    } else if has("EventType") && has("EndpointArn") {
        push::read(event)
    } else {
        tracing::warn!("an event of a kind that is not known is dropped");
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::take_reply::{Said, Writer};
    use domain::channel::Channel;
    use domain::client::Cause;
    use domain::message::Reason;
    use domain::template::Action;
    use rstest::rstest;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn read_one(body: &str) -> News {
        let news = read(body, at("2026-11-20T12:00:00Z")).unwrap();
        let [one] = <[News; 1]>::try_from(news).unwrap();
        one
    }

    fn failed(reason: Reason, suppress: Option<Cause>) -> Report {
        Report::Failed { reason, suppress }
    }

    #[rstest]
    #[case::permanent(
        include_str!("../tests/ses_bounce_permanent.json"),
        failed(Reason::InvalidAddress, Some(Cause::HardBounce)),
        "2026-11-20T12:00:02.669Z"
    )]
    #[case::transient(
        include_str!("../tests/ses_bounce_transient.json"),
        failed(Reason::NotDelivered, None),
        "2026-11-20T12:00:02.669Z"
    )]
    #[case::complaint(include_str!("../tests/ses_complaint.json"), Report::Complaint, "2026-11-20T12:00:03.669Z")]
    #[case::open(include_str!("../tests/ses_open.json"), Report::Read, "2026-11-20T12:00:09.652Z")]
    #[case::reject(
        include_str!("../tests/ses_reject.json"),
        failed(Reason::Refused, None),
        "2026-11-20T12:00:00.012Z"
    )]
    fn s4_an_event_of_ses_is_a_report_of_the_message_its_tags_name(
        #[case] body: &str,
        #[case] report: Report,
        #[case] when: &str,
    ) {
        assert_eq!(read_one(body), News::of_named("salon/booking/b1/m1".parse().unwrap(), report, at(when)));
    }

    #[test]
    fn s4_a_delivery_of_an_occasions_email_is_reported() {
        let named = "salon/occasion/o1/m1".parse().unwrap();
        let expected = News::of_named(named, Report::Delivered, at("2026-11-20T12:00:01.527Z"));
        assert_eq!(read_one(include_str!("../tests/ses_delivery.json")), expected);
    }

    #[rstest]
    #[case::send(include_str!("../tests/ses_send.json"))]
    #[case::delay(include_str!("../tests/ses_delivery_delay.json"))]
    #[case::not_ours(include_str!("../tests/ses_delivery_not_ours.json"))]
    #[case::endpoint(include_str!("../tests/sns_push_endpoint_updated.json"))]
    #[case::greeting("Successfully validated SNS topic for Amazon SES event publishing.")]
    #[case::other(r#"{"hello":"world"}"#)]
    fn what_says_nothing_of_our_messages_is_nothing(#[case] body: &str) {
        assert_eq!(read(body, at("2026-11-20T12:00:00Z")).unwrap(), []);
    }

    #[rstest]
    #[case::no_json("{")]
    #[case::half(r#"{"eventType":"Bounce","mail":{}}"#)]
    #[case::not_a_phone(r#"{"inboundMessageId":"1","originationNumber":"x","destinationNumber":"+351210000001","messageBody":"no"}"#)]
    fn what_cannot_be_read_is_said_to_be(#[case] body: &str) {
        assert!(read(body, at("2026-11-20T12:00:00Z")).is_err());
    }

    #[test]
    fn s4_a_push_that_fails_is_found_by_its_providers_id() {
        let expected = News::Report {
            about: AboutMessage::Called(Channel::Push, "4e658b3c-8738-5a67-a13b-d86089f45074".into()),
            report: failed(Reason::InvalidAddress, None),
            at: at("2026-11-20T12:00:48.732Z"),
        };
        assert_eq!(read_one(include_str!("../tests/sns_push_delivery_failure.json")), expected);
    }

    #[test]
    fn s51_a_text_message_is_a_reply() {
        let News::Reply(reply) = read_one(include_str!("../tests/sms_inbound.json")) else {
            panic!("no reply")
        };
        let from =
            Writer::Sms { phone: "+351912345678".parse().unwrap(), to: "+351210000001".parse().unwrap() };
        assert_eq!((reply.from, reply.said), (from, Said::Text("Yes".into())));
        let about = AboutMessage::Called(Channel::Sms, "d0e173d2-66b9-564c-8309-21f858e9fb84".into());
        assert_eq!(reply.about, Some((about, at("2026-11-20T12:00:00Z"))));
        assert_eq!(reply.id, "cae173d2-66b9-564c-8309-21f858e9fb84");
    }

    #[test]
    fn s66_statuses_of_whatsapp_are_reports_of_the_message_we_named() {
        let news = read(include_str!("../tests/whatsapp_statuses.json"), Timestamp::UNIX_EPOCH).unwrap();
        let reports = [
            Report::Delivered,
            Report::Read,
            failed(Reason::Refused, None),
            failed(Reason::NotDelivered, None),
        ];
        let when = Timestamp::from_second(1_795_176_043).unwrap();
        let expected =
            reports.map(|report| News::of_named("salon/booking/b1/m1".parse().unwrap(), report, when));
        assert_eq!(news, expected);
    }

    #[test]
    fn s66_messages_of_whatsapp_are_replies_to_the_number_they_were_sent_to() {
        let news = read(include_str!("../tests/whatsapp_messages.json"), Timestamp::UNIX_EPOCH).unwrap();
        let replies: Vec<_> = news
            .into_iter()
            .map(|news| match news {
                News::Reply(reply) => reply,
                News::Report { .. } => panic!("no reply"),
            })
            .collect();
        let from = Writer::Whatsapp {
            phone: "+351912345678".parse().unwrap(),
            to: "phone-number-id-976c72a700aac43eaf573ae050example".parse().unwrap(),
        };
        assert!(replies.iter().all(|reply| reply.from == from));
        let said: Vec<_> = replies.iter().map(|reply| reply.said.clone()).collect();
        let cancel = Said::Button { action: Action::Cancel, label: "I cannot come".into() };
        assert_eq!(said, [Said::Text("Нет".into()), cancel, Said::Text("[image]".into())]);
        let named = AboutMessage::Named("salon/booking/b1/m1".parse().unwrap());
        assert_eq!(replies[1].about.as_ref().map(|(about, _)| about), Some(&named));
    }
}
