//! The OpenAPI document: what is said of the API as a whole. What is said of each operation stands above its handler.

use serde_json::Value;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, Header, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref,
    RefOr, Response, ServerBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use crate::problem::Problem;
use crate::routes;

/// A problem that operations may answer with: its status, whether an operation may that writes or not and names a thing in its path or not, and
/// what it means.
type ProblemOf = (&'static str, fn(writes: bool, named: bool) -> bool, &'static str);

/// Every problem that operations answer with, whatever they do.
pub(crate) const PROBLEMS: [ProblemOf; 11] = [
    ("400", |writes, _| writes, "The body is not valid JSON."),
    (
        "401",
        |_, _| true,
        "Nobody: there is no key, answered by API Gateway; or a key or token that has run out a moment ago.",
    ),
    (
        "403",
        |_, _| true,
        "Somebody we do not know, answered by API Gateway; or somebody who lacks the scope that the operation needs.",
    ),
    ("404", |_, named| named, "There is no such thing in this business."),
    (
        "409",
        |writes, _| writes,
        "Its state does not allow it, or others write the same thing at the same time.",
    ),
    ("412", |writes, named| writes && named, "It has changed since it was read."),
    ("413", |writes, _| writes, "The body is too large."),
    (
        "422",
        |_, _| true,
        "A field or a parameter holds something that does not fit. `errors` names it and says what was expected.",
    ),
    (
        "429",
        |_, _| true,
        "As many requests as the business may make in a minute: `Retry-After` says when the next begins. Or too many at a time, answered \
         by API Gateway: try again in a moment.",
    ),
    ("500", |_, _| true, "Something of ours failed."),
    ("503", |_, _| true, "Try again in a moment."),
];

/// What operations are about, in the order in which a reader needs them.
const TAGS: &[(&str, &str)] = &[
    ("business", "The business itself, and settings on their way to bookings."),
    ("locations", "Branches of the business."),
    ("resources", "Whom or what bookings take up: specialists, equipment, rooms."),
    ("services", "What is booked."),
    ("staff", "Who is told on the business's side."),
    ("clients", "Who comes, how they are reached, and what is never sent to them."),
    ("bookings", "Bookings, and what happens to them."),
    ("waitlist", "Who waits for a time; one that comes free is offered to one after the other."),
    ("rules", "When each notification type goes out, and on which channels."),
    ("templates", "Own texts, and what they say and cost."),
    ("messages", "What a client is told beside bookings, the log of all messages, and what they cost."),
    ("campaigns", "One text to all clients that a filter finds, at a set pace."),
    ("conversations", "What clients and the business write to each other."),
    ("reviews", "What clients say of their visits."),
    ("tasks", "What staff should look at."),
    ("api-keys", "Who may call this API, and for what."),
    ("link-keys", "What links to clients' own pages are signed with."),
    ("webhooks", "Where events are posted, and how they were taken."),
];

/// Headers that many answers have, and what they say.
const HEADERS: [(&str, &str, &str); 3] = [
    (
        "RateLimit",
        "How many requests the business has left in this minute (`r`), and in how many seconds the next begins (`t`).",
        "\"requests\";r=597;t=42",
    ),
    (
        "RateLimit-Policy",
        "How many requests the business may make (`q`) in so many seconds (`w`).",
        "\"requests\";q=600;w=60",
    ),
    ("Retry-After", "In how many seconds to try again.", "42"),
];

/// Adds the headers that tell of the limit on requests: every answer but API Gateway's own has them.
pub(crate) fn tell_of_the_limit(response: &mut Response) {
    for name in ["RateLimit", "RateLimit-Policy"] {
        let header = RefOr::Ref(Ref::new(format!("#/components/headers/{name}")));
        response.headers.insert(name.to_owned(), header);
    }
}

/// The name of a problem among the document's components.
pub(crate) fn problem_name(status: &str) -> String {
    format!("Problem{status}")
}

/// The API as OpenAPI 3.1 describes it.
///
/// # Errors
/// None: the document is made of nothing that JSON cannot hold.
pub fn openapi() -> serde_json::Result<Value> {
    let mut document = serde_json::to_value(described())?;
    tidy(&mut document);
    tell_of_bodies_that_may_be_left_out(&mut document);
    Ok(document)
}

