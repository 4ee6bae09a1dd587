//! Campaigns: one text to all clients that a filter finds.

use app::edit_campaign::{
    CampaignFields, Hold, StartFields, change_campaign, create_campaign, hold_campaign, start_campaign,
};
use app::edit_catalogue::get;
use app::ports::{Key, Kind};
use app::preview_campaign::{CampaignPreview, preview_campaign};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use domain::campaign::Campaign;
use domain::ids::CampaignId;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, Nothing, PageOf, PageParameters, Store, id, made, new, page, shown};
use crate::call::{Call, Caller, Parameters};
use crate::operations::{Target, operations};

pub fn operations<T: Target>(target: T) -> T {
    operations!(
        target;
        CampaignsRead => list_campaigns, get_campaign, post_campaign_preview;
        CampaignsWrite => post_campaign, put_campaign, post_campaign_start, post_campaign_pause, post_campaign_resume, post_campaign_cancel;
    )
}

/// List campaigns
///
/// Every campaign of the business, by id: the oldest first.
#[utoipa::path(
    get, path = "/v1/campaigns", tag = "campaigns", params(PageParameters),
    responses((status = 200, description = "A page of campaigns.", body = PageOf<Campaign>))
)]
async fn list_campaigns(
    State(store): Store,
    caller: Caller,
    Parameters(page_of): Parameters<PageParameters>,
) -> Answer {
    page(&store, &caller, Kind::Campaigns, page_of).await
}

/// Write a campaign
///
/// A draft, which goes to nobody before it is started. Only clients who have agreed to marketing are chosen, and that is asked again when the
/// message leaves.
#[utoipa::path(
    post, path = "/v1/campaigns", tag = "campaigns",
    request_body(content = CampaignFields, example = json!({
        "name": "Spring", "filter": { "tags": ["regular"], "last_visit_until": "2026-12-31", "no_future_booking": true },
        "channels": ["email", "sms"], "subject": "Spring at {{ business.name }}",
        "text": "Dear {{ client.name }}, it is time for a new cut.", "per_minute": 300
    })),
    responses((status = 201, description = "The draft.", body = Campaign, headers(("ETag" = String), ("Location" = String))))
)]
async fn post_campaign(State(store): Store, call: Call<CampaignFields>) -> Answer {
    let done = create_campaign(&*store, call.edit(), new()?, call.body.clone()).await?;
    made("/v1/campaigns".to_owned(), done)
}

/// Get a campaign
///
/// With how far it has come. Which messages left, and which did not and why, says each client's timeline.
#[utoipa::path(
    get, path = "/v1/campaigns/{id}", tag = "campaigns", params(("id" = CampaignId, Path)),
    responses((status = 200, description = "The campaign.", body = Campaign, headers(("ETag" = String))))
)]
async fn get_campaign(State(store): Store, caller: Caller, Path(campaign): Path<String>) -> Answer {
    let key = Key::Campaign(caller.business_id, id(&campaign, "campaign")?);
    shown(get(&*store, key, "campaign").await?)
}

/// Write a draft anew
///
/// Only while it is a draft: what was started is what was read.
#[utoipa::path(
    put, path = "/v1/campaigns/{id}", tag = "campaigns", params(("id" = CampaignId, Path)),
    request_body(content = CampaignFields, example = json!({
        "name": "Spring", "channels": ["push"], "text": "Dear {{ client.name }}, it is time for a new cut."
    })),
    responses((status = 200, description = "The draft.", body = Campaign, headers(("ETag" = String))))
)]
async fn put_campaign(
    State(store): Store,
    Path(campaign): Path<String>,
    call: Call<CampaignFields>,
) -> Answer {
    let campaign = id(&campaign, "campaign")?;
    shown(change_campaign(&*store, call.edit(), &campaign, call.body.clone()).await?)
}

/// Where a preview goes on.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Going {
    /// What the answer before gave as `next`.
    #[param(pattern = "^[0-9A-Za-z_-]{1,64}$")]
    cursor: Option<String>,
}

/// Preview a campaign
///
/// Counts whom it would reach, were it started now, by which channels, and what the sms would cost by the business's prices. Writes nothing. Looks
/// at a thousand clients or some more; the answers of one call after the other add up.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/preview", tag = "campaigns", params(("id" = CampaignId, Path), Going),
    responses((status = 200, description = "Whom it would reach.", body = CampaignPreview))
)]
async fn post_campaign_preview(
    State(store): Store,
    Path(campaign): Path<String>,
    Parameters(going): Parameters<Going>,
    call: Call<Nothing>,
) -> Answer {
    let (campaign, Caller { business_id, now, pages, .. }) = (id(&campaign, "campaign")?, &call.caller);
    let about = (business_id, &campaign);
    let preview = preview_campaign(&*store, about, going.cursor.as_deref(), *now, pages).await?;
    Ok(Json(preview).into_response())
}

/// Start a campaign
///
/// At once, or at its time. It goes to `per_minute` clients a minute at most, by the rules as they are now. Quiet hours hold for it.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/start", tag = "campaigns", params(("id" = CampaignId, Path)),
    request_body(content = StartFields, example = json!({ "start_at": "2027-03-20T10:00" })),
    responses((status = 200, description = "The campaign.", body = Campaign, headers(("ETag" = String))))
)]
async fn post_campaign_start(
    State(store): Store,
    Path(campaign): Path<String>,
    call: Call<StartFields>,
) -> Answer {
    let campaign = id(&campaign, "campaign")?;
    shown(start_campaign(&*store, call.edit(), &campaign, call.body).await?)
}

async fn held(store: Store, campaign: &str, call: &Call<Nothing>, hold: Hold) -> Answer {
    shown(hold_campaign(&**store, call.edit(), &id(campaign, "campaign")?, hold).await?)
}

/// Pause a campaign
///
/// It chooses no more clients. Those it has chosen hear of it.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/pause", tag = "campaigns", params(("id" = CampaignId, Path)),
    responses((status = 200, description = "The campaign, paused.", body = Campaign, headers(("ETag" = String))))
)]
async fn post_campaign_pause(store: Store, Path(campaign): Path<String>, call: Call<Nothing>) -> Answer {
    held(store, &campaign, &call, Hold::Pause).await
}

/// Resume a campaign
///
/// It goes on where it was paused.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/resume", tag = "campaigns", params(("id" = CampaignId, Path)),
    responses((status = 200, description = "The campaign, going on.", body = Campaign, headers(("ETag" = String))))
)]
async fn post_campaign_resume(store: Store, Path(campaign): Path<String>, call: Call<Nothing>) -> Answer {
    held(store, &campaign, &call, Hold::Resume).await
}

/// Cancel a campaign
///
/// For good. What has not left does not leave, though its client was chosen; what quiet hours hold back is such.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/cancel", tag = "campaigns", params(("id" = CampaignId, Path)),
    responses((status = 200, description = "The campaign, cancelled.", body = Campaign, headers(("ETag" = String))))
)]
async fn post_campaign_cancel(store: Store, Path(campaign): Path<String>, call: Call<Nothing>) -> Answer {
    held(store, &campaign, &call, Hold::Cancel).await
}
