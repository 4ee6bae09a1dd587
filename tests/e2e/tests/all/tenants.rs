//! Who may see what.

use serde_json::json;

use crate::salon::{Salon, TOKYO};
use crate::stack::Stack;

#[test]
fn without_a_key_401_and_with_a_wrong_one_403() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let other_secret = format!("{}{}", &salon.key[..salon.key.len() - 4], "0000");
    let before = salon.everything();
    for (path, body) in
        [("/v1/clients", None), ("/v1/locations", Some(json!({ "name": "x", "zone": TOKYO })))]
    {
        let call = |http: &crate::http::Http| match &body {
            None => http.get(path),
            Some(body) => http.post(path, body),
        };
        assert_eq!(call(&stack.api).status, 401, "{path} without a key");
        let wrong = [
            "Bearer nonsense".to_owned(),
            format!("Bearer {other_secret}"),
            format!("Bearer {}", &salon.key[..30]),
            format!("Basic {}", salon.key),
            salon.key.clone(),
            "Bearer".to_owned(),
            format!("Bearer bk_{}_{}", "0".repeat(16), "0".repeat(64)),
        ];
        for header in wrong {
            assert_eq!(call(&stack.api.with("authorization", &header)).status, 403, "{path} with {header}");
        }
    }
    assert_eq!(salon.everything(), before);
}

#[test]
fn a_key_never_opens_another_business() {
    let stack = Stack::start();
    let ours = Salon::open(&stack, TOKYO);
    let theirs = Salon::open(&stack, TOKYO);
    let booking = theirs.book(&theirs.day(2, "15:00"));
    let late = theirs.day(2, "15:11");
    theirs.run_to(&late);
    assert_eq!(theirs.tasks().len(), 1, "a task that could be seen");
    let before = theirs.everything();

    let seen: String =
        ["business", "rules", "locations", "resources", "services", "clients", "clients?limit=1", "tasks"]
            .iter()
            .map(|list| ours.api.get(&format!("/v1/{list}")).ok().to_string())
            .collect();
    let ids = [&theirs.location, &theirs.resource, &theirs.service, &theirs.client.id, &booking];
    for id in ids {
        assert!(!seen.contains(id.as_str()), "{id} of another business is in a list");
        // Their ids as cursors: no way into their lists either.
        for list in ["locations", "resources", "services", "clients", "tasks"] {
            let page = ours.api.get(&format!("/v1/{list}?cursor={id}"));
            assert!(page.status < 500);
            assert!(!page.json["items"].to_string().contains(id.as_str()), "{list} after {id}");
        }
    }
    assert!(!seen.contains(&theirs.client.phone));

    let client = json!({ "name": "Mallory" });
    let start = json!({ "start": theirs.day(4, "15:00").datetime().to_string() });
    let device = json!({ "platform": "fcm", "token": "mallorys" });
    let location = json!({ "name": "x", "zone": TOKYO });
    let service = json!({ "name": "x", "duration_minutes": 5 });
    let resource = json!({ "name": "x", "kind": "room", "location_id": ours.location });
    let [l, r, s, c, b] = ids;
    let calls = [
        ("GET", format!("/v1/locations/{l}"), json!(null), "location"),
        ("PUT", format!("/v1/locations/{l}"), location, "location"),
        ("GET", format!("/v1/resources/{r}"), json!(null), "resource"),
        ("PUT", format!("/v1/resources/{r}"), resource, "resource"),
        ("GET", format!("/v1/services/{s}"), json!(null), "service"),
        ("PUT", format!("/v1/services/{s}"), service, "service"),
        ("GET", format!("/v1/clients/{c}"), json!(null), "client"),
        ("PUT", format!("/v1/clients/{c}"), client, "client"),
        ("POST", format!("/v1/clients/{c}/devices"), device, "client"),
        ("GET", format!("/v1/bookings/{b}"), json!(null), "booking"),
        ("GET", format!("/v1/bookings/{b}/timeline"), json!(null), "booking"),
        ("POST", format!("/v1/bookings/{b}/confirm"), json!({}), "booking"),
        ("POST", format!("/v1/bookings/{b}/reschedule"), start, "booking"),
        ("POST", format!("/v1/bookings/{b}/cancel"), json!({}), "booking"),
        ("POST", format!("/v1/bookings/{b}/arrive"), json!({}), "booking"),
        ("POST", format!("/v1/bookings/{b}/complete"), json!({}), "booking"),
        ("POST", format!("/v1/bookings/{b}/no-show"), json!({}), "booking"),
    ];
    for (method, path, body, what) in calls {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = ours.api.send(method, &path, body);
        assert_eq!((answer.status, answer.problem()), (404, "not-found"), "{method} {path}");
        assert_eq!(
            answer.json["detail"],
            format!("There is no {what} with this id."),
            "as if it did not exist"
        );
    }
    stack.settle();
    assert_eq!(theirs.everything(), before, "nothing of theirs has changed");
}
