//! What the facts of an account mean for a stack: pure, so that every finding has its test.

use aws::account::{Caller, Identity, Number, Quota, Seen, Sending, SmsSettings, Unseen};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// How far AWS's clock and this machine's may be apart before signed requests are refused.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>
const SKEW_REFUSED: SignedDuration = SignedDuration::from_mins(5);

/// How far they may be apart before it is worth a word. AWS tells its time to the second.
const SKEW_SEEN: SignedDuration = SignedDuration::from_secs(30);

/// What a new account may spend on sms in a month, in US dollars.
/// <https://docs.aws.amazon.com/sns/latest/dg/channels-sms-awssupport-spend-threshold.html>
const FIRST_SPEND_LIMIT: f64 = 1.0;

/// Of the day's quota of e-mails, the share in hundredths beyond which there is little left.
const MUCH_SENT_PERCENT: f64 = 80.0;

/// The parameters of the stack that an account has to fit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters {
    /// `EmailFrom`: an address, perhaps with a name.
    pub email_from: Option<String>,
    /// `EmailIdentityArn`.
    pub email_identity: Option<String>,
    /// `EmailPerSecond`.
    pub email_per_second: Option<f64>,
    /// `ApnsApplicationArn`.
    pub apns: Option<String>,
    /// `FcmApplicationArn`.
    pub fcm: Option<String>,
}

/// What so many bookings a day ask of the account.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// Bookings a day.
    pub bookings: u64,
    /// E-mails in 24 hours.
    pub emails: u64,
    /// E-mails in the busiest second.
    pub emails_per_second: u64,
    /// Quotas that Service Quotas knows.
    pub quotas: Vec<Need>,
}

/// What is needed of a quota.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// The service in Service Quotas, such as `scheduler`.
    pub service: String,
    /// The quota's code or name there.
    pub quota: String,
    /// What it is, for readers.
    pub name: String,
    /// In what it is counted.
    pub unit: String,
    /// How much is needed.
    pub needed: u64,
    /// What to do when it does not suffice.
    pub raise: String,
}

/// What was seen of an account.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The Region looked at.
    pub region: String,
    /// Whose credentials these are.
    pub caller: Seen<Caller>,
    /// How far AWS's clock is ahead of this machine's; none: no answer told.
    pub ahead: Option<SignedDuration>,
    /// What SES allows.
    pub sending: Seen<Sending>,
    /// The identity of the parameters; none where they name none.
    pub identity: Option<Seen<Option<Identity>>>,
    /// Whether sms reach verified phones only.
    pub sms_sandbox: Seen<bool>,
    /// How sms are sent.
    pub sms: Seen<SmsSettings>,
    /// Where sms may come from.
    pub numbers: Seen<Vec<Number>>,
    /// Whether the platform application for Apple devices is enabled; none where the parameters name none.
    pub apns: Option<Seen<Option<bool>>>,
    /// The same for Android devices.
    pub fcm: Option<Seen<Option<bool>>>,
    /// The quotas, in the order of [`Needs::quotas`].
    pub quotas: Vec<Seen<Option<Quota>>>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing to do.
    Ok,
    /// Works, but not as well as it could; or nobody could look.
    Warning,
    /// Messages would not leave.
    Problem,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check.
    pub check: String,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub says: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub todo: Option<String>,
}

impl Finding {
    fn ok(check: &str, says: impl Into<String>) -> Self {
        Self { check: check.to_owned(), level: Level::Ok, says: says.into(), todo: None }
    }

    fn warning(check: &str, says: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { check: check.to_owned(), level: Level::Warning, says: says.into(), todo: Some(todo.into()) }
    }

    fn problem(check: &str, says: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { check: check.to_owned(), level: Level::Problem, says: says.into(), todo: Some(todo.into()) }
    }

    fn unseen(check: &str, why: &Unseen) -> Self {
        let todo = match why {
            Unseen::Denied { action } => format!("allow {action} on * to these credentials, and look again"),
            Unseen::Failed { .. } => "look again, or look in the console".to_owned(),
        };
        Self::warning(check, format!("could not look: {why}"), todo)
    }
}

