//! What is kept of an object that is read: ranges that were asked for. Reads that go on behind one another become larger requests, so that
//! a text needs few of them, and so does each of the columns that are read side by side.

use std::collections::BTreeMap;

/// Bytes that are asked for at first.
const FIRST: u64 = 256 << 10;
/// Bytes that are asked for at most.
const LARGEST: u64 = 4 << 20;
/// Bytes that are kept, but for the range that was read last.
const LIMIT: u64 = 64 << 20;

/// The ranges.
#[derive(Debug, Default)]
pub(crate) struct Kept<B> {
    /// By where they begin; they have no byte in common.
    ranges: BTreeMap<u64, Range<B>>,
    bytes: u64,
    /// Counts reads.
    reads: u64,
}

#[derive(Debug)]
struct Range<B> {
    bytes: B,
    /// When it was last of use.
    read: u64,
}

impl<B: AsRef<[u8]>> Kept<B> {
    /// Copies some of the bytes from `offset` on; `None`: they are not kept.
    pub(crate) fn read(&mut self, into: &mut [u8], offset: u64) -> Option<usize> {
        let (start, range) = self.ranges.range_mut(..=offset).next_back()?;
        let from = usize::try_from(offset - start).ok()?;
        let found = range.bytes.as_ref().get(from..).filter(|found| !found.is_empty())?;
        let length = found.len().min(into.len());
        into[..length].copy_from_slice(&found[..length]);
        self.reads += 1;
        range.read = self.reads;
        Some(length)
    }

    /// What to ask for, from where to where, so that so many bytes from `offset` on are there, in an object of this size. They are not kept.
    pub(crate) fn missing(&self, offset: u64, wanted: u64, size: u64) -> (u64, u64) {
        let before = self.ranges.range(..=offset).next_back();
        let before = before.map(|(start, range)| (*start, range.bytes.as_ref().len() as u64));
        let goes_on = before.filter(|(start, length)| start + length == offset);
        let length = goes_on.map_or(FIRST, |(_, length)| length.saturating_mul(2)).max(FIRST).max(wanted).min(LARGEST);
        // What is read near the end, as tables of contents are, is read backwards.
        let near_end = size.saturating_sub(FIRST);
        let start = if goes_on.is_none() && offset > near_end {
            near_end.max(before.map_or(0, |(start, length)| start + length))
        } else {
            offset
        };
        let next = self.ranges.range(offset..).next().map_or(u64::MAX, |(start, _)| *start);
        (start, start.saturating_add(length).min(size).min(next))
    }

    /// What to ask for before it is wanted, from where to where, when reading has come to `offset`: the second half of a range that went
    /// on behind another one.
    pub(crate) fn ahead(&self, offset: u64, size: u64) -> Option<(u64, u64)> {
        let (start, range) = self.ranges.range(..=offset).next_back()?;
        let length = range.bytes.as_ref().len() as u64;
        let end = start + length;
        let goes_on = length > FIRST && (start + length / 2..=end).contains(&offset);
        (goes_on && end < size && !self.ranges.contains_key(&end)).then(|| self.missing(end, 0, size))
    }

    /// Keeps a range, and forgets what was of no use for longest.
    pub(crate) fn add(&mut self, start: u64, bytes: B) {
        self.reads += 1;
        self.bytes += bytes.as_ref().len() as u64;
        self.ranges.insert(start, Range { bytes, read: self.reads });
        while self.bytes > LIMIT && self.ranges.len() > 1 {
            let oldest = self.ranges.iter().min_by_key(|(_, range)| range.read).map(|(start, _)| *start);
            let Some(range) = oldest.and_then(|start| self.ranges.remove(&start)) else { return };
            self.bytes -= range.bytes.as_ref().len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Reads as a file would be, and notes what was asked for.
    fn read(kept: &mut Kept<Vec<u8>>, offset: u64, length: usize, size: u64, asked: &mut Vec<(u64, u64)>) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            let at = offset + filled as u64;
            if let Some(read) = kept.read(&mut bytes[filled..], at) {
                filled += read;
                continue;
            }
            let (start, end) = kept.missing(at, (length - filled) as u64, size);
            assert!(start <= at && at < end && end <= size, "{start}..{end} has {at}");
            asked.push((start, end));
            kept.add(start, (start..end).map(byte).collect());
        }
        bytes
    }

