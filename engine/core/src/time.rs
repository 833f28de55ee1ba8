//! Event time and watermarks.
//!
//! A watermark `t` says: no row with a time of `t` or less is expected any more. It never goes back. An input that has
//! nothing to say is *idle* and does not hold the others up.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bugs::{self, Bug};

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
    /// No row with this time or an earlier one is expected. Others wait for it, from the next marker on if they did not.
    At(EventTime),
    /// Nothing is expected for now; from the next marker on others need not wait.
    Idle,
}

/// Combines the watermarks of an operator's input channels: the minimum over those that are not idle, never going back.
///
/// Channels deliver in any order relative to each other, and yet all subtasks of an operator have to stand at the same
/// time where a marker passes, because they lose and keep state by it. And what they emit has to come while all subtasks behind
/// them wait for it. That is so because
/// - whether a channel is idle changes only where a marker passes, which all subtasks see at the same place: it is what the
///   channel said last in front of the marker;
/// - that is told downstream in front of the marker, so that all stages change with one marker;
/// - an idle channel moves nothing: the time that it tells when it wakes up counts behind the marker;
/// - when no channel counts, time is the greatest that any of them has told, those at their end included, whatever the order in
///   which they ended; so what a channel told last before its end must not get lost in front of the end;
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
    status: Status,
    /// The greatest time that it has told before its end, as far as that counts.
    time: EventTime,
    /// The greatest time that it has told before its end.
    said: EventTime,
    /// Whether its last word was that it is idle. That holds from the next marker on.
    says_idle: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Active,
    Idle,
    /// Is at its end.
    Ended,
}

impl InputWatermarks {
    /// For `channels` inputs, none of which has spoken; `combined` is where an earlier execution had arrived.
    pub fn new(channels: usize, combined: EventTime) -> Self {
        let (time, said) = (EventTime::MIN, EventTime::MIN);
        let silent = ChannelWatermark { status: Status::Active, time, said, says_idle: false };
        Self { channels: vec![silent; channels], combined, told: None }
    }

    /// The combined watermark so far.
    pub fn combined(&self) -> EventTime {
        self.combined
    }

    /// Takes in what `channel` says and returns what is news downstream, in order. Where an earlier execution had
    /// arrived is said once more as soon as all channels have come there.
    pub fn update(&mut self, channel: usize, watermark: Watermark) -> Vec<Watermark> {
        self.channels[channel].says(watermark);
        self.news()
    }

    /// A marker has come on all channels: those that say so are idle, and the others count. Returns what is news downstream, in
    /// front of the marker.
    pub fn marker(&mut self) -> Vec<Watermark> {
        self.channels.iter_mut().for_each(ChannelWatermark::settle);
        self.news()
    }

    /// The marker has been sent on: what channels have said as they woke up counts. Returns what is news downstream, behind the
    /// marker.
    pub fn marker_sent(&mut self) -> Vec<Watermark> {
        self.channels.iter_mut().for_each(ChannelWatermark::catch_up);
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

impl ChannelWatermark {
    fn says(&mut self, watermark: Watermark) {
        match watermark {
            Watermark::At(EventTime::MAX) => {
                (self.status, self.time) = (Status::Ended, self.said);
                if bugs::is_on(Bug::EndOverwritesTime) {
                    self.time = EventTime::MAX;
                }
            }
            Watermark::At(time) => {
                (self.said, self.says_idle) = (self.said.max(time), false);
                if self.status == Status::Active {
                    self.time = self.said;
                }
            }
            Watermark::Idle => self.says_idle = true,
        }
        if bugs::is_on(Bug::IdleBetweenMarkers) {
            self.settle();
            self.catch_up();
        }
    }

    /// A marker passes.
    fn settle(&mut self) {
        self.status = match self.status {
            Status::Ended => Status::Ended,
            Status::Idle if bugs::is_on(Bug::NeverCountsAgain) => Status::Idle,
            Status::Idle | Status::Active if self.says_idle => Status::Idle,
            Status::Idle | Status::Active => Status::Active,
        };
    }

    /// A marker has passed.
    fn catch_up(&mut self) {
        if self.status == Status::Active {
            self.time = self.said;
        }
    }
}

#[cfg(test)]
mod tests;
