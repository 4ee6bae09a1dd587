//! Tells who is calling: for which business, and what they may do.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html>

use app::authorize::{Context, authorize};
use app::error::chain;
use aws::tables::Tables;
use aws_lambda_events::apigw::ApiGatewayV2CustomAuthorizerV2Request as Request;
use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use oidc::{Issuer, Settings};
use runtime::{now, parsed, start_logs, variable};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logs();
    let config = aws::connect::connect_ahead().await?;
    let tables =
        &Tables::new(&config, variable("BOOKINGS_TABLE")?, String::new(), parsed("RETENTION_MONTHS")?);
    let issuer = &Settings::from_environment(|name| variable(name).ok()).map(Issuer::new);
    run(service_fn(|event: LambdaEvent<Request>| answer(tables, issuer, event.payload))).await
}

/// The simple response: who calls goes into the context, from where the API takes the tenant.
async fn answer(tables: &Tables, issuer: &Option<Issuer>, request: Request) -> Result<Value, Error> {
    let header =
        request.headers.get("authorization").and_then(|header| header.to_str().ok()).unwrap_or_default();
    let wall = now();
    let at = Timestamp::from_millisecond(request.request_context.time_epoch).map_or(wall, |at| wall.max(at));
    match authorize(tables, issuer, header, at).await {
        Ok(Some(principal)) => Ok(json!({ "isAuthorized": true, "context": Context::from(&principal) })),
        Ok(None) => Ok(json!({ "isAuthorized": false })),
        Err(error) => {
            tracing::error!(error = %chain(&error), "could not authorize");
            Err(error.into())
        }
    }
}
