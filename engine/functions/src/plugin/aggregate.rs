//! Aggregate functions of plugins as DataFusion calls them: what a plugin has added up is one column of state.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, make_array};
use arrow::compute::filter;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::utils::AggregateOrderSensitivity;
use datafusion_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility, udaf_default_display_name,
    udaf_default_schema_name,
};
use weir_core::Error;
use weir_core::plugin::{AggregateFunction, AggregateGroup, FunctionKind, FunctionSignature, PluginFunction};

use super::{coerced, external, given_to_strict};
use crate::nulls::without_hidden;
use crate::type_of::sql_type_name;

/// An aggregate function of a plugin.
pub struct AggregateOfPlugin {
    function: Arc<PluginFunction>,
    /// `None` where nothing is computed.
    code: Option<Arc<dyn AggregateFunction>>,
    signature: Signature,
}

impl AggregateOfPlugin {
    /// The function for DataFusion.
    pub fn udaf(function: PluginFunction, code: Option<Arc<dyn AggregateFunction>>) -> Arc<AggregateUDF> {
        let volatility = if function.signature.deterministic { Volatility::Immutable } else { Volatility::Volatile };
        let signature = Signature::user_defined(volatility);
        Arc::new(AggregateUDF::from(Self { function: Arc::new(function), code, signature }))
    }

    fn in_sql(&self, shown: Result<String>) -> Result<String> {
        let name = &self.function.name;
        shown.map(|shown| shown.replacen(name, PluginFunction::name_in_sql(name), 1))
    }
}

impl fmt::Debug for AggregateOfPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AggregateOfPlugin").field(&self.function).finish()
    }
}

impl PartialEq for AggregateOfPlugin {
    fn eq(&self, other: &Self) -> bool {
        self.function == other.function
    }
}

impl Eq for AggregateOfPlugin {}

impl Hash for AggregateOfPlugin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.hash(state);
    }
}

impl AggregateUDFImpl for AggregateOfPlugin {
    fn name(&self) -> &str {
        &self.function.name
    }

    fn display_name(&self, params: &datafusion_expr::expr::AggregateFunctionParams) -> Result<String> {
        self.in_sql(udaf_default_display_name(self, params))
    }

    fn schema_name(&self, params: &datafusion_expr::expr::AggregateFunctionParams) -> Result<String> {
        self.in_sql(udaf_default_schema_name(self, params))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.function.signature.result.clone())
    }

    fn is_nullable(&self) -> bool {
        self.function.signature.nullable
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        coerced(&self.function, given)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn state_fields(&self, _: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let FunctionKind::Aggregate { state } = &self.function.signature.kind else { return Ok(Vec::new()) };
        Ok(vec![Arc::new(Field::new("state", state.clone(), true))])
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let group = self.code.as_ref().map(|code| code.group()).transpose().map_err(external)?;
        Ok(Box::new(Group { function: self.function.clone(), group: group.map(Mutex::new) }))
    }
}

/// What was added up of one group.
struct Group {
    function: Arc<PluginFunction>,
    /// Locked where it is but looked at. `None` where nothing is computed.
    group: Option<Mutex<Box<dyn AggregateGroup>>>,
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Group").field(&self.function.name).finish()
    }
}

impl Group {
    fn group(&mut self) -> Result<&mut dyn AggregateGroup> {
        match &mut self.group {
            Some(group) => Ok(&mut **group.get_mut().unwrap_or_else(PoisonError::into_inner)),
            None => {
                let name = PluginFunction::name_in_sql(&self.function.name);
                Err(DataFusionError::Execution(format!("the plugin of `{name}` is not loaded here")))
            }
        }
    }

    /// The one value that the plugin says, as the type that was declared.
    fn value(&self, made: &ArrayRef, what: &str, declared: &DataType, nullable: bool) -> Result<ScalarValue> {
        let name = PluginFunction::name_in_sql(&self.function.name);
        if made.len() != 1 || !made.data_type().equals_datatype(declared) {
            let (count, found) = (made.len(), sql_type_name(made.data_type()));
            let declared = sql_type_name(declared);
            return Err(external(Error::user(format!(
                "the {what} of the function `{name}` of a plugin is {count} values of {found}, and has to be one of {declared}"
            ))));
        }
        if !nullable && made.is_null(0) {
            return Err(external(Error::user(format!(
                "the function `{name}` of a plugin made a null, and has declared that it makes none"
            ))));
        }
        ScalarValue::try_from_array(&typed(made, declared)?, 0)
    }
}

/// The group that a plugin adds up by this accumulator, if its function is one of a plugin. What it says of its state changes nothing.
pub fn group_of_plugin(accumulator: &mut dyn Accumulator) -> Option<&mut dyn AggregateGroup> {
    (accumulator as &mut dyn Any).downcast_mut::<Group>()?.group().ok()
}

/// The same values with names of fields that the type has.
fn typed(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if array.data_type() == data_type {
        return Ok(array.clone());
    }
    Ok(make_array(array.to_data().into_builder().data_type(data_type.clone()).build()?))
}

impl Accumulator for Group {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let shown = |array: &ArrayRef| match array.data_type().is_nested() {
            true => without_hidden(array),
            false => Ok(array.clone()),
        };
        let mut arguments = values.iter().map(shown).collect::<Result<Vec<_>, _>>()?;
        if let Some(is_given) = given_to_strict(&self.function.signature.parameters, &arguments) {
            arguments = arguments.iter().map(|array| filter(array, &is_given)).collect::<Result<_, _>>()?;
        }
        let rows = arguments.first().map_or(0, |array| array.len());
        if rows == 0 {
            return Ok(());
        }
        self.group()?.update(&arguments, rows).map_err(external)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        match states.first() {
            Some(states) if !states.is_empty() => self.group()?.merge(states).map_err(external),
            _ => Ok(()),
        }
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let state = self.group()?.state().map_err(external)?;
        let function = self.function.clone();
        let FunctionKind::Aggregate { state: declared } = &function.signature.kind else { return Ok(Vec::new()) };
        Ok(vec![self.value(&state, "state", declared, true)?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let result = self.group()?.result().map_err(external)?;
        let function = self.function.clone();
        let FunctionSignature { result: declared, nullable, .. } = &function.signature;
        self.value(&result, "result", declared, *nullable)
    }

    fn size(&self) -> usize {
        let held =
            |group: &Mutex<Box<dyn AggregateGroup>>| group.lock().unwrap_or_else(PoisonError::into_inner).bytes();
        size_of::<Self>() + self.group.as_ref().map_or(0, held)
    }
}
