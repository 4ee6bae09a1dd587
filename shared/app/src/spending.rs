//! What a business spends on sms in a month, and what is still to come (S68).

use std::collections::BTreeMap;

use domain::booking::Booking;
use domain::channel::Channel;
use domain::compose::Pages;
use domain::ids::{BookingId, BusinessId};
use domain::link::LinkKeys;
use domain::message::{Message, MessageStatus};
use domain::money::{Currency, Money};
use domain::notification_type::NotificationType;
use domain::sms::Estimate;
use domain::subject::SubjectId;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::AppError;
use crate::load_facts::facts_among;
use crate::message_log::{portion_of_log, read_cursor, write_cursor};
use crate::pages::LOOKED_AT;
use crate::ports::{Item, Key, Log, MessageLog, PortError, Read, first};
use crate::preview_settings::{Cache, price_of};

/// How many messages are read at once.
const AT_ONCE: u32 = 100;

/// What was and will be spent on messages that are due in a month (UTC).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Spending {
    /// The month, such as `2026-11`.
    pub month: String,
    /// What the business allows itself in a month.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub limit: Option<Money>,
    /// Whether all of the month's messages were counted, together with the answers before.
    pub complete: bool,
    /// Where to go on, if not: the answers then add up.
    pub next: Option<String>,
    /// What has left, or may have.
    pub sent: Spent,
    /// What is still to leave, with the texts, prices and addresses there are now.
    pub planned: Spent,
    /// The same for each type and channel.
    pub by: Vec<SpendingOf>,
}

/// Messages and what they cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Spent {
    /// How many messages.
    pub messages: u64,
    /// Of sms that have left: in how many parts.
    pub segments: u64,
    /// What the sms cost by the price table, for each currency.
    pub cost: Vec<SmsCost>,
    /// Sms whose price is not known: no price is given for the country, or it cannot be told yet what they say.
    pub unpriced: u64,
}

/// An amount of sms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SmsCost {
    /// The currency.
    pub currency: Currency,
    /// In thousandths of a minor unit.
    pub thousandths: i64,
}

/// What is spent on one type of message on one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SpendingOf {
    /// The type.
    #[serde(rename = "type")]
    pub kind: NotificationType,
    /// The channel.
    pub channel: Channel,
    /// What has left, or may have.
    pub sent: Spent,
    /// What is still to leave.
    pub planned: Spent,
}

impl Spent {
    fn add(&mut self, channel: Channel, segments: Option<u32>, price: Option<&Estimate>) {
        self.messages += 1;
        self.segments += u64::from(segments.unwrap_or(0));
        match price {
            Some(Estimate { thousandths, currency }) => {
                match self.cost.iter_mut().find(|cost| cost.currency == *currency) {
                    Some(cost) => cost.thousandths += thousandths,
                    None => self.cost.push(SmsCost { currency: currency.clone(), thousandths: *thousandths }),
                }
            }
            None if channel == Channel::Sms => self.unpriced += 1,
            None => {}
        }
    }
}

/// Whether a message counts as sent: what may have left is paid for as well.
fn was_sent(message: &Message) -> bool {
    message.sent_at.is_some() || message.status == MessageStatus::Unknown
}

