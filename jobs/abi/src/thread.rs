//! Threads of a plugin. Those of the standard library leave something behind in the thread that starts them, a thread-local value with a destructor,
//! which keeps the plugin's file loaded for as long as that thread, one of the engine's, lives. These do not.

use std::ffi::c_void;
use std::mem::MaybeUninit;

use weir_core::{Error, Result};

use crate::panics::caught;

/// A thread, which is waited for when this is dropped. Whatever makes it end has to have happened by then.
pub struct Thread {
    thread: libc::pthread_t,
}

// SAFETY: any thread may join another.
unsafe impl Send for Thread {}

type Body = Box<dyn FnOnce() + Send>;

impl Thread {
    /// Starts a thread. A panic ends it, and is told nobody.
    ///
    /// # Errors
    /// If the system does not give one.
    pub fn start(body: impl FnOnce() + Send + 'static) -> Result<Self> {
        let body: *mut Body = Box::into_raw(Box::new(Box::new(body)));
        let mut thread = MaybeUninit::uninit();
        // SAFETY: `run` takes the body over, and the thread is written where there is room for it.
        let code = unsafe { libc::pthread_create(thread.as_mut_ptr(), std::ptr::null(), run, body.cast()) };
        if code == 0 {
            // SAFETY: it was written, since the call has succeeded.
            return Ok(Self { thread: unsafe { thread.assume_init() } });
        }
        // SAFETY: no thread has taken it over.
        drop(unsafe { Box::from_raw(body) });
        Err(Error::environment("a thread cannot be started").with_source(std::io::Error::from_raw_os_error(code)))
    }
}

extern "C" fn run(body: *mut c_void) -> *mut c_void {
    // SAFETY: `start` hands it over, to this thread alone.
    let body = unsafe { Box::from_raw(body.cast::<Body>()) };
    let _ = caught("a thread", || {
        body();
        Ok(())
    });
    std::ptr::null_mut()
}

impl Drop for Thread {
    fn drop(&mut self) {
        // SAFETY: it is joined here and nowhere else, and not by itself: nobody gives it this value.
        unsafe { libc::pthread_join(self.thread, std::ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_thread_has_ended_when_it_was_dropped_even_by_a_panic() {
        for panics in [false, true] {
            let (sender, receiver) = channel();
            let thread = Thread::start(move || {
                sender.send(1).unwrap();
                assert!(!panics, "a panic that nobody hears of");
            });
            drop(thread.unwrap());
            assert_eq!(receiver.iter().collect::<Vec<_>>(), [1]);
        }
    }
}
