//! Showing what a text of a type says, filled with sample values or with those of a booking (S12), and what it costs as an sms (S65, S68).

use domain::business::{Business, Locale};
use domain::channel::Channel;
use domain::compose::{PageLinks, Pages, values};
use domain::facts::Facts;
use domain::ids::{BookingId, BusinessId};
use domain::link::LinkKeys;
use domain::notification_type::NotificationType;
use domain::recipient::Person;
use domain::resource::ResourceKind;
use domain::sms::{Parts, SmsPrice, measure};
use domain::subject::SubjectId;
use domain::template::{Content, InformationBlock, OwnText, ResourceValues, Templates, Values, render};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{AppError, chain};
use crate::load_facts::load_facts;
use crate::ports::{Item, Key, Read, Refs, first};

/// What to show.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewFields {
    /// On which channel.
    pub channel: Channel,
    /// In which language; without it the reader's, or with sample values the business's.
    #[serde(default)]
    pub locale: Option<Locale>,
    /// With sample values: for which kind of resource.
    #[serde(default)]
    pub resource_kind: Option<ResourceKind>,
    /// Who reads it.
    #[serde(default)]
    pub role: Role,
    /// The booking whose values to show; without it sample values.
    #[serde(default)]
    pub booking_id: Option<BookingId>,
    /// A text that is not saved yet: of an sms or a push the text, of an e-mail that of the information block.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 2000)]
    pub text: Option<String>,
}

/// Who reads a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A client.
    #[default]
    Client,
    /// A staff member: who serves, or a manager of the location.
    Staff,
}

/// A filled text.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Shown {
    /// In which language.
    pub locale: Locale,
    /// Of an e-mail: its subject. Of a push message: its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The text.
    pub text: String,
    /// Of an e-mail: the same as HTML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// Of an sms: its size and price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sms: Option<ShownSms>,
}

/// The size and the price of an sms.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ShownSms {
    /// Its size, and the characters that make it longer.
    #[serde(flatten)]
    pub parts: Parts,
    /// What it costs, by the beginning of the number, as far as the business has said.
    pub prices: Vec<PriceOf>,
}

/// What an sms costs to some numbers.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PriceOf {
    /// The beginning of the numbers.
    pub prefix: String,
    /// Thousandths of a minor unit.
    pub thousandths: i64,
    /// The currency.
    pub currency: domain::money::Currency,
}

/// Fills the text of a type, at `now` (UTC). Links to the client's own pages, at `pages`, are as long as they would be, and open nothing.
///
/// # Errors
/// [`AppError::InvalidTemplate`] when the text that is tried is wrong; [`AppError::Invalid`] when the booking lacks a value the text needs.
pub async fn preview_template(
    ports: &impl Read,
    business_id: &BusinessId,
    kind: NotificationType,
    fields: &PreviewFields,
    now: Timestamp,
    pages: &str,
) -> Result<Shown, AppError> {
    let along = [Key::Templates(business_id.clone(), kind), Key::Business(business_id.clone())];
    match &fields.booking_id {
        None => {
            let found = ports.read(along.to_vec()).await?;
            let missing = AppError::NotFound { what: "business" };
            let (business, _) = first(&found, Item::business).ok_or(missing)?;
            let saved = first(&found, Item::templates).map(|(templates, _)| templates);
            let locale = fields.locale.unwrap_or(business.locale);
            let resource_kind = fields.resource_kind;
            let own = tried(saved, business_id, kind, fields, locale, resource_kind)?;
            let mut values = Values::sample(locale);
            values.staff = values.staff.filter(|_| fields.role == Role::Staff);
            if let (Some(kind), Some(resource)) = (resource_kind, values.resource) {
                values.resource = Some(ResourceValues { kind, ..resource });
            }
            show(&values, business, locale, kind, fields, own.as_ref())
        }
        Some(booking_id) => {
            if fields.resource_kind.is_some() {
                return Err(AppError::invalid("resource_kind", "no value: the booking says which"));
            }
            let refs = Refs::of(business_id.clone(), SubjectId::Booking(booking_id.clone()));
            let loaded = load_facts(ports, &refs, &along[..1]).await?;
            let loaded = loaded.ok_or(AppError::NotFound { what: "booking" })?;
            let facts = &loaded.facts;
            let reader = reader(facts, fields.role)
                .ok_or_else(|| AppError::invalid("role", "somebody who is told of this booking"))?;
            let locale = fields.locale.unwrap_or_else(|| facts.locale(reader));
            let saved = first(&loaded.along, Item::templates).map(|(templates, _)| templates);
            let resource_kind = facts.resource.as_ref().map(|resource| resource.kind);
            let own = tried(saved, business_id, kind, fields, locale, resource_kind)?;
            let keys = LinkKeys::sample(business_id.clone());
            let links = PageLinks::of(facts, reader, Some(Pages { url: pages, keys: &keys, now }));
            show(&values(facts, reader, kind, &links), &facts.business, locale, kind, fields, own.as_ref())
        }
    }
}

