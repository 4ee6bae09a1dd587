//! Money in minor units.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// An amount in minor units (cents, kopecks) with its ISO 4217 currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Minor units: 4500 is 45.00 in a currency with two decimals.
    #[serde(deserialize_with = "exact")]
    #[schema(minimum = -9007199254740991.0, maximum = 9007199254740991.0)]
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

/// The most that every reader of JSON takes as it is written: 2^53 - 1. <https://www.rfc-editor.org/rfc/rfc8259#section-6>
const EXACT: i64 = 9_007_199_254_740_991;

fn exact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let minor = i64::deserialize(deserializer)?;
    let fits = (-EXACT..=EXACT).contains(&minor);
    if fits {
        Ok(minor)
    } else {
        Err(D::Error::custom("expected -9007199254740991 to 9007199254740991 minor units"))
    }
}

/// An ISO 4217 currency code: three capital letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(pattern = "^[A-Z]{3}$", examples("EUR"))]
pub struct Currency(String);

/// Why a text is not a currency.
#[derive(Debug, thiserror::Error)]
#[error("expected a currency of three capital letters such as \"EUR\"")]
pub struct InvalidCurrency;

impl TryFrom<String> for Currency {
    type Error = InvalidCurrency;
    fn try_from(code: String) -> Result<Self, InvalidCurrency> {
        if code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()) {
            Ok(Self(code))
        } else {
            Err(InvalidCurrency)
        }
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.0
    }
}
