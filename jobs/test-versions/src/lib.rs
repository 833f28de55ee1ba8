//! A job for tests: it counts words, and which version of it this is, an argument says. Versions keep different state of a word, which goes on
//! from one to some of the others.
//!
//! ```text
//!   first ──▶ added ──▶ removed ──▶ widened        each goes on with the state of those in front of it
//!     ├─────▶ short ──▶ renewed                    `renewed` has a field of `first` again, of another type
//!     └──╳──▶ narrowed, retyped, required, dropped, rekeyed
//! ```
//!
//! - `functions`: aggregates for SQL that keep different accumulators

mod functions;

use std::marker::PhantomData;

use weir_jobs::prelude::*;
use weir_jobs::record::Key;

/// A word that was said.
#[derive(Record, Debug, Clone)]
pub struct Said {
    /// The word.
    pub word: String,
    /// When.
    #[record(event_time)]
    pub ts: Timestamp,
}

/// How often it was.
#[derive(Record, Debug, Clone)]
pub struct Counted {
    /// The word.
    pub word: String,
    /// How often until now.
    pub n: i64,
}

/// What a version keeps of a word.
trait Tally: State {
    /// Once more; how often it is then.
    fn add(&mut self) -> i64;
}

/// A version: what it keeps of a word, and how it counts with that.
macro_rules! version {
    ($name:ident, $(#[$state:meta])* $kept:ident { $($(#[$field:meta])* $column:ident: $type:ty),* }, $record:ident) => {
        #[derive(Record, Debug, Clone, Default)]
        struct $record {
            $($(#[$field])* $column: $type),*
        }

        #[derive(State, Default)]
        $(#[$state])*
        struct $name {
            $kept: ValueState<$record>,
        }

        impl Tally for $name {
            fn add(&mut self) -> i64 {
                let $kept = self.$kept.or_default();
                $kept.n = (number(&$kept.n) + 1).to_string().parse().unwrap_or_default();
                number(&$kept.n)
            }
        }
    };
}

version!(First, seen { n: i32, length: i64 }, FirstSeen);
version!(Added, seen { n: i32, length: i64, longest: Option<i64>, #[record(default = "7")] luck: i64 }, AddedSeen);
version!(Removed, seen { n: i32, longest: Option<i64> }, RemovedSeen);
version!(Widened, seen { n: i64, longest: Option<i64> }, WidenedSeen);
version!(Short, seen { n: i32 }, ShortSeen);
version!(Renewed, seen { n: i32, length: Option<String> }, RenewedSeen);
version!(Narrowed, seen { n: i16, length: i64 }, NarrowedSeen);
version!(Retyped, seen { n: String, length: i64 }, RetypedSeen);
version!(Required, seen { n: i32, length: i64, more: i64 }, RequiredSeen);
version!(Dropped, heard { n: i32, length: i64 }, Heard);

fn number(n: &impl ToString) -> i64 {
    n.to_string().parse().unwrap_or_default()
}

/// Counts words, by a key of type `K`.
struct Count<K, S>(PhantomData<fn() -> (K, S)>);

impl<K, S> Clone for Count<K, S> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<K: Key, S: Tally> KeyedProcess for Count<K, S> {
    type Key = K;
    type In = Said;
    type State = S;
    type Out = Counted;

    fn process(&mut self, row: Said, seen: &mut S, ctx: &mut Context<'_, K, Counted>) -> Result<()> {
        ctx.emit(Counted { word: row.word, n: seen.add() });
        Ok(())
    }
}

/// The job. Arguments: `version`; `input` and `output`, folders of CSV and of JSON files; `wide`, for an output with a wider column.
///
/// # Errors
/// If there is no such version.
pub fn tallies(job: &mut Job) -> Result<()> {
    let version: String = job.argument("version")?;
    let (input, output) = (job.argument::<String>("input")?, job.argument::<String>("output")?);
    let number = if job.argument_or("wide", false)? { "BIGINT" } else { "INT" };
    job.sql(&format!(
        "CREATE TABLE words (word STRING NOT NULL, ts TIMESTAMP(3) NOT NULL, WATERMARK FOR ts AS ts) WITH (
           'connector' = 'filesystem', 'path' = '{input}', 'format' = 'csv', 'source.monitor-interval' = '100 ms');
         CREATE TABLE counted (word STRING, n BIGINT, spare {number}) WITH (
           'connector' = 'filesystem', 'path' = '{output}', 'format' = 'json')"
    ));
    let word = |row: &Said| row.word.clone();
    match &*version {
        "first" => count::<String, First>(job, word),
        "added" => count::<String, Added>(job, word),
        "removed" => count::<String, Removed>(job, word),
        "widened" => count::<String, Widened>(job, word),
        "short" => count::<String, Short>(job, word),
        "renewed" => count::<String, Renewed>(job, word),
        "narrowed" => count::<String, Narrowed>(job, word),
        "retyped" => count::<String, Retyped>(job, word),
        "required" => count::<String, Required>(job, word),
        "dropped" => count::<String, Dropped>(job, word),
        "rekeyed" => count::<i64, First>(job, |row: &Said| row.word.len() as i64),
        other => return Err(Error::user(format!("there is no version `{other}`"))),
    }
    job.sql(&format!("INSERT INTO counted SELECT word, n, CAST(NULL AS {number}) FROM tally"));
    Ok(())
}

fn count<K: Key, S: Tally>(job: &mut Job, key: fn(&Said) -> K) {
    job.table::<Said>("words").key_by(key).process("tally", Count::<K, S>(PhantomData));
}

weir_jobs::export!(tallies, functions: functions::functions);
