//! What the child does: `weir host-plugin`. One thread carries out calls, another one makes captured rows; both end with their sockets.
//!
//! - `functions`, `tables`: calls that are about no operator

mod functions;
mod tables;

use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, UInt64Type};
use rustix::process::{Pid, Resource, Rlimit, Signal};
use serde::Serialize;
use weir_core::plugin::Plugin;
use weir_core::{Batch, CapturedRows, Collector, Error, Operator, OutputPort, Outstanding, Result, StateRows};
use weir_plugin_abi::ErrorText;
use weir_plugin_abi::host::{Loaded, load, take_sockets};

use self::functions::Functions;
use self::tables::Tables;
use super::operator::{of_hashes, with_columns};
use super::protocol::{Bound, Call, Captured, Kept, Later, Reply};
use super::wire::{self, Receiver, Sender};

/// Carries out what the process `parent` asks of the plugin in this file, until it closes its sockets.
///
/// # Errors
/// If this is no process for a plugin, or what it is asked is not understood.
pub fn serve(file: &Path, parent: u32, memory_limit: Option<u64>) -> Result<()> {
    let [calls, later] = take_sockets()?;
    die_with(parent)?;
    let loaded = load(file).and_then(|plugin| {
        memory_limit.map_or(Ok(()), limit_memory)?;
        Ok(plugin)
    });
    let (sender, mut receiver) = wire::split(&Arc::new(calls));
    let (later_sender, later_receiver) = wire::split(&Arc::new(later));
    let beside =
        Arc::new(Beside { sender: Mutex::new(later_sender), captured: Mutex::default(), told: AtomicBool::new(false) });
    let mut host = Host {
        plugin: loaded,
        operator: None,
        functions: Functions::default(),
        tables: Tables::default(),
        out: Collector::new(0),
        sender,
        beside: beside.clone(),
    };
    // Nobody waits for the thread: the process ends when this function returns, whatever the reason. The parent waits for one of the two.
    std::thread::Builder::new()
        .name("weir-captured".into())
        .spawn(move || serve_beside(&beside, later_receiver))
        .map_err(|error| Error::environment("a thread cannot be started").with_source(error))?;
    while let Some((call, rows)) = receiver.receive()? {
        host.perform(call, rows, &mut receiver)?;
    }
    Ok(())
}

/// Makes captured rows until the parent closes the socket, and ends the process if that is not possible: the parent would wait for them for ever.
fn serve_beside(beside: &Beside, receiver: Receiver) {
    let error = match catch_unwind(AssertUnwindSafe(|| beside.serve(receiver))) {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.report(),
        // What has panicked has said so.
        Err(_) => String::new(),
    };
    // The parent reads it, unless it is gone.
    let _ = writeln!(std::io::stderr(), "{error}");
    std::process::abort();
}

/// Has the system kill this process when the thread ends that has started it, and makes it the first one to go if there is no memory.
fn die_with(parent: u32) -> Result<()> {
    let failed = |error| Error::environment("the parent of a plugin's process is not known").with_source(error);
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed)?;
    let is_parent = |pid: Pid| u32::try_from(pid.as_raw_nonzero().get()) == Ok(parent);
    if !rustix::process::getppid().is_some_and(is_parent) {
        return Err(Error::environment("the parent of a plugin's process has ended"));
    }
    // Where that cannot be said, whoever has most memory goes first.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    Ok(())
}

