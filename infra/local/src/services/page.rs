//! The outbox page: mails, phones and devices as a person would see them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};

use super::feedback::Event;
use super::{Channel, Entry, PendingSchedule};

pub(super) const CSS: &str = include_str!("page.css");
pub(super) const JS: &str = include_str!("page.js");

/// Schedules shown; the rest is counted.
const SCHEDULES_SHOWN: usize = 100;

/// Messages shown of each channel; the rest is counted.
const MESSAGES_SHOWN: usize = 200;

/// Put before a mail: its links open outside of its frame.
const LINKS_IN_NEW_TAB: &str = "<base target=_blank>";

/// An instant as the page shows it: `Sat 21 Nov 2026, 20:00:00 UTC`.
pub(super) fn clock_text(at: Timestamp) -> String {
    at.strftime("%a %-d %b %Y, %H:%M:%S UTC").to_string()
}

/// The page. `entries` are oldest first, `pending` soonest first.
pub(super) fn render(
    now: Timestamp,
    revision: &str,
    entries: &[Entry],
    pending: &[PendingSchedule],
) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Outbox" }
                link rel="stylesheet" href="/page.css";
                noscript { meta http-equiv="refresh" content="5"; }
                script src="/page.js" defer {}
            }
            body data-revision=(revision) {
                header {
                    h1 { "Outbox" }
                    span #clock { (clock_text(now)) }
                    form method="post" action="/time/advance" {
                        button name="by" value="1h" { "+1 hour" }
                        button name="by" value="1d" { "+1 day" }
                        button name="by" value="next" disabled[pending.is_empty()] { "to the next schedule" }
                    }
                }
                main {
                    (schedules(now, pending))
                    (section("E-mail", Channel::Email, entries, |messages| html! { @for entry in messages { (mail(entry)) } }))
                    (section("Text messages", Channel::Sms, entries, |messages| html! {
                        @for (number, messages) in by_number(messages) { (phone(number, &messages)) }
                    }))
                    (section("Push", Channel::Push, entries, |messages| html! { @for entry in messages { (push(entry)) } }))
                    (section("WhatsApp", Channel::Whatsapp, entries, |messages| html! {
                        @for (number, messages) in by_number(messages) { (phone(number, &messages)) }
                    }))
                    (section("Telegram", Channel::Telegram, entries, |messages| html! {
                        @for (chat, messages) in by_number(messages) { (phone(chat, &messages)) }
                    }))
                }
            }
        }
    }
}

/// A channel's messages, newest first.
fn section(
    title: &str,
    channel: Channel,
    entries: &[Entry],
    show: impl FnOnce(&[&Entry]) -> Markup,
) -> Markup {
    let messages: Vec<&Entry> = entries.iter().rev().filter(|entry| entry.channel == channel).collect();
    html! {
        section {
            h2 { (title) " " span { (messages.len()) } }
            (show(&messages[..messages.len().min(MESSAGES_SHOWN)]))
            @if messages.is_empty() { p.quiet { "Nothing has left yet." } }
            @if messages.len() > MESSAGES_SHOWN { p.quiet { "and " (messages.len() - MESSAGES_SHOWN) " older" } }
        }
    }
}

fn time(at: Timestamp) -> Markup {
    html! { time datetime=(at) { (clock_text(at)) } }
}

fn schedules(now: Timestamp, pending: &[PendingSchedule]) -> Markup {
    html! {
        details {
            summary {
                @match pending.first() {
                    Some(next) => { (pending.len()) " scheduled, next " (clock_text(next.next_fire)) (wait(now, next.next_fire)) }
                    None => { "Nothing is scheduled." }
                }
            }
            @if !pending.is_empty() {
                table {
                    tr { th { "Fires" } th { "Schedule" } th { "Expression" } th { "Queue" } }
                    @for schedule in pending.iter().take(SCHEDULES_SHOWN) {
                        tr {
                            td { (clock_text(schedule.next_fire)) }
                            td { (schedule.name) }
                            td { (schedule.expression) }
                            td { (schedule.target.rsplit(':').next().unwrap_or_default()) }
                        }
                    }
                }
                @if pending.len() > SCHEDULES_SHOWN { p.quiet { "and " (pending.len() - SCHEDULES_SHOWN) " more" } }
            }
        }
    }
}

