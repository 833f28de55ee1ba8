//! The types of casts, as `SqlToRel` asks for them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{DataFusionError, Result as DataFusionResult};
use datafusion_expr::planner::TypePlanner;
use datafusion_sql::sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, DataType as SqlType, ExactNumberInfo, ObjectName, TimezoneInfo,
};

use super::{NAMES, Problem, REFUSED, read, simple_type};
use crate::diagnostics::did_you_mean;

/// The types of casts, for `SqlToRel`: as in declarations, so that `CAST(x AS TIMESTAMP(3))` is a time attribute's type.
#[derive(Debug)]
pub struct FlinkTypes;

impl TypePlanner for FlinkTypes {
    fn plan_type_field(&self, sql_type: &SqlType) -> DataFusionResult<Option<FieldRef>> {
        let data_type = cast_type(sql_type)?;
        Ok(data_type.map(|data_type| Arc::new(Field::new("", data_type, true))))
    }
}

fn cast_type(sql_type: &SqlType) -> DataFusionResult<Option<DataType>> {
    let simple = |name: &str, lengths: &[u64]| match simple_type(name, lengths) {
        Ok(data_type) => Ok(Some(data_type)),
        Err(Problem::Lengths(message)) => Err(refuse_cast(message)),
        Err(Problem::Unknown) => Err(refuse_cast(match REFUSED.iter().find(|(refused, _)| *refused == name) {
            Some((_, instead)) => format!("type {name} is not supported; {instead}"),
            None => format!("there is no type `{name}`; {}", did_you_mean(name, &NAMES, "types are")),
        })),
    };
    match sql_type {
        SqlType::Varchar(length)
        | SqlType::Char(length)
        | SqlType::Character(length)
        | SqlType::CharacterVarying(length) => match length {
            None | Some(CharacterLength::Max) => simple("STRING", &[]),
            Some(CharacterLength::IntegerLength { length, .. }) => Err(refuse_cast(format!(
                "a cast to {sql_type} would have to cut text off, which is not supported; write LEFT(x, {length}) to cut, or CAST(x AS STRING)"
            ))),
        },
        SqlType::String(None) | SqlType::Text => simple("STRING", &[]),
        SqlType::Bytes(None) | SqlType::Varbinary(None) | SqlType::Binary(None) => simple("BYTES", &[]),
        SqlType::Float(_) | SqlType::Real => simple("FLOAT", &[]),
        SqlType::Decimal(info) | SqlType::Numeric(info) | SqlType::Dec(info) => {
            let lengths = match *info {
                ExactNumberInfo::None => vec![],
                ExactNumberInfo::Precision(precision) => vec![precision],
                ExactNumberInfo::PrecisionAndScale(precision, scale) => match u64::try_from(scale) {
                    Ok(scale) => vec![precision, scale],
                    Err(_) => return Err(refuse_cast("the scale of a DECIMAL cannot be negative".to_owned())),
                },
            };
            simple("DECIMAL", &lengths)
        }
        SqlType::Timestamp(precision, zone) => {
            let lengths: Vec<u64> = precision.iter().copied().collect();
            match zone {
                TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => simple("TIMESTAMP", &lengths),
                TimezoneInfo::WithTimeZone | TimezoneInfo::Tz => simple("TIMESTAMP_TZ", &lengths),
            }
        }
        SqlType::Array(ArrayElemTypeDef::AngleBracket(element)) => {
            Ok(cast_type(element)?.map(|element| DataType::List(Arc::new(Field::new_list_field(element, true)))))
        }
        // Of several parts: see the casts of the parser.
        SqlType::Custom(name, modifiers) if modifiers.is_empty() && name.to_string().contains(['<', '(', ' ']) => {
            read(&plain(name)).map(Some).map_err(|error| {
                let message = error.to_string();
                let line = message.lines().next().unwrap_or_default();
                let what = line.split_once(": ").map_or(line, |(_, what)| what);
                refuse_cast(match error.help() {
                    Some(help) => format!("{what}; {help}"),
                    None => what.to_owned(),
                })
            })
        }
        SqlType::Custom(name, modifiers) => {
            let lengths: Option<Vec<u64>> = modifiers.iter().map(|modifier| modifier.parse().ok()).collect();
            match lengths {
                Some(lengths) => simple(&name.to_string().to_uppercase(), &lengths),
                None => Err(refuse_cast(format!("there is no type `{sql_type}`"))),
            }
        }
        _ => Ok(None),
    }
}

/// A name of one part, without quotes around it.
fn plain(name: &ObjectName) -> String {
    name.0.first().and_then(|part| part.as_ident()).map(|ident| ident.value.clone()).unwrap_or_default()
}

fn refuse_cast(message: String) -> DataFusionError {
    DataFusionError::Plan(message)
}
