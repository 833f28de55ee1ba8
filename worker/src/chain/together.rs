//! What an operator emits in one call leaves together: behind a watermark that closes many small windows, a batch for each would
//! cost every later stage more than its rows do.

use weir_core::{Batch, OutputPort, Result};

/// A batch of fewer rows is put together with its neighbours.
const SMALL: usize = 1024;

/// Rows of a batch that was put together, at most.
const MOST: usize = 8192;

/// Neighbours of one output.
struct Group {
    port: OutputPort,
    batches: Vec<Batch>,
    rows: usize,
}

/// The same rows in the same order, small batches together.
pub fn together(emitted: Vec<(OutputPort, Batch)>) -> Result<Vec<(OutputPort, Batch)>> {
    if emitted.len() < 2 {
        return Ok(emitted);
    }
    let mut groups: Vec<Group> = Vec::new();
    for (port, batch) in emitted {
        let rows = batch.num_rows();
        match groups.last_mut() {
            Some(group) if group.port == port && rows < SMALL && group.rows + rows <= MOST => {
                group.rows += rows;
                group.batches.push(batch);
            }
            _ => {
                // Nothing joins a large one: it would be copied for that.
                let rows = if rows < SMALL { rows } else { MOST };
                groups.push(Group { port, batches: vec![batch], rows });
            }
        }
    }
    groups.into_iter().map(|group| Ok((group.port, Batch::concat(&group.batches)?))).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
    use arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn small_batches_of_one_output_leave_together_and_in_order() {
        use OutputPort::{Late, Main};
        let sizes = [(Main, 3), (Main, 2), (Late, 1), (Main, 4), (Main, 5000), (Main, 1), (Main, 1)];
        let mut next = 0;
        let emitted = sizes.map(|(port, rows)| {
            let column: ArrayRef = Arc::new(Int64Array::from_iter_values(next..next + rows));
            next += rows;
            (port, Batch::append(RecordBatch::try_from_iter([("n", column)]).unwrap()))
        });
        let whole = together(emitted.to_vec()).unwrap();
        let sizes: Vec<_> = whole.iter().map(|(port, batch)| (*port, batch.num_rows())).collect();
        assert_eq!(sizes, [(Main, 5), (Late, 1), (Main, 4), (Main, 5000), (Main, 2)]);
        let values =
            whole.iter().flat_map(|(_, batch)| batch.records().column(0).as_primitive::<Int64Type>().values().to_vec());
        assert_eq!(values.collect::<Vec<_>>(), (0..next).collect::<Vec<_>>());
    }
}
