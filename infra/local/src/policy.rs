//! What a function may do: its policy in the template is held against every AWS call of its sandboxes, as IAM does it.
//!
//! A call that no statement allows is refused. Which grants were used, and what was refused, is written down where [`Ledger::to`] says, so that
//! after the tests a grant that nothing needs is found too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use axum::http::request::Parts;
use serde::Deserialize;
use serde_json::Value;

use crate::error::StackError;
use crate::event_source::visibility::queue_name;
use crate::proxy::Call;
use crate::template::arn_of;

/// What IAM compares the partition key of a DynamoDB item with.
const LEADING_KEYS: &str = "dynamodb:LeadingKeys";
/// What IAM compares the service with that a role is handed to.
const PASSED_TO: &str = "iam:PassedToService";

/// What one call needs to be allowed: an action on a resource, and what conditions may ask about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// As IAM names it: `dynamodb:PutItem`.
    pub action: String,
    /// The resource's ARN, or a text that is none where there is no ARN, as with a phone number.
    pub resource: String,
    /// Values by condition key.
    pub context: BTreeMap<&'static str, Vec<String>>,
}

impl Need {
    fn new(action: String, resource: String) -> Self {
        Self { action, resource, context: BTreeMap::new() }
    }

    fn with(mut self, key: &'static str, values: Vec<String>) -> Self {
        if !values.is_empty() {
            self.context.insert(key, values);
        }
        self
    }
}

/// A function's policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    statements: Vec<Statement>,
}

/// One entry of `Policies` in the template.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Document {
    statement: Vec<Statement>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    effect: Effect,
    action: OneOrMany,
    resource: OneOrMany,
    #[serde(default)]
    condition: Condition,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// The operators that the template uses; another is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    #[serde(default, rename = "StringEquals")]
    equals: BTreeMap<String, OneOrMany>,
    #[serde(default, rename = "ForAllValues:StringLike")]
    all_like: BTreeMap<String, OneOrMany>,
}

impl Condition {
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>
    fn holds(&self, need: &Need) -> bool {
        let values = |key: &String| need.context.get(key.as_str()).map(Vec::as_slice).unwrap_or_default();
        let equal = |(key, wanted): (&String, &OneOrMany)| match values(key) {
            [value] => wanted.all().contains(value),
            _ => false,
        };
        let like = |(key, wanted): (&String, &OneOrMany)| {
            values(key).iter().all(|value| wanted.all().iter().any(|pattern| is_like(pattern, value)))
        };
        self.equals.iter().all(equal) && self.all_like.iter().all(like)
    }
}

impl Policy {
    /// Reads the resolved `Policies` of a function.
    ///
    /// # Errors
    /// A statement is not understood: `path` says where.
    pub fn read(policies: Value, path: &str) -> Result<Self, StackError> {
        let documents: Vec<Document> = serde_json::from_value(policies)
            .map_err(|error| StackError::template(format!("{path}.Policies"), error.to_string()))?;
        Ok(Self { statements: documents.into_iter().flat_map(|document| document.statement).collect() })
    }

    /// Every action with every resource that a statement allows it on.
    pub fn grants(&self) -> impl Iterator<Item = (&str, &str)> {
        self.statements.iter().filter(|statement| statement.effect == Effect::Allow).flat_map(|statement| {
            let resources =
                move |action| statement.resource.all().iter().map(move |on| (action, on.as_str()));
            statement.action.all().iter().flat_map(move |action| resources(action.as_str()))
        })
    }

    /// The first grant that allows what is needed, unless a statement denies it.
    pub fn allows(&self, need: &Need) -> Option<(&str, &str)> {
        let mut found = None;
        for statement in &self.statements {
            let action = statement.action.all().iter().find(|action| is_like(action, &need.action));
            let resource = statement.resource.all().iter().find(|on| is_like(on, &need.resource));
            let (Some(action), Some(resource)) = (action, resource) else { continue };
            match statement.effect {
                _ if !statement.condition.holds(need) => {}
                Effect::Deny => return None,
                Effect::Allow => found = found.or(Some((action.as_str(), resource.as_str()))),
            }
        }
        found
    }
}

/// Whether a text fits a pattern with `*` for any characters and `?` for one.
fn is_like(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            is_like(&pattern[1..], text)
                || text.chars().next().is_some_and(|one| is_like(pattern, &text[one.len_utf8()..]))
        }
        (Some(wanted), Some(one)) if wanted == '?' || wanted == one => {
            is_like(&pattern[wanted.len_utf8()..], &text[one.len_utf8()..])
        }
        _ => false,
    }
}

