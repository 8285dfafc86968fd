//! Power cuts, simulated: what was not synced is lost, torn or there, as chance has it, and the mark is an old one.

use super::*;
use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;

/// A small seeded generator (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// What would be on disk if the power went now.
#[derive(Debug, Default)]
struct Durable {
    /// Bytes per file (by inode) that a sync covered.
    bytes: HashMap<u64, u64>,
    /// Files whose names a folder's sync covered.
    names: HashSet<u64>,
    /// Calls until the power goes.
    left: u64,
}

/// A disk whose power goes after some calls.
#[derive(Default)]
struct PowerDisk(Mutex<Durable>);

impl PowerDisk {
    fn call(&self) -> Result<(), io::Error> {
        let mut durable = locked(&self.0);
        durable.left = durable.left.checked_sub(1).ok_or_else(|| io::Error::from_raw_os_error(EIO))?;
        Ok(())
    }

    fn is_off(&self) -> bool {
        locked(&self.0).left == 0
    }
}

impl Disk for PowerDisk {
    fn write(&self, file: &File, slices: &[&[u8]], at: u64) -> Result<(), (u64, io::Error)> {
        self.call().map_err(|error| (0, error))?;
        let all = slices.concat();
        if self.is_off() {
            let part = &all[..all.len() * 2 / 3];
            OsDisk.write(file, &[part], at)?;
            return Err((part.len() as u64, io::Error::from_raw_os_error(EIO)));
        }
        OsDisk.write(file, &[&all], at)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.call()?;
        let metadata = file.metadata()?;
        locked(&self.0).bytes.insert(metadata.ino(), metadata.len());
        Ok(())
    }

    fn sync_dir(&self, _dir: &File) -> io::Result<()> {
        self.call()?;
        let mut durable = locked(&self.0);
        let synced: Vec<u64> = durable.bytes.keys().copied().collect();
        durable.names.extend(synced);
        Ok(())
    }

    fn cut(&self, file: &File, len: u64) -> io::Result<()> {
        self.call()?;
        file.set_len(len)?;
        locked(&self.0).bytes.insert(file.metadata()?.ino(), len);
        Ok(())
    }
}

/// Leaves of each segment what a power cut could.
fn cut_the_power(partition: &Path, disk: &PowerDisk, chance: &mut Chance) {
    let durable = locked(&disk.0);
    for segment in segments(partition) {
        let ino = fs::metadata(&segment).unwrap().ino();
        let whole = fs::read(&segment).unwrap();
        if !durable.names.contains(&ino) && chance.below(2) == 0 {
            fs::remove_file(&segment).unwrap();
            continue;
        }
        let synced = durable.bytes.get(&ino).map_or(0, |len| *len as usize).min(whole.len());
        let mut left = whole[..synced].to_vec();
        let tail = &whole[synced..];
        match chance.below(4) {
            0 => {}
            1 => left.extend(&tail[..chance.below(tail.len() as u64 + 1) as usize]),
            2 => left.extend(tail.iter().map(|_| 0)),
            _ => left
                .extend(tail.chunks(64).flat_map(|c| if chance.below(2) == 0 { c.to_vec() } else { vec![0; c.len()] })),
        }
        fs::write(&segment, left).unwrap();
    }
}

/// One life of a log up to its power cut, checked after it: true where the power went within the appends.
fn live_and_check(seed: u64) -> bool {
    let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let disk = Arc::new(PowerDisk::default());
    locked(&disk.0).left = 1 + chance.below(120);
    let options = SegmentLogOptions { segment_bytes: 4096, codec: Codec::None };
    let scratch = Scratch::with(options, Arc::clone(&disk) as Arc<dyn Disk>);
    scratch.log.create_topic(TOPIC, 1).unwrap();
    let mark_path = scratch.partition().join(MARK_FILE);
    let mut marks = vec![fs::read(&mark_path).unwrap()];
    let mut acked: Vec<(i64, String)> = Vec::new();
    let mut doubtful: HashSet<String> = HashSet::new();
    for turn in 0..60 {
        let texts: Vec<String> = (0..1 + chance.below(4))
            .map(|at| format!("{turn}.{at}{}", "-".repeat(chance.below(300) as usize)))
            .collect();
        let values: Vec<&str> = texts.iter().map(String::as_str).collect();
        match try_append(&scratch.log, &values) {
            Ok(first) => {
                acked.extend(rows(first, &values));
                marks.push(fs::read(&mark_path).unwrap());
            }
            Err(_) => {
                doubtful.extend(texts);
                break;
            }
        }
    }
    cut_the_power(&scratch.partition(), &disk, &mut chance);
    fs::write(&mark_path, &marks[chance.below(marks.len() as u64) as usize]).unwrap();
    let next = acked.last().map_or(0, |(offset, _)| offset + 1);
    let check = |when: &str| {
        let all = read(&scratch.open(), 0);
        assert_eq!(all.records[..acked.len().min(all.records.len())], acked, "seed {seed}, {when}: acked records stay");
        let others = &all.records[acked.len()..];
        assert!(others.iter().all(|(_, value)| doubtful.contains(value) || value == "after"), "seed {seed}, {when}");
        assert!(all.gaps.iter().all(|gap| gap.from >= next), "seed {seed}, {when}: no gap in what was acked");
    };
    check("read first");
    assert!(append(&scratch.open(), &["after"]) >= next, "seed {seed}: no acked offset is given twice");
    check("after an append");
    !doubtful.is_empty()
}

#[test]
fn after_a_power_cut_every_acked_record_is_at_its_offset() {
    let cut = (0..150).filter(|seed| live_and_check(*seed)).count();
    assert!(cut > 75, "the power goes within the appends in most lives: {cut}");
}
