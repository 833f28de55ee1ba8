//! Where this process finds the secrets to which table options refer.

use std::path::PathBuf;
use std::sync::Arc;

use weir_worker::secrets::Secrets;

/// Names the folder of those that are files.
pub const FOLDER: &str = "WEIR_SECRETS_DIR";

/// The secrets of a process that runs jobs by itself.
pub fn of_process() -> Secrets {
    below(std::env::var_os(FOLDER).filter(|folder| !folder.is_empty()).map(PathBuf::from))
}

/// The secrets of a worker that was told its folder.
pub fn below(folder: Option<PathBuf>) -> Secrets {
    #[expect(clippy::disallowed_methods, reason = "these are no settings: which variables there are, jobs say")]
    let environment = |name: &str| std::env::var(name).ok();
    Secrets { environment: Arc::new(environment), folder }
}
