use testkit::recorded::Recorded;

use super::*;
use crate::connect::for_providers;
use crate::testing::config;

fn account(service: &Recorded) -> Account {
    Account::new(&for_providers(&config(service)))
}

fn denied<T>(action: &'static str) -> Seen<T> {
    Err(Unseen::Denied { action })
}

const SNS_DENIED: &str = r#"<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>AuthorizationError</Code>
    <Message>User is not authorized to perform: SNS</Message></Error><RequestId>r</RequestId></ErrorResponse>"#;

const JSON_DENIED: &str = r#"{"__type":"AccessDeniedException","message":"User is not authorized"}"#;

/// An answer of SNS.
fn sns(operation: &str, result: &str) -> String {
    format!(
        r#"<{operation}Response xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><{operation}Result>{result}</{operation}Result>
        <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{operation}Response>"#
    )
}

#[tokio::test(flavor = "current_thread")]
async fn the_caller_is_told_with_the_time_of_aws_and_the_time_even_to_whom_it_refuses() {
    let known = r#"<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
        <Arn>arn:aws:iam::123456789012:user/deploy</Arn><UserId>AIDA</UserId><Account>123456789012</Account></GetCallerIdentityResult>
        <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>"#;
    let refused = r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code>
        <Message>The security token included in the request is invalid.</Message></Error><RequestId>r</RequestId></ErrorResponse>"#;
    let service = Recorded::answering(&[(200, known), (403, refused)]);
    let account = account(&service);
    let then = Some("2026-11-23T10:00:00Z".parse().unwrap());
    let arn = "arn:aws:iam::123456789012:user/deploy".to_owned();
    assert_eq!(account.caller().await, (Ok(Caller { account: "123456789012".to_owned(), arn }), then));
    let (caller, date) = account.caller().await;
    let why = "InvalidClientTokenId: The security token included in the request is invalid.".to_owned();
    assert_eq!(caller, Err(Unseen::Failed { action: "sts:GetCallerIdentity", why }));
    assert_eq!(date, then);
}

#[tokio::test(flavor = "current_thread")]
async fn what_ses_allows_is_read() {
    let answer = r#"{"DedicatedIpAutoWarmupEnabled":false,"EnforcementStatus":"HEALTHY","ProductionAccessEnabled":false,
        "SendQuota":{"Max24HourSend":200.0,"MaxSendRate":1.0,"SentLast24Hours":3.0},"SendingEnabled":true}"#;
    let service = Recorded::answering(&[(200, answer), (403, JSON_DENIED), (200, "{}")]);
    let account = account(&service);
    let sending = account.sending().await.unwrap();
    assert_eq!((sending.production, sending.enabled, sending.reputation.as_str()), (false, true, "HEALTHY"));
    assert_eq!((sending.per_second, sending.a_day, sending.sent), (1.0, 200.0, 3.0));
    assert_eq!(account.sending().await, denied("ses:GetAccount"));
    let nothing = account.sending().await.unwrap_err();
    assert_eq!(nothing.to_string(), "ses:GetAccount failed: the answer has no SendQuota");
}

#[tokio::test(flavor = "current_thread")]
async fn an_identity_is_there_or_not() {
    let answer = r#"{"IdentityType":"DOMAIN","VerifiedForSendingStatus":true,"VerificationStatus":"SUCCESS",
        "DkimAttributes":{"SigningEnabled":true,"Status":"SUCCESS","Tokens":["a","b","c"]}}"#;
    let missing =
        r#"{"__type":"NotFoundException","message":"Email identity salon.example does not exist."}"#;
    let service = Recorded::answering(&[(200, answer), (404, missing), (403, JSON_DENIED)]);
    let account = account(&service);
    let identity = Identity { verified: true, signing: true, dkim: "SUCCESS".to_owned() };
    assert_eq!(account.identity("salon.example").await, Ok(Some(identity)));
    assert_eq!(account.identity("salon.example").await, Ok(None));
    assert_eq!(account.identity("salon.example").await, denied("ses:GetEmailIdentity"));
    assert!(service.asked()[0].head.starts_with("GET /v2/email/identities/salon.example "));
}

