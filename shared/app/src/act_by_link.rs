//! Doing what a client asks for on a page of their own: confirm, cancel, ask for another time, review, choose what to hear about, unsubscribe.
//!
//! The link is the authority. What is as the client wishes already stays as it is, so asking again does nothing new.

use std::collections::BTreeSet;

use domain::booking::{Booking, Confirmation, Notify, Status};
use domain::channel::Channel;
use domain::client::Client;
use domain::link::Purpose;
use domain::recipient::Person;
use domain::review::{Rating, Review, review_id};
use domain::subject::SubjectId;
use domain::task::{Task, TaskKind};
use domain::text::{Letter, Notes};
use jiff::Timestamp;

use crate::change_booking::{Change, Manner, prepare_change, writes_of};
use crate::create_booking::By;
use crate::error::AppError;
use crate::open_link::{NotOpened, Opened, Stage, Visit, open_link, wish_id};
use crate::ports::{Expect, Item, PortError, Read, Write, WriteError, WriteFacts};
use crate::take_reply::no;

/// How often a run starts over because something changed under it.
const TRIES: u32 = 5;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Says whether the visit will take place. `seen` is the [`time_revision`](Booking::time_revision) of the time that was shown. A no calls
    /// the visit off, as in a reply.
    Answer {
        /// Whether it will.
        comes: bool,
        /// The time that was shown.
        seen: Option<u64>,
    },
    /// Calls the visit off. Of several who come together, the client stays away alone.
    Cancel {
        /// The time that was shown.
        seen: Option<u64>,
    },
    /// Asks for another time: a task for staff.
    AskToMove(Letter),
    /// Says how the visit was. A low rating is a task for staff.
    Review {
        /// How good.
        rating: Rating,
        /// In words.
        text: Option<Notes>,
    },
    /// Chooses what to hear about.
    Choose {
        /// Whether the client agrees to marketing.
        marketing: bool,
        /// Of the channels that were [offered](channels_of), those on which the client takes what can be done without.
        channels: BTreeSet<Channel>,
    },
    /// Wants no more marketing.
    Unsubscribe,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acted {
    /// It is as the client wishes, now or already.
    Done,
    /// The visit is at another time than the one that was shown: nothing was done.
    LookAgain,
    /// It is too late for that: nothing was done.
    Over,
}

/// The channels on which a client can be reached, and so choose to be.
pub fn channels_of(client: &Client) -> BTreeSet<Channel> {
    let reached = |channel: &Channel| Person::Client(client).masked_address(*channel).is_some();
    // What staff sends by hand is theirs to decide about.
    Channel::ALL.into_iter().filter(|channel| *channel != Channel::Assisted).filter(reached).collect()
}

/// Does what the client of a link asks for, at `now` (UTC).
///
/// # Errors
/// [`NotOpened::Unknown`] also for what the link is not for.
pub async fn act_by_link(
    store: &(impl Read + WriteFacts),
    token: &str,
    act: &Act,
    now: Timestamp,
) -> Result<Acted, NotOpened> {
    for _ in 0..TRIES {
        let opened = open_link(store, token, now).await?;
        let (acted, writes) = prepare(store, &opened, act, now).await?;
        if writes.is_empty() {
            return Ok(acted);
        }
        match store.write_facts(writes).await {
            Ok(()) => return Ok(acted),
            Err(WriteError::Conflict) => continue,
            Err(WriteError::Port(error)) => return Err(error.into()),
        }
    }
    Err(NotOpened::Port(PortError::Retryable {
        operation: "acting by a link",
        source: "something kept changing".into(),
    }))
}

type Prepared = (Acted, Vec<Write>);

const DONE: Prepared = (Acted::Done, Vec::new());
const OVER: Prepared = (Acted::Over, Vec::new());

async fn prepare(
    store: &impl Read,
    opened: &Opened,
    act: &Act,
    now: Timestamp,
) -> Result<Prepared, NotOpened> {
    match (opened.purpose, act, &opened.visit) {
        (Purpose::Confirm, Act::Answer { comes: true, seen }, Some(visit)) => {
            let done = visit.booking.confirmation == Confirmation::Confirmed;
            let change = Change::Answer(true);
            answer(store, opened, visit, (change, done && visit.booking.status.is_ahead()), *seen, now).await
        }
        (Purpose::Confirm, Act::Answer { comes: false, seen }, Some(visit))
        | (Purpose::Cancel, Act::Cancel { seen }, Some(visit)) => {
            let change = no(&visit.booking, &opened.client.id);
            let done = visit.stage(&opened.client.id, now) == Stage::CalledOff;
            answer(store, opened, visit, (change, done), *seen, now).await
        }
        (Purpose::Reschedule, Act::AskToMove(wish), Some(visit)) => {
            Ok(ask_to_move(opened, visit, wish, now)?)
        }
        (Purpose::Review, Act::Review { rating, text }, Some(visit)) => {
            Ok(review(opened, visit, *rating, text.clone(), now)?)
        }
        (Purpose::Preferences, Act::Choose { marketing, channels }, _) => {
            let offered = channels_of(&opened.client);
            let mut opt_outs = opened.client.opt_outs.clone();
            opt_outs.retain(|channel| !offered.contains(channel));
            opt_outs.extend(offered.difference(channels));
            Ok(card(opened, Client { opt_outs, ..subscribed(&opened.client, *marketing, now) }))
        }
        (Purpose::Unsubscribe, Act::Unsubscribe, _) => {
            Ok(card(opened, subscribed(&opened.client, false, now)))
        }
        _ => Err(NotOpened::Unknown),
    }
}

