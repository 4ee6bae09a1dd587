use super::*;

const NAME: &str = "salon.example";
const ARN: &str = "arn:aws:ses:eu-west-1:123456789012:identity/salon.example";
const APP: &str = "arn:aws:sns:eu-west-1:123456789012:app/GCM/salon";

/// Level, check and what is said.
type Told = (Level, String, String);

/// What makes a good account worse.
type Change = fn(&mut Facts);

fn good() -> Facts {
    let quota = Quota { code: "L-1".to_owned(), value: 1_000.0 };
    Facts {
        region: "eu-west-1".to_owned(),
        caller: Ok(Caller {
            account: "123456789012".to_owned(),
            arn: "arn:aws:iam::123456789012:user/deploy".to_owned(),
        }),
        ahead: Some(SignedDuration::from_secs(1)),
        sending: Ok(Sending {
            production: true,
            enabled: true,
            reputation: "HEALTHY".to_owned(),
            per_second: 14.0,
            a_day: 50_000.0,
            sent: 100.0,
        }),
        identity: Some(Ok(Some(Identity { verified: true, signing: true, dkim: "SUCCESS".to_owned() }))),
        sms_sandbox: Ok(false),
        sms: Ok(SmsSettings {
            monthly_spend_limit: Some("100".to_owned()),
            default_type: Some("Transactional".to_owned()),
            log_role: Some("arn:aws:iam::123456789012:role/sms-log".to_owned()),
            sampling: Some("100".to_owned()),
        }),
        numbers: Ok(vec![Number { number: "+351210000001".to_owned(), status: "ACTIVE".to_owned() }]),
        apns: None,
        fcm: Some(Ok(Some(true))),
        quotas: vec![Ok(Some(quota))],
    }
}

fn parameters() -> Parameters {
    Parameters {
        email_from: Some("Salon <hello@salon.example>".to_owned()),
        email_identity: Some(ARN.to_owned()),
        email_per_second: Some(14.0),
        apns: None,
        fcm: Some(APP.to_owned()),
    }
}

fn needs() -> Needs {
    let need = Need {
        service: "lambda".to_owned(),
        quota: "L-1".to_owned(),
        name: "Lambda, concurrent executions".to_owned(),
        unit: "sandboxes".to_owned(),
        needed: 60,
        raise: "to tens of thousands".to_owned(),
    };
    Needs { bookings: 10_000, emails: 20_000, emails_per_second: 2, quotas: vec![need] }
}

/// What is found beyond ok when the good account is changed in one way.
fn found(change: impl FnOnce(&mut Facts)) -> Vec<Told> {
    let mut facts = good();
    change(&mut facts);
    beyond_ok(judge(&facts, &parameters(), &needs()))
}

fn beyond_ok(findings: Vec<Finding>) -> Vec<Told> {
    let mut found = Vec::new();
    for Finding { check, level, says, todo } in findings {
        assert_eq!(todo.is_some(), level > Level::Ok, "{check}: who is to do something is told what");
        if level > Level::Ok {
            found.push((level, check, says));
        }
    }
    found
}

#[track_caller]
fn is(found: &[Told], level: Level, check: &str, says: &str) {
    let [(found_level, found_check, found_says)] = found else { panic!("one finding, not {found:?}") };
    assert_eq!((*found_level, found_check.as_str()), (level, check));
    assert!(found_says.contains(says), "{found_says}");
}

fn sending(change: impl FnOnce(&mut Sending)) -> Vec<Told> {
    found(|facts| change(facts.sending.as_mut().unwrap()))
}

fn sms(change: impl FnOnce(&mut SmsSettings)) -> Vec<Told> {
    found(|facts| change(facts.sms.as_mut().unwrap()))
}

fn identity(change: impl FnOnce(&mut Identity)) -> Vec<Told> {
    found(|facts| change(facts.identity.as_mut().unwrap().as_mut().unwrap().as_mut().unwrap()))
}

#[test]
fn of_a_good_account_everything_is_ok() {
    assert_eq!(found(|_| {}), []);
    let findings = judge(&good(), &parameters(), &needs());
    assert_eq!(
        findings[0].says,
        "account 123456789012, Region eu-west-1, as arn:aws:iam::123456789012:user/deploy"
    );
    let names: Vec<&str> = findings.iter().map(|finding| finding.check.as_str()).collect();
    let expected = [
        "credentials",
        "clock",
        "e-mail sandbox",
        "e-mail sending",
        "e-mail rate",
        "e-mail quota",
        "e-mail identity",
        "e-mail DKIM",
        "sms sandbox",
        "sms spending",
        "sms type",
        "sms delivery log",
        "sms numbers",
        "push to Apple",
        "push to Android",
        "quota: Lambda, concurrent executions",
    ];
    assert_eq!(names, expected);
}

