//! Maps by words.

use std::collections::BTreeMap;

use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer};

/// A key that is read as a text first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Word<K>(K);

impl<'de, K: for<'k> Deserialize<'k>> Deserialize<'de> for Word<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        K::deserialize(IntoDeserializer::<D::Error>::into_deserializer(text)).map(Self)
    }
}

/// Reads a map whose keys are the words of an enum. They are read as texts first: whoever tells where in a request an error is sees texts only, and
/// would not know under which key.
///
/// # Errors
/// Those of the keys and the values.
pub fn by_word<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    K: for<'k> Deserialize<'k> + Ord,
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let read = BTreeMap::<Word<K>, V>::deserialize(deserializer)?;
    Ok(read.into_iter().map(|(Word(key), value)| (key, value)).collect())
}
