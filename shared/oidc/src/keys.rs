//! The issuer's keys: found by its discovery document, fetched again when they are old or one is not among them.

use std::sync::OnceLock;
use std::time::Duration;

use app::error::chain;
use app::ports::{PortError, Source};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use crate::Settings;

/// How old keys may be before they are fetched again.
const FRESH: SignedDuration = SignedDuration::from_hours(1);

/// How old they may be while the issuer cannot be reached.
const KEPT: SignedDuration = SignedDuration::from_hours(6);

/// How often at most the issuer is asked, whatever tokens come.
const PAUSE: SignedDuration = SignedDuration::from_mins(1);

/// How long a connection may take, and a fetch in all.
const TIMEOUTS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(4));

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 262_144;

/// What is fetched, as errors name it.
const OPERATION: &str = "fetching the keys of the issuer of tokens";

type Https = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

/// The keys of an issuer.
#[derive(Debug)]
pub struct Keys {
    issuer: String,
    allows_loopback: bool,
    client: OnceLock<Https>,
    known: Mutex<Known>,
}

/// What was fetched.
#[derive(Debug, Default)]
struct Known {
    /// The keys, and when they were fetched (UTC).
    keys: Option<(JwkSet, Timestamp)>,
    /// When the issuer was last asked (UTC), whether it answered or not.
    asked: Option<Timestamp>,
}

/// <https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata>
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Keys {
    /// Those of the issuer of these settings.
    pub fn of(settings: &Settings) -> Self {
        Self {
            issuer: settings.issuer.clone(),
            allows_loopback: settings.allows_loopback,
            client: OnceLock::new(),
            known: Mutex::default(),
        }
    }

    /// The key of this id, if the issuer has one at `now` (UTC).
    ///
    /// # Errors
    /// The issuer cannot be reached, and its keys are not known, or too old.
    pub async fn find(&self, kid: &str, now: Timestamp) -> Result<Option<Jwk>, PortError> {
        let mut known = self.known.lock().await;
        let young = |known: &Known, age| known.keys.as_ref().is_some_and(|(_, fetched)| now < *fetched + age);
        let found = |known: &Known| known.keys.as_ref().and_then(|(keys, _)| keys.find(kid).cloned());
        let is_good = young(&known, FRESH) && found(&known).is_some();
        let may_ask = known.asked.is_none_or(|asked| asked + PAUSE <= now);
        if !is_good && may_ask {
            known.asked = Some(now);
            match self.fetch().await {
                Ok(keys) => known.keys = Some((keys, now)),
                Err(error) if young(&known, KEPT) => {
                    tracing::warn!(error = %chain(&error), "the keys of the issuer are old");
                }
                Err(error) => {
                    // Nobody with a token gets in: it is worth asking at once again.
                    known.asked = None;
                    return Err(error);
                }
            }
        }
        Ok(found(&known).filter(|_| young(&known, KEPT)))
    }

    async fn fetch(&self) -> Result<JwkSet, PortError> {
        let failed = |source: Source| PortError::Retryable { operation: OPERATION, source };
        let fetch = async {
            let of_issuer = self.issuer.trim_end_matches('/');
            let discovery: Discovery =
                self.get(&format!("{of_issuer}/.well-known/openid-configuration")).await?;
            if discovery.issuer != self.issuer {
                return Err("its discovery document names another issuer".into());
            }
            self.get(&discovery.jwks_uri).await
        };
        match tokio::time::timeout(TIMEOUTS.1, fetch).await {
            Ok(fetched) => fetched.map_err(failed),
            Err(late) => Err(failed(late.into())),
        }
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T, Source> {
        let url: Uri = url.parse()?;
        let is_local = matches!(url.host(), Some("127.0.0.1" | "localhost"));
        match url.scheme_str() {
            Some("https") => {}
            Some("http") if self.allows_loopback && is_local => {}
            _ => return Err(format!("{url} is not https").into()),
        }
        let client = match self.client.get() {
            Some(client) => client,
            None => {
                let client = client()?;
                self.client.get_or_init(|| client)
            }
        };
        // A redirect is not followed: it would lead past the check of the scheme.
        let answer = client.get(url.clone()).await?;
        if answer.status() != StatusCode::OK {
            return Err(format!("{url} answers with {}", answer.status()).into());
        }
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await?.to_bytes();
        Ok(serde_json::from_slice(&body)?)
    }
}

/// As with providers, no connection is kept: fetches are an hour apart. TLS by ring, with Mozilla's roots in the binary.
fn client() -> Result<Https, Source> {
    let mut tcp = HttpConnector::new();
    tcp.set_connect_timeout(Some(TIMEOUTS.0));
    tcp.enforce_http(false);
    let https = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())?
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(https))
}