/// Counts a month's messages, 1,000 or some more in one call; `cursor` is where the call before ended. A message belongs to the month in which it
/// is due. What is planned is priced by filling in its text, as a change of settings is previewed: as it would be at `now` (UTC), with links to
/// clients' own pages at `pages`.
///
/// # Errors
/// [`AppError::Invalid`] names the month or the cursor.
pub async fn spending<S: Read + MessageLog>(
    ports: &S,
    business_id: &BusinessId,
    month: &str,
    cursor: Option<&str>,
    now: Timestamp,
    pages: &str,
) -> Result<Spending, AppError> {
    let (from, until) =
        bounds(month).ok_or_else(|| AppError::invalid("month", "a month such as \"2026-11\""))?;
    let mut before = match cursor {
        Some(cursor) => read_cursor(cursor)
            .filter(|(due, _)| (from..until).contains(due))
            .ok_or_else(|| AppError::invalid("cursor", "what the answer before gave as next"))?,
        None => (until, None),
    };
    let mut keys = vec![Key::Business(business_id.clone())];
    keys.extend(NotificationType::ALL.iter().map(|kind| Key::Templates(business_id.clone(), *kind)));
    let found = ports.read(keys).await?;
    let (business, _) = first(&found, Item::business).ok_or(AppError::NotFound { what: "business" })?;
    let mut spending = Spending {
        month: month.to_owned(),
        limit: business.sms_limits.per_month.clone(),
        complete: false,
        next: None,
        sent: Spent::default(),
        planned: Spent::default(),
        by: Vec::new(),
    };
    let link_keys = LinkKeys::sample(business_id.clone());
    let pages = Pages { url: pages, keys: &link_keys, now };
    let mut cache = Cache::new(found);
    let mut by: BTreeMap<(NotificationType, Channel), (Spent, Spent)> = BTreeMap::new();
    let mut looked_at = 0;
    while looked_at < LOOKED_AT && !spending.complete {
        let portion =
            portion_of_log(ports, business_id, &Log::Business, before.clone(), from, AT_ONCE).await?;
        looked_at += portion.places.len();
        spending.complete = !portion.more;
        before = portion.places.last().map_or(before, |(place, _)| place.clone());
        let rows = portion.places.into_iter().filter_map(|(_, stored)| stored);
        let messages: Vec<Message> = rows.filter_map(|stored| stored.item.message().cloned()).collect();
        let bookings = bookings_of(ports, &mut cache, business_id, &messages).await?;
        for message in &messages {
            let (sent, planned) = by.entry((message.kind, message.channel)).or_default();
            if was_sent(message) {
                for spent in [sent, &mut spending.sent] {
                    spent.add(message.channel, message.segments, message.estimate.as_ref());
                }
            } else if message.status.is_open() {
                let price = price_ahead(&cache, &bookings, message, pages);
                for spent in [planned, &mut spending.planned] {
                    spent.add(message.channel, None, price.as_ref());
                }
            }
        }
    }
    spending.next = (!spending.complete).then(|| write_cursor(before.0, before.1.as_ref()));
    spending.by = by
        .into_iter()
        .filter(|(_, (sent, planned))| sent.messages + planned.messages > 0)
        .map(|((kind, channel), (sent, planned))| SpendingOf { kind, channel, sent, planned })
        .collect();
    Ok(spending)
}

/// The first instant of a month (UTC) and of the next.
fn bounds(month: &str) -> Option<(Timestamp, Timestamp)> {
    let fits = month.len() == 7 && month.bytes().enumerate().all(|(at, b)| (b == b'-') == (at == 4));
    let first: Date = fits.then(|| format!("{month}-01").parse().ok())??;
    let instant = |date: Date| date.to_zoned(TimeZone::UTC).ok().map(|day| day.timestamp());
    Some((instant(first)?, instant(first.last_of_month().tomorrow().ok()?)?))
}

/// The bookings whose sms are still to leave, with all they refer to read.
async fn bookings_of(
    ports: &impl Read,
    cache: &mut Cache,
    business_id: &BusinessId,
    messages: &[Message],
) -> Result<BTreeMap<BookingId, Booking>, PortError> {
    let ahead = messages.iter().filter(|row| row.channel == Channel::Sms && row.status.is_open());
    let ids = ahead.filter_map(|row| match &row.subject {
        SubjectId::Booking(id) => Some(id.clone()),
        SubjectId::Occasion(_) => None,
    });
    let keys: Vec<Key> = ids.map(|id| Key::Booking(business_id.clone(), id)).collect();
    cache.fetch(ports, keys.clone()).await?;
    let bookings: Vec<Booking> =
        keys.iter().filter_map(|key| cache.get(key).and_then(Item::booking).cloned()).collect();
    cache.fetch_around(ports, &bookings).await?;
    Ok(bookings.into_iter().map(|booking| (booking.id.clone(), booking)).collect())
}

/// What an sms would cost if it left now.
fn price_ahead(
    cache: &Cache,
    bookings: &BTreeMap<BookingId, Booking>,
    row: &Message,
    pages: Pages<'_>,
) -> Option<Estimate> {
    let SubjectId::Booking(id) = &row.subject else { return None };
    let booking = bookings.get(id).filter(|_| row.channel == Channel::Sms)?;
    let facts = facts_among(booking.clone(), |key| cache.get(key)).ok()?;
    let own = cache.get(&Key::Templates(row.business_id.clone(), row.kind)).and_then(Item::templates);
    price_of(&facts, &row.recipient, row.kind, row.channel, own, pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s68_a_month_is_that_of_utc() {
        let bounds_of = |month| bounds(month).map(|(from, until)| format!("{from} {until}"));
        assert_eq!(bounds_of("2026-12").unwrap(), "2026-12-01T00:00:00Z 2027-01-01T00:00:00Z");
        assert_eq!(bounds_of("2028-02").unwrap(), "2028-02-01T00:00:00Z 2028-03-01T00:00:00Z");
        for bad in ["", "2026", "2026-13", "2026-1", "26-11", "2026-11-01", "2026-1x", "20-6-11"] {
            assert_eq!(bounds_of(bad), None, "{bad}");
        }
    }
}
