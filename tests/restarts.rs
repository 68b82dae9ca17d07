//! What `load-ovs --operations` measures, once and without OVN.

use sextant_lab::LabError;
use sextant_lab::load::{RestartCourse, restart};
use std::time::Duration;

#[test]
fn a_killed_controller_comes_back_and_no_guest_notices() -> Result<(), LabError> {
    let restarts = restart(RestartCourse {
        rounds: 1,
        ovn: false,
    })?;
    let [sextant] = &restarts[..] else {
        panic!("{restarts:?}");
    };
    let [round] = sextant.rounds[..] else {
        panic!("{restarts:?}");
    };
    assert!(round.echoes > 200, "{round:?}");
    assert!(round.flows > 100, "{round:?}");
    assert_eq!((round.lost, round.written), (0, 0), "{round:?}");
    assert!(round.until_answer > Duration::ZERO, "{round:?}");
    assert_eq!(sextant.memory.len(), 1);
    assert!(sextant.resident() > 1 << 20, "{sextant:?}");
    Ok(())
}
