//! Importing and exporting the client base as a spreadsheet.
//!
//! Each line of an import is a client of its own: the good ones are taken even where others are bad, and each bad one is named with its line and
//! its field. Importing the same again changes nothing.

use std::collections::{BTreeSet, HashMap};

use domain::business::Locale;
use domain::client::{Bans, Client};
use domain::contact::{Email, Phone};
use domain::ids::{BusinessId, ClientId};
use domain::text::{InvalidTag, Name, Tag};
use domain::zone::Zone;
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::create_booking::new_id;
use crate::edit_catalogue::{Edit, TAGS};
use crate::edit_client::{address_keys, taken_over};
use crate::error::AppError;
use crate::list_clients::{clients_with_phone, sift_clients};
use crate::once::{Done, Once, answered, place_of_answer, write_once};
use crate::ports::{
    Expect, FindClients, FindClientsByEmail, Item, Key, List, Listed, NewId, Page, PortError, Read, Stored,
    Write, WriteError, WriteFacts, first,
};
use crate::spreadsheet::{Cells, ReadRow, read_sheet, sheet};

/// The columns: what an export has, and an import may have, in any order.
const COLUMNS: [&str; 8] = ["id", "name", "phone", "email", "locale", "zone", "marketing_consent", "tags"];

/// The most lines of one import.
const LINES: usize = 2_000;

/// How many lines are dealt with at the same time.
const AT_ONCE: usize = 16;

/// How often a client is tried who changes under the import.
const TRIES: u32 = 5;

/// What came of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Imported {
    /// How many clients are new.
    pub created: u64,
    /// How many were known, and have changed.
    pub updated: u64,
    /// How many were known, and are as the line says.
    pub unchanged: u64,
    /// The lines that were not taken.
    pub errors: Vec<LineError>,
}

/// Why a line was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineError {
    /// Which line of the file, from 1. The header is one.
    pub line: u64,
    /// The column.
    pub field: String,
    /// What was expected there.
    pub expected: String,
}

impl LineError {
    fn new(line: u64, field: &str, expected: impl std::fmt::Display) -> Self {
        let expected = expected.to_string();
        let expected = expected.strip_prefix("expected ").map(str::to_owned).unwrap_or(expected);
        Self { line, field: field.to_owned(), expected }
    }
}

/// What a line says of a client. What it does not say stays as it is: a column that is not there, and an empty cell.
#[derive(Debug, Default, PartialEq)]
struct Line {
    number: u64,
    id: Option<ClientId>,
    name: Option<Name>,
    phone: Option<Phone>,
    email: Option<Email>,
    locale: Option<Locale>,
    zone: Option<Zone>,
    marketing_consent: Option<bool>,
    tags: Option<BTreeSet<Tag>>,
}

impl Line {
    fn read(columns: &[usize], row: &ReadRow) -> Result<Self, LineError> {
        let number = row.line;
        let mut line = Line { number, ..Line::default() };
        for (cell, column) in row.cells.iter().zip(columns) {
            let Some(field) = COLUMNS.get(*column).filter(|_| !cell.is_empty()) else { continue };
            let wrong = |expected: &dyn std::fmt::Display| LineError::new(number, field, expected);
            match *field {
                "id" => line.id = Some(cell.parse().map_err(|error| wrong(&error))?),
                "name" => line.name = Some(cell.parse().map_err(|error| wrong(&error))?),
                "phone" => line.phone = Some(phone(cell).map_err(|error| wrong(&error))?),
                "email" => line.email = Some(cell.parse().map_err(|error| wrong(&error))?),
                "locale" => line.locale = Some(locale(cell).ok_or_else(|| wrong(&"\"en\" or \"ru\""))?),
                "zone" => line.zone = Some(cell.parse().map_err(|error| wrong(&error))?),
                "tags" => {
                    let tags = tags(cell).map_err(|error| wrong(&error))?;
                    line.tags = Some(tags).filter(|tags| tags.len() <= TAGS);
                    line.tags.as_ref().ok_or_else(|| wrong(&format!("at most {TAGS} tags")))?;
                }
                _ => line.marketing_consent = Some(yes(cell).ok_or_else(|| wrong(&"\"yes\" or \"no\""))?),
            }
        }
        if row.cells.iter().skip(columns.len()).any(|cell| !cell.is_empty()) {
            return Err(LineError::new(number, "", "no more cells than the header has"));
        }
        if line.id.is_none() && line.phone.is_none() && line.email.is_none() {
            let expected = "a phone, or else an e-mail address or an id, by which the client is known again";
            return Err(LineError::new(number, "phone", expected));
        }
        Ok(line)
    }

