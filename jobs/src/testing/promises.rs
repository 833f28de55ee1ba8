//! What sources and sinks of a job's own promise, as tests.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use weir_core::plugin::{PluginCommit, PluginSource, TableRequest};
use weir_core::{Error, Result};

use crate::record::{Record, from_batch, to_batch};
use crate::sink::{Commit, Sink};
use crate::source::{Adapted, Source};

/// Rows that a reader is asked for at a time, so that there are many positions.
const BATCH: usize = 3;
/// Positions of a split from which it is read again.
const POSITIONS: usize = 50;
/// Times in a row that a reader may say that there is nothing.
const PATIENCE: usize = 1000;

/// Checks that a source that ends gives, from each position at which it can be interrupted, the rows that it gave before, in their order; and that it names the same
/// splits again. Returns its rows.
///
/// # Errors
/// The promise that is broken, or what the source fails with.
pub fn check_source<S: Source>(source: S) -> Result<Vec<S::Row>> {
    let source = Arc::new(source);
    let columns = S::Row::schema();
    let request = TableRequest { table: "source".into(), config: Vec::new(), columns: columns.clone() };
    let made = || Adapted::boxed(&source, &request);
    let splits = made().splits()?.splits;
    let names =
        |splits: &[weir_core::plugin::PluginSplit]| splits.iter().map(|split| split.name.clone()).collect::<Vec<_>>();
    let again = names(&made().splits()?.splits);
    if names(&splits).iter().any(|name| !again.contains(name)) {
        return Err(Error::user(format!("the splits were {:?}, and are {again:?}", names(&splits))));
    }
    let mut rows = Vec::new();
    for split in splits {
        let name = &split.name;
        let read = read_on(&mut *made(), name, split.begin.as_deref(), BATCH)?;
        let whole = concat_batches(&columns, read.iter().flat_map(|(batch, _)| batch))?;
        let (every, mut behind) = (read.len().div_ceil(POSITIONS).max(1), 0);
        for (number, (batch, position)) in read.iter().enumerate() {
            behind += batch.as_ref().map_or(0, RecordBatch::num_rows);
            // At its end too: a checkpoint may stand behind the last row, and in front of the word that it is the last.
            if number % every != 0 && number + 1 != read.len() {
                continue;
            }
            // Another number of rows at a time is no other split.
            let rest = read_on(&mut *made(), name, Some(position), 2 * BATCH + number)?;
            let rest = concat_batches(&columns, rest.iter().flat_map(|(batch, _)| batch))?;
            let expected = whole.slice(behind, whole.num_rows() - behind);
            if rest != expected {
                let place = (0..rest.num_rows().min(expected.num_rows()))
                    .find(|row| rest.slice(*row, 1) != expected.slice(*row, 1));
                let found = match place {
                    Some(row) => format!("row {row} of them is another one"),
                    None => format!("{} rows follow", rest.num_rows()),
                };
                return Err(Error::user(format!(
                    "split '{name}' does not go on at {position} as it did before: {} rows followed, and now {found}",
                    expected.num_rows()
                )));
            }
        }
        rows.extend(from_batch::<S::Row>(&whole)?);
    }
    Ok(rows)
}

/// What a split gives from a position on, with the positions behind.
type Read = Vec<(Option<RecordBatch>, String)>;

fn read_on(source: &mut dyn PluginSource, split: &str, from: Option<&str>, most: usize) -> Result<Read> {
    let (mut reader, mut read, mut silent) = (source.open(split, from)?, Vec::new(), 0);
    loop {
        let step = reader.read(most)?;
        silent = if step.records.is_some() { 0 } else { silent + 1 };
        if silent > PATIENCE {
            return Err(Error::user(format!("split '{split}' has no more rows, and does not say that it ends")));
        }
        read.push((step.records, step.position));
        if step.is_end {
            return Ok(read);
        }
    }
}

