//! Tokens of an OpenID Connect issuer, such as a Cognito user pool: [`VerifyToken`] by the issuer's published keys.
//! <https://openid.net/specs/openid-connect-discovery-1_0.html>, <https://www.rfc-editor.org/rfc/rfc8725>.
//!
//! Signed by RS256 or ES256, and by nothing else. The keys are fetched when the first token comes, so whoever calls with API keys pays nothing
//! for this.

mod keys;
mod signature;

use app::ports::{PortError, TokenClaims, VerifyToken};
use jiff::Timestamp;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

use self::keys::Keys;

/// The longest token that is looked at, in bytes: API Gateway takes 10,240 bytes of headers.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>
const LONGEST: usize = 8_192;

/// Whose tokens are taken, and what is read of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The issuer's URL, exactly as its tokens and its discovery document name it.
    pub issuer: String,
    /// Whom its tokens must be meant for: `aud`, or `client_id` in the access tokens of Cognito.
    pub audience: String,
    /// The claim that names the business.
    pub business_claim: String,
    /// The claim that names the role.
    pub role_claim: String,
    /// Whether the issuer may be on this machine and speak plain HTTP. For the local stack and tests; nothing on AWS sets it.
    pub allows_loopback: bool,
}

impl Settings {
    /// What the environment says, by the names of `template.yaml`; `None` where it names no issuer or no audience.
    pub fn from_environment(variable: impl Fn(&'static str) -> Option<String>) -> Option<Self> {
        Some(Self {
            issuer: variable("OIDC_ISSUER")?,
            audience: variable("OIDC_AUDIENCE")?,
            business_claim: variable("OIDC_BUSINESS_CLAIM")?,
            role_claim: variable("OIDC_ROLE_CLAIM")?,
            allows_loopback: variable("OIDC_ALLOW_LOCAL").is_some(),
        })
    }
}

/// An issuer, with its keys as they were last fetched.
#[derive(Debug)]
pub struct Issuer {
    settings: Settings,
    keys: Keys,
}

impl Issuer {
    /// The issuer of these settings. Nothing is fetched yet.
    pub fn new(settings: Settings) -> Self {
        let keys = Keys::of(&settings);
        Self { settings, keys }
    }

    /// The claims of a token that is good but for its times.
    fn claims(&self, token: &str, algorithm: Algorithm, key: &Jwk) -> Option<TokenClaims> {
        signature::use_ring();
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        // Times are judged by the clock of the request, the audience by what kind of token it is.
        (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
        let key = DecodingKey::from_jwk(key).ok()?;
        let claims = decode::<Map<String, Value>>(token, &key, &validation)
            .inspect_err(|error| tracing::info!(%error, "a token was refused"))
            .ok()?
            .claims;
        if !is_meant_for(&claims, &self.settings.audience) {
            tracing::info!("a token was refused: it is meant for somebody else");
            return None;
        }
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(TokenClaims {
            subject: text("sub")?,
            business: text(&self.settings.business_claim)?,
            role: text(&self.settings.role_claim)?,
            not_before: claims.get("nbf").map(|nbf| instant(nbf).ok_or(())).transpose().ok()?,
            expires_at: instant(claims.get("exp")?)?,
        })
    }
}

impl VerifyToken for Issuer {
    async fn verify(&self, token: &str, now: Timestamp) -> Result<Option<TokenClaims>, PortError> {
        if token.len() > LONGEST {
            return Ok(None);
        }
        // `none`, and whatever else is no algorithm, does not even make a header.
        let Ok(header) = decode_header(token) else { return Ok(None) };
        let (Algorithm::RS256 | Algorithm::ES256, Some(kid), None) = (header.alg, &header.kid, &header.crit)
        else {
            return Ok(None);
        };
        let Some(key) = self.keys.find(kid, now).await? else { return Ok(None) };
        Ok(fits(&key, header.alg).then(|| self.claims(token, header.alg, &key)).flatten())
    }
}

/// Whether a key is for signatures of this algorithm. What the token says of itself decides nothing.
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let named = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(_), Algorithm::RS256) => KeyAlgorithm::RS256,
        (AlgorithmParameters::EllipticCurve(curve), Algorithm::ES256)
            if curve.curve == EllipticCurve::P256 =>
        {
            KeyAlgorithm::ES256
        }
        _ => return false,
    };
    let is_for_signatures = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
    is_for_signatures && key.common.key_algorithm.as_ref().is_none_or(|algorithm| *algorithm == named)
}

/// Whether a token is meant for us. Cognito's access tokens have a `client_id` and no `aud`; its `token_use` says which kind a token is.
/// <https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html>
fn is_meant_for(claims: &Map<String, Value>, audience: &str) -> bool {
    match (claims.get("aud"), claims.get("token_use").and_then(Value::as_str)) {
        (None, Some("access")) => claims.get("client_id").and_then(Value::as_str) == Some(audience),
        (Some(_), Some(other)) if other != "access" && other != "id" => false,
        (Some(Value::String(one)), _) => one == audience,
        (Some(Value::Array(several)), _) => several.iter().any(|one| one.as_str() == Some(audience)),
        _ => false,
    }
}

/// An instant as tokens give it: seconds, perhaps with a fraction.
fn instant(value: &Value) -> Option<Timestamp> {
    let seconds = value.as_f64()?.floor();
    // Beyond this, no instant is one; and below it, every such number is exactly an integer.
    let is_sane = (0.0..253_402_207_200.0).contains(&seconds);
    #[allow(clippy::cast_possible_truncation, reason = "it is a whole number of that range")]
    is_sane.then(|| Timestamp::from_second(seconds as i64).ok()).flatten()
}

#[cfg(test)]
mod tests;
