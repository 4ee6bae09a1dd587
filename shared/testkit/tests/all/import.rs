//! Importing and exporting the client base.

use app::edit_client::edit_client;
use app::error::AppError;
use app::import_clients::{Imported, export_clients, import_clients};
use app::once::Once;
use app::ports::{Item, Key, Page};
use app::suppress::{SuppressionFields, suppressed};
use domain::client::Client;
use domain::ids::BusinessId;
use serde_json::json;
use testkit::disturb::Scenario;
use testkit::salon::{business, edit, parsed, read, salon, salon_id};
use testkit::turns::Run;
use testkit::world::World;

fn finished<T>(run: Run<T>) -> T {
    match run {
        Run::Finished(value) => value,
        Run::Crashed => panic!("it crashed"),
    }
}

fn import_to(
    world: &World,
    business_id: &BusinessId,
    csv: &str,
    dry_run: bool,
) -> Result<Imported, AppError> {
    let now = world.now();
    finished(world.run(import_clients(world, world, edit(business_id, None, now), csv.as_bytes(), dry_run)))
}

fn import(world: &World, csv: &str) -> Imported {
    import_to(world, &salon_id(), csv, false).unwrap()
}

fn counts(imported: &Imported) -> (u64, u64, u64) {
    (imported.created, imported.updated, imported.unchanged)
}

fn errors(imported: &Imported) -> Vec<(u64, &str, &str)> {
    imported.errors.iter().map(|it| (it.line, it.field.as_str(), it.expected.as_str())).collect()
}

/// The salon's clients by name.
fn clients(world: &World) -> Vec<Client> {
    let page = Page { after: None, limit: 500 };
    let (text, _) = finished(world.run(export_clients(world, &salon_id(), page))).unwrap();
    let ids = text.lines().skip(1).filter_map(|line| line.split(',').next());
    let mut clients: Vec<Client> = ids
        .map(|id| match world.get(&Key::Client(salon_id(), parsed(id))).map(|stored| stored.item) {
            Some(Item::Client(client)) => client,
            other => panic!("no client {id}: {other:?}"),
        })
        .collect();
    clients.sort_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
    clients
}

fn client(world: &World, id: &str) -> Client {
    world.get(&Key::Client(salon_id(), parsed(id))).and_then(|stored| stored.item.client().cloned()).unwrap()
}

fn named(world: &World, name: &str) -> Client {
    clients(world).into_iter().find(|client| client.name.as_str() == name).unwrap()
}

#[test]
fn an_import_brings_back_no_suppressed_address_and_no_marketing_that_the_client_has_declined() {
    let world = salon();
    let stop: SuppressionFields = read(json!({ "channel": "sms", "cause": "stop" }));
    let (business, rui) = (salon_id(), parsed("rui"));
    let suppress = |client| suppressed(client, stop, world.now());
    let edited = edit_client(&world, edit(&business, None, world.now()), &rui, suppress);
    let phone = match finished(world.run(edited)).unwrap().value {
        Item::Client(client) => client.phone.unwrap(),
        other => panic!("{other:?}"),
    };
    world.put([Item::Client(Client {
        id: parsed("una"),
        phone: None,
        email: Some(parsed("una@example.com")),
        unsubscribed_at: Some(world.now()),
        ..client(&world, "rui")
    })]);
    let csv = format!(
        "id,name,phone,email,marketing_consent\r\n\
        una,Una,,una@example.com,yes\r\n\
        una,Una Faro,,,no\r\n\
        eva,Eva,{},,yes\r\n",
        phone.as_str()
    );
    let imported = import(&world, &csv);
    assert_eq!(
        errors(&imported),
        [
            (
                2,
                "marketing_consent",
                "\"no\": the client has unsubscribed, which the client's card alone takes back"
            ),
            (3, "id", "another client than line 2 is about")
        ]
    );
    let eva = client(&world, "eva");
    assert!(eva.marketing_consent, "she has never declined it");
    assert_eq!(eva.suppressions[0].address, phone.as_str());
}

const THREE: &str = "Name;Phone;E-Mail\r\n";

