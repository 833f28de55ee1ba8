//! What crosses the boundary, as C lays it out.

use std::ffi::c_void;

use arrow::ffi::FFI_ArrowArray;

/// Bytes that are lent for the length of a call, or, in a [`Descriptor`], for as long as the file is loaded.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Lent {
    data: *const u8,
    length: usize,
}

impl Lent {
    /// Lends bytes.
    pub const fn new(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr(), length: bytes.len() }
    }

    /// The bytes.
    ///
    /// # Safety
    /// Only during the call that they were lent for.
    pub unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.data.is_null() {
            return &[];
        }
        // SAFETY: the other side lends them for as long as the caller promises to use them.
        unsafe { std::slice::from_raw_parts(self.data, self.length) }
    }
}

/// Bytes that are handed over. They are freed by the side that made them.
#[repr(C)]
#[derive(Debug)]
pub struct Owned {
    data: *mut u8,
    length: usize,
    capacity: usize,
    free: Option<extern "C" fn(*mut Owned)>,
}

impl Owned {
    /// None.
    pub const fn empty() -> Self {
        Self { data: std::ptr::null_mut(), length: 0, capacity: 0, free: None }
    }

    /// Hands bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        let mut bytes = std::mem::ManuallyDrop::new(bytes);
        Self { data: bytes.as_mut_ptr(), length: bytes.len(), capacity: bytes.capacity(), free: Some(free) }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        if self.data.is_null() {
            return &[];
        }
        // SAFETY: `new` has made it of a vector, which `free` alone takes back.
        unsafe { std::slice::from_raw_parts(self.data, self.length) }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(free) = self.free.take() {
            free(self);
        }
    }
}

extern "C" fn free(owned: *mut Owned) {
    // SAFETY: called once, by `Drop`, on the side that called `new`, whose vector this was.
    unsafe {
        let owned = &mut *owned;
        drop(Vec::from_raw_parts(owned.data, owned.length, owned.capacity));
        owned.data = std::ptr::null_mut();
    }
}

/// How a call went.
#[repr(C)]
#[derive(Debug)]
pub struct Answer {
    /// Whether it has failed.
    pub(crate) failed: bool,
    /// What it answers, or the error.
    pub(crate) bytes: Owned,
}

impl Answer {
    /// That of a call which has nothing to say.
    pub const fn empty() -> Self {
        Self { failed: false, bytes: Owned::empty() }
    }
}

/// A time, or none.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct OptionTime {
    /// Whether there is one.
    pub is_some: bool,
    /// Milliseconds since 1970.
    pub time: i64,
}

/// Where an operator's output goes during a call.
#[repr(C)]
pub struct Outputs {
    /// The host's own.
    pub context: *mut c_void,
    /// Takes rows. `weighted`: behind the output's columns there is one with weights.
    pub rows: extern "C" fn(context: *mut c_void, port: u32, weighted: bool, rows: *mut FFI_ArrowArray),
    /// Counts late rows.
    pub late: extern "C" fn(context: *mut c_void, rows: u64),
}

/// Where captured rows go during a call.
#[repr(C)]
pub struct Pieces {
    /// The host's own.
    pub context: *mut c_void,
    /// Takes rows of a state table: its columns, behind them the hashes, and with `deletes` which of them are gone.
    pub rows: extern "C" fn(context: *mut c_void, deletes: bool, rows: *mut FFI_ArrowArray),
}

/// What is about to be called, as the guest sees it.
pub type Handle = *mut c_void;

