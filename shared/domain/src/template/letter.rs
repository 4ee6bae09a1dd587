//! An e-mail: the same content as plain text and as HTML. The layout is ours and fixed (S10).

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::business::Locale;

/// Everything an e-mail says, filled and in order.
#[derive(Debug, Default)]
pub(super) struct Letter {
    pub(super) locale: Locale,
    pub(super) business: String,
    pub(super) subject: String,
    /// The main text; an empty line divides paragraphs.
    pub(super) body: String,
    /// The facts of the visit: what, and the value.
    pub(super) details: Vec<(String, String)>,
    /// Where the reader may go: label and address, the most wanted first.
    pub(super) links: Vec<(&'static str, String)>,
    /// The business's own (S30).
    pub(super) signature: Option<String>,
    /// What the business adds (S11).
    pub(super) block: Option<Block>,
    /// Who writes: one line each.
    pub(super) footer: Vec<String>,
    /// Links at the foot: label and address.
    pub(super) foot_links: Vec<(&'static str, String)>,
}

/// The information block, filled (S11).
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) text: Option<String>,
    pub(super) image: Option<String>,
    /// Label and address.
    pub(super) link: Option<(String, String)>,
}

/// Colours that keep a contrast of 4.5 : 1 or more (WCAG 2.2 §1.4.3) in light and, by the classes, in dark. Styles are
/// inline because some mail programs drop the sheet.
const SHEET: &str = "@media (prefers-color-scheme:dark){\
    .page{background:#111827!important}.card{background:#1f2937!important;border-color:#374151!important}\
    .text{color:#f3f4f6!important}.faint{color:#9ca3af!important}\
    .box{background:#111827!important}.line{border-color:#374151!important}\
    .main{background:#93c5fd!important;color:#0b1220!important;border-color:#93c5fd!important}\
    .more{color:#93c5fd!important;border-color:#4b5563!important}}\
    @media (max-width:480px){.card{padding:24px 20px!important}.button{display:block!important}}";
const PAGE: &str = "margin:0;padding:0;background:#f3f4f6";
const AROUND: &str = "padding:24px 12px;background:#f3f4f6;\
    font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:16px;line-height:1.5";
const CARD: &str = "box-sizing:border-box;max-width:600px;margin:0 auto;padding:32px 40px;background:#ffffff;\
    border:1px solid #e5e7eb;border-radius:12px;overflow-wrap:break-word";
const NAME: &str = "margin:0 0 20px;font-size:14px;font-weight:600;color:#4b5563";
const TEXT: &str = "margin:0 0 16px;color:#111827";
const BOX: &str = "margin:8px 0 24px;padding:16px 20px 4px;background:#f3f4f6;border-radius:8px";
const ROW: &str = "margin:0 0 12px;color:#111827";
const LABEL: &str = "display:block;font-size:13px;color:#4b5563";
const BUTTONS: &str = "margin:0 0 8px";
const BUTTON: &str = "display:inline-block;box-sizing:border-box;margin:0 8px 12px 0;padding:11px 20px;\
    border:1px solid #1d4ed8;border-radius:8px;font-weight:600;text-align:center;text-decoration:none";
const MAIN: &str = "background:#1d4ed8;color:#ffffff";
const MORE: &str = "border-color:#d1d5db;color:#1d4ed8";
const BLOCK: &str = "margin:8px 0 0;padding:24px 0 0;border-top:1px solid #e5e7eb";
const IMAGE: &str = "display:block;max-width:100%;height:auto;margin:0 0 16px;border-radius:8px";
const FOOT: &str = "max-width:600px;margin:16px auto 0;padding:0 12px;font-size:13px;text-align:center";
const FAINT: &str = "margin:0 0 4px;color:#4b5563";

impl Letter {
    /// The plain text.
    pub(super) fn text(&self) -> String {
        let mut parts = vec![self.body.clone()];
        let lines = |pairs: Vec<String>| pairs.join("\n");
        parts.push(lines(self.details.iter().map(|(name, value)| format!("{name}: {value}")).collect()));
        parts.push(lines(self.links.iter().map(|(label, link)| format!("{label}: {link}")).collect()));
        parts.extend(self.signature.clone());
        if let Some(block) = &self.block {
            parts.extend(block.text.clone());
            parts.extend(block.link.as_ref().map(|(label, link)| format!("{label}: {link}")));
        }
        parts.push(self.footer.join("\n"));
        parts.push(lines(self.foot_links.iter().map(|(label, link)| format!("{label}: {link}")).collect()));
        parts.retain(|part| !part.is_empty());
        parts.join("\n\n")
    }

    /// The HTML.
    pub(super) fn html(&self) -> String {
        let lang = match self.locale {
            Locale::En => "en",
            Locale::Ru => "ru",
        };
        html! {
            (DOCTYPE)
            html lang=(lang) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width,initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.subject) }
                    style { (PreEscaped(SHEET)) }
                }
                body class="page" style=(PAGE) {
                    div class="page" style=(AROUND) {
                        div class="card" style=(CARD) {
                            p class="faint" style=(NAME) { (self.business) }
                            (paragraphs(&self.body))
                            (self.visit())
                            (buttons(self.links.iter().map(|(label, link)| (*label, link.as_str())), Some(0)))
                            @if let Some(signature) = &self.signature { (paragraphs(signature)) }
                            @if let Some(block) = &self.block { (block.html(&self.business)) }
                        }
                        div style=(FOOT) {
                            @for line in &self.footer { p class="faint" style=(FAINT) { (line) } }
                            @for (label, link) in &self.foot_links {
                                p class="faint" style=(FAINT) {
                                    a class="faint" style="color:#4b5563" href=(link) { (label) }
                                }
                            }
                        }
                    }
                }
            }
        }
        .into_string()
    }

    fn visit(&self) -> Markup {
        html! {
            @if !self.details.is_empty() {
                div class="box" style=(BOX) {
                    @for (name, value) in &self.details {
                        p class="text" style=(ROW) { span class="faint" style=(LABEL) { (name) } (value) }
                    }
                }
            }
        }
    }
}

impl Block {
    fn html(&self, business: &str) -> Markup {
        html! {
            div class="line" style=(BLOCK) {
                @if let Some(image) = &self.image { img src=(image) alt=(business) style=(IMAGE); }
                @if let Some(text) = &self.text { (paragraphs(text)) }
                @if let Some((label, link)) = &self.link {
                    (buttons(std::iter::once((label.as_str(), link.as_str())), None))
                }
            }
        }
    }
}

fn paragraphs(text: &str) -> Markup {
    html! {
        @for paragraph in text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()) {
            p class="text" style=(TEXT) {
                @for (number, line) in paragraph.lines().enumerate() {
                    @if number > 0 { br; }
                    (line)
                }
            }
        }
    }
}

/// Buttons, of which at most one is the main one.
fn buttons<'a>(links: impl Iterator<Item = (&'a str, &'a str)>, main: Option<usize>) -> Markup {
    let mut links = links.enumerate().peekable();
    html! {
        @if links.peek().is_some() {
            p style=(BUTTONS) {
                @for (number, (label, link)) in links {
                    @let (class, style) = if main == Some(number) { ("button main", MAIN) } else { ("button more", MORE) };
                    a class=(class) style={ (BUTTON) ";" (style) } href=(link) { (label) }
                    " "
                }
            }
        }
    }
}