    /// The client as the line says, who was so `before`, or is new under an id.
    fn applied(&self, business_id: &BusinessId, id: &ClientId, before: Option<&Client>) -> Option<Client> {
        let mut client = match before {
            Some(client) => client.clone(),
            None => Client {
                business_id: business_id.clone(),
                id: id.clone(),
                name: self.name.clone()?,
                phone: None,
                email: None,
                devices: Vec::new(),
                telegram: None,
                locale: None,
                zone: None,
                bans: Bans::none(),
                marketing_consent: false,
                unsubscribed_at: None,
                opt_outs: BTreeSet::new(),
                tags: BTreeSet::new(),
                suppressions: Vec::new(),
                erased_at: None,
            },
        };
        client.name = self.name.clone().unwrap_or(client.name);
        client.phone = self.phone.clone().or(client.phone);
        client.email = self.email.clone().or(client.email);
        client.locale = self.locale.or(client.locale);
        client.zone = self.zone.clone().or(client.zone);
        client.tags = self.tags.clone().unwrap_or(client.tags);
        client.marketing_consent = self.marketing_consent.unwrap_or(client.marketing_consent);
        Some(client)
    }
}

/// A phone as people type it into spreadsheets.
fn phone(cell: &str) -> Result<Phone, domain::contact::InvalidPhone> {
    let plain = |c: &char| !c.is_whitespace() && !"-().".contains(*c);
    cell.chars().filter(plain).collect::<String>().parse()
}

/// Tags with commas or semicolons between them, which are in none.
fn tags(cell: &str) -> Result<BTreeSet<Tag>, InvalidTag> {
    cell.split([',', ';']).map(str::trim).filter(|tag| !tag.is_empty()).map(str::parse).collect()
}

fn locale(cell: &str) -> Option<Locale> {
    serde_json::from_value(cell.to_ascii_lowercase().into()).ok()
}

fn yes(cell: &str) -> Option<bool> {
    match cell.to_lowercase().as_str() {
        "yes" | "true" | "1" | "да" => Some(true),
        "no" | "false" | "0" | "нет" => Some(false),
        _ => None,
    }
}

/// Imports clients from CSV. A client is known again by the id, else by the phone, else by the e-mail address. With `dry_run` nothing is written,
/// and the answer is the one that the import would get.
///
/// # Errors
/// [`AppError::Invalid`] where the file as a whole cannot be read.
pub async fn import_clients<S: Read + WriteFacts + FindClients + FindClientsByEmail>(
    ports: &S,
    ids: &impl NewId,
    edit: Edit<'_>,
    csv: &[u8],
    dry_run: bool,
) -> Result<Imported, AppError> {
    let business_id = edit.business_id;
    let once = edit.once.filter(|_| !dry_run);
    let kept = match once {
        Some(once) => ports.read(vec![once.key(business_id)]).await?,
        None => Vec::new(),
    };
    if let Some(done) = answered::<Imported>(once, &kept, edit.now)? {
        return Ok(done.value);
    }
    let (lines, mut errors) = lines_of(csv)?;

    // First whom each line is about, then who of them two lines are about, and only then are they written.
    let found = stream::iter(lines.into_iter().map(|line| async move {
        let found = known(ports, business_id, &line).await;
        (line, found)
    }));
    let found: Vec<_> = found.buffered(AT_ONCE).collect().await;
    let mut about: HashMap<String, u64> = HashMap::new();
    let mut taken = Vec::new();
    for (line, found) in found {
        match found? {
            Err(error) => errors.push(error),
            Ok(known) => match twice(&mut about, &line, known.as_ref()) {
                Some(error) => errors.push(error),
                None => taken.push((line, known)),
            },
        }
    }
    let done = stream::iter(taken.into_iter().map(|(line, known)| async move {
        let id: ClientId = match (&known, once) {
            (Some(id), _) => id.clone(),
            // The same whenever the request is repeated: the index may not know yet whom the first made.
            (None, Some(once)) => once.id_of(line.number).parse().map_err(|_| bad_id())?,
            (None, None) => new_id(ids)?,
        };
        take(ports, business_id, &line, &id, known.is_some(), dry_run).await
    }));
    let mut imported = Imported { created: 0, updated: 0, unchanged: 0, errors: Vec::new() };
    for done in done.buffered(AT_ONCE).collect::<Vec<_>>().await {
        match done? {
            Ok(Took::Created) => imported.created += 1,
            Ok(Took::Updated) => imported.updated += 1,
            Ok(Took::Unchanged) => imported.unchanged += 1,
            Err(error) => errors.push(error),
        }
    }
    errors.sort_by_key(|error| error.line);
    imported.errors = errors;
    keep_answer(ports, edit, once, kept, imported).await
}

