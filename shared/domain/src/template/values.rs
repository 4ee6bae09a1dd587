//! The values a text is filled with, and the variables that name them (S6, S7).

use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;
use minijinja::Value;
use minijinja::value::Object;
use serde::Serialize;
use utoipa::ToSchema;

use crate::account::{AccountOperationKind, BonusAmount, BonusKind};
use crate::business::Locale;
use crate::money::Money;
use crate::notification_type::{Audience, NotificationType};
use crate::resource::ResourceKind;
use crate::wording;
use crate::zone::Zone;

/// Everything a text may speak of. What is `None` may not be printed, only asked about with `{% if %}`.
#[derive(Debug, Clone)]
pub struct Values<'a> {
    /// The client the message is about.
    pub client: Option<PersonValues<'a>>,
    /// The reader, when the message is to staff.
    pub staff: Option<PersonValues<'a>>,
    /// The business.
    pub business: BusinessValues<'a>,
    /// Where the visit is.
    pub location: Option<LocationValues<'a>>,
    /// Whom or what the visit takes up.
    pub resource: Option<ResourceValues<'a>>,
    /// What the visit is for.
    pub service: Option<ServiceValues<'a>>,
    /// The visit; in an offer to the waitlist, the time that came free.
    pub booking: Option<BookingValues<'a>>,
    /// Where the reader lives by the clock, set only if that is not the booking's zone: then times name theirs.
    pub reader_zone: Option<&'a Zone>,
    /// Where the reader may go.
    pub links: Links<'a>,
    /// Whether our own texts offer the page to confirm where there is one: not to those who have confirmed, and in reminders only where the
    /// rule says so (S73).
    pub asks: bool,
    /// What happened to the client's account (S22–S24).
    pub account: Option<AccountValues<'a>>,
    /// What bonus the client got (S76).
    pub bonus: Option<BonusValues<'a>>,
    /// The code that proves an address (S16).
    pub code: Option<&'a str>,
    /// What staff wrote: an individual message (S42) or a campaign (S46).
    pub message: Option<MessageValues<'a>>,
    /// The series, when the booking is the first of several.
    pub series: Option<SeriesValues<'a>>,
    /// The offer to a client on the waitlist.
    pub offer: Option<OfferValues<'a>>,
}

/// A client or a staff member.
#[derive(Debug, Clone, Copy)]
pub struct PersonValues<'a> {
    /// How to address them.
    pub name: &'a str,
    /// Their phone in E.164.
    pub phone: Option<&'a str>,
    /// Their e-mail address.
    pub email: Option<&'a str>,
}

/// The business as texts speak of it.
#[derive(Debug, Clone, Copy)]
pub struct BusinessValues<'a> {
    /// The name clients know it by (S61).
    pub name: &'a str,
    /// The name in the register.
    pub legal_name: Option<&'a str>,
    /// The number clients may call, in E.164.
    pub phone: Option<&'a str>,
    /// Its site.
    pub site: Option<&'a str>,
    /// What stands after the text of `booking_created` and `booking_confirmed`, in sms and e-mail (S30).
    pub signature: Option<&'a str>,
}

/// A branch as texts speak of it.
#[derive(Debug, Clone, Copy)]
pub struct LocationValues<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where to come.
    pub address: Option<&'a str>,
    /// A map of it.
    pub map_url: Option<&'a str>,
}

/// A resource as texts speak of it.
#[derive(Debug, Clone, Copy)]
pub struct ResourceValues<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it is; also decides which variant of a text is taken (S57).
    pub kind: ResourceKind,
}

/// A service as texts speak of it.
#[derive(Debug, Clone, Copy)]
pub struct ServiceValues<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its price.
    pub price: Option<&'a Money>,
    /// How long it takes.
    pub duration_minutes: u32,
}

