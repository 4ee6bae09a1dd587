//! The requests: `GET` and `POST /c/{token}`.

use std::collections::BTreeMap;

use app::act_by_link::{Acted, act_by_link};
use app::error::chain;
use app::open_link::{NotOpened, Opened, Stage, open_link};
use app::ports::{PortError, Read, WriteFacts};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::booking::Status;
use domain::business::Locale;
use domain::calendar::{Visit, calendar_to_keep};
use domain::link::{Purpose, Token};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use lambda_runtime::Error;
use runtime::batch::guarded;
use runtime::metrics::{Metric, Metrics};
use runtime::now;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::form::Fields;
use crate::layout::{Page, framed, headers};
use crate::pages::{Asked, Notice, expired, too_large, unavailable, unknown};
use crate::words::words;

/// The largest form, in bytes: two thousand characters of a review, each of up to twelve bytes as browsers write them.
const LARGEST: usize = 32 * 1024;

/// A request as API Gateway brings it.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    path_parameters: BTreeMap<String, String>,
    #[serde(default)]
    raw_query_string: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    is_base64_encoded: bool,
    request_context: Context,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    http: Http,
    /// When the request came, in milliseconds since 1970.
    time_epoch: i64,
}

#[derive(Debug, Deserialize)]
struct Http {
    method: String,
}

/// What is answered.
enum Answer {
    Page(u16, String),
    /// Look at the same page again, with something to say above it. Relative, so that it holds under any domain.
    SeeOther(String),
    Calendar(String),
}

/// Answers a request.
///
/// # Errors
/// None: whatever fails has a page.
pub async fn handle(
    store: &(impl Read + WriteFacts),
    metrics: &Metrics,
    request: Request,
) -> Result<Value, Error> {
    let wall = now();
    let now = Timestamp::from_millisecond(request.request_context.time_epoch).map_or(wall, |at| wall.max(at));
    let answer = guarded(answer(store, &request, now)).await;
    let answer = answer
        .unwrap_or_else(|| page(503, &unavailable(words(language(&request))), None, language(&request)));
    if let Answer::Page(status, _) = answer {
        metrics.tell(&Metric::of_answer(status), wall);
    }
    Ok(written(answer))
}

async fn answer(store: &(impl Read + WriteFacts), request: &Request, now: Timestamp) -> Answer {
    let token = request.path_parameters.get("token").map_or("", String::as_str);
    let answered = match request.request_context.http.method.as_str() {
        "POST" => post(store, request, token, now).await,
        _ => get(store, request, token, now).await,
    };
    let locale = language(request);
    answered.unwrap_or_else(|refused| match refused {
        NotOpened::Unknown => page(404, &unknown(words(locale)), None, locale),
        NotOpened::Expired(business, locale) => {
            let shown = expired(&business, locale);
            Answer::Page(410, framed(&shown, Some(&business), words(locale)))
        }
        NotOpened::Port(error) => {
            tracing::error!(error = %chain(&error), "a page could not be shown");
            page(503, &unavailable(words(locale)), None, locale)
        }
    })
}

/// Shows a page, and does nothing else: mail programs and messengers open links before their readers do.
async fn get(store: &impl Read, request: &Request, token: &str, now: Timestamp) -> Result<Answer, NotOpened> {
    let opened = open_link(store, token, now).await?;
    if opened.purpose == Purpose::Calendar
        && let Some(file) = calendar(&opened, now)
    {
        return Ok(Answer::Calendar(file?));
    }
    let notice = match request.raw_query_string.as_str() {
        "done" => Some(Notice::Done),
        "changed" => Some(Notice::LookAgain),
        _ => None,
    };
    let asked = Asked { opened: &opened, token, now, notice, mistake: None };
    Ok(page(200, &asked.page(), Some(&opened), opened.locale()))
}

