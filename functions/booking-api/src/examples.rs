//! The document's examples: one salon, one client, one booking. A test checks each against its schema.

use serde_json::{Value, json};

pub const LOCATION: &str = "0199c5b8f0a17c3a9d2e4b6f8a1c3e5d";
pub const RESOURCE: &str = "0199c5b8f0a27c3a9d2e4b6f8a1c3e5d";
pub const SERVICE: &str = "0199c5b8f0a37c3a9d2e4b6f8a1c3e5d";
pub const CLIENT: &str = "0199c5b8f0a47c3a9d2e4b6f8a1c3e5d";
pub const STAFF: &str = "0199c5b8f0a57c3a9d2e4b6f8a1c3e5d";
pub const BOOKING: &str = "0199c5b8f0a67c3a9d2e4b6f8a1c3e5d";
pub const DEVICE_TOKEN: &str = "c2Fsb24tYXVyb3JhOmRldmljZQ";

const BUSINESS: &str = "0199c5b8f0a07c3a9d2e4b6f8a1c3e5d";
const OCCASION: &str = "0199c5b8f0a77c3a9d2e4b6f8a1c3e5d";
const ENTRY: &str = "0199c5b8f0a87c3a9d2e4b6f8a1c3e5d";
const DEVICE: &str = "0199c5b8f0a97c3a9d2e4b6f8a1c3e5d";
const KEY: &str = "4f1b2b0b822cd15d";
const WEBHOOK: &str = "0199c5b8f0b37c3a9d2e4b6f8a1c3e5d";
const EVENT: &str = "0f62f457c26b2634366ae8bb383eba22";
const MESSAGE: &str = "5d41402abc4b2a76b9719d911017c592";

