//! Every aggregate of the function registry that has no accumulator of its own here, and all with `DISTINCT` or
//! `ORDER BY`: one of DataFusion's row-wise accumulators for each group.
//!
//! Asking such an accumulator for its state may use it up, so it is made again from that state each time; not so groups of a plugin.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion_common::{DataFusionError, ScalarValue};
use datafusion_expr::Accumulator as GroupState;
use datafusion_physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion_physical_expr::expressions::{Column, Literal as LiteralExpr};
use datafusion_physical_expr::{PhysicalExpr, PhysicalSortExpr};
use weir_core::hash::canonical_keys;
use weir_core::{AggregateCall, AggregateFunction, Error, Literal, LiteralValue, Result};
use weir_functions::{Functions, group_of_plugin};

use super::one_group::OneGroup;
use super::{Accumulator, Argument, CapturedColumns, CapturedStates, Rows, as_type, distinct_sum};
use crate::chunked::Picked;
use crate::expr::told_by_plugin;

struct RowWise {
    plan: Arc<Plan>,
    groups: Vec<Box<dyn GroupState>>,
}

struct Plan {
    name: String,
    function: AggregateFunctionExpr,
    argument: Argument,
    constants: Vec<ScalarValue>,
    order: Vec<usize>,
    state_fields: Vec<Field>,
    data_type: DataType,
    /// Whether values are told apart.
    distinct: bool,
    /// Whether the results are sums of the values that the state lists.
    sums: bool,
    is_of_plugin: bool,
}

impl RowWise {
    /// Tells the groups of a plugin that they are asked next, for their results or their states.
    fn announce(&mut self, picked: &Picked, piece: Range<usize>, results: bool) {
        if !self.plan.is_of_plugin {
            return;
        }
        for position in piece {
            if let Some(group) = group_of_plugin(&mut *self.groups[picked.slot(position)]) {
                group.announce(results);
            }
        }
    }
}

/// An accumulator by the function's name.
pub(super) fn create(call: &AggregateCall, input: &Schema, functions: &Functions) -> Result<Box<dyn Accumulator>> {
    let plan = plan(call, input, functions)?;
    // What the function does not take shows when its accumulator is made, and has to show before the job starts.
    plan.state()?;
    Ok(Box::new(RowWise { plan: Arc::new(plan), groups: Vec::new() }))
}

fn plan(call: &AggregateCall, input: &Schema, functions: &Functions) -> Result<Plan> {
    let name = match &call.function {
        AggregateFunction::Count => "count",
        AggregateFunction::Sum => "sum",
        AggregateFunction::Avg | AggregateFunction::ExactAvg => "avg",
        AggregateFunction::Min => "min",
        AggregateFunction::Max => "max",
        AggregateFunction::FirstValue => "first_value",
        AggregateFunction::LastValue => "last_value",
        AggregateFunction::Other(name) => name,
    };
    if name == "nth_value" && !call.order_by.is_empty() {
        return Err(Error::user("NTH_VALUE with ORDER BY is not supported").with_help("use ARRAY_AGG(x ORDER BY y)[n]"));
    }
    let function =
        functions.aggregate(name).ok_or_else(|| Error::user(format!("there is no aggregate function {name:?}")))?;
    let refused = |error: DataFusionError| Error::user(format!("{name} cannot be computed")).with_source(error);
    let column = |index: &usize| Arc::new(Column::new(input.field(*index).name(), *index)) as Arc<dyn PhysicalExpr>;
    let constants = call.constants.iter().map(scalar).collect::<Result<Vec<_>>>()?;
    let constant = |value: &ScalarValue| Arc::new(LiteralExpr::new(value.clone())) as Arc<dyn PhysicalExpr>;
    let arguments = call.arguments.iter().map(column).chain(constants.iter().map(constant)).collect();
    let order = call.order_by.iter().map(|(index, descending, nulls_first)| PhysicalSortExpr {
        expr: column(index),
        options: SortOptions { descending: *descending, nulls_first: *nulls_first },
    });
    let function = AggregateExprBuilder::new(function, arguments)
        .schema(Arc::new(input.clone()))
        .alias(&call.name)
        .with_distinct(call.distinct)
        .order_by(order.collect())
        .build()
        .map_err(refused)?;
    let state_fields = function.state_fields().map_err(refused)?;
    let state_fields = state_fields
        .iter()
        .enumerate()
        .map(|(index, field)| Field::new(format!("{}${index}", call.name), field.data_type().clone(), true));
    let sorted = !function.order_bys().is_empty();
    Ok(Plan {
        name: call.name.clone(),
        argument: Argument::of(call),
        constants,
        order: call.order_by.iter().filter(|_| sorted).map(|(column, ..)| *column).collect(),
        state_fields: state_fields.collect(),
        data_type: call.data_type.clone(),
        distinct: call.distinct,
        sums: distinct_sum::is_exact(call),
        is_of_plugin: Functions::is_of_plugin(function.fun()),
        function,
    })
}

