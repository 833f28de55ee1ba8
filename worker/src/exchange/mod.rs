//! How elements get from one subtask to others.
//!
//! Each pair of subtasks on an edge has a channel of its own, so that a marker can hold up one channel and leave the
//! others running. Batches spend credit, counted in rows, and wait when there is none; watermarks, markers and ends
//! never wait for credit.

mod gate;
mod partition;
mod router;
#[cfg(test)]
mod tests;

pub use gate::{ChannelSender, Closed, Gate};
pub use router::{Router, SendError, Target};
