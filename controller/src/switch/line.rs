//! The connection to a switch, and how the nonsense that comes over it is counted and logged.
//!
//! A switch can send nonsense, and refuse what it is sent, as fast as the wire carries it. All of that is counted, and each
//! session logs a few lines of it.

use super::session::SwitchSessionError;
use crate::metrics::{Metrics, OpenFlowError};
use crate::stream::Stream;
use rust_openflow::{Connection, ConnectionError, ErrorMessage, Message, Xid};
use sextant_model::ChassisId;
use sextant_responders::throttle::Throttle;
use std::net::SocketAddr;
use std::time::Instant;

pub(super) struct SwitchLine {
    pub(super) connection: Connection<Stream>,
    peer: SocketAddr,
    chassis: Option<ChassisId>,
    metrics: Metrics,
    throttle: Throttle,
}

impl SwitchLine {
    pub(super) fn new(connection: Connection<Stream>, peer: SocketAddr, metrics: Metrics) -> Self {
        Self {
            connection,
            peer,
            chassis: None,
            metrics,
            throttle: Throttle::default(),
        }
    }

    /// Whose switch it is.
    pub(super) fn is_of(&mut self, chassis: &ChassisId) {
        self.chassis = Some(chassis.clone());
    }

    /// The next message that makes sense. What does not has been answered with an error by the connection, and is passed
    /// over.
    pub(super) async fn next(&mut self) -> Result<(Xid, Message), SwitchSessionError> {
        loop {
            match self.connection.recv().await {
                Ok(received) => return received.ok_or(SwitchSessionError::Closed),
                Err(error) => self.survive(error)?,
            }
        }
    }

    pub(super) fn survive(&mut self, error: ConnectionError) -> Result<(), SwitchSessionError> {
        if error.is_fatal() {
            return Err(error.into());
        }
        self.complain(
            OpenFlowError::Malformed,
            &error,
            "switch sent what is no OpenFlow",
        );
        Ok(())
    }

    /// The switch refused a message.
    pub(super) fn refused(&mut self, error: &ErrorMessage) {
        self.complain(OpenFlowError::Refused, error, "switch refused a message");
    }

    /// Counts a refusal that another place logs.
    pub(super) fn count_refused(&self) {
        self.count(OpenFlowError::Refused);
    }

    /// Queues messages. One that is too long for OpenFlow cannot be sent by anyone.
    pub(super) fn post(&mut self, messages: impl IntoIterator<Item = Message>) {
        for message in messages {
            if let Err(error) = self.connection.send(&message) {
                self.complain(OpenFlowError::Unsent, &error, "a message could not be sent");
            }
        }
    }

    fn complain(&mut self, kind: OpenFlowError, error: &dyn std::fmt::Display, what: &str) {
        self.count(kind);
        if let Some(unsaid) = self.throttle.admit(Instant::now()) {
            let (peer, chassis) = (self.peer, self.chassis.as_ref().map(ChassisId::as_str));
            tracing::warn!(%peer, chassis, %error, unsaid, "{what}");
        }
    }

    fn count(&self, kind: OpenFlowError) {
        let errors = &self.metrics.openflow_errors;
        errors.with_label_values(&[kind.as_str()]).inc();
    }
}

impl Drop for SwitchLine {
    fn drop(&mut self) {
        let unsaid = self.throttle.take_unsaid();
        if unsaid > 0 {
            tracing::warn!(peer = %self.peer, unsaid, "more was wrong with what this switch sent");
        }
    }
}
