//! Sms.
use crate::money::{Currency, Money};
use serde::{Deserialize, Serialize};
/// An estimated price, finer than minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Thousandths of a minor unit.
    pub thousandths: i64,
    /// The currency.
    pub currency: Currency,
}
/// What sms to numbers that begin with `prefix` cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmsPrice {
    /// The beginning of the number in E.164, such as `+351`.
    pub prefix: String,
    /// Minor units for 1000 segments.
    pub per_thousand: Money,
}
