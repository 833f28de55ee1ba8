//! What a step runs as: operators of the engine, over rows.

mod batches;
mod broadcast;
mod calling;
mod connect;
mod keyed;
mod output;
mod process;
mod stateless;
mod store;
mod tables;

pub(crate) use batches::{BatchStep, OverBatches};
pub(crate) use broadcast::{Broadcast, SHARED};
pub(crate) use calling::{CallFunction, CallFuture, Calling, FailureRow};
pub(crate) use connect::Connect;
pub(crate) use keyed::{IN_MEMORY, Keyed, Shape};
pub(crate) use output::{Output, Side};
pub(crate) use process::Process;
pub(crate) use stateless::{Branch, KeyColumns, KeyOf, Rows, Stateless};
pub(crate) use store::{LIVES, Store, TimeToLive, hash_of};
