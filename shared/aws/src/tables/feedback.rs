//! What feedback is found by, conversations, and counts against limits.

use app::ports::{
    Count, FindClients, FindMessage, ListConversation, Listed, MessageRef, Meter, Page, PortError, Take,
    Taken,
};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use domain::channel::Channel;
use domain::contact::Phone;
use domain::ids::{BusinessId, ClientId};
use domain::subject::SubjectId;

use super::{BY_PHONE, BY_PROVIDER, Query, Row, SortKey, Tables, client_key};
use crate::error::port_error;

/// The place of a message in the index of what providers call messages.
pub(super) fn provider_key(channel: Channel, provider_id: &str) -> String {
    format!("PROVIDER#{channel}#{provider_id}")
}

/// Whether reports about a channel's messages name them by the provider's id only. SES and WhatsApp carry our own name for them.
pub(super) fn is_called_by_provider(channel: Channel) -> bool {
    matches!(channel, Channel::Sms | Channel::Push | Channel::Telegram)
}

/// The place of a client in the index of phones.
pub(super) fn phone_key(phone: &Phone) -> String {
    format!("PHONE#{}", phone.as_str())
}

fn text<'a>(row: &'a Row, name: &str) -> Option<&'a str> {
    row.get(name)?.as_s().ok().map(String::as_str)
}

fn message_ref(row: &Row) -> Option<MessageRef> {
    let (business, subject) = text(row, "pk")?.strip_prefix("BUSINESS#")?.split_once('#')?;
    let subject = match subject.split_once('#')? {
        ("BOOKING", id) => SubjectId::Booking(id.parse().ok()?),
        ("OCCASION", id) => SubjectId::Occasion(id.parse().ok()?),
        _ => return None,
    };
    let message_id = text(row, "sk")?.strip_prefix("MESSAGE#")?.parse().ok()?;
    Some(MessageRef { business_id: business.parse().ok()?, subject, message_id })
}

fn client_ref(row: &Row) -> Option<(BusinessId, ClientId)> {
    let business = text(row, "pk")?.strip_prefix("BUSINESS#")?.parse().ok()?;
    Some((business, text(row, "sk")?.strip_prefix("CLIENT#")?.parse().ok()?))
}

impl FindMessage for Tables {
    async fn message_with(
        &self,
        channel: Channel,
        provider_id: &str,
    ) -> Result<Option<MessageRef>, PortError> {
        let operation = "finding a message by its provider's id";
        let query = Query {
            table: &self.messages,
            index: Some(BY_PROVIDER),
            pk: provider_key(channel, provider_id),
            sk: SortKey::Any,
            after: None,
            limit: Some(1),
        };
        let (rows, _) = self.query(operation, query).await?;
        let refused = || PortError::Permanent { operation, source: "not a message".into() };
        rows.first().map(|row| message_ref(row).ok_or_else(refused)).transpose()
    }
}

impl FindClients for Tables {
    async fn clients_with(&self, phone: &Phone) -> Result<Vec<(BusinessId, ClientId)>, PortError> {
        let operation = "finding clients by phone";
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let query = Query {
                table: &self.bookings,
                index: Some(BY_PHONE),
                pk: phone_key(phone),
                sk: SortKey::Any,
                after,
                limit: None,
            };
            let (rows, last) = self.query(operation, query).await?;
            for row in rows {
                let refused = || PortError::Permanent { operation, source: "not a client".into() };
                found.push(client_ref(&row).ok_or_else(refused)?);
            }
            after = last;
            if after.is_none() {
                return Ok(found);
            }
        }
    }
}

impl ListConversation for Tables {
    async fn conversation(
        &self,
        business_id: &BusinessId,
        client_id: &ClientId,
        page: Page,
    ) -> Result<Listed, PortError> {
        self.latest_first("listing a conversation", client_key(business_id, client_id), "ENTRY#", page).await
    }
}

/// How often counts that met others at the same row are tried again.
const TRIES: u32 = 4;

