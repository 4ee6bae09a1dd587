//! What holds whatever is done, in whatever order, in whatever zone.

use super::*;
use crate::booking::Failure;
use crate::quiet_hours::QuietHours;
use crate::rule::Ending;
use crate::zone::Zone;
use crate::zone::tests::ZONES;
use NotificationType as Type;
use jiff::civil::Time;
use proptest::collection::{btree_set, vec};
use proptest::prelude::{Just, ProptestConfig, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;
use proptest::strategy::Strategy as Generator;
use std::collections::BTreeMap;

/// Something that happens in the random tests.
#[derive(Debug, Clone)]
enum Deed {
    Operate(u8, Notify),
    ChangeRules(u8),
    ChangeCard(u8),
    Send(usize),
    Fail(usize),
    Wait(i64),
}

fn deeds(most: usize) -> impl Generator<Value = Vec<Deed>> {
    let notify =
        prop_oneof![Just(Notify::ByRules), Just(Notify::Yes), Just(Notify::NoSms), Just(Notify::Nothing)];
    let one = prop_oneof![
        6 => (0..16u8, notify).prop_map(|(which, notify)| Deed::Operate(which, notify)),
        2 => (0..7u8).prop_map(Deed::ChangeRules),
        1 => (0..4u8).prop_map(Deed::ChangeCard),
        2 => any::<usize>().prop_map(Deed::Send),
        1 => any::<usize>().prop_map(Deed::Fail),
        3 => (1..2000i64).prop_map(Deed::Wait),
    ];
    vec(one, 1..most)
}

/// A salon with two clients, staff and all that can be called for, and its ledger.
struct World {
    facts: Facts,
    ledger: Vec<Message>,
    checks: Vec<CheckRow>,
    now: Timestamp,
}

impl World {
    fn new() -> Self {
        let mut facts = salon_with_staff();
        facts.clients.push(client("c2"));
        facts.business.no_show_after_minutes = Some(30.try_into().unwrap());
        facts.service.as_mut().unwrap().rebooking_after = "21d".to_owned().try_into().ok();
        facts.rule_mut(Type::ConfirmationRequest).enabled = true;
        facts.rule_mut(Type::NoShowRecovery).after = [Ending::Cancelled, Ending::NoShow].into();
        facts.booking_mut().status = Status::Pending;
        Self { facts, ledger: vec![], checks: vec![], now: at("2026-11-20T12:00:00Z") }
    }

    fn after(deeds: &[Deed]) -> Self {
        let mut world = Self::new();
        for deed in deeds {
            world.apply(deed);
        }
        world
    }

    fn apply(&mut self, deed: &Deed) {
        match *deed {
            Deed::Wait(minutes) => self.now += SignedDuration::from_mins(minutes),
            Deed::Operate(which, notify) => self.operate(which, notify),
            Deed::ChangeRules(which) => self.change_rules(which),
            Deed::ChangeCard(which) => self.change_card(which),
            Deed::Send(index) => {
                self.settle(index, MessageStatus::Accepted);
            }
            Deed::Fail(index) => {
                if let Some(message_id) = self.settle(index, MessageStatus::Failed)
                    && let Some(booking) =
                        self.facts.booking_mut().failed(Failure { message_id, at: self.now })
                {
                    *self.facts.booking_mut() = booking;
                }
            }
        }
    }

    fn settle(&mut self, index: usize, status: MessageStatus) -> Option<MessageId> {
        let (now, many) = (self.now, self.ledger.len());
        let message = self.ledger.get_mut(index.checked_rem(many)?)?;
        (message.status.is_open() && message.due <= now).then(|| {
            message.status = status;
            message.id.clone()
        })
    }

    fn operate(&mut self, which: u8, notify: Notify) {
        let hours = SignedDuration::from_hours;
        let participants =
            |ids: &[&str]| Operation::Participants(ids.iter().map(|id| id.parse().unwrap()).collect());
        let operation = match which {
            0 => Operation::Confirm,
            1 => Operation::Cancel,
            2 => Operation::Arrive,
            3 => Operation::Complete,
            4 => Operation::NoShow,
            5 => Operation::RunLate,
            6 => Operation::Reschedule { start: self.now + hours(30), end: self.now + hours(31) },
            7 => Operation::Reschedule { start: self.now + hours(3), end: self.now + hours(4) },
            8 => Operation::Change { resource_id: "r".parse().unwrap(), service_id: "s".parse().unwrap() },
            9 => participants(&["c"]),
            10 => participants(&["c", "c2"]),
            11 => participants(&["c2"]),
            12 => Operation::RequestConfirmation,
            13 => Operation::Answer(true),
            14 => Operation::Answer(false),
            _ => Operation::StayUnconfirmed,
        };
        if let Ok(booking) = self.facts.booking_mut().after(operation, self.now, Source::Staff, notify) {
            *self.facts.booking_mut() = booking;
        }
    }

    fn change_rules(&mut self, which: u8) {
        let facts = &mut self.facts;
        facts.rules.version += 1;
        match which {
            0 => facts.rule_mut(Type::Reminder).steps = rule(&[("20h before start", &Channel::ALL)]).steps,
            1 => facts.rule_mut(Type::BookingCreated).enabled ^= true,
            2 => facts.rule_mut(Type::BookingRescheduled).strategy = Strategy::Cascade,
            3 => facts.rule_mut(Type::Reminder).while_pending ^= true,
            4 => facts.rule_mut(Type::Reminder).strategy = Strategy::Cascade,
            5 => {
                let off = Rule { enabled: false, ..rule(&[]) };
                let version = facts.rules.version;
                let resource = facts.resource.take().unwrap();
                facts.resource = Some(resource.overridden([(Type::BookingCancelled, off)].into(), version));
            }
            _ => facts.rules.changed.clear(),
        }
    }

    fn change_card(&mut self, which: u8) {
        let client = &mut self.facts.clients[0];
        match which {
            0 => drop(client.bans.channels.insert(Channel::Sms)),
            1 => drop(client.bans.types.insert(Type::Reminder)),
            2 => client.bans = Bans::none(),
            _ => client.phone = client.phone.take().xor("+351912345678".parse().ok()),
        }
    }

    fn reconcile(&mut self) -> bool {
        applied(&self.facts, &mut self.ledger, &mut self.checks, self.now)
    }
}

/// What leaves, to whom and when.
fn outcomes(plan: &Plan) -> BTreeMap<MessageId, Outcome> {
    plan.messages.iter().map(|message| (message.id.clone(), message.outcome)).collect()
}

/// What a booking that is over, or a visit that has begun, may still owe: the news of that.
fn is_news_of_the_end(kind: Type) -> bool {
    matches!(
        kind,
        Type::BookingCancelled
            | Type::StaffBookingCancelled
            | Type::MissedBooking
            | Type::NoShowRecovery
            | Type::ReviewRequest
            | Type::RebookingReminder
    )
}

/// Whether `instant` lies, by the wall in `zone`, from `from` to `until`.
fn by_the_wall(from: Time, until: Time, zone: &Zone, instant: Timestamp) -> bool {
    let wall = zone.at(instant).time();
    if from < until { from <= wall && wall < until } else { from <= wall || wall < until }
}

/// Whether the clocks of `zone` change within three hours of `instant`.
fn clocks_change_near(zone: &Zone, instant: Timestamp) -> bool {
    let hours = SignedDuration::from_hours(3);
    zone.at(instant - hours).offset() != zone.at(instant + hours).offset()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Reconciling twice changes nothing; of a type, step, recipient and channel at most one message is open; nothing that has left is
    /// ever touched; a booking that is over owes nothing but the news of it, and a visit that has begun neither.
    #[test]
    fn any_sequence_of_deeds_leaves_a_sound_ledger(deeds in deeds(16)) {
        let mut world = World::new();
        world.reconcile();
        for deed in &deeds {
            world.apply(deed);
            let settled = |m: &&Message| matches!(m.status, MessageStatus::Accepted | MessageStatus::Failed);
            let left: Vec<Message> = world.ledger.iter().filter(settled).cloned().collect();
            world.reconcile();
            prop_assert!(!world.reconcile(), "a second run changed something");
            for message in &left {
                prop_assert!(world.ledger.contains(message), "a message that had left was changed");
            }
            let open: Vec<&Message> = world.ledger.iter().filter(|m| m.status.is_open()).collect();
            let distinct: BTreeSet<_> = open.iter().map(|m| (m.kind, &m.step, &m.recipient, m.channel)).collect();
            prop_assert_eq!(open.len(), distinct.len(), "two open messages for one step");
            let kinds: Vec<_> = world.checks.iter().filter(|check| !check.withdrawn).map(|check| check.kind).collect();
            for (index, kind) in kinds.iter().enumerate() {
                prop_assert!(!kinds[..index].contains(kind), "two open checks of a kind");
            }
            let booking = world.facts.booking().unwrap();
            if !booking.status.is_ahead() {
                prop_assert!(open.iter().all(|m| is_news_of_the_end(m.kind)));
                prop_assert!(kinds.is_empty());
            } else if booking.start <= world.now {
                let late = |kind| matches!(kind, Type::RunningLate | Type::StaffRunningLate);
                prop_assert!(open.iter().all(|m| is_news_of_the_end(m.kind) || late(m.kind) && world.now < booking.end));
            }
        }
    }

    /// The order in which people, staff and steps happen to stand makes no difference, nor does planning again.
    #[test]
    fn the_order_of_people_and_steps_makes_no_difference(deeds in deeds(12), turns in 1..3usize) {
        let World { facts, now, .. } = World::after(&deeds);
        let mut turned = facts.clone();
        turned.clients.rotate_left(1);
        turned.staff.rotate_left(1);
        turned.booking_mut().client_ids.reverse();
        turned.resource.as_mut().unwrap().staff_ids.reverse();
        for rule in turned.rules.changed.values_mut().filter(|rule| rule.strategy == Strategy::All) {
            let many = rule.steps.len().max(1);
            rule.steps.rotate_left(turns % many);
            rule.steps.iter_mut().for_each(|step| step.channels.reverse());
        }
        let planned = plan(&facts, now);
        prop_assert_eq!(outcomes(&planned), outcomes(&plan(&turned, now)));
        prop_assert_eq!(outcomes(&planned).len(), planned.messages.len(), "each message once");
        prop_assert_eq!(&planned, &plan(&facts, now));
    }

    /// A plan of a booking that is over, or of a visit that has begun, is nothing but the news of that.
    #[test]
    fn nothing_is_owed_by_what_is_over_but_the_news_of_it(deeds in deeds(12), hours in 0..2000i64) {
        let World { facts, now, .. } = World::after(&deeds);
        let now = now + SignedDuration::from_hours(hours);
        let booking = facts.booking().unwrap();
        for message in plan(&facts, now).messages {
            if matches!(message.outcome, Outcome::Withheld(..)) {
                continue;
            }
            if !booking.status.is_ahead() {
                prop_assert!(is_news_of_the_end(message.kind), "{}", message.kind);
            } else if booking.end <= now {
                // Who has left before may have to hear of it yet.
                prop_assert_eq!(message.kind, Type::BookingCancelled);
            }
        }
    }

    /// What was planned for an instant is sent at that instant, and what was withheld is withheld for the same reason, if nothing changed.
    #[test]
    fn deciding_agrees_with_planning(deeds in deeds(10)) {
        let World { facts, now, .. } = World::after(&deeds);
        for message in plan(&facts, now).messages {
            match message.outcome {
                Outcome::Leaves(due) | Outcome::Deferred(due) => {
                    let row = row(&facts, &message);
                    prop_assert_eq!(decide(&facts, &row, false, due).0, Decision::Send);
                    let early = due - SignedDuration::from_secs(1);
                    prop_assert_eq!(decide(&facts, &row, false, early).0, Decision::Defer(due));
                }
                Outcome::Withheld(Reason::SwitchedOff, _) => {}
                Outcome::Withheld(reason, due) => {
                    let decision = decide(&facts, &row(&facts, &message), false, due.max(now)).0;
                    prop_assert_eq!(decision, Decision::Suppress(reason));
                }
            }
        }
    }

    /// S36, S44, S45: whatever else is set or asked for, what is banned on the card does not leave, planned or decided.
    #[test]
    fn s36_s44_s45_a_ban_always_wins(
        deeds in deeds(10),
        channels in btree_set(select(Channel::ALL.to_vec()), 0..3),
        kinds in btree_set(select(Type::ALL.to_vec()), 0..8),
    ) {
        let World { mut facts, now, .. } = World::after(&deeds);
        facts.booking_mut().history.iter_mut().for_each(|event| event.notify = Notify::Yes);
        let before = plan(&facts, now);
        facts.clients.iter_mut().for_each(|client| client.bans = Bans { channels: channels.clone(), types: kinds.clone() });
        let after = plan(&facts, now);
        let banned = |m: &PlannedMessage| {
            m.recipient.client().is_some() && (channels.contains(&m.channel) || kinds.contains(&m.kind))
        };
        for message in after.messages.iter().filter(|message| banned(message)) {
            prop_assert!(matches!(message.outcome, Outcome::Withheld(..)), "{message:#?}");
        }
        // What had been planned before the ban is stopped at the moment of sending.
        let leaves = |m: &&PlannedMessage| matches!(m.outcome, Outcome::Leaves(_) | Outcome::Deferred(_));
        for message in before.messages.iter().filter(leaves).filter(|message| banned(message)) {
            let (Outcome::Leaves(due) | Outcome::Deferred(due)) = message.outcome else { continue };
            let decision = decide(&facts, &row(&facts, message), false, due).0;
            prop_assert!(matches!(decision, Decision::Suppress(Reason::Banned | Reason::NotOwed)), "{decision:?}");
        }
    }

    /// S27: an sms or a push leaves outside quiet hours on the recipient's wall, when planned and when held up, whatever the window,
    /// the zone, the date and the booking.
    #[test]
    fn s27_neither_sms_nor_push_leave_in_quiet_hours(
        (from, until) in (0..96i8, 0..96i8).prop_filter("two times", |(from, until)| from != until),
        zones in (select(&ZONES), proptest::option::of(select(&ZONES)), proptest::option::of(select(&ZONES))),
        drop_it in any::<bool>(),
        made_at in 1_577_836_800..1_893_456_000i64, // 2020 to 2030
        lead_minutes in 1..20_000i64,
        held_up in 0..900i64,
        cancelled in any::<bool>(),
    ) {
        let time = |quarter: i8| Time::constant(quarter / 4, quarter % 4 * 15, 0, 0);
        let (from, until) = (time(from), time(until));
        let text = |time: Time| time.strftime("%H:%M").to_string();
        let zone = |name: &str| name.parse::<Zone>().unwrap();
        let mut facts = salon_with_staff();
        facts.business.quiet_hours = Some(QuietHours::new(&text(from), &text(until)).unwrap());
        facts.booking_mut().zone = zone(zones.0);
        facts.clients[0].zone = zones.1.map(zone);
        facts.staff.iter_mut().for_each(|staff| staff.zone = zones.2.map(zone));
        facts.rule_mut(Type::ConfirmationRequest).enabled = true;
        for kind in [Type::Reminder, Type::BookingCreated, Type::ConfirmationRequest] {
            facts.rule_mut(kind).quiet = if drop_it { QuietPolicy::Drop } else { QuietPolicy::Advance };
        }
        let made = Timestamp::from_second(made_at).unwrap();
        facts.booking_mut().start = made + SignedDuration::from_mins(lead_minutes);
        facts.booking_mut().end = facts.booking().unwrap().start + SignedDuration::from_hours(1);
        *facts.booking_mut() = facts.booking_mut().clone().created(made, Notify::ByRules);
        if cancelled {
            *facts.booking_mut() = facts.booking_mut().after(Operation::Cancel, made, Source::Staff, Notify::ByRules).unwrap();
        }
        for message in plan(&facts, made).messages {
            let zone = match message.recipient {
                Recipient::Client(_) => zones.1,
                Recipient::Staff(_) => zones.2,
            };
            let zone = zone.unwrap_or(zones.0).parse::<Zone>().unwrap();
            let (Outcome::Leaves(due) | Outcome::Deferred(due)) = message.outcome else { continue };
            if message.channel == Channel::Email {
                prop_assert!(matches!(message.outcome, Outcome::Leaves(_)), "an e-mail waits for nothing");
                continue;
            }
            let quiet = |instant| by_the_wall(from, until, &zone, instant) && !clocks_change_near(&zone, instant);
            prop_assert!(!quiet(due), "{} {} {} {due} {zone:?}", message.kind, message.step, message.channel);
            let later = due + SignedDuration::from_mins(held_up);
            match decide(&facts, &row(&facts, &message), false, later).0 {
                Decision::Send => prop_assert!(!quiet(later)),
                Decision::Defer(instant) => prop_assert!(!quiet(instant) && instant > later),
                Decision::Suppress(reason) => prop_assert!(matches!(reason, Reason::TooLate | Reason::QuietHours)),
            }
        }
    }
}
