//! What the plan fixes about an aggregation: key columns, accumulators, and the schemas of what goes out and of what is
//! kept.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use weir_core::{
    Error, GroupAggregateSpec, Result, UpdatingSessionsSpec, WindowAggregateSpec, WindowSource, state_column,
};
use weir_functions::Functions;

use super::accumulator::{self, Accumulator};
use super::key_table::KeyLayout;
use crate::batches::stored_fields;

/// Name of the column with the number of rows behind a partial result.
const ROWS: &str = "rows";

/// Layout of an aggregation.
pub(crate) struct Layout {
    /// Key columns of the input.
    pub(crate) key_columns: Vec<usize>,
    pub(crate) keys: KeyLayout,
    key_fields: Vec<FieldRef>,
    /// Accumulators without groups, in the order of the aggregates, of which one may have several; behind them the row count, if the operator wants one.
    pub(crate) prototypes: Vec<Box<dyn Accumulator>>,
    /// Which of all state columns belong to which accumulator.
    pub(crate) state_columns: Vec<Range<usize>>,
    /// How many accumulators there are results of.
    pub(crate) results: usize,
    /// Whether the input holds states.
    pub(crate) partial_input: bool,
    /// Where those begin.
    pub(crate) first_state: usize,
    pub(crate) parts: KeyParts,
}

/// What the key columns of groups are, from the front.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyParts {
    /// So many of them, the first, say which subtask a group belongs to.
    pub(crate) spread_by: usize,
    /// So many of them, the first, are the group's own; behind them is its pane.
    pub(crate) own: usize,
}

fn timestamp(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Millisecond, None), false)
}

impl Layout {
    /// The layout for `spec` over `input`. `count_rows` appends an accumulator that counts the rows of each group.
    pub(crate) fn new(
        spec: &WindowAggregateSpec,
        input: &SchemaRef,
        count_rows: bool,
        functions: &Functions,
    ) -> Result<Self> {
        let key_columns = if spec.partial_input { (0..spec.keys.len()).collect() } else { spec.keys.clone() };
        let time = match spec.window {
            WindowSource::Assign { time, .. } => Some(time),
            WindowSource::Attached { .. } => None,
        };
        let one = |call: &_| accumulator::create(call, input, time, functions);
        let prototypes = accumulator::of_calls(&spec.aggregates, input, one)?;
        let layout = Self::of(key_columns, prototypes, input, count_rows)?;
        let parts = KeyParts { spread_by: spec.spread_columns().len(), ..layout.parts };
        Ok(Self { partial_input: spec.partial_input, parts, ..layout })
    }

    /// As [`new`](Self::new), with the panes of rows as keys behind the others: these columns of `input`.
    pub(crate) fn with_panes(
        spec: &WindowAggregateSpec,
        input: &SchemaRef,
        panes: &[usize],
        count_rows: bool,
        functions: &Functions,
    ) -> Result<Self> {
        let layout = Self::new(spec, input, count_rows, functions)?;
        let (first_state, parts) = (layout.first_state, layout.parts);
        let key_columns = layout.key_columns.into_iter().chain(panes.iter().copied()).collect();
        let calls = layout.prototypes;
        let counted = Self::of(key_columns, calls, input, false)?;
        Ok(Self { results: layout.results, partial_input: spec.partial_input, first_state, parts, ..counted })
    }

    /// The layout for groups without windows. `forgets`: rows may be taken back that are not known any more.
    pub(crate) fn of_groups(
        spec: &GroupAggregateSpec,
        input: &SchemaRef,
        functions: &Functions,
        forgets: bool,
    ) -> Result<Self> {
        let prototypes = match spec.retracts {
            true => {
                let calls = spec.aggregates.iter();
                calls.map(|call| accumulator::retractable(call, input, functions, forgets)).collect::<Result<_>>()?
            }
            false => {
                let one = |call: &_| accumulator::repeatable(call, input, None, functions);
                accumulator::of_calls(&spec.aggregates, input, one)?
            }
        };
        Self::of(spec.keys.clone(), prototypes, input, spec.retracts)
    }