/// Checks that a sink has each row once, whatever is repeated: commits again, by others, late, at the same time, and when one has broken off. `process` makes the sink as
/// another process has it, `visible` says what others see of it, and `row` makes rows that are told apart by their numbers.
///
/// # Errors
/// The promise that is broken, or what the sink fails with.
pub fn check_sink<S: Sink<Row: PartialEq + Clone + Debug>>(
    process: impl Fn() -> S,
    visible: impl Fn() -> Result<Vec<S::Row>>,
    row: impl Fn(u64) -> S::Row,
) -> Result<()> {
    let check = Checked { process, visible };
    let rows = |numbers: std::ops::Range<u64>| numbers.map(&row).collect::<Vec<_>>();
    let (one, three, four, five, other) = (rows(0..5), rows(5..6), rows(6..12), rows(12..15), rows(15..18));
    let mut seen = Vec::new();
    check.sees(&seen, "before the first commit")?;
    let first = (check.process)();
    check.commit(&first, ("a", 1), &one)?;
    seen.extend(one.clone());
    check.sees(&seen, "after the first commit")?;
    check.commit(&first, ("a", 1), &one)?;
    check.commit(&(check.process)(), ("a", 1), &one)?;
    check.sees(&seen, "after the same commit by the same process and another one")?;
    check.commit(&(check.process)(), ("a", 3), &three)?;
    check.commit(&first, ("a", 1), &one)?;
    seen.extend(three);
    check.sees(&seen, "after a commit of an epoch in front of the last one")?;
    check.breaks_off(("a", 4), &four)?;
    check.sees(&seen, "after a commit that has broken off: nothing of it is to be seen yet")?;
    check.commit(&(check.process)(), ("a", 4), &four)?;
    seen.extend(four);
    check.sees(&seen, "after a commit that had broken off was repeated")?;
    check.commits_at_once(("a", 5), &five)?;
    seen.extend(five);
    check.sees(&seen, "after two processes have made the same commit at the same time")?;
    check.commit(&first, ("b", 1), &other)?;
    seen.extend(other);
    check.sees(&seen, "after a commit of another writer")
}

struct Checked<P, V> {
    process: P,
    visible: V,
}

impl<S: Sink<Row: PartialEq + Clone + Debug>, P: Fn() -> S, V: Fn() -> Result<Vec<S::Row>>> Checked<P, V> {
    fn commit(&self, sink: &S, (writer, epoch): (&str, u64), rows: &[S::Row]) -> Result<()> {
        commit(sink, (writer, epoch), rows)
            .map_err(|error| error.context(format!("epoch {epoch} of writer {writer} was not committed")))
    }

    /// The rows end with an error, as when they cannot be read any more.
    fn breaks_off(&self, (writer, epoch): (&str, u64), rows: &[S::Row]) -> Result<()> {
        let of = PluginCommit { writer: writer.to_owned(), epoch };
        let mut left = vec![Err(Error::environment("the rows cannot be read")), Ok(Some(to_batch(&rows[..2])?))];
        let mut next = || left.pop().unwrap_or(Err(Error::environment("the rows cannot be read")));
        match (self.process)().commit(&mut Commit::new(&of, &mut next)) {
            Err(_) => Ok(()),
            Ok(()) => Err(Error::user("a commit whose rows could not be read has succeeded")),
        }
    }

    fn commits_at_once(&self, of: (&str, u64), rows: &[S::Row]) -> Result<()>
    where
        S::Row: Sized,
    {
        let sinks = [(self.process)(), (self.process)()];
        let batch = to_batch(rows)?;
        let committed = std::thread::scope(|scope| {
            let started: Vec<_> = sinks
                .iter()
                .map(|sink| {
                    let batch = &batch;
                    scope.spawn(move || commit_batch(sink, of, batch.clone()))
                })
                .collect();
            started.into_iter().map(|thread| thread.join().is_ok_and(|done| done.is_ok())).collect::<Vec<_>>()
        });
        // One may get in the way of the other; a further try finds what is there.
        match committed.iter().all(|done| *done) {
            true => Ok(()),
            false => commit_batch(&(self.process)(), of, batch),
        }
    }

    fn sees(&self, expected: &[S::Row], when: &str) -> Result<()> {
        let mut missing = expected.to_vec();
        let mut further = Vec::new();
        for row in (self.visible)()? {
            match missing.iter().position(|other| *other == row) {
                Some(found) => drop(missing.swap_remove(found)),
                None => further.push(row),
            }
        }
        match missing.is_empty() && further.is_empty() {
            true => Ok(()),
            false => Err(Error::user(format!("{when}: {missing:?} are missing, and {further:?} are too many"))),
        }
    }
}

fn commit<S: Sink>(sink: &S, of: (&str, u64), rows: &[S::Row]) -> Result<()> {
    commit_batch(sink, of, to_batch(rows)?)
}

fn commit_batch<S: Sink>(sink: &S, (writer, epoch): (&str, u64), batch: RecordBatch) -> Result<()> {
    let of = PluginCommit { writer: writer.to_owned(), epoch };
    // In two pieces.
    let middle = batch.num_rows() / 2;
    let pieces = [batch.slice(0, middle), batch.slice(middle, batch.num_rows() - middle)];
    let mut left = pieces.into_iter();
    sink.commit(&mut Commit::new(&of, &mut || Ok(left.next())))
}