impl Meter for Tables {
    /// One transaction of conditional additions. Needs `dynamodb:UpdateItem` on `Messages`.
    async fn count(&self, business_id: &BusinessId, counts: &[Count]) -> Result<Option<usize>, PortError> {
        let operation = "counting against a limit";
        if let Some(over) = counts.iter().position(|count| count.add > count.most) {
            return Ok(Some(over));
        }
        let refused = |source| PortError::Permanent { operation, source };
        let updates = counts.iter().map(|count| {
            let number = |number: u64| AttributeValue::N(number.to_string());
            Update::builder()
                .table_name(&self.messages)
                .key("pk", AttributeValue::S(format!("BUSINESS#{business_id}#METER")))
                .key("sk", AttributeValue::S(count.what.clone()))
                .update_expression("ADD counted :add SET expires_epoch = :expires")
                .condition_expression("attribute_not_exists(counted) OR counted <= :room")
                .expression_attribute_values(":add", number(count.add))
                .expression_attribute_values(":room", number(count.most - count.add))
                .expression_attribute_values(
                    ":expires",
                    AttributeValue::N(count.expires_at.as_second().to_string()),
                )
                .build()
                .map(|update| TransactWriteItem::builder().update(update).build())
                .map_err(|error| refused(error.into()))
        });
        let updates = updates.collect::<Result<Vec<_>, _>>()?;
        for tried in 0..TRIES {
            let sent =
                self.client.transact_write_items().set_transact_items(Some(updates.clone())).send().await;
            let Err(error) = sent else { return Ok(None) };
            match place_of(&error, "ConditionalCheckFailed") {
                Some(over) => return Ok(Some(over)),
                // All sms of a business in a month meet here.
                None if place_of(&error, "TransactionConflict").is_some() => {
                    super::tokio_sleep(20 << tried).await;
                }
                None => return Err(port_error(operation, error)),
            }
        }
        Err(PortError::Throttled { operation, source: "others kept counting at the same time".into() })
    }
}

impl Take for Tables {
    /// One conditional UpdateItem; one more where less than wanted is left. Needs `dynamodb:UpdateItem` on `Messages`.
    async fn take(&self, business_id: &BusinessId, count: &Count) -> Result<Taken, PortError> {
        let operation = "taking of a limit";
        let number = |number: u64| AttributeValue::N(number.to_string());
        let mut wanted = count.add.min(count.most);
        for _ in 0..TRIES {
            let sent = self
                .client
                .update_item()
                .table_name(&self.messages)
                .key("pk", AttributeValue::S(format!("BUSINESS#{business_id}#METER")))
                .key("sk", AttributeValue::S(count.what.clone()))
                .update_expression("ADD counted :add SET expires_epoch = :expires")
                .condition_expression("attribute_not_exists(counted) OR counted <= :room")
                .expression_attribute_values(":add", number(wanted))
                .expression_attribute_values(":room", number(count.most - wanted))
                .expression_attribute_values(
                    ":expires",
                    AttributeValue::N(count.expires_at.as_second().to_string()),
                )
                .return_values(ReturnValue::UpdatedNew)
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .send()
                .await;
            let counted = match sent {
                Ok(done) => {
                    let counted = counted(done.attributes.as_ref()).unwrap_or(count.most);
                    return Ok(Taken { taken: wanted, left: count.most.saturating_sub(counted) });
                }
                Err(SdkError::ServiceError(error)) => match error.err() {
                    UpdateItemError::ConditionalCheckFailedException(failed) => counted(failed.item()),
                    _ => return Err(port_error(operation, SdkError::ServiceError(error))),
                },
                Err(error) => return Err(port_error(operation, error)),
            };
            wanted = count.most.saturating_sub(counted.unwrap_or(count.most));
            if wanted == 0 {
                return Ok(Taken { taken: 0, left: 0 });
            }
        }
        Err(PortError::Throttled { operation, source: "others kept taking at the same time".into() })
    }
}

/// What a row of a count says. `total` would be a word that DynamoDB keeps for itself.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html>
fn counted(row: Option<&Row>) -> Option<u64> {
    row?.get("counted")?.as_n().ok()?.parse().ok()
}

/// Which of a cancelled transaction's parts was refused for a reason.
fn place_of(error: &SdkError<TransactWriteItemsError>, code: &str) -> Option<usize> {
    let SdkError::ServiceError(service) = error else { return None };
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = service.err() else { return None };
    cancelled.cancellation_reasons().iter().position(|reason| reason.code() == Some(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(pk: &str, sk: &str) -> Row {
        [("pk", pk), ("sk", sk)]
            .map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())))
            .into()
    }

    #[test]
    fn a_row_of_the_index_names_its_message() {
        let found = message_ref(&keys("BUSINESS#b#OCCASION#o", "MESSAGE#m")).unwrap();
        assert_eq!(found.business_id.as_str(), "b");
        assert_eq!(found.subject, SubjectId::Occasion("o".parse().unwrap()));
        assert_eq!(found.message_id.as_str(), "m");
        assert_eq!(message_ref(&keys("BUSINESS#b#BOOKING#k", "CHECK#m")), None);
        let client = client_ref(&keys("BUSINESS#b", "CLIENT#c")).unwrap();
        assert_eq!((client.0.as_str(), client.1.as_str()), ("b", "c"));
    }
}
