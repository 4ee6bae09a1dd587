//! Numbers of things on the command line and in tables: `1e6`, `12,000`.

use std::ffi::OsStr;
use std::ops::RangeInclusive;

use anyhow::{Context, Result};

/// As many bookings or businesses as are reckoned with: what comes of the most is still far from overflowing.
pub const MANY: RangeInclusive<u64> = 1..=10_000_000_000;

/// The value of an option that counts something, such as `250000`, `250_000` or `1e6`, within what is allowed.
pub fn option(name: &str, value: &OsStr, allowed: RangeInclusive<u64>) -> Result<u64> {
    let said = value.to_string_lossy();
    parse(&said).filter(|number| allowed.contains(number)).with_context(|| {
        let (least, most) = (grouped((*allowed.start()).into()), grouped((*allowed.end()).into()));
        format!("{name} {said}: expected a whole number from {least} to {most}, written like 250000 or 1e6")
    })
}

/// Reads digits, underscores between them, and an exponent.
fn parse(text: &str) -> Option<u64> {
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let number: u64 = only_digits(&digits.replace('_', ""))?.parse().ok()?;
    let exponent: u32 = only_digits(exponent)?.parse().ok()?;
    number.checked_mul(10_u64.checked_pow(exponent)?)
}

/// The text, if it is nothing but digits: `parse` of an integer would take a sign too.
fn only_digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

/// `12345678` as `12,345,678`.
pub fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_as_people_write_them() {
        for (text, number) in [("0", 0), ("42", 42), ("1e6", 1_000_000), ("25E3", 25_000), ("1_000", 1_000)] {
            assert_eq!(parse(text), Some(number), "{text}");
        }
        for text in ["", "e6", "1e", "-1", "+1", "1.5e6", "1e99", "many", "1e-3", " 1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_bad_count_names_its_option_and_what_was_expected() {
        let said = |value: &str| option("--bookings", OsStr::new(value), MANY).unwrap_err().to_string();
        assert_eq!(
            said("many"),
            "--bookings many: expected a whole number from 1 to 10,000,000,000, written like 250000 or 1e6"
        );
        assert!(said("0").starts_with("--bookings 0: expected"));
        assert!(said("1e11").starts_with("--bookings 1e11: expected"));
        assert_eq!(option("--bookings", OsStr::new("1e10"), MANY).unwrap(), 10_000_000_000);
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(grouped(number), text);
        }
    }
}