/// Lets this process have so many bytes of memory more than it has now. What is only reserved, or is a file's, does not count.
fn limit_memory(bytes: u64) -> Result<()> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| {
        Error::environment("it is not known how much memory a plugin's process has").with_source(error)
    })?;
    let data =
        status.lines().find_map(|line| line.strip_prefix("VmData:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let data = data.ok_or_else(|| Error::environment("the system does not say how much memory a process has"))?;
    let limit = Some((data << 10).saturating_add(bytes));
    rustix::process::setrlimit(Resource::Data, Rlimit { current: limit, maximum: limit })
        .map_err(|error| Error::environment("the memory of a plugin's process cannot be limited").with_source(error))
}

/// The plugin, and what was made of it.
struct Host {
    /// Why it cannot be loaded is told whoever asks for its operators.
    plugin: Result<Loaded>,
    operator: Option<Box<dyn Operator>>,
    functions: Functions,
    tables: Tables,
    out: Collector,
    sender: Sender,
    beside: Arc<Beside>,
}

impl Host {
    fn perform(&mut self, call: Call, rows: Option<Batch>, receiver: &mut Receiver) -> Result<()> {
        match call {
            Call::Make(request) => {
                let made = self.plugin().and_then(|plugin| plugin.operator(&request));
                let tables = made.map(|operator| self.operator.insert(operator).tables());
                self.reply(tables)
            }
            Call::Function(call) => self.function(call, rows),
            Call::Table(call) => self.table(call, receiver),
            Call::Open(context) => self.answer(|operator, _| operator.open(&context)),
            Call::Load { table } => self.answer(|operator, _| {
                let mut rows = given(rows)?.into_appended()?;
                let hashes = rows.remove_column(rows.num_columns().saturating_sub(1));
                operator.load(table, &rows, hashes.as_primitive_opt().ok_or_else(misunderstood)?)
            }),
            Call::Bound { which, table, time } => self.answer(|operator, _| {
                Ok(match which {
                    Bound::Expired => operator.expired(table, time),
                    Bound::Due => operator.due(table, time),
                    Bound::Settled => operator.settled(table, time),
                })
            }),
            Call::Hashes => self.answer(|operator, out| {
                let held = Mutex::new(Vec::new());
                operator.evict(&|hash| {
                    locked(&held).push(hash);
                    false
                })?;
                let hashes = held.into_inner().unwrap_or_else(PoisonError::into_inner);
                out.emit(of_hashes(hashes.into())?);
                Ok(())
            }),
            Call::Evict => self.answer(|operator, _| {
                let rows = given(rows)?.into_appended()?;
                let leaving = rows.columns().first().and_then(|column| column.as_primitive_opt::<UInt64Type>());
                let mut leaving = leaving.ok_or_else(misunderstood)?.values().to_vec();
                leaving.sort_unstable();
                operator.evict(&|hash| leaving.binary_search(&hash).is_ok())
            }),
            Call::Process { ordinal, now } => {
                self.at(now, |operator, out| operator.process(ordinal, given(rows)?, out))
            }
            Call::Watermark { time, now } => self.at(now, |operator, out| operator.watermark(time, out)),
            Call::Tick { now } => self.at(now, |operator, out| operator.tick(out)),
            Call::WakeBy => {
                // An operator before may have been woken late, and nobody has asked for its answers.
                self.beside.told.store(false, Ordering::SeqCst);
                let waker = Waker::from(self.beside.clone());
                self.answer(|operator, _| operator.wake_by(&waker))
            }
            Call::Answers { now } => {
                // Those that come from here on may not be among what is emitted now.
                self.beside.told.store(false, Ordering::SeqCst);
                self.at(now, |operator, out| operator.answers(out))
            }
            Call::Release { now } => self.at(now, |operator, out| operator.release(out)),
            Call::Flush { now } => self.at(now, |operator, out| operator.flush(out)),
            Call::Capture => {
                let beside = self.beside.clone();
                self.answer(|operator, _| {
                    let captures = operator.capture()?.into_iter();
                    let kept = |capture: weir_core::Capture| Captured {
                        number: beside.keep(capture.rows),
                        expired: capture.expired,
                    };
                    Ok(captures.map(kept).collect::<Vec<_>>())
                })
            }
            Call::Drop => {
                self.operator = None;
                self.functions = Functions::default();
                self.tables = Tables::default();
                self.beside.told.store(false, Ordering::SeqCst);
                self.reply(Ok(()))
            }
        }
    }

    fn plugin(&self) -> Result<&Loaded> {
        self.plugin.as_ref().map_err(functions::told)
    }

    /// Calls the operator at a processing time.
    fn at<T: Serialize>(
        &mut self,
        now: i64,
        call: impl FnOnce(&mut dyn Operator, &mut Collector) -> Result<T>,
    ) -> Result<()> {
        self.out.set_now(now);
        self.answer(call)
    }

    fn answer<T: Serialize>(
        &mut self,
        call: impl FnOnce(&mut dyn Operator, &mut Collector) -> Result<T>,
    ) -> Result<()> {
        let outcome = match &mut self.operator {
            Some(operator) => call(&mut **operator, &mut self.out),
            None => Err(misunderstood()),
        };
        self.reply(outcome)
    }

    /// Tells what was emitted, and how the call has ended.
    fn reply<T: Serialize>(&mut self, outcome: Result<T>) -> Result<()> {
        let (emitted, late) = (self.out.take(), self.out.take_late_rows());
        // If the socket is broken, that cannot be sent either.
        outcome
            .and_then(|value| self.succeeded(value, emitted, late))
            .or_else(|error| self.sender.send(&Reply::<()>::Failed(ErrorText::from(&error)), None))
    }

    fn succeeded<T: Serialize>(&mut self, value: T, emitted: Vec<(OutputPort, Batch)>, late: u64) -> Result<()> {
        for (port, batch) in emitted {
            self.sender.send(&Reply::<()>::Emitted(port), Some((of_port(port), &batch)))?;
        }
        let operator = self.operator.as_ref();
        let outstanding = operator.map_or(Outstanding::None, |operator| operator.outstanding());
        let state_bytes = operator.map_or(0, |operator| operator.state_bytes());
        self.sender.send(&Reply::Done { value, late, outstanding, state_bytes }, None)
    }
}

/// The stream of the wire that rows of an output belong to.
fn of_port(port: OutputPort) -> u32 {
    match port {
        OutputPort::Main => 0,
        OutputPort::Late => 1,
        OutputPort::Rejected => 2,
        OutputPort::Side(number) => 3 + u32::from(number),
    }
}

fn given(rows: Option<Batch>) -> Result<Batch> {
    rows.ok_or_else(misunderstood)
}

fn misunderstood() -> Error {
    Error::internal("a plugin's process is asked for what makes no sense")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What happens beside calls.
struct Beside {
    sender: Mutex<Sender>,
    captured: Mutex<CapturedSoFar>,
    /// Whether the parent has been told that there are answers, and has not asked for them since.
    told: AtomicBool,
}

#[derive(Default)]
struct CapturedSoFar {
    next: u64,
    rows: BTreeMap<u64, CapturedRows>,
}

impl Wake for Beside {
    fn wake(self: Arc<Self>) {
        if !self.told.swap(true, Ordering::SeqCst) {
            // A parent that is gone has no use for answers.
            let _ = locked(&self.sender).send(&Later::Woken, None);
        }
    }
}

impl Beside {
    fn keep(&self, rows: CapturedRows) -> u64 {
        let mut captured = locked(&self.captured);
        captured.next += 1;
        let number = captured.next;
        captured.rows.insert(number, rows);
        number
    }

    /// # Errors
    /// If what the parent says is not understood.
    fn serve(&self, mut receiver: Receiver) -> Result<()> {
        while let Some((kept, _)) = receiver.receive()? {
            let told = match kept {
                Kept::Forget(number) => {
                    let forgotten = locked(&self.captured).rows.remove(&number);
                    drop(forgotten);
                    continue;
                }
                Kept::Make(number) => self.make(number),
            };
            let told = told.map_or_else(|error| Later::Failed(ErrorText::from(&error)), |()| Later::Made);
            if locked(&self.sender).send(&told, None).is_err() {
                // The parent has closed the socket.
                break;
            }
        }
        Ok(())
    }

    fn make(&self, number: u64) -> Result<()> {
        let rows = locked(&self.captured).rows.remove(&number).ok_or_else(misunderstood)?;
        for StateRows { rows, hashes, deleted } in rows()? {
            let piece = piece(&rows, hashes, deleted.map(|deleted| Arc::new(deleted) as ArrayRef))?;
            let (piece, deletes) = piece;
            // Rows of different tables come one after the other, and streams are told apart by their columns.
            locked(&self.sender).send(&Later::Piece { deletes }, Some((0, &piece)))?;
        }
        Ok(())
    }
}

fn piece(rows: &RecordBatch, hashes: UInt64Array, deleted: Option<ArrayRef>) -> Result<(Batch, bool)> {
    let deletes = deleted.is_some();
    let mut behind: Vec<(DataType, ArrayRef)> = vec![(DataType::UInt64, Arc::new(hashes))];
    behind.extend(deleted.map(|deleted| (DataType::Boolean, deleted)));
    Ok((with_columns(rows, behind)?, deletes))
}
