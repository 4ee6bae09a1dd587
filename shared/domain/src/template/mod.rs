//! Templates: the texts of messages, what a business may change of them, and how they are filled.
//!
//! A text is filled from [`Values`]; it knows nothing else. What may stand in it is a table, [`VARIABLES`].

mod builtin;
mod letter;
mod syntax;
#[cfg(test)]
mod tests;
mod values;

use minijinja::{ErrorKind, Value};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::letter::{Block, Letter};
use self::syntax::Mistake;
pub use self::syntax::Position;
pub use self::values::{
    AccountValues, BonusValues, BookingValues, BusinessValues, Links, LocationValues, MessageValues,
    OfferValues, PersonValues, ResourceValues, SeriesValues, ServiceValues, VARIABLES, Values, Variable,
    VariableKind,
};
use crate::business::Locale;
use crate::calendar::Calendar;
use crate::channel::Channel;
use crate::ids::BusinessId;
use crate::messenger::WhatsappTemplate;
use crate::notification_type::{Audience, NotificationType};
use crate::resource::ResourceKind;
use crate::task::TaskLink;
use crate::text::{Link, Name};

/// The longest text a business may write, in characters, unfilled.
pub const MAX_TEXT: usize = 2_000;

/// The longest sms, in characters. Source: SNS, <https://docs.aws.amazon.com/sns/latest/dg/sms_publish-to-phone.html>.
pub const MAX_SMS: usize = 1_600;

/// The longest body of a push message, in characters: with the rest it must fit the 4 KB that APNs and FCM take.
pub const MAX_PUSH: usize = 1_000;

/// The longest message in a messenger, in characters. Source: <https://core.telegram.org/bots/api#sendmessage>; WhatsApp takes as many.
pub const MAX_CHAT: usize = 4_096;

/// The most that [`Templates`] of one type may hold, in bytes of text: they are kept as one item.
pub const MAX_TEMPLATES: usize = 65_536;

/// A text, ready to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// An e-mail.
    Email {
        /// The subject, one line.
        subject: String,
        /// The plain text.
        text: String,
        /// The same as HTML.
        html: String,
        /// The calendar file that goes with it. [`render`] leaves it out; whoever knows the booking adds it.
        calendar: Option<Calendar>,
        /// More headers, name and value: those of one-click unsubscription (RFC 8058) on marketing.
        headers: Vec<(String, String)>,
    },
    /// A text message.
    Sms {
        /// The text, at most [`MAX_SMS`] characters.
        text: String,
    },
    /// A push message.
    Push {
        /// The title: the business's name.
        title: String,
        /// The body, at most [`MAX_PUSH`] characters.
        body: String,
        /// What opens when the reader taps on it. [`render`] leaves it out; whoever knows the business's app adds it.
        link: Option<String>,
    },
    /// A WhatsApp message.
    Whatsapp {
        /// The approved template and what goes into it; without one it is written freely, which WhatsApp allows for a day after the
        /// client's own message.
        template: Option<FilledTemplate>,
        /// The text; with a template, what we put into it.
        text: String,
    },
    /// A Telegram message.
    Telegram {
        /// The text, at most [`MAX_CHAT`] characters.
        text: String,
        /// The buttons under it. [`render`] leaves them out; whoever knows the booking adds them.
        buttons: Vec<Button>,
    },
    /// A text for staff to send by hand (S67).
    Assisted {
        /// The text, at most [`MAX_SMS`] characters.
        text: String,
        /// Links that open it, addressed, in the app that sends it. [`render`] leaves them out; whoever knows the recipient adds them.
        links: Vec<TaskLink>,
    },
}

/// A WhatsApp template with what goes into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilledTemplate {
    /// Its name.
    pub name: String,
    /// Its language code.
    pub language: String,
    /// What goes into the places of its body, in their order.
    pub parameters: Vec<String>,
    /// Whether its first two buttons answer with [`Action::Confirm`] and [`Action::Cancel`].
    pub asks: bool,
}

/// A button under a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    /// What it does.
    pub action: Action,
    /// What the reader sees.
    pub label: String,
}

/// What a client can do to the visit from within a messenger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The client will come.
    Confirm,
    /// The client calls the visit off.
    Cancel,
}

