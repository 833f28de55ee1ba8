//! Loading a plugin's file, and the handshake.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use arrow::ffi::FFI_ArrowArray;
use libloading::Library;
use weir_core::plugin::{
    FunctionCode, FunctionSignature, JobDescription, OperatorRequest, Plugin, PluginInfo, PluginSink, PluginSource,
    TableRequest,
};
use weir_core::{Error, Operator, Result};

use super::file;
use super::function::function;
use super::operator::Remote;
use super::table::{sink, source};
use crate::raw::{Answer, Descriptor, Exports, Functions, Handle, Lent, Tables};
use crate::{ABI_VERSION, EXPORTS_SINCE, OLDEST_ABI_VERSION, SDK_VERSION, SYMBOL, TABLES_SINCE};

/// A plugin that was loaded from a file. The file is unloaded with the last of it: operators and rows count too.
pub struct Loaded {
    inner: Arc<Inner>,
    info: PluginInfo,
    /// What it exports to SQL; none if its SDK could not.
    exports: Option<&'static Exports>,
    /// What its own sources and sinks do; none if its SDK knew of none.
    tables: Option<&'static Tables>,
}

/// What an SDK of its version has put into a descriptor.
struct Offered {
    functions: &'static Functions,
    exports: Option<&'static Exports>,
    tables: Option<&'static Tables>,
}

/// What operators and rows hold on to.
pub(super) struct Inner {
    plugin: Handle,
    functions: &'static Functions,
    // Dropped last: it unloads what `functions` points to.
    _library: Library,
}

// SAFETY: `Plugin` is `Send` and `Sync`, and so is what the handle stands for.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl Drop for Inner {
    fn drop(&mut self) {
        (self.functions.destroy)(self.plugin);
    }
}

/// Loads a file. Code of it runs from here on: in a process that other work depends on, only such as was planned elsewhere before.
///
/// # Errors
/// A user error if it is no plugin, or one that cannot be used here; an environment error if it cannot be read.
pub fn load(path: &Path) -> Result<Loaded> {
    let name = path.display();
    let unreadable = |error| Error::environment(format!("the plugin {name} cannot be read")).with_source(error);
    let mut header = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    file.take(64).read_to_end(&mut header).map_err(unreadable)?;
    file::check(path, &header, length)?;
    let full = path.canonicalize().map_err(unreadable)?;
    // SAFETY: its constructors run here. Whoever submits a plugin may run code in the process that loads it.
    let library = unsafe { Library::new(&full) }
        .map_err(|error| Error::user(format!("the plugin {name} cannot be loaded")).with_source(error))?;
    // SAFETY: a file that has this symbol says with it that the function is of this type.
    let symbol = unsafe { library.get::<extern "C" fn() -> *const Descriptor>(SYMBOL.as_bytes()) };
    let descriptor = symbol.map_err(|_| {
        Error::user(format!("{name} is a shared library, but no plugin: it does not export `{SYMBOL}`"))
            .with_help("name what is to be exported in the crate with `weir_jobs::export!(…)`")
    })?();
    if descriptor.is_null() {
        return Err(Error::user(format!("{name} is no plugin: it does not say what it is")));
    }
    // SAFETY: it is constant in the file, and the fields in front of `functions` are the same in all versions.
    let Offered { functions, exports, tables } = unsafe { check(&name.to_string(), descriptor) }?;
    let mut answer = Answer::empty();
    let plugin = (functions.create)(&mut answer);
    let inner = Inner { plugin, functions, _library: library };
    answer.into_result().map_err(|error| error.context(format!("the plugin {name} cannot be made")))?;
    let info = asked(|answer| (inner.functions.info)(inner.plugin, answer))?;
    Ok(Loaded { inner: Arc::new(inner), info, exports, tables })
}

/// # Safety
/// The pointer is to a descriptor of any version, which stays where it is.
unsafe fn check(name: &str, descriptor: *const Descriptor) -> Result<Offered> {
    // SAFETY: the caller promises it. Nothing behind these fields is read before the version is known.
    let (abi, unwinds, sdk, architecture, system) = unsafe {
        let text = |lent: Lent| String::from_utf8_lossy(lent.bytes()).into_owned();
        let at = descriptor;
        (
            std::ptr::addr_of!((*at).abi).read(),
            std::ptr::addr_of!((*at).unwinds).cast::<u8>().read() != 0,
            text(std::ptr::addr_of!((*at).sdk).read()),
            text(std::ptr::addr_of!((*at).architecture).read()),
            text(std::ptr::addr_of!((*at).system).read()),
        )
    };
    if !(OLDEST_ABI_VERSION..=ABI_VERSION).contains(&abi) {
        let newer = if abi > ABI_VERSION {
            "update the cluster and this command"
        } else {
            "build it with this version of the SDK"
        };
        return Err(Error::user(format!(
            "the plugin {name} was built with version {sdk} of the SDK, and this is Weir {SDK_VERSION}: they do not understand each other \
             (ABI {abi}, and here {ABI_VERSION})"
        ))
        .with_help(newer));
    }
    if (&*architecture, &*system) != (std::env::consts::ARCH, std::env::consts::OS) {
        let here = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
        return Err(Error::user(format!(
            "the plugin {name} was built for {architecture}-{system}, and this process is {here}"
        )));
    }
    if !unwinds {
        return Err(Error::user(format!(
            "the plugin {name} was built with `panic = \"abort\"`: a panic in it would end the whole process"
        ))
        .with_help("take `panic = \"abort\"` out of the profile in its Cargo.toml"));
    }
    // SAFETY: it is a descriptor of one of these versions, and has the exports and the tables of this one from those versions on.
    Ok(unsafe {
        Offered {
            functions: &*std::ptr::addr_of!((*descriptor).functions),
            exports: (abi >= EXPORTS_SINCE).then(|| &*std::ptr::addr_of!((*descriptor).exports)),
            tables: (abi >= TABLES_SINCE).then(|| &*std::ptr::addr_of!((*descriptor).tables)),
        }
    })
}

