//! Posting to webhooks: HTTPS to whoever a business names, on the public internet only.
//!
//! Architecture invariant: no connection is opened to an address that is not public. A name is resolved here, and the connection goes to the addresses
//! that were looked at, so that a name which leads elsewhere a moment later leads nowhere.

use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use app::ports::{Post, PostWebhook, Posted};
use domain::webhook::{PostError, PostResult, Reach};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::RETRY_AFTER;
use hyper::{HeaderMap, Request};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;
use jiff::{SignedDuration, Timestamp};
use tower_service::Service;

/// How long a connection may take, and a post in all.
const TIMEOUTS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(15));

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("TLS to webhooks could not be set up")]
pub struct TlsError(#[source] rustls::Error);

/// [`PostWebhook`] over HTTPS.
#[derive(Debug, Clone)]
pub struct Receivers {
    client: Client<HttpsConnector<HttpConnector<Names>>, Full<Bytes>>,
    reach: Reach,
}

impl Receivers {
    /// Posts within this reach. TLS by ring, with Mozilla's roots in the binary; no connection is kept for later, since after the sandbox was frozen
    /// it may be dead.
    ///
    /// # Errors
    /// [`TlsError`] when TLS cannot be set up.
    pub fn new(reach: Reach) -> Result<Self, TlsError> {
        let mut tcp = HttpConnector::new_with_resolver(Names(reach));
        tcp.set_connect_timeout(Some(TIMEOUTS.0));
        tcp.enforce_http(false);
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
            .map_err(TlsError)?;
        let https = match reach {
            Reach::Public => https.https_only(),
            Reach::Local => https.https_or_http(),
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .retry_canceled_requests(false)
            .build(https.enable_http1().wrap_connector(tcp));
        Ok(Self { client, reach })
    }

    /// Posts; answers the status and how long to wait.
    async fn try_to_post(&self, post: Post<'_>) -> (PostResult, Option<SignedDuration>) {
        // An address in place of a name is resolved by nobody.
        if post.url.literal().is_some_and(|address| !self.reach.allows(address)) {
            return (PostResult::Unanswered(PostError::NotPublic), None);
        }
        let request = Request::post(post.url.as_str())
            .header("content-type", "application/json")
            .header("user-agent", "booking-notifications")
            .header("webhook-id", post.id.as_str())
            .header("webhook-timestamp", post.at.as_second())
            .header("webhook-signature", post.signatures)
            .body(Full::new(Bytes::from(post.body.to_owned())));
        let Ok(request) = request else { return (PostResult::Unanswered(PostError::Unreachable), None) };
        // Where it sends us instead, we do not go, and what it says beside its status is nobody's business.
        match tokio::time::timeout(TIMEOUTS.1, self.client.request(request)).await {
            Ok(Ok(answer)) => {
                let status = answer.status().as_u16();
                (PostResult::Answered(status), retry_after(answer.headers(), post.at))
            }
            Ok(Err(error)) if is_not_public(&error) => (PostResult::Unanswered(PostError::NotPublic), None),
            Ok(Err(error)) if error.is_connect() => (PostResult::Unanswered(PostError::Unreachable), None),
            Ok(Err(_)) => (PostResult::Unanswered(PostError::Broken), None),
            Err(_) => (PostResult::Unanswered(PostError::Timeout), None),
        }
    }
}

impl PostWebhook for Receivers {
    async fn post(&self, post: Post<'_>) -> Posted {
        let begun = tokio::time::Instant::now();
        let (result, retry_after) = self.try_to_post(post).await;
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Posted { result, took_ms, retry_after }
    }
}

/// Seconds, or a date. <https://www.rfc-editor.org/rfc/rfc9110#name-retry-after>
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<SignedDuration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(SignedDuration::from_secs(seconds.into()));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(date.timestamp().duration_since(now).max(SignedDuration::ZERO))
}

/// A name leads to an address that is not public.
#[derive(Debug, thiserror::Error)]
#[error("it leads to an address that is not public")]
struct NotPublic;

fn is_not_public(error: &(dyn Error + 'static)) -> bool {
    let mut error = Some(error);
    while let Some(behind) = error {
        if behind.is::<NotPublic>() {
            return true;
        }
        error = behind.source();
    }
    false
}

/// Resolves names to addresses of which all may be reached.
#[derive(Debug, Clone, Copy)]
struct Names(Reach);

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Names(reach) = *self;
        Box::pin(async move {
            // The port is the URL's.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(all_within(reach, found)?.into_iter())
        })
    }
}

