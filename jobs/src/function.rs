//! Functions that SQL calls.
//!
//! A function is a closure over values of columns; the columns that it is called with are decoded, and its results put into one, as rows of
//! a step are ([`record`](crate::record)).

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Field, Schema};
use weir_core::plugin::{
    AggregateFunction, AggregateGroup, FunctionCode, FunctionKind, FunctionSignature, ScalarFunction,
};
use weir_core::{Error, Result};

use crate::aggregate::Aggregate;
use crate::record::{Column, conform};

/// Collects the functions that a plugin exports to SQL. The function that is given to [`export!`](crate::export) as `functions` is given one.
///
/// ```
/// use weir_jobs::prelude::*;
///
/// fn functions(functions: &mut Functions) {
///     // Where an argument is null so is the result, and the function is not called.
///     functions.scalar("celsius", |fahrenheit: f64| (fahrenheit - 32.0) / 1.8).parameters(["fahrenheit"]);
///     // This one is told of nulls.
///     functions.scalar("label", |name: Option<String>, id: i64| name.unwrap_or_else(|| format!("number {id}")));
///     // An error ends the attempt of the job, with its message.
///     functions.scalar("port", |text: String| {
///         text.parse::<u16>().map(i32::from).map_err(|_| Error::data(format!("'{text}' is no port")))
///     });
/// }
/// # let exported = weir_jobs::testing::exported(functions)?;
/// # assert_eq!(exported.len(), 3);
/// # Ok::<(), Error>(())
/// ```
#[derive(Default)]
pub struct Functions {
    exported: BTreeMap<String, Exported>,
    /// The first thing that is wrong.
    problem: Option<Error>,
}

/// The function that says which functions a plugin exports.
pub type ExportFunctions = fn(&mut Functions);

impl Functions {
    /// Those that a plugin exports.
    ///
    /// # Errors
    /// A user error if one cannot be called from SQL.
    pub(crate) fn of(export: ExportFunctions) -> Result<BTreeMap<String, Exported>> {
        let mut functions = Self::default();
        export(&mut functions);
        functions.problem.map_or(Ok(functions.exported), Err)
    }

    /// Exports a function that is computed row by row. It takes up to eight values of [columns](Column), and makes one, or a [`Result`] of one.
    ///
    /// Where a parameter is no `Option` and null is given, the result is null and the function is not called. A panic ends the
    /// attempt of the job, and says where it was, as an error does.
    ///
    /// The same arguments have to give the same result, at any time and in any process; a function for which that does not hold says
    /// so ([`Exported::not_deterministic`]).
    pub fn scalar<Arguments: 'static, F: RowFunction<Arguments>>(&mut self, name: &str, function: F) -> &mut Exported {
        let (parameters, result, nullable) = F::types();
        let columns = parameters.iter().zip('a'..);
        let parameters: Vec<Field> = columns
            .map(|((data_type, nullable), letter)| Field::new(letter.to_string(), data_type.clone(), *nullable))
            .collect();
        let signature = FunctionSignature {
            name: name.to_owned(),
            parameters,
            result,
            nullable,
            deterministic: true,
            kind: FunctionKind::Scalar,
        };
        let schema = Schema::new(signature.parameters.clone());
        let code = Arc::new(OverRows { function, name: name.to_owned(), schema, arguments: PhantomData });
        self.export(signature, FunctionCode::Scalar(code))
    }

    /// Exports a function that adds up the rows of a group. Its arguments are the [`In`](Aggregate::In) of the aggregate: a single value, the
    /// parts of a tuple, or the fields of a record, whose names are those of the parameters. What is kept of a group, the
    /// [`Accumulator`](Aggregate::Accumulator), is a column of state: it is in checkpoints, and SQL has a type for it.
    ///
    /// ```
    /// use weir_jobs::prelude::*;
    ///
    /// /// The mean of values that count more or less.
    /// #[derive(Clone)]
    /// struct WeightedMean;
    ///
    /// #[derive(Record)]
    /// struct Weighted {
    ///     value: f64,
    ///     weight: f64,
    /// }
    ///
    /// impl Aggregate for WeightedMean {
    ///     type In = Weighted;
    ///     type Accumulator = (f64, f64);
    ///     type Out = Option<f64>;
    ///
    ///     fn add(&self, (sum, weights): &mut (f64, f64), row: &Weighted) {
    ///         *sum += row.value * row.weight;
    ///         *weights += row.weight;
    ///     }
    ///
    ///     fn merge(&self, (sum, weights): &mut (f64, f64), other: (f64, f64)) {
    ///         *sum += other.0;
    ///         *weights += other.1;
    ///     }
    ///
    ///     fn result(&self, (sum, weights): &(f64, f64)) -> Option<f64> {
    ///         (*weights > 0.0).then(|| sum / weights)
    ///     }
    /// }
    ///
    /// fn functions(functions: &mut Functions) {
    ///     functions.aggregate("weighted_mean", WeightedMean);
    /// }
    /// # assert_eq!(weir_jobs::testing::exported(functions)?, ["weighted_mean"]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// A row is left out where a part is null that is no `Option`, and the result of no rows is that of the accumulator's default. Nulls, errors and
    /// panics are otherwise as for [`scalar`](Self::scalar).
    pub fn aggregate<A>(&mut self, name: &str, aggregate: A) -> &mut Exported
    where
        A: Aggregate,
        A::In: Column,
        A::Out: FunctionResult,
    {
        let parameters: Vec<Field> = A::In::fields("a").iter().map(plain).collect();
        let state = A::Accumulator::data_type();
        if let Some(unknown) = without_sql(&state) {
            self.complain(
                Error::user(format!("the function '{name}' keeps {unknown}, and SQL has no such type"))
                    .with_help("keep a signed number: `i64` is BIGINT"),
            );
        }
        if parameters.is_empty() {
            self.complain(Error::user(format!("the function '{name}' adds up rows of which it reads nothing")));
        }
        let signature = FunctionSignature {
            name: name.to_owned(),
            parameters,
            result: <A::Out as FunctionResult>::Value::data_type(),
            nullable: <A::Out as FunctionResult>::Value::NULLABLE,
            deterministic: true,
            kind: FunctionKind::Aggregate { state },
        };
        let schema = Schema::new(signature.parameters.clone());
        let code = Arc::new(AddedUp { aggregate, name: name.to_owned(), schema: Arc::new(schema) });
        self.export(signature, FunctionCode::Aggregate(code))
    }

    fn export(&mut self, signature: FunctionSignature, code: FunctionCode) -> &mut Exported {
        let name = signature.name.clone();
        let types = signature.parameters.iter().map(Field::data_type).chain([&signature.result]);
        if let Some(unknown) = types.into_iter().find_map(without_sql) {
            self.complain(
                Error::user(format!("the function '{name}' takes or makes {unknown}, and SQL has no such type"))
                    .with_help("take or make a signed number: `i64` is BIGINT"),
            );
        }
        let is_name = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') && !name.is_empty();
        if !is_name {
            self.complain(Error::user(format!("a function cannot be called '{name}'")));
        } else if self.exported.contains_key(&name) {
            self.complain(Error::user(format!("two functions are called '{name}'")));
        }
        self.exported.entry(name).insert_entry(Exported { signature, code }).into_mut()
    }

    fn complain(&mut self, problem: Error) {
        self.problem.get_or_insert(problem);
    }
}

