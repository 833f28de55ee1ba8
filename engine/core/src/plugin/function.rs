//! Functions that a plugin exports to SQL.

use std::fmt;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow_schema::{DataType, Field};
use serde::{Deserialize, Serialize};

use super::Artifact;
use crate::Result;

/// What a function of a plugin takes and gives: all that a planner knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FunctionSignature {
    /// Its name in the plugin, for [`Plugin::function`](super::Plugin::function).
    pub name: String,
    /// Its parameters. Where one that may not be null is given null, the result is null, and the function is not called; an aggregate
    /// leaves such rows out.
    pub parameters: Vec<Field>,
    /// Type of the result.
    pub result: DataType,
    /// Whether the result may be null although no argument is.
    pub nullable: bool,
    /// Whether the same arguments always give the same result. What does not is refused in queries.
    pub deterministic: bool,
    /// Of what it makes results.
    #[serde(default, skip_serializing_if = "FunctionKind::is_scalar")]
    pub kind: FunctionKind,
}

/// Of what a function makes results.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FunctionKind {
    /// One of each row.
    #[default]
    Scalar,
    /// One of all rows of a group.
    Aggregate {
        /// Type of what is kept of the rows so far.
        state: DataType,
    },
}

impl FunctionKind {
    fn is_scalar(&self) -> bool {
        *self == Self::Scalar
    }

    fn agrees_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scalar, Self::Scalar) => true,
            (Self::Aggregate { state }, Self::Aggregate { state: other }) => agree(state, other),
            _ => false,
        }
    }
}

impl FunctionSignature {
    /// Whether what was planned with this one can call a function with the `other`: all is equal but the names of parameters. A row is told
    /// from one whose fields are called otherwise: values would come into the wrong ones.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let mut parameters = self.parameters.iter().zip(&other.parameters);
        self.parameters.len() == other.parameters.len()
            && parameters.all(|(one, other)| {
                agree(one.data_type(), other.data_type()) && one.is_nullable() == other.is_nullable()
            })
            && agree(&self.result, &other.result)
            && self.kind.agrees_with(&other.kind)
            && (self.nullable, self.deterministic) == (other.nullable, other.deterministic)
    }
}

/// Whether types are equal, with the names of the fields of rows.
fn agree(one: &DataType, other: &DataType) -> bool {
    let named = match (one, other) {
        (DataType::List(one), DataType::List(other)) => agree(one.data_type(), other.data_type()),
        (DataType::Struct(one), DataType::Struct(other)) => one
            .iter()
            .zip(other)
            .all(|(one, other)| one.name() == other.name() && agree(one.data_type(), other.data_type())),
        _ => true,
    };
    named && one.equals_datatype(other)
}

/// A function of a plugin as a job calls it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PluginFunction {
    /// The name that the job's expressions call it by: that in SQL, in lower case, and [a number](PluginFunction::numbered) behind it where the
    /// script had another one of that name before. Unlike the artifact the name in SQL is part of the identity of what calls it, so that a
    /// job goes on with another version of the plugin.
    pub name: String,
    /// The file that the plugin is; `None`: it is linked into the process.
    pub artifact: Option<Artifact>,
    /// What the job was planned with.
    pub signature: FunctionSignature,
}

/// Stands between a name in SQL and a number.
const NUMBER: char = '\u{1f}';

impl PluginFunction {
    /// The name of the function that was the so many-th of this name in SQL. No script can write it.
    pub fn numbered(name: &str, number: usize) -> String {
        format!("{name}{NUMBER}{number}")
    }

    /// The name in SQL of what expressions call `name`.
    pub fn name_in_sql(name: &str) -> &str {
        name.split_once(NUMBER).map_or(name, |(name, _)| name)
    }
}

/// The code of a function.
#[derive(Debug, Clone)]
pub enum FunctionCode {
    /// Of one that is computed row by row.
    Scalar(Arc<dyn ScalarFunction>),
    /// Of one that adds rows up.
    Aggregate(Arc<dyn AggregateFunction>),
}

