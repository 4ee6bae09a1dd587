//! Taking what a client writes, or presses: it is kept in the conversation, acts where it is plain, and is a task for staff where it is not (S51).
//!
//! What a reply does, its entry in the conversation and the mark that it was done are one transaction, so it acts once however often it comes:
//! a "no" that comes again after the client has booked anew finds its mark.

use std::collections::BTreeSet;

use domain::booking::{Booking, Confirmation, Notify, Status};
use domain::business::Locale;
use domain::channel::Channel;
use domain::client::{Cause, Client, Suppression};
use domain::contact::Phone;
use domain::conversation::{Answered, Author, Entry, Meaning, meaning};
use domain::ids::{BookingId, BusinessId, ClientId};
use domain::messenger::{ChatId, WhatsappNumberId};
use domain::recipient::Person;
use domain::subject::SubjectId;
use domain::task::{Task, TaskKind};
use domain::template::Action;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::change_booking::{BookingPatch, Change, Manner, prepare_change, writes_of};
use crate::create_booking::By;
use crate::edit_client::remembered;
use crate::error::AppError;
use crate::once::{Done, Once, do_once};
use crate::ports::{
    ClientBookings, Expect, FindClients, FindMessage, Item, Key, MessageRef, PortError, Read, SenderNumber,
    Write, WriteFacts, first,
};
use crate::settle::with_suppression;
use crate::take_report::{AboutMessage, FOUND_WITHIN};

/// How often a run starts over because something changed under it.
const TRIES: u32 = 5;

/// How long a reply's mark is kept: a queue and its DLQ together keep a reply for 18 days.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24 * 30);

/// How many of a client's visits ahead are looked at.
const VISITS: usize = 50;

/// The most characters of a reply that are kept. Sms and messengers take fewer.
const MOST: usize = 5_000;

/// What is kept of a text that may be meant for another business.
const UNTOLD: &str = "…";

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Who wrote, and to whom.
    pub from: Writer,
    /// The provider's own id of it: the same however often it comes.
    pub id: String,
    /// What was said.
    pub said: Said,
    /// The message it answers, where the provider tells, and since when there can be that (UTC).
    pub about: Option<(AboutMessage, Timestamp)>,
    /// When (UTC).
    pub at: Timestamp,
}

/// Who wrote a reply, and to whom, as the channel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Writer {
    /// By sms.
    Sms {
        /// Whose phone.
        phone: Phone,
        /// Which number it was sent to.
        to: Phone,
    },
    /// By WhatsApp.
    Whatsapp {
        /// Whose phone.
        phone: Phone,
        /// Which number it was sent to.
        to: WhatsappNumberId,
    },
    /// By Telegram.
    Telegram {
        /// Whose bot.
        business_id: BusinessId,
        /// Which chat.
        chat: ChatId,
    },
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Something was written.
    Text(String),
    /// A button under a message was pressed.
    Button {
        /// Which.
        action: Action,
        /// What it says.
        label: String,
    },
    /// The chat was closed to us.
    Blocked,
}

/// What became of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It was taken, now or before.
    Taken(Came),
    /// Nobody we know wrote it.
    Stranger,
    /// Not now: the message it answers cannot be found yet.
    Again,
}

/// What came of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Came {
    /// What.
    pub what: Answered,
    /// The client's language.
    pub locale: Locale,
}

type Someone = (BusinessId, ClientId);

