//! The session with one switch.
//!
//! One task owns the connection. It waits for a message, a new snapshot, or the time of an unsolicited advertisement.
//! Packets are answered at once, from what the flow that sent them up carries. Flows are changed one bundle at a time:
//! while one is under way, further snapshots wait, and then their differences go together.

mod captured;
mod changes;
mod drift;
mod host;
mod news;
mod read_back;

use super::SwitchContext;
use super::arrival::{Arrived, arrive};
use super::counting::Counting;
use super::gathering::Gathering;
use super::line::SwitchLine;
use super::preparing::{Computed, Start};
use super::programming::Change;
use super::punts::Punts;
use super::shortcomings::Shortcomings;
use super::standby::{Right, resign, says_demoted, stand_by};
use super::unpublished::Unpublished;
use super::vigil::Vigil;
use crate::admission::Pass;
use crate::clock;
use crate::metrics::Counted;
use crate::seat::Seat;
use crate::series::{GaugeSeries, Series};
use crate::snapshot::{NewsListener, Snapshot, Stopping};
use crate::stream::{Incoming, Misunderstood};
use captured::copy_answer;
use host::{ShownHost, known_ports};
use rust_openflow::{ConnectionError, ErrorMessage, Message, PacketIn, Xid};
use sextant_flows::pipeline::SWITCH_CONFIG;
use sextant_flows::{Flows, View};
use sextant_model::{ChassisId, SubnetId};
use sextant_responders::backoff::Backoff;
use sextant_responders::host::Host;
use sextant_responders::throttle::Throttles;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// While this many octets wait to be written, nothing more is taken in; a bundle is sent in portions of it.
pub(super) const HIGH_WATER: usize = 256 * 1024;
/// How many packets are answered before anything else has its turn.
const BATCH: usize = 256;
/// How long after a refused change the switch is read and reconciled again, at first and at most.
const RESYNC: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));

/// More flows than any switch is given; each that is read back takes memory.
const MOST_FLOWS: usize = 1 << 22;

#[derive(Debug, thiserror::Error)]
pub(super) enum SwitchSessionError {
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("it closed the connection")]
    Closed,
    #[error("it has not answered {what} within {within:?}")]
    Unanswered {
        what: &'static str,
        within: Duration,
    },
    #[error("it does not say what it has: {0}")]
    Unreadable(ErrorMessage),
    #[error("it says that it has more than {MOST_FLOWS} flows")]
    TooMuch,
    #[error("its certificate has another name than its hypervisor")]
    WrongName,
    #[error("its hypervisor has left, or has another name or datapath id now")]
    Renamed,
    #[error("it has not said whose it is, and others want its place")]
    ShownOut,
    #[error("it has connected anew")]
    Superseded,
    #[error("another controller owns its hypervisor")]
    Yielded,
    #[error("it has another primary controller")]
    Demoted,
    #[error("its flows could not be computed")]
    Unprepared,
    #[error(transparent)]
    Stopping(#[from] Stopping),
}

pub(super) async fn serve(
    stream: Incoming,
    peer: SocketAddr,
    mut pass: Pass,
    context: Arc<SwitchContext>,
) {
    match run(stream, peer, &mut pass, context).await {
        Err(
            error @ (SwitchSessionError::Stopping(_)
            | SwitchSessionError::Superseded
            | SwitchSessionError::Yielded
            | SwitchSessionError::Demoted),
        ) => {
            tracing::info!(%peer, "switch's session ends: {error}")
        }
        // That was said.
        Err(error) if Misunderstood::at_the_root_of(&error).is_some() => {}
        Err(error) => {
            if let Some(unsaid) = pass.last_word() {
                tracing::warn!(%peer, %error, unsaid, "switch disconnected");
            }
        }
        Ok(never) => match never {},
    }
}

