//! What the joins share: the rows that wait for partners ([`Buffer`]), and from pairs of rows to output
//! ([`JoinShape`]).
//!
//! A join hashes its keys once a batch, with the hash that also chose the subtask. Equal hashes make *candidates*; the
//! columns of many candidates that the condition reads are gathered, and there one kernel per key column and one for the residual
//! condition say which of them match. So nothing is decided row by row, and a collision of hashes is no special case.

mod buffer;
mod probe;
mod shape;

pub(crate) use buffer::{Block, Buffer, Looks, RowRef, flags};
pub(crate) use probe::{Probe, join_batch};
pub(crate) use shape::{JoinShape, Keys, LEFT, RIGHT};