/// The first type in this one that SQL cannot name.
fn without_sql(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => Some(data_type),
        DataType::List(element) => without_sql(element.data_type()),
        DataType::Struct(fields) => fields.iter().find_map(|field| without_sql(field.data_type())),
        _ => None,
    }
}

/// A function that is exported.
pub struct Exported {
    pub(crate) signature: FunctionSignature,
    pub(crate) code: FunctionCode,
}

impl Exported {
    /// What its parameters are called, where it is shown: else `a`, `b` and so on.
    ///
    /// # Panics
    /// If there are not as many names as parameters.
    pub fn parameters<const COUNT: usize>(&mut self, names: [&str; COUNT]) -> &mut Self {
        let FunctionSignature { name, parameters, .. } = &mut self.signature;
        assert_eq!(parameters.len(), COUNT, "'{name}' has so many parameters");
        for (parameter, name) in parameters.iter_mut().zip(names) {
            *parameter = parameter.clone().with_name(name);
        }
        self
    }

    /// Says that the same arguments may give another result. Queries refuse such a function: a row that is computed again after a crash has to
    /// come out as before.
    pub fn not_deterministic(&mut self) -> &mut Self {
        self.signature.deterministic = false;
        self
    }
}

/// Closures that can be a function of SQL: of up to eight arguments, each a [`Column`].
#[diagnostic::on_unimplemented(
    message = "this cannot be a function of SQL",
    label = "a function takes up to eight values of columns, and makes one or a `Result` of one",
    note = "columns hold numbers, bool, String, Bytes, Timestamp, Date, Decimal, what has #[derive(Record)], and Option and Vec of these",
    note = "the types of a closure's arguments are written: `|cents: i64| …`"
)]
pub trait RowFunction<Arguments>: Send + Sync + 'static {
    /// Types of its parameters and whether they may be null, the type of its result, and whether that may be.
    #[doc(hidden)]
    fn types() -> (Vec<(DataType, bool)>, DataType, bool);

    /// The results of so many rows.
    #[doc(hidden)]
    fn rows(&self, columns: &[ArrayRef], rows: usize) -> Result<ArrayRef>;
}

/// What a function of SQL may make: a value of a column, or a `Result` of one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a function",
    label = "no column holds such values"
)]
pub trait FunctionResult {
    /// The value.
    type Value: Column;

