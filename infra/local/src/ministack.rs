//! MiniStack as a child process: DynamoDB with Streams, and SQS.

use std::path::Path;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Request;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::time::Instant;

use crate::error::StackError;
use crate::sandbox::tied_command;

/// It is usually ready in under a second; a busy machine may need longer.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take to save its state.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// A running MiniStack.
#[derive(Debug)]
pub struct MiniStack {
    process: Child,
    /// `127.0.0.1:port`.
    pub authority: String,
}

impl MiniStack {
    /// Starts `program` on `port` and waits until it answers. With `keep` it reads and saves its tables and queues
    /// in `state_dir`.
    ///
    /// # Errors
    /// It cannot be started, ends at once, or does not answer in a minute; the error names its log.
    pub async fn start(program: &Path, port: u16, state_dir: &Path, keep: bool) -> Result<Self, StackError> {
        let program = std::path::absolute(program).map_err(|source| StackError::file(program, source))?;
        if !program.exists() {
            return Err(StackError::MiniStack(format!("there is no {}", program.display())));
        }
        let log_path = state_dir.join("logs/ministack.log");
        let log = std::fs::File::create(&log_path).map_err(|source| StackError::file(&log_path, source))?;
        let errors = log.try_clone().map_err(|source| StackError::file(&log_path, source))?;
        let authority = format!("127.0.0.1:{port}");
        let mut command = tied_command(&program);
        command
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", state_dir)
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("AWS_ENDPOINT_URL", format!("http://{authority}"))
            .env("SFTP_ENABLED", "0")
            .env("IOT_MTLS_ENABLED", "0")
            .current_dir(state_dir)
            .stdout(log)
            .stderr(errors);
        if keep {
            command.env("PERSIST_STATE", "1").env("STATE_DIR", state_dir.join("ministack"));
        }
        let process = command.spawn().map_err(|source| StackError::file(&program, source))?;
        let mut ministack = Self { process, authority };
        ministack.wait_until_ready(&log_path).await?;
        Ok(ministack)
    }

    async fn wait_until_ready(&mut self, log: &Path) -> Result<(), StackError> {
        let end = Instant::now() + START_LIMIT;
        while !is_ready(&self.authority).await {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(StackError::MiniStack(format!("ended with {status}, see {}", log.display())));
            }
            if Instant::now() > end {
                return Err(StackError::MiniStack(format!("does not answer, see {}", log.display())));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Resolves when it ends by itself, which it should not.
    pub async fn ended(&mut self) -> StackError {
        let how =
            self.process.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
        StackError::MiniStack(format!("ended with {how}"))
    }

    /// Stops it, giving it time to save its state.
    pub async fn stop(mut self) {
        let pid = self.process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // Fails only when it has ended already.
            let _ = kill_process(pid, Signal::TERM);
            if tokio::time::timeout(STOP_LIMIT, self.process.wait()).await.is_err() {
                tracing::warn!("MiniStack did not stop in time and is killed");
            }
        }
        let _ = self.process.kill().await;
    }
}

/// Whether a MiniStack at `authority` takes requests.
async fn is_ready(authority: &str) -> bool {
    let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let Ok(request) = Request::get(format!("http://{authority}/_ministack/ready")).body(Full::default())
    else {
        return false;
    };
    client.request(request).await.is_ok_and(|answer| answer.map(Body::new).status().is_success())
}
