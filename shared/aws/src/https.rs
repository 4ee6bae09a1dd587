//! The SDK's HTTP client, by hyper: HTTP/1.1 only, which is all AWS's JSON and query protocols ask for, and TLS set up once for all clients.
//!
//! `aws-smithy-http-client` would do the same with HTTP/2 and a proxy's protocols in every binary (docs/decisions/0001-tls-and-roots.md).

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpConnector as CallHttp, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use hyper::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower_service::Service;

/// Amazon Root CA 1 to 4 and Starfield G2: what every AWS endpoint's certificate leads to.
/// <https://www.amazontrust.com/repository/>; how they are renewed: docs/decisions/0001-tls-and-roots.md.
const ROOTS: &[u8] = include_bytes!("../roots/amazon.pem");

/// TLS to AWS, and to nobody else.
static TLS: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    // A root that cannot be read leaves its endpoints untrusted; a test reads all five.
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(ROOTS).flatten());
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)
        .unwrap_or_else(|never| unreachable!("ring has ciphers for every version: {never}"))
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
});

/// For how long a connection that was opened ahead is taken to be alive: it may have been frozen with its sandbox, and then nothing answers on it.
const FRESH: Duration = Duration::from_secs(20);

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

type BoxError = Box<dyn Error + Send + Sync>;

/// Connections to AWS.
#[derive(Debug, Clone)]
pub(crate) struct Https {
    client: Client<Connector, SdkBody>,
    connector: Connector,
}

/// What becomes of a connection after its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Afterwards {
    /// It is kept for the next call.
    Kept,
    /// It is closed.
    Closed,
}

impl Https {
    /// Connections that take no longer to open than `patience`, TLS included.
    pub(crate) fn new(patience: Duration, afterwards: Afterwards) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let https = HttpsConnector::from((tcp, Arc::clone(&TLS)));
        let connector = Connector { https, patience, opened: Arc::default() };
        let mut client = Client::builder(TokioExecutor::new());
        if afterwards == Afterwards::Closed {
            client.pool_max_idle_per_host(0);
        }
        Self { client: client.build(connector.clone()), connector }
    }

    /// Opens a connection that the first call to this host will take.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) async fn open(&self, url: Uri) -> Result<(), BoxError> {
        let stream = self.connector.connect(url.clone()).await?;
        *self.connector.opened.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((url, stream, Instant::now()));
        Ok(())
    }

    /// As the SDK takes it.
    pub(crate) fn shared(self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self);
        http_client_fn(move |_, _| connector.clone())
    }
}

impl CallHttp for Https {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        let answer = self.client.request(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await.map_err(failed)?.map(SdkBody::from_body_1_x);
            HttpResponse::try_from(answer).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// All but a request of our own making that is no HTTP may be tried again.
fn failed(error: legacy::Error) -> ConnectorError {
    match error.source().and_then(|error| error.downcast_ref::<hyper::Error>()) {
        Some(hyper) if hyper.is_user() => ConnectorError::user(error.into()),
        _ => ConnectorError::io(error.into()),
    }
}

/// Opens connections, or hands out the one that was opened ahead.
#[derive(Debug, Clone)]
struct Connector {
    https: HttpsConnector<HttpConnector>,
    patience: Duration,
    opened: Arc<Mutex<Option<(Uri, Stream, Instant)>>>,
}

impl Connector {
    fn connect(&self, url: Uri) -> impl Future<Output = Result<Stream, BoxError>> + Send + 'static {
        let connecting = self.https.clone().call(url);
        let patience = self.patience;
        async move { tokio::time::timeout(patience, connecting).await? }
    }

    fn opened(&self, url: &Uri) -> Option<Stream> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let leads_there = |to: &Uri| (to.scheme(), to.authority()) == (url.scheme(), url.authority());
        let (_, stream, since) = opened.take_if(|(to, ..)| leads_there(to))?;
        (since.elapsed() < FRESH).then_some(stream)
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(context)
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        match self.opened(&url) {
            Some(stream) => Box::pin(async { Ok(stream) }),
            None => Box::pin(self.connect(url)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use app::ports::ProviderError;
    use aws_smithy_types::retry::ErrorKind;
    use testkit::recorded::Recorded;

    use super::*;
    use crate::provider_error::unanswered;

    fn https() -> Https {
        Https::new(Duration::from_millis(200), Afterwards::Kept)
    }

    /// Somebody who listens, and where.
    fn listening(scheme: &str) -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        (listener, url)
    }

    async fn status(https: &Https, url: &str) -> Result<u16, ConnectorError> {
        Ok(https.call(HttpRequest::get(url).unwrap()).await?.status().as_u16())
    }

    #[test]
    fn every_root_is_read() {
        let roots: Vec<_> = CertificateDer::pem_slice_iter(ROOTS).collect::<Result<_, _>>().unwrap();
        assert_eq!(RootCertStore::empty().add_parsable_certificates(roots), (5, 0));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_first_call_takes_the_connection_that_was_opened_ahead() {
        // It takes one connection, and no second.
        let service = Recorded::answering(&[(200, "")]);
        let https = https();
        https.open(service.url().parse().unwrap()).await.unwrap();
        assert_eq!(status(&https, &format!("{}/path", service.url())).await.unwrap(), 200);
        assert!(status(&https, service.url()).await.is_err());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_connection_that_was_opened_long_ago_is_not_taken() {
        let (listener, url) = listening("http");
        let https = https();
        https.open(url.parse().unwrap()).await.unwrap();
        tokio::time::pause();
        tokio::time::advance(FRESH).await;
        tokio::time::resume();
        // It closes the second connection; the first one would wait for an answer.
        let _first = listener.accept().unwrap();
        std::thread::spawn(move || drop(listener.accept()));
        let answer = tokio::time::timeout(Duration::from_secs(5), status(&https, &url)).await;
        assert!(answer.unwrap().is_err());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_call_to_another_host_opens_a_connection_of_its_own() {
        let (service, other) = (Recorded::answering(&[(200, "")]), Recorded::answering(&[(201, "")]));
        let https = https();
        https.open(service.url().parse().unwrap()).await.unwrap();
        assert_eq!(status(&https, other.url()).await.unwrap(), 201);
        assert_eq!(status(&https, service.url()).await.unwrap(), 200);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_connection_that_was_closed_meanwhile_is_a_reason_to_try_again() {
        let (listener, url) = listening("http");
        let https = https();
        https.open(url.parse().unwrap()).await.unwrap();
        drop(listener.accept().unwrap());
        let error = status(&https, &url).await.unwrap_err();
        assert!(error.is_io() || error.as_other() == Some(ErrorKind::TransientError), "{error:?}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn where_tls_does_not_come_about_in_time_nothing_has_left() {
        let (listener, url) = listening("https");
        // It reads what the client says first, and does not answer until the client has gone.
        std::thread::spawn(move || listener.accept().unwrap().0.read_to_end(&mut Vec::new()));
        let error = status(&https(), &url).await.unwrap_err();
        assert!(error.is_io(), "{error:?}");
        assert!(matches!(unanswered(error), ProviderError::Again(_)));
    }
}