/// Where it is written down what functions may do, what they did, and what was refused: a line of JSON each, `{"what", "function", "action",
/// "resource"}`.
#[derive(Debug, Default)]
pub struct Ledger {
    written: Mutex<BTreeSet<String>>,
    file: Option<File>,
}

impl Ledger {
    /// Adds to the file at `path`. Several stacks may write to the same one.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn to(path: &Path) -> Result<Self, StackError> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(|source| StackError::file(path, source))?;
        Ok(Self { file: Some(file), ..Self::default() })
    }

    /// Writes down what a function may do.
    pub fn granted(&self, function: &str, policy: &Policy) {
        for grant in policy.grants() {
            self.write("granted", function, grant);
        }
    }

    /// Holds a call's needs against a policy and writes down what came of it. What is needed and not granted is the error.
    pub fn check(&self, function: &str, policy: &Policy, needs: &[Need]) -> Result<(), String> {
        for need in needs {
            match policy.allows(need) {
                Some(grant) => self.write("used", function, grant),
                None => {
                    let Need { action, resource, .. } = need;
                    self.write("refused", function, (action, resource));
                    return Err(format!("{function} is not allowed to do {action} on {resource}"));
                }
            }
        }
        Ok(())
    }

    fn write(&self, what: &str, function: &str, (action, resource): (&str, &str)) {
        let Some(mut file) = self.file.as_ref() else { return };
        let line =
            serde_json::json!({ "what": what, "function": function, "action": action, "resource": resource });
        let line = format!("{line}\n");
        if self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(line.clone()) {
            // In one piece, so that stacks which write at the same time do not mix their lines. Who reads them sees what is missing.
            let _ = file.write_all(line.as_bytes());
        }
    }
}

/// What a call needs to be allowed. Nothing for what is not AWS.
///
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>
pub fn needs(call: &Call, parts: &Parts, body: &[u8]) -> Vec<Need> {
    let action = format!("{}:{}", call.service, call.operation);
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    match call.service.as_str() {
        "telegram" => Vec::new(),
        "dynamodb" => of_tables(&action, &json),
        "sqs" => vec![Need::new(action, arn_of("sqs", queue_name(text(&json["QueueUrl"]))))],
        "events" => entries(&json["Entries"])
            .map(|entry| {
                let bus = arn_of("events", &format!("event-bus/{}", text(&entry["EventBusName"])));
                Need::new(action.clone(), bus)
            })
            .collect(),
        "scheduler" => of_a_schedule(action, parts, &json),
        "sns" => {
            let fields: BTreeMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
            let named = ["TargetArn", "TopicArn", "PlatformApplicationArn", "PhoneNumber"];
            let resource = named.iter().find_map(|name| fields.get(*name)).cloned();
            vec![Need::new(action, resource.unwrap_or_default())]
        }
        "ses" => of_an_email(&action, &json),
        "social-messaging" => {
            let number = format!("phone-number-id/{}", text(&json["originationPhoneNumberId"]));
            vec![Need::new(action, arn_of("social-messaging", &number))]
        }
        "s3" => {
            let object = parts.uri.path().trim_start_matches('/');
            vec![Need::new(action, format!("arn:aws:s3:::{object}"))]
        }
        _ => vec![Need::new(action, String::new())],
    }
}

/// A batch needs its own action, a transaction that of each of its writes.
fn of_tables(action: &str, json: &Value) -> Vec<Need> {
    let table = |name: &str| arn_of("dynamodb", &format!("table/{name}"));
    let key = |of: &Value| of["pk"]["S"].as_str().map(str::to_owned).into_iter().collect::<Vec<_>>();
    let of_one = |action: &str, request: &Value| {
        let written = if request["Item"].is_object() { &request["Item"] } else { &request["Key"] };
        Need::new(action.to_owned(), table(text(&request["TableName"]))).with(LEADING_KEYS, key(written))
    };
    match action {
        "dynamodb:TransactWriteItems" => entries(&json["TransactItems"])
            .flat_map(|entry| entry.as_object().into_iter().flatten())
            .map(|(kind, request)| {
                let kind = if kind == "ConditionCheck" {
                    "ConditionCheckItem".to_owned()
                } else {
                    format!("{kind}Item")
                };
                of_one(&format!("dynamodb:{kind}"), request)
            })
            .collect(),
        "dynamodb:BatchGetItem" => json["RequestItems"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, asked)| {
                let keys = entries(&asked["Keys"]).flat_map(key).collect();
                Need::new(action.to_owned(), table(name)).with(LEADING_KEYS, keys)
            })
            .collect(),
        "dynamodb:Query" => {
            let name = text(&json["TableName"]);
            let resource = match json["IndexName"].as_str() {
                Some(index) => table(&format!("{name}/index/{index}")),
                None => table(name),
            };
            let key = json["ExpressionAttributeValues"][":pk"]["S"].as_str().map(str::to_owned);
            vec![Need::new(action.to_owned(), resource).with(LEADING_KEYS, key.into_iter().collect())]
        }
        _ => vec![of_one(action, json)],
    }
}

