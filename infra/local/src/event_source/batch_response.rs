//! Reads `{"batchItemFailures":[{"itemIdentifier":"…"}]}`, by Lambda's rules
//! (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>).

use serde_json::Value;

/// The answer says neither success nor which items failed, so all of them count as failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WholeBatchFailed;

/// The positions in `identifiers` of the items that failed, in ascending order. Nothing, `null` and an empty list mean success.
///
/// # Errors
/// The answer is not JSON, or names an item with no identifier, a null or empty one, or one that is not in the batch.
pub fn failed_items(answer: &[u8], identifiers: &[&str]) -> Result<Vec<usize>, WholeBatchFailed> {
    if answer.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    let answer: Value = serde_json::from_slice(answer).map_err(|_| WholeBatchFailed)?;
    let failures = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(failures)) => failures,
        Some(_) => return Err(WholeBatchFailed),
    };
    let mut failed = failures
        .iter()
        .map(|failure| {
            let identifier = failure.get("itemIdentifier").and_then(Value::as_str).ok_or(WholeBatchFailed)?;
            identifiers.iter().position(|known| *known == identifier).ok_or(WholeBatchFailed)
        })
        .collect::<Result<Vec<_>, _>>()?;
    failed.sort_unstable();
    failed.dedup();
    Ok(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: [&str; 3] = ["a", "b", "c"];

    #[test]
    fn nothing_null_and_an_empty_list_mean_success() {
        for answer in
            ["", " ", "null", "{}", "\"ok\"", r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#]
        {
            assert_eq!(failed_items(answer.as_bytes(), &BATCH), Ok(vec![]), "{answer}");
        }
    }

    #[test]
    fn named_items_failed_and_no_others() {
        let answer = br#"{"batchItemFailures":[{"itemIdentifier":"c"},{"itemIdentifier":"a"},{"itemIdentifier":"c"}]}"#;
        assert_eq!(failed_items(answer, &BATCH), Ok(vec![0, 2]));
    }

    #[test]
    fn a_garbled_answer_fails_the_whole_batch() {
        for answer in [
            "{",
            r#"{"batchItemFailures":{}}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r#"{"batchItemFailures":[{"id":"a"}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"z"}]}"#,
        ] {
            assert_eq!(failed_items(answer.as_bytes(), &BATCH), Err(WholeBatchFailed), "{answer}");
        }
    }
}
