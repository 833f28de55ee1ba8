//! Tokens: what those may do who have no certificate.

use serde::{Deserialize, Serialize};
use weir_proto::client::{Bearer, Grant};

/// A token, by whose name the state has it. The token itself is nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Whose it is.
    #[serde(flatten)]
    pub bearer: Bearer,
    /// What it is good for.
    pub grants: Vec<Grant>,
    /// Whether jobs with plugins may be submitted with it.
    pub plugins: bool,
    /// Who made it; `None` where the network is trusted.
    pub created_by: Option<String>,
    /// The leader's clock, in milliseconds since 1970.
    pub created_at: i64,
    /// When it ends, on the leader's clock.
    pub expires_at: Option<i64>,
}

impl Token {
    /// Whether it is good for something at this time, in milliseconds since 1970.
    pub fn is_good(&self, now: i64) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    /// How many a cluster may have.
    pub const MOST: usize = 10_000;
}

/// What a person has last done to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// In a word: `stop`, `rescale`.
    pub what: String,
    /// Who.
    pub by: String,
    /// The leader's clock, in milliseconds since 1970.
    pub at: i64,
}
