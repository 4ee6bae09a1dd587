//! Planning: which messages a booking or an occasion owes as it is now, and when each is due.
//!
//! The plan is made from the subject as it is, history included, never from a difference: running it twice, late, or
//! out of order gives the same plan.

use std::borrow::Cow;
use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::booking::{Booking, Confirmation, Event, EventKind, Notify, Source, Status};
use crate::campaign::CampaignStatus;
use crate::channel::Channel;
use crate::client::Bans;
use crate::facts::{Facts, Subject};
use crate::ids::{CheckId, ClientId, MessageId};
use crate::message::{CheckKind, Message, MessageKey, Reason, check_id};
use crate::notification_type::{Audience, NotificationType};
use crate::occasion::{About, Occasion};
use crate::precedence::{Level, Ruling, Settings, ruling};
use crate::quiet_hours::Window;
use crate::recipient::{Person, Recipient};
use crate::rule::{Ending, LatePolicy, QuietPolicy, Rule, Strategy};
use crate::subject::SubjectId;
use crate::timing::{Anchors, Timing};
use crate::trace::{Check, Trace, Verdict};

/// How long before quiet hours begin an advanced message leaves: longer than the Scheduler's precision of a minute,
/// so that it does not slip into them. <https://docs.aws.amazon.com/scheduler/latest/UserGuide/what-is-scheduler.html>
const ADVANCE: SignedDuration = SignedDuration::from_mins(5);

/// How long a verification code is of use.
const CODE: SignedDuration = SignedDuration::from_mins(15);

/// How long news is news to staff. Whoever joins the staff later is not told what was before.
const STAFF_NEWS: SignedDuration = SignedDuration::from_hours(24);

/// How long after the visit a client is asked for a review.
const REVIEW: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What should exist for a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Messages, withheld ones included.
    pub messages: Vec<PlannedMessage>,
    /// Checks.
    pub checks: Vec<PlannedCheck>,
}

/// A message that is owed, or would be if nothing were in its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedMessage {
    /// Its id in the ledger.
    pub id: MessageId,
    /// About what.
    pub kind: NotificationType,
    /// Which step of the rule.
    pub step: Timing,
    /// Of which revision.
    pub revision: u64,
    /// To whom.
    pub recipient: Recipient,
    /// How.
    pub channel: Channel,
    /// When what calls for it became known (UTC).
    pub known_at: Timestamp,
    /// Whether it is its turn because a channel before it in a cascade has failed.
    pub after_failure: bool,
    /// When it leaves, or why it does not.
    pub outcome: Outcome,
    /// How that was found.
    pub trace: Trace,
}

/// What planning says of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It leaves at this instant (UTC).
    Leaves(Timestamp),
    /// Quiet hours moved it to this instant (UTC).
    Deferred(Timestamp),
    /// It does not leave; the instant is when it would have.
    Withheld(Reason, Timestamp),
}

/// A check that is called for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedCheck {
    /// Its id in the ledger.
    pub id: CheckId,
    /// What it looks for.
    pub kind: CheckKind,
    /// When (UTC).
    pub due: Timestamp,
}

/// Plans the messages and checks of a subject. `now` (UTC) matters only for what has lost its use meanwhile.
pub fn plan(facts: &Facts, now: Timestamp) -> Plan {
    let subject = facts.subject_id();
    let messages = candidates(facts)
        .into_iter()
        .map(|candidate| {
            let (mut outcome, mut trace) = judge(facts, &candidate);
            if let (Some(not_after), Outcome::Leaves(at) | Outcome::Deferred(at)) =
                (candidate.not_after, outcome)
                && not_after <= now
            {
                trace.note(
                    Check::UseBy,
                    Verdict::Suppress,
                    format!("of use until {not_after}, now is {now}"),
                );
                outcome = Outcome::Withheld(Reason::TooLate, at);
            }
            PlannedMessage {
                id: candidate.id(facts, &subject),
                kind: candidate.kind,
                step: candidate.step,
                revision: candidate.revision,
                recipient: candidate.recipient,
                channel: candidate.channel,
                known_at: candidate.known_at,
                after_failure: candidate.after_failure,
                outcome,
                trace,
            }
        })
        .collect();
    Plan { messages, checks: checks(facts, &subject) }
}

// ------------------------------------------------------------------ what is called for

