use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::error::ProvideErrorMetadata as _;
use aws_sdk_scheduler::operation::create_schedule::builders::CreateScheduleFluentBuilder;
use aws_sdk_scheduler::primitives::DateTime;
use aws_sdk_scheduler::types::builders::TargetBuilder;
use aws_sdk_scheduler::types::{
    ActionAfterCompletion, DeadLetterConfig, FlexibleTimeWindow, FlexibleTimeWindowMode, RetryPolicy,
    ScheduleState, Target,
};

use super::*;
use crate::services::Outcome;

async fn connected() -> (World, Client) {
    let world = world();
    let url = world.serve("scheduler").await;
    (world, client!(aws_sdk_scheduler, url))
}

fn target() -> TargetBuilder {
    Target::builder().arn(QUEUE).role_arn(ROLE).input("hello")
}

fn off() -> FlexibleTimeWindow {
    FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build().unwrap()
}

fn create(client: &Client, name: &str, expression: &str) -> CreateScheduleFluentBuilder {
    client
        .create_schedule()
        .name(name)
        .group_name("bookings")
        .schedule_expression(expression)
        .flexible_time_window(off())
        .target(target().build().unwrap())
}

/// Error code and message.
macro_rules! refused {
    ($call:expr) => {{
        let error = $call.send().await.unwrap_err();
        (error.code().unwrap_or_default().to_owned(), error.message().unwrap_or_default().to_owned())
    }};
}

#[tokio::test]
async fn a_schedule_is_shown_with_the_defaults_of_aws() {
    let (_world, client) = connected().await;
    let created = create(&client, "one", "at(2030-02-01T10:00:00)").send().await.unwrap();
    assert_eq!(created.schedule_arn(), "arn:aws:scheduler:us-east-1:000000000000:schedule/bookings/one");
    let shown = client.get_schedule().name("one").group_name("bookings").send().await.unwrap();
    assert_eq!(shown.arn(), Some(created.schedule_arn()));
    assert_eq!(shown.state(), Some(&ScheduleState::Enabled));
    assert_eq!(shown.schedule_expression_timezone(), Some("UTC"));
    assert_eq!(shown.action_after_completion(), Some(&ActionAfterCompletion::None));
    let retry = shown.target().unwrap().retry_policy().unwrap();
    assert_eq!(
        (retry.maximum_retry_attempts(), retry.maximum_event_age_in_seconds()),
        (Some(185), Some(86_400))
    );
    assert_eq!(shown.creation_date().unwrap().secs(), at("2030-01-05T00:00:00Z").as_second());
}

#[tokio::test]
async fn an_existing_name_conflicts_and_a_missing_one_is_not_found() {
    let (_world, client) = connected().await;
    create(&client, "one", "rate(1 hour)").send().await.unwrap();
    let again = refused!(create(&client, "one", "rate(1 hour)"));
    assert_eq!(again, ("ConflictException".into(), "Schedule one already exists.".into()));
    let other_group = refused!(create(&client, "one", "rate(1 hour)").group_name("nowhere"));
    assert_eq!(
        other_group,
        ("ResourceNotFoundException".into(), "Schedule group nowhere does not exist.".into())
    );
    let missing = client.get_schedule().name("two").send().await.unwrap_err();
    assert_eq!(missing.raw_response().unwrap().status().as_u16(), 404);
    assert!(missing.into_service_error().is_resource_not_found_exception());
    assert_eq!(refused!(client.delete_schedule().name("two")).0, "ResourceNotFoundException");
    let update = client
        .update_schedule()
        .name("two")
        .schedule_expression("rate(1 hour)")
        .flexible_time_window(off())
        .target(target().build().unwrap());
    assert_eq!(refused!(update).1, "Schedule two does not exist.");
}

#[tokio::test]
async fn a_client_token_repeats_the_answer_and_refuses_other_parameters() {
    let (_world, client) = connected().await;
    let first = create(&client, "one", "rate(1 hour)").client_token("t-1").send().await.unwrap();
    let repeated = create(&client, "one", "rate(1 hour)").client_token("t-1").send().await.unwrap();
    assert_eq!(first.schedule_arn(), repeated.schedule_arn());
    assert_eq!(refused!(create(&client, "one", "rate(2 hours)").client_token("t-1")).0, "ConflictException");
    assert_eq!(refused!(create(&client, "two", "rate(1 hour)").client_token("t-1")).0, "ConflictException");
    let delete = || client.delete_schedule().name("one").group_name("bookings").client_token("t-2").send();
    delete().await.unwrap();
    delete().await.unwrap();
}

