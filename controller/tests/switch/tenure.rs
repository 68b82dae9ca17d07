//! An owner whose tenure ends touches the switch no more.

use crate::fake::{SOON, Switch, usual};
use crate::{LIMITS, Rig, known};
use rust_openflow::{Message, Role, RoleMessage};
use sextant_controller::cluster::Tenures;
use sextant_model::ChassisId;
use tokio::time::Instant;

const GENERATION: u64 = 3;

/// A switch that takes whoever asks for its primary controller.
fn accepts(message: &Message) -> Option<Message> {
    match message {
        Message::RoleRequest(asked) => Some(Message::RoleReply(*asked)),
        other => usual(other),
    }
}

async fn owned(tenures: &Tenures) -> (Rig, Switch) {
    let chassis = ChassisId::new("h1");
    tenures.see(&chassis, GENERATION, true);
    tenures.confirm(&chassis, GENERATION, Instant::now());
    tenures.begin(&chassis, GENERATION);
    let mut rig = Rig::start_sharing(known(1), SOON, LIMITS, tenures.clone()).await;
    let mut switch = Switch::connect(rig.address).await;
    tokio::select! {
        confirmed = rig.confirmed() => assert_eq!(confirmed, 1),
        () = switch.serve(|message| Some(accepts(message))) => panic!("the controller hung up"),
    }
    (rig, switch)
}

/// What is known of a hypervisor after its tenure is what the store says: without the numbers of its ports, flows of these would be
/// deleted. The session is woken for both at once, in any order, so it is tried often.
#[tokio::test]
async fn what_is_known_after_a_tenure_leads_to_no_change_of_flows() {
    for _ in 0..12 {
        let tenures = Tenures::shared();
        let (rig, mut switch) = owned(&tenures).await;
        assert!(tenures.end(&ChassisId::new("h1"), GENERATION));
        rig.publisher.publish(known(0));
        while let Some((_, message)) = switch.next().await {
            let changes = matches!(
                message,
                Message::BundleControl(_) | Message::BundleAdd(_) | Message::FlowMod(_)
            );
            assert!(!changes, "{message:?}");
        }
    }
}

/// The tenure ends while the session reads back what the switch has.
#[tokio::test]
async fn a_session_that_is_brought_up_when_its_tenure_ends_sends_no_flows() {
    let tenures = Tenures::shared();
    let chassis = ChassisId::new("h1");
    tenures.see(&chassis, GENERATION, true);
    tenures.confirm(&chassis, GENERATION, Instant::now());
    tenures.begin(&chassis, GENERATION);
    let rig = Rig::start_sharing(known(1), SOON, LIMITS, tenures.clone()).await;
    let mut switch = Switch::connect(rig.address).await;
    let mut role = None;
    while let Some((xid, message)) = switch.next().await {
        match &message {
            Message::RoleRequest(RoleMessage { role: asked, .. }) => role = Some(*asked),
            Message::MultipartRequest(_) if role == Some(Role::Primary) => {
                assert!(tenures.end(&chassis, GENERATION) || tenures.held(&chassis).own.is_none());
            }
            Message::BundleControl(_) | Message::BundleAdd(_) | Message::FlowMod(_) => {
                panic!("{message:?}")
            }
            _ => {}
        }
        if let Some(reply) = accepts(&message) {
            switch.send(xid, &reply).await;
        }
    }
    assert_eq!(role, Some(Role::Primary), "it was the owner");
    drop(rig);
}
