//! Running a campaign: the stream brings it to its queue whenever it was written, each time for as long as its pace says; taken from there, it
//! chooses its next clients, writes an occasion for each, and how far it came, in one transaction. That is written, so the stream brings it again.
//! Nothing can get lost that the table has, and two copies of a page cannot both be written.

use domain::booking::{Notify, Source};
use domain::business::Business;
use domain::campaign::{Campaign, Choice, Found, Visits};
use domain::client::Client;
use domain::ids::{BusinessId, CampaignId, ClientId};
use domain::occasion::{About, Occasion};
use domain::recipient::Recipient;
use domain::reconcile::QUEUED_AHEAD;
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;

use crate::plan_subject::enqueue;
use crate::ports::{
    ClientBookings, Due, DueWhat, Enqueue, Expect, Item, Key, Kind, List, Listed, Page, PortError, Read,
    SetTimer, Write, WriteError, WriteFacts, first,
};

/// How many clients are read at a time.
const CLIENTS: usize = 100;

/// How many clients are looked at before the campaign writes how far it came, though nobody was chosen.
const LOOKED_AT: usize = 1_000;

/// How many clients' visits are looked up at the same time.
const AT_ONCE: usize = 16;

/// How often a page is tried that was changed under the run.
const TRIES: u32 = 5;

/// Puts a campaign that goes on into its queue, for the time at which it may choose its next clients. A copy too many does no harm. `now` (UTC) is
/// the later of the clock and the record's own time. Answers whether it goes on.
///
/// # Errors
/// [`PortError`]; the record then comes again.
pub async fn bring_campaign(
    store: &impl Read,
    timers: &impl SetTimer,
    queues: &impl Enqueue,
    (business_id, id): (&BusinessId, &CampaignId),
    now: Timestamp,
) -> Result<bool, PortError> {
    let found = store.read(vec![Key::Campaign(business_id.clone(), id.clone())]).await?;
    let Some((campaign, _)) = first(&found, Item::campaign) else { return Ok(false) };
    let Some(at) = campaign.next_page() else { return Ok(false) };
    let now = now.max(campaign.changed_at);
    let what = DueWhat::Campaign { business_id: business_id.clone(), campaign_id: id.clone() };
    let due = Due { what, at };
    if at <= now + QUEUED_AHEAD {
        enqueue(queues, due, now).await?;
    } else {
        timers.set_timer(&due).await?;
    }
    Ok(true)
}

/// Lets the campaign that came `due` choose its next clients. `wall` is the clock's time (UTC). Answers how clients were found; `None` where it was
/// not its time: it was held up, called off, another copy came first, or it waits for the end of the night.
///
/// # Errors
/// [`PortError`]; it then comes again.
pub async fn run_campaign(
    store: &(impl Read + List + WriteFacts + ClientBookings),
    due: &Due,
    wall: Timestamp,
) -> Result<Option<Found>, PortError> {
    let operation = "running a campaign";
    let DueWhat::Campaign { business_id, campaign_id } = &due.what else {
        return Err(PortError::Permanent {
            operation,
            source: "something other than a campaign came into its queue".into(),
        });
    };
    let now = wall.max(due.at);
    let keys =
        vec![Key::Business(business_id.clone()), Key::Campaign(business_id.clone(), campaign_id.clone())];
    for _ in 0..TRIES {
        let found = store.read(keys.clone()).await?;
        let (Some((business, _)), Some((campaign, version))) =
            (first(&found, Item::business), first(&found, Item::campaign))
        else {
            return Ok(None);
        };
        if campaign.next_page().is_none_or(|at| at > now) {
            return Ok(None);
        }
        let (next, client_ids, found) = match campaign.quiet_until(business, now) {
            Some(until) => (campaign.waiting(until, now), Vec::new(), None),
            None => {
                let Chosen { client_ids, last, found, all } = choose(store, business, campaign, now).await?;
                (campaign.advanced(last, found, all, now), client_ids, Some(found))
            }
        };
        let mut writes: Vec<Write> = client_ids
            .iter()
            .map(|client_id| occasion(campaign, client_id, now))
            .map(|occasion| Write { item: Item::Occasion(occasion), expect: Expect::Absent })
            .collect();
        writes.push(Write { item: Item::Campaign(next), expect: Expect::Version(version) });
        match store.write_facts(writes).await {
            Ok(()) => return Ok(found),
            Err(WriteError::Conflict) => continue,
            Err(WriteError::Port(error)) => return Err(error),
        }
    }
    Err(PortError::Retryable { operation, source: "the campaign kept changing".into() })
}

