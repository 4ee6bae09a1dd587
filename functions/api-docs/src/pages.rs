//! The pages. What they are made of travels with the function: a browser fetches nothing from anywhere else.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};
use utoipa_swagger_ui::Config;

/// The document as it is committed; a test of the API's keeps it to the code.
const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

/// Changes with the document.
static ETAG: LazyLock<String> =
    LazyLock::new(|| format!("\"{}\"", hex::encode(&Sha256::digest(DOCUMENT)[..16])));

/// Only what comes from here, and styles that Swagger UI sets by itself.
const POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// How long a browser goes without asking again, in seconds.
const SHORT: &str = "public, max-age=300";
const LONG: &str = "public, max-age=86400";

/// The document, the page, and what the page is made of.
pub fn router() -> Router {
    Router::new()
        .route("/openapi.json", get(document))
        .route("/docs", get(page))
        .route("/docs/{file}", get(file))
        .fallback(|| async { StatusCode::NOT_FOUND })
}

async fn document(headers: HeaderMap) -> Response {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).unwrap_or_default();
    let caching = [(header::ETAG, ETAG.as_str()), (header::CACHE_CONTROL, SHORT)];
    if known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == *ETAG) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

async fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, SHORT),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, include_str!("docs.html")).into_response()
}

async fn file(Path(name): Path<String>) -> Response {
    let own = |kind: &str, text: &'static str| {
        ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, SHORT)], text).into_response()
    };
    match name.as_str() {
        "own.js" => own("text/javascript; charset=utf-8", include_str!("own.js")),
        "own.css" => own("text/css; charset=utf-8", include_str!("own.css")),
        "swagger-ui.css" | "swagger-ui-bundle.js" | "favicon-32x32.png" => {
            match utoipa_swagger_ui::serve(&name, Arc::new(Config::from("/openapi.json"))) {
                Ok(Some(file)) => {
                    let headers =
                        [(header::CONTENT_TYPE, file.content_type.as_str()), (header::CACHE_CONTROL, LONG)];
                    (headers, file.bytes.into_owned()).into_response()
                }
                _ => StatusCode::NOT_FOUND.into_response(),
            }
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    async fn get(path: &str, if_none_match: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
        let request = Request::get(path).header("if-none-match", if_none_match).body(Body::empty()).unwrap();
        let response = router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts.status, parts.headers, to_bytes(body, 4 << 20).await.unwrap().to_vec())
    }

    #[tokio::test]
    async fn the_document_is_sent_once_to_whoever_keeps_it() {
        let (status, headers, body) = get("/openapi.json", "").await;
        assert_eq!((status, body.as_slice()), (StatusCode::OK, DOCUMENT.as_bytes()));
        let tag = headers["etag"].to_str().unwrap();
        let (status, _, body) = get("/openapi.json", &format!("\"other\", W/{tag}")).await;
        assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0));
    }

    #[tokio::test]
    async fn everything_the_page_refers_to_is_here() {
        let (status, _, page) = get("/docs", "").await;
        assert_eq!(status, StatusCode::OK);
        let page = String::from_utf8(page).unwrap();
        let links: Vec<&str> =
            page.split('"').filter(|text| text.starts_with("docs/") || text.ends_with(".json")).collect();
        assert_eq!(links.len(), 6, "{links:?}");
        for link in links {
            let (status, headers, body) = get(&format!("/{link}"), "").await;
            assert_eq!(status, StatusCode::OK, "{link}");
            assert!(!body.is_empty() && headers.contains_key("content-type"), "{link}");
        }
        assert!(!page.contains("://"), "nothing comes from elsewhere");
        assert_eq!(get("/docs/index.html", "").await.0, StatusCode::NOT_FOUND);
    }
}
