//! Assisted messages: the provider is the business's own staff, and handing a message over is a task with its text and links (S67).

use domain::task::{Task, TaskKind};
use domain::template::Content;

use crate::once::write_unless_there;
use crate::ports::{Address, Item, Outgoing, Provider, ProviderError, Read, Receipt, WriteFacts};
use crate::settle::message_task;

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
        let task = message_task(message, TaskKind::AssistedMessage, message.due)
            .map_err(|error| ProviderError::Refused(error.into()))?;
        let task = Task { text: Some(text.clone()), links: links.clone(), ..task };
        let receipt = Receipt { provider_id: task.id.to_string(), dead_devices: Vec::new() };
        match write_unless_there(self.0, Item::Task(task)).await {
            Ok(()) => Ok(receipt),
            Err(error) => Err(ProviderError::Unknown(error.into())),
        }
    }
}
