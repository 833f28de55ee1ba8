//! Standard streams of a process that is there for a plugin alone: whoever has started it talks to the host over them, of which the plugin's code must
//! not read or write anything.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;

use weir_core::{Error, Result};

/// Takes the sockets that standard input and output are, and closes all else that was inherited but standard error. What is read from standard input
/// afterwards is empty, and what is written to standard output goes to standard error. For the beginning of a process, when nothing is open.
///
/// # Errors
/// If the system does not let it.
pub fn take_sockets() -> Result<[UnixStream; 2]> {
    taken().map_err(|error| Error::environment("the sockets of a plugin's process cannot be used").with_source(error))
}

fn taken() -> io::Result<[UnixStream; 2]> {
    // SAFETY: nothing of this process has opened any of them. An old kernel does not know the call: then those stay that were opened to be inherited.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    let calls = io::stdin().as_fd().try_clone_to_owned()?;
    let later = io::stdout().as_fd().try_clone_to_owned()?;
    replace(0, &File::open("/dev/null")?)?;
    replace(1, &io::stderr())?;
    Ok([calls.into(), later.into()])
}

fn replace(stream: i32, by: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: both are open. What knows the stream by its number finds another one there, as it would after a redirection.
    match unsafe { libc::dup2(by.as_raw_fd(), stream) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
