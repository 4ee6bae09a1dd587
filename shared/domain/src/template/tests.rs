use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::account::{AccountOperationKind, BonusKind};

fn name(locale: Locale) -> &'static str {
    match locale {
        Locale::En => "en",
        Locale::Ru => "ru",
    }
}

/// The sample with no links but online booking: what there is until clients have pages of their own.
fn without_pages(locale: Locale) -> Values<'static> {
    let mut values = Values::sample(locale);
    values.links = Links { booking: values.links.booking, ..Links::default() };
    values.series = None;
    values
}

fn templates(kind: NotificationType, texts: serde_json::Value, blocks: serde_json::Value) -> Templates {
    serde_json::from_value(
        serde_json::json!({ "business_id": "b", "type": kind, "texts": texts, "blocks": blocks }),
    )
    .unwrap()
}

fn own(kind: NotificationType, text: &str) -> Templates {
    templates(
        kind,
        serde_json::json!([{ "channel": "sms", "locale": "en", "text": text }]),
        serde_json::json!([]),
    )
}

fn email_of(values: &Values<'_>, locale: Locale, kind: NotificationType, own: Option<&Templates>) -> Content {
    render(values, locale, kind, Channel::Email, own).unwrap()
}

fn html_of(content: &Content) -> &str {
    match content {
        Content::Email { html, .. } => html,
        _ => panic!("an e-mail was asked for"),
    }
}

fn sms_of(values: &Values<'_>, kind: NotificationType, own: Option<&Templates>) -> String {
    render(values, Locale::En, kind, Channel::Sms, own).unwrap().text().to_owned()
}

/// A salon's own additions: a block with everything in it.
fn with_block(kind: NotificationType, locale: Locale) -> Templates {
    let (text, label) = match locale {
        Locale::En => ("Please come five minutes early.\n\nParking is behind the house.", "Our prices"),
        Locale::Ru => ("Пожалуйста, приходите на пять минут раньше.\n\nПарковка за домом.", "Наши цены"),
    };
    templates(
        kind,
        serde_json::json!([]),
        serde_json::json!([{
            "locale": name(locale), "text": text, "image": "https://aurora.example/door.png",
            "link": { "label": label, "url": "https://aurora.example/prices" },
        }]),
    )
}

#[test]
fn every_default_text_is_as_it_was_read() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| {
        for &kind in NotificationType::ALL {
            for locale in Locale::ALL {
                let mut shown = String::new();
                for (title, values) in
                    [("with all links", Values::sample(locale)), ("without pages", without_pages(locale))]
                {
                    for channel in [Channel::Sms, Channel::Push, Channel::Email] {
                        shown += &format!("--- {channel}, {title}\n");
                        shown += &match render(&values, locale, kind, channel, None) {
                            Ok(Content::Email { subject, text, headers, .. }) => {
                                format!("Subject: {subject}\n{headers:?}\n\n{text}\n\n")
                            }
                            Ok(Content::Sms { text }) => format!("{text}\n\n"),
                            Ok(Content::Push { title, body, .. }) => format!("[{title}] {body}\n\n"),
                            Ok(other) => panic!("{other:?}"),
                            Err(error) => format!("{error}\n\n"),
                        };
                    }
                }
                insta::assert_snapshot!(format!("{kind}.{}", name(locale)), shown);
            }
        }
    });
}

#[rstest]
#[case::created(NotificationType::BookingCreated)]
#[case::recovery(NotificationType::NoShowRecovery)]
#[case::campaign(NotificationType::Campaign)]
fn s10_s11_the_html_is_ours_and_has_the_block(#[case] kind: NotificationType) {
    for locale in Locale::ALL {
        let templates = with_block(kind, locale);
        templates.check().unwrap();
        let content = email_of(&Values::sample(locale), locale, kind, Some(&templates));
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.bind(|| insta::assert_snapshot!(format!("{kind}.{}.html", name(locale)), html_of(&content)));
        assert!(content.text().contains("https://aurora.example/prices"), "the plain text has the link too");
    }
}

