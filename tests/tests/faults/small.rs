//! A small disk of its own for one service: filled, broken and mended without harm to the machine. Needs root.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use creditgate_tests::{SEGMENT_MIB, Service, binary};
use tempfile::TempDir;

/// What the disk is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Memory.
    Tmpfs,
    /// A file with ext4 in it, which turns read-only when it meets an error.
    Ext4,
}

/// A mounted disk, with a place beside it for what must not fill it.
pub struct SmallDisk {
    dir: TempDir,
    kind: Kind,
}

impl SmallDisk {
    /// Makes and mounts it.
    pub fn new(kind: Kind, mib: u32) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = Self { dir, kind };
        std::fs::create_dir(disk.at()).expect("a directory");
        if kind == Kind::Ext4 {
            let image = disk.image();
            run("truncate", &["-s", &format!("{mib}M"), &image]);
            run("mkfs.ext4", &["-q", "-F", &image]);
        }
        disk.mount(mib);
        disk
    }

    fn mount(&self, mib: u32) {
        let at = self.at().display().to_string();
        match self.kind {
            Kind::Tmpfs => run(
                "mount",
                &["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs", &at],
            ),
            Kind::Ext4 => run(
                "mount",
                &["-o", "loop,errors=remount-ro", &self.image(), &at],
            ),
        }
    }

    /// Where it is mounted.
    pub fn at(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    /// A file beside it.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn image(&self) -> String {
        self.beside("image").display().to_string()
    }

    /// A service whose data lies on it and whose log does not.
    pub fn launch(&self) -> Service {
        let log = self.beside("service.log");
        let mut command = Command::new(binary());
        // A new one is due soon.
        command.env(SEGMENT_MIB, "1");
        Service::launch(command, &self.at(), &log, &[])
    }

    /// As [`SmallDisk::launch`], once it is ready.
    pub fn start(&self) -> Service {
        let mut service = self.launch();
        service.wait_until_ready();
        service
    }

    /// Takes all the room there is; how many MiB that was.
    pub fn fill(&self) -> u64 {
        let mut file = File::create(self.at().join("filler")).expect("a file");
        let mut written = 0_u64;
        // Large pieces first, then whatever is left.
        for piece in [1 << 20, 4_096, 1] {
            let zeros = vec![0_u8; piece];
            while file.write_all(&zeros).is_ok() {
                written += zeros.len() as u64;
            }
            // ext4 gives out room only when it writes.
            let _ = file.sync_all();
        }
        written >> 20
    }

    /// Gives the room back.
    pub fn free(&self) {
        std::fs::remove_file(self.at().join("filler")).expect("removed");
    }

    /// The directory that new segments of verdicts are made in takes no new files, or takes them again.
    pub fn seal_verdicts(&self, sealed: bool) {
        let dir = self.at().join("verdicts").display().to_string();
        run("chattr", &[if sealed { "+i" } else { "-i" }, &dir]);
    }

    /// Mounts it again for reading alone, or for writing too; nobody may write to it then.
    pub fn read_only(&self, only: bool) {
        let how = if only { "remount,ro" } else { "remount,rw" };
        run("mount", &["-o", how, &self.at().display().to_string()]);
    }

    /// ext4 meets an error, and takes no writes from then on.
    pub fn fail(&self) {
        let mounted = Command::new("findmnt")
            .args(["-n", "-o", "SOURCE"])
            .arg(self.at())
            .output()
            .expect("findmnt runs");
        let device = String::from_utf8_lossy(&mounted.stdout).trim().to_owned();
        let device = device.trim_start_matches("/dev/");
        std::fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "1").expect("an error");
    }

    /// Checks ext4 and mounts it again, as an operator does after an error; nobody may use it then.
    pub fn mend(&self) {
        self.unmount();
        // 1: errors were corrected.
        let mut check = Command::new("e2fsck");
        let checked = check.args(["-f", "-y", &self.image()]).output();
        let checked = checked.expect("e2fsck runs");
        assert!(checked.status.code() <= Some(1), "{checked:?}");
        self.mount(0);
    }

    fn unmount(&self) {
        run("umount", &[&self.at().display().to_string()]);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A story that failed may have left a service on it: it goes when the last file is closed.
        let _ = Command::new("chattr")
            .args(["-i", &self.at().join("verdicts").display().to_string()])
            .stderr(std::process::Stdio::null())
            .status();
        let _ = Command::new("umount").arg("-l").arg(self.at()).status();
    }
}

/// Runs a tool of the system to its end.
pub fn run(program: &str, args: &[&str]) {
    let done = Command::new(program).args(args).output();
    let done = done.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(
        done.status.success(),
        "{program} {args:?} (needs root): {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// Sends a signal to a process.
pub fn signal(service: &Service, name: &str) {
    run("kill", &[name, &service.pid().to_string()]);
}

/// Waits until a service has ended by itself; its exit code and what it logged.
pub fn until_ended(mut service: Service, within: std::time::Duration) -> (Option<i32>, String) {
    let began = std::time::Instant::now();
    loop {
        if let Some(status) = service.ended() {
            return (status.code(), service.logged());
        }
        assert!(
            began.elapsed() < within,
            "it runs after {within:?}:\n{}",
            service.logged()
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// What the last lines of a log say, without their times.
pub fn last_error(log: &str) -> String {
    let line = log.lines().rev().find(|line| line.contains("ERROR"));
    let line = line.unwrap_or_default();
    line.split_once("ERROR")
        .map_or("", |(_, said)| said)
        .trim()
        .to_owned()
}