/// Who sets a timer hands the Scheduler a role too. Listing is on everything.
fn of_a_schedule(action: String, parts: &Parts, json: &Value) -> Vec<Need> {
    let name = parts.uri.path().trim_matches('/').strip_prefix("schedules/");
    let Some(name) = name else { return vec![Need::new(action, "*".to_owned())] };
    let query = parts.uri.query().unwrap_or_default();
    let in_query = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "groupName");
    let group = match &in_query {
        Some((_, group)) => group.as_ref(),
        None => json["GroupName"].as_str().unwrap_or("default"),
    };
    let mut needs = vec![Need::new(action, arn_of("scheduler", &format!("schedule/{group}/{name}")))];
    if let Some(role) = json["Target"]["RoleArn"].as_str() {
        let to = vec!["scheduler.amazonaws.com".to_owned()];
        needs.push(Need::new("iam:PassRole".to_owned(), role.to_owned()).with(PASSED_TO, to));
    }
    needs
}

/// Of the sender's identity, which is its domain here, and of the configuration set.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsimpleemailservicev2.html>
fn of_an_email(action: &str, json: &Value) -> Vec<Need> {
    let from = text(&json["FromEmailAddress"]);
    let domain = from.rsplit('@').next().unwrap_or_default().trim_end_matches('>');
    let of = |resource: String| Need::new(action.to_owned(), arn_of("ses", &resource));
    let set = json["ConfigurationSetName"].as_str().map(|set| of(format!("configuration-set/{set}")));
    std::iter::once(of(format!("identity/{domain}"))).chain(set).collect()
}

