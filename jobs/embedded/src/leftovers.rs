//! What jobs leave in the tables that they write, as far as a person or the next job has to know.

use weir_core::connector::Discard;
use weir_core::{ConnectorRegistry, ErrorKind, JobGraph, JobIdentity, OperatorSpec, OperatorUid, Result, TableSpec};

/// Sinks of a job, and their tables.
fn sinks(graph: &JobGraph) -> impl Iterator<Item = (&OperatorUid, &TableSpec)> {
    graph.nodes().iter().filter_map(|node| match &node.spec.operator {
        OperatorSpec::Sink(sink) => Some((&node.uid, &sink.table)),
        _ => None,
    })
}

/// Removes what a job has left that can never go on. Where that fails, it does no harm.
pub async fn discard(graph: &JobGraph, connectors: &dyn ConnectorRegistry, job: JobIdentity) {
    for (uid, table) in sinks(graph) {
        let Some(connector) = connectors.get(&table.connector) else { continue };
        if let Err(error) = connector.discard(table, Discard { job, uid: uid.clone(), behind: None }).await {
            tracing::warn!(table = table.name, error = error.report(), "what the job has left could not be removed");
        }
    }
}

/// Warnings about results of earlier jobs of the same query, to be asked for before a new one begins.
///
/// # Errors
/// A user error if a table is not to be written then. That its results cannot be seen from here is none.
pub async fn earlier_results(graph: &JobGraph, connectors: &dyn ConnectorRegistry) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for (uid, table) in sinks(graph) {
        let Some(connector) = connectors.get(&table.connector) else { continue };
        match connector.earlier_results(table, uid).await {
            Ok(None) => {}
            Ok(Some(place)) => warnings.push(format!(
                "table '{}' holds results of an earlier job of the same query ({place}), and this job adds its own: rows may be there \
                 twice. Empty it first, or say what you want with 'sink.existing-results' = 'add' or 'refuse'",
                table.name
            )),
            Err(error) if error.kind() == ErrorKind::User => return Err(error),
            Err(error) => tracing::debug!(error = error.report(), "earlier results could not be looked for"),
        }
    }
    Ok(warnings)
}
