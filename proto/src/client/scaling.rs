//! Who decides how many slots a job has, and what was decided.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who decides how many slots a job has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ScalingBy {
    /// A person, with `-p N` and `weir jobs rescale`.
    Hand,
    /// The slots that there are: the job takes its share of what other jobs leave.
    Slots,
    /// The load: as many as the rows that come need.
    Load,
}

/// How the number of a job's slots is decided on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Scaling {
    /// Who decides.
    pub by: ScalingBy,
    /// Whether it is only said what would be done. By load alone.
    pub dry_run: bool,
    /// The fewest slots, at least 1: with fewer the job waits.
    pub min_slots: u32,
    /// The most slots.
    pub max_slots: u32,
    /// For how long a reason to change the number has to hold, in milliseconds, before the job is stopped for it; and how long it is
    /// left alone behind a change. Slots that are lost are no such reason: then the job goes on with fewer at once.
    pub settle_ms: u64,
    /// By load: how busy the busiest part of the job shall be, in percent of its time.
    pub target_percent: u32,
    /// By load: within which time a backlog shall be read, in milliseconds.
    pub catch_up_ms: u64,
}

impl Default for Scaling {
    fn default() -> Self {
        Self {
            by: ScalingBy::Hand,
            dry_run: false,
            min_slots: 1,
            max_slots: Self::MOST_SLOTS,
            settle_ms: 60_000,
            target_percent: 70,
            catch_up_ms: 300_000,
        }
    }
}

impl Scaling {
    /// More slots than this no job takes by itself.
    pub const MOST_SLOTS: u32 = 1024;

    /// What a person has to say of it.
    pub fn by_hand() -> Self {
        Self::default()
    }

    /// Whether the number changes without a person.
    pub fn acts(&self) -> bool {
        self.by != ScalingBy::Hand && !self.dry_run
    }
}

/// What was decided about the number of a job's slots, or would have been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScalingDecision {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// Slots that the job was to have before.
    pub from: u32,
    /// Slots that it is to have.
    pub to: u32,
    /// Slots that would be right, more than `to` where they are missing.
    pub wanted: u32,
    /// Whether it was done; if not, it was a dry run.
    pub done: bool,
    /// Why, for people.
    pub reason: String,
}

/// What the load of a job was found to be at the last look, where it decides on the slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LoadInfo {
    /// The busiest part of the job, by its first operator.
    pub busiest: String,
    /// How busy it is, in percent of its time.
    pub busy_percent: u32,
    /// How busy it would be if all was read that comes, and what waits within the time to catch up. May be more than 100.
    pub load_percent: u32,
    /// Slots that would be right.
    pub needed_slots: u32,
    /// The same in words, and what is concluded from it.
    pub said: String,
}