impl Action {
    /// The name in what messengers send back.
    pub fn name(self) -> &'static str {
        match self {
            Action::Confirm => "confirm",
            Action::Cancel => "cancel",
        }
    }

    /// The action of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Action::Confirm, Action::Cancel].into_iter().find(|action| action.name() == name)
    }
}

impl Content {
    /// What the message log keeps.
    pub fn text(&self) -> &str {
        match self {
            Content::Email { text, .. }
            | Content::Sms { text }
            | Content::Push { body: text, .. }
            | Content::Whatsapp { text, .. }
            | Content::Telegram { text, .. }
            | Content::Assisted { text, .. } => text,
        }
    }
}

/// What a business has changed of the texts of one type. What is not here is as we deliver it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Templates {
    /// Whose they are.
    pub business_id: BusinessId,
    /// Of which type.
    #[serde(rename = "type")]
    pub kind: NotificationType,
    /// Texts for sms and push (S5).
    #[serde(default)]
    pub texts: Vec<OwnText>,
    /// What e-mails say beside our own text (S11).
    #[serde(default)]
    pub blocks: Vec<InformationBlock>,
}

/// A text of the business, instead of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnText {
    /// For which channel: any but email. The body of e-mails is fixed (S10).
    pub channel: Channel,
    /// In which language.
    pub locale: Locale,
    /// For bookings of one kind of resource only (S57); none means every booking that has no text of its own kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_kind: Option<ResourceKind>,
    /// The template, 1 to 2000 characters ([`MAX_TEXT`]). Emoji are welcome (S9).
    #[schema(min_length = 1, max_length = 2000)]
    pub text: String,
}

/// What a business adds to its e-mails (S11).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InformationBlock {
    /// In which language.
    pub locale: Locale,
    /// For bookings of one kind of resource only (S57); none means every booking that has no block of its own kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_kind: Option<ResourceKind>,
    /// A template, 1 to 2000 characters ([`MAX_TEXT`]); an empty line divides paragraphs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 2000)]
    pub text: Option<String>,
    /// An image. The reader's mail program fetches it; we never do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Link>,
    /// A link, shown as a button.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LabelledLink>,
}

/// A link and what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelledLink {
    /// What the reader sees.
    pub label: Name,
    /// Where it leads.
    pub url: Link,
}

/// Why [`Templates`] cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {}{words}", at.map(|at| format!("{at}: ")).unwrap_or_default())]
pub struct InvalidTemplate {
    /// The field, such as `texts[2].text`.
    pub path: String,
    /// What is wrong with it, or what was expected.
    pub words: String,
    /// Where in the text, if that can be told.
    pub at: Option<Position>,
}

/// A text could not be made: a value is missing or the template is wrong.
#[derive(Debug, thiserror::Error)]
#[error("the template for {kind} by {channel} could not be filled")]
pub struct TemplateError {
    kind: NotificationType,
    channel: Channel,
    #[source]
    source: Unfilled,
}

/// Why a text could not be filled.
#[derive(Debug, thiserror::Error)]
enum Unfilled {
    #[error("the template engine refused it")]
    Engine(#[from] minijinja::Error),
    #[error("the business's text is not allowed")]
    Mistake(#[from] Mistake),
    #[error("it says nothing")]
    Empty,
    #[error("it has {length} characters, more than {most}")]
    TooLong { length: usize, most: usize },
    #[error("marketing by e-mail needs a link to unsubscribe")]
    NoUnsubscribe,
}

/// Fills the text of a type on a channel, from the business's own text where it has one.
///
/// # Errors
/// [`TemplateError`] when a value the text needs is missing, when the filled text is empty or longer than the channel
/// takes, or when marketing by e-mail has no link to unsubscribe. Nothing half-filled is ever returned.
pub fn render(
    values: &Values<'_>,
    locale: Locale,
    kind: NotificationType,
    channel: Channel,
    own: Option<&Templates>,
) -> Result<Content, TemplateError> {
    let asked = Asked::new(values, locale, kind, own.filter(|own| own.kind == kind));
    let content = match channel {
        Channel::Email => email(&asked),
        Channel::Sms => sms(&asked),
        Channel::Push => push(&asked),
        Channel::Whatsapp => {
            chat(&asked, channel, MAX_CHAT).map(|text| Content::Whatsapp { template: None, text })
        }
        Channel::Telegram => {
            chat(&asked, channel, MAX_CHAT).map(|text| Content::Telegram { text, buttons: vec![] })
        }
        // What staff sends from a number of their own says who writes, as an sms does.
        Channel::Assisted => chat(&asked, channel, MAX_SMS).map(|text| Content::Assisted {
            text: format!("{}: {text}", asked.values.business.name),
            links: vec![],
        }),
    };
    content.map_err(|source| TemplateError { kind, channel, source })
}

/// What [`render`] was asked for.
struct Asked<'a> {
    values: &'a Values<'a>,
    /// The values as the business's own texts see them.
    context: Value,
    /// The values as our texts see them.
    ours: Value,
    locale: Locale,
    kind: NotificationType,
    own: Option<&'a Templates>,
}

impl<'a> Asked<'a> {
    fn new(
        values: &'a Values<'a>,
        locale: Locale,
        kind: NotificationType,
        own: Option<&'a Templates>,
    ) -> Self {
        let context = values.context(locale, kind);
        let ours = match values.asks || values.links.confirm.is_none() {
            true => context.clone(),
            false => Values { links: values.offered(), ..values.clone() }.context(locale, kind),
        };
        Self { values, context, ours, locale, kind, own }
    }
}

impl Asked<'_> {
    /// What kind of resource the booking takes.
    fn resource_kind(&self) -> Option<ResourceKind> {
        self.values.resource.map(|resource| resource.kind)
    }
}

