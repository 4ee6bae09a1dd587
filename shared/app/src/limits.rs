//! What a business allows itself in sms: counted as they are claimed, before they leave.
//!
//! An sms is counted at its first attempt. A run that dies between the count and the claim has counted one too many, which errs on the side of
//! the bill.

use domain::business::Business;
use domain::message::Message;
use domain::task::{Task, TaskKind};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::ports::{Count, Meter, PortError};

/// Which limit would be passed.
#[derive(Debug)]
pub(crate) enum Over {
    /// The number has had its sms for the day.
    Number,
    /// The month's money is spent; with the task that tells staff.
    Month(Box<Task>),
}

/// Counts an sms that is about to leave at `now` (UTC), unless a limit stands against it. No call where the business has no limits.
pub(crate) async fn count_sms(
    meter: &impl Meter,
    business: &Business,
    message: &Message,
    now: Timestamp,
) -> Result<Option<Over>, PortError> {
    let (Some(segments), Some(phone), 0) = (message.segments, &message.address, message.attempts) else {
        return Ok(None);
    };
    let (limits, day) = (&business.sms_limits, now.to_zoned(TimeZone::UTC).date());
    let mut counts = Vec::new();
    if let Some(most) = limits.per_number_and_day {
        counts.push(Count {
            what: format!("SMS#{day}#{}", hashed(phone)),
            add: 1,
            most: u64::from(most),
            expires_at: now + SignedDuration::from_hours(48),
        });
    }
    let month = format!("{:04}-{:02}", day.year(), day.month());
    let of_month = counts.len();
    if let Some(most) = &limits.per_month {
        // What has no price in the limit's currency counts as the dearest that has one: no number is outside of the limit.
        let price = message.estimate.as_ref().filter(|price| price.currency == most.currency);
        let prices = business.sms_prices.iter().map(|price| &price.per_thousand);
        let dearest = prices.filter(|price| price.currency == most.currency).map(|price| price.minor).max();
        let thousandths = price.map_or_else(
            || dearest.unwrap_or(0).saturating_mul(i64::from(segments)),
            |price| price.thousandths,
        );
        counts.push(Count {
            what: format!("SMS#{month}"),
            add: u64::try_from(thousandths).unwrap_or(0),
            most: u64::try_from(most.minor).unwrap_or(0).saturating_mul(1000),
            expires_at: now + SignedDuration::from_hours(24 * 62),
        });
    }
    if counts.is_empty() {
        return Ok(None);
    }
    match meter.count(&business.id, &counts).await? {
        None => Ok(None),
        Some(over) if over < of_month => Ok(Some(Over::Number)),
        Some(_) => spending_task(business, &month, now).map(|task| Some(Over::Month(Box::new(task)))),
    }
}

/// A number as it is counted: the count outlives the client's card by two days, and must not tell whose it is.
fn hashed(phone: &str) -> String {
    hex::encode(&Sha256::digest(phone.as_bytes())[..16])
}

/// One task for each month, however many sms wait.
fn spending_task(business: &Business, month: &str, now: Timestamp) -> Result<Task, PortError> {
    let id = format!("sms-limit-{month}").parse().map_err(|_| PortError::Permanent {
        operation: "making a task",
        source: "the month makes no task id".into(),
    })?;
    Ok(Task {
        business_id: business.id.clone(),
        id,
        kind: TaskKind::SpendingLimit,
        subject: None,
        client_ids: Vec::new(),
        since: now,
        assignee: None,
        message_id: None,
        text: None,
        links: Vec::new(),
        closed: None,
    })
}