/// Takes a reply, at `now` (UTC). Where several clients have the phone it is kept for each of them, and a yes or no acts for the one it can
/// only be from.
pub async fn take_reply(
    store: &(impl Read + WriteFacts + ClientBookings + FindClients + FindMessage),
    reply: &Reply,
    now: Timestamp,
) -> Result<Heard, PortError> {
    let now = now.max(reply.at);
    let everyone = people(store, &reply.from).await?;
    if everyone.is_empty() {
        return Ok(Heard::Stranger);
    }
    let about = match &reply.about {
        None => None,
        Some((about, since)) => {
            let found = answered_message(store, about).await?;
            let may_come = matches!(about, AboutMessage::Called(..)) && now < *since + FOUND_WITHIN;
            if found.is_none() && matches!(reply.said, Said::Button { .. }) && may_come {
                return Ok(Heard::Again);
            }
            found
        }
    };
    let about = about.filter(|about| everyone.contains(&about.to));
    let actor = actor(store, &everyone, about.as_ref(), reply, now).await?;
    let (everyone, untold) = readers(everyone, actor.as_ref(), reply);
    let reply = untold.as_ref().unwrap_or(reply);
    let mut heard = Heard::Stranger;
    for someone in &everyone {
        let acts = actor.as_ref() == Some(someone);
        let taken = take_from(store, someone, about.as_ref().filter(|_| acts), acts, reply, now).await;
        let came = match taken {
            Ok(came) => came,
            Err(AppError::Port(error)) => return Err(error),
            Err(error) => {
                return Err(PortError::Retryable { operation: "taking a reply", source: error.into() });
            }
        };
        if let Some(came) = came
            && (acts || heard == Heard::Stranger)
        {
            heard = Heard::Taken(came);
        }
    }
    Ok(heard)
}

/// Who may have written: the clients with the phone or the chat, of the business that the number belongs to. A number of no business is the
/// one that all those without a number of their own share.
async fn people(store: &(impl Read + FindClients), from: &Writer) -> Result<Vec<Someone>, PortError> {
    let mut found = match from {
        Writer::Sms { phone, to } => {
            let with_phone = store.clients_with(phone).await?;
            match owner(store, SenderNumber::Sms(to.clone())).await? {
                Some(owner) => with_phone.into_iter().filter(|(business, _)| *business == owner).collect(),
                None => without_number(store, with_phone).await?,
            }
        }
        Writer::Whatsapp { phone, to } => match owner(store, SenderNumber::Whatsapp(to.clone())).await? {
            Some(owner) => {
                let with_phone = store.clients_with(phone).await?;
                with_phone.into_iter().filter(|(business, _)| *business == owner).collect()
            }
            None => Vec::new(),
        },
        Writer::Telegram { business_id, chat } => {
            let found = store.read(vec![Key::TelegramChat(business_id.clone(), chat.clone())]).await?;
            let chat = first(&found, Item::telegram_chat);
            chat.map(|(chat, _)| (business_id.clone(), chat.client_id.clone())).into_iter().collect()
        }
    };
    found.sort();
    found.dedup();
    Ok(found)
}

/// Who of those who may have written is kept with the reply, and how it is kept where that is not as it came.
///
/// Businesses that share a number must not read what was written to another of them: a text is kept by the one that it answers, and where
/// nobody can tell which that is, by all without its words. STOP and START are said to the number, and so to all.
fn readers(everyone: Vec<Someone>, actor: Option<&Someone>, reply: &Reply) -> (Vec<Someone>, Option<Reply>) {
    let businesses: BTreeSet<&BusinessId> = everyone.iter().map(|(business, _)| business).collect();
    let to_number = matches!(meaning_of(&reply.said), Some(Meaning::Stop | Meaning::Start));
    if businesses.len() < 2 || to_number {
        return (everyone, None);
    }
    match actor {
        Some((business, _)) => {
            let business = business.clone();
            (everyone.into_iter().filter(|(of, _)| *of == business).collect(), None)
        }
        None => (everyone, Some(Reply { said: Said::Text(UNTOLD.to_owned()), ..reply.clone() })),
    }
}

async fn owner(read: &impl Read, number: SenderNumber) -> Result<Option<BusinessId>, PortError> {
    let found = read.read(vec![Key::Sender(number)]).await?;
    Ok(first(&found, Item::sender).map(|(sender, _)| sender.business_id.clone()))
}

/// Those whose business sends by no number of its own.
async fn without_number(read: &impl Read, all: Vec<Someone>) -> Result<Vec<Someone>, PortError> {
    let mut businesses: Vec<BusinessId> = all.iter().map(|(business, _)| business.clone()).collect();
    businesses.sort();
    businesses.dedup();
    let mut shared = Vec::new();
    for some in businesses.chunks(100) {
        let found = read.read(some.iter().cloned().map(Key::Business).collect()).await?;
        let of_none = found.iter().filter_map(|stored| stored.item.business());
        shared.extend(of_none.filter(|one| one.sms_number.is_none()).map(|one| one.id.clone()));
    }
    Ok(all.into_iter().filter(|(business, _)| shared.contains(business)).collect())
}

