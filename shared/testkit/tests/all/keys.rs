//! API keys: who is known by them, and how they are made, changed, rotated and revoked.

use app::api_keys::{
    KeyFields, KeyPatch, MadeKey, RotateFields, change_key, create_key, get_key, list_keys, revoke_key,
    rotate_key,
};
use app::authorize::{Principal, Who, authorize};
use app::create_business::create_business;
use app::error::AppError;
use app::once::{Done, Once};
use app::ports::{Item, Key, PortError, TokenClaims, VerifyToken};
use domain::access::{Access, ApiKey, Role, Scope};
use domain::business::Locale;
use domain::ids::KeyId;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use testkit::disturb::Scenario;
use testkit::platform::interleave;
use testkit::salon::{business, edit, parsed, read, salon, salon_id};
use testkit::turns::Run;
use testkit::world::{Call, Fault, World};

const OWNER: Access = Access { role: Role::Owner, scopes: None };

/// An issuer whose tokens say what they claim.
struct Issuer;

impl VerifyToken for Issuer {
    async fn verify(&self, token: &str, _: Timestamp) -> Result<Option<TokenClaims>, PortError> {
        let Ok(claims) = serde_json::from_str::<Value>(token) else { return Ok(None) };
        let text = |field: &str| claims[field].as_str().unwrap_or_default().to_owned();
        Ok(Some(TokenClaims {
            subject: text("sub"),
            business: text("business"),
            role: text("role"),
            not_before: text("nbf").parse().ok(),
            expires_at: parsed(&text("exp")),
        }))
    }
}

fn finished<T>(run: Run<T>) -> T {
    match run {
        Run::Finished(value) => value,
        Run::Crashed => panic!("it crashed"),
    }
}

fn fields(name: &str, role: &str) -> KeyFields {
    read(json!({ "name": name, "role": role }))
}

/// Makes a key of the salon's as the API does, with an idempotency key.
fn make(world: &World, by: &Access, fields: &KeyFields) -> Result<Done<MadeKey>, AppError> {
    let (id, once) = (salon_id(), Once::new(fields.name.as_str(), format!("{fields:?}").as_bytes()));
    world.request(|| create_key(world, world, edit(&id, Some(&once), world.now()), by, fields))
}

fn made(world: &World, fields: &KeyFields) -> (KeyId, String) {
    let made = make(world, &OWNER, fields).unwrap().value;
    (made.key.id, made.secret.unwrap())
}

fn rotate(world: &World, id: &KeyId, grace_hours: u8) -> Result<Done<MadeKey>, AppError> {
    let (salon, fields) = (salon_id(), RotateFields { grace_hours });
    let once = Once::new(&format!("rotate {id} {grace_hours}"), b"");
    world.request(|| rotate_key(world, world, edit(&salon, Some(&once), world.now()), &OWNER, id, &fields))
}

fn revoke(world: &World, id: &KeyId) -> Result<Done<ApiKey>, AppError> {
    let salon = salon_id();
    world.request(|| revoke_key(world, edit(&salon, None, world.now()), &OWNER, id))
}

fn change(world: &World, by: &Access, id: &KeyId, patch: Value) -> Result<Done<ApiKey>, AppError> {
    let (salon, patch) = (salon_id(), read::<KeyPatch>(patch));
    world.request(|| change_key(world, edit(&salon, None, world.now()), by, id, &patch))
}

fn caller(world: &World, token: &str) -> Option<Principal> {
    finished(world.run(authorize(world, &Issuer, &format!("Bearer {token}"), world.now()))).unwrap()
}

/// The salon with an owner's key.
fn owned() -> (World, KeyId, String) {
    let world = salon();
    let (id, secret) = made(&world, &fields("First", "owner"));
    (world, id, secret)
}

#[test]
fn keys_may_be_disturbed_at_every_call() {
    let acts: [&dyn Fn(&World); 5] = [
        &|world| drop(make(world, &OWNER, &fields("Till", "staff")).unwrap()),
        &|world| drop(rotate(world, &the_key(world), 24).unwrap()),
        &|world| drop(rotate(world, &the_key(world), 0).unwrap()),
        &|world| drop(change(world, &OWNER, &the_key(world), json!({ "name": "Desk" })).unwrap()),
        &|world| {
            make(world, &OWNER, &fields("Other", "owner")).unwrap();
            revoke(world, &the_key(world)).unwrap();
        },
    ];
    for act in acts {
        Scenario { prepare: &|| owned().0, act }.passes();
    }
}

/// The first key of the salon.
fn the_key(world: &World) -> KeyId {
    key_number(world, 0)
}