fn entries(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use serde_json::json;

    use super::*;

    fn policy() -> Policy {
        let statements = json!([{ "Statement": [
            { "Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:PutItem"], "Resource": "arn:t" },
            { "Effect": "Allow", "Action": "dynamodb:UpdateItem", "Resource": "arn:t",
              "Condition": { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["KEY#*"] } } },
            { "Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:r",
              "Condition": { "StringEquals": { "iam:PassedToService": "scheduler.amazonaws.com" } } },
            { "Effect": "Allow", "Action": "sns:Publish", "Resource": "*" },
            { "Effect": "Deny", "Action": "sns:Publish", "Resource": "arn:aws:sns:*:*:*" },
        ] }]);
        Policy::read(statements, "F").unwrap()
    }

    fn need(action: &str, resource: &str) -> Need {
        Need::new(action.to_owned(), resource.to_owned())
    }

    #[test]
    fn what_no_statement_allows_or_one_denies_is_refused() {
        let keys = |key: &str| need("dynamodb:UpdateItem", "arn:t").with(LEADING_KEYS, vec![key.to_owned()]);
        let passed = |to: &str| need("iam:PassRole", "arn:r").with(PASSED_TO, vec![to.to_owned()]);
        for (need, allowed) in [
            (need("dynamodb:GetItem", "arn:t"), true),
            (need("dynamodb:GetItem", "arn:t/index/by_client"), false),
            (need("dynamodb:DeleteItem", "arn:t"), false),
            (keys("KEY#1"), true),
            (keys("BUSINESS#1"), false),
            (passed("scheduler.amazonaws.com"), true),
            (passed("lambda.amazonaws.com"), false),
            (need("iam:PassRole", "arn:r"), false),
            (need("sns:Publish", "+351911000000"), true),
            (need("sns:Publish", "arn:aws:sns:us-east-1:1:topic"), false),
        ] {
            assert_eq!(policy().allows(&need).is_some(), allowed, "{need:?}");
        }
        let grants: Vec<String> = policy().grants().map(|(action, on)| format!("{action} {on}")).collect();
        assert_eq!(grants.len(), 5, "{grants:?}");
    }

    #[test]
    fn a_statement_that_is_not_understood_is_an_error() {
        let unknown = json!([{ "Statement": [{ "Effect": "Allow", "Action": "a", "Resource": "b",
            "Condition": { "Bool": { "aws:SecureTransport": "true" } } }] }]);
        let error = Policy::read(unknown, "Resources.F").unwrap_err().to_string();
        assert!(error.starts_with("template: Resources.F.Policies: unknown field `Bool`"), "{error}");
    }

    #[test]
    fn patterns_are_iams() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("arn:*/schedule/a/*", "arn:x/schedule/a/b-1", true),
            ("arn:*/schedule/a/*", "arn:x/schedule/b/b-1", false),
            ("b?d", "bad", true),
            ("b?d", "bd", false),
            ("KEY#*", "BUSINESS#KEY#", false),
        ] {
            assert_eq!(is_like(pattern, text), fits, "{pattern} {text}");
        }
    }

    fn needed(service: &str, operation: &str, uri: &str, body: &str) -> Vec<(String, String)> {
        let parts = Request::builder().uri(uri).body(()).unwrap().into_parts().0;
        let call = Call { service: service.to_owned(), operation: operation.to_owned() };
        let needs = needs(&call, &parts, body.as_bytes());
        needs.into_iter().map(|need| (need.action, need.resource)).collect()
    }

    #[test]
    fn a_call_needs_what_iam_asks_for() {
        let table = "arn:aws:dynamodb:us-east-1:000000000000:table/t";
        let transaction = json!({ "TransactItems": [
            { "Put": { "TableName": "t", "Item": { "pk": { "S": "a" } } } },
            { "Update": { "TableName": "u", "Key": { "pk": { "S": "b" } } } },
            { "ConditionCheck": { "TableName": "t" } },
        ] });
        let schedule = json!({ "GroupName": "g", "Target": { "RoleArn": "arn:role" } }).to_string();
        let email = json!({ "FromEmailAddress": "Salon <hello@salon.example>", "ConfigurationSetName": "s" });
        let timer = "arn:aws:scheduler:us-east-1:000000000000:schedule/g/n";
        for (found, expected) in [
            (
                needed("dynamodb", "TransactWriteItems", "/", &transaction.to_string()),
                vec![
                    ("dynamodb:PutItem", table),
                    ("dynamodb:UpdateItem", "arn:aws:dynamodb:us-east-1:000000000000:table/u"),
                    ("dynamodb:ConditionCheckItem", table),
                ],
            ),
            (
                needed("dynamodb", "Query", "/", r#"{"TableName":"t","IndexName":"by_client"}"#),
                vec![("dynamodb:Query", "arn:aws:dynamodb:us-east-1:000000000000:table/t/index/by_client")],
            ),
            (
                needed("dynamodb", "BatchGetItem", "/", r#"{"RequestItems":{"t":{"Keys":[]}}}"#),
                vec![("dynamodb:BatchGetItem", table)],
            ),
            (
                needed("sqs", "SendMessage", "/", r#"{"QueueUrl":"http://127.0.0.1:1/000000000000/q"}"#),
                vec![("sqs:SendMessage", "arn:aws:sqs:us-east-1:000000000000:q")],
            ),
            (
                needed("scheduler", "CreateSchedule", "/schedules/n", &schedule),
                vec![("scheduler:CreateSchedule", timer), ("iam:PassRole", "arn:role")],
            ),
            (
                needed("scheduler", "DeleteSchedule", "/schedules/n?groupName=g", ""),
                vec![("scheduler:DeleteSchedule", timer)],
            ),
            (
                needed("scheduler", "ListSchedules", "/schedules?groupName=g", ""),
                vec![("scheduler:ListSchedules", "*")],
            ),
            (
                needed("ses", "SendEmail", "/v2/email/outbound-emails", &email.to_string()),
                vec![
                    ("ses:SendEmail", "arn:aws:ses:us-east-1:000000000000:identity/salon.example"),
                    ("ses:SendEmail", "arn:aws:ses:us-east-1:000000000000:configuration-set/s"),
                ],
            ),
            (
                needed("sns", "Publish", "/", "Action=Publish&PhoneNumber=%2B351911000000"),
                vec![("sns:Publish", "+351911000000")],
            ),
            (
                needed("s3", "PutObject", "/bucket/images/a.png", ""),
                vec![("s3:PutObject", "arn:aws:s3:::bucket/images/a.png")],
            ),
            (needed("telegram", "sendMessage", "/bot1:a/sendMessage", "{}"), vec![]),
        ] {
            let found: Vec<_> = found.iter().map(|(action, on)| (action.as_str(), on.as_str())).collect();
            assert_eq!(found, expected);
        }
    }
}
