//! The type in which ROWs meet. They are matched by the place of their fields, as in SQL and not as in DataFusion, which goes by
//! names: `ROW(20, 'b')` has none.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields};
use datafusion_expr::type_coercion::binary::{comparison_coercion, type_union_coercion};

/// The type that `types` share; `None` if they are no ROWs of as many fields, or one type already.
pub(super) fn common_type(types: &[DataType], compared: bool) -> Option<DataType> {
    let mut common: Option<DataType> = None;
    for data_type in types.iter().filter(|data_type| !data_type.is_null()) {
        common = Some(match common {
            None => data_type.clone(),
            Some(common) => of_two(&common, data_type, compared)?,
        });
    }
    let common = common.filter(|common| matches!(common, DataType::Struct(_)))?;
    (!types.iter().all(|data_type| *data_type == common)).then_some(common)
}

fn of_two(left: &DataType, right: &DataType, compared: bool) -> Option<DataType> {
    match (left, right) {
        (left, right) if left == right => Some(left.clone()),
        (DataType::Struct(left), DataType::Struct(right)) if left.len() == right.len() => {
            // A ROW that is written has no names: `c0`, `c1`.
            let written = left.iter().enumerate().all(|(index, field)| *field.name() == format!("c{index}"));
            let fields = left.iter().zip(right).map(|(left, right)| {
                let name = if written { right.name() } else { left.name() };
                let data_type = of_two(left.data_type(), right.data_type(), compared)?;
                Some(Arc::new(Field::new(name, data_type, true)))
            });
            Some(DataType::Struct(fields.collect::<Option<Fields>>()?))
        }
        (left, right) if compared => comparison_coercion(left, right),
        (left, right) => type_union_coercion(left, right),
    }
}