/// The message that a reply answers.
#[derive(Debug)]
struct AnsweredMessage {
    /// Whom it went to.
    to: Someone,
    /// The booking it is about.
    booking_id: Option<BookingId>,
    /// The booking's revision that it tells of.
    revision: u64,
}

async fn answered_message(
    store: &(impl Read + FindMessage),
    about: &AboutMessage,
) -> Result<Option<AnsweredMessage>, PortError> {
    let named = match about {
        AboutMessage::Named(named) => Some(named.clone()),
        AboutMessage::Called(channel, id) => store.message_with(*channel, id).await?,
    };
    let Some(MessageRef { business_id, subject, message_id }) = named else { return Ok(None) };
    let mut keys = vec![Key::Message(business_id.clone(), subject.clone(), message_id)];
    if let SubjectId::Occasion(id) = &subject {
        keys.push(Key::Occasion(business_id.clone(), id.clone()));
    }
    let found = store.read(keys).await?;
    let Some((message, _)) = first(&found, Item::message) else { return Ok(None) };
    let booking_id = match &subject {
        SubjectId::Booking(id) => Some(id.clone()),
        SubjectId::Occasion(_) => {
            first(&found, Item::occasion).and_then(|(occasion, _)| occasion.for_booking().cloned())
        }
    };
    // What an occasion tells of its booking has no revision of the booking.
    let revision = if matches!(subject, SubjectId::Booking(_)) { message.revision } else { u64::MAX };
    let to = message.recipient.client().map(|client| (business_id, client.clone()));
    Ok(to.map(|to| AnsweredMessage { to, booking_id, revision }))
}

/// For whom of all who have the phone a yes or no acts: whom the answered message went to, or else the only one with a visit that was asked
/// about. Where that could be several it acts for none, and a person reads it.
async fn actor(
    store: &(impl Read + ClientBookings),
    everyone: &[Someone],
    about: Option<&AnsweredMessage>,
    reply: &Reply,
    now: Timestamp,
) -> Result<Option<Someone>, PortError> {
    if let [only] = everyone {
        return Ok(Some(only.clone()));
    }
    if let Some(about) = about {
        return Ok(Some(about.to.clone()));
    }
    let mut asked = Vec::new();
    for someone in everyone {
        if visits(store, someone, now).await?.iter().any(|(visit, _)| was_asked(visit, reply.at)) {
            asked.push(someone);
        }
    }
    Ok(if let [only] = asked[..] { Some(only.clone()) } else { None })
}

/// A client's visits ahead with their versions, the next one first.
async fn visits(
    store: &(impl Read + ClientBookings),
    (business, client): &Someone,
    now: Timestamp,
) -> Result<Vec<(Booking, u64)>, PortError> {
    let parts = store.bookings_of(business, client, now).await?;
    let keys: Vec<Key> =
        parts.into_iter().take(VISITS).map(|part| Key::Booking(business.clone(), part.booking_id)).collect();
    let found = if keys.is_empty() { Vec::new() } else { store.read(keys).await? };
    let visits = found.iter().filter_map(|stored| Some((stored.item.booking()?.clone(), stored.version)));
    let mut visits: Vec<_> =
        visits.filter(|(visit, _)| visit.status.is_ahead() && visit.client_ids.contains(client)).collect();
    visits.sort_by(|(one, _), (other, _)| (one.start, &one.id).cmp(&(other.start, &other.id)));
    Ok(visits)
}

/// Whether the client was asked about the visit, at its present time, when the reply was written.
fn was_asked(visit: &Booking, at: Timestamp) -> bool {
    visit.confirmation == Confirmation::Requested && visit.time_set().is_none_or(|event| event.at <= at)
}

