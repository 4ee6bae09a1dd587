use super::*;
use crate::services::RunToError;

/// A stack that follows up on what the queues took, as functions do: a body `make name at(…)` makes a schedule of that name.
struct Following {
    world: World,
    followed: Mutex<usize>,
    hidden_until: Mutex<Option<Timestamp>>,
    made_visible: Mutex<Vec<Timestamp>>,
}

impl Following {
    fn new(world: World) -> Self {
        Self {
            world,
            followed: Mutex::default(),
            hidden_until: Mutex::default(),
            made_visible: Mutex::default(),
        }
    }
}

impl Stack for Following {
    fn drained(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async {
            let bodies = self.world.queues.bodies();
            let new = std::mem::replace(&mut *lock(&self.followed), bodies.len());
            for body in &bodies[new..] {
                if let Some((name, expression)) =
                    body.strip_prefix("make ").and_then(|rest| rest.split_once(' '))
                {
                    self.world.schedule(name, expression, "made on the way").await;
                }
            }
            Ok(())
        })
    }

    fn next_visible(&self) -> Option<Timestamp> {
        *lock(&self.hidden_until)
    }

    fn make_visible(&self, instant: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            *lock(&self.hidden_until) = None;
            lock(&self.made_visible).push(instant);
            assert!(self.world.clock.now() >= instant);
        })
    }

    fn invoke(&self, _: &str, _: String) -> BoxFuture<'_, Option<Invocation>> {
        Box::pin(async { None })
    }

    fn request(&self, request: Request<Body>) -> BoxFuture<'_, Response> {
        Idle.request(request)
    }
}

#[tokio::test]
async fn what_a_firing_schedules_for_earlier_fires_before_what_was_scheduled_for_later() {
    let stack = Following::new(world());
    stack.world.schedule("late", "at(2030-01-05T10:00:00)", "late").await;
    stack.world.schedule("early", "at(2030-01-05T08:00:00)", "make between at(2030-01-05T09:00:00)").await;
    stack.world.schedule("after", "at(2030-01-07T00:00:00)", "after").await;
    let fired = stack.world.services.run_to(&stack, at("2030-01-06T00:00:00Z")).await.unwrap();
    let names: Vec<_> = fired.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["early", "between", "late"]);
    assert_eq!(fired[1].scheduled_at, at("2030-01-05T09:00:00Z"));
    let now = stack.world.clock.now();
    assert!(now >= at("2030-01-06T00:00:00Z") && now < at("2030-01-06T00:01:00Z"), "{now}");
    assert_eq!(stack.world.services.scheduler.next_due(), Some(at("2030-01-07T00:00:00Z")));
}

#[tokio::test]
async fn hidden_messages_become_visible_in_their_place() {
    let stack = Following::new(world());
    stack.world.schedule("one", "at(2030-01-05T08:00:00)", "one").await;
    *lock(&stack.hidden_until) = Some(at("2030-01-05T07:00:00Z"));
    stack.world.services.run_to(&stack, at("2030-01-05T09:00:00Z")).await.unwrap();
    assert_eq!(*lock(&stack.made_visible), [at("2030-01-05T07:00:00Z")]);
    assert_eq!(stack.world.queues.bodies(), ["one"]);
}

#[tokio::test]
async fn every_occurrence_of_a_rate_fires() {
    let world = world();
    world.schedule("rate", "rate(1 hour)", "tick").await;
    let fired = world.services.run_to(&Idle, at("2030-01-06T00:00:00Z")).await.unwrap();
    assert_eq!(fired.len(), 24);
}

#[tokio::test]
async fn the_clock_does_not_go_back() {
    let world = world();
    let error = world.services.run_to(&Idle, at("2029-12-31T00:00:00Z")).await.unwrap_err();
    assert!(
        error.to_string().starts_with("2029-12-31T00:00:00Z has passed already: it is 2030-01-05T00:00:0"),
        "{error}"
    );
}

#[tokio::test]
async fn a_stack_that_does_not_rest_stops_the_journey() {
    struct Busy;
    impl Stack for Busy {
        fn drained(&self) -> BoxFuture<'_, Result<(), String>> {
            Box::pin(async { Err("deliver-sms is running".to_owned()) })
        }
        fn next_visible(&self) -> Option<Timestamp> {
            None
        }
        fn make_visible(&self, _: Timestamp) -> BoxFuture<'_, ()> {
            Box::pin(async {})
        }
        fn invoke(&self, _: &str, _: String) -> BoxFuture<'_, Option<Invocation>> {
            Box::pin(async { None })
        }
        fn request(&self, _: Request<Body>) -> BoxFuture<'_, Response> {
            Box::pin(async { StatusCode::NOT_FOUND.into_response() })
        }
    }
    let world = world();
    let error = world.services.run_to(&Busy, at("2031-01-01T00:00:00Z")).await.unwrap_err();
    assert!(error.to_string().ends_with("the stack is still busy: deliver-sms is running"), "{error}");
    assert!(world.clock.now() < at("2030-01-06T00:00:00Z"));
}

#[tokio::test]
async fn endless_firing_is_stopped() {
    let world = world();
    world.schedule("minute", "rate(1 minute)", "tick").await;
    let error = world.services.run_to(&Idle, at("2031-01-01T00:00:00Z")).await.unwrap_err();
    assert!(matches!(error, RunToError::TooMany { .. }), "{error}");
}
