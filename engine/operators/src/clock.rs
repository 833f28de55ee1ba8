//! From here on time is processing time, for what expires by it. Rows stay as they are.
//!
//! - batch: rows go on.
//! - tick: no row behind it can be older, so the watermark is the processing time.
//! - watermark: event time ends here, but for the end of the stream.
//! - marker: nothing is kept. Where the clock has gone back behind a restart, those who stand behind go on from the time that they had
//!   seen.

use arrow::datatypes::SchemaRef;
use weir_core::{Batch, ChangelogKind, Collector, EventTime, OpenContext, Operator, Result};

/// Makes watermarks of processing time.
pub(crate) struct Clock {
    schema: SchemaRef,
    told: EventTime,
}

impl Clock {
    pub(crate) fn new(schema: &SchemaRef) -> Self {
        Self { schema: schema.clone(), told: EventTime::MIN }
    }
}

impl Operator for Clock {
    fn open(&mut self, context: &OpenContext) -> Result<()> {
        if context.watermark == EventTime::MAX {
            self.told = EventTime::MAX;
        }
        Ok(())
    }

    fn takes(&self, _ordinal: usize, _stream: &ChangelogKind) -> bool {
        true
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        let columns = batch.records().columns().to_vec();
        out.emit(batch.with_columns(&self.schema, columns)?);
        Ok(())
    }

    fn watermark(&mut self, time: EventTime, _out: &mut Collector) -> Result<Option<EventTime>> {
        if time != EventTime::MAX {
            return Ok(None);
        }
        self.told = time;
        Ok(Some(time))
    }

    fn tick(&mut self, out: &mut Collector) -> Result<Option<EventTime>> {
        let now = EventTime(out.now());
        if now <= self.told {
            return Ok(None);
        }
        self.told = now;
        Ok(Some(now))
    }
}

#[cfg(test)]
mod tests {
    use weir_core::{ChangelogKind, NodeSpec, OperatorSpec};

    use crate::testing::{check, node, schema};

    #[test]
    fn rows_go_on_and_time_is_that_of_the_clock() {
        let script = r#"
            tick 12:00:01
            in> 1
            watermark 11:00:00
            out> 1
            sent> 12:00:01
            marker
            in- 1
            tick 12:00:00
            out- 1
            marker
            tick 12:00:05
            sent> 12:00:05
            marker
            end
            sent> end
        "#;
        let node = NodeSpec { changelog: ChangelogKind::Retract, ..node(OperatorSpec::Clock, &schema("id BIGINT")) };
        check(&node, &[schema("id BIGINT")], script);
    }
}
