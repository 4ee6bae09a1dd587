//! What the system does, one file per use case, over the [`ports`].
//!
//! Architecture invariant: nothing here names AWS, and every use case may be repeated, fail at any step or die after any write:
//! run again, it ends in the same state, and no message leaves twice. `shared/testkit` proves it for each of them.

pub mod already_told;
pub mod answer_client;
pub mod api_keys;
pub mod assign_number;
pub mod assist;
pub mod authorize;
pub mod change_booking;
pub mod check_booking;
mod check_delivery;
pub mod close_task;
pub mod create_booking;
pub mod create_business;
pub mod create_series;
pub mod deliver;
pub mod deliver_webhook;
pub mod dry_run;
pub mod edit_campaign;
pub mod edit_catalogue;
pub mod edit_settings;
pub mod edit_templates;
pub mod edit_webhooks;
pub mod error;
mod holds;
pub mod limit_requests;
mod limits;
pub mod load_facts;
pub mod offer_slot;
pub mod once;
pub mod plan_client;
pub mod plan_subject;
pub mod ports;
pub mod preview_campaign;
pub mod preview_settings;
pub mod preview_template;
pub mod publish_events;
pub mod roll_out;
pub mod run_campaign;
mod settle;
pub mod suppress;
pub mod sweep;
pub mod take_reply;
pub mod take_report;
pub mod telegram;
pub mod timeline;
pub mod upload_image;
pub mod waitlist;
pub mod write_occasion;