/// What a call answers, as JSON.
pub(super) fn asked<T: serde::de::DeserializeOwned>(call: impl FnOnce(*mut Answer)) -> Result<T> {
    let mut answer = Answer::empty();
    call(&mut answer);
    serde_json::from_slice(answer.into_result()?.bytes()).map_err(|error| {
        Error::user("what the plugin answers is not understood: its SDK is of another version").with_source(error)
    })
}

impl Inner {
    pub(super) fn handle(&self) -> Handle {
        self.plugin
    }

    pub(super) fn functions(&self) -> &'static Functions {
        self.functions
    }

    /// What the operator behind `call` answers, as JSON.
    pub(super) fn asked<T: serde::de::DeserializeOwned>(&self, call: impl FnOnce(*mut Answer)) -> Result<T> {
        asked(call)
    }
}

impl Plugin for Loaded {
    fn info(&self) -> PluginInfo {
        self.info.clone()
    }

    fn job(&self, arguments: &BTreeMap<String, String>) -> Result<JobDescription> {
        let arguments = json(arguments)?;
        asked(|answer| (self.inner.functions.job)(self.inner.plugin, Lent::new(&arguments), answer))
    }

    fn operator(&self, request: &OperatorRequest) -> Result<Box<dyn Operator>> {
        let text = json(request)?;
        let mut answer = Answer::empty();
        let operator = (self.inner.functions.operator)(self.inner.plugin, Lent::new(&text), &mut answer);
        answer.into_result()?;
        Ok(Box::new(Remote::new(self.inner.clone(), operator, request.clone())?))
    }

    fn source(&self, request: &TableRequest) -> Result<Box<dyn PluginSource>> {
        match self.tables {
            Some(tables) => source(self.inner.clone(), tables, request),
            None => Err(Error::user(format!("the plugin {} has no source '{}'", self.info.name, request.table))),
        }
    }

    fn sink(&self, request: &TableRequest) -> Result<Box<dyn PluginSink>> {
        match self.tables {
            Some(tables) => sink(self.inner.clone(), tables, request),
            None => Err(Error::user(format!("the plugin {} has no sink '{}'", self.info.name, request.table))),
        }
    }

    fn functions(&self) -> Result<Vec<FunctionSignature>> {
        let Some(exports) = self.exports else { return Ok(Vec::new()) };
        asked(|answer| (exports.signatures)(self.inner.plugin, answer))
    }

    fn function(&self, name: &str) -> Result<(FunctionSignature, FunctionCode)> {
        match self.exports {
            Some(exports) => function(self.inner.clone(), exports, name),
            None => Err(Error::user(format!("the plugin {} exports no function '{name}'", self.info.name))),
        }
    }
}

pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| Error::internal("a plugin cannot be told what it is asked").with_source(error))
}

/// The fields of [`FFI_ArrowArray`], which the C data interface fixes.
#[repr(C)]
struct RawArray {
    length: i64,
    null_count: i64,
    offset: i64,
    buffer_count: i64,
    child_count: i64,
    buffers: *mut *const c_void,
    children: *mut *mut FFI_ArrowArray,
    dictionary: *mut FFI_ArrowArray,
    release: Option<unsafe extern "C" fn(*mut FFI_ArrowArray)>,
    private_data: *mut c_void,
}

const _: () = assert!(size_of::<RawArray>() == size_of::<FFI_ArrowArray>());

/// Rows of a plugin, and the plugin, whose code frees them.
struct Held {
    rows: FFI_ArrowArray,
    _plugin: Arc<Inner>,
}

/// The same rows. Whoever holds a part of them keeps the plugin loaded.
pub(super) fn holding(rows: FFI_ArrowArray, plugin: Arc<Inner>) -> FFI_ArrowArray {
    let held = Box::new(Held { rows, _plugin: plugin });
    // SAFETY: both are laid out as the C data interface says.
    let raw = unsafe { &*std::ptr::from_ref(&held.rows).cast::<RawArray>() };
    let raw = RawArray {
        length: raw.length,
        null_count: raw.null_count,
        offset: raw.offset,
        buffer_count: raw.buffer_count,
        child_count: raw.child_count,
        buffers: raw.buffers,
        children: raw.children,
        dictionary: raw.dictionary,
        release: Some(release_held),
        private_data: Box::into_raw(held).cast(),
    };
    // SAFETY: as above; it takes the place of `rows`, which is released with it and not before.
    unsafe { std::mem::transmute::<RawArray, FFI_ArrowArray>(raw) }
}

unsafe extern "C" fn release_held(array: *mut FFI_ArrowArray) {
    // SAFETY: called once, for an array that `holding` has made.
    unsafe {
        let raw = &mut *array.cast::<RawArray>();
        raw.release = None;
        let Held { rows, _plugin } = *Box::from_raw(raw.private_data.cast::<Held>());
        // While the plugin is there.
        drop(rows);
    }
}