/// Takes a reply as one client's. `None` when the client is gone, or has another phone or chat by now.
async fn take_from(
    store: &(impl Read + WriteFacts + ClientBookings),
    someone: &Someone,
    about: Option<&AnsweredMessage>,
    acts: bool,
    reply: &Reply,
    now: Timestamp,
) -> Result<Option<Came>, AppError> {
    let (business_id, client_id) = someone;
    let mark = Once::kept_for(&mark_of(reply, client_id), b"", REMEMBERED);
    let booking = about.and_then(|about| about.booking_id.as_ref());
    let mut keys =
        vec![Key::Business(business_id.clone()), Key::Client(business_id.clone(), client_id.clone())];
    keys.extend(booking.map(|id| Key::Booking(business_id.clone(), id.clone())));
    let done = do_once(store, TRIES, business_id, Some(&mark), now, keys, |found| async move {
        let business = first(&found, Item::business).map(|(business, _)| business);
        let client = first(&found, Item::client).filter(|(client, _)| is_from(client, &reply.from));
        let (Some(business), Some((client, version))) = (business, client) else {
            return Ok((Vec::new(), Done { value: None, etag: 0 }));
        };
        let visits = visits(store, someone, now).await?;
        let meant = match booking {
            Some(id) => first(&found, |item| item.booking().filter(|booking| booking.id == *id))
                .filter(|(booking, _)| booking.client_ids.contains(client_id)),
            None => {
                visits.iter().find(|(visit, _)| was_asked(visit, reply.at)).map(|(visit, at)| (visit, *at))
            }
        };
        let mut done = Doing { reply, client, version, meaning: meaning_of(&reply.said), writes: Vec::new() };
        let what = match meant {
            Some(meant) if acts => done.act(store, meant, about, now).await?,
            _ => done.listen(),
        };
        let visit = meant.map(|(booking, _)| booking).or(visits.first().map(|(visit, _)| visit));
        done.keep(what, visit, now)?;
        let locale = client.locale.unwrap_or(business.locale);
        Ok((done.writes, Done { value: Some(Came { what, locale }), etag: 0 }))
    });
    done.await.map(|done| done.value)
}

/// What names a reply to one client forever. No `Idempotency-Key` of a caller begins so.
fn mark_of(reply: &Reply, client_id: &ClientId) -> String {
    format!("\0reply|{}|{}|{client_id}", channel_of(&reply.from), reply.id)
}

fn channel_of(from: &Writer) -> Channel {
    match from {
        Writer::Sms { .. } => Channel::Sms,
        Writer::Whatsapp { .. } => Channel::Whatsapp,
        Writer::Telegram { .. } => Channel::Telegram,
    }
}

fn is_from(client: &Client, from: &Writer) -> bool {
    match from {
        Writer::Sms { phone, .. } | Writer::Whatsapp { phone, .. } => client.phone.as_ref() == Some(phone),
        Writer::Telegram { chat, .. } => client.telegram.as_ref() == Some(chat),
    }
}

fn meaning_of(said: &Said) -> Option<Meaning> {
    match said {
        Said::Text(text) => meaning(text),
        Said::Button { action: Action::Confirm, .. } => Some(Meaning::Yes),
        Said::Button { action: Action::Cancel, .. } => Some(Meaning::No),
        Said::Blocked => Some(Meaning::Stop),
    }
}

/// A reply as one client's, and what is to be written for it.
struct Doing<'a> {
    reply: &'a Reply,
    client: &'a Client,
    version: u64,
    meaning: Option<Meaning>,
    writes: Vec<Write>,
}

