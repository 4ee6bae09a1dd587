//! Doing something to a booking: confirm, move, cancel, mark arrived, completed or missed, ask and answer whether the client comes, edit.

use domain::booking::{Booking, Confirmation, Notify, Operation, Status};
use domain::ids::{BookingId, BusinessId, ClientId, ResourceId, ServiceId};
use domain::money::Money;
use domain::schema;
use domain::text::Notes;
use domain::timing::{Interval, Timing};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::create_booking::{
    By, TRIES, When, check_clients, check_reminders, clients_exist, of_this_business, participations,
    resource, visit,
};
use crate::edit_catalogue::{check_amount, given, present};
use crate::error::{AppError, check_version};
use crate::holds::{self, Holds, days_of, slot_of};
use crate::once::{Done, Once, do_once};
use crate::ports::{Expect, Item, Key, Read, Stored, Write, WriteFacts, first};

/// The most clients a booking has to do with, those who have left included: each is read at every planning.
const EVERYBODY: usize = 40;

/// What is to be done to a booking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Staff confirms.
    Confirm,
    /// Called off.
    Cancel,
    /// The client is there.
    Arrive,
    /// The visit is over.
    Complete,
    /// The client did not come.
    NoShow,
    /// Staff asks the client to confirm, now (S40).
    RequestConfirmation,
    /// The client says whether the visit will take place.
    Answer(bool),
    /// The visit moves: a new start, and a new end; without it the visit stays as long as it was.
    Reschedule {
        /// New start.
        start: When,
        /// New end.
        end: Option<When>,
    },
    /// Some of what else it consists of is changed.
    Edit(Box<BookingPatch>),
}

/// Changes to a booking at its present time; what is absent stays as it is; what can be without is taken away by null.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BookingPatch {
    /// Another resource at the same location.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    pub resource_id: Option<ResourceId>,
    /// Another service. It brings its price, unless one is given, and does not change how long the visit takes.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    pub service_id: Option<ServiceId>,
    /// Who comes: 1 to 20.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = BTreeSet<ClientId>, min_items = 1, max_items = 20)]
    pub client_ids: Option<Vec<ClientId>>,
    /// Reminder times of its own (S39, S72); null means the rule's, an empty list no reminder.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<Timing>>, max_items = 10)]
    pub reminders: Option<Option<Vec<Timing>>>,
    /// How long after the visit the client is invited again (S41); null means as the service says.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Interval>)]
    pub rebooking_after: Option<Option<Interval>>,
    /// For staff only.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Notes>)]
    pub notes: Option<Option<Notes>>,
    /// What it costs.
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = schema::optional_amount)]
    pub price: Option<Option<Money>>,
    /// Whether the client is told, where there is something to tell.
    #[serde(default)]
    pub notify: Notify,
    /// Who does it.
    #[serde(default)]
    pub by: By,
}

/// How a change is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Manner {
    /// Whether the client is told.
    #[serde(default)]
    pub notify: Notify,
    /// Who does it.
    #[serde(default)]
    pub by: By,
}

/// Changes a booking at `now` (UTC), if it is still at revision `if_match`.
///
/// # Errors
/// [`AppError::NotFound`], [`AppError::Stale`], [`AppError::IllegalTransition`], then what is wrong with a field, then [`AppError::Overlap`].
pub async fn change_booking<S>(
    ports: &S,
    (business_id, booking_id): (&BusinessId, &BookingId),
    change: Change,
    manner: Manner,
    if_match: Option<u64>,
    once: Option<&Once>,
    now: Timestamp,
) -> Result<Done<Booking>, AppError>
where
    S: Read + WriteFacts,
{
    let change = &change;
    let keys = vec![Key::Booking(business_id.clone(), booking_id.clone())];
    do_once(ports, TRIES, business_id, once, now, keys, |found| async move {
        let (booking, version) =
            first(&found, Item::booking).ok_or(AppError::NotFound { what: "booking" })?;
        check_version(if_match, booking.revision)?;
        let Changed { after, holds } = prepare_change(ports, booking, change, manner, now).await?;
        let mut writes = writes_of(booking, &after, version);
        writes.extend(holds);
        Ok((writes, Done { etag: after.revision, value: after }))
    })
    .await
}

/// A change that is checked and not written.
pub(crate) struct Changed {
    /// The booking as it is to be.
    pub after: Booking,
    /// The writes that move, free or take back its hold on the resource.
    pub holds: Vec<Write>,
}

