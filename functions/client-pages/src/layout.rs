//! What all pages share: the frame, the sheet, and the headers that keep it all to itself.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::business::Business;
use domain::text::Link;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::words::Words;

/// The sheet. Colours keep a contrast of 4.5 : 1 for text and 3 : 1 for what one presses or types into (WCAG 2.2 §1.4.3, §1.4.11), in light and
/// in dark; what is pressed is 44 pixels high or more (§2.5.5).
const SHEET: &str = "\
:root{color-scheme:light dark;--page:#f3f4f6;--card:#fff;--text:#111827;--faint:#4b5563;--line:#e5e7eb;--edge:#6b7280;\
--main:#1d4ed8;--on-main:#fff;--bad:#b91c1c;--on-bad:#fff;--note:#eff6ff;--warn:#fef2f2}\
@media (prefers-color-scheme:dark){:root{--page:#111827;--card:#1f2937;--text:#f3f4f6;--faint:#b6bdc9;--line:#374151;--edge:#9ca3af;\
--main:#93c5fd;--on-main:#0b1220;--bad:#fca5a5;--on-bad:#2b0a0a;--note:#1e3a5f;--warn:#4c1d1d}}\
*{box-sizing:border-box}\
body{margin:0;background:var(--page);color:var(--text);font:1.0625rem/1.5 -apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;\
overflow-wrap:break-word;-webkit-text-size-adjust:100%}\
.frame{max-width:36rem;margin:0 auto;padding:1.25rem 1rem 2rem}\
header{padding:.25rem .25rem 1rem;font-weight:600;color:var(--faint)}\
main{background:var(--card);border:1px solid var(--line);border-radius:1rem;padding:1.5rem}\
@media (min-width:40rem){.frame{padding-top:3rem}main{padding:2.25rem 2.5rem}}\
h1{margin:0 0 1rem;font-size:1.625rem;line-height:1.25;letter-spacing:-.01em}\
h2{margin:1.75rem 0 .5rem;font-size:1.125rem}\
p{margin:0 0 1rem}\
main>:last-child{margin-bottom:0}\
a{color:var(--main)}\
dl{margin:0 0 1.5rem;padding:1rem 1.25rem;background:var(--page);border-radius:.75rem}\
dt{font-size:.875rem;color:var(--faint)}\
dd{margin:0 0 .625rem}dd:last-child{margin-bottom:0}\
blockquote{margin:0 0 1.5rem;padding:.75rem 1.25rem;border-left:4px solid var(--line);white-space:pre-line}\
.hint{color:var(--faint);font-size:.9375rem;font-weight:400}\
.note,.warn{padding:.75rem 1rem;border-radius:.75rem;background:var(--note)}.warn{background:var(--warn)}\
button,.button{display:block;width:100%;min-height:3rem;margin:0 0 .75rem;padding:.6875rem 1.25rem;border:2px solid var(--main);\
border-radius:.75rem;background:var(--main);color:var(--on-main);font:inherit;font-weight:600;text-align:center;text-decoration:none;cursor:pointer}\
.more{background:transparent;color:var(--main);border-color:var(--edge)}\
.bad{background:var(--bad);border-color:var(--bad);color:var(--on-bad)}\
details{margin:0 0 .75rem}\
summary{display:block;min-height:3rem;padding:.6875rem 1.25rem;border:2px solid var(--edge);border-radius:.75rem;color:var(--main);\
font-weight:600;text-align:center;cursor:pointer}\
summary::-webkit-details-marker{display:none}\
details[open] summary{margin-bottom:1rem}\
:focus-visible,input:focus-within,textarea:focus{outline:3px solid var(--main);outline-offset:3px}\
fieldset{margin:0 0 1.5rem;padding:0;border:0;min-width:0}\
legend{margin:0 0 .5rem;padding:0;font-weight:600}\
.field{margin:0 0 1.25rem}.field label,.label{display:block;margin:0 0 .25rem;font-weight:600}\
@media (min-width:40rem){.pair{display:grid;grid-template-columns:1fr 1fr;gap:0 1rem}}\
input:not([type=radio]):not([type=checkbox]),textarea{display:block;width:100%;min-height:3rem;padding:.625rem .75rem;border:2px solid var(--edge);\
border-radius:.625rem;background:var(--card);color:var(--text);font:inherit}\
textarea{min-height:7rem;resize:vertical}\
[aria-invalid=true]{border-color:var(--bad)!important}\
.choice{display:flex;align-items:center;gap:.75rem;min-height:2.75rem;padding:.25rem 0;cursor:pointer}\
.choice input{flex:none;width:1.375rem;height:1.375rem;margin:0;accent-color:var(--main)}\
.stars{color:var(--main);letter-spacing:.1em}\
.mistake{color:var(--bad);font-weight:600}\
footer{padding:1.25rem .25rem 0;color:var(--faint);font-size:.9375rem}\
footer a{color:inherit}\
footer p{margin:0 0 .25rem}";

/// Nothing but the sheet is loaded, forms go nowhere else, and no other site shows the page in a frame.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(SHEET));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
});

/// The headers of every page: it is the reader's own, and what its address opens is told to nobody.
pub fn headers() -> [(&'static str, &'static str); 6] {
    [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", POLICY.as_str()),
        ("referrer-policy", "no-referrer"),
        ("x-robots-tag", "noindex, nofollow"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
    ]
}

/// A page, before it is put into its frame.
pub struct Page {
    /// What it is about: the heading and the title.
    pub title: &'static str,
    /// Whether something in a form is wrong: said in the title, which is read out first.
    pub mistaken: bool,
    /// What is under the heading.
    pub body: Markup,
}

/// A page in its frame, with whose it is, where that is known.
pub fn framed(page: &Page, business: Option<&Business>, words: &Words) -> String {
    html! {
        (DOCTYPE)
        html lang=(words.lang) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex,nofollow";
                title {
                    @if page.mistaken { (words.error) ": " }
                    (page.title)
                    @if let Some(business) = business { " – " (business.name.as_str()) }
                }
                style { (PreEscaped(SHEET)) }
            }
            body {
                div class="frame" {
                    @if let Some(business) = business { header { (business.name.as_str()) } }
                    main {
                        h1 { (page.title) }
                        (page.body)
                    }
                    @if let Some(business) = business { (foot(business, words)) }
                }
            }
        }
    }
    .into_string()
}

/// Whom to turn to.
fn foot(business: &Business, words: &Words) -> Markup {
    html! {
        footer {
            p { (business.legal_name.as_ref().unwrap_or(&business.name).as_str()) }
            @if let Some(phone) = &business.phone {
                p { (words.call) ": " a href={ "tel:" (phone.as_str()) } { (phone.as_str()) } }
            }
            @if let Some(site) = &business.site { p { a href=(site.as_str()) { (words.site) } } }
        }
    }
}

/// A link that looks like a button.
pub fn button_to(url: &str, label: &str) -> Markup {
    html! { a class="button more" href=(url) { (label) } }
}

/// The same to a page of the business's own, where there is one.
pub fn button_to_own(url: Option<&Link>, label: &str) -> Markup {
    html! { @if let Some(url) = url { (button_to(url.as_str(), label)) } }
}
