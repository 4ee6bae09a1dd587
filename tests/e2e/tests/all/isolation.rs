//! Every operation of the API, called with another business's ids wherever it takes one: in the path, in each field of the body, in the query.
//! What to call is read from docs/openapi.json, so that an operation which is added is tried as well, and fails here where this test has
//! nothing of another's to try it with.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span};
use serde_json::{Value, json};
use testkit::recorded::Recorded;

use crate::http::{Answer, Http};
use crate::salon::TOKYO;
use crate::stack::Stack;

const DOCUMENT: &str = include_str!("../../../../docs/openapi.json");

/// One thing of each kind of a business, by kind, all of them with the business's mark in their names.
struct Tenant {
    api: Http,
    mark: &'static str,
    ids: BTreeMap<&'static str, String>,
    /// The booking whose client comes late and leaves a review.
    visit: String,
}

/// What a field or a part of a path that takes an id is about: its kind, by the name of the list it is in, or of the field.
fn kind_of(name: &str) -> Option<&'static str> {
    let kinds = [
        ("location", &["locations", "location_id"][..]),
        ("resource", &["resources", "resource_id"]),
        ("service", &["services", "service_id"]),
        ("client", &["clients", "client_id", "client_ids"]),
        ("staff", &["staff", "staff_id", "staff_ids", "manager_ids"]),
        ("booking", &["bookings", "booking_id"]),
        ("series", &["series_id"]),
        ("waitlist", &["waitlist"]),
        ("occasion", &["occasions", "occasion_id"]),
        ("task", &["tasks"]),
        ("key", &["api-keys"]),
        ("webhook", &["webhooks"]),
        ("delivery", &["deliveries"]),
        ("device", &["devices"]),
        ("campaign", &["campaigns"]),
        ("review", &["reviews"]),
    ];
    kinds.into_iter().find(|(_, names)| names.contains(&name)).map(|(kind, _)| kind)
}

/// Parts of paths that are nobody's: what stands before them, and a value.
const NOBODYS: [(&str, &str); 3] =
    [("rules", "reminder"), ("templates", "reminder"), ("resource-kinds", "specialist")];

impl Tenant {
    /// `receiver` is where its webhook leads to.
    fn open(stack: &Stack, mark: &'static str, phone: &str, receiver: &Recorded) -> Self {
        let named = |what: &str| format!("{mark} {what}");
        let api = stack.api.with_key(&stack.business(&named("business"), TOKYO));
        let make = |path: &str, body: Value| api.post(path, &body).id();
        let location = make("/v1/locations", json!({ "name": named("location"), "zone": TOKYO }));
        let staff =
            make("/v1/staff", json!({ "name": named("staff"), "email": format!("{mark}@staff.example") }));
        let resource = make(
            "/v1/resources",
            json!({ "name": named("resource"), "kind": "specialist", "location_id": location }),
        );
        let service = make("/v1/services", json!({ "name": named("service"), "duration_minutes": 45 }));
        let email = format!("{mark}@client.example");
        let client = make("/v1/clients", json!({ "name": named("client"), "phone": phone, "email": email }));
        let tomorrow = stack.now() + SignedDuration::from_hours(24);
        let tomorrow = tomorrow.to_zoned(TimeZone::get(TOKYO).unwrap()).date();
        let book = |time: &str| {
            let body = json!({
                "location_id": location, "resource_id": resource, "service_id": service, "client_ids": [client],
                "start": format!("{tomorrow}T{time}"), "source": "staff", "notes": named("notes"),
            });
            make("/v1/bookings", body)
        };
        // One of them will be late: that is a task.
        let visit = book("12:00");
        let booking = book("18:00");
        let next_month = tomorrow + Span::new().days(30);
        let series = make(
            "/v1/series",
            json!({
                "location_id": location, "resource_id": resource, "service_id": service, "client_ids": [client],
                "start": format!("{next_month}T12:00"), "source": "staff", "notify": false, "every": "7d", "count": 2,
            }),
        );
        let waitlist = make(
            "/v1/waitlist",
            json!({
                "client_id": client, "location_id": location, "service_id": service,
                "from": format!("{tomorrow}T19:00"), "until": format!("{tomorrow}T22:00"),
            }),
        );
        let letter = json!({ "channels": ["email"], "text": named("letter") });
        let occasion = make(&format!("/v1/clients/{client}/messages"), letter);
        let key = make("/v1/api-keys", json!({ "name": named("key"), "role": "staff" }));
        let hook = format!("{}/{mark}", receiver.url());
        let webhook = make(
            "/v1/webhooks",
            json!({ "url": hook, "types": ["task.created"], "description": named("hook") }),
        );
        let delivery = make(&format!("/v1/webhooks/{webhook}/test"), json!({}));
        let device = json!({ "platform": "fcm", "token": format!("{mark}-device") });
        let device = api.post(&format!("/v1/clients/{client}/devices"), &device).ok();
        let device = device["devices"][0]["id"].as_str().unwrap().to_owned();
        let campaign = make(
            "/v1/campaigns",
            json!({
                "name": named("campaign"), "filter": {}, "channels": ["email"], "subject": named("subject"),
                "text": named("text"),
            }),
        );
        let business = api.get("/v1/business").id();
        let ids = BTreeMap::from([
            ("business", business),
            ("location", location),
            ("staff", staff),
            ("resource", resource),
            ("service", service),
            ("client", client),
            ("booking", booking),
            ("series", series),
            ("waitlist", waitlist),
            ("occasion", occasion),
            ("key", key),
            ("webhook", webhook),
            ("delivery", delivery),
            ("device", device),
            ("campaign", campaign),
        ]);
        Self { api, mark, ids, visit }
    }

