//! Recipients: who a message goes to, and how they may be reached.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::business::Locale;
use crate::channel::Channel;
use crate::client::{Client, Device, Suppression};
use crate::contact::{Email, Phone};
use crate::ids::{ClientId, StaffId};
use crate::messenger::ChatId;
use crate::staff::StaffMember;
use crate::text::Name;
use crate::zone::Zone;

/// Who a message goes to. In JSON one field, `client_id` or `staff_id`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub enum Recipient {
    /// A client.
    #[serde(rename = "client_id")]
    Client(ClientId),
    /// A staff member.
    #[serde(rename = "staff_id")]
    Staff(StaffId),
}

impl Recipient {
    /// The client, if it is one.
    pub fn client(&self) -> Option<&ClientId> {
        match self {
            Recipient::Client(id) => Some(id),
            Recipient::Staff(_) => None,
        }
    }
}

impl std::fmt::Display for Recipient {
    /// As message keys name it: a client by the bare id, a staff member as `staff:id`, which is no client's id.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Recipient::Client(id) => write!(f, "{id}"),
            Recipient::Staff(id) => write!(f, "staff:{id}"),
        }
    }
}

/// What a client and a staff member have in common: a person who can be written to.
#[derive(Debug, Clone, Copy)]
pub enum Person<'a> {
    /// A client.
    Client(&'a Client),
    /// A staff member.
    Staff(&'a StaffMember),
}

impl<'a> Person<'a> {
    /// How to address the person.
    pub fn name(self) -> &'a Name {
        match self {
            Person::Client(client) => &client.name,
            Person::Staff(staff) => &staff.name,
        }
    }

    /// Where sms go.
    pub fn phone(self) -> Option<&'a Phone> {
        match self {
            Person::Client(client) => client.phone.as_ref(),
            Person::Staff(staff) => staff.phone.as_ref(),
        }
    }

    /// Where e-mail goes.
    pub fn email(self) -> Option<&'a Email> {
        match self {
            Person::Client(client) => client.email.as_ref(),
            Person::Staff(staff) => staff.email.as_ref(),
        }
    }

    /// Where push messages go.
    pub fn devices(self) -> &'a [Device] {
        match self {
            Person::Client(client) => &client.devices,
            Person::Staff(staff) => &staff.devices,
        }
    }

    /// Where Telegram messages go.
    pub fn telegram(self) -> Option<&'a ChatId> {
        match self {
            Person::Client(client) => client.telegram.as_ref(),
            Person::Staff(_) => None,
        }
    }

    /// The person's own language.
    pub fn locale(self) -> Option<Locale> {
        match self {
            Person::Client(client) => client.locale,
            Person::Staff(staff) => staff.locale,
        }
    }

    /// The person's own zone.
    pub fn zone(self) -> Option<&'a Zone> {
        match self {
            Person::Client(client) => client.zone.as_ref(),
            Person::Staff(staff) => staff.zone.as_ref(),
        }
    }

    /// The person's present address on `channel` as suppressions name it; push and assisted messages have none.
    pub fn address(self, channel: Channel) -> Option<String> {
        address(channel, self.phone(), self.email(), self.telegram())
    }

    /// The suppression of the person's present address on `channel`, if there is one.
    pub fn suppression(self, channel: Channel) -> Option<&'a Suppression> {
        let Person::Client(client) = self else { return None };
        let address = self.address(channel)?;
        client.suppressions.iter().find(|suppression| suppression.address == address)
    }

    /// The person's addresses on `channel` as logs may show them.
    pub fn masked_address(self, channel: Channel) -> Option<String> {
        match channel {
            Channel::Email => self.email().map(Email::masked),
            Channel::Sms | Channel::Whatsapp => self.phone().map(Phone::masked),
            Channel::Telegram => self.telegram().map(ChatId::masked),
            // Whatever staff can write to.
            Channel::Assisted => [Channel::Sms, Channel::Email, Channel::Telegram]
                .into_iter()
                .find_map(|channel| self.masked_address(channel)),
            Channel::Push => match self.devices().len() {
                0 => None,
                1 => Some("1 device".to_owned()),
                many => Some(format!("{many} devices")),
            },
        }
    }
}

/// The address on `channel` of who has these, as suppressions name it: an e-mail address in small letters.
pub fn address(
    channel: Channel,
    phone: Option<&Phone>,
    email: Option<&Email>,
    telegram: Option<&ChatId>,
) -> Option<String> {
    match channel {
        Channel::Email => email.map(|email| email.as_str().to_ascii_lowercase()),
        Channel::Sms => phone.map(|phone| phone.as_str().to_owned()),
        Channel::Whatsapp => phone.map(|phone| format!("whatsapp:{}", phone.as_str())),
        Channel::Telegram => telegram.map(|chat| format!("telegram:{}", chat.as_str())),
        Channel::Push | Channel::Assisted => None,
    }
}
