//! Assisted messages: the provider is the business's own staff, and handing a message over is a task with its text and links (S67).

use domain::task::{Task, TaskKind};
use domain::template::Content;

use crate::once::write_unless_there;
use crate::ports::{Address, Item, Outgoing, Provider, ProviderError, Read, Receipt, WriteFacts};

/// [`Provider`] whose messages are tasks for staff.
#[derive(Debug, Clone, Copy)]
pub struct Staff<'a, S>(pub &'a S);

impl<S: Read + WriteFacts> Provider for Staff<'_, S> {
    /// Writes the task. Its id is the message's, so a message handed over twice is one task; staff who close it report what they did.
    async fn send(&self, outgoing: Outgoing<'_>) -> Result<Receipt, ProviderError> {
        let Outgoing { message, to, content, .. } = outgoing;
        let (Address::Assisted, Content::Assisted { text, links }) = (to, content) else {
            return Err(ProviderError::Refused("only assisted messages go this way".into()));
        };
        let refused = |_| ProviderError::Refused("the message's id is no task id".into());
        let task = Task {
            business_id: message.business_id.clone(),
            id: message.id.as_str().parse().map_err(refused)?,
            kind: TaskKind::AssistedMessage,
            subject: Some(message.subject.clone()),
            client_ids: message.recipient.client().cloned().into_iter().collect(),
            since: message.due,
            assignee: None,
            message_id: Some(message.id.clone()),
            text: Some(text.clone()),
            links: links.clone(),
            closed: None,
        };
        let receipt = Receipt { provider_id: task.id.to_string(), dead_devices: Vec::new() };
        match write_unless_there(self.0, Item::Task(task)).await {
            Ok(()) => Ok(receipt),
            Err(error) => Err(ProviderError::Unknown(error.into())),
        }
    }
}