/// A visit as texts speak of it.
#[derive(Debug, Clone, Copy)]
pub struct BookingValues<'a> {
    /// When it starts.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// The zone its times are said in.
    pub zone: &'a Zone,
    /// A short text by which staff finds the booking.
    pub number: &'a str,
    /// What it costs, when that was agreed.
    pub price: Option<&'a Money>,
}

/// Where the reader may go. Texts read well with and without each.
#[derive(Debug, Clone, Copy, Default)]
pub struct Links<'a> {
    /// Online booking.
    pub booking: Option<&'a str>,
    /// The page for a review (S74).
    pub review: Option<&'a str>,
    /// The page for a tip (S74).
    pub tip: Option<&'a str>,
    /// A map of the location.
    pub map: Option<&'a str>,
    /// The page to confirm the visit, or to take an offered time (S53, S73).
    pub confirm: Option<&'a str>,
    /// The page to cancel the visit.
    pub cancel: Option<&'a str>,
    /// The page to ask for another time.
    pub reschedule: Option<&'a str>,
    /// The page where clients say what they want to hear about.
    pub preferences: Option<&'a str>,
    /// The page to opt out of marketing; takes the one-click request of RFC 8058 too.
    pub unsubscribe: Option<&'a str>,
    /// The calendar file.
    pub calendar: Option<&'a str>,
}

impl<'a> Links<'a> {
    /// A link by the name it has in texts.
    pub(super) fn by_name(&self, name: &str) -> Option<&'a str> {
        match name {
            "booking" => self.booking,
            "review" => self.review,
            "tip" => self.tip,
            "map" => self.map,
            "confirm" => self.confirm,
            "cancel" => self.cancel,
            "reschedule" => self.reschedule,
            "preferences" => self.preferences,
            "unsubscribe" => self.unsubscribe,
            "calendar" => self.calendar,
            _ => None,
        }
    }
}

/// What happened to the client's account.
#[derive(Debug, Clone, Copy)]
pub struct AccountValues<'a> {
    /// What.
    pub operation: AccountOperationKind,
    /// How much.
    pub amount: &'a Money,
    /// What the account holds since.
    pub balance: Option<&'a Money>,
}

/// A bonus.
#[derive(Debug, Clone, Copy)]
pub struct BonusValues<'a> {
    /// Why.
    pub kind: BonusKind,
    /// How much.
    pub amount: &'a BonusAmount,
    /// What the client has since.
    pub balance: Option<&'a BonusAmount>,
}

/// What staff wrote. Never a template.
#[derive(Debug, Clone, Copy)]
pub struct MessageValues<'a> {
    /// The subject of an e-mail; none means ours.
    pub subject: Option<&'a str>,
    /// The text; an empty line divides paragraphs.
    pub text: &'a str,
}

/// A series of visits.
#[derive(Debug, Clone, Copy)]
pub struct SeriesValues<'a> {
    /// How many visits.
    pub count: u32,
    /// When each starts, the first first.
    pub starts: &'a [Timestamp],
}

/// A time offered to a client on the waitlist.
#[derive(Debug, Clone, Copy)]
pub struct OfferValues<'a> {
    /// Until when the time is held.
    pub until: Timestamp,
    /// The zone that is said in.
    pub zone: &'a Zone,
}

/// What a variable holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VariableKind {
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// An amount of money, or of points, said in the reader's language.
    Money,
    /// A date or time, said in the reader's language.
    Time,
    /// The address of a page.
    Link,
    /// Several texts; `join` makes one of them.
    List,
}

/// A name that may stand in a text.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Variable {
    /// The name, such as `booking.date`.
    pub name: &'static str,
    /// What it holds.
    pub kind: VariableKind,
    /// What it is, in words.
    pub words: &'static str,
    #[serde(skip)]
    value: Take,
}

