//! Templates: the texts of messages, and how they are filled.

use jiff::Zoned;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};

use crate::business::Locale;
use crate::channel::Channel;
use crate::facts::Facts;
use crate::notification_type::NotificationType;
use crate::recipient::Person;

/// How many template instructions a text may take: texts of ours need a few hundred.
const FUEL: u64 = 20_000;

/// A text, ready to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// An e-mail.
    Email {
        /// The subject, one line.
        subject: String,
        /// The plain text.
        text: String,
        /// The same as HTML.
        html: String,
    },
    /// A text message.
    Sms {
        /// The text.
        text: String,
    },
    /// A push message.
    Push {
        /// The title: the business's name.
        title: String,
        /// The body.
        body: String,
    },
}

impl Content {
    /// What the message log keeps.
    pub fn text(&self) -> &str {
        match self {
            Content::Email { text, .. } | Content::Sms { text } | Content::Push { body: text, .. } => text,
        }
    }
}

/// A text could not be made: a value is missing or the template is wrong.
#[derive(Debug, thiserror::Error)]
#[error("the template for {kind} by {channel} could not be filled")]
pub struct TemplateError {
    kind: NotificationType,
    channel: Channel,
    #[source]
    source: minijinja::Error,
}

/// The built-in text of a type: `subject` and `body` for e-mail, `short` for sms and push.
struct Texts {
    subject: &'static str,
    short: &'static str,
    body: &'static str,
}

/// Fills the text of a type for a client on a channel.
///
/// # Errors
/// [`TemplateError`] when a value the text needs is missing; nothing half-filled is ever returned.
pub fn render(
    facts: &Facts,
    client: Person<'_>,
    kind: NotificationType,
    channel: Channel,
) -> Result<Content, TemplateError> {
    let locale = facts.locale(client);
    let texts = texts(kind, locale);
    let fill = |template: &str, html: bool| fill(facts, client, template, html);
    let content = || -> Result<Content, minijinja::Error> {
        Ok(match channel {
            Channel::Email => Content::Email {
                subject: fill(texts.subject, false)?,
                text: fill(&format!("{}\n\n{}", texts.body, footer(locale)), false)?,
                html: fill(&page(texts.body, footer(locale), locale), true)?,
            },
            Channel::Sms => {
                Content::Sms { text: fill(&format!("{{{{ business.name }}}}: {}", texts.short), false)? }
            }
            Channel::Push => Content::Push {
                title: facts.business.name.as_str().to_owned(),
                body: fill(texts.short, false)?,
            },
        })
    };
    content().map_err(|source| TemplateError { kind, channel, source })
}

fn fill(facts: &Facts, client: Person<'_>, template: &str, html: bool) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(move |_| if html { AutoEscape::Html } else { AutoEscape::None });
    let locale = facts.locale(client);
    let Facts { business, location, resource, service, .. } = facts;
    let (Some(location), Some(resource), Some(service), Some(booking)) =
        (location, resource, service, facts.booking())
    else {
        return Err(minijinja::Error::new(minijinja::ErrorKind::UndefinedError, "no booking"));
    };
    environment.render_str(
        template,
        context! {
            client => context! { name => client.name().as_str() },
            business => context! {
                name => business.name.as_str(),
                phone => business.phone.as_ref().map(|phone| phone.as_str()),
                booking_url => business.booking_url.as_ref().map(|link| link.as_str()),
            },
            location => context! { name => location.name.as_str(), address => location.address.as_ref().map(|name| name.as_str()) },
            resource => context! { name => resource.name.as_str() },
            service => context! { name => service.name.as_str() },
            booking => context! {
                when => spoken(booking.zone.at(booking.start), locale),
                time => booking.zone.at(booking.start).strftime("%H:%M").to_string(),
            },
        },
    )
}

/// A wall time as people say it: `Monday 23 November at 10:00`, `23.11.2026 в 10:00`.
fn spoken(at: Zoned, locale: Locale) -> String {
    let format = match locale {
        Locale::En => "%A %-d %B at %H:%M",
        Locale::Ru => "%d.%m.%Y в %H:%M",
    };
    at.strftime(format).to_string()
}

fn footer(locale: Locale) -> &'static str {
    match locale {
        Locale::En => {
            "{{ business.name }}, {{ location.name }}{% if location.address %}, {{ location.address }}{% endif %}{% if business.phone %}\nPhone {{ business.phone }}{% endif %}"
        }
        Locale::Ru => {
            "{{ business.name }}, {{ location.name }}{% if location.address %}, {{ location.address }}{% endif %}{% if business.phone %}\nТелефон {{ business.phone }}{% endif %}"
        }
    }
}

fn page(body: &str, footer: &str, locale: Locale) -> String {
    let lang = match locale {
        Locale::En => "en",
        Locale::Ru => "ru",
    };
    let paragraphs: String = body.split("\n\n").map(|text| format!("<p>{text}</p>")).collect();
    let footer = footer.replace('\n', "<br>");
    format!(
        "<!doctype html><html lang=\"{lang}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"></head>\
         <body style=\"font:16px/1.5 sans-serif;color:#222;max-width:36em;margin:0 auto;padding:24px\">\
         {paragraphs}<p style=\"color:#666;font-size:14px\">{footer}</p></body></html>"
    )
}

