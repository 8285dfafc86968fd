//! Real power cuts: log, lake and ledger lie on loop-mounted ext4, the program is stopped at a durable step, the file
//! systems are shut down without flushing anything, and mounted again. What was answered must still be there.
//!
//! Needs root, for mounting; elsewhere these tests say so and pass. What ext4 keeps by itself (a file's first fsync
//! commits its name too) is no proof that a folder's fsync is there: `sync_order` watches the system calls for that.

use crate::story::{Act, Dice, LONG, Place, SHORT, Size, census, soak_minutes};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use watertight_core::steps;

/// `EXT4_IOC_SHUTDOWN`, `_IOR('X', 125, __u32)`, and its flag "do not flush the journal".
const SHUTDOWN: rustix::ioctl::Opcode = 0x8004_587d;
const NO_LOG_FLUSH: u32 = 2;

/// A file system of its own.
struct Disk {
    image: PathBuf,
    dir: PathBuf,
}

fn command(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).status().is_ok_and(|status| status.success())
}

impl Disk {
    fn new(image: PathBuf, dir: PathBuf) -> Self {
        std::fs::create_dir_all(&dir).expect("a folder");
        let file = std::fs::File::create(&image).expect("an image");
        file.set_len(96 << 20).expect("room");
        let disk = Self { image, dir };
        assert!(command("mkfs.ext4", &["-q", "-F", disk.image.to_str().expect("plain")]), "mkfs.ext4");
        disk.mount();
        disk
    }

    fn mount(&self) {
        let (image, dir) = (self.image.to_str().expect("plain"), self.dir.to_str().expect("plain"));
        // No commit of the journal by the clock: only what was synced survives.
        assert!(command("mount", &["-o", "loop,commit=300", image, dir]), "mount {dir}");
    }

    fn unmount(&self) {
        let began = Instant::now();
        while !command("umount", &["-q", self.dir.to_str().expect("plain")]) {
            assert!(began.elapsed() < Duration::from_secs(20), "{} stays busy", self.dir.display());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Everything that was not made durable is gone.
    fn cut(&self) {
        let dir = std::fs::File::open(&self.dir).expect("mounted");
        #[expect(unsafe_code, reason = "this ioctl reads one u32 through the pointer it is given, and nothing else")]
        let cut = unsafe {
            let request = rustix::ioctl::Setter::<SHUTDOWN, u32>::new(NO_LOG_FLUSH);
            rustix::ioctl::ioctl(&dir, request)
        };
        cut.expect("the file system is shut down");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        command("umount", &["-q", "-l", self.dir.to_str().expect("plain")]);
    }
}

/// Which parts share a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Log, lake and ledger on one: as on a laptop.
    One,
    /// Each on its own: no fsync of one part helps another.
    Apart,
    /// As `Apart`, but the ledger's disk keeps its power: it holds what was answered.
    LedgerAside,
}

/// A story on disks that can lose their power.
pub(crate) struct Site {
    disks: Vec<Disk>,
    pub(crate) place: Place,
    _scratch: TempDir,
}

impl Site {
    pub(crate) fn new(layout: Layout, size: Size, seed: u64) -> Self {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let (here, aside) = (scratch.path().join("here"), scratch.path().join("aside"));
        let image = |name: &str| scratch.path().join(name);
        let disks = match layout {
            Layout::One => vec![Disk::new(image("all"), here.clone())],
            Layout::Apart | Layout::LedgerAside => {
                let apart = [("log", "data/log"), ("lake", "data/lake"), ("acks", "acks")];
                let kept = if layout == Layout::Apart { 3 } else { 2 };
                apart[..kept].iter().map(|(name, dir)| Disk::new(image(name), here.join(dir))).collect()
            }
        };
        let place = Place::new(&here, &aside, size, seed);
        // The pipeline file was there before the story begins.
        assert!(command("sync", &[]));
        Self { disks, place, _scratch: scratch }
    }

    /// Starts `act`, cuts the power once it stands still at its planted step; false where it ended before.
    fn cut_at(&self, act: Act, planted: &str) -> bool {
        self.cut_once_stopped(self.place.start(act, planted), || ())
    }

    /// Cuts the power once the program stands still, behind a last `look` at what it has done; false where it ended
    /// before.
    pub(crate) fn cut_once_stopped(&self, mut child: Child, look: impl FnOnce()) -> bool {
        let stopped = wait_until_stopped(&mut child);
        if stopped {
            look();
            self.cut();
            child.kill().expect("a child can be killed");
        }
        child.wait().expect("reaped");
        self.restore();
        stopped
    }

    fn cut(&self) {
        self.disks.iter().for_each(Disk::cut);
    }