    /// Adds what has come about by itself: the first thing of a list.
    fn find(&mut self, kind: &'static str, list: &str) {
        let listed = self.api.get(list).ok();
        let id = listed["items"][0]["id"].as_str().unwrap_or_else(|| panic!("no {kind} of {}", self.mark));
        self.ids.insert(kind, id.to_owned());
    }

    /// Does something to the visit.
    fn visit(&self, what: &str) {
        self.api.post(&format!("/v1/bookings/{}/{what}", self.visit), &json!({})).ok();
    }

    /// Leaves a review by the link in the last e-mail.
    fn review(&self, stack: &Stack) {
        let email = format!("{}@client.example", self.mark);
        let outbox = stack.outbox();
        let is_ours = |left: &&Value| left["channel"] == "email" && left["to"] == email.as_str();
        let last = outbox.iter().rfind(is_ours).unwrap();
        let mut lines = last["text"].as_str().unwrap().lines();
        let link = lines.find_map(|line| line.strip_prefix("Leave a review: "));
        let link = link.unwrap_or_else(|| panic!("no link in {last}"));
        let browser = stack.api.with("content-type", "application/x-www-form-urlencoded");
        let path = link.strip_prefix(stack.api.base()).unwrap();
        let answer = browser.send("POST", path, format!("rating=2&text={}", self.mark));
        assert_eq!(answer.status, 303, "{}", answer.text);
    }

    fn id(&self, kind: &str) -> &str {
        self.ids.get(kind).unwrap_or_else(|| panic!("this test makes no {kind}"))
    }

    /// Whether a text tells anything of this business.
    fn is_told_of(&self, text: &str) -> bool {
        text.contains(self.mark) || self.ids.values().any(|id| text.contains(id.as_str()))
    }

    /// The rows of this business in both tables.
    fn rows(&self, stack: &Stack) -> Vec<String> {
        stack.rows().into_iter().filter(|row| row.contains(self.id("business"))).collect()
    }
}

/// A place in a request that takes an id.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// The so manyth part of the path.
    Path(usize),
    /// A field of the body, as a pointer.
    Body(String),
    /// A parameter of the query.
    Query(String),
}

/// An operation of the document.
struct Operation {
    method: String,
    path: String,
    /// The example of its body: JSON, or a text of another type.
    body: Option<Value>,
    content_type: String,
    query: Vec<String>,
    /// What the query does not do without.
    required: Vec<String>,
}

