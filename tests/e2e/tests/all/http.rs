//! HTTP as a caller of the API speaks it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;

/// Longest wait for one answer. The time machine is the slowest: it waits for what a killed invocation may have locked.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, called with the same headers each time.
#[derive(Clone)]
pub struct Http {
    agent: Agent,
    base: String,
    headers: Vec<(String, String)>,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub etag: String,
    /// Where a redirection leads. It is not followed.
    pub location: String,
    /// Where the next page is, as `Link` says it.
    pub link: String,
    /// The body, `null` if it is no JSON.
    pub json: Value,
    pub text: String,
}

impl Answer {
    /// The JSON of an answer that must be a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "answered with {}: {}", self.status, self.text);
        self.json
    }

    /// The id of what was made.
    #[track_caller]
    pub fn id(self) -> String {
        self.ok()["id"].as_str().expect("an id").to_owned()
    }

    /// The field a problem names, empty if it names none.
    pub fn field(&self) -> &str {
        self.json["errors"][0]["field"].as_str().unwrap_or_default()
    }

    /// The last part of a problem's type, such as `overlap`.
    pub fn problem(&self) -> &str {
        self.json["type"].as_str().and_then(|kind| kind.rsplit(':').next()).unwrap_or_default()
    }
}

impl Http {
    /// A server at `base`, such as `http://127.0.0.1:4600`.
    pub fn new(base: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(PATIENCE))
            .build();
        Self { agent: config.into(), base: base.to_owned(), headers: Vec::new() }
    }

    /// Where it is.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The same server, called with one more header.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut with = self.clone();
        with.headers.push((name.to_owned(), value.to_owned()));
        with
    }

    /// The same server, called with an API key.
    pub fn with_key(&self, key: &str) -> Self {
        self.with("authorization", &format!("Bearer {key}"))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, Vec::new())
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, body.to_string())
    }

    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, body.to_string())
    }

    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send("PATCH", path, body.to_string())
    }

    /// The status and the headers of what is answered to a `GET`.
    pub fn head_of(&self, path: &str) -> (u16, BTreeMap<String, String>) {
        let mut request = Request::get(format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = self.agent.run(request.body(()).unwrap()).unwrap();
        let text = |value: &ureq::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value)));
        (response.status().as_u16(), headers.collect())
    }

    /// Sends any bytes as JSON.
    pub fn send(&self, method: &str, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if !self.headers.iter().any(|(name, _)| name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(body.into()).unwrap();
        let mut response = self.agent.run(request).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let (status, content_type) = (response.status().as_u16(), header("content-type"));
        let (etag, location, link) = (header("etag"), header("location"), header("link"));
        let text = response.body_mut().read_to_string().unwrap();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, content_type, etag, location, link, json, text }
    }
}
