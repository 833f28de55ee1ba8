//! Randomness of the system.

use weir_core::{Error, Result};

/// What nobody can guess.
///
/// # Errors
/// If the system has no randomness.
pub fn secret() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| Error::environment("the system has no random numbers").with_source(errno))?;
    // So few bytes come at once, or not at all.
    if filled == bytes.len() { Ok(bytes) } else { Err(Error::environment("the system has too few random numbers")) }
}

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