    /// As [`new`](Self::new), for sessions that are shown before they are final.
    pub(crate) fn of_updating_sessions(
        spec: &UpdatingSessionsSpec,
        input: &SchemaRef,
        functions: &Functions,
    ) -> Result<Self> {
        let one = |call: &_| accumulator::repeatable(call, input, Some(spec.time), functions);
        Self::of(spec.keys.clone(), accumulator::of_calls(&spec.aggregates, input, one)?, input, false)
    }

    /// The layout for rows of which it is counted how many there are of each.
    pub(crate) fn of_rows(input: &SchemaRef) -> Result<Self> {
        Self::of((0..input.fields().len()).collect(), Vec::new(), input, true)
    }

    fn of(
        key_columns: Vec<usize>,
        mut prototypes: Vec<Box<dyn Accumulator>>,
        input: &SchemaRef,
        count_rows: bool,
    ) -> Result<Self> {
        let results = prototypes.len();
        if count_rows {
            prototypes.push(accumulator::row_count(ROWS));
        }
        let mut next = 0;
        let state_columns = prototypes.iter().map(|prototype| {
            let start = next;
            next += prototype.state_fields().len();
            start..next
        });
        let state_columns = state_columns.collect();
        let key_fields: Vec<FieldRef> = key_columns.iter().map(|column| input.fields()[*column].clone()).collect();
        Ok(Self {
            keys: KeyLayout::new(key_fields.iter().map(|field| field.data_type().clone()).collect())?,
            first_state: key_columns.len(),
            parts: KeyParts { spread_by: key_columns.len(), own: key_columns.len() },
            key_columns,
            key_fields,
            state_columns,
            results,
            partial_input: false,
            prototypes,
        })
    }

    /// Schema of kept state: keys, `times`, and the states of all accumulators. Times have the ids from 1 on, keys from 1001,
    /// states from 2001, so that there is room for what may come in addition.
    pub(crate) fn state_schema(&self, times: &[&str]) -> SchemaRef {
        let states = self.prototypes.iter().flat_map(|prototype| prototype.state_fields()).map(Arc::new);
        let times: Vec<FieldRef> = times.iter().map(|name| Arc::new(timestamp(name))).collect();
        let states: Vec<FieldRef> = states.collect();
        let keys: Vec<FieldRef> = stored_fields(&self.key_fields).map(Arc::new).collect();
        let columns = [(&keys, 1001), (&times, 1), (&states, 2001)];
        let columns = columns.into_iter().flat_map(|(fields, first)| state_column::numbered(fields, first));
        Arc::new(Schema::new(columns.collect::<Vec<FieldRef>>()))
    }

    /// Key columns of input rows.
    pub(crate) fn key_arrays(&self, columns: &[ArrayRef]) -> Vec<ArrayRef> {
        self.key_columns.iter().map(|column| columns[*column].clone()).collect()
    }
}

/// Columns of the input that an aggregation reads.
pub(crate) fn used_columns(spec: &WindowAggregateSpec, input: &SchemaRef) -> Result<Vec<usize>> {
    let mut used: Vec<usize> = match spec.partial_input {
        true => (0..input.fields().len()).collect(),
        false => {
            let arguments = spec.aggregates.iter().flat_map(|call| {
                let order = call.order_by.iter().map(|(column, ..)| *column);
                call.arguments.iter().copied().chain(call.filter).chain(order)
            });
            let time = match spec.window {
                WindowSource::Assign { time, .. } => time,
                WindowSource::Attached { end, .. } => end,
            };
            spec.keys.iter().copied().chain(arguments).chain([time]).collect()
        }
    };
    used.sort_unstable();
    used.dedup();
    match used.last() {
        Some(last) if *last >= input.fields().len() => {
            Err(Error::internal(format!("an aggregation reads column {last} of {}", input.fields().len())))
        }
        _ => Ok(used),
    }
}
