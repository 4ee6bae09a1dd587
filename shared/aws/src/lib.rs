//! The ports of `app` on the AWS SDK.
//!
//! Architecture invariant: this is the only crate of the product that names `aws_sdk_*`. One feature for each service.

#[cfg(feature = "account")]
pub mod account;
#[cfg(feature = "eventbridge")]
pub mod bus;
pub mod connect;
#[cfg_attr(
    not(any(feature = "dynamodb", feature = "eventbridge", feature = "scheduler", feature = "sqs")),
    allow(dead_code, reason = "only the table of providers' errors is asked for")
)]
mod error;
#[cfg(all(feature = "dynamodb", feature = "sqs"))]
pub mod failures;
mod https;
#[cfg(feature = "images")]
pub mod images;
#[cfg(feature = "sqs")]
pub mod letters;
pub mod provider_error;
#[cfg(any(feature = "scheduler", feature = "sqs"))]
pub mod queues;
#[cfg(feature = "scheduler")]
pub mod schedules;
#[cfg(feature = "sesv2")]
pub mod ses;
#[cfg(feature = "sns")]
pub mod sns;
#[cfg(any(feature = "sqs", feature = "streams"))]
mod stack;
#[cfg(feature = "dynamodb")]
pub mod tables;
#[cfg(all(
    test,
    any(feature = "eventbridge", feature = "sesv2", feature = "sns", feature = "socialmessaging")
))]
mod testing;
#[cfg(feature = "socialmessaging")]
pub mod whatsapp;
