//! One task a hypervisor: tells the owner what it observes, and makes the hypervisor what it should be.

mod claim;
mod confirmation;
mod provisioning;
mod telling;

use super::bfd::States;
use super::census::{Census, Unread};
use super::complaints::{Complaints, Concern};
use super::meddling::meddles;
use super::observe::{NotReady, Observation, observe};
use super::place::SpeakingRight;
use super::turn::TransactionTurn;
use super::view::View;
use super::wish::Wish;
use crate::admission::{self, ConnectionLimits, KnownHypervisors, Pass};
use crate::cluster::Cluster;
use crate::metrics::{Counted, DoubtfulEndpoint, Metrics, TransactionOutcome};
use crate::rules::Rules;
use crate::seat::{Claimant, Seats};
use crate::snapshot::{Snapshots, Stopping};
use crate::state::{Event, Events};
use crate::stream::{Incoming, Listener, Misunderstood, Stream};
use crate::tls::{Expiries, NotedExpiry};
use claim::{Followed, OwnerClaim, is_not_owner};
use imbl::OrdMap;
use provisioning::{GuestsNews, guests_changed};
use sextant_model::{Chassis, ChassisId, EncapKind, Facts, TunnelWatches};
use sextant_ovsdb_client::{Connection, Options, RequestId, TransactionError};
use sextant_responders::throttle::Throttle;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::time::Instant;

/// What every session needs.
#[derive(Clone, Debug)]
pub struct HypervisorContext {
    /// What is known.
    pub snapshots: Snapshots,
    /// Where observations go.
    pub events: Events,
    /// What is counted.
    pub metrics: Metrics,
    /// Who speaks for which hypervisor.
    pub seats: Seats<ChassisId>,
    /// How many hypervisors may be connected.
    pub limits: ConnectionLimits,
    /// The port where switches connect.
    pub openflow_port: u16,
    /// The port where hypervisors' databases connect.
    pub ovsdb_port: u16,
    /// Switches and databases speak TLS.
    pub encrypted: bool,
    /// Hypervisors speak BFD with each other.
    pub bfd: bool,
    /// What is asked of hypervisors.
    pub rules: Rules,
    /// Until when their certificates hold.
    pub expiries: Expiries,
    /// This controller's place among several. `None`: it is the only one.
    pub cluster: Option<Cluster>,
}

