//! Event filtering of event source mappings: which records reach the function.
//!
//! The content filtering that Lambda documents
//! (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html>), as far as `exact`, `prefix`,
//! `suffix`, `exists`, `anything-but` and `numeric`; anything else is an error when the template is read.

use serde_json::Value;

/// Patterns of which one must match; without any, everything matches.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone)]
enum Pattern {
    /// Every named field must match.
    Fields(Vec<(String, Pattern)>),
    /// One of these must be true of the value.
    AnyOf(Vec<Test>),
}

#[derive(Debug, Clone)]
enum Test {
    Equals(Value),
    Prefix(String),
    Suffix(String),
    Exists(bool),
    AnythingBut(Vec<Value>),
    Numeric(Vec<(Comparison, f64)>),
}

#[derive(Debug, Clone, Copy)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Filter {
    /// Reads patterns in JSON.
    ///
    /// # Errors
    /// Tells the pattern and what in it is not understood.
    pub fn new(patterns: &[&str]) -> Result<Self, String> {
        let patterns = patterns
            .iter()
            .map(|text| {
                let value: Value = serde_json::from_str(text).map_err(|error| format!("{text}: {error}"))?;
                match &value {
                    Value::Object(_) => pattern(&value),
                    _ => Err(format!("{text}: not an object")),
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { patterns })
    }

    /// Whether the record passes.
    pub fn matches(&self, record: &Value) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|pattern| pattern.matches(Some(record)))
    }
}

impl Pattern {
    fn matches(&self, value: Option<&Value>) -> bool {
        match self {
            Self::Fields(fields) => {
                fields.iter().all(|(name, pattern)| pattern.matches(value.and_then(|value| value.get(name))))
            }
            // A list matches when one of its elements does.
            Self::AnyOf(tests) => tests.iter().any(|test| match value {
                Some(Value::Array(items)) if !matches!(test, Test::Exists(_)) => {
                    items.iter().any(|item| test.holds(Some(item)))
                }
                value => test.holds(value),
            }),
        }
    }
}

impl Test {
    fn holds(&self, value: Option<&Value>) -> bool {
        let text = || value.and_then(Value::as_str);
        match self {
            Self::Equals(expected) => value == Some(expected),
            Self::Prefix(prefix) => text().is_some_and(|text| text.starts_with(prefix.as_str())),
            Self::Suffix(suffix) => text().is_some_and(|text| text.ends_with(suffix.as_str())),
            Self::Exists(expected) => value.is_some() == *expected,
            Self::AnythingBut(excluded) => value.is_some_and(|value| !excluded.contains(value)),
            Self::Numeric(ranges) => value.and_then(Value::as_f64).is_some_and(|number| {
                ranges.iter().all(|(comparison, bound)| comparison.holds(number, *bound))
            }),
        }
    }
}

impl Comparison {
    fn parse(sign: &str) -> Option<Self> {
        Some(match sign {
            "=" => Self::Equal,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    #[allow(clippy::float_cmp, reason = "`=` means equal")]
    fn holds(self, number: f64, bound: f64) -> bool {
        match self {
            Self::Equal => number == bound,
            Self::Less => number < bound,
            Self::LessOrEqual => number <= bound,
            Self::Greater => number > bound,
            Self::GreaterOrEqual => number >= bound,
        }
    }
}

fn pattern(value: &Value) -> Result<Pattern, String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| match name.strip_prefix('$') {
                Some(_) => Err(format!("{name} is not understood locally")),
                None => Ok((name.clone(), pattern(field)?)),
            })
            .collect::<Result<_, _>>()
            .map(Pattern::Fields),
        Value::Array(tests) => tests.iter().map(test).collect::<Result<_, _>>().map(Pattern::AnyOf),
        other => Err(format!("{other}: a value to match must be in a list")),
    }
}

