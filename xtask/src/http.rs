//! JSON over loopback HTTP.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use ureq::Agent;
use ureq::http::Method;

/// Longest wait for one answer. Running the time machine through days is the slowest call.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server at an address, called with a key if there is one.
pub struct Client {
    agent: Agent,
    base: String,
    key: Option<String>,
}

impl Client {
    /// A client of `base`, such as `http://127.0.0.1:4600`, that sends `key` as bearer token.
    pub fn new(base: &str, key: Option<&str>) -> Self {
        let config =
            Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
        Self {
            agent: config.into(),
            base: base.trim_end_matches('/').to_owned(),
            key: key.map(str::to_owned),
        }
    }

    /// The JSON at a path.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, "")
    }

    /// Sends JSON to a path and returns the JSON of the answer, `null` if it has none.
    pub fn send(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        self.call(method, path, &body.to_string())
    }

    /// `POST` of JSON to a path.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(Method::POST, path, body)
    }

    fn call(&self, method: Method, path: &str, body: &str) -> Result<Value> {
        let what = format!("{method} {path}");
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", "application/json");
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let request = request.body(body.to_owned())?;
        let mut response = self.agent.run(request).with_context(|| format!("{what} got no answer"))?;
        let text = response.body_mut().read_to_string().with_context(|| format!("{what}: broken answer"))?;
        let status = response.status();
        if !status.is_success() {
            bail!("{what} was answered with {status}: {text}");
        }
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("{what} was not answered with JSON: {text}"))
    }
}