/// A message before anything was asked about it.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) kind: NotificationType,
    pub(crate) step: Timing,
    pub(crate) revision: u64,
    pub(crate) recipient: Recipient,
    pub(crate) channel: Channel,
    /// When the timing alone says it is due.
    nominal: Timestamp,
    /// When the booking came to call for it: what its lateness is counted from.
    called_at: Timestamp,
    /// When what calls for it became known. In a cascade that may be the failure of the channel before it.
    known_at: Timestamp,
    /// From when on it is of no use.
    pub(crate) not_after: Option<Timestamp>,
    notify: Notify,
    /// Called for by staff's making of the booking.
    made_by_staff: bool,
    switch: Switch,
    /// The channel that stands before it in a cascade.
    behind: Option<Channel>,
    late: LatePolicy,
    pub(crate) quiet: QuietPolicy,
    /// The rule waits for the confirmation, and there is none.
    waits_for_confirmation: bool,
    /// A channel that stood before it in a cascade has failed.
    after_failure: bool,
}

/// What of a rule switches a message on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Switch {
    /// A step of the rule with this timing and channel.
    Step,
    /// The type alone: the booking has timings of its own (S39), or the channels were chosen by hand (S42).
    Type,
    /// Nothing: it was asked for by hand (S40).
    ByHand,
}

impl Switch {
    fn is_on(self, rule: &Rule, timing: &Timing, channel: Channel, source: Source) -> bool {
        match self {
            Switch::Step => rule.sends(timing, channel, source),
            Switch::Type => rule.enabled,
            Switch::ByHand => true,
        }
    }
}

impl Candidate {
    /// Whether it can be this message: cheaper to ask than its id.
    pub(crate) fn is_like(&self, message: &Message) -> bool {
        (self.kind, self.channel, self.revision) == (message.kind, message.channel, message.revision)
            && self.recipient == message.recipient
    }

    /// Whether staff asked for this sms when making the booking (S35).
    fn is_ticked(&self) -> bool {
        self.notify == Notify::Yes && self.made_by_staff && self.channel == Channel::Sms
    }

    pub(crate) fn id(&self, facts: &Facts, subject: &SubjectId) -> MessageId {
        MessageKey {
            business_id: &facts.business.id,
            subject,
            revision: self.revision,
            kind: self.kind,
            step: &self.step,
            recipient: &self.recipient,
            channel: self.channel,
        }
        .id()
    }
}

/// Every message the subject calls for, before anything is asked about it.
pub(crate) fn candidates(facts: &Facts) -> Vec<Candidate> {
    let mut found = Vec::new();
    match &facts.subject {
        Subject::Booking(booking) => {
            for client_id in booking.everybody().into_iter().filter(|id| !facts.is_erased(id)) {
                let recipient = Recipient::Client(client_id);
                news(facts, booking, &recipient, &mut found);
                if let Recipient::Client(client_id) = &recipient
                    && booking.client_ids.contains(client_id)
                {
                    before_the_visit(facts, booking, client_id, &mut found);
                    found_by_checks(facts, booking, &recipient, &mut found);
                    after_a_miss(facts, booking, &recipient, &mut found);
                    after_the_visit(facts, booking, &recipient, &mut found);
                }
            }
            for staff_id in facts.serving() {
                news(facts, booking, &Recipient::Staff(staff_id.clone()), &mut found);
            }
            for staff_id in facts.managers() {
                found_by_checks(facts, booking, &Recipient::Staff(staff_id.clone()), &mut found);
            }
        }
        Subject::Occasion(occasion, _) => of_occasion(facts, occasion, &mut found),
    }
    found
}

/// Something that calls for messages of a type to one recipient.
#[derive(Clone)]
struct Call<'a> {
    kind: NotificationType,
    recipient: &'a Recipient,
    revision: u64,
    /// When it happened (UTC).
    at: Timestamp,
    notify: Notify,
    made_by_staff: bool,
    not_after: Option<Timestamp>,
    switch: Switch,
}

impl<'a> Call<'a> {
    fn of(kind: NotificationType, recipient: &'a Recipient, event: &Event) -> Self {
        Self {
            kind,
            recipient,
            revision: event.revision,
            at: event.at,
            notify: event.notify,
            made_by_staff: event.kind == EventKind::Created && event.by == Source::Staff,
            not_after: None,
            switch: Switch::Step,
        }
    }

    /// What follows from an event later: the tick of the operation was about its own notice. "Nothing at all" holds for this too.
    fn later(kind: NotificationType, recipient: &'a Recipient, event: &Event) -> Self {
        let call = Self::of(kind, recipient, event);
        match call.notify {
            Notify::Nothing => call,
            _ => Self { notify: Notify::ByRules, ..call },
        }
    }
}

