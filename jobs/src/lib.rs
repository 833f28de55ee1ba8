//! Stream processing jobs in Rust: what SQL cannot say.
//!
//! A job is a function that says where rows come from, what is done with them and where they go. It is tested without a cluster, and
//! deployed to a running one as one file.
//!
//! ```
//! use std::time::Duration;
//! use weir_jobs::prelude::*;
//! use weir_jobs::testing::TestJob;
//!
//! /// A row is a struct. Its columns are those of the table that it comes from.
//! #[derive(Record, Debug, Clone, PartialEq)]
//! struct Payment {
//!     card: String,
//!     cents: i64,
//!     #[record(event_time)]
//!     at: Timestamp,
//! }
//!
//! #[derive(Record, Debug, Clone, PartialEq)]
//! struct Alert {
//!     card: String,
//!     cents: i64,
//!     #[record(event_time)]
//!     at: Timestamp,
//! }
//!
//! /// What is kept of each card.
//! #[derive(State, Default)]
//! struct Suspicion {
//!     tested: ValueState<Timestamp>,
//!     forget: Timer,
//! }
//!
//! /// A large payment within a minute of a tiny one, by which the card was tried out, is an alert.
//! #[derive(Clone)]
//! struct FindFraud {
//!     large: i64,
//! }
//!
//! impl KeyedProcess for FindFraud {
//!     type Key = String;
//!     type In = Payment;
//!     type State = Suspicion;
//!     type Out = Alert;
//!
//!     fn process(&mut self, payment: Payment, state: &mut Suspicion, ctx: &mut Context<'_, String, Alert>) -> Result<()> {
//!         let minute = Duration::from_secs(60);
//!         // The timer goes off some time after the minute: it only forgets.
//!         let is_near = |tested: &Timestamp| (*tested..*tested + minute).contains(&payment.at);
//!         if payment.cents < 100 {
//!             state.tested.set(payment.at);
//!             state.forget.set(payment.at + minute);
//!         } else if payment.cents >= self.large && state.tested.get().is_some_and(is_near) {
//!             state.tested.clear();
//!             state.forget.cancel();
//!             ctx.emit(Alert { card: payment.card, cents: payment.cents, at: payment.at });
//!         }
//!         Ok(())
//!     }
//!
//!     fn on_timer(&mut self, state: &mut Suspicion, _ctx: &mut Context<'_, String, Alert>) -> Result<()> {
//!         state.tested.clear();
//!         Ok(())
//!     }
//! }
//!
//! fn fraud(job: &mut Job) -> Result<()> {
//!     let large = job.argument_or("large", 50_000)?;
//!     job.table::<Payment>("payments")
//!         .filter(|payment| payment.cents > 0)
//!         .key_by(|payment| payment.card.clone())
//!         .process("fraud", FindFraud { large })
//!         .insert_into("alerts");
//!     Ok(())
//! }
//!
//! // The test steps through time as it likes, and restarts the job in the middle.
//! let payment = |card: &str, cents, at: i64| Payment { card: card.to_owned(), cents, at: Timestamp::from_secs(at) };
//! let mut test = TestJob::new(fraud)?;
//! test.send("payments", [payment("a", 1, 0), payment("b", 2, 5), payment("c", 3, 0), payment("c", 90_000, 300)])?;
//! test.restart(3)?;
//! test.watermark(Timestamp::from_secs(62))?;
//! test.send("payments", [payment("a", 90_000, 63), payment("b", 90_000, 64)])?;
//! assert_eq!(test.take::<Alert>("alerts")?, [Alert { card: "b".to_owned(), cents: 90_000, at: Timestamp::from_secs(64) }]);
//! # Ok::<(), Error>(())
//! ```
//!
//! # The pieces
//!
//! - [`Record`]: a struct as a row of Arrow's columns.
//! - [`Job`]: tables, views and SQL; [`Stream`]: `map`, `filter`, `flat_map`, `union`, `key_by`, `insert_into`.
//! - [`Source`] and [`Sink`]: where rows come from and go to, in code of one's own.
//! - [`Functions`]: what SQL calls.
//! - [`Calls`]: functions that wait for services, many at once.
//! - Of each key ([`KeyedStream`]): [`KeyedProcess`], [windows](Windows), [two streams](KeyedConnect) and [joins](Interval) of them, and [rows that every subtask is
//!   told](BroadcastProcess).
//! - [`state`]: what is kept of a key, with timers, across restarts and new versions of the program.
//! - [`testing`]: a job under `cargo test`, in milliseconds.
//!
//! # What holds
//!
//! State and what has been emitted belong together: after a crash both are as they were at the last checkpoint, and what a sink shows exactly
//! once in SQL it shows exactly once here. Rows of a key are processed one after the other, in the order in which they come.
//! Results do not depend on how many subtasks there are. When a timer goes off depends on where the watermark stands, which moves
//! behind batches: [`KeyedProcess`] says what follows.
//!
//! A function of a job must not depend on anything else than its arguments: not on the time, on random numbers or on files, since it is called
//! again when the job goes back to a checkpoint. [`Context::now`] is the clock. Only functions that [wait](Calls) may ask other programs.

