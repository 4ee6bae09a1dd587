//! Whom a campaign would reach and what its sms would cost, before anything is written (S46, S68).

use std::collections::BTreeMap;

use domain::business::Business;
use domain::campaign::{Campaign, Choice, Found};
use domain::channel::Channel;
use domain::client::Client;
use domain::compose::{Pages, bill, compose};
use domain::facts::{Facts, Subject};
use domain::ids::{BusinessId, CampaignId, ClientId};
use domain::link::LinkKeys;
use domain::notification_type::NotificationType;
use domain::plan::{Outcome, plan};
use domain::rule::Rules;
use domain::sms::Estimate;
use domain::template::Templates;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::AppError;
use crate::ports::{ClientBookings, Item, Key, List, Read, first};
use crate::run_campaign::{choices, clients_after, occasion};
use crate::spending::SmsCost;

/// How many clients one call looks at.
const CLIENTS: u64 = 1_000;

/// Whom a campaign would reach, were it started now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct CampaignPreview {
    /// How clients would be found.
    #[serde(flatten)]
    pub found: Found,
    /// Whether there are no more.
    pub complete: bool,
    /// Where to go on, if there may be more: the answers then add up.
    pub next: Option<ClientId>,
    /// The messages that would leave, by channel. One may be withheld though its client is chosen: banned on the card, its address suppressed, the
    /// channel switched off.
    pub messages: Vec<MessagesBy>,
    /// What the sms among them would cost, by currency, as far as the business has given prices.
    pub cost: Vec<SmsCost>,
}

/// Messages on one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct MessagesBy {
    /// The channel.
    pub channel: Channel,
    /// How many.
    pub count: u64,
}

/// Looks at up to 1000 clients or some more, after `cursor`, where the call before ended. `pages` is where clients' own pages are: links to them
/// have a price by sms.
///
/// # Errors
/// [`AppError::NotFound`]; [`AppError::Invalid`] for a cursor that is none.
pub async fn preview_campaign<S: Read + List + ClientBookings>(
    ports: &S,
    (business_id, id): (&BusinessId, &CampaignId),
    cursor: Option<&str>,
    now: Timestamp,
    pages: &str,
) -> Result<CampaignPreview, AppError> {
    let bad_cursor = |_| AppError::invalid("cursor", "what the answer before gave as next");
    let mut after: Option<ClientId> = cursor.map(str::parse).transpose().map_err(bad_cursor)?;
    let found = ports
        .read(vec![
            Key::Business(business_id.clone()),
            Key::Rules(business_id.clone()),
            Key::Templates(business_id.clone(), NotificationType::Campaign),
            Key::Campaign(business_id.clone(), id.clone()),
        ])
        .await?;
    let (Some((business, _)), Some((campaign, _))) =
        (first(&found, Item::business), first(&found, Item::campaign))
    else {
        return Err(AppError::NotFound { what: "campaign" });
    };
    let rules = first(&found, Item::rules).map(|(rules, _)| rules.clone());
    let rules = rules.unwrap_or_else(|| Rules::defaults(business_id.clone()));
    let keys = LinkKeys::sample(business_id.clone());
    let pages = Pages { url: pages, keys: &keys, now };
    let own = first(&found, Item::templates).map(|(own, _)| own);
    let around = Around { business, campaign, rules, own, pages };
    let mut preview = CampaignPreview::default();
    let mut messages = BTreeMap::new();
    while preview.found.looked_at < CLIENTS && !preview.complete {
        let (clients, next) = clients_after(ports, campaign, after.as_ref()).await?;
        for (client, choice) in choices(ports, business, campaign, &clients, now).await? {
            preview.found.add(choice);
            if choice == Choice::Chosen {
                around.count(client, now, &mut messages, &mut preview.cost);
            }
        }
        preview.complete = next.is_none();
        after = next;
    }
    preview.next = after;
    preview.messages = messages.into_iter().map(|(channel, count)| MessagesBy { channel, count }).collect();
    Ok(preview)
}

/// What the messages of a campaign are planned from, beside the client.
struct Around<'a> {
    business: &'a Business,
    campaign: &'a Campaign,
    rules: Rules,
    /// What the business has changed of the type's texts.
    own: Option<&'a Templates>,
    pages: Pages<'a>,
}

impl Around<'_> {
    /// Counts the messages to a client, and what they cost.
    fn count(
        &self,
        client: &Client,
        now: Timestamp,
        messages: &mut BTreeMap<Channel, u64>,
        costs: &mut Vec<SmsCost>,
    ) {
        let facts = Facts {
            business: self.business.clone(),
            rules: self.rules.clone(),
            subject: Subject::Occasion(occasion(self.campaign, &client.id, now), None),
            campaign: Some(self.campaign.clone()),
            location: None,
            resource: None,
            service: None,
            clients: vec![client.clone()],
            staff: Vec::new(),
        };
        for message in plan(&facts, now).messages {
            if !matches!(message.outcome, Outcome::Leaves(_) | Outcome::Deferred(_)) {
                continue;
            }
            *messages.entry(message.channel).or_default() += 1;
            let priced = message.channel == Channel::Sms && !self.business.sms_prices.is_empty();
            let content = priced.then(|| {
                compose(
                    &facts,
                    &message.recipient,
                    message.kind,
                    message.channel,
                    self.own,
                    None,
                    Some(self.pages),
                )
            });
            if let Some(Ok(Some(content))) = content
                && let Some((_, Some(price))) = bill(&facts, &message.recipient, &content)
            {
                let Estimate { thousandths, currency } = price;
                match costs.iter_mut().find(|cost| cost.currency == currency) {
                    Some(cost) => cost.thousandths += thousandths,
                    None => costs.push(SmsCost { currency, thousandths }),
                }
            }
        }
    }
}
