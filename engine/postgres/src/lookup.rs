//! PostgreSQL as a table that rows are looked up in: one query for the keys of a batch that are not in the cache, or one for the whole table.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, SchemaRef};
use arrow::row::{OwnedRow, RowConverter, SortField};
use async_trait::async_trait;
use futures::TryStreamExt;
use tokio::time::{Instant, sleep_until};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked};
use tokio_postgres::{RowStream, Statement};
use weir_connectors::whole_table::{WholeOptions, WholeTable};
use weir_core::lookup::{Found, LookupContext, LookupTable};
use weir_core::views;
use weir_core::{Attempt, Error, ErrorKind, Result, TableSpec};

use crate::cache::Cache;
use crate::client::{ANSWER, Session, patiently, within};
use crate::decode;
use crate::encode::{self, Values};
use crate::options::{Kept, LookupOptions, quoted};
use crate::relation::{PgColumn, Relation};
use crate::types::PgType;

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// Opens the table for one subtask.
///
/// # Errors
/// If the options are wrong, or the table is not there or does not fit.
pub(crate) async fn open(table: &TableSpec, context: &LookupContext) -> Result<Box<dyn LookupTable>> {
    let options = LookupOptions::read(table)?;
    let schema = table.output_schema();
    if let Kept::All(whole) = &options.kept {
        return open_whole(table, *whole, options.clone(), context).await;
    }
    let mut failures = 0;
    let (session, columns) = loop {
        let opened = async {
            let session = Session::open(&options.client).await?;
            let looking = Relation::require(&session, &options.target);
            let relation = within(ANSWER, &session.place, looking).await?;
            let columns = relation.read(&schema)?;
            Ok((session, columns))
        };
        match opened.await {
            Err(error) => may_retry(error, &mut failures, &options).await?,
            Ok(opened) => break opened,
        }
    };
    // What is computed of several columns is left to the join.
    let keys = context.keys.iter().enumerate();
    let keys = keys.filter_map(|(place, column)| Some(Key::new(place, (*column)?, &columns, &schema)));
    let keys = keys.collect::<Result<Vec<_>>>()?;
    if keys.is_empty() {
        return Err(Error::user(format!(
            "no column of table '{}' is equal to something that is looked up",
            table.name
        ))
        .with_help("compare a column of it as it is with a column of the other side"));
    }
    let fields = keys.iter().map(|key| SortField::new(schema.field(key.column).data_type().clone())).collect();
    Ok(Box::new(PgLookup {
        query: query(&options, &columns, &keys, &schema),
        converter: RowConverter::new(fields)?,
        cache: match &options.kept {
            Kept::Answers(cache) => Some(Cache::new(cache.clone())),
            Kept::Nothing | Kept::All(_) => None,
        },
        asking: Some((session, None)),
        options,
        schema,
        columns,
        keys,
    }))
}

/// Opens the table as one that is held as a whole.
async fn open_whole(
    table: &TableSpec,
    whole: WholeOptions,
    options: LookupOptions,
    context: &LookupContext,
) -> Result<Box<dyn LookupTable>> {
    let (options, schema) = (Arc::new(options), table.output_schema());
    let (batch_rows, is_new) = (context.batch_rows, context.attempt <= Attempt(1));
    // Whether it has changed cannot be seen from outside.
    let load = move |before: Option<()>| {
        let (options, schema) = (options.clone(), schema.clone());
        let loading = async move {
            let rows = load(&options, &schema, batch_rows, is_new && before.is_none()).await;
            Ok(Some(((), rows.map_err(|error| error.context(format!("while reading all of {}", options.target)))?)))
        };
        Box::pin(loading) as _
    };
    Ok(Box::new(WholeTable::open(&table.name, whole, Box::new(load)).await?))
}

