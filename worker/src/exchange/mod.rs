//! How elements get from one subtask to others.
//!
//! Each pair of subtasks on an edge has a channel of its own, so that a marker can hold up one channel and leave the
//! others running. Batches spend credit, counted in bytes, and wait when there is none; watermarks, markers and ends
//! never wait for credit. Where both subtasks are in this process a channel is a queue of the gate; else it goes over the
//! [`network`].

mod gate;
mod limits;
pub mod network;
mod partition;
mod router;
mod sender;
mod size;
#[cfg(test)]
mod tests;

pub use gate::{Closed, Gate, GateWatch, Inlet, LocalSender, Origin};
pub use limits::ExchangeLimits;
pub use router::{Router, Target};
pub use sender::{ChannelSender, SendError};
pub use size::{batch_bytes, estimated_bytes};
