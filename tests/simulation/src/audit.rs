//! The checks after a run: what left, what did not, and what the ledger says about it, against the [model](crate::model).

use std::collections::{BTreeMap, HashMap};

use app::ports::Address;
use domain::booking::{Booking, EventKind, Source, Status};
use domain::channel::Channel;
use domain::feedback::Report;
use domain::ids::{ClientId, MessageId};
use domain::message::{Message, MessageStatus, Reason};
use domain::notification_type::NotificationType as Type;
use domain::rule::QuietPolicy;
use domain::subject::SubjectId;
use jiff::{SignedDuration, Timestamp};
use testkit::world::Sent;

use crate::model::{Expected, Journal, Over, View, Which, at, which_of};
use crate::planted::{Answer, Handed};
use crate::platform::{INVOCATION, LONG_INVOCATION, Reported};
use crate::weather::Climate;

/// How far two clocks may differ.
const SKEW: SignedDuration = SignedDuration::from_secs(2);

/// How long before its time a message that was not owed must have come to be owed, for its leaving to be certain: as long as an outage and
/// what follows from it.
const LEAD: SignedDuration = SignedDuration::from_hours(4);

/// How soon after its time a message leaves when all is well: a sandbox that died comes again within minutes.
const SOON: SignedDuration = SignedDuration::from_mins(30);

/// How soon it leaves when there is trouble: the pauses between attempts have grown.
const LATER: SignedDuration = SignedDuration::from_hours(10);

/// A message with less time than this between its moment and the end of its use, or the night, may miss it.
const TIGHT: SignedDuration = SignedDuration::from_mins(5);

/// What the checks found.
#[derive(Debug, Default)]
pub struct Findings {
    /// What should not be.
    pub violations: Vec<String>,
    /// Messages by what became of them.
    pub outcomes: BTreeMap<String, u64>,
    /// Messages that the model says had to leave.
    pub owed: u64,
    /// Of those: how many did not, for a reason that is true.
    pub excused: u64,
}

/// Everything that is looked at.
pub struct Audit<'a> {
    /// What was written.
    pub journal: &'a Journal,
    /// What the providers took.
    pub outbox: &'a [Sent],
    /// What they were handed.
    pub handed: &'a [Handed],
    /// When something went wrong, by whose.
    pub marks: &'a BTreeMap<String, Vec<Timestamp>>,
    /// What the providers reported.
    pub reports: &'a [Reported],
    /// What the weather was.
    pub climate: &'a Climate,
    /// When it all ended (UTC).
    pub end: Timestamp,
}

