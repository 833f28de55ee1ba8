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
#[derive(Debug, Clone)]
pub struct InputWatermarks {
    channels: Vec<ChannelWatermark>,
    combined: EventTime,
    idle: bool,
}

#[derive(Debug, Clone, Copy)]
struct ChannelWatermark {
    time: EventTime,
    idle: bool,
}

impl InputWatermarks {
    /// For `channels` inputs, none of which has spoken; `combined` is where an earlier execution had arrived.
    pub fn new(channels: usize, combined: EventTime) -> Self {
        Self { channels: vec![ChannelWatermark { time: EventTime::MIN, idle: false }; channels], combined, idle: false }
    }

    /// The combined watermark so far.
    pub fn combined(&self) -> EventTime {
        self.combined
    }

    /// Takes in what `channel` says and returns what is to be said downstream, if that is news.
    pub fn update(&mut self, channel: usize, watermark: Watermark) -> Option<Watermark> {
        let entry = &mut self.channels[channel];
        match watermark {
            Watermark::At(time) => {
                entry.time = entry.time.max(time);
                entry.idle = false;
            }
            Watermark::Idle => entry.idle = true,
        }
        self.news()
    }

    fn news(&mut self) -> Option<Watermark> {
        let active = self.channels.iter().filter(|channel| !channel.idle).map(|channel| channel.time).min();
        match active {
            None if self.idle => None,
            None => {
                self.idle = true;
                Some(Watermark::Idle)
            }
            Some(time) if time > self.combined || self.idle => {
                self.idle = false;
                self.combined = self.combined.max(time);
                Some(Watermark::At(self.combined))
            }
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(time: i64) -> Watermark {
        Watermark::At(EventTime(time))
    }

    #[test]
    fn the_slowest_active_channel_decides() {
        let mut inputs = InputWatermarks::new(2, EventTime::MIN);
        assert_eq!(inputs.update(0, at(10)), None);
        assert_eq!(inputs.update(1, at(5)), Some(at(5)));
        assert_eq!(inputs.update(1, at(20)), Some(at(10)));
    }

    #[test]
    fn an_idle_channel_holds_nobody_up_and_cannot_pull_time_back() {
        let mut inputs = InputWatermarks::new(2, EventTime::MIN);
        inputs.update(0, at(10));
        assert_eq!(inputs.update(1, Watermark::Idle), Some(at(10)));
        assert_eq!(inputs.update(1, at(3)), None);
        assert_eq!(inputs.update(0, at(30)), None, "channel 1 is active again and stands at 3");
        assert_eq!(inputs.combined(), EventTime(10));
    }

    #[test]
    fn all_idle_is_told_once_and_ends_with_the_first_word() {
        let mut inputs = InputWatermarks::new(1, EventTime(7));
        assert_eq!(inputs.update(0, Watermark::Idle), Some(Watermark::Idle));
        assert_eq!(inputs.update(0, Watermark::Idle), None);
        assert_eq!(inputs.update(0, at(2)), Some(at(7)));
    }
}