/// Checks a change and holds the resource for it. The booking's state is asked first: what is wrong with a field of a change that cannot be
/// made is of no interest.
pub(crate) async fn prepare_change(
    ports: &impl Read,
    booking: &Booking,
    change: &Change,
    manner: Manner,
    now: Timestamp,
) -> Result<Changed, AppError> {
    for operation in attempted(booking, change) {
        booking.after(operation, now, manner.by.source(), manner.notify)?;
    }
    let (keys, operations) = asked(booking, change, now)?;
    let around = if keys.is_empty() { Vec::new() } else { ports.read(keys).await? };
    if let Change::Edit(patch) = change {
        check_edit(booking, patch, &around)?;
    }
    let mut after = booking.clone();
    for operation in operations {
        after = after.after(operation, now, manner.by.source(), manner.notify)?;
    }
    if let Change::Edit(patch) = change {
        after = edited(after, booking, patch, &around);
        if after.everybody().len() > EVERYBODY {
            let expected = "at most 40 clients, those who have left included";
            return Err(AppError::invalid("client_ids", expected));
        }
    }
    Ok(Changed { holds: moved_hold(booking, &after, &around)?, after })
}

/// The operations a change tries, whatever its fields say: what the booking's state must allow.
fn attempted(booking: &Booking, change: &Change) -> Vec<Operation> {
    match change {
        Change::Reschedule { .. } => {
            vec![Operation::Reschedule { start: booking.start, end: booking.end }]
        }
        Change::Edit(patch) => {
            let other = (patch.resource_id.is_some() || patch.service_id.is_some()).then(|| {
                let (resource_id, service_id) = (booking.resource_id.clone(), booking.service_id.clone());
                Operation::Change { resource_id, service_id }
            });
            let clients =
                patch.client_ids.is_some().then(|| Operation::Participants(booking.client_ids.clone()));
            other.into_iter().chain(clients).collect()
        }
        Change::Answer(comes) => vec![Operation::Answer(*comes)],
        // The others have no fields.
        _ => Vec::new(),
    }
}

fn answer(comes: bool) -> Confirmation {
    if comes { Confirmation::Confirmed } else { Confirmation::Declined }
}

/// What a change needs to read beside the booking, and the operations it comes to.
fn asked(booking: &Booking, change: &Change, now: Timestamp) -> Result<(Vec<Key>, Vec<Operation>), AppError> {
    let business = &booking.business_id;
    let resource_key = || Key::Resource(business.clone(), booking.resource_id.clone());
    let mut days = days_of(booking.start, booking.end);
    let day_keys = |days| holds::keys_of(business, &booking.resource_id, days).collect::<Vec<_>>();
    let one = |operation| vec![operation];
    Ok(match change {
        Change::Confirm => (Vec::new(), one(Operation::Confirm)),
        Change::Complete => (Vec::new(), one(Operation::Complete)),
        Change::RequestConfirmation => (Vec::new(), one(Operation::RequestConfirmation)),
        // The same answer again is no news, however often a client gives it.
        Change::Answer(comes) if booking.confirmation == answer(*comes) => (Vec::new(), Vec::new()),
        Change::Answer(comes) => (Vec::new(), one(Operation::Answer(*comes))),
        Change::Cancel => (day_keys(&days), one(Operation::Cancel)),
        Change::NoShow => (day_keys(&days), one(Operation::NoShow)),
        Change::Arrive if booking.status == Status::NoShow => {
            let mut keys = day_keys(&days);
            keys.push(resource_key());
            (keys, one(Operation::Arrive))
        }
        Change::Arrive => (Vec::new(), one(Operation::Arrive)),
        Change::Reschedule { start, end } => {
            let (start, end) = new_visit(booking, *start, *end, now)?;
            days.extend(days_of(start, end));
            days.sort_unstable();
            days.dedup();
            let mut keys = day_keys(&days);
            keys.push(resource_key());
            (keys, one(Operation::Reschedule { start, end }))
        }
        Change::Edit(patch) => asked_by_edit(booking, patch)?,
    })
}