/// Takes a variable's value out of all of them.
type Take = fn(&Values<'_>, Locale) -> Option<Value>;

const fn variable(name: &'static str, kind: VariableKind, words: &'static str, value: Take) -> Variable {
    Variable { name, kind, words, value }
}

/// Every variable, in the order a list shows them.
pub const VARIABLES: &[Variable] = {
    use VariableKind::{Link, List, Money, Number, Text, Time};
    &[
        variable("client.name", Text, "the client's name", |it, _| text(it.client?.name)),
        variable("client.phone", Text, "the client's phone", |it, _| text(it.client?.phone?)),
        variable("client.email", Text, "the client's e-mail address", |it, _| text(it.client?.email?)),
        variable("staff.name", Text, "the name of the staff member who reads", |it, _| text(it.staff?.name)),
        variable("business.name", Text, "the name of the business", |it, _| text(it.business.name)),
        variable("business.legal_name", Text, "its name in the register", |it, _| {
            text(it.business.legal_name?)
        }),
        variable("business.phone", Text, "its phone", |it, _| text(it.business.phone?)),
        variable("business.site", Link, "its site", |it, _| text(it.business.site?)),
        variable("location.name", Text, "the name of the location", |it, _| text(it.location?.name)),
        variable("location.address", Text, "its address", |it, _| text(it.location?.address?)),
        variable("location.map_url", Link, "a map of it", |it, _| text(it.location?.map_url?)),
        variable("resource.name", Text, "the name of the specialist, room or equipment", |it, _| {
            text(it.resource?.name)
        }),
        variable("resource.kind", Text, "specialist, equipment or room", |it, _| {
            text(match it.resource?.kind {
                ResourceKind::Specialist => "specialist",
                ResourceKind::Equipment => "equipment",
                ResourceKind::Room => "room",
            })
        }),
        variable("service.name", Text, "the name of the service", |it, _| text(it.service?.name)),
        variable("service.price", Money, "its price", |it, locale| money(it.service?.price?, locale)),
        variable("service.duration", Text, "how long it takes", |it, locale| {
            said(wording::duration(it.service?.duration_minutes, locale))
        }),
        variable(
            "booking.when",
            Time,
            "day and time of the visit, with the zone if the reader's is another",
            {
                |it, locale| {
                    let booking = it.booking?;
                    said(when(it, booking.start, booking.zone, locale))
                }
            },
        ),
        variable("booking.date", Time, "the date of the visit", |it, locale| {
            let booking = it.booking?;
            said(wording::date(booking.start, booking.zone, locale))
        }),
        variable("booking.time", Time, "the time the visit starts", |it, locale| {
            let booking = it.booking?;
            said(wording::time(booking.start, booking.zone, locale))
        }),
        variable("booking.weekday", Time, "the day of the week of the visit", |it, locale| {
            let booking = it.booking?;
            said(wording::weekday(booking.start, booking.zone, locale))
        }),
        variable("booking.zone", Text, "whose clock the times are by, only if the reader's is another", {
            |it, locale| {
                let booking = it.booking?;
                it.reader_zone.and_then(|_| said(wording::zone(booking.start, booking.zone, locale)))
            }
        }),
        variable("booking.end", Time, "the time the visit ends", |it, locale| {
            let booking = it.booking?;
            said(wording::time(booking.end, booking.zone, locale))
        }),
        variable("booking.number", Text, "the booking's number", |it, _| text(it.booking?.number)),
        variable("booking.price", Money, "what the visit costs", |it, locale| {
            money(it.booking?.price?, locale)
        }),
        variable("links.booking", Link, "online booking", |it, _| text(it.links.booking?)),
        variable("links.review", Link, "the page for a review", |it, _| text(it.links.review?)),
        variable("links.tip", Link, "the page for a tip", |it, _| text(it.links.tip?)),
        variable("links.map", Link, "a map of the location", |it, _| text(it.links.map?)),
        variable("links.confirm", Link, "the page to confirm the visit", |it, _| text(it.links.confirm?)),
        variable("links.cancel", Link, "the page to cancel the visit", |it, _| text(it.links.cancel?)),
        variable("links.reschedule", Link, "the page to ask for another time", |it, _| {
            text(it.links.reschedule?)
        }),
        variable("links.preferences", Link, "the page to choose what to hear about", |it, _| {
            text(it.links.preferences?)
        }),
        variable("links.unsubscribe", Link, "the page to opt out of marketing", |it, _| {
            text(it.links.unsubscribe?)
        }),
        variable("links.calendar", Link, "the calendar file", |it, _| text(it.links.calendar?)),
        variable("account.operation", Text, "what happened, such as prepayment_required", |it, _| {
            text(it.account?.operation.name())
        }),
        variable("account.amount", Money, "how much", |it, locale| money(it.account?.amount, locale)),
        variable("account.balance", Money, "what the account holds since", |it, locale| {
            money(it.account?.balance?, locale)
        }),
        variable("bonus.kind", Text, "accrued or birthday_gift", |it, _| text(it.bonus?.kind.name())),
        variable("bonus.amount", Money, "how much", |it, locale| bonus(it.bonus?.amount, locale)),
        variable("bonus.balance", Money, "what the client has since", |it, locale| {
            bonus(it.bonus?.balance?, locale)
        }),
        variable("code", Text, "the code", |it, _| text(it.code?)),
        variable("message.subject", Text, "the subject staff wrote", |it, _| text(it.message?.subject?)),
        variable("message.text", Text, "the text staff wrote", |it, _| text(it.message?.text)),
        variable("series.count", Number, "how many visits the series has", |it, _| {
            Some(Value::from(it.series?.count))
        }),
        variable("series.dates", List, "day and time of each visit", |it, locale| {
            let (series, booking) = (it.series?, it.booking?);
            let dates = series.starts.iter().map(|&start| when(it, start, booking.zone, locale));
            Some(Value::from(dates.collect::<Option<Vec<String>>>()?))
        }),
        variable("offer.until", Time, "until when the time is held", |it, locale| {
            let offer = it.offer?;
            let until = wording::day_and_time(offer.until, offer.zone, locale)?;
            said(with_zone(it, until, offer.until, offer.zone, locale))
        }),
    ]
};

fn text(text: &str) -> Option<Value> {
    Some(Value::from(text))
}

fn said(words: Option<String>) -> Option<Value> {
    words.map(Value::from)
}

fn money(amount: &Money, locale: Locale) -> Option<Value> {
    said(wording::money(amount, locale))
}

fn bonus(amount: &BonusAmount, locale: Locale) -> Option<Value> {
    match amount {
        BonusAmount::Money(amount) => money(amount, locale),
        BonusAmount::Points(points) => said(wording::points(*points, locale)),
    }
}

/// Day and time of a visit, with the zone for readers who live by another clock.
fn when(values: &Values<'_>, at: Timestamp, zone: &Zone, locale: Locale) -> Option<String> {
    with_zone(values, wording::when(at, zone, locale)?, at, zone, locale)
}

fn with_zone(
    values: &Values<'_>,
    time: String,
    at: Timestamp,
    zone: &Zone,
    locale: Locale,
) -> Option<String> {
    match values.reader_zone {
        None => Some(time),
        Some(_) => Some(format!("{time} ({})", wording::zone(at, zone, locale)?)),
    }
}

impl Variable {
    /// The variable of a name.
    pub fn named(name: &str) -> Option<&'static Variable> {
        VARIABLES.iter().find(|variable| variable.name == name)
    }

    /// Whether texts of a type may use it.
    pub fn is_for(&self, kind: NotificationType) -> bool {
        use NotificationType as Kind;
        match self.group() {
            "staff" => matches!(kind.audience(), Audience::Staff | Audience::Managers),
            "client" | "location" => kind != Kind::VerificationCode,
            "resource" | "service" | "booking" => !matches!(
                kind,
                Kind::VerificationCode | Kind::BonusAccrued | Kind::Individual | Kind::Campaign
            ),
            "account" => kind == Kind::AccountOperation,
            "bonus" => kind == Kind::BonusAccrued,
            "code" => kind == Kind::VerificationCode,
            "message" => matches!(kind, Kind::Individual | Kind::Campaign),
            "series" => kind == Kind::BookingCreated,
            "offer" => kind == Kind::WaitlistOffer,
            _ => true,
        }
    }

    /// What it says in the sample data, for lists and previews.
    pub fn example(&self, locale: Locale) -> Option<String> {
        let value = (self.value)(&Values::sample(locale), locale)?;
        if self.kind != VariableKind::List {
            return Some(value.to_string());
        }
        let items: Vec<String> = value.try_iter().ok()?.map(|item| item.to_string()).collect();
        Some(items.join(", "))
    }

    fn group(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(group, _)| group)
    }
}

