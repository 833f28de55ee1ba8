//! Compiles `proto/**/*.proto` to Rust. protox parses them, so that no protoc has to be installed.

/// One file per package; add a file here when a package is added.
const FILES: &[&str] =
    &["weir/client/v1/client.proto", "weir/job/v1/job.proto", "weir/peer/v1/peer.proto", "weir/worker/v1/worker.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    // Paths are relative to the include folder, so that messages about a file name it as its importers do.
    let descriptors = protox::compile(FILES, ["proto"])?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
