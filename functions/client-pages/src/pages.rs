//! The pages: what each says, by what its link opened.

use app::act_by_link::channels_of;
use app::open_link::{Opened, Stage, Visit};
use domain::booking::{Confirmation, Status};
use domain::business::{Business, Locale};
use domain::channel::Channel;
use domain::link::Purpose;
use domain::recipient::Person;
use domain::resource::ResourceKind;
use domain::text::{Name, Notes};
use domain::wording;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::form::{Fields, Mistake};
use crate::layout::{Page, button_to, button_to_own};
use crate::words::{Words, channel};

/// What a page is made of.
pub struct Asked<'a> {
    /// What the link opened.
    pub opened: &'a Opened,
    /// The link's token: where its forms go.
    pub token: &'a str,
    /// Now (UTC).
    pub now: Timestamp,
    /// What the page before says came of it.
    pub notice: Option<Notice>,
    /// What is wrong with the form, and what was typed into it.
    pub mistake: Option<(Mistake, &'a Fields)>,
}

/// What came of a form that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// It was done.
    Done,
    /// The visit is at another time by now.
    LookAgain,
}

impl Asked<'_> {
    /// The page as things are now.
    pub fn page(&self) -> Page {
        let words = self.words();
        match (self.opened.purpose, &self.opened.visit) {
            (Purpose::Review, Some(visit)) => self.review(visit),
            (Purpose::Preferences, _) => self.preferences(),
            (Purpose::Unsubscribe, _) => self.unsubscribe(),
            (purpose, Some(visit)) => match (visit.stage(&self.opened.client.id, self.now), purpose) {
                (Stage::CalledOff, _) => self.called_off(visit),
                (Stage::Begun, _) => Page {
                    title: words.begun,
                    mistaken: false,
                    body: html! { p { (words.begun_hint) } (self.details(visit)) },
                },
                (Stage::Ahead, Purpose::Cancel) => self.cancel(visit),
                (Stage::Ahead, Purpose::Reschedule) => self.reschedule(visit),
                (Stage::Ahead, _) => self.confirm(visit),
            },
            (_, None) => unknown(words),
        }
    }

    fn words(&self) -> &'static Words {
        crate::words::words(self.opened.locale())
    }

    /// A form of this page that sends `fields`.
    fn form(&self, fields: Markup) -> Markup {
        html! { form method="post" action=(self.token) novalidate { (fields) } }
    }

    /// The time that is shown, so that nothing is done to another.
    fn seen(&self, visit: &Visit) -> Markup {
        html! { input type="hidden" name="seen" value=(visit.booking.time_revision); }
    }

    fn confirm(&self, visit: &Visit) -> Page {
        let words = self.words();
        let confirmed = visit.booking.confirmation == Confirmation::Confirmed;
        let cancel = self.form(html! {
            (self.seen(visit))
            p class="hint" { (words.no_hint) }
            button class="bad" name="answer" value="no" { (words.cancel) }
        });
        Page {
            title: if confirmed { words.confirmed } else { words.will_you_come },
            mistaken: false,
            body: html! {
                (self.look_again())
                @if confirmed { p role="status" { (words.confirmed_hint) } }
                (self.details(visit))
                @if !confirmed {
                    (self.form(html! {
                        (self.seen(visit))
                        button name="answer" value="yes" { (words.yes) }
                    }))
                }
                // Two presses for what cannot be undone, without a script.
                details {
                    summary { @if confirmed { (words.plans_changed) } @else { (words.no) } }
                    (cancel)
                    (self.to_other_time(visit))
                }
                @if confirmed && visit.booking.status == Status::Confirmed { (self.to_calendar(visit)) }
            },
        }
    }

    fn cancel(&self, visit: &Visit) -> Page {
        let words = self.words();
        Page {
            title: words.cancel_question,
            mistaken: false,
            body: html! {
                (self.look_again())
                (self.details(visit))
                p { (words.cancel_hint) }
                (self.form(html! { (self.seen(visit)) button class="bad" { (words.cancel) } }))
                (self.to_other_time(visit))
            },
        }
    }

    fn called_off(&self, visit: &Visit) -> Page {
        let words = self.words();
        Page {
            title: words.cancelled,
            mistaken: false,
            body: html! {
                p role="status" { (words.cancelled_hint) }
                (self.details(visit))
                (button_to_own(self.opened.business.booking_url.as_ref(), words.book_again))
            },
        }
    }

    fn reschedule(&self, visit: &Visit) -> Page {
        let words = self.words();
        if let Some(wish) = &visit.wish {
            let body = html! {
                p role="status" { (words.wish_sent_hint) }
                h2 { (words.your_wish) }
                blockquote { (wish.text.as_deref().unwrap_or_default()) }
                (self.details(visit))
            };
            return Page { title: words.wish_sent, mistaken: false, body };
        }
        let typed = |name| self.mistake.as_ref().map(|(_, fields)| fields.text(name).to_owned());
        let today = visit.booking.zone.at(self.now).date();
        let fields = html! {
            div class="pair" {
                div class="field" {
                    label for="date" { (words.wish_date) }
                    input type="date" id="date" name="date" min=(today) value=[typed("date")]
                        aria-invalid=[self.invalid("date")] aria-describedby=[self.described("date")];
                }
                div class="field" {
                    label for="time" { (words.wish_time) }
                    input type="time" id="time" name="time" value=[typed("time")];
                }
            }
            (self.mistake_at("date"))
            div class="field" {
                label for="words" { (words.wish_words) }
                p class="hint" id="words-hint" { (words.wish_words_hint) }
                textarea id="words" name="words" maxlength="900" aria-invalid=[self.invalid("words")]
                    aria-describedby={ "words-hint" @if self.invalid("words").is_some() { " words-mistake" } } {
                    (typed("words").unwrap_or_default())
                }
                (self.mistake_at("words"))
            }
            button { (words.send_wish) }
        };
        Page {
            title: words.move_question,
            mistaken: self.mistake.is_some(),
            body: html! {
                (self.mistakes())
                (self.details(visit))
                p { (words.move_hint) }
                (self.form(fields))
            },
        }
    }

    fn review(&self, visit: &Visit) -> Page {
        let words = self.words();
        let tip = html! {
            @if self.opened.business.tip_url.is_some() {
                p { (words.tip_hint) }
                (button_to_own(self.opened.business.tip_url.as_ref(), words.tip))
            }
        };
        if let Some(review) = &visit.review {
            let number = review.rating.number();
            let body = html! {
                p role="status" { (words.thanks_hint) }
                h2 { (words.your_review) }
                blockquote {
                    (stars(number)) " " (words.ratings.get(usize::from(number) - 1).copied().unwrap_or_default())
                    @if let Some(text) = &review.text { "\n" (Notes::as_str(text)) }
                }
                (tip)
            };
            return Page { title: words.thanks, mistaken: false, body };
        }
        if visit.booking.status != Status::Completed
            || !visit.booking.client_ids.contains(&self.opened.client.id)
        {
            let body = html! { p { (words.not_yet_hint) } (self.details(visit)) };
            return Page { title: words.not_yet, mistaken: false, body };
        }
        let typed = |name| self.mistake.as_ref().map(|(_, fields)| fields.text(name)).unwrap_or_default();
        let fields = html! {
            fieldset aria-describedby=[self.described("rating-5")] {
                legend { (words.rating) }
                @for (number, word) in (1..=5_u8).zip(words.ratings).rev() {
                    label class="choice" for={ "rating-" (number) } {
                        input type="radio" name="rating" id={ "rating-" (number) } value=(number)
                            checked[typed("rating") == number.to_string()];
                        span { (stars(number)) " " (word) }
                    }
                }
                (self.mistake_at("rating-5"))
            }
            div class="field" {
                label for="text" { (words.review_words) " " span class="hint" { "(" (words.optional) ")" } }
                textarea id="text" name="text" maxlength="2000" aria-invalid=[self.invalid("text")]
                    aria-describedby=[self.described("text")] { (typed("text")) }
                (self.mistake_at("text"))
            }
            button { (words.send_review) }
        };
        Page {
            title: words.how_was_it,
            mistaken: self.mistake.is_some(),
            body: html! {
                (self.mistakes())
                (self.details(visit))
                (self.form(fields))
            },
        }
    }

    fn preferences(&self) -> Page {
        let (words, client, locale) = (self.words(), &self.opened.client, self.opened.locale());
        let address = |on: Channel| match on {
            Channel::Push => None,
            on => Person::Client(client).masked_address(on),
        };
        let fields = html! {
            fieldset {
                legend { (words.marketing) }
                label class="choice" for="marketing" {
                    input type="checkbox" name="marketing" id="marketing" checked[client.marketing_consent];
                    span { (words.marketing_choice) }
                }
            }
            @let offered = channels_of(client);
            @if !offered.is_empty() {
                fieldset aria-describedby="channels-hint" {
                    legend { (words.by_channel) }
                    p class="hint" id="channels-hint" { (words.by_channel_hint) }
                    @for on in offered {
                        label class="choice" for={ "channel-" (on.name()) } {
                            input type="checkbox" name="channel" id={ "channel-" (on.name()) } value=(on.name())
                                checked[!client.opt_outs.contains(&on)];
                            span {
                                (channel(on, locale))
                                @if let Some(address) = address(on) { " " span class="hint" { (address) } }
                            }
                        }
                    }
                }
            }
            button { (words.save) }
        };
        Page {
            title: words.preferences,
            mistaken: false,
            body: html! {
                @if self.notice == Some(Notice::Done) { p class="note" role="status" { (words.saved) } }
                p { (words.preferences_hint) }
                (self.form(fields))
            },
        }
    }

    fn unsubscribe(&self) -> Page {
        let words = self.words();
        if !self.opened.client.marketing_consent {
            let body = html! { p role="status" { (words.unsubscribed_hint) } };
            return Page { title: words.unsubscribed, mistaken: false, body };
        }
        Page {
            title: words.unsubscribe_question,
            mistaken: false,
            body: html! {
                p { (words.unsubscribe_hint) }
                // What mail programs send when they do it by themselves (RFC 8058 §3.2).
                (self.form(html! {
                    button name="List-Unsubscribe" value="One-Click" { (words.unsubscribe) }
                }))
            },
        }
    }

    // -------------------------------------------------------------- parts of pages

    fn look_again(&self) -> Markup {
        html! {
            @if self.notice == Some(Notice::LookAgain) {
                p class="warn" role="alert" { (self.words().look_again) }
            }
        }
    }

    /// The facts of a visit.
    fn details(&self, visit: &Visit) -> Markup {
        let (words, locale, booking) = (self.words(), self.opened.locale(), &visit.booking);
        let number = booking.id.as_str();
        let number = number.get(number.len().saturating_sub(8)..).unwrap_or(number);
        html! {
            dl {
                dt { (words.when) }
                dd { (self.when(visit).unwrap_or_default()) }
                @if let Some(service) = &visit.service {
                    dt { (words.service) }
                    dd { (service.name.as_str()) }
                }
                @if let Some(resource) = &visit.resource {
                    dt { @if resource.kind == ResourceKind::Specialist { (words.with) } @else { (words.reserved) } }
                    dd { (resource.name.as_str()) }
                }
                @if let Some(location) = &visit.location {
                    dt { (words.place) }
                    dd {
                        (location.name.as_str())
                        @if let Some(address) = &location.address { ", " (Name::as_str(address)) }
                        @if let Some(map) = &location.map_url { br; a href=(map.as_str()) { (words.map) } }
                    }
                }
                @if let Some(price) = booking.price.as_ref().and_then(|price| wording::money(price, locale)) {
                    dt { (words.price) }
                    dd { (price) }
                }
                dt { (words.number) }
                dd { (number) }
            }
        }
    }

    /// Day and time of a visit; for who lives by another clock, with whose clock it is.
    fn when(&self, visit: &Visit) -> Option<String> {
        let (locale, booking) = (self.opened.locale(), &visit.booking);
        let when = wording::when(booking.start, &booking.zone, locale)?;
        // The hours stay on one line.
        let when = format!("{when}\u{2060}–\u{2060}{}", wording::time(booking.end, &booking.zone, locale)?);
        match self.opened.client.zone.as_ref().filter(|zone| **zone != booking.zone) {
            None => Some(when),
            Some(_) => Some(format!("{when} ({})", wording::zone(booking.start, &booking.zone, locale)?)),
        }
    }

    fn to_other_time(&self, visit: &Visit) -> Markup {
        let link = self.opened.sign(Purpose::Reschedule, visit.booking.start, self.now);
        html! { @if let Some(link) = link { (button_to(&link, self.words().other_time)) } }
    }

    fn to_calendar(&self, visit: &Visit) -> Markup {
        let link = self.opened.sign(Purpose::Calendar, visit.booking.end, self.now);
        html! { @if let Some(link) = link { (button_to(&link, self.words().calendar)) } }
    }

    // -------------------------------------------------------------- mistakes in forms

    /// What is wrong, above all else, with a link to where.
    fn mistakes(&self) -> Markup {
        html! {
            @if let Some((mistake, _)) = &self.mistake {
                p class="warn" role="alert" { a href={ "#" (mistake.field()) } { (self.said(*mistake)) } }
            }
        }
    }

    fn mistake_at(&self, field: &str) -> Markup {
        html! {
            @if let Some((mistake, _)) = self.mistake.as_ref().filter(|(mistake, _)| mistake.field() == field) {
                p class="mistake" id={ (field) "-mistake" } { (self.said(*mistake)) }
            }
        }
    }

    fn invalid(&self, field: &str) -> Option<&'static str> {
        self.mistake.as_ref().filter(|(mistake, _)| mistake.field() == field).map(|_| "true")
    }

    fn described(&self, field: &str) -> Option<String> {
        self.invalid(field).map(|_| format!("{field}-mistake"))
    }

    fn said(&self, mistake: Mistake) -> &'static str {
        let words = self.words();
        match mistake {
            Mistake::Rating => words.choose_rating,
            Mistake::Text | Mistake::Words => words.too_long,
            Mistake::Wish => words.say_when,
            Mistake::Date => words.no_date,
        }
    }
}

