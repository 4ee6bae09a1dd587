//! Writing a campaign, and what staff does to it: starts it, holds it up, goes on with it, calls it off (S46).

use domain::campaign::{Campaign, CampaignFilter, CampaignStatus, CampaignStep, PerMinute, Progress};
use domain::ids::{BusinessId, CampaignId};
use domain::template::check_campaign;
use domain::text::{Letter, Name};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::create_booking::When;
use crate::edit_catalogue::{Edit, create, update};
use crate::edit_settings::rules_version;
use crate::error::{AppError, check_version};
use crate::once::{Done, do_once};
use crate::ports::{Expect, Item, Key, Read, Write, WriteFacts, first};
use crate::write_occasion::Channels;

/// How often a step starts over because the campaign went on under it: while it runs, it is written with every few clients.
const TRIES: u32 = 20;

/// How far ahead a campaign may be set to start.
const HORIZON: SignedDuration = SignedDuration::from_hours(24 * 366);

/// The most clients that a filter names.
const NAMED: usize = 100;

/// The most tags that a filter asks for.
const TAGS: usize = 20;

/// A campaign as a caller gives it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CampaignFields {
    /// What staff calls it.
    pub name: Name,
    /// Whom it is for; without it, everybody who has agreed to marketing and can be reached.
    #[serde(default)]
    pub filter: CampaignFilter,
    /// On which channels it goes out.
    pub channels: Channels,
    /// The subject of the e-mail, a template; without it, one that names the business.
    #[serde(default)]
    pub subject: Option<Name>,
    /// The text, a template: it may speak of the client, the business and its links, as in `Dear {{ client.name }}`.
    pub text: Letter,
    /// How many clients a minute it is sent to, at most: 1 to 6000.
    #[serde(default)]
    pub per_minute: PerMinute,
}

impl CampaignFields {
    /// The draft with this id, made at `now` (UTC).
    ///
    /// # Errors
    /// [`AppError::Invalid`] and [`AppError::InvalidTemplate`] name the field that cannot be as it is.
    pub fn draft(
        self,
        business_id: BusinessId,
        id: CampaignId,
        now: Timestamp,
    ) -> Result<Campaign, AppError> {
        let Self { name, filter, channels, subject, text, per_minute } = self;
        check_filter(&filter)?;
        if let Some(subject) = &subject {
            check_campaign(subject.as_str(), "subject")?;
        }
        check_campaign(text.as_str(), "text")?;
        Ok(Campaign {
            business_id,
            id,
            name,
            filter,
            channels: channels.into(),
            subject,
            text,
            per_minute,
            start_at: None,
            status: CampaignStatus::Draft,
            rules_version: 0,
            progress: Progress::default(),
            created_at: now,
            changed_at: now,
        })
    }
}

fn check_filter(filter: &CampaignFilter) -> Result<(), AppError> {
    if filter.tags.len() > TAGS {
        return Err(AppError::invalid("filter.tags", "at most 20 tags"));
    }
    if filter.client_ids.len() > NAMED {
        return Err(AppError::invalid("filter.client_ids", "at most 100 clients"));
    }
    if let (Some(from), Some(until)) = (filter.last_visit_from, filter.last_visit_until)
        && from > until
    {
        return Err(AppError::invalid("filter.last_visit_until", "last_visit_from or a later date"));
    }
    if filter.never_visited && (filter.last_visit_from.is_some() || filter.last_visit_until.is_some()) {
        return Err(AppError::invalid("filter.never_visited", "false where a last visit is asked for"));
    }
    Ok(())
}

/// When a campaign is to start.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartFields {
    /// When, as wall time of the business or as an instant, at most a year ahead; without it, at once.
    #[serde(default)]
    pub start_at: Option<When>,
}

/// What staff can do to a campaign beside starting it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Hold it up.
    Pause,
    /// Go on with it.
    Resume,
    /// Call it off.
    Cancel,
}

impl From<Hold> for CampaignStep {
    fn from(hold: Hold) -> Self {
        match hold {
            Hold::Pause => CampaignStep::Pause,
            Hold::Resume => CampaignStep::Resume,
            Hold::Cancel => CampaignStep::Cancel,
        }
    }
}

