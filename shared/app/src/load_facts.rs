//! Reading a booking or an occasion with everything around it, in one call when its references are known.

use std::collections::HashMap;

use domain::booking::Booking;
use domain::facts::{Facts, Subject};
use domain::ids::StaffId;
use domain::occasion::Occasion;
use domain::rule::Rules;
use domain::subject::SubjectId;

use crate::ports::{Item, Key, PortError, Read, Refs, Stored, first};

/// A booking or an occasion with everything around it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The facts.
    pub facts: Facts,
    /// The version of the booking or the occasion.
    pub version: u64,
    /// What was read along with it.
    pub along: Vec<Stored>,
}

/// Something a booking refers to is not there.
#[derive(Debug, thiserror::Error)]
#[error("the booking refers to a {0} that does not exist")]
struct Missing(&'static str);

/// How often more is read because what was read refers to more: the subject, its booking, the staff they name.
const READS: u32 = 4;

/// Reads what `refs` names and all it refers to, and the items `along` with it. `None` when it does not exist. One call, and one more for each
/// time that something was found to refer to more than `refs` says.
///
/// # Errors
/// [`PortError::Permanent`] when something a booking refers to does not exist.
pub async fn load_facts(read: &impl Read, refs: &Refs, along: &[Key]) -> Result<Option<Loaded>, PortError> {
    let mut asked = keys_of(refs);
    asked.extend_from_slice(along);
    let mut found = read.read(asked.clone()).await?;
    for _ in 0..READS {
        let Some(known) = refs_found(&refs.subject, &found) else { return Ok(None) };
        let missing: Vec<Key> = keys_of(&known).into_iter().filter(|key| !asked.contains(key)).collect();
        if missing.is_empty() {
            let (facts, version) = assemble(&known, &found).map_err(|missing| PortError::Permanent {
                operation: "loading a booking",
                source: missing.into(),
            })?;
            return Ok(Some(Loaded { facts, version, along: found }));
        }
        found.extend(read.read(missing.clone()).await?);
        asked.extend(missing);
    }
    Err(PortError::Retryable { operation: "loading a booking", source: "it kept changing".into() })
}

/// What the subject refers to, as far as that is found; `None` when there is no such subject.
fn refs_found(subject: &SubjectId, found: &[Stored]) -> Option<Refs> {
    let refs = match subject {
        SubjectId::Booking(_) => Refs::from(booking(subject, found)?.0),
        SubjectId::Occasion(_) => {
            let occasion = occasion(subject, found)?.0;
            let visit = visit(occasion, found);
            let refs = Refs::from(occasion);
            match visit {
                Some(visit) => refs.with_visit(visit),
                None => refs,
            }
        }
    };
    let staff_ids = staff_ids(&refs, found);
    Some(Refs { staff_ids, ..refs })
}

fn booking<'a>(subject: &SubjectId, found: &'a [Stored]) -> Option<(&'a Booking, u64)> {
    let SubjectId::Booking(id) = subject else { return None };
    first(found, |item| item.booking().filter(|booking| booking.id == *id))
}

fn occasion<'a>(subject: &SubjectId, found: &'a [Stored]) -> Option<(&'a Occasion, u64)> {
    let SubjectId::Occasion(id) = subject else { return None };
    first(found, |item| item.occasion().filter(|occasion| occasion.id == *id))
}

fn visit<'a>(occasion: &Occasion, found: &'a [Stored]) -> Option<&'a Booking> {
    let id = occasion.for_booking()?;
    first(found, |item| item.booking().filter(|booking| booking.id == *id)).map(|(booking, _)| booking)
}

