//! The message log, clients by e-mail, a client's occasions, and deleting.

use app::ports::{
    ClientOccasions, DeleteFacts, FindClientsByEmail, Key, Listed, Log, MessageLog, Page, PortError,
};
use domain::contact::Email;
use domain::ids::{BusinessId, ClientId, MessageId};
use futures::future::try_join_all;
use jiff::Timestamp;

use super::{
    BY_BUSINESS, BY_CLIENT, BY_EMAIL, BY_RECIPIENT, Query, Row, SortKey, Tables, client_key, due_key,
    key_row, of_ledger, recipient_key, stored,
};
use crate::error::port_error;

/// The place of a client in the index of e-mail addresses. Nobody has two mailboxes that differ by a capital letter.
pub(super) fn email_key(business: &BusinessId, email: &Email) -> String {
    format!("BUSINESS#{business}#EMAIL#{}", email.as_str().to_ascii_lowercase())
}

/// The place of a client's occasions beside the client's parts in bookings.
pub(super) fn occasions_key(business: &BusinessId, client: &ClientId) -> String {
    format!("{}#OCCASIONS", client_key(business, client))
}

fn text<'a>(row: &'a Row, name: &str) -> Option<&'a str> {
    row.get(name)?.as_s().ok().map(String::as_str)
}

/// When a message is due, and its key, in a row of an index by that.
fn of_log(row: &Row) -> Option<(Timestamp, Key)> {
    let (due, _) = text(row, "due_sk")?.split_once('#')?;
    let (second, nanosecond) = due.split_once('.')?;
    let due = Timestamp::new(second.parse().ok()?, nanosecond.parse().ok()?).ok()?;
    Some((due, of_ledger(text(row, "pk")?, text(row, "sk")?)?))
}

/// A place before that of every message that is not before `before`, and after that of every one that is.
fn just_before((due, id): &(Timestamp, Option<MessageId>)) -> String {
    let Some(id) = id.as_ref().map(MessageId::as_str) else { return due_key(*due, "") };
    // `~` comes after every id, so that what has it in place of the last character, after the one that comes before that, is in between.
    let (rest, last) = id.split_at(id.len() - 1);
    let one_less: String = last.bytes().map(|byte| char::from(byte - 1)).collect();
    due_key(*due, &format!("{rest}{one_less}~"))
}

impl MessageLog for Tables {
    async fn messages_before(
        &self,
        business_id: &BusinessId,
        log: &Log,
        before: &(Timestamp, Option<MessageId>),
        from: Timestamp,
        limit: u32,
    ) -> Result<Vec<(Timestamp, Key)>, PortError> {
        let operation = "finding messages";
        let (index, pk) = match log {
            Log::Business => (BY_BUSINESS, format!("BUSINESS#{business_id}")),
            Log::To(recipient) => (BY_RECIPIENT, recipient_key(business_id, recipient)),
        };
        let (first, last) = (due_key(from, ""), just_before(before));
        // DynamoDB refuses a range that ends before it begins.
        if last < first {
            return Ok(Vec::new());
        }
        let query = Query {
            table: &self.messages,
            index: Some(index),
            pk,
            sk: SortKey::BetweenLatestFirst(first, last),
            after: None,
            limit: i32::try_from(limit).ok(),
        };
        let (rows, _) = self.query(operation, query).await?;
        let refused = || PortError::Permanent { operation, source: "not a message".into() };
        rows.iter().map(|row| of_log(row).ok_or_else(refused)).collect()
    }
}

impl FindClientsByEmail for Tables {
    async fn clients_with_email(
        &self,
        business_id: &BusinessId,
        email: &Email,
    ) -> Result<Vec<ClientId>, PortError> {
        let operation = "finding clients by e-mail address";
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let query = Query {
                table: &self.bookings,
                index: Some(BY_EMAIL),
                pk: email_key(business_id, email),
                sk: SortKey::Any,
                after,
                limit: None,
            };
            let (rows, last) = self.query(operation, query).await?;
            for row in rows {
                let id = text(&row, "sk").and_then(|sk| sk.strip_prefix("CLIENT#")?.parse().ok());
                let refused = || PortError::Permanent { operation, source: "not a client".into() };
                found.push(id.ok_or_else(refused)?);
            }
            after = last;
            if after.is_none() {
                return Ok(found);
            }
        }
    }
}

impl ClientOccasions for Tables {
    async fn occasions_of(
        &self,
        business_id: &BusinessId,
        client_id: &ClientId,
        page: Page,
    ) -> Result<Listed, PortError> {
        let query = Query {
            table: &self.bookings,
            index: Some(BY_CLIENT),
            pk: occasions_key(business_id, client_id),
            sk: page.after.map_or(SortKey::Any, SortKey::After),
            after: None,
            limit: i32::try_from(page.limit).ok(),
        };
        let (rows, last) = self.query("finding a client's occasions", query).await?;
        let next = last.as_ref().and_then(|last| text(last, "client_sk").map(str::to_owned));
        let items = rows.into_iter().map(stored).collect::<Result<_, _>>()?;
        Ok(Listed { items, next })
    }
}

impl DeleteFacts for Tables {
    /// One DeleteItem for each key, all at once.
    async fn delete_facts(&self, keys: Vec<Key>) -> Result<(), PortError> {
        let operation = "deleting facts";
        let deleted = keys.iter().map(|key| async move {
            let request = self.client.delete_item().table_name(&self.bookings);
            let sent = request.set_key(Some(key_row(key))).send().await;
            sent.map(|_| ()).map_err(|error| port_error(operation, error))
        });
        try_join_all(deleted).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_just_before_a_message_is_after_all_that_are_due_earlier_or_have_a_smaller_id() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (ten, later) = (at("2026-11-23T10:00:00Z"), at("2026-11-23T10:00:00.000000001Z"));
        let id = |text: &str| Some(text.parse::<MessageId>().unwrap());
        let places = [
            due_key(at("2026-11-23T09:59:59.999999999Z"), "ff"),
            just_before(&(ten, None)),
            due_key(ten, "0a"),
            just_before(&(ten, id("10"))),
            due_key(ten, "10"),
            just_before(&(ten, id("a0"))),
            due_key(ten, "a0"),
            due_key(ten, "ff"),
            just_before(&(later, None)),
            due_key(later, "00"),
        ];
        assert!(places.is_sorted(), "{places:?}");
        let range = due_key(ten, "")..=just_before(&(ten, id("a0")));
        assert!(range.contains(&due_key(ten, "0a")) && !range.contains(&due_key(ten, "a0")));
    }
}
