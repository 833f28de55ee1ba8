//! A worker as the cluster sees it.

use serde::{Deserialize, Serialize};
use weir_core::Incarnation;

/// A worker that is here. One that is lost is not in the state any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// Its process. Another process of the same name is another worker, and what ran on this one is lost.
    pub incarnation: Incarnation,
    /// Where other workers reach it.
    pub address: String,
    /// Slots that it offers.
    pub slots: u32,
    /// Weir's version there.
    pub version: String,
    /// Gets no new work, and what it has is moved away.
    pub draining: bool,
}
