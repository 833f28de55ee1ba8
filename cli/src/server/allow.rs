//! `--allow`: what tables may reach.

use clap::Args;
use weir_worker::allowed::{Allowed, Rule};

/// What tables may reach.
#[derive(Debug, Clone, Default, Args)]
pub struct AllowArguments {
    /// A location that tables of jobs may reach; everything if not given. A path with what is below it, the beginning of a URL of an object store, a
    /// host at one port or at any, a domain as *.example.org; may be given several times. The same for all workers and coordinators.
    #[arg(long, env = "WEIR_ALLOW", value_name = "LOCATION,…", value_delimiter = ',')]
    allow: Vec<Rule>,
}

impl AllowArguments {
    /// What is allowed.
    pub fn allowed(&self) -> Allowed {
        Allowed::new(self.allow.clone())
    }
}
