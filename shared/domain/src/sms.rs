//! What an sms costs: its encoding, its segments, and a price from the business's table (S65, S68).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::contact::Phone;
use crate::money::{Currency, Money};
use crate::schema;

/// The basic character set of GSM 03.38 (3GPP TS 23.038 §6.2.1): one septet each. The escape code is left out, for it
/// is no character of its own.
const GSM_BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                         ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// Its extension table (§6.2.1.1): an escape and a septet each, so two.
const GSM_EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// How an sms is encoded on the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// The default alphabet of GSM: 160 septets in one segment, 153 in each of several.
    Gsm7,
    /// Everything else, emoji and Cyrillic included: 70 UTF-16 units in one segment, 67 in each of several.
    Ucs2,
}

/// The size of an sms (S65).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Parts {
    /// How it is encoded.
    pub encoding: Encoding,
    /// Its length in septets or in UTF-16 units.
    pub units: usize,
    /// How many segments it travels and is billed in; 0 for an empty text.
    pub segments: u32,
    /// The characters that force [`Encoding::Ucs2`], each once, in the order they stand.
    pub odd: Vec<char>,
}

/// Measures a text as networks send it: in the GSM alphabet when every character is in it, else in UCS-2. A pair of
/// units that make one character is never split between segments, so some segments are one unit short.
pub fn measure(text: &str) -> Parts {
    let mut odd = Vec::new();
    for character in text.chars() {
        if septets(character).is_none() && !odd.contains(&character) {
            odd.push(character);
        }
    }
    if odd.is_empty() {
        let (units, segments) = pack(text.chars().filter_map(septets), 160, 153);
        Parts { encoding: Encoding::Gsm7, units, segments, odd }
    } else {
        let (units, segments) = pack(text.chars().map(char::len_utf16), 70, 67);
        Parts { encoding: Encoding::Ucs2, units, segments, odd }
    }
}

/// How many septets a character takes, or `None` where the GSM alphabet lacks it.
fn septets(character: char) -> Option<usize> {
    if GSM_BASIC.contains(character) { Some(1) } else { GSM_EXTENSION.contains(character).then_some(2) }
}

/// The length of all characters, and the segments they fill: one of `alone` units, or several of `joined` units each.
fn pack(characters: impl Iterator<Item = usize>, alone: usize, joined: usize) -> (usize, u32) {
    let (mut units, mut segments, mut filled) = (0, 0, joined);
    for size in characters {
        units += size;
        filled += size;
        if filled > joined {
            segments += 1;
            filled = size;
        }
    }
    (units, if units <= alone { u32::from(units > 0) } else { segments })
}

/// What the business pays for sms to numbers that begin with a prefix (S68).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SmsPrice {
    /// The beginning of the number in E.164, such as `+351`.
    #[schema(pattern = r"^\+[0-9]{1,7}$", examples("+351"))]
    pub prefix: String,
    /// The price of a thousand segments, for a single one may cost less than a minor unit.
    #[schema(schema_with = schema::amount)]
    pub per_thousand: Money,
}

/// What a business allows itself and others in sms. Against bills that grow unseen, and against those who have codes sent to numbers they earn by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SmsLimits {
    /// The beginnings of numbers that sms go to, such as `+351`; none of them means every number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 250, pattern = r"^\+[0-9]{1,7}$")]
    pub countries: Vec<String>,
    /// The most that sms may cost in a calendar month (UTC), by the price table, whose currency it must have. To a number that has no price an
    /// sms counts as the dearest. Beyond the limit sms wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::optional_amount)]
    pub per_month: Option<Money>,
    /// The most sms one number gets in a UTC day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub per_number_and_day: Option<u32>,
}

impl SmsLimits {
    /// Whether there is no limit at all.
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether sms may go to a number's country.
    pub fn allow(&self, phone: &Phone) -> bool {
        self.countries.is_empty()
            || self.countries.iter().any(|prefix| phone.as_str().starts_with(prefix.as_str()))
    }
}

/// What an sms will cost, as far as the table knows (S68).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Estimate {
    /// Thousandths of a minor unit: 4500 is 4.5 cents.
    pub thousandths: i64,
    /// The currency.
    pub currency: Currency,
}

