//! Editing a business's rules. Every change makes a new version; a booking is planned by the version that it was made under, until a
//! [rollout](crate::roll_out) brings it to a later one.

use domain::ids::BusinessId;
use domain::rule::Rules;
use jiff::Timestamp;
use serde::Deserialize;

use crate::edit_catalogue::Edit;
use crate::error::AppError;
use crate::once::{Done, answered, write_once};
use crate::ports::{Expect, Item, Key, Read, Rollout, Stored, Write, WriteError, WriteFacts, first};

/// How often a request starts over because the rules changed under it.
const TRIES: u32 = 5;

/// Which bookings changed settings are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Apply {
    /// Those made from now on.
    #[default]
    NewBookingsOnly,
    /// Those too that are ahead already.
    AllUpcoming,
}

/// Changes the rules. `change` gets them as they are and says how they shall be; the version is not its concern.
///
/// # Errors
/// What `change` refuses; [`AppError::Stale`] when they are not at the version the caller knows.
pub async fn edit_rules<S: Read + WriteFacts>(
    ports: &S,
    edit: Edit<'_>,
    apply: Apply,
    change: impl Fn(Rules) -> Result<Rules, AppError>,
) -> Result<Done<Rules>, AppError> {
    let business_id = edit.business_id;
    for _ in 0..TRIES {
        let mut keys = vec![Key::Rules(business_id.clone()), Key::Rollout(business_id.clone())];
        keys.extend(edit.once.map(|once| once.key(business_id)));
        let found = ports.read(keys).await?;
        if let Some(done) = answered(edit.once, &found, edit.now)? {
            return Ok(done);
        }
        let rules = present(&found, business_id);
        if let Some(expected) = edit.if_match
            && expected != rules.version
        {
            return Err(AppError::Stale { current: rules.version });
        }
        let version = rules.version + 1;
        let rules = Rules { version, ..change(rules)? };
        let writes = writes_of(&rules, &found, apply, edit.now);
        let done = Done { etag: version, value: rules };
        match write_once(ports, business_id, edit.once, writes, &done, &found, edit.now).await {
            Ok(()) => return Ok(done),
            Err(WriteError::Conflict) => continue,
            Err(WriteError::Port(error)) => return Err(error.into()),
        }
    }
    Err(AppError::Busy)
}

/// The rules among `found`, or the defaults.
pub(crate) fn present(found: &[Stored], business_id: &BusinessId) -> Rules {
    let rules = first(found, Item::rules).map(|(rules, _)| rules.clone());
    rules.unwrap_or_else(|| Rules::defaults(business_id.clone()))
}

/// The writes of a new version over what was `found`: the rules as they are, the version for bookings to refer to, and where asked for, the
/// start of a rollout.
pub(crate) fn writes_of(rules: &Rules, found: &[Stored], apply: Apply, now: Timestamp) -> Vec<Write> {
    let over = |version: Option<u64>| version.map_or(Expect::Absent, Expect::Version);
    let expect = over(first(found, Item::rules).map(|(_, version)| version));
    let mut writes = vec![
        Write { item: Item::Rules(rules.clone()), expect },
        Write { item: Item::RulesVersion(rules.clone()), expect: Expect::Absent },
    ];
    if apply == Apply::AllUpcoming {
        let rollout = Rollout {
            business_id: rules.business_id.clone(),
            version: rules.version,
            after: (now, None),
            bookings: 0,
            done: false,
        };
        let expect = over(first(found, Item::rollout).map(|(_, version)| version));
        writes.push(Write { item: Item::Rollout(rollout), expect });
    }
    writes
}