/// All rows of the table.
async fn load(
    options: &LookupOptions,
    schema: &SchemaRef,
    batch_rows: usize,
    is_first: bool,
) -> Result<Vec<RecordBatch>> {
    let session = Session::open(&options.client).await?;
    let relation = within(ANSWER, &session.place, Relation::find(&session, &options.target)).await?;
    let relation = match relation {
        Some(relation) => relation,
        None if is_first => within(ANSWER, &session.place, Relation::require(&session, &options.target)).await?,
        None => return Err(is_gone(options, &session)),
    };
    let columns = relation.read(schema)?;
    let query = format!("SELECT {} FROM {} AS t", all(columns.len(), schema), options.target.sql());
    let failed = |error| session.failed(&format!("cannot read {}", options.target), error);
    let reading = async {
        let rows = session.client.query_raw(&query, std::iter::empty::<&(dyn ToSql + Sync)>()).await.map_err(failed)?;
        decoded(rows, options, (&columns, schema), batch_rows, &failed).await
    };
    patiently(&options.client, reading).await?
}

fn is_gone(options: &LookupOptions, session: &Session) -> Error {
    Error::environment(format!("table {} is not in PostgreSQL at {} any more", options.target, session.place))
}

/// The rows of an answer, in batches of so many.
async fn decoded(
    rows: RowStream,
    options: &LookupOptions,
    (columns, schema): (&[PgColumn], &SchemaRef),
    batch_rows: usize,
    failed: &(dyn Fn(tokio_postgres::Error) -> Error + Sync),
) -> Result<Vec<RecordBatch>> {
    let mut rows = std::pin::pin!(rows);
    let builders = columns.iter().zip(schema.fields());
    let mut builders =
        builders.map(|(column, field)| decode::builder(&column.pg, field.data_type())).collect::<Result<Vec<_>>>()?;
    let (mut count, mut batches) = (0, Vec::new());
    loop {
        let row = rows.try_next().await.map_err(failed)?;
        if row.is_none() || count == batch_rows {
            let columns = builders.iter_mut().map(|builder| builder.finish()).collect::<Result<Vec<_>>>()?;
            let options = RecordBatchOptions::new().with_row_count(Some(count));
            batches.push(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?);
            count = 0;
        }
        let Some(row) = row else { return Ok(batches) };
        count += 1;
        for (place, (builder, field)) in builders.iter_mut().zip(schema.fields()).enumerate() {
            let wrong = |what: &str| {
                let (table, column) = (&options.target, field.name());
                Error::data(format!("column '{column}' of table {table} in the database has {what}"))
            };
            let Raw(value) = row.try_get::<_, Raw<Option<&[u8]>>>(place).map_err(failed)?;
            if value.is_none() && !field.is_nullable() {
                return Err(wrong("a null, and is declared NOT NULL"));
            }
            builder.append(value).map_err(|what| wrong(&what))?;
        }
    }
}

/// Waits for the next try, if there is to be one.
async fn may_retry(error: Error, failures: &mut u32, options: &LookupOptions) -> Result<()> {
    if error.kind() != ErrorKind::Environment || *failures >= options.retries {
        return Err(error);
    }
    *failures += 1;
    tracing::warn!(table = %options.target, error = error.report(), "a table for lookups could not be asked");
    sleep_until(Instant::now() + PAUSE).await;
    Ok(())
}

/// A column that is equal to something.
struct Key {
    /// Among what is looked for.
    place: usize,
    /// Among what is read.
    column: usize,
    /// As what it is looked for.
    pg: PgType,
}

impl Key {
    fn new(place: usize, column: usize, columns: &[PgColumn], schema: &SchemaRef) -> Result<Self> {
        let pg = &columns[column].pg;
        let field = schema.field(column);
        if !pg.is_key() {
            return Err(Error::user(format!(
                "column '{}': it cannot be looked for by a {} of the database",
                field.name(),
                pg.sql()
            ))
            .with_help("give the table of the database a column of text, number or time for it"));
        }
        Ok(Self { place, column, pg: pg.key(field.data_type()) })
    }
}

/// So many columns, as they are read.
fn all(columns: usize, schema: &SchemaRef) -> String {
    let name = |column: usize| format!("t.{}", quoted(schema.field(column).name()));
    match columns {
        // A query without columns is one without rows in the protocol.
        0 => "1".to_owned(),
        count => (0..count).map(name).collect::<Vec<_>>().join(", "),
    }
}

