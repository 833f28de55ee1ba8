//! Values that are added up.

use crate::record::Column;

/// How values become a result, one by one, and how two halves of that become one.
///
/// ```
/// use weir_jobs::prelude::*;
///
/// /// The mean of numbers.
/// #[derive(Clone, Default)]
/// struct Mean;
///
/// impl Aggregate for Mean {
///     type In = f64;
///     type Accumulator = (f64, u64);
///     type Out = f64;
///
///     fn add(&self, (sum, count): &mut (f64, u64), value: &f64) {
///         *sum += *value;
///         *count += 1;
///     }
///
///     fn merge(&self, (sum, count): &mut (f64, u64), other: (f64, u64)) {
///         *sum += other.0;
///         *count += other.1;
///     }
///
///     fn result(&self, (sum, count): &(f64, u64)) -> f64 {
///         sum / *count as f64
///     }
/// }
/// ```
pub trait Aggregate: Clone + Send + Sync + 'static {
    /// What is added.
    type In;
    /// What is kept of that. Its default is that nothing was added.
    type Accumulator: Column + Default;
    /// What comes of it.
    type Out;

    /// Adds a value.
    fn add(&self, accumulator: &mut Self::Accumulator, value: &Self::In);

    /// Adds what another accumulator has added up, of later values: where two sessions become one.
    fn merge(&self, accumulator: &mut Self::Accumulator, other: Self::Accumulator);

    /// The result so far.
    fn result(&self, accumulator: &Self::Accumulator) -> Self::Out;
}