    /// The value, or why there is none.
    #[doc(hidden)]
    fn into_result(self) -> Result<Self::Value>;
}

impl<T: Column> FunctionResult for T {
    type Value = T;

    fn into_result(self) -> Result<T> {
        Ok(self)
    }
}

impl<T: Column> FunctionResult for Result<T> {
    type Value = T;

    fn into_result(self) -> Self {
        self
    }
}

macro_rules! functions {
    ($(($($argument:ident $reader:ident $position:tt)*);)+) => { $(
        impl<F, R, $($argument),*> RowFunction<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> R + Send + Sync + 'static,
            R: FunctionResult,
            $($argument: Column),*
        {
            fn types() -> (Vec<(DataType, bool)>, DataType, bool) {
                let parameters = vec![$(($argument::data_type(), $argument::NULLABLE)),*];
                (parameters, R::Value::data_type(), R::Value::NULLABLE)
            }

            #[allow(unused_variables, reason = "without arguments there are no columns")]
            fn rows(&self, columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
                $(let $reader = $argument::reader(&columns[$position], None)?;)*
                let mut results = R::Value::builder(rows);
                for row in 0..rows {
                    self($($argument::read(&$reader, row)),*).into_result()?.append_to(&mut results);
                }
                Ok(R::Value::finish(&mut results))
            }
        }
    )+ };
}

functions! {
    ();
    (A a 0);
    (A a 0 B b 1);
    (A a 0 B b 1 C c 2);
    (A a 0 B b 1 C c 2 D d 3);
    (A a 0 B b 1 C c 2 D d 3 E e 4);
    (A a 0 B b 1 C c 2 D d 3 E e 4 G g 5);
    (A a 0 B b 1 C c 2 D d 3 E e 4 G g 5 H h 6);
    (A a 0 B b 1 C c 2 D d 3 E e 4 G g 5 H h 6 I i 7);
}

/// A function over rows as the engine calls it.
struct OverRows<F, Arguments> {
    function: F,
    name: String,
    schema: Schema,
    arguments: PhantomData<fn(Arguments)>,
}

impl<F, Arguments> fmt::Debug for OverRows<F, Arguments> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OverRows").field(&self.name).finish()
    }
}

impl<Arguments: 'static, F: RowFunction<Arguments>> ScalarFunction for OverRows<F, Arguments> {
    fn call(&self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        self.function.rows(&conform(arguments, &self.schema, &self.name)?, rows)
    }
}

fn plain(field: &Field) -> Field {
    Field::new(field.name(), field.data_type().clone(), field.is_nullable())
}

/// An aggregate as the engine calls it.
struct AddedUp<A> {
    aggregate: A,
    name: String,
    schema: Arc<Schema>,
}

impl<A> fmt::Debug for AddedUp<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AddedUp").field(&self.name).finish()
    }
}

impl<A> AggregateFunction for AddedUp<A>
where
    A: Aggregate,
    A::In: Column,
    A::Out: FunctionResult,
{
    fn group(&self) -> Result<Box<dyn AggregateGroup>> {
        let Self { aggregate, name, schema } = self;
        Ok(Box::new(Group {
            aggregate: aggregate.clone(),
            name: name.clone(),
            schema: schema.clone(),
            kept: A::Accumulator::default(),
        }))
    }
}

/// A group of rows as the engine adds them up.
struct Group<A: Aggregate> {
    aggregate: A,
    name: String,
    schema: Arc<Schema>,
    kept: A::Accumulator,
}

impl<A: Aggregate> Group<A> {
    fn kept(&self) -> ArrayRef {
        let mut state = A::Accumulator::builder(1);
        self.kept.append_to(&mut state);
        A::Accumulator::finish(&mut state)
    }
}

impl<A> AggregateGroup for Group<A>
where
    A: Aggregate,
    A::In: Column,
    A::Out: FunctionResult,
{
    fn update(&mut self, arguments: &[ArrayRef], rows: usize) -> Result<()> {
        let columns = conform(arguments, &self.schema, &self.name)?;
        let reader = A::In::columns_reader(&columns, None)?;
        for row in 0..rows {
            self.aggregate.add(&mut self.kept, &A::In::read(&reader, row));
        }
        Ok(())
    }

    fn merge(&mut self, states: &ArrayRef) -> Result<()> {
        let reader = A::Accumulator::reader(states, None)?;
        for row in 0..states.len() {
            self.aggregate.merge(&mut self.kept, A::Accumulator::read(&reader, row));
        }
        Ok(())
    }

    fn state(&mut self) -> Result<ArrayRef> {
        Ok(self.kept())
    }

    fn result(&mut self) -> Result<ArrayRef> {
        let value = self.aggregate.result(&self.kept).into_result()?;
        let mut result = <A::Out as FunctionResult>::Value::builder(1);
        value.append_to(&mut result);
        Ok(<A::Out as FunctionResult>::Value::finish(&mut result))
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.kept().get_array_memory_size()
    }
}
