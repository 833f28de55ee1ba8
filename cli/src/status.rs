//! What a running job tells its user on stderr: the live line on a terminal, a line now and then elsewhere, a summary at
//! the end. Pure functions of the job's progress and the time.

use std::collections::VecDeque;
use std::time::Duration;

use weir_core::EventTime;

use crate::figures::{bytes, counted, duration, full_count, short_count};
use crate::job::{JobEnd, Progress};

/// Rates are taken over this much of the past: short enough to follow a change, long enough to be readable.
const RATE_WINDOW: Duration = Duration::from_secs(3);
/// Further away from the wall clock than this, event time is history being read, and its lag says nothing.
const MEANINGFUL_LAG: Duration = Duration::from_secs(24 * 3600);
/// A source that is closer than this to what it reads keeps up with it.
const NOTABLE_LAG: Duration = Duration::from_secs(1);

/// Rows in and out per second.
#[derive(Debug, Default)]
pub struct Rates {
    /// When, rows in, rows out.
    samples: VecDeque<(Duration, u64, u64)>,
}

impl Rates {
    /// Takes in how far the job is after `elapsed`, and returns its rows in and out per second.
    pub fn observe(&mut self, elapsed: Duration, progress: &Progress) -> (f64, f64) {
        self.samples.push_back((elapsed, progress.rows_in, progress.rows_out));
        while self.samples.get(1).is_some_and(|(at, ..)| elapsed.saturating_sub(*at) >= RATE_WINDOW) {
            self.samples.pop_front();
        }
        let Some(&(since, rows_in, rows_out)) = self.samples.front() else { return (0.0, 0.0) };
        let seconds = elapsed.saturating_sub(since).as_secs_f64();
        if seconds <= 0.0 {
            return (0.0, 0.0);
        }
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        (rate(progress.rows_in, rows_in), rate(progress.rows_out, rows_out))
    }
}

/// The status line. `now` is wall clock time in milliseconds since 1970.
pub fn line(progress: &Progress, (rate_in, rate_out): (f64, f64), elapsed: Duration, now: i64) -> String {
    let mut parts = vec![
        duration(Duration::from_secs(elapsed.as_secs())),
        format!("in {} ({}/s)", short_count(progress.rows_in as f64), short_count(rate_in)),
        format!("out {} ({}/s)", short_count(progress.rows_out as f64), short_count(rate_out)),
    ];
    // Before what a narrow terminal cuts off: these are the figures that ask for action.
    if progress.late_rows > 0 {
        parts.push(format!("late {}", short_count(progress.late_rows as f64)));
    }
    if progress.rejected_rows > 0 {
        parts.push(format!("rejected {}", short_count(progress.rejected_rows as f64)));
    }
    let (records, time) = progress.lag;
    if time >= NOTABLE_LAG {
        parts.push(format!("behind by {} ({})", short_count(records as f64), duration(time)));
    }
    parts.extend(watermark(progress.watermark, now));
    if let Some(checkpoint) = &progress.last_checkpoint {
        let age = u64::try_from(now.saturating_sub(checkpoint.at)).unwrap_or(0);
        parts.push(format!(
            "checkpoint {} ({}, {}, {} ago)",
            checkpoint.epoch,
            duration(checkpoint.duration),
            bytes(checkpoint.bytes),
            duration(Duration::from_secs(age / 1000)),
        ));
    }
    if progress.state_bytes > 0 {
        parts.push(format!("state {}", bytes(progress.state_bytes)));
    }
    parts.join(" · ")
}

/// How far event time is; nothing while that is not known, or when all input has been read.
fn watermark(time: EventTime, now: i64) -> Option<String> {
    if time == EventTime::MIN || time == EventTime::MAX {
        return None;
    }
    let lag = now.saturating_sub(time.0);
    let meaningful = i64::try_from(MEANINGFUL_LAG.as_millis()).is_ok_and(|limit| (0..limit).contains(&lag));
    Some(if meaningful {
        format!("watermark {time} (lag {})", duration(Duration::from_millis(lag.unsigned_abs())))
    } else {
        format!("watermark {time}")
    })
}

