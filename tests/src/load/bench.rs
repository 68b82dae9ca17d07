//! One controller on trial: the hypervisor that it serves, the guest that asks, what both spend.

use super::asking::{Asked, ask};
use super::packets::{Asker, Question};
use super::usage::Usage;
use crate::error::LabError;
use crate::guest::DEVICE;
use crate::{Guest, GuestSpec, Hypervisor};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    /// What guests ask.
    pub question: Question,
    /// How long each is measured.
    pub time: Duration,
    /// In how many turns.
    pub turns: u16,
    /// How many questions are unanswered at once.
    pub window: usize,
    /// Whether OVN takes part.
    pub ovn: bool,
}

/// A controller, and how it did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Contender {
    /// Flow tables that a question is looked up in before it goes up.
    pub lookups: usize,
    /// What the guest saw.
    pub asked: Asked,
    /// Processor time of ovs-vswitchd, the controller, and its thread for packets.
    pub spent: Spent,
}

/// Processor time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// Of ovs-vswitchd.
    pub switch: Duration,
    /// Of the controller, unless it is part of this program.
    pub controller: Option<Duration>,
    /// Of the controller's thread for packets, if it has one.
    pub thread: Option<Duration>,
}

impl Contender {
    fn add(&mut self, asked: &Asked, before: &Spent, after: &Spent) {
        self.asked.add(asked);
        let spent = &mut self.spent;
        spent.switch += after.switch.saturating_sub(before.switch);
        add_known(&mut spent.controller, before.controller, after.controller);
        add_known(&mut spent.thread, before.thread, after.thread);
    }

    /// An answer's share of something.
    #[must_use]
    pub fn each(&self, all: Duration) -> Duration {
        all.div_f64((self.asked.answered as f64).max(1.0))
    }
}

/// Adds what was spent in between. Unknown before or after, it is unknown as a whole.
fn add_known(sum: &mut Option<Duration>, before: Option<Duration>, after: Option<Duration>) {
    let spent = after.zip(before);
    *sum = spent.map(|(after, before)| sum.unwrap_or_default() + after.saturating_sub(before));
}

/// The guest that asks, and how; what came of it so far.
pub(super) struct Bench<'a> {
    host: &'a Hypervisor,
    guest: Guest,
    asker: Asker,
    course: Course,
    controller: Option<u32>,
    thread: Option<&'static str>,
    pub(super) contender: Contender,
}

impl<'a> Bench<'a> {
    /// A guest that takes no notice of advertisements once it has had the one that it waits for.
    pub(super) fn new(
        host: &'a Hypervisor,
        spec: &GuestSpec,
        asker: Asker,
        course: Course,
        controller: Option<u32>,
    ) -> Result<Self, LabError> {
        let guest = host.add_guest(spec)?;
        guest.wait_link_local(SOON)?;
        if course.question == Question::RouterSolicitation {
            guest.wait_default_route(SOON)?;
        }
        let deaf = format!("ipv6/conf/{DEVICE}/accept_ra");
        guest.namespace().sysctl(&[(deaf.as_str(), "0")])?;
        let mut bench = Self {
            host,
            guest,
            asker,
            course,
            controller,
            thread: None,
            contender: Contender::default(),
        };
        bench.contender.lookups = bench.lookups()?;
        Ok(bench)
    }

    /// Looks also at one thread of the controller.
    pub(super) fn watching(self, thread: &'static str) -> Self {
        Self {
            thread: Some(thread),
            ..self
        }
    }

    /// Measures for a turn's time.
    pub(super) fn take_turn(&mut self) -> Result<(), LabError> {
        let before = self.spent()?;
        let Course {
            question,
            time,
            turns,
            window,
            ..
        } = self.course;
        let time = time / u32::from(turns.max(1));
        let namespace = self.guest.namespace();
        let asking = namespace.enter(|| ask(&self.asker, question, time, window))?;
        let asked = asking.map_err(LabError::io("ask from within a guest"))?;
        let after = self.spent()?;
        self.contender.add(&asked, &before, &after);
        Ok(())
    }

    /// Processor time of the switch, the controller and its thread.
    fn spent(&self) -> Result<Spent, LabError> {
        let switch = self.host.vswitchd_pid();
        let switch = switch.ok_or_else(|| stopped("ovs-vswitchd"))?;
        let controller = self.controller;
        let thread = controller.zip(self.thread);
        Ok(Spent {
            switch: Usage::of(switch)?.processor(),
            controller: controller
                .map(|pid| Usage::of(pid).map(|usage| usage.processor()))
                .transpose()?,
            thread: thread
                .map(|(pid, name)| Usage::of_thread(pid, name))
                .transpose()?,
        })
    }

    /// Counts the tables in what `ofproto/trace` tells of a question.
    fn lookups(&self) -> Result<usize, LabError> {
        let tap = self.guest.tap();
        let found = self.host.vsctl(&["get", "interface", tap, "ofport"])?;
        let in_port = format!("in_port={}", found.stdout.trim());
        let frame = self.course.question.frame(&self.asker);
        let hex: String = frame.iter().map(|octet| format!("{octet:02x}")).collect();
        let trace = ["ofproto/trace", "br-int", &in_port, &hex];
        let trace = self.host.appctl(&trace)?.stdout;
        tables(&trace).ok_or_else(|| LabError::unexpected("the way of a question", trace))
    }
}

pub(super) fn stopped(program: &str) -> LabError {
    LabError::unexpected(format!("the running {program}"), "stopped")
}

/// A table begins a line with its number, a full stop and what matched. What comes after the
/// first sending to a controller is not before it; none, if nothing is sent.
fn tables(trace: &str) -> Option<usize> {
    let punt = trace.to_lowercase().find("controller")?;
    Some(
        trace[..punt]
            .lines()
            .filter(|line| {
                line.trim_start()
                    .split_once(". ")
                    .is_some_and(|(number, _)| number.parse::<u8>().is_ok())
            })
            .count(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_counted_up_to_the_punt() {
        let trace = "Flow: icmp6,in_port=1\n\nbridge(\"br-int\")\n----------------\n \
            0. in_port=1, priority 100, cookie 0x12\n    set_field:0x1->reg0\n    goto_table:8\n\
            16. icmp6,in_port=1, priority 100\n    CONTROLLER:65535\n 17. no\n\nDatapath actions: 2. no\n";
        assert_eq!(tables(trace), Some(2));
        assert_eq!(tables(" 0. priority 0\n    drop\n"), None);
    }
}
