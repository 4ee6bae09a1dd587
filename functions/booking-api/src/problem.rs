//! Errors as problem+json (RFC 9457). One `type` for each kind of error, stable for callers to compare.
//!
//! What is the caller's to mend says which field and what was expected. What is ours says nothing but that it was ours; the log says the rest.

use app::error::{AppError, chain};
use app::ports::PortError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::template::InvalidTemplate;
use serde::Serialize;
use serde::de::IgnoredAny;
use utoipa::ToSchema;

/// A problem as the caller sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
struct FieldError {
    field: String,
    expected: String,
    /// Where in a text, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// Which character of the line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
}

impl FieldError {
    fn new(field: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { field: field.into(), expected: expected.into(), line: None, column: None }
    }
}

impl Problem {
    fn new(status: StatusCode, kind: &str, title: &'static str, detail: String) -> Self {
        let kind = format!("urn:booking-notifications:problem:{kind}");
        Self { kind, title, status: status.as_u16(), detail, errors: Vec::new() }
    }

    /// The body is no JSON.
    pub fn malformed(detail: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed-json", "The body is not valid JSON", detail)
    }

    /// The body is larger than any of ours.
    pub fn too_large() -> Self {
        let detail = "A body has at most 1 MiB.".to_owned();
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large", detail)
    }

    /// A field, a header or a parameter holds something that does not fit.
    pub fn invalid(field: impl Into<String>, expected: impl Into<String>) -> Self {
        let (field, expected) = (field.into(), expected.into());
        let detail = format!("{field}: expected {expected}");
        let problem = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "A field holds something that does not fit",
            detail,
        );
        Self { errors: vec![FieldError::new(field, expected)], ..problem }
    }

    /// The business has made as many requests as it may in a minute.
    pub fn too_many_requests() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-requests",
            "Too many requests in a minute",
            "Wait as many seconds as Retry-After says.".to_owned(),
        )
    }

    /// There is nothing here.
    pub fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "There is no such thing",
            format!("There is no {what} with this id."),
        )
    }

    /// There is no such path.
    pub fn no_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "no-route", "There is no such path", String::new())
    }

    /// The path is there, and takes other methods.
    pub fn method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "This path does not take this method",
            String::new(),
        )
    }

    /// The authorizer said nothing of a business.
    pub fn nobody() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "The caller is not known", String::new())
    }
}

