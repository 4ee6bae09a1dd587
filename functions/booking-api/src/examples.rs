//! What the examples of the document are made of: one salon, one client, one booking.

pub const LOCATION: &str = "0199c5b8f0a17c3a9d2e4b6f8a1c3e5d";
pub const RESOURCE: &str = "0199c5b8f0a27c3a9d2e4b6f8a1c3e5d";
pub const SERVICE: &str = "0199c5b8f0a37c3a9d2e4b6f8a1c3e5d";
pub const CLIENT: &str = "0199c5b8f0a47c3a9d2e4b6f8a1c3e5d";
pub const STAFF: &str = "0199c5b8f0a57c3a9d2e4b6f8a1c3e5d";
pub const BOOKING: &str = "0199c5b8f0a67c3a9d2e4b6f8a1c3e5d";
pub const DEVICE_TOKEN: &str = "c2Fsb24tYXVyb3JhOmRldmljZQ";