/// The values of one group as templates look them up. What is missing is undefined: printing it is an error.
#[derive(Debug)]
struct Group(Vec<(&'static str, Value)>);

impl Object for Group {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        self.0.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone())
    }
}

impl<'a> Values<'a> {
    /// The links that our own texts offer.
    pub(super) fn offered(&self) -> Links<'a> {
        Links { confirm: self.links.confirm.filter(|_| self.asks), ..self.links }
    }
}

impl Values<'_> {
    /// The values as the texts of a type see them. Every group is there, so that `{% if %}` may ask for any of its
    /// members; what texts of the type may not use is not put into words.
    pub(super) fn context(&self, locale: Locale, kind: NotificationType) -> Value {
        let mut root = Vec::with_capacity(16);
        let mut rest = VARIABLES;
        while let Some(first) = rest.first() {
            let group = first.group();
            let size = rest.iter().take_while(|variable| variable.group() == group).count();
            let (members, others) = rest.split_at(size);
            if !first.is_for(kind) {
                root.push((group, Value::from_object(Group(Vec::new()))));
            } else if first.name == group {
                root.extend((first.value)(self, locale).map(|value| (group, value)));
            } else {
                let member = |variable: &Variable| {
                    Some((variable.name.get(group.len() + 1..)?, (variable.value)(self, locale)?))
                };
                root.push((group, Value::from_object(Group(members.iter().filter_map(member).collect()))));
            }
            rest = others;
        }
        Value::from_object(Group(root))
    }

    /// The least a text can be filled with: the name of a business.
    pub(super) fn least(locale: Locale) -> Values<'static> {
        let business = BusinessValues {
            legal_name: None,
            phone: None,
            site: None,
            signature: None,
            ..Values::sample(locale).business
        };
        Values {
            client: None,
            staff: None,
            business,
            location: None,
            resource: None,
            service: None,
            booking: None,
            reader_zone: None,
            links: Links::default(),
            asks: true,
            account: None,
            bonus: None,
            code: None,
            message: None,
            series: None,
            offer: None,
        }
    }

    /// Made-up values for previews and for trying templates out (S12): all there are, of every type.
    pub fn sample(locale: Locale) -> Values<'static> {
        let sample = &*SAMPLE;
        let amount = sample.amount.as_ref();
        let words = |english: &'static str, russian: &'static str| match locale {
            Locale::En => english,
            Locale::Ru => russian,
        };
        Values {
            client: Some(PersonValues {
                name: words("Anna", "Анна"),
                phone: Some("+351912345678"),
                email: Some("anna@example.com"),
            }),
            staff: Some(PersonValues {
                name: words("Martha", "Марта"),
                phone: Some("+351911111111"),
                email: Some("martha@example.com"),
            }),
            business: BusinessValues {
                name: words("Salon Aurora", "Салон «Аврора»"),
                legal_name: Some(words("Aurora Ltd", "ООО «Аврора»")),
                phone: Some("+351210000000"),
                site: Some("https://aurora.example"),
                signature: Some(words("Yours, Aurora", "Ваша «Аврора»")),
            },
            location: Some(LocationValues {
                name: words("Old Town", "Старый город"),
                address: Some(words("12 Garden Street", "Садовая ул., 12")),
                map_url: Some("https://aurora.example/map"),
            }),
            resource: Some(ResourceValues {
                name: words("Martha", "Марта"), kind: ResourceKind::Specialist
            }),
            service: Some(ServiceValues {
                name: words("Haircut", "Стрижка"),
                price: amount,
                duration_minutes: 90,
            }),
            booking: Some(BookingValues {
                start: sample.start,
                end: sample.end,
                zone: &sample.zone,
                number: "7K2M",
                price: amount,
            }),
            reader_zone: None,
            links: Links {
                booking: Some("https://aurora.example/book"),
                review: Some("https://aurora.example/review"),
                tip: Some("https://aurora.example/tip"),
                map: Some("https://aurora.example/map"),
                confirm: Some("https://aurora.example/confirm"),
                cancel: Some("https://aurora.example/cancel"),
                reschedule: Some("https://aurora.example/move"),
                preferences: Some("https://aurora.example/preferences"),
                unsubscribe: Some("https://aurora.example/unsubscribe"),
                calendar: Some("https://aurora.example/visit.ics"),
            },
            asks: true,
            account: amount.map(|amount| AccountValues {
                operation: AccountOperationKind::PrepaymentRequired,
                amount,
                balance: Some(amount),
            }),
            bonus: Some(BonusValues {
                kind: BonusKind::Accrued,
                amount: &BonusAmount::Points(150),
                balance: Some(&BonusAmount::Points(420)),
            }),
            code: Some("482913"),
            message: Some(MessageValues {
                subject: Some(words("A question about your visit", "Вопрос о вашем визите")),
                text: words(
                    "We have found your umbrella. It is waiting for you.",
                    "Мы нашли ваш зонт. Он ждёт вас у нас.",
                ),
            }),
            series: Some(SeriesValues { count: 2, starts: &sample.starts }),
            offer: Some(OfferValues { until: sample.until, zone: &sample.zone }),
        }
    }
}

