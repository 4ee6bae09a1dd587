//! `cargo xtask contract`: the API's document is linted, and the API on the local stack called against it.

use std::net::TcpListener;

use anyhow::{Context, Result, bail};
use jiff::{SignedDuration, Timestamp};
use lexopt::Arg;
use serde_json::{Value, json};
use ureq::http::Method;

use crate::http::Client;
use crate::stack::{self, Stack};
use crate::steps::Steps;
use crate::{cargo, process, python, workspace};

const HELP: &str = "\
cargo xtask contract [--seed SEED]

Lints docs/openapi.json, starts a local stack of its own, and has schemathesis call every operation in ways that the document
allows and in ways that it does not. Fails on 5xx, on answers the document does not tell of, on what should be refused and is
taken, and the other way round. What is not asked of an operation, and why, is in tests/contract.

  --seed SEED    of what is made up at random; without it another one each time, which is printed";

/// How many requests are made up for each operation, beside those that follow from the document.
const REQUESTS: &str = "20";

/// Bookings to be changed.
const BOOKINGS: i64 = 24;

/// Campaigns, webhooks and API keys to be changed, of each.
const OF_EACH: usize = 5;

/// Parses the options and runs.
pub fn command(mut args: lexopt::Parser) -> Result<()> {
    let mut seed = None;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => {
                println!("{HELP}");
                return Ok(());
            }
            Arg::Long("seed") => {
                let text = args.value()?;
                seed = Some(
                    text.to_str()
                        .and_then(|text| text.parse().ok())
                        .context("--seed takes a whole number")?,
                );
            }
            other => bail!("{}; `cargo xtask contract --help` lists the options", other.unexpected()),
        }
    }
    let mut steps = Steps::new();
    steps.run("Python environment .venv", || python::RUN.install())?;
    steps.run("build everything", cargo::build_all)?;
    let result = check(&mut steps, "examples,coverage,fuzzing", seed);
    steps.summary();
    result
}

/// Lints the document and calls the API against it. Everything must have been built. Without a seed schemathesis takes one, and says which.
pub fn check(steps: &mut Steps, phases: &str, seed: Option<u32>) -> Result<()> {
    steps.run("Python environment .contract", || python::CONTRACT.install())?;
    steps.run("contract: lint", || {
        process::run(python::CONTRACT.command("python").arg("tests/contract/lint.py"))
    })?;
    steps.run("contract: schemathesis", || call(phases, seed))
}

fn call(phases: &str, seed: Option<u32>) -> Result<()> {
    let mut stack = Stack::start_apart(free_ports()?, "contract")?;
    let (key, salon) = open_salon(&stack)?;
    let file = workspace::root().join(".local/contract/salon.json");
    stack::write_private(&file, &salon.to_string())?;
    let called = process::run(
        python::CONTRACT
            .command("schemathesis")
            .current_dir(workspace::root().join("tests/contract"))
            .env("CONTRACT_KEY", key)
            .env("CONTRACT_SALON", file)
            .args([
                "--config-file",
                "schemathesis.toml",
                "run",
                "../../docs/openapi.json",
                "--url",
                &stack.api,
            ])
            .args(["--phases", phases, "--max-examples", REQUESTS, "--workers", "2"])
            .args(seed.map(|seed| format!("--seed={seed}")))
            .arg("--no-color"),
    );
    stack.check()?;
    stack.stop()?;
    called
}

/// The first of three free ports in a row, below those that the system gives out by itself.
fn free_ports() -> Result<u16> {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let first = (20_000..32_000).step_by(3).find(|first| (*first..first + 3).all(is_free));
    first.context("there are no three free ports in a row")
}

