//! What comes in goes out.

use weir_core::{Batch, ChangelogKind, Collector, EventTime, Operator, Result};

/// Passes rows on as they are, with their weights; nothing of a watermark but that it came.
pub struct Echo;

impl Operator for Echo {
    fn takes(&self, _ordinal: usize, _stream: &ChangelogKind) -> bool {
        true
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        out.count_late(batch.num_rows());
        out.emit(batch);
        Ok(())
    }

    fn watermark(&mut self, time: EventTime, _out: &mut Collector) -> Result<Option<EventTime>> {
        Ok((time.0 > 0).then_some(time))
    }
}