/// One candidate for each step and channel of the rule that prevails for the call's type.
fn by_rule(facts: &Facts, call: &Call<'_>) -> Vec<Candidate> {
    let rule = facts.rule(call.kind);
    let source = facts.source();
    let steps = rule.steps.iter().filter(|step| step.is_for(source));
    let mut found = Vec::new();
    for step in steps {
        found.extend(one_step(facts, call, rule, &step.timing, &step.channels));
    }
    found
}

/// One candidate for each channel of a step, in order; where the rule is a cascade, each knows which one stands before it.
fn one_step(
    facts: &Facts,
    call: &Call<'_>,
    rule: &Rule,
    timing: &Timing,
    channels: &[Channel],
) -> Vec<Candidate> {
    let Some(nominal) = timing.resolve(anchors(facts, call.at)) else { return Vec::new() };
    let mut behind = None;
    let (mut known_at, mut after_failure) = (call.at, false);
    let mut found = Vec::new();
    for &channel in channels {
        let candidate = Candidate {
            kind: call.kind,
            step: timing.clone(),
            revision: call.revision,
            recipient: call.recipient.clone(),
            channel,
            nominal,
            called_at: call.at,
            known_at,
            not_after: call.not_after,
            notify: call.notify,
            made_by_staff: call.made_by_staff,
            switch: call.switch,
            behind,
            late: rule.late,
            quiet: rule.quiet,
            waits_for_confirmation: false,
            after_failure,
        };
        if rule.strategy == Strategy::Cascade && behind.is_none() {
            match failed_at(facts, &candidate) {
                // The next channel is called for from the moment at which this one was known to have failed. Its address may be suppressed
                // or gone since, for that very reason.
                Some(failed_at) => (known_at, after_failure) = (known_at.max(failed_at), true),
                None if in_the_way(facts, &candidate).is_none() => behind = Some(channel),
                None => {}
            }
        }
        found.push(candidate);
    }
    found
}

/// What stands in a candidate's way, whatever the hour, if anything does.
fn in_the_way(facts: &Facts, candidate: &Candidate) -> Option<Reason> {
    obstacle(facts, candidate, &mut Trace::new(candidate.known_at, facts.rules.version))
}

fn failed_at(facts: &Facts, candidate: &Candidate) -> Option<Timestamp> {
    let failures = facts.failures();
    if failures.is_empty() {
        return None;
    }
    let id = candidate.id(facts, &facts.subject_id());
    failures.iter().find(|failure| failure.message_id == id).map(|failure| failure.at)
}

fn anchors(facts: &Facts, event: Timestamp) -> Anchors<'_> {
    let booking = facts.booking();
    let of_service = || facts.service.as_ref().and_then(|service| service.rebooking_after);
    Anchors {
        event,
        start: booking.map_or(event, |booking| booking.start),
        end: booking.map_or(event, |booking| booking.end),
        zone: facts.zone(),
        rebooking_after: booking.and_then(|booking| booking.rebooking_after).or_else(of_service),
    }
}

/// What has just happened to the booking. On each channel the latest news stands for all that has not left yet:
/// made, moved and cancelled in one night, the client hears of the cancellation.
fn news(facts: &Facts, booking: &Booking, recipient: &Recipient, found: &mut Vec<Candidate>) {
    let mut told = BTreeSet::new();
    for event in booking.history.iter().rev() {
        if told.len() == Channel::ALL.len() {
            break;
        }
        if let Some(kind) = news_of(booking, event, recipient) {
            let mut told_now = BTreeSet::new();
            for candidate in told_of(facts, booking, &Call::of(kind, recipient, event)) {
                if told.contains(&candidate.channel) {
                    continue;
                }
                // What cannot reach the client does not stand for what can; what another channel of a cascade serves for does.
                if matches!(in_the_way(facts, &candidate), None | Some(Reason::Cascade)) {
                    told_now.insert(candidate.channel);
                }
                found.push(candidate);
            }
            told.extend(told_now);
        }
        // What was before a client came in is no news to that client.
        if matches!((&event.kind, recipient), (EventKind::Joined(joined), Recipient::Client(id)) if joined.contains(id))
        {
            break;
        }
    }
}