fn key_number(world: &World, number: usize) -> KeyId {
    match world.get(&Key::ApiKeys(salon_id())).map(|stored| stored.item) {
        Some(Item::ApiKeys(keys)) => keys.keys[number].id.clone(),
        other => panic!("no keys: {other:?}"),
    }
}

#[test]
fn a_narrowed_key_neither_narrows_nor_ends_a_stronger_one() {
    let (world, owner, _) = owned();
    make(&world, &OWNER, &fields("Second", "owner")).unwrap();
    let narrowed = Access { scopes: Some([Scope::KeysWrite].into()), ..OWNER };
    let salon = salon_id();
    let ended = world.request(|| revoke_key(&world, edit(&salon, None, world.now()), &narrowed, &owner));
    assert!(matches!(ended, Err(AppError::Forbidden(_))), "{ended:?}");
    let scopes = json!({ "scopes": ["keys:write"] });
    let changed = change(&world, &narrowed, &owner, scopes);
    assert!(matches!(changed, Err(AppError::Forbidden(_))), "{changed:?}");
    assert!(revoke(&world, &owner).is_ok());
}

#[test]
fn a_business_begins_with_an_owners_key() {
    let world = salon();
    let made =
        create_business(&world, &world, parsed("Barber"), parsed("Europe/Lisbon"), Locale::En, world.now());
    let made = finished(world.run(made)).unwrap();
    let known = caller(&world, &made.api_key).unwrap();
    assert_eq!((known.business_id, known.access, known.until), (made.business_id, OWNER, None));
}

#[test]
fn a_key_is_known_by_its_secret_and_says_what_it_allows() {
    let (world, ..) = owned();
    let fields = read(json!({ "name": "Till", "role": "staff", "scopes": ["bookings:read"] }));
    let (id, secret) = made(&world, &fields);
    let known = caller(&world, &secret).unwrap();
    let access = Access { role: Role::Staff, scopes: Some([Scope::BookingsRead].into()) };
    assert_eq!((&known.business_id, &known.access), (&salon_id(), &access));
    assert_eq!((known.who, known.until), (Who::Key(id.clone()), None));
    let wrong = format!("{}0", &secret[..secret.len() - 1]);
    for token in [wrong.as_str(), "bk_", "bk_x_y", &secret[..40], &format!("bk_{id}_")] {
        assert_eq!(caller(&world, token), None, "{token}");
    }
    for header in [secret.clone(), format!("Basic {secret}"), "Bearer".to_owned(), String::new()] {
        let known = finished(world.run(authorize(&world, &Issuer, &header, world.now()))).unwrap();
        assert_eq!(known, None, "{header}");
    }
}

#[test]
fn a_use_is_noted_once_an_hour_and_refuses_nobody() {
    let (world, id, secret) = owned();
    let last_used = || finished(world.run(get_key(&world, &salon_id(), &id))).unwrap().value.last_used_at;
    assert_eq!(last_used(), None);
    // The note fails: the caller is known all the same.
    world.plan_faults([(1, Fault::FailBefore)]);
    assert!(caller(&world, &secret).is_some());
    world.plan_faults([]);
    assert_eq!(last_used(), None);
    let first = world.now();
    assert!(caller(&world, &secret).is_some());
    assert_eq!(last_used(), Some(first));
    let writes = || world.calls().iter().filter(|call| matches!(call, Call::Write(_))).count();
    let noted = writes();
    world.wait(SignedDuration::from_mins(59));
    assert!(caller(&world, &secret).is_some());
    assert_eq!((writes(), last_used()), (noted, Some(first)));
    world.wait(SignedDuration::from_mins(1));
    assert!(caller(&world, &secret).is_some());
    assert_eq!((writes(), last_used()), (noted + 1, Some(world.now())));
    // What is changed of the key does not take it back.
    change(&world, &OWNER, &id, json!({ "name": "Desk" })).unwrap();
    assert_eq!(last_used(), Some(world.now()));
    let listed = finished(world.run(list_keys(&world, &salon_id()))).unwrap();
    assert_eq!((listed[0].name.as_str(), listed[0].last_used_at), ("Desk", last_used()));
}

#[test]
fn the_secret_is_shown_once_and_never_kept() {
    let (world, ..) = owned();
    let till = fields("Till", "staff");
    let first = make(&world, &OWNER, &till).unwrap();
    let again = make(&world, &OWNER, &till).unwrap();
    assert_eq!((&again.value.key, again.etag), (&first.value.key, first.etag));
    assert_eq!(again.value.secret, None);
    let rotated = rotate(&world, &first.value.key.id, 24).unwrap().value;
    assert_eq!(rotate(&world, &first.value.key.id, 24).unwrap().value.secret, None);
    for made in [first.value, rotated] {
        let secret = made.secret.unwrap();
        assert!(caller(&world, &secret).is_some());
        let hidden = secret.rsplit('_').next().unwrap();
        let rotation = format!("rotate {} 24", made.key.id);
        let answers = ["Till", &rotation].map(|key| Once::new(key, b"").key(&salon_id()));
        let kept = [Key::ApiKeys(salon_id()), Key::Credential(made.key.id)];
        for key in answers.into_iter().chain(kept) {
            let item = world.get(&key).unwrap().item;
            let written = serde_json::to_string(&item).unwrap() + &format!("{item:?}");
            assert!(!written.contains(hidden), "{key:?} keeps the secret");
        }
    }
}

