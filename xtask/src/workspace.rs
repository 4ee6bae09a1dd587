//! Where things are in the checkout.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The checkout's root: the folder above this crate.
pub fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

/// The bare runtime: a function that does nothing, the yardstick of the others.
pub const BARE: &str = "bare";

/// The folder of a function, or of the bare runtime.
pub fn function(name: &str) -> PathBuf {
    root().join(if name == BARE { "tests/bench" } else { "functions" }).join(name)
}

/// Names of the Lambda functions, one folder under `functions/` each, in alphabetical order.
pub fn functions() -> Result<Vec<String>> {
    let folder = root().join("functions");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").exists() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn template() -> Result<String> {
    let path = root().join("template.yaml");
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Logical ids under `Resources:` of `template.yaml`, in the file's order.
pub fn template_resources() -> Result<Vec<String>> {
    Ok(resource_ids(&template()?))
}

/// The keys indented by two spaces between `Resources:` and the next top-level key. A YAML parser would be the heaviest
/// dependency of this crate, for the one list it needs.
fn resource_ids(template: &str) -> Vec<String> {
    template
        .lines()
        .skip_while(|line| *line != "Resources:")
        .skip(1)
        .take_while(|line| line.is_empty() || line.starts_with([' ', '#']))
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with([' ', '#']))
        .filter_map(|line| line.split_once(':'))
        .map(|(id, _)| id.to_owned())
        .collect()
}

/// Names and defaults of the parameters of `template.yaml` that have one.
pub fn template_defaults() -> Result<Vec<(String, String)>> {
    Ok(defaults(&template()?))
}

/// The `Default:` of each key indented by two spaces between `Parameters:` and the next top-level key.
fn defaults(template: &str) -> Vec<(String, String)> {
    let (mut found, mut name) = (Vec::new(), "");
    let section = template.lines().skip_while(|line| *line != "Parameters:").skip(1);
    for line in section.take_while(|line| line.is_empty() || line.starts_with(' ')) {
        if let Some(default) = line.strip_prefix("    Default: ") {
            found.push((name.to_owned(), default.trim_matches('"').to_owned()));
        } else if let Some(key) = line.strip_prefix("  ").and_then(|line| line.strip_suffix(':')) {
            name = key.trim();
        }
    }
    found
}

/// How many sandboxes the functions of `template.yaml` that take from queues may have together.
pub fn template_concurrency() -> Result<u64> {
    Ok(concurrency(&template()?))
}

fn concurrency(template: &str) -> u64 {
    let values = template.lines().filter_map(|line| line.split_once("MaximumConcurrency: "));
    values.filter_map(|(_, value)| value.trim_end_matches([' ', '}']).parse::<u64>().ok()).sum()
}

/// Names of the environment variables that `template.yaml` gives to any function.
pub fn template_variables() -> Result<Vec<String>> {
    Ok(variable_names(&template()?))
}

/// Keys in capitals: nothing else in a SAM template is written so.
fn variable_names(template: &str) -> Vec<String> {
    let mut names: Vec<String> = template
        .lines()
        .filter_map(|line| line.trim_start().split_once(": "))
        .map(|(key, _)| key.to_owned())
        .filter(|key| key.len() > 1 && key.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_'))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Fails when something on this machine already listens on the port.
pub fn need_free_port(port: u16) -> Result<()> {
    if let Err(error) = TcpListener::bind(("127.0.0.1", port)) {
        bail!("port {port} on 127.0.0.1 cannot be used ({error}); give another with --port");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_ids_are_the_keys_of_the_resources_section_only() {
        let template = "Parameters:\n  Zone:\n    Type: String\nResources:\n  # tables\n  Table:\n    Type: T\n\n  Queue: { Type: Q }\nOutputs:\n  Url:\n    Value: x\n";
        assert_eq!(resource_ids(template), ["Table", "Queue"]);
    }

    #[test]
    fn defaults_are_those_of_parameters_only() {
        let template = "Parameters:\n  Rate:\n    Type: Number\n    Default: 14\n  # a word\n  From:\n    Type: String\n  Url:\n    Default: \"\"\nGlobals:\n  X:\n    Default: 1\n";
        let expected = [("Rate", "14"), ("Url", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(defaults(template), expected);
    }

    #[test]
    fn sandboxes_are_added_up() {
        let template = "ScalingConfig: { MaximumConcurrency: 10 }\n  MaximumConcurrency: 2\n";
        assert_eq!(concurrency(template), 12);
        assert!(template_concurrency().unwrap() > 12);
    }

    #[test]
    fn variables_are_the_keys_in_capitals() {
        let template = "      Variables:\n          QUEUE_ARN: !GetAtt Q.Arn\n          Zone: x\n          A_B: c\n          A_B: d\n";
        assert_eq!(variable_names(template), ["A_B", "QUEUE_ARN"]);
    }

    #[test]
    fn every_function_is_in_the_template() {
        let template = fs::read_to_string(root().join("template.yaml")).unwrap();
        for name in functions().unwrap() {
            assert!(
                template.contains(&format!("CodeUri: functions/{name}\n")),
                "{name} is not in template.yaml"
            );
        }
    }

    #[test]
    fn a_taken_port_is_told() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = need_free_port(port).unwrap_err().to_string();
        assert!(error.contains(&port.to_string()) && error.contains("--port"), "{error}");
    }
}
