//! Erasing a client on request: what tells who it was goes, the counts stay.
//!
//! The card is reduced at once, and nobody is written to from then on. What stands beside it (bookings' notes, texts and addresses in the ledger,
//! the conversation, tasks, reviews, kept answers) is gone through by the stream, page by page: each run takes one page and writes how far it came, and the
//! stream brings the next. A run that dies, or comes again, does its page again.
//!
//! Architecture invariant: an erasure that is done has left nothing in the tables that holds the client's name, phone, e-mail address or chat. An
//! item that holds something of a client is among the stages here.

use domain::booking::Booking;
use domain::client::Client;
use domain::ids::{BookingId, BusinessId, ClientId};
use domain::message::{Message, MessageStatus};
use domain::subject::SubjectId;
use domain::waitlist::{WaitlistEntry, WaitlistStatus};
use jiff::Timestamp;

use crate::edit_catalogue::Edit;
use crate::error::{AppError, check_version};
use crate::list_bookings::{read_cursor, write_cursor};
use crate::plan_subject::plan_subject;
use crate::ports::{
    Answer, CancelTimer, ClientBookings, ClientOccasions, DeleteFacts, Enqueue, Erasure, ErasureStage,
    Expect, Item, Key, Kind, List, ListConversation, Listed, Page, PortError, Read, ReadLedger, Refs,
    SetTimer, Stored, Write, WriteError, WriteFacts, WriteLedger, first,
};

/// How often a write is tried that meets others.
const TRIES: u32 = 5;

/// How many bookings or occasions one run takes: each is planned anew.
const SUBJECTS: u32 = 10;

/// How many other things one run takes.
const PAGE: u32 = 100;

/// Reduces a client's card to an erased mark, and begins the erasure of the rest. A client who is erased stays so.
///
/// # Errors
/// [`AppError::NotFound`]; [`AppError::Stale`]; [`AppError::Busy`].
pub async fn erase_client(
    ports: &(impl Read + WriteFacts),
    edit: Edit<'_>,
    client_id: &ClientId,
) -> Result<Erasure, AppError> {
    let Edit { business_id, now, .. } = edit;
    for _ in 0..TRIES {
        let keys = vec![
            Key::Client(business_id.clone(), client_id.clone()),
            Key::Erasure(business_id.clone(), client_id.clone()),
        ];
        let found = ports.read(keys).await?;
        let Some((client, version)) = first(&found, Item::client) else {
            return Err(AppError::NotFound { what: "client" });
        };
        if let Some((erasure, _)) = first(&found, Item::erasure) {
            return Ok(erasure.clone());
        }
        check_version(edit.if_match, version)?;
        let erasure = Erasure {
            business_id: business_id.clone(),
            client_id: client_id.clone(),
            at: now,
            stage: ErasureStage::Bookings,
            after: None,
            chat: client.telegram.clone(),
        };
        let writes = vec![
            Write { item: Item::Client(client.erased(now)), expect: Expect::Version(version) },
            Write { item: Item::Erasure(erasure.clone()), expect: Expect::Absent },
        ];
        match ports.write_facts(writes).await {
            Ok(()) => return Ok(erasure),
            Err(WriteError::Conflict) => continue,
            Err(WriteError::Port(error)) => return Err(error.into()),
        }
    }
    Err(AppError::Busy)
}