/// Whom of the staff it is about: for a booking those who serve and the managers, for an occasion who it says.
fn staff_ids(refs: &Refs, found: &[Stored]) -> Vec<StaffId> {
    if let SubjectId::Occasion(_) = refs.subject {
        return refs.staff_ids.clone();
    }
    let resource = first(found, |item| item.resource().filter(|x| Some(&x.id) == refs.resource_id.as_ref()));
    let location = first(found, |item| item.location().filter(|x| Some(&x.id) == refs.location_id.as_ref()));
    let serving = resource.into_iter().flat_map(|(resource, _)| resource.staff_ids.clone());
    let mut ids: Vec<StaffId> =
        serving.chain(location.into_iter().flat_map(|(location, _)| location.manager_ids.clone())).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The keys of everything that `refs` names.
pub(crate) fn keys_of(refs: &Refs) -> Vec<Key> {
    let business = &refs.business_id;
    let mut keys = vec![Key::Business(business.clone())];
    match &refs.subject {
        SubjectId::Booking(id) => keys.push(Key::Booking(business.clone(), id.clone())),
        SubjectId::Occasion(id) => keys.push(Key::Occasion(business.clone(), id.clone())),
    }
    // Version 0 is the defaults, and is not stored.
    if refs.rules_version > 0 {
        keys.push(Key::RulesVersion(business.clone(), refs.rules_version));
    }
    keys.extend(refs.for_booking.iter().map(|id| Key::Booking(business.clone(), id.clone())));
    keys.extend(refs.for_campaign.iter().map(|id| Key::Campaign(business.clone(), id.clone())));
    keys.extend(refs.location_id.iter().map(|id| Key::Location(business.clone(), id.clone())));
    keys.extend(refs.resource_id.iter().map(|id| Key::Resource(business.clone(), id.clone())));
    keys.extend(refs.service_id.iter().map(|id| Key::Service(business.clone(), id.clone())));
    keys.extend(refs.client_ids.iter().map(|id| Key::Client(business.clone(), id.clone())));
    keys.extend(refs.staff_ids.iter().map(|id| Key::Staff(business.clone(), id.clone())));
    keys
}

/// The facts that `refs` names, out of what was found, with the subject's version.
fn assemble(refs: &Refs, found: &[Stored]) -> Result<(Facts, u64), Missing> {
    let (subject, version) = match &refs.subject {
        SubjectId::Booking(_) => {
            let (booking, version) = booking(&refs.subject, found).ok_or(Missing("booking"))?;
            (Subject::Booking(booking.clone()), version)
        }
        SubjectId::Occasion(_) => {
            let (occasion, version) = occasion(&refs.subject, found).ok_or(Missing("occasion"))?;
            (Subject::Occasion(occasion.clone(), visit(occasion, found).cloned()), version)
        }
    };
    facts_of(refs, subject, found).map(|facts| (facts, version))
}

/// The facts around a subject, out of what was found.
fn facts_of(refs: &Refs, subject: Subject, found: &[Stored]) -> Result<Facts, Missing> {
    fn the<T: Clone>(found: &[Stored], pick: impl Fn(&Item) -> Option<&T>) -> Option<T> {
        first(found, pick).map(|(item, _)| item.clone())
    }
    let rules = the(found, |item| item.rules_version().filter(|rules| rules.version == refs.rules_version));
    let rules = match rules {
        Some(rules) => rules,
        None if refs.rules_version == 0 => Rules::defaults(refs.business_id.clone()),
        None => return Err(Missing("version of the rules")),
    };
    let facts = Facts {
        business: the(found, Item::business).ok_or(Missing("business"))?,
        rules,
        campaign: the(found, |item| item.campaign().filter(|x| Some(&x.id) == refs.for_campaign.as_ref())),
        location: the(found, |item| item.location().filter(|x| Some(&x.id) == refs.location_id.as_ref())),
        resource: the(found, |item| item.resource().filter(|x| Some(&x.id) == refs.resource_id.as_ref())),
        service: the(found, |item| item.service().filter(|x| Some(&x.id) == refs.service_id.as_ref())),
        clients: refs
            .client_ids
            .iter()
            .filter_map(|id| the(found, |item| item.client().filter(|client| client.id == *id)))
            .collect(),
        staff: refs
            .staff_ids
            .iter()
            .filter_map(|id| the(found, |item| item.staff().filter(|staff| staff.id == *id)))
            .collect(),
        subject,
    };
    if let Subject::Booking(_) = facts.subject {
        let there = [
            ("location", facts.location.is_some()),
            ("resource", facts.resource.is_some()),
            ("service", facts.service.is_some()),
        ];
        if let Some((what, _)) = there.into_iter().find(|(_, there)| !there) {
            return Err(Missing(what));
        }
    }
    Ok(facts)
}

/// The facts around a booking that is not stored, or not stored so: what it refers to is among `found`, but for the staff, who are read.
pub async fn facts_around(read: &impl Read, booking: Booking, found: &[Stored]) -> Result<Facts, PortError> {
    let mut known: HashMap<Key, Item> =
        found.iter().map(|stored| (stored.item.key(), stored.item.clone())).collect();
    let mut wanted = keys_around(&booking);
    wanted.extend(staff_keys_of(&booking, |key| known.get(key)));
    wanted.retain(|key| !known.contains_key(key));
    if !wanted.is_empty() {
        known.extend(read.read(wanted).await?.into_iter().map(|stored| (stored.item.key(), stored.item)));
    }
    facts_among(booking, |key| known.get(key))
}

/// What a booking refers to, but for the staff.
pub(crate) fn keys_around(booking: &Booking) -> Vec<Key> {
    keys_of(&Refs::from(booking)).into_iter().filter(|key| !matches!(key, Key::Booking(..))).collect()
}

/// The staff who are told about a booking, by the resource and the location that `get` knows.
pub(crate) fn staff_keys_of<'a>(booking: &Booking, get: impl Fn(&Key) -> Option<&'a Item>) -> Vec<Key> {
    let ids = staff_ids(&Refs::from(booking), &found_of(keys_around(booking), get));
    ids.into_iter().map(|id| Key::Staff(booking.business_id.clone(), id)).collect()
}

/// The facts around a booking, all of which `get` knows.
pub(crate) fn facts_among<'a>(
    booking: Booking,
    get: impl Fn(&Key) -> Option<&'a Item>,
) -> Result<Facts, PortError> {
    let refs = Refs::from(&booking);
    let mut found = found_of(keys_around(&booking), &get);
    let refs = Refs { staff_ids: staff_ids(&refs, &found), ..refs };
    found.extend(found_of(staff_keys_of(&booking, &get), &get));
    facts_of(&refs, Subject::Booking(booking), &found)
        .map_err(|missing| PortError::Permanent { operation: "loading a booking", source: missing.into() })
}

fn found_of<'a>(keys: Vec<Key>, get: impl Fn(&Key) -> Option<&'a Item>) -> Vec<Stored> {
    keys.iter().filter_map(get).map(|item| Stored { item: item.clone(), version: 0 }).collect()
}
