//! Many hypervisors that are played: what `load-fleet` measures, with few.

use sextant_lab::{LabError, wait_for};

use sextant_lab::load::{Crowd, Dimensions, Episode, Several, Side, Targets};
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
    let lives = crowd.live(4, Duration::ZERO)?;
    assert_eq!(lives.times, 4);
    assert_eq!(crowd.flows(), flows);
    Ok(())
}

/// How many lines say this, or are counted as left out.
fn said_and_left_out(log: &str, what: &str) -> (usize, usize) {
    let left_out = format!("what=\"{what}\" unsaid=");
    let count = |line: &str| line.split_once(&left_out)?.1.trim().parse::<usize>().ok();
    let lines = log.lines().filter(|line| line.contains(what));
    let (counts, said): (Vec<_>, Vec<_>) = lines.map(count).partition(Option::is_some);
    (said.len(), counts.into_iter().flatten().sum())
}

#[test]
fn many_that_connect_at_once_fill_no_log_and_are_all_counted() -> Result<(), LabError> {
    const MANY: usize = 60;
    let dimensions = Dimensions {
        hypervisors: MANY,
        ..SMALL
    };
    let mut crowd = Crowd::start(&dimensions, LIMIT)?;
    crowd.cold_start()?;
    for what in ["hypervisor connected", "switch connected"] {
        wait_for(what, LIMIT, || {
            let (said, left_out) = said_and_left_out(&crowd.log_text(), what);
            match said < MANY && said + left_out == MANY {
                true => Ok(()),
                false => Err(format!("{said} lines, {left_out} left out")),
            }
        })?;
    }
    Ok(())
}

#[test]
fn a_controller_that_is_killed_and_comes_back_leaves_all_flows_as_they_are() -> Result<(), LabError>
{
    let mut several = Several::start(3, &SMALL, 2, LIMIT)?;
    several.cold_start(Targets::All)?;
    let before = several.shares()?;
    assert_eq!(before.owned.iter().sum::<usize>(), 8, "{before:?}");
    assert_eq!(several.live(3)?.seen.len(), 3);
    for (killed, &share) in before.owned.iter().enumerate() {
        let takeover = several.kill(killed)?;
        assert_eq!((takeover.share, takeover.flow_mods), (share, 0));
        let again = several.start_again(killed, share)?;
        assert_eq!(again.flow_mods, 0, "{again:?}");
    }
    assert_eq!(several.shares()?.owned, before.owned);
    Ok(())
}

#[test]
fn each_hypervisor_may_have_a_controller_of_its_own() -> Result<(), LabError> {
    let mut several = Several::start(8, &SMALL, 2, LIMIT)?;
    several.cold_start(Targets::One)?;
    assert_eq!(several.shares()?.owned, [1; 8]);
    let change = several.live(3)?;
    assert_eq!(change.seen.len(), 8, "at each of them");
    let again = several.restart(3)?;
    assert_eq!(again.flow_mods, 0, "{again:?}");
    Ok(())
}
