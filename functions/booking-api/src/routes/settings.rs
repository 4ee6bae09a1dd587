//! Settings: the business's profile and its rules. Each change may be asked for its effect first (`?dry_run=true`), and is for bookings made
//! from now on, or for all that are ahead (`?apply=all_upcoming`).

use std::collections::HashMap;

use app::edit_catalogue::{BusinessPatch, Edit, Need, get};
use app::edit_settings::{Apply, RuleChange, Scope, Settings, edit_settings, prevailing_rules};
use app::error::AppError;
use app::once::Done;
use app::ports::{Item, Key};
use app::preview_settings::preview_settings;
use aws::tables::Tables;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::routing::{get as reading, post};
use axum::{Json, Router};
use domain::notification_type::NotificationType;
use domain::rule::Rule;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::{Answer, Routes, Store, id, ok, plain, shown};
use crate::call::{Call, Caller, Parameters};
use crate::problem::Problem;

pub fn routes() -> Routes {
    let routes = Router::new()
        .route("/v1/business", reading(get_business).patch(patch_business))
        .route("/v1/rollout", reading(get_rollout));
    ["/v1", "/v1/resource-kinds/{kind}", "/v1/resources/{id}"].into_iter().fold(routes, |routes, scope| {
        routes
            .route(&format!("{scope}/rules"), reading(get_rules))
            .route(&format!("{scope}/rules/{{type}}"), reading(get_rule).put(put_rule))
            .route(&format!("{scope}/rules/{{type}}/reset"), post(reset_rule))
    })
}

// ------------------------------------------------------------------ changes

/// How a change of the settings is made.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct How {
    #[serde(default)]
    apply: Apply,
    #[serde(default)]
    dry_run: bool,
    /// Of a dry run: where the answer before ended.
    cursor: Option<String>,
    /// Of a resource's rule: whether every resource made from now on gets it too (S59).
    #[serde(default)]
    apply_to_new_resources: bool,
}

/// Makes a change of the settings, or says what it would do.
pub(super) async fn change_settings(
    store: &Tables,
    edit: Edit<'_>,
    how: &How,
    (about, needs): (&Key, &[Need]),
    change: impl Fn(Settings) -> Result<Settings, AppError>,
) -> Result<Changed, Problem> {
    if how.apply_to_new_resources && !matches!(about, Key::Resource(..)) {
        return Err(Problem::invalid("apply_to_new_resources", "a resource's rule"));
    }
    if how.dry_run {
        let preview = preview_settings(store, edit, about, needs, how.cursor.as_deref(), change).await?;
        return Ok(Changed::WouldBe(Json(preview).into_response()));
    }
    if how.cursor.is_some() {
        return Err(Problem::invalid("cursor", "dry_run=true beside it"));
    }
    Ok(Changed::Is(edit_settings(store, edit, about, needs, how.apply, change).await?))
}

/// What came of a change of the settings.
#[allow(clippy::large_enum_variant, reason = "there is one of them at a time")]
pub(super) enum Changed {
    /// It was made.
    Is(Done<Item>),
    /// It was not made; the answer says what it would do.
    WouldBe(axum::response::Response),
}

// ------------------------------------------------------------------ business

async fn get_business(State(store): Store, caller: Caller) -> Answer {
    shown(get(&*store, Key::Business(caller.business_id), "business").await?)
}

async fn patch_business(
    State(store): Store,
    Parameters(how): Parameters<How>,
    call: Call<BusinessPatch>,
) -> Answer {
    let about = Key::Business(call.caller.business_id.clone());
    let change = |settings: Settings| match settings.item {
        Some(Item::Business(business)) => {
            Ok(Settings { item: Some(Item::Business(call.body.apply(business)?)), ..settings })
        }
        _ => Err(AppError::NotFound { what: "business" }),
    };
    match change_settings(&store, call.edit(), &how, (&about, &[]), change).await? {
        Changed::Is(done) => shown(done),
        Changed::WouldBe(preview) => Ok(preview),
    }
}

async fn get_rollout(State(store): Store, caller: Caller) -> Answer {
    let done = get(&*store, Key::Rollout(caller.business_id), "rollout").await?;
    let mut shown = plain(&done.value);
    if let Some(fields) = shown.as_object_mut() {
        fields.remove("after");
    }
    Ok(ok(done.etag, shown))
}

// ------------------------------------------------------------------ rules

/// Which rules a path names.
#[derive(Debug)]
struct Named {
    scope: Scope,
    kind: Option<NotificationType>,
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<HashMap<String, String>>::from_request_parts(parts, state).await;
        let Ok(Path(names)) = path else { return Err(Problem::no_route()) };
        let scope = match (names.get("kind"), names.get("id")) {
            (Some(kind), _) => {
                let kind = serde_json::from_value(json!(kind));
                Scope::Kind(kind.map_err(|_| Problem::not_found("resource kind"))?)
            }
            (_, Some(resource)) => Scope::Resource(id(resource, "resource")?),
            _ => Scope::Business,
        };
        let kind = names.get("type").map(|kind| id(kind, "notification type")).transpose()?;
        Ok(Self { scope, kind })
    }
}

impl Named {
    fn kind(&self) -> Result<NotificationType, Problem> {
        self.kind.ok_or_else(Problem::no_route)
    }
}

async fn get_rules(State(store): Store, caller: Caller, named: Named) -> Answer {
    let rules = prevailing_rules(&*store, &caller.business_id, &named.scope).await?;
    Ok(ok(rules.version, &rules))
}

async fn get_rule(State(store): Store, caller: Caller, named: Named) -> Answer {
    let kind = named.kind()?;
    let rules = prevailing_rules(&*store, &caller.business_id, &named.scope).await?;
    let prevailing = rules.items.into_iter().find(|prevailing| prevailing.kind == kind);
    let prevailing = prevailing.ok_or_else(|| Problem::not_found("notification type"))?;
    Ok(ok(rules.version, prevailing.rule))
}

async fn put_rule(
    State(store): Store,
    named: Named,
    Parameters(how): Parameters<How>,
    call: Call<Rule>,
) -> Answer {
    let rule = call.body.clone();
    match change_rule(&store, named, &how, call.edit(), Some(rule.clone())).await? {
        Changed::Is(done) => Ok(ok(done.etag, rule)),
        Changed::WouldBe(preview) => Ok(preview),
    }
}

/// "Set default": what holds without the rule holds again.
async fn reset_rule(
    State(store): Store,
    named: Named,
    Parameters(how): Parameters<How>,
    call: Call<HashMap<String, IgnoredAny>>,
) -> Answer {
    let (kind, scope) = (named.kind()?, named.scope.clone());
    match change_rule(&store, named, &how, call.edit(), None).await? {
        Changed::Is(done) => {
            let rules = prevailing_rules(&*store, &call.caller.business_id, &scope).await?;
            let rule = rules.items.into_iter().find(|prevailing| prevailing.kind == kind);
            Ok(ok(done.etag, rule.map(|prevailing| prevailing.rule)))
        }
        Changed::WouldBe(preview) => Ok(preview),
    }
}

async fn change_rule(
    store: &Tables,
    named: Named,
    how: &How,
    edit: Edit<'_>,
    rule: Option<Rule>,
) -> Result<Changed, Problem> {
    let kind = named.kind()?;
    let about = named.scope.key(edit.business_id);
    let change = RuleChange { scope: named.scope, kind, rule, new_resources: how.apply_to_new_resources };
    change_settings(store, edit, how, (&about, &[]), |settings| change.apply(settings)).await
}
