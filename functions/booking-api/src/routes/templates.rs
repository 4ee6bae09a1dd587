//! Templates: what a business changes of our texts.

use app::edit_templates::{DocumentedVariable, TemplatesFields, edit_templates, templates_of, variables_of};
use app::ports::Item;
use app::preview_template::{PreviewFields, Shown, preview_template};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use domain::business::Locale;
use domain::notification_type::NotificationType;
use domain::template::Templates;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Answer, Nothing, Store, id, ok, plain, shown};
use crate::call::{Call, Caller, Parameters};
use crate::operations::{Target, operations};
use crate::problem::Problem;

pub fn operations<T: Target>(target: T) -> T {
    operations!(
        target;
        SettingsRead => get_templates, get_variables, post_preview;
        SettingsWrite => put_templates, reset_templates;
    )
}

fn of_type(kind: &str) -> Result<NotificationType, Problem> {
    Ok(id(kind, "notification type")?)
}

/// Get the templates of a type
///
/// What the business has changed of the texts of a notification type; what is not there is as we deliver it.
#[utoipa::path(
    get, path = "/v1/templates/{type}", tag = "templates", params(("type" = NotificationType, Path, example = "reminder")),
    responses((status = 200, description = "The templates.", body = Templates, headers(("ETag" = String))))
)]
async fn get_templates(State(store): Store, caller: Caller, Path(kind): Path<String>) -> Answer {
    let done = templates_of(&*store, &caller.business_id, of_type(&kind)?).await?;
    Ok(ok(done.etag, plain(&Item::Templates(done.value))?))
}

/// Set the templates of a type
///
/// Own texts for every channel but e-mail, and information blocks for that. A text that cannot be filled is refused with line and column.
#[utoipa::path(
    put, path = "/v1/templates/{type}", tag = "templates", params(("type" = NotificationType, Path, example = "reminder")),
    request_body(content = TemplatesFields, example = json!({
        "texts": [{ "channel": "sms", "locale": "en", "text": "{{ client.name }}, see you {{ booking.date }} at {{ booking.time }}. {{ business.name }}" }],
        "blocks": [{ "locale": "en", "text": "Parking is free.", "link": { "label": "How to find us", "url": "https://salon.example/map" } }]
    })),
    responses((status = 200, description = "The templates, set.", body = Templates, headers(("ETag" = String))))
)]
async fn put_templates(State(store): Store, Path(kind): Path<String>, call: Call<TemplatesFields>) -> Answer {
    shown(edit_templates(&*store, call.edit(), of_type(&kind)?, call.body.clone()).await?)
}

/// Reset the templates of a type
///
/// "Set default": our texts hold again.
#[utoipa::path(
    post, path = "/v1/templates/{type}/reset", tag = "templates", params(("type" = NotificationType, Path, example = "reminder")),
    responses((status = 200, description = "The templates, none.", body = Templates, headers(("ETag" = String))))
)]
async fn reset_templates(State(store): Store, Path(kind): Path<String>, call: Call<Nothing>) -> Answer {
    shown(edit_templates(&*store, call.edit(), of_type(&kind)?, TemplatesFields::default()).await?)
}

/// In which language examples are.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Language {
    /// The language of the examples.
    #[serde(default)]
    #[param(inline, required = false)]
    locale: Locale,
}

/// What may stand in the texts of a type.
#[derive(Debug, Serialize, ToSchema)]
struct Variables {
    /// The variables, in the order a list shows them.
    items: Vec<DocumentedVariable>,
}

/// List the variables of a type
///
/// What may stand in its texts, with what each says in the sample data.
#[utoipa::path(
    get, path = "/v1/templates/{type}/variables", tag = "templates", params(("type" = NotificationType, Path, example = "reminder"), Language),
    responses((status = 200, description = "The variables.", body = Variables))
)]
async fn get_variables(
    _: Caller,
    Path(kind): Path<String>,
    Parameters(Language { locale }): Parameters<Language>,
) -> Answer {
    Ok(Json(Variables { items: variables_of(of_type(&kind)?, locale) }).into_response())
}

/// Preview a text
///
/// What a text says, saved or not, with the values of a booking or with sample values; and what an sms costs.
#[utoipa::path(
    post, path = "/v1/templates/{type}/preview", tag = "templates", params(("type" = NotificationType, Path, example = "reminder")),
    request_body(content = PreviewFields, example = json!({ "channel": "sms", "locale": "en", "text": "See you {{ booking.date }}, {{ client.name }}!" })),
    responses((status = 200, description = "The text, filled.", body = Shown))
)]
async fn post_preview(State(store): Store, Path(kind): Path<String>, call: Call<PreviewFields>) -> Answer {
    let kind = of_type(&kind)?;
    let Caller { business_id, now, pages, .. } = &call.caller;
    let shown = preview_template(&*store, business_id, kind, &call.body, *now, pages).await?;
    Ok(Json(shown).into_response())
}