/// What an event is to a recipient.
fn news_of(booking: &Booking, event: &Event, recipient: &Recipient) -> Option<NotificationType> {
    use NotificationType as Type;
    let ahead = booking.status.is_ahead();
    // The first booking's notice stands for its whole series.
    let first = booking.series.as_ref().is_none_or(|series| series.index == 0);
    match recipient {
        Recipient::Client(id) => {
            let takes_part = booking.client_ids.contains(id);
            match &event.kind {
                EventKind::Left(left) if left.contains(id) && !takes_part => Some(Type::BookingCancelled),
                _ if !takes_part => None,
                EventKind::Cancelled => Some(Type::BookingCancelled),
                _ if !ahead => None,
                EventKind::Created if first => Some(Type::BookingCreated),
                EventKind::Joined(joined) if joined.contains(id) => Some(Type::BookingCreated),
                EventKind::Confirmed => Some(Type::BookingConfirmed),
                EventKind::Rescheduled => Some(Type::BookingRescheduled),
                EventKind::Changed => Some(Type::BookingChanged),
                _ => None,
            }
        }
        Recipient::Staff(_) => match event.kind {
            EventKind::Cancelled => Some(Type::StaffBookingCancelled),
            EventKind::Created if ahead && first => Some(Type::StaffBookingCreated),
            EventKind::Rescheduled | EventKind::Changed if ahead => Some(Type::StaffBookingChanged),
            _ => None,
        },
    }
}

/// The candidates of a piece of news, with its use-by and the tick of the operation.
fn told_of(facts: &Facts, booking: &Booking, call: &Call<'_>) -> Vec<Candidate> {
    use NotificationType as Type;
    let to_staff = call.kind.audience() == Audience::Staff;
    let until_start =
        (!matches!(call.kind, Type::BookingCancelled | Type::StaffBookingCancelled)).then_some(booking.start);
    let news_for_staff = to_staff.then_some(call.at + STAFF_NEWS);
    let not_after = [until_start, news_for_staff].into_iter().flatten().min();
    // The tick is about the client's sms (S31, S34); "nothing" is about everybody's.
    let notify = if to_staff && call.notify != Notify::Nothing { Notify::ByRules } else { call.notify };
    let call = Call { not_after, notify, ..call.clone() };
    let mut found = by_rule(facts, &call);
    // The tick at the making sends an sms where the rule knows of none (S35).
    if call.notify == Notify::Yes
        && call.made_by_staff
        && !to_staff
        && !found.iter().any(|candidate| candidate.channel == Channel::Sms)
    {
        let rule = facts.rule(call.kind);
        let timing = rule.steps.first().map_or(Timing::Immediately, |step| step.timing.clone());
        found.extend(one_step(facts, &call, rule, &timing, &[Channel::Sms]));
    }
    found
}

/// Reminders and requests to confirm: they belong to the time of the visit, so that confirming repeats none.
fn before_the_visit(facts: &Facts, booking: &Booking, client_id: &ClientId, found: &mut Vec<Candidate>) {
    if !booking.status.is_ahead() {
        return;
    }
    let recipient = &Recipient::Client(client_id.clone());
    let Some(time_set) = booking.time_set() else { return };
    let joined =
        |event: &&Event| matches!(&event.kind, EventKind::Joined(joined) if joined.contains(client_id));
    let joined_at = booking.history.iter().rev().find(joined).map(|event| event.at);
    let at = joined_at.map_or(time_set.at, |joined_at| joined_at.max(time_set.at));
    // The tick of the operation is about its own notice, not about what comes later.
    let call = |kind| Call {
        at,
        notify: Notify::ByRules,
        not_after: Some(booking.start),
        ..Call::of(kind, recipient, time_set)
    };
    reminders(facts, booking, &call(NotificationType::Reminder), found);
    if !matches!(booking.confirmation, Confirmation::Confirmed | Confirmation::Declined) {
        found.extend(by_rule(facts, &call(NotificationType::ConfirmationRequest)));
        // Each time staff asks is a request of its own; the latest stands for those that have not left yet.
        let by_hand = booking.latest(&EventKind::ConfirmationRequested);
        if let Some(event) = by_hand.filter(|event| event.revision >= booking.time_revision) {
            let call = Call {
                not_after: Some(booking.start),
                switch: Switch::ByHand,
                ..Call::of(NotificationType::ConfirmationRequest, recipient, event)
            };
            let mut rule = facts.rule(call.kind);
            if channels_of(rule, booking.source).is_empty() {
                // The rule is off and names no channel. Staff has asked all the same.
                rule = Rule::default_for(call.kind);
            }
            let channels = channels_of(rule, booking.source);
            found.extend(one_step(facts, &call, rule, &Timing::Immediately, &channels));
        }
    }
}