fn scalar(literal: &Literal) -> Result<ScalarValue> {
    let value = match &literal.value {
        LiteralValue::Null => ScalarValue::Null,
        LiteralValue::Boolean(value) => ScalarValue::Boolean(Some(*value)),
        LiteralValue::Int(value) => ScalarValue::Int64(Some(*value)),
        LiteralValue::UInt(value) => ScalarValue::UInt64(Some(*value)),
        LiteralValue::Float(bits) => ScalarValue::Float64(Some(f64::from_bits(*bits))),
        LiteralValue::Utf8(text) => ScalarValue::Utf8View(Some(text.clone())),
        LiteralValue::Decimal(digits) => match literal.data_type {
            DataType::Decimal128(precision, scale) => ScalarValue::Decimal128(digits.parse().ok(), precision, scale),
            _ => ScalarValue::Null,
        },
        _ => {
            return Err(Error::user(format!(
                "a constant of type {} is no argument of an aggregate",
                literal.data_type
            )));
        }
    };
    value.cast_to(&literal.data_type).map_err(|error| Error::user("a constant argument is unfit").with_source(error))
}

impl Plan {
    fn failed(&self) -> impl Fn(DataFusionError) -> Error + '_ {
        |error| {
            let message = format!("the aggregate {:?} failed", self.name);
            told_by_plugin(&error, &message).unwrap_or_else(|| Error::data(message).with_source(error))
        }
    }

    fn state(&self) -> Result<Box<dyn GroupState>> {
        let failed = |error| Error::user(format!("{:?} cannot be computed", self.name)).with_source(error);
        if self.function.fun().name() == "approx_distinct" && self.function.groups_accumulator_supported() {
            let groups = self.function.create_groups_accumulator().map_err(failed)?;
            return Ok(Box::new(OneGroup::new(groups, &self.state_fields).map_err(failed)?));
        }
        self.function.create_accumulator().map_err(failed)
    }

    /// What the function reads: arguments, constants, and what to order by.
    fn inputs(&self, rows: Rows<'_>) -> Result<Vec<ArrayRef>> {
        let value = |column: &usize| match self.distinct {
            true => canonical_keys(&rows.columns[*column]),
            false => rows.columns[*column].clone(),
        };
        let mut inputs: Vec<ArrayRef> = self.argument.columns.iter().map(value).collect();
        for constant in &self.constants {
            inputs.push(constant.to_array_of_size(rows.len).map_err(self.failed())?);
        }
        inputs.extend(self.order.iter().map(|column| rows.columns[*column].clone()));
        Ok(inputs)
    }

    fn column(&self, values: Vec<ScalarValue>, data_type: &DataType) -> Result<ArrayRef> {
        if values.is_empty() {
            return Ok(arrow::array::new_empty_array(data_type));
        }
        as_type(&ScalarValue::iter_to_array(values).map_err(self.failed())?, data_type)
    }
}

