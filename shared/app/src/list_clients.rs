//! Finding a business's clients, and the addresses of theirs that must not be written to.

use domain::client::{Cause, Client, Suppression};
use domain::contact::{Email, Phone};
use domain::ids::{BusinessId, ClientId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::pages::sift_list;
use crate::ports::{FindClients, FindClientsByEmail, Item, Key, Kind, List, Listed, Page, PortError, Read};

/// Which clients are looked for. Who was erased is nobody to look for.
#[derive(Debug, Clone)]
pub enum ClientFilter {
    /// All.
    All,
    /// Those with this phone.
    Phone(Phone),
    /// Those with this e-mail address.
    Email(Email),
    /// Those whose name, phone or e-mail address has this in it, capital letters or not.
    Text(String),
}

/// One page of the clients that are looked for, by id. Those with a phone or an address are all on one page.
pub async fn list_clients<S: Read + List + FindClients + FindClientsByEmail>(
    ports: &S,
    business_id: &BusinessId,
    filter: &ClientFilter,
    page: Page,
) -> Result<Listed, PortError> {
    let ids = match filter {
        ClientFilter::Phone(phone) => clients_with_phone(ports, business_id, phone).await?,
        ClientFilter::Email(email) => ports.clients_with_email(business_id, email).await?,
        ClientFilter::All | ClientFilter::Text(_) => {
            let text = match filter {
                ClientFilter::Text(text) => text.to_lowercase(),
                _ => String::new(),
            };
            return sift_clients(ports, business_id, page, |client| has(client, &text)).await;
        }
    };
    let mut items = Vec::new();
    for some in ids.chunks(100) {
        let keys = some.iter().map(|id| Key::Client(business_id.clone(), id.clone())).collect();
        items.extend(ports.read(keys).await?);
    }
    // The index may be behind the card.
    items.retain(|stored| {
        stored.item.client().is_some_and(|client| match filter {
            ClientFilter::Phone(phone) => client.phone.as_ref() == Some(phone),
            ClientFilter::Email(email) => client.email.as_ref().is_some_and(|known| known.is_same(email)),
            ClientFilter::All | ClientFilter::Text(_) => true,
        })
    });
    items.sort_by_key(|stored| stored.item.client().map(|client| client.id.clone()));
    Ok(Listed { items, next: None })
}

fn has(client: &Client, text: &str) -> bool {
    let phone = client.phone.as_ref().map_or("", Phone::as_str);
    let email = client.email.as_ref().map_or("", Email::as_str);
    text.is_empty()
        || phone.contains(text)
        || [client.name.as_str(), email].iter().any(|field| field.to_lowercase().contains(text))
}

/// The clients of the business with a phone, by the index.
pub(crate) async fn clients_with_phone(
    ports: &impl FindClients,
    business_id: &BusinessId,
    phone: &Phone,
) -> Result<Vec<ClientId>, PortError> {
    let everywhere = ports.clients_with(phone).await?;
    Ok(everywhere.into_iter().filter(|(business, _)| business == business_id).map(|(_, id)| id).collect())
}

/// One page of the clients that are `wanted`, by id, but for those who were erased.
pub(crate) async fn sift_clients(
    ports: &impl List,
    business_id: &BusinessId,
    page: Page,
    wanted: impl Fn(&Client) -> bool,
) -> Result<Listed, PortError> {
    let id_of = |item: &Item| item.client().map(|client| client.id.to_string());
    let wanted =
        |item: &Item| item.client().is_some_and(|client| client.erased_at.is_none() && wanted(client));
    sift_list(ports, business_id, Kind::Clients, page, id_of, wanted).await
}

/// A client with addresses that must not be written to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SuppressedClient {
    /// Which client.
    pub client_id: ClientId,
    /// The addresses.
    pub suppressions: Vec<Suppression>,
}

/// One page of the clients with suppressed addresses, by id; of these only those with a `cause`, where one is given.
pub async fn list_suppressions(
    ports: &impl List,
    business_id: &BusinessId,
    cause: Option<Cause>,
    page: Page,
) -> Result<(Vec<SuppressedClient>, Option<String>), PortError> {
    let for_that = |known: &Suppression| cause.is_none_or(|cause| known.cause == cause);
    let wanted = |client: &Client| client.suppressions.iter().any(for_that);
    let Listed { items, next } = sift_clients(ports, business_id, page, wanted).await?;
    let clients = items.into_iter().filter_map(|stored| match stored.item {
        Item::Client(client) => Some(SuppressedClient {
            client_id: client.id,
            suppressions: client.suppressions.into_iter().filter(for_that).collect(),
        }),
        _ => None,
    });
    Ok((clients.collect(), next))
}