/// Takes the next page of a client's erasure, if there is one, at `now` (UTC). Answers what it is at then.
///
/// # Errors
/// [`PortError`]; the page is then taken again.
pub async fn go_on<S>(
    store: &S,
    timers: &(impl SetTimer + CancelTimer),
    queues: &impl Enqueue,
    (business_id, client_id): (&BusinessId, &ClientId),
    now: Timestamp,
) -> Result<ErasureStage, PortError>
where
    S: Read
        + List
        + ReadLedger
        + ClientBookings
        + ClientOccasions
        + ListConversation
        + WriteFacts
        + WriteLedger
        + DeleteFacts,
{
    let found = store.read(vec![Key::Erasure(business_id.clone(), client_id.clone())]).await?;
    let Some((erasure, version)) = first(&found, Item::erasure) else { return Ok(ErasureStage::Done) };
    if erasure.stage == ErasureStage::Done {
        return Ok(ErasureStage::Done);
    }
    let run = Run { store, erasure };
    let after = match erasure.stage {
        ErasureStage::Bookings => run.bookings(timers, queues, now).await?,
        ErasureStage::Occasions => run.occasions(timers, queues, now).await?,
        ErasureStage::Conversation => run.conversation().await?,
        ErasureStage::Tasks => run.list(Kind::Tasks, |item| run.task(item)).await?,
        ErasureStage::Reviews => run.list(Kind::Reviews, |item| run.review(item)).await?,
        ErasureStage::Waitlist => run.list(Kind::Waitlist, |item| run.place(item)).await?,
        ErasureStage::Answers => run.list(Kind::Answers, |item| run.answer(item)).await?,
        ErasureStage::Done => None,
    };
    let stage = if after.is_some() { erasure.stage } else { next(erasure.stage) };
    // The chat is forgotten with the conversation.
    let chat = erasure.chat.clone().filter(|_| stage <= ErasureStage::Conversation);
    let item = Item::Erasure(Erasure { stage, after, chat, ..erasure.clone() });
    match store.write_facts(vec![Write { item, expect: Expect::Version(version) }]).await {
        Ok(()) => Ok(stage),
        // Another run may have gone on, and this one then begins where that is; or it only met something.
        Err(WriteError::Conflict) => Err(kept_changing()),
        Err(WriteError::Port(error)) => Err(error),
    }
}

fn next(stage: ErasureStage) -> ErasureStage {
    match stage {
        ErasureStage::Bookings => ErasureStage::Occasions,
        ErasureStage::Occasions => ErasureStage::Conversation,
        ErasureStage::Conversation => ErasureStage::Tasks,
        ErasureStage::Tasks => ErasureStage::Reviews,
        ErasureStage::Reviews => ErasureStage::Waitlist,
        ErasureStage::Waitlist => ErasureStage::Answers,
        ErasureStage::Answers | ErasureStage::Done => ErasureStage::Done,
    }
}

/// One page of an erasure. Each stage answers where it goes on, and `None` where it is through.
struct Run<'a, S> {
    store: &'a S,
    erasure: &'a Erasure,
}

