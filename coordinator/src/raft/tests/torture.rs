//! The file under loss of power and under damage. What was acknowledged is there afterwards, what was under way is there
//! as a whole or not at all, and what a disk has garbled is found out.

use std::panic::{AssertUnwindSafe, catch_unwind};

use weir_core::ErrorKind;

use super::super::{LogStore, RedbStore, SimulatedDisk, Stored};
use super::identity;
use super::random::Random;
use super::store::random_batch;

/// In the default run, and in the ignored one.
const POWER_LOSSES: u64 = 1_500;
const MORE_POWER_LOSSES: u64 = 20_000;
/// On one disk, one after the other.
const LOSSES_PER_DISK: u64 = 15;
/// Files, each damaged thirty times.
const DAMAGES: u64 = 50;

/// Loses power again and again; the number of acknowledged batches.
fn lose_power(seed: u64, disk: SimulatedDisk) -> u64 {
    let mut random = Random(seed);
    let mut disk = disk;
    let mut model = Stored::default();
    let mut acknowledged = 0;
    let mut store = RedbStore::open_on(disk.clone(), &identity()).unwrap();
    for _ in 0..LOSSES_PER_DISK {
        disk.lose_power_after(random.below(60));
        loop {
            let batch = random_batch(&mut random, &model);
            let mut with = model.clone();
            with.apply(&batch);
            if store.write(&batch).is_ok() {
                acknowledged += 1;
                model = with;
                continue;
            }
            drop(store);
            disk = disk.after_power_loss(&mut |percent| random.chance(percent));
            // The power may go again while the file is being opened.
            if random.chance(20) {
                disk.lose_power_after(random.below(10));
                let _ = RedbStore::open_on(disk.clone(), &identity()).and_then(|store| store.load());
                disk = disk.after_power_loss(&mut |percent| random.chance(percent));
            }
            store = RedbStore::open_on(disk.clone(), &identity()).unwrap_or_else(|error| panic!("{}", error.report()));
            let found = store.load().unwrap_or_else(|error| panic!("{}", error.report()));
            found.check().unwrap();
            assert!(found == model || found == with, "something was lost or invented");
            model = found;
            break;
        }
    }
    acknowledged
}

fn torture(losses: u64) {
    let mut acknowledged = 0;
    for seed in 0..losses / LOSSES_PER_DISK {
        let run = AssertUnwindSafe(|| lose_power(seed, SimulatedDisk::default()));
        acknowledged += catch_unwind(run).unwrap_or_else(|_| panic!("seed {seed}"));
    }
    assert!(acknowledged > losses, "power was lost before anything was written: {acknowledged}");
}

#[test]
fn a_loss_of_power_takes_nothing_back() {
    torture(POWER_LOSSES);
}

#[test]
#[ignore = "takes minutes"]
fn many_losses_of_power_take_nothing_back() {
    torture(MORE_POWER_LOSSES);
}

/// The control: with a disk that does not sync when told to, the same test fails.
#[test]
fn a_disk_that_ignores_sync_is_caught() {
    let run = |seed| {
        let disk = SimulatedDisk::default();
        disk.ignore_sync();
        catch_unwind(|| lose_power(seed, disk)).is_err()
    };
    assert_eq!((0..10).filter(|seed| run(*seed)).count(), 10);
}

/// A file that has been written to for a while, closed or not, and what it holds.
fn image(random: &mut Random, closed: bool) -> (Vec<u8>, Stored) {
    let disk = SimulatedDisk::default();
    let mut model = Stored::default();
    let mut store = RedbStore::open_on(disk.clone(), &identity()).unwrap();
    for _ in 0..20 {
        let batch = random_batch(random, &model);
        store.write(&batch).unwrap();
        model.apply(&batch);
    }
    let unclosed = disk.bytes();
    drop(store);
    (if closed { disk.bytes() } else { unclosed }, model)
}

#[derive(Debug, PartialEq)]
enum Damage {
    Found,
    Harmless,
    Unnoticed,
}

fn look(what: &str, bytes: Vec<u8>, model: &Stored) -> Damage {
    let opened = RedbStore::open_on(SimulatedDisk::holding(bytes), &identity());
    match opened.and_then(|store| store.load()) {
        Ok(stored) if stored == *model => Damage::Harmless,
        Ok(_) => Damage::Unnoticed,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Data, "{what}: {}", error.report());
            assert!(error.report().contains("the log is damaged"), "{what}: {}", error.report());
            Damage::Found
        }
    }
}

#[test]
fn damage_is_found_or_harmless() {
    let mut random = Random(3);
    let mut harm = 0;
    for number in 0..DAMAGES {
        let (sound, model) = image(&mut random, number % 2 == 0);
        // Where something is written: most of the file is unused.
        let used: Vec<usize> = (0..sound.len()).step_by(512).filter(|at| sound[*at..*at + 512] != [0; 512]).collect();
        for _ in 0..30 {
            let mut bytes = sound.clone();
            let sector = *random.pick(&used);
            let at = sector + random.below(512) as usize;
            let what = match random.below(5) {
                0 => {
                    bytes[at] ^= 1 << random.below(8);
                    "a flipped bit"
                }
                1 => {
                    bytes[sector..sector + 512].fill(0);
                    "an empty sector"
                }
                2 => {
                    bytes[sector..sector + 512].fill_with(|| random.next() as u8);
                    "a garbled sector"
                }
                3 => {
                    bytes.copy_within(sector..sector + 512, *random.pick(&used));
                    "a sector in a wrong place"
                }
                _ => {
                    bytes.truncate(sector);
                    "a file cut short"
                }
            };
            // Nothing is left of a file that is cut at its beginning: that is an empty one.
            if !bytes.is_empty() {
                let what = format!("{what} at {at} in image {number}");
                match look(&what, bytes, &model) {
                    Damage::Found => harm += 1,
                    Damage::Harmless => {}
                    Damage::Unnoticed => panic!("{what} goes unnoticed and changes the log"),
                }
            }
        }
    }
    assert!(harm > DAMAGES * 30 / 10, "{harm}");
}

/// The header says in one bit which of two commits counts, the last one or the one before it; of a file that was not
/// closed nothing else tells them apart. All other bits are protected.
const WHICH_COMMIT_COUNTS: usize = 9 * 8;

#[test]
fn a_flipped_bit_in_the_header_is_found_or_harmless() {
    for closed in [true, false] {
        let (sound, model) = image(&mut Random(5), closed);
        let used = sound[..4096].iter().rposition(|byte| *byte != 0).unwrap();
        let unnoticed: Vec<usize> = (0..(used + 1) * 8)
            .filter(|bit| {
                let mut bytes = sound.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                look(&format!("bit {bit} (closed: {closed})"), bytes, &model) == Damage::Unnoticed
            })
            .collect();
        assert!(unnoticed.iter().all(|bit| *bit == WHICH_COMMIT_COUNTS && !closed), "closed: {closed}: {unnoticed:?}");
    }
}
