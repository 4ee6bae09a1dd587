//! The REST API of EventBridge Scheduler.
//!
//! <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_Operations.html>

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::ops::Bound;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State as Shared};
use axum::http::StatusCode;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::request::{Checks, ScheduleRequest, State};
use super::{Group, Key, Remembered, Schedule, Store};
use crate::services::{AwsError, Services, lock};

type Answer = Result<Json<Value>, AwsError>;

/// Routes of the service.
pub(in crate::services) fn router() -> Router<Arc<Services>> {
    Router::new()
        .route("/schedules", get(list_schedules))
        .route(
            "/schedules/{name}",
            post(create_schedule).get(get_schedule).put(update_schedule).delete(delete_schedule),
        )
        .route("/schedule-groups", get(list_groups))
        .route("/schedule-groups/{name}", post(create_group).get(get_group).delete(delete_group))
        .fallback(|| async {
            error(StatusCode::NOT_FOUND, "UnknownOperationException", "Unknown operation.")
        })
}

fn error(status: StatusCode, code: &'static str, message: impl Into<String>) -> AwsError {
    AwsError { status, code, message: message.into(), member: "Message" }
}

fn invalid(message: impl Into<String>) -> AwsError {
    error(StatusCode::BAD_REQUEST, "ValidationException", message)
}

fn conflict(message: impl Into<String>) -> AwsError {
    error(StatusCode::CONFLICT, "ConflictException", message)
}

fn missing(message: impl Into<String>) -> AwsError {
    error(StatusCode::NOT_FOUND, "ResourceNotFoundException", message)
}

fn no_schedule(name: &str) -> AwsError {
    missing(format!("Schedule {name} does not exist."))
}

fn no_group(name: &str) -> AwsError {
    missing(format!("Schedule group {name} does not exist."))
}

fn parse<T: for<'de> Deserialize<'de> + Default>(body: &Bytes) -> Result<T, AwsError> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body)
        .map_err(|e| error(StatusCode::BAD_REQUEST, "SerializationException", e.to_string()))
}

impl Store {
    /// Runs a change once per client token: the same call with the same token gets the same answer again.
    fn once(
        &mut self,
        token: Option<&str>,
        call: &str,
        change: impl FnOnce(&mut Self) -> Result<Value, AwsError>,
    ) -> Answer {
        let Some(token) = token else {
            return change(self).map(Json);
        };
        let mut hasher = DefaultHasher::new();
        call.hash(&mut hasher);
        let call = hasher.finish();
        if let Some(before) = self.tokens.get(token) {
            return if before.call == call {
                Ok(Json(before.answer.clone()))
            } else {
                Err(conflict("ClientToken was used already with other parameters."))
            };
        }
        let answer = change(self)?;
        self.tokens.insert(token.to_owned(), Remembered { call, answer: answer.clone() });
        Ok(Json(answer))
    }
}

