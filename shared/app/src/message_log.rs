//! The message log (S47–S49): what was sent, is planned and was withheld, of a business, to a client or a staff member, or about a booking.

use domain::channel::Channel;
use domain::ids::{BookingId, BusinessId, ClientId, MessageId, OccasionId, StaffId};
use domain::message::{Message, MessageStatus};
use domain::notification_type::NotificationType;
use domain::recipient::Recipient;
use domain::subject::SubjectId;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::AppError;
use crate::pages::{Portion, sift};
use crate::ports::{Item, Key, Listed, Log, MessageLog, PortError, Read, ReadLedger};
use crate::spreadsheet::{Cells, sheet};

/// Which messages are looked for: all that fit what is given.
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    /// Those that are due at this instant (UTC) or later.
    pub from: Option<Timestamp>,
    /// Those that are due before this instant (UTC). Without it, what is planned is looked for too.
    pub until: Option<Timestamp>,
    /// Of these types; none means of any.
    pub types: Vec<NotificationType>,
    /// On these channels; none means on any.
    pub channels: Vec<Channel>,
    /// That stand so; none means however they stand.
    pub statuses: Vec<MessageStatus>,
    /// To whom, by role.
    pub recipient: Option<RecipientRole>,
    /// To this client.
    pub client_id: Option<ClientId>,
    /// To this staff member.
    pub staff_id: Option<StaffId>,
    /// About this booking.
    pub booking_id: Option<BookingId>,
    /// For this occasion.
    pub occasion_id: Option<OccasionId>,
}

/// What a recipient is to the business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecipientRole {
    /// A client.
    Client,
    /// A staff member.
    Staff,
}

impl LogFilter {
    /// Whether a message is looked for, as far as that is not said by where it is found.
    fn takes(&self, message: &Message) -> bool {
        let role = match &message.recipient {
            Recipient::Client(_) => RecipientRole::Client,
            Recipient::Staff(_) => RecipientRole::Staff,
        };
        let (client, staff) = match &message.recipient {
            Recipient::Client(id) => (Some(id), None),
            Recipient::Staff(id) => (None, Some(id)),
        };
        let (booking, occasion) = match &message.subject {
            SubjectId::Booking(id) => (Some(id), None),
            SubjectId::Occasion(id) => (None, Some(id)),
        };
        fn is<T: PartialEq>(wanted: &Option<T>, found: Option<&T>) -> bool {
            wanted.is_none() || wanted.as_ref() == found
        }
        (self.types.is_empty() || self.types.contains(&message.kind))
            && (self.channels.is_empty() || self.channels.contains(&message.channel))
            && (self.statuses.is_empty() || self.statuses.contains(&message.status))
            && self.recipient.is_none_or(|wanted| wanted == role)
            && is(&self.client_id, client)
            && is(&self.staff_id, staff)
            && is(&self.booking_id, booking)
            && is(&self.occasion_id, occasion)
    }
}

/// A place in a log: when the message there is due (UTC), and which it is.
type Place = (Timestamp, Option<MessageId>);