impl<S> Run<'_, S>
where
    S: Read
        + List
        + ReadLedger
        + ClientBookings
        + ClientOccasions
        + ListConversation
        + WriteFacts
        + WriteLedger
        + DeleteFacts,
{
    async fn bookings(
        &self,
        timers: &(impl SetTimer + CancelTimer),
        queues: &impl Enqueue,
        now: Timestamp,
    ) -> Result<Option<String>, PortError> {
        let Erasure { business_id, client_id, after, .. } = self.erasure;
        let parts =
            self.store.parts_within(business_id, client_id, Timestamp::UNIX_EPOCH, Timestamp::MAX).await?;
        let mut places: Vec<(Timestamp, Option<BookingId>)> =
            parts.into_iter().map(|part| (part.start, Some(part.booking_id))).collect();
        places.sort();
        let after = after.as_deref().and_then(read_cursor);
        let rest = places.into_iter().filter(|place| after.as_ref().is_none_or(|after| place > after));
        let page: Vec<_> = rest.take(usize::try_from(SUBJECTS).unwrap_or(usize::MAX)).collect();
        for id in page.iter().filter_map(|(_, id)| id.as_ref()) {
            let key = Key::Booking(business_id.clone(), id.clone());
            let found = self
                .rewrite(key, |item| match item {
                    Item::Booking(booking) if booking.notes.is_some() => {
                        Some(Item::Booking(Booking { notes: None, ..booking.clone() }))
                    }
                    _ => None,
                })
                .await?;
            if let Some(Item::Booking(booking)) = found {
                plan_subject(self.store, timers, queues, &Refs::from(&booking), now).await?;
                self.ledger(&SubjectId::Booking(id.clone()), now).await?;
            }
        }
        Ok(page.last().and_then(write_cursor))
    }

    async fn occasions(
        &self,
        timers: &(impl SetTimer + CancelTimer),
        queues: &impl Enqueue,
        now: Timestamp,
    ) -> Result<Option<String>, PortError> {
        let Erasure { business_id, client_id, after, .. } = self.erasure;
        let page = Page { after: after.clone(), limit: SUBJECTS };
        let Listed { items, next } = self.store.occasions_of(business_id, client_id, page).await?;
        for occasion in items.iter().filter_map(|stored| stored.item.occasion()) {
            let key = Key::Occasion(business_id.clone(), occasion.id.clone());
            let erased = |item: &Item| Some(Item::Occasion(item.occasion()?.erased()?));
            if self.rewrite(key, erased).await?.is_some() {
                plan_subject(self.store, timers, queues, &Refs::from(occasion), now).await?;
                self.ledger(&SubjectId::Occasion(occasion.id.clone()), now).await?;
            }
        }
        Ok(next)
    }

    /// Takes texts and addresses out of a ledger.
    async fn ledger(&self, subject: &SubjectId, now: Timestamp) -> Result<(), PortError> {
        let Erasure { business_id, client_id, .. } = self.erasure;
        for _ in 0..TRIES {
            let rows = self.store.ledger_of(business_id, subject).await?;
            let under_way = |row: &Message| {
                row.status == MessageStatus::Sending
                    && row.lease.as_ref().is_some_and(|lease| now < lease.until)
            };
            if rows.iter().any(|row| row.item.message().is_some_and(under_way)) {
                return Err(PortError::Retryable {
                    operation: "erasing a client",
                    source: "a message is under way, and will be written down with its text".into(),
                });
            }
            let writes: Vec<Write> = rows.iter().filter_map(|row| erased_row(row, client_id)).collect();
            if self.write_rows(writes).await? {
                return Ok(());
            }
        }
        Err(kept_changing())
    }

    /// Whether all were written, and none had changed.
    async fn write_rows(&self, writes: Vec<Write>) -> Result<bool, PortError> {
        for part in writes.chunks(usize::try_from(PAGE).unwrap_or(1)) {
            match self.store.write_ledger(part.to_vec()).await {
                Ok(()) => {}
                Err(WriteError::Conflict) => return Ok(false),
                Err(WriteError::Port(error)) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Deletes what was written back and forth, and whose chat it was.
    async fn conversation(&self) -> Result<Option<String>, PortError> {
        let Erasure { business_id, client_id, chat, .. } = self.erasure;
        let page = Page { after: None, limit: PAGE };
        let Listed { items, next } = self.store.conversation(business_id, client_id, page).await?;
        let mut keys: Vec<Key> = items.iter().map(|stored| stored.item.key()).collect();
        if let Some(chat) = chat.as_ref().filter(|_| keys.is_empty()) {
            let key = Key::TelegramChat(business_id.clone(), chat.clone());
            // Somebody else may have the chat by now.
            let found = self.store.read(vec![key.clone()]).await?;
            let theirs =
                first(&found, Item::telegram_chat).is_some_and(|(chat, _)| chat.client_id == *client_id);
            keys.extend(theirs.then_some(key));
        }
        let done = items.is_empty();
        if !keys.is_empty() {
            self.store.delete_facts(keys).await?;
        }
        // What was deleted is no place to go on from: the next run begins at the beginning, and there is less.
        Ok((!done).then(|| next.unwrap_or_default()))
    }

    /// Goes through one page of a list, and rewrites what `erased` says.
    async fn list(
        &self,
        kind: Kind,
        erased: impl Fn(&Item) -> Option<Item>,
    ) -> Result<Option<String>, PortError> {
        let page = Page { after: self.erasure.after.clone(), limit: PAGE };
        let Listed { items, next } = self.store.list(&self.erasure.business_id, kind, page).await?;
        for stored in items.iter().filter(|stored| erased(&stored.item).is_some()) {
            self.rewrite(stored.item.key(), &erased).await?;
        }
        Ok(next)
    }

    fn task(&self, item: &Item) -> Option<Item> {
        let task = item.task().filter(|task| task.client_ids.contains(&self.erasure.client_id))?;
        task.erased(self.erasure.at).map(Item::Task)
    }

    fn review(&self, item: &Item) -> Option<Item> {
        let review = item.review().filter(|review| review.client_id == self.erasure.client_id)?;
        review.erased().map(Item::Review)
    }

    fn place(&self, item: &Item) -> Option<Item> {
        let entry = item.waitlist_entry().filter(|entry| entry.client_id == self.erasure.client_id)?;
        let waits = entry.status == WaitlistStatus::Waiting;
        waits.then(|| Item::WaitlistEntry(WaitlistEntry { status: WaitlistStatus::Closed, ..entry.clone() }))
    }

    /// What was answered about the client, or about a booking or an occasion of the client's.
    fn answer(&self, item: &Item) -> Option<Item> {
        let named = format!("\"{}\"", self.erasure.client_id);
        let answer = item.answer().filter(|answer| answer.body.contains(&named))?;
        Some(Item::Answer(Answer { body: String::new(), ..answer.clone() }))
    }

    /// Writes the item at `key` as `erased` says it shall be, if it is to change. Answers what is there then.
    async fn rewrite(
        &self,
        key: Key,
        erased: impl Fn(&Item) -> Option<Item>,
    ) -> Result<Option<Item>, PortError> {
        for _ in 0..TRIES {
            let found = self.store.read(vec![key.clone()]).await?;
            let Some(Stored { item, version }) = found.into_iter().next() else { return Ok(None) };
            let Some(next) = erased(&item) else { return Ok(Some(item)) };
            let write = Write { item: next.clone(), expect: Expect::Version(version) };
            match self.store.write_facts(vec![write]).await {
                Ok(()) => return Ok(Some(next)),
                Err(WriteError::Conflict) => continue,
                Err(WriteError::Port(error)) => return Err(error),
            }
        }
        Err(kept_changing())
    }
}

fn kept_changing() -> PortError {
    PortError::Retryable {
        operation: "erasing a client",
        source: "what is to be erased kept changing".into(),
    }
}

/// A row of the ledger without what tells of the client. One that is still to leave is written whatever it holds: a delivery that has read the card as
/// it was finds that another write came first, and reads again.
fn erased_row(row: &Stored, client_id: &ClientId) -> Option<Write> {
    let message = row.item.message()?;
    let erased = message.erased(client_id).or_else(|| message.status.is_open().then(|| message.clone()))?;
    Some(Write { item: Item::Message(erased), expect: Expect::Version(row.version) })
}

/// How far a client's erasure has come.
///
/// # Errors
/// [`AppError::NotFound`] where the client is not being erased.
pub async fn erasure_of(
    ports: &impl Read,
    business_id: &BusinessId,
    client_id: &ClientId,
) -> Result<Erasure, AppError> {
    let found = ports.read(vec![Key::Erasure(business_id.clone(), client_id.clone())]).await?;
    let erasure = first(&found, Item::erasure).map(|(erasure, _)| erasure.clone());
    erasure.ok_or(AppError::NotFound { what: "erasure" })
}

/// The client, unless erased.
///
/// # Errors
/// [`AppError::Erased`].
pub(crate) fn not_erased(client: Client) -> Result<Client, AppError> {
    if client.erased_at.is_some() { Err(AppError::Erased) } else { Ok(client) }
}
