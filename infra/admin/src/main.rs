//! What whoever runs the system does beside the API: takes in businesses.

use app::create_business::create_business;
use app::error::chain;
use aws::tables::Tables;
use domain::business::Locale;
use domain::text::Name;
use domain::zone::Zone;
use lexopt::prelude::{Long, Short, Value, ValueExt};
use runtime::{RandomIds, now, variable};

const HELP: &str = "\
Takes in a business and prints its first API key. The key is shown this once; only its hash is kept.

    admin create-business --name \"Salon Aurora\" --zone Europe/Lisbon [--locale en|ru] [--json]

The environment says where: BOOKINGS_TABLE, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN
or AWS_ENDPOINT_URL where needed. `aws configure export-credentials --format env` prints a profile's credentials.
";

/// What to do.
struct Command {
    name: Name,
    zone: Zone,
    locale: Locale,
    json: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::process::ExitCode {
    let result = match read_command() {
        Ok(Some(command)) => run(command).await,
        Ok(None) => print(HELP),
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("admin: {}", chain(error.as_ref()));
            std::process::ExitCode::FAILURE
        }
    }
}

type Failure = Box<dyn std::error::Error>;

async fn run(command: Command) -> Result<(), Failure> {
    let config = aws::connect::connect()?;
    let tables = Tables::new(&config, variable("BOOKINGS_TABLE")?, String::new());
    let Command { name, zone, locale, json } = command;
    let made = create_business(&tables, &RandomIds, name, zone, locale, now()).await?;
    if json {
        let line = serde_json::json!({ "business_id": made.business_id, "api_key": made.api_key });
        print(&format!("{line}\n"))
    } else {
        print(&format!("business  {}\nAPI key   {}\n", made.business_id, made.api_key))
    }
}

fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn read_command() -> Result<Option<Command>, Failure> {
    let (mut name, mut zone, mut locale, mut json, mut known) = (None, None, Locale::En, false, false);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Value(word) if word == "create-business" && !known => known = true,
            Long("name") => name = Some(arguments.value()?.parse::<Name>()?),
            Long("zone") => zone = Some(arguments.value()?.parse::<Zone>()?),
            Long("locale") => {
                locale = match arguments.value()?.string()?.as_str() {
                    "en" => Locale::En,
                    "ru" => Locale::Ru,
                    _ => return Err("--locale: expected en or ru".into()),
                }
            }
            Long("json") => json = true,
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    if !known {
        return Ok(None);
    }
    let name = name.ok_or("--name is missing")?;
    let zone = zone.ok_or("--zone is missing")?;
    Ok(Some(Command { name, zone, locale, json }))
}
