//! AWS as far as the two handlers call it: canned answers from `facts.json`. What is written is taken and forgotten, so that every call finds the
//! same facts.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::Error;

/// What is in the tables.
const FACTS: &str = include_str!("../facts.json");

/// The table that the ledger is in; all else is in the other one.
pub(crate) const MESSAGES: &str = "messages";

/// The table of facts.
pub(crate) const BOOKINGS: &str = "bookings";

/// An answer of AWS.
pub(crate) struct Answer {
    /// The operation that was called, such as `dynamodb:PutItem`.
    pub operation: String,
    /// The content type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// The rows of both tables as DynamoDB writes them, by their keys.
#[derive(Debug)]
pub(crate) struct Facts(BTreeMap<(String, String), Value>);

impl Facts {
    /// Reads the facts.
    pub(crate) fn new() -> Result<Self, Error> {
        let rows: Vec<Map<String, Value>> = serde_json::from_str(FACTS)?;
        let keyed = rows.into_iter().map(|row| {
            let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            ((text("pk"), text("sk")), attributes(&row))
        });
        Ok(Self(keyed.collect()))
    }

    /// Answers a request: to DynamoDB with its operation in `target`, to SNS in a form.
    pub(crate) fn answer(&self, target: Option<&str>, body: &[u8]) -> Result<Answer, Error> {
        let Some(target) = target else { return publish(body) };
        let operation = target.strip_prefix("DynamoDB_20120810.").ok_or("not a call of DynamoDB")?;
        let request: Value = serde_json::from_slice(body)?;
        let answer = match operation {
            "BatchGetItem" => self.batch_get_item(&request),
            "Query" => json!({ "Items": [], "Count": 0, "ScannedCount": 0 }),
            // What was taken of the limit, by the first who takes.
            "UpdateItem" => {
                json!({ "Attributes": { "counted": request["ExpressionAttributeValues"][":add"] } })
            }
            "PutItem" | "TransactWriteItems" => json!({}),
            other => return Err(format!("no answer is prepared for {other}").into()),
        };
        Ok(Answer {
            operation: format!("dynamodb:{operation}"),
            content_type: "application/x-amz-json-1.0",
            body: answer.to_string(),
        })
    }

    fn batch_get_item(&self, request: &Value) -> Value {
        let tables = request["RequestItems"].as_object().into_iter().flatten();
        let found: Map<String, Value> = tables
            .map(|(table, asked)| {
                let keys = asked["Keys"].as_array().into_iter().flatten();
                let rows: Vec<&Value> = keys.filter_map(|key| self.row(table, key)).collect();
                (table.clone(), json!(rows))
            })
            .collect();
        json!({ "Responses": found, "UnprocessedKeys": {} })
    }

    fn row(&self, table: &str, key: &Value) -> Option<&Value> {
        let text = |name: &str| key[name]["S"].as_str().map(str::to_owned);
        let (pk, sk) = (text("pk")?, text("sk")?);
        let of = if sk.starts_with("MESSAGE#") { MESSAGES } else { BOOKINGS };
        if table == of { self.0.get(&(pk, sk)) } else { None }
    }
}

/// `Publish` to a phone. <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
fn publish(body: &[u8]) -> Result<Answer, Error> {
    let form: BTreeMap<_, _> = form_urlencoded::parse(body).collect();
    let said = |name: &str| form.get(name).is_some_and(|value| !value.is_empty());
    if form.get("Action").is_none_or(|action| action != "Publish") || !said("PhoneNumber") || !said("Message")
    {
        return Err(format!("no answer is prepared for {}", String::from_utf8_lossy(body)).into());
    }
    let body = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">\
        <PublishResult><MessageId>567910cd-659e-55d4-8ccb-5aaf14679dc0</MessageId></PublishResult>\
        <ResponseMetadata><RequestId>d74b8436-ae13-5ab4-a9ff-ce54dfea72a0</RequestId></ResponseMetadata>\
        </PublishResponse>";
    Ok(Answer { operation: "sns:Publish".to_owned(), content_type: "text/xml", body: body.to_owned() })
}

/// A row as DynamoDB writes it.
fn attributes(row: &Map<String, Value>) -> Value {
    row.iter().map(|(name, value)| (name.clone(), attribute(value))).collect()
}

fn attribute(value: &Value) -> Value {
    match value {
        Value::Null => json!({ "NULL": true }),
        Value::Bool(value) => json!({ "BOOL": value }),
        Value::Number(number) => json!({ "N": number.to_string() }),
        Value::String(text) => json!({ "S": text }),
        Value::Array(values) => json!({ "L": values.iter().map(attribute).collect::<Vec<_>>() }),
        Value::Object(fields) => json!({ "M": attributes(fields) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_in_their_table_only() {
        let facts = Facts::new().unwrap();
        let key = json!({ "pk": { "S": "BUSINESS#salon" }, "sk": { "S": "SERVICE#haircut" } });
        let nothing = json!({ "pk": { "S": "BUSINESS#salon" }, "sk": { "S": "RULES" } });
        let asked = json!({
            "RequestItems": { BOOKINGS: { "Keys": [key, nothing] }, MESSAGES: { "Keys": [key] } }
        });
        let answer = facts.batch_get_item(&asked);
        assert_eq!(answer["Responses"][BOOKINGS][0]["duration_minutes"], json!({ "N": "60" }));
        assert_eq!(answer["Responses"][BOOKINGS].as_array().unwrap().len(), 1);
        assert_eq!(answer["Responses"][MESSAGES], json!([]));
    }

    #[test]
    fn what_is_not_prepared_is_told() {
        let facts = Facts::new().unwrap();
        assert!(facts.answer(Some("DynamoDB_20120810.Scan"), b"{}").is_err());
        assert!(facts.answer(None, b"Action=CreateTopic&Name=x").is_err());
        let sent = facts.answer(None, b"Action=Publish&PhoneNumber=%2B351912345678&Message=Hello").unwrap();
        assert_eq!(sent.operation, "sns:Publish");
    }
}
