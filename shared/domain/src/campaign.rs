//! Campaigns: one text to all clients that a filter finds, a few after the other at a set pace (S46).
//!
//! A campaign goes through the clients of its business by id and chooses those who are to hear of it. Each of them gets an occasion, from which
//! the messages are planned like those of any other. How far it has come is part of the campaign, so that it can be told, held up and gone on with.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use crate::business::{Business, Locale};
use crate::channel::Channel;
use crate::client::Client;
use crate::ids::{BusinessId, CampaignId, ClientId, OccasionId};
use crate::message::digest;
use crate::recipient::Person;
use crate::schema;
use crate::text::{Letter, Name, Tag};

/// How far a campaign that was held up may catch up with its pace.
const CATCH_UP: SignedDuration = SignedDuration::from_secs(5);

/// The most clients that are chosen at a time: their occasions and the campaign are written in one transaction.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
const CHOSEN_AT_ONCE: u32 = 99;

/// A campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Campaign {
    /// Whose.
    pub business_id: BusinessId,
    /// The id; ids sort by the time of making.
    pub id: CampaignId,
    /// What staff calls it.
    pub name: Name,
    /// Whom it is for.
    #[serde(default)]
    pub filter: CampaignFilter,
    /// On which channels it goes out; how they are used says the rule of the type `campaign`.
    pub channels: Vec<Channel>,
    /// The subject of the e-mail, a template; without it, one that names the business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Name>,
    /// The text, a template.
    pub text: Letter,
    /// How many clients a minute it is sent to, at most.
    pub per_minute: PerMinute,
    /// When it was to begin (UTC); absent while it is a draft.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<Timestamp>,
    /// How it stands.
    pub status: CampaignStatus,
    /// The version of the rules that its messages are planned by: that of its start.
    #[serde(default)]
    pub rules_version: u64,
    /// How far it has come.
    #[serde(default)]
    pub progress: Progress,
    /// When it was made (UTC).
    pub created_at: Timestamp,
    /// When it was changed last, by staff or by its own progress (UTC).
    pub changed_at: Timestamp,
}

/// How a campaign stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CampaignStatus {
    /// Being written; it can be changed.
    Draft,
    /// Begins by itself at its time.
    Scheduled,
    /// Chooses clients.
    Running,
    /// Chooses nobody for now. Whom it has chosen hears of it.
    Paused,
    /// Has been through all clients.
    Completed,
    /// Called off: what has not left does not leave.
    Cancelled,
}

impl CampaignStatus {
    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            CampaignStatus::Draft => "draft",
            CampaignStatus::Scheduled => "scheduled",
            CampaignStatus::Running => "running",
            CampaignStatus::Paused => "paused",
            CampaignStatus::Completed => "completed",
            CampaignStatus::Cancelled => "cancelled",
        }
    }
}

/// How far a campaign has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// The last client it has looked at, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ClientId>,
    /// From when on it may choose the next (UTC); absent before its start and after its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// How it found those it has looked at.
    #[serde(flatten)]
    pub found: Found,
}

/// How clients were found, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Found {
    /// Looked at.
    pub looked_at: u64,
    /// Of those: chosen.
    pub chosen: u64,
    /// Of those: the filter fits, and there is no consent to marketing.
    pub no_consent: u64,
    /// Of those: the filter fits, and no address on any of the channels.
    pub unreachable: u64,
}

impl Found {
    /// Counts one more client.
    pub fn add(&mut self, choice: Choice) {
        self.looked_at += 1;
        match choice {
            Choice::Chosen => self.chosen += 1,
            Choice::NoConsent => self.no_consent += 1,
            Choice::Unreachable => self.unreachable += 1,
            Choice::NotMeant => {}
        }
    }

    /// Both together.
    pub fn and(self, other: Found) -> Found {
        Found {
            looked_at: self.looked_at + other.looked_at,
            chosen: self.chosen + other.chosen,
            no_consent: self.no_consent + other.no_consent,
            unreachable: self.unreachable + other.unreachable,
        }
    }
}

/// What a campaign makes of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Hears of it.
    Chosen,
    /// The filter does not fit.
    NotMeant,
    /// Has not agreed to marketing (S43).
    NoConsent,
    /// Has no address on any of its channels.
    Unreachable,
}

/// How many clients a minute: 1 to 6000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct PerMinute(u32);

impl PartialSchema for PerMinute {
    fn schema() -> RefOr<Schema> {
        schema::number(1, 6000)
    }
}

