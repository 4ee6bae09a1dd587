//! Settings: the business's profile and its rules. Each change may be asked for its effect first (`?dry_run=true`), and is for bookings made
//! from now on, or for all that are ahead (`?apply=all_upcoming`).

use std::collections::HashMap;

use app::edit_catalogue::{BusinessPatch, Edit, Need, get};
use app::edit_settings::{
    Apply, PrevailingRules, RuleChange, Scope, Settings, edit_settings, prevailing_rules,
};
use app::error::AppError;
use app::once::Done;
use app::ports::{Item, Key, Rollout};
use app::preview_settings::{Preview, preview_settings};
use aws::tables::Tables;
use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::response::IntoResponse;
use domain::access::Scope::{SettingsRead, SettingsWrite};
use domain::business::Business;
use domain::ids::ResourceId;
use domain::notification_type::NotificationType;
use domain::resource::ResourceKind;
use domain::rule::Rule;
use serde::Deserialize;
use serde_json::json;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{Ref, Required};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::{Answer, Either, Nothing, Store, id, ok, plain, shown};
use crate::call::{Call, Caller, Parameters};
use crate::operations::{In, Target, Under, operations};
use crate::problem::Problem;

pub fn operations<T: Target>(target: T) -> T {
    let target = operations!(
        target;
        SettingsRead => get_business, get_rollout;
        SettingsWrite => patch_business;
    );
    let target = rules_under::<OfBusiness, T>(target);
    let target = rules_under::<OfKind, T>(target);
    rules_under::<OfResource, T>(target)
}

/// The operations on rules, under one of the scopes that have some.
fn rules_under<S: Under, T: Target>(target: T) -> T {
    let target = target.operation::<In<S, __path_get_rules>, _, _>(SettingsRead, get_rules);
    let target = target.operation::<In<S, __path_get_rule>, _, _>(SettingsRead, get_rule);
    let target = target.operation::<In<S, __path_put_rule>, _, _>(SettingsWrite, put_rule);
    target.operation::<In<S, __path_reset_rule>, _, _>(SettingsWrite, reset_rule)
}

// ------------------------------------------------------------------ changes

/// How a change of the settings is made.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    /// Which bookings it is for.
    #[serde(default)]
    #[param(inline, required = false)]
    apply: Apply,
    /// Writes nothing: the answer counts the messages that would appear, move and vanish.
    #[serde(default)]
    #[param(required = false)]
    dry_run: bool,
    /// Of a dry run: what the answer before gave as `next`.
    #[param(
        pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z,[0-9A-Za-z_-]{1,64}$"
    )]
    cursor: Option<String>,
    /// Of a resource's rule: whether every resource made from now on gets it too (S59).
    #[serde(default)]
    #[param(ignore)]
    apply_to_new_resources: bool,
}

/// Makes a change of the settings, or says what it would do.
pub(super) async fn change_settings(
    store: &Tables,
    (edit, pages): (Edit<'_>, &str),
    how: &How,
    (about, needs): (&Key, &[Need]),
    change: impl Fn(Settings) -> Result<Settings, AppError>,
) -> Result<Changed, Problem> {
    if how.apply_to_new_resources && !matches!(about, Key::Resource(..)) {
        return Err(Problem::invalid("apply_to_new_resources", "a resource's rule"));
    }
    if how.dry_run {
        let preview =
            preview_settings(store, edit, about, needs, how.cursor.as_deref(), change, pages).await?;
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

/// Get the business
///
/// Name, zone, language, sms option and limits, WhatsApp templates, quiet hours, automatic no-show.
#[utoipa::path(
    get, path = "/v1/business", tag = "business",
    responses((status = 200, description = "The business.", body = Business, headers(("ETag" = String))))
)]
async fn get_business(State(store): Store, caller: Caller) -> Answer {
    shown(get(&*store, Key::Business(caller.business_id), "business").await?)
}

/// Change the business
///
/// What is left out stays as it is; what can be without is taken away by null. With `dry_run` nothing is written, and the answer says what
/// would become of the messages of bookings ahead.
#[utoipa::path(
    patch, path = "/v1/business", tag = "business", params(How),
    request_body(content = BusinessPatch, example = json!({
        "sms_enabled": true, "signature": "Salon Aurora, Chiado", "quiet_hours": { "from": "22:00", "until": "09:00" },
        "sms_prices": [{ "prefix": "+351", "per_thousand": { "minor": 3500, "currency": "EUR" } }],
        "sms_limits": { "countries": ["+351"], "per_month": { "minor": 10000, "currency": "EUR" } }, "no_show_after_minutes": 30
    })),
    responses((
        status = 200, description = "The business, changed; or what the change would do.", body = Either<Business, Preview>, headers(("ETag" = String))
    ))
)]
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
    match change_settings(&store, (call.edit(), &call.caller.pages), &how, (&about, &[]), change).await? {
        Changed::Is(done) => shown(done),
        Changed::WouldBe(preview) => Ok(preview),
    }
}

/// Get the rollout
///
/// How far the last change of settings for all upcoming bookings has come.
#[utoipa::path(
    get, path = "/v1/rollout", tag = "business",
    responses(
        (status = 200, description = "The rollout.", body = Rollout, headers(("ETag" = String))),
        (status = 404, description = "There has been none.", body = Problem, content_type = "application/problem+json")
    )
)]
async fn get_rollout(State(store): Store, caller: Caller) -> Answer {
    let done = get(&*store, Key::Rollout(caller.business_id), "rollout").await?;
    let mut shown = plain(&done.value)?;
    shown.remove("after");
    Ok(ok(done.etag, shown))
}

