//! Making and changing clients. An address that must not be written to is remembered beside the cards, so that a new card with it is not written
//! to either: STOP, a bounce and a complaint hold for the address, whoever has it, and outlive the card they came by.

use domain::channel::Channel;
use domain::client::{Client, Suppression};
use domain::contact::{Email, Phone};
use domain::ids::{BusinessId, ClientId};
use domain::recipient::{Person, address};
use sha2::{Digest, Sha256};

use crate::edit_catalogue::{ClientFields, Edit, create_from, update_along};
use crate::erase_client::not_erased;
use crate::error::AppError;
use crate::once::Done;
use crate::ports::{Expect, Item, Key, Read, Stored, SuppressedAddress, Write, WriteFacts};
use crate::settle::with_suppression;

/// The channels on which two clients may have one address. A Telegram chat is one client's, and a device too.
const SHARED: [Channel; 3] = [Channel::Email, Channel::Sms, Channel::Whatsapp];

/// Makes a client.
pub async fn create_client<S: Read + WriteFacts>(
    ports: &S,
    edit: Edit<'_>,
    client: Client,
) -> Result<Done<Item>, AppError> {
    let keys = address_keys(edit.business_id, client.phone.as_ref(), client.email.as_ref());
    create_from(ports, edit, &keys, &[], |found| Item::Client(taken_over(client.clone(), None, found))).await
}

/// Sets everything of a client that a caller gives.
pub async fn put_client<S: Read + WriteFacts>(
    ports: &S,
    edit: Edit<'_>,
    client_id: &ClientId,
    fields: &ClientFields,
) -> Result<Done<Item>, AppError> {
    let keys = address_keys(edit.business_id, fields.phone.as_ref(), fields.email.as_ref());
    change(ports, edit, client_id, &keys, |before, found| {
        let after = fields.clone().with_id(edit.business_id.clone(), client_id.clone(), Some(before));
        Ok(taken_over(after, Some(before), found))
    })
    .await
}

/// Changes something of a client that is no address.
pub async fn edit_client<S: Read + WriteFacts>(
    ports: &S,
    edit: Edit<'_>,
    client_id: &ClientId,
    edited: impl Fn(Client) -> Result<Client, AppError>,
) -> Result<Done<Item>, AppError> {
    change(ports, edit, client_id, &[], |before, _| edited(before.clone())).await
}

async fn change<S: Read + WriteFacts>(
    ports: &S,
    edit: Edit<'_>,
    client_id: &ClientId,
    along: &[Key],
    changed: impl Fn(&Client, &[Stored]) -> Result<Client, AppError>,
) -> Result<Done<Item>, AppError> {
    let key = Key::Client(edit.business_id.clone(), client_id.clone());
    update_along(ports, edit, key, along, &[], |before, found| match before {
        Some(Item::Client(before)) => {
            let before = not_erased(before)?;
            let after = changed(&before, found)?;
            let remembered = remembered(&before, &after);
            Ok((Item::Client(after), remembered))
        }
        _ => Err(AppError::NotFound { what: "client" }),
    })
    .await
}

/// Where it is remembered whether the addresses of a client, who has this phone and e-mail address, are suppressed.
pub(crate) fn address_keys(
    business_id: &BusinessId,
    phone: Option<&Phone>,
    email: Option<&Email>,
) -> Vec<Key> {
    let addresses = SHARED.into_iter().filter_map(|channel| address(channel, phone, email, None));
    addresses.map(|address| key_of(business_id, &address)).collect()
}

/// The client, with the suppressions of addresses that the card had not `before`, by what is remembered among `found`.
pub(crate) fn taken_over(client: Client, before: Option<&Client>, found: &[Stored]) -> Client {
    let mut after = client;
    for channel in SHARED {
        let Some(address) = Person::Client(&after).address(channel) else { continue };
        if before.and_then(|before| Person::Client(before).address(channel)).as_ref() == Some(&address) {
            continue;
        }
        let key = key_of(&after.business_id, &address);
        let remembered = found.iter().find(|stored| stored.item.key() == key);
        let standing = remembered.and_then(|stored| stored.item.suppressed_address()?.standing);
        let suppression = standing.map(|(cause, since)| Suppression { address, cause, since });
        after = suppression.and_then(|suppression| with_suppression(&after, suppression)).unwrap_or(after);
    }
    after
}

/// What there is to remember of addresses when a card changes: those that are suppressed anew, and those of the client's present ones that are
/// no longer.
pub(crate) fn remembered(before: &Client, after: &Client) -> Vec<Write> {
    SHARED
        .into_iter()
        .filter_map(|channel| {
            let standing = |client| {
                let suppression = Person::Client(client).suppression(channel)?;
                Some((suppression.cause, suppression.since))
            };
            let (address, was, is) =
                (Person::Client(after).address(channel)?, standing(before), standing(after));
            let same = Person::Client(before).address(channel).as_ref() == Some(&address);
            (was != is && (same || is.is_some())).then(|| Write {
                item: Item::SuppressedAddress(SuppressedAddress {
                    business_id: after.business_id.clone(),
                    address_hash: hash_of(&after.business_id, &address),
                    standing: is,
                }),
                expect: Expect::Any,
            })
        })
        .collect()
}

fn key_of(business_id: &BusinessId, address: &str) -> Key {
    Key::SuppressedAddress(business_id.clone(), hash_of(business_id, address))
}

/// What is kept of an address: it outlives the client's erasure, and must not tell whose it was.
fn hash_of(business_id: &BusinessId, address: &str) -> String {
    hex::encode(&Sha256::digest(format!("{business_id} {address}"))[..16])
}
