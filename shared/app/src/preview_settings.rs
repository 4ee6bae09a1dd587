//! What changed settings would do to the messages of the bookings ahead, before anything is written: which messages appear, move and
//! vanish, and what the sms cost then.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::booking::Booking;
use domain::channel::Channel;
use domain::compose::{Pages, bill, compose};
use domain::facts::Facts;
use domain::ids::{BookingId, BusinessId, MessageId};
use domain::link::LinkKeys;
use domain::money::Currency;
use domain::notification_type::NotificationType;
use domain::plan::{Outcome, plan};
use domain::recipient::Recipient;
use domain::sms::Estimate;
use domain::template::Templates;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::edit_catalogue::{Edit, Need};
use crate::edit_settings::{Settings, changed, keys_of};
use crate::error::AppError;
use crate::list_bookings::{read_cursor, write_cursor};
use crate::load_facts::{facts_among, keys_around, staff_keys_of};
use crate::ports::{Calendar, Item, Key, PortError, Read, Stored};

/// How many bookings one call looks at.
const BOOKINGS: usize = 500;

/// The most keys one read takes, see [`Read::read`].
const KEYS: usize = 100;

/// How many examples one answer gives.
const EXAMPLES: usize = 20;

/// What changed settings would do, were they applied to all bookings ahead.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Preview {
    /// How many bookings ahead were looked at.
    pub bookings: u64,
    /// Whether there are no more.
    pub complete: bool,
    /// Where to go on, if there may be more: the answers then add up.
    pub next: Option<String>,
    /// How many of the bookings looked at would be planned anew.
    pub planned_anew: PlannedAnew,
    /// The messages that are still ahead, counted.
    pub messages: Counts,
    /// The same by type and channel.
    pub by: Vec<CountsOf>,
    /// What the sms that are still ahead cost, now and then, as far as the business has given prices (S68).
    pub cost: Vec<Cost>,
    /// Some of the messages that appear, move or vanish: at most twenty.
    pub examples: Vec<Example>,
}

/// How many bookings would be planned anew, by whom the change is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlannedAnew {
    /// Always 0: those that are made already keep their plan.
    pub new_bookings_only: u64,
    /// All that were looked at.
    pub all_upcoming: u64,
}

/// Messages counted by what becomes of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Counts {
    /// Not owed now, and owed then.
    pub appear: u64,
    /// Owed at another time.
    #[serde(rename = "move")]
    pub moved: u64,
    /// Owed now, and no longer then.
    pub vanish: u64,
    /// Owed as before.
    pub unchanged: u64,
}

/// The messages of one type on one channel, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct CountsOf {
    /// The type.
    #[serde(rename = "type")]
    pub kind: NotificationType,
    /// The channel.
    pub channel: Channel,
    /// How many.
    #[serde(flatten)]
    pub counts: Counts,
}

/// What sms cost, in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cost {
    /// The currency.
    pub currency: Currency,
    /// Now, in thousandths of a minor unit.
    pub before: i64,
    /// Then, in thousandths of a minor unit.
    pub after: i64,
}

/// A message that appears, moves or vanishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Example {
    /// Of which booking.
    pub booking_id: BookingId,
    /// About what.
    #[serde(rename = "type")]
    pub kind: NotificationType,
    /// How.
    pub channel: Channel,
    /// To whom.
    #[serde(flatten)]
    pub recipient: Recipient,
    /// When it leaves now (UTC); absent where it appears.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// When it would leave then (UTC); absent where it vanishes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

