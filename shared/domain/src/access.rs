//! Who may do what: roles, scopes that narrow an API key further, and the keys of a business.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{BusinessId, KeyId};
use crate::text::Name;

/// What whoever calls the API is to the business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May do everything; the only one who makes API keys.
    Owner,
    /// May do everything but make API keys.
    Manager,
    /// Works with bookings, clients, messages and tasks; sees what they refer to and the settings.
    Staff,
    /// Sees everything but API keys, and changes nothing.
    ReadOnly,
    /// Another system: keeps bookings, clients and what they refer to in step, and is told of events; leaves settings and campaigns alone.
    Integration,
}

/// Why a text is not a [`Role`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected one of owner, manager, staff, read_only, integration")]
pub struct InvalidRole;

macro_rules! scopes {
    ($($(#[$doc:meta])* $name:ident $text:tt;)*) => {
        /// A kind of operation that a caller may be allowed. Each operation of the API names the one it needs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        pub enum Scope {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl Scope {
            /// Every scope.
            pub const ALL: [Scope; [$($text),*].len()] = [$(Scope::$name),*];

            /// As the API writes it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Scope::$name => $text,)*
                }
            }
        }
    };
}

scopes! {
    /// Sees bookings, series, the waitlist, and what their clients are told.
    BookingsRead "bookings:read";
    /// Makes and changes them.
    BookingsWrite "bookings:write";
    /// Sees clients, with their addresses.
    ClientsRead "clients:read";
    /// Makes and changes them.
    ClientsWrite "clients:write";
    /// Sees messages and conversations.
    MessagesRead "messages:read";
    /// Writes to clients.
    MessagesWrite "messages:write";
    /// Sees tasks.
    TasksRead "tasks:read";
    /// Closes them.
    TasksWrite "tasks:write";
    /// Sees locations, resources, services and staff.
    CatalogueRead "catalogue:read";
    /// Makes and changes them.
    CatalogueWrite "catalogue:write";
    /// Sees the business's settings: rules, texts, limits.
    SettingsRead "settings:read";
    /// Changes them.
    SettingsWrite "settings:write";
    /// Sees campaigns.
    CampaignsRead "campaigns:read";
    /// Makes, starts and stops them.
    CampaignsWrite "campaigns:write";
    /// Sees where events are sent to.
    WebhooksRead "webhooks:read";
    /// Says where events are sent to.
    WebhooksWrite "webhooks:write";
    /// Sees API keys; never their secrets.
    KeysRead "keys:read";
    /// Makes, changes and revokes API keys.
    KeysWrite "keys:write";
}

/// Why a text is not a [`Scope`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a scope such as bookings:read")]
pub struct InvalidScope;

impl std::str::FromStr for Scope {
    type Err = InvalidScope;
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(InvalidScope)
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 5] = [Role::Owner, Role::Manager, Role::Staff, Role::ReadOnly, Role::Integration];

    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Manager => "manager",
            Role::Staff => "staff",
            Role::ReadOnly => "read_only",
            Role::Integration => "integration",
        }
    }

    /// The table of who may do what.
    pub fn allows(self, scope: Scope) -> bool {
        use Scope::*;
        match (self, scope) {
            (Role::Owner, _) => true,
            (_, KeysRead | KeysWrite) => false,
            (Role::Manager, _) => true,
            (Role::Staff | Role::Integration, BookingsRead | BookingsWrite | ClientsRead | ClientsWrite) => {
                true
            }
            (Role::Staff | Role::Integration, MessagesRead | MessagesWrite | TasksRead) => true,
            (Role::Staff | Role::Integration, CatalogueRead | SettingsRead) => true,
            (Role::Staff, TasksWrite) => true,
            (Role::Integration, CatalogueWrite | WebhooksRead | WebhooksWrite) => true,
            (Role::Staff | Role::Integration, _) => false,
            (Role::ReadOnly, BookingsRead | ClientsRead | MessagesRead | TasksRead | CatalogueRead) => true,
            (Role::ReadOnly, SettingsRead | CampaignsRead | WebhooksRead) => true,
            (Role::ReadOnly, _) => false,
        }
    }
}

impl std::str::FromStr for Role {
    type Err = InvalidRole;
    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(InvalidRole)
    }
}

/// What a caller may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Access {
    /// What the caller is to the business.
    pub role: Role,
    /// Of what the role allows, only this; without it, all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<BTreeSet<Scope>>,
}