// Derived code names the crate; so do its own records.
#[allow(unused_extern_crates, reason = "named by derived code")]
extern crate self as weir_jobs;

mod aggregate;
mod calls;
mod function;
mod job;
mod join;
mod operator;
mod plugin;
mod process;
pub mod record;
mod sink;
mod source;
pub mod state;
mod stream;
mod table;
pub mod testing;
mod window;

pub use aggregate::Aggregate;
pub use calls::{CallFailure, Calls};
pub use function::{ExportFunctions, Exported, FunctionResult, Functions, RowFunction};
pub use job::Job;
pub use join::Interval;
pub use plugin::{JobPlugin, Main};
pub use process::{BroadcastProcess, Context, KeyedConnect, KeyedProcess, SideOutput};
pub use record::{Bytes, Date, Decimal, Record, Timestamp};
pub use sink::{Commit, LastEpoch, Sink, sink_fn};
pub use source::{Reading, Rows, Source, Split, SplitReader};
pub use state::{AggregateState, ListState, MapState, ProcessingTimer, State, Timer, ValueState};
pub use stream::{Connected, KeyedStream, Stream, WithBroadcast};
pub use table::Table;
pub use weir_core::{Error, ErrorKind, Result};
pub use weir_jobs_derive::{Record, State};
pub use window::{Pane, Trigger, Triggered, Window, Windowed, WindowedPairs, Windows};

#[doc(hidden)]
pub use weir_plugin_abi as abi;

/// Makes a function the job that this crate is, if it is built as a plugin: `crate-type = ["cdylib", "rlib"]`.
///
/// ```standalone_crate
/// use weir_jobs::prelude::*;
///
/// fn my_job(job: &mut Job) -> Result<()> {
///     job.sql("INSERT INTO copies SELECT * FROM originals;");
///     Ok(())
/// }
///
/// weir_jobs::export!(my_job);
/// # fn main() {}
/// ```
///
/// [`Functions`] for SQL are exported beside a job, `export!(my_job, functions: my_functions)`, or alone:
///
/// ```standalone_crate
/// use weir_jobs::prelude::*;
///
/// fn my_functions(functions: &mut Functions) {
///     functions.scalar("celsius", |fahrenheit: f64| (fahrenheit - 32.0) / 1.8);
/// }
///
/// weir_jobs::export!(functions: my_functions);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export {
    (functions: $functions:expr) => {
        $crate::abi::export_plugin!(
            $crate::JobPlugin::without_job(::core::env!("CARGO_PKG_NAME"), ::core::env!("CARGO_PKG_VERSION"))
                .with_functions($functions)
        );
    };
    ($main:expr, functions: $functions:expr) => {
        $crate::abi::export_plugin!(
            $crate::JobPlugin::new(::core::env!("CARGO_PKG_NAME"), ::core::env!("CARGO_PKG_VERSION"), $main)
                .with_functions($functions)
        );
    };
    ($main:expr) => {
        $crate::abi::export_plugin!($crate::JobPlugin::new(
            ::core::env!("CARGO_PKG_NAME"),
            ::core::env!("CARGO_PKG_VERSION"),
            $main
        ));
    };
}

/// What a job uses: `use weir_jobs::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Aggregate, AggregateState, BroadcastProcess, Bytes, CallFailure, Calls, Commit, Context, Date, Decimal, Error,
        Functions, Interval, Job, KeyedConnect, KeyedProcess, KeyedStream, LastEpoch, ListState, MapState, Pane,
        ProcessingTimer, Reading, Record, Result, Rows, SideOutput, Sink, Source, Split, SplitReader, State, Stream,
        Table, Timer, Timestamp, Trigger, ValueState, Window, Windows,
    };
}

/// The guide's first listing is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../docs/rust-jobs.md")]
struct Guide;
