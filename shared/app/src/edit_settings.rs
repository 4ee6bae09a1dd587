//! Changing the settings: the rules, the business, a location. Every change of the rules makes a new version; a booking is planned by the
//! version that it was made under, until a [rollout](crate::roll_out) brings it to a later one. What a business or a location says holds for
//! every booking at the moment of sending; a rollout plans by it what is ahead already.

use domain::channel::Channel;
use domain::ids::{BusinessId, ResourceId};
use domain::notification_type::NotificationType;
use domain::precedence::Level;
use domain::resource::{Resource, ResourceKind};
use domain::rule::{Rule, Rules, RulesByType};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::edit_catalogue::{Edit, Need, check_needs};
use crate::error::{AppError, check_version};
use crate::once::{Done, do_once};
use crate::ports::{Expect, Item, Key, Read, Rollout, Stored, Write, WriteFacts, first};

/// How often a request starts over because the settings changed under it.
const TRIES: u32 = 5;

/// Which bookings changed settings are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Apply {
    /// Those made from now on.
    #[default]
    NewBookingsOnly,
    /// Those too that are ahead already.
    AllUpcoming,
}

/// Settings, as a change gets them and gives them back.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The rules, at the version that the change makes.
    pub rules: Rules,
    /// The business, the location or the resource that is changed, if it is not the rules alone.
    pub item: Option<Item>,
}

/// Changes the settings at the key `about`: the business's rules, the business, a location, or a resource's own rules. `change` gets them as
/// they are and says how they shall be. The `ETag` of rules, a resource's own included, is the version of the business's rules.
///
/// # Errors
/// What `change` refuses; [`AppError::Stale`] when they are not at the version the caller knows.
pub async fn edit_settings<S: Read + WriteFacts>(
    ports: &S,
    edit: Edit<'_>,
    about: &Key,
    needs: &[Need],
    apply: Apply,
    change: impl Fn(Settings) -> Result<Settings, AppError>,
) -> Result<Done<Item>, AppError> {
    let (business_id, change) = (edit.business_id, &change);
    let mut keys = keys_of(business_id, about, needs);
    keys.push(Key::Rollout(business_id.clone()));
    do_once(ports, TRIES, business_id, edit.once, edit.now, keys, |found| async move {
        let Settings { rules, item } = changed(edit, about, needs, &found, change)?;
        let version = version_of(about, &found);
        let done = match &item {
            Some(item) if !is_of_rules(about) => Done { etag: version + 1, value: item.clone() },
            Some(item) => Done { etag: rules.version, value: item.clone() },
            None => Done { etag: rules.version, value: Item::Rules(rules.clone()) },
        };
        let mut writes: Vec<Write> =
            item.into_iter().map(|item| Write { item, expect: Expect::Version(version) }).collect();
        if is_of_rules(about) || apply == Apply::AllUpcoming {
            writes.extend(new_version(rules, &found, apply, edit.now));
        }
        Ok((writes, done))
    })
    .await
}

/// What a change of the settings at `about` reads.
pub(crate) fn keys_of(business_id: &BusinessId, about: &Key, needs: &[Need]) -> Vec<Key> {
    let mut keys = vec![Key::Rules(business_id.clone())];
    for key in std::iter::once(about).chain(needs.iter().map(|need| &need.key)) {
        if !keys.contains(key) {
            keys.push(key.clone());
        }
    }
    keys
}

/// The settings after a change, out of what was `found`.
pub(crate) fn changed(
    edit: Edit<'_>,
    about: &Key,
    needs: &[Need],
    found: &[Stored],
    change: impl Fn(Settings) -> Result<Settings, AppError>,
) -> Result<Settings, AppError> {
    check_needs(needs, found)?;
    let rules = rules_of(edit.business_id, found);
    let item = match about {
        Key::Rules(_) => None,
        about => {
            let missing = || AppError::NotFound { what: name_of(about) };
            Some(at(about, found).ok_or_else(missing)?.item.clone())
        }
    };
    let current = if is_of_rules(about) { rules.version } else { version_of(about, found) };
    check_version(edit.if_match, current)?;
    change(Settings { rules: Rules { version: rules.version + 1, ..rules }, item })
}

/// The rules among `found`, or the defaults.
pub(crate) fn rules_of(business_id: &BusinessId, found: &[Stored]) -> Rules {
    let rules = first(found, Item::rules).map(|(rules, _)| rules.clone());
    rules.unwrap_or_else(|| Rules::defaults(business_id.clone()))
}

/// The version of the rules among `found`; 0 where there are none but the defaults.
pub(crate) fn rules_version(found: &[Stored]) -> u64 {
    first(found, Item::rules).map_or(0, |(rules, _)| rules.version)
}

/// Whether what is changed there are rules.
fn is_of_rules(about: &Key) -> bool {
    matches!(about, Key::Rules(_) | Key::Resource(..))
}

fn name_of(about: &Key) -> &'static str {
    match about {
        Key::Location(..) => "location",
        Key::Resource(..) => "resource",
        _ => "business",
    }
}

fn at<'a>(key: &Key, found: &'a [Stored]) -> Option<&'a Stored> {
    found.iter().find(|stored| stored.item.key() == *key)
}

fn version_of(key: &Key, found: &[Stored]) -> u64 {
    at(key, found).map_or(0, |stored| stored.version)
}