fn sms(asked: &Asked<'_>) -> Result<Content, Unfilled> {
    let mut text = match own_text(asked, Channel::Sms) {
        Some(own) => fill_own(own, asked)?,
        // The phone shows a number or a code, not who writes (S61).
        None => format!("{}: {}", asked.values.business.name, our_text(asked, Channel::Sms)?),
    };
    if let Some(signature) = signature(asked) {
        text = format!("{text} {signature}");
    }
    // The no-break spaces of amounts would force UCS-2, at less than half the characters a segment.
    let text = text.replace(['\u{a0}', '\u{202f}'], " ");
    Ok(Content::Sms { text: fitting(text, MAX_SMS)? })
}

fn push(asked: &Asked<'_>) -> Result<Content, Unfilled> {
    let body = chat(asked, Channel::Push, MAX_PUSH)?;
    Ok(Content::Push { title: asked.values.business.name.to_owned(), body, link: None })
}

/// A text where the reader sees who writes beside it.
fn chat(asked: &Asked<'_>, channel: Channel, most: usize) -> Result<String, Unfilled> {
    let text = match own_text(asked, channel) {
        Some(own) => fill_own(own, asked)?,
        None => our_text(asked, channel)?,
    };
    fitting(text, most)
}

/// Fills the places of a WhatsApp template.
///
/// # Errors
/// [`TemplateError`] as [`render`].
pub fn fill_whatsapp(
    values: &Values<'_>,
    locale: Locale,
    kind: NotificationType,
    template: &WhatsappTemplate,
) -> Result<Content, TemplateError> {
    let channel = Channel::Whatsapp;
    let asked = Asked::new(values, locale, kind, None);
    let parameters: Result<Vec<String>, Unfilled> = template
        .parameters
        .iter()
        // A place takes no line breaks. <https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages>
        .map(|text| fill_own(text, &asked).and_then(|text| fitting(one_line(&text), MAX_SMS)))
        .collect();
    let parameters = parameters.map_err(|source| TemplateError { kind, channel, source })?;
    let text = format!("[{}] {}", template.name.as_str(), parameters.join(" | "));
    let filled = FilledTemplate {
        name: template.name.as_str().to_owned(),
        language: template.language(locale).to_owned(),
        parameters,
        asks: template.asks,
    };
    Ok(Content::Whatsapp { template: Some(filled), text })
}

/// Fills a text that staff has written for a campaign, which then stands in the text of its type as `message.text` or `message.subject`.
///
/// # Errors
/// [`TemplateError`] when a value it needs is missing.
pub fn fill_campaign(
    text: &str,
    values: &Values<'_>,
    locale: Locale,
    channel: Channel,
) -> Result<String, TemplateError> {
    let kind = NotificationType::Campaign;
    let asked = Asked::new(values, locale, kind, None);
    fill_own(text, &asked).map_err(|source| TemplateError { kind, channel, source })
}

