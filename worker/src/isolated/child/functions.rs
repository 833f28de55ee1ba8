//! Functions in a child, and the groups of rows that they add up.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat;
use arrow::datatypes::UInt64Type;
use weir_core::plugin::{AggregateGroup, FunctionCode, FunctionSignature, Plugin};
use weir_core::{Batch, Error, Result};

use super::super::protocol::FunctionCall;
use super::super::values::column;
use super::{Host, given, misunderstood};

/// Bytes of states or results behind which further ones are told when they are asked for again.
const ENOUGH: usize = 1 << 20;

/// Those that were found, by number.
#[derive(Default)]
pub struct Functions(Vec<Found>);

struct Found {
    code: FunctionCode,
    groups: BTreeMap<u64, Box<dyn AggregateGroup>>,
}

impl Functions {
    fn find(&mut self, plugin: &dyn Plugin, name: &str) -> Result<(u32, FunctionSignature)> {
        let (signature, code) = plugin.function(name)?;
        let number = u32::try_from(self.0.len()).map_err(|_| misunderstood())?;
        self.0.push(Found { code, groups: BTreeMap::new() });
        Ok((number, signature))
    }

    fn of(&mut self, function: u32) -> Result<&mut Found> {
        usize::try_from(function).ok().and_then(|number| self.0.get_mut(number)).ok_or_else(misunderstood)
    }

    fn call(&mut self, function: u32, rows: usize, arguments: Option<Batch>) -> Result<ArrayRef> {
        let FunctionCode::Scalar(code) = &self.of(function)?.code else { return Err(misunderstood()) };
        let arguments = arguments.map(Batch::into_appended).transpose()?;
        code.call(arguments.as_ref().map_or(&[], RecordBatch::columns), rows)
    }

    /// Hands each group its rows, and returns the bytes that they have then.
    fn add(
        &mut self,
        function: u32,
        rows: Option<Batch>,
        add: fn(&mut dyn AggregateGroup, &RecordBatch) -> Result<()>,
    ) -> Result<Vec<usize>> {
        let found = self.of(function)?;
        let mut rows = given(rows)?.into_appended()?;
        let numbers = rows.remove_column(rows.num_columns().saturating_sub(1));
        let numbers = numbers.as_primitive_opt::<UInt64Type>().ok_or_else(misunderstood)?.values();
        let (mut first, mut bytes) = (0, Vec::new());
        for of_group in numbers.chunk_by(|one, other| one == other) {
            let group = found.group(of_group[0])?;
            add(&mut **group, &rows.slice(first, of_group.len()))?;
            bytes.push(group.bytes());
            first += of_group.len();
        }
        Ok(bytes)
    }

    /// What groups have come to, the first at least.
    fn values(&mut self, function: u32, results: bool, groups: &[u64]) -> Result<ArrayRef> {
        let found = self.of(function)?;
        let (mut values, mut bytes): (Vec<ArrayRef>, usize) = (Vec::new(), 0);
        for number in groups {
            let group = found.group(*number)?;
            match if results { group.result() } else { group.state() } {
                Ok(value) => {
                    bytes += value.get_array_memory_size();
                    values.push(value);
                }
                Err(error) if values.is_empty() => return Err(error),
                // It is told when it is asked for.
                Err(_) => break,
            }
            if bytes > ENOUGH {
                break;
            }
        }
        let values: Vec<&dyn Array> = values.iter().map(AsRef::as_ref).collect();
        Ok(concat(&values)?)
    }

    fn forget(&mut self, function: u32, groups: &[u64]) -> Result<()> {
        let found = self.of(function)?;
        groups.iter().for_each(|number| drop(found.groups.remove(number)));
        Ok(())
    }
}

impl Found {
    /// A group, which begins when it is first asked for.
    fn group(&mut self, number: u64) -> Result<&mut Box<dyn AggregateGroup>> {
        let FunctionCode::Aggregate(code) = &self.code else { return Err(misunderstood()) };
        Ok(match self.groups.entry(number) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => free.insert(code.group()?),
        })
    }
}

impl Host {
    pub(super) fn function(&mut self, call: FunctionCall, rows: Option<Batch>) -> Result<()> {
        match call {
            FunctionCall::Find(name) => {
                let found = match &self.plugin {
                    Ok(plugin) => self.functions.find(plugin, &name),
                    Err(error) => Err(told(error)),
                };
                self.reply(found)
            }
            FunctionCall::Call { function, rows: count } => {
                let results = self.functions.call(function, count, rows);
                self.emit(results)
            }
            FunctionCall::Update(function) => {
                let added =
                    self.functions.add(function, rows, |group, rows| group.update(rows.columns(), rows.num_rows()));
                self.reply(added)
            }
            FunctionCall::Merge(function) => {
                let added = self
                    .functions
                    .add(function, rows, |group, rows| group.merge(rows.columns().first().ok_or_else(misunderstood)?));
                self.reply(added)
            }
            FunctionCall::Values { function, results, groups, forgotten } => {
                let forgotten = self.functions.forget(function, &forgotten);
                let values = forgotten.and_then(|()| self.functions.values(function, results, &groups));
                self.emit(values)
            }
            FunctionCall::Forget { function, groups } => {
                let forgotten = self.functions.forget(function, &groups);
                self.reply(forgotten)
            }
        }
    }

    /// Replies with the values of one column.
    fn emit(&mut self, values: Result<ArrayRef>) -> Result<()> {
        let emitted = values.and_then(column).map(|rows| self.out.emit(rows));
        self.reply(emitted)
    }
}

/// An error that is told again whenever it is asked for.
pub(super) fn told(error: &Error) -> Error {
    weir_plugin_abi::ErrorText::from(error).into()
}