impl Audit<'_> {
    /// Checks everything.
    pub fn findings(&self) -> Findings {
        let mut findings = Findings::default();
        let mut left: HashMap<&MessageId, Vec<&Sent>> = HashMap::new();
        for sent in self.outbox {
            left.entry(&sent.message_id).or_default().push(sent);
            self.leaving(sent, &mut findings);
        }
        for sent in left.values().filter(|sent| sent.len() > 1) {
            self.twice(sent, &mut findings);
        }
        for over in self.journal.rows.values() {
            let Some((_, row)) = over.last() else { continue };
            let outcome = match row.reason {
                Some(reason) => format!("{:?} {reason:?}", row.status),
                None => format!("{:?}", row.status),
            };
            *findings.outcomes.entry(outcome).or_default() += 1;
            let sent = left.get(&row.id).map_or(&[][..], Vec::as_slice);
            self.row(over, row, sent, &mut findings);
        }
        for over in self.journal.bookings.values() {
            self.owed(over, &left, &mut findings);
            self.looked_for(over, &mut findings);
        }
        findings
    }

    fn booking(&self, row: &Message) -> Option<&Over<Booking>> {
        match &row.subject {
            SubjectId::Booking(id) => self.journal.bookings.get(id),
            SubjectId::Occasion(_) => None,
        }
    }

    // -------------------------------------------------------------- what left

    /// What left was owed when it was judged, at that address and at that hour.
    fn leaving(&self, sent: &Sent, findings: &mut Findings) {
        let (Some(over), Some(which)) = (self.booking(&sent.message), which_of(&sent.message)) else {
            return;
        };
        let judged = sent.at - INVOCATION - SKEW;
        let mut against = Vec::new();
        for instant in self.journal.changes(over, judged, sent.at) {
            match self.may_leave(&self.journal.view(over, instant), &which, sent, (judged, instant)) {
                Ok(()) => return,
                Err(why) => against.push(why),
            }
        }
        against.dedup();
        findings.violations.push(format!(
            "{} left at {}: {}",
            label(&sent.message),
            sent.at,
            against.join("; ")
        ));
    }

    fn may_leave(
        &self,
        view: &View<'_>,
        which: &Which,
        sent: &Sent,
        (judged, instant): (Timestamp, Timestamp),
    ) -> Result<(), String> {
        let (kind, _, _, client_id, channel) = which;
        let expected = view.expected(client_id).into_iter().find(|expected| expected.which == *which);
        let Some(expected) = expected else {
            return Err(format!("the booking is {}, and does not call for it", view.booking.status.name()));
        };
        if let Some(reason) = expected.against() {
            return Err(format!("{reason:?} stands in its way"));
        }
        if expected.due > sent.at + SKEW {
            return Err(format!("it is due only at {}", expected.due));
        }
        if let Some(use_by) = expected.use_by.filter(|use_by| *use_by <= judged) {
            return Err(format!("it was of use until {use_by}"));
        }
        let client = view.client(client_id).ok_or("there is no client")?;
        let quiet = |at| view.quiet(client, *channel, at);
        if let (Some(_), Some((opens, ends))) = (quiet(judged), quiet(sent.at + SKEW)) {
            let too_late = expected.use_by.is_some_and(|use_by| ends >= use_by);
            if !(too_late && expected.quiet == QuietPolicy::Send) {
                return Err(format!("that is within quiet hours, {opens} to {ends}"));
            }
        }
        let there = match &sent.to {
            Address::Email(email) => client.email.as_ref() == Some(email),
            Address::Sms(phone) => client.phone.as_ref() == Some(phone),
            Address::Push(devices) => client.devices == *devices,
            _ => false,
        };
        if !there {
            return Err("it left for an address that is not on the client card".to_owned());
        }
        // The other visit may have begun since.
        let another = |at| self.journal.has_another(view.booking, client_id, at);
        if asks_for_another(*kind) && another(instant) && another(sent.at) {
            return Err("the client has another visit ahead".to_owned());
        }
        Ok(())
    }

    /// An sms never leaves twice; an e-mail or a push only when the run that sent it first could not write that down.
    fn twice(&self, sent: &[&Sent], findings: &mut Findings) {
        for pair in sent.windows(2) {
            let row = &pair[0].message;
            let unsure = self.has_mark(row.id.as_str(), pair[0].at - SKEW, pair[1].at);
            if row.channel == Channel::Sms || !unsure {
                findings.violations.push(format!(
                    "{} left at {} and again at {}",
                    label(row),
                    pair[0].at,
                    pair[1].at
                ));
            }
        }
    }

    fn has_mark(&self, id: &str, from: Timestamp, until: Timestamp) -> bool {
        self.marks.get(id).is_some_and(|marks| marks.iter().any(|mark| from <= *mark && *mark <= until))
    }

    // -------------------------------------------------------------- what the ledger says

    /// The ledger and the outbox agree, and the reason that is given is true.
    fn row(&self, over: &Over<Message>, row: &Message, sent: &[&Sent], findings: &mut Findings) {
        let unsure = self.marks.contains_key(row.id.as_str());
        let mut wrong = |what: String| findings.violations.push(format!("{}: {what}", label(row)));
        let says = |reason: Option<Reason>| format!("the ledger says {:?} {reason:?}", row.status);
        let answers = || self.handed.iter().filter(|handed| handed.message_id == row.id);
        self.reported(over, row, sent, &mut wrong);
        match row.status {
            MessageStatus::Accepted | MessageStatus::Delivered | MessageStatus::Read => {
                let by_id = sent.iter().find(|sent| Some(&sent.message_id) == Some(&row.id));
                match (by_id, sent.last()) {
                    (None, _) | (_, None) => wrong(format!("{}, and it never left", says(None))),
                    (Some(_), Some(last)) => {
                        // Where the answer to the one that left was lost, the ledger has the text of the latest attempt.
                        if row.provider_id.is_some() && row.text.as_deref() != Some(last.content.text()) {
                            wrong("the ledger has another text than the one that left".to_owned());
                        }
                        let number = row.provider_id.as_deref().and_then(|id| id.strip_prefix("provider-"));
                        let taken =
                            number.and_then(|number| self.outbox.get(number.parse::<usize>().ok()? - 1));
                        // A report may come before the run that sent it has written down what the provider said.
                        let told = row.status != MessageStatus::Accepted && row.provider_id.is_none();
                        if !told && taken.is_none_or(|taken| taken.message_id != row.id) {
                            wrong("the ledger has the provider's id of another message".to_owned());
                        }
                    }
                }
            }
            MessageStatus::Unknown => {
                if !unsure {
                    let lost = answers().any(|handed| matches!(handed.answer, None | Some(Answer::Lost)));
                    if !lost {
                        wrong(format!("{}, and nothing went wrong", says(row.reason)));
                    }
                }
                if row.channel == Channel::Sms && !self.journal.tasks.contains(row.id.as_str()) {
                    wrong("it may have left, and staff got no task".to_owned());
                }
            }
            MessageStatus::Failed => {
                let last = answers().next_back().and_then(|handed| handed.answer);
                let tried = answers()
                    .next_back()
                    .zip(answers().next())
                    .map(|(last, first)| last.at.duration_since(first.at));
                let long = tried.is_some_and(|tried| tried > SignedDuration::from_hours(6));
                let fits = match row.reason {
                    Some(Reason::InvalidAddress | Reason::Refused) => last == Some(Answer::Never),
                    Some(Reason::ProviderDown) => last == Some(Answer::Again) && long,
                    Some(Reason::Throttled) => last == Some(Answer::Throttled) && long,
                    _ => false,
                };
                let told =
                    self.reports_of(row).any(|told| told.status_and_reason() == (row.status, row.reason));
                if told {
                    return;
                }
                if !fits {
                    wrong(format!("{}, and the provider's last answer was {last:?}", says(row.reason)));
                }
                if !sent.is_empty() && !unsure {
                    wrong(format!("{}, and it left", says(row.reason)));
                }
            }
            MessageStatus::Suppressed | MessageStatus::Superseded => {
                if !sent.is_empty() && !unsure {
                    wrong(format!("{}, and it left", says(row.reason)));
                }
                if let Err(why) = self.withheld(over, row) {
                    wrong(why);
                }
            }
            MessageStatus::Planned
            | MessageStatus::Deferred
            | MessageStatus::Queued
            | MessageStatus::Sending => {
                wrong(format!("it is {:?} when all is over", row.status));
            }
        }
    }

    fn reports_of(&self, row: &Message) -> impl Iterator<Item = &Reported> {
        self.reports.iter().filter(|told| told.message_id == row.id)
    }

    /// Reports move a message forwards only, none that was taken is lost, and none is made up.
    fn reported(&self, over: &Over<Message>, row: &Message, sent: &[&Sent], wrong: &mut impl FnMut(String)) {
        let rank = |status| match status {
            MessageStatus::Accepted => 1,
            MessageStatus::Failed => 2,
            MessageStatus::Delivered => 3,
            MessageStatus::Read => 4,
            _ => 0,
        };
        for pair in over.windows(2) {
            let (before, after) = (pair[0].1.status, pair[1].1.status);
            if rank(before) > rank(after) {
                wrong(format!("it went back from {before:?} to {after:?}"));
            }
        }
        let highest =
            self.reports_of(row).filter(|told| told.taken).map(|told| rank(told.status_and_reason().0)).max();
        // Of an sms the provider's id must have been written down for its reports to be about anything.
        let known = row.channel == Channel::Email
            || sent.iter().any(|sent| {
                let number = self.outbox.iter().position(|other| std::ptr::eq(*sent, other));
                number.is_some_and(|number| row.provider_id == Some(format!("provider-{}", number + 1)))
            });
        if known && highest.is_some_and(|highest| rank(row.status) < highest) {
            wrong(format!("the ledger says {:?}, and more was reported", row.status));
        }
        if rank(row.status) > 2 && highest != Some(rank(row.status)) {
            wrong(format!("the ledger says {:?}, and nobody has reported that", row.status));
        }
    }

    /// When a row came to stand as it does, without a break.
    fn since(over: &Over<Message>) -> Timestamp {
        let Some((_, last)) = over.last() else { return Timestamp::MIN };
        let mut since = Timestamp::MIN;
        for (at, row) in over.iter().rev() {
            if (row.status, row.reason) != (last.status, last.reason) {
                break;
            }
            since = *at;
        }
        since
    }

    /// Whether the reason for not sending was true when it was written.
    fn withheld(&self, over: &Over<Message>, row: &Message) -> Result<(), String> {
        let (Some(booking), Some(which)) = (self.booking(row), which_of(row)) else { return Ok(()) };
        let Some(reason) = row.reason else { return Err("it is withheld without a reason".to_owned()) };
        let written = Self::since(over);
        let judged = written - LONG_INVOCATION - SKEW;
        let mut found = Vec::new();
        for instant in self.journal.changes(booking, judged, written) {
            let view = self.journal.view(booking, instant);
            let expected = view.expected(&which.3).into_iter().find(|expected| expected.which == which);
            let is_true = match (&expected, reason) {
                (None, reason) => reason == Reason::NotOwed,
                (Some(expected), Reason::TooLate) => {
                    // What quiet hours send ahead has its moment before its time.
                    let moment = expected.nominal.min(expected.due);
                    expected.against() == Some(reason)
                        || expected.use_by.is_some_and(|use_by| use_by <= written + SKEW)
                        || (moment <= written + SKEW && !self.was_owed(booking, &which, (moment, written)))
                }
                (Some(expected), Reason::QuietHours) => {
                    let quiet = |at| view.client(&which.3).and_then(|client| view.quiet(client, which.4, at));
                    expected.against() == Some(reason) || quiet(judged).is_some() || quiet(written).is_some()
                }
                (Some(_), Reason::FutureBooking) => {
                    asks_for_another(which.0) && self.journal.has_another(view.booking, &which.3, instant)
                }
                (Some(expected), reason) => expected.against() == Some(reason),
            };
            if is_true {
                return Ok(());
            }
            found
                .push(expected.map_or("not owed".to_owned(), |expected| format!("{:?}", expected.against())));
        }
        Err(format!("the ledger says {reason:?} since {written}, and the model {}", found.join(", ")))
    }

    /// Whether a message was owed at its own moment, a while before, and ever since.
    fn was_owed(
        &self,
        booking: &Over<Booking>,
        which: &Which,
        (due, written): (Timestamp, Timestamp),
    ) -> bool {
        let owed = |at: Timestamp| {
            let expected = self.journal.view(booking, at).expected(&which.3);
            expected.iter().any(|expected| expected.which == *which && expected.against().is_none())
        };
        owed(due - SOON) && self.journal.changes(booking, due, written).into_iter().all(owed)
    }

    // -------------------------------------------------------------- what should have left

    /// Whatever was owed for long enough around its moment has left, or there is a reason that the model accepts.
    fn owed(&self, over: &Over<Booking>, left: &HashMap<&MessageId, Vec<&Sent>>, findings: &mut Findings) {
        let Some((made, first)) = over.first() else { return };
        let rows: HashMap<Which, &Over<Message>> = self
            .journal
            .rows
            .values()
            .filter(|row| row[0].1.subject == SubjectId::Booking(first.id.clone()))
            .filter_map(|row| Some((which_of(&row[0].1)?, row)))
            .collect();
        let instants = self.journal.changes(over, *made, self.end);
        let views: Vec<View<'_>> = instants.iter().map(|instant| self.journal.view(over, *instant)).collect();
        for client in &first.client_ids {
            let expected: Vec<Vec<Expected>> = views.iter().map(|view| view.expected(client)).collect();
            for (number, here) in expected.iter().enumerate() {
                for one in here.iter().filter(|one| one.against().is_none()) {
                    let before = number.checked_sub(1).and_then(|before| same(&expected[before], one));
                    if before.is_some_and(|before| goes_on(before, one)) {
                        continue;
                    }
                    let end = (number + 1..expected.len())
                        .find(|later| !same(&expected[*later], one).is_some_and(|later| goes_on(one, later)))
                        .map_or(self.end, |later| instants[later]);
                    // Called for by something that happened just then, and not by a change of what is set about it.
                    let happened = number.checked_sub(1).is_none_or(|before| {
                        let (before, now) = (views[before].booking, views[number].booking);
                        before.history.last() != now.history.last() || before.failures != now.failures
                    });
                    let withheld = before.and_then(Expected::against);
                    let is_new = happened && (before.is_none() || withheld == Some(Reason::Cascade));
                    let begin = (instants[number], is_new);
                    self.had_to_leave(&views[number], client, one, (begin, end), &rows, left, findings);
                }
            }
        }
    }

    /// A message that was owed from one instant to another.
    #[allow(clippy::too_many_arguments, reason = "all of it is asked for once")]
    fn had_to_leave(
        &self,
        view: &View<'_>,
        client: &ClientId,
        one: &Expected,
        ((begin, is_new), end): ((Timestamp, bool), Timestamp),
        rows: &HashMap<Which, &Over<Message>>,
        left: &HashMap<&MessageId, Vec<&Sent>>,
        findings: &mut Findings,
    ) {
        let row = rows.get(&one.which).copied();
        let in_time = one.known_at.max(one.due - LEAD);
        let known = begin + SKEW <= in_time || (is_new && begin <= one.known_at + LONG_INVOCATION + SKEW);
        let booking = view.booking;
        let ids = [
            booking.id.to_string(),
            row.map(|row| row[0].1.id.to_string()).unwrap_or_default(),
            format!("{}/{client}", booking.business_id),
            booking.business_id.to_string(),
        ];
        let hour = SignedDuration::from_hours(1);
        let around = (one.known_at.max(one.due - LEAD) - hour, one.due + LATER);
        let troubled = self.climate.is_troubled(around.0, around.1)
            || ids.iter().any(|id| self.has_mark(id, around.0, around.1));
        let until = one.due + if troubled { LATER } else { SOON };
        let until = one.use_by.map_or(until, |use_by| until.min(use_by));
        if !known || end < until || until > self.end {
            return;
        }
        // What a business sets holds for bookings that are ahead: what was planned for others before stays as it is.
        let ahead = matches!(booking.status, Status::Pending | Status::Confirmed) && begin < booking.start;
        if !is_new && !ahead && self.journal.settings_change(booking, begin) {
            return;
        }
        let another = |at| self.journal.has_another(booking, client, at);
        if asks_for_another(one.which.0) && [begin, one.due, one.due + SOON, until].into_iter().any(another) {
            return;
        }
        findings.owed += 1;
        let what = || format!("{:?} of booking {} ({})", one.which, booking.id, booking.business_id);
        // A visit may have begun before the trouble was over and anything was planned for it.
        let planned_by = rows.values().map(|row| row[0].0).min();
        if troubled && one.use_by.is_some_and(|use_by| planned_by.is_none_or(|at| at >= use_by)) {
            findings.excused += 1;
            return;
        }
        let Some(row) = row else {
            findings.violations.push(format!(
                "{}: owed at {}, and the ledger knows nothing of it",
                what(),
                one.due
            ));
            return;
        };
        let Some((_, last)) = row.last() else { return };
        if left.contains_key(&last.id) {
            return;
        }
        findings.excused += 1;
        let written = Self::since(row);
        let client = view.client(client);
        // The night began before it could leave, and it was no longer owed when the night was over.
        let waited_out_the_night = client.is_some_and(|client| {
            let night = view.quiet(client, one.which.4, one.due + TIGHT);
            night.is_some_and(|(opens, ends)| opens.duration_since(one.due) < TIGHT && written <= ends)
        });
        let excused = match (last.status, last.reason) {
            (MessageStatus::Superseded, Some(Reason::NotOwed)) if waited_out_the_night => true,
            // What the provider said of it is looked at with the row.
            (MessageStatus::Unknown | MessageStatus::Failed, _) => true,
            (_, Some(Reason::TooLate | Reason::NotOwed)) => one.use_by.is_some_and(|use_by| {
                use_by <= written + SKEW && (troubled || use_by.duration_since(one.due) < TIGHT)
            }),
            (MessageStatus::Suppressed, Some(Reason::QuietHours)) => {
                let quiet = client.and_then(|client| view.quiet(client, one.which.4, written));
                quiet.is_some_and(|(opens, _)| troubled || opens.duration_since(one.due) < TIGHT)
            }
            _ => false,
        };
        if !excused {
            let stands = format!("{:?} {:?} since {written}", last.status, last.reason);
            findings.violations.push(format!("{}: owed at {}, and not sent: {stands}", what(), one.due));
        }
    }

    /// Who does not come is found late, and then missed; nobody is before the time.
    fn looked_for(&self, over: &Over<Booking>, findings: &mut Findings) {
        let Some((stands, last)) = over.last() else { return };
        let business = self.journal.businesses.get(&last.business_id);
        for event in &last.history {
            let noted = over.iter().find(|(_, booking)| booking.history.contains(event));
            let early = match (&event.kind, event.by, noted) {
                (EventKind::RunningLate, Source::System, Some((_, booking))) => booking.start > event.at,
                (EventKind::NoShow, Source::System, Some((_, booking))) => booking.end > event.at,
                _ => false,
            };
            if early {
                let what = format!("{:?} was noted at {}, before its time", event.kind, event.at);
                findings.violations.push(format!("booking {}: {what}", last.id));
            }
        }
        if !matches!(last.status, Status::Pending | Status::Confirmed) {
            return;
        }
        // What held before the visit, if it held until long after.
        let before = last.start - LEAD;
        let delay = business.and_then(|over| at(over, before)).and_then(|house| house.no_show_after);
        let Some(after) = delay else { return };
        let due = last.end + after;
        let known = last.history.iter().rev().find(|event| event.revision == last.time_revision);
        let begin = known.map_or(*stands, |event| event.at);
        let steady = business.into_iter().flatten().all(|(at, _)| *at < before || *at > due + LATER);
        if steady && begin < due - SKEW && *stands < due - LEAD && due + LATER < self.end {
            findings.violations.push(format!("booking {}: nobody came, and nobody has noticed", last.id));
        }
    }
}

fn asks_for_another(kind: Type) -> bool {
    matches!(kind, Type::NoShowRecovery | Type::RebookingReminder)
}

fn same<'a>(among: &'a [Expected], one: &Expected) -> Option<&'a Expected> {
    among.iter().find(|other| other.which == one.which)
}

/// Whether a message is owed after a change as it was before.
fn goes_on(before: &Expected, after: &Expected) -> bool {
    let near = before.due.duration_since(after.due).abs() <= SKEW;
    before.against().is_none() && after.against().is_none() && near && before.use_by == after.use_by
}

impl Reported {
    /// How a message stands of which it is the last word.
    fn status_and_reason(&self) -> (MessageStatus, Option<Reason>) {
        match self.report {
            Report::Delivered | Report::Complaint => (MessageStatus::Delivered, None),
            Report::Read => (MessageStatus::Read, None),
            Report::Failed { reason, .. } => (MessageStatus::Failed, Some(reason)),
        }
    }
}

/// A message as a reader of a violation knows it.
fn label(row: &Message) -> String {
    let Message { kind, step, channel, recipient, revision, subject, business_id, .. } = row;
    format!(
        "{kind} {step} by {channel} to {recipient} (booking {subject}, revision {revision}, {business_id})"
    )
}
