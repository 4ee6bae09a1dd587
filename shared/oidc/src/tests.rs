use super::*;
use jiff::SignedDuration;
use serde_json::json;
use testkit::issuer::{LocalIssuer, SigningKey};

const AUDIENCE: &str = "salons";

fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

fn settings(issuer: &LocalIssuer) -> Settings {
    Settings {
        issuer: issuer.url().to_owned(),
        audience: AUDIENCE.to_owned(),
        business_claim: "custom:business_id".to_owned(),
        role_claim: "custom:role".to_owned(),
        allows_loopback: true,
    }
}

/// The claims of a token as Cognito issues it to a person.
fn claims(issuer: &LocalIssuer) -> Value {
    json!({
        "iss": issuer.url(), "aud": AUDIENCE, "sub": "ana", "token_use": "id", "custom:business_id": "salon",
        "custom:role": "manager", "iat": 1_795_341_000, "nbf": 1_795_341_600, "exp": 1_795_345_200,
    })
}

fn with(claims: &Value, changes: Value) -> Value {
    let mut claims = claims.clone();
    let fields = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(fields.remove(name)),
            value => drop(fields.insert(name.clone(), value.clone())),
        }
    }
    claims
}

async fn verified(issuer: &Issuer, token: &str) -> Option<TokenClaims> {
    issuer.verify(token, now()).await.unwrap()
}

#[tokio::test(flavor = "current_thread")]
async fn a_token_says_who_it_is_by_either_algorithm() {
    let (rsa, ec) = (SigningKey::rs256("r"), SigningKey::es256("e"));
    let local = LocalIssuer::start(&[&rsa, &ec]);
    let issuer = Issuer::new(settings(&local));
    let expected = TokenClaims {
        subject: "ana".to_owned(),
        business: "salon".to_owned(),
        role: "manager".to_owned(),
        not_before: Some("2026-11-22T10:00:00Z".parse().unwrap()),
        expires_at: "2026-11-22T11:00:00Z".parse().unwrap(),
    };
    for key in [&rsa, &ec] {
        assert_eq!(verified(&issuer, &key.token(&claims(&local))).await.as_ref(), Some(&expected));
    }
    assert_eq!(local.times_asked(), 2, "the discovery document and the keys, once");
}

#[tokio::test(flavor = "current_thread")]
async fn cognitos_access_tokens_name_the_client_and_no_audience() {
    let key = SigningKey::es256("e");
    let local = LocalIssuer::start(&[&key]);
    let issuer = Issuer::new(settings(&local));
    let access = with(&claims(&local), json!({ "aud": null, "token_use": "access", "client_id": AUDIENCE }));
    assert!(verified(&issuer, &key.token(&access)).await.is_some());
    for changes in [
        json!({ "client_id": "others" }),
        json!({ "token_use": "id" }),
        json!({ "token_use": null }),
        json!({ "token_use": "refresh", "aud": AUDIENCE }),
    ] {
        let token = key.token(&with(&access, changes.clone()));
        assert_eq!(verified(&issuer, &token).await, None, "{changes}");
    }
    let several = with(&claims(&local), json!({ "aud": ["others", AUDIENCE], "token_use": null }));
    assert!(verified(&issuer, &key.token(&several)).await.is_some());
}

#[tokio::test(flavor = "current_thread")]
async fn a_token_of_somebody_else_or_for_somebody_else_is_nobodys() {
    let key = SigningKey::es256("e");
    let local = LocalIssuer::start(&[&key]);
    let issuer = Issuer::new(settings(&local));
    for changes in [
        json!({ "iss": "https://issuer.example" }),
        json!({ "iss": null }),
        json!({ "iss": 7 }),
        json!({ "aud": "others" }),
        json!({ "aud": ["others"] }),
        json!({ "aud": null }),
        json!({ "exp": null }),
        json!({ "exp": "tomorrow" }),
        json!({ "exp": 1e300 }),
        json!({ "nbf": "yesterday" }),
        json!({ "sub": null }),
        json!({ "custom:business_id": null }),
        json!({ "custom:business_id": ["salon"] }),
        json!({ "custom:role": null }),
    ] {
        let token = key.token(&with(&claims(&local), changes.clone()));
        assert_eq!(verified(&issuer, &token).await, None, "{changes}");
    }
    // The times of a token are the caller's to judge.
    let old = with(&claims(&local), json!({ "exp": 1_000_000_000.5 }));
    let old = verified(&issuer, &key.token(&old)).await.unwrap();
    assert_eq!(old.expires_at.as_second(), 1_000_000_000);
}

