//! What whoever runs the system does beside the API: takes in businesses, assigns numbers, puts back what was given up, brings again what was not planned, and looks
//! whether an account will do.

mod assign_number;
mod create_business;
mod create_key;
mod doctor;
mod redrive;
mod replay;

use app::error::chain;
use lexopt::prelude::{Long, Short, Value};

const HELP: &str = "\
admin create-business --name \"Salon Aurora\" --zone Europe/Lisbon [--locale en|ru] [--json]

    Takes in a business and prints its first API key, an owner's. The key is shown this once; only its hash is kept.

admin create-key --business ID --name \"Office\" [--role owner|manager|staff|read_only|integration] [--json]

    Makes one more API key, an owner's without --role: for a business that has lost its last one.

admin assign-number --business ID (--sms +351210000001 | --whatsapp phone-number-id-…)

    Says that a business writes from a number, and that who writes to the number writes to the business. A number of another business is
    refused.

admin redrive --stack NAME (--queue email|sms|push|check|schedule|… | --all) [--dry-run]

    Says what lies in the DLQs of a stack, and puts it back into the queues it came from. A message that is there twice leaves once.

admin replay --stack NAME [--upcoming BUSINESS] [--dry-run]

    Has the stream bring again what lies in StreamFailures, or every booking of a business that is ahead. What is planned follows from how
    things are now, so nothing is planned twice.

admin doctor [--parameter NAME=VALUE ...] [--needs JSON] [--json]

    Looks whether the account lets the stack's messages leave: sandboxes, rates and quotas, the sender, settings of sms, push, the clock.
    Each check is ok, a warning or a problem, with what to do; a problem fails. Parameters are the template's; `cargo xtask doctor` gives
    them, and what so many bookings a day need of the quotas. It changes nothing. Where the credentials may not look, it names the action.

The environment says where: AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN or AWS_ENDPOINT_URL where needed;
for create-business, create-key and assign-number also BOOKINGS_TABLE. `aws configure export-credentials --format env` prints a profile's credentials.
";

/// Why a command could not be done.
type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::process::ExitCode {
    match run(lexopt::Parser::from_env()).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("admin: {}", chain(error.as_ref()));
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run(mut arguments: lexopt::Parser) -> Result<(), Failure> {
    match arguments.next()? {
        Some(Value(word)) if word == "create-business" => create_business::command(arguments).await,
        Some(Value(word)) if word == "create-key" => create_key::command(arguments).await,
        Some(Value(word)) if word == "assign-number" => assign_number::command(arguments).await,
        Some(Value(word)) if word == "doctor" => doctor::command(arguments).await,
        Some(Value(word)) if word == "redrive" => redrive::command(arguments).await,
        Some(Value(word)) if word == "replay" => replay::command(arguments).await,
        None | Some(Long("help") | Short('h')) => print(HELP),
        Some(other) => Err(other.unexpected().into()),
    }
}

fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