/// The functions of a plugin. Each writes into its last argument how it went.
#[repr(C)]
pub struct Functions {
    /// Makes the plugin.
    pub create: extern "C" fn(answer: *mut Answer) -> Handle,
    /// Ends it. Nothing else of the file is called afterwards.
    pub destroy: extern "C" fn(plugin: Handle),
    /// What it is called: JSON.
    pub info: extern "C" fn(plugin: Handle, answer: *mut Answer),
    /// Describes its job: JSON in and out.
    pub job: extern "C" fn(plugin: Handle, arguments: Lent, answer: *mut Answer),
    /// Makes an operator, for a request in JSON.
    pub operator: extern "C" fn(plugin: Handle, request: Lent, answer: *mut Answer) -> Handle,
    /// Ends an operator.
    pub drop_operator: extern "C" fn(operator: Handle),
    /// Its tables: JSON.
    pub tables: extern "C" fn(operator: Handle, answer: *mut Answer),
    /// `Operator::open`, with the context as JSON.
    pub open: extern "C" fn(operator: Handle, context: Lent, answer: *mut Answer),
    /// `Operator::load`: columns of the table, and behind them the hashes.
    pub load: extern "C" fn(operator: Handle, table: usize, rows: *mut FFI_ArrowArray, answer: *mut Answer),
    /// `Operator::expired`, `due` and `settled`, by number.
    pub bound: extern "C" fn(operator: Handle, which: u32, table: usize, time: i64, answer: *mut Answer) -> OptionTime,
    /// `Operator::evict`: JSON out.
    pub evict: extern "C" fn(
        operator: Handle,
        leaves: extern "C" fn(context: *const c_void, hash: u64) -> bool,
        context: *const c_void,
        answer: *mut Answer,
    ),
    /// `Operator::process`. `weighted`: behind the input's columns there is one with weights.
    pub process: extern "C" fn(
        operator: Handle,
        ordinal: usize,
        weighted: bool,
        rows: *mut FFI_ArrowArray,
        now: i64,
        outputs: *const Outputs,
        answer: *mut Answer,
    ),
    /// `Operator::watermark`.
    pub watermark: extern "C" fn(
        operator: Handle,
        time: i64,
        now: i64,
        outputs: *const Outputs,
        answer: *mut Answer,
    ) -> OptionTime,
    /// `Operator::tick`.
    pub tick: extern "C" fn(operator: Handle, now: i64, outputs: *const Outputs, answer: *mut Answer) -> OptionTime,
    /// `Operator::outstanding`, by number.
    pub outstanding: extern "C" fn(operator: Handle) -> u32,
    /// `Operator::wake_by`. `wake` may be called with `context` from any thread, until the operator has been dropped.
    pub wake_by: extern "C" fn(
        operator: Handle,
        wake: extern "C" fn(context: *const c_void),
        context: *const c_void,
        answer: *mut Answer,
    ),
    /// `Operator::answers`.
    pub answers: extern "C" fn(operator: Handle, now: i64, outputs: *const Outputs, answer: *mut Answer) -> OptionTime,
    /// `Operator::release`.
    pub release: extern "C" fn(operator: Handle, now: i64, outputs: *const Outputs, answer: *mut Answer),
    /// `Operator::flush`.
    pub flush: extern "C" fn(operator: Handle, now: i64, outputs: *const Outputs, answer: *mut Answer),
    /// `Operator::capture`: a handle for each table, which `take` is called with.
    pub capture: extern "C" fn(
        operator: Handle,
        take: extern "C" fn(context: *mut c_void, rows: Handle, expired: OptionTime),
        context: *mut c_void,
        answer: *mut Answer,
    ),
    /// Makes captured rows, on any thread. Uses the handle up.
    pub make_rows: extern "C" fn(rows: Handle, pieces: *const Pieces, answer: *mut Answer),
    /// Gives captured rows up that were not made.
    pub drop_rows: extern "C" fn(rows: Handle),
    /// `Operator::state_bytes`.
    pub state_bytes: extern "C" fn(operator: Handle) -> usize,
}

/// The functions of a plugin by which SQL calls its own. Plugins of earlier versions have none that are used.
#[repr(C)]
pub struct Exports {
    /// What can be called: JSON.
    pub signatures: extern "C" fn(plugin: Handle, answer: *mut Answer),
    /// The code of the function of a name; the answer says what it takes and gives: JSON. It is called from several threads at the same time.
    pub function: extern "C" fn(plugin: Handle, name: Lent, answer: *mut Answer) -> Handle,
    /// Gives a function up.
    pub drop_function: extern "C" fn(function: Handle),
    /// `ScalarFunction::call`: a column for each parameter in, and a row for each result out. `results` is written to if the call does not fail.
    pub call_scalar: extern "C" fn(
        function: Handle,
        arguments: *mut FFI_ArrowArray,
        results: *mut FFI_ArrowArray,
        answer: *mut Answer,
    ),
    /// `AggregateFunction::group`.
    pub group: extern "C" fn(function: Handle, answer: *mut Answer) -> Handle,
    /// Gives a group up.
    pub drop_group: extern "C" fn(group: Handle),
    /// `AggregateGroup::update`: a column for each parameter.
    pub update_group: extern "C" fn(group: Handle, arguments: *mut FFI_ArrowArray, answer: *mut Answer),
    /// `AggregateGroup::merge`: a column of states.
    pub merge_groups: extern "C" fn(group: Handle, states: *mut FFI_ArrowArray, answer: *mut Answer),
    /// `AggregateGroup::state`, or, with `result`, `AggregateGroup::result`: a column. `value` is written to if the call does not fail.
    pub value_of_group: extern "C" fn(group: Handle, result: bool, value: *mut FFI_ArrowArray, answer: *mut Answer),
    /// `AggregateGroup::bytes`.
    pub bytes_of_group: extern "C" fn(group: Handle) -> usize,
}