/// The price of so many segments to a number, by the longest prefix that fits. `None` when no prefix does.
pub fn estimate(prices: &[SmsPrice], phone: &Phone, segments: u32) -> Option<Estimate> {
    let price = prices
        .iter()
        .filter(|price| phone.as_str().starts_with(&price.prefix))
        .max_by_key(|price| price.prefix.len())?;
    Some(Estimate {
        thousandths: price.per_thousand.minor.saturating_mul(i64::from(segments)),
        currency: price.per_thousand.currency.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case::empty("", 0, 0)]
    #[case::one_full("a".repeat(160), 160, 1)]
    #[case::one_over("a".repeat(161), 161, 2)]
    #[case::two_full("a".repeat(153 * 2), 306, 2)]
    #[case::two_over("a".repeat(153 * 2 + 1), 307, 3)]
    #[case::the_euro_takes_two("€".repeat(80), 160, 1)]
    #[case::the_euro_over("€".repeat(81), 162, 2)]
    #[case::an_escape_is_not_split(format!("{}€{}", "a".repeat(152), "a".repeat(152)), 306, 3)]
    fn s65_gsm_segments(#[case] text: impl AsRef<str>, #[case] units: usize, #[case] segments: u32) {
        let parts = measure(text.as_ref());
        assert_eq!(parts, Parts { encoding: Encoding::Gsm7, units, segments, odd: vec![] });
    }

    #[rstest]
    #[case::one_full("ж".repeat(70), 70, 1)]
    #[case::one_over("ж".repeat(71), 71, 2)]
    #[case::two_full("ж".repeat(134), 134, 2)]
    #[case::two_over("ж".repeat(135), 135, 3)]
    #[case::an_emoji_takes_two("🎉".repeat(35), 70, 1)]
    #[case::a_pair_is_not_split("🎉".repeat(67), 134, 3)]
    fn s65_ucs2_segments(#[case] text: String, #[case] units: usize, #[case] segments: u32) {
        let parts = measure(&text);
        assert_eq!((parts.encoding, parts.units, parts.segments), (Encoding::Ucs2, units, segments));
    }

    #[test]
    fn s65_the_characters_that_cost_are_named_once() {
        assert_eq!(measure("Olá! ção ção 🎉 €").odd, vec!['á', 'ç', 'ã', '🎉']);
    }

    #[test]
    fn s65_the_alphabet_is_complete() {
        assert_eq!(GSM_BASIC.chars().count(), 127);
        assert_eq!(GSM_EXTENSION.chars().count(), 10);
    }

    #[rstest]
    #[case::the_longest_prefix_wins("+351912345678", Some((90_000, "EUR")))]
    #[case::another_country("+79161234567", Some((7_000, "EUR")))]
    #[case::unknown("+4912345678", None)]
    fn s68_prices_by_prefix(#[case] phone: Phone, #[case] expected: Option<(i64, &str)>) {
        let prices: Vec<SmsPrice> = serde_json::from_str(
            r#"[{"prefix":"+351","per_thousand":{"minor":4000,"currency":"EUR"}},
                {"prefix":"+35191","per_thousand":{"minor":45000,"currency":"EUR"}},
                {"prefix":"+7","per_thousand":{"minor":3500,"currency":"EUR"}}]"#,
        )
        .unwrap();
        let found = estimate(&prices, &phone, 2).map(|it| (it.thousandths, String::from(it.currency)));
        assert_eq!(found, expected.map(|(thousandths, currency)| (thousandths, currency.to_owned())));
    }

    proptest! {
        #[test]
        fn s65_a_longer_text_never_has_fewer_segments(text in any::<String>(), more in any::<String>()) {
            let both = format!("{text}{more}");
            prop_assert!(measure(&both).segments >= measure(&text).segments);
        }

        #[test]
        fn s65_segments_hold_what_they_can(text in "[a-z€жф🎉 ]{0,400}") {
            let parts = measure(&text);
            let joined = if parts.encoding == Encoding::Gsm7 { 153 } else { 67 };
            let segments = usize::try_from(parts.segments).unwrap();
            // A segment ends one unit early at most, so as not to split a character.
            prop_assert!(segments <= parts.units.div_ceil(joined - 1));
            prop_assert!(segments * joined + 7 >= parts.units);
        }
    }
}