/// Checks a text of a campaign, that of the field `path`: as [`Templates::check`] does, in every language, for it is sent to readers of all.
/// It cannot speak of itself.
///
/// # Errors
/// [`InvalidTemplate`].
pub fn check_campaign(text: &str, path: &str) -> Result<(), InvalidTemplate> {
    let kind = NotificationType::Campaign;
    let check = |locale| {
        // The least that any channel takes.
        try_out(text, kind, locale, MAX_PUSH)?;
        let alone = Values { message: None, ..Values::sample(locale) };
        builtin::fill_own(text, &alone.context(locale, kind), locale)
            .map(|_| ())
            .map_err(|error| Mistake::from_engine(&error, text))
    };
    Locale::ALL.into_iter().try_for_each(check).map_err(|mistake| InvalidTemplate {
        path: path.to_owned(),
        words: mistake.words,
        at: mistake.at,
    })
}

/// The buttons that go with a type's message: the links of its e-mail that a messenger can do by itself.
pub fn buttons(kind: NotificationType, locale: Locale) -> Vec<Button> {
    let of_link =
        |(name, label): (&str, &str)| Some(Button { action: Action::named(name)?, label: label.to_owned() });
    builtin::links(kind, locale).filter_map(of_link).collect()
}

/// Checks what goes into the places of a WhatsApp template.
///
/// # Errors
/// [`InvalidTemplate`] names the parameter that is wrong, as `parameters[0]`.
pub fn check_whatsapp(template: &WhatsappTemplate, kind: NotificationType) -> Result<(), InvalidTemplate> {
    if template.parameters.len() > 20 {
        let words = "expected at most 20".to_owned();
        return Err(InvalidTemplate { path: "parameters".to_owned(), words, at: None });
    }
    for (number, text) in template.parameters.iter().enumerate() {
        for locale in Locale::ALL {
            try_out(text, kind, locale, MAX_SMS).map_err(|mistake| InvalidTemplate {
                path: format!("parameters[{number}]"),
                words: mistake.words,
                at: mistake.at,
            })?;
        }
    }
    Ok(())
}

/// The text the business has written for a channel.
fn own_text<'a>(asked: &Asked<'a>, channel: Channel) -> Option<&'a str> {
    let texts = asked.own?.texts.iter().filter(|it| it.channel == channel && it.locale == asked.locale);
    Some(&closest(texts, asked.resource_kind(), |it| it.resource_kind)?.text)
}

/// Our text for sms and push.
fn our_text(asked: &Asked<'_>, channel: Channel) -> Result<String, Unfilled> {
    let own = builtin::has(asked.kind, channel.name(), asked.locale);
    let section = if own { channel.name() } else { "short" };
    saying(builtin::fill(asked.kind, section, &asked.ours, asked.locale)?)
}

/// Fills a text of the business. It was checked when it was saved; it is again, for only what has been checked is
/// bounded in what it may do.
fn fill_own(text: &str, asked: &Asked<'_>) -> Result<String, Unfilled> {
    fitting_template(text)?;
    syntax::check(text, asked.kind)?;
    saying(builtin::fill_own(text, &asked.context, asked.locale)?)
}

/// Of the variants that fit the booking's kind of resource, the one made for that kind, else the one for all (S57).
fn closest<'a, T>(
    variants: impl Iterator<Item = &'a T>,
    wanted: Option<ResourceKind>,
    kind_of: impl Fn(&T) -> Option<ResourceKind>,
) -> Option<&'a T> {
    variants
        .filter(|variant| kind_of(variant).is_none() || kind_of(variant) == wanted)
        .max_by_key(|variant| kind_of(variant).is_some())
}

fn signature<'a>(asked: &Asked<'a>) -> Option<&'a str> {
    use NotificationType::{BookingConfirmed, BookingCreated};
    let signed = matches!(asked.kind, BookingCreated | BookingConfirmed);
    asked.values.business.signature.filter(|_| signed)
}

/// A filled text without the space around it, if anything is left.
fn saying(text: String) -> Result<String, Unfilled> {
    let text = text.trim();
    if text.is_empty() { Err(Unfilled::Empty) } else { Ok(text.to_owned()) }
}

fn fitting(text: String, most: usize) -> Result<String, Unfilled> {
    let length = text.chars().count();
    if length > most { Err(Unfilled::TooLong { length, most }) } else { Ok(text) }
}