/// Says what a change of the settings at `about` would do, without writing anything: see
/// [`edit_settings`](crate::edit_settings::edit_settings), which makes it. Looks at up to 500 bookings; `cursor` is where the call before ended,
/// `pages` where clients' own pages are: links to them have a price by sms.
///
/// # Errors
/// What the change itself would be refused for.
pub async fn preview_settings<S: Read + Calendar>(
    ports: &S,
    edit: Edit<'_>,
    about: &Key,
    needs: &[Need],
    cursor: Option<&str>,
    change: impl Fn(Settings) -> Result<Settings, AppError>,
    pages: &str,
) -> Result<Preview, AppError> {
    let mut after = match cursor {
        Some(cursor) => read_cursor(cursor)
            .ok_or_else(|| AppError::invalid("cursor", "what the answer before gave as next"))?,
        None => (edit.now, None),
    };
    let mut keys = keys_of(edit.business_id, about, needs);
    keys.extend(NotificationType::ALL.iter().map(|kind| Key::Templates(edit.business_id.clone(), *kind)));
    let found = ports.read(keys).await?;
    let Settings { rules, item } = changed(edit, about, needs, &found, &change)?;
    let version = rules.version;
    let mut cache = Cache::new(found);
    let proposed: HashMap<Key, Item> =
        item.into_iter().chain([Item::RulesVersion(rules)]).map(|item| (item.key(), item)).collect();
    let link_keys = LinkKeys::sample(edit.business_id.clone());
    let pages = Pages { url: pages, keys: &link_keys, now: edit.now };
    let mut preview = Preview::default();
    let mut by = BTreeMap::new();
    let mut looked_at = 0;
    while looked_at < BOOKINGS {
        let limit = KEYS.min(BOOKINGS - looked_at);
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let page = ports.bookings_after(edit.business_id, &after, Timestamp::MAX, limit).await?;
        let Some((start, id)) = page.last().cloned() else {
            preview.complete = true;
            break;
        };
        after = (start, Some(id));
        looked_at += page.len();
        for booking in cache.bookings(ports, edit.business_id, &page).await? {
            preview.bookings += 1;
            let then = Booking { rules_version: version, ..booking.clone() };
            let now = ahead(booking, pages, |key| cache.get(key))?;
            let then = ahead(then, pages, |key| proposed.get(key).or_else(|| cache.get(key)))?;
            add_costs(&mut preview.cost, &now, |cost| &mut cost.before);
            add_costs(&mut preview.cost, &then, |cost| &mut cost.after);
            compare(now, then, &mut by, &mut preview.examples);
        }
    }
    preview.planned_anew.all_upcoming = preview.bookings;
    preview.next = (!preview.complete).then(|| write_cursor(&after)).flatten();
    for ((kind, channel), counts) in by {
        preview.messages.add(&counts);
        preview.by.push(CountsOf { kind, channel, counts });
    }
    Ok(preview)
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.appear += other.appear;
        self.moved += other.moved;
        self.vanish += other.vanish;
        self.unchanged += other.unchanged;
    }
}

/// What was read: each thing once, however many bookings refer to it.
pub(crate) struct Cache {
    items: HashMap<Key, Item>,
    asked: HashSet<Key>,
}

impl Cache {
    pub(crate) fn new(found: Vec<Stored>) -> Self {
        let items: HashMap<Key, Item> =
            found.into_iter().map(|stored| (stored.item.key(), stored.item)).collect();
        Self { asked: items.keys().cloned().collect(), items }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Item> {
        self.items.get(key)
    }

    /// The bookings of a page of the calendar that are ahead, with all they refer to read.
    async fn bookings(
        &mut self,
        ports: &impl Read,
        business_id: &BusinessId,
        page: &[(Timestamp, BookingId)],
    ) -> Result<Vec<Booking>, PortError> {
        let keys = page.iter().map(|(_, id)| Key::Booking(business_id.clone(), id.clone())).collect();
        let found = ports.read(keys).await?;
        let ahead = |item: &Item| item.booking().filter(|booking| booking.status.is_ahead()).cloned();
        let bookings: Vec<Booking> = found.iter().filter_map(|stored| ahead(&stored.item)).collect();
        self.fetch_around(ports, &bookings).await?;
        Ok(bookings)
    }

    /// Reads all that bookings refer to.
    pub(crate) async fn fetch_around(
        &mut self,
        ports: &impl Read,
        bookings: &[Booking],
    ) -> Result<(), PortError> {
        self.fetch(ports, bookings.iter().flat_map(keys_around).collect()).await?;
        let staff = bookings.iter().flat_map(|booking| staff_keys_of(booking, |key| self.get(key))).collect();
        self.fetch(ports, staff).await
    }

    pub(crate) async fn fetch(&mut self, ports: &impl Read, keys: Vec<Key>) -> Result<(), PortError> {
        let new: Vec<Key> = keys.into_iter().filter(|key| self.asked.insert(key.clone())).collect();
        for part in new.chunks(KEYS) {
            let found = ports.read(part.to_vec()).await?;
            self.items.extend(found.into_iter().map(|stored| (stored.item.key(), stored.item)));
        }
        Ok(())
    }
}

/// A message that is to leave after now.
#[derive(Debug, Clone)]
struct Ahead {
    id: MessageId,
    booking_id: BookingId,
    kind: NotificationType,
    channel: Channel,
    recipient: Recipient,
    due: Timestamp,
    price: Option<Estimate>,
}

/// The messages of a booking that are still to leave, by the settings that `get` knows.
fn ahead<'a>(
    booking: Booking,
    pages: Pages<'_>,
    get: impl Fn(&Key) -> Option<&'a Item>,
) -> Result<Vec<Ahead>, PortError> {
    let (booking_id, now) = (booking.id.clone(), pages.now);
    let facts = facts_among(booking, &get)?;
    let own = |kind| get(&Key::Templates(facts.business.id.clone(), kind)).and_then(Item::templates);
    let still_to_leave = |outcome| match outcome {
        Outcome::Leaves(due) | Outcome::Deferred(due) if due > now => Some(due),
        _ => None,
    };
    let messages = plan(&facts, now).messages.into_iter().filter_map(|message| {
        Some(Ahead {
            due: still_to_leave(message.outcome)?,
            price: price_of(
                &facts,
                &message.recipient,
                message.kind,
                message.channel,
                own(message.kind),
                pages,
            ),
            id: message.id,
            booking_id: booking_id.clone(),
            kind: message.kind,
            channel: message.channel,
            recipient: message.recipient,
        })
    });
    Ok(messages.collect())
}