fn texts(kind: NotificationType, locale: Locale) -> Texts {
    use Locale::{En, Ru};
    let (subject, short, body) = match (kind, locale) {
        (NotificationType::BookingCreated, En) => (
            "Your booking at {{ business.name }}",
            "You are booked for {{ service.name }} on {{ booking.when }}, {{ location.name }}.",
            "Hello {{ client.name }},\n\nyou are booked for {{ service.name }} with {{ resource.name }} on {{ booking.when }}.",
        ),
        (NotificationType::BookingCreated, Ru) => (
            "Ваша запись в {{ business.name }}",
            "Вы записаны: {{ service.name }}, {{ booking.when }}, {{ location.name }}.",
            "Здравствуйте, {{ client.name }}!\n\nВы записаны: {{ service.name }}, {{ resource.name }}, {{ booking.when }}.",
        ),
        (NotificationType::BookingConfirmed, En) => (
            "Your booking is confirmed",
            "Your booking for {{ service.name }} on {{ booking.when }} is confirmed.",
            "Hello {{ client.name }},\n\nyour booking for {{ service.name }} with {{ resource.name }} on {{ booking.when }} is confirmed.",
        ),
        (NotificationType::BookingConfirmed, Ru) => (
            "Ваша запись подтверждена",
            "Запись подтверждена: {{ service.name }}, {{ booking.when }}.",
            "Здравствуйте, {{ client.name }}!\n\nЗапись подтверждена: {{ service.name }}, {{ resource.name }}, {{ booking.when }}.",
        ),
        (NotificationType::BookingRescheduled, En) => (
            "Your booking has moved",
            "Your booking for {{ service.name }} has moved to {{ booking.when }}.",
            "Hello {{ client.name }},\n\nyour booking for {{ service.name }} with {{ resource.name }} has moved to {{ booking.when }}.",
        ),
        (NotificationType::BookingRescheduled, Ru) => (
            "Ваша запись перенесена",
            "Запись перенесена: {{ service.name }}, новое время {{ booking.when }}.",
            "Здравствуйте, {{ client.name }}!\n\nЗапись перенесена: {{ service.name }}, {{ resource.name }}, новое время {{ booking.when }}.",
        ),
        (NotificationType::BookingCancelled, En) => (
            "Your booking is cancelled",
            "Your booking for {{ service.name }} on {{ booking.when }} is cancelled.",
            "Hello {{ client.name }},\n\nyour booking for {{ service.name }} on {{ booking.when }} is cancelled.",
        ),
        (NotificationType::BookingCancelled, Ru) => (
            "Ваша запись отменена",
            "Запись отменена: {{ service.name }}, {{ booking.when }}.",
            "Здравствуйте, {{ client.name }}!\n\nЗапись отменена: {{ service.name }}, {{ booking.when }}.",
        ),
        (NotificationType::Reminder, En) => (
            "See you on {{ booking.when }}",
            "We expect you for {{ service.name }} on {{ booking.when }}, {{ location.name }}.",
            "Hello {{ client.name }},\n\nwe expect you for {{ service.name }} with {{ resource.name }} on {{ booking.when }}.",
        ),
        (NotificationType::Reminder, Ru) => (
            "Ждём вас {{ booking.when }}",
            "Ждём вас: {{ service.name }}, {{ booking.when }}, {{ location.name }}.",
            "Здравствуйте, {{ client.name }}!\n\nЖдём вас: {{ service.name }}, {{ resource.name }}, {{ booking.when }}.",
        ),
        (NotificationType::RunningLate, En) => (
            "We are waiting for you",
            "Your visit was to start at {{ booking.time }}. Are you on your way?",
            "Hello {{ client.name }},\n\nyour visit for {{ service.name }} was to start at {{ booking.time }}. Are you on your way?",
        ),
        (NotificationType::RunningLate, Ru) => (
            "Мы вас ждём",
            "Ваш визит должен был начаться в {{ booking.time }}. Вы в пути?",
            "Здравствуйте, {{ client.name }}!\n\nВаш визит ({{ service.name }}) должен был начаться в {{ booking.time }}. Вы в пути?",
        ),
        (NotificationType::MissedBooking, En) => (
            "We missed you",
            "You were booked for {{ service.name }} on {{ booking.when }} and could not come.",
            "Hello {{ client.name }},\n\nyou were booked for {{ service.name }} on {{ booking.when }} and could not come. Tell us if something went wrong.",
        ),
        (NotificationType::MissedBooking, Ru) => (
            "Вы не пришли на визит",
            "Вы были записаны: {{ service.name }}, {{ booking.when }}, но не смогли прийти.",
            "Здравствуйте, {{ client.name }}!\n\nВы были записаны: {{ service.name }}, {{ booking.when }}, но не смогли прийти. Если что-то случилось, напишите нам.",
        ),
        (NotificationType::NoShowRecovery, En) => (
            "We would be glad to see you at {{ business.name }}",
            "Hello {{ client.name }}, you booked {{ service.name }} and could not come. We would be glad to see you.{% if business.booking_url %} {{ business.booking_url }}{% endif %}",
            "Hello {{ client.name }},\n\nyou booked {{ service.name }} with us and could not come. We would be glad to see you another time.{% if business.booking_url %}\n\nBook here: {{ business.booking_url }}{% endif %}",
        ),
        (NotificationType::NoShowRecovery, Ru) => (
            "Будем рады видеть вас в {{ business.name }}",
            "Здравствуйте, {{ client.name }}! Вы записывались ({{ service.name }}) и не смогли прийти. Будем рады вас видеть.{% if business.booking_url %} {{ business.booking_url }}{% endif %}",
            "Здравствуйте, {{ client.name }}!\n\nВы записывались к нам ({{ service.name }}) и не смогли прийти. Будем рады видеть вас в другой раз.{% if business.booking_url %}\n\nЗаписаться: {{ business.booking_url }}{% endif %}",
        ),
        _ => ("", "", ""),
    };
    Texts { subject, short, body }
}