#[tokio::test(flavor = "current_thread")]
async fn how_the_account_sends_text_messages_is_read() {
    let sandbox = sns("GetSMSSandboxAccountStatus", "<IsInSandbox>true</IsInSandbox>");
    let entry = |key: &str, value: &str| format!("<entry><key>{key}</key><value>{value}</value></entry>");
    let set = entry("MonthlySpendLimit", "1")
        + &entry("DefaultSMSType", "Promotional")
        + &entry("DeliveryStatusIAMRole", "");
    let settings = sns("GetSMSAttributes", &format!("<attributes>{set}</attributes>"));
    let number = "<member><CreatedAt>2026-01-01T00:00:00Z</CreatedAt><PhoneNumber>+15555550100</PhoneNumber><Status>ACTIVE</Status>
        <Iso2CountryCode>US</Iso2CountryCode><RouteType>Transactional</RouteType><NumberCapabilities><member>SMS</member></NumberCapabilities></member>";
    let page = sns(
        "ListOriginationNumbers",
        &format!("<PhoneNumbers>{number}</PhoneNumbers><NextToken>more</NextToken>"),
    );
    let last = sns("ListOriginationNumbers", "<PhoneNumbers></PhoneNumbers>");
    let service = Recorded::answering(&[
        (200, &sandbox),
        (403, SNS_DENIED),
        (200, &settings),
        (403, SNS_DENIED),
        (200, &page),
        (200, &last),
        (403, SNS_DENIED),
    ]);
    let account = account(&service);
    assert_eq!(account.sms_sandbox().await, Ok(true));
    assert_eq!(account.sms_sandbox().await, denied("sns:GetSMSSandboxAccountStatus"));
    let settings = SmsSettings {
        monthly_spend_limit: Some("1".to_owned()),
        default_type: Some("Promotional".to_owned()),
        ..SmsSettings::default()
    };
    assert_eq!(account.sms_settings().await, Ok(settings), "an empty attribute is none");
    assert_eq!(account.sms_settings().await, denied("sns:GetSMSAttributes"));
    let number = Number { number: "+15555550100".to_owned(), status: "ACTIVE".to_owned() };
    assert_eq!(account.numbers().await, Ok(vec![number]), "over both pages");
    assert_eq!(account.numbers().await, denied("sns:ListOriginationNumbers"));
}

#[tokio::test(flavor = "current_thread")]
async fn a_platform_application_is_enabled_or_not_or_not_there() {
    let answer = |enabled: &str| {
        let attributes = format!("<entry><key>Enabled</key><value>{enabled}</value></entry>");
        sns("GetPlatformApplicationAttributes", &format!("<Attributes>{attributes}</Attributes>"))
    };
    let missing = SNS_DENIED.replace("AuthorizationError", "NotFound");
    let service = Recorded::answering(&[
        (200, &answer("true")),
        (200, &answer("false")),
        (404, &missing),
        (403, SNS_DENIED),
    ]);
    let account = account(&service);
    let arn = "arn:aws:sns:eu-west-1:123456789012:app/GCM/salon";
    assert_eq!(account.application(arn).await, Ok(Some(true)));
    assert_eq!(account.application(arn).await, Ok(Some(false)));
    assert_eq!(account.application(arn).await, Ok(None));
    assert_eq!(account.application(arn).await, denied("sns:GetPlatformApplicationAttributes"));
}

#[tokio::test(flavor = "current_thread")]
async fn a_quota_is_found_by_code_or_name_among_those_of_the_account_then_among_the_defaults() {
    let quota = |code: &str, name: &str, value: f64| {
        format!(r#"{{"ServiceCode":"scheduler","QuotaCode":"{code}","QuotaName":"{name}","Value":{value}}}"#)
    };
    let page = |quotas: &str| format!(r#"{{"Quotas":[{quotas}]}}"#);
    let applied =
        page(&[quota("L-1", "Number of schedules", 250.0), quota("L-2", "Groups", 500.0)].join(","));
    let defaults = page(&quota("L-3", "CreateSchedule request rate", 5000.0));
    let service = Recorded::answering(&[
        (200, &applied),
        (200, &applied),
        (200, &applied),
        (200, &defaults),
        (200, &applied),
        (200, &defaults),
        (400, JSON_DENIED),
        (200, &applied),
        (400, JSON_DENIED),
    ]);
    let account = account(&service);
    let found = |code: &str, value| Ok(Some(Quota { code: code.to_owned(), value }));
    assert_eq!(account.quota("scheduler", "L-2").await, found("L-2", 500.0));
    assert_eq!(account.quota("scheduler", "Number of schedules").await, found("L-1", 250.0));
    assert_eq!(account.quota("scheduler", "CreateSchedule request rate").await, found("L-3", 5000.0));
    assert_eq!(account.quota("scheduler", "L-4").await, Ok(None));
    assert_eq!(account.quota("scheduler", "L-4").await, denied("servicequotas:ListServiceQuotas"));
    assert_eq!(account.quota("scheduler", "L-4").await, denied("servicequotas:ListAWSDefaultServiceQuotas"));
}

#[tokio::test(flavor = "current_thread")]
async fn who_does_not_answer_is_not_taken_for_a_refusal() {
    let service = Recorded::answering(&[(400, r#"{"__type":"ValidationException"}"#)]);
    let unseen = account(&service).sending().await.unwrap_err();
    assert_eq!(unseen.to_string(), "ses:GetAccount failed: ValidationException");
    assert!(
        matches!(account(&service).sms_sandbox().await, Err(Unseen::Failed { .. })),
        "nobody is there any more"
    );
}