/// The example of an answer, by the name of its schema.
pub fn answer(schema: &str) -> Option<Value> {
    if let Some(of) = schema.strip_prefix("PageOf_") {
        return Some(json!({ "items": [answer(of)?], "next": null }));
    }
    if let Some(either) = schema.strip_prefix("Either_") {
        return answer(either.split_once('_')?.0);
    }
    Some(match schema {
        "ApiKey" => api_key(),
        "Booking" => booking(),
        "Bot" => json!({
            "name": "aurora_salon_bot",
            "webhook": {
                "url": format!("https://api.example.com/telegram/{BUSINESS}"),
                "secret_token": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "allowed_updates": ["message", "callback_query", "my_chat_member"]
            }
        }),
        "Business" => json!({
            "id": BUSINESS, "name": "Salon Aurora", "zone": "Europe/Lisbon", "locale": "en", "phone": "+351210000001",
            "booking_url": "https://salon.example/book", "sms_enabled": true, "signature": "Salon Aurora, Chiado",
            "sms_prices": [{ "prefix": "+351", "per_thousand": { "minor": 3500, "currency": "EUR" } }],
            "quiet_hours": { "from": "22:00", "until": "09:00", "channels": ["sms", "push", "whatsapp", "telegram", "assisted"] },
            "waitlist_hold_minutes": 60
        }),
        "Campaign" => json!({
            "business_id": BUSINESS, "id": "0199c5b8f0b47c3a9d2e4b6f8a1c3e5d", "name": "Spring",
            "filter": { "tags": ["regular"], "last_visit_until": "2026-12-31", "no_future_booking": true, "never_visited": false },
            "channels": ["email", "sms"], "subject": "Spring at {{ business.name }}",
            "text": "Dear {{ client.name }}, it is time for a new cut.", "per_minute": 300,
            "start_at": "2027-03-20T10:00:00Z", "status": "running", "rules_version": 3,
            "progress": {
                "after": CLIENT, "next_at": "2027-03-20T10:04:10Z", "looked_at": 1840, "chosen": 1250, "no_consent": 410, "unreachable": 32
            },
            "created_at": "2027-03-18T16:05:00Z", "changed_at": "2027-03-20T10:04:00Z"
        }),
        "CampaignPreview" => json!({
            "looked_at": 1000, "chosen": 720, "no_consent": 210, "unreachable": 14, "complete": false, "next": CLIENT,
            "messages": [{ "channel": "email", "count": 700 }, { "channel": "sms", "count": 655 }],
            "cost": [{ "currency": "EUR", "thousandths": 2292500 }]
        }),
        "Client" => json!({
            "business_id": BUSINESS, "id": CLIENT, "name": "Ana Martins", "phone": "+351912345678", "email": "ana@example.com",
            "devices": [{ "id": DEVICE, "platform": "fcm", "token": DEVICE_TOKEN }], "locale": "en", "zone": "Europe/Lisbon",
            "bans": { "channels": ["whatsapp"], "types": ["review_request"] }, "marketing_consent": true, "tags": ["regular"],
            "suppressions": [{ "address": "+351912345678", "cause": "stop", "since": "2027-02-01T09:30:00Z" }]
        }),
        "Delivery" => json!({
            "business_id": BUSINESS, "webhook_id": WEBHOOK, "id": "1803890700-383eba220f62f457c26b2634366ae8bb",
            "event_id": EVENT, "type": "webhook.test",
            "body": format!(
                r#"{{"at":"2027-03-01T16:05:00Z","business_id":"{BUSINESS}","data":{{"webhook_id":"{WEBHOOK}"}},"id":"{EVENT}","type":"webhook.test"}}"#
            ),
            "state": "pending", "due": "2027-03-01T16:05:06Z", "made_at": "2027-03-01T16:05:00Z",
            "attempts": [{ "at": "2027-03-01T16:05:01Z", "took_ms": 84, "status": 503 }]
        }),
        "Review" => json!({
            "business_id": BUSINESS, "id": "006d1c8e4c9f86d081884c7d659a2fea", "booking_id": BOOKING, "client_id": CLIENT,
            "rating": 5, "text": "Marta listens.", "at": "2027-03-02T18:20:00Z"
        }),
        "ShownLinkKeys" => json!({
            "keys": [{ "id": 1, "made_at": "2027-02-28T16:00:00Z" }, { "id": 0, "made_at": "2026-11-20T12:00:00Z" }]
        }),
        "DryRun" | "Timeline" => timeline(),
        "Entry" => json!({
            "business_id": BUSINESS, "client_id": CLIENT, "id": ENTRY, "channel": "sms", "from": "staff",
            "at": "2027-02-28T16:05:00Z", "text": "Yes, you can bring your dog.", "booking_id": BOOKING, "occasion_id": OCCASION
        }),
        "Erasure" => json!({
            "business_id": BUSINESS, "client_id": CLIENT, "at": "2027-02-28T16:05:00Z", "stage": "tasks"
        }),
        "ImageUpload" => json!({
            "upload_url": "https://images.example.com/images/0199c5b8.png?X-Amz-Signature=5d41402a",
            "url": "https://images.example.com/images/0199c5b8.png",
            "expires_at": "2027-02-28T16:15:00Z"
        }),
        "Imported" => json!({
            "created": 12, "updated": 3, "unchanged": 140,
            "errors": [{ "line": 7, "field": "phone", "expected": "a phone number in E.164 form such as \"+351912345678\"" }]
        }),
        "Invited" => json!({
            "url": "https://t.me/aurora_salon_bot?start=9f86d081884c7d659a2feaa0c55ad015",
            "expires_at": "2027-03-07T16:05:00Z"
        }),
        "Location" => json!({
            "business_id": BUSINESS, "id": LOCATION, "name": "Chiado", "zone": "Europe/Lisbon", "address": "Rua Garrett 12, Lisboa",
            "map_url": "https://maps.example/aurora", "manager_ids": [STAFF]
        }),
        "MadeBooking" => {
            let mut made = booking();
            made["warnings"] = json!([{
                "kind": "already_told", "booking_id": "0199c5b8f0b07c3a9d2e4b6f8a1c3e5d",
                "told_at": "2027-02-27T18:00:00Z", "type": "booking_created", "channel": "sms"
            }]);
            made
        }
        "MadeSeries" => json!({ "id": "0199c5b8f0b17c3a9d2e4b6f8a1c3e5d", "bookings": [booking()] }),
        "Message" => timeline()["messages"][0].take(),
        "NewApiKey" => {
            let mut made = api_key();
            let secret = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
            made["api_key"] = format!("bk_{KEY}_{secret}").into();
            made
        }
        "Occasion" => json!({
            "business_id": BUSINESS, "id": OCCASION, "about": "bonus", "bonus": "accrued", "amount": { "points": 150 },
            "balance": { "points": 420 }, "client_id": CLIENT, "at": "2027-02-28T16:05:00Z", "by": "staff", "rules_version": 3,
            "withdrawn": false
        }),
        "PrevailingRules" => json!({
            "version": 3,
            "items": [{ "type": "reminder", "rule": rule(), "channels": ["email", "sms", "push"], "from": "business" }]
        }),
        "Resource" => json!({
            "business_id": BUSINESS, "id": RESOURCE, "location_id": LOCATION, "name": "Marta", "kind": "specialist", "capacity": 1,
            "staff_ids": [STAFF]
        }),
        "Rollout" => json!({ "business_id": BUSINESS, "version": 3, "bookings": 148, "done": true }),
        "Rule" => rule(),
        "Service" => json!({
            "business_id": BUSINESS, "id": SERVICE, "name": "Haircut", "duration_minutes": 45,
            "price": { "minor": 3500, "currency": "EUR" }, "rebooking_after": "28d"
        }),
        "Shown" => json!({
            "locale": "en", "text": "See you Tuesday, 2 March, Ana!",
            "sms": {
                "encoding": "gsm7", "units": 30, "segments": 1, "odd": [],
                "prices": [{ "prefix": "+351", "thousandths": 3500, "currency": "EUR" }]
            }
        }),
        "Spending" => {
            let spent = |messages: u32, segments: u32, thousandths: u32| {
                let cost = json!([{ "currency": "EUR", "thousandths": thousandths }]);
                json!({ "messages": messages, "segments": segments, "cost": cost, "unpriced": 0 })
            };
            let (sent, planned) = (spent(40, 44, 154_000), spent(12, 0, 42_000));
            json!({
                "month": "2027-03", "limit": { "minor": 5000, "currency": "EUR" }, "complete": true, "next": null,
                "sent": sent, "planned": planned,
                "by": [{ "type": "reminder", "channel": "sms", "sent": sent, "planned": planned }]
            })
        }
        "SuppressedClient" => json!({
            "client_id": CLIENT,
            "suppressions": [{ "address": "+351912345678", "cause": "stop", "since": "2027-02-01T09:30:00Z" }]
        }),
        "StaffMember" => json!({
            "business_id": BUSINESS, "id": STAFF, "name": "Marta Sousa", "phone": "+351912345670", "email": "marta@salon.example",
            "devices": [{ "id": DEVICE, "platform": "apns", "token": DEVICE_TOKEN }], "locale": "en"
        }),
        "Task" => json!({
            "business_id": BUSINESS, "id": "0199c5b8f0b27c3a9d2e4b6f8a1c3e5d", "kind": "running_late", "booking_id": BOOKING,
            "client_ids": [CLIENT], "since": "2027-03-02T10:10:00Z", "closed": { "at": "2027-03-02T10:14:00Z", "outcome": "done" }
        }),
        "Templates" => json!({
            "business_id": BUSINESS, "type": "reminder",
            "texts": [{ "channel": "sms", "locale": "en", "text": "{{ client.name }}, see you {{ booking.date }}." }],
            "blocks": [{ "locale": "en", "text": "Parking is free." }]
        }),
        "Variables" => json!({
            "items": [{ "name": "client.name", "kind": "text", "words": "how the client is addressed", "example": "Ana" }]
        }),
        "WebhookView" => json!({
            "id": WEBHOOK, "url": "https://crm.example.com/hooks/bookings", "types": ["booking.*", "task.created"],
            "description": "The CRM", "created_at": "2027-02-28T16:05:00Z", "enabled": true,
            "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
        }),
        "WaitlistEntry" => json!({
            "business_id": BUSINESS, "id": "0199c5b8f0b37c3a9d2e4b6f8a1c3e5d", "client_id": CLIENT, "location_id": LOCATION,
            "service_id": SERVICE, "from": "2027-03-02T09:00:00Z", "until": "2027-03-02T18:00:00Z", "status": "waiting"
        }),
        _ => return None,
    })
}