/// What the sample borrows.
struct Sample {
    zone: Zone,
    start: Timestamp,
    end: Timestamp,
    until: Timestamp,
    starts: [Timestamp; 2],
    amount: Option<Money>,
}

static SAMPLE: LazyLock<Sample> = LazyLock::new(|| {
    let zone = Zone(TimeZone::get("Europe/Lisbon").unwrap_or(TimeZone::UTC));
    let at = |day, hour, minute| {
        zone.instant(date(2026, 11, day).at(hour, minute, 0, 0)).unwrap_or(Timestamp::UNIX_EPOCH)
    };
    let start = at(23, 10, 0);
    Sample {
        start,
        end: at(23, 11, 30),
        until: at(22, 18, 0),
        starts: [start, at(30, 10, 0)],
        amount: "EUR".to_owned().try_into().ok().map(|currency| Money { minor: 4500, currency }),
        zone,
    }
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s12_the_sample_has_every_variable() {
        for locale in Locale::ALL {
            for variable in VARIABLES {
                let example = variable.example(locale);
                // The sample's reader lives by the clock of the visit.
                assert_eq!(example.is_none(), variable.name == "booking.zone", "{}", variable.name);
                assert_ne!(example.as_deref(), Some(""), "{}", variable.name);
            }
        }
    }

    #[test]
    fn s6_variables_of_a_group_stand_together_and_are_named_once() {
        let mut groups: Vec<&str> = VARIABLES.iter().map(Variable::group).collect();
        groups.dedup();
        let mut seen = groups.clone();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(groups.len(), seen.len());
        for variable in VARIABLES {
            assert_eq!(Variable::named(variable.name).unwrap().words, variable.words);
        }
    }
}