fn fitting_template(text: &str) -> Result<(), Mistake> {
    let length = text.chars().count();
    if text.trim().is_empty() || length > MAX_TEXT {
        let words = format!("expected 1 to {MAX_TEXT} characters, got {length}");
        return Err(Mistake { words, at: None });
    }
    Ok(())
}

fn email(asked: &Asked<'_>) -> Result<Content, Unfilled> {
    let Asked { values, ours: context, locale, kind, .. } = asked;
    let (locale, kind) = (*locale, *kind);
    let unsubscribe = values.links.unsubscribe.filter(|_| kind.is_marketing());
    if kind.is_marketing() && unsubscribe.is_none() {
        return Err(Unfilled::NoUnsubscribe);
    }
    let mut details = Vec::new();
    for section in detail_sections(kind) {
        let filled = builtin::fill_shared(section, context, locale)?;
        let row = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
        details.extend(filled.lines().filter_map(row));
    }
    let foot_link = |name: &str| {
        let link = values.links.by_name(name)?;
        Some((builtin::foot_label(name, locale)?, link.to_owned()))
    };
    let footer = builtin::fill_shared("footer", context, locale)?;
    let letter = Letter {
        locale,
        business: values.business.name.to_owned(),
        subject: one_line(&saying(builtin::fill(kind, "subject", context, locale)?)?),
        body: saying(builtin::fill(kind, "email", context, locale)?)?.replace("\r\n", "\n"),
        details,
        links: builtin::links(kind, locale)
            .filter_map(|(name, label)| Some((label, values.offered().by_name(name)?.to_owned())))
            .collect(),
        signature: signature(asked).map(str::to_owned),
        block: block(asked)?,
        footer: footer.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect(),
        foot_links: foot_link("preferences")
            .filter(|_| kind.audience() == Audience::Client)
            .into_iter()
            .chain(unsubscribe.and_then(|_| foot_link("unsubscribe")))
            .collect(),
    };
    Ok(Content::Email {
        text: letter.text(),
        html: letter.html(),
        calendar: None,
        headers: unsubscribe.map(one_click).unwrap_or_default(),
        subject: letter.subject,
    })
}

/// The information block, filled (S11).
fn block(asked: &Asked<'_>) -> Result<Option<Block>, Unfilled> {
    let own = asked.own.and_then(|own| own.block(asked.locale, asked.resource_kind()));
    let Some(block) = own else { return Ok(None) };
    Ok(Some(Block {
        text: block.text.as_ref().map(|text| fill_own(text, asked)).transpose()?,
        image: block.image.as_ref().map(|image| image.as_str().to_owned()),
        link: block.link.as_ref().map(|it| (it.label.as_str().to_owned(), it.url.as_str().to_owned())),
    }))
}

/// The facts an e-mail shows beside its text: those of the visit where it is ahead, to staff those of the client too.
fn detail_sections(kind: NotificationType) -> &'static [&'static str] {
    use NotificationType as Kind;
    match kind {
        Kind::BookingCreated
        | Kind::BookingConfirmed
        | Kind::BookingRescheduled
        | Kind::BookingChanged
        | Kind::ConfirmationRequest
        | Kind::Reminder => &["details"],
        _ if for_staff(kind) => &["client", "details"],
        _ => &[],
    }
}

fn for_staff(kind: NotificationType) -> bool {
    matches!(kind.audience(), Audience::Staff | Audience::Managers)
}

/// A subject is one line: what follows a line break would be taken for another header.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The headers by which mail programs offer to unsubscribe with one click (RFC 8058 §3.1).
fn one_click(link: &str) -> Vec<(String, String)> {
    vec![
        ("List-Unsubscribe".to_owned(), format!("<{link}>")),
        ("List-Unsubscribe-Post".to_owned(), "List-Unsubscribe=One-Click".to_owned()),
    ]
}

impl Templates {
    /// A business that has changed nothing of a type's texts.
    pub fn none(business_id: BusinessId, kind: NotificationType) -> Self {
        Self { business_id, kind, texts: Vec::new(), blocks: Vec::new() }
    }

    /// The block for e-mails about a kind of resource: the one made for that kind, else the one for all (S57).
    pub fn block(&self, locale: Locale, resource_kind: Option<ResourceKind>) -> Option<&InformationBlock> {
        let blocks = self.blocks.iter().filter(|block| block.locale == locale);
        closest(blocks, resource_kind, |block| block.resource_kind)
    }