/// The code of a function that is computed row by row. It is called from several threads at the same time.
pub trait ScalarFunction: Send + Sync + fmt::Debug {
    /// The results for so many rows. The arguments have the types of the parameters, and no nulls where a parameter may not be null.
    ///
    /// # Errors
    /// If a row has no result. The job fails with it.
    fn call(&self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef>;
}

/// The code of a function that adds rows up. It is called from several threads at the same time.
pub trait AggregateFunction: Send + Sync + fmt::Debug {
    /// A group without rows.
    ///
    /// # Errors
    /// If the plugin cannot make one.
    fn group(&self) -> Result<Box<dyn AggregateGroup>>;
}

/// The rows of a group, added up. What it says of its state and result has one row, and changes nothing.
pub trait AggregateGroup: Send {
    /// Adds so many rows. The arguments have the types of the parameters, and no nulls where a parameter may not be null.
    ///
    /// # Errors
    /// If a row cannot be added. The job fails with it.
    fn update(&mut self, arguments: &[ArrayRef], rows: usize) -> Result<()>;

    /// Adds what other groups have added up, in order; each is their [`state`](Self::state).
    ///
    /// # Errors
    /// As [`update`](Self::update).
    fn merge(&mut self, states: &ArrayRef) -> Result<()>;

    /// What is kept of the rows so far.
    ///
    /// # Errors
    /// If it cannot be said.
    fn state(&mut self) -> Result<ArrayRef>;

    /// The result of the rows so far.
    ///
    /// # Errors
    /// If they have none. The job fails with it.
    fn result(&mut self) -> Result<ArrayRef>;

    /// Its result is asked for next, or its state, before it is given anything else. All groups that are asked one after the other are told so before
    /// the first of them: where a call costs much, they are asked together.
    fn announce(&mut self, _result: bool) {}

    /// Bytes held, roughly.
    fn bytes(&self) -> usize;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_rows(fields: [&str; 2]) -> FunctionSignature {
        let fields = fields.map(|name| Field::new(name, DataType::Int64, true));
        let rows = DataType::List(Field::new_list_field(DataType::Struct(fields.to_vec().into()), true).into());
        FunctionSignature {
            name: "total".into(),
            parameters: vec![Field::new("rows", rows.clone(), false)],
            result: DataType::Int64,
            nullable: false,
            deterministic: true,
            kind: FunctionKind::Scalar,
        }
    }

    #[test]
    fn rows_agree_if_their_fields_are_called_alike() {
        let prices = of_rows(["price", "tax"]);
        assert!(prices.agrees_with(&of_rows(["price", "tax"])));
        assert!(!prices.agrees_with(&of_rows(["tax", "price"])), "values would be taken for others");
        let result = |fields| FunctionSignature {
            result: of_rows(fields).parameters[0].data_type().clone(),
            ..of_rows(["price", "tax"])
        };
        assert!(!result(["price", "tax"]).agrees_with(&result(["tax", "price"])));
        let keeping = |state: DataType| FunctionSignature { kind: FunctionKind::Aggregate { state }, ..prices.clone() };
        assert!(keeping(DataType::Int64).agrees_with(&keeping(DataType::Int64)));
        assert!(!keeping(DataType::Int64).agrees_with(&keeping(DataType::Int32)), "another state");
        assert!(!keeping(DataType::Int64).agrees_with(&prices), "another kind");
        let mut renamed = prices.clone();
        renamed.parameters[0] = renamed.parameters[0].clone().with_name("others");
        assert!(prices.agrees_with(&renamed));
    }

    #[test]
    fn a_number_is_no_part_of_the_name_in_sql() {
        assert_eq!(PluginFunction::name_in_sql(&PluginFunction::numbered("f#1", 2)), "f#1");
        assert_eq!(PluginFunction::name_in_sql("f"), "f");
    }
}
