//! `admin create-business`.

use app::create_business::create_business;
use aws::tables::{Retention, Tables};
use domain::business::Locale;
use domain::text::Name;
use domain::zone::Zone;
use lexopt::prelude::{Long, Short, ValueExt};
use runtime::{RandomIds, now, variable};

use crate::{Failure, HELP, print};

/// What to do.
struct Command {
    name: Name,
    zone: Zone,
    locale: Locale,
    json: bool,
}

/// Takes in a business and prints its key.
pub async fn command(arguments: lexopt::Parser) -> Result<(), Failure> {
    let Some(command) = read(arguments)? else { return print(HELP) };
    let config = aws::connect::connect()?;
    let tables = Tables::new(&config, variable("BOOKINGS_TABLE")?, String::new(), Retention::default());
    let Command { name, zone, locale, json } = command;
    let made = create_business(&tables, &RandomIds, name, zone, locale, now()).await?;
    if json {
        let line = serde_json::json!({ "business_id": made.business_id, "api_key": made.api_key });
        print(&format!("{line}\n"))
    } else {
        print(&format!("business  {}\nAPI key   {}\n", made.business_id, made.api_key))
    }
}

fn read(mut arguments: lexopt::Parser) -> Result<Option<Command>, Failure> {
    let (mut name, mut zone, mut locale, mut json) = (None, None, Locale::En, false);
    while let Some(argument) = arguments.next()? {
        match argument {
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
    let name = name.ok_or("--name is missing")?;
    let zone = zone.ok_or("--zone is missing")?;
    Ok(Some(Command { name, zone, locale, json }))
}
