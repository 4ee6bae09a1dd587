//! Writes `shared/cldr/data`. To be run for another language, for something else that `domain::wording` says, and after an update of ICU4X:
//! `cargo run --manifest-path shared/cldr/generate/Cargo.toml --target-dir target/cldr`.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;

use icu_datetime::provider::names::{
    DatetimeNamesDayperiodV1, DatetimeNamesMonthGregorianV1, DatetimeNamesWeekdayV1,
};
use icu_datetime::provider::semantic_skeletons::{
    DatetimePatternsDateGregorianV1, DatetimePatternsGlueV1, DatetimePatternsTimeV1,
};
use icu_datetime::provider::time_zones::TimezoneNamesEssentialsV1;
use icu_datetime_data::*;
use icu_decimal::provider::{DecimalDigitsV1, DecimalSymbolsV1};
use icu_decimal_data::*;
use icu_experimental::dimension::provider::currency::essentials::CurrencyEssentialsV1;
use icu_experimental::dimension::provider::currency::fractions::CurrencyFractionsV1;
use icu_experimental::dimension::provider::currency::no_currency::CurrencyPatternsNoCurrencyV1;
use icu_experimental::dimension::provider::currency::symbols::{CurrencyDecimalSymbolsV1, CurrencySymbolsV1};
use icu_experimental_data::*;
use icu_locale_fallback::LocaleFallbacker;
use icu_plurals::provider::PluralsCardinalV1;
use icu_plurals_data::*;
use icu_provider::export::make_exportable_provider;
use icu_provider::prelude::*;
use icu_provider_export::baked_exporter::{BakedExporter, Options};
use icu_provider_export::prelude::*;

extern crate alloc;

/// The languages that messages are written in, as `domain::wording` asks for them.
const LANGUAGES: [DataLocale; 2] = [data_locale!("en-GB"), data_locale!("ru")];

/// What ICU4X's crates carry, of all languages.
struct Everything;

/// What the macros of the data call the crates.
mod icu {
    pub use icu_datetime as datetime;
    pub use icu_decimal as decimal;
    pub use icu_experimental as experimental;
    pub use icu_plurals as plurals;
}

icu_datetime_data::make_provider!(Everything);
impl_currency_fractions_v1!(Everything);

// Of no language, so there is one of it. What the macro's `ITER` would make of it does not compile: it spells `BtreeSet`.
impl IterableDataProvider<CurrencyFractionsV1> for Everything {
    fn iter_ids(&self) -> Result<BTreeSet<DataIdentifierCow<'_>>, DataError> {
        Ok([Default::default()].into())
    }
}

/// The same, where each of our languages has what all languages have in common: formatters are not told to look there.
struct Ours;

impl<M: DataMarker> DataProvider<M> for Ours
where
    Everything: DataProvider<M>,
{
    fn load(&self, request: DataRequest<'_>) -> Result<DataResponse<M>, DataError> {
        Everything.load(request)
    }
}

impl<M: DataMarker> IterableDataProvider<M> for Ours
where
    Everything: IterableDataProvider<M>,
{
    fn iter_ids(&self) -> Result<BTreeSet<DataIdentifierCow<'_>>, DataError> {
        let mut ids = Everything.iter_ids()?;
        if !M::INFO.is_singleton {
            let common: Vec<_> = ids.iter().filter(|id| id.locale.is_unknown()).cloned().collect();
            for locale in LANGUAGES {
                let of = |id: &DataIdentifierCow<'static>| {
                    DataIdentifierCow::from_owned(id.marker_attributes.clone().into_owned(), locale)
                };
                ids.extend(common.iter().map(of));
            }
        }
        Ok(ids)
    }
}

/// What is carried over, each by the macro that holds it and by its name.
macro_rules! carried {
    ($($data:ident $name:ident,)*) => {
        $($data!(Everything, ITER);)*
        make_exportable_provider!(Ours, [CurrencyFractionsV1, $($name,)*]);
    };
}

carried! {
    impl_currency_decimal_symbols_v1 CurrencyDecimalSymbolsV1,
    impl_currency_essentials_v1 CurrencyEssentialsV1,
    impl_currency_patterns_no_currency_v1 CurrencyPatternsNoCurrencyV1,
    impl_currency_symbols_v1 CurrencySymbolsV1,
    impl_datetime_names_dayperiod_v1 DatetimeNamesDayperiodV1,
    impl_datetime_names_month_gregorian_v1 DatetimeNamesMonthGregorianV1,
    impl_datetime_names_weekday_v1 DatetimeNamesWeekdayV1,
    impl_datetime_patterns_date_gregorian_v1 DatetimePatternsDateGregorianV1,
    impl_datetime_patterns_glue_v1 DatetimePatternsGlueV1,
    impl_datetime_patterns_time_v1 DatetimePatternsTimeV1,
    impl_decimal_digits_v1 DecimalDigitsV1,
    impl_decimal_symbols_v1 DecimalSymbolsV1,
    impl_plurals_cardinal_v1 PluralsCardinalV1,
    impl_timezone_names_essentials_v1 TimezoneNamesEssentialsV1,
}

fn main() -> Result<(), Box<dyn Error>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("data");
    let mut options = Options::default();
    options.use_internal_fallback = false;
    options.pretty = true;
    options.use_separate_crates = true;
    options.overwrite = true;
    // Numerals are of no language.
    let languages = LANGUAGES.into_iter().chain([DataLocale::default()]).map(DataLocaleFamily::single);
    let fallbacker = LocaleFallbacker::new().static_to_owned();
    ExportDriver::new(languages, DeduplicationStrategy::None.into(), fallbacker)
        .export(&Ours, BakedExporter::new(data.clone(), options)?)?;
    println!("wrote {}", data.display());
    Ok(())
}
