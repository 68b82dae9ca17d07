//! What goes wrong: one or two controllers, one or two members of etcd, or some of both, each in one of the ways there are. One
//! controller always goes on. At times a hypervisor's database ends and is started again, at once.

use crate::stage::Stage;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use sextant_lab::story::Outcome;
use std::fmt;

const THREE: [usize; 3] = [1, 2, 3];

/// How something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Killed,
    Halted,
    Cut,
}

impl Way {
    fn any(dice: &mut impl Rng) -> Self {
        match dice.random_range(0..3) {
            0 => Self::Killed,
            1 => Self::Halted,
            _ => Self::Cut,
        }
    }
}

/// What becomes of the database of the third hypervisor, between whose guests and others no packets are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Database {
    Stays,
    Restarts,
}

/// What goes wrong at the same time.
#[derive(Debug)]
pub(crate) struct Disturbance {
    controllers: Vec<(usize, Way)>,
    members: Vec<(usize, Way)>,
    database: Database,
}

impl Disturbance {
    pub(crate) fn any(dice: &mut StdRng) -> Self {
        let (controllers, members) = match dice.random_range(0..10) {
            0..4 => (1, 0),
            4 => (2, 0),
            5 => (0, 1),
            6 => (0, 2),
            7 | 8 => (1, 1),
            _ => (1, 2),
        };
        let database = match dice.random_bool(0.2) {
            true => Database::Restarts,
            false => Database::Stays,
        };
        Self {
            controllers: some(controllers, dice),
            members: some(members, dice),
            database,
        }
    }

    pub(crate) fn begin(&self, stage: &mut Stage) -> Outcome {
        for (number, way) in &self.members {
            let member = stage.cluster.etcd.member(*number);
            match way {
                Way::Killed => member.kill(),
                Way::Halted => member.halt()?,
                Way::Cut => member.cut()?,
            }
        }
        for (number, way) in &self.controllers {
            let controller = stage.cluster.controller(*number);
            match way {
                Way::Killed => controller.kill(),
                Way::Halted => controller.halt()?,
                Way::Cut => controller.cut()?,
            }
        }
        if self.database == Database::Restarts {
            let host = stage.lab.hypervisor(3);
            host.kill_ovsdb_server();
            host.start_ovsdb_server()?;
        }
        Ok(())
    }

    /// Members first: a controller starts only where the store has a majority.
    pub(crate) fn end(&self, stage: &mut Stage) -> Outcome {
        for (number, way) in &self.members {
            let member = stage.cluster.etcd.member(*number);
            match way {
                Way::Killed => member.launch()?,
                Way::Halted => member.wake()?,
                Way::Cut => member.mend()?,
            }
        }
        for (number, way) in &self.controllers {
            let controller = stage.cluster.controller(*number);
            match way {
                Way::Killed => controller.start_again()?,
                Way::Halted => controller.wake()?,
                Way::Cut => controller.mend()?,
            }
        }
        Ok(())
    }
}

fn some(count: usize, dice: &mut StdRng) -> Vec<(usize, Way)> {
    let mut numbers = THREE;
    numbers.shuffle(dice);
    let chosen = numbers.into_iter().take(count);
    chosen.map(|number| (number, Way::any(dice))).collect()
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, way) in &self.controllers {
            write!(f, "c{number} {way:?} ")?;
        }
        for (number, way) in &self.members {
            write!(f, "e{number} {way:?} ")?;
        }
        match self.database {
            Database::Restarts => write!(f, "database of h3 Killed"),
            Database::Stays => Ok(()),
        }
    }
}