/// The reason to write to a client whom a campaign chose at `now` (UTC).
pub(crate) fn occasion(campaign: &Campaign, client_id: &ClientId, now: Timestamp) -> Occasion {
    Occasion {
        business_id: campaign.business_id.clone(),
        id: campaign.occasion_id(client_id),
        about: About::Campaign { campaign_id: campaign.id.clone() },
        recipient: Recipient::Client(client_id.clone()),
        location_id: None,
        at: now,
        by: Source::Staff,
        notify: Notify::ByRules,
        channels: Some(campaign.channels.clone()),
        rules_version: campaign.rules_version,
        withdrawn: false,
        failures: Vec::new(),
    }
}

/// Clients that a campaign has looked at.
#[derive(Debug, Default)]
struct Chosen {
    /// Who was chosen, by id.
    client_ids: Vec<ClientId>,
    /// The last who was looked at.
    last: Option<ClientId>,
    found: Found,
    /// There are no more.
    all: bool,
}

/// Looks at clients until as many are chosen as may be at once.
async fn choose(
    store: &(impl Read + List + ClientBookings),
    business: &Business,
    campaign: &Campaign,
    now: Timestamp,
) -> Result<Chosen, PortError> {
    let most = campaign.per_minute.at_once();
    let mut chosen = Chosen::default();
    let mut after = campaign.progress.after.clone();
    for _ in 0..LOOKED_AT / CLIENTS {
        if chosen.client_ids.len() >= most {
            break;
        }
        let (clients, next) = clients_after(store, campaign, after.as_ref()).await?;
        let mut left = clients.as_slice();
        while !left.is_empty() {
            let (some, rest) = left.split_at(left.len().min(most - chosen.client_ids.len()));
            if some.is_empty() {
                return Ok(chosen);
            }
            for (client, choice) in choices(store, business, campaign, some, now).await? {
                chosen.found.add(choice);
                chosen.last = Some(client.id.clone());
                if choice == Choice::Chosen {
                    chosen.client_ids.push(client.id.clone());
                }
            }
            left = rest;
        }
        after = next;
        if after.is_none() {
            chosen.all = true;
            break;
        }
    }
    Ok(chosen)
}

/// What a campaign makes of clients, in their order. One query for each whose card fits, where the filter asks about visits; else none.
pub(crate) async fn choices<'a>(
    store: &impl ClientBookings,
    business: &Business,
    campaign: &Campaign,
    clients: &'a [Client],
    now: Timestamp,
) -> Result<Vec<(&'a Client, Choice)>, PortError> {
    let mut looks = Vec::with_capacity(clients.len());
    for client in clients {
        looks.push(choice(store, business, campaign, client, now));
    }
    stream::iter(looks).buffered(AT_ONCE).try_collect().await
}

async fn choice<'a>(
    store: &impl ClientBookings,
    business: &Business,
    campaign: &Campaign,
    client: &'a Client,
    now: Timestamp,
) -> Result<(&'a Client, Choice), PortError> {
    let asked = campaign.filter.asks_for_visits() && campaign.filter.fits_card(client, business);
    let visits = if asked { visits_of(store, client, now).await? } else { Visits::default() };
    Ok((client, campaign.choice(client, &visits, business)))
}

/// A client's visits: those that have begun by `now` (UTC), were they marked arrived or not, and those that are ahead.
async fn visits_of(
    store: &impl ClientBookings,
    client: &Client,
    now: Timestamp,
) -> Result<Visits, PortError> {
    let parts =
        store.parts_within(&client.business_id, &client.id, Timestamp::UNIX_EPOCH, Timestamp::MAX).await?;
    let visits = || parts.iter().filter(|part| !part.called_off);
    Ok(Visits {
        last: visits().map(|part| part.start).filter(|start| *start <= now).max(),
        ahead: visits().any(|part| part.ahead && part.start > now),
    })
}

/// Clients after one of them, by id, and where to go on: those that the filter names, or else all there are.
pub(crate) async fn clients_after(
    store: &(impl Read + List),
    campaign: &Campaign,
    after: Option<&ClientId>,
) -> Result<(Vec<Client>, Option<ClientId>), PortError> {
    let business = &campaign.business_id;
    let named = &campaign.filter.client_ids;
    let (mut clients, next): (Vec<Client>, _) = if named.is_empty() {
        let page =
            Page { after: after.map(ToString::to_string), limit: u32::try_from(CLIENTS).unwrap_or(u32::MAX) };
        let Listed { items, next } = store.list(business, Kind::Clients, page).await?;
        let next = next.map(|id| id.parse()).transpose().map_err(|_| PortError::Permanent {
            operation: "listing clients",
            source: "the cursor is no client's id".into(),
        })?;
        (items.iter().filter_map(|stored| stored.item.client().cloned()).collect(), next)
    } else {
        let keys: Vec<Key> = named
            .iter()
            .filter(|id| after.is_none_or(|after| *id > after))
            .map(|id| Key::Client(business.clone(), id.clone()))
            .collect();
        let found = if keys.is_empty() { Vec::new() } else { store.read(keys).await? };
        (found.iter().filter_map(|stored| stored.item.client().cloned()).collect(), None)
    };
    clients.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    Ok((clients, next))
}
