//! Composing: what a message says, from the facts.

use jiff::Timestamp;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::booking::{Booking, Confirmation, EventKind, Source, Status};
use crate::business::Locale;
use crate::calendar::{Calendar, Invitation, Method, Visit, calendar};
use crate::campaign::Campaign;
use crate::channel::Channel;
use crate::contact::Email;
use crate::facts::{Facts, Subject};
use crate::ids::ClientId;
use crate::link::{LONGEST, LinkKeys, Of, Purpose, REVIEW};
use crate::notification_type::{Audience, NotificationType};
use crate::occasion::About;
use crate::recipient::{Person, Recipient};
use crate::sms::{Estimate, estimate, measure};
use crate::task::TaskLink;
use crate::template::{
    AccountValues, Action, BonusValues, BookingValues, BusinessValues, Button, Content, Links,
    LocationValues, MessageValues, OfferValues, PersonValues, ResourceValues, SeriesValues, ServiceValues,
    TemplateError, Templates, Values, buttons, fill_campaign, fill_whatsapp, render,
};
use crate::text::{Link, Name};

/// Where clients' own pages are, and what links to them are signed with.
#[derive(Debug, Clone, Copy)]
pub struct Pages<'a> {
    /// What stands before `/c/` in their addresses, such as `https://pages.example`.
    pub url: &'a str,
    /// The business's keys.
    pub keys: &'a LinkKeys,
    /// The present instant (UTC), from which their lives are counted.
    pub now: Timestamp,
}

/// The addresses of a client's own pages, each as far as it is of use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageLinks {
    confirm: Option<String>,
    cancel: Option<String>,
    reschedule: Option<String>,
    calendar: Option<String>,
    review: Option<String>,
    preferences: Option<String>,
    unsubscribe: Option<String>,
}

impl PageLinks {
    /// The pages that a reader of a message about these facts has: none where nobody says where they are, or the reader is no client.
    pub fn of(facts: &Facts, reader: Person<'_>, pages: Option<Pages<'_>>) -> Self {
        let (Some(pages), Person::Client(client)) = (pages, reader) else { return Self::default() };
        let of_client = |purpose| {
            let until = pages.now.checked_add(LONGEST).ok()?;
            pages.link(purpose, &Of::Client(client.id.clone()), &client.id, until)
        };
        let preferences = of_client(Purpose::Preferences);
        let unsubscribe = of_client(Purpose::Unsubscribe);
        let of_client = Self { preferences, unsubscribe, ..Self::default() };
        let Subject::Booking(booking) = &facts.subject else { return of_client };
        if !booking.client_ids.contains(&client.id) {
            return of_client;
        }
        let of = Of::Booking(booking.id.clone());
        let link = |purpose, until| pages.link(purpose, &of, &client.id, until);
        let ahead = |purpose| link(purpose, booking.start).filter(|_| booking.status.is_ahead());
        Self {
            confirm: ahead(Purpose::Confirm),
            cancel: ahead(Purpose::Cancel),
            reschedule: ahead(Purpose::Reschedule),
            // What is not confirmed yet is in no calendar, as with the files that go with mails.
            calendar: link(Purpose::Calendar, booking.end).filter(|_| booking.status == Status::Confirmed),
            review: booking
                .end
                .checked_add(REVIEW)
                .ok()
                .filter(|_| booking.status == Status::Completed)
                .and_then(|until| link(Purpose::Review, until)),
            ..of_client
        }
    }
}

impl Pages<'_> {
    fn link(&self, purpose: Purpose, of: &Of, client: &ClientId, until: Timestamp) -> Option<String> {
        let token = self.keys.sign(purpose, of, client, until, self.now)?;
        Some(format!("{}/c/{token}", self.url))
    }
}

/// Fills the text of a type for a recipient on a channel, and adds the calendar file where one goes with it. `own` is what the business has
/// changed of the type's texts; `sender` the address that e-mail comes from, without which there is no calendar file; `pages` where clients'
/// own pages are, without which there are no links to them.
///
/// # Errors
/// [`TemplateError`], see [`render`]; `Ok(None)` when there is no such recipient.
pub fn compose(
    facts: &Facts,
    recipient: &Recipient,
    kind: NotificationType,
    channel: Channel,
    own: Option<&Templates>,
    sender: Option<&Email>,
    pages: Option<Pages<'_>>,
) -> Result<Option<Content>, TemplateError> {
    let Some(person) = facts.person(recipient) else { return Ok(None) };
    let links = PageLinks::of(facts, person, pages);
    let (values, locale) = (values(facts, person, kind, &links), facts.locale(person));
    let written = match &facts.campaign {
        Some(campaign) => Some(write_out(campaign, &values, locale, channel)?),
        None => None,
    };
    let of_campaign =
        written.as_ref().map(|(subject, text)| MessageValues { subject: subject.as_deref(), text });
    let values = Values { message: values.message.or(of_campaign), ..values };
    if let (Channel::Whatsapp, Some(template)) = (channel, facts.business.whatsapp_templates.get(&kind)) {
        return fill_whatsapp(&values, locale, kind, template).map(Some);
    }
    let mut content = render(&values, locale, kind, channel, own)?;
    match &mut content {
        Content::Email { calendar, .. } => *calendar = invitation(facts, person, kind, sender),
        Content::Push { link, .. } => *link = app_link(facts),
        Content::Telegram { buttons, .. } => *buttons = answers(facts, person, kind),
        Content::Assisted { text, links } => *links = ways_to_send(person, &facts.business.name, text),
        Content::Sms { .. } | Content::Whatsapp { .. } => {}
    }
    Ok(Some(content))
}