    fn restore(&self) {
        self.disks.iter().for_each(Disk::unmount);
        self.disks.iter().for_each(Disk::mount);
    }
}

/// Waits until the process stands still at its planted step; false where it ends.
fn wait_until_stopped(child: &mut Child) -> bool {
    let began = Instant::now();
    let stat = PathBuf::from(format!("/proc/{}/stat", child.id()));
    loop {
        if child.try_wait().expect("looked at").is_some() {
            return false;
        }
        let text = std::fs::read_to_string(&stat).unwrap_or_default();
        if text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')) {
            return true;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "it neither stops nor ends");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn can_cut() -> bool {
    if rustix::process::getuid().is_root() && Path::new("/dev/loop-control").exists() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "CI is root and has loop devices");
    eprintln!("skipped: power cuts need root and loop devices");
    false
}

/// Cuts the power at one place, starts everything again, compares.
fn cut_story(layout: Layout, size: Size, seed: u64, act: Act, planted: &str) -> Result<(), String> {
    let site = Site::new(layout, size, seed);
    if act == Act::Run {
        site.place.complete(Act::Produce);
    }
    if !site.cut_at(act, planted) {
        return Err(format!("'{planted}' was not reached: {}", site.place.said()));
    }
    site.place.finish()
}

fn steps_passed() -> BTreeMap<(Act, String), (Size, u64)> {
    let mut points = BTreeMap::new();
    for size in [LONG, SHORT] {
        points.extend(census(size, 31).into_iter().map(|(point, times)| (point, (size, times))));
    }
    points
}

#[test]
fn after_a_power_cut_behind_any_durable_step_everything_answered_is_there() {
    if !can_cut() {
        return;
    }
    let mut dice = Dice(32);
    let mut failed = Vec::new();
    let mut cuts = 0;
    for ((act, point), (size, times)) in steps_passed() {
        let (step, moment) = point.split_once(':').expect("step and moment");
        if moment != "after" {
            continue;
        }
        let nth = dice.roll(1, (times * 2 / 3).max(1));
        let layout = [Layout::One, Layout::Apart, Layout::LedgerAside][cuts % 3];
        cuts += 1;
        if let Err(what) = cut_story(layout, size, 31, act, &format!("stop:after:{step}:{nth}")) {
            failed.push(format!("{layout:?} {act:?} {step} {nth}: {what}"));
        }
    }
    assert!(cuts > 40, "only {cuts} cuts");
    assert!(failed.is_empty(), "{} of {cuts}: {}", failed.len(), failed.join("\n"));
}

/// A step left out, where the power is cut, and what shows that it was missing.
const MISSING: [(&str, Act, &str); 5] = [
    // The first one is of what stood there when the ledger was opened.
    (steps::LOG_APPEND_SYNC, Act::Produce, "stop:after:ledger.sync:2"),
    (steps::LOG_TOPIC_FILE_SYNC, Act::Produce, "stop:after:log.topic_file.names:1"),
    (steps::IDENTITY_SYNC, Act::Run, "stop:after:identity.names:1"),
    (steps::DELTA_DATA_SYNC, Act::Run, "stop:after:delta.entry.names:9"),
    (steps::DELTA_ENTRY_SYNC, Act::Run, "stop:after:delta.entry.names:9"),
];

#[test]
fn a_missing_fsync_of_a_file_is_found_by_a_power_cut() {
    if !can_cut() {
        return;
    }
    for (step, act, stop) in MISSING {
        let planted = format!("leave-out:{step};{stop}");
        let site = Site::new(Layout::LedgerAside, SHORT, 33);
        if act == Act::Run {
            site.place.complete(Act::Produce);
        }
        assert!(site.cut_at(act, &planted), "{step}: {}", site.place.said());
        let ends_well = [Act::Produce, Act::Run].iter().all(|act| site.place.once(*act, "").success());
        let exact = ends_well && site.place.compare().is_ok();
        assert!(!exact, "{step} was left out, the power cut, and nothing is missing");
    }
}

#[test]
fn random_power_cuts_leave_the_tables_exact() {
    if !can_cut() {
        return;
    }
    let minutes = soak_minutes();
    let until = minutes.map(|minutes| Instant::now() + Duration::from_secs(minutes * 60));
    let mut seed = minutes.map_or(34, |_| u64::from(std::process::id()) << 20);
    let (mut stories, mut cuts) = (0, 0);
    loop {
        cuts += random_story(seed, 6).unwrap_or_else(|difference| panic!("seed {seed}: {difference}"));
        (stories, seed) = (stories + 1, seed + 1);
        let Some(until) = until else { break };
        println!("power cuts: {stories} stories, {cuts} cuts, 0 differences; last seed {}", seed - 1);
        if Instant::now() >= until {
            break;
        }
    }
    assert!(cuts > 0);
}

/// Producer and pipeline lose their power at random steps in turn.
fn random_story(seed: u64, cuts: usize) -> Result<usize, String> {
    let layout = [Layout::One, Layout::Apart, Layout::LedgerAside][(seed % 3) as usize];
    let site = Site::new(layout, LONG, seed);
    let mut dice = Dice(seed);
    let mut cut = 0;
    for turn in 0..cuts {
        let act = if turn % 3 == 0 { Act::Produce } else { Act::Run };
        cut += usize::from(site.cut_at(act, &format!("stop:any:{}", dice.roll(1, 400))));
    }
    site.place.finish()?;
    Ok(cut)
}
