//! The texts we deliver, one file for each type and language in `texts/`, and the engine that fills all texts.
//!
//! A file has sections, each under its name in brackets. `subject` and `email` are those of the e-mail; an empty line
//! divides paragraphs. `links` says which links the e-mail offers, as `link: label`, each only where there is such a
//! link. `short` is the push message, and the sms behind the name of the business; `push` is there where that says less.
//! `email.txt` holds what all e-mails share.

use std::sync::LazyLock;

use minijinja::value::Rest;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value, filters};

use crate::business::Locale;
use crate::notification_type::NotificationType;
use crate::wording;

/// How many template instructions a text may take: ours need a few hundred.
const FUEL: u64 = 20_000;

/// The filters of texts. `plural` picks the form of a word that goes with a number: `visit`, `visits`.
pub(super) const FILTERS: &[&str] = &["default", "join", "lower", "plural", "trim", "upper"];

macro_rules! files {
    ($($variant:ident $name:literal;)*) => {
        fn file(kind: NotificationType, locale: Locale) -> &'static str {
            match (kind, locale) {
                $(
                    (NotificationType::$variant, Locale::En) => {
                        include_str!(concat!("../../texts/en/", $name, ".txt"))
                    }
                    (NotificationType::$variant, Locale::Ru) => {
                        include_str!(concat!("../../texts/ru/", $name, ".txt"))
                    }
                )*
            }
        }
    };
}

files! {
    BookingCreated "booking_created";
    BookingConfirmed "booking_confirmed";
    BookingRescheduled "booking_rescheduled";
    BookingChanged "booking_changed";
    BookingCancelled "booking_cancelled";
    ConfirmationRequest "confirmation_request";
    Reminder "reminder";
    RunningLate "running_late";
    MissedBooking "missed_booking";
    NoShowRecovery "no_show_recovery";
    ReviewRequest "review_request";
    RebookingReminder "rebooking_reminder";
    AccountOperation "account_operation";
    BonusAccrued "bonus_accrued";
    WaitlistOffer "waitlist_offer";
    StaffBookingCreated "staff_booking_created";
    StaffBookingChanged "staff_booking_changed";
    StaffBookingCancelled "staff_booking_cancelled";
    StaffUnconfirmed "staff_unconfirmed";
    StaffRunningLate "staff_running_late";
    VerificationCode "verification_code";
    Individual "individual";
    Campaign "campaign";
}

/// What all e-mails share.
fn shared(locale: Locale) -> &'static str {
    match locale {
        Locale::En => include_str!("../../texts/en/email.txt"),
        Locale::Ru => include_str!("../../texts/ru/email.txt"),
    }
}

/// A section of a file, without the empty lines around it.
fn section<'a>(file: &'a str, name: &str) -> Option<&'a str> {
    file.strip_prefix('[')?.split("\n[").find_map(|section| {
        section.split_once("]\n").filter(|(title, _)| *title == name).map(|(_, text)| text.trim())
    })
}

/// The unfilled text of a section of a type.
#[cfg(test)]
pub(super) fn source(kind: NotificationType, name: &str, locale: Locale) -> Option<&'static str> {
    section(file(kind, locale), name)
}

/// The links an e-mail of a type offers, in their order: the link's name and its label.
pub(super) fn links(
    kind: NotificationType,
    locale: Locale,
) -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = section(file(kind, locale), "links").unwrap_or_default();
    lines.lines().filter_map(|line| line.split_once(": "))
}

/// The label of a link at the foot of e-mails.
pub(super) fn foot_label(link: &str, locale: Locale) -> Option<&'static str> {
    let mut lines = section(shared(locale), "links")?.lines();
    lines.find_map(|line| line.split_once(": ").filter(|(name, _)| *name == link).map(|(_, label)| label))
}

/// Whether a type's file has a section.
pub(super) fn has(kind: NotificationType, name: &str, locale: Locale) -> bool {
    section(file(kind, locale), name).is_some()
}

/// Fills a section of a type's file.
pub(super) fn fill(
    kind: NotificationType,
    name: &str,
    context: &Value,
    locale: Locale,
) -> Result<String, Error> {
    engine(locale).get_template(&format!("{kind}/{name}"))?.render(context)
}

/// Fills a section of what all e-mails share.
pub(super) fn fill_shared(name: &str, context: &Value, locale: Locale) -> Result<String, Error> {
    engine(locale).get_template(&format!("email/{name}"))?.render(context)
}

/// Fills a text of the business.
pub(super) fn fill_own(text: &str, context: &Value, locale: Locale) -> Result<String, Error> {
    engine(locale).render_str(text, context)
}

static EN: LazyLock<Environment<'static>> = LazyLock::new(|| build(Locale::En));
static RU: LazyLock<Environment<'static>> = LazyLock::new(|| build(Locale::Ru));

/// The engine of a language. It parses each of our texts when it is first needed, and keeps it.
fn engine(locale: Locale) -> &'static Environment<'static> {
    match locale {
        Locale::En => &EN,
        Locale::Ru => &RU,
    }
}

fn build(locale: Locale) -> Environment<'static> {
    let mut engine = Environment::empty();
    // A missing value may be asked about with `if`, but not printed.
    engine.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    engine.set_fuel(Some(FUEL));
    engine.add_filter("default", filters::default);
    engine.add_filter("join", filters::join);
    engine.add_filter("lower", filters::lower);
    engine.add_filter("trim", filters::trim);
    engine.add_filter("upper", filters::upper);
    engine.add_filter("plural", move |number: u64, forms: Rest<String>| {
        let forms: Vec<&str> = forms.iter().map(String::as_str).collect();
        wording::plural(number, &forms, locale).map(str::to_owned).ok_or_else(|| {
            let words = format!("plural takes {} forms of the word", wording::plural_forms(locale));
            Error::new(ErrorKind::InvalidOperation, words)
        })
    });
    engine.set_loader(move |name| {
        Ok(name.split_once('/').and_then(|(file_name, name)| {
            let file = match file_name {
                "email" => shared(locale),
                kind => file(kind.parse().ok()?, locale),
            };
            section(file, name).map(str::to_owned)
        }))
    });
    engine
}
