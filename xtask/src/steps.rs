//! Steps with a name and a time, so that nobody wonders what is taking so long.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};

/// The steps of one command: announces each, takes its time, and can list them all at the end.
pub struct Steps {
    started: Instant,
    done: Vec<(String, Duration, bool)>,
}

impl Steps {
    /// Starts the clock.
    pub fn new() -> Self {
        Self { started: Instant::now(), done: Vec::new() }
    }

    /// Runs one step that prints its own progress. Its error is given the step's name.
    pub fn run<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("==> {name}");
        let begun = Instant::now();
        let result = work();
        let took = begun.elapsed();
        self.done.push((name.to_owned(), took, result.is_ok()));
        if result.is_ok() {
            println!("    {name}: {}", seconds(took));
        }
        result.with_context(|| name.to_owned())
    }

    /// Prints one line a step with its time, and the total.
    pub fn summary(&self) {
        let mut table = table(&["step", "time", ""]);
        for (name, took, ok) in &self.done {
            table.add_row([name.as_str(), &seconds(*took), if *ok { "ok" } else { "FAILED" }]);
        }
        table.add_row(["total", &seconds(self.started.elapsed()), ""]);
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        println!("\n{table}");
    }

    /// Time since the first step began.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A table with a header, ruled with plain lines.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header);
    table
}

/// A spinner with the time beside it for work that says nothing itself. Invisible when standard error is no terminal.
pub fn spinner(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("    {spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// `0.34 s`, `12.1 s` or `3 min 20 s`.
pub fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs();
    match whole {
        0..10 => format!("{:.2} s", duration.as_secs_f64()),
        10..60 => format!("{:.1} s", duration.as_secs_f64()),
        _ => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well_at_every_size() {
        assert_eq!(seconds(Duration::from_millis(340)), "0.34 s");
        assert_eq!(seconds(Duration::from_millis(12_120)), "12.1 s");
        assert_eq!(seconds(Duration::from_secs(200)), "3 min 20 s");
    }

    #[test]
    fn a_failed_step_is_named_in_its_error() {
        let error = Steps::new().run("make tea", || anyhow::bail!("no water") as Result<()>).unwrap_err();
        assert_eq!(format!("{error:#}"), "make tea: no water");
    }
}