fn api_key() -> Value {
    json!({
        "id": KEY, "name": "Till", "role": "staff", "scopes": ["bookings:read", "bookings:write"],
        "created_at": "2027-02-28T16:05:00Z", "last_used_at": "2027-03-02T09:58:00Z"
    })
}

fn booking() -> Value {
    json!({
        "business_id": BUSINESS, "id": BOOKING, "location_id": LOCATION, "resource_id": RESOURCE, "service_id": SERVICE,
        "client_ids": [CLIENT], "start": "2027-03-02T10:00:00Z", "end": "2027-03-02T10:45:00Z", "zone": "Europe/Lisbon",
        "source": "staff", "status": "confirmed", "revision": 1, "time_revision": 1,
        "history": [{ "kind": "created", "revision": 1, "at": "2027-02-28T16:05:00Z", "by": "staff", "notify": true }],
        "confirmation": "none", "rules_version": 3, "reminders": ["24h before start", "2h before start"], "notes": "First visit",
        "price": { "minor": 3500, "currency": "EUR" }
    })
}

fn rule() -> Value {
    json!({
        "enabled": true,
        "steps": [
            { "timing": "24h before start", "channels": ["push", "email"] },
            { "timing": "at 18:00 1d before", "channels": ["sms"] }
        ],
        "strategy": "all", "late": "grace", "quiet": "advance", "while_pending": true
    })
}

fn timeline() -> Value {
    json!({
        "booking": booking(),
        "glance": { "reminder": "planned", "review_request": null, "confirmation": "none" },
        "messages": [{
            "business_id": BUSINESS, "booking_id": BOOKING, "id": MESSAGE, "type": "reminder", "step": "2h before start",
            "revision": 1, "client_id": CLIENT, "channel": "sms", "status": "planned", "due": "2027-03-02T08:00:00Z", "attempts": 0,
            "traces": [{
                "at": "2027-02-28T16:05:00Z", "rules_version": 3,
                "findings": [{ "check": "sms_option", "verdict": "pass", "because": "the business has taken the sms option" }]
            }]
        }],
        "checks": [{
            "business_id": BUSINESS, "booking_id": BOOKING, "id": "7d793037a0760186574b0282f2f435e7", "kind": "late",
            "due": "2027-03-02T10:10:00Z", "withdrawn": false
        }]
    })
}