fn query(options: &LookupOptions, columns: &[PgColumn], keys: &[Key], schema: &SchemaRef) -> String {
    let name = |column: usize| format!("t.{}", quoted(schema.field(column).name()));
    let list = |names: Vec<String>| names.join(", ");
    let all = all(columns.len(), schema);
    let wanted = |(place, key): (usize, &Key)| format!("${}::{}[]", place + 1, key.pg.sql());
    let condition = match keys {
        [key] => format!("{} = ANY({})", name(key.column), wanted((0, key))),
        _ => {
            let names = list(keys.iter().map(|key| name(key.column)).collect());
            let wanted = list(keys.iter().enumerate().map(wanted).collect());
            format!("({names}) IN (SELECT * FROM unnest({wanted}))")
        }
    };
    format!("SELECT {all} FROM {} AS t WHERE {condition}", options.target.sql())
}

struct PgLookup {
    // Fixed.
    options: LookupOptions,
    schema: SchemaRef,
    columns: Vec<PgColumn>,
    keys: Vec<Key>,
    query: String,
    converter: RowConverter,
    cache: Option<Cache>,
    /// The connection, and the query that it knows. None behind an error.
    asking: Option<(Session, Option<Statement>)>,
}

/// Bytes as they are: a value, or one of a query.
#[derive(Debug)]
struct Raw<T>(T);

impl<'a> FromSql<'a> for Raw<Option<&'a [u8]>> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl ToSql for Raw<Vec<u8>> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

#[async_trait]
impl LookupTable for PgLookup {
    fn wants_keys(&self) -> bool {
        true
    }

    async fn look_up(&mut self, now: i64, keys: Option<&RecordBatch>) -> Result<Found> {
        let keys = keys.ok_or_else(|| Error::internal("rows are looked up without their keys"))?;
        let wanted = self.keys.iter().map(|key| {
            let data_type = self.schema.field(key.column).data_type();
            Ok(normalised(&cast(keys.column(key.place), data_type)?))
        });
        let wanted = wanted.collect::<Result<Vec<ArrayRef>>>()?;
        let rows = self.converter.convert_columns(&wanted)?;
        // With keys that are computed beside them, the same may be there several times.
        let (mut found, mut missing, mut seen) = (Vec::new(), HashMap::new(), HashSet::new());
        for place in 0..keys.num_rows() {
            let key = rows.row(place).owned();
            if !seen.insert(key.clone()) {
                continue;
            }
            match self.cache.as_mut().and_then(|cache| cache.get(&key, now)) {
                Some(rows) => found.push(rows),
                None => drop(missing.insert(key, place)),
            }
        }
        if missing.is_empty() {
            return Ok(Found::OfKeys(found));
        }
        let mut places: Vec<usize> = missing.values().copied().collect();
        places.sort_unstable();
        let answer = self.ask(&wanted, &places).await?;
        found.push(if self.cache.is_some() { self.keep(missing.into_keys(), answer, now)? } else { answer });
        Ok(Found::OfKeys(found))
    }
}

impl PgLookup {
    /// Asks for keys, as often as the options say.
    async fn ask(&mut self, wanted: &[ArrayRef], places: &[usize]) -> Result<RecordBatch> {
        let values = wanted.iter().zip(&self.keys).map(|(array, key)| Values::sought(array, &key.pg));
        let values = values.collect::<Result<Vec<_>>>()?;
        let mut scratch = Vec::new();
        // A key that the database has no value for is found nowhere.
        let places: Vec<usize> = places
            .iter()
            .copied()
            .filter(|place| {
                scratch.clear();
                values.iter().all(|values| values.append(*place, &mut scratch).is_ok())
            })
            .collect();
        let arrays = values.iter().zip(&self.keys);
        let arrays = arrays.map(|(values, key)| encode::array(values, places.iter().copied(), &key.pg).map(Raw));
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let mut failures = 0;
        loop {
            let place = self.options.client.place.clone();
            match within(ANSWER, &place, self.try_asking(&arrays)).await {
                Ok(rows) => return Ok(rows),
                Err(error) => {
                    self.asking = None;
                    let failed = may_retry(error, &mut failures, &self.options).await;
                    failed
                        .map_err(|error| error.context(format!("while looking up rows of {}", self.options.target)))?;
                }
            }
        }
    }

