//! Files that are not loaded, each with its reason. Small ones are compiled here, without any SDK.

use std::path::{Path, PathBuf};
use std::process::Command;

use weir_core::ErrorKind;
use weir_core::plugin::{Plugin, TableRequest};
use weir_plugin_abi::host::load;
use weir_plugin_abi::{ABI_VERSION, OLDEST_ABI_VERSION};

/// What stands at the beginning of a descriptor of any version.
const DESCRIPTOR: &str = r#"
    #[repr(C)] pub struct Lent { data: *const u8, length: usize }
    #[repr(C)] pub struct Descriptor { abi: u32, unwinds: bool, sdk: Lent, architecture: Lent, system: Lent }
    unsafe impl Sync for Descriptor {}
    const fn lent(text: &'static str) -> Lent { Lent { data: text.as_ptr(), length: text.len() } }
"#;

fn compiled(directory: &Path, code: &str) -> PathBuf {
    let (source, file) = (directory.join("plugin.rs"), directory.join("plugin.so"));
    std::fs::write(&source, code).unwrap();
    let rustc = option_env!("RUSTC").unwrap_or("rustc");
    let arguments = ["--edition", "2024", "--crate-type", "cdylib", "-o"];
    let done = Command::new(rustc).args(arguments).arg(&file).arg(&source).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    file
}

fn refused(path: &Path) -> String {
    let Err(error) = load(path) else { panic!("{} was loaded", path.display()) };
    assert_eq!(error.kind(), ErrorKind::User);
    error.report()
}

fn with_descriptor(abi: u32, unwinds: bool, architecture: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let code = format!(
        "{DESCRIPTOR}
         static IT: Descriptor = Descriptor {{ abi: {abi}, unwinds: {unwinds}, sdk: lent(\"7.3.1\"), architecture: lent({architecture}),
                                               system: lent(std::env::consts::OS) }};
         #[unsafe(no_mangle)] pub extern \"C\" fn weir_plugin() -> *const Descriptor {{ &IT }}"
    );
    refused(&compiled(directory.path(), &code))
}

#[test]
fn a_plugin_says_what_it_is() {
    let info = super::plugin().info();
    assert_eq!((&*info.name, &*info.version), ("weir-test-plugin", env!("CARGO_PKG_VERSION")));
}

#[test]
fn one_of_another_sdk_is_refused_with_both_versions() {
    let report = with_descriptor(ABI_VERSION + 1, true, "std::env::consts::ARCH");
    assert!(report.contains("version 7.3.1 of the SDK"), "{report}");
    assert!(report.contains(&format!("(ABI {}, and here {ABI_VERSION})", ABI_VERSION + 1)), "{report}");
    assert!(report.contains("update the cluster"), "{report}");
    let older = with_descriptor(OLDEST_ABI_VERSION - 1, true, "std::env::consts::ARCH");
    assert!(older.contains("build it with this version of the SDK"), "{older}");
}

/// A plugin as an SDK of version 2 has built it: its descriptor ends behind `functions`, of which there are 23.
const OF_VERSION_2: &str = r###"
    #[repr(C)] pub struct Lent { data: *const u8, length: usize }
    #[repr(C)] pub struct Owned { data: *mut u8, length: usize, capacity: usize, free: Option<extern "C" fn(*mut Owned)> }
    #[repr(C)] pub struct Answer { failed: bool, bytes: Owned }
    #[repr(C)] pub struct Functions {
        create: extern "C" fn(*mut Answer) -> *mut u8,
        destroy: extern "C" fn(*mut u8),
        info: extern "C" fn(*mut u8, *mut Answer),
        others: [extern "C" fn(); 20],
    }
    #[repr(C)] pub struct Descriptor { abi: u32, unwinds: bool, sdk: Lent, architecture: Lent, system: Lent, functions: Functions }
    unsafe impl Sync for Descriptor {}
    const fn lent(text: &'static str) -> Lent { Lent { data: text.as_ptr(), length: text.len() } }
    static INFO: &str = r##"{"name":"old","version":"0.9.0"}"##;
    extern "C" fn kept(_: *mut Owned) {}
    extern "C" fn create(_: *mut Answer) -> *mut u8 { std::ptr::null_mut() }
    extern "C" fn destroy(_: *mut u8) {}
    extern "C" fn info(_: *mut u8, answer: *mut Answer) {
        let bytes = Owned { data: INFO.as_ptr().cast_mut(), length: INFO.len(), capacity: INFO.len(), free: Some(kept) };
        unsafe { answer.write(Answer { failed: false, bytes }) };
    }
    extern "C" fn other() { std::process::abort() }
    static IT: Descriptor = Descriptor {
        abi: 2, unwinds: true, sdk: lent("0.1.0"), architecture: lent(std::env::consts::ARCH), system: lent(std::env::consts::OS),
        functions: Functions { create, destroy, info, others: [other; 20] },
    };
    #[unsafe(no_mangle)] pub extern "C" fn weir_plugin() -> *const Descriptor { &IT }
"###;

#[test]
fn one_of_a_version_before_functions_is_loaded_and_exports_none() {
    assert_eq!(OLDEST_ABI_VERSION, 2);
    for version in [2, 3] {
        loads_without_functions(&OF_VERSION_2.replace("abi: 2,", &format!("abi: {version},")));
    }
}

/// The same as one of version 4 has it, where exports stand behind the functions and are used.
#[test]
fn one_of_a_version_before_tables_is_loaded_and_has_none() {
    let exports =
        "#[repr(C)] pub struct Exports { others: [extern \"C\" fn(); 10] }\n#[repr(C)] pub struct Descriptor {";
    let code = OF_VERSION_2
        .replace("abi: 2,", "abi: 4,")
        .replace("#[repr(C)] pub struct Descriptor {", exports)
        .replace("functions: Functions }", "functions: Functions, exports: Exports }")
        .replace("others: [other; 20] },", "others: [other; 20] }, exports: Exports { others: [other; 10] },");
    let directory = tempfile::tempdir().unwrap();
    let plugin = load(&compiled(directory.path(), &code)).unwrap();
    let request = TableRequest { table: "t".into(), config: Vec::new(), columns: weir_test_plugin::table_columns() };
    let Err(error) = plugin.source(&request) else { panic!("it has none") };
    assert_eq!(error.to_string(), "the plugin old has no source 't'");
    let Err(error) = plugin.sink(&request) else { panic!("it has none") };
    assert_eq!(error.to_string(), "the plugin old has no sink 't'");
}

fn loads_without_functions(code: &str) {
    let directory = tempfile::tempdir().unwrap();
    let plugin = load(&compiled(directory.path(), code)).unwrap();
    assert_eq!((&*plugin.info().name, &*plugin.info().version), ("old", "0.9.0"));
    assert_eq!(plugin.functions().unwrap(), []);
    let Err(error) = plugin.function("shout") else { panic!("it has none") };
    assert!(error.to_string().contains("the plugin old exports no function 'shout'"), "{error}");
}

#[test]
fn one_whose_panics_cannot_be_caught_is_refused() {
    let report = with_descriptor(ABI_VERSION, false, "std::env::consts::ARCH");
    assert!(report.contains("panic = \"abort\""), "{report}");
}

#[test]
fn one_that_says_it_is_for_another_machine_is_refused() {
    let report = with_descriptor(ABI_VERSION, true, "\"pdp11\"");
    assert!(report.contains("built for pdp11-"), "{report}");
}

#[test]
fn a_library_that_is_no_plugin_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = compiled(directory.path(), "#[unsafe(no_mangle)] pub extern \"C\" fn other() {}");
    let report = refused(&file);
    assert!(report.contains("does not export `weir_plugin`"), "{report}");
}

#[test]
fn what_is_no_library_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("job.sql");
    std::fs::write(&script, "SELECT 1").unwrap();
    assert!(refused(&script).contains("it is no shared library"));
    let torn = directory.path().join("torn.so");
    let bytes = std::fs::read(weir_test_plugin::file()).unwrap();
    std::fs::write(&torn, &bytes[..bytes.len() / 2]).unwrap();
    let report = refused(&torn);
    assert!(report.contains("it is not whole"), "{report}");
    let Err(missing) = load(&directory.path().join("missing.so")) else { panic!("there is no such file") };
    assert_eq!(missing.kind(), ErrorKind::Environment);
}
