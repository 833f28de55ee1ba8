//! The same sum with accumulators of different types.

use std::marker::PhantomData;

use weir_jobs::prelude::*;

/// What SQL can call: `narrow`, and `wide` and `text`, of which only the first goes on with what `narrow` has kept.
pub fn functions(functions: &mut Functions) {
    functions.aggregate("narrow", Total::<i32>(PhantomData));
    functions.aggregate("wide", Total::<i64>(PhantomData));
    functions.aggregate("text", Spelled);
}

/// A sum of small numbers.
struct Total<N>(PhantomData<fn() -> N>);

impl<N> Clone for Total<N> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl Aggregate for Total<i32> {
    type In = i64;
    type Accumulator = i32;
    type Out = i64;

    fn add(&self, sum: &mut i32, value: &i64) {
        *sum += *value as i32;
    }

    fn merge(&self, sum: &mut i32, other: i32) {
        *sum += other;
    }

    fn result(&self, sum: &i32) -> i64 {
        i64::from(*sum)
    }
}

impl Aggregate for Total<i64> {
    type In = i64;
    type Accumulator = i64;
    type Out = i64;

    fn add(&self, sum: &mut i64, value: &i64) {
        *sum += *value;
    }

    fn merge(&self, sum: &mut i64, other: i64) {
        *sum += other;
    }

    fn result(&self, sum: &i64) -> i64 {
        *sum
    }
}

/// The sum in digits.
#[derive(Clone)]
struct Spelled;

impl Aggregate for Spelled {
    type In = i64;
    type Accumulator = String;
    type Out = i64;

    fn add(&self, sum: &mut String, value: &i64) {
        *sum = (self.result(sum) + value).to_string();
    }

    fn merge(&self, sum: &mut String, other: String) {
        *sum = (self.result(sum) + self.result(&other)).to_string();
    }

    fn result(&self, sum: &String) -> i64 {
        sum.parse().unwrap_or_default()
    }
}
