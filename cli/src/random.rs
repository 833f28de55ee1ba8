//! Randomness of the system.

use weir_core::{Error, Result};

/// A number that no other process has.
///
/// # Errors
/// If the system has no randomness.
pub fn random() -> Result<u64> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| Error::environment("the system has no random numbers").with_source(errno))?;
    Ok(u64::from_le_bytes(bytes))
}