impl Operation {
    fn all() -> Vec<Self> {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let mut all = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let contents = operation.pointer("/requestBody/content").and_then(Value::as_object);
                let content = contents.and_then(|contents| contents.iter().next());
                let body = content.map(|(_, content)| content["example"].clone());
                assert!(body != Some(Value::Null), "{method} {path} has no example of a body");
                let content_type = content.map_or("application/json", |(kind, _)| kind.as_str()).to_owned();
                let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
                let (mut query, mut required) = (Vec::new(), Vec::new());
                for parameter in parameters.iter().filter(|parameter| parameter["in"] == "query") {
                    let name = parameter["name"].as_str().unwrap().to_owned();
                    if parameter["required"] == true {
                        let example = parameter["example"].as_str();
                        let example = example.unwrap_or_else(|| panic!("{path}: {name} has no example"));
                        required.push(format!("{name}={example}"));
                    }
                    query.push(name);
                }
                let (method, path) = (method.to_uppercase(), path.clone());
                all.push(Self { method, path, body, content_type, query, required });
            }
        }
        all
    }

    /// Where it takes ids, and of what kind.
    fn places(&self) -> Vec<(Place, &'static str)> {
        let mut places = Vec::new();
        let parts: Vec<&str> = self.path.split('/').collect();
        for (number, part) in parts.iter().enumerate().filter(|(_, part)| part.starts_with('{')) {
            let list = parts[number - 1];
            match kind_of(list) {
                Some(kind) => places.push((Place::Path(number), kind)),
                None => assert!(
                    NOBODYS.iter().any(|(known, _)| *known == list),
                    "{} {}: this test does not know what {part} is; give it another's id, or say that it is nobody's",
                    self.method,
                    self.path
                ),
            }
        }
        if let Some(body) = &self.body {
            self.find_in(body, String::new(), &mut places);
        }
        for name in &self.query {
            if name == "cursor" {
                places.push((Place::Query(name.clone()), "client"));
            } else if name.ends_with("_id") {
                let kind = kind_of(name).unwrap_or_else(|| panic!("{}: what is {name}?", self.path));
                places.push((Place::Query(name.clone()), kind));
            }
        }
        places
    }

    fn find_in(&self, value: &Value, at: String, places: &mut Vec<(Place, &'static str)>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let at = format!("{at}/{name}");
                    if name.ends_with("_id") || name.ends_with("_ids") {
                        let kind = kind_of(name).unwrap_or_else(|| panic!("{}: what is {name}?", self.path));
                        let at = if value.is_array() { format!("{at}/0") } else { at };
                        places.push((Place::Body(at), kind));
                    } else {
                        self.find_in(value, at, places);
                    }
                }
            }
            Value::Array(values) => {
                for (number, value) in values.iter().enumerate() {
                    self.find_in(value, format!("{at}/{number}"), places);
                }
            }
            _ => {}
        }
    }

    /// Calls it as `caller`, with ids of `theirs` at some places and the caller's own everywhere else.
    fn call(&self, caller: &Tenant, theirs: &Tenant, at: &[&Place]) -> Answer {
        let mut parts: Vec<String> = self.path.split('/').map(str::to_owned).collect();
        for (known, value) in NOBODYS {
            for number in 1..parts.len() {
                if parts[number].starts_with('{') && parts[number - 1] == known {
                    parts[number] = value.to_owned();
                }
            }
        }
        let mut body = self.body.clone();
        let mut query = self.required.clone();
        for (place, kind) in self.places() {
            let is_theirs = at.contains(&&place);
            let id = if is_theirs { theirs.id(kind) } else { caller.id(kind) };
            match &place {
                Place::Path(number) => parts[*number] = id.to_owned(),
                Place::Body(pointer) => {
                    *body.as_mut().and_then(|body| body.pointer_mut(pointer)).unwrap() = json!(id);
                }
                Place::Query(name) if is_theirs => query.push(format!("{name}={id}")),
                Place::Query(_) => {}
            }
        }
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let body = match body {
            Some(Value::String(text)) => text,
            Some(json) => json.to_string(),
            None => String::new(),
        };
        let api = caller.api.with("content-type", &self.content_type);
        api.send(&self.method, &format!("{}{query}", parts.join("/")), body)
    }
}

#[test]
fn no_operation_reaches_anothers_things() {
    let stack = Stack::start();
    let receiver = Recorded::deciding(|_| (204, String::new()));
    let mut theirs = Tenant::open(&stack, "zebra", "+351912340001", &receiver);
    let mut ours = Tenant::open(&stack, "quagga", "+351912340002", &receiver);
    let tokyo = TimeZone::get(TOKYO).unwrap();
    let tomorrow = (stack.now() + SignedDuration::from_hours(24)).to_zoned(tokyo.clone()).date();
    let run_to = |hour, minute| {
        stack.run_to(tomorrow.at(hour, minute, 0, 0).to_zoned(tokyo.clone()).unwrap().timestamp());
    };
    run_to(12, 11);
    for tenant in [&mut theirs, &mut ours] {
        tenant.find("task", "/v1/tasks");
        tenant.visit("arrive");
    }
    run_to(12, 45);
    theirs.visit("complete");
    ours.visit("complete");
    run_to(15, 30);
    for tenant in [&mut theirs, &mut ours] {
        tenant.review(&stack);
        tenant.find("review", "/v1/reviews");
    }
    stack.settle();
    let before = theirs.rows(&stack);
    assert!(before.len() > 15, "they have things to lose: {}", before.len());

    let mut operations = Operation::all();
    // What takes no ids may change what is ours: last.
    operations.sort_by_key(|operation| operation.places().is_empty());
    let mut complaints = Vec::new();
    let mut tried = 0;
    for operation in &operations {
        let places = operation.places();
        let mut variants: Vec<Vec<&Place>> = places.iter().map(|(place, _)| vec![place]).collect();
        if places.len() != 1 {
            variants.push(places.iter().map(|(place, _)| place).collect());
        }
        for at in variants {
            let answer = operation.call(&ours, &theirs, &at);
            tried += 1;
            let refused = match at.as_slice() {
                // The id in the path is of nothing that there is.
                [Place::Path(_)] => answer.status == 404,
                // The field is named whose id it is.
                [Place::Body(pointer)] => {
                    let name = pointer.split('/').rfind(|part| part.parse::<usize>().is_err()).unwrap();
                    answer.status == 404 || answer.status == 422 && answer.field().contains(name)
                }
                // A place in a list that is not theirs, or a choice that nothing of ours meets.
                places if places.iter().all(|place| matches!(place, Place::Query(_))) => answer.status < 500,
                _ => matches!(answer.status, 404 | 422),
            };
            if !refused || theirs.is_told_of(&answer.text) {
                let Operation { method, path, .. } = operation;
                complaints.push(format!(
                    "{method} {path} with theirs at {at:?}: {} {}",
                    answer.status, answer.text
                ));
            }
        }
    }
    stack.settle();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(tried > operations.len(), "{tried} calls of {} operations", operations.len());
    assert_eq!(theirs.rows(&stack), before, "nothing of theirs has changed");
}