    async fn try_asking(&mut self, arrays: &[Raw<Vec<u8>>]) -> Result<RecordBatch> {
        if self.asking.as_ref().is_none_or(|(session, _)| session.is_closed()) {
            let session = Session::open(&self.options.client).await?;
            // It may have been changed meanwhile.
            let relation = Relation::find(&session, &self.options.target).await?;
            let relation = relation.ok_or_else(|| is_gone(&self.options, &session))?;
            self.columns = relation.read(&self.schema)?;
            self.asking = Some((session, None));
        }
        let Some((session, statement)) = &mut self.asking else { return Err(Error::internal("no connection")) };
        let what = format!("cannot look up rows of {}", self.options.target);
        let failed = |error| session.failed(&what, error);
        let statement = match statement {
            Some(statement) => statement,
            None => statement.insert(session.client.prepare(&self.query).await.map_err(failed)?),
        };
        let parameters = arrays.iter().map(|array| array as &(dyn ToSql + Sync));
        let rows = session.client.query_raw(statement, parameters).await.map_err(failed)?;
        let of = (self.columns.as_slice(), &self.schema);
        let mut batches = decoded(rows, &self.options, of, usize::MAX, &failed).await?;
        batches.pop().ok_or_else(|| Error::internal("an answer without rows is a batch, too"))
    }

    /// Puts what was found for each key into the cache, and gives back all of it. Where the database compares otherwise, as without regard to
    /// case, a row may be of no key: it joins nothing, or is in the cache already, of the key that it has.
    fn keep(&mut self, keys: impl Iterator<Item = OwnedRow>, answer: RecordBatch, now: i64) -> Result<RecordBatch> {
        let columns: Vec<ArrayRef> = self.keys.iter().map(|key| normalised(answer.column(key.column))).collect();
        let rows = self.converter.convert_columns(&columns)?;
        let mut of: HashMap<OwnedRow, Vec<u32>> = keys.map(|key| (key, Vec::new())).collect();
        let mut of_keys = Vec::new();
        for (place, row) in rows.iter().enumerate() {
            if let Some(places) = of.get_mut(&row.owned()) {
                places.push(place as u32);
                of_keys.push(place as u32);
            }
        }
        for (key, places) in of {
            let rows = alone(&answer, places)?;
            if let Some(cache) = &mut self.cache {
                cache.put(key, rows, now);
            }
        }
        if of_keys.len() == answer.num_rows() {
            return Ok(answer);
        }
        Ok(take_record_batch(&answer, &UInt32Array::from(of_keys))?)
    }
}

/// Some of the rows, which do not hold the others in memory.
fn alone(rows: &RecordBatch, places: Vec<u32>) -> Result<RecordBatch> {
    let taken = take_record_batch(rows, &UInt32Array::from(places))?;
    views::compact_rows(&taken, |strings| strings.held() > strings.shown())
}

/// Floating-point numbers that are equal have the same bits here.
fn normalised(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Float32 => Arc::new(
            array
                .as_primitive::<Float32Type>()
                .unary::<_, Float32Type>(|value| if value.is_nan() { f32::NAN } else { value + 0.0 }),
        ),
        DataType::Float64 => Arc::new(
            array
                .as_primitive::<Float64Type>()
                .unary::<_, Float64Type>(|value| if value.is_nan() { f64::NAN } else { value + 0.0 }),
        ),
        _ => array.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::StringViewArray;

    use super::*;

    #[test]
    fn an_answer_in_the_cache_does_not_hold_those_of_other_keys() {
        let long = |place: usize| format!("{place}").repeat(1000);
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values((0..100).map(long)));
        let answer = RecordBatch::try_from_iter([("v", texts)]).unwrap();
        let rows = alone(&answer, vec![7]).unwrap();
        assert_eq!(rows.column(0).as_string_view().value(0), long(7));
        assert!(rows.get_array_memory_size() < 3000, "{} bytes", rows.get_array_memory_size());
        assert_eq!(alone(&answer, Vec::new()).unwrap().num_rows(), 0);
    }
}