/// Every finding, in the order in which to mend them.
pub fn judge(facts: &Facts, parameters: &Parameters, needs: &Needs) -> Vec<Finding> {
    let mut found = vec![caller(facts), clock(facts.ahead)];
    match &facts.sending {
        Err(why) => found.push(Finding::unseen("e-mail", why)),
        Ok(sending) => {
            found.extend([ses_sandbox(sending), ses_sending(sending)]);
            found.extend([ses_rate(sending, parameters, needs), ses_day(sending, needs)]);
        }
    }
    found.extend(identity(facts, parameters));
    found.push(match &facts.sms_sandbox {
        Err(why) => Finding::unseen("sms sandbox", why),
        Ok(inside) => sms_sandbox(*inside),
    });
    match &facts.sms {
        Err(why) => found.push(Finding::unseen("sms settings", why)),
        Ok(settings) => found.extend([spend_limit(settings), sms_type(settings), sms_log(settings)]),
    }
    found.push(match &facts.numbers {
        Err(why) => Finding::unseen("sms numbers", why),
        Ok(numbers) => sms_numbers(numbers),
    });
    let applications = [
        ("push to Apple", "ApnsApplicationArn", &parameters.apns, &facts.apns),
        ("push to Android", "FcmApplicationArn", &parameters.fcm, &facts.fcm),
    ];
    for (check, parameter, arn, seen) in applications {
        found.push(application(check, parameter, arn.as_deref().unwrap_or_default(), seen.as_ref()));
    }
    found
        .extend(needs.quotas.iter().zip(&facts.quotas).map(|(need, seen)| quota(need, seen, needs.bookings)));
    found
}

fn caller(facts: &Facts) -> Finding {
    let check = "credentials";
    match &facts.caller {
        Ok(Caller { account, arn }) => {
            Finding::ok(check, format!("account {account}, Region {}, as {arn}", facts.region))
        }
        Err(why) if facts.ahead.is_none() => Finding::problem(
            check,
            format!("AWS does not answer: {why}"),
            "look at AWS_REGION and AWS_ENDPOINT_URL, and at the network",
        ),
        Err(why) => Finding::problem(
            check,
            format!("AWS does not take them: {why}"),
            "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN anew: eval \"$(aws configure export-credentials --format env)\"",
        ),
    }
}

fn clock(ahead: Option<SignedDuration>) -> Finding {
    let check = "clock";
    let Some(ahead) = ahead else {
        return Finding::warning(check, "could not look: no answer told AWS's time", "look again");
    };
    let apart = ahead.abs();
    let side = if ahead.is_negative() { "ahead of" } else { "behind" };
    let says = format!("this machine is {} s {side} AWS", apart.as_secs());
    let todo = "set this machine's clock by NTP: timedatectl set-ntp true";
    if apart >= SKEW_REFUSED {
        Finding::problem(check, format!("{says}, which refuses requests signed that far off"), todo)
    } else if apart >= SKEW_SEEN {
        Finding::warning(check, says, todo)
    } else {
        Finding::ok(check, says)
    }
}

fn ses_sandbox(sending: &Sending) -> Finding {
    let check = "e-mail sandbox";
    if sending.production {
        return Finding::ok(check, "SES is out of its sandbox");
    }
    Finding::problem(
        check,
        "SES is in its sandbox: e-mail reaches verified addresses only",
        "ask for production access: SES console, Account dashboard; or aws sesv2 put-account-details --production-access-enabled \
         --mail-type TRANSACTIONAL --website-url https://…",
    )
}

fn ses_sending(sending: &Sending) -> Finding {
    let check = "e-mail sending";
    let dashboard = "answer AWS's case: SES console, Account dashboard";
    match (sending.enabled, sending.reputation.as_str()) {
        (_, "SHUTDOWN") => Finding::problem(check, "AWS has stopped the account's e-mail", dashboard),
        (false, _) => Finding::problem(
            check,
            "sending is switched off",
            "aws sesv2 put-account-sending-attributes --sending-enabled",
        ),
        (true, "PROBATION") => Finding::warning(check, "AWS has the account under review", dashboard),
        (true, _) => Finding::ok(check, "sending is enabled"),
    }
}