/// The last words about a job.
pub fn summary(outcome: &JobEnd, progress: &Progress, elapsed: Duration) -> String {
    let how = match outcome {
        JobEnd::Finished => "finished",
        JobEnd::AlreadyFinished => {
            return "had finished before; there is nothing left to do".into();
        }
        JobEnd::Stopped { .. } | JobEnd::Cancelled => "stopped",
    };
    let mut parts =
        vec![counted(progress.rows_in, "row in", "rows in"), format!("{} out", full_count(progress.rows_out))];
    if progress.late_rows > 0 {
        parts.push(format!("{} late", full_count(progress.late_rows)));
    }
    if progress.rejected_rows > 0 {
        parts.push(format!("{} rejected", full_count(progress.rejected_rows)));
    }
    if progress.checkpoints > 0 {
        parts.push(counted(progress.checkpoints, "checkpoint", "checkpoints"));
    }
    format!("{how} after {}: {}", duration(elapsed), parts.join(", "))
}

#[cfg(test)]
mod tests {
    use weir_core::Epoch;

    use super::*;
    use crate::job::CheckpointProgress;

    /// 2026-01-01 00:00:00 UTC.
    const NOW: i64 = 1_767_225_600_000;

    fn progress() -> Progress {
        Progress { rows_in: 12_345, rows_out: 7, watermark: EventTime(NOW - 2500), ..Progress::default() }
    }

    #[test]
    fn the_line_has_what_there_is_and_nothing_else() {
        let text = line(&progress(), (1500.0, 0.4), Duration::from_millis(12_700), NOW);
        assert_eq!(text, "12 s · in 12.3k (1.50k/s) · out 7 (0/s) · watermark 2025-12-31 23:59:57.500 (lag 2.5 s)");
        let unknown = Progress { watermark: EventTime::MIN, ..progress() };
        assert!(!line(&unknown, (0.0, 0.0), Duration::ZERO, NOW).contains("watermark"));
    }

    #[test]
    fn checkpoints_state_late_and_rejected_rows_show_when_there_are_any() {
        let last =
            CheckpointProgress { epoch: Epoch(4), duration: Duration::from_millis(35), bytes: 10, at: NOW - 3200 };
        let full = Progress {
            last_checkpoint: Some(last),
            state_bytes: 2_500_000,
            late_rows: 3,
            rejected_rows: 1,
            lag: (20_500, Duration::from_millis(2100)),
            ..progress()
        };
        let text = line(&full, (0.0, 0.0), Duration::from_secs(1), NOW);
        assert!(text.contains(" · late 3 · rejected 1 · behind by 20.5k (2.1 s) · watermark "), "{text}");
        assert!(text.ends_with(" · checkpoint 4 (35 ms, 10 B, 3 s ago) · state 2.38 MiB"), "{text}");
    }

    #[test]
    fn the_lag_of_history_is_not_shown() {
        let old = Progress { watermark: EventTime(1_356_998_400_000), ..progress() };
        let text = line(&old, (0.0, 0.0), Duration::from_secs(1), NOW);
        assert!(text.ends_with("watermark 2013-01-01 00:00:00.000"), "{text}");
    }

    #[test]
    fn rates_follow_the_last_seconds_only() {
        let mut rates = Rates::default();
        let at = |rows_in| Progress { rows_in, ..Progress::default() };
        assert_eq!(rates.observe(Duration::ZERO, &at(0)), (0.0, 0.0));
        assert_eq!(rates.observe(Duration::from_secs(2), &at(200)), (100.0, 0.0));
        for second in 3..10 {
            rates.observe(Duration::from_secs(second), &at(200));
        }
        assert_eq!(rates.observe(Duration::from_secs(10), &at(200)), (0.0, 0.0));
    }

    #[test]
    fn the_summary_counts_in_full() {
        let done = Progress { late_rows: 2, checkpoints: 1, ..progress() };
        assert_eq!(
            summary(&JobEnd::Finished, &done, Duration::from_millis(1540)),
            "finished after 1.5 s: 12,345 rows in, 7 out, 2 late, 1 checkpoint"
        );
    }
}