fn reminders(facts: &Facts, booking: &Booking, call: &Call<'_>, found: &mut Vec<Candidate>) {
    // Who has said no need not be reminded.
    if booking.confirmation == Confirmation::Declined {
        return;
    }
    let rule = facts.rule(call.kind);
    let candidates = match &booking.reminders {
        None => by_rule(facts, call),
        Some(timings) => {
            let (call, channels) =
                (Call { switch: Switch::Type, ..call.clone() }, channels_of(rule, booking.source));
            timings.iter().flat_map(|timing| one_step(facts, &call, rule, timing, &channels)).collect()
        }
    };
    // Where the rule waits for the confirmation, a reminder is known of only from then on.
    let confirmed_at =
        booking.latest(&EventKind::Confirmed).map(|event| event.at).filter(|_| !rule.while_pending);
    let waits_for_confirmation = !rule.while_pending && booking.status == Status::Pending;
    found.extend(candidates.into_iter().map(|candidate| Candidate {
        called_at: confirmed_at.map_or(candidate.called_at, |at| at.max(candidate.called_at)),
        known_at: confirmed_at.map_or(candidate.known_at, |at| at.max(candidate.known_at)),
        waits_for_confirmation,
        ..candidate
    }));
}

/// The channels of all steps, each once, in the order in which they stand there.
fn channels_of(rule: &Rule, source: Source) -> Vec<Channel> {
    let mut channels = Vec::new();
    for channel in rule.steps.iter().filter(|step| step.is_for(source)).flat_map(|step| &step.channels) {
        if !channels.contains(channel) {
            channels.push(*channel);
        }
    }
    channels
}

/// What a check found: the client is late, or has not confirmed.
fn found_by_checks(facts: &Facts, booking: &Booking, recipient: &Recipient, found: &mut Vec<Candidate>) {
    use NotificationType as Type;
    if !booking.status.is_ahead() {
        return;
    }
    let to_staff = matches!(recipient, Recipient::Staff(_));
    let mut tell = |event: &EventKind, kind: Type, not_after: Timestamp| {
        if let Some(event) = booking.since_time_set(event) {
            let call = Call { not_after: Some(not_after), ..Call::of(kind, recipient, event) };
            // The check has waited already.
            found.extend(
                by_rule(facts, &call)
                    .into_iter()
                    .map(|candidate| Candidate { nominal: event.at, ..candidate }),
            );
        }
    };
    let late = if to_staff { Type::StaffRunningLate } else { Type::RunningLate };
    tell(&EventKind::RunningLate, late, booking.end);
    let unanswered = matches!(booking.confirmation, Confirmation::None | Confirmation::Requested);
    if to_staff && unanswered {
        tell(&EventKind::Unconfirmed, Type::StaffUnconfirmed, booking.start);
    }
}

fn after_a_miss(facts: &Facts, booking: &Booking, recipient: &Recipient, found: &mut Vec<Candidate>) {
    let (ending, event) = match booking.status {
        Status::NoShow => (Ending::NoShow, EventKind::NoShow),
        Status::Cancelled => (Ending::Cancelled, EventKind::Cancelled),
        _ => return,
    };
    let Some(event) = booking.latest(&event) else { return };
    if ending == Ending::NoShow {
        found.extend(by_rule(facts, &Call::of(NotificationType::MissedBooking, recipient, event)));
    }
    if facts.rule(NotificationType::NoShowRecovery).after.contains(&ending) {
        found.extend(by_rule(facts, &Call::later(NotificationType::NoShowRecovery, recipient, event)));
    }
}

fn after_the_visit(facts: &Facts, booking: &Booking, recipient: &Recipient, found: &mut Vec<Candidate>) {
    if booking.status != Status::Completed {
        return;
    }
    let Some(event) = booking.latest(&EventKind::Completed) else { return };
    let review = Call {
        not_after: booking.end.checked_add(REVIEW).ok(),
        ..Call::later(NotificationType::ReviewRequest, recipient, event)
    };
    found.extend(by_rule(facts, &review));
    found.extend(by_rule(facts, &Call::later(NotificationType::RebookingReminder, recipient, event)));
}