fn ses_rate(sending: &Sending, parameters: &Parameters, needs: &Needs) -> Finding {
    let check = "e-mail rate";
    let allowed = sending.per_second;
    if let Some(set) = parameters.email_per_second.filter(|set| *set > allowed) {
        return Finding::problem(
            check,
            format!("EmailPerSecond is {set}, and SES allows {allowed} a second: it refuses what is over"),
            format!(
                "deploy with EmailPerSecond={}, or ask for more: Service Quotas, SES, Sending rate",
                allowed.floor()
            ),
        );
    }
    let needed = needs.emails_per_second;
    if needed as f64 > allowed {
        return Finding::warning(
            check,
            format!(
                "SES allows {allowed} a second, {needed} are needed {}: the others wait",
                for_bookings(needs.bookings)
            ),
            "ask for more: Service Quotas, SES, Sending rate; then EmailPerSecond",
        );
    }
    let set =
        parameters.email_per_second.map_or_else(String::new, |set| format!(", EmailPerSecond is {set}"));
    Finding::ok(check, format!("SES allows {allowed} a second{set}"))
}

fn ses_day(sending: &Sending, needs: &Needs) -> Finding {
    let check = "e-mail quota";
    let Sending { a_day, sent, .. } = *sending;
    let todo = "ask for more: Service Quotas, SES, Sending quota";
    if a_day < 0.0 {
        return Finding::ok(check, "SES sets no limit to a day");
    }
    if needs.emails as f64 > a_day {
        let bookings = for_bookings(needs.bookings);
        let says = format!(
            "SES allows {a_day} in 24 hours, {} are needed {bookings}: the others wait for days",
            needs.emails
        );
        return Finding::problem(check, says, todo);
    }
    let says = format!("SES allows {a_day} in 24 hours, {sent} of them were sent");
    if sent * 100.0 > a_day * MUCH_SENT_PERCENT {
        Finding::warning(check, says, todo)
    } else {
        Finding::ok(check, says)
    }
}

fn for_bookings(bookings: u64) -> String {
    format!("for {bookings} bookings a day")
}

/// The name that SES knows an identity by, from its ARN `arn:aws:ses:REGION:ACCOUNT:identity/NAME`, with Region and account.
pub fn identity_of(arn: &str) -> Option<(&str, &str, &str)> {
    let mut parts = arn.splitn(6, ':');
    let (head, _partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, account) = (parts.next()?, parts.next()?);
    let name = parts.next()?.strip_prefix("identity/")?;
    (head == "arn" && service == "ses" && !name.is_empty()).then_some((region, account, name))
}

/// Whether an identity, a domain or an address, may send from an address: a domain also for its subdomains.
/// <https://docs.aws.amazon.com/ses/latest/dg/creating-identities.html>
fn covers(identity: &str, from: &str) -> bool {
    // `Salon <hello@example.com>` or the bare address.
    let address =
        from.rsplit_once('<').map_or(from, |(_, rest)| rest.trim_end_matches('>')).trim().to_lowercase();
    let identity = identity.to_lowercase();
    if identity.contains('@') {
        return address == identity;
    }
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    domain == identity || domain.strip_suffix(&identity).is_some_and(|rest| rest.ends_with('.'))
}