/// How long it is until then: `, in 3 h 20 min`.
fn wait(now: Timestamp, then: Timestamp) -> String {
    let minutes = then.duration_since(now).as_mins();
    match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
        (..=0, ..=0, ..=0) => String::new(),
        (0, 0, minutes) => format!(", in {minutes} min"),
        (0, hours, minutes) => format!(", in {hours} h {minutes} min"),
        (days, hours, _) => format!(", in {days} d {hours} h"),
    }
}

fn mail(entry: &Entry) -> Markup {
    html! {
        article.card {
            div.top {
                h3 { (entry.subject.as_deref().unwrap_or("(no subject)")) }
                (time(entry.at))
            }
            div.quiet { "to " (entry.to) }
            @if let Some(from) = &entry.from { div.quiet { "from " (from) } }
            @if let Some(html) = &entry.html {
                iframe sandbox="allow-same-origin allow-popups allow-popups-to-escape-sandbox" title="the mail"
                    srcdoc={ (LINKS_IN_NEW_TAB) (html) } {}
                @if let Some(text) = &entry.text {
                    details { summary { "as plain text" } p.text { (text) } }
                }
            } @else if let Some(text) = &entry.text {
                p.text { (text) }
            }
            @for attachment in &entry.attachments {
                p.quiet {
                    "Attached: "
                    a download=(attachment.name) href={ "data:application/octet-stream;base64," (attachment.content) } { (attachment.name) }
                    " (" (attachment.media_type) ")"
                }
            }
            (what_follows(entry))
            @if !entry.headers.is_empty() {
                details {
                    summary { "headers" }
                    pre { @for header in &entry.headers { (header.name) ": " (header.value) "\n" } }
                }
            }
        }
    }
}

/// What became of a message, and buttons that let more become of it.
fn what_follows(entry: &Entry) -> Markup {
    let answers = matches!(entry.channel, Channel::Sms | Channel::Whatsapp | Channel::Telegram);
    html! {
        @if !entry.feedback.is_empty() { div.quiet { (entry.feedback.join(" · ")) } }
        details {
            summary { "what follows" }
            @if !Event::of(entry.channel).is_empty() {
                form method="post" action={ "/outbox/" (entry.id) "/feedback" } {
                    @for event in Event::of(entry.channel) {
                        button name="event" value=(event.word()) { (event.word().replace('_', " ")) }
                    }
                }
            }
            @if entry.buttons.iter().any(|button| button.data.is_some()) {
                form method="post" action={ "/outbox/" (entry.id) "/press" } {
                    @for button in &entry.buttons {
                        @if let Some(data) = &button.data { button name="button" value=(data) { (button.text) } }
                    }
                }
            }
            @if answers {
                form method="post" action={ "/outbox/" (entry.id) "/reply" } {
                    input name="text" required aria-label="a reply";
                    button { "reply" }
                }
            }
            @if entry.channel == Channel::Telegram {
                form method="post" action="/inbound/telegram" {
                    input type="hidden" name="from" value=(entry.to);
                    input type="hidden" name="to" value=(entry.from.as_deref().unwrap_or_default());
                    input type="hidden" name="blocks" value="true";
                    button { "block the bot" }
                }
            }
        }
    }
}

