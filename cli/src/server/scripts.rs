//! What the REST API of a coordinator asks of the planner, and of the checkpoint storage: scripts become jobs here as they do in
//! `weir submit`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Fields, Schema};
use weir_api::{PlannedJob, Script, Scripts};
use weir_core::{ConnectorRegistry, Error, JobGraph, Result};
use weir_functions::Functions;
use weir_proto::client::ClusterInfo;
use weir_sql::diagnostics::{behind_lines, error_at, without_secrets};
use weir_sql::shared::{self, Declaration, asks_for_more, beginning, needed};
use weir_sql::{Plan, Statement};

use crate::blocking::blocking;
use crate::cluster::request::{check_name, graph_of, request};
use crate::cluster::result_folder::{ResultFolder, rows_of};
use crate::leftovers::earlier_results;
use crate::planning::{explained, plan_elsewhere};
use crate::result::json_lines;
use crate::settings::{Layers, Origin, Settings, apply_settings, registry};

/// How often rows of a `SELECT` become visible unless the user says otherwise: somebody looks at them.
const INTERACTIVE: Duration = Duration::from_secs(1);

/// Plans with these connectors.
#[derive(Clone)]
pub struct Planner {
    /// The connectors that the workers have.
    pub connectors: Arc<dyn ConnectorRegistry>,
}

/// A script that was planned.
struct Planned {
    plan: Plan,
    settings: Settings,
    layers: Layers,
    is_query: bool,
}

impl Planner {
    /// Plans a script by itself, or, if that cannot be, behind what it needs of the catalog. `result`: options of the table that a
    /// `SELECT` writes.
    fn planned(&self, script: &Script, catalog: &[String], result: &BTreeMap<String, String>) -> Result<Planned> {
        let mut layers = Layers::default();
        for (key, value) in &script.settings {
            layers.set_on_command_line(key, value, Origin::Define)?;
        }
        if let Some(parallelism) = script.parallelism {
            layers.set_on_command_line(registry::PARALLELISM, &parallelism.to_string(), Origin::Define)?;
        }
        let parsed = weir_sql::parse(&script.sql)?;
        apply_settings(&parsed, &mut layers)?;
        let settings = Settings::resolve(&layers, 1);
        let is_query = parsed.statements.iter().any(|statement| matches!(statement.value, Statement::Query(_)));
        // Whoever sends a script has no working directory here.
        let root = || PathBuf::from("/");
        let plan = plan_elsewhere(&parsed, &settings, self.connectors.clone(), root(), result.clone());
        let plan = plan.or_else(|error| {
            let functions = Functions::built_in();
            let needed =
                if asks_for_more(&parsed, &functions) { needed(catalog, &parsed, &functions) } else { Vec::new() };
            if needed.is_empty() {
                return Err(error);
            }
            let before = beginning(&needed);
            let lines = before.matches('\n').count();
            let parsed =
                weir_sql::parse(&format!("{before}{}", script.sql)).map_err(|error| behind_lines(error, lines))?;
            plan_elsewhere(&parsed, &settings, self.connectors.clone(), root(), result.clone())
                .map_err(|error| behind_lines(error, lines))
        })?;
        Ok(Planned { plan, settings, layers, is_query })
    }
}

/// The job that a planned script is.
fn job_of(namespace: &str, name: String, script: &Script, planned: Planned) -> Result<PlannedJob> {
    check_name(&name)?;
    let Planned { plan, settings, layers, .. } = planned;
    let warnings = plan.warnings.iter().map(ToString::to_string).collect();
    let last_row = plan.last_row;
    let job = request(namespace, script.sql.clone(), &settings, name, graph_of(plan)?);
    Ok(PlannedJob {
        job,
        last_row,
        any_parallelism: !layers.is_given(registry::PARALLELISM),
        warnings,
        earlier_results: Vec::new(),
    })
}

/// Refuses a `SELECT` where nobody would read its rows.
fn check_no_query(script: &Script) -> Result<()> {
    let parsed = weir_sql::parse(&script.sql)?;
    let query = parsed.statements.iter().find(|statement| matches!(statement.value, Statement::Query(_)));
    query.map_or(Ok(()), |query| {
        Err(error_at(&parsed.text, query.span, "nobody would be there to read the rows of this SELECT")
            .with_help("write them into a table with INSERT INTO, or send the script to …/queries"))
    })
}

#[async_trait::async_trait]
impl Scripts for Planner {
    async fn job(&self, namespace: &str, script: Script, catalog: Vec<String>) -> Result<PlannedJob> {
        let (planner, namespace) = (self.clone(), namespace.to_owned());
        blocking(move || {
            check_no_query(&script)?;
            let planned = planner.planned(&script, &catalog, &BTreeMap::new())?;
            let name = script.name.clone().or_else(|| planned.settings.name.clone()).ok_or_else(|| {
                Error::user("the job has no name").with_help("give it as `name`, or say SET 'pipeline.name' = '…'")
            })?;
            job_of(&namespace, name, &script, planned)
        })
        .await
    }