impl Doing<'_> {
    /// Does what a plain word asks for; a yes or no is about the booking that is `meant`.
    async fn act(
        &mut self,
        store: &impl Read,
        (booking, version): (&Booking, u64),
        about: Option<&AnsweredMessage>,
        now: Timestamp,
    ) -> Result<Answered, AppError> {
        let (done, change) = match self.meaning {
            Some(Meaning::Yes) => (Answered::Confirmed, Change::Answer(true)),
            Some(Meaning::No) => (Answered::CalledOff, no(booking, &self.client.id)),
            _ => return Ok(self.listen()),
        };
        if about.is_some_and(|about| about.revision < booking.time_revision) {
            return Ok(Answered::Moved);
        }
        let manner = Manner { notify: Notify::ByRules, by: By::Online };
        match prepare_change(store, booking, &change, manner, now).await {
            Ok(changed) => {
                if changed.after != *booking {
                    self.writes.extend(writes_of(booking, &changed.after, version));
                    self.writes.extend(changed.holds);
                }
                Ok(done)
            }
            // It is as the client wishes, or too late for it: an answer, not an error.
            Err(AppError::IllegalTransition(_))
                if booking.status == Status::Cancelled && done == Answered::CalledOff =>
            {
                Ok(done)
            }
            Err(AppError::IllegalTransition(_)) => Ok(Answered::Over),
            Err(error) => Err(error),
        }
    }

    /// Does what asks for no booking.
    fn listen(&mut self) -> Answered {
        let Some(address) = Person::Client(self.client).address(channel_of(&self.reply.from)) else {
            return Answered::Kept;
        };
        let (after, what) = match self.meaning {
            Some(Meaning::Stop) => {
                let suppression = Suppression { address, cause: Cause::Stop, since: self.reply.at };
                (with_suppression(self.client, suppression), Answered::Stopped)
            }
            Some(Meaning::Start) => (without_stop(self.client, &address), Answered::Started),
            _ => (None, Answered::Kept),
        };
        if let Some(after) = after {
            self.writes.extend(remembered(self.client, &after));
            self.writes.push(Write { item: Item::Client(after), expect: Expect::Version(self.version) });
        }
        what
    }

    /// Keeps what was written, and leaves to a person what was not done.
    fn keep(&mut self, what: Answered, visit: Option<&Booking>, now: Timestamp) -> Result<(), AppError> {
        let text: String = match &self.reply.said {
            Said::Text(text) | Said::Button { label: text, .. } => text.chars().take(MOST).collect(),
            Said::Blocked => return Ok(()),
        };
        let (business_id, client_id) = (self.client.business_id.clone(), self.client.id.clone());
        let id = &hex::encode(Sha256::digest(mark_of(self.reply, &client_id)))[..32];
        let refused = |source| PortError::Permanent { operation: "keeping a reply", source };
        let entry_id = id.parse().map_err(|_| refused("its hash is no id".into()))?;
        let task_id = id.parse().map_err(|_| refused("its hash is no id".into()))?;
        let booking_id = visit.map(|visit| visit.id.clone());
        let not_done = matches!(what, Answered::Kept | Answered::Moved) && self.meaning == Some(Meaning::No);
        if self.meaning.is_none() || not_done {
            let task = Task {
                business_id: business_id.clone(),
                id: task_id,
                kind: TaskKind::ClientReply,
                subject: booking_id.clone().map(SubjectId::Booking),
                client_ids: vec![client_id.clone()],
                since: now,
                assignee: None,
                message_id: None,
                text: Some(text.clone()),
                links: Vec::new(),
                closed: None,
            };
            self.writes.push(Write { item: Item::Task(task), expect: Expect::Absent });
        }
        let entry = Entry {
            business_id,
            client_id,
            id: entry_id,
            channel: channel_of(&self.reply.from),
            from: Author::Client,
            at: self.reply.at,
            text,
            booking_id,
            occasion_id: None,
            meaning: self.meaning,
        };
        self.writes.push(Write { item: Item::Entry(entry), expect: Expect::Absent });
        Ok(())
    }
}

/// What a no does to a booking: it calls the visit off, but of several who come together the one who wrote stays away.
pub(crate) fn no(booking: &Booking, client_id: &ClientId) -> Change {
    let others: Vec<ClientId> = booking.client_ids.iter().filter(|id| *id != client_id).cloned().collect();
    if others.is_empty() {
        return Change::Cancel;
    }
    Change::Edit(Box::new(BookingPatch {
        client_ids: Some(others),
        by: By::Online,
        ..BookingPatch::default()
    }))
}

/// The client with the address written to again, or `None` where no STOP stands against that.
pub(crate) fn without_stop(client: &Client, address: &str) -> Option<Client> {
    let mut after = client.clone();
    after.suppressions.retain(|known| known.address != address || known.cause != Cause::Stop);
    (after != *client).then_some(after)
}
