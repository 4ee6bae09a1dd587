//! Addresses of people: phone numbers and e-mail addresses, and how they look in logs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A phone number in E.164: `+`, then 8 to 15 digits, the first not zero. Source: ITU-T E.164 §6.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(pattern = r"^\+[1-9][0-9]{7,14}$", examples("+351912345678"))]
pub struct Phone(String);

/// Why a text is not a phone number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a phone number in E.164 form such as \"+351912345678\"")]
pub struct InvalidPhone;

impl Phone {
    /// The number in E.164.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number as logs may show it: country code side and the last two digits.
    pub fn masked(&self) -> String {
        let (head, tail) = (&self.0[..3], &self.0[self.0.len() - 2..]);
        format!("{head}***{tail}")
    }
}

impl TryFrom<String> for Phone {
    type Error = InvalidPhone;
    fn try_from(text: String) -> Result<Self, InvalidPhone> {
        let digits = text.strip_prefix('+').ok_or(InvalidPhone)?;
        let fits = (8..=15).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0');
        if fits { Ok(Self(text)) } else { Err(InvalidPhone) }
    }
}

impl std::str::FromStr for Phone {
    type Err = InvalidPhone;
    fn from_str(text: &str) -> Result<Self, InvalidPhone> {
        text.to_owned().try_into()
    }
}

impl From<Phone> for String {
    fn from(phone: Phone) -> String {
        phone.0
    }
}

/// An e-mail address as SES takes it: ASCII, at most 320 characters, one `@`, a dot in the domain, no spaces or controls.
/// Whether it exists only a delivery can tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(
    max_length = 320,
    pattern = r"^[!#$%&'*+\-/0-9=?A-Z^_`a-z{|}~]+(\.[!#$%&'*+\-/0-9=?A-Z^_`a-z{|}~]+)*@[!#$%&'*+\-/0-9=?A-Z^_`a-z{|}~]+(\.[!#$%&'*+\-/0-9=?A-Z^_`a-z{|}~]+)+$",
    examples("ana@example.com")
)]
pub struct Email(String);

/// Why a text is not an e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an e-mail address such as \"ana@example.com\"")]
pub struct InvalidEmail;

impl Email {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the same mailbox: nobody has two that differ by a capital letter.
    pub fn is_same(&self, other: &Email) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }

    /// The address as logs may show it: `a***@e***.com`.
    pub fn masked(&self) -> String {
        let (local, domain) = self.0.split_once('@').unwrap_or((&self.0, ""));
        let (host, top) = domain.rsplit_once('.').unwrap_or((domain, ""));
        let first = |text: &str| text.chars().next().map(String::from).unwrap_or_default();
        format!("{}***@{}***.{top}", first(local), first(host))
    }
}

impl TryFrom<String> for Email {
    type Error = InvalidEmail;
    fn try_from(text: String) -> Result<Self, InvalidEmail> {
        let (local, domain) = text.split_once('@').ok_or(InvalidEmail)?;
        let plain =
            |part: &str| part.bytes().all(|b| b.is_ascii_graphic() && !b"<>()[],;:\\\"@".contains(&b));
        let dotted = |part: &str| part.split('.').all(|label| !label.is_empty());
        let fits = text.len() <= 320
            && local.len() <= 64
            && plain(local)
            && plain(domain)
            && dotted(local)
            && dotted(domain)
            && domain.contains('.');
        if fits { Ok(Self(text)) } else { Err(InvalidEmail) }
    }
}

impl std::str::FromStr for Email {
    type Err = InvalidEmail;
    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        text.to_owned().try_into()
    }
}

impl From<Email> for String {
    fn from(email: Email) -> String {
        email.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_e164_only() {
        for good in ["+351912345678", "+79161234567", "+12025550123"] {
            assert!(good.parse::<Phone>().is_ok(), "{good} was refused");
        }
        for bad in [
            "",
            "+",
            "abc",
            "912345678",
            "+0351912345678",
            "+351 912 345 678",
            "+1234567",
            "+1234567890123456",
            "+３５１９１２３４５６７８",
        ] {
            assert!(bad.parse::<Phone>().is_err(), "{bad} was taken");
        }
    }

    #[test]
    fn emails_are_plain_addresses() {
        for good in ["a@b.co", "ana.maria+x@mail.example.com"] {
            assert!(good.parse::<Email>().is_ok(), "{good} was refused");
        }
        for bad in [
            "",
            "a",
            "a@b",
            "@b.co",
            "a@.co",
            "a b@c.de",
            "a@b@c.de",
            "Ana <a@b.co>",
            "a@b.co\n",
            "a..b@c.de",
            "é@b.co",
        ] {
            assert!(bad.parse::<Email>().is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn logs_show_no_whole_address() {
        assert_eq!("+351912345678".parse::<Phone>().unwrap().masked(), "+35***78");
        assert_eq!("ana@example.com".parse::<Email>().unwrap().masked(), "a***@e***.com");
    }
}
