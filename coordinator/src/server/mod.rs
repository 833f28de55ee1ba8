//! The coordinator as a process: everything that knows tokio, gRPC and the disk.
//!
//! One task owns the [node](crate::node); whatever else there is reaches it by a [`NodeHandle`].

pub mod audit;
pub mod grpc;
mod handle;
mod introduction;
mod monitor;
mod node_loop;
mod peers;
mod process;
pub mod storage;
mod workforce;

pub use grpc::Api;
pub use handle::{INBOX, LeaderPlace, Message, NodeHandle};
pub use monitor::CoordinatorMonitor;
pub use node_loop::{NodeLoop, Surroundings};
pub use peers::Peers;
pub use process::{CoordinatorConfig, listen, run};
pub use workforce::WorkerScaler;
