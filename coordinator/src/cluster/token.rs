//! Tokens: what those may do who have no certificate.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use serde::{Deserialize, Serialize, Serializer};
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

/// All tokens, by their names; those of a group are found without a look at the others, as each call of a subject needs them. A snapshot
/// has the tokens alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "BTreeMap<String, Token>")]
pub struct Tokens {
    by_name: BTreeMap<String, Token>,
    /// Names of the tokens of each group that has any.
    of_groups: BTreeMap<String, BTreeSet<String>>,
}

impl Tokens {
    /// Adds a token, in place of one of the same name.
    pub fn insert(&mut self, name: String, token: Token) {
        self.remove(&name);
        if let Some(group) = token.bearer.group() {
            self.of_groups.entry(group.to_owned()).or_default().insert(name.clone());
        }
        self.by_name.insert(name, token);
    }

    /// Takes a token away, if it is there.
    pub fn remove(&mut self, name: &str) -> Option<Token> {
        let token = self.by_name.remove(name)?;
        if let Some(group) = token.bearer.group()
            && let Some(names) = self.of_groups.get_mut(group)
        {
            names.remove(name);
            if names.is_empty() {
                self.of_groups.remove(group);
            }
        }
        Some(token)
    }

    /// Notes who has made a token.
    pub fn set_maker(&mut self, name: &str, maker: String) {
        if let Some(token) = self.by_name.get_mut(name) {
            token.created_by = Some(maker);
        }
    }

    /// The tokens of a group.
    pub fn of_group<'a>(&'a self, group: &str) -> impl Iterator<Item = (&'a String, &'a Token)> {
        self.of_groups.get(group).into_iter().flatten().filter_map(|name| self.by_name.get_key_value(name))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

impl Deref for Tokens {
    type Target = BTreeMap<String, Token>;

    fn deref(&self) -> &Self::Target {
        &self.by_name
    }
}

impl From<BTreeMap<String, Token>> for Tokens {
    fn from(tokens: BTreeMap<String, Token>) -> Self {
        let mut all = Self::default();
        tokens.into_iter().for_each(|(name, token)| all.insert(name, token));
        all
    }
}

impl Serialize for Tokens {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.by_name.serialize(serializer)
    }
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
