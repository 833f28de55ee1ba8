//! The table that an operator looks rows up in: asked before each batch, and made ready for the operator.
//!
//! Rows wait here for answers that count at once, and so do the markers behind them. A table that is held as a whole is made ready for
//! lookups beside them, but for the first time and where its connector says so.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use weir_core::lookup::Found;
use weir_core::{Batch, LookupRows, LookupTable, Operator, Result};
use weir_operators::LookupSide;

use crate::blocking::{self, Blocking};

/// Rows on the way to being looked up.
type Indexing = BoxFuture<'static, Result<LookupRows>>;

/// What an operator looks rows up in.
pub struct Lookup {
    table: Box<dyn LookupTable>,
    side: Arc<LookupSide>,
    blocking: Arc<dyn Blocking>,
    /// Rows that are being made ready.
    indexing: Option<Indexing>,
    /// The operator has some already.
    has_rows: bool,
}

impl Lookup {
    /// An open table, and what its operator makes of its rows.
    pub fn new(table: Box<dyn LookupTable>, side: LookupSide, blocking: Arc<dyn Blocking>) -> Self {
        Self { table, side: Arc::new(side), blocking, indexing: None, has_rows: false }
    }

    /// Sees to it that the operator has what the batch is going to look up.
    ///
    /// # Errors
    /// If the table could not be asked, or its rows are not what they are declared to be.
    pub async fn prepare(&mut self, operator: &mut dyn Operator, batch: &Batch, now: i64) -> Result<()> {
        let keys = self.table.wants_keys().then(|| operator.lookup_keys(batch)).transpose()?;
        let waits = match self.table.look_up(now, keys.as_ref()).await? {
            Found::AsBefore => !self.has_rows,
            Found::Table { rows, at_once } => {
                let (side, blocking) = (self.side.clone(), self.blocking.clone());
                let index = async move { blocking::run(&blocking, move || side.rows(rows)).await };
                self.indexing = Some(index.boxed());
                at_once || !self.has_rows
            }
            Found::OfKeys(rows) => {
                self.indexing = None;
                return self.take(operator, self.side.rows(rows)?);
            }
        };
        let Some(indexing) = &mut self.indexing else { return Ok(()) };
        let ready = if waits { Some(indexing.await) } else { indexing.now_or_never() };
        match ready {
            None => Ok(()),
            Some(rows) => {
                self.indexing = None;
                self.take(operator, rows?)
            }
        }
    }

    fn take(&mut self, operator: &mut dyn Operator, rows: LookupRows) -> Result<()> {
        self.has_rows = true;
        operator.look_up_in(Arc::new(rows))
    }
}

#[cfg(test)]
mod tests;
