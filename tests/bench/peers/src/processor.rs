//! A share of a processor, as Lambda gives it by memory. Linux keeps a group of processes to it; making one takes root.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::Error;

/// So much memory (MB) comes with one processor. <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
const ONE_PROCESSOR: u64 = 1769;

/// Within each of these (microseconds) a group has its share and then waits. Lambda's period is not documented.
const PERIOD: u64 = 20_000;

/// A group of processes with a share of a processor. Gone when dropped, by when its processes must have ended.
pub(crate) struct Share {
    folder: PathBuf,
    /// The group this process is in otherwise.
    home: PathBuf,
}

impl Share {
    /// What a function of so much memory (MB) has.
    pub(crate) fn of(memory: u64) -> Result<Self, Error> {
        let groups = fs::read_to_string("/proc/self/cgroup")?;
        let Hierarchy { root, home, second } =
            hierarchy(&groups).ok_or("no groups of processes share the processor")?;
        let folder = root.join(format!("bench-{}", std::process::id()));
        let share = Self { folder, home };
        share.set_up(memory, second).map_err(|error| {
            format!(
                "cannot keep a process to a share of a processor, which takes root: {}: {error}",
                share.folder.display()
            )
        })?;
        Ok(share)
    }

    fn set_up(&self, memory: u64, second: bool) -> io::Result<()> {
        let quota = (PERIOD * memory / ONE_PROCESSOR).to_string();
        fs::create_dir_all(&self.folder)?;
        if second {
            return fs::write(self.folder.join("cpu.max"), format!("{quota} {PERIOD}"));
        }
        // In an order that leaves no more than the period at any time.
        fs::write(self.folder.join("cpu.cfs_quota_us"), "-1")?;
        fs::write(self.folder.join("cpu.cfs_period_us"), PERIOD.to_string())?;
        fs::write(self.folder.join("cpu.cfs_quota_us"), quota)
    }

    /// Does something as a member of the group: a process that it starts stays in it.
    pub(crate) fn within<T>(&self, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        // 0 is whoever writes it.
        fs::write(self.folder.join("cgroup.procs"), "0")?;
        let done = act();
        fs::write(self.home.join("cgroup.procs"), "0")?;
        done
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.folder) {
            eprintln!("{} is left behind: {error}", self.folder.display());
        }
    }
}

/// The hierarchy of groups that shares the processor.
struct Hierarchy {
    root: PathBuf,
    /// Where this process is in it.
    home: PathBuf,
    /// Whether it is of the second version. <https://docs.kernel.org/admin-guide/cgroup-v2.html>
    second: bool,
}

/// From `/proc/self/cgroup`: `4:cpu,cpuacct:/path`, or `0::/path` where there is the second version only.
fn hierarchy(groups: &str) -> Option<Hierarchy> {
    let lines = || groups.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let first = lines().find(|(controllers, _)| controllers.split(',').any(|name| name == "cpu"));
    let (root, path, second) = match first {
        Some((_, path)) => ("/sys/fs/cgroup/cpu", path, false),
        None => ("/sys/fs/cgroup", lines().find(|(controllers, _)| controllers.is_empty())?.1, true),
    };
    let root = PathBuf::from(root);
    let home = root.join(path.trim_start_matches('/'));
    Some(Hierarchy { root, home, second })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_that_shares_the_processor_is_found() {
        let first = hierarchy("5:memory:/m\n4:cpu,cpuacct:/user/me\n0::/u\n").unwrap();
        assert_eq!((first.home, first.second), ("/sys/fs/cgroup/cpu/user/me".into(), false));
        let second = hierarchy("0::/user.slice/me\n").unwrap();
        assert_eq!((second.home, second.second), ("/sys/fs/cgroup/user.slice/me".into(), true));
        assert!(hierarchy("5:memory:/m\n").is_none());
    }
}