/// A rating as a picture; what it means stands beside it.
fn stars(number: u8) -> Markup {
    let (full, empty) = (usize::from(number), usize::from(5_u8.saturating_sub(number)));
    html! { span class="stars" aria-hidden="true" { ("★".repeat(full)) ("☆".repeat(empty)) } }
}

/// The page of a link that is none of ours. It says nothing of what there is.
pub fn unknown(words: &'static Words) -> Page {
    Page { title: words.unknown, mistaken: false, body: html! { p { (words.unknown_hint) } } }
}

/// The page of a link whose time is over.
pub fn expired(business: &Business, locale: Locale) -> Page {
    let words = crate::words::words(locale);
    let body = html! {
        p { (words.expired_hint) }
        (button_to_own(business.booking_url.as_ref(), words.book_again))
    };
    Page { title: words.expired, mistaken: false, body }
}

/// The page of a moment at which nothing works.
pub fn unavailable(words: &'static Words) -> Page {
    Page { title: words.unavailable, mistaken: false, body: html! { p { (words.unavailable_hint) } } }
}

/// The page of a form that is larger than any of ours can be.
pub fn too_large(words: &'static Words) -> Page {
    Page { title: words.too_long, mistaken: false, body: html! { p { (words.unavailable_hint) } } }
}
