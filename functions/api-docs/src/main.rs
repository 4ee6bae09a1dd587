//! Shows the API: its OpenAPI document, and a page to browse it. For everybody: it says nothing of any business.

mod pages;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    runtime::start_logs();
    lambda_http::run(pages::router()).await
}
