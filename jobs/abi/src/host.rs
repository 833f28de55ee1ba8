//! The engine's side: a file as a [`Plugin`](weir_core::plugin::Plugin).
//!
//! - `file`: what can be seen of a file without running anything of it
//! - `function`: a function behind the boundary
//! - `library`: loading, and the handshake
//! - `operator`: an operator behind the boundary
//! - `table`: a source or a sink behind the boundary

mod file;
mod function;
mod library;
mod operator;
mod table;

pub use library::{Loaded, load};
