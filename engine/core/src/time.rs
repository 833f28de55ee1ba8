//! Event time and watermarks.
//!
//! A watermark `t` says: no row with a time of `t` or less is expected any more. It never goes back. An input that has
//! nothing to say is *idle* and does not hold the others up.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z, as stored in a `TIMESTAMP(3)` column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventTime(pub i64);

impl EventTime {
    /// Before every row: nothing is known of the stream's progress.
    pub const MIN: EventTime = EventTime(i64::MIN);
    /// After every row: the stream is at its end.
    pub const MAX: EventTime = EventTime(i64::MAX);
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            EventTime::MIN => f.write_str("-inf"),
            EventTime::MAX => f.write_str("+inf"),
            EventTime(millis) => match arrow::temporal_conversions::timestamp_ms_to_datetime(millis) {
                Some(time) => write!(f, "{}", time.format("%Y-%m-%d %H:%M:%S%.3f")),
                None => write!(f, "{millis} ms"),
            },
        }
    }
}

/// What an input says about event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watermark {
    /// No row with this time or an earlier one is expected. Ends a state of idleness.
    At(EventTime),
    /// Nothing is expected for now; other inputs need not wait.
    Idle,
}

/// Combines the watermarks of an operator's input channels: the minimum over those that are not idle, never going back.
///
/// Channels deliver in any order relative to each other, and yet all subtasks of an operator have to stand at the same
/// time where a marker passes, because they lose and keep state by it. That is so because
/// - a channel that was idle counts again only from the next marker on, which all subtasks see at the same place;
/// - when no channel counts, time is the greatest that any of them has told, those at their end included, whatever the order in
///   which they fell idle or ended; so what a channel told last before its end must not get lost in front of the end;
/// - a channel at its end is neither: it holds nobody up, and time is at the end when all channels are.
#[derive(Debug, Clone)]
pub struct InputWatermarks {
    channels: Vec<ChannelWatermark>,
    combined: EventTime,
    /// What was said last, if anything was said in this execution.
    told: Option<Watermark>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ChannelWatermark {
    /// The greatest time that it has told before its end.
    time: EventTime,
    status: Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Active,
    Idle,
    /// Was idle, and counts again from the next marker on.
    Resumed,
    /// Is at its end.
    Ended,
}

impl InputWatermarks {
    /// For `channels` inputs, none of which has spoken; `combined` is where an earlier execution had arrived.
    pub fn new(channels: usize, combined: EventTime) -> Self {
        let silent = ChannelWatermark { time: EventTime::MIN, status: Status::Active };
        Self { channels: vec![silent; channels], combined, told: None }
    }

    /// The combined watermark so far.
    pub fn combined(&self) -> EventTime {
        self.combined
    }

    /// Takes in what `channel` says and returns what is news downstream, in order. Where an earlier execution had
    /// arrived is said once more as soon as all channels have come there.
    pub fn update(&mut self, channel: usize, watermark: Watermark) -> Vec<Watermark> {
        let alone = self.channels.len() == 1;
        let entry = &mut self.channels[channel];
        match watermark {
            Watermark::At(EventTime::MAX) => entry.status = Status::Ended,
            Watermark::At(time) => {
                entry.time = entry.time.max(time);
                if entry.status == Status::Idle {
                    entry.status = if alone { Status::Active } else { Status::Resumed };
                }
            }
            Watermark::Idle if entry.status == Status::Ended => {}
            Watermark::Idle => entry.status = Status::Idle,
        }
        self.news()
    }

    /// A marker has passed all channels: those that were idle and are not any more count again.
    pub fn marker(&mut self) -> Vec<Watermark> {
        for channel in self.channels.iter_mut().filter(|channel| channel.status == Status::Resumed) {
            channel.status = Status::Active;
        }
        self.news()
    }

