//! `cargo xtask doctor`: whether an AWS account will do, before a deploy. The admin tool looks and judges; here it is told the parameters of
//! the stack, and what so many bookings a day need.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use lexopt::prelude::{Long, Short, ValueExt};
use toml::{Table, Value};

use crate::{cargo, process, scale, stack, workspace};

const HELP: &str = "\
cargo xtask doctor [--bookings N] [--parameter NAME=VALUE ...] [--json | --local]

Looks whether an AWS account lets the stack's messages leave, and changes nothing:

  credentials, Region, and this machine's clock beside AWS's
  e-mail   SES out of its sandbox and sending; its rate beside EmailPerSecond; its quota of a day; the identity of EmailIdentityArn
           verified, signing by DKIM, and that of EmailFrom
  sms      SNS out of its sandbox; MonthlySpendLimit, DefaultSMSType, the log of deliveries; the numbers sms come from
  push     the applications of ApnsApplicationArn and FcmApplicationArn are there and enabled
  quotas   those of infra/quotas.toml that Service Quotas knows, beside what N bookings a day need

Each check is ok, a warning or a PROBLEM, with what to do. It fails where there is a problem. What the credentials may not look at is a
warning that names the action they lack.

  --bookings N            bookings a day to reckon with; 10000 without
  --parameter NAME=VALUE  a parameter of template.yaml other than in samconfig.toml and the template's defaults
  --json                  {\"account\", \"region\", \"findings\": [{\"check\", \"level\", \"says\", \"todo\"}]}
  --local                 look at the stack that `cargo xtask run` has up; its AWS is a stand-in that cannot answer everything

The environment says where: AWS_REGION (else the region of samconfig.toml) and credentials, such as
eval \"$(aws configure export-credentials --format env)\". The actions it needs, on *: ses:GetAccount, ses:GetEmailIdentity,
sns:GetSMSSandboxAccountStatus, sns:GetSMSAttributes, sns:ListOriginationNumbers, sns:GetPlatformApplicationAttributes,
servicequotas:ListServiceQuotas, servicequotas:ListAWSDefaultServiceQuotas.";

/// Bookings a day where nothing is said: far beyond a first customer, and within what a new account is given outside the sandboxes.
const BOOKINGS: u64 = 10_000;

/// Parses the options, builds the admin tool and has it look.
pub fn command(mut args: lexopt::Parser) -> Result<()> {
    let (mut bookings, mut given, mut json, mut local) = (BOOKINGS, Vec::new(), false, false);
    while let Some(arg) = args.next()? {
        match arg {
            Long("bookings") => bookings = args.value()?.parse()?,
            Long("parameter") => given.push(args.value()?.string()?),
            Long("json") => json = true,
            Long("local") => local = true,
            Short('h') | Long("help") => {
                println!("{HELP}");
                return Ok(());
            }
            other => bail!("{}; `cargo xtask doctor --help` lists the options", other.unexpected()),
        }
    }
    let mut parameters: BTreeMap<String, String> = workspace::template_defaults()?.into_iter().collect();
    let config = if local { Config::default() } else { Config::read()? };
    let of_stack = if local { stack::PARAMETERS.map(str::to_owned).to_vec() } else { config.overrides };
    for parameter in of_stack.into_iter().chain(given) {
        let (name, value) = parameter
            .split_once('=')
            .with_context(|| format!("a parameter is {parameter:?}, expected NAME=VALUE"))?;
        parameters.insert(name.to_owned(), value.to_owned());
    }
    let needs = scale::needs(bookings, workspace::template_concurrency()?)?;

    cargo::build_admin()?;
    let mut admin = Command::new(workspace::root().join("target/local/admin"));
    admin.args(["doctor", "--needs", &serde_json::to_string(&needs)?]);
    for (name, value) in &parameters {
        admin.args(["--parameter", &format!("{name}={value}")]);
    }
    if json {
        admin.arg("--json");
    }
    if local {
        let environment = stack::saved_environment();
        if environment.is_empty() {
            bail!("no local stack is up in this checkout; `cargo xtask run` starts it");
        }
        admin.envs(environment);
    } else if let (Some(region), None) = (&config.region, std::env::var_os("AWS_REGION")) {
        admin.env("AWS_REGION", region);
    }
    process::run(&mut admin)
}

/// What samconfig.toml says of a deploy.
#[derive(Debug, Default, PartialEq, Eq)]
struct Config {
    region: Option<String>,
    /// `NAME=VALUE` each.
    overrides: Vec<String>,
}

impl Config {
    /// Without the file, as after `git clean`, it says nothing.
    fn read() -> Result<Self> {
        let text = fs::read_to_string(workspace::root().join("samconfig.toml")).unwrap_or_default();
        Self::of(&text).context("samconfig.toml")
    }

    /// A command's parameters go before those of all commands.
    /// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-cli-config.html>
    fn of(text: &str) -> Result<Self> {
        let config: Table = toml::from_str(text)?;
        let find = |name: &str| {
            let of = |command: &str| config.get("default")?.get(command)?.get("parameters")?.get(name);
            of("deploy").or_else(|| of("global"))
        };
        let overrides = match find("parameter_overrides") {
            None => Vec::new(),
            Some(Value::String(text)) => words(text),
            Some(Value::Array(each)) => each.iter().filter_map(Value::as_str).flat_map(words).collect(),
            Some(other) => bail!("parameter_overrides is a {}, expected a text or a list", other.type_str()),
        };
        Ok(Self { region: find("region").and_then(Value::as_str).map(str::to_owned), overrides })
    }
}

/// The words of a text, where blanks between quotes part nothing, as SAM writes and reads them: `EmailFrom="Salon <hello@example.com>"`.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', _) => word.extend(letters.next()),
            ('"' | '\'', None) => quote = Some(letter),
            (_, Some(open)) if letter == open => quote = None,
            (' ' | '\n' | '\t', None) => words.push(std::mem::take(&mut word)),
            _ => word.push(letter),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sam_has_kept_is_read() {
        let text = r#"
            version = 0.1
            [default.global.parameters]
            region = "us-east-1"
            [default.deploy.parameters]
            region = "eu-west-1"
            parameter_overrides = "EmailFrom=\"Salon <hello@salon.example>\" EmailPerSecond=\"14\" PagesUrl=\"\" LogLevel=info"
        "#;
        let overrides =
            ["EmailFrom=Salon <hello@salon.example>", "EmailPerSecond=14", "PagesUrl=", "LogLevel=info"];
        let expected =
            Config { region: Some("eu-west-1".to_owned()), overrides: overrides.map(str::to_owned).to_vec() };
        assert_eq!(Config::of(text).unwrap(), expected);
        let list = "[default.deploy.parameters]\nparameter_overrides = ['EmailPerSecond=1', 'LogLevel=info']";
        assert_eq!(Config::of(list).unwrap().overrides, ["EmailPerSecond=1", "LogLevel=info"]);
        assert_eq!(Config::of("").unwrap(), Config::default());
        assert!(Config::of("[default.deploy.parameters]\nparameter_overrides = 1").is_err());
    }

    #[test]
    fn quotes_and_backslashes_are_taken_off() {
        assert_eq!(words(r#"A="b c"  D='e "f"' G=h\ i"#), ["A=b c", r#"D=e "f""#, "G=h i"]);
    }

    #[test]
    fn what_is_needed_of_an_account_is_what_the_template_may_run_at_least() {
        let needs = serde_json::to_value(scale::needs(1, 40).unwrap()).unwrap();
        let quotas = needs["quotas"].as_array().unwrap();
        let of = |service: &str| quotas.iter().find(|quota| quota["service"] == service).unwrap();
        assert_eq!(of("lambda")["needed"], 40);
        assert_eq!(of("apigateway")["needed"], 1);
        assert_eq!(quotas.iter().filter(|quota| quota["service"] == "scheduler").count(), 3);
    }
}
