//! Closing a task. What staff say of an assisted message is a report like a provider's, and takes the same way: the stream brings it (S67).

use domain::feedback::Report;
use domain::ids::TaskId;
use domain::message::Reason;
use domain::task::{Closed, Task, TaskKind, TaskOutcome};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::edit_catalogue::{Edit, update};
use crate::error::AppError;
use crate::once::Done;
use crate::ports::{FindMessage, Item, Key, MessageRef, PortError, Read, SetTimer, WriteFacts, WriteLedger};
use crate::take_report::{AboutMessage, Taken, take_report};

/// How a task ended, as a caller gives it.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseFields {
    /// What was done.
    pub outcome: CloseOutcome,
}

/// What staff did about a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CloseOutcome {
    /// It was dealt with; of an assisted message: it was sent.
    Done,
    /// Nothing was to be done; of an assisted message: it was not sent.
    Dismissed,
}

/// Closes a task. One that is closed with this outcome stays as it is.
///
/// # Errors
/// [`AppError::NotFound`]; [`AppError::Stale`]; [`AppError::TaskClosed`] where it was closed otherwise.
pub async fn close_task(
    ports: &(impl Read + WriteFacts),
    edit: Edit<'_>,
    task_id: &TaskId,
    fields: CloseFields,
) -> Result<Done<Item>, AppError> {
    let outcome = match fields.outcome {
        CloseOutcome::Done => TaskOutcome::Done,
        CloseOutcome::Dismissed => TaskOutcome::Dismissed,
    };
    let key = Key::Task(edit.business_id.clone(), task_id.clone());
    update(ports, edit, key, &[], |before| match before {
        Some(Item::Task(task)) => match task.closed {
            None => Ok(Item::Task(Task { closed: Some(Closed { at: edit.now, outcome }), ..task })),
            Some(closed) if closed.outcome == outcome => Ok(Item::Task(task)),
            Some(_) => Err(AppError::TaskClosed),
        },
        _ => Err(AppError::NotFound { what: "task" }),
    })
    .await
}

/// What staff say of an assisted message by closing its task.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ByHand {
    /// By which task.
    pub task_id: TaskId,
    /// Which message.
    pub message: MessageRef,
    /// Whether it was sent.
    pub sent: bool,
    /// When the task was closed (UTC).
    pub at: Timestamp,
}

impl ByHand {
    /// What a task says, if it is a closed one of an assisted message.
    pub fn of(task: &Task) -> Option<Self> {
        let closed = task.closed.filter(|_| task.kind == TaskKind::AssistedMessage)?;
        let message = MessageRef {
            business_id: task.business_id.clone(),
            subject: task.subject.clone()?,
            message_id: task.message_id.clone()?,
        };
        let sent = match closed.outcome {
            TaskOutcome::Done => true,
            TaskOutcome::Dismissed => false,
            TaskOutcome::Settled => return None,
        };
        Some(Self { task_id: task.id.clone(), message, sent, at: closed.at })
    }

    /// Where the task is.
    pub fn task_key(&self) -> Key {
        Key::Task(self.message.business_id.clone(), self.task_id.clone())
    }
}

/// Takes what staff say of an assisted message, at `now` (UTC).
///
/// # Errors
/// [`PortError::Retryable`] also while the message is still being handed over.
pub async fn take_by_hand(
    store: &(impl Read + WriteLedger + WriteFacts + FindMessage),
    timers: &impl SetTimer,
    by_hand: &ByHand,
    now: Timestamp,
) -> Result<(), PortError> {
    let report = match by_hand.sent {
        true => Report::Delivered,
        false => Report::Failed { reason: Reason::NotSent, suppress: None },
    };
    let about = AboutMessage::Named(by_hand.message.clone());
    match take_report(store, timers, &about, report, by_hand.at, now).await? {
        Taken::Again => Err(PortError::Retryable {
            operation: "taking what staff say of a message",
            source: "it is still being handed over".into(),
        }),
        _ => Ok(()),
    }
}
