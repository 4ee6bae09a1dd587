//! Taking in a business: its profile, its first API key, an owner's, and the key that links to its clients' own pages are signed with. Done by
//! whoever runs the system, not through the API.

use std::collections::BTreeMap;

use domain::access::{Access, ApiKeys, Role};
use domain::business::{Business, Locale, WaitlistHold};
use domain::ids::BusinessId;
use domain::link::LinkKeys;
use domain::sms::SmsLimits;
use domain::text::Name;
use domain::zone::Zone;
use jiff::Timestamp;

use crate::api_keys::{new_key, writes_of};
use crate::authorize::NewSecret;
use crate::create_booking::new_id;
use crate::error::AppError;
use crate::ports::{Expect, Item, NewId, Write, WriteError, WriteFacts};
use crate::rotate_link_keys::new_secret;

/// A business and the only sight of its API key, which is why this has no `Debug`.
pub struct NewBusiness {
    /// The business's id.
    pub business_id: BusinessId,
    /// The key, for `Authorization: Bearer …`. Only its hash is stored.
    pub api_key: String,
}

/// Takes in a business at `now` (UTC). Its first key has its name.
pub async fn create_business(
    store: &impl WriteFacts,
    ids: &impl NewId,
    name: Name,
    zone: Zone,
    locale: Locale,
    now: Timestamp,
) -> Result<NewBusiness, AppError> {
    let business_id: BusinessId = new_id(ids)?;
    let secret = NewSecret::new(ids);
    let key = new_key(ids, name.clone(), Access::all_of(Role::Owner), now)?;
    let business = Business {
        id: business_id.clone(),
        name,
        zone,
        locale,
        phone: None,
        booking_url: None,
        legal_name: None,
        site: None,
        review_url: None,
        tip_url: None,
        signature: None,
        sms_prices: Vec::new(),
        sms_enabled: false,
        sms_limits: SmsLimits::default(),
        sms_number: None,
        whatsapp_number_id: None,
        whatsapp_templates: BTreeMap::new(),
        telegram_bot: None,
        app_url: None,
        quiet_hours: None,
        no_show_after_minutes: None,
        waitlist_hold_minutes: WaitlistHold::default(),
    };
    let keys = ApiKeys { business_id: business_id.clone(), keys: vec![key.clone()] };
    let api_key = secret.text(&key.id);
    let mut writes = writes_of(keys, 0, secret.credential(&business_id, key));
    writes.push(Write { item: Item::Business(business), expect: Expect::Absent });
    let link_keys = LinkKeys::first(business_id.clone(), new_secret(ids)?, now);
    writes.push(Write { item: Item::LinkKeys(link_keys), expect: Expect::Absent });
    match store.write_facts(writes).await {
        Ok(()) => Ok(NewBusiness { business_id, api_key }),
        Err(WriteError::Conflict) => Err(AppError::Busy),
        Err(WriteError::Port(error)) => Err(error.into()),
    }
}
