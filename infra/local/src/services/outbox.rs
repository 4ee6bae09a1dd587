//! Everything that left, by any channel, in memory and in a file.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Channel, lock};

/// One message that a provider accepted and delivered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Unique in the outbox.
    pub id: String,
    /// When it left, in the stack's time.
    pub at: Timestamp,
    /// What it left by.
    pub channel: Channel,
    /// E-mail addresses joined by `, `; or a phone number; or the ARN of a push endpoint; or a Telegram chat's id.
    pub to: String,
    /// Sender's address, an sms's sender id, the id of WhatsApp's phone number, or of the Telegram bot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// An e-mail's subject, or a push message's title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The text, on every channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// An e-mail's HTML body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// An e-mail's further headers, `Cc`, `Bcc` and `Reply-To` included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    /// An e-mail's attachments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// A push endpoint's platform: `APNS` or `GCM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// A push endpoint's device token, or a Telegram bot's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What the device gets: the platform's JSON, or the text that was sent for every platform; or Meta's JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
    /// The message id that the provider answered with; of Telegram, whose ids hold within a chat, `chat:message`.
    pub provider_id: String,
    /// An e-mail's configuration set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration_set: Option<String>,
    /// An e-mail's message tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// An sms's kind, `Transactional` or `Promotional`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The template of a WhatsApp message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<MessageTemplate>,
    /// The buttons below a message of a messenger.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<Button>,
    /// What its provider was let tell of it, and what the recipient replied, in order. Not in the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feedback: Vec<String>,
}

/// A template registered with Meta, and what is put in for its variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageTemplate {
    /// Its name.
    pub name: String,
    /// Its language's code, such as `en_US`.
    pub language: String,
    /// The values of its variables, header first.
    pub parameters: Vec<String>,
}

/// A button below a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// What is written on it.
    pub text: String,
    /// What it sends back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Where it leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A header of an e-mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// An attachment of an e-mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// File name.
    pub name: String,
    /// Media type.
    #[serde(rename = "type")]
    pub media_type: String,
    /// Content in base64.
    pub content: String,
}

impl Entry {
    /// A message without content yet.
    pub(super) fn new(at: Timestamp, channel: Channel, to: String, provider_id: String) -> Self {
        Self {
            id: Uuid::new_v4().to_string(),
            at,
            channel,
            to,
            from: None,
            subject: None,
            text: None,
            html: None,
            headers: Vec::new(),
            attachments: Vec::new(),
            platform: None,
            token: None,
            payload: None,
            provider_id,
            configuration_set: None,
            tags: BTreeMap::new(),
            kind: None,
            template: None,
            buttons: Vec::new(),
            feedback: Vec::new(),
        }
    }
}

/// The messages that left, oldest first.
pub(super) struct Outbox {
    path: PathBuf,
    inner: Mutex<Inner>,
}

struct Inner {
    entries: Vec<Entry>,
    /// Counts changes, so that the page knows when to show itself anew.
    revision: u64,
}

impl Outbox {
    /// Opens `outbox.jsonl` in a directory: reads it back if it is kept, else begins it anew.
    pub(super) fn new(state_dir: &Path, keep: bool) -> Self {
        let path = state_dir.join("outbox.jsonl");
        if let Err(error) = std::fs::create_dir_all(state_dir) {
            tracing::error!(directory = %state_dir.display(), %error, "outbox directory not made");
        }
        let entries = if keep { read(&path) } else { Vec::new() };
        let outbox = Self { path, inner: Mutex::new(Inner { entries, revision: 0 }) };
        if !keep {
            outbox.begin_file();
        }
        outbox
    }

    /// Takes in a message that left.
    pub(super) fn record(&self, entry: Entry) {
        let mut inner = lock(&self.inner);
        if let Err(error) = append(&self.path, &entry) {
            tracing::error!(file = %self.path.display(), %error, "outbox not written");
        }
        inner.entries.push(entry);
        inner.revision += 1;
    }

    /// The messages by channel and by recipient (address, phone, endpoint or device token), oldest first.
    pub(super) fn entries(&self, channel: Option<Channel>, to: Option<&str>) -> Vec<Entry> {
        let wanted = |entry: &&Entry| {
            channel.is_none_or(|channel| channel == entry.channel)
                && to.is_none_or(|to| {
                    entry.to.split(", ").any(|each| each == to) || entry.token.as_deref() == Some(to)
                })
        };
        lock(&self.inner).entries.iter().filter(wanted).cloned().collect()
    }

    /// A message by its id in the outbox, or else by the provider's.
    pub(super) fn find(&self, id: &str) -> Option<Entry> {
        let inner = lock(&self.inner);
        let by = |wanted: fn(&Entry) -> &str| {
            inner.entries.iter().rev().find(|entry| wanted(entry) == id).cloned()
        };
        by(|entry| &entry.id).or_else(|| by(|entry| &entry.provider_id))
    }

    /// Notes what became of a message.
    pub(super) fn note(&self, id: &str, what: String) {
        let mut inner = lock(&self.inner);
        if let Some(entry) = inner.entries.iter_mut().rev().find(|entry| entry.id == id) {
            entry.feedback.push(what);
            inner.revision += 1;
        }
    }

    /// Forgets every message.
    pub(super) fn clear(&self) {
        let mut inner = lock(&self.inner);
        inner.entries.clear();
        inner.revision += 1;
        self.begin_file();
    }

    pub(super) fn revision(&self) -> u64 {
        lock(&self.inner).revision
    }

    fn begin_file(&self) {
        if let Err(error) = File::create(&self.path) {
            tracing::error!(file = %self.path.display(), %error, "outbox not begun");
        }
    }
}

fn append(path: &Path, entry: &Entry) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    OpenOptions::new().create(true).append(true).open(path)?.write_all(&line)
}

fn read(path: &Path) -> Vec<Entry> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            tracing::error!(file = %path.display(), %error, "outbox of the last run not read");
            return Vec::new();
        }
    };
    let mut entries = Vec::new();
    for line in BufReader::new(file).lines() {
        match line.map_err(serde_json::Error::io).and_then(|line| serde_json::from_str(&line)) {
            Ok(entry) => entries.push(entry),
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "line of the outbox not understood")
            }
        }
    }
    entries
}