/// The writes of a new version over what was `found`: the rules as they are, the version for bookings to refer to, and where asked for, the
/// start of a rollout.
fn new_version(rules: Rules, found: &[Stored], apply: Apply, now: Timestamp) -> Vec<Write> {
    let over = |version: Option<u64>| version.map_or(Expect::Absent, Expect::Version);
    let rollout = (apply == Apply::AllUpcoming).then(|| Write {
        item: Item::Rollout(Rollout {
            business_id: rules.business_id.clone(),
            version: rules.version,
            after: (now, None),
            bookings: 0,
            done: false,
        }),
        expect: over(first(found, Item::rollout).map(|(_, version)| version)),
    });
    let mut writes = vec![
        Write {
            item: Item::Rules(rules.clone()),
            expect: over(first(found, Item::rules).map(|(_, version)| version)),
        },
        Write { item: Item::RulesVersion(rules), expect: Expect::Absent },
    ];
    writes.extend(rollout);
    writes
}

// ------------------------------------------------------------------ rules

/// For which bookings a rule holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of the business's.
    Business,
    /// Those of a kind of resource (S57).
    Kind(ResourceKind),
    /// Those of one resource (S58).
    Resource(ResourceId),
}

impl Scope {
    /// Where its rules are stored.
    pub fn key(&self, business_id: &BusinessId) -> Key {
        match self {
            Scope::Business | Scope::Kind(_) => Key::Rules(business_id.clone()),
            Scope::Resource(id) => Key::Resource(business_id.clone(), id.clone()),
        }
    }
}

/// A change of one rule, for [`edit_settings`].
#[derive(Debug, Clone)]
pub struct RuleChange {
    /// For which bookings.
    pub scope: Scope,
    /// For which type.
    pub kind: NotificationType,
    /// The rule; `None` takes it away, and what holds without it holds again.
    pub rule: Option<Rule>,
    /// Of a resource's rule: whether every resource made from now on gets it too (S59).
    pub new_resources: bool,
}

impl RuleChange {
    /// Makes the change.
    ///
    /// # Errors
    /// [`AppError::Invalid`] names the field of the rule that makes no sense.
    pub fn apply(&self, settings: Settings) -> Result<Settings, AppError> {
        if let Some(rule) = &self.rule {
            let refused =
                |invalid: domain::rule::InvalidRule| AppError::invalid(invalid.field, invalid.expected);
            rule.check(self.kind).map_err(refused)?;
        }
        let Settings { mut rules, mut item } = settings;
        match &self.scope {
            Scope::Business => self.set(&mut rules.changed),
            Scope::Kind(kind) => {
                self.set(rules.kinds.entry(*kind).or_default());
                rules.kinds.retain(|_, of_kind| !of_kind.is_empty());
            }
            Scope::Resource(_) => {
                if let Some(Item::Resource(resource)) = item {
                    let mut own = own_rules(&resource).cloned().unwrap_or_default();
                    self.set(&mut own);
                    item = Some(Item::Resource(resource.overridden(own, rules.version)));
                }
                if self.new_resources {
                    self.set(&mut rules.new_resources);
                }
            }
        }
        Ok(Settings { rules, item })
    }

    fn set(&self, rules: &mut RulesByType) {
        match &self.rule {
            Some(rule) => rules.insert(self.kind, rule.clone()),
            None => rules.remove(&self.kind),
        };
    }
}

/// A resource's own rules as they are now.
fn own_rules(resource: &Resource) -> Option<&RulesByType> {
    resource.overrides.last().map(|overrides| &overrides.rules)
}

/// The rule that prevails for a type, as the settings page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Prevailing {
    /// The type.
    #[serde(rename = "type")]
    pub kind: NotificationType,
    /// The rule.
    pub rule: Rule,
    /// The channels it sends on; none when it is off (S13).
    pub channels: Vec<Channel>,
    /// Where it comes from.
    pub from: Level,
}

/// The rules that prevail in a scope for bookings made from now on, by type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PrevailingRules {
    /// The version of the business's rules.
    pub version: u64,
    /// In the order of [`NotificationType::ALL`].
    pub items: Vec<Prevailing>,
}

/// Reads the rules that prevail in a scope.
///
/// # Errors
/// [`AppError::NotFound`] when there is no such resource.
pub async fn prevailing_rules(
    ports: &impl Read,
    business_id: &BusinessId,
    scope: &Scope,
) -> Result<PrevailingRules, AppError> {
    let about = scope.key(business_id);
    let found = ports.read(keys_of(business_id, &about, &[])).await?;
    let rules = rules_of(business_id, &found);
    let resource = first(&found, Item::resource).map(|(resource, _)| resource);
    let kind = match scope {
        Scope::Business => None,
        Scope::Kind(kind) => Some(*kind),
        Scope::Resource(_) => Some(resource.ok_or(AppError::NotFound { what: "resource" })?.kind),
    };
    let items = NotificationType::ALL.iter().map(|of| prevailing(&rules, kind, resource, *of)).collect();
    Ok(PrevailingRules { version: rules.version, items })
}

fn prevailing(
    rules: &Rules,
    resource_kind: Option<ResourceKind>,
    resource: Option<&Resource>,
    kind: NotificationType,
) -> Prevailing {
    let own = resource.and_then(own_rules).and_then(|own| own.get(&kind));
    let (from, rule) = rules.prevailing(kind, resource_kind, own);
    let sends =
        |channel: &Channel| rule.enabled && rule.steps.iter().any(|step| step.channels.contains(channel));
    Prevailing { kind, rule: rule.clone(), channels: Channel::ALL.into_iter().filter(sends).collect(), from }
}