#[tokio::test]
async fn what_aws_refuses_is_refused_in_its_words() {
    let (_world, client) = connected().await;
    let with_target =
        |target: TargetBuilder| create(&client, "x", "rate(1 hour)").target(target.build().unwrap());
    let retry = |age, attempts| {
        RetryPolicy::builder().maximum_event_age_in_seconds(age).maximum_retry_attempts(attempts).build()
    };
    let window = |minutes| {
        FlexibleTimeWindow::builder()
            .mode(FlexibleTimeWindowMode::Flexible)
            .set_maximum_window_in_minutes(minutes)
            .build()
            .unwrap()
    };
    let cases = [
        (create(&client, "with space", "rate(1 hour)"), "at 'name' failed to satisfy constraint"),
        (
            create(&client, &"n".repeat(65), "rate(1 hour)"),
            "Member must have length less than or equal to 64",
        ),
        (create(&client, "x", "cron(0 1 * * * *)"), "Invalid Schedule Expression cron(0 1 * * * *)."),
        (create(&client, "x", "at(2030-02-01T10:00:00Z)"), "Invalid Schedule Expression"),
        (
            create(&client, "x", "rate(1 hour)").schedule_expression_timezone("Mars/Phobos"),
            "Timezone Mars/Phobos",
        ),
        (create(&client, "x", "rate(1 hour)").flexible_time_window(window(None)), "MaximumWindowInMinutes"),
        (
            create(&client, "x", "rate(1 hour)").flexible_time_window(window(Some(1441))),
            "less than or equal to 1440",
        ),
        (
            create(&client, "x", "rate(1 hour)").state(ScheduleState::from("PAUSED")),
            "enum value set: [ENABLED, DISABLED]",
        ),
        (create(&client, "x", "rate(1 hour)").client_token("no spaces"), "at 'clientToken'"),
        (
            create(&client, "x", "rate(1 hour)")
                .start_date(DateTime::from_secs(200))
                .end_date(DateTime::from_secs(100)),
            "StartDate must be before EndDate",
        ),
        (with_target(target().arn("queue")), "Provided Arn is not in correct format."),
        (
            with_target(target().arn("arn:aws:lambda:us-east-1:000000000000:function:f")),
            "standard SQS queues only",
        ),
        (with_target(target().role_arn("role")), "at 'target.roleArn'"),
        (with_target(target().input("x".repeat(262_145))), "at 'target.input'"),
        (
            with_target(target().dead_letter_config(DeadLetterConfig::builder().arn("dlq").build())),
            "deadLetterConfig.arn",
        ),
        (with_target(target().retry_policy(retry(59, 1))), "greater than or equal to 60"),
        (with_target(target().retry_policy(retry(60, 186))), "less than or equal to 185"),
    ];
    for (call, expected) in cases {
        let (code, message) = refused!(call);
        assert_eq!(code, "ValidationException", "{message}");
        assert!(message.contains(expected), "{message} lacks {expected}");
    }
    let list = client.list_schedules().send().await.unwrap();
    assert!(list.schedules().is_empty());
}

#[tokio::test]
async fn lists_go_by_pages_and_filters() {
    let (_world, client) = connected().await;
    client.create_schedule_group().name("other").send().await.unwrap();
    for name in ["a-1", "a-2", "a-3", "b-1"] {
        create(&client, name, "rate(1 hour)").send().await.unwrap();
    }
    create(&client, "a-4", "rate(1 hour)")
        .group_name("other")
        .state(ScheduleState::Disabled)
        .send()
        .await
        .unwrap();

    let mut names = Vec::new();
    let mut pages = client.list_schedules().name_prefix("a-").into_paginator().page_size(2).send();
    let mut count = 0;
    while let Some(page) = pages.next().await {
        names.extend(page.unwrap().schedules().iter().map(|s| s.name().unwrap().to_owned()));
        count += 1;
    }
    assert_eq!((names, count), (["a-1", "a-2", "a-3", "a-4"].map(str::to_owned).to_vec(), 2));
    let disabled = client.list_schedules().state(ScheduleState::Disabled).send().await.unwrap();
    assert_eq!(disabled.schedules().len(), 1);
    let other = client.list_schedules().group_name("other").send().await.unwrap();
    assert_eq!(other.schedules()[0].target().unwrap().arn(), QUEUE);
    assert_eq!(refused!(client.list_schedules().next_token("nonsense")).0, "ValidationException");

    let groups = client.list_schedule_groups().send().await.unwrap();
    let names: Vec<_> = groups.schedule_groups().iter().map(|g| g.name().unwrap()).collect();
    assert_eq!(names, ["bookings", "default", "other"]);
    client.delete_schedule_group().name("other").send().await.unwrap();
    assert!(client.get_schedule_group().name("other").send().await.is_err());
    assert!(client.get_schedule().name("a-4").group_name("other").send().await.is_err());
    assert_eq!(refused!(client.create_schedule_group().name("bookings")).0, "ConflictException");
}

