//! Reading a booking with everything around it, in one call when its references are known.

use domain::booking::Booking;
use domain::facts::Facts;
use domain::rule::Rules;

use crate::ports::{Item, Key, PortError, Read, Refs, Stored, first};

/// A booking with everything around it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The facts.
    pub facts: Facts,
    /// The booking's version.
    pub booking_version: u64,
    /// What was read along with it.
    pub along: Vec<Stored>,
}

/// Something a booking refers to is not there.
#[derive(Debug, thiserror::Error)]
#[error("the booking refers to a {0} that does not exist")]
struct Missing(&'static str);

/// Reads the booking and all it refers to, and the items `along` with it. `None` when there is no such booking. One call, or two when
/// the booking has come to refer to other things than `refs` says.
///
/// # Errors
/// [`PortError::Permanent`] when something it refers to does not exist.
pub async fn load_facts(read: &impl Read, refs: &Refs, along: &[Key]) -> Result<Option<Loaded>, PortError> {
    let mut keys = keys_of(refs);
    keys.extend_from_slice(along);
    let mut found = read.read(keys).await?;
    let booking = first(&found, Item::booking).map(|(booking, version)| (booking.clone(), version));
    let Some((booking, booking_version)) = booking else {
        return Ok(None);
    };
    let have: Vec<Key> = found.iter().map(|stored| stored.item.key()).collect();
    let asked = keys_of(refs);
    let missing: Vec<Key> = keys_of(&Refs::from(&booking))
        .into_iter()
        .filter(|key| !asked.contains(key) && !have.contains(key))
        .collect();
    if !missing.is_empty() {
        found.extend(read.read(missing).await?);
    }
    let facts = assemble(booking, &found)
        .map_err(|missing| PortError::Permanent { operation: "loading a booking", source: missing.into() })?;
    Ok(Some(Loaded { facts, booking_version, along: found }))
}

fn keys_of(refs: &Refs) -> Vec<Key> {
    let business = &refs.business_id;
    let mut keys = vec![
        Key::Business(business.clone()),
        Key::Rules(business.clone()),
        Key::Booking(business.clone(), refs.booking_id.clone()),
        Key::Location(business.clone(), refs.location_id.clone()),
        Key::Resource(business.clone(), refs.resource_id.clone()),
        Key::Service(business.clone(), refs.service_id.clone()),
    ];
    keys.extend(refs.client_ids.iter().map(|client| Key::Client(business.clone(), client.clone())));
    keys
}

fn assemble(booking: Booking, found: &[Stored]) -> Result<Facts, Missing> {
    fn the<T: Clone>(
        found: &[Stored],
        name: &'static str,
        pick: impl Fn(&Item) -> Option<&T>,
    ) -> Result<T, Missing> {
        first(found, pick).map(|(item, _)| item.clone()).ok_or(Missing(name))
    }
    let rules = first(found, Item::rules).map(|(rules, _)| rules.clone());
    Ok(Facts {
        business: the(found, "business", Item::business)?,
        rules: rules.unwrap_or_else(|| Rules::defaults(booking.business_id.clone())),
        location: the(found, "location", |item| item.location().filter(|x| x.id == booking.location_id))?,
        resource: the(found, "resource", |item| item.resource().filter(|x| x.id == booking.resource_id))?,
        service: the(found, "service", |item| item.service().filter(|x| x.id == booking.service_id))?,
        clients: found
            .iter()
            .filter_map(|stored| {
                stored.item.client().filter(|client| booking.client_ids.contains(&client.id))
            })
            .cloned()
            .collect(),
        booking,
    })
}