    fn news(&mut self) -> Vec<Watermark> {
        let channels = || self.channels.iter();
        let counted = channels().filter(|channel| channel.status == Status::Active).map(|channel| channel.time).min();
        let (time, idle) = match counted {
            Some(time) => (time, false),
            None if channels().all(|channel| channel.status == Status::Ended) => (EventTime::MAX, false),
            None => (channels().map(|channel| channel.time).max().unwrap_or(EventTime::MIN), true),
        };
        let said_again = self.told.is_none() && time == self.combined && time > EventTime::MIN;
        let woken = self.told == Some(Watermark::Idle) && !idle;
        let mut news = Vec::new();
        if time > self.combined || said_again || woken {
            self.combined = self.combined.max(time);
            news.push(Watermark::At(self.combined));
        }
        if idle && (self.told != Some(Watermark::Idle) || !news.is_empty()) {
            news.push(Watermark::Idle);
        }
        self.told = news.last().copied().or(self.told);
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(time: i64) -> Watermark {
        Watermark::At(EventTime(time))
    }

    const END: Watermark = Watermark::At(EventTime::MAX);

    #[test]
    fn the_slowest_active_channel_decides() {
        let mut inputs = InputWatermarks::new(2, EventTime::MIN);
        assert_eq!(inputs.update(0, at(10)), []);
        assert_eq!(inputs.update(1, at(5)), [at(5)]);
        assert_eq!(inputs.update(1, at(20)), [at(10)]);
    }

    #[test]
    fn an_idle_channel_holds_nobody_up_and_counts_again_from_the_next_marker_on() {
        let mut inputs = InputWatermarks::new(2, EventTime::MIN);
        inputs.update(0, at(10));
        assert_eq!(inputs.update(1, Watermark::Idle), [at(10)]);
        assert_eq!(inputs.update(1, at(3)), []);
        assert_eq!(inputs.update(0, at(30)), [at(30)], "whether channel 1 woke up before is not to be known");
        assert_eq!(inputs.marker(), []);
        assert_eq!(inputs.update(0, at(40)), [], "channel 1 stands at 3");
        assert_eq!(inputs.update(1, at(35)), [at(35)]);
    }

    #[test]
    fn all_idle_is_told_once_with_the_greatest_time_and_ends_with_the_first_word() {
        let mut inputs = InputWatermarks::new(2, EventTime::MIN);
        inputs.update(0, at(5));
        inputs.update(1, at(3));
        assert_eq!(inputs.update(0, Watermark::Idle), []);
        assert_eq!(inputs.update(1, Watermark::Idle), [at(5), Watermark::Idle]);
        assert_eq!(inputs.update(1, Watermark::Idle), []);
        let mut alone = InputWatermarks::new(1, EventTime(7));
        assert_eq!(alone.update(0, Watermark::Idle), [Watermark::Idle]);
        assert_eq!(alone.update(0, at(2)), [at(7)], "a single channel need not wait for a marker");
    }

    #[test]
    fn where_an_earlier_execution_stood_is_said_again() {
        let mut inputs = InputWatermarks::new(2, EventTime(7));
        assert_eq!(inputs.update(0, at(7)), []);
        assert_eq!(inputs.update(1, at(7)), [at(7)]);
        assert_eq!(inputs.update(1, at(7)), []);
        let mut ended = InputWatermarks::new(1, EventTime::MAX);
        assert_eq!(ended.update(0, END), [END]);
    }

    #[test]
    fn an_ended_channel_holds_nobody_up_and_the_end_comes_when_all_have_ended() {
        let mut inputs = InputWatermarks::new(2, EventTime::MIN);
        inputs.update(0, at(5));
        assert_eq!(inputs.update(1, END), [at(5)]);
        assert_eq!(inputs.update(0, Watermark::Idle), [Watermark::Idle], "idle is not ended");
        assert_eq!(inputs.update(0, END), [END]);
    }

    /// Subtasks of one operator read the same channels, each in an order of its own.
    #[test]
    fn the_order_between_channels_does_not_matter_where_a_marker_passes() {
        let mut word = 0x5eed_u64;
        let mut random = move |bound: u64| {
            word = crate::hash::mix(word.wrapping_add(0x9e37_79b9_7f4a_7c15));
            word % bound
        };
        for _ in 0..2000 {
            let channels = 1 + random(3) as usize;
            let mut subtasks = [(); 3].map(|()| InputWatermarks::new(channels, EventTime::MIN));
            let mut ended = vec![false; channels];
            for _ in 0..3 {
                let mut told: Vec<Vec<Watermark>> = vec![Vec::new(); channels];
                for (words, ended) in told.iter_mut().zip(&mut ended).filter(|(_, ended)| !**ended) {
                    for _ in 0..random(5) {
                        words.push(if random(3) == 0 { Watermark::Idle } else { at(random(30) as i64) });
                    }
                    *ended = random(4) == 0;
                    words.extend(ended.then_some(END));
                }
                for subtask in &mut subtasks {
                    let mut next = vec![0; channels];
                    while let open = (0..channels).filter(|c| next[*c] < told[*c].len()).collect::<Vec<_>>()
                        && !open.is_empty()
                    {
                        let channel = open[random(open.len() as u64) as usize];
                        subtask.update(channel, told[channel][next[channel]]);
                        next[channel] += 1;
                    }
                }
                let times = subtasks.each_ref().map(InputWatermarks::combined);
                assert!(times.iter().all(|time| *time == times[0]), "{times:?} after {told:?}");
                subtasks.iter_mut().for_each(|subtask| drop(subtask.marker()));
            }
        }
    }
}