/// The client, by the client's own word at `now` (UTC), with or without marketing.
fn subscribed(client: &Client, marketing: bool, now: Timestamp) -> Client {
    let unsubscribed_at = (!marketing).then(|| client.unsubscribed_at.unwrap_or(now));
    Client { marketing_consent: marketing, unsubscribed_at, ..client.clone() }
}

/// What a client says about a visit ahead: a change to the booking, or that it is `done` already.
async fn answer(
    store: &impl Read,
    opened: &Opened,
    visit: &Visit,
    (change, done): (Change, bool),
    seen: Option<u64>,
    now: Timestamp,
) -> Result<Prepared, NotOpened> {
    if done {
        return Ok(DONE);
    }
    if visit.stage(&opened.client.id, now) != Stage::Ahead {
        return Ok(OVER);
    }
    if seen != Some(visit.booking.time_revision) {
        return Ok((Acted::LookAgain, Vec::new()));
    }
    let manner = Manner { notify: Notify::ByRules, by: By::Online };
    match prepare_change(store, &visit.booking, &change, manner, now).await {
        Ok(changed) => {
            let mut writes = writes_of(&visit.booking, &changed.after, visit.version);
            writes.extend(changed.holds);
            Ok((Acted::Done, writes))
        }
        Err(AppError::IllegalTransition(_)) => Ok(OVER),
        Err(AppError::Port(error)) => Err(error.into()),
        Err(error) => {
            Err(PortError::Permanent { operation: "acting by a link", source: error.into() }.into())
        }
    }
}

fn ask_to_move(opened: &Opened, visit: &Visit, wish: &Letter, now: Timestamp) -> Result<Prepared, PortError> {
    if visit.wish.is_some() {
        return Ok(DONE);
    }
    if visit.stage(&opened.client.id, now) != Stage::Ahead {
        return Ok(OVER);
    }
    let id = wish_id(&visit.booking, &opened.client.id).ok_or_else(no_id)?;
    let task = task(opened, &visit.booking, id, TaskKind::RescheduleRequest, wish.as_str().to_owned(), now);
    Ok((Acted::Done, vec![Write { item: Item::Task(task), expect: Expect::Absent }]))
}

fn review(
    opened: &Opened,
    Visit { booking, review, .. }: &Visit,
    rating: Rating,
    text: Option<Notes>,
    now: Timestamp,
) -> Result<Prepared, PortError> {
    if review.is_some() {
        return Ok(DONE);
    }
    let client_id = &opened.client.id;
    if booking.status != Status::Completed || !booking.client_ids.contains(client_id) {
        return Ok(OVER);
    }
    let id = review_id(booking, client_id).ok_or_else(no_id)?;
    let mut writes = Vec::new();
    if rating.is_low() {
        let words = text.as_ref().map_or("", Notes::as_str);
        let said = format!("{}/5 {words}", rating.number());
        let id = id.as_str().parse().map_err(|_| no_id())?;
        let task = task(opened, booking, id, TaskKind::LowRating, said.trim().to_owned(), now);
        writes.push(Write { item: Item::Task(task), expect: Expect::Absent });
    }
    let review = Review {
        business_id: booking.business_id.clone(),
        id,
        booking_id: booking.id.clone(),
        client_id: client_id.clone(),
        rating,
        text: text.filter(|text| !text.as_str().is_empty()),
        at: now,
    };
    writes.push(Write { item: Item::Review(review), expect: Expect::Absent });
    Ok((Acted::Done, writes))
}

fn task(
    opened: &Opened,
    booking: &Booking,
    id: domain::ids::TaskId,
    kind: TaskKind,
    text: String,
    now: Timestamp,
) -> Task {
    Task {
        business_id: booking.business_id.clone(),
        id,
        kind,
        subject: Some(SubjectId::Booking(booking.id.clone())),
        client_ids: vec![opened.client.id.clone()],
        since: now,
        message_id: None,
        text: Some(text),
        links: Vec::new(),
        assignee: None,
        closed: None,
    }
}

fn no_id() -> PortError {
    PortError::Permanent { operation: "acting by a link", source: "a hash is no id".into() }
}

/// The client's card as it shall be.
fn card(opened: &Opened, after: Client) -> Prepared {
    if after == opened.client {
        return DONE;
    }
    (Acted::Done, vec![Write { item: Item::Client(after), expect: Expect::Version(opened.version) }])
}
