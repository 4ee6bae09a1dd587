//! Running other programs: to their end, or as servers that are stopped by process id.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to stop by itself before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// Lines of a failed program's output that are shown.
const TAIL_LINES: usize = 40;

/// Runs a program that shows its own output; fails unless it exits with 0.
pub fn run(command: &mut Command) -> Result<()> {
    let name = name(command);
    let status = command.status().map_err(|error| not_started(&name, &error))?;
    if !status.success() {
        bail!("{name} ended with {status}");
    }
    Ok(())
}

/// Runs a program and returns what it wrote to standard output; on failure the end of its output is shown.
pub fn output(command: &mut Command) -> Result<String> {
    let name = name(command);
    let output = command.stdin(Stdio::null()).output().map_err(|error| not_started(&name, &error))?;
    if !output.status.success() {
        eprintln!("{}", tail(&String::from_utf8_lossy(&output.stdout)));
        eprintln!("{}", tail(&String::from_utf8_lossy(&output.stderr)));
        bail!("{name} ended with {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{name} wrote something that is not UTF-8"))
}

/// The last lines of a text.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let file = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    match command.get_args().next() {
        Some(first) => format!("{file} {}", first.to_string_lossy()),
        None => file,
    }
}

fn not_started(name: &str, error: &std::io::Error) -> anyhow::Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        anyhow!("{name} is not on this machine")
    } else {
        anyhow!("{name} cannot be started: {error}")
    }
}

/// A server in the background with its output in a file. Dropping it stops it.
pub struct Server {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Server {
    /// Starts the program in a process group of its own, so that a Ctrl-C in the terminal reaches it through us only.
    /// Standard error goes to `log`; standard output too, unless the command pipes it already.
    pub fn start(name: &str, command: &mut Command, log: &Path, pipe_stdout: bool) -> Result<Self> {
        use std::os::unix::process::CommandExt;
        if let Some(folder) = log.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let file = fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let stdout = if pipe_stdout { Stdio::piped() } else { Stdio::from(file.try_clone()?) };
        let child = command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(file)
            .process_group(0)
            .spawn()
            .map_err(|error| not_started(name, &error))?;
        Ok(Self { name: name.to_owned(), log: log.to_path_buf(), child })
    }

    /// Takes the pipe of its standard output.
    pub fn stdout(&mut self) -> Result<impl Read + Send + use<>> {
        self.child.stdout.take().ok_or_else(|| anyhow!("the output of {} is not piped", self.name))
    }

    /// Fails, with the end of its log, when it is no longer running.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            eprintln!("{}", tail(&log));
            bail!("{} ended with {status}; its log is {}", self.name, self.log.display());
        }
        Ok(())
    }

    /// Asks it to stop, waits, and kills it if it does not.
    pub fn stop(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        kill_process(Pid::from_child(&self.child), Signal::TERM)
            .with_context(|| format!("cannot stop {}", self.name))?;
        let deadline = Instant::now() + STOP_PATIENCE;
        while Instant::now() < deadline {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.child.kill()?;
        self.child.wait()?;
        bail!("{} did not stop within {} s and was killed", self.name, STOP_PATIENCE.as_secs())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("warning: {error:#}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_told_in_one_line() {
        let error = run(&mut Command::new("no-such-program")).unwrap_err().to_string();
        assert_eq!(error, "no-such-program is not on this machine");
    }

    #[test]
    fn a_server_is_stopped_by_its_process_id() {
        let log = std::env::temp_dir().join(format!("xtask-server-{}.log", std::process::id()));
        let mut server = Server::start("sleep", Command::new("sleep").arg("60"), &log, false).unwrap();
        server.check().unwrap();
        let pid = Pid::from_child(&server.child);
        server.stop().unwrap();
        assert!(rustix::process::test_kill_process(pid).is_err(), "the process is still there");
        assert!(server.check().unwrap_err().to_string().contains("sleep ended with"));
        fs::remove_file(log).unwrap();
    }
}