impl ToSchema for PerMinute {}

/// Why a number is not [`PerMinute`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 6000 clients a minute")]
pub struct InvalidPerMinute;

impl TryFrom<u32> for PerMinute {
    type Error = InvalidPerMinute;
    fn try_from(number: u32) -> Result<Self, InvalidPerMinute> {
        if (1..=6000).contains(&number) { Ok(Self(number)) } else { Err(InvalidPerMinute) }
    }
}

impl From<PerMinute> for u32 {
    fn from(per_minute: PerMinute) -> u32 {
        per_minute.0
    }
}

impl Default for PerMinute {
    fn default() -> Self {
        Self(600)
    }
}

impl PerMinute {
    /// How many clients are chosen at a time: those of ten seconds, 1 to 99.
    pub fn at_once(self) -> usize {
        (self.0 / 6).clamp(1, CHOSEN_AT_ONCE) as usize
    }

    /// When the next may be chosen, after so many were at `now` who might have been from `since` on (both UTC).
    fn after(self, chosen: usize, since: Timestamp, now: Timestamp) -> Timestamp {
        let milliseconds =
            i64::try_from(chosen).unwrap_or(i64::MAX).saturating_mul(60_000) / i64::from(self.0);
        let begun = since.max(now - CATCH_UP);
        begun.checked_add(SignedDuration::from_millis(milliseconds)).unwrap_or(Timestamp::MAX)
    }
}

/// Whom a campaign is for: clients to whom all of it applies. An empty filter is for everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CampaignFilter {
    /// Clients with at least one of these tags: at most 20.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(max_items = 20, value_type = Vec<Tag>)]
    pub tags: BTreeSet<Tag>,
    /// Clients who are written to in this language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// Clients whose last visit was on this date or later, by the business's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub last_visit_from: Option<Date>,
    /// Clients whose last visit was on this date or earlier, by the business's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub last_visit_until: Option<Date>,
    /// Only clients who have no visit ahead.
    #[serde(default)]
    pub no_future_booking: bool,
    /// Only clients who have never been here.
    #[serde(default)]
    pub never_visited: bool,
    /// Only these clients: at most 100.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(max_items = 100)]
    pub client_ids: BTreeSet<ClientId>,
}

/// A client's visits, as far as filters ask about them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Visits {
    /// The start of the last one that has begun (UTC).
    pub last: Option<Timestamp>,
    /// Whether there is one ahead.
    pub ahead: bool,
}

/// What staff can do to a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CampaignStep {
    /// Start it, at an instant (UTC), by this version of the rules.
    Start {
        /// When; one that is past is at once.
        at: Timestamp,
        /// Of the rules.
        rules_version: u64,
    },
    /// Hold it up.
    Pause,
    /// Go on with it.
    Resume,
    /// Call it off.
    Cancel,
    /// Write it anew.
    Change,
}

impl CampaignStep {
    fn participle(self) -> &'static str {
        match self {
            CampaignStep::Start { .. } => "started",
            CampaignStep::Pause => "paused",
            CampaignStep::Resume => "resumed",
            CampaignStep::Cancel => "cancelled",
            CampaignStep::Change => "changed",
        }
    }
}

/// The step does not fit the campaign's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a campaign that is {} cannot be {step}", .status.name())]
pub struct IllegalStep {
    /// The state the campaign is in.
    pub status: CampaignStatus,
    /// What was tried, as a participle.
    pub step: &'static str,
}

impl CampaignFilter {
    /// Whether it asks about visits, so that the caller has to look them up.
    pub fn asks_for_visits(&self) -> bool {
        self.no_future_booking
            || self.never_visited
            || self.last_visit_from.is_some()
            || self.last_visit_until.is_some()
    }

    /// Whether a client fits by the card alone.
    pub fn fits_card(&self, client: &Client, business: &Business) -> bool {
        client.erased_at.is_none()
            && (self.tags.is_empty() || !self.tags.is_disjoint(&client.tags))
            && self.locale.is_none_or(|locale| client.locale.unwrap_or(business.locale) == locale)
            && (self.client_ids.is_empty() || self.client_ids.contains(&client.id))
    }

