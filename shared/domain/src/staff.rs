//! Staff members: who is told about bookings on the business's side (S33).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::business::Locale;
use crate::client::Device;
use crate::contact::{Email, Phone};
use crate::ids::{BusinessId, StaffId};
use crate::text::Name;
use crate::zone::Zone;

/// A staff member of one business. Resources name the staff who serve with them, locations name their managers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StaffMember {
    /// Whose staff.
    pub business_id: BusinessId,
    /// The id.
    pub id: StaffId,
    /// How to address the staff member.
    pub name: Name,
    /// Where sms go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
    /// Where e-mail goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Where push messages go.
    #[serde(default)]
    pub devices: Vec<Device>,
    /// The staff member's language; none means that of the business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// Whose night counts, if not the location's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
}
