//! Streaming operators over Arrow batches.
//!
//! One operator a file, all of them synchronous and without I/O, clock or threads: rows, time and restored state come
//! in as arguments, results leave through a [`Collector`](weir_core::Collector). [`build()`] makes the operator of a node;
//! [`Scan`] is the part of a source node that is not I/O.
//!
//! Of DataFusion this crate uses physical expressions ([`expr`]) and accumulators, nothing that executes.

pub mod aggregate;
mod batches;
mod build;
mod calc;
mod changelog_rows;
mod checked;
mod chunked;
mod clock;
mod expand;
pub mod expr;
mod interval_join;
mod join;
mod kept_row;
mod late;
mod lookup_join;
mod over;
mod paced_rows;
mod plugin;
mod processing_time;
mod row_blocks;
mod scan;
mod temporal_join;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod time_to_live;
mod top_n;
mod unnest;
mod updating_join;
mod upsert_rows;
mod window_assign;
mod window_join;
mod window_top_n;
mod windows;

pub use build::build;
pub use checked::Checked;
pub use expr::CompiledExpr;
pub use late::{LateRows, json_objects};
pub use lookup_join::LookupSide;
pub use scan::{Scan, Scanned};