    /// Whether a client fits. `visits` matter only where [`asks_for_visits`](Self::asks_for_visits) says so.
    pub fn matches(&self, client: &Client, visits: &Visits, business: &Business) -> bool {
        let last = visits.last.map(|last| last.to_zoned(business.zone.0.clone()).date());
        self.fits_card(client, business)
            && self.last_visit_from.is_none_or(|from| last.is_some_and(|last| from <= last))
            && self.last_visit_until.is_none_or(|until| last.is_some_and(|last| last <= until))
            && !(self.no_future_booking && visits.ahead)
            && !(self.never_visited && last.is_some())
    }
}

impl Campaign {
    /// What it makes of a client.
    pub fn choice(&self, client: &Client, visits: &Visits, business: &Business) -> Choice {
        let reachable = |channel: &Channel| Person::Client(client).masked_address(*channel).is_some();
        if !self.filter.matches(client, visits, business) {
            Choice::NotMeant
        } else if !client.marketing_consent {
            Choice::NoConsent
        } else if !self.channels.iter().any(reachable) {
            Choice::Unreachable
        } else {
            Choice::Chosen
        }
    }

    /// When it is to choose its next clients (UTC); `None` while it is not to.
    pub fn next_page(&self) -> Option<Timestamp> {
        let goes_on = matches!(self.status, CampaignStatus::Scheduled | CampaignStatus::Running);
        self.progress.next_at.filter(|_| goes_on)
    }

    /// Until when it waits (UTC) where one of its channels keeps the business's quiet hours at `now`: clients chosen by night would all hear of it in
    /// the minute in which the night ends, and could not be held back any more.
    pub fn quiet_until(&self, business: &Business, now: Timestamp) -> Option<Timestamp> {
        let hours = business.quiet_hours.as_ref()?;
        let held = self.channels.iter().any(|channel| hours.hold(*channel));
        let window = hours.window_around(now, &business.zone).filter(|_| held)?;
        Some(window.ends)
    }

    /// The campaign, which at `now` waits with its next clients until an instant (both UTC).
    pub fn waiting(&self, until: Timestamp, now: Timestamp) -> Campaign {
        let progress = Progress { next_at: Some(until), ..self.progress.clone() };
        Campaign { progress, changed_at: now, ..self.clone() }
    }

    /// The id of the occasion for a client: the same however often the client is chosen, so that nobody hears of a campaign twice.
    pub fn occasion_id(&self, client_id: &ClientId) -> OccasionId {
        digest(format_args!("campaign|{}|{}|{client_id}", self.business_id, self.id))
    }

    /// The campaign after a step of staff at `now` (UTC).
    ///
    /// # Errors
    /// [`IllegalStep`] when its state does not allow it.
    pub fn after(&self, step: CampaignStep, now: Timestamp) -> Result<Campaign, IllegalStep> {
        use CampaignStatus as Status;
        let mut after = Campaign { changed_at: now, ..self.clone() };
        let begins = |at: Timestamp| if at > now { Status::Scheduled } else { Status::Running };
        match (step, self.status) {
            (CampaignStep::Start { at, rules_version }, Status::Draft) => {
                let at = at.max(now);
                after.status = begins(at);
                after.rules_version = rules_version;
                after.start_at = Some(at);
                after.progress.next_at = Some(at);
            }
            (CampaignStep::Pause, Status::Scheduled | Status::Running) => after.status = Status::Paused,
            (CampaignStep::Resume, Status::Paused) => {
                after.status = begins(self.start_at.unwrap_or(now));
                after.progress.next_at = self.progress.next_at.map(|next_at| next_at.max(now));
            }
            (CampaignStep::Cancel, status) if status != Status::Cancelled => {
                after.status = Status::Cancelled;
                after.progress.next_at = None;
            }
            (CampaignStep::Change, Status::Draft) => {}
            (step, status) => return Err(IllegalStep { status, step: step.participle() }),
        }
        Ok(after)
    }

    /// The campaign after it has looked at clients up to `last` at `now` (UTC), and found them so; `all` when these were the last.
    pub fn advanced(&self, last: Option<ClientId>, found: Found, all: bool, now: Timestamp) -> Campaign {
        let chosen = usize::try_from(found.chosen).unwrap_or(usize::MAX);
        let since = self.progress.next_at.unwrap_or(now);
        let next_at = self.per_minute.after(chosen, since, now);
        Campaign {
            status: if all { CampaignStatus::Completed } else { CampaignStatus::Running },
            progress: Progress {
                after: last.or_else(|| self.progress.after.clone()),
                next_at: (!all).then_some(next_at),
                found: self.progress.found.and(found),
            },
            changed_at: now,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests;