#[test]
fn a_rotated_secret_works_on_for_its_grace_and_only_the_last_one() {
    let (world, id, first) = owned();
    let now = world.now();
    let second = rotate(&world, &id, 24).unwrap().value;
    assert_eq!((&second.key.id, second.key.rotated_at), (&id, Some(now)));
    assert_eq!(caller(&world, &second.secret.unwrap()).unwrap().until, None);
    // What the authorizer says of the one before ends with its grace, whatever is cached.
    assert_eq!(caller(&world, &first).unwrap().until, Some(now + SignedDuration::from_hours(24)));
    world.wait(SignedDuration::from_hours(24));
    assert_eq!(caller(&world, &first), None);

    let (world, id, first) = owned();
    let second = rotate(&world, &id, 48).unwrap().value.secret.unwrap();
    let third = rotate(&world, &id, 1).unwrap().value.secret.unwrap();
    assert_eq!(caller(&world, &first), None);
    assert!(caller(&world, &second).is_some() && caller(&world, &third).is_some());

    let (world, id, first) = owned();
    rotate(&world, &id, 0).unwrap();
    assert_eq!(caller(&world, &first), None);
    let refused = rotate(&world, &id, 169).map(drop);
    assert!(
        matches!(refused, Err(AppError::Invalid { ref field, .. }) if field == "grace_hours"),
        "{refused:?}"
    );
}

#[test]
fn a_key_that_has_ended_is_nobodys() {
    let (world, ..) = owned();
    let expires_at = world.now() + SignedDuration::from_hours(1);
    let fields = KeyFields { expires_at: Some(expires_at), ..fields("Till", "staff") };
    let (id, secret) = made(&world, &fields);
    assert_eq!(caller(&world, &secret).unwrap().until, Some(expires_at));
    world.wait(SignedDuration::from_hours(1));
    assert_eq!(caller(&world, &secret), None);
    assert!(matches!(rotate(&world, &id, 0).map(drop), Err(AppError::KeyEnded)));
    // What has expired may be given more time; what was revoked may not.
    change(&world, &OWNER, &id, json!({ "expires_at": null })).unwrap();
    assert!(caller(&world, &secret).is_some());
    let revoked = revoke(&world, &id).unwrap().value;
    assert_eq!((revoked.revoked_at, caller(&world, &secret)), (Some(world.now()), None));
    world.wait(SignedDuration::from_hours(1));
    assert_eq!(revoke(&world, &id).unwrap().value.revoked_at, revoked.revoked_at);
    assert!(matches!(rotate(&world, &id, 0).map(drop), Err(AppError::KeyEnded)));
    let past = json!({ "expires_at": world.now() });
    assert!(matches!(change(&world, &OWNER, &id, past), Err(AppError::Invalid { .. })));
}

#[test]
fn the_last_key_that_opens_the_door_stays() {
    let (world, first, _) = owned();
    let refused = |answer: Result<Done<ApiKey>, AppError>| {
        assert!(matches!(answer, Err(AppError::LastOwnerKey)), "{answer:?}");
    };
    made(&world, &fields("Manager", "manager"));
    let before = world.end_state();
    refused(revoke(&world, &first));
    refused(change(&world, &OWNER, &first, json!({ "scopes": ["keys:write"] })));
    refused(change(&world, &OWNER, &first, json!({ "expires_at": "2099-01-01T00:00:00Z" })));
    assert_eq!(world.end_state(), before);
    let (second, _) = made(&world, &fields("Second", "owner"));
    revoke(&world, &first).unwrap();
    refused(revoke(&world, &second));
}

#[test]
fn of_two_owners_who_revoke_each_other_one_stays() {
    let two = || {
        let (world, ..) = owned();
        made(&world, &fields("Second", "owner"));
        world
    };
    async fn revoke_number(world: &World, number: usize) -> bool {
        let (salon, id) = (salon_id(), key_number(world, number));
        revoke_key(world, edit(&salon, None, world.now()), &OWNER, &id).await.is_ok()
    }
    interleave(
        two,
        async |world| revoke_number(world, 0).await,
        async |world| revoke_number(world, 1).await,
        |world, _, one, other| {
            assert!(one != other, "one of them is the last");
            let keys = [key_number(world, 0), key_number(world, 1)].map(Key::Credential);
            let works = |key: &Key| match world.get(key).unwrap().item {
                Item::Credential(credential) => credential.key.works(world.now()),
                other => panic!("{other:?}"),
            };
            assert_eq!(keys.iter().filter(|key| works(key)).count(), 1);
        },
    );
}