async fn post(
    store: &(impl Read + WriteFacts),
    request: &Request,
    token: &str,
    now: Timestamp,
) -> Result<Answer, NotOpened> {
    let purpose = Token::read(token).ok_or(NotOpened::Unknown)?.purpose;
    let body = match request.is_base64_encoded {
        true => STANDARD.decode(&request.body).unwrap_or_default(),
        false => request.body.clone().into_bytes(),
    };
    if body.len() > LARGEST {
        let locale = language(request);
        return Ok(page(413, &too_large(words(locale)), None, locale));
    }
    let fields = Fields::read(&body);
    // The earliest day that it is anywhere: whose clock counts is known only when the link is opened.
    let today = (now - SignedDuration::from_hours(12)).to_zoned(TimeZone::UTC).date();
    let act = match fields.act(purpose, today) {
        None => return Err(NotOpened::Unknown),
        Some(Ok(act)) => act,
        Some(Err(mistake)) => {
            let opened = open_link(store, token, now).await?;
            let asked =
                Asked { opened: &opened, token, now, notice: None, mistake: Some((mistake, &fields)) };
            return Ok(page(422, &asked.page(), Some(&opened), opened.locale()));
        }
    };
    let acted = act_by_link(store, token, &act, now).await?;
    tracing::info!(?purpose, ?acted, "a client acted by a link");
    Ok(match (purpose, acted) {
        // Mail programs do this by themselves, and follow no redirect (RFC 8058 §3.1).
        (Purpose::Unsubscribe, _) => {
            let opened = open_link(store, token, now).await?;
            let asked = Asked { opened: &opened, token, now, notice: None, mistake: None };
            page(200, &asked.page(), Some(&opened), opened.locale())
        }
        // A page that is loaded anew is only looked at again.
        (_, Acted::Done) => Answer::SeeOther(format!("{token}?done")),
        (_, Acted::LookAgain) => Answer::SeeOther(format!("{token}?changed")),
        (_, Acted::Over) => Answer::SeeOther(token.to_owned()),
    })
}

/// The calendar file of a visit that is not called off.
fn calendar(opened: &Opened, now: Timestamp) -> Option<Result<String, PortError>> {
    let visit = opened.visit.as_ref()?;
    if visit.stage(&opened.client.id, now) == Stage::CalledOff {
        return None;
    }
    let booking = &visit.booking;
    let location = visit.location.as_ref();
    let visit = Visit {
        booking_id: &booking.id,
        sequence: booking.revision,
        changed_at: booking.history.last().map_or(booking.start, |event| event.at),
        start: booking.start,
        end: booking.end,
        summary: visit
            .service
            .as_ref()
            .map_or(opened.business.name.as_str(), |service| service.name.as_str()),
        location: location.map(|location| location.address.as_ref().unwrap_or(&location.name).as_str()),
    };
    let file = calendar_to_keep(&visit, booking.status != Status::Pending);
    Some(
        file.map_err(|error| PortError::Permanent {
            operation: "writing a calendar file",
            source: error.into(),
        }),
    )
}

/// The language that the reader's browser asks for, where nothing is known of the reader.
fn language(request: &Request) -> Locale {
    let asked = request.headers.get("accept-language").map_or("", String::as_str);
    let first = asked.split([',', ';', '-']).next().unwrap_or_default().trim();
    if first.eq_ignore_ascii_case("ru") { Locale::Ru } else { Locale::En }
}

fn page(status: u16, page: &Page, opened: Option<&Opened>, locale: Locale) -> Answer {
    Answer::Page(status, framed(page, opened.map(|opened| &opened.business), words(locale)))
}

fn written(answer: Answer) -> Value {
    let headers: BTreeMap<&str, &str> = headers().into_iter().collect();
    match answer {
        Answer::Page(status, body) => json!({ "statusCode": status, "headers": headers, "body": body }),
        Answer::SeeOther(location) => {
            let mut headers = json!(headers);
            headers["location"] = json!(location);
            json!({ "statusCode": 303, "headers": headers, "body": "" })
        }
        Answer::Calendar(body) => {
            let mut headers = json!(headers);
            headers["content-type"] = json!("text/calendar; charset=utf-8");
            headers["content-disposition"] = json!("attachment; filename=\"visit.ics\"");
            json!({ "statusCode": 200, "headers": headers, "body": body })
        }
    }
}
