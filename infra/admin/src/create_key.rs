//! `admin create-key`: one more API key for a business.

use app::api_keys::{KeyFields, create_key};
use app::edit_catalogue::Edit;
use aws::tables::{Retention, Tables};
use domain::access::{Access, Role};
use domain::ids::BusinessId;
use domain::text::Name;
use lexopt::prelude::{Long, ValueExt};
use runtime::{RandomIds, now, variable};

use crate::{Failure, print};

/// Makes a key and prints it.
pub async fn command(mut arguments: lexopt::Parser) -> Result<(), Failure> {
    let (mut business, mut name, mut role, mut json) = (None, None, Role::Owner, false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("business") => business = Some(arguments.value()?.parse::<BusinessId>()?),
            Long("name") => name = Some(arguments.value()?.parse::<Name>()?),
            Long("role") => role = arguments.value()?.parse::<Role>()?,
            Long("json") => json = true,
            other => return Err(other.unexpected().into()),
        }
    }
    let business_id = business.ok_or("--business is missing")?;
    let fields = KeyFields { name: name.ok_or("--name is missing")?, role, scopes: None, expires_at: None };
    let config = aws::connect::connect()?;
    let tables = Tables::new(&config, variable("BOOKINGS_TABLE")?, String::new(), Retention::default());
    let edit = Edit { business_id: &business_id, once: None, if_match: None, now: now() };
    let made = create_key(&tables, &RandomIds, edit, &Access::all_of(Role::Owner), &fields).await?;
    let (key, secret) = (made.value.key, made.value.secret.unwrap_or_default());
    if json {
        let line = serde_json::json!({ "id": key.id, "role": key.access.role, "api_key": secret });
        print(&format!("{line}\n"))
    } else {
        print(&format!("role      {}\nAPI key   {secret}\n", key.access.role.as_str()))
    }
}
