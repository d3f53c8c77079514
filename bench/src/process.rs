//! The processes that are measured: starting, stopping, and what they cost according to `/proc`.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::wire::{self, Connection};

/// Linux counts CPU time for `/proc` in hundredths of a second on every architecture.
const TICKS: f64 = 100.0;

/// A process of ours; dropping it ends it.
pub struct Process {
    child: Child,
    log: std::path::PathBuf,
}

impl Process {
    /// Starts `command` with its output in `folder/NAME.log`.
    pub fn start(name: &str, command: &mut Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = fs::File::options().create(true).append(true).open(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {name}: {command:?}"))?;
        Ok(Process { child, log })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `GET path` answers 200; the time is exact to about a millisecond.
    pub fn wait_ready(&mut self, address: SocketAddr, path: &str) -> Result<()> {
        self.wait_answer(address, &wire::get(address, path, None))
    }

    /// Waits until the request is answered with 200.
    pub fn wait_answer(&mut self, address: SocketAddr, request: &[u8]) -> Result<()> {
        let begin = Instant::now();
        let mut connection = Connection::new(address);
        loop {
            if connection.exchange(request).is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || begin.elapsed() > Duration::from_secs(60) {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                bail!("{} did not become ready:\n{log}", self.log.display());
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Asks it to end, waits ten seconds, then kills it.
    pub fn stop(mut self) -> Result<()> {
        Command::new("kill").arg(self.id().to_string()).status()?;
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(10) {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        eprintln!("{} did not stop when asked; killed", self.log.display());
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

/// A part of a stack whose cost is counted apart.
#[derive(Debug, Clone, Copy)]
pub struct Component {
    /// What the table calls it.
    pub name: &'static str,
    /// Its process.
    pub pid: u32,
    /// Whether it works in child processes that share memory, as PostgreSQL does.
    pub forks: bool,
}

/// What a component has used.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// CPU seconds since it started, user and system, of processes that ended too.
    pub cpu: f64,
    /// MB in memory now. Of a component that forks, the proportional share (PSS) of its
    /// processes, so that shared pages count once; of any other, RSS.
    pub memory: f64,
}

impl Component {
    /// Reads `/proc`.
    pub fn usage(&self) -> Result<Usage> {
        let own = Stat::of(self.pid)?;
        let mut usage = Usage { cpu: own.cpu, memory: memory(self.pid, if self.forks { "Pss:" } else { "Rss:" })? };
        if self.forks {
            usage.cpu += own.ended_children;
            for child in children(self.pid)? {
                // One that ends meanwhile is counted by its parent next time.
                if let (Ok(stat), Ok(share)) = (Stat::of(child), memory(child, "Pss:")) {
                    usage.cpu += stat.cpu;
                    usage.memory += share;
                }
            }
        }
        Ok(usage)
    }
}

impl Component {
    /// Starts its peak anew, where the system keeps one for it.
    pub fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.pid), "5").ok();
    }

    /// The most memory in MB that it had at once since `forget_peak`; of one that forks only what it has now.
    pub fn peak(&self) -> Result<f64> {
        if self.forks { Ok(self.usage()?.memory) } else { kilobytes(self.pid, "status", "VmHWM:") }
    }
}

struct Stat {
    parent: u32,
    cpu: f64,
    ended_children: f64,
}

impl Stat {
    fn of(pid: u32) -> Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
        Self::parse(&text).context("unreadable /proc/PID/stat")
    }

    fn parse(text: &str) -> Option<Self> {
        // The name in parentheses may hold spaces and parentheses; fields are safe after it.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
        Some(Stat {
            parent: fields.get(1)?.parse().ok()?,
            cpu: (ticks(11)? + ticks(12)?) / TICKS,
            ended_children: (ticks(13)? + ticks(14)?) / TICKS,
        })
    }
}

/// Whether a process of this machine has that name.
pub fn is_called(pid: u32, name: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|found| found.trim() == name)
}

fn children(parent: u32) -> Result<Vec<u32>> {
    let numbers = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    Ok(numbers.filter(|pid| Stat::of(*pid).is_ok_and(|stat| stat.parent == parent)).collect())
}

fn memory(pid: u32, field: &str) -> Result<f64> {
    kilobytes(pid, "smaps_rollup", field)
}

/// A field of a file of the process that is in kB, as MB.
fn kilobytes(pid: u32, file: &str, field: &str) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).with_context(|| format!("process {pid} is gone"))?;
    let kilobytes = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.trim().strip_suffix("kB"))
        .with_context(|| format!("unreadable /proc/PID/{file}"))?;
    Ok(kilobytes.trim().parse::<f64>()? * 1024.0 / 1e6)
}

/// An address on loopback that was free a moment ago.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Several, no two of them the same.
pub fn free_addresses(count: usize) -> Result<Vec<SocketAddr>> {
    let taken = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<Vec<_>, _>>()?;
    Ok(taken.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_does_not_shift_the_fields() {
        let stat = Stat::parse("7 (a ) b) S 3 1 1 0 -1 0 0 0 0 0 150 50 20 30 20 0").unwrap();
        assert_eq!((stat.parent, stat.cpu, stat.ended_children), (3, 2.0, 0.5));
    }

    #[test]
    fn this_process_has_a_size() {
        let own = Component { name: "test", pid: std::process::id(), forks: false };
        let now = own.usage().unwrap().memory;
        assert!(now > 1.0 && own.peak().unwrap() > now / 2.0);
    }
}