#[test]
fn good_lines_are_taken_and_bad_ones_named_with_line_field_and_what_was_expected() {
    let world = salon();
    let csv = "\u{feff}phone;name;email;locale;zone;marketing_consent;id\r\n\
        +351 912-345-600;Mia;mia@example.com;EN;Europe/Lisbon;yes;\r\n\
        12345;Bad Phone;;;;;\r\n\
        +351912345601;;;;;;\r\n\
        ;Nobody;;;;;\r\n\
        +351912345602;Lea;not an address;;;;\r\n\
        +351912345603;Leo;;de;;;\r\n\
        +351912345604;Leo;;;Mars/Olympus;;\r\n\
        +351912345605;Leo;;;;maybe;\r\n\
        +351912345600;Mia again;;;;;\r\n\
        ;Rui Silva;;;;no;rui\r\n\
        ;Stranger;;;;;nobody\r\n\
        \r\n\
        +351912345606;\"Two\nlines\";;;;;\r\n\
        +351912345607;Zoe;;;;;;more\r\n\
        ;EVA;Eva@Example.com;;;;\r\n";
    let imported = import(&world, csv);
    assert_eq!(counts(&imported), (1, 2, 0));
    assert_eq!(
        errors(&imported),
        [
            (3, "phone", "a phone number in E.164 form such as \"+351912345678\""),
            (4, "name", "a name: the client is new"),
            (5, "phone", "a phone, or else an e-mail address or an id, by which the client is known again"),
            (6, "email", "an e-mail address such as \"ana@example.com\""),
            (7, "locale", "\"en\" or \"ru\""),
            (8, "zone", "an IANA time zone such as \"Europe/Lisbon\", got \"Mars/Olympus\""),
            (9, "marketing_consent", "\"yes\" or \"no\""),
            (10, "phone", "another client than line 2 is about"),
            (12, "id", "the id of a client of this business"),
            (14, "name", "1 to 200 characters on one line"),
            (16, "", "no more cells than the header has"),
        ]
    );
    let mia = named(&world, "Mia");
    assert_eq!(mia.phone, Some(parsed("+351912345600")));
    assert_eq!(mia.zone, Some(parsed("Europe/Lisbon")));
    assert!(mia.marketing_consent);
    let (rui, eva) = (named(&world, "Rui Silva"), named(&world, "EVA"));
    assert_eq!(
        (rui.id.as_str(), rui.phone),
        ("rui", Some(parsed("+351912345679"))),
        "what a line leaves empty stays"
    );
    assert_eq!(eva.id.as_str(), "eva");
    assert_eq!(clients(&world).len(), 5);
}

#[test]
fn the_same_again_changes_nothing_and_a_trial_writes_nothing() {
    let world = salon();
    let csv = "email,name\nmia@example.com,Mia\nLEA@example.com,Lea\nana@example.com,Ana\n";
    let before = world.end_state();
    let tried = import_to(&world, &salon_id(), csv, true).unwrap();
    assert_eq!(counts(&tried), (2, 0, 1));
    assert_eq!(world.end_state(), before);
    assert_eq!(import(&world, csv), tried, "it says what the import does");
    let after = world.end_state();
    assert_eq!(counts(&import(&world, csv)), (0, 0, 3));
    assert_eq!(
        counts(&import(
            &world,
            &csv.to_uppercase().replace("MIA,", "mia,").replace("EMAIL,NAME", "email,name")
        ))
        .0,
        0
    );
    assert_eq!(after.facts.len(), world.end_state().facts.len());
}

