//! Tables: columns of every type, keys that few rows or most have, and times out of order within the watermark's delay.

use super::Generator;
use super::values::INSTANTS;
use crate::calendar::MILLISECOND;
use crate::relation::Column;
use crate::table::Table;
use crate::types::Type;
use crate::value::{Row, Value};

/// Where the values of a column come from.
struct Source {
    pool: Vec<Value>,
    null_percent: usize,
    /// The first of the pool is in so many of a hundred rows.
    skew: usize,
}

impl Generator {
    pub(super) fn make_tables(&mut self) {
        let key_type = loop {
            let data_type = self.scalar_type();
            if !matches!(data_type, Type::Boolean) {
                break data_type;
            }
        };
        let keys: Vec<Value> = (0..self.random.between(1, 4)).map(|_| self.value(&key_type, true)).collect();
        let start = self.random.pick(INSTANTS) * 1000 + self.random.between(-5000, 5000);
        // A nanosecond timestamp could not hold times there, but time attributes have milliseconds.
        for number in 0..self.random.between(1, 2) {
            let table = self.table(&format!("t{number}"), (&key_type, &keys), start);
            self.tables.push(table);
        }
    }

    fn table(&mut self, name: &str, (key_type, keys): (&Type, &[Value]), start: i64) -> Table {
        let mut columns =
            vec![Column { name: format!("{name}_id"), data_type: Type::BIGINT, nullable: false, bound: Some(1000) }];
        let mut sources = Vec::new();
        let others = self.random.between(2, 6);
        for number in 0..=others {
            let data_type = if number == 0 { key_type.clone() } else { self.column_type() };
            let pool: Vec<Value> = if number == 0 {
                keys.to_vec()
            } else {
                let large = self.random.chance(25);
                (0..self.random.between(1, 8)).map(|_| self.value(&data_type, large)).collect()
            };
            let nullable = self.random.chance(75);
            let bound = pool
                .iter()
                .map(|value| match value {
                    Value::Integer(value) => i128::from(*value).abs(),
                    Value::Decimal(units, _) => units.abs(),
                    _ => 0,
                })
                .max();
            self.pools.push((data_type.clone(), pool.clone()));
            let name = format!("{name}_{}{number}", if number == 0 { "k" } else { "c" });
            columns.push(Column { name, bound: data_type.limit().and(bound), data_type, nullable });
            let null_percent = if nullable { *self.random.pick(&[0, 10, 10, 50, 100]) } else { 0 };
            sources.push(Source { pool, null_percent, skew: *self.random.pick(&[0, 0, 50, 90]) });
        }
        let time = format!("{name}_ts");
        columns.push(Column {
            name: time.clone(),
            data_type: self.time_type.clone(),
            nullable: self.random.chance(50),
            bound: None,
        });
        let delay = *self.random.pick(&[0, 1, 1000, 5000, 5000, 30_000]);
        let splits = self.rows(&sources, start, delay);
        Table { name: name.to_owned(), columns, time, delay, splits }
    }

    /// Rows whose times are greater than any time before less the delay: none of them is late.
    fn rows(&mut self, sources: &[Source], start: i64, delay: i64) -> Vec<Vec<Row>> {
        let count =
            if self.random.chance(4) { self.random.between(0, 1) } else { *self.random.pick(&[3, 10, 20, 30, 45, 60]) };
        let splits = usize::try_from(self.random.between(1, 3)).unwrap_or(1);
        let pace = *self.random.pick(&[10, 500, 2000, 10_000]);
        let mut rows = vec![Vec::new(); splits];
        let mut latest = start;
        for id in 0..count {
            let step =
                self.random.between(i64::from(delay == 0), pace) + if self.random.chance(5) { 60_000 } else { 0 };
            let back = if delay > 0 && self.random.chance(60) { self.random.between(0, delay - 1) } else { 0 };
            let mut time = latest + step - back;
            if self.random.chance(20) {
                // A time that stands on the bound of many windows, where that makes it neither late nor lets it stand still.
                let rounded = time.div_euclid(1000) * 1000;
                time = if rounded > latest - delay { rounded } else { time };
            }
            latest = latest.max(time);
            let mut row = vec![Value::Integer(id)];
            for Source { pool, null_percent, skew } in sources {
                row.push(match () {
                    () if self.random.chance(*null_percent) => Value::Null,
                    () if self.random.chance(*skew) => pool[0].clone(),
                    () => self.random.pick(pool).clone(),
                });
            }
            row.push(Value::Timestamp(i128::from(time) * MILLISECOND));
            rows[self.random.below(splits)].push(row);
        }
        rows
    }
}