    /// Checks that every text can be filled: that it is well-formed, uses only the variables of its type, and, tried
    /// with sample values and with the least there can be, ends and fits its channel.
    ///
    /// # Errors
    /// [`InvalidTemplate`] names the first field that is wrong.
    pub fn check(&self) -> Result<(), InvalidTemplate> {
        let invalid =
            |path: String, mistake: Mistake| InvalidTemplate { path, words: mistake.words, at: mistake.at };
        let plain = |words: &str| Mistake { words: words.to_owned(), at: None };
        for (number, it) in self.texts.iter().enumerate() {
            let most = match it.channel {
                Channel::Sms | Channel::Assisted => MAX_SMS,
                Channel::Push => MAX_PUSH,
                Channel::Whatsapp | Channel::Telegram => MAX_CHAT,
                Channel::Email => {
                    let words = "expected a channel other than email, whose text is fixed";
                    return Err(invalid(format!("texts[{number}].channel"), plain(words)));
                }
            };
            let same = |other: &&OwnText| {
                (other.channel, other.locale, other.resource_kind)
                    == (it.channel, it.locale, it.resource_kind)
            };
            if self.texts.iter().find(same).is_some_and(|first| !std::ptr::eq(first, it)) {
                let words = "expected one text for each channel, locale and resource kind";
                return Err(invalid(format!("texts[{number}]"), plain(words)));
            }
            try_out(&it.text, self.kind, it.locale, most)
                .map_err(|mistake| invalid(format!("texts[{number}].text"), mistake))?;
        }
        for (number, it) in self.blocks.iter().enumerate() {
            let same = |other: &&InformationBlock| {
                (other.locale, other.resource_kind) == (it.locale, it.resource_kind)
            };
            if self.blocks.iter().find(same).is_some_and(|first| !std::ptr::eq(first, it)) {
                let words = "expected one block for each locale and resource kind";
                return Err(invalid(format!("blocks[{number}]"), plain(words)));
            }
            if it.text.is_none() && it.image.is_none() && it.link.is_none() {
                let words = "expected a text, an image or a link";
                return Err(invalid(format!("blocks[{number}]"), plain(words)));
            }
            if let Some(text) = &it.text {
                // What is filled in has limits of its own; a block may take what an sms may not.
                try_out(text, self.kind, it.locale, usize::MAX)
                    .map_err(|mistake| invalid(format!("blocks[{number}].text"), mistake))?;
            }
        }
        if self.size() > MAX_TEMPLATES {
            let words = format!("expected at most {MAX_TEMPLATES} bytes in all");
            return Err(invalid("texts".to_owned(), plain(&words)));
        }
        Ok(())
    }

    /// The bytes of all texts.
    fn size(&self) -> usize {
        let texts = self.texts.iter().map(|it| it.text.len());
        let blocks = self.blocks.iter().map(|it| {
            let link = it.link.as_ref().map_or(0, |link| link.label.as_str().len() + link.url.as_str().len());
            it.text.as_ref().map_or(0, String::len)
                + it.image.as_ref().map_or(0, |it| it.as_str().len())
                + link
        });
        texts.chain(blocks).sum()
    }
}

/// Checks a text and fills it twice: with every value there is, and with none but the business's name.
fn try_out(text: &str, kind: NotificationType, locale: Locale, most: usize) -> Result<(), Mistake> {
    fitting_template(text)?;
    syntax::check(text, kind)?;
    let filled = builtin::fill_own(text, &Values::sample(locale).context(locale, kind), locale)
        .map_err(|error| Mistake::from_engine(&error, text))?;
    let length = filled.chars().count();
    if length > most {
        let words =
            format!("expected at most {most} characters when filled, got {length} with sample values");
        return Err(Mistake { words, at: None });
    }
    match builtin::fill_own(text, &Values::least(locale).context(locale, kind), locale) {
        // That a value is missing says nothing against the text; anything else that fails does.
        Err(error) if error.kind() != ErrorKind::UndefinedError => Err(Mistake::from_engine(&error, text)),
        _ if filled.trim().is_empty() => {
            Err(Mistake { words: "expected a text that says something".to_owned(), at: None })
        }
        _ => Ok(()),
    }
}