/// The addresses, if all of them may be reached: who mixes others in means no good.
fn all_within(reach: Reach, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, NotPublic> {
    if found.iter().all(|address| reach.allows(address.ip())) { Ok(found) } else { Err(NotPublic) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::webhook::WebhookUrl;
    use hyper::header::HeaderValue;
    use testkit::recorded::Recorded;

    const NOW: &str = "2026-11-20T12:00:00Z";

    async fn posted(reach: Reach, url: &str) -> Posted {
        let url = WebhookUrl::parse(url, Reach::Local).unwrap();
        let id = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let post = Post {
            url: &url,
            id: &id,
            at: NOW.parse().unwrap(),
            signatures: "v1,abc v1,def",
            body: r#"{"type":"webhook.test"}"#,
        };
        Receivers::new(reach).unwrap().post(post).await
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_post_has_the_headers_of_the_standard_and_the_body_as_it_is() {
        let receiver = Recorded::answering(&[(204, "")]);
        let posted = posted(Reach::Local, &format!("{}/hook?a=b", receiver.url())).await;
        assert_eq!(posted.result, PostResult::Answered(204));
        let asked = receiver.asked();
        let head = asked[0].head.to_ascii_lowercase();
        assert!(head.starts_with("post /hook?a=b http/1.1"), "{head}");
        for header in [
            "webhook-id: 0123456789abcdef0123456789abcdef",
            "webhook-timestamp: 1795176000",
            "webhook-signature: v1,abc v1,def",
            "content-type: application/json",
        ] {
            assert!(head.contains(header), "{header}: {head}");
        }
        assert_eq!(asked[0].body, r#"{"type":"webhook.test"}"#);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_answered_is_a_status_and_nobody_follows_it() {
        for status in [200, 301, 307, 410, 500] {
            let receiver = Recorded::answering(&[(status, "Go elsewhere")]);
            let posted = posted(Reach::Local, receiver.url()).await;
            assert_eq!(posted.result, PostResult::Answered(status));
            assert_eq!(receiver.asked().len(), 1, "nothing is tried twice");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn nobody_there_and_a_connection_that_breaks_are_told_apart() {
        let nobody = posted(Reach::Local, "http://127.0.0.1:9/").await;
        assert_eq!(nobody.result, PostResult::Unanswered(PostError::Unreachable));
        let receiver = Recorded::answering(&[(0, "")]);
        let broken = posted(Reach::Local, receiver.url()).await;
        assert_eq!(broken.result, PostResult::Unanswered(PostError::Broken));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_address_that_is_not_public_is_never_connected_to() {
        let receiver = Recorded::answering(&[(204, "")]);
        let port = receiver.url().rsplit(':').next().unwrap().to_owned();
        for url in [
            format!("https://127.0.0.1:{port}/"),
            format!("https://localhost:{port}/"),
            format!("https://[::1]:{port}/"),
            format!("http://127.0.0.1:{port}/"),
        ] {
            let refused = posted(Reach::Public, &url).await;
            assert_eq!(refused.result, PostResult::Unanswered(PostError::NotPublic), "{url}");
        }
        assert_eq!(receiver.asked().len(), 0);
    }

    #[test]
    fn a_name_that_also_leads_into_a_private_network_is_not_used_at_all() {
        let public: SocketAddr = "93.184.215.14:0".parse().unwrap();
        let private: SocketAddr = "10.0.0.1:0".parse().unwrap();
        assert_eq!(all_within(Reach::Public, vec![public]).unwrap(), [public]);
        assert!(all_within(Reach::Public, vec![public, private]).is_err());
        assert!(all_within(Reach::Local, vec![public, private]).is_err());
        let own: SocketAddr = "127.0.0.1:0".parse().unwrap();
        assert!(all_within(Reach::Public, vec![own]).is_err());
        assert!(all_within(Reach::Local, vec![own]).is_ok());
    }

    #[test]
    fn a_receiver_says_in_seconds_or_by_a_date_how_long_to_wait() {
        let waits = |text: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            retry_after(&headers, NOW.parse().unwrap()).map(|wait| wait.as_secs())
        };
        assert_eq!(waits("120"), Some(120));
        assert_eq!(waits("Fri, 20 Nov 2026 12:05:00 GMT"), Some(300));
        assert_eq!(waits("Fri, 20 Nov 2026 11:00:00 GMT"), Some(0));
        for nonsense in ["", "soon", "-5", "99999999999999999999"] {
            assert_eq!(waits(nonsense), None, "{nonsense}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), NOW.parse().unwrap()), None);
    }
}