impl Access {
    /// All that a role allows.
    pub fn all_of(role: Role) -> Self {
        Self { role, scopes: None }
    }

    /// Whether it allows an operation that needs `scope`.
    pub fn allows(&self, scope: Scope) -> bool {
        self.role.allows(scope) && self.scopes.as_ref().is_none_or(|scopes| scopes.contains(&scope))
    }

    /// The first thing that `other` allows and this does not.
    pub fn lacks_of(&self, other: &Access) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| other.allows(*scope) && !self.allows(*scope))
    }
}

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    /// The id: what stands between `bk_` and the secret.
    pub id: KeyId,
    /// What people know it by.
    pub name: Name,
    /// What it allows.
    #[serde(flatten)]
    pub access: Access,
    /// When it was made (UTC).
    pub created_at: Timestamp,
    /// When it got the secret it has now (UTC), if that is not its first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at: Option<Timestamp>,
    /// From when on it does not work (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was last used (UTC), to the hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// Since when it does not work any more (UTC), if it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether it works at `now` (UTC).
    pub fn works(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expires| now < expires)
    }

    /// Whether its last use is to be noted anew at `now` (UTC): once an hour is enough to see which keys are in use.
    pub fn use_is_news(&self, now: Timestamp) -> bool {
        self.last_used_at.is_none_or(|last| last + SignedDuration::from_hours(1) <= now)
    }
}

/// The keys of a business, in the order they were made. They are one thing, so that of two owners who revoke each other's key at the same
/// moment one finds that it is the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeys {
    /// Whose keys.
    pub business_id: BusinessId,
    /// The keys. Those that do not work any more are kept for as long as there is room.
    pub keys: Vec<ApiKey>,
}

/// There is no room for one more key: every one of them works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a business has at most 100 API keys that work")]
pub struct TooManyKeys;

impl ApiKeys {
    /// The most keys a business has. A hundred of them make a row of about 30 KB.
    pub const MOST: usize = 100;

    /// The key with this id.
    pub fn find(&self, id: &KeyId) -> Option<&ApiKey> {
        self.keys.iter().find(|key| key.id == *id)
    }

    /// The keys with this one more, or in place of the one with its id. Where there is no room, the oldest that does not work at `now` (UTC)
    /// gives way.
    ///
    /// # Errors
    /// [`TooManyKeys`].
    pub fn with(&self, key: ApiKey, now: Timestamp) -> Result<Self, TooManyKeys> {
        let mut keys = self.keys.clone();
        match keys.iter_mut().find(|known| known.id == key.id) {
            Some(known) => *known = key,
            None => {
                if keys.len() >= Self::MOST {
                    let spent = keys.iter().position(|known| !known.works(now)).ok_or(TooManyKeys)?;
                    keys.remove(spent);
                }
                keys.push(key);
            }
        }
        Ok(Self { business_id: self.business_id.clone(), keys })
    }

