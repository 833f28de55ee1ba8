//! The data plane: subtasks, the exchange between them, and the snapshots they take.
//!
//! ```text
//!                 Command::Marker                                  one report per epoch
//!   driver ───────────────┐                                 ┌─────────────────────────▶ driver
//!                         ▼                                 │
//!                 ┌───────────┐   Element   ┌──────────┐  │  captures   ┌───────────┐
//!                 │ discovery │───router───▶│   gate   │──┴────────────▶│ snapshots │──▶ storage
//!                 └───────────┘             │ source,  │   committable,  └───────────┘
//!                                           │ operator │──▶ sink, staged rows
//!                                           └──────────┘
//! ```
//!
//! [`open`] turns each chain of a job graph into subtasks, each one task of the compute runtime. What a subtask sends
//! goes through its router into the gate of another (`exchange`), if need be in another process ([`network`]). Markers enter where
//! the splits of a table are found, in front of its sources. Uploads run
//! beside the stream (`snapshot`), but for rows that sinks stage in large numbers (`staging`). What a checkpoint holds of its
//! sinks is committed by a [`Committer`], here or elsewhere.
//!
//! The worker sees no SQL text and knows nothing of consensus.

pub mod agent;
pub mod allowed;
mod announcements;
mod blocking;
mod chain;
mod clock;
mod commit;
mod deploy;
mod exchange;
mod forwarding;
pub mod isolated;
mod local_runs;
mod lookup;
mod metrics;
mod partial_state;
pub mod plugins;
pub mod process;
pub mod results;
pub mod secrets;
mod snapshot;
mod source_state;
mod staging;
mod subtask;

pub use blocking::{Blocking, BlockingInline, BlockingThreads, Work};
pub use clock::{Clock, SystemClock};
pub use commit::Committer;
pub use deploy::{Deployment, JobHandle, OpenedJob, Part, SourceCommands, kept_states, open};
pub use exchange::{ExchangeLimits, network};
pub use local_runs::LocalRuns;
pub use metrics::{JobMetrics, METRICS, RunningJobs, Totals};
pub use subtask::{Command, WorkerEvent};

/// Parts of subtasks, for checks outside of this crate.
#[cfg(feature = "testing")]
pub mod testing {
    pub use crate::exchange::{ChannelSender, Gate, Inlet, LocalSender, Origin, Router, Target};
    pub use crate::subtask::Presence;
}