fn asked_by_edit(booking: &Booking, patch: &BookingPatch) -> Result<(Vec<Key>, Vec<Operation>), AppError> {
    let business = &booking.business_id;
    check_reminders(patch.reminders.iter().flatten().next().map(Vec::as_slice))?;
    check_amount("price", patch.price.iter().flatten().next())?;
    let (mut keys, mut operations) = (Vec::new(), Vec::new());
    let resource_id = patch.resource_id.as_ref().unwrap_or(&booking.resource_id);
    let service_id = patch.service_id.as_ref().unwrap_or(&booking.service_id);
    if *resource_id != booking.resource_id {
        let days = days_of(booking.start, booking.end);
        keys.push(Key::Resource(business.clone(), resource_id.clone()));
        keys.extend(holds::keys_of(business, &booking.resource_id, &days));
        keys.extend(holds::keys_of(business, resource_id, &days));
    }
    if *service_id != booking.service_id {
        keys.push(Key::Service(business.clone(), service_id.clone()));
    }
    if !keys.is_empty() {
        let (resource_id, service_id) = (resource_id.clone(), service_id.clone());
        operations.push(Operation::Change { resource_id, service_id });
    }
    check_clients(patch.client_ids.as_deref().unwrap_or(&booking.client_ids))?;
    if let Some(ids) = other_clients(booking, patch) {
        keys.extend(ids.iter().map(|id| Key::Client(business.clone(), id.clone())));
        operations.push(Operation::Participants(ids.to_vec()));
    }
    Ok((keys, operations))
}

/// Whether what an edit names exists in this business, and the resource at the booking's location.
fn check_edit(booking: &Booking, patch: &BookingPatch, around: &[Stored]) -> Result<(), AppError> {
    if let Some(id) = patch.resource_id.as_ref().filter(|id| **id != booking.resource_id)
        && resource(around, id)?.location_id != booking.location_id
    {
        return Err(AppError::invalid("resource_id", "a resource at the booking's location"));
    }
    if let Some(id) = patch.service_id.as_ref().filter(|id| **id != booking.service_id)
        && first(around, |item| item.service().filter(|service| service.id == *id)).is_none()
    {
        return Err(of_this_business("service_id", "service"));
    }
    match other_clients(booking, patch) {
        Some(ids) => clients_exist(ids, around),
        None => Ok(()),
    }
}

/// Who comes, where that changes.
fn other_clients<'a>(booking: &Booking, patch: &'a BookingPatch) -> Option<&'a [ClientId]> {
    let ids = patch.client_ids.as_deref()?;
    let same = ids.len() == booking.client_ids.len() && ids.iter().all(|id| booking.client_ids.contains(id));
    (!same).then_some(ids)
}

/// The booking with what is edited without a new revision, an event or a message of its own. Planning finds what follows from it.
fn edited(after: Booking, before: &Booking, patch: &BookingPatch, around: &[Stored]) -> Booking {
    let of_service = (after.service_id != before.service_id).then(|| {
        let service = first(around, |item| item.service().filter(|service| service.id == after.service_id));
        service.and_then(|(service, _)| service.price.clone())
    });
    Booking {
        reminders: patch.reminders.clone().unwrap_or(after.reminders),
        rebooking_after: patch.rebooking_after.unwrap_or(after.rebooking_after),
        notes: patch.notes.clone().unwrap_or(after.notes),
        price: patch.price.clone().or(of_service).unwrap_or(after.price),
        ..after
    }
}

fn new_visit(
    booking: &Booking,
    start: When,
    end: Option<When>,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), AppError> {
    let duration = booking.end.duration_since(booking.start);
    let new = visit(&booking.zone, start, end, duration, now)?;
    if new == (booking.start, booking.end) {
        return Err(AppError::invalid("start", "a time other than the present one"));
    }
    Ok(new)
}

/// The writes of a change to a booking, but for its hold on the resource.
pub(crate) fn writes_of(before: &Booking, after: &Booking, version: u64) -> Vec<Write> {
    let mut writes = vec![Write { item: Item::Booking(after.clone()), expect: Expect::Version(version) }];
    let found_by = |booking: &Booking| {
        let status = (booking.status.is_ahead(), booking.status.is_off());
        (booking.start, status, booking.client_ids.clone())
    };
    if found_by(before) != found_by(after) {
        writes.extend(participations(after));
    }
    writes
}

/// The writes that move, free or take back the booking's hold on the resource.
fn moved_hold(before: &Booking, after: &Booking, around: &[Stored]) -> Result<Vec<Write>, AppError> {
    let place = |booking: &Booking| (booking.resource_id.clone(), booking.start, booking.end);
    let moved = place(before) != place(after);
    if holds::holds(before) == holds::holds(after) && !moved {
        return Ok(Vec::new());
    }
    let mut holds = Holds::among(&before.business_id, around);
    holds.release(&before.resource_id, &before.id);
    if holds::holds(after) {
        let capacity = resource(around, &after.resource_id)?.capacity;
        match holds.hold(&after.resource_id, &slot_of(after), capacity) {
            Ok(()) => {}
            // A client who came after all is there, whoever has taken the slot since.
            Err(AppError::Overlap) if !moved => {}
            Err(error) => return Err(error),
        }
    }
    Ok(holds.writes().collect())
}