impl From<AppError> for Problem {
    fn from(error: AppError) -> Self {
        let detail = error.to_string();
        match error {
            AppError::Invalid { field, expected } => Problem::invalid(field, expected),
            AppError::InvalidTemplate(InvalidTemplate { path, words, at }) => {
                let (line, column) = at.map(|at| (at.line, at.column)).unzip();
                let expected = words.strip_prefix("expected ").map(str::to_owned).unwrap_or(words);
                let error = FieldError { line, column, ..FieldError::new(path, expected) };
                Problem { detail, errors: vec![error], ..Problem::invalid("", "") }
            }
            AppError::NotFound { what } => Problem::not_found(what),
            AppError::Forbidden(_) => {
                Problem::new(StatusCode::FORBIDDEN, "forbidden", "The caller may not do this", detail)
            }
            AppError::LastOwnerKey => Problem::new(
                StatusCode::CONFLICT,
                "last-owner-key",
                "The business could make no more API keys",
                detail,
            ),
            AppError::KeyEnded => {
                Problem::new(StatusCode::CONFLICT, "key-ended", "The key does not work any more", detail)
            }
            AppError::Overlap => {
                let problem = Problem::new(
                    StatusCode::CONFLICT,
                    "overlap",
                    "The resource is taken at that time",
                    detail,
                );
                let expected = "a time at which the resource is free".to_owned();
                Problem { errors: vec![FieldError::new("start", expected)], ..problem }
            }
            AppError::SeriesOverlap { number, .. } => {
                let problem = Problem::new(
                    StatusCode::CONFLICT,
                    "overlap",
                    "The resource is taken at that time",
                    detail,
                );
                let expected =
                    format!("times at which the resource is free; at that of booking {number} it is not");
                Problem { errors: vec![FieldError::new("start", expected)], ..problem }
            }
            AppError::WebhookOff => {
                Problem::new(StatusCode::CONFLICT, "webhook-off", "The webhook is switched off", detail)
            }
            AppError::NoOffer => {
                Problem::new(StatusCode::CONFLICT, "no-offer", "There is no offer to take", detail)
            }
            AppError::CannotWrite(_) => Problem::new(
                StatusCode::CONFLICT,
                "cannot-write",
                "The channel does not let us write to the client",
                detail,
            ),
            AppError::NumberTaken => {
                Problem::new(StatusCode::CONFLICT, "number-taken", "The number belongs to another", detail)
            }
            AppError::Erased => Problem::new(StatusCode::CONFLICT, "erased", "The client was erased", detail),
            AppError::TaskClosed => {
                Problem::new(StatusCode::CONFLICT, "task-closed", "The task was closed", detail)
            }
            AppError::IllegalTransition(_) => Problem::new(
                StatusCode::CONFLICT,
                "illegal-transition",
                "The booking's state does not allow it",
                detail,
            ),
            AppError::IllegalStep(_) => Problem::new(
                StatusCode::CONFLICT,
                "illegal-transition",
                "The campaign's state does not allow it",
                detail,
            ),
            AppError::Stale { .. } => {
                Problem::new(StatusCode::PRECONDITION_FAILED, "stale", "It has changed meanwhile", detail)
            }
            AppError::KeyReused => {
                let problem = Problem::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "idempotency-key-reused",
                    "The key was used before",
                    detail,
                );
                let expected = "a key of its own for every request".to_owned();
                Problem { errors: vec![FieldError::new("Idempotency-Key", expected)], ..problem }
            }
            AppError::Busy => {
                Problem::new(StatusCode::CONFLICT, "busy", "Too many changes at the same time", detail)
            }
            AppError::Port(error) => {
                tracing::error!(error = %chain(&error), "a request failed");
                match error {
                    PortError::Throttled { .. } | PortError::Retryable { .. } => Problem::new(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "busy-service",
                        "Try again in a moment",
                        String::new(),
                    ),
                    _ => Problem::new(
                        StatusCode::INTERNAL_SERVER_ERROR,
                        "internal",
                        "Something of ours failed",
                        String::new(),
                    ),
                }
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(self)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

/// What serde says of a field of the body `json`, as a problem that names it.
pub fn of_json(error: serde_path_to_error::Error<serde_json::Error>, json: &[u8]) -> Problem {
    use serde_json::error::Category;
    let path = error.path().to_string();
    let error = error.into_inner();
    let text = error.to_string();
    // "… at line 3 column 7" helps with broken JSON only.
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    if error.classify() != Category::Data {
        // A number, say, where one of several words belongs is to serde_json no JSON at all.
        let is_json =
            std::str::from_utf8(json).is_ok_and(|json| serde_json::from_str::<IgnoredAny>(json).is_ok());
        return match is_json {
            true => Problem::invalid(path, "another kind of value: a word as the document lists them"),
            false => Problem::malformed(text),
        };
    }
    let inside = |field: &str| if path == "." { field.to_owned() } else { format!("{path}.{field}") };
    let quoted = |what: &str| what.split('`').nth(1).map(str::to_owned);
    match what {
        _ if what.starts_with("missing field") => {
            Problem::invalid(inside(&quoted(what).unwrap_or_default()), "a value: the field is missing")
        }
        _ if what.starts_with("duplicate field") => {
            Problem::invalid(inside(&quoted(what).unwrap_or_default()), "one value: the field is there twice")
        }
        _ if what.starts_with("unknown field") => {
            let field = quoted(what).unwrap_or_default();
            let field = if path == field || path.ends_with(&format!(".{field}")) {
                path.clone()
            } else {
                inside(&field)
            };
            let known = what.split_once(", ").map_or("no such field", |(_, known)| known);
            Problem::invalid(field, format!("no such field: {known}"))
        }
        _ if what.starts_with("unknown variant") => {
            Problem::invalid(path, what.split_once(", expected ").map_or(what, |(_, known)| known))
        }
        _ => Problem::invalid(path, what.strip_prefix("expected ").unwrap_or(what)),
    }
}

/// What axum says of a query string, `Failed to deserialize query string: limit: invalid digit found in string`, as a problem that names
/// the parameter.
pub fn of_query(text: &str) -> Problem {
    let (_, what) = text.split_once(": ").unwrap_or(("", text));
    let (parameter, what) = what.split_once(": ").unwrap_or(("query", what));
    if let Some(missing) = what.strip_prefix("missing field ") {
        return Problem::invalid(missing.trim_matches('`'), "a value: the parameter is missing");
    }
    match what.strip_prefix("unknown field ") {
        Some(unknown) => {
            let known = unknown.split_once(", ").map_or("no such parameter", |(_, known)| known);
            Problem::invalid(parameter, format!("no such parameter: {known}"))
        }
        None => Problem::invalid(parameter, format!("a value that fits: {what}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::change_booking::BookingPatch;
    use app::create_booking::NewBooking;
    use app::create_series::NewSeries;
    use app::edit_catalogue::{BusinessPatch, ClientFields, LocationFields, StaffFields};
    use app::suppress::SuppressionFields;
    use app::waitlist::WaitlistFields;
    use app::write_occasion::{
        AccountOperationFields, BonusFields, IndividualFields, VerificationCodeFields,
    };
    use domain::rule::Rule;
    use serde::de::DeserializeOwned;

    fn problem<T: DeserializeOwned>(json: &str) -> (u16, String, String) {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let error = serde_path_to_error::deserialize::<_, T>(&mut deserializer).err().unwrap();
        let problem = of_json(error, json.as_bytes());
        let field = problem.errors.first().cloned().unwrap_or(FieldError::new("", problem.detail));
        (problem.status, field.field, field.expected)
    }

    #[test]
    fn bad_input_names_the_field_and_what_was_expected() {
        let of = |status, field: &str, expected: &str| (status, field.to_owned(), expected.to_owned());
        assert_eq!(
            problem::<LocationFields>(r#"{"name":"x","zone":"Mars/Olympus"}"#),
            of(422, "zone", r#"an IANA time zone such as "Europe/Lisbon", got "Mars/Olympus""#)
        );
        assert_eq!(
            problem::<LocationFields>(r#"{"zone":"UTC"}"#),
            of(422, "name", "a value: the field is missing")
        );
        assert_eq!(
            problem::<ClientFields>(r#"{"name":"x","phone":"abc"}"#),
            of(422, "phone", r#"a phone number in E.164 form such as "+351912345678""#)
        );
        let (_, field, expected) = problem::<ClientFields>(r#"{"name":"x","bans":{"channels":["fax"]}}"#);
        assert_eq!(field, "bans.channels[0]");
        assert!(expected.starts_with("one of `email`, `sms`"), "{expected}");
        let (status, field, expected) = problem::<ClientFields>(r#"{"name":"x","phon":"+351912345678"}"#);
        assert_eq!((status, field.as_str()), (422, "phon"));
        assert!(expected.contains("`phone`"), "{expected}");
        let booking = r#"{"location_id":"l","resource_id":"r","service_id":"s","client_ids":["c"],"source":"staff","start":"2026-02-30T10:00"}"#;
        assert_eq!(problem::<NewBooking>(booking).1, "start");
        assert_eq!(problem::<LocationFields>("{\"name\":").0, 400);
        assert_eq!(
            problem::<LocationFields>(r#"{"name":"x","name":"y","zone":"UTC"}"#),
            of(422, "name", "one value: the field is there twice")
        );
    }

    #[test]
    fn s27_s71_bad_settings_name_the_field_and_what_was_expected() {
        let timing =
            problem::<Rule>(r#"{"enabled":true,"steps":[{"timing":"-5m before start","channels":["sms"]}]}"#);
        assert_eq!((timing.0, timing.1.as_str()), (422, "steps[0].timing"));
        assert!(timing.2.ends_with(r#"(1m to 366d), got "-5m before start""#), "{}", timing.2);
        let hours = problem::<BusinessPatch>(r#"{"quiet_hours":{"from":"25:00","until":"08:00"}}"#);
        assert_eq!((hours.0, hours.1.as_str()), (422, "quiet_hours"));
        assert!(hours.2.contains(r#""00:00" to "23:59""#), "{}", hours.2);
    }

    #[test]
    fn s6_a_bad_text_names_the_field_the_line_and_the_column() {
        let text = "Hello,\n{{ client.shoe_size }}".to_owned();
        let (channel, locale) = (domain::channel::Channel::Sms, domain::business::Locale::En);
        let texts = vec![domain::template::OwnText { channel, locale, resource_kind: None, text }];
        let kind = domain::notification_type::NotificationType::Reminder;
        let business_id = "b".parse().unwrap();
        let templates = domain::template::Templates { business_id, kind, texts, blocks: Vec::new() };
        let problem = Problem::from(AppError::from(templates.check().unwrap_err()));
        let shown = serde_json::to_value(&problem).unwrap();
        assert_eq!(
            (shown["status"].as_u64(), &shown["errors"][0]["field"]),
            (Some(422), &"texts[0].text".into())
        );
        assert_eq!((&shown["errors"][0]["line"], &shown["errors"][0]["column"]), (&2.into(), &4.into()));
        assert!(
            shown["detail"].as_str().unwrap().starts_with("texts[0].text: line 2, column 4: "),
            "{shown}"
        );
    }

    #[test]
    fn bad_input_to_every_kind_of_fact_names_the_field() {
        let refused = |json: &str, of: fn(&str) -> (u16, String, String), field: &str, what: &str| {
            let (status, named, expected) = of(json);
            assert_eq!((status, named.as_str()), (422, field), "{json}");
            assert!(expected.contains(what), "{json}: {expected}");
        };
        let staff = problem::<StaffFields>;
        refused(r#"{"phone":"+351912345678"}"#, staff, "name", "missing");
        refused(r#"{"name":"Nuno","email":"nuno"}"#, staff, "email", "e-mail");
        let suppression = problem::<SuppressionFields>;
        refused(r#"{"channel":"push","cause":"stop"}"#, suppression, "channel", "`email`");
        refused(r#"{"channel":"sms","cause":"mood"}"#, suppression, "cause", "`hard_bounce`");
        refused(r#"{"channel":7,"cause":"stop"}"#, suppression, "channel", "a word");
        let patch = problem::<BookingPatch>;
        refused(r#"{"resource_id":null}"#, patch, "resource_id", "string");
        refused(r#"{"client_ids":["a b"]}"#, patch, "client_ids[0]", "an id");
        refused(r#"{"reminders":["-5m before start"]}"#, patch, "reminders[0]", "a timing");
        refused(r#"{"rebooking_after":"0d"}"#, patch, "rebooking_after", "a length of time");
        refused(r#"{"start":"2026-11-24T10:00"}"#, patch, "start", "no such field");
        let operation = problem::<AccountOperationFields>;
        refused(r#"{"operation":"theft"}"#, operation, "operation", "`penalty_charged`");
        let eur = r#""operation":"penalty_paid","amount":{"minor":1,"currency":"EUR"}"#;
        refused(
            r#"{"operation":"penalty_paid","amount":{"minor":1.5,"currency":"EUR"}}"#,
            operation,
            "amount.minor",
            "i64",
        );
        refused(
            r#"{"operation":"penalty_paid","amount":{"minor":1,"currency":"euro"}}"#,
            operation,
            "amount.currency",
            "three capital letters",
        );
        refused(&format!("{{{eur},\"channels\":[]}}"), operation, "channels", "at least one channel");
        refused(&format!("{{{eur},\"channels\":[\"sms\",\"sms\"]}}"), operation, "channels", "each once");
        refused(&format!("{{{eur},\"channels\":[\"fax\"]}}"), operation, "channels", "\"all\" or a list");
        refused(&format!("{{{eur},\"notify\":\"maybe\"}}"), operation, "notify", "true, false");
        refused(
            r#"{"bonus":"accrued","amount":{"points":-1}}"#,
            problem::<BonusFields>,
            "amount.points",
            "u32",
        );
        let letter = problem::<IndividualFields>;
        refused(r#"{"channels":"all","text":""}"#, letter, "text", "1 to 1000 characters");
        refused(r#"{"text":"hello"}"#, letter, "channels", "missing");
        let code = problem::<VerificationCodeFields>;
        refused(r#"{"client_id":"c","channel":"push","code":"1234"}"#, code, "channel", "`sms`");
        refused(
            r#"{"client_id":"c","channel":"sms","code":"123"}"#,
            code,
            "code",
            "4 to 10 letters or digits",
        );
        let series = r#""location_id":"l","resource_id":"r","service_id":"s","client_ids":["c"],"start":"2026-11-24T10:00","source":"staff""#;
        for (every, count, field, what) in [
            ("7h", "4", "every", "7d"),
            ("0d", "4", "every", "1d to 90d"),
            ("91d", "4", "every", "1d to 90d"),
            ("+7d", "4", "every", "1d to 90d"),
            ("7d", "1", "count", "2 to 26"),
            ("7d", "27", "count", "2 to 26"),
        ] {
            let json = format!("{{{series},\"every\":\"{every}\",\"count\":{count}}}");
            refused(&json, problem::<NewSeries>, field, what);
        }
        let place = r#"{"client_id":"c","location_id":"l","service_id":"s","from":"2026-11-24T10:00"}"#;
        refused(place, problem::<WaitlistFields>, "until", "missing");
        let business = problem::<BusinessPatch>;
        refused(r#"{"waitlist_hold_minutes":4}"#, business, "waitlist_hold_minutes", "5 to 1440");
        refused(
            &format!("{{\"signature\":\"{}\"}}", "x".repeat(201)),
            business,
            "signature",
            "1 to 200 characters",
        );
        let price = |prefix: &str, minor: &str| {
            format!("{{\"prefix\":\"{prefix}\",\"per_thousand\":{{\"minor\":{minor},\"currency\":\"EUR\"}}}}")
        };
        let prices = |prices: &[String]| format!("{{\"sms_prices\":[{}]}}", prices.join(","));
        for bad in ["351", "+", "+3x", "+12345678"] {
            refused(&prices(&[price(bad, "1")]), business, "sms_prices[0]", "a prefix");
        }
        refused(&prices(&[price("+1", "1"), price("+2", "-1")]), business, "sms_prices[1]", "0 or more");
        refused(&prices(&[price("+1", "1"), price("+1", "2")]), business, "sms_prices", "another prefix");
        let many: Vec<String> = (100..151).map(|number| price(&format!("+{number}"), "1")).collect();
        refused(&prices(&many), business, "sms_prices", "at most 50");
        assert!(serde_json::from_str::<BusinessPatch>(&prices(&many[..50])).is_ok());
    }

    #[test]
    fn every_conflict_has_a_type_of_its_own() {
        let of = |error: AppError| {
            let problem = Problem::from(error);
            (problem.status, problem.kind.rsplit(':').next().unwrap_or_default().to_owned())
        };
        assert_eq!(of(AppError::NoOffer), (409, "no-offer".to_owned()));
        assert_eq!(of(AppError::CannotWrite("why")), (409, "cannot-write".to_owned()));
        assert_eq!(of(AppError::TaskClosed), (409, "task-closed".to_owned()));
        let start = jiff::Timestamp::UNIX_EPOCH;
        let overlap = Problem::from(AppError::SeriesOverlap { number: 3, start });
        assert!(
            overlap.detail.contains("booking 3 of the series, 1970-01-01T00:00:00Z"),
            "{}",
            overlap.detail
        );
        assert_eq!(of(AppError::SeriesOverlap { number: 3, start }), (409, "overlap".to_owned()));
    }
}