fn of_occasion(facts: &Facts, occasion: &Occasion, found: &mut Vec<Candidate>) {
    if occasion.withdrawn || occasion.recipient.client().is_some_and(|id| facts.is_erased(id)) {
        return;
    }
    // Called off, a campaign calls for nothing; held up, those it has chosen hear of it.
    let campaign = facts.campaign.as_ref().filter(|campaign| campaign.status != CampaignStatus::Cancelled);
    if occasion.for_campaign().is_some() && campaign.is_none() {
        return;
    }
    let call = Call {
        kind: occasion.kind(),
        recipient: &occasion.recipient,
        revision: 1,
        at: occasion.at,
        notify: occasion.notify,
        made_by_staff: false,
        not_after: match occasion.about {
            About::VerificationCode { .. } => occasion.at.checked_add(CODE).ok(),
            About::WaitlistOffer { until, .. } => Some(until),
            _ => None,
        },
        switch: Switch::Step,
    };
    match &occasion.channels {
        None => found.extend(by_rule(facts, &call)),
        Some(channels) => {
            let (call, rule) = (Call { switch: Switch::Type, ..call }, facts.rule(occasion.kind()));
            found.extend(one_step(facts, &call, rule, &Timing::Immediately, channels));
        }
    }
}

// ------------------------------------------------------------------ what stands in the way

/// Asks everything about a candidate that does not depend on the present moment, strongest reason first (SPEC §4).
pub(crate) fn judge(facts: &Facts, candidate: &Candidate) -> (Outcome, Trace) {
    let mut trace = Trace::new(candidate.known_at, facts.rules.version);
    let outcome = match obstacle(facts, candidate, &mut trace) {
        Some(reason) => Outcome::Withheld(reason, candidate.nominal),
        None => time_to_leave(facts, candidate, &mut trace),
    };
    (outcome, trace)
}

/// Who may not be written to, whatever the hour.
fn obstacle(facts: &Facts, candidate: &Candidate, trace: &mut Trace) -> Option<Reason> {
    let Candidate { kind, channel, .. } = *candidate;
    if candidate.waits_for_confirmation {
        trace.note(
            Check::Owed,
            Verdict::Suppress,
            "the booking is not confirmed, and the rule waits for that",
        );
        return Some(Reason::NotConfirmed);
    }
    let person = facts.person(&candidate.recipient);
    if let Some(reason) = precedence(facts, candidate, person, trace) {
        return Some(reason);
    }
    if channel == Channel::Sms && !kind.is_awaited() {
        let on = facts.business.sms_enabled;
        note(trace, Check::SmsOption, !on, if on { "the sms option is on" } else { "the sms option is off" });
        if !on {
            return Some(Reason::SmsOff);
        }
    }
    if !set_up(facts, kind, channel) {
        trace.note(
            Check::Switch,
            Verdict::Suppress,
            "the business has not set up the messenger for this type",
        );
        return Some(Reason::ChannelOff);
    }
    let Some(address) = person.and_then(|person| person.masked_address(channel)) else {
        trace.note(Check::Address, Verdict::Suppress, "none");
        return Some(Reason::NoAddress);
    };
    trace.note(Check::Address, Verdict::Pass, address);
    if let (Channel::Sms, Some(phone)) = (channel, person.and_then(Person::phone))
        && !facts.business.sms_limits.allow(phone)
    {
        trace.note(Check::Limits, Verdict::Suppress, "the business sends no sms to that country");
        return Some(Reason::CountryNotAllowed);
    }
    // The sms that staff ticked goes whatever serves beside it.
    if let Some(before) = candidate.behind.filter(|_| !candidate.is_ticked()) {
        trace.note(Check::Cascade, Verdict::Suppress, format!("{before} stands before it"));
        return Some(Reason::Cascade);
    }
    None
}

/// Whether the business has what it takes to write on a channel.
fn set_up(facts: &Facts, kind: NotificationType, channel: Channel) -> bool {
    let business = &facts.business;
    match channel {
        // What staff writes may go as it is, for as long as the conversation is open; the provider says whether it is.
        Channel::Whatsapp => {
            let free = kind == NotificationType::Individual;
            business.whatsapp_number_id.is_some() && (free || business.whatsapp_templates.contains_key(&kind))
        }
        Channel::Telegram => business.telegram_bot.is_some(),
        Channel::Email | Channel::Sms | Channel::Push | Channel::Assisted => true,
    }
}

fn note(trace: &mut Trace, check: Check, stands_in_the_way: bool, because: impl Into<Cow<'static, str>>) {
    trace.note(check, if stands_in_the_way { Verdict::Suppress } else { Verdict::Pass }, because);
}