/// A body none of whose fields is required may be left out: an empty one reads as `{}`.
fn tell_of_bodies_that_may_be_left_out(document: &mut Value) {
    let schemas = document["components"]["schemas"].take();
    let operations = document["paths"].as_object_mut().into_iter().flatten();
    for (_, operation) in operations.flat_map(|(_, path)| path.as_object_mut().into_iter().flatten()) {
        let Some(body) = operation.get_mut("requestBody") else { continue };
        let name = body["content"]["application/json"]["schema"]["$ref"].as_str();
        let Some(name) = name.and_then(|name| name.strip_prefix("#/components/schemas/")) else { continue };
        let fields = &schemas[name];
        if fields["type"] == "object" && fields.get("required").is_none() {
            body["required"] = false.into();
        }
    }
    document["components"]["schemas"] = schemas;
}

/// Takes out of descriptions what is meant for readers of the code: the ends of its lines, and the numbers of rules.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "description" || name == "summary" => *text = tidied(text),
                    _ => tidy(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn tidied(text: &str) -> String {
    let joined =
        text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect::<Vec<_>>().join("\n\n");
    let mut parts = joined.split(" (S");
    let mut tidy = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((numbers, rest))
                if numbers.starts_with("PEC ") || numbers.starts_with(|c: char| c.is_ascii_digit()) =>
            {
                tidy.push_str(rest);
            }
            _ => {
                tidy.push_str(" (S");
                tidy.push_str(part);
            }
        }
    }
    tidy
}

fn described() -> OpenApi {
    let about = "Bookings, and what their clients are told of them. Times are wall times at the location \
        (`2027-03-02T10:00`) or instants (`2027-03-02T10:00:00Z`), money is in minor units, phones are in E.164. \
        Errors are `application/problem+json` (RFC 9457), with a `type` that stays the same.";
    let info = InfoBuilder::new()
        .title("Booking notifications")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(about))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    let key = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "An API key, `bk_…`, or a token (JWT) of the issuer that the operator has set. Each operation names the scope it needs: \
         the role of whoever calls must allow it, and where an API key has scopes, it must be among them.",
    ));
    let components = PROBLEMS.iter().fold(ComponentsBuilder::new(), |components, (status, _, means)| {
        let content = |schema| ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
        let mut response = Response::builder().description(*means);
        // What API Gateway answers by itself is plain JSON.
        if matches!(*status, "401" | "403" | "413" | "429" | "500" | "503") {
            response = response.content("application/json", content(Refusal::name()));
        }
        response = response.content("application/problem+json", content(Problem::name()));
        if *status == "429" {
            response = response.header_ref("Retry-After", Ref::new("#/components/headers/Retry-After"));
        }
        let mut response = response.build();
        tell_of_the_limit(&mut response);
        components.response(problem_name(status), response)
    });
    let mut schemas = vec![
        (Refusal::name().into_owned(), Refusal::schema()),
        (Problem::name().into_owned(), Problem::schema()),
    ];
    Problem::schemas(&mut schemas);
    let components = HEADERS.iter().fold(components, |components, (name, says, example)| {
        let text = ObjectBuilder::new().schema_type(Type::String).examples([*example]);
        let mut header = Header::new(text);
        header.description = Some((*says).to_owned());
        components.header(*name, header)
    });
    let components = components
        .schemas_from_iter(schemas)
        .security_scheme("key", SecurityScheme::Http(key.build()))
        .build();
    let tags =
        TAGS.iter().map(|&(name, about)| TagBuilder::new().name(name).description(Some(about)).build());
    let document = OpenApiBuilder::new()
        .tags(Some(tags))
        .info(info)
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .security(Some([SecurityRequirement::new::<_, [&str; 0], _>("key", [])]))
        .components(Some(components))
        .build();
    routes::operations(document)
}

/// What API Gateway answers to nobody it knows.
#[derive(ToSchema)]
#[allow(dead_code, reason = "it describes what API Gateway answers")]
struct Refusal {
    /// Why, in a word or two.
    #[schema(example = "Unauthorized")]
    message: String,
}

#[cfg(test)]
mod tests {
    /// `cargo xtask openapi` writes the document anew.
    #[test]
    fn the_committed_document_is_what_the_code_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        let said = serde_json::to_string_pretty(&super::openapi().unwrap()).unwrap() + "\n";
        if std::env::var_os("WRITE_OPENAPI").is_some() {
            std::fs::write(path, &said).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == said, "docs/openapi.json is behind the code: run `cargo xtask openapi`");
    }
}
