//! Templates: what a business changes of our texts.

use std::collections::HashMap;

use app::edit_templates::{TemplatesFields, edit_templates, templates_of, variables_of};
use app::ports::Item;
use app::preview_template::{PreviewFields, preview_template};
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::routing::{get as reading, post};
use axum::{Json, Router};
use domain::business::Locale;
use domain::notification_type::NotificationType;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::{Answer, Routes, Store, id, ok, plain, shown};
use crate::call::{Call, Caller, Parameters};
use crate::problem::Problem;

pub fn routes() -> Routes {
    Router::new()
        .route("/v1/templates/{type}", reading(get_templates).put(put_templates))
        .route("/v1/templates/{type}/reset", post(reset_templates))
        .route("/v1/templates/{type}/variables", reading(get_variables))
        .route("/v1/templates/{type}/preview", post(post_preview))
}

fn of_type(kind: &str) -> Result<NotificationType, Problem> {
    Ok(id(kind, "notification type")?)
}

async fn get_templates(State(store): Store, caller: Caller, Path(kind): Path<String>) -> Answer {
    let done = templates_of(&*store, &caller.business_id, of_type(&kind)?).await?;
    Ok(ok(done.etag, plain(&Item::Templates(done.value))))
}

async fn put_templates(State(store): Store, Path(kind): Path<String>, call: Call<TemplatesFields>) -> Answer {
    shown(edit_templates(&*store, call.edit(), of_type(&kind)?, call.body.clone()).await?)
}

/// "Set default": our texts hold again.
async fn reset_templates(
    State(store): Store,
    Path(kind): Path<String>,
    call: Call<HashMap<String, IgnoredAny>>,
) -> Answer {
    shown(edit_templates(&*store, call.edit(), of_type(&kind)?, TemplatesFields::default()).await?)
}

/// In which language examples are.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Language {
    #[serde(default)]
    locale: Locale,
}

async fn get_variables(
    _: Caller,
    Path(kind): Path<String>,
    Parameters(Language { locale }): Parameters<Language>,
) -> Answer {
    Ok(Json(json!({ "items": variables_of(of_type(&kind)?, locale) })).into_response())
}

async fn post_preview(State(store): Store, Path(kind): Path<String>, call: Call<PreviewFields>) -> Answer {
    let kind = of_type(&kind)?;
    Ok(Json(preview_template(&*store, &call.caller.business_id, kind, &call.body).await?).into_response())
}
