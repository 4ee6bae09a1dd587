//! `admin doctor` against the stack's stand-in for AWS, which has SES's and STS's part and lacks some of SNS's and Service Quotas.

use std::process::Command;

use serde_json::{Value, json};

use crate::stack::Stack;

/// Has the doctor look, with these parameters of the stack; tells whether it is content, and its findings by check.
fn examined(stack: &Stack, parameters: &[&str]) -> (bool, Value) {
    let needs = json!({ "bookings": 10, "emails": 20, "emails_per_second": 1, "quotas": [{
        "service": "scheduler", "quota": "Number of schedules", "name": "schedules", "unit": "schedules", "needed": 30, "raise": "ask"
    }] });
    let mut command = Command::new(Stack::admin_tool());
    command.args(["doctor", "--json", "--needs", &needs.to_string()]);
    for parameter in parameters {
        command.args(["--parameter", parameter]);
    }
    let output = stack.for_admin(&mut command).output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["account"], &said["region"]), (&"000000000000".into(), &"us-east-1".into()));
    let findings = said["findings"].as_array().unwrap().iter();
    let by_check = findings.map(|finding| (finding["check"].as_str().unwrap().to_owned(), finding.clone()));
    (output.status.success(), by_check.collect::<serde_json::Map<_, _>>().into())
}

#[track_caller]
fn is(findings: &Value, check: &str, level: &str, says: &str) {
    let found = &findings[check];
    assert_eq!(found["level"], level, "{check}: {findings:#}");
    assert!(found["says"].as_str().unwrap().contains(says), "{found}");
}

#[test]
fn an_account_is_examined_before_a_deploy_and_what_cannot_be_seen_is_said() {
    let stack = Stack::start();
    let identity = "EmailIdentityArn=arn:aws:ses:us-east-1:000000000000:identity/salon.example";
    let application = "FcmApplicationArn=arn:aws:sns:us-east-1:000000000000:app/GCM/nobodys";
    let parameters = [identity, application, "EmailFrom=Salon <hello@salon.example>", "EmailPerSecond=15"];

    let (content, findings) = examined(&stack, &parameters);
    assert!(!content, "there are problems");
    is(&findings, "credentials", "ok", "account 000000000000, Region us-east-1");
    is(&findings, "clock", "ok", "AWS");
    is(&findings, "e-mail sandbox", "ok", "out of its sandbox");
    is(&findings, "e-mail rate", "problem", "EmailPerSecond is 15, and SES allows 14 a second");
    is(&findings, "e-mail quota", "ok", "50000 in 24 hours");
    is(&findings, "e-mail identity", "problem", "SES has no identity salon.example");
    is(&findings, "push to Apple", "ok", "ApnsApplicationArn is empty");
    is(&findings, "push to Android", "problem", "there is no platform application");
    for (check, action) in [
        ("sms sandbox", "sns:GetSMSSandboxAccountStatus"),
        ("sms settings", "sns:GetSMSAttributes"),
        ("sms numbers", "sns:ListOriginationNumbers"),
        ("quota: schedules", "servicequotas:ListServiceQuotas"),
    ] {
        is(&findings, check, "warning", &format!("could not look: {action} failed"));
    }

    let mended = ["EmailPerSecond=14", "EmailFrom=Salon <hello@salon.example>"];
    let (content, findings) = examined(&stack, &mended);
    assert!(content, "warnings are no failure: {findings:#}");
    is(&findings, "e-mail rate", "ok", "EmailPerSecond is 14");
    is(&findings, "e-mail identity", "warning", "EmailIdentityArn is not given");
}
