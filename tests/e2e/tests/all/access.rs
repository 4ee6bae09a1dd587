//! Who is let in, and for what: API keys with their roles, tokens of an issuer, and the limit on requests.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use testkit::issuer::{LocalIssuer, SigningKey};

use crate::http::Http;
use crate::salon::TOKYO;
use crate::stack::Stack;

/// Makes a key as the owner and returns its id and what calls with it.
#[track_caller]
fn key(stack: &Stack, owner: &Http, fields: &Value) -> (String, Http) {
    let made = owner.post("/v1/api-keys", fields).ok();
    (made["id"].as_str().unwrap().to_owned(), stack.api.with_key(made["api_key"].as_str().unwrap()))
}

#[test]
fn a_key_does_what_its_role_and_scopes_allow() {
    let stack = Stack::start();
    let owner = stack.api.with_key(&stack.business("Salon Aurora", TOKYO));
    let client = json!({ "name": "Maria" });
    let (_, reader) = key(&stack, &owner, &json!({ "name": "Report", "role": "read_only" }));
    let (_, staff) = key(&stack, &owner, &json!({ "name": "Till", "role": "staff" }));
    let scopes = json!({ "name": "Clients", "role": "integration", "scopes": ["clients:write"] });
    let (_, narrow) = key(&stack, &owner, &scopes);
    let (_, manager) = key(&stack, &owner, &json!({ "name": "Office", "role": "manager" }));
    reader.get("/v1/clients").ok();
    staff.post("/v1/clients", &client).ok();
    narrow.post("/v1/clients", &client).ok();
    manager.patch("/v1/business", &json!({ "name": "Aurora" })).ok();
    let before = stack.facts();
    for (who, answer, scope) in [
        ("reader", reader.post("/v1/clients", &client), "clients:write"),
        ("staff", staff.patch("/v1/business", &json!({ "name": "Mine" })), "settings:write"),
        ("narrow", narrow.get("/v1/clients"), "clients:read"),
        ("narrow", narrow.post("/v1/services", &json!({ "name": "x" })), "catalogue:write"),
        ("manager", manager.get("/v1/api-keys"), "keys:read"),
        ("manager", manager.post("/v1/api-keys", &json!({ "name": "x", "role": "owner" })), "keys:write"),
    ] {
        assert_eq!((answer.status, answer.problem()), (403, "forbidden"), "{who}: {}", answer.text);
        assert!(answer.json["detail"].as_str().unwrap().contains(scope), "{who}: {}", answer.text);
    }
    assert_eq!(stack.facts(), before);
}

#[test]
fn keys_are_listed_rotated_and_revoked_and_their_secrets_are_nowhere() {
    let stack = Stack::start();
    let secret = stack.business("Salon Aurora", TOKYO);
    let owner = stack.api.with_key(&secret);
    let fields = json!({ "name": "Till", "role": "staff" });
    let once = owner.with("idempotency-key", "a till");
    let made = once.post("/v1/api-keys", &fields).ok();
    let again = once.post("/v1/api-keys", &fields).ok();
    assert_eq!((&again["id"], again.get("api_key")), (&made["id"], None));
    let first = made["api_key"].as_str().unwrap().to_owned();
    let path = format!("/v1/api-keys/{}", made["id"].as_str().unwrap());

    // Nobody has called with the first secret yet, so no answer about it is cached.
    let rotated = owner.post(&format!("{path}/rotate"), &json!({ "grace_hours": 0 })).ok();
    let second = rotated["api_key"].as_str().unwrap().to_owned();
    assert_eq!(stack.api.with_key(&first).get("/v1/clients").status, 403);
    stack.api.with_key(&second).get("/v1/clients").ok();
    let shown = owner.get(&path).ok();
    assert!(shown["last_used_at"].is_string() && shown["rotated_at"].is_string(), "{shown}");

    let listed = owner.get("/v1/api-keys").ok();
    let names: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Salon Aurora", "Till"]);
    let own = listed["items"][0]["id"].as_str().unwrap();
    let last = owner.post(&format!("/v1/api-keys/{own}/revoke"), &json!({}));
    assert_eq!((last.status, last.problem()), (409, "last-owner-key"));

    let (id, unused) = key(&stack, &owner, &json!({ "name": "Lost", "role": "manager" }));
    owner.post(&format!("/v1/api-keys/{id}/revoke"), &json!({})).ok();
    assert_eq!(unused.get("/v1/clients").status, 403);

    let rows = stack.rows().concat();
    for secret in [secret, first, second] {
        assert!(!rows.contains(secret.rsplit('_').next().unwrap()), "a secret is in the tables");
    }
}

#[test]
fn what_has_run_out_is_refused_though_the_authorizers_answer_is_cached() {
    let stack = Stack::start();
    let owner = stack.api.with_key(&stack.business("Salon Aurora", TOKYO));
    let expires_at = stack.now() + SignedDuration::from_hours(1);
    let (_, till) =
        key(&stack, &owner, &json!({ "name": "Till", "role": "staff", "expires_at": expires_at }));
    till.get("/v1/clients").ok();
    let asked = stack.invocations("authorizer").len();
    stack.run_to(expires_at);
    let refused = till.get("/v1/clients");
    assert_eq!((refused.status, refused.problem()), (401, "unauthorized"));
    assert_eq!(stack.invocations("authorizer").len(), asked, "it was cached");
}

