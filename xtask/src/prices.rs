//! List prices from infra/prices.toml, and money in whole picodollars.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::iter::Sum;
use std::ops::Add;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::count::grouped;
use crate::workspace;

/// Picodollars of a dollar.
const DOLLAR: u128 = 1_000_000_000_000;

/// An amount of US dollars, in picodollars: the price of a single GB-second is a whole number of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(u128);

impl Money {
    /// Reads dollars such as `0.0000133334`, with at most twelve decimals.
    pub fn parse(text: &str) -> Result<Self> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || decimals.len() > 12 || !is_number(whole) || !is_number(decimals) {
            bail!("{text:?} is no price: expected dollars such as \"0.40\", with at most twelve decimals");
        }
        let whole: u128 = whole.parse()?;
        let rest: u128 = format!("{decimals:0<12}").parse()?;
        let all = whole.checked_mul(DOLLAR).and_then(|whole| whole.checked_add(rest));
        Ok(Self(all.with_context(|| format!("{text} dollars are too many"))?))
    }

    /// In millionths of a dollar, rounded down: what JSON carries without loss.
    pub fn microdollars(self) -> u128 {
        self.0 / (DOLLAR / 1_000_000)
    }

    /// What `whole` of something cost, if `part` of it cost this.
    pub fn scaled(self, whole: u64, part: u64) -> Self {
        Self(self.0 * u128::from(whole) / u128::from(part.max(1)))
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

impl fmt::Display for Money {
    /// Dollars and cents, rounded to the nearest cent: `1,234.50`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cents = (self.0 + DOLLAR / 200) / (DOLLAR / 100);
        write!(f, "{}.{:02}", grouped(cents / 100), cents % 100)
    }
}

/// A price as infra/prices.toml tells it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Dollars for `per` units.
    usd: String,
    per: u64,
    /// What is counted.
    pub unit: String,
    /// The day it was noted.
    pub noted: jiff::civil::Date,
    /// The page of AWS it belongs to.
    pub page: String,
    /// What was at hand when it was noted.
    pub seen: String,
    /// Whether no copy of a page or price list of AWS was found that says so.
    #[serde(default)]
    pub unconfirmed: bool,
}

impl Price {
    /// What `numerator / denominator` units cost, rounded down to a picodollar.
    pub fn of(&self, numerator: u128, denominator: u128) -> Result<Money> {
        let price = Money::parse(&self.usd)?;
        let cost = price.0.checked_mul(numerator).context("so much has no price that can be reckoned")?;
        Ok(Money(cost / (u128::from(self.per) * denominator)))
    }
}

/// All prices, by the names they have in the file.
#[derive(Debug, Deserialize)]
pub struct Prices {
    /// The Region they hold in.
    pub region: String,
    #[serde(flatten)]
    all: BTreeMap<String, Price>,
}

impl Prices {
    /// Reads infra/prices.toml.
    pub fn read() -> Result<Self> {
        let path = workspace::root().join("infra/prices.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let prices: Self = toml::from_str(text)?;
        for (name, price) in &prices.all {
            Money::parse(&price.usd).with_context(|| name.clone())?;
            if price.per == 0 {
                bail!("{name}: a price for 0 units is none; expected `per` to be 1 or more");
            }
        }
        Ok(prices)
    }

    /// The price of that name.
    pub fn get(&self, name: &str) -> Result<&Price> {
        self.all.get(name).with_context(|| format!("infra/prices.toml has no price named {name}"))
    }

    /// The days of the oldest and of the newest price.
    pub fn noted(&self) -> Option<(jiff::civil::Date, jiff::civil::Date)> {
        let days = || self.all.values().map(|price| price.noted);
        Some((days().min()?, days().max()?))
    }

    /// What is unconfirmed, with what was at hand instead.
    pub fn unconfirmed(&self) -> impl Iterator<Item = (&str, &Price)> {
        self.all.iter().filter(|(_, price)| price.unconfirmed).map(|(name, price)| (name.as_str(), price))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "region = \"us-east-1\"\n[tea]\nusd = \"0.40\"\nper = 1_000_000\nunit = \"cups\"\n\
        noted = \"2026-11-30\"\npage = \"https://example.com\"\nseen = \"a copy\"\n";

    #[test]
    fn dollars_become_picodollars_and_read_well() {
        for (text, picodollars, shown) in [
            ("0.0000133334", 13_333_400, "0.00"),
            ("0.40", 400_000_000_000, "0.40"),
            ("1234", 1_234_000_000_000_000, "1,234.00"),
            ("0.005", 5_000_000_000, "0.01"),
            ("0.0049", 4_900_000_000, "0.00"),
        ] {
            let money = Money::parse(text).unwrap();
            assert_eq!((money.0, money.to_string().as_str()), (picodollars, shown), "{text}");
        }
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for text in ["", ".5", "-1", "1,5", "1e3", "0.0000000000001", "free", "1.2.3"] {
            let said = Money::parse(text).unwrap_err().to_string();
            assert!(said.contains("is no price: expected dollars"), "{text}: {said}");
        }
    }

    #[test]
    fn a_price_is_multiplied_before_it_is_divided() {
        let prices = Prices::parse(ONE).unwrap();
        let tea = prices.get("tea").unwrap();
        assert_eq!(tea.of(3_000_000, 1).unwrap(), Money::parse("1.20").unwrap());
        assert_eq!(tea.of(1, 1).unwrap(), Money::parse("0.0000004").unwrap());
        // Half a unit, as of an eventually consistent read.
        assert_eq!(tea.of(1, 2).unwrap(), Money::parse("0.0000002").unwrap());
    }

    #[test]
    fn a_file_of_prices_is_read_strictly() {
        assert!(Prices::parse(&ONE.replace("1_000_000", "0")).is_err());
        assert!(Prices::parse(&ONE.replace("0.40", "cheap")).is_err());
        assert!(Prices::parse(&ONE.replace("seen", "read")).is_err());
        assert!(Prices::parse(ONE).unwrap().get("coffee").is_err());
    }

    #[test]
    fn every_price_of_the_file_says_where_it_is_from() {
        let prices = Prices::read().unwrap();
        assert_eq!(prices.region, "us-east-1");
        for (name, price) in &prices.all {
            assert!(price.page.starts_with("https://aws.amazon.com/"), "{name}");
            assert!(!price.seen.is_empty() && !price.unit.is_empty(), "{name}");
        }
    }
}