#[test]
fn nobody_gives_more_than_they_have() {
    let (world, first, _) = owned();
    let narrow = Access { role: Role::Owner, scopes: Some([Scope::KeysWrite, Scope::BookingsRead].into()) };
    let before = world.end_state();
    let forbidden = |answer: Result<(), AppError>| {
        assert!(matches!(answer, Err(AppError::Forbidden(_))), "{answer:?}");
    };
    forbidden(make(&world, &narrow, &fields("Mine", "owner")).map(drop));
    forbidden(make(&world, &narrow, &fields("Mine", "read_only")).map(drop));
    forbidden(change(&world, &narrow, &first, json!({ "name": "Mine" })).map(drop));
    let (salon, grace) = (salon_id(), RotateFields { grace_hours: 0 });
    forbidden(
        world
            .request(|| rotate_key(&world, &world, edit(&salon, None, world.now()), &narrow, &first, &grace))
            .map(drop),
    );
    assert_eq!(world.end_state(), before);
    let fields = read(json!({ "name": "Mine", "role": "read_only", "scopes": ["bookings:read"] }));
    make(&world, &narrow, &fields).unwrap();
}

#[test]
fn scopes_that_make_no_sense_name_the_field() {
    let (world, id, _) = owned();
    for scopes in [json!([]), json!(["bookings:read", "settings:write"])] {
        let fields = read(json!({ "name": "Till", "role": "staff", "scopes": scopes }));
        let refused = make(&world, &OWNER, &fields).map(drop);
        assert!(
            matches!(refused, Err(AppError::Invalid { ref field, .. }) if field == "scopes"),
            "{refused:?}"
        );
    }
    let refused = change(&world, &OWNER, &id, json!({ "scopes": [] }));
    assert!(matches!(refused, Err(AppError::Invalid { .. })), "{refused:?}");
}

#[test]
fn anothers_key_is_not_found_and_does_not_change() {
    let (world, theirs, secret) = owned();
    world.put(business("barber"));
    let (barber, now) = (parsed("barber"), world.now());
    let before = world.end_state();
    let not_found = |error: AppError| assert!(matches!(error, AppError::NotFound { .. }), "{error:?}");
    let (mine, none) = (edit(&barber, None, now), KeyPatch::default());
    not_found(finished(world.run(get_key(&world, &barber, &theirs))).unwrap_err());
    not_found(finished(world.run(change_key(&world, mine, &OWNER, &theirs, &none))).unwrap_err());
    not_found(finished(world.run(revoke_key(&world, mine, &OWNER, &theirs))).unwrap_err());
    let grace = RotateFields { grace_hours: 0 };
    not_found(finished(world.run(rotate_key(&world, &world, mine, &OWNER, &theirs, &grace))).err().unwrap());
    assert!(finished(world.run(list_keys(&world, &barber))).unwrap().is_empty());
    assert_eq!(world.end_state(), before);
    assert_eq!(caller(&world, &secret).unwrap().business_id, salon_id());
}

#[test]
fn a_token_speaks_for_a_business_that_exists_in_a_role_that_exists() {
    let world = salon();
    let now = world.now();
    let later = |seconds: i64| (now + SignedDuration::from_secs(seconds)).to_string();
    let token = |changes: Value| {
        let mut claims = json!({ "sub": "ana", "business": "salon", "role": "manager", "exp": later(600) });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims.to_string()
    };
    let known = caller(&world, &token(json!({}))).unwrap();
    assert_eq!((known.business_id, known.access), (salon_id(), Access::all_of(Role::Manager)));
    assert_eq!(known.who, Who::Subject("ana".to_owned()));
    // A minute of grace for clocks that differ, and no cache makes it longer.
    assert_eq!(known.until, Some(now + SignedDuration::from_secs(660)));
    for changes in [
        json!({ "business": "nobody" }),
        json!({ "business": "" }),
        json!({ "business": "a#b" }),
        json!({ "role": "king" }),
        json!({ "role": "" }),
        json!({ "exp": later(-60) }),
        json!({ "nbf": later(61) }),
    ] {
        assert_eq!(caller(&world, &token(changes.clone())), None, "{changes}");
    }
    assert!(caller(&world, &token(json!({ "exp": later(-59), "nbf": later(60) }))).is_some());
    assert_eq!(caller(&world, "no token"), None);
}
