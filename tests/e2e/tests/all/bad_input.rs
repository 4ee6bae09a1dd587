//! Bad input: each gets problem+json with the field named, and changes nothing.

use serde_json::{Value, json};

use crate::document::{BadBody, operations_with_bodies};
use crate::http::{Answer, Http};
use crate::salon::{Salon, TOKYO};
use crate::stack::Stack;

/// A request that must be refused: what is wrong with it, the request, the status, and the field that is named.
struct Case {
    what: String,
    method: &'static str,
    path: String,
    body: Vec<u8>,
    headers: Vec<(&'static str, String)>,
    status: u16,
    field: String,
}

impl Case {
    fn new(what: &str, method: &'static str, path: &str, body: impl Into<Vec<u8>>) -> Self {
        let (what, path, body) = (what.to_owned(), path.to_owned(), body.into());
        Self { what, method, path, body, headers: Vec::new(), status: 422, field: String::new() }
    }

    fn post(what: &str, path: &str, body: Value) -> Self {
        Self::new(what, "POST", path, body.to_string())
    }

    fn get(what: &str, path: &str) -> Self {
        Self::new(what, "GET", path, "")
    }

    fn names(mut self, field: &str) -> Self {
        self.field = field.to_owned();
        self
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn is(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    fn send(&self, api: &Http) -> Answer {
        let api = self.headers.iter().fold(api.clone(), |api, (name, value)| api.with(name, value));
        api.send(self.method, &self.path, self.body.clone())
    }

    /// What is wrong with the answer, if anything is.
    fn complaint(&self, answer: &Answer) -> Option<String> {
        let as_wanted = answer.status == self.status
            && answer.field() == self.field
            && answer.content_type.starts_with("application/problem+json")
            && answer.json["status"] == self.status
            && !answer.problem().is_empty();
        (!as_wanted).then(|| {
            format!(
                "{}: expected {} naming {:?}, got {} ({}) {}",
                self.what, self.status, self.field, answer.status, answer.content_type, answer.text
            )
        })
    }
}

/// Sends every case, then looks whether anything has changed.
#[track_caller]
fn all_are_refused(salon: &Salon<'_>, cases: &[Case]) {
    let before = salon.everything();
    let complaints: Vec<String> =
        cases.iter().filter_map(|case| case.complaint(&case.send(&salon.api))).collect();
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), cases.len(), complaints.join("\n"));
    salon.stack.settle();
    assert_eq!(salon.everything(), before, "nothing has changed");
}

/// The body with a field set to something else, or taken away.
fn but(body: &Value, field: &str, value: Option<Value>) -> Value {
    let mut body = body.clone();
    match value {
        Some(value) => body[field] = value,
        None => {
            body.as_object_mut().unwrap().remove(field);
        }
    }
    body
}

#[test]
fn a_bad_booking_is_refused_with_its_field_and_changes_nothing() {
    let stack = Stack::start();
    let other = Salon::open(&stack, TOKYO);
    let salon = Salon::open(&stack, TOKYO);
    salon.book(&salon.day(2, "15:00"));
    let good = salon.booking(&salon.day(3, "15:00"));
    let local = |time: &str| json!(salon.day(3, time).datetime().to_string());
    let elsewhere = salon.api.post("/v1/locations", &json!({ "name": "Elsewhere", "zone": TOKYO })).id();

    let mut cases = Vec::new();
    let mut bad = |what: &str, field: &str, value: Value, named: &str| {
        cases.push(Case::post(what, "/v1/bookings", but(&good, field, Some(value))).names(named));
    };
    for start in [
        "2026-02-30T10:00",
        "2026-13-01T10:00",
        "2026-02-01T25:00",
        "tomorrow",
        "",
        "2026-02-01",
        "9999-12-31T23:59",
        "-000001-01-01T00:00",
    ] {
        bad(&format!("start {start:?}"), "start", json!(start), "start");
    }
    bad("start as a number", "start", json!(1_800_000_000), "start");
    bad("start as null", "start", Value::Null, "start");
    bad("end before start", "end", local("14:00"), "end");
    bad("end at start", "end", local("15:00"), "end");
    bad("end impossible", "end", json!("2026-02-30T10:00"), "end");
    bad("a visit of a month", "end", json!(salon.day(33, "15:00").datetime().to_string()), "end");
    bad("no client", "client_ids", json!([]), "client_ids");
    bad("the same client twice", "client_ids", json!([salon.client.id, salon.client.id]), "client_ids");
    let many: Vec<String> = (0..21).map(|number| format!("client{number}")).collect();
    bad("21 clients", "client_ids", json!(many), "client_ids");
    bad("clients as a text", "client_ids", json!(salon.client.id), "client_ids");
    bad("a client id of the wrong form", "client_ids", json!([salon.client.id, "a#b"]), "client_ids[1]");
    bad("an unknown source", "source", json!("fax"), "source");
    bad("an unknown notify", "notify", json!("perhaps"), "notify");
    bad("a negative price", "price", json!({ "minor": -1, "currency": "EUR" }), "price.minor");
    bad("an unknown currency", "price", json!({ "minor": 1, "currency": "euro" }), "price.currency");
    bad("a price in cents and a half", "price", json!({ "minor": 1.5, "currency": "EUR" }), "price.minor");
    bad("notes without end", "notes", json!("x".repeat(2001)), "notes");
    bad("an unknown field", "colour", json!("red"), "colour");
    bad("another tenant's location", "location_id", json!(other.location), "location_id");
    bad("another tenant's resource", "resource_id", json!(other.resource), "resource_id");
    bad("another tenant's service", "service_id", json!(other.service), "service_id");
    bad("another tenant's client", "client_ids", json!([salon.client.id, other.client.id]), "client_ids[1]");
    bad("a resource that is elsewhere", "location_id", json!(elsewhere), "resource_id");
    bad("an id of the wrong form", "service_id", json!("../x"), "service_id");
    for field in ["location_id", "resource_id", "service_id", "client_ids", "start", "source"] {
        cases.push(Case::post(&format!("no {field}"), "/v1/bookings", but(&good, field, None)).names(field));
    }
    for start in ["15:00", "14:30", "15:30"] {
        let overlapping = json!(salon.day(2, start).datetime().to_string());
        cases.push(
            Case::post(
                &format!("overlap at {start}"),
                "/v1/bookings",
                but(&good, "start", Some(overlapping)),
            )
            .is(409)
            .names("start"),
        );
    }
    all_are_refused(&salon, &cases);
}

#[test]
fn bad_settings_are_refused_with_their_field_and_change_nothing() {
    let stack = Stack::start();
    let other = Salon::open(&stack, TOKYO);
    let salon = Salon::open(&stack, TOKYO);
    salon.api.put("/v1/rules/missed_booking", &json!({ "enabled": false, "steps": [] })).ok();

    let location = json!({ "name": "Alfama", "zone": TOKYO });
    let resource = json!({ "name": "Rui", "kind": "room", "location_id": salon.location });
    let service = json!({ "name": "Shave", "duration_minutes": 20 });
    let client = json!({ "name": "Rita" });
    let rule = json!({ "enabled": true, "steps": [{ "timing": "2h before start", "channels": ["sms"] }] });
    let step = |timing: &str, channels: Value| json!([{ "timing": timing, "channels": channels }]);
    let of = |path: &str, good: &Value, rows: Vec<(&str, Value, &str)>| -> Vec<Case> {
        rows.into_iter()
            .map(|(field, value, named)| {
                let what = format!("{path} with {field} {value}");
                let body = but(good, field, Some(value)).to_string();
                let method = match path {
                    "/v1/business" => "PATCH",
                    _ if path.starts_with("/v1/rules/") => "PUT",
                    _ => "POST",
                };
                Case::new(&what, method, path, body).names(named)
            })
            .collect()
    };
    let mut cases = Vec::new();
    cases.extend(of(
        "/v1/locations",
        &location,
        vec![
            ("zone", json!("Mars/Olympus"), "zone"),
            ("zone", json!(""), "zone"),
            ("zone", json!(9), "zone"),
            ("name", json!(""), "name"),
            ("name", json!("   "), "name"),
            ("name", json!("x".repeat(201)), "name"),
            ("name", json!("two\nlines"), "name"),
            ("name", json!(["x"]), "name"),
            ("quiet_hours", json!({ "from": "25:00", "until": "08:00" }), "quiet_hours"),
            ("quiet_hours", json!({ "from": "23:00" }), "quiet_hours.until"),
            ("colour", json!("red"), "colour"),
        ],
    ));
    cases.extend(of(
        "/v1/resources",
        &resource,
        vec![
            ("capacity", json!(0), "capacity"),
            ("capacity", json!(1001), "capacity"),
            ("capacity", json!(-1), "capacity"),
            ("capacity", json!("two"), "capacity"),
            ("kind", json!("horse"), "kind"),
            ("location_id", json!(other.location), "location_id"),
            ("location_id", json!("nowhere"), "location_id"),
        ],
    ));
    cases.extend(of(
        "/v1/services",
        &service,
        vec![
            ("duration_minutes", json!(0), "duration_minutes"),
            ("duration_minutes", json!(10_081), "duration_minutes"),
            ("duration_minutes", json!(-5), "duration_minutes"),
            ("price", json!({ "minor": -1, "currency": "EUR" }), "price.minor"),
            ("price", json!({ "minor": 1 }), "price.currency"),
            ("price", json!(12), "price"),
        ],
    ));
    cases.extend(of(
        "/v1/clients",
        &client,
        vec![
            ("phone", json!("abc"), "phone"),
            ("phone", json!("912345678"), "phone"),
            ("phone", json!("+0351912345678"), "phone"),
            ("phone", json!("+999912345678901234"), "phone"),
            ("phone", json!("+351 912 345 678"), "phone"),
            ("email", json!("nobody"), "email"),
            ("email", json!("a b@example.com"), "email"),
            ("email", json!("a@example.com\r\nBcc: b@example.com"), "email"),
            ("locale", json!("tlh"), "locale"),
            ("zone", json!("Europe/Nowhere"), "zone"),
            ("bans", json!({ "channels": ["fax"] }), "bans.channels[0]"),
            ("bans", json!({ "types": ["gossip"] }), "bans.types[0]"),
        ],
    ));
    cases.extend(of(
        "/v1/business",
        &json!({}),
        vec![
            ("name", json!(""), "name"),
            ("zone", json!("Mars/Olympus"), "zone"),
            ("phone", json!("abc"), "phone"),
            ("phone", json!("+999"), "phone"),
            ("no_show_after_minutes", json!(0), "no_show_after_minutes"),
            ("quiet_hours", json!({ "from": "08:00", "until": "08:00" }), "quiet_hours"),
            ("booking_url", json!("javascript:alert(1)"), "booking_url"),
            ("id", json!("mine"), "id"),
        ],
    ));
    cases.extend(of(
        "/v1/rules/reminder",
        &rule,
        vec![
            ("enabled", json!("yes"), "enabled"),
            ("steps", json!([]), "steps"),
            ("steps", step("sometime", json!(["sms"])), "steps[0].timing"),
            ("steps", step("immediately", json!(["sms"])), "steps[0].timing"),
            ("steps", step("2h before start", json!([])), "steps[0].channels"),
            ("steps", step("2h before start", json!(["fax"])), "steps[0].channels[0]"),
            ("late", json!("never"), "late"),
        ],
    ));
    let device = format!("/v1/clients/{}/devices", salon.client.id);
    cases.extend(of(
        &device,
        &json!({ "platform": "fcm", "token": "t" }),
        vec![("platform", json!("nokia"), "platform"), ("token", json!(""), "token")],
    ));
    cases.push(Case::new("a rule of no type", "PUT", "/v1/rules/gossip", rule.to_string()).is(404));
    all_are_refused(&salon, &cases);
}

#[test]
fn a_request_that_is_no_request_is_refused_and_changes_nothing() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let booking = salon.book(&salon.day(2, "15:00"));
    let locations = "/v1/locations";
    let good = json!({ "name": "Alfama", "zone": TOKYO });
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let mut cases = vec![
        Case::new("broken JSON", "POST", locations, r#"{"name": "x", "zone""#).is(400),
        Case::new("no JSON", "POST", locations, "name=x&zone=UTC").is(400),
        Case::new("two bodies", "POST", locations, format!("{good}{good}")).is(400),
        Case::new(
            "invalid UTF-8",
            "POST",
            locations,
            b"{\"name\": \"\xff\xfe\", \"zone\": \"UTC\"}".to_vec(),
        )
        .is(400),
        Case::new("a field twice", "POST", locations, r#"{"name":"x","name":"y","zone":"UTC"}"#)
            .names("name"),
        Case::new("a body that is too large", "POST", locations, format!("{}{good}", " ".repeat(2 << 20)))
            .is(413),
        Case::new("a deep body", "POST", locations, deep.clone()).names("body"),
        Case::new("a deep field", "POST", locations, format!(r#"{{"zone":"UTC","name":{deep}}}"#))
            .names("name"),
        Case::new("a deep unknown field", "POST", locations, format!(r#"{{"colour":{deep}}}"#))
            .names("colour"),
        Case::new("an empty body", "POST", locations, "").names("name"),
        Case::post("a wrong If-Match", &format!("/v1/bookings/{booking}/cancel"), json!({}))
            .with("if-match", "yesterday")
            .names("If-Match"),
        Case::post("an Idempotency-Key that is too long", locations, good.clone())
            .with("idempotency-key", &"x".repeat(256))
            .names("Idempotency-Key"),
        Case::post("an empty Idempotency-Key", locations, good.clone())
            .with("idempotency-key", "")
            .names("Idempotency-Key"),
        Case::get("limit=0", "/v1/clients?limit=0").names("limit"),
        Case::get("limit=101", "/v1/clients?limit=101").names("limit"),
        Case::get("limit=-1", "/v1/clients?limit=-1").names("limit"),
        Case::get("limit=many", "/v1/clients?limit=many").names("limit"),
        Case::get("an unknown parameter", "/v1/clients?colour=red").names("colour"),
        Case::get("a cursor of the wrong form", "/v1/clients?cursor=%23%23").names("cursor"),
        Case::get("a cursor that is too long", &format!("/v1/clients?cursor={}", "x".repeat(1500)))
            .names("cursor"),
        Case::get("an empty cursor", "/v1/clients?cursor=").names("cursor"),
        Case::get("an unknown path", "/v1/horses").is(404),
        Case::get("a path below", "/v1/clients/x/y/z").is(404),
        Case::get("an unknown id", "/v1/bookings/nothing").is(404),
        Case::get("an id of the wrong form", "/v1/bookings/a%23b").is(404),
        Case::get("an id that is a path", "/v1/bookings/..%2F..%2Fclients").is(404),
        Case::get("an id that is not UTF-8", "/v1/bookings/%ff").is(404),
        Case::new("a wrong method", "PUT", "/v1/business", "{}").is(405),
        Case::new("a wrong method on a booking", "PUT", &format!("/v1/bookings/{booking}"), "{}").is(405),
        Case::get("a GET of an operation", &format!("/v1/bookings/{booking}/cancel")).is(405),
        Case::post("an unknown operation", &format!("/v1/bookings/{booking}/explode"), json!({})).is(404),
        Case::post("a reschedule without a time", &format!("/v1/bookings/{booking}/reschedule"), json!({}))
            .names("start"),
    ];
    for not_an_object in [r#"["Alfama","Asia/Tokyo",null,null]"#, "[]", "\"x\"", "7", "null", "true"] {
        cases.push(
            Case::new(&format!("the body {not_an_object}"), "POST", locations, not_an_object).names("body"),
        );
    }
    all_are_refused(&salon, &cases);
}

/// How many bad requests each operation gets at least.
const EACH: usize = 50;

/// And at most of those that are made from its example: spread over all that could be.
const MOST: usize = 30;

#[test]
fn whatever_the_document_does_not_allow_is_refused_by_every_operation_and_changes_nothing() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    salon.book(&salon.day(2, "15:00"));
    let before = salon.everything();
    let mut complaints = Vec::new();
    for mut operation in operations_with_bodies() {
        // Whether a rule makes sense is asked of a resource that is there.
        if let Some((_, rule)) = operation.path.split_once("/rules/")
            && operation.path.starts_with("/v1/resources/")
        {
            operation.path = format!("/v1/resources/{}/rules/{rule}", salon.resource);
        }
        let mut sent = 0;
        let mut send =
            |what: &str, field: Option<&str>, path: &str, headers: &[(&str, &str)], body: Vec<u8>| {
                let api = headers.iter().fold(salon.api.clone(), |api, (name, value)| api.with(name, value));
                let answer = api.send(&operation.method, path, body);
                sent += 1;
                let named = answer.field().split(['.', '[']).next().unwrap_or_default();
                let told = match (answer.status, field) {
                    (422, Some(field)) => {
                        named == field || named == "body" || !answer.field().is_empty() && field.is_empty()
                    }
                    (400 | 404 | 413, None) | (422, None) => true,
                    _ => false,
                };
                if !told || !answer.content_type.starts_with("application/problem+json") {
                    let shown: String = answer.text.chars().take(200).collect();
                    complaints
                        .push(format!("{} {path}, {what}: {} {shown}", operation.method, answer.status));
                }
            };
        let bodies = operation.bad_bodies();
        let most = bodies.len().min(MOST);
        for BadBody { what, field, body } in (0..most).map(|number| &bodies[number * bodies.len() / most]) {
            send(what, Some(field), &operation.path, &[], body.to_string().into_bytes());
        }
        let good = operation.example.to_string();
        let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
        for body in ["[]", "\"x\"", "7", "null", "true", "-0.0", "[{}]"] {
            send("another kind of JSON", Some("body"), &operation.path, &[], body.as_bytes().to_vec());
        }
        for body in [
            "{",
            "}",
            "{\"a\":}",
            "{'a':1}",
            "<a/>",
            "a=b",
            "{\"a\":1}{}",
            "{\"a\":01}",
            "\u{feff}{}",
            "NaN",
            "{\"\\ud800\":1",
        ] {
            send("no JSON", None, &operation.path, &[], body.as_bytes().to_vec());
        }
        send("cut off", None, &operation.path, &[], good.as_bytes()[..good.len() - 1].to_vec());
        send("invalid UTF-8", None, &operation.path, &[], [good.as_bytes(), b"\xff"].concat());
        send("a deep body", Some("body"), &operation.path, &[], deep.into_bytes());
        send("too large", None, &operation.path, &[], format!("{}{good}", " ".repeat(2 << 20)).into_bytes());
        for (name, field, value) in [
            ("idempotency-key", "Idempotency-Key", "x".repeat(256)),
            ("idempotency-key", "Idempotency-Key", String::new()),
            ("if-match", "If-Match", "yesterday".to_owned()),
            ("if-match", "If-Match", "-1".to_owned()),
            ("if-match", "If-Match", "9".repeat(40)),
        ] {
            send(name, Some(field), &operation.path, &[(name, &value)], good.clone().into_bytes());
        }
        assert!(sent >= EACH, "{} {}: only {sent}", operation.method, operation.path);
    }
    assert!(complaints.is_empty(), "{}:\n{}", complaints.len(), complaints.join("\n"));
    stack.settle();
    let after = salon.everything();
    let new: Vec<&String> = after.0.iter().filter(|row| !before.0.contains(row)).collect();
    assert!(new.is_empty(), "{new:#?}");
    assert_eq!(after, before, "nothing has changed");
}