fn reader(facts: &Facts, role: Role) -> Option<Person<'_>> {
    match role {
        Role::Client => facts.clients.first().map(Person::Client),
        Role::Staff => facts.staff.first().map(Person::Staff),
    }
}

/// The business's texts, with the text that is not saved yet in its place.
fn tried(
    saved: Option<&Templates>,
    business_id: &BusinessId,
    kind: NotificationType,
    fields: &PreviewFields,
    locale: Locale,
    resource_kind: Option<ResourceKind>,
) -> Result<Option<Templates>, AppError> {
    let Some(text) = fields.text.clone() else { return Ok(saved.cloned()) };
    let mut own = Templates::none(business_id.clone(), kind);
    match fields.channel {
        Channel::Email => {
            let saved = saved.and_then(|saved| saved.block(locale, resource_kind));
            own.blocks.push(InformationBlock {
                locale,
                resource_kind,
                text: Some(text),
                image: saved.and_then(|block| block.image.clone()),
                link: saved.and_then(|block| block.link.clone()),
            });
        }
        channel => own.texts.push(OwnText { channel, locale, resource_kind, text }),
    }
    own.check()
        .map_err(|invalid| domain::template::InvalidTemplate { path: "text".to_owned(), ..invalid })?;
    Ok(Some(own))
}

fn show(
    values: &Values<'_>,
    business: &Business,
    locale: Locale,
    kind: NotificationType,
    fields: &PreviewFields,
    own: Option<&Templates>,
) -> Result<Shown, AppError> {
    let content = render(values, locale, kind, fields.channel, own).map_err(|error| {
        let field = if fields.booking_id.is_some() { "booking_id" } else { "role" };
        AppError::invalid(field, format!("one that has all that the text says: {}", chain(&error)))
    })?;
    let shown = Shown { locale, subject: None, text: content.text().to_owned(), html: None, sms: None };
    Ok(match content {
        Content::Email { subject, html, .. } => Shown { subject: Some(subject), html: Some(html), ..shown },
        Content::Push { title, .. } => Shown { subject: Some(title), ..shown },
        Content::Sms { text } => {
            let parts = measure(&text);
            let prices = business.sms_prices.iter().map(|price| price_of(price, parts.segments)).collect();
            Shown { sms: Some(ShownSms { parts, prices }), ..shown }
        }
        Content::Whatsapp { .. } | Content::Telegram { .. } | Content::Assisted { .. } => shown,
    })
}

fn price_of(price: &SmsPrice, segments: u32) -> PriceOf {
    PriceOf {
        prefix: price.prefix.clone(),
        thousandths: price.per_thousand.minor.saturating_mul(i64::from(segments)),
        currency: price.per_thousand.currency.clone(),
    }
}
