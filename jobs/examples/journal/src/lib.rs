//! A job with a source and a sink of its own. Bookings come from a server that keeps a log and speaks a protocol that no connector knows; the balances that they
//! come to are written into a journal, each once, whatever dies.
//!
//! ```text
//!   log server ──TCP──▶ `log`: LogSource ──▶ balances, by account ──▶ JournalSink: a file for each epoch
//! ```
//!
//! Arguments: `server`, the address of the log; `folder`, where the journal is.
//!
//! - `log`: the source
//! - `sink`: the sink

#![warn(missing_docs)]

mod log;
mod sink;

use std::path::PathBuf;

use weir_jobs::prelude::*;

pub use log::LogSource;
pub use sink::JournalSink;

/// A booking, as the log has it.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Booking {
    /// Whose it is.
    pub account: String,
    /// What is added.
    pub cents: i64,
}

/// What an account has come to with a booking.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Balance {
    /// Whose it is.
    pub account: String,
    /// The how-manieth booking of the account it was.
    pub number: i64,
    /// What all of them come to.
    pub cents: i64,
}

/// What is kept of an account.
#[derive(State, Default)]
struct Account {
    bookings: ValueState<i64>,
    cents: ValueState<i64>,
}

#[derive(Clone)]
struct AddUp;

impl KeyedProcess for AddUp {
    type Key = String;
    type In = Booking;
    type State = Account;
    type Out = Balance;

    fn process(
        &mut self,
        booking: Booking,
        account: &mut Account,
        ctx: &mut Context<'_, String, Balance>,
    ) -> Result<()> {
        *account.bookings.or_default() += 1;
        *account.cents.or_default() += booking.cents;
        let (number, cents) = (*account.bookings.or_default(), *account.cents.or_default());
        ctx.emit(Balance { account: booking.account, number, cents });
        Ok(())
    }
}

/// The job.
///
/// # Errors
/// If an argument is missing.
pub fn journal(job: &mut Job) -> Result<()> {
    let (server, folder) = (job.argument::<String>("server")?, job.argument::<PathBuf>("folder")?);
    job.create_sink(Table::new("journal"), JournalSink::new(folder));
    job.create_source(Table::new("bookings"), LogSource::new(&server))
        .key_by(|booking| booking.account.clone())
        .process("balances", AddUp)
        .insert_into("journal");
    Ok(())
}

weir_jobs::export!(journal);
