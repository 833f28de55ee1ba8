//! `TUMBLE`, `HOP`, `CUMULATE` and `SESSION` as a node of DataFusion's logical plan: the rows of its input with
//! `window_start`, `window_end` and `window_time` behind them.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion_common::{Column, DFSchema, DFSchemaRef, Result, internal_err};
use datafusion_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use weir_core::WindowKind;

/// Names of the columns that a window function adds, in order.
pub(crate) const WINDOW_COLUMNS: [&str; 3] = ["window_start", "window_end", "window_time"];

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WindowTvf {
    /// The windows.
    pub kind: WindowKind,
    /// The time attribute.
    pub time: Column,
    /// `PARTITION BY`; only sessions have one.
    pub partition: Vec<Column>,
    /// The rows.
    pub input: Arc<LogicalPlan>,
    schema: DFSchemaRef,
}

impl WindowTvf {
    /// Windows over the rows of `input`.
    pub fn try_new(kind: WindowKind, time: Column, partition: Vec<Column>, input: Arc<LogicalPlan>) -> Result<Self> {
        let timestamp = DataType::Timestamp(TimeUnit::Millisecond, None);
        let own = WINDOW_COLUMNS.map(|name| (None, Arc::new(Field::new(name, timestamp.clone(), false))));
        let fields = input.schema().iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field))).chain(own);
        let schema = DFSchema::new_with_metadata(fields.collect(), input.schema().metadata().clone())?;
        Ok(Self { kind, time, partition, input, schema: Arc::new(schema) })
    }
}

/// The schema follows from the input.
impl Hash for WindowTvf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.kind, &self.time, &self.partition, &self.input).hash(state);
    }
}

/// Plans have no order that would mean anything here.
impl PartialOrd for WindowTvf {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for WindowTvf {
    fn name(&self) -> &str {
        "WindowTvf"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        std::iter::once(&self.time).chain(&self.partition).cloned().map(Expr::Column).collect()
    }

    /// Conditions on other columns say which rows there are, before or after they are put into windows. Not so with
    /// sessions: a row that is filtered out later has held its session together. Only whole sessions may go first.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        let window = WINDOW_COLUMNS.map(str::to_owned);
        match self.kind {
            WindowKind::Session { .. } => {
                let keys: HashSet<&str> = self.partition.iter().map(|column| column.name.as_str()).collect();
                let others = self.schema.fields().iter().map(|field| field.name().clone());
                others.filter(|name| !keys.contains(name.as_str())).chain(window).collect()
            }
            _ => window.into_iter().collect(),
        }
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WindowTvf: {:?} over {}", self.kind, self.time)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let (Some(input), true) = (inputs.pop(), inputs.is_empty()) else {
            return internal_err!("a window function has one input");
        };
        let mut columns = Vec::with_capacity(exprs.len());
        for expr in exprs {
            match expr {
                Expr::Column(column) => columns.push(column),
                other => return internal_err!("a window function reads columns, not {other}"),
            }
        }
        if columns.len() != self.partition.len() + 1 {
            return internal_err!("a window function keeps its number of columns");
        }
        let partition = columns.split_off(1);
        let Some(time) = columns.pop() else { return internal_err!("a window function has a time attribute") };
        Self::try_new(self.kind, time, partition, Arc::new(input))
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let width = self.input.schema().fields().len();
        Some(vec![output_columns.iter().copied().filter(|column| *column < width).collect()])
    }
}
