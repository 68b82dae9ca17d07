//! Many hypervisors that are played: what `load-fleet` measures, with few.

use sextant_lab::LabError;
use sextant_lab::load::{Crowd, Dimensions, Episode, Side};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
const SMALL: Dimensions = Dimensions {
    hypervisors: 8,
    ports: 64,
    network: 8,
    spread: 4,
    large_network: 16,
    one_project: false,
};

/// Nothing was changed, and nobody was kept waiting.
fn assert_calm(episode: &Episode, reads: usize) {
    assert_eq!(
        (episode.lost, episode.flow_mods, episode.reads),
        (0, 0, reads),
        "{episode:?}"
    );
}

#[test]
fn what_hypervisors_have_already_is_sent_to_none_of_them() -> Result<(), LabError> {
    let mut crowd = Crowd::start(&SMALL, LIMIT)?;
    let start = crowd.cold_start()?;
    assert_eq!(start.lost, 0, "{start:?}");
    assert!(crowd.flows() > 64 * 10, "{} flows", crowd.flows());
    assert_calm(&crowd.cut(Side::Switch)?, 8);
    assert_calm(&crowd.cut(Side::Database)?, 0);
    assert_calm(&crowd.restart()?, 8);
    Ok(())
}

#[test]
fn a_port_that_came_and_went_leaves_nothing() -> Result<(), LabError> {
    let mut crowd = Crowd::start(&SMALL, LIMIT)?;
    crowd.cold_start()?;
    let flows = crowd.flows();
    let lives = crowd.live(4)?;
    assert_eq!(lives.times, 4);
    assert_eq!(crowd.flows(), flows);
    Ok(())
}