/// What an sms costs with the text it has now; `None` for other messages, and where no price is known.
pub(crate) fn price_of(
    facts: &Facts,
    recipient: &Recipient,
    kind: NotificationType,
    channel: Channel,
    own: Option<&Templates>,
    pages: Pages<'_>,
) -> Option<Estimate> {
    if channel != Channel::Sms || facts.business.sms_prices.is_empty() {
        return None;
    }
    let content = compose(facts, recipient, kind, channel, own, None, Some(pages)).ok()??;
    bill(facts, recipient, &content)?.1
}

fn add_costs(costs: &mut Vec<Cost>, messages: &[Ahead], when: impl Fn(&mut Cost) -> &mut i64) {
    for Estimate { thousandths, currency } in messages.iter().filter_map(|message| message.price.as_ref()) {
        let known = costs.iter().position(|cost| cost.currency == *currency);
        let at = known.unwrap_or_else(|| {
            costs.push(Cost { currency: currency.clone(), before: 0, after: 0 });
            costs.len() - 1
        });
        if let Some(cost) = costs.get_mut(at) {
            *when(cost) += thousandths;
        }
    }
}

/// About what, how and to whom.
type Line = (NotificationType, Channel, Recipient);

/// Compares a booking's messages now and then. A message to the same person about the same on the same channel is the same one, at the same time
/// or at another: a reminder whose step changes has moved.
fn compare(
    now: Vec<Ahead>,
    then: Vec<Ahead>,
    by: &mut BTreeMap<(NotificationType, Channel), Counts>,
    examples: &mut Vec<Example>,
) {
    let mut groups: BTreeMap<Line, (Vec<Ahead>, Vec<Ahead>)> = BTreeMap::new();
    let of = |message: &Ahead| (message.kind, message.channel, message.recipient.clone());
    for message in now {
        groups.entry(of(&message)).or_default().0.push(message);
    }
    for message in then {
        groups.entry(of(&message)).or_default().1.push(message);
    }
    for ((kind, channel, _), (now, then)) in groups {
        let counts = by.entry((kind, channel)).or_default();
        for (before, after) in pairs(now, then) {
            let (from, to) = (before.as_ref().map(|x| x.due), after.as_ref().map(|x| x.due));
            match (from, to) {
                (Some(from), Some(to)) if from == to => counts.unchanged += 1,
                (Some(_), Some(_)) => counts.moved += 1,
                (None, _) => counts.appear += 1,
                (Some(_), None) => counts.vanish += 1,
            }
            if from != to
                && examples.len() < EXAMPLES
                && let Some(Ahead { booking_id, recipient, .. }) = after.or(before)
            {
                examples.push(Example { booking_id, kind, channel, recipient, from, to });
            }
        }
    }
}

/// Pairs messages: those with the same id, then those that leave at the same time, then the rest in the order in which they leave.
fn pairs(mut now: Vec<Ahead>, mut then: Vec<Ahead>) -> Vec<(Option<Ahead>, Option<Ahead>)> {
    let mut pairs = Vec::new();
    let same: [fn(&Ahead, &Ahead) -> bool; 2] = [|a, b| a.id == b.id, |a, b| a.due == b.due];
    for same in same {
        now.retain(|before| match then.iter().position(|after| same(before, after)) {
            Some(at) => {
                pairs.push((Some(before.clone()), Some(then.swap_remove(at))));
                false
            }
            None => true,
        });
    }
    now.sort_by_key(|message| message.due);
    then.sort_by_key(|message| message.due);
    let most = now.len().max(then.len());
    let (mut now, mut then) = (now.into_iter(), then.into_iter());
    pairs.extend((0..most).map(|_| (now.next(), then.next())));
    pairs
}