#[tokio::test]
async fn context_attributes_are_filled_in() {
    let (world, client) = connected().await;
    let input = r#"{"arn":"<aws.scheduler.schedule-arn>","at":"<aws.scheduler.scheduled-time>","id":"<aws.scheduler.execution-id>","n":<aws.scheduler.attempt-number>}"#;
    create(&client, "one", "at(2030-01-05T02:00:00)")
        .schedule_expression_timezone("Europe/Berlin")
        .target(target().input(input).build().unwrap())
        .send()
        .await
        .unwrap();
    world.services.run_to(&Idle, at("2030-01-05T03:00:00Z")).await.unwrap();
    let body: Value = serde_json::from_str(&world.queues.bodies()[0]).unwrap();
    assert_eq!(body["arn"], "arn:aws:scheduler:us-east-1:000000000000:schedule/bookings/one");
    assert_eq!(body["at"], "2030-01-05T01:00:00Z");
    assert_eq!(body["n"], 1);
    assert_eq!(body["id"].as_str().unwrap().len(), 16);
}

#[tokio::test]
async fn a_time_that_has_passed_fires_at_once_by_the_background_task() {
    let (world, client) = connected().await;
    let services = world.services.clone();
    let running = tokio::spawn(async move { services.run(&Idle).await });
    create(&client, "late", "at(2029-12-31T00:00:00)")
        .action_after_completion(ActionAfterCompletion::Delete)
        .send()
        .await
        .unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(900)).await;
    running.abort();
    assert_eq!(world.queues.bodies(), ["hello"]);
    assert!(client.get_schedule().name("late").group_name("bookings").send().await.is_err());
}

#[tokio::test]
async fn a_completed_schedule_stays_unless_it_deletes_itself() {
    let (world, client) = connected().await;
    create(&client, "stays", "at(2030-01-05T01:00:00)").send().await.unwrap();
    world.services.run_to(&Idle, at("2030-01-06T00:00:00Z")).await.unwrap();
    assert_eq!(world.queues.bodies().len(), 1);
    assert!(client.get_schedule().name("stays").group_name("bookings").send().await.is_ok());
    assert!(world.services.scheduler.pending().is_empty());
}

#[tokio::test]
async fn disabled_schedules_do_not_fire_and_an_update_replaces_what_was_due() {
    let (world, client) = connected().await;
    create(&client, "off", "at(2030-01-05T01:00:00)").state(ScheduleState::Disabled).send().await.unwrap();
    create(&client, "moved", "at(2030-01-05T01:00:00)").send().await.unwrap();
    create(&client, "gone", "at(2030-01-05T01:00:00)").send().await.unwrap();
    client.delete_schedule().name("gone").group_name("bookings").send().await.unwrap();
    client
        .update_schedule()
        .name("moved")
        .group_name("bookings")
        .schedule_expression("at(2030-01-05T04:00:00)")
        .flexible_time_window(off())
        .target(target().input("moved").build().unwrap())
        .send()
        .await
        .unwrap();
    let fired = world.services.run_to(&Idle, at("2030-01-06T00:00:00Z")).await.unwrap();
    assert_eq!(fired.len(), 1);
    assert_eq!(fired[0].scheduled_at, at("2030-01-05T04:00:00Z"));
    assert_eq!(world.queues.bodies(), ["moved"]);
}