/// The subject and the text of a campaign to one reader (S46).
fn write_out(
    campaign: &Campaign,
    values: &Values<'_>,
    locale: Locale,
    channel: Channel,
) -> Result<(Option<String>, String), TemplateError> {
    let fill = |text| fill_campaign(text, values, locale, channel);
    let subject = campaign.subject.as_ref().map(|subject| fill(subject.as_str())).transpose()?;
    Ok((subject, fill(campaign.text.as_str())?))
}

/// The size of an sms and its price (S65, S68); `None` for anything else.
pub fn bill(facts: &Facts, recipient: &Recipient, content: &Content) -> Option<(u32, Option<Estimate>)> {
    let (Content::Sms { text }, Some(person)) = (content, facts.person(recipient)) else { return None };
    let segments = measure(text).segments;
    let price = person.phone().and_then(|phone| estimate(&facts.business.sms_prices, phone, segments));
    Some((segments, price))
}

/// Where the business's app shows the booking.
fn app_link(facts: &Facts) -> Option<String> {
    let (app, booking) = (facts.business.app_url.as_ref()?, facts.booking()?);
    Some(format!("{}/{}", app.as_str().trim_end_matches('/'), booking.id))
}

/// The buttons under a message to a client about a visit that is ahead: what was answered already is not asked again.
fn answers(facts: &Facts, person: Person<'_>, kind: NotificationType) -> Vec<Button> {
    let booking = facts.booking().filter(|booking| booking.status.is_ahead());
    let (Some(booking), Person::Client(_)) = (booking, person) else { return Vec::new() };
    let confirmed = booking.confirmation == Confirmation::Confirmed;
    let asked = |button: &Button| !(confirmed && button.action == Action::Confirm);
    buttons(kind, facts.locale(person)).into_iter().filter(asked).collect()
}

/// Links that open a text, addressed, in the apps by which the person can be reached (S67).
fn ways_to_send(person: Person<'_>, business: &Name, text: &str) -> Vec<TaskLink> {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let text = encode(text);
    let mut links = Vec::new();
    let mut add = |app: &str, url| links.push(TaskLink { app: app.to_owned(), url });
    if let Some(phone) = person.phone() {
        let digits = phone.as_str().trim_start_matches('+');
        // <https://faq.whatsapp.com/5913398998672934>, <https://core.telegram.org/api/links#phone-number-links>, RFC 5724 §2
        add("whatsapp", format!("https://wa.me/{digits}?text={text}"));
        add("telegram", format!("https://t.me/+{digits}?text={text}"));
        add("sms", format!("sms:+{digits}?body={text}"));
    }
    if let Some(email) = person.email() {
        let subject = encode(business.as_str());
        add("email", format!("mailto:{}?subject={subject}&body={text}", encode(email.as_str())));
    }
    links
}

