//! Pages of what is looked for among more than that.

use crate::ports::{Item, List, Listed, Page, PortError, Stored};
use domain::ids::BusinessId;

use crate::ports::Kind;

/// The most things one request looks at. A page may so hold fewer than were asked for, and none, although more follow.
pub const LOOKED_AT: usize = 1_000;

/// How many are read at once.
const AT_ONCE: usize = 100;

/// Some of the things among which others are looked for, each with its place, and `None` where it is gone by now.
pub(crate) struct Portion<P> {
    pub(crate) places: Vec<(P, Option<Stored>)>,
    pub(crate) more: bool,
}

/// The first `limit` things after `from` that are `wanted`, and the place after which to go on, where there may be more. `portion` reads at most so
/// many after a place. Looks at [`LOOKED_AT`] things or some more.
pub(crate) async fn sift<P: Clone, F>(
    limit: usize,
    from: P,
    portion: impl Fn(P, u32) -> F,
    wanted: impl Fn(&Item) -> bool,
) -> Result<(Vec<Stored>, Option<P>), PortError>
where
    F: Future<Output = Result<Portion<P>, PortError>>,
{
    let (mut found, mut at, mut looked_at) = (Vec::new(), from, 0);
    while looked_at < LOOKED_AT {
        // Where everything is wanted, the first portion is the page.
        let count = if looked_at == 0 { limit.min(AT_ONCE) } else { AT_ONCE };
        let Portion { places, more } = portion(at.clone(), u32::try_from(count).unwrap_or(u32::MAX)).await?;
        looked_at += places.len();
        let last = places.len();
        for (number, (place, stored)) in places.into_iter().enumerate() {
            at = place;
            found.extend(stored.filter(|stored| wanted(&stored.item)));
            if found.len() == limit {
                let next = (more || number + 1 < last).then_some(at);
                return Ok((found, next));
            }
        }
        if !more {
            return Ok((found, None));
        }
    }
    Ok((found, Some(at)))
}

/// One page of those of a business's things of a kind that are `wanted`, by id.
pub(crate) async fn sift_list(
    ports: &impl List,
    business_id: &BusinessId,
    kind: Kind,
    page: Page,
    id_of: impl Fn(&Item) -> Option<String> + Sync,
    wanted: impl Fn(&Item) -> bool,
) -> Result<Listed, PortError> {
    let id_of = &id_of;
    let limit = usize::try_from(page.limit).unwrap_or(AT_ONCE);
    let portion = |after: Option<String>, limit| async move {
        let Listed { items, next } = ports.list(business_id, kind, Page { after, limit }).await?;
        let places = items.into_iter().map(|stored| (id_of(&stored.item), Some(stored))).collect();
        Ok(Portion { places, more: next.is_some() })
    };
    let (items, next) = sift(limit, page.after, portion, wanted).await?;
    Ok(Listed { items, next: next.flatten() })
}
