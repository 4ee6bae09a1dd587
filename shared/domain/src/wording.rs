//! How dates, amounts and numbers are said in each language, by the data of Unicode CLDR (ICU4X).
//!
//! Every function gives `None` only where that data cannot say the value, such as a date beyond the years it knows.

use std::sync::LazyLock;

use cldr::Cldr;
use fixed_decimal::Decimal;
use icu_calendar::{Date, Gregorian};
use icu_datetime::fieldsets::{E, MD, MDET, MDT, T, zone::LocalizedOffsetShort};
use icu_datetime::options::TimePrecision;
use icu_datetime::{FixedCalendarDateTimeFormatter as Formatter, NoCalendarFormatter};
use icu_experimental::dimension::currency::CurrencyType;
use icu_experimental::dimension::currency::formatter::CurrencyFormatter;
use icu_locale_core::locale;
use icu_plurals::{PluralCategory, PluralRules};
use icu_time::zone::UtcOffset;
use icu_time::{DateTime, Time};
use iso_currency::Currency as IsoCurrency;
use jiff::{Timestamp, Zoned};

use crate::business::Locale;
use crate::money::Money;
use crate::zone::Zone;

/// The formatters of one language: loading them takes some 50 µs, once.
struct Formatters {
    when: Formatter<Gregorian, MDET>,
    day_and_time: Formatter<Gregorian, MDT>,
    date: Formatter<Gregorian, MD>,
    weekday: Formatter<Gregorian, E>,
    time: NoCalendarFormatter<T>,
    offset: NoCalendarFormatter<LocalizedOffsetShort>,
    plurals: PluralRules,
}

static EN: LazyLock<Option<Formatters>> = LazyLock::new(|| load(Locale::En));
static RU: LazyLock<Option<Formatters>> = LazyLock::new(|| load(Locale::Ru));

/// `None` if the data compiled in lacked the language, which the tests rule out.
fn load(locale: Locale) -> Option<Formatters> {
    let minute = TimePrecision::Minute;
    let locale = icu_locale(locale);
    Some(Formatters {
        when: Formatter::try_new_unstable(&Cldr, (&locale).into(), MDET::long().with_time_precision(minute))
            .ok()?,
        day_and_time: Formatter::try_new_unstable(
            &Cldr,
            (&locale).into(),
            MDT::long().with_time_precision(minute),
        )
        .ok()?,
        date: Formatter::try_new_unstable(&Cldr, (&locale).into(), MD::long()).ok()?,
        weekday: Formatter::try_new_unstable(&Cldr, (&locale).into(), E::long()).ok()?,
        time: NoCalendarFormatter::try_new_unstable(
            &Cldr,
            (&locale).into(),
            T::short().with_time_precision(minute),
        )
        .ok()?,
        offset: NoCalendarFormatter::try_new_unstable(&Cldr, (&locale).into(), LocalizedOffsetShort).ok()?,
        plurals: PluralRules::try_new_cardinal_unstable(&Cldr, (&locale).into()).ok()?,
    })
}

fn formatters(locale: Locale) -> Option<&'static Formatters> {
    match locale {
        Locale::En => EN.as_ref(),
        Locale::Ru => RU.as_ref(),
    }
}

/// English is British: the day before the month, and a clock of 24 hours.
fn icu_locale(locale: Locale) -> icu_locale_core::Locale {
    match locale {
        Locale::En => locale!("en-GB"),
        Locale::Ru => locale!("ru"),
    }
}

/// A day and a time as people say them: `Monday 23 November at 10:00`, `понедельник, 23 ноября в 10:00`.
pub fn when(at: Timestamp, zone: &Zone, locale: Locale) -> Option<String> {
    Some(formatters(locale)?.when.format(&wall(&zone.at(at))?).to_string())
}

/// The same without the day of the week, which in Russian could not stand after "until": `23 November at 10:00`,
/// `23 ноября в 10:00`.
pub fn day_and_time(at: Timestamp, zone: &Zone, locale: Locale) -> Option<String> {
    Some(formatters(locale)?.day_and_time.format(&wall(&zone.at(at))?).to_string())
}

/// A date: `23 November`, `23 ноября`.
pub fn date(at: Timestamp, zone: &Zone, locale: Locale) -> Option<String> {
    Some(formatters(locale)?.date.format(&wall(&zone.at(at))?.date).to_string())
}

/// A day of the week: `Monday`, `понедельник`.
pub fn weekday(at: Timestamp, zone: &Zone, locale: Locale) -> Option<String> {
    Some(formatters(locale)?.weekday.format(&wall(&zone.at(at))?.date).to_string())
}