#[test]
fn s8_the_invitation_greets_says_what_happened_and_has_the_link() {
    let text = sms_of(&without_pages(Locale::En), NotificationType::NoShowRecovery, None);
    for part in
        ["Hello Anna", "Salon Aurora", "could not come", "glad to see you", "https://aurora.example/book"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn s16_a_code_comes_with_the_name_of_the_business_and_nothing_else() {
    let text = sms_of(&Values::sample(Locale::En), NotificationType::VerificationCode, None);
    assert_eq!(text, "Salon Aurora: 482913 is your code.");
    let values = Values { code: Some("482913"), ..Values::least(Locale::En) };
    for channel in Channel::ALL {
        assert!(render(&values, Locale::En, NotificationType::VerificationCode, channel, None).is_ok());
    }
}

#[test]
fn s52_s69_the_notice_has_the_main_facts() {
    let values = without_pages(Locale::En);
    let text = email_of(&values, Locale::En, NotificationType::BookingCreated, None).text().to_owned();
    for part in ["Haircut", "Monday 23 November at 10:00", "Martha", "Old Town", "€45.00", "7K2M"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("Client:"), "that is for staff: {text}");
}

#[test]
fn s33_s70_staff_read_who_comes_when_and_for_what() {
    for &kind in NotificationType::ALL.iter().filter(|&&kind| for_staff(kind)) {
        for channel in Channel::ALL {
            let content = render(&without_pages(Locale::En), Locale::En, kind, channel, None).unwrap();
            for part in ["Anna", "+351912345678", "Haircut", "10:00"] {
                assert!(content.text().contains(part), "{kind} {channel}: {}", content.text());
            }
        }
        let mail = email_of(&without_pages(Locale::En), Locale::En, kind, None);
        assert!(mail.text().starts_with("Hello Martha,"), "{}", mail.text());
    }
}

#[rstest]
#[case::request(NotificationType::ConfirmationRequest)]
#[case::reminder(NotificationType::Reminder)]
fn s53_s73_a_link_to_confirm_is_offered_where_there_is_one(#[case] kind: NotificationType) {
    for channel in Channel::ALL {
        let text =
            |values: &Values<'_>| render(values, Locale::En, kind, channel, None).unwrap().text().to_owned();
        assert!(text(&Values::sample(Locale::En)).contains("https://aurora.example/confirm"));
        assert!(!text(&without_pages(Locale::En)).to_lowercase().contains("confirm"));
    }
}

#[test]
fn s74_a_tip_is_spoken_of_only_with_a_link_for_it() {
    let values = Values::sample(Locale::En);
    let plain = Values { links: Links { tip: None, ..values.links }, ..values.clone() };
    for channel in Channel::ALL {
        let text = |values: &Values<'_>| {
            let kind = NotificationType::ReviewRequest;
            render(values, Locale::En, kind, channel, None).unwrap().text().to_owned()
        };
        assert!(text(&values).contains("https://aurora.example/tip"));
        assert!(text(&plain).contains("https://aurora.example/review"));
        assert!(!text(&plain).contains("tip"));
    }
}

#[test]
fn s22_s23_s24_s76_every_operation_and_bonus_has_its_words() {
    for locale in Locale::ALL {
        let mut said = std::collections::BTreeSet::new();
        let sample = Values::sample(locale);
        for &operation in AccountOperationKind::ALL {
            let account = sample.account.map(|account| AccountValues { operation, ..account });
            let values = Values { account, ..sample.clone() };
            let content = render(&values, locale, NotificationType::AccountOperation, Channel::Sms, None);
            said.insert(content.unwrap().text().to_owned());
        }
        for &kind in BonusKind::ALL {
            let bonus = sample.bonus.map(|bonus| BonusValues { kind, ..bonus });
            let values = Values { bonus, ..sample.clone() };
            let content = render(&values, locale, NotificationType::BonusAccrued, Channel::Sms, None);
            said.insert(content.unwrap().text().to_owned());
        }
        assert_eq!(said.len(), AccountOperationKind::ALL.len() + BonusKind::ALL.len());
        insta::assert_debug_snapshot!(format!("account_and_bonus.{}", name(locale)), said);
    }
}

#[test]
fn default_texts_use_only_the_variables_of_their_type() {
    for &kind in NotificationType::ALL {
        for locale in Locale::ALL {
            for part in ["subject", "email", "short"] {
                let text = builtin::source(kind, part, locale).unwrap();
                assert_eq!(syntax::check(text, kind), Ok(()), "{kind} {part}");
            }
            for (link, _) in builtin::links(kind, locale) {
                assert!(Values::sample(locale).links.by_name(link).is_some(), "{kind} {link}");
            }
        }
    }
}

#[test]
fn default_texts_need_no_more_than_what_every_business_has() {
    for &kind in NotificationType::ALL {
        for channel in Channel::ALL {
            for locale in Locale::ALL {
                let mut values = without_pages(locale);
                values.business = Values::least(locale).business;
                values.links = Links { unsubscribe: Some("https://aurora.example/u"), ..Links::default() };
                for person in [&mut values.client, &mut values.staff].into_iter().flatten() {
                    (person.phone, person.email) = (None, None);
                }
                values.location =
                    values.location.map(|it| LocationValues { address: None, map_url: None, ..it });
                values.booking = values.booking.map(|it| BookingValues { price: None, ..it });
                let content = render(&values, locale, kind, channel, None).unwrap();
                let text = content.text();
                assert!(
                    !text.contains("{{") && !text.contains("{%") && !text.contains("none"),
                    "{kind}: {text}"
                );
                assert!(!text.contains("  ") && !text.contains(" ."), "{kind} {channel}: {text}");
                let russian = text.chars().any(|c| ('а'..='я').contains(&c));
                assert_eq!(russian, locale == Locale::Ru, "{kind} {channel}: {text}");
            }
        }
    }
}

#[test]
fn s30_the_signature_stands_after_confirmations_in_sms_and_email_only() {
    let values = Values::sample(Locale::En);
    for &kind in NotificationType::ALL {
        let signs = matches!(kind, NotificationType::BookingCreated | NotificationType::BookingConfirmed);
        for channel in Channel::ALL {
            let content = render(&values, Locale::En, kind, channel, None).unwrap();
            assert_eq!(
                content.text().contains("Yours, Aurora"),
                signs && matches!(channel, Channel::Email | Channel::Sms),
                "{kind} {channel}"
            );
        }
    }
    let own = own(NotificationType::BookingCreated, "Until then!");
    assert_eq!(sms_of(&values, NotificationType::BookingCreated, Some(&own)), "Until then! Yours, Aurora");
}

#[test]
fn s61_a_reader_who_lives_elsewhere_is_told_the_zone() {
    let tokyo = "Asia/Tokyo".parse().unwrap();
    let values = Values { reader_zone: Some(&tokyo), ..without_pages(Locale::En) };
    let text = sms_of(&values, NotificationType::Reminder, None);
    assert_eq!(
        text,
        "Salon Aurora: We expect you for Haircut on Monday 23 November at 10:00 (GMT+0), Old Town."
    );
    let own = own(
        NotificationType::Reminder,
        "{{ booking.time }}{% if booking.zone %}, {{ booking.zone }}{% endif %}",
    );
    assert_eq!(sms_of(&values, NotificationType::Reminder, Some(&own)), "10:00, GMT+0");
}

#[test]
fn s57_the_text_made_for_the_kind_of_resource_is_taken_first() {
    let kind = NotificationType::Reminder;
    let own = templates(
        kind,
        serde_json::json!([
            { "channel": "sms", "locale": "en", "resource_kind": "room", "text": "room" },
            { "channel": "sms", "locale": "en", "text": "all" },
            { "channel": "sms", "locale": "ru", "text": "все" },
            { "channel": "push", "locale": "en", "resource_kind": "equipment", "text": "machine" },
        ]),
        serde_json::json!([
            { "locale": "en", "resource_kind": "room", "text": "Bring slippers." },
            { "locale": "en", "text": "See you." },
        ]),
    );
    own.check().unwrap();
    let with = |resource_kind| {
        let mut values = Values::sample(Locale::En);
        values.resource = values.resource.map(|it| ResourceValues { kind: resource_kind, ..it });
        values
    };
    assert_eq!(sms_of(&with(ResourceKind::Room), kind, Some(&own)), "room");
    assert_eq!(sms_of(&with(ResourceKind::Specialist), kind, Some(&own)), "all");
    assert_eq!(sms_of(&Values { resource: None, ..with(ResourceKind::Room) }, kind, Some(&own)), "all");
    let push = render(&with(ResourceKind::Room), Locale::En, kind, Channel::Push, Some(&own)).unwrap();
    assert!(push.text().starts_with("We expect you"), "no text of its own: ours");
    let mail = |resource_kind| email_of(&with(resource_kind), Locale::En, kind, Some(&own)).text().to_owned();
    assert!(mail(ResourceKind::Room).contains("Bring slippers."));
    assert!(mail(ResourceKind::Equipment).contains("See you."));
    // What belongs to another type says nothing here.
    let late = sms_of(&Values::sample(Locale::En), NotificationType::RunningLate, Some(&own));
    assert!(late.contains("Are you on your way?"), "{late}");
}

#[test]
fn s5_s7_s9_a_business_writes_its_own_text_with_variables_and_emoji() {
    let own = own(
        NotificationType::NoShowRecovery,
        "{{ client.name }} 💇 {{ business.name }}: {{ links.booking | default(\"-\") }}, {{ location.map_url | upper }}",
    );
    own.check().unwrap();
    assert_eq!(
        sms_of(&Values::sample(Locale::En), NotificationType::NoShowRecovery, Some(&own)),
        "Anna 💇 Salon Aurora: https://aurora.example/book, HTTPS://AURORA.EXAMPLE/MAP"
    );
}

#[test]
fn a_value_missing_at_sending_is_an_error_and_nothing_leaves() {
    let own = own(NotificationType::Reminder, "{{ links.confirm }}");
    own.check().unwrap();
    let error =
        render(&without_pages(Locale::En), Locale::En, NotificationType::Reminder, Channel::Sms, Some(&own))
            .unwrap_err();
    assert_eq!(error.to_string(), "the template for reminder by sms could not be filled");
    let values = Values { client: None, ..Values::sample(Locale::En) };
    for channel in Channel::ALL {
        assert!(render(&values, Locale::En, NotificationType::NoShowRecovery, channel, None).is_err());
    }
}

#[test]
fn an_empty_text_and_one_too_long_never_leave() {
    let kind = NotificationType::Individual;
    for text in ["", "  \n "] {
        let message = Some(MessageValues { subject: None, text });
        let values = Values { message, ..Values::sample(Locale::En) };
        for channel in Channel::ALL {
            assert!(render(&values, Locale::En, kind, channel, None).is_err());
        }
    }
    let text = "x".repeat(MAX_SMS);
    let values =
        Values { message: Some(MessageValues { subject: None, text: &text }), ..Values::sample(Locale::En) };
    assert!(
        render(&values, Locale::En, kind, Channel::Sms, None).is_err(),
        "the business's name is too much"
    );
    assert!(render(&values, Locale::En, kind, Channel::Push, None).is_err());
    assert!(render(&values, Locale::En, kind, Channel::Email, None).is_ok());
}

#[test]
fn html_is_escaped_and_values_are_no_templates() {
    let name = "<b>{{ 1+1 }}</b>";
    let client = Some(PersonValues { name, phone: None, email: None });
    let values = Values { client, ..Values::sample(Locale::En) };
    let content = email_of(&values, Locale::En, NotificationType::BookingCreated, None);
    assert!(content.text().contains("Hello <b>{{ 1+1 }}</b>,"));
    assert!(html_of(&content).contains("Hello &lt;b&gt;{{ 1+1 }}&lt;/b&gt;,"));
    assert!(!html_of(&content).contains("<b>"));
    let links = Links { booking: Some("https://a.example/?a=1&b=\"><script>"), ..Links::default() };
    let values = Values { links, ..Values::sample(Locale::En) };
    let content = email_of(&values, Locale::En, NotificationType::NoShowRecovery, None);
    assert!(!html_of(&content).contains("<script>"));
}

#[test]
fn a_subject_is_one_line() {
    let message = Some(MessageValues { subject: Some("News\r\nBcc: all@example.com"), text: "x" });
    let values = Values { message, ..Values::sample(Locale::En) };
    let Content::Email { subject, .. } = email_of(&values, Locale::En, NotificationType::Individual, None)
    else {
        panic!("an e-mail was asked for")
    };
    assert_eq!(subject, "News Bcc: all@example.com");
}

#[test]
fn s46_marketing_by_email_can_be_left_with_one_click() {
    let values = Values::sample(Locale::En);
    for &kind in NotificationType::ALL {
        let Content::Email { headers, text, .. } = email_of(&values, Locale::En, kind, None) else {
            panic!("an e-mail was asked for")
        };
        let expected: &[(&str, &str)] = if kind.is_marketing() {
            &[
                ("List-Unsubscribe", "<https://aurora.example/unsubscribe>"),
                ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ]
        } else {
            &[]
        };
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(headers, expected);
        assert_eq!(text.contains("Unsubscribe: "), kind.is_marketing());
    }
    let values = without_pages(Locale::En);
    assert!(render(&values, Locale::En, NotificationType::Campaign, Channel::Email, None).is_err());
    assert!(render(&values, Locale::En, NotificationType::Campaign, Channel::Sms, None).is_ok());
}

#[test]
fn s65_an_amount_does_not_make_an_sms_ucs2() {
    let price = crate::money::Money { minor: 4500, currency: "RUB".to_owned().try_into().unwrap() };
    let mut values = Values::sample(Locale::En);
    values.booking = values.booking.map(|it| BookingValues { price: Some(&price), ..it });
    let text = sms_of(
        &values,
        NotificationType::Reminder,
        Some(&own(NotificationType::Reminder, "{{ booking.price }}")),
    );
    assert_eq!(text, "RUB 45.00");
}

#[rstest]
#[case::unknown_variable("Hi\nthere {{ booking.foo }}", (2, 10), "unknown variable booking.foo; expected one of booking.when,")]
#[case::unknown_group("{{ surname }}", (1, 4), "unknown variable surname; expected one of client.name,")]
#[case::of_another_type("Да: {{ account.amount }}", (1, 8), "account.amount is not known to reminder")]
#[case::a_whole_group("{{ client }}", (1, 4), "unknown variable client; expected one of client.name,")]
#[case::too_deep("{{ client.name.first }}", (1, 4), "unknown variable client.name.first;")]
#[case::in_a_condition("{% if booking.foo %}x{% endif %}", (1, 7), "unknown variable booking.foo")]
#[case::in_an_unused_branch("{% if not client.name %}{{ oops }}{% endif %}", (1, 28), "unknown variable oops")]
#[case::unknown_filter("{{ client.name | shout }}", (1, 18), "unknown filter shout; expected one of default,")]
#[case::unclosed("Hello {{ client.name", (1, 17), "syntax error: ")]
#[case::unended("a\n{% if client.name %}x", (2, 21), "syntax error: ")]
#[case::endless("{% for a in range(9999) %}{% endfor %}", (1, 4), "expected a value, or {% if %}")]
#[case::doubling("{% set x = client.name %}", (1, 4), "expected a value, or {% if %}")]
#[case::division("{{ 1 / 0 }}", (1, 4), "expected a value; texts do not calculate")]
#[case::repetition("{{ client.name * 999999999 }}", (1, 4), "expected a value; texts do not calculate")]
#[case::a_call("{{ range(3) }}", (1, 4), "expected a variable, a filter or a comparison")]
#[case::a_list("{{ [1, 2] | join }}", (1, 4), "expected a variable, a filter or a comparison")]
#[case::wrong_plural("{{ 3 | plural(\"visit\") }}", (1, 8), "invalid operation: plural takes 2 forms of the word")]
#[case::plural_of_a_text("{{ client.name | plural(\"a\", \"b\") }}", (1, 18), "invalid operation: ")]
#[case::hidden("{% if not client.name %}{{ 3 | plural(\"visit\") }}{% endif %}", (1, 32), "invalid operation: plural takes")]
#[case::inclusion("{% include \"email/footer\" %}", (1, 4), "syntax error: ")]
fn s6_a_mistake_is_named_with_its_place(
    #[case] text: &str,
    #[case] (line, column): (usize, usize),
    #[case] words: &str,
) {
    let error = own(NotificationType::Reminder, text).check().unwrap_err();
    assert_eq!(error.path, "texts[0].text");
    assert!(error.words.starts_with(words), "{error}");
    assert_eq!(error.at, Some(Position { line, column }), "{error}");
}

#[rstest]
#[case::empty(" ", "texts[0].text: expected 1 to 2000 characters, got 1")]
#[case::says_nothing("{# later #}", "texts[0].text: expected a text that says something")]
#[case::half_a_megabyte(&"x".repeat(500_000), "texts[0].text: expected 1 to 2000 characters, got 500000")]
#[case::too_long_when_filled(
    &"{{ links.unsubscribe }}".repeat(80),
    "texts[0].text: expected at most 1600 characters when filled, got 2720 with sample values"
)]
fn a_text_of_the_wrong_length_is_refused(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(own(NotificationType::Reminder, text).check().unwrap_err().to_string(), expected);
}

