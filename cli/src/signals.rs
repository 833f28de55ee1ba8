//! ^C and SIGTERM.

use tokio::signal::unix::{Signal, SignalKind, signal};
use weir_core::{Error, Result};

use crate::exit::Exit;

/// What the user or the system sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// ^C.
    Keyboard,
    /// SIGTERM.
    Terminate,
}

impl Interrupt {
    /// How the program ends if it cannot do better.
    pub fn exit(self) -> Exit {
        match self {
            Interrupt::Keyboard => Exit::Interrupted,
            Interrupt::Terminate => Exit::Terminated,
        }
    }
}

/// Listens to both.
pub struct Signals {
    keyboard: Signal,
    terminate: Signal,
}

impl Signals {
    /// From now on the signals come here instead of ending the process.
    ///
    /// # Errors
    /// If the system does not let us.
    pub fn listen() -> Result<Self> {
        let listen =
            |kind| signal(kind).map_err(|error| Error::environment("cannot listen to signals").with_source(error));
        Ok(Self { keyboard: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// The next signal.
    pub async fn next(&mut self) -> Interrupt {
        tokio::select! {
            _ = self.keyboard.recv() => Interrupt::Keyboard,
            _ = self.terminate.recv() => Interrupt::Terminate,
        }
    }
}
