//! What the resources of a stack are called.

/// The logical id of what CloudFormation has named `stack-LogicalId-RANDOM`, or the local stack without the random part. `None` when it belongs to
/// another stack.
pub(crate) fn logical_id<'a>(stack: &str, name: &'a str) -> Option<&'a str> {
    let mut parts = name.strip_prefix(stack)?.strip_prefix('-')?.split('-');
    let id = parts.next()?;
    let _random = parts.next();
    parts.next().is_none().then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_known_by_its_logical_id_on_aws_and_on_one_machine() {
        assert_eq!(logical_id("salon", "salon-SmsDlq-AbC123"), Some("SmsDlq"));
        assert_eq!(logical_id("salon", "salon-SmsDlq"), Some("SmsDlq"));
        assert_eq!(logical_id("salon-two", "salon-two-SmsDlq-AbC123"), Some("SmsDlq"));
        assert_eq!(logical_id("salon", "salon-two-SmsDlq-AbC123"), None);
        assert_eq!(logical_id("salon", "salons-SmsDlq-AbC123"), None);
    }
}
