//! What comes in goes out.

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use weir_core::{Batch, ChangelogKind, Collector, EventTime, Operator, Result};

/// Passes rows on as they are, with their weights; nothing of a watermark but that it came.
pub struct Echo {
    /// Whether columns of text are put into dictionaries, and weights are left out.
    with_dictionaries: bool,
}

impl Echo {
    /// With the configuration `dictionaries`, or another one.
    pub fn new(config: &[u8]) -> Self {
        Self { with_dictionaries: config == b"dictionaries" }
    }
}

fn with_dictionaries(rows: &RecordBatch) -> Result<RecordBatch> {
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns()).map(|(field, column)| {
        let column = match column.data_type() {
            DataType::Utf8 => cast(column, &DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)))?,
            _ => column.clone(),
        };
        Ok((field.name().clone(), column))
    });
    Ok(RecordBatch::try_from_iter(columns.collect::<Result<Vec<_>>>()?)?)
}

impl Operator for Echo {
    fn takes(&self, _ordinal: usize, _stream: &ChangelogKind) -> bool {
        true
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        out.count_late(batch.num_rows());
        out.emit(if self.with_dictionaries { with_dictionaries(batch.records())?.into() } else { batch });
        Ok(())
    }

    fn watermark(&mut self, time: EventTime, _out: &mut Collector) -> Result<Option<EventTime>> {
        Ok((time.0 > 0).then_some(time))
    }
}