#[tokio::test(flavor = "current_thread")]
async fn no_other_algorithm_is_taken_and_no_key_for_another() {
    let (rsa, ec, stranger) = (SigningKey::rs256("r"), SigningKey::es256("e"), SigningKey::es256("e"));
    let local = LocalIssuer::start(&[&rsa, &ec]);
    let issuer = Issuer::new(settings(&local));
    let claims = claims(&local);
    for (why, header) in [
        ("none", json!({ "alg": "none", "kid": "e" })),
        ("none, spelt otherwise", json!({ "alg": "NONE", "kid": "e" })),
        ("a shared secret", json!({ "alg": "HS256", "kid": "r" })),
        ("another hash", json!({ "alg": "ES384", "kid": "e" })),
        ("another padding", json!({ "alg": "PS256", "kid": "r" })),
        ("the other kind of key", json!({ "alg": "ES256", "kid": "r" })),
        ("the other kind of key", json!({ "alg": "RS256", "kid": "e" })),
        ("no key named", json!({ "alg": "ES256" })),
        ("an extension", json!({ "alg": "ES256", "kid": "e", "crit": ["b64"], "b64": false })),
        ("a key of its own", json!({ "alg": "ES256", "kid": "x", "jwk": stranger.public() })),
    ] {
        assert_eq!(verified(&issuer, &ec.token_headed(&header, &claims)).await, None, "{why}");
    }
    assert_eq!(verified(&issuer, &stranger.token(&claims)).await, None, "signed by somebody else");
    let token = ec.token(&claims);
    let parts: Vec<&str> = token.split('.').collect();
    let other = rsa.token(&with(&claims, json!({ "custom:role": "owner" })));
    let forged = format!("{}.{}.{}", parts[0], other.split('.').nth(1).unwrap(), parts[2]);
    for text in
        [forged.as_str(), &format!("{}.{}.", parts[0], parts[1]), "", "a.b.c", "a.b", &"x".repeat(9000)]
    {
        assert_eq!(verified(&issuer, text).await, None, "{text:.60}");
    }
    assert!(verified(&issuer, &token).await.is_some());
}

#[tokio::test(flavor = "current_thread")]
async fn a_key_that_is_not_for_signatures_or_for_another_algorithm_signs_nothing() {
    let key = SigningKey::es256("e");
    let jwk = |changes: Value| serde_json::from_value::<Jwk>(with(&key.public(), changes)).unwrap();
    assert!(fits(&jwk(json!({})), Algorithm::ES256));
    assert!(fits(&jwk(json!({ "alg": null, "use": null })), Algorithm::ES256));
    assert!(!fits(&jwk(json!({ "use": "enc" })), Algorithm::ES256));
    assert!(!fits(&jwk(json!({ "alg": "ES384" })), Algorithm::ES256));
    assert!(!fits(&jwk(json!({})), Algorithm::RS256));
    assert!(!fits(&jwk(json!({ "crv": "P-384", "alg": null })), Algorithm::ES256));
}

#[tokio::test(flavor = "current_thread")]
async fn keys_are_fetched_again_when_one_is_unknown_but_once_a_minute_and_when_they_are_old() {
    let (first, second) = (SigningKey::es256("1"), SigningKey::es256("2"));
    let local = LocalIssuer::start(&[&first]);
    let issuer = Issuer::new(settings(&local));
    let claims = claims(&local);
    let knows = async |key: &SigningKey, seconds: i64| {
        let at = now() + SignedDuration::from_secs(seconds);
        issuer.verify(&key.token(&claims), at).await.map(|found| found.is_some())
    };
    assert!(knows(&first, 0).await.unwrap());
    local.publish(&[&second]);
    assert_eq!(local.times_asked(), 2);
    // Whoever sends keys that nobody knows does not make us ask for each.
    for seconds in 1..60 {
        assert!(!knows(&second, seconds).await.unwrap());
    }
    assert_eq!(local.times_asked(), 0);
    assert!(knows(&second, 60).await.unwrap());
    assert!(!knows(&first, 61).await.unwrap(), "a key that was withdrawn is none");
    assert_eq!(local.times_asked(), 2);
    // Keys an hour old are fetched again; while the issuer is down, they are good for six.
    assert!(knows(&second, 60 + 3599).await.unwrap());
    assert_eq!(local.times_asked(), 0);
    local.be_down(true);
    assert!(knows(&second, 60 + 3600).await.unwrap());
    assert!(knows(&second, 60 + 3601).await.unwrap());
    assert_eq!(local.times_asked(), 1);
    assert!(knows(&second, 60 + 6 * 3600).await.is_err());
    local.be_down(false);
    assert!(knows(&second, 61 + 6 * 3600).await.unwrap());
}

#[tokio::test(flavor = "current_thread")]
async fn an_issuer_that_is_not_itself_or_not_safe_is_not_asked_for_keys() {
    let key = SigningKey::es256("e");
    let local = LocalIssuer::start(&[&key]);
    let token = key.token(&claims(&local));
    let fails = async |settings: Settings| {
        let refused = Issuer::new(settings).verify(&token, now()).await;
        assert!(matches!(refused, Err(PortError::Retryable { .. })), "{refused:?}");
    };
    fails(Settings { allows_loopback: false, ..settings(&local) }).await;
    assert_eq!(local.times_asked(), 0, "plain HTTP, and not asked");
    fails(Settings { issuer: "http://issuer.example".to_owned(), ..settings(&local) }).await;
    fails(Settings { issuer: "file:///etc/passwd".to_owned(), ..settings(&local) }).await;
    fails(Settings { issuer: format!("{}/other", local.url()), ..settings(&local) }).await;
    local.name_itself("https://issuer.example");
    fails(settings(&local)).await;
    local.be_down(true);
    fails(settings(&local)).await;
}

#[test]
fn without_an_issuer_or_an_audience_no_tokens_are_taken() {
    let whole = [
        ("OIDC_ISSUER", "https://issuer.example"),
        ("OIDC_AUDIENCE", AUDIENCE),
        ("OIDC_BUSINESS_CLAIM", "b"),
        ("OIDC_ROLE_CLAIM", "r"),
    ];
    let of = |left_out: &str| {
        Settings::from_environment(|name| {
            let set = whole.iter().find(|(known, _)| *known == name && name != left_out);
            set.map(|(_, value)| (*value).to_owned())
        })
    };
    assert_eq!(of("OIDC_ISSUER"), None);
    assert_eq!(of("OIDC_AUDIENCE"), None);
    let set = of("").unwrap();
    assert_eq!((set.issuer.as_str(), set.allows_loopback), ("https://issuer.example", false));
}
