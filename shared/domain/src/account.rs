//! Account operations and bonuses: what happened to a client's money and points.

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema};
use utoipa::openapi::{OneOfBuilder, Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::money::Money;
use crate::schema;

/// What happened to a client's account (S22–S24).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountOperationKind {
    /// A prepayment is asked for (S22).
    PrepaymentRequired,
    /// A prepayment was paid in (S22).
    PrepaymentReceived,
    /// A penalty was charged (S23).
    PenaltyCharged,
    /// A penalty was paid off (S23).
    PenaltyPaid,
    /// The balance was moved to the deposit (S24).
    MovedToDeposit,
    /// The deposit paid for something (S24).
    DepositUsed,
}

impl AccountOperationKind {
    /// Every kind.
    pub const ALL: &[AccountOperationKind] = &[
        AccountOperationKind::PrepaymentRequired,
        AccountOperationKind::PrepaymentReceived,
        AccountOperationKind::PenaltyCharged,
        AccountOperationKind::PenaltyPaid,
        AccountOperationKind::MovedToDeposit,
        AccountOperationKind::DepositUsed,
    ];

    /// The name in the API and in templates.
    pub fn name(self) -> &'static str {
        match self {
            AccountOperationKind::PrepaymentRequired => "prepayment_required",
            AccountOperationKind::PrepaymentReceived => "prepayment_received",
            AccountOperationKind::PenaltyCharged => "penalty_charged",
            AccountOperationKind::PenaltyPaid => "penalty_paid",
            AccountOperationKind::MovedToDeposit => "moved_to_deposit",
            AccountOperationKind::DepositUsed => "deposit_used",
        }
    }
}

/// Why a client got a bonus (S76).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BonusKind {
    /// Earned, for example by a visit.
    Accrued,
    /// A gift for the client's birthday.
    BirthdayGift,
}

impl BonusKind {
    /// Every kind.
    pub const ALL: &[BonusKind] = &[BonusKind::Accrued, BonusKind::BirthdayGift];

    /// The name in the API and in templates.
    pub fn name(self) -> &'static str {
        match self {
            BonusKind::Accrued => "accrued",
            BonusKind::BirthdayGift => "birthday_gift",
        }
    }
}

/// How much a bonus is: `{"points": 100}` or `{"money": {…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BonusAmount {
    /// Points of the business's own.
    Points(u32),
    /// Money.
    Money(Money),
}

impl PartialSchema for BonusAmount {
    fn schema() -> RefOr<Schema> {
        let one = |name: &str, schema: RefOr<Schema>| {
            ObjectBuilder::new()
                .property(name, schema)
                .required(name)
                .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        };
        OneOfBuilder::new()
            .description(Some("How much a bonus is: points of the business's own, or money."))
            .item(one("points", schema::number(0, u32::MAX)))
            .item(one("money", Ref::from_schema_name(Money::name()).into()))
            .into()
    }
}

impl ToSchema for BonusAmount {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Money::name().into_owned(), Money::schema()));
        Money::schemas(schemas);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s22_s23_s24_s76_names_are_those_of_the_api() {
        for kind in AccountOperationKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        for kind in BonusKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