async fn run(
    stream: Incoming,
    peer: SocketAddr,
    pass: &mut Pass,
    context: Arc<SwitchContext>,
) -> Result<std::convert::Infallible, SwitchSessionError> {
    let words = pass.words();
    let arrived = tokio::select! {
        arrived = arrive(stream, peer, &words, &context) => arrived?,
        () = pass.shown_out() => return Err(SwitchSessionError::ShownOut),
    };
    pass.identified();
    let Arrived {
        line,
        seat,
        claimant,
    } = arrived;
    let rules = context.rules.clone();
    let barred = rules.until(|rules| rules.names.allows(claimant.names(), seat.key().as_str()));
    let _connected = Counted::new(&context.metrics.switches_connected);
    tokio::select! {
        ended = own(line, &seat, context) => ended,
        () = seat.lost() => Err(SwitchSessionError::Superseded),
        () = barred => Err(SwitchSessionError::WrongName),
    }
}

/// Serves the switch from when this controller owns its hypervisor, until another does.
async fn own(
    mut line: SwitchLine,
    seat: &Arc<Seat<ChassisId>>,
    context: Arc<SwitchContext>,
) -> Result<std::convert::Infallible, SwitchSessionError> {
    let mut tenure = context.tenures.of(seat.key());
    let right = stand_by(&mut line, seat.key(), &mut tenure, &context).await;
    let Right {
        generation,
        taken_over,
    } = match right {
        Err(SwitchSessionError::Demoted) => {
            let generation = context.tenures.held(seat.key()).own;
            resign(&context, seat.key(), generation).await?;
            return Err(SwitchSessionError::Demoted);
        }
        right => right?,
    };
    let resigning = context.clone();
    // In memory of its own: most of several controllers only stand by.
    let alive = Box::pin(async {
        let preparing = &context.preparing;
        let snapshots = &context.snapshots;
        let prepared = preparing.compute(&mut line, seat.key(), snapshots).await?;
        let mut session = SwitchSession::new(line, seat, context, prepared.computed);
        (session.generation, session.taken_over) = (generation, taken_over);
        session.check_tenure()?;
        session.run(prepared.early).await
    });
    let ended = tokio::select! {
        biased;
        () = tenure.ended(generation) => Err(SwitchSessionError::Yielded),
        ended = alive => ended,
    };
    if matches!(ended, Err(SwitchSessionError::Demoted)) {
        resign(&resigning, seat.key(), generation).await?;
    }
    ended
}

struct SwitchSession {
    line: SwitchLine,
    chassis: ChassisId,
    context: Arc<SwitchContext>,
    flows: Flows,
    flows_wanted: GaugeSeries,
    /// What [`SwitchSession::flows`] are right for.
    snapshot: Arc<Snapshot>,
    listener: NewsListener,
    /// Whether it was woken for news, which what the session has learned was not compared with.
    uncompared: bool,
    host: Host,
    shown: ShownHost,
    punts: Punts,
    gathering: Gathering,
    counting: Counting,
    /// Hosts outside can answer as often as they like.
    answers: Throttles<SubnetId>,
    shortcomings: Shortcomings,
    vigil: Vigil,
    unpublished: Unpublished,
    change: Option<Change>,
    /// While the switch is brought up.
    start: Option<Start>,
    /// The generation by which this controller, one of several, owns the hypervisor.
    generation: Option<u64>,
    /// When this controller, one of several, came to own it, while it is brought up.
    taken_over: Option<Instant>,
    bundles: u32,
    resync: Option<Instant>,
    backoff: Backoff,
}