#[test]
fn credentials_that_aws_does_not_take_are_a_problem_and_so_is_no_answer() {
    let refused = |why: &str| Err(Unseen::Failed { action: "sts:GetCallerIdentity", why: why.to_owned() });
    let bad = found(|facts| facts.caller = refused("InvalidClientTokenId"));
    is(
        &bad,
        Level::Problem,
        "credentials",
        "AWS does not take them: sts:GetCallerIdentity failed: InvalidClientTokenId",
    );
    let nobody = found(|facts| {
        facts.caller = refused("connection refused");
        facts.ahead = None;
    });
    is(&nobody[..1], Level::Problem, "credentials", "AWS does not answer");
    is(&nobody[1..], Level::Warning, "clock", "could not look");
}

#[test]
fn a_clock_that_is_off_is_told_and_beyond_five_minutes_a_problem() {
    let off = |seconds| found(|facts| facts.ahead = Some(SignedDuration::from_secs(seconds)));
    assert_eq!(off(-29), []);
    is(&off(30), Level::Warning, "clock", "30 s behind AWS");
    is(&off(-299), Level::Warning, "clock", "299 s ahead of AWS");
    is(&off(300), Level::Problem, "clock", "refuses");
    is(&found(|facts| facts.ahead = None), Level::Warning, "clock", "could not look");
}

#[test]
fn where_an_action_is_lacking_the_finding_names_it_and_is_no_problem() {
    fn denied<T>() -> Seen<T> {
        Err(Unseen::Denied { action: "service:Action" })
    }
    let says = "could not look: needs the action service:Action";
    let checks: [(&str, Change); 7] = [
        ("e-mail", |facts| facts.sending = denied()),
        ("e-mail identity", |facts| facts.identity = Some(denied())),
        ("sms sandbox", |facts| facts.sms_sandbox = denied()),
        ("sms settings", |facts| facts.sms = denied()),
        ("sms numbers", |facts| facts.numbers = denied()),
        ("push to Android", |facts| facts.fcm = Some(denied())),
        ("quota: Lambda, concurrent executions", |facts| facts.quotas = vec![denied()]),
    ];
    for (check, change) in checks {
        is(&found(change), Level::Warning, check, says);
    }
    let mut facts = good();
    facts.sms = denied();
    let todo = judge(&facts, &parameters(), &needs()).into_iter().find_map(|finding| finding.todo);
    assert_eq!(todo.unwrap(), "allow service:Action on * to these credentials, and look again");
}

#[test]
fn the_sandbox_of_ses_and_whether_it_sends() {
    is(&sending(|ses| ses.production = false), Level::Problem, "e-mail sandbox", "verified addresses only");
    is(&sending(|ses| ses.enabled = false), Level::Problem, "e-mail sending", "switched off");
    is(
        &sending(|ses| ses.reputation = "PROBATION".to_owned()),
        Level::Warning,
        "e-mail sending",
        "under review",
    );
    let stopped = sending(|ses| {
        ses.enabled = false;
        ses.reputation = "SHUTDOWN".to_owned();
    });
    is(&stopped, Level::Problem, "e-mail sending", "AWS has stopped");
}

#[test]
fn the_rate_of_ses_against_the_parameter_and_what_is_needed() {
    is(
        &sending(|ses| ses.per_second = 13.0),
        Level::Problem,
        "e-mail rate",
        "EmailPerSecond is 14, and SES allows 13",
    );
    let mut facts = good();
    facts.sending.as_mut().unwrap().per_second = 1.0;
    let slow = Parameters { email_per_second: Some(1.0), ..parameters() };
    is(
        &beyond_ok(judge(&facts, &slow, &needs())),
        Level::Warning,
        "e-mail rate",
        "2 are needed for 10000 bookings a day",
    );
    let unset = Parameters { email_per_second: None, ..parameters() };
    assert_eq!(beyond_ok(judge(&good(), &unset, &needs())), []);
}

#[test]
fn the_day_of_ses_against_what_is_needed_and_was_sent() {
    let short = sending(|ses| ses.a_day = 200.0);
    is(&short, Level::Problem, "e-mail quota", "SES allows 200 in 24 hours, 20000 are needed");
    is(&sending(|ses| ses.sent = 40_001.0), Level::Warning, "e-mail quota", "40001 of them were sent");
    assert_eq!(sending(|ses| ses.sent = 40_000.0), []);
    assert_eq!(sending(|ses| ses.a_day = -1.0), [], "no limit");
}

#[test]
fn the_identity_is_there_verified_and_signs() {
    let missing = found(|facts| facts.identity = Some(Ok(None)));
    is(&missing, Level::Problem, "e-mail identity", "SES has no identity salon.example in eu-west-1");
    is(&identity(|identity| identity.verified = false), Level::Problem, "e-mail identity", "not verified");
    is(&identity(|identity| identity.dkim = "PENDING".to_owned()), Level::Warning, "e-mail DKIM", "PENDING");
    is(&identity(|identity| identity.signing = false), Level::Warning, "e-mail DKIM", "switched off");
}

