use serde_json::json;

use super::*;

fn schedule(expression: &str, is_rule: bool, input: Option<&str>) -> ScheduleMapping {
    ScheduleMapping {
        name: "Sweep".to_owned(),
        expression: expression.to_owned(),
        zone: "UTC".to_owned(),
        input: input.map(str::to_owned),
        is_rule,
    }
}

fn quarter_hours() -> World {
    listening_world(vec![schedule("rate(15 minutes)", false, None)])
}

#[tokio::test]
async fn a_journey_calls_the_function_at_each_of_its_times() {
    let world = quarter_hours();
    world.control("POST", "/function-schedules", r#"{"mode": "every"}"#).await;
    let stack = Watching::default();
    world.services.run_to(&stack, at("2030-01-06T00:00:00Z")).await.unwrap();
    let invoked = stack.invoked();
    assert_eq!(invoked.len(), 96);
    assert!(
        invoked.iter().all(|(function, event)| function == FUNCTION && event["source"] == "aws.scheduler")
    );
    let times: Vec<&str> = invoked.iter().map(|(_, event)| event["time"].as_str().unwrap()).collect();
    assert!(times[0].starts_with("2030-01-05T00:00:0") && times[95].starts_with("2030-01-05T23:45:0"));
}

#[tokio::test]
async fn the_stack_is_waited_for_only_after_a_function_that_wrote() {
    for (writes, expected) in [(false, 1), (true, 97)] {
        let world = quarter_hours();
        world.control("POST", "/function-schedules", r#"{"mode": "every"}"#).await;
        let stack = Watching::default();
        stack.writing.store(writes, SeqCst);
        world.services.run_to(&stack, at("2030-01-06T00:00:00Z")).await.unwrap();
        assert_eq!(stack.drained.load(SeqCst), expected, "writes: {writes}");
    }
}

#[tokio::test]
async fn a_function_that_finds_nothing_to_do_is_called_again_before_and_after_something_happens() {
    let of_day = |stack: &Watching| -> Vec<String> {
        stack.invoked().iter().map(|(_, event)| event["time"].as_str().unwrap()[8..16].to_owned()).collect()
    };
    let world = quarter_hours();
    world.schedule("noon", "at(2030-01-05T12:05:00)", "x").await;
    let stack = Watching::default();
    world.services.run_to(&stack, at("2030-01-06T00:00:00Z")).await.unwrap();
    assert_eq!(of_day(&stack), ["05T00:00", "05T12:00", "05T12:15", "05T23:45"]);
    assert_eq!(world.queues.bodies(), ["x"]);

    let stack = Watching::default();
    world.services.run_to(&stack, at("2030-02-05T00:00:00Z")).await.unwrap();
    assert_eq!(stack.invoked().len(), 31, "about once a day: {:?}", of_day(&stack));

    stack.writing.store(true, SeqCst);
    world.services.run_to(&stack, at("2030-02-06T00:00:00Z")).await.unwrap();
    assert_eq!(stack.invoked().len(), 31 + 96, "each time while there is something to do");
}

#[tokio::test]
async fn no_function_is_called_when_told_so() {
    let world = quarter_hours();
    assert_eq!(world.control("POST", "/function-schedules", r#"{"mode": "off"}"#).await.0, StatusCode::OK);
    let stack = Watching::default();
    world.services.run_to(&stack, at("2030-01-06T00:00:00Z")).await.unwrap();
    world.pass(3600, &stack).await;
    assert!(stack.invoked().is_empty());
}

#[tokio::test]
async fn a_function_that_fails_by_the_clock_is_tried_again_on_the_way() {
    let world = listening_world(vec![schedule("cron(0 3 * * ? *)", true, Some(r#"{"a":1}"#))]);
    let stack = Watching::default();
    stack.fail(true);
    world.services.run_to(&stack, at("2030-01-05T12:00:00Z")).await.unwrap();
    assert_eq!(stack.invoked(), vec![(FUNCTION.to_owned(), json!({ "a": 1 })); 3]);
    assert_eq!(world.taken(FAILURES).len(), 1);
}

#[tokio::test]
async fn a_rule_begins_after_its_first_period_and_tells_its_own_event() {
    let world = listening_world(vec![schedule("rate(1 hour)", true, None)]);
    let stack = Watching::default();
    world.pass(60, &stack).await;
    assert!(stack.invoked().is_empty());
    world.pass(3600, &stack).await;
    let [(_, event)] = &stack.invoked()[..] else { panic!("{:?}", stack.invoked()) };
    assert_eq!((&event["source"], &event["detail"]), (&json!("aws.events"), &json!({})));
    assert_eq!(event["resources"], json!(["arn:aws:events:us-east-1:000000000000:rule/feedback-Sweep"]));
    let (_, report) = world.control("GET", "/function-schedules", "").await;
    assert_eq!(
        (&report["mode"], &report["schedules"][0]["function"]),
        (&json!("needed"), &json!("feedback"))
    );
    assert_eq!(report["schedules"][0]["expression"], "rate(1 hour)");
}

#[tokio::test]
async fn what_a_sleeping_machine_missed_is_called_once() {
    let world = quarter_hours();
    let stack = Watching::default();
    world.pass(86_400, &stack).await;
    assert_eq!(stack.invoked().len(), 1);
}
