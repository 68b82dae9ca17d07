//! What guests notice while something fails: packets each way between two hypervisors, 200 a second; solicitations of the guest
//! on the first hypervisor; and what becomes of all flows.

use crate::stage::{Stage, none};
use sextant_lab::story::{Failure, Outcome, SOON};
use sextant_lab::{Datapath, FlowDump, Stream};
use std::time::{Duration, Instant};

const PACKETS: Duration = Duration::from_millis(5);
const SOLICITATIONS: Duration = Duration::from_millis(20);
/// A second of answers.
const ENOUGH: usize = 50;
const ENOUGH_PACKETS: usize = 200;

pub(crate) struct Watch {
    flows: FlowDump,
    packets: [Stream; 2],
    solicitations: Stream,
}

impl Watch {
    pub(crate) fn start(stage: &Stage) -> Result<Self, Failure> {
        let (one, other) = (&stage.guests[0], &stage.guests[1]);
        let watch = Self {
            flows: FlowDump::read(stage.lab.hypervisors())?,
            packets: [
                one.guest.spawn_echo(other.address(), PACKETS)?,
                other.guest.spawn_echo(one.address(), PACKETS)?,
            ],
            solicitations: one.guest.spawn_solicitations(SOLICITATIONS)?,
        };
        watch.goes_on(Instant::now())?;
        Ok(watch)
    }

    /// Waits until everything is answered for a second after this moment.
    pub(crate) fn goes_on(&self, after: Instant) -> Outcome {
        self.solicitations.wait_answers(ENOUGH, after, SOON)?;
        for packets in &self.packets {
            packets.wait_answers(ENOUGH_PACKETS, after, SOON)?;
        }
        Ok(())
    }

    /// The same from now on; then no packet was lost and no flow touched. Says when the longest silence since the failure was over.
    pub(crate) fn end(self, stage: &Stage, failure: &str, failed: Instant) -> Outcome {
        let (lost, touched) = self.report(stage, failure, failed)?;
        none(lost, "packets lost")?;
        none(touched, "flows touched")
    }

    /// The same when a hypervisor had no database for a while. Until it has it again, ovs-vswitchd does nothing else than to look
    /// for it, with or without controllers. On the userspace datapath that includes the packets.
    pub(crate) fn end_without_database(
        self,
        stage: &Stage,
        failure: &str,
        failed: Instant,
    ) -> Outcome {
        let (lost, touched) = self.report(stage, failure, failed)?;
        if stage.lab.datapath() == Datapath::System {
            none(lost, "packets lost")?;
        }
        none(touched, "flows touched")
    }

    /// How many packets were lost, and how many flows touched.
    fn report(
        self,
        stage: &Stage,
        failure: &str,
        failed: Instant,
    ) -> Result<(usize, usize), Failure> {
        self.goes_on(Instant::now())?;
        let solicitations = self.solicitations.stop()?;
        let again = solicitations.silent_until(failed).unwrap_or(failed);
        println!(
            "{failure}: the longest silence since then ended {:.2?} after it; solicitations: {solicitations}",
            again.duration_since(failed)
        );
        let mut lost = 0;
        for packets in self.packets {
            let report = packets.stop()?;
            println!("  packets: {report}");
            lost += report.lost.len();
        }
        let flows = FlowDump::read(stage.lab.hypervisors())?;
        let touched =
            flows.came_or_went_since(&self.flows) + flows.installed_anew_since(&self.flows);
        Ok((lost, touched))
    }
}