impl SwitchSession {
    /// A session that knows what the switch should have, and not yet what it has.
    fn new(
        line: SwitchLine,
        seat: &Arc<Seat<ChassisId>>,
        context: Arc<SwitchContext>,
        Computed {
            flows,
            snapshot,
            listener,
            start,
        }: Computed,
    ) -> Self {
        let (chassis, metrics, now) = (seat.key().clone(), &context.metrics, clock::time());
        let (refused, unpublished) = (&metrics.flows_refused, &metrics.unpublished_addresses);
        let known = known_ports(context.handover.of(&chassis), &snapshot, &chassis, now.unix);
        Self {
            line,
            flows,
            flows_wanted: Series::new(&metrics.flows_wanted, seat),
            host: Host::new(chassis.clone(), known, now),
            uncompared: false,
            shown: ShownHost::new(&context, seat),
            punts: Punts::new(metrics.clone(), context.history.clone()),
            counting: Counting::new(&context, seat, Instant::now()),
            gathering: Gathering::new(context.pauses.clone()),
            answers: Throttles::default(),
            shortcomings: Shortcomings::new(
                snapshot.facts.shortfall(&chassis),
                Series::new(refused, seat),
            ),
            vigil: Vigil::new(metrics.clone(), chassis.clone(), Instant::now()),
            unpublished: Unpublished::new(Series::new(unpublished, seat)),
            change: None,
            start,
            generation: None,
            taken_over: None,
            bundles: 0,
            resync: None,
            backoff: RESYNC,
            chassis,
            context,
            snapshot,
            listener,
        }
    }

    async fn run(
        &mut self,
        early: Vec<PacketIn>,
    ) -> Result<std::convert::Infallible, SwitchSessionError> {
        self.line.post([Message::SetConfig(SWITCH_CONFIG)]);
        self.line.post(Vigil::begin());
        let begun = std::time::Instant::now();
        early.iter().for_each(|packet| self.answer(packet));
        self.punts.add_up(begun);
        self.reconcile().await?;
        let mut snapshots = self.context.snapshots.clone();
        let mut flushes = self.context.neighbors.flushes();
        loop {
            self.relieve().await?;
            let deadline = self.deadline();
            tokio::select! {
                received = self.line.next() => {
                    let (xid, message) = received?;
                    self.take_batch(xid, &message).await?;
                }
                told = self.listener.woken() => {
                    told?;
                    self.uncompared = true;
                }
                // Somebody may want what is being given back.
                changed = snapshots.changed(), if self.host.is_giving_back() => {
                    drop(changed?);
                    self.uncompared = true;
                }
                Some(question) = self.counting.question() => {
                    let connection = &mut self.line.connection;
                    self.counting.pass_on(question, |request| connection.send(request).ok());
                }
                Ok(()) = flushes.changed() => {
                    self.host.flush(clock::time(), &mut rand::random::<u64>);
                }
                () = tokio::time::sleep_until(deadline) => {}
            }
            self.act().await?;
        }
    }

    fn deadline(&self) -> Instant {
        let host = self.host.poll_timeout().map(Instant::from_std);
        let change = self
            .change
            .as_ref()
            .map(|change| change.deadline(self.context.patience));
        host.into_iter()
            .chain(self.resync)
            .chain(change)
            .chain([self.vigil.deadline(self.is_idle())])
            .fold(self.counting.deadline(), Instant::min)
    }

    /// Waits until less than [`HIGH_WATER`] is left to be written, and goes on with the change that stopped there.
    async fn relieve(&mut self) -> Result<(), SwitchSessionError> {
        while self.line.connection.queued_bytes() >= HIGH_WATER {
            self.line.connection.flush().await?;
            self.take_waiting().await?;
            self.drive();
        }
        Ok(())
    }

    /// Takes in a message and what has arrived behind it, up to a batch.
    async fn take_batch(&mut self, xid: Xid, message: &Message) -> Result<(), SwitchSessionError> {
        let begun = std::time::Instant::now();
        self.take(xid, message).await?;
        self.take_waiting().await?;
        let packets = self.punts.add_up(begun);
        if self.gathering.is_due(begun, packets) {
            self.line.connection.flush().await?;
            self.gathering.pause().await;
        }
        Ok(())
    }