/// Where rows that are to be committed come from during a call.
#[repr(C)]
pub struct Rows {
    /// The host's own.
    pub context: *mut c_void,
    /// Gives the next rows, with the columns of the request, and says whether there are some. `rows` is written to if there are.
    pub next: extern "C" fn(context: *mut c_void, rows: *mut FFI_ArrowArray, answer: *mut Answer) -> bool,
}

/// The functions of a plugin for its own sources and sinks. Plugins of earlier versions have none. A handle is used by one thread at a time.
#[repr(C)]
pub struct Tables {
    /// Makes a source, for a request in JSON.
    pub source: extern "C" fn(plugin: Handle, request: Lent, answer: *mut Answer) -> Handle,
    /// Gives a source up.
    pub drop_source: extern "C" fn(source: Handle),
    /// `PluginSource::splits`: JSON.
    pub splits: extern "C" fn(source: Handle, answer: *mut Answer),
    /// `PluginSource::open`, for a split and a position in JSON.
    pub open_split: extern "C" fn(source: Handle, split: Lent, answer: *mut Answer) -> Handle,
    /// Gives a reader up.
    pub drop_reader: extern "C" fn(reader: Handle),
    /// `PluginReader::read`: JSON, and rows with the columns of the request, which are written to `rows` if the answer says so.
    pub read: extern "C" fn(reader: Handle, most: usize, rows: *mut FFI_ArrowArray, answer: *mut Answer),
    /// Makes a sink, for a request in JSON.
    pub sink: extern "C" fn(plugin: Handle, request: Lent, answer: *mut Answer) -> Handle,
    /// Gives a sink up.
    pub drop_sink: extern "C" fn(sink: Handle),
    /// `PluginSink::commit`, of an epoch in JSON.
    pub commit: extern "C" fn(sink: Handle, commit: Lent, rows: *const Rows, answer: *mut Answer),
    /// `PluginSink::last_epoch`: JSON.
    pub last_epoch: extern "C" fn(sink: Handle, writer: Lent, answer: *mut Answer),
}

/// What a plugin's file says of itself.
#[repr(C)]
pub struct Descriptor {
    /// [`ABI_VERSION`](crate::ABI_VERSION) of its SDK.
    pub abi: u32,
    /// Whether a panic in it can be caught.
    pub unwinds: bool,
    /// Version of its SDK.
    pub sdk: Lent,
    /// Architecture that it was built for, as `std::env::consts::ARCH` has it.
    pub architecture: Lent,
    /// Operating system that it was built for.
    pub system: Lent,
    /// What it does.
    pub functions: Functions,
    /// What it does for SQL. Not there in version 2, and not used in version 3.
    pub exports: Exports,
    /// What its own sources and sinks do. There since version 5.
    pub tables: Tables,
}

// SAFETY: it is constant, and so is what its pointers point to.
unsafe impl Sync for Descriptor {}

#[cfg(test)]
mod tests {
    use crate::ABI_VERSION;

    /// What crosses the boundary, without comments and blanks.
    fn text() -> String {
        let source = include_str!("raw.rs").split("#[cfg(test)]").next().unwrap_or_default();
        let code = source.lines().map(str::trim).filter(|line| !line.starts_with("//"));
        code.flat_map(|line| line.chars().filter(|letter| !letter.is_whitespace())).collect()
    }

    /// FNV-1a, Fowler, Noll and Vo.
    fn fingerprint(text: &str) -> u64 {
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    #[test]
    fn what_crosses_the_boundary_changes_with_its_version() {
        // Whoever has changed something that both sides have to agree on raises the version and writes both here.
        assert_eq!((ABI_VERSION, fingerprint(&text())), (5, 0xe856_bc8b_162e_c5f9), "is ABI_VERSION to be raised?");
    }
}
