//! What a booking, or a change to one, would set off, before anything is written: the timeline it would have.

use std::collections::BTreeSet;

use domain::booking::Booking;
use domain::compose::{Pages, bill, compose};
use domain::facts::Facts;
use domain::ids::{BookingId, BusinessId};
use domain::link::LinkKeys;
use domain::message::{CheckRow, Message, MessageStatus, Reason};
use domain::notification_type::NotificationType;
use domain::plan::plan;
use domain::reconcile::{reconcile, switched_off};
use domain::subject::SubjectId;
use domain::template::Templates;
use domain::trace::{Check, Verdict};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::already_told::{Warning, already_told, parts_near};
use crate::change_booking::{Change, Changed, Manner, prepare_change};
use crate::create_booking::{NewBooking, Prepared, keys_for, prepare};
use crate::error::{AppError, check_version};
use crate::load_facts::facts_around;
use crate::ports::{ClientBookings, Item, Key, PortError, Read, ReadLedger, Stored, first};
use crate::timeline::{Timeline, split};

/// The id of a booking that does not exist.
const NOT_MADE: &str = "dry-run";

/// The timeline that something would lead to. Messages that would leave have their text as it would be now.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DryRun {
    /// The timeline.
    #[serde(flatten)]
    pub timeline: Timeline,
    /// What staff should know, as at the making of the booking.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// Says what making a booking at `now` (UTC) would set off. Its id is not that which it would get. Links to the client's own pages, at `pages`,
/// are as long as they would be, and open nothing.
///
/// # Errors
/// What [`create_booking`](crate::create_booking::create_booking) would refuse it for.
pub async fn dry_run_booking<S: Read + ReadLedger + ClientBookings>(
    ports: &S,
    business_id: &BusinessId,
    new: &NewBooking,
    now: Timestamp,
    pages: &str,
) -> Result<DryRun, AppError> {
    let refused = |_| PortError::Permanent { operation: "making an id", source: "it is no id".into() };
    let id: BookingId = NOT_MADE.parse().map_err(refused)?;
    let keys = keys_for(business_id, new, None);
    let (found, parts) = futures::try_join!(ports.read(keys), parts_near(ports, business_id, new))?;
    let Prepared { booking, found, .. } = prepare(ports, business_id, new, id, found, now).await?;
    let warnings = already_told(ports, &booking, parts, now).await?;
    let timeline = foresee(ports, booking, &found, (Vec::new(), Vec::new()), now, pages).await?;
    Ok(DryRun { timeline, warnings })
}

/// Says what a change to a booking at `now` (UTC) would set off; `pages` as at [`dry_run_booking`].
///
/// # Errors
/// What [`change_booking`](crate::change_booking::change_booking) would refuse it for.
pub async fn dry_run_change<S: Read + ReadLedger>(
    ports: &S,
    (business_id, booking_id): (&BusinessId, &BookingId),
    change: Change,
    manner: Manner,
    if_match: Option<u64>,
    now: Timestamp,
    pages: &str,
) -> Result<DryRun, AppError> {
    let key = Key::Booking(business_id.clone(), booking_id.clone());
    let subject = SubjectId::Booking(booking_id.clone());
    let (found, rows) = futures::try_join!(ports.read(vec![key]), ports.ledger_of(business_id, &subject))?;
    let (booking, _) = first(&found, Item::booking).ok_or(AppError::NotFound { what: "booking" })?;
    check_version(if_match, booking.revision)?;
    let Changed { after, .. } = prepare_change(ports, booking, &change, manner, now).await?;
    let timeline = foresee(ports, after, &[], split(rows), now, pages).await?;
    Ok(DryRun { timeline, warnings: Vec::new() })
}

/// The timeline of a booking that is not stored so, over the rows it has.
async fn foresee(
    ports: &impl Read,
    booking: Booking,
    found: &[Stored],
    (mut messages, mut checks): (Vec<Message>, Vec<CheckRow>),
    now: Timestamp,
    pages: &str,
) -> Result<Timeline, AppError> {
    let facts = facts_around(ports, booking, found).await?;
    let plan = plan(&facts, now);
    let difference = reconcile(&facts, &plan, &messages, &checks, now);
    messages.retain(|row| !difference.messages.iter().any(|other| other.id == row.id));
    messages.extend(difference.messages);
    checks.retain(|row| !difference.checks.iter().any(|other| other.id == row.id));
    checks.extend(difference.checks);
    messages.extend(switched_off(&facts, &plan, &messages));
    let templates = templates_of(ports, &facts, &messages).await?;
    let keys = LinkKeys::sample(facts.business.id.clone());
    let pages = Pages { url: pages, keys: &keys, now };
    for message in messages.iter_mut().filter(|message| message.status.is_open()) {
        fill(&facts, &templates, message, pages);
    }
    Ok(Timeline::of(facts, messages, checks))
}

/// What the business has changed of the texts of the messages that are to leave.
async fn templates_of(
    ports: &impl Read,
    facts: &Facts,
    messages: &[Message],
) -> Result<Vec<Templates>, PortError> {
    let open = messages.iter().filter(|message| message.status.is_open());
    let kinds: BTreeSet<NotificationType> = open.map(|message| message.kind).collect();
    if kinds.is_empty() {
        return Ok(Vec::new());
    }
    let keys = kinds.into_iter().map(|kind| Key::Templates(facts.business.id.clone(), kind)).collect();
    let found = ports.read(keys).await?;
    Ok(found.iter().filter_map(|stored| stored.item.templates().cloned()).collect())
}

/// Gives a message its text, and an sms its size and price.
fn fill(facts: &Facts, templates: &[Templates], message: &mut Message, pages: Pages<'_>) {
    let own = templates.iter().find(|own| own.kind == message.kind);
    match compose(facts, &message.recipient, message.kind, message.channel, own, None, Some(pages)) {
        Ok(Some(content)) => {
            if let Some((segments, estimate)) = bill(facts, &message.recipient, &content) {
                (message.segments, message.estimate) = (Some(segments), estimate);
            }
            message.text = Some(content.text().to_owned());
        }
        Ok(None) => {}
        Err(_) => {
            message.status = MessageStatus::Suppressed;
            message.reason = Some(Reason::TemplateError);
            if let Some(trace) = message.traces.last_mut() {
                trace.note(Check::Template, Verdict::Suppress, "a value is missing");
            }
        }
    }
}