/// Text messages by number; the number with the newest message first.
fn by_number<'a>(newest_first: &[&'a Entry]) -> Vec<(&'a str, Vec<&'a Entry>)> {
    let mut place = BTreeMap::new();
    let mut phones: Vec<(&str, Vec<&Entry>)> = Vec::new();
    for entry in newest_first {
        let index = *place.entry(entry.to.as_str()).or_insert(phones.len());
        if index == phones.len() {
            phones.push((&entry.to, Vec::new()));
        }
        phones[index].1.push(entry);
    }
    phones
}

fn phone(number: &str, messages: &[&Entry]) -> Markup {
    html! {
        article.card {
            h3 { (number) }
            @for entry in messages {
                div.bubble {
                    @if let Some(template) = &entry.template { b { (template.name) " (" (template.language) ")" } "\n" }
                    (entry.text.as_deref().unwrap_or_default())
                }
                (time(entry.at))
                (what_follows(entry))
            }
        }
    }
}

fn push(entry: &Entry) -> Markup {
    html! {
        article.card {
            div.top {
                h3 { (entry.subject.as_deref().unwrap_or("(no title)")) }
                (time(entry.at))
            }
            p.text { (entry.text.as_deref().unwrap_or_default()) }
            (what_follows(entry))
            div.quiet.device title=(entry.to) { (entry.platform.as_deref().unwrap_or_default()) " device " (entry.token.as_deref().unwrap_or_default()) }
            @if let Some(payload) = &entry.payload {
                details { summary { "payload" } pre { (format!("{payload:#}")) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(channel: Channel, to: &str) -> Entry {
        Entry::new("2026-11-21T20:00:00Z".parse().unwrap(), channel, to.to_owned(), "id".to_owned())
    }

    fn page(entries: &[Entry]) -> String {
        render("2026-11-21T20:00:00Z".parse().unwrap(), "1-1", entries, &[]).into_string()
    }

    #[test]
    fn what_people_wrote_is_escaped_and_mail_runs_in_a_sandbox() {
        let mut mail = entry(Channel::Email, "a@example.com\"><script>alert(1)</script>");
        mail.subject = Some("<b>hi</b>".to_owned());
        mail.html = Some("<p title=\"x\">hello</p><script>alert(2)</script>".to_owned());
        mail.text = Some("</p><script>alert(3)</script>".to_owned());
        let mut sms = entry(Channel::Sms, "+15555550100");
        sms.text = Some("<img src=x onerror=alert(4)>".to_owned());
        let page = page(&[mail, sms]);
        assert!(!page.contains("<script>alert"), "{page}");
        assert!(!page.contains("<img"), "{page}");
        assert!(page.contains("&lt;b&gt;hi&lt;/b&gt;"));
        assert!(
            page.contains("srcdoc=\"&lt;base target=_blank&gt;&lt;p title=&quot;x&quot;&gt;hello&lt;/p&gt;")
        );
    }

    #[test]
    fn the_newest_message_is_first_and_each_number_has_one_phone() {
        let mut texts = [("+1", "first"), ("+2", "second"), ("+1", "third")].map(|(to, text)| {
            let mut entry = entry(Channel::Sms, to);
            entry.text = Some(text.to_owned());
            entry
        });
        texts[2].at = "2026-11-21T21:00:00Z".parse().unwrap();
        let page = page(&texts);
        let place = |text: &str| page.find(text).unwrap();
        assert!(place("third") < place("first") && place("first") < place("second"));
        assert_eq!(page.matches("<h3>+1</h3>").count(), 1);
    }

    #[test]
    fn waiting_times_are_told_in_words() {
        let now: Timestamp = "2026-11-21T20:00:00Z".parse().unwrap();
        let cases = [
            ("2026-11-21T19:00:00Z", ""),
            ("2026-11-21T20:05:00Z", ", in 5 min"),
            ("2026-11-21T22:05:00Z", ", in 2 h 5 min"),
            ("2026-11-24T21:05:00Z", ", in 3 d 1 h"),
        ];
        for (then, expected) in cases {
            assert_eq!(wait(now, then.parse().unwrap()), expected);
        }
    }
}