/// Serves every hypervisor that connects. Does not return.
pub async fn listen(listener: impl Into<Listener>, context: HypervisorContext) {
    let context = Arc::new(context);
    admission::listen(
        listener.into(),
        "ovsdb",
        context.limits,
        KnownHypervisors::new(context.snapshots.clone(), vec![context.seats.clone()]),
        context.metrics.clone(),
        |stream, peer, pass| serve(stream, peer, pass, context.clone()),
    )
    .await;
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
enum HypervisorSessionError {
    #[error(transparent)]
    Connection(#[from] sextant_ovsdb_client::Error),
    #[error("it has not said who it is, and others want its place")]
    ShownOut,
    #[error("it has connected anew")]
    Superseded,
    #[error(transparent)]
    Stopping(#[from] Stopping),
}

async fn serve(
    stream: Incoming,
    peer: SocketAddr,
    mut pass: Pass,
    context: Arc<HypervisorContext>,
) {
    tracing::debug!(%peer, "hypervisor's database connected");
    match run(stream, peer, &mut pass, context).await {
        Err(error @ (HypervisorSessionError::Stopping(_) | HypervisorSessionError::Superseded)) => {
            tracing::info!(%peer, "hypervisor's session ends: {error}")
        }
        // That was said.
        Err(error) if Misunderstood::at_the_root_of(&error).is_some() => {}
        Err(error) => {
            if let Some(unsaid) = pass.last_word() {
                tracing::warn!(%peer, %error, unsaid, "hypervisor's database disconnected");
            }
        }
        Ok(never) => match never {},
    }
}

/// Where a switch of the peer reaches Sextant: the address by which its database does.
fn controller_target(local: SocketAddr, context: &HypervisorContext) -> String {
    let scheme = if context.encrypted { "ssl" } else { "tcp" };
    let port = context.openflow_port;
    match local.ip().to_canonical() {
        IpAddr::V6(address) => format!("{scheme}:[{address}]:{port}"),
        IpAddr::V4(address) => format!("{scheme}:{address}:{port}"),
    }
}

async fn run(
    stream: Incoming,
    peer: SocketAddr,
    pass: &mut Pass,
    context: Arc<HypervisorContext>,
) -> Result<std::convert::Infallible, HypervisorSessionError> {
    let local = stream.local_addr();
    let local = local.map_err(sextant_ovsdb_client::Error::from)?;
    let controller = controller_target(local, &context);
    let mut snapshots = context.snapshots.clone();
    let stream = tokio::select! {
        stream = stream.open() => stream.map_err(sextant_ovsdb_client::Error::from)?,
        () = pass.shown_out() => return Err(HypervisorSessionError::ShownOut),
    };
    let certificate = stream.certificate();
    let not_after = certificate
        .as_ref()
        .map(|certificate| certificate.not_after);
    let peer = Claimant::new(peer.ip(), certificate.map(|certificate| certificate.names));
    let mut connection = Connection::new(stream, Options::default());
    let view = View::begin(&mut connection, context.cluster.is_some());
    let mut session = HypervisorSession::new(connection, view, peer, context, controller);
    session.not_after = not_after;
    let ended = session.run(&mut snapshots, pass).await;
    session.end().await;
    ended
}

struct HypervisorSession {
    connection: Connection<Stream>,
    peer: Claimant,
    /// When its certificate expires, in seconds since 1970.
    not_after: Option<i64>,
    context: Arc<HypervisorContext>,
    controller: String,
    synced: bool,
    view: View,
    place: SpeakingRight,
    /// Shows when its certificate expires.
    expiry: Option<NotedExpiry>,
    /// What it wants of the hypervisor depends on these: the protocols of all hypervisors, and with BFD on all about them.
    protocols: BTreeSet<EncapKind>,
    hypervisors: OrdMap<ChassisId, Arc<Chassis>>,
    /// What the owner of state knows of the hypervisor: the observation that was sent last.
    reported: Option<Observation>,
    /// The guests' interfaces, kept up to date since everything was read.
    census: Census,
    /// What has changed in the database and was not looked at yet.
    unread: Unread,
    /// Counts it among those that take part.
    connected: Option<Counted>,
    /// Counts it among those whose endpoint nobody can reach.
    nowhere: Option<Counted>,
    /// The state of its BFD sessions, if it has any.
    states: Option<States>,
    /// The state of its tunnels that was sent last to the owner of state.
    watches: TunnelWatches,
    turn: TransactionTurn<RequestId>,
    /// How far it is with owning the hypervisor, where others may own it.
    claim: Option<OwnerClaim>,
    /// Counts it among those that this controller owns.
    owned: Option<Counted>,
    /// Whether it takes part, or has to leave. Sextant writes nothing to a hypervisor that nobody asked to join.
    takes_part: bool,
    /// What it should have had last, and whether somebody has changed that since.
    wish: Option<Wish>,
    meddled: bool,
    drift_warnings: Throttle,
    complaints: Complaints,
    /// Hears of changes to its guests, where its metadata service has to know them.
    guests_news: Option<GuestsNews>,
}

impl HypervisorSession {
    fn new(
        connection: Connection<Stream>,
        view: View,
        peer: Claimant,
        context: Arc<HypervisorContext>,
        controller: String,
    ) -> Self {
        Self {
            connection,
            peer,
            not_after: None,
            claim: context.cluster.clone().map(OwnerClaim::new),
            owned: None,
            takes_part: false,
            context,
            controller,
            synced: false,
            view,
            place: SpeakingRight::Unknown,
            expiry: None,
            protocols: BTreeSet::new(),
            hypervisors: OrdMap::new(),
            reported: None,
            census: Census::default(),
            unread: Unread::Everything,
            connected: None,
            nowhere: None,
            states: None,
            watches: TunnelWatches::new(),
            turn: TransactionTurn::default(),
            wish: None,
            meddled: false,
            drift_warnings: Throttle::default(),
            complaints: Complaints::default(),
            guests_news: None,
        }
    }

    /// Serves the hypervisor until its session ends.
    async fn run(
        &mut self,
        snapshots: &mut Snapshots,
        pass: &mut Pass,
    ) -> Result<std::convert::Infallible, HypervisorSessionError> {
        let mut rules = self.context.rules.clone();
        loop {
            let retry = self.deadline();
            tokio::select! {
                event = self.connection.next_event() => self.take(event?),
                changed = snapshots.hypervisors_changed() => {
                    if !self.others_changed(&changed?.facts) {
                        continue;
                    }
                    self.unread = Unread::Everything;
                }
                () = self.place.changes(&self.context.seats, &self.peer) => {
                    self.place.vacate().map_err(|_| HypervisorSessionError::Superseded)?;
                    self.unread = Unread::Everything;
                }
                () = rules.changed() => self.unread = Unread::Everything,
                woken = guests_changed(&mut self.guests_news) => {
                    woken?;
                    self.unread = Unread::Everything;
                }
                () = pass.shown_out() => return Err(HypervisorSessionError::ShownOut),
                followed = claim::follow(&mut self.claim) => match followed {
                    Followed::Others => {}
                    // The hypervisor should notice sooner that it does not answer.
                    Followed::Pace => self.unread = Unread::Everything,
                },
                () = tokio::time::sleep_until(retry.unwrap_or_else(Instant::now)), if retry.is_some() => {
                    self.turn.due(Instant::now());
                    self.unread = Unread::Everything;
                }
            }
            if self.synced {
                self.step().await?;
            }
            if matches!(self.place, SpeakingRight::Seated(_)) {
                pass.identified();
            }
        }
    }

    /// When something is to be looked at again.
    fn deadline(&self) -> Option<Instant> {
        // Nothing is done about a hypervisor that another controller owns.
        let awaited = match (&self.states, &self.owned) {
            (Some(states), Some(_)) => states.deadline(),
            (Some(_) | None, _) => None,
        };
        let claim = match (&self.claim, &self.place) {
            (Some(claim), SpeakingRight::Seated(seat)) => claim.deadline(seat.key()),
            (Some(_) | None, _) => None,
        };
        let deadlines = self.turn.deadline().into_iter();
        deadlines.chain(awaited).chain(claim).min()
    }

    /// Withdraws the state of its tunnels, unless a newer session reports it. Sending fails only when the process is
    /// stopping.
    async fn end(&mut self) {
        self.states = None;
        self.claim.as_mut().into_iter().for_each(OwnerClaim::leave);
        let SpeakingRight::Seated(seat) = &self.place else {
            return;
        };
        if !seat.is_lost() {
            let chassis = seat.key().clone();
            let _ = self.tell_of_tunnels(&chassis).await;
        }
    }

    fn take(&mut self, event: sextant_ovsdb_client::Event) {
        use sextant_ovsdb_client::Event;
        match event {
            Event::Synced => (self.synced, self.unread) = (true, Unread::Everything),
            Event::Reply { id, result } => {
                let claim = self.claim.as_mut();
                if !claim.is_some_and(|claim| claim.answered(id, result.as_ref().err())) {
                    self.answered(id, result.err());
                }
                self.unread = Unread::Everything;
            }
            Event::Changed(changes) => {
                self.meddled |= !self.turn.is_awaited() && meddles(&changes);
                self.unread.add(self.census.follow(&changes));
            }
            Event::Locked { .. } => {
                self.claim.as_mut().into_iter().for_each(OwnerClaim::locked);
                self.unread = Unread::Everything;
            }
            Event::Stolen { .. } => {
                if let Some(claim) = &mut self.claim {
                    claim.stolen(&mut self.connection);
                }
                self.unread = Unread::Everything;
            }
            Event::Selected => {
                self.view.selected();
                // Rows that came by it are nobody's doing.
                (self.meddled, self.unread) = (false, Unread::Everything);
            }
            // Nothing was asked, and events of later versions mean nothing here.
            Event::Answer { .. } | _ => {}
        }
    }

    fn answered(&mut self, id: RequestId, refusal: Option<TransactionError>) {
        if !self.turn.answered(id, refusal.is_none(), Instant::now()) {
            return;
        }
        let outcome = match refusal {
            None => {
                self.complaints.settle(Concern::Change);
                TransactionOutcome::Confirmed
            }
            Some(_) => TransactionOutcome::Refused,
        };
        self.context
            .metrics
            .ovsdb_transactions
            .with_label_values(&[outcome.as_str()])
            .inc();
        // Another controller owns it: nothing is wrong.
        let refusal = refusal.filter(|error| !is_not_owner(error));
        if let Some(error) = refusal {
            let refused = format!("the hypervisor's database refused a change: {error}");
            self.complain(Concern::Change, &refused);
        }
    }

    /// Whether something else may be wanted because of other hypervisors.
    fn others_changed(&mut self, facts: &Facts) -> bool {
        if self.context.bfd {
            let changed = !self.hypervisors.ptr_eq(facts.chassis());
            self.hypervisors = facts.chassis().clone();
            return changed;
        }
        let changed = !facts.encap_kinds().keys().eq(&self.protocols);
        if changed {
            self.protocols = facts.encap_kinds().keys().copied().collect();
        }
        changed
    }

    async fn step(&mut self) -> Result<(), Stopping> {
        if let SpeakingRight::Seated(seat) = &self.place
            && self.takes_part
        {
            let id = seat.key().clone();
            if !self.owns(&id).await? {
                return Ok(());
            }
        }
        if let Unread::Guests(ports) = &mut self.unread {
            let ports = std::mem::take(ports);
            return self.tell_of(ports).await;
        }
        let observed = observe(self.connection.replica());
        let doubtful = &self.context.metrics.doubtful_endpoints;
        let impossible = matches!(observed, Err(NotReady::ImpossibleEndpoint(_)));
        self.nowhere = impossible.then(|| match self.nowhere.take() {
            Some(counted) => counted,
            None => {
                Counted::new(&doubtful.with_label_values(&[DoubtfulEndpoint::Impossible.as_str()]))
            }
        });
        match observed {
            Ok(observation) => {
                let id = observation.chassis.id.clone();
                self.takes_part = true;
                if self.sit(&id).await? {
                    self.complaints.settle(Concern::TakingPart);
                    let gauge = &self.context.metrics.hypervisors_connected;
                    self.connected.get_or_insert_with(|| Counted::new(gauge));
                    if self.owns(&id).await? {
                        self.serve(observation).await?;
                    }
                }
            }
            Err(NotReady::NoEndpoint(chassis)) => {
                if self.sit(&chassis).await?
                    && self.has_to_leave(&chassis)
                    && self.owns(&chassis).await?
                {
                    self.leave(chassis).await?;
                }
            }
            Err(not_ready) => self.complain(Concern::TakingPart, &not_ready.to_string()),
        }
        Ok(())
    }

    /// Makes the hypervisor what it should be, and sends what it shows to the owner of state.
    async fn serve(&mut self, observation: Observation) -> Result<(), Stopping> {
        let gauge = &self.context.metrics.hypervisors_owned;
        self.owned.get_or_insert_with(|| Counted::new(gauge));
        self.provision(&observation);
        self.read_states();
        let id = observation.chassis.id.clone();
        if self.reported.is_none() {
            self.tell_of_tenure(&id).await?;
        }
        self.tell(observation).await?;
        self.tell_of_tunnels(&id).await?;
        self.begin_tenure(&id);
        self.begin_census();
        Ok(())
    }

    /// Whether this session speaks for the hypervisor of this name. One that changes its name leaves under the old one, and so
    /// does one that may not have it any more.
    async fn sit(&mut self, id: &ChassisId) -> Result<bool, Stopping> {
        let names = self.context.rules.now().names;
        let allowed = names.allows(self.peer.names(), id.as_str());
        match &self.place {
            SpeakingRight::Seated(seat) if seat.key() == id && allowed => return Ok(true),
            SpeakingRight::Waiting(waiting) if waiting == id && allowed => return Ok(false),
            SpeakingRight::Unknown | SpeakingRight::Waiting(_) | SpeakingRight::Seated(_) => {}
        }
        let reported = self.reported.take();
        self.forget();
        (self.expiry, self.connected) = (None, None);
        if let Some(reported) = reported {
            self.end_tenure(&reported.chassis.id);
            self.send(Event::HypervisorLeft(reported.chassis.id))
                .await?;
        }
        if !allowed {
            self.refuse_name(id);
            return Ok(false);
        }
        match self.context.seats.take(id, self.peer.clone()) {
            Ok(seat) => {
                self.say_connected(id);
                self.place = SpeakingRight::Seated(Arc::new(seat));
                let expiries = &self.context.expiries;
                let not_after = self.not_after;
                self.expiry = not_after.map(|at| expiries.note_of(id.as_str(), at));
            }
            Err(taken) => {
                let taken = format!("external_ids:system-id={id}: {taken}");
                self.complain(Concern::TakingPart, &taken);
                self.place = SpeakingRight::Waiting(id.clone());
            }
        }
        Ok(matches!(self.place, SpeakingRight::Seated(_)))
    }

    /// Starts anew: the hypervisor takes no part, has another name, or is another's. The owner of state has forgotten it, or will.
    fn forget(&mut self) {
        self.reported = None;
        self.watches = TunnelWatches::new();
        (self.owned, self.states, self.guests_news) = (None, None, None);
        self.unread = Unread::Everything;
    }

    async fn send(&self, event: Event) -> Result<(), Stopping> {
        self.context.events.send(event).await.map_err(|_| Stopping)
    }
}