    fn byte(offset: u64) -> u8 {
        (offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
    }

    #[test]
    fn reads_that_go_on_ask_for_more_each_time() {
        let (mut kept, mut asked) = (Kept::default(), Vec::new());
        for offset in (0..32 << 20).step_by(1 << 20) {
            let bytes = read(&mut kept, offset, 1 << 20, 40 << 20, &mut asked);
            assert!(bytes.iter().zip(offset..).all(|(read, place)| *read == byte(place)));
        }
        let lengths: Vec<u64> = asked.iter().map(|(start, end)| (end - start) >> 20).collect();
        assert_eq!(lengths, [1, 2, 4, 4, 4, 4, 4, 4, 4, 4]);
    }

    #[test]
    fn what_comes_next_is_asked_for_in_the_second_half_of_what_went_on() {
        let (mut kept, mut asked) = (Kept::default(), Vec::new());
        let size = 2 << 20;
        read(&mut kept, 0, 10, size, &mut asked);
        assert_eq!(kept.ahead(FIRST, size), None, "this may be all that is wanted");
        read(&mut kept, FIRST, 10, size, &mut asked);
        assert_eq!(asked, [(0, FIRST), (FIRST, 3 * FIRST)]);
        assert_eq!(kept.ahead(2 * FIRST - 1, size), None);
        assert_eq!(kept.ahead(2 * FIRST, size), Some((3 * FIRST, 7 * FIRST)));
        kept.add(3 * FIRST, vec![0; 4 * FIRST as usize]);
        assert_eq!(kept.ahead(2 * FIRST, size), None, "it is there");
        assert_eq!(kept.ahead(7 * FIRST, size), Some((7 * FIRST, size)));
        kept.add(7 * FIRST, vec![0; FIRST as usize]);
        assert_eq!(kept.ahead(size, size), None);
    }

    #[test]
    fn the_end_is_read_with_what_is_before_it() {
        let (mut kept, mut asked) = (Kept::default(), Vec::new());
        let size = 3 << 20;
        read(&mut kept, size - 8, 8, size, &mut asked);
        read(&mut kept, size - 5000, 4992, size, &mut asked);
        assert_eq!(asked, [(size - FIRST, size)]);
        read(&mut kept, 100, 10, size, &mut asked);
        assert_eq!(asked[1], (100, 100 + FIRST));
        // Up to what is there.
        read(&mut kept, size - FIRST - 10, 20, size, &mut asked);
        assert_eq!(asked[2..], [(size - FIRST - 10, size - FIRST)]);
    }

    #[test]
    fn columns_side_by_side_keep_their_ranges_and_all_is_read_as_it_is() {
        let mut random = 7_u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % below
        };
        for size in [1, 1000, 5 << 20, 200 << 20] {
            let (mut kept, mut asked) = (Kept::default(), Vec::new());
            for _ in 0..60 {
                let offset = next(size);
                let length = next((size - offset).min(3 << 20)) + 1;
                let length = length.min(size - offset);
                let bytes = read(&mut kept, offset, usize::try_from(length).unwrap(), size, &mut asked);
                assert!(bytes.iter().zip(offset..).all(|(read, place)| *read == byte(place)));
                assert!(kept.bytes <= LIMIT + LARGEST);
                assert_eq!(kept.bytes, kept.ranges.values().map(|range| range.bytes.len() as u64).sum::<u64>());
            }
        }
        let (mut kept, mut asked) = (Kept::default(), Vec::new());
        for step in 0..16 {
            for column in 0..6 {
                read(&mut kept, (column << 24) + (step << 16), 1 << 16, 200 << 20, &mut asked);
            }
        }
        assert_eq!(asked.len(), 6 * 3, "256, 512 and 1024 KiB of each column");
    }
}