/// Makes a draft.
///
/// # Errors
/// What [`CampaignFields::draft`] refuses.
pub async fn create_campaign<S: Read + WriteFacts>(
    ports: &S,
    edit: Edit<'_>,
    id: CampaignId,
    fields: CampaignFields,
) -> Result<Done<Item>, AppError> {
    let draft = fields.draft(edit.business_id.clone(), id, edit.now)?;
    create(ports, edit, Item::Campaign(draft), &[]).await
}

/// Writes a draft anew.
///
/// # Errors
/// What [`CampaignFields::draft`] refuses; [`AppError::IllegalStep`] when it is no draft any more.
pub async fn change_campaign<S: Read + WriteFacts>(
    ports: &S,
    edit: Edit<'_>,
    id: &CampaignId,
    fields: CampaignFields,
) -> Result<Done<Item>, AppError> {
    let draft = fields.draft(edit.business_id.clone(), id.clone(), edit.now)?;
    update(ports, edit, Key::Campaign(edit.business_id.clone(), id.clone()), &[], |before| match before {
        Some(Item::Campaign(before)) => {
            let before = before.after(CampaignStep::Change, edit.now)?;
            Ok(Item::Campaign(Campaign { created_at: before.created_at, ..draft.clone() }))
        }
        _ => Err(AppError::NotFound { what: "campaign" }),
    })
    .await
}

/// Starts a campaign, at once or at its time; from then on it goes by the rules as they are now.
///
/// # Errors
/// [`AppError::NotFound`], [`AppError::IllegalStep`]; [`AppError::Invalid`] for a time that cannot be.
pub async fn start_campaign<S: Read + WriteFacts>(
    ports: &S,
    edit: Edit<'_>,
    id: &CampaignId,
    fields: StartFields,
) -> Result<Done<Item>, AppError> {
    step(ports, edit, id, |business_zone, rules_version| {
        let at = match fields.start_at {
            None => edit.now,
            Some(when) => when
                .at(business_zone)
                .filter(|at| edit.now <= *at && *at <= edit.now + HORIZON)
                .ok_or_else(|| AppError::invalid("start_at", "a time from now on, at most a year ahead"))?,
        };
        Ok(CampaignStep::Start { at, rules_version })
    })
    .await
}

/// Pauses, resumes or cancels a campaign. What it holds up or calls off is said at [`CampaignStatus`].
///
/// # Errors
/// [`AppError::NotFound`], [`AppError::IllegalStep`].
pub async fn hold_campaign<S: Read + WriteFacts>(
    ports: &S,
    edit: Edit<'_>,
    id: &CampaignId,
    hold: Hold,
) -> Result<Done<Item>, AppError> {
    step(ports, edit, id, |_, _| Ok(hold.into())).await
}

/// Takes a step that may depend on the business's zone and on the version of its rules.
async fn step<S: Read + WriteFacts>(
    ports: &S,
    edit: Edit<'_>,
    id: &CampaignId,
    step: impl Fn(&domain::zone::Zone, u64) -> Result<CampaignStep, AppError>,
) -> Result<Done<Item>, AppError> {
    let (business_id, step) = (edit.business_id, &step);
    let keys = vec![
        Key::Business(business_id.clone()),
        Key::Rules(business_id.clone()),
        Key::Campaign(business_id.clone(), id.clone()),
    ];
    do_once(ports, TRIES, business_id, edit.once, edit.now, keys, |found| async move {
        let (Some((business, _)), Some((campaign, version))) =
            (first(&found, Item::business), first(&found, Item::campaign))
        else {
            return Err(AppError::NotFound { what: "campaign" });
        };
        check_version(edit.if_match, version)?;
        let step = step(&business.zone, rules_version(&found))?;
        let item = Item::Campaign(campaign.after(step, edit.now)?);
        let write = Write { item: item.clone(), expect: Expect::Version(version) };
        Ok((vec![write], Done { value: item, etag: version + 1 }))
    })
    .await
}
