//! A campaign over a client base through the real binaries: at its pace, held up, gone on with, and with a change of mind on the way.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::salon::{Salon, TOKYO};
use crate::stack::{Stack, instant};

const CLIENTS: usize = 180;

/// What left, as phone and instant, in the order in which it did.
fn left(stack: &Stack) -> Vec<(String, Timestamp)> {
    let outbox = stack.outbox();
    let sms = outbox.iter().filter(|entry| entry["channel"] == "sms");
    let mut left: Vec<(String, Timestamp)> =
        sms.map(|entry| (entry["to"].as_str().unwrap().to_owned(), instant(&entry["at"]))).collect();
    left.sort_by_key(|(_, at)| *at);
    left
}

#[test]
fn s43_s46_a_campaign_to_many_keeps_its_pace_its_pauses_and_each_clients_word() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let card = |number: usize| {
        json!({
            "name": "Someone", "phone": format!("+35193{number:07}"), "marketing_consent": true, "tags": ["regular"],
        })
    };
    let ids: Vec<String> =
        (0..CLIENTS).map(|number| salon.api.post("/v1/clients", &card(number)).id()).collect();
    let campaign = json!({
        "name": "Spring", "filter": { "tags": ["regular"] }, "channels": ["sms"], "text": "Spring, {{ client.name }}!",
        "per_minute": 60,
    });
    let id = salon.api.post("/v1/campaigns", &campaign).id();
    let path = format!("/v1/campaigns/{id}");
    let preview = salon.api.post(&format!("{path}/preview"), &json!({})).ok();
    assert_eq!((&preview["chosen"], &preview["looked_at"]), (&json!(CLIENTS), &json!(CLIENTS + 1)));
    let chosen = || salon.api.get(&path).ok()["progress"]["chosen"].as_u64().unwrap();
    let step = |step: &str| salon.api.post(&format!("{path}/{step}"), &json!({})).ok();

    let begun = stack.now();
    step("start");
    stack.run_on(SignedDuration::from_secs(95));
    assert_eq!(step("pause")["status"], "paused");
    stack.run_on(SignedDuration::from_hours(1));
    let before_the_pause = chosen();
    let left_by_then = left(&stack);
    assert_eq!(left_by_then.len() as u64, before_the_pause, "whoever was chosen has heard of it");
    // Ten at a time: one a second, from the first on.
    assert!((90..=110).contains(&before_the_pause), "{before_the_pause}");
    let paced = left_by_then.iter().all(|(_, at)| {
        let so_far = left_by_then.iter().filter(|(_, other)| other <= at).count();
        let seconds = usize::try_from(at.duration_since(begun).as_secs()).unwrap();
        so_far <= seconds + 5 + 10
    });
    assert!(paced, "{left_by_then:?}");

    // Night falls, so nobody is chosen until it ends; one client thinks better of it meanwhile.
    salon.api.patch("/v1/business", &json!({ "quiet_hours": { "from": "11:00", "until": "13:00" } })).ok();
    step("resume");
    stack.run_on(SignedDuration::from_mins(5));
    let done = salon.api.get(&path).ok();
    assert_eq!((&done["status"], &done["progress"]["chosen"]), (&json!("running"), &json!(before_the_pause)));
    assert_eq!(left(&stack).len() as u64, before_the_pause);
    let waits = ids.last().unwrap();
    let mut changed = card(CLIENTS - 1);
    changed["marketing_consent"] = json!(false);
    salon.api.put(&format!("/v1/clients/{waits}"), &changed).ok();
    salon.run_to(&salon.day(0, "13:10"));
    let done = salon.api.get(&path).ok();
    assert_eq!((&done["status"], &done["progress"]["chosen"]), (&json!("completed"), &json!(CLIENTS - 1)));
    assert_eq!(done["progress"]["no_consent"], 1);

    let left = left(&stack);
    let phones: BTreeSet<&str> = left.iter().map(|(phone, _)| phone.as_str()).collect();
    assert_eq!((left.len(), phones.len()), (CLIENTS - 1, CLIENTS - 1), "each once");
    let again = salon.api.post(&format!("{path}/start"), &json!({}));
    assert_eq!(again.status, 409);
}
