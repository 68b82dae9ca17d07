//! A guest that moves from one hypervisor to another while their owners change.

use crate::stage::Stage;
use sextant_lab::story::site::{ipv6, reaches};
use sextant_lab::story::{Failure, Outcome, SOON};
use sextant_lab::{Datapath, Guest, Port};
use std::time::{Duration, Instant};

/// For how long after a move a switch in userspace may lose packets of others: it takes up and lets go of ports between packets,
/// with or without controllers.
const TAKES: Duration = Duration::from_millis(500);

/// A port, and the guest on it with the number of its hypervisor.
pub(crate) struct Mover {
    port: Port,
    guest: Option<(Guest, usize)>,
    moves: Vec<(Instant, Instant)>,
}

impl Mover {
    pub(crate) fn new(stage: &Stage) -> Result<Self, Failure> {
        let port = stage.port("mover", &stage.cluster.controllers()[0])?;
        Ok(Self {
            port,
            guest: None,
            moves: Vec::new(),
        })
    }

    /// Is unplugged where it is, and plugged in there.
    pub(crate) fn move_to(&mut self, stage: &Stage, host: usize) -> Outcome {
        let begin = Instant::now();
        if let Some((guest, host)) = self.guest.take() {
            guest.unplug(stage.lab.hypervisor(host))?;
        }
        let spec = self.port.guest("mover");
        self.guest = Some((stage.lab.hypervisor(host).add_guest(&spec)?, host));
        self.moves.push((begin, Instant::now() + TAKES));
        Ok(())
    }

    /// Whether a move accounts for a packet that was sent at a moment and is lost.
    pub(crate) fn excuses(&self, stage: &Stage, sent: Instant) -> bool {
        let mut moves = self.moves.iter();
        stage.lab.datapath() == Datapath::Userspace
            && moves.any(|(begin, end)| (*begin..*end).contains(&sent))
    }

    /// Waits until all live controllers show it as active, and it reaches the others.
    pub(crate) fn arrives(&self, stage: &Stage) -> Outcome {
        stage.wait_active(&self.port)?;
        let Some((guest, _)) = &self.guest else {
            return Ok(());
        };
        guest.wait_address(ipv6(&self.port), SOON)?;
        for other in &stage.guests {
            reaches(guest.namespace(), other.address())?;
        }
        Ok(())
    }
}
