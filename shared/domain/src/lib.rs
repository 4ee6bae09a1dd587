//! The rules of booking notifications: which messages a booking owes, when each is due, and whether it may leave.
//!
//! Architecture invariant: nothing here does I/O, reads a clock or draws a random number. `now` is always an argument,
//! so the live system, the preview, the simulation and the tests all run the same functions.
//!
//! Start at [`plan`]: facts go in, the messages that should exist come out. [`decide`](decide::decide) asks the same
//! questions again at the moment of sending. [`reconcile`](reconcile::reconcile) turns the difference between
//! what should exist and what exists into ledger changes.

pub mod access;
pub mod account;
pub mod booking;
pub mod business;
pub mod calendar;
pub mod campaign;
pub mod channel;
pub mod client;
pub mod compose;
pub mod contact;
pub mod conversation;
pub mod decide;
pub mod event;
pub mod facts;
pub mod feedback;
pub mod ids;
pub mod link;
pub mod map;
pub mod message;
pub mod messenger;
pub mod money;
pub mod notification_type;
pub mod occasion;
pub mod plan;
pub mod precedence;
pub mod public_address;
pub mod quiet_hours;
pub mod recipient;
pub mod reconcile;
pub mod resource;
pub mod review;
pub mod rule;
pub mod schema;
pub mod sms;
pub mod staff;
pub mod subject;
pub mod task;
pub mod template;
pub mod text;
pub mod timing;
pub mod trace;
pub mod waitlist;
pub mod webhook;
pub mod wording;
pub mod zone;
