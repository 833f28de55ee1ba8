//! What a plugin must not do.

use std::fmt;
use std::fs::File;
use std::str::FromStr;

use weir_core::{Error, Result};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It says that it cannot.
    Error,
    /// It panics.
    Panic,
    /// It ends the process.
    Abort,
    /// It writes where there is no memory.
    Segfault,
    /// It does not come back.
    Loop,
    /// It ends the process as if all were well.
    Exit,
    /// It takes memory, up to a GiB.
    Memory,
    /// It starts a process, and does not wait for it.
    Helper,
    /// It makes a copy of its process that has all that it has open, and a process group of its own, and lives for a minute.
    Fork,
}

const ALL: [Fault; 9] = [
    Fault::Error,
    Fault::Panic,
    Fault::Abort,
    Fault::Segfault,
    Fault::Loop,
    Fault::Exit,
    Fault::Memory,
    Fault::Helper,
    Fault::Fork,
];

impl Fault {
    /// Does it.
    ///
    /// # Errors
    /// If that is what goes wrong.
    ///
    /// # Panics
    /// If that is what goes wrong.
    pub fn happen(self) -> Result<()> {
        match self {
            Self::Error => Err(Error::data("a word of which there is no count").with_help("use another word")),
            Self::Panic => panic!("a word too many"),
            Self::Abort => std::process::abort(),
            Self::Segfault => {
                // SAFETY: none. It is what the process dies of.
                unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
                Ok(())
            }
            Self::Loop => loop {
                std::thread::yield_now();
            },
            #[expect(clippy::disallowed_methods, reason = "it is what must not be done")]
            Self::Exit => std::process::exit(3),
            Self::Memory => {
                let taken: Vec<Vec<u8>> = (0..1024).map(|_| vec![1; 1 << 20]).collect();
                Err(Error::data(format!("there were {} MiB of memory", std::hint::black_box(taken).len())))
            }
            Self::Helper => {
                let failed = |error| Error::environment("there is no `sleep`").with_source(error);
                std::process::Command::new("sleep").arg("60").spawn().map(drop).map_err(failed)
            }
            Self::Fork => {
                // SAFETY: the copy calls nothing but the system.
                match unsafe { libc::fork() } {
                    // SAFETY: as above.
                    0 => unsafe {
                        libc::setsid();
                        libc::sleep(60);
                        libc::_exit(0)
                    },
                    _ => Ok(()),
                }
            }
        }
    }
}

/// What goes wrong somewhere, and whether it does so once.
#[derive(Debug, Clone, Default)]
pub struct Risk {
    fault: Option<Fault>,
    /// A file that is there when it has happened, and then it does not again.
    once: Option<String>,
}

impl Risk {
    /// What goes wrong, and a file that is written then if it is to go wrong once.
    pub fn new(fault: Option<Fault>, once: Option<&str>) -> Self {
        Self { fault, once: once.map(str::to_owned) }
    }

    /// The fault, whether it has happened or not.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Does what goes wrong, if it can still happen.
    ///
    /// # Errors
    /// As [`Fault::happen`].
    pub fn happen(&self) -> Result<()> {
        let is_first = |file: &String| File::create_new(file).is_ok();
        match self.fault {
            Some(fault) if self.once.as_ref().is_none_or(is_first) => fault.happen(),
            _ => Ok(()),
        }
    }
}

impl FromStr for Risk {
    type Err = Error;

    /// A line with a name, if anything goes wrong, and maybe one with the file.
    fn from_str(text: &str) -> Result<Self> {
        let (fault, once) = text.split_once('\n').map_or((text, None), |(fault, once)| (fault, Some(once)));
        let fault = (!fault.is_empty()).then(|| fault.parse()).transpose()?;
        Ok(Self::new(fault, once))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Panic => "panic",
            Self::Abort => "abort",
            Self::Segfault => "segfault",
            Self::Loop => "loop",
            Self::Exit => "exit",
            Self::Memory => "memory",
            Self::Helper => "helper",
            Self::Fork => "fork",
        })
    }
}

impl FromStr for Fault {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = ALL.into_iter().find(|fault| fault.to_string() == text);
        found.ok_or_else(|| Error::user(format!("there is no fault `{text}`")))
    }
}