fn test(value: &Value) -> Result<Test, String> {
    let Value::Object(fields) = value else {
        return match value {
            Value::Array(_) => Err(format!("{value}: a list inside a list")),
            plain => Ok(Test::Equals(plain.clone())),
        };
    };
    let not_understood = || format!("{value} is not understood locally");
    let mut fields = fields.iter();
    let (Some((name, argument)), None) = (fields.next(), fields.next()) else {
        return Err(not_understood());
    };
    match (name.as_str(), argument) {
        ("prefix", Value::String(prefix)) => Ok(Test::Prefix(prefix.clone())),
        ("suffix", Value::String(suffix)) => Ok(Test::Suffix(suffix.clone())),
        ("exists", Value::Bool(expected)) => Ok(Test::Exists(*expected)),
        ("anything-but", Value::Array(excluded)) => Ok(Test::AnythingBut(excluded.clone())),
        ("anything-but", excluded @ (Value::String(_) | Value::Number(_))) => {
            Ok(Test::AnythingBut(vec![excluded.clone()]))
        }
        ("numeric", Value::Array(parts)) => parts
            .chunks(2)
            .map(|pair| match pair {
                [Value::String(sign), bound] => {
                    Comparison::parse(sign).zip(bound.as_f64()).ok_or_else(not_understood)
                }
                _ => Err(not_understood()),
            })
            .collect::<Result<_, _>>()
            .map(Test::Numeric),
        _ => Err(not_understood()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn matches(pattern: Value, record: Value) -> bool {
        Filter::new(&[&pattern.to_string()]).unwrap().matches(&record)
    }

    #[test]
    fn without_patterns_everything_passes() {
        assert!(Filter::default().matches(&json!({})));
    }

    #[test]
    fn the_template_s_pattern_lets_only_bookings_through() {
        let filter = json!({"dynamodb": {"NewImage": {"entity": {"S": ["booking"]}}}});
        let record = |entity: &str| json!({"dynamodb": {"NewImage": {"entity": {"S": entity}}}});
        assert!(matches(filter.clone(), record("booking")));
        assert!(!matches(filter.clone(), record("client")));
        assert!(!matches(filter, json!({"dynamodb": {"OldImage": {}}})), "a removal has no new image");
    }

    #[test]
    fn each_test_says_yes_and_no() {
        for (test, yes, no) in [
            (json!([{"prefix": "ab"}]), json!({"a": "abc"}), json!({"a": "bab"})),
            (json!([{"suffix": "c"}]), json!({"a": "abc"}), json!({"a": "cab"})),
            (json!([{"exists": true}]), json!({"a": 1}), json!({})),
            (json!([{"exists": false}]), json!({}), json!({"a": 1})),
            (json!([{"anything-but": ["x", "y"]}]), json!({"a": "z"}), json!({"a": "x"})),
            (json!([{"numeric": [">", 0, "<=", 5]}]), json!({"a": 5}), json!({"a": 5.1})),
            (json!(["x", null]), json!({"a": null}), json!({"a": "null"})),
            (json!(["x"]), json!({"a": ["w", "x"]}), json!({"a": ["w"]})),
        ] {
            let pattern = json!({ "a": test });
            assert!(matches(pattern.clone(), yes.clone()), "{pattern} on {yes}");
            assert!(!matches(pattern.clone(), no.clone()), "{pattern} on {no}");
        }
    }

    #[test]
    fn patterns_are_alternatives() {
        let filter = Filter::new(&[r#"{"a":["x"]}"#, r#"{"b":["y"]}"#]).unwrap();
        assert!(filter.matches(&json!({"b": "y"})));
        assert!(!filter.matches(&json!({"a": "y"})));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for bad in [
            r#"{"a":"x"}"#,
            r#"{"a":[{"cidr":"10.0.0.0/8"}]}"#,
            r#"{"$or":[{"a":["x"]}]}"#,
            r#"{"a":[{"numeric":["~",1]}]}"#,
            "[]",
            "{",
        ] {
            assert!(Filter::new(&[bad]).is_err(), "{bad}");
        }
    }
}