fn identity(facts: &Facts, parameters: &Parameters) -> Vec<Finding> {
    let check = "e-mail identity";
    let Some(arn) = &parameters.email_identity else {
        let says = "could not look: the parameter EmailIdentityArn is not given";
        return vec![Finding::warning(
            check,
            says,
            "--parameter EmailIdentityArn=arn:aws:ses:…, or deploy --guided once",
        )];
    };
    let Some((region, account, name)) = identity_of(arn) else {
        let says = format!("EmailIdentityArn is {arn}, which is no identity's");
        return vec![Finding::problem(check, says, "expected: arn:aws:ses:REGION:ACCOUNT:identity/NAME")];
    };
    let own = facts.caller.as_ref().map_or(account, |caller| caller.account.as_str());
    if region != facts.region || account != own {
        let says = format!(
            "EmailIdentityArn is of account {account} in {region}, the stack is to be in account {own} in {}",
            facts.region
        );
        return vec![Finding::problem(
            check,
            says,
            "verify the identity in the stack's own Region, and give its ARN",
        )];
    }
    let mut found = Vec::new();
    if let Some(from) = parameters.email_from.as_deref().filter(|from| !covers(name, from)) {
        let says = format!("EmailFrom is {from}, which {name} may not send from");
        found.push(Finding::problem(
            "e-mail sender",
            says,
            "give an address of the identity, or the identity of the address",
        ));
    }
    match &facts.identity {
        None => {}
        Some(Err(why)) => found.push(Finding::unseen(check, why)),
        Some(Ok(None)) => found.push(Finding::problem(
            check,
            format!("SES has no identity {name} in {region}"),
            format!("aws sesv2 create-email-identity --email-identity {name}"),
        )),
        Some(Ok(Some(identity))) => found.extend([verified(name, identity), dkim(name, identity)]),
    }
    found
}

fn verified(name: &str, identity: &Identity) -> Finding {
    let check = "e-mail identity";
    if identity.verified {
        return Finding::ok(check, format!("{name} is verified"));
    }
    Finding::problem(
        check,
        format!("{name} is not verified: SES refuses to send from it"),
        format!(
            "publish the CNAME records, or follow the link in AWS's e-mail: aws sesv2 get-email-identity --email-identity {name}"
        ),
    )
}

fn dkim(name: &str, identity: &Identity) -> Finding {
    let check = "e-mail DKIM";
    let says = "mail programs take unsigned e-mail for junk";
    if identity.dkim != "SUCCESS" {
        return Finding::warning(
            check,
            format!("DKIM of {name} is {}: {says}", identity.dkim),
            format!(
                "publish its three CNAME records: SES console, Identities; or aws sesv2 get-email-identity --email-identity {name}"
            ),
        );
    }
    if !identity.signing {
        return Finding::warning(
            check,
            format!("DKIM of {name} is set up and switched off: {says}"),
            format!("aws sesv2 put-email-identity-dkim-attributes --email-identity {name} --signing-enabled"),
        );
    }
    Finding::ok(check, format!("e-mails from {name} are signed"))
}

fn sms_sandbox(inside: bool) -> Finding {
    let check = "sms sandbox";
    if !inside {
        return Finding::ok(check, "SNS is out of its sandbox");
    }
    let says = "SNS is in its sandbox: sms reach verified phones only";
    Finding::problem(check, says, "SNS console, Text messaging (SMS), Exit SMS sandbox")
}

fn spend_limit(settings: &SmsSettings) -> Finding {
    let check = "sms spending";
    let todo = "aws sns set-sms-attributes --attributes MonthlySpendLimit=100; beyond what the account is allowed, a case with AWS Support first";
    match settings.monthly_spend_limit.as_deref().map(|limit| (limit, limit.parse::<f64>())) {
        Some((_, Ok(limit))) if limit > FIRST_SPEND_LIMIT => {
            Finding::ok(check, format!("up to {limit} dollars a month"))
        }
        Some((_, Ok(limit))) => {
            let says = format!(
                "up to {limit} dollars a month, as in a new account: beyond it sms stop, and nothing says so"
            );
            Finding::problem(check, says, todo)
        }
        Some((limit, Err(_))) => {
            Finding::warning(check, format!("MonthlySpendLimit is {limit}, expected a number"), todo)
        }
        None => Finding::warning(
            check,
            "MonthlySpendLimit is not set: it is what SNS allows, 1 dollar in a new account",
            todo,
        ),
    }
}