#[rstest]
#[case::email(
    r#"[{"channel":"email","locale":"en","text":"x"}]"#,
    "[]",
    "texts[0].channel: expected a channel other than email, whose text is fixed"
)]
#[case::twice(
    r#"[{"channel":"sms","locale":"en","text":"x"},{"channel":"sms","locale":"en","text":"y"}]"#,
    "[]",
    "texts[1]: expected one text for each channel, locale and resource kind"
)]
#[case::push_too_long(
    &serde_json::json!([{"channel":"push","locale":"en","text":"x".repeat(1001)}]).to_string(), "[]",
    "texts[0].text: expected at most 1000 characters when filled, got 1001 with sample values"
)]
#[case::block_twice(
    "[]",
    r#"[{"locale":"en","text":"x"},{"locale":"en","text":"y"}]"#,
    "blocks[1]: expected one block for each locale and resource kind"
)]
#[case::empty_block("[]", r#"[{"locale":"en"}]"#, "blocks[0]: expected a text, an image or a link")]
#[case::block_text(
    "[]",
    r#"[{"locale":"en","text":"{{ code }}"}]"#,
    "blocks[0].text: line 1, column 4: code is not known to reminder"
)]
fn s11_templates_that_cannot_be_taken_are_named_by_field(
    #[case] texts: &str,
    #[case] blocks: &str,
    #[case] expected: &str,
) {
    let read = |json: &str| serde_json::from_str(json).unwrap();
    let error = templates(NotificationType::Reminder, read(texts), read(blocks)).check().unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn templates_beyond_one_item_are_refused() {
    let text = "€".repeat(MAX_TEXT / 2);
    let kinds = [None, Some("specialist"), Some("equipment"), Some("room")];
    let (mut texts, mut blocks) = (vec![], vec![]);
    for locale in ["en", "ru"] {
        for resource_kind in kinds {
            for channel in ["sms", "push"] {
                texts.push(serde_json::json!(
                    { "channel": channel, "locale": locale, "resource_kind": resource_kind, "text": text }
                ));
            }
            blocks.push(serde_json::json!(
                { "locale": locale, "resource_kind": resource_kind, "text": "€".repeat(MAX_TEXT) }
            ));
        }
    }
    let all = templates(NotificationType::Reminder, texts.into(), blocks.into());
    assert_eq!(all.check().unwrap_err().to_string(), "texts: expected at most 65536 bytes in all");
}

#[test]
fn templates_are_kept_as_json_and_come_back() {
    let templates = with_block(NotificationType::Reminder, Locale::Ru);
    let json = serde_json::to_value(&templates).unwrap();
    assert_eq!(json["type"], "reminder");
    assert_eq!(serde_json::from_value::<Templates>(json).unwrap(), templates);
}

proptest! {
    #[test]
    fn rendering_never_panics_whatever_the_template(text in "(\\PC|\\{\\{|\\}\\}|\\{%|%\\}| if | client.name | \\| |\\n){0,60}") {
        let own = own(NotificationType::Reminder, &text);
        let checked = own.check();
        let values = Values::sample(Locale::En);
        let filled = render(&values, Locale::En, NotificationType::Reminder, Channel::Sms, Some(&own));
        // What is taken on save is sent, unless it says nothing.
        if let (Ok(()), Err(error)) = (checked, &filled) {
            prop_assert!(matches!(error.source, Unfilled::Empty), "{error:?}");
        }
    }

    #[test]
    fn rendering_never_panics_whatever_the_values(name in any::<String>(), message in any::<String>()) {
        let values = Values {
            client: Some(PersonValues { name: &name, phone: None, email: None }),
            message: Some(MessageValues { subject: Some(&name), text: &message }),
            ..Values::sample(Locale::Ru)
        };
        for &kind in NotificationType::ALL {
            for channel in Channel::ALL {
                let _ = render(&values, Locale::Ru, kind, channel, None);
            }
        }
    }
}
