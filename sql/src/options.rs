//! What a plan depends on besides the script.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use weir_functions::Functions;

/// Settings of planning.
#[derive(Debug, Clone)]
pub struct PlanOptions {
    /// A split of a source without a row for so long counts as idle; `None`: never. A table can say otherwise.
    pub source_idle_timeout: Option<Duration>,
    /// Table that takes the late rows of all operators with windows.
    pub late_table: Option<String>,
    /// Whether aggregations are split into a phase before the exchange and one behind it.
    pub two_phase: bool,
    /// How long state is kept that is not touched, in milliseconds; `None`: for ever.
    pub state_ttl: Option<u64>,
    /// Whether that goes by event time, and not by the clock.
    pub state_ttl_in_event_time: bool,
    /// Connector of the table that a bare `SELECT` writes.
    pub result_connector: String,
    /// Options of that table.
    pub result_options: BTreeMap<String, String>,
    /// Where relative places in the options of tables are meant from, if the job runs in other processes: an absolute path. `None`:
    /// from the working directory of the process that runs it.
    pub directory: Option<PathBuf>,
    /// What queries can call.
    pub functions: Arc<Functions>,
}
