//! How frames get from one process to another. TCP does it in production, queues do it in a simulation.

use async_trait::async_trait;
use weir_core::{Place, Result};

use super::frame::Frame;

/// Makes links.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Connects to who listens at `address`. May be dropped before it is ready.
    ///
    /// # Errors
    /// If nobody does, or nobody can be reached.
    async fn dial(&self, address: &str) -> Result<Link>;

    /// Waits for the next link that a peer dials. May be dropped before it is ready, and loses nothing then. How many there are of whose
    /// other end nothing is known, in all and from one address, is limited here.
    ///
    /// # Errors
    /// If a link could not be accepted. The next one may be.
    async fn accept(&self) -> Result<Link>;
}

/// Two ends of a link: what is sent arrives in order, or the link breaks. Dropping both ends breaks it.
pub struct Link {
    /// Who is at the other end, for people.
    pub peer: String,
    /// Frames out.
    pub sender: Box<dyn FrameSender>,
    /// Frames in.
    pub receiver: Box<dyn FrameReceiver>,
    /// What a link that was accepted takes of the transport's room for those of whom it is not known who they are; given back once it is.
    pub place: Option<Place>,
}

/// The sending end of a link.
#[async_trait]
pub trait FrameSender: Send {
    /// Takes a frame; it may wait for [`flush`](Self::flush) before it is on its way. Waits while the link is full.
    ///
    /// # Errors
    /// If the link is broken, or the frame cannot be sent over it.
    async fn send(&mut self, frame: Frame) -> Result<()>;

    /// Sends everything that was taken.
    ///
    /// # Errors
    /// If the link is broken.
    async fn flush(&mut self) -> Result<()>;
}

/// The receiving end of a link.
#[async_trait]
pub trait FrameReceiver: Send {
    /// Waits for the next frame; `None` when the peer has closed the link.
    ///
    /// # Errors
    /// If the link is broken, or what came is no frame. Nothing is received after an error.
    async fn receive(&mut self) -> Result<Option<Frame>>;
}