    /// Whether there is a key by which the business can always make another: an owner's, that works, never expires, and is not narrowed.
    pub fn can_make_keys(&self) -> bool {
        self.keys.iter().any(|key| {
            key.revoked_at.is_none() && key.expires_at.is_none() && key.access == Access::all_of(Role::Owner)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn key(id: &str, access: Access) -> ApiKey {
        ApiKey {
            id: id.parse().unwrap(),
            name: "Front desk".parse().unwrap(),
            access,
            created_at: at("2026-11-22T10:00:00Z"),
            rotated_at: None,
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
        }
    }

    fn only(role: Role, scopes: &[Scope]) -> Access {
        Access { role, scopes: Some(scopes.iter().copied().collect()) }
    }

    #[test]
    fn the_table_of_who_may_do_what() {
        let table: Vec<String> = Role::ALL
            .into_iter()
            .map(|role| {
                let allowed = Scope::ALL.into_iter().filter(|scope| role.allows(*scope));
                let allowed: Vec<_> = allowed.map(Scope::as_str).collect();
                format!("{}: {}", role.as_str(), allowed.join(" "))
            })
            .collect();
        let everything = Scope::ALL.map(Scope::as_str).join(" ");
        let all_but_keys = everything.replace(" keys:read keys:write", "");
        assert_eq!(
            table,
            [
                format!("owner: {everything}"),
                format!("manager: {all_but_keys}"),
                "staff: bookings:read bookings:write clients:read clients:write messages:read messages:write tasks:read tasks:write \
                 catalogue:read settings:read"
                    .to_owned(),
                "read_only: bookings:read clients:read messages:read tasks:read catalogue:read settings:read campaigns:read \
                 webhooks:read"
                    .to_owned(),
                "integration: bookings:read bookings:write clients:read clients:write messages:read messages:write tasks:read \
                 catalogue:read catalogue:write settings:read webhooks:read webhooks:write"
                    .to_owned(),
            ]
        );
    }

    #[test]
    fn texts_and_json_say_the_same() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        assert_eq!("bookings".parse::<Scope>(), Err(InvalidScope));
        assert_eq!("admin".parse::<Role>(), Err(InvalidRole));
    }

    #[test]
    fn scopes_narrow_a_role_and_never_widen_it() {
        let narrowed = only(Role::Staff, &[Scope::BookingsRead, Scope::SettingsWrite]);
        let allowed: Vec<Scope> = Scope::ALL.into_iter().filter(|scope| narrowed.allows(*scope)).collect();
        assert_eq!(allowed, [Scope::BookingsRead]);
        assert!(Access::all_of(Role::Staff).allows(Scope::TasksWrite));
    }

    #[test]
    fn nobody_gives_what_he_has_not() {
        let (owner, keys_only) = (Access::all_of(Role::Owner), only(Role::Owner, &[Scope::KeysWrite]));
        assert_eq!(owner.lacks_of(&Access::all_of(Role::Manager)), None);
        assert_eq!(keys_only.lacks_of(&Access::all_of(Role::ReadOnly)), Some(Scope::BookingsRead));
        assert_eq!(keys_only.lacks_of(&keys_only), None);
        assert_eq!(Access::all_of(Role::Manager).lacks_of(&owner), Some(Scope::KeysRead));
    }

    #[test]
    fn a_key_works_until_it_expires_or_is_revoked() {
        let expires = at("2026-11-23T10:00:00Z");
        let key = ApiKey { expires_at: Some(expires), ..key("a", Access::all_of(Role::Staff)) };
        assert!(key.works(expires - SignedDuration::from_secs(1)));
        assert!(!key.works(expires));
        let revoked = ApiKey { revoked_at: Some(at("2026-11-22T11:00:00Z")), expires_at: None, ..key };
        assert!(!revoked.works(at("2026-11-22T11:00:00Z")));
    }

    #[test]
    fn a_use_is_noted_once_an_hour() {
        let noted = at("2026-11-22T11:00:00Z");
        let mut key = key("a", Access::all_of(Role::Staff));
        assert!(key.use_is_news(noted));
        key.last_used_at = Some(noted);
        assert!(!key.use_is_news(noted + SignedDuration::from_mins(59)));
        assert!(key.use_is_news(noted + SignedDuration::from_hours(1)));
    }

    #[test]
    fn what_keeps_the_door_open_is_an_owners_key_that_lasts() {
        let keys = |key: ApiKey| ApiKeys { business_id: "b".parse().unwrap(), keys: vec![key] };
        let owner = key("a", Access::all_of(Role::Owner));
        let now = at("2026-11-22T11:00:00Z");
        assert!(keys(owner.clone()).can_make_keys());
        assert!(!keys(key("a", Access::all_of(Role::Manager))).can_make_keys());
        assert!(!keys(key("a", only(Role::Owner, &[Scope::KeysWrite]))).can_make_keys());
        assert!(!keys(ApiKey { revoked_at: Some(now), ..owner.clone() }).can_make_keys());
        assert!(!keys(ApiKey { expires_at: Some(at("2099-01-01T00:00:00Z")), ..owner }).can_make_keys());
    }

    #[test]
    fn what_does_not_work_any_more_gives_way() {
        let now = at("2026-11-22T11:00:00Z");
        let staff = |number: usize| key(&format!("k{number}"), Access::all_of(Role::Staff));
        let mut keys = ApiKeys { business_id: "b".parse().unwrap(), keys: Vec::new() };
        for number in 0..ApiKeys::MOST {
            keys = keys.with(staff(number), now).unwrap();
        }
        assert_eq!(keys.with(staff(100), now), Err(TooManyKeys));
        let revoked = keys.with(ApiKey { revoked_at: Some(now), ..staff(7) }, now).unwrap();
        assert_eq!((revoked.keys.len(), revoked.keys[7].revoked_at), (100, Some(now)));
        let room = revoked.with(staff(100), now).unwrap();
        assert_eq!((room.keys.len(), room.find(&"k7".parse().unwrap())), (100, None));
        assert_eq!(room.keys[99].id.as_str(), "k100");
    }
}