/// A time of day: `10:00`.
pub fn time(at: Timestamp, zone: &Zone, locale: Locale) -> Option<String> {
    Some(formatters(locale)?.time.format(&wall(&zone.at(at))?.time).to_string())
}

/// How far a zone's clocks are from Greenwich at an instant, for those who live by others: `GMT+1`, `GMT+5:45`.
///
/// The names of cities would say more, and make an sms longer.
pub fn zone(at: Timestamp, zone: &Zone, locale: Locale) -> Option<String> {
    let offset = UtcOffset::try_from_seconds(zone.at(at).offset().seconds()).ok()?;
    Some(formatters(locale)?.offset.format(&offset).to_string())
}

fn wall(at: &Zoned) -> Option<DateTime<Gregorian>> {
    let unsigned = |number: i8| u8::try_from(number).ok();
    let date =
        Date::try_new_gregorian(i32::from(at.year()), unsigned(at.month())?, unsigned(at.day())?).ok()?;
    let time = Time::try_new(unsigned(at.hour())?, unsigned(at.minute())?, 0, 0).ok()?;
    Some(DateTime { date, time })
}

/// An amount: `€45.00`, `45,00 €`. How many decimals a currency's minor unit has is told by ISO 4217.
pub fn money(money: &Money, locale: Locale) -> Option<String> {
    let code = String::from(money.currency.clone());
    let decimals = IsoCurrency::from_code(&code).and_then(|currency| currency.exponent()).unwrap_or(2);
    let mut amount = Decimal::from(money.minor);
    amount.multiply_pow10(-i16::try_from(decimals).ok()?);
    let currency = CurrencyType::try_from_str(&code).ok()?;
    let formatter = CurrencyFormatter::try_new_symbol_unstable(
        &Cldr,
        (&icu_locale(locale)).into(),
        currency,
        Default::default(),
    )
    .ok()?;
    Some(formatter.format_fixed_decimal(&amount).to_string())
}

/// How long something takes: `1 hour 30 minutes`, `1 час 30 минут`.
pub fn duration(minutes: u32, locale: Locale) -> Option<String> {
    let (hour_forms, minute_forms): (&[&str], &[&str]) = match locale {
        Locale::En => (&["hour", "hours"], &["minute", "minutes"]),
        Locale::Ru => (&["час", "часа", "часов"], &["минута", "минуты", "минут"]),
    };
    let count = |number: u32, forms| Some(format!("{number} {}", plural(u64::from(number), forms, locale)?));
    match (minutes / 60, minutes % 60) {
        (0, minutes) => count(minutes, minute_forms),
        (hours, 0) => count(hours, hour_forms),
        (hours, minutes) => Some(format!("{} {}", count(hours, hour_forms)?, count(minutes, minute_forms)?)),
    }
}

/// Points of a bonus programme: `150 points`, `150 баллов`.
pub fn points(points: u32, locale: Locale) -> Option<String> {
    let forms: &[&str] = match locale {
        Locale::En => &["point", "points"],
        Locale::Ru => &["балл", "балла", "баллов"],
    };
    Some(format!("{points} {}", plural(u64::from(points), forms, locale)?))
}

/// How many forms [`plural`] takes in a language.
pub fn plural_forms(locale: Locale) -> usize {
    match locale {
        Locale::En => 2,
        Locale::Ru => 3,
    }
}

