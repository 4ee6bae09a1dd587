//! Assigning a number to a business: who answers to it answers that business, and its messages come from it. The operator does it, since
//! whoever could name a number could write in another's name.

use domain::business::Business;
use domain::ids::BusinessId;

use crate::error::AppError;
use crate::ports::{Expect, Item, Key, Read, Sender, SenderNumber, Write, WriteError, WriteFacts, first};

/// How often a run starts over because something changed under it.
const TRIES: u32 = 5;

/// Assigns a number to a business. It takes the place of the one that the business wrote from before, which stays the business's to be
/// answered to.
///
/// # Errors
/// [`AppError::NotFound`] for the business; [`AppError::NumberTaken`] where the number belongs to another.
pub async fn assign_number(
    ports: &(impl Read + WriteFacts),
    business_id: &BusinessId,
    number: &SenderNumber,
) -> Result<(), AppError> {
    for _ in 0..TRIES {
        let keys = vec![Key::Business(business_id.clone()), Key::Sender(number.clone())];
        let found = ports.read(keys).await?;
        let (business, version) =
            first(&found, Item::business).ok_or(AppError::NotFound { what: "business" })?;
        let sender = first(&found, Item::sender).map(|(sender, _)| sender);
        if sender.is_some_and(|sender| sender.business_id != *business_id) {
            return Err(AppError::NumberTaken);
        }
        let after = with_number(business, number);
        let mut writes = Vec::new();
        if sender.is_none() {
            let sender = Sender { number: number.clone(), business_id: business_id.clone() };
            writes.push(Write { item: Item::Sender(sender), expect: Expect::Absent });
        }
        if after != *business {
            writes.push(Write { item: Item::Business(after), expect: Expect::Version(version) });
        }
        if writes.is_empty() {
            return Ok(());
        }
        match ports.write_facts(writes).await {
            Ok(()) => return Ok(()),
            Err(WriteError::Conflict) => continue,
            Err(WriteError::Port(error)) => return Err(error.into()),
        }
    }
    Err(AppError::Busy)
}

fn with_number(business: &Business, number: &SenderNumber) -> Business {
    let mut business = business.clone();
    match number {
        SenderNumber::Sms(phone) => business.sms_number = Some(phone.clone()),
        SenderNumber::Whatsapp(id) => business.whatsapp_number_id = Some(id.clone()),
    }
    business
}
