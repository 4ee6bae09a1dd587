//! Account operations and bonuses: money matters a client is told of.

use serde::{Deserialize, Serialize};

use crate::money::Money;

/// What happened on a client's account (S22–S24).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountOperationKind {
    /// A prepayment is asked for (S22).
    PrepaymentRequired,
    /// The prepayment has come in (S22).
    PrepaymentReceived,
    /// A penalty was charged (S23).
    PenaltyCharged,
    /// The penalty was paid off (S23).
    PenaltyPaid,
    /// The balance was moved to the deposit (S24).
    MovedToDeposit,
    /// The deposit was used (S24).
    DepositUsed,
}

/// Why a client gets a bonus (S76).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BonusKind {
    /// Accrued by a visit or a purchase.
    Accrued,
    /// A birthday gift.
    BirthdayGift,
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