/// Puts the settings before [`ruling`], and writes down what each level up to the deciding one said.
fn precedence(
    facts: &Facts,
    candidate: &Candidate,
    person: Option<Person<'_>>,
    trace: &mut Trace,
) -> Option<Reason> {
    static NONE: Bans = Bans::none();
    static NOWHERE: BTreeSet<Channel> = BTreeSet::new();
    let Candidate { kind, channel, ref step, switch, .. } = *candidate;
    let source = facts.source();
    let on = |rule: &Rule| switch.is_on(rule, step, channel, source);
    let (bans, marketing_consent, opt_outs) = match person {
        Some(Person::Client(client)) => (&client.bans, client.marketing_consent, &client.opt_outs),
        Some(Person::Staff(_)) | None => (&NONE, true, &NOWHERE),
    };
    let settings = Settings {
        kind,
        channel,
        suppression: person
            .and_then(|person| person.suppression(channel))
            .map(|suppression| suppression.cause),
        bans,
        marketing_consent,
        opt_outs,
        notify: candidate.notify,
        made_by_staff: candidate.made_by_staff,
        resource: facts.rule_of_resource(kind).map(on),
        resource_kind: facts.rule_of_kind(kind).map(on),
        business: facts.rules.changed.get(&kind).map(on),
        default: on(Rule::default_for(kind)),
    };
    let Ruling { level, against } = ruling(&settings);
    let mut said = |of: Level, check, pass: &'static str, against_it: &'static str| {
        if of <= level {
            let here = of == level && against.is_some();
            note(trace, check, here, if here { against_it } else { pass });
        }
    };
    said(
        Level::Suppression,
        Check::Suppression,
        "the address is not suppressed",
        "the address is suppressed",
    );
    said(Level::Ban, Check::Ban, "no ban on the client card", "banned on the client card");
    if kind.is_marketing() || (kind.may_be_declined() && !opt_outs.is_empty()) {
        let against_it = match kind.is_marketing() && !marketing_consent {
            true => "has not agreed to marketing",
            false => "the client wants none of it on the channel",
        };
        said(Level::OptOut, Check::OptOut, "the client has not opted out", against_it);
    }
    let asked_for = asked_for(candidate.notify);
    said(Level::Silence, Check::Notify, asked_for, asked_for);
    if level >= Level::Resource {
        note(trace, Check::Switch, against.is_some(), switched(level, against.is_none()));
    }
    against
}

fn switched(level: Level, on: bool) -> &'static str {
    match (level, on) {
        (Level::Resource, true) => "on by the resource's rule",
        (Level::Resource, false) => "off by the resource's rule",
        (Level::ResourceKind, true) => "on by the rule of the resource's kind",
        (Level::ResourceKind, false) => "off by the rule of the resource's kind",
        (Level::Business, true) => "on by the business's rule",
        (Level::Business, false) => "off by the business's rule",
        (_, true) => "on by default",
        (_, false) => "off by default",
    }
}

fn asked_for(notify: Notify) -> &'static str {
    match notify {
        Notify::ByRules => "the operation asked for what the rules say",
        Notify::Yes => "the operation asked for an sms in any case",
        Notify::NoSms => "the operation asked for no sms",
        Notify::Nothing => "the operation asked for no notice at all",
    }
}

fn time_to_leave(facts: &Facts, candidate: &Candidate, trace: &mut Trace) -> Outcome {
    let Candidate { nominal, called_at, known_at, .. } = *candidate;
    if candidate.step.leads_up()
        && called_at > nominal
        && let Some(booking) = facts.booking()
    {
        let start = booking.start;
        let lead = start.duration_since(nominal);
        let missed = called_at.duration_since(nominal);
        let in_time = match candidate.late {
            LatePolicy::Grace => missed * 3 < lead,
            // Whether the visit has begun, the use-by asks.
            LatePolicy::SendNow => true,
            LatePolicy::Skip => false,
        };
        let because = format!("due {nominal}, known since {called_at}, policy {:?}", candidate.late);
        if !in_time {
            trace.note(Check::Lateness, Verdict::Suppress, because);
            return Outcome::Withheld(Reason::TooLate, nominal);
        }
        trace.note(Check::Lateness, Verdict::Move, because);
    }
    let due = nominal.max(known_at);
    if let Some(not_after) = candidate.not_after {
        let late = due >= not_after;
        note(trace, Check::UseBy, late, format!("due {due}, of use until {not_after}"));
        if late {
            return Outcome::Withheld(Reason::TooLate, due);
        }
    }
    match quiet_window(facts, candidate, due) {
        None => {
            trace.note(Check::QuietHours, Verdict::Pass, "not within quiet hours");
            Outcome::Leaves(due)
        }
        Some(window) => out_of_the_quiet(candidate, due, window, trace),
    }
}

