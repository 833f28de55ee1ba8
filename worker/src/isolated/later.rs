//! The second socket of a plugin's process, as its parent sees it: what is told while calls go on. A thread reads it: wakers are woken, and pieces of
//! captured rows go to whoever waits for them.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::Waker;

use weir_core::{Batch, Error, Result};

use super::protocol;
use super::wire::{self, Receiver, Sender};

/// Pieces of captured rows that may wait for whoever wants them.
const PIECES: usize = 4;

/// What a process tells while calls go on.
pub struct Later {
    sender: Mutex<Sender>,
    /// Held until all pieces of captured rows are there: they do not say whose they are.
    making: Mutex<()>,
    listener: Arc<Mutex<Listener>>,
}

#[derive(Default)]
struct Listener {
    waker: Option<Waker>,
    /// Who waits for captured rows: one at a time.
    made: Option<mpsc::SyncSender<Told>>,
    has_ended: bool,
}

/// A message about captured rows.
type Told = (protocol::Later, Option<Batch>);

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Later {
    /// Begins to listen, until the process closes the socket.
    ///
    /// # Errors
    /// If there is no thread for it.
    pub fn listen(socket: &Arc<UnixStream>) -> Result<Self> {
        let (sender, receiver) = wire::split(socket);
        let listener = Arc::new(Mutex::new(Listener::default()));
        let heard = listener.clone();
        let thread = std::thread::Builder::new().name("weir-child-later".into());
        let thread = thread.spawn(move || listen(receiver, &heard));
        // It ends with the process.
        thread.map(drop).map_err(|error| Error::environment("a thread cannot be started").with_source(error))?;
        Ok(Self { sender: Mutex::new(sender), making: Mutex::default(), listener })
    }

    /// Who is woken from here on; `None`: nobody.
    pub fn wake(&self, waker: Option<Waker>) {
        held(&self.listener).waker = waker;
    }

    /// Has the process make captured rows, and gives each piece to `take`: its rows, and whether they say which keys are gone.
    ///
    /// # Errors
    /// What has gone wrong in the process; `None` if it is gone.
    pub fn make(&self, number: u64, mut take: impl FnMut(Batch, bool) -> Result<()>) -> Result<Option<()>> {
        let _alone = held(&self.making);
        let (made, pieces) = mpsc::sync_channel(PIECES);
        {
            let mut listener = held(&self.listener);
            if listener.has_ended {
                return Ok(None);
            }
            listener.made = Some(made);
        }
        if held(&self.sender).send(&protocol::Kept::Make(number), None).is_err() {
            return Ok(None);
        }
        let mut taken = Ok(());
        while let Ok(told) = pieces.recv() {
            match told {
                // The others come all the same.
                (protocol::Later::Piece { deletes }, Some(rows)) if taken.is_ok() => taken = take(rows, deletes),
                (protocol::Later::Made, _) => return taken.map(Some),
                (protocol::Later::Failed(error), _) => return Err(error.into()),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Lets go of captured rows.
    pub fn forget(&self, number: u64) {
        // With a process that is gone they are too.
        let _ = held(&self.sender).send(&protocol::Kept::Forget(number), None);
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        // The thread has a share of the socket, which would keep it open. One that is closed already is what is wanted.
        let _ = held(&self.sender).socket().shutdown(Shutdown::Both);
    }
}

/// Says that nothing is told any more, also when the thread panics.
struct Ends<'a>(&'a Mutex<Listener>);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        let mut listener = held(self.0);
        listener.has_ended = true;
        listener.made = None;
        // Whoever asks for answers hears that there will be none.
        let waker = listener.waker.take();
        drop(listener);
        waker.inspect(Waker::wake_by_ref);
    }
}

fn listen(mut receiver: Receiver, listener: &Mutex<Listener>) {
    let _ends = Ends(listener);
    while let Ok(Some((told, rows))) = receiver.receive::<protocol::Later>() {
        let listener = held(listener);
        match told {
            protocol::Later::Woken => {
                let waker = listener.waker.clone();
                drop(listener);
                waker.inspect(Waker::wake_by_ref);
            }
            told => {
                let made = listener.made.clone();
                drop(listener);
                if let Some(made) = made {
                    // Who waited may have given up.
                    let _ = made.send((told, rows));
                }
            }
        }
    }
}
