//! `'connector' = 'print'`: rows on standard output (or standard error) as they come, in Flink's form: `+I[1, a]`.
//!
//! Nothing is held back for checkpoints: after a restart, rows behind the last one are printed again.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use weir_core::connector::{Boundedness, OptionInfo, Role, SinkContext};
use weir_core::{Batch, ChangelogKind, Connector, Epoch, Error, Location, Result, Sink, TableSpec};

use crate::formats::decode::sql_name;
use crate::formats::encode::cells::is_writable;
use crate::formats::encode::{Style, Texts};
use crate::options::Options;

const OPTIONS: &[OptionInfo] = &[
    OptionInfo {
        name: "print-identifier",
        required: false,
        doc: "A word before each row, to tell the rows of several tables apart.",
    },
    OptionInfo {
        name: "standard-error",
        required: false,
        doc: "Whether rows go to standard error instead of standard output; 'false' by default.",
    },
];

/// The connector.
#[derive(Debug, Clone, Copy)]
pub struct Print;

struct PrintSink {
    identifier: String,
    to_stderr: bool,
    text: Vec<u8>,
}

#[async_trait]
impl Connector for Print {
    fn name(&self) -> &'static str {
        "print"
    }

    fn supports(&self, role: Role) -> bool {
        role == Role::Sink
    }

    fn options(&self, _given: &BTreeMap<String, String>) -> Vec<OptionInfo> {
        OPTIONS.to_vec()
    }

    fn settings(&self) -> &'static [&'static str] {
        &["print-identifier", "standard-error"]
    }

    /// Each row says whether it is added or taken back.
    fn takes(&self, _table: &TableSpec, _stream: &ChangelogKind) -> bool {
        true
    }

    fn locations(&self, _table: &TableSpec) -> Result<Vec<Location>> {
        Ok(Vec::new())
    }

    fn validate(&self, table: &TableSpec, _role: Role) -> Result<()> {
        Options::of(table).boolean("standard-error")?;
        match table.schema.fields().iter().find(|field| !is_writable(field.data_type(), false)) {
            None => Ok(()),
            Some(field) => Err(Error::user(format!(
                "column '{}' of table '{}' cannot be printed: its type is {}",
                field.name(),
                table.name,
                sql_name(field.data_type())
            ))),
        }
    }

    fn boundedness(&self, _table: &TableSpec) -> Boundedness {
        Boundedness::Unbounded
    }

    async fn open_sink(&self, table: &TableSpec, _context: SinkContext) -> Result<Box<dyn Sink>> {
        let options = Options::of(table);
        let identifier = options.text("print-identifier").map(|identifier| format!("{identifier}> "));
        Ok(Box::new(PrintSink {
            identifier: identifier.unwrap_or_default(),
            to_stderr: options.boolean("standard-error")?.unwrap_or(false),
            text: Vec::new(),
        }))
    }
}

#[async_trait]
impl Sink for PrintSink {
    async fn write(&mut self, batch: Batch) -> Result<()> {
        self.text.clear();
        push_rows(&mut self.text, &self.identifier, &batch)?;
        if self.to_stderr {
            deliver(std::io::stderr().lock(), &self.text, "standard error")
        } else {
            deliver(std::io::stdout().lock(), &self.text, "standard output")
        }
    }

    async fn prepare(&mut self, _epoch: Epoch) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
}

/// Writes all of `text`, so that a line of one subtask never lands inside one of another.
fn deliver(mut to: impl Write, text: &[u8], name: &str) -> Result<()> {
    to.write_all(text).and_then(|()| to.flush()).map_err(|error| {
        let message = match error.kind() {
            ErrorKind::BrokenPipe => format!("{name} was closed by its reader"),
            _ => format!("cannot write to {name}"),
        };
        Error::environment(message).with_source(error)
    })
}

/// A row a line: `+I[…]` for one that is added, `-D[…]` for one that is taken back.
fn push_rows(out: &mut Vec<u8>, identifier: &str, batch: &Batch) -> Result<()> {
    let records: &RecordBatch = batch.records();
    let texts = Texts::new(records, Style::PRINT)?;
    for row in 0..records.num_rows() {
        let added = batch.weights().is_none_or(|weights| weights.value(row) > 0);
        out.extend_from_slice(identifier.as_bytes());
        out.extend_from_slice(if added { b"+I[" } else { b"-D[" });
        texts.write_row(row, out);
        out.extend_from_slice(b"]\n");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, ListArray, StringViewArray, TimestampMillisecondArray};
    use arrow::datatypes::Int32Type;

    use super::*;

    #[test]
    fn rows_have_flinks_form() {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(Int64Array::from(vec![Some(1), None]))),
            ("name", Arc::new(StringViewArray::from(vec!["a, b", ""]))),
            ("at", Arc::new(TimestampMillisecondArray::from(vec![0, 1_356_998_400_500]))),
            (
                "tags",
                Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), Some(vec![])])),
            ),
        ];
        let batch = Batch::append(RecordBatch::try_from_iter(columns).unwrap());
        let mut text = Vec::new();
        push_rows(&mut text, "x> ", &batch).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "x> +I[1, a, b, 1970-01-01T00:00:00.000, [1, null]]\nx> +I[null, , 2013-01-01T00:00:00.500, []]\n"
        );
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_defect() {
        let error = deliver(Closed, b"+I[1]\n", "standard output").unwrap_err();
        assert_eq!(error.kind(), weir_core::ErrorKind::Environment);
        assert_eq!(error.to_string(), "standard output was closed by its reader");
    }
}
