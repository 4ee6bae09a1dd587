//! Opening a link to a client's own page: whose it is, and what there is to show. Opening changes nothing.

use domain::booking::{Booking, Status};
use domain::business::{Business, Locale, Location};
use domain::client::Client;
use domain::ids::{ClientId, TaskId};
use domain::link::{LinkKeys, LinkRefused, Of, Purpose, Token};
use domain::resource::{Resource, Service};
use domain::review::{Review, review_id};
use domain::task::Task;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::ports::{Item, Key, PortError, Read, Stored, first};

/// What a link opens.
#[derive(Debug, Clone)]
pub struct Opened {
    /// What it is for.
    pub purpose: Purpose,
    /// Whose client.
    pub business: Business,
    /// Whose link.
    pub client: Client,
    /// The version of the client's card.
    pub(crate) version: u64,
    /// The visit it is about, where it is about one.
    pub visit: Option<Visit>,
    keys: LinkKeys,
}

/// A visit as its client's pages show it.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The booking.
    pub booking: Booking,
    /// Its version.
    pub(crate) version: u64,
    /// What for.
    pub service: Option<Service>,
    /// Where.
    pub location: Option<Location>,
    /// With whom or what.
    pub resource: Option<Resource>,
    /// What the client has said of it; read for that page only.
    pub review: Option<Review>,
    /// That the client has asked for another time, since the present one was set; read for that page only.
    pub wish: Option<Task>,
}

/// Why a link opens nothing.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    /// Nobody can have got it from us, or what it was about is gone.
    #[error("the link is not one of ours")]
    Unknown,
    /// It was one of ours, and its time is over.
    #[error("the link has expired")]
    Expired(Box<Business>, Locale),
    /// The store failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// How far a visit has come, for the client of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It is ahead.
    Ahead,
    /// It was called off, or goes on without this client.
    CalledOff,
    /// It has begun, or should have.
    Begun,
}

impl Opened {
    /// The client's language.
    pub fn locale(&self) -> Locale {
        self.client.locale.unwrap_or(self.business.locale)
    }

    /// The token of another page about the same visit, of use until `until` (UTC). Only what this page can do anyway may be offered so.
    pub fn sign(&self, purpose: Purpose, until: Timestamp, now: Timestamp) -> Option<String> {
        let of = Of::Booking(self.visit.as_ref()?.booking.id.clone());
        self.keys.sign(purpose, &of, &self.client.id, until, now)
    }
}

impl Visit {
    /// How far it has come for a client, at `now` (UTC).
    pub fn stage(&self, client: &ClientId, now: Timestamp) -> Stage {
        let Booking { status, start, client_ids, .. } = &self.booking;
        if *status == Status::Cancelled || !client_ids.contains(client) {
            Stage::CalledOff
        } else if status.is_ahead() && now < *start {
            Stage::Ahead
        } else {
            Stage::Begun
        }
    }
}

/// Opens a link at `now` (UTC).
pub async fn open_link(read: &impl Read, token: &str, now: Timestamp) -> Result<Opened, NotOpened> {
    let token = Token::read(token).ok_or(NotOpened::Unknown)?;
    let b = &token.business_id;
    let named = match &token.of {
        Of::Booking(id) => Key::Booking(b.clone(), id.clone()),
        Of::Client(id) => Key::Client(b.clone(), id.clone()),
    };
    let found = read.read(vec![Key::Business(b.clone()), Key::LinkKeys(b.clone()), named]).await?;
    let (business, _) = first(&found, Item::business).ok_or(NotOpened::Unknown)?;
    let (keys, _) = first(&found, Item::link_keys).ok_or(NotOpened::Unknown)?;
    let booking = first(&found, Item::booking);
    let clients = match (&token.of, booking) {
        (Of::Client(id), _) => vec![id.clone()],
        (Of::Booking(_), Some((booking, _))) => booking.everybody(),
        (Of::Booking(_), None) => return Err(NotOpened::Unknown),
    };
    let (client_id, expired) = match token.open(keys, &clients, now) {
        Ok(client_id) => (client_id, false),
        Err(LinkRefused::Expired(client_id)) => (client_id, true),
        Err(LinkRefused::Invalid) => return Err(NotOpened::Unknown),
    };
    let around = match booking {
        Some((booking, _)) => read.read(keys_around(booking, client_id, token.purpose)).await?,
        None => found.clone(),
    };
    let (client, version) = first(&around, Item::known_client).ok_or(NotOpened::Unknown)?;
    if expired {
        let locale = client.locale.unwrap_or(business.locale);
        return Err(NotOpened::Expired(Box::new(business.clone()), locale));
    }
    Ok(Opened {
        purpose: token.purpose,
        business: business.clone(),
        client: client.clone(),
        version,
        visit: booking.map(|(booking, version)| visit(booking, version, &around)),
        keys: keys.clone(),
    })
}

fn keys_around(booking: &Booking, client: &ClientId, purpose: Purpose) -> Vec<Key> {
    let b = &booking.business_id;
    let mut keys = vec![
        Key::Client(b.clone(), client.clone()),
        Key::Location(b.clone(), booking.location_id.clone()),
        Key::Resource(b.clone(), booking.resource_id.clone()),
        Key::Service(b.clone(), booking.service_id.clone()),
    ];
    match purpose {
        Purpose::Review => keys.extend(review_id(booking, client).map(|id| Key::Review(b.clone(), id))),
        Purpose::Reschedule => keys.extend(wish_id(booking, client).map(|id| Key::Task(b.clone(), id))),
        _ => {}
    }
    keys
}

fn visit(booking: &Booking, version: u64, around: &[Stored]) -> Visit {
    fn the<T: Clone>(around: &[Stored], pick: impl Fn(&Item) -> Option<&T>) -> Option<T> {
        first(around, pick).map(|(item, _)| item.clone())
    }
    Visit {
        booking: booking.clone(),
        version,
        service: the(around, Item::service),
        location: the(around, Item::location),
        resource: the(around, Item::resource),
        review: the(around, Item::review),
        wish: the(around, Item::task),
    }
}

/// The id of the task that says a client asks for another time: one for each time the visit was set to.
pub(crate) fn wish_id(booking: &Booking, client: &ClientId) -> Option<TaskId> {
    // No id has a space in it.
    let wish = format!("wish {} {} {} {client}", booking.business_id, booking.id, booking.time_revision);
    hex::encode(Sha256::digest(wish)).get(..32)?.parse().ok()
}
