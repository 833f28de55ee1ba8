//! `weir new`: a crate with a job in Rust, which builds, has a test and runs.

use std::path::{Path, PathBuf};

use weir_core::{Error, Result};

use crate::args::NewArguments;

/// The crate that this workspace builds and tests as `my-job`.
const JOB: &str = include_str!("../../jobs/template/src/lib.rs");
const TEST: &str = include_str!("../../jobs/template/tests/job.rs");

/// The SDK of the sources that this binary was built from.
const SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../jobs");

/// Makes the crate, and says what can be done with it.
///
/// # Errors
/// If there is something of that name already, the name cannot be a crate's, or the SDK is not found.
pub fn create(arguments: &NewArguments) -> Result<String> {
    let name = arguments.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_crate_name = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_".contains(letter));
    if !is_crate_name {
        return Err(Error::user(format!("`{name}` cannot be the name of a crate"))
            .with_help("write it in small letters, digits and hyphens, as in `weir new my-job`"));
    }
    let sdk = arguments.sdk.clone().unwrap_or_else(|| PathBuf::from(SDK));
    let sdk = sdk.canonicalize().ok().filter(|sdk| sdk.join("Cargo.toml").exists()).ok_or_else(|| {
        Error::user(format!("the SDK is not in {}", sdk.display()))
            .with_help("say where it is: --sdk PATH, the folder `jobs` of Weir's sources")
    })?;
    if arguments.path.exists() {
        return Err(Error::user(format!("{} exists already", arguments.path.display())));
    }
    let library = name.replace('-', "_");
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n\n\
         [dependencies]\nweir-jobs = {{ path = {sdk:?} }}\n\n# A crate of its own, also inside of a workspace.\n[workspace]\n"
    );
    let files = [
        ("Cargo.toml", manifest),
        (".gitignore", "/target\n".to_owned()),
        ("src/lib.rs", JOB.replace("my_job", &library)),
        ("tests/job.rs", TEST.replace("my_job", &library)),
    ];
    for (file, text) in files {
        write(&arguments.path.join(file), &text)?;
    }
    let path = arguments.path.display();
    Ok(format!(
        "{path} has a job that reports silent sensors, with the SDK in {}. Next:\n  cd {path}\n  \
         cargo test                                      # the first build takes minutes, later ones seconds\n  \
         cargo build\n  mkdir readings && echo 'attic,20.5,2026-01-01 00:00:00' > readings/1.csv\n  \
         weir run target/debug/lib{library}.so\n  cargo build --release                           # what to submit to a cluster\n",
        sdk.display()
    ))
}

fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, text))
        .map_err(|error| Error::environment(format!("cannot write {}", path.display())).with_source(error))
}