fn sms_type(settings: &SmsSettings) -> Finding {
    let check = "sms type";
    match settings.default_type.as_deref() {
        Some("Transactional") => Finding::ok(check, "Transactional"),
        other => Finding::warning(
            check,
            format!(
                "DefaultSMSType is {}: our own sms say Transactional each, others of the account go the cheap way",
                other.unwrap_or("not set")
            ),
            "aws sns set-sms-attributes --attributes DefaultSMSType=Transactional",
        ),
    }
}

fn sms_log(settings: &SmsSettings) -> Finding {
    let check = "sms delivery log";
    let Some(role) = &settings.log_role else {
        return Finding::warning(
            check,
            "DeliveryStatusIAMRole is not set: every sms stays accepted, and no cascade goes on",
            "once the stack is deployed: aws sns set-sms-attributes --attributes \
             DeliveryStatusIAMRole=ROLE,DeliveryStatusSuccessSamplingRate=100, with its output SmsLogRoleArn",
        );
    };
    let rate = settings.sampling.as_deref().unwrap_or("0");
    if rate != "100" {
        return Finding::warning(
            check,
            format!("SNS tells of {rate} deliveries in 100: the other sms stay accepted"),
            "aws sns set-sms-attributes --attributes DeliveryStatusSuccessSamplingRate=100",
        );
    }
    Finding::ok(check, format!("of every delivery, by {role}"))
}

fn sms_numbers(numbers: &[Number]) -> Finding {
    let check = "sms numbers";
    let (active, waiting): (Vec<&Number>, Vec<&Number>) =
        numbers.iter().partition(|number| number.status == "ACTIVE");
    let list = |numbers: &[&Number]| {
        numbers.iter().map(|number| number.number.as_str()).collect::<Vec<_>>().join(", ")
    };
    let todo =
        "AWS End User Messaging console, SMS, Phone numbers; then its two-way channel, docs/operations.md";
    if active.is_empty() {
        let says =
            "no number is active: some countries take no sms then, and nobody can reply STOP, yes or no";
        return Finding::warning(check, says, todo);
    }
    if !waiting.is_empty() {
        return Finding::warning(
            check,
            format!("{} can be used, {} not yet", list(&active), list(&waiting)),
            todo,
        );
    }
    Finding::ok(check, list(&active))
}

fn application(check: &str, parameter: &str, arn: &str, seen: Option<&Seen<Option<bool>>>) -> Finding {
    match seen {
        None => Finding::ok(check, format!("{parameter} is empty: none is sent")),
        Some(Err(why)) => Finding::unseen(check, why),
        Some(Ok(None)) => Finding::problem(
            check,
            format!("there is no platform application {arn}"),
            format!("SNS console, Push notifications, Create platform application; its ARN is {parameter}"),
        ),
        Some(Ok(Some(false))) => Finding::problem(
            check,
            format!("{arn} is disabled, mostly since its credentials have expired"),
            format!(
                "new credentials, then aws sns set-platform-application-attributes --platform-application-arn {arn} --attributes Enabled=true"
            ),
        ),
        Some(Ok(Some(true))) => Finding::ok(check, format!("{arn} is enabled")),
    }
}

fn quota(need: &Need, seen: &Seen<Option<Quota>>, bookings: u64) -> Finding {
    let Need { service, quota, name, unit, needed, raise } = need;
    let check = format!("quota: {name}");
    let Quota { code, value } = match seen {
        Err(why) => return Finding::unseen(&check, why),
        Ok(None) => {
            let says = format!("could not look: Service Quotas names no {quota} of {service} here");
            return Finding::warning(
                &check,
                says,
                format!("at least {needed} {unit} are needed: Service Quotas console, {service}"),
            );
        }
        Ok(Some(quota)) => quota,
    };
    let says = format!("{value} {unit}, {needed} are needed {}", for_bookings(bookings));
    if *value < *needed as f64 {
        let todo = format!(
            "aws service-quotas request-service-quota-increase --service-code {service} --quota-code {code} --desired-value {needed}; {raise}"
        );
        return Finding::problem(&check, says, todo);
    }
    Finding::ok(&check, says)
}

#[cfg(test)]
mod tests;