#[test]
fn a_business_that_lost_its_keys_gets_one_from_the_operator() {
    let stack = Stack::start();
    let owner = stack.api.with_key(&stack.business("Salon Aurora", TOKYO));
    let id = owner.get("/v1/business").ok()["id"].as_str().unwrap().to_owned();
    let made = stack.admin(&["create-key", "--business", &id, "--name", "Found again", "--json"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    let found = stack.api.with_key(made["api_key"].as_str().unwrap());
    let listed = found.get("/v1/api-keys").ok();
    assert_eq!(
        (&listed["items"][1]["name"], &listed["items"][1]["role"]),
        (&json!("Found again"), &json!("owner"))
    );
}

// ------------------------------------------------------------------ tokens

#[test]
fn a_token_of_the_issuer_is_as_good_as_a_key() {
    let (signing, stranger) = (SigningKey::rs256("1"), SigningKey::es256("1"));
    let issuer = LocalIssuer::start(&[&signing]);
    let stack = Stack::start_with(&[&format!("OidcIssuer={}", issuer.url()), "OidcAudience=salons"]);
    let owner = stack.api.with_key(&stack.business("Salon Aurora", TOKYO));
    let business = owner.get("/v1/business").ok()["id"].as_str().unwrap().to_owned();
    let begun = stack.now();
    let claims = |role: &str, business: &str, expires: Timestamp| {
        json!({
            "iss": issuer.url(), "aud": "salons", "sub": format!("{role} of {business}"), "token_use": "id",
            "custom:business_id": business, "custom:role": role, "exp": expires.as_second(),
        })
    };
    let later = begun + SignedDuration::from_hours(1);
    let with = |key: &SigningKey, claims: &Value| stack.api.with_key(&key.token(claims));
    let person = with(&signing, &claims("owner", &business, later));
    assert_eq!(person.get("/v1/business").ok()["id"], business.as_str());
    person.post("/v1/api-keys", &json!({ "name": "Till", "role": "staff" })).ok();
    let reader = with(&signing, &claims("read_only", &business, later));
    reader.get("/v1/clients").ok();
    assert_eq!(reader.post("/v1/clients", &json!({ "name": "x" })).problem(), "forbidden");
    for (why, nobody) in [
        ("signed by another", with(&stranger, &claims("owner", &business, later))),
        ("of a business that is none", with(&signing, &claims("owner", "nobody", later))),
        ("in a role that is none", with(&signing, &claims("king", &business, later))),
        ("run out", with(&signing, &claims("owner", &business, begun - SignedDuration::from_mins(5)))),
    ] {
        assert_eq!(nobody.get("/v1/business").status, 403, "{why}");
    }
    // A minute is granted for clocks that differ, and no more, whatever is cached.
    stack.run_to(later + SignedDuration::from_secs(61));
    assert_eq!(person.get("/v1/business").status, 401);
}

#[test]
fn without_an_issuer_tokens_are_nobodys() {
    let signing = SigningKey::es256("1");
    let issuer = LocalIssuer::start(&[&signing]);
    let stack = Stack::start();
    let owner = stack.api.with_key(&stack.business("Salon Aurora", TOKYO));
    let business = owner.get("/v1/business").ok()["id"].as_str().unwrap().to_owned();
    let expires = (stack.now() + SignedDuration::from_hours(1)).as_second();
    let claims = json!({
        "iss": issuer.url(), "aud": "", "sub": "x", "custom:business_id": business, "custom:role": "owner", "exp": expires,
    });
    assert_eq!(stack.api.with_key(&signing.token(&claims)).get("/v1/business").status, 403);
    assert_eq!(issuer.times_asked(), 0);
}

// ------------------------------------------------------------------ the limit

#[test]
fn beyond_the_limit_requests_wait_for_the_next_minute() {
    let stack = Stack::start_with(&["RequestsPerMinute=30"]);
    let [ours, theirs] = ["Ours", "Theirs"].map(|name| stack.api.with_key(&stack.business(name, TOKYO)));
    let minute = |at: Timestamp| at.as_second().div_euclid(60);
    // The stack's clock goes on by itself: begin with a minute.
    stack.run_to(Timestamp::from_second((minute(stack.now()) + 1) * 60).unwrap());
    let begun = minute(stack.now());
    let mut answers = Vec::new();
    for _ in 0..35 {
        answers.push(ours.head_of("/v1/business"));
    }
    assert_eq!(minute(stack.now()), begun, "too slow for this test: a minute went by");
    let (status, headers) = &answers[0];
    assert_eq!((*status, headers["ratelimit-policy"].as_str()), (200, "\"requests\";q=30;w=60"));
    assert!(headers["ratelimit"].starts_with("\"requests\";r=29;t="), "{headers:?}");
    let statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [vec![200; 30], vec![429; 5]].concat());
    let (_, headers) = &answers[34];
    let wait: u32 = headers["retry-after"].parse().unwrap();
    assert!((1..=60).contains(&wait));
    assert_eq!(headers["ratelimit"], format!("\"requests\";r=0;t={wait}"));
    let refused = ours.get("/v1/business");
    assert_eq!((refused.status, refused.problem()), (429, "too-many-requests"));
    assert!(refused.content_type.starts_with("application/problem+json"));
    theirs.get("/v1/business").ok();
    // What is not there is counted too.
    let (status, headers) = theirs.head_of("/v1/horses");
    assert_eq!(status, 404);
    assert!(headers["ratelimit"].starts_with("\"requests\";r=28;t="), "{headers:?}");
    stack.run_on(SignedDuration::from_secs(60));
    ours.get("/v1/business").ok();
}
