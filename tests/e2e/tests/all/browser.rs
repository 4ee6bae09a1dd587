//! Clients' own pages in a browser: `tests/browser/pages.py` looks at each of them in Chromium.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::salon::{Salon, TOKYO};
use crate::stack::Stack;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// This machine's Chromium.
fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named =
        |folder: PathBuf| ["chromium", "chromium-browser", "google-chrome"].map(|name| folder.join(name));
    let mut programs = std::env::split_paths(&path).flat_map(named);
    programs
        .find(|program| program.exists())
        .expect("Chromium is not on this machine; on Debian: apt-get install chromium")
}

/// A client's language, and one booking for each page: the addresses of all its pages.
struct Reader<'a> {
    salon: Salon<'a>,
    day: std::cell::Cell<i64>,
}

const PAGES: [&str; 6] = ["confirm", "cancel", "reschedule", "preferences", "unsubscribe", "review"];

impl<'a> Reader<'a> {
    fn new(stack: &'a Stack, lang: &'static str) -> Self {
        let salon = Salon::open(stack, TOKYO);
        let (name, address, service) = match lang {
            "ru" => ("Салон «Аврора»", "Садовая ул., 12", "Стрижка и укладка"),
            _ => ("Salon Aurora", "12 Garden Street", "Haircut and styling"),
        };
        let business = json!({
            "name": name, "locale": lang, "phone": "+351210000000", "site": "https://aurora.example",
            "booking_url": "https://aurora.example/book", "tip_url": "https://tips.example/aurora",
        });
        salon.api.patch("/v1/business", &business).ok();
        let card = json!({
            "name": "Maria", "phone": salon.client.phone, "email": salon.client.email, "locale": lang,
            "marketing_consent": true,
        });
        salon.api.put(&format!("/v1/clients/{}", salon.client.id), &card).ok();
        let place = json!({ "name": "Chiado", "zone": TOKYO, "address": address, "map_url": "https://maps.example/aurora" });
        salon.api.put(&format!("/v1/locations/{}", salon.location), &place).ok();
        let what =
            json!({ "name": service, "duration_minutes": 90, "price": { "minor": 4500, "currency": "EUR" } });
        salon.api.put(&format!("/v1/services/{}", salon.service), &what).ok();
        for kind in ["booking_created", "review_request"] {
            let links = PAGES
                .map(|page| format!("{{% if links.{page} %}}{page}={{{{ links.{page} }}}} {{% endif %}}"));
            let text = links.concat();
            let template =
                json!({ "texts": [{ "channel": "sms", "locale": lang, "text": text }], "blocks": [] });
            salon.api.put(&format!("/v1/templates/{kind}"), &template).ok();
        }
        Self { salon, day: std::cell::Cell::new(2) }
    }

    /// The address of a page about the booking whose client was told last.
    fn url(&self, page: &str) -> String {
        let left = self.salon.sent("sms", &self.salon.client.phone);
        let text = left.last().unwrap()["text"].as_str().unwrap().to_owned();
        let link = text.split_whitespace().find_map(|word| word.strip_prefix(&format!("{page}=")));
        link.unwrap_or_else(|| panic!("no link to {page} in {text}")).to_owned()
    }

    /// A new booking, and the address of its page.
    fn booked(&self, page: &str) -> String {
        let day = self.day.replace(self.day.get() + 1);
        self.salon.book(&self.salon.day(day, "15:00"));
        self.url(page)
    }

    /// A visit that is over, and the address of the page for its review.
    fn visited(&self) -> String {
        let day = self.day.replace(self.day.get() + 1);
        let id = self.salon.book(&self.salon.day(day, "15:00"));
        self.salon.run_to(&self.salon.day(day, "15:00"));
        self.salon.change(&id, "arrive", json!({}));
        self.salon.run_to(&self.salon.day(day, "16:30"));
        self.salon.change(&id, "complete", json!({}));
        self.salon.run_to(&self.salon.day(day, "18:45"));
        self.url("review")
    }

    fn page(&self, name: &str, url: String, steps: Value) -> Value {
        json!({ "name": name, "url": url, "steps": steps })
    }

    /// Every page there is, each with what leads to it.
    fn pages(&self) -> Vec<Value> {
        let click = |selector: &str| json!(["click", selector]);
        let open = |mut page: Value| {
            page["open"] = json!([["click", "summary"]]);
            page
        };
        let refused = |mut page: Value| {
            page["refused"] = json!(true);
            page
        };
        let expired = self.booked("cancel");
        // A link is of use to the end of the day, and after the visits below it is still the day of this one.
        self.salon.book(&self.salon.day(4, "12:00"));
        let begun = self.url("confirm");
        let (review, reviewed) = (self.visited(), self.visited());
        let low = json!([
            ["tick", "#rating-2", true],
            ["fill", "#text", "The coffee was cold.\nКофе остыл."],
            click("button")
        ]);
        let wish = json!([
            ["fill", "#date", self.salon.day(30, "15:00").date().to_string()],
            ["fill", "#time", "18:30"],
            ["fill", "#words", "Or any evening after that 🙂"],
            click("button")
        ]);
        let base = self.salon.stack.api.base();
        vec![
            self.page("confirm", self.booked("confirm"), json!([])),
            open(self.page("confirm-no", self.booked("confirm"), json!([]))),
            self.page("confirmed", self.booked("confirm"), json!([click("button[value=yes]")])),
            self.page(
                "confirm-cancelled",
                self.booked("confirm"),
                json!([click("summary"), click("button[value=no]")]),
            ),
            self.page("cancel", self.booked("cancel"), json!([])),
            self.page("cancelled", self.booked("cancel"), json!([click("button")])),
            self.page("reschedule", self.booked("reschedule"), json!([])),
            refused(self.page("reschedule-mistake", self.booked("reschedule"), json!([click("button")]))),
            self.page("reschedule-sent", self.booked("reschedule"), wish),
            refused(self.page("review-mistake", review.clone(), json!([click("button")]))),
            self.page("review", review, json!([])),
            self.page("reviewed", reviewed, low),
            self.page("preferences", self.booked("preferences"), json!([])),
            self.page(
                "preferences-saved",
                self.url("preferences"),
                json!([["tick", "#channel-sms", false], click("button")]),
            ),
            self.page("unsubscribe", self.url("unsubscribe"), json!([])),
            self.page("unsubscribed", self.url("unsubscribe"), json!([click("button")])),
            self.page("begun", begun, json!([])),
            self.page("expired", expired, json!([])),
            self.page("unknown", format!("{base}/c/AAAA"), json!([])),
        ]
    }
}

#[test]
fn s53_s73_s74_every_page_works_without_scripts_and_can_be_read_by_everybody_in_english() {
    every_page_in("en");
}

#[test]
fn s53_s73_s74_every_page_works_without_scripts_and_can_be_read_by_everybody_in_russian() {
    every_page_in("ru");
}

fn every_page_in(lang: &'static str) {
    let python = Path::new(ROOT).join(".browser/bin/python");
    assert!(python.exists(), "{} is missing: `cargo xtask test` makes it", python.display());
    let stack = Stack::start();
    let pages = Reader::new(&stack, lang).pages();
    // Where the pictures are.
    let out = Path::new(ROOT).join("target/pages");
    look_at(&python, &json!({ "out": out, "chromium": chromium(), "lang": lang, "pages": pages }));
}

fn look_at(python: &Path, asked: &Value) {
    let mut looks = Command::new(python)
        .arg(Path::new(ROOT).join("tests/browser/pages.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    looks.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let output = looks.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}