/// One page of the messages that are looked for, the latest due first; `cursor` is what the page before gave as next.
///
/// One Query and one read for each 100 messages that are looked at, which are 1,000 or some more at the most: a page may hold fewer than `limit`,
/// and none, although more follow.
///
/// # Errors
/// [`AppError::Invalid`] for a cursor that is none, and for a period that ends before it begins.
pub async fn message_log<S: Read + ReadLedger + MessageLog>(
    ports: &S,
    business_id: &BusinessId,
    filter: &LogFilter,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Listed, AppError> {
    let from = filter.from.unwrap_or(Timestamp::UNIX_EPOCH).max(Timestamp::UNIX_EPOCH);
    let until = filter.until.unwrap_or(Timestamp::MAX);
    if until <= from {
        return Err(AppError::invalid("until", "an instant after from"));
    }
    let before = match cursor {
        Some(cursor) => read_cursor(cursor)
            .ok_or_else(|| AppError::invalid("cursor", "what the page before gave as next"))?,
        None => (until, None),
    };
    let wanted = |item: &Item| item.message().is_some_and(|message| filter.takes(message));
    let subject = match (&filter.booking_id, &filter.occasion_id) {
        (Some(id), _) => Some(SubjectId::Booking(id.clone())),
        (None, Some(id)) => Some(SubjectId::Occasion(id.clone())),
        (None, None) => None,
    };
    let (items, next) = match subject {
        Some(subject) => {
            let subject = &subject;
            let portion = |before: Place, limit| portion_of(ports, business_id, subject, before, from, limit);
            sift(limit, before, portion, wanted).await?
        }
        None => {
            let log = &match (&filter.client_id, &filter.staff_id) {
                (Some(id), _) => Log::To(Recipient::Client(id.clone())),
                (None, Some(id)) => Log::To(Recipient::Staff(id.clone())),
                (None, None) => Log::Business,
            };
            let portion = |before: Place, limit| portion_of_log(ports, business_id, log, before, from, limit);
            sift(limit, before, portion, wanted).await?
        }
    };
    Ok(Listed { items, next: next.map(|(due, id)| write_cursor(due, id.as_ref())) })
}

pub(crate) fn read_cursor(text: &str) -> Option<Place> {
    let (due, id) = text.split_once(',')?;
    Some((due.parse().ok()?, Some(id.parse().ok()?)))
}

pub(crate) fn write_cursor(due: Timestamp, id: Option<&MessageId>) -> String {
    format!("{due},{}", id.map_or("", MessageId::as_str))
}

/// Messages of a log as they are now, in the order of the index.
pub(crate) async fn portion_of_log(
    ports: &(impl Read + MessageLog),
    business_id: &BusinessId,
    log: &Log,
    before: Place,
    from: Timestamp,
    limit: u32,
) -> Result<Portion<Place>, PortError> {
    let rows = ports.messages_before(business_id, log, &before, from, limit).await?;
    let more = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let keys: Vec<_> = rows.iter().map(|(_, key)| key.clone()).collect();
    let mut found = if keys.is_empty() { Vec::new() } else { ports.read(keys).await? };
    let places = rows.into_iter().map(|(due, key)| {
        let at = found.iter().position(|stored| stored.item.key() == key);
        let id = match key {
            Key::Message(_, _, id) => Some(id),
            _ => None,
        };
        ((due, id), at.map(|at| found.swap_remove(at)))
    });
    Ok(Portion { places: places.collect(), more })
}

/// Messages of a booking or an occasion, whose ledger is read whole.
async fn portion_of(
    ports: &impl ReadLedger,
    business_id: &BusinessId,
    subject: &SubjectId,
    before: Place,
    from: Timestamp,
    limit: u32,
) -> Result<Portion<Place>, PortError> {
    let rows = ports.ledger_of(business_id, subject).await?;
    let mut places: Vec<_> = rows
        .into_iter()
        .filter_map(|row| {
            let message = row.item.message()?;
            let place = (message.due, Some(message.id.clone()));
            Some((place, Some(row)))
        })
        .filter(|(place, _)| *place < before && place.0 >= from)
        .collect();
    places.sort_by(|(one, _), (other, _)| other.cmp(one));
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = places.len() > limit;
    places.truncate(limit);
    Ok(Portion { places, more })
}

/// The columns of a log as a spreadsheet.
const COLUMNS: [&str; 18] = [
    "due",
    "type",
    "channel",
    "status",
    "reason",
    "recipient",
    "recipient_id",
    "address",
    "text",
    "segments",
    "cost_thousandths",
    "currency",
    "sent_at",
    "delivered_at",
    "read_at",
    "booking_id",
    "occasion_id",
    "id",
];

/// Messages as CSV: instants in UTC, the cost of an sms in thousandths of a minor unit.
///
/// # Errors
/// [`PortError`] where it cannot be written, which it always can.
pub fn log_sheet(listed: &Listed) -> Result<String, PortError> {
    let messages = listed.items.iter().filter_map(|stored| stored.item.message());
    sheet(&COLUMNS, messages.map(cells))
}

fn cells(message: &Message) -> Cells {
    let at = |instant: Option<Timestamp>| instant.map(|at| at.to_string());
    let (role, recipient) = match &message.recipient {
        Recipient::Client(id) => ("client", id.to_string()),
        Recipient::Staff(id) => ("staff", id.to_string()),
    };
    let (booking, occasion) = match &message.subject {
        SubjectId::Booking(id) => (Some(id.to_string()), None),
        SubjectId::Occasion(id) => (None, Some(id.to_string())),
    };
    let estimate = message.estimate.as_ref();
    vec![
        Some(message.due.to_string()),
        Some(message.kind.to_string()),
        Some(message.channel.to_string()),
        word(&message.status),
        message.reason.as_ref().and_then(word),
        Some(role.to_owned()),
        Some(recipient),
        message.address.clone(),
        message.text.clone(),
        message.segments.map(|segments| segments.to_string()),
        estimate.map(|estimate| estimate.thousandths.to_string()),
        estimate.map(|estimate| estimate.currency.clone().into()),
        at(message.sent_at),
        at(message.delivered_at),
        at(message.read_at),
        booking,
        occasion,
        Some(message.id.to_string()),
    ]
}

/// A word as the API says it.
fn word(value: &impl serde::Serialize) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(str::to_owned)
}
