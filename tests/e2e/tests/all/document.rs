//! The API's document, as a source of requests that it does not allow.

use std::path::Path;

use jsonschema::Validator;
use serde_json::{Value, json};

/// Whose id an example holds where an id may be any.
const NOBODY: &str = "0199c5b8f0ff7c3a9d2e4b6f8a1c3e5d";

/// An operation that takes a body.
pub struct Operation {
    pub method: String,
    /// With ids of nothing in its places.
    pub path: String,
    /// A body that the document gives as example.
    pub example: Value,
    validator: Validator,
}

/// A body that an operation does not allow.
pub struct BadBody {
    pub what: String,
    /// Where in it something is wrong: the field that its problem must begin with.
    pub field: String,
    pub body: Value,
}

/// Every operation that takes a body, in the order of the document.
pub fn operations_with_bodies() -> Vec<Operation> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let content = &operation["requestBody"]["content"]["application/json"];
            if content.is_null() {
                continue;
            }
            let schema = json!({ "$ref": content["schema"]["$ref"], "components": document["components"] });
            operations.push(Operation {
                method: method.to_uppercase(),
                path: filled(path),
                example: content["example"].clone(),
                validator: jsonschema::validator_for(&schema).unwrap(),
            });
        }
    }
    operations
}

/// The path with something in its places that each may hold.
fn filled(path: &str) -> String {
    path.replace("{type}", "reminder")
        .replace("{kind}", "room")
        .split('/')
        .map(place)
        .collect::<Vec<_>>()
        .join("/")
}

fn place(part: &str) -> &str {
    if part.starts_with('{') { NOBODY } else { part }
}

impl Operation {
    /// Bodies made from the example by putting something else into one place, taking a field away, or adding one. All that the document
    /// does not allow.
    pub fn bad_bodies(&self) -> Vec<BadBody> {
        assert!(self.validator.is_valid(&self.example), "{} {}", self.method, self.path);
        let mut bodies = Vec::new();
        let mut put = |what: String, pointer: &str, body: Value| {
            if !self.validator.is_valid(&body) {
                bodies.push(BadBody { what, field: field(pointer), body });
            }
        };
        let mut pointers = Vec::new();
        places(&self.example, String::new(), &mut pointers);
        for pointer in &pointers {
            for garbage in garbage() {
                let mut body = self.example.clone();
                *body.pointer_mut(pointer).unwrap() = garbage.clone();
                let shown: String = garbage.to_string().chars().take(40).collect();
                put(format!("{pointer} is {shown}"), pointer, body);
            }
            let (above, name) = pointer.rsplit_once('/').unwrap();
            let mut body = self.example.clone();
            if let Value::Object(fields) = body.pointer_mut(above).unwrap() {
                fields.remove(name);
                put(format!("no {pointer}"), above, body);
            }
        }
        for pointer in std::iter::once(&String::new()).chain(&pointers) {
            let mut body = self.example.clone();
            if let Value::Object(fields) = body.pointer_mut(pointer).unwrap() {
                fields.insert("colour".to_owned(), json!("red"));
                put(format!("{pointer} has a colour"), pointer, body);
            }
        }
        bodies
    }
}

/// The first part of a JSON pointer.
fn field(pointer: &str) -> String {
    pointer.split('/').nth(1).unwrap_or_default().to_owned()
}

/// Every place inside a value.
fn places(value: &Value, at: String, found: &mut Vec<String>) {
    let mut inside = |name: String, inner: &Value| {
        found.push(format!("{at}/{name}"));
        places(inner, format!("{at}/{name}"), found);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, inner)| inside(name.clone(), inner)),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, inner)| inside(at.to_string(), inner)),
        _ => {}
    }
}

/// What hardly any place takes.
fn garbage() -> Vec<Value> {
    let deep = (0..60).fold(json!("x"), |inner, _| json!([inner]));
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1_000_000_007),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e300),
        json!(""),
        json!(" "),
        json!("\u{0}"),
        json!("a\nb"),
        json!("🦆\u{202e}\u{300}"),
        json!("x".repeat(3_000)),
        json!("../../etc/passwd"),
        json!("a#b"),
        json!("{{ business.secret }}"),
        json!("2026-02-30T25:61"),
        json!([]),
        json!([null]),
        json!(["x", "x"]),
        json!({}),
        json!({ "colour": "red" }),
        deep,
    ]
}
