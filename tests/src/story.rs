//! The main job in eleven points.
//!
//! Each point asks something of a running lab and checks the result. The demo runs all of them in one lab, the end-to-end
//! tests each in a lab of its own. A point itself brings the [`World`] into the state that it needs.

pub mod faults;
mod narrator;
mod points;
pub mod site;
mod two_networks;
mod world;

pub use narrator::{Narrator, Row};
pub use points::POINTS;
pub use two_networks::{DualStack, TwoNetworks};
pub use world::{Cloud, DNS, Guests, Leases, Plugged, SOON, Segment, World, eui64, link_local};

use crate::LabError;

/// Why a point does not hold.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What was observed is not what should be.
    #[error("{0}")]
    Observed(String),
    /// The lab could not do what it was asked.
    #[error(transparent)]
    Lab(#[from] LabError),
}

/// Whether a point holds.
pub type Outcome = Result<(), Failure>;

/// One point of the story.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Its number.
    pub number: u8,
    /// What holds, in a line.
    pub title: &'static str,
    /// What is asked, for a person who watches.
    pub asked: &'static str,
    /// Asks and checks.
    pub run: fn(&mut World, &mut Narrator) -> Outcome,
}

impl Point {
    /// Asks and checks, without a word.
    ///
    /// # Errors
    /// Why it does not hold.
    pub fn run_quietly(&self, world: &mut World) -> Outcome {
        (self.run)(world, &mut Narrator::new(|_| {}))
    }
}

/// Fails unless it holds.
///
/// # Errors
/// [`Failure::Observed`] with what was seen instead.
pub fn ensure(holds: bool, seen: impl FnOnce() -> String) -> Outcome {
    if holds {
        Ok(())
    } else {
        Err(Failure::Observed(seen()))
    }
}