// ------------------------------------------------------------------ rules

/// The business's own rules.
struct OfBusiness;

impl Under for OfBusiness {
    const PREFIX: &'static str = "/v1";
    const NAME: &'static str = "";
    const WORDS: &'static str = "";

    fn parameters(_: bool) -> Vec<Parameter> {
        Vec::new()
    }
}

/// Those of a kind of resource (S57).
struct OfKind;

impl Under for OfKind {
    const PREFIX: &'static str = "/v1/resource-kinds/{kind}";
    const NAME: &'static str = "_of_kind";
    const WORDS: &'static str = " of a kind of resource";

    fn parameters(_: bool) -> Vec<Parameter> {
        let kind =
            ParameterBuilder::new().name("kind").parameter_in(ParameterIn::Path).required(Required::True);
        let kind = kind.example(Some("specialist".into()));
        vec![kind.schema(Some(Ref::from_schema_name(ResourceKind::name()))).build()]
    }
}

/// Those of one resource (S58).
struct OfResource;

impl Under for OfResource {
    const PREFIX: &'static str = "/v1/resources/{id}";
    const NAME: &'static str = "_of_resource";
    const WORDS: &'static str = " of a resource";

    fn parameters(writes: bool) -> Vec<Parameter> {
        let id = ParameterBuilder::new().name("id").parameter_in(ParameterIn::Path).required(Required::True);
        let id = id.schema(Some(Ref::from_schema_name(ResourceId::name()))).build();
        let new_too = ParameterBuilder::new()
            .name("apply_to_new_resources")
            .parameter_in(ParameterIn::Query)
            .description(Some("Whether every resource made from now on gets it too."))
            .schema(Some(bool::schema()))
            .build();
        if writes { vec![id, new_too] } else { vec![id] }
    }
}

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

/// List the rules
///
/// For every notification type the rule that prevails for bookings made from now on, and where it comes from.
#[utoipa::path(
    get, path = "/rules", tag = "rules",
    responses((status = 200, description = "The rules.", body = PrevailingRules, headers(("ETag" = String))))
)]
async fn get_rules(State(store): Store, caller: Caller, named: Named) -> Answer {
    let rules = prevailing_rules(&*store, &caller.business_id, &named.scope).await?;
    Ok(ok(rules.version, &rules))
}

/// Get a rule
///
/// When a notification type goes out, and on which channels.
#[utoipa::path(
    get, path = "/rules/{type}", tag = "rules", params(("type" = NotificationType, Path, example = "reminder")),
    responses((status = 200, description = "The rule.", body = Rule, headers(("ETag" = String))))
)]
async fn get_rule(State(store): Store, caller: Caller, named: Named) -> Answer {
    let kind = named.kind()?;
    let rules = prevailing_rules(&*store, &caller.business_id, &named.scope).await?;
    let prevailing = rules.items.into_iter().find(|prevailing| prevailing.kind == kind);
    let prevailing = prevailing.ok_or_else(|| Problem::not_found("notification type"))?;
    Ok(ok(rules.version, prevailing.rule))
}

/// Set a rule
///
/// Makes a new version of the rules, for bookings made from now on, or with `apply=all_upcoming` for those too that are ahead. With
/// `dry_run` nothing is written, and the answer says what would become of the messages of bookings ahead.
#[utoipa::path(
    put, path = "/rules/{type}", tag = "rules", params(("type" = NotificationType, Path, example = "reminder"), How),
    request_body(content = Rule, example = json!({
        "enabled": true, "steps": [
            { "timing": "24h before start", "channels": ["push", "email"] },
            { "timing": "at 18:00 1d before", "channels": ["sms"] }
        ]
    })),
    responses((status = 200, description = "The rule, set; or what the change would do.", body = Either<Rule, Preview>, headers(("ETag" = String))))
)]
async fn put_rule(
    State(store): Store,
    named: Named,
    Parameters(how): Parameters<How>,
    call: Call<Rule>,
) -> Answer {
    let rule = call.body.clone();
    match change_rule(&store, named, &how, (call.edit(), &call.caller.pages), Some(rule.clone())).await? {
        Changed::Is(done) => Ok(ok(done.etag, rule)),
        Changed::WouldBe(preview) => Ok(preview),
    }
}

/// Reset a rule
///
/// "Set default": what holds without the rule holds again.
#[utoipa::path(
    post, path = "/rules/{type}/reset", tag = "rules", params(("type" = NotificationType, Path, example = "reminder"), How),
    responses((status = 200, description = "The rule that prevails now; or what the change would do.", body = Either<Rule, Preview>, headers(("ETag" = String))))
)]
async fn reset_rule(
    State(store): Store,
    named: Named,
    Parameters(how): Parameters<How>,
    call: Call<Nothing>,
) -> Answer {
    let (kind, scope) = (named.kind()?, named.scope.clone());
    match change_rule(&store, named, &how, (call.edit(), &call.caller.pages), None).await? {
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
    (edit, pages): (Edit<'_>, &str),
    rule: Option<Rule>,
) -> Result<Changed, Problem> {
    let kind = named.kind()?;
    let about = named.scope.key(edit.business_id);
    let change = RuleChange { scope: named.scope, kind, rule, new_resources: how.apply_to_new_resources };
    change_settings(store, (edit, pages), how, (&about, &[]), |settings| change.apply(settings)).await
}