/// Keeps what is answered, unless the same request was answered meanwhile: then that is the answer.
async fn keep_answer(
    ports: &(impl Read + WriteFacts),
    Edit { business_id, now, .. }: Edit<'_>,
    once: Option<&Once>,
    mut kept: Vec<Stored>,
    imported: Imported,
) -> Result<Imported, AppError> {
    let Some(key) = once.map(|once| once.key(business_id)) else { return Ok(imported) };
    let done = Done { value: imported, etag: 0 };
    for _ in 0..TRIES {
        match write_once(ports, business_id, once, Vec::new(), &done, place_of_answer(once, &kept), now).await
        {
            Ok(()) => return Ok(done.value),
            Err(WriteError::Conflict) => kept = ports.read(vec![key.clone()]).await?,
            Err(WriteError::Port(error)) => return Err(error.into()),
        }
        if let Some(done) = answered(once, &kept, now)? {
            return Ok(done.value);
        }
    }
    Err(AppError::Busy)
}

fn bad_id() -> PortError {
    PortError::Permanent { operation: "making a client", source: "a hash is no id".into() }
}

/// The lines that can be read, and what is wrong with the others.
fn lines_of(csv: &[u8]) -> Result<(Vec<Line>, Vec<LineError>), AppError> {
    let (header, rows) = read_sheet(csv).ok_or_else(|| AppError::invalid("body", "CSV in UTF-8"))?;
    let known = || format!("columns among {}, each once", COLUMNS.join(", "));
    let columns: Option<Vec<usize>> = header
        .iter()
        .map(|name| COLUMNS.iter().position(|column| name.eq_ignore_ascii_case(column)))
        .collect();
    let columns = columns.filter(|columns| {
        !columns.is_empty() && columns.iter().enumerate().all(|(at, column)| !columns[..at].contains(column))
    });
    let columns = columns.ok_or_else(|| AppError::invalid("header", known()))?;
    if rows.len() > LINES {
        return Err(AppError::invalid("body", format!("at most {LINES} lines")));
    }
    let (mut lines, mut errors) = (Vec::new(), Vec::new());
    for row in &rows {
        match Line::read(&columns, row) {
            Ok(line) => lines.push(line),
            Err(error) => errors.push(error),
        }
    }
    Ok((lines, errors))
}

/// Whom of those the business knows a line is about.
async fn known(
    ports: &(impl Read + FindClients + FindClientsByEmail),
    business_id: &BusinessId,
    line: &Line,
) -> Result<Result<Option<ClientId>, LineError>, PortError> {
    if let Some(id) = &line.id {
        let found = clients(ports, business_id, vec![id.clone()]).await?;
        return Ok(match found.first() {
            Some(client) => Ok(Some(client.id.clone())),
            None => Err(LineError::new(line.number, "id", "the id of a client of this business")),
        });
    }
    if let Some(phone) = &line.phone {
        let ids = clients_with_phone(ports, business_id, phone).await?;
        let mut found = clients(ports, business_id, ids).await?;
        found.retain(|client| client.phone.as_ref() == Some(phone));
        match found.as_slice() {
            [] => {}
            [only] => return Ok(Ok(Some(only.id.clone()))),
            several => {
                let expected = format!("an id beside the phone: {} clients have it", several.len());
                return Ok(Err(LineError::new(line.number, "phone", expected)));
            }
        }
    }
    if let Some(email) = &line.email {
        let ids = ports.clients_with_email(business_id, email).await?;
        let mut found = clients(ports, business_id, ids).await?;
        found.retain(|client| client.email.as_ref().is_some_and(|known| known.is_same(email)));
        // Who has this address and another phone is somebody else where the line has a phone of its own.
        found.retain(|client| line.phone.is_none() || client.phone.is_none());
        match found.as_slice() {
            [] => {}
            [only] => return Ok(Ok(Some(only.id.clone()))),
            several => {
                let expected = format!("an id beside the address: {} clients have it", several.len());
                return Ok(Err(LineError::new(line.number, "email", expected)));
            }
        }
    }
    Ok(match line.name {
        Some(_) => Ok(None),
        None => Err(LineError::new(line.number, "name", "a name: the client is new")),
    })
}