/// What texts of a type may speak of, for one reader.
pub fn values<'a>(
    facts: &'a Facts,
    reader: Person<'a>,
    kind: NotificationType,
    pages: &'a PageLinks,
) -> Values<'a> {
    let booking = facts.booking();
    let confirmed = booking.is_some_and(|booking| booking.confirmation == Confirmation::Confirmed);
    let asks = kind != NotificationType::Reminder || facts.rule(kind).confirmation_link;
    let about = match &facts.subject {
        Subject::Booking(_) => None,
        Subject::Occasion(occasion, _) => Some(&occasion.about),
    };
    let client = match reader {
        Person::Client(_) => Some(reader),
        Person::Staff(_) => facts.clients.first().map(Person::Client),
    };
    let offered = match about {
        Some(About::WaitlistOffer { start, end, .. }) => Some((*start, *end)),
        _ => booking.map(|booking| (booking.start, booking.end)),
    };
    Values {
        client: client.map(person_values),
        staff: matches!(reader, Person::Staff(_)).then(|| person_values(reader)),
        business: BusinessValues {
            name: facts.business.name.as_str(),
            legal_name: facts.business.legal_name.as_ref().map(Name::as_str),
            phone: facts.business.phone.as_ref().map(|phone| phone.as_str()),
            site: facts.business.site.as_ref().map(Link::as_str),
            signature: facts.business.signature.as_ref().map(Name::as_str),
        },
        location: facts.location.as_ref().map(|location| LocationValues {
            name: location.name.as_str(),
            address: location.address.as_ref().map(Name::as_str),
            map_url: location.map_url.as_ref().map(Link::as_str),
        }),
        resource: facts
            .resource
            .as_ref()
            .map(|resource| ResourceValues { name: resource.name.as_str(), kind: resource.kind }),
        service: facts.service.as_ref().map(|service| ServiceValues {
            name: service.name.as_str(),
            price: service.price.as_ref(),
            duration_minutes: service.duration_minutes,
        }),
        booking: offered.map(|(start, end)| BookingValues {
            start,
            end,
            zone: facts.zone(),
            number: booking.map_or("", number),
            price: booking.and_then(|booking| booking.price.as_ref()),
        }),
        reader_zone: reader.zone().filter(|zone| *zone != facts.zone()),
        links: Links {
            booking: facts.business.booking_url.as_ref().map(Link::as_str),
            // The business's own page for reviews goes before ours.
            review: facts.business.review_url.as_ref().map(Link::as_str).or(pages.review.as_deref()),
            tip: facts.business.tip_url.as_ref().map(Link::as_str),
            map: facts.location.as_ref().and_then(|location| location.map_url.as_ref()).map(Link::as_str),
            confirm: pages.confirm.as_deref(),
            cancel: pages.cancel.as_deref(),
            reschedule: pages.reschedule.as_deref(),
            preferences: pages.preferences.as_deref(),
            unsubscribe: pages.unsubscribe.as_deref(),
            calendar: pages.calendar.as_deref(),
        },
        asks: asks && !confirmed,
        account: match about {
            Some(About::AccountOperation { operation, amount, balance, .. }) => {
                Some(AccountValues { operation: *operation, amount, balance: balance.as_ref() })
            }
            _ => None,
        },
        bonus: match about {
            Some(About::Bonus { bonus, amount, balance }) => {
                Some(BonusValues { kind: *bonus, amount, balance: balance.as_ref() })
            }
            _ => None,
        },
        code: match about {
            Some(About::VerificationCode { code }) => Some(code.as_str()),
            _ => None,
        },
        message: match about {
            Some(About::Individual { subject, text, .. }) => {
                Some(MessageValues { subject: subject.as_ref().map(Name::as_str), text: text.as_str() })
            }
            _ => None,
        },
        series: booking
            .and_then(|booking| booking.series.as_ref())
            .map(|series| SeriesValues { count: series.count, starts: &series.starts }),
        offer: match about {
            Some(About::WaitlistOffer { until, .. }) => {
                Some(OfferValues { until: *until, zone: facts.zone() })
            }
            _ => None,
        },
    }
}

fn person_values(person: Person<'_>) -> PersonValues<'_> {
    PersonValues {
        name: person.name().as_str(),
        phone: person.phone().map(|phone| phone.as_str()),
        email: person.email().map(Email::as_str),
    }
}

/// The last eight characters of a booking's id: short enough to say on the phone.
fn number(booking: &Booking) -> &str {
    let id = booking.id.as_str();
    id.get(id.len().saturating_sub(8)..).unwrap_or(id)
}

/// The calendar file that goes with news of a confirmed booking to its client.
fn invitation(
    facts: &Facts,
    person: Person<'_>,
    kind: NotificationType,
    sender: Option<&Email>,
) -> Option<Calendar> {
    use NotificationType as Type;
    let Subject::Booking(booking) = &facts.subject else { return None };
    let (sender, attendee) = (sender?, person.email()?);
    if kind.audience() != Audience::Client {
        return None;
    }
    let method = match kind {
        Type::BookingCreated | Type::BookingConfirmed | Type::BookingRescheduled | Type::BookingChanged => {
            (booking.status == Status::Confirmed).then_some(Method::Request)
        }
        // What was never confirmed is in no calendar.
        Type::BookingCancelled => was_confirmed(booking).then_some(Method::Cancel),
        _ => None,
    }?;
    let visit = Visit {
        booking_id: &booking.id,
        sequence: booking.revision,
        changed_at: changed_at(booking),
        start: booking.start,
        end: booking.end,
        summary: facts.service.as_ref()?.name.as_str(),
        location: facts
            .location
            .as_ref()
            .map(|location| location.address.as_ref().unwrap_or(&location.name).as_str()),
    };
    let organizer = (facts.business.name.as_str(), sender);
    calendar(&visit, &Invitation { method, organizer, attendee: (person.name().as_str(), attendee) }).ok()
}

fn was_confirmed(booking: &Booking) -> bool {
    booking.source == Source::Staff || booking.latest(&EventKind::Confirmed).is_some()
}

fn changed_at(booking: &Booking) -> Timestamp {
    booking.history.last().map_or(booking.start, |event| event.at)
}
