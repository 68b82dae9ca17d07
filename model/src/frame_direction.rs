//! Which way a captured frame goes.

/// Which way a frame of a port goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameDirection {
    /// The guest sent it.
    FromGuest,
    /// The guest gets it.
    ToGuest,
}
