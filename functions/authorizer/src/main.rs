//! Tells from the API key which business is calling.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html>

use app::authorize::authorize;
use app::error::chain;
use aws::tables::Tables;
use aws_lambda_events::apigw::ApiGatewayV2CustomAuthorizerV2Request as Request;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use runtime::{start_logs, variable};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logs();
    let config = aws::connect::connect()?;
    let tables = &Tables::new(&config, variable("BOOKINGS_TABLE")?, String::new());
    run(service_fn(|event: LambdaEvent<Request>| answer(tables, event.payload))).await
}

/// The simple response: who calls goes into the context, from where the API takes the tenant.
async fn answer(tables: &Tables, request: Request) -> Result<Value, Error> {
    let header =
        request.headers.get("authorization").and_then(|header| header.to_str().ok()).unwrap_or_default();
    match authorize(tables, header).await {
        Ok(Some(business_id)) => {
            Ok(json!({ "isAuthorized": true, "context": { "business_id": business_id } }))
        }
        Ok(None) => Ok(json!({ "isAuthorized": false })),
        Err(error) => {
            tracing::error!(error = %chain(&error), "could not authorize");
            Err(error.into())
        }
    }
}