#[test]
fn an_export_imports_again_whatever_is_in_it() {
    let world = salon();
    world.put(business("barber"));
    for (id, name, phone) in
        [("f1", "=cmd|' /C calc'!A0", "+351912345678"), ("f2", "'t \"Hooft\"; Jan, Jr", "+351912345678")]
    {
        world.put([Item::Client(read(json!({
            "business_id": "salon", "id": id, "name": name, "phone": phone, "locale": "ru", "marketing_consent": true,
            "zone": "Asia/Tokyo", "email": "-x+y@example.com", "tags": ["vip", "new here"],
        })))]);
    }
    let gone: Client = read(json!({ "business_id": "salon", "id": "gone", "name": "Gone" }));
    world.put([Item::Client(gone.erased(world.now()))]);
    let before = world.end_state();
    let mut after = None;
    let mut lines = 0;
    loop {
        let page = Page { after: after.take(), limit: 2 };
        let (text, next) = finished(world.run(export_clients(&world, &salon_id(), page))).unwrap();
        assert!(
            text.starts_with("\u{feff}id,name,phone,email,locale,zone,marketing_consent,tags\r\n"),
            "{text}"
        );
        assert!(!text.contains("gone"), "who was erased is nobody to import");
        let imported = import(&world, &text);
        assert_eq!((imported.created, imported.updated, imported.errors.len()), (0, 0, 0), "{text}");
        lines += imported.unchanged;
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(lines, 6);
    assert_eq!(world.end_state(), before);
    // Another business has none of these ids: nothing of the salon's is touched, nor told.
    let (text, _) =
        finished(world.run(export_clients(&world, &salon_id(), Page { after: None, limit: 500 }))).unwrap();
    let barber: BusinessId = parsed("barber");
    let imported = import_to(&world, &barber, &text, false).unwrap();
    assert_eq!(
        (counts(&imported), imported.errors.len()),
        ((0, 0, 4), 2),
        "the barber has clients of the same ids"
    );
}

#[test]
fn a_phone_that_several_have_needs_an_id() {
    let world = salon();
    world.put([Item::Client(read(
        json!({ "business_id": "salon", "id": "son", "name": "Ana's son", "phone": "+351912345678" }),
    ))]);
    let imported = import(&world, "phone,name\n+351912345678,Ana\n");
    assert_eq!(errors(&imported), [(2, "phone", "an id beside the phone: 2 clients have it")]);
    let imported = import(&world, "phone,name,id\n+351912345678,Ana B,ana\n+351912345678,Son,son\n");
    assert_eq!((counts(&imported), imported.errors.len()), ((0, 2, 0), 0));
    // Somebody else may have the same mailbox, with a phone of her own.
    let imported = import(&world, "phone,name,email\n+351912345611,Maria,ana@example.com\n");
    assert_eq!(counts(&imported), (1, 0, 0));
    assert_eq!(named(&world, "Ana B").phone, Some(parsed("+351912345678")));
}

#[test]
fn tags_are_read_with_commas_or_semicolons_between_them() {
    let world = salon();
    let many: String = (0..21).map(|number| format!("t{number},")).collect();
    let long = "x".repeat(41);
    let csv = format!("id,tags\nana,\"vip, new;vip\"\nrui,\"{many}\"\neva,{long}\nleo,\n");
    let imported = import(&world, &csv);
    assert_eq!(counts(&imported), (0, 1, 1));
    assert_eq!(
        errors(&imported),
        [
            (3, "tags", "at most 20 tags"),
            (4, "tags", "1 to 40 characters on one line, without commas and semicolons"),
        ]
    );
    let tags: Vec<String> = named(&world, "Ana").tags.into_iter().map(String::from).collect();
    assert_eq!(tags, ["new", "vip"]);
}

#[test]
fn a_file_that_is_none_is_refused_as_a_whole() {
    let world = salon();
    let before = world.end_state();
    let refused = |csv: &[u8], wrong: &str| {
        let salon = salon_id();
        let answer =
            finished(world.run(import_clients(&world, &world, edit(&salon, None, world.now()), csv, false)));
        assert!(matches!(&answer, Err(AppError::Invalid { field, .. }) if field == wrong), "{answer:?}");
    };
    refused(b"", "header");
    refused(b"name,phone,shoe_size\nMia,+351912345600,38\n", "header");
    refused(b"name,name\nMia,Mia\n", "header");
    refused(THREE.as_bytes(), "header");
    refused(b"{\"name\":\"Mia\"}", "header");
    refused(b"name\n\xff\xfe", "body");
    let many: String = (0..2_001).map(|number| format!("+3519{number:08},Mia\n")).collect();
    refused(format!("phone,name\n{many}").as_bytes(), "body");
    assert_eq!(world.end_state(), before);
    assert_eq!(counts(&import(&world, "name,phone\n")), (0, 0, 0));
}

#[test]
fn an_import_may_be_disturbed_at_every_call() {
    let csv = "phone,name,email\n+351912345600,Mia,mia@example.com\n,Eva Maria,eva@example.com\n+351912345678,Ana,\nx,Bad,\n";
    let act = |world: &World| {
        let (salon, once) = (salon_id(), Once::new("import", csv.as_bytes()));
        let imported = world
            .request(|| {
                import_clients(world, world, edit(&salon, Some(&once), world.now()), csv.as_bytes(), false)
            })
            .unwrap();
        assert_eq!(imported.errors.len(), 1);
        assert_eq!(imported.created + imported.updated + imported.unchanged, 3);
    };
    Scenario { prepare: &salon, act: &act }.passes();
}

#[test]
fn a_repeated_import_is_answered_alike_and_a_key_is_for_one() {
    let world = salon();
    let (salon, csv) = (salon_id(), b"phone,name\n+351912345600,Mia\n");
    let once = Once::new("import", csv);
    let make = |once: &Once, csv: &[u8]| {
        finished(world.run(import_clients(&world, &world, edit(&salon, Some(once), world.now()), csv, false)))
    };
    let first = make(&once, csv).unwrap();
    assert_eq!((first.created, make(&once, csv).unwrap()), (1, first));
    let other = b"phone,name\n+351912345601,Lea\n";
    assert!(matches!(make(&Once::new("import", other), other), Err(AppError::KeyReused)));
}
