//! An OpenID Connect issuer on this machine, with keys of its own.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use crate::recorded::Recorded;

/// A key that tokens are signed with.
#[derive(Debug)]
pub struct SigningKey {
    kid: String,
    pair: Pair,
}

#[derive(Debug)]
enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

impl SigningKey {
    /// The one RSA key of these tests, which nothing else knows: making one takes a second.
    pub fn rs256(kid: &str) -> Self {
        let pair = RsaKeyPair::from_pkcs8(include_bytes!("../keys/for-tests-only.p8")).expect("a key");
        Self { kid: kid.to_owned(), pair: Pair::Rsa(pair) }
    }

    /// A new key on P-256.
    pub fn es256(kid: &str) -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a new key");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("a key");
        Self { kid: kid.to_owned(), pair: Pair::Ec(pair) }
    }

    /// The public half as the issuer publishes it. <https://www.rfc-editor.org/rfc/rfc7517>
    pub fn public(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.pair {
            Pair::Rsa(pair) => {
                let public = rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({ "kid": self.kid, "kty": "RSA", "alg": "RS256", "use": "sig", "n": text(&public.n), "e": text(&public.e) })
            }
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = (text(&point[1..33]), text(&point[33..]));
                json!({ "kid": self.kid, "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "x": x, "y": y })
            }
        }
    }

    /// A token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        let algorithm = match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Ec(_) => "ES256",
        };
        self.token_headed(&json!({ "alg": algorithm, "typ": "JWT", "kid": self.kid }), claims)
    }

    /// A token that says of itself what `header` says, signed with this key.
    pub fn token_headed(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let random = SystemRandom::new();
        let signed = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signed = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signed).expect("a signature");
                signed
            }
            Pair::Ec(pair) => pair.sign(&random, message.as_bytes()).expect("a signature").as_ref().to_vec(),
        };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signed))
    }
}

/// What an issuer answers.
#[derive(Debug, Default)]
struct Published {
    keys: Vec<Value>,
    issuer: Option<String>,
    is_down: bool,
}

/// An issuer.
#[derive(Debug)]
pub struct LocalIssuer {
    server: Recorded,
    published: Arc<Mutex<Published>>,
}

impl LocalIssuer {
    /// An issuer that has published these keys.
    pub fn start(keys: &[&SigningKey]) -> Self {
        let published = Arc::new(Mutex::new(Published::default()));
        let told = Arc::clone(&published);
        let server = Recorded::deciding(move |asked| {
            let published = told.lock().expect("nobody panics with it");
            let host = asked
                .head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("host: ").map(str::to_owned));
            let url = format!("http://{}", host.unwrap_or_default().trim());
            match asked.head.split(' ').nth(1).unwrap_or_default() {
                _ if published.is_down => (503, "down".to_owned()),
                "/.well-known/openid-configuration" => {
                    let issuer = published.issuer.clone().unwrap_or_else(|| url.clone());
                    (200, json!({ "issuer": issuer, "jwks_uri": format!("{url}/jwks") }).to_string())
                }
                "/jwks" => (200, json!({ "keys": published.keys }).to_string()),
                other => (404, other.to_owned()),
            }
        });
        let issuer = Self { server, published };
        issuer.publish(keys);
        issuer
    }

    /// Its URL, which its tokens name.
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// Publishes these keys and no others.
    pub fn publish(&self, keys: &[&SigningKey]) {
        self.published.lock().expect("nobody panics with it").keys =
            keys.iter().map(|key| key.public()).collect();
    }

    /// Says that it is somebody else.
    pub fn name_itself(&self, issuer: &str) {
        self.published.lock().expect("nobody panics with it").issuer = Some(issuer.to_owned());
    }

    /// Goes down or comes up again.
    pub fn be_down(&self, is_down: bool) {
        self.published.lock().expect("nobody panics with it").is_down = is_down;
    }

    /// How often it was asked since this was last asked.
    pub fn times_asked(&self) -> usize {
        self.server.asked().len()
    }
}
