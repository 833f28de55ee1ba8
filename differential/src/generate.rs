//! Cases made from a seed: tables, rows and a query over them.

mod bound;
mod conditions;
mod expressions;
mod joins;
mod over;
mod queries;
mod regular;
mod tables;
mod updating;
mod values;
mod versions;
mod windows;

use crate::random::Random;
use crate::relation::{Column, Relation};
use crate::table::Table;
use crate::types::Type;
use crate::value::Value;

/// Tables, and a query over them.
#[derive(Debug, Clone)]
pub struct Case {
    /// Tables.
    pub tables: Vec<Table>,
    /// The query.
    pub query: Relation,
}

/// What may be left out, to look for other things than what is known to be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Joins that pad rows.
    OuterJoins,
    /// Functions and casts of times.
    TimeFunctions,
    /// `FLOOR` and `CEIL` of numbers.
    Rounding,
    /// Negative zero.
    NegativeZero,
    /// `LIKE`.
    Patterns,
    /// Fields of rows and elements of arrays and maps.
    NestedParts,
}

impl Topic {
    /// All of them, by name.
    pub const ALL: [(&str, Topic); 6] = [
        ("outer-joins", Topic::OuterJoins),
        ("time-functions", Topic::TimeFunctions),
        ("rounding", Topic::Rounding),
        ("negative-zero", Topic::NegativeZero),
        ("patterns", Topic::Patterns),
        ("nested-parts", Topic::NestedParts),
    ];
}

/// Makes a case.
struct Generator {
    without: Vec<Topic>,
    random: Random,
    /// Names given so far.
    names: usize,
    /// Values that columns have, for literals that meet them.
    pools: Vec<(Type, Vec<Value>)>,
    tables: Vec<Table>,
    /// Type of the time attributes of all tables.
    time_type: Type,
}

/// Which queries are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// Mostly of windows and times.
    #[default]
    Any,
    /// Without regard to windows and times: their results change as rows come.
    Updating,
    /// Joins with the versions that a table has in time.
    Versions,
}

/// The case of a seed.
pub fn case(seed: u64, kind: Kind, without: &[Topic]) -> Case {
    let mut random = Random::new(seed);
    let time_type = Type::Timestamp { digits: 3, local: random.chance(30) };
    let mut generator =
        Generator { without: without.to_vec(), random, names: 0, pools: Vec::new(), tables: Vec::new(), time_type };
    generator.make_tables();
    let query = match kind {
        Kind::Any => generator.query(),
        Kind::Updating => generator.updating_query(),
        Kind::Versions => generator.version_query(),
    };
    Case { tables: generator.tables, query }
}

impl Generator {
    fn may(&self, topic: Topic) -> bool {
        !self.without.contains(&topic)
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("c{}", self.names)
    }

    /// A column of the scope, if there is one that fits.
    fn column_where<'a>(&mut self, scope: &'a [Column], fits: impl Fn(&Column) -> bool) -> Option<&'a Column> {
        let fitting: Vec<&Column> = scope.iter().filter(|column| fits(column)).collect();
        (!fitting.is_empty()).then(|| *self.random.pick(&fitting))
    }
}