/// The form of a word that goes with a number. English takes two: one, many. Russian takes three: as with 1, 2 and 5.
/// `None` also when there are more or fewer forms.
pub fn plural<'a>(number: u64, forms: &[&'a str], locale: Locale) -> Option<&'a str> {
    if forms.len() != plural_forms(locale) {
        return None;
    }
    let form = match formatters(locale)?.plurals.category_for(number) {
        PluralCategory::One => 0,
        PluralCategory::Few => 1,
        _ => forms.len() - 1,
    };
    forms.get(form).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn at() -> (Timestamp, Zone) {
        ("2026-11-23T10:00:00Z".parse().unwrap(), "Europe/Lisbon".parse().unwrap())
    }

    #[rstest]
    #[case(Locale::En, "Monday 23 November at 10:00", "23 November", "Monday")]
    #[case(Locale::Ru, "понедельник, 23 ноября в 10:00", "23 ноября", "понедельник")]
    fn s61_dates_are_said_in_the_language(
        #[case] locale: Locale,
        #[case] in_full: &str,
        #[case] day: &str,
        #[case] of_week: &str,
    ) {
        let (at, lisbon) = at();
        assert_eq!(when(at, &lisbon, locale).unwrap(), in_full);
        assert_eq!(date(at, &lisbon, locale).unwrap(), day);
        assert_eq!(weekday(at, &lisbon, locale).unwrap(), of_week);
        assert_eq!(time(at, &lisbon, locale).unwrap(), "10:00");
    }

    #[rstest]
    #[case::early("2026-06-01T05:05:00Z", "Europe/Lisbon", "06:05")]
    #[case::midnight("2026-06-01T00:00:00Z", "UTC", "00:00")]
    #[case::quarter_hours("2026-11-22T10:00:00Z", "Asia/Kathmandu", "15:45")]
    fn s61_times_are_those_of_the_zone(#[case] at: Timestamp, #[case] zone: Zone, #[case] expected: &str) {
        for locale in Locale::ALL {
            assert_eq!(time(at, &zone, locale).unwrap(), expected);
        }
    }

    #[rstest]
    #[case::winter("2026-11-23T10:00:00Z", "Europe/Lisbon", "GMT+0")]
    #[case::summer("2026-06-01T10:00:00Z", "Europe/Lisbon", "GMT+1")]
    #[case::west("2026-06-01T10:00:00Z", "America/Sao_Paulo", "GMT-3")]
    #[case::quarters("2026-06-01T10:00:00Z", "Asia/Kathmandu", "GMT+5:45")]
    fn s61_a_zone_is_named_by_its_offset(#[case] at: Timestamp, #[case] name: Zone, #[case] expected: &str) {
        for locale in Locale::ALL {
            assert_eq!(zone(at, &name, locale).unwrap(), expected);
        }
    }

    #[rstest]
    #[case(4500, "EUR", "€45.00", "45,00\u{a0}€")]
    #[case(-50, "EUR", "-€0.50", "-0,50\u{a0}€")]
    #[case(123_456_789, "RUB", "RUB\u{a0}1,234,567.89", "1\u{a0}234\u{a0}567,89\u{a0}₽")]
    #[case(4500, "JPY", "JP¥4,500", "4\u{a0}500\u{a0}¥")]
    #[case(4500, "KWD", "KWD\u{a0}4.500", "4,500\u{a0}KWD")]
    #[case(4500, "ZZZ", "ZZZ\u{a0}45.00", "45,00\u{a0}ZZZ")]
    fn money_has_the_decimals_of_its_currency(
        #[case] minor: i64,
        #[case] currency: &str,
        #[case] english: &str,
        #[case] russian: &str,
    ) {
        let amount = Money { minor, currency: currency.to_owned().try_into().unwrap() };
        assert_eq!(money(&amount, Locale::En).unwrap(), english);
        assert_eq!(money(&amount, Locale::Ru).unwrap(), russian);
    }

    #[rstest]
    #[case(1, "1 minute", "1 минута")]
    #[case(45, "45 minutes", "45 минут")]
    #[case(60, "1 hour", "1 час")]
    #[case(90, "1 hour 30 minutes", "1 час 30 минут")]
    #[case(122, "2 hours 2 minutes", "2 часа 2 минуты")]
    #[case(0, "0 minutes", "0 минут")]
    fn durations_are_said_in_hours_and_minutes(
        #[case] minutes: u32,
        #[case] english: &str,
        #[case] russian: &str,
    ) {
        assert_eq!(duration(minutes, Locale::En).unwrap(), english);
        assert_eq!(duration(minutes, Locale::Ru).unwrap(), russian);
    }

    #[rstest]
    #[case(1, "visit", "визит")]
    #[case(2, "visits", "визита")]
    #[case(5, "visits", "визитов")]
    #[case(11, "visits", "визитов")]
    #[case(21, "visits", "визит")]
    #[case(111, "visits", "визитов")]
    #[case(122, "visits", "визита")]
    fn plurals_follow_the_language(#[case] number: u64, #[case] english: &str, #[case] russian: &str) {
        assert_eq!(plural(number, &["visit", "visits"], Locale::En), Some(english));
        assert_eq!(plural(number, &["визит", "визита", "визитов"], Locale::Ru), Some(russian));
        assert_eq!(plural(number, &["визит"], Locale::Ru), None);
    }

    #[test]
    fn every_language_has_its_data() {
        for locale in Locale::ALL {
            assert!(load(locale).is_some(), "{locale:?}: it belongs into shared/cldr/generate");
        }
    }

    #[test]
    fn s76_points_are_counted() {
        assert_eq!(points(1, Locale::En).unwrap(), "1 point");
        assert_eq!(points(150, Locale::Ru).unwrap(), "150 баллов");
    }
}