async fn create_schedule(
    Shared(services): Shared<Arc<Services>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Answer {
    let request: ScheduleRequest = parse(&body)?;
    let definition = request.check(&name).map_err(invalid)?;
    let now = services.clock.now();
    let key = Key { group: request.group_name().to_owned(), name };
    let call = json!(["CreateSchedule", key, request]).to_string();
    let answer = json!({ "ScheduleArn": services.scheduler.schedule_arn(&key) });
    lock(&services.scheduler.store).once(request.client_token.as_deref(), &call, |store| {
        if !store.groups.contains_key(&key.group) {
            return Err(no_group(&key.group));
        }
        if store.schedules.contains_key(&key) {
            return Err(conflict(format!("Schedule {} already exists.", key.name)));
        }
        store.put(key, definition, now, now);
        Ok(answer)
    })
}

async fn update_schedule(
    Shared(services): Shared<Arc<Services>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Answer {
    let request: ScheduleRequest = parse(&body)?;
    let definition = request.check(&name).map_err(invalid)?;
    let now = services.clock.now();
    let key = Key { group: request.group_name().to_owned(), name };
    let call = json!(["UpdateSchedule", key, request]).to_string();
    let answer = json!({ "ScheduleArn": services.scheduler.schedule_arn(&key) });
    lock(&services.scheduler.store).once(request.client_token.as_deref(), &call, |store| {
        let created = store.schedules.get(&key).ok_or_else(|| no_schedule(&key.name))?.created;
        store.put(key, definition, created, now);
        Ok(answer)
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScheduleQuery {
    group_name: Option<String>,
    client_token: Option<String>,
}

impl ScheduleQuery {
    fn key(&self, name: String) -> Result<Key, AwsError> {
        let mut checks = Checks::default();
        let group = self.group_name.clone().unwrap_or_else(|| "default".to_owned());
        checks.name("name", &name);
        checks.name("groupName", &group);
        checks.token(self.client_token.as_deref());
        checks.finish().map_err(invalid)?;
        Ok(Key { group, name })
    }
}

async fn get_schedule(
    Shared(services): Shared<Arc<Services>>,
    Path(name): Path<String>,
    Query(query): Query<ScheduleQuery>,
) -> Answer {
    let key = query.key(name)?;
    let store = lock(&services.scheduler.store);
    let schedule = store.schedules.get(&key).ok_or_else(|| no_schedule(&key.name))?;
    let mut answer = json!(schedule.definition);
    answer["Arn"] = json!(services.scheduler.schedule_arn(&key));
    answer["Name"] = json!(key.name);
    answer["GroupName"] = json!(key.group);
    answer["CreationDate"] = seconds(schedule.created);
    answer["LastModificationDate"] = seconds(schedule.modified);
    Ok(Json(answer))
}

async fn delete_schedule(
    Shared(services): Shared<Arc<Services>>,
    Path(name): Path<String>,
    Query(query): Query<ScheduleQuery>,
) -> Answer {
    let key = query.key(name)?;
    let call = json!(["DeleteSchedule", key]).to_string();
    lock(&services.scheduler.store).once(query.client_token.as_deref(), &call, |store| {
        store.schedules.remove(&key).ok_or_else(|| no_schedule(&key.name))?;
        store.revision += 1;
        Ok(json!({}))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListQuery {
    max_results: Option<i64>,
    next_token: Option<String>,
    name_prefix: Option<String>,
    schedule_group: Option<String>,
    state: Option<String>,
}

impl ListQuery {
    /// The page size, 1 to 100.
    fn page_size(&self) -> Result<usize, AwsError> {
        let mut checks = Checks::default();
        let size = checks.range("maxResults", self.max_results.unwrap_or(100), 1, 100);
        if let Some(state) = self.state.as_deref().filter(|state| !["ENABLED", "DISABLED"].contains(state)) {
            checks.fail("state", state, "Member must satisfy enum value set: [ENABLED, DISABLED]");
        }
        checks.finish().map_err(invalid)?;
        Ok(size as usize)
    }

    /// Where the page before ended.
    fn start<K: for<'de> Deserialize<'de>>(&self) -> Result<Bound<K>, AwsError> {
        let Some(token) = &self.next_token else {
            return Ok(Bound::Unbounded);
        };
        let decoded = BASE64_URL_SAFE.decode(token).ok().and_then(|json| serde_json::from_slice(&json).ok());
        decoded.map(Bound::Excluded).ok_or_else(|| invalid("Invalid NextToken."))
    }
}

/// The token that goes on after `last`, if there is more.
fn next_token(last: Option<&impl serde::Serialize>, more: bool) -> Option<String> {
    last.filter(|_| more).map(|key| BASE64_URL_SAFE.encode(json!(key).to_string()))
}

async fn list_schedules(Shared(services): Shared<Arc<Services>>, Query(query): Query<ListQuery>) -> Answer {
    let size = query.page_size()?;
    let start: Bound<Key> = query.start()?;
    let store = lock(&services.scheduler.store);
    if let Some(group) = query.schedule_group.as_ref().filter(|group| !store.groups.contains_key(*group)) {
        return Err(no_group(group));
    }
    let wanted = |key: &Key, schedule: &Schedule| {
        let state = if schedule.definition.state == State::Enabled { "ENABLED" } else { "DISABLED" };
        query.schedule_group.as_ref().is_none_or(|group| *group == key.group)
            && query.name_prefix.as_ref().is_none_or(|prefix| key.name.starts_with(prefix))
            && query.state.as_ref().is_none_or(|wanted| wanted == state)
    };
    let mut found =
        store.schedules.range((start, Bound::Unbounded)).filter(|(key, schedule)| wanted(key, schedule));
    let page: Vec<_> = found.by_ref().take(size).collect();
    let schedules: Vec<Value> = page
        .iter()
        .map(|(key, schedule)| {
            json!({
                "Arn": services.scheduler.schedule_arn(key),
                "Name": key.name,
                "GroupName": key.group,
                "State": schedule.definition.state,
                "CreationDate": seconds(schedule.created),
                "LastModificationDate": seconds(schedule.modified),
                "Target": { "Arn": schedule.definition.target.arn },
            })
        })
        .collect();
    let token = next_token(page.last().map(|(key, _)| *key).as_ref(), found.next().is_some());
    Ok(Json(json!({ "Schedules": schedules, "NextToken": token })))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GroupRequest {
    client_token: Option<String>,
}

fn check_group(name: &str, token: Option<&str>) -> Result<(), AwsError> {
    let mut checks = Checks::default();
    checks.name("name", name);
    checks.token(token);
    checks.finish().map_err(invalid)
}

async fn create_group(
    Shared(services): Shared<Arc<Services>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Answer {
    let request: GroupRequest = parse(&body)?;
    check_group(&name, request.client_token.as_deref())?;
    let now = services.clock.now();
    let answer = json!({ "ScheduleGroupArn": services.scheduler.group_arn(&name) });
    let call = json!(["CreateScheduleGroup", name]).to_string();
    lock(&services.scheduler.store).once(request.client_token.as_deref(), &call, |store| {
        if store.groups.contains_key(&name) {
            return Err(conflict(format!("Schedule group {name} already exists.")));
        }
        store.groups.insert(name, Group { created: now, modified: now });
        store.revision += 1;
        Ok(answer)
    })
}

fn describe_group(services: &Services, name: &str, group: &Group) -> Value {
    json!({
        "Arn": services.scheduler.group_arn(name),
        "Name": name,
        "State": "ACTIVE",
        "CreationDate": seconds(group.created),
        "LastModificationDate": seconds(group.modified),
    })
}

async fn get_group(Shared(services): Shared<Arc<Services>>, Path(name): Path<String>) -> Answer {
    check_group(&name, None)?;
    let store = lock(&services.scheduler.store);
    let group = store.groups.get(&name).ok_or_else(|| no_group(&name))?;
    Ok(Json(describe_group(&services, &name, group)))
}

/// Deletes the group with its schedules. AWS takes a while for it; here it is done at once.
async fn delete_group(
    Shared(services): Shared<Arc<Services>>,
    Path(name): Path<String>,
    Query(query): Query<ScheduleQuery>,
) -> Answer {
    check_group(&name, query.client_token.as_deref())?;
    if name == "default" {
        return Err(invalid("The default schedule group cannot be deleted."));
    }
    let call = json!(["DeleteScheduleGroup", name]).to_string();
    lock(&services.scheduler.store).once(query.client_token.as_deref(), &call, |store| {
        store.groups.remove(&name).ok_or_else(|| no_group(&name))?;
        store.schedules.retain(|key, _| key.group != name);
        store.revision += 1;
        Ok(json!({}))
    })
}

async fn list_groups(Shared(services): Shared<Arc<Services>>, Query(query): Query<ListQuery>) -> Answer {
    let size = query.page_size()?;
    let start: Bound<String> = query.start()?;
    let store = lock(&services.scheduler.store);
    let wanted = |name: &str| query.name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix));
    let mut found = store.groups.range((start, Bound::Unbounded)).filter(|(name, _)| wanted(name));
    let page: Vec<_> = found.by_ref().take(size).collect();
    let groups: Vec<Value> =
        page.iter().map(|(name, group)| describe_group(&services, name, group)).collect();
    let token = next_token(page.last().map(|(name, _)| *name).as_ref(), found.next().is_some());
    Ok(Json(json!({ "ScheduleGroups": groups, "NextToken": token })))
}

/// Seconds since 1970 with a fraction, as AWS's JSON carries times.
fn seconds(instant: Timestamp) -> Value {
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds until the year 200,000 fit a double exactly"
    )]
    let milliseconds = instant.as_millisecond() as f64;
    json!(milliseconds / 1000.0)
}
