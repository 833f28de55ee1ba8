//! The C ABI between the engine (the *host*) and a plugin in a file (the *guest*).
//!
//! It mirrors traits of `weir-core`, [`Plugin`](weir_core::plugin::Plugin), [`Operator`](weir_core::Operator),
//! [`ScalarFunction`](weir_core::plugin::ScalarFunction), [`PluginSource`](weir_core::plugin::PluginSource) and
//! [`PluginSink`](weir_core::plugin::PluginSink) among them, function by function. A plugin is a `cdylib` with one symbol, [`SYMBOL`], a function that returns a [`Descriptor`]:
//!
//! ```text
//!   host: dlopen ─▶ weir_plugin() ─▶ Descriptor { abi version, SDK version, target, … , functions }
//!                                        │ same ABI, same target
//!                                        ▼
//!         create() ─▶ plugin ─ operator(request) ─▶ operator ─ open, load*, { process, watermark, …, capture? }*, drop
//!                        ├──── function(name) ────▶ function ─ call*, group()* ─▶ group ─ { update, merge, value }*, drop
//!                        ├──── source(request) ───▶ source ─ { splits, open_split ─▶ reader ─ read*, drop }*, drop
//!                        └──── sink(request) ─────▶ sink ─ commit*, drop
//! ```
//!
//! - **Memory.** Each side frees what it has allocated. Bytes that go in are lent for the length of the call ([`Lent`]); what comes out is
//!   handed over with the function that frees it ([`Owned`]).
//! - **Rows** go as a struct array of the Arrow C data interface, whose columns both sides know already. It has a release function of its own,
//!   and lives as long as anyone holds a part of it, wherever that is; a file is unloaded when nothing of it is held any more.
//! - **What is said once** for an operator, a request, its tables, is JSON.
//! - **Errors** go as JSON, with kind, help and chain. A **panic** is caught on the side on which it happens, and becomes an error with message and
//!   backtrace (`panics`). A plugin that was built with `panic = "abort"` is refused.
//!
//! The fields of the descriptor in front of `functions` never change their place: so a plugin of any version is understood well enough
//! to refuse it with reasons. All else changes with [`ABI_VERSION`]. Behind what version 2 has there are `exports` since version 3, with another meaning since
//! version 4: a plugin of version 2 or 3 is loaded, and exports nothing to SQL. Behind those stand `tables` since version 5.

mod errors;
pub mod guest;
#[cfg(feature = "host")]
pub mod host;
mod panics;
mod raw;
mod rows;
pub mod thread;

pub use errors::ErrorText;
pub use panics::caught;
pub use raw::{Answer, Descriptor, Exports, Functions, Handle, Lent, OptionTime, Outputs, Owned, Pieces, Rows, Tables};
#[doc(hidden)]
pub use weir_core;

/// Raised whenever anything in [`Functions`], [`Exports`] or [`Tables`], or the meaning of what goes through them, changes.
pub const ABI_VERSION: u32 = 5;

/// The first version whose exports are used.
#[cfg(feature = "host")]
pub(crate) const EXPORTS_SINCE: u32 = 4;

/// The first version with sources and sinks.
#[cfg(feature = "host")]
pub(crate) const TABLES_SINCE: u32 = 5;

/// The oldest version that is understood.
pub const OLDEST_ABI_VERSION: u32 = 2;

/// What a plugin exports.
pub const SYMBOL: &str = "weir_plugin";

/// Version of the SDK that this crate is a part of.
pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");
