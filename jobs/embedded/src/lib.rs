//! The engine in an application's own process: the jobs of [`weir_jobs`], with the state, the checkpoints and the exactly-once that they have in a
//! cluster, and without one.
//!
//! ```no_run
//! use std::time::Duration;
//! use weir_embedded::{Embedded, JobEnd};
//! use weir_jobs::prelude::*;
//!
//! #[derive(Record)]
//! struct Order { id: i64, cents: i64 }
//!
//! fn large_orders(job: &mut Job) -> Result<()> {
//!     let least = job.argument_or("least", 10_000)?;
//!     job.sql("CREATE TABLE orders (id BIGINT NOT NULL, cents BIGINT NOT NULL)
//!                WITH ('connector' = 'filesystem', 'path' = 'orders', 'format' = 'json', 'source.monitor-interval' = '1s');
//!              CREATE TABLE large (id BIGINT, cents BIGINT)
//!                WITH ('connector' = 'filesystem', 'path' = 'large', 'format' = 'json');");
//!     job.table::<Order>("orders").filter(move |order| order.cents >= least).insert_into("large");
//!     Ok(())
//! }
//!
//! fn main() -> Result<()> {
//!     let job = Embedded::new()
//!         .state_dir("state")
//!         .parallelism(2)
//!         .checkpoint_interval(Duration::from_secs(1))
//!         .argument("least", 20_000)
//!         .run(large_orders)?;
//!     // The application does what it is there for, and at its end:
//!     job.stop_with_savepoint();
//!     assert!(matches!(job.wait()?, JobEnd::Stopped { .. }));
//!     Ok(())
//! }
//! ```
//!
//! A job goes on where it was when its process ended, in order or not: run it again with the same state directory. It need not
//! be an application that does so: `weir run` goes on with the state of the same job as a plugin, and `weir run` leaves what an
//! application goes on with.
//!
//! What is below the types that this page shows is what the `weir` binary is made of too. It changes from version to version.

pub mod blocking;
mod clock;
pub mod connectors;
mod embedded;
pub mod job;
pub mod leftovers;
mod linked;
pub mod planning;
pub mod random;
mod running;
pub mod secrets;
pub mod settings;

pub use embedded::Embedded;
pub use job::{CheckpointProgress, JobEnd, Progress};
pub use running::RunningJob;