/// Makes a salon with something of every kind. Its key, and the ids of what it has, by kind.
fn open_salon(stack: &Stack) -> Result<(String, Value)> {
    let made = process::output(stack.admin().args([
        "create-business",
        "--name",
        "Salon Aurora",
        "--zone",
        "Europe/Lisbon",
        "--json",
    ]))?;
    let made: Value = serde_json::from_str(&made).context("the admin tool did not answer with JSON")?;
    let key = made["api_key"].as_str().context("the admin tool gave no API key")?.to_owned();
    let api = Client::new(&stack.api, Some(&key));
    let create = |path: &str, body: Value| -> Result<String> {
        let made = api.post(path, &body)?;
        Ok(made["id"].as_str().with_context(|| format!("{path} was answered without an id"))?.to_owned())
    };
    let control = Client::new(&stack.control, None);
    let now = control.get("/time")?["now"].clone();
    let today: Timestamp = now.as_str().unwrap_or_default().parse()?;
    let ahead =
        |days: i64| (today + SignedDuration::from_hours(24 * days)).strftime("%Y-%m-%dT%H:%M").to_string();

    api.send(Method::PATCH, "/v1/business", &json!({ "sms_enabled": true }))?;
    let person = |number: usize| json!({ "name": "Ana", "phone": format!("+35191234560{number}"), "email": "ana@example.com" });
    let staff = [create("/v1/staff", person(0))?, create("/v1/staff", person(1))?];
    let location = create("/v1/locations", json!({ "name": "Chiado", "manager_ids": staff }))?;
    let resource = |name: &str, kind: &str| {
        // Enough for all that is made up not to be refused as taken.
        create(
            "/v1/resources",
            json!({ "name": name, "kind": kind, "location_id": location, "capacity": 50 }),
        )
    };
    let resources = [resource("Marta", "specialist")?, resource("Room 2", "room")?];
    let service = create("/v1/services", json!({ "name": "Haircut", "duration_minutes": 45 }))?;
    let clients = [
        create("/v1/clients", person(2))?,
        create("/v1/clients", person(3))?,
        create("/v1/clients", person(4))?,
    ];
    let mut bookings = Vec::new();
    let mut bookings_of = json!({});
    for (number, client) in (0..BOOKINGS).zip(clients.iter().cycle()) {
        let source = if number % 2 == 0 { "online" } else { "staff" };
        let booking = create(
            "/v1/bookings",
            json!({
                "location_id": location, "resource_id": resources[0], "service_id": service, "client_ids": [client],
                "start": ahead(2 + number), "source": source
            }),
        )?;
        bookings_of[client] = json!(booking);
        bookings.push(booking);
    }
    let mut entries = Vec::new();
    let mut occasions = Vec::new();
    for client in &clients {
        entries.push(create(
            "/v1/waitlist",
            json!({
                "client_id": client, "location_id": location, "service_id": service, "from": ahead(2), "until": ahead(9)
            }),
        )?);
        let bonus = json!({ "bonus": "accrued", "amount": { "points": 5 } });
        occasions.push(create(&format!("/v1/clients/{client}/bonuses"), bonus)?);
    }
    let (mut campaigns, mut webhooks, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..OF_EACH {
        let campaign = json!({ "name": "Spring", "filter": {}, "channels": ["email"], "text": "Spring!" });
        campaigns.push(create("/v1/campaigns", campaign)?);
        // Nobody listens there, and nothing that happens in this salon is of the type.
        let webhook = json!({ "url": format!("http://127.0.0.1:9/{number}"), "types": ["message.unknown"] });
        webhooks.push(create("/v1/webhooks", webhook)?);
        keys.push(create("/v1/api-keys", json!({ "name": "Till", "role": "staff" }))?);
        // A text to be sent by hand is a task.
        let letter = json!({ "text": "See you soon!", "channels": ["assisted"] });
        create(&format!("/v1/clients/{}/messages", clients[number % clients.len()]), letter)?;
    }
    control.post("/time/run-to", &json!({ "to": (today + SignedDuration::from_mins(1)).to_string() }))?;
    let mut tasks = Vec::new();
    for task in api.get("/v1/tasks")?["items"].as_array().context("tasks are no list")? {
        tasks.push(task["id"].clone());
    }
    let salon = json!({
        "now": now, "staff": staff, "location": [location], "resource": resources, "service": [service], "client": clients,
        "booking": bookings, "bookings_of": bookings_of, "waitlist_entry": entries, "occasion": occasions, "campaign": campaigns, "webhook": webhooks, "api-key": keys, "task": tasks
    });
    Ok((key, salon))
}
