//! Functions that a plugin exports to SQL.

use std::fmt;

use arrow::array::ArrayRef;
use arrow_schema::{DataType, Field};
use serde::{Deserialize, Serialize};

use super::Artifact;
use crate::Result;

/// What a function of a plugin takes and gives: all that a planner knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FunctionSignature {
    /// Its name in the plugin, for [`Plugin::scalar`](super::Plugin::scalar).
    pub name: String,
    /// Its parameters. Where one that may not be null is given null, the result is null, and the function is not called.
    pub parameters: Vec<Field>,
    /// Type of the result.
    pub result: DataType,
    /// Whether the result may be null although no argument is.
    pub nullable: bool,
    /// Whether the same arguments always give the same result. What does not is refused in queries.
    pub deterministic: bool,
}

impl FunctionSignature {
    /// Whether what was planned with this one can call a function with the `other`: all is equal but the names of parameters.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let mut parameters = self.parameters.iter().zip(&other.parameters);
        self.parameters.len() == other.parameters.len()
            && parameters.all(|(one, other)| {
                one.data_type().equals_datatype(other.data_type()) && one.is_nullable() == other.is_nullable()
            })
            && self.result.equals_datatype(&other.result)
            && (self.nullable, self.deterministic) == (other.nullable, other.deterministic)
    }
}

/// A function of a plugin as a job calls it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PluginFunction {
    /// The name that the job's expressions call it by, in lower case. Unlike the artifact it is part of the identity of what calls it, so
    /// that a job goes on with another version of the plugin.
    pub name: String,
    /// The file that the plugin is; `None`: it is linked into the process.
    pub artifact: Option<Artifact>,
    /// What the job was planned with.
    pub signature: FunctionSignature,
}

/// The code of a function that is computed row by row. It is called from several threads at the same time.
pub trait ScalarFunction: Send + Sync + fmt::Debug {
    /// The results for so many rows. The arguments have the types of the parameters, and no nulls where a parameter may not be null.
    ///
    /// # Errors
    /// If a row has no result. The job fails with it.
    fn call(&self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef>;
}
