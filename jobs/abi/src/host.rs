//! The engine's side: a file as a [`Plugin`](weir_core::plugin::Plugin).
//!
//! - `file`: what can be seen of a file without running anything of it
//! - `function`: a function behind the boundary
//! - `library`: loading, and the handshake
//! - `operator`: an operator behind the boundary
//! - `streams`: standard streams of a process that is there for a plugin alone
//! - `table`: a source or a sink behind the boundary

mod file;
mod function;
mod library;
mod operator;
mod streams;
mod table;

pub use library::{Loaded, load};
pub use streams::take_sockets;
