//! `admin doctor`: whether an account will let the stack's messages leave, before it is deployed.
//!
//! It looks only: every call is a `Get` or a `List`.

mod judge;

use std::fmt::Write as _;

use aws::account::Account;
use judge::{Facts, Finding, Level, Needs, Parameters, identity_of, judge};
use lexopt::prelude::{Long, Short, ValueExt};
use runtime::now;
use serde_json::json;

use crate::{Failure, HELP, print};

struct Options {
    parameters: Parameters,
    needs: Needs,
    json: bool,
}

/// Looks, and tells what it found; fails where there is a problem.
pub async fn command(arguments: lexopt::Parser) -> Result<(), Failure> {
    let Some(Options { parameters, needs, json }) = read(arguments)? else { return print(HELP) };
    let config = aws::connect::connect()?;
    let region = config.region().map(|region| region.as_ref().to_owned()).unwrap_or_default();
    let facts = look(&Account::new(&config), region, &parameters, &needs).await;
    let findings = judge(&facts, &parameters, &needs);
    print(&if json { as_json(&facts, &findings) } else { as_text(&findings) })?;
    match count(&findings, Level::Problem) {
        0 => Ok(()),
        1 => Err("there is 1 problem; what to do about it is said above".into()),
        problems => Err(format!("there are {problems} problems; what to do about them is said above").into()),
    }
}

async fn look(account: &Account, region: String, parameters: &Parameters, needs: &Needs) -> Facts {
    let asked = now();
    let (caller, date) = account.caller().await;
    let answered = now();
    // AWS told its time somewhere between the two, in whole seconds.
    let ahead = date.map(|date| date.duration_since(asked + answered.duration_since(asked) / 2));
    let name = parameters.email_identity.as_deref().and_then(identity_of).map(|(_, _, name)| name);
    let identity = match name {
        Some(name) => Some(account.identity(name).await),
        None => None,
    };
    let (mut applications, mut quotas) = (Vec::new(), Vec::new());
    for arn in [&parameters.apns, &parameters.fcm] {
        applications.push(match arn {
            Some(arn) => Some(account.application(arn).await),
            None => None,
        });
    }
    for need in &needs.quotas {
        quotas.push(account.quota(&need.service, &need.quota).await);
    }
    let fcm = applications.pop().flatten();
    let apns = applications.pop().flatten();
    Facts {
        region,
        caller,
        ahead,
        sending: account.sending().await,
        identity,
        sms_sandbox: account.sms_sandbox().await,
        sms: account.sms_settings().await,
        numbers: account.numbers().await,
        apns,
        fcm,
        quotas,
    }
}

fn count(findings: &[Finding], level: Level) -> usize {
    findings.iter().filter(|finding| finding.level == level).count()
}

/// A line for each finding, with what to do below it, and a last one that counts them.
fn as_text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { check, level, says, todo } in findings {
        let level = match level {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Problem => "PROBLEM",
        };
        let _ = writeln!(text, "{level:<8} {check}: {says}");
        if let Some(todo) = todo {
            let _ = writeln!(text, "         do: {todo}");
        }
    }
    let [ok, warnings, problems] =
        [Level::Ok, Level::Warning, Level::Problem].map(|level| count(findings, level));
    let _ = writeln!(text, "\n{problems} problems, {warnings} warnings, {ok} ok");
    text
}

fn as_json(facts: &Facts, findings: &[Finding]) -> String {
    let account = facts.caller.as_ref().ok().map(|caller| &caller.account);
    format!("{:#}\n", json!({ "account": account, "region": facts.region, "findings": findings }))
}

fn read(mut arguments: lexopt::Parser) -> Result<Option<Options>, Failure> {
    let (mut parameters, mut needs, mut json) = (Parameters::default(), Needs::default(), false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("parameter") => set(&mut parameters, &arguments.value()?.string()?)?,
            Long("needs") => {
                needs = serde_json::from_str(&arguments.value()?.string()?)
                    .map_err(|error| format!("--needs: {error}"))?;
            }
            Long("json") => json = true,
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(Options { parameters, needs, json }))
}

/// Takes over a parameter of the stack that an account has to fit. Others are nobody's matter here, and empty ones are as not given.
fn set(parameters: &mut Parameters, parameter: &str) -> Result<(), Failure> {
    let expected = || format!("--parameter is {parameter}, expected NAME=VALUE");
    let (name, value) = parameter.split_once('=').ok_or_else(expected)?;
    let text = Some(value.to_owned()).filter(|value| !value.is_empty());
    match name {
        "EmailFrom" => parameters.email_from = text,
        "EmailIdentityArn" => parameters.email_identity = text,
        "ApnsApplicationArn" => parameters.apns = text,
        "FcmApplicationArn" => parameters.fcm = text,
        "EmailPerSecond" => {
            let rate = value.parse().map_err(|_| format!("{name} is {value}, expected a number"))?;
            parameters.email_per_second = Some(rate);
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> Result<Option<Options>, Failure> {
        read(lexopt::Parser::from_args(arguments))
    }

    #[test]
    fn parameters_are_those_of_the_template() {
        let given =
            ["EmailFrom=Salon <a@b.example>", "EmailPerSecond=14", "FcmApplicationArn=", "LogLevel=info"];
        let arguments: Vec<&str> = given.iter().flat_map(|parameter| ["--parameter", parameter]).collect();
        let options = options(&arguments).unwrap().unwrap();
        let expected = Parameters {
            email_from: Some("Salon <a@b.example>".to_owned()),
            email_per_second: Some(14.0),
            ..Parameters::default()
        };
        assert_eq!(options.parameters, expected);
        assert!(!options.json);
    }

    #[test]
    fn what_is_not_understood_is_told() {
        let refused = |arguments: &[&str]| options(arguments).err().unwrap().to_string();
        assert_eq!(refused(&["--parameter", "x"]), "--parameter is x, expected NAME=VALUE");
        assert_eq!(
            refused(&["--parameter", "EmailPerSecond=many"]),
            "EmailPerSecond is many, expected a number"
        );
        assert!(refused(&["--needs", "{}"]).starts_with("--needs: missing field"));
        assert!(options(&["--help"]).unwrap().is_none());
    }

    #[test]
    fn each_finding_is_a_line_with_what_to_do_below_it() {
        let finding = |level, todo: Option<&str>| Finding {
            check: "sms type".to_owned(),
            level,
            says: "not set".to_owned(),
            todo: todo.map(str::to_owned),
        };
        let findings = [finding(Level::Ok, None), finding(Level::Problem, Some("set it"))];
        assert_eq!(
            as_text(&findings),
            "ok       sms type: not set\nPROBLEM  sms type: not set\n         do: set it\n\n1 problems, 0 warnings, 1 ok\n"
        );
    }
}