/// The cards of clients, but for those who were erased.
async fn clients(
    ports: &impl Read,
    business_id: &BusinessId,
    ids: Vec<ClientId>,
) -> Result<Vec<Client>, PortError> {
    let mut found = Vec::new();
    for some in ids.chunks(100) {
        let keys = some.iter().map(|id| Key::Client(business_id.clone(), id.clone())).collect();
        found.extend(ports.read(keys).await?.into_iter().filter_map(|stored| match stored.item {
            Item::Client(client) => Some(client).filter(|client| client.erased_at.is_none()),
            _ => None,
        }));
    }
    Ok(found)
}

/// That a line before is about the same client.
fn twice(about: &mut HashMap<String, u64>, line: &Line, known: Option<&ClientId>) -> Option<LineError> {
    let mut names = Vec::new();
    match known {
        Some(id) => names.push(("id", format!("id {id}"))),
        None => {
            let email = line.email.as_ref().map(|email| email.as_str().to_ascii_lowercase());
            names.extend(line.phone.iter().map(|phone| ("phone", format!("phone {}", phone.as_str()))));
            names.extend(email.filter(|_| line.phone.is_none()).map(|email| ("email", email)));
        }
    }
    for (field, name) in &names {
        if let Some(before) = about.get(name) {
            let expected = format!("another client than line {before} is about");
            return Some(LineError::new(line.number, field, expected));
        }
    }
    about.extend(names.into_iter().map(|(_, name)| (name, line.number)));
    None
}

/// What came of a line.
#[derive(Debug, Clone, Copy)]
enum Took {
    Created,
    Updated,
    Unchanged,
}

/// Makes the client what the line says.
async fn take(
    ports: &(impl Read + WriteFacts),
    business_id: &BusinessId,
    line: &Line,
    id: &ClientId,
    known: bool,
    dry_run: bool,
) -> Result<Result<Took, LineError>, AppError> {
    for _ in 0..TRIES {
        let mut keys = vec![Key::Client(business_id.clone(), id.clone())];
        keys.extend(address_keys(business_id, line.phone.as_ref(), line.email.as_ref()));
        let found = ports.read(keys).await?;
        let before = first(&found, Item::client);
        if before.is_some_and(|(client, _)| client.erased_at.is_some()) {
            return Ok(Err(LineError::new(line.number, "id", "a client who was not erased")));
        }
        let before_it = before.map(|(client, _)| client);
        if line.marketing_consent == Some(true) && before_it.is_some_and(|it| it.unsubscribed_at.is_some()) {
            let expected = "\"no\": the client has unsubscribed, which the client's card alone takes back";
            return Ok(Err(LineError::new(line.number, "marketing_consent", expected)));
        }
        let Some(client) = line.applied(business_id, id, before_it) else {
            return Ok(Err(LineError::new(line.number, "name", "a name: the client is new")));
        };
        let client = taken_over(client, before_it, &found);
        let (took, expect) = match before {
            Some((before, _)) if *before == client => return Ok(Ok(Took::Unchanged)),
            Some((_, version)) => (Took::Updated, Expect::Version(version)),
            None => (Took::Created, Expect::Absent),
        };
        if dry_run {
            return Ok(Ok(took));
        }
        match ports.write_facts(vec![Write { item: Item::Client(client), expect }]).await {
            Ok(()) => return Ok(Ok(took)),
            Err(WriteError::Conflict) => continue,
            Err(WriteError::Port(error)) => return Err(error.into()),
        }
    }
    // Where it was known before, somebody else is at work on the card; else this very request is, elsewhere.
    if known { Err(AppError::Busy) } else { Ok(Ok(Took::Unchanged)) }
}

/// One page of the client base as CSV, by id, and where the next begins.
pub async fn export_clients(
    ports: &impl List,
    business_id: &BusinessId,
    page: Page,
) -> Result<(String, Option<String>), PortError> {
    let Listed { items, next } = sift_clients(ports, business_id, page, |_| true).await?;
    let clients = items.iter().filter_map(|stored| stored.item.client());
    Ok((sheet(&COLUMNS, clients.map(cells))?, next))
}

fn cells(client: &Client) -> Cells {
    vec![
        Some(client.id.to_string()),
        Some(client.name.as_str().to_owned()),
        client.phone.as_ref().map(|phone| phone.as_str().to_owned()),
        client.email.as_ref().map(|email| email.as_str().to_owned()),
        client.locale.and_then(|locale| Some(serde_json::to_value(locale).ok()?.as_str()?.to_owned())),
        client.zone.as_ref().map(|zone| zone.name().to_owned()),
        Some(if client.marketing_consent { "yes" } else { "no" }.to_owned()),
        Some(client.tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(",")),
    ]
}