#[tokio::test]
async fn rates_and_crons_repeat_between_their_dates_and_then_delete_themselves() {
    let (world, client) = connected().await;
    let date = |text| DateTime::from_secs(at(text).as_second());
    create(&client, "rate", "rate(6 hours)")
        .start_date(date("2030-01-05T12:00:00Z"))
        .end_date(date("2030-01-06T00:00:00Z"))
        .action_after_completion(ActionAfterCompletion::Delete)
        .send()
        .await
        .unwrap();
    create(&client, "cron", "cron(0 9 * * ? *)")
        .schedule_expression_timezone("America/New_York")
        .send()
        .await
        .unwrap();
    let fired = world.services.run_to(&Idle, at("2030-01-07T00:00:00Z")).await.unwrap();
    let told: Vec<_> = fired.iter().map(|f| (f.name.as_str(), f.scheduled_at.to_string())).collect();
    let expected = [
        ("rate", "2030-01-05T12:00:00Z"),
        ("cron", "2030-01-05T14:00:00Z"),
        ("rate", "2030-01-05T18:00:00Z"),
        ("rate", "2030-01-06T00:00:00Z"),
        ("cron", "2030-01-06T14:00:00Z"),
    ];
    assert_eq!(told, expected.map(|(name, at)| (name, at.to_owned())));
    assert!(client.get_schedule().name("rate").group_name("bookings").send().await.is_err());
    assert_eq!(world.services.scheduler.next_due(), Some(at("2030-01-07T14:00:00Z")));
}

#[tokio::test]
async fn a_refusing_queue_is_tried_again_and_then_the_input_goes_to_the_dead_letter_queue() {
    let (world, client) = connected().await;
    lock(&world.queues.refusing).insert(QUEUE);
    let policy = RetryPolicy::builder().maximum_retry_attempts(2).maximum_event_age_in_seconds(3600).build();
    create(&client, "one", "at(2030-01-05T01:00:00)")
        .action_after_completion(ActionAfterCompletion::Delete)
        .target(
            target()
                .input("attempt <aws.scheduler.attempt-number>")
                .retry_policy(policy)
                .dead_letter_config(DeadLetterConfig::builder().arn(DLQ).build())
                .build()
                .unwrap(),
        )
        .send()
        .await
        .unwrap();
    let fired = world.services.run_to(&Idle, at("2030-01-05T02:00:00Z")).await.unwrap();
    let outcomes: Vec<_> = fired.into_iter().map(|f| f.outcome).collect();
    assert_eq!(outcomes, [Outcome::Retry, Outcome::Retry, Outcome::DeadLetter]);
    assert_eq!(*lock(&world.queues.taken), [(DLQ.to_owned(), "attempt 3".to_owned())]);
    assert!(client.get_schedule().name("one").group_name("bookings").send().await.is_err());
}

#[tokio::test]
async fn retries_end_with_the_event_age_too() {
    let (world, client) = connected().await;
    lock(&world.queues.refusing).insert(QUEUE);
    let policy = RetryPolicy::builder().maximum_retry_attempts(185).maximum_event_age_in_seconds(60).build();
    create(&client, "one", "at(2030-01-05T01:00:00)")
        .target(target().retry_policy(policy).build().unwrap())
        .send()
        .await
        .unwrap();
    let fired = world.services.run_to(&Idle, at("2030-01-05T02:00:00Z")).await.unwrap();
    assert_eq!(fired.last().unwrap().outcome, Outcome::Dropped);
    // At 0, 1, 3, 7, 15 and 31 seconds; the next, at 63, would be too old.
    assert_eq!(fired.len(), 6);
}

#[tokio::test]
async fn kept_schedules_outlive_the_stack() {
    let first = world_with(|config| config.keep = true);
    first.schedule("one", "at(2030-01-05T01:00:00)", "kept").await;
    first.services.save();
    let second = Services::new(first.clock.clone(), first.queues.clone(), first.services.config.clone());
    let fired = second.run_to(&Idle, at("2030-01-05T02:00:00Z")).await.unwrap();
    assert_eq!((fired.len(), first.queues.bodies()), (1, vec!["kept".to_owned()]));
    assert!(second.scheduler.pending().is_empty());
}

#[tokio::test]
async fn by_default_a_refusing_queue_is_tried_for_a_day() {
    let (world, client) = connected().await;
    lock(&world.queues.refusing).insert(QUEUE);
    create(&client, "one", "at(2030-01-05T01:00:00)").send().await.unwrap();
    let fired = world.services.run_to(&Idle, at("2030-01-07T00:00:00Z")).await.unwrap();
    assert_eq!(fired.last().unwrap().outcome, Outcome::Dropped);
    // Ten waits that double make 1023 seconds; then every ten minutes until 86,400.
    assert_eq!(fired.len(), 1 + 10 + 142);
}
