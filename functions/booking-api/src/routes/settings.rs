//! Settings: the business's profile and its rules.

use app::edit_catalogue::{BusinessPatch, get, update};
use app::edit_rules::{Apply, edit_rules};
use app::error::AppError;
use app::once::Done;
use app::ports::{Item, Key};
use aws::tables::Tables;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get as reading;
use domain::ids::BusinessId;
use domain::notification_type::NotificationType;
use domain::rule::{Rule, Rules};
use serde_json::{Value, json};

use super::{Answer, Routes, Store, id, ok, shown};
use crate::call::{Call, Caller};

pub fn routes() -> Routes {
    Router::new()
        .route("/v1/business", reading(get_business).patch(patch_business))
        .route("/v1/rules", reading(get_rules))
        .route("/v1/rules/{type}", reading(get_rule).put(put_rule))
}

async fn get_business(State(store): Store, caller: Caller) -> Answer {
    shown(get(&*store, Key::Business(caller.business_id), "business").await?)
}

async fn patch_business(State(store): Store, call: Call<BusinessPatch>) -> Answer {
    let key = Key::Business(call.caller.business_id.clone());
    let change = |before: Option<Item>| match before {
        Some(Item::Business(business)) => Ok(Item::Business(call.body.apply(business))),
        _ => Err(AppError::NotFound { what: "business" }),
    };
    shown(update(&*store, call.edit(), key, &[], change).await?)
}

async fn rules_of(store: &Tables, business_id: &BusinessId) -> Result<Done<Rules>, AppError> {
    match get(store, Key::Rules(business_id.clone()), "rules").await {
        Ok(Done { value: Item::Rules(rules), etag }) => Ok(Done { value: rules, etag }),
        Ok(_) | Err(AppError::NotFound { .. }) => {
            Ok(Done { value: Rules::defaults(business_id.clone()), etag: 0 })
        }
        Err(error) => Err(error),
    }
}

async fn get_rules(State(store): Store, caller: Caller) -> Answer {
    let rules = rules_of(&store, &caller.business_id).await?;
    let items: Vec<Value> = NotificationType::ALL
        .iter().copied()
        .map(|kind| json!({ "type": kind, "rule": rules.value.of(kind), "changed": rules.value.changed.contains_key(&kind) }))
        .collect();
    Ok(ok(rules.etag, json!({ "version": rules.value.version, "items": items })))
}

async fn get_rule(State(store): Store, caller: Caller, Path(kind): Path<String>) -> Answer {
    let kind: NotificationType = id(&kind, "notification type")?;
    let rules = rules_of(&store, &caller.business_id).await?;
    Ok(ok(rules.etag, rules.value.of(kind)))
}

async fn put_rule(State(store): Store, Path(kind): Path<String>, call: Call<Rule>) -> Answer {
    let kind: NotificationType = id(&kind, "notification type")?;
    let rule = &call.body;
    rule.check(kind).map_err(|invalid| AppError::invalid(invalid.field, invalid.expected))?;
    let change = |mut rules: Rules| {
        rules.changed.insert(kind, rule.clone());
        Ok(rules)
    };
    let done = edit_rules(&*store, call.edit(), Apply::default(), change).await?;
    Ok(ok(done.etag, rule))
}