#[test]
fn the_identity_of_the_parameters_is_one_of_this_account_and_region() {
    let with = |arn: Option<&str>| {
        let parameters = Parameters { email_identity: arn.map(str::to_owned), ..parameters() };
        beyond_ok(judge(&good(), &parameters, &needs()))
    };
    is(&with(None), Level::Warning, "e-mail identity", "EmailIdentityArn is not given");
    is(&with(Some("salon.example")), Level::Problem, "e-mail identity", "which is no identity's");
    let elsewhere = with(Some("arn:aws:ses:us-east-1:123456789012:identity/salon.example"));
    is(&elsewhere, Level::Problem, "e-mail identity", "of account 123456789012 in us-east-1");
    let others = with(Some("arn:aws:ses:eu-west-1:210987654321:identity/salon.example"));
    is(&others, Level::Problem, "e-mail identity", "of account 210987654321 in eu-west-1");
}

#[test]
fn the_sender_is_an_address_of_the_identity() {
    let from = |address: &str| {
        let parameters = Parameters { email_from: Some(address.to_owned()), ..parameters() };
        beyond_ok(judge(&good(), &parameters, &needs()))
    };
    is(
        &from("Salon <hello@saloon.example>"),
        Level::Problem,
        "e-mail sender",
        "which salon.example may not send from",
    );
    assert_eq!(from("hello@mail.Salon.example"), []);
    assert!(covers("hello@salon.example", "Salon <Hello@salon.example>"));
    assert!(!covers("hello@salon.example", "other@salon.example"));
    assert!(!covers(NAME, "hello@nosalon.example"));
    assert!(!covers(NAME, "salon.example"));
}

#[test]
fn the_sandbox_of_sns_and_its_settings() {
    is(&found(|facts| facts.sms_sandbox = Ok(true)), Level::Problem, "sms sandbox", "verified phones only");
    let limit = |value: Option<&str>| sms(|sms| sms.monthly_spend_limit = value.map(str::to_owned));
    is(&limit(Some("1")), Level::Problem, "sms spending", "nothing says so");
    is(&limit(None), Level::Warning, "sms spending", "not set");
    is(&limit(Some("much")), Level::Warning, "sms spending", "expected a number");
    is(
        &sms(|sms| sms.default_type = Some("Promotional".to_owned())),
        Level::Warning,
        "sms type",
        "Promotional",
    );
    is(&sms(|sms| sms.default_type = None), Level::Warning, "sms type", "not set");
    is(&sms(|sms| sms.log_role = None), Level::Warning, "sms delivery log", "every sms stays accepted");
    is(
        &sms(|sms| sms.sampling = Some("10".to_owned())),
        Level::Warning,
        "sms delivery log",
        "10 deliveries in 100",
    );
    is(&sms(|sms| sms.sampling = None), Level::Warning, "sms delivery log", "0 deliveries in 100");
}

#[test]
fn numbers_that_sms_come_from() {
    let number = |number: &str, status: &str| Number { number: number.to_owned(), status: status.to_owned() };
    is(&found(|facts| facts.numbers = Ok(vec![])), Level::Warning, "sms numbers", "nobody can reply");
    let pending = vec![number("+351210000001", "PENDING")];
    is(&found(|facts| facts.numbers = Ok(pending)), Level::Warning, "sms numbers", "no number is active");
    let both = vec![number("+351210000001", "ACTIVE"), number("+351210000002", "PENDING")];
    let says = "+351210000001 can be used, +351210000002 not yet";
    is(&found(|facts| facts.numbers = Ok(both)), Level::Warning, "sms numbers", says);
}

#[test]
fn platform_applications_are_there_and_enabled() {
    let missing = found(|facts| facts.fcm = Some(Ok(None)));
    is(&missing, Level::Problem, "push to Android", "there is no platform application arn:aws:sns");
    is(&found(|facts| facts.fcm = Some(Ok(Some(false)))), Level::Problem, "push to Android", "is disabled");
    is(&found(|facts| facts.apns = Some(Ok(Some(false)))), Level::Problem, "push to Apple", "is disabled");
}

#[test]
fn a_quota_that_does_not_suffice_is_a_problem_with_the_command_that_raises_it() {
    let quota = |value| vec![Ok(Some(Quota { code: "L-1".to_owned(), value }))];
    let short = found(|facts| facts.quotas = quota(10.0));
    let check = "quota: Lambda, concurrent executions";
    is(&short, Level::Problem, check, "10 sandboxes, 60 are needed for 10000 bookings a day");
    let mut facts = good();
    facts.quotas = quota(10.0);
    let todo = judge(&facts, &parameters(), &needs()).pop().and_then(|finding| finding.todo);
    assert_eq!(
        todo.unwrap(),
        "aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-1 --desired-value 60; to tens of thousands"
    );
    assert_eq!(found(|facts| facts.quotas = quota(60.0)), []);
    is(
        &found(|facts| facts.quotas = vec![Ok(None)]),
        Level::Warning,
        check,
        "Service Quotas names no L-1 of lambda",
    );
}