    async fn take_waiting(&mut self) -> Result<(), SwitchSessionError> {
        for _ in 0..BATCH {
            if self.line.connection.queued_bytes() >= HIGH_WATER {
                break;
            }
            match self.line.connection.try_recv_buffered() {
                // Most are packets, which need not wait.
                Ok(Some((_, Message::PacketIn(packet)))) => self.answer(&packet),
                Ok(Some((xid, message))) => self.take(xid, &message).await?,
                Ok(None) => break,
                Err(error) => self.line.survive(error)?,
            }
        }
        Ok(())
    }

    async fn take(&mut self, xid: Xid, message: &Message) -> Result<(), SwitchSessionError> {
        if let Message::PacketIn(packet) = message {
            self.answer(packet);
            return Ok(());
        }
        if let Message::Error(error) = message {
            if self.context.tenures.are_shared() && says_demoted(error.code) {
                return Err(SwitchSessionError::Demoted);
            }
            self.take_error(xid, error);
        }
        self.counting.take(xid, message);
        let mend = self.vigil.take(xid, message, Instant::now());
        self.line.post(mend);
        if let Some(change) = &mut self.change {
            match change.on_message(xid, message) {
                Ok(()) if change.is_done() => return self.confirmed().await,
                Ok(()) => {}
                Err(refused) => self.refused(&refused),
            }
        }
        Ok(())
    }

    fn answer(&mut self, packet: &PacketIn) {
        if self.is_captured(packet) {
            return;
        }
        let answers = self.punts.answer(&self.flows, packet);
        let (captures, chassis) = (&self.context.captures, &self.chassis);
        let answers = answers.inspect(|answer| copy_answer(captures, chassis, packet, answer));
        self.line.post(answers);
        let learned = self.punts.take_learned();
        if !learned.is_empty() {
            self.learn(&learned);
        }
    }

    /// Goes on with the change under way.
    fn drive(&mut self) {
        let driven = self
            .change
            .as_mut()
            .map_or(Ok(()), |change| change.drive(&mut self.line.connection));
        if let Err(refused) = driven {
            self.refused(&refused);
        }
    }

    /// Does what time and snapshots ask for.
    async fn act(&mut self) -> Result<(), SwitchSessionError> {
        let now = Instant::now();
        let time = clock::time();
        self.host.handle_timeout(time, &mut rand::random::<u64>);
        self.send_frames();
        self.report(time).await?;
        let Snapshot { intent, facts, .. } = &*self.snapshot;
        let view = View::new(intent, facts, &self.chassis);
        let connection = &mut self.line.connection;
        self.counting
            .ask(now, &view, |request| connection.send(request).ok());
        if self.resync.is_some_and(|at| at <= now) {
            self.resync = None;
            return self.reconcile().await;
        }
        self.keep_vigil(now).await?;
        let change = self.change.as_ref();
        let deadline = change.map(|change| change.deadline(self.context.patience));
        if deadline.is_some_and(|deadline| deadline <= now) {
            return Err(self.unanswered("a change of its flows"));
        }
        let latest = self.context.snapshots.latest();
        self.check_identity(&latest)?;
        if self.is_idle()
            && let Some(before) = self.take_news(latest)?
        {
            // Before flows pass new meters: only those that the switch has can be changed.
            self.follow_meters(&before);
            let difference = self.catch_up(&before);
            self.program(difference);
        }
        self.drive();
        if self.find_shortcomings() {
            let latest = self.context.snapshots.latest();
            self.tell_shortcomings(&latest.facts).await?;
        }
        Ok(())
    }

    /// The switch is as it should be.
    fn is_up(&mut self) {
        self.start = None;
        if let Some(since) = self.taken_over.take() {
            let seconds = since.elapsed().as_secs_f64();
            self.context.metrics.takeover_seconds.observe(seconds);
        }
    }

    /// Whether the switch has, as far as is known, what was computed last: no change is under way or due again.
    fn is_idle(&self) -> bool {
        self.change.is_none() && self.resync.is_none()
    }

    fn unanswered(&self, what: &'static str) -> SwitchSessionError {
        let within = self.context.patience;
        SwitchSessionError::Unanswered { what, within }
    }
}
