//! `admin assign-number`: says which business a number belongs to.

use app::assign_number::assign_number;
use app::ports::SenderNumber;
use aws::tables::{Retention, Tables};
use domain::contact::Phone;
use domain::ids::BusinessId;
use domain::messenger::WhatsappNumberId;
use lexopt::prelude::{Long, ValueExt};
use runtime::variable;

use crate::{Failure, print};

/// Assigns a number.
pub async fn command(mut arguments: lexopt::Parser) -> Result<(), Failure> {
    let (mut business, mut number) = (None, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("business") => business = Some(arguments.value()?.parse::<BusinessId>()?),
            Long("sms") if number.is_none() => {
                number = Some(SenderNumber::Sms(arguments.value()?.parse::<Phone>()?));
            }
            Long("whatsapp") if number.is_none() => {
                number = Some(SenderNumber::Whatsapp(arguments.value()?.parse::<WhatsappNumberId>()?));
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let business = business.ok_or("--business is missing")?;
    let number = number.ok_or("--sms or --whatsapp is missing")?;
    let config = aws::connect::connect()?;
    let tables = Tables::new(&config, variable("BOOKINGS_TABLE")?, String::new(), Retention::default());
    assign_number(&tables, &business, &number).await?;
    print("assigned\n")
}
