//! The local stack as `cargo xtask run` starts it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use crate::process::Server;
use crate::{python, workspace};

/// Longest wait for the stack to be ready. It takes a second or two.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// Template parameters of the local stack: addresses that lead nowhere, since the providers are its own.
pub const PARAMETERS: [&str; 5] = [
    "EmailFrom=Salon <hello@salon.example>",
    "EmailIdentityArn=arn:aws:ses:us-east-1:000000000000:identity/salon.example",
    "ApnsApplicationArn=arn:aws:sns:us-east-1:000000000000:app/APNS/local",
    "FcmApplicationArn=arn:aws:sns:us-east-1:000000000000:app/GCM/local",
    "RequestsPerMinute=100000",
];

/// A running local stack. Dropping it stops it.
pub struct Stack {
    server: Server,
    /// Address of the HTTP API.
    pub api: String,
    /// Address of the outbox page and the time machine.
    pub control: String,
    environment: BTreeMap<String, String>,
    /// Held while the developer's stack is up: two would overwrite each other's data.
    lock: Option<fs::File>,
}

/// Where the stack keeps its data.
pub fn state_dir() -> PathBuf {
    workspace::root().join(".local/run")
}

fn saved_file() -> PathBuf {
    workspace::root().join(".local/environment.json")
}

/// The environment the admin tool needs to work on the stack that is running now; empty when none is.
pub fn saved_environment() -> BTreeMap<String, String> {
    let Ok(text) = fs::read_to_string(saved_file()) else {
        return BTreeMap::new();
    };
    let Ok(Value::Object(entries)) = serde_json::from_str(&text) else {
        return BTreeMap::new();
    };
    entries.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect()
}

impl Stack {
    /// Starts the stack at `port` (the API; the control page is beside it) and waits until it is ready.
    pub fn start(port: u16, keep: bool) -> Result<Self> {
        let lock = lock(&workspace::root().join(".local/lock"))?;
        let stack = Self::launch(port, keep, &state_dir(), "local-stack", Some(lock))?;
        write_private(&saved_file(), &serde_json::to_string_pretty(&stack.environment)?)?;
        Ok(stack)
    }

    /// Starts a stack for one purpose, beside the developer's if that is up: its data is in `.local/NAME`, and nothing finds it by itself.
    pub fn start_apart(port: u16, name: &str) -> Result<Self> {
        Self::launch(port, false, &workspace::root().join(".local").join(name), name, None)
    }

    fn launch(port: u16, keep: bool, state_dir: &Path, log: &str, lock: Option<fs::File>) -> Result<Self> {
        let root = workspace::root();
        let log = root.join(format!(".local/{log}.log"));
        let mut command = Command::new(root.join("target/local/local-stack"));
        command
            .current_dir(&root)
            .args(["--template", "template.yaml", "--functions-dir", "target/local", "--state-dir"])
            .arg(state_dir)
            .args(["--base-port", &port.to_string(), "--ministack"])
            .arg(python::RUN.program("ministack"));
        for parameter in PARAMETERS {
            command.args(["--parameter", parameter]);
        }
        if keep {
            command.arg("--keep");
        }
        let mut server = Server::start("local-stack", &mut command, &log, true)?;
        let ready = wait_until_ready(&mut server, &log)?;
        Ok(Self {
            api: text(&ready, "api")?,
            control: text(&ready, "control")?,
            environment: environment(&ready)?,
            server,
            lock,
        })
    }

    /// The admin tool, set up to work on this stack.
    pub fn admin(&self) -> Command {
        let mut command = Command::new(workspace::root().join("target/local/admin"));
        command.envs(&self.environment);
        command
    }

    /// Fails when the stack has stopped by itself.
    pub fn check(&mut self) -> Result<()> {
        self.server.check()
    }

    /// Stops the stack and everything it started.
    pub fn stop(mut self) -> Result<()> {
        self.server.stop()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Its tables are gone with it; a file that is already missing is as good.
        if self.lock.is_some() {
            let _ = fs::remove_file(saved_file());
        }
    }
}

/// Takes the checkout's lock, which ends with this process however it ends.
fn lock(path: &Path) -> Result<fs::File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let file = fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            bail!("`cargo xtask run` is up in this checkout already; stop that one first")
        }
        Err(fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Reads the server's output until the line of JSON that says it is ready, and goes on emptying the pipe in the background.
fn wait_until_ready(server: &mut Server, log: &Path) -> Result<Value> {
    let lines = BufReader::new(server.stdout()?).lines();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Ok(ready @ Value::Object(_)) = serde_json::from_str(&line)
                && ready.get("api").is_some()
            {
                // The receiver may have given up waiting.
                let _ = sender.send(ready);
            }
        }
    });
    let deadline = Instant::now() + START_PATIENCE;
    while Instant::now() < deadline {
        if let Ok(ready) = receiver.recv_timeout(Duration::from_millis(50)) {
            return Ok(ready);
        }
        server.check()?;
    }
    bail!("the local stack was not ready within {} s; its log is {}", START_PATIENCE.as_secs(), log.display())
}

fn environment(ready: &Value) -> Result<BTreeMap<String, String>> {
    let table = |name: &str| text(&ready["tables"], name);
    let entries = [
        ("AWS_ACCESS_KEY_ID", "local".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ENDPOINT_URL", text(ready, "ministack")?),
        ("BOOKINGS_TABLE", table("BookingsTable")?),
        ("MESSAGES_TABLE", table("MessagesTable")?),
    ];
    Ok(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn text(value: &Value, field: &str) -> Result<String> {
    let text = value[field]
        .as_str()
        .ok_or_else(|| anyhow!("the local stack's ready line has no {field}: {value}"))?;
    Ok(text.to_owned())
}

/// Writes a file that only its owner may read.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    // A file that exists keeps its old mode, so it goes first.
    if path.exists() {
        fs::remove_file(path).with_context(|| format!("cannot replace {}", path.display()))?;
    }
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_admin_tool_is_given_the_stacks_tables_and_endpoint() {
        let ready = serde_json::json!({
            "api": "http://127.0.0.1:4600", "control": "http://127.0.0.1:4601", "ministack": "http://127.0.0.1:4602",
            "tables": { "BookingsTable": "bookings", "MessagesTable": "messages" },
        });
        let environment = environment(&ready).unwrap();
        assert_eq!(environment["BOOKINGS_TABLE"], "bookings");
        assert_eq!(environment["AWS_ENDPOINT_URL"], "http://127.0.0.1:4602");
    }

    #[test]
    fn a_second_stack_in_a_checkout_is_refused() {
        let path = std::env::temp_dir().join(format!("xtask-lock-{}", std::process::id()));
        let first = lock(&path).unwrap();
        assert!(lock(&path).unwrap_err().to_string().contains("already"));
        drop(first);
        lock(&path).unwrap();
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_private_file_is_readable_by_its_owner_only_even_when_it_was_there_before() {
        let path = std::env::temp_dir().join(format!("xtask-private-{}", std::process::id()));
        fs::write(&path, "old").unwrap();
        write_private(&path, "new").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        fs::remove_file(path).unwrap();
    }
}
