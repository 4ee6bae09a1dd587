//! Short texts people type: names, notes, links.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A text with rules of its own, which hold for it as it is given and as it is kept: trimmed. What a type says of itself (`Debug`, which a secret must not derive, and
/// what the OpenAPI document may say of its length and characters) stands above its name.
macro_rules! text {
    ($(#[$meta:meta])* $name:ident, $error:ident, $expected:literal, $fits:expr) => {
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(try_from = "String", into = "String")]
        $(#[$meta])*
        pub struct $name(String);

        #[doc = concat!("Why a text is not a [`", stringify!($name), "`].")]
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        #[error($expected)]
        pub struct $error;

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;
            fn try_from(text: String) -> Result<Self, $error> {
                let fits: fn(&str) -> bool = $fits;
                let trimmed = text.trim();
                if fits(&text) && fits(trimmed) { Ok(Self(trimmed.to_owned())) } else { Err($error) }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;
            fn from_str(text: &str) -> Result<Self, $error> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0
            }
        }
    };
}
pub(crate) use text;

text!(
    #[derive(Debug)]
    /// A name: 1 to 200 characters on one line.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s][^\x00-\x1f\x7f-\x9f]*$"
    )]
    Name,
    InvalidName,
    "expected 1 to 200 characters on one line",
    |text| (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control)
);

text!(
    #[derive(Debug)]
    #[schema(
        min_length = 1,
        max_length = 40,
        pattern = r"^[^,;\x00-\x1f\x7f-\x9f]*[^,;\x00-\x1f\x7f-\x9f\s][^,;\x00-\x1f\x7f-\x9f]*$"
    )]
    /// A word by which clients are sorted, such as `vip`: 1 to 40 characters on one line, without commas and semicolons.
    Tag,
    InvalidTag,
    "expected 1 to 40 characters on one line, without commas and semicolons",
    |text| (1..=40).contains(&text.chars().count())
        && !text.chars().any(|c| c.is_control() || c == ',' || c == ';')
);

text!(
    #[derive(Debug)]
    /// Notes: at most 2000 characters, lines allowed.
    #[schema(max_length = 2000)]
    Notes,
    InvalidNotes,
    "expected at most 2000 characters",
    |text| text.chars().count() <= 2000
);

text!(
    #[derive(Debug)]
    /// A text that staff writes to a client: 1 to 1000 characters, lines allowed.
    #[schema(
        min_length = 1,
        max_length = 1000,
        pattern = r"^[^\x00-\x09\x0b-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s][^\x00-\x09\x0b-\x1f\x7f-\x9f]*$"
    )]
    Letter,
    InvalidLetter,
    "expected 1 to 1000 characters",
    |text| (1..=1000).contains(&text.chars().count()) && !text.chars().any(|c| c.is_control() && c != '\n')
);

text!(
    #[derive(Debug)]
    /// A link that starts with `https://`, at most 500 printable ASCII characters.
    #[schema(max_length = 500, pattern = "^https://[!-~]+$", examples("https://salon.example/booking"))]
    Link,
    InvalidLink,
    "expected a link that starts with https://, at most 500 characters",
    |text| text.len() <= 500
        && text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty())
        && text.bytes().all(|b| b.is_ascii_graphic())
);

text!(
    #[derive(Debug)]
    /// A token that a push service gave an app: 1 to 2048 printable ASCII characters.
    #[schema(max_length = 2048, pattern = "^[!-~]+$")]
    DeviceToken,
    InvalidDeviceToken,
    "expected 1 to 2048 printable ASCII characters",
    |text| (1..=2048).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
);

text!(
    /// A code that proves an address (S16): 4 to 10 ASCII letters or digits. Its `Debug` does not show it, so that no log does.
    #[schema(pattern = "^[0-9A-Za-z]{4,10}$")]
    Code, InvalidCode, "expected 4 to 10 letters or digits",
    |text| (4..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
);

impl Name {
    /// The name of somebody of whom nothing is known any more.
    pub fn nobody() -> Self {
        Self("\u{2014}".to_owned())
    }
}

impl Letter {
    /// What stands for a letter that was erased.
    pub fn erased() -> Self {
        Self("\u{2014}".to_owned())
    }
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_trimmed_and_bounded() {
        assert_eq!("  Salon Aurora ".parse::<Name>().unwrap().as_str(), "Salon Aurora");
        for bad in ["", "  ", "two\nlines", &"x".repeat(201)] {
            assert!(bad.parse::<Name>().is_err());
        }
        assert!("https://a.example/b?c=d".parse::<Link>().is_ok());
        for bad in ["http://a.example", "https://", "javascript:alert(1)", "https://a b"] {
            assert!(bad.parse::<Link>().is_err());
        }
        assert!("x".repeat(2049).parse::<DeviceToken>().is_err());
    }

    #[test]
    fn s16_a_code_is_short_and_no_log_shows_it() {
        let code = |text: &str| Code::try_from(text.to_owned());
        assert_eq!(code("4829ab").unwrap().as_str(), "4829ab");
        assert_eq!(format!("{:?}", code("4829ab")), "Ok(Code(…))");
        for bad in ["", "123", "12345678901", "12 34", "12-34", "١٢٣٤"] {
            assert_eq!(code(bad), Err(InvalidCode), "{bad:?}");
        }
    }
}