/// The quiet hours that `instant` falls into for a candidate's recipient and channel.
pub(crate) fn quiet_window(facts: &Facts, candidate: &Candidate, instant: Timestamp) -> Option<Window> {
    let person = facts.person(&candidate.recipient).filter(|_| !candidate.kind.is_awaited())?;
    facts.quiet_hours_for(candidate.channel)?.window_around(instant, facts.quiet_zone(person))
}

fn out_of_the_quiet(candidate: &Candidate, due: Timestamp, window: Window, trace: &mut Trace) -> Outcome {
    let Window { opens, ends } = window;
    let mut note = |verdict, what: &str| {
        trace.note(
            Check::QuietHours,
            verdict,
            format!("{due} is within quiet hours {opens} to {ends}: {what}"),
        );
    };
    if candidate.not_after.is_none_or(|not_after| ends < not_after) {
        note(Verdict::Move, "waits for their end");
        return Outcome::Deferred(ends);
    }
    let advanced = opens - ADVANCE;
    match candidate.quiet {
        QuietPolicy::Send => {
            note(Verdict::Pass, "their end is too late, sent all the same");
            Outcome::Leaves(due)
        }
        QuietPolicy::Advance if advanced >= candidate.known_at => {
            note(Verdict::Move, "their end is too late, sent before they begin");
            Outcome::Deferred(advanced)
        }
        QuietPolicy::Advance | QuietPolicy::Drop => {
            note(Verdict::Suppress, "their end is too late");
            Outcome::Withheld(Reason::QuietHours, due)
        }
    }
}

// ------------------------------------------------------------------ checks

/// The checks a subject calls for.
fn checks(facts: &Facts, subject: &SubjectId) -> Vec<PlannedCheck> {
    let revision = match &facts.subject {
        Subject::Booking(booking) => booking.time_revision,
        Subject::Occasion(..) => 1,
    };
    [CheckKind::Late, CheckKind::NoShow, CheckKind::Unconfirmed, CheckKind::OfferEnds]
        .into_iter()
        .filter_map(|kind| {
            let due = check_due(facts, kind)?;
            let id = check_id(&facts.business.id, subject, kind, revision);
            Some(PlannedCheck { id, kind, due })
        })
        .collect()
}

/// When a check is due for the subject as it is, or `None` when none is called for.
pub fn check_due(facts: &Facts, kind: CheckKind) -> Option<Timestamp> {
    match (&facts.subject, kind) {
        (Subject::Booking(_), CheckKind::OfferEnds | CheckKind::Undelivered) => None,
        (Subject::Booking(booking), _) => booking_check_due(facts, booking, kind),
        (Subject::Occasion(occasion, _), CheckKind::OfferEnds) => match occasion.about {
            About::WaitlistOffer { until, .. } if !occasion.withdrawn => Some(until),
            _ => None,
        },
        (Subject::Occasion(..), _) => None,
    }
}

fn booking_check_due(facts: &Facts, booking: &Booking, kind: CheckKind) -> Option<Timestamp> {
    if !booking.status.is_ahead() {
        return None;
    }
    let first_timing = |rule: &Rule| rule.steps.first().map(|step| step.timing.clone());
    let timing = match kind {
        CheckKind::Late => {
            // Somebody must want to know: the client, or managers.
            let managers = facts.managers().next().is_some();
            let told = facts.rule(NotificationType::RunningLate).enabled
                || (managers && facts.rule(NotificationType::StaffRunningLate).enabled);
            let wanted = told && booking.since_time_set(&EventKind::RunningLate).is_none();
            first_timing(facts.rule(NotificationType::RunningLate)).filter(|_| wanted)?
        }
        CheckKind::NoShow => Timing::AfterEnd(facts.business.no_show_after_minutes?.interval()?),
        CheckKind::Unconfirmed => {
            let rule = facts.rule(NotificationType::StaffUnconfirmed);
            let asked = match booking.confirmation {
                Confirmation::Requested => true,
                Confirmation::None => facts.rule(NotificationType::ConfirmationRequest).enabled,
                Confirmation::Confirmed | Confirmation::Declined => false,
            };
            let wanted = rule.enabled && asked && booking.since_time_set(&EventKind::Unconfirmed).is_none();
            first_timing(rule).filter(|_| wanted)?
        }
        CheckKind::OfferEnds | CheckKind::Undelivered => return None,
    };
    let due = timing.resolve(anchors(facts, booking.start))?;
    // A visit that was entered when it had begun, or was over, is somebody's record of it: nobody is late.
    booking.time_set().filter(|time_set| time_set.at < due).map(|_| due)
}

#[cfg(test)]
mod tests;