    async fn earlier_results(&self, graph: &JobGraph) -> Result<Vec<String>> {
        earlier_results(graph, &*self.connectors).await
    }

    fn shown(&self, script: &str) -> String {
        without_secrets(script)
    }

    async fn explain(&self, script: Script, catalog: Vec<String>) -> Result<String> {
        let planner = self.clone();
        blocking(move || {
            let nowhere = ResultFolder::options_of("file:///");
            explained(planner.planned(&script, &catalog, &nowhere)?.plan)
        })
        .await
    }

    async fn changed(&self, catalog: Vec<String>, script: String) -> Result<Vec<String>> {
        let connectors = self.connectors.clone();
        blocking(move || {
            let after = shared::changed(&catalog, &script, &connectors, &Functions::built_in())?;
            Ok(after.iter().map(Declaration::kept).collect())
        })
        .await
    }

    async fn query(
        &self,
        namespace: &str,
        script: Script,
        catalog: Vec<String>,
        cluster: &ClusterInfo,
    ) -> Result<(PlannedJob, u64)> {
        let folder = ResultFolder::new(cluster)?;
        let (planner, namespace) = (self.clone(), namespace.to_owned());
        blocking(move || {
            let mut planned = planner.planned(&script, &catalog, &folder.options())?;
            if !planned.is_query {
                return Err(Error::user("the script has no SELECT whose rows could be sent")
                    .with_help("a script of INSERT INTOs goes to …/jobs"));
            }
            if !planned.layers.is_given(registry::CHECKPOINT_INTERVAL) {
                planned.settings.checkpoint_interval = Some(INTERACTIVE);
            }
            // Such jobs come and go, and two people may run the same script at the same time.
            let name = script.name.clone().or_else(|| planned.settings.name.clone()).unwrap_or_else(|| "query".into());
            let job = job_of(&namespace, format!("{name}-{}", folder.letters()), &script, planned)?;
            Ok((job, folder.token()))
        })
        .await
    }

    async fn rows(&self, file: Vec<u8>) -> Result<Vec<String>> {
        blocking(move || lines(&rows_of(file)?)).await
    }
}

fn lines(batches: &[RecordBatch]) -> Result<Vec<String>> {
    let mut rows = Vec::new();
    for batch in batches {
        rows.extend(json_lines(&exact(batch)?)?.lines().map(str::to_owned));
    }
    Ok(rows)
}

/// The rows with text in the place of numbers that readers of JSON may round: BIGINT and DECIMAL, also inside of other values.
fn exact(records: &RecordBatch) -> Result<RecordBatch> {
    let schema = records.schema_ref();
    let fields: Fields = schema.fields().iter().map(exact_field).collect();
    if fields == *schema.fields() {
        return Ok(records.clone());
    }
    let columns = fields.iter().zip(records.columns()).map(|(field, column)| cast(column, field.data_type()));
    let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(records.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
}

fn exact_field(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Int64 | DataType::UInt64 | DataType::Decimal128(..) | DataType::Decimal256(..) => DataType::Utf8,
        DataType::List(item) => DataType::List(exact_field(item)),
        DataType::Map(entries, sorted) => DataType::Map(exact_field(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(exact_field).collect()),
        other => other.clone(),
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::{
        ArrayRef, Decimal128Array, Int32Array, Int64Array, ListArray, MapBuilder, StringBuilder, StructArray,
    };
    use arrow::array::{Int64Builder, builder::MapFieldNames};
    use arrow::datatypes::{Field, Int64Type};

    use super::*;

    #[test]
    fn numbers_that_are_rounded_elsewhere_are_text() {
        let large = i64::MAX;
        let mut map = MapBuilder::new(None::<MapFieldNames>, StringBuilder::new(), Int64Builder::new());
        map.keys().append_value("k");
        map.values().append_value(large);
        map.append(true).unwrap();
        let number: ArrayRef = Arc::new(Int64Array::from(vec![large]));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("i", Arc::new(Int32Array::from(vec![7]))),
            ("b", number.clone()),
            ("d", Arc::new(Decimal128Array::from(vec![12345]).with_precision_and_scale(20, 2).unwrap())),
            ("l", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(large), None])]))),
            ("r", Arc::new(StructArray::from(vec![(Arc::new(Field::new("x", DataType::Int64, true)), number)]))),
            ("m", Arc::new(map.finish())),
        ];
        let records =
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
                .unwrap();
        let lines = lines(&[records]).unwrap();
        let text = format!("\"{large}\"");
        assert_eq!(
            lines,
            [format!(
                "{{\"i\":7,\"b\":{text},\"d\":\"123.45\",\"l\":[{text},null],\"r\":{{\"x\":{text}}},\"m\":{{\"k\":{text}}}}}"
            )]
        );
    }
}