/// Calls `each` with every slot that occurs and the positions of its rows, in their order.
fn for_each_group(slots: &[u32], rows: Vec<u32>, mut each: impl FnMut(u32, &[u32]) -> Result<()>) -> Result<()> {
    let mut rows = rows;
    rows.sort_by_key(|row| slots[*row as usize]);
    rows.chunk_by(|a, b| slots[*a as usize] == slots[*b as usize])
        .try_for_each(|rows| each(slots[rows[0] as usize], rows))
}

impl Accumulator for RowWise {
    fn fresh(&self) -> Box<dyn Accumulator> {
        Box::new(RowWise { plan: self.plan.clone(), groups: Vec::new() })
    }

    fn state_fields(&self) -> Vec<Field> {
        self.plan.state_fields.clone()
    }

    fn grow(&mut self, groups: usize) -> Result<()> {
        while self.groups.len() < groups {
            self.groups.push(self.plan.state()?);
        }
        Ok(())
    }

    fn clear(&mut self, slots: &[u32]) -> Result<()> {
        slots.iter().try_for_each(|slot| {
            self.groups[*slot as usize] = self.plan.state()?;
            Ok(())
        })
    }

    fn update(&mut self, slots: &[u32], rows: Rows<'_>) -> Result<()> {
        let inputs = self.plan.inputs(rows)?;
        let selected = match self.plan.argument.filtered(rows) {
            Some(filter) => filter.valid_indices().map(|row| row as u32).collect(),
            None => (0..rows.len as u32).collect(),
        };
        for_each_group(slots, selected, |slot, rows| {
            let rows = UInt32Array::from(rows.to_vec());
            let inputs = inputs.iter().map(|input| take(input, &rows, None)).collect::<Result<Vec<_>, _>>()?;
            self.groups[slot as usize].update_batch(&inputs).map_err(self.plan.failed())
        })
    }

    fn merge(&mut self, slots: &[u32], states: &[ArrayRef]) -> Result<()> {
        for_each_group(slots, (0..slots.len() as u32).collect(), |slot, rows| {
            let rows = UInt32Array::from(rows.to_vec());
            let states = states.iter().map(|state| take(state, &rows, None)).collect::<Result<Vec<_>, _>>()?;
            self.groups[slot as usize].merge_batch(&states).map_err(self.plan.failed())
        })
    }

    fn states(&mut self, picked: &Picked, piece: Range<usize>) -> Result<Vec<ArrayRef>> {
        let mut columns = vec![Vec::with_capacity(piece.len()); self.plan.state_fields.len()];
        self.announce(picked, piece.clone(), false);
        for position in piece {
            let group = &mut self.groups[picked.slot(position)];
            let state = group.state().map_err(self.plan.failed())?;
            if !self.plan.is_of_plugin {
                let arrays = state.iter().map(ScalarValue::to_array).collect::<Result<Vec<_>, _>>();
                *group = self.plan.state()?;
                group.merge_batch(&arrays.map_err(self.plan.failed())?).map_err(self.plan.failed())?;
            }
            for (column, value) in columns.iter_mut().zip(state) {
                column.push(value);
            }
        }
        let fields = self.plan.state_fields.iter();
        columns.into_iter().zip(fields).map(|(values, field)| self.plan.column(values, field.data_type())).collect()
    }

    fn capture(&mut self, picked: &Picked) -> Result<Box<dyn CapturedStates>> {
        CapturedColumns::capture(self, picked)
    }

    fn results(&mut self, picked: &Picked, piece: Range<usize>) -> Result<ArrayRef> {
        if self.plan.sums {
            let values = self.states(picked, piece)?.swap_remove(0);
            return distinct_sum::sums(&self.plan.name, &values, &self.plan.data_type);
        }
        self.announce(picked, piece.clone(), true);
        let results = piece.map(|position| self.groups[picked.slot(position)].evaluate().map_err(self.plan.failed()));
        let results = results.collect::<Result<_>>()?;
        self.plan.column(results, &self.plan.data_type)
    }

    fn bytes(&self) -> usize {
        // Asking each group costs too much; a few stand for all.
        let step = self.groups.len().div_ceil(16).max(1);
        self.groups.iter().step_by(step).map(|group| group.size() * step).sum()
    }
}

#[cfg(test)]
mod tests;
